//! A server on this machine's loopback, for a program that fetches something from this process.
//! It answers GET and HEAD of HTTP/1.1, and runs only as long as that program needs it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::parallel::locked;

/// The longest head of a request, in bytes.
const HEAD: u64 = 16 << 10;
/// How many connections are served at a time. Engines open three to six.
const CONNECTIONS: usize = 32;
/// A connection on which nothing moves for this long is closed.
const IDLE: Duration = Duration::from_secs(120);
/// How long it rests where no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(10);
/// How long it may take to reach this process itself, where many others knock.
const WAKE: Duration = Duration::from_secs(1);

/// A port of this machine's loopback.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: u16,
}

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// In upper case.
    pub method: String,
    /// As it was sent, with its query.
    pub target: String,
    /// The names are in lower case.
    headers: Vec<(String, String)>,
}

/// What is answered.
pub struct Answer<'a> {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Of the body, in bytes.
    pub size: u64,
    /// It must have that size: the connection is closed where it has not.
    pub body: Box<dyn Read + 'a>,
}

impl Asked {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// Reads a head; `None` where the connection has ended.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Asked>> {
        let mut from = from.take(HEAD);
        let mut line = || -> io::Result<Option<String>> {
            let mut line = String::new();
            from.read_line(&mut line)?;
            Ok(line.strip_suffix('\n').map(|line| line.trim_end().to_owned()))
        };
        let first = line()?.unwrap_or_default();
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        loop {
            let Some(line) = line()? else { return Ok(None) };
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { return Ok(None) };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Asked { method: method.to_owned(), target: target.to_owned(), headers }))
    }

    /// Whether the connection ends after the answer. The body of a request is not read.
    fn is_last(&self) -> bool {
        let closes = |value: &str| value.eq_ignore_ascii_case("close");
        !["GET", "HEAD"].contains(&&*self.method)
            || self.header("connection").is_some_and(closes)
            || self.header("transfer-encoding").is_some()
            || self.header("content-length").is_some_and(|length| length != "0")
    }
}

impl Answer<'_> {
    /// An answer without a body.
    pub fn empty(status: u16) -> Answer<'static> {
        Answer { status, headers: Vec::new(), size: 0, body: Box::new(io::empty()) }
    }
}

impl Listener {
    /// Takes a free port.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn loopback() -> Result<Listener> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let port = |socket: TcpListener| Ok((socket.local_addr()?.port(), socket));
        let (port, socket) = bound.and_then(port).context("listen on 127.0.0.1")?;
        Ok(Listener { socket, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers requests while `work` runs. Then all connections are closed.
    pub fn serve<'a, T>(
        &self,
        answer: &(dyn Fn(&Asked) -> Answer<'a> + Sync),
        work: impl FnOnce() -> T,
    ) -> T {
        let open = Open::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let open = &open;
                while !open.is_over.load(Ordering::SeqCst) {
                    let Ok((stream, _)) = self.socket.accept() else {
                        std::thread::sleep(PAUSE);
                        continue;
                    };
                    let Some(place) = open.admit(&stream) else { continue };
                    scope.spawn(move || {
                        // A connection that breaks is the other side's to notice.
                        _ = converse(&stream, answer);
                        open.leave(place);
                    });
                }
            });
            let _end = End { open: &open, port: self.port };
            work()
        })
    }
}

/// The connections that are served now.
#[derive(Default)]
struct Open {
    is_over: AtomicBool,
    last: AtomicUsize,
    streams: Mutex<Vec<(usize, TcpStream)>>,
}

impl Open {
    /// `None` where there are too many, or no more are served.
    fn admit(&self, stream: &TcpStream) -> Option<usize> {
        let mut streams = locked(&self.streams);
        if self.is_over.load(Ordering::SeqCst) || streams.len() >= CONNECTIONS {
            return None;
        }
        let place = self.last.fetch_add(1, Ordering::Relaxed);
        streams.push((place, stream.try_clone().ok()?));
        Some(place)
    }

    fn leave(&self, place: usize) {
        locked(&self.streams).retain(|(of, _)| *of != place);
    }
}

/// Ends the server, also where the work has panicked.
struct End<'a> {
    open: &'a Open,
    port: u16,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let streams = locked(&self.open.streams);
        self.open.is_over.store(true, Ordering::SeqCst);
        for (_, stream) in streams.iter() {
            // One that has ended already is closed.
            _ = stream.shutdown(Shutdown::Both);
        }
        drop(streams);
        // Whoever else connects wakes it as well.
        _ = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), WAKE);
    }
}

/// Answers the requests of a connection until one is the last.
fn converse<'a>(
    stream: &TcpStream,
    answer: &(dyn Fn(&Asked) -> Answer<'a> + Sync),
) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut from = BufReader::new(stream);
    while let Some(request) = Asked::read(&mut from)? {
        let is_last = request.is_last();
        let Answer { status, headers, size, body } = match &*request.method {
            "GET" | "HEAD" => answer(&request),
            _ => Answer::empty(405),
        };
        let mut head =
            format!("HTTP/1.1 {status} {}\r\ncontent-length: {size}\r\n", reason(status));
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += if is_last { "connection: close\r\n\r\n" } else { "\r\n" };
        let mut to = stream;
        to.write_all(head.as_bytes())?;
        if request.method == "GET" && io::copy(&mut body.take(size), &mut to)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered to these bytes, with the server's own heads.
    #[expect(clippy::disallowed_methods, reason = "a client of the server")]
    fn asked(bytes: &[u8]) -> String {
        let listener = Listener::loopback().unwrap();
        let answer = |request: &Asked| {
            let text = format!("{} {:?}", request.target, request.header("x"));
            let size = text.len() as u64;
            let body = Box::new(io::Cursor::new(text.into_bytes()));
            Answer { status: 200, headers: vec![("a", "b".to_owned())], size, body }
        };
        listener.serve(&answer, || {
            let mut stream = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
            stream.write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut said = Vec::new();
            // A connection that the server closes early is reset.
            _ = stream.read_to_end(&mut said);
            String::from_utf8(said).unwrap()
        })
    }

    #[test]
    fn requests_are_answered_one_after_another() {
        let said = asked(
            b"GET /a HTTP/1.1\r\nX: 1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\nx:2\n\n",
        );
        let head =
            |size: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\na: b\r\n\r\n");
        let (a, c) = ("/a Some(\"1\")", "/c Some(\"2\")");
        assert_eq!(said, format!("{}{a}{}{}{c}", head(12), head(7), head(12)));
    }

    #[test]
    fn what_is_no_request_ends_the_connection() {
        let long = format!("GET /a HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
        for bytes in ["", "\r\n", "GET", "GET /a\r\n\r\n", "GET  /a HTTP/1.1\r\n\r\n", "\0\0\0\n"] {
            assert_eq!(asked(bytes.as_bytes()), "", "{bytes:?}");
        }
        assert_eq!(asked(long.as_bytes()), "");
        let body = asked(b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
        assert!(body.starts_with("HTTP/1.1 405 ") && body.matches("HTTP").count() == 1, "{body}");
        let body = asked(b"GET /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
        assert!(body.contains("connection: close") && body.matches("HTTP").count() == 1, "{body}");
    }

    /// Whatever is sent, its end is found.
    #[test]
    fn any_bytes_are_read_to_an_end() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut rest = &bytes[..];
            while let Ok(Some(asked)) = Asked::read(&mut rest) {
                assert!(!asked.target.contains(' '));
            }
            Ok(())
        });
    }
}
