//! What a plan must not be, and what it must leave out.

use std::collections::{BTreeMap, BTreeSet};

use super::tools::{self, Obstacle, Tools};
use super::{ArchivePlan, BuildPlan, GeneratePlan, LeftOut, Mode, Request, Selected};
use crate::config::FULL_CLONE;
use crate::finding::{Finding, Place, suggest};
use crate::project::git::{Change, ChangeKind, GitTag, TagPlace, Tagged};
use crate::project::{Git, Package, Project};
use crate::target::Target;
use crate::version::{ReleaseTag, Versioned};

/// What is wrong with the versions for the mode.
pub fn versions(selected: &[Selected<'_>], project: &Project, mode: Mode) -> Vec<Finding> {
    if mode == Mode::Local {
        return Vec::new();
    }
    let mut findings: Vec<Finding> =
        selected.iter().filter_map(|selected| disagreeing(selected, mode)).collect();
    let released = released(selected);
    let tagged = !released.is_empty() || !findings.is_empty();
    findings.extend(project.git.as_ref().and_then(|git| shallow(git, tagged)));
    for finding in selected.iter().flat_map(|it| twice_tagged(it, project, mode)) {
        // Each package finds the tags of all.
        if findings.iter().all(|known| known.why != finding.why) {
            findings.push(finding);
        }
    }
    let changes = project.git.as_ref().map(|git| &*git.tree.changes).unwrap_or_default();
    findings.extend(unheld(changes, mode));
    if mode == Mode::Release {
        findings.extend(unreleasable(selected, project, tagged));
        findings.extend(several(&released));
    }
    findings
}

/// How many files are named; the others are counted.
const MOST_NAMED: usize = 10;

/// Files that builds read though the commit does not hold them so, and `git status` does not
/// show it.
pub fn unheld(changes: &[Change], mode: Mode) -> Vec<Finding> {
    let unseen: Vec<&Change> = changes.iter().filter(|it| !it.kind.is_shown()).collect();
    let more = unseen.len().saturating_sub(MOST_NAMED);
    let named = unseen.into_iter().take(MOST_NAMED).enumerate().filter_map(|(at, change)| {
        let (mut why, fix) = match change.kind {
            ChangeKind::Hidden => (
                "it is not what the commit holds, and the index says not to look at it".to_owned(),
                "run `git update-index --no-assume-unchanged --no-skip-worktree` on it, or \
                 `git sparse-checkout disable`; then commit or restore it",
            ),
            ChangeKind::Elsewhere => (
                "it is changed, in a repository of its own".to_owned(),
                "commit it there, or restore it",
            ),
            ChangeKind::Ignored => (
                "it is read, and git ignores it, so the commit does not hold it".to_owned(),
                "commit it, with `git add --force`, or build without it",
            ),
            ChangeKind::Outside => (
                "it is read, and lies in no repository, so nothing tells what it was".to_owned(),
                "bring it into this repository, or into one of its own",
            ),
            ChangeKind::Converted => (
                "the checkout changed its line ends, so it is not what the commit holds".to_owned(),
                "say in .gitattributes what its line ends are, or unset core.autocrlf and \
                 core.eol, and check it out again",
            ),
            ChangeKind::Changed | ChangeKind::Untracked => return None,
        };
        if at + 1 == MOST_NAMED && more > 0 {
            why.push_str(&format!(" (and {more} files more)"));
        }
        let finding = if mode == Mode::Release { Finding::error } else { Finding::warning };
        Some(finding("release-input", Place::file(&change.path), why, fix))
    });
    named.collect()
}

/// More tags of the version that is released, or that was released last. With one on another
/// commit it is unclear what the version is; of several on one commit one is used.
fn twice_tagged(selected: &Selected<'_>, project: &Project, mode: Mode) -> Vec<Finding> {
    let (package, Some(git)) = (selected.package, &project.git) else { return Vec::new() };
    let head = git.head(&package.name, |tag| announced(tag, package));
    let counted = head.tag.or(head.last).and_then(|tag| git.tags.iter().find(|it| it.tag == *tag));
    let Some(Tagged { tag, commit, .. }) = counted else { return Vec::new() };
    let (here, elsewhere): (Vec<&Tagged>, Vec<&Tagged>) =
        git.twins(tag, &package.name).partition(|it| it.commit == *commit);
    let mut findings = Vec::new();
    if !elsewhere.is_empty() {
        let others: Vec<String> =
            elsewhere.iter().map(|it| format!("{} at {:.12}", it.tag, it.commit)).collect();
        let place = if head.tag.is_some() { "HEAD" } else { &commit[..12.min(commit.len())] };
        let (version, others) = (&tag.version, others.join(" and "));
        let why = format!("{version} is tagged twice: {tag} at {place}, and {others}");
        let fix = "release another version, or remove the tag that is wrong, here and where it \
                   was pushed";
        let stops = mode == Mode::Release && head.tag.is_some();
        let finding = if stops { Finding::error } else { Finding::warning };
        findings.push(finding("release-tag", Place::item("git"), why, fix));
    }
    if !here.is_empty() && head.tag.is_some() {
        let others: Vec<String> = here.iter().map(|it| it.tag.to_string()).collect();
        let others = others.join(" and ");
        let why = format!("HEAD has {tag} and {others}, of one version: {tag} is used");
        let fix = "keep one of them, or set `tag` in [workspace.metadata.dockless]";
        findings.push(Finding::warning("release-tag", Place::item("git"), why, fix));
    }
    findings
}

fn announced(tag: &ReleaseTag, package: &Package) -> bool {
    tag.announces(&package.cargo_version, &package.cargo_build)
}

fn disagreeing(selected: &Selected<'_>, mode: Mode) -> Option<Finding> {
    let package = selected.package;
    let Versioned::Disagreeing { tag, version } = &package.versioned else {
        return None;
    };
    let place = Place::within(&package.manifest, "[package] version");
    let (_, version_there) = package.spec.split_once('@').unwrap_or_default();
    let why =
        format!("HEAD has the tag {tag}, but {} is at {version_there} in Cargo.toml", package.name);
    let fix = format!(
        "set the version to {} and move the tag to that commit, or remove the tag",
        tag.written()
    );
    if mode == Mode::Release {
        return Some(Finding::error("release-tag", place, why, fix));
    }
    let why = format!("{why}; the snapshot is built as {version}");
    Some(Finding::warning("release-tag", place, why, fix))
}

fn shallow(git: &Git, tagged: bool) -> Option<Finding> {
    (git.shallow && !tagged).then(|| {
        let why = "the clone is shallow, so earlier tags and commits are missing and the version is a guess";
        Finding::warning("shallow-clone", Place::item("git"), why, FULL_CLONE)
    })
}

fn unreleasable(selected: &[Selected<'_>], project: &Project, tagged: bool) -> Vec<Finding> {
    let fault = |rule, why: &str, fix: &str| Finding::error(rule, Place::item("git"), why, fix);
    let Some(git) = &project.git else {
        let why = "the sources are not in a git repository, so no tag tells the version";
        let fix = "release from a git checkout, or make a snapshot with --snapshot";
        return vec![fault("release-git", why, fix)];
    };
    let mut findings = Vec::new();
    let shown = git.tree.changes.iter().any(|change| change.kind.is_shown());
    if git.dirty && (shown || git.tree.changes.is_empty()) {
        let why = "the tree has changes that the tag does not hold";
        let fix =
            "commit or stash them (`git status` lists them), or make a snapshot with --snapshot";
        findings.push(fault("release-dirty", why, fix));
    } else if !git.dirty && !tagged {
        let likely =
            selected.first().map(|it| project.tag_for(&it.package.name, &it.package.cargo_version));
        let likely = likely.unwrap_or_else(|| "v1.2.3".to_owned());
        let fix = format!(
            "tag the commit, for example `git tag {likely}`, or make a snapshot with --snapshot"
        );
        let why = match uncounted(git, project) {
            reasons if reasons.is_empty() => "no release tag on HEAD".to_owned(),
            reasons => format!("no release tag on HEAD: {}", reasons.join("; ")),
        };
        findings.push(fault("release-tag", &why, &fix));
    }
    if !project.has_lock {
        let why = "there is no Cargo.lock, so the release could not be made again";
        let fix = "run `cargo generate-lockfile` and commit Cargo.lock";
        findings.push(fault("release-lock", why, fix));
    }
    findings
}

/// The tags on HEAD, and why none of them counts.
fn uncounted(git: &Git, project: &Project) -> Vec<String> {
    const MOST: usize = 5;
    let on_head: Vec<&GitTag> =
        git.all_tags.iter().filter(|mark| mark.place == TagPlace::OnHead).collect();
    let reason = |mark: &&GitTag| {
        let Some(tag) = project.read_tag(&mark.name) else {
            return match &project.tag_form {
                Some(form) => format!("{} is not of the form {form}", mark.name),
                None => format!("{} names no version", mark.name),
            };
        };
        let Some(named) = tag.package else { return format!("{tag} speaks of nothing here") };
        let known = project.packages.iter().any(|package| package.name == named);
        let which = if known { "not released here" } else { "no package of the workspace" };
        format!("{} is of {named}, which is {which}", mark.name)
    };
    let mut reasons: Vec<String> = on_head.iter().take(MOST).map(reason).collect();
    if on_head.len() > MOST {
        reasons.push(format!("{} more do not count either", on_head.len() - MOST));
    }
    reasons
}

/// The tags that are released.
fn released(selected: &[Selected<'_>]) -> BTreeSet<String> {
    let tags = selected.iter().filter_map(|selected| match &selected.package.versioned {
        Versioned::Release { tag, .. } => Some(tag.to_string()),
        _ => None,
    });
    tags.collect()
}

fn several(released: &BTreeSet<String>) -> Option<Finding> {
    (released.len() > 1).then(|| {
        let tags: Vec<&str> = released.iter().map(String::as_str).collect();
        let why = format!("HEAD has the tags {}, and one release has one tag", tags.join(", "));
        let fix = "release one after the other, with --package";
        Finding::error("release-tag", Place::item("git"), why, fix)
    })
}

/// The tag that announces a package by its name.
fn own_tag(package: &Package, project: &Project) -> String {
    let (name, version) = (&package.name, &package.cargo_version);
    let form = project.tag_form.as_ref();
    form.map_or_else(|| format!("{name}-v{version}"), |form| form.write(name, version))
}

/// A package that is left out because HEAD's tag is about another.
pub fn other_tag(selected: &Selected<'_>, project: &Project, mode: Mode) -> Option<LeftOut> {
    let tag = project.git.as_ref()?.tags_on_head().next()?;
    let development = matches!(selected.package.versioned, Versioned::Development { .. });
    let clean = project.git.as_ref().is_some_and(|git| !git.dirty);
    (mode == Mode::Release && development && clean).then(|| {
        let why = format!("the tag {tag} on HEAD does not speak of it");
        let fix = format!("tag {} to release it", own_tag(selected.package, project));
        LeftOut::by_choice(&selected.package.name, None, why, fix)
    })
}

/// Names given by --bin that no package has.
pub fn bins(selected: &[Selected<'_>], request: &Request) -> Vec<Finding> {
    let known = || selected.iter().flat_map(|it| &it.config.bins).map(|bin| &*bin.name);
    let unknown = request.select.bins.iter().filter(|name| known().all(|bin| bin != **name));
    let finding = |name: &String| {
        let why = format!("no package that is built has a binary {name:?}");
        let all = format!("binaries are: {}", known().collect::<Vec<_>>().join(", "));
        let fix = suggest(name, known(), &all);
        Finding::error("bin", Place::item("--bin"), why, fix)
    };
    unknown.map(finding).collect()
}

/// Features given by --features that a package does not have. Those of its dependencies, such as
/// `serde/derive`, are cargo's to know.
pub fn features(selected: &[Selected<'_>], request: &Request) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Selected { package, .. } in selected {
        let known = || package.features.iter().map(|(name, _)| &**name);
        // cargo takes several in one argument, parted by spaces, too.
        let all = request.build.features.iter().flat_map(|names| names.split_whitespace());
        let own = all.filter(|name| !name.contains('/'));
        findings.extend(own.filter(|name| known().all(|it| it != *name)).map(|name| {
            let why = format!("{} has no feature {name:?}", package.name);
            let fix = suggest(
                name,
                known(),
                "see [features] in its Cargo.toml, or name another package with --package",
            );
            Finding::error("feature", Place::item("--features"), why, fix)
        }));
    }
    findings
}

/// The profiles that are there without being defined: cargo's, and `dist`, which is as release.
/// <https://doc.rust-lang.org/cargo/reference/profiles.html>
const PROFILES: [&str; 5] = ["dev", "release", "test", "bench", "dist"];

/// A name that no cargo profile has.
/// <https://doc.rust-lang.org/cargo/reference/profiles.html#custom-profiles>
pub fn profile(name: &str, project: &Project) -> Option<Finding> {
    let defined = || project.profiles.iter().map(|profile| &*profile.name);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let (why, fix) = if name.is_empty() || !name.chars().all(plain) {
        let fix = "name one of letters, digits, `-` and `_`, such as \"release\"";
        (format!("{name:?} is no name of a profile"), fix.to_owned())
    } else if PROFILES.into_iter().chain(defined()).all(|known| known != name) {
        let fix = format!("define it as [profile.{name}] in Cargo.toml, or name another one");
        let fix = suggest(name, PROFILES.into_iter().chain(defined()), &fix);
        (format!("there is no profile {name:?}"), fix)
    } else {
        return None;
    };
    Some(Finding::error("profile", Place::item("profile"), why, fix))
}

/// The targets that can be built for with what builds them, and why the others can't.
pub fn targets(
    selected: &Selected<'_>,
    project: &Project,
    request: &Request,
) -> (BTreeMap<Target, Tools>, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let mut chosen = BTreeMap::new();
    for target in &selected.targets {
        let parts = target.parts();
        let tools: Result<Vec<Tools>, Obstacle> =
            parts.iter().map(|part| tools::choose(selected, part, project, request)).collect();
        match tools {
            Ok(tools) => chosen.extend(parts.into_iter().zip(tools)),
            Err(Obstacle { why, fix }) => {
                left_out.push(LeftOut::forced(&*selected.package.name, Some(target), why, fix));
            }
        }
    }
    (chosen, left_out)
}

/// Two of a package's targets that are the same to rustc: they differ only in their glibc.
pub fn twins(build: &BuildPlan) -> Option<Finding> {
    let same = |a: &Target, b: &Target| a != b && a.triple() == b.triple();
    let pairs =
        build.targets.iter().enumerate().flat_map(|(at, first)| {
            build.targets[at + 1..].iter().map(move |second| (first, second))
        });
    let (first, second) = pairs.into_iter().find(|(first, second)| same(first, second))?;
    let why = format!("{first} and {second} are one target to rustc");
    let fix = "keep the one with the older glibc: its programs run on newer systems too";
    Some(Finding::error("target-twins", Place::item(&build.package), why, fix))
}

/// Names that two things share.
pub fn names(
    builds: &[BuildPlan],
    archives: &[ArchivePlan],
    generate: &[GeneratePlan],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut makers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for build in builds {
        build.bins.iter().for_each(|bin| makers.entry(bin).or_default().push(&build.package));
    }
    for (bin, packages) in makers.into_iter().filter(|(_, packages)| packages.len() > 1) {
        let why = format!(
            "the packages {} have a binary of the same name, and cargo would write one over the other",
            packages.join(" and ")
        );
        let fix = "rename one, set `ship = false` for one, or build them apart with --package";
        findings.push(Finding::error("binary-name", Place::item(bin), why, fix));
    }
    for archive in archives {
        let generates = generate.iter().any(|plan| plan.package == archive.package);
        let more = if generates { ", or rename in `generate`," } else { "" };
        let fix = format!("narrow `files`{more} in [package.metadata.dockless.archive]");
        let mut origins: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, origin) in archive.entries(generate) {
            origins.entry(name).or_default().push(origin);
        }
        for (name, origins) in origins.iter().filter(|(_, origins)| origins.len() > 1) {
            let of = origins.join(" and ");
            let why =
                format!("two entries would be named {name:?}: archives are flat; they are {of}");
            findings.push(Finding::error("archive-name", Place::item(&archive.name), why, &*fix));
        }
    }
    findings
}

/// What stops the command of all that is left out: anything stops where nothing is left to
/// build, and a release for whatever nobody chose to leave out.
pub fn unbuilt(left_out: &[LeftOut], builds: &[BuildPlan], mode: Mode) -> Vec<Finding> {
    let needed = left_out.iter().filter(|left| !left.by_choice);
    if mode == Mode::Snapshot && !builds.is_empty() {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = needed.map(LeftOut::finding).collect();
    if findings.is_empty() && builds.is_empty() {
        findings.extend(left_out.iter().map(LeftOut::finding));
        if findings.is_empty() {
            let why = "nothing matches --package and --bin";
            let fix = "see which packages and binaries there are with `release --dry-run`";
            findings.push(Finding::error("nothing-to-build", Place::default(), why, fix));
        }
    }
    findings
}
