//! Logins, where docker, podman and GitHub's runners keep them.
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::host::{DOCKER_HUB_KEY, bare_key, keys};
use crate::files::{self, limits};
use crate::finding::{Finding, Place, failure};

use crate::process::{Env, Program};
use crate::reference::Repository;
use crate::secret::Secret;
use crate::term::{Term, tame};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Login {
    Password {
        user: String,
        password: Secret,
    },
    /// What a token server gives tokens for, instead of a password.
    Identity(Secret),
}

/// What was found of a login, and where.
pub struct Search {
    pub login: Option<Login>,
    /// Where it is kept; or, where there is none, how to get one.
    pub about: String,
}

/// A file of logins, docker's or podman's.
#[derive(Default)]
struct Stored {
    auths: Map<String, Value>,
    cred_helpers: Map<String, Value>,
    creds_store: String,
    /// What is there and cannot be read.
    odd: Vec<String>,
}

/// What a helper prints.
/// <https://github.com/docker/docker-credential-helpers#development>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// The user that stands for "the secret is an identity token".
const TOKEN_USER: &str = "<token>";
/// How a helper says that it knows nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// A helper may ask a person for a fingerprint.
const HELPER: Duration = Duration::from_secs(60);
/// In bytes: more is no answer of a helper.
const PRINTED: u64 = 64 * 1024;

/// Looks for the login for a repository. What cannot be read of it is told where no other
/// is found; what belongs to others is of no matter.
pub fn find(
    repository: &Repository,
    github: Option<&Secret>,
    env: &Env,
    term: &Term,
) -> Result<Search> {
    let registry = repository.registry();
    let (mut looked, mut odd) = (Vec::new(), Vec::new());
    for path in places(env) {
        let Some(bytes) = files::read_foreign_if_there(&path, limits::LOGINS)? else {
            looked.push(format!("{}, which is not there", path.display()));
            continue;
        };
        looked.push(path.display().to_string());
        let context = || format!("read the logins in {}", path.display());
        let mut stored = Stored::parse(&bytes).map_err(|line| {
            failure(
                format!("{}: it is not the JSON that is expected there, at line {line}", context()),
                "mend the file, or remove it and log in again",
            )
        })?;
        let login = stored.find(repository, env).with_context(context)?;
        for it in stored.odd {
            term.detail(format_args!("{}: {it}", path.display()));
            odd.push(it);
        }
        if let Some((login, kept)) = login {
            if matches!(kept, Kept::Here(_)) && files::is_public(&path)? {
                term.finding(&Finding::warning(
                    "logins-public",
                    Place::file(&path),
                    "everybody on this machine can read the passwords in it",
                    format!("run `chmod 600 {}`", path.display()),
                ));
            }
            let about = match kept {
                Kept::Here(key) => format!("for {} in {}", tame(&key), path.display()),
                Kept::Helper(name) => format!("by {name}, which {} names", path.display()),
            };
            return Ok(said(registry, login, about, term));
        }
    }
    if let Some(login) = self::github(repository, github, env) {
        return Ok(said(registry, login, "in GITHUB_TOKEN".to_owned(), term));
    }
    Ok(Search { login: None, about: absent(registry, &looked, &odd, env) })
}

fn said(registry: &str, login: Login, about: String, term: &Term) -> Search {
    term.detail(format_args!("log in to {registry} with what is kept {about}"));
    Search { login: Some(login), about }
}

/// How to get a login where none was found.
fn absent(registry: &str, looked: &[String], odd: &[String], env: &Env) -> String {
    let wanted = if looked.is_empty() { String::new() } else { " in ".to_owned() };
    let looked = looked.join(", or in ");
    let odd = if odd.is_empty() { String::new() } else { format!(" ({})", odd.join("; ")) };
    let found = format!("no login for {registry} was found{wanted}{looked}{odd}");
    match env.get("REGISTRY_AUTH_FILE").map(PathBuf::from) {
        // `docker login` writes elsewhere.
        Some(named) => format!(
            "{found}: REGISTRY_AUTH_FILE names that file alone: unset it, or log in with `podman \
             login --authfile {} {registry}`",
            named.display()
        ),
        None => format!("{found}: log in, for example with `docker login {registry}`"),
    }
}

/// The files that may hold logins: the one that REGISTRY_AUTH_FILE names alone, or else
/// docker's and podman's.
fn places(env: &Env) -> Vec<PathBuf> {
    let at = |name: &str| env.get(name).map(PathBuf::from);
    if let Some(named) = at("REGISTRY_AUTH_FILE") {
        return vec![named];
    }
    let home = at("HOME").or_else(|| at("USERPROFILE"));
    let docker = at("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker")));
    let config = at("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let podman = |dir: PathBuf| dir.join("containers/auth.json");
    let docker = docker.map(|dir| dir.join("config.json"));
    docker.into_iter().chain(at("XDG_RUNTIME_DIR").map(podman)).chain(config.map(podman)).collect()
}

/// What a workflow on GitHub may use for GitHub's own registry.
fn github(repository: &Repository, token: Option<&Secret>, env: &Env) -> Option<Login> {
    let password = token?.clone();
    let user = env.get("GITHUB_ACTOR").and_then(|actor| actor.to_str()).unwrap_or("dockless");
    let login = || Login::Password { user: user.to_owned(), password };
    (repository.registry() == "ghcr.io").then(login)
}

/// Where a login is kept.
enum Kept {
    /// In the file itself, under this key.
    Here(String),
    /// By this program.
    Helper(String),
}

impl Stored {
    /// Reads a file as docker does, which minds neither a byte order mark nor the case of
    /// names, and takes the last of several. Fails with the line of what is no JSON.
    fn parse(bytes: &[u8]) -> Result<Stored, usize> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Stored::default());
        }
        // What serde would quote may be a password.
        let mut all: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| error.line())?;
        let mut stored = Stored::default();
        stored.auths = stored.object(&mut all, "auths");
        stored.cred_helpers = stored.object(&mut all, "credHelpers");
        let store = text(&all, "credsStore");
        stored.creds_store = store.unwrap_or_else(|why| stored.is_odd(why));
        Ok(stored)
    }

    fn object(&mut self, all: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
        match all.remove(&key_of(all, name)) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(found)) => found,
            Some(_) => {
                self.odd.push(format!("`{name}` is no object"));
                Map::new()
            }
        }
    }

    fn is_odd<T: Default>(&mut self, why: String) -> T {
        self.odd.push(why);
        T::default()
    }

    /// The login, and where it is. Helpers come first, as in docker, which leaves empty
    /// entries for what they hold.
    fn find(&mut self, repository: &Repository, env: &Env) -> Result<Option<(Login, Kept)>> {
        let keys = keys(repository);
        let by_helper = |name: String, login: Login| Some((login, Kept::Helper(program_of(&name))));
        let mut in_file = false;
        let named = keys.iter().find_map(|key| entries(&self.cred_helpers, key).into_iter().next());
        match named.map(|(server, helper)| (server.clone(), helper.clone())) {
            // An empty one says that the file itself keeps it.
            Some((_, Value::String(name))) if name.is_empty() => in_file = true,
            Some((server, Value::String(name))) => {
                let login = ask(&name, &server, env)?;
                return Ok(login.and_then(|login| by_helper(name, login)));
            }
            None | Some((_, Value::Null)) => {}
            Some((server, _)) => {
                self.odd.push(format!("the helper for {} has no name", tame(&server)))
            }
        }
        if !in_file && !self.creds_store.is_empty() {
            let hub = repository.registry() == "docker.io";
            let server = if hub { DOCKER_HUB_KEY } else { repository.registry() };
            if let Some(login) = ask(&self.creds_store, server, env)? {
                return Ok(by_helper(self.creds_store.clone(), login));
            }
        }
        for key in &keys {
            for (known, entry) in entries(&self.auths, key) {
                match login(entry) {
                    Ok(Some(login)) => return Ok(Some((login, Kept::Here(known.clone())))),
                    Ok(None) => {}
                    Err(why) => self.odd.push(format!("the login for {}: {why}", tame(known))),
                }
            }
        }
        Ok(None)
    }
}

/// The entries for a key, those first that say it in its plainest form.
fn entries<'a>(all: &'a Map<String, Value>, key: &str) -> Vec<(&'a String, &'a Value)> {
    let mut found: Vec<_> = all.iter().filter(|(known, _)| bare_key(known) == key).collect();
    found.sort_by_key(|(known, _)| known.len());
    found
}

/// The name of a field as it stands there: Go minds no case.
fn key_of(all: &Map<String, Value>, name: &str) -> String {
    let other = || all.keys().find(|known| known.eq_ignore_ascii_case(name));
    if all.contains_key(name) { name.to_owned() } else { other().cloned().unwrap_or_default() }
}

/// A field that is text, or not there.
fn text(all: &Map<String, Value>, name: &str) -> Result<String, String> {
    match all.get(&key_of(all, name)) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{name}` is no text")),
    }
}

/// The login of an entry; `None` where it is empty.
fn login(entry: &Value) -> Result<Option<Login>, String> {
    let fields = match entry {
        Value::Object(fields) => fields,
        Value::Null => return Ok(None),
        _ => return Err("it is no object".to_owned()),
    };
    let token = text(fields, "identitytoken")?;
    if !token.is_empty() {
        return Ok(Some(Login::Identity(Secret::new(token))));
    }
    let (auth, user) = (text(fields, "auth")?, text(fields, "username")?);
    if auth.is_empty() {
        let password = Secret::new(text(fields, "password")?);
        return Ok((!user.is_empty()).then_some(Login::Password { user, password }));
    }
    let text = String::from_utf8(decoded(&auth).unwrap_or_default()).unwrap_or_default();
    let Some((user, password)) = text.split_once(':') else {
        return Err("`auth` is not base64 of a name, a colon and a password".to_owned());
    };
    let password = Secret::new(password.trim_end_matches('\0'));
    Ok(Some(Login::Password { user: user.to_owned(), password }))
}

/// Base64 as it is found: in several lines, without its end, in the form for addresses.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let usual = |c: char| match c {
        '-' => '+',
        '_' => '/',
        c => c,
    };
    let packed: String = text.split_whitespace().flat_map(str::chars).map(usual).collect();
    LENIENT.decode(packed.trim_end_matches('=')).ok()
}

fn program_of(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

/// Asks a helper for the login of a server; `None` where it knows none. What a helper
/// prints is never shown: it may be the secret.
fn ask(helper: &str, server: &str, env: &Env) -> Result<Option<Login>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if helper.is_empty() || !helper.chars().all(plain) {
        bail!("{helper:?} is not the name of a credential helper");
    }
    let here = Path::new(".");
    let name = program_of(helper);
    let program = Program::new(&name, here, env).arg("get").with_logins();
    let output = program.input(server.as_bytes()).confined(HELPER, PRINTED).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        if said.trim().contains(NOT_FOUND) || output.stderr.contains(NOT_FOUND) {
            return Ok(None);
        }
        return Err(failure(
            format!("`{name} get` failed for {server} ({})", output.status),
            format!("try `echo {server} | {name} get`"),
        ));
    }
    let helped: Helped = serde_json::from_slice(&output.stdout).map_err(|_| {
        failure(
            format!("`{name} get` printed for {server} what is no login"),
            format!("try `echo {server} | {name} get`"),
        )
    })?;
    let secret = Secret::new(helped.secret);
    Ok(Some(match helped.username == TOKEN_USER {
        true => Login::Identity(secret),
        false => Login::Password { user: helped.username, password: secret },
    }))
}

/// Reads a file of logins as if it were for several repositories. Helpers are not asked.
#[cfg(any(fuzzing, test))]
pub fn parse(bytes: &[u8]) {
    let Ok(stored) = Stored::parse(bytes) else { return };
    let (cred_helpers, creds_store) = (Map::new(), String::new());
    let mut stored = Stored { cred_helpers, creds_store, ..stored };
    for name in ["alpine", "ghcr.io/acme/app", "localhost:5000/a"] {
        let repository = Repository::parse(name).expect("the names above are repositories");
        let found = stored.find(&repository, &Env::scrub([]));
        assert!(found.is_ok(), "no entry stops the search for another");
        // Keys are said, and what belongs to them is not.
        assert!(stored.odd.iter().all(|odd| !odd.contains(char::is_control)), "{:?}", stored.odd);
    }
}

#[cfg(test)]
mod tests;
