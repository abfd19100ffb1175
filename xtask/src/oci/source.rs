//! Images read from folders and files. Others wrote them, so each read into memory has a
//! limit and is compared with its digest.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::archive::{Archive, only_one, read_limited};
use super::descriptor::{CONTAINERD_NAME, Descriptor, REF_NAME, RawDescriptor, RawIndex};
use super::json::parse;
use super::{Blob, FoundImage, Reads, limits};
use crate::digest::Digest;
use crate::files::{self, Boundary};
use crate::finding::Help;
use crate::reference::{Form, Reference, Stored};
use crate::target::Platform;

/// The help where no layout is found.
const LAYOUT: &str = "name a folder that holds the file oci-layout, or a tar file of one";

/// The folder or the file that holds a layout.
pub enum Store {
    Folder(PathBuf, Boundary),
    Archive(Archive),
}

/// Reads the manifests and configs of a stored image. Its layers are found and not read. Of
/// an index, it reads the images for the platforms in `only`, or all where that is empty.
pub fn open(stored: &Stored, only: &[Platform]) -> Result<FoundImage> {
    let root = match stored.form {
        Form::DockerArchive => return Archive::open(&stored.path)?.docker_image(stored),
        Form::OciArchive => Store::Archive(Archive::open(&stored.path)?),
        Form::Layout => Store::folder(&stored.path)?,
    };
    root.layout(stored, only)
}

/// How the image at a path is stored; `None` where there is none. What is wrong with it is said
/// when it is opened.
pub fn form_of(path: &Path) -> Option<Form> {
    if path.join("oci-layout").is_file() {
        return Some(Form::Layout);
    }
    let is_layout = |archive: Archive| archive.holds("oci-layout");
    let form = |path| match Archive::open(path).is_ok_and(is_layout) {
        true => Form::OciArchive,
        false => Form::DockerArchive,
    };
    path.is_file().then(|| form(path))
}

/// The `index.json` of a layout in a folder.
pub fn index_of(layout: &Path) -> Result<RawIndex> {
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

    /// Reads a file of the layout of at most `limit` bytes.
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
                // A missing blob is an error only where it is read.
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

    /// Reads the JSON of a descriptor, and compares it with the digest.
    fn json(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let Descriptor { digest, size, .. } = *descriptor;
        let mut bytes = Vec::new();
        self.blob(&digest, size)?.copy(&digest, size, &mut bytes)?;
        Ok(bytes)
    }

    /// The `index.json`, where the layout's version is known.
    fn index(&self) -> Result<RawIndex> {
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

    fn layout(&self, stored: &Stored, only: &[Platform]) -> Result<FoundImage> {
        let place = || format!("read the OCI layout {}", self.path().display());
        let index = self.index()?;
        let descriptor = pick(&index.manifests, stored).with_context(place)?;
        let reads = Reads {
            json: &|of, _| self.json(of),
            blob: &|digest, size| self.blob(digest, size),
            at_a_time: 1,
        };
        let root = reads.root(descriptor, only).with_context(place)?;
        let all = index.manifests.iter().filter(|of| of.digest == descriptor.digest);
        let names = all.filter_map(|of| of.annotation(CONTAINERD_NAME));
        // Others may write names that are not references; those are left out.
        let names = names.filter_map(|name| Reference::parse(name).ok());
        Ok(FoundImage { root, names: names.collect() })
    }
}

/// The image with the tag and the digest, or the only image.
fn pick<'a>(all: &'a [RawDescriptor], stored: &Stored) -> Result<&'a RawDescriptor> {
    let digest = stored.digest.as_ref().map(Digest::to_string);
    let fits = |of: &&RawDescriptor| {
        let tag = stored.tag.as_ref();
        tag.is_none_or(|tag| of.annotation(REF_NAME) == Some(tag.as_str()))
            && digest.as_deref().is_none_or(|digest| of.digest.as_ref() == digest)
    };
    let fitting: BTreeMap<&str, &RawDescriptor> =
        all.iter().filter(fits).map(|of| (of.digest.as_ref(), of)).collect();
    ensure!(!all.is_empty(), "it holds no image");
    let names = all.iter().map(|of| of.annotation(REF_NAME).unwrap_or(of.digest.as_ref()));
    only_one(fitting.into_values(), names, "`oci:DIR:TAG` or `oci:DIR@sha256:…`")
}
