//! What a project needs to be released: planned, shown, asked for, and written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use semver::Version;
use serde::Serialize;

use super::{Args, existing};
use crate::cmd::{Common, World};
use crate::files;
use crate::finding::{Finding, Findings, Place, failure};
use crate::init::from::{self, Foreign, Member};
use crate::init::plan::{self, Change, Here, Planned, Wanted};
use crate::init::{self, next};
use crate::project::{Project, git};

/// What is printed with `--json`.
#[derive(Serialize)]
struct Said<'a> {
    changes: Vec<Shown<'a>>,
    notes: &'a [Finding],
    written: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    change: &'a Change,
    diff: String,
}

/// The age at which temporary files of an interrupted run are removed.
const STALE: Duration = Duration::from_secs(600);

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let (project, _) = world.project_and_config(common, &[])?;
    let members = Member::all(&project.packages);
    if members.is_empty() {
        bail!(failure(
            format!(
                "no package in {} has a binary, and dockless releases programs",
                project.root.display()
            ),
            "add a src/main.rs, or run this in another workspace",
        ));
    }
    let (settings, foreign_notes) = taken_over(args, &project, &members)?;
    let here = here(&project, world)?;
    let toolchain = args.toolchain.then(|| installed(&project)).transpose()?;
    let wanted = Wanted { xtask: !args.no_xtask, toolchain, settings };
    let mut planned = plan::plan(&here, &wanted)?;
    planned.notes.extend(foreign_notes);
    if args.check {
        return check(args, common, world, &project, &planned);
    }
    show(&planned, world)?;
    let places = writable(&project, &planned.changes)?;
    let agreed = if planned.changes.is_empty() { Ok(false) } else { agreed(args, world, &planned) };
    let written = *agreed.as_ref().unwrap_or(&false);
    if written {
        for (place, change) in places.iter().zip(&planned.changes) {
            write(&project, place, change)?;
            world.term.step("write", change.path.display());
        }
    }
    let changes = planned.changes.iter().map(|change| Shown { change, diff: change.diff() });
    world.term.json(&Said { changes: changes.collect(), notes: &planned.notes, written })?;
    agreed?;
    if written || planned.changes.is_empty() {
        let ways =
            next::Way { xtask: wanted.xtask && has_xtask(&here, &planned), has_git: here.has_git };
        world.term.tell(&next::after_setup(&ways).join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether `cargo xtask` runs this tool once all is written.
fn has_xtask(here: &Here, planned: &Planned) -> bool {
    let written = |change: &Change| change.path == Path::new("xtask/Cargo.toml");
    here.xtask.is_some() || planned.changes.iter().any(written)
}

/// The settings that files of other tools stand for, and notes of what has no counterpart.
fn taken_over(
    args: &Args,
    project: &Project,
    members: &[Member],
) -> Result<(Vec<from::Setting>, Vec<Finding>)> {
    let found = from::read(&project.root, &project.boundary, members)?;
    let Some(named) = &args.from else {
        let file = |it: &Foreign| format!("{} of {}", it.file.display(), it.kind.name());
        let files: Vec<String> = found.iter().map(file).collect();
        let note = (!files.is_empty()).then(|| {
            let why = format!("other tools have files here: {}", files.join(", "));
            let fix = "`cargo dockless init --from auto` takes over what they say";
            Finding::warning("init-from", Place::default(), why, fix)
        });
        return Ok((Vec::new(), note.into_iter().collect()));
    };
    let is_named = |it: &Foreign| named == Path::new("auto") || it.file == *named;
    let found: Vec<Foreign> = found.into_iter().filter(is_named).collect();
    if found.is_empty() {
        let what = if named == Path::new("auto") {
            "no file of another tool".to_owned()
        } else {
            format!("{} is no file that is known", named.display())
        };
        bail!(failure(
            format!("take over settings: {what} in {}", project.root.display()),
            "run it without --from, or name a .goreleaser.yaml, dist-workspace.toml, .ko.yaml, \
             Dockerfile, Cross.toml, or a Cargo.toml with settings of cargo-dist, cargo-deb or binstall",
        ));
    }
    let broken: Vec<Finding> = found.iter().filter_map(|it| it.broken.clone()).collect();
    if !broken.is_empty() {
        bail!(Findings(broken));
    }
    let note = |text: &String| Finding::warning("init-from", Place::default(), text, "");
    let merged = from::merge(&found);
    let notes = found.iter().flat_map(|it| &it.notes).chain(&merged.notes).map(note).collect();
    Ok((merged.settings, notes))
}

/// Collects what is known of the project.
fn here(project: &Project, world: &World) -> Result<Here> {
    let relative = |path: &Path| path.strip_prefix(&project.root).map(Path::to_owned).ok();
    let packages = project.packages.iter();
    let packages = packages.filter_map(|it| Some((it.name.clone(), relative(&it.manifest)?)));
    let packages: Vec<(String, PathBuf)> = packages.collect();
    let mut here = Here {
        has_git: project.git.is_some(),
        xtask: project.packages.iter().find(|it| it.is_xtask).map(|it| it.name.clone()),
        old_rust: old_rust(project)?,
        ..Here::default()
    };
    let manifests = packages.iter().map(|(_, manifest)| manifest.as_path());
    for path in plan::READ.iter().map(Path::new).chain(manifests) {
        let place = project.root.join(path);
        let Some(bytes) = existing(project, &place)? else { continue };
        let text = String::from_utf8(bytes).map_err(|_| {
            failure(format!("read {}: it is not UTF-8", place.display()), "save it as UTF-8")
        })?;
        here.files.insert(path.to_owned(), text);
    }
    here.packages = packages;
    let is_there = |name: &str| project.root.join(name).exists();
    if !is_there("CHANGELOG.md") {
        let named = plan::CHANGELOGS.iter().find(|name| is_there(name));
        here.changelog = named.map(|name| (*name).to_owned());
    }
    let top = project.git.as_ref().map_or(&project.root, |git| &git.top);
    here.ci = plan::OTHER_CI.into_iter().filter(|(file, _)| top.join(file).exists()).collect();
    if project.git.is_some() {
        let origin = git::origin(&project.root, &world.env)?;
        here.elsewhere = origin.as_deref().and_then(init::host).filter(|host| host != "github.com");
    }
    Ok(here)
}

/// The version of the project's compiler, where it is too old to compile this tool.
fn old_rust(project: &Project) -> Result<Option<String>> {
    let said = project.rustc.version(&project.root, &project.env)?;
    let version = said.split(' ').nth(1).unwrap_or_default();
    let oldest = Version::parse(&format!("{}.0", plan::RUST))?;
    let is_old = Version::parse(version).is_ok_and(|found| found < oldest);
    Ok(is_old.then(|| version.to_owned()))
}

/// The name of the installed toolchain: a version, or a nightly with its day.
fn installed(project: &Project) -> Result<String> {
    let said = project.rustc.version(&project.root, &project.env)?;
    let mut words = said.split(' ').skip(1);
    let version = words.next().unwrap_or_default();
    if !version.contains("-nightly") {
        return Ok(version.to_owned());
    }
    // rustup names a nightly by the day after that of its last commit.
    let named = project.rustc.rustup_name().and_then(|name| name.to_str());
    let dated = named.and_then(|name| name.strip_prefix("nightly-")?.get(..10));
    match dated.filter(|day| day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')) {
        Some(day) => Ok(format!("nightly-{day}")),
        None => bail!(failure(
            format!("pin the toolchain: {said} has no day in its name"),
            "install one by its day (`rustup toolchain install nightly-2026-11-01`), and select it",
        )),
    }
}

/// Nothing is written: what is missing or outdated is an error.
fn check(
    args: &Args,
    common: &Common,
    world: &World,
    project: &Project,
    planned: &Planned,
) -> Result<ExitCode> {
    let fix = "run `cargo dockless init`, which shows the change";
    let stale = |change: &Change| init::stale(&change.path, change.before.is_some(), fix);
    let wrong: Vec<Finding> = planned.changes.iter().map(stale).collect();
    if !wrong.is_empty() {
        bail!(Findings(wrong));
    }
    if super::workflows::are_ours(project)? {
        return super::workflows::write(args, common, world);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the notes, and the changes as a diff.
fn show(planned: &Planned, world: &World) -> Result<()> {
    planned.notes.iter().for_each(|note| world.term.finding(note));
    if world.term.json_wanted() {
        return Ok(());
    }
    for change in &planned.changes {
        world.term.step(
            if change.before.is_some() { "change" } else { "new" },
            format_args!("{}: {}", change.path.display(), change.why),
        );
        world.term.result(change.diff().trim_end())?;
    }
    if planned.changes.is_empty() {
        world.term.step("init", "nothing to change");
    }
    Ok(())
}

/// The files, none of which is read-only: that is somebody's wish, and a new file would replace it.
fn writable(project: &Project, changes: &[Change]) -> Result<Vec<PathBuf>> {
    let place = |change: &Change| {
        let place = project.root.join(&change.path);
        // A link stays one: the file that it leads to is replaced.
        let place = if change.before.is_some() { project.boundary.admit(&place)? } else { place };
        if change.before.is_some() && files::is_read_only(&place)? {
            bail!(failure(
                format!("{} is read-only, so nothing is written", place.display()),
                format!(
                    "allow it (`chmod u+w {}`), or write the lines of the diff by hand",
                    change.path.display()
                ),
            ));
        }
        Ok(place)
    };
    changes.iter().map(place).collect()
}

/// Whether the user wants the changes. Without a terminal nobody can be asked.
fn agreed(args: &Args, world: &World, planned: &Planned) -> Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let count = planned.changes.len();
    let files = if count == 1 { "this file".to_owned() } else { format!("these {count} files") };
    match world.term.confirm(&format!("Write {files}?"))? {
        Some(true) => Ok(true),
        Some(false) => {
            world.term.step("init", "nothing is written");
            Ok(false)
        }
        None => bail!(failure(
            "nothing is written: there is no terminal to ask on",
            "`cargo dockless init --yes` writes it, with the same other options",
        )),
    }
}

/// Writes one file, if it is still what the change was planned for.
fn write(project: &Project, place: &Path, change: &Change) -> Result<()> {
    let there = existing(project, &project.root.join(&change.path))?;
    if there.as_deref() != change.before.as_deref().map(str::as_bytes) {
        bail!(failure(
            format!("{} was changed meanwhile, so it is not written", place.display()),
            "run `cargo dockless init` again",
        ));
    }
    files::write(place, change.after.as_bytes())?;
    match place.parent() {
        Some(folder) => files::remove_stale(folder, STALE),
        None => Ok(()),
    }
}
