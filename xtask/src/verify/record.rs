//! The record of a release: its statements of provenance, one for each package.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::rebuild::{Compiler, Recorded};
use crate::digest::Digest;
use crate::files::{self, Limit};
use crate::finding::failure;
use crate::plan::STATEMENT;
use crate::provenance::{COMPILER, Parameters, Provenance};
use crate::sign::Statement;

/// In bytes: of a statement. One of a large workspace has some 100 kB.
const LIMIT: Limit = Limit(16 << 20);
/// How many packages a release may have.
const STATEMENTS: usize = 1000;

/// What the statements of a release say together.
pub struct Record {
    pub of: Recorded,
    /// The digests of its images, and of their platforms.
    pub images: BTreeSet<Digest>,
}

/// Reads the statements in the folder of a release.
pub fn read(dir: &Path) -> Result<Record> {
    let mut all: Option<Recorded> = None;
    let mut images = BTreeSet::new();
    let mut count = 0;
    for entry in files::list(dir)? {
        let name = entry.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.ends_with(STATEMENT) {
            continue;
        }
        count += 1;
        ensure!(count <= STATEMENTS, "{} has more than {STATEMENTS} records", dir.display());
        let context = || format!("read {}", entry.path.display());
        let statement = files::read_foreign(&entry.path, LIMIT)?;
        let statement = Statement::parse(&statement).with_context(context)?;
        let one = Provenance::of(&statement).and_then(recorded).with_context(context)?;
        all = Some(match all {
            None => one,
            Some(all) => joined(all, one).with_context(context)?,
        });
        images.extend(named(&statement));
    }
    match all {
        Some(of) => Ok(Record { of, images }),
        None => bail!(failure(
            format!("{} has no record of how it was made (NAME{STATEMENT})", dir.display()),
            "only a release that dockless made with its provenance can be made again",
        )),
    }
}

/// Two packages of one release.
fn joined(mut all: Recorded, one: Recorded) -> Result<Recorded> {
    let without = |of: &Recorded| Recorded {
        packages: Vec::new(),
        targets: Vec::new(),
        arguments: Vec::new(),
        version: String::new(),
        source: None,
        ..of.clone()
    };
    if without(&all) != without(&one) {
        bail!(failure(
            "it records another release than the statements beside it",
            "put the files of each release into a folder of its own",
        ));
    }
    all.packages.extend(one.packages);
    if all.targets != one.targets || all.arguments != one.arguments {
        // What the settings of the commit have for each package cannot be named for all at once.
        all.targets.clear();
        all.arguments.clear();
    }
    all.source = all.source.or(one.source);
    Ok(all)
}

/// What a statement says of how a package was made.
fn recorded(provenance: Provenance) -> Result<Recorded> {
    let Some(commit) = provenance.commit().map(str::to_owned) else {
        bail!(failure(
            "the release was made of sources that no commit holds",
            "only a release of a clean commit can be made again",
        ));
    };
    let dockless = provenance.tool().context("it has no version of dockless")?.to_owned();
    let definition = provenance.build_definition;
    let used = |name: &str| {
        definition.resolved_dependencies.iter().find(|it| it.name.as_deref() == Some(name))
    };
    let compiler = used(COMPILER).and_then(|it| {
        let version = it.annotations.get("version")?.clone();
        Some(Compiler { version, commit: it.digest.get("gitCommit").cloned() })
    });
    let lock = used("Cargo.lock").and_then(|it| Digest::from_hex(it.digest.get("sha256")?).ok());
    let Parameters {
        source, tag, package, version, targets, profile, arguments, environment, ..
    } = definition.external_parameters;
    let uri = source.uri.map(|uri| uri.strip_prefix("git+").map_or(uri.clone(), str::to_owned));
    Ok(Recorded {
        source: uri,
        commit,
        tag,
        version,
        packages: vec![package],
        targets,
        profile,
        arguments,
        compiler,
        lock,
        dockless,
        environment,
    })
}

/// The images that a statement is about: their names end with their digests.
fn named(statement: &Statement) -> impl Iterator<Item = Digest> {
    statement.subject.iter().filter_map(|subject| {
        let hex = subject.digest.get("sha256")?;
        let is_image = subject.name.as_deref()?.ends_with(&format!("@sha256:{hex}"));
        is_image.then(|| Digest::from_hex(hex).ok())?
    })
}
