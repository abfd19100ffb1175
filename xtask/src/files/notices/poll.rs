//! Looks at folders again and again, for file systems that tell nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::{DirEntry, EntryKind, list};
use super::{Notice, Stage, Tell};

/// How long folders are left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// What is in a folder: what each entry is, its size, and when it was written. `None` for a folder
/// that cannot be listed.
type Seen = Option<BTreeMap<PathBuf, (EntryKind, u64, SystemTime)>>;

/// The folders that are polled, and what was in them last.
pub struct Poll {
    folders: Arc<Mutex<BTreeMap<PathBuf, Seen>>>,
    tell: Tell,
    runs: bool,
}

impl Poll {
    pub fn new(tell: Tell) -> Poll {
        Poll { folders: Arc::default(), tell, runs: false }
    }

    /// Polls these folders and no others.
    pub fn watch(&mut self, folders: BTreeSet<PathBuf>) {
        let mut known = locked(&self.folders);
        known.retain(|folder, _| folders.contains(folder));
        for folder in folders {
            known.entry(folder).or_insert_with_key(|folder| look(folder));
        }
        if !known.is_empty() && !self.runs {
            self.runs = true;
            let (folders, tell) = (Arc::clone(&self.folders), Arc::clone(&self.tell));
            thread::spawn(move || {
                loop {
                    thread::sleep(PAUSE);
                    let found = changes(&mut locked(&folders));
                    found.into_iter().for_each(|notice| tell(notice));
                }
            });
        }
    }
}

fn locked(folders: &Mutex<BTreeMap<PathBuf, Seen>>) -> MutexGuard<'_, BTreeMap<PathBuf, Seen>> {
    folders.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(folder: &Path) -> Seen {
    let entries = list(folder).ok()?.into_iter();
    Some(
        entries
            .map(|DirEntry { path, kind, size, modified }| (path, (kind, size, modified)))
            .collect(),
    )
}

/// What is different from what was seen last, which is what is there now from here on.
fn changes(folders: &mut BTreeMap<PathBuf, Seen>) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (folder, seen) in folders {
        let now = look(folder);
        if now.is_some() != seen.is_some() {
            notices.push(Notice::Folder(folder.clone()));
        }
        let (before, after) = (seen.take().unwrap_or_default(), now.clone().unwrap_or_default());
        let paths: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
        for path in paths {
            let (was, is) = (before.get(path), after.get(path));
            let kind = |it: Option<&(EntryKind, u64, SystemTime)>| it.map(|it| it.0);
            let folder = [kind(was), kind(is)].contains(&Some(EntryKind::Folder));
            if folder && kind(was) != kind(is) {
                notices.push(Notice::Folder(path.clone()));
            } else if !folder && was != is {
                notices.push(Notice::At(path.clone(), Stage::Begun));
            }
        }
        *seen = now;
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    fn told(folders: &mut BTreeMap<PathBuf, Seen>) -> Vec<String> {
        let told = changes(folders).into_iter().map(|notice| match notice {
            Notice::At(path, _) => format!("at {}", path.file_name().unwrap().display()),
            Notice::Folder(path) => format!("folder {}", path.file_name().unwrap().display()),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    #[test]
    fn polling_finds_what_was_made_changed_and_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("dir");
        files::make_dir(&dir).unwrap();
        let mut folders = BTreeMap::from([(dir.clone(), look(&dir))]);
        assert_eq!(told(&mut folders), [""; 0]);
        files::write(&dir.join("a"), b"1").unwrap();
        files::make_dir(&dir.join("b")).unwrap();
        assert_eq!(told(&mut folders), ["at a", "folder b"]);
        files::write(&dir.join("a"), b"12").unwrap();
        assert_eq!(told(&mut folders), ["at a"]);
        // A clock that was set back.
        files::set_age(&dir.join("a"), Duration::from_secs(9999)).unwrap();
        assert_eq!(told(&mut folders), ["at a"]);
        files::remove(&dir).unwrap();
        assert_eq!(told(&mut folders), ["folder dir", "at a", "folder b"]);
        assert_eq!(told(&mut folders), [""; 0]);
        files::make_dir(&dir).unwrap();
        assert_eq!(told(&mut folders), ["folder dir"]);
    }
}
