//! Decides what is made: names, arguments, destinations, what is left out and
//! why. Pure: facts and settings in, a value out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{self, Config, KeptBack, Output, PackageConfig};
use crate::finding::{Finding, Place, Severity};
use crate::project::{About, NativeCrate, Package, Project, Wanted};
use crate::target::Target;
use crate::version::{Version, Versioned};

mod build;
mod generate;
mod rules;
#[cfg(test)]
mod tests;
mod tools;

pub use tools::Tools;

/// The time that outputs carry where nothing tells one: that which cargo gives
/// to the files that it adds to a package, `2006-07-24T01:21:28Z`.
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/ops/cargo_package/mod.rs>
pub const NO_TIME: i64 = 1_153_704_088;

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
    Archive,
    Publish,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub mode: Mode,
    /// Packages to narrow to; empty for all.
    pub packages: Vec<String>,
    /// Targets in place of the configured ones; empty for those.
    pub targets: Vec<String>,
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
    pub offline: bool,
    pub jobs: Option<String>,
    pub skip: Vec<Skip>,
}

/// All that is going to be made.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub mode: Mode,
    /// The version of the release; of several packages' development versions the highest.
    pub version: Version,
    /// The tag that is released.
    pub tag: Option<String>,
    pub commit: Option<String>,
    /// The time that outputs carry.
    pub time: Timestamp,
    pub dist: PathBuf,
    pub builds: Vec<BuildPlan>,
    /// What programs are asked to write for the archives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generate: Vec<GeneratePlan>,
    pub archives: Vec<ArchivePlan>,
    pub publish: Option<PublishPlan>,
    pub left_out: Vec<LeftOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
}

/// What cargo builds of a package: one call for all targets with the same flags.
#[derive(Clone, Debug, Serialize)]
pub struct BuildPlan {
    pub package: String,
    pub version: Version,
    pub about: About,
    pub bins: Vec<String>,
    pub targets: Vec<Target>,
    /// By what each target's C is compiled and its programs are linked.
    pub tools: BTreeMap<Target, Tools>,
    /// The targets whose programs are joined of those of others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Target>,
    pub profile: String,
    /// The arguments of `cargo build`, but for the targets.
    pub args: Vec<String>,
    /// Variables for the build, beside the project's environment.
    pub env: BTreeMap<String, String>,
    /// Folders of this machine and what binaries call them instead; a later
    /// one wins. Empty for builds that stay on this machine.
    pub remap: Vec<(PathBuf, String)>,
    /// What could bring a library into the binary, by target.
    #[serde(skip)]
    pub native: BTreeMap<Target, Vec<NativeCrate>>,
}

/// One archive: a package's binaries for one target, and its files, flat.
#[derive(Clone, Debug, Serialize)]
pub struct ArchivePlan {
    /// `NAME-vVERSION-TARGET.tar.gz`, or `.zip`
    pub name: String,
    pub format: Format,
    pub package: String,
    pub version: Version,
    pub target: Target,
    pub bins: Vec<String>,
    pub files: Vec<ArchiveFile>,
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    #[serde(rename = "tar.gz")]
    TarGz,
    #[serde(rename = "zip")]
    Zip,
}

impl Format {
    /// What the target's users can open without another program.
    fn of(target: &Target) -> Format {
        if target.is_windows() { Format::Zip } else { Format::TarGz }
    }

    /// What archives are called by, and what their names end with.
    pub fn name(self) -> &'static str {
        match self {
            Format::TarGz => "tar.gz",
            Format::Zip => "zip",
        }
    }
}

impl ArchivePlan {
    /// The names of the binaries in the archive.
    pub fn programs(&self) -> impl Iterator<Item = String> {
        self.bins.iter().map(|bin| format!("{bin}{}", self.target.exe_suffix()))
    }

    /// The names of the binaries and of the project's files in the archive.
    pub fn fixed_names(&self) -> impl Iterator<Item = String> {
        self.programs().chain(self.files.iter().map(|file| file.name.clone()))
    }

    /// The names of the entries that are known before anything is made, with
    /// those among `generate` that are its package's, unsorted.
    pub fn entry_names(&self, generate: &[GeneratePlan]) -> Vec<String> {
        let own = generate.iter().filter(|plan| plan.package == self.package);
        let printed = own.filter_map(|plan| match &plan.output {
            Output::Stdout(name) => Some(name.clone()),
            Output::Files(_) => None,
        });
        self.fixed_names().chain(printed).collect()
    }
}

/// One call of a package's program, which writes files for all its archives.
#[derive(Clone, Debug, Serialize)]
pub struct GeneratePlan {
    pub package: String,
    pub bin: String,
    /// The target whose program runs on this machine.
    pub target: Target,
    /// Templates that may name the folder [`config::OUT`].
    pub args: Vec<String>,
    pub output: Output,
}

/// A file that goes into an archive under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchiveFile {
    pub name: String,
    pub path: PathBuf,
}

/// What is made public, and where. Publishing comes with its own commands; a
/// plan without one cannot publish.
#[derive(Clone, Debug, Serialize)]
pub struct PublishPlan {
    pub tag: String,
}

/// What is not made, why, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub what: String,
    pub target: Option<Target>,
    pub why: String,
    pub fix: String,
    /// Whether the project's settings say so, which a release accepts.
    pub by_choice: bool,
}

impl LeftOut {
    /// The error that this is where nothing may be left out.
    pub fn finding(&self) -> Finding {
        let target =
            self.target.as_ref().map(|target| format!(" for {target}")).unwrap_or_default();
        let place = Place::item(format!("{}{target}", self.what));
        Finding::error("not-buildable", place, self.why.clone(), self.fix.clone())
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
        let extra = generate::wanted(selected, request)
            .then(|| generate::extra(&selected.targets, project))
            .flatten();
        let targets = selected.targets.iter().chain(&extra);
        let parts = targets.flat_map(Target::parts);
        parts.map(|part| selected.wanted(&part)).collect::<Vec<_>>()
    });
    Ok(all.collect())
}

/// Decides everything that is made. All faults are found at once.
pub fn plan(config: &Config, project: &Project, request: &Request) -> Result<Plan, Vec<Finding>> {
    let (selected, mut left_out) = select(config, project, request)?;
    let archives_made = request.mode != Mode::Local && !request.skip.contains(&Skip::Archive);
    // The settings' warnings are about what goes into archives.
    let mut findings = if archives_made { config.warnings.clone() } else { Vec::new() };
    findings.extend(rules::versions(&selected, project, request.mode));
    let profile = request.profile.clone().unwrap_or_else(|| match request.mode {
        Mode::Local if !request.release => "dev".to_owned(),
        _ => config.profile.clone(),
    });
    let mut builds = Vec::new();
    let mut archives = Vec::new();
    let mut generated = Vec::new();
    for selected in &selected {
        if let Some(reason) = rules::other_tag(selected, project, request.mode) {
            left_out.push(reason);
            continue;
        }
        let (bins, unbuilt) = build::bins(selected, request);
        left_out.extend(unbuilt);
        let (mut tools, unbuilt) = rules::targets(selected, project);
        left_out.extend(unbuilt);
        let made = |target: &&Target| target.parts().iter().all(|part| tools.contains_key(part));
        let targets: Vec<&Target> = selected.targets.iter().filter(made).collect();
        if bins.is_empty() || targets.is_empty() {
            continue;
        }
        let runner = generate::wanted(selected, request)
            .then(|| generate::runner(selected, &targets, &mut tools, project));
        let runner = runner.transpose().unwrap_or_else(|unbuilt| {
            left_out.push(unbuilt);
            None
        });
        let (build, found) =
            build::plan(selected, project, request, &profile, bins, &targets, tools);
        findings.extend(found);
        findings.extend(rules::twins(&build));
        if let Some(target) = runner {
            let (plans, unbuilt) = generate::plan(selected, &build, &target);
            generated.extend(plans);
            left_out.extend(unbuilt);
        }
        if archives_made {
            archives.extend(targets.into_iter().map(|target| archive(selected, &build, target)));
        }
        builds.push(build);
    }
    findings.extend(rules::names(&builds, &archives, &generated));
    findings.extend(rules::unbuilt(&left_out, &builds, request.mode));
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    let version = builds.iter().map(|build| &build.version).max().cloned();
    let (Some(version), true) = (version, errors.is_empty()) else {
        return Err(errors.into_iter().chain(warnings).collect());
    };
    let tag = selected.iter().find_map(|selected| match &selected.package.versioned {
        Versioned::Release { tag, version: released } if *released == version => {
            Some(tag.to_string())
        }
        _ => None,
    });
    let published = request.mode == Mode::Release && !request.skip.contains(&Skip::Publish);
    Ok(Plan {
        mode: request.mode,
        publish: tag.clone().filter(|_| published).map(|tag| PublishPlan { tag }),
        version,
        tag,
        commit: project.commit().map(str::to_owned),
        time: time(project),
        dist: project.dist(),
        builds,
        generate: generated,
        archives,
        left_out,
        warnings,
    })
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
            (_, Some(kept)) => left_out.push(kept),
            (Some(package), None) => selected.push(Selected {
                package,
                config,
                targets: targets.clone().unwrap_or_else(|| config.targets.clone()),
                feature_args: build::feature_args(config, request),
            }),
            (None, None) => {}
        }
    }
    match findings.is_empty() {
        true => Ok((selected, left_out)),
        false => Err(findings),
    }
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
            Err(finding) => findings.push(finding),
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
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = selected
        .config
        .archive_files
        .iter()
        .map(|path| ArchiveFile { name: name(path), path: path.clone() });
    let format = Format::of(target);
    let (package, version, triple) = (&build.package, &build.version, target.triple());
    ArchivePlan {
        name: format!("{package}-v{version}-{triple}.{}", format.name()),
        format,
        package: build.package.clone(),
        version: build.version.clone(),
        target: target.clone(),
        bins: build.bins.clone(),
        files: files.collect(),
    }
}
