//! An image in a registry, by the signatures that its registry lists.

use anyhow::Result;

use super::{Need, Report, Verdict, What, said};
use crate::digest::Digest;
use crate::reference::{Reference, Repository};
use crate::registry::Registry;
use crate::sign::{
    Bundle, MEDIA_TYPE, PublicKey, SIGNATURE, SIGNATURE_ANNOTATION, SIMPLE_SIGNING, verify_simple,
};

/// Reasons that are told of signatures which prove nothing. A registry may list thousands.
const TOLD: usize = 3;

/// Verifies an image, and what is signed of the platforms of an index.
pub fn image(of: &Reference, key: &PublicKey, registry: &Registry<'_>) -> Result<Report> {
    let root = registry.pull(of, &[])?.root;
    let at = &of.repository;
    let digest = root.digest();
    let mut report = Report::new(at.at(&digest).to_string(), key.fingerprint());
    let verdict = signature(at, &digest, key, registry)?;
    report.add(&at.at(&digest).to_string(), What::Signature, verdict);
    for (platform, image) in root.images() {
        let own = image.manifest.digest();
        if own == digest {
            continue;
        }
        let verdict = match signature(at, &own, key, registry)? {
            proved @ Verdict::Proved { .. } => proved,
            // The index names its digest, so that the index's signature covers it.
            Verdict::Failed { why } | Verdict::Absent { why, .. } => {
                Verdict::Absent { why, need: Need::Optional }
            }
        };
        let platform = platform.map_or_else(String::new, |it| format!("{it} "));
        report.add(&format!("{platform}{own}"), What::Signature, verdict);
    }
    Ok(report)
}

/// The verdict on a manifest: one good signature is enough, whatever else there is.
fn signature(
    at: &Repository,
    digest: &Digest,
    key: &PublicKey,
    registry: &Registry<'_>,
) -> Result<Verdict> {
    let by = |how: &str| Verdict::Proved { by: format!("the key {}{how}", key.fingerprint()) };
    let attached = registry.attached(at, digest, MEDIA_TYPE)?;
    let mut reasons: Vec<String> = Vec::new();
    for bundle in &attached.contents {
        match Bundle::parse(bundle).and_then(|it| it.verify_about(digest, SIGNATURE, key)) {
            Ok(_) => return Ok(by("")),
            Err(error) => reasons.push(said(&error)),
        }
    }
    reasons.extend(attached.unreadable.iter().map(said));
    for document in registry.signed_documents(at, digest, SIMPLE_SIGNING)? {
        let signature = document.annotations.get(SIGNATURE_ANNOTATION);
        let signature = signature.map_or("", String::as_str);
        match verify_simple(&document.bytes, signature, digest, key) {
            Ok(()) => return Ok(by(", under the tag of cosign 2")),
            Err(error) => reasons.push(said(&error)),
        }
    }
    if reasons.is_empty() {
        let why = "its registry lists no signature of it".to_owned();
        return Ok(Verdict::Absent { why, need: Need::Expected });
    }
    let count = reasons.len();
    reasons.dedup();
    reasons.truncate(TOLD);
    let why = format!("none of {count} is a good signature: {}", reasons.join("; "));
    Ok(Verdict::Failed { why })
}
