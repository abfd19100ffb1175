//! A program that is told line after line what to do, and answers in lines.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Program;
use super::children::{Place, Running};

/// The longest line that is read, in bytes: more is another line.
const LINE: u64 = 64 << 10;
/// How many lines wait to be read, before the program has to wait.
const WAITING: usize = 256;
/// How much of stderr is kept, in bytes.
const REMEMBERED: usize = 64 << 10;
/// How long it may take to end, once its stdin has.
const PATIENCE: Duration = Duration::from_secs(2);

/// A program that runs with pipes. Dropped, it is ended.
#[derive(Debug)]
pub struct Dialog {
    child: Running,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Its other side is gone once stderr is read to its end.
    said_all: Receiver<()>,
}

/// What a program said.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Line(String),
    /// Nothing yet.
    Silence,
    /// It has ended, or closed its stdout.
    End,
}

impl Program<'_> {
    /// Starts it to talk with it.
    pub fn talk(&self) -> Result<Dialog> {
        let mut child = self.spawn(Place::Pipes, Stdio::piped(), Stdio::piped(), Stdio::piped())?;
        let stdout = child.stdout.take().context("open the program's stdout")?;
        let stderr = child.stderr.take().context("open the program's stderr")?;
        let (sender, lines) = mpsc::sync_channel(WAITING);
        std::thread::spawn(move || read_lines(stdout, &sender));
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let keeps = Arc::clone(&kept);
        let (reading, said_all) = mpsc::channel();
        std::thread::spawn(move || {
            keep_last(stderr, &keeps);
            drop(reading);
        });
        Ok(Dialog { stdin: child.stdin.take(), child, lines, stderr: kept, said_all })
    }
}

impl Dialog {
    /// Tells it something. Fails where it has ended.
    pub fn say(&mut self, text: &str) -> std::io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        stdin.write_all(text.as_bytes())
    }

    /// Its next line, without the end of the line.
    pub fn hear(&self, within: Duration) -> Heard {
        match self.lines.recv_timeout(within) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// The last of what it wrote to stderr.
    pub fn stderr(&self) -> String {
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// Closes its stdin and waits for its end, for a while; `None` where it goes on. Afterwards
    /// all of stderr is there.
    pub fn end(&mut self) -> Option<ExitStatus> {
        drop(self.stdin.take());
        let until = Instant::now() + PATIENCE;
        // What it started may keep stderr open.
        _ = self.said_all.recv_timeout(PATIENCE);
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(ended) => return ended,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        if self.end().is_none() && self.child.kill().is_ok() {
            // Its own end is not looked at: it was not to go on.
            _ = self.child.wait();
        }
    }
}

fn read_lines(stdout: impl Read, to: &SyncSender<String>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match stdout.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A failed pipe delivers nothing more; the exit status tells the rest.
            Ok(0) | Err(_) => return,
        }
        let line = String::from_utf8_lossy(&line);
        if to.send(line.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
            return;
        }
    }
}

fn keep_last(mut stderr: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        let count = match stderr.read(&mut buffer) {
            Ok(count @ 1..) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return,
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 2 * REMEMBERED {
            let spare = kept.len() - REMEMBERED;
            kept.drain(..spare);
        }
    }
}
