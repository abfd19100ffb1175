//! Images made of a base, files and programs, each in a layer of its own.

use std::collections::BTreeMap;

use super::spec::{Config, MediaType};
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::base_tree::{self, Tree};
use super::descriptor::{Descriptor, RawDescriptor, RawIndex, RawManifest};
use super::entry::{Content, LayerEntry};
use super::layer::{LayerEvent, layer};
use super::tar_reader::TarMember;
use super::tree::{self, Requested};
use super::{FoundImage, Image, Index, Layer, Raw, Root, media, rootfs, validate};
use crate::cache::{Blobs, Cache};
use crate::config;
use crate::digest::{self, Digest};
use crate::finding::{Finding, Findings, Severity};
use crate::linkage::Binaries;
use crate::parallel;
use crate::plan::{ImagePlan, ImagePlatform};
use crate::reference::Reference;
use crate::target::{Platform, Target};
use crate::term::Term;

/// How many layers are made at a time. Each is compressed on all processors.
const LAYERS_AT_A_TIME: usize = 2;

/// The base of an image, read.
#[derive(Clone, Debug)]
pub enum Base {
    Builtin,
    Scratch,
    /// The digest of the whole, its name where it has one, and each platform's image, checked.
    Stored {
        digest: Digest,
        name: Option<Reference>,
        images: BTreeMap<Platform, BaseImage>,
    },
}

/// The image of a base for one platform, and the tree of its layers.
#[derive(Clone, Debug)]
pub struct BaseImage {
    image: Image,
    tree: Tree,
}

/// Reads the plan's base where it is not in a registry.
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

/// Makes the plan's base of an image that was found. `fetch` downloads an image's layers, which
/// are read once for each digest. Fails where the plan's files and programs have no place on
/// the base, before anything is made of them.
pub fn on(
    plan: &ImagePlan,
    found: FoundImage,
    fetch: &dyn Fn(&Root) -> Result<Root>,
    cache: &Cache,
    term: &Term,
) -> Result<Base> {
    let FoundImage { root, mut names } = found;
    let images = platforms(plan).into_iter().map(|platform| {
        let image = root.narrow(&platform)?;
        let tree = tree_of(&image, &platform, fetch, cache, term)?;
        tree::check(plan, &tree)?;
        Ok((platform, BaseImage { image, tree }))
    });
    let images = images.collect::<Result<_>>()?;
    let name = (!names.is_empty()).then(|| names.remove(0));
    Ok(Base::Stored { digest: root.digest(), name, images })
}

fn platforms(plan: &ImagePlan) -> Vec<Platform> {
    plan.platforms.iter().map(|it| it.platform.clone()).collect()
}

/// The tree of a base's image, from the cache or else from its layers, which are checked in
/// the same pass. Fails where the image is not valid.
fn tree_of(
    image: &Image,
    platform: &Platform,
    fetch: &dyn Fn(&Root) -> Result<Root>,
    cache: &Cache,
    term: &Term,
) -> Result<Tree> {
    let digest = image.manifest.digest().hex();
    let parts = ["tree", base_tree::FORMAT, &digest, &platform.to_string()];
    let key = digest::of_parts(parts.iter().map(|part| part.as_bytes()));
    if let Some(tree) = base_tree::kept(cache, &key)? {
        return Ok(tree);
    }
    let Root::Image(image) = fetch(&Root::Image(Box::new(image.clone())))? else {
        bail!("what was fetched of {digest} is not an image");
    };
    let mut tree = Tree::default();
    let mut each = |layer, member: &TarMember| tree.apply(member, layer);
    let findings = validate::image(&image, Some(platform), &mut each);
    let (mut wrong, odd): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(wrong);
    if !wrong.is_empty() {
        // A layer that was not checked is a warning elsewhere.
        wrong.iter_mut().for_each(|finding| finding.severity = Severity::Error);
        return Err(Findings(wrong).into());
    }
    odd.iter().for_each(|finding| term.finding(finding));
    base_tree::keep(&tree, cache, &key)?;
    Ok(tree)
}

impl Base {
    /// The image of a base of others for the platform: the base's name, where it has one, and
    /// the image's digest.
    pub fn foreign(&self, platform: &Platform) -> Option<(Option<&Reference>, Digest)> {
        let Base::Stored { name, images, .. } = self else { return None };
        let image = images.get(platform)?;
        Some((name.as_ref(), image.image.manifest.digest()))
    }

    /// The layers of a base of others.
    pub fn layers(&self) -> impl Iterator<Item = &Descriptor> {
        let images = match self {
            Base::Builtin | Base::Scratch => None,
            Base::Stored { images, .. } => Some(images.values()),
        };
        let layers = images.into_iter().flatten().flat_map(|of| &of.image.layers);
        layers.map(|layer| &layer.descriptor)
    }

    /// The trees of a base of others, one a platform.
    pub fn trees(&self) -> Vec<&Tree> {
        match self {
            Base::Builtin | Base::Scratch => Vec::new(),
            Base::Stored { images, .. } => images.values().map(|of| &of.tree).collect(),
        }
    }
}

/// What all parts of an image are made from.
struct Making<'a> {
    plan: &'a ImagePlan,
    base: &'a Base,
    time: Timestamp,
    /// Labels and annotations about the base.
    provenance: Vec<(String, String)>,
}

/// What was made for an image, and who is told of its layers.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub binaries: &'a Binaries,
    /// The licence texts of the crates in the programs of each target.
    pub licenses: &'a BTreeMap<Target, String>,
    pub tell: &'a (dyn Fn(LayerEvent<'_>) + Sync),
}

/// Makes the image of the plan's programs and files on the base: an index, or a manifest
/// alone for one platform. Layers that were made before come from the cache. All layers are
/// in `blobs`. `time` is the time of creation. `bar` advances by the size of the files.
pub fn build_image(
    plan: &ImagePlan,
    base: &Base,
    parts: Parts<'_>,
    time: Timestamp,
    cache: &Cache,
    blobs: &Blobs,
    bar: &ProgressBar,
) -> Result<Root> {
    let requested = tree::requested(plan, &Content::of)?;
    let entries = match base {
        Base::Builtin => rootfs::entries(),
        Base::Scratch | Base::Stored { .. } => Vec::new(),
    };
    let own = Tree::of(&entries);
    let mut recipes = Recipes::default();
    let lowest = recipes.add(entries);
    let mut layers = Vec::new();
    for platform in &plan.platforms {
        let tree = match base {
            Base::Stored { images, .. } => &of(images, &platform.platform)?.tree,
            Base::Builtin | Base::Scratch => &own,
        };
        let lower = tree::lower(plan, tree, &requested)?;
        let programs = lower.with(programs(plan, platform, parts.binaries)?)?;
        // In a layer of their own they are uploaded again only when the crates change.
        let licenses = lower.with(licenses(plan, platform, parts)?)?;
        let files = recipes.add(lower.into_files());
        let (licenses, programs) = (recipes.add(licenses), recipes.add(programs));
        layers.push([
            ("base", lowest),
            ("files", files),
            ("licenses", licenses),
            ("programs", programs),
        ]);
    }
    let made = parallel::map(&recipes.0, LAYERS_AT_A_TIME, |entries| {
        let layer = || layer(entries, plan.compression, cache, blobs, bar, parts.tell);
        (!entries.is_empty()).then(layer).transpose()
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

/// The entries of all layers, each layer once: platforms share layers that are the same.
#[derive(Default)]
struct Recipes(Vec<Vec<LayerEntry>>);

impl Recipes {
    /// The index of the layer of these entries.
    fn add(&mut self, entries: Vec<LayerEntry>) -> usize {
        let at = self.0.iter().position(|other| *other == entries);
        at.unwrap_or_else(|| {
            self.0.push(entries);
            self.0.len() - 1
        })
    }
}

/// The entries of a platform's programs.
fn programs(
    plan: &ImagePlan,
    platform: &ImagePlatform,
    binaries: &Binaries,
) -> Result<Vec<Requested>> {
    let programs = plan.bins.iter().map(|bin| {
        let binary = binaries.get(&plan.package, &platform.target, bin)?;
        let path = binary.compiled().path().to_owned();
        let content = Content::File { path, digest: binary.digest()?, size: binary.size() };
        Ok(tree::program(plan, bin, content))
    });
    programs.collect()
}

/// The entry of the licence texts of a platform's programs.
fn licenses(
    plan: &ImagePlan,
    platform: &ImagePlatform,
    parts: Parts<'_>,
) -> Result<Vec<Requested>> {
    let Some(path) = &plan.licenses else { return Ok(Vec::new()) };
    let text = parts.licenses.get(&platform.target);
    let text = text.with_context(|| format!("find the licences for {}", platform.target))?;
    Ok(vec![tree::document(path, text)])
}

fn of<'a>(images: &'a BTreeMap<Platform, BaseImage>, of: &Platform) -> Result<&'a BaseImage> {
    images.get(of).with_context(|| format!("find the base for {of}"))
}

impl Making<'_> {
    /// The image for one platform: the base's layers, and ours, with their names, on top.
    fn image(&self, platform: &Platform, own: Vec<(&str, Layer)>) -> Result<Image> {
        let below = match self.base {
            Base::Stored { images, .. } => Some(&of(images, platform)?.image),
            Base::Builtin | Base::Scratch => None,
        };
        let mut layers = below.map_or_else(Vec::new, |image| image.layers.clone());
        for layer in &mut layers {
            layer.descriptor.media_type = media::oci(&layer.descriptor.media_type);
        }
        let mut config = below.map(Image::config_json).transpose()?.unwrap_or_default();
        let mut history = config["history"].as_array().cloned().unwrap_or_default();
        let mut told = history.iter().filter(|step| step["empty_layer"] != true).count();
        if told > layers.len() {
            // Docker shows no history that has more layers than the image.
            (told, history) = (0, Vec::new());
        }
        history.extend((told..layers.len()).map(|_| step("base", None)));
        history.extend(own.iter().map(|(name, _)| step(name, Some(self.time))));
        layers.extend(own.into_iter().map(|(_, layer)| layer));
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        self.set_container(&mut config["config"])?;
        set_fields(
            &mut config,
            [
                ("architecture", json!(platform.architecture)),
                ("author", Value::Null),
                ("created", json!(self.time.to_string())),
                ("history", Value::Array(history)),
                ("os", json!(platform.os)),
                ("rootfs", json!({ "type": "layers", "diff_ids": diff_ids })),
                ("variant", json!(platform.variant)),
            ],
        );
        let config = Raw::of(&config, MediaType::ImageConfig)?;
        let descriptors = layers.iter().map(|layer| &layer.descriptor);
        let manifest = RawManifest {
            annotations: Some(self.with_provenance(&self.plan.config.annotations)),
            ..RawManifest::new(&config.descriptor, descriptors)
        };
        Ok(Image { manifest: Raw::of(&manifest, MediaType::ImageManifest)?, config, layers })
    }

    /// Sets how containers run. All that the base has is kept but the labels and the command,
    /// which are another program's.
    fn set_container(&self, container: &mut Value) -> Result<()> {
        let known = Option::<Config>::deserialize(&*container).context("read the base's config")?;
        let (known, ours) = (known.unwrap_or_default(), &self.plan.config);
        let mut env = known.env.unwrap_or_default();
        let named = |entry: &String| entry.split('=').next().unwrap_or(entry).to_owned();
        let set: Vec<String> = env.iter().map(named).collect();
        let defaults = ours.default_env.iter().filter(|(name, _)| !set.contains(name));
        let variables: BTreeMap<&String, &String> = defaults.chain(&ours.env).collect();
        env.retain(|entry| !variables.contains_key(&named(entry)));
        env.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        // In Go a set is a map to empty objects.
        let union = |base: &[String], own: &[String]| {
            let names = base.iter().chain(own);
            let all: Map<_, _> = names.map(|name| (name.clone(), json!({}))).collect();
            if all.is_empty() { Value::Null } else { Value::Object(all) }
        };
        let list = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
        let workdir = ours.workdir.as_ref().or(known.working_dir.as_ref());
        let signal = ours.stop_signal.as_ref().or(known.stop_signal.as_ref());
        set_fields(
            container,
            [
                ("Cmd", list(&ours.cmd)),
                ("Entrypoint", list(&ours.entrypoint)),
                ("Env", json!(env)),
                ("ExposedPorts", union(&known.exposed_ports, &ours.ports)),
                ("Labels", json!(self.with_provenance(&ours.labels))),
                ("StopSignal", json!(signal)),
                ("User", json!(ours.user)),
                ("Volumes", union(&known.volumes, &ours.volumes)),
                ("WorkingDir", json!(workdir)),
            ],
        );
        Ok(())
    }

    fn with_provenance(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        own.clone().into_iter().chain(self.provenance.iter().cloned()).collect()
    }

    fn index(&self, images: Vec<(Platform, Image)>) -> Result<Index> {
        let manifests = images
            .iter()
            .map(|(platform, image)| RawDescriptor::from(&image.manifest.descriptor).on(platform));
        let index = RawIndex {
            annotations: Some(self.with_provenance(&self.plan.config.annotations)),
            ..RawIndex::new(manifests.collect())
        };
        Ok(Index { manifest: Raw::of(&index, MediaType::ImageIndex)?, images })
    }
}

/// Sets fields of a JSON object, and removes all that are null.
fn set_fields<const COUNT: usize>(object: &mut Value, fields: [(&str, Value); COUNT]) {
    for (name, value) in fields {
        object[name] = value;
    }
    if let Value::Object(fields) = object {
        fields.retain(|_, value| !value.is_null());
    }
}

/// Whether a finding rules the image out as a base. All that is in a base has to be known.
fn wrong(found: &Finding) -> bool {
    found.severity == Severity::Error || found.rule == validate::NOT_CHECKED
}

/// One line of `docker history`.
fn step(name: &str, time: Option<Timestamp>) -> Value {
    let mut step = json!({ "created_by": format!("dockless: {name}") });
    if let Some(time) = time {
        step["created"] = json!(time.to_string());
    }
    step
}

/// Labels and annotations about the base.
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
