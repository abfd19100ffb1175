//! What is made of files that the commit does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use cargo_metadata::{Metadata, TargetKind};

use super::Project;
use super::git::{self, Change, ChangeKind, Git, Tree};
use super::packages::versioned;
use crate::files;

/// Where the headers and libraries of a system lie, and those of the managers of packages that
/// people use beside it. What build scripts read of them is as little of the commit's as the
/// compiler is.
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

/// More files than this are no folder of sources.
const MOST: usize = 10_000;

impl Project {
    /// Looks at files that something is made of. Where the commit does not hold one of them,
    /// the tree is changed, and versions say so.
    pub fn learn_inputs(&mut self, files: &[PathBuf]) -> Result<()> {
        let lacking = self.lacking(files)?;
        self.learn_changes(lacking);
        Ok(())
    }

    /// Looks at the packages outside the workspace that are compiled, in their repositories.
    pub(super) fn learn_outside(&mut self) -> Result<()> {
        let Some(git) = &self.git else { return Ok(()) };
        let all = self.graphs.values().flat_map(|graph| graph.outside.iter().cloned());
        // What git looks at anyway is not looked at again.
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

    /// Those of the files that the commit does not hold and that are not among the changes.
    /// What builds made, and what cargo fetched, is no matter of the commit's.
    pub fn lacking(&self, inputs: &[PathBuf]) -> Result<Vec<Change>> {
        let Some(git) = &self.git else { return Ok(Vec::new()) };
        let mut made = vec![self.dist(), self.rustc.sysroot.clone()];
        made.extend(self.made.iter().cloned().chain(self.cargo_home()));
        let mut others = BTreeMap::new();
        let mut lacking = Vec::new();
        let mut held = Vec::new();
        for input in inputs {
            let Some(path) = input.exists().then(|| really(input, git)).transpose()? else {
                continue;
            };
            let is_made = |path: &Path| made.iter().any(|made| path.starts_with(made));
            if is_made(input)
                || is_made(&path)
                || path.components().any(|it| it.as_os_str() == ".git")
            {
                continue;
            }
            match git.tree.holds(&path) {
                true => held.push(path),
                false => lacking.extend(self.unheld(path, git, &mut others)?),
            }
        }
        for path in git.converted(&held, &self.env)? {
            lacking.push(Change { path, kind: ChangeKind::Converted });
        }
        lacking.retain(|change| !git.is_known(&change.path));
        lacking.sort();
        lacking.dedup();
        Ok(lacking)
    }

    /// What of a path that the index does not have is no part of a commit. `others` keeps the
    /// other repositories that were looked at.
    fn unheld(
        &self,
        path: PathBuf,
        git: &Git,
        others: &mut BTreeMap<PathBuf, Tree>,
    ) -> Result<Vec<Change>> {
        let of = |path, kind| Change { path, kind };
        if path.starts_with(&git.top) {
            // A folder may hold what is tracked; of what is ignored there the files count, and
            // not the folders, which hold what others made.
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

/// The path that is read: one that the index has as a file is that file.
fn really(path: &Path, git: &Git) -> Result<PathBuf> {
    match git.tree.holds(path) && !path.is_symlink() {
        true => Ok(path.to_owned()),
        false => files::resolve(path),
    }
}

/// The files that every build reads, as far as cargo says so before it compiles: manifests,
/// Cargo.lock, where crates begin, build scripts, the settings of cargo and rustup; and what is
/// ignored among the sources.
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

/// Rust's sources at or below a path.
fn sources_in(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_symlink() || found.len() > MOST {
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
