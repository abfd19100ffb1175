//! What others build images of, written: Dockerfiles and what goes with them.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Source, bases, binaries, keep_others, lock_dist, lock_target, name, proved};
use super::{licenses, provenance};
use crate::artifacts;
use crate::cache::Cache;
use crate::dockerfile;
use crate::files::{self, Dist, Staging, limits};
use crate::finding::failure;
use crate::linkage::Binaries;
use crate::oci::{self, Base};
use crate::plan::{ImagePlan, Plan};
use crate::project::Project;
use crate::registry::Registry;
use crate::term::Term;

/// The folder of Dockerfiles in dist/.
pub const DOCKER: &str = "docker/";

/// Where Dockerfiles go.
enum DockerfilePlace<'a> {
    Dist(Dist),
    /// A folder of the workspace.
    Folder(&'a str),
}

/// What goes with a Dockerfile.
struct Beside<'a> {
    base: Option<&'a Base>,
    licenses: &'a str,
    binaries: &'a Binaries,
}

/// Writes the Dockerfiles of the plan's images and what goes with them, into dist/ or
/// into `output`, a folder of the workspace; the `programs` beside them, where some are to
/// be. Returns where they are.
pub fn dockerfiles(
    plan: &Plan,
    project: &Project,
    programs: Option<&Source>,
    output: Option<&str>,
    cache: &Cache,
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Vec<PathBuf>> {
    if !project.has_lock {
        let fix = "run `cargo generate-lockfile` and commit Cargo.lock";
        return Err(failure("a Docker build needs Cargo.lock, and there is none", fix));
    }
    let place = match output {
        Some(folder) => DockerfilePlace::Folder(folder),
        None => DockerfilePlace::Dist(lock_dist(project, term)?),
    };
    let built_here = matches!(programs, Some(Source::Cargo(_)));
    let _target = built_here.then(|| lock_target(project, term)).transpose()?;
    let mut bases = Vec::new();
    for image in &plan.images {
        let needed = oci::names_folders(image)?;
        bases.push(needed.then(|| bases::one(image, cache, registry, term)).transpose()?);
    }
    let binaries = match programs {
        Some(Source::Cargo(network)) => binaries(plan, project, *network, term)?.0,
        Some(Source::Shards(shards)) => proved(shards.compiled.clone(), term)?,
        None => Binaries::default(),
    };
    let dist = match &place {
        DockerfilePlace::Dist(dist) => dist,
        DockerfilePlace::Folder(folder) => {
            let [image] = &plan.images[..] else {
                let fix = "name one package with --package";
                return Err(failure("--output is one folder, and there are several images", fix));
            };
            let dir = project.root.join(folder);
            ensure_ours(&dir.join("Dockerfile"))?;
            let licenses = &licenses::of_image(plan, image, cache, term)?;
            let beside = Beside { base: bases[0].as_ref(), licenses, binaries: &binaries };
            dockerfile(image, beside, plan, project, folder, &dir)?;
            return Ok(vec![dir.join("Dockerfile")]);
        }
    };
    let staging = Staging::open(dist)?;
    keep_others(plan, &staging, term)?;
    let mut written = Vec::new();
    for (image, base) in plan.images.iter().zip(&bases) {
        let place = format!("{DOCKER}{}", image.name);
        let (folder, to) = (format!("{}/{place}", plan.dist_name()), staging.path(&place));
        let licenses = &licenses::of_image(plan, image, cache, term)?;
        let beside = Beside { base: base.as_ref(), licenses, binaries: &binaries };
        dockerfile(image, beside, plan, project, &folder, &to)?;
        written.push(dist.path().join(&place).join("Dockerfile"));
    }
    provenance::keep(plan, &[], &staging)?;
    let checksums = artifacts::checksums(plan, &[], &staging)?.into_iter().collect();
    provenance::keep_signature(plan, &staging)?;
    artifacts::describe(plan, name(plan, project), checksums, &staging)?;
    staging.commit(plan.time)?;
    Ok(written)
}

/// Writes one Dockerfile, which is called by `folder`, and what goes with it to `dir`.
fn dockerfile(
    image: &ImagePlan,
    beside: Beside<'_>,
    plan: &Plan,
    project: &Project,
    folder: &str,
    dir: &Path,
) -> Result<()> {
    let Beside { base, licenses, binaries } = beside;
    let rendered = dockerfile::render(image, plan, project, folder)?;
    files::make_dir(dir)?;
    let mut rootfs = files::temporary(dir)?;
    let trees = base.map_or_else(Vec::new, Base::trees);
    oci::rootfs_tar(image, &trees, licenses, BufWriter::new(&mut rootfs))?;
    files::persist(rootfs, &dir.join("rootfs.tar"))?;
    for it in &image.platforms {
        let place = dir.join("bin").join(&it.platform.os).join(it.platform.suffix());
        for binary in binaries.of(&image.package, &it.target) {
            let compiled = binary.compiled();
            files::copy_program(compiled.path(), &place.join(compiled.bin()))?;
        }
    }
    files::write(&dir.join("Dockerfile.dockerignore"), rendered.ignore.as_bytes())?;
    files::write(&dir.join("Dockerfile"), rendered.text.as_bytes())
}

/// Fails where there is a Dockerfile that this tool did not write.
fn ensure_ours(path: &Path) -> Result<()> {
    let text = files::read_foreign_if_there(path, limits::SETTINGS)?.unwrap_or_default();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if text.is_empty() || String::from_utf8_lossy(first).contains(dockerfile::MARK) {
        return Ok(());
    }
    Err(failure(
        format!("{} was not written by dockless, so it is not replaced", path.display()),
        "move it away, or name another folder with --output",
    ))
}
