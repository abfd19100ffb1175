//! Reads Cargo.lock: its packages, and the dependency path to each.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use rustsec::Lockfile;
use rustsec::package::{Package, SourceId};

use super::CheckFinding;
use crate::files::{self, limits};
use crate::finding::{Finding, Help, Place};
use crate::stamp::{CRATES_IO, List, Listed};

/// Its path in findings: code scanning knows files by their paths in the workspace's folder.
pub const LOCK: &str = "Cargo.lock";

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
        let parsed: Lockfile = text.parse().context(Help(fix.to_owned()))?;
        let packages = parsed.packages;
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
            .map(|it| {
                tables.get(&(it.name.as_str(), &*it.version.to_string())).copied().unwrap_or(1)
            })
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
                name: name.parse().with_context(what)?,
                version: version.parse().with_context(what)?,
                // Advisories are about crates of this source alone.
                source: (source == CRATES_IO).then(SourceId::default),
                checksum: None,
                dependencies: Vec::new(),
                replace: None,
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
        let needed = &self.packages[package];
        self.packages.iter().filter(|it| it.dependencies.iter().any(|one| one.matches(needed)))
    }
}

/// The dependent by which each package is reached first from those of the workspace.
fn through(packages: &[Package]) -> Vec<Option<usize>> {
    let at: HashMap<_, usize> = packages
        .iter()
        .enumerate()
        .map(|(at, it)| ((&it.name, &it.version, &it.source), at))
        .collect();
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
        for needed in &packages[from].dependencies {
            let Some(&to) = at.get(&(&needed.name, &needed.version, &needed.source)) else {
                continue;
            };
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
