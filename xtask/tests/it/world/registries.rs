//! Registries that tests start for themselves, on loopback. Tests share them, so images
//! are told apart by their repositories.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::kept::{Kept, new_dir, or_missing};
use super::proxy::ask;
use super::sketch::{INDEX, MANIFEST};
use super::{World, judge};
use certificates::Certificates;
use tokens::{ISSUER, SERVICE, TokenServer};

pub mod certificates;
pub mod servers;
pub mod tokens;

/// The one user that registries with logins know.
pub const USER: &str = "tester";
pub const PASSWORD: &str = "correct horse";
/// The same for htpasswd: bcrypt with the least cost.
const HTPASSWD: &str = "tester:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";

/// Whose registry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Software {
    /// The CNCF's, version 3.
    V3,
    /// The same of years ago, version 2.8.
    V2,
    /// go-containerregistry's, which mounts nothing and has each blob in every repository.
    Crane,
    /// The same with the referrers API.
    Referrers,
}

/// What it wants of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Open,
    /// A name and a password.
    Basic,
    /// A token of a [`TokenServer`].
    Token,
    /// That they trust the authority of [`Certificates`].
    Tls,
    /// Both that and a password.
    TlsBasic,
}

/// All that images are taken to, each by its own way.
pub const ALL: [(Software, Access); 10] = [
    (Software::V3, Access::Open),
    (Software::V3, Access::Basic),
    (Software::V3, Access::Token),
    (Software::V3, Access::Tls),
    (Software::V2, Access::Open),
    (Software::V2, Access::Basic),
    (Software::V2, Access::Token),
    (Software::V2, Access::Tls),
    (Software::Crane, Access::Open),
    (Software::Referrers, Access::Open),
];

/// A registry. What it holds is gone with it.
pub struct Registry {
    /// `127.0.0.1:PORT`
    pub host: String,
    pub access: Access,
    tokens: Option<TokenServer>,
    kept: Kept,
}

impl Registry {
    /// The one that most tests need. `None`, said aloud, where this machine has none; so
    /// for all registries here.
    pub fn shared() -> Option<&'static Registry> {
        Registry::of(Software::V3, Access::Open)
    }

    /// The only one of its kind that all tests of this process share.
    pub fn of(software: Software, access: Access) -> Option<&'static Registry> {
        type Started = BTreeMap<(Software, Access), &'static OnceLock<Result<Registry, String>>>;
        static SHARED: Mutex<Started> = Mutex::new(BTreeMap::new());
        let start = Starting::of(software, access)?;
        let started = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            *shared.entry((software, access)).or_insert_with(|| Box::leak(Box::default()))
        };
        or_missing(started.get_or_init(|| start.at("127.0.0.1")))
    }

    /// One for a test alone, which ends when it is dropped.
    pub fn own(software: Software, access: Access, address: &str) -> Option<Registry> {
        Registry::own_with(software, access, address, &[])
    }

    /// The same with variables such as `REGISTRY_HTTP_HOST=http://…`, which the CNCF's
    /// registry prefers to its config.
    pub fn own_with(
        software: Software,
        access: Access,
        address: &str,
        vars: &[&str],
    ) -> Option<Registry> {
        let starting = Starting::of(software, access)?;
        let started = Starting { vars, ..starting }.at(address);
        or_missing(&started)?;
        started.ok()
    }

    /// The server of its tokens.
    pub fn tokens(&self) -> &TokenServer {
        self.tokens.as_ref().expect("it takes tokens")
    }

    /// Whether it is spoken to over TLS.
    pub fn has_tls(&self) -> bool {
        matches!(self.access, Access::Tls | Access::TlsBasic)
    }

    /// The port that it listens on.
    pub fn port(&self) -> &str {
        self.host.rsplit_once(':').unwrap().1
    }

    /// The digest that a name has in a registry that is open; see [`digest_at`].
    pub fn digest(&self, name: &str) -> Option<String> {
        digest_at(&self.host, name)
    }

    /// What it was asked by now in a repository, such as `HEAD /v2/NAME/manifests/1.0`. An
    /// answer with a long body may reach its client before the line is there.
    pub fn requests(&self, repository: &str) -> Vec<String> {
        let root = format!("/v2/{repository}/");
        let starts = ["HEAD", "GET", "POST", "PATCH", "PUT", "DELETE"];
        let starts = starts.map(|method| format!("{method} {root}"));
        let request = |line: &str| {
            let at = starts.iter().find_map(|start| line.find(start))?;
            let words: Vec<&str> = line[at..].split_whitespace().take(2).collect();
            Some(words.join(" "))
        };
        self.kept.log().lines().filter_map(request).collect()
    }

    /// The same of one that is open, once all that it was asked is in its log: after a request
    /// of the test's own, whose line is awaited.
    pub fn all_requests(&self, repository: &str) -> Vec<String> {
        static MARKS: AtomicU32 = AtomicU32::new(0);
        let mark = format!("marks/{}", MARKS.fetch_add(1, Ordering::Relaxed));
        ask(&self.host, "HEAD", &format!("/v2/{mark}/manifests/none"), &[], b"");
        self.kept.until(|| (!self.requests(&mark).is_empty()).then_some(())).unwrap();
        self.requests(repository)
    }

    /// What lets programs in that obey these variables: logins and certificates.
    pub fn vars(&self, world: &World) -> Vec<(&'static str, OsString)> {
        let auth = json!({ "auth": encoded(USER, PASSWORD) });
        let auths = match self.access {
            Access::Open | Access::Tls => json!({}),
            _ => json!({ "auths": { self.host.as_str(): auth } }),
        };
        let file = write_logins(world, &format!("logins-{}", self.port()), &auths.to_string());
        let mut vars = vec![("DOCKER_CONFIG", file.parent().unwrap().into())];
        vars.push(("REGISTRY_AUTH_FILE", file.into()));
        if self.has_tls() {
            vars.push(("SSL_CERT_FILE", Certificates::shared().unwrap().ca().into()));
        }
        vars
    }
}

/// The digest that a name, such as `acme/tool:1.0`, has at a host that asks for no login.
/// `None` where nothing has it.
pub fn digest_at(host: &str, name: &str) -> Option<String> {
    let (repository, tag) = name.rsplit_once(':').unwrap();
    let accept = [INDEX, MANIFEST].join(", ");
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = ask(host, "HEAD", &path, &[("accept", &accept)], b"");
    match answer.status {
        200 => Some(answer.header("docker-content-digest").unwrap().to_owned()),
        404 => None,
        status => panic!("{name}: {status}"),
    }
}

/// What `docker login` keeps of a name and a password.
pub fn encoded(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

/// Writes a config.json into a folder outside the project, for its owner's eyes only.
pub fn write_logins(world: &World, folder: &str, text: &str) -> PathBuf {
    let file = world.outside(folder).join("config.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// What it takes to start a registry, which this machine has.
struct Starting<'a> {
    software: Software,
    access: Access,
    program: PathBuf,
    certificates: Option<&'static Certificates>,
    vars: &'a [&'a str],
}

impl Starting<'_> {
    fn of(software: Software, access: Access) -> Option<Self> {
        let program = judge(match software {
            Software::V3 => "registry",
            Software::V2 => "docker-registry",
            Software::Crane => "crane",
            Software::Referrers => "referrers-registry",
        })?;
        let certificates = match access {
            Access::Open | Access::Basic => None,
            Access::Token | Access::Tls | Access::TlsBasic => Some(Certificates::shared()?),
        };
        Some(Starting { software, access, program, certificates, vars: &[] })
    }

    fn at(self, address: &str) -> Result<Registry, String> {
        let dir = new_dir();
        let wants_tokens = self.access == Access::Token;
        let tokens = self.certificates.filter(|_| wants_tokens).map(TokenServer::start);
        let args: Vec<OsString> = match self.software {
            Software::V3 | Software::V2 => {
                let config = dir.join("config.yml");
                fs::write(&config, self.config(&dir, tokens.as_ref(), address)).unwrap();
                vec!["serve".into(), config.into()]
            }
            Software::Crane => {
                let address = format!("{address}:0");
                ["registry", "serve", "--address", &address].map(OsString::from).into()
            }
            Software::Referrers => Vec::new(),
        };
        // Version 3 would look for a collector of traces.
        let wrapper = [&["env", "OTEL_TRACES_EXPORTER=none"], self.vars].concat();
        let kept = Kept::start(dir, &wrapper, &self.program, &args);
        let host = kept.until(|| {
            let log = kept.log();
            if let Some((_, after)) = log.split_once("listening on ") {
                return Some(after[..after.find(['"', ','])?].to_owned());
            }
            let (_, after) = log.split_once("serving on port ")?;
            Some(format!("{address}:{}", after.split_once('\n')?.0))
        })?;
        Ok(Registry { host, access: self.access, tokens, kept })
    }

    /// <https://distribution.github.io/distribution/about/configuration/>
    fn config(&self, dir: &Path, tokens: Option<&TokenServer>, address: &str) -> String {
        let file = |name: &str| self.certificates.unwrap().file(name);
        let tls = match self.access {
            Access::Tls | Access::TlsBasic => format!(
                ", tls: {{certificate: {:?}, key: {:?}}}",
                file("server.crt"),
                file("server.key")
            ),
            Access::Open | Access::Basic | Access::Token => String::new(),
        };
        let auth = match (self.access, tokens) {
            (Access::Basic | Access::TlsBasic, _) => {
                let htpasswd = dir.join("htpasswd");
                fs::write(&htpasswd, HTPASSWD).unwrap();
                format!("auth: {{htpasswd: {{realm: tests, path: {htpasswd:?}}}}}\n")
            }
            (_, Some(tokens)) => format!(
                "auth: {{token: {{realm: {:?}, service: {SERVICE:?}, issuer: {ISSUER:?}, \
                 rootcertbundle: {:?}}}}}\n",
                tokens.realm,
                file("tokens.crt")
            ),
            _ => String::new(),
        };
        format!(
            "version: 0.1\nlog: {{level: info}}\n\
             storage: {{filesystem: {{rootdirectory: {:?}}}, delete: {{enabled: true}}}}\n\
             {auth}http: {{addr: \"{address}:0\"{tls}}}\n",
            dir.join("data"),
        )
    }
}
