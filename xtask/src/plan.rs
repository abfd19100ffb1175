//! Decides what is made: names, arguments, destinations, what is left out and
//! why. Pure: facts and settings in, a value out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use jiff::Timestamp;

use crate::config::{self, Config, ForgeKind, ImageNode, KeptBack, PackageConfig};
use crate::finding::{self, Finding, Place, suggest};
use crate::project::{Package, Project, Wanted};
use crate::target::Target;
use crate::version::{ReleaseTag, Version, Versioned};

mod build;
mod calls;
mod generate;
mod image;
mod krew;
mod provenance;
mod publish;
mod request;
mod rules;
mod sbom;
mod sign;
#[cfg(test)]
mod tests;
mod tools;
mod values;

pub use krew::{LICENSES, PLATFORMS};
pub use provenance::{STATEMENT, is_statement};
pub use publish::repository;
pub use request::{BuildOptions, Mode, Part, PublishOptions, Request, Select, Skip};
pub use rules::unheld;
pub use sbom::{is_of as is_sbom_of, is_of_image as is_sbom_of_an_image};
pub use tools::Tools;
pub use values::{
    ArchivePlan, BuildPlan, Compression, Format, GeneratePlan, ImageConfig, ImagePlan,
    ImagePlatform, IndexPlan, Joined, KrewPlan, KrewPlatform, LeftOut, Plan, ProvenancePlan,
    PublishPlan, ReleasePlan, SbomOf, SbomPlan, SignPlan, program_path,
};

/// The time that outputs carry where nothing tells one: that which cargo gives
/// to the files that it adds to a package, `2006-07-24T01:21:28Z`.
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/ops/cargo_package/mod.rs>
pub const NO_TIME: i64 = 1_153_704_088;

/// The name of the file with the licence texts of the crates that are linked in.
pub const THIRD_PARTY: &str = "THIRD-PARTY-LICENSES";

/// The name of the list of digests, as `sha256sum --check` reads it.
pub const CHECKSUMS: &str = "checksums.txt";

/// What the name of a file's signature ends with, as cosign's users call it.
pub const BUNDLE: &str = ".sigstore.json";

/// A package that takes part, with its facts and settings.
struct Selected<'a> {
    package: &'a Package,
    config: &'a PackageConfig,
    targets: Vec<Target>,
    feature_args: Vec<String>,
    /// Where archives are released.
    forge: ForgeKind,
    common: Rc<build::Common>,
}

/// The graphs that planning needs to know of.
pub fn wanted(
    config: &Config,
    project: &Project,
    request: &Request,
) -> Result<Vec<Wanted>, Vec<Finding>> {
    let (selected, _) = select(config, project, request)?;
    let unknown = rules::features(&selected, request);
    if !unknown.is_empty() {
        return Err(unknown);
    }
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

/// Decides everything that is made. All faults are found at once. A plan that comes with
/// faults serves to look for more of them, and for nothing else.
pub fn plan(config: &Config, project: &Project, request: &Request) -> (Option<Plan>, Vec<Finding>) {
    let (selected, left_out) = match select(config, project, request) {
        Ok(selected) => selected,
        Err(errors) => return (None, errors),
    };
    let mut decided = Decided { left_out, ..Decided::default() };
    // The settings' warnings are about what goes into archives.
    if request.archives() {
        decided.findings.extend(config.warnings.clone());
    }
    decided.findings.extend(rules::versions(&selected, project, request.mode));
    let profile = profile(config, request);
    decided.findings.extend(rules::profile(profile, project));
    for selected in &selected {
        decided.add(selected, profile, project, request);
    }
    calls::join(&mut decided.builds, project);
    decided.check(&selected, config, project, request);
    decided.sboms = sbom::plan(config.sbom, request, &decided.archives, &decided.images);
    decided.provenance = provenance::plan(config, request, &decided.builds);
    decided.sign = sign::plan(config, request, &decided.unsigned_files());
    let version = decided.builds.iter().map(|build| &build.version).max().cloned();
    let tag = tag(&selected, version.as_ref());
    // Where there is no tag, which is an error, the rest is looked at as if there were one.
    let highest = selected.iter().map(|it| &it.package.cargo_version).max();
    let likely = highest.map(ReleaseTag::likely);
    let to = tag.or(likely.as_ref()).filter(|_| request.publishes());
    let publish = to.map(|tag| {
        let (publish, found, unmade) = publish::plan(config, project, request, tag, &decided);
        decided.findings.extend(found);
        decided.left_out.extend(unmade);
        publish
    });
    let (mut errors, warnings) = finding::errors_and_warnings(decided.findings);
    let Some(version) = version else {
        errors.extend(warnings);
        return (None, errors);
    };
    if !errors.is_empty() {
        errors.extend(warnings.iter().cloned());
    }
    let plan = Plan {
        mode: request.mode,
        part: request.part,
        publish,
        version,
        tag: tag.map(ToString::to_string),
        commit: project.commit().map(str::to_owned),
        time: project.time.unwrap_or_else(|| Timestamp::constant(NO_TIME, 0)),
        dist: project.dist.clone(),
        builds: decided.builds,
        generate: decided.generate,
        archives: decided.archives,
        images: decided.images,
        krew: decided.plugins,
        sboms: decided.sboms,
        provenance: decided.provenance,
        sign: decided.sign,
        left_out: decided.left_out,
        warnings,
    };
    (Some(plan), errors)
}

/// What is decided so far, and what is wrong with it.
#[derive(Default)]
struct Decided {
    builds: Vec<BuildPlan>,
    generate: Vec<GeneratePlan>,
    archives: Vec<ArchivePlan>,
    images: Vec<ImagePlan>,
    plugins: Vec<KrewPlan>,
    sboms: Vec<SbomPlan>,
    provenance: Vec<ProvenancePlan>,
    sign: Option<SignPlan>,
    left_out: Vec<LeftOut>,
    findings: Vec<Finding>,
}

impl Decided {
    /// Decides what is made of one package.
    fn add(
        &mut self,
        selected: &Selected<'_>,
        profile: &str,
        project: &Project,
        request: &Request,
    ) {
        if let Some(reason) = rules::other_tag(selected, project, request.mode) {
            self.left_out.push(reason);
            return;
        }
        let (bins, unbuilt) = build::bins(selected, request);
        self.left_out.extend(unbuilt);
        let (mut tools, unbuilt) = rules::targets(selected, project, request);
        self.left_out.extend(unbuilt);
        let made = |target: &&Target| target.parts().iter().all(|part| tools.contains_key(part));
        let targets: Vec<&Target> = selected.targets.iter().filter(made).collect();
        if bins.is_empty() || targets.is_empty() {
            return;
        }
        let runner = generate::runner(selected, &targets, &mut tools, project, request);
        let (build, found) =
            build::plan(selected, project, request, profile, bins, &targets, tools);
        self.findings.extend(found);
        self.findings.extend(rules::twins(&build));
        match runner {
            Ok(None) => {}
            Ok(Some(runner)) => {
                let (plans, unbuilt) = generate::plan(selected, &build, &runner);
                self.generate.extend(plans);
                self.left_out.extend(unbuilt);
            }
            Err(unbuilt) => self.left_out.push(unbuilt),
        }
        if request.archives() {
            self.findings.extend(selected.config.archive_unfound.clone());
            let archives: Vec<ArchivePlan> = targets
                .iter()
                .map(|target| archive(selected, &build, target, &self.generate))
                .collect();
            let (plugin, found, unbuilt) = krew::plan(selected, &build, &archives, project);
            self.plugins.extend(plugin);
            self.findings.extend(found);
            self.left_out.extend(unbuilt);
            self.archives.extend(archives);
        }
        if image::wanted(selected, request) {
            let (image, found, unbuilt) = image::plan(selected, &build, &targets, project, request);
            self.images.extend(image);
            self.findings.extend(found);
            self.left_out.extend(unbuilt);
        }
        self.builds.push(build);
    }

    /// The names of the release's files, sorted.
    fn files(&self) -> Vec<String> {
        let mut files = self.unsigned_files();
        files.extend(self.sign.iter().flat_map(SignPlan::bundles));
        files.sort();
        files
    }

    /// The same but for the signatures.
    fn unsigned_files(&self) -> Vec<String> {
        let mut files: Vec<String> = self.archives.iter().map(|it| it.name.clone()).collect();
        files.extend(self.sboms.iter().map(|it| it.name.clone()));
        files.extend(self.provenance.iter().map(|it| it.name.clone()));
        // The krew manifests are for the index, which knows the archives' digests by them.
        files.extend((!files.is_empty()).then(|| CHECKSUMS.to_owned()));
        files.extend(self.plugins.iter().map(|it| format!("{}.yaml", it.name)));
        files.sort();
        files
    }

    /// Finds what is wrong with all that is made together.
    fn check(
        &mut self,
        selected: &[Selected<'_>],
        config: &Config,
        project: &Project,
        request: &Request,
    ) {
        let Decided { builds, generate, archives, images, plugins, left_out, findings, .. } = self;
        let unknown = rules::bins(selected, request);
        let is_known = unknown.is_empty();
        findings.extend(unknown);
        findings.extend(rules::names(builds, archives, generate));
        let no_plugin = request.select.only_plugins && plugins.is_empty();
        findings.extend(if !is_known {
            Vec::new()
        } else if request.only_images() && images.is_empty() {
            image::missing(left_out, project, request)
        } else if no_plugin && !builds.is_empty() {
            left_out.iter().map(LeftOut::finding).collect()
        } else {
            rules::unbuilt(left_out, builds, request.mode)
        });
        findings.extend(image::unserved(images, project, request));
        findings.extend(image::shared_names(images));
        findings.extend(image::forgotten_bases(config, project, request));
    }
}

/// The profile that cargo builds with.
fn profile<'a>(config: &'a Config, request: &'a Request) -> &'a str {
    match &request.build.profile {
        Some(profile) => profile,
        None if request.mode == Mode::Local && !request.build.release => "dev",
        None => &config.profile,
    }
}

/// The tag that announces the version.
fn tag<'a>(selected: &'a [Selected<'_>], version: Option<&Version>) -> Option<&'a ReleaseTag> {
    selected.iter().find_map(|selected| match &selected.package.versioned {
        Versioned::Release { tag, version: released } if Some(released) == version => Some(tag),
        _ => None,
    })
}

/// The packages that take part, and those that the settings keep back.
fn select<'a>(
    config: &'a Config,
    project: &'a Project,
    request: &Request,
) -> Result<(Vec<Selected<'a>>, Vec<LeftOut>), Vec<Finding>> {
    let mut findings = unknown_packages(config, project, request);
    let targets = named_targets(project, request, &mut findings);
    let mut left_out = Vec::new();
    let mut selected = Vec::new();
    let named = &request.select.packages;
    let forge = config.forge.kind;
    let common = Rc::new(build::Common::of(project));
    for config in &config.packages {
        let wanted = named.is_empty() || named.contains(&config.name);
        if !wanted || (request.select.only_plugins && config.krew.is_none()) {
            continue;
        }
        if let Some(kept) = kept_back(config, request) {
            left_out.push(kept);
            continue;
        }
        let Some(package) = project.package(&config.name) else { continue };
        let targets = made_for(config, targets.as_deref(), request);
        // Another machine builds what this one is not asked for.
        if targets.is_empty() && request.part == Part::Programs {
            continue;
        }
        let feature_args = build::feature_args(config, request);
        selected.push(Selected {
            package,
            config,
            targets,
            feature_args,
            forge,
            common: Rc::clone(&common),
        });
    }
    if selected.is_empty() && findings.is_empty() {
        findings.extend(nothing_selected(config, request));
    }
    if findings.is_empty() { Ok((selected, left_out)) } else { Err(findings) }
}

/// Names given by --package that no package has, and a workspace without packages to build.
fn unknown_packages(config: &Config, project: &Project, request: &Request) -> Vec<Finding> {
    let known: Vec<&str> = config.packages.iter().map(|config| &*config.name).collect();
    let unknown = request.select.packages.iter().filter(|name| !known.contains(&name.as_str()));
    let unknown = unknown.map(|name| {
        let why = format!("no package {name:?} to build");
        let all = format!("packages with a binary are: {}", known.join(", "));
        let fix = suggest(name, known.iter().copied(), &all);
        Finding::error("package", Place::item("--package"), why, fix)
    });
    let mut findings: Vec<Finding> = unknown.collect();
    if known.is_empty() {
        let place = Place::file(&project.root.join("Cargo.toml"));
        let why = "no package of the workspace has a binary";
        let fix = "add a src/main.rs, or name another project with --manifest-path";
        findings.push(Finding::error("no-binary", place, why, fix));
    }
    findings
}

/// What is wrong where no package is of the kind that the command is for.
fn nothing_selected(config: &Config, request: &Request) -> Option<Finding> {
    if request.select.only_plugins {
        let why = "no package is a kubectl plugin";
        let fix = "give one a binary `kubectl-…`, or a table [package.metadata.dockless.krew]";
        return Some(Finding::error("krew", Place::default(), why, fix));
    }
    if request.part != Part::Programs {
        return None;
    }
    let why = format!("no package is released for {}", request.select.targets.join(", "));
    let all = config.packages.iter().flat_map(|config| &config.targets);
    let all: BTreeSet<String> = all.map(ToString::to_string).collect();
    let fix = format!("name one of {}", all.into_iter().collect::<Vec<_>>().join(", "));
    Some(Finding::error("target", Place::item("--target"), why, fix))
}

/// The targets that a package is made for: those of the command line, or else its own. A
/// release that several machines build is for the package's own targets alone.
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
    findings: &mut Vec<Finding>,
) -> Option<Vec<Target>> {
    let named = &request.select.targets;
    if !named.is_empty() {
        return Some(config::targets(named, project, &Place::item("--target"), findings));
    }
    if request.mode != Mode::Local {
        return None;
    }
    let host = Target::musl_of(&project.rustc.host).map_err(|error| {
        let place = Place::item("this machine");
        let fix = "name a target with --target";
        findings.push(Finding::error("target", place, error.to_string(), fix));
    });
    Some(vec![host.ok()?])
}

/// Why the settings keep a package back.
fn kept_back(config: &PackageConfig, request: &Request) -> Option<LeftOut> {
    let named = request.select.packages.contains(&config.name);
    let (why, fix) = match config.kept_back? {
        // Naming a package overrules its settings, but an xtask is never shipped.
        reason if named && (reason != KeptBack::Xtask || request.mode == Mode::Local) => {
            return None;
        }
        KeptBack::Xtask => ("it depends on dockless: an xtask is not shipped", "nothing to do"),
        KeptBack::ShipIsFalse => {
            ("`ship = false` in its table", "set `ship = true`, or name it with --package")
        }
        KeptBack::NotSelected => {
            ("not in the workspace's `packages`", "add it there, or name it with --package")
        }
    };
    Some(LeftOut::by_choice(&config.name, None, why, fix))
}

impl Selected<'_> {
    fn wanted(&self, target: &Target) -> Wanted {
        let feature_args = self.feature_args.clone();
        Wanted { package: self.package.spec.clone(), target: target.clone(), feature_args }
    }
}

fn archive(
    selected: &Selected<'_>,
    build: &BuildPlan,
    target: &Target,
    generate: &[GeneratePlan],
) -> ArchivePlan {
    let format = Format::of(target);
    let (package, version, triple) = (&build.package, &build.version, target.triple());
    let stem = format!("{package}-v{version}-{triple}");
    let archive = ArchivePlan {
        name: format!("{stem}.{}", format.name()),
        folder: selected.config.archive_folder.then_some(stem),
        format,
        package: build.package.clone(),
        version: build.version.clone(),
        target: target.clone(),
        bins: build.bins.clone(),
        files: selected.config.archive_files.clone(),
        joined: None,
        licenses: None,
    };
    // The user's own file of that name counts. Some systems ignore case.
    let is_taken = |name: &str| name.eq_ignore_ascii_case(THIRD_PARTY);
    let free = !archive.entries(generate).any(|(name, _)| is_taken(&name));
    let wanted = selected.config.licenses && build.linked(target).next().is_some();
    let licenses = (wanted && free).then(|| THIRD_PARTY.to_owned());
    ArchivePlan { licenses, joined: krew::joined(selected, &archive), ..archive }
}
