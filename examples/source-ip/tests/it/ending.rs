//! SIGTERM: what has been sent is answered, whatever moment it comes.

use std::process::Command;

use rustix::process::{Signal, kill_process};

use crate::world::{Client, PROGRAM, SHORT, Service, missing, patiently, skipped};

/// No drain: what is answered then was sent before.
const AT_ONCE: [&str; 4] = ["--drain", "0", "--request-timeout", "5"];

fn draining(service: &Service) {
    service.event(|it| it["event"] == "draining");
}

fn in_flight(service: &Service, count: u64) {
    patiently("requests in flight", || {
        (service.metric("source_ip_requests_in_flight") == count).then_some(())
    });
}

fn requests_in_flight_are_finished(signal: Signal) {
    let mut service = Service::start(&AT_ONCE);
    let mut clients: Vec<Client> = (0..20).map(|_| service.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("/slow?ms=2000"));
    in_flight(&service, 20);
    service.signal(signal);
    draining(&service);
    assert!(!service.has_ended());
    for client in &mut clients {
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (200, true));
        assert_eq!(reply.json()["term"], true);
        assert_eq!(client.rest(), "");
    }
    assert_eq!(service.ended(), 0);
    let ended = service.event(|it| it["event"] == "ended");
    assert_eq!(ended["unfinished"], 0);
}

#[test]
fn at_sigterm_requests_in_flight_are_finished() {
    requests_in_flight_are_finished(Signal::TERM);
}

#[test]
fn at_sigint_requests_in_flight_are_finished() {
    requests_in_flight_are_finished(Signal::INT);
}

#[test]
fn during_the_drain_everything_is_answered_and_closed() {
    let mut service = Service::start(&["--drain", "2", "--request-timeout", "2"]);
    let mut kept = service.connect();
    assert!(!kept.get("/").closes());
    let mut fresh = service.connect();
    let mut idle = service.connect();
    assert!(!idle.get("/").closes());
    service.signal(Signal::TERM);
    draining(&service);
    for client in [&mut kept, &mut fresh, &mut service.connect()] {
        let reply = client.get("/");
        assert_eq!((reply.status, reply.closes()), (200, true));
        assert_eq!(client.rest(), "");
    }
    // A pod that is not ready would get no traffic, which is not what is wanted yet.
    let mut admin = Client::new(std::net::TcpStream::connect(service.admin).unwrap());
    assert_eq!(admin.get("/readyz").status, 200);
    assert_eq!(service.metric("source_ip_draining"), 1);
    assert_eq!(idle.rest(), "");
    assert_eq!(service.ended(), 0);
}

/// The process is stopped, clients send, the signal comes, and the process goes on: for it, all
/// comes in the same moment.
#[test]
fn a_request_on_a_kept_connection_in_the_moment_of_the_signal_is_answered() {
    let mut service = Service::start(&AT_ONCE);
    let mut clients: Vec<Client> = (0..100).map(|_| service.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    service.stop();
    clients.iter_mut().for_each(|client| client.ask("/"));
    service.signal(Signal::TERM);
    service.signal(Signal::CONT);
    for client in &mut clients {
        let reply = client.reply();
        assert_eq!(reply.status, 200);
        assert_eq!(client.rest(), "");
    }
    assert_eq!(service.ended(), 0);
}

#[test]
fn connections_in_the_kernels_queue_are_answered() {
    // With few places, those in the queue are served one after the other.
    for places in ["10000", "2"] {
        let mut service = Service::start(&[&AT_ONCE[..], &["--max-connections", places]].concat());
        service.stop();
        let mut clients: Vec<Client> = (0..100).map(|_| service.connect()).collect();
        clients.iter_mut().for_each(|client| client.ask("/"));
        service.signal(Signal::TERM);
        service.signal(Signal::CONT);
        for mut client in clients {
            assert_eq!(client.reply().status, 200);
            assert_eq!(client.rest(), "");
        }
        assert_eq!(service.ended(), 0);
    }
}

/// The first request of a connection that came just before: it is waited for.
#[test]
fn a_new_connection_may_send_its_request() {
    let mut service = Service::start(&AT_ONCE);
    service.stop();
    let mut client = service.connect();
    service.signal(Signal::TERM);
    service.signal(Signal::CONT);
    service.event(|it| it["event"] == "closing");
    assert_eq!(client.get("/").status, 200);
    assert_eq!(service.ended(), 0);
}

#[test]
fn a_second_signal_ends_the_drain_and_a_third_the_process() {
    let times = ["--drain", "600", "--request-timeout", "300", "--shutdown-timeout", "1000"];
    let mut service = Service::start(&times);
    let mut idle = service.connect();
    assert_eq!(idle.get("/").status, 200);
    let mut busy = service.connect();
    busy.ask("/slow?ms=1000");
    in_flight(&service, 1);
    service.signal(Signal::TERM);
    draining(&service);
    service.signal(Signal::INT);
    assert_eq!(idle.rest(), "");
    assert_eq!(busy.reply().status, 200);
    assert_eq!(service.ended(), 0);

    let mut service = Service::start(&times);
    let mut busy = service.connect();
    busy.ask("/slow?ms=200000");
    in_flight(&service, 1);
    service.signal(Signal::TERM);
    draining(&service);
    service.signal(Signal::TERM);
    service.event(|it| it["event"] == "closing");
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), 1);
    assert_eq!(service.event(|it| it["event"] == "ended")["unfinished"], 1);
}

/// A client that sends nothing and reads nothing does not hold up the end.
#[test]
fn the_end_comes_whatever_clients_do() {
    let mut service = Service::start(&SHORT);
    let mut unfinished = service.connect();
    unfinished.send("GET / HTTP/1.1\r\n");
    let mut no_body = service.connect();
    no_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let _fresh = service.connect();
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), 0);
    assert_eq!([unfinished.reply().status, no_body.reply().status], [408, 408]);
}

#[test]
fn it_ends_as_the_first_process_of_a_container() {
    let namespace = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let Ok(attempt) = Command::new("unshare").args(namespace).arg("true").output() else {
        return missing("unshare not found");
    };
    if !attempt.status.success() {
        // Some systems forbid it to users that are not root.
        return skipped("unshare may make no namespace of processes here");
    }
    let mut command = Command::new("unshare");
    command.args(namespace).arg(PROGRAM);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain", "0"]);
    let mut service = Service::run(command);
    let path = format!("/proc/{0}/task/{0}/children", service.pid());
    let child: i32 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap();
    assert!(status.lines().any(|it| it.starts_with("NSpid:") && it.ends_with("\t1")), "{status}");
    let mut client = service.connect();
    client.ask("/slow?ms=1000");
    in_flight(&service, 1);
    let child = rustix::process::Pid::from_raw(child).unwrap();
    kill_process(child, Signal::TERM).unwrap();
    assert_eq!(client.reply().status, 200);
    assert_eq!(service.ended(), 0);
}
