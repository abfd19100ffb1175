//! What the program says: its log, its metrics, its help and its errors.

use std::process::{Command, Output, Stdio};

use crate::world::{PROGRAM, Service, patiently};

#[test]
fn a_request_is_one_line_without_secrets() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    client.send(
        "GET /a\"b%0a\\?token=hunter2 HTTP/1.1\r\nHost: a\r\nCookie: session=hunter2\r\n\
         Authorization: Bearer hunter2\r\n\r\n",
    );
    assert_eq!(client.reply().status, 404);
    let line = service.event(|it| it["event"] == "request");
    assert_eq!(line["path"], "/a\"b%0a\\");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["status"], 404);
    assert_eq!(line["source"], "127.0.0.1");
    assert_eq!(line["via"], "socket");
    assert!(line["seconds"].as_f64().is_some_and(|seconds| seconds < 20.0), "{line}");
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    assert!(!format!("{:?}", service.events()).contains("hunter2"));
    let long = format!("/{}", "x".repeat(5000));
    assert_eq!(client.get(&long).status, 404);
    let line = service.event(|it| it["path"].as_str().is_some_and(|it| it.starts_with("/xx")));
    assert_eq!(line["path"].as_str().unwrap().len(), 256);
}

#[test]
fn the_lines_of_requests_can_be_turned_off() {
    let service = Service::start(&["--log-requests", "false"]);
    assert_eq!(service.connect().get("/").status, 200);
    let mut client = service.connect();
    client.send("GET\r\n");
    client.send("\r\n");
    assert_eq!(client.reply().status, 400);
    service.signal(rustix::process::Signal::TERM);
    service.event(|it| it["event"] == "draining");
    let events = service.events();
    let events: Vec<_> = events.iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["listening", "listening", "draining"]);
}

/// A pipe that nobody reads fills up. Requests are answered all the same.
#[test]
fn a_log_that_nobody_reads_delays_nothing() {
    let mut child = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.as_mut().unwrap()));
    let mut address = || -> std::net::SocketAddr {
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    };
    let (clients, admin) = (address(), address());
    let connect = |to| crate::world::Client::new(std::net::TcpStream::connect(to).unwrap());
    let mut client = connect(clients);
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    for _ in 0..60 {
        client.send(&requests);
        assert!((0..100).all(|_| client.reply().status == 200));
    }
    let text = connect(admin).get("/metrics").body;
    let dropped = text.lines().find_map(|it| it.strip_prefix("source_ip_log_lines_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn metrics_count() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get("/nothing").status, 404);
    assert_eq!(client.get("/slow").status, 400);
    assert_eq!(client.get("/slow?ms=60000").status, 400);
    assert_eq!(client.get("/?ms=20").status, 200);
    client.send("GET / HTTP/3.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status, 505);
    assert_eq!(client.rest(), "");
    let mut kept = service.connect();
    assert_eq!(kept.get("/").status, 200);
    patiently("the first connection to be closed", || {
        (service.metric("source_ip_connections_open") == 1).then_some(())
    });
    let table = [
        // Scrapes are no requests of clients.
        ("source_ip_requests_total{code=\"200\"}", 4),
        ("source_ip_requests_in_flight", 0),
        ("source_ip_requests_total{code=\"404\"}", 1),
        ("source_ip_requests_total{code=\"400\"}", 2),
        ("source_ip_requests_total{code=\"505\"}", 1),
        ("source_ip_requests_total{code=\"other\"}", 0),
        ("source_ip_connections_total", 2),
        ("source_ip_draining", 0),
        ("source_ip_proxy_headers_refused_total", 0),
        ("source_ip_build_info{version=\"0.1.0\"}", 1),
    ];
    for (name, value) in table {
        assert_eq!(service.metric(name), value, "{name}");
    }
}

fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.env_clear().envs(environment.iter().copied()).args(args).output().unwrap()
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let table = [
        ("--proxy-protocol", ("", ""), "--trusted-proxies"),
        ("", ("PROXY_PROTOCOL", "1"), "--trusted-proxies"),
        ("", ("FORWARDED_HEADER", "forwarded"), "--trusted-proxies"),
        ("--trusted-proxies=10.1.0.0/8", ("", ""), "the network is 10.0.0.0/8"),
        ("", ("DRAIN", "30"), "--shutdown-timeout"),
        ("--forwarded-header=via", ("", ""), "x-forwarded-for"),
    ];
    for (flag, variable, text) in table {
        let flags: Vec<&str> = [flag].into_iter().filter(|it| !it.is_empty()).collect();
        let variables: Vec<_> = [variable].into_iter().filter(|it| !it.0.is_empty()).collect();
        let output = run(&flags, &variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(text), "{said}");
        assert!(output.stdout.is_empty());
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}

#[test]
fn help_and_version_are_results() {
    let help = String::from_utf8(run(&["--help"], &[]).stdout).unwrap();
    for word in ["TRUSTED_PROXIES", "SHUTDOWN_TIMEOUT", "terminationGracePeriodSeconds", "/slow"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    let version = run(&["--version"], &[]).stdout;
    assert_eq!(String::from_utf8(version).unwrap().trim(), "source-ip 0.1.0");
    // Nothing of the environment of a Service of this name is read.
    let output = run(&["--version"], &[("SOURCE_IP_PORT", "tcp://10.0.0.1:80")]);
    assert!(output.status.success());
}
