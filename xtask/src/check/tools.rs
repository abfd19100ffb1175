//! Runs rustfmt and clippy, and turns their output into findings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use cargo_metadata::diagnostic::{Applicability, Diagnostic, DiagnosticLevel};

use super::{CheckFinding, Options};
use crate::config::Features;
use crate::finding::{Finding, Place, Severity};
use crate::http::Network;
use crate::process::{Program, excerpt};
use crate::project::Project;
use crate::term::Term;

/// What a tool reports.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: bool,
    pub detail: String,
    pub findings: Vec<CheckFinding>,
    /// The output that was not shown yet.
    pub lines: String,
}

/// How many of the last bytes of cargo's stderr are kept.
const REMEMBERED: usize = 64 << 10;

/// A cargo that also finds subcommands beside itself, for toolchains without rustup.
fn cargo<'a>(subcommand: &str, project: &'a Project) -> Program<'a> {
    let path = project.env.get("PATH").unwrap_or_default();
    let beside = project.cargo.parent().map(Path::to_owned);
    let folders = std::env::split_paths(path).chain(beside);
    match std::env::join_paths(folders) {
        Ok(path) => project.cargo(subcommand).var("PATH", path),
        Err(_) => project.cargo(subcommand),
    }
}

/// Installs a component of the toolchain if it is missing. The error says why it cannot be had.
pub fn install(tool: &str, project: &Project, network: Network, term: &Term) -> Result<()> {
    let suffix = std::env::consts::EXE_SUFFIX;
    let beside = project.cargo.with_file_name(format!("cargo-{tool}{suffix}"));
    // rustup's folder has a proxy for each component, installed or not. A toolchain's own folder
    // is known by its libraries.
    let folder = project.cargo.parent().and_then(Path::parent);
    let is_toolchain = folder.is_some_and(|folder| folder.join("lib/rustlib").is_dir());
    if is_toolchain && beside.is_file() {
        return Ok(());
    }
    let asked = || cargo(tool, project).arg("--version").read();
    let Err(error) = asked() else { return Ok(()) };
    let component = if tool == "fmt" { "rustfmt" } else { tool };
    let add = format!("rustup component add {component}");
    let refused = format!("{}; run `{add}`", error.root_cause()).replace('\n', " ");
    let Some(toolchain) = project.rustc.rustup_name().filter(|_| network == Network::Online) else {
        bail!(refused);
    };
    term.step("install", format_args!("{component} for {}", toolchain.display()));
    let rustup = Program::new("rustup", &project.root, &project.env);
    let rustup = rustup.args(["component", "add", component, "--toolchain"]).arg(toolchain);
    match rustup.pass_stderr() {
        Ok(status) if status.success() && asked().is_ok() => Ok(()),
        _ => bail!(refused),
    }
}

/// Checks all packages with rustfmt, each by its own edition.
pub fn fmt(project: &Project) -> Result<Report> {
    let fmt = cargo("fmt", project).args(["--all", "--", "--check", "--color", "never"]);
    let output = fmt.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let findings: Vec<CheckFinding> =
        text.lines().filter_map(|line| unformatted(line, &project.root)).collect();
    let passed = output.status.success();
    let detail = if passed {
        String::new()
    } else if findings.is_empty() {
        excerpt(&output.stderr).replace('\n', " ")
    } else {
        let files: BTreeSet<_> = findings.iter().map(|it| &it.finding.place.file).collect();
        format!("{} to be formatted: run `cargo fmt --all`", count(files.len(), "file"))
    };
    Ok(Report { passed, detail, findings, lines: text + &output.stderr })
}

/// A place in rustfmt's output: `Diff in PATH:LINE:`.
fn unformatted(line: &str, root: &Path) -> Option<CheckFinding> {
    let place = line.strip_prefix("Diff in ")?.trim_end_matches(':');
    let (file, line) = place.rsplit_once(':')?;
    let place = Place::at(&relative(Path::new(file), root), line.parse().ok()?, 1);
    let why = "this is not formatted as rustfmt does it";
    let finding = Finding::error("fmt", place, why, "run `cargo fmt --all`");
    Some(CheckFinding { id: "rustfmt".to_owned(), url: None, finding })
}

/// Lets rustfmt and clippy change what they can.
pub fn fix(project: &Project, options: &Options, term: &Term) -> Result<()> {
    if options.runs(crate::config::Check::Clippy) {
        term.step("fix", "what clippy can");
        let allow = ["--fix", "--allow-dirty", "--allow-staged", "--allow-no-vcs"];
        // The check that follows reports what it could not fix.
        let clippy = clippy_program(project, &None, options, term).args(allow);
        term.foreign(|| clippy.pass_stderr())?;
    }
    if options.runs(crate::config::Check::Fmt) {
        term.step("fix", "what rustfmt can");
        cargo("fmt", project).arg("--all").pass_stderr()?;
    }
    Ok(())
}

/// All targets of all packages, with the default features or a set of them.
fn clippy_program<'a>(
    project: &'a Project,
    features: &Option<&Features>,
    options: &Options,
    term: &Term,
) -> Program<'a> {
    let clippy = cargo("clippy", project).args(["--workspace", "--all-targets"]);
    let clippy = match features {
        None => clippy,
        Some(Features::All) => clippy.arg("--all-features"),
        Some(Features::None) => clippy.arg("--no-default-features"),
        Some(Features::Named(names)) => clippy.args(["--features", names]),
    };
    clippy
        .args(options.locked.then_some("--locked"))
        .args(options.network.cargo_arg())
        .args(term.quiet().then_some("--quiet"))
}

/// Runs clippy with each set of features; warnings fail.
pub fn clippy(project: &Project, options: &Options, term: &Term) -> Result<Report> {
    let mut report = Report { passed: true, ..Report::default() };
    let mut seen = BTreeSet::new();
    for features in std::iter::once(None).chain(options.features.iter().map(Some)) {
        let json = match term.color_arg() {
            "always" => "json-diagnostic-rendered-ansi",
            _ => "json",
        };
        let clippy = clippy_program(project, &features, options, term)
            .args(["--message-format", json, "--color", term.color_arg()])
            .args(["--", "--deny", "warnings"]);
        term.detail(format_args!("{clippy}"));
        let each = |line: &str| {
            let Ok(Message::CompilerMessage(message)) = serde_json::from_str(line) else {
                return Ok(());
            };
            let diagnostic = message.message;
            let rendered = diagnostic.rendered.clone().unwrap_or_default();
            // A library is compiled again for its tests, with the same diagnostics.
            if seen.insert(rendered.clone()) {
                term.pass_on(rendered.trim_end());
                report.findings.extend(finding(&diagnostic, &project.root));
            }
            Ok(())
        };
        let (ended, words) = term.foreign(|| clippy.watch(REMEMBERED, each))?;
        if let Err(error) = ended {
            report.passed = false;
            report.detail = why(&words, &report.findings, &error);
            break;
        }
    }
    Ok(report)
}

/// Why clippy failed: its findings, or its error.
fn why(words: &str, findings: &[CheckFinding], error: &anyhow::Error) -> String {
    if words.contains("--locked was passed") || words.contains("needs to be updated") {
        return "Cargo.lock is not up to date: run `cargo update --workspace`".to_owned();
    }
    match findings.len() {
        0 => format!("{error:#}"),
        found => format!("{}, above", count(found, "finding")),
    }
}

/// A diagnostic as a finding; `None` for a summary without a place.
fn finding(diagnostic: &Diagnostic, root: &Path) -> Option<CheckFinding> {
    let severity = match diagnostic.level {
        DiagnosticLevel::Error | DiagnosticLevel::Ice => Severity::Error,
        DiagnosticLevel::Warning => Severity::Warning,
        _ => return None,
    };
    let span = diagnostic.spans.iter().find(|span| span.is_primary)?;
    let place =
        Place::at(&relative(Path::new(&span.file_name), root), span.line_start, span.column_start);
    let suggested = diagnostic.children.iter().flat_map(|child| &child.spans);
    let fixable = suggested
        .clone()
        .any(|span| span.suggestion_applicability == Some(Applicability::MachineApplicable));
    let help = diagnostic.children.iter().find(|child| child.level == DiagnosticLevel::Help);
    let fix = if fixable {
        "run `cargo dockless check --fix`".to_owned()
    } else {
        help.map_or_else(String::new, |help| help.message.clone())
    };
    let id = diagnostic.code.as_ref().map_or("rustc", |code| &code.code).to_owned();
    let url = id
        .strip_prefix("clippy::")
        .map(|lint| format!("https://rust-lang.github.io/rust-clippy/stable/index.html#{lint}"));
    let why = diagnostic.message.clone();
    Some(CheckFinding { id, url, finding: Finding { rule: "clippy", severity, place, why, fix } })
}

/// The path relative to the workspace's folder, as code scanning wants it.
fn relative(file: &Path, root: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_owned()
}

/// `1 file`, `2 files`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// cargo's metadata of all packages in the lock file, which is not changed.
pub fn metadata(
    project: &Project,
    network: Network,
    more: &[String],
) -> Result<cargo_metadata::Metadata> {
    let cargo = project
        .cargo("metadata")
        .args(["--format-version", "1", "--locked"])
        .args(more)
        .args(network.cargo_arg());
    serde_json::from_str(&cargo.read()?).with_context(|| format!("read the output of `{cargo}`"))
}
