//! From what a package's programs, archives and images were made, said as a statement: SLSA's
//! provenance, version 1. It holds nothing that differs between two makings of the same bytes: no
//! time, no machine, no run. Who vouches for it is whoever signed it.
//! <https://slsa.dev/spec/v1.2/build-provenance>

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::Base;
use crate::digest::Digest;
use crate::plan::{BuildPlan, Plan};
use crate::process::Env;
use crate::project::Crate;
use crate::sbom::{Origin, purl};
use crate::sign::{Statement, Subject};
use crate::target::Target;
use crate::toolchain::ToolchainPart;

#[cfg(test)]
mod tests;

/// The type of the predicate, by which verifiers ask for it.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// What the parameters mean: this tool's documentation says it.
pub const BUILD_TYPE: &str = "https://docs.rs/dockless/0/dockless/#the-build-type-release";

/// The builder: this tool, wherever its user runs it. The key says who that is.
const BUILDER: &str = "https://docs.rs/dockless/0/dockless/#the-builder";

/// What a statement of provenance says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    pub build_definition: Definition,
    pub run_details: Details,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    pub build_type: String,
    pub external_parameters: Parameters,
    pub internal_parameters: Internals,
    /// What was used: the sources, the crates, the toolchain, the bases of images.
    pub resolved_dependencies: Vec<Resource>,
}

/// What the user chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// The repository and the commit, as far as they are known; of changed sources no commit.
    pub source: Resource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    pub package: String,
    pub version: String,
    /// The programs.
    pub bins: Vec<String>,
    pub targets: Vec<String>,
    pub profile: String,
    /// cargo's, for the features and the profile.
    pub arguments: Vec<String>,
    /// The variables that change what compilers make, where they are set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// What the tool decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Internals {
    /// The digest of the package's plan.
    pub plan: Digest,
    /// The time that outputs carry.
    pub time: String,
}

/// Something that was used, by its digests.
/// <https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md>
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// By their algorithms, in hex.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    pub builder: Builder,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    pub id: String,
    /// The version of this tool.
    #[serde(default)]
    pub version: BTreeMap<String, String>,
}

/// What the statement of a package is made from.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub build: &'a BuildPlan,
    pub origin: &'a Origin,
    pub env: &'a Env,
    /// The digest of Cargo.lock.
    pub lock: Option<Digest>,
    pub toolchain: &'a [ToolchainPart],
    /// The bases of images that are in registries: names and digests, for each platform.
    pub bases: Vec<(String, Digest)>,
}

/// The statement of a package, about what was made of it.
pub fn statement(facts: &Facts<'_>, mut subjects: Vec<Subject>) -> Result<Statement> {
    subjects.sort();
    subjects.dedup();
    let Facts { plan, build, .. } = facts;
    let version = BTreeMap::from([("dockless".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    let provenance = Provenance {
        build_definition: Definition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: parameters(facts),
            internal_parameters: Internals {
                plan: plan_digest(plan, build)?,
                time: plan.time.to_string(),
            },
            resolved_dependencies: resources(facts),
        },
        run_details: Details { builder: Builder { id: BUILDER.to_owned(), version } },
    };
    let predicate = serde_json::to_value(provenance).context("write the provenance")?;
    Ok(Statement::new(subjects, PREDICATE, predicate))
}

impl Provenance {
    /// What a statement says that this tool made. Another builder's has other parameters.
    pub fn of(statement: &Statement) -> Result<Provenance> {
        let found = &statement.predicate_type;
        ensure!(found == PREDICATE, "it is a statement of the type {found:?}, not {PREDICATE}");
        let definition = &statement.predicate["buildDefinition"];
        let kind = definition["buildType"].as_str().unwrap_or_default();
        ensure!(kind == BUILD_TYPE, "it is of the build type {kind:?}, which is another tool's");
        let read = serde_json::from_value(statement.predicate.clone());
        read.context("read the provenance in the statement")
    }

    /// The commit that it was built from.
    pub fn commit(&self) -> Option<&str> {
        let source = &self.build_definition.external_parameters.source;
        source.digest.get(COMMIT).map(String::as_str)
    }

    /// The version of the tool that built it.
    pub fn tool(&self) -> Option<&str> {
        self.run_details.builder.version.get("dockless").map(String::as_str)
    }

    /// The versions of the compilers that built it.
    pub fn compilers(&self) -> BTreeSet<&str> {
        let all = self.build_definition.resolved_dependencies.iter();
        let compilers = all.filter(|it| it.name.as_deref() == Some(COMPILER));
        compilers.filter_map(|it| it.annotations.get(VERSION)).map(String::as_str).collect()
    }

    /// From what, by what and with what it was built, in a line.
    pub fn summary(&self) -> String {
        let Parameters { source, tag, .. } = &self.build_definition.external_parameters;
        let commit = match self.commit() {
            Some(commit) => format!("commit {commit}"),
            None => "sources that no commit holds".to_owned(),
        };
        let tag = tag.iter().map(|tag| format!(", tag {tag}")).collect::<String>();
        let uri = source.uri.iter().map(|uri| format!(" of {uri}")).collect::<String>();
        let tool = self.tool().unwrap_or("of an unknown version");
        let compilers = self.compilers().into_iter().collect::<Vec<_>>().join(", ");
        format!("{commit}{uri}{tag}, by dockless {tool} with rustc {compilers}")
    }
}

const COMMIT: &str = "gitCommit";
const SHA256: &str = "sha256";
const VERSION: &str = "version";

/// The name of the compiler among what was used.
pub const COMPILER: &str = "rustc";

fn parameters(facts: &Facts<'_>) -> Parameters {
    let Facts { plan, build, .. } = facts;
    let own = |package: &String| *package == build.package;
    let archives = plan.archives.iter().filter(|it| own(&it.package));
    let images = plan.images.iter().filter(|it| own(&it.package));
    let platforms = images.flat_map(|image| &image.platforms);
    let targets: BTreeSet<&Target> =
        archives.map(|it| &it.target).chain(platforms.map(|it| &it.target)).collect();
    Parameters {
        source: source(facts),
        tag: plan.tag.clone(),
        package: build.package.clone(),
        version: build.version.to_string(),
        bins: build.bins.clone(),
        targets: targets.into_iter().map(ToString::to_string).collect(),
        profile: build.profile.clone(),
        arguments: arguments(build).cloned().collect(),
        environment: environment(facts.env),
    }
}

/// The arguments that change what cargo makes.
fn arguments(build: &BuildPlan) -> impl Iterator<Item = &String> {
    let other = ["--jobs=", "--offline", "--locked", "--frozen"];
    build.args.iter().filter(move |arg| !other.iter().any(|start| arg.starts_with(start)))
}

/// The variables by which rustc, cargo's profiles and C compilers make other code.
fn environment(env: &Env) -> BTreeMap<String, String> {
    let set = env.iter().filter_map(|(name, value)| Some((name.to_str()?, value)));
    // Actions that install Rust set this. Profiles of releases are not incremental anyway.
    let is_default = |name: &str, value: &OsStr| name == "CARGO_INCREMENTAL" && value == "0";
    let set = set
        .filter(|(name, value)| is_recorded(name) && !value.is_empty() && !is_default(name, value));
    set.map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned())).collect()
}

/// Whether a variable changes what cargo and compilers make, so that it is recorded where it is
/// set.
pub fn is_recorded(name: &str) -> bool {
    let starts =
        ["CARGO_PROFILE_", "CARGO_UNSTABLE_BUILD_STD", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"];
    let others = [
        "CARGO_INCREMENTAL",
        "CARGO_RESOLVER_FEATURE_UNIFICATION",
        "MACOSX_DEPLOYMENT_TARGET",
        "RUSTC_BOOTSTRAP",
        "SOURCE_DATE_EPOCH",
    ];
    name.ends_with("RUSTFLAGS")
        || others.contains(&name)
        || starts.iter().any(|start| name.starts_with(start))
}

fn source(facts: &Facts<'_>) -> Resource {
    let Origin { repository, commit, .. } = facts.origin;
    Resource {
        uri: repository.as_ref().map(|url| format!("git+{url}")),
        digest: commit.iter().map(|it| (COMMIT.to_owned(), it.clone())).collect(),
        ..Resource::default()
    }
}

/// All that was used, sorted within its kind.
fn resources(facts: &Facts<'_>) -> Vec<Resource> {
    let mut all = vec![source(facts)];
    all.extend(facts.lock.map(|digest| named("Cargo.lock", digest)));
    let crates: BTreeSet<Resource> =
        facts.build.crates.values().flatten().filter_map(used_crate).collect();
    all.extend(crates);
    all.extend(facts.toolchain.iter().map(|part| {
        let ToolchainPart { name, version, host, commit, digest } = part;
        let mut resource = named(name, *digest);
        let commit = commit.iter().map(|it| (COMMIT.to_owned(), it.clone()));
        resource.digest.extend(commit);
        let host = host.iter().map(|host| ("host".to_owned(), host.clone()));
        resource.annotations.extend(host.chain([(VERSION.to_owned(), version.clone())]));
        resource
    }));
    let bases: BTreeSet<Resource> =
        facts.bases.iter().map(|(name, digest)| named(name, *digest)).collect();
    all.extend(bases);
    all
}

fn named(name: &str, digest: Digest) -> Resource {
    Resource { name: Some(name.to_owned()), digest: sha256(digest), ..Resource::default() }
}

fn sha256(digest: Digest) -> BTreeMap<String, String> {
    BTreeMap::from([(SHA256.to_owned(), digest.hex())])
}

/// A crate from elsewhere. Those of paths are in the sources.
fn used_crate(krate: &Crate) -> Option<Resource> {
    let source = krate.source.as_deref()?;
    let digest = match (&krate.checksum, source.rsplit_once('#')) {
        (Some(checksum), _) => Some((SHA256, checksum.clone())),
        (None, Some((_, commit))) if source.starts_with("git+") => {
            Some((COMMIT, commit.to_owned()))
        }
        _ => None,
    };
    let digest = digest.map(|(algorithm, hex)| (algorithm.to_owned(), hex)).into_iter().collect();
    Some(Resource { uri: purl(krate), digest, ..Resource::default() })
}

/// The digest of what is planned of a package, but for what a machine has of its own, such as
/// folders and linkers. The order in which targets were named changes nothing.
fn plan_digest(plan: &Plan, build: &BuildPlan) -> Result<Digest> {
    let own = |package: &String| *package == build.package;
    let archives = plan.archives.iter().filter(|it| own(&it.package));
    let archives: BTreeMap<_, _> =
        archives.map(|it| (&it.name, it.entry_names(&plan.generate))).collect();
    let images = plan.images.iter().filter(|it| own(&it.package)).map(|it| {
        let base = match &it.base {
            // Its path is this machine's; its digest is among what was used.
            Base::Stored(_) => "stored".to_owned(),
            base => base.to_string(),
        };
        let files = it.files.iter().map(|file| (&file.to, file.mode, &file.owner));
        let files: Vec<_> = files.collect();
        let platforms: BTreeMap<String, &Target> =
            it.platforms.iter().map(|it| (it.platform.to_string(), &it.target)).collect();
        json!({ "base": base, "bins": it.bins, "config": it.config, "files": files,
                "licenses": it.licenses, "platforms": platforms })
    });
    let sboms = plan.sboms.iter().filter(|it| own(&it.package));
    let planned = json!({
        "archives": archives,
        "arguments": arguments(build).collect::<Vec<_>>(),
        "auditable": build.auditable,
        "bins": build.bins,
        "environment": build.env,
        "images": images.collect::<Vec<_>>(),
        "package": build.package,
        "sboms": sboms.map(|it| (&it.name, &it.format)).collect::<BTreeMap<_, _>>(),
        "version": build.version,
    });
    let text = serde_json::to_vec(&planned).context("write the plan")?;
    Ok(Digest::of(&text))
}
