//! Renders the workflows that check and release a project on GitHub, and the manifests of its
//! services on Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::Config;
use crate::finding::{Finding, Place};
use crate::plan::{ImagePlan, Plan};
use crate::project::{Project, TagForm};
use crate::reference::{Reference, Repository};
use crate::target::Target;

mod diff;
mod edit;
pub mod from;
pub mod kubernetes;
pub mod logins;
pub mod next;
pub mod plan;
mod prebuilt;
mod reusable;
mod workflows;

pub use prebuilt::{Prebuilt, locked};
pub use reusable::Reusable;
pub use workflows::{DEPENDABOT, RELEASE, workflows};

/// The text in the first line that marks a file as this tool's own.
pub const MARK: &str = "Written by `dockless init`, which writes it anew";

/// The path of the workflow for CI, relative to the workspace's root.
pub const CI: &str = ".github/workflows/ci.yml";

/// The profile in which a workspace compiles its xtask, where it has such a one.
const PROFILE: &str = "xtask";

/// The runners. Linux builds for Linux and, with zig, for Windows; Apple's and Microsoft's own
/// linkers need theirs.
/// <https://docs.github.com/en/actions/reference/runners/github-hosted-runners>
const LINUX: &str = "ubuntu-24.04";
const MACOS: &str = "macos-15";
const WINDOWS: &str = "windows-2025";

/// The facts of a project that its workflows depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How workflows get this tool.
    pub tool: Tool,
    /// The targets, and whether each needs zig.
    pub targets: Vec<(Target, bool)>,
    /// Whether images are pushed to GitHub's own registry.
    pub ghcr: bool,
    /// Whether images are pushed.
    pub images: bool,
    /// Whether some are pushed to other registries than GitHub's.
    pub others: bool,
    /// The registries that images are pushed to.
    pub registries: Vec<logins::Registry>,
    /// The images that are audited at night, each by a tag that moves with releases.
    pub audited: Vec<String>,
    /// Whether a plugin is submitted to an index.
    pub krew: bool,
    /// The default branch, as YAML.
    pub branch: String,
    /// The pattern of release tags.
    pub tags: String,
    /// The project's own program that CI runs.
    pub script: Option<String>,
    /// The workflow of another repository that releases it.
    pub reusable: Option<Reusable>,
    /// Whether it is this tool's own repository, which offers such workflows.
    pub offers: bool,
}

/// How workflows get this tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// It is built from a package of the workspace, in a profile of its own where there is one.
    Package { package: String, bin: String, own_profile: bool },
    /// It is installed from crates.io, in this version.
    Installed { version: String },
    /// The released program is downloaded.
    Prebuilt(Prebuilt),
}

/// Collects the facts. `plan` covers all targets; `branch` is the default branch, as YAML.
pub fn facts(
    project: &Project,
    config: &Config,
    plan: &Plan,
    branch: String,
    reusable: Option<Reusable>,
) -> Facts {
    let xtask =
        project.packages.iter().find(|package| package.is_xtask).or(project.package("dockless"));
    let bin = xtask.and_then(|package| package.bins.first().map(|bin| (package, bin)));
    let tool = match bin {
        Some((package, bin)) => {
            let own_profile = project.profiles.iter().any(|profile| profile.name == PROFILE);
            Tool::Package { package: package.name.clone(), bin: bin.name.clone(), own_profile }
        }
        None => Tool::Installed { version: env!("CARGO_PKG_VERSION").to_owned() },
    };
    let mut targets: Vec<(Target, bool)> = Vec::new();
    for build in &plan.builds {
        let shipped = build.targets.iter().chain(&build.joined);
        let shipped = shipped.filter(|it| plan.archives.iter().any(|made| made.target == **it));
        for target in shipped {
            let c =
                build.native.get(target).is_some_and(|all| all.iter().any(|it| it.compiles_c()));
            let zig = runner(target) == LINUX && (c || !target.is_musl());
            match targets.iter_mut().find(|(known, _)| known == target) {
                Some((_, known)) => *known |= zig,
                None => targets.push((target.clone(), zig)),
            }
        }
    }
    let destinations = || plan.images.iter().flat_map(|image| image.destinations());
    let hosts: BTreeSet<String> = destinations().map(|to| to.registry().to_owned()).collect();
    Facts {
        tool,
        targets,
        ghcr: destinations().any(|to| to.registry() == "ghcr.io"),
        images: destinations().next().is_some(),
        others: destinations().any(|to| to.registry() != "ghcr.io"),
        registries: hosts.iter().map(|host| logins::Registry::of(host)).collect(),
        audited: plan.images.iter().flat_map(|image| audited(image, config)).collect(),
        krew: !plan.krew.is_empty() && config.forge.index.is_some(),
        branch,
        tags: project.tag_form.as_ref().map_or_else(|| TAGS.to_owned(), TagForm::pattern),
        script: config.ci.clone(),
        reusable,
        offers: project.package("dockless").is_some(),
    }
}

/// The image in its registries, under a tag that moves with releases; nothing where all its tags
/// have a version in them.
fn audited(image: &ImagePlan, config: &Config) -> Vec<String> {
    let package = config.packages.iter().find(|package| package.name == image.package);
    let typed: Vec<&String> = package.iter().flat_map(|package| &package.image.tags).collect();
    let moving = |name: &&Reference| {
        let tag = name.tag.as_ref().map(|tag| tag.as_str());
        tag.is_some_and(|tag| typed.iter().any(|typed| *typed == tag))
    };
    let first = |to: &Repository| {
        let mut names = image.names.iter().filter(|name| name.repository == *to);
        names.find(moving).map(Reference::to_string)
    };
    image.destinations().into_iter().filter_map(first).collect()
}

/// The pattern of all default forms of release tags.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
const TAGS: &str = "**[0-9]+.[0-9]+.[0-9]+*";

/// The runner that builds a target's programs.
fn runner(target: &Target) -> &'static str {
    if target.is_darwin() {
        MACOS
    } else if target.triple().ends_with("-windows-msvc") {
        WINDOWS
    } else {
        LINUX
    }
}

/// The name of a runner's system in the outputs of jobs.
fn os(runner: &str) -> &'static str {
    match runner {
        MACOS => "macos",
        WINDOWS => "windows",
        _ => "linux",
    }
}

/// A text as a YAML scalar, quoted unless it is a plain word.
pub fn yaml(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    let starts = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
    let starts = starts(text) || text.strip_prefix('.').is_some_and(starts) && text.contains('/');
    // YAML 1.1 reads these as booleans or null.
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let is_word = words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if starts && text.bytes().all(plain) && !is_word {
        return text.to_owned();
    }
    // Strings of JSON are strings of YAML.
    serde_json::Value::from(text).to_string()
}

/// The pattern that matches only this branch in GitHub's triggers, as YAML.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
pub fn branch_pattern(branch: &str) -> String {
    let special = |c: char| "*+?!$[]\\".contains(c);
    let escape = |c: char| if special(c) { vec!['\\', c] } else { vec![c] };
    yaml(&branch.chars().flat_map(escape).collect::<String>())
}

/// The branch in an existing ci.yml of this tool, as YAML.
pub fn branch_in(text: &str) -> Option<&str> {
    let named =
        text.lines().find_map(|line| line.trim().strip_prefix("branches: [")?.strip_suffix(']'));
    // Git allows no branch with these; GitHub would refuse the workflow.
    let is_one = |branch: &&str| !branch.contains([',', ' ', '~', '^', ':']);
    named.filter(|branch| is_one(branch) && text.contains(MARK))
}

/// A file's text with the pins of the existing file, which Dependabot updates.
pub fn keep_pins(text: &str, existing: &str) -> String {
    let known: BTreeMap<&str, &str> = existing.lines().filter_map(pin).collect();
    let line =
        |line: &str| match pin(line).and_then(|(action, old)| Some((old, known.get(action)?))) {
            Some((old, new)) => line.replace(old, new) + "\n",
            None => line.to_owned() + "\n",
        };
    text.lines().map(line).collect()
}

/// The action of a line and its pin: `owner/name` and `owner/name@COMMIT # TAG`.
fn pin(line: &str) -> Option<(&str, &str)> {
    let (_, uses) = line.split_once("uses: ")?;
    let (action, pinned) = uses.split_once('@')?;
    let (commit, tag) = pinned.split_once(" # ")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let fits = commit.len() == 40
        && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        && tag.bytes().all(plain);
    fits.then_some((action, uses))
}

/// The host of a git remote: `https://HOST/…`, `ssh://git@HOST/…` or `git@HOST:…`. A path has none.
pub fn host(remote: &str) -> Option<String> {
    let (rest, end) = match remote.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => (rest, ['/', ':']),
        None => (
            remote.split_once(':').filter(|(host, _)| !host.contains('/')).map(|_| remote)?,
            [':', ':'],
        ),
    };
    let host = rest.split(end).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (host.len() > 1).then(|| host.to_ascii_lowercase())
}

/// A file that is outdated or missing, and what writes it.
pub fn stale(path: &Path, exists: bool, fix: &str) -> Finding {
    let why = if exists { "it is outdated" } else { "it is missing" };
    Finding::error("init-stale", Place::file(path), why, fix)
}
