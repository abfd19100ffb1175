//! Looks, before anything is done, for what would make a release fail on its way.

use std::path::Path;
use std::thread;

use anyhow::Result;

use crate::config::FULL_CLONE;
use crate::files;
use crate::finding::{Finding, Place};
use crate::forge::Forge;
use crate::parallel::join;
use crate::plan::{BuildOptions, LeftOut, Plan, PublishPlan};
use crate::project::Project;
use crate::reference::Repository;
use crate::registry::Registry;
use crate::term::{self, Term};
use crate::toolchain;

mod index;
mod on_forge;

pub use index::plugins;
pub use on_forge::access;

/// In bytes: with less room on the disk no build is begun.
const LEAST_ROOM: u64 = 256 << 20;

/// The services that a release talks to.
pub struct Sites<'a> {
    pub forge: Forge<'a>,
    /// The same, with the token that opens pull requests.
    pub index: Forge<'a>,
    pub registry: &'a Registry<'a>,
}

/// Looks at all that a release needs, at all services at the same time, and finds what is
/// wrong with any of it. Nothing is changed anywhere.
pub fn look(
    plan: &Plan,
    publish: &PublishPlan,
    project: &Project,
    sites: &Sites<'_>,
    build: &BuildOptions,
    term: &Term,
) -> Vec<Finding> {
    term.step("look", "at what the release needs");
    // All of it, so that what is added to the plan is looked at here. The plan checks the tag,
    // and a draft needs what a release does.
    let PublishPlan { tag: _, draft: _, release: to_forge, index: to_index } = publish;
    let forge = || match to_forge {
        Some(to) => on_forge::release(plan, to, &sites.forge, term),
        None => Ok(Vec::new()),
    };
    let index = || match (to_index, to_forge) {
        (Some(to), Some(from)) => plugins(plan, to, from, publish, &sites.index, term),
        _ => Ok(Vec::new()),
    };
    let here = || machine(plan, project, build, term);
    let images = || Ok(registries(plan, sites.registry));
    let parts = thread::scope(|scope| {
        let forge = scope.spawn(forge);
        let index = scope.spawn(index);
        let images = scope.spawn(images);
        [
            ("this machine", here()),
            (sites.forge.kind().name(), join(forge)),
            ("the index", join(index)),
            ("registries", join(images)),
        ]
    });
    let mut findings = checkout(project);
    for (name, found) in parts {
        match found {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::of("preflight", Place::item(name), &error)),
        }
    }
    findings
}

/// What the checkout must be, beside its tag, which the plan looks at.
pub fn checkout(project: &Project) -> Vec<Finding> {
    let shallow = project.git.as_ref().is_some_and(|git| git.shallow);
    let why = "the clone is shallow, so that it is not known what came before";
    let finding = || Finding::error("shallow-clone", Place::item("git"), why, FULL_CLONE);
    shallow.then(finding).into_iter().collect()
}

/// Room, toolchains and linkers.
fn machine(
    plan: &Plan,
    project: &Project,
    build: &BuildOptions,
    term: &Term,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in [&project.target_dir, &project.root] {
        findings.extend(room(folder)?.1);
    }
    if !build.elsewhere {
        let ready = toolchain::prepare(&plan.builds, project, build.network, term)?;
        findings.extend(ready.left_out.iter().map(LeftOut::finding));
    }
    Ok(findings)
}

/// The room on a folder's disk, as far as the system tells it, and what is wrong with it.
pub fn room(folder: &Path) -> Result<(Option<u64>, Option<Finding>)> {
    let left = files::free_space(folder)?;
    Ok((left, left.filter(|left| *left < LEAST_ROOM).map(|left| narrow(folder, left))))
}

fn narrow(folder: &Path, left: u64) -> Finding {
    let why = format!("there are {} left on its disk", term::size(left));
    Finding::error("disk", Place::file(folder), why, "make room, or set CARGO_TARGET_DIR")
}

/// Whether the registries that images go to accept the logins.
fn registries(plan: &Plan, registry: &Registry<'_>) -> Vec<Finding> {
    let refused = |error| Finding::of("registry", Place::default(), &error);
    let looked = destinations(plan).into_iter().map(|to| registry.check_access(to));
    looked.filter_map(Result::err).map(refused).collect()
}

/// The repositories that images go to, each once.
pub fn destinations(plan: &Plan) -> Vec<&Repository> {
    let mut known = Vec::new();
    for repository in plan.images.iter().flat_map(|image| image.destinations()) {
        if !known.contains(&repository) {
            known.push(repository);
        }
    }
    known
}
