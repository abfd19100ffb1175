//! Unpacks an archive into memory as krew does onto a disk, where it knows no limits.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/download/downloader.go>

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;

use super::tree::{File, InTheWay, Node};
use super::{Fault, shown, zip};
use crate::oci::tar_reader::{TarMember, TarMemberKind, walk};

/// In bytes: of all that an archive unpacks to. The largest plugins of the index have
/// some 200 MB.
const LARGEST: u64 = 1 << 30;
/// Files and folders, those included that only a path names.
const MOST_NODES: usize = 100_000;
/// In bytes: Linux' `PATH_MAX`, less than what krew's staging folder takes of it.
const LONGEST_PATH: usize = 4000;
/// In bytes: `NAME_MAX` of Linux' file systems.
const LONGEST_NAME: usize = 255;
/// Of the oddities of one kind, how many are named.
const MOST_NAMED: usize = 5;

/// What krew skips, whatever it is.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/download/downloader.go>
const GLOBAL_HEADER: &[u8] = b"pax_global_header";

/// The ways to write an archive that krew can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Zip,
    TarGz,
}

/// By the first bytes, as Go's `http.DetectContentType` tells them from the first 512.
/// <https://mimesniff.spec.whatwg.org/#matching-an-archive-type-pattern>
fn format(first: &[u8]) -> Option<Format> {
    if first.starts_with(b"PK\x03\x04") {
        return Some(Format::Zip);
    }
    first.starts_with(b"\x1f\x8b\x08").then_some(Format::TarGz)
}

/// Where an archive is unpacked to, and what is odd on the way.
pub struct Unpacked {
    pub root: Node,
    nodes: usize,
    twice: Vec<String>,
    links: Vec<String>,
}

/// How many bytes may still be unpacked.
pub struct Budget(Cell<u64>);

/// Unpacks an archive.
///
/// An error is what krew stops at, or a file system that it unpacks onto, or what is
/// larger than any plugin.
pub fn unpack(archive: &mut (impl Read + Seek)) -> Result<Unpacked, Fault> {
    let mut unpacked = Unpacked { root: Node::empty(), nodes: 0, twice: vec![], links: vec![] };
    let mut first = Vec::new();
    let read = archive.rewind().and_then(|()| archive.by_ref().take(512).read_to_end(&mut first));
    read.and_then(|_| archive.rewind()).map_err(|error| damaged(&error.to_string()))?;
    let budget = Budget(Cell::new(LARGEST));
    match format(&first) {
        Some(Format::Zip) => zip::unpack(archive, &budget, &mut unpacked)?,
        Some(Format::TarGz) => tar(archive, &budget, &mut unpacked)?,
        None => {
            let why = "krew unpacks zip and gzipped tar files only, and by its first bytes the \
                       archive is neither";
            return Err(Fault::new("archive-format", why, "ship a .tar.gz or a .zip"));
        }
    }
    Ok(unpacked)
}

/// krew reads until the end of the tar, and not what follows it.
fn tar(archive: &mut impl Read, budget: &Budget, to: &mut Unpacked) -> Result<(), Fault> {
    let reader = budget.limit(MultiGzDecoder::new(archive));
    let read = walk(reader, |member, _| Ok(to.member(member)?));
    read.map_err(|error| match error.downcast::<Fault>() {
        Ok(fault) => fault,
        Err(_) if budget.is_spent() => too_large(),
        Err(error) => damaged(&format!("{error:#}")),
    })
}

impl Unpacked {
    fn member(&mut self, member: &TarMember) -> Result<(), Fault> {
        if member.path == GLOBAL_HEADER {
            return Ok(());
        }
        match member.kind {
            TarMemberKind::Directory => self.folder(&member.path, member.mode),
            TarMemberKind::File => {
                self.file(&member.path, File { mode: member.mode, was_link: false })
            }
            kind => {
                let name = shown(&member.path);
                let what = match kind {
                    TarMemberKind::Symlink | TarMemberKind::Hardlink => "a link",
                    TarMemberKind::Fifo => "a pipe",
                    _ => "a device",
                };
                let why = format!("{name} is {what}, and krew unpacks files and folders only");
                Err(Fault::new("archive-entry-kind", why, "put the file itself into the archive"))
            }
        }
    }

    /// Makes a folder, and those above it, with a mode.
    pub fn folder(&mut self, name: &[u8], mode: u32) -> Result<(), Fault> {
        let path = path(name)?;
        let (_, made) = self.root.make_folder(&path).map_err(|InTheWay| clash(name))?;
        // Who unpacks it as root is stopped by no mode, and hardly anyone does.
        if made > 0 && mode & 0o700 != 0o700 {
            let why =
                format!("krew cannot write into the folder {}: its mode is {mode:o}", shown(name));
            let fix = "give folders the mode 755, or leave them out of the archive";
            return Err(Fault::new("archive-folder-mode", why, fix));
        }
        self.count(made)
    }

    /// Makes a file. Its folders are made as they are needed.
    pub fn file(&mut self, name: &[u8], file: File) -> Result<(), Fault> {
        let path = path(name)?;
        let Some((last, folders)) = path.split_last() else { return Err(clash(name)) };
        let (entries, made) = self.root.make_folder(folders).map_err(|InTheWay| clash(name))?;
        match entries.get_mut(last) {
            Some(Node::Folder(_)) => return Err(clash(name)),
            // The file that is there is written over, and keeps its mode.
            Some(Node::File(first)) => {
                first.was_link = file.was_link;
                self.twice.push(shown(name));
            }
            None => drop(entries.insert(last.clone(), Node::File(file))),
        }
        if file.was_link {
            self.links.push(shown(name));
        }
        self.count(made + 1)
    }

    fn count(&mut self, more: usize) -> Result<(), Fault> {
        self.nodes += more;
        if self.nodes > MOST_NODES {
            let why = format!("the archive has more than {MOST_NODES} files and folders");
            let fix = "put the program and its licence into the archive, and no more";
            return Err(Fault::new("archive-too-large", why, fix));
        }
        Ok(())
    }

    /// What krew takes, and hardly anyone meant.
    pub fn odd(&self) -> Vec<Fault> {
        let mut odd = Vec::new();
        let named = |names: &[String]| {
            let dots = if names.len() > MOST_NAMED { ", ..." } else { "" };
            format!("{}{dots}", names[..names.len().min(MOST_NAMED)].join(", "))
        };
        if !self.twice.is_empty() {
            let why = format!(
                "the archive has more than one {}: krew writes one over the other",
                named(&self.twice)
            );
            odd.push(Fault::new("archive-twice", why, "put each file into the archive once"));
        }
        if !self.links.is_empty() {
            let why = format!(
                "{} is a link, of which krew makes a file that holds the path it leads to",
                named(&self.links)
            );
            let fix = "put the file itself into the archive";
            odd.push(Fault::new("archive-zip-link", why, fix));
        }
        odd
    }
}

/// The parts of an entry's name, which krew refuses where it might lead elsewhere, and
/// Linux where it is none.
fn path(name: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let refused = |why: &str| {
        let why = format!("the entry {} {why}", shown(name));
        Fault::new("archive-entry-path", why, "name entries by their path within the archive")
    };
    if name.windows(2).any(|pair| pair == b"..") {
        return Err(refused("has `..` in its name, and krew refuses it"));
    }
    if name.starts_with(b"/") || name.starts_with(b"\\") {
        return Err(refused("has an absolute name, and krew refuses it"));
    }
    if name.contains(&0) {
        return Err(refused("has a NUL in its name, which no file can have"));
    }
    let parts = || name.split(|byte| *byte == b'/');
    if name.len() > LONGEST_PATH || parts().any(|part| part.len() > LONGEST_NAME) {
        return Err(refused("has a name that is longer than file systems take"));
    }
    let parts = parts().filter(|part| !part.is_empty() && *part != b".");
    Ok(parts.map(<[u8]>::to_vec).collect())
}

fn clash(name: &[u8]) -> Fault {
    let why = format!("the entry {} is a file where the archive has a folder", shown(name));
    Fault::new("archive-entry-clash", why, "give files and folders different names")
}

/// What cannot be read to its end.
pub fn damaged(why: &str) -> Fault {
    let fix = "make the archive anew, and name its own sha256";
    Fault::new("archive-damaged", format!("the archive cannot be unpacked: {why}"), fix)
}

pub fn too_large() -> Fault {
    let why = format!("the archive unpacks to more than {LARGEST} bytes");
    let fix = "put the program and its licence into the archive, and no more";
    Fault::new("archive-too-large", why, fix)
}

impl Budget {
    /// A reader that ends with an error where it has more than what is left.
    pub fn limit<R: Read>(&self, inner: R) -> impl Read {
        Limited { inner, budget: self }
    }

    pub fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

struct Limited<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.inner.read(buffer)?;
        let left = self.budget.0.get().saturating_sub(given as u64);
        self.budget.0.set(left);
        match left {
            0 => Err(io::Error::other("it is too large")),
            _ => Ok(given),
        }
    }
}

/// A part of a file that can seek.
pub fn section(file: &mut (impl Read + Seek), from: u64, size: u64) -> io::Result<impl Read> {
    file.seek(SeekFrom::Start(from))?;
    Ok(file.take(size))
}
