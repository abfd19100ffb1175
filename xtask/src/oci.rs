//! Images as values: read from a source, made of layers, written by sinks.
//!
//! A value holds its manifests and configs as the bytes that were hashed, and the places
//! of its layers. <https://github.com/opencontainers/image-spec>

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::digest::{Digest, HashingWriter};
use crate::files;
use crate::finding::failure;
use crate::reference::{Reference, Repository};
use crate::target::Platform;

mod archive;
mod assemble;
mod base_tree;
mod bounded;
mod build;
mod contents;
mod descriptor;
mod entry;
mod gzip;
pub mod json;
mod layer;
pub mod limits;
pub mod media;
mod rootfs;
mod source;
mod spec;
pub mod tar_reader;
mod tree;
mod validate;
mod zstd;

pub use archive::SavedImage;
pub use assemble::Reads;
#[cfg(any(fuzzing, test))]
pub use base_tree::{At, Tree as BaseTree};
pub use bounded::Allowance;
pub use build::{Base, Parts, base, build_image, on};
pub use contents::contents;
pub use descriptor::{CONTAINERD_NAME, Descriptor, REF_NAME, RawDescriptor, RawIndex, RawManifest};
pub use json::parse;
pub use layer::LayerEvent;
pub use rootfs::{BuiltinData, data as builtin_data, labels as builtin_labels};
pub use source::{form_of, index_of, open};
pub use spec::MediaType;
pub use tree::{names_folders, rootfs_tar};
pub use validate::validate;
#[cfg(any(fuzzing, test))]
pub use zstd::Decoder as Zstd;

/// The annotation and the label for an image's version.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
const VERSION: &str = "org.opencontainers.image.version";

/// JSON as it is stored, and its descriptor.
#[derive(Clone, Debug)]
pub struct Raw {
    pub bytes: Arc<[u8]>,
    pub descriptor: Descriptor,
}

/// Where bytes are.
#[derive(Clone, Debug)]
pub enum Blob {
    Bytes(Arc<[u8]>),
    /// In a file, from this offset on.
    File {
        path: PathBuf,
        at: u64,
    },
    /// Still in a registry. It is fetched before it is written elsewhere.
    Remote(Repository),
}

/// A layer of a file system. For an artifact, it is any blob, and the diff ID is its
/// digest.
#[derive(Clone, Debug)]
pub struct Layer {
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    pub blob: Blob,
}

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    pub manifest: Raw,
    pub config: Raw,
    pub layers: Vec<Layer>,
}

/// Images for several platforms.
#[derive(Clone, Debug)]
pub struct Index {
    pub manifest: Raw,
    pub images: Vec<(Platform, Image)>,
}

/// What a reference names.
#[derive(Clone, Debug)]
pub enum Root {
    Image(Box<Image>),
    Index(Box<Index>),
}

/// An image in a registry, a folder or a file.
pub struct FoundImage {
    pub root: Root,
    /// Its full names there.
    pub names: Vec<Reference>,
}

impl Raw {
    /// Serialises and hashes the value, once.
    pub fn of(value: &impl Serialize, media_type: MediaType) -> Result<Raw> {
        let bytes = json::bytes(value)?;
        let digest = Digest::of(&bytes);
        Ok(Raw::new(bytes, media_type, digest))
    }

    /// Bytes whose digest is known.
    pub fn new(bytes: Vec<u8>, media_type: MediaType, digest: Digest) -> Raw {
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        Raw { bytes: bytes.into(), descriptor }
    }

    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    fn blob(&self) -> (&Descriptor, Blob) {
        (&self.descriptor, Blob::Bytes(self.bytes.clone()))
    }
}

impl Image {
    /// All blobs, with the manifest last.
    fn blobs(&self) -> impl Iterator<Item = (&Descriptor, Blob)> {
        let layers = self.layers.iter().map(|layer| (&layer.descriptor, layer.blob.clone()));
        layers.chain([self.config.blob(), self.manifest.blob()])
    }
}

impl Root {
    pub fn raw(&self) -> &Raw {
        match self {
            Root::Image(image) => &image.manifest,
            Root::Index(index) => &index.manifest,
        }
    }

    pub fn digest(&self) -> Digest {
        self.raw().digest()
    }

    /// The images, with their platforms where an index names them.
    pub fn images(&self) -> Vec<(Option<&Platform>, &Image)> {
        match self {
            Root::Image(image) => vec![(None, image)],
            Root::Index(index) => {
                index.images.iter().map(|(platform, image)| (Some(platform), image)).collect()
            }
        }
    }

    /// All blobs by digest, each once. A blob comes before those that refer to it, so a copy
    /// that is cut short refers to nothing that is missing.
    pub fn blobs(&self) -> Vec<(Digest, u64, Blob)> {
        let mut seen = BTreeSet::new();
        let all = self.all_blobs().into_iter();
        let each = all.filter(|(descriptor, _)| seen.insert(descriptor.digest));
        each.map(|(descriptor, blob)| (descriptor.digest, descriptor.size, blob)).collect()
    }

    /// The size of all blobs, each counted once, in bytes.
    pub fn size(&self) -> u64 {
        self.blobs().iter().map(|(_, size, _)| size).sum()
    }

    fn all_blobs(&self) -> Vec<(&Descriptor, Blob)> {
        let images = self.images().into_iter();
        let mut all: Vec<_> = images.flat_map(|(_, image)| image.blobs()).collect();
        if let Root::Index(index) = self {
            all.push(index.manifest.blob());
        }
        all
    }

    /// Fails where one blob has two sizes, or where the sum of all sizes overflows.
    fn check_sizes(&self) -> Result<()> {
        let mut sizes = BTreeMap::new();
        for (Descriptor { digest, size, .. }, _) in self.all_blobs() {
            let other = *sizes.entry(*digest).or_insert(*size);
            ensure!(
                other == *size,
                "{digest} has {other} bytes in one place and {size} in another"
            );
        }
        let sum = sizes.values().try_fold(0u64, |sum, size| sum.checked_add(*size));
        sum.map(drop).context("the sizes of its blobs add up to more than 64 bits can count")
    }

    /// The version in its annotations or its labels.
    pub fn version(&self) -> Option<String> {
        let own: Option<Value> = parse(&self.raw().bytes, "the manifest").ok();
        let own = own.and_then(|own| own["annotations"][VERSION].as_str().map(str::to_owned));
        own.or_else(|| {
            let images = self.images();
            let config = images.first()?.1.parsed().ok()?;
            config.config?.labels?.get(VERSION).cloned()
        })
    }
}

impl Blob {
    /// A reader of its first `size` bytes.
    pub fn open(&self, size: u64) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Blob::Bytes(bytes) => Box::new(&bytes[..]),
            Blob::File { path, at } => {
                let mut file = files::open_regular(path)?;
                let context = || format!("read {}", path.display());
                let length = file.metadata().with_context(context)?.len();
                if at.checked_add(size).is_none_or(|end| end > length) {
                    bail!("{} ends before its {size} bytes do", path.display());
                }
                file.seek(SeekFrom::Start(*at)).with_context(context)?;
                Box::new(file.take(size))
            }
            Blob::Remote(repository) => {
                bail!("it is in {repository}, and was not fetched from there")
            }
        })
    }

    /// Writes the bytes to `to`. Fails where they do not match the digest; what was written
    /// must then be discarded.
    pub fn copy(&self, digest: &Digest, size: u64, to: impl Write) -> Result<()> {
        let mut to = HashingWriter::new(to);
        let mut from = self.open(size).with_context(|| format!("read {digest}"))?;
        std::io::copy(&mut from, &mut to).with_context(|| format!("copy {digest}"))?;
        let (mut to, found, written) = to.finish();
        to.flush().with_context(|| format!("copy {digest}"))?;
        if (&found, written) != (digest, size) {
            let place = match self {
                Blob::File { path, .. } => format!(" in {}", path.display()),
                Blob::Bytes(_) | Blob::Remote(_) => String::new(),
            };
            bail!(failure(
                format!("the blob {digest} of {size} bytes{place} holds other bytes: {found}"),
                "it was damaged or changed: make or copy that image again",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
