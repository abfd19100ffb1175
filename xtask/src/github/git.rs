//! Branches, tags, and the files in them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use crate::config::Slug;
use crate::http::{HttpError, Method, escaped};

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "ref")]
    name: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Tag {
    object: Object,
}

#[derive(Deserialize)]
struct Content {
    sha: String,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    content: String,
}

/// A text file in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub text: String,
    /// git's name of its contents.
    pub blob: String,
}

/// A text file that is to be committed.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    pub path: &'a str,
    pub text: &'a str,
    /// git's name of the contents that it replaces.
    pub replaces: Option<&'a str>,
    /// The commit's.
    pub message: &'a str,
}

impl GitHub<'_> {
    /// The commit at a branch; `None` where there is no such branch.
    pub fn branch(&self, repo: &Slug, branch: &str) -> Result<Option<String>> {
        Ok(self.reference(repo, &format!("heads/{branch}"))?.map(|object| object.sha))
    }

    /// The commit that a tag names, annotated or not; `None` where there is no such tag.
    pub fn tag(&self, repo: &Slug, tag: &str) -> Result<Option<String>> {
        let Some(mut object) = self.reference(repo, &format!("tags/{tag}"))? else {
            return Ok(None);
        };
        // A tag may name a tag; git itself follows those, too.
        for _ in 0..8 {
            if object.kind != "tag" {
                return Ok(Some(object.sha));
            }
            let url = self.repo_url(repo, &format!("/git/tags/{}", escaped(&object.sha)));
            let found: Option<Tag> = self.get(&url, &[404])?;
            object = found.with_context(|| format!("read the tag object of {tag}"))?.object;
        }
        bail!("{tag} is a tag of a tag of a tag, and so on");
    }

    fn reference(&self, repo: &Slug, name: &str) -> Result<Option<Object>> {
        let url = self.repo_url(repo, &format!("/git/ref/{}", path(name)));
        // 409, where the repository is empty, or is still being made.
        // <https://docs.github.com/en/rest/git#http-status-code>
        let found: Option<Reference> = self.get(&url, &[404, 409])?;
        // Some answers are of names that only begin with this one.
        Ok(found.filter(|it| it.name == format!("refs/{name}")).map(|it| it.object))
    }

    /// The branches whose names begin with a prefix.
    pub fn branches(&self, repo: &Slug, prefix: &str) -> Result<Vec<String>> {
        let url = self.repo_url(repo, &format!("/git/matching-refs/heads/{}", path(prefix)));
        let found: Vec<Reference> = self.list(&url)?;
        let name = |it: Reference| it.name.strip_prefix("refs/heads/").map(str::to_owned);
        Ok(found.into_iter().filter_map(name).collect())
    }

    /// Makes a branch at a commit, once. A branch that exists is a 422.
    pub fn create_branch(&self, repo: &Slug, branch: &str, commit: &str) -> Result<(), HttpError> {
        let url = self.repo_url(repo, "/git/refs");
        let body = json!({ "ref": format!("refs/heads/{branch}"), "sha": commit });
        self.once(Method::POST, &url, Some(&body)).map(drop)
    }

    /// Waits until a branch can be used, as those of a new fork after a while.
    pub fn await_branch(&self, repo: &Slug, branch: &str, limit: Duration) -> Result<()> {
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(250);
        while self.branch(repo, branch)?.is_none() {
            ensure!(waited < limit, "it takes longer than {} s", limit.as_secs());
            self.http.sleep(pause);
            waited += pause;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        Ok(())
    }

    /// Moves a branch to a commit, whatever it was at.
    pub fn reset_branch(&self, repo: &Slug, branch: &str, commit: &str) -> Result<()> {
        let url = self.repo_url(repo, &format!("/git/refs/heads/{}", path(branch)));
        let body = json!({ "sha": commit, "force": true });
        self.try_send(Method::PATCH, &url, Some(&body), &[]).map(drop)
    }

    /// A file as a branch or a commit has it.
    pub fn file(&self, repo: &Slug, file: &str, at: &str) -> Result<Option<File>> {
        let url = self.repo_url(repo, &format!("/contents/{}", path(file))).with("ref", at);
        let Some(content) = self.get::<Content>(&url, &[404])? else { return Ok(None) };
        let context = || format!("read {file} of {repo} at {at}");
        // Of files over a megabyte it says `none`.
        if content.encoding != "base64" {
            bail!("{}: GitHub sends it as {:?}, not as base64", context(), content.encoding);
        }
        let packed: String = content.content.split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(packed).with_context(context)?;
        let text = String::from_utf8(bytes).with_context(context)?;
        Ok(Some(File { text, blob: content.sha }))
    }

    /// Commits a file to a branch, once.
    pub fn put_file(&self, repo: &Slug, branch: &str, new: &NewFile<'_>) -> Result<(), HttpError> {
        let url = self.repo_url(repo, &format!("/contents/{}", path(new.path)));
        let mut body = json!({
            "message": new.message,
            "content": BASE64_STANDARD.encode(new.text),
            "branch": branch,
        });
        if let Some(replaced) = new.replaces {
            body["sha"] = replaced.into();
        }
        self.once(Method::PUT, &url, Some(&body)).map(drop)
    }
}

/// The parts of a path, escaped, with the slashes between them.
fn path(text: &str) -> String {
    text.split('/').map(escaped).collect::<Vec<_>>().join("/")
}
