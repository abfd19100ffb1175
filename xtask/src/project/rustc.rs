//! The compiler: where it is, and which targets it knows.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{Env, Program};

/// The default targets, which rustc need not be asked about.
pub const DEFAULT_TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The targets that people ship for, those of tier 1 and their like.
/// <https://doc.rust-lang.org/rustc/platform-support.html>
const COMMON: [&str; 14] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
    "i686-unknown-linux-gnu",
    "i686-unknown-linux-musl",
    "i686-pc-windows-msvc",
    "armv7-unknown-linux-gnueabihf",
    "armv7-unknown-linux-musleabihf",
];
/// How many letters a target of another kind seems to be further away.
const RARE: usize = 6;

/// The compiler that the project is built with.
#[derive(Clone, Debug)]
pub struct Rustc {
    pub sysroot: PathBuf,
    /// The target that it runs on.
    pub host: String,
    /// The targets that it knows; empty where only common ones are used.
    pub targets: Vec<String>,
}

impl Rustc {
    /// Whether rustc knows the target; otherwise the most similar ones that it knows.
    pub fn knows(&self, target: &str) -> Result<(), Vec<&str>> {
        if self.common(target) || self.targets.iter().any(|known| known == target) {
            return Ok(());
        }
        // A few letters more are less of a difference than a target that hardly anybody means.
        let distance = |known: &str| {
            let rare = if COMMON.contains(&known) { 0 } else { RARE };
            strsim::damerau_levenshtein(known, target) + rare
        };
        let mut similar: Vec<_> = self.known().map(|known| (distance(known), known)).collect();
        similar.sort();
        similar.dedup();
        Err(similar.into_iter().take(3).map(|(_, known)| known).collect())
    }

    /// The targets of which it is known that rustc knows them. One may come twice.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(String::as_str).chain(DEFAULT_TARGETS).chain(COMMON)
    }

    /// rustup's name of the toolchain, if rustup installed it.
    pub fn rustup_name(&self) -> Option<&OsStr> {
        let within = self.sysroot.parent()?.file_name()? == "toolchains";
        self.sysroot.file_name().filter(|_| within)
    }

    /// The compiler and its version, in one line.
    pub fn version(&self, dir: &Path, env: &Env) -> Result<String> {
        Ok(program(dir, env).arg("--version").read()?.trim().to_owned())
    }

    /// The folder of the target's standard library.
    pub fn library(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target)
    }

    fn common(&self, target: &str) -> bool {
        let harmless = !target.contains(['/', '\\', '.']) && !target.is_empty();
        DEFAULT_TARGETS.contains(&target)
            || target == self.host
            || (harmless && self.library(target).is_dir())
    }

    /// Asks rustc for its list of targets, if one of those named is not common.
    pub fn learn_targets(&mut self, dir: &Path, env: &Env, named: &[String]) -> Result<()> {
        if named.iter().all(|target| self.common(target)) {
            return Ok(());
        }
        let text = program(dir, env).args(["--print", "target-list"]).read()?;
        self.targets = text.lines().map(str::to_owned).collect();
        Ok(())
    }
}

/// The compiler that cargo would start: RUSTC, or else the one on PATH.
/// <https://doc.rust-lang.org/cargo/reference/environment-variables.html>
pub fn program<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    Program::new(env.get("RUSTC").unwrap_or(OsStr::new("rustc")), dir, env)
}

/// The release of the rustc that would compile a project in `dir`, such as `1.95.0` or
/// `1.97.0-nightly`.
pub fn release(dir: &Path, env: &Env) -> Result<String> {
    let asked = program(dir, env).arg("-vV");
    let said = asked.read()?;
    let release = said.lines().find_map(|line| line.strip_prefix("release: "));
    release.map(str::to_owned).with_context(|| format!("read the output of `{asked}`"))
}

/// Asks the rustc that would compile a project in `dir`.
pub fn ask(dir: &Path, env: &Env) -> Result<Rustc> {
    let both = program(dir, env).args(["--print", "sysroot", "--print", "host-tuple"]);
    let asked = both.output()?;
    let (sysroot, host) = if asked.status.success() {
        let text = String::from_utf8(asked.stdout)
            .with_context(|| format!("read the output of `{both}`"))?;
        let mut lines = text.lines().map(str::to_owned);
        (lines.next(), lines.next())
    } else {
        // Before 1.84 only the version tells the host.
        let sysroot = program(dir, env).args(["--print", "sysroot"]).read()?;
        let version = program(dir, env).arg("-vV").read()?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned);
        (Some(sysroot.trim().to_owned()), host)
    };
    let context = || format!("read the output of `{both}`");
    Ok(Rustc {
        sysroot: sysroot.with_context(context)?.into(),
        host: host.with_context(context)?,
        targets: Vec::new(),
    })
}
