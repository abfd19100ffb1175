//! Repositories, and what a token may do with them.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::{GitHub, read};
use crate::config::Slug;
use crate::http::{Method, Patience};

/// A repository, as whoever asks sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Repository {
    full_name: String,
    /// Its page, for people.
    pub html_url: String,
    pub default_branch: String,
    #[serde(default)]
    pub private: bool,
    #[serde(default)]
    pub archived: bool,
    #[serde(default)]
    fork: bool,
    parent: Option<Box<Parent>>,
    #[serde(default)]
    permissions: Permissions,
    /// The scopes of a classic token; `None` for any other.
    #[serde(skip)]
    pub scopes: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parent {
    full_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Permissions {
    #[serde(default)]
    push: bool,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Immutable {
    enabled: bool,
}

impl Repository {
    /// The name that it has by now, for it may have been renamed.
    pub fn slug(&self) -> Result<Slug> {
        Slug::parse(&self.full_name)
            .with_context(|| format!("GitHub calls a repository {:?}", self.full_name))
    }

    pub fn is_fork_of(&self, other: &Slug) -> bool {
        let same = |parent: &Parent| parent.full_name.eq_ignore_ascii_case(&other.to_string());
        self.fork && self.parent.as_deref().is_some_and(same)
    }

    /// Whether whoever has the token is known to have no right to write to it. Of a token
    /// that is not classic nothing is known: in a workflow it says what nobody may.
    pub fn refuses_pushes(&self) -> bool {
        self.scopes.is_some() && !self.permissions.push
    }

    /// The scopes of a classic token, where none of them lets it write to such a repository.
    /// <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>
    pub fn unfit_scopes(&self) -> Option<String> {
        let scopes = self.scopes.as_ref()?;
        let fits = |it: &String| it == "repo" || (it == "public_repo" && !self.private);
        (!scopes.iter().any(fits)).then(|| match scopes.is_empty() {
            true => "no scope".to_owned(),
            false => format!("the scopes {}", scopes.join(", ")),
        })
    }
}

impl GitHub<'_> {
    /// The login of whoever has the token; `None` for a workflow's token, which is nobody's.
    pub fn login(&self) -> Result<Option<String>> {
        let url = self.url("/user");
        match self.send(Method::GET, &url, None) {
            Ok(response) => Ok(Some(read::<User>(&response)?.login)),
            // "Resource not accessible by integration"
            Err(error) if error.status() == Some(403) && !error.is_rate_limit() => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// A repository; `None` where there is none that the token may see.
    pub fn repository(&self, of: &Slug) -> Result<Option<Repository>> {
        let response = match self.send(Method::GET, &self.of(of, ""), None) {
            Ok(response) => response,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(self.explain(error)),
        };
        let repository: Repository = read(&response)?;
        let scopes = response.header("x-oauth-scopes").map(|text| {
            let all = text.split(',').map(str::trim).filter(|it| !it.is_empty());
            all.map(str::to_owned).collect::<Vec<_>>()
        });
        // Of an app's token it is said, too, and is empty.
        let scopes = scopes.filter(|all| !all.is_empty() || self.token_has_scopes());
        Ok(Some(Repository { scopes, ..repository }))
    }

    /// Whether published releases are frozen; `None` where the token may not know.
    pub fn freezes_releases(&self, of: &Slug) -> Result<Option<bool>> {
        match self.send(Method::GET, &self.of(of, "/immutable-releases"), None) {
            Ok(response) => Ok(Some(read::<Immutable>(&response)?.enabled)),
            Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Makes a fork that belongs to whoever has the token, or finds the one that is there.
    /// It may take a while until it can be used.
    pub fn fork(&self, of: &Slug) -> Result<Repository> {
        let url = self.of(of, "/forks");
        let body = json!({ "default_branch_only": true });
        let mut patience = Patience::new(self.http);
        loop {
            // Where there is one already, that is the answer.
            match self.once(Method::POST, &url, Some(&body)) {
                Ok(response) => return read(&response),
                Err(error) => patience.wait(error).map_err(|error| self.explain(error))?,
            }
        }
    }
}
