//! What was made, made public: images under their digests and files into a draft first,
//! which nobody sees; then the release; then what names the newest of its kind.

use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::sign::{Signing, sign_images};
use super::{Outcome, attach_sboms, cause};
use crate::artifacts::{Artifact, Image, KREW, Provenance, PushedImage, Sbom};
use crate::files::{self, limits};
use crate::finding::Findings;
use crate::forge::{self, Complete, Forge, NewRelease, PullRequest, ReleaseFile, index, notes};
use crate::krew::Release;
use crate::parallel;
use crate::plan::{ImagePlan, Plan, PublishPlan, ReleasePlan};
use crate::preflight::Sites;
use crate::project::{Project, git};
use crate::reference::Tag;
use crate::registry::{Naming, Pushed, Registry, Sent, Tagged};
use crate::term::{self, Table, Term};

/// An image that was pushed, and the tags that name it.
#[derive(Debug, Serialize)]
pub struct Published {
    /// `repository@sha256:…`
    pub reference: String,
    pub tags: Vec<Tag>,
    pub sent: Sent,
}

impl Published {
    fn of(pushed: &Pushed, tags: Vec<Tag>) -> Published {
        Published { reference: pushed.reference().to_string(), tags, sent: pushed.sent() }
    }
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

/// A plugin that was submitted to its index.
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
    outcome: &Outcome<'_>,
    notes: &Notes,
    signing: Option<&Signing>,
    sites: &Sites<'_>,
    term: &Term,
) -> Result<Public> {
    // All of it, so that what is added to the plan is published here.
    let PublishPlan { tag, draft: stays_draft, release: to_forge, index: to_index } = to;
    let mut public = Public::default();
    // Nobody sees the draft and the images without tags yet: a release speaks of its images, and
    // so they are in their registries before it is published. Each waits for a server of its own.
    let (images, draft) = thread::scope(|scope| {
        let images = scope.spawn(|| {
            let pushed = push_images(outcome, Naming::ByDigest, sites.registry)?;
            let sboms: Vec<&Sbom> = outcome.sboms().collect();
            attach_sboms(&pushed, &sboms, sites.registry, term)?;
            if let (Some(sign), Some(signing)) = (&plan.sign, signing) {
                let (key, legacy) = (&signing.key, sign.legacy);
                let statements: Vec<&Provenance> = outcome.statements().collect();
                sign_images(&pushed, &statements, key, legacy, sites.registry, term)?;
            }
            Ok(pushed)
        });
        let draft = drafted(plan, to, outcome, notes, &sites.forge, term);
        (parallel::join(images), draft)
    });
    let images = images?;
    let finish = || format!("{tag} is not all published: run again to finish it");
    if let Some(complete) = draft? {
        if *stays_draft {
            let pushed: Vec<&Pushed> = images.iter().flat_map(PushedImage::at).collect();
            pushed.iter().try_for_each(|pushed| sites.registry.confirm(pushed))?;
            public.draft = Some(complete.url().to_owned());
            public.images = pushed.iter().map(|it| Published::of(it, Vec::new())).collect();
            return Ok(public);
        }
        public.release = Some(sites.forge.publish(complete, term)?);
    }
    let tagged = tag_images(&images, sites.registry, term).with_context(finish)?;
    public.images = tagged.into_iter().flat_map(|(_, published)| published).collect();
    if let (Some(index), Some(from)) = (to_index, to_forge) {
        for name in &index.plugins {
            let plugin = plugin(name, outcome, &plan.dist).with_context(finish)?;
            let change = index::change(&index.repository, &plugin, &from.repository, tag);
            let submitted = forge::contribute(&sites.index, &change, term).with_context(finish)?;
            public.plugins.push(Plugin { name: name.clone(), submitted });
        }
    }
    Ok(public)
}

/// The release's draft on GitHub, with all its files.
fn drafted(
    plan: &Plan,
    to: &PublishPlan,
    outcome: &Outcome<'_>,
    notes: &Notes,
    forge: &Forge<'_>,
    term: &Term,
) -> Result<Option<Complete>> {
    let Some(release) = &to.release else { return Ok(None) };
    let files = release_files(release, outcome, &plan.dist)?;
    let names = outcome.images().map(|it| &it.plan).flat_map(|image| {
        image.destinations().into_iter().map(move |to| {
            let tag = image.tags(to).into_iter().find(|tag| tag.as_str() != LATEST);
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            format!("{to}{tag}")
        })
    });
    let new = NewRelease {
        tag_name: to.tag.to_string(),
        tag: to.tag.clone(),
        commit: plan.commit.clone().unwrap_or_default(),
        name: to.tag.to_string(),
        body: notes::body(&notes.text, &names.collect::<Vec<_>>()),
        replaces_notes: notes.asked,
        prerelease: release.prerelease,
    };
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
    let mut section = None;
    if path.is_file() {
        let bytes = project.boundary.read(&path, limits::TEXT)?;
        section = notes::section(&text(&path, bytes)?, &to.tag.version);
    }
    let commits = || {
        let Some(git) = &project.git else { return Ok(String::new()) };
        let commits = git::log(git.before(&to.tag), &project.root, &project.env)?;
        anyhow::Ok(notes::of_commits(&commits))
    };
    Ok(Notes { text: section.map_or_else(commits, Ok)?, asked: false })
}

/// The files of a release, as they lie in dist/, with the digests that they were made with:
/// what GitHub has in the end is compared with these. Fails where what was made is not what the
/// plan publishes.
fn release_files(to: &ReleasePlan, outcome: &Outcome<'_>, dist: &Path) -> Result<Vec<ReleaseFile>> {
    let mut made = outcome.artifacts.iter().filter(|it| it.is_release_file()).map(Artifact::name);
    if let Some(name) = made.find(|made| to.files.iter().all(|name| name != made)) {
        bail!("{name} was made, and the plan does not publish it");
    }
    let file = |name: &String| {
        let made = outcome.artifacts.iter().find(|it| it.name() == name);
        let made = made.with_context(|| format!("find {name}, which the plan has"))?;
        let (path, size, digest) = (dist.join(made.path()), made.size(), made.digest());
        Ok(ReleaseFile { name: name.clone(), path, size, digest })
    };
    to.files.iter().map(file).collect()
}

/// A plugin of the release, as the index takes it.
fn plugin(name: &str, outcome: &Outcome<'_>, dist: &Path) -> Result<Release> {
    let made = outcome.artifacts.iter().find_map(|artifact| match artifact {
        Artifact::Krew(manifest) if manifest.name == name => Some(manifest),
        _ => None,
    });
    let made = made.context("find what was made of it")?;
    Ok(Release::read(&made.text, &dist.join(KREW).join(&made.file)).map_err(Findings)?)
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
    /// What its tables are called: of a draft nobody sees anything yet.
    pub fn title(&self) -> &'static str {
        if self.draft.is_some() { "Drafted" } else { "Published" }
    }

    /// What is public now, and where, as tables.
    pub fn tables(&self) -> Vec<Table> {
        let word = if self.draft.is_some() { "drafted" } else { "published" };
        let mut places = Table::new(&[word, "at", "sent"]);
        if let Some(release) = &self.release {
            let sent = release.sent;
            let sent = format!("{} in {} files", term::size(sent.bytes), sent.files);
            places.row([release.tag.clone(), release.url.clone(), sent]);
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

/// How many images are pushed at a time, each with several blobs at a time.
const IMAGES_AT_A_TIME: usize = 4;

/// Pushes the images to all their repositories; `own` says when their own manifests go up. Those
/// of one repository follow each other: they share blobs.
pub fn push_images<'a>(
    outcome: &'a Outcome<'_>,
    own: Naming,
    registry: &Registry<'_>,
) -> Result<Vec<PushedImage<'a>>> {
    let mut groups: Vec<Vec<(usize, &Image)>> = Vec::new();
    for (at, image) in outcome.images().enumerate() {
        let to = image.plan.destinations();
        let group = groups.iter_mut().find(|group| group[0].1.plan.destinations() == to);
        match group {
            Some(group) => group.push((at, image)),
            None => groups.push(vec![(at, image)]),
        }
    }
    let push = |group: &Vec<(usize, &'a Image)>| {
        let pushed = group.iter().map(|(at, image)| Ok((*at, image.push(registry, own)?)));
        Ok(pushed.collect::<Result<Vec<_>>>())
    };
    let ended = parallel::map(&groups, IMAGES_AT_A_TIME, push)?;
    let mut pushed: Vec<_> = cause::all(ended)?.into_iter().flatten().collect();
    pushed.sort_by_key(|(at, _)| *at);
    Ok(pushed.into_iter().map(|(_, pushed)| pushed).collect())
}

/// Moves the tags of all that was pushed, which no tag names before all of it is there. `latest`
/// follows when all others are moved: a version that a registry refuses is not the newest.
pub fn tag_images<'a>(
    images: &[PushedImage<'a>],
    registry: &Registry<'_>,
    term: &Term,
) -> Result<Vec<(&'a Image, Vec<Published>)>> {
    let places = images.iter().flat_map(|it| it.at().iter().map(|at| (&it.image().plan, at)));
    let places: Vec<(&ImagePlan, &Pushed)> = places.collect();
    let all = places
        .iter()
        .flat_map(|(plan, at)| plan.tags(at.repository()).into_iter().map(|tag| (*plan, *at, tag)));
    let (newest, others): (Vec<Move<'_>>, _) = all.partition(|(.., tag)| tag.as_str() == LATEST);
    move_tags(&others, registry, term)?;
    let kept = parallel::map(&newest, IMAGES_AT_A_TIME, |(plan, at, _)| {
        Ok(keeps_latest(plan, at, registry))
    })?;
    let kept = cause::all(kept)?;
    kept.iter().flatten().for_each(|why| term.step("keep", why));
    let moved = newest.iter().zip(&kept).filter(|(_, why)| why.is_none());
    let moved: Vec<Move<'_>> = moved.map(|(it, _)| *it).collect();
    move_tags(&moved, registry, term)?;
    let names = |plan: &ImagePlan, at: &Pushed| -> Result<Vec<Tag>> {
        let is = |tag: &Tag| {
            tag.as_str() != LATEST || moved.iter().any(|(_, moved, _)| std::ptr::eq(*moved, at))
        };
        let tags = plan.tags(at.repository()).into_iter().filter(|tag| is(tag));
        let tags: Vec<Tag> = tags.cloned().collect();
        if tags.is_empty() {
            registry.confirm(at)?;
        }
        Ok(tags)
    };
    let tagged = images.iter().map(|pushed| {
        let plan = &pushed.image().plan;
        let at = pushed.at().iter().map(|at| Ok(Published::of(at, names(plan, at)?)));
        Ok((pushed.image(), at.collect::<Result<_>>()?))
    });
    tagged.collect()
}

/// A tag that is to name a pushed image.
type Move<'a> = (&'a ImagePlan, &'a Pushed, &'a Tag);

/// The tag that stands for the newest release.
pub const LATEST: &str = "latest";

/// Moves tags at once.
fn move_tags(moves: &[Move<'_>], registry: &Registry<'_>, term: &Term) -> Result<()> {
    let tags: Vec<_> = moves.iter().map(|(_, at, tag)| (*at, *tag)).collect();
    for tagged in registry.tag_all(&tags)? {
        match tagged {
            Tagged::Moved(name) => term.step("tag", name),
            Tagged::Unchanged(name) => {
                term.step("keep", format_args!("{name} as it is: it names the image already"));
            }
        }
    }
    Ok(())
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
