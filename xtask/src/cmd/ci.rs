use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World, check, test};

/// Run `check` and `test`: what CI runs, and what to run before a push
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let project = world.project(common)?;
    let verdicts = check::verdicts(&project, common, world)?;
    // The tests run whatever the checks said: one run tells everything.
    let tested = test::passed(&project, &[], common, world)?;
    if world.term.json_wanted() {
        world
            .term
            .json(&serde_json::json!({ "checks": verdicts, "tests": { "passed": tested } }))?;
    }
    let failed = verdicts.iter().filter(|verdict| verdict.fails()).map(|verdict| verdict.check);
    let failed: Vec<&str> = failed.chain((!tested).then_some("test")).collect();
    if failed.is_empty() {
        world.term.step("passed", "fmt, clippy and the tests; audit did not run");
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("failed: {}; their messages are above", failed.join(", "));
}
