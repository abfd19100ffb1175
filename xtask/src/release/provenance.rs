//! The statements of what each package was made from.

use anyhow::{Context, Result, ensure};

use super::sboms::origin;
use crate::artifacts::{self, Artifact, Image, Of, Provenance};
use crate::digest::Digest;
use crate::files::{self, Staging, limits};
use crate::finding::Help;
use crate::linkage::Binaries;
use crate::oci::{self, Base};
use crate::plan::{BUNDLE, CHECKSUMS, Part, Plan, is_statement};
use crate::project::Project;
use crate::provenance::{self, Facts};
use crate::sign::{LIMIT, SUBJECTS, Statement, Subject};
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
    // Where there was none, cargo has made it by now.
    let lock = files::read_if_there(&project.root.join("Cargo.lock"))?;
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

/// Takes over the statements of the dist/ before that are true of what was made in it anew.
pub fn keep(plan: &Plan, made: &[Artifact], staging: &Staging<'_>) -> Result<()> {
    let dist = staging.dist();
    let ours = |of: Option<Of>| of.is_some_and(|of| of.is_of(plan));
    if plan.part == Part::All || !ours(Of::read(dist)?) {
        return Ok(());
    }
    let names = artifacts::listed(dist)?.into_keys().filter(|name| is_statement(name));
    let is_true = |name: &String| {
        let text = files::read_foreign_if_there(&dist.join(name), LIMIT)?.unwrap_or_default();
        let Ok(statement) = Statement::parse(&text) else { return Ok(false) };
        let Ok(told) = provenance::Provenance::of(&statement) else { return Ok(false) };
        let package = &told.build_definition.external_parameters.package;
        let mut own = made.iter().filter(|it| it.package() == Some(package));
        anyhow::Ok(own.all(|it| statement.is_about(&it.digest())))
    };
    for name in names {
        if is_true(&name)? {
            staging.adopt(&|path| path.strip_suffix(BUNDLE).unwrap_or(path) == name)?;
        }
    }
    Ok(())
}

/// The same for the signature of the list of checksums.
pub fn keep_signature(plan: &Plan, staging: &Staging<'_>) -> Result<()> {
    let (before, now) = (staging.dist().join(CHECKSUMS), staging.path(CHECKSUMS));
    let before = files::read_foreign_if_there(&before, limits::RELEASE)?;
    if plan.part != Part::All && before.is_some() && before == files::read_if_there(&now)? {
        staging.adopt(&|path| path.strip_suffix(BUNDLE) == Some(CHECKSUMS))?;
    }
    Ok(())
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
        for artifact in made.iter().filter(|it| it.package() == Some(package)) {
            match artifact {
                Artifact::Image(image) => subjects.extend(images(image)),
                _ => {
                    let name = Some(artifact.name().to_owned());
                    subjects.push(Subject::new(name, &artifact.digest()));
                }
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

/// An image and those of its platforms. Where they are pushed is not said: the same image goes to
/// several places.
fn images(image: &Image) -> Vec<Subject> {
    let mut digests = vec![image.root.digest()];
    digests.extend(image.root.images().iter().map(|(_, it)| it.manifest.digest()));
    let named = digests.iter().map(|digest| (format!("{}@{digest}", image.plan.name), digest));
    named.map(|(name, digest)| Subject::new(Some(name), digest)).collect()
}
