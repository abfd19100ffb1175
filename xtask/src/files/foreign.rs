//! Files that others made. Only regular files are opened, only inside the folder that they
//! belong to, and only up to a limit of bytes is read into memory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
#[cfg(unix)]
use std::path::Component;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Limit, resolve};
use crate::finding::failure;

/// The folder that files must lie in once links are followed, without its closed parts: git's
/// own folders, whose files hold logins, and those that builds write.
#[derive(Clone, Debug, Default)]
pub struct Boundary {
    /// Resolved.
    root: PathBuf,
    /// Resolved.
    closed: Vec<PathBuf>,
    /// Git's folder, resolved.
    git: Option<PathBuf>,
}

impl Boundary {
    /// `root` must exist. The closed folders need not.
    pub fn new(root: &Path, closed: &[PathBuf]) -> Result<Boundary> {
        let closed = closed.iter().map(|path| resolve(path).unwrap_or_else(|_| path.clone()));
        let git = resolve(&root.join(".git")).ok();
        Ok(Boundary { root: resolve(root)?, closed: closed.collect(), git })
    }

    /// Whether a search should skip the path. Links are not followed.
    pub fn is_closed(&self, path: &Path) -> bool {
        path.file_name().is_some_and(is_dot_git) || self.closed.iter().any(|closed| path == closed)
    }

    /// The resolved path.
    ///
    /// An error where it leads out of the root or into a closed folder, or does not exist.
    pub fn admit(&self, path: &Path) -> Result<PathBuf> {
        let real = match resolve(path) {
            Err(_) if path.is_symlink() && !path.exists() => bail!(failure(
                format!("the link {} leads nowhere", path.display()),
                "repair the link, or remove it",
            )),
            real => real?,
        };
        let fix = "name files inside the project only";
        let Ok(within) = real.strip_prefix(&self.root) else {
            let why = format!("{} leads out of {}", path.display(), self.root.display());
            bail!(failure(why, fix));
        };
        let in_git = within.components().any(|part| is_dot_git(part.as_os_str()))
            || self.git.as_ref().is_some_and(|git| real.starts_with(git));
        let closed = self.closed.iter().find(|closed| real.starts_with(closed));
        let name = path.display();
        let why = match closed {
            _ if in_git => format!("{name} leads into git's own files, to {}", real.display()),
            Some(closed) => format!("{name} leads into {}, which builds write", closed.display()),
            None => return Ok(real),
        };
        bail!(failure(why, "name files that are committed"))
    }

    /// Opens a regular file that lies inside.
    pub fn open(&self, path: &Path) -> Result<File> {
        open_resolved(&self.admit(path)?)
    }

    /// Reads a regular file that lies inside.
    pub fn read(&self, path: &Path, limit: Limit) -> Result<Vec<u8>> {
        read_all(self.open(path)?, path, limit)
    }

    /// Reads a regular file that lies inside; `None` where nothing has its name, not even a
    /// broken link.
    pub fn read_if_there(&self, path: &Path, limit: Limit) -> Result<Option<Vec<u8>>> {
        match fs::symlink_metadata(path) {
            Err(error) if is_absent(&error) => Ok(None),
            _ => self.read(path, limit).map(Some),
        }
    }
}

/// Whether a name is `.git`, a folder or a file. Some file systems ignore case.
fn is_dot_git(name: &std::ffi::OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}

/// Whether an error says that a file does not exist.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Opens a regular file; links are followed. Opening a pipe would block, and opening a device
/// may have effects.
pub fn open_regular(path: &Path) -> Result<File> {
    let context = || format!("open {}", path.display());
    // The type is checked before opening, which alone may have effects.
    ensure_regular(&fs::metadata(path).with_context(context)?, path)?;
    checked(open_nonblocking(path).with_context(context)?, path)
}

/// Opens a regular file by a path that [`Boundary::admit`] or [`resolve`] returned. A link that
/// has replaced one of its folders since then is not followed.
pub fn open_resolved(path: &Path) -> Result<File> {
    let context = || format!("open {}", path.display());
    ensure_regular(&fs::symlink_metadata(path).with_context(context)?, path)?;
    checked(open_without_links(path).with_context(context)?, path)
}

/// Reads a regular file; see [`open_resolved`].
pub fn read_resolved(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    read_all(open_resolved(path)?, path, limit)
}

/// Reads a regular file; links are followed.
pub fn read_foreign(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    read_all(open_regular(path)?, path, limit)
}

/// Reads a regular file; links are followed. `None` where there is none.
pub fn read_foreign_if_there(path: &Path, limit: Limit) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => read_foreign(path, limit).map(Some),
    }
}

/// The file, if the open descriptor is that of a regular file.
fn checked(file: File, path: &Path) -> Result<File> {
    let meta = file.metadata().with_context(|| format!("open {}", path.display()))?;
    ensure_regular(&meta, path)?;
    Ok(file)
}

fn ensure_regular(meta: &fs::Metadata, path: &Path) -> Result<()> {
    if !meta.is_file() {
        bail!(failure(
            format!("open {}: it is not a regular file", path.display()),
            "name a file, not a folder or a pipe",
        ));
    }
    Ok(())
}

/// Reads what the command line names: a file, or a pipe such as `/dev/fd/63`.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn read_named(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    read_all(file, path, limit)
}

/// Reads all of stdin.
pub fn read_stdin(limit: Limit) -> Result<Vec<u8>> {
    read_all(io::stdin().lock(), Path::new("stdin"), limit)
}

fn read_all(from: impl Read, path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let Limit(most) = limit;
    let mut bytes = Vec::new();
    let read = from.take(most + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("read {}", path.display()))?;
    if bytes.len() as u64 > most {
        bail!(failure(
            format!("read {}: it has more than {most} bytes", path.display()),
            "name another file, or make this one smaller",
        ));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn open_nonblocking(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, file_flags(), rustix::fs::Mode::empty())?.into())
}

/// Flags that neither wait for the writer of a pipe nor make a terminal the controlling one.
#[cfg(unix)]
fn file_flags() -> rustix::fs::OFlags {
    use rustix::fs::OFlags;
    OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

/// Opens each folder of the path relative to the one before.
#[cfg(unix)]
fn open_without_links(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    // With `O_PATH` a folder that cannot be listed can still be passed.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let passing = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let passing = OFlags::RDONLY;
    let folder = passing | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = open("/", folder, Mode::empty())?;
    let mut names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let Some(mut name) = names.next() else { return Err(ErrorKind::IsADirectory.into()) };
    for next in names {
        at = openat(&at, name, folder, Mode::empty())?;
        name = next;
    }
    Ok(openat(&at, name, file_flags() | OFlags::NOFOLLOW, Mode::empty())?.into())
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn open_nonblocking(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(not(unix))]
fn open_without_links(path: &Path) -> io::Result<File> {
    open_nonblocking(path)
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
