//! The list of checksums of a folder, and what lies beside a file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Need, Verdict};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::plan::{BUNDLE, CHECKSUMS};
use crate::sign::{Bundle, LIMIT, PublicKey};

/// The list of checksums of a folder, as it was read once: the bytes whose signature is verified
/// are those whose digests are compared.
pub(super) struct List {
    bytes: Vec<u8>,
    pub digests: BTreeMap<String, Digest>,
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
