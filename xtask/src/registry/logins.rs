//! Logins that docker, podman and GitHub's runners keep.
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

/// A user's credentials.
#[derive(Clone, Debug)]
pub enum Login {
    Password {
        user: String,
        password: Secret,
    },
    /// A token that a token server takes instead of a password.
    Identity(Secret),
}

/// The result of a search for a login.
pub struct Search {
    pub login: Option<Login>,
    /// Where the login is kept, or how to get one.
    pub about: String,
}

/// A file of logins, docker's or podman's.
#[derive(Default)]
struct Stored {
    auths: Map<String, Value>,
    cred_helpers: Map<String, Value>,
    creds_store: String,
    /// Why parts of the file cannot be used.
    invalid: Vec<String>,
}

/// The output of a credential helper.
/// <https://github.com/docker/docker-credential-helpers#development>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperOutput {
    username: String,
    secret: String,
}

/// The user by which a helper marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";
/// The message of a helper that has no login.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The time-out of a helper, which may ask for a fingerprint.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest output of a helper, in bytes.
const HELPER_OUTPUT: u64 = 64 * 1024;

/// Finds the login for a repository. Entries for it that are invalid are reported if no other
/// is found.
pub fn find(
    repository: &Repository,
    github: Option<&Secret>,
    env: &Env,
    term: &Term,
) -> Result<Search> {
    let registry = repository.registry();
    let mut searched = Vec::new();
    let mut invalid = Vec::new();
    for path in files_of_logins(env) {
        let Some(bytes) = files::read_foreign_if_there(&path, limits::LOGINS)? else {
            searched.push(format!("{}, which does not exist", path.display()));
            continue;
        };
        searched.push(path.display().to_string());
        let context = || format!("read the logins in {}", path.display());
        let mut stored = Stored::parse(&bytes).map_err(|line| {
            failure(
                format!("{}: it is not valid JSON at line {line}", context()),
                "correct the file, or remove it and log in again",
            )
        })?;
        let login = stored.find(repository, env).with_context(context)?;
        for why in stored.invalid {
            term.detail(format_args!("{}: {why}", path.display()));
            invalid.push(why);
        }
        if let Some((login, storage)) = login {
            if matches!(storage, Storage::File(_)) && files::is_public(&path)? {
                term.finding(&Finding::warning(
                    "logins-public",
                    Place::file(&path),
                    "everybody on this machine can read its passwords",
                    format!("run `chmod 600 {}`", path.display()),
                ));
            }
            let about = match storage {
                Storage::File(key) => format!("for {} in {}", tame(&key), path.display()),
                Storage::Helper(name) => format!("by {name}, which {} names", path.display()),
            };
            return Ok(found(registry, login, about, term));
        }
    }
    if let Some(login) = self::github(repository, github, env) {
        return Ok(found(registry, login, "in GITHUB_TOKEN".to_owned(), term));
    }
    Ok(Search { login: None, about: not_found(registry, &searched, &invalid, env) })
}

fn found(registry: &str, login: Login, about: String, term: &Term) -> Search {
    term.detail(format_args!("log in to {registry} with the login kept {about}"));
    Search { login: Some(login), about }
}

/// The help if no login was found.
fn not_found(registry: &str, searched: &[String], invalid: &[String], env: &Env) -> String {
    let mut help = format!("no login for {registry} was found");
    if !searched.is_empty() {
        help = format!("{help} in {}", searched.join(", or in "));
    }
    if !invalid.is_empty() {
        help = format!("{help} ({})", invalid.join("; "));
    }
    match env.get("REGISTRY_AUTH_FILE").map(PathBuf::from) {
        // `docker login` writes to another file.
        Some(file) => format!(
            "{help}: REGISTRY_AUTH_FILE names only that file: unset it, or log in with `podman \
             login --authfile {} {registry}`",
            file.display()
        ),
        None => format!("{help}: log in, for example with `docker login {registry}`"),
    }
}

/// The files that may contain logins: only that of REGISTRY_AUTH_FILE, or else docker's and
/// podman's.
fn files_of_logins(env: &Env) -> Vec<PathBuf> {
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

/// The login of a GitHub workflow for GitHub's own registry.
fn github(repository: &Repository, token: Option<&Secret>, env: &Env) -> Option<Login> {
    let password = token?.clone();
    let user = env.get("GITHUB_ACTOR").and_then(|actor| actor.to_str()).unwrap_or("dockless");
    let login = || Login::Password { user: user.to_owned(), password };
    (repository.registry() == "ghcr.io").then(login)
}

/// Where a login is kept.
enum Storage {
    /// In the file itself, under this key.
    File(String),
    /// By this program.
    Helper(String),
}

impl Stored {
    /// Reads a file as docker does: it ignores a byte order mark and the case of names, and of
    /// equal names the last one counts. Fails with the line that is not valid JSON.
    fn parse(bytes: &[u8]) -> Result<Stored, usize> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Stored::default());
        }
        // The error of serde might quote a password.
        let mut all: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| error.line())?;
        let mut stored = Stored::default();
        stored.auths = stored.object(&mut all, "auths");
        stored.cred_helpers = stored.object(&mut all, "credHelpers");
        match text(&all, "credsStore") {
            Ok(name) => stored.creds_store = name,
            Err(why) => stored.invalid.push(why),
        }
        Ok(stored)
    }

    fn object(&mut self, all: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
        match all.remove(&key_of(all, name)) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(found)) => found,
            Some(_) => {
                self.invalid.push(format!("`{name}` is no object"));
                Map::new()
            }
        }
    }

    /// The login and where it is kept. Helpers come first, as in docker, which leaves empty
    /// entries in the file for them.
    fn find(&mut self, repository: &Repository, env: &Env) -> Result<Option<(Login, Storage)>> {
        let keys = keys(repository);
        let by_helper = |name: String, login| Some((login, Storage::Helper(program_of(&name))));
        let mut in_file = false;
        let named = keys.iter().find_map(|key| entries(&self.cred_helpers, key).into_iter().next());
        match named.map(|(server, helper)| (server.clone(), helper.clone())) {
            // An empty name means that the login is in the file itself.
            Some((_, Value::String(name))) if name.is_empty() => in_file = true,
            Some((server, Value::String(name))) => {
                let login = ask(&name, &server, env)?;
                return Ok(login.and_then(|login| by_helper(name, login)));
            }
            None | Some((_, Value::Null)) => {}
            Some((server, _)) => {
                self.invalid.push(format!("the helper for {} has no name", tame(&server)))
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
                    Ok(Some(login)) => return Ok(Some((login, Storage::File(known.clone())))),
                    Ok(None) => {}
                    Err(why) => self.invalid.push(format!("the login for {}: {why}", tame(known))),
                }
            }
        }
        Ok(None)
    }
}

/// The entries for a key, those with the shortest name first.
fn entries<'a>(all: &'a Map<String, Value>, key: &str) -> Vec<(&'a String, &'a Value)> {
    let mut found: Vec<_> = all.iter().filter(|(known, _)| bare_key(known) == key).collect();
    found.sort_by_key(|(known, _)| known.len());
    found
}

/// The name of a field as it is written in the file. Go ignores its case.
fn key_of(all: &Map<String, Value>, name: &str) -> String {
    let other = || all.keys().find(|known| known.eq_ignore_ascii_case(name));
    if all.contains_key(name) { name.to_owned() } else { other().cloned().unwrap_or_default() }
}

/// A field that is text. An absent one is empty.
fn text(all: &Map<String, Value>, name: &str) -> Result<String, String> {
    match all.get(&key_of(all, name)) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{name}` is no text")),
    }
}

/// The login of an entry; `None` if it is empty.
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
    let auth = text(fields, "auth")?;
    let user = text(fields, "username")?;
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

/// Base64 as it occurs: in several lines, without padding, in the alphabet for URLs.
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

/// Asks a helper for the login of a server; `None` if it has none. The output of a helper is
/// never shown: it may contain the secret.
fn ask(helper: &str, server: &str, env: &Env) -> Result<Option<Login>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if helper.is_empty() || !helper.chars().all(plain) {
        bail!("{helper:?} is not the name of a credential helper");
    }
    let name = program_of(helper);
    let fix = || format!("try `echo {server} | {name} get`");
    let program = Program::new(&name, Path::new("."), env).arg("get").with_logins();
    let output =
        program.input(server.as_bytes()).confined(HELPER_TIMEOUT, HELPER_OUTPUT).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        if printed.contains(NOT_FOUND) || output.stderr.contains(NOT_FOUND) {
            return Ok(None);
        }
        let why = format!("`{name} get` failed for {server} ({})", output.status);
        return Err(failure(why, fix()));
    }
    let output: HelperOutput = serde_json::from_slice(&output.stdout)
        .map_err(|_| failure(format!("`{name} get` printed no login for {server}"), fix()))?;
    let secret = Secret::new(output.secret);
    Ok(Some(if output.username == TOKEN_USER {
        Login::Identity(secret)
    } else {
        Login::Password { user: output.username, password: secret }
    }))
}

/// Reads a file of logins and finds those of several repositories. Helpers are not started.
#[cfg(any(fuzzing, test))]
pub fn parse(bytes: &[u8]) {
    let Ok(stored) = Stored::parse(bytes) else { return };
    let (cred_helpers, creds_store) = (Map::new(), String::new());
    let mut stored = Stored { cred_helpers, creds_store, ..stored };
    for name in ["alpine", "ghcr.io/acme/app", "localhost:5000/a"] {
        let repository = Repository::parse(name).expect("the names above are repositories");
        let found = stored.find(&repository, &Env::scrub([]));
        assert!(found.is_ok(), "no entry stops the search for another");
        // The reasons quote keys, but never values.
        let invalid = &stored.invalid;
        assert!(invalid.iter().all(|why| !why.contains(char::is_control)), "{invalid:?}");
    }
}

#[cfg(test)]
mod tests;
