//! The folder that a bench works in, and how programs are started there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The tool as `cargo install` makes it: optimised.
pub const INSTALLED: &str = env!("CARGO_BIN_EXE_cargo-dockless");

/// What cargo and rustup put into the environment of a bench, and what a user's
/// shell may hold that would favour one of the peers.
const SCRUBBED: [&str; 9] = [
    "LD_LIBRARY_PATH",
    "OUT_DIR",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUST_BACKTRACE",
    "RUST_RECURSION_COUNT",
    "SOURCE_DATE_EPOCH",
];
const SCRUBBED_PREFIXES: [&str; 4] = ["CARGO", "DOCKLESS_", "GITHUB_", "GIT_"];
/// Where crates come from stays as it is.
const KEPT_PREFIXES: [&str; 6] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
];

/// The `main` of every bench: measures what the command line names, and prints what went wrong.
pub fn main(measure: impl FnOnce(&[&str]) -> Result<()>) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Test runners start a bench without `--bench`, to see that it starts.
    if !args.iter().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let named: Vec<&str> = args.iter().map(|arg| &**arg).filter(|arg| *arg != "--bench").collect();
    match measure(&named) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The places of one run of the bench.
pub struct Bench {
    /// Where projects are made.
    pub dir: PathBuf,
    /// The repository that this file is of.
    pub repository: PathBuf,
    scrubbed: Vec<OsString>,
    /// Removed with what it holds when the bench ends.
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    pub fn new() -> Result<Bench> {
        let (dir, temporary) = match std::env::var_os("DOCKLESS_BENCH_DIR") {
            Some(dir) => (PathBuf::from(dir), None),
            None => {
                let temporary = tempfile::tempdir().context("make a temporary folder")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let dir = dir.canonicalize().context("find the temporary folder")?;
        let scrubbed = |name: &OsString| {
            let name = name.to_string_lossy();
            let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
            SCRUBBED.contains(&&*name) || (starts(&SCRUBBED_PREFIXES) && !starts(&KEPT_PREFIXES))
        };
        Ok(Bench {
            dir,
            repository: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            scrubbed: std::env::vars_os().map(|(name, _)| name).filter(scrubbed).collect(),
            _temporary: temporary,
        })
    }

    /// A program as a shell in `dir` would start it.
    pub fn command(&self, program: impl AsRef<OsStr>, dir: &Path) -> Run {
        let mut command = Command::new(program);
        command.current_dir(dir).stdin(Stdio::null());
        for name in &self.scrubbed {
            command.env_remove(name);
        }
        // What a user's git does beside its work, such as signing, is not measured.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("DOCKLESS_CACHE", self.cache());
        Run(command)
    }

    /// The tool's cache, shared by all runs of it.
    pub fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    /// What a program says to these arguments; `None` where it is not on PATH.
    pub fn installed(&self, program: &str, args: &[&str]) -> Result<Option<String>> {
        match self.command(program, &self.dir).args(args).read() {
            Ok(text) => Ok(Some(text)),
            Err(error) => match error.downcast_ref::<std::io::Error>() {
                Some(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// The target folder that cargo built this bench in.
    pub fn target_dir(&self) -> Result<&Path> {
        let profile = Path::new(INSTALLED).parent();
        profile.and_then(Path::parent).context("find the target folder")
    }

    /// The tool as the alias runs it: in its own profile, in the repository's own
    /// target folder, where it is built first.
    pub fn unoptimised(&self) -> Result<PathBuf> {
        let target_dir = self.target_dir()?;
        self.command("cargo", &self.repository)
            .args([
                "build",
                "--profile",
                "xtask",
                "--package",
                "dockless",
                "--bin",
                "cargo-dockless",
            ])
            .env("CARGO_TARGET_DIR", target_dir)
            .read()?;
        Ok(target_dir.join("xtask/cargo-dockless"))
    }

    /// A new commit, and with it a new version.
    pub fn commit(&self, dir: &Path, message: &str) -> Result<()> {
        let git = self.command("git", dir).args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
        ]);
        git.args(["commit", "--quiet", "--allow-empty", "--message", message]).read().map(drop)
    }

    /// What the numbers were measured on.
    pub fn machine(&self) -> Result<String> {
        let cores = std::thread::available_parallelism().context("count the processors")?;
        let mut parts = vec![format!("{cores} cores, {}", std::env::consts::ARCH)];
        for program in ["cargo", "rustc"] {
            parts.push(self.command(program, &self.dir).arg("-V").read()?.trim().to_owned());
        }
        // Others at work on the machine make every absolute number worthless.
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            parts.push(format!("load {}", load.split(' ').next().unwrap_or(&load)));
        }
        Ok(parts.join(", "))
    }
}

/// A program to be started.
pub struct Run(pub Command);

impl Run {
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Run {
        self.args([arg])
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Run {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.0.env(name, value);
        self
    }

    /// Runs to the end and returns stdout.
    pub fn read(mut self) -> Result<String> {
        let output = self.output()?;
        String::from_utf8(output.stdout).with_context(|| format!("read the output of {:?}", self.0))
    }

    /// Runs to the end and says how long it took.
    pub fn time(mut self) -> Result<Duration> {
        let started = Instant::now();
        let output = self.output();
        let time = started.elapsed();
        output.map(|_| time)
    }

    /// Runs to the end and returns the most memory that the program itself ever had,
    /// in bytes; `None` where the system does not tell. The kernel's account of
    /// children would count the cargo that it starts, so it is asked while it runs.
    pub fn peak(mut self) -> Result<Option<u64>> {
        self.0.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = self.0.spawn().context("start a program to look at its memory")?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak = None;
        loop {
            // Where there is no such file, or no longer one, what was seen before counts.
            if let Ok(text) = std::fs::read_to_string(&status) {
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let kib =
                    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
                peak = peak.max(kib.map(|kib| kib * 1024));
            }
            if let Some(status) = child.try_wait().context("wait for a program")? {
                ensure!(status.success(), "{:?} failed ({status})", self.0);
                return Ok(peak);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn output(&mut self) -> Result<Output> {
        let output = self.0.output().with_context(|| format!("start {:?}", self.0))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{:?} failed ({}):\n{}", self.0, output.status, words.trim());
        }
        Ok(output)
    }
}

pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    let context = || format!("write {}", path.display());
    std::fs::create_dir_all(path.parent().with_context(context)?).with_context(context)?;
    std::fs::write(path, text).with_context(context)
}

/// Removes a folder with what it holds, if it is there.
pub fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
