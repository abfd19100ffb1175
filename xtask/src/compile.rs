//! Builds the planned binaries with cargo, which tells their paths.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
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

/// Compiles all prepared targets, with one call of cargo per package and set of flags: packages
/// in one call would share features.
pub fn compile(
    builds: &[BuildPlan],
    ready: &Ready,
    project: &Project,
    term: &Term,
) -> Result<Vec<Compiled>> {
    let mut compiled = Vec::new();
    for build in builds {
        for (flags, targets) in ready.groups(build) {
            let names: Vec<&str> = targets.iter().map(|target| target.as_str()).collect();
            term.step(
                "build",
                format_args!("{} {} for {}", build.package, build.version, names.join(", ")),
            );
            compiled.extend(call(build, flags, &targets, ready, project, term)?);
        }
    }
    Ok(compiled)
}

fn call(
    build: &BuildPlan,
    flags: &str,
    targets: &[&Target],
    ready: &Ready,
    project: &Project,
    term: &Term,
) -> Result<Vec<Compiled>> {
    let cargo = project
        .cargo("build")
        .args(&build.args)
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
    let cargo = build.env.iter().fold(cargo, |cargo, (name, value)| cargo.var(name, value));
    let cargo = cargo.var("CARGO_ENCODED_RUSTFLAGS", flags);
    let mut compiled = Vec::new();
    let watched = term.foreign(|| {
        cargo.watch(cause::REMEMBERED, |line| {
            compiled.extend(executable(line, build, targets)?);
            Ok(())
        })
    });
    let (ran, said) = watched?;
    ran.map_err(|error| cause::explain(error, &said, build))?;
    for target in targets {
        for bin in &build.bins {
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
fn executable(line: &str, build: &BuildPlan, targets: &[&Target]) -> Result<Option<Compiled>> {
    // Procedural macros print to the same stdout.
    let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_str(line) else {
        return Ok(None);
    };
    let ours = artifact.target.kind.contains(&TargetKind::Bin)
        && build.bins.contains(&artifact.target.name);
    let Some(path) = artifact.executable.filter(|_| ours) else {
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
