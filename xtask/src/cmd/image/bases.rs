//! Bases in registries, asked for and pinned.

use anyhow::Result;

use super::{Common, NetworkArgs, World};
use crate::plan::Select;
use crate::project::bases;
use crate::reference::Reference;

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
        let digest = match before.filter(|_| !meant) {
            Some(digest) => *digest,
            None if !meant => continue,
            None => registry.resolve(base)?,
        };
        if before != Some(&digest) {
            let now = Reference { digest: Some(digest), ..base.clone() };
            world.term.step("pin", now);
        }
        pinned.insert(base.clone(), digest);
    }
    bases::write(&project.root, &pinned)
}
