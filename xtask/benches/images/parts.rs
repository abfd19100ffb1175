//! One program's image: after it changed, again, and for two platforms.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::{Bench, Run};
use crate::engines::{Engines, Way, peak, time};
use crate::layout;
use crate::page::{self, Goal};
use crate::program::{NAME, Program, TARGETS};
use crate::race::{self, Contestant, Times};

/// How often each contestant runs.
const ROUNDS: usize = 15;

/// What cargo itself takes of a run in which there is nothing to compile.
pub const CARGO: &str = "cargo build of the same, nothing to do";

/// The goals: of each peer's time, and in bytes.
const TIME: f64 = 0.1;
pub const MEMORY: u64 = 24 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Changed,
    Same,
    Platforms,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Changed, Part::Same, Part::Platforms];

    pub fn name(self) -> &'static str {
        match self {
            Part::Changed => "changed",
            Part::Same => "same",
            Part::Platforms => "platforms",
        }
    }

    fn work(self) -> &'static str {
        match self {
            Part::Changed => "another binary, to a layout of one platform",
            Part::Same => "the same again",
            Part::Platforms => "another binary for each of two platforms",
        }
    }

    fn platforms(self) -> usize {
        if self == Part::Platforms { 2 } else { 1 }
    }
}

/// Who takes part, and with what.
pub struct Field<'a> {
    pub bench: &'a Bench,
    /// The ways in which the tool itself is built, the installed one first.
    pub tools: &'a [(&'a str, PathBuf)],
    pub engines: &'a Engines<'a>,
    pub program: &'a Program,
}

/// Lets all make the image in turn.
pub fn measure(part: Part, field: &Field<'_>) -> Result<String> {
    let Field { bench, tools, engines, program } = *field;
    let platforms = part.platforms();
    let change = || if part == Part::Same { Ok(()) } else { program.change() };
    let layout = program.root.join("dist/images").join(NAME);
    engines.prepare(&program.context, &[])?;
    let ways = engines.ways();
    let mut contestants = Vec::new();
    for (name, tool) in tools {
        let run = || {
            change()?;
            let time = field.image(tool, platforms).time()?;
            layout::check(&layout, &program.mark(), platforms)?;
            Ok(time)
        };
        contestants.push(Contestant::new(*name, run));
    }
    contestants.push(Contestant::new(CARGO, || program.cargo(bench, platforms)?.time()));
    for way in &ways {
        let run = || {
            change()?;
            engines.forget_list(*way)?;
            let time = time(engines.build(*way, &program.context, platforms, &[]))?;
            let (output, mark) = (engines.output(*way), program.mark());
            match way {
                Way::Docker => layout::check_archive(&output, &mark, platforms)?,
                _ => layout::check(&output, &mark, platforms)?,
            }
            Ok(time)
        };
        contestants.push(Contestant::new(way.name(), run));
    }
    let times = race::run(ROUNDS, contestants, |_| Ok(()))?;
    let rows = with_differences(times, tools.len())?;
    let peers = ways.iter().map(|way| (way.engine(), way.name())).collect::<Vec<_>>();
    let binary = program.context.join(format!("{NAME}-{}", TARGETS[0].1));
    let size = binary.metadata().context("look at a binary")?.len();
    let work = format!("{}, {:.1} MB each", part.work(), size as f64 / 1e6);
    let mut text = page::table(&work, &rows, &peers)?;
    if part == Part::Changed {
        text += &field.memory()?;
        for way in ways.iter().filter(|way| **way != Way::Docker) {
            let ours = without_cargo(tools[0].0);
            let peer = [(way.name(), way.name())];
            if let Some(share) = page::share(&rows, &ours, way.name(), &peer)? {
                let what = format!("{ours}, of `{}`", way.name());
                text += &page::goal(&what, Goal::AtMost(TIME), share);
            }
        }
    }
    Ok(text + "\n")
}

impl Field<'_> {
    fn image(&self, tool: &Path, platforms: usize) -> Run {
        let run = self.bench.command(tool, &self.program.root).args(["image", "--quiet"]);
        let only = (platforms == 1).then_some(["--platform", "linux/amd64"]);
        run.args(only.into_iter().flatten())
    }

    /// What each has of memory for another binary.
    fn memory(&self) -> Result<String> {
        let mut text = String::new();
        for (index, (name, tool)) in self.tools.iter().enumerate() {
            self.program.change()?;
            let bytes = self.image(tool, 1).peak()?;
            text += &page::memory(name, bytes, (index == 0).then_some(MEMORY));
        }
        // docker's is its daemon's, which does other things too.
        for way in self.engines.ways().into_iter().filter(|way| *way != Way::Docker) {
            self.program.change()?;
            let bytes = peak(self.engines.build(way, &self.program.context, 1, &[]))?;
            text += &page::memory(way.name(), bytes, None);
        }
        Ok(text)
    }
}

/// The name of a tool's time without what cargo took in the same round.
fn without_cargo(name: &str) -> String {
    format!("{name}, cargo's share off")
}

/// Adds what each of the first `count` takes beyond cargo, round by round.
fn with_differences(times: Vec<Times>, count: usize) -> Result<Vec<Times>> {
    let cargo = times.iter().find(|times| times.name == CARGO).context("find cargo's times")?;
    let differences = times[..count].iter().map(|tool| {
        let all = tool.all.iter().zip(&cargo.all);
        let all = all.map(|(tool, cargo)| tool.saturating_sub(*cargo)).collect();
        Times { name: without_cargo(&tool.name), all }
    });
    let mut rows: Vec<Times> = differences.collect();
    rows.extend(times);
    Ok(rows)
}
