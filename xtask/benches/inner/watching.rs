//! `dockless watch --push`, running.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::{Bench, INSTALLED};
use crate::projects::Rust;

/// The first build compiles all crates.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Watching {
    process: Child,
    lines: Receiver<String>,
}

impl Watching {
    /// Starts it, and waits for the first image.
    pub fn start(bench: &Bench, project: &Rust, repository: &str) -> Result<Watching> {
        let run = bench.command(INSTALLED, &project.dir);
        let args = ["watch", "--push", "--repository", repository];
        let mut command = run.args(args).0;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().context("start dockless watch")?;
        let stdout = process.stdout.take().context("open stdout")?;
        let mut stderr = process.stderr.take().context("open stderr")?;
        // A full pipe would stop it.
        thread::spawn(move || {
            let mut said = String::new();
            drop(stderr.read_to_string(&mut said));
        });
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let watching = Watching { process, lines };
        watching.printed()?;
        Ok(watching)
    }

    /// Waits for the next image.
    pub fn printed(&self) -> Result<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(_) => bail!("dockless watch printed no image"),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It ends with this process at the latest.
        drop(self.process.kill().and_then(|()| self.process.wait().map(drop)));
    }
}
