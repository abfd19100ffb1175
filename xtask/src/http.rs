//! The one room that reaches the network. Every phase has a time-out, every answer a
//! limit, and a secret goes to the origin that it is for and nowhere else.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use ureq::http::{HeaderMap, Request};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, AsSendBody, SendBody};

use crate::digest::Digest;
use crate::secret::Secret;
use crate::term::Term;

mod body;
mod early;
mod error;
pub mod limits;
mod named;
mod pages;
mod proxy;
mod retry;
mod tls;
mod url;

pub use body::Reading;
pub use error::{Fault, HttpError};
pub use pages::Pages;
pub use proxy::Proxies;
pub use retry::Patience;
pub use tls::Trust;
pub use ureq::http::Method;
pub use url::{Origin, Scheme, Url, escaped};

/// How servers are spoken to.
#[derive(Clone, Debug)]
pub struct Settings {
    pub trust: Trust,
    pub proxies: Proxies,
    /// `host` or `host:port` of servers without TLS, beside those of this machine.
    pub plain_http: Vec<String>,
    /// Without any progress for so long, a connection is given up.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: u32,
    /// Whether nothing is to be sent at all.
    pub offline: bool,
}

/// Connections that are kept for more requests, to one server.
const IDLE: usize = 16;

/// What a request brings. It can be sent again.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// `size` bytes of a file, from this offset on. The bar moves on with them. Where they
    /// are not those of the digest, not all of them are sent.
    File {
        path: &'a Path,
        from: u64,
        size: u64,
        digest: Option<&'a Digest>,
        bar: &'a ProgressBar,
    },
}

/// A request.
#[derive(Clone)]
pub struct Call<'a> {
    pub method: Method,
    pub url: &'a Url,
    pub headers: &'a [(&'a str, &'a str)],
    /// What to send as Authorization, and to whom alone.
    pub auth: Option<(&'a Origin, &'a Secret)>,
    pub body: Body<'a>,
    /// How much of an answer is read, in bytes; more is an error.
    pub limit: u64,
}

impl<'a> Call<'a> {
    /// A request without a body, for an answer of at most `limit` bytes.
    pub fn new(method: Method, url: &'a Url, limit: u64) -> Call<'a> {
        Call { method, url, headers: &[], auth: None, body: Body::Empty, limit }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: HeaderMap,
    /// Where it came from, after all redirects.
    pub url: Url,
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The transport. Connections are kept and used again.
pub struct Http<'a> {
    settings: Settings,
    term: &'a Term,
    agents: Mutex<BTreeMap<(Scheme, proxy::Way), Agent>>,
    /// Where hosts are that servers named.
    reaches: Mutex<BTreeMap<String, Vec<named::Reach>>>,
    /// What servers asked to wait for.
    waits: Mutex<retry::Waits>,
    stopped: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Http<'a> {
    pub fn new(settings: Settings, term: &'a Term) -> Http<'a> {
        let (agents, reaches, waits) = (Mutex::default(), Mutex::default(), Mutex::default());
        Http { settings, term, agents, reaches, waits, stopped: AtomicBool::new(false) }
    }

    /// Ends what other threads wait for, because it is of no use any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits, unless it is stopped.
    pub fn sleep(&self, time: Duration) {
        const SLICE: Duration = Duration::from_millis(50);
        let until = Instant::now() + time;
        while !self.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    /// Whether a server of this name is spoken to without TLS.
    pub fn is_plain(&self, authority: &str) -> bool {
        let host = |text: &str| Origin::new(Scheme::Http, text).ok();
        let named =
            |it: &Origin| self.settings.plain_http.iter().any(|of| host(of).as_ref() == Some(it));
        host(authority).is_some_and(|host| host.is_loopback() || named(&host))
    }

    /// Sends a request until there is an answer to be had, and reads it. What an
    /// earlier try may have done must not matter.
    pub fn send(&self, call: &Call<'_>) -> Result<Response, HttpError> {
        let mut patience = Patience::new(self);
        loop {
            match self.once(call) {
                Ok(response) => return Ok(response),
                Err(error) => patience.wait(error)?,
            }
        }
    }

    /// Sends a request once and reads the answer.
    pub fn once(&self, call: &Call<'_>) -> Result<Response, HttpError> {
        let Reading { status, headers, url, body, .. } = self.open(call)?;
        let mut body = body.within(self.settings.timeout * limits::WHOLE);
        let mut bytes = Vec::new();
        // One byte more tells that there is more.
        let read = body.by_ref().take(call.limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| call.cut(&error))?;
        if bytes.len() as u64 > call.limit {
            let why = format!("the answer has more than {} bytes", call.limit);
            return Err(call.failed(Fault::Refused(why)));
        }
        Ok(Response { status, headers, url, body: bytes })
    }

    /// Sends a request once, follows where it is sent to, and returns the answer with
    /// its body still to be read. An answer of 400 and above is an error.
    pub fn open(&self, call: &Call<'_>) -> Result<Reading<'_>, HttpError> {
        let mut url = call.url.clone();
        for _ in 0..limits::HOPS {
            let reading = self.hop(call, &url)?;
            let (status, headers) = (reading.status, &reading.headers);
            match status {
                200..=299 => return Ok(reading),
                301 | 302 | 303 | 307 | 308 => {
                    url = self.next(call, &url, status, headers)?;
                }
                _ => return Err(self.refusal(call, reading)),
            }
        }
        Err(call.failed(Fault::Refused(format!("it was sent on more than {} times", limits::HOPS))))
    }

    /// Where a redirect leads, if it may be followed.
    fn next(
        &self,
        call: &Call<'_>,
        from: &Url,
        status: u16,
        headers: &HeaderMap,
    ) -> Result<Url, HttpError> {
        let refused = |why: String| call.failed(Fault::Refused(why));
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        if !reads && matches!(status, 301..=303) {
            return Err(refused(format!("the server answers {status}, which loses what is sent")));
        }
        let location = headers.get("location").and_then(|value| value.to_str().ok());
        let location = location
            .ok_or_else(|| refused(format!("the server answers {status} and says not where to")))?;
        let next = self
            .named(from, location)
            .map_err(|error| refused(format!("the server sends on: {error:#}")))?;
        // A body may hold a secret, and is for the one that it was sent to.
        if !reads && next.origin != from.origin {
            return Err(refused(format!("the server sends what it was given on to {next}")));
        }
        self.term.trace(format_args!("{status}, on to {next}"));
        Ok(next)
    }

    /// One request and its answer, whatever that is.
    fn hop(&self, call: &Call<'_>, url: &Url) -> Result<Reading<'_>, HttpError> {
        if url.origin.scheme == Scheme::Http && !self.is_plain(&url.origin.authority()) {
            let why = format!("{} has no TLS, and is not named in `plain-http`", url.origin);
            return Err(call.failed(Fault::Refused(why)));
        }
        if self.settings.offline {
            let why = "--offline says that the network is used for nothing".to_owned();
            return Err(call.failed(Fault::Refused(why)));
        }
        if self.stopped() {
            return Err(call.failed(Fault::Refused("it was given up".to_owned())));
        }
        let started = Instant::now();
        let answer = self.answer(call, url);
        let seconds = started.elapsed().as_secs_f64();
        match &answer {
            Ok(it) => self
                .term
                .trace(format_args!("{} {url}: {} in {seconds:.3} s", call.method, it.status)),
            Err(error) => self.term.trace(format_args!("{error}, after {seconds:.3} s")),
        }
        answer
    }

    fn answer(&self, call: &Call<'_>, url: &Url) -> Result<Reading<'_>, HttpError> {
        let agent = self
            .agent(&url.origin)
            .map_err(|error| call.failed(Fault::Refused(format!("{error:#}"))))?;
        let mut request = Request::builder().method(call.method.clone()).uri(format!(
            "{}{}",
            url.origin,
            url.target()
        ));
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        // Nobody else is told it, wherever a redirect or a Location leads.
        if let Some((_, secret)) = call.auth.filter(|(origin, _)| **origin == url.origin) {
            request = request.header("authorization", secret.expose());
        }
        let mut sender = body::Sender::new(call.body, &self.stopped)
            .map_err(|error| call.failed(Fault::Refused(format!("{error:#}"))))?;
        let size = sender.size();
        // A server may think about what it was given, now or, where this ends an upload,
        // before.
        let timeout = self.settings.timeout;
        let much = size > 0 || call.method == Method::PUT;
        let thinking = if much { timeout * limits::THINKING } else { timeout };
        let answer = match call.method {
            Method::GET | Method::HEAD => run(&agent, request.body(()), timeout, 2 * timeout),
            _ => {
                let request = request.header("content-length", size.to_string());
                run(&agent, request.body(SendBody::from_reader(&mut sender)), thinking, thinking)
            }
        };
        if let Some(error) = sender.failure() {
            return Err(call.failed(Fault::Refused(error)));
        }
        let answer = answer.map_err(|error| {
            let via = self.settings.proxies.named(self.settings.proxies.way(&url.origin));
            call.failed(body::fault(error).through(via))
        })?;
        Ok(Reading::new(answer, url.clone(), timeout, &self.stopped))
    }

    /// The error of an answer that refuses, with what it says.
    fn refusal(&self, call: &Call<'_>, reading: Reading<'_>) -> HttpError {
        let Reading { status, headers, url, body } = reading;
        let mut bytes = Vec::new();
        let body = body.within(self.settings.timeout);
        // What is cut short says something too.
        drop(body.take(limits::REFUSAL).read_to_end(&mut bytes));
        let (from, headers) = (url.origin, headers.into());
        call.failed(Fault::Status { status, from, headers, body: bytes })
    }

    /// The connections to servers of this kind.
    fn agent(&self, origin: &Origin) -> Result<Agent> {
        let way = self.settings.proxies.way(origin);
        let mut agents = locked(&self.agents);
        if let Some(agent) = agents.get(&(origin.scheme, way)) {
            return Ok(agent.clone());
        }
        let timeout = self.settings.timeout;
        let connect = timeout.min(limits::CONNECT);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("dockless/", env!("CARGO_PKG_VERSION")))
            .proxy(self.settings.proxies.proxy(way)?)
            .max_idle_connections(2 * IDLE)
            .max_idle_connections_per_host(IDLE)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .timeout_send_request(Some(timeout))
            .timeout_per_write(Some(timeout));
        if origin.scheme == Scheme::Https {
            config = config.tls_config(tls::config(&self.settings.trust)?);
        }
        let agent =
            Agent::with_parts(config.build(), early::connector(), DefaultResolver::default());
        agents.insert((origin.scheme, way), agent.clone());
        Ok(agent)
    }
}

impl Call<'_> {
    /// The error that the answer's body could not be read.
    pub fn cut(&self, error: &std::io::Error) -> HttpError {
        self.failed(Fault::Cut(body::explain(error)))
    }

    fn failed(&self, fault: Fault) -> HttpError {
        HttpError { call: format!("{} {}", self.method, self.url), fault, tries: 1 }
    }
}

fn run<S: AsSendBody>(
    agent: &Agent,
    request: ureq::http::Result<Request<S>>,
    a_read: Duration,
    the_head: Duration,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = agent.configure_request(request?);
    let request = request.timeout_per_read(Some(a_read));
    agent.run(request.timeout_recv_response(Some(the_head)).build())
}
