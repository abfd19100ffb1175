//! A file, and the folder of a release, by what lies beside them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Need, Report, Verdict, What};
use crate::digest::{self, Digest};
use crate::files::{self, EntryKind, limits};
use crate::plan::{BUNDLE, CHECKSUMS};
use crate::sign::{Bundle, LIMIT, PublicKey};

/// The list of checksums of a folder, as it was read once: the bytes whose signature is verified
/// are those whose digests are compared.
struct List {
    bytes: Vec<u8>,
    digests: BTreeMap<String, Digest>,
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
    match listed {
        Some((list, digest)) => {
            report.add(&name, What::Checksum, compared(path, digest));
            let need = if signed { Need::Optional } else { Need::Expected };
            report.add(CHECKSUMS, What::Signature, list.signature(dir, need, key));
        }
        None if !signed => {
            let why = format!(
                "neither {name}{BUNDLE} nor a {CHECKSUMS} that lists it is beside it, so that \
                 nothing says who made it"
            );
            report.add(&name, What::Signature, Verdict::Absent { why, need: Need::Expected });
        }
        None => {}
    }
    Ok(report)
}

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
    report.add(CHECKSUMS, What::Signature, list.signature(dir, Need::Expected, key));
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
    Ok(report)
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).with_context(|| format!("{} has no name in UTF-8", path.display()))
}

/// What the signature beside a file says; `None` where there is none.
fn own_signature(path: &Path, key: &PublicKey) -> Result<Option<Verdict>> {
    let bundle = path.with_file_name(format!("{}{BUNDLE}", name(path)?));
    let verdict = match files::read_foreign_if_there(&bundle, LIMIT) {
        Ok(None) => return Ok(None),
        Ok(Some(bundle)) => verified(&bundle, &files::read_foreign(path, limits::PROGRAM)?, key),
        Err(error) => Verdict::failed(&error),
    };
    Ok(Some(verdict))
}

fn verified(bundle: &[u8], bytes: &[u8], key: &PublicKey) -> Verdict {
    match Bundle::parse(bundle).and_then(|bundle| bundle.verify_file(bytes, key)) {
        Ok(()) => Verdict::Proved { by: format!("the key {}", key.fingerprint()) },
        Err(error) => Verdict::failed(&error),
    }
}

fn compared(path: &Path, expected: &Digest) -> Verdict {
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
    fn read(dir: &Path) -> Result<Option<List>> {
        let path = dir.join(CHECKSUMS);
        let Some(bytes) = files::read_foreign_if_there(&path, limits::RELEASE)? else {
            return Ok(None);
        };
        let context = || format!("read {}", path.display());
        let digests = digest::listed(&bytes).with_context(context)?;
        Ok(Some(List { bytes, digests }))
    }

    fn signature(&self, dir: &Path, need: Need, key: &PublicKey) -> Verdict {
        let name = format!("{CHECKSUMS}{BUNDLE}");
        match files::read_foreign_if_there(&dir.join(&name), LIMIT) {
            Ok(Some(bundle)) => verified(&bundle, &self.bytes, key),
            Ok(None) => Verdict::Absent { why: format!("{name} is not there"), need },
            Err(error) => Verdict::failed(&error),
        }
    }
}
