//! Releases: drafts that nobody sees, and what was published.

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
    /// Whether it was frozen when it was published.
    #[serde(default)]
    pub immutable: bool,
    /// Its page, for people.
    pub html_url: String,
    /// A template: what stands before the brace is the address.
    pub upload_url: String,
}

/// A release that is to be.
#[derive(Clone, Debug, Serialize)]
pub struct NewRelease {
    pub tag_name: String,
    /// The same, as what it announces.
    #[serde(skip)]
    pub tag: ReleaseTag,
    /// What the tag is at. GitHub is not told: it refuses a commit whose workflows are not
    /// those of the main branch to a workflow's token, though the tag is there.
    #[serde(skip)]
    pub commit: String,
    pub name: String,
    pub body: String,
    pub prerelease: bool,
}

/// What is changed of a release.
#[derive(Clone, Debug)]
pub enum Change<'a> {
    Body(&'a str),
    /// It is shown to everybody, and as the latest one where it is.
    Publish {
        prerelease: bool,
        latest: bool,
    },
}

impl GitHub<'_> {
    /// All releases, with the drafts among them where the token may write.
    pub fn releases(&self, of: &Slug) -> Result<Vec<Release>> {
        self.list(&self.of(of, "/releases"))
    }

    pub fn release(&self, of: &Slug, id: u64) -> Result<Option<Release>> {
        self.get(&self.of(of, &format!("/releases/{id}")))
    }

    /// Makes a draft. Where an answer is lost, `look` finds what was made.
    pub fn create_draft(
        &self,
        of: &Slug,
        new: &NewRelease,
        look: impl Fn() -> Result<Option<Release>>,
    ) -> Result<Release> {
        let mut body = json!(new);
        body["draft"] = Value::Bool(true);
        let url = self.of(of, "/releases");
        let act = || read_once(&self.once(Method::POST, &url, Some(&body))?);
        self.settle(act, |error: &HttpError| match error.is_transient() {
            true => look(),
            false => Ok(None),
        })
    }

    /// Changes a release. To do it twice is to do it once.
    pub fn change_release(&self, of: &Slug, id: u64, change: &Change<'_>) -> Result<Release> {
        let body = match change {
            Change::Body(body) => json!({ "body": body }),
            Change::Publish { prerelease, latest } => json!({
                "draft": false,
                "prerelease": prerelease,
                "make_latest": if *latest { "true" } else { "false" },
            }),
        };
        let url = self.of(of, &format!("/releases/{id}"));
        let sent = self.send(Method::PATCH, &url, Some(&body));
        read(&sent.map_err(|error| self.explain(error))?)
    }

    /// Removes a release, unless somebody else was faster.
    pub fn delete_release(&self, of: &Slug, id: u64) -> Result<()> {
        self.delete(&self.of(of, &format!("/releases/{id}")))
    }

    pub(super) fn delete(&self, url: &crate::http::Url) -> Result<()> {
        match self.send(Method::DELETE, url, None) {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Ok(()),
            Err(error) => Err(self.explain(error)),
        }
    }
}
