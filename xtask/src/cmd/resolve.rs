use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use super::engines::Engines;
use super::image::above;
use super::{BuildArgs, Common, NetworkArgs, World};
use crate::artifacts::Image;
use crate::config::Config;
use crate::digest::Digest;
use crate::files;
use crate::finding::Findings;
use crate::plan::{Mode, Part, Plan, Request, Select};
use crate::process::Env;
use crate::project::Project;
use crate::reference::{Above, Tag};
use crate::registry::{Naming, Registry};
use crate::release::{self, Outcome};
use crate::resolve::{self, Document, Manifest, Named, Selector, Wanted};
use crate::sink::{self, Engine, Sink};
use crate::target::Platform;
use crate::term::{self, Table};

mod sources;
use sources::Depth;

/// Build the images that Kubernetes manifests name, push them, and print the manifests
///
/// An image `dockless://PACKAGE` in a manifest is that of a package of the workspace, and
/// `dockless://PACKAGE/BINARY` the same with one binary of it, which it runs. Each image is built
/// and pushed once. The documents are printed with REPOSITORY@DIGEST in place of the references;
/// all other bytes stay. Nothing is printed unless all images are there.
///
/// References are looked for in `image` fields of any kind of object, and elsewhere where a whole
/// text is one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless resolve -f deploy/ | kubectl apply -f -
  cargo dockless resolve -f deploy/app.yaml --repository ghcr.io/acme > release.yaml
  kubectl kustomize overlays/prod | cargo dockless resolve -f - --image-refs images.txt
  helm template shop charts/shop | cargo dockless resolve -f -
  cargo dockless resolve -f deploy/ -l app=shop --load kind | kubectl apply -f -")]
pub struct Args {
    #[command(flatten)]
    what: What,
}

/// The documents, and where their images go.
#[derive(Debug, clap::Args)]
pub struct What {
    /// A file of YAML or JSON, a folder of them, or `-` for stdin; may be repeated
    #[arg(short, long, value_name = "FILE", required = true)]
    filename: Vec<PathBuf>,
    /// Read the folders in folders too. A folder without manifests of its own is always read so
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Only documents whose labels match, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<Selector>,
    /// Where to push images without `repositories`: below this, or below DOCKLESS_REPOSITORY
    #[arg(long, value_name = "REPOSITORY", value_parser = above)]
    repository: Option<Above>,
    /// The tag of the images, in place of their version; may be repeated
    #[arg(long, value_name = "TAG", value_parser = tag)]
    tag: Vec<Tag>,
    /// Only for this platform, such as linux/arm64; may be repeated
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// Load the images into this engine, or over ssh: ssh://[USER@]HOST[:PORT][/ENGINE], and push
    /// none; may be repeated
    #[arg(long, value_name = "ENGINE", value_parser = Engines)]
    load: Vec<Engine>,
    /// Also write the names of the images to this file, one a line
    #[arg(long, value_name = "FILE")]
    image_refs: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    build: BuildArgs,
}

impl What {
    /// The files and folders that are read.
    pub fn named(&self) -> &[PathBuf] {
        &self.filename
    }

    /// How registries are spoken to.
    pub fn network(&self) -> &NetworkArgs {
        &self.network
    }

    /// The file that the names of images are written to.
    pub fn image_refs(&self) -> Option<&PathBuf> {
        self.image_refs.as_ref()
    }

    /// What images are loaded into.
    pub fn engines(&self) -> &[Engine] {
        &self.load
    }

    /// Gives images these tags, where the command line names none.
    pub fn or_tags(&mut self, tags: &[Tag]) {
        if self.tag.is_empty() {
            self.tag = tags.to_vec();
        }
    }

    /// Whether images go to registries.
    pub fn is_pushed(&self) -> bool {
        self.load.is_empty()
    }
}

/// Takes a tag. clap shows an error without its causes.
pub fn tag(text: &str) -> Result<Tag> {
    Tag::parse(text).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// What the command line names, read.
pub struct Documents {
    pub manifests: Vec<Manifest>,
    /// All documents, where the rules say something about them.
    checked: Vec<Document>,
}

/// A reference and its image, for `--json`.
#[derive(Debug, Serialize)]
struct Resolved {
    package: String,
    binary: Option<String>,
    /// As it is written in the documents.
    reference: String,
    /// What replaces it.
    image: String,
    digest: Digest,
    platforms: Vec<Platform>,
}

/// An image in the places that were asked for.
#[derive(Clone, Debug)]
struct Put {
    /// The name that documents get.
    image: String,
    digest: Digest,
    platforms: Vec<Platform>,
    /// All of its names.
    names: Vec<String>,
}

/// The images of the documents, by what references name.
#[derive(Debug, Default)]
pub struct Images(BTreeMap<Named, Put>);

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let read = read(&args.what, world)?;
    let images = images(&args.what, &read, common, world)?;
    let manifests = read.manifests;
    let documents = images.documents(&manifests)?;
    images.record(&args.what, world)?;
    if world.term.json_wanted() {
        world.term.json(&term::list("images", images.resolved(&manifests)))?;
    } else {
        world.term.documents(&documents)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the documents that the command line names. What is wrong with any is found at once.
pub fn read(what: &What, world: &World) -> Result<Documents> {
    let depth = if what.recursive { Depth::Folders } else { Depth::Files };
    let sources = sources::read(&what.filename, depth, &world.term)?;
    // Without such a service there is nothing to check, and the documents need not be kept.
    let checks = sources.iter().any(|source| source.text.contains("externalTrafficPolicy"));
    let mut checked: Vec<Document> = Vec::new();
    let mut manifests = Vec::new();
    let mut findings = Vec::new();
    for source in sources {
        let mut keep = |document| checked.extend(checks.then_some(document));
        match resolve::read(&source.file, source.text, what.selector.as_ref(), &mut keep) {
            // A folder may hold settings of other programs too.
            Ok(read) if source.is_found && read.objects == 0 && !read.pieces.is_empty() => {
                let why = "it holds no objects of Kubernetes; name it with -f to read it";
                world.term.step("leave out", format_args!("{}: {why}", source.file.display()));
            }
            Ok(read) => {
                findings.extend(read.kustomizations.clone());
                manifests.push(read);
            }
            Err(found) => findings.extend(found),
        }
    }
    if !findings.is_empty() {
        return Err(Findings(findings).into());
    }
    for manifest in &manifests {
        for (line, column) in &manifest.left_alone {
            let file = manifest.file.display();
            world.term.detail(format_args!(
                "{file}:{line}:{column}: a reference within a text is left alone"
            ));
        }
    }
    Ok(Documents { manifests, checked })
}

/// What is built for documents.
pub struct Planned {
    pub project: Project,
    pub plan: Plan,
    pub config: Config,
    wanted: Wanted,
}

/// Images in the places that were asked for.
pub struct Placed {
    pub made: Outcome<'static>,
    pub images: Images,
    /// What became of them in registries.
    pushed: Option<Table>,
}

/// Warns of what the rules say of the documents, builds the images that they name, and puts these
/// where the command line says.
pub fn images(what: &What, read: &Documents, common: &Common, world: &World) -> Result<Images> {
    let Some(planned) = planned(what, read, &|_, _, _| {}, common, world)? else {
        world.term.step("resolve", "nothing: no document has a reference to a package");
        return Ok(Images::default());
    };
    let http = world.http(&planned.config.network, &what.network, common);
    let blobs = world.cache.blobs()?;
    let registry = world.registry(&http, &blobs, &planned.config.network);
    let work = || {
        look_ahead(what, &planned, &registry, world)?;
        place(what, &planned, &registry, common, world)
    };
    let Placed { made, images, pushed } =
        if what.is_pushed() { registry.ahead(work)? } else { work()? };
    made.show(&world.term);
    world.summary(&made.markdown())?;
    if let Some(table) = pushed {
        world.term.table(&table);
        world.summary(&table.markdown("Pushed"))?;
    }
    Ok(images)
}

/// Warns of what the rules say of the documents, and plans the images that they name; `None` where
/// they name none. `narrow` changes what is asked for.
pub fn planned(
    what: &What,
    read: &Documents,
    narrow: &dyn Fn(&Project, &Config, &mut Request),
    common: &Common,
    world: &World,
) -> Result<Option<Planned>> {
    let Documents { manifests, checked } = read;
    resolve::rules::check(checked).iter().for_each(|finding| world.term.finding(finding));
    if manifests.iter().all(|manifest| manifest.references.is_empty()) {
        return Ok(None);
    }
    let (project, config) = world.project_and_config(common, &what.build.target)?;
    let wanted = resolve::wanted(manifests, &config, &project).map_err(Findings)?;
    let mut request = what.build.request(Mode::Snapshot, Part::Images, common);
    request.select = Select {
        targets: request.select.targets,
        platforms: what.platform.clone(),
        ..resolve::select(&wanted, &config)
    };
    request.publish.repository = world.repository(what.repository.as_ref())?;
    narrow(&project, &config, &mut request);
    let drafted = world.draft(project, config, common, &request)?;
    let (project, plan, config) = drafted.approved(&world.term)?;
    let plan = resolve::narrow(plan, &wanted, &what.tag, &config).map_err(Findings)?;
    Ok(Some(Planned { project, plan, config, wanted }))
}

/// Fails before anything is compiled for what would fail at the end.
pub fn look_ahead(
    what: &What,
    planned: &Planned,
    registry: &Registry<'_>,
    world: &World,
) -> Result<()> {
    if what.is_pushed() {
        release::ensure_pushable(&planned.plan, &planned.project, registry, &world.cache)
    } else {
        release::probe(&what.load, &world.hosts, &world.env, &world.term)
    }
}

/// Makes the images, and puts them where the command line says.
pub fn place(
    what: &What,
    planned: &Planned,
    registry: &Registry<'_>,
    common: &Common,
    world: &World,
) -> Result<Placed> {
    let Planned { project, plan, wanted, .. } = planned;
    let (network, cache) = (common.network(), &world.cache);
    let made = release::images_alone(plan, project, network, cache, registry, &world.term)?;
    let (put, pushed) = if what.is_pushed() {
        let (put, table) = push(&made, registry, world)?;
        (put, Some(table))
    } else {
        (load(&made, &what.load, registry, world)?, None)
    };
    let images = Images::of(wanted, &put)?;
    Ok(Placed { made, images, pushed })
}

/// Pushes the images, and returns them by the names of the plan.
fn push(
    made: &Outcome<'_>,
    registry: &Registry<'_>,
    world: &World,
) -> Result<(BTreeMap<String, Put>, Table)> {
    let pushed = release::push_images(made, Naming::WithTag, registry)?;
    release::remember_pushed(&pushed, &world.cache)?;
    let tagged = release::tag_images(&pushed, registry, &world.term)?;
    let table = release::published_table(tagged.iter().flat_map(|(_, published)| published));
    let put = tagged.into_iter().map(|(image, published)| {
        let names = published.into_iter().map(|it| it.reference).collect();
        Ok((image.plan.name.clone(), Put::of(image, names)?))
    });
    Ok((put.collect::<Result<_>>()?, table))
}

/// Loads the images into engines under names that change with what is in them, and returns them
/// by the names of the plan.
fn load(
    made: &Outcome<'_>,
    engines: &[Engine],
    registry: &Registry<'_>,
    world: &World,
) -> Result<BTreeMap<String, Put>> {
    let env = for_kubelet(&world.env);
    let mut put = BTreeMap::new();
    for image in made.images() {
        let repository = image.plan.repositories().into_iter().next();
        let repository = repository.context("name the image")?;
        // A digest would name it in a registry. With the tag `latest` a kubelet would pull it.
        let tag = Tag::parse(&image.root.digest().hex()[..TAG])?;
        let names = [repository.tagged(&tag)];
        for engine in engines {
            let (engine, World { hosts, term, .. }) = (Sink::Engine(engine.clone()), world);
            sink::store(&image.root, &names, &engine, registry, hosts, &env, term)?;
        }
        let names = names.iter().map(ToString::to_string).collect();
        put.insert(image.plan.name.clone(), Put::of(image, names)?);
    }
    Ok(put)
}

/// How many digits of its digest name an image in an engine.
const TAG: usize = 16;

/// The environment of engines: kubelet sees one namespace of containerd only.
/// <https://github.com/containerd/containerd/blob/main/docs/cri/architecture.md>
fn for_kubelet(env: &Env) -> Env {
    const NAMESPACE: &str = "CONTAINERD_NAMESPACE";
    match env.get(NAMESPACE) {
        Some(_) => env.clone(),
        None => env.clone().with(NAMESPACE, "k8s.io".as_ref()),
    }
}

impl Put {
    fn of(image: &Image, names: Vec<String>) -> Result<Put> {
        let first = names.first().context("name the image")?.clone();
        let platforms = image.plan.platforms.iter().map(|it| it.platform.clone()).collect();
        Ok(Put { image: first, digest: image.root.digest(), platforms, names })
    }
}

impl Images {
    /// Fails where an image was not made, which the plan did not foresee.
    fn of(wanted: &Wanted, put: &BTreeMap<String, Put>) -> Result<Images> {
        let of = wanted.meant.iter().map(|(named, image)| {
            let put = put.get(&image.to_string());
            let put = put.with_context(|| {
                format!("find the image of {image}: none of its platforms could be built")
            });
            Ok((named.clone(), put?.clone()))
        });
        Ok(Images(of.collect::<Result<_>>()?))
    }

    /// The documents with images in place of references.
    pub fn documents(&self, manifests: &[Manifest]) -> Result<String> {
        let image = |named: &Named| self.0.get(named).map(|put| put.image.clone());
        Ok(resolve::write(manifests, &image).map_err(Findings)?)
    }

    /// Writes the names of all images to the file that the command line names.
    pub fn record(&self, what: &What, world: &World) -> Result<()> {
        let Some(path) = &what.image_refs else { return Ok(()) };
        let lines: String = self.names().map(|name| name + "\n").collect();
        files::write(&world.dir.join(path), lines.as_bytes())
    }

    /// The names of all images, sorted, each once.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let names: BTreeSet<String> =
            self.0.values().flat_map(|put| put.names.iter().cloned()).collect();
        names.into_iter()
    }

    fn resolved(&self, manifests: &[Manifest]) -> Vec<Resolved> {
        let references = manifests.iter().flat_map(|manifest| &manifest.references);
        let written: BTreeMap<&str, &Named> =
            references.map(|it| (&*it.written, &it.named)).collect();
        let resolved = written.into_iter().filter_map(|(reference, named)| {
            let put = self.0.get(named)?;
            Some(Resolved {
                package: named.package.clone(),
                binary: named.bin.clone(),
                reference: reference.to_owned(),
                image: put.image.clone(),
                digest: put.digest,
                platforms: put.platforms.clone(),
            })
        });
        resolved.collect()
    }
}
