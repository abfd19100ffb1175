//! Checks the sources without running them: formatting, the lock file, lints, advisories.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::civil::Date;
use serde::Serialize;

use crate::cache::{Cache, CacheKind};
use crate::config::{AuditKind, Check, CheckConfig, Features};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::finding::{self, Finding, Place, Severity};
use crate::http::Network;
use crate::project::Project;
use crate::term::{Table, Term, tame};

mod advisories;
mod advisory;
mod audit;
mod database;
mod inside;
mod licenses;
mod lock;
mod programs;
mod rules;
mod sarif;
mod tools;
mod unaffected;
mod updates;
mod yanked;

pub use database::{Reach, is_url};
pub use programs::{Audit, Audited, Outcome, audited_table};
pub use sarif::sarif;

use self::lock::{LOCK, Lock};
use self::tools::{Report, count};
use self::updates::Updates;

/// A finding of a check, with its public name.
#[derive(Clone, Debug, Serialize)]
pub struct CheckFinding {
    /// A lint, or an advisory: `clippy::needless_return`, `RUSTSEC-2020-0071`.
    pub id: String,
    /// The page that explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(flatten)]
    pub finding: Finding,
}

/// What to check, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The checks that run, in the table's order.
    pub checks: BTreeSet<Check>,
    /// The checks that must run.
    pub require: BTreeSet<Check>,
    /// More sets of features for clippy.
    pub features: Vec<Features>,
    /// A database other than the configured one.
    pub database: Option<String>,
    /// Whether a stale database is an error.
    pub strict: bool,
    pub fix: bool,
    pub locked: bool,
    pub network: Network,
}

impl Options {
    fn runs(&self, check: Check) -> bool {
        self.checks.contains(&check)
    }
}

/// A check and its result.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub check: Check,
    pub result: Status,
    pub detail: String,
    pub findings: Vec<CheckFinding>,
    /// Whether the check must run.
    pub required: bool,
    #[serde(skip)]
    time: Duration,
}

/// The result of a check. One that did not run has not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Passed,
    Failed,
    NotRun,
    /// The user left it out.
    Skipped,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::NotRun => "not run",
            Status::Skipped => "skipped",
        }
    }
}

impl Verdict {
    /// Whether the whole command fails. Only the audit may not run, where it is not required.
    pub fn fails(&self) -> bool {
        match self.result {
            Status::Passed => false,
            Status::Failed => true,
            Status::NotRun => self.required || self.check != Check::Audit,
            Status::Skipped => self.required,
        }
    }
}

/// What is checked, and with what.
pub struct Subject<'a> {
    pub project: &'a Project,
    pub config: &'a CheckConfig,
    pub options: &'a Options,
    pub cache: &'a Cache,
    pub term: &'a Term,
}

/// Runs all checks, even after one has failed. All others run while clippy compiles.
pub fn check(subject: &Subject<'_>) -> Result<Vec<Verdict>> {
    let Subject { project, options, term, .. } = *subject;
    if options.runs(Check::Clippy) {
        project.fetch_sources(options.network)?;
    }
    if options.fix {
        tools::fix(project, options, term)?;
    }
    // One after the other: rustup cannot install two components at the same time.
    let [fmt_there, clippy_there] = [Check::Fmt, Check::Clippy].map(|check| {
        let install = || tools::install(check.name(), project, options.network, term);
        if options.runs(check) { install() } else { Ok(()) }
    });
    let names: Vec<&str> = options.checks.iter().map(|check| check.name()).collect();
    term.step("check", names.join(", "));
    let (fmt, others, clippy) = std::thread::scope(|scope| {
        let fmt = || fmt_there.and_then(|()| tools::fmt(project));
        let fmt = scope.spawn(|| run(Check::Fmt, options, fmt));
        let others = scope.spawn(|| others(subject));
        let clippy = || clippy_there.and_then(|()| tools::clippy(project, options, term));
        let clippy = run(Check::Clippy, options, clippy);
        (fmt.join(), others.join(), clippy)
    });
    let died = |check| verdict(check, options, Status::NotRun, "the thread that ran it panicked");
    let fmt = fmt.unwrap_or_else(|_| (died(Check::Fmt), String::new()));
    let others = others.unwrap_or_else(|_| [Check::Lock, Check::Audit, Check::Licenses].map(died));
    let [lock, audit, licenses] = others;
    // fmt's lines waited, so that they do not mix with clippy's.
    fmt.1.lines().for_each(|line| term.note(line));
    let verdicts = vec![fmt.0, lock, clippy.0, audit, licenses];
    for verdict in &verdicts {
        let shown = matches!(verdict.check, Check::Fmt | Check::Clippy);
        for CheckFinding { finding, .. } in &verdict.findings {
            if shown { term.annotate(finding) } else { term.finding(finding) }
        }
    }
    Ok(verdicts)
}

/// The verdicts as a table.
pub fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new(&["check", "result", "time", "detail"]);
    for verdict in verdicts {
        let time = format!("{:.1}s", verdict.time.as_secs_f64());
        let result = verdict.result.word().into();
        table.row([verdict.check.name().into(), result, time, verdict.detail.clone()]);
    }
    table
}

fn verdict(check: Check, options: &Options, result: Status, detail: impl Into<String>) -> Verdict {
    let required = options.require.contains(&check);
    // It may quote a server, and is one line of a table.
    let detail = tame(&detail.into());
    Verdict { check, result, detail, findings: Vec::new(), required, time: Duration::ZERO }
}

/// Runs one check. Returns its verdict and the lines that it printed. A check that ends with an
/// error did not run.
fn run(check: Check, options: &Options, it: impl FnOnce() -> Result<Report>) -> (Verdict, String) {
    if !options.runs(check) {
        return (verdict(check, options, Status::Skipped, ""), String::new());
    }
    let started = Instant::now();
    let (mut verdict, lines) = match it() {
        Ok(report) => {
            let result = if report.passed { Status::Passed } else { Status::Failed };
            let verdict = verdict(check, options, result, report.detail);
            (Verdict { findings: report.findings, ..verdict }, report.lines)
        }
        Err(error) => {
            (verdict(check, options, Status::NotRun, format!("{error:#}")), String::new())
        }
    };
    verdict.time = started.elapsed();
    (verdict, lines)
}

/// The checks of the lock file: whether it is current, its audit, and its crates' licences.
fn others(subject: &Subject<'_>) -> [Verdict; 3] {
    let lock = run(Check::Lock, subject.options, || lock_is_current(subject));
    let audit = run(Check::Audit, subject.options, || audited(subject));
    [lock.0, audit.0, licensed(subject)]
}

/// Compares licences with the rules of the project, where it has some. Without rules nothing is
/// wrong, and nothing was checked.
fn licensed(subject: &Subject<'_>) -> Verdict {
    let Subject { project, options, .. } = *subject;
    let settings = options.runs(Check::Licenses).then(|| licenses::rules(project));
    match settings {
        Some(Ok(None)) => {
            verdict(Check::Licenses, options, Status::Skipped, "no [licenses] in deny.toml")
        }
        Some(Err(error)) => {
            let (why, help) = finding::said(&error);
            let detail = help.map_or(why.clone(), |help| format!("{why}; {help}"));
            verdict(Check::Licenses, options, Status::Failed, detail)
        }
        Some(Ok(Some(rules))) => {
            run(Check::Licenses, options, || licenses::check(&rules, subject)).0
        }
        None => verdict(Check::Licenses, options, Status::Skipped, ""),
    }
}

const NO_LOCK: &str = "there is no Cargo.lock: run `cargo generate-lockfile`";

/// A part of the cache's key. To be raised whenever the check of a lock file changes.
const LOCK_FORM: &[u8] = b"dockless lock 1";

/// Checks that cargo need not change Cargo.lock, and that no crate in it needs a newer Rust than
/// the `rust-version` of the packages that depend on it.
fn lock_is_current(subject: &Subject<'_>) -> Result<Report> {
    let Subject { project, cache, .. } = *subject;
    let failed = |detail: &str| Ok(Report { detail: detail.to_owned(), ..Report::default() });
    if !project.has_lock {
        return failed(NO_LOCK);
    }
    let text = files::read_foreign(&project.root.join(LOCK), limits::LOCK)?;
    // A lock file depends only on the manifests, and this is what cargo says of them.
    let key = digest::of_parts([LOCK_FORM, &text, &project.metadata]);
    if cache.get(CacheKind::Lock, &key, std::io::sink())?.is_some() {
        return Ok(Report { passed: true, ..Report::default() });
    }
    let metadata = match tools::metadata(project, subject.options.network, &[]) {
        Ok(metadata) => metadata,
        Err(error) if format!("{error:#}").contains("--locked was passed") => {
            return failed("it is not up to date: run `cargo update --workspace`");
        }
        Err(error) => return Err(error),
    };
    let findings = lock::too_new(&metadata);
    if findings.is_empty() {
        cache.put(CacheKind::Lock, &key, &Digest::of(b""), std::io::empty())?;
    }
    let detail = match findings.len() {
        0 => String::new(),
        crates => format!("{} of a newer Rust than rust-version", count(crates, "crate")),
    };
    Ok(Report { passed: findings.is_empty(), detail, findings, lines: String::new() })
}

/// Opens the configured advisory database.
fn database(rules: &rules::Rules, subject: &Subject<'_>) -> Result<database::Opening> {
    let Subject { project, config, options, cache, term } = *subject;
    let named = options.database.as_ref().or(rules.database.as_ref());
    let (root, env, network) = (&*project.root, &project.env, options.network);
    let reach = Reach { root, env, network, cache, term };
    database::open(named.unwrap_or(&config.database), &reach)
}

/// An advisory database, before anything is compared with it.
pub struct DatabaseLook {
    pub as_of: Option<Date>,
    pub advisories: usize,
    /// Its age, or why it is not newer.
    pub finding: Option<Finding>,
}

/// Opens the database of the audit; fetches it where it is not there, or is no longer recent.
pub fn look_at_database(subject: &Subject<'_>) -> Result<DatabaseLook, Box<Finding>> {
    let Subject { project, config, options, .. } = *subject;
    let look = || -> Result<DatabaseLook> {
        let rules = rules::rules(config, &project.root, &project.boundary)?;
        match database(&rules, subject)? {
            database::Opening::Opened(database) => Ok(DatabaseLook {
                as_of: database.as_of,
                advisories: database.advisories.all.len(),
                finding: stale(&database, options.strict, files::today()?),
            }),
            database::Opening::OutOfReach(why) => anyhow::bail!("no advisory database: {why}"),
        }
    };
    let fix = "set DOCKLESS_ADVISORY_DB to a folder or a git repository with the advisories";
    let unusable = |error| {
        let why = finding::said(&error).0;
        Box::new(Finding::error("advisories", Place::item("audit"), why, fix))
    };
    look().map_err(unusable)
}

/// Why a required audit would fail: the database is out of reach, unusable or too old. This is
/// known before the audit runs.
pub fn preflight(subject: &Subject<'_>) -> Option<Finding> {
    if !subject.options.runs(Check::Audit) {
        return None;
    }
    match look_at_database(subject) {
        Ok(look) => look.finding.filter(|it| it.severity == Severity::Error),
        Err(finding) => {
            let fix = format!("{}, or leave the checks out with `--skip check`", finding.fix);
            Some(Finding { fix, ..*finding })
        }
    }
}

/// What is wrong with Cargo.lock, in a line.
pub fn look_at_lock(subject: &Subject<'_>) -> Result<Option<String>> {
    let Report { passed, detail, .. } = lock_is_current(subject)?;
    Ok((!passed).then_some(detail))
}

/// Compares the lock file with the advisory database and with the index.
fn audited(subject: &Subject<'_>) -> Result<Report> {
    let Subject { project, config, options, .. } = *subject;
    anyhow::ensure!(project.has_lock, NO_LOCK);
    let lock = &Lock::read(&project.root.join(LOCK))?;
    let rules = rules::rules(config, &project.root, &project.boundary)?;
    let database = match database(&rules, subject) {
        Ok(database::Opening::Opened(database)) => *database,
        Ok(database::Opening::OutOfReach(why)) => anyhow::bail!("no advisory database: {why}"),
        // A database that cannot be read is a failure: what it holds is unknown.
        Err(error) => {
            return Ok(Report { detail: format!("{error:#}"), ..Report::default() });
        }
    };
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    let found = |finding: Finding| CheckFinding { id: finding.rule.to_owned(), url: None, finding };
    let advisories = &database.advisories;
    findings.extend(advisories.faults.iter().cloned().map(found));
    let today = files::today()?;
    findings.extend(stale(&database, options.strict, today).map(found));
    notes.push(count(advisories.all.len(), "advisory").replace("advisorys", "advisories"));
    if let Some(day) = database.as_of {
        notes.push(format!("of {day}"));
    }
    let mut yanked = BTreeSet::new();
    if !rules.silent.contains(&AuditKind::Yanked) {
        match look_for_yanked(lock, subject) {
            Ok(found) => {
                yanked = found.yanked;
                if found.unknown > 0 {
                    let crates = count(found.unknown, "crate");
                    notes.push(format!("the index does not know {crates}"));
                }
            }
            Err(error) => {
                let why =
                    format!("yanked crates were not looked for: {error:#}").replace('\n', " ");
                if options.strict || rules.deny.contains(&AuditKind::Yanked) {
                    let fix = "run again with the index in reach";
                    let place = Place::file(Path::new(LOCK));
                    findings.push(found(Finding::error("yanked", place, why, fix)));
                } else {
                    notes.push(why);
                }
            }
        }
    }
    let matches = audit::matches(lock, &advisories.all, &yanked, &rules);
    // Only findings need it, and it takes a while.
    let updates = if matches.is_empty() {
        Updates::default()
    } else {
        tools::metadata(project, options.network, &[])
            .map(|it| Updates::of(&it))
            .unwrap_or_default()
    };
    findings.extend(audit::findings(lock, &matches, &advisories.all, &rules, &updates, today));
    let errors = findings.iter().filter(|it| it.finding.severity == Severity::Error).count();
    if !findings.is_empty() {
        let warnings = findings.len() - errors;
        notes.insert(0, format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
    }
    let detail = format!("{}, {}", count(lock.packages.len(), "crate"), notes.join(", "));
    Ok(Report { passed: errors == 0, detail, findings, lines: String::new() })
}

fn look_for_yanked(lock: &Lock, subject: &Subject<'_>) -> Result<yanked::Yanked> {
    anyhow::ensure!(subject.options.network == Network::Online, "--offline");
    let text = files::read_foreign(&lock.path, limits::LOCK)?;
    yanked::look(lock, &text, subject.project, subject.cache)
}

/// The finding on a database that is too old.
fn stale(database: &database::Database, strict: bool, today: Date) -> Option<Finding> {
    let as_of = database.as_of?;
    let age = database::age(as_of, today);
    let place = Place::file(Path::new(&database.path));
    let severity = if strict { Severity::Error } else { Severity::Warning };
    let (rule, why) = match &database.old {
        _ if age >= database::STALE => {
            let old = database.old.iter().map(|why| format!(": {why}"));
            ("audit-stale", format!("the advisories are {age} days old{}", old.collect::<String>()))
        }
        Some(why) => ("audit-fetch", format!("the advisories are of {as_of}: {why}")),
        None => return None,
    };
    let fix = "fetch them anew, or name another database";
    Some(Finding { rule, severity, place, why, fix: fix.to_owned() })
}

#[cfg(test)]
mod tests;
