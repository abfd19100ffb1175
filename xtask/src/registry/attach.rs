//! Contents that are attached to a manifest: each is an artifact of one layer, and refers to the
//! manifest as its subject. <https://github.com/opencontainers/image-spec/blob/main/manifest.md>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::oci::MediaType;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::referrers::Keeper;
use super::{Access, Naming, Registry, Site};
use crate::digest::Digest;
use crate::http::HttpError;
use crate::oci::{
    self, Blob, Descriptor, Image, Layer, Raw, RawDescriptor, RawManifest, Root, limits, media,
};
use crate::parallel;
use crate::reference::Repository;

/// In bytes: all contents of one kind that are read of one manifest.
const CONTENTS: u64 = 64 << 20;

/// A content to attach.
#[derive(Debug)]
pub struct Attachment<'a> {
    /// The type of the artifact and of its layer.
    pub kind: &'a str,
    pub content: Vec<u8>,
    pub annotations: BTreeMap<String, String>,
}

/// What is attached to a manifest, of one kind.
#[derive(Debug, Default)]
pub struct Attached {
    /// In the order of the registry.
    pub contents: Vec<Vec<u8>>,
    pub keeper: Keeper,
    /// Why others of it cannot be read: what refers to a manifest may be anybody's.
    pub unreadable: Vec<anyhow::Error>,
}

impl Registry<'_> {
    /// Attaches a content to a manifest of the repository.
    pub fn attach(
        &self,
        to: &Repository,
        subject: &Descriptor,
        attachment: &Attachment<'_>,
    ) -> Result<()> {
        let context = || format!("attach it to {}", to.at(&subject.digest));
        let root = artifact(subject, attachment).with_context(context)?;
        let pushed = self.push(&root, to, &[], &[], Naming::ByDigest).with_context(context)?;
        self.confirm(&pushed)
    }

    /// The contents of a kind that are attached to a manifest.
    pub fn attached(&self, to: &Repository, subject: &Digest, kind: &str) -> Result<Attached> {
        let context = || format!("read what is attached to {}", to.at(subject));
        let site = self.site(to, Access::Pull, &[]).with_context(context)?;
        let mut seen = BTreeSet::new();
        let (mut listed, keeper) = self.listed(&site, subject).with_context(context)?;
        listed.retain(|entry| may_be(entry, kind) && seen.insert(entry.digest.to_string()));
        let (count, most) = (listed.len(), limits::MANIFESTS);
        ensure!(count <= most, "{}: {count} may be of that kind, more than {most}", context());
        let spent = AtomicU64::new(0);
        let read = parallel::map(&listed, self.jobs, |entry| {
            match self.content(&site, subject, entry, kind, &spent) {
                Err(error) if is_of_the_network(&error) => Err(error),
                read => Ok(read),
            }
        });
        let mut attached = Attached { keeper, ..Attached::default() };
        for content in read.with_context(context)? {
            match content {
                Ok(content) => attached.contents.extend(content),
                Err(error) => attached.unreadable.push(error),
            }
        }
        Ok(attached)
    }

    /// The content of an entry; `None` where it is of another kind.
    fn content(
        &self,
        site: &Site,
        subject: &Digest,
        entry: &RawDescriptor,
        kind: &str,
        spent: &AtomicU64,
    ) -> Result<Option<Vec<u8>>> {
        let descriptor = entry.parse()?;
        let digest = descriptor.digest;
        let spend = |size: u64| {
            let before = spent.fetch_add(size.min(CONTENTS), Ordering::Relaxed);
            ensure!(
                size <= CONTENTS && before <= CONTENTS - size,
                "with {digest} they have more than {CONTENTS} bytes together"
            );
            Ok(())
        };
        ensure!(media::is_image(&descriptor.media_type), "{digest} is no artifact");
        let size = descriptor.size;
        ensure!(size <= limits::MANIFEST, "{digest} is said to have {size} bytes");
        spend(size)?;
        let site = || Ok(site.clone());
        let bytes = self.json(&site, &descriptor, limits::MANIFEST)?;
        let manifest: RawManifest = oci::parse(&bytes, &digest.to_string())?;
        let layers = || manifest.layers.iter();
        let Some(layer) = layers().find(|layer| layer.media_type.as_ref() == kind) else {
            return Ok(None);
        };
        let of = manifest.other.get("subject").and_then(|it| it["digest"].as_str());
        if of != Some(&subject.to_string()) {
            bail!("{digest} is listed for {subject}, and refers to {}", of.unwrap_or("nothing"));
        }
        let layer = layer.parse()?;
        spend(layer.size)?;
        self.json(&site, &layer, CONTENTS).map(Some)
    }
}

/// Whether an entry of a list may be of the kind. cosign's own lists have no types, and some
/// registries name the config's.
fn may_be(entry: &RawDescriptor, kind: &str) -> bool {
    let named = entry.other.get("artifactType").and_then(Value::as_str).unwrap_or_default();
    named.is_empty() || named == kind || named == MediaType::EmptyJson.as_ref()
}

/// Whether an error says nothing about what was asked for.
fn is_of_the_network(error: &anyhow::Error) -> bool {
    let of_network = |error: &HttpError| {
        error.is_transient() || error.was_given_up() || matches!(error.status(), Some(401 | 403))
    };
    error.downcast_ref::<HttpError>().is_some_and(of_network)
}

/// The artifact as an image.
fn artifact(subject: &Descriptor, attachment: &Attachment<'_>) -> Result<Root> {
    let Attachment { kind, content, annotations } = attachment;
    let config = Raw::new(b"{}".to_vec(), MediaType::EmptyJson, Digest::of(b"{}"));
    let digest = Digest::of(content);
    let descriptor = Descriptor::new(MediaType::from(*kind), digest, content.len() as u64);
    let mut manifest = RawManifest::new(&config.descriptor, [&descriptor].into_iter());
    let Descriptor { media_type, digest: of, size, .. } = subject.clone();
    let subject = RawDescriptor::from(&Descriptor::new(media_type, of, size));
    manifest.other.insert("artifactType".to_owned(), json!(kind));
    manifest.other.insert("subject".to_owned(), json!(subject));
    manifest.annotations = Some(annotations.clone()).filter(|it| !it.is_empty());
    let manifest = Raw::of(&manifest, MediaType::ImageManifest)?;
    let layer = Layer { descriptor, diff_id: digest, blob: Blob::Bytes(content[..].into()) };
    Ok(Root::Image(Box::new(Image { manifest, config, layers: vec![layer] })))
}
