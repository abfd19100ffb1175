//! Images read from registries: manifests and configs. Layers are not downloaded.

use crate::oci::MediaType;
use anyhow::{Context, Result, bail, ensure};

use super::answers;
use super::{Access, MANIFEST_TYPES, Registry, Site};
use crate::digest::Digest;
use crate::finding::failure;
use crate::http::{Call, Method, Response, Url};
use crate::oci::{Blob, Descriptor, FoundImage, Raw, Reads, Root, limits, media};
use crate::reference::{Reference, Tag};
use crate::target::Platform;
use crate::term::tame;

impl Registry<'_> {
    /// The image that the reference names. Of an index, only the images for the platforms in
    /// `only` are read, or all if it is empty. Manifests in the cache are not requested.
    pub fn pull(&self, reference: &Reference, only: &[Platform]) -> Result<FoundImage> {
        let context = || format!("pull {reference}");
        let root = self.root(reference, only).with_context(context)?;
        Ok(FoundImage { root, names: vec![Reference { digest: None, ..reference.clone() }] })
    }

    /// The digest that the reference's tag names now.
    pub fn resolve(&self, reference: &Reference) -> Result<Digest> {
        let context = || format!("resolve {reference}");
        let site = self.site(&reference.repository, Access::Pull, &[]).with_context(context)?;
        self.tagged(&site, &tag_of(reference)?)
            .with_context(context)?
            .ok_or_else(|| absent(reference))
            .with_context(context)
    }

    fn root(&self, reference: &Reference, only: &[Platform]) -> Result<Root> {
        let repository = &reference.repository;
        let blob = |_: &Digest, _| Ok(Blob::Remote(repository.clone()));
        // A pinned image in the cache needs no network.
        let site = || self.site(repository, Access::Pull, &[]);
        let json = |of: &Descriptor, limit: u64| self.json(&site, of, limit);
        let reads = Reads { json: &json, blob: &blob, at_a_time: self.jobs };
        let raw = match &reference.digest {
            Some(digest) => match self.cached(digest)? {
                Some(bytes) => raw(bytes, None, digest)?,
                None => {
                    let site = site()?;
                    let raw = self.manifest(&site, &site.manifest(digest), reference)?;
                    let found = raw.digest();
                    ensure!(found == *digest, "the registry answers {found} for {digest}");
                    self.cache(&raw.bytes, digest)?;
                    raw
                }
            },
            None => {
                let site = site()?;
                self.manifest(&site, &site.tag(&tag_of(reference)?), reference)?
            }
        };
        reads.of(raw, only)
    }

    pub(super) fn manifest(&self, site: &Site, url: &Url, reference: &Reference) -> Result<Raw> {
        let headers = &[("accept", MANIFEST_TYPES)];
        let call = Call { headers, ..Call::new(Method::GET, url, limits::MANIFEST) };
        let response = self.find(site, &call)?.ok_or_else(|| absent(reference))?;
        let digest = Digest::of(&response.body);
        if let Some(named) = answers::digest_of(&response)? {
            ensure!(named == digest, "{url} is {digest}, but the registry names {named}");
        }
        let media_type = content_type(&response);
        raw(response.body, media_type.as_deref(), &digest).with_context(|| {
            let kind = media_type.as_deref().unwrap_or("unknown");
            format!("read {url}, whose type is {kind}")
        })
    }

    /// Reads the manifest or config of a descriptor, or a small blob.
    pub(super) fn json(
        &self,
        site: &dyn Fn() -> Result<Site>,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>> {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        if let Some(bytes) = self.cached(digest)?.filter(|it| it.len() as u64 == *size) {
            return Ok(bytes);
        }
        let site = site()?;
        let manifest = media::is_index(media_type) || media::is_image(media_type);
        let url = if manifest { site.manifest(digest) } else { site.blob(digest) };
        let accept = [("accept", media_type.as_ref())];
        let headers: &[_] = if manifest { &accept } else { &[] };
        let call = Call { headers, ..Call::new(Method::GET, &url, limit) };
        let bytes = self.send(&site, &call)?.body;
        let found = Digest::of(&bytes);
        if (found, bytes.len() as u64) != (*digest, *size) {
            bail!("{url} does not match its descriptor: {} bytes, {found}", bytes.len());
        }
        self.cache(&bytes, digest)?;
        Ok(bytes)
    }
}

/// A manifest with its media type: that of the response, or else its own.
fn raw(bytes: Vec<u8>, media_type: Option<&str>, digest: &Digest) -> Result<Raw> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let own: Own = crate::oci::parse(&bytes, &digest.to_string())?;
    let media_type = match (media_type, own.media_type) {
        (Some(said), _) if said != "application/json" => MediaType::from(said),
        (_, Some(own)) => MediaType::from(&*own),
        _ if own.manifests.is_some() => MediaType::ImageIndex,
        _ => MediaType::ImageManifest,
    };
    Ok(Raw::new(bytes, media_type, *digest))
}

/// The media type of a response, without parameters.
fn content_type(response: &Response) -> Option<String> {
    let text = response.header("content-type")?.split(';').next()?.trim();
    (!text.is_empty()).then(|| tame(text))
}

fn tag_of(reference: &Reference) -> Result<Tag> {
    reference.tag.clone().map_or_else(|| Tag::parse("latest"), Ok)
}

fn absent(reference: &Reference) -> anyhow::Error {
    failure(
        format!("there is no {}", reference.tag_or_digest()),
        format!("check the spelling of {reference}, and that it was not deleted"),
    )
}
