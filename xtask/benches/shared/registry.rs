//! A registry of this machine, and the way to it made long.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::{Bench, read, write};

/// How long it may take to start; a tenth of a second is usual.
const PATIENCE: Duration = Duration::from_secs(30);

/// The CNCF's registry, version 3, without a password and without TLS.
pub struct Registry {
    /// `127.0.0.1:PORT`
    pub host: String,
    process: Child,
}

impl Registry {
    /// `None`, said aloud, where it is not on PATH.
    pub fn start(bench: &Bench) -> Result<Option<Registry>> {
        if bench.installed("registry", &["--version"])?.is_none() {
            eprintln!("skipped: registry is not on PATH");
            return Ok(None);
        }
        let dir = bench.dir.join("registry");
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {:?}}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
            dir.join("data"),
        );
        write(&dir.join("config.yml"), &config)?;
        let log = dir.join("log");
        let out = std::fs::File::create(&log).context("make the registry's log")?;
        let alone = ["--pdeathsig", "KILL", "registry", "serve", "config.yml"];
        let mut run = bench.command("setpriv", &dir).args(alone);
        run = run.env("OTEL_TRACES_EXPORTER", "none");
        let process = run.0.stdout(Stdio::null()).stderr(out).spawn().context("start registry")?;
        let started = Instant::now();
        loop {
            if let Some((_, after)) = read(&log)?.split_once("listening on ") {
                let end = after.find('"').unwrap_or(after.len());
                return Ok(Some(Registry { host: after[..end].to_owned(), process }));
            }
            if started.elapsed() > PATIENCE {
                bail!("the registry does not start: {}", read(&log)?);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The way to a server.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub round_trip: Duration,
    /// What it carries in each direction, in bytes a second; `None` for what the machine does.
    pub rate: Option<f64>,
}

/// Another address of a server, at the end of a link: what comes is passed on later, in both
/// directions. It lasts as long as the process.
pub fn far(host: &str, link: Link) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr().context("listen")?.to_string();
    let host = host.to_owned();
    let lanes = [Lane::new(link), Lane::new(link)];
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let (host, [up, down]) = (host.clone(), lanes.clone());
            thread::spawn(move || {
                // The handshake alone takes one.
                thread::sleep(link.round_trip);
                let Ok(far) = TcpStream::connect(&host) else { return };
                for stream in [&near, &far] {
                    drop(stream.set_nodelay(true));
                }
                if let (Ok(from), Ok(to)) = (near.try_clone(), far.try_clone()) {
                    delayed(from, to, up);
                }
                delayed(far, near, down);
            });
        }
    });
    Ok(address)
}

/// One direction of a link, which all connections share.
#[derive(Clone)]
struct Lane {
    link: Link,
    /// When it has room for more.
    free: Arc<Mutex<Instant>>,
}

impl Lane {
    fn new(link: Link) -> Lane {
        Lane { link, free: Arc::new(Mutex::new(Instant::now())) }
    }

    /// When so many bytes are at the other end.
    fn due(&self, bytes: usize) -> Instant {
        let delay = self.link.round_trip / 2;
        let Some(rate) = self.link.rate else { return Instant::now() + delay };
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = (*free).max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate);
        *free + delay
    }
}

/// Passes on what comes, each piece so much later.
fn delayed(mut from: TcpStream, mut to: TcpStream, lane: Lane) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(given @ 1..) = from.read(&mut buffer) {
            if sender.send((lane.due(given), buffer[..given].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        drop(to.shutdown(std::net::Shutdown::Write));
    });
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It ends with this process at the latest.
        drop(self.process.kill().and_then(|()| self.process.wait().map(drop)));
    }
}
