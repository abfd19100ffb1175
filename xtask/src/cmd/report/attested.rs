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
    let fitting: Vec<&Sbom> =
        outcome.sboms().filter(|sbom| fits(&sbom.plan.name, sbom.size(), &mut skipped)).collect();
    let mut files: Vec<Subject> = fitting.iter().filter_map(|sbom| file(outcome, sbom)).collect();
    let pushed = public.iter().flat_map(|public| &public.images);
    let mut images: Vec<Subject> = pushed
        .filter_map(|it| it.reference.split_once('@'))
        .map(|(name, digest)| image(outcome, &fitting, name, digest))
        .collect();
    cut(&mut files, &mut skipped);
    cut(&mut images, &mut skipped);
    Attested { files, images, skipped }
}

/// Whether an SBOM is small enough to be attested; lists it otherwise.
fn fits(name: &str, size: u64, skipped: &mut Table) -> bool {
    let fits = size <= MAX_SBOM;
    if !fits {
        let (size, limit) = (term::size(size), term::size(MAX_SBOM));
        skipped.row([name.to_owned(), format!("it has {size}, and GitHub takes {limit}")]);
    }
    fits
}

/// Leaves as many as a matrix can have, and lists the others.
fn cut(subjects: &mut Vec<Subject>, skipped: &mut Table) {
    for subject in subjects.drain(MAX_JOBS.min(subjects.len())..) {
        let why = format!("GitHub makes at most {MAX_JOBS} jobs of a matrix");
        let name = if subject.sbom.is_empty() { subject.name } else { subject.sbom };
        skipped.row([name, why]);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What GitHub would refuse is left out, and listed.
    #[test]
    fn what_is_too_much_is_listed() {
        for (size, expected) in [(0, true), (MAX_SBOM, true), (MAX_SBOM + 1, false)] {
            let mut skipped = Table::new(&["not attested", "why"]);
            assert_eq!(fits("a.spdx.json", size, &mut skipped), expected);
            assert_eq!(skipped.is_empty(), expected, "{size}");
        }
        for (count, left, listed) in [(0, 0, ""), (256, 256, ""), (257, 256, "256.spdx.json")] {
            let mut skipped = Table::new(&["not attested", "why"]);
            let one =
                |at: usize| Subject { sbom: format!("{at}.spdx.json"), ..subject("a", "b", None) };
            let mut subjects: Vec<Subject> = (0..count).map(one).collect();
            cut(&mut subjects, &mut skipped);
            assert_eq!(subjects.len(), left);
            assert_eq!(skipped.is_empty(), listed.is_empty(), "{count}");
            assert!(skipped.to_string().contains(listed), "{skipped}");
        }
    }
}
