//! Programs that were built on several machines, and how they come together: each machine
//! leaves a shard in its dist/, and one joins them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

use super::{Staging, binaries, lock, name};
use crate::checksum::{self, Made};
use crate::compile::Compiled;
use crate::digest::{self, Digest};
use crate::files::{self, Boundary, limits};
use crate::finding::{Finding, Findings, Place, failure};
use crate::plan::{BuildPlan, Plan};
use crate::project::Project;
use crate::target::Target;
use crate::term::Term;

/// What describes a shard, in its folder.
pub const SHARD: &str = "shard.json";
/// Where a shard has its programs: `programs/TARGET/PACKAGE/PROGRAM`.
const PROGRAMS: &str = "programs";
/// What a machine built of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shard {
    /// The version of this tool.
    dockless: String,
    /// What rustc says of itself.
    rustc: String,
    commit: String,
    version: String,
    /// The digest of the whole release's plan.
    plan: String,
    programs: Vec<Program>,
}

/// A program in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Program {
    package: String,
    bin: String,
    target: String,
    digest: String,
}

/// What of a plan must be the same on all machines: everything but what a machine has of
/// its own, such as folders and linkers. `whole` is the plan of the release with all targets.
pub fn plan_digest(whole: &Plan) -> Result<Digest> {
    let own = |arg: &&String| {
        !["--jobs=", "--offline", "--locked"].iter().any(|start| arg.starts_with(start))
    };
    let build = |build: &BuildPlan| {
        let args: Vec<&String> = build.args.iter().filter(own).collect();
        let (package, version, bins) = (&build.package, &build.version, &build.bins);
        let (profile, env) = (&build.profile, &build.env);
        json!({ "package": package, "version": version, "bins": bins, "profile": profile,
                "args": args, "env": env })
    };
    let krew: Vec<_> = whole.krew.iter().map(|it| (&it.name, &it.platforms)).collect();
    let images: Vec<_> =
        whole.images.iter().map(|it| (&it.name, &it.platforms, &it.names)).collect();
    let plan = json!({
        "mode": whole.mode,
        "version": whole.version,
        "tag": whole.tag,
        "commit": whole.commit,
        "time": whole.time,
        "builds": whole.builds.iter().map(build).collect::<Vec<_>>(),
        "archives": whole.archives.iter().map(|it| &it.name).collect::<Vec<_>>(),
        "images": images,
        "krew": krew,
    });
    let text = serde_json::to_vec(&plan).context("write the plan")?;
    Ok(digest::of_parts([b"dockless plan 1".as_slice(), &text]))
}

/// Builds the plan's programs for these targets and leaves them in dist/, as a shard of the
/// release that the plan of this digest makes.
pub fn split(
    plan: &Plan,
    targets: &[String],
    whole: &Digest,
    project: &Project,
    offline: bool,
    term: &Term,
) -> Result<PathBuf> {
    let clean = project.git.as_ref().is_some_and(|git| !git.dirty);
    let Some(commit) = plan.commit.clone().filter(|_| clean) else {
        bail!(failure(
            "several machines build one commit, and what is here is not committed",
            "commit it, or build all targets on this machine, without --split",
        ));
    };
    let _lock = lock(project, term)?;
    let staging = Staging::open(&plan.dist)?;
    let (binaries, left_out, _) = binaries(plan, project, offline, term)?;
    if let Some(left) = left_out.first() {
        bail!(Findings(vec![left.finding()]));
    }
    let mut programs = Vec::new();
    for binary in binaries.iter().filter(|it| is_asked_for(it.compiled().target(), plan, targets)) {
        let compiled = binary.compiled();
        let bytes = files::read(compiled.path())?;
        let program = Program {
            package: compiled.package().to_owned(),
            bin: compiled.bin().to_owned(),
            target: compiled.target().to_string(),
            digest: Digest::of(&bytes).to_string(),
        };
        staging.write(&program.place(), &bytes)?;
        programs.push(program);
    }
    let shard = Shard {
        dockless: env!("CARGO_PKG_VERSION").to_owned(),
        rustc: project.rustc.version(&project.root, &project.env)?,
        commit,
        version: plan.version.to_string(),
        plan: whole.to_string(),
        programs,
    };
    let mut text = serde_json::to_vec_pretty(&shard).context("write JSON")?;
    text.push(b'\n');
    staging.write(SHARD, &text)?;
    let made = Made { archives: &[], manifests: &[], images: &[], binaries: &[] };
    checksum::describe(plan, name(plan, project), &made, &staging)?;
    staging.commit(plan.time)?;
    Ok(plan.dist.join(SHARD))
}

/// Whether a program is not only a part of one that is joined of several: whoever wants the
/// part itself asks for it, maybe on another machine.
fn is_asked_for(target: &Target, plan: &Plan, targets: &[String]) -> bool {
    let mut joined = plan.builds.iter().flat_map(|build| &build.joined);
    targets.contains(&target.to_string()) || !joined.any(|it| it.parts().contains(target))
}

impl Program {
    fn place(&self) -> String {
        format!("{PROGRAMS}/{}/{}/{}", self.target, self.package, self.bin)
    }
}

/// The programs of all shards, in a folder of this machine's own.
pub struct Shards {
    pub compiled: Vec<Compiled>,
    _folder: TempDir,
}

/// Joins shards: each folder is one, or holds some. They must be of this plan's commit and
/// digest, and of this version of the tool, and hold each program once; anything else is
/// found at once. What they hold is copied, and its digest compared.
pub fn merge(dirs: &[PathBuf], plan: &Plan, whole: &Digest, project: &Project) -> Result<Shards> {
    let mut shards = Vec::new();
    for dir in dirs {
        shards.extend(found_in(dir)?);
    }
    let mut findings = Vec::new();
    let mut known: BTreeMap<(&str, &str, &str), &Path> = BTreeMap::new();
    let first = shards.first().map(|(_, shard)| shard.rustc.clone()).unwrap_or_default();
    for (path, shard) in &shards {
        findings.extend(foreign(path, shard, plan, whole, &first));
        for program in &shard.programs {
            let key = (&*program.package, &*program.bin, &*program.target);
            if let Some(other) = known.insert(key, path) {
                let (bin, target) = (&program.bin, &program.target);
                let why = format!("it holds {bin} for {target}, as {} does", other.display());
                let fix = "hand over one shard of each target";
                findings.push(Finding::error("shard-double", Place::file(path), why, fix));
            }
        }
    }
    let mut wanted = Vec::new();
    for (build, target, bin) in expected(plan) {
        let key = (&*build.package, bin, target.as_str());
        match known.get(&key) {
            Some(path) => wanted.push((build, target, bin, *path)),
            None => {
                let why = format!("no shard holds {bin} for {target}");
                let fix = format!("build it by `release --split --target {target}`");
                findings.push(Finding::error("shard-missing", Place::default(), why, fix));
            }
        }
    }
    if !findings.is_empty() {
        bail!(Findings(findings));
    }
    files::make_dir(&project.target_dir)?;
    let folder = files::temporary_dir_in(&project.target_dir)?;
    let mut compiled = Vec::new();
    for (build, target, bin, path) in wanted {
        let named = |it: &&Program| {
            it.package == build.package && it.bin == bin && it.target == target.as_str()
        };
        let shard = shards.iter().find(|(other, _)| other == path).map(|(_, shard)| shard);
        let program = shard.and_then(|shard| shard.programs.iter().find(named));
        let program = program.context("find a program that was found before")?;
        let to = folder.path().join(program.place());
        copy(program, path, &to)?;
        compiled.push(Compiled::from_elsewhere(build, bin, target, to));
    }
    Ok(Shards { compiled, _folder: folder })
}

/// The programs that a release is made of.
fn expected(plan: &Plan) -> impl Iterator<Item = (&BuildPlan, &Target, &str)> {
    plan.builds.iter().flat_map(|build| {
        let targets = build.targets.iter().chain(&build.joined);
        let shipped = targets.filter(|target| {
            let archived = plan.archives.iter().any(|it| it.target == **target);
            let imaged = plan
                .images
                .iter()
                .any(|image| image.platforms.iter().any(|it| it.target == **target));
            archived || imaged
        });
        shipped.flat_map(move |target| build.bins.iter().map(move |bin| (build, target, &**bin)))
    })
}

/// Why a shard is not of this release.
fn foreign(
    path: &Path,
    shard: &Shard,
    plan: &Plan,
    whole: &Digest,
    rustc: &str,
) -> Option<Finding> {
    let tool = env!("CARGO_PKG_VERSION");
    let commit = plan.commit.as_deref().unwrap_or_default();
    let (why, fix) = if shard.dockless != tool {
        let why = format!("dockless {} made it, and this is {tool}", shard.dockless);
        (why, "use one version of dockless on all machines")
    } else if shard.commit != commit {
        let why = format!("it is of commit {:.12}, and this is {commit:.12}", shard.commit);
        (why, "build and join one commit")
    } else if shard.plan != whole.to_string() {
        let why = "it is of another plan of the same commit".to_owned();
        (why, "give --split and --merge the same packages, features, profile and kind of release")
    } else if shard.rustc != rustc {
        let why = format!("it was compiled by {}, and another by {rustc}", shard.rustc);
        (why, "name one toolchain in rust-toolchain.toml")
    } else {
        return None;
    };
    Some(Finding::error("shard-foreign", Place::file(path), why, fix))
}

/// The shard in a folder, or those in the folders in it: so artifacts of a workflow are
/// downloaded, each in a folder of its name.
fn found_in(dir: &Path) -> Result<Vec<(PathBuf, Shard)>> {
    let read = |path: PathBuf| {
        let context = || format!("read {}", path.display());
        let bytes = Boundary::new(dir, &[])?.read(&path, limits::SHARD)?;
        let shard: Shard = serde_json::from_slice(&bytes).with_context(context)?;
        Ok((path, shard))
    };
    let own = dir.join(SHARD);
    if own.is_file() {
        return Ok(vec![read(own)?]);
    }
    let within = files::list(dir)?.into_iter().map(|entry| entry.path.join(SHARD));
    let shards = within.filter(|path| path.is_file()).map(read).collect::<Result<Vec<_>>>()?;
    if shards.is_empty() {
        let why = format!("{} holds no shard: there is no {SHARD} in it", dir.display());
        bail!(failure(why, "name the dist/ that `release --split` left, or a folder of several"));
    }
    Ok(shards)
}

/// Copies a program out of a shard, whose names were compared with the plan's by now. On its
/// way it may have lost that it can be run.
fn copy(program: &Program, shard: &Path, to: &Path) -> Result<()> {
    let from = shard.with_file_name("").join(program.place());
    let bytes = Boundary::new(&shard.with_file_name(""), &[])?.read(&from, limits::PROGRAM)?;
    let there = Digest::of(&bytes);
    if there.to_string() != program.digest {
        bail!(failure(
            format!("{} is {there}, and not {}", from.display(), program.digest),
            "build the shard again, and copy it without changing anything",
        ));
    }
    files::write_program(to, &bytes)
}
