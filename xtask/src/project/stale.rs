//! A Cargo.lock that the manifests have left behind, in words that help.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::Project;
use crate::files::{self, limits};
use crate::finding::failure;

/// Explains why cargo would not work with the lock file as it is. cargo itself speaks of a flag
/// that its user has not passed.
pub fn explained<T>(done: Result<T>, project: &Project) -> Result<T> {
    let error = match done {
        Err(error) if is_stale(&format!("{error:#}")) => error,
        done => return done,
    };
    let lock = files::read_foreign_if_there(&project.root.join("Cargo.lock"), limits::LOCK)?;
    let text = lock.and_then(|lock| String::from_utf8(lock).ok());
    let Some(locked) = text.and_then(|text| locked(&text)) else { return Err(error) };
    let stale = project.packages.iter().filter_map(|package| {
        let now = package.cargo_version.to_string();
        let before = locked.get(&package.name).filter(|version| **version != now)?;
        Some(format!("{} {before}, and its Cargo.toml {now}", package.name))
    });
    let stale: Vec<String> = stale.collect();
    let why = if stale.is_empty() {
        "Cargo.lock is stale: it lacks what a Cargo.toml asks for".to_owned()
    } else {
        format!("Cargo.lock is stale: it has {}", stale.join("; "))
    };
    Err(failure(why, fix(project)))
}

fn fix(project: &Project) -> String {
    let update = "cargo update --workspace";
    let commit = "git commit --all --message 'Update Cargo.lock'";
    let tag = project.git.as_ref().and_then(|git| git.tags_on_head().next());
    match tag {
        Some(tag) => format!(
            "run `{update}`, `{commit}` and `git tag --force {tag}`; next time, \
             `release --prepare VERSION` does it all"
        ),
        None => format!("run `{update}`, then `{commit}`"),
    }
}

/// Whether cargo says that it may not change the lock file.
fn is_stale(said: &str) -> bool {
    said.contains("--locked was passed") || said.contains("needs to be updated")
}

/// The versions of the packages that come from no registry, by name.
fn locked(text: &str) -> Option<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        source: Option<String>,
    }
    let lock: Lock = toml::from_str(text).ok()?;
    let own = lock.package.into_iter().filter(|it| it.source.is_none());
    Some(own.map(|it| (it.name, it.version)).collect())
}
