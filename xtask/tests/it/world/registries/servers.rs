//! Small servers on loopback that tests play themselves. They end with the process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// A request as it arrived.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    /// The path with its query, or what a proxy is asked for.
    pub target: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What is answered. The connection ends with it.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<String>) -> Answer {
        Answer { status, headers: Vec::new(), body: body.into() }
    }

    fn bytes(&self) -> Vec<u8> {
        let Answer { status, headers, body } = self;
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let size = body.len();
        let head = format!(
            "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Length: {size}\r\n{headers}\r\n"
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// Answers requests from now on, and returns where: `127.0.0.1:PORT`.
pub fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    accept(move |mut stream| {
        let Some(request) = read(&mut BufReader::new(&stream)) else { return };
        // Whoever has gone away needs no answer.
        drop(stream.write_all(&answer(&request).bytes()));
    })
}

fn accept(work: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let work = Arc::new(work);
    spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let work = work.clone();
            spawn(move || work(stream));
        }
    });
    address
}

fn read(from: &mut BufReader<&TcpStream>) -> Option<Request> {
    let (first, headers) = head(from)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let size = headers.get("content-length").map_or(0, |size| size.parse().unwrap());
    let mut body = vec![0; size];
    from.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body: String::from_utf8(body).ok()? })
}

/// The first line and the headers, with the line that ends them.
fn head(from: &mut BufReader<&TcpStream>) -> Option<(String, BTreeMap<String, String>)> {
    let mut line = || {
        let mut line = String::new();
        from.read_line(&mut line).ok().map(|_| line.trim_end().to_owned())
    };
    let first = line().filter(|line| !line.is_empty())?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some((first, headers))
}

/// A proxy that knows names which nobody else knows.
pub struct ForwardProxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl ForwardProxy {
    /// Leads from each of these, `name:port`, to the one beside it.
    pub fn start(names: &[(&str, &str)]) -> ForwardProxy {
        let owned = names.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned()));
        let names: BTreeMap<String, String> = owned.collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let address = accept(move |stream| {
            let mut reader = BufReader::new(&stream);
            let Some((first, headers)) = head(&mut reader) else { return };
            let mut words = first.split(' ').map(str::to_owned);
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            let early = reader.buffer().to_vec();
            let tunnel = method == "CONNECT";
            let to = names.get(&authority(&target)).map(|to| TcpStream::connect(to).unwrap());
            let request = Request { method, target, headers, body: String::new() };
            let first = if tunnel { Vec::new() } else { origin_form(&request) };
            log.lock().unwrap().push(request);
            match to {
                Some(to) => join(&stream, &to, tunnel, &[first, early].concat()),
                None => drop((&stream).write_all(&Answer::new(502, "no such name").bytes())),
            }
        });
        ForwardProxy { address, asked }
    }

    /// What it was asked by now: `CONNECT registry.test:443`, `GET http://registry.test/v2/`.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|it| format!("{} {}", it.method, it.target)).collect()
    }

    /// What it was told of who asks, each time.
    pub fn logins(&self) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|it| it.headers.get("proxy-authorization").cloned()).collect()
    }
}

/// A SOCKS 5 proxy that knows names which nobody else knows, for one user.
/// <https://www.rfc-editor.org/rfc/rfc1928>
pub struct SocksProxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SocksProxy {
    /// Leads from each of these, `name:port`, to the one beside it.
    pub fn start(names: &[(&str, &str)], login: (&'static str, &'static str)) -> SocksProxy {
        let owned = names.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned()));
        let names: BTreeMap<String, String> = owned.collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        // Whoever breaks off has seen enough.
        let address = accept(move |stream| drop(socks(&stream, &names, login, &log)));
        SocksProxy { address, asked }
    }

    /// What it was asked for by now: `registry.test:443`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn socks(
    mut stream: &TcpStream,
    names: &BTreeMap<String, String>,
    login: (&str, &str),
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let field = |size: usize| {
        let mut bytes = vec![0; size];
        (&*stream).read_exact(&mut bytes).map(|()| bytes)
    };
    // The version and the methods, of which 2 is a name and a password.
    let count = field(2)?[1];
    if !field(count.into())?.contains(&2) {
        return stream.write_all(&[5, 0xff]);
    }
    stream.write_all(&[5, 2])?;
    let user = field(2)?[1];
    let user = field(user.into())?;
    let password = field(1)?[0];
    let password = field(password.into())?;
    let is_known = (user, password) == (login.0.into(), login.1.into());
    stream.write_all(&[1, u8::from(!is_known)])?;
    if !is_known {
        return Ok(());
    }
    // `CONNECT` to a name.
    assert_eq!(field(4)?, [5, 1, 0, 3]);
    let size = field(1)?[0];
    let name = String::from_utf8(field(size.into())?).unwrap();
    let port = field(2)?;
    let wanted = format!("{name}:{}", u16::from_be_bytes([port[0], port[1]]));
    asked.lock().unwrap().push(wanted.clone());
    let Some(to) = names.get(&wanted) else {
        // The host is unreachable.
        return stream.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]);
    };
    let server = TcpStream::connect(to)?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    join(stream, &server, false, &[]);
    Ok(())
}

/// `name:port` of what a proxy is asked for.
fn authority(target: &str) -> String {
    let Some(url) = target.strip_prefix("http://") else { return target.to_owned() };
    let authority = url.split('/').next().unwrap_or_default();
    if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") }
}

/// The head of a request as the server wants it. Its connection is for it alone.
fn origin_form(request: &Request) -> Vec<u8> {
    let url = request.target.trim_start_matches("http://");
    let path = url.find('/').map_or("/", |at| &url[at..]);
    let kept = request.headers.iter().filter(|(name, _)| !name.starts_with("proxy-"));
    let kept = kept.filter(|(name, _)| *name != "connection");
    let headers: String = kept.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{} {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n", request.method).into()
}

/// Hands over what either side says until both have ended.
fn join(client: &TcpStream, server: &TcpStream, tunnel: bool, first: &[u8]) {
    if tunnel && (&*client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").is_err() {
        return;
    }
    if (&*server).write_all(first).is_err() {
        return;
    }
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let there = spawn(move || {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
    drop(std::io::copy(&mut &*server, &mut &*client));
    drop(client.shutdown(Shutdown::Write));
    drop(there.join());
}
