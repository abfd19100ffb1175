//! A change of a file in a repository of others, asked for by a pull request. Each step looks
//! for what is there already, so that all of it can be done again.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::Forge;
use crate::config::Slug;
use crate::finding::{Finding, Place, failure};
use crate::github::{File, NewFile, NewPull, Pull, Repository};
use crate::term::Term;
use crate::version::{ReleaseTag, Version};

/// How often it is begun anew when others change what it is based on.
const ROUNDS: usize = 5;
/// A fork is made within so much time. <https://docs.github.com/en/rest/repos/forks#create-a-fork>
const FORKING: Duration = Duration::from_secs(5 * 60);

/// A change by which a repository of others takes the version of a release.
pub struct Change<'a> {
    pub repository: &'a Slug,
    pub file: String,
    pub edit: Box<EditFile<'a>>,
    /// Whether a text has the version and its digests, whatever else people changed of it.
    pub is_done: Box<dyn Fn(&str) -> bool + 'a>,
    /// The release's tag, which ends the name of the branch.
    pub tag: &'a ReleaseTag,
    /// What the branches of all versions begin with. Pull requests of earlier versions are
    /// superseded.
    pub branches: String,
    pub title: String,
    pub body: String,
    /// The commit's.
    pub message: String,
}

/// What a file becomes, by its text; `None` is a file that does not exist yet.
pub type EditFile<'a> = dyn Fn(Option<&str>) -> Result<Edit> + 'a;

/// What is to be done with a file.
#[derive(Debug)]
pub enum Edit {
    /// It has this version, which is the release's.
    UpToDate(String),
    /// It has this version, which is newer.
    Newer(String),
    Write(NewText),
}

/// The next text of a file.
#[derive(Debug)]
pub struct NewText {
    pub text: String,
    pub warnings: Vec<Finding>,
    /// Why a person is to open the pull request, where that is so.
    pub by_hand: Option<&'static str>,
}

/// What became of a change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum PullRequest {
    /// The repository has the version already.
    #[serde(rename = "there")]
    UpToDate { version: String },
    /// The repository has a newer one, or is asked to take one.
    Newer { version: String },
    /// It is open: opened by this run, or by one before.
    Open { url: String, anew: bool },
    /// The branch is pushed, and a person opens the pull request.
    ByHand { url: String, why: String },
}

/// The repository of others as it is now, and the change that it is asked to take.
pub struct Upstream<'a> {
    forge: &'a Forge<'a>,
    change: &'a Change<'a>,
    pub repository: Repository,
    /// The head of its main branch.
    commit: String,
    file: Option<File>,
}

/// Reads what the change is based on.
pub fn upstream<'a>(forge: &'a Forge<'a>, change: &'a Change<'a>) -> Result<Upstream<'a>> {
    let slug = change.repository;
    let context = || format!("read {} in {slug}", change.file);
    let repository = forge.repository(slug).with_context(context)?;
    let repository =
        repository.with_context(|| format!("{slug} does not exist, or the token cannot see it"))?;
    let commit = forge.branch(slug, &repository.default_branch).with_context(context)?;
    let commit = commit.with_context(|| format!("{slug} has no commit"))?;
    let file = forge.file(slug, &change.file, &commit).with_context(context)?;
    Ok(Upstream { forge, change, repository, commit, file })
}

/// Asks the repository to take the change.
pub fn contribute(forge: &Forge<'_>, change: &Change<'_>, term: &Term) -> Result<PullRequest> {
    let context = || format!("change {} in {}", change.file, change.repository);
    for _ in 0..ROUNDS {
        let upstream = upstream(forge, change)?;
        let edit = upstream.edit()?;
        if let Edit::UpToDate(version) | Edit::Newer(version) = &edit {
            upstream.close_before(version, term).with_context(context)?;
        }
        let done = match edit {
            Edit::UpToDate(version) => Some(PullRequest::UpToDate { version }),
            Edit::Newer(version) => Some(PullRequest::Newer { version }),
            Edit::Write(new) => upstream.propose(&new, term).with_context(context)?,
        };
        if let Some(done) = done {
            return Ok(done);
        }
    }
    bail!("{}: others change it again and again", context());
}

/// A version that pull requests ask for.
struct Proposal {
    version: Version,
    branch: String,
    pulls: Vec<Pull>,
}

impl Upstream<'_> {
    /// The file's text; `None` where there is no such file.
    pub fn text(&self) -> Option<&str> {
        self.file.as_ref().map(|file| &*file.text)
    }

    /// What the change makes of the file.
    pub fn edit(&self) -> Result<Edit> {
        (self.change.edit)(self.text())
    }

    fn branch(&self) -> String {
        format!("{}{}", self.change.branches, self.change.tag)
    }

    fn open_pulls(&self, home: &Slug, branch: &str) -> Result<Vec<Pull>> {
        self.forge.open_pulls(self.change.repository, &format!("{}:{branch}", home.owner))
    }

    /// Proposes the new text; `None` where others changed what it is based on.
    fn propose(&self, new: &NewText, term: &Term) -> Result<Option<PullRequest>> {
        let own = &self.change.tag.version;
        let home = self.home(term)?;
        let mut others = self.proposals(&home)?;
        if let Some(newest) = others.iter().map(|it| &it.version).max().filter(|it| *it > own) {
            let version = format!("v{newest}");
            self.close_earlier(&others, &version, term)?;
            return Ok(Some(PullRequest::Newer { version }));
        }
        let at = others.iter().position(|it| it.version == *own);
        let existing = match at.map(|at| others.remove(at)) {
            Some(proposal) => self.existing(proposal, new, &home)?,
            None => None,
        };
        let done = match existing {
            Some(url) => PullRequest::Open { url, anew: false },
            None => {
                if !self.push(new, &home, term)? {
                    return Ok(None);
                }
                new.warnings.iter().for_each(|warning| term.finding(warning));
                // Somebody may have changed the file since it was read.
                let (of, main) = (self.change, &self.repository.default_branch);
                if self.forge.file(of.repository, &of.file, main)? != self.file {
                    return Ok(None);
                }
                self.open(new, &home, &others, term)?
            }
        };
        if matches!(done, PullRequest::Open { .. }) {
            self.close_earlier(&others, &own.to_string(), term)?;
        }
        Ok(Some(done))
    }

    /// The repository that the branch is made in: a fork that belongs to the token's owner,
    /// or the repository itself where it is their own.
    fn home(&self, term: &Term) -> Result<Slug> {
        let (forge, to) = (self.forge, self.change.repository);
        let Some(login) = forge.login()? else {
            let variable = forge.variable();
            return Err(failure(
                format!("the token in {variable} is a workflow's, which has no fork of {to}"),
                format!("set {variable} to a classic token with the scope public_repo"),
            ));
        };
        let fork = match self.existing_home(&login)? {
            Some(fork) => fork,
            None => {
                term.step("fork", to);
                forge.fork(to)?
            }
        };
        let (slug, branch) = (fork.slug()?, &fork.default_branch);
        let context = || format!("{slug}, the fork of {to}, is not ready: run again later");
        forge.await_branch(&slug, branch, FORKING).with_context(context)?;
        Ok(slug)
    }

    fn existing_home(&self, login: &str) -> Result<Option<Repository>> {
        let to = self.change.repository;
        if login.eq_ignore_ascii_case(&to.owner) {
            return Ok(Some(self.repository.clone()));
        }
        let likely = Slug::parse(&format!("{login}/{}", to.name)).context("read the login")?;
        Ok(self.forge.repository(&likely)?.filter(|it| it.is_fork_of(to)))
    }

    /// The versions whose pull requests are open.
    fn proposals(&self, home: &Slug) -> Result<Vec<Proposal>> {
        let mut all = Vec::new();
        for branch in self.forge.branches(home, &self.change.branches)? {
            let tag = branch.strip_prefix(&self.change.branches);
            let version = tag.and_then(|tag| self.change.tag.sibling(tag));
            let Some(version) = version else { continue };
            let pulls = self.open_pulls(home, &branch)?;
            if !pulls.is_empty() {
                all.push(Proposal { version, branch, pulls });
            }
        }
        Ok(all)
    }

    /// The page of the pull request that asks for the version already. What people changed of
    /// it since is theirs; so is a pull request that a person opens.
    fn existing(&self, own: Proposal, new: &NewText, home: &Slug) -> Result<Option<String>> {
        let file = self.forge.file(home, &self.change.file, &own.branch)?;
        let is_done = |file: File| (self.change.is_done)(&file.text);
        let stays = new.by_hand.is_some() || file.is_some_and(is_done);
        Ok(own.pulls.into_iter().next().filter(|_| stays).map(|pull| pull.html_url))
    }

    /// Closes the pull requests of versions before one that the repository has.
    fn close_before(&self, version: &str, term: &Term) -> Result<()> {
        let Some(login) = self.forge.login()? else { return Ok(()) };
        let Some(home) = self.existing_home(&login)? else { return Ok(()) };
        self.close_earlier(&self.proposals(&home.slug()?)?, version, term)
    }

    fn close_earlier(&self, all: &[Proposal], version: &str, term: &Term) -> Result<()> {
        let earlier = all.iter().filter(|it| it.version.is_before(version));
        earlier.flat_map(|it| &it.pulls).try_for_each(|pull| self.close(pull, term))
    }

    /// Closes a pull request, or says who can.
    fn close(&self, pull: &Pull, term: &Term) -> Result<()> {
        if self.forge.close_pull(self.change.repository, pull.number)? {
            term.step("close", format_args!("{}: {}", pull.html_url, pull.title));
        } else {
            let place = Place::item(&*pull.html_url);
            let why = "it is superseded, and the token cannot close it";
            let fix = "ask whoever opened it to close it";
            term.finding(&Finding::warning("superseded", place, why, fix));
        }
        Ok(())
    }

    /// Makes the branch hold the new text, on top of upstream's commit. Returns `false` where
    /// others changed the branch meanwhile.
    fn push(&self, new: &NewText, home: &Slug, term: &Term) -> Result<bool> {
        let (forge, change, branch) = (self.forge, self.change, self.branch());
        let is_pushed = || {
            let file = forge.file(home, &change.file, &branch)?;
            anyhow::Ok(file.is_some_and(|file| file.text == new.text))
        };
        let at = forge.branch(home, &branch)?;
        if at.is_some() && is_pushed()? {
            return Ok(true);
        }
        let open = self.open_pulls(home, &branch)?;
        // Since the branch was read, another run may have pushed the text and opened this.
        if !open.is_empty() && is_pushed()? {
            return Ok(true);
        }
        // A bot looks at a pull request when it is opened, and not again.
        for pull in open {
            term.step("redo", format_args!("{}, which has other contents", pull.html_url));
            self.close(&pull, term)?;
        }
        match at {
            None => {
                term.step("branch", format_args!("{branch} in {home}"));
                if self.create_branch(home, &branch)? != self.commit {
                    return Ok(false);
                }
            }
            Some(at) if at != self.commit => forge.reset_branch(home, &branch, &self.commit)?,
            Some(_) => {}
        }
        let file = NewFile {
            path: &change.file,
            text: &new.text,
            replaces: self.file.as_ref().map(|file| &*file.blob),
            message: &change.message,
        };
        let put = || forge.put_file(home, &branch, &file).map(|()| true);
        forge.retry_or_find(put, |error| {
            if is_pushed()? {
                return Ok(Some(true));
            }
            // The branch is no longer what it was.
            Ok(matches!(error.status(), Some(409 | 422)).then_some(false))
        })
    }

    /// Makes the branch at upstream's commit, and returns the commit that it is at.
    fn create_branch(&self, home: &Slug, branch: &str) -> Result<String> {
        let create = || {
            self.forge.create_branch(home, branch, &self.commit)?;
            Ok(self.commit.clone())
        };
        self.forge.retry_or_find(create, |error| {
            // 422: it exists.
            if error.is_transient() || error.status() == Some(422) {
                return self.forge.branch(home, branch);
            }
            Ok(None)
        })
    }

    /// Opens the pull request, finds the one that is open, or says how a person opens it.
    fn open(
        &self,
        new: &NewText,
        home: &Slug,
        others: &[Proposal],
        term: &Term,
    ) -> Result<PullRequest> {
        let (forge, to, branch) = (self.forge, self.change.repository, self.branch());
        let (base, page) = (&self.repository.default_branch, &self.repository.html_url);
        let head = format!("{}:{branch}", home.owner);
        let by_hand = |why: String| {
            let url = format!("{page}/compare/{base}...{head}?expand=1");
            PullRequest::ByHand { url, why }
        };
        let find = || {
            let found = self.open_pulls(home, &branch)?.into_iter().next();
            anyhow::Ok(found.map(|pull| PullRequest::Open { url: pull.html_url, anew: false }))
        };
        if let Some(found) = find()? {
            return Ok(found);
        }
        if let Some(why) = new.by_hand {
            return Ok(by_hand(why.to_owned()));
        }
        let pull = NewPull {
            title: self.change.title.clone(),
            head: head.clone(),
            base: base.clone(),
            body: body(&self.change.body, others),
            maintainer_can_modify: (home != to).then_some(true),
        };
        let open = || {
            let url = forge.open_pull(to, &pull)?.html_url;
            term.step("open", &url);
            Ok(PullRequest::Open { url, anew: true })
        };
        forge.retry_or_find(open, |error| {
            // A rate limit is a 403 too, and transient.
            if matches!(error.status(), Some(403 | 404)) && !error.is_transient() {
                let variable = forge.variable();
                let why = format!("the token in {variable} cannot open pull requests: {error}");
                return Ok(Some(by_hand(why)));
            }
            find()
        })
    }
}

fn body(text: &str, superseded: &[Proposal]) -> String {
    let pulls = superseded.iter().flat_map(|it| &it.pulls);
    let numbers: Vec<String> = pulls.map(|pull| format!("#{}", pull.number)).collect();
    if numbers.is_empty() {
        return text.to_owned();
    }
    format!("{text}\n\nSupersedes {}.", numbers.join(", "))
}
