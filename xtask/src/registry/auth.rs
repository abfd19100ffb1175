//! How a registry is convinced: by a password, or by tokens that are asked for.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::challenge::Challenge;
use super::logins::{self, Login, Search};
use super::{Registry, Site, TOKEN, locked};
use crate::finding::Help;
use crate::http::{Body, Call, HttpError, Method, Url, escaped};
use crate::secret::Secret;

/// What goes with each request at a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    header: Option<Secret>,
    /// Whether a login was found.
    known: bool,
    /// Where it is kept, or how to get one.
    about: String,
}

impl Authorization {
    /// The value of the header `Authorization`.
    pub fn header(&self) -> Option<&Secret> {
        self.header.as_ref()
    }

    pub fn differs(&self, other: &Authorization) -> bool {
        self.header != other.header
    }
}

/// What a token server answers; some use one name, some the other.
#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Registry<'_> {
    /// What goes with requests at the site: what went with the last one, or, where
    /// `asked` is what the registry wants now, something new.
    pub(super) fn authorization(
        &self,
        site: &Site,
        asked: Option<&Challenge>,
    ) -> Result<Authorization> {
        let scopes: Vec<&str> = site.scopes.iter().map(String::as_str).collect();
        let key = (site.server.origin.clone(), scopes.join(" "));
        // Held while it is asked for: others at the same site wait for the same token.
        let mut tokens = locked(&self.tokens);
        if let Some(kept) = tokens.get(&key).filter(|_| asked.is_none()) {
            return Ok(kept.clone());
        }
        let context = || format!("log in to {}", site.repository.registry());
        let new = match asked.or(site.server.challenge.as_ref()) {
            None => Authorization {
                header: None,
                known: false,
                about: format!(
                    "{} asked for no login: see whether {} is spelled right",
                    site.repository.registry(),
                    site.repository
                ),
            },
            Some(challenge) => self.convince(site, challenge).with_context(context)?,
        };
        tokens.insert(key, new.clone());
        Ok(new)
    }

    /// The same anew, unless another thread did that since `before`.
    pub(super) fn renew(
        &self,
        site: &Site,
        before: &Authorization,
        asked: Option<Challenge>,
    ) -> Result<Authorization> {
        let now = self.authorization(site, None)?;
        let asked = asked.or_else(|| site.server.challenge.clone());
        match (now.differs(before), &asked) {
            (false, Some(asked)) => self.authorization(site, Some(asked)),
            _ => Ok(now),
        }
    }

    fn convince(&self, site: &Site, challenge: &Challenge) -> Result<Authorization> {
        let Search { login, about } =
            logins::find(&site.repository, self.github, self.env, self.term)?;
        let known = login.is_some();
        let header = match (challenge, login) {
            (Challenge::Basic, Some(Login::Password { user, password })) => {
                Some(basic(&user, &password))
            }
            (Challenge::Basic, Some(Login::Identity(_))) => {
                anyhow::bail!(
                    "it wants a password, and the login kept {about} is an identity token"
                )
            }
            (Challenge::Basic, None) => None,
            (Challenge::Bearer { realm, service, scope }, login) => {
                let mut scopes = site.scopes.clone();
                scopes.extend(scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned));
                let mut scopes: Vec<String> = scopes.into_iter().collect();
                // Some token servers look at the first alone.
                let own = format!("repository:{}:", site.repository.path());
                scopes.sort_by_key(|scope| !scope.starts_with(&own));
                let realm = self.realm(site, realm)?;
                let known = (known, &*about);
                Some(self.token(&realm, service.as_deref(), &scopes, login, known)?)
            }
        };
        Ok(Authorization { header, known, about })
    }

    /// The token server's address, where it may be told a password: any host, as
    /// registries keep theirs elsewhere, but never with less protection than the
    /// registry itself.
    fn realm(&self, site: &Site, text: &str) -> Result<Url> {
        let realm = self.http.named(&Url::at(&site.server.origin, "/v2/"), text);
        realm.context("read where its tokens come from, so that no password is sent elsewhere")
    }

    /// Asks the realm for a token.
    fn token<'s>(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: impl IntoIterator<Item = &'s String>,
        login: Option<Login>,
        (known, about): (bool, &str),
    ) -> Result<Secret> {
        let scopes: Vec<&str> = scopes.into_iter().map(String::as_str).collect();
        let limited = |method, url| Call::new(method, url, TOKEN);
        let response = match &login {
            // https://distribution.github.io/distribution/spec/auth/oauth/
            Some(Login::Identity(token)) => {
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
                    Some(Login::Password { user, password }) => {
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
        // What serde would quote is the token.
        let token: Option<Token> = serde_json::from_slice(&response.body).ok();
        let token = token.with_context(|| format!("{realm} answers what is no token"))?;
        let text = if token.token.is_empty() { token.access_token } else { token.token };
        ensure!(!text.is_empty(), "{realm} answers without a token");
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(plain, "{realm} answers a token that no header can hold");
        Ok(Secret::new(format!("Bearer {text}")))
    }
}

fn basic(user: &str, password: &Secret) -> Secret {
    let pair = format!("{user}:{}", password.expose());
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// The token server's refusal, with what helps.
fn refused(error: HttpError, known: bool, about: &str) -> anyhow::Error {
    let refused = matches!(error.status(), Some(400..=403));
    let error = anyhow::Error::new(error);
    match (refused, known) {
        (false, _) => error,
        (true, true) => error.context(Help(format!(
            "it does not take the login that is kept {about}: log in again, for example with \
             `docker login`"
        ))),
        (true, false) => error.context(Help(about.to_owned())),
    }
}

/// A registry's refusal, with what helps.
pub(super) fn explain(error: HttpError, site: &Site, used: &Authorization) -> anyhow::Error {
    let denied = matches!(error.status(), Some(401 | 403))
        && error.answered_by() == Some(&site.server.origin);
    let error = anyhow::Error::new(error);
    if !denied {
        return error;
    }
    error.context(Help(match used.known {
        true => format!(
            "the login for {} that is kept {} may not do this: see whether its user or token has \
             the right to, and whether {} is spelled right",
            site.repository.registry(),
            used.about,
            site.repository
        ),
        false => used.about.clone(),
    }))
}
