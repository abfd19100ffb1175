//! Resolves the typed settings, once: strict tables over the defaults.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::finding::{Finding, Place, suggest};
use crate::project::{self, Bin, Package, Project, RawConfig, TagForm};
use crate::target::Target;

mod archive_files;
mod audit;
mod ci;
mod forge;
mod generate;
mod image;
mod image_files;
mod image_rules;
mod krew;
mod network;
mod provenance;
mod sbom;
mod schema;
mod sign;
mod sources;

pub use archive_files::ArchiveFile;
pub use audit::{AuditKind, Check, CheckConfig, Features, Ignore, Rating};
pub use forge::{FULL_CLONE, ForgeConfig, ForgeKind, Slug};
pub use generate::{Generator, OUT, Output, unfit};
pub use image::{Base, ImageConfig, ImageFile, ImageNode};
pub use image_files::{Owner, User};
pub use krew::{KrewConfig, PLUGIN};
pub use network::NetworkConfig;
pub use provenance::ProvenanceConfig;
pub use sbom::{SbomConfig, SbomFormat};
pub use sign::{SignConfig, SignedFiles};

/// The commented file with all keys, their defaults and examples.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// The workspace's keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WorkspaceKeys {
    packages: Vec<String>,
    targets: Vec<String>,
    profile: String,
    tag: String,
    dist: String,
    network: network::NetworkKeys,
    check: audit::CheckKeys,
    audit: audit::AuditKeys,
    github: forge::ForgeKeys,
    index: forge::IndexKeys,
    sign: sign::SignKeys,
    sbom: sbom::SbomKeys,
    provenance: provenance::ProvenanceKeys,
    ci: ci::CiKeys,
    image: image::WorkspaceImageKeys,
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
    auditable: bool,
    licenses: bool,
    archive: ArchiveKeys,
    krew: krew::KrewKeys,
    image: image::ImageKeys,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ArchiveKeys {
    folder: bool,
    files: Vec<String>,
    generate: Vec<generate::GeneratorKeys>,
}

/// The settings, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: String,
    pub network: NetworkConfig,
    pub check: CheckConfig,
    pub forge: ForgeConfig,
    pub sign: SignConfig,
    pub sbom: SbomConfig,
    pub provenance: ProvenanceConfig,
    /// The project's own program that CI runs.
    pub ci: Option<String>,
    /// Every package of the workspace that has a binary, sorted by name.
    pub packages: Vec<PackageConfig>,
    /// Findings on the settings that do not stop the work.
    pub warnings: Vec<Finding>,
}

impl Config {
    /// The settings of the package of this name.
    pub fn package(&self, name: &str) -> Option<&PackageConfig> {
        self.packages.iter().find(|package| package.name == name)
    }
}

/// The settings of one package.
#[derive(Clone, Debug)]
pub struct PackageConfig {
    pub name: String,
    /// Why it is not released; `None` for a released one.
    pub kept_back: Option<KeptBack>,
    pub targets: Vec<Target>,
    pub bins: Vec<Bin>,
    pub features: Vec<String>,
    pub default_features: bool,
    pub env: BTreeMap<String, String>,
    /// Whether its programs have a list of their crates.
    pub auditable: bool,
    /// Whether archives and images have the licence texts of the crates that are linked in.
    pub licenses: bool,
    /// Whether what is in an archive lies in one folder.
    pub archive_folder: bool,
    /// The files that go into archives, each once.
    pub archive_files: Vec<ArchiveFile>,
    /// What is wrong with the files. Another program may write them later, so this counts only
    /// when archives are made.
    pub archive_unfound: Vec<Finding>,
    /// The generated files of its archives.
    pub generate: Vec<Generator>,
    /// The kubectl plugin that it makes.
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

/// Resolves the typed tables over the defaults. One run finds all faults.
pub fn resolve(raw: Vec<RawConfig>, project: &Project) -> Result<Config, Vec<Finding>> {
    let mut findings = Vec::new();
    let of = |package: Option<&str>| raw.iter().find(|raw| raw.package.as_deref() == package);
    let workspace: WorkspaceKeys = keys(None, of(None), &mut findings);
    let place = schema::place(of(None), "targets");
    let common = targets(&workspace.targets, project, &place, &mut findings);
    for name in &workspace.packages {
        findings.extend(known_package(name, of(None), project));
    }
    let searches = sources::Searches::default();
    let mut packages = Vec::new();
    for package in &project.packages {
        let typed = of(Some(&package.name));
        let keys: PackageKeys = keys(Some(&package.name), typed, &mut findings);
        if !package.bins.is_empty() {
            let kept_back = kept_back(package, &keys, &workspace);
            let images = workspace.image.ship;
            let scope = Scope { package, typed, project, kept_back, images, searches: &searches };
            packages.push(resolve_package(&scope, keys, &common, &mut findings));
        }
    }
    let warnings = packages.iter().filter_map(|config| no_license(config, project)).collect();
    let network = network::network(workspace.network, of(None), &project.root, &mut findings);
    let check = audit::check(workspace.check, workspace.audit, of(None), &mut findings);
    let forge = forge::forge(workspace.github, workspace.index, of(None), project, &mut findings);
    let sign = sign::sign(workspace.sign, of(None), &project.root, &mut findings);
    let sbom = sbom::sbom(workspace.sbom, of(None), &mut findings);
    findings.extend(no_tag_form(&workspace.tag, of(None)));
    let unfit = project::unfit_dist(&workspace.dist, &project.root, &project.target_dir);
    findings.extend(unfit.map(|why| {
        let why = format!("{:?} cannot be the folder of releases: {why}", workspace.dist);
        schema::fault("config-dist", of(None), "dist", why)
    }));
    let ci = ci::ci(workspace.ci, of(None), &project.root, &mut findings);
    let profile = workspace.profile;
    if findings.is_empty() {
        return Ok(Config {
            profile,
            network,
            check,
            forge,
            sign,
            sbom,
            provenance: workspace.provenance.into(),
            ci,
            packages,
            warnings,
        });
    }
    Err(findings)
}

/// The settings of checks where nothing is typed.
pub fn default_checks() -> CheckConfig {
    let mut none = Vec::new();
    let workspace: WorkspaceKeys = keys(None, None, &mut none);
    audit::check(workspace.check, workspace.audit, None, &mut none)
}

/// The fault in the form of tags. `project` has already read the form, and ignored a wrong one.
fn no_tag_form(text: &str, typed: Option<&RawConfig>) -> Option<Finding> {
    let error = TagForm::parse(text).err().filter(|_| !text.is_empty())?;
    Some(schema::fault("config-tag", typed, "tag", format!("{error:#}")))
}

/// The keys of one scope: the defaults, overridden by what was typed.
fn keys<T: for<'de> Deserialize<'de>>(
    package: Option<&str>,
    typed: Option<&RawConfig>,
    findings: &mut Vec<Finding>,
) -> T {
    let merged = schema::merge(typed, package.is_some(), findings);
    serde_json::from_value(merged).expect("a merged table has the types of the default one")
}

/// The targets, each once. What rustc does not know becomes a finding.
pub fn targets(
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
    let fault = |why: String, fix: &str| {
        Finding::error("config-package", schema::place(typed, "packages"), why, fix)
    };
    let Some(package) = project.package(name) else {
        let names = project.packages.iter().map(|package| &*package.name);
        let fix = suggest(name, names, "name a package of this workspace");
        return Some(fault(format!("no package {name:?} in the workspace"), &fix));
    };
    package.bins.is_empty().then(|| {
        let why = format!("package {name:?} has no binary");
        fault(why, "remove it from the list, or give it a src/main.rs")
    })
}

/// A package that is being resolved.
struct Scope<'a> {
    package: &'a Package,
    typed: Option<&'a RawConfig>,
    project: &'a Project,
    kept_back: Option<KeptBack>,
    /// Whether images are made where the package does not say.
    images: bool,
    searches: &'a sources::Searches,
}

impl Scope<'_> {
    /// Whether the user typed the key.
    fn is_typed(&self, key: &str) -> bool {
        self.typed.is_some_and(|raw| schema::is_typed(raw, key))
    }

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
        let all = format!("it has {}", bins.join(", "));
        let fix = suggest(name, bins.iter().copied(), &all);
        findings.push(Finding::error("config-bin", scope.place("bins"), why, fix));
    }
    let features = package.features.iter().map(|(name, _)| &**name);
    for name in keys.features.iter().filter(|name| !features.clone().any(|known| known == **name)) {
        let why = format!("package {:?} has no feature {name:?}", package.name);
        let fix = suggest(name, features.clone(), "remove it");
        findings.push(Finding::error("config-feature", scope.place("features"), why, fix));
    }
    for (name, value) in &keys.env {
        // Neither a shell nor a process could have other names.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fit = name.chars().all(plain) && name.starts_with(|c: char| !c.is_ascii_digit());
        let (why, fix) = if value.contains('\0') {
            ("holds a NUL", "remove it".to_owned())
        } else if !fit {
            ("cannot be a variable's name", schema::example("env"))
        } else {
            continue;
        };
        let why = format!("{name:?} {why}");
        findings.push(Finding::error("config-env", scope.place("env"), why, fix));
    }
    let named = |bin: &&Bin| keys.bins.is_empty() || keys.bins.contains(&bin.name);
    let released: Vec<Bin> = package.bins.iter().filter(named).cloned().collect();
    let names: Vec<&str> = released.iter().map(|bin| &*bin.name).collect();
    let mut archive_unfound = Vec::new();
    let folder = keys.archive.folder;
    let krew = krew::krew(scope, keys.krew, &names, findings);
    if folder && krew.is_some() {
        let why = "krew installs what is at the top of an archive";
        let fix = "remove it, or set `ship = false` in [package.metadata.dockless.krew]";
        findings.push(Finding::error("config-folder", scope.place("archive.folder"), why, fix));
    }
    PackageConfig {
        archive_folder: folder,
        image: image::image(scope, keys.image, findings),
        generate: generate::generators(scope, keys.archive.generate, &names, findings),
        krew,
        name: package.name.clone(),
        kept_back: scope.kept_back,
        targets: if keys.targets.is_empty() { common.to_vec() } else { own },
        bins: released,
        archive_files: archive_files::files(scope, &keys.archive.files, &mut archive_unfound),
        archive_unfound,
        features: keys.features,
        default_features: keys.default_features,
        env: keys.env,
        auditable: keys.auditable,
        licenses: keys.licenses,
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

/// A target that rustc knows; else a finding that names similar ones.
fn target(name: &str, project: &Project, place: &Place) -> Result<Target, Box<Finding>> {
    let target = Target::parse(name).and_then(|target| {
        // A universal target consists of others and is not rustc's own.
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

fn no_license(config: &PackageConfig, project: &Project) -> Option<Finding> {
    if config.kept_back.is_some() || config.archive_files.iter().any(ArchiveFile::is_license) {
        return None;
    }
    let package = project.package(&config.name)?;
    let why = format!("no licence file goes into the archives of {}", config.name);
    let mut fix = "put a LICENSE into the package's or the workspace's folder".to_owned();
    if config.krew.is_some() {
        fix += "; krew refuses plugins without one";
    }
    Some(Finding::warning("archive-license", Place::file(&package.manifest), why, fix))
}

#[cfg(test)]
mod tests;
