//! The list: what a release does, in order.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::archive::{Archive, archive};
use crate::artifacts::{self, Artifact, IMAGES, Of};
use crate::cache::Cache;
use crate::compile::{Compiled, compile};
use crate::files::{Dist, Staging};
use crate::finding::Findings;
use crate::generate::{self, Generated};
use crate::http::Network;
use crate::linkage::{Binaries, prove};
use crate::parallel;
use crate::plan::{self, ArchivePlan, BUNDLE, CHECKSUMS, LeftOut, Mode, Part, Plan};
use crate::project::Project;
use crate::registry::Registry;
use crate::sink;
use crate::stamp;
use crate::term::Term;
use crate::toolchain::{self, ToolchainPart};
use crate::version::Version;

mod ahead;
mod bases;
mod calls;
mod cause;
mod dockerfiles;
mod dry_run;
mod held;
mod images;
mod licenses;
mod locks;
mod outcome;
mod plugins;
mod provenance;
mod publish;
mod sboms;
mod shard;
mod sign;

pub use ahead::{ensure_named, ensure_pushable, expect_push, probe, remember_pushed};
use calls::calls;
use dockerfiles::DOCKER;
pub use dockerfiles::dockerfiles;
pub use dry_run::{ImagesIn, dry_run};
use images::images;
use licenses::Licenses;
use locks::lock_target;
pub use locks::{Locks, lock, lock_dist};
pub use outcome::Outcome;
use outcome::{left_out_table, title};
pub use plugins::{check_plugins, plugins_of_head};
pub use publish::{
    Plugin, Public, Published, notes, publish, published_table, push_images, tag_images,
};
pub use sboms::{attach_sboms, origin};
pub use shard::{Shards, merge, plan_digest, split};
pub use sign::{Said, Signing, public_signatures, sign_file, sign_image, sign_images};

/// Where programs come from.
pub enum Source {
    /// cargo builds them here.
    Cargo(Network),
    /// Other machines built them.
    Shards(Shards),
}

impl Source {
    /// What the programs were made with; nothing where no statement tells of it.
    fn toolchain(
        &self,
        plan: &Plan,
        project: &Project,
        cache: &Cache,
    ) -> Result<Vec<ToolchainPart>> {
        match self {
            _ if plan.provenance.is_empty() => Ok(Vec::new()),
            Source::Cargo(_) => toolchain::identity(&plan.builds, project, cache),
            Source::Shards(shards) => Ok(shards.toolchain.clone()),
        }
    }
}

/// What was made and is not in dist/ yet.
pub struct Made<'lock> {
    staging: Staging<'lock>,
    artifacts: Vec<Artifact>,
    /// What turned out only when it was to be made.
    left_out: Vec<LeftOut>,
    cargo: Duration,
    dist: &'lock Dist,
}

/// Makes all that the plan holds. Nothing is seen in dist/ before [`finish`].
pub fn make<'lock>(
    plan: &Plan,
    project: &Project,
    source: &Source,
    cache: &Cache,
    registry: &Registry<'_>,
    locks: &'lock Locks,
    term: &Term,
) -> Result<Made<'lock>> {
    let staging = Staging::open(&locks.dist)?;
    let bases = bases::all(plan, cache, registry, term)?;
    images::expect(plan, &bases, registry);
    let (binaries, mut left_out, cargo) = match source {
        Source::Cargo(network) => binaries(plan, project, *network, term)?,
        Source::Shards(shards) => {
            (proved(shards.compiled.clone(), term)?, Vec::new(), Duration::ZERO)
        }
    };
    let mut generated = match source {
        Source::Cargo(_) => generated(plan, project, &binaries, &mut left_out, term),
        Source::Shards(shards) => {
            left_out.extend(shards.left_out.iter().cloned());
            Generated::received(&plan.generate, &plan.archives, shards.generated.clone())
        }
    }?;
    join(plan, &mut generated, term)?;
    let licenses = licenses::of(plan, &binaries, cache, term)?;
    licenses.add_to(plan, &mut generated)?;
    keep_others(plan, &staging, term)?;
    let archives = archives(plan, &binaries, &generated, &staging, cache, term)?;
    let images = images(plan, &bases, &binaries, &licenses, cache, registry, term)?;
    for image in &images {
        let (names, place) = (&image.plan.names, format!("{IMAGES}{}", image.plan.name));
        let root = registry.fetch(&image.root)?;
        sink::layout(&root, names, &staging.path(&place), &staging.dist().join(&place))?;
    }
    let manifests = plugins::manifests(plan, &archives, &staging, cache, term)?;
    let sboms = sboms::make(plan, project, &binaries, &images, &bases, Some(&staging))?;
    let mut made: Vec<Artifact> = archives.into_iter().map(Artifact::Archive).collect();
    made.extend(images.into_iter().map(Box::new).map(Artifact::Image));
    made.extend(manifests.into_iter().map(Artifact::Krew));
    made.extend(sboms.into_iter().map(Artifact::Sbom));
    let toolchain = source.toolchain(plan, project, cache)?;
    let (bases, toolchain) = (&bases[..], &toolchain[..]);
    let making = provenance::Making { plan, project, binaries: &binaries, bases, toolchain };
    let statements = provenance::make(&making, &made, Some(&staging))?;
    made.extend(statements.into_iter().map(Artifact::Provenance));
    provenance::keep(plan, &made, &staging)?;
    made.extend(artifacts::checksums(plan, &made, &staging)?);
    provenance::keep_signature(plan, &staging)?;
    Ok(Made { staging, artifacts: made, left_out, cargo, dist: &locks.dist })
}

/// Signs what was made, where there is a key, and puts all of it into dist/.
pub fn finish<'lock>(
    made: Made<'lock>,
    plan: &Plan,
    project: &Project,
    signing: Option<&Signing>,
    term: &Term,
) -> Result<Outcome<'lock>> {
    let Made { staging, mut artifacts, left_out, cargo, dist } = made;
    let signatures = match (&plan.sign, signing) {
        (Some(sign), Some(signing)) => sign::files(sign, signing, &artifacts, &staging, term)?,
        _ => Vec::new(),
    };
    artifacts.extend(signatures);
    let artifacts = artifacts::describe(plan, name(plan, project), artifacts, &staging)?;
    staging.commit(plan.time)?;
    Ok(outcome(plan, artifacts, left_out, cargo, Some(dist)))
}

/// `left_out` is what turned out only when it was to be made.
fn outcome<'lock>(
    plan: &Plan,
    artifacts: Vec<Artifact>,
    left_out: Vec<LeftOut>,
    cargo: Duration,
    dist: Option<&'lock Dist>,
) -> Outcome<'lock> {
    Outcome {
        title: title(plan),
        version: plan.version.to_string(),
        artifacts,
        left_out: plan.left_out.iter().cloned().chain(left_out).collect(),
        cargo,
        inputs: Vec::new(),
        dist,
        dist_name: plan.dist_name().to_owned(),
    }
}

/// Makes the plan's images, and what it says of them, and puts them nowhere yet.
pub fn images_alone(
    plan: &Plan,
    project: &Project,
    network: Network,
    cache: &Cache,
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Outcome<'static>> {
    let _lock = lock_target(project, term)?;
    let bases = bases::all(plan, cache, registry, term)?;
    images::expect(plan, &bases, registry);
    let (binaries, left_out, cargo) = binaries(plan, project, network, term)?;
    let licenses = licenses::of(plan, &binaries, cache, term)?;
    let images = images(plan, &bases, &binaries, &licenses, cache, registry, term)?;
    let sboms = sboms::make(plan, project, &binaries, &images, &bases, None)?;
    let mut made: Vec<Artifact> = images.into_iter().map(Box::new).map(Artifact::Image).collect();
    made.extend(sboms.into_iter().map(Artifact::Sbom));
    let toolchain = Source::Cargo(network).toolchain(plan, project, cache)?;
    let (bases, toolchain) = (&bases[..], &toolchain[..]);
    let making = provenance::Making { plan, project, binaries: &binaries, bases, toolchain };
    let statements = provenance::make(&making, &made, None)?;
    made.extend(statements.into_iter().map(Artifact::Provenance));
    let inputs = binaries.0.iter().flat_map(|binary| binary.compiled().inputs().iter().cloned());
    let inputs = inputs.collect();
    Ok(Outcome { inputs, ..outcome(plan, made, left_out, cargo, None) })
}

/// Takes over the parts of dist/ that are not made anew, where they are of the same sources:
/// all of a dist/ is of one commit and one version.
fn keep_others(plan: &Plan, staging: &Staging<'_>, term: &Term) -> Result<()> {
    if matches!(plan.part, Part::All | Part::Programs) {
        return Ok(());
    }
    let folder = if plan.part == Part::Dockerfiles { DOCKER } else { IMAGES };
    let ours: Vec<String> =
        plan.images.iter().map(|image| format!("{folder}{}/", image.name)).collect();
    // An image that is made again has another digest than its list says.
    let outdated = |path: &str| {
        plan.part == Part::Images && plan.images.iter().any(|image| plan::is_sbom_of(image, path))
    };
    // What tells of several things is made anew, or kept once it is known to be true still.
    let is_described = |path: &str| {
        let own = path.strip_suffix(BUNDLE).unwrap_or(path);
        plan::is_statement(path) || ["artifacts.json", "metadata.json", CHECKSUMS].contains(&own)
    };
    let kept = |path: &str| {
        if plan.part == Part::Archives {
            let of_images = [IMAGES, DOCKER].iter().any(|of| path.starts_with(of));
            return of_images || plan::is_sbom_of_an_image(path);
        }
        let is_own = ours.iter().any(|own| path.starts_with(own));
        !is_described(path) && !outdated(path) && !is_own
    };
    match Of::read(staging.dist())? {
        Some(of) if of.is_of(plan) => staging.adopt(&kept),
        Some(of) => {
            term.step("drop", format_args!("what dist/ has of {of}"));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Prepares, compiles and proves: what may be shipped, what couldn't be built, and how
/// long cargo took.
pub fn binaries(
    plan: &Plan,
    project: &Project,
    network: Network,
    term: &Term,
) -> Result<(Binaries, Vec<LeftOut>, Duration)> {
    let ready = toolchain::prepare(&plan.builds, project, network, term)?;
    ready.warnings.iter().for_each(|warning| term.finding(warning));
    let nothing = plan.builds.iter().all(|build| ready.groups(build).is_empty());
    if !ready.left_out.is_empty() && (plan.mode != Mode::Snapshot || nothing) {
        return Err(Findings(ready.left_out.iter().map(LeftOut::finding).collect()).into());
    }
    project.fetch_sources(network)?;
    let started = Instant::now();
    let compiled = compile(&plan.builds, &ready, project, term)?;
    let cargo = started.elapsed();
    held::ensure(&compiled, plan, project, term)?;
    let finished = stamp::finish(compiled, &plan.builds, project)?;
    Ok((proved(finished, term)?, ready.left_out, cargo))
}

/// The programs that are what they were to be; all that is wrong with others is found.
fn proved(compiled: Vec<Compiled>, term: &Term) -> Result<Binaries> {
    let mut binaries = Vec::new();
    let mut findings = Vec::new();
    for compiled in compiled {
        match prove(compiled) {
            Ok(binary) => binaries.push(binary),
            Err(found) => findings.extend(found),
        }
    }
    if !findings.is_empty() {
        return Err(Findings(findings).into());
    }
    for binary in &binaries {
        let (compiled, linkage) = (binary.compiled(), binary.linkage());
        let (bin, target) = (compiled.bin(), compiled.target());
        term.detail(format_args!("{bin} for {target}: {linkage}"));
        binary.warnings().iter().for_each(|warning| term.finding(warning));
    }
    Ok(Binaries(binaries))
}

/// The name of the whole: the root package's, or else that of the first package
/// that is built. A folder's would differ between two checkouts of one commit.
fn name<'a>(plan: &'a Plan, project: &'a Project) -> &'a str {
    let root = project.packages.iter().find(|package| package.dir == project.root);
    let first = plan.builds.first().map(|build| &*build.package);
    root.map(|package| &*package.name).or(first).unwrap_or("workspace")
}

/// What programs write for archives, but for those that could not be built for
/// this machine.
fn generated(
    plan: &Plan,
    project: &Project,
    binaries: &Binaries,
    left_out: &mut Vec<LeftOut>,
    term: &Term,
) -> Result<Generated> {
    let (plans, unbuilt): (Vec<_>, Vec<_>) =
        plan.generate.iter().cloned().partition(|plan| generate::runnable(plan, binaries).is_ok());
    left_out.extend(unbuilt.into_iter().map(|plan| {
        let what = format!("{} of {}", plan.output, plan.package);
        let why = format!("{}, which writes it, was not built for this machine", plan.bin);
        LeftOut::forced(what, None, why, "build it too: why it was not is said in its own line")
    }));
    generate::generate(&plans, &plan.archives, binaries, plan.time, &project.env, term)
}

/// Adds the licences that krew takes by one name alone.
fn join(plan: &Plan, generated: &mut Generated, term: &Term) -> Result<()> {
    let mut joined = BTreeSet::new();
    for archive in &plan.archives {
        let Some(own) = &archive.joined else { continue };
        // The archives of a package have the same licence.
        if joined.insert(&archive.package) {
            let from = own.from.iter().filter_map(|path| path.file_name()?.to_str());
            let from = from.collect::<Vec<_>>().join(" and ");
            let what = format!("{} of {from} for {}", own.name, archive.package);
            term.step("join", format!("{what}: krew takes no licence by another name"));
            generated.join(&archive.package, own)?;
        }
    }
    Ok(())
}

/// Makes all archives, as many at a time as there are processors.
fn archives(
    plan: &Plan,
    binaries: &Binaries,
    generated: &Generated,
    staging: &Staging<'_>,
    cache: &Cache,
    term: &Term,
) -> Result<Vec<Archive>> {
    // Targets that could not be prepared have no binaries, and were listed.
    let made = |archive: &&ArchivePlan| binaries.has(&archive.package, &archive.target);
    let plans: Vec<&ArchivePlan> = plan.archives.iter().filter(made).collect();
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    // Packages may have versions of their own.
    let versions: BTreeSet<&Version> = plans.iter().map(|archive| &archive.version).collect();
    let versions: Vec<String> = versions.into_iter().map(ToString::to_string).collect();
    term.step("archive", format_args!("{} of {}", plans.len(), versions.join(", ")));
    let bar = term.bar("archive", binaries.size());
    let archives = parallel::map(&plans, parallel::processors(), |archive_plan| {
        archive(archive_plan, binaries, generated, plan.time, staging, cache, &bar)
    });
    bar.finish_and_clear();
    archives
}
