//! All that has to run: `Site::start` starts it, and the end of the test stops it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::front::Front;

/// After so long, something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every run needs, beside the program that stands before oauth2-proxy.
const JUDGES: [&str; 8] =
    ["oauth2-proxy", "redis-server", "redis-cli", "node", "chromium", "openssl", "curl", "kubectl"];

pub struct Site {
    pub front: Front,
    dir: TempDir,
    https: u16,
    redis: u16,
    password: String,
    tunnel: u16,
    replicas: [Replica; 2],
    running: Vec<Child>,
    browser: Browser,
}

struct Replica {
    port: u16,
    child: Option<Child>,
}

/// What the parts of a site are told of each other.
pub struct Places<'a> {
    pub dir: &'a Path,
    pub https: u16,
    pub replicas: [u16; 2],
    pub prom: u16,
    pub alerts: u16,
}

/// An answer to `curl`.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }
}

impl Site {
    /// `None`, said aloud, where something is not installed, or nobody asked for it.
    pub fn start(front: Front) -> Option<Site> {
        if std::env::var_os("DOCKLESS_OAUTH2").is_none() {
            eprintln!("skipped: signing in is tested only with DOCKLESS_OAUTH2=1");
            return None;
        }
        for judge in JUDGES.into_iter().chain([front.program()]) {
            found(judge)?;
        }
        if !beside("node_modules").is_dir() {
            let folder = beside("");
            return missing(&format!("run `npm ci` in {}", folder.display()));
        }
        let dir = TempDir::new().unwrap();
        let at = dir.path();
        certificates(at);
        let password = secrets(at);
        let (provider, provider_port, tunnel) = provider(at);
        let redis = free_port();
        let mut running = vec![provider, start_redis(at, redis)];
        let [prom, alerts] = ["prom", "alerts"].map(|name| {
            let port = free_port();
            running.push(start_application(at, name, port));
            port
        });
        let https = free_port();
        let replicas = [(); 2].map(|()| Replica { port: free_port(), child: None });
        let ports = [replicas[0].port, replicas[1].port];
        let places = Places { dir: at, https, replicas: ports, prom, alerts };
        running.push(spawn(at, front.program(), &mut front.command(&places)));
        let chromium = found("chromium")?;
        let browser = Browser::start(&chromium, https, provider_port, &key_hash(at));
        let mut site =
            Site { front, dir, https, redis, password, tunnel, replicas, running, browser };
        site.run(0);
        site.run(1);
        let began = Instant::now();
        while !site
            .ask_curl("https://login.example.com/oauth2/start", &[])
            .is_ok_and(|it| it.status == 302)
        {
            assert!(began.elapsed() < PATIENCE, "{front:?} does not answer");
            sleep(Duration::from_millis(50));
        }
        Some(site)
    }

    pub fn ask(&mut self, ask: Value) -> Value {
        self.browser.ask(&ask)
    }

    /// The header with a person's session, as the browser sends it.
    pub fn session(&mut self, person: &str) -> String {
        let cookies = self.ask(json!({"do": "cookies", "person": person}));
        let mut cookies = cookies.as_array().unwrap().iter();
        let cookie = cookies.find(|it| it["name"] == "__Secure-oauth2-proxy");
        let cookie = cookie.unwrap_or_else(|| panic!("{person} has no session"));
        format!("Cookie: __Secure-oauth2-proxy={}", cookie["value"].as_str().unwrap())
    }

    /// Asks without a browser. Redirects are not followed.
    pub fn curl(&self, url: &str, args: &[&str]) -> Answer {
        self.ask_curl(url, args).unwrap_or_else(|said| panic!("{url} {args:?}: {said}"))
    }

    /// The same; what curl says, where it has no answer.
    fn ask_curl(&self, url: &str, args: &[&str]) -> Result<Answer, String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--http1.1", "--path-as-is"]);
        curl.args(["--noproxy", "*", "--max-time", "30", "--cacert"]).arg(self.path("ca.crt"));
        curl.arg("--connect-to").arg(format!(":443:127.0.0.1:{}", self.https));
        let output = curl.args(args).arg(url).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Starts a replica of oauth2-proxy, with the arguments of its Deployment.
    pub fn run(&mut self, replica: usize) {
        let port = self.replicas[replica].port;
        let mut command = self.oauth2_proxy(port);
        let child = spawn(self.dir.path(), &format!("oauth2-proxy-{port}"), &mut command);
        self.replicas[replica].child = Some(child);
        wait_for(port);
    }

    fn oauth2_proxy(&self, port: u16) -> Command {
        let manifests = manifests("oauth2-proxy.yaml");
        let deployment = manifests.iter().find(|it| it["kind"] == "Deployment").unwrap();
        let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        let args = args.as_sequence().unwrap().iter().map(|arg| arg.as_str().unwrap());
        let args = args.collect::<Vec<_>>().join("\0");
        let dir = self.dir.path().display();
        let args = replaced(
            &args,
            &[
                ("--http-address=0.0.0.0:4180", format!("--http-address=127.0.0.1:{port}")),
                ("--metrics-address=0.0.0.0:44180", "--metrics-address=127.0.0.1:0".to_owned()),
                ("--trusted-proxy-ip=10.0.0.0/8", "--trusted-proxy-ip=127.0.0.1".to_owned()),
                ("=/etc/oauth2-proxy/", format!("={dir}/")),
                ("redis://redis:6379", format!("redis://127.0.0.1:{}", self.redis)),
            ],
        );
        let mut command = Command::new("oauth2-proxy");
        command.args(args.split('\0')).env("OAUTH2_PROXY_REDIS_PASSWORD", &self.password);
        // The provider's name, and the authority of its certificate, are this test's.
        command.env("SSL_CERT_FILE", self.path("ca.crt"));
        command.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.tunnel));
        command
    }

    /// Where a sign-in begins at oauth2-proxy itself, asked by an ingress about this host, when the
    /// arguments do not name the callback.
    pub fn start_without_redirect_url(&mut self, host: &str) -> Answer {
        let port = free_port();
        let with = self.oauth2_proxy(port);
        let args =
            with.get_args().filter(|arg| !arg.to_string_lossy().starts_with("--redirect-url="));
        let mut without = Command::new(with.get_program());
        without.args(args).envs(with.get_envs().map(|(name, value)| (name, value.unwrap())));
        self.running.push(spawn(self.dir.path(), "without-redirect-url", &mut without));
        wait_for(port);
        let host = format!("X-Forwarded-Host: {host}");
        let headers = ["--header", &host, "--header", "X-Forwarded-Proto: https"];
        self.ask_curl(&format!("http://127.0.0.1:{port}/oauth2/start"), &headers).unwrap()
    }

    /// Ends a replica at once, as a node that fails does.
    pub fn kill(&mut self, replica: usize) {
        let mut child = self.replicas[replica].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Lets the time of all sessions run out.
    pub fn expire_sessions(&self) {
        let redis = |args: &[&str]| {
            let mut command = Command::new("redis-cli");
            command.args(["-p", &self.redis.to_string()]).args(args);
            let output = command.env("REDISCLI_AUTH", &self.password).output().unwrap();
            assert!(output.status.success(), "{args:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let keys = redis(&["--scan"]);
        assert!(keys.lines().count() > 0, "there are sessions");
        for key in keys.lines() {
            assert!(key.starts_with("__Secure-oauth2-proxy-"), "{key}");
            // Each of them ends by itself some time.
            assert!(redis(&["ttl", key]).trim().parse::<i64>().unwrap() > 0, "{key}");
            redis(&["pexpire", key, "1"]);
        }
        sleep(Duration::from_millis(20));
        assert_eq!(redis(&["--scan"]).trim(), "");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let replicas = self.replicas.iter_mut().filter_map(|it| it.child.as_mut());
        for child in replicas.chain(&mut self.running) {
            end(child);
        }
        if !std::thread::panicking() {
            return;
        }
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(30)..].join("\n");
                eprintln!("== {}\n{last}", path.file_name().unwrap().display());
            }
        }
    }
}

/// Asks a program to end, because nginx would leave its workers behind, and insists after a while.
fn end(child: &mut Child) {
    Command::new("kill").arg(child.id().to_string()).status().ok();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    child.kill().ok();
    child.wait().ok();
}

/// A file of this test.
pub fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sign_in").join(name)
}

/// A file of the example.
pub fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn manifests(name: &str) -> Vec<serde_yaml::Value> {
    let text = deployed(name);
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|it| serde::Deserialize::deserialize(it).unwrap()).collect()
}

/// The text with each of these replaced, which must be there.
pub fn replaced(text: &str, places: &[(&str, String)]) -> String {
    places.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    })
}

/// A port that nobody has, and whose text does not begin as those in the files do: one that is put
/// into a file must not be replaced again.
pub fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if !(41_800..41_820).contains(&port) {
            return port;
        }
    }
}

fn wait_for(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "nothing listens on {port}");
        sleep(Duration::from_millis(20));
    }
}

/// Starts a program whose output goes to a log of that name.
fn spawn(dir: &Path, name: &str, command: &mut Command) -> Child {
    let log = File::options().append(true).create(true).open(dir.join(format!("{name}.log")));
    let log = log.unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn shell(dir: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-euc", script]).current_dir(dir).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// An authority, and a certificate of it for all names.
fn certificates(dir: &Path) {
    fs::create_dir(dir.join("tls")).unwrap();
    shell(
        dir,
        "new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \"$@\"; }
        new -subj '/CN=authority of a test' -keyout ca.key -out ca.crt
        new -subj /CN=example.com -CA ca.crt -CAkey ca.key -keyout tls/example.com.key \
            -out tls/example.com.crt -addext basicConstraints=critical,CA:FALSE \
            -addext subjectAltName=DNS:*.example.com,DNS:id.example.net",
    );
}

fn key_hash(dir: &Path) -> String {
    let script = "openssl x509 -in tls/example.com.crt -pubkey -noout |
        openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64";
    shell(dir, script).trim().to_owned()
}

/// The files of the Secrets that `make-secrets` writes; returns the password of Redis.
fn secrets(dir: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/make-secrets");
    let output = format!("printf of-the-client | '{}'", script.display());
    let text = shell(dir, &output);
    for document in serde_yaml::Deserializer::from_str(&text) {
        let secret: serde_yaml::Value = serde::Deserialize::deserialize(document).unwrap();
        for (name, value) in secret["data"].as_mapping().unwrap() {
            let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
            shell(dir, &format!("printf %s '{value}' | base64 --decode >'{name}'"));
        }
    }
    fs::read_to_string(dir.join("password")).unwrap()
}

/// The provider, its port, and that of the tunnel to it.
fn provider(dir: &Path) -> (Child, u16, u16) {
    let log = File::create(dir.join("provider.log")).unwrap();
    let mut node = Command::new("node");
    node.arg(beside("provider.mjs"));
    node.args(["tls/example.com.crt", "tls/example.com.key", "client-secret"]).current_dir(dir);
    let mut child = node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ports: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
        panic!("{error}: {}", fs::read_to_string(dir.join("provider.log")).unwrap())
    });
    let port = |name: &str| u16::try_from(ports[name].as_u64().unwrap()).unwrap();
    (child, port("port"), port("tunnel"))
}

fn start_redis(dir: &Path, port: u16) -> Child {
    let manifests = manifests("redis.yaml");
    let set = manifests.iter().find(|it| it["kind"] == "StatefulSet").unwrap();
    let args = &set["spec"]["template"]["spec"]["containers"][0]["args"];
    let args = args.as_sequence().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let args = args.collect::<Vec<_>>().join("\0");
    let at = dir.display().to_string();
    let args = replaced(&args, &[("/etc/redis", at.clone()), ("/data", at)]);
    let mut args = args.split('\0');
    let mut command = Command::new(args.next().unwrap());
    command.args(args).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    let child = spawn(dir, "redis", &mut command);
    wait_for(port);
    child
}

fn start_application(dir: &Path, name: &str, port: u16) -> Child {
    let program = match name {
        "prom" => env!("CARGO_BIN_EXE_prom"),
        _ => env!("CARGO_BIN_EXE_alerts"),
    };
    let manifests = manifests(&format!("{name}.yaml"));
    let deployment = manifests.iter().find(|it| it["kind"] == "Deployment").unwrap();
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let mut command = Command::new(program);
    command.env_clear().env("LISTEN", format!("127.0.0.1:{port}"));
    for variable in env.as_sequence().unwrap() {
        command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    let child = spawn(dir, name, &mut command);
    wait_for(port);
    child
}

/// A program on PATH. In CI every one must be there.
fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|dir| dir.join(name));
    places.find(|path| path.is_file()).or_else(|| missing(&format!("{name} not found")))
}

fn missing<T>(what: &str) -> Option<T> {
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!ci, "{what}, and CI is set");
    eprintln!("skipped: {what}");
    None
}
