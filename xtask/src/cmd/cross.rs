use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::World;
use crate::toolchain::driver::{self, Tool};

/// Stands in for a compiler while a project is built; nobody types this
#[derive(Debug, clap::Args)]
pub struct Args {
    tool: Tool,
    settings: PathBuf,
    /// The arguments of the compiler, whatever they look like
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub fn run(args: Args, world: &World) -> Result<ExitCode> {
    if let (Tool::Windres, Some(version)) = (args.tool, driver::version_of_windres(&args.args)) {
        world.term.result(version)?;
        return Ok(ExitCode::SUCCESS);
    }
    let code = driver::run(args.tool, &args.settings, args.args, &world.dir, &world.env)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
