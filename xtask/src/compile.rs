//! cargo builds what the plan says; the paths of what it made are cargo's own word.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use cargo_metadata::{Message, TargetKind};

use crate::plan::BuildPlan;
use crate::project::{NativeCrate, Project};
use crate::target::Target;
use crate::term::Term;
use crate::toolchain::Ready;

/// A binary that cargo made and nobody has looked at yet.
#[derive(Clone, Debug)]
pub struct Compiled {
    package: String,
    bin: String,
    target: Target,
    path: PathBuf,
    native: Vec<NativeCrate>,
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

    /// The crates that could have brought in a library.
    pub fn native(&self) -> &[NativeCrate] {
        &self.native
    }
}

/// Compiles all that is ready. One cargo call per package and set of flags:
/// several packages in one would share their features.
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
            compiled.extend(call(build, flags, &targets, project, term)?);
        }
    }
    Ok(compiled)
}

fn call(
    build: &BuildPlan,
    flags: &str,
    targets: &[&Target],
    project: &Project,
    term: &Term,
) -> Result<Vec<Compiled>> {
    let cargo = project
        .cargo("build")
        .args(&build.args)
        .args(targets.iter().flat_map(|target| ["--target", target.as_str()]))
        .args(["--message-format", "json-render-diagnostics", "--color", term.color_arg()])
        .args(term.quiet().then_some("--quiet"));
    term.detail(format_args!("{cargo}"));
    let cargo = build.env.iter().fold(cargo, |cargo, (name, value)| cargo.var(name, value));
    let cargo = cargo.var("CARGO_ENCODED_RUSTFLAGS", flags);
    let mut compiled = Vec::new();
    cargo.lines(|line| {
        compiled.extend(executable(line, build, targets)?);
        Ok(())
    })?;
    for target in targets {
        for bin in &build.bins {
            let made = compiled.iter().any(|made| made.bin == *bin && made.target == **target);
            ensure!(made, "cargo succeeded, but named no executable {bin} for {target}");
        }
    }
    compiled.sort_by(|a, b| (&a.bin, &a.target).cmp(&(&b.bin, &b.target)));
    Ok(compiled)
}

/// The binary that a line of cargo's JSON announces, where it announces one.
fn executable(line: &str, build: &BuildPlan, targets: &[&Target]) -> Result<Option<Compiled>> {
    // Procedural macros print to the same stdout, and may print JSON of their own.
    let Ok(message) = serde_json::from_str(line) else {
        return Ok(None);
    };
    let Message::CompilerArtifact(artifact) = message else {
        return Ok(None);
    };
    let ours = artifact.target.kind.contains(&TargetKind::Bin)
        && build.bins.contains(&artifact.target.name);
    let Some(path) = artifact.executable.filter(|_| ours) else {
        return Ok(None);
    };
    // cargo does not say the target, but puts it into the path: TARGET/PROFILE/NAME.
    let folder =
        path.parent().and_then(|profile| profile.parent()).and_then(|target| target.file_name());
    let Some(target) = targets.iter().find(|target| Some(target.as_str()) == folder) else {
        bail!(
            "cargo put {} at {path}, where no target of this build is named",
            artifact.target.name
        );
    };
    Ok(Some(Compiled {
        package: build.package.clone(),
        bin: artifact.target.name,
        target: (*target).clone(),
        native: build.native.get(*target).cloned().unwrap_or_default(),
        path: path.into_std_path_buf(),
    }))
}
