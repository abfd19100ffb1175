//! The only room that reaches the network. Every phase has a time-out and every response
//! a size limit. A secret goes to its own origin and nowhere else.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use indicatif::ProgressBar;
use ureq::http::{HeaderMap, Request, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, AsSendBody, SendBody};

use crate::digest::Digest;
use crate::parallel::locked;
use crate::secret::Secret;
use crate::term::Term;

mod body;
mod certs_d;
mod early;
mod error;
pub mod limits;
mod location;
mod opened;
mod pages;
mod proxy;
mod retry;
mod serve;
mod tls;
mod url;

pub use body::ResponseReader;
pub use error::{Fault, HttpError, RateLimit};
#[cfg(test)]
pub use location::tests::offline;
pub use pages::Pages;
pub use proxy::{NamedProxy, Proxies};
pub use retry::Patience;
pub use serve::{Answer, Asked, Listener};
pub use tls::Trust;
pub use ureq::http::Method;
pub use url::{Origin, Scheme, Url, escaped};

/// How the client connects.
#[derive(Clone, Debug)]
pub struct Settings {
    pub trust: Trust,
    pub proxies: Proxies,
    /// `host` or `host:port` of servers without TLS. Loopback needs no entry.
    pub plain_http: Vec<String>,
    /// A connection that makes no progress for this long fails.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: u32,
    /// Offline, every request fails before it is sent.
    pub network: Network,
}

/// Whether anything may be asked of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    #[default]
    Online,
    Offline,
}

impl Network {
    /// What tells cargo the same.
    pub fn cargo_arg(self) -> Option<&'static str> {
        (self == Network::Offline).then_some("--offline")
    }
}

/// What a server's clock says.
#[derive(Clone, Debug)]
pub struct Clock {
    pub origin: Origin,
    pub time: SystemTime,
}

/// Idle connections that are kept for each server.
const IDLE: usize = 16;

/// A request's body. It can be sent again.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// `size` bytes of a file, from the offset `from`. The bar advances with them. If they
    /// do not match the digest, the last of them are not sent. Where `stop` says so, the rest is
    /// not sent, and the request fails.
    File {
        path: &'a Path,
        from: u64,
        size: u64,
        digest: Option<&'a Digest>,
        bar: &'a ProgressBar,
        stop: Option<&'a dyn Fn() -> bool>,
    },
}

/// A request.
#[derive(Clone)]
pub struct Call<'a> {
    pub method: Method,
    pub url: &'a Url,
    pub headers: &'a [(&'a str, &'a str)],
    /// The value of `Authorization`, and the only origin that it is sent to.
    pub auth: Option<(&'a Origin, &'a Secret)>,
    pub body: Body<'a>,
    /// The largest response body in bytes. A larger one is an error.
    pub limit: u64,
    /// How this server says that it was asked too much.
    pub rate_limit: RateLimit,
}

impl<'a> Call<'a> {
    /// A request without a body, for a response of at most `limit` bytes.
    pub fn new(method: Method, url: &'a Url, limit: u64) -> Call<'a> {
        let rate_limit: RateLimit = |_| None;
        Call { method, url, headers: &[], auth: None, body: Body::Empty, limit, rate_limit }
    }
}

/// A response whose body was read.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: HeaderMap,
    /// The address that answered, after all redirects.
    pub url: Url,
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The scheme, the proxy, and the server where certificates are kept for it.
type Reached = (Scheme, proxy::Route, Option<Origin>);

/// The HTTP client. Connections are kept and reused.
pub struct Http<'a> {
    settings: Settings,
    term: &'a Term,
    agents: Mutex<BTreeMap<Reached, Agent>>,
    /// Connections that no request uses yet.
    opened: opened::Opened,
    /// Resolved hosts of addresses that servers named.
    reaches: Mutex<BTreeMap<String, Vec<location::Reach>>>,
    /// Waits that servers asked for.
    waits: Mutex<retry::Waits>,
    /// The certificates that are kept for single servers, once these were looked for.
    kept: Mutex<BTreeMap<Origin, Option<certs_d::HostCerts>>>,
    /// What the last server's clock says.
    clock: Mutex<Option<Clock>>,
    /// When a server answered last.
    answered: Mutex<Option<Instant>>,
    /// The least time that a request without a body took, and how many there were.
    trips: Mutex<BTreeMap<Origin, (Duration, usize)>>,
    stopped: AtomicBool,
}

impl<'a> Http<'a> {
    pub fn new(settings: Settings, term: &'a Term) -> Http<'a> {
        let (agents, reaches, waits) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (kept, clock, answered) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (opened, trips) = (opened::Opened::default(), Mutex::default());
        let stopped = AtomicBool::new(false);
        Http {
            settings,
            term,
            agents,
            opened,
            reaches,
            waits,
            kept,
            clock,
            answered,
            trips,
            stopped,
        }
    }

    /// The certificates that are trusted: how many, and from where.
    pub fn trust(&self) -> Result<(usize, String)> {
        tls::look(&self.settings.trust)
    }

    /// The proxies of the environment.
    pub fn proxies(&self) -> &Proxies {
        &self.settings.proxies
    }

    /// The clock of the server that answered last, of those that say their time.
    pub fn clock(&self) -> Option<Clock> {
        locked(&self.clock).clone()
    }

    /// Whether the connections of the last requests may still be used.
    pub fn is_connected(&self) -> bool {
        locked(&self.answered).is_some_and(|at| at.elapsed() < opened::LONGEST_IDLE)
    }

    /// How long a request to the server and its answer take at least, once several were answered.
    pub fn round_trip(&self, server: &Origin) -> Option<Duration> {
        const SEVERAL: usize = 3;
        let (least, count) = locked(&self.trips).get(server).copied()?;
        (count >= SEVERAL).then_some(least)
    }

    /// Makes the requests and waits of all threads fail, because another one failed.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Sleeps until the time is over or [`Http::stop`] is called.
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

    /// Whether the server may be contacted without TLS.
    pub fn is_plain(&self, authority: &str) -> bool {
        let host = |text: &str| Origin::new(Scheme::Http, text).ok();
        let named =
            |it: &Origin| self.settings.plain_http.iter().any(|of| host(of).as_ref() == Some(it));
        host(authority).is_some_and(|host| host.is_loopback() || named(&host))
    }

    /// Sends a request, with retries, and reads the response. The request must be
    /// idempotent: an earlier try may have taken effect.
    pub fn send(&self, call: &Call<'_>) -> Result<Response, HttpError> {
        self.retry(|| self.once(call))
    }

    /// Does something until it succeeds, or fails in a way that another try does not change.
    pub fn retry<T>(&self, work: impl Fn() -> Result<T, HttpError>) -> Result<T, HttpError> {
        let mut patience = Patience::new(self);
        loop {
            match work() {
                Ok(done) => return Ok(done),
                Err(error) => patience.wait(error)?,
            }
        }
    }

    /// Sends a request once and reads the response.
    pub fn once(&self, call: &Call<'_>) -> Result<Response, HttpError> {
        let ResponseReader { status, headers, url, body, .. } = self.open(call)?;
        let mut body = body.within(self.settings.timeout * limits::BODY_TIMEOUTS);
        let mut bytes = Vec::new();
        // One byte more shows that the body is too large.
        let read = body.by_ref().take(call.limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| call.cut(&error))?;
        if bytes.len() as u64 > call.limit {
            let why = format!("the answer has more than {} bytes", call.limit);
            return Err(call.refused(why));
        }
        Ok(Response { status, headers, url, body: bytes })
    }

    /// Sends a request once, follows redirects, and returns the response with its body
    /// unread. A status of 400 and above is an error.
    pub fn open(&self, call: &Call<'_>) -> Result<ResponseReader<'_>, HttpError> {
        let mut url = call.url.clone();
        for _ in 0..limits::REDIRECTS {
            let reading = self.hop(call, &url)?;
            let (status, headers) = (reading.status, &reading.headers);
            match status {
                200..=299 => return Ok(reading),
                301 | 302 | 303 | 307 | 308 => {
                    url = self.redirect(call, &url, status, headers)?;
                }
                _ => return Err(self.status_error(call, reading)),
            }
        }
        Err(call.refused(format!("it was redirected more than {} times", limits::REDIRECTS)))
    }

    /// The target of a redirect, if it may be followed.
    fn redirect(
        &self,
        call: &Call<'_>,
        from: &Url,
        status: u16,
        headers: &HeaderMap,
    ) -> Result<Url, HttpError> {
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        if !reads && matches!(status, 301..=303) {
            return Err(call.refused(format!("the server answers {status}, which drops the body")));
        }
        let location = headers.get("location").and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| {
            call.refused(format!("the server answers {status} without a Location"))
        })?;
        let next = self
            .resolve_url(from, location)
            .map_err(|error| call.refused(format!("the server redirects: {error:#}")))?;
        // A body may hold a secret, so no other server gets it.
        if !reads && next.origin != from.origin {
            return Err(call.refused(format!("the server redirects the body to {next}")));
        }
        self.term.trace(format_args!("{status}, redirected to {next}"));
        Ok(next)
    }

    /// Opens a connection to the server, TLS included, for a request that comes later. Errors are
    /// not told: such a request then opens its own, and hears of them.
    pub fn open_ahead(&self, server: &Origin) {
        let agent = self.ensure_allowed(server).ok().and_then(|()| self.agent(server).ok());
        let uri = format!("{server}/").parse::<Uri>();
        let (Some(agent), Ok(uri)) = (agent, uri) else { return };
        let timeout = self.settings.timeout;
        let _opening = self.opened.begin(&uri);
        drop(run(&agent, Request::builder().uri(uri).body(()), timeout, timeout));
    }

    /// Fails, with the reason, where no request may be sent to the server.
    fn ensure_allowed(&self, server: &Origin) -> Result<(), String> {
        if server.scheme == Scheme::Http && !self.is_plain(&server.authority()) {
            return Err(format!("{server} has no TLS, and is not named in `plain-http`"));
        }
        if self.settings.network == Network::Offline {
            return Err("--offline forbids the network".to_owned());
        }
        if self.stopped() {
            return Err(error::GIVEN_UP.to_owned());
        }
        Ok(())
    }

    /// Sends one request and returns its response, whatever the status.
    fn hop(&self, call: &Call<'_>, url: &Url) -> Result<ResponseReader<'_>, HttpError> {
        self.ensure_allowed(&url.origin).map_err(|why| call.refused(why))?;
        let started = Instant::now();
        let answer = self.exchange(call, url);
        let took = started.elapsed();
        let seconds = took.as_secs_f64();
        match &answer {
            Ok(it) => {
                *locked(&self.answered) = Some(Instant::now());
                if matches!(call.body, Body::Empty) {
                    let mut trips = locked(&self.trips);
                    let (least, count) = trips.entry(url.origin.clone()).or_insert((took, 0));
                    (*least, *count) = (took.min(*least), *count + 1);
                }
                if let Some(time) = retry::server_time(&it.headers) {
                    *locked(&self.clock) = Some(Clock { origin: url.origin.clone(), time });
                }
                self.term
                    .trace(format_args!("{} {url}: {} in {seconds:.3} s", call.method, it.status));
            }
            Err(error) => self.term.trace(format_args!("{error}, after {seconds:.3} s")),
        }
        answer
    }

    fn exchange(&self, call: &Call<'_>, url: &Url) -> Result<ResponseReader<'_>, HttpError> {
        let unusable = |error: anyhow::Error| call.refused(format!("{error:#}"));
        let agent = self.agent(&url.origin).map_err(unusable)?;
        let address = format!("{}{}", url.origin, url.target());
        let mut request = Request::builder().method(call.method.clone()).uri(address);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        // A redirect or a Location may lead to another origin, which must not see it.
        if let Some((_, secret)) = call.auth.filter(|(origin, _)| **origin == url.origin) {
            request = request.header("authorization", secret.expose());
        }
        let mut sender = body::Sender::new(call.body, &self.stopped).map_err(unusable)?;
        let size = sender.size();
        // A server may hash a body before it answers: this one, or that of the upload which
        // a PUT completes.
        let timeout = self.settings.timeout;
        let hashes = size > 0 || call.method == Method::PUT;
        let response = if hashes { timeout * limits::RESPONSE_TIMEOUTS } else { timeout };
        let answer = match call.method {
            Method::GET | Method::HEAD => run(&agent, request.body(()), timeout, 2 * timeout),
            _ => {
                let request = request.header("content-length", size.to_string());
                run(&agent, request.body(SendBody::from_reader(&mut sender)), response, response)
            }
        };
        if let Some(error) = sender.failure() {
            return Err(call.refused(error));
        }
        let answer = answer.map_err(|error| {
            let proxies = &self.settings.proxies;
            call.failed(body::fault(error).through(proxies.variable(proxies.route(&url.origin))))
        })?;
        Ok(ResponseReader::new(answer, url.clone(), timeout, &self.stopped))
    }

    /// The error for a response with a status of 400 and above.
    fn status_error(&self, call: &Call<'_>, reading: ResponseReader<'_>) -> HttpError {
        let ResponseReader { status, headers, url, body } = reading;
        let mut bytes = Vec::new();
        let body = body.within(self.settings.timeout);
        // The beginning of an incomplete message is shown too.
        drop(body.take(limits::ERROR_BODY).read_to_end(&mut bytes));
        let (from, headers, rate_limit) = (url.origin, headers.into(), call.rate_limit);
        call.failed(Fault::Status { status, from, headers, body: bytes, rate_limit })
    }

    /// The certificates that are kept for a server alone. Folders are looked through once.
    fn kept(&self, origin: &Origin) -> Result<Option<certs_d::HostCerts>> {
        if origin.scheme == Scheme::Http {
            return Ok(None);
        }
        let mut known = locked(&self.kept);
        if let Some(kept) = known.get(origin) {
            return Ok(kept.clone());
        }
        let kept = certs_d::find(&self.settings.trust.per_host, &origin.authority())?;
        known.insert(origin.clone(), kept.clone());
        Ok(kept)
    }

    /// The connections for the origin's scheme and proxy.
    fn agent(&self, origin: &Origin) -> Result<Agent> {
        let route = self.settings.proxies.route(origin);
        let kept = self.kept(origin)?;
        let key = (origin.scheme, route, kept.as_ref().map(|_| origin.clone()));
        let mut agents = locked(&self.agents);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let timeout = self.settings.timeout;
        let connect = timeout.min(limits::CONNECT);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("dockless/", env!("CARGO_PKG_VERSION")))
            .proxy(self.settings.proxies.proxy(route)?)
            .max_idle_connections(2 * IDLE)
            .max_idle_connections_per_host(IDLE)
            .max_idle_age(opened::LONGEST_IDLE)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .timeout_send_request(Some(timeout))
            .timeout_per_write(Some(timeout));
        if origin.scheme == Scheme::Https {
            config = config.tls_config(tls::config(&self.settings.trust, kept.as_ref())?);
        }
        let connector = opened::Reusing { inner: early::connector(), opened: self.opened.clone() };
        let agent = Agent::with_parts(config.build(), connector, DefaultResolver::default());
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

impl Call<'_> {
    /// The error for a response body that could not be read.
    pub fn cut(&self, error: &std::io::Error) -> HttpError {
        self.failed(Fault::Transient(body::explain(error)))
    }

    /// The error of this request where another try would end in the same way.
    pub fn refused(&self, why: impl Into<String>) -> HttpError {
        self.failed(Fault::Permanent(why.into()))
    }

    /// The error of this request.
    pub fn failed(&self, fault: Fault) -> HttpError {
        HttpError { call: format!("{} {}", self.method, self.url), fault, tries: 1 }
    }
}

fn run<S: AsSendBody>(
    agent: &Agent,
    request: ureq::http::Result<Request<S>>,
    per_read: Duration,
    response: Duration,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = agent.configure_request(request?);
    let request = request.timeout_per_read(Some(per_read));
    agent.run(request.timeout_recv_response(Some(response)).build())
}
