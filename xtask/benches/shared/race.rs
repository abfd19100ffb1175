//! Contestants that take turns.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

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

/// What one contestant took, in the order of the rounds.
pub struct Times {
    pub name: String,
    pub all: Vec<Duration>,
}

impl Times {
    /// The upper one of two in the middle: nobody is made faster by it.
    pub fn median(&self) -> Result<Duration> {
        let mut sorted = self.all.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().with_context(|| format!("nobody ran {}", self.name))
    }

    pub fn fastest(&self) -> Result<Duration> {
        self.all.iter().min().copied().with_context(|| format!("nobody ran {}", self.name))
    }
}

/// Runs all in turn, so that noise hits all alike, after one round that counts
/// for nothing. `before` is called at the start of each round.
pub fn run(
    rounds: usize,
    mut contestants: Vec<Contestant<'_>>,
    mut before: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<Times>> {
    ensure!(!contestants.is_empty(), "nobody takes part");
    let mut times = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
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
    let names = contestants.into_iter().map(|contestant| contestant.name);
    Ok(names.zip(times).map(|(name, all)| Times { name, all }).collect())
}
