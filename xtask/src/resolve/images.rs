//! The images that references name: packages and binaries of the workspace, and what is built.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::Manifest;
use super::reference::Named;
use crate::config::{Config, KeptBack, PackageConfig};
use crate::finding::{Finding, Place, suggest};
use crate::plan::{ImagePlan, Plan, Select};
use crate::project::Project;
use crate::reference::{Reference, Tag};

/// The images that documents name.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Each image once, and the place where it is named first.
    pub images: BTreeMap<Named, Place>,
    /// Which image is meant by what a reference names. The binary of a package that has no other
    /// means the package's image.
    pub meant: BTreeMap<Named, Named>,
}

/// What the references of the files name. Packages and binaries that are not there are found all
/// at once.
pub fn wanted(
    manifests: &[Manifest],
    config: &Config,
    project: &Project,
) -> Result<Wanted, Vec<Finding>> {
    let mut wanted = Wanted::default();
    let mut findings = Vec::new();
    // What is wrong in many places is said of the first.
    let mut known = BTreeSet::new();
    for manifest in manifests {
        for reference in &manifest.references {
            if !known.insert(&reference.named) {
                continue;
            }
            let (line, column) = (reference.node.line, reference.node.column);
            let place = Place::at(&manifest.file, line, column);
            match image_of(&reference.named, &place, config, project) {
                Ok(image) => {
                    wanted.images.entry(image.clone()).or_insert(place);
                    wanted.meant.insert(reference.named.clone(), image);
                }
                Err(finding) => findings.push(*finding),
            }
        }
    }
    if findings.is_empty() { Ok(wanted) } else { Err(findings) }
}

/// The name of the image that a reference means.
fn image_of(
    named: &Named,
    place: &Place,
    config: &Config,
    project: &Project,
) -> Result<Named, Box<Finding>> {
    let fault =
        |why: String, fix: String| Box::new(Finding::error("reference", place.clone(), why, fix));
    let Some(package) = config.package(&named.package) else {
        let names: Vec<&str> = config.packages.iter().map(|it| &*it.name).collect();
        let all = format!("packages with a binary are: {}", names.join(", "));
        if project.package(&named.package).is_some() {
            return Err(fault(format!("the package {} has no binary", named.package), all));
        }
        let why = format!("no package {:?} in the workspace", named.package);
        return Err(fault(why, suggest(&named.package, names.into_iter(), &all)));
    };
    if package.kept_back == Some(KeptBack::Xtask) {
        let why = format!("{} depends on dockless: an xtask is not shipped", named.package);
        return Err(fault(why, "name another package".to_owned()));
    }
    canonical(named, package).ok_or_else(|| {
        let names: Vec<&str> = package.bins.iter().map(|it| &*it.name).collect();
        let all = format!("binaries of {} are: {}", named.package, names.join(", "));
        let bin = named.bin.as_deref().unwrap_or_default();
        let why = format!("no binary {bin:?} in the package {}", named.package);
        fault(why, suggest(bin, names.into_iter(), &all))
    })
}

/// The name of the image in its shortest form; `None` where the package has no such binary.
fn canonical(named: &Named, package: &PackageConfig) -> Option<Named> {
    let bin = match &named.bin {
        None => None,
        Some(bin) if package.bins.iter().all(|it| it.name == *bin) => None,
        Some(bin) => Some(package.bins.iter().find(|it| it.name == *bin)?.name.clone()),
    };
    Some(Named { package: named.package.clone(), bin })
}

/// What is built for the images: their packages, and their binaries where not all of a package
/// are in one.
pub fn select(wanted: &Wanted, config: &Config) -> Select {
    let images = || wanted.images.keys();
    let packages: BTreeSet<&str> = images().map(|it| &*it.package).collect();
    let is_whole = |package: &str| images().any(|it| it.package == package && it.bin.is_none());
    let mut bins = BTreeSet::new();
    if !packages.iter().all(|package| is_whole(package)) {
        bins.extend(images().filter_map(|it| it.bin.clone()));
        let whole = config.packages.iter().filter(|it| packages.contains(&*it.name));
        let whole = whole.filter(|it| is_whole(&it.name));
        bins.extend(whole.flat_map(|it| it.bins.iter().map(|bin| bin.name.clone())));
    }
    Select {
        packages: packages.into_iter().map(str::to_owned).collect(),
        bins: bins.into_iter().collect(),
        ..Select::default()
    }
}

/// The plan with the images that are wanted, each once; an image is called as its reference.
/// They get these tags, or else that of their version: `latest` is for releases.
pub fn narrow(
    plan: Plan,
    wanted: &Wanted,
    tags: &[Tag],
    config: &Config,
) -> Result<Plan, Vec<Finding>> {
    let mut images = Vec::new();
    let mut findings = Vec::new();
    for (named, place) in &wanted.images {
        let whole = plan.images.iter().find(|image| image.package == named.package);
        let settings = config.package(&named.package);
        let (Some(whole), Some(settings)) = (whole, settings) else {
            findings.push(unmade(named, place, &plan));
            continue;
        };
        match image(whole, named, settings, tags) {
            Ok(image) => images.push(image),
            Err(error) => {
                let fix = "name another with --tag";
                findings.push(Finding::error("tag", place.clone(), format!("{error:#}"), fix));
            }
        }
    }
    if findings.is_empty() { Ok(Plan { images, ..plan }) } else { Err(findings) }
}

/// Why no image is made that a reference names.
fn unmade(named: &Named, place: &Place, plan: &Plan) -> Finding {
    let about = |what: &str| what.split([' ', ',']).any(|word| word == named.package);
    let why = plan.left_out.iter().find(|left| about(&left.what));
    let (why, fix) = match why {
        Some(left) => (format!("{} is left out: {}", left.what, left.why), left.fix.clone()),
        None => (
            format!("no image is made of {}", named.package),
            "see `targets` in [package.metadata.dockless], and --platform".to_owned(),
        ),
    };
    Finding::error("no-image", place.clone(), why, fix)
}

/// The image that a reference names: that of its package, or the same with one binary, which it
/// runs.
fn image(
    whole: &ImagePlan,
    named: &Named,
    settings: &PackageConfig,
    tags: &[Tag],
) -> anyhow::Result<ImagePlan> {
    let version = Tag::parse(&whole.version.to_string());
    let tags = if tags.is_empty() { vec![version?] } else { tags.to_vec() };
    let suffixed = |tag: &Tag| match &named.bin {
        // The images of a package share its repositories.
        Some(bin) => Tag::parse(&format!("{tag}-{bin}")),
        None => Ok(tag.clone()),
    };
    let tags = tags.iter().map(suffixed).collect::<anyhow::Result<Vec<Tag>>>()?;
    let repositories = whole.repositories();
    let names = repositories.into_iter().flat_map(|to| tags.iter().map(move |tag| to.tagged(tag)));
    let names: Vec<Reference> = names.collect();
    let mut image = ImagePlan { names, ..whole.clone() };
    if let Some(bin) = &named.bin {
        let program = whole.program(bin);
        let is_set = !settings.image.entrypoint.is_empty();
        if is_set && image.config.entrypoint.first() != Some(&program) {
            // Arguments that are set are those of another program.
            image.config.cmd = Vec::new();
        }
        if !is_set || image.config.entrypoint.first() != Some(&program) {
            image.config.entrypoint = vec![program];
        }
        image.bins = vec![bin.clone()];
    }
    image.name = named.to_string();
    Ok(image)
}
