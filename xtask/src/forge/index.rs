//! A plugin's next version, brought to an index of krew by a pull request.
//! <https://krew.sigs.k8s.io/docs/developer-guide/release/updating-plugins/>

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::config::Slug;
use crate::finding::{Finding, Findings, Place, Severity, failure};
use crate::github::{File, GitHub, NewPull, Pull, Repository};
use crate::http::HttpError;
use crate::krew::{self, Release};
use crate::term::Term;
use crate::version::{ReleaseTag, Version};

/// How often it is begun anew when others change what it stands on.
const ROUNDS: usize = 5;
/// A fork is made within so much time. <https://docs.github.com/en/rest/repos/forks#create-a-fork>
const FORKING: Duration = Duration::from_secs(5 * 60);

/// What is brought, from where, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    pub index: &'a Slug,
    pub plugin: &'a Release,
    /// The repository that is released, and the tag.
    pub from: &'a Slug,
    pub tag: &'a ReleaseTag,
}

/// What became of a submission.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Submitted {
    /// The index has the version already.
    There { version: String },
    /// The index has a newer one, or is asked to take one.
    Newer { version: String },
    /// A pull request is open: this run's, or one of before.
    Open { url: String, anew: bool },
    /// The branch is there, and a person opens the pull request.
    ByHand { url: String, why: String },
}

/// The index, as it is now.
#[derive(Debug)]
pub struct Upstream {
    repository: Repository,
    /// What its main branch is at.
    commit: String,
    /// The plugin's entry; `None` for a first submission.
    entry: Option<File>,
}

impl Upstream {
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Change {
    There(String),
    Newer(String),
    /// The entry's next text, and what is worth saying of it.
    Write {
        text: String,
        warnings: Vec<Finding>,
    },
}

impl Submission<'_> {
    /// The entry's place in the index.
    pub fn file(&self) -> String {
        format!("plugins/{}.yaml", self.plugin.name())
    }

    /// What the branches of all versions begin with, as those of krew-release-bot do.
    /// <https://github.com/rajatjindal/krew-release-bot>
    fn branches(&self) -> String {
        format!("{}-{}-{}-", self.from.owner, self.plugin.name(), self.from.name)
    }

    fn branch(&self) -> String {
        format!("{}{}", self.branches(), self.tag)
    }

    fn title(&self) -> String {
        format!("release new version {} of {}", self.plugin.version(), self.plugin.name())
    }
}

/// Reads what the index has.
pub fn upstream(github: &GitHub<'_>, to: &Submission<'_>) -> Result<Upstream> {
    let context = || format!("read the index {}", to.index);
    let repository = github.repository(to.index).with_context(context)?;
    let repository = repository
        .with_context(|| format!("there is no repository {} that can be seen", to.index))?;
    let commit = github.branch(to.index, &repository.default_branch).with_context(context)?;
    let commit = commit.with_context(|| format!("{} has no commit", to.index))?;
    let entry = github.file(to.index, &to.file(), &commit).with_context(context)?;
    Ok(Upstream { repository, commit, entry })
}

/// Decides what the index is asked for. What its bot would not approve of is an error: a
/// person is to look at it first.
pub fn change(of: &Submission<'_>, upstream: &Upstream) -> Result<Change> {
    let version = of.plugin.version();
    let Some(entry) = &upstream.entry else {
        let text = of.plugin.text().to_owned();
        return Ok(Change::Write { text, warnings: Vec::new() });
    };
    if let Some((there, _)) = krew::version(&entry.text) {
        if there == version {
            return Ok(Change::There(there));
        }
        let own: Version = version.trim_start_matches('v').parse()?;
        if own.is_before(&there) {
            return Ok(Change::Newer(there));
        }
    }
    let file = of.file();
    let file = Path::new(&file);
    let bumped = krew::bump(&entry.text, file, of.plugin).map_err(Findings)?;
    let mut found = bumped.left;
    found.extend(krew::objections(&entry.text, &bumped.text, file));
    let (wrong, warnings): (Vec<Finding>, Vec<Finding>) =
        found.into_iter().partition(|finding| finding.severity == Severity::Error);
    match wrong.is_empty() {
        true => Ok(Change::Write { text: bumped.text, warnings }),
        false => bail!(Findings(wrong)),
    }
}

/// What changes, line by line, as `diff` writes it.
pub fn diff(of: &Submission<'_>, upstream: &Upstream, text: &str) -> String {
    let file = of.file();
    let Some(before) = upstream.entry.as_ref().map(|entry| &*entry.text) else {
        let added: String = text.lines().map(|line| format!("+{line}\n")).collect();
        return format!(
            "--- /dev/null\n+++ b/{file}\n@@ -0,0 +1,{} @@\n{added}",
            text.lines().count()
        );
    };
    let mut out = format!("--- a/{file}\n+++ b/{file}\n");
    // A bump changes values where they stand, so that lines stay what they are.
    for (at, (old, new)) in before.lines().zip(text.lines()).enumerate() {
        if old != new {
            let line = at + 1;
            out.push_str(&format!("@@ -{line} +{line} @@\n-{old}\n+{new}\n"));
        }
    }
    out
}

/// Asks the index to take the plugin's version: at each step what is there by now is
/// looked at first, so that it can be done again.
pub fn submit(github: &GitHub<'_>, of: &Submission<'_>, term: &Term) -> Result<Submitted> {
    let context = || format!("bring {} to {}", of.plugin.name(), of.index);
    for _ in 0..ROUNDS {
        let upstream = upstream(github, of)?;
        let (text, warnings) = match change(of, &upstream)? {
            Change::There(version) => {
                close_before(&version, github, of, &upstream, term).with_context(context)?;
                return Ok(Submitted::There { version });
            }
            Change::Newer(version) => {
                close_before(&version, github, of, &upstream, term).with_context(context)?;
                return Ok(Submitted::Newer { version });
            }
            Change::Write { text, warnings } => (text, warnings),
        };
        let home = home(github, of, &upstream, term).with_context(context)?;
        let mut others = waiting(github, of, &home).with_context(context)?;
        if let Some(newest) = others.iter().map(|it| &it.version).max()
            && *newest > of.tag.version
        {
            let version = format!("v{newest}");
            close_all(&others, &version, github, of, term).with_context(context)?;
            return Ok(Submitted::Newer { version });
        }
        let own = others.iter().position(|it| it.version == of.tag.version);
        let own = own.map(|at| others.remove(at));
        if let Some(own) = &own
            && let Some(pull) = standing(own, github, of, &upstream, &home).with_context(context)?
        {
            close_all(&others, of.plugin.version(), github, of, term).with_context(context)?;
            return Ok(Submitted::Open { url: pull.html_url.clone(), anew: false });
        }
        if !ready(github, of, &upstream, &home, &text, term).with_context(context)? {
            continue;
        }
        warnings.iter().for_each(|warning| term.finding(warning));
        // Somebody may have changed the entry since it was read.
        let entry = github.file(of.index, &of.file(), &upstream.repository.default_branch)?;
        if entry != upstream.entry {
            continue;
        }
        let submitted = open(github, of, &upstream, &home, &others, term).with_context(context)?;
        if matches!(submitted, Submitted::Open { .. }) {
            close_all(&others, of.plugin.version(), github, of, term).with_context(context)?;
        }
        return Ok(submitted);
    }
    bail!("{}: the entry is changed by others again and again", context());
}

/// The repository that the branch is made in: a fork that belongs to whoever has the token,
/// or an index of one's own itself.
fn home(
    github: &GitHub<'_>,
    of: &Submission<'_>,
    upstream: &Upstream,
    term: &Term,
) -> Result<Slug> {
    let Some(login) = github.login()? else {
        let variable = github.variable();
        return Err(failure(
            format!("the token of {variable} is a workflow's, which has no fork of {}", of.index),
            format!("set {variable} to a classic token with the scope public_repo"),
        ));
    };
    let fork = match home_of(&login, github, of, upstream)? {
        Some(fork) => fork,
        None => {
            term.step("fork", of.index);
            github.fork(of.index)?
        }
    };
    let (fork, branch) = (fork.slug()?, &fork.default_branch);
    github.wait_until(FORKING, || Ok(github.branch(&fork, branch)?.is_some())).with_context(
        || format!("{fork}, the fork of {}, is not there yet: run again later", of.index),
    )?;
    Ok(fork)
}

/// What is there of that by now.
fn home_of(
    login: &str,
    github: &GitHub<'_>,
    of: &Submission<'_>,
    upstream: &Upstream,
) -> Result<Option<Repository>> {
    if login.eq_ignore_ascii_case(&of.index.owner) {
        return Ok(Some(upstream.repository.clone()));
    }
    let likely = Slug::parse(&format!("{login}/{}", of.index.name)).context("read the login")?;
    Ok(github.repository(&likely)?.filter(|it| it.is_fork_of(of.index)))
}

/// A version that waits to be taken.
struct Waiting {
    version: Version,
    branch: String,
    pulls: Vec<Pull>,
}

/// The versions of the plugin whose pull requests are open.
fn waiting(github: &GitHub<'_>, of: &Submission<'_>, home: &Slug) -> Result<Vec<Waiting>> {
    let start = of.branches();
    let mut all = Vec::new();
    for branch in github.branches(home, &start)? {
        let version = branch.strip_prefix(&start).and_then(|tag| of.tag.sibling(tag));
        let Some(version) = version else { continue };
        let pulls = github.open_pulls(of.index, &format!("{}:{branch}", home.owner))?;
        if !pulls.is_empty() {
            all.push(Waiting { version, branch, pulls });
        }
    }
    Ok(all)
}

/// The pull request that asks for the version already. People may have changed other things
/// on its branch since, which is theirs; so is a first submission.
fn standing<'a>(
    own: &'a Waiting,
    github: &GitHub<'_>,
    of: &Submission<'_>,
    upstream: &Upstream,
    home: &Slug,
) -> Result<Option<&'a Pull>> {
    let there = github.file(home, &of.file(), &own.branch)?;
    let asks = there.is_some_and(|there| {
        let bumped = krew::bump(&there.text, Path::new(&of.file()), of.plugin);
        bumped.is_ok_and(|bumped| bumped.text == there.text)
    });
    Ok(own.pulls.first().filter(|_| asks || upstream.entry.is_none()))
}

/// Closes what was opened of earlier versions, where there is a place for it.
fn close_before(
    version: &str,
    github: &GitHub<'_>,
    of: &Submission<'_>,
    upstream: &Upstream,
    term: &Term,
) -> Result<()> {
    let Some(login) = github.login()? else { return Ok(()) };
    let Some(home) = home_of(&login, github, of, upstream)? else { return Ok(()) };
    close_all(&waiting(github, of, &home.slug()?)?, version, github, of, term)
}

/// Closes the pull requests of versions before this one.
fn close_all(
    all: &[Waiting],
    version: &str,
    github: &GitHub<'_>,
    of: &Submission<'_>,
    term: &Term,
) -> Result<()> {
    let before = all.iter().filter(|it| it.version.is_before(version));
    before.flat_map(|it| &it.pulls).try_for_each(|pull| close(pull, github, of, term))
}

/// Closes a pull request, or says who may.
fn close(pull: &Pull, github: &GitHub<'_>, of: &Submission<'_>, term: &Term) -> Result<()> {
    match github.close_pull(of.index, pull.number)? {
        true => term.step("close", format_args!("{}: {}", pull.html_url, pull.title)),
        false => {
            let why = "it is superseded, and the token may not close it";
            let fix = "ask whoever opened it to close it";
            term.finding(&Finding::warning("krew-open", Place::item(&*pull.html_url), why, fix));
        }
    }
    Ok(())
}

/// Makes the branch hold the text, on top of what upstream is at. Whether it does; where
/// not, something changed meanwhile.
fn ready(
    github: &GitHub<'_>,
    of: &Submission<'_>,
    upstream: &Upstream,
    home: &Slug,
    text: &str,
    term: &Term,
) -> Result<bool> {
    let (branch, file) = (of.branch(), of.file());
    let has_it = || {
        let there = github.file(home, &file, &branch)?;
        anyhow::Ok(there.is_some_and(|there| there.text == text))
    };
    let at = github.branch(home, &branch)?;
    if at.is_some() && has_it()? {
        return Ok(true);
    }
    // The index's bot looks at a pull request when it is opened, and never again.
    for pull in github.open_pulls(of.index, &format!("{}:{branch}", home.owner))? {
        term.step("redo", format_args!("{}, which has other contents", pull.html_url));
        close(&pull, github, of, term)?;
    }
    match at {
        None => {
            term.step("branch", format_args!("{branch} in {home}"));
            if github.create_branch(home, &branch, &upstream.commit)? != upstream.commit {
                return Ok(false);
            }
        }
        Some(at) if at != upstream.commit => {
            github.reset_branch(home, &branch, &upstream.commit)?;
        }
        Some(_) => {}
    }
    let before = upstream.entry.as_ref().map(|entry| &*entry.blob);
    let mut patience = github.patience();
    loop {
        let put = github.put_file(home, &file, &branch, text, before, &of.title());
        let Err(error) = put else { return Ok(true) };
        if has_it()? {
            return Ok(true);
        }
        match error.status() {
            // The branch is not what it was.
            Some(409 | 422) => return Ok(false),
            _ => patience.wait(error).map_err(|error| github.explain(error))?,
        }
    }
}

/// Opens the pull request, finds the one that is open, or says how a person opens it.
fn open(
    github: &GitHub<'_>,
    of: &Submission<'_>,
    upstream: &Upstream,
    home: &Slug,
    others: &[Waiting],
    term: &Term,
) -> Result<Submitted> {
    let (base, branch) = (&upstream.repository.default_branch, of.branch());
    let head = format!("{}:{branch}", home.owner);
    let page = &upstream.repository.html_url;
    let by_hand = |why: String| Submitted::ByHand {
        url: format!("{page}/compare/{base}...{head}?expand=1"),
        why,
    };
    let find = || {
        let found = github.open_pulls(of.index, &head)?.into_iter().next();
        anyhow::Ok(found.map(|pull| Submitted::Open { url: pull.html_url, anew: false }))
    };
    if let Some(found) = find()? {
        return Ok(found);
    }
    if upstream.entry.is_none() {
        return Ok(by_hand("a first submission is made by a person".to_owned()));
    }
    let new = NewPull {
        title: of.title(),
        head: head.clone(),
        base: base.clone(),
        body: body(of, others),
        maintainer_can_modify: (home != of.index).then_some(true),
    };
    let mut patience = github.patience();
    loop {
        let error: HttpError = match github.open_pull(of.index, &new) {
            Ok(Pull { html_url: url, .. }) => {
                term.step("open", &url);
                return Ok(Submitted::Open { url, anew: true });
            }
            Err(error) => error,
        };
        // A rate limit is a 403 too, and passes.
        if matches!(error.status(), Some(403 | 404)) && !error.is_transient() {
            let variable = github.variable();
            let why = format!("the token of {variable} may not open pull requests: {error}");
            return Ok(by_hand(why));
        }
        if let Some(found) = find()? {
            return Ok(found);
        }
        patience.wait(error).map_err(|error| github.explain(error))?;
    }
}

fn body(of: &Submission<'_>, others: &[Waiting]) -> String {
    let mut body = format!(
        "{} {} of {}, released as {}.",
        of.plugin.name(),
        of.plugin.version(),
        of.from,
        of.tag
    );
    let numbers: Vec<String> =
        others.iter().flat_map(|it| &it.pulls).map(|pull| format!("#{}", pull.number)).collect();
    if !numbers.is_empty() {
        body.push_str(&format!("\n\nSupersedes {}.", numbers.join(", ")));
    }
    body
}
