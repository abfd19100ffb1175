//! Releases, and drafts of them that nobody else sees.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{GitHub, read, read_once};
use crate::config::Slug;
use crate::http::{HttpError, Method};
use crate::version::ReleaseTag;

/// A release, drafts among them.
#[derive(Clone, Debug, Deserialize)]
pub struct Release {
    pub id: u64,
    pub tag_name: String,
    pub name: Option<String>,
    pub body: Option<String>,
    pub draft: bool,
    pub prerelease: bool,
    /// Whether it was published and cannot be changed.
    #[serde(default)]
    pub immutable: bool,
    /// Its page, for people.
    pub html_url: String,
    /// A URI template: the address ends before the brace.
    pub upload_url: String,
}

/// A release that is to be.
#[derive(Clone, Debug, Serialize)]
pub struct NewRelease {
    pub tag_name: String,
    /// The same, parsed.
    #[serde(skip)]
    pub tag: ReleaseTag,
    /// The tag's commit. GitHub is not told: to a workflow's token it refuses a commit whose
    /// workflows are not those of the main branch, though the tag exists.
    #[serde(skip)]
    pub commit: String,
    pub name: String,
    pub body: String,
    /// Whether the body replaces the one of an existing draft.
    #[serde(skip)]
    pub replaces_notes: bool,
    pub prerelease: bool,
}

/// What is changed of a release.
#[derive(Clone, Debug)]
pub enum ReleaseChange<'a> {
    Body(&'a str),
    /// It becomes public, and the latest one where `latest` says so.
    Publish {
        prerelease: bool,
        latest: bool,
    },
}

impl GitHub<'_> {
    /// All releases; drafts are among them where the token can write.
    pub fn releases(&self, repo: &Slug) -> Result<Vec<Release>> {
        self.list(&self.repo_url(repo, "/releases"))
    }

    pub fn release(&self, repo: &Slug, id: u64) -> Result<Option<Release>> {
        self.get(&self.repo_url(repo, &format!("/releases/{id}")), &[404])
    }

    /// Makes a draft, once.
    pub fn create_draft(&self, repo: &Slug, new: &NewRelease) -> Result<Release, HttpError> {
        let mut body = json!(new);
        body["draft"] = Value::Bool(true);
        read_once(&self.once(Method::POST, &self.repo_url(repo, "/releases"), Some(&body))?)
    }

    /// Changes a release; doing so again changes nothing.
    pub fn change_release(&self, repo: &Slug, id: u64, to: &ReleaseChange<'_>) -> Result<Release> {
        let body = match to {
            ReleaseChange::Body(body) => json!({ "body": body }),
            ReleaseChange::Publish { prerelease, latest } => json!({
                "draft": false,
                "prerelease": prerelease,
                "make_latest": if *latest { "true" } else { "false" },
            }),
        };
        let url = self.repo_url(repo, &format!("/releases/{id}"));
        let sent = self.send(Method::PATCH, &url, Some(&body));
        read(&sent.map_err(|error| self.explain(error))?)
    }

    /// Removes a release, if it still exists.
    pub fn delete_release(&self, repo: &Slug, id: u64) -> Result<()> {
        self.delete(&self.repo_url(repo, &format!("/releases/{id}")))
    }

    pub(super) fn delete(&self, url: &crate::http::Url) -> Result<()> {
        self.try_send(Method::DELETE, url, None, &[404]).map(drop)
    }
}
