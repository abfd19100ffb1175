//! The images of a plan, made.

use std::time::Instant;

use anyhow::{Context, Result};

use super::Licenses;
use crate::artifacts::Image;
use crate::cache::Cache;
use crate::config::ImageNode;
use crate::files;
use crate::linkage::Binaries;
use crate::oci::{self, Base, LayerEvent};
use crate::plan::{ImagePlan, ImagePlatform, Plan};
use crate::registry::Registry;
use crate::term::Term;

/// Makes all images, one after the other: each takes all processors. Where the registry is asked
/// ahead, it hears of each layer what it will be asked for.
pub fn images(
    plan: &Plan,
    bases: &[Base],
    binaries: &Binaries,
    licenses: &Licenses,
    cache: &Cache,
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for (image, base) in plan.images.iter().zip(bases) {
        let Some(image) = buildable(image, binaries) else { continue };
        let started = Instant::now();
        let files = image.files.iter().filter_map(|file| match &file.node {
            ImageNode::File(path) => Some(path),
            ImageNode::Dir | ImageNode::Walked | ImageNode::Link(_) => None,
        });
        let sizes = files.map(|path| Ok(files::list_one(path)?.map_or(0, |entry| entry.size)));
        let total = sizes.sum::<Result<u64>>()? + binaries.size();
        term.step("image", format_args!("{} for {}", image.name, image.platform_names()));
        let bar = term.bar("image", total);
        let texts = licenses.texts(&image.package);
        let to = image.destinations().first().copied();
        let tell = |event: LayerEvent<'_>| {
            if let Some(to) = to {
                registry.expect_layer(to, event, image.platforms.len());
            }
        };
        image.destinations().iter().for_each(|to| registry.expect_tags(to, &image.tags(to)));
        base.layers().for_each(|layer| tell(LayerEvent::Kept(layer)));
        let parts = oci::Parts { binaries, licenses: &texts, tell: &tell };
        let blobs = registry.blobs();
        let root = oci::build_image(&image, base, parts, plan.time, cache, blobs, &bar);
        bar.finish_and_clear();
        let root = root.with_context(|| format!("make the image of {}", image.package))?;
        images.push(Image { plan: image, root, time: started.elapsed() });
    }
    Ok(images)
}

/// Asks the registry for what is known of images before their programs are compiled: what their
/// tags name, and the layers of their bases.
pub fn expect(plan: &Plan, bases: &[Base], registry: &Registry<'_>) {
    for (image, base) in plan.images.iter().zip(bases) {
        image.destinations().iter().for_each(|to| registry.expect_tags(to, &image.tags(to)));
        let Some(to) = image.destinations().first().copied() else { continue };
        for layer in base.layers() {
            registry.expect_layer(to, LayerEvent::Kept(layer), image.platforms.len());
        }
    }
}

/// The image without the platforms whose programs could not be built, which were
/// listed; `None` where no platform is left.
fn buildable(plan: &ImagePlan, binaries: &Binaries) -> Option<ImagePlan> {
    let built = |it: &&ImagePlatform| binaries.has(&plan.package, &it.target);
    let platforms: Vec<_> = plan.platforms.iter().filter(built).cloned().collect();
    (!platforms.is_empty()).then(|| ImagePlan { platforms, ..plan.clone() })
}
