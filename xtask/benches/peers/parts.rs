//! What is measured.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, INSTALLED, Run, remove};
use crate::fixture::Project;
use crate::race::Contestant;
use crate::table::race;

/// A snapshot release of a small program with nothing to compile.
pub fn release(bench: &Bench) -> Result<String> {
    snapshot(bench, &bench.small()?)
}

/// The same of a program with binaries of some 4.5 MB: the tool itself.
pub fn large(bench: &Bench) -> Result<String> {
    snapshot(bench, &bench.large()?)
}

fn snapshot(bench: &Bench, project: &Project) -> Result<String> {
    if bench.goreleaser()?.is_none() {
        return Ok(format!(
            "snapshot release of {}: skipped: goreleaser is not on PATH\n",
            project.package
        ));
    }
    let theirs =
        || bench.command("goreleaser", &project.theirs).args(["release", "--snapshot", "--clean"]);
    let ours = |tool: &Path| {
        let release = ["release", "--snapshot", "--package", project.package];
        bench.command(tool, &project.ours).args(release)
    };
    let (installed, unoptimised) = (Path::new(INSTALLED), bench.unoptimised()?);
    ours(installed).time()?;
    theirs().time()?;
    for clone in [&project.ours, &project.theirs] {
        let made = archives(&clone.join("dist"))?;
        ensure!(made.len() == 2, "{} holds {} archives and not 2", clone.display(), made.len());
    }
    // Cold: the archives are not in the cache, so both are compressed again, and
    // kept again. What is known of the dependency graph stays, as it stays for a
    // user whose program has changed.
    let cold = |tool: &Path| {
        forget_archives(&bench.cache().join("archive"))?;
        // A plugin whose archives are new is installed in memory anew.
        remove(&bench.cache().join("plugin"))?;
        ours(tool).time()
    };
    let contestants = vec![
        Contestant::new("dockless, archives cached", || ours(installed).time()),
        Contestant::new("dockless, archives not cached", || cold(installed)),
        Contestant::new("dockless, dev build, archives cached", || ours(&unoptimised).time()),
        Contestant::new("dockless, dev build, not cached", || cold(&unoptimised)),
        Contestant::new("goreleaser", || theirs().time()),
    ];
    let bytes = archives(&project.ours.join("dist"))?.iter().sum::<u64>();
    let work = format!(
        "snapshot release of {}, 2 targets, nothing to compile, archives of {:.1} MB in all",
        project.package,
        bytes as f64 / 1e6
    );
    let mut text = race(&work, contestants, |_| Ok(()))?;
    let clean = ["release", "--snapshot", "--clean", "--package", project.package];
    let tool = bench.command(installed, &project.ours).args(clean);
    let said = |peak: Option<u64>| {
        peak.map_or("unknown here".to_owned(), |bytes| {
            format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
        })
    };
    let (ours, theirs) = (said(tool.peak()?), said(theirs().peak()?));
    writeln!(
        text,
        "\npeak memory of the process itself, cargo not counted: dockless {ours}, goreleaser {theirs}"
    )?;
    Ok(text)
}

/// The sizes of the archives in a dist/.
fn archives(dist: &Path) -> Result<Vec<u64>> {
    let mut sizes = Vec::new();
    for entry in dist.read_dir().with_context(|| format!("list {}", dist.display()))? {
        let entry = entry.context("list dist/")?;
        if entry.path().extension().is_some_and(|extension| extension == "gz") {
            sizes.push(entry.metadata().context("look at an archive")?.len());
        }
    }
    Ok(sizes)
}

/// Removes the entries and leaves the mark that says when the cache was pruned.
fn forget_archives(dir: &Path) -> Result<()> {
    let mut removed = 0;
    for entry in dir.read_dir().with_context(|| format!("list {}", dir.display()))? {
        let path = entry.context("list the cache")?.path();
        if path.file_name().is_some_and(|name| name.len() == 64) {
            std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            removed += 1;
        }
    }
    ensure!(removed > 0, "{} holds no archives, so nothing was cached", dir.display());
    Ok(())
}

/// `build` where nothing changed, against the cargo call that it ends in.
pub fn build(bench: &Bench) -> Result<String> {
    let project = bench.small()?;
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let unoptimised = bench.unoptimised()?;
    let ours = |tool: &Path| bench.command(tool, &project.ours).arg("build").time();
    let bare =
        || bench.command("cargo", &project.theirs).args(["build", "--target", &target]).time();
    let contestants = vec![
        Contestant::new("dockless build", || ours(Path::new(INSTALLED))),
        Contestant::new("dockless build, dev build of the tool", || ours(&unoptimised)),
        Contestant::new("cargo build", bare),
    ];
    race("build with nothing to do, dev profile, one target", contestants, |_| Ok(()))
}

/// A release build after a commit that changes no source, so that only the
/// version differs. Each run is checked to have made a binary of that version.
pub fn version(bench: &Bench) -> Result<String> {
    let project = bench.large()?;
    let dir = &project.ours;
    let build = |package: &str| {
        let started = Instant::now();
        let path = bench
            .command(INSTALLED, dir)
            .args(["build", "--release", "--package", package])
            .read()?;
        let time = started.elapsed();
        let commit = bench.command("git", dir).args(["rev-parse", "--short=12", "HEAD"]).read()?;
        let says = bench.command(path.trim(), dir).arg("--version").read()?;
        ensure!(says.contains(commit.trim()), "{package} says {says:?} at commit {commit}");
        Ok(time)
    };
    let tree = bench
        .command("cargo", dir)
        .args(["tree", "--package", "thin", "--edges", "normal,build", "--prefix", "none"])
        .read()?;
    let mut crates: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();
    let thin = Contestant::new("thin binary crate", || build("thin"));
    let mut mono = Contestant::new("one crate", || build("mono"));
    // It takes a hundred times as long, and a third of the runs say so as well.
    mono.every = 3;
    let work = format!(
        "`dockless build --release` after only the version changed, {} lines of Rust, {} crates",
        lines(&dir.join("thin/src"))?,
        crates.len(),
    );
    race(&work, vec![thin, mono], |round| bench.commit(dir, &format!("Commit {round}")))
}

fn lines(dir: &Path) -> Result<usize> {
    let mut lines = 0;
    for entry in dir.read_dir().with_context(|| format!("list {}", dir.display()))? {
        let path = entry.context("list sources")?.path();
        if path.is_dir() {
            lines += self::lines(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            lines += std::fs::read_to_string(&path).context("read sources")?.lines().count();
        }
    }
    Ok(lines)
}

/// The tool through `cargo xtask`, in this repository, until it says something.
/// cargo's own share is the same call without the tool: everything is fresh.
pub fn alias(bench: &Bench) -> Result<String> {
    let target_dir = bench.target_dir()?.to_owned();
    let cargo = |args: &[&str]| {
        let cargo = bench.command("cargo", &bench.repository).args(args);
        cargo.env("CARGO_TARGET_DIR", &target_dir)
    };
    let build = ["build", "--package", "dockless", "--bin", "cargo-dockless"];
    let contestants = vec![
        Contestant::new("cargo xtask --help", || first_output(cargo(&["xtask", "--help"]))),
        Contestant::new("cargo build of the same, nothing to do", || cargo(&build).time()),
    ];
    race("the tool through the alias, until its first output", contestants, |_| Ok(()))
}

/// The manifests of krew's index, all validated by one call. Nothing else does so offline,
/// so that there is no one to race with.
pub fn krew(bench: &Bench) -> Result<String> {
    let plugins = bench.repository.join("../shared/krew-index/plugins");
    if !plugins.exists() {
        return Ok("manifests of krew's index: skipped: ../shared/krew-index is not there".into());
    }
    let mut files = Vec::new();
    for entry in plugins.read_dir().context("list the index")? {
        let path = entry.context("list the index")?.path();
        // It has no description, which is an error.
        if !path.ends_with("pod-logs.yaml") {
            files.push(path);
        }
    }
    let validate = |files: &[PathBuf]| {
        let tool = bench.command(INSTALLED, &bench.dir).args(["krew", "validate", "-q"]);
        tool.args(files).time()
    };
    let contestants = vec![
        Contestant::new("krew validate, all manifests", || validate(&files)),
        Contestant::new("krew validate, one manifest", || validate(&files[..1])),
    ];
    race(&format!("{} manifests of krew's index", files.len()), contestants, |_| Ok(()))
}

/// All checks where nothing changed, against the longer of the two that cargo has, and an
/// audit against cargo-audit, both with one database and without a network.
pub fn check(bench: &Bench) -> Result<String> {
    let database = bench.repository.join("../shared/advisory-db");
    if !database.exists() {
        return Ok("check: skipped: ../shared/advisory-db is not there".into());
    }
    let target_dir = bench.target_dir()?.to_owned();
    let here = |program: &str| {
        bench.command(program, &bench.repository).env("CARGO_TARGET_DIR", &target_dir)
    };
    let ours = |args: &[&str]| {
        let tool = here(INSTALLED).args(["check", "-q"]).args(args);
        tool.env("DOCKLESS_ADVISORY_DB", &database)
    };
    let cargo = |args: &[&str]| here("cargo").args(args);
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    let mut contestants = vec![
        Contestant::new("dockless check", || ours(&[]).time()),
        Contestant::new("cargo clippy", || cargo(&clippy).time()),
        Contestant::new("cargo fmt --check", || cargo(&["fmt", "--all", "--check"]).time()),
        Contestant::new("dockless check --only audit", || ours(&["--only", "audit"]).time()),
    ];
    if bench.installed("cargo-audit", &["--version"])?.is_some() {
        contestants.push(Contestant::new("cargo audit --no-fetch", || {
            let audit = here("cargo-audit");
            audit.args(["audit", "--no-fetch", "--db"]).arg(&database).time()
        }));
    }
    race("checks of this repository, nothing changed", contestants, |_| Ok(()))
}

fn first_output(mut run: Run) -> Result<Duration> {
    run.0.stdout(Stdio::piped()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = run.0.spawn().context("start the tool")?;
    let mut stdout = child.stdout.take().context("open the tool's stdout")?;
    let read = stdout.read(&mut [0; 4096]).context("read the tool's output")?;
    let time = started.elapsed();
    std::io::copy(&mut stdout, &mut std::io::sink()).context("read the tool's output")?;
    let status = child.wait().context("wait for the tool")?;
    ensure!(status.success() && read > 0, "{:?} failed ({status})", run.0);
    Ok(time)
}
