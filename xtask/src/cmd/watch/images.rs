//! Images, made again and put in their places after each change.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;

use super::super::{Common, World};
use super::rounds::{Act, Made, projects, rounds};
use super::{TAG, Watched, elsewhere, ended_by_signal, keep_plain, made, narrow, watcher};
use crate::config::Config;
use crate::digest::Digest;
use crate::parallel::locked;
use crate::plan::{Mode, Part, Plan};
use crate::project::Project;
use crate::reference::{Reference, Tag};
use crate::registry::{Naming, Registry};
use crate::release;
use crate::sink::{self, Sink};
use crate::watch::{Breadth, Scope};

/// The images that were put in their places last, by name.
type Last = Mutex<BTreeMap<String, Digest>>;

pub fn run(args: &Watched, common: &Common, world: &World) -> Result<ExitCode> {
    let mut watcher = watcher(&args.how, world)?;
    let last = Last::default();
    let mut is_first = true;
    let mut act = |_: Act<()>| Ok(());
    let read = || read(args, common, world);
    projects(&mut watcher, world, &read, &mut act, &mut |read, watcher, act| {
        let (project, plan, config) = read;
        let http = world.http(&config.network, &args.network, common);
        let blobs = world.cache.blobs()?;
        let registry = world.registry(&http, &blobs, &config.network);
        if std::mem::take(&mut is_first) {
            release::probe(&args.load, &world.hosts, &world.env, &world.term)?;
            if args.push {
                release::ensure_pushable(plan, project, &registry, &world.cache)?;
            }
        }
        let mut scope = Scope::of(project, plan, Breadth::New);
        scope.made.extend(made(world));
        watcher.aim(scope)?;
        let make = || {
            release::expect_push(plan, &registry);
            make(args, project, plan, &registry, &last, common, world)
        };
        let make = || if args.push { registry.ahead(make) } else { make() };
        rounds(watcher, &project.root, world, &make, act)
    })?;
    Ok(ended_by_signal(world))
}

/// Reads the project, and plans its images with the tags of this command.
fn read(args: &Watched, common: &Common, world: &World) -> Result<(Project, Plan, Config)> {
    let mut request = args.selection.request(Mode::Snapshot, Part::Images, common);
    request.select.platforms = args.platform.clone();
    request.publish.repository = world.repository(args.repository.as_ref())?;
    let (project, config) = world.project_and_config(common, &request.select.targets)?;
    narrow(&project, &config, &args.load, &elsewhere(&args.load, world)?, &mut request);
    let drafted = world.draft(project, config, common, &request)?;
    let (project, mut plan, config) = drafted.approved(&world.term)?;
    let tags = if args.tag.is_empty() { vec![Tag::parse(TAG)?] } else { args.tag.clone() };
    for image in &mut plan.images {
        let repositories = image.repositories().into_iter();
        let names = repositories.flat_map(|to| tags.iter().map(move |tag| to.tagged(tag)));
        let names: Vec<Reference> = names.collect();
        image.names = names;
    }
    keep_plain(&mut plan, args.push, &args.load);
    Ok((project, plan, config))
}

/// Makes the images, puts them in their places where any is another than before, and prints their
/// names there.
fn make(
    args: &Watched,
    project: &Project,
    plan: &Plan,
    registry: &Registry<'_>,
    last: &Last,
    common: &Common,
    world: &World,
) -> Result<Made<()>> {
    let (network, cache, term) = (common.network(), &world.cache, &world.term);
    let made = release::images_alone(plan, project, network, cache, registry, term)?;
    let digest = made.images().map(|image| (image.plan.name.clone(), image.root.digest()));
    let digests: BTreeMap<String, Digest> = digest.collect();
    if *locked(last) != digests {
        if args.push {
            let pushed = release::push_images(&made, Naming::WithTag, registry)?;
            let tagged = release::tag_images(&pushed, registry, term)?;
            let names = tagged.into_iter().flat_map(|(_, all)| all).map(|it| it.reference);
            names.into_iter().try_for_each(|name| term.result(name))?;
        }
        for image in made.images() {
            for engine in &args.load {
                let (names, engine) = (&image.plan.names, Sink::Engine(engine.clone()));
                let World { hosts, env, .. } = world;
                let stored = sink::store(&image.root, names, &engine, registry, hosts, env, term)?;
                term.result(stored)?;
            }
        }
        *locked(last) = digests;
    }
    Ok(Made { inputs: made.inputs, value: () })
}
