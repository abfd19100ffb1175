//! Blobs downloaded into the cache and compared with their digests.

use std::io::{Read, Seek, Write};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use super::{Access, PROGRESS, Registry, Site};
use crate::digest::{Digest, HashingWriter};
use crate::files;
use crate::http::{Call, HttpError, Method, Patience, ResponseReader};
use crate::oci::{Blob, Image, Root, limits};
use crate::parallel;
use crate::reference::Repository;

impl Registry<'_> {
    /// JSON in the cache, by its digest.
    pub(super) fn cached(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.blobs.path(digest);
        let Some(entry) = files::list_one(&path)? else { return Ok(None) };
        if entry.size > limits::MANIFEST || !self.blobs.verify(digest, entry.size)? {
            return Ok(None);
        }
        files::read_if_there(&path)
    }

    /// Puts JSON with a known digest into the cache.
    pub(super) fn cache(&self, bytes: &[u8], digest: &Digest) -> Result<()> {
        self.blobs.make(|mut file| {
            file.write_all(bytes).with_context(|| format!("write {}", file.path().display()))?;
            Ok((file, *digest, ()))
        })
    }

    /// The same image with all layers on this machine. Remote ones are downloaded into the
    /// cache, each once.
    pub fn fetch(&self, root: &Root) -> Result<Root> {
        let mut wanted: Vec<(Digest, u64, Repository)> = Vec::new();
        for (digest, size, blob) in root.blobs() {
            if let Blob::Remote(repository) = blob {
                wanted.push((digest, size, repository));
            }
        }
        if wanted.is_empty() {
            return Ok(root.clone());
        }
        let bar = self.term.bar("pull", wanted.iter().map(|(_, size, _)| size).sum());
        let stop = || self.http.stop();
        let fetched =
            parallel::map_until(&wanted, self.jobs, stop, |(digest, size, repository)| {
                self.fetch_blob(repository, digest, *size, &bar)
            });
        bar.finish_and_clear();
        fetched?;
        Ok(self.with_cached_layers(root))
    }

    /// The image with its layers where [`Registry::fetch`] put them.
    fn with_cached_layers(&self, root: &Root) -> Root {
        let mut root = root.clone();
        let images: Vec<&mut Image> = match &mut root {
            Root::Image(image) => vec![image],
            Root::Index(index) => index.images.iter_mut().map(|(_, image)| image).collect(),
        };
        for layer in images.into_iter().flat_map(|image| &mut image.layers) {
            if let Blob::Remote(_) = layer.blob {
                let path = self.blobs.path(&layer.descriptor.digest);
                layer.blob = Blob::File { path, at: 0 };
            }
        }
        root
    }

    /// Downloads a blob unless it is in the cache, and returns it.
    pub(super) fn fetch_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        bar: &ProgressBar,
    ) -> Result<Blob> {
        let cached = || Blob::File { path: self.blobs.path(digest), at: 0 };
        if self.blobs.verify(digest, size)? {
            bar.inc(size);
            return Ok(cached());
        }
        let context = || format!("get {digest} from {repository}");
        let site = self.site(repository, Access::Pull, &[]).with_context(context)?;
        self.term.detail(format_args!("get {digest} from {repository}"));
        self.blobs.make(|file| {
            let mut to = HashingWriter::new(file);
            let mut patience = Patience::new(self.http);
            loop {
                let before = to.written();
                let (written, error) =
                    self.read_rest(&site, digest, size, to, bar).with_context(context)?;
                to = written;
                let Some(error) = error else { break };
                // A byte with each try would take for ever.
                if to.written() > before + PROGRESS {
                    patience.renew();
                }
                patience.wait(error).with_context(context)?;
            }
            let (file, found, _) = to.finish();
            ensure!(found == *digest, "get {digest} from {repository}: the content is {found}");
            Ok((file, found, ()))
        })?;
        Ok(cached())
    }

    /// Reads the rest of the blob. Returns a transient error, after which another try may
    /// resume.
    fn read_rest(
        &self,
        site: &Site,
        digest: &Digest,
        size: u64,
        mut to: HashingWriter<tempfile::NamedTempFile>,
        bar: &ProgressBar,
    ) -> Result<(HashingWriter<tempfile::NamedTempFile>, Option<HttpError>)> {
        let url = site.blob(digest);
        let range = format!("bytes={}-", to.written());
        let from = [("range", &*range)];
        let headers: &[_] = if to.written() > 0 { &from } else { &[] };
        let call = Call { headers, ..Call::new(Method::GET, &url, size) };
        let opened = self.authorized(site, |auth| self.http.open(&Call { auth, ..call.clone() }));
        let mut reading = match opened {
            Ok(reading) => reading,
            Err(error) if error.downcast_ref().is_some_and(HttpError::is_transient) => {
                return Ok((to, Some(error.downcast()?)));
            }
            Err(error) => return Err(error),
        };
        if !continues_at(&reading, to.written())? {
            // The server sends the whole blob again.
            bar.set_position(bar.position().saturating_sub(to.written()));
            let (mut file, _, _) = to.finish();
            let again = file.as_file_mut().rewind().and_then(|()| file.as_file().set_len(0));
            again.with_context(|| format!("write {}", file.path().display()))?;
            to = HashingWriter::new(file);
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let given = match reading.body.read(&mut buffer) {
                Ok(given) => given,
                // The blob is complete. Its digest is compared later.
                Err(_) if to.written() == size => return Ok((to, None)),
                Err(error) => return Ok((to, Some(call.cut(&error)))),
            };
            if given == 0 && to.written() < size {
                let ended = std::io::ErrorKind::UnexpectedEof.into();
                return Ok((to, Some(call.cut(&ended))));
            }
            if given == 0 {
                return Ok((to, None));
            }
            if to.written() + given as u64 > size {
                bail!("the server sends more than the {size} bytes of the blob");
            }
            to.write_all(&buffer[..given]).context("write the blob")?;
            bar.inc(given as u64);
        }
    }
}

/// Whether the response begins at the offset; otherwise it begins at the start.
fn continues_at(reading: &ResponseReader<'_>, at: u64) -> Result<bool> {
    if reading.status != 206 {
        return Ok(at == 0);
    }
    let range = reading.headers.get("content-range").and_then(|value| value.to_str().ok());
    let begins = range.is_some_and(|range| range.starts_with(&format!("bytes {at}-")));
    ensure!(begins, "the server was asked for the bytes from {at}, but sends others");
    Ok(true)
}
