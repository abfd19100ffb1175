//! The two applications as an ingress meets them.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PROM: &str = env!("CARGO_BIN_EXE_prom");
const ALERTS: &str = env!("CARGO_BIN_EXE_alerts");

/// After so long, something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

const USER: &str = "X-Auth-Request-User: alice\r\nX-Auth-Request-Email: alice@example.org\r\n";

/// A started application, killed when dropped.
struct Running {
    child: Child,
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(program: &str) -> Running {
    let mut command = Command::new(program);
    command.env_clear().env("LISTEN", "127.0.0.1:0").env("SIGN_OUT_URL", "https://login/?a&b=\"");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(line.contains(": listening on 127.0.0.1:"), "{line}");
    Running { child, address }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to a request whose connection is closed after it.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, target: &str, headers: &str) -> String {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: alerts.example.com\r\nConnection: close\r\n");
        self.ask(format!("{request}{headers}\r\n").as_bytes())
    }

    fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let kill = kill.arg(format!("-{name}")).arg(self.child.id().to_string());
        assert!(kill.status().unwrap().success());
    }

    /// The exit code; it must end by itself.
    fn end(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it goes on");
            sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn each_greets_its_user_and_shows_what_was_asked_for() {
    for (program, name) in [(PROM, "prom"), (ALERTS, "alerts")] {
        let answer = start(program).get("/silences?filter=a%20b&x=1", USER);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for part in [
            &*format!("<h1>{name}</h1>"),
            "Signed in: alice, alice@example.org",
            "https://alerts.example.com/silences?filter=a%20b&amp;x=1",
            "href=\"https://login/?a&amp;b=&quot;\"",
            "content-type: text/html; charset=utf-8",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(answer.contains(part), "{part} is not in {answer}");
        }
    }
}

#[test]
fn nothing_that_a_request_brings_becomes_part_of_the_page() {
    let alerts = start(ALERTS);
    let evil = "<script>alert('1')</script>&\"";
    for answer in [
        alerts.get("/", &format!("X-Auth-Request-User: {evil}\r\n")),
        alerts.get("/", &format!("{USER}\r\n").replace("alice@example.org", evil)),
        alerts.get("/?q=<script>alert('1')</script>", USER),
        alerts.ask(
            format!("GET / HTTP/1.1\r\nHost: {evil}\r\nConnection: close\r\n{USER}\r\n").as_bytes(),
        ),
    ] {
        assert!(!answer.contains("<script") && !answer.contains("('1')"), "{answer}");
    }
    let bytes =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Auth-Request-User: \xff\xfe\r\n\r\n";
    let answer = alerts.ask(bytes);
    assert!(answer.contains("Signed in: \u{fffd}\u{fffd}"), "{answer}");
}

#[test]
fn nobody_signed_in_gets_no_page() {
    let alerts = start(ALERTS);
    for headers in [
        "",
        "X-Auth-Request-User: \r\n",
        "X-Auth-Request-Email: alice@example.org\r\n",
        // Two values: one of them is not oauth2-proxy's.
        "X-Auth-Request-User: alice\r\nX-Auth-Request-User: root\r\n",
    ] {
        let answer = alerts.get("/", headers);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{headers}: {answer}");
        assert!(!answer.contains("Signed in"), "{answer}");
    }
    // The probe has no user.
    assert!(alerts.get("/healthz", "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn other_requests_are_refused() {
    let alerts = start(ALERTS);
    let post = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{USER}Content-Length: 3\r\n\r\nabc"
    );
    let answer = alerts.ask(post.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"), "{answer}");
    assert!(alerts.ask(b"\x16\x03\x01 this is TLS\r\n\r\n").starts_with("HTTP/1.1 400 "));
    // The server closes before it has read all of it, so the client may see a reset.
    let mut stream = alerts.connect();
    let long =
        format!("GET / HTTP/1.1\r\nHost: a\r\n{USER}X-Long: {}\r\n\r\n", "a".repeat(1_000_000));
    let mut answer = [0; 12];
    let answered = stream.write_all(long.as_bytes()).and_then(|()| stream.read_exact(&mut answer));
    assert!(answered.is_err() || answer == *b"HTTP/1.1 431", "{answer:?}");
    // It lives on.
    assert!(alerts.get("/", USER).starts_with("HTTP/1.1 200 "));
}

#[test]
fn it_ends_after_the_last_answer() {
    for name in ["TERM", "INT"] {
        let mut alerts = start(ALERTS);
        // One connection at rest, which has had an answer, and one in the midst of a request.
        let mut rests = alerts.connect();
        rests.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut first = [0; 15];
        rests.read_exact(&mut first).unwrap();
        let mut asks = alerts.connect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{USER}");
        asks.write_all(request.as_bytes()).unwrap();
        sleep(Duration::from_millis(100));
        alerts.signal(name);
        sleep(Duration::from_millis(100));
        asks.write_all(b"\r\n").unwrap();
        let mut answer = String::new();
        asks.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut rest = Vec::new();
        rests.read_to_end(&mut rest).unwrap();
        assert_eq!(alerts.end(), Some(0), "{name}");
        assert!(TcpStream::connect(&alerts.address).is_err(), "it still listens");
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let alerts = start(ALERTS);
    let second = Command::new(PROM).env_clear().env("LISTEN", &alerts.address).output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on {}", alerts.address)), "{said}");
}
