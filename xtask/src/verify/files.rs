//! A file, by what lies beside it.

use std::path::Path;

use anyhow::{Context, Result};

use super::list::{List, compared, name, own_signature};
use super::{Need, Report, Verdict, What, provenance};
use crate::plan::{BUNDLE, CHECKSUMS, STATEMENT};
use crate::sign::PublicKey;

/// Verifies a file by its own signature, or by the signed list of checksums beside it.
pub fn file(path: &Path, key: &PublicKey) -> Result<Report> {
    let name = name(path)?;
    let dir = path.parent().context("find its folder")?;
    let mut report = Report::new(path.display().to_string(), key.fingerprint());
    let own = own_signature(path, key)?;
    let signed = own.is_some();
    if let Some(verdict) = own {
        report.add(&name, What::Signature, verdict);
    }
    if name == CHECKSUMS {
        if !signed {
            let why = format!("{CHECKSUMS}{BUNDLE} is not beside it");
            report.add(&name, What::Signature, Verdict::Absent { why, need: Need::Expected });
        }
        return Ok(report);
    }
    let list = match List::read(dir) {
        Ok(list) => list,
        Err(error) => {
            report.add(CHECKSUMS, What::Checksum, Verdict::failed(&error));
            return Ok(report);
        }
    };
    let listed = list.as_ref().and_then(|list| Some((list, list.digests.get(&name)?)));
    let mut vouched = None;
    if let Some((list, digest)) = listed {
        report.add(&name, What::Checksum, compared(path, digest));
        let need = if signed { Need::Optional } else { Need::Expected };
        let signature = list.signature(dir, need, key);
        vouched = matches!(signature, Verdict::Proved { .. }).then_some(list);
        report.add(CHECKSUMS, What::Signature, signature);
    }
    let is_statement = name.ends_with(STATEMENT);
    let told = !is_statement && provenance::of_file(path, dir, vouched, key, &mut report)?;
    if listed.is_none() && !signed {
        // A program of a release is signed by nothing but the statement.
        let need = if told { Need::Optional } else { Need::Expected };
        let why = format!(
            "neither {name}{BUNDLE} nor a {CHECKSUMS} that lists it is beside it, so that nothing \
             says who made it"
        );
        report.add(&name, What::Signature, Verdict::Absent { why, need });
    }
    Ok(report)
}
