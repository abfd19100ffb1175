//! The SBOMs that the makers of an image published beside it: referrers, attestations that BuildKit
//! keeps in the index, and what cosign keeps under tags.

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::MediaType;
use anyhow::{Context, Result};

use super::{Access, Registry, Site};
use crate::digest::Digest;
use crate::oci::{self, RawDescriptor, RawIndex, RawManifest, Root, limits, media};
use crate::reference::{Reference, Repository, Tag};
use crate::target::Platform;

/// The types of SBOMs that are artifacts of their own.
const KINDS: [&str; 3] =
    ["application/spdx+json", "text/spdx+json", "application/vnd.cyclonedx+json"];

/// How the types of statements begin that hold an SBOM.
const PREDICATES: [&str; 2] = ["https://spdx.dev/Document", "https://cyclonedx.org/bom"];

/// The annotations in which clients keep the type of a statement: cosign, its tags, BuildKit.
/// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>
const ANNOTATIONS: [&str; 3] =
    ["dev.sigstore.bundle.predicateType", "predicateType", "in-toto.io/predicate-type"];

/// The most referrers of one manifest that are looked at.
const LOOKED_AT: usize = 100;

/// The most SBOMs of one image that are noted. Anybody may list thousands.
const MOST: usize = 8;

impl Registry<'_> {
    /// The SBOMs of a pinned image and of its images for the platforms: each as the digest of the
    /// platform's image, and that of the manifest which has the SBOM; sorted.
    pub fn sboms(
        &self,
        image: &Reference,
        platforms: &[Platform],
    ) -> Result<BTreeSet<(Digest, Digest)>> {
        let repository = &image.repository;
        let context = || format!("look for the SBOMs of {image}");
        let site = self.site(repository, Access::Pull, &[]).with_context(context)?;
        let root = self.pull(image, platforms)?.root;
        let index = self.index_of(&site, image).with_context(context)?;
        let mut found = BTreeSet::new();
        let all = match &index {
            // Those of the whole are of each platform's, too.
            Some((digest, _)) => {
                self.listed_sboms(&site, repository, digest).with_context(context)?
            }
            None => BTreeSet::new(),
        };
        for (_, of) in root.images() {
            let own = of.manifest.digest();
            let mut at = all.clone();
            at.extend(self.listed_sboms(&site, repository, &own).with_context(context)?);
            if let Some((_, index)) = &index {
                at.extend(self.attestations(&site, index, &own).with_context(context)?);
            }
            found.extend(at.into_iter().take(MOST).map(|at| (own, at)));
        }
        Ok(found)
    }

    /// The index that the image is, as it is written there.
    fn index_of(&self, site: &Site, image: &Reference) -> Result<Option<(Digest, RawIndex)>> {
        let digest = image.digest.as_ref().context("it has no digest")?;
        let raw = self.manifest(site, &site.manifest(digest), image)?;
        let is_index = media::is_index(&raw.descriptor.media_type);
        let index = is_index.then(|| oci::parse(&raw.bytes, &digest.to_string())).transpose()?;
        Ok(index.map(|index| (*digest, index)))
    }

    /// The SBOMs among the referrers of a manifest, and under cosign's tags.
    fn listed_sboms(
        &self,
        site: &Site,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<BTreeSet<Digest>> {
        let mut found = BTreeSet::new();
        for entry in self.listed(site, digest)?.0.into_iter().take(LOOKED_AT) {
            if found.len() < MOST && self.is_sbom(site, &entry)? {
                found.insert(entry.parse()?.digest);
            }
        }
        let tag = |end: &str| Tag::parse(&format!("sha256-{}.{end}", digest.hex()));
        if let Some(root) = self.under_tag(repository, &tag("sbom")?)? {
            found.insert(root.digest());
        }
        if let Some(Root::Image(image)) = self.under_tag(repository, &tag("att")?)? {
            let mut layers = image.layers.iter().map(|layer| &layer.descriptor.annotations);
            if layers.any(is_predicate) {
                found.insert(image.manifest.digest());
            }
        }
        Ok(found)
    }

    /// Whether a referrer is an SBOM. Some registries list it by the type of its config.
    fn is_sbom(&self, site: &Site, entry: &RawDescriptor) -> Result<bool> {
        let named = entry.other.get("artifactType").and_then(|it| it.as_str()).unwrap_or_default();
        if !named.is_empty() && named != MediaType::EmptyJson.as_ref() {
            return Ok(KINDS.contains(&named) || is_told(entry));
        }
        let descriptor = entry.parse()?;
        if !media::is_image(&descriptor.media_type) {
            return Ok(false);
        }
        let bytes = self.json(&|| Ok(site.clone()), &descriptor, limits::MANIFEST)?;
        let manifest: RawManifest = oci::parse(&bytes, &descriptor.digest.to_string())?;
        let mut layers = manifest.layers.iter().map(|layer| layer.media_type.as_ref());
        let told = manifest.annotations.as_ref().is_some_and(is_predicate);
        Ok(told || layers.any(|kind| KINDS.contains(&kind)))
    }

    /// The attestations in an index that hold an SBOM of a manifest.
    fn attestations(&self, site: &Site, index: &RawIndex, of: &Digest) -> Result<BTreeSet<Digest>> {
        let mut found = BTreeSet::new();
        let of = of.to_string();
        for entry in &index.manifests {
            let annotation = |key: &str| entry.annotations.as_ref()?.get(key).map(String::as_str);
            let is_its = annotation("vnd.docker.reference.type") == Some("attestation-manifest")
                && annotation("vnd.docker.reference.digest") == Some(&of);
            if !is_its {
                continue;
            }
            let descriptor = entry.parse()?;
            let bytes = self.json(&|| Ok(site.clone()), &descriptor, limits::MANIFEST)?;
            let manifest: RawManifest = oci::parse(&bytes, &descriptor.digest.to_string())?;
            if manifest.layers.iter().any(is_told) {
                found.insert(descriptor.digest);
            }
        }
        Ok(found)
    }
}

/// Whether the annotations say that it holds an SBOM.
fn is_told(entry: &RawDescriptor) -> bool {
    entry.annotations.as_ref().is_some_and(is_predicate)
}

/// Whether annotations name a type of statements that hold an SBOM.
fn is_predicate(annotations: &BTreeMap<String, String>) -> bool {
    let named = ANNOTATIONS.iter().filter_map(|key| annotations.get(*key));
    named.into_iter().any(|it| PREDICATES.iter().any(|start| it.starts_with(start)))
}
