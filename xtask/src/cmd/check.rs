use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World};
use crate::check::{Verdict, check, table};
use crate::project::Project;

/// Run fmt and clippy, all of it, as one verdict
///
/// Warnings of clippy fail, unless `[lints]` in Cargo.toml allows them.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let project = world.project(common)?;
    let verdicts = verdicts(&project, common, world)?;
    if world.term.json_wanted() {
        world.term.json(&verdicts)?;
    }
    Ok(if verdicts.iter().any(Verdict::fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs the checks and shows what came of them.
pub fn verdicts(project: &Project, common: &Common, world: &World) -> Result<Vec<Verdict>> {
    let verdicts = check(project, common.locked, common.offline, &world.term);
    let table = table(&verdicts);
    world.term.table(&table);
    world.summary(&table.markdown("Check"))?;
    Ok(verdicts)
}
