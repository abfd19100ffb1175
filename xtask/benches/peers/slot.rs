//! What a version alone costs a program that has a slot for it.

use std::cell::RefCell;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, INSTALLED};
use crate::race::{self, Contestant, Times};
use crate::table::ROUNDS;

/// The most that may pass from cargo's last word to the program with its version.
const MOST: f64 = 20.0;

/// What one build took.
struct Built {
    whole: Duration,
    /// From the line by which cargo says that all is built.
    after_cargo: Duration,
    /// The program's, in bytes.
    size: u64,
}

/// A release build after a commit that changes no source: one library, in a program with
/// `option_env!` in a crate of its own, and in one with a slot.
pub fn slot(bench: &Bench) -> Result<String> {
    let project = bench.slot()?;
    let dir = &project.ours;
    let builds = RefCell::new(Vec::new());
    let filled = || {
        let built = build(bench, dir, "slot")?;
        let whole = built.whole;
        builds.borrow_mut().push(built);
        Ok(whole)
    };
    let compiled = || Ok(build(bench, dir, "thin")?.whole);
    let contestants = vec![
        Contestant::new("a slot", filled),
        Contestant::new("`option_env!` in a thin binary crate", compiled),
    ];
    let mut times = race::run(ROUNDS, contestants, |_| Ok(()))?;
    // The first round counts for nothing.
    let builds = builds.into_inner().split_off(1);
    let size = builds.first().context("nothing was built")?.size;
    let name = "a slot: of it, after cargo's last word".to_owned();
    times.push(Times { name, all: builds.iter().map(|built| built.after_cargo).collect() });
    let medians = times.iter().map(|it| Ok(it.median()?.as_secs_f64() * 1e3));
    let medians = medians.collect::<Result<Vec<f64>>>()?;
    let [slot, compiled, after] = medians[..] else { anyhow::bail!("two take part") };
    let mut text = format!(
        "| `dockless build --release` after only the version changed, a program of {:.1} MB | \
         median | fastest | runs | ratio |\n|---|--:|--:|--:|--:|\n",
        size as f64 / 1e6
    );
    for (one, median) in times.iter().zip(&medians) {
        let (fastest, runs) = (one.fastest()?.as_secs_f64() * 1e3, one.all.len());
        let ratio = median / compiled;
        writeln!(
            text,
            "| {} | {median:.1} ms | {fastest:.1} ms | {runs} | {ratio:.3} |",
            one.name
        )?;
    }
    let verdict = if after <= MOST { "reached" } else { "MISSED" };
    writeln!(
        text,
        "\nratio to `option_env!`: {:.3}; after cargo's last word: {after:.1} ms, at most {MOST:.0}: \
         {verdict}",
        slot / compiled
    )?;
    Ok(text)
}

/// Builds a package at a version that nothing was built at, and checks that its program says it.
fn build(bench: &Bench, dir: &Path, package: &str) -> Result<Built> {
    bench.commit(dir, "Nothing")?;
    let mut command =
        bench.command(INSTALLED, dir).args(["build", "--release", "--package", package]).0;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut run = command.spawn().context("start the tool")?;
    let stderr = run.stderr.take().context("open the tool's stderr")?;
    let (mut said, mut cargo_ended) = (Vec::new(), None);
    for line in BufReader::new(stderr).lines() {
        let line = line.context("read the tool's stderr")?;
        if line.contains("Finished") {
            cargo_ended = Some(Instant::now());
        }
        said.push(line);
    }
    let status = run.wait().context("wait for the tool")?;
    let ended = Instant::now();
    let said = said.join("\n");
    ensure!(status.success(), "{command:?} failed ({status}):\n{said}");
    let cargo_ended = cargo_ended.with_context(|| format!("find cargo's last word in:\n{said}"))?;
    let mut path = String::new();
    let mut stdout = run.stdout.take().context("open the tool's stdout")?;
    stdout.read_to_string(&mut path).context("read the tool's stdout")?;
    let path = dir.join(path.trim());
    let commit = bench.command("git", dir).args(["rev-parse", "--short=12", "HEAD"]).read()?;
    let says = bench.command(&path, dir).arg("--version").read()?;
    ensure!(says.contains(commit.trim()), "{package} says {says:?} at commit {commit}");
    Ok(Built {
        whole: ended - started,
        after_cargo: ended - cargo_ended,
        size: std::fs::metadata(&path).context("look at the program")?.len(),
    })
}
