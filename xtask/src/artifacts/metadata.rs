//! What a dist/ is of: `metadata.json`.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{document, read_document};
use crate::files::Staging;
use crate::plan::{Mode, Plan};
use crate::project::About;
use crate::term::SCHEMA;
use crate::version::Version;

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
        read_document(&dist.join(METADATA))
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

/// What `metadata.json` says of a release.
#[derive(Debug, Serialize)]
struct Metadata<'a> {
    schema: u32,
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

/// Writes what the dist/ is of. `project` is the name of the whole, where packages have several.
pub fn write(plan: &Plan, project: &str, out: &Staging<'_>) -> Result<()> {
    let packages = plan.builds.iter().map(|build| Package {
        name: &build.package,
        version: &build.version,
        about: &build.about,
    });
    let metadata = Metadata {
        schema: SCHEMA,
        project_name: project,
        tag: plan.tag.as_deref(),
        version: &plan.version,
        packages: packages.collect(),
        commit: plan.commit.as_deref(),
        date: plan.time.to_string(),
        snapshot: plan.mode == Mode::Snapshot,
        dockless: env!("CARGO_PKG_VERSION"),
    };
    out.write(METADATA, &document(&metadata)?)
}
