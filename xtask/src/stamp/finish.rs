//! Finishes what cargo made: the lists go in, and programs of several processors are joined.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::list::List;
use super::universal;
use crate::compile::Compiled;
use crate::files;
use crate::finding::Help;
use crate::plan::BuildPlan;
use crate::project::Project;
use crate::target::Target;

/// The folder of finished programs, in the target folder.
const FINISHED: &str = "dockless";

/// The programs as they are shipped: those that are to have a list have it, in a copy, and
/// cargo's own file stays as it is; and universal ones are joined of theirs.
pub fn finish(
    compiled: Vec<Compiled>,
    builds: &[BuildPlan],
    project: &Project,
) -> Result<Vec<Compiled>> {
    let mut finished = Vec::new();
    for program in compiled {
        finished.push(if program.is_auditable() { stamped(program, project)? } else { program });
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

fn stamped(program: Compiled, project: &Project) -> Result<Compiled> {
    let (bin, target) = (program.bin(), program.target());
    let context = || format!("put the list of crates into {bin} for {target}");
    let list = List::of(program.crates()).and_then(|list| list.pack()).with_context(context)?;
    let help = || Help("set `auditable = false` in [package.metadata.dockless]".to_owned());
    let bytes = super::put(files::read(program.path())?, &list);
    let bytes = bytes.with_context(context).with_context(help)?;
    let path = place(&program, project)?;
    // An unchanged file keeps its time.
    if !files::holds(&path, &bytes)? {
        files::write_program(&path, &bytes)?;
    }
    Ok(program.moved_to(path))
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
