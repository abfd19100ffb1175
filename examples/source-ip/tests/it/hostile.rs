//! Requests that are meant to be misread.

use crate::world::{SHORT, Service};

/// What an attacker hides behind a request. No log may have it.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

fn service() -> Service {
    Service::start(&SHORT)
}

/// Asserts that a request is answered with `status`, and that nothing after it is read.
fn refused(service: &Service, request: &str, status: u16) {
    let mut client = service.connect();
    client.send(format!("{request}{HIDDEN}"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (status, true), "{request:?}: {reply:?}");
    assert_eq!(client.rest(), "", "{request:?}");
}

fn nothing_hidden_was_read(service: &Service) {
    // A request after them all, so that the log has them.
    assert_eq!(service.connect().get("/last").status, 404);
    service.event(|it| it["path"] == "/last");
    assert!(!service.events().iter().any(|it| it["path"] == "/hidden"));
}

#[test]
fn requests_with_two_readings_are_refused() {
    let service = service();
    let table = [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n  folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for request in table {
        refused(&service, request, 400);
    }
    refused(&service, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    refused(&service, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    nothing_hidden_was_read(&service);
}

#[test]
fn bodies_with_two_ends_are_refused() {
    let service = service();
    let table = [
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 5 \u{b}\r\n\r\nhello",
        "Content-Length : 5\r\n\r\nhello",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
    ];
    for rest in table {
        refused(&service, &format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}"), 400);
    }
    refused(&service, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    nothing_hidden_was_read(&service);
}

/// hyper reads chunks. Whatever it makes of their end, nothing after them is read.
#[test]
fn nothing_is_read_after_chunks() {
    let service = service();
    let table = [
        ("5\r\nhello\r\n0\r\n\r\n", 405),
        ("5;name=value\r\nhello\r\n0\r\n\r\n", 405),
        ("5 \r\nhello\r\n0\r\n\r\n", 405),
        ("0\r\nTrailer: x\r\n\r\n", 405),
        ("5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
        ("5\nhello\r\n0\r\n\r\n", 400),
        ("5\r\nhello!\r\n0\r\n\r\n", 400),
        ("-5\r\nhello\r\n0\r\n\r\n", 400),
        ("0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("ffffffffffffffff1\r\nhello", 400),
        ("\r\n0\r\n\r\n", 400),
    ];
    for (chunks, status) in table {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        refused(&service, &format!("{head}{chunks}"), status);
    }
    let flood = format!("1;{}\r\n", "x".repeat(1_000_000));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = service.connect();
    // It is refused before it is read to its end.
    if client.try_send(format!("{head}{flood}")).is_ok() {
        assert_eq!(client.reply().status, 400);
    }
    nothing_hidden_was_read(&service);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_checked_one_by_one() {
    let service = service();
    let mut client = service.connect();
    let many: String =
        (0..50).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(&many);
    for _ in 0..50 {
        assert_eq!(client.reply().status, 404);
    }
    let paths = || {
        let events = service.events().into_iter().filter(|it| it["event"] == "request");
        events.map(|it| it["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected: Vec<String> = (0..50).map(|number| format!("/{number}")).collect();
    crate::world::patiently("50 requests in the log", || (paths() == expected).then_some(()));
    // A body between two requests, and one that is only almost a request.
    let length = HIDDEN.len();
    let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let last = "GET /after HTTP/1.1\nHost: a\n\n";
    client.send(format!("{post}{HIDDEN}GET / HTTP/1.1\r\nHost: a\r\n\r\n{post}{HIDDEN}{last}"));
    assert_eq!([(); 3].map(|()| client.reply().status), [405, 200, 405]);
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (400, true));
    assert_eq!(client.rest(), "");
    nothing_hidden_was_read(&service);
}

#[test]
fn methods_and_versions_have_their_answers() {
    let service = service();
    let mut client = service.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // The answer to HEAD has no body, so the next one follows its head.
    let mut text = String::new();
    while text.matches("HTTP/1.1 200 OK").count() < 2 {
        let mut piece = [0; 1024];
        let count = std::io::Read::read(client.stream(), &mut piece).unwrap();
        text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    assert!(text.contains("\r\n\r\nHTTP/1.1 200 OK"), "{text}");
    for method in ["POST", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let mut client = service.connect();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
        assert_eq!(client.get("/").status, 200, "{method}");
    }
    let mut client = service.connect();
    client.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status, 405);
    // HTTP/1.0 closes, unless it asks for more.
    let mut client = service.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    assert_eq!(client.rest(), "");
    let mut client = service.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(client.reply().closes());
    assert_eq!(client.rest(), "");
    let mut client = service.connect();
    assert_eq!(client.get("http://example.org/").status, 200);
    assert_eq!(client.get("/metrics").status, 404, "metrics are not for clients");
}
