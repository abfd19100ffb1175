//! Makes a release again from its record: the commit in a new folder, with the toolchain, the
//! flags and the choices that are recorded.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::digest::Digest;
use crate::files::{self, limits};
use crate::finding::failure;
use crate::process::{self, Env, Program};
use crate::project::{git, rustc};
use crate::provenance;
use crate::term::Term;

/// What is unset: it leads to other folders, tools and targets, or hands results to the steps of a
/// workflow, which are not this release's.
const UNSET: [&str; 13] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "GITHUB_ACTIONS",
    "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_REPOSITORY",
    "GITHUB_SERVER_URL",
];

/// How a release was made, by its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The address of the repository, where it is known.
    pub source: Option<String>,
    pub commit: String,
    pub tag: Option<String>,
    pub version: String,
    pub packages: Vec<String>,
    pub targets: Vec<String>,
    pub profile: String,
    /// cargo's, for the features and the profile.
    pub arguments: Vec<String>,
    pub compiler: Option<Compiler>,
    /// The digest of Cargo.lock.
    pub lock: Option<Digest>,
    /// The version of this tool.
    pub dockless: String,
    pub environment: BTreeMap<String, String>,
}

/// A compiler, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Such as `1.95.0` or `1.97.0-nightly`.
    pub version: String,
    pub commit: Option<String>,
}

/// A release that was made again. Its folder is removed when this is dropped.
#[derive(Debug)]
pub struct Rebuilt {
    /// What the release made.
    pub dist: PathBuf,
    _folder: TempDir,
    /// Where the tag is today, if it was moved.
    pub moved: Option<git::Moved>,
}

/// The folder of the clone.
const CLONE: &str = "source";

/// Where and how it is made.
pub struct Workshop<'a> {
    /// The URL or folder of the sources, where they are not at the recorded place.
    pub source: Option<OsString>,
    pub offline: bool,
    pub env: &'a Env,
    pub term: &'a Term,
}

impl Recorded {
    /// Finds what makes a rebuild impossible, before anything is fetched.
    pub fn check(&self) -> Result<()> {
        let own = env!("CARGO_PKG_VERSION");
        if self.dockless != own {
            bail!(failure(
                format!("the release was made by dockless {}, and this is {own}", self.dockless),
                format!(
                    "install that version by `cargo install dockless@{}`, or run it from a \
                     checkout of the release",
                    self.dockless
                ),
            ));
        }
        let mut names = self.environment.keys();
        if let Some(name) = names.find(|name| !provenance::is_recorded(name)) {
            bail!(failure(
                format!("the record sets the variable {name:?}, which no rebuild sets"),
                "do not trust this record",
            ));
        }
        let words = self.packages.iter().chain(&self.targets).chain([&self.profile]);
        for word in words {
            let plain = |c: char| c.is_alphanumeric() || "_-./:+".contains(c);
            let is_plain = !word.is_empty() && !word.starts_with('-') && word.chars().all(plain);
            ensure!(is_plain, "the record has {word:?} where a name has to be");
        }
        Ok(())
    }

    /// The arguments that make the release.
    fn arguments(&self, offline: bool) -> Vec<String> {
        // Nothing that an earlier build left is used.
        let mut args: Vec<String> = ["release", "--clean"].map(str::to_owned).to_vec();
        // A release checks that the commit is clean and has the tag of its version.
        args.extend(match &self.tag {
            Some(_) => vec!["--skip=publish,check,sign".to_owned()],
            None => vec!["--snapshot".to_owned(), "--skip=sign".to_owned()],
        });
        args.extend(self.packages.iter().map(|name| format!("--package={name}")));
        args.extend(self.targets.iter().map(|name| format!("--target={name}")));
        args.push(format!("--profile={}", self.profile));
        let is_feature = |arg: &&String| {
            arg.starts_with("--features=")
                || ["--all-features", "--no-default-features"].contains(&&***arg)
        };
        args.extend(self.arguments.iter().filter(is_feature).cloned());
        args.extend(offline.then(|| "--offline".to_owned()));
        args
    }
}

/// Makes the release again.
pub fn rebuild(of: &Recorded, workshop: &Workshop<'_>) -> Result<Rebuilt> {
    of.check()?;
    let Workshop { source, offline, env, term } = workshop;
    let folder = files::temporary_dir()?;
    let clone = folder.path().join(CLONE);
    let named = source.clone().or_else(|| of.source.as_ref().map(OsString::from));
    let Some(named) = named else {
        bail!(failure(
            "the record does not say where the sources are",
            "name the repository by `--source URL|FOLDER`",
        ));
    };
    let wanted = git::WantedCommit {
        source: &named,
        origin: of.source.as_deref(),
        commit: &of.commit,
        tag: of.tag.as_deref(),
    };
    term.step("clone", format!("{} of {}", of.commit, named.display()));
    let moved = git::clone(&wanted, &clone, env)?;
    let root = root(of, &clone, env)?;
    let env = environment(of, &root, env)?;
    let args = of.arguments(*offline);
    let program = process::this_program()?;
    let program = Program::new(program, &root, &env).args(&args);
    term.step("rebuild", format!("{} {}", of.packages.join(", "), of.version));
    let status = term.foreign(|| program.pass_stderr())?;
    if !status.success() {
        bail!(failure(
            format!("`dockless {}` failed in a clone of the commit", args.join(" ")),
            "mend what is said above: the tools that the release was made with are needed here too",
        ));
    }
    Ok(Rebuilt { dist: root.join("dist"), _folder: folder, moved })
}

/// The folder of the workspace, which need not be the repository's: its lock file is recorded.
fn root(of: &Recorded, clone: &Path, env: &Env) -> Result<PathBuf> {
    let Some(lock) = of.lock else { return Ok(clone.to_owned()) };
    for file in git::files_named("Cargo.lock", clone, env)? {
        let bytes = files::read_foreign(&clone.join(&file), limits::LOCK)?;
        if Digest::of(&bytes) == lock {
            return Ok(clone.join(file).parent().unwrap_or(clone).to_owned());
        }
    }
    bail!(failure(
        format!("the commit {} has no Cargo.lock with the recorded digest {lock}", of.commit),
        "the release was not made of this commit, or with another Cargo.lock: do not trust it \
         before you know why",
    ))
}

/// The environment of the rebuild: this one, with what changes a build as it is recorded.
fn environment(of: &Recorded, root: &Path, env: &Env) -> Result<Env> {
    let mut env = env.for_project(root);
    env.retain(|name| !provenance::is_recorded(name) && !UNSET.contains(&name));
    for (name, value) in &of.environment {
        env = env.with(name, value.as_ref());
    }
    let Some(wanted) = &of.compiler else { return Ok(env) };
    if rustc::release(root, &env).is_ok_and(|found| found == wanted.version)
        && is_of(wanted, root, &env)?
    {
        return Ok(env);
    }
    let name = toolchain(&wanted.version);
    let name =
        name.with_context(|| format!("the recorded rustc {:?} has no name", wanted.version))?;
    // Nothing is installed unasked.
    let env = env.with("RUSTUP_TOOLCHAIN", name.as_ref());
    let env = env.with("RUSTUP_AUTO_INSTALL", "0".as_ref());
    let found = rustc::release(root, &env);
    let why = match found {
        Ok(found) if found == wanted.version && is_of(wanted, root, &env)? => return Ok(env),
        Ok(found) if found == wanted.version => format!("the {found} here is of another commit"),
        Ok(found) => format!("the compiler here is {found}"),
        Err(_) => format!("the toolchain {name} is not here"),
    };
    let of_commit = wanted.commit.iter().map(|commit| format!(" of the commit {commit}"));
    let of_commit: String = of_commit.collect();
    let targets = of.targets.iter().map(|target| format!(" --target {target}"));
    bail!(failure(
        format!("the release was compiled by rustc {}{of_commit}, and {why}", wanted.version),
        format!("install it by `rustup toolchain install {name}{}`", targets.collect::<String>()),
    ))
}

/// Whether the compiler is of the recorded commit.
fn is_of(wanted: &Compiler, dir: &Path, env: &Env) -> Result<bool> {
    let Some(commit) = &wanted.commit else { return Ok(true) };
    let said = rustc::program(dir, env).arg("-vV").read()?;
    Ok(said.lines().any(|line| line.strip_prefix("commit-hash: ") == Some(commit)))
}

/// rustup's name of a toolchain. Of nightly compilers, the record has no date.
fn toolchain(version: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let is_plain = !version.is_empty() && !version.starts_with('-') && version.chars().all(plain);
    let name = if version.ends_with("-nightly") { "nightly" } else { version };
    is_plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Recorded {
        Recorded {
            commit: "0".repeat(40),
            version: "1.0.0".into(),
            tag: Some("v1.0.0".into()),
            dockless: env!("CARGO_PKG_VERSION").into(),
            packages: vec!["app".into()],
            profile: "dist".into(),
            ..Recorded::default()
        }
    }

    #[test]
    fn records_that_no_rebuild_can_follow_are_refused_with_the_fix() {
        recorded().check().unwrap();
        let words = |name: &str| vec![name.to_owned()];
        let sets = |name: &str| [(name.to_owned(), "x".to_owned())].into();
        for (record, why) in [
            (Recorded { dockless: "0.0.7".into(), ..recorded() }, "made by dockless 0.0.7"),
            (Recorded { environment: sets("PATH"), ..recorded() }, "\"PATH\""),
            (Recorded { environment: sets("RUSTC_WRAPPER"), ..recorded() }, "\"RUSTC_WRAPPER\""),
            (Recorded { packages: words("--config=x"), ..recorded() }, "\"--config=x\""),
            (Recorded { targets: words(""), ..recorded() }, "where a name has to be"),
            (Recorded { profile: "$x".into(), ..recorded() }, "\"$x\""),
        ] {
            let (said, _) = crate::finding::said(&record.check().unwrap_err());
            assert!(said.contains(why), "{said}");
        }
        for name in ["RUSTFLAGS", "CARGO_PROFILE_DIST_LTO", "CFLAGS_x86_64-unknown-linux-musl"] {
            Recorded { environment: sets(name), ..recorded() }.check().unwrap();
        }
    }

    #[test]
    fn a_toolchain_is_named_as_rustup_names_it() {
        for (version, name) in [
            ("1.95.0", Some("1.95.0")),
            ("1.97.0-nightly", Some("nightly")),
            ("1.96.0-beta.3", Some("1.96.0-beta.3")),
            ("--version", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(toolchain(version), name, "{version}");
        }
    }

    #[test]
    fn the_recorded_choices_are_arguments() {
        let arguments = ["--profile", "dist", "--features=a", "--no-default-features", "--config"];
        let of = Recorded {
            tag: None,
            targets: vec!["x86_64-unknown-linux-musl".into()],
            arguments: arguments.map(str::to_owned).to_vec(),
            ..recorded()
        };
        assert_eq!(
            of.arguments(true).join(" "),
            "release --clean --snapshot --skip=sign --package=app \
             --target=x86_64-unknown-linux-musl --profile=dist --features=a --no-default-features \
             --offline"
        );
        let of = recorded().arguments(false).join(" ");
        assert_eq!(of, "release --clean --skip=publish,check,sign --package=app --profile=dist");
    }
}
