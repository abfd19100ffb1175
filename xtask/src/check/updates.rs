//! Which update mends what was found, and whether cargo can make it.

use std::collections::BTreeMap;

use cargo_metadata::Metadata;
use rustsec::package::Package;
use rustsec::semver::{Comparator, Op};
use rustsec::{Version, VersionReq};

use super::lock::Lock;
use crate::config::Kind;

/// What packages ask of those that they need.
#[derive(Debug, Default)]
pub struct Updates {
    /// By name and version of the one that asks, and the name of the one it needs.
    asked: BTreeMap<(String, Version, String), Vec<VersionReq>>,
}

impl Updates {
    /// What cargo says of a workspace.
    pub fn of(metadata: &Metadata) -> Updates {
        let mut asked: BTreeMap<_, Vec<VersionReq>> = BTreeMap::new();
        for package in &metadata.packages {
            for needed in &package.dependencies {
                let key = (package.name.to_string(), package.version.clone(), needed.name.clone());
                asked.entry(key).or_default().push(needed.req.clone());
            }
        }
        Updates { asked }
    }

    /// What to do about a package of which `patched` versions are right.
    pub fn fix(&self, lock: &Lock, at: usize, kind: Kind, patched: &[VersionReq]) -> String {
        let package = &lock.packages[at];
        let update = format!("run `cargo update {}`", spec(lock, package));
        if kind == Kind::Yanked {
            return format!("{update} for a version that is not");
        }
        let listed: Vec<String> = patched.iter().map(ToString::to_string).collect();
        let listed = listed.join(" or ");
        if patched.is_empty() {
            let name = &package.name;
            return format!("no version mends it: look for another crate than {name}");
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
                format!("take {listed}, which `cargo update` does not reach: {refusal}")
            }
            None => format!("take a version {listed}"),
        }
    }

    /// Who would not take the version, and why; `None` where everybody would.
    fn refuses(&self, lock: &Lock, at: usize, candidate: &Version) -> Option<String> {
        let package = &lock.packages[at];
        for dependent in lock.dependents(at) {
            let (name, version) = (dependent.name.as_str(), &dependent.version);
            let key = (name.to_owned(), version.clone(), package.name.as_str().to_owned());
            let asked = self.asked.get(&key).map(Vec::as_slice).unwrap_or_default();
            // Of several, those that the locked version fits are about it.
            let about = |req: &&VersionReq| req.matches(&package.version);
            if let Some(req) = asked.iter().filter(about).find(|req| !req.matches(candidate)) {
                return Some(format!("{name} {version} asks for {} {req}", package.name));
            }
        }
        None
    }
}

/// How cargo is told which package is meant.
fn spec(lock: &Lock, package: &Package) -> String {
    let same = lock.packages.iter().filter(|it| it.name == package.name).count();
    match same {
        1 => package.name.to_string(),
        _ => format!("{}@{}", package.name, package.version),
    }
}

/// The lowest version that a requirement takes; `None` where it says of none.
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
