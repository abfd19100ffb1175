//! What is in an image that somebody made: no run counts that made another one.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// The tar of the lowest layer of the layout's latest image.
pub fn first(dir: &Path) -> Result<Vec<u8>> {
    let platforms = latest(dir)?;
    let layer = platforms.first().and_then(|layers| layers.first());
    tar(dir, layer.with_context(|| format!("find a layer in {}", dir.display()))?)
}

/// Fails unless every platform's image holds the mark in its topmost layer, in so many
/// platforms.
pub fn check(dir: &Path, mark: &[u8], count: usize) -> Result<()> {
    let found = latest(dir)?;
    ensure!(found.len() == count, "{} holds {} platforms", dir.display(), found.len());
    for layers in found {
        let layer = layers.last().context("find a layer")?;
        let new = memchr::memmem::find(&tar(dir, layer)?, mark).is_some();
        ensure!(new, "the image in {} does not hold the newest binary", dir.display());
    }
    Ok(())
}

/// The same of an archive whose layers are not compressed.
pub fn check_archive(path: &Path, mark: &[u8], count: usize) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let found = memchr::memmem::find_iter(&bytes, mark).count();
    ensure!(found == count, "{} holds {found} of the newest binaries", path.display());
    Ok(())
}

/// The digests of the latest image's layers, by platform.
fn latest(dir: &Path) -> Result<Vec<Vec<Value>>> {
    let path = dir.join("index.json");
    let context = || format!("read {}", path.display());
    let index = std::fs::read(&path).with_context(context)?;
    let index: Value = serde_json::from_slice(&index).with_context(context)?;
    let latest = index["manifests"].as_array().and_then(|manifests| manifests.last());
    platforms(dir, &latest.with_context(context)?["digest"])
}

fn platforms(dir: &Path, digest: &Value) -> Result<Vec<Vec<Value>>> {
    let manifest: Value = serde_json::from_slice(&blob(dir, digest)?).context("read a manifest")?;
    if let Some(manifests) = manifest["manifests"].as_array() {
        let below = manifests.iter().map(|of| platforms(dir, &of["digest"]));
        return Ok(below.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
    }
    let layers = manifest["layers"].as_array().context("read a manifest's layers")?;
    Ok(vec![layers.iter().map(|layer| layer["digest"].clone()).collect()])
}

fn tar(dir: &Path, digest: &Value) -> Result<Vec<u8>> {
    let bytes = blob(dir, digest)?;
    // Not to compress would be another work.
    ensure!(bytes.starts_with(&[0x1f, 0x8b]), "a layer is not compressed");
    let mut tar = Vec::new();
    MultiGzDecoder::new(&*bytes).read_to_end(&mut tar).context("read a layer")?;
    Ok(tar)
}

fn blob(dir: &Path, digest: &Value) -> Result<Vec<u8>> {
    let hex = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    let path = dir.join("blobs/sha256").join(hex.context("read a digest")?);
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}
