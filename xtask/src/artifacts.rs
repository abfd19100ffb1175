//! All that a release makes, in one list, and the files of dist/ that tell of it:
//! `checksums.txt`, `artifacts.json` and `metadata.json`, in the layout that GoReleaser
//! made common.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::archive::Archive;
use crate::digest::{self, Digest};
use crate::files::{self, Staging, limits};
use crate::finding::Help;
use crate::krew::Manifest;
use crate::oci;
use crate::plan::{BUNDLE, CHECKSUMS, ImagePlatform, Part, Plan};
use crate::target::Target;
use crate::term::SCHEMA;

mod image;
mod metadata;
mod provenance;
mod sbom;

pub use image::{Image, PushedImage};
pub use metadata::Of;
pub use provenance::Provenance;
pub use sbom::Sbom;

/// The folder of images in dist/.
pub const IMAGES: &str = "images/";

/// The folder of krew's manifests in dist/.
pub const KREW: &str = "krew/";

/// What a release makes. All that publishes it, lists it or shows it reads it here.
#[derive(Clone, Debug)]
pub enum Artifact {
    Archive(Archive),
    Image(Box<Image>),
    Krew(Manifest),
    Sbom(Sbom),
    Provenance(Provenance),
    Checksums(Checksums),
    Signature(Signature),
}

impl Artifact {
    /// Its name, its folder in dist/, and its digest.
    fn facts(&self) -> (&str, &str, Digest) {
        match self {
            Artifact::Archive(it) => (&it.plan.name, "", it.digest),
            Artifact::Image(it) => (&it.plan.name, IMAGES, it.root.digest()),
            Artifact::Krew(it) => (&it.file, KREW, it.digest),
            Artifact::Sbom(it) => (&it.plan.name, "", it.digest),
            Artifact::Provenance(it) => (&it.plan.name, "", it.digest),
            Artifact::Checksums(it) => (CHECKSUMS, "", it.digest),
            Artifact::Signature(it) => (&it.name, &it.folder, it.digest),
        }
    }

    /// The name of its file, or of an image's folder.
    pub fn name(&self) -> &str {
        self.facts().0
    }

    /// Its path in dist/, with `/`.
    pub fn path(&self) -> String {
        let (name, folder, _) = self.facts();
        format!("{folder}{name}")
    }

    /// The digest of its file, or of an image's topmost manifest.
    pub fn digest(&self) -> Digest {
        self.facts().2
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Artifact::Archive(it) => it.size,
            Artifact::Image(it) => it.root.size(),
            Artifact::Krew(it) => it.text.len() as u64,
            Artifact::Sbom(it) => it.size(),
            Artifact::Provenance(it) => it.size(),
            Artifact::Checksums(it) => it.text.len() as u64,
            Artifact::Signature(it) => it.size,
        }
    }

    /// The package that it is of; `None` for what is of several.
    pub fn package(&self) -> Option<&str> {
        match self {
            Artifact::Archive(it) => Some(&it.plan.package),
            Artifact::Image(it) => Some(&it.plan.package),
            Artifact::Krew(it) => Some(&it.package),
            Artifact::Sbom(it) => Some(&it.plan.package),
            Artifact::Provenance(it) => Some(&it.plan.package),
            Artifact::Checksums(_) | Artifact::Signature(_) => None,
        }
    }

    /// Whether it is a file of the release on the forge. Images go to registries.
    pub fn is_release_file(&self) -> bool {
        match self {
            Artifact::Archive(_)
            | Artifact::Krew(_)
            | Artifact::Sbom(_)
            | Artifact::Provenance(_)
            | Artifact::Checksums(_)
            | Artifact::Signature(_) => true,
            Artifact::Image(_) => false,
        }
    }
}

/// An artifact as `artifacts.json` and `--json` list it.
pub struct InDist<'a> {
    pub artifact: &'a Artifact,
    /// The name of dist/, which its path begins with.
    pub dist: &'a str,
}

impl Serialize for InDist<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let InDist { artifact, dist } = self;
        let (digest, size) = (artifact.digest(), artifact.size());
        // What only a kind has is its `extra`.
        let (kind, target, extra) = match artifact {
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
            Artifact::Sbom(sbom) => ("SBOM", sbom.target(), sbom.extra()),
            Artifact::Provenance(made) => ("Provenance", None, made.extra()),
            Artifact::Checksums(_) => {
                ("Checksum", None, json!({ "checksum": digest, "size": size }))
            }
            Artifact::Signature(signature) => {
                let extra = json!({ "checksum": digest, "of": signature.of,
                                    "signedBy": signature.key, "size": size });
                ("Signature", None, extra)
            }
        };
        let mut listed = serializer.serialize_struct("Artifact", 7)?;
        listed.serialize_field("name", artifact.name())?;
        listed.serialize_field("path", &format!("{dist}/{}", artifact.path()))?;
        listed.serialize_field("target", &target)?;
        listed.serialize_field("goos", &target.map(Target::goos))?;
        listed.serialize_field("goarch", &target.map(Target::goarch))?;
        listed.serialize_field("type", kind)?;
        listed.serialize_field("extra", &extra)?;
        listed.end()
    }
}

/// The digests of all archives, SBOMs and statements, as `sha256sum --check` reads them.
#[derive(Clone, Debug)]
pub struct Checksums {
    text: String,
    digest: Digest,
}

impl Checksums {
    /// `hex  name` lines, sorted by name; `None` where there is no such file. `others` are files
    /// that stay in dist/, by their names.
    fn of(artifacts: &[Artifact], others: &BTreeMap<String, Digest>) -> Option<Checksums> {
        let is_listed = |it: &&Artifact| {
            matches!(it, Artifact::Archive(_) | Artifact::Sbom(_) | Artifact::Provenance(_))
        };
        let own = artifacts.iter().filter(is_listed).map(|it| (it.name(), it.digest()));
        let mut digests: BTreeMap<&str, Digest> =
            others.iter().map(|(name, digest)| (&**name, *digest)).collect();
        digests.extend(own);
        let lines = digests.into_iter().map(|(name, digest)| format!("{}  {name}\n", digest.hex()));
        let text: String = lines.collect();
        let digest = Digest::of(text.as_bytes());
        (!text.is_empty()).then_some(Checksums { text, digest })
    }
}

/// The signature of a file, which lies beside it.
#[derive(Clone, Debug)]
pub struct Signature {
    name: String,
    folder: String,
    /// The name of the file.
    of: String,
    /// The fingerprint of the key.
    key: Digest,
    digest: Digest,
    /// In bytes.
    size: u64,
}

impl Signature {
    /// Writes the signature of an artifact into its place.
    pub fn write(
        of: &Artifact,
        bundle: &[u8],
        key: Digest,
        out: &Staging<'_>,
    ) -> Result<Signature> {
        let (of, folder, _) = of.facts();
        let name = format!("{of}{BUNDLE}");
        out.write(&format!("{folder}{name}"), bundle)?;
        let (digest, size) = (Digest::of(bundle), bundle.len() as u64);
        Ok(Signature { name, folder: folder.to_owned(), of: of.to_owned(), key, digest, size })
    }
}

/// Writes the checksums of what was made, and of what stays, and returns them as one more artifact;
/// `None` where there is nothing to list.
pub fn checksums(
    plan: &Plan,
    artifacts: &[Artifact],
    out: &Staging<'_>,
) -> Result<Option<Artifact>> {
    let Some(checksums) = Checksums::of(artifacts, &stayed(plan, out)?) else { return Ok(None) };
    out.write(CHECKSUMS, checksums.text.as_bytes())?;
    Ok(Some(Artifact::Checksums(checksums)))
}

/// The files that the checksums of a dist/ list, by their names.
pub fn listed(dist: &Path) -> Result<BTreeMap<String, Digest>> {
    let path = dist.join(CHECKSUMS);
    let text = files::read_foreign_if_there(&path, limits::RELEASE)?.unwrap_or_default();
    let listed = digest::listed(&text);
    let help = Help("remove dist/, for example with `dockless clean`, and run again".to_owned());
    listed.with_context(|| format!("read {}", path.display())).context(help)
}

/// Those of the files before that are in the new dist/ as they were.
fn stayed(plan: &Plan, out: &Staging<'_>) -> Result<BTreeMap<String, Digest>> {
    if plan.part == Part::All {
        return Ok(BTreeMap::new());
    }
    let mut listed = listed(out.dist())?;
    listed.retain(|name, _| out.path(name).is_file());
    Ok(listed)
}

/// Writes the two files beside what was made that tell of it, and returns the artifacts, sorted by
/// name. `project` is the name of the whole, where packages have several.
pub fn describe(
    plan: &Plan,
    project: &str,
    mut artifacts: Vec<Artifact>,
    out: &Staging<'_>,
) -> Result<Vec<Artifact>> {
    artifacts.sort_by(|a, b| a.name().cmp(b.name()));
    out.write(
        "artifacts.json",
        &document(&Listed { schema: SCHEMA, artifacts: with_others(plan, &artifacts, out)? })?,
    )?;
    // The mark of a dist/ of this tool's own comes last.
    metadata::write(plan, project, out)?;
    Ok(artifacts)
}

/// What `artifacts.json` holds.
#[derive(Serialize, Deserialize)]
struct Listed {
    schema: u32,
    artifacts: Vec<Value>,
}

/// The artifacts with those of the dist/ before that stay: the other part's.
fn with_others(plan: &Plan, artifacts: &[Artifact], out: &Staging<'_>) -> Result<Vec<Value>> {
    let dist = plan.dist_name();
    let own = artifacts.iter().map(|artifact| serde_json::to_value(InDist { artifact, dist }));
    let mut all: Vec<Value> = own.collect::<Result<_, _>>().context("write JSON")?;
    let path = out.dist().join("artifacts.json");
    if plan.part != Part::All
        && let Some(before) = read_document::<Listed>(&path)?
    {
        let text = |of: &Value, key: &str| of[key].as_str().unwrap_or("").to_owned();
        let stays = |of: &Value| {
            let path = text(of, "path");
            path.split_once('/').is_some_and(|(_, path)| {
                out.path(path).exists() && artifacts.iter().all(|own| own.path() != path)
            })
        };
        all.extend(before.artifacts.into_iter().filter(stays));
        all.sort_by_key(|of| text(of, "name"));
    }
    Ok(all)
}

/// A JSON file of dist/.
pub fn document(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).context("write JSON")?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a JSON file of dist/; `None` where there is none.
fn read_document<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = files::read_foreign_if_there(path, limits::RELEASE)? else { return Ok(None) };
    let help = Help("remove dist/, for example with `dockless clean`, and run again".to_owned());
    serde_json::from_slice(&text)
        .map(Some)
        .with_context(|| format!("read {}", path.display()))
        .context(help)
}
