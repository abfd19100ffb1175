//! Blobs uploaded to registries: check existing, initiate, stream, commit. An upload that was
//! cut is resumed where the registry says that it stopped.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use super::answers::{ACCEPTED, CREATED, INITIATED, ensure_digest, ensure_status, exists};
use super::{HEADERS_ONLY_LIMIT, PROGRESS, Registry, Site, status};
use crate::digest::Digest;
use crate::http::{Body, Call, Fault, HttpError, Method, Patience, Response, Url};
use crate::oci::Blob;
use crate::reference::Repository;

/// The size of a part in bytes. GHCR takes no larger ones.
const CHUNK: u64 = 4 << 20;

/// How a blob got into the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The registry took it from another of its repositories.
    Mounted,
    Uploaded,
    /// It turned out to exist while it was uploaded.
    Existed,
}

/// A blob to upload, from a file or from memory.
pub struct BlobUpload<'a> {
    pub site: &'a Site,
    pub digest: Digest,
    pub size: u64,
    pub content: &'a Blob,
    pub bar: &'a ProgressBar,
    /// Whether the registry has said meanwhile that the blob exists.
    pub exists: Option<&'a dyn Fn() -> bool>,
}

/// An upload that a registry has initiated: where it takes the next request, and
/// `OCI-Chunk-Min-Length` in bytes.
#[derive(Debug)]
pub struct OpenedUpload {
    pub url: Url,
    least: u64,
}

impl BlobUpload<'_> {
    /// `size` bytes from the offset `from`.
    fn part(&self, from: u64, size: u64) -> Result<Body<'_>> {
        Ok(match self.content {
            Blob::Bytes(bytes) => {
                let range = from as usize..(from + size) as usize;
                Body::Bytes(bytes.get(range).context("read a part of the blob")?)
            }
            Blob::File { path, at } => {
                let path: &Path = path;
                let whole = (from, size) == (0, self.size);
                let digest = whole.then_some(&self.digest);
                let stop = self.exists;
                Body::File { path, from: at + from, size, digest, bar: self.bar, stop }
            }
            Blob::Remote(repository) => bail!("the blob was not fetched from {repository}"),
        })
    }
}

/// How far an upload is.
struct UploadState<'a> {
    /// `None` before the upload is initiated.
    session: Option<Session<'a>>,
    /// The repository to mount the blob from. It is tried once.
    source: Option<&'a Repository>,
    /// Whether the session was initiated before the blob was known. The registry may have
    /// forgotten it.
    is_early: bool,
    /// Whether an earlier session was given up.
    restarted: bool,
    /// How often the upload may start anew.
    restarts: Patience<'a>,
}

/// An upload that the registry has initiated.
struct Session<'a> {
    /// Where the registry takes the next request.
    url: Url,
    /// `OCI-Chunk-Min-Length` in bytes. Only the last part may be smaller.
    least: u64,
    mode: Mode,
    /// How many bytes the registry has.
    offset: u64,
    /// The highest offset so far. Reaching it again is no progress.
    furthest: u64,
    /// How often the session may be resumed without progress.
    resumes: Patience<'a>,
}

/// How a session sends the blob.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Whole, with the request that commits it. This saves a request.
    Whole,
    /// In parts, because the registry rejects a larger body.
    Parts,
    /// In parts, because the whole blob was cut. Not every registry takes parts.
    Resumed,
}

impl Session<'_> {
    /// Sets how many bytes the registry has. `least` more than ever before are progress.
    fn advance(&mut self, offset: u64, least: u64) {
        if offset >= self.furthest + least {
            self.resumes.renew();
        }
        self.furthest = self.furthest.max(offset);
        self.offset = offset;
    }
}

impl Registry<'_> {
    /// Whether the registry says that it has the blob.
    pub(super) fn check_existing(&self, site: &Site, digest: &Digest, size: u64) -> Result<bool> {
        let url = site.blob(digest);
        match self.find(site, &Call::new(Method::HEAD, &url, HEADERS_ONLY_LIMIT)) {
            Ok(Some(response)) => exists(&response, digest, size),
            Ok(None) => Ok(false),
            // Some registries only support GET.
            Err(error) if status(&error) == Some(405) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks the registry to take the blob from another of its repositories. If it initiates
    /// an upload instead, that is abandoned.
    pub(super) fn mount(&self, site: &Site, digest: &Digest, source: &Repository) -> Result<bool> {
        Ok(self.initiate_or_mount(site, digest, Some(source))?.is_none())
    }

    /// Uploads the blob, or has it mounted from `source`, unless the upload was `opened` before.
    pub(super) fn upload(
        &self,
        blob: &BlobUpload<'_>,
        source: Option<&Repository>,
        opened: Option<OpenedUpload>,
    ) -> Result<Delivery> {
        let context = || format!("upload {} to {}", blob.digest, blob.site.repository);
        let restarts = Patience::new(self.http);
        let (is_early, session) = (opened.is_some(), opened.map(|it| self.session(it)));
        let mut state = UploadState { session, source, is_early, restarted: false, restarts };
        loop {
            let error = match self.try_upload(blob, &mut state) {
                Ok(delivery) => return Ok(delivery),
                Err(error) => error,
            };
            if blob.exists.is_some_and(|exists| exists()) {
                if let Some(session) = state.session {
                    self.cancel(blob.site, &session.url);
                }
                return Ok(Delivery::Existed);
            }
            self.recover(blob, &mut state, error).with_context(context)?;
        }
    }

    /// One attempt, which resumes the session of the last one if there is one.
    fn try_upload<'s>(
        &'s self,
        blob: &BlobUpload<'_>,
        state: &mut UploadState<'s>,
    ) -> Result<Delivery> {
        if state.session.is_none() {
            // The response to a successful commit may have been lost.
            if state.restarted && self.check_existing(blob.site, &blob.digest, blob.size)? {
                return Ok(Delivery::Uploaded);
            }
            let opened = self.initiate_or_mount(blob.site, &blob.digest, state.source.take())?;
            state.session = opened.map(|opened| self.session(opened));
        }
        let Some(session) = &mut state.session else { return Ok(Delivery::Mounted) };
        self.stream(blob, session)?;
        self.commit(blob, session)?;
        Ok(Delivery::Uploaded)
    }

    /// Initiates an upload; `None` if the registry mounts the blob instead.
    fn initiate_or_mount(
        &self,
        site: &Site,
        digest: &Digest,
        source: Option<&Repository>,
    ) -> Result<Option<OpenedUpload>> {
        let Some(source) = source else { return self.initiate(site).map(Some) };
        // Quay rejects a mount without `from`.
        let url = site.url("blobs/uploads/").with("mount", &digest.to_string());
        let url = url.with("from", source.path());
        let response = match self.send(site, &Call::new(Method::POST, &url, HEADERS_ONLY_LIMIT)) {
            Err(error) if matches!(status(&error), Some(400..=405)) => {
                return self.initiate(site).map(Some);
            }
            response => response?,
        };
        if response.status == 201 {
            ensure_status(&response, INITIATED)?;
            ensure_digest(&response, digest)?;
            return Ok(None);
        }
        self.opened(&response).map(Some)
    }

    /// Initiates an upload of whatever blob.
    pub(super) fn initiate(&self, site: &Site) -> Result<OpenedUpload> {
        let url = site.url("blobs/uploads/");
        self.opened(&self.send(site, &Call::new(Method::POST, &url, HEADERS_ONLY_LIMIT))?)
    }

    fn opened(&self, response: &Response) -> Result<OpenedUpload> {
        ensure_status(response, INITIATED)?;
        let least = response.header("oci-chunk-min-length");
        let least = least.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let url = self.location(response)?;
        let url = url.context("the registry initiates an upload without a Location")?;
        Ok(OpenedUpload { url, least })
    }

    fn session(&self, OpenedUpload { url, least }: OpenedUpload) -> Session<'_> {
        let resumes = Patience::new(self.http);
        Session { url, least, mode: Mode::Whole, offset: 0, furthest: 0, resumes }
    }

    /// Cancels an upload. Not every registry knows how to, and each forgets uploads in time.
    /// <https://distribution.github.io/distribution/spec/api/#canceling-an-upload>
    pub(super) fn cancel(&self, site: &Site, upload: &Url) {
        // A token for it is not worth another request.
        let Ok(used) = self.authorization(site, None) else { return };
        let auth = used.header().map(|header| (&site.server.origin, header));
        let call = Call::new(Method::DELETE, upload, HEADERS_ONLY_LIMIT);
        drop(self.http.once(&Call { auth, ..call }));
    }

    /// Sends the rest of a blob that goes in parts.
    fn stream(&self, blob: &BlobUpload<'_>, session: &mut Session<'_>) -> Result<()> {
        while session.mode != Mode::Whole && session.offset < blob.size {
            let from = session.offset;
            let size = CHUNK.max(session.least).min(blob.size - from);
            let range = format!("{from}-{}", from + size - 1);
            let headers =
                &[("content-type", "application/octet-stream"), ("content-range", &*range)];
            let body = blob.part(from, size)?;
            let url = session.url.clone();
            let call = Call { headers, body, ..Call::new(Method::PATCH, &url, HEADERS_ONLY_LIMIT) };
            let response = self.once(blob.site, &call)?;
            ensure_status(&response, ACCEPTED)?;
            let offset = offset_of(&response).unwrap_or(from + size);
            ensure!(offset <= blob.size, "the registry reports more bytes than were sent");
            session.url = self.location(&response)?.unwrap_or_else(|| url.clone());
            let least = size.min(PROGRESS);
            session.advance(offset, least);
            if offset < from + least {
                let why = "the registry kept nothing of a part".to_owned();
                return Err(call.failed(Fault::Transient(why)).into());
            }
        }
        Ok(())
    }

    /// Makes the registry create the blob.
    fn commit(&self, blob: &BlobUpload<'_>, session: &Session<'_>) -> Result<()> {
        let body = if session.mode == Mode::Whole {
            blob.part(0, blob.size)?
        } else {
            // Parts are not hashed while they are sent.
            blob.content.copy(&blob.digest, blob.size, std::io::sink())?;
            Body::Empty
        };
        let url = session.url.with("digest", &blob.digest.to_string());
        let headers = &[("content-type", "application/octet-stream")];
        let call = Call { headers, body, ..Call::new(Method::PUT, &url, HEADERS_ONLY_LIMIT) };
        let response = self.once(blob.site, &call)?;
        ensure_digest(&response, &blob.digest)?;
        ensure_status(&response, CREATED)
    }

    /// Prepares the next attempt: the session is resumed, or the upload starts anew. Fails
    /// with the error of the last attempt if another one cannot help.
    fn recover(
        &self,
        blob: &BlobUpload<'_>,
        state: &mut UploadState<'_>,
        error: anyhow::Error,
    ) -> Result<()> {
        let (Some(session), Some(cause)) = (&mut state.session, error.downcast_ref::<HttpError>())
        else {
            return Err(error);
        };
        let mode = session.mode;
        let status = cause.status();
        let is_early = std::mem::take(&mut state.is_early);
        if is_early && !cause.is_transient() && matches!(status, Some(400..=412 | 414..=499)) {
            state.session = None;
            blob.bar.inc_length(blob.size);
            return Ok(());
        }
        if mode == Mode::Whole && status == Some(413) {
            session.mode = Mode::Parts;
            blob.bar.inc_length(blob.size);
            return Ok(());
        }
        let transient = cause.is_transient();
        let wrong_offset = mode != Mode::Whole && status == Some(416);
        let resumable = transient || wrong_offset || upload_unknown(cause);
        let parts_rejected = mode == Mode::Resumed && matches!(status, Some(400 | 404..=422 | 501));
        if !resumable && !parts_rejected {
            return Err(error);
        }
        let mut error: HttpError = error.downcast()?;
        if resumable && self.resume(blob, session)? {
            match session.resumes.wait_if(!transient, error) {
                Ok(()) => return Ok(()),
                Err(last) => error = last,
            }
        }
        state.restarts.wait_if(!transient, error)?;
        state.session = None;
        state.restarted = true;
        blob.bar.inc_length(blob.size);
        Ok(())
    }

    /// Asks the registry how many bytes it has, and returns whether to go on from there.
    fn resume(&self, blob: &BlobUpload<'_>, session: &mut Session<'_>) -> Result<bool> {
        let call = Call::new(Method::GET, &session.url, HEADERS_ONLY_LIMIT);
        let response = match self.once(blob.site, &call) {
            Ok(response) => response,
            Err(error) if error.is::<HttpError>() => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(offset) = offset_of(&response) else { return Ok(false) };
        session.url = self.location(&response)?.unwrap_or_else(|| session.url.clone());
        if session.mode == Mode::Whole {
            // Sending a little again is faster than parts.
            if offset < CHUNK {
                return Ok(false);
            }
            session.mode = Mode::Resumed;
        }
        session.advance(offset.min(blob.size), PROGRESS);
        self.term.detail(format_args!("resume the upload of {} at byte {offset}", blob.digest));
        Ok(true)
    }

    /// The URL that a response names for the next request of an upload.
    fn location(&self, response: &Response) -> Result<Option<Url>> {
        let Some(location) = response.header("location") else { return Ok(None) };
        let url = self.http.resolve_url(&response.url, location);
        url.map(Some).with_context(|| format!("read the Location of {}", response.url))
    }

    fn once(&self, site: &Site, call: &Call<'_>) -> Result<Response> {
        self.authorized(site, |auth| self.http.once(&Call { auth, ..call.clone() }))
    }
}

/// How many bytes a response says that the registry has: `Range: 0-99` is 100. `0-0` is one
/// byte by the spec; some registries mean none.
fn offset_of(response: &Response) -> Option<u64> {
    let range = response.header("range")?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (first, last) = range.split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (first.trim() == "0").then(|| if last == 0 { 0 } else { last.saturating_add(1) })
}

/// Whether the registry does not know the upload.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
fn upload_unknown(error: &HttpError) -> bool {
    error.names("BLOB_UPLOAD_UNKNOWN") || error.names("BLOB_UPLOAD_INVALID")
}
