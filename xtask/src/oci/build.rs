//! Images made of a base, files and binaries, each a layer of its own.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use jiff::Timestamp;
use oci_spec::image::{
    Arch, Config, Descriptor, History, ImageConfiguration, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, Os, PlatformBuilder, RootFs,
};

use super::entry::{Content, Entry, Node};
use super::layer::{LAYOUT, layer};
use super::{Found, Image, Index, Layer, Raw, Root, media, rootfs, tree, validate};
use crate::cache::{Blobs, Cache, Kind};
use crate::config;
use crate::digest::{self, Digest};
use crate::finding::{Finding, Findings, Severity};
use crate::linkage::Binary;
use crate::parallel;
use crate::plan::{BIN, ImagePlan, ImagePlatform};
use crate::reference::Reference;
use crate::target::Platform;
use crate::term::Term;

/// How many layers are made at a time: each is compressed on all processors.
const LAYERS_AT_A_TIME: usize = 2;

/// What an image stands on, at hand.
#[derive(Clone, Debug)]
pub enum Base {
    Builtin,
    Scratch,
    /// Each platform's image, checked, the digest of the whole, and its name where one
    /// is known.
    Stored {
        digest: Digest,
        name: Option<Reference>,
        images: BTreeMap<Platform, Image>,
    },
}

/// An image that was made of a plan.
#[derive(Clone, Debug)]
pub struct Built {
    pub plan: ImagePlan,
    pub root: Root,
}

/// Finds the plan's base where it is no registry's. One from a folder or a file is
/// foreign: what of it is used is checked, once for each digest.
pub fn base(plan: &ImagePlan, cache: &Cache, term: &Term) -> Result<Base> {
    let stored = match &plan.base {
        config::Base::Builtin => return Ok(Base::Builtin),
        config::Base::Scratch => return Ok(Base::Scratch),
        config::Base::Named(reference) => bail!("{reference} is in a registry"),
        config::Base::Stored(stored) => stored,
    };
    let context = || format!("read the base {stored} of {}", plan.package);
    let found = super::open(stored, &platforms(plan)).with_context(context)?;
    let base = on(plan, found).with_context(context)?;
    if let Base::Stored { images, .. } = &base {
        images.iter().try_for_each(|(platform, image)| check(image, platform, cache, term))?;
    }
    Ok(base)
}

/// What was found, as the plan's base: an image for each of its platforms.
pub fn on(plan: &ImagePlan, found: Found) -> Result<Base> {
    let Found { root, mut names } = found;
    let images = platforms(plan).into_iter().map(|platform| {
        let image = root.narrow(&platform)?;
        Ok((platform, image))
    });
    let images = images.collect::<Result<_>>()?;
    let name = (!names.is_empty()).then(|| names.remove(0));
    Ok(Base::Stored { digest: root.digest()?, name, images })
}

fn platforms(plan: &ImagePlan) -> Vec<Platform> {
    plan.platforms.iter().map(|it| it.platform.clone()).collect()
}

/// Fails where the image is not what it says, unless it was looked at before.
fn check(image: &Image, platform: &Platform, cache: &Cache, term: &Term) -> Result<()> {
    let digest = image.manifest.digest()?.hex();
    let parts = ["checked", LAYOUT, &digest, &platform.to_string()];
    let key = digest::of_parts(parts.iter().map(|part| part.as_bytes()));
    if cache.get(Kind::Layer, &key, std::io::sink())?.is_some() {
        return Ok(());
    }
    // What nobody looked into is not what an image can stand on.
    let wrong =
        |found: &Finding| found.severity == Severity::Error || found.rule == validate::NOT_CHECKED;
    let (wrong, odd): (Vec<Finding>, Vec<Finding>) =
        validate::image(image, Some(platform)).into_iter().partition(wrong);
    if !wrong.is_empty() {
        return Err(Findings(wrong).into());
    }
    if !odd.is_empty() {
        odd.iter().for_each(|finding| term.finding(finding));
        return Ok(());
    }
    cache.put(Kind::Layer, &key, &Digest::of(b""), std::io::empty())
}

/// An image in the making, and what is said of it in several places.
struct Making<'a> {
    plan: &'a ImagePlan,
    base: &'a Base,
    time: Timestamp,
    /// What is known of the base only once it is at hand.
    provenance: Vec<(String, String)>,
}

/// Makes the image of the plan's binaries and files on the base: an index, or a
/// manifest alone where there is one platform. Layers that were made before come
/// from the cache; `blobs` is where all of them lie. `time` is when it is said to
/// be created; `bar` is moved on by the size of the files.
pub fn build_image(
    plan: &ImagePlan,
    base: &Base,
    binaries: &[Binary],
    time: Timestamp,
    cache: &Cache,
    blobs: &Blobs,
    bar: &ProgressBar,
) -> Result<Root> {
    let lower = tree::lower(plan)?;
    let mut recipes = vec![lower.base.clone(), lower.files.clone()];
    for platform in &plan.platforms {
        recipes.push(programs(plan, platform, binaries, &lower)?);
    }
    let made = parallel::map(&recipes, LAYERS_AT_A_TIME, |entries| {
        (!entries.is_empty()).then(|| layer(entries, cache, blobs, bar)).transpose()
    })?;
    let making = Making { plan, base, time, provenance: provenance(base) };
    let (below, programs) = made.split_at(2);
    let names = ["base", "files"];
    let below = names.iter().zip(below).filter_map(|(name, layer)| Some((*name, layer.clone()?)));
    let below: Vec<(&str, Layer)> = below.collect();
    let mut images = Vec::new();
    for (platform, programs) in plan.platforms.iter().zip(programs) {
        let programs = programs.clone().map(|layer| ("programs", layer));
        let own: Vec<_> = below.iter().cloned().chain(programs).collect();
        images.push((platform.platform.clone(), making.image(&platform.platform, own)?));
    }
    match images.len() {
        0 => bail!("the image of {} has no platform", plan.package),
        1 => Ok(Root::Image(Box::new(images.remove(0).1))),
        _ => making.index(images).map(|index| Root::Index(Box::new(index))),
    }
}

/// The layer that holds the binaries, on top of all others.
fn programs(
    plan: &ImagePlan,
    platform: &ImagePlatform,
    binaries: &[Binary],
    lower: &tree::Lower,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for bin in &plan.bins {
        let made = binaries.iter().find(|binary| {
            let compiled = binary.compiled();
            (compiled.package(), compiled.target(), compiled.bin())
                == (&plan.package, &platform.target, bin)
        });
        let Some(binary) = made else {
            bail!("no binary {bin} of {} was made for {}", plan.package, platform.target);
        };
        let path = binary.compiled().path().to_owned();
        let content = Content::File { path, digest: binary.digest()?, size: binary.size() };
        let path = format!("{BIN}/{bin}");
        entries.push(Entry { path, node: Node::File(content), mode: 0o755, uid: 0, gid: 0 });
    }
    lower.with_parents(entries)
}

impl Making<'_> {
    /// The image for one platform: the base's layers with ours, named, on top.
    fn image(&self, platform: &Platform, own: Vec<(&str, Layer)>) -> Result<Image> {
        let below = match self.base {
            Base::Stored { images, .. } => Some(
                images.get(platform).with_context(|| format!("find the base for {platform}"))?,
            ),
            Base::Builtin | Base::Scratch => None,
        };
        let mut config =
            below.map_or_else(|| Ok(ImageConfiguration::default()), |image| image.parsed())?;
        let mut layers = below.map_or_else(Vec::new, |image| image.layers.clone());
        for layer in &mut layers {
            let media_type = media::oci(layer.descriptor.media_type());
            layer.descriptor.set_media_type(media_type);
        }
        let mut history = config.history().clone().unwrap_or_default();
        let mut told = history.iter().filter(|step| step.empty_layer() != Some(true)).count();
        if told > layers.len() {
            // Docker shows no history of more layers than there are.
            (told, history) = (0, Vec::new());
        }
        history.extend((told..layers.len()).map(|_| step("base", None)));
        history.extend(own.iter().map(|(name, _)| step(name, Some(self.time))));
        layers.extend(own.into_iter().map(|(_, layer)| layer));
        let diff_ids = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        let mut rootfs = RootFs::default();
        rootfs.set_diff_ids(diff_ids);
        let container = self.container(config.config().clone().unwrap_or_default());
        config
            .set_created(Some(self.time.to_string()))
            .set_author(None)
            .set_os(Os::from(&*platform.os))
            .set_architecture(Arch::from(&*platform.architecture))
            .set_variant(platform.variant.clone())
            .set_config(Some(container))
            .set_rootfs(rootfs)
            .set_history(Some(history));
        let config = Raw::of(&config, MediaType::ImageConfig)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor.clone())
            .layers(layers.iter().map(|layer| layer.descriptor.clone()).collect::<Vec<_>>())
            .annotations(self.annotations())
            .build()
            .context("make the manifest")?;
        Ok(Image { manifest: Raw::of(&manifest, MediaType::ImageManifest)?, config, layers })
    }

    /// How containers run, laid over what the base says. Of the base the labels and the
    /// command are left: they speak of another program.
    fn container(&self, mut config: Config) -> Config {
        let ours = &self.plan.config;
        let mut env = config.env().clone().unwrap_or_default();
        let named = |entry: &String| entry.split('=').next().unwrap_or(entry).to_owned();
        let set: Vec<String> = env.iter().map(named).collect();
        let defaults = ours.default_env.iter().filter(|(name, _)| !set.contains(name));
        let variables: BTreeMap<&String, &String> = defaults.chain(&ours.env).collect();
        env.retain(|entry| !variables.contains_key(&named(entry)));
        env.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        let merged = |base: &Option<Vec<String>>, own: &[String]| {
            let mut all: Vec<String> = base.iter().flatten().chain(own).cloned().collect();
            all.sort();
            all.dedup();
            Some(all).filter(|all| !all.is_empty())
        };
        let ports = merged(config.exposed_ports(), &ours.ports);
        let volumes = merged(config.volumes(), &ours.volumes);
        let workdir = ours.workdir.clone().or_else(|| config.working_dir().clone());
        let signal = ours.stop_signal.clone().or_else(|| config.stop_signal().clone());
        let mut labels: HashMap<String, String> = ours.labels.clone().into_iter().collect();
        labels.extend(self.provenance.iter().cloned());
        config
            .set_env(Some(env))
            .set_entrypoint(
                Some(ours.entrypoint.clone()).filter(|entrypoint| !entrypoint.is_empty()),
            )
            .set_cmd(Some(ours.cmd.clone()).filter(|cmd| !cmd.is_empty()))
            .set_user(Some(ours.user.clone()))
            .set_working_dir(workdir)
            .set_exposed_ports(ports)
            .set_volumes(volumes)
            .set_stop_signal(signal)
            .set_labels(Some(labels));
        config
    }

    fn annotations(&self) -> HashMap<String, String> {
        let own = self.plan.config.annotations.clone().into_iter();
        own.chain(self.provenance.iter().cloned()).collect()
    }

    fn index(&self, images: Vec<(Platform, Image)>) -> Result<Index> {
        let manifests = images.iter().map(|(platform, image)| {
            let mut named = PlatformBuilder::default()
                .os(Os::from(&*platform.os))
                .architecture(Arch::from(&*platform.architecture))
                .build()
                .context("name a platform")?;
            named.set_variant(platform.variant.clone());
            let mut descriptor: Descriptor = image.manifest.descriptor.clone();
            descriptor.set_platform(Some(named));
            Ok(descriptor)
        });
        let index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests.collect::<Result<Vec<_>>>()?)
            .annotations(self.annotations())
            .build()
            .context("make the index")?;
        Ok(Index { manifest: Raw::of(&index, MediaType::ImageIndex)?, images })
    }
}

/// One line of what `docker history` shows.
fn step(name: &str, time: Option<Timestamp>) -> History {
    let mut step = History::default();
    step.set_created(time.map(|time| time.to_string()));
    step.set_created_by(Some(format!("dockless: {name}")));
    step
}

/// What is known of the base only once it is at hand.
fn provenance(base: &Base) -> Vec<(String, String)> {
    match base {
        Base::Builtin => rootfs::labels(),
        Base::Scratch => Vec::new(),
        Base::Stored { digest, name, .. } => {
            let key = |key: &str| format!("org.opencontainers.image.base.{key}");
            let name = name.iter().map(|name| (key("name"), name.to_string()));
            name.chain([(key("digest"), digest.to_string())]).collect()
        }
    }
}
