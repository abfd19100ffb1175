//! The lists of what is in programs and images: which are made, and their names.

use clap::ValueEnum;

use super::{ArchivePlan, BUNDLE, ImagePlan, Request, SbomOf, SbomPlan};
use crate::config::{SbomConfig, SbomFormat};

/// What the names of images' lists have, after the version and the target.
const IMAGE: &str = ".image";

/// Whether a file of dist/ is the list of an image, or its signature.
pub fn is_of_image(name: &str) -> bool {
    let name = name.strip_suffix(BUNDLE).unwrap_or(name);
    let mut stems =
        SbomFormat::value_variants().iter().filter_map(|form| name.strip_suffix(form.suffix()));
    stems.any(|stem| stem.ends_with(IMAGE))
}

/// Whether a file of dist/ is a list of this package's image, or its signature.
pub fn is_of(image: &ImagePlan, name: &str) -> bool {
    let stem = format!("{}-v{}", image.package, image.version);
    let rest = name.strip_prefix(&stem).filter(|rest| rest.starts_with(['-', '.']));
    rest.is_some() && is_of_image(name)
}

/// The lists of all programs in archives and of all images, in their order.
pub fn plan(
    config: SbomConfig,
    request: &Request,
    archives: &[ArchivePlan],
    images: &[ImagePlan],
) -> Vec<SbomPlan> {
    let mut plans = Vec::new();
    if !config.ship || !request.sboms() {
        return plans;
    }
    let (format, suffix) = (config.format, config.format.suffix());
    for archive in archives {
        let ArchivePlan { package, version, target, bins, .. } = archive;
        for bin in bins {
            // A package's name has no dot, so that no two names are one.
            let alone = bins.len() == 1 || bin == package;
            let stem = if alone { package.clone() } else { format!("{package}.{bin}") };
            let name = format!("{stem}-v{version}-{}{suffix}", target.without_os());
            let of = SbomOf::Program { bin: bin.clone(), target: target.clone() };
            let (package, version) = (package.clone(), version.clone());
            plans.push(SbomPlan { name, format, package, version, of });
        }
    }
    for image in images {
        let (package, version) = (&image.package, &image.version);
        let mut add = |target: &str, of: SbomOf| {
            let name = format!("{package}-v{version}{target}{IMAGE}{suffix}");
            let (package, version) = (package.clone(), version.clone());
            plans.push(SbomPlan { name, format, package, version, of });
        };
        for it in &image.platforms {
            let (platform, target) = (it.platform.clone(), it.target.clone());
            add(&format!("-{}", target.without_os()), SbomOf::Image { platform, target });
        }
        if image.platforms.len() > 1 {
            add("", SbomOf::Index);
        }
    }
    plans
}
