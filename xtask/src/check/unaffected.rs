//! The versions that an advisory is not about.

use anyhow::{Result, bail, ensure};
use semver::{BuildMetadata, Comparator, Op, Prerelease, Version, VersionReq};

/// The end of a range of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    None,
    Without(Version),
    With(Version),
}

/// The versions between two ends by SemVer's order, pre-releases among them. Requirements of
/// cargo pass pre-releases over; those of advisories do not.
/// <https://github.com/rustsec/advisory-db/blob/main/README.md>
#[derive(Clone, Debug)]
struct Range {
    start: Bound,
    end: Bound,
}

/// The versions that an advisory is not about: those that are fixed, and those that never had
/// the fault.
#[derive(Clone, Debug)]
pub struct Unaffected(Vec<Range>);

impl Unaffected {
    /// Reads the requirements of an advisory. No two may have a version in common, since one
    /// that does is a mistake.
    pub fn of<'a>(requirements: impl Iterator<Item = &'a VersionReq>) -> Result<Unaffected> {
        let mut ranges: Vec<Range> = Vec::new();
        for requirement in requirements {
            let range = Range::of(requirement)?;
            let is_twice = ranges.iter().any(|known| known.meets(&range));
            ensure!(!is_twice, "the versions {requirement} are named twice");
            ranges.push(range);
        }
        Ok(Unaffected(ranges))
    }

    /// Whether the version is none of them.
    pub fn lacks(&self, version: &Version) -> bool {
        // Build metadata does not count in SemVer's order (its rule 10).
        let version = Version { build: BuildMetadata::EMPTY, ..version.clone() };
        !self.0.iter().any(|range| range.has(&version))
    }
}

impl Range {
    /// The range of a requirement with at most one lower and one upper end.
    fn of(requirement: &VersionReq) -> Result<Range> {
        let mut range = Range { start: Bound::None, end: Bound::None };
        for comparator in &requirement.comparators {
            let version = lowest(comparator);
            let (start, end) = match comparator.op {
                Op::Greater => (Bound::Without(version), Bound::None),
                Op::GreaterEq => (Bound::With(version), Bound::None),
                Op::Less => (Bound::None, Bound::Without(version)),
                Op::LessEq => (Bound::None, Bound::With(version)),
                Op::Exact => (Bound::With(version.clone()), Bound::With(version)),
                Op::Caret => (Bound::With(version), Bound::Without(after_caret(comparator))),
                Op::Tilde => (Bound::With(version), Bound::Without(after_tilde(comparator))),
                _ => bail!("the versions {requirement} are of an unknown form"),
            };
            for (known, new) in [(&mut range.start, start), (&mut range.end, end)] {
                if new != Bound::None {
                    ensure!(*known == Bound::None, "the versions {requirement} have two ends");
                    *known = new;
                }
            }
        }
        ensure!(meet(&range.start, &range.end), "the versions {requirement} are none");
        Ok(range)
    }

    fn has(&self, version: &Version) -> bool {
        let this = Bound::With(version.clone());
        meet(&self.start, &this) && meet(&this, &self.end)
    }

    fn meets(&self, other: &Range) -> bool {
        meet(&self.start, &other.end) && meet(&other.start, &self.end)
    }
}

/// Whether a version can be after the start and before the end.
fn meet(start: &Bound, end: &Bound) -> bool {
    use Bound::{None, With, Without};
    match (start, end) {
        (None, _) | (_, None) => true,
        (With(start), With(end)) => start <= end,
        (With(start) | Without(start), With(end) | Without(end)) => start < end,
    }
}

/// The version that a comparator names, with zeros for what it leaves out.
fn lowest(comparator: &Comparator) -> Version {
    let Comparator { major, minor, patch, pre, .. } = comparator;
    let version = Version::new(*major, minor.unwrap_or(0), patch.unwrap_or(0));
    Version { pre: pre.clone(), ..version }
}

/// The least version that `^` does not allow.
fn after_caret(comparator: &Comparator) -> Version {
    least(match (comparator.major, comparator.minor, comparator.patch) {
        (0, Some(0), Some(patch)) => Version::new(0, 0, patch.saturating_add(1)),
        (0, Some(minor), _) => Version::new(0, minor.saturating_add(1), 0),
        (major, _, _) => Version::new(major.saturating_add(1), 0, 0),
    })
}

/// The least version that `~` does not allow.
fn after_tilde(comparator: &Comparator) -> Version {
    least(match comparator.minor {
        Some(minor) => Version::new(comparator.major, minor.saturating_add(1), 0),
        None => Version::new(comparator.major.saturating_add(1), 0, 0),
    })
}

/// The least pre-release of a version.
fn least(version: Version) -> Version {
    let pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
    Version { pre, ..version }
}
