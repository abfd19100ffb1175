//! Locks of what several runs share. A lock lies beside what it protects.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::make_dir;
use crate::finding::{Help, failure};

/// The longest text of a holder, in bytes.
const LONGEST: u64 = 16 * 1024;

/// How a holder's text begins. It marks a lock file as this tool's.
const HOLDER: &str = "process ";

/// The .gitignore that hides a folder and its contents from git, and so from `cargo package`.
pub(super) const IGNORE: &[u8] = b"*\n";

/// How often taking a lock is tried whose file its last holder has just removed.
const TRIES: u32 = 10_000;

/// A lock. The system releases it when its process ends, even by a kill.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Whether this process wrote its own name into the file.
    is_signed: bool,
    /// The folder to be removed with the lock.
    folder: Option<PathBuf>,
}

/// Whether others may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Exclusive,
    Shared,
}

/// What to do while another process holds the lock.
enum IfHeld<'a> {
    Wait(&'a mut dyn FnMut(&str)),
    GiveUp,
}

impl Lock {
    /// Takes the lock at `path`. While another process holds it, this waits, and calls `waiting`
    /// with the text that the holder wrote. `purpose` is this process's own text.
    ///
    /// Others may have made the file: a link is an error, and a file that is neither empty nor a
    /// holder's text is not changed.
    pub fn acquire(path: &Path, purpose: &str, mut waiting: impl FnMut(&str)) -> Result<Lock> {
        make_dir(path.parent().with_context(|| context(path))?)?;
        let lock = take(path, Mode::Exclusive, &mut IfHeld::Wait(&mut waiting))?;
        let mut lock = lock.with_context(|| context(path))?;
        lock.sign(purpose)?;
        Ok(lock)
    }

    /// Takes the lock of dist/. It lies beside dist/ in a folder of its own that git and cargo
    /// ignore, and that is removed with the lock.
    pub fn of_dist(dist: &Path, purpose: &str, mut waiting: impl FnMut(&str)) -> Result<Lock> {
        let folder = dist.with_file_name(".dist.dockless-lock");
        let path = folder.join("lock");
        for _ in 0..TRIES {
            make_own_dir(&folder)?;
            let taken = take(&path, Mode::Exclusive, &mut IfHeld::Wait(&mut waiting));
            let mut lock = match taken {
                // The last holder has just removed the folder.
                Err(error) if is_absent(&error) => continue,
                taken => taken?.with_context(|| context(&path))?,
            };
            hide(&folder)?;
            lock.sign(purpose)?;
            lock.folder = Some(folder);
            return Ok(lock);
        }
        bail!("{}: the file keeps disappearing", context(&path))
    }

    /// Takes a shared lock. It excludes only [`Lock::acquire`] and [`Lock::try_acquire`].
    pub fn share(path: &Path) -> Result<Lock> {
        let taken = take(path, Mode::Shared, &mut IfHeld::Wait(&mut |_| {}))?;
        taken.with_context(|| context(path))
    }

    /// Takes the lock if nobody holds it.
    pub fn try_acquire(path: &Path) -> Result<Option<Lock>> {
        take(path, Mode::Exclusive, &mut IfHeld::GiveUp)
    }

    /// Writes into the file who holds it, unless the file holds a text of others.
    fn sign(&mut self, purpose: &str) -> Result<()> {
        let context = || context(&self.path);
        let Some(_) = holder(&self.file).with_context(context)? else { return Ok(()) };
        self.file.set_len(0).with_context(context)?;
        (&self.file).rewind().with_context(context)?;
        let text = format!("{HOLDER}{} ({purpose})", std::process::id());
        (&self.file).write_all(text.as_bytes()).with_context(context)?;
        self.is_signed = true;
        Ok(())
    }
}

impl Lock {
    /// Empties the file, so that a layout's is the same after each run, or removes it. Whoever
    /// waits for a removed one notices and takes the new one.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn erase(&self) {
        // A file that stays does no harm: the next run takes it.
        if !self.is_signed || self.file.set_len(0).is_err() {
            return;
        }
        let Some(folder) = self.folder.as_ref().filter(|_| cfg!(unix)) else { return };
        let ignore = folder.join(".gitignore");
        if fs::read(&ignore).is_ok_and(|text| text == IGNORE) {
            drop(fs::remove_file(&ignore));
        }
        drop(fs::remove_file(&self.path));
        drop(fs::remove_dir(folder));
    }
}

impl Drop for Lock {
    /// Releases the lock by its name, as closing the file may not be enough: a program that
    /// another thread is just starting holds a copy of it until it runs (flock(2)).
    fn drop(&mut self) {
        self.erase();
        // Otherwise the system releases it with the last copy.
        drop(self.file.unlock());
    }
}

fn context(path: &Path) -> String {
    format!("lock {}", path.display())
}

/// Takes the lock at `path`; `None` where another process holds it and [`IfHeld::GiveUp`].
fn take(path: &Path, mode: Mode, if_held: &mut IfHeld<'_>) -> Result<Option<Lock>> {
    for _ in 0..TRIES {
        let file = open(path)?;
        let tried = match mode {
            Mode::Exclusive => file.try_lock(),
            Mode::Shared => file.try_lock_shared(),
        };
        match (tried, &mut *if_held) {
            (Ok(()), _) => {}
            (Err(TryLockError::WouldBlock), IfHeld::GiveUp) => return Ok(None),
            (Err(TryLockError::WouldBlock), IfHeld::Wait(waiting)) => {
                let holder = holder(&file).with_context(|| context(path))?.unwrap_or_default();
                waiting(if holder.is_empty() { "another process" } else { &holder });
                let got = match mode {
                    Mode::Exclusive => file.lock(),
                    Mode::Shared => file.lock_shared(),
                };
                got.map_err(|error| unsupported(error, path))?;
            }
            (Err(TryLockError::Error(error)), _) => return Err(unsupported(error, path)),
        }
        if has_name(&file, path)? {
            return Ok(Some(Lock { file, path: path.to_owned(), is_signed: false, folder: None }));
        }
    }
    bail!("{}: the file keeps disappearing", context(path))
}

/// Opens a lock file, or creates it. Only a regular file is opened, never through a link, and
/// it is not changed.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn open(path: &Path) -> Result<File> {
    let foreign = |what: &str| {
        let why = format!("{}: it is {what}, so dockless did not make it", context(path));
        failure(why, format!("see where {} comes from, and remove it", path.display()))
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => bail!(foreign("a link")),
        Ok(meta) if !meta.is_file() => bail!(foreign("not a regular file")),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    // Something else may have taken its place since then.
    neither_follow_nor_wait(&mut options);
    let file = options.open(path).with_context(|| context(path))?;
    if !file.metadata().with_context(|| context(path))?.is_file() {
        bail!(foreign("not a regular file"));
    }
    Ok(file)
}

/// Makes `open` fail on a link, and not wait for the other end of a pipe.
pub fn neither_follow_nor_wait(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// What the holder of a lock wrote; `None` where the text is none of a holder's.
fn holder(file: &File) -> std::io::Result<Option<String>> {
    let mut file = file;
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let ours = bytes.is_empty() || is_holder(&bytes);
    Ok(ours.then(|| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

/// `process 123 (…)`.
fn is_holder(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(HOLDER.as_bytes()) else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest[digits..].starts_with(b" (") && rest.ends_with(b")")
}

/// Whether the open file still has its name: the last holder may have removed it, and the next
/// process would create a new one.
fn has_name(file: &File, path: &Path) -> Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = file.metadata().with_context(|| context(path))?;
        let named = super::if_there(fs::symlink_metadata(path)).with_context(|| context(path))?;
        Ok(named.is_some_and(|named| (own.dev(), own.ino()) == (named.dev(), named.ino())))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(true)
    }
}

/// Makes a folder; a link to one is an error.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn make_own_dir(folder: &Path) -> Result<()> {
    let context = || format!("make the folder {}", folder.display());
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error).with_context(context),
        Ok(()) => Ok(()),
        Err(_) => match fs::symlink_metadata(folder) {
            Ok(meta) if !meta.is_dir() => Err(failure(
                format!("{} is not a folder that dockless made", folder.display()),
                format!("see where {} comes from, and remove it", folder.display()),
            )),
            // It has just been removed: the next try makes it.
            _ => Ok(()),
        },
    }
}

/// Hides the folder from git.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn hide(folder: &Path) -> Result<()> {
    let path = folder.join(".gitignore");
    // A run that was killed before it wrote it left it empty.
    if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == 0) {
        super::remove_file(&path)?;
    }
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    match made.and_then(|mut file| file.write_all(IGNORE)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(|| format!("write {}", path.display())),
    }
}

fn is_absent(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Some network file systems and some in user space have no locks.
fn unsupported(error: std::io::Error, path: &Path) -> anyhow::Error {
    let folder = path.parent().unwrap_or(path).display();
    let fix =
        format!("two runs would damage each other's work: put {folder} on another file system");
    anyhow::Error::new(error).context(context(path)).context(Help(fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{list, read, remove, write};

    fn alone(path: &Path) -> Lock {
        Lock::acquire(path, "release", |_| panic!("nobody holds it")).unwrap()
    }

    #[test]
    fn a_second_holder_waits_and_is_told_for_whom() {
        let dir = tempfile::tempdir().unwrap();
        type Take = fn(&Path, &mut dyn FnMut(&str)) -> Result<Lock>;
        let takes: [Take; 2] = [
            |dir, waiting| Lock::acquire(&dir.join("deep/lock"), "release", waiting),
            |dir, waiting| Lock::of_dist(&dir.join("dist"), "release", waiting),
        ];
        for take in takes {
            let first = take(dir.path(), &mut |_| panic!("nobody holds it")).unwrap();
            let (sender, receiver) = std::sync::mpsc::channel();
            let path = dir.path().to_owned();
            let second = std::thread::spawn(move || {
                take(&path, &mut |holder| sender.send(holder.to_owned()).unwrap()).unwrap();
            });
            let holder = format!("process {} (release)", std::process::id());
            assert_eq!(receiver.recv().unwrap(), holder);
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap();
        }
        // That of dist/ is gone with its holders.
        assert_eq!(list(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn many_take_the_lock_of_dist_and_only_one_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (dist, holders) = (dir.path().join("dist"), std::sync::atomic::AtomicU32::new(0));
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = Lock::of_dist(&dist, "release", |_| {}).unwrap();
                        assert_eq!(holders.fetch_add(1, order), 0);
                        assert!(dir.path().join(".dist.dockless-lock/.gitignore").exists());
                        holders.fetch_sub(1, order);
                        drop(lock);
                    }
                });
            }
        });
        assert!(list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn who_shares_a_lock_keeps_others_from_having_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (one, two) = (Lock::share(&path).unwrap(), Lock::share(&path).unwrap());
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(one);
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(two);
        assert!(Lock::try_acquire(&path).unwrap().is_some());
    }

    /// A program that is just being started has a copy of every open file.
    #[test]
    fn a_copy_of_the_file_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        type Take = fn(&Path) -> Lock;
        let takes: [Take; 3] = [
            alone,
            |path| Lock::share(path).unwrap(),
            |path| Lock::try_acquire(path).unwrap().unwrap(),
        ];
        for take in takes {
            let lock = take(&path);
            let _copy = lock.file.try_clone().unwrap();
            assert!(Lock::try_acquire(&path).unwrap().is_none());
            drop(lock);
            assert!(Lock::try_acquire(&path).unwrap().is_some());
        }
    }

    /// A text that is another's stays, whatever it is; what an earlier version left is known.
    #[test]
    fn nothing_is_written_into_what_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        for precious in [
            "export A=1\n",
            "process",
            "process 1",
            "process x (y)",
            "process 1 (y)\nexport A=1\n",
            " ",
            "\0",
        ] {
            write(&path, precious.as_bytes()).unwrap();
            let lock = alone(&path);
            assert!(Lock::try_acquire(&path).unwrap().is_none(), "it is a lock all the same");
            drop(lock);
            assert_eq!(read(&path).unwrap(), precious.as_bytes());
        }
        for ours in ["", "process 1 (/home/me/project)"] {
            write(&path, ours.as_bytes()).unwrap();
            let lock = alone(&path);
            let said = format!("process {} (release)", std::process::id());
            assert_eq!(read(&path).unwrap(), said.as_bytes());
            drop(lock);
            assert_eq!(read(&path).unwrap(), b"");
        }
        let dist = dir.path().join("dist");
        let folder = dir.path().join(".dist.dockless-lock");
        write(&folder.join("lock"), b"precious").unwrap();
        write(&folder.join("more"), b"precious").unwrap();
        drop(Lock::of_dist(&dist, "release", |_| {}).unwrap());
        assert_eq!(read(&folder.join("lock")).unwrap(), b"precious");
        assert_eq!(read(&folder.join("more")).unwrap(), b"precious");
    }

    #[cfg(unix)]
    #[test]
    fn links_folders_and_pipes_are_no_locks() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (path, precious) = (dir.path().join("lock"), dir.path().join("precious"));
        let refused = |what: &str| {
            let error = format!("{:#}", Lock::acquire(&path, "release", |_| {}).unwrap_err());
            assert!(error.contains(what), "{error}");
            assert!(Lock::share(&path).is_err() && Lock::try_acquire(&path).is_err());
            remove(&path).unwrap();
        };
        for content in ["", "export A=1\n"] {
            write(&precious, content.as_bytes()).unwrap();
            symlink("precious", &path).unwrap();
            refused("a link");
            assert_eq!(read(&precious).unwrap(), content.as_bytes());
        }
        // What would be made through a link is not made.
        symlink("absent", &path).unwrap();
        refused("a link");
        assert!(!dir.path().join("absent").exists());
        super::super::make_dir(&path).unwrap();
        refused("not a regular file");
        #[cfg(target_os = "linux")]
        {
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
            refused("not a regular file");
        }
        // The folder of dist/'s lock may be a link, or what is in it.
        let (dist, folder) = (dir.path().join("dist"), dir.path().join(".dist.dockless-lock"));
        super::super::make_dir(&dir.path().join("home")).unwrap();
        symlink("home", &folder).unwrap();
        assert!(Lock::of_dist(&dist, "release", |_| {}).is_err());
        assert!(list(&dir.path().join("home")).unwrap().is_empty());
        remove(&folder).unwrap();
        super::super::make_dir(&folder).unwrap();
        symlink("../precious", folder.join("lock")).unwrap();
        assert!(Lock::of_dist(&dist, "release", |_| {}).is_err());
        assert_eq!(read(&precious).unwrap(), b"export A=1\n");
    }
}
