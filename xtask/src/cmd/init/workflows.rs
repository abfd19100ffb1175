//! The workflows of a project.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{Args, existing};
use crate::cmd::{Common, Drafted, NetworkArgs, Selection, World};
use crate::config::Config;
use crate::files::{self, limits};
use crate::finding::{Findings, failure};
use crate::init::{self, Prebuilt, Reusable, Tool, next};
use crate::plan::{Mode, Part, Skip};
use crate::project::{Project, git};

/// Writes the workflows anew; or only says which are outdated.
pub fn write(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = Selection::default().request(Mode::Snapshot, Part::All, common);
    request.select.skip = vec![Skip::Publish];
    // They are for other machines, whatever this one has.
    request.build.elsewhere = true;
    request.publish.repository = world.repository(None)?;
    let Drafted { project, plan, config, errors } = world.drafted(common, &request)?;
    // What keeps this commit from being released is of no account to its workflows.
    let Some(plan) = plan else { bail!(Findings(errors)) };
    at_the_top(&project)?;
    let mut wrong = Vec::new();
    let branch = branch(&project, world)?;
    let reusable = match &args.reusable {
        Some(reusable) => Some(reusable.clone()),
        None => {
            let there = existing(&project, &project.root.join(init::RELEASE))?;
            there.and_then(|there| Reusable::of(&String::from_utf8_lossy(&there)))
        }
    };
    let mut facts = init::facts(&project, &config, &plan, branch, reusable);
    if let Some(prebuilt) = prebuilt(args, common, world, &project, &config)? {
        facts.tool = Tool::Prebuilt(prebuilt);
    }
    // All of it is decided before anything is written.
    let mut changes = Vec::new();
    for (path, text) in init::workflows(&facts)? {
        let place = project.root.join(&path);
        let there = existing(&project, &place)?;
        let ours = there.as_deref().map(String::from_utf8_lossy);
        let text = ours.as_ref().map_or(text.clone(), |there| init::keep_pins(&text, there));
        if there.as_deref() == Some(text.as_bytes()) {
            continue;
        }
        let is_foreign =
            ours.is_some_and(|text| !text.lines().next().unwrap_or_default().contains(init::MARK));
        if is_foreign && path == Path::new(init::DEPENDABOT) {
            let kept = "it is yours; let it update `github-actions` too, for the workflows' pins";
            world.term.step("keep", format!("{}: {kept}", path.display()));
        } else if args.check {
            wrong.push(init::stale(
                &path,
                there.is_some(),
                "run `cargo dockless init --workflows`",
            ));
        } else if is_foreign {
            bail!(failure(
                format!("{} was not written by dockless, so it is not replaced", path.display()),
                "move it away, and take what is yours over",
            ));
        } else {
            changes.push((place, text));
        }
    }
    for (place, text) in &changes {
        files::write(place, text.as_bytes())?;
        world.term.result(place.display())?;
    }
    if !changes.is_empty() {
        world.term.tell(&next::after_workflows(&facts));
    }
    if wrong.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(Findings(wrong).into()) }
}

/// The released program that workflows download, where they are to; that of ci.yml, where it has the
/// version that is wanted.
fn prebuilt(
    args: &Args,
    common: &Common,
    world: &World,
    project: &Project,
    config: &Config,
) -> Result<Option<Prebuilt>> {
    let ci = existing(project, &project.root.join(init::CI))?.unwrap_or_default();
    let ci = String::from_utf8_lossy(&ci);
    let kept = Some(&ci).filter(|ci| ci.contains(init::MARK)).and_then(|ci| Prebuilt::of(ci));
    if !args.prebuilt && kept.is_none() {
        return Ok(None);
    }
    let version = locked_version(project)?;
    let named = args.prebuilt_from.as_deref();
    if let Some(kept) = &kept
        && kept.version == version
        && named.is_none_or(|base| kept.release.starts_with(base.trim_end_matches('/')))
        && args.prebuilt_key.is_none()
    {
        return Ok(Some(kept.clone()));
    }
    if args.check {
        bail!(failure(
            format!("{} does not take the released dockless {version}", init::CI),
            "run `cargo dockless init --workflows`, with the options that it was written with",
        ));
    }
    let before = kept.as_ref().and_then(|it| it.release.split_once("/releases/download/"));
    let own = Some(env!("CARGO_PKG_REPOSITORY")).filter(|own| !own.is_empty());
    let base = named.or(before.map(|(base, _)| base)).or(own).ok_or_else(|| {
        failure(
            "this dockless does not know the repository that it is released in",
            "name it: `--prebuilt-from https://github.com/OWNER/dockless`",
        )
    })?;
    let key = args.prebuilt_key.as_ref().map(|key| world.public_key(key)).transpose()?;
    let http = world.http(&config.network, &NetworkArgs::default(), common);
    Prebuilt::ask(base, &version, key.as_ref(), &http).map(Some)
}

/// The version of this tool that Cargo.lock pins, where the project has an xtask; or else this one.
fn locked_version(project: &Project) -> Result<String> {
    let this = env!("CARGO_PKG_VERSION").to_owned();
    if !project.packages.iter().any(|package| package.is_xtask) {
        return Ok(this);
    }
    let place = project.root.join("Cargo.lock");
    let Some(bytes) = project.boundary.read_if_there(&place, limits::LOCK)? else {
        return Ok(this);
    };
    let text = String::from_utf8_lossy(&bytes);
    let version = init::locked(&text);
    version.map(str::to_owned).ok_or_else(|| {
        failure(
            format!("find the version of dockless: {} has none", place.display()),
            "run `cargo update --workspace`, which completes it",
        )
    })
}

/// Fails where the workspace lies below the repository's root, where GitHub would not find workflows.
fn at_the_top(project: &Project) -> Result<()> {
    let top = project.git.as_ref().map(|git| git.top.as_path());
    let below = top.and_then(|top| project.root.strip_prefix(top).ok());
    let Some(below) = below.filter(|below| !below.as_os_str().is_empty()) else { return Ok(()) };
    let manifest = below.join("Cargo.toml");
    bail!(failure(
        format!(
            "GitHub reads workflows only at the root of the repository, and the workspace is in {}",
            below.display()
        ),
        format!(
            "write a workflow there that runs `cargo dockless ci --manifest-path {0}`, and for tags \
             `cargo dockless release --manifest-path {0}`",
            manifest.display()
        ),
    ))
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

/// Whether the project has workflows of this tool.
pub fn are_ours(project: &Project) -> Result<bool> {
    let there = existing(project, &project.root.join(init::CI))?;
    Ok(there.is_some_and(|text| String::from_utf8_lossy(&text).contains(init::MARK)))
}
