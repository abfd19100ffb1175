//! The files of releases.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use serde::Deserialize;

use super::releases::Release;
use super::{GitHub, HEADERS, is_for_uploads, read_once};
use crate::config::Slug;
use crate::digest::Digest;
use crate::http::limits::OBJECT;
use crate::http::{Body, Call, HttpError, Method, Patience, Url};

/// A file of a release.
#[derive(Clone, Debug, Deserialize)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    state: String,
    pub size: u64,
    /// `sha256:…`; older servers do not say it.
    digest: Option<String>,
}

/// A file that is to become one.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    pub name: &'a str,
    pub path: &'a Path,
    /// In bytes.
    pub size: u64,
    pub digest: &'a Digest,
}

impl Asset {
    /// Whether all of it came; of others GitHub keeps the name and nothing else.
    pub fn is_whole(&self) -> bool {
        self.state == "uploaded"
    }

    /// Whether GitHub says its digest.
    pub fn has_digest(&self) -> bool {
        self.named_digest().is_some()
    }

    fn named_digest(&self) -> Option<&str> {
        self.digest.as_deref().filter(|text| text.starts_with("sha256:"))
    }
}

impl GitHub<'_> {
    pub fn assets(&self, of: &Slug, release: u64) -> Result<Vec<Asset>> {
        self.list(&self.of(of, &format!("/releases/{release}/assets")))
    }

    /// A file as it is now; `None` where it was removed.
    pub fn asset(&self, of: &Slug, asset: &Asset) -> Result<Option<Asset>> {
        self.get(&self.of(of, &format!("/releases/assets/{}", asset.id)))
    }

    /// The digest of what GitHub has, which is downloaded where GitHub doesn't say it.
    pub fn digest(&self, of: &Slug, asset: &Asset) -> Result<Digest> {
        match asset.named_digest() {
            Some(text) => Digest::parse(text)
                .with_context(|| format!("read the digest that GitHub has of {}", asset.name)),
            None => self.downloaded_digest(of, asset),
        }
    }

    fn downloaded_digest(&self, of: &Slug, asset: &Asset) -> Result<Digest> {
        let url = self.of(of, &format!("/releases/assets/{}", asset.id));
        let auth = self.token.as_ref().map(|token| (&self.api.origin, token));
        let headers = &[("accept", "application/octet-stream"), HEADERS[1]];
        let call = Call { headers, auth, ..Call::new(Method::GET, &url, asset.size) };
        let mut patience = Patience::new(self.http);
        loop {
            match self.hashed(&call, asset.size) {
                Ok(digest) => return Ok(digest),
                Err(error) => patience.wait(error).map_err(|error| self.explain(error))?,
            }
        }
    }

    fn hashed(&self, call: &Call<'_>, size: u64) -> Result<Digest, HttpError> {
        // One byte more than there should be makes another digest.
        let body = self.http.open(call)?.body.take(size.saturating_add(1));
        Digest::of_reader(body).map_err(|error| call.cut(&error))
    }

    /// Sends a file to a release, once.
    /// <https://docs.github.com/en/rest/releases/assets#upload-a-release-asset>
    pub fn upload(
        &self,
        to: &Url,
        file: &Upload<'_>,
        bar: &ProgressBar,
    ) -> Result<Asset, HttpError> {
        let url = to.with("name", file.name);
        let auth = self.token.as_ref().map(|token| (&to.origin, token));
        let headers = &[HEADERS[0], HEADERS[1], ("content-type", media_type(file.name))];
        let body = Body::File {
            path: file.path,
            from: 0,
            size: file.size,
            digest: Some(file.digest),
            bar,
        };
        let call = Call { headers, auth, body, ..Call::new(Method::POST, &url, OBJECT) };
        read_once(&self.http.once(&call)?)
    }

    /// Where files of a release are sent. Anything but GitHub's own place is refused.
    pub fn uploads(&self, release: &Release) -> Result<Url> {
        let text = release.upload_url.split('{').next().unwrap_or_default();
        let url = self.http.resolve_url(&self.api, text);
        let url = url.context("read where GitHub wants files to be sent")?;
        if !is_for_uploads(&self.api.origin, &url.origin) {
            bail!(
                "GitHub's API at {} wants files to be sent to {}, which is another's server",
                self.api.origin,
                url.origin
            );
        }
        Ok(url)
    }

    pub fn delete_asset(&self, of: &Slug, asset: &Asset) -> Result<()> {
        self.delete(&self.of(of, &format!("/releases/assets/{}", asset.id)))
    }
}

/// What browsers are told of a file.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("gz") => "application/gzip",
        Some("zip") => "application/zip",
        Some("json") => "application/json",
        Some("txt") => "text/plain",
        Some("yaml") => "application/yaml",
        _ => "application/octet-stream",
    }
}
