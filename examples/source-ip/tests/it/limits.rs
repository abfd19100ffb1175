//! How much, how long and how many: what one client can take from the others.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::world::{
    Client, PROGRAM, SHORT, Service, connect_from, connect_with_buffer, patiently, skipped,
};

#[test]
fn floods_of_headers_are_refused() {
    let service = Service::start(&SHORT);
    let many: String = (0..100).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    let path = "/x".repeat(10_000);
    let requests = [
        format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{long}\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    for request in requests {
        let mut client = service.connect();
        client.send(request);
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (431, true));
        assert_eq!(client.rest(), "");
    }
    // One without end is refused after its first 16 KiB.
    let mut client = service.connect();
    client.send("GET / HTTP/1.1\r\n");
    let endless = format!("X: {}\r\n", "y".repeat(1000));
    while client.try_send(&endless).is_ok() {}
    // Just below the limits.
    let many: String =
        (0..63).map(|number| format!("X-{number}: {}\r\n", "y".repeat(240))).collect();
    let mut client = service.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"));
    assert_eq!(client.reply().status, 200);
}

#[test]
fn bodies_are_read_up_to_their_limit_and_not_used() {
    let service = Service::start(&[&SHORT[..], &["--max-body", "1000"]].concat());
    let post = "POST / HTTP/1.1\r\nHost: a\r\n";
    let mut client = service.connect();
    client.send(format!("{post}Content-Length: 1000\r\n\r\n{}", "x".repeat(1000)));
    assert_eq!(client.reply().status, 405);
    client.send(format!("{post}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(client.reply().status, 100);
    client.send("body");
    assert_eq!(client.reply().status, 405);
    client.send(format!("{post}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (413, true));
    assert_eq!(client.rest(), "");
    let mut client = service.connect();
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    client.send(format!("{post}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}1\r\nx\r\n"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (413, true));
    // A body that ends early, and one that does not come.
    let mut client = service.connect();
    client.send(format!("{post}Content-Length: 10\r\n\r\nabc"));
    client.half_close();
    assert_eq!(client.reply().status, 400);
    let mut client = service.connect();
    client.send(format!("{post}Content-Length: 10\r\n\r\nabc"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
}

#[test]
fn a_slow_loris_is_cut_off() {
    let service = Service::start(&SHORT);
    let mut client = service.connect();
    let began = Instant::now();
    // Bytes come all the time, and never an end.
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut sent = 0;
    while client.try_send("X: y\r\n").is_ok() && began.elapsed() < Duration::from_secs(15) {
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = service.event(|it| it["event"] == "refused");
    assert_eq!(answer["status"], 408);
    assert!(sent > 1, "it was not cut off at once");
    // One that stops in the middle gets the answer.
    let mut client = service.connect();
    client.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(client.reply().status, 408);
    assert_eq!(client.rest(), "");
}

#[test]
fn half_closed_connections_are_answered() {
    let service = Service::start(&SHORT);
    for path in ["/", "/slow?ms=300"] {
        let mut client = service.connect();
        client.ask(path);
        client.half_close();
        assert_eq!(client.reply().status, 200, "{path}");
        assert_eq!(client.rest(), "", "{path}");
    }
    let mut client = service.connect();
    client.send("GET / HT");
    client.half_close();
    assert_eq!(client.reply().status, 400);
}

/// A client that sends requests and reads no answer blocks the answers. It is cut off.
#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let service = Service::start(&SHORT);
    // Small buffers fill up soon.
    let mut client = Client::new(connect_with_buffer(4096, service.address).unwrap());
    client.stream().set_nonblocking(true).unwrap();
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let ended = || loop {
        match std::io::Write::write(&mut client.stream(), requests.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(_) => return Some(()),
        }
    };
    patiently("the connection to be cut off", ended);
    assert_eq!(service.connect().get("/").status, 200);
}

#[test]
fn idle_connections_are_closed_in_time_and_for_others() {
    let service = Service::start(&[&SHORT[..], &["--idle-timeout", "0.3"]].concat());
    let mut fresh = service.connect();
    let mut kept = service.connect();
    assert_eq!(kept.get("/").status, 200);
    assert_eq!((fresh.rest(), kept.rest()), (String::new(), String::new()));
    // At the limit the connection that has been idle for longest makes room.
    let service = Service::start(&[&SHORT[..], &["--max-connections", "2"]].concat());
    let mut first = service.connect();
    assert_eq!(first.get("/").status, 200);
    let mut second = service.connect();
    assert_eq!(second.get("/").status, 200);
    let mut third = service.connect();
    assert_eq!(third.get("/").status, 200);
    assert_eq!(first.rest(), "");
    assert_eq!(second.get("/").status, 200);
    // Busy ones do not: the next one waits. Probes have a limit of their own.
    second.ask("/slow?ms=1000");
    third.ask("/slow?ms=1000");
    patiently("two requests in flight", || {
        (service.metric("source_ip_requests_in_flight") == 2).then_some(())
    });
    let mut fourth = service.connect();
    fourth.ask("/");
    assert_eq!([second.reply().status, third.reply().status], [200, 200]);
    assert_eq!(fourth.reply().status, 200);
}

#[test]
fn with_few_open_files_there_are_fewer_connections() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 150 && exec \"$@\"", "sh", PROGRAM]);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let service = Service::run(command);
    assert_eq!(service.event(|it| it["event"] == "fewer_connections")["connections"], 50);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..60 {
        clients.push(service.connect());
        assert_eq!(clients.last_mut().unwrap().get("/").status, 200);
    }
    // The first ten made room, and no accept failed.
    for client in &mut clients[..10] {
        assert_eq!(client.rest(), "");
    }
    assert!(!service.events().iter().any(|it| it["event"] == "accept_failed"));
}

/// The resident memory of a process, in KiB.
fn resident(service: &Service) -> u64 {
    let status = format!("/proc/{}/status", service.pid());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

#[test]
fn ten_thousand_idle_connections_fit_into_64_mib() {
    const COUNT: usize = 10_000;
    let limit = getrlimit(Resource::Nofile);
    let wanted = COUNT as u64 + 1000;
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        return skipped("the limit of open files is below 11,000");
    }
    let raised = limit.current.map(|current| current.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: raised, maximum: limit.maximum }).unwrap();
    let service = Service::start(&["--log-requests", "false"]);
    let mut clients = Vec::with_capacity(COUNT);
    for number in 0..COUNT {
        // No source has so many ports that they might run out.
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(number % 200).unwrap());
        let mut client = Client::new(connect_from(source, service.address).unwrap());
        // Half of them have had a request before.
        if number % 2 == 0 {
            assert_eq!(client.get("/").status, 200);
        }
        clients.push(client);
    }
    patiently("all connections to be accepted", || {
        (service.metric("source_ip_connections_open") == COUNT as u64).then_some(())
    });
    let resident = resident(&service);
    eprintln!("{COUNT} idle connections: {resident} KiB resident");
    assert!(resident < 64 * 1024, "{resident} KiB");
    // They are served still, and one more, too.
    for client in clients.iter_mut().skip(1).step_by(1000) {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(service.connect().get("/").status, 200);
}
