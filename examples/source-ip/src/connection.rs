//! A connection from its first byte to its last: the PROXY header, then one request after the
//! other.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::close::{Next, linger, refuse};
use crate::door::Door;
use crate::exchange::{Request, exchange};
use crate::head::{self, Body, CUT_OFF, Refusal, Scan, TOO_SLOW};
use crate::proxy_protocol::{self, Origin};
use crate::source::Client;

/// How much is read at a time, in bytes.
const PIECE: usize = 2048;

/// For how long a new connection may be without a request when the service shuts down: its
/// request is on its way.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Serves a connection until it is closed.
///
/// While it is idle nothing is held but the socket and two timers. What a request needs is in
/// boxes, so that an idle connection is not as large as a busy one.
pub async fn serve(door: Arc<Door>, mut stream: TcpStream, peer: IpAddr) {
    let mut grace = Some(Instant::now() + FIRST_REQUEST);
    let mut inbound = Vec::new();
    let mut client = Client::of_socket(peer);
    if door.expects_proxy_header(peer) {
        if !idle(&door, &stream, &mut inbound, grace).await {
            return;
        }
        match Box::pin(proxy_header(&door, &stream, &mut inbound)).await {
            Ok(origin) => client = Client::of_proxy(peer, origin),
            Err(why) => return door.refused_proxy_header(peer, why),
        }
    }
    loop {
        if inbound.is_empty() && !idle(&door, &stream, &mut inbound, grace).await {
            return;
        }
        match Box::pin(request(&door, &client, stream, &mut inbound)).await {
            Next::Keep(kept) => stream = kept,
            Next::Close(closed) => return Box::pin(linger(closed)).await,
            Next::Gone => return,
        }
        grace = None;
    }
}

/// Waits for the first bytes of a request. Says whether one is coming; if not, the connection is
/// to be closed: the client did so, or the time is over, or its place is needed, or the service
/// shuts down.
async fn idle(
    door: &Door,
    stream: &TcpStream,
    inbound: &mut Vec<u8>,
    grace: Option<Instant>,
) -> bool {
    *inbound = Vec::new();
    let closing = async {
        door.closing().await;
        if let Some(grace) = grace {
            sleep_until(grace).await;
        }
    };
    tokio::select! {
        biased;
        count = read(stream, inbound) => return count.is_ok_and(|count| count > 0),
        () = closing => {}
        () = door.room.notified() => {}
        () = sleep(door.shared.config.limits.idle_timeout) => {}
    }
    // What has come in the meantime is answered. The runtime may not know of it yet, so the
    // kernel is asked.
    let mut first = [0];
    recv(stream, &mut first[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)
        .is_ok_and(|(_, count)| count > 0)
}

/// Waits for bytes and reads them. 0 at the end of the connection.
async fn read(stream: &TcpStream, inbound: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        inbound.reserve(PIECE);
        match stream.try_read_buf(inbound) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // There was nothing: an idle connection keeps no buffer.
                inbound.shrink_to_fit();
            }
            result => return result,
        }
    }
}

/// Reads the PROXY header that a connection must begin with, and takes it from `inbound`.
async fn proxy_header(
    door: &Door,
    stream: &TcpStream,
    inbound: &mut Vec<u8>,
) -> Result<Origin, &'static str> {
    let deadline = Instant::now() + door.shared.config.limits.of_heads();
    loop {
        if let Some((origin, length)) = proxy_protocol::parse(inbound)? {
            inbound.drain(..length);
            return Ok(origin);
        }
        match timeout_at(deadline, read(stream, inbound)).await {
            Err(_) => return Err("a PROXY header that takes too long"),
            Ok(Ok(0) | Err(_)) => return Err("an incomplete PROXY header"),
            Ok(Ok(_)) => {}
        }
    }
}

/// Reads a request's head, and answers the request.
async fn request(
    door: &Arc<Door>,
    client: &Client,
    stream: TcpStream,
    inbound: &mut Vec<u8>,
) -> Next {
    let limits = &door.shared.config.limits;
    let began = Instant::now();
    let of_requests = limits.of_requests();
    let head = read_head(&stream, inbound, &of_requests);
    let head = timeout_at(began + limits.of_heads(), head).await;
    let (length, body) = match head.unwrap_or(Err(Some(TOO_SLOW))) {
        Ok(head) => head,
        Err(Some(refusal)) => return refuse(door, client, stream, refusal).await,
        Err(None) => return Next::Gone,
    };
    let whole = match body {
        Body::Length(body) => length as u64 + body,
        Body::Chunked => u64::MAX,
    };
    let here = usize::try_from(whole).unwrap_or(usize::MAX).min(inbound.len());
    let bytes: Bytes = inbound.drain(..here).collect();
    exchange(door, client, stream, Request { began, bytes, body, unread: whole - here as u64 })
        .await
}

/// The length of a head and its body. Without a refusal, the other end is gone.
async fn read_head(
    stream: &TcpStream,
    inbound: &mut Vec<u8>,
    limits: &head::Limits,
) -> Result<(usize, Body), Option<Refusal>> {
    let mut scan = Scan::default();
    loop {
        if let Some(length) = scan.end(inbound, limits)? {
            return Ok((length, head::check(&inbound[..length], limits)?));
        }
        match read(stream, inbound).await {
            Ok(0) if inbound.is_empty() => return Err(None),
            Ok(0) => return Err(Some(CUT_OFF)),
            Ok(_) => {}
            Err(_) => return Err(None),
        }
    }
}
