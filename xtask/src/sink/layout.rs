//! Folders as the image specification lays them out.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::HashMap;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use oci_spec::image::{Descriptor, ImageIndexBuilder, MediaType};

use crate::digest::Digest;
use crate::files::{self, Lock};
use crate::finding::failure;
use crate::oci::{self, Blob, CONTAINERD_NAME, REF_NAME, Root, json};
use crate::reference::Reference;
use crate::term::Term;

/// The file that says that a folder is a layout, and of which version.
pub const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes a layout of this image alone into a folder that nobody else sees yet.
/// A blob that an earlier layout, `reuse`, has is not written again.
pub fn write(root: &Root, names: &[Reference], dir: &Path, reuse: &Path) -> Result<()> {
    blobs(root, dir, Some(reuse))?;
    let index = index(descriptors(root, one(names)))?;
    files::write(&dir.join("oci-layout"), MARK)?;
    files::write(&dir.join("index.json"), &index)
}

/// Adds the image to the layout, which is made when it isn't there. The index is
/// replaced last, so that a run killed before leaves the layout as it was.
pub fn add(root: &Root, names: &[Reference], dir: &Path, term: &Term) -> Result<()> {
    let context = || format!("write the OCI layout {}", dir.display());
    ensure_layout(dir)?;
    let lock = dir.join(".dockless-lock");
    let _lock = Lock::acquire(&lock, "an image", |other| {
        let folder = dir.display();
        term.step("wait", format_args!("for another dockless that writes {folder}: {other}"));
    })
    .with_context(context)?;
    // Without an index it is one that a killed run began.
    let there = dir.join("index.json").exists();
    let there = there.then(|| oci::index_of(dir)).transpose().with_context(context)?;
    let ours = descriptors(root, one(names));
    let note = |of: &Descriptor, key: &str| of.annotations().as_ref()?.get(key).cloned();
    // Two images of two names may well have one tag.
    let same = |one: &Descriptor, other: &Descriptor| {
        let full = note(one, CONTAINERD_NAME).zip(note(other, CONTAINERD_NAME));
        let short = note(one, REF_NAME).zip(note(other, REF_NAME));
        let named = full.or(short).map(|(one, other)| one == other);
        named.unwrap_or_else(|| one.digest() == other.digest())
    };
    let others = there.iter().flat_map(|index| index.manifests().iter());
    let kept = others.filter(|other| !ours.iter().any(|own| same(own, other)));
    let manifests = kept.chain(&ours).cloned().collect();
    let index = match there.clone() {
        Some(mut index) => {
            index.set_manifests(manifests);
            json::bytes(&index)?
        }
        None => index(manifests)?,
    };
    // What a killed run left: the lock says that nobody writes it any more.
    files::remove_stale(dir, Duration::ZERO)?;
    blobs(root, dir, None).with_context(context)?;
    files::write(&dir.join("oci-layout"), MARK)?;
    files::write(&dir.join("index.json"), &index)
}

/// Fails where the folder holds something else. Another run may be about to begin a
/// layout there: what it has by now is looked at before the marks of a layout are.
fn ensure_layout(dir: &Path) -> Result<()> {
    files::make_dir(dir)?;
    let mut foreign = false;
    for entry in files::list(dir)? {
        let empty = || Ok::<_, anyhow::Error>(files::list(&entry.path)?.is_empty());
        foreign |= match entry.path.file_name().and_then(|name| name.to_str()) {
            Some(".dockless-lock") => false,
            Some("blobs") if entry.path.is_dir() => !empty()?,
            _ => !files::is_temporary(&entry.path),
        };
    }
    // What a first run that was killed has left is a beginning.
    if !foreign || dir.join("oci-layout").exists() || dir.join("blobs/sha256").is_dir() {
        return Ok(());
    }
    Err(failure(
        format!("{} is no OCI layout, and holds other files", dir.display()),
        "name a new folder, or an empty one",
    ))
}

/// The first of the names. A layout with one image under two names would be one with
/// two images to skopeo and podman, which then want to know which of them is meant.
pub fn one(names: &[Reference]) -> &[Reference] {
    &names[..names.len().min(1)]
}

/// The image's descriptor once for each name; once without any.
pub fn descriptors(root: &Root, names: &[Reference]) -> Vec<Descriptor> {
    let bare = &root.raw().descriptor;
    let named = |name: &Reference| {
        let short = (REF_NAME.to_owned(), name.tag_or_digest());
        let full = (CONTAINERD_NAME.to_owned(), name.to_string());
        let mut descriptor = bare.clone();
        descriptor.set_annotations(Some(HashMap::from([short, full])));
        descriptor
    };
    if names.is_empty() { vec![bare.clone()] } else { names.iter().map(named).collect() }
}

/// The text of index.json.
pub fn index(manifests: Vec<Descriptor>) -> Result<Vec<u8>> {
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .build()
        .context("make index.json")?;
    json::bytes(&index)
}

/// Puts every blob into its place, unless it is there, and right.
fn blobs(root: &Root, dir: &Path, reuse: Option<&Path>) -> Result<()> {
    let folder = dir.join("blobs/sha256");
    files::make_dir(&folder)?;
    // The caller alone writes here, so that these are of a run that was killed.
    files::remove_stale(&folder, Duration::ZERO)?;
    for (digest, size, blob) in root.blobs()? {
        let path = folder.join(digest.hex());
        let old = reuse.map(|reuse| reuse.join("blobs/sha256").join(digest.hex()));
        // What is in memory is written sooner than an old copy of it is checked.
        let checked = matches!(blob, Blob::File { .. });
        if checked && holds(&path, &digest, size)? {
            continue;
        }
        if let Some(old) = old.filter(|_| checked)
            && holds(&old, &digest, size)?
            && files::link(&old, &path)?
        {
            continue;
        }
        let mut file = files::temporary(&folder)?;
        blob.copy(&digest, size, BufWriter::with_capacity(64 * 1024, &mut file))?;
        files::persist(file, &path)?;
    }
    Ok(())
}

/// Whether the file is there with the bytes of the digest.
fn holds(path: &Path, digest: &Digest, size: u64) -> Result<bool> {
    match files::list_one(path)? {
        // A link holds no bytes, whatever it leads to.
        Some(entry) if entry.size == size && !path.is_symlink() => {
            let found = Digest::of_reader(files::open_regular(path)?);
            Ok(found.with_context(|| format!("read {}", path.display()))? == *digest)
        }
        _ => Ok(false),
    }
}
