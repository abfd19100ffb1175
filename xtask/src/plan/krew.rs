//! What a plugin's manifest says, for which of the archives.

use std::collections::BTreeMap;

use super::build::values;
use super::{ArchivePlan, BuildPlan, Joined, KrewPlan, KrewPlatform, LeftOut, Selected};
use crate::config::KrewConfig;
use crate::finding::{Finding, Place};
use crate::project::Project;
use crate::template;
use crate::version::Versioned;

/// Where archives are served, unless the settings say otherwise: GitHub's releases.
const URI: &str = "{{ repository }}/releases/download/{{ tag }}/{{ archive }}";

/// The platforms that krew knows, systems and architectures by Go's names, in the order
/// of its index.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/cmd/validate-krew-manifest/main.go>
pub const PLATFORMS: [(&str, &str); 11] = [
    ("windows", "386"),
    ("windows", "amd64"),
    ("windows", "arm64"),
    ("linux", "386"),
    ("linux", "amd64"),
    ("linux", "arm"),
    ("linux", "arm64"),
    ("linux", "ppc64le"),
    ("darwin", "386"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
];

/// The names that krew's index takes for a licence, in lower case.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/cmd/validate-krew-manifest/main.go>
pub const LICENSES: [&str; 8] = [
    "license",
    "license.txt",
    "license.md",
    "licenses",
    "licenses.txt",
    "licenses.md",
    "copying",
    "copying.txt",
];

/// The licence that a plugin's archive gets where it has none by a name that krew knows:
/// all of those that it has, in one file.
pub fn joined(selected: &Selected<'_>, archive: &ArchivePlan) -> Option<Joined> {
    selected.config.krew.as_ref()?;
    let names = || archive.files.iter().map(|file| (file.name.to_lowercase(), file));
    if names().any(|(name, _)| LICENSES.contains(&&*name)) {
        return None;
    }
    let licence = |name: &str| {
        ["license", "licence", "copying", "unlicense"].iter().any(|start| name.starts_with(start))
    };
    let from: Vec<_> =
        names().filter(|(name, _)| licence(name)).map(|(_, file)| file.path.clone()).collect();
    (!from.is_empty()).then(|| Joined { name: "LICENSE".to_owned(), from })
}

/// The manifest of a package that is a plugin, what is wrong with it, and what it leaves
/// out. `archives` are those of the package.
pub fn plan(
    selected: &Selected<'_>,
    build: &BuildPlan,
    archives: &[ArchivePlan],
    project: &Project,
) -> (Option<KrewPlan>, Vec<Finding>, Vec<LeftOut>) {
    let Some(config) = &selected.config.krew else {
        return (None, Vec::new(), Vec::new());
    };
    let what = format!("krew manifest of {}", build.package);
    let lacking = |why: &str, fix: &str| {
        let (why, fix) = (why.to_owned(), fix.to_owned());
        let what = what.clone();
        (None, Vec::new(), vec![LeftOut { what, target: None, why, fix, by_choice: false }])
    };
    let about = &build.about;
    let or = |typed: &str, told: Option<&String>| match typed {
        "" => told.map(|text| text.trim().to_owned()).unwrap_or_default(),
        typed => typed.to_owned(),
    };
    let short = or(&config.short_description, about.description.as_ref());
    let description = match &*config.description {
        "" => or("", about.description.as_ref()),
        typed => typed.to_owned(),
    };
    if short.is_empty() || description.is_empty() {
        let fix = "set `description` in Cargo.toml, or in [package.metadata.dockless.krew]";
        return lacking("krew wants a description, and there is none", fix);
    }
    if config.uri.is_empty() && about.repository.is_none() {
        let fix = "set `repository` in Cargo.toml, or `uri` in [package.metadata.dockless.krew]";
        return lacking("nothing says where the archives will be served", fix);
    }
    let licensed = archives.iter().all(|archive| licence(archive).is_some());
    if !licensed {
        let fix = "put a LICENSE into the package's or the workspace's folder";
        return lacking("krew takes no plugin without a licence in its archives", fix);
    }
    let (platforms, findings, left_out) = platforms(selected, config, build, archives, project);
    if platforms.is_empty() && findings.is_empty() {
        let fix = "add a target for Linux, macOS or Windows to `targets`";
        return lacking("no target of the package is a platform that krew knows", fix);
    }
    let plan = KrewPlan {
        name: config.name.clone(),
        package: build.package.clone(),
        version: build.version.clone(),
        short_description: short.split_whitespace().collect::<Vec<_>>().join(" "),
        description,
        homepage: or(&config.homepage, about.homepage.as_ref().or(about.repository.as_ref())),
        caveats: config.caveats.clone(),
        platforms,
    };
    (findings.is_empty().then_some(plan), findings, left_out)
}

/// The name of the licence in an archive, by which krew knows it.
fn licence(archive: &ArchivePlan) -> Option<String> {
    let named = archive.files.iter().map(|file| &file.name);
    let known = named.clone().find(|name| LICENSES.contains(&&*name.to_lowercase())).cloned();
    known.or_else(|| archive.joined.as_ref().map(|joined| joined.name.clone()))
}

/// An entry for each archive that krew has a use for, by system and architecture.
fn platforms(
    selected: &Selected<'_>,
    config: &KrewConfig,
    build: &BuildPlan,
    archives: &[ArchivePlan],
    project: &Project,
) -> (Vec<KrewPlatform>, Vec<Finding>, Vec<LeftOut>) {
    let mut chosen: BTreeMap<(&str, &str), &ArchivePlan> = BTreeMap::new();
    let mut left_out = Vec::new();
    for archive in archives {
        let pair = (archive.target.goos(), archive.target.goarch());
        let universal = pair == ("darwin", "all");
        if !universal && !PLATFORMS.contains(&pair) {
            left_out.push(LeftOut {
                what: format!("krew platform of {}", build.package),
                target: Some(archive.target.clone()),
                why: format!("krew knows no {}/{}", pair.0, pair.1),
                fix: "nothing to do: the archive is made all the same".to_owned(),
                by_choice: true,
            });
            continue;
        }
        match chosen.get(&pair) {
            // Of two that serve the same machines, the one that runs on all of them.
            Some(other) if other.target.is_musl() || !archive.target.is_musl() => {}
            _ => drop(chosen.insert(pair, archive)),
        }
    }
    let (mut platforms, mut findings) = (Vec::new(), Vec::new());
    let has = |pair: &(&str, &str)| chosen.contains_key(pair);
    for ((os, arch), archive) in &chosen {
        let arches: Vec<&str> = match (*os, *arch) {
            // What the two others bring needs no universal program.
            ("darwin", "all") => {
                ["amd64", "arm64"].into_iter().filter(|arch| !has(&("darwin", arch))).collect()
            }
            // These run it too, where nothing was made for them alone.
            (os @ ("linux" | "windows"), "386") if !has(&(os, "amd64")) => vec!["386", "amd64"],
            (_, arch) => vec![arch],
        };
        if arches.is_empty() {
            continue;
        }
        let values = uri_values(selected, build, archive, project);
        let values: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (*name, &**value)).collect();
        let template = if config.uri.is_empty() { URI } else { &config.uri };
        let bin = archive.programs().find(|bin| bin.starts_with("kubectl-"));
        match template::render(template, &values) {
            Ok(uri) => platforms.push(KrewPlatform {
                os: (*os).to_owned(),
                arches: arches.into_iter().map(str::to_owned).collect(),
                archive: archive.name.clone(),
                uri,
                bin: bin.or_else(|| archive.programs().next()).unwrap_or_default(),
                license: licence(archive).unwrap_or_default(),
            }),
            Err(error) => {
                let item = "[package.metadata.dockless.krew] uri";
                let place = Place::within(&selected.package.manifest, item);
                let fix = "use one of the known names";
                findings.push(Finding::error("krew-uri", place, error.to_string(), fix));
                break;
            }
        }
    }
    (platforms, findings, left_out)
}

/// What a URI may name, beside what every template may.
fn uri_values(
    selected: &Selected<'_>,
    build: &BuildPlan,
    archive: &ArchivePlan,
    project: &Project,
) -> Vec<(&'static str, String)> {
    let tag = match &selected.package.versioned {
        Versioned::Release { tag, .. } => tag.to_string(),
        _ => format!("v{}", build.version),
    };
    let repository = build.about.repository.as_deref().unwrap_or_default();
    let repository = repository.trim_end_matches('/').trim_end_matches(".git").to_owned();
    let more = [("tag", tag), ("archive", archive.name.clone()), ("repository", repository)];
    values(selected, project).into_iter().chain(more).collect()
}
