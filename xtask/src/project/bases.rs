//! dockless.lock: the digest of each base image in a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::digest::Digest;
use crate::files::{self, Boundary, limits};
use crate::finding::failure;
use crate::reference::Reference;

/// The first line of the file.
const HEAD: &str = "# What the bases of images were; `dockless image --update-base` writes this.\n";

/// What base images were, by their references without a digest.
pub type Bases = BTreeMap<Reference, Pinned>;

/// What a base was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    pub digest: Digest,
    /// The SBOMs that its registry had, sorted.
    pub sboms: Vec<BaseSbom>,
}

/// An SBOM that the makers of a base published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseSbom {
    /// The image for one platform that it is of.
    pub of: Digest,
    /// Where it is: a manifest of the base's repository.
    pub at: Digest,
}

/// Between the two digests in the line of an SBOM.
const SBOM: &str = "sbom";

pub fn path(root: &Path) -> PathBuf {
    root.join("dockless.lock")
}

/// Reads the file: a reference with a digest in each line, and below it lines
/// `DIGEST sbom DIGEST`. Empty where there is no file.
pub fn read(root: &Path, boundary: &Boundary) -> Result<Bases> {
    let path = path(root);
    let text = boundary.read_if_there(&path, limits::SETTINGS)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut bases = Bases::new();
    let mut last: Option<Reference> = None;
    for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |why: String| {
            failure(
                format!("{} line {at}: {why}", path.display()),
                "remove the file and run `dockless image --update-base`, which writes it again",
            )
        };
        if let Some(sbom) = sbom(line) {
            let base = last.as_ref().and_then(|last| bases.get_mut(last));
            let base =
                base.context("it is of no base").map_err(|error| fault(error.to_string()))?;
            base.sboms.push(sbom.map_err(|error| fault(format!("{error:#}")))?);
            continue;
        }
        let reference = Reference::parse(line).map_err(|error| fault(format!("{error:#}")))?;
        let Reference { digest: Some(digest), .. } = reference else {
            bail!(fault(format!("{line:?} has no digest")));
        };
        let name = Reference { digest: None, ..reference };
        let pinned = Pinned { digest, sboms: Vec::new() };
        if bases.insert(name.clone(), pinned).is_some_and(|other| other.digest != digest) {
            bail!(fault("the image is listed twice".to_owned()));
        }
        last = Some(name);
    }
    Ok(bases)
}

/// The SBOM in a line; `None` where the line is of something else.
fn sbom(line: &str) -> Option<Result<BaseSbom>> {
    let (of, at) = line.split_once(' ')?;
    let at = at.trim_start().strip_prefix(SBOM)?.trim_start();
    let parse = || Ok(BaseSbom { of: Digest::parse(of)?, at: Digest::parse(at)? });
    Some(parse())
}

/// Writes the file if it changed. Removes it where there are no bases.
pub fn write(root: &Path, bases: &Bases) -> Result<()> {
    let path = path(root);
    if bases.is_empty() {
        return files::remove(&path);
    }
    let mut text = HEAD.to_owned();
    for (name, Pinned { digest, sboms }) in bases {
        text += &format!("{name}@{digest}\n");
        text.extend(sboms.iter().map(|it| format!("    {} {SBOM} {}\n", it.of, it.at)));
    }
    match files::read_foreign_if_there(&path, limits::SETTINGS)? {
        Some(before) if before == text.as_bytes() => Ok(()),
        _ => files::write(&path, text.as_bytes()),
    }
}
