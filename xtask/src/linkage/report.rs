//! The findings about one file.

use super::Suspect;
use crate::finding::{Finding, Place};
use crate::target::Target;

/// How many shared libraries get a finding of their own.
pub(super) const MOST_LIBRARIES: usize = 64;

/// The findings about a file so far, and what they refer to.
pub(super) struct Report<'a> {
    pub target: &'a Target,
    pub place: Place,
    pub suspects: &'a [Suspect<'a>],
    pub findings: Vec<Finding>,
}

impl Report<'_> {
    /// Reports that the file is damaged.
    pub fn malformed(&mut self, error: &anyhow::Error) {
        let fix = "build it again; if that doesn't help, leave out what changes it after the linker: \
                   strip, objcopy, a packer";
        self.error("linkage-malformed", format!("it is damaged: {error:#}"), fix);
    }

    /// Reports shared libraries that are wrong, each in a finding of its own unless there are too
    /// many. `explain` returns why one is wrong, and the fix.
    pub fn libraries<'l>(
        &mut self,
        wrong: impl Iterator<Item = &'l String>,
        explain: impl Fn(&Self, &str) -> (String, String),
    ) {
        let mut more = 0;
        let mut last_fix = String::new();
        for (number, library) in wrong.enumerate() {
            if number >= MOST_LIBRARIES {
                more += 1;
                continue;
            }
            let (why, fix) = explain(self, library);
            last_fix.clone_from(&fix);
            self.error("linkage-needed", why, fix);
        }
        if more > 0 {
            let why = format!("it needs {more} more shared libraries");
            self.error("linkage-needed", why, last_fix);
        }
    }

    /// Where cargo takes the target's linker and flags from.
    pub fn linker(&self) -> String {
        let triple = self.target.triple();
        let name = self.target.env_name();
        format!("[target.{triple}] of .cargo/config.toml, CARGO_TARGET_{name}_LINKER or RUSTFLAGS")
    }

    /// Reports a program for another architecture than the target's.
    pub fn other_machine(&mut self, found: &str, wanted: &str) {
        let why = format!("it is for {found}, but {} needs {wanted}", self.target);
        let fix = format!("look for a linker of another architecture in {}", self.linker());
        self.error("linkage-machine", why, fix);
    }

    pub fn error(&mut self, rule: &'static str, why: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::error(rule, self.place.clone(), why, fix));
    }

    pub fn warning(&mut self, rule: &'static str, why: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::warning(rule, self.place.clone(), why, fix));
    }
}

/// Sorted, without duplicates: the order in which libraries are loaded does not matter.
pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}
