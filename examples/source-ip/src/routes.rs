//! What is answered to which path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::answer::{Answer, Progress, Record};
use crate::door::{Door, Kind};
use crate::head::{BROKEN_BODY, Refusal, TOO_LARGE};
use crate::source::{Client, Via};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// <https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info>
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer to `/` and `/slow`.
#[derive(Serialize)]
struct Seen<'a> {
    source: String,
    via: Via,
    pod: &'a str,
    node: &'a str,
    version: &'a str,
    /// Whether the service shuts down.
    term: bool,
}

struct Reply {
    status: StatusCode,
    content_type: &'static str,
    text: String,
    close: bool,
}

impl Reply {
    fn ok(content_type: &'static str, text: String) -> Self {
        Reply { status: StatusCode::OK, content_type, text, close: false }
    }

    /// An error after which another request may follow.
    fn error(status: StatusCode, why: &'static str) -> Self {
        let text = Refusal { status, why }.body();
        Reply { status, content_type: JSON, text, close: false }
    }

    /// An error after which nothing can.
    fn refusal(refusal: &Refusal) -> Self {
        Reply { close: true, ..Reply::error(refusal.status, refusal.why) }
    }
}

/// Answers a request whose head has been checked.
pub async fn answer(
    door: Arc<Door>,
    connection: Client,
    progress: Arc<Progress>,
    began: Instant,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let (parts, body) = request.into_parts();
    let client = door.shared.policy.client(&connection, &parts.headers);
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let record = Record::new(&door, &progress, began, client.clone(), method, uri);
    let reply = match drained(body, door.shared.config.limits.max_body).await {
        Ok(()) => route(&door, &client, &parts.method, &parts.uri).await,
        Err(refusal) => Reply::refusal(&refusal),
    };
    progress.decide(reply.status.as_u16());
    let Reply { status, content_type, text, close } = reply;
    let mut response = Response::new(Answer::new(text, record));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if close || door.is_draining() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Reads a body to its end, so that the next request can be read.
async fn drained(body: Incoming, limit: u64) -> Result<(), Refusal> {
    if body.is_end_stream() {
        return Ok(());
    }
    let mut body = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    while let Some(frame) = body.frame().await {
        if let Err(error) = frame {
            return Err(if error.is::<LengthLimitError>() { TOO_LARGE } else { BROKEN_BODY });
        }
    }
    Ok(())
}

async fn route(door: &Door, client: &Client, method: &Method, uri: &Uri) -> Reply {
    if ![Method::GET, Method::HEAD].contains(method) {
        return Reply::error(StatusCode::METHOD_NOT_ALLOWED, "a method other than GET and HEAD");
    }
    let shared = &door.shared;
    match (door.kind, uri.path()) {
        // Both stay as they are during the shutdown: a pod that is not ready gets no more traffic
        // from kube-proxy, while a balancer that has not noticed yet still sends some.
        (_, "/healthz" | "/readyz") => Reply::ok(TEXT, "ok\n".to_owned()),
        (Kind::Admin, "/metrics") => {
            Reply::ok(METRICS, shared.metrics.text(shared.version, shared.log.dropped()))
        }
        (Kind::Clients, path @ ("/" | "/slow")) => {
            let wait = match wait(uri.query(), shared.config.limits.request_timeout) {
                Ok(None) if path == "/slow" => Err("/slow without ms, in milliseconds"),
                wait => wait,
            };
            match wait {
                Ok(wait) => {
                    sleep(wait.unwrap_or_default()).await;
                    seen(door, client)
                }
                Err(why) => Reply::error(StatusCode::BAD_REQUEST, why),
            }
        }
        _ => Reply::error(StatusCode::NOT_FOUND, "nothing at this path"),
    }
}

fn seen(door: &Door, client: &Client) -> Reply {
    let shared = &door.shared;
    let seen = Seen {
        source: client.source.to_string(),
        via: client.via,
        pod: &shared.config.pod,
        node: &shared.config.node,
        version: shared.version,
        term: door.is_draining(),
    };
    match serde_json::to_string(&seen) {
        Ok(json) => Reply::ok(JSON, json + "\n"),
        Err(_) => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "no answer could be written"),
    }
}

/// How long to wait before the answer, from a query such as `ms=1500`.
fn wait(query: Option<&str>, limit: Duration) -> Result<Option<Duration>, &'static str> {
    let mut pairs = query.unwrap_or_default().split('&');
    let Some(number) = pairs.find_map(|pair| pair.strip_prefix("ms=")) else { return Ok(None) };
    let wait = number.parse().map(Duration::from_millis).map_err(|_| "ms is not a number")?;
    if wait < limit { Ok(Some(wait)) } else { Err("ms is as long as a request may take") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_ask_for_a_wait() {
        let millis = |number| Ok(Some(Duration::from_millis(number)));
        let table = [
            (None, Ok(None)),
            (Some(""), Ok(None)),
            (Some("a=b&xms=3"), Ok(None)),
            (Some("ms=0"), millis(0)),
            (Some("a=b&ms=1500&ms=7"), millis(1500)),
            (Some("ms="), Err("ms is not a number")),
            (Some("ms=-1"), Err("ms is not a number")),
            (Some("ms=1e3"), Err("ms is not a number")),
            (Some("ms=2000"), Err("ms is as long as a request may take")),
            (Some("ms=99999999999999999999"), Err("ms is not a number")),
        ];
        for (query, expected) in table {
            assert_eq!(wait(query, Duration::from_secs(2)), expected, "{query:?}");
        }
    }
}
