//! What a release made and left out, as it is told.

use std::time::Duration;

use serde::Serialize;

use crate::artifacts::{Artifact, Image, Provenance, Sbom};
use crate::files::Dist;
use crate::plan::{LeftOut, Mode, Part, Plan};
use crate::term::{self, Table, Term};

/// What a release made and left out.
#[derive(Debug, Serialize)]
pub struct Outcome<'lock> {
    /// What the whole is called, above its summary.
    #[serde(skip)]
    pub(super) title: &'static str,
    pub version: String,
    /// In dist/ sorted by name.
    pub artifacts: Vec<Artifact>,
    pub left_out: Vec<LeftOut>,
    /// How long cargo took, which is not this program's time.
    #[serde(skip)]
    pub cargo: Duration,
    /// Where the artifacts are; `None` for images that nothing was done with yet.
    #[serde(skip)]
    pub(super) dist: Option<&'lock Dist>,
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

impl Outcome<'_> {
    /// The images among the artifacts, in the plan's order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.artifacts.iter().filter_map(|artifact| match artifact {
            Artifact::Image(image) => Some(&**image),
            _ => None,
        })
    }

    /// The SBOMs among the artifacts.
    pub fn sboms(&self) -> impl Iterator<Item = &Sbom> {
        self.artifacts.iter().filter_map(|artifact| match artifact {
            Artifact::Sbom(sbom) => Some(sbom),
            _ => None,
        })
    }

    /// The statements among the artifacts.
    pub fn statements(&self) -> impl Iterator<Item = &Provenance> {
        self.artifacts.iter().filter_map(|artifact| match artifact {
            Artifact::Provenance(statement) => Some(statement),
            _ => None,
        })
    }

    /// What was made, with so many digits of each digest: the archives, then the images.
    fn made(&self, digits: usize) -> Table {
        let in_dist = self.dist.is_some();
        let what = if in_dist { "artifact" } else { "image" };
        let mut made = Table::new(&[what, "target", "size", "sha256", "time"]);
        let mut shown: Vec<&Artifact> = self.artifacts.iter().collect();
        shown.sort_by_key(|artifact| matches!(artifact, Artifact::Image(_)));
        for artifact in shown {
            let Some((target, time)) = artifact.summary() else { continue };
            let name = if in_dist { artifact.path() } else { artifact.name().to_owned() };
            let digest = artifact.digest().hex()[..digits].to_owned();
            let time = format!("{:.2}s", time.as_secs_f64());
            made.row([name, target, term::size(artifact.size()), digest, time]);
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
        if left_out.is_empty() { made } else { made + &left_out.markdown("Left out") }
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
