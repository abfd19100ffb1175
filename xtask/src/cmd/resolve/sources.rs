//! The files of documents that a command line names.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::files::{self, Boundary, DirEntry, EntryKind, Limit, limits};
use crate::finding::{Finding, Findings, Place, failure};
use crate::term::Term;

/// A file of documents, read once.
pub struct Source {
    /// As it was named or found; `-` for stdin.
    pub file: PathBuf,
    pub text: String,
    /// Whether it was found in a folder, and nobody named it.
    pub is_found: bool,
}

/// The folders of a folder that are looked into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Files,
    Folders,
}

/// The name of stdin.
const STDIN: &str = "-";

/// Reads all that is named, in the order of the command line, and folders in that of names.
pub fn read(named: &[PathBuf], depth: Depth, term: &Term) -> Result<Vec<Source>> {
    if named.iter().filter(|path| **path == Path::new(STDIN)).count() > 1 {
        bail!(failure("stdin can be read only once", "name `-` once"));
    }
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    let Limit(mut left) = limits::MANIFESTS;
    for path in named {
        let (files, folder) = files_of(path, depth, term)?;
        for file in files {
            let bytes = match &folder {
                Some(folder) => folder.read(&file, limits::MANIFEST)?,
                None if file == Path::new(STDIN) => files::read_stdin(limits::MANIFEST)?,
                None => files::read_named(&file, limits::MANIFEST)?,
            };
            let Some(rest) = left.checked_sub(bytes.len() as u64) else {
                let Limit(most) = limits::MANIFESTS;
                let why = format!("the files have more than {most} bytes together");
                bail!(failure(why, "name fewer at a time"));
            };
            left = rest;
            match text(&file, bytes) {
                Ok(text) => sources.push(Source { file, text, is_found: folder.is_some() }),
                Err(finding) => findings.push(*finding),
            }
        }
    }
    if findings.is_empty() { Ok(sources) } else { Err(Findings(findings).into()) }
}

/// The files that a path names, and the folder that they were found in, which they must lie in.
fn files_of(path: &Path, depth: Depth, term: &Term) -> Result<(Vec<PathBuf>, Option<Boundary>)> {
    if path == Path::new(STDIN) {
        return Ok((vec![path.to_owned()], None));
    }
    if path.to_str().is_some_and(|text| text.contains("://")) {
        let why = format!("{} is an address, and only files are read", path.display());
        bail!(failure(why, "download it, and pass it with `-f -`"));
    }
    let Some(entry) = files::list_one(path)? else {
        let why = format!("there is no file or folder {}", path.display());
        bail!(failure(why, "name one with -f, or `-` for stdin"));
    };
    if entry.kind != EntryKind::Folder {
        return Ok((vec![path.to_owned()], None));
    }
    let mut found = Vec::new();
    search(path, depth, 0, &mut found)?;
    if found.is_empty() && depth == Depth::Files {
        // Nothing else can be meant.
        search(path, Depth::Folders, 0, &mut found)?;
        if !found.is_empty() {
            term.detail(format_args!("{}: read with the folders in it", path.display()));
        }
    }
    if found.is_empty() {
        let why = format!("{} has no file *.yaml, *.yml or *.json", path.display());
        bail!(failure(why, "name a file, or another folder"));
    }
    Ok((found, Some(Boundary::new(path, &[])?)))
}

/// How deep folders are looked into: a limit that only a mistake reaches.
const DEEPEST: usize = 64;

/// The file that marks a folder of what programs can make again, such as cargo's `target`.
/// <https://bford.info/cachedir/>
const CACHE: &str = "CACHEDIR.TAG";

/// Where npm puts programs of others, with many files of JSON.
const PACKAGES: &str = "node_modules";

/// Adds the manifests in a folder, sorted by name. Hidden folders, caches, packages of npm and
/// links to folders are passed over.
fn search(dir: &Path, depth: Depth, below: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if below > DEEPEST {
        let why = format!("{} is more than {DEEPEST} folders deep", dir.display());
        bail!(failure(why, "name a folder with -f"));
    }
    let entries = files::list(dir)?;
    if below > 0 && entries.iter().any(|entry| entry.path.ends_with(CACHE)) {
        return Ok(());
    }
    for DirEntry { path, kind, .. } in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
        match kind {
            EntryKind::Folder if name.starts_with('.') || name == PACKAGES => {}
            EntryKind::Folder if depth == Depth::Folders => {
                search(&path, depth, below + 1, found)?;
            }
            EntryKind::File if is_manifest => found.push(path),
            // A link within the folder, as kubelet makes them; others fail when they are read.
            EntryKind::Other if is_manifest => found.push(path),
            EntryKind::File | EntryKind::Folder | EntryKind::Other => {}
        }
    }
    Ok(())
}

/// The text of a file.
fn text(file: &Path, bytes: Vec<u8>) -> Result<String, Box<Finding>> {
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let valid = &bytes[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let begun = valid.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&valid[begun..]).chars().count() + 1;
        let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let why = if wide { "this is UTF-16, and no UTF-8" } else { "this is no UTF-8 text" };
        let place = Place::at(file, line, column);
        Box::new(Finding::error("manifest", place, why, "save it as UTF-8"))
    })
}
