//! The files of dist/ that tell what is in it: `checksums.txt`,
//! `artifacts.json` and `metadata.json`, in the layout that GoReleaser made common.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::archive::Archive;
use crate::digest::Digest;
use crate::files::Staging;
use crate::linkage::{Binary, Linkage};
use crate::plan::Plan;
use crate::project::About;
use crate::target::Target;
use crate::version::Version;

/// The name of the list of digests, as `sha256sum --check` reads it.
pub const CHECKSUMS: &str = "checksums.txt";

/// One file of dist/, as `artifacts.json` lists it.
#[derive(Clone, Debug, Serialize)]
pub struct Artifact {
    pub name: String,
    pub path: String,
    pub target: Option<Target>,
    pub goos: Option<String>,
    pub goarch: Option<String>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub extra: BTreeMap<&'static str, serde_json::Value>,
}

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

/// Writes the three files beside the archives and returns the artifacts.
/// `project` is the name of the whole, where packages have several.
pub fn describe(
    plan: &Plan,
    project: &str,
    archives: &[Archive],
    binaries: &[Binary],
    out: &Staging,
) -> Result<Vec<Artifact>> {
    let digests: BTreeMap<&str, &Digest> =
        archives.iter().map(|archive| (&*archive.plan().name, archive.digest())).collect();
    let mut artifacts: Vec<Artifact> =
        archives.iter().map(|archive| artifact(archive, binaries)).collect();
    if !archives.is_empty() {
        let text = checksums(&digests);
        out.write(CHECKSUMS, text.as_bytes())?;
        let digest = Digest::of(text.as_bytes());
        let extra =
            BTreeMap::from([("checksum", digest.to_string().into()), ("size", text.len().into())]);
        let (target, goos, goarch) = (None, None, None);
        let path = format!("dist/{CHECKSUMS}");
        artifacts.push(Artifact {
            name: CHECKSUMS.into(),
            path,
            target,
            goos,
            goarch,
            kind: "Checksum",
            extra,
        });
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
    out.write("artifacts.json", &json(&artifacts)?)?;
    // The mark of a dist/ of this tool's own comes last.
    out.write("metadata.json", &json(&metadata)?)?;
    Ok(artifacts)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
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
    Artifact {
        name: plan.name.clone(),
        path: format!("dist/{}", plan.name),
        target: Some(plan.target.clone()),
        goos: Some(plan.target.goos().to_owned()),
        goarch: Some(plan.target.goarch().to_owned()),
        kind: "Archive",
        extra: BTreeMap::from([
            ("binaries", plan.bins.clone().into()),
            ("checksum", archive.digest().to_string().into()),
            ("format", plan.format.name().into()),
            ("linkage", serde_json::json!(linkage)),
            ("package", plan.package.clone().into()),
            ("size", archive.size().into()),
            ("version", plan.version.to_string().into()),
        ]),
    }
}
