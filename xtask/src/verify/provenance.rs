//! From what files were made, by the statements beside them.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::list::{List, compared, name};
use super::{Need, Report, Verdict, What, said};
use crate::digest::Digest;
use crate::files::{self, EntryKind};
use crate::plan::{BUNDLE, STATEMENT};
use crate::provenance::Provenance;
use crate::sign::{Bundle, LIMIT, PublicKey, Statement};

/// The most statements that are read in a folder. A release has one for each package.
const STATEMENTS: usize = 1000;

/// A statement of a folder that the key vouches for.
struct Vouched {
    name: String,
    statement: Statement,
    /// What vouches for it.
    by: String,
}

/// Adds from what a file was made, and returns whether that is proved. `list` are the checksums,
/// where they are signed.
pub fn of_file(
    path: &Path,
    dir: &Path,
    list: Option<&List>,
    key: &PublicKey,
    report: &mut Report,
) -> Result<bool> {
    let file = name(path)?;
    let digest = files::open_regular(path).and_then(|it| Ok(Digest::of_reader(it)?));
    let digest = digest.with_context(|| format!("read {}", path.display()))?;
    let found = statements(dir, list, key, report)?;
    let about = found.iter().find(|it| it.statement.is_about(&digest));
    let verdict = match about {
        Some(about) => Verdict::Proved { by: about.told() },
        None if names(&found, &file).next().is_some() => {
            let why = format!("the statement beside it is of another {file}");
            Verdict::Failed { why }
        }
        None => {
            let why = "no statement beside it says from what it was made".to_owned();
            Verdict::Absent { why, need: Need::Optional }
        }
    };
    let proved = matches!(verdict, Verdict::Proved { .. });
    report.add(&file, What::Provenance, verdict);
    Ok(proved)
}

/// Adds what each statement of a folder proves, and the files that differ from what it says.
pub fn of_folder(
    dir: &Path,
    list: &List,
    vouched: Option<&List>,
    key: &PublicKey,
    report: &mut Report,
) -> Result<()> {
    let found = statements(dir, vouched, key, report)?;
    for it in &found {
        report.commits.extend(it.commit());
        report.add(&it.name, What::Provenance, Verdict::Proved { by: it.told() });
    }
    for (file, digest) in &list.digests {
        if file.ends_with(STATEMENT) {
            continue;
        }
        // Of a file that is not as it is listed, the checksum has told.
        if names(&found, file).any(|named| named == digest.hex()) {
            continue;
        }
        let verdict = match names(&found, file).next() {
            Some(named) => Verdict::Failed {
                why: format!("its statement is about sha256:{named}, and the list has {digest}"),
            },
            None => {
                let why = "no statement says from what it was made".to_owned();
                Verdict::Absent { why, need: Need::Optional }
            }
        };
        report.add(file, What::Provenance, verdict);
    }
    Ok(())
}

/// The digests that statements name for a file of this name.
fn names<'a>(found: &'a [Vouched], file: &'a str) -> impl Iterator<Item = &'a str> {
    let subjects = found.iter().flat_map(|it| &it.statement.subject);
    let own = subjects.filter(move |subject| subject.name.as_deref() == Some(file));
    own.filter_map(|subject| subject.digest.get("sha256")).map(String::as_str)
}

/// The statements of a folder that the key vouches for. What is wrong with others is added to the
/// report.
fn statements(
    dir: &Path,
    list: Option<&List>,
    key: &PublicKey,
    report: &mut Report,
) -> Result<Vec<Vouched>> {
    let mut entries = files::list(dir)?;
    entries.retain(|entry| {
        let name = entry.path.file_name().and_then(|name| name.to_str());
        entry.kind != EntryKind::Folder && name.is_some_and(|name| name.ends_with(STATEMENT))
    });
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let (count, most) = (entries.len(), STATEMENTS);
    ensure!(count <= most, "{} has {count} statements, more than {most}", dir.display());
    let mut found = Vec::new();
    for entry in &entries {
        let name = name(&entry.path)?;
        match statement(&entry.path, &name, list, key) {
            Ok(statement) => found.push(statement),
            Err(error) => report.add(&name, What::Provenance, Verdict::failed(&error)),
        }
    }
    Ok(found)
}

/// A statement, by its own bundle or by the signed list.
fn statement(path: &Path, name: &str, list: Option<&List>, key: &PublicKey) -> Result<Vouched> {
    let text = files::read_foreign(path, LIMIT)?;
    let bundle = path.with_file_name(format!("{name}{BUNDLE}"));
    let by = match files::read_foreign_if_there(&bundle, LIMIT)? {
        Some(bundle) => {
            Bundle::parse(&bundle)?.verify_file(&text, key)?;
            format!("the key {}", key.fingerprint())
        }
        None => {
            let listed = list.and_then(|list| list.digests.get(name));
            let listed = listed.context("neither a bundle nor a signed list vouches for it")?;
            match compared(path, listed) {
                Verdict::Proved { by } => by,
                Verdict::Failed { why } | Verdict::Absent { why, .. } => anyhow::bail!(why),
            }
        }
    };
    let statement = Statement::parse(&text)?;
    Ok(Vouched { name: name.to_owned(), statement, by })
}

impl Vouched {
    fn commit(&self) -> Option<String> {
        let provenance = Provenance::of(&self.statement).ok()?;
        provenance.commit().map(str::to_owned)
    }

    fn told(&self) -> String {
        format!("{}: {}", self.by, summary(&self.statement))
    }
}

/// What a good statement says, in a line. Of another tool's only its type is known.
pub fn summary(statement: &Statement) -> String {
    match Provenance::of(statement) {
        Ok(provenance) => provenance.summary(),
        Err(error) => said(&error),
    }
}
