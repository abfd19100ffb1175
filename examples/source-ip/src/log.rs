//! The log: one JSON object a line on stdout. A reader that does not keep up delays no request.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::source::Via;

/// Lines that wait to be written. More are dropped and counted.
const WAITING: usize = 4096;

/// The longest part of a path that is written, in characters.
const LONGEST_PATH: usize = 256;

/// What is written. Queries, cookies and other headers are not: they may be secret.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    Listening {
        port: &'static str,
        address: String,
    },
    /// Fewer connections than configured: the limit of open files is too low.
    FewerConnections {
        connections: u32,
    },
    Request {
        source: &'a str,
        via: Via,
        method: &'a str,
        path: &'a str,
        /// Nothing if the connection ended before the answer.
        status: Option<u16>,
        seconds: f64,
    },
    /// A request answered with an error before it was parsed, or a connection closed for its PROXY
    /// header.
    Refused {
        source: &'a str,
        status: Option<u16>,
        why: &'a str,
    },
    AcceptFailed {
        why: String,
    },
    Draining {
        signal: &'static str,
    },
    Closing {
        connections: u64,
    },
    Ended {
        unfinished: u64,
    },
}

#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

enum Message {
    Line(String),
    /// It is dropped when everything before has been written.
    Flush(SyncSender<()>),
}

pub struct Log {
    sender: SyncSender<Message>,
    dropped: AtomicU64,
}

impl Log {
    /// Starts the thread that writes.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&receiver))?;
        Ok(Log { sender, dropped: AtomicU64::new(0) })
    }

    pub fn event(&self, event: &Event<'_>) {
        let entry = Entry { time: timestamp(SystemTime::now()), event };
        // Strings and numbers: this cannot fail.
        let Ok(line) = serde_json::to_string(&entry) else { return };
        if self.sender.try_send(Message::Line(line + "\n")).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// The number of lines that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until all lines are written, for `limit` at most: the reader may be stuck. Says
    /// whether they are.
    pub fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let (pending, written) = sync_channel(0);
        while self.sender.try_send(Message::Flush(pending.clone())).is_err() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(pending);
        let rest = until.saturating_duration_since(Instant::now());
        written.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write(receiver: &Receiver<Message>) {
    let mut out = std::io::stdout().lock();
    for message in receiver {
        match message {
            // A log that nobody reads any more stops no service.
            Message::Line(line) => drop(out.write_all(line.as_bytes()).and_then(|()| out.flush())),
            Message::Flush(pending) => drop(pending),
        }
    }
}

/// The beginning of a path: it is a client's text, of any length.
pub fn shortened(path: &str) -> &str {
    path.char_indices().nth(LONGEST_PATH).map_or(path, |(end, _)| &path[..end])
}

/// RFC 3339 in UTC, with milliseconds.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date so many days after 1970-01-01, by years that begin in March: the leap day is their
/// last (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, after_new_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + after_new_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, expected) in table {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(timestamp(time), expected);
        }
    }

    #[test]
    fn long_paths_are_cut_between_characters() {
        assert_eq!(shortened("/a"), "/a");
        assert_eq!(shortened(&"é".repeat(1000)).chars().count(), LONGEST_PATH);
    }
}
