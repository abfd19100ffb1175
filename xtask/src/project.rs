//! Every fact about the project that was selected: what cargo, git and rustc say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::cache::Cache;
use crate::files::{self, Boundary, limits};
use crate::finding::{Help, failure};
use crate::http::Network;
use crate::parallel::join;
use crate::process::{Env, Program};
use crate::target::Target;
use crate::term::Term;
use crate::version::{ReleaseTag, Version, Versioned};

mod alike;
pub mod bases;
pub mod cargo_config;
pub mod crates;
pub mod cross;
pub mod git;
pub mod graph;
mod inputs;
mod packages;
mod profile;
pub mod rustc;
mod rustup;
mod stale;
mod tag_form;

pub use crates::{CRATES_IO, Crate, is_crates_io};
pub use cross::Cross;
pub use git::Git;
pub use graph::{Graph, NativeCrate, Wanted};
pub use profile::sets_strip;
pub use rustc::Rustc;
pub use tag_form::TagForm;

/// What the command line says about which project is meant.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The folder that the command was typed in.
    pub dir: PathBuf,
    /// A Cargo.toml, or the folder that holds one.
    pub manifest_path: Option<PathBuf>,
    /// Targets named on the command line, which rustc is asked about.
    pub targets: Vec<String>,
    pub network: Network,
    pub env: Env,
}

/// The facts; nothing here is a decision.
#[derive(Clone, Debug)]
pub struct Project {
    /// The workspace's root, absolute and without links.
    pub root: PathBuf,
    pub target_dir: PathBuf,
    /// Where releases are put.
    pub dist: PathBuf,
    /// The folders that cargo puts into what builds make.
    pub made: Vec<PathBuf>,
    /// The workspace's packages, sorted by name.
    pub packages: Vec<Package>,
    pub git: Option<Git>,
    /// Where files of the project are: in the repository, which may be more than the
    /// workspace, or else in the workspace, and nowhere that builds write.
    pub boundary: Boundary,
    /// The one form of release tags, where the settings fix it.
    pub tag_form: Option<TagForm>,
    /// The commit that `.cargo_vcs_info.json` names, in sources without git.
    pub packaged_commit: Option<String>,
    /// SOURCE_DATE_EPOCH, or else the commit's time.
    pub time: Option<Timestamp>,
    pub rustc: Rustc,
    /// The profiles that the root manifest and cargo's configuration define.
    pub profiles: Vec<profile::Profile>,
    pub has_lock: bool,
    /// What dockless.lock says of base images.
    pub bases: bases::Bases,
    /// What cargo printed of the workspace, part of the key of what is cached.
    pub metadata: Vec<u8>,
    /// The dependency graphs that [`Project::learn_graphs`] was asked for.
    pub graphs: BTreeMap<Wanted, Graph>,
    /// Sets of packages, as `NAME@VERSION`, that one call of cargo compiles as calls of their own
    /// would: for the targets and features that [`Project::learn_graphs`] was asked for.
    pub alike: Vec<BTreeSet<String>>,
    /// The C compilers for other machines, looked for by [`Project::learn_graphs`]
    /// where a graph or a target needs one.
    pub cross: Cross,
    /// The linkers that cargo's configuration or rustc's flags name, by triple.
    pub linkers: BTreeMap<String, PathBuf>,
    /// The variables that cargo's configuration sets for builds.
    pub build_vars: BTreeMap<String, OsString>,
    /// The cargo of the toolchain that the project is built with.
    pub cargo: PathBuf,
    /// The environment for programs that work on this project.
    pub env: Env,
}

/// One package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    /// How cargo is told which package is meant: `NAME@VERSION`, for a
    /// dependency may have the same name.
    /// <https://doc.rust-lang.org/cargo/reference/pkgid-spec.html>
    pub spec: String,
    pub manifest: PathBuf,
    /// The folder of the manifest.
    pub dir: PathBuf,
    /// The version in Cargo.toml.
    pub cargo_version: Version,
    /// Its build metadata; empty for none.
    pub cargo_build: String,
    /// The version that is built.
    pub versioned: Versioned,
    pub bins: Vec<Bin>,
    /// Feature names and what each turns on.
    pub features: Vec<(String, Vec<String>)>,
    pub about: About,
    /// The files that Cargo.toml names as licence and readme, by its keys.
    pub named_files: Vec<(&'static str, PathBuf)>,
    /// Whether it depends on this tool's library, which makes it an xtask.
    pub is_xtask: bool,
}

/// What Cargo.toml says about a package to people.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    pub license: Option<String>,
    pub description: Option<String>,
    pub repository: Option<String>,
    pub homepage: Option<String>,
}

/// One program of a package.
#[derive(Clone, Debug)]
pub struct Bin {
    pub name: String,
    pub required_features: Vec<String>,
}

/// A `metadata.dockless` table as it was typed.
#[derive(Clone, Debug)]
pub struct RawConfig {
    pub manifest: PathBuf,
    /// The package that the table is of; `None` for the workspace's.
    pub package: Option<String>,
    pub value: Value,
}

impl Project {
    /// The package of this name.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The dependency graph of a package for a target, of those that were learnt.
    pub fn graph(&self, package: &str, target: &Target) -> Option<&Graph> {
        let spec = &self.package(package)?.spec;
        let is_its = |wanted: &Wanted| wanted.package == *spec && wanted.target == *target;
        self.graphs.iter().find(|(wanted, _)| is_its(wanted)).map(|(_, graph)| graph)
    }

    /// The commit that the sources are of, as far as anything says so.
    pub fn commit(&self) -> Option<&str> {
        self.git.as_ref().and_then(|git| git.commit.as_deref()).or(self.packaged_commit.as_deref())
    }

    /// What texts of the settings may name, and its value for a package; empty where it is
    /// not known.
    pub fn values(&self, package: &Package) -> [(&'static str, String); 5] {
        let describe = self.git.as_ref().and_then(|git| git.describe.clone());
        [
            ("name", package.name.clone()),
            ("version", package.versioned.version().to_string()),
            ("commit", self.commit().unwrap_or("").to_owned()),
            ("date", self.time.map_or_else(String::new, |time| time.to_string())),
            ("describe", describe.unwrap_or_default()),
        ]
    }

    /// cargo's home folder, where the sources of dependencies lie.
    pub fn cargo_home(&self) -> Option<PathBuf> {
        cargo_config::home(&self.root, &self.env)
    }

    /// Adds the facts about the dependency graphs of the wanted builds, and
    /// about what they take to compile and to link.
    pub fn learn_graphs(
        &mut self,
        wanted: &[Wanted],
        network: Network,
        cache: &Cache,
        term: &Term,
    ) -> Result<()> {
        (self.graphs, self.alike) = graph::learn(self, wanted, network, cache, term)?;
        self.learn_outside()?;
        let foreign = |wanted: &Wanted| {
            let graph = self.graphs.get(wanted);
            !wanted.target.is_musl() || graph.is_some_and(|it| it.compiling_c().next().is_some())
        };
        if wanted.iter().any(foreign) {
            self.cross = cross::look(&self.root, &self.env, cache);
            let config = cargo_config::read(self)?;
            self.linkers = cargo_config::linkers(&config, wanted.iter().map(|it| &it.target))?;
            self.build_vars = cargo_config::vars(&config);
        }
        Ok(())
    }

    /// The release that a tag announces, in the form that counts here.
    pub fn read_tag(&self, tag: &str) -> Option<ReleaseTag> {
        self.tag_form.as_ref().map_or_else(|| ReleaseTag::parse(tag), |form| form.read(tag))
    }

    /// A tag that would announce the package's version.
    pub fn tag_for(&self, package: &str, version: &Version) -> String {
        let form = self.tag_form.as_ref();
        form.map_or_else(|| format!("v{version}"), |form| form.write(package, version))
    }

    /// Whether the user sets the variable for builds, here or in cargo's configuration.
    pub fn sets(&self, variable: &str) -> bool {
        self.var(variable).is_some()
    }

    /// What a build sees under this name.
    pub fn var(&self, variable: &str) -> Option<&OsStr> {
        self.env.get(variable).or(self.build_vars.get(variable).map(OsString::as_os_str))
    }

    /// A cargo to be started in the project's root. It gets tokens of registries where it
    /// compiles nothing, for what is compiled could read them.
    pub fn cargo(&self, subcommand: &str) -> Program<'_> {
        let cargo = Program::new(&self.cargo, &self.root, &self.env).arg(subcommand);
        if ["fetch", "metadata", "tree", "update"].contains(&subcommand) {
            return cargo.with_logins();
        }
        cargo
    }

    /// Fetches all sources while a cargo has the tokens for it, where there are some.
    pub fn fetch_sources(&self, network: Network) -> Result<()> {
        if network == Network::Offline || !self.env.has_registry_tokens() {
            return Ok(());
        }
        let cargo = self.cargo("fetch").args(self.has_lock.then_some("--locked"));
        cargo.read().map(|_| ()).context("fetch the sources of dependencies")
    }
}

/// Collects the facts about the selected project and the tables that configure
/// it. cargo, git and rustc are asked at the same time.
pub fn discover(invocation: &Invocation, cache: &Cache) -> Result<(Project, Vec<RawConfig>)> {
    let manifest = manifest(invocation)?;
    let dir = manifest.parent().context("find the manifest's folder")?;
    let env = invocation.env.for_project(dir);
    let key = rustup::key(dir, &env)?;
    let kept = key.as_ref().map_or(Ok(None), |key| rustup::kept(key, cache))?;
    let (metadata, git, rustc) = std::thread::scope(|scope| {
        let git = scope.spawn(|| git::look(dir, &env));
        let rustc = kept.is_none().then(|| scope.spawn(|| rustc::ask(dir, &env)));
        let metadata = metadata(&manifest, dir, kept.as_ref(), &env, invocation.network);
        (metadata, join(git), rustc.map(join).transpose())
    });
    let (text, metadata) = metadata?;
    let mut git = git?;
    let asked = rustc?;
    if let (Some(key), Some(asked)) = (&key, &asked) {
        rustup::keep(key, asked, cache)?;
    }
    let mut rustc = asked.or(kept).context("ask rustc for its sysroot")?;
    let root = metadata.workspace_root.clone().into_std_path_buf();
    let target_dir = metadata.target_directory.clone().into_std_path_buf();
    let raw = raw_configs(&metadata);
    let dist = dist(&raw, &root, &target_dir);
    if let Some(git) = &mut git {
        git.leave_out(&dist);
    }
    let tag_form = tag_form(&raw);
    if let Some(git) = &mut git {
        if let Some(form) = &tag_form {
            git.read_tags(|tag| form.read(tag));
        }
        git.count_for(metadata.packages.iter().map(|package| &**package.name), dir, &env)?;
    }
    rustc.learn_targets(&root, &env, &wanted_targets(invocation, &raw))?;
    let top = git.as_ref().map_or(&root, |git| &git.top);
    let boundary = Boundary::new(top, &[target_dir.clone(), dist.clone()])?;
    let packaged_commit = if git.is_none() { packaged_commit(&root, &boundary)? } else { None };
    let packages = packages::of(&metadata, git.as_ref())?;
    let (cargo, env) = cargo(&rustc, &env);
    let certain = git.as_ref().map(|git| inputs::certain(&metadata, git)).transpose()?;
    let mut project = Project {
        target_dir,
        dist,
        time: time(&env, git.as_ref())?,
        made: made(&metadata),
        profiles: profile::read(&root, &env)?,
        has_lock: root.join("Cargo.lock").is_file(),
        bases: bases::read(&root, &boundary)?,
        metadata: text,
        root,
        packages,
        git,
        boundary,
        tag_form,
        packaged_commit,
        rustc,
        graphs: BTreeMap::new(),
        alike: Vec::new(),
        cross: Cross::default(),
        linkers: BTreeMap::new(),
        build_vars: BTreeMap::new(),
        cargo,
        env,
    };
    project.learn_inputs(&certain.unwrap_or_default())?;
    Ok((project, raw))
}

/// Where cargo puts programs, and what it makes on the way, which may lie elsewhere.
fn made(metadata: &Metadata) -> Vec<PathBuf> {
    let dirs = [Some(&metadata.target_directory), metadata.build_directory.as_ref()];
    let made = dirs.into_iter().flatten().map(|dir| dir.clone().into_std_path_buf());
    // Where one is a link, what is read from it is known by where it leads.
    made.flat_map(|dir| [files::resolve(&dir).unwrap_or_else(|_| dir.clone()), dir]).collect()
}

/// The toolchain's own cargo, named as rustup's proxy would name it to itself:
/// the proxy takes some 7 ms to find out the same with each call. Where rustup
/// did not install the toolchain, the cargo on PATH.
fn cargo(rustc: &Rustc, env: &Env) -> (PathBuf, Env) {
    let own = rustc.sysroot.join("bin").join(format!("cargo{}", std::env::consts::EXE_SUFFIX));
    let Some(name) = rustc.rustup_name().filter(|_| own.is_file()) else {
        return ("cargo".into(), env.clone());
    };
    let env = env.clone().with("RUSTUP_TOOLCHAIN", name);
    // The proxy also says where the toolchain's libraries are: its rust-objcopy,
    // which strips programs for macOS, finds LLVM in no other way.
    let variable = match std::env::consts::OS {
        "windows" => return (own, env),
        "macos" => "DYLD_FALLBACK_LIBRARY_PATH",
        _ => "LD_LIBRARY_PATH",
    };
    let mut dirs = rustc.sysroot.join("lib").into_os_string();
    if let Some(more) = env.get(variable) {
        dirs.push(":");
        dirs.push(more);
    }
    (own, env.with(variable, &dirs))
}

/// The manifest that is meant, absolute: the one named, or the nearest one
/// above the working directory.
fn manifest(invocation: &Invocation) -> Result<PathBuf> {
    let manifest = match &invocation.manifest_path {
        Some(path) => {
            let path = invocation.dir.join(path);
            if path.is_dir() { path.join("Cargo.toml") } else { path }
        }
        None => {
            let mut candidates = invocation.dir.ancestors().map(|dir| dir.join("Cargo.toml"));
            candidates.find(|path| path.is_file()).ok_or_else(|| {
                failure(
                    format!("find Cargo.toml: none in {} or above it", invocation.dir.display()),
                    "run this inside a Rust project, or name one with --manifest-path",
                )
            })?
        }
    };
    files::resolve(&manifest).with_context(|| Help("name a Cargo.toml with --manifest-path".into()))
}

/// `rustc` is the project's, where it is known already.
fn metadata(
    manifest: &Path,
    dir: &Path,
    rustc: Option<&Rustc>,
    env: &Env,
    network: Network,
) -> Result<(Vec<u8>, Metadata)> {
    let (cargo, env) = rustc.map_or(("cargo".into(), env.clone()), |rustc| self::cargo(rustc, env));
    let cargo = Program::new(cargo, dir, &env)
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(manifest)
        .args(network.cargo_arg());
    let text = cargo.read()?;
    let metadata =
        MetadataCommand::parse(&text).with_context(|| format!("read the output of `{cargo}`"))?;
    Ok((text.into_bytes(), metadata))
}

fn raw_configs(metadata: &Metadata) -> Vec<RawConfig> {
    let table = |value: &Value| value.get("dockless").cloned();
    let workspace = table(&metadata.workspace_metadata).map(|value| RawConfig {
        manifest: metadata.workspace_root.join("Cargo.toml").into_std_path_buf(),
        package: None,
        value,
    });
    let packages = metadata.packages.iter().filter_map(|package| {
        Some(RawConfig {
            manifest: package.manifest_path.clone().into_std_path_buf(),
            package: Some(package.name.to_string()),
            value: table(&package.metadata)?,
        })
    });
    workspace.into_iter().chain(packages).collect()
}

/// The targets that anyone named, well-formed or not.
fn wanted_targets(invocation: &Invocation, raw: &[RawConfig]) -> Vec<String> {
    let configured = raw.iter().filter_map(|raw| raw.value.get("targets")?.as_array()).flatten();
    let named = invocation.targets.iter().map(String::as_str);
    let named = named.chain(configured.filter_map(Value::as_str));
    // What is no target at all is found out where the settings are resolved.
    let triple = |name: &str| Target::parse(name).map(|it| it.triple().to_owned()).ok();
    named.filter_map(triple).collect()
}

/// The form of release tags that the settings fix. One that is none is found out where the
/// settings are resolved.
fn tag_form(raw: &[RawConfig]) -> Option<TagForm> {
    let workspace = raw.iter().find(|raw| raw.package.is_none())?;
    let text = workspace.value.get("tag")?.as_str().filter(|text| !text.is_empty())?;
    TagForm::parse(text).ok()
}

/// Where releases are put: the folder of the workspace that the settings name. One that cannot be
/// is found out where the settings are resolved.
fn dist(raw: &[RawConfig], root: &Path, target_dir: &Path) -> PathBuf {
    let workspace = raw.iter().find(|raw| raw.package.is_none());
    let named = workspace.and_then(|raw| raw.value.get("dist")?.as_str());
    let fits = |name: &&str| unfit_dist(name, root, target_dir).is_none();
    root.join(named.filter(fits).unwrap_or("dist"))
}

/// Why releases cannot be put into a folder of this name.
pub fn unfit_dist(name: &str, root: &Path, target_dir: &Path) -> Option<&'static str> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':']) {
        Some(
            "it must be the name of a folder in the workspace's, without slashes or a dot before it",
        )
    } else if name.contains(char::is_control) {
        Some("it contains control characters")
    } else if root.join(name) == target_dir {
        Some("cargo's target folder has this name")
    } else {
        None
    }
}

/// The commit in `.cargo_vcs_info.json`, which `cargo package` writes.
/// <https://doc.rust-lang.org/cargo/commands/cargo-package.html>
fn packaged_commit(root: &Path, boundary: &Boundary) -> Result<Option<String>> {
    let path = root.join(git::VCS_INFO);
    let Some(bytes) = boundary.read_if_there(&path, limits::SETTINGS)? else {
        return Ok(None);
    };
    let info: Value =
        serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))?;
    let sha = info.pointer("/git/sha1").and_then(Value::as_str);
    let hex =
        |sha: &&str| (40..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(sha.filter(hex).map(str::to_owned))
}

/// The time that outputs carry. <https://reproducible-builds.org/specs/source-date-epoch/>
fn time(env: &Env, git: Option<&Git>) -> Result<Option<Timestamp>> {
    let Some(epoch) = env.get("SOURCE_DATE_EPOCH") else {
        return Ok(git.and_then(|git| git.time));
    };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok()).filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or_else(|| {
        failure(
            format!("read SOURCE_DATE_EPOCH: {epoch:?} is no number of seconds since 1970"),
            "set it to a number such as `git log -1 --format=%ct` prints, or unset it",
        )
    })
}
