//! Manifests of five packages in which nothing changed, resolved against a registry on this
//! machine: `cargo bench -p dockless --bench resolve`.
//!
//! The same call to cargo alone is beside it, and `ko resolve` of five Go packages. Each run is
//! checked to have found five images.
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
#[path = "../shared/race.rs"]
mod race;
#[path = "../shared/registry.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod registry;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, INSTALLED, Run, write};
use crate::race::{Contestant, Times};
use crate::registry::Registry;

const ROUNDS: usize = 15;
const PACKAGES: [&str; 5] = ["one", "two", "three", "four", "five"];
/// In milliseconds: at most so much is the tool's own share.
const BEYOND_CARGO: f64 = 100.0;

const OURS: &str = "dockless resolve";
const CARGO: &str = "cargo build of the same, nothing to do";
const KO: &str = "ko resolve of five Go packages, with its cache";

/// As a release of this repository is built.
const MANIFEST: &str = "[workspace]\nresolver = \"3\"\n\
                        members = [\"one\", \"two\", \"three\", \"four\", \"five\"]\n\n\
                        [profile.release]\npanic = \"abort\"\nstrip = true\n";

fn main() -> ExitCode {
    bench::main(|_| compare())
}

fn compare() -> Result<()> {
    let bench = Bench::new()?;
    let Some(registry) = Registry::start(&bench)? else { return Ok(()) };
    let host = &*registry.host;
    let rust = rust(&bench)?;
    let unoptimised = bench.unoptimised()?;
    let resolve = |tool: &Path| {
        let repository = format!("{host}/ours");
        let args = ["resolve", "--quiet", "-f", "pods.yaml", "--repository", &repository];
        resolved(bench.command(tool, &rust.ours).args(args))
    };
    let cargo = || rust.cargo(&bench)?.time();
    resolve(Path::new(INSTALLED))?;
    cargo()?;
    let mut contestants = vec![
        Contestant::new(OURS, || resolve(Path::new(INSTALLED))),
        Contestant::new("dockless resolve, dev build of the tool", || resolve(&unoptimised)),
        Contestant::new(CARGO, cargo),
    ];
    let peer = bench.installed("ko", &["version"])?;
    if peer.is_some() {
        let go = go(&bench)?;
        let base = base(&bench, &rust, host)?;
        for (name, cache) in [(KO, true), ("ko, as shipped", false)] {
            let (bench, go, base) = (&bench, go.clone(), base.clone());
            contestants.push(Contestant::new(name, move || ko(bench, &go, host, &base, cache)));
        }
    }
    let times = race::run(ROUNDS, contestants, |_| Ok(()))?;
    let peer = peer.map_or("no ko on PATH".to_owned(), |version| format!("ko {}", version.trim()));
    println!("{}, {peer}\n", bench.machine()?);
    print(&times)
}

/// The table, and what was to be reached.
fn print(times: &[Times]) -> Result<()> {
    let median = |name: &str| -> Result<Option<f64>> {
        let row = times.iter().find(|row| row.name == name);
        row.map(|row| Ok(row.median()?.as_secs_f64() * 1e3)).transpose()
    };
    let (ours, cargo) = (median(OURS)?, median(CARGO)?);
    let (ours, cargo) = (ours.context("find our row")?, cargo.context("find cargo's row")?);
    let work = "five images, nothing changed, registry on loopback";
    println!("| {work} | median | fastest | runs | beyond cargo |");
    println!("|---|--:|--:|--:|--:|");
    for row in times {
        let [median, fastest] = [row.median()?, row.fastest()?].map(|it| it.as_secs_f64() * 1e3);
        println!(
            "| {} | {median:.1} ms | {fastest:.1} ms | {} | {:+.1} ms |",
            row.name,
            row.all.len(),
            median - cargo
        );
    }
    let beyond = ours - cargo;
    let verdict = if beyond <= BEYOND_CARGO { "reached" } else { "MISSED" };
    println!("\n- ms beyond cargo's own: {beyond:.1} (goal: at most {BEYOND_CARGO}, {verdict})");
    if let Some(ko) = median(KO)? {
        println!("- all of it, of ko with its cache: {:.2}", ours / ko);
    }
    Ok(())
}

/// Runs it to its end, which must have printed five references by digest.
fn resolved(run: Run) -> Result<Duration> {
    let started = Instant::now();
    let printed = run.read()?;
    let took = started.elapsed();
    let found = printed.matches("@sha256:").count();
    ensure!(found == PACKAGES.len(), "{found} images are in {printed}");
    Ok(took)
}

/// The Rust packages, and a clone of them for cargo alone.
struct Rust {
    ours: PathBuf,
    clone: PathBuf,
    target: String,
}

impl Rust {
    /// The call to cargo that the tool makes.
    fn cargo(&self, bench: &Bench) -> Result<Run> {
        let packages = PACKAGES.iter().flat_map(|name| ["--package", name]);
        let profile = ["--profile", "dist", "--config", "profile.dist.inherits=\"release\""];
        let more = ["--locked", "--message-format", "json-render-diagnostics"];
        let run = cargo::call(bench, &self.clone)?;
        let run = run.arg("build").args(packages).args(profile).args(more);
        Ok(run.args(["--target", &self.target]))
    }
}

fn rust(bench: &Bench) -> Result<Rust> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let dir = bench.dir.join("rust");
    let [ours, clone] = ["ours", "cargo"].map(|name| dir.join(name));
    let rust = Rust { ours, clone, target };
    if rust.clone.is_dir() {
        return Ok(rust);
    }
    let root = &rust.ours;
    let settings = format!("\n[workspace.metadata.dockless]\ntargets = [{:?}]\n", rust.target);
    write(&root.join("Cargo.toml"), &format!("{MANIFEST}{settings}"))?;
    let linker = format!("[target.{}]\nlinker = \"rust-lld\"\n", rust.target);
    write(&root.join(".cargo/config.toml"), &linker)?;
    write(&root.join(".gitignore"), "/target\n/dist\n")?;
    for name in PACKAGES {
        let package =
            format!("[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        write(&root.join(name).join("Cargo.toml"), &package)?;
        let main = format!("fn main() {{\n    println!({name:?});\n}}\n");
        write(&root.join(name).join("src/main.rs"), &main)?;
    }
    write(&root.join("pods.yaml"), &pods("dockless://"))?;
    bench.command("cargo", root).args(["generate-lockfile", "--quiet"]).read()?;
    bench.command("git", root).args(["init", "--quiet", "--initial-branch", "main"]).read()?;
    bench.command("git", root).args(["add", "--all"]).read()?;
    bench.commit(root, "Five programs")?;
    bench.command("git", &dir).args(["clone", "--quiet", "ours", "cargo"]).read()?;
    Ok(rust)
}

/// A pod for each package.
fn pods(before: &str) -> String {
    let pod = |name: &&str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  \
             - name: {name}\n    image: {before}{name}\n"
        )
    };
    PACKAGES.iter().map(pod).collect::<Vec<_>>().join("---\n")
}

/// The Go packages.
fn go(bench: &Bench) -> Result<PathBuf> {
    let dir = bench.dir.join("go");
    write(&dir.join("go.mod"), "module hello\n\ngo 1.19\n")?;
    for name in PACKAGES {
        let main = format!(
            "package main\n\nimport \"fmt\"\n\nfunc main() {{\n\tfmt.Println({name:?})\n}}\n"
        );
        write(&dir.join(name).join("main.go"), &main)?;
    }
    write(&dir.join("pods.yaml"), &pods("ko://hello/"))?;
    Ok(dir)
}

/// Puts an image into the registry that ko takes as its base: the first of ours.
fn base(bench: &Bench, rust: &Rust, host: &str) -> Result<String> {
    let repository = format!("{host}/base");
    let args = ["image", "--quiet", "--push", "--package", "one", "--repository", &repository];
    let pushed = bench.command(INSTALLED, &rust.ours).args(args).read()?;
    let reference = pushed.lines().last().context("read where the base was pushed")?;
    Ok(reference.to_owned())
}

fn ko(bench: &Bench, dir: &Path, host: &str, base: &str, cached: bool) -> Result<Duration> {
    let run = bench.command("ko", dir).args(["resolve", "--base-import-paths", "--sbom=none"]);
    let run = run
        .args(["-f", "pods.yaml"])
        .env("KO_DOCKER_REPO", format!("{host}/ko"))
        .env("KO_DEFAULTBASEIMAGE", base)
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOTOOLCHAIN", "local");
    match cached {
        true => resolved(run.env("KOCACHE", bench.dir.join("kocache"))),
        false => resolved(run),
    }
}
