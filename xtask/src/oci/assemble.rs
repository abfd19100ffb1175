//! Images put together of manifests, configs and blobs, wherever those are read from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::source::{CONTAINERD_NAME, REF_NAME, parse};
use super::{Blob, Image, Index, Layer, Raw, Root, digest_of, limits, media};
use crate::digest::Digest;
use crate::finding::failure;
use crate::parallel;
use crate::target::Platform;
use crate::term::tame;

/// How what a descriptor names is got.
pub struct Reads<'a> {
    /// Manifests and configs, of no more than so many bytes, compared with the
    /// descriptor's digest.
    pub json: &'a (dyn Fn(&Descriptor, u64) -> Result<Vec<u8>> + Sync),
    /// Where a layer of this digest and size is.
    pub blob: &'a (dyn Fn(&Digest, u64) -> Result<Blob> + Sync),
    /// How many images are got at a time.
    pub at_a_time: usize,
}

impl Reads<'_> {
    /// What the descriptor leads to: an image, or an index of images. Of an index,
    /// only the images for these platforms; all of them where none is named.
    pub fn root(&self, descriptor: &Descriptor, only: &[Platform]) -> Result<Root> {
        let raw = self.raw(descriptor, limits::MANIFEST)?;
        self.of(raw, only)
    }

    /// The same of a manifest or an index that is at hand.
    pub fn of(&self, raw: Raw, only: &[Platform]) -> Result<Root> {
        if !media::is_index(raw.descriptor.media_type()) {
            let image = self.image(raw, &|_| Ok(()))?;
            return Ok(Root::Image(Box::new(image)));
        }
        check_shape(&raw)?;
        let digest = raw.descriptor.digest();
        let index: ImageIndex = parse(&raw.bytes, digest.as_ref())?;
        let count = index.manifests().len();
        ensure!(count <= limits::MANIFESTS, "the index {digest} names {count} manifests");
        let wanted = wanted(index.manifests(), only)?;
        let budget = Budget::new(digest.as_ref());
        let mut times: BTreeMap<Named<'_>, (&Descriptor, u64)> = BTreeMap::new();
        for below in &wanted {
            budget.spend(below.size())?;
            times.entry(entry(below)).or_insert((below, 0)).1 += 1;
        }
        // Each is read once, however often it is named.
        let each: Vec<(Named<'_>, (&Descriptor, u64))> = times.into_iter().collect();
        let read = parallel::map(&each, self.at_a_time, |(_, (below, times))| {
            ensure!(
                !media::is_index(below.media_type()),
                "the index {digest} names another index, {}, and only images are expected there",
                below.digest()
            );
            self.image(self.raw(below, limits::MANIFEST)?, &|size| {
                budget.spend(size.saturating_mul(*times))
            })
        })?;
        let read: BTreeMap<Named<'_>, Image> =
            each.into_iter().map(|(named, _)| named).zip(read).collect();
        let images = wanted.into_iter().map(|below| {
            let image = read.get(&entry(below)).context("find what was read")?.clone();
            let platform = below.platform().as_ref().map(named);
            Ok((platform.map_or_else(|| image.platform(), Ok)?, image))
        });
        let images = images.collect::<Result<_>>()?;
        Ok(Root::Index(Box::new(Index {
            manifest: Raw { descriptor: bare(&raw.descriptor), ..raw },
            images,
        })))
    }

    /// The image of a manifest. `spend` is asked whether a config of so many bytes is read.
    fn image(&self, manifest: Raw, spend: &dyn Fn(u64) -> Result<()>) -> Result<Image> {
        check_shape(&manifest)?;
        let digest = manifest.descriptor.digest().clone();
        let parsed: ImageManifest = parse(&manifest.bytes, digest.as_ref())?;
        let count = parsed.layers().len();
        ensure!(count <= limits::LAYERS, "the manifest {digest} names {count} layers");
        spend(parsed.config().size())?;
        let config = self.raw(parsed.config(), limits::CONFIG)?;
        let blobs = parsed.layers().iter().map(|descriptor| {
            let blob = (self.blob)(&digest_of(descriptor)?, descriptor.size())?;
            Ok((bare(descriptor), blob))
        });
        let blobs: Vec<(Descriptor, Blob)> = blobs.collect::<Result<_>>()?;
        let manifest = Raw { descriptor: bare(&manifest.descriptor), ..manifest };
        Image::of(manifest, config, blobs)
    }

    fn raw(&self, descriptor: &Descriptor, limit: u64) -> Result<Raw> {
        let (digest, size) = (digest_of(descriptor)?, descriptor.size());
        ensure!(
            size <= limit,
            "{digest} is said to have {size} bytes, and no more than {limit} are read"
        );
        let bytes = (self.json)(descriptor, limit)?;
        Ok(Raw { bytes: Arc::from(bytes), descriptor: descriptor.clone() })
    }
}

/// What may still be read of an index that names much.
struct Budget<'a> {
    index: &'a str,
    spent: AtomicU64,
}

impl Budget<'_> {
    fn new(index: &str) -> Budget<'_> {
        Budget { index, spent: AtomicU64::new(0) }
    }

    fn spend(&self, size: u64) -> Result<()> {
        let before = self.spent.fetch_add(size.min(limits::JSON), Ordering::Relaxed);
        ensure!(
            size <= limits::JSON && before <= limits::JSON - size,
            "the manifests and configs that the index {} names have more than {} bytes together",
            self.index,
            limits::JSON
        );
        Ok(())
    }
}

/// What an entry of an index names, whatever it says beside that.
type Named<'a> = (&'a str, u64, String);

fn entry(of: &Descriptor) -> Named<'_> {
    (of.digest().as_ref(), of.size(), of.media_type().to_string())
}

/// The images of an index that run on these platforms, each once; all, where no
/// platform is named.
fn wanted<'a>(all: &'a [Descriptor], only: &[Platform]) -> Result<Vec<&'a Descriptor>> {
    // Whether one fits that names no platform, its config tells.
    if only.is_empty() || all.iter().any(|below| below.platform().is_none()) {
        return Ok(all.iter().collect());
    }
    let known: Vec<(Platform, &Descriptor)> = all
        .iter()
        .filter_map(|below| Some((below.platform().as_ref().map(named)?, below)))
        .collect();
    let mut wanted: Vec<&Descriptor> = Vec::new();
    for platform in only {
        let nearest = platform.nearest(known.iter().map(|(platform, below)| (platform, *below)));
        let Some(nearest) = nearest else {
            return Err(missing(platform, known.iter().map(|(platform, _)| platform)));
        };
        if !wanted.iter().any(|other| other.digest() == nearest.digest()) {
            wanted.push(nearest);
        }
    }
    Ok(wanted)
}

/// The error that there is no image for a platform.
pub fn missing<'a>(
    platform: &Platform,
    known: impl Iterator<Item = &'a Platform>,
) -> anyhow::Error {
    let names: Vec<String> = known.map(|known| tame(&known.to_string())).collect();
    failure(
        format!("it has no image for {platform}, but for {}", names.join(", ")),
        "build for one of these, or use another image",
    )
}

/// What tells kinds of manifests apart, whatever their media type says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

impl Image {
    /// Joins what was read, where each layer has its diff ID.
    pub fn of(manifest: Raw, config: Raw, blobs: Vec<(Descriptor, Blob)>) -> Result<Image> {
        let diff_ids: Vec<Digest> = match media::is_config(config.descriptor.media_type()) {
            true => {
                let facts: Facts = parse(&config.bytes, config.descriptor.digest().as_ref())?;
                let ids = facts.rootfs.diff_ids.iter().map(|id| Digest::parse(id));
                ids.collect::<Result<_>>().context("read the config's diff IDs")?
            }
            // An artifact's blobs are no file systems.
            false => blobs.iter().map(|(of, _)| digest_of(of)).collect::<Result<_>>()?,
        };
        ensure!(
            diff_ids.len() == blobs.len(),
            "the manifest {} names {} layers, and its config {}",
            manifest.descriptor.digest(),
            blobs.len(),
            diff_ids.len()
        );
        let layers = blobs.into_iter().zip(diff_ids);
        let layers =
            layers.map(|((descriptor, blob), diff_id)| Layer { descriptor, diff_id, blob });
        Ok(Image { manifest, config, layers: layers.collect() })
    }

    /// The config.
    pub fn parsed(&self) -> Result<ImageConfiguration> {
        parse(&self.config.bytes, self.config.descriptor.digest().as_ref())
    }

    /// Whether it is something else that is kept like an image.
    pub fn is_artifact(&self) -> bool {
        !media::is_config(self.config.descriptor.media_type())
    }

    /// What its config says that it runs on.
    pub fn platform(&self) -> Result<Platform> {
        let Facts { os, architecture, variant, .. } =
            parse(&self.config.bytes, self.config.descriptor.digest().as_ref())?;
        Ok(Platform { os, architecture, variant: variant.filter(|variant| !variant.is_empty()) })
    }
}

/// What is needed of a config. All of it takes many times its size in memory.
#[derive(Deserialize)]
struct Facts {
    os: String,
    architecture: String,
    variant: Option<String>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The descriptor without what its place in an index or a manifest added.
fn bare(descriptor: &Descriptor) -> Descriptor {
    let mut bare = descriptor.clone();
    bare.set_platform(None);
    let mut kept = bare.annotations().clone();
    if let Some(annotations) = &mut kept {
        annotations.retain(|name, _| name != REF_NAME && name != CONTAINERD_NAME);
    }
    bare.set_annotations(kept.filter(|annotations| !annotations.is_empty()));
    bare
}

/// A platform as an index names it. BuildKit calls what is none `unknown/unknown`.
fn named(platform: &oci_spec::image::Platform) -> Platform {
    Platform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
        variant: platform.variant().clone().filter(|variant| !variant.is_empty()),
    }
}

/// Refuses what is not what its media type says: the same bytes must not be an
/// image here and an index elsewhere.
/// <https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>
pub fn check_shape(raw: &Raw) -> Result<()> {
    let digest = raw.descriptor.digest();
    let media_type = raw.descriptor.media_type();
    let shape: Shape = parse(&raw.bytes, digest.as_ref())?;
    let schema_1 = shape.schema_version == 1 || media::is_schema_1(media_type.as_ref());
    if schema_1 {
        bail!(failure(
            format!("the manifest {digest} is of Docker's schema 1, which nothing writes any more"),
            "convert it, for example with `skopeo copy --format oci`",
        ));
    }
    let index = media::is_index(media_type);
    ensure!(
        index || media::is_image(media_type),
        "the manifest {digest} has the media type {}, which is neither an image's nor an index's",
        tame(media_type.as_ref())
    );
    let own = shape.media_type.as_deref();
    ensure!(
        own.is_none_or(|own| own == media_type.as_ref()),
        "the manifest {digest} is called {media_type}, and calls itself {}",
        tame(own.unwrap_or_default())
    );
    let (named, other) = match index {
        true => (shape.manifests.is_some(), shape.layers.is_some()),
        false => (shape.layers.is_some(), shape.manifests.is_some()),
    };
    ensure!(named && !other, "the manifest {digest} is not of the kind that it is said to be");
    Ok(())
}
