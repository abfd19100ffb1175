//! The table of what came out.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::race::{self, Contestant};

/// How often each contestant runs, unless it says otherwise.
pub const ROUNDS: usize = 15;

/// Lets all take turns, and makes a table of it. The last contestant is the peer
/// that ratios are taken against. `before` is called at the start of each round.
pub fn race(
    work: &str,
    contestants: Vec<Contestant<'_>>,
    before: impl FnMut(usize) -> Result<()>,
) -> Result<String> {
    let times = race::run(ROUNDS, contestants, before)?;
    let peer = times.last().context("nobody takes part")?.median()?.as_secs_f64();
    let mut text = format!(
        "| {work} | median | fastest | runs | ratio | difference |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for one in &times {
        let median = one.median()?.as_secs_f64();
        writeln!(
            text,
            "| {} | {:.1} ms | {:.1} ms | {} | {:.3} | {:+.1} ms |",
            one.name,
            median * 1e3,
            one.fastest()?.as_secs_f64() * 1e3,
            one.all.len(),
            median / peer,
            (median - peer) * 1e3,
        )?;
    }
    Ok(text)
}
