//! The crates that are compiled into a package for a target, and which of them need more than a
//! Rust compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, TargetKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Project;
use super::alike::{self, Call};
use super::crates::{self, Crate, Known};
use super::stale;
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
const FORMAT: &[u8] = b"graph 5";

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

    /// Whether its build script may look for a system library.
    pub fn finds_library(&self) -> bool {
        self.builders.iter().any(|builder| LIBRARY_FINDERS.contains(&&**builder))
    }
}

impl Graph {
    /// The crates that need a C compiler for the target.
    pub fn compiling_c(&self) -> impl Iterator<Item = &NativeCrate> {
        self.native.iter().filter(|krate| krate.compiles_c())
    }

    /// Whether its sources are where they were. cargo removes those that were not used for long,
    /// and fetches them again where it is asked.
    fn has_sources(&self) -> bool {
        self.crates.iter().all(|krate| krate.dir.is_dir())
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

/// What is cached of cargo's answers. It is valid while the manifests outside the workspace are
/// unchanged.
#[derive(Serialize, Deserialize)]
struct Record<T> {
    value: T,
    outside: BTreeMap<PathBuf, String>,
}

/// The sets of packages that one call of cargo may compile.
type Alike = Vec<BTreeSet<String>>;

/// The graph of each wanted build, and the packages that cargo compiles in one call as in calls of
/// their own: from the cache where manifests, lock file and toolchain are unchanged.
pub fn learn(
    project: &Project,
    wanted: &[Wanted],
    network: Network,
    cache: &Cache,
    term: &Term,
) -> Result<(BTreeMap<Wanted, Graph>, Alike)> {
    let keys = Keys::new(project)?;
    let mut asked = Asked { project, wanted, network, term, listed: None };
    let mut graphs = BTreeMap::new();
    for wanted in wanted {
        let key = keys.of(&wanted.package, [&wanted.target], &wanted.feature_args);
        let kept = kept::<Graph>(&key, cache)?.filter(Graph::has_sources);
        let graph = match kept {
            Some(graph) => graph,
            None => {
                let (query, listed) = asked.listed()?;
                let record = listed.record(query, wanted)?;
                keep(&key, &record, project, cache)?;
                record.value
            }
        };
        graphs.insert(wanted.clone(), graph);
    }
    let mut alike = Alike::new();
    let calls = wanted.iter().map(|it| (&*it.package, &it.target, &*it.feature_args));
    for (call, packages) in alike::same_calls(calls) {
        let key = keys.of(&packages.join(" "), call.targets.iter().copied(), call.feature_args);
        let sets = match kept::<Alike>(&key, cache)? {
            Some(sets) => sets,
            None => {
                let record = asked.alike(&call, &packages, &graphs)?;
                keep(&key, &record, project, cache)?;
                record.value
            }
        };
        alike.extend(sets);
    }
    Ok((graphs, alike))
}

/// The keys of what is cached.
struct Keys<'a> {
    common: Vec<Vec<u8>>,
    metadata: &'a [u8],
}

impl<'a> Keys<'a> {
    fn new(project: &'a Project) -> Result<Keys<'a>> {
        let lock = files::read_foreign_if_there(&project.root.join("Cargo.lock"), limits::LOCK)?;
        // The folders of sources lie in cargo's home.
        let home = project.cargo_home().unwrap_or_default();
        let dirs = [&project.rustc.sysroot, &home];
        let dirs = dirs.map(|dir| dir.to_string_lossy().into_owned().into_bytes());
        let common = std::iter::once(lock.unwrap_or_default()).chain(dirs).collect();
        Ok(Keys { common, metadata: &project.metadata })
    }

    fn of<'t>(
        &self,
        packages: &str,
        targets: impl IntoIterator<Item = &'t Target>,
        feature_args: &[String],
    ) -> Digest {
        let targets: Vec<&str> = targets.into_iter().map(Target::triple).collect();
        let (targets, features) = (targets.join(" "), feature_args.join(" "));
        let own = [packages, &targets, &features].map(str::as_bytes);
        let common = self.common.iter().map(Vec::as_slice);
        digest::of_parts([FORMAT, self.metadata].into_iter().chain(common).chain(own))
    }
}

fn kept<T: DeserializeOwned>(key: &Digest, cache: &Cache) -> Result<Option<T>> {
    let record: Option<Record<T>> = cache.get_json(CacheKind::Graph, key)?;
    let Some(record) = record else { return Ok(None) };
    for (manifest, digest) in &record.outside {
        let now = files::read_foreign_if_there(manifest, limits::SETTINGS)?
            .map(|bytes| Digest::of(&bytes).hex());
        if now.as_ref() != Some(digest) {
            return Ok(None);
        }
    }
    Ok(Some(record.value))
}

fn keep<T: Serialize>(
    key: &Digest,
    record: &Record<T>,
    project: &Project,
    cache: &Cache,
) -> Result<()> {
    // Without a lock file the next answer may differ.
    if project.has_lock {
        cache.put_json(CacheKind::Graph, key, record)?;
    }
    Ok(())
}

/// cargo's list of packages, once it was asked for.
struct Asked<'a> {
    project: &'a Project,
    wanted: &'a [Wanted],
    network: Network,
    term: &'a Term,
    listed: Option<(Query<'a>, Listed)>,
}

impl<'a> Asked<'a> {
    fn listed(&mut self) -> Result<(&Query<'a>, &Listed)> {
        if self.listed.is_none() {
            // cargo may now fetch sources, and does not say so.
            self.term.step("resolve", "the dependency graph (cargo metadata)");
            let query = Query::new(self.project, self.network)?;
            let listed = Listed::ask(&query, self.wanted)?;
            self.listed = Some((query, listed));
        }
        let (query, listed) = self.listed.as_ref().context("ask for the list of packages")?;
        Ok((query, listed))
    }

    /// The sets of packages that cargo resolves together as it resolves each alone.
    fn alike(
        &mut self,
        call: &Call<'_>,
        packages: &[&str],
        graphs: &BTreeMap<Wanted, Graph>,
    ) -> Result<Record<Alike>> {
        let (query, listed) = self.listed()?;
        let of = |package: &str| {
            let own = graphs.iter().filter(|(wanted, _)| {
                wanted.package == package
                    && wanted.feature_args == call.feature_args
                    && call.targets.contains(&wanted.target)
            });
            own.map(|(_, graph)| &*graph.crates).collect()
        };
        let packages: Vec<_> = packages.iter().map(|package| (*package, of(package))).collect();
        let mut value = Alike::new();
        for set in alike::sets(&packages) {
            let tree = query.tree(&set.packages, call.targets.iter().copied(), call.feature_args);
            let text = stale::explained(tree.read(), query.project)?;
            let together = listed.known.crates(&text)?;
            if alike::units(together.iter().map(|(krate, _)| krate)).as_ref() == Some(&set.units) {
                value.push(set.packages.iter().map(|package| (*package).to_owned()).collect());
            }
        }
        Ok(Record { value, outside: listed.outside.clone() })
    }
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

    /// How cargo resolves the packages for the targets, in one call.
    fn tree<'t>(
        &self,
        packages: &[&str],
        targets: impl IntoIterator<Item = &'t Target>,
        feature_args: &[String],
    ) -> Program<'a> {
        self.cargo("tree")
            .args(packages.iter().flat_map(|package| ["--package", package]))
            .args(targets.into_iter().flat_map(|target| ["--target", target.triple()]))
            .args(crates::TREE)
            .args(feature_args)
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
    fn ask(query: &Query<'_>, wanted: &[Wanted]) -> Result<Listed> {
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
        let text = stale::explained(cargo.read(), project)?;
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
    fn record(&self, query: &Query<'_>, wanted: &Wanted) -> Result<Record<Graph>> {
        let tree = query.tree(&[&wanted.package], [&wanted.target], &wanted.feature_args);
        let text = stale::explained(tree.read(), query.project)?;
        let found = self.known.crates(&text).with_context(|| format!("ask `{tree}`"))?;
        let mut linked = BTreeSet::new();
        let mut outside = BTreeSet::new();
        for (krate, package) in found.iter().filter(|(krate, _)| !krate.host) {
            linked.extend(native(package, &krate.features));
            let manifest = package.manifest_path.as_std_path();
            outside.extend(self.outside.contains_key(manifest).then(|| manifest.to_owned()));
        }
        let value = Graph {
            crates: found.into_iter().map(|(krate, _)| krate).collect(),
            native: linked.into_iter().collect(),
            sources: self.sources.clone(),
            outside: outside.into_iter().collect(),
        };
        Ok(Record { value, outside: self.outside.clone() })
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
