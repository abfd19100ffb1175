//! Finds the update that fixes a finding, and whether cargo can make it.

use std::collections::BTreeMap;

use cargo_metadata::Metadata;
use semver::{Comparator, Op, Version, VersionReq};

use super::lock::{Lock, Package};
use crate::config::AuditKind;

/// The version requirements of all packages.
#[derive(Debug, Default)]
pub struct Updates {
    /// By the dependent's name and version, and the dependency's name.
    required: BTreeMap<(String, Version, String), Vec<VersionReq>>,
}

impl Updates {
    /// The requirements in cargo's metadata of a workspace.
    pub fn of(metadata: &Metadata) -> Updates {
        let mut required: BTreeMap<_, Vec<VersionReq>> = BTreeMap::new();
        for package in &metadata.packages {
            for needed in &package.dependencies {
                let key = (package.name.to_string(), package.version.clone(), needed.name.clone());
                required.entry(key).or_default().push(needed.req.clone());
            }
        }
        Updates { required }
    }

    /// What to do about a package whose `patched` versions are fixed.
    pub fn fix(&self, lock: &Lock, at: usize, kind: AuditKind, patched: &[VersionReq]) -> String {
        let package = &lock.packages[at];
        let update = format!("run `cargo update {}`", spec(lock, package));
        if kind == AuditKind::Yanked {
            return format!("{update} for a version that is not");
        }
        if patched.is_empty() {
            return take(&package.name, patched);
        }
        let mut first_refusal = None;
        for candidate in patched.iter().filter_map(lowest).filter(|it| *it > package.version) {
            match self.refuses(lock, at, &candidate) {
                None => return format!("{update}, which reaches {candidate}"),
                Some(refusal) => drop(first_refusal.get_or_insert(refusal)),
            }
        }
        match first_refusal {
            Some(refusal) => {
                let listed = listed(patched);
                format!("take {listed}, which `cargo update` does not reach: {refusal}")
            }
            None => format!("take a version {}", listed(patched)),
        }
    }

    /// The dependent that does not accept the version; `None` where all accept it.
    fn refuses(&self, lock: &Lock, at: usize, candidate: &Version) -> Option<String> {
        let package = &lock.packages[at];
        for dependent in lock.dependents(at) {
            let Package { name, version, .. } = dependent;
            let key = (name.clone(), version.clone(), package.name.clone());
            let asked = self.required.get(&key).map(Vec::as_slice).unwrap_or_default();
            // Only the requirements that the locked version satisfies concern this package.
            let about = |req: &&VersionReq| req.matches(&package.version);
            if let Some(req) = asked.iter().filter(about).find(|req| !req.matches(candidate)) {
                return Some(format!("{name} {version} asks for {} {req}", package.name));
            }
        }
        None
    }
}

/// What to do about a crate that is in a program already.
pub fn take(name: &str, patched: &[VersionReq]) -> String {
    match patched {
        [] => format!("no version fixes it: look for another crate than {name}"),
        _ => format!("take {name} {}", listed(patched)),
    }
}

fn listed(patched: &[VersionReq]) -> String {
    let listed: Vec<String> = patched.iter().map(ToString::to_string).collect();
    listed.join(" or ")
}

/// The argument that names a package to `cargo update`.
fn spec(lock: &Lock, package: &Package) -> String {
    let same = lock.packages.iter().filter(|it| it.name == package.name).count();
    match same {
        1 => package.name.clone(),
        _ => format!("{}@{}", package.name, package.version),
    }
}

/// The lowest version that satisfies a requirement; `None` where it sets no lower bound.
fn lowest(req: &VersionReq) -> Option<Version> {
    let of = |it: &Comparator| {
        let (minor, patch) = (it.minor.unwrap_or(0), it.patch.unwrap_or(0));
        let version = Version { pre: it.pre.clone(), ..Version::new(it.major, minor, patch) };
        match it.op {
            Op::Greater => Some(Version::new(it.major, minor, patch + 1)),
            Op::Less | Op::LessEq => None,
            _ => Some(version),
        }
    };
    let lowest = req.comparators.iter().filter_map(of).max()?;
    req.matches(&lowest).then_some(lowest)
}
