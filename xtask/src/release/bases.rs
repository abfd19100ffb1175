//! What images stand on.

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::config;
use crate::oci::{self, Base, Root};
use crate::plan::{ImagePlan, Plan};
use crate::registry::Registry;
use crate::target::Platform;
use crate::term::Term;

/// What the images stand on, in their order: known before anything is compiled.
pub fn all(plan: &Plan, cache: &Cache, registry: &Registry<'_>, term: &Term) -> Result<Vec<Base>> {
    plan.images.iter().map(|image| one(image, cache, registry, term)).collect()
}

/// What one image stands on.
pub fn one(image: &ImagePlan, cache: &Cache, registry: &Registry<'_>, term: &Term) -> Result<Base> {
    let config::Base::Named(reference) = &image.base else {
        return oci::base(image, cache, term);
    };
    let platforms: Vec<Platform> = image.platforms.iter().map(|it| it.platform.clone()).collect();
    let context = || format!("read the base {reference} of {}", image.package);
    let found = registry.pull(reference, &platforms).with_context(context)?;
    let fetch = |root: &Root| registry.fetch(root);
    oci::on(image, found, &fetch, cache, term).with_context(context)
}
