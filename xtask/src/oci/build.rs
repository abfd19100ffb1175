//! Images made of a base, files and binaries, each a layer of its own.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use jiff::Timestamp;
use oci_spec::image::{
    Arch, Config, Descriptor, History, ImageConfiguration, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, Os, PlatformBuilder, RootFs,
};

use super::base_tree::{self, Tree};
use super::entry::{Content, Entry};
use super::layer::layer;
use super::tape::Member;
use super::tree::{self, Wish};
use super::{Found, Image, Index, Layer, Raw, Root, media, rootfs, validate};
use crate::cache::{Blobs, Cache};
use crate::config;
use crate::digest::{self, Digest};
use crate::finding::{Finding, Findings, Severity};
use crate::linkage::Binary;
use crate::parallel;
use crate::plan::{ImagePlan, ImagePlatform};
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
        images: BTreeMap<Platform, BaseImage>,
    },
}

/// An image that was made of a plan.
#[derive(Clone, Debug)]
pub struct Built {
    pub plan: ImagePlan,
    pub root: Root,
}

/// The image of a base for one platform, and the tree that its layers come to.
#[derive(Clone, Debug)]
pub struct BaseImage {
    image: Image,
    tree: Tree,
}

/// Finds the plan's base where it is no registry's.
pub fn base(plan: &ImagePlan, cache: &Cache, term: &Term) -> Result<Base> {
    let stored = match &plan.base {
        config::Base::Builtin => return Ok(Base::Builtin),
        config::Base::Scratch => return Ok(Base::Scratch),
        config::Base::Named(reference) => bail!("{reference} is in a registry"),
        config::Base::Stored(stored) => stored,
    };
    let context = || format!("read the base {stored} of {}", plan.package);
    let found = super::open(stored, &platforms(plan)).with_context(context)?;
    on(plan, found, &|root| Ok(root.clone()), cache, term).with_context(context)
}

/// What was found, as the plan's base: an image for each of its platforms. `fetch` returns
/// an image with its layers at hand: they are read once for each digest. Fails where the
/// plan's files and programs have no place on it, before anything is made of them.
pub fn on(
    plan: &ImagePlan,
    found: Found,
    fetch: &dyn Fn(&Root) -> Result<Root>,
    cache: &Cache,
    term: &Term,
) -> Result<Base> {
    let Found { root, mut names } = found;
    let images = platforms(plan).into_iter().map(|platform| {
        let image = root.narrow(&platform)?;
        let tree = tree_of(&image, &platform, fetch, cache, term)?;
        tree::check(plan, &tree)?;
        Ok((platform, BaseImage { image, tree }))
    });
    let images = images.collect::<Result<_>>()?;
    let name = (!names.is_empty()).then(|| names.remove(0));
    Ok(Base::Stored { digest: root.digest()?, name, images })
}

fn platforms(plan: &ImagePlan) -> Vec<Platform> {
    plan.platforms.iter().map(|it| it.platform.clone()).collect()
}

/// The tree of a base's image, as it was found before, or by reading its layers: it is
/// foreign, and so checked in the same pass. Fails where the image is not what it says.
fn tree_of(
    image: &Image,
    platform: &Platform,
    fetch: &dyn Fn(&Root) -> Result<Root>,
    cache: &Cache,
    term: &Term,
) -> Result<Tree> {
    let digest = image.manifest.digest()?.hex();
    let parts = ["tree", base_tree::FORMAT, &digest, &platform.to_string()];
    let key = digest::of_parts(parts.iter().map(|part| part.as_bytes()));
    if let Some(tree) = base_tree::kept(cache, &key)? {
        return Ok(tree);
    }
    let Root::Image(image) = fetch(&Root::Image(Box::new(image.clone())))? else {
        bail!("what was fetched of {digest} is no image");
    };
    let mut tree = Tree::default();
    let mut each = |layer, member: &Member| tree.apply(member, layer);
    let findings = validate::image(&image, Some(platform), &mut each);
    let (mut wrong, odd): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(wrong);
    if !wrong.is_empty() {
        // Elsewhere it is a warning that a layer was not looked into.
        wrong.iter_mut().for_each(|finding| finding.severity = Severity::Error);
        return Err(Findings(wrong).into());
    }
    odd.iter().for_each(|finding| term.finding(finding));
    base_tree::keep(&tree, cache, &key)?;
    Ok(tree)
}

impl Base {
    /// What the base of others holds, for each platform.
    pub fn trees(&self) -> Vec<&Tree> {
        match self {
            Base::Builtin | Base::Scratch => Vec::new(),
            Base::Stored { images, .. } => images.values().map(|of| &of.tree).collect(),
        }
    }

    /// The entries of a base that is made here.
    fn entries(&self) -> Vec<Entry> {
        match self {
            Base::Builtin => rootfs::entries(),
            Base::Scratch | Base::Stored { .. } => Vec::new(),
        }
    }
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
    let wishes = tree::wishes(plan, &Content::of)?;
    let entries = base.entries();
    let own = Tree::of(&entries);
    let mut recipes = Recipes::default();
    let lowest = recipes.add(entries);
    let mut layers = Vec::new();
    for platform in &plan.platforms {
        let tree = match base {
            Base::Stored { images, .. } => &of(images, &platform.platform)?.tree,
            Base::Builtin | Base::Scratch => &own,
        };
        let lower = tree::lower(plan, tree, &wishes)?;
        let programs = lower.with(programs(plan, platform, binaries)?)?;
        let (files, programs) = (recipes.add(lower.into_files()), recipes.add(programs));
        layers.push([("base", lowest), ("files", files), ("programs", programs)]);
    }
    let made = parallel::map(&recipes.0, LAYERS_AT_A_TIME, |entries| {
        (!entries.is_empty()).then(|| layer(entries, cache, blobs, bar)).transpose()
    })?;
    let making = Making { plan, base, time, provenance: provenance(base) };
    let mut images = Vec::new();
    for (platform, layers) in plan.platforms.iter().zip(layers) {
        let own = layers.iter().filter_map(|(name, at)| Some((*name, made[*at].clone()?)));
        let image = making.image(&platform.platform, own.collect())?;
        images.push((platform.platform.clone(), image));
    }
    match images.len() {
        0 => bail!("the image of {} has no platform", plan.package),
        1 => Ok(Root::Image(Box::new(images.remove(0).1))),
        _ => making.index(images).map(|index| Root::Index(Box::new(index))),
    }
}

/// What layers are made of, each kind once: platforms share what is the same for them.
#[derive(Default)]
struct Recipes(Vec<Vec<Entry>>);

impl Recipes {
    /// Where the layer of these entries is.
    fn add(&mut self, entries: Vec<Entry>) -> usize {
        let at = self.0.iter().position(|other| *other == entries);
        at.unwrap_or_else(|| {
            self.0.push(entries);
            self.0.len() - 1
        })
    }
}

/// The binaries of a platform, where they are to lie.
fn programs(plan: &ImagePlan, platform: &ImagePlatform, binaries: &[Binary]) -> Result<Vec<Wish>> {
    let programs = plan.bins.iter().map(|bin| {
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
        Ok(tree::program(bin, content))
    });
    programs.collect()
}

fn of<'a>(images: &'a BTreeMap<Platform, BaseImage>, of: &Platform) -> Result<&'a BaseImage> {
    images.get(of).with_context(|| format!("find the base for {of}"))
}

impl Making<'_> {
    /// The image for one platform: the base's layers with ours, named, on top.
    fn image(&self, platform: &Platform, own: Vec<(&str, Layer)>) -> Result<Image> {
        let below = match self.base {
            Base::Stored { images, .. } => Some(&of(images, platform)?.image),
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

/// Whether an image cannot stand on a base of which this is found: what is in it has to be
/// known.
fn wrong(found: &Finding) -> bool {
    found.severity == Severity::Error || found.rule == validate::NOT_CHECKED
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
