//! Finds the files that go into archives.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::sources::{self, How, Source};
use super::{Scope, unfit};
use crate::files;
use crate::finding::{Finding, Place, Severity, said};

/// A file of the project that goes into archives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ArchiveFile {
    /// Its name in the archive, which has no folders.
    pub name: String,
    /// Its resolved path.
    pub path: PathBuf,
    /// 0755 where its owner may execute it, else 0644.
    pub mode: u32,
}

/// The key, from the table `dockless` on.
impl ArchiveFile {
    /// Whether its name is that of a licence.
    pub fn is_license(&self) -> bool {
        let name = self.name.to_lowercase();
        ["license", "licence", "copying", "unlicense"].iter().any(|start| name.starts_with(start))
    }
}

const KEY: &str = "archive.files";

/// The fix where an error has none of its own.
const FIX: &str = "name files inside the project, such as \"docs/*.md\"";

/// The files that the patterns and Cargo.toml name, sorted, each once. Every fault becomes a
/// finding. Only default patterns may find nothing.
pub fn files(scope: &Scope<'_>, typed: &[String], findings: &mut Vec<Finding>) -> Vec<ArchiveFile> {
    let mut found = Vec::new();
    for (key, path) in &scope.package.named_files {
        match file(path, scope) {
            Ok(file) => found.push(file),
            Err(error) => {
                // Cargo.toml may name a file outside the package, which `cargo package` copies.
                let beyond = path.exists() && !path.is_symlink();
                let severity = if beyond { Severity::Warning } else { Severity::Error };
                let place = Place::within(&scope.package.manifest, format!("[package] {key}"));
                let (why, help) = said(&error);
                let why = format!("{why}, so it does not go into archives");
                let fix = help.unwrap_or_else(|| "name a file of the project".to_owned());
                let finding = Finding::error("config-files", place, why, fix);
                findings.push(Finding { severity, ..finding });
            }
        }
    }
    for text in typed {
        let files = if scope.is_typed(KEY) {
            named(text, scope, findings)
        } else {
            by_default(text, scope)
        };
        match files {
            Ok(files) => found.extend(files),
            Err(error) => {
                let (why, help) = said(&error);
                let fix = help.unwrap_or_else(|| FIX.to_owned());
                findings.push(Finding::error("config-files", scope.place(KEY), why, fix));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The files that a pattern of the user's names: at least one.
fn named(text: &str, scope: &Scope<'_>, findings: &mut Vec<Finding>) -> Result<Vec<ArchiveFile>> {
    let sources = sources::find(scope, text)?;
    if sources.iter().any(|source| source.how == How::Lookalike) {
        findings.push(sources::lookalike(scope, KEY, text));
    }
    let (folders, others): (Vec<Source>, Vec<Source>) =
        sources.into_iter().partition(|source| source.path.is_dir());
    // Of what a pattern matches, only the files are meant.
    let folder = folders.iter().find(|it| it.how != How::Pattern || others.is_empty());
    ensure!(
        folder.is_none(),
        "{text:?} is a folder, and archives are flat: name its files, such as \"{}/*\"",
        text.trim_end_matches('/')
    );
    others.iter().map(|source| file(&source.path, scope)).collect()
}

/// The files that a default pattern finds.
fn by_default(text: &str, scope: &Scope<'_>) -> Result<Vec<ArchiveFile>> {
    let found = sources::search(scope, text)?.into_iter().flat_map(|(_, found)| found);
    // Folders and broken links are skipped.
    let files = found.filter(|source| source.path.exists() && !source.path.is_dir());
    files.map(|source| file(&source.path, scope)).collect()
}

fn file(path: &Path, scope: &Scope<'_>) -> Result<ArchiveFile> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name in UTF-8", path.display()))?;
    if let Some(why) = unfit(name) {
        anyhow::bail!("{} cannot go into an archive: {why}", path.display());
    }
    // `admit` has a better error for a broken link.
    ensure!(path.is_symlink() || path.exists(), "there is no {}", path.display());
    let path = scope.project.boundary.admit(path)?;
    ensure!(path.is_file(), "{} is not a regular file", path.display());
    let mode = if files::is_executable(&path)? { 0o755 } else { 0o644 };
    Ok(ArchiveFile { name: name.to_owned(), path, mode })
}
