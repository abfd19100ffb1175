//! Versions, the tags that announce them, and the version of what is not a release.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use semver::{BuildMetadata, Prerelease};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

mod tag;

pub use tag::ReleaseTag;

/// A semantic version without build metadata, so that one string serves as
/// file name and image tag (which admits no `+`). What Cargo.toml or a git tag has
/// behind a `+` is dropped; [`ReleaseTag::announces`] compares it first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(semver::Version);

impl Version {
    /// Takes Cargo.toml's version; its build metadata is dropped.
    pub fn from_cargo(version: &semver::Version) -> Version {
        Version(semver::Version { build: BuildMetadata::EMPTY, ..version.clone() })
    }

    /// Reads a version, and apart from it its build metadata.
    fn with_build(text: &str) -> Result<(Version, String)> {
        let version =
            semver::Version::parse(text).with_context(|| format!("parse version {text:?}"))?;
        // A higher number could not be followed by a next one.
        let highest = version.major.max(version.minor).max(version.patch);
        ensure!(highest < u64::MAX, "parse version {text:?}: number too large");
        Ok((Version::from_cargo(&version), version.build.to_string()))
    }

    /// Whether this is a pre-release, which a development version also is.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Whether the text is a version that is newer than this one.
    pub fn is_before(&self, text: &str) -> bool {
        let text = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(text).is_ok_and(|other| self.0 < other)
    }

    /// This version with `dev` identifiers appended to its pre-release part.
    fn with_dev(&self, dev: &str) -> Version {
        let pre = match self.0.pre.as_str() {
            "" => dev.to_owned(),
            pre => format!("{pre}.{dev}"),
        };
        let pre = Prerelease::new(&pre).expect("dot-joined identifiers without leading zeros");
        Version(semver::Version { pre, ..self.0.clone() })
    }

    fn next_patch(&self) -> Version {
        Version(semver::Version::new(self.0.major, self.0.minor, self.0.patch + 1))
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Version> {
        let (version, build) = Version::with_build(text)?;
        ensure!(build.is_empty(), "parse version {text:?}: build metadata is not supported");
        Ok(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Where HEAD stands, as far as one package's version depends on it.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// HEAD's commit, 40 or 64 hex digits; `None` before the first commit.
    pub commit: Option<&'a str>,
    pub dirty: bool,
    /// The release tag on HEAD that speaks of the package and counts, where there are several.
    pub tag: Option<&'a ReleaseTag>,
    /// The highest release tag reachable from HEAD that speaks of the package.
    pub last: Option<&'a ReleaseTag>,
    /// Commits since `last`, or since the root where there is none.
    pub commits: u64,
}

/// A package's version, and what made it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versioned {
    /// A clean HEAD with a tag equal to Cargo.toml's version.
    Release { version: Version, tag: ReleaseTag },
    /// A clean HEAD whose tag names another version than Cargo.toml.
    Disagreeing { version: Version, tag: ReleaseTag },
    /// A commit after the last release, or a changed tree.
    Development { version: Version },
    /// Sources without git: Cargo.toml's version.
    Packaged { version: Version },
}

impl Versioned {
    /// Decides the version of a package. `cargo` is Cargo.toml's version and `build` its
    /// build metadata; `head` is `None` for sources without git.
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

    pub fn version(&self) -> &Version {
        match self {
            Versioned::Release { version, .. }
            | Versioned::Disagreeing { version, .. }
            | Versioned::Development { version }
            | Versioned::Packaged { version } => version,
        }
    }
}

fn development(cargo: &Version, head: &Head<'_>) -> Version {
    let mut dev = format!("dev.{}", head.commits);
    if let Some(commit) = head.commit {
        // `g` keeps a SHA of digits alone from being a number with a leading zero.
        dev.push_str(&format!(".g{:.12}", commit));
    }
    if head.dirty {
        dev.push_str(".dirty");
    }
    let ahead = cargo.with_dev(&dev);
    match head.last.map(|tag| &tag.version) {
        // `dev` sorts before `rc`, so being ahead of a pre-release is not enough.
        Some(last) if cargo <= last || ahead <= *last => match last.is_prerelease() {
            true => last.with_dev(&dev),
            false => last.next_patch().with_dev(&dev),
        },
        _ => ahead,
    }
}

#[cfg(test)]
mod tests;
