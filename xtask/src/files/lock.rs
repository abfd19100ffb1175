//! Locks of what several runs share, each where the shared thing is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::make_dir;
use crate::finding::{Help, failure};

/// In bytes. No holder says more of itself.
const LONGEST: u64 = 16 * 1024;

/// How the text of each holder begins, which makes a lock file plainly this tool's.
const HOLDER: &str = "process ";

/// What keeps a folder and all that is in it out of git's sight, and so out of cargo's.
const IGNORE: &[u8] = b"*\n";

/// How often a lock is looked for again that its holder removed meanwhile.
const TRIES: u32 = 10_000;

/// A lock that ends with its process, however that ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Whether this process wrote into it who holds it.
    is_signed: bool,
    /// The folder that is removed with the lock.
    folder: Option<PathBuf>,
}

/// Who may have a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Alone,
    Shared,
}

/// What is done where another process has the lock.
enum Otherwise<'a> {
    Wait(&'a mut dyn FnMut(&str)),
    GiveUp,
}

impl Lock {
    /// Takes the lock at `path`, waiting where another process holds it: `waiting` is then
    /// told what the holder wrote of itself. `purpose` is what others are told of this one.
    ///
    /// The file may be anybody's: a link is an error, and nothing is written into a file
    /// that is neither empty nor plainly a lock.
    pub fn acquire(path: &Path, purpose: &str, mut waiting: impl FnMut(&str)) -> Result<Lock> {
        make_dir(path.parent().with_context(|| context(path))?)?;
        let lock = take(path, Mode::Alone, &mut Otherwise::Wait(&mut waiting))?;
        let mut lock = lock.with_context(|| context(path))?;
        lock.sign(purpose)?;
        Ok(lock)
    }

    /// Takes the lock of dist/, which lies beside it in a folder of its own that neither git
    /// nor cargo sees, and that goes with the lock.
    pub fn of_dist(dist: &Path, purpose: &str, mut waiting: impl FnMut(&str)) -> Result<Lock> {
        let folder = dist.with_file_name(".dist.dockless-lock");
        let path = folder.join("lock");
        for _ in 0..TRIES {
            make_own_dir(&folder)?;
            let taken = take(&path, Mode::Alone, &mut Otherwise::Wait(&mut waiting));
            let mut lock = match taken {
                // Its last holder removed the folder just now.
                Err(error) if is_absent(&error) => continue,
                taken => taken?.with_context(|| context(&path))?,
            };
            hide(&folder)?;
            lock.sign(purpose)?;
            lock.folder = Some(folder);
            return Ok(lock);
        }
        bail!("{}: it comes and goes", context(&path))
    }

    /// Takes the lock together with others that share it. Only who wants it alone waits.
    pub fn share(path: &Path) -> Result<Lock> {
        let taken = take(path, Mode::Shared, &mut Otherwise::Wait(&mut |_| {}))?;
        taken.with_context(|| context(path))
    }

    /// Takes the lock where nobody has it.
    pub fn try_acquire(path: &Path) -> Result<Option<Lock>> {
        take(path, Mode::Alone, &mut Otherwise::GiveUp)
    }

    /// Says who holds it, where that hurts nobody.
    fn sign(&mut self, purpose: &str) -> Result<()> {
        let context = || context(&self.path);
        let Some(_) = said(&self.file).with_context(context)? else { return Ok(()) };
        self.file.set_len(0).with_context(context)?;
        (&self.file).rewind().with_context(context)?;
        let text = format!("{HOLDER}{} ({purpose})", std::process::id());
        (&self.file).write_all(text.as_bytes()).with_context(context)?;
        self.is_signed = true;
        Ok(())
    }
}

impl Drop for Lock {
    /// Nobody holds it any more, and the file says so: a layout's is the same after each run.
    /// Who waits for one that is removed finds another in its place, or none, and looks again.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn drop(&mut self) {
        // What stays hurts nobody: the next run takes it as it is.
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

fn context(path: &Path) -> String {
    format!("lock {}", path.display())
}

/// The lock at `path`; `None` where another process has it and that ends the matter.
fn take(path: &Path, mode: Mode, otherwise: &mut Otherwise<'_>) -> Result<Option<Lock>> {
    for _ in 0..TRIES {
        let file = open(path)?;
        let tried = match mode {
            Mode::Alone => file.try_lock(),
            Mode::Shared => file.try_lock_shared(),
        };
        match (tried, &mut *otherwise) {
            (Ok(()), _) => {}
            (Err(TryLockError::WouldBlock), Otherwise::GiveUp) => return Ok(None),
            (Err(TryLockError::WouldBlock), Otherwise::Wait(waiting)) => {
                let holder = said(&file).with_context(|| context(path))?.unwrap_or_default();
                waiting(if holder.is_empty() { "another process" } else { &holder });
                let got = match mode {
                    Mode::Alone => file.lock(),
                    Mode::Shared => file.lock_shared(),
                };
                got.map_err(|error| unsupported(error, path))?;
            }
            (Err(TryLockError::Error(error)), _) => return Err(unsupported(error, path)),
        }
        if is_at(&file, path)? {
            return Ok(Some(Lock { file, path: path.to_owned(), is_signed: false, folder: None }));
        }
    }
    bail!("{}: it comes and goes", context(path))
}

/// Opens a lock file, which is made where there is none: never through a link, never
/// anything but a regular file, and without changing it.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn open(path: &Path) -> Result<File> {
    let foreign = |what: &str| {
        let why = format!("{}: it is {what}, and no lock that dockless made", context(path));
        failure(why, format!("see where {} comes from, and remove it", path.display()))
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => bail!(foreign("a link")),
        Ok(meta) if !meta.is_file() => bail!(foreign("no regular file")),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    // What has taken its place meanwhile.
    neither_follow_nor_wait(&mut options);
    let file = options.open(path).with_context(|| context(path))?;
    if !file.metadata().with_context(|| context(path))?.is_file() {
        bail!(foreign("no regular file"));
    }
    Ok(file)
}

/// Opens no link, and waits for nobody at the other end of a pipe.
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

/// What the holder of a lock wrote; `None` where it is another file's text.
fn said(file: &File) -> std::io::Result<Option<String>> {
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

/// Whether the file is the one that has the name: who held the lock before may have
/// removed it, and others would make a new one.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = file.metadata().with_context(|| context(path))?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| context(path)),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(true)
    }
}

/// Makes a folder that is no link to another.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn make_own_dir(folder: &Path) -> Result<()> {
    let context = || format!("make the folder {}", folder.display());
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error).with_context(context),
        Ok(()) => Ok(()),
        Err(_) => match fs::symlink_metadata(folder) {
            Ok(meta) if !meta.is_dir() => Err(failure(
                format!("{} is no folder that dockless made", folder.display()),
                format!("see where {} comes from, and remove it", folder.display()),
            )),
            // It was there, and is gone: the next try makes it.
            _ => Ok(()),
        },
    }
}

/// Keeps the folder out of git's sight.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn hide(folder: &Path) -> Result<()> {
    let path = folder.join(".gitignore");
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

/// Network file systems without a lock daemon, and some in user space, know no locks.
fn unsupported(error: std::io::Error, path: &Path) -> anyhow::Error {
    let folder = path.parent().unwrap_or(path).display();
    let fix =
        format!("two runs would spoil each other's work: put {folder} on another file system");
    anyhow::Error::new(error).context(context(path)).context(Help(fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{list, read, remove, write};
    use std::time::Duration;

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
            let second = std::thread::spawn({
                let path = dir.path().to_owned();
                move || {
                    let mut told = String::new();
                    take(&path, &mut |holder| told = holder.to_owned()).unwrap();
                    told
                }
            });
            std::thread::sleep(Duration::from_millis(50));
            assert!(!second.is_finished());
            drop(first);
            assert_eq!(second.join().unwrap(), format!("process {} (release)", std::process::id()));
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
        refused("no regular file");
        #[cfg(target_os = "linux")]
        {
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
            refused("no regular file");
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
