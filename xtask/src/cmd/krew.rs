use std::process::ExitCode;

use anyhow::Result;

use super::{Common, Selection, World, release};
use crate::checksum::KREW;
use crate::plan::Part;

/// Make the manifests of kubectl plugins, for krew
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew manifest")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Manifest(Manifest),
}

/// Make the archives of plugins, and the manifests that install them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew manifest --package kubectl-view-secret")]
struct Manifest {
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    match args.action {
        Action::Manifest(args) => {
            let args = release::Args::archives(args.selection, true);
            let printed = |path: &str| path.contains(&format!("/{KREW}"));
            release::make(args, Part::Archives, printed, common, world)
        }
    }
}
