//! What may stand at the cursor of a shell. The scripts that `completions` prints ask here.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use super::{Cli, Common, World};
use crate::config::Config;
use crate::project::Project;
use crate::term::tame;

mod words;
use words::{Candidate, Cursor, Names};

/// Prints what may stand at the cursor of a shell, each with its help; nobody types this
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The word at the cursor, as far as it is typed. PowerShell drops an argument that is empty.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    word: OsString,
    /// The words before the cursor, beginning with the program
    #[arg(last = true)]
    before: Vec<OsString>,
}

/// Prints a candidate a line, `VALUE<tab>HELP`. Who presses a key wants no error: outside of a
/// project, and in a broken one, names are missing, and all else is there.
pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let mut before: Vec<String> = args.before.iter().map(text).collect();
    if before.first().is_some_and(|program| program == "cargo") {
        before.remove(0);
        if before.first().is_some_and(|toolchain| toolchain.starts_with('+')) {
            before.remove(0);
        }
    }
    let mut command = Cli::command();
    command.build();
    let word = text(&args.word);
    let cursor = Cursor::find(&command, before.get(1..).unwrap_or_default(), &word);
    let known = OnceCell::new();
    let at_hand = || known.get_or_init(|| project(&cursor, &[], common, world)).as_ref();
    // `xtask` may be another tool's.
    let is_ours = before.first().is_none_or(|program| program != "xtask")
        || at_hand().is_some_and(|(project, _)| runs_dockless(project));
    let found = if is_ours {
        cursor.candidates(|wanted| match wanted {
            // rustc is asked for its list where a target is named that is not common.
            Names::Targets => {
                let unknown = ["any-unknown-target".to_owned()];
                names(wanted, project(&cursor, &unknown, common, world).as_ref())
            }
            _ => names(wanted, at_hand()),
        })
    } else {
        Vec::new()
    };
    let line = |it: &Candidate| format!("{}\t{}\n", it.value, tame(&it.help));
    world.term.documents(&found.iter().map(line).collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

/// The project at hand, without the network and without a change to Cargo.lock. Settings that are
/// wrong are not needed.
fn project(
    cursor: &Cursor<'_>,
    targets: &[String],
    common: &Common,
    world: &World,
) -> Option<(Project, Option<Config>)> {
    let common = Common {
        manifest_path: cursor.value_of("manifest_path").map(PathBuf::from),
        offline: true,
        locked: true,
        ..common.clone()
    };
    match world.project_and_config(&common, targets) {
        Ok((project, config)) => Some((project, Some(config))),
        Err(_) => Some((world.project(&common).ok()?, None)),
    }
}

/// Whether the workspace has an xtask of ours, or is the one of this tool.
fn runs_dockless(project: &Project) -> bool {
    project.packages.iter().any(|package| package.is_xtask || package.name == "dockless")
}

/// The names that the project has: first those to choose from, then all that are allowed.
fn names(names: Names, known: Option<&(Project, Option<Config>)>) -> [Vec<String>; 2] {
    let Some((project, config)) = known else { return [Vec::new(), Vec::new()] };
    let programs = || project.packages.iter().filter(|it| !it.bins.is_empty() && !it.is_xtask);
    let targets = || config.iter().flat_map(|it| &it.packages).flat_map(|it| &it.targets);
    let first: Vec<String> = match names {
        Names::Packages => programs().map(|it| it.name.clone()).collect(),
        Names::Bins => programs().flat_map(|it| &it.bins).map(|it| it.name.clone()).collect(),
        Names::Features => {
            programs().flat_map(|it| &it.features).map(|(name, _)| name.clone()).collect()
        }
        Names::Profiles => {
            let own = project.profiles.iter().map(|it| it.name.clone());
            own.chain(["dev", "release", "dist"].map(str::to_owned)).collect()
        }
        Names::Targets => targets().map(|it| it.as_str().to_owned()).collect(),
        Names::Platforms => {
            targets().filter_map(|it| it.platform()).map(|it| it.to_string()).collect()
        }
    };
    let all = if names == Names::Targets { project.rustc.targets.clone() } else { Vec::new() };
    [first, all]
}
