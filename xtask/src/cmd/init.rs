use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::ArgGroup;

use super::{Common, Drafted, Selection, World};
use crate::files::{self, limits};
use crate::finding::{Findings, failure};
use crate::init::{self, Reusable};
use crate::plan::{Mode, Part, Skip};
use crate::project::{Project, git};

/// Write GitHub workflows that release the project, and Kubernetes manifests
///
/// The workflows follow the project's settings: one job builds each target on a runner that has
/// its linker, one job merges and publishes, and others attest what was published. Every night
/// audit.yml audits the latest release. Actions are pinned by commit, and Dependabot updates the
/// pins.
///
/// With --reusable, release.yml calls a workflow of another repository that builds, publishes and
/// attests, which this repository cannot change: SLSA Build L3 instead of L2. It is called by its
/// commit, and stays until release.yml is removed.
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
    group = ArgGroup::new("what").args(["workflows", "kubernetes"]).required(true).multiple(true),
    after_help = "Examples:
  cargo dockless init --workflows
  cargo dockless init --workflows --check          fail if a file is outdated
  cargo dockless init --workflows --reusable acme/dockless@COMMIT
  cargo dockless init --kubernetes                 all services
  cargo dockless init --kubernetes --package api   this one, whatever its settings are"
)]
pub struct Args {
    /// Write .github/workflows/ci.yml, release.yml and audit.yml, and .github/dependabot.yml
    #[arg(long)]
    workflows: bool,
    /// Let the workflow of this repository, at this commit, build, publish and attest releases
    #[arg(long, value_name = "OWNER/REPO@COMMIT", requires = "workflows")]
    reusable: Option<Reusable>,
    /// Write deploy/NAME.yaml for each service
    #[arg(long)]
    kubernetes: bool,
    /// Write the manifest of this package only; may be repeated
    #[arg(short, long, value_name = "NAME", requires = "kubernetes")]
    package: Vec<String>,
    /// Write nothing, and fail if a workflow is outdated
    #[arg(long, conflicts_with = "kubernetes")]
    check: bool,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    if args.kubernetes {
        manifests(args, common, world)?;
    }
    if args.workflows { workflows(args, common, world) } else { Ok(ExitCode::SUCCESS) }
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

fn workflows(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = Selection::default().request(Mode::Snapshot, Part::All, common);
    request.select.skip = vec![Skip::Publish];
    // They are for other machines, whatever this one has.
    request.build.elsewhere = true;
    request.publish.repository = world.repository(None)?;
    let Drafted { project, plan, config, errors } = world.drafted(common, &request)?;
    // What keeps this commit from being released is of no account to its workflows.
    let Some(plan) = plan else { bail!(Findings(errors)) };
    let mut wrong = Vec::new();
    let branch = branch(&project, world)?;
    let reusable = match &args.reusable {
        Some(reusable) => Some(reusable.clone()),
        None => {
            let there = existing(&project, &project.root.join(init::RELEASE))?;
            there.and_then(|there| Reusable::of(&String::from_utf8_lossy(&there)))
        }
    };
    let facts = init::facts(&project, &config, &plan, branch, reusable);
    for (path, text) in init::workflows(&facts)? {
        let place = project.root.join(&path);
        let there = existing(&project, &place)?;
        let ours = there.as_deref().map(String::from_utf8_lossy);
        let text = ours.as_ref().map_or(text.clone(), |there| init::keep_pins(&text, there));
        if there.as_deref() == Some(text.as_bytes()) {
            continue;
        }
        if args.check {
            wrong.push(init::stale(&path, there.is_some()));
            continue;
        }
        if ours.is_some_and(|text| !text.lines().next().unwrap_or_default().contains(init::MARK)) {
            bail!(failure(
                format!("{} was not written by dockless, so it is not replaced", path.display()),
                "move it away, and take what is yours over",
            ));
        }
        files::write(&place, text.as_bytes())?;
        world.term.result(place.display())?;
    }
    if wrong.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(Findings(wrong).into()) }
}

/// The branch that others are merged into, as YAML: that of the remote `origin`; or the one
/// that the workflow names, because a workflow's clone does not know it; or the one that is
/// checked out, or that git would make.
fn branch(project: &Project, world: &World) -> Result<String> {
    if let Some(branch) = git::default_branch(&project.root, &world.env)? {
        return Ok(init::branch_pattern(&branch));
    }
    let ci = project.root.join(init::CI);
    let there = project.boundary.read_if_there(&ci, limits::SETTINGS)?.unwrap_or_default();
    if let Some(branch) = init::branch_in(&String::from_utf8_lossy(&there)) {
        return Ok(branch.to_owned());
    }
    if project.git.is_none() {
        return Ok(init::branch_pattern(&git::new_branch(&project.root, &world.env)?));
    }
    match git::current_branch(&project.root, &world.env)? {
        Some(branch) => Ok(init::branch_pattern(&branch)),
        None => bail!(failure(
            "git knows no branch that others are merged into, which CI is to look at",
            "check one out, or `git remote set-head origin --auto`",
        )),
    }
}
