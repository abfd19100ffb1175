//! What git says of the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;

use crate::finding::failure;
use crate::process::{self, Env, Output, Program};
use crate::version::{Head, ReleaseTag};

/// The file by which cargo marks sources that it has packaged.
pub const VCS_INFO: &str = ".cargo_vcs_info.json";

/// A repository that could answer slowly is a network file system at worst.
const TIME_OUT: Duration = Duration::from_secs(120);

/// The repository that the project lies in.
#[derive(Clone, Debug)]
pub struct Git {
    /// The folder that the repository's work tree begins at.
    pub top: PathBuf,
    /// HEAD's commit in full; `None` before the first one.
    pub commit: Option<String>,
    /// When HEAD was committed.
    pub time: Option<Timestamp>,
    /// `git describe --tags --always --dirty`.
    pub describe: Option<String>,
    /// Whether git sees changes outside dist/, untracked files included.
    pub dirty: bool,
    /// The changed paths, absolute.
    pub changes: Vec<PathBuf>,
    /// Whether history was cut off, so that tags and counts may be missing.
    pub shallow: bool,
    /// The release tags reachable from HEAD.
    pub tags: Vec<Tagged>,
}

/// A release tag, and whether it is on HEAD itself.
#[derive(Clone, Debug)]
pub struct Tagged {
    pub tag: ReleaseTag,
    pub on_head: bool,
}

impl Git {
    /// Settles whether the tree is dirty, now that it is known where dist/ is.
    pub fn leave_out(&mut self, dist: &Path) {
        let beside = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            path.parent() == dist.parent() && name.starts_with(".dist.dockless-")
        };
        let made = |path: &PathBuf| path.ancestors().any(|path| path == dist || beside(path));
        self.dirty = !self.changes.iter().all(made);
    }

    /// The release tags on HEAD.
    pub fn tags_on_head(&self) -> impl Iterator<Item = &ReleaseTag> {
        self.tags.iter().filter(|tagged| tagged.on_head).map(|tagged| &tagged.tag)
    }

    /// Where HEAD stands for the package. A tag with the package's own name
    /// counts before one of all packages, then the higher version counts.
    /// `counts` keeps git's answers, for most packages ask for the same.
    pub fn head(
        &self,
        package: &str,
        counts: &mut BTreeMap<String, u64>,
        dir: &Path,
        env: &Env,
    ) -> Result<Head<'_>> {
        let own = |tagged: &&Tagged| tagged.tag.speaks_of(package);
        let on_head = self.tags_on_head().filter(|tag| tag.speaks_of(package));
        let tag = on_head.max_by_key(|tag| (tag.package.is_some(), &tag.version));
        let last =
            self.tags.iter().filter(own).map(|tagged| &tagged.tag).max_by_key(|tag| &tag.version);
        let range = match (&self.commit, last) {
            (None, _) => None,
            (Some(_), Some(_)) if tag == last => None,
            (Some(_), None) => Some("HEAD".to_owned()),
            (Some(_), Some(last)) => Some(format!("refs/tags/{last}..HEAD")),
        };
        let known = range.as_ref().and_then(|range| counts.get(range).copied());
        let commits = match (range, known) {
            (None, _) => 0,
            (_, Some(known)) => known,
            (Some(range), None) => {
                let commits = count(&range, dir, env)?;
                counts.insert(range, commits);
                commits
            }
        };
        Ok(Head { commit: self.commit.as_deref(), dirty: self.dirty, tag, last, commits })
    }
}

/// Looks for the repository that `dir` belongs to; `None` where there is none.
/// A repository that cannot be read is an error, never taken for none.
pub fn look(dir: &Path, env: &Env) -> Result<Option<Git>> {
    let top = dir.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok());
    if process::find("git", env).is_none() {
        let unread =
            |top: &Path| format!("read the repository {}: git is not on PATH", top.display());
        return top.map_or(Ok(None), |top| Err(failure(unread(top), "install git")));
    }
    let program = git(dir, env).args(["rev-parse", "--is-shallow-repository", "--show-toplevel"]);
    let asked = program.output()?;
    if !asked.status.success() {
        // Said of a repository that is broken, too.
        if asked.stderr.contains("not a git repository") && top.is_none() {
            return Ok(None);
        }
        let fix = "mend the repository; for `dubious ownership`, run the `git config` command that git names";
        bail!(failure(format!("`{program}` failed: {}", asked.stderr.trim()), fix));
    }
    let mut answers = lines(&asked);
    let shallow = answers.next() == Some("true");
    let top = Path::new(answers.next().with_context(|| format!("read the output of `{program}`"))?);
    let (belongs, changes, describe, history) = std::thread::scope(|scope| {
        let describe =
            || git(dir, env).args(["describe", "--tags", "--always", "--dirty"]).output();
        let describe = scope.spawn(describe);
        let changes = scope.spawn(|| changes(top, dir, env));
        let belongs = belongs(dir, env);
        let history = history(dir, env);
        (belongs, changes.join(), describe.join(), history)
    });
    if !belongs? {
        return Ok(None);
    }
    let panicked = |_| anyhow!("a thread that asks git panicked");
    let (top, changes) = (top.to_owned(), changes.map_err(panicked)??);
    let dirty = !changes.is_empty();
    let Some((commit, time, tags)) = history? else {
        let (commit, time, describe, tags) = (None, None, None, Vec::new());
        return Ok(Some(Git { top, commit, time, describe, dirty, changes, shallow, tags }));
    };
    let describe = describe.map_err(panicked)??;
    let describe = lines(&describe).next().context("read the output of `git describe`")?.to_owned();
    let (commit, time, describe) = (Some(commit), Some(time), Some(describe));
    Ok(Some(Git { top, commit, time, describe, dirty, changes, shallow, tags }))
}

/// HEAD's commit, its time and the release tags below it; `None` before the
/// first commit.
fn history(dir: &Path, env: &Env) -> Result<Option<(String, Timestamp, Vec<Tagged>)>> {
    let head =
        git(dir, env).args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).output()?;
    if !head.status.success() {
        return Ok(None);
    }
    let commit = lines(&head).next().context("read HEAD's commit")?.to_owned();
    let log = git(dir, env).args(["log", "-1", "--no-show-signature", "--format=%ct", &commit]);
    let seconds =
        log.read()?.trim().parse().with_context(|| format!("read the output of `{log}`"))?;
    let time = Timestamp::from_second(seconds);
    let time = time.with_context(|| format!("read the time of commit {commit}"))?;
    let tags = tags(&commit, dir, env)?;
    Ok(Some((commit, time, tags)))
}

fn git<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    // Optional locks would let a mere question write to the repository.
    Program::new("git", dir, env).arg("--no-optional-locks").time_out(TIME_OUT)
}

fn lines(output: &Output) -> impl Iterator<Item = &str> {
    std::str::from_utf8(&output.stdout).unwrap_or("").lines()
}

/// Whether the sources are the repository's own: not ignored by it, and not
/// an unpacked package that happens to lie in it.
fn belongs(dir: &Path, env: &Env) -> Result<bool> {
    let ignored = git(dir, env).args(["check-ignore", "--quiet", "--", "Cargo.toml"]).output()?;
    if ignored.status.success() {
        return Ok(false);
    }
    if !dir.join(VCS_INFO).is_file() {
        return Ok(true);
    }
    let tracked =
        git(dir, env).args(["ls-files", "--error-unmatch", "--", "Cargo.toml"]).output()?;
    Ok(tracked.status.success())
}

fn changes(top: &Path, dir: &Path, env: &Env) -> Result<Vec<PathBuf>> {
    let status =
        git(dir, env).args(["status", "--porcelain", "--untracked-files=normal", "-z"]).output()?;
    if !status.status.success() {
        bail!("`git status` failed: {}", status.stderr.trim());
    }
    // `XY path`, with the old path of a rename as an entry of its own.
    let entries = status.stdout.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    Ok(entries
        .map(|entry| top.join(&*String::from_utf8_lossy(entry.get(3..).unwrap_or(entry))))
        .collect())
}

fn tags(commit: &str, dir: &Path, env: &Env) -> Result<Vec<Tagged>> {
    let text = git(dir, env)
        .args(["for-each-ref", "--merged", "HEAD"])
        .args(["--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)", "refs/tags"])
        .read()?;
    let tagged = text.lines().filter_map(|line| {
        let mut fields = line.split('\0');
        let tag = ReleaseTag::parse(fields.next()?)?;
        Some(Tagged { tag, on_head: fields.any(|object| object == commit) })
    });
    Ok(tagged.collect())
}

fn count(range: &str, dir: &Path, env: &Env) -> Result<u64> {
    let program = git(dir, env).args(["rev-list", "--count", range, "--"]);
    program.read()?.trim().parse().with_context(|| format!("read the output of `{program}`"))
}
