//! A file, by what lies beside it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Need, Report, Verdict, What, provenance};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::plan::{BUNDLE, CHECKSUMS, STATEMENT};
use crate::sign::{Bundle, LIMIT, PublicKey};

/// The list of checksums of a folder, as it was read once: the bytes whose signature is verified
/// are those whose digests are compared.
pub(super) struct List {
    bytes: Vec<u8>,
    pub digests: BTreeMap<String, Digest>,
}

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
    match listed {
        Some((list, digest)) => {
            report.add(&name, What::Checksum, compared(path, digest));
            let need = if signed { Need::Optional } else { Need::Expected };
            let signature = list.signature(dir, need, key);
            vouched = matches!(signature, Verdict::Proved { .. }).then_some(list);
            report.add(CHECKSUMS, What::Signature, signature);
        }
        None => {}
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

pub(super) fn name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).with_context(|| format!("{} has no name in UTF-8", path.display()))
}

/// What the signature beside a file says; `None` where there is none.
pub(super) fn own_signature(path: &Path, key: &PublicKey) -> Result<Option<Verdict>> {
    let bundle = path.with_file_name(format!("{}{BUNDLE}", name(path)?));
    let verdict = match files::read_foreign_if_there(&bundle, LIMIT) {
        Ok(None) => return Ok(None),
        Ok(Some(bundle)) => verified(&bundle, &files::read_foreign(path, limits::PROGRAM)?, key),
        Err(error) => Verdict::failed(&error),
    };
    Ok(Some(verdict))
}

pub(super) fn verified(bundle: &[u8], bytes: &[u8], key: &PublicKey) -> Verdict {
    match Bundle::parse(bundle).and_then(|bundle| bundle.verify_file(bytes, key)) {
        Ok(()) => Verdict::Proved { by: format!("the key {}", key.fingerprint()) },
        Err(error) => Verdict::failed(&error),
    }
}

pub(super) fn compared(path: &Path, expected: &Digest) -> Verdict {
    let found = files::open_regular(path).and_then(|file| {
        Digest::of_reader(file).with_context(|| format!("read {}", path.display()))
    });
    match found {
        Ok(found) if found == *expected => Verdict::Proved { by: CHECKSUMS.to_owned() },
        Ok(found) => {
            Verdict::Failed { why: format!("{CHECKSUMS} has {expected}, and it is {found}") }
        }
        Err(error) => Verdict::failed(&error),
    }
}

impl List {
    pub fn read(dir: &Path) -> Result<Option<List>> {
        let path = dir.join(CHECKSUMS);
        let Some(bytes) = files::read_foreign_if_there(&path, limits::RELEASE)? else {
            return Ok(None);
        };
        let context = || format!("read {}", path.display());
        let digests = digest::listed(&bytes).with_context(context)?;
        Ok(Some(List { bytes, digests }))
    }

    pub fn signature(&self, dir: &Path, need: Need, key: &PublicKey) -> Verdict {
        let name = format!("{CHECKSUMS}{BUNDLE}");
        match files::read_foreign_if_there(&dir.join(&name), LIMIT) {
            Ok(Some(bundle)) => verified(&bundle, &self.bytes, key),
            Ok(None) => Verdict::Absent { why: format!("{name} is not there"), need },
            Err(error) => Verdict::failed(&error),
        }
    }
}
