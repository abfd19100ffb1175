//! Finishes what cargo made: lists and versions go in, and programs of several processors are
//! joined.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::list::List;
use super::slot::{self, KRATE, Texts};
use super::universal;
use crate::compile::Compiled;
use crate::files;
use crate::finding::Help;
use crate::plan::BuildPlan;
use crate::project::Project;
use crate::target::Target;

/// The folder of finished programs, in the target folder.
const FINISHED: &str = "dockless";

/// The programs as they are shipped: those that are to have a list or a version have it, in a
/// copy, and cargo's own file stays as it is; and universal ones are joined of theirs.
pub fn finish(
    compiled: Vec<Compiled>,
    builds: &[BuildPlan],
    project: &Project,
) -> Result<Vec<Compiled>> {
    let mut finished = Vec::new();
    for program in compiled {
        let build = builds.iter().find(|build| build.package == program.package());
        let build = build.context("find the build of a program")?;
        finished.push(stamped(program, build, project)?);
    }
    for build in builds {
        for target in &build.joined {
            for bin in &build.bins {
                finished.extend(joined(build, bin, target, &finished, project)?);
            }
        }
    }
    Ok(finished)
}

fn stamped(program: Compiled, build: &BuildPlan, project: &Project) -> Result<Compiled> {
    let has_slot = program.crates().iter().any(|krate| krate.name == KRATE && !krate.host);
    if !has_slot && !program.is_auditable() {
        return Ok(program);
    }
    let (bin, target) = (program.bin(), program.target());
    let mut bytes = files::read(program.path())?;
    // Always, so that a full build gives the same bytes.
    let is_filled = has_slot
        && slot::fill(&mut bytes, &texts(build))
            .with_context(|| format!("put the version into {bin} for {target}"))?;
    if program.is_auditable() {
        let context = || format!("put the list of crates into {bin} for {target}");
        let list = List::of(program.crates()).and_then(|list| list.pack()).with_context(context)?;
        let help = || Help("set `auditable = false` in [package.metadata.dockless]".to_owned());
        bytes = super::put(bytes, &list).with_context(context).with_context(help)?;
    } else if !is_filled {
        return Ok(program);
    }
    let path = place(&program, project)?;
    // An unchanged file keeps its time.
    if !files::holds(&path, &bytes)? {
        files::write_program(&path, &bytes)?;
    }
    Ok(program.moved_to(path))
}

/// What the build's variables say, too: a slot and `option_env!` tell the same.
fn texts(build: &BuildPlan) -> Texts {
    let text = |name: &str| build.env.get(name).cloned().unwrap_or_default();
    Texts {
        version: text("DOCKLESS_VERSION"),
        commit: text("DOCKLESS_COMMIT"),
        date: text("DOCKLESS_DATE"),
        describe: text("DOCKLESS_DESCRIBE"),
    }
}

/// Where the finished program is: `target/dockless/TARGET/PROFILE/PROGRAM`.
fn place(program: &Compiled, project: &Project) -> Result<PathBuf> {
    let path = program.path();
    let name = path.file_name().context("find a program's name")?;
    let folder = project.target_dir.join(FINISHED).join(program.target().triple());
    Ok(folder.join(profile(path)?).join(name))
}

/// The folder of a profile, by which cargo calls it.
fn profile(program: &Path) -> Result<&std::ffi::OsStr> {
    program.parent().and_then(Path::file_name).context("find a profile's folder")
}

/// The universal binary of the target's slices; `None` where one of them was left out.
fn joined(
    build: &BuildPlan,
    bin: &str,
    target: &Target,
    finished: &[Compiled],
    project: &Project,
) -> Result<Option<Compiled>> {
    let slices = target.slices();
    let is_part = |it: &&Compiled| {
        it.package() == build.package && it.bin() == bin && slices.contains(it.target())
    };
    let made: Vec<&Compiled> = finished.iter().filter(is_part).collect();
    let Some(first) = made.first().filter(|_| made.len() == slices.len()) else {
        return Ok(None);
    };
    let programs = made.iter().map(|made| Ok((made.target().as_str(), files::read(made.path())?)));
    let programs = programs.collect::<Result<Vec<_>>>()?;
    let path = project.target_dir.join(target.triple()).join(profile(first.path())?).join(bin);
    let bytes = universal::join(&programs).with_context(|| format!("join {bin} for {target}"))?;
    if !files::holds(&path, &bytes)? {
        files::write_program(&path, &bytes)?;
    }
    Ok(Some(Compiled::joined(build, bin, target, path, &made)))
}
