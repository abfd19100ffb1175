//! Whose programs are run for the files that they write themselves.

use std::collections::BTreeMap;

use super::tools::{self, Obstacle, Tools};
use super::{BuildPlan, GeneratePlan, LeftOut, Request, Selected};
use crate::project::Project;
use crate::target::Target;

/// Whether the package has such files, and archives are made that hold them.
pub fn wanted(selected: &Selected<'_>, request: &Request) -> bool {
    request.archives() && !selected.config.generate.is_empty()
}

/// What this machine runs, the surest first: it may have another glibc than the
/// one that a program was linked for.
fn run_here(project: &Project) -> Vec<Target> {
    let host = &project.rustc.host;
    let own = Target::parse(host).ok();
    let musl = own.as_ref().filter(|own| own.goos() == "linux");
    let musl = musl.and_then(|_| Target::musl_of(host).ok());
    let universal = own.as_ref().filter(|own| own.is_darwin()).map(|_| Target::universal());
    musl.into_iter().chain(own).chain(universal).collect()
}

/// The target that is built for only to be run here, where none of the package's is.
pub fn extra(targets: &[Target], project: &Project) -> Option<Target> {
    let here = run_here(project);
    let runs = |target: &Target| here.iter().any(|here| here.triple() == target.triple());
    here.first().filter(|_| !targets.iter().any(runs)).cloned()
}

/// The target whose programs are run; one that is not shipped is added to
/// `tools`, and so to what is built.
pub fn runner(
    selected: &Selected<'_>,
    targets: &[&Target],
    tools: &mut BTreeMap<Target, Tools>,
    project: &Project,
    request: &Request,
) -> Result<Target, LeftOut> {
    let left_out = |target, why, fix| {
        let what = format!("generated files of {}", selected.package.name);
        LeftOut { what, target, why, fix, by_choice: false }
    };
    let here = run_here(project);
    let shipped = here.iter().find_map(|here| {
        targets.iter().find(|target| target.triple() == here.triple()).copied().cloned()
    });
    if request.elsewhere && shipped.is_none() {
        let why = "none of its programs, which were built elsewhere, runs on this machine";
        let fix = "join them on a machine of one of the targets".to_owned();
        return Err(left_out(None, why.to_owned(), fix));
    }
    let Some(target) = shipped.or_else(|| here.first().cloned()) else {
        let why = format!("{:?} is no target that programs can be built for", project.rustc.host);
        return Err(left_out(None, why, "generate them on another machine".to_owned()));
    };
    let known = tools.contains_key(&target) || targets.contains(&&target);
    if !known {
        let chosen = tools::choose(selected, &target, project, request);
        let chosen = chosen.map_err(|Obstacle { why, fix }| {
            left_out(Some(target.clone()), format!("no program that runs here: {why}"), fix)
        })?;
        tools.insert(target.clone(), chosen);
    }
    Ok(target)
}

/// What the package's programs are asked for, and what cannot be asked because
/// its program is not built.
pub fn plan(
    selected: &Selected<'_>,
    build: &BuildPlan,
    target: &Target,
) -> (Vec<GeneratePlan>, Vec<LeftOut>) {
    let mut plans = Vec::new();
    let mut left_out = Vec::new();
    for generator in &selected.config.generate {
        let bin = generator.bin.as_ref().filter(|bin| !build.bins.contains(bin));
        if let Some(bin) = bin {
            left_out.push(LeftOut {
                what: format!("{} of {}", generator.output, build.package),
                target: None,
                why: format!("{bin}, which writes it, is not built"),
                fix: format!("build it too: see `bins`, its features and --bin {bin}"),
                by_choice: true,
            });
            continue;
        }
        let Some(bin) = generator.bin.as_ref().or(build.bins.first()) else { continue };
        plans.push(GeneratePlan {
            package: build.package.clone(),
            bin: bin.clone(),
            target: target.clone(),
            args: generator.args.clone(),
            output: generator.output.clone(),
        });
    }
    (plans, left_out)
}
