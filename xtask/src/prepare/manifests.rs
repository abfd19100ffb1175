//! The versions in Cargo.toml and Cargo.lock: only they change, and all other bytes stay.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{FileEdit, Head, Splice, Versions, file_edit};
use crate::finding::failure;
use crate::project::{Package, Project};
use crate::version::Version;

/// The tables of dependencies.
const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A text in a file, and where it is, with its quotes.
type Text<'a> = (&'a str, Range<usize>);

/// The version that the packages have in HEAD, which must be one.
pub fn present(packages: &[&Package], head: &Head<'_>) -> Result<Version> {
    let mut known: Option<(&str, Version)> = None;
    for package in packages {
        let version = version_of(package, head)?;
        match &known {
            Some((other, same)) if *same != version => bail!(failure(
                format!("{} is at {version}, and {other} at {same}", package.name),
                "name the packages of one release with --package",
            )),
            _ => known = Some((&package.name, version)),
        }
    }
    Ok(known.context("find the package to release")?.1)
}

fn version_of(package: &Package, head: &Head<'_>) -> Result<Version> {
    let text = read(&package.manifest, head)?;
    let table = parse(&package.manifest, &text)?;
    let own = text_at(table.get_ref(), &["package", "version"]).map(|(text, _)| text.to_owned());
    let text = match own {
        Some(own) => own,
        None if inherits(table.get_ref()) => {
            let root = head.project.root.join("Cargo.toml");
            let text = read(&root, head)?;
            let table = parse(&root, &text)?;
            let shared = text_at(table.get_ref(), &["workspace", "package", "version"]);
            shared.context("find the workspace's version")?.0.to_owned()
        }
        None => bail!(failure(
            format!("{} has no version", package.name),
            "set `version` in its Cargo.toml",
        )),
    };
    text.parse().with_context(|| format!("read the version of {}", package.name))
}

/// The packages that get the next version: those that are chosen, and where one of them has the
/// workspace's, all others that have it.
pub fn released(
    chosen: &[&Package],
    project: &Project,
    head: &Head<'_>,
) -> Result<BTreeSet<String>> {
    let shares = |package: &Package| -> Result<bool> {
        let text = read(&package.manifest, head)?;
        Ok(inherits(parse(&package.manifest, &text)?.get_ref()))
    };
    let mut names: BTreeSet<String> = chosen.iter().map(|it| it.name.clone()).collect();
    let mut shared = false;
    for package in chosen {
        shared |= shares(package)?;
    }
    if shared {
        for package in &project.packages {
            if shares(package)? {
                names.insert(package.name.clone());
            }
        }
    }
    Ok(names)
}

/// What changes in the manifests of the workspace and in its lock file.
pub fn edits(versions: &Versions, project: &Project, head: &Head<'_>) -> Result<Vec<FileEdit>> {
    let root = project.root.join("Cargo.toml");
    let mut manifests: BTreeSet<&Path> = project.packages.iter().map(|it| &*it.manifest).collect();
    manifests.insert(&root);
    let mut edits = Vec::new();
    for manifest in manifests {
        let text = read(manifest, head)?;
        let splices = of_manifest(parse(manifest, &text)?.get_ref(), versions)
            .with_context(|| format!("read {}", manifest.display()))?;
        edits.extend(file_edit(&head.relative(manifest)?, &text, splices));
    }
    let lock = project.root.join("Cargo.lock");
    if let Some(text) = head.file(&lock)? {
        let splices = of_lock(parse(&lock, &text)?.get_ref(), versions);
        edits.extend(file_edit(&head.relative(&lock)?, &text, splices));
    }
    Ok(edits)
}

fn read(path: &Path, head: &Head<'_>) -> Result<String> {
    head.file(path)?.ok_or_else(|| {
        failure(format!("HEAD has no {}", path.display()), "commit it with git first")
    })
}

fn parse<'a>(path: &Path, text: &'a str) -> Result<Spanned<DeTable<'a>>> {
    DeTable::parse(text).with_context(|| format!("read {} of HEAD", path.display()))
}

fn inherits(table: &DeTable<'_>) -> bool {
    let version = table_at(table, &["package", "version"]);
    version.is_some_and(|version| version.get("workspace").is_some())
}

/// What changes in one manifest.
pub fn of_manifest(table: &DeTable<'_>, versions: &Versions) -> Result<Vec<Splice>> {
    let mut splices = Vec::new();
    let own = text_at(table, &["package", "name"]).and_then(|(name, _)| versions.get(name));
    if let (Some((_, next)), Some((_, at))) = (own, text_at(table, &["package", "version"])) {
        splices.push(quoted(at, &next.to_string()));
    }
    let shared = text_at(table, &["workspace", "package", "version"]);
    if let Some((text, at)) = shared {
        let next = versions.values().find(|(now, _)| now.to_string() == text);
        splices.extend(next.map(|(_, next)| quoted(at, &next.to_string())));
    }
    let mut tables: Vec<&DeTable<'_>> =
        DEPENDENCIES.iter().filter_map(|name| table_at(table, &[name])).collect();
    tables.extend(table_at(table, &["workspace", "dependencies"]));
    let targets = table_at(table, &["target"]).into_iter().flat_map(DeTable::values);
    for target in targets.filter_map(|target| target.get_ref().as_table()) {
        tables.extend(DEPENDENCIES.iter().filter_map(|name| table_at(target, &[name])));
    }
    for (key, dependency) in tables.into_iter().flatten() {
        let Some(dependency) = dependency.get_ref().as_table() else { continue };
        let name = text_at(dependency, &["package"]).map_or(&**key.get_ref(), |(name, _)| name);
        let (Some((now, next)), Some((wanted, at)), Some(_)) =
            (versions.get(name), text_at(dependency, &["version"]), text_at(dependency, &["path"]))
        else {
            continue;
        };
        if let Some(new) = requirement(wanted, now, next)? {
            splices.push(quoted(at, &new));
        }
    }
    Ok(splices)
}

/// The requirement that takes the next version; `None` where the present one does, and does not
/// name a whole version.
pub fn requirement(wanted: &str, now: &Version, next: &Version) -> Result<Option<String>> {
    let operator = wanted.len() - wanted.trim_start_matches(['^', '=', '~', ' ']).len();
    let (operator, version) = wanted.split_at(operator);
    if version == now.to_string() {
        return Ok(Some(format!("{operator}{next}")));
    }
    let next_one = semver::Version::parse(&next.to_string())?;
    let takes = semver::VersionReq::parse(wanted)?.matches(&next_one);
    let simple = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    match (takes, simple) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(format!("{operator}{next}"))),
        (false, false) => Err(failure(
            format!("a dependency wants version {wanted:?}, which {next} is not"),
            "write it so that it takes the next version, and commit that first",
        )),
    }
}

/// What changes in the lock file.
pub fn of_lock(table: &DeTable<'_>, versions: &Versions) -> Vec<Splice> {
    let mut splices = Vec::new();
    let packages = table.get("package").and_then(|it| it.get_ref().as_array());
    for package in packages.into_iter().flatten().filter_map(|it| it.get_ref().as_table()) {
        let name = text_at(package, &["name"]).map_or("", |(name, _)| name);
        let is_own = package.get("source").is_none();
        if let (true, Some((now, next)), Some((version, at))) =
            (is_own, versions.get(name), text_at(package, &["version"]))
            && version == now.to_string()
        {
            splices.push(quoted(at, &next.to_string()));
        }
        // Where two packages have a name, a dependency says which version is meant.
        let dependencies = package.get("dependencies").and_then(|it| it.get_ref().as_array());
        for dependency in dependencies.into_iter().flatten() {
            let meant = dependency.get_ref().as_str().and_then(|it| it.split_once(' '));
            if let Some((name, version)) = meant
                && let Some((now, next)) = versions.get(name)
                && version == now.to_string()
            {
                splices.push(quoted(dependency.span(), &format!("{name} {next}")));
            }
        }
    }
    splices
}

fn quoted(at: Range<usize>, text: &str) -> Splice {
    Splice { at, new: format!("\"{text}\"") }
}

fn at<'t, 'a>(table: &'t DeTable<'a>, path: &[&str]) -> Option<&'t Spanned<DeValue<'a>>> {
    let (last, tables) = path.split_last()?;
    let mut table = table;
    for name in tables {
        table = table.get(*name)?.get_ref().as_table()?;
    }
    table.get(*last)
}

fn text_at<'t>(table: &'t DeTable<'_>, path: &[&str]) -> Option<Text<'t>> {
    let found = at(table, path)?;
    Some((found.get_ref().as_str()?, found.span()))
}

fn table_at<'t, 'a>(table: &'t DeTable<'a>, path: &[&str]) -> Option<&'t DeTable<'a>> {
    at(table, path)?.get_ref().as_table()
}
