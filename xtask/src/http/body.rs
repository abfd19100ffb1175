//! Bodies of requests and responses, as streams.

use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use ureq::http::{HeaderMap, Response};
use ureq::{Body as Answer, BodyReader, Timeout};

use super::error::GIVEN_UP;
use super::limits::MIN_PACE;
use super::url::Url;
use super::{Body, Fault};
use crate::digest::{Digest, Hasher};
use crate::files;

/// A response whose body is unread.
pub struct ResponseReader<'a> {
    pub status: u16,
    pub headers: HeaderMap,
    pub url: Url,
    pub body: PacedBody<'a>,
}

impl<'a> ResponseReader<'a> {
    pub fn new(
        answer: Response<Answer>,
        url: Url,
        timeout: Duration,
        stopped: &'a AtomicBool,
    ) -> ResponseReader<'a> {
        let (head, body) = answer.into_parts();
        // The caller has a limit of its own.
        let inner = body.into_with_config().limit(u64::MAX).reader();
        let body =
            PacedBody { inner, timeout, until: None, stopped, since: Instant::now(), bytes: 0 };
        ResponseReader { status: head.status.as_u16(), headers: head.headers, url, body }
    }
}

/// A response body that fails when it is too slow or the client was stopped.
pub struct PacedBody<'a> {
    inner: BodyReader<'static>,
    timeout: Duration,
    /// When it must be complete.
    until: Option<Instant>,
    stopped: &'a AtomicBool,
    since: Instant,
    bytes: u64,
}

impl PacedBody<'_> {
    /// The same body, which must be complete within this time.
    pub fn within(self, time: Duration) -> Self {
        PacedBody { until: Some(Instant::now() + time), ..self }
    }
}

impl Read for PacedBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other(GIVEN_UP));
        }
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(ErrorKind::TimedOut.into());
        }
        let given = self.inner.read(buffer)?;
        self.bytes += given as u64;
        if self.since.elapsed() >= self.timeout {
            if self.bytes < MIN_PACE && given > 0 {
                return Err(ErrorKind::TimedOut.into());
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        Ok(given)
    }
}

/// A request body that is being sent.
pub struct Sender<'a> {
    source: Source<'a>,
    stopped: &'a AtomicBool,
    /// Whether the rest is not needed.
    stop: Option<&'a dyn Fn() -> bool>,
    /// Why the body could not be read.
    failure: Option<String>,
}

enum Source<'a> {
    Bytes(Cursor<&'a [u8]>),
    File(io::Take<std::fs::File>, u64, Option<(&'a Digest, Hasher)>, &'a ProgressBar),
}

impl<'a> Sender<'a> {
    pub fn new(body: Body<'a>, stopped: &'a AtomicBool) -> Result<Sender<'a>> {
        let mut stop_if = None;
        let source = match body {
            Body::Empty => Source::Bytes(Cursor::new(&[])),
            Body::Bytes(bytes) => Source::Bytes(Cursor::new(bytes)),
            Body::File { path, from, size, digest, bar, stop } => {
                stop_if = stop;
                let mut file = files::open_regular(path)?;
                file.seek(SeekFrom::Start(from))
                    .with_context(|| format!("read {}", path.display()))?;
                let digest = digest.map(|digest| (digest, Hasher::default()));
                Source::File(file.take(size), size, digest, bar)
            }
        };
        Ok(Sender { source, stopped, stop: stop_if, failure: None })
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        match &self.source {
            Source::Bytes(bytes) => bytes.get_ref().len() as u64,
            Source::File(_, size, ..) => *size,
        }
    }

    pub fn failure(self) -> Option<String> {
        self.failure
    }
}

impl Read for Sender<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other(GIVEN_UP));
        }
        if self.stop.is_some_and(|stop| stop()) {
            self.failure = Some("the rest is not needed".to_owned());
            return Err(io::Error::other(GIVEN_UP));
        }
        let given = match &mut self.source {
            Source::Bytes(bytes) => return bytes.read(buffer),
            Source::File(file, _, digest, bar) => read_file(file, digest, bar, buffer),
        };
        given.inspect_err(|error| self.failure = Some(format!("read what is sent: {error}")))
    }
}

/// Reads the next bytes of a file. If the file does not match the digest, the last bytes are
/// an error.
fn read_file(
    file: &mut io::Take<std::fs::File>,
    digest: &mut Option<(&Digest, Hasher)>,
    bar: &ProgressBar,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let given = file.read(buffer)?;
    bar.inc(given as u64);
    let left = file.limit();
    if given == 0 && left > 0 && !buffer.is_empty() {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file ended early"));
    }
    if let Some((_, hasher)) = digest {
        hasher.update(&buffer[..given]);
    }
    if left == 0
        && let Some((named, hasher)) = digest.take()
    {
        let found = hasher.finish();
        if found != *named {
            let why = format!("it was damaged or changed: it is {found}, and not {named}");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
    }
    Ok(given)
}

/// Classifies an error of the transport.
pub fn fault(error: ureq::Error) -> Fault {
    use ureq::Error;
    match error {
        Error::Io(error) => io_fault(&error),
        Error::Timeout(which) => Fault::Transient(format!("it took too long to {}", phase(which))),
        Error::ConnectionFailed | Error::BodyStalled => {
            Fault::Transient("the connection failed".to_owned())
        }
        Error::Protocol(error) => Fault::Transient(format!("the answer is not HTTP: {error}")),
        Error::HostNotFound => Fault::Permanent("no host has this name".to_owned()),
        Error::ConnectProxyFailed(why) => Fault::Transient(format!("the proxy refuses: {why}")),
        Error::Rustls(error) => Fault::Permanent(format!("TLS: {error}")),
        Error::Tls(error) => Fault::Permanent(format!("TLS: {error}")),
        Error::LargeResponseHeader(..) => {
            Fault::Permanent("the answer's headers are too large".to_owned())
        }
        other => Fault::Permanent(other.to_string()),
    }
}

fn io_fault(error: &io::Error) -> Fault {
    // ureq reports a bad certificate, and a server without TLS, in this form.
    match (error.kind(), error.get_ref()) {
        (ErrorKind::InvalidData, Some(inner)) => Fault::Permanent(format!("TLS: {inner}")),
        _ => Fault::Transient(explain(error)),
    }
}

/// Describes an error of a connection.
pub fn explain(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(ureq::Error::Timeout(which)) = inner {
        return format!("it took too long to {}", phase(*which));
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "the connection was cut".to_owned()
        }
        ErrorKind::UnexpectedEof => "the connection ended early".to_owned(),
        ErrorKind::TimedOut => "it came too slowly".to_owned(),
        _ => error.to_string(),
    }
}

fn phase(timeout: Timeout) -> &'static str {
    match timeout {
        Timeout::Resolve => "find the host",
        Timeout::Connect => "connect",
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => "send",
        _ => "answer",
    }
}
