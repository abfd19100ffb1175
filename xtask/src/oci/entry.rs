//! What a layer is made of.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::digest::Digest;
use crate::files;

/// One entry of a layer. `path` is relative to the root, with `/`, and without
/// one at its beginning or end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub node: Node,
    /// Permission bits, with the sticky one.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// In seconds since 1970: 0 for all but what a base has, so that a layer whose files
    /// did not change is the same layer in every commit. ko and distroless have the same.
    pub time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Dir,
    File(Content),
    /// To the target as it is written, relative to the link or absolute.
    Symlink(String),
    /// To the path of an earlier entry of the same layer.
    Hardlink(String),
}

/// A file's bytes, or where they are and which they must be.
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

    /// What gives the bytes, no more of them than there were.
    pub fn open(&self) -> Result<Opened<'_>> {
        Ok(match self {
            Content::Bytes(bytes) => Opened::Bytes(bytes),
            Content::File { path, size, .. } => {
                Opened::File(files::open_regular(path)?.take(*size))
            }
        })
    }
}

pub enum Opened<'a> {
    Bytes(&'a [u8]),
    File(std::io::Take<File>),
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Opened::Bytes(bytes) => bytes.read(buffer),
            Opened::File(file) => file.read(buffer),
        }
    }
}
