use std::process::ExitCode;

use anyhow::Result;

use super::report::report;
use super::{Common, NetworkArgs, Selection, World};
use crate::artifacts::Artifact;
use crate::plan::{Mode, Part, Request};
use crate::release::{self, Source};

/// Make archives and checksums in dist/
///
/// Images in dist/ stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless archive
  cargo dockless archive --package mytool --target x86_64-unknown-linux-musl")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let request = args.selection.request(Mode::Snapshot, Part::Archives, common);
    make(&request, |_| true, common, world)
}

/// Makes archives and what goes with them; of what was made, the paths of those are
/// printed that are wanted.
pub fn make(
    request: &Request,
    wanted: impl Fn(&Artifact) -> bool,
    common: &Common,
    world: &World,
) -> Result<ExitCode> {
    let mut drafted = world.drafted(common, request)?;
    if let Some(plan) = &drafted.plan {
        drafted.errors.extend(release::check_plugins(plan)?);
    }
    let (project, plan, config) = drafted.approved(&world.term)?;
    let http = world.http(&config.network, &NetworkArgs::default(), common);
    let source = Source::Cargo(common.network());
    let cache = &world.cache;
    let blobs = cache.blobs()?;
    let registry = world.registry(&http, &blobs, &config.network);
    let locks = release::lock(&project, &world.term)?;
    let outcome = world.term.group("make", || {
        let term = &world.term;
        let made = release::make(&plan, &project, &source, cache, &registry, &locks, term)?;
        release::finish(made, &plan, &project, None, term)
    })?;
    report(&plan, &outcome, None, wanted, world)?;
    Ok(ExitCode::SUCCESS)
}
