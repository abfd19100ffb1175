//! What the work tree has that the commit lacks.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::ask::{self, fields, lines, question, said};
use crate::files;
use crate::parallel::join;
use crate::process::Env;

/// A path whose content the commit does not hold, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute.
    pub path: PathBuf,
    pub kind: ChangeKind,
}

/// How a file is not what the commit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is in the commit, with other content.
    Changed,
    /// It is not in the commit.
    Untracked,
    /// It was changed, or is not there, and the index says not to look.
    Hidden,
    /// It was changed, or is new, in a submodule or in another repository.
    Elsewhere,
    /// It is read, and git ignores it.
    Ignored,
    /// It is read, and lies in no repository.
    Outside,
    /// It is read, and the checkout changed its line ends.
    Converted,
}

impl ChangeKind {
    /// Whether `git status` shows it.
    pub fn is_shown(self) -> bool {
        matches!(self, ChangeKind::Changed | ChangeKind::Untracked)
    }
}

/// The work tree of a repository, and of the submodules that are checked out in it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// What git sees as changed, untracked files included, and what it was told not to see.
    pub changes: Vec<Change>,
    /// The files and folders that git ignores; a folder stands for all that is in it.
    pub ignored: Vec<PathBuf>,
    /// The files in the index, sorted.
    pub held: Vec<PathBuf>,
}

impl Change {
    /// The same, seen from a repository that is another.
    pub fn elsewhere(self) -> Change {
        let kind = if self.kind.is_shown() { ChangeKind::Elsewhere } else { self.kind };
        Change { kind, ..self }
    }
}

impl Tree {
    /// Whether the index has the file.
    pub fn holds(&self, file: &Path) -> bool {
        self.held.binary_search_by(|held| held.as_path().cmp(file)).is_ok()
    }
}

/// Looks at the work tree that begins at `top`.
pub fn look(top: &Path, env: &Env) -> Result<Tree> {
    let (status, listed) = std::thread::scope(|scope| {
        let listed = scope.spawn(|| {
            let index = question(top, env).args(["ls-files", "-z", "--stage", "-v"]);
            said("ls-files", &index)
        });
        (status(top, env), join(listed))
    });
    let listed = listed?;
    let mut tree = Tree::default();
    read_status(top, &status?, &mut tree);
    let (hidden, submodules) = read_index(top, &listed, &mut tree);
    tree.changes.extend(really_changed(top, hidden, env)?);
    for submodule in submodules {
        let within = within(&submodule, env)?;
        tree.changes.extend(within.changes.into_iter().map(Change::elsewhere));
        tree.ignored.extend(within.ignored);
        tree.held.extend(within.held);
    }
    tree.changes.sort();
    tree.held.sort();
    Ok(tree)
}

/// What is changed below `top`. Of submodules only which commit they are at is looked at, as
/// theirs is looked for apart: what a repository says of how much of that to show, or what it
/// has git start meanwhile, then counts for nothing. Renames are no matter here, and to find
/// them git would read contents, which a partial clone would have to fetch. Folders that a pattern
/// ignores are not walked.
fn status(top: &Path, env: &Env) -> Result<Vec<u8>> {
    let status = question(top, env)
        .args(ask::without_filters(top, env)?)
        .args(["status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal"])
        .args(["--ignored=matching", "--ignore-submodules=dirty"]);
    said("status", &status)
}

/// Reads `XY path` of each change. <https://git-scm.com/docs/git-status#_short_format>
fn read_status(top: &Path, status: &[u8], tree: &mut Tree) {
    for entry in fields(status) {
        let (kind, path) = entry.split_at_checked(3).unwrap_or((b"", entry));
        let path = top.join(ask::path(path));
        match kind {
            b"!! " => tree.ignored.push(path),
            b"?? " => tree.changes.push(Change { path, kind: ChangeKind::Untracked }),
            _ => tree.changes.push(Change { path, kind: ChangeKind::Changed }),
        }
    }
}

/// A file that the index says not to look at.
struct Hidden {
    path: PathBuf,
    object: String,
}

/// Reads `TAG MODE OBJECT STAGE\tPATH` of each entry, and returns those that git was told not
/// to look at, and the submodules' folders. <https://git-scm.com/docs/git-ls-files#_options>
fn read_index(top: &Path, listed: &[u8], tree: &mut Tree) -> (Vec<Hidden>, Vec<PathBuf>) {
    let (mut hidden, mut submodules) = (Vec::new(), Vec::new());
    for entry in fields(listed) {
        let Some(at) = entry.iter().position(|byte| *byte == b'\t') else { continue };
        let (about, path) = (ask::text(&entry[..at]), top.join(ask::path(&entry[at + 1..])));
        let mut about = about.split(' ');
        let (tag, mode) = (about.next().unwrap_or(""), about.next().unwrap_or(""));
        let object = about.next().unwrap_or("").to_owned();
        // Lower case: assumed to be unchanged. S: not to be in the work tree.
        if tag == "S" || tag.starts_with(|tag: char| tag.is_ascii_lowercase()) {
            hidden.push(Hidden { path: path.clone(), object });
        }
        if mode == "160000" {
            submodules.push(path.clone());
        }
        tree.held.push(path);
    }
    (hidden, submodules)
}

/// How many files are named in one call, which systems bound.
pub(super) const AT_ONCE: usize = 200;

/// Those that are not what the index has for them.
fn really_changed(top: &Path, hidden: Vec<Hidden>, env: &Env) -> Result<Vec<Change>> {
    // A submodule is looked at by itself.
    let all = hidden.into_iter().filter(|it| it.path.is_symlink() || !it.path.is_dir());
    let (files, others): (Vec<Hidden>, Vec<Hidden>) =
        all.partition(|it| it.path.is_file() && !it.path.is_symlink());
    let mut changed = Vec::new();
    for files in files.chunks(AT_ONCE) {
        let names = files.iter().map(|it| it.path.strip_prefix(top).unwrap_or(&it.path));
        let hash = question(top, env).args(ask::without_filters(top, env)?);
        let hashes = said("hash-object", &hash.args(["hash-object", "--"]).args(names))?;
        let hashes: Vec<&[u8]> = lines(&hashes).collect();
        let same = |at: usize| hashes.get(at) == Some(&files[at].object.as_bytes());
        changed.extend((0..files.len()).filter(|at| !same(*at)).map(|at| files[at].path.clone()));
    }
    for Hidden { path, object } in others {
        let same = path.is_symlink() && {
            let target = files::read_link(&path)?;
            let hash = question(top, env).args(["hash-object", "--stdin"]);
            let hash = hash.input(target.as_os_str().as_encoded_bytes());
            said("hash-object", &hash)?.trim_ascii() == object.as_bytes()
        };
        if !same {
            changed.push(path);
        }
    }
    let kind = ChangeKind::Hidden;
    Ok(changed.into_iter().map(|path| Change { path, kind }).collect())
}

/// A submodule's own tree. One that is not checked out has none, and what lies in its folder
/// is in no commit.
fn within(submodule: &Path, env: &Env) -> Result<Tree> {
    if submodule.join(".git").symlink_metadata().is_ok() {
        return look(submodule, env);
    }
    let mut tree = Tree::default();
    if submodule.is_dir() && !files::list(submodule)?.is_empty() {
        tree.changes.push(Change { path: submodule.to_owned(), kind: ChangeKind::Untracked });
    }
    Ok(tree)
}
