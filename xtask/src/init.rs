//! The files by which a project is checked and released in GitHub's workflows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::config::Config;
use crate::finding::{Finding, Place};
use crate::plan::Plan;
use crate::project::{Project, TagForm};
use crate::target::Target;
use crate::template;

/// By which such a file is known as this tool's own, in its first line.
pub const MARK: &str = "Written by `dockless init`, which writes it anew";

/// An action, pinned to the commit that its tag names. Dependabot raises both.
struct Action {
    /// The name in the templates.
    name: &'static str,
    uses: &'static str,
}

const ACTIONS: [Action; 4] = [
    Action {
        name: "checkout",
        uses: "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    },
    Action {
        name: "upload-artifact",
        uses: "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
    },
    Action {
        name: "download-artifact",
        uses: "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1",
    },
    Action {
        name: "attest",
        uses: "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6 # v4.2.2",
    },
];

/// The runners: Linux builds for itself and, with zig, for Windows; Apple's and
/// Microsoft's own linkers are on theirs.
/// <https://docs.github.com/en/actions/reference/runners/github-hosted-runners>
const LINUX: &str = "ubuntu-24.04";
const MACOS: &str = "macos-15";
const WINDOWS: &str = "windows-2025";

/// What of a project its workflows depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How workflows come by this tool.
    pub tool: Tool,
    /// What programs are built for, and whether zig is needed for it.
    pub targets: Vec<(Target, bool)>,
    /// Whether images go to GitHub's own registry.
    pub ghcr: bool,
    /// Whether images go anywhere.
    pub images: bool,
    /// Whether a plugin goes to an index.
    pub krew: bool,
    /// The branch that others are merged into.
    pub branch: String,
    /// Which tags a release is made of, as workflows match them.
    pub tags: String,
    /// A program of the project's own that its CI runs.
    pub script: Option<String>,
}

/// How workflows come by this tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// It is built of a package of the workspace.
    Package { package: String, bin: String },
    /// It is installed from crates.io, in this version.
    Installed { version: String },
}

/// Finds out what the workflows of a project depend on. `plan` is that of all its targets.
pub fn facts(project: &Project, config: &Config, plan: &Plan) -> Facts {
    let own = |name: &str| project.packages.iter().find(|package| package.name == name);
    let xtask = project.packages.iter().find(|package| package.is_xtask).or(own("dockless"));
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
    let script = project.root.join(SCRIPT).is_file().then(|| SCRIPT.to_owned());
    Facts {
        tool,
        targets,
        ghcr: destinations().any(|to| to.registry() == "ghcr.io"),
        images: destinations().next().is_some(),
        krew: !plan.krew.is_empty() && config.github.index.is_some(),
        branch: "main".to_owned(),
        tags: project.tag_form.as_ref().map_or_else(|| TAGS.to_owned(), TagForm::pattern),
        script,
    }
}

/// All forms of tags that count without a setting.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
const TAGS: &str = "**[0-9]+.[0-9]+.[0-9]+*";

/// Where a project has its own program for CI.
const SCRIPT: &str = ".ci/run";

/// Where a target's programs are built.
fn runner(target: &Target) -> &'static str {
    if target.is_darwin() {
        MACOS
    } else if target.triple().ends_with("-windows-msvc") {
        WINDOWS
    } else {
        LINUX
    }
}

/// The files, by their paths from the workspace's root.
pub fn workflows(facts: &Facts) -> Result<Vec<(PathBuf, String)>> {
    let values = values(facts)?;
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, &**value)).collect();
    let files = [
        (".github/workflows/ci.yml", include_str!("../templates/workflows/ci.yml")),
        (".github/workflows/release.yml", include_str!("../templates/workflows/release.yml")),
        (".github/dependabot.yml", include_str!("../templates/workflows/dependabot.yml")),
    ];
    let render = |(path, text): (&str, &str)| {
        let text = template::render_workflow(text, &values)?;
        Ok((PathBuf::from(path), text.trim_end().to_owned() + "\n"))
    };
    files.into_iter().map(render).collect()
}

/// What the templates name.
fn values(facts: &Facts) -> Result<Vec<(&'static str, String)>> {
    let mut values: Vec<(&str, String)> =
        ACTIONS.iter().map(|it| (it.name, it.uses.to_owned())).collect();
    let mut runners = vec![LINUX];
    for (target, _) in &facts.targets {
        if !runners.contains(&runner(target)) {
            runners.push(runner(target));
        }
    }
    let (bin, build) = match &facts.tool {
        Tool::Package { package, bin } => {
            (bin.clone(), format!("cargo build --locked --package {package} --bin {bin}"))
        }
        Tool::Installed { version } => {
            let bin = "cargo-dockless".to_owned();
            (bin, format!("cargo install --locked --root tool dockless@{version}"))
        }
    };
    let folder = if facts.tool_is_built() { "target/debug" } else { "tool/bin" };
    let windows = if runners.contains(&WINDOWS) { "*" } else { "" };
    let entries = facts.targets.iter().map(|(target, zig)| {
        format!("          - {{ target: {target}, runner: {}, zig: {zig} }}", runner(target))
    });
    let run = |command: &str, name: &str| format!("      - name: {name}\n        run: {command}");
    let steps = match (&facts.script, facts.tool_is_built()) {
        (Some(script), _) => run(script, "all that CI is"),
        (None, true) => [
            run("cargo xtask ci --locked", "check and test"),
            run("cargo xtask release --snapshot", "try a release"),
        ]
        .join("\n"),
        (None, false) => [
            run(&build, "install dockless"),
            run("tool/bin/cargo-dockless ci --locked", "check and test"),
            run("tool/bin/cargo-dockless release --snapshot", "try a release"),
        ]
        .join("\n"),
    };
    values.extend([
        ("mark", MARK.to_owned()),
        ("main-runner", LINUX.to_owned()),
        ("branch", facts.branch.clone()),
        ("tags", facts.tags.clone()),
        ("runners", runners.join(", ")),
        ("build-tool", build),
        ("tool-bin", bin.clone()),
        ("tool-path", format!("{folder}/{bin}{windows}")),
        ("matrix", entries.collect::<Vec<_>>().join("\n")),
        ("steps", steps),
    ]);
    let block = |text: &str, wanted: bool, values: &[(&'static str, String)]| {
        let named: Vec<(&str, &str)> = values.iter().map(|(name, it)| (*name, &**it)).collect();
        if wanted { template::render_workflow(text, &named) } else { Ok(String::new()) }
    };
    let zig = facts.targets.iter().any(|(_, zig)| *zig);
    let zig = block(include_str!("../templates/workflows/zig.yml"), zig, &values)?;
    let login = block(include_str!("../templates/workflows/login.yml"), facts.ghcr, &values)?;
    let packages = "      packages: write # images\n".to_owned();
    let token = "          KREW_GITHUB_TOKEN: ${{ secrets.KREW_GITHUB_TOKEN }}\n".to_owned();
    values.extend([
        ("rust", include_str!("../templates/workflows/rust.yml").to_owned()),
        ("zig", zig),
        ("login", login),
        ("packages", if facts.ghcr { packages } else { String::new() }),
        ("krew-token", if facts.krew { token } else { String::new() }),
    ]);
    let attest = include_str!("../templates/workflows/attest-images.yml");
    let attest = block(attest, facts.ghcr, &values)?;
    values.push(("attest-images", attest));
    Ok(values)
}

/// A file's text with the pins of the one that is there, which Dependabot raises.
pub fn keep_pins(text: &str, there: &str) -> String {
    let known: BTreeMap<&str, &str> = there.lines().filter_map(pin).collect();
    let line =
        |line: &str| match pin(line).and_then(|(action, old)| Some((old, known.get(action)?))) {
            Some((old, new)) => line.replace(old, new) + "\n",
            None => line.to_owned() + "\n",
        };
    text.lines().map(line).collect()
}

/// The action of a line, and the whole of its pin: `owner/name` and
/// `owner/name@COMMIT # TAG`.
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

/// A file that is not what it would be.
pub fn stale(path: &Path, is_there: bool) -> Finding {
    let why = if is_there { "it is not current" } else { "it is not there" };
    Finding::error("init-stale", Place::file(path), why, "run `cargo dockless init --workflows`")
}

impl Facts {
    fn tool_is_built(&self) -> bool {
        matches!(self.tool, Tool::Package { .. })
    }
}
