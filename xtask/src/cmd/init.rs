use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::ArgGroup;

use super::{Common, World};
use crate::files::{self, limits};
use crate::init::{self, Reusable};
use crate::project::Project;

mod setup;
mod workflows;

/// Set a project up: an xtask, settings, GitHub workflows, Kubernetes manifests
///
/// Without --workflows and --kubernetes it writes what a project needs to be released by
/// `cargo xtask`: the package `xtask` of two files with its alias, `/dist` in .gitignore, and the
/// settings that differ from the defaults. It shows all changes as a diff, and asks. What you wrote
/// stays: files of your own, other values, order, comments and line ends; it says what differs and
/// how to take it over. Running it again changes nothing.
///
/// With --from it takes over what the files of other tools say: GoReleaser, cargo-dist, ko, a
/// Dockerfile, cross, cargo-deb and cargo-binstall. What has no counterpart is listed.
///
/// --workflows and --kubernetes write only what they name. The workflows follow the project's
/// settings: one job builds each target on a runner that has its linker, one job merges and
/// publishes, and others attest what was published. Every night audit.yml audits the latest
/// release. Actions are pinned by commit, and Dependabot updates the pins.
///
/// With --reusable, release.yml calls a workflow of another repository that builds, publishes and
/// attests, which this repository cannot change: SLSA Build L3 instead of L2. It is called by its
/// commit, and stays until release.yml is removed.
///
/// With --prebuilt the workflows download the released program instead of compiling the tool. The
/// version is that of `dockless` in Cargo.lock, or else this one. The SHA-256 comes from the release's
/// checksums.txt and is kept in ci.yml; a later `init --workflows` asks again only for another
/// version. Remove ci.yml and run it again to compile the tool.
///
/// A service is a package that is released and whose image has `ports` in its settings, or one
/// named with --package. Its manifest, deploy/NAME.yaml, has a Deployment, a PodDisruptionBudget
/// and a Service of type LoadBalancer that keeps the client's address. Its image is
/// dockless://PACKAGE, which `cargo dockless apply -f deploy` builds. NAME is the package's name in
/// lower case with `-` for `_`. Without `ports` the port is 8080.
///
/// Workflows are written anew. Manifests are yours to change: one that exists is left alone.
#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("what").args(["workflows", "kubernetes"]).multiple(true),
    after_help = "Examples:
  cargo dockless init                              show what is written, and ask
  cargo dockless init --yes --from auto            write it, with what other tools' files say
  cargo dockless init --no-xtask --toolchain       no xtask, and pin the installed Rust
  cargo dockless init --check                      fail if a file is missing or outdated
  cargo dockless init --workflows
  cargo dockless init --workflows --check          fail if a file is outdated
  cargo dockless init --workflows --prebuilt       download the tool instead of compiling it
  cargo dockless init --workflows --reusable acme/dockless@COMMIT
  cargo dockless init --kubernetes                 all services
  cargo dockless init --kubernetes --package api   this one, whatever its settings are"
)]
pub struct Args {
    /// Write without asking
    #[arg(short, long)]
    yes: bool,
    /// Take over what this file of another tool says; `auto`: all such files
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    from: Option<PathBuf>,
    /// Write no xtask: the tool is installed, and run as `cargo dockless`
    #[arg(long, conflicts_with = "what")]
    no_xtask: bool,
    /// Write rust-toolchain.toml, which pins the installed Rust
    #[arg(long, conflicts_with = "what")]
    toolchain: bool,
    /// Write .github/workflows/ci.yml, release.yml and audit.yml, and .github/dependabot.yml
    #[arg(long)]
    workflows: bool,
    /// Let the workflow of this repository, at this commit, build, publish and attest releases
    #[arg(long, value_name = "OWNER/REPO@COMMIT", requires = "workflows")]
    reusable: Option<Reusable>,
    /// Let workflows download the released program, of a pinned version and SHA-256, instead of
    /// compiling it
    #[arg(long, requires = "workflows")]
    prebuilt: bool,
    /// The repository that dockless is released in
    #[arg(long, value_name = "URL", requires = "prebuilt")]
    prebuilt_from: Option<String>,
    /// The public key that must have signed that release
    #[arg(long, value_name = "FILE", requires = "prebuilt")]
    prebuilt_key: Option<PathBuf>,
    /// Write deploy/NAME.yaml for each service
    #[arg(long)]
    kubernetes: bool,
    /// Write the manifest of this package only; may be repeated
    #[arg(short, long, value_name = "NAME", requires = "kubernetes")]
    package: Vec<String>,
    /// Write nothing, and fail if a file is missing or outdated
    #[arg(long, conflicts_with = "kubernetes")]
    check: bool,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    if !args.workflows && !args.kubernetes {
        return setup::run(args, common, world);
    }
    if args.kubernetes {
        manifests(args, common, world)?;
    }
    if args.workflows { workflows::write(args, common, world) } else { Ok(ExitCode::SUCCESS) }
}

/// Writes the manifests that do not exist yet. Everything is read before anything is written.
fn manifests(args: &Args, common: &Common, world: &World) -> Result<()> {
    let (project, config) = world.project_and_config(common, &[])?;
    let found = init::kubernetes::services(&project, &config, &args.package)?;
    found.warnings.iter().for_each(|warning| world.term.finding(warning));
    let mut written = Vec::new();
    for service in &found.services {
        let (path, text) = init::kubernetes::manifest(service)?;
        let place = project.root.join(&path);
        match existing(&project, &place)? {
            None => written.push((place, text)),
            Some(existing) if existing == text.as_bytes() => {}
            Some(_) => {
                let kept = "it exists and differs from what `init` writes";
                world.term.step("keep", format!("{}: {kept}", path.display()));
            }
        }
    }
    for (place, text) in written {
        files::write(&place, text.as_bytes())?;
        world.term.result(place.display())?;
    }
    Ok(())
}

/// The contents of a file of the project that is to be written; `None` where there is none.
fn existing(project: &Project, place: &Path) -> Result<Option<Vec<u8>>> {
    // Nothing is written beyond the project, through a folder that is a link.
    if let Some(above) = place.ancestors().skip(1).find(|folder| folder.exists()) {
        project.boundary.admit(above)?;
    }
    project.boundary.read_if_there(place, limits::SETTINGS)
}
