//! Renders the workflows that check and release a project on GitHub, and the manifests of its
//! services on Kubernetes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::config::Config;
use crate::finding::{Finding, Place, failure};
use crate::plan::Plan;
use crate::project::{Project, TagForm};
use crate::target::Target;
use crate::template;

pub mod kubernetes;

/// The text in the first line that marks a file as this tool's own.
pub const MARK: &str = "Written by `dockless init`, which writes it anew";

/// The path of the workflow for CI, relative to the workspace's root.
pub const CI: &str = ".github/workflows/ci.yml";

/// The actions by their names in the templates, each pinned to the commit of its tag. Dependabot
/// updates both.
const ACTIONS: [(&str, &str); 4] = [
    ("checkout", "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"),
    (
        "upload-artifact",
        "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
    ),
    (
        "download-artifact",
        "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1",
    ),
    ("attest", "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6 # v4.2.2"),
];

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
    /// Whether a plugin is submitted to an index.
    pub krew: bool,
    /// The default branch, as YAML.
    pub branch: String,
    /// The pattern of release tags.
    pub tags: String,
    /// The project's own program that CI runs.
    pub script: Option<String>,
}

/// How workflows get this tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// It is built from a package of the workspace.
    Package { package: String, bin: String },
    /// It is installed from crates.io, in this version.
    Installed { version: String },
}

/// Collects the facts. `plan` covers all targets; `branch` is the default branch, as YAML.
pub fn facts(project: &Project, config: &Config, plan: &Plan, branch: String) -> Facts {
    let xtask =
        project.packages.iter().find(|package| package.is_xtask).or(project.package("dockless"));
    let bin = xtask.and_then(|package| package.bins.first().map(|bin| (package, bin)));
    let tool = match bin {
        Some((package, bin)) => {
            Tool::Package { package: package.name.clone(), bin: bin.name.clone() }
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
    Facts {
        tool,
        targets,
        ghcr: destinations().any(|to| to.registry() == "ghcr.io"),
        images: destinations().next().is_some(),
        krew: !plan.krew.is_empty() && config.forge.index.is_some(),
        branch,
        tags: project.tag_form.as_ref().map_or_else(|| TAGS.to_owned(), TagForm::pattern),
        script: config.ci.clone(),
    }
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
    named.filter(|branch| !branch.contains(',') && text.contains(MARK))
}

/// Checks that a name is a plain word, because it is used in scripts, paths and patterns: no
/// quoting works in all of them, and GitHub expands `${{` everywhere.
fn word<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(plain) && !name.starts_with(['-', '.']) {
        return Ok(name);
    }
    Err(failure(
        format!("{what} {name:?} is not a plain word, so workflows cannot run it"),
        "rename it: letters, digits, `-`, `_` and `.`",
    ))
}

/// A name in the templates, and what it stands for.
type Value = (&'static str, String);

/// The files, by their paths relative to the workspace's root.
pub fn workflows(facts: &Facts) -> Result<Vec<(PathBuf, String)>> {
    let values = values(facts)?;
    let files = [
        (CI, include_str!("../templates/workflows/ci.yml")),
        (".github/workflows/release.yml", include_str!("../templates/workflows/release.yml")),
        (".github/dependabot.yml", include_str!("../templates/workflows/dependabot.yml")),
    ];
    let file = |(path, text): (&str, &str)| {
        Ok((PathBuf::from(path), render(text, &values)?.trim_end().to_owned() + "\n"))
    };
    files.into_iter().map(file).collect()
}

fn render(text: &str, values: &[Value]) -> Result<String> {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, it)| (*name, &**it)).collect();
    template::render_workflow(text, &values)
}

/// The values of the templates.
fn values(facts: &Facts) -> Result<Vec<Value>> {
    let mut values: Vec<Value> = ACTIONS.map(|(name, uses)| (name, uses.to_owned())).into();
    let mut runners = vec![LINUX];
    for (target, _) in &facts.targets {
        if !runners.contains(&runner(target)) {
            runners.push(runner(target));
        }
    }
    let (folder, bin, build) = match &facts.tool {
        Tool::Package { package, bin } => {
            let (package, bin) = (word("the package", package)?, word("the program", bin)?);
            let build = format!("cargo build --locked --package {package} --bin {bin}");
            ("target/debug", bin, build)
        }
        Tool::Installed { version } => {
            let build = format!("cargo install --locked --root tool dockless@{version}");
            ("tool/bin", "cargo-dockless", build)
        }
    };
    let windows = if runners.contains(&WINDOWS) { "*" } else { "" };
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        facts.targets.iter().partition(|(target, _)| runner(target) == LINUX);
    let tool = format!("{folder}/{bin}");
    let steps = match &facts.script {
        Some(script) => step("run the project's CI", &yaml(&shell_word(script))),
        None => tried(&tool, &build, &here, !elsewhere.is_empty()),
    };
    values.extend([
        ("mark", MARK.to_owned()),
        ("main-runner", LINUX.to_owned()),
        ("branch", facts.branch.clone()),
        ("tags", facts.tags.clone()),
        ("build-tool", build),
        ("tool-bin", bin.to_owned()),
        ("tool-path", format!("{tool}{windows}")),
        ("tool-here", tool),
        ("matrix", entries(facts.targets.iter())),
        ("try-matrix", entries(elsewhere.iter().copied())),
        ("steps", steps),
        ("rust", include_str!("../templates/workflows/rust.yml").to_owned()),
    ]);
    values.extend(machines(&runners));
    values.extend(taken(&values)?);
    values.extend(parts(facts, &values)?);
    Ok(values)
}

/// The steps by which a job takes the tool, on the main runner and on those of a matrix.
fn taken(values: &[Value]) -> Result<[Value; 2]> {
    let take = |name, runner: &str, os: &str| {
        let own = [("tool-name", format!("tool-{runner}")), ("tool-os", os.to_owned())];
        let values: Vec<Value> = values.iter().cloned().chain(own).collect();
        anyhow::Ok((name, render(include_str!("../templates/workflows/tool.yml"), &values)?))
    };
    let matrix = take("take-matrix-tool", "${{ matrix.runner }}", "${{ matrix.os }}")?;
    Ok([take("take-tool", LINUX, os(LINUX))?, matrix])
}

/// The parts that are empty in the workflows of projects that have no use for them.
fn parts(facts: &Facts, values: &[Value]) -> Result<Vec<Value>> {
    let part = |wanted: bool, text: &str, values: &[Value]| {
        if wanted { render(text, values) } else { Ok(String::new()) }
    };
    let zig = facts.targets.iter().any(|(_, zig)| *zig);
    let elsewhere = facts.targets.iter().any(|(target, _)| runner(target) != LINUX);
    let tries = facts.script.is_none() && elsewhere;
    let token = "          KREW_GITHUB_TOKEN: ${{ secrets.KREW_GITHUB_TOKEN }}\n";
    let mut parts = vec![
        ("zig", part(zig, include_str!("../templates/workflows/zig.yml"), values)?),
        ("login", part(facts.ghcr, include_str!("../templates/workflows/login.yml"), values)?),
        ("try", part(tries, include_str!("../templates/workflows/try.yml"), values)?),
        ("packages", part(facts.ghcr, "      packages: write # images\n", values)?),
        ("krew-token", part(facts.krew, token, values)?),
    ];
    // It logs in, too.
    let values = [values, &parts].concat();
    let attest = include_str!("../templates/workflows/attest-images.yml");
    parts.push(("attest-images", part(facts.ghcr, attest, &values)?));
    Ok(parts)
}

/// The lines of a matrix, one per target.
fn entries<'a>(targets: impl Iterator<Item = &'a (Target, bool)>) -> String {
    let entry = |(target, zig): &(Target, bool)| {
        format!("          - {{ target: {target}, {}, zig: {zig} }}", on(runner(target)))
    };
    targets.map(entry).collect::<Vec<_>>().join("\n")
}

/// A runner in a matrix.
fn on(runner: &str) -> String {
    format!("runner: {runner}, os: {}", os(runner))
}

/// The values for each runner: the matrix of the tool's builds, and their digests.
fn machines(runners: &[&str]) -> Vec<(&'static str, String)> {
    let each = |line: &dyn Fn(&str) -> String| {
        runners.iter().map(|runner| line(runner)).collect::<Vec<_>>().join("\n")
    };
    let sum = |os: &str| format!("      {os}: ${{{{ steps.tool.outputs.{os} }}}}");
    let wanted = |os: &str| format!("          sha256_{os}: ${{{{ needs.tool.outputs.{os} }}}}");
    vec![
        ("tool-matrix", each(&|runner| format!("          - {{ {} }}", on(runner)))),
        ("tool-sums", each(&|runner| sum(os(runner)))),
        ("tool-wanted", each(&|runner| wanted(os(runner)))),
    ]
}

/// A step that runs a command, which is YAML.
fn step(name: &str, command: &str) -> String {
    format!("      - name: {name}\n        run: {command}")
}

/// The steps of CI: it checks, tests, and makes a snapshot for the targets `here`, those of its own
/// runner. `others` says whether there are targets of other runners.
fn tried(tool: &str, build: &str, here: &[&(Target, bool)], others: bool) -> String {
    let mut steps =
        vec![step("build the tool", build), step("check and test", &format!("{tool} ci --locked"))];
    if here.iter().any(|(_, zig)| *zig) {
        steps.push(step("install zig", &format!("{tool} setup --zig")));
    }
    let named = here.iter().filter(|_| others).map(|(target, _)| format!(" --target {target}"));
    let release = format!("{tool} release --snapshot{}", named.collect::<String>());
    if !here.is_empty() {
        steps.push(step("try a release", &release));
    }
    steps.join("\n")
}

/// A text as one word of a shell.
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    let quoted = || format!("'{}'", text.replace('\'', r"'\''"));
    if text.bytes().all(plain) { text.to_owned() } else { quoted() }
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

/// A file that is outdated or missing.
pub fn stale(path: &Path, exists: bool) -> Finding {
    let why = if exists { "it is outdated" } else { "it is missing" };
    Finding::error("init-stale", Place::file(path), why, "run `cargo dockless init --workflows`")
}
