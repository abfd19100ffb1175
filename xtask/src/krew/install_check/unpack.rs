//! Unpacks an archive into memory as krew unpacks it onto a disk, but with limits.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/download/downloader.go>

use std::io::{Read, Seek};

use flate2::read::MultiGzDecoder;

use super::unpacked::{Budget, Unpacked, damaged};
use super::zip;
use crate::krew::report::Problem;
use crate::oci::tar_reader::walk;

/// Unpacks an archive. An error is what stops krew, what no file system takes, or what is
/// larger than any plugin.
pub fn unpack(archive: &mut (impl Read + Seek)) -> Result<Unpacked, Problem> {
    let mut first = Vec::new();
    // Go's `http.DetectContentType` reads as many bytes to tell the format.
    let read = archive.rewind().and_then(|()| archive.by_ref().take(512).read_to_end(&mut first));
    read.and_then(|_| archive.rewind()).map_err(|error| damaged(&error.to_string()))?;
    let mut unpacked = Unpacked::empty();
    let budget = Budget::full();
    // <https://mimesniff.spec.whatwg.org/#matching-an-archive-type-pattern>
    if first.starts_with(b"PK\x03\x04") {
        zip::unpack(archive, &budget, &mut unpacked)?;
    } else if first.starts_with(b"\x1f\x8b\x08") {
        unpack_tar_gz(archive, &budget, &mut unpacked)?;
    } else {
        let why = "krew unpacks only zip and gzipped tar files: by its first bytes the archive \
                   is neither";
        return Err(Problem::new("archive-format", why, "ship a .tar.gz or a .zip"));
    }
    Ok(unpacked)
}

/// Reads to the end of the tar, as krew does. What follows it is ignored.
fn unpack_tar_gz(
    archive: &mut impl Read,
    budget: &Budget,
    to: &mut Unpacked,
) -> Result<(), Problem> {
    let reader = budget.limit(MultiGzDecoder::new(archive));
    let read = walk(reader, |member, _| Ok(to.add_member(member)?));
    read.map_err(|error| match error.downcast::<Problem>() {
        Ok(problem) => problem,
        Err(error) => budget.problem(&format!("{error:#}")),
    })
}
