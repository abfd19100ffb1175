//! The commit and the tag that a release begins with: versions, lock file, changelog.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use jiff::civil::Date;
use serde::Serialize;

use crate::config::Config;
use crate::files;
use crate::finding::{Help, failure};
use crate::process::Program;
use crate::project::git::{self, Git, Tagged};
use crate::project::{Package, Project};
use crate::version::{Bump, Version};

mod changelog;
mod manifests;

/// The version that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Exact(Version),
    Next(Bump),
}

impl Wanted {
    /// Takes `1.2.3`, `major`, `minor` or `patch`.
    pub fn parse(text: &str) -> Result<Wanted> {
        match Bump::parse(text) {
            Some(bump) => Ok(Wanted::Next(bump)),
            None => text.strip_prefix('v').unwrap_or(text).parse().map(Wanted::Exact),
        }
    }
}

/// What the release of a version begins with.
#[derive(Debug, Serialize)]
pub struct Prepared {
    pub version: Version,
    pub tag: String,
    /// The commit's message.
    pub message: String,
    /// Whether the tag has a message, as the one before has.
    pub annotated: bool,
    pub files: Vec<FileEdit>,
    /// Whether HEAD has it all but the tag: an earlier run was interrupted.
    pub committed: bool,
}

/// A file of HEAD, and what becomes of it.
#[derive(Debug, Serialize)]
pub struct FileEdit {
    /// Relative to the repository.
    pub path: PathBuf,
    #[serde(skip)]
    after: String,
    pub changes: Vec<Change>,
}

/// Lines, and those that take their place.
#[derive(Debug, Serialize)]
pub struct Change {
    /// From 1.
    pub line: usize,
    pub old: Vec<String>,
    pub new: Vec<String>,
}

/// A text that takes the place of another one in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Splice {
    at: Range<usize>,
    new: String,
}

/// The versions of packages, by name: the present one and the next.
type Versions = BTreeMap<String, (Version, Version)>;

/// Decides what is to be done. Files are taken as HEAD has them, so that an interrupted run can be
/// run again.
pub fn plan(
    wanted: &Wanted,
    names: &[String],
    project: &Project,
    config: &Config,
    today: Date,
) -> Result<Prepared> {
    let git = project.git.as_ref().filter(|git| git.commit.is_some()).ok_or_else(|| {
        failure("there is no commit to release", "commit the project with git first")
    })?;
    let head = Head { git, project };
    let chosen = chosen(names, project, config)?;
    let now = manifests::present(&chosen, &head)?;
    let several = config.packages.iter().filter(|it| it.kept_back.is_none()).count() > 1;
    let name = names.first().filter(|_| several).map(String::as_str);
    let of = chosen.first().context("find the package to release")?;
    let last = git.tags.iter().filter(|it| it.tag.speaks_of(&of.name));
    let last = last.max_by_key(|it| it.tag.version.clone());
    let form = Form { name, package: &of.name, last, project };
    let version = version(wanted, &now, &form, &head)?;
    let tag = form.tag(&version);
    refuse(&version, &now, &tag, &form, &head)?;
    let next: BTreeSet<String> = manifests::released(&chosen, project, &head)?;
    let versions: Versions =
        next.into_iter().map(|name| (name, (now.clone(), version.clone()))).collect();
    let mut edits = manifests::edits(&versions, project, &head)?;
    let changelog = project.root.join(&config.forge.changelog);
    if let Some(text) = head.file(&changelog)? {
        let tags = (last.map(|it| it.tag.to_string()), &*tag);
        let splices = changelog::splices(&text, &version, today, tags);
        edits.extend(file_edit(&head.relative(&changelog)?, &text, splices));
    }
    head.ensure_clean(&edits)?;
    let annotated = last.map_or(Ok(false), |last| head.is_annotated(&last.tag.to_string()))?;
    let message = form.message(&version, &head)?;
    Ok(Prepared { version, tag, message, annotated, committed: edits.is_empty(), files: edits })
}

/// Writes the files, commits them and makes the tag. Nothing is pushed.
pub fn apply(prepared: &Prepared, project: &Project) -> Result<()> {
    let git = project.git.as_ref().context("find the repository")?;
    let top = &git.top;
    for file in &prepared.files {
        files::write(&top.join(&file.path), file.after.as_bytes())?;
    }
    let again = || Help("mend what git says, and run the same command again".to_owned());
    if !prepared.files.is_empty() {
        let paths = prepared.files.iter().map(|file| &file.path);
        let commit = Program::new("git", top, &project.env)
            .args(["commit", "--quiet", "--message", &prepared.message, "--only", "--"])
            .args(paths);
        ensure_success(&commit).with_context(again)?;
    }
    let tag = Program::new("git", top, &project.env).arg("tag");
    let tag = if prepared.annotated {
        tag.args(["--annotate", "--message", &prepared.tag, &prepared.tag])
    } else {
        tag.arg(&prepared.tag)
    };
    ensure_success(&tag).with_context(again)
}

/// Runs git as its user would: with hooks, and asking for a passphrase.
fn ensure_success(program: &Program<'_>) -> Result<()> {
    let status = program.pass_stderr()?;
    ensure!(status.success(), "`{program}` failed ({status}); its messages are above");
    Ok(())
}

/// The packages that are named, or all that are released.
fn chosen<'a>(names: &[String], project: &'a Project, config: &Config) -> Result<Vec<&'a Package>> {
    let packages: Vec<&Package> = if names.is_empty() {
        let shipped = config.packages.iter().filter(|it| it.kept_back.is_none());
        shipped.filter_map(|it| project.package(&it.name)).collect()
    } else {
        let find = |name: &String| {
            project.package(name).ok_or_else(|| {
                let known = project.packages.iter().map(|it| &*it.name).collect::<Vec<_>>();
                failure(
                    format!("no package {name:?} in the workspace"),
                    format!("name one of {}", known.join(", ")),
                )
            })
        };
        names.iter().map(find).collect::<Result<_>>()?
    };
    if packages.is_empty() {
        bail!(failure("no package is released", "name one with --package"));
    }
    Ok(packages)
}

/// The next version. Where HEAD is a release that only lacks its tag, that is the one.
fn version(wanted: &Wanted, now: &Version, form: &Form<'_>, head: &Head<'_>) -> Result<Version> {
    let bump = match wanted {
        Wanted::Exact(version) => return Ok(version.clone()),
        Wanted::Next(bump) => bump,
    };
    let begun =
        head.subject("HEAD")? == form.message(now, head)? && !head.has_tag(&form.tag(now))?;
    Ok(if begun { now.clone() } else { now.next(*bump) })
}

/// Fails where the version cannot be released.
fn refuse(
    version: &Version,
    now: &Version,
    tag: &str,
    form: &Form<'_>,
    head: &Head<'_>,
) -> Result<()> {
    if head.has_tag(tag)? {
        bail!(failure(
            format!("the tag {tag} is there already"),
            "release it with `release`, or choose another version",
        ));
    }
    let last = form.last.map(|it| &it.tag.version);
    let highest = last.filter(|last| *last > now).unwrap_or(now);
    if version < highest {
        bail!(failure(
            format!("{version} is lower than {highest}, which is there already"),
            "choose a higher version",
        ));
    }
    Ok(())
}

/// How this repository names releases.
struct Form<'a> {
    /// The package, where the release is of it alone.
    name: Option<&'a str>,
    package: &'a str,
    last: Option<&'a Tagged>,
    project: &'a Project,
}

impl Form<'_> {
    /// The tag of a version, as the settings or the last one have it.
    fn tag(&self, version: &Version) -> String {
        let Form { name, package, last, project } = self;
        match (last, name) {
            _ if project.tag_form.is_some() => project.tag_for(package, version),
            (Some(last), _) => {
                let old = last.tag.version.to_string();
                last.tag.to_string().replacen(&old, &version.to_string(), 1)
            }
            (None, Some(name)) => format!("{name}-v{version}"),
            (None, None) => project.tag_for(package, version),
        }
    }

    /// The message of the commit, as the last release had it.
    fn message(&self, version: &Version, head: &Head<'_>) -> Result<String> {
        if let Some(last) = self.last {
            let subject = head.subject(&last.commit)?;
            let old = last.tag.version.to_string();
            if subject.contains(&old) {
                return Ok(subject.replace(&old, &version.to_string()));
            }
        }
        let of = self.name.map_or_else(String::new, |name| format!("{name} "));
        Ok(format!("Release {of}{version}"))
    }
}

/// The commit that the release is made of.
struct Head<'a> {
    git: &'a Git,
    project: &'a Project,
}

impl Head<'_> {
    fn query(&self) -> Program<'_> {
        git::program(&self.git.top, &self.project.env)
    }

    /// A path in the repository.
    fn relative(&self, path: &Path) -> Result<PathBuf> {
        let path = path.strip_prefix(&self.git.top);
        Ok(path.context("find the path in the repository")?.to_owned())
    }

    /// A file as HEAD has it; `None` where it has none.
    fn file(&self, path: &Path) -> Result<Option<String>> {
        let path = self.relative(path)?;
        let path = path.to_str().context("the path is not UTF-8")?.replace('\\', "/");
        let read = self.query().args(["cat-file", "blob", &format!("HEAD:{path}")]).output()?;
        if !read.status.success() {
            return Ok(None);
        }
        String::from_utf8(read.stdout).map(Some).with_context(|| format!("read {path} of HEAD"))
    }

    fn subject(&self, commit: &str) -> Result<String> {
        let log = ["log", "-1", "--no-show-signature", "--format=%s", commit, "--"];
        Ok(self.query().args(log).read()?.trim().to_owned())
    }

    fn has_tag(&self, tag: &str) -> Result<bool> {
        let name = format!("refs/tags/{tag}");
        Ok(self.query().args(["show-ref", "--verify", "--quiet", &name]).output()?.status.success())
    }

    fn is_annotated(&self, tag: &str) -> Result<bool> {
        let kind = self.query().args(["cat-file", "-t", &format!("refs/tags/{tag}")]).read()?;
        Ok(kind.trim() == "tag")
    }

    /// Fails where a file differs from HEAD in another way than an interrupted run leaves it.
    fn ensure_clean(&self, edits: &[FileEdit]) -> Result<()> {
        let mut others = Vec::new();
        for change in &self.git.tree.changes {
            let path = self.relative(&change.path)?;
            let own = edits.iter().find(|edit| edit.path == path);
            let begun = match own {
                Some(edit) => files::holds(&change.path, edit.after.as_bytes())?,
                None => false,
            };
            if !begun {
                others.push(path.display().to_string());
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        Err(failure(
            format!("these files have changes that are not committed: {}", others.join(", ")),
            "commit them or put them aside with `git stash --include-untracked`",
        ))
    }
}

/// The file with its splices; `None` where nothing changes.
fn file_edit(path: &Path, before: &str, mut splices: Vec<Splice>) -> Option<FileEdit> {
    splices.retain(|splice| before[splice.at.clone()] != splice.new);
    splices.sort_by_key(|splice| splice.at.start);
    if splices.is_empty() {
        return None;
    }
    let (mut after, mut end) = (String::with_capacity(before.len()), 0);
    let mut changes: Vec<Change> = Vec::new();
    for Splice { at, new } in &splices {
        after += &before[end..at.start];
        after += new;
        end = at.end;
        changes.push(change(before, at, new));
    }
    after += &before[end..];
    Some(FileEdit { path: path.to_owned(), after, changes })
}

/// The lines that a splice is in, before and after it.
fn change(before: &str, at: &Range<usize>, new: &str) -> Change {
    let start = before[..at.start].rfind('\n').map_or(0, |at| at + 1);
    let end = before[at.end..].find('\n').map_or(before.len(), |line| at.end + line);
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    Change {
        line: before[..start].matches('\n').count() + 1,
        old: lines(&before[start..end]),
        new: lines(&format!("{}{new}{}", &before[start..at.start], &before[at.end..end])),
    }
}

#[cfg(test)]
mod tests;
