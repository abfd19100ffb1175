//! An answer on its way out, and what is noted about it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::{Method, Uri};
use tokio::time::Instant;

use crate::door::{Door, Kind};
use crate::log::{Event, shortened};
use crate::source::Client;

/// How far the answer to one request has come. The service, hyper and the socket share it.
#[derive(Debug, Default)]
pub struct Progress {
    /// 0 before there is an answer.
    status: AtomicU16,
    /// hyper has the whole answer.
    complete: AtomicBool,
    /// Bytes of the answer may not have reached the socket.
    unsent: AtomicBool,
}

impl Progress {
    pub fn decide(&self, status: u16) {
        self.status.store(status, Ordering::Release);
    }

    /// The answer's status, once it is decided.
    pub fn status(&self) -> Option<u16> {
        Some(self.status.load(Ordering::Acquire)).filter(|status| *status != 0)
    }

    /// hyper writes to the socket.
    pub fn writing(&self) {
        self.unsent.store(true, Ordering::Release);
    }

    /// hyper has written all that it had.
    pub fn flushed(&self) {
        self.unsent.store(false, Ordering::Release);
    }

    /// Whether the socket has the whole answer.
    pub fn is_sent(&self) -> bool {
        self.complete.load(Ordering::Acquire) && !self.unsent.load(Ordering::Acquire)
    }

    /// hyper flushes the socket after this: it drops an answer's body when it has the last byte.
    fn complete(&self) {
        self.unsent.store(true, Ordering::Release);
        self.complete.store(true, Ordering::Release);
    }
}

/// A request in flight. When it is dropped, with its answer or without, it is logged and counted.
pub struct Record {
    door: Arc<Door>,
    progress: Arc<Progress>,
    began: Instant,
    client: Client,
    method: Method,
    uri: Uri,
}

impl Record {
    pub fn new(
        door: &Arc<Door>,
        progress: &Arc<Progress>,
        began: Instant,
        client: Client,
        method: Method,
        uri: Uri,
    ) -> Self {
        door.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
        Record { door: door.clone(), progress: progress.clone(), began, client, method, uri }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let shared = &self.door.shared;
        let took = self.began.elapsed();
        let status = self.progress.status();
        self.door.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(status) = status {
            self.door.metrics.answered(status, took);
        }
        self.progress.complete();
        // Probes come every second, and say nothing about clients.
        if shared.config.log_requests && self.door.kind == Kind::Clients {
            shared.log.event(&Event::Request {
                source: &self.client.source.to_string(),
                via: self.client.via,
                method: self.method.as_str().get(..32).unwrap_or(self.method.as_str()),
                path: shortened(self.uri.path()),
                status,
                seconds: took.as_secs_f64(),
            });
        }
    }
}

/// An answer's body.
pub struct Answer {
    bytes: Full<Bytes>,
    _record: Record,
}

impl Answer {
    pub fn new(bytes: impl Into<Bytes>, record: Record) -> Self {
        Answer { bytes: Full::new(bytes.into()), _record: record }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.get_mut().bytes).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}
