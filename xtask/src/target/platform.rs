//! The platforms that images are made for, in OCI's words.

use std::fmt;

use anyhow::{Result, ensure};
use serde::{Serialize, Serializer};

/// `os/architecture[/variant]` with Go's names, such as `linux/arm64/v8`.
/// <https://github.com/opencontainers/image-spec/blob/main/image-index.md#platform-variants>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    /// Parses a platform as `--platform` and container engines write it.
    pub fn parse(text: &str) -> Result<Platform> {
        let plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
        let parts: Vec<&str> = text.split('/').collect();
        let named = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric());
        let fit = |part: &&str| named(part) && part.len() <= 32 && part.chars().all(plain);
        ensure!(
            (2..=3).contains(&parts.len()) && parts.iter().all(fit),
            "{text:?} is not a platform; one looks like linux/amd64 or linux/arm64/v8"
        );
        let variant = parts.get(2).map(|variant| (*variant).to_owned());
        Ok(Platform { os: parts[0].to_owned(), architecture: parts[1].to_owned(), variant })
    }

    /// The variant in its canonical form: some have a default that needs no name.
    /// <https://github.com/containerd/platforms/blob/main/database.go>
    fn canonical_variant(&self) -> Option<&str> {
        match (&*self.architecture, self.variant.as_deref()) {
            ("arm64", None) => Some("v8"),
            ("arm", None) => Some("v7"),
            ("amd64", Some("v1")) => None,
            (_, variant) => variant,
        }
    }

    /// How far an image for `other` is from one for this platform: 0 for the same, more for an
    /// older variant of the architecture; `None` where it does not run.
    pub fn distance(&self, other: &Platform) -> Option<usize> {
        if (&self.os, &self.architecture) != (&other.os, &other.architecture) {
            return None;
        }
        let rank = |variant: &str| variant.strip_prefix('v')?.parse::<usize>().ok();
        match (self.canonical_variant(), other.canonical_variant()) {
            (ours, theirs) if ours == theirs => Some(0),
            // Each variant of arm and amd64 runs programs for an older one.
            (Some(ours), theirs) if ["arm", "amd64"].contains(&&*self.architecture) => {
                rank(ours)?.checked_sub(theirs.map_or(Some(1), rank)?)
            }
            _ => None,
        }
    }

    /// The nearest of the candidates that run on this platform.
    pub fn nearest<'a, T>(
        &self,
        candidates: impl IntoIterator<Item = (&'a Platform, T)>,
    ) -> Option<T> {
        let ranked =
            candidates.into_iter().filter_map(|(other, it)| Some((self.distance(other)?, it)));
        ranked.min_by_key(|(distance, _)| *distance).map(|(_, it)| it)
    }

    /// The name as one part of a file name or a tag: `amd64`, `armv7`.
    pub fn suffix(&self) -> String {
        match (&*self.architecture, self.variant.as_deref()) {
            ("arm64", _) | (_, None) => self.architecture.clone(),
            (architecture, Some(variant)) => format!("{architecture}{variant}"),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn a_platform_is_read_as_it_is_written() {
        for text in ["linux/amd64", "linux/arm64/v8", "linux/arm/v7", "linux/s390x"] {
            assert_eq!(platform(text).to_string(), text);
        }
        for text in ["", "linux", "linux/", "a/b/c/d", "linux/AMD64", "linux/../x", "linux/a b"] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not a platform"), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_nearest_platform_is_one_that_runs_the_program() {
        for (wanted, offered, chosen) in [
            ("linux/arm64", vec!["linux/amd64", "linux/arm64/v8"], Some(1)),
            ("linux/arm64/v8", vec!["linux/arm64"], Some(0)),
            ("linux/arm/v7", vec!["linux/arm/v5", "linux/arm/v6"], Some(1)),
            ("linux/arm/v6", vec!["linux/arm/v7"], None),
            ("linux/arm/v6", vec!["linux/arm"], None),
            ("linux/amd64", vec!["linux/amd64/v3", "linux/amd64/v1"], Some(1)),
            ("linux/amd64/v3", vec!["linux/amd64"], Some(0)),
            ("linux/amd64", vec!["windows/amd64", "linux/386"], None),
        ] {
            let offered: Vec<Platform> = offered.into_iter().map(platform).collect();
            let candidates = offered.iter().enumerate().map(|(at, platform)| (platform, at));
            assert_eq!(platform(wanted).nearest(candidates), chosen, "{wanted}");
        }
    }
}
