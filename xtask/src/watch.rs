//! Waits for changes of what builds read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};

use crate::files::{self, Means, Notice, Notices, Stage};
use crate::finding::{Finding, Place};
use crate::term::Term;

mod content;
mod folders;
mod scope;

use content::{Content, Contents};
pub use scope::{Breadth, Scope};
use scope::{Fate, Part};

/// After so long without a change, all that belong together were made: editors rename and write
/// several times for each save.
const QUIET: Duration = Duration::from_millis(40);
/// So long where all that was written is complete, and nothing is built or has changed lately. What
/// comes later, as where a branch is checked out, stops the build that has begun.
const SAVED: Duration = Duration::from_millis(5);
/// In which a change counts as lately.
const LATELY: Duration = Duration::from_secs(1);
/// So long at most, where changes do not end.
const LONGEST: Duration = Duration::from_millis(400);

/// What is done while changes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    Nothing,
    Build,
}

/// What somebody waits for.
pub enum Event {
    Notice(Notice),
    /// The build is over.
    Built,
    /// The program that was started with this number has ended.
    Ended(u64, Result<ExitStatus>),
    /// This process is to end.
    Signal,
}

/// What woke the one who waited.
pub enum Woken {
    Changed(Changes),
    Built,
    Ended(u64, Result<ExitStatus>),
    Signal,
}

/// Files that hold something else than before.
#[derive(Debug, Default)]
pub struct Changes {
    /// Sorted, each once.
    pub paths: Vec<PathBuf>,
    /// Whether the project may be another one now: its settings differ, or files came or went.
    pub rereads: bool,
}

impl Changes {
    fn add(&mut self, path: PathBuf, rereads: bool) {
        self.rereads |= rereads;
        if let Err(at) = self.paths.binary_search(&path) {
            self.paths.insert(at, path);
        }
    }

    /// Adds later changes.
    pub fn join(&mut self, later: Changes) {
        for path in later.paths {
            self.add(path, later.rereads);
        }
    }

    /// The first of them, and how many there are beside it. Names start at `root`.
    pub fn named(&self, root: &Path) -> String {
        let first = self.paths.first().map(PathBuf::as_path).unwrap_or(root);
        let first = first.strip_prefix(root).unwrap_or(first).display();
        match self.paths.len().saturating_sub(1) {
            0 => first.to_string(),
            more => format!("{first} and {more} more"),
        }
    }
}

/// Watches the files that count, and remembers what they hold.
pub struct Watcher<'a> {
    events: Receiver<Event>,
    sender: Sender<Event>,
    notices: Notices,
    scope: Scope,
    /// The files in the folders of packages, as they were last listed.
    seen: BTreeSet<PathBuf>,
    contents: Contents,
    /// The paths of notices that were not looked at yet.
    waiting: BTreeSet<PathBuf>,
    /// Those of them that are not complete.
    unfinished: BTreeSet<PathBuf>,
    /// The folders that came or went since.
    moved: BTreeSet<PathBuf>,
    /// When changes were last told.
    told: Option<Instant>,
    is_lost: bool,
    /// Whether the last build failed, and said nothing of what it reads.
    is_failing: bool,
    /// How many builds in a row were stopped for a change.
    pub stopped: u32,
    /// When the last build began and ended.
    built: Option<(SystemTime, SystemTime)>,
    /// What was said of folders.
    said: BTreeSet<PathBuf>,
    term: &'a Term,
}

impl<'a> Watcher<'a> {
    pub fn new(means: Means, term: &'a Term) -> Result<Watcher<'a>> {
        let (sender, events) = mpsc::channel();
        let told = sender.clone();
        // Nobody listens any more while this process ends.
        let notices = Notices::new(means, move |notice| drop(told.send(Event::Notice(notice))))?;
        Ok(Watcher {
            events,
            sender,
            notices,
            scope: Scope::default(),
            seen: BTreeSet::new(),
            contents: Contents::default(),
            waiting: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            moved: BTreeSet::new(),
            told: None,
            is_lost: false,
            is_failing: true,
            stopped: 0,
            built: None,
            said: BTreeSet::new(),
            term,
        })
    }

    /// Where others tell of what they have done.
    pub fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// Whether the project has to be read again for another reason than files.
    pub fn is_outdated(&self) -> Result<bool> {
        self.scope.is_outdated()
    }

    /// Watches for a project that was read just now.
    pub fn aim(&mut self, scope: Scope) -> Result<()> {
        self.scope = scope;
        let files = self.look()?;
        // What a notice has told of may have come after the project was read.
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Notice(notice) => drop(self.take(notice)?),
                Event::Built | Event::Ended(..) | Event::Signal => {
                    self.sender.send(event).context("wait for changes")?;
                    break;
                }
            }
        }
        self.seen.extend(files.difference(&self.waiting).cloned());
        Ok(())
    }

    /// Takes over what a build has told: when it began, and what it read where it succeeded.
    pub fn learn(&mut self, began: SystemTime, inputs: Option<&[PathBuf]>) -> Result<()> {
        self.built = Some((began, files::clock_now()));
        self.is_failing = inputs.is_none();
        if let Some(inputs) = inputs {
            let known = self.scope.inputs.len();
            self.scope.read(inputs);
            if self.scope.inputs.len() > known {
                self.look()?;
            }
        }
        let seen = self.seen.iter();
        let whole = seen.filter(|path| self.scope.part(path, Fate::Kept, false) != Part::None);
        let named = self.scope.inputs.iter().chain(&self.scope.settings);
        let still = named.chain(whole).filter(|path| !self.waiting.contains(*path));
        self.contents.learn(still);
        Ok(())
    }

    /// Lists what there is, and watches all folders of it.
    fn look(&mut self) -> Result<BTreeSet<PathBuf>> {
        let found = folders::walk(&self.scope);
        let trouble = self.notices.watch(&found.folders)?;
        let warn = |path: &Path, why: &str, fix: &str| {
            let place = Place::item(path.display().to_string());
            self.term.finding(&Finding::warning("watch", place, why, fix));
        };
        if let Some(first) = trouble.polled.iter().find(|folder| !self.said.contains(*folder)) {
            let why =
                "its file system does not tell of all changes: it is looked at twice a second";
            warn(first, why, "work in a folder on a local disk, where changes are seen at once");
        }
        self.said.extend(trouble.polled);
        for (folder, why) in found.closed.into_iter().chain(trouble.closed) {
            if self.said.insert(folder.clone()) {
                let why = format!("it is not watched: {why}");
                warn(&folder, &why, "add it to .gitignore, or let this user read it");
            }
        }
        Ok(found.files)
    }

    /// Waits for changes that count, or for another event.
    pub fn wait(&mut self, meanwhile: Meanwhile) -> Result<Woken> {
        let mut until: Option<(Instant, Instant)> = None;
        loop {
            if until.is_none() && self.has_heard() {
                until = Some((Instant::now() + self.pause(meanwhile), Instant::now() + LONGEST));
            }
            let event = match until {
                None => self.events.recv().context("wait for changes")?,
                Some((quiet, longest)) => {
                    let left = quiet.min(longest).saturating_duration_since(Instant::now());
                    match self.events.recv_timeout(left) {
                        Ok(event) => event,
                        Err(RecvTimeoutError::Timeout) => {
                            until = None;
                            let changes = self.judge()?;
                            if !changes.paths.is_empty() {
                                self.told = Some(Instant::now());
                                return Ok(Woken::Changed(changes));
                            }
                            continue;
                        }
                        Err(error) => return Err(error).context("wait for changes"),
                    }
                }
            };
            match event {
                Event::Notice(notice) => {
                    if self.take(notice)?
                        && let Some((quiet, _)) = &mut until
                    {
                        *quiet = Instant::now() + self.pause(meanwhile);
                    }
                }
                Event::Built => return Ok(Woken::Built),
                Event::Ended(number, status) => return Ok(Woken::Ended(number, status)),
                Event::Signal => return Ok(Woken::Signal),
            }
        }
    }

    /// How long nothing may change before what changed is told.
    fn pause(&self, meanwhile: Meanwhile) -> Duration {
        let rested = self.told.is_none_or(|at| at.elapsed() > LATELY);
        let complete = self.unfinished.is_empty() && self.moved.is_empty() && !self.is_lost;
        if rested && complete && meanwhile == Meanwhile::Nothing { SAVED } else { QUIET }
    }

    fn has_heard(&self) -> bool {
        self.is_lost || !self.waiting.is_empty() || !self.moved.is_empty()
    }

    /// Remembers a notice, unless it is about what builds write.
    fn take(&mut self, notice: Notice) -> Result<bool> {
        match notice {
            Notice::At(path, stage) if !self.scope.is_made(&path) => {
                let is_known = || self.seen.contains(&path) || self.scope.inputs.contains(&path);
                // One that counts may come back, as where it is replaced.
                match stage {
                    Stage::Begun => drop(self.unfinished.insert(path.clone())),
                    Stage::Gone if is_known() => drop(self.unfinished.insert(path.clone())),
                    Stage::Gone | Stage::Done => drop(self.unfinished.remove(&path)),
                }
                self.waiting.insert(path);
            }
            Notice::Folder(path) if !self.scope.is_made(&path) => drop(self.moved.insert(path)),
            Notice::At(..) | Notice::Folder(_) => return Ok(false),
            Notice::Lost => self.is_lost = true,
            Notice::Failed(error) => return Err(error),
        }
        Ok(true)
    }

    /// What of all that was heard is a change.
    fn judge(&mut self) -> Result<Changes> {
        let (moved, is_lost) = (std::mem::take(&mut self.moved), std::mem::take(&mut self.is_lost));
        if is_lost || !moved.is_empty() {
            let files = self.look()?;
            let own = |path: &&PathBuf| is_lost || path.ancestors().any(|at| moved.contains(at));
            let known = self.scope.inputs.iter().chain(&self.scope.settings).chain(&self.seen);
            self.waiting.extend(known.filter(own).cloned());
            self.waiting.extend(files.into_iter().filter(|path| !self.seen.contains(path)));
        }
        self.unfinished.clear();
        let mut changes = Changes::default();
        let mut possible = Vec::new();
        for path in std::mem::take(&mut self.waiting) {
            let now = Content::of(&path);
            let fate = match (self.seen.contains(&path), now.is_there()) {
                (false, true) => Fate::New,
                (_, true) => Fate::Kept,
                (_, false) => Fate::Gone,
            };
            let part = self.scope.part(&path, fate, self.is_failing);
            let came = match fate {
                Fate::New => self.seen.insert(path.clone()),
                Fate::Kept => false,
                Fate::Gone => self.seen.remove(&path),
            };
            match part {
                Part::None => {}
                // Folders come with files, which are heard of too.
                _ if matches!(now, Content::Folder) => {}
                Part::Possible => possible.push((path, now, came)),
                Part::Input | Part::Setting => {
                    if self.contents.changed(&path, now) {
                        changes.add(path, came || part == Part::Setting);
                    }
                }
            }
        }
        let paths = possible.iter().map(|(path, ..)| path.clone()).collect();
        let counted = self.scope.unignored(paths)?;
        for (path, now, came) in possible {
            if counted.binary_search(&path).is_ok() && self.contents.changed(&path, now) {
                changes.add(path, came);
            }
        }
        self.show_cargo(&changes)?;
        Ok(changes)
    }

    /// cargo goes by times, and takes a file for unchanged whose time is that of before the last
    /// build: one that was unpacked or copied with its time, or saved by a clock that was set back.
    /// Such a file gets the time of now.
    /// <https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint/index.html>
    fn show_cargo(&self, changes: &Changes) -> Result<()> {
        let Some((began, ended)) = self.built else { return Ok(()) };
        for path in changes.paths.iter().filter(|path| self.scope.is_compiled(path)) {
            let is_old = files::list_one(path)?.is_some_and(|entry| entry.modified < began);
            if is_old && let Err(error) = files::renew(path, ended) {
                let why = format!(
                    "cargo takes it for unchanged, since it is older than the last build: {error:#}"
                );
                let place = Place::item(path.display().to_string());
                self.term.finding(&Finding::warning("watch", place, why, "touch it"));
            }
        }
        Ok(())
    }
}
