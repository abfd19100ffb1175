//! Finds the licence and notice files in the sources of a crate.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::files::{self, Boundary, EntryKind, limits};
use crate::finding::said;

/// How deep in a crate's folder files are looked for. C that a crate bundles lies about three
/// folders deep.
const DEPTH: usize = 6;

/// How many entries of a crate's folder are looked at. Crates with most files bundle C: they have
/// about 10,000.
const ENTRIES: usize = 50_000;

/// Folders whose files are not in a program, in lower case.
const SKIPPED: [&str; 10] = [
    "bench",
    "benches",
    "examples",
    "fixtures",
    "fuzz",
    "node_modules",
    "target",
    "test",
    "testdata",
    "tests",
];

/// Folders whose files are all licences, in lower case.
const FOLDERS: [&str; 4] = ["licence", "licences", "license", "licenses"];

/// The endings of files that may have such a name but hold something else.
const OTHERS: [&str; 44] = [
    "asm", "bat", "c", "cc", "cmake", "cpp", "css", "cxx", "docx", "gif", "go", "h", "hbs", "hpp",
    "htm", "html", "ico", "in", "ini", "java", "jpg", "js", "json", "kt", "lock", "lua", "m",
    "odt", "pdf", "php", "pl", "png", "ps1", "py", "rb", "rs", "rtf", "s", "sh", "svg", "toml",
    "ts", "xml", "yml",
];

/// What a file says, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    License,
    /// A notice, which goes with a licence and is none.
    Notice,
}

/// A licence or notice file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the crate's folder, with `/`.
    pub path: String,
    pub text: String,
    pub is_license: bool,
}

/// Where the sources of a crate are.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The folder of its manifest.
    pub dir: &'a Path,
    /// As Cargo.lock writes it; `None` for a path.
    pub source: Option<&'a str>,
    /// The manifest's `license-file`.
    pub license_file: Option<&'a Path>,
}

impl Sources<'_> {
    /// The topmost folder of the repository that they lie in; `None` for those of a registry.
    fn repository(&self) -> Option<&Path> {
        let in_registry = self.source.is_some_and(|source| !source.starts_with("git+"));
        let mut above = self.dir.ancestors().filter(|_| !in_registry);
        above.find(|dir| dir.join(".git").exists())
    }
}

/// The files of a crate, sorted by path, and why others are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub files: Vec<File>,
    pub refused: Vec<String>,
}

/// Finds the files of a crate. Of a crate that lies in a repository, and has no licence of its
/// own, those in the repository's topmost folder count.
pub fn find(sources: Sources<'_>) -> Result<Found> {
    let Sources { dir, license_file, .. } = sources;
    let repository = sources.repository();
    let top = repository.unwrap_or(dir);
    let mut search = Search {
        boundary: Boundary::new(top, &[])?,
        root: dir.to_owned(),
        entries: 0,
        found: Found::default(),
    };
    search.folder(dir, 0, false)?;
    if let Some(named) = license_file {
        search.named(named);
    }
    if top != dir && !search.found.files.iter().any(|file| file.is_license) {
        search.root = top.to_owned();
        search.top(top)?;
    }
    let mut found = search.found;
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.files.dedup();
    Ok(found)
}

struct Search {
    /// The crate's folder, or the repository's.
    boundary: Boundary,
    /// The folder that paths are relative to.
    root: PathBuf,
    entries: usize,
    found: Found,
}

impl Search {
    /// Looks through a folder and those in it. `all` is whether each file is a licence.
    fn folder(&mut self, dir: &Path, depth: usize, all: bool) -> Result<()> {
        for entry in files::list(dir)? {
            self.entries += 1;
            if self.entries > ENTRIES {
                if self.entries == ENTRIES + 1 {
                    let why = format!("only {ENTRIES} of its files were looked at");
                    self.found.refused.push(why);
                }
                return Ok(());
            }
            let Some(name) = entry.path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if entry.kind == EntryKind::Folder {
                let name = name.to_lowercase();
                if depth < DEPTH && !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                    let all = all || FOLDERS.contains(&&*name);
                    self.folder(&entry.path, depth + 1, all)?;
                }
            } else if let Some(kind) = kind(name, all) {
                self.take(&entry.path, kind);
            }
        }
        Ok(())
    }

    /// Looks at the files of a folder alone.
    fn top(&mut self, dir: &Path) -> Result<()> {
        for entry in files::list(dir)? {
            let name = entry.path.file_name().and_then(|name| name.to_str());
            let kind = name.and_then(|name| kind(name, false));
            if let Some(kind) = kind.filter(|_| entry.kind != EntryKind::Folder) {
                self.take(&entry.path, kind);
            }
        }
        Ok(())
    }

    /// Takes the file that the manifest names. `cargo package` copies one that lies elsewhere into
    /// the crate's folder.
    fn named(&mut self, named: &Path) {
        let path = self.root.join(named);
        let copied = named.file_name().is_some_and(|name| self.has(Path::new(name)));
        let found = self.has(named) || (copied && !path.exists());
        if !found {
            self.take(&path, Kind::License);
        }
    }

    fn has(&self, within: &Path) -> bool {
        self.found.files.iter().any(|file| Path::new(&file.path) == within)
    }

    /// Takes a file, or keeps the reason why not.
    fn take(&mut self, path: &Path, kind: Kind) {
        let name = relative(path, &self.root);
        match self.read(path) {
            Ok(Some(text)) => {
                self.found.files.push(File { path: name, text, is_license: kind == Kind::License });
            }
            Ok(None) => {}
            Err(error) => self.found.refused.push(format!("{name}: {}", said(&error).0)),
        }
    }

    /// The text of a file; `None` for an empty one.
    fn read(&self, path: &Path) -> Result<Option<String>> {
        let text = text(self.boundary.read(path, limits::LICENSE)?)?;
        let line = text.trim();
        // git writes links so on systems without them.
        if line.contains('/') && !line.contains(char::is_whitespace) {
            bail!("it holds nothing but the name {line}");
        }
        Ok((!line.is_empty()).then_some(text))
    }
}

/// The path from the root with `/`; as it is where it does not lie below.
fn relative(path: &Path, root: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// What the file of a name says. `all` is whether it lies in a folder of licences.
fn kind(name: &str, all: bool) -> Option<Kind> {
    let name = name.to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if OTHERS.contains(&ending) {
        return None;
    }
    let mut kind = all.then_some(Kind::License);
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        match word {
            "copying" | "unlicense" | "unlicence" => return Some(Kind::License),
            _ if word.starts_with("license") || word.starts_with("licence") => {
                return Some(Kind::License);
            }
            "notice" | "copyright" | "copyrights" | "patents" => kind = Some(Kind::Notice),
            _ if word.ends_with("notices") => kind = Some(Kind::Notice),
            _ => {}
        }
    }
    kind
}

/// The text, with `\n` at its line ends. Old files that are not UTF-8 are taken for Latin-1: what
/// differs are the names of authors.
fn text(bytes: Vec<u8>) -> Result<String> {
    if bytes.contains(&0) {
        bail!("it is not a text");
    }
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect());
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
mod tests;
