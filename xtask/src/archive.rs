//! tar.gz archives whose bytes depend on their content alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};
use indicatif::ProgressBar;
use jiff::Timestamp;
use tar::{EntryType, Header};

use crate::cache::{Cache, Kind};
use crate::digest::{self, Digest, HashingWriter};
use crate::files::{self, Staging};
use crate::linkage::Binary;
use crate::plan::ArchivePlan;

/// Raised when the same entries come out as other bytes: it is part of the
/// cache's key, and the golden digest in the tests says when.
const FORMAT: &str = "archive 1";

/// gzip's level. Measured on a binary of 4 MB: 5 takes a third of the time of 9
/// for 4 % of size, and 6 takes 15 % longer than 5 for 0.2 %.
const LEVEL: u32 = 5;

/// gzip's byte for an unknown operating system, RFC 1952 section 2.3.1: the
/// host's own would differ between hosts.
const UNKNOWN_OS: u8 = 255;

/// A finished archive in the new dist/.
#[derive(Clone, Debug)]
pub struct Archive {
    plan: ArchivePlan,
    digest: Digest,
    size: u64,
}

impl Archive {
    pub fn plan(&self) -> &ArchivePlan {
        &self.plan
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// One entry: where its bytes are, and which they must be.
struct Entry {
    mode: u32,
    path: PathBuf,
    digest: Digest,
}

/// Makes the archive of the plan's binaries and files, or takes it from the
/// cache where all that it is made of is as it was.
pub fn archive(
    plan: &ArchivePlan,
    binaries: &[Binary],
    time: Timestamp,
    out: &Staging,
    cache: &Cache,
    bar: &ProgressBar,
) -> Result<Archive> {
    let context = || format!("make {}", plan.name);
    let entries = entries(plan, binaries).with_context(context)?;
    let key = key(&entries, time);
    let kept = cache.get(Kind::Archive, &key, out.create(&plan.name)?).with_context(context)?;
    let (digest, size) = match kept {
        Some(kept) => kept,
        None => {
            let (digest, size) =
                write(&entries, time, out.create(&plan.name)?, bar).with_context(context)?;
            cache
                .put(Kind::Archive, &key, &digest, files::open(&out.path(&plan.name))?)
                .with_context(context)?;
            (digest, size)
        }
    };
    Ok(Archive { plan: plan.clone(), digest, size })
}

/// The entries by name, which is also their order.
fn entries(plan: &ArchivePlan, binaries: &[Binary]) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    for bin in &plan.bins {
        let made = binaries.iter().find(|binary| {
            let compiled = binary.compiled();
            (compiled.package(), compiled.target(), compiled.bin())
                == (&plan.package, &plan.target, bin)
        });
        let Some(binary) = made else {
            bail!("no binary {bin} of {} was made for {}", plan.package, plan.target);
        };
        let (path, digest) = (binary.compiled().path().to_owned(), binary.digest()?);
        entries.insert(bin.clone(), Entry { mode: 0o755, path, digest });
    }
    for file in &plan.files {
        let digest = digest_of(&file.path)?;
        entries.insert(file.name.clone(), Entry { mode: 0o644, path: file.path.clone(), digest });
    }
    Ok(entries)
}

fn digest_of(path: &Path) -> Result<Digest> {
    Digest::of_reader(files::open(path)?).with_context(|| format!("read {}", path.display()))
}

fn key(entries: &BTreeMap<String, Entry>, time: Timestamp) -> Digest {
    let mut parts = vec![FORMAT.to_owned(), time.as_second().to_string()];
    for (name, entry) in entries {
        parts.extend([name.clone(), format!("{:o}", entry.mode), entry.digest.hex()]);
    }
    digest::of_parts(parts.iter().map(String::as_bytes))
}

/// Writes the archive and returns its digest and size.
fn write(
    entries: &BTreeMap<String, Entry>,
    time: Timestamp,
    file: File,
    bar: &ProgressBar,
) -> Result<(Digest, u64)> {
    let out = HashingWriter::new(BufWriter::new(file));
    let gzip =
        GzBuilder::new().mtime(0).operating_system(UNKNOWN_OS).write(out, Compression::new(LEVEL));
    // Blocks of one size, whatever tar hands over, for the compressor's output
    // depends on how its input is cut.
    let mut tar = tar::Builder::new(BufWriter::with_capacity(64 * 1024, gzip));
    for (name, entry) in entries {
        let context = || format!("add {}", entry.path.display());
        let file = files::open(&entry.path)?;
        let size = file.metadata().with_context(context)?.len();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        header.set_mode(entry.mode);
        header.set_mtime(time.as_second().max(0) as u64);
        header.set_uid(0);
        header.set_gid(0);
        let mut content = HashingReader {
            inner: bar.wrap_read(file.take(size)),
            hasher: HashingWriter::new(std::io::sink()),
        };
        tar.append_data(&mut header, name, &mut content).with_context(context)?;
        let (_, digest, read) = content.hasher.finish();
        if digest != entry.digest || read != size {
            bail!("{} changed while it was being archived; run again", entry.path.display());
        }
    }
    let blocks = tar.into_inner().context("finish the tar stream")?;
    let gzip =
        blocks.into_inner().map_err(|error| error.into_error()).context("finish the tar stream")?;
    let (file, digest, size) = gzip.finish().context("finish the gzip stream")?.finish();
    file.into_inner().map_err(|error| error.into_error()).context("write the archive")?;
    Ok((digest, size))
}

/// Hashes what passes through, so that what was proved is what is shipped.
struct HashingReader<R> {
    inner: R,
    hasher: HashingWriter<std::io::Sink>,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.write_all(&buffer[..read])?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dir: &Path, name: &str, mode: u32, content: &[u8]) -> (String, Entry) {
        let path = dir.join(name);
        files::write(&path, content).unwrap();
        (name.to_owned(), Entry { mode, path, digest: Digest::of(content) })
    }

    fn make(dir: &Path, entries: Vec<(String, Entry)>) -> (Digest, Vec<u8>) {
        let out = Staging::open(&dir.join("dist")).unwrap();
        let time = Timestamp::from_second(1_700_000_000).unwrap();
        let entries = entries.into_iter().collect();
        let (digest, size) =
            write(&entries, time, out.create("a").unwrap(), &ProgressBar::hidden()).unwrap();
        let bytes = files::read(&out.path("a")).unwrap();
        assert_eq!((digest, size), (Digest::of(&bytes), bytes.len() as u64));
        (digest, bytes)
    }

    /// When this digest changes, raise `FORMAT` and say so in the changelog.
    #[test]
    fn the_bytes_are_pinned() {
        let dir = tempfile::tempdir().unwrap();
        // Enough, and varied enough, to pass through every part of the compressor.
        let program: Vec<u8> =
            (0..400_000u32).flat_map(|i| (i.wrapping_mul(i >> 3) % 8191).to_le_bytes()).collect();
        let entries = vec![
            entry(dir.path(), "tool", 0o755, &program),
            entry(dir.path(), "LICENSE", 0o644, b"Apache"),
        ];
        let (digest, _) = make(dir.path(), entries);
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
        let (_, bytes) = make(dir.path(), entries);
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

    #[test]
    fn a_file_that_changed_since_it_was_proved_is_not_shipped() {
        let dir = tempfile::tempdir().unwrap();
        let (name, entry) = entry(dir.path(), "tool", 0o755, b"proved");
        files::write(&entry.path, b"forged").unwrap();
        let out = Staging::open(&dir.path().join("dist")).unwrap();
        let entries = BTreeMap::from([(name, entry)]);
        let error = write(
            &entries,
            Timestamp::UNIX_EPOCH,
            out.create("a").unwrap(),
            &ProgressBar::hidden(),
        );
        assert!(error.unwrap_err().to_string().contains("changed while it was being archived"));
    }
}
