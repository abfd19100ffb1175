//! The files of dist/ that tell what is in it: `checksums.txt`,
//! `artifacts.json` and `metadata.json`, in the layout that GoReleaser made common.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::archive::Archive;
use crate::digest::Digest;
use crate::files::{self, Staging, limits};
use crate::finding::Help;
use crate::krew::Manifest;
use crate::linkage::{Binary, Linkage};
use crate::oci::{Built, Root};
use crate::plan::{CHECKSUMS, ImagePlan, Part, Plan};
use crate::project::About;
use crate::target::Target;
use crate::version::Version;

/// The folder of images in dist/.
pub const IMAGES: &str = "images/";

/// The folder of krew's manifests in dist/.
pub const KREW: &str = "krew/";

/// One file of dist/, or an image's folder, as `artifacts.json` lists it.
#[derive(Clone, Debug, Serialize)]
pub struct Artifact {
    pub name: String,
    pub path: String,
    pub target: Option<Target>,
    pub goos: Option<String>,
    pub goarch: Option<String>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub extra: BTreeMap<&'static str, Value>,
}

/// What `metadata.json` says that a dist/ is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Of {
    pub tag: Option<String>,
    pub version: String,
    /// HEAD's, in full; `None` for sources without git.
    pub commit: Option<String>,
    packages: Vec<PackageOf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct PackageOf {
    name: String,
    version: String,
}

impl Of {
    /// Reads what the dist/ is of; `None` where there is none.
    pub fn read(dist: &Path) -> Result<Option<Of>> {
        let path = dist.join(METADATA);
        let read = files::read_foreign_if_there(&path, files::limits::RELEASE)?;
        let Some(bytes) = read else { return Ok(None) };
        let of = serde_json::from_slice(&bytes);
        of.map(Some).with_context(|| format!("read {}", path.display())).context(Help(ANEW.into()))
    }

    /// Whether a part of the plan is of the same sources as this dist/.
    pub fn is_of(&self, plan: &Plan) -> bool {
        let same = |of: &PackageOf| {
            let build = plan.builds.iter().find(|build| build.package == of.name);
            build.is_none_or(|build| build.version.to_string() == of.version)
        };
        self.commit == plan.commit && self.packages.iter().all(same)
    }
}

/// Its version, and the commit where there is one.
impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.iter().map(|commit| format!(" (commit {commit:.12})"));
        write!(f, "{}{}", self.version, commit.collect::<String>())
    }
}

/// The mark of a dist/, which tells what it is of.
const METADATA: &str = "metadata.json";

/// What to do about a dist/ that cannot be read.
const ANEW: &str = "remove dist/, for example with `dockless clean`, and run again";

/// What `metadata.json` says of a release.
#[derive(Debug, Serialize)]
struct Metadata<'a> {
    project_name: &'a str,
    tag: Option<&'a str>,
    version: &'a Version,
    packages: Vec<Package<'a>>,
    commit: Option<&'a str>,
    date: String,
    snapshot: bool,
    /// The version of this tool; also the mark by which it knows its own dist/.
    dockless: &'static str,
}

/// A package of the release, and what its Cargo.toml says about it.
#[derive(Debug, Serialize)]
struct Package<'a> {
    name: &'a str,
    version: &'a Version,
    #[serde(flatten)]
    about: &'a About,
}

/// The text of `checksums.txt`: `hex  name` lines, sorted by name.
pub fn checksums(files: &BTreeMap<&str, &Digest>) -> String {
    files.iter().map(|(name, digest)| format!("{}  {name}\n", digest.hex())).collect()
}

/// What was made of a plan.
pub struct Made<'a> {
    pub archives: &'a [Archive],
    pub manifests: &'a [Manifest],
    pub images: &'a [Built],
    pub binaries: &'a [Binary],
}

/// Writes the three files beside what was made and returns the artifacts. `project`
/// is the name of the whole, where packages have several.
pub fn describe(
    plan: &Plan,
    project: &str,
    made: &Made<'_>,
    out: &Staging,
) -> Result<Vec<Artifact>> {
    let archives = made.archives;
    let digests: BTreeMap<&str, &Digest> =
        archives.iter().map(|archive| (&*archive.plan().name, archive.digest())).collect();
    let mut artifacts: Vec<Artifact> =
        archives.iter().map(|archive| artifact(archive, made.binaries)).collect();
    for Built { plan, root } in made.images {
        artifacts.push(image(plan, root)?);
    }
    artifacts.extend(made.manifests.iter().map(plugin));
    if !archives.is_empty() {
        let text = checksums(&digests);
        out.write(CHECKSUMS, text.as_bytes())?;
        let digest = Digest::of(text.as_bytes());
        let extra =
            BTreeMap::from([("checksum", digest.to_string().into()), ("size", text.len().into())]);
        artifacts.push(Artifact::of(CHECKSUMS, "", "Checksum", None, extra));
    }
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let packages = plan.builds.iter().map(|build| Package {
        name: &build.package,
        version: &build.version,
        about: &build.about,
    });
    let metadata = Metadata {
        project_name: project,
        tag: plan.tag.as_deref(),
        version: &plan.version,
        packages: packages.collect(),
        commit: plan.commit.as_deref(),
        date: plan.time.to_string(),
        snapshot: plan.mode == crate::plan::Mode::Snapshot,
        dockless: env!("CARGO_PKG_VERSION"),
    };
    out.write("artifacts.json", &document(&with_others(plan, &artifacts, out)?)?)?;
    // The mark of a dist/ of this tool's own comes last.
    out.write(METADATA, &document(&metadata)?)?;
    Ok(artifacts)
}

/// The artifacts with those of the dist/ before that stay: the other part's.
fn with_others(plan: &Plan, artifacts: &[Artifact], out: &Staging) -> Result<Vec<Value>> {
    let own = artifacts.iter().map(|it| serde_json::to_value(it).context("write JSON"));
    let mut all: Vec<Value> = own.collect::<Result<_>>()?;
    let path = plan.dist.join("artifacts.json");
    let before = match plan.part {
        Part::All => None,
        _ => files::read_foreign_if_there(&path, limits::RELEASE)?,
    };
    if let Some(before) = before {
        let before: Vec<Value> = serde_json::from_slice(&before)
            .with_context(|| format!("read {}", path.display()))
            .context(Help(ANEW.into()))?;
        let text = |of: &Value, key: &str| of[key].as_str().unwrap_or("").to_owned();
        let stays = |of: &Value| {
            let file = text(of, "path");
            let there = file.strip_prefix("dist/").map(|file| out.path(file).exists());
            let replaced = artifacts.iter().any(|own| own.path == file);
            !replaced && there == Some(true)
        };
        all.extend(before.into_iter().filter(stays));
        all.sort_by_key(|of| text(of, "name"));
    }
    Ok(all)
}

impl Artifact {
    /// What lies in dist/ under `folder` and this name; `target` where it is for one.
    fn of(
        name: &str,
        folder: &str,
        kind: &'static str,
        target: Option<&Target>,
        extra: BTreeMap<&'static str, Value>,
    ) -> Artifact {
        Artifact {
            name: name.to_owned(),
            path: format!("dist/{folder}{name}"),
            target: target.cloned(),
            goos: target.map(|target| target.goos().to_owned()),
            goarch: target.map(|target| target.goarch().to_owned()),
            kind,
            extra,
        }
    }
}

fn image(plan: &ImagePlan, root: &Root) -> Result<Artifact> {
    let images = plan.platforms.iter().zip(root.images()).map(|(of, (_, image))| {
        let digest = image.manifest.digest();
        let (platform, target) = (&of.platform, &of.target);
        Ok(json!({ "platform": platform, "target": target, "digest": digest }))
    });
    let images: Vec<Value> = images.collect::<Result<_>>()?;
    let extra = BTreeMap::from([
        ("digest", root.digest().to_string().into()),
        ("package", plan.package.clone().into()),
        ("platforms", images.into()),
        ("references", json!(plan.names)),
        ("size", root.size().into()),
        ("version", plan.version.to_string().into()),
    ]);
    Ok(Artifact::of(&plan.name, IMAGES, "Image", None, extra))
}

fn plugin(manifest: &Manifest) -> Artifact {
    let extra = BTreeMap::from([
        ("checksum", Digest::of(manifest.text().as_bytes()).to_string().into()),
        ("package", manifest.package().into()),
        ("plugin", manifest.name().into()),
        ("size", manifest.text().len().into()),
    ]);
    Artifact::of(&manifest.file(), KREW, "Krew Plugin Manifest", None, extra)
}

fn document(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).context("write JSON")?;
    text.push(b'\n');
    Ok(text)
}

fn artifact(archive: &Archive, binaries: &[Binary]) -> Artifact {
    let plan = archive.plan();
    let linkage = binaries.iter().filter(|binary| {
        let compiled = binary.compiled();
        compiled.package() == plan.package && *compiled.target() == plan.target
    });
    let linkage: BTreeMap<&str, &Linkage> =
        linkage.map(|binary| (binary.compiled().bin(), binary.linkage())).collect();
    let extra = BTreeMap::from([
        ("binaries", plan.bins.clone().into()),
        ("checksum", archive.digest().to_string().into()),
        ("format", plan.format.name().into()),
        ("linkage", json!(linkage)),
        ("package", plan.package.clone().into()),
        ("size", archive.size().into()),
        ("version", plan.version.to_string().into()),
    ]);
    Artifact::of(&plan.name, "", "Archive", Some(&plan.target), extra)
}
