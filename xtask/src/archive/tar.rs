//! tar.gz, for all systems but Windows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use indicatif::ProgressBar;
use jiff::Timestamp;
use tar::{EntryType, Header};

use super::{ArchiveEntry, BLOCK, LEVEL};
use crate::digest::{Digest, HashingWriter};

/// gzip's byte for an unknown operating system, RFC 1952 section 2.3.1: the host's own would
/// differ between hosts.
const UNKNOWN_OS: u8 = 255;

/// Writes the archive and returns its digest and size.
pub fn write(
    entries: &BTreeMap<String, ArchiveEntry>,
    time: Timestamp,
    file: File,
    bar: &ProgressBar,
) -> Result<(Digest, u64)> {
    let out = HashingWriter::new(BufWriter::new(file));
    let gzip =
        GzBuilder::new().mtime(0).operating_system(UNKNOWN_OS).write(out, Compression::new(LEVEL));
    let mut tar = tar::Builder::new(BufWriter::with_capacity(BLOCK, gzip));
    for (name, entry) in entries {
        let mut content = entry.open(bar)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.size);
        header.set_mode(entry.mode);
        header.set_mtime(time.as_second().max(0) as u64);
        header.set_uid(0);
        header.set_gid(0);
        let context = || format!("add {}", entry.path.display());
        tar.append_data(&mut header, name, &mut content).with_context(context)?;
        content.finish(entry)?;
    }
    let blocks = tar.into_inner().context("finish the tar stream")?;
    let gzip =
        blocks.into_inner().map_err(|error| error.into_error()).context("finish the tar stream")?;
    let (file, digest, size) = gzip.finish().context("finish the gzip stream")?.finish();
    file.into_inner().map_err(|error| error.into_error()).context("write the archive")?;
    Ok((digest, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{entry, make, sample};
    use crate::plan::Format;

    /// When this digest changes, raise the format's version and say so in the changelog.
    #[test]
    fn the_bytes_are_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let (digest, _) = make(dir.path(), Format::TarGz, sample(dir.path(), "tool"));
        assert_eq!(
            digest.hex(),
            "925e64f583e96fe61230713ac269ad85748210b9fd8346bc93adce8f3abc5beb"
        );
    }

    #[test]
    fn entries_are_sorted_and_carry_nothing_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let entries = vec![
            entry(dir.path(), "tool", 0o755, b"x"),
            entry(dir.path(), "README.md", 0o644, b"y"),
        ];
        let (_, bytes) = make(dir.path(), Format::TarGz, entries);
        assert_eq!(bytes[4..10], [0, 0, 0, 0, 0, UNKNOWN_OS]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().to_str().unwrap().to_owned();
                (
                    path,
                    header.mode().unwrap(),
                    header.mtime().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("README.md".to_owned(), 0o644, 1_700_000_000, 0, 0),
            ("tool".to_owned(), 0o755, 1_700_000_000, 0, 0),
        ];
        assert_eq!(seen, expected);
    }
}
