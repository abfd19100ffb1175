//! An image in a registry, by the signatures that its registry lists.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::ValueEnum;

use super::provenance::summary;
use super::{Need, Report, Verdict, What, said};
use crate::config::SbomFormat;
use crate::digest::Digest;
use crate::provenance::PREDICATE;
use crate::reference::{Reference, Repository};
use crate::registry::Registry;
use crate::sign::{
    Bundle, MEDIA_TYPE, PublicKey, SIGNATURE, SIGNATURE_ANNOTATION, SIMPLE_SIGNING, Statement,
    verify_simple,
};

/// Reasons that are told of signatures which prove nothing. A registry may list thousands.
const TOLD: usize = 3;

/// Verifies an image, and what is signed of the platforms of an index.
pub fn image(of: &Reference, key: &PublicKey, registry: &Registry<'_>) -> Result<Report> {
    let root = registry.pull(of, &[])?.root;
    let at = &of.repository;
    let digest = root.digest();
    let mut report = Report::new(at.at(&digest).to_string(), key.fingerprint());
    let looked = Looked::of(at, &digest, key, registry)?;
    let name = at.at(&digest).to_string();
    report.add(&name, What::Signature, looked.signature(key));
    looked.add_others(&name, &mut report);
    for (platform, image) in root.images() {
        let own = image.manifest.digest();
        if own == digest {
            continue;
        }
        let looked = Looked::of(at, &own, key, registry)?;
        let verdict = match looked.signature(key) {
            proved @ Verdict::Proved { .. } => proved,
            // The index names its digest, so that the index's signature covers it.
            Verdict::Failed { why } | Verdict::Absent { why, .. } => {
                Verdict::Absent { why, need: Need::Optional }
            }
        };
        let platform = platform.map_or_else(String::new, |it| format!("{it} "));
        let name = format!("{platform}{own}");
        report.add(&name, What::Signature, verdict);
        looked.add_others(&name, &mut report);
    }
    Ok(report)
}

/// What a registry lists for a manifest.
struct Looked {
    /// How the key signed it: nothing more to say, or under which tag.
    signed: Option<&'static str>,
    /// The provenance that the key vouches for.
    statements: Vec<Statement>,
    /// Its SBOMs, by their digests and forms.
    sboms: Vec<(Digest, SbomFormat)>,
    /// Why some cannot be read.
    unread: Vec<String>,
    /// Why other bundles prove nothing.
    reasons: Vec<String>,
}

impl Looked {
    fn of(
        at: &Repository,
        digest: &Digest,
        key: &PublicKey,
        registry: &Registry<'_>,
    ) -> Result<Looked> {
        let (mut signed, mut statements, mut reasons) = (None, Vec::new(), Vec::new());
        let attached = registry.attached(at, digest, MEDIA_TYPE)?;
        for bundle in &attached.contents {
            let bundle = match Bundle::parse(bundle) {
                Ok(bundle) => bundle,
                Err(error) => {
                    reasons.push(said(&error));
                    continue;
                }
            };
            let provenance = bundle.verify_about(digest, PREDICATE, key);
            match (bundle.verify_about(digest, SIGNATURE, key), provenance) {
                (Ok(_), _) => signed = Some(""),
                (_, Ok(statement)) => statements.push(statement),
                (Err(error), _) => reasons.push(said(&error)),
            }
        }
        reasons.extend(attached.unreadable.iter().map(said));
        if signed.is_none() {
            for document in registry.signed_documents(at, digest, SIMPLE_SIGNING)? {
                let signature = document.annotations.get(SIGNATURE_ANNOTATION);
                let signature = signature.map_or("", String::as_str);
                match verify_simple(&document.bytes, signature, digest, key) {
                    Ok(()) => signed = Some(", under the tag of cosign 2"),
                    Err(error) => reasons.push(said(&error)),
                }
            }
        }
        let (mut sboms, mut unread) = (Vec::new(), Vec::new());
        for form in SbomFormat::value_variants() {
            // Nothing depends on them, and anybody may list thousands.
            match registry.attached(at, digest, form.media_type()) {
                Ok(attached) => {
                    sboms.extend(attached.contents.iter().map(|it| (Digest::of(it), *form)));
                }
                Err(error) => unread.push(said(&error)),
            }
        }
        Ok(Looked { signed, statements, sboms, unread, reasons })
    }

    /// The verdict on its signature: one good one is enough, whatever else there is.
    fn signature(&self, key: &PublicKey) -> Verdict {
        if let Some(how) = self.signed {
            return Verdict::Proved { by: format!("the key {}{how}", key.fingerprint()) };
        }
        if self.reasons.is_empty() {
            let why = "its registry lists no signature of it".to_owned();
            return Verdict::Absent { why, need: Need::Expected };
        }
        let mut reasons = self.reasons.clone();
        let count = reasons.len();
        reasons.dedup();
        reasons.truncate(TOLD);
        let why = format!("none of {count} is a good signature: {}", reasons.join("; "));
        Verdict::Failed { why }
    }

    /// Adds from what it was made, and its SBOMs. A statement vouches for an SBOM that it names.
    fn add_others(&self, name: &str, report: &mut Report) {
        let absent = |why: &str| Verdict::Absent { why: why.to_owned(), need: Need::Optional };
        let key = report.key;
        let told: BTreeSet<String> = self.statements.iter().map(summary).collect();
        for told in &told {
            let by = format!("the key {key}: {told}");
            report.add(name, What::Provenance, Verdict::Proved { by });
        }
        if told.is_empty() {
            let why = "no statement of the key says from what it was made";
            report.add(name, What::Provenance, absent(why));
        }
        for (digest, form) in self.sboms.iter().take(TOLD) {
            let is_named = self.statements.iter().any(|it| it.is_about(digest));
            let verdict = if is_named {
                Verdict::Proved { by: format!("its provenance, which names {digest}") }
            } else {
                absent(&format!("no statement of the key names {digest}, a {}", form.media_type()))
            };
            report.add(name, What::Sbom, verdict);
        }
        for why in &self.unread {
            report.add(name, What::Sbom, absent(why));
        }
        if self.sboms.is_empty() && self.unread.is_empty() {
            report.add(name, What::Sbom, absent("its registry lists no SBOM of it"));
        }
    }
}
