use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use super::{Common, Selection, World, archive};
use crate::artifacts::{Artifact, KREW};
use crate::files::{self, limits};
use crate::finding::{Finding, Place, Severity};
use crate::krew::{self, Archives};
use crate::plan::{Mode, Part};
use crate::term;

mod bump;
mod pr;
use bump::Bump;
use pr::Pr;

/// Make and validate the krew manifests of kubectl plugins
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew manifest
  cargo dockless krew validate dist/krew/view-secret.yaml
  cargo dockless krew bump --index ~/src/krew-index
  cargo dockless krew pr --dry-run")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Manifest(Manifest),
    Validate(Validate),
    Bump(Bump),
    Pr(Pr),
}

/// Make the archives of plugins and the manifests that install them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew manifest --package kubectl-view-secret")]
struct Manifest {
    #[command(flatten)]
    selection: Selection,
}

/// Validate manifests as krew and its index do, without a network
///
/// What krew or its index refuses is an error; what they ignore is a warning. Each platform is
/// installed in memory if its archive is available: in dist/ for a manifest in dist/krew, or in
/// the folder of --archives.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew validate plugins/view-secret.yaml
  cargo dockless krew validate dist/krew/view-secret.yaml
  cargo dockless krew validate view-secret.yaml --archives ~/downloads
  cargo dockless krew validate --json plugins/*.yaml")]
struct Validate {
    /// Manifests, each named after its plugin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The folder of the archives, each named as at the end of its uri
    #[arg(long, value_name = "DIR")]
    archives: Option<PathBuf>,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    match args.action {
        Action::Manifest(args) => {
            let mut request = args.selection.request(Mode::Snapshot, Part::Archives, common);
            request.select.only_plugins = true;
            let is_manifest = |artifact: &Artifact| matches!(artifact, Artifact::Krew(_));
            archive::make(&request, is_manifest, common, world)
        }
        Action::Validate(args) => validate(&args, world),
        Action::Bump(args) => bump::run(&args, common, world),
        Action::Pr(args) => pr::run(&args, common, world),
    }
}

/// The dist/ that a release's manifest lies in, beside its archives.
fn dist_of(manifest: &Path) -> Result<Option<PathBuf>> {
    let folder = manifest.parent().filter(|folder| folder.ends_with(KREW));
    match folder.and_then(Path::parent) {
        Some(dist) if files::is_ours(dist)? => Ok(Some(dist.to_owned())),
        _ => Ok(None),
    }
}

/// What was validated of a manifest.
fn valid(file: &Path, archives: Option<&Path>) -> String {
    let file = file.display();
    match archives {
        Some(folder) => {
            format!("{file}, and how krew installs its archives in {}", folder.display())
        }
        None => format!("{file}; not its archives: name their folder with --archives"),
    }
}

fn validate(args: &Validate, world: &World) -> Result<ExitCode> {
    let mut findings = Vec::new();
    for file in &args.files {
        let folder = match &args.archives {
            Some(folder) => Some(world.dir.join(folder)),
            None => dist_of(&world.dir.join(file))?,
        };
        let archives = folder.as_deref().map_or(Archives::None, Archives::Folder);
        world.term.step("validate", file.display());
        let before = findings.len();
        match String::from_utf8(files::read_foreign(&world.dir.join(file), limits::PLUGIN)?) {
            Ok(text) => findings.extend(krew::validate(&text, file, archives)),
            Err(error) => {
                let why = format!("the manifest is no UTF-8: {error}");
                let fix = "write it with an editor that writes UTF-8";
                findings.push(Finding::error("yaml", Place::file(file), why, fix));
            }
        }
        let broken = |finding: &Finding| finding.severity == Severity::Error;
        if !findings[before..].iter().any(broken) {
            world.term.step("valid", valid(file, folder.as_deref()));
        }
    }
    world.term.json(&term::list("findings", &findings))?;
    world.term.verdict(findings)?;
    Ok(ExitCode::SUCCESS)
}
