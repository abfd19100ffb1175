//! Versions, the tags that announce them, and the version of what is not a release.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use semver::{BuildMetadata, Prerelease};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

mod decide;
mod tag;

pub use decide::{Head, Versioned};
pub use tag::ReleaseTag;

/// A semantic version without build metadata, so that one string serves as file name and as
/// image tag, which cannot have a `+`. The build metadata of Cargo.toml or a git tag is dropped,
/// after [`ReleaseTag::announces`] has compared it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(semver::Version);

/// Which number of a version is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bump {
    Major,
    Minor,
    Patch,
}

impl Bump {
    pub fn parse(text: &str) -> Option<Bump> {
        match text {
            "major" => Some(Bump::Major),
            "minor" => Some(Bump::Minor),
            "patch" => Some(Bump::Patch),
            _ => None,
        }
    }
}

impl Version {
    /// Cargo.toml's version without its build metadata.
    pub fn from_cargo(version: &semver::Version) -> Version {
        Version(semver::Version { build: BuildMetadata::EMPTY, ..version.clone() })
    }

    /// Parses a version; returns its build metadata apart.
    fn with_build(text: &str) -> Result<(Version, String)> {
        let version =
            semver::Version::parse(text).with_context(|| format!("parse version {text:?}"))?;
        // The highest number has no next one.
        let highest = version.major.max(version.minor).max(version.patch);
        ensure!(highest < u64::MAX, "parse version {text:?}: number too large");
        Ok((Version::from_cargo(&version), version.build.to_string()))
    }

    /// Whether this is a pre-release. A development version is one too.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// The next version after this one. A pre-release is followed by what it was made for.
    pub fn next(&self, bump: Bump) -> Version {
        let semver::Version { major, minor, patch, .. } = self.0;
        let pre = self.is_prerelease();
        let (major, minor, patch) = match bump {
            Bump::Major if pre && minor == 0 && patch == 0 => (major, 0, 0),
            Bump::Major => (major + 1, 0, 0),
            Bump::Minor if pre && patch == 0 => (major, minor, 0),
            Bump::Minor => (major, minor + 1, 0),
            Bump::Patch if pre => (major, minor, patch),
            Bump::Patch => (major, minor, patch + 1),
        };
        Version(semver::Version::new(major, minor, patch))
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

#[cfg(test)]
mod tests;
