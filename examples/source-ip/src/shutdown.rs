//! The end: SIGTERM or SIGINT, and what is still done.
//!
//! A kubelet sends SIGTERM after the preStop sleep, in which nothing changes here, so by then no
//! balancer should send new connections. The drain is for those that do, and for requests on
//! kept connections: each answer closes its connection, until the drain is over. Then
//! idle connections are closed, and the last requests finished. Without a handler of its own a
//! process that is PID 1 of a container ignores SIGTERM.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::pin;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::config::Shutdown;
use crate::door::{Door, Phase};
use crate::log::Event;

/// The signals that end the service. They are caught from its making on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn catch() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Waits for a signal, then shuts down a door whose connections `accepting` accepts. Returns
/// the number of connections that were cut off.
pub async fn wait(
    mut signals: Signals,
    times: &Shutdown,
    phase: &watch::Sender<Phase>,
    accepting: JoinHandle<()>,
    door: &Door,
) -> u64 {
    let log = &door.shared.log;
    let signal = signals.next().await;
    phase.send_replace(Phase::Draining);
    door.metrics.draining.store(1, Relaxed);
    log.event(&Event::Draining { signal });
    let open = || door.metrics.connections.load(Relaxed);
    let close = || {
        phase.send_replace(Phase::Closing);
        log.event(&Event::Closing { connections: open() });
    };
    let finished = async {
        // It ends at `Closing`, with the last connection in the queue accepted.
        if accepting.await.is_ok() {
            door.all_closed().await;
        }
        open()
    };
    let drain = sleep(times.drain);
    let limit = sleep(times.shutdown_timeout);
    pin!(finished, drain, limit);
    tokio::select! {
        () = &mut drain => {}
        // A second signal.
        _ = signals.next() => {}
        () = &mut limit => return open(),
    }
    close();
    tokio::select! {
        unfinished = finished => unfinished,
        // Another one.
        _ = signals.next() => open(),
        () = limit => open(),
    }
}

/// Shuts down the admin door after everything else: probes and a last scrape are answered.
pub async fn close_admin(phase: &watch::Sender<Phase>, accepting: JoinHandle<()>, door: &Door) {
    /// Nothing there takes longer.
    const LIMIT: Duration = Duration::from_millis(200);
    phase.send_replace(Phase::Closing);
    let finished = async {
        if accepting.await.is_ok() {
            door.all_closed().await;
        }
    };
    tokio::select! {
        () = finished => {}
        () = sleep(LIMIT) => {}
    }
}
