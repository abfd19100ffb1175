use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World};
use crate::check::{self, CheckFinding, Options, Subject, Verdict};
use crate::config::{self, Check};
use crate::files;
use crate::plan::Mode;
use crate::project::Project;
use crate::term;

/// Run fmt, clippy, the lock file check, an audit and a licence check, as one verdict
///
/// clippy's warnings fail, unless `[lints]` in Cargo.toml allows them. The audit compares
/// Cargo.lock with the RustSec advisories, and reports yanked crates. Licences are compared
/// with `[licenses]` in deny.toml, if there is one.
#[derive(Debug, Default, clap::Args)]
#[group(skip)] // Another command has the same arguments.
#[command(after_help = "Examples:
  cargo dockless check                        run all checks
  cargo dockless check --fix                  fix first what can be fixed
  cargo dockless check --only fmt,clippy      run the quick ones
  cargo dockless check --require audit        fail if the advisories cannot be fetched
  cargo dockless check --sarif check.sarif    write a report for code scanning")]
pub struct Args {
    /// Run only these checks
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', conflicts_with = "skip")]
    only: Vec<Check>,
    /// Skip these checks
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    skip: Vec<Check>,
    /// Fail if one of these checks cannot run
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    require: Vec<Check>,
    /// Let rustfmt and clippy change what they can
    #[arg(long)]
    fix: bool,
    /// Write the findings to this file, as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let (project, config) = world.project_and_config(common, &[])?;
    let verdicts = verdicts(&args, &project, &config, Mode::Local, common, world)?;
    world.term.json(&term::list("checks", &verdicts))?;
    Ok(if verdicts.iter().any(Verdict::fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is asked of the checks. For a release the audit must run.
pub fn options(
    args: &Args,
    config: &config::Config,
    mode: Mode,
    common: &Common,
    world: &World,
) -> Options {
    let release = mode == Mode::Release;
    let wanted = |check: &Check| {
        let only = args.only.is_empty() || args.only.contains(check);
        only && !args.skip.contains(check)
    };
    let mut require: BTreeSet<Check> = config.check.require.clone();
    require.extend(args.require.iter().copied().chain(release.then_some(Check::Audit)));
    Options {
        checks: Check::all().filter(wanted).collect(),
        require,
        features: config.check.features.clone(),
        database: database(world),
        strict: release,
        fix: args.fix,
        // A release changes nothing of what it is made of.
        locked: common.locked || release,
        network: common.network(),
    }
}

/// Runs the checks and shows what came of them. For a release the audit must run.
pub fn verdicts(
    args: &Args,
    project: &Project,
    config: &config::Config,
    mode: Mode,
    common: &Common,
    world: &World,
) -> Result<Vec<Verdict>> {
    let options = options(args, config, mode, common, world);
    let World { cache, term, .. } = world;
    let config = &config.check;
    let verdicts = check::check(&Subject { project, config, options: &options, cache, term })?;
    let table = check::table(&verdicts);
    world.term.table(&table);
    world.summary(&table.markdown("Check"))?;
    if let Some(path) = &args.sarif {
        let found: Vec<&CheckFinding> =
            verdicts.iter().flat_map(|verdict| &verdict.findings).collect();
        let sarif = check::sarif(&found, &project.root, env!("CARGO_PKG_VERSION"));
        let text = serde_json::to_string_pretty(&sarif)? + "\n";
        files::write(&world.dir.join(path), text.as_bytes())?;
    }
    Ok(verdicts)
}

/// The database that the environment names.
pub fn database(world: &World) -> Option<String> {
    world.own(DATABASE).map(|named| {
        // A folder is meant from where the command was typed.
        let here = || world.dir.join(&named).to_string_lossy().into_owned();
        if check::is_url(&named) { named.clone() } else { here() }
    })
}

/// A folder, or the URL of a git repository.
const DATABASE: &str = "DOCKLESS_ADVISORY_DB";
