//! The files of releases.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use serde::{Deserialize, Deserializer};

use super::releases::Release;
use super::{GitHub, HEADERS, OBJECT, is_for_uploads, read_once};
use crate::config::Slug;
use crate::digest::{Digest, HashingWriter};
use crate::files;
use crate::http::{Body, Call, HttpError, Method, Url};

/// A file of a release.
#[derive(Clone, Debug, Deserialize)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    /// Whether its upload was complete; otherwise GitHub keeps the name and no bytes.
    #[serde(rename = "state", deserialize_with = "is_uploaded")]
    pub is_complete: bool,
    /// In bytes.
    pub size: u64,
    /// `sha256:…`; older servers do not have it.
    pub digest: Option<String>,
}

/// Whether the state of an asset is that of a complete one.
fn is_uploaded<'de, D: Deserializer<'de>>(state: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(state)? == "uploaded")
}

/// A file that belongs to a release.
#[derive(Clone, Debug)]
pub struct ReleaseFile {
    /// Its name there: ASCII letters, digits, `-`, `_` and `.`, which GitHub leaves as it is.
    pub name: String,
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    pub digest: Digest,
}

impl Asset {
    /// Whether GitHub tells its digest.
    pub fn has_digest(&self) -> bool {
        self.sha256().is_some()
    }

    fn sha256(&self) -> Option<&str> {
        self.digest.as_deref().filter(|text| text.starts_with("sha256:"))
    }
}

impl GitHub<'_> {
    pub fn assets(&self, repo: &Slug, release: u64) -> Result<Vec<Asset>> {
        self.list(&self.repo_url(repo, &format!("/releases/{release}/assets")))
    }

    fn asset_url(&self, repo: &Slug, asset: &Asset) -> Url {
        self.repo_url(repo, &format!("/releases/assets/{}", asset.id))
    }

    /// The call that downloads a file.
    fn download<'b>(&'b self, url: &'b Url, asset: &Asset) -> Call<'b> {
        const BYTES: &[(&str, &str)] = &[("accept", "application/octet-stream"), HEADERS[1]];
        Call { headers: BYTES, ..self.call(Method::GET, url, Body::Empty, asset.size) }
    }

    /// A file as it is now; `None` where it was removed.
    pub fn asset(&self, repo: &Slug, asset: &Asset) -> Result<Option<Asset>> {
        self.get(&self.asset_url(repo, asset), &[404])
    }

    /// The digest of a file, which is downloaded where GitHub does not tell it.
    pub fn asset_digest(&self, repo: &Slug, asset: &Asset) -> Result<Digest> {
        if let Some(text) = asset.sha256() {
            return Digest::parse(text)
                .with_context(|| format!("read the digest that GitHub tells of {}", asset.name));
        }
        let url = self.asset_url(repo, asset);
        let call = self.download(&url, asset);
        let digest = self.http.retry(|| {
            // One byte more than expected makes another digest.
            let body = self.http.open(&call)?.body.take(asset.size.saturating_add(1));
            Digest::of_reader(body).map_err(|error| call.cut(&error))
        });
        digest.map_err(|error| self.explain(error))
    }

    /// The bytes of a small file.
    pub fn asset_bytes(&self, repo: &Slug, asset: &Asset) -> Result<Vec<u8>> {
        let url = self.asset_url(repo, asset);
        let call = self.download(&url, asset);
        let response = self.http.send(&call).map_err(|error| self.explain(error))?;
        Ok(response.body)
    }

    /// Downloads a file, and compares it with the digest that GitHub tells of it.
    pub fn download_asset(&self, repo: &Slug, asset: &Asset, to: &Path) -> Result<()> {
        let url = self.asset_url(repo, asset);
        let call = self.download(&url, asset);
        let context = || format!("download {}", asset.name);
        let folder = to.parent().with_context(context)?;
        let (file, digest, size) = self
            .http
            .retry(|| {
                let cut = |error: anyhow::Error| call.cut(&std::io::Error::other(error));
                let file = files::temporary(folder).map_err(cut)?;
                let mut body = self.http.open(&call)?.body.take(asset.size.saturating_add(1));
                let mut to = HashingWriter::new(file);
                std::io::copy(&mut body, &mut to).map_err(|error| call.cut(&error))?;
                Ok(to.finish())
            })
            .map_err(|error| self.explain(error))
            .with_context(context)?;
        ensure!(size == asset.size, "{} has {size} bytes, not {}", asset.name, asset.size);
        if let Some(named) = asset.sha256() {
            let named = Digest::parse(named).with_context(context)?;
            ensure!(digest == named, "{} is {digest}, and GitHub names {named}", asset.name);
        }
        files::persist(file, to)
    }

    /// Uploads a file to a release, once.
    /// <https://docs.github.com/en/rest/releases/assets#upload-a-release-asset>
    pub fn upload_asset(
        &self,
        to: &Url,
        file: &ReleaseFile,
        bar: &ProgressBar,
    ) -> Result<Asset, HttpError> {
        let url = to.with("name", &file.name);
        let auth = self.token.as_ref().map(|token| (&to.origin, token));
        let headers = &[HEADERS[0], HEADERS[1], ("content-type", media_type(&file.name))];
        let body = Body::File {
            path: &file.path,
            from: 0,
            size: file.size,
            digest: Some(&file.digest),
            bar,
            stop: None,
        };
        let call = Call { headers, auth, ..self.call(Method::POST, &url, body, OBJECT) };
        read_once(&self.http.once(&call)?)
    }

    /// Where files of a release are uploaded. Any server but GitHub's own is refused.
    pub fn upload_url(&self, release: &Release) -> Result<Url> {
        let text = release.upload_url.split('{').next().unwrap_or_default();
        let url = self.http.resolve_url(&self.api, text);
        let url = url.context("read the address that GitHub names for uploads")?;
        if !is_for_uploads(&self.api.origin, &url.origin) {
            bail!(
                "GitHub's API at {} names {} for uploads, which is another server",
                self.api.origin,
                url.origin
            );
        }
        Ok(url)
    }

    pub fn delete_asset(&self, repo: &Slug, asset: &Asset) -> Result<()> {
        self.delete(&self.asset_url(repo, asset))
    }
}

/// The media type by a file's name, for browsers.
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
