//! What was typed becomes what it means, once: strict tables over the defaults.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::files;
use crate::finding::{Finding, Place};
use crate::project::{Bin, Package, Project, RawConfig};
use crate::target::Target;

mod audit;
mod generate;
mod github;
mod image;
mod image_files;
mod krew;
mod network;
mod schema;

pub use audit::{Check, CheckConfig, Features, Gravity, Ignore, Kind};
pub use generate::{Generator, OUT, Output, unfit};
pub use github::{GitHubConfig, Slug};
pub use image::{Base, ImageConfig, ImageFile, ImageNode};
pub use image_files::Owner;
pub use krew::{KrewConfig, PLUGIN};
pub use network::Network;

/// The commented file that is the one source of keys, defaults and help.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// The workspace's keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WorkspaceKeys {
    packages: Vec<String>,
    targets: Vec<String>,
    profile: String,
    network: network::NetworkKeys,
    check: audit::CheckKeys,
    audit: audit::AuditKeys,
    github: github::GitHubKeys,
    index: github::IndexKeys,
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
    krew: krew::KrewKeys,
    image: image::ImageKeys,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ArchiveKeys {
    files: Vec<String>,
    generate: Vec<generate::GeneratorKeys>,
}

/// The settings, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: String,
    pub network: Network,
    pub check: CheckConfig,
    pub github: GitHubConfig,
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
    /// The files that its programs write for archives.
    pub generate: Vec<Generator>,
    /// The kubectl plugin that it is.
    pub krew: Option<KrewConfig>,
    pub image: ImageConfig,
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
    let of = |package: Option<&str>| raw.iter().find(|raw| raw.package.as_deref() == package);
    let workspace: WorkspaceKeys = keys(None, of(None), &mut findings);
    let place = of(None).map(|raw| Place::within(&raw.manifest, schema::item(raw, "targets")));
    let common = targets(&workspace.targets, project, &place.unwrap_or_default(), &mut findings);
    for name in &workspace.packages {
        findings.extend(known_package(name, of(None), project));
    }
    let mut packages = Vec::new();
    for package in &project.packages {
        let typed = of(Some(&package.name));
        let keys: PackageKeys = keys(Some(&package.name), typed, &mut findings);
        if !package.bins.is_empty() {
            let kept_back = kept_back(package, &keys, &workspace);
            let scope = Scope { package, typed, project, kept_back };
            packages.push(resolve_package(&scope, keys, &common, &mut findings));
        }
    }
    let warnings = packages.iter().filter_map(|config| no_license(config, project)).collect();
    let network = network::network(workspace.network, of(None), &project.root, &mut findings);
    let check = audit::check(workspace.check, workspace.audit, of(None), &mut findings);
    let github = github::github(workspace.github, workspace.index, of(None), &mut findings);
    match findings.is_empty() {
        true => {
            Ok(Config { profile: workspace.profile, network, check, github, packages, warnings })
        }
        false => Err(findings),
    }
}

/// The defaults of one scope with what was typed laid over them.
fn keys<T: for<'de> Deserialize<'de>>(
    package: Option<&str>,
    typed: Option<&RawConfig>,
    findings: &mut Vec<Finding>,
) -> T {
    let merged = schema::merge(typed, package.is_some(), findings);
    serde_json::from_value(merged).expect("a merged table has the types of the default one")
}

fn targets(
    names: &[String],
    project: &Project,
    place: &Place,
    findings: &mut Vec<Finding>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for name in names {
        match target(name, project, place) {
            Ok(target) if targets.contains(&target) => {}
            Ok(target) => targets.push(target),
            Err(finding) => findings.push(*finding),
        }
    }
    targets
}

fn known_package(name: &str, typed: Option<&RawConfig>, project: &Project) -> Option<Finding> {
    let place = typed
        .map(|raw| Place::within(&raw.manifest, schema::item(raw, "packages")))
        .unwrap_or_default();
    let Some(package) = project.packages.iter().find(|package| package.name == name) else {
        let names = project.packages.iter().map(|package| &*package.name);
        let fix = schema::suggest(name, names, "name a package of this workspace");
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

/// A package that is resolved, and what its findings are about.
struct Scope<'a> {
    package: &'a Package,
    typed: Option<&'a RawConfig>,
    project: &'a Project,
    kept_back: Option<KeptBack>,
}

impl Scope<'_> {
    fn place(&self, key: &str) -> Place {
        let manifest = || Place::file(&self.package.manifest);
        self.typed.map_or_else(manifest, |raw| Place::within(&raw.manifest, schema::item(raw, key)))
    }
}

/// `common` are the workspace's targets.
fn resolve_package(
    scope: &Scope<'_>,
    keys: PackageKeys,
    common: &[Target],
    findings: &mut Vec<Finding>,
) -> PackageConfig {
    let package = scope.package;
    let own = targets(&keys.targets, scope.project, &scope.place("targets"), findings);
    let bins: Vec<&str> = package.bins.iter().map(|bin| &*bin.name).collect();
    for name in keys.bins.iter().filter(|name| !bins.contains(&&***name)) {
        let why = format!("package {:?} has no binary {name:?}", package.name);
        let fix = format!("it has {}", bins.join(", "));
        findings.push(Finding::error("config-bin", scope.place("bins"), why, fix));
    }
    let features = package.features.iter().map(|(name, _)| &**name);
    for name in keys.features.iter().filter(|name| !features.clone().any(|known| known == **name)) {
        let why = format!("package {:?} has no feature {name:?}", package.name);
        let fix = schema::suggest(name, features.clone(), "remove it");
        findings.push(Finding::error("config-feature", scope.place("features"), why, fix));
    }
    let named = |bin: &&Bin| keys.bins.is_empty() || keys.bins.contains(&bin.name);
    let released: Vec<Bin> = package.bins.iter().filter(named).cloned().collect();
    let names: Vec<&str> = released.iter().map(|bin| &*bin.name).collect();
    PackageConfig {
        image: image::image(scope, keys.image, findings),
        generate: generate::generators(scope, keys.archive.generate, &names, findings),
        krew: krew::krew(scope, keys.krew, &names, findings),
        name: package.name.clone(),
        kept_back: scope.kept_back,
        targets: if keys.targets.is_empty() { common.to_vec() } else { own },
        bins: released,
        archive_files: archive_files(scope, &keys.archive.files, findings),
        features: keys.features,
        default_features: keys.default_features,
        env: keys.env,
    }
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
pub fn target(name: &str, project: &Project, place: &Place) -> Result<Target, Box<Finding>> {
    let target = Target::parse(name).and_then(|target| {
        // What is joined of others is no target of rustc's.
        if !target.slices().is_empty() {
            return Ok(target);
        }
        project.rustc.knows(target.triple()).map(|()| target.clone()).map_err(|similar| {
            anyhow::anyhow!(
                "rustc knows no target {name:?}; the most similar are {}",
                similar.join(", ")
            )
        })
    });
    target.map_err(|error| {
        let fix = "name a target that `rustc --print target-list` prints";
        Box::new(Finding::error("config-target", place.clone(), error.to_string(), fix))
    })
}

/// Expands the patterns, first in the package's folder, then in the
/// workspace's, and adds the files that Cargo.toml names.
fn archive_files(
    scope: &Scope<'_>,
    patterns: &[String],
    findings: &mut Vec<Finding>,
) -> Vec<PathBuf> {
    let (package, root) = (scope.package, &scope.project.root);
    let mut fault = |why: String| {
        let fix = "name files inside the project, such as \"docs/*.md\"";
        findings.push(Finding::error("config-files", scope.place("archive.files"), why, fix));
    };
    // A repository's files may be named from a workspace within it, as cargo allows.
    let boundary = scope.project.git.as_ref().map_or(root, |git| &git.top);
    let within = |file: &PathBuf| files::ensure_within(file, boundary);
    // What Cargo.toml names beyond that was never asked to be archived.
    let named = package.named_files.iter().filter(|file| within(file).is_ok());
    let mut found: Vec<PathBuf> = named.cloned().collect();
    for pattern in patterns {
        let mut parts = Path::new(pattern).components();
        if !parts.all(|part| matches!(part, Component::Normal(_))) {
            fault(format!("{pattern:?} leads out of the project"));
            continue;
        }
        let expanded =
            expand(&package.dir, pattern, false).and_then(|here| match here.is_empty() {
                true => expand(root, pattern, false),
                false => Ok(here),
            });
        match expanded {
            Ok(files) => found.extend(files),
            Err(error) => fault(format!("{pattern:?}: {error:#}")),
        }
    }
    found.sort();
    found.dedup();
    found.retain(|file| match within(file) {
        Ok(()) => true,
        Err(error) => {
            fault(format!("{:#}", error.root_cause()));
            false
        }
    });
    found
}

/// The files below `dir`, and with `folders` also those, that match the pattern;
/// `*` stays within one name, `**` stands for any folders, and hidden names must
/// be named with their dot.
fn expand(dir: &Path, pattern: &str, folders: bool) -> anyhow::Result<Vec<PathBuf>> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !["", "."].contains(part)).collect();
    let mut found = Vec::new();
    if parts.is_empty() && folders {
        found.push(dir.to_owned());
    }
    descend(dir, &parts, folders, &mut found)?;
    Ok(found)
}

fn descend(
    dir: &Path,
    parts: &[&str],
    folders: bool,
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(());
    };
    if *part == "**" {
        descend(dir, rest, folders, found)?;
    }
    let pattern = glob::Pattern::new(part)?;
    for entry in files::list(dir)? {
        let Some(name) = entry.path.file_name().map(|name| name.to_string_lossy()) else {
            continue;
        };
        let hidden = name.starts_with('.') && !part.starts_with('.');
        if hidden || !pattern.matches(&name) {
            continue;
        }
        if *part == "**" {
            // A link to a folder may lead back here.
            if !entry.path.is_symlink() && entry.path.is_dir() {
                descend(&entry.path, parts, folders, found)?;
            }
        } else if !rest.is_empty() && entry.path.is_dir() {
            descend(&entry.path, rest, folders, found)?;
        } else if rest.is_empty() && (entry.path.is_file() || (folders && entry.path.is_dir())) {
            let utf8 = entry.path.file_name().is_some_and(|name| name.to_str().is_some());
            anyhow::ensure!(utf8, "the name of {} is not UTF-8", entry.path.display());
            found.push(entry.path);
        }
    }
    Ok(())
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
