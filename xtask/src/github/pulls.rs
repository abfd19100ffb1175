//! Pull requests.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{GitHub, read, read_once};
use crate::config::Slug;
use crate::http::{HttpError, Method};

/// A pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    /// Its page, for people.
    pub html_url: String,
}

/// A pull request that is to be opened.
#[derive(Clone, Debug, Serialize)]
pub struct NewPull {
    pub title: String,
    /// `owner:branch`
    pub head: String,
    /// The branch that is to be changed.
    pub base: String,
    pub body: String,
    /// Only for a branch in another repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintainer_can_modify: Option<bool>,
}

impl GitHub<'_> {
    /// The open pull requests of a branch, `owner:branch`.
    pub fn open_pulls(&self, repo: &Slug, head: &str) -> Result<Vec<Pull>> {
        self.list(&self.repo_url(repo, "/pulls").with("state", "open").with("head", head))
    }

    /// Opens a pull request, once.
    pub fn open_pull(&self, repo: &Slug, new: &NewPull) -> Result<Pull, HttpError> {
        let url = self.repo_url(repo, "/pulls");
        read_once(&self.once(Method::POST, &url, Some(&json!(new)))?)
    }

    /// Closes a pull request, and returns whether that was allowed: to whoever opened it, or
    /// can write to the repository.
    pub fn close_pull(&self, repo: &Slug, number: u64) -> Result<bool> {
        let url = self.repo_url(repo, &format!("/pulls/{number}"));
        let closed = json!({ "state": "closed" });
        let response = self.try_send(Method::PATCH, &url, Some(&closed), &[403, 404])?;
        Ok(response.map(|response| read::<Pull>(&response)).transpose()?.is_some())
    }
}
