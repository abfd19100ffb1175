//! Time, and the time of processors.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::Run;

/// What a program took, with all that it started.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub cpu: Duration,
    pub time: Duration,
}

impl Spent {
    pub fn by(run: Run) -> Result<Spent> {
        let before = children()?;
        let time = run.time()?;
        Ok(Spent { cpu: children()?.saturating_sub(before), time })
    }
}

/// The CPU time of all children that have ended, and of theirs: fields 16 and 17
/// of proc_pid_stat(5), in hundredths of a second, which is what Linux counts in
/// on every architecture that this is run on.
pub fn children() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    // The name in field 2 may hold anything, but it ends at the last bracket.
    let (_, fields) = stat.rsplit_once(')').context("read /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().context("read /proc/self/stat")?;
    Ok(Duration::from_millis(ticks * 10))
}
