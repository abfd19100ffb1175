//! The projects that are measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, read, write};

/// One project, twice: each peer has a clone of one commit, with a target folder
/// and a dist/ of its own, so that none invalidates what the other made.
pub struct Project {
    pub ours: PathBuf,
    pub theirs: PathBuf,
    /// What is shipped of it.
    pub package: &'static str,
}

impl Bench {
    /// The version of goreleaser, where there is one.
    pub fn goreleaser(&self) -> Result<Option<String>> {
        let Some(text) = self.installed("goreleaser", &["--version"])? else {
            return Ok(None);
        };
        let version = text.lines().find_map(|line| line.strip_prefix("GitVersion:"));
        Ok(Some(version.context("read goreleaser's version")?.trim().to_owned()))
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
                let template = "Dockerfile.tmpl";
                let from = self.repository.join("xtask").join(template);
                std::fs::copy(from, root.join(member).join(template))
                    .with_context(|| format!("copy {template}"))?;
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

    /// examples/kubectl-view-secret in two thin binary crates of one library: `thin` reads the
    /// version by `option_env!`, and `slot` takes it from a slot. Both carry 3 MB of data, so
    /// that they are as large as the tool itself, and compiled in a fraction of its time.
    pub fn slot(&self) -> Result<Project> {
        self.project("slot", "slot", |root| {
            let members =
                "[workspace]\nresolver = \"3\"\nmembers = [\"lib\", \"thin\", \"slot\"]\n";
            write(&root.join("Cargo.toml"), &(members.to_owned() + RELEASE_PROFILE))?;
            let example = self.repository.join("examples/kubectl-view-secret");
            copy(&example.join("src"), &root.join("lib/src"))?;
            std::fs::remove_file(root.join("lib/src/main.rs")).context("make the library")?;
            let manifest = self.manifest("kubectl-view-secret", &example)?;
            write(&root.join("lib/Cargo.toml"), &manifest)?;
            let source = self.repository.join("xtask/version");
            let version = root.join("dockless-version");
            copy(&source.join("src"), &version.join("src"))?;
            write(&version.join("README.md"), &read(&source.join("README.md"))?)?;
            let own = |name: &str| {
                format!(
                    "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                     license = \"Apache-2.0\"\n"
                )
            };
            write(&version.join("Cargo.toml"), &own("dockless-version"))?;
            let library = "\n[dependencies]\nkubectl-view-secret = { path = \"../lib\" }\n";
            let slot = "dockless-version = { path = \"../dockless-version\" }\n";
            write(&root.join("data"), &"0123456789abcde\n".repeat(3_000_000 / 16))?;
            for (name, more, said) in [
                ("thin", "", "option_env!(\"DOCKLESS_VERSION\")"),
                ("slot", slot, "dockless_version::version()"),
            ] {
                write(&root.join(name).join("Cargo.toml"), &(own(name) + library + more))?;
                let main = format!(
                    "static DATA: &[u8] = include_bytes!(\"../../data\");\n\n\
                     fn main() -> std::process::ExitCode {{\n    \
                     std::hint::black_box(DATA);\n    kubectl_view_secret::main({said})\n}}\n"
                );
                write(&root.join(name).join("src/main.rs"), &main)?;
            }
            Ok(())
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
        let mut tables = dependencies.split("\n[");
        let common = tables.next().unwrap_or(dependencies);
        text += &format!("\n[dependencies]\n{common}\n");
        for table in tables.filter(|table| table.starts_with("target.")) {
            text += &format!("[{table}\n");
        }
        Ok(text)
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
    env: [CC_x86_64_unknown_linux_musl=clang, CC_aarch64_unknown_linux_musl=clang]
archives:
  - formats: [tar.gz]
    files: [LICENSE, README.md]
checksum:
  name_template: checksums.txt
"
    )
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
