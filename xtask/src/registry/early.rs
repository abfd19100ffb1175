//! Requests that are sent before their answers are needed: while programs are compiled and
//! layers are made. An answer only saves time. Without one the request is sent in its turn, and
//! no answer is used before the registry has answered as what it was taken for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::upload::OpenedUpload;
use super::{Access, Registry, Server, Site, Timing, host, locked};
use crate::digest::Digest;
use crate::http::{Origin, Scheme};
use crate::oci::LayerEvent;
use crate::reference::{Repository, Tag};

mod pending;

use pending::{Pending, Promise, promise};

/// An older answer counts as none: others may have written meanwhile.
const FRESH: Duration = Duration::from_secs(30);

/// In bytes: a new blob that is no larger is uploaded in less time than it takes to ask for it.
const SMALL: u64 = 64 * 1024;

/// Threads for each upload at a time. They only wait for the network, some of them for the login.
const THREADS_PER_JOB: usize = 4;

/// What a registry is asked early.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// What the tag names.
    Tag(Tag),
    /// Whether it has the manifest of this size.
    Manifest(Digest, u64),
    /// Whether it has the blob of this size.
    Blob(Digest, u64),
    /// To initiate an upload, of whatever blob.
    Upload,
}

#[derive(Debug)]
pub(super) enum Said {
    Named(Option<Digest>),
    Exists(bool),
    Initiated(OpenedUpload),
}

#[derive(Debug)]
struct Answer {
    said: Said,
    origin: Origin,
    at: Instant,
}

/// What was asked early, and what of it is still to be sent.
#[derive(Default)]
pub(super) struct Early {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether there are threads that send requests.
    is_open: bool,
    jobs: VecDeque<Job>,
    answers: BTreeMap<(Repository, Asked), VecDeque<Pending<Answer>>>,
    logins: BTreeMap<Repository, Login>,
    /// The registries that connections were opened to.
    connected: BTreeSet<String>,
    /// The layers that this run has made.
    new: BTreeMap<Repository, BTreeSet<Digest>>,
    /// How many uploads were asked for.
    uploads: BTreeMap<Repository, usize>,
    /// The repositories for which the upload of the first new layer was asked for before it begins.
    expected: BTreeSet<Repository>,
}

enum Job {
    Login(Repository, Vec<Repository>),
    /// Opens a connection.
    Connect(Repository),
    Ask(Repository, Asked, Promise<Answer>),
    /// Cancels an upload that is not needed.
    Cancel(Site, Pending<Answer>),
}

/// What became of an early login.
enum Login {
    Begun,
    Done,
    /// `None` once the error was taken.
    Failed(Option<anyhow::Error>),
}

/// Ends the threads, also where the work panics.
struct Closing<'a, 'r>(&'a Registry<'r>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The answer to whether a blob exists, which may come while that is uploaded.
pub(super) struct Rival {
    asked: Option<Pending<Answer>>,
    origin: Origin,
}

impl Rival {
    /// Whether the registry has said by now that the blob exists.
    pub fn won(&self) -> bool {
        let says = |answer: &Answer| answer.exists(&self.origin);
        self.asked.as_ref().and_then(|it| it.peek(says)).unwrap_or(false)
    }
}

impl Answer {
    /// Whether this server says that what was asked for exists.
    fn exists(&self, server: &Origin) -> bool {
        matches!(self.said, Said::Exists(true)) && self.origin == *server
    }

    fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH
    }
}

impl Early {
    /// The next job; `None` once all is done and no more can come.
    fn next(&self) -> Option<Job> {
        let mut state = locked(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if !state.is_open {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut locked(&self.state));
        self.changed.notify_all();
    }

    /// Waits until the early login has ended.
    fn after_login(&self, to: &Repository) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        while state.is_open && matches!(state.logins.get(to), Some(Login::Begun)) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

impl Registry<'_> {
    /// Does the work while threads send what is asked early. Where an early login fails, that is
    /// the error: the builds that the work waits for were ended.
    pub fn ahead<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.early.change(|state| {
            state.is_open = true;
            state.new.clear();
            state.uploads.clear();
            state.expected.clear();
        });
        let done = thread::scope(|scope| {
            let _closing = Closing(self);
            for _ in 0..THREADS_PER_JOB * self.jobs {
                scope.spawn(|| self.serve());
            }
            let done = work();
            let begun = |login: &Login| matches!(login, Login::Begun);
            if done.is_err() && locked(&self.early.state).logins.values().any(begun) {
                // Nobody waits for a registry that does not answer.
                self.http.stop();
            }
            done
        });
        let mut state = locked(&self.early.state);
        let failed = state.logins.values_mut().find_map(|login| match login {
            Login::Failed(error) => error.take(),
            Login::Begun | Login::Done => None,
        });
        match (done, failed) {
            (Err(_), Some(error)) => Err(error),
            (done, _) => done,
        }
    }

    /// Whether threads send requests early.
    pub fn is_ahead(&self) -> bool {
        locked(&self.early.state).is_open
    }

    /// Logs in for a push. `sources` are repositories that blobs may be mounted from.
    pub fn expect_push(&self, to: &Repository, sources: &[Repository]) {
        self.early.change(|state| {
            if state.is_open && !state.logins.contains_key(to) {
                state.logins.insert(to.clone(), Login::Begun);
                state.jobs.push_back(Job::Login(to.clone(), sources.to_vec()));
            }
        });
    }

    /// The same for a repository whose login was checked.
    pub fn expect_checked_push(&self, to: &Repository) {
        self.early.change(|state| drop(state.logins.insert(to.clone(), Login::Done)));
    }

    /// Opens connections, beside the one of the login, unless those of earlier requests are there.
    pub fn expect_requests(&self, to: &Repository) {
        let is_connected = self.http.is_connected();
        self.early.change(|state| {
            if !state.is_open {
                return;
            }
            let is_first = state.connected.insert(to.registry().to_owned());
            if is_first || !is_connected {
                state.jobs.extend((1..2 * self.jobs).map(|_| Job::Connect(to.clone())));
            }
        });
    }

    /// Asks what the tags name.
    pub fn expect_tags(&self, to: &Repository, tags: &[&Tag]) {
        tags.iter().for_each(|tag| self.ask_early(to, Asked::Tag((*tag).clone())));
    }

    /// Asks whether a layer exists that was there before, and initiates an upload for one that is
    /// made now: most likely the registry lacks it. The configs of so many `images` change with
    /// the first.
    pub fn expect_layer(&self, to: &Repository, event: LayerEvent<'_>, images: usize) {
        if !self.is_ahead() {
            return;
        }
        match event {
            LayerEvent::Kept(layer) => self.ask_early(to, Asked::Blob(layer.digest, layer.size)),
            LayerEvent::Begun => {
                if !locked(&self.early.state).expected.remove(to) {
                    self.initiate_early(to, images);
                }
            }
            LayerEvent::Made(layer) => {
                let new = |state: &mut State| {
                    state.new.entry(to.clone()).or_default().insert(layer.digest);
                };
                self.early.change(new);
                if layer.size > SMALL {
                    self.ask_early(to, Asked::Blob(layer.digest, layer.size));
                }
            }
        }
    }

    /// Initiates uploads for a layer that is likely to be made, and for the configs of so many
    /// images. Those that are not needed are cancelled.
    pub fn expect_change(&self, to: &Repository, images: usize) {
        if self.is_ahead() {
            locked(&self.early.state).expected.insert(to.clone());
            self.initiate_early(to, images);
        }
    }

    /// Initiates an upload for a layer. The configs of so many `images` change with the first.
    fn initiate_early(&self, to: &Repository, images: usize) {
        let most = 2 * self.jobs;
        let mut state = locked(&self.early.state);
        let asked = state.uploads.entry(to.clone()).or_default();
        let more = if *asked == 0 { 1 + images } else { 1 };
        let more = more.min(most.saturating_sub(*asked));
        *asked += more;
        drop(state);
        (0..more).for_each(|_| self.ask_early(to, Asked::Upload));
    }

    /// The layers that were made in this run for a repository.
    pub(super) fn new_layers(&self, to: &Repository) -> BTreeSet<Digest> {
        locked(&self.early.state).new.get(to).cloned().unwrap_or_default()
    }

    /// Asks early, unless that was done lately or nobody can. Uploads are asked for several times.
    pub(super) fn ask_early(&self, to: &Repository, asked: Asked) {
        self.early.change(|state| {
            if !state.is_open {
                return;
            }
            let answers = state.answers.entry((to.clone(), asked.clone())).or_default();
            if asked != Asked::Upload {
                answers.retain(|it| it.peek(Answer::is_fresh) != Some(false));
            }
            if answers.is_empty() || asked == Asked::Upload {
                let (promise, pending) = promise();
                answers.push_back(pending);
                state.jobs.push_back(Job::Ask(to.clone(), asked, promise));
            }
        });
    }

    /// Waits for the answer to what was asked early; `None` if it was not, or without an answer
    /// that counts.
    pub(super) fn told(&self, site: &Site, asked: &Asked) -> Option<Said> {
        let answer = self.pending(site, asked, VecDeque::pop_front)?.take()?;
        let counts = answer.is_fresh() || *asked == Asked::Upload;
        (counts && answer.origin == site.server.origin).then_some(answer.said)
    }

    /// Whether an early answer says that the tag names the digest.
    pub(super) fn names(&self, site: &Site, tag: &Tag, digest: Digest) -> bool {
        let first = |answers: &mut VecDeque<_>| answers.front().cloned();
        let pending = self.pending(site, &Asked::Tag(tag.clone()), first);
        let says = |answer: &Answer| {
            let named = matches!(answer.said, Said::Named(named) if named == Some(digest));
            named && answer.is_fresh() && answer.origin == site.server.origin
        };
        pending.and_then(|it| it.look(says)).unwrap_or(false)
    }

    /// One of the answers to what was asked early.
    fn pending(
        &self,
        site: &Site,
        asked: &Asked,
        choose: impl FnOnce(&mut VecDeque<Pending<Answer>>) -> Option<Pending<Answer>>,
    ) -> Option<Pending<Answer>> {
        let key = (site.repository.clone(), asked.clone());
        locked(&self.early.state).answers.get_mut(&key).and_then(choose)
    }

    /// The early question whether a blob exists, for who uploads it meanwhile.
    pub(super) fn rival(&self, site: &Site, digest: Digest, size: u64) -> Rival {
        let first = |answers: &mut VecDeque<_>| answers.front().cloned();
        let asked = self.pending(site, &Asked::Blob(digest, size), first);
        Rival { asked, origin: site.server.origin.clone() }
    }

    /// Waits for the early login, and fails with its error.
    pub(super) fn await_login(&self, to: &Repository) -> Result<()> {
        match self.early.after_login(to).logins.get_mut(to) {
            Some(Login::Failed(error)) => Err(error.take().unwrap_or_else(failed_before)),
            _ => Ok(()),
        }
    }

    /// Cancels the uploads to a repository that were initiated early and are not needed.
    pub(super) fn cancel_unused(&self, site: &Site) {
        self.early.change(|state| {
            let key = (site.repository.clone(), Asked::Upload);
            let unused = state.answers.remove(&key).unwrap_or_default();
            if state.is_open {
                state.jobs.extend(unused.into_iter().map(|it| Job::Cancel(site.clone(), it)));
            }
        });
    }

    /// Lets the threads end: nothing more is asked, and uploads are cancelled.
    fn close(&self) {
        let mut unused = Vec::new();
        self.early.change(|state| {
            for ((to, asked), answers) in std::mem::take(&mut state.answers) {
                // Nothing that counts was initiated before the login.
                if asked == Asked::Upload && matches!(state.logins.get(&to), Some(Login::Done)) {
                    unused.push((to, answers));
                }
            }
        });
        let cancels = unused.into_iter().filter_map(|(to, answers)| {
            let site = self.site(&to, Access::Push, &[]).ok()?;
            Some(answers.into_iter().map(move |it| Job::Cancel(site.clone(), it)))
        });
        let cancels: Vec<Job> = cancels.flatten().collect();
        self.early.change(|state| {
            state.is_open = false;
            state.jobs.retain(|job| matches!(job, Job::Cancel(..)));
            state.jobs.extend(cancels);
        });
    }

    /// Sends what is to be sent early until the work ends. Errors are not told: who needs the
    /// answer sends the request again, and hears of them.
    fn serve(&self) {
        while let Some(job) = self.early.next() {
            match job {
                Job::Login(to, sources) => self.log_in(to, &sources),
                Job::Connect(to) => {
                    if let Ok(site) = self.presumed(&to) {
                        self.http.open_ahead(&site.server.origin);
                    }
                }
                Job::Ask(to, asked, promise) => {
                    if let Some(answer) = self.answer(&to, &asked) {
                        promise.keep(answer);
                    }
                }
                Job::Cancel(site, asked) => {
                    if let Some(Answer { said: Said::Initiated(upload), .. }) = asked.take() {
                        self.cancel(&site, &upload.url);
                    }
                }
            }
        }
    }

    fn log_in(&self, to: Repository, sources: &[Repository]) {
        let login = match self.check_access(&to) {
            Ok(_) => {
                // Another token, where there are sources.
                drop(self.site(&to, Access::Push, sources));
                Login::Done
            }
            Err(error) => {
                self.env.children().stop_builds();
                Login::Failed(Some(error))
            }
        };
        self.early.change(|state| drop(state.logins.insert(to, login)));
    }

    /// The answer, where the registry gives one. Before it has answered for the first time it is
    /// asked without a login. Such an answer counts where the registry wants none.
    fn answer(&self, to: &Repository, asked: &Asked) -> Option<Answer> {
        let presumed = self.presumed(to).ok()?;
        let first = self.answered(&presumed, asked);
        if presumed.timing != Timing::Presumed {
            return first.ok();
        }
        if !matches!(self.early.after_login(to).logins.get(to), Some(Login::Done)) {
            return None;
        }
        let site = self.site(to, Access::Push, &[]).ok()?;
        let counts = site.server.challenge.is_none() || *asked == Asked::Upload;
        match first {
            Ok(answer) if counts && answer.origin == site.server.origin => Some(answer),
            _ => self.answered(&Site { timing: Timing::Early, ..site }, asked).ok(),
        }
    }

    fn answered(&self, site: &Site, asked: &Asked) -> Result<Answer> {
        let said = self.ask(site, asked)?;
        Ok(Answer { said, origin: site.server.origin.clone(), at: Instant::now() })
    }

    /// Asks the registry.
    pub(super) fn ask(&self, site: &Site, asked: &Asked) -> Result<Said> {
        Ok(match asked {
            Asked::Tag(tag) => Said::Named(self.tagged(site, tag)?),
            Asked::Manifest(digest, size) => Said::Exists(self.has_manifest(site, digest, *size)?),
            Asked::Blob(digest, size) => Said::Exists(self.check_existing(site, digest, *size)?),
            Asked::Upload => Said::Initiated(self.initiate(site)?),
        })
    }

    /// The site as it is known, or as it most likely is.
    fn presumed(&self, to: &Repository) -> Result<Site> {
        if matches!(locked(&self.early.state).logins.get(to), Some(Login::Done)) {
            let site = self.site(to, Access::Push, &[])?;
            return Ok(Site { timing: Timing::Early, ..site });
        }
        let https = host::origin(to, Scheme::Https)?;
        let is_plain = self.http.is_plain(&https.authority()) || self.http.is_plain(to.registry());
        let origin = if is_plain { host::origin(to, Scheme::Http)? } else { https };
        let server = Arc::new(Server { origin, challenge: None });
        let (scopes, timing) = (super::scopes(to, Access::Push, &[]), Timing::Presumed);
        Ok(Site { server, repository: to.clone(), scopes, timing })
    }
}

fn failed_before() -> anyhow::Error {
    anyhow!("the login failed before")
}
