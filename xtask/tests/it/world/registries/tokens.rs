//! A token server, as registries send their clients to.
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::servers::{Answer, Request, serve};
use super::{PASSWORD, USER};

/// What a user has who once logged in elsewhere.
pub const IDENTITY: &str = "identity-of-the-tester";
/// Who the tokens are for, and who gives them.
pub const SERVICE: &str = "registry of the tests";
pub const ISSUER: &str = "token server of the tests";
/// What begins with this is everybody's to read.
pub const PUBLIC: &str = "public/";

/// A token server that knows one user.
pub struct TokenServer {
    /// Where tokens are asked for.
    pub realm: String,
    grants: Arc<Mutex<Vec<Grant>>>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub who: Who,
    /// `repository:NAME:pull,push`, and more of them.
    pub scopes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Came without any login, and got no more than all.
    Anonymous,
    Password,
    Identity,
    /// Came with a login that is wrong, and got nothing.
    Stranger,
}

impl TokenServer {
    pub fn start(certificates: &Certificates) -> TokenServer {
        let (key, certificate) = (certificates.file("tokens.key"), certificates.file("tokens.crt"));
        let pem = fs::read_to_string(certificate).unwrap();
        let certificate: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        let grants = Arc::new(Mutex::new(Vec::new()));
        let log = grants.clone();
        let address = serve(move |request| {
            let grant = asked(request);
            let claims = claims(&grant);
            let stranger = grant.who == Who::Stranger;
            log.lock().unwrap().push(grant);
            if stranger {
                return Answer::new(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#);
            }
            let token = signed(&claims, &certificate, &key);
            // Either name is lawful, and the second one is that of OAuth 2.
            let name = if request.method == "POST" { "access_token" } else { "token" };
            Answer::new(200, json!({ name: token, "expires_in": 300 }).to_string())
        });
        TokenServer { realm: format!("http://{address}/token"), grants }
    }

    /// What it was asked for by now that concerns a repository.
    pub fn grants(&self, repository: &str) -> Vec<Grant> {
        let about = format!("repository:{repository}:");
        let grants = self.grants.lock().unwrap();
        let of = |grant: &&Grant| grant.scopes.iter().any(|scope| scope.starts_with(&about));
        grants.iter().filter(of).cloned().collect()
    }
}

/// Who asks, and for what.
fn asked(request: &Request) -> Grant {
    let (_, query) = request.target.split_once('?').unwrap_or_default();
    let fields = fields(if request.method == "POST" { &request.body } else { query });
    let field = |name: &str| fields.iter().find(|(it, _)| it == name).map(|(_, value)| &**value);
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let right = field("service") == Some(SERVICE);
    let who = match (&*request.method, request.headers.get("authorization")) {
        ("GET", None) if right => Who::Anonymous,
        ("GET", Some(header)) if right && *header == format!("Basic {basic}") => Who::Password,
        ("POST", None)
            if right
                && field("grant_type") == Some("refresh_token")
                && field("client_id").is_some()
                && field("refresh_token") == Some(IDENTITY) =>
        {
            Who::Identity
        }
        _ => Who::Stranger,
    };
    let scopes = fields.iter().filter(|(name, _)| name == "scope");
    let scopes = scopes.flat_map(|(_, value)| value.split(' ').map(str::to_owned));
    Grant { who, scopes: scopes.collect() }
}

/// The pairs of a form or a query.
fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), unescaped(value))).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// What a token says that its owner may do.
fn claims(grant: &Grant) -> Value {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    let access = grant.scopes.iter().map(|scope| {
        let mut parts = scope.splitn(2, ':');
        let (kind, rest) = (parts.next().unwrap(), parts.next().unwrap());
        let (name, actions) = rest.rsplit_once(':').unwrap();
        let actions = match grant.who {
            Who::Password | Who::Identity => actions.split(',').collect(),
            Who::Anonymous if name.starts_with(PUBLIC) => vec!["pull"],
            Who::Anonymous | Who::Stranger => Vec::new(),
        };
        json!({ "type": kind, "name": name, "actions": actions })
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": ISSUER,
        "sub": USER,
        "aud": SERVICE,
        "nbf": now - 60,
        "iat": now,
        "exp": now + 300,
        "jti": TOKENS.fetch_add(1, Ordering::Relaxed).to_string(),
        "access": access.collect::<Vec<Value>>(),
    })
}

/// A JWT with the certificate that the registry trusts.
fn signed(claims: &Value, certificate: &str, key: &Path) -> String {
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-sign"]).arg(key);
    let mut openssl = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    openssl.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let signature = openssl.wait_with_output().unwrap().stdout;
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
