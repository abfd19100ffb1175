//! Looks at all that builds and releases depend on, and says of each whether it will do.

use serde::Serialize;

use crate::finding::{Finding, Place, Severity};
use crate::term::{Table, tame};

mod fix;
mod machine;
mod programs;
mod project;
mod release;

pub use machine::{Here, clock, lists, look as machine};
pub use programs::look as programs;
pub use project::{look as project, not_looked_at, of_findings, targets};
pub use release::{Services, look as release};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub verdict: Verdict,
    /// What was found, or why it was not looked at.
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The command in the fix, to be pasted into a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Ok,
    NotLookedAt,
    Warning,
    /// The configured release could not run here.
    Error,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::NotLookedAt => "not looked at",
            Verdict::Warning => "warning",
            Verdict::Error => "error",
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
pub struct Report {
    /// The worst of the rows.
    verdict: Verdict,
    rows: Vec<Row>,
}

impl Row {
    pub fn ok(name: impl Into<String>, detail: impl Into<String>) -> Row {
        Row::new(name, Verdict::Ok, detail, None)
    }

    pub fn not_looked_at(name: impl Into<String>, why: impl Into<String>) -> Row {
        Row::new(name, Verdict::NotLookedAt, why, None)
    }

    pub fn warning(name: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Row {
        Row::new(name, Verdict::Warning, why, Some(fix.into()))
    }

    pub fn error(name: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Row {
        Row::new(name, Verdict::Error, why, Some(fix.into()))
    }

    /// What a finding says of a thing.
    pub fn of(name: impl Into<String>, finding: &Finding) -> Row {
        let verdict = match finding.severity {
            Severity::Warning => Verdict::Warning,
            Severity::Error => Verdict::Error,
        };
        Row::new(name, verdict, finding.to_string(), Some(finding.fix.clone()))
    }

    fn new(
        name: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
        fix: Option<String>,
    ) -> Row {
        let fix = fix.filter(|fix| !fix.is_empty());
        let command = fix.as_deref().and_then(fix::command);
        // Programs and servers are quoted, each in one line.
        let (name, detail) = (tame(&name.into()), tame(&detail.into()));
        Row { name, version: None, verdict, detail, fix, command }
    }

    fn version(self, version: impl Into<String>) -> Row {
        Row { version: Some(version.into()), ..self }
    }

    /// The finding that the row is, where something is wrong.
    pub fn finding(&self) -> Option<Finding> {
        let severity = match self.verdict {
            Verdict::Ok | Verdict::NotLookedAt => return None,
            Verdict::Warning => Severity::Warning,
            Verdict::Error => Severity::Error,
        };
        let (why, fix) = (self.detail.clone(), self.fix.clone().unwrap_or_default());
        Some(Finding { rule: "doctor", severity, place: Place::item(&self.name), why, fix })
    }
}

impl Report {
    pub fn new(rows: Vec<Row>) -> Report {
        let verdict = rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Ok);
        Report { verdict, rows }
    }

    pub fn fails(&self) -> bool {
        self.verdict == Verdict::Error
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.rows.iter().filter_map(Row::finding).collect()
    }

    /// The rows. What is wrong is said in full by their findings.
    pub fn table(&self) -> Table {
        let mut table = Table::new(&["what", "version", "verdict", "detail"]);
        for row in &self.rows {
            let version = row.version.clone().unwrap_or_default();
            let detail = match row.verdict {
                Verdict::Ok | Verdict::NotLookedAt => row.detail.clone(),
                Verdict::Warning | Verdict::Error => "see below".to_owned(),
            };
            table.row([row.name.clone(), version, row.verdict.word().into(), detail]);
        }
        table
    }
}
