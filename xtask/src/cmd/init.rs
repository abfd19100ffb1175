use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{Common, Drafted, Selection, World};
use crate::files::{self, limits};
use crate::finding::{Findings, failure};
use crate::init;
use crate::plan::{Mode, Part, Skip};
use crate::project::{Project, git};

/// Write GitHub workflows that check and release the project
///
/// The workflows follow the project's settings: one job builds each target on a runner that has
/// its linker, one job merges and publishes, and one attests what was published. Actions are
/// pinned by commit, and Dependabot updates the pins.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless init --workflows
  cargo dockless init --workflows --check     fail if a file is outdated")]
pub struct Args {
    /// Write .github/workflows/ci.yml and release.yml, and .github/dependabot.yml
    #[arg(long, required = true)]
    workflows: bool,
    /// Write nothing, and fail if a file is outdated
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = Selection::default().request(Mode::Snapshot, Part::All, common);
    request.select.skip = vec![Skip::Publish];
    // They are for other machines, whatever this one has.
    request.build.elsewhere = true;
    request.publish.repository = world.repository()?;
    let Drafted { project, plan, config, errors } = world.drafted(common, &request)?;
    // What keeps this commit from being released is of no account to its workflows.
    let Some(plan) = plan else { bail!(Findings(errors)) };
    let mut wrong = Vec::new();
    let branch = branch(&project, world)?;
    for (path, text) in init::workflows(&init::facts(&project, &config, &plan, branch))? {
        let place = project.root.join(&path);
        // Nothing is written beyond the project, through a folder that is a link.
        if let Some(above) = place.ancestors().skip(1).find(|folder| folder.exists()) {
            project.boundary.admit(above)?;
        }
        let there = project.boundary.read_if_there(&place, limits::SETTINGS)?;
        let ours = there.as_deref().map(String::from_utf8_lossy);
        let text = ours.as_ref().map_or(text.clone(), |there| init::keep_pins(&text, there));
        if there.as_deref() == Some(text.as_bytes()) {
            continue;
        }
        if args.check {
            wrong.push(init::stale(&path, there.is_some()));
            continue;
        }
        if ours.is_some_and(|text| !text.lines().next().unwrap_or_default().contains(init::MARK)) {
            bail!(failure(
                format!("{} was not written by dockless, so it is not replaced", path.display()),
                "move it away, and take what is yours over",
            ));
        }
        files::write(&place, text.as_bytes())?;
        world.term.result(place.display())?;
    }
    if wrong.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(Findings(wrong).into()) }
}

/// The branch that others are merged into, as YAML: that of the remote `origin`; or the one
/// that the workflow names, because a workflow's clone does not know it; or the one that is
/// checked out, or that git would make.
fn branch(project: &Project, world: &World) -> Result<String> {
    if let Some(branch) = git::default_branch(&project.root, &world.env)? {
        return Ok(init::branch_pattern(&branch));
    }
    let ci = project.root.join(init::CI);
    let there = project.boundary.read_if_there(&ci, limits::SETTINGS)?.unwrap_or_default();
    if let Some(branch) = init::branch_in(&String::from_utf8_lossy(&there)) {
        return Ok(branch.to_owned());
    }
    if project.git.is_none() {
        return Ok(init::branch_pattern(&git::new_branch(&project.root, &world.env)?));
    }
    match git::current_branch(&project.root, &world.env)? {
        Some(branch) => Ok(init::branch_pattern(&branch)),
        None => bail!(failure(
            "git knows no branch that others are merged into, which CI is to look at",
            "check one out, or `git remote set-head origin --auto`",
        )),
    }
}
