//! The empty folders that a program is given, and the files that it leaves in them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use glob::Pattern;

use super::{File, unfit};
use crate::digest::Digest;
use crate::files;
use crate::finding::failure;

/// How many names of a list are shown.
const MAX_SHOWN: usize = 10;

/// The folders of one run.
pub struct Folders {
    /// The program's own folder.
    pub bin: PathBuf,
    /// The folder for its output.
    pub printed: PathBuf,
    /// `{{ out }}`
    pub out: PathBuf,
    /// Its working folder.
    pub work: PathBuf,
    root: PathBuf,
}

/// Folders in variables, and whether the program must leave them empty: temporary files and caches
/// do not matter.
const NAMED: [(&str, &str, bool); 8] = [
    ("HOME", "home", true),
    ("XDG_CONFIG_HOME", "config", true),
    ("XDG_DATA_HOME", "data", true),
    ("XDG_STATE_HOME", "state", true),
    ("XDG_CACHE_HOME", "cache", false),
    ("XDG_RUNTIME_DIR", "runtime", false),
    ("TMPDIR", "tmp", false),
    ("TMP", "tmp", false),
];

impl Folders {
    pub fn make(root: &Path) -> Result<Folders> {
        let made = |name: &str| {
            let path = root.join(name);
            files::make_dir(&path).map(|()| path)
        };
        for (_, name, _) in NAMED {
            made(name)?;
        }
        Ok(Folders {
            bin: made("bin")?,
            printed: made("printed")?,
            out: made("out")?,
            work: made("work")?,
            root: root.to_owned(),
        })
    }

    /// The variables that name the folders.
    pub fn vars(&self) -> Vec<(OsString, OsString)> {
        NAMED.map(|(name, folder, _)| (name.into(), self.root.join(folder).into())).into()
    }

    /// The files in `out` and the working folder that match a pattern, at least one for each
    /// pattern.
    pub fn take(&self, patterns: &[String], count: usize, size: u64) -> Result<Vec<File>> {
        let mut taken: Vec<File> = Vec::new();
        let mut others = Vec::new();
        let compiled = patterns.iter().map(|pattern| Pattern::new(pattern));
        let compiled = compiled.collect::<Result<Vec<_>, _>>().context("read the patterns")?;
        let mut used = vec![false; patterns.len()];
        for (folder, label) in [(&self.out, "{{ out }}"), (&self.work, ".")] {
            for entry in files::list(folder)? {
                let name = entry.path.file_name().unwrap_or_default();
                let shown = format!("{label}/{}", name.to_string_lossy());
                let Some(name) = name.to_str() else {
                    let why = format!("it wrote {shown:?}, whose name is not UTF-8");
                    bail!(failure(why, "let it name its files in UTF-8"));
                };
                let mut matched = false;
                for (used, _) in used.iter_mut().zip(&compiled).filter(|(_, it)| it.matches(name)) {
                    *used = true;
                    matched = true;
                }
                if !matched {
                    others.push(shown);
                    continue;
                }
                taken.push(fit(&entry, name, &shown, size)?);
                if taken.len() > count {
                    let why = format!("it wrote more than {count} files");
                    bail!(failure(why, "let it write less, or narrow `files`"));
                }
            }
        }
        if let Some(at) = used.iter().position(|used| !used) {
            let all: Vec<String> = taken.into_iter().map(|file| file.name).chain(others).collect();
            let wrote = if all.is_empty() { "it wrote no file".to_owned() } else { wrote(&all) };
            let why = format!("nothing that it wrote matches {:?}: {wrote}", patterns[at]);
            bail!(failure(why, "correct `files`, or have it write into `{{ out }}`"));
        }
        taken.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = taken.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let why = format!("it wrote {} both into {{{{ out }}}} and where it ran", pair[0].name);
            bail!(failure(why, "archives are flat: let it write each name once"));
        }
        Ok(taken)
    }

    /// Fails where the program wrote a file that was not taken.
    pub fn nothing_else(&self, taken: &[File]) -> Result<()> {
        let places = [("{{ out }}", &*self.out), (".", &*self.work)];
        let places = places.map(|(label, folder)| (label.to_owned(), folder.to_owned()));
        let named = NAMED.iter().filter(|(.., counts)| *counts);
        let named = named.map(|(name, folder, _)| (format!("${name}"), self.root.join(folder)));
        let mut others = Vec::new();
        for (label, folder) in places.into_iter().chain(named) {
            for entry in files::list(&folder)? {
                let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
                let is_dir = !entry.path.is_symlink() && entry.path.is_dir();
                // Programs often make folders that they do not use.
                let nothing = is_dir && files::list(&entry.path)?.is_empty();
                if !nothing && !taken.iter().any(|file| file.path == entry.path) {
                    others.push(format!("{label}/{name}{}", if is_dir { "/" } else { "" }));
                }
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let why = format!("it writes elsewhere: {}", wrote(&others));
        bail!(failure(why, "name them in `files`, or let it write nothing else"))
    }
}

/// A file for an archive. An error where it cannot be in one.
fn fit(entry: &files::DirEntry, name: &str, shown: &str, size: u64) -> Result<File> {
    let kind = if entry.path.is_symlink() {
        Some("a link")
    } else if entry.path.is_dir() {
        Some("a folder")
    } else if !entry.path.is_file() {
        Some("not a regular file")
    } else {
        None
    };
    if let Some(kind) = kind {
        let why = format!("{shown} is {kind}, but a file was expected");
        bail!(failure(why, "let it write a file, or narrow `files`"));
    }
    if let Some(why) = unfit(name) {
        let why = format!("it wrote {shown:?}, which cannot go into an archive: {why}");
        bail!(failure(why, "let it use other file names"));
    }
    if entry.size > size {
        let why = format!("{shown} is larger than {size} bytes");
        bail!(failure(why, "let it write less, or narrow `files`"));
    }
    let digest = Digest::of_reader(files::open_regular(&entry.path)?);
    let digest = digest.with_context(|| format!("read {}", entry.path.display()))?;
    let mode = if files::is_executable(&entry.path)? { 0o755 } else { 0o644 };
    Ok(File { name: name.to_owned(), path: entry.path.clone(), digest, mode })
}

/// The first names, and the number of the others.
fn wrote(names: &[String]) -> String {
    let said = names[..names.len().min(MAX_SHOWN)].join(", ");
    match names.len().saturating_sub(MAX_SHOWN) {
        0 => format!("it wrote {said}"),
        more => format!("it wrote {said} and {more} more"),
    }
}
