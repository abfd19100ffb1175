//! krew's own programs, and servers of what they install.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::kept::{Kept, new_dir};
use super::registries::certificates::Certificates;
use super::{Run, World, judge, run};

/// A server of files on loopback, until the test ends.
pub struct Server {
    address: String,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let files = Arc::new(Mutex::new(BTreeMap::new()));
        let served = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let served = Arc::clone(&served);
                std::thread::spawn(move || answer(stream, &served.lock().unwrap()));
            }
        });
        Server { address, files }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Answers a path with these bytes from now on.
    pub fn serve(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match files.get(path) {
        Some(bytes) => ("200 OK", &bytes[..]),
        None => ("404 Not Found", &b""[..]),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // krew may have gone.
    drop(stream.write_all(&[head.as_bytes(), body].concat()));
}

/// krew's programs, as kubectl finds them.
pub struct Judges {
    pub validate: PathBuf,
    pub path: OsString,
}

impl Judges {
    /// `None` where one is missing. krew is started with more variables, which the program
    /// of its index does not pass on.
    pub fn find(world: &World, vars: &[(&str, OsString)]) -> Option<Judges> {
        let (validate, krew) = (judge("validate-krew-manifest")?, judge("krew")?);
        judge("kubectl")?;
        let vars = vars.iter().map(|(name, value)| format!("{name}='{}' ", value.display()));
        let script = format!("{}exec {} \"$@\"", vars.collect::<String>(), krew.display());
        world.script("judges/kubectl-krew", &script);
        Some(Judges { validate, path: world.path_with("judges") })
    }
}

impl Judges {
    /// The program of krew's index on a manifest, real installations included.
    pub fn validates(&self, world: &World, manifest: &Path) -> Run {
        let mut command = world.with(&self.validate, ["-manifest"]);
        run(command.arg(manifest).env("PATH", &self.path))
    }

    /// kubectl, with these arguments and plugins in a folder of this world.
    pub fn kubectl(&self, world: &World, args: &[&str]) -> Command {
        let root = world.outside("krew");
        let path = std::iter::once(root.join("bin")).chain(std::env::split_paths(&self.path));
        let mut command = world.with("kubectl", args);
        command.env("PATH", std::env::join_paths(path).unwrap()).env("KREW_ROOT", root);
        command
    }
}

/// A server with TLS that plays another one, behind a proxy that leads there whatever host
/// is asked for.
pub struct Elsewhere {
    certificates: &'static Certificates,
    proxy: String,
    _server: Kept,
}

impl Elsewhere {
    /// Serves the files of a folder, by their paths.
    pub fn serving(folder: &Path) -> Option<Elsewhere> {
        let certificates = Certificates::shared()?;
        let openssl = judge("openssl")?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let script = format!(
            "cd {} && exec {} s_server -accept {taken} -cert {} -key {} -WWW",
            folder.display(),
            openssl.display(),
            certificates.file("server.crt").display(),
            certificates.file("server.key").display()
        );
        let args = [OsString::from("-c"), script.into()];
        let server = Kept::start(new_dir(), &[], Path::new("sh"), &args);
        server.until(|| TcpStream::connect(taken).ok()).unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || lead(stream, taken));
            }
        });
        Some(Elsewhere { certificates, proxy, _server: server })
    }

    /// What makes a program written in Go ask it.
    pub fn vars(&self) -> Vec<(&'static str, OsString)> {
        let proxy = |name| (name, OsString::from(&self.proxy));
        let trusted = ("SSL_CERT_FILE", self.certificates.ca().into_os_string());
        vec![proxy("HTTPS_PROXY"), proxy("https_proxy"), trusted]
    }
}

/// Answers a CONNECT and passes on all that follows, both ways.
fn lead(client: TcpStream, to: std::net::SocketAddr) {
    let mut lines = BufReader::new(client.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let Ok(server) = TcpStream::connect(to) else { return };
    // Whoever is gone wants no more.
    drop((&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        drop(std::io::copy(&mut answers, &mut back));
        drop(back.shutdown(std::net::Shutdown::Both));
    });
    drop(std::io::copy(&mut lines, &mut &server));
}
