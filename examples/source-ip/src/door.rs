//! A listening address and what belongs to it: its connections' number, and when they end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::config::Config;
use crate::head::Refusal;
use crate::log::{Event, Log};
use crate::metrics::Metrics;
use crate::source::{Client, Policy};

/// What all connections share.
pub struct Shared {
    pub config: Config,
    pub policy: Policy,
    /// Of the clients' door.
    pub metrics: Arc<Metrics>,
    pub log: Log,
    pub version: &'static str,
}

/// Whom a door is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Clients,
    /// Probes and metrics.
    Admin,
}

/// How far the shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Every answer closes its connection. New connections and idle ones are served.
    Draining,
    /// What has been sent is answered. Everything else is closed.
    Closing,
}

pub struct Door {
    pub kind: Kind,
    pub shared: Arc<Shared>,
    /// The admin door counts for itself, and nobody reads it: scrapes are no requests of clients.
    pub metrics: Arc<Metrics>,
    /// Woken, the longest idle connection is closed in favour of a new one.
    pub room: Notify,
    phase: watch::Receiver<Phase>,
    permits: Arc<Semaphore>,
    limit: u32,
}

impl Door {
    pub fn new(
        kind: Kind,
        shared: Arc<Shared>,
        phase: watch::Receiver<Phase>,
        limit: u32,
    ) -> Arc<Self> {
        let metrics = match kind {
            Kind::Clients => shared.metrics.clone(),
            Kind::Admin => Arc::default(),
        };
        let permits = Arc::new(Semaphore::new(limit as usize));
        Arc::new(Door { kind, shared, metrics, room: Notify::new(), phase, permits, limit })
    }

    /// Waits for a place among the connections. If all are taken, the connection that has been
    /// idle for longest is closed, or else the next that becomes idle.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(place);
        }
        self.room.notify_one();
        // It ends only when the semaphore is closed, which it never is.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Waits until no connection is left.
    pub async fn all_closed(&self) {
        drop(self.permits.acquire_many(self.limit).await);
    }

    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Waits until the shutdown has come to the phase `Closing`.
    pub async fn closing(&self) {
        // The phase never goes away before the doors.
        drop(self.phase.clone().wait_for(|phase| *phase == Phase::Closing).await);
    }

    /// Whether a connection from this host must begin with a PROXY header.
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        self.kind == Kind::Clients && self.shared.policy.expects_proxy_header(peer)
    }

    /// Notes a request that is refused before it is parsed.
    pub fn refused(&self, client: &Client, refusal: &Refusal) {
        let status = refusal.status.as_u16();
        self.metrics.refused(status);
        self.note_refusal(&client.source.to_string(), Some(status), refusal.why);
    }

    /// Notes a connection that is closed for its PROXY header.
    pub fn refused_proxy_header(&self, peer: IpAddr, why: &str) {
        self.metrics.proxy_refused.fetch_add(1, Relaxed);
        self.note_refusal(&peer.to_string(), None, why);
    }

    fn note_refusal(&self, source: &str, status: Option<u16>, why: &str) {
        if self.shared.config.log_requests {
            self.shared.log.event(&Event::Refused { source, status, why });
        }
    }
}
