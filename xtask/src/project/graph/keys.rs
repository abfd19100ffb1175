//! What the answers of cargo depend on, for each package apart: a change of one package leaves
//! the answers about those that do not use it as they are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Value;

use super::rules::{Rules, Unification};
use super::{Graph, Record, Request, Wanted};
use crate::cache::{Cache, CacheKind};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::project::{Project, packages};

/// The version of what is cached.
const FORMAT: &[u8] = b"graph 6";

/// The keys of a project.
#[derive(Serialize, Deserialize)]
pub struct Keys {
    common: Digest,
    /// Of each package, as `NAME@VERSION`: all packages that it could use, also in tests, and for
    /// platforms and with features that are not those of a build.
    packages: BTreeMap<String, Digest>,
    /// Of the whole workspace, for packages of which the lock file tells nothing.
    whole: Digest,
}

impl Keys {
    /// The keys, from the cache where nothing of the whole workspace has changed: reading the lock
    /// file would take longer than all else that is asked here.
    pub fn new(project: &Project, cache: &Cache) -> Result<Keys> {
        let lock = files::read_foreign_if_there(&project.root.join("Cargo.lock"), limits::LOCK)?;
        let lock = lock.unwrap_or_default();
        let manifest = files::read_foreign(&project.root.join("Cargo.toml"), limits::SETTINGS)?;
        // The folders of sources lie in cargo's home.
        let home = project.cargo_home().unwrap_or_default();
        let dirs = [&project.rustc.sysroot, &home];
        let dirs = dirs.map(|dir| dir.to_string_lossy().into_owned());
        let dirs = [dirs[0].as_bytes(), dirs[1].as_bytes()];
        let all = [FORMAT, b"keys", dirs[0], dirs[1], &project.metadata, &lock, &manifest];
        let whole = digest::of_parts(all);
        if let Some(kept) = cache.get_json(CacheKind::Graph, &whole)? {
            return Ok(kept);
        }
        let rules = Rules::read(project, &manifest)?;
        // The first resolver always takes part of the package in the root.
        let root = project.packages.iter().find(|package| package.dir == project.root);
        let root = root.filter(|_| rules.unification == Unification::Wider);
        let described = packages::described(&project.metadata)?;
        let locked = Locked::read(&lock, &described).unwrap_or_default();
        let keys = Keys {
            common: digest::of_parts([FORMAT, dirs[0], dirs[1], rules.text.as_bytes()]),
            packages: locked.closures(described.keys(), root.map(|root| &*root.spec)),
            whole,
        };
        cache.put_json(CacheKind::Graph, &whole, &keys)?;
        Ok(keys)
    }

    /// The key of the graph of a package.
    pub fn graph(&self, wanted: &Wanted) -> Digest {
        self.of(&Request::of(wanted))
    }

    /// The key of what is known of packages that are built in one call.
    pub fn of(&self, request: &Request<'_>) -> Digest {
        let packages = request.packages.iter().flat_map(|package| {
            let closure = self.packages.get(*package).unwrap_or(&self.whole);
            [package.as_bytes(), closure.bytes()]
        });
        let targets = request.targets.iter().map(|target| target.triple().as_bytes());
        let features = request.feature_args.iter().map(String::as_bytes);
        let end = || std::iter::once(&b""[..]);
        let own = packages.chain(end()).chain(targets).chain(end()).chain(features);
        digest::of_parts(std::iter::once(self.common.bytes()).chain(own))
    }
}

/// The packages of Cargo.lock.
#[derive(Default)]
struct Locked {
    /// The digest of each, with what cargo says of it if it is of the workspace.
    digests: Vec<Digest>,
    /// The packages that each could use.
    uses: Vec<Vec<usize>>,
    /// Those that come from no registry, as `NAME@VERSION`.
    own: BTreeMap<String, usize>,
}

impl Locked {
    /// `None` for a lock file of another form, such as the first one, which has its checksums in
    /// a table of their own.
    fn read(text: &[u8], described: &BTreeMap<String, Digest>) -> Option<Locked> {
        #[derive(Deserialize)]
        struct Lock {
            #[serde(default)]
            package: Vec<Entry>,
            metadata: Option<Value>,
        }
        #[derive(Deserialize)]
        struct Entry {
            name: String,
            version: String,
            source: Option<String>,
            checksum: Option<String>,
            #[serde(default)]
            dependencies: Vec<String>,
        }
        let lock: Lock = toml::from_str(std::str::from_utf8(text).ok()?).ok()?;
        if lock.metadata.is_some() {
            return None;
        }
        let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, entry) in lock.package.iter().enumerate() {
            named.entry(&entry.name).or_default().push(at);
        }
        // NAME, NAME VERSION, or NAME VERSION (SOURCE): as much as it takes.
        let find = |text: &String| {
            let mut parts = text.splitn(3, ' ');
            let (name, version, source) = (parts.next()?, parts.next(), parts.next());
            let source = source.map(|it| it.trim_start_matches('(').trim_end_matches(')'));
            let fits = |at: &&usize| {
                let entry = &lock.package[**at];
                version.is_none_or(|version| entry.version == version)
                    && source.is_none_or(|source| entry.source.as_deref() == Some(source))
            };
            let mut fitting = named.get(name)?.iter().filter(fits);
            fitting.next().copied().filter(|_| fitting.next().is_none())
        };
        let mut locked = Locked::default();
        for (at, entry) in lock.package.iter().enumerate() {
            let Entry { name, version, source, checksum, dependencies } = entry;
            let spec = format!("{name}@{version}");
            let described = described.get(&spec).filter(|_| source.is_none());
            let optional = [source, checksum].map(|it| it.as_deref().unwrap_or_default());
            let parts = [name, version, optional[0], optional[1]].map(str::as_bytes);
            let described = described.iter().map(|digest| digest.bytes());
            let dependencies = dependencies.iter();
            let names = dependencies.clone().map(String::as_bytes);
            locked.digests.push(digest::of_parts(parts.into_iter().chain(described).chain(names)));
            locked.uses.push(dependencies.map(find).collect::<Option<_>>()?);
            if source.is_none() {
                locked.own.insert(spec, at);
            }
        }
        Some(locked)
    }

    /// The digest of all that each package could use. `with` is one that all of them use.
    fn closures<'p>(
        &self,
        packages: impl Iterator<Item = &'p String>,
        with: Option<&str>,
    ) -> BTreeMap<String, Digest> {
        let with = with.and_then(|spec| self.own.get(spec));
        let closures = packages.filter_map(|spec| {
            let mut seen = vec![false; self.uses.len()];
            let mut open: Vec<usize> =
                with.into_iter().chain([self.own.get(spec)?]).copied().collect();
            while let Some(at) = open.pop() {
                if !std::mem::replace(&mut seen[at], true) {
                    open.extend(&self.uses[at]);
                }
            }
            let used = self.digests.iter().zip(&seen).filter(|(_, seen)| **seen);
            Some((spec.clone(), digest::of_parts(used.map(|(digest, _)| digest.bytes()))))
        });
        closures.collect()
    }
}

/// What the cache has of earlier answers. Folders and manifests that several need are looked at
/// once.
pub struct Kept<'a> {
    cache: &'a Cache,
    digests: BTreeMap<PathBuf, Option<String>>,
    /// As texts: paths are compared part by part, which is slower than looking at a folder.
    dirs: BTreeMap<OsString, bool>,
}

impl<'a> Kept<'a> {
    pub fn of(cache: &'a Cache) -> Kept<'a> {
        Kept { cache, digests: BTreeMap::new(), dirs: BTreeMap::new() }
    }

    /// A value under the key, if the manifests outside the workspace are as they were.
    pub fn get<T: DeserializeOwned>(&mut self, key: &Digest) -> Result<Option<T>> {
        let record: Option<Record<T>> = self.cache.get_json(CacheKind::Graph, key)?;
        let Some(record) = record else { return Ok(None) };
        for (manifest, digest) in &record.outside {
            if !self.digests.contains_key(manifest) {
                let now = files::read_foreign_if_there(manifest, limits::SETTINGS)?;
                let now = now.map(|bytes| Digest::of(&bytes).hex());
                self.digests.insert(manifest.clone(), now);
            }
            if self.digests[manifest].as_ref() != Some(digest) {
                return Ok(None);
            }
        }
        Ok(Some(record.value))
    }

    /// A graph whose sources are where they were. cargo removes those that were not used for
    /// long, and fetches them again where it is asked.
    pub fn graph(&mut self, key: &Digest) -> Result<Option<Graph>> {
        let Some(graph) = self.get::<Graph>(key)? else { return Ok(None) };
        for krate in &graph.crates {
            let is_there = match self.dirs.get(krate.dir.as_os_str()) {
                Some(known) => *known,
                None => {
                    let now = krate.dir.is_dir();
                    self.dirs.insert(krate.dir.clone().into_os_string(), now);
                    now
                }
            };
            if !is_there {
                return Ok(None);
            }
        }
        Ok(Some(graph))
    }
}
