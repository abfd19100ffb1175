//! Counters, in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The statuses that are counted apart; the last counts all others.
const STATUSES: [u16; 9] = [200, 400, 404, 405, 408, 413, 431, 505, 0];

/// The upper bounds of the histogram's buckets, in milliseconds.
const BUCKETS: [u64; 11] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

#[derive(Debug, Default)]
pub struct Metrics {
    statuses: [AtomicU64; STATUSES.len()],
    /// How many answers took at most so long; those that took longer come last.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
    pub in_flight: AtomicU64,
    pub connections: AtomicU64,
    /// Connections from the start on, open and closed.
    pub accepted: AtomicU64,
    /// Connections closed because their PROXY header was missing or malformed.
    pub proxy_refused: AtomicU64,
    /// 1 from SIGTERM on.
    pub draining: AtomicU64,
}

impl Metrics {
    /// Counts an answer of the service.
    pub fn answered(&self, status: u16, took: Duration) {
        self.refused(status);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|millis| micros <= millis * 1000);
        self.buckets[bucket.unwrap_or(BUCKETS.len())].fetch_add(1, Relaxed);
        self.microseconds.fetch_add(micros, Relaxed);
    }

    /// Counts an answer to a request that never reached the service.
    pub fn refused(&self, status: u16) {
        let at = STATUSES.iter().position(|known| *known == status);
        self.statuses[at.unwrap_or(STATUSES.len() - 1)].fetch_add(1, Relaxed);
    }

    pub fn text(&self, version: &str, dropped_lines: u64) -> String {
        let mut out = Out(String::new());
        out.family("source_ip_requests_total", "counter", "Requests answered, by status.");
        for (status, count) in STATUSES.iter().zip(&self.statuses) {
            let code = if *status == 0 { "other".to_owned() } else { status.to_string() };
            out.sample("source_ip_requests_total", &format!("{{code=\"{code}\"}}"), read(count));
        }
        let name = "source_ip_request_duration_seconds";
        out.family(name, "histogram", "From a request's first byte to the end of its answer.");
        let mut sum = 0;
        for (millis, count) in BUCKETS.iter().map(Some).chain([None]).zip(&self.buckets) {
            sum += read(count);
            let bound = millis.map_or("+Inf".to_owned(), |it| seconds(it * 1000));
            out.sample(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), sum);
        }
        out.sample(&format!("{name}_sum"), "", seconds(read(&self.microseconds)));
        out.sample(&format!("{name}_count"), "", sum);
        let singles = [
            ("requests_in_flight", "gauge", "Requests being answered.", &self.in_flight),
            ("connections_open", "gauge", "Connections of clients.", &self.connections),
            ("connections_total", "counter", "Connections accepted.", &self.accepted),
            (
                "proxy_headers_refused_total",
                "counter",
                "Connections closed for a missing or malformed PROXY header.",
                &self.proxy_refused,
            ),
            ("draining", "gauge", "1 from SIGTERM on.", &self.draining),
        ];
        for (name, kind, help, value) in singles {
            out.single(&format!("source_ip_{name}"), kind, help, read(value));
        }
        let help = "Lines of the log dropped because nobody read them in time.";
        out.single("source_ip_log_lines_dropped_total", "counter", help, dropped_lines);
        out.family("source_ip_build_info", "gauge", "The version, as a label.");
        out.sample("source_ip_build_info", &format!("{{version=\"{}\"}}", escaped(version)), 1);
        out.0
    }
}

struct Out(String);

impl Out {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(&format!("# HELP {name} {help}"));
        self.line(&format!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        self.line(&format!("{name}{labels} {value}"));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

/// Microseconds as seconds, without a loss.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let metrics = Metrics::default();
        for millis in [0, 1, 2, 400, 20_000] {
            metrics.answered(200, Duration::from_millis(millis));
        }
        metrics.refused(431);
        metrics.refused(418);
        let text = metrics.text("1.0\"\\", 3);
        let wanted = [
            "source_ip_requests_total{code=\"200\"} 5",
            "source_ip_requests_total{code=\"431\"} 1",
            "source_ip_requests_total{code=\"other\"} 1",
            "source_ip_request_duration_seconds_bucket{le=\"0.001000\"} 2",
            "source_ip_request_duration_seconds_bucket{le=\"0.500000\"} 4",
            "source_ip_request_duration_seconds_bucket{le=\"10.000000\"} 4",
            "source_ip_request_duration_seconds_bucket{le=\"+Inf\"} 5",
            "source_ip_request_duration_seconds_sum 20.403000",
            "source_ip_request_duration_seconds_count 5",
            "source_ip_log_lines_dropped_total 3",
            "source_ip_build_info{version=\"1.0\\\"\\\\\"} 1",
        ];
        for line in wanted {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }
}
