//! The git tags that announce releases, in their common forms.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Version;

/// A tag that announces a release of one package, or of all packages at its version. It keeps its
/// written form, because that is the name that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseTag {
    name: String,
    /// The package that it names; `None` where it is for all.
    pub package: Option<String>,
    pub version: Version,
    /// The version's build metadata; empty where it has none.
    build: String,
}

/// The separators between a package's name and its version. Of several tags with one version on
/// a commit, the one with the first of these counts.
const SEPARATORS: [&str; 6] = ["-v", "-", "/v", "/", "@v", "@"];

impl ReleaseTag {
    /// Parses a tag's name: `v1.2.3` and `1.2.3`, and for one package `NAME-v1.2.3`,
    /// `NAME-1.2.3`, `NAME/v1.2.3`, `NAME/1.2.3`, `NAME@v1.2.3` and `NAME@1.2.3`. `None` for a
    /// tag that announces no release. Tags are foreign input: an accepted one has only ASCII
    /// letters, digits, `-`, `_`, `.`, `+`, and one `/` or `@`.
    pub fn parse(tag: &str) -> Option<ReleaseTag> {
        if let Some(found) = ReleaseTag::of(tag, None, tag.strip_prefix('v').unwrap_or(tag)) {
            return Some(found);
        }
        // A name may have separators of its own, but no dot, and every version has dots: the
        // beginning of the version is never ambiguous.
        tag.match_indices(['-', '/', '@']).find_map(|(at, separator)| {
            let (package, version) = (&tag[..at], &tag[at + separator.len()..]);
            ReleaseTag::of(tag, Some(package), version.strip_prefix('v').unwrap_or(version))
        })
    }

    /// The tag `name` for a package, or for all, with a version; `None` where the version or the
    /// package's name is invalid.
    pub fn of(name: &str, package: Option<&str>, version: &str) -> Option<ReleaseTag> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if package.is_some_and(|name| name.is_empty() || !name.bytes().all(plain)) {
            return None;
        }
        let (version, build) = Version::with_build(version).ok()?;
        let name = name.to_owned();
        let package = package.map(str::to_owned);
        Some(ReleaseTag { name, package, version, build })
    }

    /// The most common form of a tag that announces a version of all packages.
    pub fn likely(version: &Version) -> ReleaseTag {
        let name = format!("v{version}");
        let build = String::new();
        ReleaseTag { name, package: None, version: version.clone(), build }
    }

    /// Whether this tag is for the package: for it alone or for all.
    pub fn speaks_of(&self, package: &str) -> bool {
        self.package.as_deref().is_none_or(|name| name == package)
    }

    /// Whether it has Cargo.toml's version and, if the tag has build metadata, the same.
    pub fn announces(&self, cargo: &Version, build: &str) -> bool {
        self.version == *cargo && (self.build.is_empty() || self.build == build)
    }

    /// The version as the tag writes it.
    pub fn written(&self) -> String {
        if self.build.is_empty() {
            return self.version.to_string();
        }
        format!("{}+{}", self.version, self.build)
    }

    /// A sort key for tags with one version. The last one counts: for the package alone, with
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

    /// The version of another tag for the same package; `None` where it is for another package,
    /// or is no release tag.
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
