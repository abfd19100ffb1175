//! Recomputes every digest, size, diff ID and platform of an image.

use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;

use super::bounded::Allowance;
use super::media::{self, Compression};
use super::tar_reader::{self, TarMember};
use super::{Image, Layer, Raw, Root, zstd};
use crate::digest::{Digest, HashingReader};
use crate::finding::{Finding, Place};
use crate::target::Platform;
use crate::term::tame;

/// The rule for layers that could not be checked.
pub const NOT_CHECKED: &str = "image-not-checked";

/// How many bytes of a layer are read at a time.
const BUFFER: usize = 64 * 1024;

/// Everything that is wrong with an image or an index. Reads all blobs.
pub fn validate(root: &Root) -> Vec<Finding> {
    let mut findings = match root {
        Root::Index(index) => raw(&index.manifest, "index"),
        Root::Image(_) => Vec::new(),
    };
    // A layer of several images is read once.
    let mut known = BTreeSet::new();
    let mut allowance = Allowance::default();
    for (platform, of) in root.images() {
        let fresh = &mut |layer: &Layer| known.insert(layer.identity());
        let checks = Checks { fresh, allowance: &mut allowance, each: &mut |_, _| Ok(()) };
        findings.extend(one(of, platform, checks));
    }
    findings
}

/// How the layers of an image are checked.
struct Checks<'a> {
    /// Whether a layer has yet to be read.
    fresh: &'a mut dyn FnMut(&Layer) -> bool,
    allowance: &'a mut Allowance,
    each: &'a mut dyn FnMut(u16, &TarMember) -> Result<()>,
}

/// Everything that is wrong with one image. `platform` is what the index says that it runs
/// on. `each` is called for every member of every layer that can be read, with the layer's
/// number from 1 on; its errors become findings.
pub fn image(
    image: &Image,
    platform: Option<&Platform>,
    each: &mut dyn FnMut(u16, &TarMember) -> Result<()>,
) -> Vec<Finding> {
    let allowance = &mut Allowance::default();
    one(image, platform, Checks { fresh: &mut |_| true, allowance, each })
}

fn one(image: &Image, platform: Option<&Platform>, checks: Checks<'_>) -> Vec<Finding> {
    let mut findings = raw(&image.manifest, "manifest");
    findings.extend(raw(&image.config, "config"));
    if media::is_config(&image.config.descriptor.media_type) {
        findings.extend(config(image, platform));
    }
    let artifact = image.is_artifact();
    for (at, number) in image.layers.iter().zip(1..) {
        if !(checks.fresh)(at) {
            continue;
        }
        let known = media::compression(&at.descriptor.media_type).is_some();
        // An artifact's blobs are not file systems, and nobody expects them to be.
        findings.extend((!known && !artifact).then(|| at.unread()));
        match layer(at, checks.allowance, &mut |member| (checks.each)(number, member)) {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(fault("image-layer", at.place(), format!("{error:#}"))),
        }
    }
    findings
}

fn fault(rule: &'static str, place: Place, why: String) -> Finding {
    Finding::error(rule, place, why, "make or copy the image again, and do not use this one")
}

fn raw(raw: &Raw, kind: &str) -> Vec<Finding> {
    let digest = Digest::of(&raw.bytes);
    let named = &raw.descriptor;
    let same = named.digest == digest && named.size == raw.bytes.len() as u64;
    let place = || Place::item(format!("{kind} {}", named.digest));
    let why = || format!("it holds {} bytes with the digest {digest}", raw.bytes.len());
    (!same).then(|| fault("image-digest", place(), why())).into_iter().collect()
}

/// Whether the config agrees with the index, the manifest and itself.
fn config(image: &Image, platform: Option<&Platform>) -> Vec<Finding> {
    let place = || Place::item(format!("config {}", image.config.digest()));
    let parsed = image.parsed().and_then(|config| Ok((image.platform()?, config)));
    let (own, config) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return vec![fault("image-config", place(), format!("{error:#}"))],
    };
    let mut findings = Vec::new();
    if let Some(platform) = platform.filter(|platform| platform.distance(&own).is_none()) {
        let (own, taken) = (tame(&own.to_string()), tame(&platform.to_string()));
        let why = format!("it is for {own}, and was taken for {taken}");
        findings.push(fault("image-platform", place(), why));
    }
    let steps = config
        .history
        .as_ref()
        .map(|steps| steps.iter().filter(|step| step.empty_layer != Some(true)).count());
    let layers = image.layers.len();
    if let Some(steps) = steps.filter(|steps| *steps != 0 && *steps != layers) {
        let why = format!("its history has {steps} layers, and the image has {layers}");
        let fix = "engines ignore this; tell whoever made the image";
        findings.push(Finding::warning("image-history", place(), why, fix));
    }
    findings
}

impl Layer {
    /// What its findings depend on.
    fn identity(&self) -> (Digest, u64, String, Digest) {
        let of = &self.descriptor;
        (of.digest, of.size, of.media_type.to_string(), self.diff_id)
    }

    fn place(&self) -> Place {
        Place::item(format!("layer {}", self.descriptor.digest))
    }

    /// The finding that its content cannot be checked.
    fn unread(&self) -> Finding {
        let kind = tame(self.descriptor.media_type.as_ref());
        let why = format!("its content was not checked: {kind} is not supported");
        let fix = "make the image again with layers of tar, uncompressed or with gzip or zstd";
        Finding::warning(NOT_CHECKED, self.place(), why, fix)
    }
}

/// Reads the layer once: its bytes, its tar, and what the tar holds.
fn layer(
    layer: &Layer,
    allowance: &mut Allowance,
    each: &mut dyn FnMut(&TarMember) -> Result<()>,
) -> Result<Vec<Finding>> {
    let size = layer.descriptor.size;
    let opened = layer.blob.open(size).map_err(|error| {
        if media::is_foreign(&layer.descriptor.media_type) {
            error.context("others distribute it, and not with the image")
        } else {
            error
        }
    })?;
    let mut blob = BufReader::with_capacity(BUFFER, HashingReader::new(opened));
    let mut findings = match media::compression(&layer.descriptor.media_type) {
        None => Vec::new(),
        Some(Compression::None) => unpack(layer, &mut blob, each)?,
        Some(Compression::Gzip) => {
            let tar = allowance.reader(MultiGzDecoder::new(&mut blob), size);
            unpack(layer, tar, each).context("unpack it")?
        }
        Some(Compression::Zstd) => {
            let tar = allowance.reader(zstd::Decoder::new(&mut blob), size);
            unpack(layer, tar, each).context("unpack it")?
        }
    };
    findings.extend(compare(layer, blob)?);
    Ok(findings)
}

/// Reads the layer's tar to its end: what is wrong with it, and with its digest.
fn unpack(
    layer: &Layer,
    tar: impl Read,
    each: &mut dyn FnMut(&TarMember) -> Result<()>,
) -> Result<Vec<Finding>> {
    let mut tar = HashingReader::new(tar);
    let mut findings = tar_reader::check_layer(&mut tar, &layer.place(), each)?;
    // The tar reader stops at the tar's end; the diff ID covers all that follows.
    std::io::copy(&mut tar, &mut std::io::sink()).context("read to the end")?;
    let (_, digest, _) = tar.finish();
    if digest != layer.diff_id {
        let named = layer.diff_id;
        let why = format!("its tar has the digest {digest}, and the config names {named}");
        findings.insert(0, fault("image-diff-id", layer.place(), why));
    }
    Ok(findings)
}

/// Reads what is left of the blob and compares all of it with its descriptor.
fn compare(
    layer: &Layer,
    mut blob: BufReader<HashingReader<impl Read>>,
) -> Result<Option<Finding>> {
    std::io::copy(&mut blob, &mut std::io::sink()).context("read to the end")?;
    let (_, digest, size) = blob.into_inner().finish();
    let same = (digest, size) == (layer.descriptor.digest, layer.descriptor.size);
    let why = || format!("it holds {size} bytes with the digest {digest}");
    Ok((!same).then(|| fault("image-digest", layer.place(), why())))
}
