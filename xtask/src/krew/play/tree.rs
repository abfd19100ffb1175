//! A folder of files in memory: what a file system would hold, without its contents.

use std::collections::BTreeMap;

/// A file or a folder. Names are bytes, as Linux has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File(File),
    Folder(BTreeMap<Vec<u8>, Node>),
}

/// What counts of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// The permissions.
    pub mode: u32,
    /// Whether its content is the path that a link of a zip leads to.
    pub was_link: bool,
}

/// A file stands where a folder would have to: a file system returns ENOTDIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTheWay;

impl Node {
    pub fn empty() -> Node {
        Node::Folder(BTreeMap::new())
    }

    /// What stands at a path below this one.
    pub fn get(&self, path: &[Vec<u8>]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| match node {
            Node::Folder(entries) => entries.get(name),
            Node::File(_) => None,
        })
    }

    /// Takes what stands at a path, which must not be empty.
    pub fn take(&mut self, path: &[Vec<u8>]) -> Option<Node> {
        let (last, folders) = path.split_last()?;
        let folder = folders.iter().try_fold(self, |node, name| match node {
            Node::Folder(entries) => entries.get_mut(name),
            Node::File(_) => None,
        })?;
        match folder {
            Node::Folder(entries) => entries.remove(last),
            Node::File(_) => None,
        }
    }

    /// The entries of the folder at a path, which is made where it is not there, with all
    /// above it, and how many folders were made.
    pub fn make_folder(
        &mut self,
        path: &[Vec<u8>],
    ) -> Result<(&mut BTreeMap<Vec<u8>, Node>, usize), InTheWay> {
        let mut made = 0;
        let mut entries = match self {
            Node::Folder(entries) => entries,
            Node::File(_) => return Err(InTheWay),
        };
        for name in path {
            let next = entries.entry(name.clone()).or_insert_with(|| {
                made += 1;
                Node::empty()
            });
            entries = match next {
                Node::Folder(entries) => entries,
                Node::File(_) => return Err(InTheWay),
            };
        }
        Ok((entries, made))
    }

    /// Moves a node to a path, as krew's `renameOrCopy` does: a folder that stands there
    /// goes with all that it holds, a file is replaced by a file alone. Returns whether
    /// something stood there.
    /// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/move.go>
    pub fn put(&mut self, path: &[Vec<u8>], node: Node) -> Result<bool, InTheWay> {
        let in_the_way =
            |there: Option<&Node>| matches!((there, &node), (Some(Node::File(_)), Node::Folder(_)));
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

    /// Whether a file of the folder, at any depth, has a name of which this is true.
    pub fn any_file(&self, of: &impl Fn(&[u8]) -> bool) -> bool {
        let Node::Folder(entries) = self else { return false };
        entries.iter().any(|(name, node)| match node {
            Node::File(_) => of(name),
            folder => folder.any_file(of),
        })
    }

    /// The names in the folder; none for a file.
    pub fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        let entries = match self {
            Node::Folder(entries) => Some(entries),
            Node::File(_) => None,
        };
        entries.into_iter().flatten().map(|(name, _)| name)
    }
}

/// A path without what says nothing, relative to a folder; `None` where it leads out of it.
/// It is resolved by its text alone, like Go's `filepath.Clean`, which an absolute path does
/// not leave either, as krew joins it to the folder first.
pub fn inside(path: &str) -> Option<Vec<Vec<u8>>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name.as_bytes().to_vec()),
        }
    }
    // krew takes a name that begins with two dots for a way out as well.
    // <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/pathutil/pathutil.go>
    (!parts.first().is_some_and(|first| first.starts_with(b".."))).then_some(parts)
}

/// Go's `filepath.Clean`, which krew wants a `to` to be the result of.
/// <https://pkg.go.dev/path/filepath#Clean>
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            name => parts.push(name),
        }
    }
    match (absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned, is_inside) in [
            ("", ".", true),
            (".", ".", true),
            ("./a", "a", true),
            ("a/", "a", true),
            ("a//b/./c", "a/b/c", true),
            ("a/../b", "b", true),
            ("a/..", ".", true),
            ("/", "/", true),
            ("/a", "/a", true),
            ("/..", "/", false),
            ("..", "..", false),
            ("../a", "../a", false),
            ("a/../../b", "../b", false),
            ("../../a/..", "../..", false),
            ("..a", "..a", false),
            ("a/..b", "a/..b", true),
            ("...", "...", false),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
            assert_eq!(inside(path).is_some(), is_inside, "{path:?}");
        }
    }
}
