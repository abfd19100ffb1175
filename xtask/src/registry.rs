//! A client of registries, over the distribution specification.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::cache::Blobs;
use crate::digest::Digest;
use crate::finding::Help;
use crate::http::limits::{LITTLE, TOKEN};
use crate::http::{Call, Fault, Http, HttpError, Method, Origin, Response, Scheme, Url};
use crate::process::Env;
use crate::reference::{Repository, Tag};
use crate::secret::Secret;
use crate::term::Term;

mod answers;
mod auth;
mod challenge;
mod download;
mod host;
mod logins;
mod pull;
mod push;
mod referrers;
mod tag;
mod upload;

#[cfg(any(fuzzing, test))]
pub use challenge::parse as parse_challenge;
#[cfg(any(fuzzing, test))]
pub use logins::parse as parse_logins;
pub use push::{Pushed, Sent};
pub use tag::Tagged;

/// All registries, with what is known of them by now.
pub struct Registry<'a> {
    http: &'a Http<'a>,
    /// Where logins are looked for.
    env: &'a Env,
    /// What a workflow has for GitHub's own registry.
    github: Option<&'a Secret>,
    /// Where what was downloaded is kept.
    blobs: &'a Blobs,
    /// How much goes on with one registry at a time.
    jobs: usize,
    term: &'a Term,
    servers: Mutex<BTreeMap<String, Arc<Server>>>,
    tokens: Mutex<BTreeMap<(Origin, String), auth::Authorization>>,
}

/// A registry that answered.
#[derive(Debug)]
struct Server {
    origin: Origin,
    /// How it wants to be convinced; `None` where it doesn't.
    challenge: Option<challenge::Challenge>,
}

/// A repository as it is spoken with: the server, and what is to be done there.
#[derive(Clone, Debug)]
struct Site {
    server: Arc<Server>,
    repository: Repository,
    /// Sorted, in the words of token servers.
    /// <https://distribution.github.io/distribution/spec/auth/scope/>
    scopes: BTreeSet<String>,
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

/// What is to be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Pull,
    Push,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status of an answer that refused, wherever it is in the chain.
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
        let (servers, tokens) = (Mutex::default(), Mutex::default());
        Registry { http, env, github, blobs, jobs, term, servers, tokens }
    }

    /// Where what was downloaded, and what was made, is kept.
    pub fn blobs(&self) -> &Blobs {
        self.blobs
    }

    /// Fails where the registry cannot be reached, or does not take the login: what a
    /// token server thinks of it is known by now, and a password is tried.
    pub fn greet(&self, to: &Repository) -> Result<()> {
        let context = || format!("prepare the push to {to}");
        let site = self.site(to, Access::Push, &[]).with_context(context)?;
        if site.server.challenge == Some(challenge::Challenge::Basic) {
            let url = Url::at(&site.server.origin, "/v2/");
            self.look(&site, &Call::new(Method::GET, &url, LITTLE)).with_context(context)?;
        }
        Ok(())
    }

    /// The repository, ready to be spoken with; `sources` are repositories that blobs may
    /// be mounted from.
    fn site(&self, of: &Repository, access: Access, sources: &[Repository]) -> Result<Site> {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let mut scopes = BTreeSet::from([format!("repository:{}:{actions}", of.path())]);
        let near = sources.iter().filter(|it| it.registry() == of.registry() && *it != of);
        scopes.extend(near.map(|source| format!("repository:{}:pull", source.path())));
        let site = Site { server: self.server(of)?, repository: of.clone(), scopes };
        // Before several ask at once: a login that cannot be had is then met once.
        self.authorization(&site, None)?;
        Ok(site)
    }

    /// Asks the registry, once, how it wants to be spoken with.
    fn server(&self, of: &Repository) -> Result<Arc<Server>> {
        // Held while it is asked: others wait for the same answer.
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
            let challenge = self.knock(&https)?;
            return Ok(Server { origin: https, challenge });
        }
        let http = host::origin(of, Scheme::Http)?;
        let plain = self.knock(&http);
        let maybe_tls = match &plain {
            Ok(_) => false,
            Err(error) => match &error.fault {
                // What Go's servers say to those who should have spoken TLS.
                Fault::Status { status, .. } => *status == 400,
                Fault::Cut(_) => true,
                Fault::Refused(_) => false,
            },
        };
        if maybe_tls {
            let url = Url::at(&https, "/v2/");
            match self.http.once(&Call::new(Method::GET, &url, LITTLE)) {
                Ok(_) => return Ok(Server { origin: https, challenge: None }),
                Err(error) if error.status().is_some() => {
                    let challenge = self.knock(&https)?;
                    return Ok(Server { origin: https, challenge });
                }
                // A certificate that is not trusted is what the user must hear of.
                Err(error) if matches!(error.fault, Fault::Refused(_)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(Server { origin: http, challenge: plain? })
    }

    fn knock(&self, origin: &Origin) -> Result<Option<challenge::Challenge>, HttpError> {
        let url = Url::at(origin, "/v2/");
        match self.http.send(&Call::new(Method::GET, &url, LITTLE)) {
            // Before anything is built for it.
            Ok(response) if answers::is_portal(&response) => {
                let why = "it answers a page for browsers (text/html), as no registry does";
                let fault = Fault::Refused(why.to_owned());
                Err(HttpError { call: format!("GET {url}"), fault, tries: 1 })
            }
            Ok(_) => Ok(None),
            Err(error) => match error.status() {
                // What another host asks for is not what the login is for.
                Some(401) if error.answered_by() != Some(origin) => Ok(None),
                Some(401) => Ok(challenge::parse(&error.headers("www-authenticate"))),
                // Some let nobody look at the root and everybody at what is below.
                Some(403..=405) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Does something at a site with what it takes to be allowed to, anew where that
    /// has run out.
    fn allowed<T>(
        &self,
        site: &Site,
        work: impl Fn(Option<(&Origin, &Secret)>) -> Result<T, HttpError>,
    ) -> Result<T> {
        let before = self.authorization(site, None)?;
        let origin = &site.server.origin;
        let error = match work(before.header().map(|header| (origin, header))) {
            Ok(done) => return Ok(done),
            // A new token would not be shown to another host either.
            Err(error) if error.status() == Some(401) && error.answered_by() == Some(origin) => {
                error
            }
            Err(error) => return Err(auth::explain(error, site, &before)),
        };
        let asked = challenge::parse(&error.headers("www-authenticate"));
        let renewed = self.renew(site, &before, asked)?;
        let Some(header) = renewed.header().filter(|_| renewed.differs(&before)) else {
            return Err(auth::explain(error, site, &renewed));
        };
        work(Some((origin, header))).map_err(|error| auth::explain(error, site, &renewed))
    }

    /// Sends a request at a site until there is an answer to be had.
    fn send(&self, site: &Site, call: &Call<'_>) -> Result<Response> {
        self.allowed(site, |auth| self.http.send(&Call { auth, ..call.clone() }))
    }

    /// The same, where absence is an answer.
    fn look(&self, site: &Site, call: &Call<'_>) -> Result<Option<Response>> {
        match self.send(site, call) {
            Ok(response) => Ok(Some(response)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What helps where a server does not prove who it is, or speaks no TLS at all.
fn explain(error: anyhow::Error, of: &Repository) -> anyhow::Error {
    match error.downcast_ref::<HttpError>() {
        Some(http) if http.is_of_tls() => error.context(Help(format!(
            "name the authority of its certificate with `--ca FILE` or the setting `ca`; or, where \
             it has no TLS, the registry with `--plain-http {}` or the setting `plain-http`",
            of.registry()
        ))),
        _ => error,
    }
}
