//! Branches, tags, and the files in them.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::{GitHub, read};
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
    /// git's name of what it holds.
    pub blob: String,
}

impl GitHub<'_> {
    /// The commit at a branch; `None` where there is no such branch.
    pub fn branch(&self, of: &Slug, branch: &str) -> Result<Option<String>> {
        Ok(self.reference(of, &format!("heads/{branch}"))?.map(|object| object.sha))
    }

    /// The commit that a tag names, annotated or not; `None` where there is no such tag.
    pub fn tag(&self, of: &Slug, tag: &str) -> Result<Option<String>> {
        let Some(mut object) = self.reference(of, &format!("tags/{tag}"))? else {
            return Ok(None);
        };
        // A tag may be of a tag; git itself follows those, too.
        for _ in 0..8 {
            if object.kind != "tag" {
                return Ok(Some(object.sha));
            }
            let url = self.of(of, &format!("/git/tags/{}", escaped(&object.sha)));
            let found: Option<Tag> = self.get(&url)?;
            object = found.with_context(|| format!("read the tag object of {tag}"))?.object;
        }
        bail!("{tag} is a tag of a tag of a tag, and so on");
    }

    fn reference(&self, of: &Slug, name: &str) -> Result<Option<Object>> {
        let url = self.of(of, &format!("/git/ref/{}", path(name)));
        let found: Option<Reference> = match self.send(Method::GET, &url, None) {
            Ok(response) => Some(read(&response)?),
            // 409, where the repository is empty, or is still being made.
            // <https://docs.github.com/en/rest/git#http-status-code>
            Err(error) if matches!(error.status(), Some(404 | 409)) => None,
            Err(error) => return Err(self.explain(error)),
        };
        // Some answers are of what only begins with the name.
        Ok(found.filter(|it| it.name == format!("refs/{name}")).map(|it| it.object))
    }

    /// The branches whose names begin so.
    pub fn branches(&self, of: &Slug, start: &str) -> Result<Vec<String>> {
        let url = self.of(of, &format!("/git/matching-refs/heads/{}", path(start)));
        let found: Vec<Reference> = self.list(&url)?;
        let name = |it: Reference| it.name.strip_prefix("refs/heads/").map(str::to_owned);
        Ok(found.into_iter().filter_map(name).collect())
    }

    /// Makes a branch at a commit. One that is there is left at what it is at, and that
    /// is returned.
    pub fn create_branch(&self, of: &Slug, branch: &str, commit: &str) -> Result<String> {
        let url = self.of(of, "/git/refs");
        let body = json!({ "ref": format!("refs/heads/{branch}"), "sha": commit });
        let act = || {
            self.once(Method::POST, &url, Some(&body))?;
            Ok(commit.to_owned())
        };
        // 422, where it is there.
        self.settle(act, |error| match error.is_transient() || error.status() == Some(422) {
            true => self.branch(of, branch),
            false => Ok(None),
        })
    }

    /// Brings a branch to a commit, whatever it was at.
    pub fn reset_branch(&self, of: &Slug, branch: &str, commit: &str) -> Result<()> {
        let url = self.of(of, &format!("/git/refs/heads/{}", path(branch)));
        let body = json!({ "sha": commit, "force": true });
        let sent = self.send(Method::PATCH, &url, Some(&body));
        sent.map(drop).map_err(|error| self.explain(error))
    }

    /// A file as a branch or a commit has it.
    pub fn file(&self, of: &Slug, file: &str, at: &str) -> Result<Option<File>> {
        let url = self.of(of, &format!("/contents/{}", path(file))).with("ref", at);
        let Some(content) = self.get::<Content>(&url)? else { return Ok(None) };
        let context = || format!("read {file} of {of} at {at}");
        // Of what is larger than a megabyte it says `none`.
        if content.encoding != "base64" {
            bail!("{}: GitHub gives it as {:?} and not as base64", context(), content.encoding);
        }
        let packed: String = content.content.split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(packed).with_context(context)?;
        let text = String::from_utf8(bytes).with_context(context)?;
        Ok(Some(File { text, blob: content.sha }))
    }

    /// Commits a file to a branch, once; `before` is what it replaces there.
    pub fn put_file(
        &self,
        of: &Slug,
        file: &str,
        branch: &str,
        text: &str,
        before: Option<&str>,
        message: &str,
    ) -> Result<(), HttpError> {
        let url = self.of(of, &format!("/contents/{}", path(file)));
        let mut body = json!({
            "message": message,
            "content": BASE64_STANDARD.encode(text),
            "branch": branch,
        });
        if let Some(before) = before {
            body["sha"] = before.into();
        }
        self.once(Method::PUT, &url, Some(&body)).map(drop)
    }
}

/// The parts of a path, escaped, with the slashes between them.
fn path(text: &str) -> String {
    text.split('/').map(escaped).collect::<Vec<_>>().join("/")
}
