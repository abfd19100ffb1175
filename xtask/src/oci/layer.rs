//! Layers, written in one pass and kept in the cache.

use std::io::{BufWriter, Write};

use super::spec::MediaType;
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use super::entry::{Content, LayerEntry, Node};
use super::{Blob, Descriptor, Layer, gzip};
use crate::cache::{Blobs, Cache, CacheKind};
use crate::digest::{self, Digest, HashingReader, HashingWriter};
use crate::plan::Compression;

/// The version of the layers' format. It is raised when the same entries give other bytes,
/// which the golden digests in this room's tests show. The cache's key and the builtin base's
/// os-release contain it.
pub const LAYOUT: &str = "2";

/// The level of deflate. docs/explanation/images.md has what others take: 3 takes 17 % longer than
/// 2 for 4 % of size, and 6 takes 50 % longer than 3 for 4 %.
const LEVEL: u32 = 3;

/// How many bytes the tar hands on at a time.
const BUFFER: usize = 64 * 1024;

/// What the cache keeps about a layer.
#[derive(Serialize, Deserialize)]
struct Known {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

/// What becomes of a layer.
#[derive(Clone, Copy, Debug)]
pub enum LayerEvent<'a> {
    /// The cache has it.
    Kept(&'a Descriptor),
    /// It is not in the cache, so it is made now.
    Begun,
    /// It was made.
    Made(&'a Descriptor),
}

/// Makes the layer of these entries, or takes it from the cache. `bar` advances by the size of
/// the files; `tell` is told what becomes of it.
pub fn layer(
    entries: &[LayerEntry],
    compression: Compression,
    cache: &Cache,
    blobs: &Blobs,
    bar: &ProgressBar,
    tell: &dyn Fn(LayerEvent<'_>),
) -> Result<Layer> {
    let key = key(entries, compression);
    let kept = kept(&key, cache, blobs)?;
    let is_kept = kept.is_some();
    let known = match kept {
        Some(known) => known,
        None => {
            tell(LayerEvent::Begun);
            let known = match compression {
                Compression::Gzip => write(entries, blobs, bar)?,
                Compression::None => write_plain(entries, blobs, bar)?,
            };
            cache.put_json(CacheKind::Layer, &key, &known)?;
            known
        }
    };
    let media_type = match compression {
        Compression::Gzip => MediaType::ImageLayerGzip,
        Compression::None => MediaType::ImageLayer,
    };
    let descriptor = Descriptor::new(media_type, known.digest, known.size);
    tell(if is_kept { LayerEvent::Kept(&descriptor) } else { LayerEvent::Made(&descriptor) });
    let blob = Blob::File { path: blobs.path(&known.digest), at: 0 };
    Ok(Layer { descriptor, diff_id: known.diff_id, blob })
}

fn key(entries: &[LayerEntry], compression: Compression) -> Digest {
    let what = match compression {
        Compression::Gzip => "layer",
        Compression::None => "plain layer",
    };
    let mut parts = vec![what.to_owned(), LAYOUT.to_owned()];
    for entry in entries {
        let (kind, rest) = match &entry.node {
            Node::Dir => ("dir", String::new()),
            Node::File(content) => ("file", content.digest().hex()),
            Node::Symlink(target) => ("symlink", target.clone()),
            Node::Hardlink(target) => ("hardlink", target.clone()),
        };
        let owner = format!("{:o} {}:{} {}", entry.mode, entry.uid, entry.gid, entry.time);
        parts.extend([entry.path.clone(), kind.to_owned(), rest, owner]);
    }
    digest::of_parts(parts.iter().map(String::as_bytes))
}

/// What the cache has under the key, where the blob is there too and unchanged.
fn kept(key: &Digest, cache: &Cache, blobs: &Blobs) -> Result<Option<Known>> {
    let known: Option<Known> = cache.get_json(CacheKind::Layer, key)?;
    let Some(known) = known else { return Ok(None) };
    Ok(blobs.verify(&known.digest, known.size)?.then_some(known))
}

/// Writes tar, both digests, gzip and the file in one pass.
fn write(entries: &[LayerEntry], blobs: &Blobs, bar: &ProgressBar) -> Result<Known> {
    blobs.make(|file| {
        let out = HashingWriter::new(BufWriter::with_capacity(BUFFER, file));
        let mut diff_id = None;
        let out = gzip::compress(out, LEVEL, |out| {
            let plain = BufWriter::with_capacity(BUFFER, HashingWriter::new(out));
            let plain =
                write_tar(entries, plain, bar)?.into_inner().map_err(|error| error.into_error());
            diff_id = Some(plain.context("finish the layer")?.finish().1);
            Ok(())
        })?;
        let (file, digest, size) = out.finish();
        let file = file.into_inner().map_err(|error| error.into_error());
        let known = Known { digest, size, diff_id: diff_id.context("finish the layer")? };
        Ok((file.context("write the layer")?, digest, known))
    })
}

/// Writes tar, its digest and the file in one pass.
fn write_plain(entries: &[LayerEntry], blobs: &Blobs, bar: &ProgressBar) -> Result<Known> {
    blobs.make(|file| {
        let out = BufWriter::with_capacity(BUFFER, HashingWriter::new(file));
        let out = write_tar(entries, out, bar)?.into_inner().map_err(|error| error.into_error());
        let (file, digest, size) = out.context("write the layer")?.finish();
        Ok((file, digest, Known { digest, size, diff_id: digest }))
    })
}

/// Writes the entries as a tar and returns `out`.
pub fn write_tar<W: Write>(entries: &[LayerEntry], out: W, bar: &ProgressBar) -> Result<W> {
    let mut tar = tar::Builder::new(out);
    for entry in entries {
        append(&mut tar, entry, bar).with_context(|| format!("add /{}", entry.path))?;
    }
    tar.into_inner().context("finish the layer")
}

fn append(tar: &mut tar::Builder<impl Write>, entry: &LayerEntry, bar: &ProgressBar) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(entry.time);
    header.set_size(0);
    let (kind, link) = match &entry.node {
        Node::Dir => (EntryType::Directory, None),
        Node::File(content) => {
            header.set_size(content.size());
            (EntryType::Regular, None)
        }
        Node::Symlink(target) => (EntryType::Symlink, Some(target)),
        Node::Hardlink(target) => (EntryType::Link, Some(target)),
    };
    header.set_entry_type(kind);
    name(tar, &mut header, entry, link)?;
    header.set_cksum();
    match &entry.node {
        Node::File(content) => append_file(tar, &header, content, bar),
        _ => tar.append(&header, std::io::empty()).context("write it"),
    }
}

/// Writes the entry's name and its link's target: into the header where they fit, and else
/// into a PAX header before it.
fn name(
    tar: &mut tar::Builder<impl Write>,
    header: &mut Header,
    entry: &LayerEntry,
    link: Option<&String>,
) -> Result<()> {
    // Folders end with a slash, as with every other tool, and the root is `./`.
    let slash = if entry.node == Node::Dir { "/" } else { "" };
    let root = if entry.path.is_empty() { "." } else { "" };
    let path = format!("{root}{}{slash}", entry.path);
    let mut extensions = Vec::new();
    if header.set_path(&path).is_err() {
        extensions.push(("path", path.as_bytes()));
        header.set_path(short(&entry.path)).context("name it")?;
    }
    if let Some(link) = link {
        // As it is written: the crate refuses a leading slash and dots.
        let fits = header.as_ustar_mut().filter(|ustar| link.len() <= ustar.linkname.len());
        match fits {
            Some(ustar) => ustar.linkname[..link.len()].copy_from_slice(link.as_bytes()),
            None => extensions.push(("linkpath", link.as_bytes())),
        }
    }
    let size = match &entry.node {
        Node::File(content) => content.size(),
        _ => 0,
    };
    // The header's octal digits hold no more.
    let size = (size >= 1 << 33).then(|| size.to_string());
    extensions.extend(size.iter().map(|size| ("size", size.as_bytes())));
    if extensions.is_empty() {
        return Ok(());
    }
    tar.append_pax_extensions(extensions).context("write its long name")
}

/// A short name for readers without PAX headers.
fn short(path: &str) -> String {
    let digest = Digest::of(path.as_bytes()).hex();
    format!("PaxHeaders/{}", &digest[..32])
}

fn append_file(
    tar: &mut tar::Builder<impl Write>,
    header: &Header,
    content: &Content,
    bar: &ProgressBar,
) -> Result<()> {
    let mut reader = HashingReader::new(content.open()?);
    tar.append(header, &mut bar.wrap_read(&mut reader)).context("write it")?;
    let (_, digest, size) = reader.finish();
    if (digest, size) != (content.digest(), content.size())
        && let Content::File { path, .. } = content
    {
        bail!("{} changed while it was being imaged; run again", path.display());
    }
    Ok(())
}
