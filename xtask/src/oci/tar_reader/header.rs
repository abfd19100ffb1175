//! The fields of tar's headers: ustar, GNU's and PAX's.
//! <https://www.gnu.org/software/tar/manual/html_node/Standard.html>

use anyhow::{Context, Result, bail, ensure};
use tar::Header;

use super::member::{BLOCK, TarMember, TarMemberKind, shown};

/// The size of the prefix in star's headers, in bytes. star has times after it.
const STAR_PREFIX: usize = 131;

/// One header, without its extensions.
pub struct Record {
    pub kind: HeaderKind,
    pub size: u64,
    /// Whether the header has no type flag, as in V7's tar.
    unmarked: bool,
    path: Vec<u8>,
    link: Vec<u8>,
    mode: u32,
    uid: u64,
    gid: u64,
    time: u64,
}

/// What a header describes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HeaderKind {
    Member(TarMemberKind),
    /// The path of the member that follows, GNU's `L`.
    LongPath,
    /// The link of the member that follows, GNU's `K`.
    LongLink,
    /// Fields of the member that follows, PAX's `x`.
    Pax,
    /// Fields of all that follow, PAX's `g`.
    Global,
}

impl Record {
    /// The crate `tar` does not read the numbers: it drops the upper bytes of a size over 64
    /// bits, and refuses an empty field, which Go writes.
    pub fn parse(block: &[u8; BLOCK as usize]) -> Result<Record> {
        let header = Header::from_byte_slice(block);
        let fields = header.as_old();
        check_sum(block, &fields.cksum)?;
        let mut path = until_nul(&fields.name).to_vec();
        if let Some(ustar) = header.as_ustar() {
            let end = if block.ends_with(b"tar\0") { STAR_PREFIX } else { ustar.prefix.len() };
            let prefix = until_nul(&ustar.prefix[..end]);
            if !prefix.is_empty() {
                path = [prefix, b"/", &path].concat();
            }
        }
        let kind = kind(fields.linkflag[0], &path)?;
        let mode = number(&fields.mode).context("its mode")? & 0o7777;
        Ok(Record {
            kind,
            unmarked: fields.linkflag[0] == 0,
            size: number(&fields.size).context("its size")?,
            link: until_nul(&fields.linkname).to_vec(),
            mode: mode as u32,
            uid: number(&fields.uid).context("its uid")?,
            gid: number(&fields.gid).context("its gid")?,
            // Nothing depends on times, so one that cannot be read is ignored.
            time: number(&fields.mtime).unwrap_or(0),
            path,
        })
    }
}

fn kind(flag: u8, path: &[u8]) -> Result<HeaderKind> {
    Ok(match flag {
        // `7` is a contiguous file, which POSIX lets readers treat as any file.
        0 | b'0' | b'7' => HeaderKind::Member(TarMemberKind::File),
        b'1' => HeaderKind::Member(TarMemberKind::Hardlink),
        b'2' => HeaderKind::Member(TarMemberKind::Symlink),
        b'3' => HeaderKind::Member(TarMemberKind::CharacterDevice),
        b'4' => HeaderKind::Member(TarMemberKind::BlockDevice),
        b'5' => HeaderKind::Member(TarMemberKind::Directory),
        b'6' => HeaderKind::Member(TarMemberKind::Fifo),
        b'L' => HeaderKind::LongPath,
        b'K' => HeaderKind::LongLink,
        b'x' => HeaderKind::Pax,
        b'g' => HeaderKind::Global,
        b'S' => bail!("{} is a sparse file, which is not supported", shown(path)),
        flag => bail!("{} is of an unknown kind, {:?}", shown(path), char::from(flag)),
    })
}

/// The extension headers before a member.
#[derive(Default, PartialEq, Eq)]
pub struct Extension {
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Fields>,
}

/// The fields of a PAX header that are used here.
#[derive(Default, PartialEq, Eq)]
struct Fields {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    time: Option<u64>,
}

impl Extension {
    pub fn long_path(&mut self, content: Vec<u8>) -> Result<()> {
        once(&mut self.long_path, long_name(&content)?)
    }

    pub fn long_link(&mut self, content: Vec<u8>) -> Result<()> {
        once(&mut self.long_link, long_name(&content)?)
    }

    /// Reads `LENGTH KEY=VALUE\n`, where the length is that of the whole, in decimal.
    /// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03>
    pub fn pax(&mut self, content: &[u8]) -> Result<()> {
        let mut fields = Fields::default();
        let mut rest = content;
        while !rest.is_empty() {
            let (key, value, after) =
                record(rest).with_context(|| format!("{} is not a record of PAX", shown(rest)))?;
            rest = after;
            ensure!(
                !key.starts_with(b"GNU.sparse."),
                "{} makes a sparse file, which is not supported",
                shown(key)
            );
            let known =
                [&b"path"[..], b"linkpath", b"size", b"uid", b"gid", b"mtime"].contains(&key);
            // An empty value only cancels that of a global header.
            if !known || value.is_empty() {
                continue;
            }
            let decimal = || {
                let digits = value.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                number.filter(|_| digits).with_context(|| {
                    format!("{} of {} is not a number of 64 bits", shown(value), shown(key))
                })
            };
            // C programs stop reading at a NUL. Go refuses it too.
            let text = || {
                ensure!(!value.contains(&0), "{} of {} holds a NUL", shown(value), shown(key));
                Ok(value.to_vec())
            };
            match key {
                b"path" => fields.path = Some(text()?),
                b"linkpath" => fields.link = Some(text()?),
                b"size" => fields.size = Some(decimal()?),
                b"uid" => fields.uid = Some(decimal()?),
                b"mtime" => fields.time = Some(seconds(value)),
                _ => fields.gid = Some(decimal()?),
            }
        }
        once(&mut self.pax, fields)
    }

    /// The member that the header and the extensions describe. Its content begins at `at`.
    pub fn member(self, record: Record, kind: TarMemberKind, at: u64) -> Result<TarMember> {
        let fields = self.pax.unwrap_or_default();
        let path = agreed(self.long_path, fields.path)?.unwrap_or(record.path);
        let link = agreed(self.long_link, fields.link)?.unwrap_or(record.link);
        // V7's tar has no flag for folders.
        let folder = kind == TarMemberKind::File && record.unmarked && path.ends_with(b"/");
        let kind = if folder { TarMemberKind::Directory } else { kind };
        let size = fields.size.unwrap_or(record.size);
        let links = matches!(kind, TarMemberKind::Hardlink | TarMemberKind::Symlink);
        // GNU tar skips such content, and Go reads it as the next header: they would see
        // different archives.
        ensure!(
            size == 0 || kind == TarMemberKind::File,
            "{} has {size} bytes of content, and only files have one",
            shown(&path)
        );
        let fits = size.checked_next_multiple_of(BLOCK).and_then(|whole| at.checked_add(whole));
        ensure!(
            fits.is_some(),
            "{} says it has {size} bytes, which is more than any file",
            shown(&path)
        );
        Ok(TarMember {
            path,
            kind,
            link: links.then_some(link),
            mode: record.mode,
            uid: fields.uid.unwrap_or(record.uid),
            gid: fields.gid.unwrap_or(record.gid),
            time: fields.time.unwrap_or(record.time),
            size,
            at,
        })
    }
}

/// The whole seconds of a PAX time such as `1350244992.023960108`; 0 where it is not one.
fn seconds(value: &[u8]) -> u64 {
    let whole = value.split(|byte| *byte == b'.').next().unwrap_or_default();
    std::str::from_utf8(whole).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Sets a field that is not set. Readers differ in which of two they use.
fn once<T>(field: &mut Option<T>, value: T) -> Result<()> {
    ensure!(field.is_none(), "the member has another of the same kind");
    *field = Some(value);
    Ok(())
}

/// A GNU long name. Go ignores an empty one, and GNU tar uses it.
fn long_name(content: &[u8]) -> Result<Vec<u8>> {
    let name = until_nul(content);
    ensure!(!name.is_empty(), "its long name is empty");
    Ok(name.to_vec())
}

/// The name from GNU's or PAX's extension. No writer uses both.
fn agreed(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    if let (Some(gnu), Some(pax)) = (&gnu, &pax) {
        ensure!(gnu == pax, "GNU's name {} and PAX's {} differ", shown(gnu), shown(pax));
    }
    Ok(gnu.or(pax))
}

/// The first record's key and value, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // A length of at most 1 MiB has no more than 7 digits.
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let digits = &bytes[..space];
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    if !digits.iter().all(u8::is_ascii_digit) || length > bytes.len() {
        return None;
    }
    let (record, after) = bytes.split_at(length);
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty()).then_some((key, value, after))
}

/// A number: octal, padded with spaces and NUL; or base 256, where the first bit is set.
/// An empty field is 0.
fn number(field: &[u8]) -> Result<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // The second bit is the sign.
        ensure!(first & 0x40 == 0, "is negative");
        return rest.iter().try_fold(u64::from(first & 0x3f), |number, byte| {
            ensure!(number >> 56 == 0, "is larger than 64 bits");
            Ok(number << 8 | u64::from(*byte))
        });
    }
    let field = field.trim_ascii_start();
    let text = until_nul(&field[field.iter().take_while(|byte| **byte == 0).count()..]);
    text.trim_ascii_end().iter().try_fold(0u64, |number, byte| {
        ensure!((b'0'..=b'7').contains(byte), "{} is not an octal number", shown(text));
        // 12 digits have 36 bits.
        Ok(number << 3 | u64::from(byte - b'0'))
    })
}

/// Compares the checksum: the sum of all bytes, with spaces for the checksum itself. Old
/// programs summed signed bytes.
fn check_sum(block: &[u8; BLOCK as usize], field: &[u8; 8]) -> Result<()> {
    let said = number(field).context("its checksum")?;
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let unsigned = sum(block) - sum(field) + 8 * u64::from(b' ');
    // As signed, each byte with the first bit set is 256 less.
    let high = |bytes: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii()).count() as u64;
    let signed = unsigned.checked_sub(256 * (high(block) - high(field)));
    ensure!(
        said == unsigned || Some(said) == signed,
        "its checksum says {said} and is {unsigned}: this is not a tar, or it is damaged"
    );
    Ok(())
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}
