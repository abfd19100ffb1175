//! Where two archives or two layers differ: the entry, and what of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use zip::ZipArchive;

use super::{Found, UNKNOWN, content, shown};
use crate::digest::{Digest, HashingReader};
use crate::files;
use crate::oci::tar_reader::{self, TarMember, TarMemberKind};
use crate::oci::{self, Allowance, Layer};

/// How many entries are compared, and the size of all their names and links in bytes.
const ENTRIES: usize = 200_000;
const NAMES: usize = 64 << 20;
/// In bytes: of an entry that is read into memory, to say where it differs.
const CONTENT: u64 = 512 << 20;
/// How many entries of one archive are looked into. Each is read again from the beginning.
const LOOKED_INTO: usize = 16;
/// In bytes: of a gzip header without names.
const GZIP_HEADER: usize = 10;

/// What holds entries.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    TarGz(&'a Path),
    Zip(&'a Path),
    Layer(&'a Layer),
}

/// An entry, without its content.
#[derive(Debug)]
struct Entry {
    kind: &'static str,
    link: Vec<u8>,
    mode: u32,
    owner: String,
    time: String,
    size: u64,
    digest: Digest,
    /// What is compared last: fields of one format only.
    other: String,
    /// Its number in the order of the archive.
    number: usize,
}

/// All entries, by name. Of several with one name the later ones have a number.
struct Listing {
    entries: BTreeMap<String, Entry>,
    /// The size of all names and links so far.
    names: usize,
    /// The digest of the tar; `None` for zip, which is compressed entry by entry.
    unpacked: Option<Digest>,
}

/// Compares two archives or layers whose bytes differ.
pub fn compare(place: &str, published: Holder<'_>, rebuilt: Holder<'_>, found: &mut Found) {
    let (ours, theirs) = match (listing(published), listing(rebuilt)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (ours, theirs) => {
            for (side, whose) in [(ours, "published"), (theirs, "rebuilt")] {
                if let Err(error) = side {
                    let what = format!("the {whose} one cannot be read: {error:#}");
                    found.add(place, what, "it is damaged, or no archive");
                }
            }
            return;
        }
    };
    let before = found.len();
    let names: BTreeSet<&String> = ours.entries.keys().chain(theirs.entries.keys()).collect();
    let mut looked = 0;
    for name in names {
        let at = format!("{place}: entry {name}");
        match (ours.entries.get(name), theirs.entries.get(name)) {
            (Some(a), Some(b)) => {
                fields(&at, a, b, found);
                if a.digest != b.digest {
                    looked += 1;
                    let limit = looked <= LOOKED_INTO;
                    contents(&at, (published, a), (rebuilt, b), limit, found);
                }
            }
            (Some(_), None) => found.add(&at, "only in the published one", UNKNOWN),
            _ => found.add(&at, "only in the rebuilt one", UNKNOWN),
        }
    }
    order(place, &ours, &theirs, found);
    if found.len() > before {
        return;
    }
    // All that is unpacked is equal.
    if ours.unpacked.is_some() && ours.unpacked == theirs.unpacked {
        let (what, why) = compression(published, rebuilt);
        found.add(place, what, why);
    } else if ours.unpacked.is_some() {
        let what = "the entries are equal, but fields of the tar that say nothing of them differ";
        found.add(place, what, "another program wrote it");
    } else {
        let what = "the entries are equal, but their compression or unused fields differ";
        found.add(place, what, "another level of compression, or another program wrote it");
    }
}

/// Compares all of two entries but their contents.
fn fields(place: &str, ours: &Entry, theirs: &Entry, found: &mut Found) {
    let mut differ = |what: &str, a: String, b: String, why: &str| {
        if a != b {
            let text = format!("{what} {a} in the published one, {b} in the rebuilt");
            found.add(place, text, why);
        }
    };
    differ("it is a", ours.kind.to_owned(), theirs.kind.to_owned(), UNKNOWN);
    let mode = |of: &Entry| format!("{:04o}", of.mode);
    differ("mode", mode(ours), mode(theirs), "the mode of a file, or a umask");
    differ("time", ours.time.clone(), theirs.time.clone(), "a time");
    differ("owner", ours.owner.clone(), theirs.owner.clone(), "the owner of a file");
    let link = |of: &Entry| format!("{:?}", shown(&of.link));
    differ("link to", link(ours), link(theirs), UNKNOWN);
    differ("fields", ours.other.clone(), theirs.other.clone(), "another program wrote it");
    if ours.link != theirs.link && link(ours) == link(theirs) {
        found.add(place, "links to other paths, which begin alike", UNKNOWN);
    }
}

/// Compares the contents of two entries.
fn contents(
    place: &str,
    (published, ours): (Holder<'_>, &Entry),
    (rebuilt, theirs): (Holder<'_>, &Entry),
    looks: bool,
    found: &mut Found,
) {
    if !looks || ours.size > CONTENT || theirs.size > CONTENT {
        let what = format!(
            "another content: {} bytes with {} in the published one, {} with {} in the rebuilt",
            ours.size, ours.digest, theirs.size, theirs.digest
        );
        found.add(place, what, "not looked into: it is too large, or too many others differ");
        return;
    }
    match (read(published, ours.number), read(rebuilt, theirs.number)) {
        (Ok(a), Ok(b)) if a != b => content::compare(place, &a, &b, found),
        (Ok(_), Ok(_)) => found.add(place, "it changed while it was read", UNKNOWN),
        (Err(error), _) | (_, Err(error)) => {
            found.add(place, format!("it cannot be read again: {error:#}"), UNKNOWN);
        }
    }
}

/// Compares the order of the entries that both have.
fn order(place: &str, ours: &Listing, theirs: &Listing, found: &mut Found) {
    let ordered = |of: &Listing, other: &Listing| {
        let common = of.entries.iter().filter(|(name, _)| other.entries.contains_key(*name));
        let mut numbered: Vec<(usize, String)> =
            common.map(|(name, entry)| (entry.number, name.clone())).collect();
        numbered.sort_unstable();
        numbered
    };
    let (a, b) = (ordered(ours, theirs), ordered(theirs, ours));
    if let Some(((_, first), (_, other))) = a.iter().zip(&b).find(|(a, b)| a.1 != b.1) {
        let what =
            format!("another order: {first} in the published one where the rebuilt has {other}");
        found.add(place, what, "the order of a folder's entries");
    }
}

/// How two archives with the same tar differ.
fn compression(published: Holder<'_>, rebuilt: Holder<'_>) -> (String, String) {
    let head = |of: Holder<'_>| {
        let mut head = Vec::new();
        let opened = match of {
            Holder::TarGz(path) => files::open_regular(path).ok(),
            Holder::Zip(_) | Holder::Layer(_) => None,
        };
        opened.and_then(|file| file.take(GZIP_HEADER as u64).read_to_end(&mut head).ok())?;
        (head.len() == GZIP_HEADER).then_some(head)
    };
    let what = "what is in it is equal, and the compression alone differs";
    let why = match (head(published), head(rebuilt)) {
        (Some(a), Some(b)) if a[4..8] != b[4..8] => "a time in the header of gzip",
        (Some(a), Some(b)) if a[9] != b[9] => "another system in the header of gzip",
        _ => "another level of compression, or another compressor",
    };
    (what.to_owned(), why.to_owned())
}

fn listing(of: Holder<'_>) -> Result<Listing> {
    let mut listing = Listing { entries: BTreeMap::new(), names: 0, unpacked: None };
    let mut number = 0;
    let whole = walk(of, &mut |entry| {
        let found = match entry {
            Opened::Tar(member, content) => listing.add(number, Entry::of_tar(member, content)?),
            Opened::Zip(name, entry) => listing.add(number, (name, entry()?)),
        };
        number += 1;
        found
    })?;
    listing.unpacked = whole;
    Ok(listing)
}

impl Listing {
    fn add(&mut self, number: usize, (name, entry): (Vec<u8>, Entry)) -> Result<()> {
        self.names += name.len() + entry.link.len();
        ensure!(self.entries.len() < ENTRIES, "it has more than {ENTRIES} entries");
        ensure!(self.names <= NAMES, "the names of its entries have more than {NAMES} bytes");
        // Names that are shown alike, or that are there twice, stay apart by their numbers.
        let name = match std::str::from_utf8(&name) {
            Ok(name) => name.to_owned(),
            Err(_) => format!("{:?}", String::from_utf8_lossy(&name)),
        };
        let name = match self.entries.contains_key(&name) {
            true => format!("{name} (entry {number})"),
            false => name,
        };
        self.entries.insert(name, Entry { number, ..entry });
        Ok(())
    }
}

impl Entry {
    fn of_tar(of: &TarMember, content: &mut dyn Read) -> Result<(Vec<u8>, Entry)> {
        let digest = Digest::of_reader(content).context("read an entry")?;
        let entry = Entry {
            kind: match of.kind {
                TarMemberKind::File => "file",
                TarMemberKind::Hardlink => "hard link",
                TarMemberKind::Symlink => "symlink",
                TarMemberKind::CharacterDevice => "character device",
                TarMemberKind::BlockDevice => "block device",
                TarMemberKind::Directory => "folder",
                TarMemberKind::Fifo => "fifo",
            },
            link: of.link.clone().unwrap_or_default(),
            mode: of.mode,
            owner: format!("{}:{}", of.uid, of.gid),
            time: seconds(of.time),
            size: of.size,
            digest,
            other: String::new(),
            number: 0,
        };
        Ok((of.path.clone(), entry))
    }
}

/// A time for people, and the number for those beyond the calendar.
fn seconds(time: u64) -> String {
    let stamp = i64::try_from(time).ok().and_then(|it| jiff::Timestamp::from_second(it).ok());
    stamp.map_or_else(|| format!("{time} s"), |stamp| stamp.to_string())
}

/// An entry while its archive is read.
enum Opened<'a> {
    Tar(&'a TarMember, &'a mut dyn Read),
    /// Its name, and what reads all of it.
    Zip(Vec<u8>, &'a mut dyn FnMut() -> Result<Entry>),
}

/// What is done with each entry.
type Each<'a> = dyn FnMut(Opened<'_>) -> Result<()> + 'a;

/// Calls `each` for every entry in order. Returns the digest of the tar.
fn walk(of: Holder<'_>, each: &mut Each<'_>) -> Result<Option<Digest>> {
    let mut allowance = Allowance::default();
    match of {
        Holder::TarGz(path) => {
            let (file, size) = open(path)?;
            let packed = MultiGzDecoder::new(BufReader::new(file));
            let mut tar = HashingReader::new(BufReader::new(allowance.reader(packed, size)));
            tar_reader::walk(&mut tar, |member, content| each(Opened::Tar(member, content)))?;
            // The digest covers what follows the end of the tar.
            std::io::copy(&mut tar, &mut std::io::sink()).context("unpack it")?;
            Ok(Some(tar.finish().1))
        }
        Holder::Layer(layer) => {
            let mut one =
                |member: &TarMember, content: &mut dyn Read| each(Opened::Tar(member, content));
            oci::contents(layer, &mut allowance, &mut one)?;
            Ok(Some(layer.diff_id))
        }
        Holder::Zip(path) => {
            let (file, size) = open(path)?;
            let mut zip = ZipArchive::new(BufReader::new(file)).context("read the zip archive")?;
            ensure!(zip.len() <= ENTRIES, "it has more than {ENTRIES} entries");
            for at in 0..zip.len() {
                let entry = zip.by_index(at).with_context(|| format!("read entry {at}"))?;
                let name = entry.name_raw().to_vec();
                let known = of_zip(&entry);
                let mut content = allowance.reader(entry, size);
                let mut whole = || {
                    let context = || format!("read entry {at}");
                    let digest = Digest::of_reader(&mut content).with_context(context)?;
                    Ok(Entry { digest, ..known() })
                };
                each(Opened::Zip(name, &mut whole))?;
            }
            Ok(None)
        }
    }
}

/// What the directory of a zip says of an entry.
fn of_zip<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> impl Fn() -> Entry + use<R> {
    let kind = match () {
        () if entry.is_symlink() => "symlink",
        () if entry.is_dir() => "folder",
        () => "file",
    };
    let mode = entry.unix_mode().unwrap_or(0) & 0o7777;
    let time = entry.last_modified().map_or_else(|| "none".to_owned(), |it| it.to_string());
    let extra = entry.extra_data().map_or(0, <[u8]>::len);
    let extra_digest = Digest::of(entry.extra_data().unwrap_or_default());
    let comment = entry.comment().len();
    let other = format!(
        "{}, {extra} extra bytes {:.8}, {comment} of a comment",
        entry.compression(),
        extra_digest.hex()
    );
    let size = entry.size();
    move || Entry {
        kind,
        link: Vec::new(),
        mode,
        owner: String::new(),
        time: time.clone(),
        size,
        digest: Digest::of(&[]),
        other: other.clone(),
        number: 0,
    }
}

fn open(path: &Path) -> Result<(std::fs::File, u64)> {
    let file = files::open_regular(path)?;
    let size = file.metadata().with_context(|| format!("read {}", path.display()))?.len();
    Ok((file, size))
}

/// Reads the content of the entry with a number.
fn read(of: Holder<'_>, number: usize) -> Result<Vec<u8>> {
    if let Holder::Zip(path) = of {
        let (file, size) = open(path)?;
        let mut zip = ZipArchive::new(BufReader::new(file)).context("read the zip archive")?;
        let entry = zip.by_index(number).context("read the entry")?;
        return bounded(&mut Allowance::default().reader(entry, size));
    }
    let mut bytes = None;
    let mut at = 0;
    walk(of, &mut |entry| {
        if let Opened::Tar(_, content) = entry
            && at == number
        {
            bytes = Some(bounded(content)?);
        }
        at += 1;
        Ok(())
    })?;
    bytes.context("the entry is not there any more")
}

fn bounded(from: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(CONTENT + 1).read_to_end(&mut bytes).context("read the entry")?;
    if bytes.len() as u64 > CONTENT {
        bail!("it has more than {CONTENT} bytes");
    }
    Ok(bytes)
}

/// The kind of archive that a file is, by its first bytes; `None` where it is another file.
pub fn kind<'a>(path: &'a Path, head: &[u8]) -> Option<Holder<'a>> {
    match head {
        [0x1f, 0x8b, ..] => Some(Holder::TarGz(path)),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(Holder::Zip(path)),
        _ => None,
    }
}
