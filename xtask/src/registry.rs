//! A registry client for the distribution specification.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use crate::cache::Blobs;
use crate::digest::Digest;
use crate::finding::Help;
use crate::http::limits::{HEADERS_ONLY_LIMIT, TOKEN};
use crate::http::{Call, Fault, Http, HttpError, Method, Origin, Response, Scheme, Url};
use crate::parallel::locked;
use crate::process::Env;
use crate::reference::{Repository, Tag};
use crate::secret::Secret;
use crate::term::Term;

mod answers;
mod attach;
mod auth;
mod challenge;
mod download;
mod early;
mod grants;
mod host;
mod legacy;
mod logins;
mod pull;
mod push;
mod referrers;
mod sboms;
mod tag;
mod upload;

pub use attach::Attachment;
pub use auth::Login;
#[cfg(any(fuzzing, test))]
pub use challenge::parse as parse_challenge;
pub use legacy::SignedDocument;
#[cfg(any(fuzzing, test))]
pub use logins::parse as parse_logins;
pub use push::{Pushed, Sent};
pub use referrers::Keeper;
pub use tag::Tagged;

/// The media types that are accepted for a manifest.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A client for all registries. It remembers their servers and tokens.
pub struct Registry<'a> {
    http: &'a Http<'a>,
    /// Names the files and helpers that keep logins.
    env: &'a Env,
    /// A workflow's token for GitHub's own registry.
    github: Option<&'a Secret>,
    /// The cache for downloads.
    blobs: &'a Blobs,
    /// How many blobs are transferred at a time.
    jobs: usize,
    term: &'a Term,
    servers: Mutex<BTreeMap<String, Arc<Server>>>,
    tokens: Mutex<BTreeMap<(Origin, String), auth::Authorization>>,
    /// Locked while this process writes the list of a manifest's referrers.
    lists: Mutex<Lists>,
    /// What is asked before it is needed.
    early: early::Early,
}

/// By the repository and the manifest.
type Lists = BTreeMap<(Repository, Digest), Arc<Mutex<()>>>;

/// A registry that answered.
#[derive(Debug)]
struct Server {
    origin: Origin,
    /// `None` if it needs no authentication.
    challenge: Option<challenge::Challenge>,
}

/// A repository on its server, with the scopes of the work to do.
#[derive(Clone, Debug)]
struct Site {
    server: Arc<Server>,
    repository: Repository,
    /// Sorted.
    /// <https://distribution.github.io/distribution/spec/auth/scope/>
    scopes: BTreeSet<String>,
    timing: Timing,
}

/// When a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    /// In its turn, with retries.
    Due,
    /// Before its turn: it is sent again then if it fails.
    Early,
    /// The same before the server has answered, so without a login.
    Presumed,
}

impl Site {
    fn url(&self, part: &str) -> Url {
        host::url(&self.server.origin, &self.repository, part)
    }

    fn manifest(&self, digest: &Digest) -> Url {
        self.url(&format!("manifests/{digest}"))
    }

    fn tag(&self, tag: &Tag) -> Url {
        self.url(&format!("manifests/{tag}"))
    }

    fn blob(&self, digest: &Digest) -> Url {
        self.url(&format!("blobs/{digest}"))
    }
}

/// When the image's own manifest goes up. All that it names goes up before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// With the push, by its digest.
    ByDigest,
    /// With the first tag that is moved to it, which saves a request. Without any,
    /// [`Registry::confirm`] puts it.
    WithTag,
}

/// What a client does in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Pull,
    Push,
}

/// In bytes: a transfer that gets less far with a try makes no progress.
const PROGRESS: u64 = 64 * 1024;

/// How often a call takes up a token that another thread has renewed.
const TAKEN_UP: u32 = 4;

/// The status of the HTTP error in the chain.
fn status(error: &anyhow::Error) -> Option<u16> {
    error.downcast_ref::<HttpError>().and_then(HttpError::status)
}

impl<'a> Registry<'a> {
    pub fn new(
        http: &'a Http<'a>,
        env: &'a Env,
        github: Option<&'a Secret>,
        blobs: &'a Blobs,
        jobs: usize,
        term: &'a Term,
    ) -> Registry<'a> {
        let servers = Mutex::default();
        let (tokens, lists) = (Mutex::default(), Mutex::default());
        let early = early::Early::default();
        Registry { http, env, github, blobs, jobs, term, servers, tokens, lists, early }
    }

    /// The cache for downloads and for layers that were made.
    pub fn blobs(&self) -> &Blobs {
        self.blobs
    }

    /// Fails if the registry cannot be reached or rejects the login. A token server has
    /// checked the login when the site is known; a password is checked by a request. Returns
    /// what the push would log in with.
    pub fn check_access(&self, to: &Repository) -> Result<Login> {
        let context = || format!("prepare the push to {to}");
        let site = self.site(to, Access::Push, &[]).with_context(context)?;
        if site.server.challenge == Some(challenge::Challenge::Basic) {
            let url = Url::at(&site.server.origin, "/v2/");
            let call = Call::new(Method::GET, &url, HEADERS_ONLY_LIMIT);
            self.find(&site, &call).with_context(context)?;
        }
        let used = self.authorization(&site, None)?;
        let login = used.login(to);
        if login.grants_push == Some(false) {
            let why = "the token server grants no push";
            return Err(anyhow::anyhow!(why).context(Help(used.refused_help(&site))))
                .with_context(context);
        }
        Ok(login)
    }

    /// The repository on its server, with an authorization. `sources` are repositories that
    /// blobs may be mounted from.
    fn site(&self, of: &Repository, access: Access, sources: &[Repository]) -> Result<Site> {
        let (server, scopes) = (self.server(of)?, scopes(of, access, sources));
        let site = Site { server, repository: of.clone(), scopes, timing: Timing::Due };
        // A login that fails is reported once, before several threads need it.
        self.authorization(&site, None)?;
        Ok(site)
    }

    /// The server of the repository's registry. It is pinged once.
    fn server(&self, of: &Repository) -> Result<Arc<Server>> {
        // Locked during the ping, so that other threads wait for its result.
        let mut servers = locked(&self.servers);
        if let Some(server) = servers.get(of.registry()) {
            return Ok(server.clone());
        }
        let context = || format!("reach the registry {}", of.registry());
        let server = self.ping(of).map_err(|error| explain(error, of)).with_context(context)?;
        let server = Arc::new(server);
        servers.insert(of.registry().to_owned(), server.clone());
        Ok(server)
    }

    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support>
    fn ping(&self, of: &Repository) -> Result<Server> {
        let https = host::origin(of, Scheme::Https)?;
        if !self.http.is_plain(&https.authority()) && !self.http.is_plain(of.registry()) {
            let challenge = self.challenge(&https)?;
            return Ok(Server { origin: https, challenge });
        }
        let http = host::origin(of, Scheme::Http)?;
        let plain = self.challenge(&http);
        let maybe_tls = match &plain {
            Ok(_) => false,
            Err(error) => match &error.fault {
                // Go's servers answer so on a port that expects TLS.
                Fault::Status { status, .. } => *status == 400,
                Fault::Transient(_) => true,
                Fault::Permanent(_) => false,
            },
        };
        if maybe_tls {
            let url = Url::at(&https, "/v2/");
            match self.http.once(&Call::new(Method::GET, &url, HEADERS_ONLY_LIMIT)) {
                Ok(_) => return Ok(Server { origin: https, challenge: None }),
                Err(error) if error.status().is_some() => {
                    let challenge = self.challenge(&https)?;
                    return Ok(Server { origin: https, challenge });
                }
                // The user must hear of a certificate that is not trusted.
                Err(error) if matches!(error.fault, Fault::Permanent(_)) => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        Ok(Server { origin: http, challenge: plain? })
    }

    /// The authentication that a server asks for at `/v2/`.
    fn challenge(&self, origin: &Origin) -> Result<Option<challenge::Challenge>, HttpError> {
        let url = Url::at(origin, "/v2/");
        let call = Call::new(Method::GET, &url, HEADERS_ONLY_LIMIT);
        match self.http.send(&call) {
            // Reported before anything is built.
            Ok(response) if answers::is_portal(&response) => {
                Err(call.refused("it answers with a web page (text/html), so it is no registry"))
            }
            Ok(_) => Ok(None),
            Err(error) => match error.status() {
                // The login is not for another host, to which this was redirected.
                Some(401) if error.answered_by() != Some(origin) => Ok(None),
                Some(401) => Ok(challenge::parse(&error.headers("www-authenticate"))),
                // Some registries close the root and open the paths below it.
                Some(403..=405) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Does the work with the site's authorization. A call renews a rejected token once. A
    /// token that another thread has renewed meanwhile is taken up first; it may have expired
    /// too.
    fn authorized<T>(
        &self,
        site: &Site,
        work: impl Fn(Option<(&Origin, &Secret)>) -> Result<T, HttpError>,
    ) -> Result<T> {
        if site.timing == Timing::Presumed {
            return Ok(work(None)?);
        }
        let origin = &site.server.origin;
        let mut used = self.authorization(site, None)?;
        let mut taken_up = 0;
        let mut renewed = false;
        loop {
            let error = match work(used.header().map(|header| (origin, header))) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            // Another host does not get the new token either.
            if error.status() != Some(401) || error.answered_by() != Some(origin) {
                return Err(auth::explain(error, site, &used));
            }
            let mut next = self.authorization(site, None)?;
            if next.differs(&used) && taken_up < TAKEN_UP {
                taken_up += 1;
            } else if !renewed {
                renewed = true;
                let asked = challenge::parse(&error.headers("www-authenticate"));
                next = self.authorization(site, Some((&next, asked)))?;
            } else {
                return Err(auth::explain(error, site, &next));
            }
            if next.header().is_none() || !next.differs(&used) {
                return Err(auth::explain(error, site, &next));
            }
            used = next;
        }
    }

    /// Sends a request at a site, with retries if it is due.
    fn send(&self, site: &Site, call: &Call<'_>) -> Result<Response> {
        self.authorized(site, |auth| {
            let call = Call { auth, ..call.clone() };
            match site.timing {
                Timing::Due => self.http.send(&call),
                Timing::Early | Timing::Presumed => self.http.once(&call),
            }
        })
    }

    /// The same; `None` if the registry answers 404.
    fn find(&self, site: &Site, call: &Call<'_>) -> Result<Option<Response>> {
        match self.send(site, call) {
            Ok(response) => Ok(Some(response)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a token is asked for. Blobs may be mounted from `sources`.
fn scopes(of: &Repository, access: Access, sources: &[Repository]) -> BTreeSet<String> {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    let mut scopes = BTreeSet::from([format!("repository:{}:{actions}", of.path())]);
    let mountable = sources.iter().filter(|it| it.registry() == of.registry() && *it != of);
    scopes.extend(mountable.map(|source| format!("repository:{}:pull", source.path())));
    scopes
}

/// Adds what helps against an untrusted certificate or a server without TLS.
fn explain(error: anyhow::Error, of: &Repository) -> anyhow::Error {
    match error.downcast_ref::<HttpError>() {
        Some(http) if http.is_of_tls() => error.context(Help(format!(
            "pass the authority of its certificate with `--ca FILE` or the setting `ca`; if it has \
             no TLS, pass `--plain-http {}` or set `plain-http`",
            of.registry()
        ))),
        _ => error,
    }
}
