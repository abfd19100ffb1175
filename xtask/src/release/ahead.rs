//! What would fail at the end fails before anything is compiled.

use anyhow::{Result, bail};

use crate::artifacts::PushedImage;
use crate::cache::{Cache, CacheKind};
use crate::compile;
use crate::config::Base;
use crate::digest::Digest;
use crate::files;
use crate::finding::failure;
use crate::parallel;
use crate::plan::{ImagePlan, Plan};
use crate::process::Env;
use crate::project::Project;
use crate::reference::Repository;
use crate::registry::{Pushed, Registry};
use crate::sink::{Engine, Hosts};
use crate::term::Term;

/// How many repositories are asked at a time.
const AT_A_TIME: usize = 4;

/// Fails where an engine is missing or does not answer.
pub fn probe(engines: &[Engine], hosts: &Hosts, env: &Env, term: &Term) -> Result<()> {
    engines.iter().try_for_each(|engine| engine.probe(hosts, env, term).map(drop))
}

/// For how long a repository that was pushed to counts as one that may be, in seconds: the logins
/// of clouds last so long.
const TRUSTED: u64 = 12 * 3600;
/// In seconds: how often a push is remembered, so that most of them write nothing.
const REMEMBERED: u64 = 3600;

/// Fails where an image of the plan has no repository that it may be pushed to. Of one that was
/// pushed to lately, this is found while programs are compiled, where the registry is asked ahead.
pub fn ensure_pushable(
    plan: &Plan,
    project: &Project,
    registry: &Registry<'_>,
    cache: &Cache,
) -> Result<()> {
    let fix = "set `repositories` in [package.metadata.dockless.image], or pass --repository";
    let mut all: Vec<&Repository> = plan.images.iter().flat_map(ImagePlan::repositories).collect();
    all.iter().try_for_each(|to| ensure_named(to, fix))?;
    all.sort();
    all.dedup();
    let mut unknown = Vec::new();
    for to in &all {
        if registry.is_ahead() && pushed_within(TRUSTED, to, cache)? {
            registry.expect_push(to, &mountable(plan));
        } else {
            unknown.push(*to);
        }
    }
    parallel::map(&unknown, AT_A_TIME, |to| {
        registry.check_access(to)?;
        registry.expect_checked_push(to);
        Ok(())
    })?;
    connect(all, registry);
    let outdated = plan.builds.iter().filter(|build| compile::is_outdated(build, project));
    let outdated: Vec<&str> = outdated.map(|build| &*build.package).collect();
    let changes = |image: &&ImagePlan| outdated.contains(&&*image.package);
    plan.images.iter().filter(changes).for_each(|image| expect_change(image, registry));
    Ok(())
}

/// Makes the registry ready for another push of a plan that may be pushed, where it is asked ahead.
/// A file has changed, so that most likely a layer of each image does.
pub fn expect_push(plan: &Plan, registry: &Registry<'_>) {
    let mut all: Vec<&Repository> = plan.images.iter().flat_map(ImagePlan::repositories).collect();
    all.sort();
    all.iter().for_each(|to| registry.expect_push(to, &mountable(plan)));
    connect(all, registry);
    plan.images.iter().for_each(|image| expect_change(image, registry));
}

/// Asks for the uploads of an image of which most likely a layer changes.
fn expect_change(image: &ImagePlan, registry: &Registry<'_>) {
    if let Some(to) = image.destinations().first() {
        registry.expect_change(to, image.platforms.len());
    }
}

/// Opens connections to the registries of these repositories, which are sorted.
fn connect(mut all: Vec<&Repository>, registry: &Registry<'_>) {
    all.dedup_by_key(|to| to.registry());
    all.iter().for_each(|to| registry.expect_requests(to));
}

/// The repositories of bases.
fn mountable(plan: &Plan) -> Vec<Repository> {
    let bases = plan.images.iter().filter_map(|image| match &image.base {
        Base::Named(reference) => Some(reference.repository.clone()),
        Base::Builtin | Base::Scratch | Base::Stored(_) => None,
    });
    bases.collect()
}

/// Remembers that the repositories of images were pushed to.
pub fn remember_pushed(images: &[PushedImage<'_>], cache: &Cache) -> Result<()> {
    let all = images.iter().flat_map(PushedImage::at).map(Pushed::repository);
    for to in all {
        if !pushed_within(REMEMBERED, to, cache)? {
            cache.put_json(CacheKind::Push, &key(to), &files::now())?;
        }
    }
    Ok(())
}

fn pushed_within(seconds: u64, to: &Repository, cache: &Cache) -> Result<bool> {
    let pushed: Option<u64> = cache.get_json(CacheKind::Push, &key(to))?;
    let now = files::now();
    Ok(pushed.is_some_and(|pushed| (pushed..pushed.saturating_add(seconds)).contains(&now)))
}

fn key(of: &Repository) -> Digest {
    Digest::of(of.to_string().as_bytes())
}

/// Fails for a name that Docker keeps for itself: an image has one where no repository was
/// named, or where a file was meant.
pub fn ensure_named(to: &Repository, fix: &str) -> Result<()> {
    if to.is_official() {
        let why =
            format!("{to} is a name of Docker Hub's own: only Docker itself puts images there");
        bail!(failure(why, fix));
    }
    Ok(())
}
