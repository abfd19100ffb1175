//! Answers without an end, and answers that are made to do harm.

use std::io::Write;
use std::net::TcpListener;

use super::*;
use crate::world::proxy::{ALWAYS, Answer, Fault, ONCE, Step};
use crate::world::running::within;
use crate::world::sha256;

/// In bytes: no answer is read so far, what lies in the system's buffers included.
const MOST: u64 = 32 << 20;

/// A registry that has whatever it is asked for, of this type.
fn playing(kind: &str, body: impl Into<Vec<u8>>) -> Proxy {
    let body = body.into();
    let digest = format!("sha256:{}", sha256(&body));
    let headers = [("Content-Type", kind), ("Docker-Content-Digest", &*digest)];
    Proxy::playing(Answer::new(200, &headers, body))
}

/// Requires that what is there is refused, by each command, and returns what was said.
#[track_caller]
fn refused(world: &World, proxy: &Proxy, what: &str) -> String {
    let from = format!("{}/faults/harm:1", proxy.host);
    let out = world.outside("out");
    let mut said = String::new();
    for args in [
        format!("image inspect {from}"),
        format!("image validate {from}"),
        format!("image copy {from} oci:{}", out.display()),
    ] {
        let run = ended(&mut tool(world, proxy, &args));
        if let Some(unclear) = unclear(&run) {
            panic!("{what}: {args}: {unclear}");
        }
        let controls = run.stderr.chars().any(|c| c.is_control() && c != '\n');
        assert!(!controls, "{what}: {args}: {:?}", run.stderr);
        assert!(run.stderr.contains(&proxy.host), "{what}: {args}: {}", run.stderr);
        assert!(!out.join("index.json").exists(), "{what}: {args}");
        said.push_str(&run.stderr);
    }
    let most = proxy.seen().iter().map(|seen| seen.sent).max().unwrap_or(0);
    assert!(most < MOST, "{what}: {most} bytes were read");
    said
}

#[test]
fn bodies_without_an_end_are_not_read_to_it() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    for step in [Step::Ping, Step::Token, Step::ManifestHead, Step::ManifestGet] {
        for status in [200, 400, 401, 404, 500] {
            if step == Step::ManifestHead || (step == Step::Ping && status == 200) {
                continue;
            }
            let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
            proxy.inject(step, ALWAYS, Fault::Endless(status));
            let from = format!("{}/faults/harm:1", proxy.host);
            let run = ended(&mut tool(&world, &proxy, &format!("image inspect {from}")));
            // Not every tool asks for /v2/.
            if proxy.count(step) > 0 && step != Step::Ping {
                fails(&run);
            }
            let most = proxy.seen().iter().map(|seen| seen.sent).max().unwrap();
            assert!(most < MOST, "{step:?}, {status}: {most} bytes were read");
        }
    }
}

/// A blob that goes on after its end, and one that is another.
#[test]
fn a_blob_is_read_as_far_as_its_size_goes() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    let small = *image().blobs().values().min().unwrap();
    for fault in [
        Fault::Endless(200),
        Fault::Answer(Answer::new(200, &[], vec![b' '; small as usize + 1])),
        Fault::Answer(Answer::new(200, &[], "")),
        Fault::Answer(Answer::new(200, &[("Content-Length", "18446744073709551615")], "x")),
        Fault::Answer(Answer::new(206, &[("Content-Range", "bytes 5-9/10")], "56789")),
        Fault::Answer(Answer::new(204, &[], "")),
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(Step::BlobGet, ALWAYS, fault.clone());
        let from = format!("{}/faults/harm:1", proxy.host);
        let out = world.outside("out");
        for args in
            [format!("image copy {from} oci:{}", out.display()), format!("image validate {from}")]
        {
            let run = ended(&mut tool(&world, &proxy, &args));
            assert_eq!(unclear(&run), None, "{fault:?}: {args}");
        }
        assert!(!out.join("index.json").exists());
        let most = proxy.seen().iter().map(|seen| seen.sent).max().unwrap();
        assert!(most < MOST, "{fault:?}: {most} bytes were read");
    }
}

/// A registry that gives a byte and hangs up, again and again.
#[test]
fn next_to_no_progress_is_none() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    // The configs come first.
    proxy.inject(Step::BlobGet, 3..=u32::MAX, Fault::CutBody(1));
    let from = format!("{}/faults/harm:1", proxy.host);
    let run = ended(&mut tool(&world, &proxy, &format!("image copy {from} oci:../out")));
    fails(&run).says(&format!("{}/faults/harm", proxy.host));
}

/// A wait is said while it lasts, and one that is too long is not begun.
#[test]
fn a_wait_that_is_asked_for_is_told() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    push_by_hand(&registry.host, "faults/harm", "1", image());
    for (when, code, says) in [
        ("1", 0, "wait 1 s"),
        ("0", 0, ""),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, ""),
        ("soon", 0, ""),
        ("121", 1, "121 s"),
        ("3600", 1, "3600 s"),
        ("Tue, 31 Dec 2999 23:59:59 GMT", 1, "asks to wait"),
        ("99999999999", 1, "asks to wait"),
    ] {
        for step in [Step::Ping, Step::Token, Step::ManifestGet] {
            let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
            proxy.inject(step, ONCE, Fault::retry_after(when));
            let from = format!("{}/faults/harm:1", proxy.host);
            let run = ended(&mut tool(&world, &proxy, &format!("image inspect {from}")));
            assert_eq!(run.code, Some(code), "{when}: {step:?}: {}", run.stderr);
            run.says(says);
            let tries = proxy.seen().iter().filter(|seen| seen.status == Some(429)).count();
            assert_eq!(tries, 1, "{when}: {step:?}");
        }
    }
}

/// Nobody listens, or who listens says nothing, or nothing of HTTP.
#[test]
fn a_registry_that_is_none_is_told() {
    let world = with_retries(1);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silence = silent.local_addr().unwrap().to_string();
    let talker = TcpListener::bind("127.0.0.1:0").unwrap();
    let talk = talker.local_addr().unwrap().to_string();
    // It ends with the process, as nobody else comes.
    std::thread::spawn(move || {
        for stream in talker.incoming() {
            stream.unwrap().write_all(b"220 mail.test ESMTP\r\n").ok();
        }
    });
    for (host, why) in [(nobody, "refused"), (silence, ""), (talk, "")] {
        let push = format!("image copy {} {host}/a", old_image().stored());
        for args in [format!("image inspect {host}/a"), push] {
            let run = ended(&mut world.tool(args.split(' ')));
            fails(&run).says(&host).says(why);
        }
    }
}

#[test]
fn redirects_in_a_circle_end() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    let mut followed = 0;
    for step in [Step::ManifestGet, Step::BlobGet, Step::Token] {
        let (one, other) = (Proxy::before(&registry.host), Proxy::before(&registry.host));
        let one = one.with_tokens(USER, PASSWORD);
        one.inject(step, ALWAYS, Fault::RedirectTo(other.host.clone()));
        other.inject(step, ALWAYS, Fault::RedirectTo(one.host.clone()));
        let from = format!("{}/faults/harm:1", one.host);
        let run = ended(&mut tool(&world, &one, &format!("image validate {from}")));
        fails(&run).says(&one.host);
        assert!((1..100).contains(&(one.count(step) + other.count(step))), "{step:?}");
        assert!(other.seen().iter().all(|seen| seen.authorization.is_none()), "{step:?}");
        followed += other.seen().len();
    }
    assert!(followed > 0, "some redirects are followed");
}

/// JSON that is deep, wide, huge, or of another mind.
fn bombs() -> Vec<(&'static str, String)> {
    let digest = format!("sha256:{}", sha256(b""));
    let descriptor =
        |size: &str| format!(r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{size}}}"#);
    let index = |manifests: &str| {
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{manifests}]}}"#)
    };
    let manifest = |config: &str, layers: &str| {
        let of = format!(r#""schemaVersion":2,"mediaType":"{MANIFEST}""#);
        format!(r#"{{{of},"config":{config},"layers":[{layers}]}}"#)
    };
    let many = vec![descriptor("1"); 20_000].join(",");
    vec![
        ("nothing", String::new()),
        ("no JSON", "<html>".repeat(1000)),
        ("null", "null".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("deep lists", "[".repeat(1_000_000)),
        ("deep objects", "{\"a\":".repeat(500_000)),
        ("a deep list within", index(&"[".repeat(1_000_000))),
        ("a long text", format!("{{\"mediaType\":\"{}\"}}", "x".repeat(4_000_000))),
        ("a long number", format!("{{\"schemaVersion\":{}}}", "9".repeat(4_000_000))),
        ("a huge size", index(&descriptor("18446744073709551615"))),
        ("a size beyond all", index(&descriptor("99999999999999999999999999"))),
        ("a size below nothing", index(&descriptor("-1"))),
        ("a size with a point", index(&descriptor("1e300"))),
        ("many images", index(&many)),
        ("many layers", manifest(&descriptor("1"), &many)),
        ("a huge config", manifest(&descriptor("9000000000000000000"), "")),
        ("a huge layer", manifest(&descriptor("1"), &descriptor("9000000000000000000"))),
        ("a key many times", format!("{{{}\"a\":1}}", "\"a\":1,".repeat(500_000))),
        ("controls", "{\"mediaType\":\"\\u001b[31m\\u0007\\r\\n\"}".to_owned()),
        ("a byte order mark", format!("\u{feff}{}", index(""))),
        ("a digest of another kind", index(&descriptor("1").replace("sha256:", "md5:"))),
        ("a digest that climbs", index(&descriptor("1").replace("sha256:", "sha256:../../"))),
    ]
}

#[test]
fn manifests_that_are_made_to_do_harm_are_refused() {
    let world = with_retries(1);
    for (what, body) in bombs() {
        let kind = if what.contains("layer") || what.contains("config") { MANIFEST } else { INDEX };
        refused(&world, &playing(kind, body), what);
    }
    let html = refused(&world, &playing("text/html", "<html>Log in first</html>"), "a page");
    assert!(html.contains("text/html"), "{html}");
}

/// A list of what refers to an image that leads back to itself, each time with as much as a
/// page may have.
#[test]
fn a_list_without_an_end_is_left() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    let entry = |at: usize| {
        let digest = format!("sha256:{}", sha256(&at.to_le_bytes()));
        serde_json::json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 })
    };
    let page = index(&(0..20_000).map(entry).collect::<Vec<_>>()).to_string();
    assert!(page.len() > 2 << 20);
    for (link, says) in [
        ("<?n=1>; rel=\"next\"", "leads back to itself"),
        ("<http://localhost:1/v2/>; rel=\"next\"", "another server"),
        ("<http://169.254.169.254/>; rel=\"next\"", "next page"),
        ("<>; rel=next", "next page"),
        ("<file:///etc/passwd>; rel=next", "next page"),
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        let answer = Answer::new(200, &[("Content-Type", INDEX), ("Link", link)], &*page);
        proxy.inject(Step::Referrers, ALWAYS, Fault::Answer(answer));
        let from = format!("{}/faults/harm:1", proxy.host);
        let inspect = format!("image inspect --referrers {from}");
        let run = ended(&mut within(&tool(&world, &proxy, &inspect), 3_000_000));
        fails(&run).says(says);
        assert!(proxy.count(Step::Referrers) <= 3, "{link}");
    }
}

/// An answer that comes faster than nothing, and never to its end.
#[test]
fn an_answer_that_trickles_is_left() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(0);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    for step in [Step::Token, Step::ManifestGet] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(step, ALWAYS, Fault::Trickle);
        let from = format!("{}/faults/harm:1", proxy.host);
        let run = ended(&mut tool(&world, &proxy, &format!("image inspect {from}")));
        fails(&run).says("too slowly");
    }
}

/// A chain of indexes that is longer than anybody needs, each in the next one.
#[test]
fn indexes_in_indexes_end_somewhere() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    let layout = Layout::at(&shared_dir().join("nested"));
    let mut descriptor = layout.image(&[&tar(&[file("a", "a")])]);
    let image = Image {
        dir: layout.dir.clone(),
        digest: descriptor["digest"].as_str().unwrap().to_owned(),
    };
    push_by_hand(&registry.host, "faults/nested", "0", &image);
    for depth in 1..=30 {
        // Two entries each would be a thousand million images at the end.
        let index = index(&[descriptor.clone(), descriptor.clone()]).to_string();
        descriptor = layout.put(INDEX, &index);
        let path = format!("/v2/faults/nested/manifests/{depth}");
        let kind = [("Content-Type", INDEX)];
        assert_eq!(ask(&registry.host, "PUT", &path, &kind, index.as_bytes()).status, 201);
    }
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    let from = format!("{}/faults/nested:30", proxy.host);
    for command in ["inspect", "validate"] {
        let run = ended(&mut tool(&world, &proxy, &format!("image {command} {from}")));
        fails(&run).says(&proxy.host);
    }
    assert!(proxy.seen().len() < 200, "{} requests", proxy.seen().len());
}

#[test]
fn what_a_token_server_and_an_error_say_does_no_harm() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    push_by_hand(&registry.host, "faults/harm", "1", image());
    let nested = "[".repeat(500_000);
    let message = |text: &str| {
        serde_json::json!({ "errors": [{ "code": "DENIED", "message": text }] }).to_string()
    };
    let many = vec![r#"{"code":"DENIED","message":"no"}"#; 1500].join(",");
    for (step, status, body) in [
        (Step::Token, 200, String::new()),
        (Step::Token, 200, nested.clone()),
        (Step::Token, 200, "{}".to_owned()),
        (Step::Token, 200, "{\"token\": null}".to_owned()),
        (Step::Token, 200, "{\"token\": \"\"}".to_owned()),
        (Step::Token, 200, "{\"token\": \"a\\r\\nX-Injected: 1\"}".to_owned()),
        (Step::Token, 200, format!("{{\"token\": \"{}\"}}", "x".repeat(900_000))),
        (Step::Token, 200, format!("{{\"token\": \"{}\"}}", "x".repeat(2_000_000))),
        (Step::ManifestGet, 403, nested),
        (Step::ManifestGet, 403, message(&"very long ".repeat(5_000))),
        (Step::ManifestGet, 403, message("\u{1b}[2J\u{1b}]0;title\u{7}\r\n\u{202e}error: not me")),
        (Step::ManifestGet, 403, format!("{{\"errors\":[{many}]}}")),
        (Step::ManifestGet, 403, format!("\u{1b}[2J{}", "<html>".repeat(2000))),
        (Step::ManifestGet, 999, message("no such status")),
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        let beginning: String = body.chars().take(60).collect();
        let answer = Answer::new(status, &[("Content-Type", "application/json")], body);
        proxy.inject(step, ALWAYS, Fault::Answer(answer));
        refused(&world, &proxy, &format!("{step:?}: {beginning}"));
        assert_ne!(proxy.count(step), 0);
        let injected = proxy.seen().into_iter().any(|seen| seen.path.contains("Injected"));
        assert!(!injected);
    }
}

/// Answers whose heads are no heads.
#[test]
fn heads_that_are_made_to_do_harm_are_refused() {
    let world = with_retries(1);
    let long = "x".repeat(1 << 20);
    let many: Vec<(String, String)> =
        (0..5000).map(|at| (format!("X-{at}"), "x".to_owned())).collect();
    for (what, headers) in [
        ("a long header", vec![("X-Long".to_owned(), long)]),
        ("many headers", many),
        ("a header with controls", vec![("X-\u{1b}[31m".to_owned(), "\u{7}".to_owned())]),
        ("two lengths", vec![("Content-Length".to_owned(), "1, 2".to_owned())]),
        ("no length", vec![("Content-Length".to_owned(), "-1".to_owned())]),
    ] {
        let mut answer = Answer::new(200, &[], "{}");
        answer.headers = headers;
        refused(&world, &Proxy::playing(answer), what);
    }
    let mut odd = Answer::new(401, &[], "");
    for challenge in [
        "Bearer",
        "Bearer realm=",
        "Bearer realm=\"",
        "Bearer realm=\"http://\u{1b}[31m/\"",
        "Bearer realm=\"file:///etc/passwd\"",
        "Negotiate",
        ", , ,",
    ] {
        odd.headers = vec![("WWW-Authenticate".to_owned(), challenge.to_owned())];
        refused(&world, &Proxy::playing(odd.clone()), challenge);
    }
    let proxy = Proxy::playing(Answer::new(200, &[], ""));
    proxy.renew();
    proxy.inject(None, ONCE, Fault::status(503));
    proxy.inject(None, 2..=2, Fault::Answer(Answer::new(101, &[("Upgrade", "x")], "")));
    proxy.inject(None, ALWAYS, Fault::status(418));
    refused(&world, &proxy, "a teapot");
}
