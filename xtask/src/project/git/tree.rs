//! The work tree's changes against the commit.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::ask::{self, fields, lines, query, read};
use crate::files;
use crate::parallel::join;
use crate::process::Env;

/// A path whose content is not that of the commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute.
    pub path: PathBuf,
    pub kind: ChangeKind,
}

/// How a file differs from the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The commit has it with other content.
    Changed,
    /// The commit does not have it.
    Untracked,
    /// It was changed or removed, but the index tells git not to look (`assume-unchanged`,
    /// `skip-worktree`).
    Hidden,
    /// It is changed or untracked in a submodule or in another repository.
    Elsewhere,
    /// A build reads it, and git ignores it.
    Ignored,
    /// A build reads it, and it is in no repository.
    Outside,
    /// A build reads it, and the checkout has changed its line ends.
    Converted,
}

impl ChangeKind {
    /// Whether `git status` shows it.
    pub fn is_shown(self) -> bool {
        matches!(self, ChangeKind::Changed | ChangeKind::Untracked)
    }
}

/// The work tree of a repository and of its submodules that are checked out.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The changes, untracked files and hidden changes included.
    pub changes: Vec<Change>,
    /// The ignored files and folders; a folder stands for its contents.
    pub ignored: Vec<PathBuf>,
    /// The files in the index, sorted.
    pub held: Vec<PathBuf>,
}

impl Change {
    /// The change, seen from another repository.
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

/// Reads the work tree at `top`.
pub fn look(top: &Path, env: &Env) -> Result<Tree> {
    let (status, listed) = std::thread::scope(|scope| {
        let listed = scope.spawn(|| {
            let index = query(top, env).args(["ls-files", "-z", "--stage", "-v"]);
            read("ls-files", &index)
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

/// The output of `git status` at `top`. Of submodules it only compares their commits: each is
/// read separately, so that their configuration does not matter. Renames are not looked for:
/// that would read contents, which a partial clone would have to fetch. Ignored folders are not
/// walked.
fn status(top: &Path, env: &Env) -> Result<Vec<u8>> {
    let status = query(top, env)
        .args(ask::without_filters(top, env)?)
        .args(["status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal"])
        .args(["--ignored=matching", "--ignore-submodules=dirty"]);
    read("status", &status)
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

/// A file that the index tells git not to look at.
struct Hidden {
    path: PathBuf,
    object: String,
}

/// Reads `TAG MODE OBJECT STAGE\tPATH` of each entry. Returns the hidden files and the
/// submodules' folders. <https://git-scm.com/docs/git-ls-files#_options>
fn read_index(top: &Path, listed: &[u8], tree: &mut Tree) -> (Vec<Hidden>, Vec<PathBuf>) {
    let mut hidden = Vec::new();
    let mut submodules = Vec::new();
    for entry in fields(listed) {
        let Some(at) = entry.iter().position(|byte| *byte == b'\t') else { continue };
        let about = ask::text(&entry[..at]);
        let path = top.join(ask::path(&entry[at + 1..]));
        let mut about = about.split(' ');
        let tag = about.next().unwrap_or("");
        let mode = about.next().unwrap_or("");
        let object = about.next().unwrap_or("").to_owned();
        // Lower case means assume-unchanged, `S` means skip-worktree.
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

/// How many files one call names: systems limit the size of arguments.
pub(super) const FILES_PER_CALL: usize = 200;

/// The hidden files that differ from the index.
fn really_changed(top: &Path, hidden: Vec<Hidden>, env: &Env) -> Result<Vec<Change>> {
    // Submodules are read separately.
    let all = hidden.into_iter().filter(|it| it.path.is_symlink() || !it.path.is_dir());
    let (files, others): (Vec<Hidden>, Vec<Hidden>) =
        all.partition(|it| it.path.is_file() && !it.path.is_symlink());
    let mut changed = Vec::new();
    for files in files.chunks(FILES_PER_CALL) {
        let names = files.iter().map(|it| it.path.strip_prefix(top).unwrap_or(&it.path));
        let hash = query(top, env).args(ask::without_filters(top, env)?);
        let hashes = read("hash-object", &hash.args(["hash-object", "--"]).args(names))?;
        let hashes: Vec<&[u8]> = lines(&hashes).collect();
        let same = |at: usize| hashes.get(at) == Some(&files[at].object.as_bytes());
        changed.extend((0..files.len()).filter(|at| !same(*at)).map(|at| files[at].path.clone()));
    }
    for Hidden { path, object } in others {
        let same = path.is_symlink() && {
            let target = files::read_link(&path)?;
            let hash = query(top, env).args(["hash-object", "--stdin"]);
            let hash = hash.input(target.as_os_str().as_encoded_bytes());
            read("hash-object", &hash)?.trim_ascii() == object.as_bytes()
        };
        if !same {
            changed.push(path);
        }
    }
    let kind = ChangeKind::Hidden;
    Ok(changed.into_iter().map(|path| Change { path, kind }).collect())
}

/// A submodule's own tree. Where it is not checked out, files in its folder are untracked.
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
