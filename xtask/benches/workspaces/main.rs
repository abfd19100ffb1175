//! The plan of large workspaces: `cargo bench -p dockless --bench workspaces`.
//!
//! Two targets, and programs that share libraries: in one kind of workspace all have the same
//! features, in the other a third of them turns on one more. The first plan has an empty cache.
//! `cargo metadata` of the same workspace is beside it, and one `cargo tree` for a package and a
//! target, of which asking about each apart would take one for each.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod bench;
#[path = "../shared/race.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod race;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, INSTALLED, remove, write};
use crate::race::Contestant;

const ROUNDS: usize = 5;
const SIZES: [usize; 4] = [50, 200, 500, 1000];
/// The size that the goal is about.
const GOAL: usize = 200;
/// A first plan takes at most so much of what `cargo metadata` takes, and so much more.
const OF_METADATA: f64 = 1.5;
const BEYOND: Duration = Duration::from_millis(300);
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

fn main() -> ExitCode {
    bench::main(|_| compare())
}

fn compare() -> Result<()> {
    let bench = Bench::new()?;
    println!("{}\n", bench.machine()?);
    println!(
        "| packages | features | cargo metadata | first plan | of cargo metadata | one package's \
         version changed | nothing changed | cargo tree, once |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|--:|");
    let mut verdicts = Vec::new();
    for packages in SIZES {
        for varied in [false, true] {
            let row = measure(&bench, packages, varied)?;
            let [metadata, first, changed, same, tree] = row.map(|time| time.as_secs_f64() * 1e3);
            let features = if varied { "two sets" } else { "equal" };
            println!(
                "| {packages} | {features} | {metadata:.0} ms | {first:.0} ms | {:.2} | \
                 {changed:.0} ms | {same:.0} ms | {tree:.0} ms |",
                first / metadata
            );
            if packages == GOAL {
                let most = metadata * OF_METADATA + BEYOND.as_secs_f64() * 1e3;
                let verdict = if first <= most { "reached" } else { "MISSED" };
                verdicts.push(format!(
                    "- first plan of {packages} packages, {features} features: {first:.0} ms \
                     (goal: at most {most:.0}, {verdict})"
                ));
            }
        }
    }
    println!("\n{}", verdicts.join("\n"));
    Ok(())
}

/// The medians of: `cargo metadata`, the first plan, the plan after a new version of one package,
/// the plan after no change, and `cargo tree` of one package.
fn measure(bench: &Bench, packages: usize, varied: bool) -> Result<[Duration; 5]> {
    let root = workspace(bench, packages, varied)?;
    let cache = bench.cache();
    let plan = || {
        let args = ["release", "--snapshot", "--dry-run", "--quiet", "--offline"];
        let run = bench.command(INSTALLED, &root).args(args);
        run.time()
    };
    let cargo = |args: &[&str]| {
        let cargo = bench.command("cargo", &root).args(args);
        cargo.args(["--locked", "--offline"]).time()
    };
    let mut round = 0;
    let contestants = vec![
        Contestant::new("cargo metadata", || cargo(&["metadata", "--format-version", "1"])),
        Contestant::new("first plan", || {
            remove(&cache.join("graph"))?;
            plan()
        }),
        Contestant::new("a version", || {
            plan()?;
            round += 1;
            program(&root, 0, packages, varied, &format!("0.2.{round}"))?;
            bench.command("cargo", &root).args(["update", "--workspace", "--offline"]).read()?;
            plan()
        }),
        Contestant::new("nothing", || {
            plan()?;
            plan()
        }),
        Contestant::new("cargo tree", || {
            cargo(&["tree", "--package", "app1", "--target", TARGETS[0]])
        }),
    ];
    // What the cache has of earlier workspaces does not count.
    let times = race::run(ROUNDS, contestants, |_| Ok(()))?;
    let medians: Vec<Duration> = times.iter().map(|it| it.median()).collect::<Result<_>>()?;
    <[Duration; 5]>::try_from(medians).ok().context("find all rows")
}

/// Programs, of which ten share a library, and each library uses others.
fn workspace(bench: &Bench, packages: usize, varied: bool) -> Result<PathBuf> {
    let root = bench.dir.join(format!("{packages}-{varied}"));
    let libraries = (packages / 10).max(1);
    ensure!(packages >= 10, "too few packages");
    let members = (0..libraries).map(|at| format!("lib{at}"));
    let members: Vec<String> = members.chain((0..packages).map(|at| format!("app{at}"))).collect();
    write(
        &root.join("Cargo.toml"),
        &format!(
            "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n\
             [workspace.metadata.dockless]\ntargets = {TARGETS:?}\n"
        ),
    )?;
    write(&root.join(".gitignore"), "/target\n/dist\n")?;
    write(&root.join("LICENSE"), "free\n")?;
    for at in 0..libraries {
        let used = match at {
            0 => String::new(),
            _ => format!("lib{0} = {{ path = \"../lib{0}\" }}\n", (at - 1) / 2),
        };
        let dir = root.join(format!("lib{at}"));
        let text = manifest(&format!("lib{at}"), "0.1.0", &used) + "[features]\nmore = []\n";
        write(&dir.join("Cargo.toml"), &text)?;
        write(&dir.join("src/lib.rs"), "")?;
    }
    for at in 0..packages {
        program(&root, at, packages, varied, "0.1.0")?;
        write(&root.join(format!("app{at}/src/main.rs")), "fn main() {}\n")?;
    }
    bench.command("cargo", &root).args(["generate-lockfile", "--offline", "--quiet"]).read()?;
    bench.command("git", &root).args(["init", "--quiet", "--initial-branch", "main"]).read()?;
    bench.command("git", &root).args(["add", "--all"]).read()?;
    bench.commit(&root, "Many programs")?;
    Ok(root)
}

/// A program's manifest. Its dependencies are among those of dockless, so that their sources are
/// on this machine.
fn program(root: &Path, at: usize, packages: usize, varied: bool, version: &str) -> Result<()> {
    let library = at % (packages / 10).max(1);
    let more = if varied && at.is_multiple_of(3) { ", features = [\"more\"]" } else { "" };
    let used = format!(
        "lib{library} = {{ path = \"../lib{library}\"{more} }}\nanyhow = \"1\"\n\
         semver = \"1\"\nserde = \"1\"\n"
    );
    let name = format!("app{at}");
    write(&root.join(&name).join("Cargo.toml"), &manifest(&name, version, &used))
}

fn manifest(name: &str, version: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = {name:?}\nversion = {version:?}\nedition = \"2024\"\n\n\
         [dependencies]\n{dependencies}"
    )
}
