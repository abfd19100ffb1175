//! Which builds one call of cargo makes.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildPlan;
use crate::project::{Package, Project};

/// Builds of one call.
struct Call<'a> {
    /// Which of the sets of packages that cargo resolves alike they are of.
    set: usize,
    builds: Vec<&'a BuildPlan>,
    bins: Bins,
}

/// The names of binaries, as file systems that ignore case compare them.
#[derive(Default)]
struct Bins {
    built: BTreeSet<String>,
    /// Also those that are not built.
    all: BTreeSet<String>,
}

/// Finds the builds whose programs have the same bytes where one call of cargo makes them. One
/// call is faster: cargo looks once at what is built, and compiles one package while it links
/// another.
pub fn join(builds: &mut [BuildPlan], project: &Project) {
    let sets = project.alike.iter().enumerate();
    let sets: BTreeMap<&str, usize> =
        sets.flat_map(|(at, set)| set.iter().map(move |spec| (&**spec, at))).collect();
    let packages: BTreeMap<&str, &Package> =
        project.packages.iter().map(|package| (&*package.name, package)).collect();
    let mut calls: Vec<Call<'_>> = Vec::new();
    for build in builds.iter() {
        let Some(set) = sets.get(&*build.spec).copied() else { continue };
        let bins = Bins::of(build, packages.get(&*build.package).copied());
        let fits = |call: &&mut Call<'_>| {
            let first = call.builds.first();
            call.set == set
                && first.is_none_or(|first| as_called(first) == as_called(build))
                && call.bins.built.is_disjoint(&bins.all)
                && call.bins.all.is_disjoint(&bins.built)
        };
        match calls.iter_mut().find(fits) {
            Some(call) => call.add(build, bins),
            None => calls.push(Call { set, builds: vec![build], bins }),
        }
    }
    let mut with: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Call { builds, .. } in &calls {
        for build in builds {
            let others = builds.iter().filter(|other| other.package != build.package);
            let others = others.map(|other| other.package.clone()).collect();
            with.insert(build.package.clone(), others);
        }
    }
    for build in builds {
        build.with = with.remove(&build.package).unwrap_or_default();
    }
}

impl<'a> Call<'a> {
    fn add(&mut self, build: &'a BuildPlan, bins: Bins) {
        self.builds.push(build);
        self.bins.built.extend(bins.built);
        self.bins.all.extend(bins.all);
    }
}

impl Bins {
    /// cargo builds a named binary of each package that has it.
    fn of(build: &BuildPlan, package: Option<&Package>) -> Bins {
        let built: BTreeSet<String> =
            build.bins.iter().map(|bin| bin.to_ascii_lowercase()).collect();
        let own = package.into_iter().flat_map(|package| &package.bins);
        let all = own.map(|bin| bin.name.to_ascii_lowercase()).chain(built.clone()).collect();
        Bins { built, all }
    }
}

/// All that a call of cargo is made with, but for what it builds.
fn as_called(build: &BuildPlan) -> impl PartialEq {
    let BuildPlan { args, env, targets, tools, remap, .. } = build;
    (args, env, targets, tools, remap)
}
