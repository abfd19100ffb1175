//! What GitHub's workflows attest of a release, as the matrices of their jobs.

use serde::Serialize;

use crate::artifacts::{Artifact, Sbom};
use crate::plan::SbomOf;
use crate::release::{Outcome, Public};
use crate::term::{self, Table};

/// The largest SBOM that `actions/attest` takes, in bytes.
const MAX_SBOM: u64 = 16 << 20;

/// How many jobs GitHub makes of one matrix.
const MAX_JOBS: usize = 256;

/// A file or an image, and its SBOM in dist/.
#[derive(Debug, Serialize)]
pub struct Subject {
    pub name: String,
    /// `sha256:…`
    pub digest: String,
    /// The name of the file; empty for an image whose SBOM is not attested.
    pub sbom: String,
    pub sbom_sha256: String,
}

/// What is attested.
pub struct Attested {
    /// A program's SBOM and the archive that has the program; one for each SBOM.
    pub files: Vec<Subject>,
    /// The images that were pushed; one for each repository.
    pub images: Vec<Subject>,
    /// The SBOMs that are not attested, and why.
    pub skipped: Table,
}

/// Finds the subjects of a release and their SBOMs.
pub fn of(outcome: &Outcome<'_>, public: Option<&Public>) -> Attested {
    let mut skipped = Table::new(&["not attested", "why"]);
    let mut fits = |sbom: &Sbom| {
        let small = sbom.size <= MAX_SBOM;
        if !small {
            let limit = term::size(MAX_SBOM);
            let why = format!("it has {}, and GitHub takes {limit}", term::size(sbom.size));
            skipped.row([sbom.plan.name.clone(), why]);
        }
        small
    };
    let fitting: Vec<&Sbom> = outcome.sboms().filter(|sbom| fits(sbom)).collect();
    let mut files: Vec<Subject> = fitting.iter().filter_map(|sbom| file(outcome, sbom)).collect();
    let pushed = public.iter().flat_map(|public| &public.images);
    let mut images: Vec<Subject> = pushed
        .filter_map(|it| it.reference.split_once('@'))
        .map(|(name, digest)| image(outcome, &fitting, name, digest))
        .collect();
    for all in [&mut files, &mut images] {
        for subject in all.drain(MAX_JOBS.min(all.len())..) {
            let why = format!("GitHub makes at most {MAX_JOBS} jobs of a matrix");
            let name = if subject.sbom.is_empty() { subject.name } else { subject.sbom };
            skipped.row([name, why]);
        }
    }
    Attested { files, images, skipped }
}

/// The archive that has the program of an SBOM.
fn file(outcome: &Outcome<'_>, sbom: &Sbom) -> Option<Subject> {
    let SbomOf::Program { target, .. } = &sbom.plan.of else { return None };
    let archive = outcome.artifacts.iter().find(|artifact| match artifact {
        Artifact::Archive(it) => it.plan.package == sbom.plan.package && it.plan.target == *target,
        _ => false,
    })?;
    Some(subject(archive.name(), &archive.digest().to_string(), Some(sbom)))
}

/// An image that was pushed, with the SBOM of all its platforms.
fn image(outcome: &Outcome<'_>, sboms: &[&Sbom], name: &str, digest: &str) -> Subject {
    let image = outcome.images().find(|it| it.root.digest().to_string() == digest);
    let whole = image.and_then(|image| {
        let own = |sbom: &&&Sbom| {
            let one = image.plan.platforms.len() == 1;
            let whole = match sbom.plan.of {
                SbomOf::Index => true,
                SbomOf::Image { .. } => one,
                SbomOf::Program { .. } => false,
            };
            whole && sbom.plan.package == image.plan.package
        };
        sboms.iter().find(own)
    });
    subject(name, digest, whole.copied())
}

fn subject(name: &str, digest: &str, sbom: Option<&Sbom>) -> Subject {
    Subject {
        name: name.to_owned(),
        digest: digest.to_owned(),
        sbom: sbom.map_or_else(String::new, |it| it.plan.name.clone()),
        sbom_sha256: sbom.map_or_else(String::new, |it| it.digest.hex()),
    }
}
