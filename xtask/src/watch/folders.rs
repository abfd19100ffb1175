//! The folders to watch, and the files in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::scope::Scope;
use crate::files::{self, EntryKind};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub folders: BTreeSet<PathBuf>,
    pub files: BTreeSet<PathBuf>,
    /// The folders that cannot be listed, and why.
    pub closed: Vec<(PathBuf, String)>,
}

/// Walks all that counts. Links to folders are not followed, so that no loop is entered; the files
/// that a build reads through them are watched in their own folders.
pub fn walk(scope: &Scope) -> Found {
    let mut found = Found::default();
    let roots: BTreeSet<&PathBuf> = scope.packages.iter().chain(&scope.whole).collect();
    for root in &roots {
        if root.is_dir() {
            enter(root, scope, &roots, &mut found);
        } else {
            found.files.extend(root.is_file().then(|| (*root).clone()));
        }
    }
    let single = scope.inputs.iter().chain(&scope.settings);
    let above = single.chain(roots).filter_map(|path| path.parent());
    for dir in above.filter(|dir| !scope.is_made(dir)) {
        // Where it is gone, the folder that it would come back in.
        found.folders.extend(dir.ancestors().find(|dir| dir.is_dir()).map(Path::to_owned));
    }
    let folders = scope.inputs.iter().filter(|path| path.is_dir() && !scope.is_made(path));
    for folder in folders {
        enter(folder, scope, &BTreeSet::new(), &mut found);
    }
    found
}

fn enter(dir: &Path, scope: &Scope, roots: &BTreeSet<&PathBuf>, found: &mut Found) {
    if scope.is_made(dir) || !found.folders.insert(dir.to_owned()) {
        return;
    }
    let entries = match files::list(dir) {
        Ok(entries) => entries,
        Err(_) if !dir.exists() => return,
        Err(error) => return found.closed.push((dir.to_owned(), error.root_cause().to_string())),
    };
    for entry in entries {
        match entry.kind {
            EntryKind::Folder => {
                let holds = |root: &&PathBuf| root.starts_with(&entry.path);
                let aside = scope.others.contains(&entry.path)
                    || scope.ignored.contains(&entry.path)
                    || entry.path.file_name().is_some_and(|name| name == ".git");
                if !aside || roots.iter().any(holds) {
                    enter(&entry.path, scope, roots, found);
                }
            }
            EntryKind::File => drop(found.files.insert(entry.path)),
            EntryKind::Other if entry.path.is_file() => drop(found.files.insert(entry.path)),
            EntryKind::Other => {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn loops_of_links_and_what_is_made_are_not_entered() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("w");
        for file in ["src/main.rs", "target/x", "other/src/lib.rs", "other/in/a.rs", "logs/l"] {
            files::write(&root.join(file), b"").unwrap();
        }
        symlink(&root, root.join("src/loop")).unwrap();
        symlink(root.join("b"), root.join("a")).unwrap();
        symlink(root.join("a"), root.join("b")).unwrap();
        symlink(root.join("src/main.rs"), root.join("src/link.rs")).unwrap();
        let at = |path: &str| root.join(path);
        let scope = Scope {
            packages: [root.clone(), at("other/in"), at("gone/deep")].into(),
            others: [at("other")].into(),
            made: [at("target")].into(),
            ignored: [at("logs")].into(),
            ..Scope::default()
        };
        let found = walk(&scope);
        let names = |paths: &BTreeSet<PathBuf>| {
            let below = paths.iter().filter_map(|path| path.strip_prefix(&root).ok());
            below.map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&found.folders), ["", "other", "other/in", "other/src", "src"]);
        let files = ["other/in/a.rs", "other/src/lib.rs", "src/link.rs", "src/main.rs"];
        assert_eq!(names(&found.files), files);
        assert!(found.folders.contains(temp.path()) && found.closed.is_empty());
    }
}
