//! A proxy before a real server that makes its requests fail as they fail elsewhere, and
//! that knows what was asked of it. It asks for logins where it is told to.

use std::net::{TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

mod exchange;
pub mod fault;
#[cfg(test)]
mod tests;
mod token;
pub mod wire;

pub use fault::{Fault, Moment, Place, Step, WRONG_DIGEST, refusal};
pub use wire::{Answer, ask};

use token::Gate;
use wire::Head;

/// A proxy on loopback, gone when dropped.
pub struct Proxy {
    /// `127.0.0.1:PORT`
    pub host: String,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub step: Step,
    pub method: String,
    /// With its query.
    pub path: String,
    pub host: String,
    pub authorization: Option<String>,
    /// How much of its body came, in bytes.
    pub received: u64,
    /// How much of the answer's body went back.
    pub sent: u64,
    /// The answer's status; `None` where there was no answer.
    pub status: Option<u16>,
    /// Whether a fault befell it.
    pub faulted: bool,
}

/// What all connections share.
struct State {
    host: String,
    upstream: String,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    gate: Mutex<Option<Gate>>,
    /// How many of the next connections are reset.
    refused: AtomicU32,
    victim: Mutex<Option<Arc<Mutex<Child>>>>,
    closed: AtomicBool,
}

/// What befalls which of the requests of a step.
struct Rule {
    step: Option<Step>,
    hits: RangeInclusive<u32>,
    met: u32,
    fault: Fault,
}

/// What is decided of a request when its head is known.
struct Verdict {
    id: usize,
    /// What the proxy says itself: a token, or that there is none.
    own: Option<Answer>,
    fault: Option<Fault>,
}

/// Every request of a step, for [`Proxy::inject`].
pub const ALWAYS: RangeInclusive<u32> = 1..=u32::MAX;
/// The first request of a step.
pub const ONCE: RangeInclusive<u32> = 1..=1;

impl Proxy {
    /// A proxy before the server at `host:port`.
    pub fn before(upstream: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            host: host.clone(),
            upstream: upstream.to_owned(),
            rules: Mutex::default(),
            seen: Mutex::default(),
            gate: Mutex::default(),
            refused: AtomicU32::new(0),
            victim: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let acceptor = Some(spawn(move || accept(&listener, &shared)));
        Proxy { host, state, acceptor }
    }

    /// A server that answers everything in the same way.
    pub fn playing(answer: Answer) -> Proxy {
        let proxy = Proxy::before("");
        proxy.inject(None, ALWAYS, Fault::Answer(answer));
        proxy
    }

    /// Asks for tokens, which its own token server gives to this user.
    pub fn with_tokens(self, user: &str, password: &str) -> Proxy {
        let realm = format!("http://{}/token", self.host);
        *self.state.gate.lock().unwrap() = Some(Gate::new(Some(realm), user, password));
        self
    }

    /// The same with a token server elsewhere.
    pub fn with_realm(self, realm: &str) -> Proxy {
        *self.state.gate.lock().unwrap() = Some(Gate::new(Some(realm.to_owned()), "", ""));
        self
    }

    /// Asks for the password with each request.
    pub fn with_password(self, user: &str, password: &str) -> Proxy {
        *self.state.gate.lock().unwrap() = Some(Gate::new(None, user, password));
        self
    }

    /// Makes a fault befall some of the requests of a step, counted from now on;
    /// without a step, of all requests.
    pub fn inject(&self, step: impl Into<Option<Step>>, hits: RangeInclusive<u32>, fault: Fault) {
        self.state.rules.lock().unwrap().push(Rule { step: step.into(), hits, met: 0, fault });
    }

    /// From now on nothing fails, and what came is forgotten.
    pub fn renew(&self) {
        self.state.rules.lock().unwrap().clear();
        self.state.seen.lock().unwrap().clear();
    }

    /// The requests that came, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many requests of a step came.
    pub fn count(&self, step: Step) -> usize {
        self.seen().iter().filter(|seen| seen.step == step).count()
    }

    /// How much of requests' bodies came, in bytes.
    pub fn received(&self) -> u64 {
        self.seen().iter().map(|seen| seen.received).sum()
    }

    /// The tokens that were given out.
    pub fn tokens(&self) -> Vec<String> {
        self.state.gate.lock().unwrap().as_ref().map_or_else(Vec::new, Gate::issued)
    }

    /// The program that [`Fault::Kill`] kills.
    pub fn watch(&self, child: &Arc<Mutex<Child>>) {
        *self.state.victim.lock().unwrap() = Some(Arc::clone(child));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
        // So that the acceptor looks up.
        TcpStream::connect(&self.host).ok();
        self.acceptor.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let state = Arc::clone(state);
        spawn(move || {
            let one_less = |left: u32| left.checked_sub(1);
            let refused =
                state.refused.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
            match refused {
                // With something unread, it is reset and not just closed.
                Ok(_) => drop(stream.peek(&mut [0])),
                // Who is cut off has heard of it.
                Err(_) => drop(exchange::serve(&state, stream)),
            }
        });
    }
}

impl State {
    /// Writes a request down and says what becomes of it.
    fn judge(&self, request: &Head) -> Verdict {
        let (method, path) = (request.word(0), request.word(1));
        let step = Step::of(method, path);
        let id = self.note(request, step);
        let mut gate = self.gate.lock().unwrap();
        let own = match &mut *gate {
            Some(gate) if step == Step::Token && gate.realm.is_some() => Some(gate.issue(request)),
            Some(gate) if path.starts_with("/v2") => gate.refuses(request),
            _ => None,
        };
        // Who is refused comes again with a token: that request is the one that counts.
        // Nobody comes to be let in at the root, though.
        let refused = own.is_some() && !matches!(step, Step::Token | Step::Ping);
        let fault = if refused { None } else { self.fault(step, request) };
        self.learn(id, |seen| seen.faulted = fault.is_some());
        match (&mut *gate, &fault) {
            (Some(gate), Some(Fault::Expired)) => {
                gate.expire();
                Verdict { id, own: gate.refuses(request), fault: None }
            }
            _ => Verdict { id, own, fault },
        }
    }

    fn note(&self, request: &Head, step: Step) -> usize {
        let mut seen = self.seen.lock().unwrap();
        seen.push(Seen {
            step,
            method: request.word(0).to_owned(),
            path: request.word(1).to_owned(),
            host: request.get("host").unwrap_or_default().to_owned(),
            authorization: request.get("authorization").map(str::to_owned),
            received: 0,
            sent: 0,
            status: None,
            faulted: false,
        });
        seen.len() - 1
    }

    /// The fault that befalls the next request of a step.
    fn fault(&self, step: Step, request: &Head) -> Option<Fault> {
        let mut found = None;
        for rule in self.rules.lock().unwrap().iter_mut() {
            if rule.step.is_none_or(|of| of == step) && rule.fault.can_befall(request) {
                rule.met += 1;
                if found.is_none() && rule.hits.contains(&rule.met) {
                    found = Some(rule.fault.clone());
                }
            }
        }
        found
    }

    /// Adds to what is known of a request, unless that is forgotten already.
    fn learn(&self, id: usize, add: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.seen.lock().unwrap().get_mut(id) {
            add(seen);
        }
    }

    fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Kills the client, once it is known who that is.
    fn kill(&self) {
        while !self.closed() {
            if let Some(child) = &*self.victim.lock().unwrap() {
                child.lock().unwrap().kill().ok();
                return;
            }
            sleep(Duration::from_millis(1));
        }
    }
}
