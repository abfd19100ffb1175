use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World, check, test};
use crate::check::{Status, Verdict};
use crate::plan::Mode;

/// Run `check` and `test`, as CI does
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless ci
  cargo dockless ci --require audit    fail if the advisories cannot be fetched")]
pub struct Args {
    #[command(flatten)]
    check: check::Args,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let (project, config) = world.project_and_config(common, &[])?;
    let verdicts = check::verdicts(&args.check, &project, &config, Mode::Local, common, world)?;
    // The tests run whatever the checks said: one run tells everything.
    let tested = test::passed(&project, &[], common, world)?;
    let json = serde_json::json!({ "checks": verdicts, "tests": { "passed": tested } });
    world.term.json(&json)?;
    let failed = verdicts.iter().filter(|verdict| verdict.fails());
    let failed: Vec<&str> =
        failed.map(|verdict| verdict.check.name()).chain((!tested).then_some("test")).collect();
    if !failed.is_empty() {
        anyhow::bail!("failed: {}; their messages are above", failed.join(", "));
    }
    let of = |passed: bool| {
        let is = |verdict: &&Verdict| (verdict.result == Status::Passed) == passed;
        verdicts.iter().filter(is).map(|verdict| verdict.check.name()).collect::<Vec<_>>()
    };
    let absent = match &of(false)[..] {
        [] => String::new(),
        names => format!("; {} did not run", names.join(", ")),
    };
    let passed = match &of(true)[..] {
        [] => "the tests".to_owned(),
        names => format!("{} and the tests", names.join(", ")),
    };
    world.term.step("passed", format_args!("{passed}{absent}"));
    Ok(ExitCode::SUCCESS)
}
