//! The findings in one manifest.

use std::fmt;
use std::path::Path;

use super::platform::At;
use crate::finding::{Finding, Place, Severity};

/// What is wrong, without its place and severity, which the reporter adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable name in kebab case.
    pub rule: &'static str,
    pub why: String,
    pub fix: String,
}

impl Problem {
    pub fn new(rule: &'static str, why: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem { rule, why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Problem {}

/// A manifest's file, and its findings so far.
pub struct Report<'a> {
    pub file: &'a Path,
    pub findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub fn new(file: &'a Path) -> Report<'a> {
        Report { file, findings: Vec::new() }
    }

    /// Reports what krew or its index refuses.
    pub fn error(
        &mut self,
        rule: &'static str,
        at: At,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problem(Severity::Error, at, Problem::new(rule, why, fix));
    }

    /// Reports what they ignore or advise against.
    pub fn warning(
        &mut self,
        rule: &'static str,
        at: At,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problem(Severity::Warning, at, Problem::new(rule, why, fix));
    }

    /// Reports a problem at a place.
    pub fn problem(&mut self, severity: Severity, at: At, problem: Problem) {
        let Problem { rule, why, fix } = problem;
        let place = Place::at(self.file, at.0, at.1);
        self.findings.push(Finding { rule, severity, place, why, fix });
    }

    /// Whether `check` reports an error.
    pub fn is_broken_by(&mut self, check: impl FnOnce(&mut Self)) -> bool {
        let before = self.findings.len();
        check(self);
        self.findings[before..].iter().any(|finding| finding.severity == Severity::Error)
    }
}
