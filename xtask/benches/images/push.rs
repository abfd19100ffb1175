//! Images pushed to a registry of this machine, and to one that is far away.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::{Run, write};
use crate::engines::{Way, time};
use crate::page::{self, Goal};
use crate::parts::{CARGO, Field, MEMORY};
use crate::program::NAME;
use crate::race::{self, Contestant, Times};
use crate::registry::{self, Link, Registry};

/// How often each contestant runs; with the long way, and where ko compiles, less often.
const ROUNDS: usize = 15;
const LONG_ROUNDS: usize = 7;

/// How far the other registry is: a round trip, and how often each contestant goes there.
const AWAY: [(Duration, usize); 2] =
    [(Duration::from_millis(50), LONG_ROUNDS), (Duration::from_millis(150), LONG_ROUNDS - 2)];
/// How much a slow link carries, in bits a second.
const SLOW: f64 = 20e6;

/// What is to be reached: of each peer's time, beyond cargo's own no-op, and of ko's.
const OF_CRANE: f64 = 0.3;
const OF_BUILDAH: f64 = 0.1;
const BEYOND_CARGO: f64 = 60.0;
const OF_KO: f64 = 0.45;
/// What is to be reached far away, of ko's time, and of the time of the bytes alone.
const FAR_OF_KO: f64 = 0.25;
const OF_BYTES: f64 = 1.05;

const CRANE: &str = "crane append";
const KO: &str = "ko, with its cache";
const KO_AS_SHIPPED: &str = "ko, as shipped";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Changed,
    Same,
    Platforms,
}

/// Lets all push in turn. `None`, said aloud, where there is no registry to push to.
pub fn measure(field: &Field<'_>, near: bool, far: bool) -> Result<Option<String>> {
    let Some(registry) = Registry::start(field.bench)? else { return Ok(None) };
    field.prepare(&registry.host)?;
    let mut text = String::new();
    let works = [Work::Changed, Work::Same, Work::Platforms];
    for work in works.into_iter().filter(|_| near) {
        let (rows, peers) = field.race(work, &registry.host, Way::ALL.to_vec(), ROUNDS)?;
        text += &page::table(work.name(), &rows, &peers)?;
        text += &field.verdict(work, &registry.host, &rows, &peers)?;
        text += "\n";
    }
    if far {
        for (round_trip, rounds) in AWAY {
            text += &field.far(&registry.host, round_trip, rounds)?;
        }
        text += &field.slow(&registry.host)?;
    }
    Ok(Some(text))
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Changed => "another binary, pushed",
            Work::Same => "nothing changed, pushed",
            Work::Platforms => "another binary for each of two platforms, pushed",
        }
    }

    fn platforms(self) -> usize {
        if self == Work::Platforms { 2 } else { 1 }
    }
}

type Rows = (Vec<Times>, Vec<(&'static str, &'static str)>);

impl Field<'_> {
    /// Puts the peers' base into the registry, and makes a program for ko.
    fn prepare(&self, host: &str) -> Result<()> {
        let Field { bench, engines, program, .. } = self;
        engines.prepare(&program.context, &[])?;
        let push = ["push", "-q", "--tls-verify=false", "base-amd64"];
        engines.run("buildah").args(push).arg(format!("docker://{host}/base:1")).read()?;
        let dir = bench.dir.join("ko");
        write(&dir.join("go.mod"), "module hello\n\ngo 1.19\n")?;
        write(&dir.join("main.go"), &main_go(0))?;
        Ok(())
    }

    /// A registry that is so far away.
    fn far(&self, host: &str, round_trip: Duration, rounds: usize) -> Result<String> {
        let far = registry::far(host, Link { round_trip, rate: None })?;
        let ours = format!("{}, cargo's time off", self.tools[0].0);
        let mut text = String::new();
        for work in [Work::Changed, Work::Same] {
            let (rows, peers) = self.race(work, &far, vec![Way::Commands], rounds)?;
            let name = format!("{}, {} ms away", work.name(), round_trip.as_millis());
            text += &page::table(&name, &rows, &peers)?;
            let goal = match work {
                Work::Same => [(KO, KO)].map(|peer| (peer, FAR_OF_KO)),
                _ => [("crane", CRANE)].map(|peer| (peer, OF_CRANE)),
            };
            for (peer, most) in goal {
                if let Some(share) = page::share(&rows, &ours, peer.0, &[peer])? {
                    let what = format!("{ours}, of {}", peer.1);
                    text += &page::goal(&what, Goal::AtMost(most), share);
                }
            }
            text += "\n";
        }
        Ok(text)
    }

    /// A registry at the end of a slow link, and how long the bytes alone take.
    fn slow(&self, host: &str) -> Result<String> {
        let link = Link { round_trip: Duration::ZERO, rate: Some(SLOW / 8.0) };
        let slow = registry::far(host, link)?;
        let (rows, peers) = self.race(Work::Changed, &slow, Vec::new(), LONG_ROUNDS)?;
        let name = format!("{}, over {:.0} Mbit/s", Work::Changed.name(), SLOW / 1e6);
        let mut text = page::table(&name, &rows, &peers)?;
        self.program.change()?;
        let said = self.pushing(&self.tools[0].1, &slow, Work::Changed).arg("--json").read()?;
        let said: Value = serde_json::from_str(&said).context("read what dockless printed")?;
        let bytes = said["images"][0]["pushed"][0]["sent"]["bytes"].as_f64();
        let alone = bytes.context("find how much was sent")? * 8.0 / SLOW;
        let ours = format!("{}, cargo's time off", self.tools[0].0);
        let row = rows.iter().find(|row| row.name == ours).context("find our row")?;
        let what = format!("{ours}, of the {:.0} ms of the bytes alone", alone * 1e3);
        let share = row.median()?.as_secs_f64() / alone;
        text += &page::goal(&what, Goal::AtMost(OF_BYTES), share);
        Ok(text + "\n")
    }

    fn race(&self, work: Work, host: &str, ways: Vec<Way>, rounds: usize) -> Result<Rows> {
        let Field { bench, tools, engines, program } = *self;
        let change = || if work == Work::Same { Ok(()) } else { program.change() };
        let mut contestants = Vec::new();
        let mut peers = Vec::new();
        for (name, tool) in tools {
            contestants.push(Contestant::new(format!("{name}, cargo's time off"), move || {
                change()?;
                let (time, reference) = self.dockless(tool, host, work)?;
                self.check(&reference, work)?;
                Ok(time)
            }));
        }
        if work == Work::Same {
            contestants.push(Contestant::new(CARGO, || program.cargo(bench, 1)?.time()));
        }
        if work == Work::Changed && bench.installed("crane", &["version"])?.is_some() {
            peers.push(("crane", CRANE));
            contestants.push(Contestant::new(CRANE, move || {
                change()?;
                self.crane(host)
            }));
        }
        for way in engines.ways().into_iter().filter(|way| ways.contains(way)) {
            // docker's own store holds one platform.
            if way == Way::Docker && work == Work::Platforms {
                continue;
            }
            peers.push((way.engine(), way.pushes()));
            contestants.push(Contestant::new(way.pushes(), move || {
                change()?;
                engines.forget_list(way)?;
                let to = format!("{host}/{}", way.engine());
                let runs = engines.push(way, &program.context, work.platforms(), &to);
                let took = time(runs)?;
                self.check(&format!("{to}:1"), work)?;
                Ok(took)
            }));
        }
        if work != Work::Platforms && bench.installed("ko", &["version"])?.is_some() {
            for (name, cached) in [(KO, true), (KO_AS_SHIPPED, false)] {
                peers.push(("ko", name));
                let mut contestant = Contestant::new(name, move || self.ko(host, work, cached));
                contestant.every = if work == Work::Changed { 3 } else { 1 };
                contestants.push(contestant);
            }
        }
        peers.sort();
        Ok((race::run(rounds, contestants, |_| Ok(()))?, peers))
    }

    /// How long a push takes without cargo, and what was pushed.
    fn dockless(&self, tool: &Path, host: &str, work: Work) -> Result<(Duration, String)> {
        let run = self.pushing(tool, host, work).arg("--json");
        let started = Instant::now();
        let said = run.read()?;
        let took = started.elapsed();
        let said: Value = serde_json::from_str(&said).context("read what dockless printed")?;
        let cargo = said["images"][0]["cargo"].as_f64().context("find cargo's time")?;
        let reference =
            said["images"][0]["references"][0].as_str().context("find the reference")?;
        Ok((took.saturating_sub(Duration::from_secs_f64(cargo)), reference.to_owned()))
    }

    fn pushing(&self, tool: &Path, host: &str, work: Work) -> Run {
        let run = self.bench.command(tool, &self.program.root).args(["image", "--quiet", "--push"]);
        let only = (work != Work::Platforms).then_some(["--platform", "linux/amd64"]);
        run.args(["--repository", host]).args(only.into_iter().flatten())
    }

    /// One layer with the binary on the base that is in the registry.
    fn crane(&self, host: &str) -> Result<Duration> {
        let tar = self.bench.dir.join("crane.tar");
        let mut layer = tar::Builder::new(std::fs::File::create(&tar).context("make a tar")?);
        let binary = self.program.context.join(format!("{NAME}-amd64"));
        layer.append_path_with_name(binary, format!("usr/local/bin/{NAME}")).context("fill it")?;
        layer.finish().context("finish it")?;
        let (base, to) = (format!("{host}/base:1"), format!("{host}/crane:1"));
        let run = self.bench.command("crane", &self.bench.dir);
        let time =
            run.args(["append", "--base", &base, "--new_tag", &to]).arg("-f").arg(&tar).time()?;
        self.check(&to, Work::Changed)?;
        Ok(time)
    }

    /// A program of its own, which it compiles where that is part of the work.
    fn ko(&self, host: &str, work: Work, cached: bool) -> Result<Duration> {
        let dir = self.bench.dir.join("ko");
        if work == Work::Changed {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().context("read the clock")?;
            write(&dir.join("main.go"), &main_go(now.as_nanos()))?;
        }
        let run = self.bench.command("ko", &dir).args(["build", "--bare", "--sbom=none", "."]);
        let run = run
            .env("KO_DOCKER_REPO", format!("{host}/ko"))
            .env("KO_DEFAULTBASEIMAGE", format!("{host}/base:1"))
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOTOOLCHAIN", "local");
        match cached {
            true => run.env("KOCACHE", self.bench.dir.join("kocache")).time(),
            false => run.time(),
        }
    }

    /// Fails unless what is in the registry holds the newest binary.
    fn check(&self, reference: &str, work: Work) -> Result<()> {
        if self.bench.installed("crane", &["version"])?.is_none() {
            return Ok(());
        }
        for arch in ["amd64", "arm64"].iter().take(work.platforms()) {
            let platform = format!("--platform=linux/{arch}");
            let mut run = self.bench.command("crane", &self.bench.dir);
            run = run.args(["export", &platform, reference, "-"]);
            let output = run.0.output().context("start crane")?;
            let new = memchr::memmem::find(&output.stdout, &self.program.mark()).is_some();
            ensure!(new, "{reference} does not hold the newest binary for {arch}");
        }
        Ok(())
    }

    /// What was to be reached.
    fn verdict(
        &self,
        work: Work,
        host: &str,
        rows: &[Times],
        peers: &[(&str, &str)],
    ) -> Result<String> {
        let ours = format!("{}, cargo's time off", self.tools[0].0);
        let mut text = String::new();
        let share = |engine: &str| page::share(rows, &ours, engine, peers);
        match work {
            Work::Changed => {
                for (engine, most) in [("crane", OF_CRANE), ("buildah", OF_BUILDAH)] {
                    if let Some(share) = share(engine)? {
                        let what = format!("{ours}, of {engine}");
                        text += &page::goal(&what, Goal::AtMost(most), share);
                    }
                }
                self.program.change()?;
                let bytes = self.pushing(&self.tools[0].1, host, work).peak()?;
                text += &page::memory(self.tools[0].0, bytes, Some(MEMORY));
            }
            Work::Same => {
                let ours = rows.iter().find(|row| row.name == ours).context("find our row")?;
                let beyond = ours.median()?.as_secs_f64() * 1e3;
                text += &page::goal("ms beyond cargo's own", Goal::AtMost(BEYOND_CARGO), beyond);
                if let Some(ko) = rows.iter().find(|row| row.name == KO) {
                    let cargo =
                        rows.iter().find(|row| row.name == CARGO).context("find cargo's row")?;
                    let all = ours.median()? + cargo.median()?;
                    let share = all.as_secs_f64() / ko.median()?.as_secs_f64();
                    text +=
                        &page::goal("all of it, of ko with its cache", Goal::AtMost(OF_KO), share);
                }
            }
            Work::Platforms => {}
        }
        Ok(text)
    }
}

/// A program for ko; another number makes another binary.
fn main_go(number: u128) -> String {
    format!(
        "package main\n\nimport \"fmt\"\n\nfunc main() {{\n\tfmt.Println(\"hello {number}\")\n}}\n"
    )
}
