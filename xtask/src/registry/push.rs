//! Images pushed to registries: blobs before the manifests that name them, images before
//! their index. Existing ones are not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::early::{Asked, Said};
use super::upload::{BlobUpload, Delivery, OpenedUpload};
use super::{
    Access, HEADERS_ONLY_LIMIT, Naming, Registry, Site, answers, locked, referrers, status,
};
use crate::digest::Digest;
use crate::http::{Body, Call, HttpError, Method, Response, Url};
use crate::oci::{Blob, Raw, Root};
use crate::parallel;
use crate::reference::{Reference, Repository, Tag};

/// An image that was pushed.
#[derive(Clone, Debug)]
pub struct Pushed {
    site: Site,
    root: Root,
    /// Whether its own manifest is still to be put.
    is_open: bool,
    sent: Sent,
    /// What the tags named before the push.
    tags: TagDigests,
}

/// How much a push sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    pub blobs: usize,
    /// Blobs that the registry took from another repository.
    pub mounted: usize,
    pub manifests: usize,
    /// In bytes.
    pub bytes: u64,
}

impl Pushed {
    pub fn repository(&self) -> &Repository {
        &self.site.repository
    }

    pub fn manifest(&self) -> &Raw {
        self.root.raw()
    }

    pub fn digest(&self) -> &Digest {
        &self.manifest().descriptor.digest
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What a tag named before the push; `None` if that is unknown.
    pub fn before(&self, tag: &Tag) -> Option<Option<Digest>> {
        self.tags.get(tag).copied()
    }

    /// `repository@sha256:…`
    pub fn reference(&self) -> Reference {
        self.repository().at(self.digest())
    }
}

/// A blob of the image, and where it is now.
struct SourceBlob {
    digest: Digest,
    size: u64,
    content: Blob,
    /// An upload that was initiated for it early.
    opened: Mutex<Option<OpenedUpload>>,
}

/// The digests that tags name; `None` for a tag that does not exist.
type TagDigests = BTreeMap<Tag, Option<Digest>>;

impl Sent {
    fn count(&mut self, delivery: Delivery, size: u64) {
        match delivery {
            Delivery::Existed => {}
            Delivery::Mounted => self.mounted += 1,
            Delivery::Uploaded => {
                self.blobs += 1;
                self.bytes += size;
            }
        }
    }
}

impl Registry<'_> {
    /// Pushes the image. `tags` are those that it will get; what they name now is asked at the
    /// same time. `others` are repositories that have parts of the image.
    pub fn push(
        &self,
        root: &Root,
        to: &Repository,
        tags: &[&Tag],
        others: &[Repository],
        own: Naming,
    ) -> Result<Pushed> {
        let pushed = self.push_all(root, to, tags, others, own);
        pushed.with_context(|| format!("push to {to}"))
    }

    fn push_all(
        &self,
        root: &Root,
        to: &Repository,
        tags: &[&Tag],
        others: &[Repository],
        own: Naming,
    ) -> Result<Pushed> {
        let (manifests, blobs) = contents(root);
        let mut sources: Vec<Repository> = others.to_vec();
        sources.extend(blobs.iter().filter_map(|blob| match &blob.content {
            Blob::Remote(repository) => Some(repository.clone()),
            Blob::Bytes(_) | Blob::File { .. } => None,
        }));
        sources.sort();
        sources.dedup();
        sources.retain(|source| source.registry() == to.registry() && source != to);
        let new = self.new_digests(root, to);
        let asked = queries(&manifests, &blobs, tags, &new);
        asked.iter().for_each(|asked| self.ask_early(to, asked.clone()));
        self.await_login(to)?;
        let site = self.site_for_push(to, &mut sources)?;
        // A repository that has all layers has all blobs.
        let source = others.iter().chain(holder(root)).find(|other| sources.contains(other));
        let new = self.open_uploads(&site, root, &blobs, tags, new);
        let asked = queries(&manifests, &blobs, tags, &new);
        let sent = Mutex::new(Sent::default());
        let (existing, tags) = self.deliver_missing(&site, &blobs, source, asked, &sent)?;
        self.cancel_unused(&site);
        let digest = root.digest();
        // A referrer is put again: its subject may not list it yet.
        let absent = |raw: &&Raw| !existing.contains(&raw.digest()) || referrers::refers(raw);
        let (children, last): (Vec<&Raw>, Vec<&Raw>) =
            manifests.into_iter().filter(absent).partition(|raw| raw.digest() != digest);
        let is_open = own == Naming::WithTag && !existing.contains(&digest);
        let stop = || self.http.stop();
        let put = |level: &[&Raw]| {
            locked(&sent).manifests += level.len();
            parallel::map_until(level, self.jobs, stop, |raw| {
                let missing = || self.deliver_again(&site, &blobs, source, &sent);
                self.put(&site, raw, &site.manifest(&raw.digest()), missing)
            })
        };
        put(&children)?;
        if is_open {
            locked(&sent).manifests += last.len();
        } else {
            put(&last)?;
        }
        let sent = *locked(&sent);
        Ok(Pushed { site, root: root.clone(), is_open, sent, tags })
    }

    /// The site with a token for the push, and for mounts from the sources, or from none.
    fn site_for_push(&self, to: &Repository, sources: &mut Vec<Repository>) -> Result<Site> {
        match self.site(to, Access::Push, sources) {
            // Some token servers reject all scopes if they reject one. Mounts only save time.
            Err(error) if !sources.is_empty() && matches!(status(&error), Some(400..=404)) => {
                sources.clear();
                self.site(to, Access::Push, &[])
            }
            site => site,
        }
    }

    /// Delivers the blobs that the registry lacks. Returns what it has of what was asked for. What
    /// is new is uploaded while the registry says what it has of the rest.
    fn deliver_missing(
        &self,
        site: &Site,
        blobs: &[SourceBlob],
        source: Option<&Repository>,
        asked: Vec<Asked>,
        sent: &Mutex<Sent>,
    ) -> Result<(BTreeSet<Digest>, TagDigests)> {
        let (opened, others): (Vec<&SourceBlob>, Vec<&SourceBlob>) =
            blobs.iter().partition(|blob| locked(&blob.opened).is_some());
        let stop = || self.http.stop();
        let deliver = |blobs: &[&SourceBlob], bar: &ProgressBar| {
            parallel::map_until(blobs, self.jobs, stop, |blob| {
                let delivery = self.deliver(site, blob, source, bar)?;
                locked(sent).count(delivery, blob.size);
                Ok(())
            })
        };
        let bar = self.term.bar("push", size_of(&opened));
        let look_and_deliver = || {
            let (existing, tags) = self.existing(site, asked)?;
            let absent = others.iter().filter(|blob| !existing.contains(&blob.digest));
            let absent: Vec<&SourceBlob> = absent.copied().collect();
            let more = size_of(&absent);
            let total = size_of(&opened) + more;
            if total > 0 {
                // Not all of this is sent if some blobs are mounted.
                let (size, count) = (crate::term::size(total), opened.len() + absent.len());
                let what = format!("{}, which lacks {size} in {count} blobs", site.repository);
                self.term.step("push", what);
            }
            if bar.is_hidden() {
                let bar = self.term.bar("push", more);
                let delivered = deliver(&absent, &bar);
                bar.finish_and_clear();
                delivered?;
            } else {
                bar.inc_length(more);
                deliver(&absent, &bar)?;
            }
            Ok((existing, tags))
        };
        let delivered = parallel::both(stop, look_and_deliver, || deliver(&opened, &bar));
        bar.finish_and_clear();
        Ok(delivered?.0)
    }

    /// What was made in this run for the repository: layers, and all that names them.
    fn new_digests(&self, root: &Root, to: &Repository) -> BTreeSet<Digest> {
        let layers = self.new_layers(to);
        let mut new = BTreeSet::new();
        for (_, image) in root.images() {
            let digests = image.layers.iter().map(|layer| layer.descriptor.digest);
            let made: Vec<Digest> = digests.filter(|digest| layers.contains(digest)).collect();
            if !made.is_empty() {
                new.extend(made);
                new.extend([image.config.digest(), image.manifest.digest(), root.digest()]);
            }
        }
        new
    }

    /// Hands uploads that were initiated early to the blobs that are new. Returns what is not
    /// asked for: those blobs, and the manifests that name them. All of it is asked for where a
    /// tag says that the image exists.
    fn open_uploads(
        &self,
        site: &Site,
        root: &Root,
        blobs: &[SourceBlob],
        tags: &[&Tag],
        new: BTreeSet<Digest>,
    ) -> BTreeSet<Digest> {
        if new.is_empty() || tags.iter().any(|tag| self.names(site, tag, root.digest())) {
            return BTreeSet::new();
        }
        let is_new = |blob: &&SourceBlob| new.contains(&blob.digest);
        let mut asked = BTreeSet::new();
        for blob in blobs.iter().filter(is_new) {
            if self.rival(site, blob.digest, blob.size).won() {
                asked.insert(blob.digest);
                continue;
            }
            match self.told(site, &Asked::Upload) {
                Some(Said::Initiated(opened)) => *locked(&blob.opened) = Some(opened),
                _ => {
                    asked.insert(blob.digest);
                }
            }
        }
        if blobs.iter().all(|blob| locked(&blob.opened).is_none()) {
            return BTreeSet::new();
        }
        new.difference(&asked).copied().collect()
    }

    /// The manifests and blobs that the registry says it has, and what the tags name.
    fn existing(&self, site: &Site, asked: Vec<Asked>) -> Result<(BTreeSet<Digest>, TagDigests)> {
        // These requests only wait for the network, so more run at a time than uploads.
        let stop = || self.http.stop();
        let found = parallel::map_until(&asked, 2 * self.jobs, stop, |asked| {
            match self.told(site, asked) {
                Some(said) => Ok(Some(said)),
                None => self.ask_or_pass(site, asked),
            }
        })?;
        let mut existing = BTreeSet::new();
        let mut named = BTreeMap::new();
        for (asked, said) in asked.into_iter().zip(found) {
            match (asked, said) {
                (Asked::Tag(tag), Some(Said::Named(digest))) => drop(named.insert(tag, digest)),
                (Asked::Manifest(digest, _) | Asked::Blob(digest, _), Some(Said::Exists(true))) => {
                    existing.insert(digest);
                }
                _ => {}
            }
        }
        Ok((existing, named))
    }

    /// `None` for a tag that cannot be asked for. The answer only saves time: the tag is asked
    /// for again when it is moved.
    fn ask_or_pass(&self, site: &Site, asked: &Asked) -> Result<Option<Said>> {
        match self.ask(site, asked) {
            Err(error)
                if matches!(asked, Asked::Tag(_)) && matches!(status(&error), Some(403 | 405)) =>
            {
                Ok(None)
            }
            said => said.map(Some),
        }
    }

    pub(super) fn has_manifest(&self, site: &Site, digest: &Digest, size: u64) -> Result<bool> {
        let url = site.manifest(digest);
        let headers = &[("accept", super::MANIFEST_TYPES)];
        let call = Call { headers, ..Call::new(Method::HEAD, &url, HEADERS_ONLY_LIMIT) };
        let response = match self.find(site, &call) {
            // Artifactory answers so if it is absent. The answer only saves time.
            Err(error) if matches!(status(&error), Some(403 | 405)) => return Ok(false),
            response => response?,
        };
        response.map_or(Ok(false), |response| answers::exists(&response, digest, size))
    }

    /// Mounts a blob from its own repository or from `source`, or uploads it. A remote blob
    /// that cannot be mounted is fetched first.
    fn deliver(
        &self,
        site: &Site,
        blob: &SourceBlob,
        source: Option<&Repository>,
        bar: &ProgressBar,
    ) -> Result<Delivery> {
        let SourceBlob { digest, size, .. } = *blob;
        let content = match &blob.content {
            Blob::Remote(own) => {
                let same = own.registry() == site.repository.registry();
                if same && *own != site.repository && self.mount(site, &digest, own)? {
                    return Ok(Delivery::Mounted);
                }
                &self.fetch_blob(own, &digest, size, &ProgressBar::hidden())?
            }
            content @ (Blob::Bytes(_) | Blob::File { .. }) => content,
        };
        let Some(opened) = locked(&blob.opened).take() else {
            let upload = BlobUpload { site, digest, size, content, bar, exists: None };
            return self.upload(&upload, source, None);
        };
        let rival = self.rival(site, digest, size);
        let exists = || rival.won();
        let upload = BlobUpload { site, digest, size, content, bar, exists: Some(&exists) };
        self.upload(&upload, source, Some(opened))
    }

    /// Puts a manifest at a URL. If the registry does not know its blobs after all, `deliver`
    /// uploads them, once.
    fn put(
        &self,
        site: &Site,
        raw: &Raw,
        url: &Url,
        deliver: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let put = match self.put_at(site, raw, url) {
            Err(error) if blob_unknown(&error) => {
                self.term.detail("the registry does not know blobs that it said it had");
                deliver()?;
                self.put_at(site, raw, url)
            }
            put => put,
        };
        put.with_context(|| format!("put the manifest {}", raw.digest()))
    }

    /// Uploads all blobs, one after the other.
    fn deliver_again(
        &self,
        site: &Site,
        blobs: &[SourceBlob],
        source: Option<&Repository>,
        sent: &Mutex<Sent>,
    ) -> Result<()> {
        for blob in blobs {
            let delivery = self.deliver(site, blob, source, &ProgressBar::hidden())?;
            locked(sent).count(delivery, blob.size);
        }
        Ok(())
    }

    /// Puts the manifest of a pushed image at a URL.
    pub(super) fn put_own(&self, pushed: &Pushed, url: &Url) -> Result<()> {
        let deliver = || {
            let (_, blobs) = contents(&pushed.root);
            self.deliver_again(&pushed.site, &blobs, None, &Mutex::default())
        };
        self.put(&pushed.site, pushed.manifest(), url, deliver)
    }

    /// Fails if the registry does not have what this run put. Moving a tag checks it too. Without
    /// a tag the image's own manifest may still be to be put.
    pub fn confirm(&self, pushed: &Pushed) -> Result<()> {
        if pushed.sent.manifests == 0 {
            return Ok(());
        }
        let url = pushed.site.manifest(pushed.digest());
        if pushed.is_open {
            self.put_own(pushed, &url)
                .with_context(|| format!("push to {}", pushed.repository()))?;
        }
        let context = || format!("check that {} exists", pushed.reference());
        self.confirm_at(&pushed.site, &url, pushed.digest()).with_context(context)
    }

    /// Puts a manifest at a URL, and lists it as a referrer of its subject.
    pub(super) fn put_at(&self, site: &Site, raw: &Raw, url: &Url) -> Result<()> {
        let answer = self.put_raw(site, raw, url)?;
        self.refer(site, raw, &answer)
    }

    pub(super) fn put_raw(&self, site: &Site, raw: &Raw, url: &Url) -> Result<Response> {
        let headers = &[("content-type", raw.descriptor.media_type.as_ref())];
        let body = Body::Bytes(&raw.bytes);
        let call = Call { headers, body, ..Call::new(Method::PUT, url, HEADERS_ONLY_LIMIT) };
        // ECR answers without a Location, which is not needed.
        let response = self.send(site, &call)?;
        answers::ensure_put(&response, &raw.digest())?;
        Ok(response)
    }
}

/// In bytes.
fn size_of(blobs: &[&SourceBlob]) -> u64 {
    blobs.iter().map(|blob| blob.size).sum()
}

/// The repository that has all layers of the image.
fn holder(root: &Root) -> Option<&Repository> {
    let images = root.images();
    let layers = images.iter().flat_map(|(_, image)| &image.layers);
    let mut places = layers.map(|layer| match &layer.blob {
        Blob::Remote(repository) => Some(repository),
        Blob::Bytes(_) | Blob::File { .. } => None,
    });
    let first = places.next()??;
    places.all(|place| place == Some(first)).then_some(first)
}

/// Whether the registry rejected a manifest because it does not have a blob.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
fn blob_unknown(error: &anyhow::Error) -> bool {
    let names =
        |error: &HttpError| error.names("MANIFEST_BLOB_UNKNOWN") || error.names("BLOB_UNKNOWN");
    matches!(status(error), Some(400 | 404)) && error.downcast_ref::<HttpError>().is_some_and(names)
}

/// The manifests of the image and its blobs, each once. The largest blobs are first: one that
/// is left to the end would be uploaded alone.
fn contents(root: &Root) -> (Vec<&Raw>, Vec<SourceBlob>) {
    let mut manifests: BTreeMap<Digest, &Raw> = BTreeMap::new();
    for (_, image) in root.images() {
        manifests.insert(image.manifest.digest(), &image.manifest);
    }
    manifests.insert(root.digest(), root.raw());
    let all = root.blobs().into_iter();
    let blobs = all.filter(|(digest, ..)| !manifests.contains_key(digest));
    let blobs = blobs.map(|(digest, size, content)| {
        let opened = Mutex::default();
        SourceBlob { digest, size, content, opened }
    });
    let mut blobs: Vec<SourceBlob> = blobs.collect();
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    (manifests.into_values().collect(), blobs)
}

/// What the registry is asked for before the push, without what is `new`.
fn queries(
    manifests: &[&Raw],
    blobs: &[SourceBlob],
    tags: &[&Tag],
    new: &BTreeSet<Digest>,
) -> Vec<Asked> {
    let manifests =
        manifests.iter().map(|raw| Asked::Manifest(raw.digest(), raw.bytes.len() as u64));
    let blobs = blobs.iter().map(|blob| Asked::Blob(blob.digest, blob.size));
    let known = manifests.chain(blobs).filter(|asked| match asked {
        Asked::Manifest(digest, _) | Asked::Blob(digest, _) => !new.contains(digest),
        Asked::Tag(_) | Asked::Upload => true,
    });
    known.chain(tags.iter().map(|tag| Asked::Tag((*tag).clone()))).collect()
}
