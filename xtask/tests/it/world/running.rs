//! Runs that are looked at while they go on.

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use super::{Run, run, skipped};

/// After so long, a run hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run that others may look at, and kill.
pub struct Running {
    pub child: Arc<Mutex<Child>>,
    printed: [JoinHandle<String>; 2],
    began: Instant,
}

pub fn start(command: &mut Command) -> Running {
    fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
        spawn(move || {
            let mut text = Vec::new();
            pipe.read_to_end(&mut text).ok();
            String::from_utf8_lossy(&text).into_owned()
        })
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let printed = [reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap())];
    Running { child: Arc::new(Mutex::new(child)), printed, began: Instant::now() }
}

/// The same program with so much address space, in KiB, where the system knows such a limit.
pub fn within(command: &Command, kib: u64) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit -v {kib} 2>/dev/null; exec \"$0\" \"$@\"")]);
    started_by(shell, command)
}

/// Runs a program while nobody can write the folder; `None` where nothing can be mounted here.
pub fn read_only(folder: &Path, command: &Command) -> Option<Run> {
    // The folder that the shell starts in is not seen through the mount before it is entered anew.
    let script = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77
        cd "$PWD" && exec "$@""#;
    let root = run(Command::new("id").arg("-u")).stdout.trim() == "0";
    let mut shell = Command::new("unshare");
    shell.args(if root { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    shell.args(["sh", "-c", script]).arg(folder);
    let ran = run(&mut started_by(shell, command));
    let mountable = ran.code != Some(77) && !ran.stderr.contains("unshare:");
    if !mountable {
        skipped(&format!("nothing can be mounted: {}", ran.stderr.trim()));
    }
    mountable.then_some(ran)
}

/// The program, started by another one that takes it and its arguments after its own.
fn started_by(mut by: Command, command: &Command) -> Command {
    by.arg(command.get_program()).args(command.get_args()).env_clear();
    by.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        by.current_dir(dir);
    }
    by
}

/// The line by which a run, whose stderr is piped, says that it waits for another, and the
/// lines that it says after that; empty where it ended without such a line. cargo waits for its
/// own locks, and says so in other words.
pub fn says_that_it_waits(child: &mut Child) -> (String, Lines<BufReader<ChildStderr>>) {
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let waits = |line: &String| line.trim_start().starts_with("wait ");
    let line = said.by_ref().map(Result::unwrap).find(waits);
    (line.unwrap_or_default(), said)
}

impl Running {
    /// Its end; `None` where it hangs, and is killed for that.
    pub fn end(self) -> Option<Run> {
        let status = loop {
            let mut child = self.child.lock().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            drop(child);
            sleep(Duration::from_millis(5));
        };
        let [stdout, stderr] = self.printed.map(|printed| printed.join().unwrap());
        Some(Run { code: status.code(), stdout, stderr, schema: None })
    }
}

/// Runs to the end, which must come.
#[track_caller]
pub fn ended(command: &mut Command) -> Run {
    start(command).end().unwrap_or_else(|| panic!("{command:?} hangs"))
}

/// What is wrong with the way in which a run failed, if anything is.
pub fn unclear(run: &Run) -> Option<String> {
    let errors = run.stderr.lines().filter(|line| line.starts_with("error:")).count();
    let clear = run.code == Some(1)
        && errors == 1
        && run.stdout.is_empty()
        && !run.stderr.contains("panicked")
        // That is what other threads end with, and no reason.
        && !run.stderr.contains("given up")
        && run.stderr.len() < 5000;
    (!clear).then(|| format!("ends with {:?} and says:\n{}{}", run.code, run.stdout, run.stderr))
}
