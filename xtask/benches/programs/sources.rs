//! Published sources, fetched by the registries' own clients.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench;
use crate::limited;
use crate::table::{Program, Source};

/// What a slow network takes for one package.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// A copy of the program's sources below `dir`, made unless it is there.
pub fn provide(program: &Program, dir: &Path) -> Result<PathBuf> {
    let copy = crate::folder(program, dir).join("source");
    if copy.is_dir() {
        return Ok(copy);
    }
    let sources = match program.source {
        Source::CratesIo => crates_io(program, dir)?,
        Source::PyPi => pypi(program, dir)?,
    };
    // Under another name until it is whole.
    let beside = copy.with_extension("new");
    bench::remove(&beside)?;
    copy_dir(&sources, &beside)?;
    std::fs::rename(&beside, &copy).with_context(|| format!("make {}", copy.display()))?;
    Ok(copy)
}

/// Removes all that belongs to a program but its logs.
pub fn remove(program: &Program, dir: &Path) -> Result<()> {
    bench::remove(&crate::folder(program, dir))
}

/// The logs of one program.
pub fn logs(program: &Program, dir: &Path) -> PathBuf {
    dir.join("logs").join(program.name)
}

/// Where cargo has unpacked the package. `cargo info` fetches a package without
/// what it depends on: as a dependency of something, it would be resolved with
/// versions that its own lock file does not name.
fn crates_io(program: &Program, dir: &Path) -> Result<PathBuf> {
    if let Some(sources) = unpacked(program)? {
        return Ok(sources);
    }
    let spec = format!("{}@{}", program.name, program.version);
    let mut cargo = limited::command("cargo", dir);
    let ran = limited::run(
        cargo.args(["info", "--quiet", "--registry", "crates-io", &spec]),
        DOWNLOAD,
        &logs(program, dir).join("fetch"),
    )?;
    ensure!(ran.status.success(), "`cargo info {spec}` failed: {}", ran.stderr.trim());
    unpacked(program)?.with_context(|| format!("find the sources of {spec} in cargo's registry"))
}

fn unpacked(program: &Program) -> Result<Option<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registries = home.context("find CARGO_HOME or HOME")?.join("registry/src");
    if !registries.is_dir() {
        return Ok(None);
    }
    // A folder for each registry, named after its host.
    for registry in list(&registries)? {
        let sources = registry.join(format!("{}-{}", program.name, program.version));
        // cargo writes this mark last.
        if sources.join(".cargo-ok").is_file() {
            return Ok(Some(sources));
        }
    }
    Ok(None)
}

/// The folder within the source distribution that pip downloads.
fn pypi(program: &Program, dir: &Path) -> Result<PathBuf> {
    let download = crate::folder(program, dir).join("download");
    bench::remove(&download)?;
    std::fs::create_dir_all(&download).with_context(|| format!("make {}", download.display()))?;
    let spec = format!("{}=={}", program.name, program.version);
    let mut pip = limited::command("python3", dir);
    // What builds it may come as binaries; only the sources of this one are wanted.
    pip.args(["-m", "pip", "download", "--no-deps", "--no-binary", program.name]);
    let log = logs(program, dir).join("fetch");
    let ran = limited::run(pip.arg("--dest").arg(&download).arg(&spec), DOWNLOAD, &log)?;
    ensure!(ran.status.success(), "`pip download {spec}` failed: {}", ran.stderr.trim());
    let archive = single(&download)?;
    let unpacked = download.join("unpacked");
    unpack(&archive, &unpacked)?;
    single(&unpacked)
}

/// The only entry of a folder.
fn single(dir: &Path) -> Result<PathBuf> {
    let mut entries = list(dir)?;
    ensure!(entries.len() == 1, "{} holds {} entries and not 1", dir.display(), entries.len());
    entries.pop().with_context(|| format!("list {}", dir.display()))
}

/// Unpacks a .tar.gz into a folder that is made.
pub fn unpack(archive: &Path, dir: &Path) -> Result<()> {
    let context = || format!("unpack {}", archive.display());
    let file = std::fs::File::open(archive).with_context(context)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    archive.unpack(dir).with_context(context)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("list {}", dir.display());
    let entries = std::fs::read_dir(dir).with_context(context)?;
    entries.map(|entry| Ok(entry.with_context(context)?.path())).collect()
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("copy {}", from.display());
    std::fs::create_dir_all(to).with_context(context)?;
    for path in list(from)? {
        let to = to.join(path.file_name().with_context(context)?);
        if path.is_dir() {
            copy_dir(&path, &to)?;
        } else {
            std::fs::copy(&path, to).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}
