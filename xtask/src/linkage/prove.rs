//! The only way from a program that cargo made to one that may be shipped.

use std::fs::File;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use super::inspect::inspect;
use super::listed;
use super::{Linkage, Suspect};
use crate::compile::Compiled;
use crate::digest::Digest;
use crate::files;
use crate::finding::{Finding, Place};

/// A binary that was proved to be what its target says.
#[derive(Clone, Debug)]
pub struct Binary {
    compiled: Compiled,
    linkage: Linkage,
    warnings: Vec<Finding>,
    stamp: Stamp,
    /// Known since it was first asked for.
    digest: OnceLock<Digest>,
}

/// What shows that a file did not change since it was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
}

impl Binary {
    /// The program as cargo made it.
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// What the program was proved to be.
    pub fn linkage(&self) -> &Linkage {
        &self.linkage
    }

    /// Warnings about the binary, which may be shipped all the same.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.stamp.size
    }

    /// The digest of the proved file; an error if the file changed since.
    pub fn digest(&self) -> Result<Digest> {
        let context = || format!("read {}", self.compiled.path().display());
        let mut file = files::open(self.compiled.path())?;
        let digest = match self.digest.get() {
            Some(digest) => *digest,
            None => Digest::of_reader(&mut file).with_context(context)?,
        };
        let same = stamp(&file).with_context(context)? == self.stamp;
        ensure!(same, "{} changed after it was proved; run again", self.compiled.path().display());
        Ok(*self.digest.get_or_init(|| digest))
    }
}

fn stamp(file: &File) -> std::io::Result<Stamp> {
    let meta = file.metadata()?;
    Ok(Stamp { size: meta.len(), modified: meta.modified()? })
}

/// Proves that a program is what its target says. Reports everything that is wrong at once.
pub fn prove(compiled: Compiled) -> Result<Binary, Vec<Finding>> {
    let place =
        Place::within(compiled.path(), format!("{} for {}", compiled.bin(), compiled.target()));
    let unreadable = |error: anyhow::Error| {
        let fix = "run again; another program may have removed it";
        vec![Finding::error("linkage-unreadable", place.clone(), format!("{error:#}"), fix)]
    };
    let file = files::open(compiled.path()).map_err(unreadable)?;
    let stamp = stamp(&file).map_err(|error| unreadable(error.into()))?;
    let suspects: Vec<Suspect<'_>> = compiled
        .native()
        .iter()
        .map(|krate| Suspect { krate: &krate.name, links: krate.links.as_deref() })
        .collect();
    let inspected = inspect(&file, compiled.target(), &place, &suspects);
    let (linkage, warnings) = match (inspected, listed::check(&file, &compiled, &place)) {
        (inspected, None) => inspected?,
        (Ok(_), Some(fault)) => return Err(vec![fault]),
        (Err(found), Some(fault)) => return Err(found.into_iter().chain([fault]).collect()),
    };
    Ok(Binary { linkage, warnings, stamp, digest: OnceLock::new(), compiled })
}
