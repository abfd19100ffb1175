//! What a plugin's manifest says, for which of the archives.

use std::collections::BTreeMap;

use super::{ArchivePlan, BuildPlan, Joined, KrewPlan, KrewPlatform, LeftOut, Selected};
use crate::config::{KrewConfig, PLUGIN};
use crate::finding::{Finding, Place};
use crate::http::escaped;
use crate::project::Project;
use crate::target::Target;
use crate::template;
use crate::version::Versioned;

/// Programs for all of Apple's machines at once.
const UNIVERSAL: (&str, &str) = ("darwin", "all");

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

/// The file that a plugin's archive gets where no licence in it has a name that krew knows:
/// all of its licences, one after the other.
pub fn joined(selected: &Selected<'_>, archive: &ArchivePlan) -> Option<Joined> {
    selected.config.krew.as_ref()?;
    if archive.files.iter().any(|file| LICENSES.contains(&&*file.name.to_lowercase())) {
        return None;
    }
    let licences = archive.files.iter().filter(|file| file.is_license());
    let from: Vec<_> = licences.map(|file| file.path.clone()).collect();
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
    let about = &build.about;
    let or = |typed: &str, told: Option<&String>| match typed {
        "" => told.map(|text| text.trim().to_owned()).unwrap_or_default(),
        typed => typed.to_owned(),
    };
    let short = or(&config.short_description, about.description.as_ref());
    let description = or(&config.description, about.description.as_ref());
    let described = !short.is_empty() && !description.is_empty();
    if let Some(lacking) = lacking(config, described, build, archives) {
        return (None, Vec::new(), vec![lacking]);
    }
    let (platforms, findings, mut left_out) = platforms(selected, config, build, archives, project);
    if platforms.is_empty() && findings.is_empty() {
        let why = "no target of the package is a platform that krew knows";
        let fix = "add a target for Linux, macOS or Windows to `targets`";
        return (None, Vec::new(), vec![unmade(build, why, fix)]);
    }
    left_out.extend(second_plugins(config, build));
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

/// What a package lacks to be a plugin.
fn lacking(
    config: &KrewConfig,
    described: bool,
    build: &BuildPlan,
    archives: &[ArchivePlan],
) -> Option<LeftOut> {
    if !build.bins.contains(&config.bin) {
        let why = format!("{}, which it is about, is not built", config.bin);
        let fix = "turn its features on, or name it with --bin";
        return Some(LeftOut { by_choice: true, ..unmade(build, &why, fix) });
    }
    if !described {
        let fix = "set `description` in Cargo.toml, or in [package.metadata.dockless.krew]";
        return Some(unmade(build, "krew wants a description, and there is none", fix));
    }
    if config.uri.is_empty() && build.about.repository.is_none() {
        let fix = "set `repository` in Cargo.toml, or `uri` in [package.metadata.dockless.krew]";
        return Some(unmade(build, "nothing says where the archives will be served", fix));
    }
    let licensed = archives.iter().all(|archive| licence(archive).is_some());
    (!licensed).then(|| {
        let fix = "put a LICENSE into the package's or the workspace's folder";
        unmade(build, "krew takes no plugin without a licence in its archives", fix)
    })
}

/// A manifest that is not made.
fn unmade(build: &BuildPlan, why: &str, fix: &str) -> LeftOut {
    LeftOut::forced(format!("krew manifest of {}", build.package), None, why, fix)
}

/// Programs that kubectl would find too, though the manifest is not about them.
fn second_plugins(config: &KrewConfig, build: &BuildPlan) -> Vec<LeftOut> {
    let others = build.bins.iter().filter(|bin| bin.starts_with(PLUGIN) && **bin != config.bin);
    let left_out = others.map(|bin| {
        let what = format!("krew manifest of {bin}");
        let why = format!("a package is one plugin, and {} is of {}", build.package, config.bin);
        LeftOut::by_choice(what, None, why, "give it a package of its own")
    });
    left_out.collect()
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
    let (chosen, left_out) = chosen(build, archives);
    let (mut platforms, mut findings) = (Vec::new(), Vec::new());
    let mut fault = |why: String, fix: &str| {
        let item = "[package.metadata.dockless.krew] uri";
        let place = Place::within(&selected.package.manifest, item);
        findings.push(Finding::error("krew-uri", place, why, fix));
    };
    for (os, arches, archive) in chosen {
        let values = uri_values(selected, build, archive, project);
        let usual = selected.forge.archive_uri();
        let template = if config.uri.is_empty() { usual } else { &config.uri };
        let uri = match template::render(template, &values) {
            Ok(uri) => uri,
            Err(error) => {
                fault(error.to_string(), "use one of the known names");
                break;
            }
        };
        if platforms.iter().any(|other: &KrewPlatform| other.uri == uri) {
            let why = format!("more than one archive would be served at {uri}");
            fault(why, "put {{ archive }} into it");
            break;
        }
        platforms.push(KrewPlatform {
            os: os.to_owned(),
            arches: arches.into_iter().map(str::to_owned).collect(),
            archive: archive.name.clone(),
            uri,
            bin: format!("{}{}", config.bin, archive.target.exe_suffix()),
            license: licence(archive).unwrap_or_default(),
        });
    }
    (platforms, findings, left_out)
}

/// A system, architectures of it, and the archive that they install.
type Chosen<'a> = (&'a str, Vec<&'a str>, &'a ArchivePlan);

/// The archives that krew's platforms get, at most one each, and why others are left out.
fn chosen<'a>(build: &BuildPlan, archives: &'a [ArchivePlan]) -> (Vec<Chosen<'a>>, Vec<LeftOut>) {
    let mut served: BTreeMap<(&str, &str), &ArchivePlan> = BTreeMap::new();
    let mut left_out = Vec::new();
    let mut leave = |archive: &ArchivePlan, why: String| {
        let what = format!("krew platform of {}", build.package);
        let fix = "nothing to do: the archive is made all the same";
        left_out.push(LeftOut::by_choice(what, Some(&archive.target), why, fix));
    };
    let mut sorted: Vec<&ArchivePlan> = archives.iter().collect();
    sorted.sort_by_key(|archive| reach(&archive.target));
    for archive in sorted {
        let pair = (archive.target.goos(), archive.target.goarch());
        if pair != UNIVERSAL && !PLATFORMS.contains(&pair) {
            leave(archive, format!("krew knows no {}/{}", pair.0, pair.1));
        } else if let Some(first) = served.get(&pair) {
            leave(archive, format!("{} is for the same machines", first.target));
        } else {
            served.insert(pair, archive);
        }
    }
    let has = |pair: &(&str, &str)| served.contains_key(pair);
    let mut chosen = Vec::new();
    for ((os, arch), archive) in &served {
        let arches: Vec<&str> = match (*os, *arch) {
            // A processor with an archive of its own needs no universal program.
            UNIVERSAL => {
                ["amd64", "arm64"].into_iter().filter(|arch| !has(&("darwin", arch))).collect()
            }
            // 64-bit systems run it too, where they have no archive of their own.
            (os @ ("linux" | "windows"), "386") if !has(&(os, "amd64")) => vec!["386", "amd64"],
            (_, arch) => vec![arch],
        };
        if arches.is_empty() {
            leave(archive, "others are for each of its machines alone".to_owned());
        } else {
            chosen.push((*os, arches, *archive));
        }
    }
    chosen.sort_by(|(os, arches, _), (other, others, _)| (os, arches).cmp(&(other, others)));
    (chosen, left_out)
}

/// Sorts targets for the same machines, the one that most of them run first: a program that
/// asks for no library, then one for the oldest processor.
fn reach(target: &Target) -> impl Ord + use<> {
    let variant = target.platform().and_then(|platform| platform.variant);
    (!target.is_musl(), variant, target.triple().to_owned())
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
        _ => project.tag_for(&build.package, &build.version),
    };
    // A slash or a plus sign in the tag would be read as part of the address.
    let tag = escaped(&tag);
    let named = build.about.repository.as_deref().unwrap_or_default();
    let repository = selected.forge.page(named).to_owned();
    let more = [("tag", tag), ("archive", archive.name.clone()), ("repository", repository)];
    project.values(selected.package).into_iter().chain(more).collect()
}
