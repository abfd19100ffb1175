//! Each call that publishing would make, as far as it is known before anything is made.

use super::publish::LATEST;
use crate::forge::index;
use crate::http::Url;
use crate::plan::{Plan, PublishPlan};
use crate::reference::{Repository, Tag};
use crate::term::Table;

/// The calls that change something, in their order; `api` is the address of GitHub's API.
/// What is there already is looked for before each, and not done again.
pub fn calls(plan: &Plan, publish: &PublishPlan, api: &Url) -> Table {
    // All of it, so that what is added to the plan is added here.
    let PublishPlan { tag, draft, release, index: to_index } = publish;
    let mut table = Table::new(&["call", "at", "for"]);
    let mut row = |call: &str, at: String, what: String| table.row([call.to_owned(), at, what]);
    let manifests = |to: &Repository| format!("{}/v2/{}/manifests", to.registry(), to.path());
    for image in &plan.images {
        for to in image.destinations() {
            let at = format!("{}/v2/{}/blobs/uploads/", to.registry(), to.path());
            row("POST", at, format!("what the image {} is made of", image.name));
            row("PUT", format!("{}/sha256:…", manifests(to)), format!("the image {}", image.name));
        }
    }
    if let Some(release) = release {
        let releases = api.below(&format!("/repos/{}/releases", release.repository)).to_string();
        row("POST", releases.clone(), format!("a draft of {tag}"));
        for file in &release.files {
            row("POST", format!("{releases}/…/assets?name={file}"), "a file of it".to_owned());
        }
        if *draft {
            return table;
        }
        row("PATCH", format!("{releases}/…"), format!("to publish {tag}"));
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
    if let (Some(to), Some(release)) = (to_index, release) {
        let from = &release.repository;
        let fork = api.below(&format!("/repos/…/{}", to.repository.name)).to_string();
        let of = |part: &str| api.below(&format!("/repos/{}/{part}", to.repository)).to_string();
        for plugin in &to.plugins {
            let branch = format!("{}{tag}", index::branches(plugin, from));
            let file = format!("{fork}/contents/{}", index::file(plugin));
            row("POST", of("forks"), "a fork".to_owned());
            row("POST", format!("{fork}/git/refs"), format!("the branch {branch}"));
            row("PUT", file, format!("{plugin}'s next version"));
            row("POST", of("pulls"), "the pull request".to_owned());
        }
    }
    table
}
