//! Whether a release is what its recorded sources give.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::compare::{self, Comparison};
use super::rebuild::{Workshop, rebuild};
use super::record::{self, Record};
use crate::finding::{Finding, Place};

/// A release that was made again and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rebuild {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub commit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    pub version: String,
    /// Where the tag is today, if that is another commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Makes the release in a folder again, and compares both.
pub fn rebuilt(dir: &Path, workshop: &Workshop<'_>) -> Result<Rebuild> {
    let Record { of: recorded, images } = record::read(dir)?;
    let made = rebuild(&recorded, workshop)?;
    let comparison = compare::folders(dir, &made.dist, &images)?;
    Ok(Rebuild {
        moved: made.moved.as_ref().map(|moved| moved.to.clone()),
        source: recorded.source,
        commit: recorded.commit,
        tag: recorded.tag,
        version: recorded.version,
        comparison,
    })
}

impl Rebuild {
    /// What differs, in one finding.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if let (Some(tag), Some(to)) = (&self.tag, &self.moved) {
            let why = format!(
                "it is at the commit {to} today, and the release was made of {}",
                self.commit
            );
            let fix = "ask its makers why the tag was moved";
            found.push(Finding::error("moved", Place::item(format!("the tag {tag}")), why, fix));
        }
        let count = self.comparison.count();
        if count > 0 {
            let places =
                if count == 1 { "one place".to_owned() } else { format!("{count} places") };
            let why = format!("the release differs from what its commit gives, in {places}");
            let fix = "look at the reasons above; if none explains it, do not use the release";
            found.push(Finding::error("rebuilt", Place::item(&self.version), why, fix));
        }
        found
    }
}
