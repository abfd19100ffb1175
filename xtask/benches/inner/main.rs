//! From a saved file to the image in a registry: `cargo bench -p dockless --bench inner`.
//!
//! One line of a program is edited. `dockless image --push` and `dockless watch --push` make an
//! image of it, on a registry of this machine and on one that is 50 ms away; the same call of
//! cargo alone is beside them, in a clone of its own. `ko build` of a Go server is beside
//! `go build` alone. What counts is each tool's time beyond its compiler.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod bench;
#[path = "../shared/cargo.rs"]
mod cargo;
mod projects;
#[path = "../shared/race.rs"]
mod race;
#[path = "../shared/registry.rs"]
mod registry;
mod watching;

use std::cell::Cell;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::bench::{Bench, INSTALLED};
use crate::projects::{Go, Profile, Rust, Size};
use crate::race::{Contestant, Times};
use crate::registry::{Link, Registry};
use crate::watching::Watching;

const ROUNDS: usize = 11;
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// The most that the tool may take beyond cargo, of what ko takes beyond go.
const OF_KO: f64 = 0.2;
/// In milliseconds: the most beyond cargo, with a program of many crates.
const BEYOND_CARGO: f64 = 40.0;
/// The same far away, in round trips.
const ROUND_TRIPS: f64 = 4.0;

const CARGO: &str = "cargo build alone";
const IMAGE: &str = "dockless image --push";
const CARGO_DEV: &str = "cargo build alone, dev profile";
const WATCH: &str = "dockless watch --push, dev profile";
const GO: &str = "go build alone";
const KO: &str = "ko build, with its cache";

fn main() -> ExitCode {
    bench::main(|_| compare())
}

fn compare() -> Result<()> {
    let bench = Bench::new()?;
    let Some(registry) = Registry::start(&bench)? else { return Ok(()) };
    let far = registry::far(&registry.host, Link { round_trip: ROUND_TRIP, rate: None })?;
    println!("{}\n", bench.machine()?);
    for size in [Size::Small, Size::Large] {
        let projects = Projects::make(&bench, size)?;
        for (host, away) in [(&registry.host, Duration::ZERO), (&far, ROUND_TRIP)] {
            println!("{}", projects.raced(host, away)?);
        }
    }
    Ok(())
}

/// The projects that are edited: each contestant has its own.
struct Projects<'a> {
    bench: &'a Bench,
    size: Size,
    cargo: Rust,
    cargo_dev: Rust,
    image: Rust,
    watch: Rust,
    go: Option<(Go, Go)>,
    edits: Cell<u64>,
}

impl<'a> Projects<'a> {
    fn make(bench: &'a Bench, size: Size) -> Result<Projects<'a>> {
        let rust = |name: &str| Rust::make(bench, size, name);
        let has_ko = bench.installed("ko", &["version"])?.is_some();
        // A Go program is edited beside the small one alone.
        let go = match has_ko && size == Size::Small {
            true => Some((Go::make(bench, "go")?, Go::make(bench, "ko")?)),
            false => None,
        };
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().context("read the clock")?;
        Ok(Projects {
            bench,
            size,
            cargo: rust("cargo")?,
            cargo_dev: rust("cargo-dev")?,
            image: rust("image")?,
            watch: rust("watch")?,
            go,
            edits: Cell::new(now.as_secs()),
        })
    }

    /// Another edit than all before.
    fn edit(&self) -> u64 {
        self.edits.set(self.edits.get() + 1);
        self.edits.get()
    }

    fn raced(&self, host: &str, away: Duration) -> Result<String> {
        let bench = self.bench;
        let watching = Watching::start(bench, &self.watch, &format!("{host}/watched"))?;
        let repository = format!("{host}/made");
        let image = || {
            self.image.edit(self.edit())?;
            let run = bench.command(INSTALLED, &self.image.dir);
            let run = run.args(["image", "--quiet", "--push", "--repository", &repository]);
            run.args(["--platform", projects::PLATFORM]).time()
        };
        let cargo = |project: &Rust, profile| {
            project.edit(self.edit())?;
            project.build(bench, profile)?.time()
        };
        let mut contestants = vec![
            Contestant::new(CARGO, || cargo(&self.cargo, Profile::Dist)),
            Contestant::new(IMAGE, image),
            Contestant::new(CARGO_DEV, || cargo(&self.cargo_dev, Profile::Dev)),
            Contestant::new(WATCH, || {
                let saved = Instant::now();
                self.watch.edit(self.edit())?;
                watching.printed()?;
                Ok(saved.elapsed())
            }),
        ];
        if let Some((go, ko)) = &self.go {
            contestants.push(Contestant::new(GO, || {
                go.edit(self.edit())?;
                go.build(bench).time()
            }));
            let (base, to) = (self.base(host)?, format!("{host}/ko"));
            contestants.push(Contestant::new(KO, move || {
                ko.edit(self.edit())?;
                ko.push(bench, &base, &to).time()
            }));
        }
        let times = race::run(ROUNDS, contestants, |_| Ok(()))?;
        self.table(&times, away)
    }

    /// Puts an image into the registry that ko takes as its base: one of ours.
    fn base(&self, host: &str) -> Result<String> {
        let run = self.bench.command(INSTALLED, &self.image.dir);
        let args = ["image", "--quiet", "--push", "--platform", projects::PLATFORM];
        let pushed = run.args(args).args(["--repository", &format!("{host}/base")]).read()?;
        Ok(pushed.lines().last().context("read where the base was pushed")?.to_owned())
    }

    fn table(&self, times: &[Times], away: Duration) -> Result<String> {
        let where_ = match away.as_millis() {
            0 => "a registry on loopback".to_owned(),
            away => format!("a registry {away} ms away"),
        };
        let mut text = format!(
            "| one line of {} edited, {where_} | median | fastest | beyond its compiler |\n\
             |---|--:|--:|--:|\n",
            self.size.name()
        );
        let median = |name: &str| -> Result<Option<f64>> {
            let row = times.iter().find(|row| row.name == name);
            row.map(|row| Ok(row.median()?.as_secs_f64() * 1e3)).transpose()
        };
        let beyond = |name: &str| -> Result<Option<f64>> {
            let compiler = match name {
                IMAGE => CARGO,
                WATCH => CARGO_DEV,
                KO => GO,
                _ => return Ok(None),
            };
            Ok(median(name)?.zip(median(compiler)?).map(|(all, own)| all - own))
        };
        for row in times {
            let (all, fastest) = (row.median()?, row.fastest()?);
            let own = beyond(&row.name)?.map(|own| format!("{own:.0} ms")).unwrap_or_default();
            let [all, fastest] = [all, fastest].map(|it| it.as_secs_f64() * 1e3);
            writeln!(text, "| {} | {all:.0} ms | {fastest:.0} ms | {own} |", row.name)?;
        }
        text.push('\n');
        for name in [IMAGE, WATCH] {
            let own = beyond(name)?.context("find our row")?;
            if let Some(ko) = beyond(KO)? {
                let share = own / ko;
                let what = format!("{name}, beyond its compiler, of ko's");
                text += &goal(&what, share, OF_KO, "");
            }
            if self.size == Size::Large {
                let most = match away {
                    Duration::ZERO => BEYOND_CARGO,
                    away => ROUND_TRIPS * away.as_secs_f64() * 1e3,
                };
                text += &goal(&format!("{name}, beyond cargo"), own, most, " ms");
            }
        }
        Ok(text)
    }
}

fn goal(what: &str, value: f64, most: f64, unit: &str) -> String {
    let verdict = if value <= most { "reached" } else { "MISSED" };
    let digits = if unit.is_empty() { 2 } else { 0 };
    format!("- {what}: {value:.digits$}{unit} (goal: at most {most}{unit}, {verdict})\n")
}
