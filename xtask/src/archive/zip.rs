//! zip, for Windows, which can open it without another program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use jiff::Timestamp;
use jiff::tz::Offset;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, System};

use super::{ArchiveEntry, BLOCK, LEVEL};
use crate::digest::{Digest, HashingWriter};

/// The size from which on 64-bit fields are needed, APPNOTE.TXT section 4.3.9.2.
/// <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
const LARGE: u64 = u32::MAX as u64;

/// Writes the archive and returns its digest and size. It is hashed while it is written, so the
/// sizes come after each entry (data descriptors) and in the directory at the end, which readers
/// use.
pub fn write(
    entries: &BTreeMap<String, ArchiveEntry>,
    time: Timestamp,
    file: File,
    bar: &ProgressBar,
) -> Result<(Digest, u64)> {
    let out = HashingWriter::new(BufWriter::new(file));
    let mut zip = ZipWriter::new_stream(out);
    for (name, entry) in entries {
        let context = || format!("add {}", entry.path.display());
        let mut content = entry.open(bar)?;
        let options = SimpleFileOptions::DEFAULT
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(i64::from(LEVEL)))
            // The same on all hosts; Unix has modes.
            .system(System::Unix)
            .unix_permissions(entry.mode)
            .last_modified_time(dos_time(time)?)
            .large_file(content.size >= LARGE);
        zip.start_file(name, options).with_context(context)?;
        let mut blocks = BufWriter::with_capacity(BLOCK, &mut zip);
        std::io::copy(&mut content, &mut blocks).with_context(context)?;
        // Not flushed, because that would end a block of the compressor.
        blocks.into_inner().map_err(|error| error.into_error()).with_context(context)?;
        content.finish(entry)?;
    }
    let stream = zip.finish().context("finish the zip stream")?;
    let (mut file, digest, size) = stream.into_inner().finish();
    file.flush().context("write the archive")?;
    Ok((digest, size))
}

/// The time in UTC, in steps of two seconds, within the range of the format.
/// APPNOTE.TXT section 4.4.6.
fn dos_time(time: Timestamp) -> Result<DateTime> {
    let civil = Offset::UTC.to_datetime(time);
    let parts = match civil.year() {
        ..1980 => (1980, 1, 1, 0, 0, 0),
        2108.. => (2107, 12, 31, 23, 59, 58),
        year => {
            let (month, day) = (civil.month(), civil.day());
            (year, month, day, civil.hour(), civil.minute(), civil.second())
        }
    };
    let (year, rest) = (parts.0, [parts.1, parts.2, parts.3, parts.4, parts.5]);
    let [month, day, hour, minute, second] = rest.map(i8::cast_unsigned);
    DateTime::from_date_and_time(year.cast_unsigned(), month, day, hour, minute, second)
        .context("write the time of an entry")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{entry, make, make_at, sample};
    use crate::plan::Format;
    use crate::process::{Env, Program, find};

    /// When this digest changes, raise the format's version and say so in the changelog.
    #[test]
    fn the_bytes_are_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let (digest, _) = make(dir.path(), Format::Zip, sample(dir.path(), "tool.exe"));
        assert_eq!(
            digest.hex(),
            "49bf06b581ffe22852841593dc66fba4b69a58e35ee3536540549bcacf2a5b06"
        );
    }

    /// Every byte but the compressed ones, as APPNOTE.TXT has them: version made
    /// by 2.0 on Unix, UTC, no extra field, no comment.
    #[test]
    fn headers_carry_nothing_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (_, bytes) = make(dir.path(), Format::Zip, vec![entry(dir.path(), "a", 0o755, b"x")]);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let local = "504b0304 1400 0800 0800 aab16e57 00000000 00000000 00000000 0100 0000 61";
        let data = "ab0000 504b0708 8316dc8c 03000000 01000000";
        let central = "504b0102 1403 1400 0800 0800 aab16e57 8316dc8c 03000000 01000000 0100 0000 \
                       0000 0000 0000 0000ed81 00000000 61";
        let end = "504b0506 0000 0000 0100 0100 2f000000 32000000 0000";
        assert_eq!(hex, [local, data, central, end].concat().replace(' ', ""));
    }

    /// A reader that somebody else wrote says the same of the archive.
    #[test]
    #[cfg(unix)]
    #[expect(clippy::disallowed_macros, reason = "a test that does not run must be heard of")]
    fn others_read_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let sample = sample(dir.path(), "tool.exe");
        let program = crate::files::read(&sample[0].1.path).unwrap();
        let (_, bytes) = make(dir.path(), Format::Zip, sample);
        crate::files::write(&dir.path().join("a.zip"), &bytes).unwrap();
        let env = Env::scrub([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]);
        let script = "import zipfile, hashlib\nz = zipfile.ZipFile('a.zip')\n\
                      for i in z.infolist():\n\
                      \u{20}print(i.filename, oct(i.external_attr >> 16), *i.date_time, \
                      len(i.extra), hashlib.sha256(z.read(i)).hexdigest())";
        let run = |name: &str, args: &[&str]| {
            let found = find(name, &env);
            if found.is_none() {
                eprintln!("skipped: {name} not found");
            }
            found.map(|program| Program::new(program, dir.path(), &env).args(args).read().unwrap())
        };
        let line = |name: &str, mode: &str, content: &[u8]| {
            format!("{name} {mode} 2023 11 14 22 13 20 0 {}\n", Digest::of(content).hex())
        };
        let expected =
            line("LICENSE", "0o100644", b"Apache") + &line("tool.exe", "0o100755", &program);
        if let Some(said) = run("python3", &["-c", script]) {
            assert_eq!(said, expected);
        }
        if let Some(said) = run("unzip", &["-Z1", "a.zip"]) {
            assert_eq!(said, "LICENSE\ntool.exe\n");
        }
        if let Some(said) = run("unzip", &["-t", "a.zip"]) {
            assert!(said.contains("No errors detected in compressed data"), "{said}");
        }
    }

    #[test]
    fn entries_are_sorted_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let entries = vec![
            entry(dir.path(), "tool.exe", 0o755, b"x"),
            entry(dir.path(), "README.md", 0o644, b"y"),
            entry(dir.path(), "LIESMICH-für-alle", 0o644, b""),
        ];
        let (_, bytes) = make(dir.path(), Format::Zip, entries);
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let seen: Vec<_> = (0..archive.len())
            .map(|at| {
                let mut file = archive.by_index(at).unwrap();
                let mut content = String::new();
                std::io::Read::read_to_string(&mut file, &mut content).unwrap();
                let time = file.last_modified().map(|time| time.to_string());
                (file.name().to_owned(), file.unix_mode(), time, content)
            })
            .collect();
        let time = Some("2023-11-14 22:13:20".to_owned());
        let entry = |name: &str, mode: u32, content: &str| {
            (name.to_owned(), Some(0o100_000 | mode), time.clone(), content.to_owned())
        };
        let expected = [
            entry("LIESMICH-für-alle", 0o644, ""),
            entry("README.md", 0o644, "y"),
            entry("tool.exe", 0o755, "x"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_time_that_dos_has_no_form_for_is_the_nearest_that_it_has() {
        for (second, expected) in [
            (-1_000_000, "1980-01-01 00:00:00"),
            (0, "1980-01-01 00:00:00"),
            (315_532_801, "1980-01-01 00:00:00"),
            (1_700_000_003, "2023-11-14 22:13:22"),
            (1_709_164_799, "2024-02-28 23:59:58"),
            (4_354_819_199, "2107-12-31 23:59:58"),
            (4_354_819_200, "2107-12-31 23:59:58"),
            (100_000_000_000, "2107-12-31 23:59:58"),
        ] {
            let time = dos_time(Timestamp::from_second(second).unwrap()).unwrap();
            assert_eq!(time.to_string(), expected, "{second}");
        }
        let dir = tempfile::tempdir().unwrap();
        let make = |time| {
            let entries = vec![entry(dir.path(), "a", 0o644, b"x")];
            make_at(dir.path(), Format::Zip, entries, time).0
        };
        assert_eq!(make(Timestamp::UNIX_EPOCH), make(Timestamp::constant(315_532_800, 0)));
    }
}
