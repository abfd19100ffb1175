//! Prepares each target before anything compiles: its standard library, its linker, and the
//! flags that make its binaries static.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::finding::{Finding, Help};
use crate::http::Network;
use crate::plan::{BuildPlan, LeftOut, Tools};
use crate::process::{self, Program};
use crate::project::{Project, cargo_config, rustc};
use crate::target::Target;
use crate::term::Term;

mod cross;
pub mod driver;
pub mod flags;
mod identity;
pub mod zig;

use driver::Settings;
use flags::Linker;
pub use identity::{ToolchainPart, identity};

/// A standard library has 20 MB, so this is enough for a slow connection.
const DOWNLOAD: Duration = Duration::from_secs(15 * 60);

/// The targets that are prepared.
#[derive(Clone, Debug)]
pub struct Ready {
    /// rustc's flags as CARGO_ENCODED_RUSTFLAGS, by package and target.
    flags: BTreeMap<(String, Target), String>,
    /// Variables that name compilers and linkers, for every cargo call.
    pub vars: BTreeMap<String, OsString>,
    /// Targets that this machine cannot build for.
    pub left_out: Vec<LeftOut>,
    pub warnings: Vec<Finding>,
}

impl Ready {
    /// The build's prepared targets, grouped by flags: each group is one call of cargo.
    pub fn groups<'a>(&'a self, build: &'a BuildPlan) -> BTreeMap<&'a str, Vec<&'a Target>> {
        let mut groups: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
        for target in &build.targets {
            if let Some(flags) = self.flags.get(&(build.package.clone(), target.clone())) {
                groups.entry(flags).or_default().push(target);
            }
        }
        groups
    }
}

/// Prepares every target of the builds. A standard library that is missing is
/// installed by rustup, visibly, where the network may be used.
pub fn prepare(
    builds: &[BuildPlan],
    project: &Project,
    network: Network,
    term: &Term,
) -> Result<Ready> {
    let mut ready = Ready {
        flags: BTreeMap::new(),
        vars: BTreeMap::new(),
        left_out: Vec::new(),
        warnings: Vec::new(),
    };
    let cargo = cargo_config::read(project)?;
    let mut usable: BTreeMap<&Target, Option<String>> = BTreeMap::new();
    let mut wrappers: BTreeMap<&Target, Settings> = BTreeMap::new();
    // A wrapper of rustc is often a cache that checkouts share, for which other folders in flags
    // are other flags. So these flags are added behind the wrapper.
    let wrapped = cfg!(unix) && cargo.build.rustc_wrapper.is_some();
    let mut hidden = cross::HiddenFlags::default();
    for build in builds {
        for target in &build.targets {
            if !usable.contains_key(target) {
                usable.insert(target, unusable(target, project, network, term));
            }
            if let Some(Some(why)) = usable.get(target) {
                ready.left_out.push(left_out(build, target, why, project));
                continue;
            }
            let tools = build.tools.get(target).copied().unwrap_or(Tools::Rustc);
            let Some((mut linker, lld)) = linker(target, &cargo, project, &mut ready.warnings)?
            else {
                ready.left_out.push(left_out(build, target, NO_LINKER, project));
                continue;
            };
            if matches!(tools, Tools::Cross | Tools::Zig) {
                let wiring = cross::wire(build, target, tools, lld, project)?;
                if wiring.settings.lld.is_some() {
                    linker = Linker::Wrapper;
                }
                ready.vars.extend(wiring.vars);
                wrappers.insert(target, wiring.settings);
            }
            let mut libraries = flags::libraries(target, &linker, project)?;
            let mut remap = flags::remap(&build.remap, project)?;
            if wrapped {
                hidden.remap.clone_from(&remap);
                hidden
                    .libraries
                    .extend(libraries.take().map(|it| (target.triple().to_owned(), it)));
                remap.clear();
            }
            let encoded = flags::encoded(target, &linker, libraries.as_ref(), &remap, &cargo)?;
            ready.flags.insert((build.package.clone(), target.clone()), encoded);
        }
    }
    if wrapped {
        let rustc = cross::rustc(&hidden, cargo.build.rustc.as_ref(), project)?;
        ready.vars.insert("RUSTC".to_owned(), rustc.into());
    }
    if !wrappers.is_empty() {
        let settings: Vec<Settings> = wrappers.into_values().collect();
        ready.vars.extend(cross::install(&settings, project)?);
    }
    Ok(ready)
}

/// What a target needs, as far as it is there already.
pub struct Look {
    /// Whether its standard library is there; otherwise a build has rustup add it.
    pub has_library: bool,
    /// What links its programs; `None` for the choice of rustc or of the user.
    pub linker: Option<String>,
}

/// Looks for what a build needs for one of its targets, and changes nothing. What cannot be built
/// is left out, as by [`prepare`].
pub fn look(
    build: &BuildPlan,
    target: &Target,
    project: &Project,
    network: Network,
) -> Result<Result<Look, LeftOut>> {
    let library = library(target, project, network);
    if let Library::OutOfReach(why) = &library {
        return Ok(Err(left_out(build, target, why, project)));
    }
    let cargo = cargo_config::read(project)?;
    let Some((_, path)) = linker(target, &cargo, project, &mut Vec::new())? else {
        return Ok(Err(left_out(build, target, NO_LINKER, project)));
    };
    let zig = build.tools.get(target) == Some(&Tools::Zig);
    let name = path.as_ref().and_then(|path| path.file_stem()).map(|name| name.to_string_lossy());
    let linker = name.map(|name| name.into_owned()).or_else(|| zig.then(|| "zig".to_owned()));
    Ok(Ok(Look { has_library: library == Library::Present, linker }))
}

const NO_LINKER: &str = "no linker: the toolchain has no rust-lld, and ld.lld is not on PATH";

/// The linker for the target, and its path for the wrapper that may call it; `None` where there
/// is none. Only musl's is chosen here: others are rustc's or zig's choice.
fn linker(
    target: &Target,
    cargo: &cargo_config2::Config,
    project: &Project,
    warnings: &mut Vec<Finding>,
) -> Result<Option<(Linker, Option<PathBuf>)>> {
    if !target.is_musl() {
        return Ok(Some((Linker::Unnamed, None)));
    }
    let chosen = flags::linker(target, cargo, project)?;
    warnings.extend(chosen.warning.filter(|warning| !warnings.contains(warning)));
    Ok(chosen.linker.map(|linker| {
        let path = match &linker {
            Linker::RustLld(path) | Linker::Lld(path) => Some(path.clone()),
            Linker::Unnamed | Linker::Wrapper => None,
        };
        (linker, path)
    }))
}

fn left_out(build: &BuildPlan, target: &Target, why: &str, project: &Project) -> LeftOut {
    let fix = if why.starts_with("no linker") {
        "install lld, or use a toolchain that rustup installed".to_owned()
    } else if project.rustc.rustup_name().is_none() {
        format!(
            "install your distribution's package of rust's standard library for {target}, or use rustup"
        )
    } else {
        format!("run `rustup target add {target}` where the network reaches rustup's server")
    };
    LeftOut::forced(&*build.package, Some(target), why, fix)
}

/// A target's standard library.
#[derive(Debug, PartialEq, Eq)]
enum Library {
    Present,
    /// rustup can be asked for it.
    Addable,
    /// It cannot be had, and why.
    OutOfReach(String),
}

fn library(target: &Target, project: &Project, network: Network) -> Library {
    if has_library(target, project) {
        return Library::Present;
    }
    if network == Network::Offline {
        let why = format!("{}, and --offline forbids downloading it", missing(target));
        return Library::OutOfReach(why);
    }
    if process::find("rustup", &project.env).is_none() {
        return Library::OutOfReach(format!("{}, and rustup is not on PATH", missing(target)));
    }
    Library::Addable
}

fn missing(target: &Target) -> String {
    format!("the toolchain has no standard library for {target}")
}

/// Why the target cannot be compiled for; `None` where it can. Installs a missing standard
/// library.
fn unusable(target: &Target, project: &Project, network: Network, term: &Term) -> Option<String> {
    match library(target, project, network) {
        Library::Present => return None,
        Library::OutOfReach(why) => return Some(why),
        Library::Addable => {}
    }
    let missing = missing(target);
    term.step("install", format_args!("standard library for {target} (rustup target add)"));
    let added = Program::new("rustup", &project.root, &project.env)
        .args(["target", "add", target.triple()])
        .time_out(DOWNLOAD)
        .read();
    match added {
        Ok(_) if has_library(target, project) => None,
        Ok(_) => Some(format!(
            "{missing}, and rustup installed it elsewhere than in {}",
            project.rustc.sysroot.display()
        )),
        Err(error) => Some(format!("{missing}, and rustup could not add it: {error:#}")),
    }
}

fn has_library(target: &Target, project: &Project) -> bool {
    // rustup creates the folder before it fills it, so this looks for the library itself.
    let found = crate::files::list(&project.rustc.library(target.triple()).join("lib"));
    found.is_ok_and(|entries| {
        let names = entries.iter().filter_map(|entry| entry.path.file_name()?.to_str());
        names.into_iter().any(|name| name.starts_with("libstd-"))
    })
}

/// The commit that the toolchain was built from, as `rustc -vV` prints it.
fn rustc_commit(project: &Project) -> Result<String> {
    let program = rustc::program(&project.root, &project.env).arg("-vV");
    let text = program.read()?;
    let hash = text.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let hash = hash.with_context(|| Help("install the toolchain with rustup".into()));
    hash.map(str::to_owned).with_context(|| format!("read the output of `{program}`"))
}
