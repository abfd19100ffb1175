//! The advisories of a database: <https://github.com/RustSec/advisory-db>.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rustsec::Advisory;
use rustsec::advisory::Date;

use crate::files::{self, limits};
use crate::finding::{Finding, Place, failure};
use crate::parallel;

/// The folder of advisories about crates. That about Rust itself is about no lock file.
const CRATES: &str = "crates";

/// What a database holds.
#[derive(Debug)]
pub struct Advisories {
    /// Sorted by their identifiers.
    pub all: Vec<Advisory>,
    /// The files that could not be read as an advisory, and why. The others count all the
    /// same, and what is said of them is not all that is known.
    pub faults: Vec<Finding>,
}

impl Advisories {
    /// The day of the newest one.
    pub fn newest(&self) -> Option<&Date> {
        self.all.iter().map(Advisory::date).max()
    }
}

/// Reads all advisories of a database's folder.
///
/// An error where there is no such folder, or it holds no advisory: nothing would be found
/// in it, whatever there is to find.
pub fn load(database: &Path) -> Result<Advisories> {
    let crates = database.join(CRATES);
    if !crates.is_dir() {
        let why =
            format!("{} is no advisory database: it has no folder {CRATES}", database.display());
        let fix = "name a checkout of https://github.com/RustSec/advisory-db";
        bail!(failure(why, fix));
    }
    let mut paths = Vec::new();
    for folder in files::list(&crates)? {
        if folder.path.is_dir() && !folder.path.is_symlink() {
            paths.extend(files::list(&folder.path)?.into_iter().map(|entry| entry.path));
        }
    }
    let hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    paths.retain(|path| !hidden(path));
    paths.sort();
    let read =
        parallel::map(&paths, parallel::processors(), |path| Ok((path.clone(), read(path))))?;
    let mut advisories = Advisories { all: Vec::new(), faults: Vec::new() };
    for (path, advisory) in read {
        match advisory {
            Ok(advisory) if advisory.id().is_placeholder() => {}
            Ok(advisory) => advisories.all.push(advisory),
            Err(error) => advisories.faults.push(malformed(&path, &error)),
        }
    }
    if advisories.all.is_empty() && advisories.faults.is_empty() {
        let why = format!("the advisory database {} is empty", database.display());
        bail!(failure(why, "fetch it anew: `cargo dockless clean --cache`, or name another one"));
    }
    advisories.all.sort_by(|a, b| a.id().cmp(b.id()));
    Ok(advisories)
}

fn malformed(path: &Path, error: &anyhow::Error) -> Finding {
    let why = format!("this advisory cannot be read, and what it is about is not known: {error:#}");
    let fix = "update the database, or dockless where the database has a newer form";
    Finding::error("advisory-malformed", Place::file(path), why, fix)
}

/// Reads one file, which has the name of its advisory and lies in the folder of its crate.
fn read(path: &Path) -> Result<Advisory> {
    ensure!(!path.is_symlink(), "it is no file");
    let text = String::from_utf8(files::read_foreign(path, limits::ADVISORY)?)
        .context("it is no UTF-8")?;
    let advisory: Advisory = text.parse().map_err(|error: rustsec::Error| said(&error))?;
    let folder = path.parent().and_then(Path::file_name);
    let (id, package) = (advisory.id().as_str(), advisory.metadata.package.as_str());
    let named = path.file_name().is_some_and(|name| name == format!("{id}.md").as_str());
    ensure!(named || Advisory::is_draft(path), "it is {id}, and its file has another name");
    ensure!(folder.is_some_and(|it| it == package), "it is about {package}, and lies elsewhere");
    Ok(advisory)
}

/// An error of the crate's in one line, with all that it stands on.
fn said(error: &rustsec::Error) -> anyhow::Error {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    anyhow::Error::msg(lines.join(" "))
}
