//! A client of GitHub's REST API, as far as publishing needs it.
//! <https://docs.github.com/en/rest?apiVersion=2022-11-28>

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{ForgeKind, Slug};
use crate::finding::Help;
use crate::http::{
    Body, Call, Fault, Http, HttpError, Method, Origin, Pages, Patience, Response, Url,
};
use crate::secret::Secret;

mod assets;
mod calls;
mod git;
mod pulls;
mod rate_limit;
mod releases;
mod repositories;

use rate_limit::rate_limit;

pub use assets::{Asset, ReleaseFile};
pub use calls::PlannedCall;
pub use git::{File, NewFile};
pub use pulls::{NewPull, Pull};
pub use releases::{NewRelease, Release, ReleaseChange};
pub use repositories::Repository;

/// GitHub's API, unless GITHUB_API_URL names another.
pub const API: &str = "https://api.github.com";

/// Entries per page.
const PER_PAGE: &str = "100";
/// What is read of one thing, in bytes: a release has notes of up to 125,000 characters and
/// up to 1,000 files of some kB each.
const OBJECT: u64 = 8 << 20;
/// What is read of a page of a list, in bytes: a hundred releases with the longest of notes.
const PAGE: u64 = 64 << 20;
/// What is read of a list, in bytes: the 10,000 releases that GitHub shows, with notes of
/// 12 kB each.
const LIST: u64 = 128 << 20;
/// The pages of a list, which ends after 10,000 releases.
const PAGES: usize = 1000;

/// GitHub, as the owner of the token.
pub struct GitHub<'a> {
    http: &'a Http<'a>,
    api: Url,
    /// The header Authorization.
    token: Option<Secret>,
    /// The variable that the token comes from, for messages.
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

    pub fn kind(&self) -> ForgeKind {
        ForgeKind::GitHub
    }

    /// How one gets a token that publishes releases.
    pub fn token_help(&self) -> &'static str {
        "set it to a token that may write to the repository: by hand \
         `GITHUB_TOKEN=$(gh auth token)`; in a workflow `${{ github.token }}`, with the permission \
         `contents: write`"
    }

    /// The retries of one piece of work.
    pub fn patience(&self) -> Patience<'_> {
        Patience::new(self.http)
    }

    /// An address in a repository.
    fn repo_url(&self, repo: &Slug, path: &str) -> Url {
        self.api.below(&format!("/repos/{}/{}{path}", repo.owner, repo.name))
    }

    /// Sends a request once, with the token.
    fn once(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Response, HttpError> {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let body = bytes.as_deref().map_or(Body::Empty, Body::Bytes);
        self.http.once(&self.call(method, url, body, OBJECT))
    }

    /// Sends a request, and again where it fails in a way that may pass.
    fn send(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Response, HttpError> {
        self.http.retry(|| self.once(method.clone(), url, body))
    }

    /// Sends a request; `None` where it is refused with one of these statuses, and not by a
    /// rate limit.
    fn try_send(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
        absent: &[u16],
    ) -> Result<Option<Response>> {
        match self.send(method, url, body) {
            Ok(response) => Ok(Some(response)),
            Err(error)
                if error.rate_limit().is_none()
                    && error.status().is_some_and(|status| absent.contains(&status)) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    fn call<'b>(&'b self, method: Method, url: &'b Url, body: Body<'b>, limit: u64) -> Call<'b> {
        let auth = self.token.as_ref().map(|token| (&self.api.origin, token));
        Call { method, url, headers: HEADERS, auth, body, limit, rate_limit }
    }

    /// What is at an address; `None` where it is refused with one of these statuses. 404 is
    /// also what the token cannot see.
    fn get<T: DeserializeOwned>(&self, url: &Url, absent: &[u16]) -> Result<Option<T>> {
        self.try_send(Method::GET, url, None, absent)?.map(|response| read(&response)).transpose()
    }

    /// All entries of a list, page by page.
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

    /// Adds what helps where GitHub refuses the token.
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
                format!("the token in {variable} is not valid, or has expired: set another one")
            }
            (Some(403 | 404), _) if error.rate_limit().is_none() => {
                format!("give the token in {variable} the right to do this{needed}")
            }
            _ => return error.into(),
        };
        anyhow::Error::from(error).context(Help(help))
    }
}

/// The headers of every request. <https://docs.github.com/en/rest/about-the-rest-api/api-versions>
const HEADERS: &[(&str, &str)] =
    &[("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

/// The body of an answer, parsed.
fn read<T: DeserializeOwned>(response: &Response) -> Result<T> {
    serde_json::from_slice(&response.body)
        .with_context(|| format!("read what {} answers", response.url))
}

/// The same, with an error that is transient.
fn read_once<T: DeserializeOwned>(response: &Response) -> Result<T, HttpError> {
    serde_json::from_slice(&response.body).map_err(|error| HttpError {
        call: format!("read what {} answers", response.url),
        // The request took effect, and the result can be looked up.
        fault: Fault::Transient(error.to_string()),
        tries: 1,
    })
}

/// Whether assets may be uploaded there: to the API's own host, or to the host for uploads
/// beside or below it. No other host gets the token.
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
