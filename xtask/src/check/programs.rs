//! Audits programs by the lists of crates in them, as `check` does a lock file.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use jiff::civil::Date;
use serde::Serialize;

use super::database::{self, Opening, Reach};
use super::inside::{self, Program};
use super::lock::Lock;
use super::rules::{self, Rules};
use super::tools::count;
use super::updates::Updates;
use super::{CheckFinding, audit, stale};
use crate::config::CheckConfig;
use crate::files::{self, Boundary};
use crate::finding::{self, Finding, Place, Severity};
use crate::oci::Root;
use crate::stamp::{Kind, List};
use crate::term::{Table, tame};

/// What programs are compared with.
pub struct Audit {
    database: database::Database,
    rules: Rules,
    today: Date,
}

/// A program and what was found in its list.
#[derive(Debug, Serialize)]
pub struct Audited {
    /// As it was named.
    pub input: String,
    /// Its path in an archive or an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The package that it is of, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    pub result: Outcome,
    pub detail: String,
    pub findings: Vec<CheckFinding>,
}

/// How an audit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Passed,
    Failed,
    /// Without a list nobody knows what is in it.
    NoList,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NoList => "no list",
        }
    }
}

impl Audit {
    /// Opens the database: the named one, or else that of the settings. A database that is out of
    /// reach is an error, as nothing would be found.
    pub fn open(
        config: &CheckConfig,
        boundary: &Boundary,
        named: Option<&str>,
        reach: &Reach<'_>,
    ) -> Result<Audit> {
        let rules = rules::rules(config, reach.root, boundary)?;
        let source = named.or(rules.database.as_deref()).unwrap_or(&config.database);
        match database::open(source, reach)? {
            Opening::Opened(database) => {
                Ok(Audit { database: *database, rules, today: files::today()? })
            }
            Opening::OutOfReach(why) => bail!("no advisory database: {why}"),
        }
    }

    /// What is wrong with the database itself: advisories that cannot be read, and its age.
    pub fn findings(&self) -> Vec<Finding> {
        let stale = stale(&self.database, false, self.today);
        self.database.advisories.faults.iter().cloned().chain(stale).collect()
    }

    /// Audits what is in a file: the program, or those of an archive.
    pub fn file(&self, path: &Path, input: &str) -> Result<Vec<Audited>> {
        Ok(self.programs(inside::of_file(path)?, input))
    }

    /// Audits the programs of an image, for all its platforms.
    pub fn image(&self, root: &Root, input: &str) -> Result<Vec<Audited>> {
        Ok(self.programs(inside::of_image(root)?, input))
    }

    fn programs(&self, programs: Vec<Program>, input: &str) -> Vec<Audited> {
        let mut audited = Vec::new();
        let mut others = 0;
        let all = programs.len();
        for program in programs {
            match &program.lists {
                Ok(lists) if lists.iter().all(Option::is_none) && !program.needs_list => {
                    others += 1;
                }
                Ok(lists) => {
                    audited
                        .extend(lists.iter().map(|list| self.one(&program, list.as_ref(), input)));
                }
                Err(why) => audited.push(unreadable(&program, input, why.clone())),
            }
        }
        if audited.is_empty() && all > 0 {
            let nothing =
                Program { path: None, platform: None, lists: Ok(vec![]), needs_list: true };
            let mut none = self.one(&nothing, None, input);
            none.detail = format!("none of its {} has a list", count(all, "program"));
            audited.push(none);
        } else if let Some(first) = audited.first_mut().filter(|_| others > 0) {
            let more = count(others, "other program");
            first.detail = format!("{}, {more} of no Rust", first.detail);
        }
        audited
    }

    fn one(&self, program: &Program, list: Option<&List>, input: &str) -> Audited {
        let Some(list) = list else {
            let why = "it has no list of its crates (.dep-v0), so what is in it is unknown";
            let fix = "build it with dockless or cargo auditable, and do not strip it after that";
            let none = bad(program, input, "no-list", why.to_owned(), fix);
            let detail = "what is in it is unknown".to_owned();
            return Audited { result: Outcome::NoList, detail, ..none };
        };
        let lock = match Lock::of_program(list, place(program, input)) {
            Ok(lock) => lock,
            Err(error) => return unreadable(program, input, format!("{error:#}")),
        };
        let advisories = &self.database.advisories.all;
        let mut matches = audit::matches(&lock, advisories, &BTreeSet::new(), &self.rules);
        let built = |at: usize| list.packages[at].kind == Kind::Build;
        // What ran only while the program was built comes last.
        matches.sort_by_key(|one| built(one.package));
        let updates = Updates::default();
        let mut findings = audit::concerned(&lock, &matches, &self.rules, &updates, self.today);
        for finding in &mut findings {
            finding.finding.why = tame(&finding.finding.why);
        }
        let errors = findings.iter().filter(|it| it.finding.severity == Severity::Error).count();
        let mut notes = vec![count(list.packages.len(), "crate")];
        if !findings.is_empty() {
            let warnings = findings.len() - errors;
            notes.push(format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
        }
        let root = list.root().map(|root| tame(&format!("{} {}", root.name, root.version)));
        Audited {
            package: root,
            result: if errors == 0 { Outcome::Passed } else { Outcome::Failed },
            detail: notes.join(", "),
            findings,
            ..named(program, input)
        }
    }
}

impl Audited {
    /// What was named could not be read.
    pub fn failed(input: &str, error: &anyhow::Error) -> Audited {
        let nothing = Program { path: None, platform: None, lists: Ok(vec![]), needs_list: true };
        let (why, help) = finding::said(error);
        let fix = help.unwrap_or_else(|| "name a program, an archive or an image".to_owned());
        bad(&nothing, input, "audit-unreadable", why, &fix)
    }
}

fn named(program: &Program, input: &str) -> Audited {
    Audited {
        input: input.to_owned(),
        path: program.path.as_deref().map(tame),
        platform: program.platform.clone(),
        package: None,
        result: Outcome::Failed,
        detail: String::new(),
        findings: Vec::new(),
    }
}

fn place(program: &Program, input: &str) -> Place {
    let parts = [&program.platform, &program.path];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| tame(part)).collect();
    if parts.is_empty() {
        return Place::item(input);
    }
    Place::item(format!("{input}: {}", parts.join(" ")))
}

/// A program whose list is not what such a list must be.
fn unreadable(program: &Program, input: &str, why: String) -> Audited {
    let fix = "get it again from where it comes, and do not use this one";
    bad(program, input, "list-unreadable", why, fix)
}

/// A program that cannot be audited.
fn bad(program: &Program, input: &str, rule: &'static str, why: String, fix: &str) -> Audited {
    let why = tame(&why);
    let finding = Finding::error(rule, place(program, input), why.clone(), fix);
    let finding = CheckFinding { id: rule.to_owned(), url: None, finding };
    Audited { detail: why, findings: vec![finding], ..named(program, input) }
}

/// The programs as a table.
pub fn audited_table(all: &[Audited]) -> Table {
    let mut table = Table::new(&["program", "package", "result", "detail"]);
    for audited in all {
        let parts = [Some(&audited.input), audited.platform.as_ref(), audited.path.as_ref()];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        let package = audited.package.clone().unwrap_or_default();
        table.row([parts.join(" "), package, audited.result.word().into(), audited.detail.clone()]);
    }
    table
}
