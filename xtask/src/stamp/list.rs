//! The list of crates in a program, as cargo-auditable has it: JSON, packed by zlib.
//! <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use crate::project::crates::Crate;

/// The version of the format: procedural macros, and what only they use, are `build`.
const FORMAT: u32 = 1;
/// zlib's level. Another one gives other bytes of programs.
const LEVEL: u32 = 9;
/// In bytes: of a list that is unpacked. A program of 160 crates has 20 kB; this is the limit of
/// cargo-audit too.
const UNPACKED: u64 = 8 << 20;

/// The crates of a program, and which depends on which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    pub packages: Vec<Listed>,
    #[serde(default)]
    format: u32,
}

/// A crate in the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    pub version: String,
    /// `crates.io`, `git`, `local`, `registry` or what others invent.
    pub source: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: Kind,
    /// Positions in the list, sorted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dependencies: Vec<usize>,
    /// Whether the program is of this package.
    #[serde(default, skip_serializing_if = "is_default")]
    pub root: bool,
}

/// What a crate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is linked in.
    #[default]
    Runtime,
    /// It ran while the program was built: a build script's, or a procedural macro's.
    Build,
}

/// The source of crates that advisories are about.
pub const CRATES_IO: &str = "crates.io";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The source of a crate as lists name it.
fn source(of: &Crate) -> &str {
    match of.source.as_deref() {
        None => "local",
        Some(_) if of.is_of_crates_io() => CRATES_IO,
        Some(other) => other.split('+').next().unwrap_or(other),
    }
}

impl List {
    /// The list of a build's crates. One that is compiled for both the target and the machine
    /// that builds is one, and linked in.
    pub fn of(crates: &[Crate]) -> Result<List> {
        let mut places: BTreeMap<(&str, &str, Option<&str>), usize> = BTreeMap::new();
        let mut listed: Vec<Listed> = Vec::new();
        let mut place_of = Vec::new();
        for krate in crates {
            let key = (&*krate.name, &*krate.version, krate.source.as_deref());
            let place = *places.entry(key).or_insert_with(|| {
                listed.push(Listed {
                    name: krate.name.clone(),
                    version: krate.version.clone(),
                    source: source(krate).to_owned(),
                    kind: Kind::Build,
                    dependencies: Vec::new(),
                    root: false,
                });
                listed.len() - 1
            });
            if !krate.host {
                listed[place].kind = Kind::Runtime;
            }
            listed[place].root |= krate.root;
            place_of.push(place);
        }
        for (krate, place) in crates.iter().zip(&place_of) {
            for needed in &krate.dependencies {
                let needed = place_of.get(needed.index);
                let needed = needed.context("a crate depends on one that is not listed")?;
                // A crate that is two here may depend on its other self, but for another side.
                if needed != place {
                    listed[*place].dependencies.push(*needed);
                }
            }
        }
        List::new(listed)
    }

    /// The list of these crates, which name their dependencies by position. They are sorted, so
    /// that their order does not matter.
    pub fn new(crates: Vec<Listed>) -> Result<List> {
        let mut order: Vec<usize> = (0..crates.len()).collect();
        let key = |at: &usize| {
            let Listed { name, version, source, kind, root, .. } = &crates[*at];
            (name, version, source, kind, !root)
        };
        order.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut place = vec![0; crates.len()];
        order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
        let mut packages: Vec<Listed> = order.iter().map(|at| crates[*at].clone()).collect();
        for package in &mut packages {
            let moved = package.dependencies.iter().map(|at| place.get(*at).copied());
            let moved: Option<Vec<usize>> = moved.collect();
            package.dependencies = moved.context("a crate depends on one that is not listed")?;
            package.dependencies.sort_unstable();
            package.dependencies.dedup();
        }
        let list = List { packages, format: FORMAT };
        list.check()?;
        Ok(list)
    }

    /// The bytes of the section.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).context("write the list of crates")?;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
        packed.write_all(&json).context("pack the list of crates")?;
        packed.finish().context("pack the list of crates")
    }

    /// Reads the bytes of a section, which others may have written.
    pub fn unpack(section: &[u8]) -> Result<List> {
        let mut packed = ZlibDecoder::new(section);
        let mut json = Vec::new();
        let read = (&mut packed).take(UNPACKED + 1).read_to_end(&mut json);
        read.context("unpack it")?;
        ensure!(json.len() as u64 <= UNPACKED, "it unpacks to more than {UNPACKED} bytes");
        // A second list would not be seen.
        let rest = packed.into_inner();
        ensure!(rest.iter().all(|byte| *byte == 0), "{} more bytes follow it", rest.len());
        let list: List = serde_json::from_slice(&json).context("read it")?;
        list.check()?;
        Ok(list)
    }

    fn check(&self) -> Result<()> {
        let all = self.packages.len();
        let roots = self.packages.iter().filter(|package| package.root).count();
        ensure!(roots == 1, "it has {roots} roots, and one package is built into a program");
        for Listed { name, dependencies, .. } in &self.packages {
            let beyond = dependencies.iter().find(|at| **at >= all);
            if let Some(at) = beyond {
                anyhow::bail!("{name:?} depends on number {at} of {all}");
            }
        }
        let mut dependents = vec![0_usize; all];
        for at in self.packages.iter().flat_map(|package| &package.dependencies) {
            dependents[*at] += 1;
        }
        // Those that nothing depends on any more are taken out, until none or a cycle is left.
        let mut free: Vec<usize> = (0..all).filter(|at| dependents[*at] == 0).collect();
        let mut taken = 0;
        while let Some(at) = free.pop() {
            taken += 1;
            for needed in &self.packages[at].dependencies {
                dependents[*needed] -= 1;
                if dependents[*needed] == 0 {
                    free.push(*needed);
                }
            }
        }
        ensure!(taken == all, "{} of its crates depend on each other in a cycle", all - taken);
        Ok(())
    }

    /// The package that the program is of.
    pub fn root(&self) -> Option<&Listed> {
        self.packages.iter().find(|package| package.root)
    }

    /// The dependent by which each is reached first from the root; `None` for the root, and for
    /// those that it does not reach.
    pub fn through(&self) -> Vec<Option<usize>> {
        let mut through = vec![None; self.packages.len()];
        let mut seen: Vec<bool> = self.packages.iter().map(|package| package.root).collect();
        let mut next: VecDeque<usize> = (0..seen.len()).filter(|at| seen[*at]).collect();
        while let Some(from) = next.pop_front() {
            for to in &self.packages[from].dependencies {
                if !seen[*to] {
                    seen[*to] = true;
                    through[*to] = Some(from);
                    next.push_back(*to);
                }
            }
        }
        through
    }

    /// The crates that are linked in: name and version.
    pub fn runtime(&self) -> impl Iterator<Item = (&str, &str)> {
        let runtime = self.packages.iter().filter(|package| package.kind == Kind::Runtime);
        runtime.map(|package| (&*package.name, &*package.version))
    }
}

#[cfg(test)]
mod tests;
