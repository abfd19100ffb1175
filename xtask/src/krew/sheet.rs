//! What is found in one manifest.

use std::path::Path;

use super::platform::At;
use super::play::Fault;
use crate::finding::{Finding, Place, Severity};

/// A manifest's file, and what is found in it so far.
pub struct Sheet<'a> {
    pub file: &'a Path,
    pub findings: Vec<Finding>,
}

impl<'a> Sheet<'a> {
    pub fn new(file: &'a Path) -> Sheet<'a> {
        Sheet { file, findings: Vec::new() }
    }

    /// What krew or its index refuses.
    pub fn error(
        &mut self,
        rule: &'static str,
        at: At,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.findings.push(Finding::error(rule, Place::at(self.file, at.0, at.1), why, fix));
    }

    /// What they pass over, or advise against.
    pub fn warning(
        &mut self,
        rule: &'static str,
        at: At,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.findings.push(Finding::warning(rule, Place::at(self.file, at.0, at.1), why, fix));
    }

    pub fn fault(&mut self, severity: Severity, at: At, fault: Fault) {
        let Fault { rule, why, fix } = fault;
        let place = Place::at(self.file, at.0, at.1);
        self.findings.push(Finding { rule, severity, place, why, fix });
    }

    /// Whether an error is found by what `check` looks at.
    pub fn is_broken_by(&mut self, check: impl FnOnce(&mut Self)) -> bool {
        let before = self.findings.len();
        check(self);
        self.findings[before..].iter().any(|finding| finding.severity == Severity::Error)
    }
}
