//! Reads Cargo.lock: its packages, and the dependency path to each.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Metadata;
use semver::Version;
use serde::Deserialize;

use super::CheckFinding;
use crate::files::{self, limits};
use crate::finding::{Finding, Help, Place};
use crate::project::{self, is_crates_io};
use crate::stamp::{CRATES_IO, List, Listed};

/// Its path in findings: code scanning knows files by their paths in the workspace's folder.
pub const LOCK: &str = "Cargo.lock";

/// The newest known version of the format.
/// <https://doc.rust-lang.org/cargo/reference/resolver.html#lockfile-versions>
const NEWEST: u32 = 4;

/// A package of a lock file.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub version: Version,
    /// As the lock file says it; `None` for a path.
    pub source: Option<String>,
    /// The positions of the packages that it depends on.
    needs: Vec<usize>,
}

impl Package {
    /// Whether it is a crate of crates.io, which advisories and yanked versions are about.
    pub fn is_of_crates_io(&self) -> bool {
        self.source.as_deref().is_some_and(is_crates_io)
    }
}

/// What a lock file is parsed as.
#[derive(Deserialize)]
struct Parsed {
    version: Option<u32>,
    #[serde(default)]
    package: Vec<ParsedPackage>,
}

#[derive(Deserialize)]
struct ParsedPackage {
    name: String,
    version: Version,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Parsed {
    /// The packages with the positions of those that they depend on.
    fn packages(self) -> Result<Vec<Package>> {
        let version = self.version.unwrap_or(1);
        ensure!(version <= NEWEST, "its version {version} is not known");
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, package) in self.package.iter().enumerate() {
            named.entry(&package.name).or_default().push(at);
        }
        // `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)`, as much as makes it the only one.
        let find = |dependency: &String| -> Result<usize> {
            let mut parts = dependency.split_whitespace();
            let name = parts.next().unwrap_or_default();
            let version = parts.next();
            let source = parts.next().map(|it| it.trim_start_matches('(').trim_end_matches(')'));
            let fits = |at: &&usize| {
                let package = &self.package[**at];
                let is_version =
                    version.is_none_or(|version| package.version.to_string() == version);
                // There without the commit that a source in git is locked at.
                let known = package.source.as_deref().and_then(|it| it.split('#').next());
                is_version && source.is_none_or(|it| known == Some(it))
            };
            let Some(at) = named.get(name).and_then(|all| all.iter().find(fits)) else {
                bail!("it has no package {dependency:?}, which another depends on");
            };
            Ok(*at)
        };
        let needs = |package: &ParsedPackage| package.dependencies.iter().map(find).collect();
        let needs: Vec<Vec<usize>> = self.package.iter().map(needs).collect::<Result<_>>()?;
        let package = |(parsed, needs): (ParsedPackage, Vec<usize>)| {
            let ParsedPackage { name, version, source, .. } = parsed;
            Package { name, version, source, needs }
        };
        Ok(self.package.into_iter().zip(needs).map(package).collect())
    }
}

/// The crates of a lock file, or those that are listed in a program.
#[derive(Debug)]
pub struct Lock {
    pub path: PathBuf,
    pub packages: Vec<Package>,
    /// The line of each package, from 1, in the same order; none for a program.
    lines: Vec<usize>,
    /// Where the program is, for findings.
    program: Option<Place>,
    /// The dependent by which each is reached first, in the same order; `None` for packages of
    /// the workspace, and for those that nothing depends on.
    through: Vec<Option<usize>>,
}

impl Lock {
    /// Reads the lock file of a workspace.
    pub fn read(path: &Path) -> Result<Lock> {
        let read = || -> Result<Lock> {
            let text = String::from_utf8(files::read_foreign(path, limits::LOCK)?)
                .context("it is not UTF-8")?;
            Lock::parse(path, &text)
        };
        read().with_context(|| format!("read {}", path.display()))
    }

    /// Parses a lock file of any known version.
    pub fn parse(path: &Path, text: &str) -> Result<Lock> {
        let fix = "run `cargo generate-lockfile`, or update dockless";
        let parsed = || toml::from_str::<Parsed>(text)?.packages();
        let packages = parsed().context(Help(fix.to_owned()))?;
        // A package's table begins with its name and version.
        let mut tables: HashMap<(&str, &str), usize> = HashMap::new();
        let lines: Vec<&str> = text.lines().collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "[[package]]") {
            let value = |key: &str| {
                let rest =
                    lines[at..].iter().skip(1).take(2).find_map(|line| line.strip_prefix(key));
                rest.map(|value| value.trim_matches('"'))
            };
            if let (Some(name), Some(version)) = (value("name = "), value("version = ")) {
                tables.insert((name, version), at + 1);
            }
        }
        let lines = packages
            .iter()
            .map(|it| tables.get(&(&*it.name, &*it.version.to_string())).copied().unwrap_or(1))
            .collect();
        let through = through(&packages);
        Ok(Lock { path: path.to_owned(), packages, lines, program: None, through })
    }

    /// The crates in the list of a program.
    pub fn of_program(list: &List, place: Place) -> Result<Lock> {
        let package = |listed: &Listed| -> Result<Package> {
            let Listed { name, version, source, .. } = listed;
            let what = || format!("read the crate {name:?} {version:?}");
            Ok(Package {
                name: name.clone(),
                version: version.parse().with_context(what)?,
                // Advisories are about crates of this source alone.
                source: (source == CRATES_IO).then(|| project::CRATES_IO.to_owned()),
                needs: Vec::new(),
            })
        };
        let packages = list.packages.iter().map(package).collect::<Result<_>>()?;
        let (lines, through) = (Vec::new(), list.through());
        Ok(Lock { path: PathBuf::new(), packages, lines, program: Some(place), through })
    }

    /// Whether it is a lock file, which can be changed.
    pub fn is_file(&self) -> bool {
        self.program.is_none()
    }

    /// The place of a package: its table's line, or the program.
    pub fn place(&self, package: usize) -> Place {
        let line = || Place::at(Path::new(LOCK), self.lines[package], 1);
        self.program.clone().unwrap_or_else(line)
    }

    /// The shortest path to a package from one of the workspace: `app 1.0.0 > a 0.1.2`.
    pub fn path_to(&self, package: usize) -> String {
        let mut path = Vec::new();
        let mut at = Some(package);
        while let Some(here) = at {
            let Package { name, version, .. } = &self.packages[here];
            path.push(format!("{name} {version}"));
            at = self.through[here];
        }
        path.reverse();
        path.join(" > ")
    }

    /// The packages that depend on this one directly.
    pub fn dependents(&self, package: usize) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(move |it| it.needs.contains(&package))
    }
}

/// The dependent by which each package is reached first from those of the workspace.
fn through(packages: &[Package]) -> Vec<Option<usize>> {
    let mut through = vec![None; packages.len()];
    let mut seen = vec![false; packages.len()];
    let mut next: VecDeque<usize> = VecDeque::new();
    for (at, package) in packages.iter().enumerate() {
        if package.source.is_none() {
            seen[at] = true;
            next.push_back(at);
        }
    }
    while let Some(from) = next.pop_front() {
        for &to in &packages[from].needs {
            if !seen[to] {
                seen[to] = true;
                through[to] = Some(from);
                next.push_back(to);
            }
        }
    }
    through
}

/// The packages that need a newer Rust than the `rust-version` of a package of the workspace that
/// depends on them.
pub fn too_new(metadata: &Metadata) -> Vec<CheckFinding> {
    let Some(resolve) = &metadata.resolve else { return Vec::new() };
    let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let packages: HashMap<_, _> = metadata.packages.iter().map(|it| (&it.id, it)).collect();
    let mut found: BTreeMap<String, CheckFinding> = BTreeMap::new();
    for member in metadata.workspace_packages() {
        let Some(promised) = &member.rust_version else { continue };
        let mut seen = HashSet::from([&member.id]);
        let mut next = vec![&member.id];
        while let Some(id) = next.pop() {
            let needed = nodes.get(id).map(|node| &node.dependencies[..]).unwrap_or_default();
            next.extend(needed.iter().filter(|id| seen.insert(*id)));
            let Some(package) = packages.get(id) else { continue };
            let Some(asked) = package.rust_version.as_ref().filter(|asked| *asked > promised)
            else {
                continue;
            };
            let (name, version) = (&package.name, &package.version);
            let why = format!(
                "{name} {version} needs Rust {asked}, and {} promises {promised} by its rust-version",
                member.name
            );
            let fix = format!("take an older {name}, or raise rust-version to {asked}");
            let place = Place::file(Path::new(LOCK));
            let finding = Finding::error("rust-version", place, why, fix);
            found.insert(
                format!("{name} {version} {}", member.name),
                CheckFinding { id: "rust-version".to_owned(), url: None, finding },
            );
        }
    }
    found.into_values().collect()
}
