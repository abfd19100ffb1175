//! A client of GitHub's REST API, as far as publishing takes it.
//! <https://docs.github.com/en/rest?apiVersion=2022-11-28>

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Slug;
use crate::finding::Help;
use crate::http::limits::{LIST, OBJECT, PAGE, PAGES};
use crate::http::{
    Body, Call, Fault, Http, HttpError, Method, Origin, Pages, Patience, Response, Url,
};
use crate::secret::Secret;

mod assets;
mod git;
mod pulls;
mod releases;
mod repositories;

pub use assets::{Asset, Upload};
pub use git::File;
pub use pulls::{NewPull, Pull};
pub use releases::{Change, NewRelease, Release};
pub use repositories::Repository;

/// Where GitHub's API is, unless GITHUB_API_URL says otherwise.
pub const API: &str = "https://api.github.com";

/// How many entries a page has.
const PER_PAGE: &str = "100";

/// GitHub, as whoever has the token.
pub struct GitHub<'a> {
    http: &'a Http<'a>,
    api: Url,
    /// What is sent as Authorization.
    token: Option<Secret>,
    /// The variable that the token comes from, for those who have to mend it.
    variable: &'static str,
}

impl<'a> GitHub<'a> {
    /// `api` is the address of the API, with or without a slash at its end.
    pub fn new(
        http: &'a Http<'a>,
        api: &Url,
        token: Option<&Secret>,
        variable: &'static str,
    ) -> GitHub<'a> {
        let token = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
        GitHub { http, api: api.clone(), token, variable }
    }

    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the token is a person's classic one or an OAuth app's, whose rights are scopes.
    /// <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>
    fn token_has_scopes(&self) -> bool {
        let token = self.token.as_ref().map_or("", Secret::expose);
        ["Bearer ghp_", "Bearer gho_"].iter().any(|start| token.starts_with(start))
    }

    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// The tries for one piece of work.
    pub fn patience(&self) -> Patience<'_> {
        Patience::new(self.http)
    }

    /// The address of a path below the API's.
    fn url(&self, path: &str) -> Url {
        self.api.below(path)
    }

    /// The address of something of a repository.
    fn of(&self, repository: &Slug, path: &str) -> Url {
        self.url(&format!("/repos/{}/{}{path}", repository.owner, repository.name))
    }

    /// Sends one request once, as whoever has the token.
    fn once(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Response, HttpError> {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let body = bytes.as_deref().map_or(Body::Empty, Body::Bytes);
        self.http.once(&self.call(method, url, body, OBJECT))
    }

    /// The same, tried again where that may help and cannot harm.
    fn send(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Response, HttpError> {
        let mut patience = Patience::new(self.http);
        loop {
            match self.once(method.clone(), url, body) {
                Ok(response) => return Ok(response),
                Err(error) => patience.wait(error)?,
            }
        }
    }

    fn call<'b>(&'b self, method: Method, url: &'b Url, body: Body<'b>, limit: u64) -> Call<'b> {
        let auth = self.token.as_ref().map(|token| (&self.api.origin, token));
        Call { method, url, headers: HEADERS, auth, body, limit }
    }

    /// Does what may have an effect although no answer came. After each failure `look`
    /// says whether what was wanted is there by now, whoever did it.
    fn settle<T>(
        &self,
        act: impl Fn() -> Result<T, HttpError>,
        look: impl Fn(&HttpError) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut patience = Patience::new(self.http);
        loop {
            let error = match act() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if let Some(done) = look(&error)? {
                return Ok(done);
            }
            patience.wait(error).map_err(|error| self.explain(error))?;
        }
    }

    /// What is at an address; `None` where there is nothing, or nothing that the token
    /// may see.
    fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<Option<T>> {
        match self.send(Method::GET, url, None) {
            Ok(response) => read(&response).map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// All entries of a list, which comes in pages.
    fn list<T: DeserializeOwned>(&self, url: &Url) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut pages = Pages::new(self.http, PAGES, LIST);
        let mut next = Some(url.with("per_page", PER_PAGE));
        while let Some(url) = next {
            let call = self.call(Method::GET, &url, Body::Empty, PAGE);
            let response = self.http.send(&call).map_err(|error| self.explain(error))?;
            all.extend(read::<Vec<T>>(&response)?);
            next = pages.next(&url, &response)?;
        }
        Ok(all)
    }

    /// Looks again and again, for so long at most.
    pub fn wait_until(&self, most: Duration, look: impl Fn() -> Result<bool>) -> Result<()> {
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(250);
        while !look()? {
            ensure!(waited < most, "it takes longer than {} s", most.as_secs());
            self.http.sleep(pause);
            waited += pause;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        Ok(())
    }

    /// What helps where GitHub refuses, in terms of the token.
    pub fn explain(&self, error: HttpError) -> anyhow::Error {
        let variable = self.variable;
        let needed = ["x-accepted-github-permissions", "x-accepted-oauth-scopes"]
            .iter()
            .find_map(|name| error.header(name).map(str::trim).filter(|text| !text.is_empty()))
            .map(|needed| format!("; GitHub asks for {needed}"))
            .unwrap_or_default();
        let help = match (error.status(), &self.token) {
            (Some(401 | 403 | 404), None) => format!("set {variable} to a token that may do this"),
            (Some(401), _) => {
                format!("the token of {variable} is not valid, or has expired: set it to another")
            }
            (Some(403 | 404), _) if !error.is_rate_limit() => {
                format!("give the token of {variable} the right to do this{needed}")
            }
            _ => return error.into(),
        };
        anyhow::Error::from(error).context(Help(help))
    }
}

/// What every request says. <https://docs.github.com/en/rest/about-the-rest-api/api-versions>
const HEADERS: &[(&str, &str)] =
    &[("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

/// What an answer says.
fn read<T: DeserializeOwned>(response: &Response) -> Result<T> {
    serde_json::from_slice(&response.body)
        .with_context(|| format!("read what {} answers", response.url))
}

/// The same, for those who match on errors.
fn read_once<T: DeserializeOwned>(response: &Response) -> Result<T, HttpError> {
    serde_json::from_slice(&response.body).map_err(|error| HttpError {
        call: format!("read what {} answers", response.url),
        // It was done, and what came of it can be looked up.
        fault: Fault::Transient(error.to_string()),
        tries: 1,
    })
}

/// Where assets are uploaded to: the API's own host, or the one that GitHub has for
/// that beside or below it. Nobody else gets the token.
/// <https://docs.github.com/en/enterprise-server/admin/configuring-settings/hardening-security-for-your-enterprise/enabling-subdomain-isolation>
fn is_for_uploads(api: &Origin, to: &Origin) -> bool {
    let server = api.host().strip_prefix("api.").unwrap_or(api.host());
    let known = to.host() == api.host() || to.host().strip_prefix("uploads.") == Some(server);
    known && to.scheme == api.scheme && to.port() == api.port()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Scheme;

    #[test]
    fn uploads_go_to_github_alone() {
        for (api, to, expected) in [
            ("api.github.com", "uploads.github.com", true),
            ("api.acme.ghe.com", "uploads.acme.ghe.com", true),
            ("ghe.acme.example", "ghe.acme.example", true),
            ("127.0.0.1:99", "127.0.0.1:99", true),
            ("127.0.0.1:99", "127.0.0.1:98", false),
            ("api.github.com", "uploads.github.com.evil.example", false),
            ("api.github.com", "uploads.github.com:444", false),
            ("ghe.acme.example", "uploads.ghe.acme.example", true),
            ("ghe.acme.example", "uploads.acme.example", false),
            ("api.ghe.acme.example", "uploads.ghe.acme.example", true),
            ("ghe.acme.example", "uploads.uploads.ghe.acme.example", false),
        ] {
            let origin = |text: &str| Origin::new(Scheme::Https, text).unwrap();
            assert_eq!(is_for_uploads(&origin(api), &origin(to)), expected, "{api} {to}");
        }
    }
}
