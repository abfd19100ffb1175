//! Connections that are opened before a request needs one. A request that comes while they are
//! being opened waits for one of them, and opens its own only where there are too few.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

use super::{limits, locked};

/// Servers close connections on which nothing comes. Few do so within a minute.
pub const LONGEST_IDLE: Duration = Duration::from_secs(50);

/// The connections of a client.
#[derive(Clone, Default)]
pub struct Opened(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The threads that open one, and the server.
    opening: Vec<(ThreadId, String)>,
    ready: Vec<Ready>,
    /// The servers of the requests that wait.
    waiting: Vec<String>,
}

struct Ready {
    server: String,
    transport: Box<dyn Transport>,
    since: Instant,
}

impl fmt::Debug for Opened {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} connections", locked(&self.0.state).ready.len())
    }
}

impl Opened {
    /// From now on, requests to the server wait for the connection that this thread opens by a
    /// request of its own. That request fails, and is not sent.
    pub fn begin(&self, server: &Uri) -> Opening<'_> {
        let me = thread::current().id();
        locked(&self.0.state).opening.push((me, name(server)));
        Opening { opened: self, me }
    }

    fn is_opening(&self, server: &str) -> bool {
        let me = thread::current().id();
        locked(&self.0.state).opening.iter().any(|(it, of)| *it == me && of == server)
    }

    fn keep(&self, server: String, transport: Box<dyn Transport>) {
        let ready = &mut locked(&self.0.state).ready;
        ready.retain(|it| it.since.elapsed() < LONGEST_IDLE);
        ready.push(Ready { server, transport, since: Instant::now() });
    }

    /// A connection to the server, if one was opened or is being opened for this request.
    fn take(&self, server: &str) -> Option<Box<dyn Transport>> {
        let until = Instant::now() + limits::CONNECT;
        let mut state = locked(&self.0.state);
        if state.opening.is_empty() && state.ready.is_empty() {
            return None;
        }
        state.waiting.push(server.to_owned());
        let found = loop {
            if let Some(found) = state.take(server) {
                break Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            let opening = state.opening.iter().filter(|(_, of)| of == server).count();
            let waiting = state.waiting.iter().filter(|of| *of == server).count();
            if opening < waiting || left.is_zero() {
                break None;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        if let Some(at) = state.waiting.iter().position(|of| of == server) {
            state.waiting.swap_remove(at);
        }
        found
    }
}

impl State {
    /// The newest connection to the server that the server has not closed.
    fn take(&mut self, server: &str) -> Option<Box<dyn Transport>> {
        while let Some(at) = self.ready.iter().rposition(|it| it.server == server) {
            let Ready { mut transport, since, .. } = self.ready.remove(at);
            if since.elapsed() < LONGEST_IDLE && transport.is_open() {
                return Some(transport);
            }
        }
        None
    }
}

/// A connection that is being opened.
pub struct Opening<'a> {
    opened: &'a Opened,
    me: ThreadId,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        locked(&self.opened.0.state).opening.retain(|(it, _)| *it != self.me);
        self.opened.0.changed.notify_all();
    }
}

/// The connector of requests that use what was opened before.
#[derive(Debug)]
pub struct Reusing<C> {
    pub inner: C,
    pub opened: Opened,
}

impl<C: Connector> Connector for Reusing<C> {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        // The way to a proxy comes through here with the proxy's address.
        let server = name(details.uri);
        let is_opening = self.opened.is_opening(&server);
        if !is_opening && let Some(found) = self.opened.take(&server) {
            return Ok(Some(found));
        }
        let made = self.inner.connect(details, chained)?;
        let made = made.map(|it| Box::new(it) as Box<dyn Transport>);
        match made {
            Some(made) if is_opening => {
                self.opened.keep(server, made);
                Err(Error::ConnectionFailed)
            }
            made => Ok(made),
        }
    }
}

fn name(uri: &Uri) -> String {
    let part = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let authority = uri.authority().map(|it| it.as_str());
    part(uri.scheme_str()) + "://" + &part(authority)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the client's server")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{self, Receiver};
    use std::thread;

    use super::super::{Call, Http, Method, Network, Origin, Proxies, Scheme, Url, location};

    /// A server, and the connections that come to it.
    fn server() -> (Origin, Receiver<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin =
            Origin::new(Scheme::Http, &listener.local_addr().unwrap().to_string()).unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || listener.incoming().try_for_each(|it| sender.send(it.unwrap())));
        (origin, receiver)
    }

    fn client() -> Http<'static> {
        location::tests::client(Proxies::default(), Network::Online)
    }

    fn answer(mut stream: TcpStream) {
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).unwrap() > 0, "nothing was sent");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    }

    fn ask(http: &Http<'_>, server: &Origin) -> u16 {
        let url = Url::at(server, "/");
        http.once(&Call::new(Method::GET, &url, 0)).unwrap().status
    }

    #[test]
    fn a_request_uses_the_connection_that_was_opened_before_it() {
        let ((server, accepted), http) = (server(), client());
        http.open_ahead(&server);
        let stream = accepted.recv().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| answer(stream));
            assert_eq!(ask(&http, &server), 204);
        });
        assert!(accepted.try_recv().is_err(), "there was a second connection");
    }

    #[test]
    fn a_connection_that_the_server_closed_is_not_used() {
        let ((server, accepted), http) = (server(), client());
        http.open_ahead(&server);
        drop(accepted.recv().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || answer(accepted.recv().unwrap()));
            assert_eq!(ask(&http, &server), 204);
        });
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_told_by_the_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let (server, http) = (Origin::new(Scheme::Http, &address).unwrap(), client());
        http.open_ahead(&server);
        let error = http.once(&Call::new(Method::GET, &Url::at(&server, "/"), 0)).unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
