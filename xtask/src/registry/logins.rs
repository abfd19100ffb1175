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
use crate::files::{self, limits};
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
pub fn find(
    repository: &Repository,
    github: Option<&Secret>,
    env: &Env,
    term: &Term,
) -> Result<Option<Login>> {
    for path in places(env) {
        let Some(bytes) = files::read_foreign_if_there(&path, limits::LOGINS)? else { continue };
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
    Ok(self::github(repository, github, env))
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

/// Reads a file of logins as if it were for several repositories. Helpers are not asked.
#[cfg(any(fuzzing, test))]
pub fn parse(bytes: &[u8]) {
    let Ok(stored) = serde_json::from_slice::<Stored>(bytes) else { return };
    let stored = Stored { cred_helpers: BTreeMap::new(), creds_store: String::new(), ..stored };
    for name in ["alpine", "ghcr.io/acme/app", "localhost:5000/a"] {
        let repository = Repository::parse(name).expect("the names above are repositories");
        let env = Env::scrub([]);
        if let Err(error) = stored.find(&repository, &env) {
            assert!(format!("{error:#}").contains("`auth` is not base64"), "{error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The user and the password, or the token alone.
    fn login(json: &str, name: &str) -> Option<(String, String)> {
        let stored: Stored = serde_json::from_str(json).unwrap();
        let found = stored.find(&Repository::parse(name).unwrap(), &Env::scrub([])).unwrap();
        found.map(|(login, _)| match login {
            Login::Password { user, password } => (user, password.expose().to_owned()),
            Login::Identity(token) => (TOKEN_USER.to_owned(), token.expose().to_owned()),
        })
    }

    #[test]
    fn the_most_exact_login_counts() {
        // `a:b`, `c:d:e` and `f:g`
        let json = r#"{"auths": {
            "ghcr.io": {"auth": "YTpi"},
            "ghcr.io/acme": {"auth": "YzpkOmU="},
            "https://index.docker.io/v1/": {"username": "u", "password": "p"},
            "quay.io": {"identitytoken": "t", "auth": "ZjpnCg=="},
            "empty.test": {}
        }}"#;
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (name, expected) in [
            ("ghcr.io/other/app", pair("a", "b")),
            ("ghcr.io/acme/app", pair("c", "d:e")),
            ("ghcr.io/acmes/app", pair("a", "b")),
            ("alpine", pair("u", "p")),
            ("quay.io/a/b", pair(TOKEN_USER, "t")),
            ("empty.test/a", None),
            ("other.test/a", None),
        ] {
            assert_eq!(login(json, name), expected, "{name}");
        }
    }

    #[test]
    fn logins_are_looked_for_where_other_tools_keep_them() {
        let env = |vars: &[(&str, &str)]| {
            Env::scrub(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())))
        };
        let home = ("HOME", "/h");
        for (vars, expected) in [
            (vec![home], vec!["/h/.docker/config.json", "/h/.config/containers/auth.json"]),
            (vec![home, ("REGISTRY_AUTH_FILE", "/a.json")], vec!["/a.json"]),
            (
                vec![home, ("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/r")],
                vec![
                    "/d/config.json",
                    "/r/containers/auth.json",
                    "/h/.config/containers/auth.json",
                ],
            ),
            (vec![], vec![]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(places(&env(&vars)), expected, "{vars:?}");
        }
    }

    #[test]
    fn what_is_no_login_is_refused_without_being_shown() {
        let stored: Stored =
            serde_json::from_str(r#"{"auths": {"ghcr.io": {"auth": "hunter2!"}}}"#).unwrap();
        let repository = Repository::parse("ghcr.io/a/b").unwrap();
        let error = stored.find(&repository, &Env::scrub([])).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        for helper in ["", "../x", "a b", "/bin/sh"] {
            assert!(ask(helper, "ghcr.io", &Env::scrub([])).is_err(), "{helper}");
        }
    }
}
