use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World};
use crate::project::Project;

/// Run the workspace's tests
///
/// This runs `cargo test --workspace` in the project's root, with the project's toolchain.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless test
  cargo dockless test -- --nocapture name_of_a_test")]
pub struct Args {
    /// Arguments of the test programs
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let project = world.project(common)?;
    let passed = passed(&project, &args.args, common, world)?;
    world.term.json(&serde_json::json!({ "passed": passed }))?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether all tests passed; they speak for themselves.
pub fn passed(
    project: &Project,
    args: &[OsString],
    common: &Common,
    world: &World,
) -> Result<bool> {
    world.term.step("test", "the workspace");
    let cargo = project
        .cargo("test")
        .args(["--workspace", "--color", world.term.color_arg()])
        .args(common.locked.then_some("--locked"))
        .args(common.network().cargo_arg())
        .arg("--")
        .args(args);
    // For machines, stdout holds JSON alone.
    let json = world.term.json_wanted();
    let ran = || if json { cargo.pass_stderr() } else { cargo.pass_through() };
    Ok(world.term.foreign(ran)?.success())
}
