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
    /// How many commits are in the ranges that were counted.
    pub counts: BTreeMap<String, u64>,
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

    /// The release before that of a tag: the highest version below it. A pre-release is
    /// none for what is not one itself.
    pub fn before(&self, tag: &ReleaseTag) -> Option<&ReleaseTag> {
        let tags = self.tags.iter().map(|it| &it.tag).filter(|it| it.package == tag.package);
        let below = tags.filter(|it| it.version < tag.version);
        below
            .filter(|it| tag.version.is_prerelease() || !it.version.is_prerelease())
            .max_by_key(|it| &it.version)
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
        let commits = match (&self.commit, last) {
            (None, _) => 0,
            (Some(_), Some(_)) if tag == last => 0,
            (Some(_), last) => {
                let range = since(last);
                match counts.get(&range).or(self.counts.get(&range)) {
                    Some(known) => *known,
                    None => {
                        let commits = count(&range, dir, env)?;
                        counts.insert(range, commits);
                        commits
                    }
                }
            }
        };
        Ok(Head { commit: self.commit.as_deref(), dirty: self.dirty, tag, last, commits })
    }
}

/// Looks for the repository that `dir` belongs to; `None` where there is none.
/// A repository that cannot be read is an error, never taken for none.
pub fn look(dir: &Path, env: &Env) -> Result<Option<Git>> {
    // Where git, too, would look; its variables do not reach it from here.
    let Some(found) = dir.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok())
    else {
        return Ok(None);
    };
    if process::find("git", env).is_none() {
        let why = format!("read the repository {}: git is not on PATH", found.display());
        return Err(failure(why, "install git"));
    }
    // The answers do not depend on each other, and each takes git's own start.
    let (repository, belongs, status, describe, history) = std::thread::scope(|scope| {
        let belongs = scope.spawn(|| belongs(dir, env));
        let status = ["status", "--porcelain", "--untracked-files=normal", "-z"];
        let status = scope.spawn(move || git(dir, env).args(status).output());
        let describe = ["describe", "--tags", "--always", "--dirty"];
        let describe = scope.spawn(move || git(dir, env).args(describe).output());
        let history = scope.spawn(|| history(dir, env));
        (repository(dir, env), belongs.join(), status.join(), describe.join(), history.join())
    });
    let panicked = |_| anyhow!("a thread that asks git panicked");
    let (top, shallow) = repository?;
    if !belongs.map_err(panicked)?? {
        return Ok(None);
    }
    let changes = changes(&top, &status.map_err(panicked)??)?;
    let dirty = !changes.is_empty();
    let Some(history) = history.map_err(panicked)?? else {
        let (commit, time, describe, tags, counts) = Default::default();
        let git = Git { top, commit, time, describe, dirty, changes, shallow, tags, counts };
        return Ok(Some(git));
    };
    let describe = describe.map_err(panicked)??;
    let describe = lines(&describe).next().context("read the output of `git describe`")?.to_owned();
    let History { commit, time, tags, counts } = history;
    let (commit, time, describe) = (Some(commit), Some(time), Some(describe));
    Ok(Some(Git { top, commit, time, describe, dirty, changes, shallow, tags, counts }))
}

/// Where the work tree begins, and whether its history was cut off.
fn repository(dir: &Path, env: &Env) -> Result<(PathBuf, bool)> {
    let program = git(dir, env).args(["rev-parse", "--is-shallow-repository", "--show-toplevel"]);
    let asked = program.output()?;
    if !asked.status.success() {
        let fix = "mend the repository; for `dubious ownership`, run the `git config` command that git names";
        bail!(failure(format!("`{program}` failed: {}", asked.stderr.trim()), fix));
    }
    let mut answers = lines(&asked);
    let shallow = answers.next() == Some("true");
    let top = answers.next().with_context(|| format!("read the output of `{program}`"))?;
    Ok((top.into(), shallow))
}

/// HEAD's commit, its time, and the release tags below it.
struct History {
    commit: String,
    time: Timestamp,
    tags: Vec<Tagged>,
    counts: BTreeMap<String, u64>,
}

/// `None` before the first commit.
fn history(dir: &Path, env: &Env) -> Result<Option<History>> {
    let log = git(dir, env).args(["log", "-1", "--no-show-signature", "--format=%H%n%ct", "HEAD"]);
    let asked = log.output()?;
    if !asked.status.success() {
        let head = git(dir, env).args(["rev-parse", "--verify", "--quiet", "HEAD"]).output()?;
        if !head.status.success() {
            return Ok(None);
        }
        bail!("`{log}` failed: {}", asked.stderr.trim());
    }
    let context = || format!("read the output of `{log}`");
    let mut answers = lines(&asked);
    let commit = answers.next().with_context(context)?.to_owned();
    let seconds = answers.next().with_context(context)?.parse().with_context(context)?;
    let time = Timestamp::from_second(seconds).with_context(context)?;
    let tags = tags(&commit, dir, env)?;
    // The count that most packages will ask for, while others are still asked.
    let last = tags.iter().map(|tagged| &tagged.tag).max_by_key(|tag| &tag.version);
    let range = since(last);
    let counts = BTreeMap::from([(range.clone(), count(&range, dir, env)?)]);
    Ok(Some(History { commit, time, tags, counts }))
}

/// The commits after a tag, or all of them.
fn since(tag: Option<&ReleaseTag>) -> String {
    tag.map_or_else(|| "HEAD".to_owned(), |tag| format!("refs/tags/{tag}..HEAD"))
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

/// The changed paths that `git status` lists, absolute.
fn changes(top: &Path, status: &Output) -> Result<Vec<PathBuf>> {
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

/// Where the remote `origin` is, if there is one.
pub fn origin(dir: &Path, env: &Env) -> Result<Option<String>> {
    let asked = git(dir, env).args(["config", "--get", "remote.origin.url"]).output()?;
    Ok(lines(&asked).next().filter(|_| asked.status.success()).map(str::to_owned))
}

/// The commits after a tag up to HEAD, the newest first, merges aside: full names and the
/// first lines of their messages. Without a tag, all of them.
pub fn log(after: Option<&ReleaseTag>, dir: &Path, env: &Env) -> Result<Vec<(String, String)>> {
    let range = since(after);
    let log = git(dir, env).args([
        "log",
        "--no-merges",
        "--no-show-signature",
        "--format=%H%x00%s",
        &range,
        "--",
    ]);
    let text = log.read()?;
    let commit = |line: &str| {
        let (commit, subject) = line.split_once('\0')?;
        Some((commit.to_owned(), subject.to_owned()))
    };
    Ok(text.lines().filter_map(commit).collect())
}

fn count(range: &str, dir: &Path, env: &Env) -> Result<u64> {
    let program = git(dir, env).args(["rev-list", "--count", range, "--"]);
    program.read()?.trim().parse().with_context(|| format!("read the output of `{program}`"))
}
