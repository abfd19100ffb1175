//! The packages of the workspace.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, TargetKind};

use super::{About, Bin, Git, Package};
use crate::digest::Digest;
use crate::secret::Address;
use crate::version::{Version, Versioned};

/// The packages that cargo lists, sorted by name, with versions from git.
pub fn of(metadata: &Metadata, git: Option<&Git>) -> Result<Vec<Package>> {
    let mut packages = Vec::new();
    for package in &metadata.packages {
        let cargo_version = Version::from_cargo(&package.version);
        let cargo_build = package.version.build.to_string();
        let manifest = package.manifest_path.clone().into_std_path_buf();
        let dir_of = manifest.parent().context("find the manifest's folder")?.to_owned();
        let versioned = versioned(&package.name, &cargo_version, &cargo_build, git);
        let bins = package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin));
        let named = [("license-file", &package.license_file), ("readme", &package.readme)];
        packages.push(Package {
            name: package.name.to_string(),
            spec: format!("{}@{}", package.name, package.version),
            versioned,
            cargo_version,
            cargo_build,
            bins: bins
                .map(|bin| Bin {
                    name: bin.name.clone(),
                    required_features: bin.required_features.clone(),
                })
                .collect(),
            features: package.features.clone().into_iter().collect(),
            about: About {
                license: filled(&package.license),
                description: filled(&package.description),
                repository: filled(&package.repository).as_deref().map(public),
                homepage: filled(&package.homepage).as_deref().map(public),
            },
            named_files: named
                .into_iter()
                .filter_map(|(key, file)| Some((key, dir_of.join(file.as_ref()?))))
                .collect(),
            is_xtask: package.dependencies.iter().any(|dependency| dependency.name == "dockless"),
            dir: dir_of,
            manifest,
        });
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// The digest of all that cargo says of each package, as `NAME@VERSION`. `metadata` is what it
/// printed.
pub fn described(metadata: &[u8]) -> Result<BTreeMap<String, Digest>> {
    let metadata: Metadata = serde_json::from_slice(metadata).context("read cargo's metadata")?;
    let packages = metadata.packages.iter().map(|package| {
        let said = serde_json::to_vec(package).context("write JSON")?;
        Ok((format!("{}@{}", package.name, package.version), Digest::of(&said)))
    });
    packages.collect()
}

/// The version of a package. `cargo` and `build` come from Cargo.toml.
pub fn versioned(package: &str, cargo: &Version, build: &str, git: Option<&Git>) -> Versioned {
    let head = git.map(|git| git.head(package, |tag| tag.announces(cargo, build)));
    Versioned::decide(cargo, build, head.as_ref())
}

/// The value of a key in Cargo.toml; `None` for an empty one.
fn filled(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.trim().is_empty())
}

/// A URL without its login.
fn public(address: &str) -> String {
    Address::new(address).shown().to_owned()
}
