//! The cache folder: it has this tool's mark, and only files with the cache's own names are
//! ever removed from it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ADVISORIES, BLOBS, CacheKind, PRUNED, TOOLS};
use crate::files::{self, EntryKind};
use crate::finding::failure;

/// The file that marks a folder as a cache for backup programs, and as this tool's for itself.
/// <https://bford.info/cachedir/>
const TAG: &str = "CACHEDIR.TAG";

/// What the file holds.
const MARK: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This folder is the cache of dockless, which removes what it made here.
# See https://bford.info/cachedir/
";

/// The cache's folder inside a given folder that holds other things.
const OWN: &str = "dockless-cache";

/// The lock that runs share while they use files of the cache in place. Removing files takes an
/// exclusive one.
const LOCK: &str = ".lock";

/// Finds the cache in a given folder: the folder itself if it has the mark or is empty, else one
/// of our own in it.
pub fn find(folder: &Path) -> Result<PathBuf> {
    if is_usable(folder)? {
        return Ok(folder.to_owned());
    }
    let own = folder.join(OWN);
    if is_usable(&own)? {
        return Ok(own);
    }
    Err(failure(
        format!("{} holds what dockless did not make", own.display()),
        "name another folder by DOCKLESS_CACHE, or move that one away",
    ))
}

/// Whether a folder has the mark or may get it. Locks and temporary files may be those of a run
/// that is about to mark it, or that removes the cache.
fn is_usable(folder: &Path) -> Result<bool> {
    let is_ours =
        |path: &Path| files::is_temporary(path) || [LOCK, TOOLS_LOCK].contains(&name(path));
    Ok(is_marked(folder)
        || !files::exists(folder)?
        || files::list(folder)?.iter().all(|entry| is_ours(&entry.path)))
}

fn is_marked(folder: &Path) -> bool {
    let mut text = Vec::new();
    // A mark that cannot be read is none.
    let read = files::open_own(&folder.join(TAG))
        .map(|tag| tag.map(|tag| tag.take(MARK.len() as u64 + 1).read_to_end(&mut text)));
    matches!(read, Ok(Some(Ok(_)))) && text == MARK.as_bytes()
}

/// Makes the folder and marks it.
pub fn mark(root: &Path) -> Result<()> {
    files::make_dir(root)?;
    if is_marked(root) { Ok(()) } else { files::write(&root.join(TAG), MARK.as_bytes()) }
}

/// The lock for installing tools.
const TOOLS_LOCK: &str = ".tools.lock";

pub fn lock(root: &Path) -> PathBuf {
    root.join(LOCK)
}

pub fn tools_lock(root: &Path) -> PathBuf {
    root.join(TOOLS_LOCK)
}

/// Whether the name is one of an entry or a blob: a digest in hex.
pub fn is_entry(path: &Path) -> bool {
    is_hex(name(path), 64)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

fn is_hex(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The size of all files below a folder, in bytes. What cannot be read counts nothing.
pub fn size(folder: &Path) -> u64 {
    let entries = files::list(folder).unwrap_or_default();
    let size = |entry: &files::DirEntry| match entry.kind {
        EntryKind::Folder => size(&entry.path),
        EntryKind::File => entry.size,
        EntryKind::Other => 0,
    };
    entries.iter().map(size).sum()
}

/// Removes what this tool made in its cache, and the folders that are empty then.
pub fn clear(root: &Path) -> Result<()> {
    for folder in CacheKind::folders().chain([BLOBS]) {
        let made = |path: &Path| is_entry(path) || name(path) == PRUNED;
        clear_folder(&root.join(folder), made, |_| Ok(false))?;
    }
    clear_folder(&root.join(TOOLS), |_| false, is_tool)?;
    let of_database = |path: &Path| {
        let (stem, suffix) = name(path).split_once('.').unwrap_or((name(path), ""));
        is_hex(stem, 16) && ["lock", "fetched"].contains(&suffix)
    };
    clear_folder(&root.join(ADVISORIES), of_database, is_database)?;
    for name in [TAG, LOCK, TOOLS_LOCK] {
        files::remove_file(&root.join(name))?;
    }
    Ok(())
}

/// Removes from a folder the files and links that are `made` by this tool, and the subfolders
/// that are `ours` with their contents; then the folder, if it is empty.
fn clear_folder(
    folder: &Path,
    made: impl Fn(&Path) -> bool,
    ours: impl Fn(&Path) -> Result<bool>,
) -> Result<()> {
    if !files::is_own_dir(folder) {
        return Ok(());
    }
    for entry in files::list(folder)? {
        let temporary = files::is_temporary(&entry.path);
        match files::is_own_dir(&entry.path) {
            true if ours(&entry.path)? || (temporary && has_folders(folder)) => {
                files::remove(&entry.path)?;
            }
            false if temporary || made(&entry.path) => files::remove_file(&entry.path)?,
            _ => {}
        }
    }
    files::remove_empty_dir(folder)
}

/// Whether this tool makes temporary folders in it.
fn has_folders(folder: &Path) -> bool {
    [TOOLS, ADVISORIES].contains(&name(folder))
}

/// Whether a folder is a tool that [`Cache::tools`](super::Cache::tools) holds.
pub fn is_tool(folder: &Path) -> Result<bool> {
    let list = folder.join(REQUIREMENTS);
    let Some(list) = files::open_own(&list)? else { return Ok(false) };
    let mut text = Vec::new();
    let read = list.take(64).read_to_end(&mut text);
    read.with_context(|| format!("read {}", folder.join(REQUIREMENTS).display()))?;
    Ok(text.starts_with(b"ziglang=="))
}

/// The file that says what pip was asked for, beside what it installed.
pub const REQUIREMENTS: &str = "requirements.txt";

/// Whether a folder is a fetched advisory database.
fn is_database(folder: &Path) -> Result<bool> {
    Ok(is_hex(name(folder), 16) && files::is_own_dir(&folder.join(".git")))
}
