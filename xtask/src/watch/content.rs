//! What files held when they were last looked at: a file that is saved unchanged is no change.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::files::{self, EntryKind};

/// A larger file counts as changed whenever it is written, in bytes.
const LARGEST: u64 = 8 << 20;

/// How much is read to learn what files hold, in bytes.
const MOST: u64 = 256 << 20;

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Nothing,
    Folder,
    /// The digest of a file, and whether it may be started.
    File(Digest, bool),
    /// Something that is not read: it is too large, or cannot be.
    Unread,
}

impl Content {
    /// Looks at a path; links are followed.
    pub fn of(path: &Path) -> Content {
        let entry = match files::list_one(path) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Content::Nothing,
            // Such as a link that leads to itself.
            Err(_) => return Content::Unread,
        };
        match entry.kind {
            EntryKind::Folder => Content::Folder,
            EntryKind::File if entry.size <= LARGEST => Content::read(path),
            EntryKind::File | EntryKind::Other => Content::Unread,
        }
    }

    /// A file that is replaced meanwhile is heard of once more.
    fn read(path: &Path) -> Content {
        let read = || {
            let file = files::open_regular(path)?.take(LARGEST + 1);
            anyhow::Ok(Content::File(Digest::of_reader(file)?, files::is_executable(path)?))
        };
        match read() {
            Ok(content) => content,
            Err(_) if !path.exists() => Content::Nothing,
            Err(_) => Content::Unread,
        }
    }

    pub fn is_there(&self) -> bool {
        !matches!(self, Content::Nothing)
    }

    /// Whether it is known to be the same.
    fn is_same(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Nothing, Content::Nothing) | (Content::Folder, Content::Folder) => true,
            (Content::File(one, may), Content::File(two, also)) => (one, may) == (two, also),
            _ => false,
        }
    }
}

/// What was at paths when they were looked at.
#[derive(Debug, Default)]
pub struct Contents(BTreeMap<PathBuf, Content>);

impl Contents {
    /// Whether a path holds something else than before, which is what it holds now from here on.
    pub fn changed(&mut self, path: &Path, now: Content) -> bool {
        let before = self.0.insert(path.to_owned(), now);
        before.is_none_or(|before| !before.is_same(&now))
    }

    /// Learns what is at these paths, of those that are not known yet.
    pub fn learn<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>) {
        let mut left = MOST;
        for path in paths {
            if self.0.contains_key(path) {
                continue;
            }
            let size = files::list_one(path).ok().flatten().map_or(0, |entry| entry.size);
            if size <= LARGEST {
                let Some(rest) = left.checked_sub(size) else { break };
                left = rest;
            }
            self.0.insert(path.clone(), Content::of(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a");
        let mut contents = Contents::default();
        contents.learn([path.clone()].iter());
        let mut changed = || contents.changed(&path, Content::of(&path));
        assert!(!changed(), "there is still nothing");
        files::write(&path, b"1").unwrap();
        assert!(changed());
        files::write(&path, b"1").unwrap();
        files::set_age(&path, std::time::Duration::from_secs(999)).unwrap();
        assert!(!changed(), "the same in a new file, of another time");
        files::write(&path, b"2").unwrap();
        assert!(changed());
        files::write_program(&path, b"2").unwrap();
        assert_eq!(changed(), cfg!(unix), "it may be started now");
        files::remove(&path).unwrap();
        assert!(changed());
        files::write(&path, &vec![0; LARGEST as usize + 1]).unwrap();
        assert!(changed() && changed(), "it is too large to be compared");
        #[cfg(unix)]
        {
            files::remove(&path).unwrap();
            std::os::unix::fs::symlink(&path, &path).unwrap();
            assert!(changed(), "a link to itself");
        }
    }
}
