//! Finds files that a build reads and that are not in the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use cargo_metadata::{Metadata, TargetKind};

use super::Project;
use super::git::{self, Change, ChangeKind, Git, Tree};
use super::packages::versioned;
use crate::files;

/// The folders of headers and libraries of the system and of package managers. Like the
/// compiler, files in them need not be in the commit.
const SYSTEM: [&str; 13] = [
    "/Applications/Xcode.app",
    "/Library",
    "/System",
    "/gnu/store",
    "/lib",
    "/nix/store",
    "/opt/homebrew",
    "/usr/include",
    "/usr/lib",
    "/usr/local/include",
    "/usr/local/lib",
    "/usr/local/share",
    "/usr/share",
];

/// A folder with more files than this is not a folder of sources.
const MAX_SOURCES: usize = 10_000;

impl Project {
    /// Adds the inputs that are not in the commit to the changes, so that versions become dirty.
    pub fn learn_inputs(&mut self, files: &[PathBuf]) -> Result<()> {
        let uncommitted = self.uncommitted(files)?;
        self.learn_changes(uncommitted);
        Ok(())
    }

    /// Adds the changes in the repositories of compiled packages outside the workspace.
    pub(super) fn learn_outside(&mut self) -> Result<()> {
        let Some(git) = &self.git else { return Ok(()) };
        let all = self.graphs.values().flat_map(|graph| graph.outside.iter().cloned());
        // The project's own repository was read already.
        let manifests: BTreeSet<PathBuf> = all.filter(|it| !it.starts_with(&git.top)).collect();
        let mut found = Vec::new();
        for manifest in &manifests {
            let Some((dir, top)) = manifest.parent().and_then(|dir| Some((dir, git::top_of(dir)?)))
            else {
                continue;
            };
            let changes = git::tree(top, &self.env)?.changes.into_iter();
            let own = changes.filter(|change| change.path.starts_with(dir));
            found.extend(own.map(Change::elsewhere));
        }
        let manifests: Vec<PathBuf> = manifests.into_iter().collect();
        self.learn_changes(found);
        self.learn_inputs(&manifests)
    }

    fn learn_changes(&mut self, changes: Vec<Change>) {
        let Some(git) = self.git.as_mut().filter(|_| !changes.is_empty()) else { return };
        git.add(changes);
        for package in &mut self.packages {
            let (name, cargo, build) =
                (&package.name, &package.cargo_version, &package.cargo_build);
            package.versioned = versioned(name, cargo, build, Some(git));
        }
    }

    /// The inputs that are neither in the commit nor among the changes. Files that builds wrote or
    /// cargo fetched do not count.
    pub fn uncommitted(&self, inputs: &[PathBuf]) -> Result<Vec<Change>> {
        let Some(git) = &self.git else { return Ok(Vec::new()) };
        let mut made = vec![self.dist.clone(), self.rustc.sysroot.clone()];
        made.extend(self.made.iter().cloned().chain(self.cargo_home()));
        let mut others = BTreeMap::new();
        let mut uncommitted = Vec::new();
        let mut held = Vec::new();
        for input in inputs {
            let Some(path) = input.exists().then(|| resolved(input, git)).transpose()? else {
                continue;
            };
            let is_made = |path: &Path| made.iter().any(|made| path.starts_with(made));
            if is_made(input)
                || is_made(&path)
                || path.components().any(|it| it.as_os_str() == ".git")
            {
                continue;
            }
            if git.tree.holds(&path) {
                held.push(path)
            } else {
                uncommitted.extend(self.untracked(path, git, &mut others)?)
            }
        }
        for path in git.converted(&held, &self.env)? {
            uncommitted.push(Change { path, kind: ChangeKind::Converted });
        }
        uncommitted.retain(|change| !git.is_known(&change.path));
        uncommitted.sort();
        uncommitted.dedup();
        Ok(uncommitted)
    }

    /// The changes at a path that is not in the index. `others` caches other repositories.
    fn untracked(
        &self,
        path: PathBuf,
        git: &Git,
        others: &mut BTreeMap<PathBuf, Tree>,
    ) -> Result<Vec<Change>> {
        let of = |path, kind| Change { path, kind };
        if path.starts_with(&git.top) {
            // Such a folder may have tracked files. Of the ignored entries in it only files
            // count: ignored folders are made by other programs.
            let whole = git.tree.ignored.iter().any(|it| path.starts_with(it));
            if path.is_dir() && !whole {
                let ignored = git.tree.ignored.iter().filter(|it| it.starts_with(&path));
                let files = ignored.filter(|it| it.is_file()).cloned();
                return Ok(files.map(|path| of(path, ChangeKind::Ignored)).collect());
            }
            return Ok(vec![of(path, ChangeKind::Ignored)]);
        }
        if SYSTEM.iter().any(|system| path.starts_with(system)) {
            return Ok(Vec::new());
        }
        let Some(top) = git::top_of(&path) else {
            return Ok(vec![of(path, ChangeKind::Outside)]);
        };
        if !others.contains_key(top) {
            others.insert(top.to_owned(), git::tree(top, &self.env)?);
        }
        let tree = &others[top];
        let changed = tree.changes.iter().any(|change| path.starts_with(&change.path));
        Ok(match (tree.holds(&path) || path.is_dir(), changed) {
            (true, false) => Vec::new(),
            (_, true) => vec![of(path, ChangeKind::Elsewhere)],
            (false, false) => vec![of(path, ChangeKind::Ignored)],
        })
    }
}

/// The path that is read: links are resolved, except for a file in the index.
fn resolved(path: &Path, git: &Git) -> Result<PathBuf> {
    if git.tree.holds(path) && !path.is_symlink() {
        return Ok(path.to_owned());
    }
    files::resolve(path)
}

/// The files that every build reads and that are known before cargo compiles: manifests,
/// Cargo.lock, crate roots, build scripts, settings of cargo and rustup, and ignored sources.
pub fn certain(metadata: &Metadata, git: &Git) -> Result<Vec<PathBuf>> {
    let root = metadata.workspace_root.as_std_path();
    let mut found =
        vec![root.join("Cargo.toml"), root.join("Cargo.lock"), root.join("dockless.lock")];
    for dir in root.ancestors().take_while(|dir| dir.starts_with(&git.top)) {
        let names =
            [".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"];
        found.extend(names.iter().map(|name| dir.join(name)));
    }
    for package in &metadata.packages {
        found.push(package.manifest_path.clone().into_std_path_buf());
        let folder = package.manifest_path.parent();
        for target in &package.targets {
            let tried = [TargetKind::Test, TargetKind::Bench, TargetKind::Example];
            if target.kind.iter().any(|kind| tried.contains(kind)) {
                continue;
            }
            found.push(target.src_path.clone().into_std_path_buf());
            if let Some(dir) = target.src_path.parent().filter(|dir| Some(*dir) != folder) {
                let mut ignored = git.tree.ignored.iter().filter(|it| it.starts_with(dir));
                ignored.try_for_each(|path| sources_in(path, &mut found))?;
            }
        }
    }
    Ok(found)
}

/// The Rust sources at or below a path.
fn sources_in(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_symlink() || found.len() > MAX_SOURCES {
        return Ok(());
    }
    if path.is_dir() {
        return files::list(path)?.iter().try_for_each(|entry| sources_in(&entry.path, found));
    }
    if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
    Ok(())
}
