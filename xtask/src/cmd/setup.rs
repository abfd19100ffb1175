use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::{Common, Selection, World};
use crate::plan::{LeftOut, Mode, Part};
use crate::project::cross::Zig;
use crate::toolchain::{self, zig};

/// Install what builds need: standard libraries, or zig with --zig
///
/// A build installs a missing standard library itself. This command does it in advance, for
/// the image of a build machine or for work without a network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless setup            install the standard library of every target of this project
  cargo dockless setup --zig      also install zig, for C, macOS and Windows; print its path")]
pub struct Args {
    /// Install zig, from PyPI, into the cache folder
    #[arg(long)]
    zig: bool,
}

/// What is there now, for `--json`.
#[derive(Serialize)]
struct Ready {
    zig: Option<Zig>,
    left_out: Vec<LeftOut>,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let World { dir, env, cache, term, .. } = world;
    let provide = || zig::provide(dir, env, cache, common.network(), term);
    let zig = args.zig.then(provide).transpose()?;
    let mut left_out = Vec::new();
    // zig may be wanted before there is any project.
    let project = common.manifest_path.is_some()
        || dir.ancestors().any(|dir| dir.join("Cargo.toml").is_file());
    if project || zig.is_none() {
        let request = Selection::default().request(Mode::Snapshot, Part::All, common);
        let (project, plan, _) = world.plan(common, &request)?;
        let ready = toolchain::prepare(&plan.builds, &project, common.network(), term)?;
        ready.warnings.iter().for_each(|warning| term.finding(warning));
        left_out.extend(plan.left_out.iter().filter(|left| !left.by_choice).cloned());
        left_out.extend(ready.left_out);
    }
    let ready = Ready { zig, left_out };
    term.results(&ready, ready.zig.iter().map(|zig| zig.program.display()))?;
    term.verdict(ready.left_out.iter().map(LeftOut::finding).collect())?;
    Ok(ExitCode::SUCCESS)
}
