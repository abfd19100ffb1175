//! The calls that change something, as far as they are known before anything is made.

use super::GitHub;
use crate::config::Slug;
use crate::version::ReleaseTag;

/// A call that a run would make.
#[derive(Clone, Debug)]
pub struct PlannedCall {
    pub method: &'static str,
    /// Its address; `…` stands for what only a call before it tells.
    pub at: String,
    /// What it is for.
    pub what: String,
}

impl PlannedCall {
    fn new(method: &'static str, at: String, what: impl Into<String>) -> PlannedCall {
        PlannedCall { method, at, what: what.into() }
    }
}

impl GitHub<'_> {
    /// The calls that make a draft with its files.
    pub fn draft_calls(&self, repo: &Slug, tag: &ReleaseTag, files: &[String]) -> Vec<PlannedCall> {
        let releases = self.repo_url(repo, "/releases").to_string();
        let assets = format!("{releases}/…/assets");
        let draft = PlannedCall::new("POST", releases, format!("a draft of {tag}"));
        let file = |name| PlannedCall::new("POST", format!("{assets}?name={name}"), "a file of it");
        std::iter::once(draft).chain(files.iter().map(file)).collect()
    }

    /// The call that makes a draft public.
    pub fn publish_call(&self, repo: &Slug, tag: &ReleaseTag) -> PlannedCall {
        let at = format!("{}/…", self.repo_url(repo, "/releases"));
        PlannedCall::new("PATCH", at, format!("to publish {tag}"))
    }

    /// The calls that ask for a change of a file, for which a branch is made in a fork.
    pub fn pull_calls(
        &self,
        repo: &Slug,
        branch: &str,
        file: &str,
        what: &str,
    ) -> Vec<PlannedCall> {
        let fork = self.api.below(&format!("/repos/…/{}", repo.name));
        vec![
            PlannedCall::new("POST", self.repo_url(repo, "/forks").to_string(), "a fork"),
            PlannedCall::new("POST", format!("{fork}/git/refs"), format!("the branch {branch}")),
            PlannedCall::new("PUT", format!("{fork}/contents/{file}"), what),
            PlannedCall::new("POST", self.repo_url(repo, "/pulls").to_string(), "the pull request"),
        ]
    }
}
