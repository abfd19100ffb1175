//! What a release made and left out, as it is told.

use std::time::Duration;

use serde::Serialize;

use crate::archive::Archive;
use crate::artifacts::Artifact;
use crate::oci::Built;
use crate::plan::{LeftOut, Mode, Part, Plan};
use crate::term::{self, Table, Term};

/// What a release made and left out.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What the whole is called, above its summary.
    #[serde(skip)]
    pub(super) title: &'static str,
    pub version: String,
    pub artifacts: Vec<Artifact>,
    pub left_out: Vec<LeftOut>,
    #[serde(skip)]
    pub images: Vec<Built>,
    /// How long cargo took, which is not this program's time.
    #[serde(skip)]
    pub cargo: Duration,
    #[serde(skip)]
    pub(super) rows: Vec<Row>,
}

/// One line of the summary.
#[derive(Debug)]
pub struct Row {
    /// The path in dist/; the image's name, where it was not put there.
    pub name: String,
    pub target: String,
    pub size: u64,
    pub digest: String,
    pub time: Duration,
}

/// What is made of a plan, in a word.
pub fn title(plan: &Plan) -> &'static str {
    match (plan.part, plan.mode) {
        (Part::Archives, _) => "Archives",
        (Part::Images, _) => "Images",
        (_, Mode::Release) => "Release",
        _ => "Snapshot",
    }
}

impl Row {
    pub fn of(archive: &Archive, time: Duration) -> Row {
        let plan = archive.plan();
        let (name, target) = (plan.name.clone(), plan.target.to_string());
        Row { name, target, size: archive.size(), digest: archive.digest().hex(), time }
    }
}

impl Outcome {
    /// What was made, with so many digits of each digest.
    fn made(&self, digits: usize) -> Table {
        let what = if self.artifacts.is_empty() { "image" } else { "artifact" };
        let mut made = Table::new(&[what, "target", "size", "sha256", "time"]);
        for row in &self.rows {
            let digest = row.digest[..digits].to_owned();
            let time = format!("{:.2}s", row.time.as_secs_f64());
            made.row([row.name.clone(), row.target.clone(), term::size(row.size), digest, time]);
        }
        made
    }

    /// The summary for people.
    pub fn show(&self, term: &Term) {
        let tables = [self.made(12), left_out_table(&self.left_out)];
        tables.iter().filter(|table| !table.is_empty()).for_each(|table| term.table(table));
    }

    /// The summary for a job's page.
    pub fn markdown(&self) -> String {
        let left_out = left_out_table(&self.left_out);
        let made = self.made(64).markdown(&format!("{} {}", self.title, self.version));
        let left_out =
            if left_out.is_empty() { String::new() } else { left_out.markdown("Left out") };
        made + &left_out
    }
}

/// What is not made, as a table.
pub fn left_out_table(left_out: &[LeftOut]) -> Table {
    let mut table = Table::new(&["left out", "target", "why", "fix"]);
    for left in left_out {
        let target = left.target.as_ref().map_or("all".to_owned(), ToString::to_string);
        table.row([left.what.clone(), target, left.why.clone(), left.fix.clone()]);
    }
    table
}
