//! HTTP/1.1 as it is on the wire: heads, and bodies that are passed on as they come.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// No head is longer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// In bytes: what is passed on in one go.
const PIECE: usize = 64 * 1024;

/// The first line and the headers of a request or an answer.
#[derive(Clone, Debug)]
pub struct Head {
    pub start: String,
    pub headers: Vec<(String, String)>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Head> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n");
        let start = lines.next()?.to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        let headers = lines.filter(|line| !line.is_empty()).map(header).collect::<Option<_>>()?;
        Some(Head { start, headers })
    }

    /// A word of the first line: `GET /path HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub fn word(&self, at: usize) -> &str {
        self.start.split(' ').nth(at).unwrap_or_default()
    }

    /// An answer's status.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, value)| &**value)
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Whether the connection ends after this.
    pub fn closes(&self) -> bool {
        self.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// How the body of a request ends.
    pub fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::None)
    }

    /// How the body of an answer to such a request ends.
    pub fn answer_framing(&self, method: &str) -> Framing {
        let bodyless = method == "HEAD" || matches!(self.status(), 100..200 | 204 | 304);
        if bodyless { Framing::None } else { self.framing().unwrap_or(Framing::Close) }
    }

    fn framing(&self) -> Option<Framing> {
        let coding = self.get("transfer-encoding");
        if coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Some(Framing::Chunked);
        }
        Some(Framing::Length(self.get("content-length")?.parse().ok()?))
    }
}

impl Answer {
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Answer { status, headers: headers.iter().map(owned).collect(), body: body.into() }
    }

    /// Its head, with the length of its body.
    pub fn head(&self) -> Head {
        let start = format!("HTTP/1.1 {} {}", self.status, reason(self.status));
        let mut head = Head { start, headers: self.headers.clone() };
        if head.get("content-length").is_none() {
            head.set("Content-Length", self.body.len().to_string());
        }
        head
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, value)| &**value)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "As It Is",
    }
}

/// The next head, and how many of its bytes are not yet read: a connection that is
/// closed with something unread is reset. `None` at the end of the connection.
pub fn peek_head(stream: &mut TcpStream) -> io::Result<Option<(Head, usize)>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; LONGEST_HEAD];
    loop {
        let seen = stream.peek(&mut buffer)?;
        if seen == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        // The end may have come in two pieces.
        let from = bytes.len().saturating_sub(3);
        let before = bytes.len();
        bytes.extend(&buffer[..seen]);
        if let Some(end) = bytes[from..].windows(4).position(|four| four == b"\r\n\r\n") {
            let end = from + end + 4;
            let head = Head::parse(&bytes[..end]).ok_or(ErrorKind::InvalidData)?;
            return Ok(Some((head, end - before)));
        }
        if bytes.len() > LONGEST_HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
        stream.read_exact(&mut buffer[..seen])?;
    }
}

/// Reads what [`peek_head`] left.
pub fn skip(stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
    stream.read_exact(&mut vec![0; bytes])
}

/// The next head, read.
pub fn read_head(stream: &mut TcpStream) -> io::Result<Head> {
    let (head, unread) = peek_head(stream)?.ok_or(ErrorKind::UnexpectedEof)?;
    skip(stream, unread)?;
    Ok(head)
}

/// Passes a body on as it is on the wire, up to so many bytes of it: each piece with
/// how much of the body it is.
pub fn pass(
    from: &mut TcpStream,
    framing: Framing,
    limit: u64,
    mut piece: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    match framing {
        Framing::None => Ok(()),
        Framing::Length(length) => pass_exactly(from, length.min(limit), &mut piece),
        Framing::Chunked => pass_chunks(from, limit, &mut piece),
        Framing::Close => {
            let mut buffer = vec![0; PIECE];
            let mut passed = 0;
            while passed < limit {
                let read = from.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                passed += read as u64;
                piece(&buffer[..read], read as u64)?;
            }
            Ok(())
        }
    }
}

fn pass_exactly(
    from: &mut TcpStream,
    length: u64,
    piece: &mut impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = from.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        left -= read as u64;
        piece(&buffer[..read], read as u64)?;
    }
    Ok(())
}

fn pass_chunks(
    from: &mut TcpStream,
    limit: u64,
    piece: &mut impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut passed = 0;
    loop {
        let line = read_line(from)?;
        piece(&line, 0)?;
        let text = String::from_utf8_lossy(&line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
        if size == 0 {
            break;
        }
        let most = size.min(limit - passed);
        pass_exactly(from, most, piece)?;
        passed += most;
        if passed == limit {
            return Ok(());
        }
        piece(&read_line(from)?, 0)?;
    }
    // Trailers, up to an empty line.
    loop {
        let line = read_line(from)?;
        piece(&line, 0)?;
        if line == b"\r\n" {
            return Ok(());
        }
    }
}

/// A short line with its end, and nothing after it.
fn read_line(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        line.extend(byte);
        if line.len() > 1024 {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(line)
}

/// Asks a server, and returns all that it answers.
#[track_caller]
pub fn ask(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let asked = try_to_ask(host, method, path, headers, body);
    asked.unwrap_or_else(|error| panic!("{method} {path} at {host}: {error}"))
}

pub fn try_to_ask(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(host)?;
    let mut head = Answer::new(0, headers, "").head();
    head.start = format!("{method} {path} HTTP/1.1");
    head.set("Host", host);
    head.set("Connection", "close");
    head.set("Content-Length", body.len().to_string());
    stream.write_all(&head.to_bytes())?;
    stream.write_all(body)?;
    let head = read_head(&mut stream)?;
    let framing = head.answer_framing(method);
    let mut body = Vec::new();
    pass(&mut stream, framing, u64::MAX, |piece, of_body| {
        // Without what stands between chunks.
        body.extend(if of_body == 0 { &[] } else { piece });
        Ok(())
    })?;
    Ok(Answer { status: head.status(), headers: head.headers, body })
}
