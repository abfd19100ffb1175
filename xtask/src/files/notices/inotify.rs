//! Linux: inotify, one watch a folder.
//! <https://www.man7.org/linux/man-pages/man7/inotify.7.html>

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::{Notice, Stage, Tell, Trouble};
use crate::finding::Help;

/// How many bytes of notices are read at a time: some 2,000 of them.
const BUFFER: usize = 64 << 10;

/// The file systems whose changes others make on other machines, of which this one hears nothing:
/// NFS, SMB, CIFS, SMB2, 9P (which WSL and virtual machines use), FUSE, VirtualBox, Ceph, AFS.
/// <https://www.man7.org/linux/man-pages/man2/statfs.2.html>
const REMOTE: [u32; 9] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x786f_4256,
    0x00c3_6400,
    0x5346_414f,
];

/// One instance of inotify.
pub struct System {
    inotify: Arc<OwnedFd>,
    watched: Watched,
}

/// The folders by the numbers of their watches.
type Watched = Arc<Mutex<BTreeMap<i32, PathBuf>>>;

impl System {
    pub fn new(tell: Tell) -> Result<System> {
        let inotify = inotify::init(CreateFlags::CLOEXEC);
        let inotify = inotify.map_err(|error| match error {
            Errno::MFILE => limit("instances", "user_instances", 512),
            error => anyhow::Error::new(error).context("listen for changes of files"),
        });
        let inotify = Arc::new(inotify?);
        let watched = Watched::default();
        let (reader, known) = (Arc::clone(&inotify), Arc::clone(&watched));
        thread::spawn(move || listen(&reader, &known, &tell));
        Ok(System { inotify, watched })
    }

    pub fn watch(&mut self, folders: &BTreeSet<&PathBuf>, trouble: &mut Trouble) -> Result<()> {
        let mask = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut now = BTreeSet::new();
        // All anew: a name may be that of another folder since, and the same one has its number.
        for folder in folders {
            // The number is known before its first notice is looked up.
            let mut watched = locked(&self.watched);
            match inotify::add_watch(&*self.inotify, folder.as_path(), mask) {
                Ok(number) => {
                    watched.insert(number, (*folder).clone());
                    now.insert(number);
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(Errno::NOSPC) => return Err(limit("watches", "user_watches", 1_048_576)),
                Err(Errno::ACCESS) => {
                    let why = "this user may not read it".to_owned();
                    trouble.closed.push(((*folder).clone(), why));
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("watch {}", folder.display()));
                }
            }
        }
        let mut watched = locked(&self.watched);
        let old: Vec<i32> = watched.keys().filter(|it| !now.contains(it)).copied().collect();
        for number in old {
            watched.remove(&number);
            // The folder may be gone, and its watch with it.
            _ = inotify::remove_watch(&*self.inotify, number);
        }
        Ok(())
    }
}

fn locked(watched: &Watched) -> MutexGuard<'_, BTreeMap<i32, PathBuf>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stage(what: ReadFlags) -> Stage {
    if what.intersects(ReadFlags::CREATE | ReadFlags::MODIFY) {
        Stage::Begun
    } else if what.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        Stage::Gone
    } else {
        Stage::Done
    }
}

/// A limit of the system that is reached, with the way to raise it.
fn limit(what: &str, name: &str, to: u32) -> anyhow::Error {
    let why = format!(
        "this user's programs have all {what} of inotify that the system allows \
         (fs.inotify.max_{name})"
    );
    let fix = format!(
        "run `sudo sysctl fs.inotify.max_{name}={to}`, and write that line to \
         /etc/sysctl.d/60-inotify.conf to keep it; or pass --poll"
    );
    anyhow::Error::msg(why).context("watch folders").context(Help(fix))
}

/// Whether changes in a folder may come without a notice.
pub fn tells_nothing(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|it| REMOTE.contains(&(it.f_type as u32)))
}

fn listen(inotify: &OwnedFd, watched: &Watched, tell: &Tell) {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let mut reader = Reader::new(inotify, &mut buffer);
    loop {
        match reader.next() {
            Ok(event) => hear(&event, watched, tell),
            Err(Errno::INTR) => {}
            Err(error) => {
                let error = anyhow::Error::new(error).context("listen for changes of files");
                return tell(Notice::Failed(error));
            }
        }
    }
}

fn hear(event: &Event<'_>, watched: &Watched, tell: &Tell) {
    let what = event.events();
    if what.contains(ReadFlags::QUEUE_OVERFLOW) {
        return tell(Notice::Lost);
    }
    if what.contains(ReadFlags::IGNORED) {
        locked(watched).remove(&event.wd());
        return;
    }
    let folder = locked(watched).get(&event.wd()).cloned();
    let Some(folder) = folder else { return };
    let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
    if what.intersects(gone) {
        return tell(Notice::Folder(folder));
    }
    let Some(name) = event.file_name() else { return };
    let path = folder.join(OsStr::from_bytes(name.to_bytes()));
    let moved = ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
    match (what.contains(ReadFlags::ISDIR), what.intersects(moved)) {
        (true, true) => tell(Notice::Folder(path)),
        // A folder's own mode and times.
        (true, false) => {}
        (false, _) => tell(Notice::At(path, stage(what))),
    }
}
