//! Builds the planned binaries with cargo, which tells their paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Message, TargetKind};

use crate::plan::BuildPlan;
use crate::project::crates::Crate;
use crate::project::{NativeCrate, Project};
use crate::target::Target;
use crate::term::Term;
use crate::toolchain::Ready;

mod cause;
mod inputs;

/// A binary that cargo built and that is not yet proved.
#[derive(Clone, Debug)]
pub struct Compiled {
    package: String,
    bin: String,
    target: Target,
    path: PathBuf,
    native: Vec<NativeCrate>,
    auditable: bool,
    crates: Vec<Crate>,
    inputs: Vec<PathBuf>,
}

impl Compiled {
    pub fn package(&self) -> &str {
        &self.package
    }

    pub fn bin(&self) -> &str {
        &self.bin
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A binary at `path` that was built by this plan, here or on another machine.
    pub fn of(build: &BuildPlan, bin: &str, target: &Target, path: PathBuf) -> Compiled {
        Compiled {
            package: build.package.clone(),
            bin: bin.to_owned(),
            target: target.clone(),
            path,
            native: build.native.get(target).cloned().unwrap_or_default(),
            auditable: build.auditable,
            crates: build.crates.get(target).cloned().unwrap_or_default(),
            inputs: Vec::new(),
        }
    }

    /// The binary at `path` that was joined of those for other targets.
    pub fn joined(
        build: &BuildPlan,
        bin: &str,
        target: &Target,
        path: PathBuf,
        of: &[&Compiled],
    ) -> Compiled {
        let native = of.iter().flat_map(|part| part.native.clone()).collect();
        Compiled { native, ..Compiled::of(build, bin, target, path) }
    }

    /// The same binary, finished, at another path.
    pub fn moved_to(self, path: PathBuf) -> Compiled {
        Compiled { path, ..self }
    }

    /// The local files that cargo built it from, without those that cargo fetched.
    pub fn inputs(&self) -> &[PathBuf] {
        &self.inputs
    }

    /// Whether the finished program has a list of its crates.
    pub fn is_auditable(&self) -> bool {
        self.auditable
    }

    /// All crates of the build; none for a binary that was joined.
    pub fn crates(&self) -> &[Crate] {
        &self.crates
    }

    /// The crates that may have added a library.
    pub fn native(&self) -> &[NativeCrate] {
        &self.native
    }
}

/// How many packages a line names.
const NAMED: usize = 4;

/// Compiles all prepared targets, with one call of cargo per set of flags and packages that the
/// plan joins: other packages in one call would share features.
pub fn compile(
    builds: &[BuildPlan],
    ready: &Ready,
    project: &Project,
    term: &Term,
) -> Result<Vec<Compiled>> {
    let mut made: BTreeMap<&str, Vec<Compiled>> = BTreeMap::new();
    for call in calls(builds, ready) {
        let names: Vec<&str> = call.targets.iter().map(|target| target.as_str()).collect();
        term.step("build", format_args!("{} for {}", packages(&call.builds), names.join(", ")));
        for compiled in run(&call, ready, project, term)? {
            let build = call.builds.iter().find(|build| build.package == compiled.package);
            let build = build.context("find the build of a program")?;
            made.entry(&build.package).or_default().push(compiled);
        }
    }
    let mut compiled = Vec::new();
    for build in builds {
        compiled.extend(made.remove(&*build.package).into_iter().flatten());
    }
    Ok(compiled)
}

/// Whether cargo will compile programs again that it built before, because a file of theirs was
/// changed. `false` where nobody can tell.
pub fn is_outdated(build: &BuildPlan, project: &Project) -> bool {
    build.targets.iter().any(|target| {
        let folder = project.target_dir.join(target.triple()).join(folder_of(&build.profile));
        build.bins.iter().any(|bin| {
            let program = folder.join(format!("{bin}{}", target.exe_suffix()));
            inputs::are_newer(&program, &project.root)
        })
    })
}

/// The folder of a profile's programs.
/// <https://doc.rust-lang.org/cargo/guide/build-cache.html>
pub fn folder_of(profile: &str) -> &str {
    match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        profile => profile,
    }
}

/// One call of cargo.
struct Call<'a> {
    builds: Vec<&'a BuildPlan>,
    flags: &'a str,
    targets: Vec<&'a Target>,
}

fn calls<'a>(builds: &'a [BuildPlan], ready: &'a Ready) -> Vec<Call<'a>> {
    let mut calls: Vec<Call<'a>> = Vec::new();
    for build in builds {
        for (flags, targets) in ready.groups(build) {
            let joins = |call: &&mut Call<'_>| {
                build.with.contains(&call.builds[0].package)
                    && (call.flags, &call.targets) == (flags, &targets)
            };
            match calls.iter_mut().find(joins) {
                Some(call) => call.builds.push(build),
                None => calls.push(Call { builds: vec![build], flags, targets }),
            }
        }
    }
    calls
}

/// The packages with their versions, for people.
fn packages(builds: &[&BuildPlan]) -> String {
    let named = builds.iter().take(NAMED);
    let named: Vec<String> =
        named.map(|build| format!("{} {}", build.package, build.version)).collect();
    match builds.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn run(call: &Call<'_>, ready: &Ready, project: &Project, term: &Term) -> Result<Vec<Compiled>> {
    let Call { builds, flags, targets } = call;
    let first = builds.first().context("call cargo for a package")?;
    let cargo = project
        .cargo("build")
        .args(builds.iter().flat_map(|build| ["--package", &*build.spec]))
        .args(builds.iter().flat_map(|build| &build.bins).flat_map(|bin| ["--bin", &**bin]))
        .args(&first.args)
        .args(targets.iter().flat_map(|target| ["--target", target.triple()]))
        .args(["--message-format", "json-render-diagnostics", "--color", term.color_arg()])
        .args(term.quiet().then_some("--quiet"));
    term.detail(format_args!("{cargo}"));
    // cargo writes to a pipe, so its progress bar must be requested.
    let width = term.width().map(|width| width.to_string());
    let cargo = width.into_iter().fold(cargo, |cargo, width| {
        cargo.var("CARGO_TERM_PROGRESS_WHEN", "always").var("CARGO_TERM_PROGRESS_WIDTH", width)
    });
    let cargo = ready.vars.iter().fold(cargo, |cargo, (name, value)| cargo.var(name, value));
    // The package's own settings take precedence.
    let cargo = first.env.iter().fold(cargo, |cargo, (name, value)| cargo.var(name, value));
    let cargo = cargo.var("CARGO_ENCODED_RUSTFLAGS", flags);
    let mut compiled = Vec::new();
    let watched = term.foreign(|| {
        cargo.watch(cause::REMEMBERED, |line| {
            compiled.extend(executable(line, builds, targets)?);
            Ok(())
        })
    });
    let (ran, said) = watched?;
    ran.map_err(|error| cause::explain(error, &said, builds))?;
    for target in targets {
        for bin in builds.iter().flat_map(|build| &build.bins) {
            let made = compiled.iter().any(|made| made.bin == *bin && made.target == **target);
            ensure!(made, "cargo succeeded, but named no executable {bin} for {target}");
        }
    }
    for made in &mut compiled {
        made.inputs = inputs::of(&made.path, &project.root)?;
    }
    compiled.sort_by(|a, b| (&a.bin, &a.target).cmp(&(&b.bin, &b.target)));
    Ok(compiled)
}

/// The binary in a line of cargo's JSON; `None` for other messages.
fn executable(line: &str, builds: &[&BuildPlan], targets: &[&Target]) -> Result<Option<Compiled>> {
    // Procedural macros print to the same stdout.
    let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_str(line) else {
        return Ok(None);
    };
    let is_bin = artifact.target.kind.contains(&TargetKind::Bin);
    let build = builds.iter().find(|it| is_bin && it.bins.contains(&artifact.target.name));
    let (Some(path), Some(build)) = (artifact.executable, build) else {
        return Ok(None);
    };
    // cargo only tells the target by the path: TARGET/PROFILE/NAME.
    let folder =
        path.parent().and_then(|profile| profile.parent()).and_then(|target| target.file_name());
    let Some(target) = targets.iter().find(|target| Some(target.triple()) == folder) else {
        bail!("cargo put {} at {path}, which names no target of this build", artifact.target.name);
    };
    Ok(Some(Compiled::of(build, &artifact.target.name, target, path.into_std_path_buf())))
}
