//! Checks of a registry's responses. A portal, a proxy or a developer's server may answer any
//! request with success.

use anyhow::{Context, Result, bail, ensure};

use super::{MANIFEST_TYPES, Registry, Site, status};
use crate::digest::Digest;
use crate::finding::failure;
use crate::http::{Call, Fault, Method, Patience, Response, Url};
use crate::oci::limits;
use crate::reference::Tag;

/// Statuses of an upload that was initiated. ECR answers 201.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put>
pub const INITIATED: &[u16] = &[202, 201];
/// Statuses of a part that was accepted. ECR answers 201, some registries 204.
pub const ACCEPTED: &[u16] = &[202, 201, 204];
/// Statuses of a blob or a manifest that was put.
pub const CREATED: &[u16] = &[201];

/// Fails if the status is not one of those that are due, or if the response is a web page.
pub fn ensure_status(response: &Response, due: &[u16]) -> Result<()> {
    let status = response.status;
    if due.contains(&status) && !is_page(response) {
        return Ok(());
    }
    let page = if is_page(response) { " and a web page" } else { "" };
    bail!(failure(
        format!(
            "{} answers {status}{page}, where a registry answers {}",
            response.url,
            due.first().unwrap_or(&status)
        ),
        format!(
            "check that {} is a registry, and that no portal or proxy answers in its place",
            response.url.origin
        ),
    ))
}

/// Whether the response is a web page. Quay's empty responses have that type too.
fn is_page(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/html") && !response.body.is_empty()
}

/// Whether a web page answers in the place of a registry.
pub fn is_portal(response: &Response) -> bool {
    is_page(response) && response.body.trim_ascii_start().starts_with(b"<")
}

/// Whether the response to a HEAD proves that the object exists: it names the digest, or at
/// least the size, and is no web page.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#checking-if-content-exists-in-the-registry>
pub fn exists(response: &Response, digest: &Digest, size: u64) -> Result<bool> {
    ensure_digest(response, digest)?;
    let kind = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let length = response.header("content-length").and_then(|text| text.trim().parse().ok());
    let same = length == Some(size) && !kind.starts_with("text/html");
    // A wrong size is another object's, whatever the digest.
    let named = digest_of(response)?.is_some() && length.is_none_or(|length: u64| length == size);
    Ok(response.status == 200 && (same || named))
}

/// The digest that a response names.
pub fn digest_of(response: &Response) -> Result<Option<Digest>> {
    let Some(text) = response.header("docker-content-digest") else { return Ok(None) };
    let digest = Digest::parse(text.trim());
    digest.map(Some).with_context(|| format!("read the digest of {}", response.url))
}

/// Fails if a response names another digest.
pub fn ensure_digest(response: &Response, digest: &Digest) -> Result<()> {
    match digest_of(response)? {
        Some(named) if named != *digest => {
            bail!("{} answers that {digest} is {named}", response.url)
        }
        _ => Ok(()),
    }
}

/// Fails if a manifest was not put. Some registries answer 200 or 202; this is accepted if
/// they name the digest.
/// <https://github.com/google/go-containerregistry/blob/main/pkg/v1/remote/write.go>
pub fn ensure_put(response: &Response, digest: &Digest) -> Result<()> {
    ensure_digest(response, digest)?;
    match (response.status, digest_of(response)?) {
        (200 | 202, Some(_)) => Ok(()),
        _ => ensure_status(response, CREATED),
    }
}

impl Registry<'_> {
    /// The digest of the manifest at a URL; `None` if there is none.
    pub(super) fn manifest_at(&self, site: &Site, url: &Url) -> Result<Option<Digest>> {
        let headers = &[("accept", MANIFEST_TYPES)];
        let call = Call { headers, ..Call::new(Method::HEAD, url, limits::MANIFEST) };
        let named = match self.find(site, &call) {
            Ok(None) => return Ok(None),
            Ok(Some(response)) if response.status == 200 => digest_of(&response)?,
            Ok(Some(_)) => None,
            Err(error) if status(&error) == Some(405) => None,
            Err(error) => return Err(error),
        };
        if named.is_some() {
            return Ok(named);
        }
        // Some registries name no digest, or do not support HEAD. Then the manifest is hashed.
        let call = Call { method: Method::GET, ..call };
        let Some(response) = self.find(site, &call)? else { return Ok(None) };
        ensure_status(&response, &[200])?;
        let digest = Digest::of(&response.body);
        let manifest: serde_json::Result<serde_json::Map<_, _>> =
            serde_json::from_slice(&response.body);
        ensure!(manifest.is_ok(), "{url} answers with something that is no manifest");
        Ok(Some(digest))
    }

    /// Fails if a manifest that was just put does not exist.
    pub(super) fn confirm_at(&self, site: &Site, url: &Url, digest: &Digest) -> Result<()> {
        self.await_at(site, url, digest, &|_| Ok(false))
    }

    /// Fails if a tag that was just moved does not name the manifest. If it names neither that
    /// nor what it named `before`, another run has moved it, and the manifest must only exist.
    pub(super) fn confirm_tag(
        &self,
        site: &Site,
        tag: &Tag,
        digest: &Digest,
        before: Option<&Digest>,
    ) -> Result<()> {
        self.await_at(site, &site.tag(tag), digest, &|other| {
            if Some(other) == before {
                return Ok(false);
            }
            self.confirm_at(site, &site.manifest(digest), digest)?;
            self.term.detail(format_args!("another run moved the tag {tag} to {other}"));
            Ok(true)
        })
    }

    /// Waits until the manifest, or one that is as good, is at the URL. Not all machines of a
    /// registry may know it at once.
    fn await_at(
        &self,
        site: &Site,
        url: &Url,
        digest: &Digest,
        as_good: &dyn Fn(&Digest) -> Result<bool>,
    ) -> Result<()> {
        let mut patience = Patience::new(self.http);
        loop {
            let why = match self.manifest_at(site, url)? {
                Some(found) if found == *digest || as_good(&found)? => return Ok(()),
                Some(other) => format!("{digest} was put there, but it is {other}"),
                None => format!("{digest} was put there, but there is nothing"),
            };
            let call = Call::new(Method::HEAD, url, limits::MANIFEST);
            patience.wait(call.failed(Fault::Transient(why)))?;
        }
    }

    /// The digest that a tag names; `None` if the tag does not exist.
    pub(super) fn tagged(&self, site: &Site, tag: &Tag) -> Result<Option<Digest>> {
        self.manifest_at(site, &site.tag(tag))
    }
}
