//! The one room that touches files: atomic writes, locks, and the staging of dist/.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::finding::Help;

mod clock;
mod foreign;
pub mod limits;
mod lock;
mod notices;
mod staging;
pub use clock::{age, clock_now, is_recent, now, renew, set_age, today, touch, until};
pub use foreign::{
    Boundary, open_regular, open_resolved, read_foreign, read_foreign_if_there, read_named,
    read_resolved, read_stdin,
};
pub use limits::Limit;
pub use lock::Lock;
pub use notices::{Means, Notice, Notices, Stage};
pub use staging::{Dist, Staging, is_clear, is_ours};

/// Reads a whole file that this tool made or that the command line names.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// The same; `None` where there is no such file.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    if_there(fs::read(path)).with_context(|| format!("read {}", path.display()))
}

/// Whether a file is there and holds exactly these bytes. It is not read into memory.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn holds(path: &Path, bytes: &[u8]) -> Result<bool> {
    let context = || format!("read {}", path.display());
    let Some(mut file) = if_there(File::open(path)).with_context(context)? else {
        return Ok(false);
    };
    let length = file.metadata().with_context(context)?.len();
    if length != bytes.len() as u64 {
        return Ok(false);
    }
    let mut piece = vec![0; 64 * 1024];
    let mut rest = bytes;
    loop {
        let count = file.read(&mut piece).with_context(context)?;
        match rest.strip_prefix(&piece[..count]) {
            Some(left) if count > 0 => rest = left,
            same => return Ok(same.is_some() && rest.is_empty()),
        }
    }
}

/// What was found; `None` where there is none.
fn if_there<T>(found: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("open {}", path.display()))
}

/// Opens a file in a folder of this tool's own, which holds only regular files. Links are not
/// followed, and pipes not waited for. `None` where there is no such file.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn open_own(path: &Path) -> Result<Option<File>> {
    let context = || format!("open {}", path.display());
    let mut options = fs::OpenOptions::new();
    lock::neither_follow_nor_wait(options.read(true));
    match if_there(options.open(path)).with_context(context)? {
        Some(file) if !file.metadata().with_context(context)?.is_file() => {
            bail!("{}: it is not a regular file", context())
        }
        file => Ok(file),
    }
}

/// Writes a whole file beside its place and renames it into place, so that nobody sees half of
/// it. Missing folders are created.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    persist(beside(path, bytes)?, path)
}

/// Writes the bytes into a temporary file beside `path`.
fn beside(path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile> {
    let context = || format!("write {}", path.display());
    let dir = path.parent().with_context(context)?;
    make_dir(dir)?;
    let mut file = temporary(dir).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    Ok(file)
}

/// Writes a new file. Fails where the name is taken.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    persist_new(beside(path, bytes)?, path)
}

/// The same for a file that only its owner may read.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("write {}", path.display());
    let dir = path.parent().with_context(context)?;
    make_dir(dir)?;
    // tempfile gives the mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY.0)
        .suffix(TEMPORARY.1)
        .tempfile_in(dir)
        .with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    persist_new(file, path)
}

fn persist_new(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            let help = Help("move it away, or choose another name".to_owned());
            Err(anyhow::anyhow!("{} exists already", path.display()).context(help))
        }
        Err(error) => Err(error.error).with_context(|| format!("write {}", path.display())),
    }
}

/// The same as [`write`] for a program that everybody may start.
pub fn write_program(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = beside(path, bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o755);
        let set = file.as_file().set_permissions(mode);
        set.with_context(|| format!("write {}", path.display()))?;
    }
    persist(file, path)
}

/// Copies a program with its mode.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn copy_program(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("copy {} to {}", from.display(), to.display());
    make_dir(to.parent().with_context(context)?)?;
    fs::copy(from, to).map(drop).with_context(context)
}

/// A new folder among the system's temporary ones, removed when dropped.
pub fn temporary_dir() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(TEMPORARY.0).tempdir().context("make a temporary folder")
}

/// A new folder in `dir`, removed when dropped. [`move_dir`] gives it its final name.
pub fn temporary_dir_in(dir: &Path) -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let made = builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1).tempdir_in(dir);
    made.with_context(|| format!("make a temporary folder in {}", dir.display()))
}

/// Gives a temporary folder its final name. What had that name is removed.
pub fn move_dir(from: tempfile::TempDir, to: &Path) -> Result<()> {
    remove(to)?;
    rename(from.path(), to)?;
    // Dropping it would remove the folder.
    drop(from.keep());
    Ok(())
}

/// Removes the temporary files in `dir` that are too old to still be written. Folders stay,
/// whatever their names.
pub fn remove_stale(dir: &Path, older: Duration) -> Result<()> {
    stale(dir, older)?
        .filter(|entry| entry.kind != EntryKind::Folder)
        .try_for_each(|entry| remove_file(&entry.path))
}

/// The same in a folder of this tool's own, temporary folders included.
pub fn remove_stale_dirs(dir: &Path, older: Duration) -> Result<()> {
    stale(dir, older)?.try_for_each(|entry| remove(&entry.path))
}

fn stale(dir: &Path, older: Duration) -> Result<impl Iterator<Item = DirEntry>> {
    let is_stale =
        move |entry: &DirEntry| is_temporary(&entry.path) && !is_recent(entry.modified, older);
    Ok(list(dir)?.into_iter().filter(is_stale))
}

/// How the names of temporary files begin and end.
const TEMPORARY: (&str, &str) = (".dockless-", ".tmp");

/// Whether the name is one that [`temporary`] or [`temporary_dir_in`] gives.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let own = name.strip_prefix(TEMPORARY.0).and_then(|name| name.strip_suffix(TEMPORARY.1));
    own.is_some_and(|own| own.len() == 6 && own.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A new file in `dir`, removed when dropped. Its mode obeys the umask.
pub fn temporary(dir: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // With tempfile's default of 0600 others could not read a shared checkout.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir).with_context(|| format!("make a temporary file in {}", dir.display()))
}

/// Gives a temporary file its final name. What had that name is replaced.
pub fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("make the folder {}", path.display()))
}

/// Appends to a file; a missing one is created.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn append(path: &Path, text: &str) -> Result<()> {
    let context = || format!("append to {}", path.display());
    let mut file =
        fs::OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
    file.write_all(text.as_bytes()).with_context(context)
}

/// Removes a file, a link (not what it leads to), or a folder with its contents. A missing one
/// is no error.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    if_there(removed).map(drop).with_context(|| format!("remove {}", path.display()))
}

/// Removes a file or a link. A folder is an error; a missing file is not.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn remove_file(path: &Path) -> Result<()> {
    let removed = if_there(fs::remove_file(path));
    removed.map(drop).with_context(|| format!("remove {}", path.display()))
}

/// Removes a folder if it is empty.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn remove_empty_dir(path: &Path) -> Result<()> {
    match if_there(fs::remove_dir(path)) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.map(drop).with_context(|| format!("remove {}", path.display())),
    }
}

/// Whether the path is a folder, and not a link to one.
pub fn is_own_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Whether anything has this name, even a broken link.
pub fn exists(path: &Path) -> Result<bool> {
    let found = if_there(fs::symlink_metadata(path));
    Ok(found.with_context(|| format!("look at {}", path.display()))?.is_some())
}

/// Makes a hard link; `false` where the file system cannot.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn link(from: &Path, to: &Path) -> Result<bool> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(error).with_context(|| format!("link {} to {}", from.display(), to.display()))
        }
        Err(_) => Ok(false),
    }
}

/// Moves a file or a folder within a file system.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("rename {} to {}", from.display(), to.display()))
}

/// The absolute path without links.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn resolve(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("find {}", path.display()))
}

/// Where a link leads, as it is written.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    fs::read_link(path).with_context(|| format!("read the link {}", path.display()))
}

/// Whether its owner may start a file, which is what git, too, remembers of modes.
pub fn is_executable(path: &Path) -> Result<bool> {
    has_mode(path, 0o100)
}

/// Whether nobody may write a file.
pub fn is_read_only(path: &Path) -> Result<bool> {
    let meta = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
    Ok(meta.permissions().readonly())
}

/// Whether everybody may read a file.
pub fn is_public(path: &Path) -> Result<bool> {
    has_mode(path, 0o004)
}

/// Whether this bit of a file's mode is set; `false` on systems without modes.
fn has_mode(path: &Path, bit: u32) -> Result<bool> {
    let meta = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Ok(meta.permissions().mode() & bit != 0)
    }
    #[cfg(not(unix))]
    {
        drop((meta, bit));
        Ok(false)
    }
}

/// An entry of a folder.
#[derive(Debug)]
pub struct DirEntry {
    pub path: PathBuf,
    pub kind: EntryKind,
    pub size: u64,
    pub modified: SystemTime,
}

/// What an entry of a folder is. A link is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
    Other,
}

impl DirEntry {
    fn of(path: PathBuf, meta: &fs::Metadata) -> std::io::Result<DirEntry> {
        let kind = if meta.is_file() {
            EntryKind::File
        } else if meta.is_dir() {
            EntryKind::Folder
        } else {
            EntryKind::Other
        };
        Ok(DirEntry { path, kind, size: meta.len(), modified: meta.modified()? })
    }
}

/// The entries of a folder, sorted by name.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn list(dir: &Path) -> Result<Vec<DirEntry>> {
    let context = || format!("list {}", dir.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).with_context(context)? {
        let entry = entry.with_context(context)?;
        // Another run may have removed it since the folder was read.
        let Some(meta) = if_there(entry.metadata()).with_context(context)? else { continue };
        entries.push(DirEntry::of(entry.path(), &meta).with_context(context)?);
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// One file as an entry; `None` where there is no such file.
pub fn list_one(path: &Path) -> Result<Option<DirEntry>> {
    let context = || format!("look at {}", path.display());
    let meta = if_there(fs::metadata(path)).with_context(context)?;
    let entry = meta.map(|meta| DirEntry::of(path.to_owned(), &meta)).transpose();
    entry.with_context(context)
}

/// The free space for unprivileged users on a folder's disk, in bytes; `None` where the system
/// does not tell. The folder need not exist yet.
pub fn free_space(folder: &Path) -> Result<Option<u64>> {
    let Some(existing) = folder.ancestors().find(|it| it.is_dir()) else { return Ok(None) };
    #[cfg(unix)]
    {
        let context = || format!("read the free space on the disk of {}", existing.display());
        let disk = rustix::fs::statvfs(existing).with_context(context)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = existing;
        Ok(None)
    }
}

/// Whether an error says that the disk is full, or a file too large for it.
pub fn is_out_of_space(error: &anyhow::Error) -> bool {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
    has_cause(error, &full)
}

fn has_cause(error: &anyhow::Error, kinds: &[ErrorKind]) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| kinds.contains(&cause.kind()))
}

/// Whether an error says that a folder cannot be written.
pub fn is_refused(error: &anyhow::Error) -> bool {
    let refuses = [
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::IsADirectory,
        ErrorKind::NotADirectory,
        ErrorKind::NotFound,
    ];
    is_out_of_space(error) || has_cause(error, &refuses)
}

/// Adds a hint to an error of a full disk.
pub fn explain_space(error: anyhow::Error) -> anyhow::Error {
    if is_out_of_space(&error) {
        return error.context(Help("make room on the disk and run the same command again".into()));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        for (bytes, same) in
            [(&b"two"[..], true), (b"twi", false), (b"tw", false), (b"two!", false)]
        {
            assert_eq!(holds(&path, bytes).unwrap(), same, "{bytes:?}");
        }
        assert!(!holds(&dir.path().join("none"), b"").unwrap());
        assert_eq!(list(path.parent().unwrap()).unwrap().len(), 1);
        assert_eq!(read_if_there(&dir.path().join("none")).unwrap(), None);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
