//! Descriptors, manifests and indexes. The raw types hold all fields as they are written,
//! with those that are not modelled; a [`Descriptor`] is parsed from them once.
//! <https://github.com/opencontainers/image-spec/blob/main/descriptor.md>

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::{AnyDigest, MediaType};
use crate::digest::Digest;
use crate::target::Platform;

/// The annotation by which a layout names an image: its tag.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which containerd, podman and `docker load` keep an image: its
/// full name. <https://github.com/containerd/containerd/blob/main/core/images/annotations.go>
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A blob's type, digest and size. Its platform and its name are not part of it: the
/// index or the layout that lists the blob holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: MediaType,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub annotations: BTreeMap<String, String>,
    /// `urls`, `data`, `artifactType`, and what later specifications add.
    pub other: Map<String, Value>,
}

/// A descriptor as it is written. A digest by another algorithm than SHA-256 is an error
/// only where the blob is needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawDescriptor {
    pub media_type: MediaType,
    pub digest: AnyDigest,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<RawPlatform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A platform as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RawPlatform {
    os: String,
    architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// `os.version`, `os.features`.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// An index as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawIndex {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    pub manifests: Vec<RawDescriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A manifest as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawManifest {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    pub config: RawDescriptor,
    pub layers: Vec<RawDescriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Descriptor {
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Descriptor {
        Descriptor { media_type, digest, size, annotations: BTreeMap::new(), other: Map::new() }
    }
}

impl RawDescriptor {
    /// The blob's descriptor, without the names that a layout gives it.
    pub fn parse(&self) -> Result<Descriptor> {
        let (digest, algorithm) = (&self.digest, self.digest.algorithm());
        if algorithm != "sha256" {
            bail!("{digest} is a {algorithm} digest, and only sha256 is read");
        }
        let digest = Digest::parse(digest.as_ref())?;
        let mut annotations = self.annotations.clone().unwrap_or_default();
        annotations.retain(|name, _| name != REF_NAME && name != CONTAINERD_NAME);
        let (media_type, other) = (self.media_type.clone(), self.other.clone());
        Ok(Descriptor { media_type, digest, size: self.size, annotations, other })
    }

    /// The platform that its index names. BuildKit has `unknown/unknown` for attestations.
    pub fn platform(&self) -> Option<Platform> {
        let RawPlatform { os, architecture, variant, .. } = self.platform.clone()?;
        Some(Platform { os, architecture, variant: variant.filter(|it| !it.is_empty()) })
    }

    /// The same with a platform.
    pub fn on(self, platform: &Platform) -> RawDescriptor {
        let Platform { os, architecture, variant } = platform.clone();
        let platform = RawPlatform { os, architecture, variant, other: Map::new() };
        RawDescriptor { platform: Some(platform), ..self }
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

impl From<&Descriptor> for RawDescriptor {
    fn from(of: &Descriptor) -> RawDescriptor {
        RawDescriptor {
            media_type: of.media_type.clone(),
            digest: of.digest.into(),
            size: of.size,
            platform: None,
            annotations: Some(of.annotations.clone()).filter(|it| !it.is_empty()),
            other: of.other.clone(),
        }
    }
}

impl RawIndex {
    pub fn new(manifests: Vec<RawDescriptor>) -> RawIndex {
        let media_type = Some(MediaType::ImageIndex);
        RawIndex { schema_version: 2, media_type, manifests, annotations: None, other: Map::new() }
    }
}

impl RawManifest {
    pub fn new<'a>(
        config: &Descriptor,
        layers: impl Iterator<Item = &'a Descriptor>,
    ) -> RawManifest {
        RawManifest {
            schema_version: 2,
            media_type: Some(MediaType::ImageManifest),
            config: config.into(),
            layers: layers.map(RawDescriptor::from).collect(),
            annotations: None,
            other: Map::new(),
        }
    }
}
