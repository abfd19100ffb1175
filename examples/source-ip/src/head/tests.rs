use arbtest::arbtest;

use super::*;

const LIMITS: Limits = Limits { head: 1024, headers: 8, body: 100 };

/// What becomes of a request: the head's length and body, or the refusal's status and reason.
fn judged(request: &str) -> Result<Option<(usize, Body)>, (u16, &'static str)> {
    let bytes = request.as_bytes();
    let judged = || {
        let Some(end) = Scan::default().end(bytes, &LIMITS)? else { return Ok(None) };
        Ok(Some((end, check(&bytes[..end], &LIMITS)?)))
    };
    judged().map_err(|it: Refusal| (it.status.as_u16(), it.why))
}

#[test]
fn heads_that_have_one_reading_pass() {
    let table = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Body::Length(0)),
        ("GET / HTTP/1.0\r\n\r\n", Body::Length(0)),
        ("GET http://a/?b=c HTTP/1.1\r\nhost:a\r\n\r\n", Body::Length(0)),
        ("GET / HTTP/1.1\r\nHost:\r\nX: \u{e9}\t\"\r\n\r\n", Body::Length(0)),
        ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:\t007 \r\n\r\n", Body::Length(7)),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", Body::Length(100)),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Body::Chunked),
    ];
    for (request, body) in table {
        assert_eq!(judged(request), Ok(Some((request.len(), body))), "{request}");
        let pipelined = format!("{request}GET / HTTP/1.1\n");
        assert_eq!(judged(&pipelined), Ok(Some((request.len(), body))), "{request}");
        for length in 0..request.len() {
            assert_eq!(judged(&String::from_utf8_lossy(&request.as_bytes()[..length])), Ok(None));
        }
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    let table = [
        ("\r\nGET / HTTP/1.1\r\n", 400, "an empty request line"),
        ("\nGET / HTTP/1.1\r\n", 400, "a line that ends with a bare LF"),
        ("GET / HTTP/1.1\nHost: a\n\n", 400, "a line that ends with a bare LF"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "a line that ends with a bare LF"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "a line that ends with a bare LF"),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400, "a CR without LF"),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "a CR without LF"),
        ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400, "a NUL byte"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("GET /\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "a malformed request line"),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n\r\n", 400, "a malformed request line"),
        ("PRI * HTTP/2.0\r\n\r\n", 505, "a version other than HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "a version other than HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "not exactly one Host header"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "not exactly one Host header"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "not exactly one Host header"),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, "a header line that continues another"),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "a header line that continues another"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "a malformed header name"),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, "a malformed header name"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: b\r\n\r\n", 400, "a malformed header name"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400, "a header without colon"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", 400, "a control character in a header"),
    ];
    for (request, status, why) in table {
        assert_eq!(judged(request), Err((status, why)), "{request}");
    }
}

#[test]
fn bodies_of_two_lengths_are_refused() {
    let table = [
        ("Content-Length: 5\r\nContent-Length: 6", 400, "two Content-Length headers"),
        ("Content-Length: 5\r\nContent-Length: 5", 400, "two Content-Length headers"),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            400,
            "both Content-Length and Transfer-Encoding",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            400,
            "both Content-Length and Transfer-Encoding",
        ),
        ("Content-Length: 5, 5", 400, "a malformed Content-Length"),
        ("Content-Length: +5", 400, "a malformed Content-Length"),
        ("Content-Length: -5", 400, "a malformed Content-Length"),
        ("Content-Length: 0x5", 400, "a malformed Content-Length"),
        ("Content-Length: 5 5", 400, "a malformed Content-Length"),
        ("Content-Length:", 400, "a malformed Content-Length"),
        ("Content-Length: 101", 413, "a body that is too large"),
        ("Content-Length: 99999999999999999999999", 413, "a body that is too large"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
            "two Transfer-Encoding headers",
        ),
        ("Transfer-Encoding: gzip, chunked", 400, "a Transfer-Encoding other than chunked"),
        ("Transfer-Encoding: chunked, identity", 400, "a Transfer-Encoding other than chunked"),
        ("Transfer-Encoding: xchunked", 400, "a Transfer-Encoding other than chunked"),
        ("Transfer-Encoding: \"chunked\"", 400, "a Transfer-Encoding other than chunked"),
        ("Transfer-Encoding:", 400, "a Transfer-Encoding other than chunked"),
        ("Transfer-Encoding: \x0bchunked", 400, "a control character in a header"),
        ("Transfer-Encoding : chunked", 400, "a malformed header name"),
        ("Content-Length : 5", 400, "a malformed header name"),
    ];
    for (headers, status, why) in table {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
        assert_eq!(judged(&request), Err((status, why)), "{headers}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(judged(old), Err((400, "Transfer-Encoding in HTTP/1.0")));
}

#[test]
fn floods_of_headers_are_refused() {
    let request =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(judged(&request(8)).map(|it| it.map(|it| it.1)), Ok(Some(Body::Length(0))));
    assert_eq!(judged(&request(9)), Err((431, "too many headers")));
    let start = "GET / HTTP/1.1\r\nHost: ";
    let fits = format!("{start}{}\r\n\r\n", "a".repeat(LIMITS.head - start.len() - 4));
    assert_eq!(judged(&fits), Ok(Some((LIMITS.head, Body::Length(0)))));
    let long = format!("{start}{}\r\n\r\n", "a".repeat(LIMITS.head - start.len() - 3));
    assert_eq!(judged(&long), Err((431, "too many bytes of headers")));
}

/// A request is judged alike in one piece and in many, and never panics.
#[test]
fn pieces_do_not_matter() {
    const PIECES: [&str; 12] = [
        "GET / HTTP/1.1\r\n",
        "Host: a\r\n",
        "\r\n",
        "\r",
        "\n",
        " ",
        ":",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\0",
        "X",
        "\u{e9}",
    ];
    arbtest(|u| {
        let mut request = String::new();
        for _ in 0..u.int_in_range(0..=10)? {
            request.push_str(u.choose(&PIECES)?);
        }
        let bytes = request.as_bytes();
        let mut scan = Scan::default();
        let mut ends = (0..=bytes.len()).map(|length| scan.end(&bytes[..length], &LIMITS));
        let slow = ends.find(|end| *end != Ok(None)).unwrap_or(Ok(None));
        assert_eq!(Scan::default().end(bytes, &LIMITS), slow, "{request:?}");
        if let Ok(Some(end)) = slow
            && let Err(refusal) = check(&bytes[..end], &LIMITS)
        {
            assert!([400, 413, 431, 505].contains(&refusal.status.as_u16()), "{request:?}");
        }
        Ok(())
    })
    .budget_ms(300);
}
