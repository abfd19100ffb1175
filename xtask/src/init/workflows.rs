//! The texts of the workflows.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::logins::{self, Registry};
use super::{
    CI, Facts, LINUX, MACOS, MARK, PROFILE, Prebuilt, Reusable, Tool, WINDOWS, os, runner, yaml,
};
use crate::finding::failure;
use crate::target::Target;
use crate::template;

/// The path of the workflow for releases, relative to the workspace's root.
pub const RELEASE: &str = ".github/workflows/release.yml";

/// The path of Dependabot's settings, relative to the workspace's root.
pub const DEPENDABOT: &str = ".github/dependabot.yml";

/// How many targets a reusable workflow takes: it names an output for each.
const MOST_TARGETS: usize = 32;

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

/// What keeps the identity of the workflow, by which it logs in to registries, from the tool and all
/// that it starts.
const WITHOUT_IDENTITY: &str =
    "env -u ACTIONS_ID_TOKEN_REQUEST_TOKEN -u ACTIONS_ID_TOKEN_REQUEST_URL ";

/// A name in the templates, and what it stands for.
type Value = (&'static str, String);

/// The template of a file or of a part.
macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../templates/workflows/", $name, ".yml"))
    };
}

/// The files, by their paths relative to the workspace's root.
pub fn workflows(facts: &Facts) -> Result<Vec<(PathBuf, String)>> {
    if let Tool::Prebuilt(prebuilt) = &facts.tool {
        let runners = facts.targets.iter().map(|(target, _)| runner(target));
        prebuilt.covers(&std::iter::once(LINUX).chain(runners).collect::<Vec<_>>())?;
    }
    let values = values(facts)?;
    let release = match &facts.reusable {
        Some(reusable) => caller(facts, reusable, &values)?,
        None => release(&Release::own(facts)?, &values)?,
    };
    let mut files = vec![
        (CI.to_owned(), render(text!("ci"), &values)?),
        (RELEASE.to_owned(), release),
        (".github/workflows/audit.yml".to_owned(), render(text!("audit"), &values)?),
        (DEPENDABOT.to_owned(), render(text!("dependabot"), &values)?),
    ];
    for ghcr in [false, true].into_iter().filter(|_| facts.offers) {
        let path = format!(".github/workflows/{}", Reusable::file(ghcr));
        files.push((path, release_of_others(ghcr, &values)?));
    }
    let file =
        |(path, text): (String, String)| (PathBuf::from(path), text.trim_end().to_owned() + "\n");
    Ok(files.into_iter().map(file).collect())
}

fn render(text: &str, values: &[Value]) -> Result<String> {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, it)| (*name, &**it)).collect();
    template::render_workflow(text, &values)
}

/// A part that is empty in the workflows of projects that have no use for it.
fn part(wanted: bool, text: &str, values: &[Value]) -> Result<String> {
    if wanted { render(text, values) } else { Ok(String::new()) }
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

/// How a job makes the tool.
struct Made {
    /// The steps that make it on Linux, and on the runner of a matrix.
    steps: [String; 2],
    /// Its folder then, in that of the job.
    folder: &'static str,
    bin: String,
}

impl Made {
    fn of(tool: &Tool) -> Result<Made> {
        let built = |command: String, folder, bin: &str| {
            let step = render(text!("make"), &[("build-tool", command)])?;
            Ok(Made { steps: [step.clone(), step], folder, bin: bin.to_owned() })
        };
        match tool {
            Tool::Package { package, bin, own_profile } => {
                let (package, bin) = (word("the package", package)?, word("the program", bin)?);
                let build = format!("cargo build --locked --package {package} --bin {bin}");
                match own_profile {
                    true => built(format!("{build} --profile {PROFILE}"), "target/xtask", bin),
                    false => built(build, "target/debug", bin),
                }
            }
            Tool::Installed { version } => {
                let build = format!("cargo install --locked --root tool dockless@{version}");
                built(build, "tool/bin", "cargo-dockless")
            }
            Tool::Prebuilt(prebuilt) => Ok(Made {
                steps: [
                    downloaded(prebuilt, &[LINUX])?,
                    downloaded(prebuilt, &[LINUX, MACOS, WINDOWS])?,
                ],
                folder: "tool/bin",
                bin: "cargo-dockless".to_owned(),
            }),
        }
    }

    fn here(&self) -> String {
        format!("{}/{}", self.folder, self.bin)
    }

    fn values(&self) -> [Value; 4] {
        let [linux, matrix] = self.steps.clone();
        [
            ("make-tool", linux),
            ("make-matrix-tool", matrix),
            ("tool-bin", self.bin.clone()),
            ("tool-here", self.here()),
        ]
    }
}

/// The step that downloads the released program, on the runners that it is there for.
fn downloaded(prebuilt: &Prebuilt, runners: &[&str]) -> Result<String> {
    let found =
        runners.iter().filter_map(|runner| Some((os(runner), prebuilt.archive(os(runner))?)));
    let found: Vec<(&str, (String, String))> = found.collect();
    let one = |part: fn(&(String, String)) -> &String| match &found[..] {
        [(_, only)] => part(only).clone(),
        all => {
            let each = all.iter().map(|(os, it)| format!("matrix.os == '{os}' && '{}'", part(it)));
            format!("${{{{ {} }}}}", each.collect::<Vec<_>>().join(" || "))
        }
    };
    let (url, sha256) = (one(|(url, _)| url), one(|(_, sha256)| sha256));
    // Digits alone would be a number.
    let quoted = |text: String| if text.starts_with('$') { text } else { format!("\"{text}\"") };
    render(text!("prebuilt"), &[("tool-url", quoted(url)), ("tool-sha256", quoted(sha256))])
}

/// The values of all templates.
fn values(facts: &Facts) -> Result<Vec<Value>> {
    let mut values: Vec<Value> = ACTIONS.map(|(name, uses)| (name, uses.to_owned())).into();
    let made = Made::of(&facts.tool)?;
    let pinned = match &facts.tool {
        Tool::Prebuilt(prebuilt) => prebuilt.line(),
        _ => String::new(),
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        facts.targets.iter().partition(|(target, _)| runner(target) == LINUX);
    let steps = match &facts.script {
        Some(script) => step("run the project's CI", &yaml(&shell_word(script))),
        None => tried(&made, &here, !elsewhere.is_empty(), !pinned.is_empty()),
    };
    let tries = facts.script.is_none() && !elsewhere.is_empty();
    let images: Vec<String> = facts.audited.iter().map(|image| shell_word(image)).collect();
    let read = if facts.ghcr { "      packages: read # images\n" } else { "" };
    values.extend(made.values());
    values.extend([
        ("mark", MARK.to_owned()),
        ("pinned", pinned),
        ("main-runner", LINUX.to_owned()),
        ("branch", facts.branch.clone()),
        ("tags", facts.tags.clone()),
        ("try-matrix", entries(elsewhere.iter().copied())),
        ("steps", steps),
        ("rust", text!("rust").to_owned()),
        ("audited", images.join(" ")),
        ("read-packages", read.to_owned()),
    ]);
    let tried = part(tries, text!("try"), &values)?;
    values.push(("try", tried));
    Ok(values)
}

/// What the workflow that releases, and is one text for all, differs in.
struct Release {
    /// What it is, above its trigger.
    about: &'static str,
    on: String,
    concurrency: bool,
    tool: Tool,
    /// The runner of a job in a matrix.
    runner: String,
    /// The matrix of the tool's builds, and their systems.
    tool_matrix: String,
    systems: Vec<&'static str>,
    /// The matrix of the targets, and their number.
    matrix: String,
    targets: usize,
    zig: bool,
    images: bool,
    ghcr: bool,
    /// The registries that need a login of their own.
    registries: Vec<Registry>,
    krew: bool,
}

impl Release {
    /// That of the project itself.
    fn own(facts: &Facts) -> Result<Release> {
        let mut runners = vec![LINUX];
        for (target, _) in &facts.targets {
            if !runners.contains(&runner(target)) {
                runners.push(runner(target));
            }
        }
        let tools = runners.iter().map(|runner| format!("          - {{ {} }}", on(runner)));
        let tools = tools.collect::<Vec<_>>().join("\n");
        Ok(Release {
            about: text!("about-own"),
            on: format!("  push:\n    tags:\n      - \"{}\"\n", facts.tags),
            concurrency: true,
            tool: facts.tool.clone(),
            runner: "${{ matrix.runner }}".to_owned(),
            tool_matrix: format!("        include:\n{tools}"),
            systems: runners.iter().map(|runner| os(runner)).collect(),
            matrix: format!("        include:\n{}", entries(facts.targets.iter())),
            targets: facts.targets.len(),
            zig: facts.targets.iter().any(|(_, zig)| *zig),
            images: facts.images,
            ghcr: facts.ghcr,
            registries: facts.registries.clone(),
            krew: facts.krew,
        })
    }
}

/// The workflow that other repositories call. What it starts with permissions is this tool in the
/// version that goes with the workflow's commit; the caller names neither runners nor programs.
fn release_of_others(ghcr: bool, values: &[Value]) -> Result<String> {
    let expression = |text: String| format!("${{{{ {text} }}}}");
    let systems = "inputs.macos && inputs.windows && '[\"linux\",\"macos\",\"windows\"]' || \
                   inputs.macos && '[\"linux\",\"macos\"]' || \
                   inputs.windows && '[\"linux\",\"windows\"]' || '[\"linux\"]'";
    let form = Release {
        about: text!("about-reusable"),
        on: text!("call").to_owned(),
        concurrency: false,
        tool: Tool::Installed { version: env!("CARGO_PKG_VERSION").to_owned() },
        runner: expression(format!(
            "matrix.os == 'macos' && '{MACOS}' || matrix.os == 'windows' && '{WINDOWS}' || '{LINUX}'"
        )),
        tool_matrix: format!("        os: {}", expression(format!("fromJSON({systems})"))),
        systems: [LINUX, MACOS, WINDOWS].map(os).into(),
        matrix: format!("        include: {}", expression("fromJSON(inputs.targets)".to_owned())),
        targets: MOST_TARGETS,
        zig: true,
        images: true,
        ghcr,
        registries: vec![Registry::Other(String::new())],
        krew: true,
    };
    release(&form, values)
}

/// The text of a workflow that releases.
fn release(form: &Release, values: &[Value]) -> Result<String> {
    let made = Made::of(&form.tool)?;
    let is_package = matches!(form.tool, Tool::Package { .. });
    let windows = if form.systems.contains(&os(WINDOWS)) { "*" } else { "" };
    let lines = |each: &mut dyn Iterator<Item = String>| each.collect::<Vec<_>>().join("\n");
    // Only the job of a system or of a target can set what is said of it.
    let sum = |(name, job): (String, String), of: &str| {
        format!("      {name}: ${{{{ {job} && {of} || '' }}}}")
    };
    let sums = form.systems.iter().map(|os| ((*os).to_owned(), format!("matrix.os == '{os}'")));
    let shards =
        (0..form.targets).map(|at| (format!("shard{at}"), format!("strategy.job-index == {at}")));
    let mut all: Vec<Value> = made.values().into();
    all.extend([
        ("about", form.about.trim_end().to_owned()),
        ("on", form.on.clone()),
        // That of the caller holds for what it calls.
        ("concurrency", if form.concurrency { text!("concurrency") } else { "\n" }.to_owned()),
        ("runner", form.runner.clone()),
        ("tool-path", format!("{}{windows}", made.here())),
        ("tool-matrix", form.tool_matrix.clone()),
        ("tool-sums", lines(&mut sums.map(|it| sum(it, "steps.tool.outputs.sha256")))),
        ("matrix", form.matrix.clone()),
        ("shard-sums", lines(&mut shards.map(|it| sum(it, "steps.build.outputs.shard")))),
    ]);
    // The first of a name counts.
    all.extend(values.iter().cloned());
    let take = |name, os: &str, sum: &str| {
        let own = [("tool-os", os.to_owned()), ("tool-sum", format!("${{{{ {sum} }}}}"))];
        anyhow::Ok((name, render(text!("tool"), &[&all[..], &own].concat())?))
    };
    let main = format!("needs.tool.outputs.{}", os(LINUX));
    let others = form.systems.iter().filter(|it| **it != os(LINUX));
    let each = others.map(|os| format!("matrix.os == '{os}' && needs.tool.outputs.{os} || "));
    let of_matrix = each.collect::<String>() + &main;
    let taken = [
        take("take-tool", os(LINUX), &main)?,
        take("take-matrix-tool", "${{ matrix.os }}", &of_matrix)?,
    ];
    all.extend(taken);
    let token = "          KREW_GITHUB_TOKEN: ${{ secrets.KREW_GITHUB_TOKEN }}\n";
    let environment = "    environment: release\n";
    let sbom = |name, condition: &str| {
        let own = [("condition", condition.to_owned())];
        anyhow::Ok((name, render(text!("sbom"), &[&all[..], &own].concat())?))
    };
    let others = form.registries.iter().any(|it| matches!(it, Registry::Other(_)));
    let own = form.registries.iter().any(|it| *it != Registry::GitHub);
    let identity = form.registries.iter().any(Registry::by_identity);
    let logins = part(others, text!("logins"), &all)? + &logins::steps(&form.registries)?;
    let parts = [
        sbom("take-sbom", "")?,
        sbom("take-image-sbom", "        if: matrix.sbom != ''\n")?,
        ("tool-sources", part(is_package, text!("sources"), &all)?),
        ("zig", part(form.zig, text!("zig"), &all)?),
        ("login", part(form.ghcr, text!("login"), &all)?),
        ("logins", logins),
        ("environment", part(own, environment, &all)?),
        ("id-token", part(identity, "      id-token: write # to log in to registries\n", &all)?),
        ("without-identity", part(identity, WITHOUT_IDENTITY, &all)?),
        ("packages", part(form.ghcr, "      packages: write # images\n", &all)?),
        ("krew-token", part(form.krew, token, &all)?),
    ];
    all.extend(parts);
    let images = part(form.images, text!("attest-images"), &all)?;
    all.push(("attest-images", images));
    render(text!("release"), &all)
}

/// The workflow of a project whose releases are made by a reusable one.
fn caller(facts: &Facts, reusable: &Reusable, values: &[Value]) -> Result<String> {
    let count = facts.targets.len();
    if count > MOST_TARGETS {
        bail!(failure(
            format!(
                "a reusable workflow builds at most {MOST_TARGETS} targets, and there are {count}"
            ),
            "name fewer targets, or write the workflow without --reusable",
        ));
    }
    let target = |(target, zig): &(Target, bool)| {
        let os = os(runner(target));
        format!("          {{ \"target\": \"{target}\", \"os\": \"{os}\", \"zig\": {zig} }}")
    };
    let targets: Vec<String> = facts.targets.iter().map(target).collect();
    let system = |name| {
        let needed = facts.targets.iter().any(|(target, _)| os(runner(target)) == name);
        if needed { format!("      {name}: true\n") } else { String::new() }
    };
    let secret = |(name, wanted): (&str, bool)| {
        wanted.then(|| format!("      {name}: ${{{{ secrets.{name} }}}}"))
    };
    let secrets = [
        ("COSIGN_PRIVATE_KEY", true),
        ("COSIGN_PASSWORD", true),
        ("KREW_GITHUB_TOKEN", facts.krew),
        ("DOCKER_AUTH_CONFIG", facts.others),
    ];
    let secrets: Vec<String> = secrets.into_iter().filter_map(secret).collect();
    let packages = "      packages: write # images\n";
    let own = [
        ("concurrency", text!("concurrency").to_owned()),
        ("reusable", reusable.uses(facts.ghcr)),
        ("targets", targets.join(",\n")),
        ("systems", format!("{}{}", system("macos"), system("windows"))),
        ("secrets", secrets.join("\n")),
        ("packages", part(facts.ghcr, packages, values)?),
    ];
    render(text!("caller"), &[values, &own].concat())
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

/// A step that runs a command, which is YAML.
fn step(name: &str, command: &str) -> String {
    format!("      - name: {name}\n        run: {command}")
}

/// The steps of CI: it checks, tests, and makes a snapshot for the targets `here`, those of its own
/// runner. `others` says whether there are targets of other runners, `pinned` whether the tool is the
/// released one.
fn tried(made: &Made, here: &[&(Target, bool)], others: bool, pinned: bool) -> String {
    let tool = made.here();
    let mut steps = vec![
        made.steps[0].trim_end().to_owned(),
        step("check and test", &format!("{tool} ci --locked")),
    ];
    if pinned {
        // The version follows Cargo.lock, where an xtask pins it.
        steps.push(step("check the workflows", &format!("{tool} init --workflows --check")));
    }
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
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-:".contains(&byte);
    let quoted = || format!("'{}'", text.replace('\'', r"'\''"));
    if text.bytes().all(plain) { text.to_owned() } else { quoted() }
}
