//! What counts in an audit: the settings, and those that people have already for
//! cargo-audit and cargo-deny.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use rustsec::platforms::target::{Arch, OS};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::{CheckConfig, Gravity, Ignore, Kind};
use crate::files::{Boundary, limits};
use crate::finding::{Help, Place};

/// What counts.
#[derive(Clone, Debug)]
pub struct Rules {
    pub ignore: Vec<Ignore>,
    /// Vulnerabilities that are less grave are left out.
    pub severity: Option<Gravity>,
    /// What is an error.
    pub deny: BTreeSet<Kind>,
    /// What is not looked for.
    pub silent: BTreeSet<Kind>,
    /// Advisories about other systems are left out, where there are any here.
    pub arch: Vec<Arch>,
    pub os: Vec<OS>,
    /// A database that another tool is told of: a folder, or a URL.
    pub database: Option<String>,
}

/// Where cargo-audit looks, and where cargo-deny does.
/// <https://github.com/rustsec/rustsec/blob/main/cargo-audit/audit.toml.example>
/// <https://embarkstudios.github.io/cargo-deny/checks/cfg.html>
const AUDIT: [&str; 1] = [".cargo/audit.toml"];
const DENY: [&str; 3] = ["deny.toml", ".deny.toml", ".cargo/deny.toml"];

/// Joins the settings with the files of the two tools in the workspace's folder.
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

/// The first of the files that is there.
fn first<T: DeserializeOwned>(
    names: &[&str],
    root: &Path,
    boundary: &Boundary,
) -> Result<Option<(Place, T)>> {
    for name in names {
        let path = root.join(name);
        let Some(bytes) = boundary.read_if_there(&path, limits::SETTINGS)? else { continue };
        let parsed = || -> Result<T> { Ok(toml::from_str(&String::from_utf8(bytes)?)?) };
        let parsed = parsed().with_context(|| format!("read {}", path.display()));
        let help = || Help(format!("mend {name}, or move what it says into Cargo.toml"));
        return Ok(Some((Place::file(&path), parsed.with_context(help)?)));
    }
    Ok(None)
}

/// Of cargo-audit's file, what is about findings.
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

/// Of cargo-deny's file, what is about advisories.
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

/// An identifier, or one with a reason; or a crate that may be yanked.
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
        // The settings of this tool, which can have an end, count more.
        if !self.ignore.iter().any(|ignore| ignore.id == id) {
            self.ignore.push(Ignore { id, reason, until: None, place: place.clone() });
        }
    }

    fn audit_toml(&mut self, place: &Place, file: AuditToml) {
        for id in file.advisories.ignore {
            self.ignore(place, id, String::new());
        }
        let named = |names: &[String], kind: Kind| {
            // `notice` has never been one of the warnings that are denied together.
            let all = kind != Kind::Notice && names.iter().any(|name| name == "warnings");
            all || names.iter().any(|name| name == kind.name())
        };
        let deny = &file.output.deny;
        self.deny.extend(Kind::DENIED.into_iter().filter(|kind| named(deny, *kind)));
        if let Some(informational) = &file.advisories.informational_warnings {
            let of_advisories = Kind::DENIED.into_iter().filter(|kind| *kind != Kind::Yanked);
            let silent = of_advisories.filter(|kind| !named(informational, *kind));
            let silent: Vec<Kind> = silent.filter(|kind| !self.deny.contains(kind)).collect();
            self.silent.extend(silent);
        }
        if !file.yanked.enabled {
            self.silent.insert(Kind::Yanked);
        }
        let severity = file.advisories.severity_threshold;
        self.severity = self.severity.or_else(|| Gravity::parse(&severity?));
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
        // Its defaults deny all but yanked crates; here that takes a word of the user's.
        let asked = [(Kind::Unmaintained, &file.unmaintained), (Kind::Unsound, &file.unsound)];
        for (kind, asked) in asked {
            match asked.as_deref() {
                Some("none") => drop(self.silent.insert(kind)),
                Some(_) => drop(self.deny.insert(kind)),
                None => {}
            }
        }
        match file.yanked.as_deref() {
            Some("allow") => drop(self.silent.insert(Kind::Yanked)),
            Some("deny") => drop(self.deny.insert(Kind::Yanked)),
            _ => {}
        }
        let database = file.db_path.or_else(|| file.db_urls.into_iter().next());
        self.database = self.database.take().or(database);
    }
}
