//! Two processes behind a real HAProxy, under constant load, replaced one after the other. The test
//! plays the kubelet and the node: a health port that fails when a pod is deleted, the preStop
//! sleep, and SIGTERM.
//!
//! The balancer never tries a request twice (`retries 0`), so each that fails is seen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::world::{Client, Service, connect_from, missing, patiently};

/// For how long a deleted pod goes on after the balancer has noticed, and for how long all is
/// well before a deletion.
const MARGIN: Duration = Duration::from_millis(300);

#[derive(Clone, Copy)]
enum Mode {
    /// Bytes, with the client's address in a PROXY header.
    Proxy(&'static str),
    /// Requests, on connections that the balancer keeps, with X-Forwarded-For.
    Http,
}

impl Mode {
    fn via(self) -> &'static str {
        match self {
            Mode::Proxy(_) => "proxy",
            Mode::Http => "forwarded",
        }
    }

    fn args(self) -> [&'static str; 3] {
        match self {
            Mode::Proxy(_) => ["--proxy-protocol", "--log-requests", "false"],
            Mode::Http => ["--forwarded-header=x-forwarded-for", "--log-requests", "false"],
        }
    }
}

/// How a process is replaced.
#[derive(Clone, Copy)]
enum Way {
    /// The health port fails, the balancer notices, then SIGTERM.
    Prestop,
    /// SIGTERM in the moment of the deletion, and no drain.
    AtOnce,
    /// SIGKILL.
    Kill,
}

/// A health port, as a node has one for its pods.
struct Health {
    port: u16,
    healthy: Arc<AtomicBool>,
}

impl Health {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let healthy = Arc::new(AtomicBool::new(true));
        let answered = healthy.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                // The balancer may end a check early.
                if lines.find(|line| line.as_ref().is_ok_and(String::is_empty)).is_some() {
                    let status = if answered.load(SeqCst) { "200 OK" } else { "503 Gone" };
                    let answer = format!("HTTP/1.0 {status}\r\nContent-Length: 0\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        continue;
                    }
                }
            }
        });
        Health { port, healthy }
    }
}

struct Pod {
    service: Service,
    health: Health,
    args: Vec<&'static str>,
}

impl Pod {
    fn start(host: Ipv4Addr, mode: Mode, way: Way) -> Self {
        let drain = if matches!(way, Way::Prestop) { "0.5" } else { "0" };
        let times = ["--drain", drain, "--trusted-proxies", "127.0.0.1"];
        let args = [&mode.args()[..], &times].concat();
        let address = format!("{host}:0");
        Pod { service: Service::at(&address, &args), health: Health::start(), args }
    }

    fn start_again(&mut self) {
        let address = self.service.address.to_string();
        self.service = Service::at(&address, &self.args);
        self.health.healthy.store(true, SeqCst);
    }
}

struct Balancer {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Balancer {
    fn start(program: &PathBuf, host: Ipv4Addr, mode: Mode, pods: &[Pod]) -> Self {
        let folder = TempDir::new().unwrap();
        let address = {
            let free = TcpListener::bind((host, 0)).unwrap();
            free.local_addr().unwrap()
        };
        let (how, option, send) = match mode {
            Mode::Proxy(send) => ("tcp", "", send),
            Mode::Http => ("http", "option forwardfor", ""),
        };
        let mut config = format!(
            "global\n stats socket {0}/stats\n\
             defaults\n mode {how}\n retries 0\n timeout connect 2s\n timeout client 20s\n \
             timeout server 20s\n timeout http-keep-alive 20s\n \
             default-server check inter 100ms fall 2 rise 2 {send}\n\
             listen balancer\n bind {address}\n {option}\n option httpchk GET /healthz\n",
            folder.path().display()
        );
        for (number, pod) in pods.iter().enumerate() {
            let (to, port) = (pod.service.address, pod.health.port);
            config += &format!(" server pod{number} {to} addr 127.0.0.1 port {port}\n");
        }
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(path).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let balancer = Balancer { child, folder, address };
        for number in 0..pods.len() {
            balancer.waits(number, "UP");
        }
        balancer
    }

    /// Waits until a pod is UP or DOWN for the balancer.
    fn waits(&self, number: usize, wanted: &str) {
        patiently("the balancer to notice", || {
            let mut stats = UnixStream::connect(self.folder.path().join("stats")).ok()?;
            stats.write_all(b"show stat\n").ok()?;
            let mut text = String::new();
            stats.read_to_string(&mut text).ok()?;
            let server = format!("balancer,pod{number},");
            let line = text.lines().find(|line| line.starts_with(&server))?;
            // https://docs.haproxy.org/2.6/management.html#9.1: the field `status`.
            (line.split(',').nth(17) == Some(wanted)).then_some(())
        });
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What a load found: requests answered, and how others failed.
#[derive(Default)]
struct Count {
    answered: usize,
    failed: Vec<String>,
}

impl Count {
    fn add(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.answered += 1,
            Err(why) => self.failed.push(why),
        }
    }
}

/// Load until it is stopped: new connections, kept ones, and slow requests.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Count>>,
}

impl Load {
    fn start(to: SocketAddr, mode: Mode) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let kinds = [("/", false, 15), ("/", true, 20), ("/slow?ms=200", false, 5)];
        let threads = (0..12).map(|number: u8| {
            let stop = stop.clone();
            let (path, keep, pause) = kinds[usize::from(number % 3)];
            let source = Ipv4Addr::new(127, 0, 2, number);
            std::thread::spawn(move || {
                let mut count = Count::default();
                let mut kept = None;
                while !stop.load(SeqCst) {
                    let connection = match kept.take() {
                        Some(client) => Ok(client),
                        None => connect_from(source, to).map(Client::new),
                    };
                    let connection = connection.map_err(|error| format!("connecting: {error}"));
                    let answer = connection.and_then(|client| ask(client, path, source, mode));
                    count.add(answer.map(|(client, open)| kept = (keep && open).then_some(client)));
                    std::thread::sleep(Duration::from_millis(pause));
                }
                count
            })
        });
        let threads = threads.collect();
        Load { stop, threads }
    }

    fn stop(self) -> Count {
        self.stop.store(true, SeqCst);
        let mut all = Count::default();
        for thread in self.threads {
            let count = thread.join().unwrap();
            all.answered += count.answered;
            all.failed.extend(count.failed);
        }
        all
    }
}

/// One request. Returns the connection, and whether it stays open.
fn ask(
    mut client: Client,
    path: &str,
    source: Ipv4Addr,
    mode: Mode,
) -> Result<(Client, bool), String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.try_send(request).map_err(|error| format!("sending: {error}"))?;
    let reply = client.try_reply().map_err(|error| format!("reading: {error}"))?;
    if reply.status != 200 {
        return Err(format!("status {}", reply.status));
    }
    let seen = reply.json();
    if seen["source"] != source.to_string() || seen["via"] != mode.via() {
        return Err(format!("{source} was seen as {seen}"));
    }
    let open = !reply.closes();
    Ok((client, open))
}

fn haproxy() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian has it where only root looks.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("haproxy")).find(|program| program.is_file())
}

/// Each run has addresses of its own: no client's port is in the way when a pod listens again.
static RUNS: AtomicU8 = AtomicU8::new(10);

/// Replaces both pods under load.
fn rolled(mode: Mode, way: Way) -> Option<Count> {
    let Some(program) = haproxy() else {
        missing("haproxy not found");
        return None;
    };
    let run = RUNS.fetch_add(1, SeqCst);
    let mut pods = [1, 2].map(|pod| Pod::start(Ipv4Addr::new(127, 0, run, pod), mode, way));
    let balancer = Balancer::start(&program, Ipv4Addr::new(127, 0, run, 100), mode, &pods);
    let load = Load::start(balancer.address, mode);
    for (number, pod) in pods.iter_mut().enumerate() {
        std::thread::sleep(MARGIN);
        pod.health.healthy.store(false, SeqCst);
        if matches!(way, Way::Prestop) {
            balancer.waits(number, "DOWN");
            std::thread::sleep(MARGIN);
        }
        match way {
            Way::Prestop | Way::AtOnce => pod.service.signal(Signal::TERM),
            Way::Kill => pod.service.signal(Signal::KILL),
        }
        let code = pod.service.ended();
        assert_eq!(code, if matches!(way, Way::Kill) { 128 + 9 } else { 0 });
        balancer.waits(number, "DOWN");
        pod.start_again();
        balancer.waits(number, "UP");
    }
    std::thread::sleep(MARGIN);
    let count = load.stop();
    eprintln!("{} answered, {} failed: {:?}", count.answered, count.failed.len(), count.failed);
    Some(count)
}

#[test]
fn nothing_is_lost_behind_a_balancer_of_bytes() {
    for send in ["send-proxy", "send-proxy-v2"] {
        if let Some(count) = rolled(Mode::Proxy(send), Way::Prestop) {
            assert_eq!(count.failed, Vec::<String>::new());
            assert!(count.answered > 100, "{}", count.answered);
        }
    }
}

#[test]
fn nothing_is_lost_behind_a_balancer_of_requests() {
    if let Some(count) = rolled(Mode::Http, Way::Prestop) {
        assert_eq!(count.failed, Vec::<String>::new());
        assert!(count.answered > 100, "{}", count.answered);
    }
}

/// Without the preStop sleep requests are lost: the tests above can fail.
#[test]
fn without_the_sleep_requests_are_lost() {
    for way in [Way::AtOnce, Way::Kill] {
        if let Some(count) = rolled(Mode::Proxy("send-proxy-v2"), way) {
            assert!(!count.failed.is_empty());
        }
    }
}
