//! Work that need not be done again, kept under the user's cache folder.
//!
//! An entry is a file named by the digest of everything that it depends on. It
//! starts with the digest of its content, and one that does not match is not
//! used: disks fail, and runs are killed.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::{NamedTempFile, TempDir};

use crate::digest::{Digest, HashingWriter};
use crate::files;

/// Entries unused for this long go first.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What all entries of one kind may take together, in bytes.
const MAX_SIZE: u64 = 2 << 30;
/// How often age and size are looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A blob that was used within this time may be in use by another run.
const IN_USE: Duration = Duration::from_secs(600);
/// A file of this size is reason enough to look at all, in bytes.
const LARGE: u64 = 64 << 20;
/// A use is noted at most this often, so that a hit stays cheap.
const TOUCH_EVERY: Duration = Duration::from_secs(3600);

/// The user's cache folder; `None` where none is wanted.
#[derive(Clone, Debug)]
pub struct Cache {
    root: Option<PathBuf>,
}

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
    /// A cache below `root`, which is made when something is first kept.
    pub fn at(root: &Path) -> Cache {
        Cache { root: Some(root.to_owned()) }
    }

    /// A cache that keeps nothing and finds nothing.
    pub fn none() -> Cache {
        Cache { root: None }
    }

    fn path(&self, kind: Kind, key: &Digest) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(kind.folder()).join(key.hex()))
    }

    /// Where a program of this name, version included, is installed for the
    /// tool's own use, whether or not it is there already.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(TOOLS).join(name))
    }

    /// Where the advisories of a repository are kept.
    pub fn advisories(&self, url: &str) -> Option<PathBuf> {
        let name = Digest::of(url.as_bytes()).hex();
        self.root.as_ref().map(|root| root.join(ADVISORIES).join(&name[..16]))
    }

    /// Forgets everything.
    pub fn clear(&self) -> Result<()> {
        match &self.root {
            // Only what is ours: the folder may have been named by hand.
            Some(root) => {
                let mut folders =
                    KINDS.iter().map(|kind| kind.folder()).chain([TOOLS, BLOBS, ADVISORIES]);
                folders.try_for_each(|folder| files::remove(&root.join(folder)))
            }
            None => Ok(()),
        }
    }

    /// Writes the content kept under the key to `to` and returns its digest and
    /// size; `None` where there is none, or none that matches its digest: then
    /// what `to` holds is worth nothing.
    pub fn get(&self, kind: Kind, key: &Digest, to: impl Write) -> Result<Option<(Digest, u64)>> {
        let Some(path) = self.path(kind, key) else {
            return Ok(None);
        };
        let context = || format!("read {}", path.display());
        let Some(mut file) = files::open_if_there(&path)? else {
            return Ok(None);
        };
        let mut expected = [0; 64];
        let headed = file.read_exact(&mut expected).is_ok();
        let mut to = HashingWriter::new(to);
        std::io::copy(&mut file, &mut to).with_context(context)?;
        let (_, digest, size) = to.finish();
        if !headed || digest.hex().as_bytes() != expected {
            files::remove(&path)?;
            return Ok(None);
        }
        if files::list_one(&path)?.is_some_and(|entry| files::age(entry.modified) > TOUCH_EVERY) {
            files::touch(&path)?;
        }
        Ok(Some((digest, size)))
    }

    /// Keeps the content, whose digest is known, under the key.
    pub fn put(
        &self,
        kind: Kind,
        key: &Digest,
        digest: &Digest,
        mut content: impl Read,
    ) -> Result<()> {
        let Some(path) = self.path(kind, key) else {
            return Ok(());
        };
        let dir = path.parent().context("find the cache folder")?;
        files::make_dir(dir)?;
        prune(dir, false)?;
        let mut file = files::temporary(dir)?;
        let context = || format!("write {}", path.display());
        file.write_all(digest.hex().as_bytes()).with_context(context)?;
        std::io::copy(&mut content, &mut file).with_context(context)?;
        files::persist(file, &path)
    }
}

/// The finished blobs of images: files named by the digest of their content, so that
/// whoever needs one reads it in place. Without a cache they last as long as this.
#[derive(Debug)]
pub struct Blobs {
    dir: PathBuf,
    _temporary: Option<TempDir>,
}

impl Cache {
    /// Where blobs are kept.
    pub fn blobs(&self) -> Result<Blobs> {
        let Some(root) = &self.root else {
            let temporary = files::temporary_dir()?;
            return Ok(Blobs { dir: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        let dir = root.join(BLOBS);
        files::make_dir(&dir)?;
        prune(&dir, false)?;
        Ok(Blobs { dir, _temporary: None })
    }
}

impl Blobs {
    /// The folder, for temporary files that are to be kept.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.hex())
    }

    /// Gives a finished file, whose digest is known, its name.
    pub fn keep(&self, file: NamedTempFile, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        files::persist(file, &path)?;
        let large = files::list_one(&path)?.is_some_and(|entry| entry.size > LARGE);
        if large { prune(&self.dir, true) } else { Ok(()) }
    }

    /// Whether the blob is there and is what its name says; one that isn't goes.
    pub fn verify(&self, digest: &Digest, size: u64) -> Result<bool> {
        let path = self.path(digest);
        let Some(entry) = files::list_one(&path)? else {
            return Ok(false);
        };
        // Another run may have removed it since.
        let Some(file) = files::open_if_there(&path)? else {
            return Ok(false);
        };
        let found = Digest::of_reader(file).with_context(|| format!("read {}", path.display()))?;
        if found != *digest {
            files::remove(&path)?;
            return Ok(false);
        }
        // What somebody says of its size is no reason to lose it.
        if entry.size != size {
            return Ok(false);
        }
        if files::age(entry.modified) > IN_USE / 2 {
            files::touch(&path)?;
        }
        Ok(true)
    }
}

/// Removes what is too old, then the least lately used until the rest is small
/// enough. Looks at most once a day, unless it must look `now`.
fn prune(dir: &Path, now: bool) -> Result<()> {
    let mark = dir.join("pruned");
    let lately =
        files::list_one(&mark)?.is_some_and(|mark| files::age(mark.modified) < PRUNE_EVERY);
    if lately && !now {
        return Ok(());
    }
    files::write(&mark, b"")?;
    let mut entries = files::list(dir)?;
    // The mark was written just now: its time is that of the file system, which
    // need not be this machine's.
    let now = entries.iter().find(|entry| entry.path == mark).map(|mark| mark.modified);
    let now = now.with_context(|| format!("find {}", mark.display()))?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
    let mut kept = 0;
    for entry in entries {
        let older = |than| now.duration_since(entry.modified).is_ok_and(|age| age > than);
        let old = older(MAX_AGE);
        // What another run is writing is not counted, and what a killed one left goes when
        // nobody can be writing it any more.
        let finished = !files::is_temporary(&entry.path);
        let left = !finished && older(PRUNE_EVERY);
        kept += if finished { entry.size } else { 0 };
        if old || left || (finished && kept > MAX_SIZE && older(IN_USE)) {
            files::remove(&entry.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &Cache, key: &Digest) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        cache.get(Kind::Graph, key, &mut bytes).unwrap().map(|_| bytes)
    }

    #[test]
    fn what_was_kept_comes_back_and_what_was_spoilt_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        assert_eq!(kept(&cache, &one), None);
        cache.put(Kind::Graph, &one, &Digest::of(b"content"), &b"content"[..]).unwrap();
        assert_eq!(kept(&cache, &one).unwrap(), b"content");
        assert_eq!(kept(&cache, &two), None);
        for spoilt in [&b""[..], b"short", &[b'0'; 80]] {
            let path = cache.path(Kind::Graph, &one).unwrap();
            files::write(&path, spoilt).unwrap();
            assert_eq!(kept(&cache, &one), None);
            assert!(!path.exists());
        }
        assert_eq!(kept(&Cache::none(), &one), None);
    }

    #[test]
    fn the_least_lately_used_goes_when_a_kind_has_grown_too_old() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        files::write(&old, b"x").unwrap();
        files::write(&new, b"x").unwrap();
        files::set_age(&old, MAX_AGE + TOUCH_EVERY).unwrap();
        prune(dir.path(), false).unwrap();
        assert!(!old.exists() && new.exists());
        // Within the day nothing is looked at again.
        files::set_age(&new, MAX_AGE + TOUCH_EVERY).unwrap();
        prune(dir.path(), false).unwrap();
        assert!(new.exists());
    }

    #[test]
    fn blobs_are_bounded_by_age_and_by_size_and_those_in_the_making_stay() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let blobs = cache.blobs().unwrap();
        let blob = |name: &str, size: u64, age: Duration| {
            let file = files::temporary(blobs.dir()).unwrap();
            file.as_file().set_len(size).unwrap();
            blobs.keep(file, &Digest::of(name.as_bytes())).unwrap();
            files::set_age(&blobs.path(&Digest::of(name.as_bytes())), age).unwrap();
        };
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        blob("half", MAX_SIZE / 2, hours(2));
        blob("the other half", MAX_SIZE / 2, hours(3));
        blob("too old", 1, MAX_AGE + TOUCH_EVERY);
        blob("too much", 1, hours(9));
        // What another run may be reading stays, however much there is.
        blob("in use", 1, Duration::ZERO);
        let making = files::temporary(blobs.dir()).unwrap();
        making.as_file().set_len(MAX_SIZE).unwrap();
        let kept = || {
            let names = ["too old", "too much", "half", "the other half", "in use"];
            let path = |name: &&&str| blobs.path(&Digest::of(name.as_bytes()));
            names.iter().filter(|name| path(name).exists()).copied().collect::<Vec<_>>()
        };
        files::set_age(&blobs.dir().join("pruned"), PRUNE_EVERY + hours(1)).unwrap();
        cache.blobs().unwrap();
        assert_eq!(kept(), ["half", "in use"]);
        assert!(making.path().exists());
        // What a killed run left goes when it is forgotten.
        files::set_age(making.path(), MAX_AGE + TOUCH_EVERY).unwrap();
        files::set_age(&blobs.dir().join("pruned"), PRUNE_EVERY + hours(1)).unwrap();
        cache.blobs().unwrap();
        assert!(!making.path().exists());
    }

    #[test]
    fn a_blob_that_was_damaged_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Cache::at(dir.path()).blobs().unwrap();
        let digest = Digest::of(b"content");
        let path = blobs.path(&digest);
        assert!(!blobs.verify(&digest, 7).unwrap());
        for spoilt in [&b""[..], b"conten", b"content ", b"contenT"] {
            files::write(&path, spoilt).unwrap();
            assert!(!blobs.verify(&digest, 7).unwrap());
            assert!(!path.exists());
        }
        files::write(&path, b"content").unwrap();
        files::set_age(&path, MAX_AGE).unwrap();
        assert!(blobs.verify(&digest, 7).unwrap());
        // It was used, and so is young again.
        let entry = files::list_one(&path).unwrap().unwrap();
        assert!(files::age(entry.modified) < TOUCH_EVERY);
        assert!(!blobs.verify(&digest, 8).unwrap());
    }
}
