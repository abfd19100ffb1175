//! The folder of a release, by the lists, signatures and statements in it.

use std::path::Path;

use anyhow::Result;

use super::list::{List, compared, name, own_signature};
use super::{Need, Report, Verdict, What, provenance};
use crate::files::{self, EntryKind};
use crate::plan::{BUNDLE, CHECKSUMS};
use crate::sign::PublicKey;

/// Verifies all files of a release in a folder.
pub fn folder(dir: &Path, key: &PublicKey) -> Result<Report> {
    let mut report = Report::new(dir.display().to_string(), key.fingerprint());
    let list = match List::read(dir) {
        Ok(Some(list)) => list,
        Ok(None) => {
            let why = format!("there is no {CHECKSUMS} in {}", dir.display());
            report.add(CHECKSUMS, What::Checksum, Verdict::Absent { why, need: Need::Expected });
            return Ok(report);
        }
        Err(error) => {
            report.add(CHECKSUMS, What::Checksum, Verdict::failed(&error));
            return Ok(report);
        }
    };
    let signature = list.signature(dir, Need::Expected, key);
    let vouched = matches!(signature, Verdict::Proved { .. }).then_some(&list);
    report.add(CHECKSUMS, What::Signature, signature);
    for (name, digest) in &list.digests {
        let path = dir.join(name);
        let verdict = if files::exists(&path)? {
            compared(&path, digest)
        } else {
            let why = format!("{CHECKSUMS} lists it, and it is not there");
            Verdict::Absent { why, need: Need::Expected }
        };
        report.add(name, What::Checksum, verdict);
    }
    let mut entries = files::list(dir)?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    for entry in &entries {
        let name = name(&entry.path)?;
        // It hides the folder from git, and is no part of a release.
        if name == ".gitignore" {
            continue;
        }
        let known = name == CHECKSUMS || list.digests.contains_key(&name);
        let own = match entry.kind {
            EntryKind::Folder => None,
            _ if name == CHECKSUMS => None,
            // A signature is looked at with its file.
            _ if name.ends_with(BUNDLE) => continue,
            _ => own_signature(&entry.path, key)?,
        };
        match own {
            Some(verdict) => report.add(&name, What::Signature, verdict),
            None if known => {}
            None => {
                let why = format!("{CHECKSUMS} does not list it");
                report.add(&name, What::Checksum, Verdict::Absent { why, need: Need::Optional });
            }
        }
    }
    provenance::of_folder(dir, &list, vouched, key, &mut report)?;
    Ok(report)
}
