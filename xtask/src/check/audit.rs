//! Matches the crates of a lock file with advisories and yanked versions.

use std::collections::BTreeSet;

use jiff::civil::Date;
use semver::VersionReq;

use super::CheckFinding;
use super::advisory::{Advisory, Informational};
use super::lock::{Lock, Package};
use super::rules::Rules;
use super::updates::{self, Updates};
use crate::config::{AuditKind, Ignore};
use crate::finding::{Finding, Severity};

/// A package of the lock file with an advisory, or one that was yanked.
#[derive(Debug)]
pub struct Match<'a> {
    /// Its position in the lock file.
    pub package: usize,
    pub kind: AuditKind,
    /// `None` for a yanked package.
    pub advisory: Option<&'a Advisory>,
}

/// The advisories and yanked packages that the rules do not silence, in the order of the lock
/// file. [`findings`] leaves out those that are ignored.
pub fn matches<'a>(
    lock: &Lock,
    advisories: &'a [Advisory],
    yanked: &BTreeSet<usize>,
    rules: &Rules,
) -> Vec<Match<'a>> {
    let mut matches = Vec::new();
    for (at, package) in lock.packages.iter().enumerate() {
        // Advisories are about crates of crates.io, and not about others of the same name.
        if !package.is_of_crates_io() {
            continue;
        }
        for advisory in advisories.iter().filter(|it| it.package == package.name) {
            if let Some(kind) = concerns(advisory, package, rules) {
                matches.push(Match { package: at, kind, advisory: Some(advisory) });
            }
        }
        if yanked.contains(&at) && !rules.silent.contains(&AuditKind::Yanked) {
            matches.push(Match { package: at, kind: AuditKind::Yanked, advisory: None });
        }
    }
    matches
}

/// The kind of an advisory about a package; `None` where it is not about it, or the rules
/// silence it.
fn concerns(advisory: &Advisory, package: &Package, rules: &Rules) -> Option<AuditKind> {
    let kind = match &advisory.informational {
        None => AuditKind::Vulnerability,
        Some(Informational::Unmaintained) => AuditKind::Unmaintained,
        Some(Informational::Unsound) => AuditKind::Unsound,
        Some(Informational::Notice) => AuditKind::Notice,
        Some(_) => return None,
    };
    let is_severe = match (rules.severity, advisory.rating) {
        (Some(least), Some(rating)) => rating >= least,
        // An advisory without a rating counts.
        _ => true,
    };
    let is_here = is_about(&advisory.arch, &rules.arch) && is_about(&advisory.os, &rules.os);
    let is_there = advisory.of_crates_io && !advisory.withdrawn;
    let concerns = is_there && is_here && advisory.unaffected.lacks(&package.version);
    (is_severe && concerns && !rules.silent.contains(&kind)).then_some(kind)
}

/// Whether an advisory about these systems, or about all, is about one of those that are asked
/// about, or all are.
fn is_about<T: PartialEq>(concerned: &[T], asked: &[T]) -> bool {
    concerned.is_empty() || asked.is_empty() || asked.iter().any(|one| concerned.contains(one))
}

/// The findings: each match that is not ignored, and each entry of the ignore list that is not
/// needed.
pub fn findings(
    lock: &Lock,
    matches: &[Match<'_>],
    advisories: &[Advisory],
    rules: &Rules,
    updates: &Updates,
    today: Date,
) -> Vec<CheckFinding> {
    let mut found = concerned(lock, matches, rules, updates, today);
    for ignore in &rules.ignore {
        let fitting = |one: &Match<'_>| fits(ignore, one, &lock.packages[one.package]);
        let used = matches.iter().any(fitting);
        let known = advisories.iter().any(|it| it.id == ignore.id);
        let say = |rule, severity, why: String, fix: &str| {
            let place = ignore.place.clone();
            let finding = Finding { rule, severity, place, why, fix: fix.to_owned() };
            CheckFinding { id: rule.to_owned(), url: None, finding }
        };
        let id = &ignore.id;
        if expired(ignore, today) && used {
            let why = format!(
                "{id} was ignored until {}",
                ignore.until.map(|day| day.to_string()).unwrap_or_default()
            );
            let fix = "update the crate, or set a later day";
            found.push(say("ignore-expired", Severity::Error, why, fix));
        } else if !used && !known && id.contains("RUSTSEC-") {
            let why = format!("{id} is ignored, but the database has no such advisory");
            found.push(say("ignore-unknown", Severity::Warning, why, "correct it, or remove it"));
        } else if !used {
            let why = format!("{id} is ignored, but concerns nothing in Cargo.lock");
            found.push(say("ignore-unused", Severity::Warning, why, "remove it"));
        }
    }
    found
}

/// The findings on the matches that are not ignored.
pub fn concerned(
    lock: &Lock,
    matches: &[Match<'_>],
    rules: &Rules,
    updates: &Updates,
    today: Date,
) -> Vec<CheckFinding> {
    let is_ignored = |one: &&Match<'_>| {
        let package = &lock.packages[one.package];
        rules.ignore.iter().any(|ignore| !expired(ignore, today) && fits(ignore, one, package))
    };
    let counted = matches.iter().filter(|one| !is_ignored(one));
    counted.map(|one| describe(lock, one, rules, updates)).collect()
}

fn expired(ignore: &Ignore, today: Date) -> bool {
    ignore.until.is_some_and(|day| day < today)
}

/// Whether an entry of the ignore list covers a match. It names an advisory by its identifier or
/// an alias, and a yanked crate by its name, with or without a version.
fn fits(ignore: &Ignore, one: &Match<'_>, package: &Package) -> bool {
    let id = &*ignore.id;
    match one.advisory {
        Some(advisory) => advisory.aliases.iter().chain([&advisory.id]).any(|name| name == id),
        None => {
            let (name, version) = id.split_once('@').unwrap_or((id, ""));
            let version = version.trim_start_matches('=');
            name == package.name && (version.is_empty() || version == package.version.to_string())
        }
    }
}

fn describe(lock: &Lock, one: &Match<'_>, rules: &Rules, updates: &Updates) -> CheckFinding {
    let package = &lock.packages[one.package];
    let (name, version) = (&package.name, &package.version);
    let path = lock.path_to(one.package);
    let denied = one.kind == AuditKind::Vulnerability || rules.deny.contains(&one.kind);
    let severity = if denied { Severity::Error } else { Severity::Warning };
    let place = lock.place(one.package);
    let (id, url, why, patched): (_, _, _, &[VersionReq]) = match one.advisory {
        None => {
            let why = format!("{name} {version} was yanked ({path})");
            ("yanked".to_owned(), None, why, &[])
        }
        Some(advisory) => {
            let id = &advisory.id;
            let kind = match (one.kind, advisory.rating) {
                (AuditKind::Vulnerability, Some(rating)) => rating.name(),
                (kind, _) => kind.name(),
            };
            let title = &advisory.title;
            let why = format!("{name} {version}: {id} ({kind}): {title} ({path})");
            let url = format!("https://rustsec.org/advisories/{id}");
            (id.clone(), Some(url), why, &advisory.patched)
        }
    };
    let fix = if lock.is_file() {
        updates.fix(lock, one.package, one.kind, patched)
    } else {
        updates::take(&package.name, patched) + ", and release the program again"
    };
    let fix = url.iter().fold(fix, |fix, url| format!("{fix}; {url}"));
    let rule = one.kind.name();
    CheckFinding { id, url, finding: Finding { rule, severity, place, why, fix } }
}
