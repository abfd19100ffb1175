use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{Common, Selection, World, build};
use crate::finding::failure;
use crate::plan::{Mode, Part};
use crate::process::{self, Program};

/// Build a static binary for this machine and run it
///
/// Arguments after `--` are passed to the program. Its exit status is that of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless run -- --version
  cargo dockless run --bin kubectl-view-secret -- my-secret --all")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Arguments of the program
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let request = args.selection.request(Mode::Local, Part::All, common);
    let built = build::build(&request, common, world)?;
    let [binary] = &built[..] else {
        let names: Vec<&str> = built.iter().map(|binary| binary.compiled().bin()).collect();
        bail!(failure(
            format!("choose what to run: there are {}", names.join(", ")),
            "name one with --bin"
        ));
    };
    let status = Program::new(binary.compiled().path(), &world.dir, &world.env)
        .args(args.args)
        .pass_through()?;
    Ok(ExitCode::from(process::exit_code(status)))
}
