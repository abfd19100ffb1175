//! Writes layouts, the folders of the image specification.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::digest::Digest;
use crate::files::{self, Lock};
use crate::finding::failure;
use crate::oci::{self, Blob, CONTAINERD_NAME, REF_NAME, RawDescriptor, RawIndex, Root, json};
use crate::reference::Reference;
use crate::term::Term;

/// The content of `oci-layout`, which marks a layout and its version.
pub const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes a layout of this image alone into a new folder. Blobs that the earlier layout
/// `reuse` has are linked from there.
pub fn write(root: &Root, names: &[Reference], dir: &Path, reuse: &Path) -> Result<()> {
    blobs(root, dir, Some(reuse))?;
    let index = json::bytes(&RawIndex::new(descriptors(root, one(names))))?;
    files::write(&dir.join("oci-layout"), MARK)?;
    files::write(&dir.join("index.json"), &index)
}

/// Adds the image to the layout, which is made if it is missing. The index is replaced last,
/// so that a run that is killed before leaves the layout as it was.
pub fn add(root: &Root, names: &[Reference], dir: &Path, term: &Term) -> Result<()> {
    let context = || format!("write the OCI layout {}", dir.display());
    ensure_layout(dir)?;
    let lock = dir.join(".dockless-lock");
    let _lock = Lock::acquire(&lock, "an image", |other| {
        let folder = dir.display();
        term.step("wait", format_args!("for another dockless that writes {folder}: {other}"));
    })
    .with_context(context)?;
    // A run that was killed leaves a layout without an index.
    let mut index = if dir.join("index.json").exists() {
        oci::index_of(dir).with_context(context)?
    } else {
        RawIndex::new(Vec::new())
    };
    let ours = descriptors(root, one(names));
    index.manifests.retain(|other| !ours.iter().any(|own| replaces(own, other)));
    index.manifests.extend(ours);
    let index = json::bytes(&index)?;
    // These are of a run that was killed: with the lock, nobody else writes here.
    files::remove_stale(dir, Duration::ZERO)?;
    blobs(root, dir, None).with_context(context)?;
    files::write(&dir.join("oci-layout"), MARK)?;
    files::write(&dir.join("index.json"), &index)
}

/// Whether a new image replaces one that is listed: by its name, or else by its digest.
/// Two images of two names may well have one tag.
fn replaces(new: &RawDescriptor, old: &RawDescriptor) -> bool {
    let both = |name| new.annotation(name).zip(old.annotation(name));
    let names = both(CONTAINERD_NAME).or_else(|| both(REF_NAME));
    names.map_or_else(|| new.digest == old.digest, |(new, old)| new == old)
}

/// Fails where the folder has other files. Another run may be starting a layout there, so the
/// files are listed before the marks of a layout are read.
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
    // A first run that was killed leaves the start of a layout.
    if !foreign || dir.join("oci-layout").exists() || dir.join("blobs/sha256").is_dir() {
        return Ok(());
    }
    Err(failure(
        format!("{} is not an OCI layout, and has other files", dir.display()),
        "name a new folder, or an empty one",
    ))
}

/// The first of the names. skopeo and podman take one image under two names for two images,
/// and ask which is meant.
pub fn one(names: &[Reference]) -> &[Reference] {
    &names[..names.len().min(1)]
}

/// The image's descriptor, once for each name; once, where there is none.
pub fn descriptors(root: &Root, names: &[Reference]) -> Vec<RawDescriptor> {
    let bare = RawDescriptor::from(&root.raw().descriptor);
    if names.is_empty() {
        return vec![bare];
    }
    let named = |name: &Reference| {
        let short = (REF_NAME.to_owned(), name.tag_or_digest());
        let full = (CONTAINERD_NAME.to_owned(), name.to_string());
        RawDescriptor { annotations: Some(BTreeMap::from([short, full])), ..bare.clone() }
    };
    names.iter().map(named).collect()
}

/// Writes every blob that is missing or damaged.
fn blobs(root: &Root, dir: &Path, reuse: Option<&Path>) -> Result<()> {
    let folder = dir.join("blobs/sha256");
    files::make_dir(&folder)?;
    // Only the caller writes here, so these are of a run that was killed.
    files::remove_stale(&folder, Duration::ZERO)?;
    for (digest, size, blob) in root.blobs() {
        let path = folder.join(digest.hex());
        let old = reuse.map(|reuse| reuse.join("blobs/sha256").join(digest.hex()));
        // To write bytes from memory is faster than to check an old copy.
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

/// Whether the file is there and has the digest.
fn holds(path: &Path, digest: &Digest, size: u64) -> Result<bool> {
    match files::list_one(path)? {
        // A symlink is not a blob, whatever it leads to.
        Some(entry) if entry.size == size && !path.is_symlink() => {
            let found = Digest::of_reader(files::open_regular(path)?);
            Ok(found.with_context(|| format!("read {}", path.display()))? == *digest)
        }
        _ => Ok(false),
    }
}
