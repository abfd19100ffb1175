//! Programs that get a time limit and write into logs.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What cargo puts into the environment of a bench, and what a user's shell may
/// hold that would configure a build which is to be configured by nothing.
const SCRUBBED: [&str; 13] = [
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "OUT_DIR",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUST_BACKTRACE",
    "SOURCE_DATE_EPOCH",
];
const SCRUBBED_PREFIXES: [&str; 5] =
    ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PROFILE_", "GIT_"];

/// What a program left behind.
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub time: Duration,
}

/// A program as a shell in `dir` would start it.
pub fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let starts = SCRUBBED_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
        if starts || SCRUBBED.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs to the end, or to the end of its time, which is an error. The output is
/// in `LOG.stdout` and `LOG.stderr`.
pub fn run(command: &mut Command, limit: Duration, log: &Path) -> Result<Ran> {
    // Without its folder: what fails is told in a page for everybody.
    let program = Path::new(command.get_program()).file_name().context("name a program")?;
    let program = program.to_string_lossy().into_owned();
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    }
    let [stdout, stderr] = ["stdout", "stderr"].map(|stream| log.with_extension(stream));
    let create = |path: &Path| {
        File::create(path).with_context(|| format!("write the log {}", path.display()))
    };
    command.stdout(create(&stdout)?).stderr(create(&stderr)?);
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("wait for {program}"))? {
            break status;
        }
        if started.elapsed() > limit {
            end(&mut child).with_context(|| format!("end {program}"))?;
            bail!("{program} took more than {} s and was ended", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let time = started.elapsed();
    Ok(Ran { status, stdout: read(&stdout)?, stderr: read(&stderr)?, time })
}

fn read(log: &Path) -> Result<String> {
    let bytes = std::fs::read(log).with_context(|| format!("read the log {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ends the child and all that it started, the child first: what is above
/// cannot start anew what is below. They are in no group of their own, so that
/// an interrupt at the terminal reaches them as it reaches this program.
fn end(child: &mut Child) -> Result<()> {
    let mut doomed = vec![child.id()];
    let parents = parents()?;
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(parents.iter().filter(|(_, it)| *it == parent).map(|(id, _)| *id));
        next += 1;
    }
    child.kill()?;
    child.wait()?;
    // The kill of the shell, for it is there on every system; what has ended
    // meanwhile, as most has, makes it fail.
    let ids = doomed[1..].iter().map(u32::to_string);
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"for id; do kill -KILL "$id"; done; true"#, "kill"]).args(ids);
    kill.stdin(Stdio::null()).stderr(Stdio::null()).status().context("start sh")?;
    Ok(())
}

/// Every process and its parent: field 4 of proc_pid_stat(5).
fn parents() -> Result<Vec<(u32, u32)>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").context("list /proc")? {
        let entry = entry.context("list /proc")?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that has ended since is nobody's parent any more.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in field 2 may hold anything, but it ends at the last bracket.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        let parent = parent.and_then(|parent| parent.parse().ok());
        parents.push((id, parent.context("read the parent of a process")?));
    }
    Ok(parents)
}
