//! How a connection ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::config::LINGER;
use crate::door::Door;
use crate::head::Refusal;
use crate::source::Client;

/// For how long the text of a refusal may take to go out.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What becomes of a connection after a request.
pub enum Next {
    /// Another request may follow.
    Keep(TcpStream),
    /// The last answer is on its way.
    Close(TcpStream),
    /// The other end is gone, or does not read.
    Gone,
}

/// Answers a request that was not parsed, notes it, and closes the connection.
pub async fn refuse(door: &Door, client: &Client, stream: TcpStream, refusal: Refusal) -> Next {
    door.refused(client, &refusal);
    send_refusal(stream, &refusal).await
}

/// Answers a request outside hyper, and closes the connection.
pub async fn send_refusal(mut stream: TcpStream, refusal: &Refusal) -> Next {
    let body = refusal.body();
    let text = format!(
        "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        refusal.status,
        body.len()
    );
    match timeout(REFUSAL_TIME, stream.write_all(text.as_bytes())).await {
        Ok(Ok(())) => Next::Close(stream),
        _ => Next::Gone,
    }
}

/// Closes a connection after its last answer. What the client still sends is read and thrown
/// away: a socket that is closed with unread bytes sends a reset, which can overtake the answer
/// (RFC 9112, section 9.6).
pub async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut discarded = Vec::with_capacity(4096);
    let rest = async {
        while stream.read_buf(&mut discarded).await.is_ok_and(|count| count > 0) {
            discarded.clear();
        }
    };
    tokio::select! {
        () = rest => {}
        () = sleep(LINGER) => {}
    }
}
