//! Finds the yanked crates of a lock file: cargo asks its index, and its cache is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::lock::{Lock, Package};
use crate::cache::{Cache, CacheKind};
use crate::digest::Digest;
use crate::files::{self, limits};
use crate::project::Project;

/// An answer of this age in seconds is asked for again.
const FRESH: u64 = 12 * 3600;

/// The first byte of cargo's cached index files: the version of their format.
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/sources/registry/index/cache.rs>
const FORMAT: u8 = 3;

/// The yanked crates of a lock file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Yanked {
    /// When the index was asked, in seconds since 1970.
    asked: u64,
    /// Positions in the lock file.
    pub yanked: BTreeSet<usize>,
    /// How many crates the index does not know.
    pub unknown: usize,
}

/// Finds the yanked crates. cargo asks the index, in the way that it is configured to, unless
/// that was done recently.
pub fn look(lock: &Lock, text: &[u8], project: &Project, cache: &Cache) -> Result<Yanked> {
    let key = Digest::of(text);
    let kept: Option<Yanked> = cache.get_json(CacheKind::Yanked, &key)?;
    if let Some(yanked) = kept
        // A time in the future was set by a wrong clock: the answer's age is unknown.
        && files::now().checked_sub(yanked.asked).is_some_and(|age| age < FRESH)
    {
        return Ok(yanked);
    }
    // A dry run changes nothing, and asks the index for each crate of the lock file.
    let ask = project.cargo("update").args(["--dry-run", "--quiet"]);
    ask.time_out(Duration::from_secs(120)).read().context("ask the index for yanked crates")?;
    let home = project.cargo_home().context("find cargo's home folder")?;
    let indexes = indexes(&home.join("registry/index"))?;
    let mut yanked = Yanked { asked: files::now(), ..Yanked::default() };
    for (at, package) in lock.packages.iter().enumerate() {
        if !package.is_of_crates_io() {
            continue;
        }
        match is_yanked(package, &indexes)? {
            Some(true) => drop(yanked.yanked.insert(at)),
            Some(false) => {}
            None => yanked.unknown += 1,
        }
    }
    cache.put_json(CacheKind::Yanked, &key, &yanked)?;
    Ok(yanked)
}

/// The folders of cargo's cached indexes.
fn indexes(folder: &Path) -> Result<Vec<PathBuf>> {
    let caches = files::list(folder)?.into_iter().map(|entry| entry.path.join(".cache"));
    Ok(caches.filter(|path| path.is_dir()).collect())
}

/// Whether a package is yanked by the most recently asked index; `None` where none knows it.
fn is_yanked(package: &Package, indexes: &[PathBuf]) -> Result<Option<bool>> {
    let name = package.name.as_str().to_lowercase();
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for index in indexes {
        let path = index.join(prefix(&name)).join(&name);
        if let Some(entry) = files::list_one(&path)?
            && newest.as_ref().is_none_or(|(time, _)| *time < entry.modified)
        {
            newest = Some((entry.modified, path));
        }
    }
    let Some((_, path)) = newest else { return Ok(None) };
    let bytes = files::read_foreign(&path, limits::CRATE)?;
    read(&bytes, &package.version.to_string()).with_context(|| format!("read {}", path.display()))
}

/// The folders of a crate's file in an index.
/// <https://doc.rust-lang.org/cargo/reference/registry-index.html#index-files>
fn prefix(name: &str) -> String {
    match name.len() {
        1 => "1".to_owned(),
        2 => "2".to_owned(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", name.get(..2).unwrap_or(name), name.get(2..4).unwrap_or("")),
    }
}

/// The part of an index entry that is used here.
#[derive(Deserialize)]
struct IndexEntry {
    #[serde(default)]
    yanked: bool,
}

/// Whether a version is yanked, in the cached index file of its crate: one byte, four more, a
/// text, then versions with their JSON, each ended by a NUL.
fn read(bytes: &[u8], version: &str) -> Result<Option<bool>> {
    ensure!(bytes.first() == Some(&FORMAT), "cargo caches its index in an unknown format");
    let mut texts = bytes.get(5..).unwrap_or_default().split(|byte| *byte == 0).skip(1);
    while let (Some(one), Some(json)) = (texts.next(), texts.next()) {
        if one == version.as_bytes() {
            let entry: IndexEntry = serde_json::from_slice(json).context("read an entry")?;
            return Ok(Some(entry.yanked));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_of_each_version() {
        let kept =
            b"\x03\x02\0\0\0etag: x\x001.0.0\0{\"vers\":\"1.0.0\",\"yanked\":true}\x001.0.1\0\
                     {\"vers\":\"1.0.1\"}\0";
        assert_eq!(read(kept, "1.0.0").unwrap(), Some(true));
        assert_eq!(read(kept, "1.0.1").unwrap(), Some(false));
        assert_eq!(read(kept, "1.0.2").unwrap(), None);
        assert!(read(b"\x04", "1.0.0").is_err() && read(b"", "1.0.0").is_err());
        for (name, folders) in [("a", "1"), ("ab", "2"), ("abc", "3/a"), ("abcd", "ab/cd")] {
            assert_eq!(prefix(name), folders);
        }
    }
}
