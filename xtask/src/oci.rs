//! Images as values: read from somewhere, made of layers, written by sinks.
//!
//! A value holds its manifests and configs as the bytes that were hashed, and
//! says of layers where they lie. <https://github.com/opencontainers/image-spec>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Take, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use oci_spec::image::{Descriptor, DigestAlgorithm, MediaType, Sha256Digest};
use serde::Serialize;

use crate::digest::{Digest, HashingWriter};
use crate::files;
use crate::finding::failure;
use crate::reference::Repository;
use crate::target::Platform;

mod archive;
mod assemble;
mod base_tree;
mod bounded;
mod build;
mod entry;
mod gzip;
pub mod json;
mod layer;
pub mod limits;
pub mod media;
mod rootfs;
mod source;
pub mod tape;
mod tree;
mod validate;
mod zstd;

pub use assemble::Reads;
#[cfg(any(fuzzing, test))]
pub use base_tree::{At, Tree as BaseTree};
pub use build::{Base, Built, base, build_image, on};
pub use rootfs::labels as builtin_labels;
pub use source::{CONTAINERD_NAME, Found, REF_NAME, index_of, open, parse};
pub use tree::{names_folders, rootfs_tar};
pub use validate::validate;
#[cfg(any(fuzzing, test))]
pub use zstd::Decoder as Zstd;

/// The annotation and the label that tell a version.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
const VERSION: &str = "org.opencontainers.image.version";

/// JSON as it is stored, and what manifests above it say of it.
#[derive(Clone, Debug)]
pub struct Raw {
    pub bytes: Arc<[u8]>,
    pub descriptor: Descriptor,
}

/// Where bytes are.
#[derive(Clone, Debug)]
pub enum Blob {
    Bytes(Arc<[u8]>),
    /// In a file from this offset on, as many as the descriptor says.
    File {
        path: PathBuf,
        at: u64,
    },
    /// In a registry still. Whoever writes it elsewhere gets it first.
    Remote(Repository),
}

/// A layer of a file system; or, of an artifact, any blob, whose diff ID then is
/// its digest.
#[derive(Clone, Debug)]
pub struct Layer {
    pub descriptor: Descriptor,
    /// The digest of the tar that the blob holds.
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

/// What a reference leads to.
#[derive(Clone, Debug)]
pub enum Root {
    Image(Box<Image>),
    Index(Box<Index>),
}

/// A digest as oci-spec has it.
pub fn sha256(digest: &Digest) -> Sha256Digest {
    digest.hex().parse().expect("64 hex digits are a SHA-256 digest")
}

/// The digest that a descriptor names.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    let digest = descriptor.digest();
    match digest.algorithm() {
        DigestAlgorithm::Sha256 => Digest::parse(digest.as_ref()),
        other => bail!("{digest} is a {} digest, and only sha256 is read", other.as_ref()),
    }
}

impl Raw {
    /// Serialises the value, once.
    pub fn of(value: &impl Serialize, media_type: MediaType) -> Result<Raw> {
        let bytes = json::bytes(value)?;
        let descriptor =
            Descriptor::new(media_type, bytes.len() as u64, sha256(&Digest::of(&bytes)));
        Ok(Raw { bytes: bytes.into(), descriptor })
    }

    pub fn digest(&self) -> Result<Digest> {
        digest_of(&self.descriptor)
    }

    fn blob(&self) -> (&Descriptor, Blob) {
        (&self.descriptor, Blob::Bytes(self.bytes.clone()))
    }
}

impl Image {
    /// Everything below the manifest, and it, last.
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

    pub fn digest(&self) -> Result<Digest> {
        self.raw().digest()
    }

    /// The images, with the platforms that an index names.
    pub fn images(&self) -> Vec<(Option<&Platform>, &Image)> {
        match self {
            Root::Image(image) => vec![(None, image)],
            Root::Index(index) => {
                index.images.iter().map(|(platform, image)| (Some(platform), image)).collect()
            }
        }
    }

    /// All blobs by digest, each once, what is referred to before what refers to
    /// it: so a copy that ends early refers to nothing that is missing.
    pub fn blobs(&self) -> Result<Vec<(Digest, u64, Blob)>> {
        let images = self.images();
        let below = images.iter().flat_map(|(_, image)| image.blobs());
        let index = match self {
            Root::Index(index) => Some(index.manifest.blob()),
            Root::Image(_) => None,
        };
        let mut seen = BTreeMap::new();
        let mut blobs = Vec::new();
        for (descriptor, blob) in below.chain(index) {
            let digest = digest_of(descriptor)?;
            match seen.insert(digest, descriptor.size()) {
                None => blobs.push((digest, descriptor.size(), blob)),
                Some(size) if size == descriptor.size() => {}
                Some(size) => {
                    bail!(
                        "{digest} has {size} bytes in one place and {} in another",
                        descriptor.size()
                    )
                }
            }
        }
        Ok(blobs)
    }

    /// What its blobs take together, each once, in bytes.
    pub fn size(&self) -> Result<u64> {
        let blobs = self.blobs()?;
        let size = blobs.iter().try_fold(0u64, |sum, (_, size, _)| sum.checked_add(*size));
        size.context("its blobs are said to have more bytes together than 64 bits can count")
    }

    /// The version that it says it has.
    pub fn version(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Annotated {
            #[serde(default)]
            annotations: BTreeMap<String, String>,
        }
        let own = parse::<Annotated>(&self.raw().bytes, "the manifest").ok();
        let own = own.and_then(|it| it.annotations.get(VERSION).cloned());
        own.or_else(|| {
            let images = self.images();
            let config = images.first()?.1.parsed().ok()?;
            config.config().as_ref()?.labels().as_ref()?.get(VERSION).cloned()
        })
    }

    /// The image that runs on the platform.
    pub fn narrow(&self, platform: &Platform) -> Result<Image> {
        let images = self.images();
        let known: Vec<(Platform, &Image)> = images
            .into_iter()
            .map(|(named, image)| Ok((named.cloned().map_or_else(|| image.platform(), Ok)?, image)))
            .collect::<Result<_>>()?;
        let nearest = platform.nearest(known.iter().map(|(platform, image)| (platform, *image)));
        let missing = || assemble::missing(platform, known.iter().map(|(named, _)| named));
        nearest.cloned().ok_or_else(missing)
    }
}

impl Blob {
    /// The bytes, no more than `size` of them.
    pub fn open(&self, size: u64) -> Result<BlobReader> {
        Ok(match self {
            Blob::Bytes(bytes) => BlobReader::Bytes(Cursor::new(bytes.clone())),
            Blob::File { path, at } => {
                let mut file = files::open_regular(path)?;
                let context = || format!("read {}", path.display());
                let length = file.metadata().with_context(context)?.len();
                if at.checked_add(size).is_none_or(|end| end > length) {
                    bail!("{} ends before its {size} bytes do", path.display());
                }
                file.seek(SeekFrom::Start(*at)).with_context(context)?;
                BlobReader::File(file.take(size))
            }
            Blob::Remote(repository) => bail!("it is in {repository}, and was not got from there"),
        })
    }

    /// Writes the bytes to `to`, and fails where they are not those of the digest:
    /// what was written is worth nothing then.
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
                "it was damaged or changed: make or copy that image anew",
            ));
        }
        Ok(())
    }
}

/// A blob's bytes.
pub enum BlobReader {
    Bytes(Cursor<Arc<[u8]>>),
    File(Take<File>),
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            BlobReader::Bytes(bytes) => bytes.read(buffer),
            BlobReader::File(file) => file.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests;
