use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::{Common, Selection, World};
use crate::linkage::{Binaries, Binary};
use crate::plan::{Mode, Part, Request};
use crate::release::binaries;
use crate::target::Target;
use crate::term;

/// Build a static binary for this machine and print its path
///
/// Without --release the build is quick: it uses the dev profile and the musl target of this
/// machine. The binary is verified to be static, as in a release, and has its version.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless build
  cargo dockless build --release --target aarch64-unknown-linux-musl
  $(cargo dockless build -q) --version")]
pub struct Args {
    /// Build with the profile for releases
    #[arg(short, long, conflicts_with = "profile")]
    release: bool,
    #[command(flatten)]
    selection: Selection,
}

/// One binary, for `--json`.
#[derive(Serialize)]
struct Built<'a> {
    name: &'a str,
    package: &'a str,
    target: &'a str,
    path: &'a str,
    size: u64,
    linkage: &'a crate::linkage::Linkage,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = args.selection.request(Mode::Local, Part::All, common);
    request.build.release = args.release;
    let built = build(&request, common, world)?;
    if world.term.json_wanted() {
        let built = built.iter().map(Built::of).collect::<Result<Vec<_>>>()?;
        world.term.json(&term::list("programs", &built))?;
        return Ok(ExitCode::SUCCESS);
    }
    for binary in &built {
        world.term.result(binary.compiled().path().display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Plans, compiles and proves what the request names.
pub fn build(request: &Request, common: &Common, world: &World) -> Result<Vec<Binary>> {
    let (project, plan, _) = world.plan(common, request)?;
    let (Binaries(mut built), ..) = binaries(&plan, &project, common.network(), &world.term)?;
    // What was made only to be joined was not asked for.
    let asked = |target: &Target| request.select.targets.iter().any(|name| name == target.as_str());
    let parts: Vec<Target> =
        plan.builds.iter().flat_map(|build| &build.joined).flat_map(Target::slices).collect();
    built.retain(|binary| {
        let target = binary.compiled().target();
        !parts.contains(target) || asked(target)
    });
    Ok(built)
}

impl Built<'_> {
    fn of(binary: &Binary) -> Result<Built<'_>> {
        let compiled = binary.compiled();
        let path = compiled.path().to_str();
        Ok(Built {
            name: compiled.bin(),
            package: compiled.package(),
            target: compiled.target().as_str(),
            path: path
                .ok_or_else(|| anyhow::anyhow!("the path of {} is not UTF-8", compiled.bin()))?,
            size: binary.size(),
            linkage: binary.linkage(),
        })
    }
}
