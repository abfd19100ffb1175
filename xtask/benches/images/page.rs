//! Tables and goals.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use crate::race::Times;

/// The goal that a number is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

pub fn head(machine: &str) -> String {
    format!(
        "# How fast images are made\n\n\
         Every tool makes the same image from the same binary and base, in turn, so that noise\n\
         affects all of them alike. Ratios are those of the medians, against the fastest way of each\n\
         engine. Nothing is compiled: before each run a binary that differs in one place replaces the\n\
         one that cargo built, and after it the image is checked to contain that binary. buildah and\n\
         podman write an OCI layout with gzip, as dockless does. docker can only save an archive, and\n\
         does not compress it.\n\
         \"cargo's share off\" is the time of a run without cargo's time in the same round.\n\n\
         {machine}\n\n\
         `cargo bench -p dockless --bench images -- --write` makes this page.\n\n"
    )
}

/// The rows with their ratios to each engine. An engine has several rows in `peers` (engine,
/// row); the fastest one counts.
pub fn table(work: &str, rows: &[Times], peers: &[(&str, &str)]) -> Result<String> {
    let mut engines: Vec<&str> = peers.iter().map(|(engine, _)| *engine).collect();
    engines.dedup();
    let mut text = format!("| {work} | median | fastest | runs |");
    engines.iter().for_each(|engine| text += &format!(" of {engine} |"));
    text += &format!("\n|---|--:|--:|--:|{}\n", "--:|".repeat(engines.len()));
    for row in rows {
        let (median, fastest) = (row.median()?, row.fastest()?);
        write!(
            text,
            "| {} | {} | {} | {} |",
            row.name,
            said(median),
            said(fastest),
            row.all.len()
        )?;
        for engine in &engines {
            match share(rows, &row.name, engine, peers)? {
                Some(share) => write!(text, " {share:.3} |")?,
                None => text += " |",
            }
        }
        text += "\n";
    }
    text += "\n";
    Ok(text)
}

/// The row's median divided by that of the engine's fastest row; `None` without the engine.
pub fn share(
    rows: &[Times],
    name: &str,
    engine: &str,
    peers: &[(&str, &str)],
) -> Result<Option<f64>> {
    let ways = peers.iter().filter(|(of, _)| *of == engine).map(|(_, way)| *way);
    let ways: Vec<&str> = ways.collect();
    let theirs = rows.iter().filter(|row| ways.contains(&&*row.name)).map(Times::median);
    let theirs = theirs.collect::<Result<Vec<_>>>()?;
    let ours = rows.iter().find(|row| row.name == name);
    let (Some(theirs), Some(ours)) = (theirs.iter().min(), ours) else {
        return Ok(None);
    };
    Ok(Some(ours.median()?.as_secs_f64() / theirs.as_secs_f64()))
}

fn said(time: Duration) -> String {
    match time.as_secs() {
        0..2 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

/// A line for a program's peak memory, in bytes, without its children, and for its goal.
pub fn memory(name: &str, bytes: Option<u64>, most: Option<u64>) -> String {
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let what = format!("peak memory of {name}, in MiB");
    match (bytes, most) {
        (None, _) => format!("- {what}: unknown\n"),
        (Some(bytes), None) => format!("- {what}: {:.1}\n", mib(bytes)),
        (Some(bytes), Some(most)) => goal(&what, Goal::AtMost(mib(most)), mib(bytes)),
    }
}

/// A line for a measured number and whether it reaches its goal.
pub fn goal(what: &str, goal: Goal, found: f64) -> String {
    let (reached, wanted) = match goal {
        Goal::AtMost(most) => (found <= most, format!("at most {most}")),
        Goal::AtLeast(least) => (found >= least, format!("at least {least}")),
    };
    let verdict = if reached { "reached" } else { "MISSED" };
    format!("- {what}: {found:.2} (goal: {wanted}, {verdict})\n")
}
