//! Signatures as cosign wrote them before referrers: layers of an image under the tag
//! `sha256-….sig`. <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>

use std::collections::BTreeMap;

use crate::oci::MediaType;
use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Access, Naming, Registry};
use crate::digest::Digest;
use crate::oci::{Blob, Descriptor, Image, Layer, Raw, RawManifest, Root, limits};
use crate::reference::{Reference, Repository, Tag};

/// A document in a layer, with the layer's annotations.
#[derive(Clone, Debug)]
pub struct SignedDocument {
    pub bytes: Vec<u8>,
    pub annotations: BTreeMap<String, String>,
}

impl Registry<'_> {
    /// The documents of a kind under the tag of a manifest.
    pub fn signed_documents(
        &self,
        repository: &Repository,
        digest: &Digest,
        kind: &str,
    ) -> Result<Vec<SignedDocument>> {
        let tag = tag(digest)?;
        let Some(Root::Image(image)) = self.under_tag(repository, &tag)? else {
            return Ok(Vec::new());
        };
        let site = self.site(repository, Access::Pull, &[])?;
        let layers = image.layers.iter().map(|layer| &layer.descriptor);
        let documents = layers.filter(|it| it.media_type.as_ref() == kind).map(|layer| {
            let bytes = self.json(&|| Ok(site.clone()), layer, limits::CONFIG)?;
            Ok(SignedDocument { bytes, annotations: layer.annotations.clone() })
        });
        documents.collect::<Result<_>>().with_context(|| format!("read {tag}"))
    }

    /// Adds a document under the tag of a manifest; those of others stay.
    pub fn add_signed_document(
        &self,
        to: &Repository,
        digest: &Digest,
        kind: &str,
        document: SignedDocument,
    ) -> Result<()> {
        let tag = tag(digest)?;
        let mut layers = match self.under_tag(to, &tag)? {
            Some(Root::Image(image)) => image.layers,
            _ => Vec::new(),
        };
        ensure!(layers.len() < limits::LAYERS, "{tag} has {} layers", layers.len());
        let SignedDocument { bytes, annotations } = document;
        let own = Digest::of(&bytes);
        let mut descriptor = Descriptor::new(MediaType::from(kind), own, bytes.len() as u64);
        descriptor.annotations = annotations;
        layers.push(Layer { descriptor, diff_id: own, blob: Blob::Bytes(bytes.into()) });
        let ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
        let config = Raw::of(
            &json!({
                "architecture": "",
                "config": {},
                "os": "",
                "rootfs": { "diff_ids": ids, "type": "layers" },
            }),
            MediaType::ImageConfig,
        )?;
        let descriptors = layers.iter().map(|layer| &layer.descriptor);
        let manifest = RawManifest::new(&config.descriptor, descriptors);
        let manifest = Raw::of(&manifest, MediaType::ImageManifest)?;
        let root = Root::Image(Box::new(Image { manifest, config, layers }));
        let pushed = self.push(&root, to, &[&tag], &[], Naming::WithTag)?;
        self.tag(&pushed, &tag).map(drop)
    }

    /// What is under a tag now; `None` where nothing is.
    pub(super) fn under_tag(&self, repository: &Repository, tag: &Tag) -> Result<Option<Root>> {
        let site = self.site(repository, Access::Pull, &[])?;
        let Some(named) = self.tagged(&site, tag)? else { return Ok(None) };
        let name = Reference { digest: Some(named), ..repository.tagged(tag) };
        Ok(Some(self.pull(&name, &[])?.root))
    }
}

fn tag(digest: &Digest) -> Result<Tag> {
    Tag::parse(&format!("sha256-{}.sig", digest.hex()))
}
