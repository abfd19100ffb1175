//! The crates of a lock file against what is known of them.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::civil::Date;
use rustsec::advisory::{Informational, Severity as Cvss};
use rustsec::database::Query;
use rustsec::package::Package;
use rustsec::{Advisory, VersionReq};

use super::Found;
use super::lock::{LOCK, Lock};
use super::rules::Rules;
use super::updates::Updates;
use crate::config::{Gravity, Ignore, Kind};
use crate::finding::{Finding, Place, Severity};

/// A package of the lock file, and what is known of it.
#[derive(Debug)]
pub struct Match<'a> {
    /// In the lock file's order.
    pub package: usize,
    pub kind: Kind,
    /// `None` for one that was yanked.
    pub advisory: Option<&'a Advisory>,
}

/// What counts of all advisories, and of the packages that were yanked, in the lock file's
/// order. What is ignored is left out by [`findings`], which knows the day.
pub fn matches<'a>(
    lock: &Lock,
    advisories: &'a [Advisory],
    yanked: &BTreeSet<usize>,
    rules: &Rules,
) -> Vec<Match<'a>> {
    let mut matches = Vec::new();
    for (at, package) in lock.packages.iter().enumerate() {
        // What is written of a crate of crates.io says nothing of others of that name.
        if !package.source.as_ref().is_some_and(|source| source.is_default_registry()) {
            continue;
        }
        for advisory in advisories.iter().filter(|it| it.metadata.package == package.name) {
            if let Some(kind) = concerns(advisory, package, rules) {
                matches.push(Match { package: at, kind, advisory: Some(advisory) });
            }
        }
        if yanked.contains(&at) && !rules.silent.contains(&Kind::Yanked) {
            matches.push(Match { package: at, kind: Kind::Yanked, advisory: None });
        }
    }
    matches
}

/// What an advisory says of a package; `None` where it says nothing, or nothing that counts.
fn concerns(advisory: &Advisory, package: &Package, rules: &Rules) -> Option<Kind> {
    let kind = match &advisory.metadata.informational {
        None => Kind::Vulnerability,
        Some(Informational::Unmaintained) => Kind::Unmaintained,
        Some(Informational::Unsound) => Kind::Unsound,
        Some(Informational::Notice) => Kind::Notice,
        Some(_) => return None,
    };
    let query = Query::new()
        .package(package)
        .withdrawn(false)
        .target_arch(rules.arch.clone())
        .target_os(rules.os.clone());
    let grave = match (rules.severity, advisory.severity().map(gravity)) {
        (Some(least), Some(gravity)) => gravity >= least,
        // What nobody has rated counts.
        _ => true,
    };
    (grave && !rules.silent.contains(&kind) && query.matches(advisory)).then_some(kind)
}

fn gravity(severity: Cvss) -> Gravity {
    match severity {
        Cvss::None => Gravity::None,
        Cvss::Low => Gravity::Low,
        Cvss::Medium => Gravity::Medium,
        Cvss::High => Gravity::High,
        Cvss::Critical => Gravity::Critical,
    }
}

/// What is to be said: of each match that is not ignored, and of what is ignored in vain.
pub fn findings(
    lock: &Lock,
    matches: &[Match<'_>],
    advisories: &[Advisory],
    rules: &Rules,
    updates: &Updates,
    today: Date,
) -> Vec<Found> {
    let over = |ignore: &Ignore| ignore.until.is_some_and(|day| day < today);
    let mut found = Vec::new();
    for one in matches {
        let package = &lock.packages[one.package];
        let ignored = rules.ignore.iter().any(|ignore| !over(ignore) && fits(ignore, one, package));
        if !ignored {
            found.push(describe(lock, one, rules, updates));
        }
    }
    for ignore in &rules.ignore {
        let fitting = |one: &Match<'_>| fits(ignore, one, &lock.packages[one.package]);
        let used = matches.iter().any(fitting);
        let known = advisories.iter().any(|it| it.id().as_str() == ignore.id);
        let say = |rule, severity, why: String, fix: &str| {
            let place = ignore.place.clone();
            let finding = Finding { rule, severity, place, why, fix: fix.to_owned() };
            Found { id: rule.to_owned(), url: None, finding }
        };
        let id = &ignore.id;
        if over(ignore) && used {
            let why = format!(
                "{id} was to be ignored until {}",
                ignore.until.map(|day| day.to_string()).unwrap_or_default()
            );
            let fix = "update the crate, or give it another day";
            found.push(say("ignore-expired", Severity::Error, why, fix));
        } else if !used && !known && id.contains("RUSTSEC-") {
            let why = format!("{id} is ignored, and the database has no such advisory");
            found.push(say("ignore-unknown", Severity::Warning, why, "mend it, or remove it"));
        } else if !used {
            let why = format!("{id} is ignored, and is about nothing in Cargo.lock");
            found.push(say("ignore-unused", Severity::Warning, why, "remove it"));
        }
    }
    found
}

/// Whether somebody wants to hear nothing of it: by the advisory's identifier or another
/// name of it; a yanked crate by its own name, with a version or without.
fn fits(ignore: &Ignore, one: &Match<'_>, package: &Package) -> bool {
    let id = &*ignore.id;
    match one.advisory {
        Some(advisory) => {
            let mut names = advisory.metadata.aliases.iter().chain([advisory.id()]);
            names.any(|name| name.as_str() == id)
        }
        None => {
            let (name, version) = id.split_once('@').unwrap_or((id, ""));
            let version = version.trim_start_matches('=');
            name == package.name.as_str()
                && (version.is_empty() || version == package.version.to_string())
        }
    }
}

fn describe(lock: &Lock, one: &Match<'_>, rules: &Rules, updates: &Updates) -> Found {
    let package = &lock.packages[one.package];
    let (name, version) = (&package.name, &package.version);
    let way = lock.way(one.package);
    let denied = one.kind == Kind::Vulnerability || rules.deny.contains(&one.kind);
    let severity = if denied { Severity::Error } else { Severity::Warning };
    let place = Place::at(Path::new(LOCK), lock.line(one.package), 1);
    let (id, url, why, patched): (_, _, _, &[VersionReq]) = match one.advisory {
        None => {
            let why = format!("{name} {version} was yanked ({way})");
            ("yanked".to_owned(), None, why, &[])
        }
        Some(advisory) => {
            let id = advisory.id().as_str();
            let kind = match (one.kind, advisory.severity()) {
                (Kind::Vulnerability, Some(cvss)) => gravity(cvss).name(),
                (kind, _) => kind.name(),
            };
            let title = advisory.title();
            let why = format!("{name} {version}: {id} ({kind}): {title} ({way})");
            let url = format!("https://rustsec.org/advisories/{id}");
            (id.to_owned(), Some(url), why, advisory.versions.patched())
        }
    };
    let fix = updates.fix(lock, one.package, one.kind, patched);
    let fix = url.iter().fold(fix, |fix, url| format!("{fix}; {url}"));
    let rule = one.kind.name();
    Found { id, url, finding: Finding { rule, severity, place, why, fix } }
}
