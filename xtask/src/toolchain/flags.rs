//! rustc's flags and linker: the user's, from whichever of cargo's four places
//! counts, with ours appended.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_config2::{Config, Flags, PathAndArgs, ResolveOptions};

use super::rustc_commit;
use crate::finding::{Finding, Place};
use crate::process;
use crate::project::Project;
use crate::target::Target;

/// The linker to name, and what is worth saying of the choice. Without one
/// nothing can be linked.
pub struct Chosen {
    pub linker: Option<Linker>,
    pub warning: Option<Finding>,
}

/// Which linker is named to rustc.
pub enum Linker {
    /// The user's, as cargo's configuration or flags name it.
    Users,
    /// The toolchain's own, which rustc finds by name.
    RustLld,
    /// One on PATH that understands the same arguments.
    Lld(PathBuf),
}

/// cargo's configuration as it counts in the project's root.
pub fn cargo_config(project: &Project) -> Result<Config> {
    let rustc =
        project.rustc.sysroot.join("bin").join(format!("rustc{}", std::env::consts::EXE_SUFFIX));
    let options = ResolveOptions::default()
        .env(project.env.iter().map(|(name, value)| (name.clone(), value.clone())))
        .cargo_home(project.cargo_home())
        .rustc(PathAndArgs::new(rustc))
        .host_triple(project.rustc.host.clone());
    let context = || format!("read cargo's configuration for {}", project.root.display());
    Config::load_with_options(&project.root, options).with_context(context)
}

/// Chooses the linker: the user's if one is named, else the toolchain's own.
///
/// musl-gcc is never used: rustc succeeds with it and the binary crashes.
/// <https://github.com/rust-lang/rust/issues/95926>
pub fn linker(target: &Target, cargo: &Config, project: &Project) -> Result<Chosen> {
    let context = || format!("read cargo's configuration for {target}");
    let configured = cargo.linker(target.as_str()).with_context(context)?;
    let flags = cargo.rustflags(target.as_str()).with_context(context)?.unwrap_or_default();
    let named = named_linker(&flags).map(PathBuf::from).or(configured);
    let musl_gcc = named.as_ref().is_some_and(|linker| {
        linker.file_name().is_some_and(|name| name.to_string_lossy().contains("musl-gcc"))
    });
    let host = project.rustc.library(&project.rustc.host).join("bin");
    let own = host.join(format!("rust-lld{}", std::env::consts::EXE_SUFFIX));
    let linker = match named {
        Some(_) if !musl_gcc => Some(Linker::Users),
        _ if own.is_file() => Some(Linker::RustLld),
        _ => process::find("ld.lld", &project.env).map(Linker::Lld),
    };
    let warning = musl_gcc.then(|| {
        let why = "cargo's configuration names musl-gcc as linker; rust-lld is used, because binaries that musl-gcc links crash";
        let fix = "remove that setting (https://github.com/rust-lang/rust/issues/95926)";
        Finding::warning("musl-gcc", Place::item(target.as_str()), why, fix)
    });
    Ok(Chosen { linker, warning })
}

/// The linker that the last `-C linker=` among the flags names.
fn named_linker(flags: &Flags) -> Option<&str> {
    let mut named = None;
    let mut previous = "";
    for flag in &flags.flags {
        let option = flag.strip_prefix("-C").or_else(|| flag.strip_prefix("--codegen="));
        let spread = matches!(previous, "-C" | "--codegen").then_some(flag.as_str());
        named = option.or(spread).and_then(|option| option.strip_prefix("linker=")).or(named);
        previous = flag;
    }
    named
}

/// The flags in the form of CARGO_ENCODED_RUSTFLAGS, which outweighs cargo's
/// other places, so that none of the user's is lost and none added to.
/// <https://doc.rust-lang.org/cargo/reference/config.html#buildrustflags>
pub fn encoded(
    target: &Target,
    linker: &Linker,
    remap: &[(PathBuf, String)],
    cargo: &Config,
    project: &Project,
) -> Result<String> {
    let context = || format!("gather rustc's flags for {target}");
    let mut flags = cargo.rustflags(target.as_str()).with_context(context)?.unwrap_or_default();
    // Said although they are the default: that is to change, and a user's
    // `-crt-static` would link the host's libc.
    // https://github.com/rust-lang/rust/issues/144513 and /issues/135244
    flags.push("-Ctarget-feature=+crt-static");
    flags.push("-Clink-self-contained=yes");
    match linker {
        Linker::Users => {}
        Linker::RustLld => flags.push("-Clinker=rust-lld"),
        Linker::Lld(path) => {
            flags.push(format!("-Clinker={}", text(path)?));
            flags.push("-Clinker-flavor=ld.lld");
        }
    }
    for (from, to) in remap {
        flags.push(format!("--remap-path-prefix={}={to}", text(from)?));
    }
    let source = project.rustc.sysroot.join("lib/rustlib/src/rust");
    if !remap.is_empty() && source.is_dir() {
        // With the component rust-src, rustc names its files by their place here.
        flags.push(format!(
            "--remap-path-prefix={}=/rustc/{}",
            text(&source)?,
            rustc_commit(project)?
        ));
    }
    flags.encode().with_context(context)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("name {} to rustc: the path is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_among_the_flags_is_seen_in_each_spelling() {
        for (flags, expected) in [
            ("-C linker=clang", Some("clang")),
            ("-Clinker=a -Clinker=b", Some("b")),
            ("--codegen=linker=x", Some("x")),
            ("--codegen linker=x", Some("x")),
            ("-Clinker-flavor=ld -Copt-level=1", None),
            ("linker=x", None),
        ] {
            assert_eq!(named_linker(&Flags::from_space_separated(flags)), expected, "{flags}");
        }
    }
}
