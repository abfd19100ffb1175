use std::process::ExitCode;

use anyhow::Result;

use super::{Common, World};
use crate::files;
pub use crate::prepare::Wanted;
use crate::prepare::{self, Prepared};

/// Takes a version. clap shows an error without its causes.
pub fn wanted(text: &str) -> Result<Wanted> {
    Wanted::parse(text)
        .map_err(|error| anyhow::anyhow!("{error:#}; name a version, or major, minor or patch"))
}

/// Sets the version everywhere, commits and tags; or only prints what would change.
pub fn run(
    wanted: &Wanted,
    packages: &[String],
    dry_run: bool,
    common: &Common,
    world: &World,
) -> Result<ExitCode> {
    let (project, config) = world.project_and_config(common, &[])?;
    let prepared = prepare::plan(wanted, packages, &project, &config, files::today()?)?;
    if dry_run {
        world.term.results(&prepared, lines(&prepared))?;
        return Ok(ExitCode::SUCCESS);
    }
    if prepared.committed {
        world.term.step("keep", "the commit, which has it all already");
    } else {
        let names: Vec<String> =
            prepared.files.iter().map(|file| file.path.display().to_string()).collect();
        world.term.step("commit", format_args!("{}: {}", prepared.message, names.join(", ")));
    }
    prepare::apply(&prepared, &project)?;
    world.term.step("tag", &prepared.tag);
    world.term.step("next", format_args!("`git push --atomic origin HEAD {}`", prepared.tag));
    world.term.results(&prepared, [&prepared.tag])?;
    Ok(ExitCode::SUCCESS)
}

/// What would change, line by line.
fn lines(prepared: &Prepared) -> Vec<String> {
    let mut lines = Vec::new();
    for file in &prepared.files {
        let path = file.path.display();
        lines.extend([format!("--- {path}"), format!("+++ {path}")]);
        for change in &file.changes {
            lines.push(format!("@@ line {} @@", change.line));
            lines.extend(change.old.iter().map(|line| format!("-{line}")));
            lines.extend(change.new.iter().map(|line| format!("+{line}")));
        }
    }
    if !prepared.committed {
        lines.push(format!("commit: {}", prepared.message));
    }
    lines.push(format!("tag: {}", prepared.tag));
    lines
}
