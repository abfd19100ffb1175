use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;

use super::engines::Engines;
use super::report::{Signed, skipped};
use super::{Common, NetworkArgs, Selection, World};
use crate::artifacts::{IMAGES, Image};
use crate::cache::Cache;
use crate::config::Config;
use crate::finding::failure;
use crate::oci;
use crate::plan::{ImagePlan, Mode, Part, Plan, Skip};
use crate::project::Project;
use crate::reference::{Above, Location, Reference, Stored, Tag};
use crate::registry::{Naming, Registry};
use crate::release::{self, ImagesIn, Published, Source};
use crate::sink::{self, Engine, Sink};
use crate::target::Platform;
use crate::term;

mod bases;
mod places;

pub use places::{opened, with_registry};

/// Make container images of the static binaries, without Docker and without a network
///
/// The image is written to dist/images as an OCI layout, unless --push, --output or --load name
/// another place. The command prints the image's name there with its digest; after a load, the
/// name by which the engine runs it.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo dockless image
  docker run --rm $(cargo dockless image -q --load docker) --version
  cargo dockless image --push --repository ghcr.io/acme
  cargo dockless image --platform linux/arm64 --output docker-archive:mytool.tar
  cargo dockless image validate oci:dist/images/mytool"
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    make: Make,
}

#[derive(Debug, clap::Args)]
struct Make {
    /// Only for this platform, such as linux/arm64; may be repeated
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// Push to the `repositories` of the settings, and move the tags there
    #[arg(long)]
    push: bool,
    /// Attach the SBOMs of what is pushed, as `release` does
    #[arg(long, requires = "push")]
    sbom: bool,
    /// Where to push images without `repositories`: below this, or below DOCKLESS_REPOSITORY
    #[arg(long, value_name = "REPOSITORY", value_parser = above)]
    repository: Option<Above>,
    /// What the one image is called, in place of `repositories` and `tags`; may be repeated
    #[arg(long, value_name = "REFERENCE", value_parser = named, conflicts_with = "repository")]
    name: Vec<Reference>,
    /// Write to oci:DIR, oci-archive:FILE or docker-archive:FILE; may be repeated
    #[arg(short, long, value_name = "SINK", value_parser = stored_name)]
    output: Vec<Stored>,
    /// Load it into this engine, or over ssh: ssh://[USER@]HOST[:PORT][/ENGINE]; may be repeated
    #[arg(long, value_name = "ENGINE", value_parser = Engines)]
    load: Vec<Engine>,
    /// Write the current digests of bases in registries to dockless.lock
    #[arg(long)]
    update_base: bool,
    /// Neither read nor write cached layers
    #[arg(long)]
    no_cache: bool,
    /// Print the plan and make nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Validate(places::Validate),
    Inspect(places::Inspect),
    Copy(Box<places::Copy>),
}

/// Takes an image's name where the image is in a folder or a file.
fn stored_name(text: &str) -> Result<Stored> {
    let what = || "name it as oci:DIR, oci-archive:FILE or docker-archive:FILE";
    Stored::parse(text).unwrap_or_else(|| bail!("{text:?} is no folder or file: {}", what()))
}

/// Takes what repositories are below. clap shows an error without its causes.
pub fn above(text: &str) -> Result<Above> {
    Above::parse(text).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// Takes what an image is to be called.
fn named(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// Takes any place of an image. A file or a layout that is there is read as such: no registry has
/// to be asked for it.
pub fn location(text: &str) -> Result<Location> {
    if let Some(form) = oci::form_of(Path::new(text)) {
        return Ok(Location::Stored(Stored::at(form, Path::new(text))));
    }
    Location::parse(text).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// One image, for `--json`.
#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    digest: String,
    /// By which it is found, in each place that it was written to.
    references: Vec<String>,
    platforms: Vec<&'a Platform>,
    /// What its blobs take together, in bytes.
    size: u64,
    /// What became of it in each registry.
    pushed: Vec<Published>,
    /// How long cargo took, in seconds: not this program's time.
    cargo: f64,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    match args.action {
        Some(Action::Validate(args)) => places::validate(args, common, world),
        Some(Action::Inspect(args)) => places::inspect(args, common, world),
        Some(Action::Copy(args)) => places::copy(*args, common, world),
        None => make(&args.make, common, world),
    }
}

fn make(args: &Make, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = args.selection.request(Mode::Snapshot, Part::Images, common);
    request.select.platforms = args.platform.clone();
    request.publish.repository = world.repository(args.repository.as_ref())?;
    request.publish.has_key = world.has_key();
    let sinks = sinks(args, world)?;
    let in_dist = sinks.is_empty() && !args.push;
    request.select.skip = skipped_steps(args, in_dist);
    if args.update_base {
        bases::update(&request.select, &args.network, common, world)?;
    }
    let (project, mut plan, config) = world.plan(common, &request)?;
    one_each(&sinks, &plan.images)?;
    rename(&mut plan.images, &args.name)?;
    if args.dry_run {
        let images_in = if in_dist { ImagesIn::Dist } else { ImagesIn::Elsewhere };
        release::dry_run(&plan, None, images_in, &world.term)?;
        return Ok(ExitCode::SUCCESS);
    }
    let uncached = Cache::none();
    let cache = if args.no_cache { &uncached } else { &world.cache };
    let http = world.http(&config.network, &args.network, common);
    let blobs = cache.blobs()?;
    let registry = world.registry(&http, &blobs, &config.network);
    let registry = &registry;
    let work = Work { args, project, plan, config, sinks, in_dist, cache, registry };
    if args.push { registry.ahead(|| work.put(common, world)) } else { work.put(common, world) }
}

/// What is to be made and put somewhere.
struct Work<'a> {
    args: &'a Make,
    project: Project,
    plan: Plan,
    config: Config,
    sinks: Vec<Sink>,
    in_dist: bool,
    cache: &'a Cache,
    registry: &'a Registry<'a>,
}

impl Work<'_> {
    fn put(&self, common: &Common, world: &World) -> Result<ExitCode> {
        let Work { args, project, plan, config, sinks, in_dist, cache, registry } = self;
        look_ahead(args, plan, project, registry, cache, world)?;
        let key =
            if args.push && plan.sign.is_some() { world.private_key(&config.sign)? } else { None };
        let (network, term) = (common.network(), &world.term);
        let dist = in_dist.then_some(&*plan.dist);
        let locks = dist.map(|_| release::lock(project, term)).transpose()?;
        let made = if let Some(locks) = &locks {
            let source = Source::Cargo(network);
            let made = release::make(plan, project, &source, cache, registry, locks, term)?;
            release::finish(made, plan, project, None, term)?
        } else {
            release::images_alone(plan, project, network, cache, registry, term)?
        };
        let images: Vec<(&Image, Vec<Published>)> = if args.push {
            // What refers to an image follows its manifest.
            let own = if args.sbom || key.is_some() { Naming::ByDigest } else { Naming::WithTag };
            let pushed = release::push_images(&made, own, registry)?;
            let sboms: Vec<_> = made.sboms().collect();
            release::attach_sboms(&pushed, &sboms, registry, term)?;
            if let Some(key) = &key {
                let statements: Vec<_> = made.statements().collect();
                let legacy = config.sign.legacy;
                release::sign_images(&pushed, &statements, key, legacy, registry, term)?;
            }
            release::remember_pushed(&pushed, cache)?;
            release::tag_images(&pushed, registry, term)?
        } else {
            made.images().map(|image| (image, Vec::new())).collect()
        };
        let table = release::published_table(images.iter().flat_map(|(_, pushed)| pushed));
        let mut printed = Vec::new();
        for (image, pushed) in images {
            let mut references: Vec<String> =
                pushed.iter().map(|it| it.reference.clone()).collect();
            references.extend(stored(image, sinks, dist, registry, world)?);
            let plan = &image.plan;
            printed.push(Made {
                name: &plan.name,
                digest: image.root.digest().to_string(),
                references,
                platforms: plan.platforms.iter().map(|it| &it.platform).collect(),
                size: image.root.size(),
                pushed,
                cargo: made.cargo.as_secs_f64(),
            });
        }
        made.show(term);
        world.summary(&made.markdown())?;
        if args.push {
            term.table(&table);
            world.summary(&table.markdown("Pushed"))?;
            skipped(&[], Signed::of(key.as_ref()), world)?;
        }
        term.results(
            &term::list("images", &printed),
            printed.iter().flat_map(|image| &image.references),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What is not made: dist/ has SBOMs, and a statement only of a whole release; what is pushed has
/// the SBOMs that were asked for, and a statement for who signs.
fn skipped_steps(args: &Make, in_dist: bool) -> Vec<Skip> {
    let mut skip = Vec::new();
    if !in_dist && !args.sbom {
        skip.push(Skip::Sbom);
    }
    if !args.push {
        skip.push(Skip::Provenance);
    }
    skip
}

/// Where images go beside registries.
fn sinks(args: &Make, world: &World) -> Result<Vec<Sink>> {
    let stored = args.output.iter().cloned().map(Location::Stored);
    let stored = stored.map(|location| sink_of(&location, &world.dir));
    stored.chain(args.load.iter().map(|engine| Ok(Sink::Engine(engine.clone())))).collect()
}

/// Fails before anything is compiled for what would fail at the end.
fn look_ahead(
    args: &Make,
    plan: &Plan,
    project: &Project,
    registry: &Registry<'_>,
    cache: &Cache,
    world: &World,
) -> Result<()> {
    release::probe(&args.load, &world.hosts, &world.env, &world.term)?;
    if args.push { release::ensure_pushable(plan, project, registry, cache) } else { Ok(()) }
}

/// Writes an image to the sinks; by what it returns it is found there and in `dist`, where
/// it was put there.
fn stored(
    image: &Image,
    sinks: &[Sink],
    dist: Option<&Path>,
    registry: &Registry<'_>,
    world: &World,
) -> Result<Vec<String>> {
    let Image { plan, root, .. } = image;
    let mut references = Vec::new();
    for sink in sinks {
        let World { hosts, env, term, .. } = world;
        let stored = sink::store(root, &plan.names, sink, registry, hosts, env, term)?;
        references.push(stored);
    }
    if let Some(dist) = dist {
        let dir = dist.join(IMAGES).join(&plan.name);
        references.push(format!("oci:{}@{}", dir.display(), root.digest()));
    }
    Ok(references)
}

/// Where an image is to be written; its names are not those of the place.
fn sink_of(location: &Location, dir: &Path) -> Result<Sink> {
    if let Location::Stored(stored) = location
        && (stored.tag.is_some() || stored.digest.is_some())
    {
        bail!(failure(
            format!("{stored} names a tag or a digest, and an image brings its own"),
            "leave it out; see `tags` in [package.metadata.dockless.image]",
        ));
    }
    Ok(Sink::at(&location.clone().anchored(dir)))
}

/// Gives the image the names that the command line has, where it has any.
fn rename(images: &mut [ImagePlan], names: &[Reference]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    if let Some(name) = names.iter().find(|name| name.digest.is_some()) {
        bail!(failure(format!("{name} names a digest, and an image has its own"), "leave it out"));
    }
    let [image] = images else {
        let all: Vec<&str> = images.iter().map(|image| &*image.name).collect();
        bail!(failure(
            format!("--name names one image, and there are those of {}", all.join(", ")),
            "name one package with --package",
        ));
    };
    let latest = Tag::parse("latest")?;
    let named = |name: &Reference| name.repository.tagged(name.tag.as_ref().unwrap_or(&latest));
    image.names = names.iter().map(named).collect();
    Ok(())
}

/// A file or a folder holds one image's tags: two images would be one there.
fn one_each(sinks: &[Sink], images: &[ImagePlan]) -> Result<()> {
    let files = sinks.iter().any(|sink| !matches!(sink, Sink::Engine(_)));
    if files && images.len() > 1 {
        let names: Vec<&str> = images.iter().map(|image| &*image.name).collect();
        bail!(failure(
            format!("--output names one place, and there are images of {}", names.join(", ")),
            "name one package with --package",
        ));
    }
    Ok(())
}
