//! Where the cache is: a folder that bears this tool's mark, and of which only what has
//! names of its own shape is ever removed.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ADVISORIES, BLOBS, KINDS, PRUNED, TOOLS};
use crate::files;
use crate::finding::failure;

/// The file by which backup programs know a cache, and this tool its own.
/// <https://bford.info/cachedir/>
const TAG: &str = "CACHEDIR.TAG";

/// What the file holds.
const MARK: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This folder is the cache of dockless, which removes what it made here.
# See https://bford.info/cachedir/
";

/// The folder in one that was named and that holds other things.
const OWN: &str = "dockless-cache";

/// What those who use files of the cache in place share, and who removes them has alone.
const LOCK: &str = ".lock";

/// Finds the cache in a folder that was named: the folder itself where it bears the mark or
/// holds nothing, and else one of our own in it.
pub fn named(folder: &Path) -> Result<PathBuf> {
    if is_usable(folder)? {
        return Ok(folder.to_owned());
    }
    let own = folder.join(OWN);
    match is_usable(&own)? {
        true => Ok(own),
        false => Err(failure(
            format!("{} holds what dockless did not make", own.display()),
            "name another folder by DOCKLESS_CACHE, or move that one away",
        )),
    }
}

/// Whether a folder bears the mark, or may be given it. Another run may be about to do so,
/// or about to remove the last of a cache.
fn is_usable(folder: &Path) -> Result<bool> {
    let passes =
        |path: &Path| files::is_temporary(path) || [LOCK, TOOLS_LOCK].contains(&name(path));
    Ok(is_marked(folder)
        || !files::exists(folder)?
        || files::list(folder)?.iter().all(|entry| passes(&entry.path)))
}

fn is_marked(folder: &Path) -> bool {
    let mut text = Vec::new();
    // What cannot be read is no mark.
    let read = files::open_own(&folder.join(TAG))
        .map(|tag| tag.map(|tag| tag.take(MARK.len() as u64 + 1).read_to_end(&mut text)));
    matches!(read, Ok(Some(Ok(_)))) && text == MARK.as_bytes()
}

/// Makes the folder and marks it.
pub fn mark(root: &Path) -> Result<()> {
    files::make_dir(root)?;
    if is_marked(root) { Ok(()) } else { files::write(&root.join(TAG), MARK.as_bytes()) }
}

/// What those who install tools have, one at a time.
const TOOLS_LOCK: &str = ".tools.lock";

pub fn lock(root: &Path) -> PathBuf {
    root.join(LOCK)
}

pub fn tools_lock(root: &Path) -> PathBuf {
    root.join(TOOLS_LOCK)
}

/// Whether a name is one that entries and blobs have: a digest in hex.
pub fn is_entry(path: &Path) -> bool {
    is_hex(name(path), 64)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

fn is_hex(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Removes what this tool made in its cache, and what is empty then.
pub fn clear(root: &Path) -> Result<()> {
    for folder in KINDS.iter().map(|kind| kind.folder()).chain([BLOBS]) {
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

/// Removes of a folder the files and links that are `made` here, and the folders that are
/// `ours` with all that is in them; then the folder, where nothing else is in it.
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

/// Whether temporary folders are made there.
fn has_folders(folder: &Path) -> bool {
    [TOOLS, ADVISORIES].contains(&name(folder))
}

/// Whether a folder is a tool that was installed here.
pub fn is_tool(folder: &Path) -> Result<bool> {
    let list = folder.join(REQUIREMENTS);
    let Some(list) = files::open_own(&list)? else { return Ok(false) };
    let mut text = Vec::new();
    let read = list.take(64).read_to_end(&mut text);
    read.with_context(|| format!("read {}", folder.join(REQUIREMENTS).display()))?;
    Ok(text.starts_with(b"ziglang=="))
}

/// What pip was asked for, beside what it installed.
pub const REQUIREMENTS: &str = "requirements.txt";

/// Whether a folder is a repository that was fetched here.
fn is_database(folder: &Path) -> Result<bool> {
    Ok(is_hex(name(folder), 16) && files::is_own_dir(&folder.join(".git")))
}
