use std::process::ExitCode;

use anyhow::Result;

use super::{Common, Selection, World, release};
use crate::plan::Part;

/// Make archives and checksums, into dist/
///
/// Images that are in dist/ stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless archive
  cargo dockless archive --package mytool --target x86_64-unknown-linux-musl")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let args = release::Args::archives(args.selection, false);
    release::make(args, Part::Archives, |_| true, common, world)
}
