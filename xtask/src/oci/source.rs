//! Images read from folders and files. All of it is foreign: what is read into
//! memory has a limit, and is what its digest says, or is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use oci_spec::image::{Descriptor, ImageIndex};
use serde::Deserialize;

use super::{Blob, Reads, Root, archive, digest_of, limits};
use crate::digest::Digest;
use crate::files::{self, Boundary};
use crate::finding::{Help, failure};
use crate::reference::{Form, Reference, Stored};
use crate::target::Platform;
use crate::term::tame;

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

/// What to do where no layout is found.
const LAYOUT: &str = "name a folder that holds the file oci-layout, or a tar file of one";

/// What a layout's files are read from.
pub enum Store {
    Folder(PathBuf, Boundary),
    Archive(archive::Archive),
}

/// Reads what the name means: manifests and configs, and where the layers are. The
/// layers themselves are not read. Of an index, only the images for these platforms,
/// or all where none is named.
pub fn open(stored: &Stored, only: &[Platform]) -> Result<Found> {
    let root = match stored.form {
        Form::DockerArchive => return archive::Archive::open(&stored.path)?.docker_image(stored),
        Form::OciArchive => Store::Archive(archive::Archive::open(&stored.path)?),
        Form::Layout => Store::folder(&stored.path)?,
    };
    root.layout(stored, only)
}

/// The images that a layout in a folder names.
pub fn index_of(layout: &Path) -> Result<ImageIndex> {
    Store::folder(layout)?.index()
}

/// The file that marks a layout.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutMark {
    image_layout_version: String,
}

impl Store {
    fn folder(path: &Path) -> Result<Store> {
        let place = || format!("read the OCI layout {}", path.display());
        let boundary = Boundary::new(path, &[]).with_context(place);
        let boundary = boundary.with_context(|| Help(LAYOUT.to_owned()))?;
        Ok(Store::Folder(path.to_owned(), boundary))
    }

    fn path(&self) -> &Path {
        match self {
            Store::Folder(path, _) => path,
            Store::Archive(archive) => archive.path(),
        }
    }

    /// Reads a file of the layout that is not larger than `limit` bytes.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let context = || format!("read {name} of {}", self.path().display());
        match self {
            Store::Folder(path, boundary) => {
                let file: File = boundary.open(&path.join(name))?;
                let size = file.metadata().with_context(context)?.len();
                read_limited(file, size, limit).with_context(context)
            }
            Store::Archive(archive) => archive.read(name, limit).with_context(context),
        }
    }

    fn blob(&self, digest: &Digest, size: u64) -> Result<Blob> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let context = || format!("read {name} of {}", self.path().display());
        match self {
            Store::Folder(path, boundary) => {
                let mut path = path.join(&name);
                // One that is not there may never be needed.
                let mut found = size;
                if path.is_symlink() || path.exists() {
                    path = boundary.admit(&path)?;
                    found = files::open_resolved(&path)?.metadata().with_context(context)?.len();
                }
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

    /// Reads JSON that a descriptor names, and compares it with that.
    fn json(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let (digest, size) = (digest_of(descriptor)?, descriptor.size());
        let mut bytes = Vec::new();
        self.blob(&digest, size)?.copy(&digest, size, &mut bytes)?;
        Ok(bytes)
    }

    /// The images that the layout names, where it is one of a known version.
    fn index(&self) -> Result<ImageIndex> {
        let place = || format!("read the OCI layout {}", self.path().display());
        let mark = self
            .read("oci-layout", limits::MANIFEST)
            .with_context(place)
            .map_err(|error| error.context(Help(LAYOUT.to_owned())))?;
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

    fn layout(&self, stored: &Stored, only: &[Platform]) -> Result<Found> {
        let place = || format!("read the OCI layout {}", self.path().display());
        let index = self.index()?;
        let descriptor = pick(index.manifests(), stored).with_context(place)?;
        let reads = Reads {
            json: &|of, _| self.json(of),
            blob: &|digest, size| self.blob(digest, size),
            at_a_time: 1,
        };
        let root = reads.root(descriptor, only).with_context(place)?;
        let all = index.manifests().iter().filter(|of| of.digest() == descriptor.digest());
        let names = all.filter_map(|of| of.annotations().as_ref()?.get(CONTAINERD_NAME));
        // A name that is none was given by somebody else, and is not ours to repair.
        let names = names.filter_map(|name| Reference::parse(name).ok());
        Ok(Found { root, names: names.collect() })
    }
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
