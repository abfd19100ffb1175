//! Listening, and accepting connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::connection::serve;
use crate::door::Door;
use crate::log::Event;

/// Connections that may wait in the kernel's queue. The kernel has a limit of its own,
/// net.core.somaxconn, which is 4096.
const BACKLOG: u32 = 4096;

/// The kernel's buffers of a connection, in bytes. Requests and answers are small, and without a
/// limit a client that does not read could fill megabytes.
const BUFFER: u32 = 65_536;

/// How long to wait after an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`, or on `port` of all addresses: IPv6 and IPv4 with one socket, or only IPv4
/// where there is no IPv6.
pub fn listen(address: Option<SocketAddr>, port: u16) -> anyhow::Result<TcpListener> {
    if let Some(address) = address {
        return bind(address).with_context(|| format!("cannot listen on {address}"));
    }
    let any = |address: IpAddr| SocketAddr::new(address, port);
    match bind(any(Ipv6Addr::UNSPECIFIED.into())) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            bind(any(Ipv4Addr::UNSPECIFIED.into()))
        }
        result => result,
    }
    .with_context(|| format!("cannot listen on port {port}"))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    // A new process may listen while connections of the one before are being closed.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Raises the limit of open files as far as it goes, as Go's runtime does. Returns it.
///
/// Container engines often set 1024, for programs that use select(2), and allow much more.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// Accepts connections until the shutdown's phase `Closing`. Those that the kernel has accepted by
/// then are served, too: to close a listening socket resets them.
pub async fn accept(door: Arc<Door>, listener: TcpListener) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => start(&door, stream, peer.ip()).await,
                Err(error) => failed(&door, &error).await,
            },
            () = door.closing() => break,
        }
    }
    if let Err(error) = accept_rest(&door, listener).await {
        door.shared.log.event(&Event::AcceptFailed { why: error.to_string() });
    }
}

/// Accepts what is in the kernel's queue, then closes the listening socket.
///
/// A connection that arrives between the last accept and the close is reset. Nothing can prevent
/// that, so the balancer has to be told before, which is what a preStop sleep is for.
async fn accept_rest(door: &Arc<Door>, listener: TcpListener) -> io::Result<()> {
    // The runtime may not know yet what is in the queue, so the kernel is asked.
    let listener = listener.into_std()?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                start(door, TcpStream::from_std(stream)?, peer.ip()).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => failed(door, &error).await,
        }
    }
}

/// Serves a connection, once there is a place for it. Those after it wait in the kernel's queue,
/// which is bounded: a burst is served late rather than refused.
async fn start(door: &Arc<Door>, stream: TcpStream, peer: IpAddr) {
    let place = door.place().await;
    let door = door.clone();
    tokio::spawn(async move {
        let _place = place;
        door.metrics.accepted.fetch_add(1, Relaxed);
        door.metrics.connections.fetch_add(1, Relaxed);
        // Answers are small, and written at once. Without it they only come later.
        if stream.set_nodelay(true).is_ok() {
            serve(door.clone(), stream, peer).await;
        }
        door.metrics.connections.fetch_sub(1, Relaxed);
    });
}

/// What follows a failed accept. A connection that is gone already needs nothing. For everything
/// else, such as too many open files, an idle connection makes room.
async fn failed(door: &Door, error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        door.shared.log.event(&Event::AcceptFailed { why: error.to_string() });
        door.room.notify_one();
        sleep(PAUSE).await;
    }
}
