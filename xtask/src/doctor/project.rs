//! What is asked of the project: its checkout, its lock file, and its targets.

use super::{Row, Verdict};
use crate::check;
use crate::finding::{Finding, Place, Severity};
use crate::http::Network;
use crate::plan::{LeftOut, Plan};
use crate::preflight;
use crate::project::Project;
use crate::toolchain;

/// Faults of the commit, which its author decides on, and not of this machine.
const OF_COMMIT: [&str; 5] =
    ["release-tag", "release-dirty", "release-git", "release-input", "forge-tag"];

/// What only a project has.
const NAMES: [&str; 8] = [
    "checkout",
    "Cargo.lock",
    "targets",
    "logins",
    "GITHUB_TOKEN",
    "KREW_GITHUB_TOKEN",
    "advisory database",
    "signing key",
];

/// The rows that are left where nothing is known of the project.
pub fn not_looked_at(why: &str) -> Vec<Row> {
    NAMES.iter().map(|name| Row::not_looked_at(*name, why)).collect()
}

/// Looks at what is in the project's folder.
pub fn look(project: &Project, subject: Option<&check::Subject<'_>>) -> Vec<Row> {
    let mut rows = Vec::new();
    match preflight::checkout(project).first() {
        Some(finding) => rows.push(Row::of("checkout", finding)),
        None if project.git.is_none() => rows.push(Row::ok("checkout", "not of git")),
        None => rows.push(Row::ok("checkout", "it has all commits")),
    }
    if let Some(subject) = subject {
        rows.push(lock(subject));
    }
    rows
}

fn lock(subject: &check::Subject<'_>) -> Row {
    let name = "Cargo.lock";
    match check::look_at_lock(subject) {
        Ok(None) => Row::ok(name, "it is what the manifests say"),
        Ok(Some(why)) => {
            let fix = why.find("run `").map_or("", |at| &why[at..]).to_owned();
            Row::error(name, why, fix)
        }
        Err(error) => Row::of(name, &Finding::of("lock", Place::default(), &error)),
    }
}

/// The targets of the plan, each with what it needs and what is missing.
pub fn targets(plan: &Plan, project: &Project, network: Network) -> Vec<Row> {
    let mut rows: Vec<(String, Row)> = Vec::new();
    let builds = plan.builds.iter();
    for (build, target) in builds.flat_map(|it| it.targets.iter().map(move |target| (it, target))) {
        let name = format!("target {target}");
        if rows.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let row = match toolchain::look(build, target, project, network) {
            Ok(Ok(look)) if !look.has_library => Row::warning(
                &name,
                "the toolchain has no standard library for it; a build installs it",
                format!("run `rustup target add {}`", target.triple()),
            ),
            Ok(Ok(look)) => {
                let linker = look.linker.unwrap_or_else(|| "rustc's own linker".to_owned());
                Row::ok(&name, format!("standard library, {linker}"))
            }
            Ok(Err(left_out)) => Row::of(&name, &left_out.finding()),
            Err(error) => Row::of(&name, &Finding::of("target", Place::default(), &error)),
        };
        rows.push((name, row));
    }
    let forced = plan.left_out.iter().filter(|left| !left.by_choice);
    let left_out = forced.map(|left| Row::of(named(left), &left.finding()));
    rows.into_iter().map(|(_, row)| row).chain(left_out).collect()
}

fn named(left: &LeftOut) -> String {
    let target = left.target.as_ref().map(|it| format!("target {it}"));
    target.unwrap_or_else(|| left.what.clone())
}

/// The rows of findings that have none yet. What is wrong with the commit stops its release, but
/// not those of others.
pub fn of_findings(name: &str, findings: &[Finding]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for finding in findings {
        // Its place is `PACKAGE for TARGET`.
        let place = finding.place.item.as_deref().and_then(|item| item.split_once(" for "));
        let target = place.filter(|_| finding.rule == "not-buildable").map(|(_, target)| target);
        let name = target.map_or_else(|| name.to_owned(), |target| format!("target {target}"));
        let mut row = Row::of(name, finding);
        if OF_COMMIT.contains(&finding.rule) && finding.severity == Severity::Error {
            row.verdict = Verdict::Warning;
        }
        if rows.iter().all(|known| known.detail != row.detail) {
            rows.push(row);
        }
    }
    rows
}
