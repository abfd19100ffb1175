//! Whose address is answered, and who may claim another one.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::world::{Client, HERE, SHORT, Service, skipped};

/// The trusted proxy and a client that is not trusted. Both are addresses of this machine.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// The signature of version 2, then a command, a family and a length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

const CLIENT_BYTES: [u8; 12] = [203, 0, 113, 7, 127, 0, 0, 1, 200, 34, 0, 80];
const TEXT: &[u8] = b"PROXY TCP4 203.0.113.7 127.0.0.1 51234 80\r\n";

fn proxied(header: &'static str) -> Service {
    let args = ["--trusted-proxies", "127.0.0.2", "--forwarded-header", header];
    Service::start(&args)
}

fn behind_balancer() -> Service {
    let args = ["--trusted-proxies", "127.0.0.2", "--proxy-protocol"];
    Service::start(&[&args[..], &SHORT].concat())
}

#[test]
fn the_socket_has_the_address() {
    let service = Service::at("[::]:0", &["--pod", "pod-1", "--node", "node-1"]);
    let port = service.address.port();
    let mut addresses = vec![("127.0.0.1", "127.0.0.1")];
    if std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|text| !text.is_empty()) {
        addresses.push(("::1", "::1"));
    } else {
        skipped("no IPv6 on this machine");
    }
    for (to, source) in addresses {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        let seen = Client::new(TcpStream::connect(to).unwrap()).get("/").json();
        assert_eq!(seen["source"], source);
        assert_eq!(seen["via"], "socket");
        assert_eq!(seen["pod"], "pod-1");
        assert_eq!(seen["node"], "node-1");
        assert_eq!(seen["term"], false);
        assert_eq!(seen["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn headers_of_strangers_are_not_read() {
    let forged = "X-Forwarded-For: 203.0.113.1\r\nForwarded: for=203.0.113.2\r\n\
                  X-Real-IP: 203.0.113.3\r\nTrue-Client-IP: 203.0.113.4\r\n";
    for header in ["none", "x-forwarded-for", "forwarded"] {
        let service = proxied(header);
        let seen = service.seen(STRANGER, b"", forged);
        assert_eq!((&seen["source"], &seen["via"]), (&"127.0.0.3".into(), &"socket".into()));
    }
}

#[test]
fn the_chosen_header_of_a_trusted_proxy_is_read() {
    let both = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.1, 127.0.0.2\r\n\
                Forwarded: for=198.51.100.1, for=\"[2001:db8::2]:443\";proto=https\r\n";
    let table = [
        ("none", "127.0.0.2", "socket"),
        ("x-forwarded-for", "203.0.113.1", "forwarded"),
        ("forwarded", "2001:db8::2", "forwarded"),
    ];
    for (header, source, via) in table {
        let seen = proxied(header).seen(PROXY, b"", both);
        assert_eq!((&seen["source"], &seen["via"]), (&source.into(), &via.into()), "{header}");
    }
    let service = proxied("forwarded");
    for (text, source) in [("for=_hidden", "_hidden"), ("for=unknown", "unknown")] {
        let seen = service.seen(PROXY, b"", &format!("Forwarded: {text}\r\n"));
        assert_eq!(seen["source"], source);
    }
    // Without the header the client is the proxy itself.
    assert_eq!(service.seen(PROXY, b"", "")["source"], "127.0.0.2");
}

#[test]
fn proxy_headers_of_a_trusted_balancer_are_read() {
    let service = behind_balancer();
    let inet6 = [&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets()[..], &[0; 20]];
    let mapped =
        [&"::ffff:203.0.113.7".parse::<std::net::Ipv6Addr>().unwrap().octets()[..], &[0; 20]];
    let table = [
        (TEXT.to_vec(), "203.0.113.7", "proxy"),
        (b"PROXY TCP6 2001:db8::7 ::1 51234 80\r\n".to_vec(), "2001:db8::7", "proxy"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "unknown", "proxy"),
        (binary(0x21, 0x11, &CLIENT_BYTES), "203.0.113.7", "proxy"),
        (binary(0x21, 0x21, &inet6.concat()), "2001:db8::7", "proxy"),
        (binary(0x21, 0x21, &mapped.concat()), "203.0.113.7", "proxy"),
        (binary(0x21, 0x31, &[b'/'; 216]), "unknown", "proxy"),
        (binary(0x21, 0x00, &[]), "unknown", "proxy"),
        (binary(0x20, 0x00, &[]), "127.0.0.2", "socket"),
    ];
    for (header, source, via) in table {
        let seen = service.seen(PROXY, &header, "X-Forwarded-For: 198.51.100.1\r\n");
        assert_eq!((&seen["source"], &seen["via"]), (&source.into(), &via.into()));
    }
}

#[test]
fn a_proxy_header_is_for_all_requests_of_its_connection() {
    let service = behind_balancer();
    let mut client = service.connect_from(PROXY);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    // One piece, then the next request byte by byte.
    client.send([TEXT, request].concat());
    assert_eq!(client.reply().json()["source"], "203.0.113.7");
    for byte in request {
        client.send([*byte]);
    }
    assert_eq!(client.reply().json()["source"], "203.0.113.7");
    // A second header is no request.
    client.send([TEXT, b"\r\n"].concat());
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (400, true));
}

#[test]
fn a_trusted_balancer_without_proxy_header_is_not_answered() {
    let service = behind_balancer();
    let before = service.metric("source_ip_proxy_headers_refused_total");
    let table: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 51234\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 51234 80\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &binary(0x21, 0x12, &CLIENT_BYTES),
        // It ends in the middle, and nothing follows.
        b"PROXY TCP4 203.0.113.7",
    ];
    for bytes in table {
        let mut client = service.connect_from(PROXY);
        client.send(bytes);
        assert_eq!(client.rest(), "", "{bytes:?}");
    }
    assert_eq!(service.metric("source_ip_proxy_headers_refused_total"), before + 5);
    // A check that only connects is no error.
    drop(service.connect_from(PROXY));
    assert_eq!(service.seen(PROXY, TEXT, "")["source"], "203.0.113.7");
    assert_eq!(service.metric("source_ip_proxy_headers_refused_total"), before + 5);
}

#[test]
fn a_proxy_header_of_a_stranger_is_refused() {
    let service = behind_balancer();
    let headers: [&[u8]; 3] = [TEXT, &binary(0x21, 0x11, &CLIENT_BYTES), &binary(0x20, 0x00, &[])];
    for header in headers {
        let mut client = service.connect_from(STRANGER);
        client.send([header, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (400, true), "{reply:?}");
        assert_eq!(client.rest(), "");
    }
    // The kubelet's probes come from an address that is no balancer's, and need no header.
    assert_eq!(service.seen(STRANGER, b"", "")["source"], "127.0.0.3");
    let sources = service.events();
    let sources: Vec<_> = sources.iter().filter_map(|it| it["source"].as_str()).collect();
    assert!(sources.iter().all(|it| *it == "127.0.0.3"), "{sources:?}");
}

#[test]
fn probes_need_no_proxy_header_on_their_port() {
    let args = ["--trusted-proxies", "127.0.0.0/8", "--proxy-protocol"];
    let service = Service::start(&args);
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut admin = Client::new(TcpStream::connect(service.admin).unwrap());
        assert_eq!(admin.get(path).status, 200);
    }
    assert_eq!(service.seen(HERE, TEXT, "")["source"], "203.0.113.7");
}
