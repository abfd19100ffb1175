//! Tar files that hold an image: what is where in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use oci_spec::image::{Descriptor, ImageManifestBuilder, MediaType};
use serde::Deserialize;

use super::source::{Found, parse, read_limited};
use super::tape::{self, MemberKind};
use super::{Blob, Image, Raw, Root, limits, sha256};
use crate::digest::Digest;
use crate::files;
use crate::finding::{Help, failure};
use crate::reference::{Reference, Stored};
use crate::term::tame;

/// How many links are followed from one name to its file; `docker save` makes one.
const HOPS: usize = 8;

/// A tar file and the places of the files in it.
pub struct Archive {
    path: PathBuf,
    members: BTreeMap<String, Place>,
}

enum Place {
    File {
        at: u64,
        size: u64,
    },
    /// To another name, already relative to the archive's root.
    Link(String),
}

/// An entry of `manifest.json`.
/// <https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Archive {
    /// Reads the headers; contents are skipped.
    pub fn open(path: &Path) -> Result<Archive> {
        let context = || format!("read the archive {}", path.display());
        let mut file = files::open_regular(path)?;
        let (mut members, mut names) = (BTreeMap::new(), 0);
        tape::walk_file(&mut file, |member, _| {
            let name = plain(&member.path)?;
            names += name.len() + member.link.as_ref().map_or(0, Vec::len);
            let few = members.len() < limits::MEMBERS && names <= limits::NAMES;
            ensure!(
                name.len() <= limits::NAME && few,
                "it holds more or longer names than an image has"
            );
            let place = match member.kind {
                MemberKind::File => Place::File { at: member.at, size: member.size },
                MemberKind::Directory => return Ok(()),
                MemberKind::Hardlink => Place::Link(plain(member.link.as_deref().unwrap_or(b""))?),
                MemberKind::Symlink => {
                    let target = String::from_utf8_lossy(member.link.as_deref().unwrap_or(b""));
                    Place::Link(target_of(&name, &target)?)
                }
                other => bail!("it holds {name}, which is a {other:?} and no file"),
            };
            ensure!(members.insert(name.clone(), place).is_none(), "it holds {name} twice");
            Ok(())
        })
        .with_context(context)
        .map_err(|error| error.context(Help("name an uncompressed tar file of an image".into())))?;
        Ok(Archive { path: path.to_owned(), members })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of the archive is, in bytes: its offset and its size.
    fn find(&self, name: &str) -> Result<(u64, u64)> {
        let mut name = name;
        for _ in 0..HOPS {
            match self.members.get(name) {
                Some(Place::File { at, size }) => return Ok((*at, *size)),
                Some(Place::Link(target)) => name = target,
                None => bail!("{} does not hold {name}", self.path.display()),
            }
        }
        bail!("{}: {name} is a link without an end", self.path.display())
    }

    /// The bytes of a file of the archive, which has `size` bytes where that is known.
    pub fn blob(&self, name: &str, size: Option<u64>) -> Result<Blob> {
        let (at, found) = self.find(name)?;
        ensure!(
            size.is_none_or(|size| size == found),
            "{name} in {} has {found} bytes, and another size is named",
            self.path.display()
        );
        Ok(Blob::File { path: self.path.clone(), at })
    }

    /// Reads a file of the archive that is not larger than `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let (_, size) = self.find(name)?;
        read_limited(self.blob(name, None)?.open(size)?, size, limit)
    }

    /// The image that `manifest.json` names, with a manifest as OCI has them.
    pub fn docker_image(&self, stored: &Stored) -> Result<Found> {
        let context = || format!("read {}", self.path.display());
        let list = self.read("manifest.json", limits::MANIFEST).with_context(context);
        let list = list.map_err(|error| {
            error.context(Help("name a file that `docker save` wrote, or use oci-archive:".into()))
        })?;
        let list: Vec<Entry> = parse(&list, "manifest.json").with_context(context)?;
        let entry = pick(&list, stored).with_context(context)?;
        let root = Root::Image(Box::new(self.of_entry(entry).with_context(context)?));
        let names = entry.repo_tags.iter().flatten().filter_map(|name| Reference::parse(name).ok());
        Ok(Found { root, names: names.collect() })
    }

    fn of_entry(&self, entry: &Entry) -> Result<Image> {
        let config = self.read(&entry.config, limits::CONFIG)?;
        let digest = Digest::of(&config);
        // Where it has its digest's name, it must be that.
        let stem = entry.config.rsplit('/').next().unwrap_or("").trim_end_matches(".json");
        ensure!(
            stem.len() != 64 || stem == digest.hex(),
            "{} holds other bytes: {digest}",
            entry.config
        );
        let descriptor =
            Descriptor::new(MediaType::ImageConfig, config.len() as u64, sha256(&digest));
        let config = Raw { bytes: Arc::from(config), descriptor };
        ensure!(entry.layers.len() <= limits::LAYERS, "it names {} layers", entry.layers.len());
        let mut read: BTreeMap<u64, (Descriptor, Blob)> = BTreeMap::new();
        let mut blobs: Vec<(Descriptor, Blob)> = Vec::new();
        for name in &entry.layers {
            // One that is named several times is hashed once.
            let (at, _) = self.find(name)?;
            let layer = match read.get(&at) {
                Some(layer) => layer.clone(),
                None => self.layer(name)?,
            };
            let digest = layer.0.digest();
            ensure!(
                name.strip_prefix("blobs/")
                    .is_none_or(|it| it.replace('/', ":") == digest.as_ref()),
                "{name} holds other bytes: {digest}"
            );
            read.insert(at, layer.clone());
            blobs.push(layer);
        }
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor.clone())
            .layers(blobs.iter().map(|(descriptor, _)| descriptor.clone()).collect::<Vec<_>>())
            .build()
            .context("make a manifest")?;
        Image::of(Raw::of(&manifest, MediaType::ImageManifest)?, config, blobs)
    }

    /// A layer, whose digest nothing names.
    fn layer(&self, name: &str) -> Result<(Descriptor, Blob)> {
        let (_, size) = self.find(name)?;
        let blob = self.blob(name, None)?;
        let context = || format!("read {name}");
        let digest = Digest::of_reader(blob.open(size)?).with_context(context)?;
        let start = read_limited(blob.open(size)?, size.min(4), 4)?;
        let media_type = match &*start {
            [0x1f, 0x8b, ..] => MediaType::ImageLayerGzip,
            [0x28, 0xb5, 0x2f, 0xfd] => MediaType::ImageLayerZstd,
            _ => MediaType::ImageLayer,
        };
        Ok((Descriptor::new(media_type, size, sha256(&digest)), blob))
    }
}

/// A name relative to the archive's root.
fn plain(path: &[u8]) -> Result<String> {
    let shown = || format!("the name {:?}", String::from_utf8_lossy(path));
    let name = tape::normal(path).with_context(shown)?;
    String::from_utf8(name).with_context(shown)
}

/// Where a symbolic link leads, as `docker save` makes them for layers that several
/// images have.
fn target_of(link: &str, target: &str) -> Result<String> {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => ensure!(parts.pop().is_some(), "the link {link} leads out of the archive"),
            "" | "." => {}
            part => parts.push(part),
        }
    }
    ensure!(!target.starts_with('/'), "the link {link} leads out of the archive");
    Ok(parts.join("/"))
}

/// The one of the images that is meant: by its tag, or the only one.
fn pick<'a>(list: &'a [Entry], stored: &Stored) -> Result<&'a Entry> {
    let tags = |entry: &'a Entry| entry.repo_tags.iter().flatten();
    let fits = |entry: &&Entry| {
        let wanted = |name: &String| {
            let tag = Reference::parse(name).ok().and_then(|name| name.tag);
            stored.tag.is_none() || tag == stored.tag
        };
        stored.tag.is_none() || entry.repo_tags.iter().flatten().any(wanted)
    };
    ensure!(stored.digest.is_none(), "a Docker archive holds no digests to choose by");
    let mut fitting = list.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (found, _) => {
            let known: Vec<String> =
                list.iter().flat_map(tags).map(|tag| tame(tag)).take(20).collect();
            let why =
                if found.is_some() { "it holds several images" } else { "it holds no such image" };
            bail!(failure(
                format!("{why}: there are {}", known.join(", ")),
                "name one of them, as in `docker-archive:FILE:TAG`",
            ))
        }
    }
}
