//! Engines on this machine, through their own programs, and on others.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{archive, layout};
use crate::files;
use crate::finding::Help;
use crate::oci::Root;
use crate::process::{Env, Program};
use crate::reference::Reference;
use crate::registry::Registry;
use crate::target::Platform;
use crate::term::Term;

mod remote;

pub use remote::{Hosts, Remote};

/// What runs containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    Docker,
    Podman,
    Containerd,
    Kind,
    /// On another machine, which ssh reaches.
    Remote(Remote),
}

/// How long an engine may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

impl Engine {
    /// Those of this machine: their names, and what helps to choose one.
    pub const LOCAL: [(&str, &str, Engine); 4] = [
        ("docker", "", Engine::Docker),
        ("podman", "", Engine::Podman),
        ("containerd", "With `ctr`, into the namespace CONTAINERD_NAMESPACE", Engine::Containerd),
        ("kind", "Into the nodes of the cluster KIND_CLUSTER_NAME", Engine::Kind),
    ];

    /// The program that is started.
    pub fn program(&self) -> &'static str {
        match self {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
            Engine::Containerd => "ctr",
            Engine::Kind => "kind",
            Engine::Remote(_) => "ssh",
        }
    }

    /// Fails where the engine is missing or does not answer, before anything is made for it.
    /// Returns its platform, where it has one.
    pub fn probe(&self, hosts: &Hosts, env: &Env, term: &Term) -> Result<Option<Platform>> {
        let ask: &[&str] = match self {
            Engine::Docker => &["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"],
            Engine::Podman => &["version", "--format", "{{.OsArch}}"],
            Engine::Containerd => &["--connect-timeout", "5s", "version"],
            Engine::Kind => &["get", "nodes"],
            Engine::Remote(remote) => return remote.probe(hosts, env, term),
        };
        let here = Path::new(".");
        let program = Program::new(self.program(), here, env).args(ask).time_out(ANSWER);
        let said = program.read().map_err(|error| self.explain(error))?;
        match self {
            Engine::Docker | Engine::Podman => Platform::parse(said.trim())
                .map(Some)
                .with_context(|| format!("read what `{program}` printed")),
            Engine::Kind if said.trim().is_empty() => {
                Err(self.explain(anyhow::anyhow!("kind has no nodes to load images into")))
            }
            Engine::Containerd | Engine::Kind | Engine::Remote(_) => Ok(None),
        }
    }

    /// The engine's error, with what the user can do.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        if error.is::<Help>() {
            return error;
        }
        let fix = match self {
            Engine::Docker => "start Docker, or set DOCKER_HOST to where it is",
            Engine::Podman => "see what `podman info` says",
            Engine::Containerd => "start containerd, or set CONTAINERD_ADDRESS to its socket",
            Engine::Kind => "make a cluster with `kind create cluster`, or set KIND_CLUSTER_NAME",
            Engine::Remote(_) => return error,
        };
        error.context(Help(fix.to_owned()))
    }

    /// Loads the image under its names, and returns the name by which the engine has it. Layers
    /// that are still in a registry are downloaded first.
    pub fn load(
        &self,
        root: &Root,
        names: &[Reference],
        registry: &Registry<'_>,
        hosts: &Hosts,
        env: &Env,
        term: &Term,
    ) -> Result<String> {
        if let Engine::Remote(remote) = self {
            return remote.load(root, names, registry, hosts, env, term);
        }
        let root = match self.probe(hosts, env, term)? {
            // Docker's classic store has no indexes.
            Some(platform) if *self == Engine::Docker => {
                Root::Image(Box::new(root.narrow(&platform)?))
            }
            _ => root.clone(),
        };
        let root = registry.fetch(&root)?;
        let name = names.first().context("name the image")?;
        let digested = name.repository.at(&root.digest());
        let temp = files::temporary_dir()?;
        let file = temp.path().join("image.tar");
        match self {
            Engine::Docker => archive::docker(&root, names, &file)?,
            // podman takes one name at a time.
            Engine::Podman => archive::oci(&root, layout::one(names), &file)?,
            // containerd finds an image by its digest only where a name has the digest.
            Engine::Containerd | Engine::Kind | Engine::Remote(_) => {
                let names: Vec<Reference> = names.iter().chain([&digested]).cloned().collect();
                archive::oci(&root, &names, &file)?;
            }
        }
        let size = crate::term::size(root.size());
        term.step("load", format_args!("{size} into {}", self.program()));
        let run = |args: &[&str]| {
            let program = Program::new(self.program(), temp.path(), env).args(args);
            program.read().map_err(|error| self.explain(error))
        };
        match self {
            Engine::Docker => {
                run(&["load", "--quiet", "--input", "image.tar"])?;
                let id = run(&["image", "inspect", "--format", "{{.Id}}", &name.to_string()])?;
                return known(&root, name, id.trim());
            }
            Engine::Podman => {
                run(&["load", "--quiet", "--input", "image.tar"])?;
                for other in &names[1..] {
                    run(&["tag", &digested.to_string(), &other.to_string()])?;
                }
                run(&["image", "inspect", "--format", "{{.Id}}", &digested.to_string()])?;
            }
            Engine::Containerd => {
                run(&["images", "import", "--all-platforms", "image.tar"])?;
            }
            Engine::Kind | Engine::Remote(_) => {
                run(&["load", "image-archive", "image.tar"])?;
            }
        }
        Ok(digested.to_string())
    }
}

/// The ID by which Docker has the image: the config's digest, or the image's digest with
/// containerd's store. Fails where the ID is another image's.
fn known(root: &Root, name: &Reference, id: &str) -> Result<String> {
    let images = root.images();
    let configs = images.iter().map(|(_, image)| image.config.digest().to_string());
    let ids: Vec<String> = configs.chain([root.digest().to_string()]).collect();
    ensure!(
        ids.iter().any(|known| known == id),
        "docker says that {name} is {id}, and {} was loaded",
        ids.join(" or ")
    );
    Ok(id.to_owned())
}
