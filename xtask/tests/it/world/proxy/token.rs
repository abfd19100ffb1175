//! Logins as registries ask for them: a password with each request, or tokens from a
//! token server. <https://distribution.github.io/distribution/spec/auth/token/>

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::refusal;
use super::wire::{Answer, Head};

/// Who may come in, and what was given out.
pub struct Gate {
    /// Where tokens are had; `None` where each request brings the password.
    pub realm: Option<String>,
    basic: String,
    tokens: Vec<Token>,
}

struct Token {
    text: String,
    /// `repository:NAME:ACTIONS` each.
    scopes: Vec<String>,
    valid: bool,
}

/// The name that the registry has for the token server.
const SERVICE: &str = "registry.test";

impl Gate {
    pub fn new(realm: Option<String>, user: &str, password: &str) -> Gate {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        Gate { realm, basic, tokens: Vec::new() }
    }

    /// What is answered to a request that may not pass.
    pub fn refuses(&self, request: &Head) -> Option<Answer> {
        let authorization = request.get("authorization").unwrap_or_default();
        let Some(realm) = &self.realm else {
            let challenge = "Basic realm=\"registry.test\"";
            return (authorization != self.basic).then(|| unauthorized(challenge));
        };
        let wanted = wanted(request.word(0), request.word(1));
        let valid = self.tokens.iter().find(|token| {
            token.valid && authorization.strip_prefix("Bearer ") == Some(&*token.text)
        });
        let pass = valid.is_some_and(|token| match &wanted {
            Some((name, action)) => token.scopes.iter().any(|scope| covers(scope, name, action)),
            None => true,
        });
        let scope = match wanted {
            Some((name, "pull")) => format!(",scope=\"repository:{name}:pull\""),
            Some((name, _)) => format!(",scope=\"repository:{name}:pull,push\""),
            None => String::new(),
        };
        let challenge = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"{scope}");
        (!pass).then(|| unauthorized(&challenge))
    }

    /// What the token server answers.
    pub fn issue(&mut self, request: &Head) -> Answer {
        if request.word(0) != "GET" {
            return refusal(405, "UNSUPPORTED", "tokens are had by GET");
        }
        if request.get("authorization") != Some(&self.basic) {
            return refusal(401, "UNAUTHORIZED", "incorrect username or password");
        }
        let query = request.word(1).split_once('?').unwrap_or_default().1;
        let scopes = query.split('&').filter_map(|part| part.strip_prefix("scope="));
        let scopes = scopes
            .flat_map(|scopes| decoded(scopes).split(' ').map(str::to_owned).collect::<Vec<_>>());
        let text = format!("token-{:016x}{:016x}", random(), random());
        let body = serde_json::json!({ "token": text, "expires_in": 300 });
        self.tokens.push(Token { text, scopes: scopes.collect(), valid: true });
        Answer::new(200, &[("Content-Type", "application/json")], body.to_string())
    }

    /// The tokens that were given out.
    pub fn issued(&self) -> Vec<String> {
        self.tokens.iter().map(|token| token.text.clone()).collect()
    }

    /// From now on, no token that was given out opens anything.
    pub fn expire(&mut self) {
        self.tokens.iter_mut().for_each(|token| token.valid = false);
    }
}

/// The repository that a request is about, and what it wants to do there.
fn wanted<'a>(method: &str, target: &'a str) -> Option<(&'a str, &'static str)> {
    let path = target.split('?').next()?.strip_prefix("/v2/")?;
    let end = ["/blobs/", "/manifests/", "/tags/", "/referrers/"];
    let end = end.iter().filter_map(|part| path.find(part)).min()?;
    Some((&path[..end], if matches!(method, "GET" | "HEAD") { "pull" } else { "push" }))
}

fn covers(scope: &str, name: &str, action: &str) -> bool {
    let parts: Vec<&str> = scope.split(':').collect();
    matches!(&parts[..], ["repository", of, actions]
        if *of == name && actions.split(',').any(|it| it == action))
}

fn unauthorized(challenge: &str) -> Answer {
    let mut answer = refusal(401, "UNAUTHORIZED", "authentication required");
    answer.headers.push(("WWW-Authenticate".to_owned(), challenge.to_owned()));
    answer
}

/// A part of a query without its escapes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, ..]) => {
                rest = &after[2..];
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
                16 * digit(high) + digit(low)
            }
            (b'+', _) => b' ',
            _ => *first,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Nobody guesses it, which is enough for a test.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
