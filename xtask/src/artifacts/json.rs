//! Artifacts as `artifacts.json` and `--json` list them.

use anyhow::Result;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Artifact;
use crate::oci;
use crate::plan::ImagePlatform;
use crate::target::Target;

impl Serialize for Artifact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (digest, size) = (self.digest(), self.size());
        // What only a kind has is its `extra`.
        let (kind, target, extra) = match self {
            Artifact::Archive(archive) => {
                let plan = &archive.plan;
                let extra = json!({ "binaries": plan.bins, "checksum": digest, "format": plan.format,
                                    "linkage": archive.linkage, "package": plan.package,
                                    "size": size, "version": plan.version });
                ("Archive", Some(&plan.target), extra)
            }
            Artifact::Image(image) => {
                let plan = &image.plan;
                let images = plan.platforms.iter().zip(image.root.images());
                let platform = |(of, (_, image)): (&ImagePlatform, (_, &oci::Image))| {
                    let digest = image.manifest.digest();
                    json!({ "digest": digest, "platform": of.platform, "target": of.target })
                };
                let platforms: Vec<Value> = images.map(platform).collect();
                let extra = json!({ "digest": digest, "package": plan.package,
                                    "platforms": platforms, "references": plan.names,
                                    "size": size, "version": plan.version });
                ("Image", None, extra)
            }
            Artifact::Krew(manifest) => {
                let extra = json!({ "checksum": digest, "package": manifest.package,
                                    "plugin": manifest.name, "size": size });
                ("Krew Plugin Manifest", None, extra)
            }
            Artifact::Checksums(_) => {
                ("Checksum", None, json!({ "checksum": digest, "size": size }))
            }
        };
        let mut listed = serializer.serialize_struct("Artifact", 7)?;
        listed.serialize_field("name", self.name())?;
        listed.serialize_field("path", &format!("dist/{}", self.path()))?;
        listed.serialize_field("target", &target)?;
        listed.serialize_field("goos", &target.map(Target::goos))?;
        listed.serialize_field("goarch", &target.map(Target::goarch))?;
        listed.serialize_field("type", kind)?;
        listed.serialize_field("extra", &extra)?;
        listed.end()
    }
}
