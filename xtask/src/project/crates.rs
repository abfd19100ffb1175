//! All crates that a build compiles, read from what `cargo tree` prints of it.
//!
//! `cargo tree` resolves features as the build of this package does, and prints each crate of
//! the target and of the host apart; `cargo metadata` would unite the features of the whole
//! workspace and of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Package, TargetKind};
use serde::{Deserialize, Serialize};

/// What `cargo tree` is asked for: one crate per line, its place in the tree by indentation, and
/// a mark where its dependencies were printed before.
pub const TREE: [&str; 9] = [
    "--edges",
    "normal,build",
    "--prefix",
    "indent",
    "--charset",
    "ascii",
    "--format",
    "{p}\t{f}\t",
    "--color=never",
];

/// The heading before a crate's build dependencies.
const BUILD: &str = "[build-dependencies]";

/// crates.io, as Cargo.lock names it: by the index in git, which stands for both, and by the
/// sparse one.
pub const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
const CRATES_IO_SPARSE: &str = "sparse+https://index.crates.io/";

/// Whether a source, as Cargo.lock and `cargo metadata` write it, is crates.io.
pub fn is_crates_io(source: &str) -> bool {
    [CRATES_IO, CRATES_IO_SPARSE].contains(&source)
}

/// The forms of a library for other languages.
const EXPORTS: [TargetKind; 3] = [TargetKind::CDyLib, TargetKind::DyLib, TargetKind::StaticLib];

/// A crate as it is compiled for one side. A crate that both sides use is two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// As `cargo metadata` and Cargo.lock write it; `None` for a path.
    pub source: Option<String>,
    /// Whether it is compiled for the machine that builds: a build dependency, a proc macro, or
    /// what only they use. Its code is not in the binary.
    pub host: bool,
    /// The enabled features, sorted.
    pub features: Vec<String>,
    pub proc_macro: bool,
    /// Whether its library is made for programs in other languages too: a `cdylib`, `dylib` or
    /// `staticlib`.
    pub exports: bool,
    /// Whether it is a package that is built for its own sake.
    pub root: bool,
    /// Its places in the list of the graph, sorted.
    pub dependencies: Vec<Dependency>,
    pub license: Option<String>,
    /// The manifest's `license-file`, relative to `dir`.
    pub license_file: Option<PathBuf>,
    /// The folder of its manifest on this machine.
    pub dir: PathBuf,
    /// The SHA-256 of its .crate file in hex, for crates of registries.
    pub checksum: Option<String>,
}

impl Crate {
    /// Whether it comes from crates.io, by either of its two indexes.
    pub fn is_of_crates_io(&self) -> bool {
        self.source.as_deref().is_some_and(is_crates_io)
    }
}

/// What a crate needs to be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dependency {
    /// The index of the crate in the graph's list.
    pub index: usize,
    pub kind: Kind,
}

impl Dependency {
    /// The least in the order of dependencies.
    pub const FIRST: Dependency = Dependency { index: 0, kind: Kind::Normal };
}

/// What a dependency is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// For the crate itself.
    Normal,
    /// For its build script.
    Build,
}

/// A crate and its package.
pub type Found<'a> = (Crate, &'a Package);

/// The packages that cargo knows, by name and version. Several sources can have the same two.
#[derive(Default)]
pub struct Known {
    packages: BTreeMap<(String, String), Vec<Package>>,
    /// The checksums of Cargo.lock by name, version and source.
    checksums: BTreeMap<(String, String, String), String>,
}

impl Known {
    /// `lock` is the text of Cargo.lock.
    pub fn new(packages: Vec<Package>, lock: &str) -> Result<Known> {
        let mut known = Known { packages: BTreeMap::new(), checksums: checksums(lock)? };
        for package in packages {
            let key = (package.name.to_string(), package.version.to_string());
            known.packages.entry(key).or_default().push(package);
        }
        Ok(known)
    }

    /// All of them.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().flatten()
    }

    /// The crates in the output of `cargo tree` with the arguments [`TREE`], in the order of
    /// their fields.
    pub fn crates<'a>(&'a self, tree: &'a str) -> Result<Vec<Found<'a>>> {
        let mut nodes = Nodes::default();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let unread = || format!("read `{line}`, which `cargo tree` printed");
            let placed = match entry(line).with_context(unread)? {
                (depth, Entry::Build) => nodes.build_dependencies(depth),
                (depth, Entry::Crate(printed)) => {
                    let package = self.package(&printed)?;
                    nodes.add(depth, printed, package)
                }
            };
            placed.with_context(unread)?;
        }
        Ok(nodes.sorted(&self.checksums))
    }

    fn package(&self, printed: &Printed<'_>) -> Result<&Package> {
        let Printed { name, version, place, .. } = printed;
        let key = ((*name).to_owned(), (*version).to_owned());
        let all = self.packages.get(&key).map(Vec::as_slice).unwrap_or_default();
        if let [package] = all {
            return Ok(package);
        }
        let mut here = all.iter().filter(|package| is_at(package, *place));
        match (here.next(), here.next()) {
            (Some(package), None) => Ok(package),
            (None, _) => {
                bail!("cargo does not list the package {name} {version}, which is compiled")
            }
            (Some(_), Some(_)) => bail!(
                "cargo lists two packages {name} {version} that `cargo tree` prints alike, and one of them is compiled"
            ),
        }
    }
}

/// Whether the package comes from the place that `cargo tree` prints in parentheses. Nothing is
/// printed for crates.io.
fn is_at(package: &Package, place: Option<&str>) -> bool {
    match (&package.source, place) {
        (None, Some(place)) => {
            package.manifest_path.parent().is_some_and(|dir| dir.as_str() == place)
        }
        (Some(source), None) => source.is_crates_io(),
        (None, None) => false,
        (Some(source), Some(place)) => match source.repr.strip_prefix("git+") {
            // The commit is shortened.
            Some(git) => git.split_once('#').zip(place.rsplit_once('#')).is_some_and(
                |((url, commit), (printed, short))| url == printed && commit.starts_with(short),
            ),
            None => !source.is_crates_io() && place.starts_with("registry "),
        },
    }
}

/// A line of the tree.
enum Entry<'a> {
    Crate(Printed<'a>),
    /// The heading of build dependencies.
    Build,
}

/// What a line says of a crate.
struct Printed<'a> {
    name: &'a str,
    version: &'a str,
    proc_macro: bool,
    place: Option<&'a str>,
    features: BTreeSet<String>,
}

/// The line and how deep it is in the tree; `None` where it has another form.
fn entry(line: &str) -> Option<(usize, Entry<'_>)> {
    let mut rest = line;
    let mut depth = 0;
    let steps = ["|-- ", "`-- ", "|   ", "    "];
    while let Some(after) = steps.iter().find_map(|step| rest.strip_prefix(step)) {
        rest = after;
        depth += 1;
    }
    if rest == BUILD {
        return Some((depth, Entry::Build));
    }
    let (package, rest) = rest.split_once('\t')?;
    let (features, _) = rest.split_once('\t')?;
    let (name, package) = package.split_once(" v")?;
    let (version, package) = package.split_once(' ').unwrap_or((package, ""));
    let (proc_macro, package) = match package.strip_prefix("(proc-macro)") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, package),
    };
    let place = package.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let features = features.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    let features = features.collect();
    Some((depth, Entry::Crate(Printed { name, version, proc_macro, place, features })))
}

/// What makes a crate another one: package, side and features.
type Identity<'a> = (&'a str, bool, BTreeSet<String>);

#[derive(Default)]
struct Nodes<'a> {
    found: Vec<(Printed<'a>, &'a Package, bool, BTreeSet<Dependency>)>,
    by_identity: BTreeMap<Identity<'a>, usize>,
    roots: BTreeSet<usize>,
    /// The crates from the root to the last line, and what the lines below each are to it.
    path: Vec<(usize, Kind)>,
}

impl<'a> Nodes<'a> {
    /// The next crates are build dependencies of the last one at this depth; `None` where there
    /// is none.
    fn build_dependencies(&mut self, depth: usize) -> Option<()> {
        self.path.truncate(depth + 1);
        self.path.get_mut(depth)?.1 = Kind::Build;
        Some(())
    }

    /// `None` where the crate hangs below nothing.
    fn add(&mut self, depth: usize, printed: Printed<'a>, package: &'a Package) -> Option<()> {
        self.path.truncate(depth);
        let parent = self.path.last().copied();
        if self.path.len() != depth {
            return None;
        }
        let host = parent.is_some_and(|(parent, kind)| {
            printed.proc_macro || kind == Kind::Build || self.found[parent].2
        });
        let identity = (&*package.id.repr, host, printed.features.clone());
        let index = *self.by_identity.entry(identity).or_insert_with(|| {
            self.found.push((printed, package, host, BTreeSet::new()));
            self.found.len() - 1
        });
        match parent {
            Some((parent, kind)) => {
                self.found[parent].3.insert(Dependency { index, kind });
            }
            None => {
                self.roots.insert(index);
            }
        }
        self.path.push((index, Kind::Normal));
        Some(())
    }

    fn sorted(self, checksums: &BTreeMap<(String, String, String), String>) -> Vec<Found<'a>> {
        let source = |package: &Package| package.source.as_ref().map(|source| source.repr.clone());
        let mut order: Vec<usize> = (0..self.found.len()).collect();
        order.sort_by_cached_key(|&index| {
            let (printed, package, host, _) = &self.found[index];
            let id = package.id.repr.clone();
            (printed.name, &package.version, source(package), *host, &printed.features, id)
        });
        let mut places = vec![0; order.len()];
        for (place, &index) in order.iter().enumerate() {
            places[index] = place;
        }
        let crates = order.iter().map(|&index| {
            let (printed, package, host, dependencies) = &self.found[index];
            let source = source(package);
            let moved = dependencies.iter().map(|it| Dependency { index: places[it.index], ..*it });
            let dependencies: BTreeSet<Dependency> = moved.collect();
            let dir = package.manifest_path.parent().unwrap_or(&package.manifest_path);
            let krate = Crate {
                checksum: source.as_ref().and_then(|source| {
                    let key = (printed.name.into(), printed.version.into(), source.clone());
                    checksums.get(&key).cloned()
                }),
                name: printed.name.to_owned(),
                version: printed.version.to_owned(),
                source,
                host: *host,
                features: printed.features.iter().cloned().collect(),
                proc_macro: has_kind(package, &[TargetKind::ProcMacro]),
                exports: has_kind(package, &EXPORTS),
                root: self.roots.contains(&index),
                dependencies: dependencies.into_iter().collect(),
                license: package.license.clone(),
                license_file: package.license_file.as_ref().map(|file| file.into()),
                dir: dir.as_std_path().to_owned(),
            };
            (krate, *package)
        });
        crates.collect()
    }
}

/// A crate of a larger graph, as a part of that has it.
pub struct Part {
    /// Its place in the list of the larger graph.
    pub place: usize,
    /// Sorted.
    pub features: Vec<String>,
    /// What it uses, by places in the larger graph, sorted.
    pub dependencies: Vec<Dependency>,
    pub root: bool,
}

/// The graph of some of the crates, given in the order of their places.
pub fn part<'a>(all: &[Found<'a>], parts: Vec<Part>) -> Vec<Found<'a>> {
    let moved: BTreeMap<usize, usize> =
        parts.iter().enumerate().map(|(to, from)| (from.place, to)).collect();
    let part = parts.into_iter().map(|Part { place, features, dependencies, root }| {
        let (krate, package) = &all[place];
        let kept = dependencies
            .iter()
            .filter_map(|it| Some(Dependency { index: *moved.get(&it.index)?, ..*it }));
        let dependencies = kept.collect();
        (Crate { root, features, dependencies, ..krate.clone() }, *package)
    });
    part.collect()
}

fn has_kind(package: &Package, kinds: &[TargetKind]) -> bool {
    let mut all = package.targets.iter().flat_map(|target| &target.kind);
    all.any(|kind| kinds.contains(kind))
}

/// The checksums in a Cargo.lock. Old ones have them in a table of their own.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String, String), String>> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        package: Vec<Locked>,
        #[serde(default)]
        metadata: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        source: Option<String>,
        checksum: Option<String>,
    }
    let lock: Lock = toml::from_str(lock).context("read Cargo.lock")?;
    let mut checksums = BTreeMap::new();
    for Locked { name, version, source, checksum } in lock.package {
        let Some(source) = source else { continue };
        let old = || lock.metadata.get(&format!("checksum {name} {version} ({source})")).cloned();
        if let Some(checksum) = checksum.or_else(old).filter(|it| it != "<none>") {
            checksums.insert((name, version, source), checksum);
        }
    }
    Ok(checksums)
}

/// A crate of a path for the target.
#[cfg(test)]
pub fn test_crate(name: &str, features: &[&str]) -> Crate {
    Crate {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        source: None,
        host: false,
        features: features.iter().map(|it| (*it).to_owned()).collect(),
        proc_macro: false,
        exports: false,
        root: false,
        dependencies: Vec::new(),
        license: None,
        license_file: None,
        dir: format!("/p/{name}").into(),
        checksum: None,
    }
}

#[cfg(test)]
mod tests;
