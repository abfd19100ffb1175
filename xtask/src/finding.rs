//! Findings: problems of which a run reports all at once, as values that `main` prints.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is printed, and the work goes on.
    Warning,
    /// It stops the work.
    Error,
}

/// The place of a finding: a file, and an item in it, such as a table and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: Option<PathBuf>,
    pub item: Option<String>,
    /// Line and column, both from 1, if they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<(usize, usize)>,
}

impl Place {
    pub fn file(file: &Path) -> Place {
        Place { file: Some(file.to_owned()), item: None, at: None }
    }

    pub fn item(item: impl Into<String>) -> Place {
        Place { file: None, item: Some(item.into()), at: None }
    }

    pub fn within(file: &Path, item: impl Into<String>) -> Place {
        Place { file: Some(file.to_owned()), item: Some(item.into()), at: None }
    }

    /// A line and a column, both from 1. The column counts characters.
    pub fn at(file: &Path, line: usize, column: usize) -> Place {
        Place { file: Some(file.to_owned()), item: None, at: Some((line, column)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            self.at.iter().try_for_each(|(line, column)| write!(f, ":{line}:{column}"))?;
        }
        match (&self.file, &self.item) {
            (Some(_), Some(item)) => write!(f, ": {item}"),
            (None, Some(item)) => f.write_str(item),
            (_, None) => Ok(()),
        }
    }
}

/// A problem: its rule, place, reason and fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name in kebab case, for programs and for searching.
    pub rule: &'static str,
    pub severity: Severity,
    pub place: Place,
    pub why: String,
    pub fix: String,
}

impl Finding {
    pub fn error(
        rule: &'static str,
        place: Place,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { rule, severity: Severity::Error, place, why: why.into(), fix: fix.into() }
    }

    /// The finding for an error that stopped a part of the work.
    pub fn of(rule: &'static str, place: Place, error: &anyhow::Error) -> Finding {
        let (why, help) = said(error);
        Finding::error(rule, place, why, help.unwrap_or_else(|| "run again later".to_owned()))
    }

    pub fn warning(
        rule: &'static str,
        place: Place,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(rule, place, why, fix) }
    }
}

/// `place: why`, without the fix.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.to_string();
        if place.is_empty() { f.write_str(&self.why) } else { write!(f, "{place}: {}", self.why) }
    }
}

/// A fix that names the candidate most similar to `typed`; `otherwise` where none is similar.
pub fn suggest<'a>(
    typed: &str,
    candidates: impl Iterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate));
    // The threshold of clap's suggestions.
    let close = scored.filter(|(score, _)| *score > 0.7);
    let nearest = close.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(|| otherwise.to_owned(), |(_, near)| format!("did you mean `{near}`?"))
}

/// The errors among findings, and the warnings, each in their order.
pub fn errors_and_warnings(found: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
    found.into_iter().partition(|finding| finding.severity == Severity::Error)
}

/// Findings that stopped the work, as an error that `main` prints one by one.
#[derive(Debug)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// The findings to print. The work stopped, so if all are warnings they become errors, and if
    /// there are none, that is one.
    pub fn said(&self) -> Vec<Finding> {
        let mut said = self.0.clone();
        if said.is_empty() {
            let why = "the work stopped, and nothing says why";
            said.push(Finding::error("unknown", Place::default(), why, "run it again with -vv"));
        }
        if said.iter().all(|finding| finding.severity == Severity::Warning) {
            said.iter_mut().for_each(|finding| finding.severity = Severity::Error);
        }
        said
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<String> = self.0.iter().map(Finding::to_string).collect();
        f.write_str(&errors.join("; "))
    }
}

impl std::error::Error for Findings {}

/// What the user can do about an error. It is attached as context anywhere in the chain, and
/// `main` prints it as the last line.
#[derive(Debug)]
pub struct Help(pub String);

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error's text, the chain joined by `: `, and its [`Help`].
pub fn said(error: &anyhow::Error) -> (String, Option<String>) {
    let help = error.downcast_ref::<Help>().map(Help::to_string);
    let chain = error.chain().map(ToString::to_string);
    let said: Vec<String> = chain.filter(|text| Some(text) != help.as_ref()).collect();
    (said.join(": "), help)
}

/// An error with the text `why` and the help `fix`.
pub fn failure(why: impl Into<String>, fix: impl Into<String>) -> anyhow::Error {
    anyhow::Error::msg(why.into()).context(Help(fix.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever stops the work, something says `error`.
    #[test]
    fn findings_that_stopped_the_work_are_errors() {
        let error = |why: &str| Finding::error("rule", Place::default(), why, "fix");
        let warning = |why: &str| Finding::warning("rule", Place::default(), why, "fix");
        let said = |found: Vec<Finding>| Findings(found).said();
        assert_eq!(said(vec![warning("a"), warning("b")]), [error("a"), error("b")]);
        assert_eq!(said(vec![error("a"), warning("b")]), [error("a"), warning("b")]);
        let [none] = &said(Vec::new())[..] else { panic!("one is said of none") };
        assert_eq!(none.severity, Severity::Error);
    }
}
