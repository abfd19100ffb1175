//! What git says about the sources: commit, tags, changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use crate::files;
use crate::finding::failure;
use crate::parallel::{self, join};
use crate::process::{self, Env};
use crate::secret::Address;
use crate::version::{Head, ReleaseTag};

mod ask;
mod clone;
mod now;
mod tree;

pub use ask::program;
use ask::{fields, lines, query, read, stdout, text};
pub use clone::{Moved, Wanted as WantedCommit, clone, files_named};
pub use tree::{Change, ChangeKind, Tree, look as tree};

/// The file that cargo adds to packaged sources.
pub const VCS_INFO: &str = ".cargo_vcs_info.json";

/// The repository that the project lies in.
#[derive(Clone, Debug, Default)]
pub struct Git {
    /// The root of the work tree.
    pub top: PathBuf,
    /// HEAD's full commit; `None` before the first one.
    pub commit: Option<String>,
    /// When HEAD was committed.
    pub time: Option<Timestamp>,
    /// `git describe --tags --always --dirty`.
    pub describe: Option<String>,
    /// Whether there are changes outside dist/.
    pub dirty: bool,
    pub tree: Tree,
    /// Whether the clone is shallow, so that tags and counts may be missing.
    pub shallow: bool,
    /// The tags reachable from HEAD, and if one is on HEAD, all others too. Only those whose names
    /// are UTF-8.
    pub all_tags: Vec<GitTag>,
    /// The release tags among them.
    pub tags: Vec<Tagged>,
    /// The number of commits in each range that was counted.
    pub counts: BTreeMap<String, u64>,
}

/// A tag of any kind.
#[derive(Clone, Debug)]
pub struct GitTag {
    pub name: String,
    /// The commit that it points to.
    pub commit: String,
    pub place: TagPlace,
}

/// Where a tag is relative to HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagPlace {
    OnHead,
    /// On an ancestor of HEAD.
    Below,
    /// On a commit that is not an ancestor of HEAD.
    Apart,
}

/// A release tag, and where it is.
#[derive(Clone, Debug)]
pub struct Tagged {
    pub tag: ReleaseTag,
    pub commit: String,
    pub place: TagPlace,
}

impl Tagged {
    fn is_on_head(&self) -> bool {
        self.place == TagPlace::OnHead
    }
}

impl Git {
    /// Removes changes in dist/, once its place is known.
    pub fn leave_out(&mut self, dist: &Path) {
        let beside = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            path.parent() == dist.parent() && name.starts_with(".dist.dockless-")
        };
        let made = |path: &Path| path.ancestors().any(|path| path == dist || beside(path));
        self.tree.changes.retain(|change| !made(&change.path));
        self.dirty = !self.tree.changes.is_empty();
    }

    /// Adds changes that `git status` does not show.
    pub fn add(&mut self, changes: Vec<Change>) {
        self.tree.changes.extend(changes);
        self.tree.changes.sort();
        self.tree.changes.dedup();
        self.dirty = !self.tree.changes.is_empty();
    }

    /// Whether the changes contain the path or a folder above it.
    pub fn is_known(&self, path: &Path) -> bool {
        self.tree.changes.iter().any(|change| path.starts_with(&change.path))
    }

    /// The files whose line ends the checkout has changed, except where the commit's attributes
    /// say `eol=crlf`. All must be in the index.
    /// <https://git-scm.com/docs/git-ls-files#Documentation/git-ls-files.txt---eol>
    pub fn converted(&self, files: &[PathBuf], env: &Env) -> Result<Vec<PathBuf>> {
        let mut own = Vec::new();
        for file in files {
            // Git is only asked about files with CR LF.
            if file.is_file() && begins_with_crlf(file)? {
                own.extend(file.strip_prefix(&self.top).ok());
            }
        }
        let mut converted = Vec::new();
        for files in own.chunks(tree::FILES_PER_CALL) {
            let asked = query(&self.top, env).args(["--literal-pathspecs", "ls-files", "-z"]);
            let listed = read("ls-files", &asked.args(["--eol", "--"]).args(files))?;
            for entry in fields(&listed) {
                let Some(at) = entry.iter().position(|byte| *byte == b'\t') else { continue };
                let about = text(&entry[..at]);
                let mut ends = about.split_whitespace().map(|it| it.split_once('/'));
                let (index, tree) = (ends.next().flatten(), ends.next().flatten());
                let same = index.map(|(_, end)| end) == tree.map(|(_, end)| end);
                if !same && !about.contains("eol=crlf") {
                    converted.push(self.top.join(ask::path(&entry[at + 1..])));
                }
            }
        }
        Ok(converted)
    }

    /// Reads the release tags by the project's own form.
    pub fn read_tags(&mut self, read: impl Fn(&str) -> Option<ReleaseTag>) {
        self.tags = read_all(&self.all_tags, read);
    }

    /// The release before a tag's: the highest lower version. Pre-releases count only before
    /// another pre-release.
    pub fn before(&self, tag: &ReleaseTag) -> Option<&ReleaseTag> {
        let of_same = |it: &&ReleaseTag| match &tag.package {
            Some(package) => it.speaks_of(package),
            None => it.package.is_none(),
        };
        let tags = self.reachable().map(|it| &it.tag).filter(of_same);
        let below = tags.filter(|it| it.version < tag.version);
        below
            .filter(|it| tag.version.is_prerelease() || !it.version.is_prerelease())
            .max_by_key(|it| (it.version.clone(), it.rank()))
    }

    /// The release tags on HEAD.
    pub fn tags_on_head(&self) -> impl Iterator<Item = &ReleaseTag> {
        self.tags.iter().filter(|tagged| tagged.is_on_head()).map(|tagged| &tagged.tag)
    }

    /// The release tags on HEAD and its ancestors.
    fn reachable(&self) -> impl Iterator<Item = &Tagged> {
        self.tags.iter().filter(|tagged| tagged.place != TagPlace::Apart)
    }

    /// The last release of a package: the highest version on HEAD or below.
    fn last(&self, package: &str) -> Option<&Tagged> {
        let own = self.reachable().filter(|tagged| tagged.tag.speaks_of(package));
        own.max_by_key(|it| (it.tag.version.clone(), it.is_on_head(), it.tag.rank()))
    }

    /// Counts the commits since each package's last release, where that was not done yet.
    pub fn count_for<'a>(
        &mut self,
        packages: impl Iterator<Item = &'a str>,
        dir: &Path,
        env: &Env,
    ) -> Result<()> {
        // The ranges, by the commit that each begins after: in a large workspace many packages
        // have tags of their own, of which many are on one commit.
        let mut open: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
        for package in packages {
            let last = self.last(package);
            let range = since(last.map(|last| &last.tag));
            let counted = self.commit.is_none() || last.is_some_and(Tagged::is_on_head);
            if !counted && !self.counts.contains_key(&range) {
                let after = last.map(|last| last.commit.clone());
                open.entry(after).or_default().insert(range);
            }
        }
        let firsts: Vec<&String> = open.values().filter_map(BTreeSet::first).collect();
        let counts = parallel::map(&firsts, GITS, |range| count(range, dir, env))?;
        for (ranges, commits) in open.into_values().zip(counts) {
            self.counts.extend(ranges.into_iter().map(|range| (range, commits)));
        }
        Ok(())
    }

    /// HEAD's place in the package's history. Of several tags on HEAD it takes one that fits
    /// Cargo.toml (`announced`), then one with the package's name, then the highest version.
    pub fn head(&self, package: &str, announced: impl Fn(&ReleaseTag) -> bool) -> Head<'_> {
        let on_head = self.tags_on_head().filter(|tag| tag.speaks_of(package));
        let tag = on_head.max_by_key(|tag| {
            (announced(tag), tag.package.is_some(), tag.version.clone(), tag.rank())
        });
        let last = self.last(package).map(|tagged| &tagged.tag);
        let commits = self.counts.get(&since(last)).copied().unwrap_or(0);
        Head { commit: self.commit.as_deref(), dirty: self.dirty, tag, last, commits }
    }

    /// The other tags for the same version of the package.
    pub fn twins(&self, tag: &ReleaseTag, package: &str) -> impl Iterator<Item = &Tagged> {
        let same = move |it: &&Tagged| {
            it.tag.version == tag.version && it.tag.speaks_of(package) && it.tag != *tag
        };
        self.tags.iter().filter(same)
    }
}

/// Whether the first line of a text ends with CR LF: a checkout converts all lines or none.
fn begins_with_crlf(file: &Path) -> Result<bool> {
    const LONGEST: u64 = 64 << 10;
    let mut start = Vec::new();
    let read = files::open_regular(file)?.take(LONGEST).read_to_end(&mut start);
    read.with_context(|| format!("read {}", file.display()))?;
    let end = start.iter().position(|byte| *byte == b'\n');
    Ok(end.is_some_and(|at| start[..at].ends_with(b"\r")))
}

/// The nearest folder with a `.git`, at the path or above it.
pub fn top_of(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok())
}

/// Reads the repository that `dir` belongs to; `None` where there is none. A repository that
/// cannot be read is an error.
pub fn look(dir: &Path, env: &Env) -> Result<Option<Git>> {
    // Git would look there, too: variables such as GIT_DIR are not passed on to it.
    let Some(found) = top_of(dir) else { return Ok(None) };
    if process::find("git", env).is_none() {
        let why = format!("read the repository {}: git is not on PATH", found.display());
        return Err(failure(why, "install git"));
    }
    // The queries are independent, and each starts a git.
    let (repository, tree, describe, history) = std::thread::scope(|scope| {
        let tree = scope.spawn(|| tree::look(found, env));
        let describe = scope.spawn(|| query(dir, env).args(DESCRIBE).output());
        let history = scope.spawn(|| history(dir, env));
        (repository(dir, env), join(tree), join(describe), join(history))
    });
    let (top, shallow) = repository?;
    ensure_same(&top, found)?;
    let tree = tree?;
    if !belongs(dir, &tree) {
        return Ok(None);
    }
    let changed = tree.changes.iter().any(|change| change.kind != ChangeKind::Untracked);
    let dirty = !tree.changes.is_empty();
    let mut git = Git { top, dirty, tree, shallow, ..Git::default() };
    let Some(history) = history? else { return Ok(Some(git)) };
    let described = stdout("describe", describe?)?;
    let described = lines(&described).next().context("read the output of `git describe`")?;
    git.describe = Some(text(described) + if changed { "-dirty" } else { "" });
    git.commit = Some(history.commit);
    git.time = Some(history.time);
    git.tags = read_all(&history.all_tags, ReleaseTag::parse);
    git.all_tags = history.all_tags;
    git.counts = history.counts;
    Ok(Some(git))
}

/// How many calls of git count commits at the same time.
const GITS: usize = 4;

/// Without `--dirty`, which would read the work tree again.
const DESCRIBE: [&str; 3] = ["describe", "--tags", "--always"];

/// The root of the work tree, and whether the clone is shallow.
fn repository(dir: &Path, env: &Env) -> Result<(PathBuf, bool)> {
    let asked = query(dir, env)
        .args(["rev-parse", "--is-shallow-repository", "--show-toplevel"])
        .output()?;
    if !asked.status.success() {
        let fix = "repair the repository; for `dubious ownership`, run the `git config` command that git names";
        bail!(failure(format!("`git rev-parse` failed: {}", process::excerpt(&asked.stderr)), fix));
    }
    let answer = asked.stdout.strip_suffix(b"\n").unwrap_or(&asked.stdout);
    let at = answer.iter().position(|byte| *byte == b'\n');
    let (shallow, top) = answer.split_at(at.context("read the output of `git rev-parse`")?);
    Ok((ask::path(&top[1..]), shallow == b"true"))
}

/// Fails where git's work tree is not the folder that holds `.git`: git would then report
/// changes of other files than those that are built.
fn ensure_same(top: &Path, found: &Path) -> Result<()> {
    if top == found || files::resolve(top)? == files::resolve(found)? {
        return Ok(());
    }
    let why = format!("git takes {} for the work tree, not {}", top.display(), found.display());
    let fix = "unset `core.worktree` there, or remove the `.git` that is not a repository";
    Err(failure(why, fix))
}

/// HEAD's commit, its time, and the tags.
struct History {
    commit: String,
    time: Timestamp,
    all_tags: Vec<GitTag>,
    counts: BTreeMap<String, u64>,
}

/// `None` before the first commit.
fn history(dir: &Path, env: &Env) -> Result<Option<History>> {
    let log = ["log", "-1", "--no-show-signature", "--no-color", "--format=%H%n%ct", "HEAD", "--"];
    let asked = query(dir, env).args(log).output()?;
    if !asked.status.success() {
        let head = ["rev-parse", "--verify", "--quiet", "HEAD"];
        if !query(dir, env).args(head).output()?.status.success() {
            return Ok(None);
        }
    }
    let answer = stdout("log", asked)?;
    let context = "read the output of `git log`";
    let mut answers = lines(&answer).map(text);
    let commit = answers.next().context(context)?;
    let seconds = answers.next().context(context)?.parse().context(context)?;
    let time = Timestamp::from_second(seconds).context(context)?;
    let mut all_tags = all_tags(&commit, "--merged=HEAD", dir, env)?;
    // Most packages need this count; it is made while other queries run.
    let tags = read_all(&all_tags, ReleaseTag::parse);
    let range = since(tags.iter().map(|tagged| &tagged.tag).max_by_key(|tag| &tag.version));
    let counts = BTreeMap::from([(range.clone(), count(&range, dir, env)?)]);
    // A version must not be tagged on another commit.
    if all_tags.iter().any(|git_tag| git_tag.place == TagPlace::OnHead) {
        let apart = self::all_tags(&commit, "--no-merged=HEAD", dir, env)?;
        all_tags
            .extend(apart.into_iter().map(|git_tag| GitTag { place: TagPlace::Apart, ..git_tag }));
    }
    Ok(Some(History { commit, time, all_tags, counts }))
}

fn read_all(all_tags: &[GitTag], read: impl Fn(&str) -> Option<ReleaseTag>) -> Vec<Tagged> {
    let tagged = |git_tag: &GitTag| {
        let tag = read(&git_tag.name)?;
        Some(Tagged { tag, commit: git_tag.commit.clone(), place: git_tag.place })
    };
    all_tags.iter().filter_map(tagged).collect()
}

/// The commits after a tag, or all of them.
fn since(tag: Option<&ReleaseTag>) -> String {
    tag.map_or_else(|| "HEAD".to_owned(), |tag| format!("refs/tags/{tag}..HEAD"))
}

/// Whether the sources are the repository's own: not ignored, and not an unpacked package.
fn belongs(dir: &Path, tree: &tree::Tree) -> bool {
    let manifest = dir.join("Cargo.toml");
    let ignored = || manifest.ancestors().any(|path| tree.ignored.iter().any(|it| it == path));
    tree.holds(&manifest) || (!ignored() && !dir.join(VCS_INFO).is_file())
}

/// The tags of `which` commits, seen from HEAD, which is at `commit`.
fn all_tags(commit: &str, which: &str, dir: &Path, env: &Env) -> Result<Vec<GitTag>> {
    let format = "--format=%(objectname) %(*objectname) %(*objecttype) %(refname)";
    let refs = query(dir, env).args(["for-each-ref", which, format, "refs/tags"]);
    let listed = read("for-each-ref", &refs)?;
    let mut all_tags = Vec::new();
    for line in lines(&listed) {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let own = fields.next().map(text);
        let of = fields.next().map(text);
        let kind = fields.next();
        let name = fields.next().context("read `git for-each-ref`")?;
        // A release tag is UTF-8.
        let name = std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix("refs/tags/"));
        let Some(name) = name.map(str::to_owned) else { continue };
        let of = match kind {
            // A tag may point to a tag, and some versions of git follow only the first.
            Some(b"tag") => peeled(&name, dir, env)?,
            _ => of.filter(|of| !of.is_empty()).or(own).context("read `git for-each-ref`")?,
        };
        let place = if of == commit { TagPlace::OnHead } else { TagPlace::Below };
        all_tags.push(GitTag { name, commit: of, place });
    }
    Ok(all_tags)
}

/// The object that a tag of a tag points to in the end.
fn peeled(tag: &str, dir: &Path, env: &Env) -> Result<String> {
    let revision = format!("refs/tags/{tag}^{{}}");
    let object = query(dir, env).args(["rev-parse", "--verify", "--quiet", &revision]);
    Ok(text(read("rev-parse", &object)?.trim_ascii()))
}

/// The URL of the remote `origin`, without a login; `None` where there is no such remote.
pub fn origin(dir: &Path, env: &Env) -> Result<Option<String>> {
    let asked = query(dir, env).args(["config", "--null", "--get", "remote.origin.url"]);
    let asked = asked.output()?;
    let origin = fields(&asked.stdout).next().filter(|_| asked.status.success()).map(text);
    Ok(origin.map(|origin| Address::new(&origin).shown().to_owned()))
}

/// The default branch of the remote `origin`, if a clone or `git remote set-head` stored it.
pub fn default_branch(dir: &Path, env: &Env) -> Result<Option<String>> {
    let branch = symbolic("refs/remotes/origin/HEAD", dir, env)?;
    Ok(branch.and_then(|branch| branch.strip_prefix("refs/remotes/origin/").map(str::to_owned)))
}

/// The branch that is checked out; `None` where HEAD is a commit, or without a repository.
pub fn current_branch(dir: &Path, env: &Env) -> Result<Option<String>> {
    let branch = symbolic("HEAD", dir, env)?;
    Ok(branch.and_then(|branch| branch.strip_prefix("refs/heads/").map(str::to_owned)))
}

/// The name that git gives to the first branch of a new repository.
pub fn new_branch(dir: &Path, env: &Env) -> Result<String> {
    let asked = query(dir, env).args(["var", "GIT_DEFAULT_BRANCH"]);
    Ok(text(read("var", &asked)?.trim_ascii()))
}

/// The target of a symbolic reference.
fn symbolic(name: &str, dir: &Path, env: &Env) -> Result<Option<String>> {
    let asked = query(dir, env).args(["symbolic-ref", "--quiet", name]).output()?;
    Ok(lines(&asked.stdout).next().filter(|_| asked.status.success()).map(text))
}

/// The commits after a tag up to HEAD, newest first, without merges: full hashes and subjects.
/// Without a tag, all commits.
pub fn log(after: Option<&ReleaseTag>, dir: &Path, env: &Env) -> Result<Vec<(String, String)>> {
    let options = ["log", "--no-merges", "--no-show-signature", "--no-color", "--encoding=UTF-8"];
    let log = query(dir, env).args(options).args(["--format=%H %s", &since(after), "--"]);
    let commit = |line: &[u8]| {
        let line = text(line);
        let (commit, subject) = line.split_once(' ')?;
        Some((commit.to_owned(), subject.to_owned()))
    };
    Ok(lines(&read("log", &log)?).filter_map(commit).collect())
}

fn count(range: &str, dir: &Path, env: &Env) -> Result<u64> {
    let count = read("rev-list", &query(dir, env).args(["rev-list", "--count", range, "--"]))?;
    text(&count).trim().parse().context("read the output of `git rev-list`")
}
