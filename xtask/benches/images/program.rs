//! A program to make images of, and how it changes without a compiler.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, INSTALLED, Run, write};
use crate::cargo;
use crate::layout;

/// Its name, and its binary's.
pub const NAME: &str = "hello";
/// The targets that are built, and the architectures that images name.
pub const TARGETS: [(&str, &str); 2] =
    [("x86_64-unknown-linux-musl", "amd64"), ("aarch64-unknown-linux-musl", "arm64")];
/// In bytes: with the little that is its own, a binary of 4.6 MB.
const CODE: usize = 4 << 20;

/// A project whose binaries for both targets are built, and a folder with the same
/// binaries for engines.
pub struct Program {
    pub root: PathBuf,
    /// A clone of it for cargo alone, built too.
    clone: PathBuf,
    /// What engines build in: `rootfs.tar`, and `hello-ARCHITECTURE`.
    pub context: PathBuf,
    binaries: Vec<Binary>,
    round: Cell<u64>,
}

struct Binary {
    /// Where cargo keeps it, and links it from to where it is found.
    kept: PathBuf,
    arch: &'static str,
    bytes: Vec<u8>,
    /// Where its mark is.
    at: usize,
}

/// What differs between two of them, by which it is found again in a layer.
const MARK: &[u8] = b"<round 0000000000>";

const MAIN: &str = r#"
static CODE: &[u8] = include_bytes!("code");
static MARK: &[u8] = b"<round 0000000000>";

fn main() {
    std::hint::black_box((CODE, MARK));
    println!("hello");
}
"#;

const MANIFEST: &str = r#"[package]
name = "hello"
version = "0.1.0"
edition = "2024"
license = "Apache-2.0"
description = "Says hello, and holds machine code to be compressed"

[profile.release]
panic = "abort"
strip = true
"#;

/// cargo links with the toolchain's own linker, as the tool makes it do.
const CARGO_CONFIG: &str = "[target.x86_64-unknown-linux-musl]\nlinker = \"rust-lld\"\n\n\
                            [target.aarch64-unknown-linux-musl]\nlinker = \"rust-lld\"\n";

impl Program {
    pub fn make(bench: &Bench) -> Result<Program> {
        let dir = bench.dir.join("program");
        let [root, clone, context] = ["ours", "cargo", "context"].map(|name| dir.join(name));
        if !root.is_dir() {
            sources(bench, &root, "")?;
            bench.command("git", &dir).args(["clone", "--quiet", "ours", "cargo"]).read()?;
        }
        let program = Program { root, clone, context, binaries: Vec::new(), round: Cell::new(0) };
        bench.command(INSTALLED, &program.root).args(["image", "--quiet"]).read()?;
        for arguments in [1, 2] {
            program.cargo(bench, arguments)?.read()?;
        }
        let binaries = TARGETS.map(|(target, arch)| binary(&program.root, target, arch));
        let binaries = binaries.into_iter().collect::<Result<_>>()?;
        let base = layout::first(&program.root.join("dist/images").join(NAME))?;
        write_bytes(&program.context.join("rootfs.tar"), &base)?;
        let time = std::time::SystemTime::UNIX_EPOCH.elapsed().context("read the clock")?;
        // A folder that is used again has the layers of all rounds before in its caches.
        let program = Program { binaries, round: Cell::new(time.as_secs()), ..program };
        program.change()?;
        Ok(program)
    }

    /// Puts binaries that were never there before where cargo keeps its own, and into
    /// the engines' folder. cargo looks at times and not at content: it finds all
    /// fresh and links them to their places, as it does after each build.
    pub fn change(&self) -> Result<()> {
        self.round.set(self.round.get() + 1);
        for binary in &self.binaries {
            let mut bytes = binary.bytes.clone();
            bytes[binary.at..][..MARK.len()].copy_from_slice(&self.mark());
            let copy = self.context.join(format!("{NAME}-{}", binary.arch));
            for path in [&binary.kept, &copy] {
                let new = path.with_extension("new");
                write_bytes(&new, &bytes)?;
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&new, mode).context("make a binary executable")?;
                std::fs::rename(&new, path).context("put a binary into its place")?;
            }
        }
        Ok(())
    }

    /// What the present binaries hold and no earlier ones did.
    pub fn mark(&self) -> Vec<u8> {
        format!("<round {:010}>", self.round.get()).into_bytes()
    }

    /// The cargo call that the tool makes for so many targets.
    pub fn cargo(&self, bench: &Bench, targets: usize) -> Result<Run> {
        let build = ["build", "--package", "hello@0.1.0", "--bin", NAME, "--locked"];
        let profile = ["--profile", "dist", "--config", "profile.dist.inherits=\"release\""];
        let messages = ["--message-format", "json-render-diagnostics"];
        let targets = TARGETS[..targets].iter().flat_map(|(target, _)| ["--target", target]);
        let run = cargo::call(bench, &self.clone)?;
        Ok(run.args(build).args(profile).args(messages).args(targets))
    }
}

/// Makes the project and commits it; `more` is added to its manifest.
pub fn sources(bench: &Bench, root: &Path, more: &str) -> Result<()> {
    write(&root.join("Cargo.toml"), &format!("{MANIFEST}{more}"))?;
    write(&root.join(".cargo/config.toml"), CARGO_CONFIG)?;
    write(&root.join(".gitignore"), "/target\n/dist\n/big\n")?;
    write(&root.join("src/main.rs"), MAIN)?;
    write_bytes(&root.join("src/code"), &code(bench)?)?;
    bench.command("cargo", root).args(["generate-lockfile", "--quiet"]).read()?;
    bench.command("git", root).args(["init", "--quiet", "--initial-branch", "main"]).read()?;
    bench.command("git", root).args(["add", "--all"]).read()?;
    bench.commit(root, "The program")
}

/// Machine code that compresses as programs do: of the compiler's own library.
fn code(bench: &Bench) -> Result<Vec<u8>> {
    let library = libraries(bench)?.into_iter().next().context("find the compiler's library")?;
    let bytes = std::fs::read(&library).with_context(|| format!("read {}", library.display()))?;
    let middle = bytes.len() / 2;
    ensure!(middle > CODE, "{} is too small to take code from", library.display());
    Ok(bytes[middle..][..CODE].to_vec())
}

/// The files that the compiler itself is made of, the largest first.
pub fn libraries(bench: &Bench) -> Result<Vec<PathBuf>> {
    let sysroot = bench.command("rustc", &bench.dir).args(["--print", "sysroot"]).read()?;
    let mut found = Vec::new();
    for folder in ["lib", "lib/rustlib/x86_64-unknown-linux-musl/lib"] {
        let dir = Path::new(sysroot.trim()).join(folder);
        for entry in dir.read_dir().with_context(|| format!("list {}", dir.display()))? {
            let entry = entry.context("list the compiler's libraries")?;
            let meta = entry.metadata().context("look at a library")?;
            if meta.is_file() {
                found.push((std::cmp::Reverse(meta.len()), entry.path()));
            }
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn binary(root: &Path, target: &str, arch: &'static str) -> Result<Binary> {
    let dir = root.join("target").join(target).join("dist/deps");
    let mut kept = None;
    for entry in dir.read_dir().with_context(|| format!("list {}", dir.display()))? {
        let path = entry.context("list what cargo keeps")?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| name.starts_with("hello-") && !name.contains('.')) {
            ensure!(kept.is_none(), "{} holds several binaries", dir.display());
            kept = Some(path);
        }
    }
    let kept = kept.with_context(|| format!("find the binary in {}", dir.display()))?;
    let bytes = std::fs::read(&kept).with_context(|| format!("read {}", kept.display()))?;
    let start = &MARK[..b"<round ".len()];
    let at = bytes.windows(start.len()).position(|bytes| bytes == start);
    let at = at.with_context(|| format!("find the mark in {}", kept.display()))?;
    Ok(Binary { kept, arch, bytes, at })
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("write {}", path.display());
    std::fs::create_dir_all(path.parent().with_context(context)?).with_context(context)?;
    std::fs::write(path, bytes).with_context(context)
}
