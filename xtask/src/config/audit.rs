//! The settings of `check` and its audit.

use std::collections::BTreeSet;

use clap::ValueEnum;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::finding::{Finding, Place};
use crate::project::RawConfig;

/// The keys of the table `check`, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CheckKeys {
    features: Vec<String>,
    require: Vec<String>,
}

/// The keys of the table `audit`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuditKeys {
    database: String,
    ignore: Vec<IgnoreKeys>,
    severity: String,
    deny: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct IgnoreKeys {
    id: String,
    reason: String,
    until: String,
}

/// A check. The variants are in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    Fmt,
    Lock,
    Clippy,
    Audit,
    Licenses,
}

impl Check {
    /// In the order of the table.
    pub fn all() -> impl Iterator<Item = Check> {
        Check::value_variants().iter().copied()
    }

    pub fn name(self) -> &'static str {
        match self {
            Check::Fmt => "fmt",
            Check::Lock => "lock",
            Check::Clippy => "clippy",
            Check::Audit => "audit",
            Check::Licenses => "licenses",
        }
    }
}

/// What an audit can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AuditKind {
    Vulnerability,
    Unmaintained,
    Unsound,
    Notice,
    Yanked,
}

impl AuditKind {
    /// The kinds that can be denied. A vulnerability always is.
    pub fn deniable() -> impl Iterator<Item = AuditKind> {
        let all = AuditKind::value_variants().iter().copied();
        all.filter(|kind| *kind != AuditKind::Vulnerability)
    }

    pub fn name(self) -> &'static str {
        match self {
            AuditKind::Vulnerability => "vulnerability",
            AuditKind::Unmaintained => "unmaintained",
            AuditKind::Unsound => "unsound",
            AuditKind::Notice => "notice",
            AuditKind::Yanked => "yanked",
        }
    }
}

/// The severity of a vulnerability, as CVSS rates it.
/// <https://www.first.org/cvss/specification-document#Qualitative-Severity-Rating-Scale>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    None,
    Low,
    Medium,
    High,
    Critical,
}

impl Rating {
    pub fn name(self) -> &'static str {
        match self {
            Rating::None => "none",
            Rating::Low => "low",
            Rating::Medium => "medium",
            Rating::High => "high",
            Rating::Critical => "critical",
        }
    }

    pub fn parse(name: &str) -> Option<Rating> {
        Rating::value_variants().iter().copied().find(|it| it.name() == name)
    }
}

/// An advisory that is to be ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    pub id: String,
    pub reason: String,
    /// The last day on which it is ignored; `None` for always.
    pub until: Option<Date>,
    /// Where the setting is.
    pub place: Place,
}

/// The settings of `check` and `audit`.
#[derive(Clone, Debug, Default)]
pub struct CheckConfig {
    /// Sets of features that clippy is run with, beside the default one.
    pub features: Vec<Features>,
    /// Checks that must run.
    pub require: BTreeSet<Check>,
    /// A folder, relative to the workspace's, or the URL of a repository.
    pub database: String,
    pub ignore: Vec<Ignore>,
    /// Less severe vulnerabilities are ignored.
    pub severity: Option<Rating>,
    /// What fails like a vulnerability.
    pub deny: BTreeSet<AuditKind>,
}

/// A set of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    All,
    None,
    Named(String),
}

/// Resolves the keys.
pub fn check(
    keys: CheckKeys,
    audit: AuditKeys,
    typed: Option<&RawConfig>,
    findings: &mut Vec<Finding>,
) -> CheckConfig {
    let mut wrong = Vec::new();
    let mut fault = |path: &str, why: String| {
        findings.push(schema::fault("config-check", typed, path, why));
    };
    let empty = |set: &&String| set.split([',', ' ']).any(|name| name.is_empty());
    for set in keys.features.iter().filter(empty) {
        fault("check.features", format!("{set:?} has an empty feature name"));
    }
    let features = keys.features.iter().map(|set| match &**set {
        "all" => Features::All,
        "none" => Features::None,
        names => Features::Named(names.to_owned()),
    });
    let features = features.collect();
    let mut require = BTreeSet::new();
    for name in &keys.require {
        match Check::all().find(|check| check.name() == name) {
            Some(check) => drop(require.insert(check)),
            None => {
                let why = format!("there is no check {name:?}");
                let (rule, known) = ("config-check", Check::all().map(Check::name));
                wrong.push(schema::no_such(rule, typed, "check.require", (name, why), known));
            }
        }
    }
    let mut deny = BTreeSet::new();
    for name in &audit.deny {
        match AuditKind::deniable().find(|kind| kind.name() == name) {
            Some(kind) => drop(deny.insert(kind)),
            None => {
                let why = format!("there is no kind {name:?} of findings");
                let known = AuditKind::deniable().map(AuditKind::name);
                wrong.push(schema::no_such(
                    "config-check",
                    typed,
                    "audit.deny",
                    (name, why),
                    known,
                ));
            }
        }
    }
    let severity = Rating::parse(&audit.severity);
    if severity.is_none() && !audit.severity.is_empty() {
        let why = format!("{:?} is not a severity", audit.severity);
        let known = Rating::value_variants().iter().map(|it| it.name());
        let named = (&*audit.severity, why);
        wrong.push(schema::no_such("config-check", typed, "audit.severity", named, known));
    }
    let mut ignore = Vec::new();
    for IgnoreKeys { id, reason, until } in audit.ignore {
        if id.is_empty() || reason.trim().is_empty() {
            fault("audit.ignore", "an ignored advisory needs an `id` and a `reason`".to_owned());
        }
        let date = until.parse::<Date>().ok();
        if date.is_none() && !until.is_empty() {
            fault("audit.ignore", format!("{until:?} is not a date"));
        }
        let place = schema::place(typed, "audit.ignore");
        ignore.push(Ignore { id, reason, until: date, place });
    }
    findings.extend(wrong);
    CheckConfig { features, require, database: audit.database, ignore, severity, deny }
}
