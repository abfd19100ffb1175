//! Reads the advisories of a database: <https://github.com/RustSec/advisory-db>.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use jiff::civil::Date;

use super::advisory::{Advisory, PLACEHOLDER};
use crate::files::{self, limits};
use crate::finding::{Finding, Place, failure};
use crate::parallel;

/// The folder of advisories about crates. Those about Rust itself do not concern a lock file.
const CRATES: &str = "crates";

/// The advisories of a database.
#[derive(Debug)]
pub struct Advisories {
    /// Sorted by identifier.
    pub all: Vec<Advisory>,
    /// The files that could not be read as an advisory. The other advisories count, but the audit
    /// is incomplete.
    pub faults: Vec<Finding>,
}

impl Advisories {
    /// The date of the newest advisory.
    pub fn newest(&self) -> Option<Date> {
        self.all.iter().map(|advisory| advisory.date).max()
    }
}

/// Reads all advisories of a database's folder.
///
/// A folder without advisories is an error: an audit by it would always pass.
pub fn load(database: &Path) -> Result<Advisories> {
    let crates = database.join(CRATES);
    if !crates.is_dir() {
        let name = database.display();
        let why = format!("{name} is not an advisory database: it has no folder {CRATES}");
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
            Ok(advisory) if advisory.id == PLACEHOLDER => {}
            Ok(advisory) => advisories.all.push(advisory),
            Err(error) => advisories.faults.push(malformed(&path, &error)),
        }
    }
    if advisories.all.is_empty() && advisories.faults.is_empty() {
        let why = format!("the advisory database {} is empty", database.display());
        bail!(failure(why, "remove it with `cargo dockless clean --cache`, or name another one"));
    }
    advisories.all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(advisories)
}

fn malformed(path: &Path, error: &anyhow::Error) -> Finding {
    let why = format!("this advisory cannot be read, so what it is about is unknown: {error:#}");
    let fix = "update the database, or dockless if the database has a newer format";
    Finding::error("advisory-malformed", Place::file(path), why, fix)
}

/// Reads one file. Its name is the advisory's identifier, and its folder's is the crate's.
fn read(path: &Path) -> Result<Advisory> {
    ensure!(!path.is_symlink(), "it is a link");
    let text = String::from_utf8(files::read_foreign(path, limits::ADVISORY)?)
        .context("it is not UTF-8")?;
    let advisory = Advisory::parse(&text)?;
    let Advisory { id, package, .. } = &advisory;
    let file = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let is_draft = file.starts_with(&format!("{PLACEHOLDER}."));
    ensure!(is_draft || file == format!("{id}.md"), "it is {id}, but its file has another name");
    let folder = path.parent().and_then(Path::file_name);
    ensure!(folder.is_some_and(|it| it == &**package), "it is about {package}, its folder is not");
    Ok(advisory)
}
