//! The profiles that the root manifest and cargo's configuration define.

use std::path::Path;

use anyhow::Result;

use super::cargo_config;
use crate::process::Env;

/// One definition of a profile; a name can have several.
#[derive(Clone, Debug)]
pub struct Profile {
    pub name: String,
    pub inherits: Option<String>,
    /// Whether it sets `strip`.
    pub sets_strip: bool,
}

/// Reads the definitions in Cargo.toml, in cargo's configuration files and in the variables
/// CARGO_PROFILE_NAME_INHERITS and CARGO_PROFILE_NAME_STRIP.
/// <https://doc.rust-lang.org/cargo/reference/config.html#profile>
pub fn read(root: &Path, env: &Env) -> Result<Vec<Profile>> {
    let mut profiles = Vec::new();
    let manifest = cargo_config::table(&root.join("Cargo.toml"))?;
    for table in manifest.into_iter().chain(cargo_config::tables(root, env)?) {
        profiles.extend(defined(&table));
    }
    let variables = env.iter().filter_map(|(name, value)| {
        let key = name.to_str()?.strip_prefix("CARGO_PROFILE_")?;
        let (name, inherits) = match key.strip_suffix("_INHERITS") {
            Some(name) => (name, Some(value.to_string_lossy().into_owned())),
            None => (key.strip_suffix("_STRIP")?, None),
        };
        let sets_strip = inherits.is_none();
        Some(Profile { name: name.to_lowercase().replace('_', "-"), inherits, sets_strip })
    });
    profiles.extend(variables);
    Ok(profiles)
}

fn defined(table: &toml::Table) -> Vec<Profile> {
    let profiles = table.get("profile").and_then(toml::Value::as_table);
    let profiles = profiles.into_iter().flatten();
    profiles
        .map(|(name, profile)| Profile {
            name: name.clone(),
            inherits: profile.get("inherits").and_then(toml::Value::as_str).map(str::to_owned),
            sets_strip: profile.get("strip").is_some(),
        })
        .collect()
}

/// Whether the profile, or one that it inherits from, sets `strip`.
pub fn sets_strip(profiles: &[Profile], name: &str) -> bool {
    // A chain longer than the list of definitions is a circle, which cargo reports.
    let mut name = name.to_owned();
    for _ in 0..=profiles.len() {
        let mut definitions = profiles.iter().filter(|profile| profile.name == name);
        if definitions.clone().any(|profile| profile.sets_strip) {
            return true;
        }
        match definitions.find_map(|profile| profile.inherits.clone()) {
            Some(parent) => name = parent,
            None => return false,
        }
    }
    false
}
