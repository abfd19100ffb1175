//! The one room that starts programs: never through a shell, always in a stated folder and
//! with a scrubbed environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use children::{Children, Place, Running, kill_group, start};
use xshell::Shell;

use crate::finding::Help;
use crate::secret::redacted;

mod children;
mod dialog;
mod find;
mod handover;
mod started;
mod stream;
mod tokens;
mod tree;

pub use children::{exit_code, on_signal};
pub use dialog::{Dialog, Heard};
pub use find::find;
pub use handover::environment;
pub use started::Started;
pub use tokens::OwnToken;

mod excerpt;
pub use excerpt::excerpt;

/// The variables that programs do not inherit: those that cargo and rustup set for the programs
/// that they run, those that mislead a nested cargo or git, and those that each build sets anew.
/// <https://doc.rust-lang.org/cargo/reference/environment-variables.html>
const LEAKED: [&str; 22] = [
    "CARGO",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MAKEFLAGS",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
    "RUST_RECURSION_COUNT",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "DOCKLESS_VERSION",
    "DOCKLESS_COMMIT",
    "DOCKLESS_DATE",
    "DOCKLESS_DESCRIBE",
    "DOCKLESS_SLOT",
    handover::MARK,
];
const LEAKED_PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_BIN_EXE_", "CARGO_CFG_", "CARGO_FEATURE_"];

/// Variables that hold a path.
const PATHS: [&str; 8] = [
    "CARGO_HOME",
    "RUSTUP_HOME",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// The environment that programs are started with.
#[derive(Clone, Debug)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    /// Tokens. Programs get them by [`Program::with_logins`] and [`Env::with_tokens`] only.
    withheld: BTreeMap<OsString, tokens::Hidden>,
    /// Whether cargo started this process: RUSTUP_TOOLCHAIN may then be the outer project's
    /// choice and not the user's.
    nested: bool,
    children: Arc<Children>,
}

impl Env {
    /// This process's environment without what must not reach children.
    pub fn scrub(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Env {
        // Windows ignores the case of names: Path is PATH.
        let upper = |name: OsString| if cfg!(windows) { name.to_ascii_uppercase() } else { name };
        let vars = vars.into_iter().map(|(name, value)| (upper(name), value));
        let mut vars: BTreeMap<OsString, OsString> = vars.collect();
        let nested = vars.contains_key(OsStr::new("CARGO"));
        vars.retain(|name, _| {
            let name = name.to_string_lossy();
            let leaked = LEAKED.contains(&&*name);
            !leaked && !LEAKED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        // Messages are matched and shown; they must not depend on the locale.
        vars.insert("LC_ALL".into(), "C".into());
        let withheld = tokens::withhold(&mut vars);
        Env { vars, withheld, nested, children: Arc::default() }
    }

    /// The environment for programs started in `dir`. A toolchain that the project there pins
    /// wins over the one of the cargo that started this process.
    pub fn for_project(&self, dir: &Path) -> Env {
        let mut env = self.clone();
        let pinned = dir.ancestors().any(|dir| {
            dir.join("rust-toolchain.toml").is_file() || dir.join("rust-toolchain").is_file()
        });
        if self.nested && pinned {
            env.vars.remove(OsStr::new("RUSTUP_TOOLCHAIN"));
        }
        env
    }

    /// This environment with one variable set.
    pub fn with(mut self, name: &str, value: &OsStr) -> Env {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// Keeps only these variables.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.vars.retain(|name, _| keep(&name.to_string_lossy()));
    }

    /// This environment with absolute paths in cargo's and rustup's own variables. Relative ones
    /// start at the folder that the command was typed in; children are started elsewhere.
    pub fn anchored(mut self, dir: &Path) -> Env {
        for name in PATHS {
            if let Some(value) = self.vars.get_mut(OsStr::new(name)) {
                let path = Path::new(value);
                // The bare name of a program is looked up on PATH.
                let program = name.starts_with("RUSTC") && path.components().count() == 1;
                if !value.is_empty() && !program {
                    *value = dir.join(path).into();
                }
            }
        }
        // Programs found by a relative entry of PATH are started from other folders.
        if let Some(path) = self.get("PATH") {
            let dirs = std::env::split_paths(path).map(|entry| dir.join(entry));
            // An entry that cannot be joined again stays as the user wrote it.
            if let Ok(path) = std::env::join_paths(dirs) {
                self.vars.insert("PATH".into(), path);
            }
        }
        self
    }

    /// The programs that run with this environment, or one that was made of it.
    pub fn children(&self) -> &Arc<Children> {
        &self.children
    }

    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.vars.iter()
    }
}

/// A program to start: what, where, and with which environment.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    program: OsString,
    args: Vec<OsString>,
    dir: &'a Path,
    env: &'a Env,
    vars: Vec<(OsString, OsString)>,
    logs_in: bool,
    input: Option<Vec<u8>>,
    time_out: Option<Duration>,
    /// For an untrusted program: how much it may print, in bytes.
    confined: Option<u64>,
}

impl<'a> Program<'a> {
    pub fn new(program: impl AsRef<OsStr>, dir: &'a Path, env: &'a Env) -> Program<'a> {
        Program {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            dir,
            env,
            vars: Vec::new(),
            logs_in: false,
            input: None,
            time_out: None,
            confined: None,
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn var(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.vars.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives the program tokens, except those of GitHub and its runners. For programs that log
    /// in somewhere and run no code of the project or of dependencies.
    pub fn with_logins(mut self) -> Self {
        self.logs_in = true;
        self
    }

    /// What the program reads from its stdin, for [`Program::output`]. It must fit into a pipe,
    /// so that writing it does not block.
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Some(bytes.to_owned());
        self
    }

    /// Ends the program when it takes longer. For programs that could hang.
    pub fn time_out(mut self, time: Duration) -> Self {
        self.time_out = Some(time);
        self
    }

    /// For untrusted programs. A program that takes longer is ended with all that it started.
    /// From each pipe at most `limit` bytes and one are read. The program has a process group of
    /// its own, so Ctrl-C does not reach it.
    pub fn confined(mut self, time: Duration, limit: u64) -> Self {
        (self.time_out, self.confined) = (Some(time), Some(limit));
        self
    }

    /// Runs to the end and returns stdout. A status other than 0 is an error with the command
    /// line and an excerpt of stderr.
    pub fn read(&self) -> Result<String> {
        let output = self.output()?;
        if !output.status.success() {
            return Err(self.failed(output.status, &output.stderr));
        }
        String::from_utf8(output.stdout).with_context(|| format!("read the output of `{self}`"))
    }

    /// Runs to the end and returns status and output, whatever the status.
    pub fn output(&self) -> Result<Output> {
        let deadline = self.time_out.map(|time| Instant::now() + time);
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        let place = if self.confined.is_some() { Place::OwnGroup } else { Place::Pipes };
        let mut child = self.spawn(place, stdin, Stdio::piped(), Stdio::piped())?;
        feed(&mut child, self.input.as_deref().unwrap_or_default());
        let limit = self.confined.map_or(u64::MAX, |limit| limit.saturating_add(1));
        let stdout = drain(child.stdout.take(), limit);
        let stderr = drain(child.stderr.take(), limit);
        let ended = collect(&stdout, deadline)
            .and_then(|out| Some((out, collect(&stderr, deadline)?)))
            .and_then(|(out, err)| Some((out, err, wait(&mut child, deadline)?)));
        let Some((stdout, stderr, status)) = ended else {
            return Err(self.timed_out(child));
        };
        let operation = || format!("run `{self}`");
        Ok(Output {
            stdout: stdout.with_context(operation)?,
            stderr: String::from_utf8_lossy(&stderr.with_context(operation)?).into_owned(),
            status: status.with_context(operation)?,
        })
    }

    /// Runs, passes stderr on to the user and hands each line of stdout to `each`. Returns how
    /// it ended, and the last `remembered` bytes of stderr. The user has seen stderr, so the
    /// error of a failure does not repeat it.
    pub fn watch(
        &self,
        remembered: usize,
        mut each: impl FnMut(&str) -> Result<()>,
    ) -> Result<(Result<()>, String)> {
        let mut child = self.spawn(Place::Build, Stdio::null(), Stdio::piped(), Stdio::piped())?;
        let stdout = child.stdout.take().context("open the program's stdout")?;
        let stderr = child.stderr.take().context("open the program's stderr")?;
        let said = std::thread::spawn(move || stream::pass_on(stderr, remembered));
        let mut read = Ok(());
        for line in BufReader::new(stdout).split(b'\n') {
            // Reading goes on after an error: a closed pipe would make the program fail and
            // hide its own failure.
            let line = line.with_context(|| format!("read the output of `{self}`"));
            let handled = line.and_then(|line| each(&String::from_utf8_lossy(&line)));
            read = read.and(handled);
        }
        let status = child.wait().with_context(|| format!("run `{self}`"))?;
        let said = said.join().map_err(|_| anyhow!("a thread that passes stderr on panicked"))?;
        let ended = if status.success() {
            read
        } else {
            Err(anyhow!("`{self}` failed ({status}); its messages are above"))
        };
        Ok((ended, said))
    }

    /// Runs with the user's terminal and returns the status.
    pub fn pass_through(&self) -> Result<ExitStatus> {
        let own = Stdio::inherit;
        let mut child = self.spawn(Place::Terminal, own(), own(), own())?;
        child.wait().with_context(|| format!("run `{self}`"))
    }

    /// Runs with the user's terminal, except that stdin is `input`, and returns the status.
    pub fn pass_through_input(&self, input: &[u8]) -> Result<ExitStatus> {
        let own = Stdio::inherit;
        let mut child = self.spawn(Place::Terminal, Stdio::piped(), own(), own())?;
        feed(&mut child, input);
        child.wait().with_context(|| format!("run `{self}`"))
    }

    /// Runs with stdout and stderr both sent to the user's stderr, because stdout is kept for
    /// our results. Returns the status.
    pub fn pass_stderr(&self) -> Result<ExitStatus> {
        let (stdout, stderr) = (Stdio::from(std::io::stderr()), Stdio::inherit());
        let mut child = self.spawn(Place::Terminal, Stdio::null(), stdout, stderr)?;
        child.wait().with_context(|| format!("run `{self}`"))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door: xshell makes the command")]
    fn spawn(&self, place: Place, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Running> {
        let shell = Shell::new().context("find the working directory")?;
        shell.change_dir(self.dir);
        let mut command = Command::from(shell.cmd(&self.program).args(&self.args));
        command.env_clear().envs(self.env.iter());
        command.envs(self.env.for_logins().filter(|_| self.logs_in));
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        #[cfg(unix)]
        if self.confined.is_some() {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let started = || start(&mut command).map_err(|error| self.not_started(error));
        self.env.children.start(place, started)
    }

    fn not_started(&self, error: std::io::Error) -> anyhow::Error {
        let program = self.program.to_string_lossy().into_owned();
        if !self.dir.is_dir() {
            return anyhow!("start `{program}` in {}: no such folder", self.dir.display());
        }
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = anyhow::Error::new(error).context(format!("start `{program}`"));
        if missing {
            error.context(Help(format!("install {program}, or put it on PATH")))
        } else {
            error
        }
    }

    fn failed(&self, status: ExitStatus, stderr: &str) -> anyhow::Error {
        let said = redacted(&excerpt(stderr)).into_owned();
        if said.is_empty() {
            return anyhow!("`{self}` failed ({status})");
        }
        anyhow!("`{self}` failed ({status}):\n{said}")
    }

    fn timed_out(&self, mut child: Running) -> anyhow::Error {
        let limit = self.time_out.map_or(0, |time| time.as_secs());
        let why = format!("`{self}` did not end within {limit} s and was stopped");
        let error = anyhow::Error::new(TimedOut(why));
        let killed = match self.confined {
            Some(_) => kill_group(&mut child),
            None => child.kill(),
        };
        match killed.and_then(|()| child.wait()) {
            Ok(_) => error,
            Err(kill) => error.context(format!("stop `{self}`: {kill}")),
        }
    }
}

/// The command line as a person would type it in a shell.
impl std::fmt::Display for Program<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A person would not type the folder of a toolchain's program.
        let name = Path::new(&self.program).file_name().unwrap_or(&self.program);
        f.write_str(&quoted(name))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", redacted(&quoted(arg))))
    }
}

/// A program took too long. The text names it and the limit.
#[derive(Debug)]
pub struct TimedOut(String);

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TimedOut {}

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// The program that this process runs.
pub fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("find this program's own path")
}

fn quoted(arg: &OsStr) -> String {
    let arg = arg.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%^".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.into_owned();
    }
    format!("'{}'", arg.replace('\'', r"'\''"))
}

/// Writes all of a program's stdin, where that is a pipe, and closes it. A program may end before
/// it has read all; its status says why.
fn feed(child: &mut Child, input: &[u8]) {
    if let Some(mut stdin) = child.stdin.take() {
        drop(stdin.write_all(input));
    }
}

/// Reads up to `limit` bytes of a pipe, on its own thread: a program that fills both pipes, or
/// leaves one open to a child of its own, cannot block this one.
fn drain(
    pipe: Option<impl Read + Send + 'static>,
    limit: u64,
) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.take(limit).read_to_end(&mut bytes));
        // After a time-out the receiver is gone, and nobody needs these bytes.
        drop(sender.send(read.map(|_| bytes)));
    });
    receiver
}

/// `None` when the deadline passed first.
fn collect(
    pipe: &Receiver<std::io::Result<Vec<u8>>>,
    deadline: Option<Instant>,
) -> Option<std::io::Result<Vec<u8>>> {
    match deadline {
        None => pipe.recv().ok(),
        Some(at) => pipe.recv_timeout(at.saturating_duration_since(Instant::now())).ok(),
    }
}

/// `None` when the deadline passed first.
fn wait(child: &mut Child, deadline: Option<Instant>) -> Option<std::io::Result<ExitStatus>> {
    let Some(deadline) = deadline else {
        return Some(child.wait());
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(Ok(status)),
            Err(error) => return Some(Err(error)),
            Ok(None) if Instant::now() >= deadline => return None,
            // Both pipes are closed, so the end is near.
            Ok(None) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

#[cfg(test)]
mod tests;
