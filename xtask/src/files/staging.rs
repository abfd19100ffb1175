//! dist/ is built beside its place and takes it by two renames.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::{
    Lock, copy_program, exists, is_own_dir, link, list, lock::IGNORE, make_dir, open_own, remove,
    rename,
};
use crate::finding::failure;

/// The file by which a dist/ is known as this tool's own: only that is replaced.
const MARK: &str = "metadata.json";
/// The key in the mark that has this tool's version, so that another tool's file of that
/// name is none.
const MARK_KEY: &str = "dockless";
/// Hides dist/ from git, so that `git add --all` does not take it in.
const GITIGNORE: &str = ".gitignore";
/// In bytes. No mark is larger.
const LARGEST_MARK: u64 = 64 << 20;

/// A dist/ that other runs leave alone as long as this one has it.
#[derive(Debug)]
pub struct Dist {
    path: PathBuf,
    _lock: Lock,
}

impl Dist {
    /// Takes the dist/ at `path`, as [`Lock::acquire`] takes a lock.
    pub fn lock(path: &Path, purpose: &str, waiting: impl FnMut(&str)) -> Result<Dist> {
        Ok(Dist { path: path.to_owned(), _lock: Lock::of_dist(path, purpose, waiting)? })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, where this tool made it, and what killed runs left beside it.
    pub fn clear(&self) -> Result<()> {
        ensure_ours(&self.path)?;
        remove(&self.path)?;
        ["new", "old"].iter().try_for_each(|suffix| remove(&beside(&self.path, suffix)))
    }
}

/// What lies beside a dist/ for its sake.
fn beside(dist: &Path, suffix: &str) -> PathBuf {
    dist.with_file_name(format!(".dist.dockless-{suffix}"))
}

/// A dist/ in the making. Dropped before [`Staging::commit`], it leaves the old
/// dist/ as it was.
#[derive(Debug)]
pub struct Staging<'lock> {
    dist: &'lock Dist,
    new: PathBuf,
    old: PathBuf,
    committed: bool,
}

impl Staging<'_> {
    /// Starts a new dist/. What a killed run left is cleared, and a dist/ that it had moved
    /// away is put back.
    ///
    /// A dist/ that this tool did not make is an error, never overwritten.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn open(dist: &Dist) -> Result<Staging<'_>> {
        let (new, old) = (beside(&dist.path, "new"), beside(&dist.path, "old"));
        let staging = Staging { dist, new, old, committed: false };
        // Killed between the two renames: the old dist/ is whole, and it counts.
        if is_own_dir(&staging.old) && !exists(&dist.path)? {
            rename(&staging.old, &dist.path)?;
        }
        remove(&staging.old)?;
        remove(&staging.new)?;
        ensure_ours(&dist.path)?;
        fs::create_dir(&staging.new)
            .with_context(|| format!("make the folder {}", staging.new.display()))?;
        staging.write(GITIGNORE, IGNORE)?;
        Ok(staging)
    }

    /// Takes over from the present dist/ all files that `kept` names, by their paths
    /// in it with `/`.
    pub fn adopt(&self, kept: &dyn Fn(&str) -> bool) -> Result<()> {
        if exists(&self.dist.path)? {
            adopt(&self.dist.path, &self.new, "", kept)?;
        }
        Ok(())
    }

    /// Where the dist/ before is, and the new one will be.
    pub fn dist(&self) -> &Path {
        &self.dist.path
    }

    /// Where the file `name` of the new dist/ is written.
    pub fn path(&self, name: &str) -> PathBuf {
        self.new.join(name)
    }

    /// Creates a file of the new dist/.
    #[expect(clippy::disallowed_methods, reason = "the staging folder itself is beside its place")]
    pub fn create(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        File::create(&path).with_context(|| format!("create {}", path.display()))
    }

    /// Writes a file of the new dist/; folders on the way are made.
    #[expect(clippy::disallowed_methods, reason = "the staging folder itself is beside its place")]
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        super::make_dir(path.parent().unwrap_or(&self.new))?;
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
    }

    /// Puts the new dist/ in its place. All that is in it carries the one time,
    /// so that two dist/ of one commit do not differ in that either.
    pub fn commit(mut self, time: Timestamp) -> Result<()> {
        set_times(&self.new, time)?;
        if exists(self.dist())? {
            rename(self.dist(), &self.old)?;
        }
        rename(&self.new, self.dist())?;
        self.committed = true;
        remove(&self.old)
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // A failed run is reported by its own error; the next run clears what stays.
            drop(remove(&self.new));
        }
    }
}

/// Whether there is nothing to clear, nor anybody who makes it.
pub fn is_clear(dist: &Path) -> Result<bool> {
    let beside = ["new", "old", "lock"].map(|suffix| beside(dist, suffix));
    for path in beside.iter().map(PathBuf::as_path).chain([dist]) {
        if exists(path)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files below `from`, as links where that is possible.
fn adopt(from: &Path, to: &Path, below: &str, kept: &dyn Fn(&str) -> bool) -> Result<()> {
    for entry in list(from)? {
        let Some(name) = entry.path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let path = format!("{below}{name}");
        let target = to.join(name);
        if entry.path.is_dir() && !entry.path.is_symlink() {
            adopt(&entry.path, &target, &format!("{path}/"), kept)?;
        } else if entry.path.is_file()
            && !entry.path.is_symlink()
            && path != GITIGNORE
            && kept(&path)
        {
            make_dir(to)?;
            if !link(&entry.path, &target)? {
                copy_program(&entry.path, &target)?;
            }
        }
    }
    Ok(())
}

/// Gives the folder and all that is in it the time.
fn set_times(dir: &Path, time: Timestamp) -> Result<()> {
    for entry in list(dir)? {
        match (entry.path.is_symlink(), entry.path.is_dir()) {
            (true, _) => {}
            (false, true) => set_times(&entry.path, time)?,
            (false, false) => set_time(&entry.path, time)?,
        }
    }
    #[cfg(unix)] // Elsewhere a folder cannot be opened as a file.
    set_time(dir, time)?;
    Ok(())
}

fn set_time(path: &Path, time: Timestamp) -> Result<()> {
    let context = || format!("set the time of {}", path.display());
    // Windows gives a time to nobody who may not write.
    let file = File::options().read(true).write(cfg!(windows)).open(path).with_context(context)?;
    file.set_modified(SystemTime::from(time)).with_context(context)
}

/// Whether a folder is a dist/ that this tool made: a mark of that name alone, or one that
/// speaks of this tool somewhere, may be another's.
pub fn is_ours(dist: &Path) -> Result<bool> {
    let mark = dist.join(MARK);
    if !exists(&mark)? || fs::symlink_metadata(&mark).is_ok_and(|meta| !meta.is_file()) {
        return Ok(false);
    }
    let Some(mark) = open_own(&mark)? else { return Ok(false) };
    let read = serde_json::from_reader::<_, serde_json::Value>(mark.take(LARGEST_MARK));
    Ok(read.is_ok_and(|mark| mark.get(MARK_KEY).is_some_and(serde_json::Value::is_string)))
}

/// Fails where `dist` is a link, a file, or a folder with content that this
/// tool did not make.
fn ensure_ours(dist: &Path) -> Result<()> {
    if !exists(dist)? {
        return Ok(());
    }
    let meta = fs::symlink_metadata(dist).with_context(|| format!("look at {}", dist.display()))?;
    let kind = match (meta.is_symlink(), meta.is_dir()) {
        (true, _) => "a link",
        (_, false) => "a file",
        _ => "a folder",
    };
    if kind == "a folder" && (list(dist)?.is_empty() || is_ours(dist)?) {
        return Ok(());
    }
    Err(failure(
        format!("{} is {kind} that dockless did not make, so it is not replaced", dist.display()),
        format!(
            "move {} away, or give releases another folder with `[workspace.metadata.dockless] dist`",
            dist.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{read, write};

    const OURS: &[u8] = b"{\"dockless\":\"0.1.0\"}";

    fn lock(dist: &Path) -> Dist {
        Dist::lock(dist, "a test", |_| panic!("nobody holds it")).unwrap()
    }

    fn make(dist: &Path, content: &str) -> Result<()> {
        let dist = lock(dist);
        let staging = Staging::open(&dist)?;
        staging.write(MARK, OURS)?;
        staging.write("a", content.as_bytes())?;
        staging.commit(Timestamp::constant(1_700_000_000, 0))
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        list(dir).unwrap().into_iter().map(|entry| name(entry.path)).collect()
    }

    #[test]
    fn a_new_dist_replaces_the_old_one_and_an_unfinished_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let dist = dir.path().join("dist");
        make(&dist, "one").unwrap();
        make(&dist, "two").unwrap();
        Staging::open(&lock(&dist)).unwrap().write("a", b"half").unwrap();
        assert_eq!(read(&dist.join("a")).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["dist"]);
    }

    #[test]
    fn a_run_killed_at_any_point_is_mended_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let dist = dir.path().join("dist");
        let (new, old) =
            (dir.path().join(".dist.dockless-new"), dir.path().join(".dist.dockless-old"));
        make(&dist, "one").unwrap();
        // Killed before, between and after the two renames.
        write(&new.join("a"), b"half").unwrap();
        drop(Staging::open(&lock(&dist)).unwrap());
        assert_eq!(read(&dist.join("a")).unwrap(), b"one");
        rename(&dist, &old).unwrap();
        write(&new.join("a"), b"whole").unwrap();
        drop(Staging::open(&lock(&dist)).unwrap());
        assert_eq!(read(&dist.join("a")).unwrap(), b"one");
        write(&old.join("a"), b"older").unwrap();
        make(&dist, "two").unwrap();
        assert_eq!(read(&dist.join("a")).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["dist"]);
    }

    #[test]
    fn what_the_tool_did_not_make_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let dist = dir.path().join("dist");
        let refused = |kind: &str| {
            let lock = lock(&dist);
            let error = format!("{:#}", Staging::open(&lock).unwrap_err());
            assert!(error.contains(&format!("is {kind} that dockless did not make")), "{error}");
            assert!(format!("{:#}", lock.clear().unwrap_err()).contains(kind));
        };
        write(&dist, b"a file").unwrap();
        refused("a file");
        remove(&dist).unwrap();
        write(&dist.join("photo.jpg"), b"precious").unwrap();
        refused("a folder");
        for another in [
            "{\"project_name\":\"another tool's\"}",
            "{\"tools\":{\"dockless\":\"0.1.0\"}}",
            "{\"dockless\":{\"version\":\"0.1.0\"}}",
            "{\"note\":\"made as \\\"dockless\\\": does\"}",
            "[\"dockless\"]",
            "\"dockless\":",
            "",
        ] {
            write(&dist.join(MARK), another.as_bytes()).unwrap();
            refused("a folder");
        }
        #[cfg(unix)]
        {
            // Its mark is another's dist/.
            write(&dir.path().join("mark"), OURS).unwrap();
            remove(&dist.join(MARK)).unwrap();
            std::os::unix::fs::symlink("../mark", dist.join(MARK)).unwrap();
            refused("a folder");
        }
        remove(&dist).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/nowhere", &dist).unwrap();
            refused("a link");
            remove(&dist).unwrap();
        }
        make_dir(&dist).unwrap();
        make(&dist, "into an empty folder").unwrap();
    }
}
