//! The head of a request, checked before hyper parses it: where it ends, and how long its body is.
//!
//! hyper accepts some of what other servers read differently, such as lines that end with a bare
//! LF. Where a proxy and the service behind it read a request in different ways, a client can
//! smuggle a second request past the proxy. So everything that can be read in two ways is refused,
//! and the connection closed.

use hyper::StatusCode;

use crate::forwarded::is_token;

/// What a request may have at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the head, with the request line and the empty line.
    pub head: usize,
    /// Header lines.
    pub headers: usize,
    /// Bytes of the body.
    pub body: u64,
}

/// A request that is answered with an error, after which its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub why: &'static str,
}

impl Refusal {
    /// The answer's body. The reasons are texts of this program, without quotes or backslashes.
    pub fn body(&self) -> String {
        format!("{{\"error\":\"{}\"}}\n", self.why)
    }
}

const fn refusal(status: StatusCode, why: &'static str) -> Refusal {
    Refusal { status, why }
}

const fn bad(why: &'static str) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, why)
}

/// The body that a head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Of so many bytes, often 0.
    Length(u64),
    /// Chunks, whose end hyper finds.
    Chunked,
}

/// Looks for the end of a head in bytes that arrive piece by piece. Each byte is read once.
#[derive(Debug, Default)]
pub struct Scan {
    read: usize,
}

impl Scan {
    /// The length of the head, with its empty line, once it is there. `bytes` are all that came
    /// since the request began.
    pub fn end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let window = &bytes[..bytes.len().min(limits.head)];
        while self.read < window.len() {
            let at = self.read;
            self.read += 1;
            match (window[at], at.checked_sub(1).map(|before| window[before])) {
                (b'\n', Some(b'\r')) if window[..at].ends_with(b"\r\n\r") => {
                    return Ok(Some(self.read));
                }
                // RFC 9112, section 2.2, allows to ignore empty lines before a request. No client
                // sends them, and version 2 of the PROXY protocol begins with them.
                (b'\n', Some(b'\r')) if at == 1 => return Err(bad("an empty request line")),
                (b'\n', Some(b'\r')) => {}
                (b'\n', _) => return Err(bad("a line that ends with a bare LF")),
                (_, Some(b'\r')) => return Err(bad("a CR without LF")),
                (0, _) => return Err(bad("a NUL byte")),
                _ => {}
            }
        }
        if window.len() == limits.head {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(refusal(status, "too many bytes of headers"));
        }
        Ok(None)
    }
}

/// Checks a whole head, and finds its body.
pub fn check(head: &[u8], limits: &Limits) -> Result<Body, Refusal> {
    let head = head.strip_suffix(b"\r\n\r\n").ok_or(bad("an incomplete head"))?;
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|it| it.strip_suffix(b"\r").unwrap_or(it));
    let http_11 = request_line(lines.next().unwrap_or_default())?;
    let mut count = 0;
    let mut hosts = 0;
    let mut length: Option<&[u8]> = None;
    let mut coding: Option<&[u8]> = None;
    for line in lines {
        count += 1;
        if count > limits.headers {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(refusal(status, "too many headers"));
        }
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(value).is_some() {
                return Err(bad("two Content-Length headers"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && coding.replace(value).is_some()
        {
            return Err(bad("two Transfer-Encoding headers"));
        }
    }
    // RFC 9112, section 3.2.
    if hosts > 1 || (http_11 && hosts == 0) {
        return Err(bad("not exactly one Host header"));
    }
    match (length, coding) {
        (Some(_), Some(_)) => Err(bad("both Content-Length and Transfer-Encoding")),
        (None, Some(_)) if !http_11 => Err(bad("Transfer-Encoding in HTTP/1.0")),
        (None, Some(coding)) if !coding.eq_ignore_ascii_case(b"chunked") => {
            Err(bad("a Transfer-Encoding other than chunked"))
        }
        (None, Some(_)) => Ok(Body::Chunked),
        (Some(length), None) => content_length(length, limits).map(Body::Length),
        (None, None) => Ok(Body::Length(0)),
    }
}

/// Checks a request line. Says whether its version is HTTP/1.1, rather than HTTP/1.0.
fn request_line(line: &[u8]) -> Result<bool, Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("a malformed request line"));
    };
    let visible = target.iter().all(u8::is_ascii_graphic);
    if method.is_empty() || !method.iter().all(|it| is_token(*it)) || target.is_empty() || !visible
    {
        return Err(bad("a malformed request line"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            Err(refusal(status, "a version other than HTTP/1.1 and HTTP/1.0"))
        }
        _ => Err(bad("a malformed request line")),
    }
}

/// The name and the value of a header line, without the space around the value.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        // obs-fold, RFC 9112, section 5.2.
        return Err(bad("a header line that continues another"));
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(bad("a header without colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    // RFC 9112, section 5.1: space before the colon is refused, too.
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(bad("a malformed header name"));
    }
    if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(bad("a control character in a header"));
    }
    Ok((name, value.trim_ascii()))
}

/// Digits, and nothing else: RFC 9110, section 8.6, allows lists of equal numbers to be refused.
fn content_length(text: &[u8], limits: &Limits) -> Result<u64, Refusal> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(bad("a malformed Content-Length"));
    }
    let length = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    length.filter(|length| *length <= limits.body).ok_or(TOO_LARGE)
}

/// A body over its limit, announced or found.
pub const TOO_LARGE: Refusal = refusal(StatusCode::PAYLOAD_TOO_LARGE, "a body that is too large");

/// A request that does not arrive in time, or is not answered in time.
pub const TOO_SLOW: Refusal = refusal(StatusCode::REQUEST_TIMEOUT, "a request that takes too long");

/// A connection closed in the middle of a head.
pub const CUT_OFF: Refusal = bad("an incomplete head");

/// A body that ends early, or whose chunks are malformed.
pub const BROKEN_BODY: Refusal = bad("a broken body");

#[cfg(test)]
mod tests;
