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

/// A pull request that is to be.
#[derive(Clone, Debug, Serialize)]
pub struct NewPull {
    pub title: String,
    /// `owner:branch`
    pub head: String,
    /// The branch that is to take it.
    pub base: String,
    pub body: String,
    /// Of a branch in another repository alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintainer_can_modify: Option<bool>,
}

impl GitHub<'_> {
    /// The open pull requests of a branch, which is named as `owner:branch`.
    pub fn open_pulls(&self, of: &Slug, head: &str) -> Result<Vec<Pull>> {
        self.list(&self.of(of, "/pulls").with("state", "open").with("head", head))
    }

    /// Opens a pull request, once.
    pub fn open_pull(&self, of: &Slug, new: &NewPull) -> Result<Pull, HttpError> {
        let url = self.of(of, "/pulls");
        read_once(&self.once(Method::POST, &url, Some(&json!(new)))?)
    }

    /// Closes a pull request; whether that was allowed, as it is to those who opened it or
    /// may write to the repository.
    pub fn close_pull(&self, of: &Slug, number: u64) -> Result<bool> {
        let url = self.of(of, &format!("/pulls/{number}"));
        match self.send(Method::PATCH, &url, Some(&json!({ "state": "closed" }))) {
            Ok(response) => read::<Pull>(&response).map(|_| true),
            Err(error) if matches!(error.status(), Some(403 | 404)) && !error.is_rate_limit() => {
                Ok(false)
            }
            Err(error) => Err(self.explain(error)),
        }
    }
}
