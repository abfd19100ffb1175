//! A release's version of plugins, for their entries in a checkout of an index.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;

use super::super::{Common, World};
use crate::artifacts::KREW;
use crate::files::{self, limits};
use crate::finding::{Finding, Place, Severity, failure};
use crate::krew::{self, Archives, Change, Release};
use crate::release;
use crate::term;

/// Update plugins to their next version in a checkout of an index
///
/// The version, uris and digests of the release of HEAD in dist/krew are written to
/// PATH/plugins/NAME.yaml. Only these values change: comments, order, quotes and line ends stay.
/// Nothing is written that the index's bot would not approve; the error names what prevents the
/// approval, and its line. What only the release has, such as another platform, is reported and
/// left out.
///
/// With --rewrite these errors become warnings. Where changing values is not enough, the fields of
/// `spec` that differ from the release are rewritten, `platforms` as a whole, and everything else
/// stays. An entry that the index does not have is added. A person then reviews the change.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew bump --index ~/src/krew-index
  cargo dockless krew bump --index ~/src/krew-index view-secret --dry-run
  cargo dockless krew bump --index ../our-index view-secret --rewrite
  git -C ~/src/krew-index diff")]
pub struct Bump {
    /// A checkout of krew-index, or of an index of your own
    #[arg(long, value_name = "PATH")]
    index: PathBuf,
    /// Only these plugins [default: all in dist/krew]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Also write changes that a person has to review
    #[arg(long)]
    rewrite: bool,
    /// Print what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// What becomes of a plugin's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum BumpStatus {
    /// It has the version already.
    Unchanged,
    /// Values alone change.
    Bumped,
    /// More than values changes.
    Rewritten,
    /// There was none.
    Added,
    /// Nothing may be written.
    Refused,
    /// Nothing is written, because another one is refused.
    Held,
}

#[derive(Serialize)]
struct BumpEntry {
    plugin: String,
    file: PathBuf,
    outcome: BumpStatus,
    /// The version that it has.
    from: Option<String>,
    to: String,
    changes: Vec<Change>,
    findings: Vec<Finding>,
    /// What there is to say of a rewritten one.
    #[serde(skip)]
    about: String,
    #[serde(skip)]
    text: String,
    /// Where it is written, once links are followed.
    #[serde(skip)]
    path: PathBuf,
}

pub fn run(args: &Bump, common: &Common, world: &World) -> Result<ExitCode> {
    let folder = world.dir.join(&args.index).join(PLUGINS);
    if files::list_one(&folder)?.is_none() {
        bail!(failure(
            format!("{} is no index of krew: it has no folder {PLUGINS}", args.index.display()),
            "name the folder of a clone of https://github.com/kubernetes-sigs/krew-index, or of \
             an index of your own",
        ));
    }
    let root = files::resolve(&world.dir.join(&args.index))?;
    let mut entries = Vec::new();
    let (releases, _) =
        release::plugins_of_head(&args.names, &world.project(common)?, &world.term)?;
    for release in releases {
        entries.push(entry(args, &root, &release, world)?);
    }
    several(&mut entries);
    // All or none: a release is not half in an index.
    let refused = entries.iter().any(|entry| entry.outcome == BumpStatus::Refused);
    let writes = !args.dry_run && !refused;
    if refused && !args.dry_run {
        let written = |it: &&mut BumpEntry| {
            ![BumpStatus::Unchanged, BumpStatus::Refused].contains(&it.outcome)
        };
        entries.iter_mut().filter(written).for_each(|entry| entry.outcome = BumpStatus::Held);
    }
    let is_written = |entry: &&BumpEntry| writes && entry.outcome != BumpStatus::Unchanged;
    for entry in &entries {
        if is_written(&entry) {
            files::write(&entry.path, entry.text.as_bytes())?;
        }
        say(entry, writes, world);
    }
    let written = entries.iter().filter(is_written).map(|entry| entry.file.display());
    world.term.results(&term::list("entries", &entries), written)?;
    let wrong = |finding: &Finding| finding.severity == Severity::Error;
    let findings = entries.into_iter().flat_map(|entry| entry.findings);
    world.term.verdict(findings.filter(wrong).collect())?;
    Ok(ExitCode::SUCCESS)
}

/// Where an index has its entries.
/// <https://krew.sigs.k8s.io/docs/developer-guide/custom-indexes/>
const PLUGINS: &str = "plugins";

/// Decides what becomes of a plugin's entry. `root` is the index, without links.
fn entry(args: &Bump, root: &Path, release: &Release, world: &World) -> Result<BumpEntry> {
    let name = format!("{}.yaml", release.name());
    let file = args.index.join(PLUGINS).join(&name);
    let (path, before) = existing(root, &world.dir.join(&file), &file)?;
    let mut entry = BumpEntry {
        plugin: release.name().to_owned(),
        outcome: BumpStatus::Added,
        from: None,
        to: release.version().to_owned(),
        changes: Vec::new(),
        findings: Vec::new(),
        about: String::new(),
        text: release.text().to_owned(),
        file,
        path,
    };
    let mut refusals = Vec::new();
    match before.map(String::from_utf8) {
        None => entry.findings.push(absent(&entry, release)),
        Some(Ok(before)) => {
            change(&mut entry, &before, release, args.rewrite);
            refusals = refused(&before, &entry.text, &entry.file);
        }
        Some(Err(error)) => {
            let why = format!("the entry is no UTF-8: {error}");
            let fix =
                "write it with an editor that writes UTF-8, or have it made anew by --rewrite";
            entry.findings.push(Finding::error("yaml", Place::file(&entry.file), why, fix));
            entry.outcome = BumpStatus::Rewritten;
        }
    }
    if args.rewrite {
        entry.findings.iter_mut().for_each(reviewed);
    }
    entry.findings.extend(refusals);
    if entry.findings.iter().any(|it| it.severity == Severity::Error) {
        entry.outcome = BumpStatus::Refused;
    }
    Ok(entry)
}

/// The file that an entry is in, once links are followed, and what it holds.
fn existing(root: &Path, path: &Path, file: &Path) -> Result<(PathBuf, Option<Vec<u8>>)> {
    let folder = files::resolve(path.parent().unwrap_or(path))?;
    let mut place = folder.join(path.file_name().unwrap_or_default());
    let is_there = files::list_one(path)?.is_some();
    if is_there || files::read_link(path).is_ok() {
        place = files::resolve(path)?;
    }
    if !place.starts_with(root) {
        bail!(failure(
            format!("{} leads out of the index, to {}", file.display(), place.display()),
            "replace the link by the file itself",
        ));
    }
    // The entry that a link leads to is another's.
    if path.is_symlink() {
        bail!(failure(
            format!("{} is a link, and nothing is written through one", file.display()),
            "replace the link by the file itself",
        ));
    }
    let read = || files::read_resolved(&place, limits::PLUGIN);
    let before = is_there.then(read).transpose()?;
    Ok((place, before))
}

fn absent(entry: &BumpEntry, release: &Release) -> Finding {
    let why = format!("the index has no plugin {}", release.name());
    let fix = format!(
        "a first submission is made by a person: copy dist/{KREW}{}.yaml to {}, or have that done \
         by --rewrite, and open a pull request with nothing else in it",
        release.name(),
        entry.file.display()
    );
    Finding::error("bump-absent", Place::file(&entry.file), why, fix)
}

/// Decides what the entry will hold, and finds what speaks against it.
fn change(entry: &mut BumpEntry, before: &str, release: &Release, rewrite: bool) {
    entry.from = krew::version(before).map(|(version, _)| version);
    match krew::bump(before, &entry.file, release) {
        Ok(bumped) => {
            entry.outcome = BumpStatus::Bumped;
            entry.changes = bumped.changes;
            entry.findings.extend(bumped.left);
            entry.text = bumped.text;
        }
        Err(findings) => {
            entry.findings.extend(findings);
            entry.outcome = BumpStatus::Rewritten;
            if !rewrite {
                return;
            }
        }
    }
    let beyond = entry.outcome == BumpStatus::Rewritten || !entry.findings.is_empty();
    if rewrite && beyond {
        let rewritten = krew::rewrite(before, release);
        entry.about = match &rewritten.anew {
            None => "; all of it is the release's".to_owned(),
            Some(anew) if rewritten.kept.is_empty() => format!("; anew: {}", anew.join(", ")),
            Some(anew) => {
                format!("; anew: {}; kept: {}", anew.join(", "), rewritten.kept.join(", "))
            }
        };
        entry.text = rewritten.text;
        entry.changes.clear();
        entry.outcome = BumpStatus::Rewritten;
    }
    if entry.text == before {
        entry.outcome = BumpStatus::Unchanged;
    }
    if entry.outcome != BumpStatus::Unchanged {
        entry.findings.extend(krew::objections(before, &entry.text, &entry.file));
    }
}

/// What krew would refuse, but for what it took before.
fn refused(before: &str, after: &str, file: &Path) -> Vec<Finding> {
    let known = krew::validate(before, file, Archives::None);
    let mut found = krew::validate(after, file, Archives::None);
    let same = |one: &Finding, other: &Finding| {
        one.rule == other.rule && (one.place == other.place || one.why == other.why)
    };
    found.retain(|finding| {
        finding.severity == Severity::Error && !known.iter().any(|known| same(known, finding))
    });
    found
}

/// Makes a warning of what a person is to look at.
fn reviewed(finding: &mut Finding) {
    finding.severity = Severity::Warning;
    finding.fix = "have a person review the change".to_owned();
}

/// Says where more is changed than a pull request may have.
/// <https://krew.sigs.k8s.io/docs/developer-guide/release/updating-plugins/>
fn several(entries: &mut [BumpEntry]) {
    let mut changed = entries.iter_mut().filter(|it| it.outcome != BumpStatus::Unchanged).skip(1);
    if let Some(second) = changed.next() {
        let why = "the index takes one plugin a pull request, and this is a second one";
        let fix = "commit each on a branch of its own";
        let place = Place::file(&second.file);
        second.findings.push(Finding::warning("bump-several", place, why, fix));
    }
}

fn say(entry: &BumpEntry, writes: bool, world: &World) {
    let warnings = entry.findings.iter().filter(|it| it.severity == Severity::Warning);
    warnings.for_each(|finding| world.term.finding(finding));
    let (file, to) = (entry.file.display(), &entry.to);
    let versions = match &entry.from {
        Some(from) => format!("{from} -> {to}"),
        None => to.clone(),
    };
    let verb = if writes { "bump" } else { "would bump" };
    match entry.outcome {
        BumpStatus::Refused => {}
        BumpStatus::Held => {
            world.term.step("leave", format!("{file} as it is: another entry is refused"));
        }
        BumpStatus::Unchanged => world.term.step("bump", format!("{file} has {to} already")),
        BumpStatus::Added => world.term.step(verb, format!("{file}: {to}, a first submission")),
        BumpStatus::Rewritten => {
            world.term.step(verb, format!("{file}: {versions}{}", entry.about))
        }
        BumpStatus::Bumped => {
            let count = entry.changes.len();
            world.term.step(verb, format!("{file}: {versions}, {count} values"));
            for Change { line, before, after } in &entry.changes {
                let change = format!("{file}:{line}: {before} -> {after}");
                if writes || world.term.quiet() {
                    world.term.detail(change);
                } else {
                    world.term.note(&change);
                }
            }
        }
    }
}
