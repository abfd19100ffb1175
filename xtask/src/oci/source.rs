//! Images read from folders and files. All of it is foreign: what is read into
//! memory has a limit, and is what its digest says, or is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Blob, Image, Index, Layer, Raw, Root, archive, digest_of, limits, media, tame};
use crate::digest::Digest;
use crate::files;
use crate::finding::{Help, failure};
use crate::reference::{Form, Reference, Stored};
use crate::target::Platform;

/// The annotation by which a layout names an image: its tag.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which containerd, podman and `docker load` keep an image: its
/// full name. <https://github.com/containerd/containerd/blob/main/core/images/annotations.go>
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image that was found.
pub struct Found {
    pub root: Root,
    /// Its full names there.
    pub names: Vec<Reference>,
}

/// What a layout's files are read from.
pub enum Store {
    Folder(PathBuf),
    Archive(archive::Archive),
}

/// Reads what the name means: manifests and configs, and where the layers are. The
/// layers themselves are not read.
pub fn open(stored: &Stored) -> Result<Found> {
    let root = match stored.form {
        Form::DockerArchive => return archive::Archive::open(&stored.path)?.docker_image(stored),
        Form::OciArchive => Store::Archive(archive::Archive::open(&stored.path)?),
        Form::Layout => Store::Folder(stored.path.clone()),
    };
    root.layout(stored)
}

/// The images that a layout in a folder names.
pub fn index_of(layout: &Path) -> Result<ImageIndex> {
    Store::Folder(layout.to_owned()).index()
}

/// The file that marks a layout.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutMark {
    image_layout_version: String,
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

impl Store {
    fn path(&self) -> &Path {
        match self {
            Store::Folder(path) => path,
            Store::Archive(archive) => archive.path(),
        }
    }

    /// Reads a file of the layout that is not larger than `limit` bytes.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let context = || format!("read {name} of {}", self.path().display());
        match self {
            Store::Folder(path) => {
                files::ensure_within(&path.join(name), path)?;
                let file: File = files::open_regular(&path.join(name))?;
                let size = file.metadata().with_context(context)?.len();
                read_limited(file, size, limit).with_context(context)
            }
            Store::Archive(archive) => archive.read(name, limit).with_context(context),
        }
    }

    fn blob(&self, digest: &Digest, size: u64) -> Result<Blob> {
        let name = format!("blobs/sha256/{}", digest.hex());
        match self {
            Store::Folder(path) => {
                let path = path.join(name);
                // One that is not there may never be needed.
                let found = files::list_one(&path)?.map_or(size, |entry| entry.size);
                ensure!(
                    found == size,
                    "{} has {found} bytes, and {size} are named",
                    path.display()
                );
                Ok(Blob::File { path, at: 0 })
            }
            Store::Archive(archive) => archive.blob(&name, Some(size)),
        }
    }

    /// The images that the layout names, where it is one of a known version.
    fn index(&self) -> Result<ImageIndex> {
        let place = || format!("read the OCI layout {}", self.path().display());
        let mark =
            self.read("oci-layout", limits::MANIFEST).with_context(place).map_err(|error| {
                let fix = "name a folder that holds the file oci-layout, or a tar file of one";
                error.context(Help(fix.to_owned()))
            })?;
        let mark: LayoutMark = parse(&mark, "oci-layout").with_context(place)?;
        ensure!(
            mark.image_layout_version.starts_with("1."),
            "{}: version {:?} of layouts is not known, only 1.0.0",
            self.path().display(),
            mark.image_layout_version
        );
        let bytes = self.read("index.json", limits::MANIFEST).with_context(place)?;
        parse(&bytes, "index.json").with_context(place)
    }

    fn layout(&self, stored: &Stored) -> Result<Found> {
        let place = || format!("read the OCI layout {}", self.path().display());
        let index = self.index()?;
        let descriptor = pick(index.manifests(), stored).with_context(place)?;
        let root = self.root(descriptor).with_context(place)?;
        let all = index.manifests().iter().filter(|of| of.digest() == descriptor.digest());
        let names = all.filter_map(|of| of.annotations().as_ref()?.get(CONTAINERD_NAME));
        // A name that is none was given by somebody else, and is not ours to repair.
        let names = names.filter_map(|name| Reference::parse(name).ok());
        Ok(Found { root, names: names.collect() })
    }

    /// What the descriptor leads to: an image, or an index of images.
    fn root(&self, descriptor: &Descriptor) -> Result<Root> {
        let raw = self.raw(descriptor, limits::MANIFEST)?;
        if !media::is_index(descriptor.media_type()) {
            return self.image(raw).map(|image| Root::Image(Box::new(image)));
        }
        check_shape(&raw)?;
        let digest = descriptor.digest();
        let index: ImageIndex = parse(&raw.bytes, digest.as_ref())?;
        let count = index.manifests().len();
        ensure!(count <= limits::MANIFESTS, "the index {digest} names {count} manifests");
        let mut images = Vec::new();
        for below in index.manifests() {
            ensure!(
                !media::is_index(below.media_type()),
                "the index {digest} names another index, {}, and only images are expected there",
                below.digest()
            );
            let image = self.image(self.raw(below, limits::MANIFEST)?)?;
            let platform = below.platform().as_ref().map(named);
            let platform = platform.unwrap_or_else(|| image.platform());
            images.push((platform?, image));
        }
        Ok(Root::Index(Box::new(Index {
            manifest: Raw { descriptor: bare(&raw.descriptor), ..raw },
            images,
        })))
    }

    fn image(&self, manifest: Raw) -> Result<Image> {
        check_shape(&manifest)?;
        let digest = manifest.descriptor.digest().clone();
        let parsed: ImageManifest = parse(&manifest.bytes, digest.as_ref())?;
        let count = parsed.layers().len();
        ensure!(count <= limits::LAYERS, "the manifest {digest} names {count} layers");
        let config = self.raw(parsed.config(), limits::CONFIG)?;
        let blobs = parsed.layers().iter().map(|descriptor| {
            let blob = self.blob(&digest_of(descriptor)?, descriptor.size())?;
            Ok((bare(descriptor), blob))
        });
        let blobs: Vec<(Descriptor, Blob)> = blobs.collect::<Result<_>>()?;
        let manifest = Raw { descriptor: bare(&manifest.descriptor), ..manifest };
        Image::of(manifest, config, blobs)
    }

    /// Reads JSON that a descriptor names, and compares it with that.
    fn raw(&self, descriptor: &Descriptor, limit: u64) -> Result<Raw> {
        let digest = digest_of(descriptor)?;
        let size = descriptor.size();
        ensure!(
            size <= limit,
            "{digest} is said to have {size} bytes, and no more than {limit} are read"
        );
        let mut bytes = Vec::new();
        self.blob(&digest, size)?.copy(&digest, size, &mut bytes)?;
        Ok(Raw { bytes: Arc::from(bytes), descriptor: descriptor.clone() })
    }
}

impl Image {
    /// Joins what was read, where each layer has its diff ID.
    pub fn of(manifest: Raw, config: Raw, blobs: Vec<(Descriptor, Blob)>) -> Result<Image> {
        let diff_ids: Vec<Digest> = match media::is_config(config.descriptor.media_type()) {
            true => {
                let parsed: ImageConfiguration =
                    parse(&config.bytes, config.descriptor.digest().as_ref())?;
                let ids = parsed.rootfs().diff_ids().iter().map(|id| Digest::parse(id));
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

    /// What its config says that it runs on.
    pub fn platform(&self) -> Result<Platform> {
        let config = self.parsed()?;
        Ok(Platform {
            os: config.os().to_string(),
            architecture: config.architecture().to_string(),
            variant: config.variant().clone().filter(|variant| !variant.is_empty()),
        })
    }
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
fn named(platform: &oci_spec::image::Platform) -> Result<Platform> {
    Ok(Platform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
        variant: platform.variant().clone().filter(|variant| !variant.is_empty()),
    })
}

/// Refuses what is not what its media type says: the same bytes must not be an
/// image here and an index elsewhere.
/// <https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>
fn check_shape(raw: &Raw) -> Result<()> {
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

/// The one of a layout's images that is meant.
fn pick<'a>(all: &'a [Descriptor], stored: &Stored) -> Result<&'a Descriptor> {
    let name = |of: &Descriptor| of.annotations().as_ref()?.get(REF_NAME).cloned();
    let fits = |of: &&Descriptor| {
        let tag = stored.tag.as_ref().is_none_or(|tag| name(of).as_deref() == Some(tag.as_str()));
        let digest = stored.digest.as_ref();
        tag && digest.is_none_or(|digest| digest_of(of).is_ok_and(|it| it == *digest))
    };
    let fitting: BTreeMap<&str, &Descriptor> =
        all.iter().filter(fits).map(|of| (of.digest().as_ref(), of)).collect();
    let mut fitting = fitting.into_values();
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) if all.is_empty() => bail!("it holds no image"),
        (found, _) => {
            let known: Vec<String> =
                all.iter().map(|of| name(of).unwrap_or_else(|| of.digest().to_string())).collect();
            let known: Vec<String> = known.iter().take(20).map(|name| tame(name)).collect();
            let why =
                if found.is_some() { "it holds several images" } else { "it holds no such image" };
            bail!(failure(
                format!("{why}: there are {}", known.join(", ")),
                "name one of them, as in `oci:DIR:TAG` or `oci:DIR@sha256:…`",
            ))
        }
    }
}

/// Reads JSON of others.
pub fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8], what: &str) -> Result<T> {
    let parsed = serde_json::from_slice(bytes);
    parsed.map_err(|error| anyhow!(tame(&error.to_string())).context(format!("parse {what}")))
}

/// Reads `size` bytes where they are no more than `limit`.
pub fn read_limited(from: impl Read, size: u64, limit: u64) -> Result<Vec<u8>> {
    ensure!(size <= limit, "it has {size} bytes, and no more than {limit} are read");
    let mut bytes = Vec::new();
    from.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}
