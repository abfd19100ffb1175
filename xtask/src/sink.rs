//! The places that images are written to: folders, files, engines and registries.

use std::path::PathBuf;

use anyhow::Result;

use crate::oci::Root;
use crate::process::Env;
use crate::reference::{Form, Location, Reference, Repository, Tag};
use crate::registry::{Naming, Registry};
use crate::term::Term;

mod archive;
mod engine;
mod layout;

pub use engine::{Engine, Hosts, Remote};
pub use layout::write as layout;

/// A place that an image is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A folder, which may have other images.
    Layout(PathBuf),
    OciArchive(PathBuf),
    DockerArchive(PathBuf),
    Engine(Engine),
    Registry(Repository),
}

impl Sink {
    /// The place of a location, without the image's name there.
    pub fn at(location: &Location) -> Sink {
        let stored = match location {
            Location::Stored(stored) => stored.clone(),
            Location::Registry(reference) => return Sink::Registry(reference.repository.clone()),
        };
        match stored.form {
            Form::Layout => Sink::Layout(stored.path),
            Form::OciArchive => Sink::OciArchive(stored.path),
            Form::DockerArchive => Sink::DockerArchive(stored.path),
        }
    }
}

/// Writes the image to the sink under these names, and returns the name by which it is found
/// there. It replaces an image with the same names; a failure leaves that as it is. Layers
/// that are still in a registry are downloaded, unless the sink is that registry.
pub fn store(
    root: &Root,
    names: &[Reference],
    sink: &Sink,
    registry: &Registry<'_>,
    hosts: &Hosts,
    env: &Env,
    term: &Term,
) -> Result<String> {
    let digest = root.digest();
    let fetched = || registry.fetch(root);
    match sink {
        Sink::Layout(dir) => {
            layout::add(&fetched()?, names, dir, term)?;
            Ok(format!("oci:{}@{digest}", dir.display()))
        }
        Sink::OciArchive(path) => {
            archive::oci(&fetched()?, layout::one(names), path)?;
            Ok(format!("oci-archive:{}@{digest}", path.display()))
        }
        Sink::DockerArchive(path) => {
            archive::docker(&fetched()?, names, path)?;
            Ok(format!("docker-archive:{}", path.display()))
        }
        Sink::Engine(engine) => engine.load(root, names, registry, hosts, env, term),
        Sink::Registry(to) => {
            let here = names.iter().filter(|name| name.repository == *to);
            let tags: Vec<&Tag> = here.filter_map(|name| name.tag.as_ref()).collect();
            let pushed = registry.push(root, to, &tags, &[], Naming::WithTag)?;
            let all: Vec<_> = tags.iter().map(|tag| (&pushed, *tag)).collect();
            registry.tag_all(&all)?;
            if tags.is_empty() {
                registry.confirm(&pushed)?;
            }
            Ok(pushed.reference().to_string())
        }
    }
}
