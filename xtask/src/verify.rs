//! Whether files and images are what their makers signed.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::digest::Digest;
use crate::finding::{Finding, Place};
use crate::term::Table;

mod compare;
mod files;
mod folder;
mod image;
mod list;
mod provenance;
mod rebuild;
mod rebuilt;
mod record;

#[cfg(any(fuzzing, test))]
pub use compare::{Found, contents};
pub use files::file;
pub use folder::folder;
pub use image::image;
pub use rebuild::Workshop;
pub use rebuilt::{Rebuild, rebuilt};

/// All that was looked at of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was to be verified.
    pub subject: String,
    /// The fingerprint of the key.
    pub key: Digest,
    pub proofs: Vec<Proof>,
    /// The commits that proved statements name.
    #[serde(skip)]
    commits: BTreeSet<String>,
}

/// One property of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The file or the image.
    pub of: String,
    pub what: What,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What can be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    Checksum,
    Signature,
    /// From what it was made.
    Provenance,
    /// That the tag of a release is still what the release was made of.
    Tag,
    /// The list of what is in it.
    Sbom,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum Verdict {
    Proved {
        by: String,
    },
    Failed {
        why: String,
    },
    /// There is nothing that could prove it.
    Absent {
        why: String,
        /// Whether it should be there.
        #[serde(rename = "expected", serialize_with = "is_expected")]
        need: Need,
    },
}

/// Whether something should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Expected,
    Optional,
}

fn is_expected<S: Serializer>(need: &Need, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*need == Need::Expected)
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Checksum => "checksum",
            What::Signature => "signature",
            What::Provenance => "provenance",
            What::Tag => "tag",
            What::Sbom => "SBOM",
        }
    }
}

impl Verdict {
    /// By whom it was proved, or why it was not.
    fn text(&self) -> (&'static str, &str) {
        match self {
            Verdict::Proved { by } => ("proved", by),
            Verdict::Failed { why } => ("FAILED", why),
            Verdict::Absent { why, need: Need::Expected } => ("MISSING", why),
            Verdict::Absent { why, need: Need::Optional } => ("not there", why),
        }
    }

    fn failed(error: &anyhow::Error) -> Verdict {
        Verdict::Failed { why: said(error) }
    }
}

/// An error with its causes, without its help.
fn said(error: &anyhow::Error) -> String {
    crate::finding::said(error).0
}

impl Report {
    fn new(subject: String, key: Digest) -> Report {
        Report { subject, key, proofs: Vec::new(), commits: BTreeSet::new() }
    }

    /// Compares the commit of a release's tag with those that the statements name.
    pub fn add_tag(&mut self, tag: &str, commit: Option<&str>) {
        let verdict = match commit {
            None => Verdict::Failed { why: "there is no such tag any more".to_owned() },
            Some(_) if self.commits.is_empty() => {
                let why = "nothing says from which commit the release was made".to_owned();
                Verdict::Absent { why, need: Need::Optional }
            }
            Some(commit) => match self.commits.iter().find(|made| *made != commit) {
                Some(made) => {
                    let why = format!("it is {commit}, and the release was made of {made}");
                    Verdict::Failed { why }
                }
                None => Verdict::Proved { by: format!("it is {commit}, as the provenance says") },
            },
        };
        self.add(tag, What::Tag, verdict);
    }

    fn add(&mut self, of: &str, what: What, verdict: Verdict) {
        self.proofs.push(Proof { of: of.to_owned(), what, verdict });
    }

    /// What is not proved and should be.
    pub fn findings(&self) -> Vec<Finding> {
        let unproved = self.proofs.iter().filter_map(|proof| {
            let why = match &proof.verdict {
                Verdict::Failed { why } => format!("its {} fails: {why}", proof.what.name()),
                Verdict::Absent { why, need: Need::Expected } => why.clone(),
                Verdict::Proved { .. } | Verdict::Absent { need: Need::Optional, .. } => {
                    return None;
                }
            };
            let fix = "do not use it before you know why; get it again from its makers";
            Some(Finding::error("unproved", Place::item(&proof.of), why, fix))
        });
        unproved.collect()
    }

    pub fn table(&self) -> Table {
        let mut table = Table::new(&["verdict", "what", "of", "by, or why not"]);
        for Proof { of, what, verdict } in &self.proofs {
            let (word, text) = verdict.text();
            table.row([word.to_owned(), what.name().to_owned(), of.clone(), text.to_owned()]);
        }
        table
    }
}
