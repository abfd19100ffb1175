//! One request and its answer, by hyper; afterwards the connection is handed back without it.
//!
//! hyper keeps a buffer of 8 KiB and its state for every connection, idle or not, which is 100 MiB
//! for 10,000. So a connection has a hyper of its own only from the end of a request's head to the
//! end of its answer. hyper gets the bytes of one request and no more: the next one is checked
//! first.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::answer::Progress;
use crate::close::{Next, send_refusal};
use crate::door::Door;
use crate::head::{Body, Refusal, TOO_SLOW};
use crate::routes;
use crate::source::Client;

/// The smallest buffer that hyper takes, in bytes.
const SMALLEST_BUFFER: usize = 8192;

/// A request whose head has been checked.
pub struct Request {
    pub began: Instant,
    /// The head, and what has been read of the body.
    pub bytes: Bytes,
    pub body: Body,
    /// How much of the body has not been read, in bytes.
    pub unread: u64,
}

/// Answers a request.
pub async fn exchange(
    door: &Arc<Door>,
    peer: &Client,
    stream: TcpStream,
    request: Request,
) -> Next {
    let limits = &door.shared.config.limits;
    let deadline = request.began + limits.request_timeout;
    let began = request.began;
    let progress = Arc::new(Progress::default());
    let gate = Gate {
        bytes: request.bytes,
        stream: stream.take(request.unread),
        progress: progress.clone(),
    };
    let service = {
        let (door, client, progress) = (door.clone(), peer.clone(), progress.clone());
        service_fn(move |request| {
            Box::pin(routes::answer(door.clone(), client.clone(), progress.clone(), began, request))
        })
    };
    let mut connection = http1::Builder::new()
        .half_close(true)
        // The end of chunks is found by hyper alone, so nothing is read after it.
        .keep_alive(request.body != Body::Chunked)
        .max_headers(limits.max_headers as usize)
        .max_buf_size(SMALLEST_BUFFER.max(limits.max_header_bytes as usize))
        .serve_connection(TokioIo::new(gate), service);
    let done = std::future::poll_fn(|context| match connection.poll_without_shutdown(context) {
        // hyper waits for another request.
        Poll::Pending if progress.is_sent() => Poll::Ready(Ok(true)),
        Poll::Pending => Poll::Pending,
        Poll::Ready(result) => Poll::Ready(result.map(|()| false)),
    });
    let done = timeout_at(deadline, done).await;
    let undecided = progress.status().is_none();
    if done.is_err() && undecided {
        progress.decide(TOO_SLOW.status.as_u16());
    }
    let stream = connection.into_parts().io.into_inner().stream.into_inner();
    match done {
        Ok(Ok(true)) => Next::Keep(stream),
        Ok(Ok(false)) => Next::Close(stream),
        // hyper has answered what it could not parse, if it knew how to.
        Ok(Err(error)) if error.is_parse() => {
            let status = hyper::StatusCode::BAD_REQUEST;
            door.refused(peer, &Refusal { status, why: "a request that hyper refuses" });
            Next::Close(stream)
        }
        Ok(Err(_)) => Next::Gone,
        Err(_) if undecided => send_refusal(stream, &TOO_SLOW).await,
        // The client does not read its answer.
        Err(_) => Next::Gone,
    }
}

/// A socket of which hyper sees one request.
struct Gate {
    bytes: Bytes,
    stream: Take<TcpStream>,
    progress: Arc<Progress>,
}

impl AsyncRead for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if !gate.bytes.is_empty() {
            let length = gate.bytes.len().min(buffer.remaining());
            buffer.put_slice(&gate.bytes.split_to(length));
            return Poll::Ready(Ok(()));
        }
        if gate.stream.limit() == 0 {
            // hyper is woken by its service or by the socket's other direction.
            return Poll::Pending;
        }
        Pin::new(&mut gate.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        gate.progress.writing();
        Pin::new(gate.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has no buffer of its own. hyper flushes when its own is empty.
        self.progress.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_shutdown(context)
    }
}
