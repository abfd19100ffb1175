//! Where two releases of the same sources differ: in which file, and there in which entry, section
//! or field, with the likely reason.
//!
//! Both sides are foreign input. What cannot be read is a difference too, never a pass.

use serde::Serialize;

use crate::term::{Table, tame};

mod content;
mod entries;
mod folders;
mod image;
mod json;
mod program;
mod raw;
mod reason;
mod sections;
mod symbols;

#[cfg(any(fuzzing, test))]
pub use content::compare as contents;
pub use folders::folders;

/// How many differences of one file are listed, and how many of all files.
const IN_ONE: usize = 40;
const IN_ALL: usize = 400;
/// In characters: of a value, a name or a text in a difference.
const LONGEST: usize = 160;

/// The reason where none is known.
const UNKNOWN: &str = "unknown";

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The file, and what in it: `app.tar.gz: entry app: section .text`.
    pub place: String,
    pub what: String,
    /// The likely reason.
    pub reason: String,
}

/// How a file or an image compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "result")]
pub enum Outcome {
    Equal,
    Different,
    /// Nothing of it was there to compare.
    Skipped {
        why: String,
    },
}

/// A file or an image that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub name: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// All that was compared, and how it differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub compared: Vec<Compared>,
    /// Sorted by place.
    pub differences: Vec<Difference>,
    /// How many more there are than are listed.
    pub more: usize,
}

/// The differences of one file or image.
#[derive(Debug, Default)]
pub struct Found {
    differences: Vec<Difference>,
    more: usize,
}

impl Found {
    /// Adds a difference. Names and values are of others, and are made harmless here.
    fn add(&mut self, place: &str, what: impl AsRef<str>, reason: impl AsRef<str>) {
        if self.differences.len() >= IN_ONE {
            self.more += 1;
            return;
        }
        self.differences.push(Difference {
            place: tame(place),
            what: tame(what.as_ref()),
            reason: tame(reason.as_ref()),
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.differences.len() + self.more
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are listed.
    #[cfg(any(fuzzing, test))]
    pub fn listed(&self) -> &[Difference] {
        &self.differences
    }
}

impl Comparison {
    fn add(&mut self, name: &str, found: Found) {
        let outcome = if found.is_empty() { Outcome::Equal } else { Outcome::Different };
        self.compared.push(Compared { name: tame(name), outcome });
        self.differences.extend(found.differences);
        self.more += found.more;
    }

    fn skip(&mut self, name: &str, why: &str) {
        let outcome = Outcome::Skipped { why: why.to_owned() };
        self.compared.push(Compared { name: tame(name), outcome });
    }

    fn sorted(mut self) -> Comparison {
        self.compared.sort_by(|a, b| a.name.cmp(&b.name));
        self.differences.sort();
        self.more += self.differences.len().saturating_sub(IN_ALL);
        self.differences.truncate(IN_ALL);
        self
    }

    /// How many differences there are.
    pub fn count(&self) -> usize {
        self.differences.len() + self.more
    }

    /// What was compared.
    pub fn overview(&self) -> Table {
        let mut table = Table::new(&["rebuilt", "of", "why"]);
        for Compared { name, outcome } in &self.compared {
            let (word, why) = match outcome {
                Outcome::Equal => ("equal", ""),
                Outcome::Different => ("DIFFERS", ""),
                Outcome::Skipped { why } => ("not compared", &**why),
            };
            table.row([word.to_owned(), name.clone(), why.to_owned()]);
        }
        table
    }

    /// The differences.
    pub fn table(&self) -> Table {
        let mut table = Table::new(&["place", "difference", "likely reason"]);
        for Difference { place, what, reason } in &self.differences {
            table.row([place.clone(), what.clone(), reason.clone()]);
        }
        if self.more > 0 {
            let more = format!("{} more differences are not listed", self.more);
            table.row(["...".to_owned(), more, String::new()]);
        }
        table
    }
}

/// A text, cut where it is long.
fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

/// Bytes as a text, cut where it is long.
fn shown(bytes: &[u8]) -> String {
    cut(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LONGEST)]))
}

#[cfg(test)]
mod tests;
