use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::engines::Engines;
use super::image::above;
use super::resolve::tag;
use super::{Common, NetworkArgs, Selection, World};
use crate::config::Config;
use crate::files::Means;
use crate::finding::failure;
use crate::http::{Origin, Scheme};
use crate::plan::{Compression, Plan, Request, Skip};
use crate::project::Project;
use crate::reference::{Above, Repository, Tag};
use crate::sink::Engine;
use crate::target::{Platform, Target};
use crate::watch::{Event, Watcher};

mod apply;
mod images;
mod program;
mod rounds;

/// Build again on each change of what is built, and start the program again
///
/// Without a command the program itself is started as `run` does it, and again once a build has
/// changed it. A command is started again after each build that succeeded, whatever file of the
/// packages changed; it finds the programs that were built first on PATH. A build that fails shows
/// the errors of cargo, and what was started goes on.
///
/// What counts are the files that cargo read for the last build, new files of the packages,
/// manifests, Cargo.lock and the settings of cargo, rustup and this tool. What git ignores does not,
/// unless it is read; nor does a file that is saved unchanged. A change during a build stops it.
///
/// With --push or --load images are made instead: of the dev profile, for this machine's platform
/// and with the tag `dev`, where nothing else is said.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    group = clap::ArgGroup::new("images").args(["push", "load"]).multiple(true),
    after_help = "Examples:
  cargo dockless watch
  cargo dockless watch -- mytool serve --port 8080
  cargo dockless watch -- cargo test
  cargo dockless watch --push --repository ghcr.io/acme
  cargo dockless watch --load kind
  cargo dockless watch apply -f deploy/ --load kind"
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    watched: Watched,
}

#[derive(Debug, clap::Args)]
struct Watched {
    /// Push images to the `repositories` of the settings, instead of starting anything
    #[arg(long)]
    push: bool,
    /// Load images into this engine, or over ssh: ssh://[USER@]HOST[:PORT][/ENGINE], instead of
    /// starting anything; may be repeated
    #[arg(long, value_name = "ENGINE", value_parser = Engines)]
    load: Vec<Engine>,
    /// Where to push images without `repositories`: below this, or below DOCKLESS_REPOSITORY
    #[arg(long, value_name = "REPOSITORY", value_parser = above, requires = "push")]
    repository: Option<Above>,
    /// The tag of images, in place of `dev`; may be repeated
    #[arg(long, value_name = "TAG", value_parser = tag, requires = "images")]
    tag: Vec<Tag>,
    /// Images for this platform, such as linux/arm64, in place of this machine's; may be repeated
    #[arg(
        long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = Platform::parse,
        requires = "images"
    )]
    platform: Vec<Platform>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    how: How,
    /// What is started instead of the program, and its arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "images")]
    command: Vec<OsString>,
}

/// How changes are found.
#[derive(Debug, clap::Args)]
struct How {
    /// Look for changes twice a second, where the system does not tell of them
    #[arg(long)]
    poll: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Apply(Box<apply::Apply>),
}

impl Args {
    /// Whether it starts what is the user's own.
    pub fn starts_programs(&self) -> bool {
        self.action.is_none() && !self.watched.makes_images()
    }
}

impl Watched {
    fn makes_images(&self) -> bool {
        self.push || !self.load.is_empty()
    }
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    if world.term.json_wanted() {
        let why = "--json prints the results of a command that ends, and `watch` does not";
        bail!(failure(why, "use `build`, `image` or `resolve` with --json"));
    }
    match args.action {
        Some(Action::Apply(args)) => apply::run(*args, common, world),
        None if args.watched.makes_images() => images::run(&args.watched, common, world),
        None => program::run(args.watched, common, world),
    }
}

/// The tag of images, where none is named: it stays the same while they change.
const TAG: &str = "dev";

/// The profile of images, where none is named.
const PROFILE: &str = "dev";

/// The platforms of the other machines that images are loaded into.
fn elsewhere(load: &[Engine], world: &World) -> Result<Vec<Platform>> {
    let World { hosts, env, term, .. } = world;
    let remote = load.iter().filter(|engine| matches!(engine, Engine::Remote(_)));
    let asked = remote.map(|engine| engine.probe(hosts, env, term));
    Ok(asked.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// What is asked for, where the command line leaves it open: the profile that is compiled fastest,
/// and of the configured targets those that the machines run that images are for, where there are
/// some: this one, or `elsewhere`.
fn narrow(
    project: &Project,
    config: &Config,
    load: &[Engine],
    elsewhere: &[Platform],
    request: &mut Request,
) {
    request.build.profile.get_or_insert_with(|| PROFILE.to_owned());
    request.select.skip = vec![Skip::Sbom, Skip::Provenance];
    if !request.select.platforms.is_empty() || !request.select.targets.is_empty() {
        return;
    }
    let mut meant_for = elsewhere.to_vec();
    if meant_for.is_empty() || load.len() > meant_for.len() {
        let here = Target::musl_of(&project.rustc.host).ok().and_then(|target| target.platform());
        let Some(here) = here else { return };
        meant_for.push(here);
    }
    meant_for.sort();
    meant_for.dedup();
    let named = &request.select.packages;
    let mut meant = config.packages.iter().filter(|package| {
        package.kept_back.is_none() && (named.is_empty() || named.contains(&package.name))
    });
    let runs = |target: &Target, on: &Platform| {
        target.platform().is_some_and(|it| on.distance(&it).is_some())
    };
    let runs_everywhere = |targets: &[Target]| {
        meant_for.iter().all(|on| targets.iter().any(|target| runs(target, on)))
    };
    if meant.all(|package| runs_everywhere(&package.targets)) {
        request.select.platforms = meant_for;
    }
}

/// Does not compress what stays on this machine: it would take longer than to copy it. `pushed` tells
/// whether the names of images are places that they are pushed to.
fn keep_plain(plan: &mut Plan, pushed: bool, load: &[Engine]) {
    let is_here = |to: &&Repository| {
        Origin::new(Scheme::Http, to.registry()).is_ok_and(|server| server.is_loopback())
    };
    let is_loaded_here = load.iter().all(|engine| !matches!(engine, Engine::Remote(_)));
    for image in &mut plan.images {
        if is_loaded_here && (!pushed || image.repositories().iter().all(is_here)) {
            image.compression = Compression::None;
        }
    }
}

/// Listens for changes, and for the end of this process.
fn watcher<'a>(how: &How, world: &'a World) -> Result<Watcher<'a>> {
    let means = if how.poll { Means::Poll } else { Means::System };
    let watcher = Watcher::new(means, &world.term)?;
    let sender = watcher.sender();
    // Nobody listens any more once the command is over.
    world.env.children().on_end(move || drop(sender.send(Event::Signal)));
    Ok(watcher)
}

/// The folders in which this program writes beside those of cargo and dist/.
fn made(world: &World) -> impl Iterator<Item = PathBuf> + '_ {
    world.cache.root().map(Path::to_owned).into_iter()
}

/// The status of a command that a signal has ended, as shells tell of it.
fn ended_by_signal(world: &World) -> ExitCode {
    let signal = world.env.children().signal().unwrap_or_default();
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}
