//! The statements of what each package was made from.

use anyhow::{Context, Result, ensure};

use super::sboms::origin;
use crate::artifacts::{Artifact, Image, Provenance};
use crate::digest::Digest;
use crate::files::{self, Staging};
use crate::finding::Help;
use crate::linkage::Binaries;
use crate::oci::{self, Base};
use crate::plan::Plan;
use crate::project::Project;
use crate::provenance::{self, Facts};
use crate::sign::{SUBJECTS, Subject};
use crate::toolchain::ToolchainPart;

/// What was made, and with what.
pub struct Making<'a> {
    pub plan: &'a Plan,
    pub project: &'a Project,
    pub binaries: &'a Binaries,
    /// Those of the plan's images.
    pub bases: &'a [Base],
    pub toolchain: &'a [ToolchainPart],
}

/// Makes the statements about what was made. Without a `staging` they are in no file.
pub fn make(
    making: &Making<'_>,
    made: &[Artifact],
    staging: Option<&Staging<'_>>,
) -> Result<Vec<Provenance>> {
    let Making { plan, project, toolchain, .. } = making;
    let path = project.root.join("Cargo.lock");
    let lock = project.has_lock.then(|| files::read(&path)).transpose()?;
    let lock = lock.map(|text| Digest::of(&text));
    let mut statements = Vec::new();
    for planned in &plan.provenance {
        let package = &planned.package;
        let context = || format!("make {}", planned.name);
        let subjects = making.subjects(package, made).with_context(context)?;
        // What could not be made was listed.
        if subjects.is_empty() {
            continue;
        }
        let (count, most) = (subjects.len(), SUBJECTS);
        let help = Help("leave it out by `--skip provenance`".to_owned());
        let fits = || {
            ensure!(count <= most, "it would be about {count} things, more than {most}");
            anyhow::Ok(())
        };
        fits().with_context(context).context(help)?;
        let build = plan.builds.iter().find(|build| build.package == *package);
        let facts = Facts {
            plan,
            build: build.with_context(context)?,
            origin: &origin(package, project),
            env: &project.env,
            lock,
            toolchain,
            bases: making.bases_of(package),
        };
        let text = oci::json::bytes(&provenance::statement(&facts, subjects)?)?;
        if let Some(staging) = staging {
            staging.write(&planned.name, &text)?;
        }
        let digest = Digest::of(&text);
        statements.push(Provenance { plan: planned.clone(), text, digest });
    }
    Ok(statements)
}

impl Making<'_> {
    /// All that was made of a package.
    fn subjects(&self, package: &str, made: &[Artifact]) -> Result<Vec<Subject>> {
        let mut subjects = Vec::new();
        for binary in &self.binaries.0 {
            let compiled = binary.compiled();
            if compiled.package() == package && self.is_shipped(package, compiled.target()) {
                let name = format!("{}/{}", compiled.target(), compiled.bin());
                subjects.push(Subject::new(Some(name), &binary.digest()?));
            }
        }
        for artifact in made {
            let of = match artifact {
                Artifact::Archive(it) => &it.plan.package,
                Artifact::Krew(it) => &it.package,
                Artifact::Sbom(it) => &it.plan.package,
                Artifact::Image(it) if it.plan.package == package => {
                    subjects.extend(images(it));
                    continue;
                }
                Artifact::Image(_)
                | Artifact::Provenance(_)
                | Artifact::Checksums(_)
                | Artifact::Signature(_) => continue,
            };
            if of == package {
                let name = Some(artifact.name().to_owned());
                subjects.push(Subject::new(name, &artifact.digest()));
            }
        }
        Ok(subjects)
    }

    /// Whether the target's programs of the package are in something that is made.
    fn is_shipped(&self, package: &str, target: &crate::target::Target) -> bool {
        let mut archives = self.plan.archives.iter();
        let images = self.plan.images.iter().filter(|it| it.package == package);
        archives.any(|it| it.package == package && it.target == *target)
            || images.flat_map(|it| &it.platforms).any(|it| it.target == *target)
    }

    /// The bases of others that the package's images stand on.
    fn bases_of(&self, package: &str) -> Vec<(String, Digest)> {
        let images = self.plan.images.iter().zip(self.bases);
        let own = images.filter(|(image, _)| image.package == package);
        let foreign = own.flat_map(|(image, base)| {
            image.platforms.iter().filter_map(|it| base.foreign(&it.platform))
        });
        let named = foreign.map(|(name, digest)| {
            (name.map_or_else(|| "base".to_owned(), ToString::to_string), digest)
        });
        named.collect()
    }
}

/// An image and those of its platforms, under each of its names.
fn images(image: &Image) -> Vec<Subject> {
    let mut digests = vec![image.root.digest()];
    digests.extend(image.root.images().iter().map(|(_, it)| it.manifest.digest()));
    let named = image.plan.repositories().into_iter().flat_map(|repository| {
        digests.iter().map(move |digest| (repository.at(digest).to_string(), digest))
    });
    named.map(|(name, digest)| Subject::new(Some(name), digest)).collect()
}
