//! Referrers: signatures, SBOMs and other manifests that name an image as their subject. If
//! a registry does not list them, clients keep an index of them under a tag.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>

use std::collections::BTreeMap;

use crate::oci::MediaType;
use anyhow::{Context, Result, ensure};

use super::{Access, Naming, Registry, Site, answers, locked, status};
use crate::digest::Digest;
use crate::http::limits::{REFERRERS_LIST, REFERRERS_PAGES};
use crate::http::{Call, Method, Pages, Response, Url};
use crate::oci::{self, Descriptor, Raw, RawDescriptor, RawIndex, limits, media};
use crate::reference::{Repository, Tag};

/// How often the index under the tag is written while others write it too.
const WRITES: u32 = 5;

/// The header of a registry that lists the referrer itself.
const SUBJECT: &str = "oci-subject";

/// The suffixes of tags that cosign uses beside referrers.
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// Who keeps the list of a manifest's referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeper {
    #[default]
    Registry,
    /// Each client that writes to it, under a tag: one may overwrite what another wrote.
    Clients,
}

impl Registry<'_> {
    /// The referrers of a manifest.
    pub fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<RawDescriptor>> {
        let context = || format!("list the referrers of {}", repository.at(digest));
        let site = self.site(repository, Access::Pull, &[]).with_context(context)?;
        Ok(self.listed(&site, digest).with_context(context)?.0)
    }

    pub(super) fn listed(
        &self,
        site: &Site,
        digest: &Digest,
    ) -> Result<(Vec<RawDescriptor>, Keeper)> {
        let mut url = site.url(&format!("referrers/{digest}"));
        let mut all: Vec<RawDescriptor> = Vec::new();
        let mut pages = Pages::new(self.http, REFERRERS_PAGES, REFERRERS_LIST);
        loop {
            let response = match self.send(site, &of_index(&url)) {
                // Registries without this endpoint answer so.
                Err(error) if matches!(status(&error), Some(400 | 404 | 405 | 406)) => None,
                response => Some(response?),
            };
            let index = response.as_ref().map(as_index).transpose()?.flatten();
            let (Some(response), Some(index)) = (response, index) else {
                let kept = self.fallback(site, digest)?.map_or_else(Vec::new, |it| it.manifests);
                return Ok((kept, Keeper::Clients));
            };
            all.extend(index.manifests);
            match pages.next(&url, &response)? {
                Some(next) => url = next,
                None => return Ok((all, Keeper::Registry)),
            }
        }
    }

    /// The index that clients keep under the tag; `None` if there is none.
    fn fallback(&self, site: &Site, digest: &Digest) -> Result<Option<RawIndex>> {
        let url = site.tag(&fallback_tag(digest)?);
        let Some(response) = self.find(site, &of_index(&url))? else { return Ok(None) };
        // A list that was damaged on its way would be written back.
        answers::ensure_digest(&response, &Digest::of(&response.body))?;
        let index = as_index(&response)?;
        index.map(Some).with_context(|| format!("{url} is no index"))
    }

    /// Lists a manifest that was put under its subject, unless the response says that the
    /// registry does so.
    pub(super) fn refer(&self, site: &Site, raw: &Raw, answer: &Response) -> Result<()> {
        let Some((subject, entry)) = entry(raw)? else { return Ok(()) };
        if answer.header(SUBJECT).is_some() {
            return Ok(());
        }
        let tag = fallback_tag(&subject)?;
        let context = || format!("list {} under the tag {tag}", raw.digest());
        let list = {
            let mut lists = locked(&self.lists);
            lists.entry((site.repository.clone(), subject)).or_default().clone()
        };
        let _written = locked(&list);
        for _ in 0..WRITES {
            let before = self.fallback(site, &subject).with_context(context)?;
            let mut index = before.unwrap_or_else(|| RawIndex::new(Vec::new()));
            if index.manifests.iter().any(|other| other.digest == entry.digest) {
                return Ok(());
            }
            index.manifests.push(entry.clone());
            let index = Raw::of(&index, MediaType::ImageIndex)?;
            self.put_raw(site, &index, &site.tag(&tag)).with_context(context)?;
            // Another client may have overwritten it, so it is read again.
        }
        Err(anyhow::anyhow!("others write it at the same time; run again")).with_context(context)
    }

    /// Copies the referrers of the manifests, their own referrers, and what cosign keeps
    /// under tags. Returns how many manifests were copied.
    pub fn copy_referrers(
        &self,
        digests: &[Digest],
        from: &Repository,
        to: &Repository,
    ) -> Result<usize> {
        let mut seen: Vec<Digest> = digests.to_vec();
        let mut at = 0;
        let mut copied = 0;
        while let Some(digest) = seen.get(at).copied() {
            at += 1;
            for referrer in self.referrers(from, &digest)? {
                let referrer = referrer.parse()?.digest;
                if !seen.contains(&referrer) {
                    let most = limits::MANIFESTS;
                    ensure!(seen.len() <= most, "it has more than {most} referrers");
                    let found = self.pull(&from.at(&referrer), &[])?;
                    let pushed = self.push(
                        &found.root,
                        to,
                        &[],
                        std::slice::from_ref(from),
                        Naming::ByDigest,
                    )?;
                    self.confirm(&pushed)?;
                    seen.push(referrer);
                    copied += 1;
                }
            }
            for suffix in COSIGN {
                let tag = Tag::parse(&format!("sha256-{}.{suffix}", digest.hex()))?;
                if let Some(root) = self.under_tag(from, &tag)? {
                    let pushed =
                        self.push(&root, to, &[], std::slice::from_ref(from), Naming::WithTag)?;
                    self.tag(&pushed, &tag)?;
                    copied += 1;
                }
            }
        }
        Ok(copied)
    }
}

fn of_index<'a>(url: &'a Url) -> Call<'a> {
    const ACCEPT: &[(&str, &str)] = &[("accept", "application/vnd.oci.image.index.v1+json")];
    Call { headers: ACCEPT, ..Call::new(Method::GET, url, limits::MANIFEST) }
}

/// The response as an index; `None` if it has another type.
fn as_index(response: &Response) -> Result<Option<RawIndex>> {
    let said = response.header("content-type").unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    if !media::is_index(&MediaType::from(said)) {
        return Ok(None);
    }
    oci::parse(&response.body, "the list").map(Some)
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
fn fallback_tag(digest: &Digest) -> Result<Tag> {
    Tag::parse(&format!("sha256-{}", digest.hex()))
}

/// Whether the manifest has a subject.
pub(super) fn refers(raw: &Raw) -> bool {
    entry(raw).is_ok_and(|entry| entry.is_some())
}

/// The subject of a manifest, and the descriptor that lists the manifest under it; `None` if
/// it has no subject.
fn entry(raw: &Raw) -> Result<Option<(Digest, RawDescriptor)>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Referring {
        subject: Option<RawDescriptor>,
        artifact_type: Option<MediaType>,
        config: Option<RawDescriptor>,
        annotations: Option<BTreeMap<String, String>>,
    }
    let own: Referring = oci::parse(&raw.bytes, "the manifest")?;
    let Some(subject) = own.subject else { return Ok(None) };
    let Descriptor { media_type, digest, size, .. } = raw.descriptor.clone();
    let mut listed = Descriptor::new(media_type, digest, size);
    let artifact_type = own.artifact_type.or(own.config.map(|config| config.media_type));
    let artifact_type = artifact_type.map(|it| ("artifactType".to_owned(), it.as_ref().into()));
    listed.other.extend(artifact_type);
    listed.annotations = own.annotations.unwrap_or_default();
    Ok(Some((subject.parse()?.digest, RawDescriptor::from(&listed))))
}
