//! The blobs of images.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use tempfile::{NamedTempFile, TempDir};

use super::{PRUNE_EVERY, PRUNED, TOUCH_EVERY, Trouble, mark_used, note};
use crate::digest::Digest;
use crate::files;

/// After a blob of this size the next run prunes, whenever the last one did. In bytes.
const LARGE: u64 = 64 << 20;

/// The blobs of images: files named by the digest of their content, so that they can be read in
/// place. Without a writable cache they are in a temporary folder that is removed with this
/// value.
#[derive(Debug)]
pub struct Blobs {
    dir: PathBuf,
    is_writable: bool,
    /// The temporary folder for blobs that the cache could not take.
    others: OnceLock<TempDir>,
    trouble: Trouble,
    _temporary: Option<TempDir>,
}

impl Blobs {
    /// The blobs in a folder of the cache.
    pub(super) fn kept(dir: PathBuf, is_writable: bool, trouble: Trouble) -> Blobs {
        Blobs { dir, is_writable, others: OnceLock::new(), trouble, _temporary: None }
    }

    /// Blobs in a temporary folder.
    pub(super) fn temporary(trouble: Trouble) -> Result<Blobs> {
        let temporary = files::temporary_dir()?;
        let dir = temporary.path().to_owned();
        let others = OnceLock::new();
        Ok(Blobs { dir, is_writable: true, others, trouble, _temporary: Some(temporary) })
    }

    /// The path of a blob, which need not exist.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let other = self.others.get().map(|dir| dir.path().join(digest.hex()));
        other.filter(|path| path.exists()).unwrap_or_else(|| self.dir.join(digest.hex()))
    }

    /// Adds the blob that `make` writes to a file and whose digest it returns. Where the cache
    /// does not take it, it is made again in a temporary folder.
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
                    self.prune_next_time();
                }
                return Ok(made);
            }
            Some(Err(error)) if !files::is_refused(&error) => return Err(error),
            refused => refused.and_then(Result::err),
        };
        let (made, _) = in_dir(self.others()?)?;
        // The temporary folder took it, so the fault is the cache's.
        refused.iter().for_each(|error| note(&self.trouble, error));
        Ok(made)
    }

    fn others(&self) -> Result<&Path> {
        if self.others.get().is_none() {
            // Another thread may have set it first: then its folder is used.
            drop(self.others.set(files::temporary_dir()?));
        }
        self.others.get().map(TempDir::path).ok_or_else(|| anyhow!("make a temporary folder"))
    }

    /// Makes the next run prune, whenever the last one did.
    fn prune_next_time(&self) {
        // Without a mark the next run prunes anyway.
        drop(files::set_age(&self.dir.join(PRUNED), 2 * PRUNE_EVERY));
    }

    /// Whether the blob exists with this digest and size. A damaged one is removed.
    pub fn verify(&self, digest: &Digest, size: u64) -> Result<bool> {
        let path = self.path(digest);
        let found = match files::open_own(&path) {
            Ok(None) => return Ok(false),
            Ok(Some(file)) => Digest::of_reader(&file).map(|found| (file, found)).ok(),
            Err(_) => None,
        };
        match found {
            Some((file, found)) if found == *digest => {
                // A wrong expected size is no reason to remove it.
                let is_whole = file.metadata().is_ok_and(|meta| meta.len() == size);
                if is_whole {
                    mark_used(&file, TOUCH_EVERY);
                }
                Ok(is_whole)
            }
            // A damaged blob, or something else in its place.
            _ => {
                if let Err(error) = files::remove_file(&path) {
                    note(&self.trouble, &error);
                }
                Ok(false)
            }
        }
    }
}
