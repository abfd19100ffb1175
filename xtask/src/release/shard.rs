//! Programs that were built on several machines, and how they come together: each machine
//! leaves a shard in its dist/, and one joins them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

use super::{Staging, binaries, generated, lock, name};
use crate::artifacts;
use crate::cache::Cache;
use crate::compile::Compiled;
use crate::config::unfit;
use crate::digest::{self, Digest};
use crate::files::{self, Boundary, Limit, limits};
use crate::finding::{Finding, Findings, Place, failure};
use crate::generate;
use crate::http::Network;
use crate::linkage::Binary;
use crate::plan::{BuildPlan, LeftOut, Mode, Plan};
use crate::project::Project;
use crate::target::Target;
use crate::term::Term;
use crate::toolchain::{self, ToolchainPart};
use crate::version::Version;

/// What describes a shard, in its folder.
pub const SHARD: &str = "shard.json";
/// Where a shard has its programs: `programs/TARGET/PACKAGE/PROGRAM`.
const PROGRAMS: &str = "programs";
/// Where a shard has what they wrote: `generated/PACKAGE/FILE`.
const GENERATED: &str = "generated";

/// What a machine built of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shard {
    /// The version of this tool.
    dockless: String,
    /// The version of rustc, as it prints it.
    rustc: String,
    commit: String,
    version: Version,
    /// The digest of the whole release's plan.
    plan: Digest,
    programs: Vec<Program>,
    /// What programs wrote on this machine.
    generated: Vec<File>,
    /// What the programs were made with.
    toolchain: Vec<ToolchainPart>,
}

/// A program in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Program {
    package: String,
    bin: String,
    target: Target,
    digest: Digest,
}

/// A file that a package's programs wrote, in a shard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct File {
    package: String,
    name: String,
    digest: Digest,
    /// Whether it is executable: a copy of the shard may lose the file's own bit.
    executable: bool,
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
                "args": args, "env": env, "auditable": build.auditable })
    };
    let krew: Vec<_> = whole.krew.iter().map(|it| (&it.name, &it.platforms)).collect();
    let images: Vec<_> =
        whole.images.iter().map(|it| (&it.name, &it.platforms, &it.names)).collect();
    let generate: Vec<_> =
        whole.generate.iter().map(|it| (&it.package, &it.bin, &it.args, &it.output)).collect();
    let plan = json!({
        "generate": generate,
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
    Ok(digest::of_parts([b"dockless plan 3".as_slice(), &text]))
}

/// Builds the plan's programs for these targets, and runs those that run here for the files
/// that they write. All of it goes into dist/, as a shard of the release whose plan has the
/// digest `whole`.
pub fn split(
    plan: &Plan,
    targets: &[String],
    whole: &Digest,
    project: &Project,
    network: Network,
    cache: &Cache,
    term: &Term,
) -> Result<PathBuf> {
    let clean = project.git.as_ref().is_some_and(|git| !git.dirty);
    let Some(commit) = plan.commit.clone().filter(|_| clean) else {
        bail!(failure(
            "several machines build one commit, and what is here is not committed",
            "commit it, or build all targets on this machine, without --split",
        ));
    };
    let locks = lock(project, term)?;
    let staging = Staging::open(&locks.dist)?;
    let (binaries, mut left_out, _) = binaries(plan, project, network, term)?;
    let written = generated(plan, project, &binaries, &mut left_out, term)?;
    if let Some(left) = left_out.first() {
        bail!(Findings(vec![left.finding()]));
    }
    let mut programs = Vec::new();
    // Other targets are parts of those asked for, or were built only to be run here.
    let asked = |it: &&Binary| targets.contains(&it.compiled().target().to_string());
    for binary in binaries.0.iter().filter(asked) {
        let compiled = binary.compiled();
        let bytes = files::read(compiled.path())?;
        let program = Program {
            package: compiled.package().to_owned(),
            bin: compiled.bin().to_owned(),
            target: compiled.target().clone(),
            digest: Digest::of(&bytes),
        };
        staging.write(&program.place(), &bytes)?;
        programs.push(program);
    }
    let mut generated = Vec::new();
    for (package, files) in written.iter() {
        for file in files {
            let described = File {
                package: package.to_owned(),
                name: file.name.clone(),
                digest: file.digest,
                executable: file.mode & 0o100 != 0,
            };
            staging.write(&described.place(), &files::read(&file.path)?)?;
            generated.push(described);
        }
    }
    generated.sort();
    let shard = Shard {
        dockless: env!("CARGO_PKG_VERSION").to_owned(),
        rustc: project.rustc.version(&project.root, &project.env)?,
        commit,
        version: plan.version.clone(),
        plan: *whole,
        programs,
        generated,
        toolchain: toolchain::identity(&plan.builds, project, cache)?,
    };
    staging.write(SHARD, &artifacts::document(&shard)?)?;
    artifacts::describe(plan, name(plan, project), Vec::new(), &staging)?;
    staging.commit(plan.time)?;
    Ok(locks.dist.path().join(SHARD))
}

impl Program {
    fn place(&self) -> String {
        format!("{PROGRAMS}/{}/{}/{}", self.target, self.package, self.bin)
    }
}

impl File {
    fn place(&self) -> String {
        format!("{GENERATED}/{}/{}", self.package, self.name)
    }
}

/// The programs of all shards and what they wrote, in a folder of this machine's own.
pub struct Shards {
    pub compiled: Vec<Compiled>,
    /// By package, as far as the plan asks for it.
    pub generated: BTreeMap<String, Vec<generate::File>>,
    /// What the programs were made with, sorted.
    pub toolchain: Vec<ToolchainPart>,
    /// What no shard holds and a snapshot goes without.
    pub left_out: Vec<LeftOut>,
    _folder: TempDir,
}

/// Joins shards: each folder is one, or holds some. They must be of this plan's commit and
/// digest, and of this version of the tool, and hold each program once; anything else is
/// found at once. What they hold is copied, and its digest compared; nothing of it is run.
pub fn merge(dirs: &[PathBuf], plan: &Plan, whole: &Digest, project: &Project) -> Result<Shards> {
    let mut shards = Vec::new();
    for dir in dirs {
        shards.extend(found_in(dir)?);
    }
    let mut findings = Vec::new();
    let mut known: BTreeMap<(&str, &str, &Target), (&Path, &Program)> = BTreeMap::new();
    let first = shards.first().map(|(_, shard)| shard.rustc.clone()).unwrap_or_default();
    for (path, shard) in &shards {
        let path = path.as_path();
        findings.extend(foreign(path, shard, plan, whole, &first));
        for program in &shard.programs {
            let key = (&*program.package, &*program.bin, &program.target);
            if let Some((other, _)) = known.insert(key, (path, program)) {
                let (bin, target) = (&program.bin, &program.target);
                let why = format!("it holds {bin} for {target}, as {} does", other.display());
                let fix = "hand over one shard of each target";
                findings.push(Finding::error("shard-double", Place::file(path), why, fix));
            }
        }
    }
    let mut wanted = Vec::new();
    for (build, target, bin) in expected(plan) {
        match known.get(&(&*build.package, bin, target)) {
            Some((path, program)) => wanted.push((build, *path, *program)),
            None => {
                let why = format!("no shard holds {bin} for {target}");
                let fix = format!("build it by `release --split --target {target}`");
                findings.push(Finding::error("shard-missing", Place::default(), why, fix));
            }
        }
    }
    let (written, left_out, found) = written(plan, &shards);
    findings.extend(found);
    if !findings.is_empty() {
        bail!(Findings(findings));
    }
    files::make_dir(&project.target_dir)?;
    let folder = files::temporary_dir_in(&project.target_dir)?;
    let mut compiled = Vec::new();
    for (build, path, program) in wanted {
        let to = folder.path().join(program.place());
        let bytes = intact(path, &program.place(), &program.digest, limits::PROGRAM)?;
        // A copy of the shard may have lost the executable bit.
        files::write_program(&to, &bytes)?;
        compiled.push(Compiled::of(build, &program.bin, &program.target, to));
    }
    let mut generated: BTreeMap<String, Vec<generate::File>> = BTreeMap::new();
    for (at, (path, file)) in written.into_iter().enumerate() {
        if let Some(why) = unfit(&file.name) {
            bail!("read {}: {:?} is no name of a file: {why}", path.display(), file.name);
        }
        let bytes = intact(path, &file.place(), &file.digest, Limit(generate::MAX_SIZE))?;
        let to = folder.path().join(format!("{GENERATED}-{at}"));
        files::write(&to, &bytes)?;
        let (name, digest) = (file.name.clone(), Digest::of(&bytes));
        let own = generated.entry(file.package.clone()).or_default();
        let mode = if file.executable { 0o755 } else { 0o644 };
        own.push(generate::File { name, path: to, digest, mode });
    }
    let toolchain: BTreeSet<_> =
        shards.iter().flat_map(|(_, shard)| shard.toolchain.iter().cloned()).collect();
    let toolchain = toolchain.into_iter().collect();
    Ok(Shards { compiled, generated, toolchain, left_out, _folder: folder })
}

/// The files that programs wrote for the plan, each with its shard; what a snapshot goes
/// without; and what is wrong. Machines that ran one package's programs must have the same.
fn written<'a>(
    plan: &Plan,
    shards: &'a [(PathBuf, Shard)],
) -> (Vec<(&'a Path, &'a File)>, Vec<LeftOut>, Vec<Finding>) {
    let (mut taken, mut left_out, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    let packages: BTreeSet<&str> = plan.generate.iter().map(|it| &*it.package).collect();
    for package in packages {
        let of = |shard: &'a Shard| {
            let own = shard.generated.iter().filter(|file| file.package == package);
            own.collect::<Vec<&File>>()
        };
        let all = shards.iter().map(|(path, shard)| (path, of(shard)));
        let mut all = all.filter(|(_, files)| !files.is_empty());
        let Some((first, files)) = all.next() else {
            let what = format!("generated files of {package}");
            let fix = "build one of its targets by `release --split` on a machine that runs it";
            let missing = LeftOut::forced(what, None, "no shard holds them", fix);
            match plan.mode {
                Mode::Snapshot => left_out.push(missing),
                _ => findings.push(missing.finding()),
            }
            continue;
        };
        for (path, others) in all {
            let differs = |one: &[&File], two: &[&File]| {
                one.iter().find(|file| !two.contains(file)).map(|file| file.name.clone())
            };
            if let Some(name) = differs(&files, &others).or_else(|| differs(&others, &files)) {
                let first = first.display();
                let why = format!("its {name:?} of {package} is not that of {first}");
                let fix = "let the program write the same on every machine";
                findings.push(Finding::error("shard-generated", Place::file(path), why, fix));
            }
        }
        taken.extend(files.into_iter().map(|file| (first.as_path(), file)));
    }
    (taken, left_out, findings)
}

/// The programs that a release is made of.
fn expected(plan: &Plan) -> impl Iterator<Item = (&BuildPlan, &Target, &str)> {
    plan.builds.iter().flat_map(|build| {
        let targets = build.targets.iter().chain(&build.joined);
        let shipped = targets.filter(|target| {
            let archived = plan.archives.iter().any(|it| it.target == **target);
            let mut platforms = plan.images.iter().flat_map(|image| &image.platforms);
            let imaged = platforms.any(|it| it.target == **target);
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
    } else if shard.plan != *whole {
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

/// The shard in a folder, or those in its folders: a workflow downloads each artifact into a
/// folder of its name.
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

/// Reads a file of a shard, whose name was compared with the plan's, and checks its digest.
fn intact(shard: &Path, place: &str, digest: &Digest, limit: Limit) -> Result<Vec<u8>> {
    let folder = shard.with_file_name("");
    let from = folder.join(place);
    let bytes = Boundary::new(&folder, &[])?.read(&from, limit)?;
    let there = Digest::of(&bytes);
    if there != *digest {
        bail!(failure(
            format!("{} is {there}, and not {digest}", from.display()),
            "build the shard again, and copy it without changing anything",
        ));
    }
    Ok(bytes)
}
