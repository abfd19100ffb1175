//! The lists of what is in the programs and images that were made.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::artifacts::{Image, PushedImage, Sbom};
use crate::digest::Digest;
use crate::files::Staging;
use crate::linkage::Binaries;
use crate::oci::{Base, Descriptor, Root};
use crate::parallel;
use crate::plan::{ImagePlatform, Plan, SbomOf, SbomPlan};
use crate::project::Project;
use crate::reference::{Reference, Repository};
use crate::registry::{Attachment, Registry};
use crate::sbom::{self, Document, Origin, Program};
use crate::target::Target;
use crate::term::Term;
use crate::version::Version;

/// How many lists are attached at a time.
const AT_A_TIME: usize = 4;

/// What the lists are made from.
struct Making<'a> {
    plan: &'a Plan,
    project: &'a Project,
    binaries: &'a Binaries,
    images: &'a [Image],
    bases: &'a [Base],
}

/// Makes the lists of all that was made, as many at a time as there are processors. `bases` are
/// those of the plan's images. Without a `staging` they are in no file.
pub fn make(
    plan: &Plan,
    project: &Project,
    binaries: &Binaries,
    images: &[Image],
    bases: &[Base],
    staging: Option<&Staging<'_>>,
) -> Result<Vec<Sbom>> {
    let making = Making { plan, project, binaries, images, bases };
    let made = parallel::map(&plan.sboms, parallel::processors(), |sbom| {
        let context = || format!("make {}", sbom.name);
        let Some(document) = making.document(sbom).with_context(context)? else {
            return Ok(None);
        };
        let text = document.write(sbom.format).with_context(context)?;
        if let Some(staging) = staging {
            staging.write(&sbom.name, &text)?;
        }
        let digest = Digest::of(&text);
        Ok(Some(Sbom { plan: sbom.clone(), text: text.into(), digest }))
    });
    Ok(made?.into_iter().flatten().collect())
}

/// Attaches the lists of images to them, in all their repositories, where they are not attached
/// already.
pub fn attach_sboms(
    images: &[PushedImage<'_>],
    sboms: &[&Sbom],
    registry: &Registry<'_>,
    term: &Term,
) -> Result<()> {
    for pushed in images {
        let image = pushed.image();
        let own = sboms.iter().filter(|sbom| sbom.plan.package == image.plan.package);
        let own: Vec<(&Sbom, &Descriptor)> =
            own.filter_map(|sbom| Some((*sbom, subject(image, &sbom.plan.of)?))).collect();
        for at in pushed.at() {
            let to = at.repository();
            let attached = parallel::map(&own, AT_A_TIME, |(sbom, subject)| {
                let context = || format!("attach {} to {}", sbom.plan.name, to.at(&subject.digest));
                attach_one(sbom, subject, to, registry).with_context(context)
            })?;
            if attached.contains(&true) {
                let image = to.at(&image.root.digest());
                term.step("attach", format_args!("what is in it, to {image}"));
            }
        }
    }
    Ok(())
}

/// The manifest that a list is about; `None` for the list of a program.
fn subject<'a>(image: &'a Image, of: &SbomOf) -> Option<&'a Descriptor> {
    match of {
        SbomOf::Program { .. } => None,
        SbomOf::Index => Some(&image.root.raw().descriptor),
        SbomOf::Image { platform, .. } => {
            let mut all = image.plan.platforms.iter().zip(image.root.images());
            let (_, (_, made)) = all.find(|(it, _)| it.platform == *platform)?;
            Some(&made.manifest.descriptor)
        }
    }
}

/// Whether it had to be attached.
fn attach_one(
    sbom: &Sbom,
    subject: &Descriptor,
    to: &Repository,
    registry: &Registry<'_>,
) -> Result<bool> {
    let kind = sbom.plan.format.media_type();
    let attached = registry.attached(to, &subject.digest, kind)?;
    if attached.contents.iter().any(|there| Digest::of(there) == sbom.digest) {
        return Ok(false);
    }
    let content = sbom.text.to_vec();
    let attachment = Attachment { kind, content, annotations: BTreeMap::new() };
    registry.attach(to, subject, &attachment)?;
    Ok(true)
}

/// Where the sources of a package are: in the repository that its manifest names, and in the
/// commit, unless something is changed.
pub fn origin(package: &str, project: &Project) -> Origin {
    let about = project.package(package).map(|package| &package.about);
    let repository = about.and_then(|about| about.repository.clone());
    let is_url = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    let dirty = project.git.as_ref().is_some_and(|git| git.dirty);
    Origin {
        repository: repository.filter(is_url),
        commit: project.commit().filter(|_| !dirty).map(str::to_owned),
        root: project.git.as_ref().map_or(&project.root, |git| &git.top).clone(),
    }
}

impl Making<'_> {
    /// What is in the thing; `None` where it could not be made, which was listed.
    fn document(&self, sbom: &SbomPlan) -> Result<Option<Document>> {
        let SbomPlan { package, version, .. } = sbom;
        let origin = origin(package, self.project);
        let time = self.plan.time;
        if let SbomOf::Program { bin, target } = &sbom.of {
            if !self.binaries.has(package, target) {
                return Ok(None);
            }
            let program = self.program(package, version, bin, target, &origin)?;
            return Ok(Some(sbom::of_program(&program, time)));
        }
        let Some(image) = self.images.iter().find(|it| it.plan.package == *package) else {
            return Ok(None);
        };
        let base = self.plan.images.iter().zip(self.bases);
        let base = base.into_iter().find(|(plan, _)| plan.package == *package);
        let (_, base) = base.context("find the image's base")?;
        let all = image.plan.platforms.iter().zip(image.root.images());
        let all = all.map(|(it, (_, made))| self.image(image, it, made, base, &origin));
        let all = all.collect::<Result<Vec<_>>>()?;
        let document = match (&sbom.of, &image.root) {
            (SbomOf::Image { platform, .. }, _) => {
                let mut own = all.iter().filter(|it| it.platform == platform);
                own.next().map(|own| sbom::of_image(&image.plan, own, time))
            }
            (SbomOf::Index, Root::Index(index)) => {
                Some(sbom::of_index(&image.plan, index.manifest.digest(), &all, time))
            }
            (SbomOf::Index, Root::Image(_)) | (SbomOf::Program { .. }, _) => None,
        };
        Ok(document)
    }

    fn program<'a>(
        &'a self,
        package: &str,
        version: &'a Version,
        bin: &'a str,
        target: &'a Target,
        origin: &'a Origin,
    ) -> Result<Program<'a>> {
        let binary = self.binaries.get(package, target, bin)?;
        let graphs = target.parts().into_iter().map(|part| {
            let graph = self.project.graph(package, &part);
            graph.with_context(|| format!("find the dependency graph of {package} for {part}"))
        });
        let graphs = graphs.collect::<Result<_>>()?;
        Ok(Program { bin, version, target, sha256: Some(binary.digest()?), graphs, origin })
    }

    /// Where dockless.lock says that the SBOMs of a base are.
    fn sboms_of_base(&self, name: &Reference, digest: Digest) -> Vec<String> {
        let pinned = self.project.bases.iter();
        let pinned = pinned.filter(|(base, _)| base.repository == name.repository);
        let own = pinned.flat_map(|(base, pinned)| pinned.sboms.iter().map(move |it| (base, it)));
        let own = own.filter(|(_, sbom)| sbom.of == digest);
        let places: BTreeSet<String> =
            own.map(|(base, sbom)| format!("oci://{}", base.repository.at(&sbom.at))).collect();
        places.into_iter().collect()
    }

    fn image<'a>(
        &'a self,
        image: &'a Image,
        it: &'a ImagePlatform,
        made: &crate::oci::Image,
        base: &'a Base,
        origin: &'a Origin,
    ) -> Result<sbom::Image<'a>> {
        let plan = &image.plan;
        let programs = plan.bins.iter();
        let programs =
            programs.map(|bin| self.program(&plan.package, &plan.version, bin, &it.target, origin));
        let base = match base {
            Base::Scratch => sbom::Base::Scratch,
            Base::Builtin => sbom::Base::Builtin,
            Base::Stored { .. } => {
                let (name, digest) = base.foreign(&it.platform).context("find the base's image")?;
                let sboms = name.map_or_else(Vec::new, |name| self.sboms_of_base(name, digest));
                sbom::Base::Foreign { name, digest, sboms }
            }
        };
        Ok(sbom::Image {
            platform: &it.platform,
            digest: made.manifest.digest(),
            programs: programs.collect::<Result<_>>()?,
            base,
        })
    }
}
