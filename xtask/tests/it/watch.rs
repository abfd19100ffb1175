//! The inner loop: from a change of a file to the program, the image or the cluster that has it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::World;

mod hostile;
mod images;
mod manifests;
mod on_cluster;
mod program;

/// What does not come within this time does not come.
const PATIENCE: Duration = Duration::from_secs(120);
/// What does not come within this time is taken for nothing.
const NOTHING: Duration = Duration::from_secs(1);

/// Where a pipe's text ends up.
type Text = Arc<Mutex<String>>;

/// A watch that runs.
struct Watch {
    child: Child,
    stdout: (Text, usize),
    stderr: (Text, usize),
}

fn pour(mut pipe: impl Read + Send + 'static) -> (Text, usize) {
    let text = Text::default();
    let into = Arc::clone(&text);
    spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut piece) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    });
    (text, 0)
}

impl Watch {
    fn of(command: &mut Command) -> Watch {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Watch { child, stdout: pour(stdout), stderr: pour(stderr) }
    }

    fn begin<S: AsRef<OsStr>>(world: &World, args: impl IntoIterator<Item = S>) -> Watch {
        Watch::of(world.tool(["watch"]).args(args))
    }

    /// Waits until stdout goes on with this text, somewhere.
    #[track_caller]
    fn prints(&mut self, text: &str) {
        await_text(&mut self.stdout, text, &self.stderr.0);
    }

    /// The same for stderr.
    #[track_caller]
    fn says(&mut self, text: &str) {
        await_text(&mut self.stderr, text, &self.stdout.0);
    }

    /// What stdout has beyond what was waited for.
    fn more(&self) -> String {
        self.stdout.0.lock().unwrap()[self.stdout.1..].to_owned()
    }

    /// Requires that nothing is said or printed for a while.
    #[track_caller]
    fn rests(&self) {
        let both = || [&self.stdout, &self.stderr].map(|it| it.0.lock().unwrap().len());
        let before = both();
        sleep(NOTHING);
        let after = both();
        assert_eq!(after, before, "{}", self.stderr.0.lock().unwrap());
    }

    /// Ends it by a signal, and returns its status and all of stderr.
    #[track_caller]
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end: {}", self.stderr.0.lock().unwrap());
            sleep(Duration::from_millis(10));
        };
        (status.code(), self.stderr.0.lock().unwrap().clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
            let until = Instant::now() + Duration::from_secs(10);
            while Instant::now() < until && self.child.try_wait().is_ok_and(|it| it.is_none()) {
                sleep(Duration::from_millis(10));
            }
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

#[track_caller]
fn await_text(of: &mut (Text, usize), text: &str, beside: &Text) {
    let until = Instant::now() + PATIENCE;
    loop {
        let all = of.0.lock().unwrap().clone();
        if let Some(at) = all[of.1..].find(text) {
            of.1 += at + text.len();
            return;
        }
        let beside = beside.lock().unwrap();
        assert!(Instant::now() < until, "no {text:?} after byte {} of:\n{all}\n{beside}", of.1);
        drop(beside);
        sleep(Duration::from_millis(5));
    }
}

/// A program that prints a word and stays.
fn stays(word: &str) -> String {
    format!(
        "fn main() {{\n    println!(\"{word}\");\n    loop {{\n        \
         std::thread::sleep(std::time::Duration::from_secs(9));\n    }}\n}}\n"
    )
}

/// A project of one program that prints a word and stays, committed.
fn project(word: &str) -> World {
    let world = World::quick("1.0.0");
    world.file("src/main.rs", &stays(word)).commit();
    world
}

/// Writes a file as editors do: beside its place, and renamed into it.
fn save(path: &Path, text: &str) {
    let beside = path.with_extension("saving~");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// The processes whose program lies in the project.
fn left_behind(world: &World) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let programs = processes.filter_map(|dir| fs::read_link(dir.join("exe")).ok());
    let own = programs.filter(|program| program.starts_with(world.root()));
    own.map(|program| program.display().to_string()).collect()
}
