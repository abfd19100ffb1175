//! What each crate costs to compile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::bench::{self, Bench};
use crate::spent::children;

/// The file that each compiler appends its crate and CPU time to.
pub const LOG: &str = "DOCKLESS_COLD_LOG";

/// The marks around the table in CONTRIBUTING.md.
const BEGIN: &str = "<!-- costs -->\n";
const END: &str = "<!-- /costs -->\n";

/// The crates that cost less than this, in seconds, share a row.
const LEAST: f64 = 0.5;

/// Runs the compiler in whose place cargo started this program, and writes down what it took.
pub fn wrapped(log: &Path) -> ExitCode {
    let compile = || -> Result<ExitCode> {
        let args: Vec<_> = std::env::args_os().skip(1).collect();
        let (rustc, args) = args.split_first().context("find the compiler's name")?;
        let status = Command::new(rustc).args(args).status().context("start the compiler")?;
        let mut names = args.iter().skip_while(|arg| *arg != "--crate-name").skip(1);
        if let Some(name) = names.next() {
            let mut log = OpenOptions::new().append(true).create(true).open(log)?;
            let spent = children()?.as_secs_f64();
            log.write_all(format!("{} {spent}\n", name.to_string_lossy()).as_bytes())?;
        }
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    };
    compile().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Measures all crates of a cold build and writes the table.
pub fn costs(bench: &Bench) -> Result<String> {
    let log = bench.dir.join("costs.log");
    let target = bench.dir.join("costs");
    let exe = std::env::current_exe().context("find this program")?;
    let build = bench.command("cargo", &bench.repository).args(["xtask", "--help"]);
    build.env("RUSTC_WRAPPER", exe).env(LOG, &log).env("CARGO_TARGET_DIR", &target).read()?;
    bench::remove(&target)?;
    let text = table(&spent(&bench::read(&log)?)?, &crates(bench)?);
    let page = bench.repository.join("CONTRIBUTING.md");
    let old = bench::read(&page)?;
    let (before, rest) = old.split_once(BEGIN).context("find the table in CONTRIBUTING.md")?;
    let (_, after) = rest.split_once(END).context("find the end of the table")?;
    bench::write(&page, &format!("{before}{BEGIN}{text}{END}{after}"))?;
    Ok(text)
}

/// The CPU-seconds by crate; build scripts count for one crate together.
fn spent(log: &str) -> Result<BTreeMap<String, f64>> {
    let mut spent = BTreeMap::new();
    for line in log.lines() {
        let (name, seconds) = line.split_once(' ').context("read the log")?;
        *spent.entry(name.to_owned()).or_insert(0.0) += seconds.parse::<f64>()?;
    }
    Ok(spent)
}

/// The crates that a build for x86_64 Linux compiles, with build scripts and macros.
fn crates(bench: &Bench) -> Result<BTreeSet<String>> {
    let tree = bench.command("cargo", &bench.repository).args([
        "tree",
        "--package=dockless",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
        "--target=x86_64-unknown-linux-gnu",
    ]);
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    Ok(tree.read()?.lines().filter_map(name).filter(|name| !name.is_empty()).collect())
}

fn table(spent: &BTreeMap<String, f64>, crates: &BTreeSet<String>) -> String {
    let of = |name: &String| spent.get(&name.replace('-', "_")).copied().unwrap_or(0.0);
    let mut rows: Vec<(&String, f64)> = crates.iter().map(|name| (name, of(name))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let all: f64 = spent.values().sum();
    let mut text = format!(
        "{} crates take {all:.0} CPU-seconds.\n\n| crate | CPU-seconds |\n|---|--:|\n",
        crates.len()
    );
    let (large, small): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, cost)| *cost >= LEAST);
    for (name, cost) in large {
        text += &format!("| {name} | {cost:.1} |\n");
    }
    let scripts = spent.iter().filter(|(name, _)| name.starts_with("build_script"));
    text += &format!("| build scripts | {:.1} |\n", scripts.map(|(_, cost)| cost).sum::<f64>());
    let names: Vec<&str> = small.iter().map(|(name, _)| name.as_str()).collect();
    let rest: f64 = small.iter().map(|(_, cost)| cost).sum();
    text += &format!("| {} | {rest:.1} |\n", names.join(", "));
    text
}
