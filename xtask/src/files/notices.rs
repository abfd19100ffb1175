//! What the system says of changes in folders.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

mod poll;
#[cfg(target_os = "linux")]
#[path = "notices/inotify.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "notices/other.rs"]
mod system;

/// Something changed.
#[derive(Debug)]
pub enum Notice {
    /// Something is or was at this path: it was written, made, removed, or its mode or times are
    /// others.
    At(PathBuf, Stage),
    /// A folder came or went.
    Folder(PathBuf),
    /// There was more than the system remembers: anything may have changed.
    Lost,
    /// From now on nothing is heard.
    Failed(anyhow::Error),
}

/// How far a change of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// More may follow.
    Begun,
    /// Who wrote it has closed it, or it was put there whole.
    Done,
    /// It was removed, or has another name now.
    Gone,
}

/// How changes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The system says so, except where it cannot.
    System,
    /// Folders are looked at again and again.
    Poll,
}

/// Who is told.
type Tell = Arc<dyn Fn(Notice) + Send + Sync>;

/// The folders that are watched. What is in their own folders is not heard of.
pub struct Notices {
    means: Means,
    system: system::System,
    poll: poll::Poll,
}

/// What is different from what was expected of folders.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Those whose file system tells nothing, so that they are polled.
    pub polled: Vec<PathBuf>,
    /// Those that cannot be read, and why.
    pub closed: Vec<(PathBuf, String)>,
}

impl Notices {
    /// Begins to listen; `tell` is called from other threads.
    pub fn new(means: Means, tell: impl Fn(Notice) + Send + Sync + 'static) -> Result<Notices> {
        let tell: Tell = Arc::new(tell);
        let system = system::System::new(Arc::clone(&tell))?;
        Ok(Notices { means, system, poll: poll::Poll::new(tell) })
    }

    /// Watches these folders and no others. Those that are not there are passed over.
    pub fn watch(&mut self, folders: &BTreeSet<PathBuf>) -> Result<Trouble> {
        let is_polled =
            |folder: &&PathBuf| self.means == Means::Poll || system::tells_nothing(folder);
        let (polled, heard): (BTreeSet<&PathBuf>, BTreeSet<&PathBuf>) =
            folders.iter().partition(is_polled);
        let mut trouble = Trouble::default();
        if self.means == Means::System {
            trouble.polled.extend(polled.iter().map(|folder| (*folder).clone()));
        }
        self.system.watch(&heard, &mut trouble)?;
        self.poll.watch(polled.into_iter().cloned().collect());
        Ok(trouble)
    }
}
