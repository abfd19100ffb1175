//! krew's own programs, and servers of what they install.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::registries::certificates::Certificates;
use super::{Run, World, contents, judge, run};

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
                std::thread::spawn(move || answer(&mut { stream }, &served.lock().unwrap()));
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

/// A request's lines up to the empty one; nothing that comes after it is read.
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn answer(stream: &mut (impl Read + Write), files: &BTreeMap<String, Vec<u8>>) {
    let head = head(stream);
    let path = head.split(' ').nth(1).unwrap_or_default();
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

/// A server with TLS that plays another one, and is the proxy that leads there, whatever
/// host is asked for.
pub struct Elsewhere {
    certificates: &'static Certificates,
    proxy: String,
}

impl Elsewhere {
    /// Serves the files of a folder, by their paths.
    pub fn serving(folder: &Path) -> Option<Elsewhere> {
        let certificates = Certificates::shared()?;
        let tls = tls(certificates);
        let files = contents(folder).into_iter().map(|(path, it)| (format!("/{path}"), it));
        let files: Arc<BTreeMap<String, Vec<u8>>> = Arc::new(files.collect());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, files) = (Arc::clone(&tls), Arc::clone(&files));
                std::thread::spawn(move || lead(stream, tls, &files));
            }
        });
        Some(Elsewhere { certificates, proxy })
    }

    /// What makes a program written in Go ask it.
    pub fn vars(&self) -> Vec<(&'static str, OsString)> {
        let proxy = |name| (name, OsString::from(&self.proxy));
        let trusted = ("SSL_CERT_FILE", self.certificates.ca().into_os_string());
        vec![proxy("HTTPS_PROXY"), proxy("https_proxy"), trusted]
    }
}

/// As the server that the tests' authority vouches for.
fn tls(certificates: &Certificates) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(certificates.file("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// Answers a CONNECT, and then as the server itself.
fn lead(mut client: TcpStream, tls: Arc<ServerConfig>, files: &BTreeMap<String, Vec<u8>>) {
    let head = head(&mut client);
    assert!(head.starts_with("CONNECT "), "{head}");
    let answered = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), client);
    // krew may have gone.
    if answered.is_ok() {
        answer(&mut stream, files);
        stream.conn.send_close_notify();
        drop(stream.flush());
    }
}
