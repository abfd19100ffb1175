//! Files that others made. They are opened as regular files only, inside the folder that they
//! belong to, and no more of them is read into memory than its limit.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
#[cfg(unix)]
use std::path::Component;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Limit, resolve};
use crate::finding::failure;

/// The folder that files must lie in once links are followed, and what of it is closed:
/// git's own folders, whose files hold logins, and those that builds write.
#[derive(Clone, Debug, Default)]
pub struct Boundary {
    /// Without links.
    root: PathBuf,
    /// Without links.
    closed: Vec<PathBuf>,
    /// Where git's folder is, should it be a link.
    git: Option<PathBuf>,
}

impl Boundary {
    /// `root` is there. The closed folders need not be.
    pub fn new(root: &Path, closed: &[PathBuf]) -> Result<Boundary> {
        let closed = closed.iter().map(|path| resolve(path).unwrap_or_else(|_| path.clone()));
        let git = resolve(&root.join(".git")).ok();
        Ok(Boundary { root: resolve(root)?, closed: closed.collect(), git })
    }

    /// Whether what lies at the path is of no concern, so that a search leaves it aside. Links
    /// are not followed.
    pub fn is_closed(&self, path: &Path) -> bool {
        path.file_name().is_some_and(is_gits) || self.closed.iter().any(|closed| path == closed)
    }

    /// The path without links.
    ///
    /// An error where it leads out of the root or into what is closed, or leads nowhere.
    pub fn admit(&self, path: &Path) -> Result<PathBuf> {
        let real = match resolve(path) {
            Err(_) if path.is_symlink() && !path.exists() => bail!(failure(
                format!("the link {} leads nowhere", path.display()),
                "mend the link, or remove it",
            )),
            real => real?,
        };
        let fix = "name files inside the project only";
        let Ok(within) = real.strip_prefix(&self.root) else {
            let why = format!("{} leads out of {}", path.display(), self.root.display());
            bail!(failure(why, fix));
        };
        let gits = within.components().any(|part| is_gits(part.as_os_str()))
            || self.git.as_ref().is_some_and(|git| real.starts_with(git));
        let closed = self.closed.iter().find(|closed| real.starts_with(closed));
        match closed {
            _ if gits => {
                let why =
                    format!("{} leads into git's own files, to {}", path.display(), real.display());
                bail!(failure(why, "name files that are committed"))
            }
            Some(closed) => {
                let why = format!(
                    "{} leads into {}, which builds write",
                    path.display(),
                    closed.display()
                );
                bail!(failure(why, "name files that are committed"))
            }
            None => Ok(real),
        }
    }

    /// Opens a regular file that lies inside.
    pub fn open(&self, path: &Path) -> Result<File> {
        open_resolved(&self.admit(path)?)
    }

    /// Reads a regular file that lies inside.
    pub fn read(&self, path: &Path, limit: Limit) -> Result<Vec<u8>> {
        read_all(self.open(path)?, path, limit)
    }

    /// Reads a regular file that lies inside; `None` where there is none, and no link either.
    pub fn read_if_there(&self, path: &Path, limit: Limit) -> Result<Option<Vec<u8>>> {
        match fs::symlink_metadata(path) {
            Err(error) if is_absent(&error) => Ok(None),
            _ => self.read(path, limit).map(Some),
        }
    }
}

/// Whether a name is that of git's folder, or of the file that stands for it. Some file systems
/// do not tell cases apart.
fn is_gits(name: &std::ffi::OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}

/// Whether there is nothing at a path.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Opens a regular file; links are followed. A pipe would be waited for, and a device would act.
pub fn open_regular(path: &Path) -> Result<File> {
    let context = || format!("open {}", path.display());
    // What opening alone would set off is never opened.
    ensure_regular(&fs::metadata(path).with_context(context)?, path)?;
    opened(open_calmly(path).with_context(context)?, path)
}

/// Opens a regular file by a path without links, such as [`Boundary::admit`] and [`resolve`]
/// give. A link that took the place of one of its folders since then is not followed.
pub fn open_resolved(path: &Path) -> Result<File> {
    let context = || format!("open {}", path.display());
    ensure_regular(&fs::symlink_metadata(path).with_context(context)?, path)?;
    opened(open_without_links(path).with_context(context)?, path)
}

/// Reads a regular file by a path without links.
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

/// The file, where the descriptor itself says that it is one.
fn opened(file: File, path: &Path) -> Result<File> {
    let meta = file.metadata().with_context(|| format!("open {}", path.display()))?;
    ensure_regular(&meta, path)?;
    Ok(file)
}

fn ensure_regular(meta: &fs::Metadata, path: &Path) -> Result<()> {
    if !meta.is_file() {
        bail!(failure(
            format!("open {}: it is no regular file", path.display()),
            "name a file, and not a folder or a pipe",
        ));
    }
    Ok(())
}

fn read_all(file: File, path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let Limit(most) = limit;
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("read {}", path.display()))?;
    if bytes.len() as u64 > most {
        bail!(failure(
            format!("read {}: no more than {most} bytes are read of such a file", path.display()),
            "name another file, or mend this one",
        ));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn open_calmly(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, file_flags(), rustix::fs::Mode::empty())?.into())
}

/// Neither waits for who writes into a pipe, nor takes a terminal for its own.
#[cfg(unix)]
fn file_flags() -> rustix::fs::OFlags {
    use rustix::fs::OFlags;
    OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

/// Opens each folder on the way from the one before.
#[cfg(unix)]
fn open_without_links(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    // To pass through a folder takes no right to list it, where systems make that difference.
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
fn open_calmly(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(not(unix))]
fn open_without_links(path: &Path) -> io::Result<File> {
    open_calmly(path)
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
