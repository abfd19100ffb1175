//! fmt and clippy as one verdict.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::process::Program;
use crate::project::Project;
use crate::term::{Table, Term};

/// One check and what came of it.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub check: &'static str,
    pub result: Outcome,
    pub detail: String,
    #[serde(skip)]
    time: Duration,
}

/// What came of a check. One that did not run has not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Passed,
    Failed,
    NotRun,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotRun => "not run",
        }
    }
}

impl Verdict {
    /// Whether it stands in the way: audit alone may be absent.
    pub fn fails(&self) -> bool {
        self.result == Outcome::Failed || (self.result == Outcome::NotRun && self.check != AUDIT)
    }
}

/// The check that this version lists and does not have.
const AUDIT: &str = "audit";

/// Runs all checks, whatever comes of each, fmt while clippy compiles.
pub fn check(project: &Project, locked: bool, offline: bool, term: &Term) -> Vec<Verdict> {
    term.step("check", "fmt and clippy");
    let clippy = project
        .cargo("clippy")
        .args(["--workspace", "--all-targets", "--color", term.color_arg()])
        .args(locked.then_some("--locked"))
        .args(offline.then_some("--offline"))
        .args(term.quiet().then_some("--quiet"))
        .args(["--", "--deny", "warnings"]);
    let fmt = project.cargo("fmt").args(["--all", "--", "--check", "--color", "never"]);
    let mut said = String::new();
    let (fmt, clippy) = std::thread::scope(|scope| {
        // fmt's messages are held back, so that they do not mix with clippy's.
        let fmt = scope.spawn(|| {
            let hold = |program: &Program<'_>| {
                let output = program.output()?;
                said = String::from_utf8_lossy(&output.stdout).into_owned() + &output.stderr;
                Ok(output.status.success())
            };
            run("fmt", project, &fmt, hold)
        });
        let show = |program: &Program<'_>| Ok(program.pass_stderr()?.success());
        let clippy = run("clippy", project, &clippy, show);
        let died =
            |_| verdict("fmt", Outcome::NotRun, "the thread that ran it panicked", Duration::ZERO);
        (fmt.join().unwrap_or_else(died), clippy)
    });
    said.lines().for_each(|line| term.note(line));
    vec![
        fmt,
        clippy,
        verdict(AUDIT, Outcome::NotRun, "this version reads no advisory database", Duration::ZERO),
    ]
}

/// The verdicts as a table.
pub fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new(&["check", "result", "time", "detail"]);
    for verdict in verdicts {
        let time = format!("{:.1}s", verdict.time.as_secs_f64());
        table.row([
            verdict.check.into(),
            verdict.result.word().into(),
            time,
            verdict.detail.clone(),
        ]);
    }
    table
}

fn verdict(
    check: &'static str,
    result: Outcome,
    detail: impl Into<String>,
    time: Duration,
) -> Verdict {
    Verdict { check, result, detail: detail.into(), time }
}

/// Runs one check by `start`, which says whether it passed. A component that
/// the toolchain lacks is a check that did not run.
fn run(
    check: &'static str,
    project: &Project,
    program: &Program<'_>,
    start: impl FnOnce(&Program<'_>) -> Result<bool>,
) -> Verdict {
    let started = Instant::now();
    if let Err(error) = project.cargo(check).arg("--version").read() {
        let component = if check == "fmt" { "rustfmt" } else { check };
        let detail = format!("{}; run `rustup component add {component}`", error.root_cause());
        return verdict(check, Outcome::NotRun, detail.replace('\n', " "), started.elapsed());
    }
    match start(program) {
        Ok(true) => verdict(check, Outcome::Passed, "", started.elapsed()),
        Ok(false) => verdict(
            check,
            Outcome::Failed,
            format!("its messages are above: `{program}`"),
            started.elapsed(),
        ),
        Err(error) => verdict(check, Outcome::NotRun, format!("{error:#}"), started.elapsed()),
    }
}
