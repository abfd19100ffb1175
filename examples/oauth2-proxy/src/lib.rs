//! A page for whoever oauth2-proxy has signed in. It stands for an application that knows nothing of
//! OpenID Connect and takes its user from headers, as many do.
//!
//! The headers prove nothing by themselves. They are true because nobody but the ingress can reach
//! the application (the NetworkPolicy in `deploy/`), and the ingress overwrites what a client sends.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Who is signed in, as oauth2-proxy names them with `--set-xauthrequest`.
/// <https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#header-options>
const USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");

/// Connections at a time; others wait.
const CONNECTIONS: usize = 512;

/// Bytes of a request's line and headers, with room for cookies.
const HEADERS: usize = 64 * 1024;

/// How long a client may take to send its headers.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long requests may go on after SIGTERM. `terminationGracePeriodSeconds` is longer.
const DRAIN: Duration = Duration::from_secs(10);

/// What an answer depends on, beside the request.
struct Application {
    name: &'static str,
    /// Where the page's link to sign out leads. Without it, there is none.
    sign_out: Option<String>,
}

/// Serves the application on `LISTEN` (default `0.0.0.0:8080`) until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot listen there.
pub fn main(name: &'static str) -> Result<()> {
    let address = env::var("LISTEN").unwrap_or_else(|_| "0.0.0.0:8080".to_owned());
    let sign_out = env::var("SIGN_OUT_URL").ok().filter(|url| !url.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    runtime.block_on(serve(&address, Arc::new(Application { name, sign_out })))
}

async fn serve(address: &str, application: Arc<Application>) -> Result<()> {
    let listen = || format!("cannot listen on {address}");
    let listener = TcpListener::bind(address).await.with_context(listen)?;
    let local = listener.local_addr().with_context(listen)?;
    // A program that is PID 1 ignores signals without a handler.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    println!("{}: listening on {local}", application.name);

    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let place = Arc::clone(&free).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(error) => {
                    // Such as too many open files: it passes as connections end.
                    eprintln!("{}: cannot accept a connection: {error}", application.name);
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let application = Arc::clone(&application);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = application.answer(&request);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEADERS);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // An error is the client's, who has gone or speaks something else.
            let _ended = connection.await;
            drop(place);
        });
    }
    // Connections at rest are closed now, others after their answer.
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        eprintln!("{}: requests were cut off after {DRAIN:?}", application.name);
    }
    Ok(())
}

impl Application {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let headers = request.headers();
        if request.uri().path() == "/healthz" {
            return respond(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned());
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let text = "only GET and HEAD\n".to_owned();
            let mut answer =
                respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", text);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let Some(user) = single(headers, &USER) else {
            let text = format!("{}: nobody is signed in; ask through the ingress\n", self.name);
            return respond(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", text);
        };
        // Some providers tell no address.
        let email = single(headers, &EMAIL);
        let host = single(headers, &HOST).unwrap_or_default();
        let asked = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
        let page = self.page(&user, email.as_deref(), &format!("https://{host}{asked}"));
        respond(StatusCode::OK, "text/html; charset=utf-8", page)
    }

    fn page(&self, user: &str, email: Option<&str>, asked: &str) -> String {
        let name = escape(self.name);
        let email = email.map(|email| format!(", {}", escape(email))).unwrap_or_default();
        let sign_out = self.sign_out.as_deref().map(escape);
        let sign_out =
            sign_out.map(|url| format!("<p><a id=\"sign-out\" href=\"{url}\">Sign out</a>\n"));
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <title>{name}</title>\n\
             <h1>{name}</h1>\n\
             <p id=\"user\">Signed in: {user}{email}\n\
             <p id=\"asked\">{asked}\n\
             {sign_out}",
            user = escape(user),
            asked = escape(asked),
            sign_out = sign_out.unwrap_or_default(),
        )
    }
}

/// The value of a header that is there once. Of two values nobody knows whose the second is.
fn single(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|value| !value.is_empty())?;
    values.next().is_none().then(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // The page of one user is in no cache, nor behind the back button after signing out.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Text as HTML shows it, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
