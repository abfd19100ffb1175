//! What the first run on a clean machine costs: `cargo bench -p dockless --bench cold`.
//!
//! `cold` compiles the tool through its alias with an empty target folder, and in turn, where
//! DOCKLESS_COLD_BASE names a commit, the tool of that commit; `cargo install` of cargo-dist and
//! `go install` of ko stand beside it. Crates and modules are downloaded before. `prebuilt` brings
//! the finished program from a server on this machine. `costs` measures each crate and writes the
//! table of CONTRIBUTING.md. Without an argument `cold` and `prebuilt` run.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod bench;
mod costs;
mod prebuilt;
#[path = "../shared/spent.rs"]
mod spent;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::spent::Spent;

/// The peers in the versions that are measured.
const CARGO_DIST: [&str; 2] = ["cargo-dist", "0.34.0"];
const KO: &str = "github.com/google/ko@v0.19.1";

fn main() -> ExitCode {
    // cargo starts this program in the place of rustc, to learn what each crate costs.
    if let Some(log) = std::env::var_os(costs::LOG) {
        return costs::wrapped(Path::new(&log));
    }
    bench::main(|named| match named {
        [] => measure(&["cold", "prebuilt"]),
        _ => measure(named),
    })
}

fn measure(parts: &[&str]) -> Result<()> {
    let bench = Bench::new()?;
    println!("{}\n", bench.machine()?);
    for part in parts {
        let report = match *part {
            "cold" => cold(&bench),
            "prebuilt" => prebuilt::prebuilt(&bench),
            "costs" => costs::costs(&bench),
            _ => anyhow::bail!("there is no part `{part}`; there are cold, prebuilt, costs"),
        };
        println!("{}", report.with_context(|| format!("measure {part}"))?);
    }
    Ok(())
}

/// The tool through the alias, beside that of another commit and beside its peers.
fn cold(bench: &Bench) -> Result<String> {
    let mut rows = Vec::new();
    if let Some(base) = std::env::var_os("DOCKLESS_COLD_BASE") {
        let base = base.to_string_lossy().into_owned();
        let tree = bench.dir.join("base");
        let add = bench.command("git", &bench.repository).args(["clone", "--quiet", "."]);
        add.arg(&tree).read()?;
        bench.command("git", &tree).args(["checkout", "--quiet", "--detach", &base]).read()?;
        rows.push((format!("cargo xtask --help at {base}"), alias(bench, &tree)?));
    }
    rows.push(("cargo xtask --help".to_owned(), alias(bench, &bench.repository)?));
    let root = fresh(bench, "cargo-dist")?;
    let [name, version] = CARGO_DIST;
    // What is to be compiled is downloaded before, as the dependency of another package.
    let manifest = format!(
        "[package]\nname = \"none\"\nedition = \"2024\"\n[lib]\npath = \"none.rs\"\n\
         [dependencies]\n{name} = \"={version}\"\n[workspace]\n"
    );
    bench::write(&root.join("Cargo.toml"), &manifest)?;
    bench::write(&root.join("none.rs"), "")?;
    bench.command("cargo", &root).arg("fetch").read()?;
    let install =
        bench.command("cargo", &bench.dir).args(["install", "--quiet", "--version", version]);
    let install = install.arg("--root").arg(root.join("installed")).arg(name);
    let install = install.env("CARGO_TARGET_DIR", root.join("target"));
    rows.push((format!("cargo install {name} {version}"), Spent::by(install)?));
    if bench.installed("go", &["version"])?.is_some() {
        let root = fresh(bench, "ko")?;
        let go = |cache: &str| {
            let install = bench.command("go", &bench.dir).args(["install", KO]);
            let install = install.env("GOBIN", root.join("bin")).env("GOTOOLCHAIN", "local");
            install.env("GOCACHE", root.join(cache)).env("GOFLAGS", "-buildvcs=false")
        };
        go("downloads").read()?;
        rows.push((format!("go install {KO}"), Spent::by(go("empty"))?));
    }
    let mut text = "| first run | CPU-seconds | seconds |\n|---|--:|--:|\n".to_owned();
    for (name, spent) in &rows {
        text += &format!(
            "| {name} | {:.0} | {:.0} |\n",
            spent.cpu.as_secs_f64(),
            spent.time.as_secs_f64()
        );
    }
    if let [(_, base), (_, now), ..] = &rows[..]
        && std::env::var_os("DOCKLESS_COLD_BASE").is_some()
    {
        let ratio = now.cpu.as_secs_f64() / base.cpu.as_secs_f64();
        let said = if ratio <= 0.68 { "reached" } else { "MISSED" };
        text +=
            &format!("\nof the commit before: {ratio:.2} of its CPU time (asked: 0.68, {said})\n");
    }
    Ok(text)
}

/// A first run through the alias of a checkout, with an empty target folder.
fn alias(bench: &Bench, checkout: &Path) -> Result<Spent> {
    bench.command("cargo", checkout).arg("fetch").read()?;
    let target = fresh(bench, "target")?;
    let run = bench.command("cargo", checkout).args(["xtask", "--help"]);
    let spent = Spent::by(run.env("CARGO_TARGET_DIR", &target))?;
    bench::remove(&target)?;
    Ok(spent)
}

/// An empty folder.
fn fresh(bench: &Bench, name: &str) -> Result<PathBuf> {
    let path = bench.dir.join(name);
    bench::remove(&path)?;
    std::fs::create_dir_all(&path).context("make a folder")?;
    Ok(path)
}
