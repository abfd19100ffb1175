//! Work that need not be done again, kept under the user's cache folder.
//!
//! An entry is a file named by the digest of everything that it depends on. It
//! starts with what it is and the digest of its content, and one that does not match
//! is not used: disks fail, runs are killed, and files are copied by hand.
//!
//! The cache is a help: where it cannot be read or written the work is done without it,
//! and [`Cache::trouble`] says why, once.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::digest::{self, Digest, HashingWriter};
use crate::files::{self, EntryKind, Lock};
use crate::finding::{self, Finding, Place};

mod blobs;
mod place;

pub use blobs::Blobs;
pub use place::{REQUIREMENTS, is_tool};

/// Entries unused for this long go first.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What all entries of one kind may take together, in bytes.
const MAX_SIZE: u64 = 2 << 30;
/// How often age and size are looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A use is noted at most this often, so that a hit stays cheap.
const TOUCH_EVERY: Duration = Duration::from_secs(3600);

/// What entries start with. Another form has another text here, and so other names: two
/// versions of this tool share a folder and do not see each other's entries.
const FORM: &str = "dockless cache 2";

/// The file whose time is when a folder was looked at.
const PRUNED: &str = "pruned";

/// The user's cache folder; without a place it keeps nothing and finds nothing.
#[derive(Debug)]
pub struct Cache {
    place: Option<Named>,
    /// Where it is, once that was looked for; `None` where it cannot be used.
    root: OnceLock<Option<PathBuf>>,
    /// What keeps others from removing what this process uses in place.
    held: OnceLock<Option<Lock>>,
    trouble: Trouble,
}

/// A folder, by the way in which it was named.
#[derive(Debug)]
enum Named {
    /// By hand: it may hold anything.
    ByHand(PathBuf),
    /// By this tool's own name among the user's caches.
    ByUs(PathBuf),
}

/// The first thing that went wrong with a cache.
type Trouble = Arc<OnceLock<String>>;

/// A kind of entries, in a folder of its own.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// What cargo said of a dependency graph, as JSON.
    Graph,
    /// Which toolchain rustup chose, as JSON.
    Toolchain,
    /// Finished archives.
    Archive,
    /// What is known of a layer of an image, as JSON.
    Layer,
    /// Manifests of plugins whose archives krew installs.
    Plugin,
    /// Which crates of a lock file were yanked, and when that was asked, as JSON.
    Yanked,
    /// Lock files that cargo takes as they are.
    Lock,
}

/// The folder of programs that were installed for the tool's own use.
const TOOLS: &str = "tools";

/// The folder of databases of advisories.
const ADVISORIES: &str = "advisories";

/// The folder of finished blobs of images.
const BLOBS: &str = "blob";

const KINDS: [Kind; 7] = [
    Kind::Graph,
    Kind::Toolchain,
    Kind::Archive,
    Kind::Layer,
    Kind::Plugin,
    Kind::Yanked,
    Kind::Lock,
];

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Kind::Graph => "graph",
            Kind::Toolchain => "toolchain",
            Kind::Archive => "archive",
            Kind::Layer => "layer",
            Kind::Plugin => "plugin",
            Kind::Yanked => "yanked",
            Kind::Lock => "lock",
        }
    }
}

impl Cache {
    /// A cache in a folder that was named by hand: where that holds other things, in one of
    /// our own below it.
    pub fn at(root: &Path) -> Cache {
        Cache { place: Some(Named::ByHand(root.to_owned())), ..Cache::none() }
    }

    /// A cache in a folder whose name among the user's caches is this tool's.
    pub fn own(root: &Path) -> Cache {
        Cache { place: Some(Named::ByUs(root.to_owned())), ..Cache::none() }
    }

    /// A cache that keeps nothing and finds nothing.
    pub fn none() -> Cache {
        let (root, held) = (OnceLock::new(), OnceLock::new());
        Cache { place: None, root, held, trouble: Trouble::default() }
    }

    /// The same where one is wanted, and nobody knows where.
    pub fn nowhere(why: &str) -> Cache {
        let cache = Cache::none();
        note(&cache.trouble, &anyhow::Error::msg(why.to_owned()));
        cache
    }

    /// What kept it from being used, for the user to hear once.
    pub fn trouble(&self) -> Option<Finding> {
        let why = self.trouble.get()?;
        let why = format!("what could be kept for later runs is not: {why}");
        let fix = "set DOCKLESS_CACHE to a folder that can be written, on a disk with room";
        Some(Finding::warning("cache", Place::default(), why, fix))
    }

    /// The result, or `None` and what went wrong noted.
    fn noted<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|error| note(&self.trouble, &error)).ok()
    }

    fn root(&self) -> Option<&Path> {
        let find = || match self.place.as_ref()? {
            Named::ByUs(root) => Some(root.clone()),
            Named::ByHand(folder) => self.noted(place::named(folder)),
        };
        self.root.get_or_init(find).as_deref()
    }

    /// A folder of the cache, made, for writing into; `None` where that cannot be done.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        let root = self.root()?;
        let dir = root.join(name);
        let made = place::mark(root).and_then(|()| files::make_dir(&dir));
        self.noted(made).map(|()| dir)
    }

    /// The same for what is used in place, which nobody removes from here on.
    fn held_folder(&self, name: &str) -> Option<PathBuf> {
        // Who cleans the cache waits from then on, and may have been about to end before.
        self.noted(place::mark(self.root()?))?;
        self.hold()?;
        self.folder(name)
    }

    /// Keeps others from removing what lies in the cache, for as long as this process
    /// lasts; `None` where the cache cannot be written, by others neither.
    pub fn hold(&self) -> Option<()> {
        let take = || self.noted(Lock::share(&place::lock(self.root()?)));
        self.held.get_or_init(take).as_ref().map(drop)
    }

    fn path(&self, kind: Kind, key: &Digest) -> Option<PathBuf> {
        // Forms do not meet, for a name is of one form.
        let name = digest::of_parts([FORM, kind.folder(), &key.hex()].map(str::as_bytes));
        self.root().map(|root| root.join(kind.folder()).join(name.hex()))
    }

    /// Where a program of this name, version included, is installed for the
    /// tool's own use, whether or not it is there already.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        self.root().map(|root| root.join(TOOLS).join(name))
    }

    /// Where tools are installed: a folder that can be written; an error says why there is none.
    pub fn tools(&self) -> Result<PathBuf> {
        self.held_folder(TOOLS).with_context(|| {
            let why = self.trouble.get().map_or("there is no cache folder", |why| why);
            format!("find a place for tools: {why}")
        })
    }

    /// Keeps others from installing tools. `waiting` is told that somebody does.
    pub fn lock_tools(&self, waiting: impl FnMut(&str)) -> Result<Lock> {
        let root = self.root().context("find the cache folder")?;
        Lock::acquire(&place::tools_lock(root), "setup", waiting)
    }

    /// Where the advisories of a repository are kept.
    pub fn advisories(&self, url: &str) -> Option<PathBuf> {
        let name = Digest::of(url.as_bytes()).hex();
        self.root().map(|root| root.join(ADVISORIES).join(&name[..16]))
    }

    /// Whether databases of advisories can be kept.
    pub fn keeps_advisories(&self) -> bool {
        self.held_folder(ADVISORIES).is_some()
    }

    /// Forgets everything, once nobody uses it: `waiting` is told that somebody does.
    pub fn clear(&self, waiting: impl FnMut(&str)) -> Result<()> {
        let Some(root) = self.root() else { return Ok(()) };
        if !files::exists(root)? {
            return Ok(());
        }
        let _lock = Lock::acquire(&place::lock(root), "clean", waiting)?;
        place::clear(root)
    }

    /// Writes the content kept under the key to `to` and returns its digest and
    /// size; `None` where there is none, or none that is what it says: then
    /// what `to` holds is worth nothing.
    pub fn get(&self, kind: Kind, key: &Digest, to: impl Write) -> Result<Option<(Digest, u64)>> {
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
                used(&file, TOUCH_EVERY);
                Ok(Some((digest, size)))
            }
            // Whatever it is: it is in the way of one that is right.
            _ => {
                self.noted(files::remove_file(&path));
                Ok(None)
            }
        }
    }

    /// Keeps the content, whose digest is known, under the key. An error is one of reading
    /// the content; a cache that cannot be written is no failure.
    pub fn put(
        &self,
        kind: Kind,
        key: &Digest,
        digest: &Digest,
        mut content: impl Read,
    ) -> Result<()> {
        let (Some(root), Some(path)) = (self.root(), self.path(kind, key)) else { return Ok(()) };
        // Who cleans the cache at the same time would leave a part of it, without its mark.
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

    /// Where blobs are kept. Those that nobody needs any more go first.
    pub fn blobs(&self) -> Result<Blobs> {
        let dir = self.root().map(|root| root.join(BLOBS));
        if let (Some(root), Some(dir)) = (self.root(), self.folder(BLOBS))
            && self.held.get().is_none()
        {
            // A run that reads one of them has the lock; then it is another run that prunes.
            let alone = Lock::try_acquire(&place::lock(root));
            self.noted(alone.and_then(|alone| alone.map_or(Ok(()), |_lock| prune(&dir))));
        }
        let is_writable = self.held_folder(BLOBS).is_some();
        match dir {
            Some(dir) => Ok(Blobs::kept(dir, is_writable, self.trouble.clone())),
            None => Blobs::passing(self.trouble.clone()),
        }
    }
}

/// What an entry starts with, before its content's digest: what it is, and of what.
fn head(kind: Kind, key: &Digest) -> String {
    format!("{FORM} {} {}\n", kind.folder(), key.hex())
}

/// Reads an entry that begins with `head` and hands on what it holds, as long as that is
/// wanted. Returns the file and the digest that it names; `None` where there is no file.
fn read_entry(
    path: &Path,
    head: &str,
    mut wanted: impl FnMut(&[u8]) -> bool,
) -> Result<Option<(File, [u8; 64])>> {
    let Some(mut file) = files::open_own(path)? else { return Ok(None) };
    let context = || format!("read {}", path.display());
    let mut begins = vec![0; head.len() + 65];
    file.read_exact(&mut begins).with_context(context)?;
    let (begins, rest) = begins.split_at(head.len());
    let digest =
        rest.first_chunk::<64>().filter(|_| begins == head.as_bytes() && rest[64] == b'\n');
    let Some(digest) = digest.copied() else { bail!("{}: it is another entry", context()) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).with_context(context)?;
        if read == 0 || !wanted(&buffer[..read]) {
            return Ok(Some((file, digest)));
        }
    }
}

/// Marks a file as used now. Whom it does not belong to cannot, and then it is made anew
/// when it has become too old, which loses nothing.
fn used(file: &File, every: Duration) {
    let modified = file.metadata().and_then(|meta| meta.modified());
    if modified.is_ok_and(|modified| !files::is_lately(modified, every)) {
        drop(files::touch(file));
    }
}

fn note(trouble: &Trouble, error: &anyhow::Error) {
    trouble.get_or_init(|| finding::said(error).0);
}

/// Removes what is too old, then the least lately used until the rest is small enough, of
/// what has the names of entries. Looks at most once a day.
fn prune(dir: &Path) -> Result<()> {
    let mark = dir.join(PRUNED);
    let is_pruned = |mark: &files::Entry| files::is_lately(mark.modified, PRUNE_EVERY);
    // What a link leads to is not ours.
    if files::list_one(&mark)?.as_ref().is_some_and(is_pruned) || !files::is_own_dir(dir) {
        return Ok(());
    }
    files::write(&mark, b"")?;
    let mut entries = files::list(dir)?;
    // The mark was written just now: its time is that of the file system, which
    // need not be this machine's.
    let now = entries.iter().find(|entry| entry.path == mark).map(|mark| mark.modified);
    let now = now.with_context(|| format!("find {}", mark.display()))?;
    entries.retain(|entry| entry.kind == EntryKind::File);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
    let mut kept = 0;
    for entry in entries {
        let older = |than| now.duration_since(entry.modified).is_ok_and(|age| age > than);
        let finished = place::is_entry(&entry.path);
        // When one was used that a wrong clock dated is not known: it is old, or used again.
        let ahead = entry.modified.duration_since(now).is_ok_and(|ahead| ahead > PRUNE_EVERY);
        let old = finished && (older(MAX_AGE) || ahead);
        // What another run is writing is not counted, and what a killed one left goes when
        // nobody can be writing it any more.
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
