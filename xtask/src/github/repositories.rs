//! Repositories, and what a token can do with them.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::{GitHub, read};
use crate::config::Slug;
use crate::http::Method;

/// A repository, as the token's owner sees it.
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
    /// Its present name: it may have been renamed.
    pub fn slug(&self) -> Result<Slug> {
        Slug::parse(&self.full_name)
            .with_context(|| format!("GitHub calls a repository {:?}", self.full_name))
    }

    pub fn is_fork_of(&self, other: &Slug) -> bool {
        let same = |parent: &Parent| parent.full_name.eq_ignore_ascii_case(&other.to_string());
        self.fork && self.parent.as_deref().is_some_and(same)
    }

    /// Whether the owner of a classic token cannot write to it. For other tokens GitHub does
    /// not tell: in a workflow the permissions are wrong.
    pub fn denies_push(&self) -> bool {
        self.scopes.is_some() && !self.permissions.push
    }

    /// The scopes of a classic token, where none of them allows writing to the repository.
    /// <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>
    pub fn insufficient_scopes(&self) -> Option<String> {
        let scopes = self.scopes.as_ref()?;
        let fits = |it: &String| it == "repo" || (it == "public_repo" && !self.private);
        if scopes.iter().any(fits) {
            return None;
        }
        let none = scopes.is_empty().then(|| "no scope".to_owned());
        none.or_else(|| Some(format!("the scopes {}", scopes.join(", "))))
    }
}

impl GitHub<'_> {
    /// The login of the token's owner; `None` for a workflow's token, which has none.
    pub fn login(&self) -> Result<Option<String>> {
        let url = self.api.below("/user");
        // 403: "Resource not accessible by integration"
        Ok(self.get(&url, &[403])?.map(|user: User| user.login))
    }

    /// A repository; `None` where it does not exist or the token cannot see it.
    pub fn repository(&self, repo: &Slug) -> Result<Option<Repository>> {
        let url = self.repo_url(repo, "");
        let Some(response) = self.try_send(Method::GET, &url, None, &[404])? else {
            return Ok(None);
        };
        let repository: Repository = read(&response)?;
        let scopes = response.header("x-oauth-scopes").map(|text| {
            let all = text.split(',').map(str::trim).filter(|it| !it.is_empty());
            all.map(str::to_owned).collect::<Vec<_>>()
        });
        // An app's token has the header, too, and it is empty.
        let scopes = scopes.filter(|all| !all.is_empty() || self.token_has_scopes());
        Ok(Some(Repository { scopes, ..repository }))
    }

    /// Whether releases cannot be changed once published; `None` where the token cannot see it.
    pub fn has_immutable_releases(&self, repo: &Slug) -> Result<Option<bool>> {
        let url = self.repo_url(repo, "/immutable-releases");
        Ok(self.get(&url, &[403, 404])?.map(|it: Immutable| it.enabled))
    }

    /// Makes a fork that belongs to the token's owner. It may take a while until it can be
    /// used.
    pub fn fork(&self, repo: &Slug) -> Result<Repository> {
        let url = self.repo_url(repo, "/forks");
        let body = json!({ "default_branch_only": true });
        // An existing fork is the answer, too.
        let sent = self.send(Method::POST, &url, Some(&body));
        read(&sent.map_err(|error| self.explain(error))?)
    }
}
