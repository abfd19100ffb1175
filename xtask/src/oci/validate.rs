//! Whether an image is what it says: every digest, size, diff ID and platform,
//! recomputed.

use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;

use super::bounded::Allowance;
use super::media::{self, Compression};
use super::tape::{self, Member};
use super::{Image, Layer, Raw, Root, digest_of, zstd};
use crate::digest::{Digest, HashingReader};
use crate::finding::{Finding, Place};
use crate::target::Platform;
use crate::term::tame;

/// The rule that speaks of what could not be looked into.
pub const NOT_CHECKED: &str = "image-not-checked";

/// In bytes. What is read of a layer at a time.
const BUFFER: usize = 64 * 1024;

/// Everything that is wrong with the image or the images; reads all of it.
pub fn validate(root: &Root) -> Vec<Finding> {
    let mut findings = match root {
        Root::Index(index) => raw(&index.manifest, "index"),
        Root::Image(_) => Vec::new(),
    };
    // Layers that several images have are read once.
    let mut known = BTreeSet::new();
    let mut allowance = Allowance::default();
    for (platform, of) in root.images() {
        let fresh = &mut |layer: &Layer| known.insert(layer.identity());
        let checks = Checks { fresh, allowance: &mut allowance, each: &mut |_, _| Ok(()) };
        findings.extend(one(of, platform, checks));
    }
    findings
}

/// How the layers of an image are looked into.
struct Checks<'a> {
    /// Whether a layer is still to be read.
    fresh: &'a mut dyn FnMut(&Layer) -> bool,
    allowance: &'a mut Allowance,
    each: &'a mut dyn FnMut(u16, &Member) -> Result<()>,
}

/// Everything that is wrong with one image, which is to run on `platform`, where
/// that is known. `each` is called for every member of every layer that can be read, with
/// the layer's number from 1 on; what it returns is wrong with the layer.
pub fn image(
    image: &Image,
    platform: Option<&Platform>,
    each: &mut dyn FnMut(u16, &Member) -> Result<()>,
) -> Vec<Finding> {
    let allowance = &mut Allowance::default();
    one(image, platform, Checks { fresh: &mut |_| true, allowance, each })
}

fn one(image: &Image, platform: Option<&Platform>, checks: Checks<'_>) -> Vec<Finding> {
    let mut findings = raw(&image.manifest, "manifest");
    findings.extend(raw(&image.config, "config"));
    if media::is_config(image.config.descriptor.media_type()) {
        findings.extend(config(image, platform));
    }
    let artifact = image.is_artifact();
    for (at, number) in image.layers.iter().zip(1..) {
        if !(checks.fresh)(at) {
            continue;
        }
        let known = media::compression(at.descriptor.media_type()).is_some();
        // An artifact's blobs are no file systems, and nobody expects to look into them.
        findings.extend((!known && !artifact).then(|| at.unread()));
        match layer(at, checks.allowance, &mut |member| (checks.each)(number, member)) {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(fault("image-layer", at.place(), format!("{error:#}"))),
        }
    }
    findings
}

fn fault(rule: &'static str, place: Place, why: String) -> Finding {
    Finding::error(rule, place, why, "make or copy the image anew, and do not use this one")
}

fn raw(raw: &Raw, kind: &str) -> Vec<Finding> {
    let digest = Digest::of(&raw.bytes);
    let named = &raw.descriptor;
    let same = digest_of(named).is_ok_and(|named| named == digest)
        && named.size() == raw.bytes.len() as u64;
    let place = || Place::item(format!("{kind} {}", named.digest()));
    let why = || format!("it holds {} bytes with the digest {digest}", raw.bytes.len());
    (!same).then(|| fault("image-digest", place(), why())).into_iter().collect()
}

/// Whether the config agrees with what leads to it and with itself.
fn config(image: &Image, platform: Option<&Platform>) -> Vec<Finding> {
    let place = || Place::item(format!("config {}", image.config.descriptor.digest()));
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
        .history()
        .as_ref()
        .map(|steps| steps.iter().filter(|step| step.empty_layer() != Some(true)).count());
    let layers = image.layers.len();
    if let Some(steps) = steps.filter(|steps| *steps != 0 && *steps != layers) {
        let why = format!("its history tells of {steps} layers, and there are {layers}");
        let fix = "engines do not mind; whoever made the image may want to know";
        findings.push(Finding::warning("image-history", place(), why, fix));
    }
    findings
}

impl Layer {
    /// All that its findings depend on.
    fn identity(&self) -> (String, u64, String, Digest) {
        let of = &self.descriptor;
        (of.digest().to_string(), of.size(), of.media_type().to_string(), self.diff_id)
    }

    fn place(&self) -> Place {
        Place::item(format!("layer {}", self.descriptor.digest()))
    }

    /// The finding that there is no way to look into it.
    fn unread(&self) -> Finding {
        let kind = tame(self.descriptor.media_type().as_ref());
        let why = format!("what it holds was not looked into, because nobody here reads {kind}");
        let fix = "make the image anew with layers of tar, with gzip, zstd or nothing around it";
        Finding::warning(NOT_CHECKED, self.place(), why, fix)
    }
}

/// Reads the layer once: its bytes, its tar, and what the tar holds.
fn layer(
    layer: &Layer,
    allowance: &mut Allowance,
    each: &mut dyn FnMut(&Member) -> Result<()>,
) -> Result<Vec<Finding>> {
    let size = layer.descriptor.size();
    let opened = layer.blob.open(size).map_err(|error| {
        match media::is_foreign(layer.descriptor.media_type()) {
            true => error.context("it is distributed by others, and not with the image"),
            false => error,
        }
    })?;
    let blob = BufReader::with_capacity(BUFFER, HashingReader::new(opened));
    let Some(compression) = media::compression(layer.descriptor.media_type()) else {
        return Ok(compare(layer, blob)?.into_iter().collect());
    };
    let mut findings = Vec::new();
    let mut complain = |found: Unpacked| {
        if found.diff_id != layer.diff_id {
            let why = format!(
                "its tar has the digest {}, and the config names {}",
                found.diff_id, layer.diff_id
            );
            findings.push(fault("image-diff-id", layer.place(), why));
        }
        findings.extend(found.findings);
    };
    let blob = match compression {
        Compression::None => {
            let (blob, found) = unpack(blob, &layer.place(), each)?;
            complain(found);
            blob
        }
        Compression::Gzip => {
            let bounded = allowance.reader(MultiGzDecoder::new(blob), size);
            let (gzip, found) = unpack(bounded, &layer.place(), each).context("unpack it")?;
            complain(found);
            gzip.into_inner().into_inner()
        }
        Compression::Zstd => {
            let bounded = allowance.reader(zstd::Decoder::new(blob), size);
            let (zstd, found) = unpack(bounded, &layer.place(), each).context("unpack it")?;
            complain(found);
            zstd.into_inner().into_inner()
        }
    };
    findings.extend(compare(layer, blob)?);
    Ok(findings)
}

/// What came out of a layer.
struct Unpacked {
    diff_id: Digest,
    findings: Vec<Finding>,
}

fn unpack<R: Read>(
    tar: R,
    place: &Place,
    each: &mut dyn FnMut(&Member) -> Result<()>,
) -> Result<(R, Unpacked)> {
    let mut tar = HashingReader::new(tar);
    let findings = tape::check_layer(&mut tar, place, each)?;
    // Readers of tar stop at its end; what follows is hashed all the same.
    std::io::copy(&mut tar, &mut std::io::sink()).context("read to the end")?;
    let (rest, diff_id, _) = tar.finish();
    Ok((rest, Unpacked { diff_id, findings }))
}

/// Reads what is left of the blob and compares all of it with its descriptor.
fn compare(
    layer: &Layer,
    mut blob: BufReader<HashingReader<super::BlobReader>>,
) -> Result<Option<Finding>> {
    std::io::copy(&mut blob, &mut std::io::sink()).context("read to the end")?;
    let (_, digest, size) = blob.into_inner().finish();
    let same = digest == digest_of(&layer.descriptor)? && size == layer.descriptor.size();
    let why = || format!("it holds {size} bytes with the digest {digest}");
    Ok((!same).then(|| fault("image-digest", layer.place(), why())))
}
