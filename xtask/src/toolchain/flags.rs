//! rustc's flags and linker: those of the user, from the one of cargo's four sources that
//! applies, with ours appended.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_config2::Config;

use super::rustc_commit;
use crate::files;
use crate::finding::{Finding, Place};
use crate::process;
use crate::project::{Project, cargo_config};
use crate::target::Target;

/// The chosen linker; `None` where there is none. And a warning about the choice.
pub struct Chosen {
    pub linker: Option<Linker>,
    pub warning: Option<Finding>,
}

/// The linker that rustc is told.
pub enum Linker {
    /// None: the user's, rustc's default, or one that a variable names.
    Unnamed,
    /// The toolchain's own, at this path. rustc finds it by name.
    RustLld(PathBuf),
    /// One on PATH that takes the same arguments.
    Lld(PathBuf),
    /// A wrapper of one of the two, which a variable names.
    Wrapper,
}

/// Chooses the linker for musl: the user's if configured, else the toolchain's own.
///
/// musl-gcc is never used: rustc succeeds with it and the binary crashes.
/// <https://github.com/rust-lang/rust/issues/95926>
pub fn linker(target: &Target, cargo: &Config, project: &Project) -> Result<Chosen> {
    let named = cargo_config::linker(target, cargo)?;
    let musl_gcc = named.as_ref().is_some_and(|linker| {
        linker.file_name().is_some_and(|name| name.to_string_lossy().contains("musl-gcc"))
    });
    let host = project.rustc.library(&project.rustc.host).join("bin");
    let own = host.join(format!("rust-lld{}", std::env::consts::EXE_SUFFIX));
    let linker = match named {
        Some(_) if !musl_gcc => Some(Linker::Unnamed),
        _ if own.is_file() => Some(Linker::RustLld(own)),
        _ => process::find("ld.lld", &project.env).map(Linker::Lld),
    };
    let warning = musl_gcc.then(|| {
        let why = "cargo's configuration names musl-gcc as linker; rust-lld is used, because binaries that musl-gcc links crash";
        let fix = "remove that setting (https://github.com/rust-lang/rust/issues/95926)";
        Finding::warning("musl-gcc", Place::item(target.as_str()), why, fix)
    });
    Ok(Chosen { linker, warning })
}

/// The libraries that musl's libc contains. musl installs empty ones, because programs link
/// them; rustc's copy of musl lacks those.
/// <https://git.musl-libc.org/cgit/musl/tree/Makefile> (EMPTY_LIB_NAMES)
pub const WITHIN_LIBC: [&str; 8] = ["m", "rt", "pthread", "crypt", "util", "xnet", "resolv", "dl"];

/// Writes musl's empty libraries below the target folder and returns their folder.
fn empty_libraries(project: &Project) -> Result<PathBuf> {
    let dir = project.target_dir.join("dockless/musl");
    for name in WITHIN_LIBC {
        let path = dir.join(format!("lib{name}.a"));
        if !path.is_file() {
            files::write(&path, b"!<arch>\n")?;
        }
    }
    Ok(dir)
}

/// The flags for musl in a container with rustc: the user's, ours, and rustc's own linker.
/// `libraries` is the folder of musl's empty libraries in it.
pub fn elsewhere(target: &Target, libraries: &str, project: &Project) -> Result<Vec<String>> {
    let cargo = cargo_config::read(project)?;
    let context = || format!("gather rustc's flags for {target}");
    let own = cargo.rustflags(target.triple()).with_context(context)?.unwrap_or_default();
    let ours = ["-Ctarget-feature=+crt-static", "-Clink-self-contained=yes"].map(str::to_owned);
    let linker = [format!("-Clink-arg=-L{libraries}"), "-Clinker=rust-lld".to_owned()];
    let named = cargo_config::linker(target, &cargo)?.is_some();
    let linker = linker.into_iter().filter(|_| !named);
    Ok(own.flags.into_iter().chain(ours).chain(linker).collect())
}

/// The flags that replace folders of this machine in binaries.
pub fn remap(remap: &[(PathBuf, String)], project: &Project) -> Result<Vec<String>> {
    let flag = |from: &Path, to: &str| Ok(format!("--remap-path-prefix={}={to}", text(from)?));
    let mut flags = remap.iter().map(|(from, to)| flag(from, to)).collect::<Result<Vec<_>>>()?;
    let source = project.rustc.sysroot.join("lib/rustlib/src/rust");
    if !remap.is_empty() && source.is_dir() {
        // With the component rust-src, rustc uses local paths for the standard library.
        flags.push(flag(&source, &format!("/rustc/{}", rustc_commit(project)?))?);
    }
    Ok(flags)
}

/// The flag that adds musl's empty libraries, after all other folders: a crate may have a library
/// of such a name. `None` where they are not needed.
pub fn libraries(target: &Target, linker: &Linker, project: &Project) -> Result<Option<String>> {
    if !target.is_musl() || matches!(linker, Linker::Unnamed) {
        return Ok(None);
    }
    Ok(Some(format!("-Clink-arg=-L{}", text(&empty_libraries(project)?)?)))
}

/// The flags as CARGO_ENCODED_RUSTFLAGS. It overrides cargo's other sources, so it has the user's
/// flags, too. `libraries` and `remap` are flags with folders of this machine.
/// <https://doc.rust-lang.org/cargo/reference/config.html#buildrustflags>
pub fn encoded(
    target: &Target,
    linker: &Linker,
    libraries: Option<&String>,
    remap: &[String],
    cargo: &Config,
) -> Result<String> {
    let context = || format!("gather rustc's flags for {target}");
    let mut flags = cargo.rustflags(target.triple()).with_context(context)?.unwrap_or_default();
    if target.is_musl() {
        // Explicit, because this default will change, and because a user's `-crt-static` would
        // link the host's libc.
        // https://github.com/rust-lang/rust/issues/144513 and /issues/135244
        flags.push("-Ctarget-feature=+crt-static");
        flags.push("-Clink-self-contained=yes");
        libraries.iter().for_each(|flag| flags.push(flag.as_str()));
    } else if target.is_windows() {
        // Without it programs need Microsoft's runtime to be installed.
        flags.push("-Ctarget-feature=+crt-static");
    }
    match linker {
        Linker::Unnamed => {}
        Linker::RustLld(_) => flags.push("-Clinker=rust-lld"),
        Linker::Lld(path) => {
            flags.push(format!("-Clinker={}", text(path)?));
            flags.push("-Clinker-flavor=ld.lld");
        }
        Linker::Wrapper => {
            flags.push("-Clinker-flavor=ld.lld");
            // A flag of the user's would override the variable.
            if cargo_config::linker(target, cargo)?.is_some() {
                flags.push(format!("-Clinker={}-ld", target.triple()));
            }
        }
    }
    remap.iter().for_each(|flag| flags.push(flag.as_str()));
    flags.encode().with_context(context)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("name {} to rustc: the path is not UTF-8", path.display()))
}
