//! Images wherever they are: looked into, and copied.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::super::engines::Engines;
use super::{Common, NetworkArgs, World, location, named, sink_of};
use crate::cache::Cache;
use crate::config::NetworkConfig;
use crate::digest::Digest;
use crate::finding::failure;
use crate::oci::{self, FoundImage, Image, Root};
use crate::reference::{Location, Reference, Tag};
use crate::registry::Registry;
use crate::release;
use crate::sink::{self, Engine, Sink};
use crate::target::Platform;
use crate::term::{self, Table};

/// Recompute every digest, size, diff ID and platform of an image
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless image validate oci:dist/images/mytool
  cargo dockless image validate ghcr.io/acme/mytool:1.0.0
  cargo dockless image validate docker-archive:mytool.tar")]
pub struct Validate {
    /// A name in a registry, or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE
    #[arg(value_parser = location)]
    image: Location,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Show what an image contains and how it runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless image inspect gcr.io/distroless/static-debian13:nonroot
  cargo dockless image inspect --json oci:dist/images/mytool")]
pub struct Inspect {
    /// A name in a registry, or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE
    #[arg(value_parser = location)]
    image: Location,
    /// List signatures, SBOMs and everything else that refers to it in a registry
    #[arg(long)]
    referrers: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Copy an image, with all its platforms, from one place to another
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless image copy ghcr.io/acme/mytool:1.0.0 registry.internal/mytool:1.0.0
  cargo dockless image copy oci:dist/images/mytool oci-archive:mytool.tar
  cargo dockless image copy docker-archive:base.tar oci:base --name acme/base:1.0
  cargo dockless image copy alpine:3 --load podman")]
pub struct Copy {
    /// A name in a registry, or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE
    #[arg(value_parser = location)]
    from: Location,
    /// A name in a registry, or oci:DIR, oci-archive:FILE, docker-archive:FILE
    #[arg(value_parser = location, required_unless_present = "load")]
    to: Option<Location>,
    /// Load it into this engine, or over ssh: ssh://[USER@]HOST[:PORT][/ENGINE]
    #[arg(long, value_name = "ENGINE", value_parser = Engines, conflicts_with = "to")]
    load: Option<Engine>,
    /// Only the image for this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Between registries, also copy signatures, SBOMs and everything else that refers to it
    #[arg(long, conflicts_with = "platform")]
    referrers: bool,
    /// The name of the copy, instead of the old one; may be repeated
    #[arg(long, value_name = "REFERENCE", value_parser = named)]
    name: Vec<Reference>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Calls `work` with registries, as the settings say to speak with them, where one of
/// the places is in one.
pub fn with_registry<T>(
    places: &[&Location],
    cache: &Cache,
    more: &NetworkArgs,
    common: &Common,
    world: &World,
    work: impl FnOnce(&Registry<'_>) -> Result<T>,
) -> Result<T> {
    let reached = places.iter().any(|place| matches!(place, Location::Registry(_)));
    let network = if reached { world.network_config(common)? } else { NetworkConfig::default() };
    let http = world.http(&network, more, common);
    let blobs = cache.blobs()?;
    work(&world.registry(&http, &blobs, &network))
}

/// What is at a place. Layers that are in a registry stay there.
pub fn opened(
    place: &Location,
    only: &[Platform],
    registry: &Registry<'_>,
    world: &World,
) -> Result<FoundImage> {
    match place.clone().anchored(&world.dir) {
        Location::Stored(stored) => oci::open(&stored, only),
        Location::Registry(reference) => registry.pull(&reference, only),
    }
}

pub fn validate(args: Validate, common: &Common, world: &World) -> Result<ExitCode> {
    // The registry is validated, and not what the cache has of it.
    with_registry(&[&args.image], &Cache::none(), &args.network, common, world, |registry| {
        let root = opened(&args.image, &[], registry, world)?.root;
        let root = registry.fetch(&root)?;
        world.term.step("validate", &args.image);
        let findings = oci::validate(&root);
        world.term.json(&term::list("findings", &findings))?;
        world.term.verdict(findings)?;
        if !world.term.json_wanted() {
            world.term.result(root.digest())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub fn inspect(args: Inspect, common: &Common, world: &World) -> Result<ExitCode> {
    with_registry(&[&args.image], &world.cache, &args.network, common, world, |registry| {
        let found = opened(&args.image, &[], registry, world)?;
        let referrers = match (&args.image, args.referrers) {
            (Location::Registry(of), true) => {
                Some(registry.referrers(&of.repository, &found.root.digest())?)
            }
            (Location::Stored(stored), true) => {
                bail!("{stored} lists no referrers: a registry does")
            }
            (_, false) => None,
        };
        if world.term.json_wanted() {
            let mut described = described(&found)?;
            if let Some(referrers) = referrers {
                described["referrers"] = json!(referrers);
            }
            world.term.json(&described)?;
            return Ok(ExitCode::SUCCESS);
        }
        show(&found, world)?;
        if let Some(referrers) = referrers {
            let mut table = Table::new(&["referrer", "type"]);
            for of in referrers {
                let kind = of.other.get("artifactType").and_then(Value::as_str);
                table.row([of.digest.to_string(), term::tame(kind.unwrap_or_default())]);
            }
            world.term.result("")?;
            world.term.result_table(&table)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn described(found: &FoundImage) -> Result<Value> {
    let FoundImage { root, names } = found;
    let images = root.images().into_iter().map(|(platform, image)| {
        let layers = image.layers.iter().map(|layer| {
            json!({
                "digest": layer.descriptor.digest,
                "diffId": layer.diff_id,
                "mediaType": layer.descriptor.media_type,
                "size": layer.descriptor.size,
            })
        });
        let config: Value = oci::parse(&image.config.bytes, "the config")?;
        Ok(json!({
            "platform": runs_on(platform, image)?,
            "digest": image.manifest.digest(),
            "layers": layers.collect::<Vec<_>>(),
            "config": config,
        }))
    });
    Ok(json!({
        "digest": root.digest(),
        "names": names,
        "size": root.size(),
        "images": images.collect::<Result<Vec<_>>>()?,
    }))
}

/// The same for people: what is most asked for.
fn show(found: &FoundImage, world: &World) -> Result<()> {
    let FoundImage { root, names } = found;
    let names: Vec<String> = names.iter().map(Reference::familiar).collect();
    let mut about = Table::new(&["image", ""]);
    about.row(["digest".to_owned(), root.digest().to_string()]);
    if !names.is_empty() {
        about.row(["names".to_owned(), names.join(", ")]);
    }
    about.row(["size".to_owned(), term::size(root.size())]);
    world.term.result_table(&about)?;
    for (platform, image) in root.images() {
        let platform = runs_on(platform, image)?;
        world.term.result("")?;
        world.term.result_table(&of_one(platform.as_ref(), image)?)?;
    }
    Ok(())
}

/// What an image runs on, as its index or it itself says; `None` for an artifact.
fn runs_on(named: Option<&Platform>, image: &Image) -> Result<Option<Platform>> {
    match named {
        Some(named) => Ok(Some(named.clone())),
        None if image.is_artifact() => Ok(None),
        None => image.platform().map(Some),
    }
}

fn of_one(platform: Option<&Platform>, image: &Image) -> Result<Table> {
    let mut table = Table::new(&["platform", ""]);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([name.to_owned(), term::tame(&value)]);
        }
    };
    row("name", platform.map_or_else(|| "an artifact".to_owned(), Platform::to_string));
    row("digest", image.manifest.digest().to_string());
    if let Ok(parsed) = image.parsed() {
        let config = parsed.config.unwrap_or_default();
        row("created", parsed.created.unwrap_or_default());
        row("user", config.user.unwrap_or_default());
        row("entrypoint", config.entrypoint.unwrap_or_default().join(" "));
        row("cmd", config.cmd.unwrap_or_default().join(" "));
        row("workdir", config.working_dir.unwrap_or_default());
        row("ports", config.exposed_ports.join(", "));
        config.env.unwrap_or_default().into_iter().for_each(|env| row("env", env));
        let labels = config.labels.unwrap_or_default();
        labels.into_iter().for_each(|(name, value)| row("label", format!("{name}={value}")));
    }
    for layer in &image.layers {
        let (digest, size) = (layer.descriptor.digest, term::size(layer.descriptor.size));
        row("layer", format!("{digest}  {size}"));
    }
    Ok(table)
}

pub fn copy(args: Copy, common: &Common, world: &World) -> Result<ExitCode> {
    let (sink, target) = match (&args.to, &args.load) {
        (_, Some(engine)) => {
            engine.probe(&world.hosts, &world.env, &world.term)?;
            (Sink::Engine(engine.clone()), None)
        }
        (Some(to), None) => {
            if let Location::Registry(reference) = to {
                let fix =
                    "name a place such as ghcr.io/acme/app:1.0, or a file as oci-archive:FILE";
                release::ensure_named(&reference.repository, fix)?;
            }
            (sink_of(to, &world.dir)?, Some(to))
        }
        (None, None) => bail!("no place to copy to is named"),
    };
    let places: Vec<&Location> = [Some(&args.from), target].into_iter().flatten().collect();
    with_registry(&places, &world.cache, &args.network, common, world, |registry| {
        let only: Vec<Platform> = args.platform.iter().cloned().collect();
        let FoundImage { root, names } = opened(&args.from, &only, registry, world)?;
        let root = match &args.platform {
            Some(platform) => Root::Image(Box::new(root.narrow(platform)?)),
            None => root,
        };
        let digest = root.digest();
        let names = match (target, args.name.is_empty()) {
            (Some(Location::Registry(to)), true) => checked(vec![to.clone()], &digest)?,
            (_, true) => names,
            (_, false) => checked(args.name.clone(), &digest)?,
        };
        if let Some(Location::Registry(to)) = target
            && let Some(other) = names.iter().find(|name| name.repository != to.repository)
        {
            bail!(failure(
                format!("{other} is no name in {}, where the copy goes", to.repository),
                "name the place to copy to so, or leave --name out",
            ));
        }
        let World { hosts, env, term, .. } = world;
        let stored = sink::store(&root, &names, &sink, registry, hosts, env, term)?;
        if args.referrers {
            let (Location::Registry(from), Some(Location::Registry(to))) = (&args.from, target)
            else {
                bail!("--referrers copies between registries, and one of the places is none");
            };
            let mut digests = vec![digest];
            digests.extend(root.images().into_iter().map(|(_, image)| image.manifest.digest()));
            digests.dedup();
            let copied = registry.copy_referrers(&digests, &from.repository, &to.repository)?;
            world.term.step("copy", format_args!("{copied} referrers"));
        }
        world.term.results(&json!({ "copied": stored.to_string() }), [&stored])?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The names that a copy is given, each with a tag, and with no digest but its own.
fn checked(names: Vec<Reference>, digest: &Digest) -> Result<Vec<Reference>> {
    let checked = names.into_iter().map(|name| {
        if name.digest.as_ref().is_some_and(|named| named != digest) {
            bail!(failure(
                format!("{name} names another image: this one is {digest}"),
                "leave the digest out",
            ));
        }
        let tag = match (name.tag, name.digest) {
            // Who names a digest alone, wants no tag.
            (None, Some(_)) => return Ok(name.repository.at(digest)),
            (tag, _) => tag.map_or_else(|| Tag::parse("latest"), Ok)?,
        };
        Ok(name.repository.tagged(&tag))
    });
    checked.collect()
}
