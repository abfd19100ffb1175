//! Which programs are run for the files that they write themselves.

use std::collections::BTreeMap;

use super::tools::{self, Obstacle, Tools};
use super::{BuildPlan, GeneratePlan, LeftOut, Mode, Part, Request, Selected};
use crate::project::Project;
use crate::target::Target;

/// Who runs a package's programs.
pub enum Runner {
    /// This machine runs those for the target.
    Here(Target),
    /// The machines that built them did.
    Shards,
}

/// Whether the package generates files for archives that are made here, or by the machine
/// that joins what several built.
pub fn wanted(selected: &Selected<'_>, request: &Request) -> bool {
    let split = request.part == Part::Programs && request.mode != Mode::Local;
    (request.archives() || split) && !selected.config.generate.is_empty()
}

/// The targets whose programs this machine runs, the surest first: its glibc may be another
/// than the one that a program was linked for.
fn run_here(project: &Project) -> Vec<Target> {
    let host = &project.rustc.host;
    let own = Target::parse(host).ok();
    let musl = own.as_ref().filter(|own| own.goos() == "linux");
    let musl = musl.and_then(|_| Target::musl_of(host).ok());
    let universal = own.as_ref().filter(|own| own.is_darwin()).map(|_| Target::universal());
    musl.into_iter().chain(own).chain(universal).collect()
}

/// The target that is built for only to be run here; `None` where one of the package's own
/// targets runs. Of a package that several machines build, all targets count: another machine
/// runs what could be run here.
pub fn extra(selected: &Selected<'_>, project: &Project, request: &Request) -> Option<Target> {
    if !wanted(selected, request) || request.build.elsewhere {
        return None;
    }
    let targets = match request.part {
        Part::Programs => &selected.config.targets,
        _ => &selected.targets,
    };
    let here = run_here(project);
    let runs = |target: &Target| here.iter().any(|here| here.triple() == target.triple());
    here.first().filter(|_| !targets.iter().any(runs)).cloned()
}

/// Who runs the package's programs. Here it is the first of its targets that runs, or else a
/// target that is not shipped, which is added to `tools` and so to what is built. `None`
/// where another machine runs them.
pub fn runner(
    selected: &Selected<'_>,
    targets: &[&Target],
    tools: &mut BTreeMap<Target, Tools>,
    project: &Project,
    request: &Request,
) -> Result<Option<Runner>, LeftOut> {
    if !wanted(selected, request) {
        return Ok(None);
    }
    if request.build.elsewhere {
        return Ok(Some(Runner::Shards));
    }
    let what = || format!("generated files of {}", selected.package.name);
    let here = run_here(project);
    let shipped = here.iter().find_map(|here| {
        targets.iter().find(|target| target.triple() == here.triple()).copied().cloned()
    });
    let split = request.part == Part::Programs;
    let extra = || if split { extra(selected, project, request) } else { here.first().cloned() };
    let Some(target) = shipped.or_else(extra) else {
        if split {
            return Ok(None);
        }
        let why = format!("{:?} is no target that programs can be built for", project.rustc.host);
        return Err(LeftOut::forced(what(), None, why, "generate them on another machine"));
    };
    let known = tools.contains_key(&target) || targets.contains(&&target);
    if !known {
        let chosen = match tools::choose(selected, &target, project, request) {
            Ok(chosen) => chosen,
            // The machine that joins the shards reports it where no other could run it either.
            Err(_) if split => return Ok(None),
            Err(Obstacle { why, fix }) => {
                let why = format!("no program that runs here: {why}");
                return Err(LeftOut::forced(what(), Some(&target), why, fix));
            }
        };
        tools.insert(target.clone(), chosen);
    }
    Ok(Some(Runner::Here(target)))
}

/// The calls of the package's programs, and those that are left out because their program
/// is not built.
pub fn plan(
    selected: &Selected<'_>,
    build: &BuildPlan,
    runner: &Runner,
) -> (Vec<GeneratePlan>, Vec<LeftOut>) {
    let mut plans = Vec::new();
    let mut left_out = Vec::new();
    for generator in &selected.config.generate {
        let bin = generator.bin.as_ref().filter(|bin| !build.bins.contains(bin));
        if let Some(bin) = bin {
            let what = format!("{} of {}", generator.output, build.package);
            let why = format!("{bin}, which writes it, is not built");
            let fix = format!("build it too: see `bins`, its features and --bin {bin}");
            left_out.push(LeftOut::by_choice(what, None, why, fix));
            continue;
        }
        let Some(bin) = generator.bin.as_ref().or(build.bins.first()) else { continue };
        plans.push(GeneratePlan {
            package: build.package.clone(),
            bin: bin.clone(),
            target: match runner {
                Runner::Here(target) => Some(target.clone()),
                Runner::Shards => None,
            },
            args: generator.args.clone(),
            output: generator.output.clone(),
        });
    }
    (plans, left_out)
}
