//! Writes tar files of one image.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tar::{EntryType, Header};

use super::layout;
use crate::files;
use crate::oci::{Descriptor, Image, RawIndex, Root, SavedImage, json};
use crate::reference::{Reference, Tag};
use crate::target::Platform;

/// Writes a layout as a tar file.
pub fn oci(root: &Root, names: &[Reference], path: &Path) -> Result<()> {
    write(root, names, None, path)
}

/// Writes what every version of `docker load` reads: a layout and a `manifest.json` in one.
/// `manifest.json` has no platforms: of an index, each image has its own name there,
/// `NAME:TAG-amd64`, and the index has the plain name.
pub fn docker(root: &Root, names: &[Reference], path: &Path) -> Result<()> {
    let images = root.images().into_iter();
    let saved = images.map(|(platform, image)| saved_image(image, platform, names));
    let saved = saved.collect::<Result<Vec<_>>>()?;
    write(root, names, Some(("manifest.json", json::bytes(&saved)?)), path)
}

fn saved_image(
    image: &Image,
    platform: Option<&Platform>,
    names: &[Reference],
) -> Result<SavedImage> {
    let path = |of: &Descriptor| format!("blobs/sha256/{}", of.digest.hex());
    let named = |name: &Reference| {
        let suffix = platform.map_or_else(String::new, |it| format!("-{}", it.suffix()));
        let tag = Tag::parse(&format!("{}{suffix}", name.tag_or_digest()))?;
        Ok(format!("{}:{tag}", name.repository.familiar()))
    };
    // Docker takes no name without a tag, as containerd does.
    let tagged = names.iter().filter(|name| name.tag.is_some());
    Ok(SavedImage {
        config: path(&image.config.descriptor),
        repo_tags: Some(tagged.map(named).collect::<Result<_>>()?),
        layers: image.layers.iter().map(|it| path(&it.descriptor)).collect(),
    })
}

/// Writes the layout's files, sorted with one more, and all blobs to a temporary file, and
/// renames it.
fn write(
    root: &Root,
    names: &[Reference],
    more: Option<(&str, Vec<u8>)>,
    path: &Path,
) -> Result<()> {
    let index = json::bytes(&RawIndex::new(layout::descriptors(root, names)))?;
    let mut small = vec![("index.json", index), ("oci-layout", layout::MARK.to_vec())];
    small.extend(more);
    small.sort();
    let context = || format!("write {}", path.display());
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    files::make_dir(dir)?;
    files::remove_stale(dir, Duration::from_secs(24 * 3600))?;
    let mut file = files::temporary(dir)?;
    let out = BufWriter::with_capacity(64 * 1024, &mut file);
    fill(root, &small, out).with_context(context)?;
    files::persist(file, path)
}

fn fill(root: &Root, small: &[(&str, Vec<u8>)], mut out: impl Write) -> Result<()> {
    let header = |out: &mut dyn Write, name: &str, kind, size| -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name).with_context(|| format!("name {name}"))?;
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        Ok(out.write_all(header.as_bytes())?)
    };
    const BLOCK: usize = 512;
    let pad = |size: u64| vec![0; size.next_multiple_of(BLOCK as u64).abs_diff(size) as usize];
    for (name, bytes) in small {
        header(&mut out, name, EntryType::Regular, bytes.len() as u64)?;
        out.write_all(bytes)?;
        out.write_all(&pad(bytes.len() as u64))?;
    }
    for folder in ["blobs/", "blobs/sha256/"] {
        header(&mut out, folder, EntryType::Directory, 0)?;
    }
    let mut blobs = root.blobs();
    blobs.sort_by_key(|(digest, ..)| *digest);
    for (digest, size, blob) in blobs {
        header(&mut out, &format!("blobs/sha256/{}", digest.hex()), EntryType::Regular, size)?;
        blob.copy(&digest, size, &mut out)?;
        out.write_all(&pad(size))?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    Ok(out.flush()?)
}
