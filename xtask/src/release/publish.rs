//! What was made, made public: images under their digests and files into a draft first,
//! which nobody sees; then the release; then what names the newest of its kind.

use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::{Outcome, released_plugins};
use crate::digest::Digest;
use crate::files::{self, limits};
use crate::forge::{self, Complete, Forge, NewRelease, PullRequest, ReleaseFile, index, notes};
use crate::oci::Built;
use crate::plan::{ImagePlan, IndexPlan, Plan, PublishPlan, ReleasePlan};
use crate::preflight::Sites;
use crate::project::{Project, git};
use crate::reference::{Repository, Tag};
use crate::registry::{Pushed, Registry, Sent, Tagged};
use crate::term::{self, Table, Term};

/// An image that was pushed, and the tags that name it.
#[derive(Debug, Serialize)]
pub struct Published {
    /// `repository@sha256:…`
    pub reference: String,
    pub tags: Vec<Tag>,
    pub sent: Sent,
}

/// What a release made public.
#[derive(Debug, Default, Serialize)]
pub struct Public {
    pub images: Vec<Published>,
    /// The release on GitHub.
    pub release: Option<forge::Published>,
    /// The draft that the release is, where it was to end with one.
    pub draft: Option<String>,
    /// The plugins, and what became of them at their index.
    pub plugins: Vec<Plugin>,
}

/// A plugin that was brought to its index.
#[derive(Debug, Serialize)]
pub struct Plugin {
    pub name: String,
    #[serde(flatten)]
    pub submitted: PullRequest,
}

/// The notes of a release, and whether the user named them.
#[derive(Clone, Debug)]
pub struct Notes {
    pub text: String,
    pub asked: bool,
}

/// Publishes what was made. Each step looks for what is there, so that the whole can be
/// done again after any of them.
pub fn publish(
    plan: &Plan,
    to: &PublishPlan,
    outcome: &Outcome,
    notes: &Notes,
    sites: &Sites<'_>,
    term: &Term,
) -> Result<Public> {
    let mut public = Public::default();
    // Of neither anybody knows yet, and each waits for a server of its own.
    let (pushed, complete) = thread::scope(|scope| {
        let pushed = scope.spawn(|| push_images(&outcome.images, sites.registry));
        let complete = drafted(plan, to, outcome, notes, &sites.forge, term);
        (pushed.join(), complete)
    });
    let pushed = pushed.unwrap_or_else(|_| bail!("the thread that pushes images panicked"))?;
    let complete = complete?;
    let finish = || format!("{} is not all published: run again to finish it", to.tag);
    if let Some(complete) = complete {
        if to.draft {
            pushed.iter().flatten().try_for_each(|pushed| sites.registry.confirm(pushed))?;
            public.draft = Some(complete.url().to_owned());
            public.images = outcome.images.iter().zip(&pushed).flat_map(untagged).collect();
            return Ok(public);
        }
        public.release = Some(sites.forge.publish(complete, &pushed, term)?);
    }
    let tagged = tag_images(&outcome.images, &pushed, sites.registry, term);
    public.images = tagged.with_context(finish)?.into_iter().flatten().collect();
    if let (Some(index), Some(from)) = (&to.index, &to.release) {
        for name in &index.plugins {
            let submitted = submit(name, plan, to, index, from, &sites.index, term);
            let submitted = submitted.with_context(finish)?;
            public.plugins.push(Plugin { name: name.clone(), submitted });
        }
    }
    Ok(public)
}

/// The release's draft on GitHub, with all its files.
fn drafted(
    plan: &Plan,
    to: &PublishPlan,
    outcome: &Outcome,
    notes: &Notes,
    forge: &Forge<'_>,
    term: &Term,
) -> Result<Option<Complete>> {
    let Some(release) = &to.release else { return Ok(None) };
    let files = release_files(release, outcome, &plan.dist)?;
    let new = new_release(plan, to, release, notes, &outcome.images);
    let draft = forge.draft(&release.repository, new, term)?;
    forge.upload(draft, files, term).map(Some)
}

/// The notes of a release: the file that the user named, or the changelog's section of the
/// version, or the commits since the release before.
pub fn notes(
    named: Option<&Path>,
    changelog: &str,
    to: &PublishPlan,
    project: &Project,
) -> Result<Notes> {
    let text = |path: &Path, bytes: Vec<u8>| {
        String::from_utf8(bytes).with_context(|| format!("read {}: it is no UTF-8", path.display()))
    };
    if let Some(path) = named {
        return Ok(Notes { text: text(path, files::read(path)?)?, asked: true });
    }
    let path = project.root.join(changelog);
    let section = match path.is_file() {
        true => {
            let bytes = project.boundary.read(&path, limits::TEXT)?;
            notes::section(&text(&path, bytes)?, &to.tag.version)
        }
        false => None,
    };
    let commits = || {
        let Some(git) = &project.git else { return Ok(String::new()) };
        let commits = git::log(git.before(&to.tag), &project.root, &project.env)?;
        anyhow::Ok(notes::of_commits(&commits))
    };
    Ok(Notes { text: section.map_or_else(commits, Ok)?, asked: false })
}

fn new_release(
    plan: &Plan,
    to: &PublishPlan,
    release: &ReleasePlan,
    notes: &Notes,
    images: &[Built],
) -> NewRelease {
    let names = images.iter().flat_map(|it| {
        it.plan.destinations().into_iter().map(move |to| {
            let tag = it.plan.tags(to).into_iter().find(|tag| tag.as_str() != LATEST);
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            format!("{to}{tag}")
        })
    });
    NewRelease {
        tag_name: to.tag.to_string(),
        tag: to.tag.clone(),
        commit: plan.commit.clone().unwrap_or_default(),
        name: to.tag.to_string(),
        body: notes::body(&notes.text, &names.collect::<Vec<_>>()),
        replaces_notes: notes.asked,
        prerelease: release.prerelease,
    }
}

/// The files of a release, as they lie in dist/, with the digests that they were made with:
/// what GitHub has in the end is compared with these.
fn release_files(to: &ReleasePlan, outcome: &Outcome, dist: &Path) -> Result<Vec<ReleaseFile>> {
    let file = |name: &String| {
        let made = outcome.artifacts.iter().find(|it| it.name == *name);
        let made = made.with_context(|| format!("find {name}, which the plan has"))?;
        let digest = made.extra.get("checksum").and_then(Value::as_str).unwrap_or_default();
        Ok(ReleaseFile {
            name: name.clone(),
            path: dist.with_file_name(&made.path),
            size: made.extra.get("size").and_then(Value::as_u64).unwrap_or_default(),
            digest: Digest::parse(digest).with_context(|| format!("read the digest of {name}"))?,
        })
    };
    to.files.iter().map(file).collect()
}

fn submit(
    name: &str,
    plan: &Plan,
    to: &PublishPlan,
    index: &IndexPlan,
    from: &ReleasePlan,
    forge: &Forge<'_>,
    term: &Term,
) -> Result<PullRequest> {
    let plugins = released_plugins(&[name.to_owned()], &plan.dist)?;
    let plugin = plugins.first().context("find what was made of it")?;
    let change = index::change(&index.repository, plugin, &from.repository, &to.tag);
    forge::contribute(forge, &change, term)
}

/// What became of images in registries, as a table.
pub fn published_table<'a>(published: impl IntoIterator<Item = &'a Published>) -> Table {
    let mut table = Table::new(&["pushed", "tags", "sent", "mounted"]);
    for Published { reference, tags, sent } in published {
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        let size = format!("{} in {} blobs", term::size(sent.bytes), sent.blobs);
        table.row([reference.clone(), tags.join(", "), size, sent.mounted.to_string()]);
    }
    table
}

impl Public {
    /// What became of it: of a draft nobody sees anything yet.
    fn word(&self) -> &'static str {
        if self.draft.is_some() { "drafted" } else { "published" }
    }

    /// What its tables are called.
    pub fn title(&self) -> &'static str {
        if self.draft.is_some() { "Drafted" } else { "Published" }
    }

    /// What is public now, and where, as tables.
    pub fn tables(&self) -> Vec<Table> {
        let mut places = Table::new(&[self.word(), "at", "sent"]);
        if let Some(release) = &self.release {
            let sent = release.sent();
            let sent = format!("{} in {} files", term::size(sent.bytes), sent.files);
            places.row([release.tag().to_owned(), release.url().to_owned(), sent]);
        }
        if let Some(draft) = &self.draft {
            places.row(["draft".to_owned(), draft.clone(), String::new()]);
        }
        for Plugin { name, submitted } in &self.plugins {
            let at = match submitted {
                PullRequest::UpToDate { version } => format!("the index has {version}"),
                PullRequest::Newer { version } => format!("left: {version} is newer"),
                PullRequest::Open { url, .. } => url.clone(),
                PullRequest::ByHand { url, why } => format!("to be opened by hand ({why}): {url}"),
            };
            places.row([format!("plugin {name}"), at, String::new()]);
        }
        let tables = [published_table(&self.images), places];
        tables.into_iter().filter(|table| !table.is_empty()).collect()
    }
}

/// Pushes the images to all their repositories, under their digests.
pub fn push_images(images: &[Built], registry: &Registry<'_>) -> Result<Vec<Vec<Pushed>>> {
    let push = |Built { plan, root }: &Built| {
        let mut done: Vec<Pushed> = Vec::new();
        for to in plan.destinations() {
            let others: Vec<Repository> = done.iter().map(|it| it.repository().clone()).collect();
            done.push(registry.push(root, to, &plan.tags(to), &others)?);
        }
        Ok(done)
    };
    images.iter().map(push).collect()
}

/// Moves the tags of what was pushed. All of it was before any of them, so that no tag
/// names what is not there.
pub fn tag_images(
    images: &[Built],
    pushed: &[Vec<Pushed>],
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Vec<Vec<Published>>> {
    let all = images.iter().zip(pushed).map(|(Built { plan, .. }, pushed)| {
        let tagged = pushed.iter().map(|pushed| {
            let tags = tag(plan, pushed, registry, term)?;
            Ok(Published { reference: pushed.reference().to_string(), tags, sent: pushed.sent() })
        });
        tagged.collect()
    });
    all.collect()
}

/// What was pushed and has no tag yet.
fn untagged((_, pushed): (&Built, &Vec<Pushed>)) -> Vec<Published> {
    let one = |it: &Pushed| {
        let (reference, sent) = (it.reference().to_string(), it.sent());
        Published { reference, tags: Vec::new(), sent }
    };
    pushed.iter().map(one).collect()
}

/// The tag that stands for the newest release.
pub const LATEST: &str = "latest";

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
            term.step("keep", why);
            continue;
        }
        match registry.tag(pushed, tag)? {
            Tagged::Moved(name) => term.step("tag", name),
            Tagged::Unchanged(name) => {
                term.step("keep", format_args!("{name} as it is: it names the image already"));
            }
        }
        tags.push(tag.clone());
    }
    if tags.is_empty() {
        registry.confirm(pushed)?;
    }
    Ok(tags)
}

/// What is kept, and why, where `latest` is not to name the image.
fn keeps_latest(
    plan: &ImagePlan,
    pushed: &Pushed,
    registry: &Registry<'_>,
) -> Result<Option<String>> {
    let (to, latest) = (pushed.repository(), Tag::parse(LATEST)?);
    if !plan.moves_latest {
        let what = if plan.version.is_prerelease() { "a pre-release" } else { "no release" };
        let kept = match pushed.before(&latest) {
            Some(None) => format!("{to} without {LATEST}"),
            Some(Some(_)) | None => format!("{to}:{LATEST} as it is"),
        };
        return Ok(Some(format!("{kept}: {} is {what}", plan.version)));
    }
    let there = registry.version_of_other(pushed, &latest)?;
    let newer = there.filter(|there| plan.version.is_before(there));
    Ok(newer.map(|there| format!("{to}:{LATEST} as it is: it is {there}, which is newer")))
}
