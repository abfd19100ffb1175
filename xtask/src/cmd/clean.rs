use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World};
use crate::files;
use crate::release;

/// Remove dist/, and with --cache the cache
///
/// dockless never removes a dist/ that it did not make.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless clean
  cargo dockless clean --cache")]
pub struct Args {
    /// Also remove the archives and facts kept in the user's cache folder
    #[arg(long)]
    cache: bool,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let project = world.project(common)?;
    // Sources that cannot be written have no dist/, and are none the worse for it.
    if !files::is_clear(&project.dist)? {
        // A run that uses the cache may be waiting for dist/: this lock ends here.
        release::lock_dist(&project, &world.term)?.clear()?;
    }
    if args.cache {
        world.cache.clear(|other| {
            world.term.step("wait", format_args!("for those who use the cache: {other}"));
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
