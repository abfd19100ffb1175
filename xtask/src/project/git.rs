//! What git says of the sources.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use crate::files;
use crate::finding::failure;
use crate::parallel::join;
use crate::process::{self, Env};
use crate::secret::Address;
use crate::version::{Head, ReleaseTag};

mod ask;
mod tree;

pub use ask::program;
use ask::{fields, lines, printed, question, said, text};
pub use tree::{Change, ChangeKind, Tree, look as tree};

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
    pub tree: Tree,
    /// Whether history was cut off, so that tags and counts may be missing.
    pub shallow: bool,
    /// The tags reachable from HEAD whose names are text, and with one on HEAD all others too.
    pub marks: Vec<Mark>,
    /// The release tags among them.
    pub tags: Vec<Tagged>,
    /// How many commits are in the ranges that were counted.
    pub counts: BTreeMap<String, u64>,
}

/// A tag, whatever it announces.
#[derive(Clone, Debug)]
pub struct Mark {
    pub name: String,
    /// The commit that it is of in the end.
    pub commit: String,
    pub place: MarkPlace,
}

/// Where a tag is, seen from HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkPlace {
    OnHead,
    Below,
    /// On a commit that HEAD does not stand on.
    Apart,
}

/// A release tag, and where it is.
#[derive(Clone, Debug)]
pub struct Tagged {
    pub tag: ReleaseTag,
    pub commit: String,
    pub place: MarkPlace,
}

impl Tagged {
    fn is_on_head(&self) -> bool {
        self.place == MarkPlace::OnHead
    }
}

impl Git {
    /// Settles whether the tree is dirty, now that it is known where dist/ is.
    pub fn leave_out(&mut self, dist: &Path) {
        let beside = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            path.parent() == dist.parent() && name.starts_with(".dist.dockless-")
        };
        let made = |path: &Path| path.ancestors().any(|path| path == dist || beside(path));
        self.tree.changes.retain(|change| !made(&change.path));
        self.dirty = !self.tree.changes.is_empty();
    }

    /// Adds changes that were found otherwise.
    pub fn add(&mut self, changes: Vec<Change>) {
        self.tree.changes.extend(changes);
        self.tree.changes.sort();
        self.tree.changes.dedup();
        self.dirty = !self.tree.changes.is_empty();
    }

    /// Whether a path, or a folder that it lies in, is among the changes.
    pub fn is_known(&self, path: &Path) -> bool {
        self.tree.changes.iter().any(|change| path.starts_with(&change.path))
    }

    /// Those of the files, all in the index, whose line ends the checkout changed, and not
    /// because the commit's own attributes say so.
    /// <https://git-scm.com/docs/git-ls-files#Documentation/git-ls-files.txt---eol>
    pub fn converted(&self, files: &[PathBuf], env: &Env) -> Result<Vec<PathBuf>> {
        let mut own = Vec::new();
        for file in files {
            // Only those are asked about that have such an end.
            if file.is_file() && begins_with_crlf(file)? {
                own.extend(file.strip_prefix(&self.top).ok());
            }
        }
        let mut converted = Vec::new();
        for files in own.chunks(tree::AT_ONCE) {
            let asked = question(&self.top, env).args(["--literal-pathspecs", "ls-files", "-z"]);
            let listed = said("ls-files", &asked.args(["--eol", "--"]).args(files))?;
            for entry in fields(&listed) {
                let Some(at) = entry.iter().position(|byte| *byte == b'\t') else { continue };
                let (about, path) = (text(&entry[..at]), ask::path(&entry[at + 1..]));
                let mut ends = about.split_whitespace().map(|it| it.split_once('/'));
                let (index, tree) = (ends.next().flatten(), ends.next().flatten());
                let same = index.map(|(_, end)| end) == tree.map(|(_, end)| end);
                if !same && !about.contains("eol=crlf") {
                    converted.push(self.top.join(path));
                }
            }
        }
        Ok(converted)
    }

    /// Settles which tags announce releases, now that the project's form of them is known.
    pub fn read_tags(&mut self, read: impl Fn(&str) -> Option<ReleaseTag>) {
        self.tags = read_all(&self.marks, read);
    }

    /// The release before that of a tag: the highest version below it. A pre-release is
    /// none for what is not one itself.
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

    /// The release tags that HEAD stands on, its own among them.
    fn reachable(&self) -> impl Iterator<Item = &Tagged> {
        self.tags.iter().filter(|tagged| tagged.place != MarkPlace::Apart)
    }

    /// The last release of a package below HEAD: the highest version.
    fn last(&self, package: &str) -> Option<&Tagged> {
        let own = self.reachable().filter(|tagged| tagged.tag.speaks_of(package));
        own.max_by_key(|it| (it.tag.version.clone(), it.is_on_head(), it.tag.rank()))
    }

    /// Counts the commits since each package's last release, as far as that was not done.
    pub fn count_for<'a>(
        &mut self,
        packages: impl Iterator<Item = &'a str>,
        dir: &Path,
        env: &Env,
    ) -> Result<()> {
        for package in packages {
            let last = self.last(package);
            let range = since(last.map(|last| &last.tag));
            let counted = self.commit.is_none() || last.is_some_and(Tagged::is_on_head);
            if !counted && !self.counts.contains_key(&range) {
                let commits = count(&range, dir, env)?;
                self.counts.insert(range, commits);
            }
        }
        Ok(())
    }

    /// Where HEAD stands for the package. Of several tags that counts which announces what
    /// Cargo.toml says (`announced`), then one with the package's own name before one of all
    /// packages, then the higher version.
    pub fn head(&self, package: &str, announced: impl Fn(&ReleaseTag) -> bool) -> Head<'_> {
        let on_head = self.tags_on_head().filter(|tag| tag.speaks_of(package));
        let tag = on_head.max_by_key(|tag| {
            (announced(tag), tag.package.is_some(), tag.version.clone(), tag.rank())
        });
        let last = self.last(package).map(|tagged| &tagged.tag);
        let commits = self.counts.get(&since(last)).copied().unwrap_or(0);
        Head { commit: self.commit.as_deref(), dirty: self.dirty, tag, last, commits }
    }

    /// The other tags of what a tag announces for the package.
    pub fn twins(&self, tag: &ReleaseTag, package: &str) -> impl Iterator<Item = &Tagged> {
        let same = move |it: &&Tagged| {
            it.tag.version == tag.version && it.tag.speaks_of(package) && it.tag != *tag
        };
        self.tags.iter().filter(same)
    }
}

/// Whether the first line of a text ends with CR LF. Where a checkout wrote one such end, it
/// wrote them all.
fn begins_with_crlf(file: &Path) -> Result<bool> {
    const LONGEST: u64 = 64 << 10;
    let mut start = Vec::new();
    let read = files::open_regular(file)?.take(LONGEST).read_to_end(&mut start);
    read.with_context(|| format!("read {}", file.display()))?;
    let end = start.iter().position(|byte| *byte == b'\n');
    Ok(end.is_some_and(|at| start[..at].ends_with(b"\r")))
}

/// The folder that holds the `.git` of what lies at a path, where there is one.
pub fn top_of(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok())
}

/// Looks for the repository that `dir` belongs to; `None` where there is none.
/// A repository that cannot be read is an error, never taken for none.
pub fn look(dir: &Path, env: &Env) -> Result<Option<Git>> {
    // Where git, too, would look; its variables do not reach it from here.
    let Some(found) = top_of(dir) else { return Ok(None) };
    if process::find("git", env).is_none() {
        let why = format!("read the repository {}: git is not on PATH", found.display());
        return Err(failure(why, "install git"));
    }
    // The answers do not depend on each other, and each takes git's own start.
    let (repository, tree, describe, history) = std::thread::scope(|scope| {
        let tree = scope.spawn(|| tree::look(found, env));
        let describe = scope.spawn(|| question(dir, env).args(DESCRIBE).output());
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
    let Some(history) = history? else {
        let (commit, time, describe) = Default::default();
        let (marks, tags, counts) = Default::default();
        let git = Git { top, commit, time, describe, dirty, tree, shallow, marks, tags, counts };
        return Ok(Some(git));
    };
    let described = printed("describe", describe?)?;
    let described = lines(&described).next().context("read the output of `git describe`")?;
    let describe = Some(text(described) + if changed { "-dirty" } else { "" });
    let History { commit, time, marks, counts } = history;
    let (commit, time) = (Some(commit), Some(time));
    let tags = read_all(&marks, ReleaseTag::parse);
    Ok(Some(Git { top, commit, time, describe, dirty, tree, shallow, marks, tags, counts }))
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

/// HEAD's commit, its time, and the tags.
struct History {
    commit: String,
    time: Timestamp,
    marks: Vec<Mark>,
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
    let mut marks = marks(&commit, "--merged=HEAD", dir, env)?;
    // The count that most packages will ask for, while others are still asked.
    let tags = read_all(&marks, ReleaseTag::parse);
    let range = since(tags.iter().map(|tagged| &tagged.tag).max_by_key(|tag| &tag.version));
    let counts = BTreeMap::from([(range.clone(), count(&range, dir, env)?)]);
    // What is released must be tagged nowhere else.
    if marks.iter().any(|mark| mark.place == MarkPlace::OnHead) {
        let apart = self::marks(&commit, "--no-merged=HEAD", dir, env)?;
        marks.extend(apart.into_iter().map(|mark| Mark { place: MarkPlace::Apart, ..mark }));
    }
    Ok(Some(History { commit, time, marks, counts }))
}

fn read_all(marks: &[Mark], read: impl Fn(&str) -> Option<ReleaseTag>) -> Vec<Tagged> {
    let tagged = |mark: &Mark| {
        let (tag, commit) = (read(&mark.name)?, mark.commit.clone());
        Some(Tagged { tag, commit, place: mark.place })
    };
    marks.iter().filter_map(tagged).collect()
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

/// The tags of `which` commits, seen from HEAD, which is at `commit`.
fn marks(commit: &str, which: &str, dir: &Path, env: &Env) -> Result<Vec<Mark>> {
    let format = "--format=%(objectname) %(*objectname) %(*objecttype) %(refname)";
    let refs = question(dir, env).args(["for-each-ref", which, format, "refs/tags"]);
    let listed = said("for-each-ref", &refs)?;
    let mut marks = Vec::new();
    for line in lines(&listed) {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (own, of) = (fields.next().map(text), fields.next().map(text));
        let (kind, name) = (fields.next(), fields.next().context("read `git for-each-ref`")?);
        // No tag is a release's that is not text.
        let name = std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix("refs/tags/"));
        let Some(name) = name.map(str::to_owned) else { continue };
        let of = match kind {
            // A tag may be of a tag, and some versions of git follow only the first.
            Some(b"tag") => peeled(&name, dir, env)?,
            _ => of.filter(|of| !of.is_empty()).or(own).context("read `git for-each-ref`")?,
        };
        let place = if of == commit { MarkPlace::OnHead } else { MarkPlace::Below };
        marks.push(Mark { name, commit: of, place });
    }
    Ok(marks)
}

/// What a tag of a tag is of in the end.
fn peeled(tag: &str, dir: &Path, env: &Env) -> Result<String> {
    let revision = format!("refs/tags/{tag}^{{}}");
    let object = question(dir, env).args(["rev-parse", "--verify", "--quiet", &revision]);
    Ok(text(said("rev-parse", &object)?.trim_ascii()))
}

/// Where the remote `origin` is, without a login, if there is one.
pub fn origin(dir: &Path, env: &Env) -> Result<Option<String>> {
    let asked = question(dir, env).args(["config", "--null", "--get", "remote.origin.url"]);
    let asked = asked.output()?;
    let origin = fields(&asked.stdout).next().filter(|_| asked.status.success()).map(text);
    Ok(origin.map(|origin| Address::new(&origin).shown().to_owned()))
}

/// The branch of the remote `origin` that others are merged into, where a clone or
/// `git remote set-head` told.
pub fn default_branch(dir: &Path, env: &Env) -> Result<Option<String>> {
    let branch = symbolic("refs/remotes/origin/HEAD", dir, env)?;
    Ok(branch.and_then(|branch| branch.strip_prefix("refs/remotes/origin/").map(str::to_owned)))
}

/// The branch that is checked out; `None` where HEAD is a commit, or without a repository.
pub fn current_branch(dir: &Path, env: &Env) -> Result<Option<String>> {
    let branch = symbolic("HEAD", dir, env)?;
    Ok(branch.and_then(|branch| branch.strip_prefix("refs/heads/").map(str::to_owned)))
}

/// What git calls the first branch of a new repository.
pub fn new_branch(dir: &Path, env: &Env) -> Result<String> {
    let asked = question(dir, env).args(["var", "GIT_DEFAULT_BRANCH"]);
    Ok(text(said("var", &asked)?.trim_ascii()))
}

/// What a symbolic reference names.
fn symbolic(name: &str, dir: &Path, env: &Env) -> Result<Option<String>> {
    let asked = question(dir, env).args(["symbolic-ref", "--quiet", name]).output()?;
    Ok(lines(&asked.stdout).next().filter(|_| asked.status.success()).map(text))
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
