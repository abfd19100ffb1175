//! One connection: requests go on to the upstream, and its answers go back, unless a
//! fault has another mind.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use super::fault::{Fault, Moment, Place, WRONG_DIGEST, refusal};
use super::wire::{Answer, Framing, Head, pass, peek_head, read_head, skip};
use super::{State, Verdict};

/// An answer on its way back.
struct Reply {
    head: Head,
    body: Source,
}

/// Where the body of an answer comes from.
enum Source {
    Own(Vec<u8>),
    Upstream(Framing),
}

struct Exchange<'a> {
    state: &'a State,
    client: TcpStream,
    /// Kept from one request to the next, as the client keeps its own connection.
    upstream: Option<TcpStream>,
}

/// Serves a connection as long as it lasts.
pub fn serve(state: &State, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut exchange = Exchange { state, client, upstream: None };
    while let Some((request, unread)) = peek_head(&mut exchange.client)? {
        if !exchange.take_place(&request, unread)? {
            break;
        }
    }
    Ok(())
}

impl Exchange<'_> {
    /// One request and its answer. `false` ends the connection, with a reset where
    /// something is left unread.
    fn take_place(&mut self, request: &Head, unread: usize) -> io::Result<bool> {
        let Verdict { id, own, fault } = self.state.judge(request);
        match &fault {
            Some(Fault::Refused(more)) => {
                self.state.refused.store(*more, Ordering::Relaxed);
                return Ok(false);
            }
            Some(Fault::Reset) => return Ok(false),
            Some(Fault::Kill(Moment::Before)) => {
                self.state.kill();
                return Ok(false);
            }
            Some(Fault::Meet(barrier)) => drop(barrier.wait()),
            Some(Fault::Late(time)) => std::thread::sleep(*time),
            _ => {}
        }
        skip(&mut self.client, unread)?;
        if request.get("expect").is_some() {
            self.client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let reply = match &fault {
            Some(Fault::Early(answer)) => {
                let mut head = answer.head();
                head.set("Connection", "close");
                return self.send(id, request, Reply { head, body: own_body(answer) });
            }
            Some(Fault::ResetInBody(bytes)) => {
                self.forward(id, request, *bytes)?;
                return Ok(false);
            }
            Some(Fault::Kill(Moment::InBody)) => {
                let half = match request.request_framing() {
                    Framing::Length(length) => length / 2,
                    _ => 0,
                };
                self.forward(id, request, half)?;
                self.state.kill();
                return Ok(false);
            }
            Some(Fault::Silence) => {
                self.drain(id, request)?;
                return self.wait_for_the_end();
            }
            Some(Fault::Answer(answer)) => self.own(id, request, answer)?,
            Some(Fault::TooLarge(_)) => {
                self.own(id, request, &refusal(413, "SIZE_INVALID", "too large"))?
            }
            Some(Fault::RedirectLoop) => self.redirect(id, request, &self.state.host.clone())?,
            Some(Fault::RedirectTo(to)) => self.redirect(id, request, to)?,
            Some(Fault::Endless(status)) => {
                self.drain(id, request)?;
                return self.endless(id, *status);
            }
            _ => match &own {
                Some(answer) => self.own(id, request, answer)?,
                None => self.fetch(id, request)?,
            },
        };
        self.answer(id, request, reply, fault.as_ref())
    }

    /// Sends an answer back, or what a fault leaves of it.
    fn answer(
        &mut self,
        id: usize,
        request: &Head,
        mut reply: Reply,
        fault: Option<&Fault>,
    ) -> io::Result<bool> {
        match fault {
            Some(Fault::AnswerLost) => return Ok(false),
            Some(Fault::AnswerMeets(barrier)) => drop(barrier.wait()),
            Some(Fault::Kill(Moment::After)) => {
                self.state.kill();
                return Ok(false);
            }
            Some(Fault::Closes) => {
                self.send(id, request, reply)?;
                return Ok(false);
            }
            Some(Fault::CutHead) => {
                let bytes = reply.head.to_bytes();
                self.client.write_all(&bytes[..bytes.len() / 2])?;
                return Ok(false);
            }
            Some(Fault::ShortBody) => return self.send_part(id, reply, |length| length / 2),
            Some(Fault::CutBody(bytes)) => return self.send_part(id, reply, |_| *bytes),
            Some(Fault::DripHead) => return self.drip(b"HTTP/1.1 200 OK\r\nSlow: ", (1, 20)),
            Some(fault @ (Fault::DripBody | Fault::Trickle)) => {
                let pace = if matches!(fault, Fault::Trickle) { (1024, 5) } else { (1, 20) };
                reply.head.remove("transfer-encoding");
                reply.head.set("Content-Length", (1 << 30).to_string());
                return self.drip(&reply.head.to_bytes(), pace);
            }
            Some(Fault::Flip) => return self.send_flipped(id, request, reply),
            Some(Fault::WrongDigest) => reply.head.set("Docker-Content-Digest", WRONG_DIGEST),
            Some(Fault::NoDigest) => reply.head.remove("Docker-Content-Digest"),
            Some(Fault::Location(place)) => relocate(&mut reply.head, &self.state.host, place),
            _ => {}
        }
        self.send(id, request, reply)
    }

    /// Reads the body of a request that the upstream does not hear of.
    fn drain(&mut self, id: usize, request: &Head) -> io::Result<()> {
        let state = self.state;
        pass(&mut self.client, request.request_framing(), u64::MAX, |_, bytes| {
            state.learn(id, |seen| seen.received += bytes);
            Ok(())
        })
    }

    /// An answer that the upstream does not give.
    fn own(&mut self, id: usize, request: &Head, answer: &Answer) -> io::Result<Reply> {
        self.drain(id, request)?;
        Ok(Reply { head: answer.head(), body: own_body(answer) })
    }

    /// Sends the client to the same path elsewhere.
    fn redirect(&mut self, id: usize, request: &Head, host: &str) -> io::Result<Reply> {
        let to = format!("http://{host}{}", request.word(1));
        self.own(id, request, &Answer::new(307, &[("Location", &to)], ""))
    }

    /// Sends a request on, with so much of its body.
    fn forward(&mut self, id: usize, request: &Head, limit: u64) -> io::Result<()> {
        let state = self.state;
        let mut head = request.clone();
        head.set("Host", &*state.upstream);
        head.set("X-Forwarded-Host", &*state.host);
        head.remove("expect");
        // The upstream knows nothing of the proxy's own logins.
        if state.gate.lock().unwrap().is_some() {
            head.remove("authorization");
        }
        let upstream = match &mut self.upstream {
            Some(upstream) => upstream,
            none => none.insert(TcpStream::connect(&state.upstream)?),
        };
        upstream.set_nodelay(true)?;
        let mut sent = upstream.write_all(&head.to_bytes());
        let framing = request.request_framing();
        pass(&mut self.client, framing, limit, |piece, bytes| {
            state.learn(id, |seen| seen.received += bytes);
            // An upstream that answers early may not want the rest.
            if sent.is_ok() {
                sent = upstream.write_all(piece);
            }
            Ok(())
        })
    }

    /// Sends a request on and waits for the answer's head.
    fn fetch(&mut self, id: usize, request: &Head) -> io::Result<Reply> {
        self.forward(id, request, u64::MAX)?;
        let upstream = self.upstream.as_mut().ok_or(ErrorKind::NotConnected)?;
        let mut head = read_head(upstream)?;
        while matches!(head.status(), 100..200) {
            head = read_head(upstream)?;
        }
        let framing = head.answer_framing(request.word(0));
        if let Some(location) = head.get("location").map(str::to_owned) {
            let theirs = format!("http://{}/", self.state.upstream);
            if let Some(path) = location.strip_prefix(&theirs) {
                head.set("Location", format!("http://{}/{path}", self.state.host));
            }
        }
        Ok(Reply { head, body: Source::Upstream(framing) })
    }

    /// The answer with one bit of its body changed.
    fn send_flipped(&mut self, id: usize, request: &Head, reply: Reply) -> io::Result<bool> {
        let Reply { head, body } = reply;
        let mut bytes = match body {
            Source::Own(bytes) => bytes,
            Source::Upstream(framing) => {
                let upstream = self.upstream.as_mut().ok_or(ErrorKind::NotConnected)?;
                let mut bytes = Vec::new();
                pass(upstream, framing, u64::MAX, |piece, _| {
                    bytes.extend(piece);
                    Ok(())
                })?;
                bytes
            }
        };
        let half = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(half) {
            *byte ^= 1;
        }
        self.send(id, request, Reply { head, body: Source::Own(bytes) })
    }

    fn send(&mut self, id: usize, request: &Head, reply: Reply) -> io::Result<bool> {
        let Reply { head, body } = reply;
        let state = self.state;
        state.learn(id, |seen| seen.status = Some(head.status()));
        self.client.write_all(&head.to_bytes())?;
        let mut last = request.closes() || head.closes();
        match body {
            Source::Own(_) if request.word(0) == "HEAD" => {}
            Source::Own(bytes) => {
                self.client.write_all(&bytes)?;
                state.learn(id, |seen| seen.sent += bytes.len() as u64);
            }
            Source::Upstream(framing) => {
                last |= framing == Framing::Close;
                let client = &mut self.client;
                let upstream = self.upstream.as_mut().ok_or(ErrorKind::NotConnected)?;
                pass(upstream, framing, u64::MAX, |piece, bytes| {
                    state.learn(id, |seen| seen.sent += bytes);
                    client.write_all(piece)
                })?;
            }
        }
        Ok(!last)
    }

    /// Less of the body than the head promises.
    fn send_part(
        &mut self,
        id: usize,
        mut reply: Reply,
        part: impl Fn(u64) -> u64,
    ) -> io::Result<bool> {
        let length = match &reply.body {
            Source::Own(bytes) => bytes.len() as u64,
            Source::Upstream(Framing::Length(length)) => *length,
            Source::Upstream(_) => 0,
        };
        let part = part(length).min(length);
        if length == 0 {
            reply.head.remove("transfer-encoding");
            reply.head.set("Content-Length", "100");
        }
        self.client.write_all(&reply.head.to_bytes())?;
        match reply.body {
            Source::Own(bytes) => self.client.write_all(&bytes[..part as usize])?,
            Source::Upstream(framing) => {
                let client = &mut self.client;
                let upstream = self.upstream.as_mut().ok_or(ErrorKind::NotConnected)?;
                pass(upstream, framing, part, |piece, _| client.write_all(piece))?;
            }
        }
        let status = reply.head.status();
        self.state.learn(id, |seen| (seen.status, seen.sent) = (Some(status), part));
        Ok(false)
    }

    /// So many bytes each so many twentieths of a second, until the client has enough.
    fn drip(&mut self, begin: &[u8], (bytes, pause): (usize, u32)) -> io::Result<bool> {
        self.client.write_all(begin)?;
        while !self.state.closed() {
            self.client.write_all(&vec![b' '; bytes])?;
            for _ in 0..pause {
                sleep(Duration::from_millis(50));
                if self.state.closed() {
                    break;
                }
            }
        }
        Ok(false)
    }

    /// Says nothing until the client goes.
    fn wait_for_the_end(&mut self) -> io::Result<bool> {
        self.client.set_read_timeout(Some(Duration::from_millis(50)))?;
        while !self.state.closed() {
            match self.client.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        Ok(false)
    }

    /// Blanks, which any parser of JSON skips, until the client has enough.
    fn endless(&mut self, id: usize, status: u16) -> io::Result<bool> {
        const CHUNK: usize = 16 * 1024;
        let mut answer = Answer::new(status, &[("Transfer-Encoding", "chunked")], "").head();
        answer.remove("content-length");
        answer.set("Content-Type", "application/vnd.oci.image.index.v1+json");
        self.state.learn(id, |seen| seen.status = Some(status));
        self.client.write_all(&answer.to_bytes())?;
        let chunk = format!("{CHUNK:x}\r\n{}\r\n", " ".repeat(CHUNK));
        while !self.state.closed() {
            self.client.write_all(chunk.as_bytes())?;
            self.state.learn(id, |seen| seen.sent += CHUNK as u64);
        }
        Ok(false)
    }
}

fn own_body(answer: &Answer) -> Source {
    Source::Own(answer.body.clone())
}

/// Says another place than the upstream does.
fn relocate(head: &mut Head, host: &str, place: &Place) {
    let Some(location) = head.get("location").map(str::to_owned) else { return };
    let own = format!("http://{host}");
    let path = location.strip_prefix(&own).unwrap_or(&location).to_owned();
    match place {
        Place::Missing => head.remove("location"),
        Place::Relative => head.set("Location", path),
        Place::Foreign(origin) => head.set("Location", format!("http://{origin}{path}")),
        Place::Unknown => head.set("Location", format!("{own}/v2/nobody/blobs/uploads/nothing")),
        Place::Garbage => head.set("Location", "ht!tp://["),
    }
}
