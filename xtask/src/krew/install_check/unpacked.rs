//! What an archive was unpacked to so far, and how much more it may unpack to.

use std::cell::Cell;
use std::io::{self, Read};

use super::tree::{File, InTheWay, Node, quoted};
use crate::krew::report::Problem;
use crate::oci::tar_reader::{TarMember, TarMemberKind};

/// In bytes: of all that an archive unpacks to. The largest plugins of the index have some
/// 200 MB.
const LARGEST: u64 = 1 << 30;
/// Files and folders, with the folders that only a path names.
const MOST_NODES: usize = 100_000;
/// In bytes: Linux' `PATH_MAX`, less what krew's staging folder takes of it.
const LONGEST_PATH: usize = 4000;
/// In bytes: `NAME_MAX` of Linux' file systems.
const LONGEST_NAME: usize = 255;
/// How many names a warning lists.
const MOST_NAMED: usize = 5;

/// krew skips every entry of this name, whatever it is.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/download/downloader.go>
const GLOBAL_HEADER: &[u8] = b"pax_global_header";

/// The tree that an archive was unpacked to, and what deserves a warning.
pub struct Unpacked {
    pub root: Node,
    nodes: usize,
    duplicates: Vec<String>,
    links: Vec<String>,
}

impl Unpacked {
    pub fn empty() -> Unpacked {
        Unpacked { root: Node::empty(), nodes: 0, duplicates: vec![], links: vec![] }
    }

    /// Adds a member of a tar.
    pub fn add_member(&mut self, member: &TarMember) -> Result<(), Problem> {
        if member.path == GLOBAL_HEADER {
            return Ok(());
        }
        let what = match member.kind {
            TarMemberKind::Directory => return self.add_folder(&member.path, member.mode),
            TarMemberKind::File => {
                return self.add_file(&member.path, File { mode: member.mode, was_link: false });
            }
            TarMemberKind::Symlink | TarMemberKind::Hardlink => "a link",
            TarMemberKind::Fifo => "a pipe",
            _ => "a device",
        };
        let name = quoted(&member.path);
        let why = format!("{name} is {what}: krew unpacks only files and folders");
        Err(Problem::new("archive-entry-kind", why, "put the file itself into the archive"))
    }

    /// Makes a folder and its parents with a mode.
    pub fn add_folder(&mut self, name: &[u8], mode: u32) -> Result<(), Problem> {
        let path = path(name)?;
        let (_, made) = self.root.make_folder(&path).map_err(|InTheWay| clash(name))?;
        // No mode stops root, but hardly anyone installs plugins as root.
        if made > 0 && mode & 0o700 != 0o700 {
            let name = quoted(name);
            let why = format!("krew cannot write into the folder {name}: its mode is {mode:o}");
            let fix = "give folders the mode 755, or leave them out of the archive";
            return Err(Problem::new("archive-folder-mode", why, fix));
        }
        self.count(made)
    }

    /// Makes a file, and its folders where they are missing.
    pub fn add_file(&mut self, name: &[u8], file: File) -> Result<(), Problem> {
        let path = path(name)?;
        let Some((last, folders)) = path.split_last() else { return Err(clash(name)) };
        let (entries, made) = self.root.make_folder(folders).map_err(|InTheWay| clash(name))?;
        match entries.get_mut(last) {
            Some(Node::Folder(_)) => return Err(clash(name)),
            // krew overwrites the existing file, which keeps its mode.
            Some(Node::File(existing)) => {
                existing.was_link = file.was_link;
                self.duplicates.push(quoted(name));
            }
            None => drop(entries.insert(last.clone(), Node::File(file))),
        }
        if file.was_link {
            self.links.push(quoted(name));
        }
        self.count(made + 1)
    }

    fn count(&mut self, more: usize) -> Result<(), Problem> {
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(too_large(&format!("has more than {MOST_NODES} files and folders")));
        }
        Ok(())
    }

    /// What krew accepts and hardly anyone intends.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let list = |names: &[String]| {
            let dots = if names.len() > MOST_NAMED { ", ..." } else { "" };
            format!("{}{dots}", names[..names.len().min(MOST_NAMED)].join(", "))
        };
        if !self.duplicates.is_empty() {
            let names = list(&self.duplicates);
            let why = format!("the archive has {names} more than once: the last one wins");
            warnings.push(Problem::new("archive-twice", why, "put each file in once"));
        }
        if !self.links.is_empty() {
            let names = list(&self.links);
            let why = format!("{names} is a link: krew makes it a file that holds a path");
            let fix = "put the file itself into the archive";
            warnings.push(Problem::new("archive-zip-link", why, fix));
        }
        warnings
    }
}

/// The parts of an entry's name. krew refuses a name that might lead out of the folder, and
/// Linux one that no file can have.
fn path(name: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let refused = |why: &str| {
        let why = format!("the entry {} {why}", quoted(name));
        Problem::new("archive-entry-path", why, "name entries by their path within the archive")
    };
    if name.windows(2).any(|pair| pair == b"..") {
        return Err(refused("has `..` in its name: krew refuses it"));
    }
    if name.starts_with(b"/") || name.starts_with(b"\\") {
        return Err(refused("has an absolute name: krew refuses it"));
    }
    if name.contains(&0) {
        return Err(refused("has a NUL in its name: no file can have one"));
    }
    let parts = || name.split(|byte| *byte == b'/');
    if name.len() > LONGEST_PATH || parts().any(|part| part.len() > LONGEST_NAME) {
        return Err(refused("has a name that is too long for file systems"));
    }
    let parts = parts().filter(|part| !part.is_empty() && *part != b".");
    Ok(parts.map(<[u8]>::to_vec).collect())
}

fn clash(name: &[u8]) -> Problem {
    let why = format!("the entry {} is both a file and a folder in the archive", quoted(name));
    Problem::new("archive-entry-clash", why, "give files and folders different names")
}

/// The archive cannot be read to its end.
pub fn damaged(why: &str) -> Problem {
    let fix = "make the archive again, and update its sha256";
    Problem::new("archive-damaged", format!("the archive cannot be unpacked: {why}"), fix)
}

fn too_large(why: &str) -> Problem {
    let fix = "put only the program and its licence into the archive";
    Problem::new("archive-too-large", format!("the archive {why}"), fix)
}

/// How many bytes may still be unpacked.
pub struct Budget(Cell<u64>);

impl Budget {
    pub fn full() -> Budget {
        Budget(Cell::new(LARGEST))
    }

    /// A reader that fails once the budget is spent.
    pub fn limit<R: Read>(&self, inner: R) -> impl Read {
        Limited { inner, budget: self }
    }

    /// Why reading failed with an error: the budget is spent, or the archive is damaged.
    pub fn problem(&self, error: &str) -> Problem {
        if self.0.get() == 0 {
            too_large(&format!("unpacks to more than {LARGEST} bytes"))
        } else {
            damaged(error)
        }
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
        if left == 0 { Err(io::Error::other("it is too large")) } else { Ok(given) }
    }
}
