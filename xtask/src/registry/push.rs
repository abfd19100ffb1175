//! Images brought to registries: blobs before the manifests that name them, images
//! before their index. What is there is not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::upload::{Load, Way};
use super::{Access, LITTLE, Registry, Site, answers, referrers, status};
use crate::digest::Digest;
use crate::http::{Body, Call, HttpError, Method, Response, Url};
use crate::oci::{Blob, Raw, Root};
use crate::parallel;
use crate::reference::{Reference, Repository, Tag};

/// An image that is in a registry, under its digest.
#[derive(Clone, Debug)]
pub struct Pushed {
    repository: Repository,
    manifest: Raw,
    digest: Digest,
    sent: Sent,
    /// What tags that were asked after named before.
    tags: Named,
}

/// What it took to bring an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    pub blobs: usize,
    /// Those that the registry took from another repository.
    pub mounted: usize,
    pub manifests: usize,
    /// In bytes.
    pub bytes: u64,
}

impl Pushed {
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    pub fn manifest(&self) -> &Raw {
        &self.manifest
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What a tag named before the push; `None` where it was not asked after.
    pub fn before(&self, tag: &Tag) -> Option<Option<Digest>> {
        self.tags.get(tag).copied()
    }

    /// `repository@sha256:…`
    pub fn reference(&self) -> Reference {
        self.repository.at(&self.digest)
    }
}

/// One blob that is to be there, and where it is now.
struct Wanted {
    digest: Digest,
    size: u64,
    blob: Blob,
}

/// What tags name; nothing, where there is no such tag.
type Named = BTreeMap<Tag, Option<Digest>>;

/// What the registry is asked after.
enum Asked<'a> {
    Manifest(Digest, u64),
    Blob(Digest, u64),
    Tag(&'a Tag),
}

#[derive(Default)]
struct Counts {
    blobs: AtomicUsize,
    mounted: AtomicUsize,
    manifests: AtomicUsize,
    bytes: AtomicU64,
}

impl Counts {
    fn count(&self, way: Way, size: u64) {
        match way {
            Way::Mounted => drop(self.mounted.fetch_add(1, Ordering::Relaxed)),
            Way::Uploaded => {
                self.blobs.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(size, Ordering::Relaxed);
            }
        }
    }

    fn sum(&self) -> Sent {
        Sent {
            blobs: self.blobs.load(Ordering::Relaxed),
            mounted: self.mounted.load(Ordering::Relaxed),
            manifests: self.manifests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Registry<'_> {
    /// Brings the image into the repository, under its digest alone. `tags` are those that
    /// it will get, which are asked after on the way; `others` are repositories that
    /// have it already, or parts of it.
    pub fn push(
        &self,
        root: &Root,
        to: &Repository,
        tags: &[&Tag],
        others: &[Repository],
    ) -> Result<Pushed> {
        let pushed = self.bring_all(root, to, tags, others);
        pushed.with_context(|| format!("push to {to}"))
    }

    fn bring_all(
        &self,
        root: &Root,
        to: &Repository,
        tags: &[&Tag],
        others: &[Repository],
    ) -> Result<Pushed> {
        let (manifests, blobs) = parts(root);
        let mut sources: Vec<Repository> = others.to_vec();
        sources.extend(blobs.iter().filter_map(|wanted| match &wanted.blob {
            Blob::Remote(repository) => Some(repository.clone()),
            Blob::Bytes(_) | Blob::File { .. } => None,
        }));
        sources.sort();
        sources.dedup();
        sources.retain(|source| source.registry() == to.registry() && source != to);
        let site = match self.site(to, Access::Push, &sources) {
            // Some token servers give nothing where they would not give all; mounts only
            // save time.
            Err(error) if !sources.is_empty() && matches!(status(&error), Some(400..=404)) => {
                sources.clear();
                self.site(to, Access::Push, &[])?
            }
            site => site?,
        };
        // What has it already, or all of its layers, has all of it.
        let near = others.iter().chain(holder(root)).find(|other| sources.contains(other));
        let (there, tags) = self.there(&site, &manifests, &blobs, tags)?;
        let missing: Vec<&Wanted> =
            blobs.iter().filter(|wanted| !there.contains(&wanted.digest)).collect();
        let total: u64 = missing.iter().map(|wanted| wanted.size).sum();
        if total > 0 {
            let size = crate::term::size(total);
            // Some of it may come from other repositories of the registry: it is not all sent.
            let what = format!("{to}, which lacks {size} in {} blobs", missing.len());
            self.term.step("push", what);
        }
        let (bar, counts) = (self.term.bar("push", total), Counts::default());
        let stop = || self.http.stop();
        let brought = parallel::map_until(&missing, self.jobs, stop, |wanted| {
            counts.count(self.bring_one(&site, wanted, near, &bar)?, wanted.size);
            Ok(())
        });
        bar.finish_and_clear();
        brought?;
        let digest = root.digest();
        let (children, last): (Vec<&Raw>, Vec<&Raw>) =
            manifests.into_iter().partition(|raw| raw.digest() != digest);
        for level in [children, last] {
            let absent: Vec<&Raw> = level
                .into_iter()
                // What has a subject is put again: it may never have been listed there.
                .filter(|raw| !there.contains(&raw.digest()) || referrers::refers(raw))
                .collect();
            parallel::map_until(&absent, self.jobs, stop, |raw| {
                self.put(&site, raw, &blobs, near, &counts)
            })?;
        }
        let manifest = root.raw().clone();
        Ok(Pushed { repository: to.clone(), manifest, digest, sent: counts.sum(), tags })
    }

    /// What the registry says that it has, of manifests and blobs, and what tags name.
    fn there(
        &self,
        site: &Site,
        manifests: &[&Raw],
        blobs: &[Wanted],
        tags: &[&Tag],
    ) -> Result<(BTreeSet<Digest>, Named)> {
        let manifests =
            manifests.iter().map(|raw| Asked::Manifest(raw.digest(), raw.bytes.len() as u64));
        let blobs = blobs.iter().map(|wanted| Asked::Blob(wanted.digest, wanted.size));
        let tags = tags.iter().map(|tag| Asked::Tag(tag));
        let all: Vec<Asked<'_>> = manifests.chain(blobs).chain(tags).collect();
        // These are small and the way is long, so more go at a time than blobs do.
        let stop = || self.http.stop();
        let found = parallel::map_until(&all, 2 * self.jobs, stop, |asked| match asked {
            Asked::Manifest(digest, size) => {
                Ok(Some(self.has_manifest(site, digest, *size)?.then_some(*digest)))
            }
            Asked::Blob(digest, size) => {
                Ok(Some(self.has_blob(site, digest, *size)?.then_some(*digest)))
            }
            Asked::Tag(tag) => match self.tagged(site, tag) {
                // As with manifests, the answer only saves time: it is asked after again.
                Err(error) if matches!(status(&error), Some(403 | 405)) => Ok(None),
                named => named.map(Some),
            },
        })?;
        let (mut there, mut named) = (BTreeSet::new(), BTreeMap::new());
        for (asked, found) in all.into_iter().zip(found) {
            let Some(found) = found else { continue };
            match asked {
                Asked::Tag(tag) => drop(named.insert(tag.clone(), found)),
                Asked::Manifest(..) | Asked::Blob(..) => there.extend(found),
            }
        }
        Ok((there, named))
    }

    fn has_manifest(&self, site: &Site, digest: &Digest, size: u64) -> Result<bool> {
        let url = site.manifest(digest);
        let headers = &[("accept", super::pull::ACCEPTED)];
        let call = Call { headers, ..Call::new(Method::HEAD, &url, LITTLE) };
        let response = match self.look(site, &call) {
            // Artifactory says so of what is not there; and the answer only saves time.
            Err(error) if matches!(status(&error), Some(403 | 405)) => return Ok(false),
            response => response?,
        };
        response.map_or(Ok(false), |response| answers::has(&response, digest, size))
    }

    /// Brings a blob by the shortest way: from another repository of the registry, be it
    /// the one that it is in or one `near`, or from here, where it may have to be got first.
    fn bring_one(
        &self,
        site: &Site,
        wanted: &Wanted,
        near: Option<&Repository>,
        bar: &ProgressBar,
    ) -> Result<Way> {
        let Wanted { digest, size, .. } = wanted;
        let blob = match &wanted.blob {
            Blob::Remote(source) => {
                let here = source.registry() == site.repository.registry();
                if here && *source != site.repository && self.mount(site, digest, source)? {
                    return Ok(Way::Mounted);
                }
                &self.fetch_blob(source, digest, *size, &ProgressBar::hidden())?
            }
            blob @ (Blob::Bytes(_) | Blob::File { .. }) => blob,
        };
        let (digest, size) = (*digest, *size);
        self.upload(site, &Load { digest, size, blob, bar }, near)
    }

    /// Puts a manifest under its digest. A registry that misses what it said it had is
    /// given that, once.
    fn put(
        &self,
        site: &Site,
        raw: &Raw,
        blobs: &[Wanted],
        near: Option<&Repository>,
        counts: &Counts,
    ) -> Result<()> {
        let url = site.manifest(&raw.digest());
        let put = match self.put_at(site, raw, &url) {
            Err(error) if forgets(&error) => {
                self.term.detail("the registry misses what it said it had");
                for wanted in blobs {
                    let bar = ProgressBar::hidden();
                    counts.count(self.bring_one(site, wanted, near, &bar)?, wanted.size);
                }
                self.put_at(site, raw, &url)
            }
            put => put,
        };
        put.with_context(|| format!("put the manifest {}", raw.digest()))?;
        counts.manifests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Fails where what this run put is not there. To move a tag asks for as much.
    pub fn confirm(&self, pushed: &Pushed) -> Result<()> {
        if pushed.sent.manifests == 0 {
            return Ok(());
        }
        let context = || format!("see whether {} is there", pushed.reference());
        let site = self.site(&pushed.repository, Access::Push, &[]).with_context(context)?;
        let url = site.manifest(&pushed.digest);
        self.confirm_at(&site, &url, &pushed.digest).with_context(context)
    }

    /// Puts a manifest where it is to be found by, and where its subject is listed.
    pub(super) fn put_at(&self, site: &Site, raw: &Raw, url: &Url) -> Result<()> {
        let answer = self.put_raw(site, raw, url)?;
        self.refer(site, raw, &answer)
    }

    pub(super) fn put_raw(&self, site: &Site, raw: &Raw, url: &Url) -> Result<Response> {
        let headers = &[("content-type", raw.descriptor.media_type.as_ref())];
        let body = Body::Bytes(&raw.bytes);
        let call = Call { headers, body, ..Call::new(Method::PUT, url, LITTLE) };
        // ECR answers without a Location, which nothing here needs.
        let answer = self.send(site, &call)?;
        answers::ensure_put(&answer, &raw.digest())?;
        Ok(answer)
    }
}

/// The repository that all layers of the image are in.
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

/// Whether the registry refused a manifest because of what it names.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
fn forgets(error: &anyhow::Error) -> bool {
    let known = matches!(status(error), Some(400 | 404));
    let names =
        |error: &HttpError| error.names("MANIFEST_BLOB_UNKNOWN") || error.names("BLOB_UNKNOWN");
    known && error.downcast_ref::<HttpError>().is_some_and(names)
}

/// The manifests of the image, children first, and the blobs that they name, each once,
/// the largest first, so that no large one is left to the end.
fn parts(root: &Root) -> (Vec<&Raw>, Vec<Wanted>) {
    let mut manifests: BTreeMap<Digest, &Raw> = BTreeMap::new();
    for (_, image) in root.images() {
        manifests.insert(image.manifest.digest(), &image.manifest);
    }
    manifests.insert(root.digest(), root.raw());
    let all = root.blobs().into_iter();
    let blobs = all.filter(|(digest, ..)| !manifests.contains_key(digest));
    let mut blobs: Vec<Wanted> =
        blobs.map(|(digest, size, blob)| Wanted { digest, size, blob }).collect();
    blobs.sort_by_key(|wanted| std::cmp::Reverse(wanted.size));
    (manifests.into_values().collect(), blobs)
}
