//! The cache: results of earlier work, in the user's cache folder.
//!
//! An entry is a file named by the digest of everything that it depends on. It starts with its
//! kind and the digest of its content. An entry that does not match is not used: disks fail,
//! runs are killed, and files are copied by hand.
//!
//! No work depends on the cache: where it cannot be read or written, the work is done without
//! it, and [`Cache::trouble`] says why, once.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::{self, Digest, HashingWriter};
use crate::files::{self, EntryKind, Lock};
use crate::finding::{self, Finding, Place};

mod blobs;
mod place;

pub use blobs::Blobs;
pub use place::{REQUIREMENTS, is_tool};

/// Entries that were not used for so long are removed.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest size of all entries of one kind, in bytes.
const MAX_SIZE: u64 = 2 << 30;
/// How often old entries are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often a use updates an entry's time, so that a hit stays cheap.
const TOUCH_EVERY: Duration = Duration::from_secs(3600);

/// The beginning of an entry, and a part of its key. Another format has another text here, so
/// that versions of this tool can share a folder without seeing each other's entries.
const FORMAT: &str = "dockless cache 2";

/// The file whose time says when old entries of its folder were last removed.
const PRUNED: &str = "pruned";

/// The user's cache. Without a place it keeps and finds nothing.
#[derive(Debug, Default)]
pub struct Cache {
    place: Option<CachePlace>,
    /// The cache folder, once it was looked for; `None` where it cannot be used.
    root: OnceLock<Option<PathBuf>>,
    /// The shared lock that keeps others from removing entries that this process reads.
    held: OnceLock<Option<Lock>>,
    trouble: Trouble,
}

/// The folder that a cache is in.
#[derive(Debug)]
enum CachePlace {
    /// One that the user named: it may hold anything.
    Given(PathBuf),
    /// The one of this tool's name among the user's caches.
    Own(PathBuf),
}

/// The first thing that went wrong with a cache.
type Trouble = Arc<OnceLock<String>>;

/// A kind of entries. Each has a folder of its own.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CacheKind {
    /// Dependency graphs as cargo resolves them, as JSON.
    Graph,
    /// The toolchain that rustup chose, and the digests of toolchains, as JSON.
    Toolchain,
    /// Finished archives.
    Archive,
    /// Digests and sizes of a layer of an image, as JSON.
    Layer,
    /// Manifests of plugins whose archives krew can install.
    Plugin,
    /// The yanked crates of a lock file, and when the index was asked, as JSON.
    Yanked,
    /// Lock files that cargo does not want to change.
    Lock,
    /// The licence texts of crates: a line of JSON, and the text.
    License,
    /// When a repository was last pushed to, as JSON.
    Push,
}

/// The folder of programs that this tool installed for itself.
const TOOLS: &str = "tools";

/// The folder of advisory databases.
const ADVISORIES: &str = "advisories";

/// The folder of blobs of images.
const BLOBS: &str = "blob";

impl CacheKind {
    /// The folders of all kinds.
    fn folders() -> impl Iterator<Item = &'static str> {
        CacheKind::value_variants().iter().map(|kind| kind.folder())
    }

    fn folder(self) -> &'static str {
        match self {
            CacheKind::Graph => "graph",
            CacheKind::Toolchain => "toolchain",
            CacheKind::Archive => "archive",
            CacheKind::Layer => "layer",
            CacheKind::Plugin => "plugin",
            CacheKind::Yanked => "yanked",
            CacheKind::Lock => "lock",
            CacheKind::License => "license",
            CacheKind::Push => "push",
        }
    }
}

impl Cache {
    /// A cache in a folder that the user named. Where that holds other things, the cache is in
    /// a folder of our own below it.
    pub fn at(root: &Path) -> Cache {
        Cache { place: Some(CachePlace::Given(root.to_owned())), ..Cache::none() }
    }

    /// A cache in this tool's folder among the user's caches.
    pub fn own(root: &Path) -> Cache {
        Cache { place: Some(CachePlace::Own(root.to_owned())), ..Cache::none() }
    }

    /// A cache that keeps nothing and finds nothing.
    pub fn none() -> Cache {
        Cache::default()
    }

    /// The same, with the reason why there is no place for one.
    pub fn nowhere(why: &str) -> Cache {
        let cache = Cache::none();
        note(&cache.trouble, &anyhow::Error::msg(why.to_owned()));
        cache
    }

    /// Why the cache could not be used, for the user to be told once.
    pub fn trouble(&self) -> Option<Finding> {
        let why = self.trouble.get()?;
        let why = format!("nothing is cached for later runs: {why}");
        let fix = "set DOCKLESS_CACHE to a folder that can be written, on a disk with room";
        Some(Finding::warning("cache", Place::default(), why, fix))
    }

    /// The result, or `None`; then the error is kept as the cache's trouble.
    fn noted<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|error| note(&self.trouble, &error)).ok()
    }

    /// The folder that all of it is in, where there is one.
    pub fn root(&self) -> Option<&Path> {
        let find = || match self.place.as_ref()? {
            CachePlace::Own(root) => Some(root.clone()),
            CachePlace::Given(folder) => self.noted(place::find(folder)),
        };
        self.root.get_or_init(find).as_deref()
    }

    /// A folder of the cache, created for writing; `None` where that fails.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        let root = self.root()?;
        let dir = root.join(name);
        let made = place::mark(root).and_then(|()| files::make_dir(&dir));
        self.noted(made).map(|()| dir)
    }

    /// The same for files that are used in place: nobody removes them from here on.
    fn held_folder(&self, name: &str) -> Option<PathBuf> {
        // A run that cleans the cache waits from then on, but may have removed the folder before.
        self.noted(place::mark(self.root()?))?;
        self.hold()?;
        self.folder(name)
    }

    /// Keeps others from removing entries until this process ends; `None` where the cache cannot
    /// be written.
    pub fn hold(&self) -> Option<()> {
        let take = || self.noted(Lock::share(&place::lock(self.root()?)));
        self.held.get_or_init(take).as_ref().map(drop)
    }

    fn path(&self, kind: CacheKind, key: &Digest) -> Option<PathBuf> {
        // Entries of another format have other names.
        let name = digest::of_parts([FORMAT, kind.folder(), &key.hex()].map(str::as_bytes));
        self.root().map(|root| root.join(kind.folder()).join(name.hex()))
    }

    /// The folder and its size in bytes. An error says why nothing can be kept.
    pub fn look(&self) -> Result<(PathBuf, u64)> {
        let untold = || {
            let why = self.trouble.get().map_or("there is no cache folder", |why| why);
            anyhow::Error::msg(why.to_owned())
        };
        let root = self.root().ok_or_else(untold)?;
        place::mark(root)?;
        drop(files::temporary(root)?);
        Ok((root.to_owned(), place::size(root)))
    }

    /// Where a program of this name and version is installed for the tool's own use. It need not
    /// exist yet.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        self.root().map(|root| root.join(TOOLS).join(name))
    }

    /// The writable folder that tools are installed in. An error says why there is none.
    pub fn tools(&self) -> Result<PathBuf> {
        self.held_folder(TOOLS).with_context(|| {
            let why = self.trouble.get().map_or("there is no cache folder", |why| why);
            format!("find a place for tools: {why}")
        })
    }

    /// Keeps others from installing tools. `waiting` is called while another process does.
    pub fn lock_tools(&self, waiting: impl FnMut(&str)) -> Result<Lock> {
        let root = self.root().context("find the cache folder")?;
        Lock::acquire(&place::tools_lock(root), "setup", waiting)
    }

    /// Where the advisory database of a repository is kept.
    pub fn advisories(&self, url: &str) -> Option<PathBuf> {
        let name = Digest::of(url.as_bytes()).hex();
        self.root().map(|root| root.join(ADVISORIES).join(&name[..16]))
    }

    /// Whether advisory databases can be kept.
    pub fn keeps_advisories(&self) -> bool {
        self.held_folder(ADVISORIES).is_some()
    }

    /// Removes everything, once nobody uses it. `waiting` is called while another process does.
    pub fn clear(&self, waiting: impl FnMut(&str)) -> Result<()> {
        let Some(root) = self.root() else { return Ok(()) };
        if !files::exists(root)? {
            return Ok(());
        }
        let _lock = Lock::acquire(&place::lock(root), "clean", waiting)?;
        place::clear(root)
    }

    /// Writes the content kept under the key to `to` and returns its digest and size. `None`
    /// where there is none or a damaged one: then what was written to `to` is useless.
    pub fn get(
        &self,
        kind: CacheKind,
        key: &Digest,
        to: impl Write,
    ) -> Result<Option<(Digest, u64)>> {
        let Some(path) = self.path(kind, key) else {
            return Ok(None);
        };
        let mut to = HashingWriter::new(to);
        let mut written = Ok(());
        let read = read_entry(&path, &head(kind, key), |bytes| {
            written = to.write_all(bytes);
            written.is_ok()
        });
        written.with_context(|| format!("copy {}", path.display()))?;
        let (_, digest, size) = to.finish();
        match read {
            Ok(None) => Ok(None),
            Ok(Some((file, expected))) if digest.hex().as_bytes() == expected => {
                mark_used(&file, TOUCH_EVERY);
                Ok(Some((digest, size)))
            }
            // A damaged entry, or something else in its place.
            _ => {
                self.noted(files::remove_file(&path));
                Ok(None)
            }
        }
    }

    /// Keeps the content of this digest under the key. Errors are those of reading the content;
    /// a cache that cannot be written is no error.
    pub fn put(
        &self,
        kind: CacheKind,
        key: &Digest,
        digest: &Digest,
        mut content: impl Read,
    ) -> Result<()> {
        let (Some(root), Some(path)) = (self.root(), self.path(kind, key)) else { return Ok(()) };
        // Without the lock, another run could clean the cache meanwhile and remove its mark.
        let lock = place::mark(root).and_then(|()| Lock::share(&place::lock(root)));
        let Some(_lock) = self.noted(lock) else { return Ok(()) };
        let Some(dir) = self.folder(kind.folder()) else { return Ok(()) };
        let context = || format!("write {}", path.display());
        let begin = || {
            prune(&dir)?;
            let mut file = files::temporary(&dir)?;
            writeln!(file, "{}{}", head(kind, key), digest.hex()).with_context(context)?;
            Ok(file)
        };
        let Some(mut file) = self.noted(begin()) else { return Ok(()) };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read =
                content.read(&mut buffer).with_context(|| format!("keep {}", kind.folder()))?;
            if read == 0 {
                break;
            }
            let written = file.write_all(&buffer[..read]).with_context(context);
            if self.noted(written).is_none() {
                return Ok(());
            }
        }
        self.noted(files::persist(file, &path));
        Ok(())
    }

    /// A value that [`Cache::put_json`] kept; `None` also where another version of this tool
    /// wrote it in another form.
    pub fn get_json<T: DeserializeOwned>(
        &self,
        kind: CacheKind,
        key: &Digest,
    ) -> Result<Option<T>> {
        let mut json = Vec::new();
        let found = self.get(kind, key, &mut json)?;
        Ok(found.and_then(|_| serde_json::from_slice(&json).ok()))
    }

    /// Keeps a value as JSON.
    pub fn put_json(&self, kind: CacheKind, key: &Digest, value: &impl Serialize) -> Result<()> {
        let json = serde_json::to_vec(value).context("write JSON")?;
        self.put(kind, key, &Digest::of(&json), &json[..])
    }

    /// The blobs. Old ones are removed first.
    pub fn blobs(&self) -> Result<Blobs> {
        let dir = self.root().map(|root| root.join(BLOBS));
        if let (Some(root), Some(dir)) = (self.root(), self.folder(BLOBS))
            && self.held.get().is_none()
        {
            // Where another run holds the lock to read blobs, a later run prunes.
            let alone = Lock::try_acquire(&place::lock(root));
            self.noted(alone.and_then(|alone| alone.map_or(Ok(()), |_lock| prune(&dir))));
        }
        let is_writable = self.held_folder(BLOBS).is_some();
        match dir {
            Some(dir) => Ok(Blobs::kept(dir, is_writable, self.trouble.clone())),
            None => Blobs::temporary(self.trouble.clone()),
        }
    }
}

/// The beginning of an entry, before the digest of its content: format, kind and key.
fn head(kind: CacheKind, key: &Digest) -> String {
    format!("{FORMAT} {} {}\n", kind.folder(), key.hex())
}

/// Reads an entry that begins with `head` and passes its content to `wanted` until that returns
/// `false`. Returns the file and the digest that it names; `None` where there is no file.
fn read_entry(
    path: &Path,
    head: &str,
    mut wanted: impl FnMut(&[u8]) -> bool,
) -> Result<Option<(File, [u8; 64])>> {
    let Some(mut file) = files::open_own(path)? else { return Ok(None) };
    let context = || format!("read {}", path.display());
    let mut start = vec![0; head.len() + 65];
    file.read_exact(&mut start).with_context(context)?;
    let (start, rest) = start.split_at(head.len());
    let digest = rest.first_chunk::<64>().filter(|_| start == head.as_bytes() && rest[64] == b'\n');
    let Some(digest) = digest.copied() else { bail!("{}: it is another entry", context()) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).with_context(context)?;
        if read == 0 || !wanted(&buffer[..read]) {
            return Ok(Some((file, digest)));
        }
    }
}

/// Marks a file as used now. Only its owner can; for others it is made again once it is too
/// old.
fn mark_used(file: &File, every: Duration) {
    let modified = file.metadata().and_then(|meta| meta.modified());
    if modified.is_ok_and(|modified| !files::is_recent(modified, every)) {
        drop(files::touch(file));
    }
}

fn note(trouble: &Trouble, error: &anyhow::Error) {
    trouble.get_or_init(|| finding::said(error).0);
}

/// Removes entries that are too old, then the least recently used ones until the rest is small
/// enough. Does so once a day at most. Files with other names stay.
fn prune(dir: &Path) -> Result<()> {
    let mark = dir.join(PRUNED);
    let is_pruned = |mark: &files::DirEntry| files::is_recent(mark.modified, PRUNE_EVERY);
    // A folder behind a link is not ours.
    if files::list_one(&mark)?.as_ref().is_some_and(is_pruned) || !files::is_own_dir(dir) {
        return Ok(());
    }
    files::write(&mark, b"")?;
    let mut entries = files::list(dir)?;
    // The mark was written just now, so its time is the file system's current time, which may
    // differ from this machine's.
    let now = entries.iter().find(|entry| entry.path == mark).map(|mark| mark.modified);
    let now = now.with_context(|| format!("find {}", mark.display()))?;
    entries.retain(|entry| entry.kind == EntryKind::File);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
    let mut kept = 0;
    for entry in entries {
        let older = |than| now.duration_since(entry.modified).is_ok_and(|age| age > than);
        let finished = place::is_entry(&entry.path);
        // A time in the future was set by a wrong clock: the entry counts as old.
        let ahead = entry.modified.duration_since(now).is_ok_and(|ahead| ahead > PRUNE_EVERY);
        let old = finished && (older(MAX_AGE) || ahead);
        // A temporary file may be another run's. It does not count, and is removed once it is too
        // old for that.
        let left = files::is_temporary(&entry.path) && (older(PRUNE_EVERY) || ahead);
        kept += if finished { entry.size } else { 0 };
        if old || left || (finished && kept > MAX_SIZE) {
            files::remove_file(&entry.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
