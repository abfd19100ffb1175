//! One program: built by the tool, unpacked, and run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use object::read::elf::{ElfFile64, ProgramHeader};
use serde::Deserialize;

use crate::bench;
use crate::limited::{self, Ran};
use crate::sources;
use crate::table::{Bin, Program, Promise};

/// The tool as `cargo install` makes it: optimised.
const TOOL: &str = env!("CARGO_BIN_EXE_cargo-dockless");

/// The architectures of the targets of a run without any config.
pub const ARCHES: [&str; 2] = ["x86_64", "aarch64"];

/// The largest program takes a third of it for two targets on two cores.
const BUILD: Duration = Duration::from_secs(30 * 60);
const RUN: Duration = Duration::from_secs(30);

/// What came of one program.
pub struct Trial {
    pub verdict: Verdict,
    /// How long the tool took, where it ran and had nothing from before.
    pub time: Option<Duration>,
}

pub enum Verdict {
    /// Static, and runs on both: each binary's sizes, as [`ARCHES`] are ordered.
    Runs(Vec<[u64; 2]>),
    /// Refused, as it should be, by this message.
    Refused(String),
    /// Not as promised.
    Failed(String),
}

impl Trial {
    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Failed(_))
    }
}

/// What `--json` says of a release.
#[derive(Deserialize)]
struct Outcome {
    artifacts: Vec<Artifact>,
    left_out: Vec<LeftOut>,
}

#[derive(Deserialize)]
struct Artifact {
    #[serde(rename = "type")]
    kind: String,
    path: PathBuf,
    target: Option<String>,
}

#[derive(Deserialize)]
struct LeftOut {
    what: String,
    why: String,
}

/// Releases the program below `dir`. Whatever goes wrong with it is its verdict.
pub fn attempt(program: &Program, dir: &Path) -> Trial {
    let source = match sources::provide(program, dir) {
        Ok(source) => source,
        Err(error) => return Trial { verdict: failure(&error, dir), time: None },
    };
    let fresh = !source.join("target").exists();
    let ran = match build(program, &source, dir) {
        Ok(ran) => ran,
        Err(error) => return Trial { verdict: failure(&error, dir), time: None },
    };
    let verdict = match program.promise {
        Promise::Runs(bins) => runs(program, bins, &ran, dir).map(Verdict::Runs),
        Promise::Refused(words) => refused(&ran, words).map(Verdict::Refused),
    };
    let verdict = verdict.unwrap_or_else(|error| failure(&error, dir));
    Trial { verdict, time: Some(ran.time).filter(|_| fresh) }
}

/// The error without the folder's name, which is another in each run.
fn failure(error: &anyhow::Error, dir: &Path) -> Verdict {
    Verdict::Failed(format!("{error:#}").replace(&format!("{}/", dir.display()), ""))
}

fn build(program: &Program, source: &Path, dir: &Path) -> Result<Ran> {
    let mut tool = limited::command(TOOL, dir);
    tool.args(["release", "--snapshot", "--json", "--manifest-path"]).arg(source);
    tool.envs(program.env.iter().copied());
    // A repository that the folder may lie in is not the program's.
    tool.env("GIT_CEILING_DIRECTORIES", crate::folder(program, dir));
    limited::run(&mut tool, BUILD, &sources::logs(program, dir).join("build"))
}

/// Unpacks and runs what was made, and returns the sizes of each binary.
fn runs(program: &Program, bins: &[Bin], ran: &Ran, dir: &Path) -> Result<Vec<[u64; 2]>> {
    if !ran.status.success() {
        bail!("{}", messages(&ran.stderr).into_iter().next().unwrap_or(ran.status.to_string()));
    }
    let outcome: Outcome = serde_json::from_str(&ran.stdout).context("read the tool's JSON")?;
    if let Some(left_out) = outcome.left_out.first() {
        bail!("{} was left out: {}", left_out.what, left_out.why);
    }
    let mut sizes = vec![[0; 2]; bins.len()];
    for (index, arch) in ARCHES.into_iter().enumerate() {
        let unpacked = unpack(program, arch, &outcome, dir)?;
        for (bin, sizes) in bins.iter().zip(&mut sizes) {
            let path = unpacked.join(bin.name);
            sizes[index] = prove(&path)?;
            let log = sources::logs(program, dir).join(format!("{}-{arch}", bin.name));
            let ran = start(&path, arch, bin, &log)?;
            let says = bin.says.unwrap_or(program.version);
            let said = ran.stdout.contains(says) && ran.status.success();
            let context = || format!("{} for {arch} ({}): {}", bin.name, ran.status, ran.stderr);
            ensure!(said, "{} {:?}", context(), ran.stdout);
        }
    }
    Ok(sizes)
}

/// Unpacks all archives for an architecture into one folder.
fn unpack(program: &Program, arch: &str, outcome: &Outcome, dir: &Path) -> Result<PathBuf> {
    let folder = crate::folder(program, dir);
    let unpacked = folder.join(arch);
    bench::remove(&unpacked)?;
    let target = format!("{arch}-unknown-linux-musl");
    let of_target = |it: &&Artifact| it.kind == "Archive" && it.target.as_ref() == Some(&target);
    let archives = outcome.artifacts.iter().filter(of_target);
    let mut found = 0;
    for archive in archives {
        sources::unpack(&folder.join("source").join(&archive.path), &unpacked)?;
        found += 1;
    }
    ensure!(found > 0, "there is no archive for {target}");
    Ok(unpacked)
}

/// The size of a binary that asks for no interpreter: neither the linkage that
/// the tool proved nor a library that happens to be here is relied on.
fn prove(path: &Path) -> Result<u64> {
    let context = || format!("read {}", path.display());
    let bytes = std::fs::read(path).with_context(context)?;
    let elf = ElfFile64::<object::Endianness>::parse(&*bytes).with_context(context)?;
    let endian = elf.endian();
    let mut segments = elf.elf_program_headers().iter().map(|segment| segment.p_type(endian));
    ensure!(
        !segments.any(|kind| kind == object::elf::PT_INTERP),
        "{} is not static: it names an interpreter",
        path.display()
    );
    Ok(bytes.len() as u64)
}

/// Starts a binary, where it is another machine's by qemu, in a folder and with
/// a home that hold nothing.
fn start(path: &Path, arch: &str, bin: &Bin, log: &Path) -> Result<Ran> {
    let home = path.with_extension("home");
    std::fs::create_dir_all(&home).with_context(|| format!("make {}", home.display()))?;
    let mut command = match arch == std::env::consts::ARCH {
        true => Command::new(path),
        false => {
            let mut qemu = Command::new(format!("qemu-{arch}-static"));
            qemu.arg(path);
            qemu
        }
    };
    let search = std::env::var_os("PATH").unwrap_or_default();
    command.args(bin.args).current_dir(&home).stdin(std::process::Stdio::null()).env_clear();
    command.env("PATH", search).env("HOME", &home).env("OUT_DIR", &home);
    limited::run(&mut command, RUN, log)
}

/// The one message by which the tool refused, both targets taken as one.
fn refused(ran: &Ran, words: &[&str]) -> Result<String> {
    ensure!(!ran.status.success(), "it was built, and should have been refused");
    let messages = messages(&ran.stderr);
    let mut messages = messages.into_iter();
    let (Some(message), None) = (messages.next(), messages.next()) else {
        bail!("it was refused by several messages, or by none: {}", ran.stderr);
    };
    let missing = words.iter().find(|word| !message.contains(**word));
    if let Some(word) = missing {
        bail!("the refusal does not say {word:?}: {message}");
    }
    Ok(message)
}

/// The errors with their help, in one line each and without the targets' names,
/// in the order of their first appearance.
fn messages(stderr: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in stderr.lines() {
        let line = ARCHES.iter().fold(line.to_owned(), |line, arch| {
            line.replace(&format!("{arch}-unknown-linux-musl"), "TARGET")
        });
        // Those of rustc have a number: `error[E0554]: …`.
        if line.starts_with("error") {
            messages.push(line.strip_prefix("error: ").unwrap_or(&line).to_owned());
        } else if let (Some(help), Some(message)) =
            (line.trim().strip_prefix("help: "), messages.last_mut())
        {
            *message = format!("{message}; {help}");
        }
    }
    let mut seen = BTreeSet::new();
    messages.retain(|message| seen.insert(message.clone()));
    messages
}
