//! Authentication: by a password, or by tokens of a token server.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::challenge::Challenge;
use super::logins::{self, Login as Stored, Search};
use super::{Registry, Site, TOKEN, grants, locked};
use crate::finding::Help;
use crate::http::{Body, Call, HttpError, Method, Url, escaped};
use crate::reference::Repository;
use crate::secret::Secret;

/// What authorizes the requests at a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    header: Option<Secret>,
    /// Whether a login was found.
    known: bool,
    /// Where the login is kept, or how to get one.
    about: String,
}

impl Authorization {
    /// The value of the header `Authorization`.
    pub fn header(&self) -> Option<&Secret> {
        self.header.as_ref()
    }

    /// What is known of the login, of what may be shown.
    pub fn login(&self, repository: &Repository) -> Login {
        let granted = self.header.as_ref().and_then(|header| grants::push(header, repository));
        Login { about: self.known.then(|| self.about.clone()), grants_push: granted }
    }

    /// What helps where the registry refuses it.
    pub fn refused_help(&self, site: &Site) -> String {
        if !self.known {
            return self.about.clone();
        }
        format!(
            "the login for {} kept {} has no access: check the rights of its user or token, and \
             the spelling of {}",
            site.repository.registry(),
            self.about,
            site.repository
        )
    }

    pub fn differs(&self, other: &Authorization) -> bool {
        self.header != other.header
    }
}

/// What a push would log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Where it is kept; `None` where there is none, or none is asked for.
    pub about: Option<String>,
    /// Whether the token server grants pushing; `None` where its token does not tell.
    pub grants_push: Option<bool>,
}

/// A token server's response. Servers use either name.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    token: String,
    access_token: String,
}

impl Registry<'_> {
    /// The authorization for the site. A rejected one is replaced, by the challenge that came
    /// with the rejection, unless another thread has done so.
    pub(super) fn authorization(
        &self,
        site: &Site,
        rejected: Option<(&Authorization, Option<Challenge>)>,
    ) -> Result<Authorization> {
        let scopes: Vec<&str> = site.scopes.iter().map(String::as_str).collect();
        let key = (site.server.origin.clone(), scopes.join(" "));
        // Locked during the login, so that other threads wait for the same token.
        let mut tokens = locked(&self.tokens);
        if let Some(kept) = tokens.get(&key)
            && rejected.as_ref().is_none_or(|(old, _)| kept.differs(old))
        {
            return Ok(kept.clone());
        }
        let context = || format!("log in to {}", site.repository.registry());
        let asked = rejected.and_then(|(_, asked)| asked);
        let new = match asked.as_ref().or(site.server.challenge.as_ref()) {
            None => Authorization {
                header: None,
                known: false,
                about: format!(
                    "{} asked for no login: check the spelling of {}",
                    site.repository.registry(),
                    site.repository
                ),
            },
            Some(challenge) => self.authenticate(site, challenge).with_context(context)?,
        };
        tokens.insert(key, new.clone());
        Ok(new)
    }

    fn authenticate(&self, site: &Site, challenge: &Challenge) -> Result<Authorization> {
        let Search { login, about } =
            logins::find(&site.repository, self.github, self.env, self.term)?;
        let known = login.is_some();
        let header = match (challenge, login) {
            (Challenge::Basic, Some(Stored::Password { user, password })) => {
                Some(basic(&user, &password))
            }
            (Challenge::Basic, Some(Stored::Identity(_))) => {
                anyhow::bail!(
                    "it needs a password, but the login kept {about} is an identity token"
                )
            }
            (Challenge::Basic, None) => None,
            (Challenge::Bearer { realm, service, scope }, login) => {
                let mut scopes = site.scopes.clone();
                scopes.extend(scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned));
                let mut scopes: Vec<String> = scopes.into_iter().collect();
                // Some token servers only read the first scope.
                let own = format!("repository:{}:", site.repository.path());
                scopes.sort_by_key(|scope| !scope.starts_with(&own));
                // The token server may be on another host, but not with less protection than
                // the registry: it gets the password.
                let realm = self.http.resolve_url(&Url::at(&site.server.origin, "/v2/"), realm);
                let realm = realm.context("read the realm of its challenge")?;
                let known = (known, &*about);
                Some(self.token(&realm, service.as_deref(), &scopes, login, known)?)
            }
        };
        Ok(Authorization { header, known, about })
    }

    /// Requests a token from the realm.
    fn token(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
        login: Option<Stored>,
        (known, about): (bool, &str),
    ) -> Result<Secret> {
        let limited = |method, url| Call::new(method, url, TOKEN);
        let response = match &login {
            // https://distribution.github.io/distribution/spec/auth/oauth/
            Some(Stored::Identity(token)) => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "dockless"),
                    ("service", service.unwrap_or_default()),
                    ("scope", &scopes.join(" ")),
                    ("refresh_token", token.expose()),
                ];
                let form = fields.map(|(name, value)| format!("{name}={}", escaped(value)));
                let form = form.join("&");
                let headers = &[("content-type", "application/x-www-form-urlencoded")];
                let body = Body::Bytes(form.as_bytes());
                self.http.send(&Call { headers, body, ..limited(Method::POST, realm) })
            }
            login => {
                let mut url = realm.clone();
                if let Some(service) = service {
                    url = url.with("service", service);
                }
                url = scopes.iter().fold(url, |url, scope| url.with("scope", scope));
                let header = match login {
                    Some(Stored::Password { user, password }) => {
                        url = url.with("account", user);
                        Some(basic(user, password))
                    }
                    _ => None,
                };
                let auth = header.as_ref().map(|header| (&realm.origin, header));
                self.http.send(&Call { auth, ..limited(Method::GET, &url) })
            }
        };
        let response = response.map_err(|error| refused(error, known, about))?;
        // The error of serde might quote the token.
        let token: Option<Token> = serde_json::from_slice(&response.body).ok();
        let token = token.with_context(|| format!("{realm} answers with no JSON of a token"))?;
        let text = if token.token.is_empty() { token.access_token } else { token.token };
        ensure!(!text.is_empty(), "{realm} answers without a token");
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(plain, "{realm} answers with a token that is not valid in a header");
        Ok(Secret::new(format!("Bearer {text}")))
    }
}

fn basic(user: &str, password: &Secret) -> Secret {
    let pair = format!("{user}:{}", password.expose());
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// Adds help to a token server's refusal.
fn refused(error: HttpError, known: bool, about: &str) -> anyhow::Error {
    let refused = matches!(error.status(), Some(400..=403));
    let error = anyhow::Error::new(error);
    match (refused, known) {
        (false, _) => error,
        (true, true) => error.context(Help(format!(
            "it rejects the login kept {about}: log in again, for example with `docker login`"
        ))),
        (true, false) => error.context(Help(about.to_owned())),
    }
}

/// Adds help to a registry's refusal.
pub(super) fn explain(error: HttpError, site: &Site, used: &Authorization) -> anyhow::Error {
    let denied = matches!(error.status(), Some(401 | 403))
        && error.answered_by() == Some(&site.server.origin);
    let error = anyhow::Error::new(error);
    if !denied {
        return error;
    }
    error.context(Help(used.refused_help(site)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::{Server, Timing};
    use super::*;
    use crate::cache::Cache;
    use crate::http::{Fault, Origin, Proxies, Scheme, offline};
    use crate::process::Env;
    use crate::term::Term;

    /// How often a call is tried, and whether it succeeds, where the first `expired` tokens are
    /// rejected and another thread has renewed each of them meanwhile.
    fn tried(expired: usize) -> (usize, bool) {
        let term = Term::silent();
        let http = offline(Proxies::default());
        let env = Env::scrub([]);
        let blobs = Cache::none().blobs().unwrap();
        let registry = Registry::new(&http, &env, None, &blobs, 1, &term);
        let repository = Repository::parse("r.test/a").unwrap();
        let origin = Origin::new(Scheme::Https, "r.test").unwrap();
        let server = Server { origin: origin.clone(), challenge: Some(Challenge::Basic) };
        let (server, scopes) = (Arc::new(server), BTreeSet::new());
        let site = Site { server, repository, scopes, timing: Timing::Due };
        let renew = |at: usize| {
            let header = Some(Secret::new(at.to_string()));
            let new = Authorization { header, known: true, about: String::new() };
            locked(&registry.tokens).insert((origin.clone(), String::new()), new);
        };
        renew(0);
        let tries = Cell::new(0);
        let done = registry.authorized(&site, |auth| {
            assert_eq!(auth.unwrap().1.expose(), tries.get().to_string());
            tries.set(tries.get() + 1);
            if tries.get() > expired {
                return Ok(());
            }
            renew(tries.get());
            let (from, headers) = (origin.clone(), Box::default());
            let body = Vec::new();
            let fault = Fault::Status { status: 401, from, headers, body, rate_limit: |_| None };
            Err(HttpError { call: String::new(), fault, tries: 1 })
        });
        (tries.get(), done.is_ok())
    }

    #[test]
    fn a_token_that_another_thread_renewed_may_have_expired_too() {
        for (expired, expected) in
            [(0, (1, true)), (1, (2, true)), (4, (5, true)), (99, (5, false))]
        {
            assert_eq!(tried(expired), expected, "{expired}");
        }
    }
}
