//! Processes of the service, and clients that speak HTTP by hand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_source-ip");

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the service's own network.
pub const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Times for tests that wait for their end.
pub const SHORT: [&str; 6] =
    ["--header-timeout", "0.5", "--request-timeout", "2", "--drain", "0.5"];

/// A process of the service. It is killed when dropped.
pub struct Service {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

impl Service {
    pub fn start(args: &[&str]) -> Self {
        Service::at("127.0.0.1:0", args)
    }

    pub fn at(listen: &str, args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", listen, "--admin-listen", "127.0.0.1:0"]).args(args);
        Service::run(command)
    }

    pub fn run(mut command: Command) -> Self {
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let unknown = SocketAddr::from((HERE, 0));
        let mut service = Service { child, log, address: unknown, admin: unknown };
        let address = |event: Value| event["address"].as_str().unwrap().parse().unwrap();
        service.address = address(service.event(|it| it["port"] == "clients"));
        service.admin = address(service.event(|it| it["port"] == "admin"));
        service
    }

    /// Waits for a line of the log.
    pub fn event(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        patiently("a line of the log", || self.events().into_iter().find(&is_it))
    }

    /// The lines of the log so far.
    pub fn events(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until the process has stopped, after SIGSTOP.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        patiently("the process to stop", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            stat.contains(") T ").then_some(())
        });
    }

    /// Waits for the process to end: its exit code, or 128 and the signal that ended it.
    pub fn ended(&mut self) -> i32 {
        let status: ExitStatus = patiently("the process to end", || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// A client of another address of this machine.
    pub fn connect_from(&self, source: Ipv4Addr) -> Client {
        Client::new(connect_from(source, self.address).unwrap())
    }

    /// What `/` says to a client that begins its connection with these bytes.
    pub fn seen(&self, source: Ipv4Addr, before: &[u8], headers: &str) -> Value {
        let mut client = self.connect_from(source);
        client.send(before);
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        let reply = client.reply();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// A number of the metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let mut admin = Client::new(TcpStream::connect(self.admin).unwrap());
        let text = admin.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Tries until there is a result.
pub fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A socket that the processes of other tests do not inherit.
fn own_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Connects from an address of this machine.
pub fn connect_from(source: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = own_socket()?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

/// Connects with a receive buffer of so many bytes.
pub fn connect_with_buffer(size: usize, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = own_socket()?;
    set_socket_recv_buffer_size(&socket, size)?;
    connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }

    /// Whether the server closes the connection after it.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::with_capacity(1024, stream))
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.ask(path);
        self.reply()
    }

    pub fn ask(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }

    pub fn reply(&mut self) -> Reply {
        self.try_reply().unwrap()
    }

    /// Reads one reply, other than to HEAD.
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, head));
            }
        }
        let status = head.get(9..12).and_then(|it| it.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(head.clone()))?;
        let mut reply = Reply { status, head, body: String::new() };
        let length = reply.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        reply.body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(reply)
    }

    /// Waits for the end of the connection. Returns what came before it.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => String::from_utf8(rest).unwrap(),
        }
    }

    /// Sends the end of the connection, and goes on reading.
    pub fn half_close(&mut self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }
}

/// Says that a test is not run for want of a program that CI must have.
pub fn missing(what: &str) {
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!ci, "{what}, and CI is set");
    skipped(what);
}

/// Says that a test is not run on this machine.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
