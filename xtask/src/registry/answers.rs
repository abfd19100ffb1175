//! What of a registry's answers is believed. A portal, a proxy or a server for developers
//! may say yes to everything, and what stands before a registry may answer in its place.

use anyhow::{Context, Result, bail, ensure};

use super::{Registry, Site, pull, status};
use crate::digest::Digest;
use crate::finding::failure;
use crate::http::{Call, Fault, HttpError, Method, Patience, Response, Url};
use crate::oci::limits;
use crate::reference::Tag;

/// What an upload that begins is answered with. ECR says 201.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put>
pub const BEGUN: &[u16] = &[202, 201];
/// What a part of one is answered with: ECR says 201, and some say nothing but yes.
pub const TAKEN: &[u16] = &[202, 201, 204];
/// What a blob or a manifest that was put is answered with.
pub const CREATED: &[u16] = &[201];

/// Fails where the answer's status is none of those that are due, or where it is a page.
pub fn ensure_status(response: &Response, due: &[u16]) -> Result<()> {
    let status = response.status;
    if due.contains(&status) && !is_page(response) {
        return Ok(());
    }
    let page = if is_page(response) { " and a page for browsers" } else { "" };
    bail!(failure(
        format!(
            "{} answers {status}{page}, where a registry answers {}",
            response.url,
            due.first().unwrap_or(&status)
        ),
        format!(
            "see whether {} is a registry, and whether a portal or a proxy answers in its place",
            response.url.origin
        ),
    ))
}

/// Whether it is one for browsers. Quay calls its empty answers so, too.
fn is_page(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/html") && !response.body.is_empty()
}

/// Whether it is a page in its body, too, of whatever stands where a registry should.
pub fn is_portal(response: &Response) -> bool {
    is_page(response) && response.body.trim_ascii_start().starts_with(b"<")
}

/// Whether an answer to HEAD says that the registry has what was asked for: it names the
/// digest, or at least the size, and is of no page.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#checking-if-content-exists-in-the-registry>
pub fn has(response: &Response, digest: &Digest, size: u64) -> Result<bool> {
    ensure_named(response, digest)?;
    let kind = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let length = response.header("content-length").and_then(|text| text.trim().parse().ok());
    let same = length == Some(size) && !kind.starts_with("text/html");
    // With a digest, a wrong size is still another thing's.
    let named =
        named_digest(response)?.is_some() && length.is_none_or(|length: u64| length == size);
    Ok(response.status == 200 && (same || named))
}

/// The digest that the registry says an answer is of, where it says so.
pub fn named_digest(response: &Response) -> Result<Option<Digest>> {
    let Some(text) = response.header("docker-content-digest") else { return Ok(None) };
    let digest = Digest::parse(text.trim());
    digest.map(Some).with_context(|| format!("read the digest that {} answers", response.url))
}

/// Fails where the registry says that what it was given is something else.
pub fn ensure_named(response: &Response, digest: &Digest) -> Result<()> {
    match named_digest(response)? {
        Some(named) if named != *digest => {
            bail!("{} was given {digest}, and says that it is {named}", response.url)
        }
        _ => Ok(()),
    }
}

/// Fails where a manifest was not put. Some answer with other statuses than that of the
/// specification, and are believed where they name the digest.
/// <https://github.com/google/go-containerregistry/blob/main/pkg/v1/remote/write.go>
pub fn ensure_put(response: &Response, digest: &Digest) -> Result<()> {
    ensure_named(response, digest)?;
    match (response.status, named_digest(response)?) {
        (200 | 202, Some(_)) => Ok(()),
        _ => ensure_status(response, CREATED),
    }
}

impl Registry<'_> {
    /// The digest of the manifest at an address; `None` where there is none.
    pub(super) fn manifest_at(&self, site: &Site, url: &Url) -> Result<Option<Digest>> {
        let headers = &[("accept", pull::ACCEPTED)];
        let call = Call { headers, ..Call::new(Method::HEAD, url, limits::MANIFEST) };
        let said = match self.look(site, &call) {
            Ok(None) => return Ok(None),
            Ok(Some(response)) if response.status == 200 => named_digest(&response)?,
            Ok(Some(_)) => None,
            Err(error) if status(&error) == Some(405) => None,
            Err(error) => return Err(error),
        };
        if said.is_some() {
            return Ok(said);
        }
        // Not all say it, or take a HEAD, and then the manifest itself does.
        let call = Call { method: Method::GET, ..call };
        let Some(response) = self.look(site, &call)? else { return Ok(None) };
        ensure_status(&response, &[200])?;
        let digest = Digest::of(&response.body);
        let manifest: serde_json::Result<serde_json::Map<_, _>> =
            serde_json::from_slice(&response.body);
        ensure!(manifest.is_ok(), "{url} answers what is no manifest");
        Ok(Some(digest))
    }

    /// Asks for what was just put, and fails where that is not there.
    pub(super) fn confirm_at(&self, site: &Site, url: &Url, digest: &Digest) -> Result<()> {
        self.await_at(site, url, digest, &|_| Ok(false))
    }

    /// The same of a tag, which named something else `before`. Where it names a third thing by
    /// now, another run was faster, and it is enough that the manifest itself is there.
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
            self.term.detail(format_args!("the tag {tag} was moved to {other} meanwhile"));
            Ok(true)
        })
    }

    /// Waits until the manifest, or one that is as good, is at the address: a registry of
    /// several machines may need a moment until all of them know it.
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
                Some(there) if there == *digest || as_good(&there)? => return Ok(()),
                Some(other) => format!("{digest} was put there, and it is {other}"),
                None => format!("{digest} was put there, and there is nothing"),
            };
            let (call, fault) = (format!("HEAD {url}"), Fault::Cut(why));
            patience.wait(HttpError { call, fault, tries: 1 })?;
        }
    }

    /// The digest that a tag names; `None` where there is no such tag.
    pub(super) fn tagged(&self, site: &Site, tag: &Tag) -> Result<Option<Digest>> {
        self.manifest_at(site, &site.tag(tag))
    }
}
