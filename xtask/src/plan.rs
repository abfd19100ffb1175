//! Decides what is made: names, arguments, destinations, what is left out and
//! why. Pure: facts and settings in, a value out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{self, Config, ImageNode, KeptBack, PackageConfig, Slug};
use crate::finding::{Finding, Place, Severity};
use crate::http::Network;
use crate::project::{Package, Project, Wanted};
use crate::reference::Above;
use crate::target::{Platform, Target};
use crate::version::{ReleaseTag, Versioned};

mod build;
mod generate;
mod image;
mod krew;
mod publish;
mod rules;
#[cfg(test)]
mod tests;
mod tools;
mod values;

pub use image::BIN;
pub use krew::{LICENSES, PLATFORMS};
pub use publish::repository;
pub use rules::unheld;
pub use tools::Tools;
pub use values::{
    ArchivePlan, BuildPlan, Format, GeneratePlan, GitHubPlan, ImageConfig, ImagePlan,
    ImagePlatform, IndexPlan, Joined, KrewPlan, KrewPlatform, LeftOut, Plan, PublishPlan,
};

/// The time that outputs carry where nothing tells one: that which cargo gives
/// to the files that it adds to a package, `2006-07-24T01:21:28Z`.
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/ops/cargo_package/mod.rs>
pub const NO_TIME: i64 = 1_153_704_088;

/// The name of the list of digests, as `sha256sum --check` reads it.
pub const CHECKSUMS: &str = "checksums.txt";

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A binary for this machine and this moment.
    Local,
    /// Everything that a release makes, of any commit, published nowhere.
    Snapshot,
    /// A tag, made public.
    Release,
}

/// A step of a release that can be skipped by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Skip {
    Check,
    Archive,
    Image,
    /// Everything that others see.
    Publish,
    /// The pull request to the index of plugins.
    Krew,
}

/// Which part of dist/ a command makes; the rest of it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    Archives,
    Images,
    /// What images are made of by others.
    Dockerfiles,
    /// The binaries alone, which another machine makes the rest of.
    Programs,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub mode: Mode,
    pub part: Part,
    /// Packages to narrow to; empty for all.
    pub packages: Vec<String>,
    /// Targets in place of the configured ones; empty for those.
    pub targets: Vec<String>,
    /// Platforms to narrow images to; empty for all.
    pub platforms: Vec<Platform>,
    /// Binaries to narrow to; empty for all.
    pub bins: Vec<String>,
    pub features: Vec<String>,
    pub all_features: bool,
    pub no_default_features: bool,
    /// The profile in place of the configured one.
    pub profile: Option<String>,
    /// Whether a local build is to be made with the profile of releases.
    pub release: bool,
    pub locked: bool,
    pub network: Network,
    pub jobs: Option<String>,
    pub skip: Vec<Skip>,
    /// Where images go whose settings name no repository: below this one.
    pub repository: Option<Above>,
    /// Whether packages that are no kubectl plugins are left aside.
    pub plugins: bool,
    /// Whether other machines build the programs, so that this one needs nothing to build them.
    pub elsewhere: bool,
    /// Whether a release ends with a draft.
    pub draft: bool,
    /// The host of GitHub's pages: `github.com`, or another's.
    pub server: String,
    /// The repository of the workflow that runs this.
    pub workflow: Option<Slug>,
    /// Where git's remote `origin` is.
    pub origin: Option<String>,
}

impl Request {
    /// Whether archives are made at all.
    pub fn archives(&self) -> bool {
        let part = matches!(self.part, Part::All | Part::Archives);
        self.mode != Mode::Local && part && !self.skip.contains(&Skip::Archive)
    }

    /// Whether images are made at all.
    pub fn images(&self) -> bool {
        let part = !matches!(self.part, Part::Archives | Part::Programs);
        self.mode != Mode::Local && part && !self.skip.contains(&Skip::Image)
    }

    /// Whether nothing is made but images, or what goes into them.
    pub fn only_images(&self) -> bool {
        matches!(self.part, Part::Images | Part::Dockerfiles)
    }
}

/// A package that takes part, with its facts and settings.
struct Selected<'a> {
    package: &'a Package,
    config: &'a PackageConfig,
    targets: Vec<Target>,
    feature_args: Vec<String>,
}

/// The graphs that planning needs to know of.
pub fn wanted(
    config: &Config,
    project: &Project,
    request: &Request,
) -> Result<Vec<Wanted>, Vec<Finding>> {
    let (selected, _) = select(config, project, request)?;
    let all = selected.iter().flat_map(|selected| {
        let extra = generate::extra(selected, project, request);
        let targets = selected.targets.iter().chain(&extra);
        let parts = targets.flat_map(Target::parts);
        parts.map(|part| selected.wanted(&part)).collect::<Vec<_>>()
    });
    Ok(all.collect())
}

/// The files that the settings name, of the packages that take part.
pub fn inputs(config: &Config, project: &Project, request: &Request) -> Vec<PathBuf> {
    let Ok((selected, _)) = select(config, project, request) else { return Vec::new() };
    let mut files = Vec::new();
    for selected in &selected {
        if request.archives() {
            files.extend(selected.config.archive_files.iter().map(|file| file.path.clone()));
        }
        if image::wanted(selected, request) {
            files.extend(selected.config.image.files.iter().filter_map(|file| match &file.node {
                ImageNode::File(path) => Some(path.clone()),
                ImageNode::Dir | ImageNode::Walked | ImageNode::Link(_) => None,
            }));
        }
    }
    files
}

/// Decides everything that is made. All faults are found at once; with any the plan is good
/// for looking at what else is wrong, and for nothing more.
pub fn plan(config: &Config, project: &Project, request: &Request) -> (Option<Plan>, Vec<Finding>) {
    match decided(config, project, request) {
        Ok((plan, errors)) => (plan, errors),
        Err(errors) => (None, errors),
    }
}

fn decided(
    config: &Config,
    project: &Project,
    request: &Request,
) -> Result<(Option<Plan>, Vec<Finding>), Vec<Finding>> {
    let (selected, mut left_out) = select(config, project, request)?;
    let archives_made = request.archives();
    // The settings' warnings are about what goes into archives.
    let mut findings = if archives_made { config.warnings.clone() } else { Vec::new() };
    findings.extend(rules::versions(&selected, project, request.mode));
    let profile = request.profile.clone().unwrap_or_else(|| match request.mode {
        Mode::Local if !request.release => "dev".to_owned(),
        _ => config.profile.clone(),
    });
    findings.extend(rules::profile(&profile));
    let mut builds = Vec::new();
    let mut archives = Vec::new();
    let mut images = Vec::new();
    let mut plugins = Vec::new();
    let mut generated = Vec::new();
    for selected in &selected {
        if let Some(reason) = rules::other_tag(selected, project, request.mode) {
            left_out.push(reason);
            continue;
        }
        let (bins, unbuilt) = build::bins(selected, request);
        left_out.extend(unbuilt);
        let (mut tools, unbuilt) = rules::targets(selected, project, request);
        left_out.extend(unbuilt);
        let made = |target: &&Target| target.parts().iter().all(|part| tools.contains_key(part));
        let targets: Vec<&Target> = selected.targets.iter().filter(made).collect();
        if bins.is_empty() || targets.is_empty() {
            continue;
        }
        let runner = generate::runner(selected, &targets, &mut tools, project, request);
        let runner = runner.unwrap_or_else(|unbuilt| {
            left_out.push(unbuilt);
            None
        });
        let (build, found) =
            build::plan(selected, project, request, &profile, bins, &targets, tools);
        findings.extend(found);
        findings.extend(rules::twins(&build));
        if let Some(runner) = runner {
            let (plans, unbuilt) = generate::plan(selected, &build, &runner);
            generated.extend(plans);
            left_out.extend(unbuilt);
        }
        if archives_made {
            findings.extend(selected.config.archive_unfound.clone());
            let own: Vec<ArchivePlan> =
                targets.iter().map(|target| archive(selected, &build, target)).collect();
            let (plugin, found, unbuilt) = krew::plan(selected, &build, &own, project);
            plugins.extend(plugin);
            findings.extend(found);
            left_out.extend(unbuilt);
            archives.extend(own);
        }
        if image::wanted(selected, request) {
            let (image, found, unbuilt) = image::plan(selected, &build, &targets, project, request);
            images.extend(image);
            findings.extend(found);
            left_out.extend(unbuilt);
        }
        builds.push(build);
    }
    findings.extend(rules::bins(&selected, &builds, request));
    findings.extend(rules::names(&builds, &archives, &generated));
    findings.extend(match request.only_images() && images.is_empty() {
        true => image::missing(&left_out, request),
        // Of a command for plugins alone they are all that is wanted.
        false if request.plugins && plugins.is_empty() && !builds.is_empty() => {
            left_out.iter().map(LeftOut::finding).collect()
        }
        false => rules::unbuilt(&left_out, &builds, request.mode),
    });
    findings.extend(image::unserved(&images, request));
    findings.extend(image::shared_names(&images));
    findings.extend(image::forgotten_bases(config, project, request));
    let version = builds.iter().map(|build| &build.version).max().cloned();
    let tag = selected.iter().find_map(|selected| match &selected.package.versioned {
        Versioned::Release { tag, version: released } if Some(released) == version.as_ref() => {
            Some(tag.clone())
        }
        _ => None,
    });
    let published = request.mode == Mode::Release && !request.skip.contains(&Skip::Publish);
    // Where there is no tag, which is an error, the rest is looked at as if there were one.
    let highest = selected.iter().map(|it| &it.package.cargo_version).max();
    let likely = highest.map(ReleaseTag::likely);
    let publish = tag.as_ref().or(likely.as_ref()).filter(|_| published).map(|tag| {
        let (publish, found, unmade) =
            publish::plan(&config.github, project, request, tag, &archives, &images, &plugins);
        findings.extend(found);
        left_out.extend(unmade);
        publish
    });
    let (mut errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    let Some(version) = version else {
        errors.extend(warnings);
        return Err(errors);
    };
    if !errors.is_empty() {
        errors.extend(warnings.iter().cloned());
    }
    let plan = Plan {
        mode: request.mode,
        part: request.part,
        publish,
        version,
        tag: tag.map(|tag| tag.to_string()),
        commit: project.commit().map(str::to_owned),
        time: time(project),
        dist: project.dist(),
        builds,
        generate: generated,
        archives,
        images,
        krew: plugins,
        left_out,
        warnings,
    };
    Ok((Some(plan), errors))
}

fn time(project: &Project) -> Timestamp {
    project.time.unwrap_or_else(|| Timestamp::constant(NO_TIME, 0))
}

/// The packages that take part, and those that the settings keep back.
fn select<'a>(
    config: &'a Config,
    project: &'a Project,
    request: &Request,
) -> Result<(Vec<Selected<'a>>, Vec<LeftOut>), Vec<Finding>> {
    let mut findings = Vec::new();
    let mut left_out = Vec::new();
    let mut selected = Vec::new();
    for name in request
        .packages
        .iter()
        .filter(|name| !config.packages.iter().any(|config| config.name == **name))
    {
        let names: Vec<&str> = config.packages.iter().map(|config| &*config.name).collect();
        let fix = format!("packages with a binary are: {}", names.join(", "));
        findings.push(Finding::error(
            "package",
            Place::item("--package"),
            format!("no package {name:?} to build"),
            fix,
        ));
    }
    if config.packages.is_empty() {
        let why = "no package of the workspace has a binary".to_owned();
        let fix = "add a src/main.rs, or name another project with --manifest-path";
        findings.push(Finding::error(
            "no-binary",
            Place::file(&project.root.join("Cargo.toml")),
            why,
            fix,
        ));
    }
    let targets = named_targets(project, request).unwrap_or_else(|found| {
        findings.extend(found);
        None
    });
    for config in &config.packages {
        let named = request.packages.contains(&config.name);
        let kept =
            config.kept_back.and_then(|reason| kept_back(config, reason, named, request.mode));
        let package = project.packages.iter().find(|package| package.name == config.name);
        match (package, kept) {
            _ if !request.packages.is_empty() && !named => {}
            _ if request.plugins && config.krew.is_none() => {}
            (_, Some(kept)) => left_out.push(kept),
            (Some(package), None) => {
                let targets = made_for(config, targets.as_deref(), request);
                // Another machine builds what this one is not asked for.
                if targets.is_empty() && request.part == Part::Programs {
                    continue;
                }
                let feature_args = build::feature_args(config, request);
                selected.push(Selected { package, config, targets, feature_args });
            }
            (None, None) => {}
        }
    }
    if request.plugins && selected.is_empty() && findings.is_empty() {
        let why = "no package is a kubectl plugin";
        let fix = "give one a binary `kubectl-…`, or a table [package.metadata.dockless.krew]";
        findings.push(Finding::error("krew", Place::default(), why, fix));
    }
    if request.part == Part::Programs && selected.is_empty() && findings.is_empty() {
        let why = format!("no package is released for {}", request.targets.join(", "));
        let all = config.packages.iter().flat_map(|config| &config.targets);
        let all: BTreeSet<String> = all.map(ToString::to_string).collect();
        let fix = format!("name one of {}", all.into_iter().collect::<Vec<_>>().join(", "));
        findings.push(Finding::error("target", Place::item("--target"), why, fix));
    }
    match findings.is_empty() {
        true => Ok((selected, left_out)),
        false => Err(findings),
    }
}

/// The targets that something of a package is made for: those that the command line names,
/// or else its own. What machines build together is made for its own alone.
fn made_for(config: &PackageConfig, named: Option<&[Target]>, request: &Request) -> Vec<Target> {
    let part = request.part == Part::Programs;
    let made = |target: &&Target| match named {
        Some(named) if part => named.contains(target),
        _ => !request.only_images() || image::serves(target, request),
    };
    let all = named.filter(|_| !part).unwrap_or(&config.targets);
    all.iter().filter(made).cloned().collect()
}

/// The targets in place of the configured ones, where the command line or the
/// mode says which.
fn named_targets(
    project: &Project,
    request: &Request,
) -> Result<Option<Vec<Target>>, Vec<Finding>> {
    if request.targets.is_empty() && request.mode != Mode::Local {
        return Ok(None);
    }
    if request.targets.is_empty() {
        let host = Target::musl_of(&project.rustc.host);
        return host.map(|host| Some(vec![host])).map_err(|error| {
            let fix = "name a target with --target";
            vec![Finding::error("target", Place::item("this machine"), error.to_string(), fix)]
        });
    }
    let mut targets = Vec::new();
    let mut findings = Vec::new();
    for name in &request.targets {
        match config::target(name, project, &Place::item("--target")) {
            Ok(target) if targets.contains(&target) => {}
            Ok(target) => targets.push(target),
            Err(finding) => findings.push(*finding),
        }
    }
    if findings.is_empty() { Ok(Some(targets)) } else { Err(findings) }
}

fn kept_back(config: &PackageConfig, reason: KeptBack, named: bool, mode: Mode) -> Option<LeftOut> {
    let (why, fix) = match reason {
        // Whoever names a package means it, but an xtask is never shipped.
        _ if named && (reason != KeptBack::Xtask || mode == Mode::Local) => return None,
        KeptBack::Xtask => ("it depends on dockless: an xtask is not shipped", "nothing to do"),
        KeptBack::ShipIsFalse => {
            ("`ship = false` in its table", "set `ship = true`, or name it with --package")
        }
        KeptBack::NotSelected => {
            ("not in the workspace's `packages`", "add it there, or name it with --package")
        }
    };
    let what = config.name.clone();
    Some(LeftOut { what, target: None, why: why.to_owned(), fix: fix.to_owned(), by_choice: true })
}

impl Selected<'_> {
    fn wanted(&self, target: &Target) -> Wanted {
        let feature_args = self.feature_args.clone();
        Wanted { package: self.package.spec.clone(), target: target.clone(), feature_args }
    }
}

fn archive(selected: &Selected<'_>, build: &BuildPlan, target: &Target) -> ArchivePlan {
    let format = Format::of(target);
    let (package, version, triple) = (&build.package, &build.version, target.triple());
    let archive = ArchivePlan {
        name: format!("{package}-v{version}-{triple}.{}", format.name()),
        format,
        package: build.package.clone(),
        version: build.version.clone(),
        target: target.clone(),
        bins: build.bins.clone(),
        files: selected.config.archive_files.clone(),
        joined: None,
    };
    ArchivePlan { joined: krew::joined(selected, &archive), ..archive }
}
