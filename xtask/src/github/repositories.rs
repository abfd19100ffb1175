//! Repositories, and what a token can do with them.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::{GitHub, read};
use crate::config::Slug;
use crate::http::Method;

/// A repository, as the token's owner sees it.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its present name, `owner/name`: it may have been renamed.
    pub full_name: String,
    /// Its page, for people.
    pub html_url: String,
    pub default_branch: String,
    pub private: bool,
    pub archived: bool,
    /// The name of the repository that it is a fork of.
    pub parent: Option<String>,
    /// Whether the token can write to it; `None` where the forge does not tell.
    pub can_push: Option<bool>,
    /// The scopes of a classic token; `None` for any other.
    pub scopes: Option<Vec<String>>,
}

/// A repository, as GitHub describes it.
#[derive(Deserialize)]
struct Described {
    full_name: String,
    html_url: String,
    default_branch: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    fork: bool,
    parent: Option<Parent>,
    #[serde(default)]
    permissions: Permissions,
}

#[derive(Deserialize)]
struct Parent {
    full_name: String,
}

#[derive(Default, Deserialize)]
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

impl Described {
    fn with(self, scopes: Option<Vec<String>>) -> Repository {
        Repository {
            full_name: self.full_name,
            html_url: self.html_url,
            default_branch: self.default_branch,
            private: self.private,
            archived: self.archived,
            parent: self.parent.filter(|_| self.fork).map(|parent| parent.full_name),
            // What a workflow's token is told of its permissions is wrong.
            can_push: scopes.is_some().then_some(self.permissions.push),
            scopes,
        }
    }
}

impl Repository {
    /// Its present name, parsed.
    pub fn slug(&self) -> Result<Slug> {
        Slug::parse(&self.full_name)
            .with_context(|| format!("read the name of a repository, {:?}", self.full_name))
    }

    pub fn is_fork_of(&self, other: &Slug) -> bool {
        let other = other.to_string();
        self.parent.as_ref().is_some_and(|parent| parent.eq_ignore_ascii_case(&other))
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
        let described: Described = read(&response)?;
        let scopes = response.header("x-oauth-scopes").map(|text| {
            let all = text.split(',').map(str::trim).filter(|it| !it.is_empty());
            all.map(str::to_owned).collect::<Vec<_>>()
        });
        // An app's token has the header, too, and it is empty.
        let scopes = scopes.filter(|all| !all.is_empty() || self.token_has_scopes());
        Ok(Some(described.with(scopes)))
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
        let described: Described = read(&sent.map_err(|error| self.explain(error))?)?;
        Ok(described.with(None))
    }
}
