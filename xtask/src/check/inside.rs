//! Finds the programs in files, archives and images, and the lists of crates in them. Nothing is
//! unpacked to disk; one program at a time is in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use memchr::memmem::Finder;
use zip::ZipArchive;

use crate::digest::Digest;
use crate::files;
use crate::finding::failure;
use crate::oci::tar_reader::{self, Place, TarMember, TarMemberKind};
use crate::oci::{self, Allowance, Image, Layer, Root};
use crate::stamp::{self, Format, List};

/// In bytes: of a program that is read into memory.
const PROGRAM: u64 = 512 << 20;
/// How many bytes of a file tell what it is.
const HEAD: u64 = 512;
/// How many files an archive may have.
const MEMBERS: usize = 100_000;
/// Texts in the programs of rustc: the paths of the standard library's sources.
const RUST: [&[u8]; 3] = [b"/rustc/", b"library/core/src/", b"library/std/src/"];

/// A program that was found.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path in an archive or an image; `None` for a file that is the program itself.
    pub path: Option<String>,
    /// Of its image.
    pub platform: Option<String>,
    /// The list of each program in it: universal files have several.
    pub lists: Result<Vec<Option<List>>, String>,
    /// Whether a program without a list is to be told of. Most programs of a base are not of
    /// Rust and cannot have one.
    pub needs_list: bool,
}

/// The programs in a file: the file itself, or those in an archive.
pub fn of_file(path: &Path) -> Result<Vec<Program>> {
    let context = || format!("read {}", path.display());
    let mut file = files::open_regular(path)?;
    let size = file.metadata().with_context(context)?.len();
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head).with_context(context)?;
    file.rewind().with_context(context)?;
    of_opened(file, &head, size).with_context(context)
}

fn of_opened(mut file: File, head: &[u8], size: u64) -> Result<Vec<Program>> {
    if Format::of(head).is_some() {
        let bytes = read(&mut file, size)?;
        return Ok(vec![program(None, &bytes, true)]);
    }
    let mut found = Vec::new();
    match head {
        [0x1f, 0x8b, ..] => {
            let mut allowance = Allowance::default();
            let packed = MultiGzDecoder::new(BufReader::new(file));
            let mut stream = BufReader::new(allowance.reader(packed, size));
            let mut head = Vec::new();
            (&mut stream).take(HEAD).read_to_end(&mut head).context("unpack it")?;
            let mut whole = Cursor::new(head.clone()).chain(stream);
            if Format::of(&head).is_some() {
                let bytes = read(&mut whole, PROGRAM)?;
                return Ok(vec![program(None, &bytes, true)]);
            }
            tar_reader::walk(&mut whole, |member, content| in_tar(member, content, &mut found))?;
            std::io::copy(&mut whole, &mut std::io::sink()).context("unpack it")?;
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => in_zip(file, size, &mut found)?,
        head if head.get(257..262) == Some(b"ustar") => {
            tar_reader::walk_file(&mut file, |member, content| {
                in_tar(member, content, &mut found)
            })?;
        }
        head => bail!(failure(
            format!("it is {}", other(head)),
            "name a program, a .tar.gz, .tar or .zip archive, or an image such as oci:DIR",
        )),
    }
    ensure!(!found.is_empty(), "there is no program in it");
    Ok(found)
}

/// A file that is none of those that are read, in words.
fn other(head: &[u8]) -> &'static str {
    match head {
        [] => "empty",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "packed by xz, which is not read here: unpack it",
        [b'B', b'Z', b'h', ..] => "packed by bzip2, which is not read here: unpack it",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "packed by zstd, which is not read here: unpack it",
        _ => "neither a program nor an archive",
    }
}

/// Reads all of a program, of at most `size` bytes.
fn read(from: &mut dyn Read, size: u64) -> Result<Vec<u8>> {
    ensure!(size <= PROGRAM, "a program of {size} bytes is not read, only up to {PROGRAM}");
    let mut bytes = Vec::new();
    from.take(size + 1).read_to_end(&mut bytes).context("read the program")?;
    ensure!(bytes.len() as u64 <= size, "it has more than {size} bytes");
    Ok(bytes)
}

fn program(path: Option<String>, bytes: &[u8], needs_list: bool) -> Program {
    let lists = match stamp::lists(bytes) {
        Ok(Some(lists)) => Ok(lists),
        Ok(None) => Err("it is no program".to_owned()),
        Err(error) => Err(format!("{error:#}")),
    };
    Program { path, platform: None, lists, needs_list }
}

/// The program that a member is, if it is one.
fn member(
    path: &[u8],
    size: u64,
    content: &mut dyn Read,
    needs_list: impl FnOnce(&[u8]) -> bool,
) -> Result<Option<Program>> {
    let mut head = Vec::new();
    content.take(HEAD.min(size)).read_to_end(&mut head).context("read the first bytes")?;
    let Some(format) = Format::of(&head) else { return Ok(None) };
    // Texts and pictures may begin with the same two letters.
    let dos = head.get(0x3c..0x40).and_then(|at| at.try_into().ok()).map(u32::from_le_bytes);
    if format == Format::Pe && dos.is_none_or(|at| at > 4096) {
        return Ok(None);
    }
    let path = String::from_utf8_lossy(path).into_owned();
    let length = head.len() as u64;
    let mut whole = Cursor::new(head).chain(content);
    let bytes = read(&mut whole, size.max(length)).with_context(|| format!("read {path:?}"))?;
    Ok(Some(program(Some(path), &bytes, needs_list(&bytes))))
}

fn in_tar(of: &TarMember, content: &mut dyn Read, found: &mut Vec<Program>) -> Result<()> {
    if of.kind == TarMemberKind::File {
        // An archive is made to be shipped: each of its programs is to have a list.
        found.extend(member(&of.path, of.size, content, |_| true)?);
    }
    Ok(())
}

fn in_zip(file: File, size: u64, found: &mut Vec<Program>) -> Result<()> {
    let mut zip = ZipArchive::new(BufReader::new(file)).context("read the zip archive")?;
    ensure!(zip.len() <= MEMBERS, "it has {} files, more than {MEMBERS}", zip.len());
    let mut allowance = Allowance::default();
    for at in 0..zip.len() {
        let entry = zip.by_index(at).with_context(|| format!("read file {at} of the zip"))?;
        if !entry.is_file() {
            continue;
        }
        let (name, length) = (entry.name_raw().to_vec(), entry.size());
        let mut content = allowance.reader(entry, size);
        found.extend(member(&name, length, &mut content, |_| true)?);
    }
    Ok(())
}

/// The programs of an image, or of all images of an index.
pub fn of_image(root: &Root) -> Result<Vec<Program>> {
    let mut known = BTreeMap::new();
    let mut allowance = Allowance::default();
    let mut found = Vec::new();
    for (named, image) in root.images() {
        ensure!(!image.is_artifact(), "it is an artifact and no image");
        let platform = match named {
            Some(named) => named.clone(),
            None => image.platform()?,
        };
        let context = || format!("read the image for {platform}");
        let programs = programs(image, &mut known, &mut allowance).with_context(context)?;
        let platform = Some(platform.to_string());
        found.extend(programs.into_iter().map(|it| Program { platform: platform.clone(), ..it }));
    }
    ensure!(!found.is_empty(), "there is no program in it");
    Ok(found)
}

/// What a layer does to the programs of an image.
#[derive(Clone)]
enum Change {
    Program(Vec<u8>, Box<Program>),
    /// Another name of what is at the second path.
    Link(Vec<u8>, Vec<u8>),
    /// Something else is at the path.
    Other(Vec<u8>),
    Removed(Vec<u8>),
    /// What lower layers have in a folder is removed.
    Opaque(Vec<u8>),
}

/// The programs of an image after all its layers. Layers of several images are read once.
fn programs(
    image: &Image,
    known: &mut BTreeMap<(Digest, Digest), Vec<Change>>,
    allowance: &mut Allowance,
) -> Result<Vec<Program>> {
    let mut tree: BTreeMap<Vec<u8>, Program> = BTreeMap::new();
    for layer in &image.layers {
        let key = (layer.descriptor.digest, layer.diff_id);
        match known.entry(key) {
            Entry::Occupied(known) => apply(&mut tree, known.get()),
            Entry::Vacant(unknown) => {
                apply(&mut tree, unknown.insert(changes(layer, allowance)?));
            }
        }
    }
    let started = started(image)?;
    let named = tree.into_iter().map(|(path, mut program)| {
        program.needs_list |= started.iter().any(|name| ends_with(&path, name));
        program
    });
    Ok(named.collect())
}

/// What the image starts: the first words of its entrypoint and of its command.
fn started(image: &Image) -> Result<Vec<String>> {
    let config = image.parsed()?.config.unwrap_or_default();
    let first = |list: &Option<Vec<String>>| list.iter().flatten().next().cloned();
    Ok([first(&config.entrypoint), first(&config.cmd)].into_iter().flatten().collect())
}

/// Whether a path is what a word starts: the path itself, or a name that is looked for on PATH.
fn ends_with(path: &[u8], word: &str) -> bool {
    let word = word.trim_start_matches('/').as_bytes();
    let rest = path.strip_suffix(word);
    !word.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
}

fn changes(layer: &Layer, allowance: &mut Allowance) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    oci::contents(layer, allowance, &mut |of, content| {
        let place = of.place().map_err(|error| {
            let path = String::from_utf8_lossy(&of.path);
            anyhow::anyhow!("the path {path:?} {error}")
        });
        changes.push(match (place?, of.kind) {
            (Place::Whiteout(path), _) => Change::Removed(path),
            (Place::Opaque(path), _) => Change::Opaque(path),
            // A folder leaves what is in it.
            (Place::Entry(_), TarMemberKind::Directory) => return Ok(()),
            (Place::Entry(path), TarMemberKind::Hardlink) => {
                let target = tar_reader::normal(of.link.as_deref().unwrap_or_default());
                target.map_or(Change::Other(path.clone()), |target| Change::Link(path, target))
            }
            (Place::Entry(path), TarMemberKind::File) => {
                match member(&path, of.size, content, is_ours)? {
                    Some(program) => Change::Program(path, Box::new(program)),
                    None => Change::Other(path),
                }
            }
            (Place::Entry(path), _) => Change::Other(path),
        });
        Ok(())
    })?;
    Ok(changes)
}

/// Whether a program in an image is to have a list: it was made by rustc, or it is packed so that
/// this cannot be seen.
fn is_ours(bytes: &[u8]) -> bool {
    RUST.iter().any(|text| Finder::new(text).find(bytes).is_some()) || !stamp::has_sections(bytes)
}

/// Does to the programs what a layer does. What it removes was there before.
fn apply(tree: &mut BTreeMap<Vec<u8>, Program>, changes: &[Change]) {
    let below = |path: &[u8], folder: &[u8]| {
        folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
    };
    for change in changes {
        match change {
            Change::Removed(gone) => tree.retain(|path, _| path != gone && !below(path, gone)),
            Change::Opaque(folder) => tree.retain(|path, _| !below(path, folder)),
            _ => {}
        }
    }
    for change in changes {
        match change {
            Change::Program(path, program) => {
                tree.insert(path.clone(), (**program).clone());
            }
            Change::Link(path, target) => {
                let mut linked = tree.get(target).cloned();
                if let Some(program) = &mut linked {
                    program.path = Some(String::from_utf8_lossy(path).into_owned());
                }
                match linked {
                    Some(program) => drop(tree.insert(path.clone(), program)),
                    None => drop(tree.remove(path)),
                }
            }
            Change::Other(path) => tree.retain(|other, _| other != path && !below(other, path)),
            Change::Removed(_) | Change::Opaque(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
