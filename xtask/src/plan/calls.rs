//! Which builds one call of cargo makes.

use super::BuildPlan;
use crate::project::Project;

/// Finds the builds whose programs have the same bytes where one call of cargo makes them. One
/// call is faster: cargo looks once at what is built, and compiles one package while it links
/// another.
pub fn join(builds: &mut [BuildPlan], project: &Project) {
    let mut calls: Vec<Vec<usize>> = Vec::new();
    for (index, build) in builds.iter().enumerate() {
        let fits =
            |call: &&mut Vec<usize>| call.iter().all(|other| fit(build, &builds[*other], project));
        match calls.iter_mut().find(fits) {
            Some(call) => call.push(index),
            None => calls.push(vec![index]),
        }
    }
    for call in calls {
        for index in &call {
            let others = call.iter().filter(|other| *other != index);
            builds[*index].with = others.map(|other| builds[*other].package.clone()).collect();
        }
    }
}

fn fit(build: &BuildPlan, other: &BuildPlan, project: &Project) -> bool {
    let alike =
        project.alike.iter().any(|set| [build, other].iter().all(|it| set.contains(&it.spec)));
    alike
        && as_called(build) == as_called(other)
        && !takes(build, other, project)
        && !takes(other, build, project)
}

/// All that a call of cargo is made with, but for what it builds.
fn as_called(build: &BuildPlan) -> impl PartialEq {
    let BuildPlan { args, env, targets, tools, remap, .. } = build;
    (args, env, targets, tools, remap)
}

/// Whether the other package has a binary by the name of one that is built: cargo builds a named
/// binary of each package that has it.
fn takes(build: &BuildPlan, other: &BuildPlan, project: &Project) -> bool {
    let package = project.package(&other.package);
    let bins = package.into_iter().flat_map(|package| &package.bins);
    bins.into_iter().any(|bin| build.bins.iter().any(|own| own.eq_ignore_ascii_case(&bin.name)))
}
