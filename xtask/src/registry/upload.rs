//! Blobs brought to registries. An upload that was cut goes on where the registry says
//! that it stopped.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use super::answers::{BEGUN, CREATED, TAKEN, ensure_named, ensure_status, has};
use super::{LITTLE, Registry, Site, status};
use crate::digest::Digest;
use crate::http::{Body, Call, Fault, HttpError, Method, Patience, Response, Url};
use crate::oci::Blob;
use crate::reference::Repository;

/// What is sent at a time once it must be in parts, in bytes: GHCR takes no more.
const CHUNK: u64 = 4 << 20;

/// How a blob came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The registry took it from another of its repositories.
    Mounted,
    Uploaded,
}

/// An upload that the registry began, and where it goes on.
struct Session {
    url: Url,
    /// In bytes: no part but the last may be smaller.
    least: u64,
}

enum Begun {
    Mounted,
    Session(Session),
}

/// What is brought: one blob, in a file or in memory.
pub struct Load<'a> {
    pub digest: Digest,
    pub size: u64,
    pub blob: &'a Blob,
    pub bar: &'a ProgressBar,
}

impl<'a> Load<'a> {
    /// Its bytes from this offset on, `size` of them.
    fn part(&self, from: u64, size: u64) -> Result<Body<'_>> {
        Ok(match self.blob {
            Blob::Bytes(bytes) => {
                let range = from as usize..(from + size) as usize;
                Body::Bytes(bytes.get(range).context("find a part of it")?)
            }
            Blob::File { path, at } => {
                let path: &Path = path;
                let whole = (from, size) == (0, self.size);
                let digest = whole.then_some(&self.digest);
                Body::File { path, from: at + from, size, digest, bar: self.bar }
            }
            Blob::Remote(repository) => bail!("it is in {repository}, and was not got from there"),
        })
    }
}

impl Registry<'_> {
    /// Whether the registry says that it has the blob.
    pub(super) fn has_blob(&self, site: &Site, digest: &Digest, size: u64) -> Result<bool> {
        let url = site.blob(digest);
        let response = self.look(site, &Call::new(Method::HEAD, &url, LITTLE));
        match response {
            Ok(Some(response)) => has(&response, digest, size),
            Ok(None) => Ok(false),
            // Some answer only whether it can be got.
            Err(error) if status(&error) == Some(405) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks the registry to take the blob from another of its repositories. Where it
    /// does not, an upload may have begun, which is given up.
    pub(super) fn mount(&self, site: &Site, digest: &Digest, source: &Repository) -> Result<bool> {
        Ok(matches!(self.begin(site, digest, Some(source))?, Begun::Mounted))
    }

    /// Brings the blob, which is to come from `source` where that helps.
    pub(super) fn upload(
        &self,
        site: &Site,
        load: &Load<'_>,
        source: Option<&Repository>,
    ) -> Result<Way> {
        let context = || format!("upload {} to {}", load.digest, site.repository);
        self.bring(site, load, source).with_context(context)
    }

    fn bring(&self, site: &Site, load: &Load<'_>, source: Option<&Repository>) -> Result<Way> {
        let mut patience = Patience::new(self.http);
        let mut source = source;
        loop {
            let session = match self.begin(site, &load.digest, source)? {
                Begun::Mounted => return Ok(Way::Mounted),
                Begun::Session(session) => session,
            };
            source = None;
            match self.send_all(site, load, session) {
                Ok(()) => return Ok(Way::Uploaded),
                Err(error) => patience.wait(lost(error)?)?,
            }
            load.bar.inc_length(load.size);
            // The answer that all is there may be what was lost.
            if self.has_blob(site, &load.digest, load.size)? {
                return Ok(Way::Uploaded);
            }
        }
    }

    /// Begins an upload, or has the blob mounted.
    fn begin(&self, site: &Site, digest: &Digest, source: Option<&Repository>) -> Result<Begun> {
        let mut url = site.url("blobs/uploads/");
        if let Some(source) = source {
            // Quay fails where a mount has no `from`.
            url = url.with("mount", &digest.to_string()).with("from", source.path());
        }
        let response = self.send(site, &Call::new(Method::POST, &url, LITTLE));
        let response = match response {
            Err(error) if source.is_some() && matches!(status(&error), Some(400..=405)) => {
                return self.begin(site, digest, None);
            }
            response => response?,
        };
        ensure_status(&response, BEGUN)?;
        if response.status == 201 && source.is_some() {
            ensure_named(&response, digest)?;
            return Ok(Begun::Mounted);
        }
        let least =
            response.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
        let url =
            self.next(&response)?.context("the registry begins an upload and says not where")?;
        Ok(Begun::Session(Session { url, least: least.unwrap_or(0) }))
    }

    /// Sends all of it at once; in parts, where that was cut or is too much at a time.
    fn send_all(&self, site: &Site, load: &Load<'_>, session: Session) -> Result<()> {
        let url = session.url.with("digest", &load.digest.to_string());
        let body = load.part(0, load.size)?;
        let headers = &[("content-type", "application/octet-stream")];
        let call = Call { headers, body, ..Call::new(Method::PUT, &url, LITTLE) };
        let error = match self.once(site, &call) {
            Ok(response) => return ensure_taken(&response, &load.digest),
            Err(error) => error,
        };
        if status(&error) == Some(413) {
            load.bar.inc_length(load.size);
            return self.send_parts(site, load, session, 0, Patience::new(self.http));
        }
        let cut = lost(error)?;
        let there = self.progress(site, &session)?;
        // Little is sooner sent again than asked after.
        let Some((session, from)) = there.filter(|(_, from)| *from >= CHUNK) else {
            return Err(cut.into());
        };
        // What is achieved here says nothing of how often all of it may be begun anew.
        let mut patience = Patience::new(self.http);
        patience.wait(cut)?;
        self.send_parts(site, load, session, from, patience).map_err(|error| match status(&error) {
            // What cannot be gone on with here may still be begun anew.
            Some(400 | 404..=422 | 501) => {
                let fault = Fault::Cut(format!("it could not be gone on with: {error:#}"));
                HttpError { call: format!("PUT {url}"), fault, tries: 1 }.into()
            }
            _ => error,
        })
    }

    /// Sends what follows `from` in parts, and then says that this was all.
    fn send_parts(
        &self,
        site: &Site,
        load: &Load<'_>,
        mut session: Session,
        mut from: u64,
        mut patience: Patience<'_>,
    ) -> Result<()> {
        // The furthest that it ever was: to come there again is no progress.
        let mut most = from;
        if from > 0 {
            self.term.detail(format_args!("upload {} on from byte {from}", load.digest));
        }
        while from < load.size {
            let size = CHUNK.max(session.least).min(load.size - from);
            let range = format!("{from}-{}", from + size - 1);
            let headers =
                &[("content-type", "application/octet-stream"), ("content-range", &*range)];
            let body = load.part(from, size)?;
            let call = Call { headers, body, ..Call::new(Method::PATCH, &session.url, LITTLE) };
            match self.once(site, &call) {
                Ok(response) => {
                    ensure_status(&response, TAKEN)?;
                    let at = reached(&response).unwrap_or(from + size);
                    ensure!(at <= load.size, "the registry says that it has more than was sent");
                    let step = size.min(LITTLE);
                    if at >= most + step {
                        patience.renew();
                    } else if at < from + step {
                        // It would take the same part for ever.
                        let fault = Fault::Cut("the registry keeps nothing of it".to_owned());
                        let call = format!("{} {}", call.method, call.url);
                        patience.wait(HttpError { call, fault, tries: 1 })?;
                    }
                    (most, from) = (most.max(at), at);
                    session.url = self.next(&response)?.unwrap_or(session.url);
                }
                Err(error) => {
                    // The registry may have more than it said, or less.
                    let cut = match status(&error) {
                        Some(416) => {
                            let fault = Fault::Cut("the registry has not what it said".to_owned());
                            HttpError { fault, ..error.downcast()? }
                        }
                        _ => lost(error)?,
                    };
                    let Some((again, at)) = self.progress(site, &session)? else {
                        return Err(cut.into());
                    };
                    if at >= most + LITTLE {
                        patience.renew();
                    }
                    patience.wait(cut)?;
                    most = most.max(at);
                    (session, from) = (again, at.min(load.size));
                }
            }
        }
        // What was sent in parts is hashed before it becomes a blob.
        load.blob.copy(&load.digest, load.size, std::io::sink())?;
        let url = session.url.with("digest", &load.digest.to_string());
        let response = self.once(site, &Call::new(Method::PUT, &url, LITTLE))?;
        ensure_taken(&response, &load.digest)
    }

    /// How many bytes the registry has of an upload; `None` where it does not say.
    fn progress(&self, site: &Site, session: &Session) -> Result<Option<(Session, u64)>> {
        let call = Call::new(Method::GET, &session.url, LITTLE);
        let response = match self.once(site, &call) {
            Ok(response) => response,
            // What cannot be asked after is begun anew, which is counted there.
            Err(error) if error.is::<HttpError>() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(at) = reached(&response) else { return Ok(None) };
        let url = self.next(&response)?.unwrap_or_else(|| session.url.clone());
        Ok(Some((Session { url, least: session.least }, at)))
    }

    /// Where the registry says that an upload goes on.
    fn next(&self, response: &Response) -> Result<Option<Url>> {
        let Some(location) = response.header("location") else { return Ok(None) };
        let url = self.http.named(&response.url, location);
        url.map(Some).with_context(|| format!("read the place that {} answers", response.url))
    }

    fn once(&self, site: &Site, call: &Call<'_>) -> Result<Response> {
        self.allowed(site, |auth| self.http.once(&Call { auth, ..call.clone() }))
    }
}

/// Fails where the registry does not say that it made a blob of what it was given.
fn ensure_taken(response: &Response, digest: &Digest) -> Result<()> {
    ensure_named(response, digest)?;
    ensure_status(response, CREATED)
}

/// How many bytes an answer says that the registry has: `Range: 0-99` are 100. None are
/// told from one by nothing but the word of some registries.
fn reached(response: &Response) -> Option<u64> {
    let range = response.header("range")?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (first, last) = range.split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (first.trim() == "0").then(|| if last == 0 { 0 } else { last.saturating_add(1) })
}

/// The error of an upload that may be begun anew; any other is passed on.
fn lost(error: anyhow::Error) -> Result<HttpError> {
    let unknown = |error: &HttpError| {
        error.names("BLOB_UPLOAD_UNKNOWN") || error.names("BLOB_UPLOAD_INVALID")
    };
    match error.downcast_ref::<HttpError>() {
        Some(cause) if cause.passes() => Ok(error.downcast()?),
        Some(cause) if unknown(cause) => {
            let fault = Fault::Cut("the registry forgot the upload".to_owned());
            Ok(HttpError { fault, ..error.downcast()? })
        }
        _ => Err(error),
    }
}
