//! What a release made and left out, as it is told.

use std::path::PathBuf;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::artifacts::{Artifact, Image, InDist, Provenance, Sbom};
use crate::files::Dist;
use crate::plan::{LeftOut, Mode, Part, Plan};
use crate::term::{self, Table, Term};

/// What a release made and left out.
#[derive(Debug)]
pub struct Outcome<'lock> {
    /// What the whole is called, above its summary.
    pub(super) title: &'static str,
    pub version: String,
    /// In dist/ sorted by name.
    pub artifacts: Vec<Artifact>,
    pub left_out: Vec<LeftOut>,
    /// How long cargo took, which is not this program's time.
    pub cargo: Duration,
    /// The files that cargo built the programs from.
    pub inputs: Vec<PathBuf>,
    /// Where the artifacts are; `None` for images that nothing was done with yet.
    pub(super) dist: Option<&'lock Dist>,
    /// The name of dist/.
    pub(super) dist_name: String,
}

/// As `--json` prints it.
impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = |artifact| InDist { artifact, dist: &self.dist_name };
        let artifacts: Vec<InDist<'_>> = self.artifacts.iter().map(listed).collect();
        let mut outcome = serializer.serialize_struct("Outcome", 3)?;
        outcome.serialize_field("version", &self.version)?;
        outcome.serialize_field("artifacts", &artifacts)?;
        outcome.serialize_field("left_out", &self.left_out)?;
        outcome.end()
    }
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

    /// What was made, with so many digits of each digest: the archives, whose names hold their
    /// targets, and the images.
    fn made(&self, digits: usize) -> [Table; 2] {
        let mut archives = Table::new(&["artifact", "size", "sha256", "time"]);
        let mut images = Table::new(&["image", "platforms", "size", "digest", "time"]);
        for artifact in &self.artifacts {
            let name =
                if self.dist.is_some() { artifact.path() } else { artifact.name().to_owned() };
            let size = term::size(artifact.size());
            let digest = artifact.digest().hex()[..digits].to_owned();
            let time = |time: Duration| format!("{:.2}s", time.as_secs_f64());
            match artifact {
                Artifact::Archive(it) => archives.row([name, size, digest, time(it.time)]),
                Artifact::Image(it) => {
                    images.row([name, it.plan.platform_names(), size, digest, time(it.time)]);
                }
                _ => {}
            }
        }
        [archives, images]
    }

    /// The summary for people.
    pub fn show(&self, term: &Term) {
        let tables = self.made(12).into_iter().chain([left_out_table(&self.left_out)]);
        tables.filter(|table| !table.is_empty()).for_each(|table| term.table(&table));
    }

    /// The summary for a job's page.
    pub fn markdown(&self) -> String {
        let mut page = format!("### {} {}\n\n", self.title, self.version);
        let made = self.made(64);
        for table in made.iter().filter(|table| !table.is_empty()) {
            page += &table.rows_in_markdown();
        }
        let left_out = left_out_table(&self.left_out);
        if left_out.is_empty() { page } else { page + &left_out.markdown("Left out") }
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
