//! A tree of folders and files in memory: names and modes, without the files' contents.

use std::collections::BTreeMap;

/// How many names a message lists.
const MOST_NAMED: usize = 10;
/// In bytes: of a name in a message.
const LONGEST_QUOTED: usize = 200;

/// A file or a folder. Names are bytes, as Linux has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File(File),
    Folder(BTreeMap<Vec<u8>, Node>),
}

/// What the check needs to know of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// The permissions.
    pub mode: u32,
    /// Whether it was a link in a zip, whose target is now the file's content.
    pub was_link: bool,
}

/// A file is where a folder would have to be: a file system returns ENOTDIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTheWay;

impl Node {
    pub fn empty() -> Node {
        Node::Folder(BTreeMap::new())
    }

    /// The node at a path below this one.
    pub fn get(&self, path: &[Vec<u8>]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.entries()?.get(name))
    }

    fn entries(&self) -> Option<&BTreeMap<Vec<u8>, Node>> {
        match self {
            Node::Folder(entries) => Some(entries),
            Node::File(_) => None,
        }
    }

    fn entries_mut(&mut self) -> Option<&mut BTreeMap<Vec<u8>, Node>> {
        match self {
            Node::Folder(entries) => Some(entries),
            Node::File(_) => None,
        }
    }

    /// Removes the node at a path, which must not be empty, and returns it.
    pub fn take(&mut self, path: &[Vec<u8>]) -> Option<Node> {
        let (last, folders) = path.split_last()?;
        let folder = folders.iter().try_fold(self, |node, name| node.entries_mut()?.get_mut(name));
        folder?.entries_mut()?.remove(last)
    }

    /// The entries of the folder at a path, and how many folders were made: it and its
    /// parents are made where they are missing.
    pub fn make_folder(
        &mut self,
        path: &[Vec<u8>],
    ) -> Result<(&mut BTreeMap<Vec<u8>, Node>, usize), InTheWay> {
        let mut made = 0;
        let mut entries = self.entries_mut().ok_or(InTheWay)?;
        for name in path {
            let next = entries.entry(name.clone()).or_insert_with(|| {
                made += 1;
                Node::empty()
            });
            entries = next.entries_mut().ok_or(InTheWay)?;
        }
        Ok((entries, made))
    }

    /// Moves a node to a path, as krew's `renameOrCopy` does: it replaces a folder with all
    /// of its contents, but only a file replaces a file. Returns whether it replaced something.
    /// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/move.go>
    pub fn put(&mut self, path: &[Vec<u8>], node: Node) -> Result<bool, InTheWay> {
        let in_the_way =
            |old: Option<&Node>| matches!((old, &node), (Some(Node::File(_)), Node::Folder(_)));
        let Some((last, folders)) = path.split_last() else {
            if in_the_way(Some(self)) {
                return Err(InTheWay);
            }
            let empty = *self == Node::empty();
            *self = node;
            return Ok(!empty);
        };
        let (entries, _) = self.make_folder(folders)?;
        if in_the_way(entries.get(last)) {
            return Err(InTheWay);
        }
        Ok(entries.insert(last.clone(), node).is_some())
    }

    /// Whether the folder, at any depth, has a file whose name fulfils `is_wanted`.
    pub fn any_file(&self, is_wanted: &impl Fn(&[u8]) -> bool) -> bool {
        let Node::Folder(entries) = self else { return false };
        entries.iter().any(|(name, node)| match node {
            Node::File(_) => is_wanted(name),
            folder => folder.any_file(is_wanted),
        })
    }

    /// The names in the folder; none for a file.
    pub fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.entries().into_iter().flatten().map(|(name, _)| name)
    }

    /// The first names in the folder, quoted; empty where it has none.
    pub fn first_names(&self) -> String {
        self.names().take(MOST_NAMED).map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}

/// A name for messages: quoted, and cut where it is long.
pub fn quoted(name: &[u8]) -> String {
    let end = name.len().min(LONGEST_QUOTED);
    let dots = if end < name.len() { "..." } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(&name[..end]))
}
