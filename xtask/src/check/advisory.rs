//! One advisory: TOML in Markdown.

use anyhow::{Context, Error, Result, ensure};
use cvss::Cvss;
use jiff::civil::Date;
use platforms::target::{Arch, OS};
use semver::VersionReq;
use serde::Deserialize;

use super::unaffected::Unaffected;
use crate::config::Rating;
use crate::project::is_crates_io;

/// An identifier that is not given yet.
pub const PLACEHOLDER: &str = "RUSTSEC-0000-0000";

/// What is known to be wrong with versions of a crate.
#[derive(Debug)]
pub struct Advisory {
    pub id: String,
    pub package: String,
    pub title: String,
    pub date: Date,
    /// The same fault in other databases.
    pub aliases: Vec<String>,
    pub rating: Option<Rating>,
    pub informational: Option<Informational>,
    pub withdrawn: bool,
    /// Whether the crate is one of crates.io.
    pub of_crates_io: bool,
    /// The systems that are concerned; empty for all.
    pub arch: Vec<Arch>,
    pub os: Vec<OS>,
    /// The versions in which it is fixed.
    pub patched: Vec<VersionReq>,
    pub unaffected: Unaffected,
}

/// What an advisory tells that is no vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Informational {
    Notice,
    Unmaintained,
    Unsound,
    #[serde(untagged)]
    Other(String),
}

/// The TOML.
#[derive(Deserialize)]
struct Front {
    advisory: Metadata,
    #[serde(default)]
    affected: Affected,
    versions: Versions,
}

#[derive(Deserialize)]
struct Metadata {
    id: String,
    package: String,
    date: Date,
    #[serde(default)]
    aliases: Vec<String>,
    cvss: Option<Cvss>,
    informational: Option<Informational>,
    withdrawn: Option<Date>,
    source: Option<String>,
}

#[derive(Default, Deserialize)]
struct Affected {
    #[serde(default)]
    arch: Vec<Arch>,
    #[serde(default)]
    os: Vec<OS>,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

impl Advisory {
    /// Parses a file of the database: TOML in a code block, a heading, and a description.
    /// <https://github.com/rustsec/advisory-db/blob/main/README.md#advisory-format>
    pub fn parse(text: &str) -> Result<Advisory> {
        let text = text.strip_prefix("```toml").context("it does not begin with TOML")?;
        let (front, rest) = text.split_once("\n```").context("its TOML does not end")?;
        let title = rest.trim_start().strip_prefix("# ").context("it has no heading")?;
        let (title, _) = title.split_once('\n').context("it has no description")?;
        let front = front.trim();
        let headed = match front.starts_with("[advisory]") {
            true => front.to_owned(),
            false => format!("[advisory]\n{front}"),
        };
        let front: Front = toml::from_str(&headed).map_err(|error| in_one_line(&error))?;
        let Front { advisory, affected, versions: Versions { patched, unaffected } } = front;
        ensure!(!advisory.id.is_empty(), "it has no identifier");
        Ok(Advisory {
            id: advisory.id,
            package: advisory.package,
            title: title.trim_end().to_owned(),
            date: advisory.date,
            aliases: advisory.aliases,
            rating: advisory.cvss.map(|cvss| rating(cvss.severity())),
            informational: advisory.informational,
            withdrawn: advisory.withdrawn.is_some(),
            of_crates_io: advisory.source.is_none_or(|source| is_crates_io(&source)),
            arch: affected.arch,
            os: affected.os,
            unaffected: Unaffected::of(patched.iter().chain(&unaffected))?,
            patched,
        })
    }
}

fn rating(severity: cvss::Severity) -> Rating {
    match severity {
        cvss::Severity::None => Rating::None,
        cvss::Severity::Low => Rating::Low,
        cvss::Severity::Medium => Rating::Medium,
        cvss::Severity::High => Rating::High,
        cvss::Severity::Critical => Rating::Critical,
    }
}

/// An error of TOML, which draws the place over several lines, in one.
fn in_one_line(error: &toml::de::Error) -> Error {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Error::msg(lines.join(" "))
}

#[cfg(test)]
mod tests;
