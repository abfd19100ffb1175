//! The tags that announce releases, in the forms that people give them.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Version;

/// A tag that announces a release, of every package at its version or of one. It keeps the
/// form that it was written in: that is the reference that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseTag {
    name: String,
    /// The package that it names; `None` where it is of all.
    pub package: Option<String>,
    pub version: Version,
    /// The version's build metadata; empty for none.
    build: String,
}

/// What stands between a package's name and its version, and where several tags of one
/// version are on a commit the first counts.
const SEPARATORS: [&str; 6] = ["-v", "-", "/v", "/", "@v", "@"];

impl ReleaseTag {
    /// Reads a tag's name: `v1.2.3` and `1.2.3`, and for one package `NAME-v1.2.3`,
    /// `NAME-1.2.3`, `NAME/v1.2.3`, `NAME/1.2.3`, `NAME@v1.2.3` and `NAME@1.2.3`. `None` for a
    /// tag that announces no release. Tags are foreign input: what is accepted here holds
    /// ASCII letters, digits, `-`, `_`, `.`, `+`, and one `/` or `@` only.
    pub fn parse(tag: &str) -> Option<ReleaseTag> {
        if let Some(found) = ReleaseTag::of(tag, None, tag.strip_prefix('v').unwrap_or(tag)) {
            return Some(found);
        }
        // A name may itself hold what separates it, but no dot, as each version does: where
        // a version begins is never in question.
        tag.match_indices(['-', '/', '@']).find_map(|(at, separator)| {
            let (package, version) = (&tag[..at], &tag[at + separator.len()..]);
            ReleaseTag::of(tag, Some(package), version.strip_prefix('v').unwrap_or(version))
        })
    }

    /// The tag `name`, of a package or of all, at the version that is written so; `None` where
    /// that is no version, or no package can be called so.
    pub fn of(name: &str, package: Option<&str>, version: &str) -> Option<ReleaseTag> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if package.is_some_and(|name| name.is_empty() || !name.bytes().all(plain)) {
            return None;
        }
        let (version, build) = Version::with_build(version).ok()?;
        let (name, package) = (name.to_owned(), package.map(str::to_owned));
        Some(ReleaseTag { name, package, version, build })
    }

    /// The tag that is likely to announce a version of all packages.
    pub fn likely(version: &Version) -> ReleaseTag {
        let (name, build) = (format!("v{version}"), String::new());
        ReleaseTag { name, package: None, version: version.clone(), build }
    }

    /// Whether this tag speaks of the package: by its name, or of all.
    pub fn speaks_of(&self, package: &str) -> bool {
        self.package.as_deref().is_none_or(|name| name == package)
    }

    /// Whether it is a tag of what Cargo.toml says: the version, and where the tag has build
    /// metadata, that too.
    pub fn announces(&self, cargo: &Version, build: &str) -> bool {
        self.version == *cargo && (self.build.is_empty() || self.build == build)
    }

    /// The version as the tag writes it.
    pub fn written(&self) -> String {
        match self.build.is_empty() {
            true => self.version.to_string(),
            false => format!("{}+{}", self.version, self.build),
        }
    }

    /// Sorts tags of one version, that which counts last: one of the package itself, with
    /// build metadata, in the first of the known forms.
    pub fn rank(&self) -> impl Ord + use<> {
        let form = self.package.as_deref().map_or(self.name.as_str(), |package| {
            self.name.strip_prefix(package).unwrap_or(&self.name)
        });
        let before = form.strip_suffix(&self.written()).unwrap_or(form);
        let forms = ["v", ""].iter().chain(&SEPARATORS);
        let place = forms.clone().position(|known| *known == before).unwrap_or(usize::MAX);
        (
            self.package.is_some(),
            !self.build.is_empty(),
            std::cmp::Reverse(place),
            self.name.clone(),
        )
    }

    /// The version that another tag announces of the same; `None` where it is of another
    /// package, or of none.
    pub fn sibling(&self, other: &str) -> Option<Version> {
        if let (Some(own), Some(other)) = (ReleaseTag::parse(&self.name), ReleaseTag::parse(other))
        {
            return (own.package == other.package).then_some(other.version);
        }
        let (before, after) = self.name.split_once(&self.written())?;
        let version = other.strip_prefix(before)?.strip_suffix(after)?;
        Version::with_build(version).ok().map(|(version, _)| version)
    }
}

impl fmt::Display for ReleaseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for ReleaseTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
