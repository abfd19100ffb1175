//! Reads zip files as Go's archive/zip does. The `zip` crate keeps one entry of each name and
//! takes names for text; Go returns all entries in order, with their names in bytes.
//! <https://github.com/golang/go/blob/go1.26.0/src/archive/zip/reader.go>

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::tree::{File, quoted};
use super::unpacked::{Budget, Unpacked, damaged};
use crate::krew::report::Problem;

/// The signatures and the sizes of records, APPNOTE.TXT sections 4.3.7 to 4.3.16.
/// <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
const LOCAL: (&[u8], usize) = (b"PK\x03\x04", 30);
const CENTRAL: (&[u8], usize) = (b"PK\x01\x02", 46);
const END: (&[u8], usize) = (b"PK\x05\x06", 22);
const LOCATOR_64: (&[u8], usize) = (b"PK\x06\x07", 20);
const END_64: (&[u8], usize) = (b"PK\x06\x06", 56);
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// Bits of an entry's flags, section 4.4.4: a descriptor with the checksum and sizes follows
/// the content; the content is encrypted.
const HAS_DESCRIPTOR: u16 = 1 << 3;
const ENCRYPTED: u16 = 1;
/// The compression methods that Go knows, section 4.4.5.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The extra field with sizes of 64 bits, section 4.5.3.
const EXTRA_64: u16 = 1;

/// The systems that an entry can come from, section 4.4.2: those with modes of Unix, and
/// those with attributes of MS-DOS.
const UNIX: [u16; 2] = [3, 19];
const DOS: [u16; 3] = [0, 11, 14];
/// The type of a file in its mode.
const TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// An entry of the central directory.
struct ZipEntry {
    name: Vec<u8>,
    creator: u16,
    flags: u16,
    method: u16,
    crc: u32,
    compressed_size: u64,
    size: u64,
    attributes: u32,
    /// The offset of its local header.
    header: u64,
}

/// Unpacks all entries in the order of the directory.
pub fn unpack(
    file: &mut (impl Read + Seek),
    budget: &Budget,
    to: &mut Unpacked,
) -> Result<(), Problem> {
    let unreadable = |error: io::Error| damaged(&error.to_string());
    let (mut at, records, base) = directory(file).map_err(unreadable)?;
    let mut seen = 0u64;
    loop {
        // One at a time: the count that the file claims must not decide how much memory is used.
        let entry = match central(file, at) {
            Ok(Some((entry, next))) => {
                at = next;
                entry
            }
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(unreadable(error)),
        };
        seen += 1;
        entry.unpack(file, base, budget, to)?;
    }
    // Go compares only the lowest 16 bits, because old files have no more.
    if records & 0xffff != seen & 0xffff {
        return Err(damaged("its directory does not have as many entries as it says"));
    }
    Ok(())
}

impl ZipEntry {
    fn unpack(
        &self,
        file: &mut (impl Read + Seek),
        base: i64,
        budget: &Budget,
        to: &mut Unpacked,
    ) -> Result<(), Problem> {
        let name = quoted(&self.name);
        let (is_folder, was_link, mode) = self.mode();
        if is_folder {
            return to.add_folder(&self.name, mode);
        }
        // krew checks the name before it reads the content.
        to.add_file(&self.name, File { mode, was_link })?;
        if self.flags & ENCRYPTED != 0 {
            let why = format!("{name} is encrypted: krew cannot read it");
            let fix = "make the archive without a password";
            return Err(Problem::new("archive-encrypted", why, fix));
        }
        let read = self.verify(file, base, budget);
        read.map_err(|error| budget.problem(&format!("{name}: {error}")))
    }

    /// Whether it is a folder, whether it is a link, and its permissions.
    fn mode(&self) -> (bool, bool, u32) {
        let system = self.creator >> 8;
        let (kind, mode) = if UNIX.contains(&system) {
            let mode = self.attributes >> 16;
            (mode & TYPE, mode & 0o777)
        } else if DOS.contains(&system) {
            let folder = self.attributes & 0x10 != 0;
            let read_only = self.attributes & 1 != 0;
            let mode = if folder { 0o777 } else { 0o666 };
            let mode = if read_only { mode & !0o222 } else { mode };
            (if folder { FOLDER } else { 0 }, mode)
        } else {
            (0, 0)
        };
        (kind == FOLDER || self.name.ends_with(b"/"), kind == LINK, mode)
    }

    /// Reads the content to its end, and compares its size and checksum.
    fn verify(&self, file: &mut (impl Read + Seek), base: i64, budget: &Budget) -> io::Result<()> {
        let outside = || invalid("its header is outside of the file");
        let header = self.header.checked_add_signed(base).ok_or_else(outside)?;
        let local = exact(&mut section(file, header, LOCAL.1 as u64)?, LOCAL.1)?;
        if !local.starts_with(LOCAL.0) {
            return Err(invalid("its header is missing"));
        }
        let names = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let begin = header + LOCAL.1 as u64 + names;
        let compressed = section(file, begin, self.compressed_size)?;
        let (crc, size) = match self.method {
            STORED => measure(budget.limit(compressed), self.size)?,
            DEFLATED => measure(budget.limit(DeflateDecoder::new(compressed)), self.size)?,
            other => return Err(invalid(&format!("krew cannot read compression method {other}"))),
        };
        if size != self.size {
            return Err(invalid(&format!(
                "it has {size} bytes, not the {} that it declares",
                self.size
            )));
        }
        if self.flags & HAS_DESCRIPTOR != 0 {
            let end = begin.checked_add(self.compressed_size);
            let mut reader = section(file, end.ok_or_else(|| invalid("it is too large"))?, 16)?;
            let mut checksum = exact(&mut reader, 4)?;
            if checksum == DESCRIPTOR {
                checksum = exact(&mut reader, 4)?;
            }
            // Go requires the sizes that follow, but ignores their values.
            exact(&mut reader, 8)?;
            if u32_at(&checksum, 0) != self.crc {
                return Err(invalid("its two checksums differ"));
            }
        }
        // Without a descriptor, Go takes 0 for no checksum.
        let is_unchecked = self.crc == 0 && self.flags & HAS_DESCRIPTOR == 0;
        if crc != self.crc && !is_unchecked {
            return Err(invalid("its checksum is wrong"));
        }
        Ok(())
    }
}

/// The checksum and the size of what is read; an error once the size exceeds `most`.
fn measure(mut reader: impl Read, most: u64) -> io::Result<(u32, u64)> {
    let mut crc = Crc::new();
    let mut buffer = [0; 16 * 1024];
    let mut size = 0;
    loop {
        let given = match reader.read(&mut buffer) {
            Ok(0) => return Ok((crc.sum(), size)),
            Ok(given) => given,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        crc.update(&buffer[..given]);
        size += given as u64;
        if size > most {
            return Err(invalid(&format!("it has more than the {most} bytes that it declares")));
        }
    }
}

/// The offset of the central directory, how many entries it claims, and what must be added
/// to the offsets in it.
fn directory(file: &mut (impl Read + Seek)) -> io::Result<(u64, u64, i64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let (record, mut end) = end_record(file, length)?;
    let mut records = u64::from(u16_at(&record, 10));
    let mut size = u64::from(u32_at(&record, 12));
    let mut offset = u64::from(u32_at(&record, 16));
    // Go compares the size with 0xffff too, although the field has 32 bits.
    if (records == 0xffff || size == 0xffff || offset == 0xffff_ffff)
        && let Some(at) = end_64(file, end)?
    {
        let record = exact(&mut section(file, at, END_64.1 as u64)?, END_64.1)?;
        if !record.starts_with(END_64.0) {
            return Err(invalid("the end of its directory has no header"));
        }
        (records, size, offset) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
        end = at;
    }
    let misplaced = || invalid("its directory is not where it says");
    let signed = |number: u64| i64::try_from(number).map_err(|_| misplaced());
    let offset_signed = signed(offset)?;
    let before = signed(end)?.checked_sub(signed(size)?);
    let base = before.and_then(|before| before.checked_sub(offset_signed)).ok_or_else(misplaced)?;
    let begin = base.checked_add(offset_signed).and_then(|begin| u64::try_from(begin).ok());
    let begin = begin.filter(|begin| *begin < length).ok_or_else(misplaced)?;
    // A zip appended to another file, whose offsets still count from its own beginning.
    if base > 0 && matches!(central(file, offset), Ok(Some(_))) {
        return Ok((offset, records, 0));
    }
    Ok((begin, records, base))
}

/// The end record, which only a comment may follow, and its offset.
fn end_record(file: &mut (impl Read + Seek), length: u64) -> io::Result<(Vec<u8>, u64)> {
    for most in [1024, 65 * 1024] {
        let size = length.min(most);
        let bytes = exact(&mut section(file, length - size, size)?, size as usize)?;
        let is_end = |at: &usize| bytes[*at..].starts_with(END.0);
        let last = bytes.len().checked_sub(END.1).and_then(|last| (0..=last).rev().find(is_end));
        if let Some(at) = last
            && at + END.1 + usize::from(u16_at(&bytes, at + 20)) <= bytes.len()
        {
            return Ok((bytes[at..].to_vec(), length - size + at as u64));
        }
        if size == length {
            break;
        }
    }
    Err(invalid("it has no directory"))
}

/// The offset of the end record with 64 bits, which the locator just before `end` gives.
fn end_64(file: &mut (impl Read + Seek), end: u64) -> io::Result<Option<u64>> {
    let Some(at) = end.checked_sub(LOCATOR_64.1 as u64) else { return Ok(None) };
    let record = exact(&mut section(file, at, LOCATOR_64.1 as u64)?, LOCATOR_64.1)?;
    let one_disk = u32_at(&record, 4) == 0 && u32_at(&record, 16) == 1;
    Ok((record.starts_with(LOCATOR_64.0) && one_disk).then(|| u64_at(&record, 8)))
}

/// The entry of the central directory at an offset, and the offset of the next one; `None`
/// where there is no entry.
fn central(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<(ZipEntry, u64)>> {
    let mut reader = BufReader::new(section(file, at, CENTRAL.1 as u64 + 3 * 0xffff)?);
    let record = exact(&mut reader, CENTRAL.1)?;
    if !record.starts_with(CENTRAL.0) {
        return Ok(None);
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(&record, at)));
    let name = exact(&mut reader, lengths[0])?;
    let extra = exact(&mut reader, lengths[1])?;
    exact(&mut reader, lengths[2])?;
    let mut entry = ZipEntry {
        name,
        creator: u16_at(&record, 4),
        flags: u16_at(&record, 8),
        method: u16_at(&record, 10),
        crc: u32_at(&record, 16),
        compressed_size: u64::from(u32_at(&record, 20)),
        size: u64::from(u32_at(&record, 24)),
        attributes: u32_at(&record, 38),
        header: u64::from(u32_at(&record, 42)),
    };
    if !entry.widen(&extra) {
        return Ok(None);
    }
    Ok(Some((entry, at + (CENTRAL.1 + lengths.iter().sum::<usize>()) as u64)))
}

impl ZipEntry {
    /// Takes from the extra field the 64-bit numbers that do not fit into 32 bits; `false`
    /// where one is missing.
    fn widen(&mut self, mut extra: &[u8]) -> bool {
        let full = u64::from(u32::MAX);
        let mut done = [false; 3];
        while extra.len() >= 4 {
            let tag = u16_at(extra, 0);
            let size = usize::from(u16_at(extra, 2));
            let Some(mut field) = extra[4..].get(..size) else { break };
            extra = &extra[4 + size..];
            if tag != EXTRA_64 {
                continue;
            }
            let numbers = [&mut self.size, &mut self.compressed_size, &mut self.header];
            for (number, done) in numbers.into_iter().zip(&mut done) {
                if *number == full && !*done {
                    let Some((first, rest)) = field.split_at_checked(8) else { return false };
                    (*number, *done, field) = (u64_at(first, 0), true, rest);
                }
            }
        }
        let [_, has_compressed_size, has_header] = done;
        (self.compressed_size != full || has_compressed_size) && (self.header != full || has_header)
    }
}

/// Part of a file.
fn section(file: &mut (impl Read + Seek), from: u64, size: u64) -> io::Result<impl Read> {
    file.seek(SeekFrom::Start(from))?;
    Ok(file.take(size))
}

/// Exactly `size` bytes. Every size is at most 64 KiB.
fn exact(reader: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
