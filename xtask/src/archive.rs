//! Archives whose bytes only depend on their contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Take};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressBarIter};
use jiff::Timestamp;

use crate::cache::{Cache, CacheKind};
use crate::digest::{self, Digest, HashingReader};
use crate::files::{self, Staging};
use crate::generate::Generated;
use crate::linkage::{Binaries, Linkage};
use crate::plan::{ArchivePlan, Format};

mod tar;
mod zip;

/// The level of deflate. Measured on a binary of 4 MB: 5 takes a third of the
/// time of 9 for 4 % of size, and 6 takes 15 % longer than 5 for 0.2 %.
const LEVEL: u32 = 5;

/// The size of blocks in bytes: the compressor's output depends on how its input is split.
const BLOCK: usize = 64 * 1024;

/// A finished archive in the new dist/.
#[derive(Clone, Debug)]
pub struct Archive {
    pub plan: ArchivePlan,
    /// What its programs were found to be, by name.
    pub linkage: BTreeMap<String, Linkage>,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// How long it took to make.
    pub time: Duration,
}

/// An entry: its file, and the digest that it must have.
struct ArchiveEntry {
    mode: u32,
    path: PathBuf,
    digest: Digest,
}

/// Writes an archive of a format and returns its digest and size.
type Writer =
    fn(&BTreeMap<String, ArchiveEntry>, Timestamp, File, &ProgressBar) -> Result<(Digest, u64)>;

/// A format's version and writer. The version is a part of the cache's key: it is raised when the
/// same entries give other bytes, which the golden digest in the writer's tests shows.
fn format(format: Format) -> (&'static str, Writer) {
    match format {
        Format::TarGz => ("archive 1", tar::write),
        Format::Zip => ("zip 1", zip::write),
    }
}

/// Makes the archive of the plan's binaries and files and of its package's generated files, or
/// takes it from the cache where all of them are unchanged.
pub fn archive(
    plan: &ArchivePlan,
    binaries: &Binaries,
    generated: &Generated,
    time: Timestamp,
    out: &Staging<'_>,
    cache: &Cache,
    bar: &ProgressBar,
) -> Result<Archive> {
    let started = Instant::now();
    let context = || format!("make {}", plan.name);
    let entries = entries(plan, binaries, generated).with_context(context)?;
    let (version, write) = format(plan.format);
    let key = key(version, &entries, time);
    let kept =
        cache.get(CacheKind::Archive, &key, out.create(&plan.name)?).with_context(context)?;
    let (digest, size) = match kept {
        Some(kept) => kept,
        None => {
            let made = write(&entries, time, out.create(&plan.name)?, bar).with_context(context)?;
            let file = files::open(&out.path(&plan.name))?;
            cache.put(CacheKind::Archive, &key, &made.0, file).with_context(context)?;
            made
        }
    };
    let own = binaries.of(&plan.package, &plan.target);
    let linkage = own.map(|it| (it.compiled().bin().to_owned(), it.linkage().clone())).collect();
    Ok(Archive { plan: plan.clone(), linkage, digest, size, time: started.elapsed() })
}

/// The entries, sorted by name.
fn entries(
    plan: &ArchivePlan,
    binaries: &Binaries,
    generated: &Generated,
) -> Result<BTreeMap<String, ArchiveEntry>> {
    let mut entries = BTreeMap::new();
    for (bin, name) in plan.bins.iter().zip(plan.programs()) {
        let binary = binaries.get(&plan.package, &plan.target, bin)?;
        let (path, digest) = (binary.compiled().path().to_owned(), binary.digest()?);
        entries.insert(plan.place(&name), ArchiveEntry { mode: 0o755, path, digest });
    }
    for file in &plan.files {
        let path = file.path.clone();
        let digest = Digest::of_reader(files::open_resolved(&path)?);
        let digest = digest.with_context(|| format!("read {}", path.display()))?;
        entries.insert(plan.place(&file.name), ArchiveEntry { mode: file.mode, path, digest });
    }
    for file in generated.of(plan) {
        let (path, digest) = (file.path.clone(), file.digest);
        entries.insert(plan.place(&file.name), ArchiveEntry { mode: file.mode, path, digest });
    }
    Ok(entries)
}

fn key(version: &str, entries: &BTreeMap<String, ArchiveEntry>, time: Timestamp) -> Digest {
    let mut parts = vec![version.to_owned(), time.as_second().to_string()];
    for (name, entry) in entries {
        parts.extend([name.clone(), format!("{:o}", entry.mode), entry.digest.hex()]);
    }
    digest::of_parts(parts.iter().map(String::as_bytes))
}

impl ArchiveEntry {
    fn open(&self, bar: &ProgressBar) -> Result<Content> {
        let file = files::open_regular(&self.path)?;
        let meta = file.metadata().with_context(|| format!("add {}", self.path.display()))?;
        let inner = HashingReader::new(bar.wrap_read(file.take(meta.len())));
        Ok(Content { inner, size: meta.len() })
    }
}

/// An entry's bytes, hashed while they are read: what was proved is what is shipped.
struct Content {
    inner: HashingReader<ProgressBarIter<Take<File>>>,
    /// In bytes.
    size: u64,
}

impl Content {
    /// Fails where the bytes that were read are not the entry's.
    fn finish(self, entry: &ArchiveEntry) -> Result<()> {
        let (_, digest, read) = self.inner.finish();
        if digest != entry.digest || read != self.size {
            bail!("{} changed while it was being archived; run again", entry.path.display());
        }
        Ok(())
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::Dist;

    pub fn entry(dir: &Path, name: &str, mode: u32, content: &[u8]) -> (String, ArchiveEntry) {
        let path = dir.join(name);
        files::write(&path, content).unwrap();
        (name.to_owned(), ArchiveEntry { mode, path, digest: Digest::of(content) })
    }

    /// A program of this name and a file, enough and varied enough to pass
    /// through every part of the compressor.
    pub fn sample(dir: &Path, name: &str) -> Vec<(String, ArchiveEntry)> {
        let program: Vec<u8> =
            (0..400_000u32).flat_map(|i| (i.wrapping_mul(i >> 3) % 8191).to_le_bytes()).collect();
        vec![entry(dir, name, 0o755, &program), entry(dir, "LICENSE", 0o644, b"Apache")]
    }

    pub fn make(dir: &Path, of: Format, entries: Vec<(String, ArchiveEntry)>) -> (Digest, Vec<u8>) {
        make_at(dir, of, entries, Timestamp::constant(1_700_000_000, 0))
    }

    pub fn make_at(
        dir: &Path,
        of: Format,
        entries: Vec<(String, ArchiveEntry)>,
        time: Timestamp,
    ) -> (Digest, Vec<u8>) {
        let dist = Dist::lock(&dir.join("dist"), "a test", |_| {}).unwrap();
        let out = Staging::open(&dist).unwrap();
        let (entries, bar) = (entries.into_iter().collect(), ProgressBar::hidden());
        let (digest, size) = format(of).1(&entries, time, out.create("a").unwrap(), &bar).unwrap();
        let bytes = files::read(&out.path("a")).unwrap();
        assert_eq!((digest, size), (Digest::of(&bytes), bytes.len() as u64));
        (digest, bytes)
    }

    #[test]
    fn a_file_that_changed_since_it_was_proved_is_not_shipped() {
        for of in [Format::TarGz, Format::Zip] {
            let dir = tempfile::tempdir().unwrap();
            let (name, entry) = entry(dir.path(), "tool", 0o755, b"proved");
            files::write(&entry.path, b"forged").unwrap();
            let dist = Dist::lock(&dir.path().join("dist"), "a test", |_| {}).unwrap();
            let out = Staging::open(&dist).unwrap();
            let (entries, bar) = (BTreeMap::from([(name, entry)]), ProgressBar::hidden());
            let file = out.create("a").unwrap();
            let error = format(of).1(&entries, Timestamp::UNIX_EPOCH, file, &bar).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("changed while it was being archived"), "{error}");
        }
    }

    /// The same entries in another format are another archive.
    #[test]
    fn the_format_is_part_of_the_key() {
        let entries = BTreeMap::new();
        let of = |of| key(format(of).0, &entries, Timestamp::UNIX_EPOCH);
        assert_ne!(of(Format::TarGz), of(Format::Zip));
    }
}
