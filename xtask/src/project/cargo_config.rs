//! Linkers, flags and variables in cargo's configuration.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_config2::{Config, Flags, PathAndArgs, ResolveOptions};
use toml::{Table, Value};

use super::Project;
use crate::files::{self, limits};
use crate::process::Env;
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

/// cargo's own folder; `None` where nothing tells it.
pub fn home(root: &Path, env: &Env) -> Option<PathBuf> {
    let named = env.get("CARGO_HOME").map(|home| root.join(home));
    named.or_else(|| Some(Path::new(env.get("HOME")?).join(".cargo")))
}

/// The files of cargo's configuration in this folder, as they are written, and those that they
/// include.
/// <https://doc.rust-lang.org/cargo/reference/config.html#hierarchical-structure>
pub fn tables(root: &Path, env: &Env) -> Result<Vec<Table>> {
    let above = root.ancestors().map(|dir| dir.join(".cargo"));
    let dirs = above.chain(home(root, env));
    let mut files: VecDeque<PathBuf> =
        dirs.flat_map(|dir| ["config", "config.toml"].map(|name| dir.join(name))).collect();
    let (mut tables, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(file) = files.pop_front() {
        // Files that include each other in a circle are read once.
        if !seen.insert(file.clone()) {
            continue;
        }
        let Some(table) = table(&file)? else { continue };
        files.extend(included(&table).map(|path| file.with_file_name(path)));
        tables.push(table);
    }
    Ok(tables)
}

/// A file in TOML; `None` where there is none.
pub fn table(file: &Path) -> Result<Option<Table>> {
    if !file.is_file() {
        return Ok(None);
    }
    let context = || format!("read {}", file.display());
    let text = String::from_utf8(files::read_foreign(file, limits::SETTINGS)?);
    let text = text.with_context(context)?;
    toml::from_str(&text).map(Some).with_context(context)
}

/// The files that a configuration file includes, from its folder.
/// <https://doc.rust-lang.org/cargo/reference/config.html#include>
fn included(table: &Table) -> impl Iterator<Item = &str> {
    let all = table.get("include").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|it| it.as_str().or_else(|| it.get("path")?.as_str()))
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
