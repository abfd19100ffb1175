//! Bases in registries, asked for and pinned.

use anyhow::{Context, Result};

use super::{Common, NetworkArgs, World};
use crate::digest::Digest;
use crate::finding::{Finding, Place};
use crate::plan::Select;
use crate::project::bases::{self, BaseSbom, Pinned};
use crate::reference::Reference;
use crate::registry::Registry;
use crate::target::{Platform, Target};

/// Asks registries what the bases of the packages are now, those that were named or all,
/// and writes it into dockless.lock, which keeps no others.
pub fn update(
    select: &Select,
    network: &NetworkArgs,
    common: &Common,
    world: &World,
) -> Result<()> {
    let (project, config) = world.project_and_config(common, &select.targets)?;
    let blobs = world.cache.blobs()?;
    let http = world.http(&config.network, network, common);
    let registry = world.registry(&http, &blobs, &config.network);
    let mut pinned = bases::Bases::new();
    for package in &config.packages {
        let Some(base) = package.image.named_base() else { continue };
        let before = project.bases.get(base);
        let meant = select.packages.is_empty() || select.packages.contains(&package.name);
        let now = match before.filter(|_| !meant) {
            Some(before) => before.clone(),
            None if !meant => continue,
            None => {
                let digest = registry.resolve(base)?;
                let platforms: Vec<_> =
                    package.targets.iter().filter_map(Target::platform).collect();
                // A base that cannot serve is found out before it is pinned.
                let at = Reference { digest: Some(digest), ..base.clone() };
                let context = || format!("read the base {at} of {}", package.name);
                registry.pull(&at, &platforms).with_context(context)?;
                let sboms = sboms(base, digest, &platforms, &registry, world);
                Pinned { digest, sboms }
            }
        };
        if before != Some(&now) {
            world.term.step("pin", Reference { digest: Some(now.digest), ..base.clone() });
        }
        // Packages for other platforms may stand on the same base.
        let known = pinned.entry(base.clone()).or_insert_with(|| now.clone());
        known.sboms.extend(now.sboms);
        known.sboms.sort();
        known.sboms.dedup();
    }
    bases::write(&project.root, &pinned)
}

/// The SBOMs that the base's registry has. A base without them serves as well.
fn sboms(
    base: &Reference,
    digest: Digest,
    platforms: &[Platform],
    registry: &Registry<'_>,
    world: &World,
) -> Vec<BaseSbom> {
    let pinned = Reference { digest: Some(digest), ..base.clone() };
    match registry.sboms(&pinned, platforms) {
        Ok(found) => found.into_iter().map(|(of, at)| BaseSbom { of, at }).collect(),
        Err(error) => {
            let why = format!("its own SBOMs are not known: {:#}", error);
            let fix = "run it again, if its registry is to have some";
            world.term.finding(&Finding::warning(
                "base-sbom",
                Place::item(base.to_string()),
                why,
                fix,
            ));
            Vec::new()
        }
    }
}
