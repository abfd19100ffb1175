//! The manifests of plugins, which krew takes, or nothing is made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::locks::lock_dist_to_read;
use crate::archive::Archive;
use crate::artifacts::{KREW, Of};
use crate::cache::{Cache, CacheKind};
use crate::digest;
use crate::files::{self, Boundary, Staging, limits};
use crate::finding::{Finding, Findings, Place, Severity, failure, suggest};
use crate::krew::{self, Archives, Manifest, Release};
use crate::plan::{KrewPlan, Plan};
use crate::project::Project;
use crate::term::Term;
use crate::version::Version;

/// Looks for what krew and its index would refuse in the manifests that the plan leads to,
/// before anything is compiled. What is found is about the settings of a package, so that
/// it is said of its plugin and of no line.
pub fn check_plugins(plan: &Plan) -> Result<Vec<Finding>> {
    let mut wrong = Vec::new();
    for plugin in &plan.krew {
        let draft = krew::draft(plugin)?;
        let found = krew::validate_own(&draft.text, Path::new(&draft.file), Archives::None);
        let place = Place::item(format!("krew manifest of {}", plugin.package));
        let errors = found.into_iter().filter(|finding| finding.severity == Severity::Error);
        wrong.extend(errors.map(|finding| Finding { place: place.clone(), ..finding }));
        // Their files would be one where a disk knows no case.
        let same = |other: &&KrewPlan| {
            other.package != plugin.package && other.name.eq_ignore_ascii_case(&plugin.name)
        };
        if let Some(other) = plan.krew.iter().find(same) {
            let why = format!("the plugin {:?} is made of {} too", plugin.name, other.package);
            let fix = "give one another `name`, or set `ship = false`, in its krew table";
            wrong.push(Finding::error("krew-name", place, why, fix));
        }
    }
    Ok(wrong)
}

/// Raised whenever what krew would refuse is told otherwise from an archive, because
/// manifests that were found to be right are known by it.
const INSTALLATION: &[u8] = b"dockless installation 1";

/// Writes the manifests of plugins, and installs each in memory as krew will, unless the
/// cache knows that it does.
pub fn manifests(
    plan: &Plan,
    archives: &[Archive],
    staging: &Staging<'_>,
    cache: &Cache,
    term: &Term,
) -> Result<Vec<Manifest>> {
    let made: BTreeMap<String, PathBuf> =
        archives.iter().map(|it| (it.digest.hex(), staging.path(&it.plan.name))).collect();
    let mut manifests = Vec::new();
    let mut found = Vec::new();
    for plugin in &plan.krew {
        // Those that no platform could be built for were listed.
        let mut archived = plugin.platforms.iter().map(|it| &it.archive);
        if !archived.any(|name| archives.iter().any(|made| made.plan.name == *name)) {
            continue;
        }
        let manifest = krew::manifest(plugin, archives)?;
        let name = format!("{KREW}{}", manifest.file);
        term.step("krew", &name);
        let text = manifest.text.as_bytes();
        staging.write(&name, text)?;
        // It names the digests of its archives, and so is the key of what they hold.
        let key = digest::of_parts([INSTALLATION, text]);
        let known = cache.get(CacheKind::Plugin, &key, std::io::sink())?.is_some();
        let installed = if known { Archives::None } else { Archives::Made(&made) };
        let place = staging.dist().join(&name);
        let findings = krew::validate_own(&manifest.text, &place, installed);
        if !known && findings.iter().all(|finding| finding.severity == Severity::Warning) {
            cache.put(CacheKind::Plugin, &key, &manifest.digest, text)?;
        }
        found.extend(findings);
        manifests.push(manifest);
    }
    term.verdict(found)?;
    Ok(manifests)
}

/// What the last release left in dist/, of the plugins that are named, or of all, and what it
/// is of: that must be the release that HEAD is. No index gets a development version.
pub fn plugins_of_head(
    names: &[String],
    project: &Project,
    term: &Term,
) -> Result<(Vec<Release>, Of)> {
    let dist = &project.dist;
    let _lock = lock_dist_to_read(project, term)?;
    // Damage to it is said as such: without it dist/ would seem to be another's.
    let of = Of::read(dist)?;
    let plugins = released_plugins(names, dist)?;
    let of = of.context("find what dist/ is of")?;
    let git = project.git.as_ref();
    let head = git.map_or(project.packaged_commit.as_ref(), |git| git.commit.as_ref());
    let (head_is, announced) = announced(project);
    if of.commit.as_ref() != head {
        let commit = head.map_or_else(String::new, |commit| format!(" (commit {commit:.12})"));
        bail!(failure(
            format!("dist/ is of {of}, and {head_is}{commit}"),
            "make the release again, or check out what dist/ is of",
        ));
    }
    for plugin in &plugins {
        let version = plugin.version().strip_prefix('v').unwrap_or(plugin.version());
        if !announced.iter().any(|announced| announced.to_string() == version) {
            let (name, version) = (plugin.name(), plugin.version());
            bail!(failure(
                format!("dist/ has {name} {version}, and {head_is}"),
                "make the release of a tag; no index gets a development version",
            ));
        }
    }
    Ok((plugins, of))
}

/// What the sources are, in words, and the versions that are released of them: those of the
/// release tags on HEAD, or without git those of the packages.
fn announced(project: &Project) -> (String, Vec<&Version>) {
    let Some(git) = &project.git else {
        let versions = project.packages.iter().map(|package| package.versioned.version());
        let versions: Vec<&Version> = versions.collect();
        let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
        return (format!("Cargo.toml has {}", names.join(", ")), versions);
    };
    let tags: Vec<_> = git.tags_on_head().collect();
    let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
    let head_is = if names.is_empty() {
        "HEAD has no release tag".to_owned()
    } else {
        format!("HEAD is {}", names.join(", "))
    };
    (head_is, tags.into_iter().map(|tag| &tag.version).collect())
}

/// What the last release left in dist/, of the plugins that are named, or of all.
fn released_plugins(names: &[String], dist: &Path) -> Result<Vec<Release>> {
    let folder = dist.join(KREW);
    let made = if files::is_ours(dist)? && files::list_one(&folder)?.is_some() {
        files::list(&folder)?
    } else {
        Vec::new()
    };
    let stem = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let made: Vec<(String, PathBuf)> =
        made.into_iter().filter_map(|entry| Some((stem(&entry.path)?, entry.path))).collect();
    if made.is_empty() {
        bail!(failure(
            format!("there is no manifest of a plugin in {}", folder.display()),
            "make a release first, or the manifests alone by `cargo dockless krew manifest`",
        ));
    }
    if let Some(name) = names.iter().find(|name| made.iter().all(|(stem, _)| stem != *name)) {
        let known: Vec<&str> = made.iter().map(|(stem, _)| &**stem).collect();
        bail!(failure(
            format!("the release has no plugin {name:?}"),
            suggest(name, known.iter().copied(), &format!("name one of {}", known.join(", "))),
        ));
    }
    let wanted = |stem: &String| names.is_empty() || names.contains(stem);
    let made = made.into_iter().filter(|(stem, _)| wanted(stem));
    let boundary = Boundary::new(dist, &[])?;
    made.map(|(_, path)| {
        let text = String::from_utf8(boundary.read(&path, limits::PLUGIN)?)
            .with_context(|| format!("read {}", path.display()))?;
        Ok(Release::read(&text, &path).map_err(Findings)?)
    })
    .collect()
}
