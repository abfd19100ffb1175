//! Compares the licences of all crates with `[licenses]` in deny.toml, as cargo-deny does.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

use super::lock::{LOCK, Lock};
use super::tools::{self, Report, count};
use super::{CheckFinding, NO_LOCK, Subject};
use crate::files::{Boundary, limits};
use crate::finding::{Finding, Place, Severity};
use crate::license::{self, Expression, Requirement, Sources};
use crate::project::Project;

mod settings;
mod xxh32;

use settings::{Clarification, Entry, Level, Rules};

/// The rules of the project; `None` where it has none.
pub fn rules(project: &Project) -> Result<Option<Rules>> {
    settings::read(&project.root, &project.boundary)
}

/// Checks all crates that the rules are about.
pub fn check(rules: &Rules, subject: &Subject<'_>) -> Result<Report> {
    let project = subject.project;
    ensure!(project.has_lock, NO_LOCK);
    let metadata = tools::metadata(project, subject.options.network, &arguments(rules))?;
    let lock = Lock::read(&project.root.join(LOCK))?;
    let mut used = Used::default();
    let mut findings = Vec::new();
    let all = crates(&metadata, rules)?;
    let checked = all.iter().filter(|package| !is_private(package, rules));
    let checked: Vec<&Package> = checked.copied().collect();
    for package in &checked {
        let place = place(package, &lock);
        let found = judge(package, rules, &mut used)?;
        findings.extend(found.map(|it| it.finding(package, &place)));
    }
    findings.extend(unused(rules, &used));
    let errors = findings.iter().filter(|it| it.finding.severity == Severity::Error).count();
    let mut detail = count(checked.len(), "crate");
    if all.len() > checked.len() {
        detail = format!("{detail}, {} private", all.len() - checked.len());
    }
    if !findings.is_empty() {
        let warnings = count(findings.len() - errors, "warning");
        detail = format!("{detail}, {}, {warnings}", count(errors, "error"));
    }
    Ok(Report { passed: errors == 0, detail, findings, lines: String::new() })
}

/// cargo's arguments for the crates that `[graph]` means.
fn arguments(rules: &Rules) -> Vec<String> {
    let graph = &rules.graph;
    let mut arguments = Vec::new();
    for target in &graph.targets {
        arguments.extend(["--filter-platform".to_owned(), target.triple().to_owned()]);
    }
    arguments.extend(graph.all_features.then(|| "--all-features".to_owned()));
    arguments.extend(graph.no_default_features.then(|| "--no-default-features".to_owned()));
    if !graph.features.is_empty() {
        arguments.push(format!("--features={}", graph.features.join(",")));
    }
    arguments
}

/// The packages of the workspace and what they depend on, without the kinds of dependencies that
/// the rules leave out, sorted by name.
fn crates<'a>(metadata: &'a Metadata, rules: &Rules) -> Result<Vec<&'a Package>> {
    let resolve = metadata.resolve.as_ref().context("read the graph that cargo resolved")?;
    let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let packages: HashMap<_, _> = metadata.packages.iter().map(|it| (&it.id, it)).collect();
    let excluded = |id: &PackageId| {
        packages.get(id).is_some_and(|it| rules.graph.exclude.iter().any(|name| *name == *it.name))
    };
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let mut next: VecDeque<&PackageId> = metadata.workspace_members.iter().collect();
    while let Some(id) = next.pop_front() {
        if excluded(id) || !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).with_context(|| format!("find {id} in the graph"))?;
        let wanted = node.deps.iter().filter(|dependency| {
            dependency.dep_kinds.iter().any(|it| match it.kind {
                DependencyKind::Development => rules.include_dev,
                DependencyKind::Build => rules.include_build,
                _ => true,
            })
        });
        next.extend(wanted.map(|dependency| &dependency.pkg));
    }
    let mut all: Vec<&Package> = seen.iter().filter_map(|id| packages.get(id).copied()).collect();
    all.sort_by(|a, b| (&a.name, &a.version, &a.id).cmp(&(&b.name, &b.version, &b.id)));
    Ok(all)
}

/// Whether a crate is not checked, because it is published nowhere or comes from a private place.
fn is_private(package: &Package, rules: &Rules) -> bool {
    let private = &rules.private;
    let unpublished = package
        .publish
        .as_ref()
        .is_some_and(|to| to.iter().all(|registry| private.registries.contains(registry)));
    let source = package.source.as_ref().map(|source| address(&source.repr));
    let from_private = private.ignore_sources.iter().any(|url| source == Some(address(url)));
    private.ignore && (unpublished || from_private)
}

/// A URL without its scheme, its query and what else differs between two ways to write it.
fn address(url: &str) -> String {
    let url = url.split(['#', '?']).next().unwrap_or_default();
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    let url = url.split_once('@').map_or(url, |(_, rest)| rest);
    url.trim_end_matches('/').trim_end_matches(".git").to_lowercase()
}

/// The crate's table in Cargo.lock, and the path to it.
fn place(package: &Package, lock: &Lock) -> (Place, String) {
    let version = package.version.to_string();
    let source = package.source.as_ref().map(|source| source.repr.as_str());
    let mut named = lock.packages.iter().enumerate().filter(|(_, it)| {
        it.name.as_str() == package.name.as_str() && it.version.to_string() == version
    });
    let first = named.clone().next();
    let own = named.find(|(_, it)| it.source.as_deref() == source);
    match own.or(first) {
        Some((at, _)) => (lock.place(at), lock.path_to(at)),
        None => (Place::file(Path::new(LOCK)), format!("{} {version}", package.name)),
    }
}

/// The entries of the rules that some crate needs, by their positions.
#[derive(Debug, Default)]
struct Used {
    allow: BTreeSet<usize>,
    exceptions: BTreeSet<usize>,
}

/// What is wrong with a crate.
enum Fault {
    /// The licences that are not allowed, of its expression.
    Refused(Vec<String>, String),
    /// Nothing says what its licence is.
    Unknown(String),
}

impl Fault {
    fn finding(self, package: &Package, (place, path): &(Place, String)) -> CheckFinding {
        let (name, version) = (&package.name, &package.version);
        let (rule, why, fix) = match self {
            Fault::Refused(refused, expression) => {
                let refused = refused.join(", ");
                let of = if refused == expression {
                    String::new()
                } else {
                    format!(", of its licence {expression}")
                };
                let fix = format!(
                    "take another crate, or allow it in deny.toml: in `allow` for all crates, or \
                     in `exceptions` with crate = \"{name}\""
                );
                ("license-refused", format!("{refused} is not allowed{of}"), fix)
            }
            Fault::Unknown(why) => {
                let fix = "read its sources, and say what it is in `clarify` of deny.toml";
                ("license-unknown", why, fix.to_owned())
            }
        };
        let why = format!("{name} {version}: {why} ({path})");
        let finding = Finding::error(rule, place.clone(), why, fix);
        CheckFinding { id: rule.to_owned(), url: None, finding }
    }
}

fn judge(package: &Package, rules: &Rules, used: &mut Used) -> Result<Option<Fault>> {
    let expression = match expression(package, rules)? {
        Ok(expression) => expression,
        Err(why) => return Ok(Some(Fault::Unknown(why))),
    };
    let mut of_crate = rules.exceptions.iter();
    let exception = of_crate.position(|it| it.of.matches(&package.name, &package.version));
    let mut allowed = |requirement: &Requirement| {
        if let Some(at) = exception
            && rules.exceptions[at].allow.iter().any(|it| it.satisfies(requirement))
        {
            used.exceptions.insert(at);
            return true;
        }
        let found = rules.allow.iter().position(|(it, _)| it.satisfies(requirement));
        used.allow.extend(found);
        found.is_some()
    };
    let mut refused = Vec::new();
    let holds = expression.holds(|requirement| {
        let allowed = allowed(requirement);
        let name = requirement.to_string();
        if !allowed && !refused.contains(&name) {
            refused.push(name);
        }
        allowed
    });
    Ok((!holds).then(|| Fault::Refused(refused, expression.text().to_owned())))
}

/// The licence of a crate: as the rules clarify it, as its manifest declares it, or else as its
/// licence files show it; or why it is unknown.
fn expression(package: &Package, rules: &Rules) -> Result<Result<Expression, String>> {
    let clarified =
        rules.clarify.iter().filter(|it| it.of.matches(&package.name, &package.version));
    for clarification in clarified {
        if applies(clarification, package)? {
            return Ok(Ok(clarification.expression.clone()));
        }
    }
    let mut why = "it declares no licence".to_owned();
    if let Some(text) = package.license.as_deref().filter(|text| !text.trim().is_empty()) {
        match Expression::as_written(text) {
            Ok(expression) => return Ok(Ok(expression)),
            Err(error) => why = error.to_string(),
        }
    }
    let dir = folder(package)?;
    let sources = Sources {
        dir,
        source: package.source.as_ref().map(|source| source.repr.as_str()),
        license_file: package.license_file.as_ref().map(|file| file.as_std_path()),
    };
    let found = license::find(sources)?;
    let files = found.files.iter().filter(|file| file.is_license && !file.path.contains('/'));
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for file in files {
        let recognised = license::recognised(&file.text);
        if recognised.is_empty() {
            let hash = xxh32::xxh32(lines(&file.text).as_bytes());
            return Ok(Err(format!(
                "{why}, and its {} is not a known text (hash = 0x{hash:08x})",
                file.path
            )));
        }
        names.extend(recognised);
    }
    if names.is_empty() {
        return Ok(Err(format!("{why}, and its sources have no licence file")));
    }
    // All of them count: whether one would be enough is unknown.
    let joined = names.into_iter().collect::<Vec<_>>().join(" AND ");
    Ok(Expression::as_written(&joined).map_err(|error| error.to_string()))
}

fn folder(package: &Package) -> Result<&Path> {
    let folder = package.manifest_path.parent().map(|dir| dir.as_std_path());
    folder.with_context(|| format!("find the folder of {}", package.name))
}

/// Whether the files of a clarification are as they were when it was written.
fn applies(clarification: &Clarification, package: &Package) -> Result<bool> {
    let dir = folder(package)?;
    let boundary = Boundary::new(dir, &[])?;
    let same = |(path, hash): &(std::path::PathBuf, u32)| -> Result<bool> {
        let bytes = boundary.read_if_there(&dir.join(path), limits::LICENSE)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.is_some_and(|text| xxh32::xxh32(lines(&text).as_bytes()) == *hash))
    };
    for file in &clarification.files {
        if !same(file)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The lines as cargo-deny hashes them: each ends with `\n`.
fn lines(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| line.trim_end_matches(['\r', '\n']));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The entries that no crate needs.
fn unused(rules: &Rules, used: &Used) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    let mut add = |level: Level, entry: &Entry, why: String| {
        let severity = match level {
            Level::Allow => return,
            Level::Warn => Severity::Warning,
            Level::Deny => Severity::Error,
        };
        let (rule, place) = ("license-unused", entry.place.clone());
        let finding = Finding { rule, severity, place, why, fix: "remove it".to_owned() };
        findings.push(CheckFinding { id: rule.to_owned(), url: None, finding });
    };
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (_, entry)) in rules.allow.iter().enumerate() {
        if let Some(first) = listed.insert(&entry.text, at) {
            let why = format!("{} is allowed twice", rules.allow[first].1.text);
            add(rules.unused_allowed, entry, why);
        } else if !used.allow.contains(&at) {
            let why = format!("{} is allowed, and no crate needs it", entry.text);
            add(rules.unused_allowed, entry, why);
        }
    }
    for (at, exception) in rules.exceptions.iter().enumerate() {
        if !used.exceptions.contains(&at) && !exception.is_apart {
            let why = format!("the exception for {} is not needed", exception.entry.text);
            add(rules.unused_exception, &exception.entry, why);
        }
    }
    findings
}

#[cfg(test)]
mod tests;
