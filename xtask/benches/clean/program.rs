//! Published programs: their sources, and whether an image has one that runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, remove, write};

pub struct Program {
    /// The package.
    pub name: &'static str,
    pub version: &'static str,
    /// The binary.
    pub bin: &'static str,
    /// It compiles C, for which dockless needs zig.
    pub has_c: bool,
}

pub const PROGRAMS: [Program; 2] = [
    Program { name: "hyperfine", version: "1.20.0", bin: "hyperfine", has_c: false },
    // With ring, by rustls.
    Program { name: "tealdeer", version: "1.8.1", bin: "tldr", has_c: true },
];

/// A repository with the program's sources as published, whose crates are all downloaded; `None`,
/// said aloud, where nothing compiles its C.
pub fn provide(bench: &Bench, program: &Program) -> Result<Option<PathBuf>> {
    if program.has_c && bench.installed("zig", &["version"])?.is_none() {
        eprintln!("skipped: zig, which {} needs, is not on PATH", program.name);
        return Ok(None);
    }
    let to = bench.dir.join("sources").join(program.name);
    remove(&to)?;
    let spec = format!("{}@{}", program.name, program.version);
    let cargo = |dir: &Path, args: &[&str]| bench.command("cargo", dir).args(args).read();
    // It unpacks the package without what it depends on, which its own lock file names.
    cargo(&bench.dir, &["info", "--quiet", "--registry", "crates-io", &spec])?;
    let from = unpacked(program)?;
    std::fs::create_dir_all(bench.dir.join("sources")).context("make a folder for sources")?;
    bench.command("cp", &bench.dir).arg("-r").args([&from, &to]).read()?;
    cargo(&to, &["fetch", "--quiet", "--locked"])?;
    committed(bench, &to)?;
    Ok(Some(to))
}

fn committed(bench: &Bench, dir: &Path) -> Result<()> {
    bench.command("git", dir).args(["init", "--quiet", "--initial-branch", "main"]).read()?;
    bench.command("git", dir).args(["add", "--all"]).read()?;
    bench.commit(dir, "As published")
}

/// A small program: what it uses is compiled in seconds.
pub const PROBE: Program = Program { name: "probe", version: "0.1.0", bin: "probe", has_c: false };

/// A repository with it. Its dependency is among those of dockless, so that the sources are on this
/// machine.
pub fn probe(bench: &Bench) -> Result<PathBuf> {
    let dir = bench.dir.join("sources").join(PROBE.name);
    remove(&dir)?;
    let manifest = format!(
        "[package]\nname = {:?}\nversion = {:?}\nedition = \"2024\"\n\
         [dependencies]\nserde_json = \"1\"\n",
        PROBE.name, PROBE.version
    );
    write(&dir.join("Cargo.toml"), &manifest)?;
    let main =
        "fn main() {\n    println!(\"{}\", serde_json::json!(env!(\"CARGO_PKG_VERSION\")));\n}\n";
    write(&dir.join("src/main.rs"), main)?;
    bench.command("cargo", &dir).args(["fetch", "--quiet"]).read()?;
    committed(bench, &dir)?;
    Ok(dir)
}

/// cargo's registry: the index, and the crates.
pub fn registry() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    Ok(home.context("find CARGO_HOME or HOME")?.join("registry"))
}

fn unpacked(program: &Program) -> Result<PathBuf> {
    let name = format!("{}-{}", program.name, program.version);
    let all = registry()?.join("src");
    let entries = all.read_dir().with_context(|| format!("list {}", all.display()))?;
    let mut found = entries.filter_map(|it| Some(it.ok()?.path().join(&name)));
    found.find(|it| it.is_dir()).with_context(|| format!("find {name} in cargo's registry"))
}

/// Pulls the image of each platform, and starts its program.
pub fn check(bench: &Bench, program: &Program, image: &str, archs: &[&str]) -> Result<()> {
    let dir = bench.dir.join("pulled");
    for arch in archs {
        remove(&dir)?;
        std::fs::create_dir_all(&dir).context("make a folder for an image's files")?;
        let run = |name: &str, args: &[&str]| bench.command(name, &dir).args(args).read();
        run("crane", &["export", "--platform", &format!("linux/{arch}"), image, "image.tar"])?;
        run("tar", &["-xf", "image.tar"])?;
        let path = format!("usr/local/bin/{}", program.bin);
        let said = match *arch == "arm64" {
            true => run("qemu-aarch64-static", &[&path, "--version"])?,
            false => bench.command(dir.join(&path), &dir).arg("--version").read()?,
        };
        ensure!(said.contains(program.version), "{image} for {arch} says {said:?}");
    }
    Ok(())
}
