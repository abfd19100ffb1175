//! Images made public: pushed under their digests, and then found by their tags.

use anyhow::Result;
use serde::Serialize;

use crate::oci::Built;
use crate::plan::ImagePlan;
use crate::reference::{Repository, Tag};
use crate::registry::{Pushed, Registry, Sent};
use crate::term::{self, Table, Term};

/// An image that was pushed, and the tags that name it.
#[derive(Debug, Serialize)]
pub struct Published {
    /// `repository@sha256:…`
    pub reference: String,
    pub tags: Vec<Tag>,
    pub sent: Sent,
}

/// What became of images in registries, as a table.
pub fn published_table(published: &[Vec<Published>]) -> Table {
    let mut table = Table::new(&["pushed", "tags", "sent", "mounted"]);
    for Published { reference, tags, sent } in published.iter().flatten() {
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        let size = format!("{} in {} blobs", term::size(sent.bytes), sent.blobs);
        table.row([reference.clone(), tags.join(", "), size, sent.mounted.to_string()]);
    }
    table
}

/// Pushes the images to all their repositories, and only then moves tags, so that no
/// tag names what is not there.
pub fn publish_images(
    images: &[Built],
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Vec<Vec<Published>>> {
    let mut pushed: Vec<Vec<Pushed>> = Vec::new();
    for Built { plan, root } in images {
        let mut done: Vec<Pushed> = Vec::new();
        for to in plan.repositories() {
            let others: Vec<Repository> = done.iter().map(|it| it.repository().clone()).collect();
            done.push(registry.push(root, to, &plan.tags(to), &others)?);
        }
        pushed.push(done);
    }
    let mut published = Vec::new();
    for (Built { plan, .. }, pushed) in images.iter().zip(&pushed) {
        let tagged = pushed.iter().map(|pushed| {
            let tags = tag(plan, pushed, registry, term)?;
            Ok(Published { reference: pushed.reference().to_string(), tags, sent: pushed.sent() })
        });
        published.push(tagged.collect::<Result<_>>()?);
    }
    Ok(published)
}

/// The tag that stands for the newest release.
const LATEST: &str = "latest";

/// Moves the tags of one repository and returns those that name the image now.
fn tag(
    plan: &ImagePlan,
    pushed: &Pushed,
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Vec<Tag>> {
    let mut tags = Vec::new();
    for tag in plan.tags(pushed.repository()) {
        if tag.as_str() == LATEST
            && let Some(why) = keeps_latest(plan, pushed, registry)?
        {
            term.step("keep", format_args!("{}:{LATEST} as it is: {why}", pushed.repository()));
            continue;
        }
        let name = registry.tag(pushed, tag)?;
        term.step("tag", name);
        tags.push(tag.clone());
    }
    Ok(tags)
}

/// Why `latest` is not to name the image, where it isn't.
fn keeps_latest(
    plan: &ImagePlan,
    pushed: &Pushed,
    registry: &Registry<'_>,
) -> Result<Option<String>> {
    if !plan.moves_latest {
        return Ok(Some(format!("{} is no release", plan.version)));
    }
    let there = registry.version_of_other(pushed, &Tag::parse(LATEST)?)?;
    let newer = there.filter(|there| plan.version.is_before(there));
    Ok(newer.map(|there| format!("it is {there}, which is newer")))
}
