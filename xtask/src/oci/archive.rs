//! Tar files of images: where each file is in them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::spec::MediaType;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::descriptor::RawManifest;
use super::json::parse;
use super::tar_reader::{self, TarMemberKind};
use super::{Blob, Descriptor, FoundImage, Image, Raw, Root, limits};
use crate::digest::Digest;
use crate::files;
use crate::finding::{Help, failure};
use crate::reference::{Reference, Stored};
use crate::term::tame;

/// How many links lead to a file at most; `docker save` makes one.
const HOPS: usize = 8;

/// A tar file, and where the files in it are.
pub struct Archive {
    path: PathBuf,
    members: BTreeMap<String, ArchiveMember>,
}

enum ArchiveMember {
    File {
        at: u64,
        size: u64,
    },
    /// To another name, relative to the archive's root.
    Link(String),
}

/// An entry of the `manifest.json` of `docker save`.
/// <https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format>
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SavedImage {
    pub config: String,
    pub repo_tags: Option<Vec<String>>,
    pub layers: Vec<String>,
}

impl Archive {
    /// Reads the headers and skips the contents.
    pub fn open(path: &Path) -> Result<Archive> {
        let context = || format!("read the archive {}", path.display());
        let mut file = files::open_regular(path)?;
        let mut members = BTreeMap::new();
        let mut names = 0;
        tar_reader::walk_file(&mut file, |member, _| {
            let name = plain(&member.path)?;
            names += name.len() + member.link.as_ref().map_or(0, Vec::len);
            let few = members.len() < limits::MEMBERS && names <= limits::NAMES;
            ensure!(
                name.len() <= limits::NAME && few,
                "it holds more or longer names than an image has"
            );
            let place = match member.kind {
                TarMemberKind::File => ArchiveMember::File { at: member.at, size: member.size },
                TarMemberKind::Directory => return Ok(()),
                TarMemberKind::Hardlink => {
                    ArchiveMember::Link(plain(member.link.as_deref().unwrap_or(b""))?)
                }
                TarMemberKind::Symlink => {
                    let target = String::from_utf8_lossy(member.link.as_deref().unwrap_or(b""));
                    ArchiveMember::Link(target_of(&name, &target)?)
                }
                other => bail!("it holds {name}, which is a {other:?} and not a file"),
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

    /// Whether it has a file of this name.
    pub fn holds(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The offset and the size of a file of the archive, in bytes.
    fn find(&self, name: &str) -> Result<(u64, u64)> {
        let mut name = name;
        for _ in 0..HOPS {
            match self.members.get(name) {
                Some(ArchiveMember::File { at, size }) => return Ok((*at, *size)),
                Some(ArchiveMember::Link(target)) => name = target,
                None => bail!("{} does not hold {name}", self.path.display()),
            }
        }
        bail!("{}: the links from {name} form a loop", self.path.display())
    }

    /// A file of the archive. Fails where it does not have the `size` that is known.
    pub fn blob(&self, name: &str, size: Option<u64>) -> Result<Blob> {
        let (at, found) = self.find(name)?;
        ensure!(
            size.is_none_or(|size| size == found),
            "{name} in {} has {found} bytes, and another size is named",
            self.path.display()
        );
        Ok(Blob::File { path: self.path.clone(), at })
    }

    /// Reads a file of the archive of at most `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let (_, size) = self.find(name)?;
        read_limited(self.blob(name, None)?.open(size)?, size, limit)
    }

    /// The image that `manifest.json` names, with an OCI manifest made for it.
    pub fn docker_image(&self, stored: &Stored) -> Result<FoundImage> {
        let context = || format!("read {}", self.path.display());
        let list = self.read("manifest.json", limits::MANIFEST).with_context(context);
        let list = list.map_err(|error| {
            error.context(Help("name a file that `docker save` wrote, or use oci-archive:".into()))
        })?;
        let list: Vec<SavedImage> = parse(&list, "manifest.json").with_context(context)?;
        let entry = pick(&list, stored).with_context(context)?;
        let root = Root::Image(Box::new(self.of_entry(entry).with_context(context)?));
        let names = entry.repo_tags.iter().flatten().filter_map(|name| Reference::parse(name).ok());
        Ok(FoundImage { root, names: names.collect() })
    }

    fn of_entry(&self, entry: &SavedImage) -> Result<Image> {
        let config = self.read(&entry.config, limits::CONFIG)?;
        let digest = Digest::of(&config);
        // A config that is named by a digest must have it.
        let stem = entry.config.rsplit('/').next().unwrap_or("").trim_end_matches(".json");
        ensure!(
            stem.len() != 64 || stem == digest.hex(),
            "{} holds other bytes: {digest}",
            entry.config
        );
        let config = Raw::new(config, MediaType::ImageConfig, digest);
        ensure!(entry.layers.len() <= limits::LAYERS, "it names {} layers", entry.layers.len());
        let mut read: BTreeMap<u64, (Descriptor, Blob)> = BTreeMap::new();
        let mut blobs: Vec<(Descriptor, Blob)> = Vec::new();
        for name in &entry.layers {
            // A layer that is named several times is hashed once.
            let (at, _) = self.find(name)?;
            let layer = match read.get(&at) {
                Some(layer) => layer.clone(),
                None => self.layer(name)?,
            };
            let digest = layer.0.digest.to_string();
            ensure!(
                name.strip_prefix("blobs/").is_none_or(|it| it.replace('/', ":") == digest),
                "{name} holds other bytes: {digest}"
            );
            read.insert(at, layer.clone());
            blobs.push(layer);
        }
        let layers = blobs.iter().map(|(descriptor, _)| descriptor);
        let manifest = RawManifest::new(&config.descriptor, layers);
        Image::of(Raw::of(&manifest, MediaType::ImageManifest)?, config, blobs)
    }

    /// A layer. Docker's archive does not say its digest.
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
        Ok((Descriptor::new(media_type, digest, size), blob))
    }
}

/// Reads `size` bytes; more than `limit` are an error.
pub fn read_limited(from: impl Read, size: u64, limit: u64) -> Result<Vec<u8>> {
    ensure!(size <= limit, "it has {size} bytes, and no more than {limit} are read");
    let mut bytes = Vec::new();
    from.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A name relative to the archive's root.
fn plain(path: &[u8]) -> Result<String> {
    let shown = || format!("the name {:?}", String::from_utf8_lossy(path));
    let name = tar_reader::normal(path).with_context(shown)?;
    String::from_utf8(name).with_context(shown)
}

/// Where a symbolic link leads. `docker save` makes links for layers that images share.
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

/// The image with the tag, or the only image.
fn pick<'a>(list: &'a [SavedImage], stored: &Stored) -> Result<&'a SavedImage> {
    ensure!(stored.digest.is_none(), "a Docker archive holds no digests to choose by");
    let tag = |name: &String| Reference::parse(name).ok().and_then(|name| name.tag);
    let fits = |image: &&SavedImage| {
        let mut names = image.repo_tags.iter().flatten();
        stored.tag.is_none() || names.any(|name| tag(name) == stored.tag)
    };
    let known = list.iter().flat_map(|image| image.repo_tags.iter().flatten());
    let known = known.map(String::as_str);
    only_one(list.iter().filter(fits), known, "`docker-archive:FILE:TAG`")
}

/// The only one of the images that fit. The error has the names of all images, and how to
/// name one.
pub fn only_one<'a, T>(
    mut fitting: impl Iterator<Item = &'a T>,
    known: impl Iterator<Item = &'a str>,
    example: &str,
) -> Result<&'a T> {
    let found = fitting.next();
    if let (Some(one), None) = (found, fitting.next()) {
        return Ok(one);
    }
    let why = if found.is_some() { "it holds several images" } else { "it holds no such image" };
    let known: Vec<String> = known.take(20).map(tame).collect();
    Err(failure(
        format!("{why}: there are {}", known.join(", ")),
        format!("name one of them, as in {example}"),
    ))
}
