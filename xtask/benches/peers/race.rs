//! Contestants that take turns, and the table of what came out.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How often each contestant runs, unless it says otherwise.
pub const ROUNDS: usize = 15;

/// One way of doing the work: does it once and says how long it took, without
/// what had to be prepared for it.
pub struct Contestant<'a> {
    pub name: String,
    pub run: Box<dyn FnMut() -> Result<Duration> + 'a>,
    /// It takes part in every such round: 1 for all.
    pub every: usize,
}

impl<'a> Contestant<'a> {
    pub fn new(
        name: impl Into<String>,
        run: impl FnMut() -> Result<Duration> + 'a,
    ) -> Contestant<'a> {
        Contestant { name: name.into(), run: Box::new(run), every: 1 }
    }
}

/// Runs all in turn, so that noise hits all alike, after one round that counts
/// for nothing. The last contestant is the peer that ratios are taken against.
///
/// `before` is called at the start of each round.
pub fn race(
    work: &str,
    mut contestants: Vec<Contestant<'_>>,
    mut before: impl FnMut(usize) -> Result<()>,
) -> Result<String> {
    let mut times = vec![Vec::new(); contestants.len()];
    for round in 0..=ROUNDS {
        before(round)?;
        for turn in 0..contestants.len() {
            // Another one goes first in each round, for it may warm things for the next.
            let index = (turn + round) % contestants.len();
            let contestant = &mut contestants[index];
            if round % contestant.every != 0 {
                continue;
            }
            let time = (contestant.run)().with_context(|| contestant.name.clone())?;
            if round > 0 {
                times[index].push(time);
            }
        }
        eprint!(".");
    }
    eprintln!();
    let names: Vec<String> = contestants.into_iter().map(|contestant| contestant.name).collect();
    table(work, &names, &times)
}

fn table(work: &str, names: &[String], times: &[Vec<Duration>]) -> Result<String> {
    let medians: Vec<Duration> = times.iter().map(|times| median(times)).collect::<Result<_>>()?;
    let peer = medians.last().context("nobody takes part")?;
    let mut text = format!(
        "| {work} | median | fastest | runs | ratio | difference |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for ((name, times), median) in names.iter().zip(times).zip(&medians) {
        let fastest = times.iter().min().context("nothing was measured")?;
        let (median, peer) = (median.as_secs_f64(), peer.as_secs_f64());
        writeln!(
            text,
            "| {name} | {:.1} ms | {:.1} ms | {} | {:.3} | {:+.1} ms |",
            median * 1e3,
            fastest.as_secs_f64() * 1e3,
            times.len(),
            median / peer,
            (median - peer) * 1e3,
        )?;
    }
    Ok(text)
}

/// The upper one of two in the middle: nobody is made faster by it.
fn median(times: &[Duration]) -> Result<Duration> {
    ensure!(!times.is_empty(), "nothing was measured");
    let mut sorted = times.to_vec();
    sorted.sort();
    Ok(sorted[sorted.len() / 2])
}
