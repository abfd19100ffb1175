//! The proxy itself: a proxy that plays a server stands behind one that is tested.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::wire::{Answer, ask, read_head, try_to_ask};
use super::{ALWAYS, Fault, ONCE, Place, Proxy, Step, WRONG_DIGEST};

/// A server that takes and answers everything, and a proxy before it.
fn pair() -> (Proxy, Proxy) {
    let headers = [("Location", "/v2/a/blobs/uploads/1"), ("Docker-Content-Digest", "sha256:1")];
    let upstream = Proxy::playing(Answer::new(200, &headers, "{\"some\": \"body\"}"));
    let proxy = Proxy::before(&upstream.host);
    (upstream, proxy)
}

#[test]
fn a_request_is_known_by_its_path() {
    for (method, target, step) in [
        ("GET", "/v2/", Step::Ping),
        ("GET", "/token?scope=x", Step::Token),
        ("HEAD", "/v2/a/b/blobs/sha256:1", Step::BlobHead),
        ("GET", "/v2/a/b/blobs/sha256:1", Step::BlobGet),
        ("POST", "/v2/a/blobs/uploads/", Step::Post),
        ("POST", "/v2/a/blobs/uploads/?mount=sha256:1&from=b", Step::Mount),
        ("PATCH", "/v2/a/blobs/uploads/1?_state=x", Step::Patch),
        ("PUT", "/v2/a/blobs/uploads/1?digest=sha256:1", Step::Put),
        ("GET", "/v2/a/blobs/uploads/1", Step::Status),
        ("HEAD", "/v2/a/manifests/1.0", Step::ManifestHead),
        ("GET", "/v2/a/manifests/sha256:1", Step::ManifestGet),
        ("PUT", "/v2/a/manifests/sha256:1", Step::ManifestPut),
        ("PUT", "/v2/a/manifests/1.0", Step::TagPut),
        ("GET", "/v2/a/tags/list?n=1", Step::TagsList),
        ("GET", "/repos/a/b", Step::Other),
        ("DELETE", "/v2/a/manifests/sha256:1", Step::Other),
    ] {
        assert_eq!(Step::of(method, target), step, "{method} {target}");
    }
}

#[test]
fn what_passes_is_passed_as_it_is_and_written_down() {
    let (upstream, proxy) = pair();
    let mut stream = TcpStream::connect(&proxy.host).unwrap();
    // One connection for two requests, one body in chunks, one of a length.
    stream.write_all(b"POST /a HTTP/1.1\r\nHost: x\r\nAuthorization: one\r\n").unwrap();
    stream.write_all(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").unwrap();
    for request in ["", "PUT /b?c HTTP/1.1\r\nHost: y\r\nContent-Length: 2\r\n\r\nde"] {
        stream.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut stream).unwrap();
        assert_eq!((head.status(), head.get("content-length")), (200, Some("16")));
        let mut body = [0; 16];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"{\"some\": \"body\"}");
    }
    let seen = proxy.seen();
    let paths: Vec<_> = seen.iter().map(|it| (&*it.path, &*it.host, it.received)).collect();
    assert_eq!(paths, [("/a", "x", 3), ("/b?c", "y", 2)]);
    assert_eq!(seen[0].authorization.as_deref(), Some("one"));
    assert_eq!((seen[1].status, seen[1].sent), (Some(200), 16));
    let hosts: Vec<String> = upstream.seen().into_iter().map(|it| it.host).collect();
    assert_eq!(hosts, [&*upstream.host, &*upstream.host]);
    assert_eq!((upstream.received(), proxy.received()), (5, 5));
}

#[test]
fn faults_befall_what_they_are_for() {
    let (upstream, proxy) = pair();
    let post = || try_to_ask(&proxy.host, "POST", "/v2/a/blobs/uploads/", &[], b"0123456789");
    let ends = |fault: Fault, hits| {
        proxy.renew();
        proxy.inject(Step::Post, hits, fault);
        let end = |_| post().map(|it| it.status).map_err(|it| it.kind());
        ((0..3).map(end).collect::<Vec<_>>(), proxy.received())
    };
    let (ok, cut) = (Ok(200), Err(ErrorKind::UnexpectedEof));
    let reset = Err(ErrorKind::ConnectionReset);
    for (fault, hits, expected, received) in [
        (Fault::Reset, ONCE, [reset, ok, ok], 20),
        (Fault::Refused(1), ONCE, [reset, reset, ok], 10),
        (Fault::Reset, 2..=3, [ok, reset, reset], 10),
        (Fault::ResetInBody(4), ONCE, [reset, ok, ok], 24),
        (Fault::AnswerLost, ONCE, [cut, ok, ok], 30),
        (Fault::CutHead, 2..=2, [ok, cut, ok], 30),
        (Fault::ShortBody, ONCE, [cut, ok, ok], 30),
        (Fault::status(503), ALWAYS, [Ok(503); 3], 30),
    ] {
        let name = format!("{fault:?}");
        assert_eq!(ends(fault, hits), (expected.to_vec(), received), "{name}");
    }
    upstream.renew();
    assert_eq!((post().unwrap().status, upstream.count(Step::Post)), (503, 0));
    proxy.renew();
    proxy.inject(Step::Ping, ALWAYS, Fault::Reset);
    upstream.inject(None, ALWAYS, Fault::Answer(Answer::new(202, &[], "")));
    assert_eq!((post().unwrap().status, proxy.received()), (202, 10), "another step");
}

#[test]
fn answers_are_changed_where_that_is_asked_for() {
    let (_upstream, proxy) = pair();
    let location = |place| {
        proxy.renew();
        proxy.inject(None, ONCE, Fault::Location(place));
        let answer = ask(&proxy.host, "POST", "/v2/a/blobs/uploads/", &[], b"");
        answer.header("location").map(str::to_owned)
    };
    assert_eq!(location(Place::Missing), None);
    assert_eq!(location(Place::Relative).unwrap(), "/v2/a/blobs/uploads/1");
    let foreign = location(Place::Foreign("127.0.0.2:1".to_owned())).unwrap();
    assert_eq!(foreign, "http://127.0.0.2:1/v2/a/blobs/uploads/1");
    proxy.inject(None, ALWAYS, Fault::WrongDigest);
    let answer = ask(&proxy.host, "GET", "/v2/a/manifests/1", &[], b"");
    assert_eq!(answer.header("docker-content-digest"), Some(WRONG_DIGEST));
    proxy.renew();
    proxy.inject(None, ALWAYS, Fault::retry_at(std::time::Duration::from_secs(1)));
    let answer = ask(&proxy.host, "GET", "/v2/", &[], b"");
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").unwrap().ends_with(" GMT"), "{answer:?}");
}

#[test]
fn a_token_opens_what_it_is_for() {
    let (upstream, proxy) = pair();
    let proxy = proxy.with_tokens("me", "secret");
    let get = |method: &str, path: &str, authorization: &str| {
        ask(&proxy.host, method, path, &[("Authorization", authorization)], b"")
    };
    let (path, basic) = ("/v2/a/b/manifests/1", "Basic bWU6c2VjcmV0");
    let refused = get("GET", path, "");
    let challenge = format!(
        "Bearer realm=\"http://{}/token\",service=\"registry.test\",scope=\"repository:a/b:pull\"",
        proxy.host
    );
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(&*challenge)));
    assert_eq!(get("GET", "/token", "Basic eDp5").status, 401);
    let issued = get("GET", "/token?scope=repository%3Aa/b%3Apull", basic);
    let issued: serde_json::Value = serde_json::from_slice(&issued.body).unwrap();
    let bearer = format!("Bearer {}", issued["token"].as_str().unwrap());
    assert_eq!(proxy.tokens(), [issued["token"].as_str().unwrap()]);
    assert_eq!(get("GET", path, &bearer).status, 200);
    assert_eq!(get("PUT", path, &bearer).status, 401);
    assert_eq!(get("GET", "/v2/other/manifests/1", &bearer).status, 401);
    assert_eq!(get("GET", "/v2/", &bearer).status, 200);
    proxy.inject(Step::ManifestGet, ONCE, Fault::Expired);
    assert_eq!([get("GET", path, &bearer).status, get("GET", path, &bearer).status], [401, 401]);
    assert!(upstream.seen().iter().all(|seen| seen.authorization.is_none()));
    let proxy = Proxy::before(&upstream.host).with_password("me", "secret");
    let status =
        |basic: &str| ask(&proxy.host, "GET", path, &[("Authorization", basic)], b"").status;
    assert_eq!([status("Basic eDp5"), status(basic)], [401, 200]);
}
