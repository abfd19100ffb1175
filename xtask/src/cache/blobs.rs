//! The finished blobs of images.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use tempfile::{NamedTempFile, TempDir};

use super::{PRUNE_EVERY, PRUNED, TOUCH_EVERY, Trouble, note, used};
use crate::digest::Digest;
use crate::files;

/// A file of this size is reason enough for the next run to look at all, in bytes.
const LARGE: u64 = 64 << 20;

/// The finished blobs of images: files named by the digest of their content, so that
/// whoever needs one reads it in place. Without a cache, or where it takes none, they are in
/// a temporary folder and last as long as this.
#[derive(Debug)]
pub struct Blobs {
    dir: PathBuf,
    is_writable: bool,
    /// What the folder does not take.
    others: OnceLock<TempDir>,
    trouble: Trouble,
    _passing: Option<TempDir>,
}

impl Blobs {
    /// Those in a folder of the cache.
    pub(super) fn kept(dir: PathBuf, is_writable: bool, trouble: Trouble) -> Blobs {
        Blobs { dir, is_writable, others: OnceLock::new(), trouble, _passing: None }
    }

    /// Those that nobody keeps.
    pub(super) fn passing(trouble: Trouble) -> Result<Blobs> {
        let passing = files::temporary_dir()?;
        let dir = passing.path().to_owned();
        let others = OnceLock::new();
        Ok(Blobs { dir, is_writable: true, others, trouble, _passing: Some(passing) })
    }

    /// Where the blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let other = self.others.get().map(|dir| dir.path().join(digest.hex()));
        other.filter(|path| path.exists()).unwrap_or_else(|| self.dir.join(digest.hex()))
    }

    /// Has a blob made, which `make` writes to a file and names the digest of, and gives it
    /// its name. Where the cache does not take it, it is made again, in a temporary folder.
    pub fn make<T>(
        &self,
        make: impl Fn(NamedTempFile) -> Result<(NamedTempFile, Digest, T)>,
    ) -> Result<T> {
        let in_dir = |dir: &Path| {
            let (file, digest, made) = make(files::temporary(dir)?)?;
            let path = dir.join(digest.hex());
            let size = file.as_file().metadata().map(|meta| meta.len());
            files::persist(file, &path)?;
            Ok((made, size.with_context(|| format!("look at {}", path.display()))?))
        };
        let refused = match self.is_writable.then(|| in_dir(&self.dir)) {
            Some(Ok((made, size))) => {
                if size > LARGE {
                    self.look_at_all();
                }
                return Ok(made);
            }
            Some(Err(error)) if !files::is_refused(&error) => return Err(error),
            refused => refused.and_then(Result::err),
        };
        let (made, _) = in_dir(self.others()?)?;
        // With a folder that takes it the fault is the cache's.
        refused.iter().for_each(|error| note(&self.trouble, error));
        Ok(made)
    }

    fn others(&self) -> Result<&Path> {
        if self.others.get().is_none() {
            // Another thread may be as fast, and then its folder is the one.
            drop(self.others.set(files::temporary_dir()?));
        }
        self.others.get().map(TempDir::path).ok_or_else(|| anyhow!("make a temporary folder"))
    }

    /// Has the next run look at age and size, whenever they were looked at.
    fn look_at_all(&self) {
        // Where there is no mark the next run looks anyway.
        drop(files::set_age(&self.dir.join(PRUNED), 2 * PRUNE_EVERY));
    }

    /// Whether the blob is there and is what its name says; one that isn't goes.
    pub fn verify(&self, digest: &Digest, size: u64) -> Result<bool> {
        let path = self.path(digest);
        let found = match files::open_own(&path) {
            Ok(None) => return Ok(false),
            Ok(Some(file)) => Digest::of_reader(&file).map(|found| (file, found)).ok(),
            Err(_) => None,
        };
        match found {
            Some((file, found)) if found == *digest => {
                // What somebody says of its size is no reason to lose it.
                let is_whole = file.metadata().is_ok_and(|meta| meta.len() == size);
                if is_whole {
                    used(&file, TOUCH_EVERY);
                }
                Ok(is_whole)
            }
            // Whatever it is: it is in the way of one that is right.
            _ => {
                if let Err(error) = files::remove_file(&path) {
                    note(&self.trouble, &error);
                }
                Ok(false)
            }
        }
    }
}
