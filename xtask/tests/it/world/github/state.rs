//! What GitHub holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::world::sha256;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A person's, with its scopes.
    Classic { login: String, scopes: Vec<String> },
    /// A person's for some repositories: it may read everything that is public.
    FineGrained { login: String, repositories: Vec<String> },
    /// A workflow's, for its own repository.
    Workflow { repository: String },
    /// Nobody's any more.
    Unknown,
}

/// All of it.
#[derive(Clone, Default)]
pub struct State {
    pub tokens: BTreeMap<String, Token>,
    /// By `owner/name`.
    pub repositories: BTreeMap<String, Repository>,
    /// What nobody should ever have seen.
    pub violations: Vec<String>,
    /// How many entries a page has, at most.
    pub page: Option<usize>,
    /// How many requests a new fork is not there for.
    pub forking: u32,
    /// Seconds that this server's clock is ahead.
    pub skew: i64,
    /// Whether releases say the digests of their files.
    pub no_digests: bool,
    /// Whether every file gets another name.
    pub renames: bool,
    /// Where files are said to go instead.
    pub uploads_to: Option<String>,
    /// The files that each release must have when it is published.
    pub expected: BTreeMap<String, BTreeSet<String>>,
    pub last: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Repository {
    pub parent: Option<String>,
    pub private: bool,
    pub archived: bool,
    pub immutable: bool,
    /// Who may write.
    pub writers: BTreeSet<String>,
    /// Requests for which it is not there yet.
    pub hidden: u32,
    /// `heads/main`, `tags/v1.0.0`, and what they are at.
    pub refs: BTreeMap<String, String>,
    /// Annotated tags, and the commits that they name.
    pub tags: BTreeMap<String, String>,
    /// Commits, and the files in them.
    pub commits: BTreeMap<String, BTreeMap<String, String>>,
    pub releases: Vec<Release>,
    pub pulls: Vec<Pull>,
}

#[derive(Clone, Debug)]
pub struct Release {
    pub id: u64,
    pub tag: String,
    pub name: String,
    pub body: String,
    pub draft: bool,
    pub prerelease: bool,
    pub immutable: bool,
    pub latest: bool,
    /// How often it was shown to everybody.
    pub published: u32,
    pub assets: Vec<Asset>,
}

#[derive(Clone, Debug)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    pub whole: bool,
    pub bytes: Arc<Vec<u8>>,
    /// In hex digits; it would take a while to find it out each time.
    pub digest: String,
}

#[derive(Clone, Debug)]
pub struct Pull {
    pub number: u64,
    /// Who opened it.
    pub by: String,
    /// `owner:branch`
    pub head: String,
    pub base: String,
    pub title: String,
    pub body: String,
    pub open: bool,
    /// The plugin's file as it was when it was opened.
    pub commit: String,
}

impl State {
    /// A repository, made where it is not there.
    pub fn repository(&mut self, name: &str) -> &mut Repository {
        let owner = name.split('/').next().unwrap_or_default().to_owned();
        let new = || Repository { writers: BTreeSet::from([owner]), ..Repository::default() };
        self.repositories.entry(name.to_owned()).or_insert_with(new)
    }

    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A person with a classic token of these scopes.
    pub fn classic(&mut self, token: &str, login: &str, scopes: &[&str]) {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.tokens.insert(token.to_owned(), Token::Classic { login: login.to_owned(), scopes });
    }

    /// Commits a file to a branch.
    pub fn commit(&mut self, repository: &str, branch: &str, path: &str, text: &str) -> String {
        let repository = self.repository(repository);
        let name = format!("heads/{branch}");
        let before = repository.refs.get(&name).cloned().unwrap_or_default();
        let mut files = repository.commits.get(&before).cloned().unwrap_or_default();
        files.insert(path.to_owned(), text.to_owned());
        let commit = sha256(format!("{before} {files:?}").as_bytes())[..40].to_owned();
        repository.commits.insert(commit.clone(), files);
        repository.refs.insert(name, commit.clone());
        commit
    }

    /// A commit's files: those of forks are the parent's too.
    pub fn files(&self, repository: &str, commit: &str) -> Option<&BTreeMap<String, String>> {
        let own = self.repositories.get(repository)?;
        let parent = own.parent.as_ref().and_then(|parent| self.repositories.get(parent));
        own.commits.get(commit).or_else(|| parent?.commits.get(commit))
    }

    /// The text of a file at a branch.
    pub fn text(&self, repository: &str, branch: &str, path: &str) -> Option<String> {
        let commit = self.repositories.get(repository)?.refs.get(&format!("heads/{branch}"))?;
        self.files(repository, commit)?.get(path).cloned()
    }

    /// Shows a release to everybody, and looks at what they see.
    pub fn publish(&mut self, repository: &str, id: u64, prerelease: bool, latest: bool) {
        let expected = self.expected.clone();
        let mut wrong = Vec::new();
        let own = self.repository(repository);
        let immutable = own.immutable;
        if latest {
            own.releases.iter_mut().for_each(|it| it.latest = false);
        }
        let Some(release) = own.releases.iter_mut().find(|it| it.id == id) else { return };
        (release.draft, release.prerelease, release.latest) = (false, prerelease, latest);
        release.immutable = immutable;
        release.published += 1;
        if release.published > 1 {
            wrong.push(format!("{} was published {} times", release.tag, release.published));
        }
        for asset in release.assets.iter().filter(|it| !it.whole) {
            wrong.push(format!("{} was published with {} cut off", release.tag, asset.name));
        }
        let names: BTreeSet<String> = release.assets.iter().map(|it| it.name.clone()).collect();
        for name in expected.get(&release.tag).into_iter().flatten() {
            if !names.contains(name) {
                wrong.push(format!("{} was published without {name}", release.tag));
            }
        }
        self.violations.extend(wrong);
    }

    /// The time here, as HTTP has it. The tests' clock stands still at the epoch of theirs.
    pub fn date(&self) -> String {
        let hour = (self.skew / 3600).rem_euclid(24);
        format!("Tue, 14 Nov 2023 {hour:02}:13:20 GMT")
    }

    /// What there is, without what differs between two runs that end alike.
    pub fn seen(&self) -> Value {
        let repository = |(name, it): (&String, &Repository)| {
            let releases: Vec<Value> = it.releases.iter().map(Release::seen).collect();
            let pulls: Vec<Value> = it
                .pulls
                .iter()
                .map(|pull| {
                    json!({ "head": pull.head, "base": pull.base, "title": pull.title,
                            "open": pull.open, "commit": pull.commit })
                })
                .collect();
            (name.clone(), json!({ "refs": it.refs, "releases": releases, "pulls": pulls }))
        };
        json!(self.repositories.iter().map(repository).collect::<BTreeMap<_, _>>())
    }
}

impl Release {
    fn seen(&self) -> Value {
        let mut assets: Vec<Value> = self
            .assets
            .iter()
            .map(|it| json!({ "name": it.name, "whole": it.whole, "digest": it.digest }))
            .collect();
        assets.sort_by_key(|it| it["name"].as_str().unwrap().to_owned());
        json!({ "tag": self.tag, "name": self.name, "body": self.body, "draft": self.draft,
                "prerelease": self.prerelease, "latest": self.latest, "assets": assets })
    }
}

/// Text out of an address.
pub fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
            let digits = String::from_utf8_lossy(&digits).into_owned();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
