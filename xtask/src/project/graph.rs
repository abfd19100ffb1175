//! The crates that are compiled into a package for a target, and which of them need more than a
//! Rust compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, TargetKind};
use serde::{Deserialize, Serialize};

use super::Project;
use super::crates::{self, Crate, Known};
use crate::cache::{Cache, CacheKind};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::http::Network;
use crate::process::Program;
use crate::target::Target;
use crate::term::Term;

/// Build dependencies that compile C or read its headers.
const C_COMPILERS: [&str; 7] =
    ["autotools", "bindgen", "cc", "cmake", "gcc", "meson-next", "nasm-rs"];
/// Build dependencies that look for a system library.
const LIBRARY_FINDERS: [&str; 3] = ["pkg-config", "system-deps", "vcpkg"];

/// The version of the cached graphs.
const FORMAT: &[u8] = b"graph 4";

/// A package's dependency graph for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// All crates of the build, those for the host too, in the order of name, version, source,
    /// side and features.
    pub crates: Vec<Crate>,
    /// Crates that compile C or declare `links`, sorted by name.
    pub native: Vec<NativeCrate>,
    /// Folders of sources outside the workspace, whose paths must not appear in a binary:
    /// `(folder, stable name)`.
    pub sources: Vec<(PathBuf, String)>,
    /// The manifests of compiled path dependencies outside the workspace.
    pub outside: Vec<PathBuf>,
}

/// A crate that may add more than Rust to a binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NativeCrate {
    pub name: String,
    pub version: String,
    /// The key `links` of its manifest.
    pub links: Option<String>,
    /// The build dependencies by which it compiles C or finds a system library, sorted.
    pub builders: Vec<String>,
    /// The enabled features, sorted.
    pub features: Vec<String>,
}

impl NativeCrate {
    /// Whether its build script needs a C compiler for the target.
    pub fn compiles_c(&self) -> bool {
        self.builders.iter().any(|builder| C_COMPILERS.contains(&&**builder))
    }
}

impl Graph {
    /// The crates that need a C compiler for the target.
    pub fn compiling_c(&self) -> impl Iterator<Item = &NativeCrate> {
        self.native.iter().filter(|krate| krate.compiles_c())
    }
}

/// A package to be built for one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// `NAME@VERSION`
    pub package: String,
    pub target: Target,
    /// Arguments such as `--features x`.
    pub feature_args: Vec<String>,
}

/// A cached graph. It is valid while the manifests outside the workspace are unchanged.
#[derive(Serialize, Deserialize)]
struct Record {
    graph: Graph,
    outside: BTreeMap<PathBuf, String>,
}

/// The graph of each wanted build, from the cache where manifests, lock file and toolchain are
/// unchanged.
pub fn learn(
    project: &Project,
    wanted: &[Wanted],
    network: Network,
    cache: &Cache,
    term: &Term,
) -> Result<BTreeMap<Wanted, Graph>> {
    let lock = files::read_foreign_if_there(&project.root.join("Cargo.lock"), limits::LOCK)?
        .unwrap_or_default();
    // The folders of sources lie there.
    let home = project.cargo_home().unwrap_or_default().to_string_lossy().into_owned();
    let key = |wanted: &Wanted| {
        let features = wanted.feature_args.join(" ");
        let sysroot = project.rustc.sysroot.to_string_lossy();
        let names = [&*wanted.package, wanted.target.triple(), &*features, &*sysroot, &*home];
        let parts = names.iter().map(|name| name.as_bytes());
        digest::of_parts([FORMAT, &project.metadata, &lock].into_iter().chain(parts))
    };
    let mut graphs = BTreeMap::new();
    let mut missing = Vec::new();
    for wanted in wanted {
        match kept(&key(wanted), cache)? {
            Some(graph) => drop(graphs.insert(wanted.clone(), graph)),
            None => missing.push(wanted),
        }
    }
    if missing.is_empty() {
        return Ok(graphs);
    }
    // cargo may now fetch sources, and does not say so.
    term.step("resolve", "the dependency graph (cargo metadata)");
    let query = Query::new(project, network)?;
    let listed = Listed::ask(&query, &missing)?;
    for wanted in missing {
        let record = listed.record(&query, wanted)?;
        // Without a lock file the next answer may differ.
        if project.has_lock {
            cache.put_json(CacheKind::Graph, &key(wanted), &record)?;
        }
        graphs.insert(wanted.clone(), record.graph);
    }
    Ok(graphs)
}

fn kept(key: &Digest, cache: &Cache) -> Result<Option<Graph>> {
    let record: Option<Record> = cache.get_json(CacheKind::Graph, key)?;
    let Some(record) = record else { return Ok(None) };
    for (manifest, digest) in &record.outside {
        let now = files::read_foreign_if_there(manifest, limits::SETTINGS)?
            .map(|bytes| Digest::of(&bytes).hex());
        if now.as_ref() != Some(digest) {
            return Ok(None);
        }
    }
    // cargo removes sources that were not used for long, and fetches them again where asked.
    for krate in &record.graph.crates {
        if !files::exists(&krate.dir)? {
            return Ok(None);
        }
    }
    Ok(Some(record.graph))
}

/// How cargo is asked about dependencies. It needs a lock file, and writes a missing one. It is
/// told to write it elsewhere, so that a query leaves no trace, and a Cargo.lock that another
/// cargo writes meanwhile stays as it is.
struct Query<'a> {
    project: &'a Project,
    network: Network,
    /// The folder of the lock file, if the project has none.
    elsewhere: Option<tempfile::TempDir>,
}

impl<'a> Query<'a> {
    fn new(project: &'a Project, network: Network) -> Result<Query<'a>> {
        let elsewhere = (!project.has_lock).then(files::temporary_dir).transpose()?;
        Ok(Query { project, network, elsewhere })
    }

    /// The text of the lock file that the answers follow.
    fn lock(&self) -> Result<String> {
        let own = self.project.root.join("Cargo.lock");
        let places = self.elsewhere.iter().map(|dir| dir.path().join("Cargo.lock")).chain([own]);
        for place in places {
            if let Some(text) = files::read_foreign_if_there(&place, limits::LOCK)? {
                return String::from_utf8(text)
                    .with_context(|| format!("read {}", place.display()));
            }
        }
        Ok(String::new())
    }

    /// The setting is stable since cargo 1.97 and was unstable before. Versions that do not know
    /// it leave a Cargo.lock in the project, like all of their commands.
    /// <https://doc.rust-lang.org/cargo/reference/config.html#resolverlockfile-path>
    fn cargo(&self, subcommand: &str) -> Program<'a> {
        let cargo = self.project.cargo(subcommand);
        match &self.elsewhere {
            None => cargo.arg("--locked"),
            Some(dir) => cargo
                .var("CARGO_RESOLVER_LOCKFILE_PATH", dir.path().join("Cargo.lock"))
                .var("CARGO_UNSTABLE_LOCKFILE_PATH", "true")
                .var("RUSTC_BOOTSTRAP", "1"),
        }
        .args(self.network.cargo_arg())
    }
}

/// All packages that any part of the workspace could use.
struct Listed {
    known: Known,
    /// Packages by path that lie outside the workspace.
    outside: BTreeMap<PathBuf, String>,
    sources: Vec<(PathBuf, String)>,
}

impl Listed {
    /// Asks only for packages that the wanted builds could compile: cargo fetches the sources of
    /// all packages that it lists.
    fn ask(query: &Query<'_>, wanted: &[&Wanted]) -> Result<Listed> {
        let project = query.project;
        // Build scripts and proc macros are compiled for the host.
        let host = std::iter::once(&*project.rustc.host);
        let targets: BTreeSet<&str> =
            wanted.iter().map(|wanted| wanted.target.triple()).chain(host).collect();
        let features = wanted.iter().any(|wanted| !wanted.feature_args.is_empty());
        let cargo = query
            .cargo("metadata")
            .args(["--format-version", "1"])
            .args(targets.iter().flat_map(|target| ["--filter-platform", target]))
            .args(features.then_some("--all-features"));
        let text = cargo.read()?;
        let metadata = MetadataCommand::parse(&text)
            .with_context(|| format!("read the output of `{cargo}`"))?;
        let known = Known::new(metadata.packages, &query.lock()?)?;
        let mut outside = BTreeMap::new();
        let mut sources = BTreeSet::new();
        for package in known.packages() {
            let manifest = package.manifest_path.as_std_path();
            let dir = manifest.parent().context("find a manifest's folder")?;
            match &package.source {
                // A registry's folder has the name of its host or of a mirror.
                Some(source) if !source.repr.starts_with("git+") => {
                    sources.extend(
                        dir.parent().map(|all| (all.to_owned(), "/cargo/registry".to_owned())),
                    );
                }
                None if !manifest.starts_with(&project.root) => {
                    let text = files::read_foreign(manifest, limits::SETTINGS)?;
                    outside.insert(manifest.to_owned(), Digest::of(&text).hex());
                    sources.insert((dir.to_owned(), format!("/deps/{}", package.name)));
                }
                _ => {}
            }
        }
        sources.retain(|(dir, _)| !dir.starts_with(&project.root));
        Ok(Listed { known, outside, sources: sources.into_iter().collect() })
    }

    /// The graph as `cargo tree` prints it.
    fn record(&self, query: &Query<'_>, wanted: &Wanted) -> Result<Record> {
        let tree = query
            .cargo("tree")
            .args(["--package", &wanted.package, "--target", wanted.target.triple()])
            .args(crates::TREE)
            .args(&wanted.feature_args);
        let text = tree.read()?;
        let found = self.known.crates(&text).with_context(|| format!("ask `{tree}`"))?;
        let mut linked = BTreeSet::new();
        let mut outside = BTreeSet::new();
        for (krate, package) in found.iter().filter(|(krate, _)| !krate.host) {
            linked.extend(native(package, &krate.features));
            let manifest = package.manifest_path.as_std_path();
            outside.extend(self.outside.contains_key(manifest).then(|| manifest.to_owned()));
        }
        let graph = Graph {
            crates: found.into_iter().map(|(krate, _)| krate).collect(),
            native: linked.into_iter().collect(),
            sources: self.sources.clone(),
            outside: outside.into_iter().collect(),
        };
        Ok(Record { graph, outside: self.outside.clone() })
    }
}

/// The crate as a native one, if its build script may add C or a system library.
fn native(package: &cargo_metadata::Package, features: &[String]) -> Option<NativeCrate> {
    if !package.targets.iter().any(|target| target.kind.contains(&TargetKind::CustomBuild)) {
        return None;
    }
    let enabled = |dependency: &cargo_metadata::Dependency| {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        !dependency.optional || features.iter().any(|feature| turns_on(package, feature, name))
    };
    let known = |name: &str| C_COMPILERS.contains(&name) || LIBRARY_FINDERS.contains(&name);
    let builders = package.dependencies.iter().filter(|dependency| {
        dependency.kind == DependencyKind::Build && known(&dependency.name) && enabled(dependency)
    });
    let builders: BTreeSet<String> = builders.map(|builder| builder.name.clone()).collect();
    let features: BTreeSet<String> = features.iter().cloned().collect();
    let links = package.links.clone();
    (links.is_some() || !builders.is_empty()).then(|| NativeCrate {
        name: package.name.to_string(),
        version: package.version.to_string(),
        links,
        builders: builders.into_iter().collect(),
        features: features.into_iter().collect(),
    })
}

fn turns_on(package: &cargo_metadata::Package, feature: &str, dependency: &str) -> bool {
    let on = package.features.get(feature).into_iter().flatten();
    feature == dependency
        || on.map(String::as_str).any(|on| {
            on == dependency
                || on.strip_prefix("dep:") == Some(dependency)
                || on.split_once('/').is_some_and(|(name, _)| name == dependency)
        })
}
