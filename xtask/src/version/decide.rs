//! Decides the version of a package from Cargo.toml and git.

use super::{ReleaseTag, Version};

/// The state of HEAD that one package's version depends on.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// HEAD's commit, 40 or 64 hex digits; `None` before the first commit.
    pub commit: Option<&'a str>,
    pub dirty: bool,
    /// The release tag on HEAD for the package; of several, the one that counts.
    pub tag: Option<&'a ReleaseTag>,
    /// The highest release tag for the package that is reachable from HEAD.
    pub last: Option<&'a ReleaseTag>,
    /// Commits since `last`, or since the root where there is none.
    pub commits: u64,
}

/// A package's version, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versioned {
    /// A clean HEAD with a tag equal to Cargo.toml's version.
    Release { version: Version, tag: ReleaseTag },
    /// A clean HEAD whose tag has another version than Cargo.toml.
    Disagreeing { version: Version, tag: ReleaseTag },
    /// A commit after the last release, or a changed tree.
    Development { version: Version },
    /// Sources without git: Cargo.toml's version.
    Packaged { version: Version },
}

impl Versioned {
    /// Decides the version of a package. `cargo` is Cargo.toml's version, and `build` its build
    /// metadata. `head` is `None` for sources without git.
    ///
    /// A development version sorts after the last tag and rises with the number
    /// of commits; it ends in `g` and 12 hex digits of the commit.
    pub fn decide(cargo: &Version, build: &str, head: Option<&Head<'_>>) -> Versioned {
        let Some(head) = head else {
            return Versioned::Packaged { version: cargo.clone() };
        };
        let version = development(cargo, head);
        match head.tag {
            Some(tag) if !head.dirty && tag.announces(cargo, build) => {
                Versioned::Release { version: cargo.clone(), tag: tag.clone() }
            }
            Some(tag) if !head.dirty => Versioned::Disagreeing { version, tag: tag.clone() },
            _ => Versioned::Development { version },
        }
    }

    /// The decided version.
    pub fn version(&self) -> &Version {
        match self {
            Versioned::Release { version, .. }
            | Versioned::Disagreeing { version, .. }
            | Versioned::Development { version }
            | Versioned::Packaged { version } => version,
        }
    }
}

/// The version of a commit after the last release, or of a changed tree.
pub(super) fn development(cargo: &Version, head: &Head<'_>) -> Version {
    let mut dev = format!("dev.{}", head.commits);
    if let Some(commit) = head.commit {
        // Without the `g`, a SHA of digits only could be a number with a leading zero.
        dev.push_str(&format!(".g{:.12}", commit));
    }
    if head.dirty {
        dev.push_str(".dirty");
    }
    let ahead = cargo.with_dev(&dev);
    match head.last.map(|tag| &tag.version) {
        // `dev` sorts before `rc`, so being ahead of a pre-release is not enough.
        Some(last) if cargo <= last || ahead <= *last => {
            let base = if last.is_prerelease() { last.clone() } else { last.next_patch() };
            base.with_dev(&dev)
        }
        _ => ahead,
    }
}
