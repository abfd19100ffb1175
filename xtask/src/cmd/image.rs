use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use super::{Common, Selection, World};
use crate::cache::Cache;
use crate::checksum::IMAGES;
use crate::digest::Digest;
use crate::files::explain_space;
use crate::finding::{Finding, Findings, Severity, failure};
use crate::oci::{self, Built, Found};
use crate::plan::{ImagePlan, Mode, Part};
use crate::reference::{Reference, Stored, Tag};
use crate::release;
use crate::sink::{self, Engine, Sink};
use crate::target::Platform;

/// Make container images of the static binaries, without Docker and without a network
///
/// The image goes into dist/images, as an OCI layout, unless --output or --load say
/// where. What is printed is the image's name there, with its digest; after a load it
/// is what the engine runs it by.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo dockless image
  docker run --rm $(cargo dockless image -q --load docker) --version
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
    /// Write to oci:DIR, oci-archive:FILE or docker-archive:FILE; may be repeated
    #[arg(short, long, value_name = "SINK", value_parser = stored)]
    output: Vec<Stored>,
    /// Hand it over to this engine; may be repeated
    #[arg(long, value_name = "ENGINE")]
    load: Vec<Engine>,
    /// Use no layer made before, and keep none
    #[arg(long)]
    no_cache: bool,
    /// Print the plan and make nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Validate(Validate),
    Inspect(Inspect),
    Copy(Copy),
}

/// Recompute every digest, size, diff ID and platform of an image
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless image validate oci:dist/images/mytool
  cargo dockless image validate docker-archive:mytool.tar")]
struct Validate {
    /// oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE
    #[arg(value_parser = stored)]
    image: Stored,
}

/// Say what an image holds, as JSON
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless image inspect oci:dist/images/mytool")]
struct Inspect {
    /// oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE
    #[arg(value_parser = stored)]
    image: Stored,
}

/// Copy an image, with all its platforms, from one place to another
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless image copy oci:dist/images/mytool oci-archive:mytool.tar
  cargo dockless image copy docker-archive:base.tar oci:base --name acme/base:1.0")]
struct Copy {
    /// oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE
    #[arg(value_parser = stored)]
    from: Stored,
    /// oci:DIR, oci-archive:FILE or docker-archive:FILE
    #[arg(value_parser = stored)]
    to: Stored,
    /// What the copy is called, instead of what it was; may be repeated
    #[arg(long, value_name = "REFERENCE", value_parser = named)]
    name: Vec<Reference>,
}

/// Takes an image's name where the image is in a folder or a file.
fn stored(text: &str) -> Result<Stored> {
    let what = || "name it as oci:DIR, oci-archive:FILE or docker-archive:FILE";
    Stored::parse(text).unwrap_or_else(|| bail!("{text:?} is no folder or file: {}", what()))
}

/// Takes what an image is to be called. clap shows an error without its causes.
fn named(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| anyhow::anyhow!("{error:#}"))
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
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    match args.action {
        Some(Action::Validate(args)) => validate(args, world),
        Some(Action::Inspect(args)) => inspect(args, world),
        Some(Action::Copy(args)) => copy(args, world),
        None => make(args.make, common, world),
    }
}

fn make(args: Make, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = args.selection.request(Mode::Snapshot, common);
    (request.part, request.platforms) = (Part::Images, args.platform);
    let sinks: Vec<Sink> = args
        .output
        .into_iter()
        .map(|stored| sink_of(stored, &world.dir))
        .chain(args.load.iter().map(|engine| Ok(Sink::Engine(*engine))))
        .collect::<Result<_>>()?;
    let (project, plan) = world.plan(common, &request)?;
    one_each(&sinks, &plan.images)?;
    if args.dry_run {
        return super::release::dry_run(&plan, &world.term);
    }
    // An engine that is not there is known before anything is compiled.
    for engine in &args.load {
        engine.probe(&world.env)?;
    }
    let uncached = Cache::none();
    let cache = if args.no_cache { &uncached } else { &world.cache };
    let made = match sinks.is_empty() {
        true => release::release(&plan, &project, common.offline, cache, &world.term)?,
        false => release::images_alone(&plan, &project, common.offline, cache, &world.term)?,
    };
    let mut printed = Vec::new();
    for Built { plan: image, root } in &made.images {
        let mut references = Vec::new();
        for sink in &sinks {
            let stored = sink::store(root, &image.names, sink, &world.env, &world.term);
            references.push(stored.map_err(explain_space)?);
        }
        if sinks.is_empty() {
            let dir = plan.dist.join(IMAGES).join(&image.name);
            references.push(format!("oci:{}@{}", dir.display(), root.digest()?));
        }
        printed.push(Made {
            name: &image.name,
            digest: root.digest()?.to_string(),
            references,
            platforms: image.platforms.iter().map(|it| &it.platform).collect(),
            size: root.size()?,
        });
    }
    made.show(&world.term);
    world.summary(&made.markdown())?;
    if world.term.json_wanted() {
        world.term.json(&printed)?;
    } else {
        let mut references = printed.iter().flat_map(|image| &image.references);
        references.try_for_each(|reference| world.term.result(reference))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where an image is to be written; its names are not those of the place.
fn sink_of(stored: Stored, dir: &Path) -> Result<Sink> {
    if stored.tag.is_some() || stored.digest.is_some() {
        bail!(failure(
            format!("{stored} names a tag or a digest, and an image brings its own"),
            "leave it out; see `tags` in [package.metadata.dockless.image]",
        ));
    }
    Ok(Sink::of(&stored.anchored(dir)))
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

fn validate(args: Validate, world: &World) -> Result<ExitCode> {
    let root = oci::open(&args.image.clone().anchored(&world.dir))?.root;
    world.term.step("validate", &args.image);
    let findings = oci::validate(&root);
    if world.term.json_wanted() {
        world.term.json(&findings)?;
    }
    let (wrong, odd): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    odd.iter().for_each(|finding| world.term.finding(finding));
    if !wrong.is_empty() {
        return Err(Findings(wrong).into());
    }
    if !world.term.json_wanted() {
        world.term.result(root.digest()?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect(args: Inspect, world: &World) -> Result<ExitCode> {
    let Found { root, names } = oci::open(&args.image.anchored(&world.dir))?;
    let images = root.images().into_iter().map(|(platform, image)| {
        let layers = image.layers.iter().map(|layer| {
            json!({
                "digest": layer.descriptor.digest().to_string(),
                "diffId": layer.diff_id,
                "mediaType": layer.descriptor.media_type().to_string(),
                "size": layer.descriptor.size(),
            })
        });
        let config: serde_json::Value = oci::parse(&image.config.bytes, "the config")?;
        Ok(json!({
            "platform": platform.cloned().map_or_else(|| image.platform(), Ok)?,
            "digest": image.manifest.digest()?,
            "layers": layers.collect::<Vec<_>>(),
            "config": config,
        }))
    });
    world.term.json(&json!({
        "digest": root.digest()?,
        "names": names,
        "size": root.size()?,
        "images": images.collect::<Result<Vec<_>>>()?,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// The names that a copy is given, each with a tag, and with no digest but its own.
fn checked(names: Vec<Reference>, digest: &Digest) -> Result<Vec<Reference>> {
    let checked = names.into_iter().map(|name| {
        if name.digest.as_ref().is_some_and(|named| named != digest) {
            bail!(failure(
                format!("{name} names another image: this one is {digest}"),
                "leave the digest out of --name",
            ));
        }
        let tag = name.tag.map_or_else(|| Tag::parse("latest"), Ok)?;
        Ok(name.repository.tagged(&tag))
    });
    checked.collect()
}

fn copy(args: Copy, world: &World) -> Result<ExitCode> {
    let sink = sink_of(args.to, &world.dir)?;
    let Found { root, names } = oci::open(&args.from.anchored(&world.dir))?;
    let names = if args.name.is_empty() { names } else { checked(args.name, &root.digest()?)? };
    let stored = sink::store(&root, &names, &sink, &world.env, &world.term);
    world.term.result(stored.map_err(explain_space)?)?;
    Ok(ExitCode::SUCCESS)
}
