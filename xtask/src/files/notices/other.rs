//! macOS, Windows and the BSDs: what the system has for it, by the crate notify.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use notify::event::{CreateKind, EventKind, RemoveKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Notice, Stage, Tell, Trouble};
use crate::finding::Help;

/// The system's own way to tell of changes.
pub struct System {
    watcher: RecommendedWatcher,
    roots: BTreeSet<PathBuf>,
}

impl System {
    pub fn new(tell: Tell) -> Result<System> {
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<Event>| match event {
                Ok(event) => hear(event, &tell),
                Err(error) => tell(Notice::Failed(explained(error))),
            });
        let watcher = watcher.map_err(explained).context("listen for changes of files")?;
        Ok(System { watcher, roots: BTreeSet::new() })
    }

    /// Whole trees are watched, since each folder alone would be dear here: what is heard of others
    /// is passed over by who listens.
    pub fn watch(&mut self, folders: &BTreeSet<&PathBuf>, _trouble: &mut Trouble) -> Result<()> {
        let is_below = |folder: &Path| {
            folder.ancestors().skip(1).any(|above| folders.contains(&above.to_owned()))
        };
        let there = folders.iter().filter(|folder| folder.is_dir() && !is_below(folder));
        let roots: BTreeSet<PathBuf> = there.map(|folder| (*folder).clone()).collect();
        for old in self.roots.difference(&roots) {
            // It may be gone, and its watch with it.
            drop(self.watcher.unwatch(old));
        }
        for new in roots.difference(&self.roots) {
            let watched = self.watcher.watch(new, RecursiveMode::Recursive);
            watched.map_err(explained).with_context(|| format!("watch {}", new.display()))?;
        }
        self.roots = roots;
        Ok(())
    }
}

fn explained(error: notify::Error) -> anyhow::Error {
    let is_limit = matches!(error.kind, ErrorKind::MaxFilesWatch);
    let error = anyhow::Error::new(error);
    if is_limit { error.context(Help("pass --poll".to_owned())) } else { error }
}

/// Whether changes in a folder may come without a notice: nothing says so here.
pub fn tells_nothing(_folder: &Path) -> bool {
    false
}

fn hear(event: Event, tell: &Tell) {
    if event.need_rescan() {
        return tell(Notice::Lost);
    }
    let folder = match event.kind {
        EventKind::Access(_) => return,
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
        _ => false,
    };
    for path in event.paths {
        if folder || path.is_dir() {
            tell(Notice::Folder(path))
        } else {
            tell(Notice::At(path, Stage::Begun))
        }
    }
}
