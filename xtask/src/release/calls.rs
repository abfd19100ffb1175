//! Each call that publishing would make, as far as it is known before anything is made.

use super::publish::LATEST;
use crate::forge::index;
use crate::plan::{Plan, PublishPlan};
use crate::preflight::Sites;
use crate::reference::{Repository, Tag};
use crate::term::Table;

/// The calls that change something, in their order. What is there already is looked for before
/// each, and not done again.
pub fn calls(plan: &Plan, publish: &PublishPlan, sites: &Sites<'_>) -> Table {
    // All of it, so that what is added to the plan is added here.
    let PublishPlan { tag, draft: stays_draft, release: to_forge, index: to_index } = publish;
    let mut table = Table::new(&["call", "at", "for"]);
    let mut row = |call: &str, at: String, what: String| table.row([call.to_owned(), at, what]);
    let manifests = |to: &Repository| format!("{}/v2/{}/manifests", to.registry(), to.path());
    for image in &plan.images {
        for to in image.destinations() {
            let at = format!("{}/v2/{}/blobs/uploads/", to.registry(), to.path());
            row("POST", at, format!("what the image {} is made of", image.name));
            row("PUT", format!("{}/sha256:…", manifests(to)), format!("the image {}", image.name));
            if plan.sboms.iter().any(|it| it.is_of(image)) {
                let what = format!("the SBOMs of {}", image.name);
                row("PUT", format!("{}/sha256:…", manifests(to)), what);
            }
            if plan.sign.is_some() {
                let own = plan.provenance.iter().any(|it| it.package == image.package);
                let and = if own { " and the provenance" } else { "" };
                let what = format!("the signatures{and} of {}", image.name);
                row("PUT", format!("{}/sha256:…", manifests(to)), what);
            }
        }
    }
    if let Some(release) = to_forge {
        let (forge, to) = (&sites.forge, &release.repository);
        let drafted = forge.draft_calls(to, tag, &release.files);
        drafted.into_iter().for_each(|it| row(it.method, it.at, it.what));
        if *stays_draft {
            return table;
        }
        let published = forge.publish_call(to, tag);
        row(published.method, published.at, published.what);
    }
    for image in &plan.images {
        for to in image.destinations() {
            let moved = |tag: &&Tag| tag.as_str() != LATEST || image.moves_latest;
            for name in image.tags(to).into_iter().filter(moved) {
                let at = format!("{}/{name}", manifests(to));
                row("PUT", at, format!("the tag of {}", image.name));
            }
        }
    }
    if let (Some(to), Some(from)) = (to_index, to_forge) {
        for plugin in &to.plugins {
            let branch = format!("{}{tag}", index::branches(plugin, &from.repository));
            let (file, what) = (index::file(plugin), format!("{plugin}'s next version"));
            let asked = sites.index.pull_calls(&to.repository, &branch, &file, &what);
            asked.into_iter().for_each(|it| row(it.method, it.at, it.what));
        }
    }
    table
}
