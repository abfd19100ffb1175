//! What is in the layers of an image, read as a stream.

use std::io::{BufReader, Read};

use anyhow::{Context, Result, ensure};
use flate2::bufread::MultiGzDecoder;

use super::bounded::Allowance;
use super::media::{self, Compression};
use super::tar_reader::{self, TarMember};
use super::{Layer, zstd};
use crate::digest::HashingReader;
use crate::term::tame;

/// How many bytes of a layer are read at a time.
const BUFFER: usize = 64 * 1024;

/// What is done with a member and its content.
type Each<'a> = dyn FnMut(&TarMember, &mut dyn Read) -> Result<()> + 'a;

/// Calls `each` for every member of a layer, with a reader of its content. Fails where the layer
/// cannot be read to its end, or does not match its digests: what was found must then be
/// discarded.
pub fn contents(layer: &Layer, allowance: &mut Allowance, each: &mut Each<'_>) -> Result<()> {
    let (size, kind) = (layer.descriptor.size, &layer.descriptor.media_type);
    let context = || format!("read the layer {}", layer.descriptor.digest);
    let opened = layer.blob.open(size).with_context(context)?;
    let mut blob = BufReader::with_capacity(BUFFER, HashingReader::new(opened));
    let compression = media::compression(kind);
    let compression = compression
        .with_context(|| format!("its type {} is not supported", tame(kind.as_ref())))
        .with_context(context)?;
    match compression {
        Compression::None => unpacked(layer, &mut blob, each),
        Compression::Gzip => {
            unpacked(layer, allowance.reader(MultiGzDecoder::new(&mut blob), size), each)
        }
        Compression::Zstd => {
            unpacked(layer, allowance.reader(zstd::Decoder::new(&mut blob), size), each)
        }
    }
    .with_context(context)?;
    std::io::copy(&mut blob, &mut std::io::sink()).with_context(context)?;
    let (_, digest, read) = blob.into_inner().finish();
    let named = &layer.descriptor;
    ensure!(
        (digest, read) == (named.digest, named.size),
        "the layer {} holds {read} bytes with the digest {digest}",
        named.digest
    );
    Ok(())
}

fn unpacked(layer: &Layer, tar: impl Read, each: &mut Each<'_>) -> Result<()> {
    let mut tar = HashingReader::new(tar);
    tar_reader::walk(&mut tar, each)?;
    // The tar reader stops at the tar's end; the diff ID covers all that follows.
    std::io::copy(&mut tar, &mut std::io::sink()).context("read to the end")?;
    let (_, digest, _) = tar.finish();
    let named = layer.diff_id;
    ensure!(digest == named, "its tar has the digest {digest}, and the config names {named}");
    Ok(())
}
