//! Images assembled from manifests, configs and blobs, whatever they are read from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::spec::ImageConfiguration;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::descriptor::{RawDescriptor, RawIndex, RawManifest};
use super::json::parse;
use super::{Blob, Descriptor, Image, Index, Layer, Raw, Root, limits, media};
use crate::digest::Digest;
use crate::finding::failure;
use crate::parallel;
use crate::target::Platform;
use crate::term::tame;

/// How blobs are read.
pub struct Reads<'a> {
    /// Reads a manifest or a config of at most that many bytes, and compares it with the
    /// descriptor's digest.
    pub json: &'a (dyn Fn(&Descriptor, u64) -> Result<Vec<u8>> + Sync),
    /// Finds a layer by its digest and size.
    pub blob: &'a (dyn Fn(&Digest, u64) -> Result<Blob> + Sync),
    /// How many images are read at a time.
    pub at_a_time: usize,
}

impl Reads<'_> {
    /// The image or the index of the descriptor. Of an index, it reads the images for the
    /// platforms in `only`, or all where that is empty.
    pub fn root(&self, descriptor: &RawDescriptor, only: &[Platform]) -> Result<Root> {
        let raw = self.raw(descriptor.parse()?, limits::MANIFEST)?;
        self.of(raw, only)
    }

    /// The same for a manifest or an index that was read already.
    pub fn of(&self, raw: Raw, only: &[Platform]) -> Result<Root> {
        let root = if media::is_index(&raw.descriptor.media_type) {
            Root::Index(Box::new(self.index(raw, only)?))
        } else {
            Root::Image(Box::new(self.image(raw, &|_| Ok(()))?))
        };
        root.check_sizes()?;
        Ok(root)
    }

    fn index(&self, manifest: Raw, only: &[Platform]) -> Result<Index> {
        check_shape(&manifest)?;
        let digest = manifest.digest();
        let index: RawIndex = parse(&manifest.bytes, &digest.to_string())?;
        let count = index.manifests.len();
        ensure!(count <= limits::MANIFESTS, "the index {digest} names {count} manifests");
        let wanted = wanted(&index.manifests, only)?.into_iter();
        let wanted: Vec<(Option<Platform>, Descriptor)> =
            wanted.map(|below| Ok((below.platform(), below.parse()?))).collect::<Result<_>>()?;
        let budget = Budget { index: digest, spent: AtomicU64::new(0) };
        let mut times: BTreeMap<Identity<'_>, (&Descriptor, u64)> = BTreeMap::new();
        for (_, below) in &wanted {
            budget.spend(below.size)?;
            times.entry(identity(below)).or_insert((below, 0)).1 += 1;
        }
        // A manifest that is named several times is read once.
        let each: Vec<(Identity<'_>, (&Descriptor, u64))> = times.into_iter().collect();
        let read = parallel::map(&each, self.at_a_time, |(_, (below, times))| {
            ensure!(
                !media::is_index(&below.media_type),
                "the index {digest} names another index, {}, and only images are expected there",
                below.digest
            );
            self.image(self.raw((*below).clone(), limits::MANIFEST)?, &|size| {
                budget.spend(size.saturating_mul(*times))
            })
        })?;
        let read: BTreeMap<Identity<'_>, Image> =
            each.into_iter().map(|(identity, _)| identity).zip(read).collect();
        let images = wanted.iter().map(|(platform, below)| {
            let image = read.get(&identity(below)).context("find what was read")?.clone();
            Ok((platform.clone().map_or_else(|| image.platform(), Ok)?, image))
        });
        Ok(Index { images: images.collect::<Result<_>>()?, manifest })
    }

    /// The image of a manifest. `spend` fails where a config of that size must not be read.
    fn image(&self, manifest: Raw, spend: &dyn Fn(u64) -> Result<()>) -> Result<Image> {
        check_shape(&manifest)?;
        let digest = manifest.digest();
        let parsed: RawManifest = parse(&manifest.bytes, &digest.to_string())?;
        let count = parsed.layers.len();
        ensure!(count <= limits::LAYERS, "the manifest {digest} names {count} layers");
        spend(parsed.config.size)?;
        let config = self.raw(parsed.config.parse()?, limits::CONFIG)?;
        let blobs = parsed.layers.iter().map(|layer| {
            let descriptor = layer.parse()?;
            let blob = (self.blob)(&descriptor.digest, descriptor.size)?;
            Ok((descriptor, blob))
        });
        let blobs: Vec<(Descriptor, Blob)> = blobs.collect::<Result<_>>()?;
        Image::of(manifest, config, blobs)
    }

    fn raw(&self, descriptor: Descriptor, limit: u64) -> Result<Raw> {
        let Descriptor { digest, size, .. } = descriptor;
        ensure!(
            size <= limit,
            "{digest} is said to have {size} bytes, and no more than {limit} are read"
        );
        let bytes = (self.json)(&descriptor, limit)?;
        Ok(Raw { bytes: Arc::from(bytes), descriptor })
    }
}

/// How much was read of an index, against a limit.
struct Budget {
    index: Digest,
    spent: AtomicU64,
}

impl Budget {
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

/// What two equal entries of an index have in common.
type Identity<'a> = (Digest, u64, &'a str);

fn identity(of: &Descriptor) -> Identity<'_> {
    (of.digest, of.size, of.media_type.as_ref())
}

impl Root {
    /// The image that runs on the platform.
    pub fn narrow(&self, platform: &Platform) -> Result<Image> {
        let images = self.images();
        let known: Vec<(Platform, &Image)> = images
            .into_iter()
            .map(|(named, image)| Ok((named.cloned().map_or_else(|| image.platform(), Ok)?, image)))
            .collect::<Result<_>>()?;
        let nearest = platform.nearest(known.iter().map(|(platform, image)| (platform, *image)));
        nearest.cloned().ok_or_else(|| missing(platform, known.iter().map(|(named, _)| named)))
    }
}

/// The entries for the platforms in `only`, each once; all, where that is empty.
fn wanted<'a>(all: &'a [RawDescriptor], only: &[Platform]) -> Result<Vec<&'a RawDescriptor>> {
    // Where an entry has no platform, its config says it.
    if only.is_empty() || all.iter().any(|below| below.platform.is_none()) {
        return Ok(all.iter().collect());
    }
    let known: Vec<(Platform, &RawDescriptor)> =
        all.iter().filter_map(|below| Some((below.platform()?, below))).collect();
    let mut wanted: Vec<&RawDescriptor> = Vec::new();
    for platform in only {
        let nearest = platform.nearest(known.iter().map(|(platform, below)| (platform, *below)));
        let Some(nearest) = nearest else {
            return Err(missing(platform, known.iter().map(|(platform, _)| platform)));
        };
        if !wanted.iter().any(|other| other.digest == nearest.digest) {
            wanted.push(nearest);
        }
    }
    Ok(wanted)
}

/// The error that there is no image for a platform.
fn missing<'a>(platform: &Platform, known: impl Iterator<Item = &'a Platform>) -> anyhow::Error {
    let names: Vec<String> = known.map(|known| tame(&known.to_string())).collect();
    failure(
        format!("it has no image for {platform}, but for {}", names.join(", ")),
        "build only for one of these, with `targets` in [package.metadata.dockless] or `--target`, \
         or use another image",
    )
}

/// The fields by which kinds of manifests differ.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

impl Image {
    /// Joins the parts. Fails where layers and diff IDs differ in number.
    pub fn of(manifest: Raw, config: Raw, blobs: Vec<(Descriptor, Blob)>) -> Result<Image> {
        let diff_ids: Vec<Digest> = if media::is_config(&config.descriptor.media_type) {
            let facts: Facts = parse(&config.bytes, &config.digest().to_string())?;
            let ids = facts.rootfs.diff_ids.iter().map(|id| Digest::parse(id));
            ids.collect::<Result<_>>().context("read the config's diff IDs")?
        } else {
            // An artifact's blobs are not file systems.
            blobs.iter().map(|(of, _)| of.digest).collect()
        };
        ensure!(
            diff_ids.len() == blobs.len(),
            "the manifest {} names {} layers, and its config {}",
            manifest.digest(),
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
        parse(&self.config.bytes, &self.config.digest().to_string())
    }

    /// The config as it is written, with the fields that are not modelled.
    pub fn config_json(&self) -> Result<Value> {
        parse(&self.config.bytes, &self.config.digest().to_string())
    }

    /// Whether it is not a container's image, but is stored like one.
    pub fn is_artifact(&self) -> bool {
        !media::is_config(&self.config.descriptor.media_type)
    }

    /// The platform in its config.
    pub fn platform(&self) -> Result<Platform> {
        let Facts { os, architecture, variant, .. } =
            parse(&self.config.bytes, &self.config.digest().to_string())?;
        Ok(Platform { os, architecture, variant: variant.filter(|variant| !variant.is_empty()) })
    }
}

/// The fields of a config that are needed here. A whole config takes many times its size in
/// memory.
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

/// Fails where the content does not match the media type: the same bytes must not be an
/// image to one tool and an index to another.
/// <https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>
pub fn check_shape(raw: &Raw) -> Result<()> {
    let digest = raw.digest();
    let media_type = &raw.descriptor.media_type;
    let shape: Shape = parse(&raw.bytes, &digest.to_string())?;
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
    let (named, other) = if index {
        (shape.manifests.is_some(), shape.layers.is_some())
    } else {
        (shape.layers.is_some(), shape.manifests.is_some())
    };
    ensure!(named && !other, "the manifest {digest} does not match its media type");
    Ok(())
}
