//! The rules of an audit: our settings, joined with existing ones of cargo-audit and cargo-deny.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use platforms::target::{Arch, OS};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::{AuditKind, CheckConfig, Ignore, Rating};
use crate::files::{Boundary, limits};
use crate::finding::{Help, Place};

/// The rules of an audit.
#[derive(Clone, Debug)]
pub struct Rules {
    pub ignore: Vec<Ignore>,
    /// Less severe vulnerabilities are left out.
    pub severity: Option<Rating>,
    /// The kinds that are errors, beside vulnerabilities.
    pub deny: BTreeSet<AuditKind>,
    /// The kinds that are not looked for.
    pub silent: BTreeSet<AuditKind>,
    /// Advisories about other systems are left out; empty for no such limit.
    pub arch: Vec<Arch>,
    pub os: Vec<OS>,
    /// The database in another tool's settings: a folder or a URL.
    pub database: Option<String>,
}

/// Where cargo-audit and cargo-deny look for their settings.
/// <https://github.com/rustsec/rustsec/blob/main/cargo-audit/audit.toml.example>
/// <https://embarkstudios.github.io/cargo-deny/checks/cfg.html>
const AUDIT: [&str; 1] = [".cargo/audit.toml"];
pub const DENY: [&str; 3] = ["deny.toml", ".deny.toml", ".cargo/deny.toml"];

/// Joins our settings with the files of the two tools in the workspace's folder.
pub fn rules(config: &CheckConfig, root: &Path, boundary: &Boundary) -> Result<Rules> {
    let mut rules = Rules {
        ignore: config.ignore.clone(),
        severity: config.severity,
        deny: config.deny.clone(),
        silent: BTreeSet::new(),
        arch: Vec::new(),
        os: Vec::new(),
        database: None,
    };
    if let Some((file, audit)) = first::<AuditToml>(&AUDIT, root, boundary)? {
        rules.audit_toml(&file, audit);
    }
    if let Some((file, deny)) = first::<DenyToml>(&DENY, root, boundary)? {
        rules.deny_toml(&file, deny.advisories);
    }
    Ok(rules)
}

/// The first of the files that exists.
fn first<T: DeserializeOwned>(
    names: &[&str],
    root: &Path,
    boundary: &Boundary,
) -> Result<Option<(Place, T)>> {
    let Some((name, text)) = first_text(names, root, boundary)? else { return Ok(None) };
    let path = root.join(name);
    let parsed = toml::from_str(&text).with_context(|| format!("read {}", path.display()));
    let help = || Help(format!("correct {name}, or move its settings into Cargo.toml"));
    Ok(Some((Place::file(&path), parsed.with_context(help)?)))
}

/// The name and the text of the first of the files that exists.
pub fn first_text<'a>(
    names: &[&'a str],
    root: &Path,
    boundary: &Boundary,
) -> Result<Option<(&'a str, String)>> {
    for name in names {
        let path = root.join(name);
        let Some(bytes) = boundary.read_if_there(&path, limits::SETTINGS)? else { continue };
        let text = String::from_utf8(bytes).with_context(|| format!("read {}", path.display()));
        return Ok(Some((name, text.with_context(|| Help(format!("write {name} in UTF-8")))?)));
    }
    Ok(None)
}

/// The parts of cargo-audit's file that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditToml {
    advisories: AuditAdvisories,
    database: AuditDatabase,
    output: AuditOutput,
    target: AuditTarget,
    yanked: AuditYanked,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditAdvisories {
    ignore: Vec<String>,
    informational_warnings: Option<Vec<String>>,
    severity_threshold: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditDatabase {
    path: Option<String>,
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditOutput {
    deny: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditTarget {
    arch: Option<OneOrMany<Arch>>,
    os: Option<OneOrMany<OS>>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct AuditYanked {
    enabled: bool,
}

impl Default for AuditYanked {
    fn default() -> AuditYanked {
        AuditYanked { enabled: true }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// The parts of cargo-deny's file that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DenyToml {
    advisories: DenyAdvisories,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct DenyAdvisories {
    ignore: Vec<DenyIgnore>,
    yanked: Option<String>,
    unmaintained: Option<String>,
    unsound: Option<String>,
    db_path: Option<String>,
    db_urls: Vec<String>,
}

/// An advisory, one with a reason, or a crate that may be yanked.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum DenyIgnore {
    Id(String),
    Reasoned {
        id: String,
        #[serde(default)]
        reason: String,
    },
    Yanked {
        #[serde(rename = "crate")]
        name: String,
        #[serde(default)]
        reason: String,
    },
}

impl Rules {
    fn ignore(&mut self, place: &Place, id: String, reason: String) {
        // This tool's own entry, which can have a date, takes precedence.
        if !self.ignore.iter().any(|ignore| ignore.id == id) {
            self.ignore.push(Ignore { id, reason, until: None, place: place.clone() });
        }
    }

    fn audit_toml(&mut self, place: &Place, file: AuditToml) {
        for id in file.advisories.ignore {
            self.ignore(place, id, String::new());
        }
        let named = |names: &[String], kind: AuditKind| {
            // `notice` has never been one of the warnings that are denied together.
            let all = kind != AuditKind::Notice && names.iter().any(|name| name == "warnings");
            all || names.iter().any(|name| name == kind.name())
        };
        let deny = &file.output.deny;
        self.deny.extend(AuditKind::deniable().filter(|kind| named(deny, *kind)));
        if let Some(informational) = &file.advisories.informational_warnings {
            let of_advisories = AuditKind::deniable().filter(|kind| *kind != AuditKind::Yanked);
            let silent = of_advisories.filter(|kind| !named(informational, *kind));
            let silent: Vec<AuditKind> = silent.filter(|kind| !self.deny.contains(kind)).collect();
            self.silent.extend(silent);
        }
        if !file.yanked.enabled {
            self.silent.insert(AuditKind::Yanked);
        }
        let severity = file.advisories.severity_threshold;
        self.severity = self.severity.or_else(|| Rating::parse(&severity?));
        self.arch = file.target.arch.map(OneOrMany::into_vec).unwrap_or_default();
        self.os = file.target.os.map(OneOrMany::into_vec).unwrap_or_default();
        self.database = file.database.path.or(file.database.url);
    }

    fn deny_toml(&mut self, place: &Place, file: DenyAdvisories) {
        for ignore in file.ignore {
            match ignore {
                DenyIgnore::Id(id) => self.ignore(place, id, String::new()),
                DenyIgnore::Reasoned { id, reason } => self.ignore(place, id, reason),
                DenyIgnore::Yanked { name, reason } => self.ignore(place, name, reason),
            }
        }
        // cargo-deny's defaults deny all but yanked crates. Here only explicit settings do.
        let asked =
            [(AuditKind::Unmaintained, &file.unmaintained), (AuditKind::Unsound, &file.unsound)];
        for (kind, asked) in asked {
            match asked.as_deref() {
                Some("none") => drop(self.silent.insert(kind)),
                Some(_) => drop(self.deny.insert(kind)),
                None => {}
            }
        }
        match file.yanked.as_deref() {
            Some("allow") => drop(self.silent.insert(AuditKind::Yanked)),
            Some("deny") => drop(self.deny.insert(AuditKind::Yanked)),
            _ => {}
        }
        let database = file.db_path.or_else(|| file.db_urls.into_iter().next());
        self.database = self.database.take().or(database);
    }
}
