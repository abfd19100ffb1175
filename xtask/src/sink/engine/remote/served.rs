//! An image as a registry serves it, for one engine that has the login.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result};

use crate::digest::Digest;
use crate::files;
use crate::http::{Answer, Asked};
use crate::oci::{Blob, Root};
use crate::parallel::locked;
use crate::secret::Secret;

/// An image that is served, and what was asked of it.
pub struct Served<'a> {
    root: &'a Root,
    /// The digest of the header that a request must have: its text is compared in no other way.
    login: Digest,
    /// The media types of manifests.
    manifests: BTreeMap<Digest, String>,
    layers: BTreeSet<Digest>,
    blobs: BTreeMap<Digest, (u64, Blob)>,
    /// All of it as one file, where that is needed.
    archive: OnceLock<(u64, Blob)>,
    was_asked: AtomicBool,
    sent: AtomicU64,
    sent_layers: Mutex<BTreeSet<Digest>>,
    failure: Mutex<Option<anyhow::Error>>,
}

impl<'a> Served<'a> {
    /// `login` is a user with a password, as the header `Authorization` has it.
    pub fn new(root: &'a Root, login: &Secret) -> Served<'a> {
        let images = root.images();
        let below = images.iter().map(|(_, image)| &image.manifest);
        let manifests = below.chain([root.raw()]).map(|raw| {
            let media_type: &str = raw.descriptor.media_type.as_ref();
            (raw.digest(), media_type.to_owned())
        });
        let layers = images.iter().flat_map(|(_, image)| &image.layers);
        let blobs = root.blobs().into_iter();
        Served {
            login: Digest::of(format!("Basic {}", login.expose()).as_bytes()),
            manifests: manifests.collect(),
            layers: layers.map(|layer| layer.descriptor.digest).collect(),
            blobs: blobs.map(|(digest, size, blob)| (digest, (size, blob))).collect(),
            archive: OnceLock::new(),
            was_asked: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            sent_layers: Mutex::default(),
            failure: Mutex::default(),
            root,
        }
    }

    /// Serves a file too, by the name `archive`.
    pub fn offer(&self, archive: &Path) -> Result<()> {
        let size = files::open_regular(archive)?.metadata();
        let size = size.with_context(|| format!("read {}", archive.display()))?.len();
        self.archive.get_or_init(|| (size, Blob::File { path: archive.to_owned(), at: 0 }));
        Ok(())
    }

    pub fn answer(&self, asked: &Asked) -> Answer<'_> {
        self.was_asked.store(true, Ordering::SeqCst);
        let given = asked.header("authorization").unwrap_or_default();
        if Digest::of(given.as_bytes()) != self.login {
            let challenge = ("www-authenticate", "Basic realm=\"dockless\"".to_owned());
            return Answer { headers: vec![challenge], ..Answer::empty(401) };
        }
        let path = asked.target.split('?').next().unwrap_or_default();
        if path == "/v2/" || path == "/v2" {
            return Answer::empty(200);
        }
        if path == "/archive" {
            let Some((size, blob)) = self.archive.get() else { return Answer::empty(404) };
            return self.sends(*size, blob, None, Vec::new(), &asked.method);
        }
        let Some((kind, digest)) = path.strip_prefix("/v2/dockless/").and_then(parts) else {
            return Answer::empty(404);
        };
        let media_type = match (kind, self.manifests.get(&digest)) {
            ("manifests", Some(media_type)) => media_type.clone(),
            ("blobs", _) => "application/octet-stream".to_owned(),
            _ => return Answer::empty(404),
        };
        let Some((size, blob)) = self.blobs.get(&digest) else { return Answer::empty(404) };
        let headers =
            vec![("content-type", media_type), ("docker-content-digest", digest.to_string())];
        self.sends(*size, blob, Some(digest), headers, &asked.method)
    }

    fn sends<'b>(
        &'b self,
        size: u64,
        blob: &'b Blob,
        digest: Option<Digest>,
        headers: Vec<(&'static str, String)>,
        method: &str,
    ) -> Answer<'b> {
        if method == "HEAD" {
            return Answer { status: 200, headers, size, body: Box::new(io::empty()) };
        }
        match blob.open(size) {
            Ok(from) => {
                let body = Box::new(Counted { from, served: self, digest, left: size });
                Answer { status: 200, headers, size, body }
            }
            Err(error) => {
                *locked(&self.failure) = Some(error);
                Answer { body: Box::new(Cursor::new([])), ..Answer::empty(500) }
            }
        }
    }

    /// Whether anything was asked.
    pub fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::SeqCst)
    }

    /// What was sent, in bytes.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many layers were sent, for people.
    pub fn layers(&self) -> String {
        let (mut sent, all) = (locked(&self.sent_layers).len(), self.layers.len());
        if self.archive.get().is_some() {
            sent = all;
        }
        format!("{sent} of {all} layers of {}", self.root.digest())
    }

    /// The engine's error, with what went wrong on this side.
    pub fn failure(&self, error: anyhow::Error) -> anyhow::Error {
        match locked(&self.failure).take() {
            Some(own) => own.context(format!("{error:#}")),
            None => error,
        }
    }
}

/// `manifests` or `blobs`, and a digest.
fn parts(path: &str) -> Option<(&str, Digest)> {
    let (kind, digest) = path.split_once('/')?;
    Some((kind, Digest::parse(digest).ok()?))
}

/// A body that is counted while it is sent.
struct Counted<'a> {
    from: Box<dyn Read + 'a>,
    served: &'a Served<'a>,
    /// None for a file of all.
    digest: Option<Digest>,
    left: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.served.sent.fetch_add(count as u64, Ordering::SeqCst);
        self.left = self.left.saturating_sub(count as u64);
        let layer = self.digest.filter(|digest| self.served.layers.contains(digest));
        if let Some(layer) = layer.filter(|_| self.left == 0) {
            locked(&self.served.sent_layers).insert(layer);
        }
        Ok(count)
    }
}
