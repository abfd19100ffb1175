//! What an image is made of: programs, and a base.

use jiff::Timestamp;

use super::purl::Purl;
use super::{Document, Draft, Kind, Part, Program, RelationKind, program};
use crate::config::ImageNode;
use crate::digest::Digest;
use crate::oci;
use crate::plan::ImagePlan;
use crate::reference::Reference;
use crate::target::Platform;

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    pub platform: &'a Platform,
    /// Of its manifest.
    pub digest: Digest,
    pub programs: Vec<Program<'a>>,
    pub base: Base<'a>,
}

/// What an image stands on.
#[derive(Clone, Debug)]
pub enum Base<'a> {
    Scratch,
    Builtin,
    /// Another image, for the same platform.
    Foreign {
        name: Option<&'a Reference>,
        digest: Digest,
        /// Where the SBOMs of its own makers are, `oci://REPOSITORY@DIGEST`.
        sboms: Vec<String>,
    },
}

/// What the image is made of.
pub fn of_image(plan: &ImagePlan, image: &Image<'_>, created: Timestamp) -> Document {
    let mut draft = Draft::default();
    add(&mut draft, plan, image);
    let name = format!("{}-{}-image-{}", plan.name, plan.version, image.platform.suffix());
    draft.finish(name, created)
}

/// What the images of an index are made of, in one list.
pub fn of_index(
    plan: &ImagePlan,
    digest: Digest,
    images: &[Image<'_>],
    created: Timestamp,
) -> Document {
    let mut draft = Draft::default();
    let version = plan.version.to_string();
    let own = draft.add(Part {
        purl: Some(purl(plan, &digest, None)),
        sha256: Some(digest),
        note: Some("What any of its images contains; each image has a list of its own.".to_owned()),
        ..Part::new(Kind::Index, &plan.name, Some(&version))
    });
    for image in images {
        let at = add(&mut draft, plan, image);
        draft.relate(own, RelationKind::Contains, at);
    }
    draft.finish(format!("{}-{version}-image", plan.name), created)
}

/// Adds the image and all that it is made of; returns its index.
fn add(draft: &mut Draft, plan: &ImagePlan, image: &Image<'_>) -> usize {
    let version = plan.version.to_string();
    let files = plan.files.iter().filter(|file| matches!(file.node, ImageNode::File(_)));
    let files = match files.count() {
        0 => String::new(),
        1 => " It also has a file of the project, which is not listed.".to_owned(),
        count => format!(" It also has {count} files of the project, which are not listed."),
    };
    let own = draft.add(Part {
        purl: Some(purl(plan, &image.digest, Some(image.platform))),
        sha256: Some(image.digest),
        note: Some(format!("The image for {}.{files}", image.platform)),
        ..Part::new(Kind::Image, &plan.name, Some(&version))
    });
    for it in &image.programs {
        let at = program::add(draft, it);
        draft.relate(own, RelationKind::Contains, at);
    }
    let base = match &image.base {
        Base::Scratch => return own,
        Base::Builtin => {
            let tool = env!("CARGO_PKG_VERSION");
            let base = draft.add(Part {
                note: Some(
                    "The builtin base of dockless: accounts, certificates, time zones \
                            and names of services."
                        .to_owned(),
                ),
                ..Part::new(Kind::Base, "dockless-builtin-base", Some(tool))
            });
            for data in oci::builtin_data() {
                let at = draft.add(data_part(&data));
                draft.relate(base, RelationKind::Contains, at);
            }
            base
        }
        Base::Foreign { name, digest, sboms } => {
            let base = foreign(*name, digest, image.platform);
            draft.add(Part { sboms: sboms.clone(), ..base })
        }
    };
    draft.relate(own, RelationKind::Contains, base);
    own
}

/// A base of others, whose contents are theirs to tell.
fn foreign(name: Option<&Reference>, digest: &Digest, platform: &Platform) -> Part {
    let title = name.map_or_else(
        || "base image".to_owned(),
        |name| Reference { digest: None, ..name.clone() }.to_string(),
    );
    let purl = name.map(|name| {
        let (registry, path) = (name.repository.registry(), name.repository.path());
        let last = path.rsplit('/').next().unwrap_or(path);
        let place = format!("{registry}/{path}");
        let qualifiers = [("arch", &*platform.architecture), ("repository_url", &*place)];
        Purl::new("oci", last, &digest.to_string()).with(qualifiers).finish(None)
    });
    Part {
        purl,
        sha256: Some(*digest),
        note: Some("The base of the image; what it contains is not listed here.".to_owned()),
        ..Part::new(Kind::Base, &title, None)
    }
}

fn data_part(data: &oci::BuiltinData) -> Part {
    let purl = match (data.krate, &data.version) {
        (Some(krate), Some(version)) => Some(Purl::new("cargo", krate, version).finish(None)),
        (None, Some(version)) => Some(Purl::new("generic", data.name, version).finish(None)),
        (_, None) => None,
    };
    Part {
        purl,
        license: data.license.map(str::to_owned),
        sha256: data.digest,
        note: Some(data.note.to_owned()),
        ..Part::new(Kind::Data, data.name, data.version.as_deref())
    }
}

/// The package URL of an image. It names no repository: the same image goes to several, and its
/// list must not depend on them.
fn purl(plan: &ImagePlan, digest: &Digest, platform: Option<&Platform>) -> String {
    let arch = platform.map(|platform| ("arch", &*platform.architecture));
    Purl::new("oci", &plan.name.to_lowercase(), &digest.to_string()).with(arch).finish(None)
}
