//! Images into Kubernetes manifests, again after each change.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::super::apply::{Verb, feed, find_kubectl, warn};
use super::super::resolve::{self, Documents, Planned, What};
use super::super::{Common, World};
use super::rounds::{Act, Made, projects, rounds};
use super::{How, TAG, elsewhere, ended_by_signal, keep_plain, made, narrow, watcher};
use crate::config::Config;
use crate::files;
use crate::finding::failure;
use crate::plan::Request;
use crate::project::Project;
use crate::reference::Tag;
use crate::release;
use crate::watch::{Breadth, Scope};

/// Build and push the images that manifests name, and run `kubectl apply`, again on each change
///
/// The manifests are resolved as `apply` does it, with images of the dev profile, for this machine's
/// platform and with the tag `dev`, where nothing else is said. kubectl is started where the
/// documents differ from those that it took last: what is unchanged is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless watch apply -f deploy/ --repository ghcr.io/acme
  cargo dockless watch apply -f deploy/ --load kind
  cargo dockless watch apply -f deploy/ -l app=shop -- --namespace staging")]
pub struct Apply {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
    /// Arguments of kubectl
    #[arg(last = true, value_name = "KUBECTL ARGS")]
    args: Vec<OsString>,
}

/// The documents, and what is built for them.
struct Read {
    documents: Documents,
    planned: Planned,
}

/// The documents with their images.
struct Resolved {
    documents: String,
    names: Vec<String>,
}

pub fn run(mut args: Apply, common: &Common, world: &World) -> Result<ExitCode> {
    if args.what.named().iter().any(|file| file == Path::new("-")) {
        let why = "stdin is read once, and `watch` reads documents again";
        bail!(failure(why, "name files or folders with -f"));
    }
    args.what.or_tags(&[Tag::parse(TAG)?]);
    let Apply { what, how, args } = &args;
    let kubectl = find_kubectl(world)?;
    let mut watcher = watcher(how, world)?;
    let mut applied: Option<String> = None;
    let mut is_first = true;
    let mut act = |act: Act<Resolved>| {
        let Act::Take(Resolved { documents, names }) = act else { return Ok(()) };
        if applied.as_ref() == Some(&documents) {
            return Ok(());
        }
        let status = feed(&kubectl, Verb::Apply, args, &documents, world)?;
        if status.success() {
            applied = Some(documents);
        } else {
            // What it has taken of them is not known.
            applied = None;
            warn(Verb::Apply, status, what, &names, world);
        }
        Ok(())
    };
    let read = || read(what, common, world);
    projects(&mut watcher, world, &read, &mut act, &mut |read, watcher, act| {
        let Planned { project, plan, config, .. } = &read.planned;
        let http = world.http(&config.network, what.network(), common);
        let blobs = world.cache.blobs()?;
        let registry = world.registry(&http, &blobs, &config.network);
        if std::mem::take(&mut is_first) {
            resolve::look_ahead(what, &read.planned, &registry, world)?;
        }
        let mut scope = Scope::of(project, plan, Breadth::New);
        scope.made.extend(made(world));
        scope.made.extend(what.image_refs().map(|file| world.dir.join(file)));
        name_manifests(&mut scope, what, &read.documents, world)?;
        watcher.aim(scope)?;
        let make = || {
            release::expect_push(plan, &registry);
            let placed = resolve::place(what, &read.planned, &registry, common, world)?;
            let documents = placed.images.documents(&read.documents.manifests)?;
            placed.images.record(what, world)?;
            let names = placed.images.names().collect();
            Ok(Made { inputs: placed.made.inputs, value: Resolved { documents, names } })
        };
        let make = || if what.is_pushed() { registry.ahead(make) } else { make() };
        rounds(watcher, &project.root, world, &make, act)
    })?;
    Ok(ended_by_signal(world))
}

/// Reads the documents, and plans the images that they name.
fn read(what: &What, common: &Common, world: &World) -> Result<Read> {
    let documents = resolve::read(what, world)?;
    let elsewhere = elsewhere(what.engines(), world)?;
    let narrow = |project: &Project, config: &Config, request: &mut Request| {
        narrow(project, config, what.engines(), &elsewhere, request);
    };
    let planned = resolve::planned(what, &documents, &narrow, common, world)?;
    let mut planned = planned.ok_or_else(|| {
        let why = "no document has a reference to a package, such as dockless://NAME";
        failure(why, "name other files with -f, or use kubectl itself")
    })?;
    keep_plain(&mut planned.plan, what.is_pushed(), what.engines());
    Ok(Read { documents, planned })
}

/// The manifests say what is built, so that a change of one reads all of them anew.
fn name_manifests(
    scope: &mut Scope,
    what: &What,
    documents: &Documents,
    world: &World,
) -> Result<()> {
    for manifest in &documents.manifests {
        scope.settings.insert(files::resolve(&world.dir.join(&manifest.file))?);
    }
    let named = what.named().iter().map(|path| files::resolve(&world.dir.join(path)));
    let named: Vec<PathBuf> = named.collect::<Result<_>>()?;
    scope.whole.extend(named.into_iter().filter(|path| path.is_dir()));
    Ok(())
}
