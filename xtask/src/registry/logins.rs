//! Logins, where docker, podman and GitHub's runners keep them.
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::host::{DOCKER_HUB_KEY, bare_key, keys};
use crate::files;
use crate::finding::{Finding, Place, failure};
use crate::process::{Env, Program};
use crate::reference::Repository;
use crate::secret::Secret;
use crate::term::Term;

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

/// A file of logins, docker's or podman's.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
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

/// The login for a repository; `None` where there is none.
pub fn find(repository: &Repository, env: &Env, term: &Term) -> Result<Option<Login>> {
    for path in places(env) {
        let Some(bytes) = files::read_if_there(&path)? else { continue };
        // What serde would quote may be a password.
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
            failure(
                format!(
                    "read the logins in {}: it is not the JSON that is expected there, at line {}",
                    path.display(),
                    error.line()
                ),
                "mend the file, or remove it and log in again",
            )
        })?;
        let login = stored.find(repository, env);
        let login = login.with_context(|| format!("read the logins in {}", path.display()))?;
        if let Some((login, kept_here)) = login {
            if kept_here && files::is_public(&path)? {
                term.finding(&Finding::warning(
                    "logins-public",
                    Place::file(&path),
                    "everybody on this machine can read the passwords in it",
                    format!("run `chmod 600 {}`", path.display()),
                ));
            }
            return Ok(Some(login));
        }
    }
    Ok(github(repository, env))
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
fn github(repository: &Repository, env: &Env) -> Option<Login> {
    let token = env.get("GITHUB_TOKEN")?.to_str()?;
    let user = env.get("GITHUB_ACTOR").and_then(|actor| actor.to_str()).unwrap_or("dockless");
    let login = || Login::Password { user: user.to_owned(), password: Secret::new(token) };
    (repository.registry() == "ghcr.io").then(login)
}

impl Stored {
    /// The login, and whether it stands in the file itself. Helpers come first, as in
    /// docker, which leaves empty entries for what they hold.
    fn find(&self, repository: &Repository, env: &Env) -> Result<Option<(Login, bool)>> {
        let keys = keys(repository);
        let named = keys
            .iter()
            .find_map(|key| self.cred_helpers.iter().find(|(known, _)| bare_key(known) == key));
        if let Some((server, helper)) = named {
            return Ok(ask(helper, server, env)?.map(|login| (login, false)));
        }
        if !self.creds_store.is_empty() {
            let hub = repository.registry() == "docker.io";
            let server = if hub { DOCKER_HUB_KEY } else { repository.registry() };
            if let Some(login) = ask(&self.creds_store, server, env)? {
                return Ok(Some((login, false)));
            }
        }
        for key in &keys {
            for (known, entry) in self.auths.iter().filter(|(known, _)| bare_key(known) == key) {
                let login = entry.login();
                let login = login.with_context(|| format!("read the login for {known}"))?;
                if let Some(login) = login {
                    return Ok(Some((login, true)));
                }
            }
        }
        Ok(None)
    }
}

impl Entry {
    fn login(&self) -> Result<Option<Login>> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Login::Identity(Secret::new(&*self.identitytoken))));
        }
        if !self.auth.is_empty() {
            let decoded = STANDARD.decode(self.auth.trim()).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = text.as_deref().and_then(|text| text.split_once(':'));
            let Some((user, password)) = pair else {
                bail!("`auth` is not base64 of a name, a colon and a password");
            };
            let (user, password) = (user.to_owned(), Secret::new(password.trim_end_matches('\0')));
            return Ok(Some(Login::Password { user, password }));
        }
        let user = || self.username.clone();
        let login = || Login::Password { user: user(), password: Secret::new(&*self.password) };
        Ok((!self.username.is_empty()).then(login))
    }
}

/// Asks a helper for the login of a server; `None` where it knows none. What a helper
/// prints is never shown: it may be the secret.
fn ask(helper: &str, server: &str, env: &Env) -> Result<Option<Login>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if helper.is_empty() || !helper.chars().all(plain) {
        bail!("{helper:?} is not the name of a credential helper");
    }
    let here = Path::new(".");
    let name = format!("docker-credential-{helper}");
    let program = Program::new(&name, here, env).arg("get");
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
