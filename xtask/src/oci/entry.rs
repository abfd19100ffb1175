//! The entries of the layers that are made here.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::digest::Digest;
use crate::files;

/// One entry of a layer. `path` is relative to the root, and neither begins nor ends with
/// `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerEntry {
    pub path: String,
    pub node: Node,
    /// Permission bits and the sticky bit.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970. It is 0 but for folders of a base, so that a layer of the same
    /// files is the same in every commit, as with ko and distroless.
    pub time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Dir,
    File(Content),
    /// The target as it is written, relative to the link or absolute.
    Symlink(String),
    /// The path of an earlier entry of the same layer.
    Hardlink(String),
}

/// A file's bytes, or where they are and what they must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Bytes(Cow<'static, [u8]>),
    File { path: PathBuf, digest: Digest, size: u64 },
}

impl Content {
    /// The file as it is now. The path has no links.
    pub fn of(path: &Path) -> Result<Content> {
        let context = || format!("read {}", path.display());
        let file = files::open_resolved(path)?;
        let size = file.metadata().with_context(context)?.len();
        let digest = Digest::of_reader(file).with_context(context)?;
        Ok(Content::File { path: path.to_owned(), digest, size })
    }

    pub fn digest(&self) -> Digest {
        match self {
            Content::Bytes(bytes) => Digest::of(bytes),
            Content::File { digest, .. } => *digest,
        }
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File { size, .. } => *size,
        }
    }

    /// A reader of the bytes. Bytes that were added to a file since are left out.
    pub fn open(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Content::Bytes(bytes) => Box::new(&bytes[..]),
            Content::File { path, size, .. } => Box::new(files::open_regular(path)?.take(*size)),
        })
    }
}
