//! Reads the headers of tar streams that others wrote: layers, and the archives
//! that hold images. Memory stays small whatever the stream says.
//!
//! `tar::Archive` reads long names and PAX headers into memory whatever their size.

use std::io::{self, Read, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};

mod check;
mod header;
mod place;

pub use check::check_layer;
pub use place::{Place, normal};

use header::{Extension, Kind, Record};

/// In bytes: of every header, and what contents are filled up to.
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06>
const BLOCK: u64 = 512;

/// In bytes: of a long name, or of a PAX header. Go's archive/tar, which the
/// engines read with, has the same limit.
/// <https://github.com/golang/go/blob/master/src/archive/tar/common.go>
const LARGEST_EXTENSION: u64 = 1024 * 1024;

/// The largest images of distributions hold some hundred thousand files.
const MOST_MEMBERS: u64 = 1_000_000;

/// One member of a tar stream, as its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As it is written, which need not be UTF-8; [`Member::place`] says where it leads.
    pub path: Vec<u8>,
    pub kind: MemberKind,
    /// The target of a link, as it is written.
    pub link: Option<Vec<u8>>,
    /// The lowest 12 bits: permissions, setuid, setgid and the sticky one.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// When it was changed, in seconds since 1970; 0 where that was before, or is not said.
    pub time: u64,
    /// In bytes; 0 for all but files.
    pub size: u64,
    /// Where the content begins, in bytes from where the stream does.
    pub at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    File,
    Hardlink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

impl Member {
    /// In bytes: what fills up the content's last block.
    fn padding(&self) -> u64 {
        self.size.next_multiple_of(BLOCK) - self.size
    }

    /// What is said where that many bytes of the content are missing.
    fn cut_off(&self, missing: u64) -> String {
        let (name, size) = (shown(&self.path), self.size);
        let there = size - missing;
        format!("{name} says it has {size} bytes, and the file ends after {there}")
    }
}

/// Calls `each` for every member in order. Its content may be read from the given
/// reader; what is left of it is skipped. What follows the end of the archive is
/// not read: who hashes the stream has to drain it.
///
/// An error is a stream that is not a tar, is cut off, or that readers would
/// understand differently; or what `each` returned.
pub fn walk(
    mut reader: impl Read,
    each: impl FnMut(&Member, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let skip = |reader: &mut _, size| io::copy(&mut Read::take(reader, size), &mut io::sink());
    walk_with(&mut reader, MOST_MEMBERS, skip, each)
}

/// The same for a file that can seek, from its beginning: contents are skipped
/// without being read.
pub fn walk_file(
    file: &mut (impl Read + Seek),
    each: impl FnMut(&Member, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let end = file.seek(SeekFrom::End(0)).context("find the end of the tar")?;
    file.rewind().context("go to the beginning of the tar")?;
    // A seek beyond the end succeeds, so what is there has to be counted.
    let skip = |file: &mut _, size: u64| {
        let here = Seek::stream_position(file)?;
        let there = size.min(end.saturating_sub(here));
        Seek::seek_relative(file, i64::try_from(there).map_err(io::Error::other)?)?;
        Ok(there)
    };
    walk_with(file, MOST_MEMBERS, skip, each)
}

/// `most` is how many members there may be. `skip` passes over as many bytes as it
/// is told, or as there are, and returns how many those were.
fn walk_with<R: Read>(
    reader: &mut R,
    most: u64,
    skip: impl Fn(&mut R, u64) -> io::Result<u64>,
    mut each: impl FnMut(&Member, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut tape = Tape { reader, skip, at: 0 };
    for _ in 0..most {
        let member = match tape.next()? {
            Next::Member(member) => member,
            Next::Global => continue,
            Next::End => return Ok(()),
        };
        let mut content = Content { reader: &mut *tape.reader, left: member.size, member: &member };
        each(&member, &mut content)?;
        let left = content.left;
        let name = shown(&member.path);
        let there = (tape.skip)(tape.reader, left).with_context(|| format!("read {name}"))?;
        ensure!(there == left, member.cut_off(left - there));
        let padding = member.padding();
        let filled = (tape.skip)(tape.reader, padding).with_context(|| format!("read {name}"))?;
        ensure!(filled == padding, "the tar is cut off: it ends within the last block of {name}");
        tape.at = member.at + member.size + padding;
    }
    ensure!(matches!(tape.next()?, Next::End), "the tar has more than {most} members");
    Ok(())
}

/// What stands next in a tar stream.
enum Next {
    Member(Member),
    /// A header that would speak of all members that follow; engines ignore it.
    Global,
    End,
}

/// A tar stream, and how far it has been read.
struct Tape<'a, R, S> {
    reader: &'a mut R,
    skip: S,
    at: u64,
}

impl<R: Read, S: Fn(&mut R, u64) -> io::Result<u64>> Tape<'_, R, S> {
    /// Goes on to the next member, with all that the headers before it say of it.
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
                Kind::LongPath => extension.long_path(self.content(&record).with_context(whose)?),
                Kind::LongLink => extension.long_link(self.content(&record).with_context(whose)?),
                Kind::Pax => extension.pax(&self.content(&record).with_context(whose)?),
                Kind::Global => {
                    // Go forgets what stood before it, and GNU tar doesn't.
                    ensure!(
                        extension == Extension::default(),
                        "the tar's global header at byte {at} parts another from its member"
                    );
                    self.content(&record).with_context(whose)?;
                    return Ok(Next::Global);
                }
                Kind::Member(kind) => {
                    return extension.member(record, kind, self.at).map(Next::Member);
                }
            }
            .with_context(whose)?;
        }
    }

    /// The next header, or `None` at the end of the archive: a block of zeros and
    /// another, or nothing more. GNU tar and Go's archive/tar take the same for the end.
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

    /// The content of an extension header, without what fills its last block.
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

    /// As many bytes, or as there are. The memory is taken at once, so the size
    /// has to be known to be small.
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

/// What a member holds. That the stream ends before it does is an error, or a file
/// that is cut off would look like a shorter one.
struct Content<'a, R> {
    reader: &'a mut R,
    left: u64,
    member: &'a Member,
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

/// A path for an error: quoted, and cut where it is long.
fn shown(path: &[u8]) -> String {
    let end = path.len().min(200);
    let dots = if end < path.len() { "..." } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(&path[..end]))
}

#[cfg(test)]
mod tests;
