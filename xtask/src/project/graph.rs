//! The crates that are compiled into a package for a target, and which of them need more than a
//! Rust compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, TargetKind};
use serde::{Deserialize, Serialize};

use super::Project;
use super::alike;
use super::crates::{Crate, Found};
use crate::cache::{Cache, CacheKind};
use crate::digest::Digest;
use crate::http::Network;
use crate::target::Target;
use crate::term::Term;

mod alone;
mod ask;
mod keys;
mod platform;
mod rules;
#[cfg(test)]
mod tests;

use alone::{Alone, Features, Together};
use ask::{Listed, Query, Request};
use keys::{Kept, Keys};
use rules::Unification;

/// Build dependencies that compile C or read its headers.
const C_COMPILERS: [&str; 7] =
    ["autotools", "bindgen", "cc", "cmake", "gcc", "meson-next", "nasm-rs"];
/// Build dependencies that look for a system library.
const LIBRARY_FINDERS: [&str; 3] = ["pkg-config", "system-deps", "vcpkg"];

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
    let keys = Keys::new(project, cache)?;
    let mut kept = Kept::of(cache);
    let (mut graphs, mut missing) = (BTreeMap::new(), BTreeSet::new());
    for wanted in wanted {
        match kept.graph(&keys.graph(wanted))? {
            Some(graph) => drop(graphs.insert(wanted.clone(), graph)),
            None => drop(missing.insert(wanted)),
        }
    }
    let (mut alike, mut open) = (Alike::new(), Vec::new());
    for call in same_calls(wanted) {
        match kept.get::<Alike>(&keys.of(&call))? {
            Some(sets) => alike.extend(sets),
            None => open.push(call),
        }
    }
    if missing.is_empty() && open.is_empty() {
        return Ok((graphs, alike));
    }
    // cargo may now fetch sources, and does not say so.
    term.step("resolve", "the dependency graph (cargo metadata)");
    let query = Query::new(project, network)?;
    let asks = first_asks(missing, &open);
    let mut requests: Vec<Request<'_>> = asks.iter().map(|ask| ask.request.clone()).collect();
    requests.extend(open.iter().filter(|call| asks.iter().all(|it| it.request != **call)).cloned());
    let (listed, trees) = query.begin(wanted, &requests)?;
    let found = listed.all(&requests, &trees)?;
    let answers = answers(&requests, &found, query.unification);
    for (wanted, graph) in resolve(&query, &listed, &answers, &asks)? {
        let record = listed.record(graph);
        keep(&keys.graph(wanted), &record, project, cache)?;
        graphs.insert(wanted.clone(), record.value);
    }
    for call in open {
        let record = listed.record(together(&call, &query, &listed, &answers, &graphs)?);
        keep(&keys.of(&call), &record, project, cache)?;
        alike.extend(record.value);
    }
    Ok((graphs, alike))
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

/// The calls that could build several packages: those for the same targets and features.
fn same_calls(builds: &[Wanted]) -> Vec<Request<'_>> {
    let mut targets: BTreeMap<(&str, &[String]), BTreeSet<&Target>> = BTreeMap::new();
    for build in builds {
        targets.entry((&build.package, &build.feature_args)).or_default().insert(&build.target);
    }
    let mut calls: BTreeMap<(BTreeSet<&Target>, &[String]), BTreeSet<&str>> = BTreeMap::new();
    for ((package, feature_args), targets) in targets {
        calls.entry((targets, feature_args)).or_default().insert(package);
    }
    let calls = calls.into_iter().filter(|(_, packages)| packages.len() > 1);
    let calls = calls.map(|((targets, feature_args), packages)| Request {
        packages,
        targets,
        feature_args,
    });
    calls.collect()
}

/// What cargo resolves for each request.
type Answers<'a> = BTreeMap<Request<'a>, Answer<'a>>;

/// The crates that cargo resolves for a request.
enum Answer<'a> {
    /// About one package for one target.
    One(&'a [Found<'a>]),
    Several(Together<'a>),
}

fn answers<'a>(
    requests: &[Request<'a>],
    found: &'a [Vec<Found<'a>>],
    unification: Unification,
) -> Answers<'a> {
    let answer = |(request, found): (&Request<'a>, &'a Vec<Found<'a>>)| {
        let answer = match (request.packages.len(), request.targets.len()) {
            (1, 1) => Answer::One(found),
            _ => Answer::Several(Together::new(found, request.feature_args, unification)),
        };
        (request.clone(), answer)
    };
    requests.iter().zip(found).map(answer).collect()
}

/// Builds whose graphs are looked for in the answer to one request.
struct Ask<'a> {
    request: Request<'a>,
    builds: Vec<&'a Wanted>,
    next: Next,
}

/// How cargo is asked next about builds that an answer leaves open.
#[derive(Clone, Copy)]
enum Next {
    /// For each target apart.
    Targets,
    /// For each target about packages that have the same features.
    Groups,
    /// About each build.
    Each,
}

impl<'a> Ask<'a> {
    /// About these builds, which have one target and the same arguments for features.
    fn about(builds: Vec<&'a Wanted>, next: Next) -> Option<Ask<'a>> {
        let first = Request::of(builds.first()?);
        let packages = builds.iter().map(|build| &*build.package).collect();
        Some(Ask { request: Request { packages, ..first }, builds, next })
    }
}

/// For so many packages the calls of cargo take longer than what they have in common.
const MANY: usize = 4;

/// Asks for each target about all packages at once. A call that is asked about anyway serves too:
/// for many packages that for all targets, where these have one operating system.
fn first_asks<'a>(missing: BTreeSet<&'a Wanted>, open: &[Request<'a>]) -> Vec<Ask<'a>> {
    let mut groups = BTreeMap::<_, Vec<&Wanted>>::new();
    for build in missing {
        let alone = alone::names_features(&build.feature_args).then_some(&*build.package);
        let covers = |call: &&Request<'_>| {
            call.packages.len() >= MANY
                && call.packages.contains(&*build.package)
                && call.targets.contains(&build.target)
                && call.feature_args == build.feature_args
                && have_one_system(&call.targets)
        };
        let call = open.iter().find(covers).filter(|_| alone.is_none());
        let target = if call.is_none() { Some(&build.target) } else { None };
        groups.entry((target, call, &*build.feature_args, alone)).or_default().push(build);
    }
    let asks = groups.into_iter().filter_map(|((_, call, ..), builds)| match call {
        Some(call) => Some(Ask { request: call.clone(), builds, next: Next::Targets }),
        None => Ask::about(builds, Next::Groups),
    });
    let mut asks: Vec<Ask<'_>> = asks.collect();
    for ask in asks.iter_mut().filter(|ask| ask.builds.len() > 1) {
        let covers = |call: &&Request<'_>| {
            (&call.targets, call.feature_args) == (&ask.request.targets, ask.request.feature_args)
                && call.packages.is_superset(&ask.request.packages)
        };
        if let Some(call) = open.iter().find(covers) {
            ask.request = call.clone();
        }
    }
    asks
}

/// Whether the targets differ in nothing but the processor.
fn have_one_system(targets: &BTreeSet<&Target>) -> bool {
    let system =
        |target: &&Target| target.triple().split_once('-').map(|(_, rest)| rest.to_owned());
    let mut systems = targets.iter().map(system);
    let first = systems.next().flatten();
    first.is_some() && systems.all(|it| it == first)
}

/// The graph of each build. Where an answer about several packages leaves it open, cargo is asked
/// about fewer at once, and at last about one.
fn resolve<'w>(
    query: &Query<'_>,
    listed: &Listed,
    answers: &Answers<'_>,
    asks: &[Ask<'w>],
) -> Result<Vec<(&'w Wanted, Graph)>> {
    let (mut graphs, asks) = split(query, listed, answers, asks)?;
    if !asks.is_empty() {
        let requests: Vec<Request<'_>> = asks.iter().map(|ask| ask.request.clone()).collect();
        let trees = query.trees(&requests)?;
        let found = listed.all(&requests, &trees)?;
        let fewer = self::answers(&requests, &found, query.unification);
        graphs.extend(resolve(query, listed, &fewer, &asks)?);
    }
    Ok(graphs)
}

/// Graphs, and what is left to be asked.
type Split<'w> = (Vec<(&'w Wanted, Graph)>, Vec<Ask<'w>>);

/// The graphs that the answers tell.
fn split<'w>(
    query: &Query<'_>,
    listed: &Listed,
    answers: &Answers<'_>,
    asks: &[Ask<'w>],
) -> Result<Split<'w>> {
    let project = query.project;
    let (mut graphs, mut left) = (Vec::new(), Vec::new());
    for Ask { request, builds, next } in asks {
        let together = match answers.get(request).context("find cargo's answer")? {
            Answer::Several(together) => together,
            Answer::One(found) => {
                let graph = listed.graph(found.to_vec(), project);
                graphs.extend(builds.iter().map(|build| (*build, graph.clone())));
                continue;
            }
        };
        let mut open: BTreeMap<&Target, Vec<(&Wanted, Features<'_>)>> = BTreeMap::new();
        let tells = request.targets.len() == 1 || together.is_same_for_each();
        for build in builds {
            let features = match tells {
                true => match together.alone(&build.package, &build.feature_args)? {
                    Alone::Known(found) => {
                        graphs.push((*build, listed.graph(found, project)));
                        continue;
                    }
                    Alone::Unknown(features) => features,
                },
                false => Features::new(),
            };
            open.entry(&build.target).or_default().push((*build, features));
        }
        for open in open.into_values() {
            left.extend(narrowed(open, *next, tells));
        }
    }
    Ok((graphs, left))
}

/// What cargo is asked about builds for one target that an answer has left open.
fn narrowed<'w>(open: Vec<(&'w Wanted, Features<'_>)>, next: Next, told: bool) -> Vec<Ask<'w>> {
    let all = |open: Vec<(&'w Wanted, _)>| open.into_iter().map(|(it, _)| it).collect();
    let (sets, next): (Vec<Vec<&Wanted>>, Next) = match next {
        Next::Targets if !told => (vec![all(open)], Next::Groups),
        Next::Targets | Next::Groups => (alone::groups(open), Next::Each),
        Next::Each => (open.into_iter().map(|(it, _)| vec![it]).collect(), Next::Each),
    };
    sets.into_iter().filter_map(|builds| Ask::about(builds, next)).collect()
}

/// The sets of packages that cargo resolves together as it resolves each alone.
fn together(
    call: &Request<'_>,
    query: &Query<'_>,
    listed: &Listed,
    answers: &Answers<'_>,
    graphs: &BTreeMap<Wanted, Graph>,
) -> Result<Alike> {
    let mut packages: BTreeMap<&str, Vec<&[Crate]>> = BTreeMap::new();
    for (wanted, graph) in graphs {
        if call.feature_args == wanted.feature_args && call.targets.contains(&wanted.target) {
            packages.entry(&wanted.package).or_default().push(&graph.crates);
        }
    }
    let packages = call.packages.iter().filter_map(|it| packages.remove_entry(it));
    let packages: Vec<_> = packages.collect();
    let Some(Answer::Several(all)) = answers.get(call) else {
        bail!("find cargo's answer about several packages");
    };
    let is_same_for_each = call.targets.len() == 1 || all.is_same_for_each();
    let (mut alike, mut open, mut requests) = (Alike::new(), Vec::new(), Vec::new());
    let owned = |own: &BTreeSet<&str>| own.iter().map(|package| (*package).to_owned()).collect();
    for set in alike::sets(&packages) {
        let own: BTreeSet<&str> = set.packages.iter().copied().collect();
        // What is the same among all of them is the same among some.
        let is_same = || alike::units(all.reached(&own)).as_ref() == Some(&set.units);
        if (is_same_for_each && all.is_union(&own)) || is_same() {
            alike.push(owned(&own));
        } else if own != call.packages {
            open.push(set);
            requests.push(Request { packages: own, ..call.clone() });
        }
    }
    let trees = query.trees(&requests)?;
    let found = listed.all(&requests, &trees)?;
    for ((set, request), found) in open.iter().zip(&requests).zip(&found) {
        if alike::units(found.iter().map(|(krate, _)| krate)).as_ref() == Some(&set.units) {
            alike.push(owned(&request.packages));
        }
    }
    Ok(alike)
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
