//! Linkers, flags and variables in cargo's configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_config2::{Config, Flags, PathAndArgs, ResolveOptions};

use super::Project;
use crate::target::Target;

/// cargo's configuration in the project's root.
pub fn read(project: &Project) -> Result<Config> {
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

/// The variables that the configuration sets for builds unless the environment does.
pub fn vars(config: &Config) -> BTreeMap<String, OsString> {
    config.env.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect()
}

/// The linkers that the user configured for the targets, by triple.
pub fn linkers<'a>(
    config: &Config,
    targets: impl Iterator<Item = &'a Target>,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut linkers = BTreeMap::new();
    for target in targets {
        let named = linker(target, config)?;
        linkers.extend(named.map(|linker| (target.triple().to_owned(), linker)));
    }
    Ok(linkers)
}

/// The linker that the user configured for the target, by a flag or a setting.
pub fn linker(target: &Target, config: &Config) -> Result<Option<PathBuf>> {
    let context = || format!("read cargo's configuration for {target}");
    let configured = config.linker(target.triple()).with_context(context)?;
    let flags = config.rustflags(target.triple()).with_context(context)?.unwrap_or_default();
    Ok(named_linker(&flags).map(PathBuf::from).or(configured))
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
