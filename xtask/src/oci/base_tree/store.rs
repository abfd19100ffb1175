//! Trees in the cache: numbers are little-endian, names have their lengths before them, and
//! each folder is followed by what is in it.

use anyhow::{Context, Result};

use super::{Dir, Folder, Named, Tree};
use crate::cache::{Cache, CacheKind};
use crate::digest::Digest;
use crate::oci::limits;

/// The tree that the cache has under the key; `None` where there is none, or another version
/// wrote it.
pub fn kept(cache: &Cache, key: &Digest) -> Result<Option<Tree>> {
    let mut bytes = Vec::new();
    if cache.get(CacheKind::Layer, key, &mut bytes)?.is_none() {
        return Ok(None);
    }
    Ok(Tree::read(&bytes))
}

/// Keeps the tree under the key.
pub fn keep(tree: &Tree, cache: &Cache, key: &Digest) -> Result<()> {
    let bytes = tree.written().context("write the base's tree")?;
    cache.put(CacheKind::Layer, key, &Digest::of(&bytes), &bytes[..])
}

impl Tree {
    /// Reads a tree. `None` where the bytes are not one.
    pub fn read(bytes: &[u8]) -> Option<Tree> {
        let mut rest = bytes;
        let rooted = number::<1>(&mut rest)? == 1;
        let root = dir(&mut rest, 0)?;
        rest.is_empty().then(|| Tree { root, rooted, ..Tree::default() })
    }

    pub fn written(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![u8::from(self.rooted)];
        write(&self.root, &mut bytes)?;
        Ok(bytes)
    }
}

fn write(dir: &Dir, to: &mut Vec<u8>) -> Result<()> {
    let Folder { mode, uid, gid, time } = dir.folder;
    [mode, uid, gid].iter().for_each(|number| to.extend(number.to_le_bytes()));
    to.extend(time.to_le_bytes());
    to.extend(u32::try_from(dir.files.len())?.to_le_bytes());
    dir.files.keys().for_each(|file| to.extend(file.to_le_bytes()));
    to.extend(u32::try_from(dir.below.len())?.to_le_bytes());
    for (name, named) in &dir.below {
        text(name, to)?;
        match named {
            Named::Dir(dir) => {
                to.push(0);
                write(dir, to)?;
            }
            Named::Link { target, .. } => {
                to.push(1);
                text(target, to)?;
            }
        }
    }
    Ok(())
}

fn text(text: &[u8], to: &mut Vec<u8>) -> Result<()> {
    to.extend(u32::try_from(text.len())?.to_le_bytes());
    to.extend(text);
    Ok(())
}

fn dir(rest: &mut &[u8], depth: usize) -> Option<Dir> {
    if depth > limits::BASE_DEPTH {
        return None;
    }
    let mut small = || Some(number::<4>(rest)? as u32);
    let (mode, uid, gid) = (small()?, small()?, small()?);
    let folder = Folder { mode, uid, gid, time: number::<8>(rest)? };
    let mut dir = Dir { folder, ..Dir::default() };
    for _ in 0..number::<4>(rest)? {
        dir.files.insert(number::<8>(rest)?, 0);
    }
    for _ in 0..number::<4>(rest)? {
        let name = bytes(rest)?.into();
        let named = match number::<1>(rest)? {
            0 => Named::Dir(Box::new(self::dir(rest, depth + 1)?)),
            _ => Named::Link { target: bytes(rest)?.into(), layer: 0 },
        };
        dir.below.insert(name, named);
    }
    Some(dir)
}

fn number<const SIZE: usize>(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_at_checked(SIZE)?;
    *rest = after;
    Some(number.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = usize::try_from(number::<4>(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(size)?;
    *rest = after;
    Some(bytes)
}
