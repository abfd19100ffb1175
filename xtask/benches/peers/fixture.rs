//! The projects that are measured, and how programs are started in them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The tool as `cargo install` makes it: optimised.
pub const INSTALLED: &str = env!("CARGO_BIN_EXE_cargo-dockless");

/// What cargo and rustup put into the environment of a bench, and what a user's
/// shell may hold that would favour one of the peers.
const SCRUBBED: [&str; 9] = [
    "LD_LIBRARY_PATH",
    "OUT_DIR",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUST_BACKTRACE",
    "RUST_RECURSION_COUNT",
    "SOURCE_DATE_EPOCH",
];
const SCRUBBED_PREFIXES: [&str; 4] = ["CARGO", "DOCKLESS_", "GITHUB_", "GIT_"];
/// Where crates come from stays as it is.
const KEPT_PREFIXES: [&str; 6] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
];

/// The places of one run of the bench.
pub struct Bench {
    /// Where projects are made.
    pub dir: PathBuf,
    /// The repository that this file is of.
    pub repository: PathBuf,
    scrubbed: Vec<OsString>,
    /// Removed with what it holds when the bench ends.
    _temporary: Option<tempfile::TempDir>,
}

/// One project, twice: each peer has a clone of one commit, with a target folder
/// and a dist/ of its own, so that none invalidates what the other made.
pub struct Project {
    pub ours: PathBuf,
    pub theirs: PathBuf,
    /// What is shipped of it.
    pub package: &'static str,
}

impl Bench {
    pub fn new() -> Result<Bench> {
        let (dir, temporary) = match std::env::var_os("DOCKLESS_BENCH_DIR") {
            Some(dir) => (PathBuf::from(dir), None),
            None => {
                let temporary = tempfile::tempdir().context("make a temporary folder")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let dir = dir.canonicalize().context("find the temporary folder")?;
        let scrubbed = |name: &OsString| {
            let name = name.to_string_lossy();
            let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
            SCRUBBED.contains(&&*name) || (starts(&SCRUBBED_PREFIXES) && !starts(&KEPT_PREFIXES))
        };
        Ok(Bench {
            dir,
            repository: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            scrubbed: std::env::vars_os().map(|(name, _)| name).filter(scrubbed).collect(),
            _temporary: temporary,
        })
    }

    /// A program as a shell in `dir` would start it.
    pub fn command(&self, program: impl AsRef<OsStr>, dir: &Path) -> Run {
        let mut command = Command::new(program);
        command.current_dir(dir).stdin(Stdio::null());
        for name in &self.scrubbed {
            command.env_remove(name);
        }
        // What a user's git does beside its work, such as signing, is not measured.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("DOCKLESS_CACHE", self.cache());
        Run(command)
    }

    /// The tool's cache, shared by all runs of it.
    pub fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    /// The version of goreleaser, where there is one.
    pub fn goreleaser(&self) -> Result<Option<String>> {
        match self.command("goreleaser", &self.dir).arg("--version").read() {
            Ok(text) => {
                let version = text.lines().find_map(|line| line.strip_prefix("GitVersion:"));
                Ok(Some(version.context("read goreleaser's version")?.trim().to_owned()))
            }
            Err(error) => match error.downcast_ref::<std::io::Error>() {
                Some(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// The target folder that cargo built this bench in.
    pub fn target_dir(&self) -> Result<&Path> {
        let profile = Path::new(INSTALLED).parent();
        profile.and_then(Path::parent).context("find the target folder")
    }

    /// The tool as the alias runs it: the dev profile, in the repository's own
    /// target folder, where it is built first.
    pub fn unoptimised(&self) -> Result<PathBuf> {
        let target_dir = self.target_dir()?;
        self.command("cargo", &self.repository)
            .args(["build", "--package", "dockless", "--bin", "cargo-dockless"])
            .env("CARGO_TARGET_DIR", target_dir)
            .read()?;
        Ok(target_dir.join("debug/cargo-dockless"))
    }

    /// examples/kubectl-view-secret as a package of its own.
    pub fn small(&self) -> Result<Project> {
        self.project("small", "kubectl-view-secret", |root| {
            let example = self.repository.join("examples/kubectl-view-secret");
            copy(&example.join("src"), &root.join("src"))?;
            let manifest = self.manifest("kubectl-view-secret", &example)?;
            write(&root.join("Cargo.toml"), &(manifest + RELEASE_PROFILE))
        })
    }

    /// The tool's own sources in two shapes that differ in one thing, the crate
    /// that reads the version: `thin` is as it is in the repository, and `mono`
    /// has the same modules in the binary crate.
    pub fn large(&self) -> Result<Project> {
        self.project("large", "thin", |root| {
            let members = "[workspace]\nresolver = \"3\"\nmembers = [\"thin\", \"mono\"]\n";
            write(&root.join("Cargo.toml"), &(members.to_owned() + RELEASE_PROFILE))?;
            for member in ["thin", "mono"] {
                for folder in ["src", "templates"] {
                    copy(
                        &self.repository.join("xtask").join(folder),
                        &root.join(member).join(folder),
                    )?;
                }
                let mut manifest = self.manifest(member, &self.repository.join("xtask"))?;
                // The repository allows what these sources need; a warning costs time.
                manifest += "\n[lints.rust]\nwarnings = \"allow\"\n";
                if member == "thin" {
                    manifest += "\n[lib]\nname = \"dockless\"\n";
                }
                write(&root.join(member).join("Cargo.toml"), &manifest)?;
            }
            let src = root.join("thin/src");
            std::fs::rename(src.join("bin/cargo-dockless.rs"), src.join("main.rs"))
                .context("make the thin crate")?;
            let src = root.join("mono/src");
            let library = read(&src.join("lib.rs"))?;
            let export = "pub use cmd::main;";
            ensure!(library.contains(export), "src/lib.rs no longer says `{export}`");
            let main = "fn main() -> std::process::ExitCode {\n    \
                        cmd::main(option_env!(\"DOCKLESS_VERSION\"))\n}";
            write(&src.join("main.rs"), &library.replace(export, main))?;
            std::fs::remove_dir_all(src.join("bin")).context("make the single crate")?;
            std::fs::remove_file(src.join("lib.rs")).context("make the single crate")
        })
    }

    /// Makes the project by `fill`, commits it, and clones it for each peer.
    fn project(
        &self,
        name: &str,
        package: &'static str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Project> {
        let root = self.dir.join(name);
        let [seed, ours, theirs] = ["seed", "ours", "theirs"].map(|clone| root.join(clone));
        let project = Project { ours, theirs, package };
        if project.theirs.is_dir() {
            return Ok(project);
        }
        fill(&seed)?;
        for file in ["LICENSE", "README.md", "Cargo.lock"] {
            write(&seed.join(file), &read(&self.repository.join(file))?)?;
        }
        write(&seed.join(".gitignore"), "/target\n/dist\n")?;
        write(&seed.join(".cargo/config.toml"), CARGO_CONFIG)?;
        write(&seed.join(".goreleaser.yaml"), &goreleaser_config(package))?;
        // Takes out of the lock file what the project does not need.
        self.command("cargo", &seed).args(["metadata", "--format-version", "1"]).read()?;
        let git = |dir: &Path, args: &[&str]| self.command("git", dir).args(args).read();
        git(&seed, &["init", "--quiet", "--initial-branch", "main"])?;
        git(&seed, &["add", "--all"])?;
        self.commit(&seed, "The program")?;
        for clone in ["ours", "theirs"] {
            git(&root, &["clone", "--quiet", "seed", clone])?;
        }
        Ok(project)
    }

    /// A new commit, and with it a new version.
    pub fn commit(&self, dir: &Path, message: &str) -> Result<()> {
        let git = self.command("git", dir).args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
        ]);
        git.args(["commit", "--quiet", "--allow-empty", "--message", message]).read().map(drop)
    }

    /// A manifest of the package in `dir` that inherits nothing.
    fn manifest(&self, name: &str, dir: &Path) -> Result<String> {
        let root: toml::Table = read(&self.repository.join("Cargo.toml"))?.parse()?;
        let inherited = root.get("workspace").and_then(|workspace| workspace.get("package"));
        let inherited = inherited.context("find [workspace.package]")?;
        let mut text = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
        for key in ["edition", "rust-version", "license"] {
            let value = inherited.get(key).and_then(toml::Value::as_str);
            let value = value.with_context(|| format!("find the workspace's {key}"))?;
            text += &format!("{key} = {value:?}\n");
        }
        let manifest = read(&dir.join("Cargo.toml"))?;
        let (_, dependencies) =
            manifest.split_once("\n[dependencies]\n").context("find [dependencies]")?;
        let dependencies = dependencies.split("\n[").next().unwrap_or(dependencies);
        Ok(format!("{text}\n[dependencies]\n{dependencies}\n"))
    }
}

/// As a release of this repository is built. The tool's own profile `dist`
/// inherits it, and goreleaser's builder knows no other.
const RELEASE_PROFILE: &str = "\n[profile.release]\npanic = \"abort\"\nstrip = true\n";

/// Both peers link with the toolchain's own linker, and with nothing else.
const CARGO_CONFIG: &str = "[target.x86_64-unknown-linux-musl]\nlinker = \"rust-lld\"\n\n\
                            [target.aarch64-unknown-linux-musl]\nlinker = \"rust-lld\"\n";

/// The same targets, format and files as ours. goreleaser's Rust builder would
/// use cargo-zigbuild, which costs more. On every run it asks `rustup target add`
/// for each target; with the targets installed that reads files and stays off
/// the network, as strace shows. It is its own time, as a user gets it.
fn goreleaser_config(package: &str) -> String {
    format!(
        "version: 2
project_name: {package}
builds:
  - builder: rust
    tool: cargo
    command: build
    binary: {package}
    flags: [--release, --locked, --package={package}]
    targets: [x86_64-unknown-linux-musl, aarch64-unknown-linux-musl]
archives:
  - formats: [tar.gz]
    files: [LICENSE, README.md]
checksum:
  name_template: checksums.txt
"
    )
}

/// A program to be started.
pub struct Run(pub Command);

impl Run {
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Run {
        self.args([arg])
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Run {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.0.env(name, value);
        self
    }

    /// Runs to the end and returns stdout.
    pub fn read(mut self) -> Result<String> {
        let output = self.output()?;
        String::from_utf8(output.stdout).with_context(|| format!("read the output of {:?}", self.0))
    }

    /// Runs to the end and says how long it took.
    pub fn time(mut self) -> Result<Duration> {
        let started = Instant::now();
        let output = self.output();
        let time = started.elapsed();
        output.map(|_| time)
    }

    fn output(&mut self) -> Result<Output> {
        let output = self.0.output().with_context(|| format!("start {:?}", self.0))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{:?} failed ({}):\n{}", self.0, output.status, words.trim());
        }
        Ok(output)
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let context = || format!("write {}", path.display());
    std::fs::create_dir_all(path.parent().with_context(context)?).with_context(context)?;
    std::fs::write(path, text).with_context(context)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("copy {}", from.display());
    std::fs::create_dir_all(to).with_context(context)?;
    for entry in std::fs::read_dir(from).with_context(context)? {
        let entry = entry.with_context(context)?;
        let to = to.join(entry.file_name());
        if entry.file_type().with_context(context)?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to).with_context(context)?;
        }
    }
    Ok(())
}
