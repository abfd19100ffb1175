use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::{Common, Selection, World};
use crate::config::{Config, PackageConfig, SbomFormat};
use crate::finding::{Findings, failure};
use crate::plan::{self, Mode, NO_TIME, Part, Request, Skip};
use crate::release;
use crate::sbom::{self, Program};
use crate::target::Target;

/// Print the SBOM of a program: the list of what it is made of
///
/// It is what a release of the working tree would list, without the program's digest: nothing is
/// built. Crates are those that cargo resolves for the target and the features. `release` makes
/// the SBOMs of all programs and images.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless sbom
  cargo dockless sbom --package mytool --target aarch64-unknown-linux-musl
  cargo dockless sbom --format cyclonedx > bom.json")]
pub struct Args {
    /// The form [default: that of the settings]
    #[arg(long, value_name = "FORM")]
    format: Option<SbomFormat>,
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = args.selection.request(Mode::Snapshot, Part::Archives, common);
    // Nothing else is planned than what one graph needs.
    request.select.skip = vec![Skip::Archive];
    let targets = &args.selection.build.target;
    let (mut project, config) = world.project_and_config(common, targets)?;
    // This also finds names that nothing has.
    plan::wanted(&config, &project, &request).map_err(Findings)?;
    let (package, bin) = program(&config, &request)?;
    let target = target(package, targets)?;
    request.select.packages = vec![package.name.clone()];
    request.select.targets = vec![target.to_string()];
    let wanted = plan::wanted(&config, &project, &request).map_err(Findings)?;
    project.learn_graphs(&wanted, common.network(), &world.cache, &world.term)?;
    let origin = release::origin(&package.name, &project);
    let parts = target.parts();
    let graphs = parts.iter().map(|part| project.graph(&package.name, part));
    let graphs = graphs.collect::<Option<_>>().context("find the dependency graph")?;
    let facts = project.package(&package.name).context("find the package")?;
    let version = facts.versioned.version();
    let program = Program { bin, version, target: &target, sha256: None, graphs, origin: &origin };
    let time = project.time.unwrap_or(Timestamp::constant(NO_TIME, 0));
    let text = sbom::of_program(&program, time).write(args.format.unwrap_or(config.sbom.format))?;
    let text = String::from_utf8(text).context("write an SBOM")?;
    world.term.documents(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The one program that is meant, and its package.
fn program<'a>(config: &'a Config, request: &Request) -> Result<(&'a PackageConfig, &'a str)> {
    let (packages, bins) = (&request.select.packages, &request.select.bins);
    let is_meant = |package: &&PackageConfig| {
        if packages.is_empty() {
            package.kept_back.is_none()
        } else {
            packages.contains(&package.name)
        }
    };
    let meant = config.packages.iter().filter(is_meant);
    let programs = meant.flat_map(|package| package.bins.iter().map(move |bin| (package, bin)));
    let named = programs.filter(|(_, bin)| bins.is_empty() || bins.contains(&bin.name));
    let named: Vec<_> = named.map(|(package, bin)| (package, &*bin.name)).collect();
    if let [one] = named[..] {
        return Ok(one);
    }
    let known = |(package, bin): &(&PackageConfig, &str)| format!("{bin} of {}", package.name);
    let listed: Vec<String> = named.iter().map(known).collect();
    let why = if listed.is_empty() {
        "no program is meant".to_owned()
    } else {
        format!("an SBOM is of one program, and there are {}", listed.join(", "))
    };
    Err(failure(why, "name one with --package and --bin"))
}

/// The one target that is meant: the one that was named, or the package's first.
fn target(package: &PackageConfig, named: &[String]) -> Result<Target> {
    match named {
        [] => package.targets.first().cloned().ok_or_else(|| {
            let why = format!("{} has no target", package.name);
            failure(why, "name one with --target")
        }),
        [one] => Target::parse(one),
        _ => {
            let why = format!("an SBOM is of one target, and there are {}", named.join(", "));
            Err(failure(why, "name one with --target"))
        }
    }
}
