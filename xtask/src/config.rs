//! What was typed becomes what it means, once: strict tables over the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::files;
use crate::finding::{Finding, Place};
use crate::project::{Bin, Package, Project, RawConfig};
use crate::target::Target;

mod schema;

/// The commented file that is the one source of keys, defaults and help.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// The workspace's keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WorkspaceKeys {
    packages: Vec<String>,
    targets: Vec<String>,
    profile: String,
}

/// A package's keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PackageKeys {
    ship: bool,
    targets: Vec<String>,
    bins: Vec<String>,
    features: Vec<String>,
    default_features: bool,
    env: BTreeMap<String, String>,
    archive: ArchiveKeys,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ArchiveKeys {
    files: Vec<String>,
}

/// The settings, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: String,
    /// Every package of the workspace that has a binary, sorted by name.
    pub packages: Vec<PackageConfig>,
    /// What is worth saying of the settings and does not stop the work.
    pub warnings: Vec<Finding>,
}

/// The settings of one package.
#[derive(Clone, Debug)]
pub struct PackageConfig {
    pub name: String,
    /// Why it is not released, where it isn't.
    pub kept_back: Option<KeptBack>,
    pub targets: Vec<Target>,
    pub bins: Vec<Bin>,
    pub features: Vec<String>,
    pub default_features: bool,
    pub env: BTreeMap<String, String>,
    /// The files that go into archives, each once, absolute.
    pub archive_files: Vec<PathBuf>,
}

/// Why a package with a binary is not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptBack {
    Xtask,
    ShipIsFalse,
    NotSelected,
}

/// Resolves the typed tables over the defaults; every fault is found at once.
pub fn resolve(raw: Vec<RawConfig>, project: &Project) -> Result<Config, Vec<Finding>> {
    let mut findings = Vec::new();
    for table in &raw {
        findings.extend(schema::check(table));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let of = |package: Option<&str>| raw.iter().find(|raw| raw.package.as_deref() == package);
    let workspace: WorkspaceKeys = keys(None, of(None)).map_err(|finding| vec![finding])?;
    let mut packages = Vec::new();
    let mut warnings = Vec::new();
    for name in &workspace.packages {
        findings.extend(known_package(name, of(None), project));
    }
    for package in project.packages.iter().filter(|package| !package.bins.is_empty()) {
        let typed = of(Some(&package.name));
        let keys = keys(Some(&package.name), typed).map_err(|finding| vec![finding])?;
        match resolve_package(package, keys, &workspace, project, (of(None), typed)) {
            Ok(resolved) => packages.push(resolved),
            Err(found) => findings.extend(found),
        }
    }
    warnings.extend(packages.iter().filter_map(|config| no_license(config, project)));
    match findings.is_empty() {
        true => Ok(Config { profile: workspace.profile, packages, warnings }),
        false => Err(findings),
    }
}

/// The defaults of one scope with what was typed laid over them.
fn keys<T: for<'de> Deserialize<'de>>(
    package: Option<&str>,
    typed: Option<&RawConfig>,
) -> Result<T, Finding> {
    let mut value = schema::defaults(package.is_some());
    if let Some(typed) = typed {
        overlay(&mut value, &typed.value);
    }
    let place = typed.map_or_else(Place::default, |raw| Place::file(&raw.manifest));
    serde_json::from_value(value).map_err(|error| {
        Finding::error(
            "config-type",
            place,
            error.to_string(),
            "see the example in the config page",
        )
    })
}

fn overlay(default: &mut Value, typed: &Value) {
    match (default, typed) {
        // Tables with keys of our own are merged; one with the user's keys, such
        // as `env`, starts out empty, so that merging it is the same as taking it.
        (Value::Object(default), Value::Object(typed)) => {
            for (key, value) in typed {
                overlay(default.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (default, typed) => *default = typed.clone(),
    }
}

fn known_package(name: &str, typed: Option<&RawConfig>, project: &Project) -> Option<Finding> {
    let place = typed
        .map(|raw| Place::within(&raw.manifest, schema::item(raw, "packages")))
        .unwrap_or_default();
    let Some(package) = project.packages.iter().find(|package| package.name == name) else {
        let names = project.packages.iter().map(|package| &*package.name);
        let fix = schema::nearest(name, names).map_or_else(
            || "name a package of this workspace".to_owned(),
            |nearest| format!("did you mean {nearest:?}?"),
        );
        return Some(Finding::error(
            "config-package",
            place,
            format!("no package {name:?} in the workspace"),
            fix,
        ));
    };
    package.bins.is_empty().then(|| {
        let why = format!("package {name:?} has no binary");
        Finding::error(
            "config-package",
            place,
            why,
            "remove it from the list, or give it a src/main.rs",
        )
    })
}

/// `typed` holds the workspace's and the package's tables, for the places of findings.
fn resolve_package(
    package: &Package,
    keys: PackageKeys,
    workspace: &WorkspaceKeys,
    project: &Project,
    typed: (Option<&RawConfig>, Option<&RawConfig>),
) -> Result<PackageConfig, Vec<Finding>> {
    let mut findings = Vec::new();
    let place = |raw: Option<&RawConfig>, key: &str| {
        raw.map_or_else(
            || Place::file(&package.manifest),
            |raw| Place::within(&raw.manifest, schema::item(raw, key)),
        )
    };
    let (names, place_of_targets) = match keys.targets.is_empty() {
        true => (&workspace.targets, place(typed.0, "targets")),
        false => (&keys.targets, place(typed.1, "targets")),
    };
    let mut targets: Vec<Target> = Vec::new();
    for name in names {
        match target(name, project, &place_of_targets) {
            Ok(target) if targets.contains(&target) => {}
            Ok(target) => targets.push(target),
            Err(finding) => findings.push(finding),
        }
    }
    let named = |bin: &&Bin| keys.bins.is_empty() || keys.bins.contains(&bin.name);
    for name in keys.bins.iter().filter(|name| !package.bins.iter().any(|bin| bin.name == **name)) {
        let why = format!("package {:?} has no binary {name:?}", package.name);
        let names: Vec<&str> = package.bins.iter().map(|bin| &*bin.name).collect();
        findings.push(Finding::error(
            "config-bin",
            place(typed.1, "bins"),
            why,
            format!("it has {}", names.join(", ")),
        ));
    }
    for feature in keys
        .features
        .iter()
        .filter(|feature| !package.features.iter().any(|(name, _)| name == *feature))
    {
        let why = format!("package {:?} has no feature {feature:?}", package.name);
        let names = package.features.iter().map(|(name, _)| &**name);
        let fix = schema::nearest(feature, names)
            .map_or("remove it".to_owned(), |near| format!("did you mean {near:?}?"));
        findings.push(Finding::error("config-feature", place(typed.1, "features"), why, fix));
    }
    let place_of_files = place(typed.1, "archive.files");
    let archive_files = archive_files(package, &keys.archive.files, project, &place_of_files);
    let archive_files = archive_files.map_err(|found| findings.extend(found)).unwrap_or_default();
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(PackageConfig {
        name: package.name.clone(),
        kept_back: kept_back(package, &keys, workspace),
        targets,
        bins: package.bins.iter().filter(named).cloned().collect(),
        features: keys.features,
        default_features: keys.default_features,
        env: keys.env,
        archive_files,
    })
}

fn kept_back(package: &Package, keys: &PackageKeys, workspace: &WorkspaceKeys) -> Option<KeptBack> {
    if package.is_xtask {
        Some(KeptBack::Xtask)
    } else if !keys.ship {
        Some(KeptBack::ShipIsFalse)
    } else if !workspace.packages.is_empty() && !workspace.packages.contains(&package.name) {
        Some(KeptBack::NotSelected)
    } else {
        None
    }
}

/// A target that rustc knows; otherwise a finding that names similar ones.
pub fn target(name: &str, project: &Project, place: &Place) -> Result<Target, Finding> {
    let target = Target::parse(name).and_then(|target| {
        project.rustc.knows(name).map(|()| target).map_err(|similar| {
            anyhow::anyhow!(
                "rustc knows no target {name:?}; the most similar are {}",
                similar.join(", ")
            )
        })
    });
    target.map_err(|error| {
        let fix = "name a target that `rustc --print target-list` prints";
        Finding::error("config-target", place.clone(), error.to_string(), fix)
    })
}

/// Expands the patterns, first in the package's folder, then in the
/// workspace's, and adds the files that Cargo.toml names.
fn archive_files(
    package: &Package,
    patterns: &[String],
    project: &Project,
    place: &Place,
) -> Result<Vec<PathBuf>, Vec<Finding>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut findings = Vec::new();
    let fault = |why: String| {
        Finding::error(
            "config-files",
            place.clone(),
            why,
            "name files inside the project, such as \"docs/*.md\"",
        )
    };
    for pattern in patterns {
        let parts = Path::new(pattern).components();
        if !parts.clone().all(|part| matches!(part, std::path::Component::Normal(_))) {
            findings.push(fault(format!("{pattern:?} leads out of the project")));
            continue;
        }
        let found = [&package.dir, &project.root].into_iter().map(|dir| expand(dir, pattern));
        match found
            .reduce(|here, above| if here.as_ref().is_ok_and(Vec::is_empty) { above } else { here })
        {
            Some(Ok(found)) => files.extend(found),
            Some(Err(error)) => findings.push(fault(format!("{pattern:?}: {error:#}"))),
            None => {}
        }
    }
    files.extend(package.named_files.iter().cloned());
    files.sort();
    files.dedup_by(|a, b| a.components().eq(b.components()));
    for file in &files {
        if let Err(error) = files::ensure_within(file, &project.root) {
            findings.push(fault(format!("{:#}", error.root_cause())));
        }
    }
    if findings.is_empty() { Ok(files) } else { Err(findings) }
}

fn expand(dir: &Path, pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let Some(dir) = dir.to_str() else {
        anyhow::bail!("{} is not UTF-8, and patterns cannot be looked for in it", dir.display());
    };
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let full = format!("{}/{pattern}", glob::Pattern::escape(dir));
    let mut found = Vec::new();
    for path in glob::glob_with(&full, options)? {
        let path = path?;
        if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn no_license(config: &PackageConfig, project: &Project) -> Option<Finding> {
    let licence = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("").to_lowercase();
        ["license", "licence", "copying", "unlicense"].iter().any(|start| name.starts_with(start))
    };
    if config.kept_back.is_some() || config.archive_files.iter().any(licence) {
        return None;
    }
    let package = project.packages.iter().find(|package| package.name == config.name)?;
    let why = format!("no licence file goes into the archives of {}", config.name);
    let fix = "put a LICENSE into the package's or the workspace's folder; krew refuses plugins without one";
    Some(Finding::warning("archive-license", Place::file(&package.manifest), why, fix))
}

#[cfg(test)]
mod tests;
