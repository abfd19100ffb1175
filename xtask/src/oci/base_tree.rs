//! The tree of a base: the folders, links and files that its containers see. Layers on top of
//! it repeat its folders and follow its links.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::entry::{LayerEntry, Node};
use super::limits;

mod apply;
mod store;

pub use store::{keep, kept};

/// The version of what is kept. It is raised when the same layers give another tree.
pub const FORMAT: &str = "1";

/// A tree below a root, without the contents of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    root: Dir,
    /// Whether a layer has an entry for the root itself.
    rooted: bool,
    /// What was read of layers, against the limits.
    read: Read,
}

/// How much was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Read {
    members: u64,
    /// Of all members but the last, whose content is only known to be there when another
    /// follows.
    size: u64,
    last: u64,
    folders: usize,
    names: usize,
}

/// A folder's mode, owner and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub time: u64,
}

/// What engines make of a folder that no layer has an entry for.
impl Default for Folder {
    fn default() -> Folder {
        Folder { mode: 0o755, uid: 0, gid: 0, time: 0 }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Dir {
    folder: Folder,
    below: BTreeMap<Box<[u8]>, Named>,
    /// All other entries, by their names' digests, because there may be very many.
    files: BTreeMap<u64, u16>,
    /// The last layer that has an entry for it, from 1 on.
    layer: u16,
    /// The layer that removed all that lower layers have in it.
    cleared: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Dir(Box<Dir>),
    Link { target: Box<[u8]>, layer: u16 },
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Folder(Folder),
    Link,
    /// A file, a device or a fifo.
    File,
}

/// Why a path does not lead to a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Something that is not a folder is on the way, at this path.
    File(String),
    /// Links form a loop; this is one of them.
    Endless(String),
    /// A link leads to a name that is not UTF-8.
    NotText(String),
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Without links as far as the tree has it, and as it was written from there on.
    pub path: String,
    /// The paths of the links that were followed.
    pub through: Vec<String>,
}

impl Tree {
    /// The tree of a base that is made here. Folders come before what is in them.
    pub fn of(entries: &[LayerEntry]) -> Tree {
        let mut tree = Tree::default();
        for entry in entries {
            let (dir, name) = split(entry.path.as_bytes());
            let dir = tree.root.make(dir, 1);
            match &entry.node {
                Node::Dir => dir.make_folder(name, 1).folder = entry.folder(),
                Node::Symlink(target) => dir.link(name, target.as_bytes(), 1),
                Node::File(_) | Node::Hardlink(_) => dir.file(name, 1),
            }
        }
        tree
    }

    /// The root, where a layer has an entry for it.
    pub fn root(&self) -> Option<Folder> {
        self.rooted.then_some(self.root.folder)
    }

    /// What is at a path that has no link on its way.
    pub fn at(&self, path: &str) -> Option<At> {
        let (dir, name) = split(path.as_bytes());
        if name.is_empty() {
            return Some(At::Folder(self.root.folder));
        }
        self.root.find(dir)?.at(name)
    }

    /// Where the path of a folder leads. Links are followed as in a container, where none leads
    /// out of the root.
    pub fn resolve(&self, path: &str) -> Result<Resolved, Blocked> {
        let mut here = path.as_bytes().to_vec();
        let mut through: Vec<String> = Vec::new();
        // Each round replaces a link, or a `..` of a link's target.
        while through.len() <= limits::LINKS && here.len() <= limits::NAME {
            let followed =
                self.root.follow(&here, &|_| true).map_err(|file| Blocked::File(text(&file)))?;
            let Some(followed) = followed else {
                let last = || Blocked::NotText(through.last().cloned().unwrap_or_default());
                let path = String::from_utf8(plain(&here)).map_err(|_| last())?;
                return Ok(Resolved { path, through });
            };
            through.extend(followed.link.as_deref().map(text));
            here = followed.path;
        }
        Err(Blocked::Endless(through.last().cloned().unwrap_or_default()))
    }
}

impl LayerEntry {
    /// Its mode, owner and time as a folder.
    pub fn folder(&self) -> Folder {
        Folder { mode: self.mode, uid: self.uid, gid: self.gid, time: self.time }
    }
}

/// A path with its first link or `..` replaced.
struct Followed {
    path: Vec<u8>,
    /// The link that was followed.
    link: Option<Vec<u8>>,
}

impl Dir {
    fn find(&self, path: &[u8]) -> Option<&Dir> {
        parts(path).try_fold(self, |dir, part| match dir.below.get(part) {
            Some(Named::Dir(dir)) => Some(&**dir),
            _ => None,
        })
    }

    fn at(&self, name: &[u8]) -> Option<At> {
        match self.below.get(name) {
            Some(Named::Dir(dir)) => Some(At::Folder(dir.folder)),
            Some(Named::Link { .. }) => Some(At::Link),
            None => self.files.contains_key(&short(name)).then_some(At::File),
        }
    }

    /// Replaces the path's first link that is to be followed, or its first `..`. `None` where
    /// there is neither. The error is the path of a file on the way.
    fn follow(&self, path: &[u8], of: &dyn Fn(u16) -> bool) -> Result<Option<Followed>, Vec<u8>> {
        let mut dir = Some(self);
        let mut done: Vec<&[u8]> = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let part = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            match part {
                b"" | b"." => continue,
                b".." => {
                    done.pop();
                    let path = [&done.join(&b'/')[..], rest].join(&b'/');
                    return Ok(Some(Followed { path, link: None }));
                }
                _ => {}
            }
            match dir.map(|dir| (dir.below.get(part), dir)) {
                Some((Some(Named::Dir(below)), _)) => dir = Some(below),
                Some((Some(Named::Link { target, layer }), _)) if of(*layer) => {
                    let from = if target.starts_with(b"/") { Vec::new() } else { done.join(&b'/') };
                    let path = [&from[..], target, rest].join(&b'/');
                    done.push(part);
                    return Ok(Some(Followed { path, link: Some(done.join(&b'/')) }));
                }
                Some((None, at)) if at.files.contains_key(&short(part)) => {
                    done.push(part);
                    return Err(done.join(&b'/'));
                }
                _ => dir = None,
            }
            done.push(part);
        }
        Ok(None)
    }

    /// The folder at the path, made if it is missing.
    fn make(&mut self, path: &[u8], layer: u16) -> &mut Dir {
        parts(path).fold(self, |dir, part| dir.make_folder(part, layer))
    }

    /// The folder of that name, made if it is missing or not a folder.
    fn make_folder(&mut self, name: &[u8], layer: u16) -> &mut Dir {
        if !self.below.contains_key(name) {
            self.files.remove(&short(name));
            self.below.insert(name.into(), Named::Dir(Box::new(Dir::new(layer))));
        }
        let named = self.below.get_mut(name).expect("it was there, or was inserted");
        if let Named::Link { .. } = named {
            *named = Named::Dir(Box::new(Dir::new(layer)));
        }
        match named {
            Named::Dir(dir) => dir,
            Named::Link { .. } => unreachable!("a link was replaced"),
        }
    }

    fn link(&mut self, name: &[u8], target: &[u8], layer: u16) {
        self.files.remove(&short(name));
        self.below.insert(name.into(), Named::Link { target: target.into(), layer });
    }

    fn file(&mut self, name: &[u8], layer: u16) {
        self.below.remove(name);
        self.files.insert(short(name), layer);
    }

    fn new(layer: u16) -> Dir {
        Dir { layer, cleared: layer, ..Dir::default() }
    }
}

/// The first 64 bits of a name's SHA-256: a million names have no two alike.
fn short(name: &[u8]) -> u64 {
    let digest = Sha256::digest(name);
    u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn plain(path: &[u8]) -> Vec<u8> {
    parts(path).collect::<Vec<_>>().join(&b'/')
}

/// The folder that a path is in, and its last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests;
