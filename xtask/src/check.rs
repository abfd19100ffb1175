//! Everything that is known of the sources without running them, as one verdict.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::cache::{Cache, Kind as Kept};
use crate::config::{Check, CheckConfig, Features, Kind};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::finding::{self, Finding, Place, Severity};
use crate::http::Network;
use crate::project::Project;
use crate::term::{Table, Term, tame};

mod advisories;
mod audit;
mod database;
mod lock;
mod rules;
mod sarif;
mod tools;
mod updates;
mod yanked;

pub use database::is_url;
pub use sarif::sarif;

use self::lock::{LOCK, Lock};
use self::tools::{Said, count};
use self::updates::Updates;

/// One thing that a check found, with the name that others know it by.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// A lint, or an advisory: `clippy::needless_return`, `RUSTSEC-2020-0071`.
    pub id: String,
    /// Where it is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(flatten)]
    pub finding: Finding,
}

/// What is asked of the checks.
#[derive(Clone, Debug)]
pub struct Options {
    /// The checks that run, in the table's order.
    pub checks: BTreeSet<Check>,
    /// Those that must run.
    pub require: BTreeSet<Check>,
    /// More sets of features for clippy.
    pub features: Vec<Features>,
    /// Another database than that of the settings.
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

/// One check and what came of it.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub check: Check,
    pub result: Outcome,
    pub detail: String,
    pub findings: Vec<Found>,
    /// Whether it must run.
    pub required: bool,
    #[serde(skip)]
    time: Duration,
}

/// What came of a check. One that did not run has not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Passed,
    Failed,
    NotRun,
    /// The user left it out.
    Skipped,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotRun => "not run",
            Outcome::Skipped => "skipped",
        }
    }
}

impl Verdict {
    /// Whether it stands in the way: an audit alone may be absent, where nobody requires it.
    pub fn fails(&self) -> bool {
        match self.result {
            Outcome::Passed => false,
            Outcome::Failed => true,
            Outcome::NotRun => self.required || self.check != Check::Audit,
            Outcome::Skipped => self.required,
        }
    }
}

/// Runs all checks, whatever comes of each: fmt, the lock file and the audit while clippy
/// compiles.
pub fn check(
    project: &Project,
    config: &CheckConfig,
    options: &Options,
    cache: &Cache,
    term: &Term,
) -> Result<Vec<Verdict>> {
    if options.runs(Check::Clippy) {
        project.fetch_sources(options.network)?;
    }
    if options.fix {
        tools::fix(project, options, term)?;
    }
    // One after the other: rustup is not made to install two at once.
    let [no_fmt, no_clippy] =
        [(Check::Fmt, "fmt"), (Check::Clippy, "clippy")].map(|(check, name)| {
            options
                .runs(check)
                .then(|| tools::missing(name, project, options.network, term))
                .flatten()
        });
    let names: Vec<&str> = options.checks.iter().map(|check| check.name()).collect();
    term.step("check", names.join(", "));
    let (fmt, others, clippy) = std::thread::scope(|scope| {
        let fmt =
            scope.spawn(|| run(Check::Fmt, options, || unless(no_fmt, || tools::fmt(project))));
        let others = scope.spawn(|| others(project, config, options, cache, term));
        let clippy = run(Check::Clippy, options, || {
            unless(no_clippy, || tools::clippy(project, options, term))
        });
        (fmt.join(), others.join(), clippy)
    });
    let died = |check| verdict(check, options, Outcome::NotRun, "the thread that ran it panicked");
    let fmt = fmt.unwrap_or_else(|_| (died(Check::Fmt), String::new()));
    let [lock, audit] = others.unwrap_or_else(|_| [died(Check::Lock), died(Check::Audit)]);
    // They were held back, so that they do not mix with clippy's.
    fmt.1.lines().for_each(|line| term.note(line));
    let verdicts = vec![fmt.0, lock, clippy.0, audit];
    for verdict in &verdicts {
        let shown = matches!(verdict.check, Check::Fmt | Check::Clippy);
        for Found { finding, .. } in &verdict.findings {
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
        let (check, result) = (verdict.check.name().into(), verdict.result.word().into());
        table.row([check, result, time, verdict.detail.clone()]);
    }
    table
}

fn verdict(check: Check, options: &Options, result: Outcome, detail: impl Into<String>) -> Verdict {
    let required = options.require.contains(&check);
    let (findings, time) = (Vec::new(), Duration::ZERO);
    // It may hold what a server said, and is one line of a table.
    let detail = tame(&detail.into());
    Verdict { check, result, detail, findings, required, time }
}

/// Runs one check, and returns what it printed beside its verdict. An error is a check
/// that did not run, and why.
fn run(check: Check, options: &Options, start: impl FnOnce() -> Result<Said>) -> (Verdict, String) {
    if !options.runs(check) {
        return (verdict(check, options, Outcome::Skipped, ""), String::new());
    }
    let started = Instant::now();
    let (mut verdict, lines) = match start() {
        Ok(said) => {
            let result = if said.passed { Outcome::Passed } else { Outcome::Failed };
            let verdict = verdict(check, options, result, said.detail);
            (Verdict { findings: said.findings, ..verdict }, said.lines)
        }
        Err(error) => {
            (verdict(check, options, Outcome::NotRun, format!("{error:#}")), String::new())
        }
    };
    verdict.time = started.elapsed();
    (verdict, lines)
}

/// A component that the toolchain lacks is a check that did not run.
fn unless(lacking: Option<String>, start: impl FnOnce() -> Result<Said>) -> Result<Said> {
    match lacking {
        Some(why) => anyhow::bail!(why),
        None => start(),
    }
}

/// The lock file, and the audit of it, which needs it read.
fn others(
    project: &Project,
    config: &CheckConfig,
    options: &Options,
    cache: &Cache,
    term: &Term,
) -> [Verdict; 2] {
    let path = project.root.join(LOCK);
    let read = || match project.has_lock {
        true => Lock::read(&path),
        false => Err(anyhow::anyhow!("there is no Cargo.lock: run `cargo generate-lockfile`")),
    };
    let lock = run(Check::Lock, options, || lock_is_current(project, options, cache));
    let audit = run(Check::Audit, options, || {
        let lock = read()?;
        audited(&lock, project, config, options, cache, term)
    });
    [lock.0, audit.0]
}

/// Raised whenever more is asked of a lock file.
const LOCK_FORM: &[u8] = b"dockless lock 1";

/// That cargo takes Cargo.lock as it is, and no crate in it asks for a newer Rust than the
/// packages that need it promise.
fn lock_is_current(project: &Project, options: &Options, cache: &Cache) -> Result<Said> {
    let failed = |detail: &str| Ok(Said { detail: detail.to_owned(), ..Said::default() });
    if !project.has_lock {
        return failed("there is no Cargo.lock: run `cargo generate-lockfile`");
    }
    let text = files::read_foreign(&project.root.join(LOCK), limits::LOCK)?;
    // What cargo says of the manifests is all that a lock file is made of.
    let key = digest::of_parts([LOCK_FORM, &text, &project.metadata]);
    if cache.get(Kept::Lock, &key, std::io::sink())?.is_some() {
        return Ok(Said { passed: true, ..Said::default() });
    }
    let metadata = match tools::metadata(project, options.network) {
        Ok(metadata) => metadata,
        Err(error) if format!("{error:#}").contains("--locked was passed") => {
            return failed("it is not up to date: run `cargo update --workspace`");
        }
        Err(error) => return Err(error),
    };
    let findings = lock::too_new(&metadata);
    if findings.is_empty() {
        cache.put(Kept::Lock, &key, &Digest::of(b""), std::io::empty())?;
    }
    let detail = match findings.len() {
        0 => String::new(),
        crates => format!("{} of a newer Rust than rust-version", count(crates, "crate")),
    };
    Ok(Said { passed: findings.is_empty(), detail, findings, lines: String::new() })
}

/// The day, in UTC.
fn today() -> Result<Date> {
    let seconds = i64::try_from(files::now()).context("read the clock")?;
    let now = Timestamp::from_second(seconds).context("read the clock")?;
    Ok(now.to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// Compares the lock file with the database of advisories and with the index.
/// Opens the database of advisories that is meant.
fn database(
    rules: &rules::Rules,
    project: &Project,
    config: &CheckConfig,
    options: &Options,
    cache: &Cache,
    term: &Term,
) -> Result<database::Found> {
    let place =
        database::Place { root: &project.root, env: &project.env, cache, network: options.network };
    let source = options.database.as_ref().or(rules.database.as_ref()).unwrap_or(&config.database);
    database::open(source, &place, term)
}

/// Why an audit that must run could not, as far as that is known before: the database is
/// out of reach, cannot be used, or is too old.
pub fn ahead(
    project: &Project,
    config: &CheckConfig,
    options: &Options,
    cache: &Cache,
    term: &Term,
) -> Option<Finding> {
    let looked = || -> Result<Option<Finding>> {
        let rules = rules::rules(config, &project.root, &project.boundary)?;
        match database(&rules, project, config, options, cache, term)? {
            database::Found::Opened(database) => Ok(stale(&database, options.strict, today()?)),
            database::Found::OutOfReach(why) => anyhow::bail!("no database of advisories: {why}"),
        }
    };
    let place = || Place::item("audit");
    let fix = "bring one into reach: DOCKLESS_ADVISORY_DB names a folder or a git repository";
    match options.runs(Check::Audit).then(looked)? {
        Ok(found) => found.filter(|it| it.severity == Severity::Error),
        Err(error) => Some(Finding::error("advisories", place(), finding::said(&error).0, fix)),
    }
}

fn audited(
    lock: &Lock,
    project: &Project,
    config: &CheckConfig,
    options: &Options,
    cache: &Cache,
    term: &Term,
) -> Result<Said> {
    let rules = rules::rules(config, &project.root, &project.boundary)?;
    let database = match database(&rules, project, config, options, cache, term) {
        Ok(database::Found::Opened(database)) => *database,
        Ok(database::Found::OutOfReach(why)) => anyhow::bail!("no database of advisories: {why}"),
        // It is there, and what is in it is not known.
        Err(error) => {
            return Ok(Said { detail: format!("{error:#}"), ..Said::default() });
        }
    };
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    let said = |finding: Finding| Found { id: finding.rule.to_owned(), url: None, finding };
    let advisories = &database.advisories;
    findings.extend(advisories.faults.iter().cloned().map(said));
    let today = today()?;
    findings.extend(stale(&database, options.strict, today).map(said));
    notes.push(count(advisories.all.len(), "advisory").replace("advisorys", "advisories"));
    if let Some(day) = database.as_of {
        notes.push(format!("of {day}"));
    }
    let mut yanked = BTreeSet::new();
    if !rules.silent.contains(&Kind::Yanked) {
        match look_for_yanked(lock, project, options, cache) {
            Ok((found, 0)) => yanked = found,
            Ok((found, unknown)) => {
                yanked = found;
                notes.push(format!("the index does not know {}", count(unknown, "crate")));
            }
            Err(error) => {
                let why =
                    format!("yanked crates were not looked for: {error:#}").replace('\n', " ");
                if options.strict || rules.deny.contains(&Kind::Yanked) {
                    let fix = "run again with the index in reach";
                    findings.push(said(Finding::error(
                        "yanked",
                        Place::file(Path::new(LOCK)),
                        why,
                        fix,
                    )));
                } else {
                    notes.push(why);
                }
            }
        }
    }
    let matches = audit::matches(lock, &advisories.all, &yanked, &rules);
    // It takes a while, and says nothing to those who have no findings.
    let updates = match matches.is_empty() {
        true => Updates::default(),
        false => {
            tools::metadata(project, options.network).map(|it| Updates::of(&it)).unwrap_or_default()
        }
    };
    findings.extend(audit::findings(lock, &matches, &advisories.all, &rules, &updates, today));
    let errors = findings.iter().filter(|it| it.finding.severity == Severity::Error).count();
    if !findings.is_empty() {
        let warnings = findings.len() - errors;
        notes.insert(0, format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
    }
    let detail = format!("{}, {}", count(lock.packages.len(), "crate"), notes.join(", "));
    Ok(Said { passed: errors == 0, detail, findings, lines: String::new() })
}

fn look_for_yanked(
    lock: &Lock,
    project: &Project,
    options: &Options,
    cache: &Cache,
) -> Result<(BTreeSet<usize>, usize)> {
    anyhow::ensure!(options.network == Network::Online, "--offline");
    let text = files::read_foreign(&lock.path, limits::LOCK)?;
    let yanked = yanked::look(lock, &text, project, cache)?;
    Ok((yanked.yanked, yanked.unknown))
}

/// What is to be said of a database's age.
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
