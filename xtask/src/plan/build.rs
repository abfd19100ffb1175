//! One cargo call, decided: its arguments, its variables, and what the binary
//! is told about this machine's folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::{BuildPlan, LeftOut, Mode, Request, Selected, Tools};
use crate::config::PackageConfig;
use crate::finding::{Finding, Place};
use crate::project::{self, Project};
use crate::target::Target;
use crate::template;

/// The binaries that are built, and those whose features are not on.
pub fn bins(selected: &Selected<'_>, request: &Request) -> (Vec<String>, Vec<LeftOut>) {
    let features = selected.features(request);
    let mut bins = Vec::new();
    let mut left_out = Vec::new();
    for bin in &selected.config.bins {
        if !request.select.bins.is_empty() && !request.select.bins.contains(&bin.name) {
            continue;
        }
        let missing: Vec<&str> = bin
            .required_features
            .iter()
            .filter(|feature| !features.contains(*feature))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            bins.push(bin.name.clone());
            continue;
        }
        let what = format!("{} (binary of {})", bin.name, selected.package.name);
        let why = format!("it requires the features {}, which are not on", missing.join(", "));
        let fix = format!("add them to `features`, or pass --features {}", missing.join(","));
        left_out.push(LeftOut::by_choice(what, None, why, fix));
    }
    (bins, left_out)
}

/// The build of one package for the targets, and what is wrong with its settings.
pub fn plan(
    selected: &Selected<'_>,
    project: &Project,
    request: &Request,
    profile: &str,
    bins: Vec<String>,
    targets: &[&Target],
    tools: BTreeMap<Target, Tools>,
) -> (BuildPlan, Vec<Finding>) {
    let package = selected.package;
    let mut args = vec!["--profile".to_owned(), profile.to_owned()];
    args.extend(selected.feature_args.iter().cloned());
    // A user's own profile is defined once something says what it inherits.
    let defined =
        project.profiles.iter().any(|known| known.name == profile && known.inherits.is_some());
    let made_up = profile == "dist" && !defined;
    if made_up {
        args.extend(["--config".to_owned(), r#"profile.dist.inherits="release""#.to_owned()]);
    }
    let shipped = request.mode != Mode::Local || profile != "dev";
    let heir = if made_up { "release" } else { profile };
    if shipped
        && !project::sets_strip(&project.profiles, heir)
        && !project::sets_strip(&project.profiles, profile)
    {
        args.extend(["--config".to_owned(), format!(r#"profile.{profile}.strip="symbols""#)]);
    }
    // An existing lock file is the one that counts; a release must have one.
    if request.build.locked
        || request.mode == Mode::Release
        || (request.mode == Mode::Snapshot && project.has_lock)
    {
        args.push("--locked".to_owned());
    }
    args.extend(request.build.network.cargo_arg().map(str::to_owned));
    args.extend(request.build.jobs.iter().map(|jobs| format!("--jobs={jobs}")));
    let (env, findings) = environment(selected, project);
    let graph = |target: &Target| project.graphs.get(&selected.wanted(target));
    let native = |target: &Target| graph(target).map(|it| it.native.clone()).unwrap_or_default();
    let crates = |target: &Target| graph(target).map(|it| it.crates.clone()).unwrap_or_default();
    let plan = BuildPlan {
        package: package.name.clone(),
        spec: package.spec.clone(),
        with: Vec::new(),
        version: package.versioned.version().clone(),
        about: package.about.clone(),
        remap: if shipped { selected.common.remap.clone() } else { Vec::new() },
        auditable: shipped && selected.config.auditable,
        crates: tools.keys().map(|target| (target.clone(), crates(target))).collect(),
        members: Arc::clone(&selected.common.members),
        native: tools.keys().map(|target| (target.clone(), native(target))).collect(),
        profile: profile.to_owned(),
        bins,
        targets: in_order(targets, &tools),
        tools,
        joined: targets
            .iter()
            .filter(|target| !target.slices().is_empty())
            .map(|target| (*target).clone())
            .collect(),
        args,
        env,
    };
    (plan, findings)
}

/// The targets that cargo builds for: those that were named, then those that are only parts
/// of another target's programs.
fn in_order(targets: &[&Target], tools: &BTreeMap<Target, Tools>) -> Vec<Target> {
    let named = targets.iter().copied().filter(|target| tools.contains_key(*target));
    let parts = tools.keys().filter(|target| !targets.contains(target));
    named.chain(parts).cloned().collect()
}

/// The variables of the build: ours, and those of `env` in the settings.
fn environment(
    selected: &Selected<'_>,
    project: &Project,
) -> (BTreeMap<String, String>, Vec<Finding>) {
    let values = project.values(selected.package);
    // An unknown value gives no variable, rather than an empty one.
    let told = values.iter().filter(|(name, value)| *name != "name" && !value.is_empty());
    let mut env: BTreeMap<String, String> = told
        .map(|(name, value)| (format!("DOCKLESS_{}", name.to_uppercase()), value.clone()))
        .collect();
    env.extend(
        project.time.map(|time| ("SOURCE_DATE_EPOCH".to_owned(), time.as_second().to_string())),
    );
    let mut findings = Vec::new();
    for (variable, value) in &selected.config.env {
        match template::render(value, &values) {
            Ok(value) => drop(env.insert(variable.clone(), value)),
            Err(error) => {
                let place = Place::within(
                    &selected.package.manifest,
                    format!("[package.metadata.dockless] env.{variable}"),
                );
                let fix = "use one of the known names";
                findings.push(Finding::error("template", place, error.to_string(), fix));
            }
        }
    }
    (env, findings)
}

/// What the builds of all packages have in common.
pub struct Common {
    /// The folders of the workspace's packages.
    members: Arc<BTreeSet<PathBuf>>,
    remap: Vec<(PathBuf, String)>,
}

impl Common {
    pub fn of(project: &Project) -> Common {
        let members = project.packages.iter().map(|package| package.dir.clone()).collect();
        Common { members: Arc::new(members), remap: remap(project) }
    }
}

/// The names that this machine's folders get in binaries. In rustc a later entry wins, so
/// the more special ones come last.
fn remap(project: &Project) -> Vec<(PathBuf, String)> {
    let sources: BTreeSet<_> = project.graphs.values().flat_map(|graph| &graph.sources).collect();
    let home = project.cargo_home().map(|home| (home, "/cargo".to_owned()));
    let mut remap: Vec<_> = home.into_iter().chain(sources.into_iter().cloned()).collect();
    remap.push((project.root.clone(), "/src".to_owned()));
    remap.push((project.target_dir.clone(), "/target".to_owned()));
    remap
}

/// cargo's arguments for the features of config and command line.
pub fn feature_args(config: &PackageConfig, request: &Request) -> Vec<String> {
    let features: BTreeSet<&str> =
        config.features.iter().chain(&request.build.features).map(String::as_str).collect();
    let mut args = Vec::new();
    if !features.is_empty() {
        args.push(format!("--features={}", features.into_iter().collect::<Vec<_>>().join(",")));
    }
    if request.build.all_features {
        args.push("--all-features".to_owned());
    }
    if request.build.no_default_features || !config.default_features {
        args.push("--no-default-features".to_owned());
    }
    args
}

impl Selected<'_> {
    /// The features that a build turns on, directly or through others.
    fn features(&self, request: &Request) -> BTreeSet<String> {
        let all = self.package.features.iter().map(|(name, _)| name.clone());
        if request.build.all_features {
            return all.collect();
        }
        let default = (self.config.default_features && !request.build.no_default_features)
            .then(|| "default".to_owned());
        let mut pending: Vec<String> = default.into_iter().collect();
        pending.extend(self.config.features.iter().chain(&request.build.features).cloned());
        let mut on = BTreeSet::new();
        while let Some(feature) = pending.pop() {
            if on.insert(feature.clone()) {
                let defined = self.package.features.iter().filter(|(name, _)| *name == feature);
                pending.extend(defined.flat_map(|(_, turns_on)| turns_on.clone()));
            }
        }
        on
    }
}
