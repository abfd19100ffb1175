//! What cargo is asked about dependencies, and its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use super::super::crates::{self, Crate, Found, Known};
use super::super::{Project, stale};
use super::rules::{self, Unification};
use super::{Graph, Record, Wanted, native};
use crate::digest::Digest;
use crate::files::{self, limits};
use crate::http::Network;
use crate::parallel::{self, join};
use crate::process::Program;
use crate::target::Target;

/// Packages that cargo resolves in one call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request<'a> {
    pub packages: BTreeSet<&'a str>,
    pub targets: BTreeSet<&'a Target>,
    pub feature_args: &'a [String],
}

impl<'a> Request<'a> {
    /// A package as it is built alone.
    pub fn of(wanted: &'a Wanted) -> Request<'a> {
        Request {
            packages: [&*wanted.package].into(),
            targets: [&wanted.target].into(),
            feature_args: &wanted.feature_args,
        }
    }
}

/// How cargo is asked about dependencies. It needs a lock file, and writes a missing one. It is
/// told to write it elsewhere, so that a query leaves no trace, and a Cargo.lock that another
/// cargo writes meanwhile stays as it is.
pub struct Query<'a> {
    pub project: &'a Project,
    pub unification: Unification,
    network: Network,
    /// The folder of the lock file, if the project has none.
    elsewhere: Option<tempfile::TempDir>,
}

impl<'a> Query<'a> {
    pub fn new(project: &'a Project, network: Network) -> Result<Query<'a>> {
        let elsewhere = (!project.has_lock).then(files::temporary_dir).transpose()?;
        Ok(Query { project, unification: rules::unification(project)?, network, elsewhere })
    }

    /// What cargo lists for the wanted builds, and how it resolves each request.
    pub fn begin(
        &self,
        wanted: &[Wanted],
        requests: &[Request<'_>],
    ) -> Result<(Listed, Vec<String>)> {
        if self.elsewhere.is_some() {
            // The first call writes the lock file that the others read.
            return Ok((Listed::ask(self, wanted)?, self.trees(requests)?));
        }
        thread::scope(|scope| {
            let trees = scope.spawn(|| self.trees(requests));
            let listed = Listed::ask(self, wanted);
            let trees = join(trees);
            Ok((listed?, trees?))
        })
    }

    /// How cargo resolves each request, as it prints it.
    pub fn trees(&self, requests: &[Request<'_>]) -> Result<Vec<String>> {
        parallel::map(requests, parallel::processors(), |request| {
            stale::explained(self.tree(request).read(), self.project)
        })
    }

    fn tree(&self, request: &Request<'_>) -> Program<'a> {
        self.cargo("tree")
            .args(request.packages.iter().flat_map(|package| ["--package", package]))
            .args(request.targets.iter().flat_map(|target| ["--target", target.triple()]))
            .args(crates::TREE)
            .args(request.feature_args)
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
pub struct Listed {
    known: Known,
    /// Packages by path that lie outside the workspace: the manifests and their digests.
    outside: BTreeMap<PathBuf, String>,
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
        for package in known.packages() {
            let manifest = package.manifest_path.as_std_path();
            if package.source.is_none() && !manifest.starts_with(&project.root) {
                let text = files::read_foreign(manifest, limits::SETTINGS)?;
                outside.insert(manifest.to_owned(), Digest::of(&text).hex());
            }
        }
        Ok(Listed { known, outside })
    }

    /// The crates of an answer.
    pub fn crates<'a>(&'a self, request: &Request<'_>, tree: &'a str) -> Result<Vec<Found<'a>>> {
        self.known.crates(tree).with_context(|| {
            let packages: Vec<&str> = request.packages.iter().copied().collect();
            format!("ask `cargo tree` about {}", packages.join(", "))
        })
    }

    /// The crates of the answer to each request.
    pub fn all<'a>(
        &'a self,
        requests: &[Request<'_>],
        trees: &'a [String],
    ) -> Result<Vec<Vec<Found<'a>>>> {
        requests.iter().zip(trees).map(|(request, tree)| self.crates(request, tree)).collect()
    }

    /// A value that holds as long as the manifests outside the workspace do.
    pub fn record<T>(&self, value: T) -> Record<T> {
        Record { value, outside: self.outside.clone() }
    }

    /// The graph of a package that is built of these crates.
    pub fn graph(&self, found: Vec<Found<'_>>, project: &Project) -> Graph {
        let mut linked = BTreeSet::new();
        let mut outside = BTreeSet::new();
        let mut sources = BTreeSet::new();
        for (krate, package) in &found {
            sources.extend(source(krate, project));
            if !krate.host {
                linked.extend(native(package, &krate.features));
                let manifest = package.manifest_path.as_std_path();
                outside.extend(self.outside.contains_key(manifest).then(|| manifest.to_owned()));
            }
        }
        Graph {
            crates: found.into_iter().map(|(krate, _)| krate).collect(),
            native: linked.into_iter().collect(),
            sources: sources.into_iter().collect(),
            outside: outside.into_iter().collect(),
        }
    }
}

/// The folder of sources outside the workspace that the crate is from, and its stable name.
fn source(krate: &Crate, project: &Project) -> Option<(PathBuf, String)> {
    let (dir, name) = match &krate.source {
        // A registry's folder has the name of its host or of a mirror.
        Some(source) if !source.starts_with("git+") => {
            (krate.dir.parent()?.to_owned(), "/cargo/registry".to_owned())
        }
        Some(_) => return None,
        None => (krate.dir.clone(), format!("/deps/{}", krate.name)),
    };
    (!dir.starts_with(&project.root)).then_some((dir, name))
}
