//! What git says of the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;

use crate::files;
use crate::finding::failure;
use crate::process::{self, Env};
use crate::version::{Head, ReleaseTag};

mod ask;
mod tree;

use ask::{fields, lines, printed, question, said, text};
pub use ask::program;
pub use tree::{Change, ChangeKind};

/// The file by which cargo marks sources that it has packaged.
pub const VCS_INFO: &str = ".cargo_vcs_info.json";

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
    /// Whether there are changes outside dist/.
    pub dirty: bool,
    /// What the work tree has that the commit does not hold, untracked files included, sorted.
    pub changes: Vec<Change>,
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
        let made = |path: &Path| path.ancestors().any(|path| path == dist || beside(path));
        self.changes.retain(|change| !made(&change.path));
        self.dirty = !self.changes.is_empty();
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
    let (repository, tree, describe, history) = std::thread::scope(|scope| {
        let tree = scope.spawn(|| tree::look(found, env));
        let describe = scope.spawn(|| question(dir, env).args(DESCRIBE).output());
        let history = scope.spawn(|| history(dir, env));
        (repository(dir, env), tree.join(), describe.join(), history.join())
    });
    let panicked = |_| anyhow!("a thread that asks git panicked");
    let (top, shallow) = repository?;
    ensure_same(&top, found)?;
    let tree = tree.map_err(panicked)??;
    if !belongs(dir, &tree) {
        return Ok(None);
    }
    let changed = tree.changes.iter().any(|change| change.kind != ChangeKind::Untracked);
    let (dirty, changes) = (!tree.changes.is_empty(), tree.changes);
    let Some(history) = history.map_err(panicked)?? else {
        let (commit, time, describe, tags, counts) = Default::default();
        let git = Git { top, commit, time, describe, dirty, changes, shallow, tags, counts };
        return Ok(Some(git));
    };
    let described = printed("describe", describe.map_err(panicked)??)?;
    let described = lines(&described).next().context("read the output of `git describe`")?;
    let describe = Some(text(described) + if changed { "-dirty" } else { "" });
    let History { commit, time, tags, counts } = history;
    let (commit, time) = (Some(commit), Some(time));
    Ok(Some(Git { top, commit, time, describe, dirty, changes, shallow, tags, counts }))
}

/// `--dirty` would look at the work tree once more; what is known of it says the same.
const DESCRIBE: [&str; 3] = ["describe", "--tags", "--always"];

/// Where the work tree begins, and whether its history was cut off.
fn repository(dir: &Path, env: &Env) -> Result<(PathBuf, bool)> {
    let asked = question(dir, env)
        .args(["rev-parse", "--is-shallow-repository", "--show-toplevel"])
        .output()?;
    if !asked.status.success() {
        let fix = "mend the repository; for `dubious ownership`, run the `git config` command that git names";
        bail!(failure(format!("`git rev-parse` failed: {}", asked.stderr.trim()), fix));
    }
    let answer = asked.stdout.strip_suffix(b"\n").unwrap_or(&asked.stdout);
    let at = answer.iter().position(|byte| *byte == b'\n');
    let (shallow, top) = answer.split_at(at.context("read the output of `git rev-parse`")?);
    Ok((ask::path(&top[1..]), shallow == b"true"))
}

/// Fails where git takes another folder for the work tree than that which holds `.git`:
/// what it says of changes would be of other files than those that are built.
fn ensure_same(top: &Path, found: &Path) -> Result<()> {
    if top == found || files::resolve(top)? == files::resolve(found)? {
        return Ok(());
    }
    let why = format!("git takes {} for the work tree, and not {}", top.display(), found.display());
    let fix = "unset `core.worktree` there, or remove the `.git` that is no repository";
    Err(failure(why, fix))
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
    let log = ["log", "-1", "--no-show-signature", "--no-color", "--format=%H%n%ct", "HEAD", "--"];
    let asked = question(dir, env).args(log).output()?;
    if !asked.status.success() {
        let head = ["rev-parse", "--verify", "--quiet", "HEAD"];
        if !question(dir, env).args(head).output()?.status.success() {
            return Ok(None);
        }
    }
    let answer = printed("log", asked)?;
    let context = "read the output of `git log`";
    let mut answers = lines(&answer).map(text);
    let commit = answers.next().context(context)?;
    let seconds = answers.next().context(context)?.parse().context(context)?;
    let time = Timestamp::from_second(seconds).context(context)?;
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

/// Whether the sources are the repository's own: not ignored by it, and not
/// an unpacked package that happens to lie in it.
fn belongs(dir: &Path, tree: &tree::Tree) -> bool {
    let manifest = dir.join("Cargo.toml");
    let ignored = || manifest.ancestors().any(|path| tree.ignored.iter().any(|it| it == path));
    tree.holds(&manifest) || (!ignored() && !dir.join(VCS_INFO).is_file())
}

/// The release tags below HEAD, which is at `commit`.
fn tags(commit: &str, dir: &Path, env: &Env) -> Result<Vec<Tagged>> {
    let format = "--format=%(objectname) %(*objectname) %(*objecttype) %(refname)";
    let refs = question(dir, env).args(["for-each-ref", "--merged=HEAD", format, "refs/tags"]);
    let listed = said("for-each-ref", &refs)?;
    let mut tagged = Vec::new();
    for line in lines(&listed) {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let objects = [fields.next(), fields.next()];
        let (kind, name) = (fields.next(), fields.next().context("read `git for-each-ref`")?);
        // No tag is a release's that is not text.
        let name = std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix("refs/tags/"));
        let Some(tag) = name.and_then(ReleaseTag::parse) else { continue };
        let on_head = match kind {
            // A tag may be of a tag, and some versions of git follow only the first.
            Some(b"tag") => peeled(&tag, dir, env)? == commit.as_bytes(),
            _ => objects.contains(&Some(commit.as_bytes())),
        };
        tagged.push(Tagged { tag, on_head });
    }
    Ok(tagged)
}

/// The commit that a tag names in the end.
fn peeled(tag: &ReleaseTag, dir: &Path, env: &Env) -> Result<Vec<u8>> {
    let revision = format!("refs/tags/{tag}^{{commit}}");
    let commit = question(dir, env).args(["rev-parse", "--verify", "--quiet", &revision]);
    Ok(said("rev-parse", &commit)?.trim_ascii().to_owned())
}

/// Where the remote `origin` is, if there is one.
pub fn origin(dir: &Path, env: &Env) -> Result<Option<String>> {
    let asked = question(dir, env).args(["config", "--null", "--get", "remote.origin.url"]);
    let asked = asked.output()?;
    Ok(fields(&asked.stdout).next().filter(|_| asked.status.success()).map(text))
}

/// The commits after a tag up to HEAD, the newest first, merges aside: full names and the
/// first lines of their messages. Without a tag, all of them.
pub fn log(after: Option<&ReleaseTag>, dir: &Path, env: &Env) -> Result<Vec<(String, String)>> {
    let options = ["log", "--no-merges", "--no-show-signature", "--no-color", "--encoding=UTF-8"];
    let log = question(dir, env).args(options).args(["--format=%H %s", &since(after), "--"]);
    let commit = |line: &[u8]| {
        let line = text(line);
        let (commit, subject) = line.split_once(' ')?;
        Some((commit.to_owned(), subject.to_owned()))
    };
    Ok(lines(&said("log", &log)?).filter_map(commit).collect())
}

fn count(range: &str, dir: &Path, env: &Env) -> Result<u64> {
    let count = said("rev-list", &question(dir, env).args(["rev-list", "--count", range, "--"]))?;
    text(&count).trim().parse().context("read the output of `git rev-list`")
}
