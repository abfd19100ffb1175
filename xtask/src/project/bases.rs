//! dockless.lock: the digest of each base image in a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::digest::Digest;
use crate::files::{self, Boundary, limits};
use crate::finding::failure;
use crate::reference::Reference;

/// The first line of the file.
const HEAD: &str = "# What the bases of images were; `dockless image --update-base` writes this.\n";

/// The digests of base images, by their references without a digest.
pub type Bases = BTreeMap<Reference, Digest>;

pub fn path(root: &Path) -> PathBuf {
    root.join("dockless.lock")
}

/// Reads the file: a reference with a digest in each line. Empty where there is no file.
pub fn read(root: &Path, boundary: &Boundary) -> Result<Bases> {
    let path = path(root);
    let text = boundary.read_if_there(&path, limits::SETTINGS)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut bases = Bases::new();
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
        let reference = Reference::parse(line).map_err(|error| fault(format!("{error:#}")))?;
        let Reference { digest: Some(digest), .. } = reference else {
            bail!(fault(format!("{line:?} has no digest")));
        };
        let name = Reference { digest: None, ..reference };
        if bases.insert(name, digest).is_some_and(|other| other != digest) {
            bail!(fault("the image is listed twice".to_owned()));
        }
    }
    Ok(bases)
}

/// Writes the file if it changed. Removes it where there are no bases.
pub fn write(root: &Path, bases: &Bases) -> Result<()> {
    let path = path(root);
    if bases.is_empty() {
        return files::remove(&path);
    }
    let lines = bases.iter().map(|(name, digest)| format!("{name}@{digest}\n"));
    let text = HEAD.to_owned() + &lines.collect::<String>();
    match files::read_foreign_if_there(&path, limits::SETTINGS)? {
        Some(before) if before == text.as_bytes() => Ok(()),
        _ => files::write(&path, text.as_bytes()),
    }
}
