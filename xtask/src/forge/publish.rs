//! Publishing a release: a draft that nobody sees, the upload of its files, and only then the
//! release. What exists already is compared and kept, so that an interrupted run is simply
//! made again.

use std::thread;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::Forge;
use crate::config::Slug;
use crate::finding::{Help, failure};
use crate::github::{Asset, NewRelease, Release, ReleaseChange, ReleaseFile};
use crate::http::HttpError;
use crate::parallel::{self, join};
use crate::plan::BUNDLE;
use crate::term::Term;
use crate::version::ReleaseTag;

/// Uploads at a time. GitHub allows 100 requests at a time; a line is full before.
const JOBS: usize = 8;

/// A release that takes files; nobody sees it, unless a run before published it.
#[derive(Debug)]
pub struct Draft {
    repo: Slug,
    release: Release,
    new: NewRelease,
    /// Whether it cannot have files yet.
    empty: bool,
}

/// A release with all its files.
#[derive(Debug)]
pub struct Complete {
    draft: Draft,
    files: Vec<ReleaseFile>,
    sent: Sent,
}

impl Complete {
    /// The release's page.
    pub fn url(&self) -> &str {
        &self.draft.release.html_url
    }
}

/// What was uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub files: usize,
    /// In bytes.
    pub bytes: u64,
}

/// A release that everybody sees.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    pub tag: String,
    /// Its page.
    pub url: String,
    prerelease: bool,
    pub sent: Sent,
    /// Whether this run is the one that made it public.
    anew: bool,
}

impl Published {
    fn new(release: Release, sent: Sent, anew: bool) -> Published {
        let Release { tag_name: tag, html_url: url, prerelease, .. } = release;
        Published { tag, url, prerelease, sent, anew }
    }
}

impl Forge<'_> {
    /// The release of a tag, a published one before drafts, and the others of the
    /// repository.
    pub fn find_release(&self, repo: &Slug, tag: &str) -> Result<(Option<Release>, Vec<Release>)> {
        let all = self.releases(repo).with_context(|| format!("list the releases of {repo}"));
        Ok(choose(all?, tag))
    }

    /// The draft of the release: the existing one, or a new one.
    pub fn draft(&self, repo: &Slug, new: NewRelease, term: &Term) -> Result<Draft> {
        let tag = new.tag_name.clone();
        let context = || format!("make a draft of {tag} in {repo}");
        let (existing, others) = self.find_release(repo, &tag)?;
        if let Some(release) = existing {
            let draft = Draft { repo: repo.clone(), release, new, empty: false };
            self.remove_duplicates(&draft, &others, term)?;
            return self.with_notes(draft).with_context(context);
        }
        term.step("draft", format_args!("{tag} in {repo}"));
        let create = || self.create_draft(repo, &new);
        let find = |error: &HttpError| {
            if error.is_transient() { Ok(self.find_release(repo, &tag)?.0) } else { Ok(None) }
        };
        let made = self.retry_or_find(create, find).with_context(context)?;
        // Another run may have made one at the same time: both runs use the older one.
        let (found, mut others) = self.find_release(repo, &tag)?;
        let release = match found {
            Some(found) if !found.draft || found.id <= made.id => found,
            _ => made.clone(),
        };
        let empty = made.id == release.id && others.iter().all(|it| it.tag_name != tag);
        if made.id != release.id && others.iter().all(|it| it.id != made.id) {
            others.push(made);
        }
        let draft = Draft { repo: repo.clone(), release, new, empty };
        self.remove_duplicates(&draft, &others, term)?;
        Ok(draft)
    }

    /// Removes drafts of the same release that other runs made at the same time; every run
    /// uses the oldest one alone.
    fn remove_duplicates(&self, draft: &Draft, others: &[Release], term: &Term) -> Result<()> {
        let Draft { repo, release, new, .. } = draft;
        for other in others.iter().filter(|it| it.draft && it.tag_name == new.tag_name) {
            let is_duplicate = other.name.as_ref() == Some(&new.name)
                && other.body.as_ref() == Some(&new.body)
                && other.id != release.id;
            if is_duplicate {
                self.delete_release(repo, other.id)?;
            } else {
                let (tag, url) = (&new.tag_name, &other.html_url);
                term.step("leave", format_args!("another draft of {tag} as it is: {url}"));
            }
        }
        Ok(())
    }

    /// A draft that a person prepared keeps its notes, unless it has none or the user named
    /// others.
    fn with_notes(&self, draft: Draft) -> Result<Draft> {
        let Draft { repo, release, new, .. } = &draft;
        let body = release.body.as_deref().unwrap_or_default();
        let wanted = new.replaces_notes || body.trim().is_empty();
        if !release.draft || !wanted || body == new.body || new.body.is_empty() {
            return Ok(draft);
        }
        let release = self.change_release(repo, release.id, &ReleaseChange::Body(&new.body))?;
        Ok(Draft { release, ..draft })
    }

    /// Uploads the files. Existing ones are compared and kept; other bytes under the same
    /// name are an error.
    pub fn upload(&self, draft: Draft, files: Vec<ReleaseFile>, term: &Term) -> Result<Complete> {
        let Draft { repo, release, new, empty } = &draft;
        let tag = &new.tag_name;
        let mut existing = Vec::new();
        if !empty {
            let all = self.assets(repo, release.id);
            existing = all.with_context(|| format!("upload the files of {tag} to {repo}"))?;
        }
        let foreign = |asset: &&Asset| files.iter().all(|file| file.name != asset.name);
        for asset in existing.iter().filter(foreign) {
            term.step("leave", format_args!("{} of {tag}, which is none of its files", asset.name));
        }
        let bar = term.bar("upload", files.iter().map(|file| file.size).sum());
        let sent = parallel::map(&files, JOBS, |file| {
            let existing = existing.iter().find(|asset| asset.name == file.name);
            self.upload_file(repo, release, file, existing.cloned(), &bar, term)
                .with_context(|| format!("upload {} to {repo}", file.name))
        });
        bar.finish_and_clear();
        let sent: Vec<u64> = sent?.into_iter().flatten().collect();
        let sent = Sent { files: sent.len(), bytes: sent.iter().sum() };
        Ok(Complete { draft, files, sent })
    }

    /// Adds files to a release that is there already, one after the other. Those that it has are
    /// compared and kept.
    pub fn add_files(
        &self,
        repo: &Slug,
        release: &Release,
        files: &[ReleaseFile],
        term: &Term,
    ) -> Result<()> {
        let existing = self.assets(repo, release.id)?;
        let bar = term.bar("upload", files.iter().map(|file| file.size).sum());
        for file in files {
            let existing = existing.iter().find(|asset| asset.name == file.name).cloned();
            self.upload_file(repo, release, file, existing, &bar, term)
                .with_context(|| format!("upload {} to {repo}", file.name))?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Uploads one file and returns its size; `None` where it existed already.
    fn upload_file(
        &self,
        repo: &Slug,
        release: &Release,
        file: &ReleaseFile,
        mut existing: Option<Asset>,
        bar: &indicatif::ProgressBar,
        term: &Term,
    ) -> Result<Option<u64>> {
        let to = self.upload_url(release)?;
        let name = &file.name;
        let mut patience = self.patience();
        loop {
            if let Some(asset) = &existing {
                // It was listed a while ago, and another run may have completed it since.
                let complete = asset.is_complete;
                let now = if complete { existing.clone() } else { self.asset(repo, asset)? };
                if let Some(complete) = now.filter(|asset| asset.is_complete) {
                    self.ensure_same(repo, &complete, file)?;
                    return Ok(None);
                }
                // An upload that failed leaves the name without bytes.
                term.detail(format_args!("remove the incomplete upload of {name}"));
                self.delete_asset(repo, asset)?;
            }
            if release.immutable {
                bail!(failure(
                    format!("{} was published without it and cannot be changed", release.tag_name),
                    "release another version",
                ));
            }
            let begun = bar.position();
            let forge = self.kind().name();
            match self.upload_asset(&to, file, bar) {
                Ok(asset) if asset.name != *name => bail!(failure(
                    format!("{forge} stored it as {:?}, where nobody looks for it", asset.name),
                    "choose a name of ASCII letters, digits, `-`, `_` and `.`",
                )),
                Ok(asset) if asset.is_complete => {
                    self.ensure_same(repo, &asset, file)?;
                    term.step("upload", name);
                    return Ok(Some(file.size));
                }
                Ok(asset) => bail!("{forge} took {} and reports an incomplete upload", asset.name),
                Err(error) => {
                    bar.set_position(begun);
                    let is_taken = error.names("already_exists");
                    let all = self.assets(repo, release.id)?;
                    existing = all.into_iter().find(|asset| asset.name == *name);
                    if !existing.as_ref().is_some_and(|asset| asset.is_complete) {
                        patience.wait_if(is_taken, error)?;
                    }
                }
            }
        }
    }

    fn ensure_same(&self, repo: &Slug, asset: &Asset, file: &ReleaseFile) -> Result<()> {
        let existing = self.asset_digest(repo, asset)?;
        if existing == file.digest && asset.size == file.size {
            return Ok(());
        }
        // Another run may have signed at the same time.
        let fix = if file.name.ends_with(BUNDLE) {
            "run again: if it is by the same key, it is kept; if not, remove it from the release"
        } else {
            "find out who made it; then remove it from the release, or release another version"
        };
        Err(failure(
            format!("{} exists with other bytes: {existing}, not {}", file.name, file.digest),
            fix,
        ))
    }

    /// Fails where a file is no longer in the release, complete and with its own bytes. Where
    /// the server tells no digest, the bytes of a draft are downloaded; those of a public
    /// release were compared when they were found.
    fn ensure_complete(
        &self,
        repo: &Slug,
        release: &Release,
        assets: &[Asset],
        files: &[ReleaseFile],
    ) -> Result<()> {
        let compare = |file: &ReleaseFile| {
            let found = assets.iter().find(|asset| asset.name == file.name);
            let Some(asset) = found.filter(|asset| asset.is_complete) else {
                bail!(failure(
                    format!("{} was removed from the release meanwhile", file.name),
                    "run again",
                ));
            };
            if !release.draft && !asset.has_digest() && asset.size == file.size {
                return Ok(());
            }
            self.ensure_same(repo, asset, file)
        };
        parallel::map(files, JOBS, compare).map(drop)
    }

    /// Makes the release public, if it is not yet. Its images are in their registries by now,
    /// or its notes would name images that nobody can pull.
    pub fn publish(&self, complete: Complete, term: &Term) -> Result<Published> {
        let Complete { draft, files, sent } = complete;
        let Draft { repo, release, new, .. } = &draft;
        let context = || format!("publish {} in {repo}", new.tag_name);
        // Others may have changed something during the upload.
        let (now, assets, tag, all) = thread::scope(|scope| {
            let assets = scope.spawn(|| self.assets(repo, release.id));
            let tag = scope.spawn(|| self.tag(repo, &new.tag_name));
            let all = scope.spawn(|| self.find_release(repo, &new.tag_name));
            let now = self.release(repo, release.id);
            (now, join(assets), join(tag), join(all))
        });
        let now = now.with_context(context)?;
        let now = now.with_context(context).context(Help("run again".to_owned()));
        let now = now.with_context(|| format!("the draft of {} was removed", new.tag_name))?;
        let assets = assets.with_context(context)?;
        self.ensure_complete(repo, &now, &assets, &files).with_context(context)?;
        if !now.draft {
            return Ok(Published::new(now, sent, false));
        }
        // Without the tag a forge would make one, of whatever its main branch is at.
        if tag.with_context(context)?.as_ref() != Some(&new.commit) {
            let why = format!("the tag {} is no longer at {:.12} there", new.tag_name, new.commit);
            return Err(failure(why, "push the tag again, and run again")).with_context(context);
        }
        let (_, others) = all.with_context(context)?;
        let latest = !new.prerelease && is_latest(&new.tag, &others);
        let change = ReleaseChange::Publish { prerelease: new.prerelease, latest };
        let done = self.change_release(repo, now.id, &change).with_context(context)?;
        if done.draft || done.tag_name != new.tag_name {
            bail!("{} was asked to publish {} and did not", self.kind().name(), new.tag_name);
        }
        term.step("publish", &done.html_url);
        Ok(Published::new(done, sent, true))
    }
}

/// The release of a tag among all, and the others: the published one, or the oldest draft.
fn choose(all: Vec<Release>, tag: &str) -> (Option<Release>, Vec<Release>) {
    let of_tag = all.iter().filter(|release| release.tag_name == tag);
    let first = of_tag.min_by_key(|release| (release.draft, release.id)).map(|it| it.id);
    let (mut found, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|release| Some(release.id) == first);
    (found.pop(), others)
}

/// Whether a release is the newest of its package's: a patch of an old line is not.
fn is_latest(tag: &ReleaseTag, others: &[Release]) -> bool {
    let mut published = others.iter().filter(|it| !it.draft && !it.prerelease);
    !published.any(|it| tag.sibling(&it.tag_name).is_some_and(|other| other > tag.version))
}

#[cfg(test)]
mod tests;
