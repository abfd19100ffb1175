//! Reads the headers of tar streams that others wrote: layers, and the archives
//! that hold images. Memory stays small whatever the stream says.
//!
//! `tar::Archive` reads long names and PAX headers into memory whatever their size.

use std::io::{self, Read, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};

mod check;
mod header;
mod member;
mod place;

pub use check::check_layer;
pub use member::{TarMember, TarMemberKind};
pub use place::{Place, normal};

use header::{Extension, HeaderKind, Record};
use member::{BLOCK, shown};

/// The largest long name or PAX header that is read, in bytes. Engines use Go's archive/tar,
/// which has the same limit.
/// <https://github.com/golang/go/blob/master/src/archive/tar/common.go>
const LARGEST_EXTENSION: u64 = 1024 * 1024;

/// The largest images of distributions hold some hundred thousand files.
const MOST_MEMBERS: u64 = 1_000_000;

/// Calls `each` for every member in order, with a reader of its content. What `each` leaves
/// unread is skipped. Bytes after the end of the archive are not read: a caller that hashes
/// the stream has to read them itself.
///
/// Fails where the stream is not a tar, is cut off, or would be understood differently by
/// different readers; and where `each` fails.
pub fn walk(
    mut reader: impl Read,
    each: impl FnMut(&TarMember, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let skip = |reader: &mut _, size| io::copy(&mut Read::take(reader, size), &mut io::sink());
    walk_with(&mut reader, MOST_MEMBERS, skip, each)
}

/// The same for a file that can seek, from its beginning: contents are skipped without
/// being read.
pub fn walk_file(
    file: &mut (impl Read + Seek),
    each: impl FnMut(&TarMember, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let end = file.seek(SeekFrom::End(0)).context("find the end of the tar")?;
    file.rewind().context("go to the beginning of the tar")?;
    // A seek beyond the end succeeds, so the bytes that remain are counted here.
    let skip = |file: &mut _, size: u64| {
        let here = Seek::stream_position(file)?;
        let there = size.min(end.saturating_sub(here));
        Seek::seek_relative(file, i64::try_from(there).map_err(io::Error::other)?)?;
        Ok(there)
    };
    walk_with(file, MOST_MEMBERS, skip, each)
}

/// Reads at most `most` members. `skip` skips that many bytes, or all that remain, and
/// returns how many it skipped.
fn walk_with<R: Read>(
    reader: &mut R,
    most: u64,
    skip: impl Fn(&mut R, u64) -> io::Result<u64>,
    mut each: impl FnMut(&TarMember, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut tar = TarReader { reader, skip, at: 0 };
    for _ in 0..most {
        let member = match tar.next()? {
            Next::Member(member) => member,
            Next::Global => continue,
            Next::End => return Ok(()),
        };
        let mut content = Content { reader: &mut *tar.reader, left: member.size, member: &member };
        each(&member, &mut content)?;
        let left = content.left;
        let name = shown(&member.path);
        let there = (tar.skip)(tar.reader, left).with_context(|| format!("read {name}"))?;
        ensure!(there == left, member.cut_off(left - there));
        let padding = member.padding();
        let filled = (tar.skip)(tar.reader, padding).with_context(|| format!("read {name}"))?;
        ensure!(filled == padding, "the tar is cut off: it ends within the last block of {name}");
        tar.at = member.at + member.size + padding;
    }
    ensure!(matches!(tar.next()?, Next::End), "the tar has more than {most} members");
    Ok(())
}

/// What comes next in a tar stream.
enum Next {
    Member(TarMember),
    /// A header for all members that follow; engines ignore it.
    Global,
    End,
}

/// A tar stream, and how far it has been read.
struct TarReader<'a, R, S> {
    reader: &'a mut R,
    skip: S,
    at: u64,
}

impl<R: Read, S: Fn(&mut R, u64) -> io::Result<u64>> TarReader<'_, R, S> {
    /// Reads the next member and the extension headers before it.
    fn next(&mut self) -> Result<Next> {
        let mut extension = Extension::default();
        loop {
            let at = self.at;
            let Some(block) = self.header()? else {
                ensure!(
                    extension == Extension::default(),
                    "the tar ends after an extension header at byte {at}, without its member"
                );
                return Ok(Next::End);
            };
            let record =
                Record::parse(&block).with_context(|| format!("the tar's header at byte {at}"))?;
            let whose = || format!("the tar's extension header at byte {at}");
            match record.kind {
                HeaderKind::LongPath => extension.long_path(self.content(&record).with_context(whose)?),
                HeaderKind::LongLink => extension.long_link(self.content(&record).with_context(whose)?),
                HeaderKind::Pax => extension.pax(&self.content(&record).with_context(whose)?),
                HeaderKind::Global => {
                    // Go drops an extension before it, and GNU tar keeps it.
                    ensure!(
                        extension == Extension::default(),
                        "the tar's global header at byte {at} separates an extension header from its member"
                    );
                    self.content(&record).with_context(whose)?;
                    return Ok(Next::Global);
                }
                HeaderKind::Member(kind) => {
                    return extension.member(record, kind, self.at).map(Next::Member);
                }
            }
            .with_context(whose)?;
        }
    }

    /// The next header, or `None` at the end of the archive. The end is two blocks of zeros,
    /// or one that nothing follows, as for GNU tar and Go's archive/tar.
    fn header(&mut self) -> Result<Option<[u8; BLOCK as usize]>> {
        let first = self.block()?;
        match first {
            Some(block) if block == [0; BLOCK as usize] => {
                let at = self.at;
                let second = self.block()?;
                ensure!(
                    second.is_none_or(|block| block == [0; BLOCK as usize]),
                    "the tar has one block of zeros before byte {at}, where the end has two"
                );
                Ok(None)
            }
            block => Ok(block),
        }
    }

    /// One block, or `None` where the stream ends before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK as usize]>> {
        let mut block = [0; BLOCK as usize];
        let bytes = self.bytes(BLOCK)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        ensure!(
            bytes.len() == block.len(),
            "the tar is cut off: {} bytes follow byte {}, and a header has {BLOCK}",
            bytes.len(),
            self.at
        );
        block.copy_from_slice(&bytes);
        self.at += BLOCK;
        Ok(Some(block))
    }

    /// The content of an extension header, without its padding.
    fn content(&mut self, record: &Record) -> Result<Vec<u8>> {
        let size = record.size;
        ensure!(
            size <= LARGEST_EXTENSION,
            "it says it has {size} bytes, and no more than {LARGEST_EXTENSION} are read"
        );
        let mut bytes = self.bytes(size.next_multiple_of(BLOCK))?;
        let there = bytes.len() as u64;
        ensure!(
            there == size.next_multiple_of(BLOCK),
            "it says it has {size} bytes, and the file ends after {there}"
        );
        self.at += there;
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    /// Reads that many bytes, or all that remain. Memory is allocated at once, so the caller
    /// must know that the size is small.
    fn bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(size as usize);
        let at = self.at;
        (&mut *self.reader)
            .take(size)
            .read_to_end(&mut bytes)
            .with_context(|| format!("read the tar at byte {at}"))?;
        Ok(bytes)
    }
}

/// A member's content. A stream that ends within it is an error, or a file that is cut off
/// would look like a shorter one.
struct Content<'a, R> {
    reader: &'a mut R,
    left: u64,
    member: &'a TarMember,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let given = self.reader.read(&mut buffer[..most])?;
        if given == 0 {
            let why = self.member.cut_off(self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        self.left -= given as u64;
        Ok(given)
    }
}

#[cfg(test)]
mod tests;
