//! GitHub, played: as much of its REST API as publishing takes, with what it holds open to
//! the tests, and with an eye on what nobody may ever see.
//! <https://docs.github.com/en/rest?apiVersion=2022-11-28>

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{JoinHandle, spawn};

use serde_json::Value;

use super::proxy::wire::{Answer, Head, peek_head, skip};

mod answers;
mod assets;
mod git;
mod pulls;
mod state;

pub use state::{Asset, Pull, Release, State, Token};

/// A GitHub on loopback, gone when dropped. Its API is at [`GitHub::api`], and files are
/// uploaded to the same host, as in GitHub Enterprise.
pub struct GitHub {
    /// `127.0.0.1:PORT`
    pub host: String,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    hooks: Mutex<Vec<Hook>>,
    seen: Mutex<Vec<Seen>>,
    closed: AtomicBool,
}

/// What happens right before one of the requests that fit.
struct Hook {
    method: &'static str,
    part: String,
    /// How many of them come first.
    earlier: u32,
    act: Option<Act>,
}

type Act = Box<dyn FnOnce(&mut State) + Send>;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Whether it came with a token that is known here.
    pub login: bool,
}

/// A request, read but for a large body.
pub struct Request {
    pub method: String,
    /// From the API's root on, without the query.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// The address of the server, as the client has it.
    pub base: String,
    pub token: Option<Token>,
    pub accept: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Where the API is below the host.
const API: &str = "/api/v3";
/// Where files go.
const UPLOADS: &str = "/api/uploads";

impl GitHub {
    pub fn start() -> GitHub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            hooks: Mutex::default(),
            seen: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let acceptor = spawn(move || {
            for stream in listener.incoming() {
                if of_thread.closed.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&of_thread);
                // Who is cut off has heard of it.
                spawn(move || drop(serve(&shared, stream)));
            }
        });
        GitHub { host, shared, acceptor: Some(acceptor) }
    }

    /// The value of GITHUB_API_URL.
    pub fn api(&self) -> String {
        format!("http://{}{API}", self.host)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Has something happen right before the next request of this method whose path holds
    /// the part.
    pub fn before(
        &self,
        method: &'static str,
        part: &str,
        act: impl FnOnce(&mut State) + Send + 'static,
    ) {
        self.before_later(method, part, 0, act);
    }

    /// The same after so many `earlier` ones that fit, too.
    pub fn before_later(
        &self,
        method: &'static str,
        part: &str,
        earlier: u32,
        act: impl FnOnce(&mut State) + Send + 'static,
    ) {
        let hook = Hook { method, part: part.to_owned(), earlier, act: Some(Box::new(act)) };
        self.shared.hooks.lock().unwrap().push(hook);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The requests that change something.
    pub fn writes(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|it| !["GET", "HEAD"].contains(&&*it.method)).collect()
    }

    pub fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }

    /// Gives a repository the commit and the tags of one on this machine.
    pub fn push(&self, repository: &str, dir: &Path) {
        let git = |args: &[&str]| {
            let output = Command::new("git").args(args).current_dir(dir).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let commit = git(&["rev-parse", "HEAD"]).trim().to_owned();
        let refs =
            git(&["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "refs/tags"]);
        let mut state = self.state();
        let repository = state.repository(repository);
        repository.commits.insert(commit.clone(), Default::default());
        repository.refs.insert("heads/main".to_owned(), commit);
        for line in refs.lines() {
            let mut words = line.split(' ');
            let (name, object) = (words.next().unwrap(), words.next().unwrap().to_owned());
            let name = name.strip_prefix("refs/").unwrap().to_owned();
            if let Some(commit) = words.next().filter(|it| !it.is_empty()) {
                repository.tags.insert(object.clone(), commit.to_owned());
            }
            repository.refs.insert(name, object);
        }
    }
}

/// What was to happen has happened: a test of it shows nothing otherwise.
impl Drop for GitHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let hooks = self.shared.hooks.lock().unwrap();
            let left = hooks.iter().filter(|hook| hook.act.is_some());
            let left: Vec<_> = left.map(|hook| (hook.method, &hook.part, hook.earlier)).collect();
            assert_eq!(left, [], "no such request came");
        }
        self.shared.closed.store(true, Ordering::Relaxed);
        // So that the acceptor looks up.
        TcpStream::connect(&self.host).ok();
        self.acceptor.take().map(JoinHandle::join);
    }
}

/// One connection, request after request.
fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some((head, unread)) = peek_head(&mut stream)? {
        skip(&mut stream, unread)?;
        let length: usize = head.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let mut request = request(shared, &head);
        hook(shared, &request);
        let upload = head.word(1).starts_with(UPLOADS) && request.method == "POST";
        let begun = upload.then(|| assets::begin(&mut shared.state.lock().unwrap(), &request));
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let kept = head.get("connection").is_none_or(|it| !it.eq_ignore_ascii_case("close"));
        let answer = match begun {
            Some(Err(answer)) => answer,
            Some(Ok(begun)) => assets::end(&shared.state, &request, begun, body),
            None => {
                request.body = body;
                answers::answer(&mut shared.state.lock().unwrap(), &request)
            }
        };
        shared.seen.lock().unwrap().push(Seen {
            method: request.method.clone(),
            path: head.word(1).to_owned(),
            login: request.token.is_some(),
        });
        let mut told = answer.head();
        let state = shared.state.lock().unwrap();
        told.set("Date", state.date());
        match &request.token {
            Some(Token::Classic { scopes, .. }) => told.set("X-OAuth-Scopes", scopes.join(", ")),
            // It has none, and is told so at times.
            Some(Token::Workflow { .. }) => told.set("X-OAuth-Scopes", String::new()),
            _ => {}
        }
        drop(state);
        stream.write_all(&told.to_bytes())?;
        stream.write_all(&answer.body)?;
        if !kept {
            break;
        }
    }
    Ok(())
}

fn request(shared: &Shared, head: &Head) -> Request {
    let (path, query) = head.word(1).split_once('?').unwrap_or((head.word(1), ""));
    let query = query.split('&').filter_map(|pair| {
        let (name, it) = pair.split_once('=')?;
        Some((name.to_owned(), state::unescaped(it)))
    });
    let authorization = head.get("authorization").unwrap_or_default();
    let token = authorization.strip_prefix("Bearer ").map(|token| {
        shared.state.lock().unwrap().tokens.get(token).cloned().unwrap_or(Token::Unknown)
    });
    // Before it may stand a proxy, which is how the client knows it.
    let host = head.get("x-forwarded-host").or(head.get("host")).unwrap_or_default();
    let below = [API, UPLOADS].iter().find_map(|root| path.strip_prefix(root));
    Request {
        method: head.word(0).to_owned(),
        path: state::unescaped(below.unwrap_or(path)),
        query: query.collect(),
        base: format!("http://{host}"),
        token,
        accept: head.get("accept").unwrap_or_default().to_owned(),
        body: Vec::new(),
    }
}

fn hook(shared: &Shared, request: &Request) {
    let mut hooks = shared.hooks.lock().unwrap();
    for hook in hooks.iter_mut().filter(|hook| hook.act.is_some()) {
        if hook.method != request.method || !request.path.contains(&hook.part) {
            continue;
        }
        if hook.earlier > 0 {
            hook.earlier -= 1;
        } else if let Some(act) = hook.act.take() {
            act(&mut shared.state.lock().unwrap());
            return;
        }
    }
}

/// An answer of JSON.
fn said(status: u16, body: &Value) -> Answer {
    Answer::new(status, &[("Content-Type", "application/json; charset=utf-8")], body.to_string())
}

/// An error as GitHub answers it, with what is wrong in particular.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api>
fn refused(status: u16, message: &str, errors: &[(&str, &str, &str)]) -> Answer {
    let errors: Vec<Value> = errors
        .iter()
        .map(|(resource, code, field)| match *code {
            "custom" => serde_json::json!({ "resource": resource, "code": code, "message": field }),
            _ => serde_json::json!({ "resource": resource, "code": code, "field": field }),
        })
        .collect();
    let mut body = serde_json::json!({ "message": message, "status": status.to_string() });
    if !errors.is_empty() {
        body["errors"] = errors.into();
    }
    said(status, &body)
}
