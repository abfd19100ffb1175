//! Publishing on GitHub: a draft that nobody sees, files brought into it and compared,
//! and only then the release. What is there already is kept, so that a run that was
//! interrupted is simply made again.

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use crate::config::Slug;
use crate::digest::Digest;
use crate::finding::{Help, failure};
use crate::github::{Asset, Change, GitHub, NewRelease, Release, Upload};
use crate::parallel;
use crate::registry::Pushed;
use crate::term::Term;
use crate::version::ReleaseTag;

pub mod index;
pub mod notes;

/// Files on their way at a time. GitHub asks for no more than 100 of anything, and a line
/// is full before.
const JOBS: usize = 8;

/// The releases of a repository.
pub struct Forge<'a> {
    pub github: &'a GitHub<'a>,
    pub repository: &'a Slug,
    pub term: &'a Term,
}

/// A file that belongs to the release.
#[derive(Clone, Debug)]
pub struct ReleaseFile {
    /// Its name there: ASCII letters, digits, `-`, `_` and `.`, which GitHub leaves as it is.
    pub name: String,
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    pub digest: Digest,
}

/// A release that takes files; nobody sees it, unless a run before published it.
#[derive(Debug)]
pub struct Draft {
    release: Release,
    new: NewRelease,
    /// Whether nobody can have brought anything yet.
    empty: bool,
}

/// A release with all its files.
#[derive(Debug)]
pub struct Complete {
    draft: Draft,
    files: Vec<ReleaseFile>,
    pub sent: Sent,
}

impl Complete {
    /// The release's page.
    pub fn url(&self) -> &str {
        &self.draft.release.html_url
    }
}

/// What it took to bring the files.
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
    pub prerelease: bool,
    pub sent: Sent,
    /// Whether this run is the one that made it public.
    pub anew: bool,
}

impl Forge<'_> {
    /// The release of a tag, a published one before drafts, and the others of the
    /// repository.
    pub fn find(&self, tag: &str) -> Result<(Option<Release>, Vec<Release>)> {
        let context = || format!("look for the releases of {}", self.repository);
        let all = self.github.releases(self.repository).with_context(context)?;
        Ok(chosen(all, tag))
    }

    /// The draft of the release: the one that is there, or a new one. `asked` says that
    /// the notes are those that the user named, which replace others.
    pub fn draft(&self, new: NewRelease, asked: bool) -> Result<Draft> {
        let context = || format!("make a draft of {} in {}", new.tag_name, self.repository);
        let (found, others) = self.find(&new.tag_name)?;
        if let Some(release) = found {
            self.remove_twins(&release, &others, &new)?;
            let release = self.with_notes(release, &new, asked).with_context(context)?;
            return Ok(Draft { release, new, empty: false });
        }
        let look = || Ok(self.find(&new.tag_name)?.0);
        self.term.step("draft", format_args!("{} in {}", new.tag_name, self.repository));
        let made = self.github.create_draft(self.repository, &new, look).with_context(context)?;
        // Another run may have made one at the same time: the older one is both runs'.
        let (found, others) = self.find(&new.tag_name)?;
        let release = match found {
            Some(found) if !found.draft || found.id <= made.id => found,
            _ => made.clone(),
        };
        let mut twins = others;
        let empty = made.id == release.id && twins.iter().all(|it| it.tag_name != new.tag_name);
        if made.id != release.id && twins.iter().all(|it| it.id != made.id) {
            twins.push(made);
        }
        self.remove_twins(&release, &twins, &new)?;
        Ok(Draft { release, new, empty })
    }

    /// Removes drafts that runs at the same time made of the same release; no run takes
    /// any but the oldest one.
    fn remove_twins(&self, of: &Release, others: &[Release], new: &NewRelease) -> Result<()> {
        for other in others.iter().filter(|it| it.draft && it.tag_name == new.tag_name) {
            let is_twin = other.name.as_ref() == Some(&new.name)
                && other.body.as_ref() == Some(&new.body)
                && other.id != of.id;
            match is_twin {
                true => self.github.delete_release(self.repository, other.id)?,
                false => self.term.step(
                    "leave",
                    format_args!("another draft of {} as it is: {}", new.tag_name, other.html_url),
                ),
            }
        }
        Ok(())
    }

    /// A draft that a person prepared keeps its notes, if it has any.
    fn with_notes(&self, release: Release, new: &NewRelease, asked: bool) -> Result<Release> {
        let body = release.body.as_deref().unwrap_or_default();
        let wanted = asked || body.trim().is_empty();
        if !release.draft || !wanted || body == new.body || new.body.is_empty() {
            return Ok(release);
        }
        self.github.change_release(self.repository, release.id, &Change::Body(&new.body))
    }

    /// Brings the files into the release. What is there is compared and kept; what is there
    /// with other bytes is an error.
    pub fn upload(&self, draft: Draft, files: Vec<ReleaseFile>) -> Result<Complete> {
        let (id, tag) = (draft.release.id, &draft.new.tag_name);
        let context = || format!("bring the files of {tag} to {}", self.repository);
        let there = match draft.empty {
            true => Vec::new(),
            false => self.github.assets(self.repository, id).with_context(context)?,
        };
        let named = |asset: &&Asset| files.iter().all(|file| file.name != asset.name);
        for asset in there.iter().filter(named) {
            let what = format!("{} of {tag}, which is none of its files", asset.name);
            self.term.step("leave", what);
        }
        let bar = self.term.bar("upload", files.iter().map(|file| file.size).sum());
        let sent = parallel::map(&files, JOBS, |file| {
            let found = there.iter().find(|asset| asset.name == file.name);
            self.bring(&draft.release, file, found.cloned(), &bar)
                .with_context(|| format!("bring {} to {}", file.name, self.repository))
        });
        bar.finish_and_clear();
        let sent: Vec<u64> = sent?.into_iter().flatten().collect();
        let sent = Sent { files: sent.len(), bytes: sent.iter().sum() };
        Ok(Complete { draft, files, sent })
    }

    /// Brings one file, and returns how much was sent; `None` where it was there.
    fn bring(
        &self,
        release: &Release,
        file: &ReleaseFile,
        mut there: Option<Asset>,
        bar: &indicatif::ProgressBar,
    ) -> Result<Option<u64>> {
        let to = self.github.uploads(release)?;
        let ReleaseFile { name, path, size, digest } = file;
        let upload = Upload { name, path, size: *size, digest };
        let mut patience = self.github.patience();
        loop {
            if let Some(asset) = &there {
                if asset.is_whole() {
                    self.ensure_same(asset, file)?;
                    return Ok(None);
                }
                // It was listed a while ago, and another run may have brought it since.
                let now = self.github.asset(self.repository, asset)?;
                if let Some(whole) = now.filter(Asset::is_whole) {
                    self.ensure_same(&whole, file)?;
                    return Ok(None);
                }
                // What an upload left that did not end well. It has the name and no bytes.
                self.term.detail(format_args!("remove what there is of {}", file.name));
                self.github.delete_asset(self.repository, asset)?;
            }
            if release.immutable {
                bail!(failure(
                    format!("{} was published without it and cannot be changed", release.tag_name),
                    "release another version",
                ));
            }
            let begun = bar.position();
            match self.github.upload(&to, &upload, bar) {
                Ok(asset) if asset.name != file.name => bail!(failure(
                    format!("GitHub calls it {:?}, where nobody looks for it", asset.name),
                    "choose a name of ASCII letters, digits, `-`, `_` and `.`",
                )),
                Ok(asset) if asset.is_whole() => {
                    self.ensure_same(&asset, file)?;
                    self.term.step("upload", &file.name);
                    return Ok(Some(file.size));
                }
                Ok(asset) => bail!("GitHub took {}, and says that it is not whole", asset.name),
                Err(error) => {
                    bar.set_position(begun);
                    let taken = error.names("already_exists");
                    let all = self.github.assets(self.repository, release.id)?;
                    there = all.into_iter().find(|asset| asset.name == file.name);
                    let whole = there.as_ref().is_some_and(Asset::is_whole);
                    if !whole {
                        patience.wait_if(taken, error)?;
                    }
                }
            }
        }
    }

    fn ensure_same(&self, asset: &Asset, file: &ReleaseFile) -> Result<()> {
        let there = self.github.digest(self.repository, asset)?;
        if there == file.digest && asset.size == file.size {
            return Ok(());
        }
        Err(failure(
            format!("{} is there with other bytes: {there}, and not {}", file.name, file.digest),
            "find out who made it; then remove it from the release, or release another version",
        ))
    }

    /// Fails where a file of the release is not there, whole, and with the bytes that it was
    /// made with. A server that names no digests is asked for the bytes of a draft: of what
    /// is public already, they were compared when it was found.
    fn ensure_complete(
        &self,
        release: &Release,
        there: &[Asset],
        files: &[ReleaseFile],
    ) -> Result<()> {
        let compare = |file: &ReleaseFile| {
            let found = there.iter().find(|asset| asset.name == file.name);
            let Some(whole) = found.filter(|asset| asset.is_whole()) else {
                bail!(failure(
                    format!("{} was removed from the release meanwhile", file.name),
                    "run again",
                ));
            };
            if !release.draft && !whole.has_digest() && whole.size == file.size {
                return Ok(());
            }
            self.ensure_same(whole, file)
        };
        parallel::map(files, JOBS, compare).map(drop)
    }

    /// Shows the release to everybody, if it is not shown yet. Its images are in their
    /// registries by now, or it would speak of what nobody can have.
    pub fn publish(&self, complete: Complete, _images: &[Vec<Pushed>]) -> Result<Published> {
        let Complete { draft: Draft { release, new, .. }, files, sent } = complete;
        let context = || format!("publish {} in {}", new.tag_name, self.repository);
        let panicked = |_| anyhow!("the thread that asked panicked");
        // Others may have done something while files were brought.
        let (now, there, tag, all) = thread::scope(|scope| {
            let there = scope.spawn(|| self.github.assets(self.repository, release.id));
            let tag = scope.spawn(|| self.github.tag(self.repository, &new.tag_name));
            let all = scope.spawn(|| self.find(&new.tag_name));
            let now = self.github.release(self.repository, release.id);
            (now, there.join(), tag.join(), all.join())
        });
        let now = now.with_context(context)?;
        let now = now.with_context(context).context(Help("run again".to_owned()));
        let now = now.with_context(|| format!("the draft of {} was removed", new.tag_name))?;
        let there = there.map_err(panicked)?.with_context(context)?;
        self.ensure_complete(&now, &there, &files).with_context(context)?;
        let published = |release: Release, anew: bool| Published {
            tag: release.tag_name,
            url: release.html_url,
            prerelease: release.prerelease,
            sent,
            anew,
        };
        if !now.draft {
            return Ok(published(now, false));
        }
        // Without the tag GitHub would make one, of whatever its main branch is at.
        if tag.map_err(panicked)?.with_context(context)?.as_ref() != Some(&new.commit) {
            let why = format!("the tag {} is no longer at {:.12} there", new.tag_name, new.commit);
            return Err(failure(why, "push the tag again, and run again")).with_context(context);
        }
        let (_, others) = all.map_err(panicked)?.with_context(context)?;
        let latest = !new.prerelease && is_latest(&new.tag, &others);
        let change = Change::Publish { prerelease: new.prerelease, latest };
        let done = self.github.change_release(self.repository, now.id, &change);
        let done = done.with_context(context)?;
        if done.draft || done.tag_name != new.tag_name {
            bail!("GitHub was told to publish {}, and did not", new.tag_name);
        }
        self.term.step("publish", &done.html_url);
        Ok(published(done, true))
    }
}

/// The release of a tag among all, and the others: the published one, or the oldest draft.
fn chosen(all: Vec<Release>, tag: &str) -> (Option<Release>, Vec<Release>) {
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
