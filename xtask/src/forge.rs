//! Where releases are published, and where repositories of others are changed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use crate::config::{ForgeKind, Slug};
use crate::digest::Digest;
use crate::finding::Help;
use crate::github::{
    self, Asset, File, GitHub, NewFile, NewPull, PlannedCall, Pull, ReleaseChange, Repository,
};
use crate::http::{Http, HttpError, Patience, Url};
use crate::process::{Env, OwnToken};
use crate::version::ReleaseTag;

mod contribute;
pub mod index;
pub mod notes;
mod publish;

pub use contribute::{Change, Edit, NewText, PullRequest, contribute, upstream};
pub use notes::section;
pub use publish::{Complete, Published};

pub use crate::github::{NewRelease, Release, ReleaseFile};

/// The forges that are known: a closed set.
pub enum Forge<'a> {
    GitHub(GitHub<'a>),
}

/// Makes each function of the list one of [`Forge`], which asks the forge that it is.
macro_rules! each_forge {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Forge<'_> {
            $(pub fn $name(&self, $($argument: $type),*) -> $result {
                match self {
                    Forge::GitHub(github) => github.$name($($argument),*),
                }
            })*
        }
    };
}

// All that a forge must do: another one is a variant above, an arm in the macro, and a client
// with these functions. Those that fail with an `HttpError` are tried once.
each_forge! {
    // The token, and what helps where it is refused.
    fn kind() -> ForgeKind;
    fn has_token() -> bool;
    fn variable() -> &'static str;
    fn token_help() -> &'static str;
    fn login() -> Result<Option<String>>;
    fn explain(error: HttpError) -> anyhow::Error;
    fn patience() -> Patience<'_>;
    // Repositories.
    fn repository(repo: &Slug) -> Result<Option<Repository>>;
    fn has_immutable_releases(repo: &Slug) -> Result<Option<bool>>;
    fn fork(repo: &Slug) -> Result<Repository>;
    fn await_branch(repo: &Slug, branch: &str, limit: Duration) -> Result<()>;
    // Branches, tags and files.
    fn tag(repo: &Slug, tag: &str) -> Result<Option<String>>;
    fn branch(repo: &Slug, branch: &str) -> Result<Option<String>>;
    fn branches(repo: &Slug, prefix: &str) -> Result<Vec<String>>;
    fn create_branch(repo: &Slug, branch: &str, commit: &str) -> Result<(), HttpError>;
    fn reset_branch(repo: &Slug, branch: &str, commit: &str) -> Result<()>;
    fn file(repo: &Slug, path: &str, at: &str) -> Result<Option<File>>;
    fn put_file(repo: &Slug, branch: &str, new: &NewFile<'_>) -> Result<(), HttpError>;
    // Pull requests.
    fn open_pulls(repo: &Slug, head: &str) -> Result<Vec<Pull>>;
    fn open_pull(repo: &Slug, new: &NewPull) -> Result<Pull, HttpError>;
    fn close_pull(repo: &Slug, number: u64) -> Result<bool>;
    // Releases and their files.
    fn releases(repo: &Slug) -> Result<Vec<Release>>;
    fn release(repo: &Slug, id: u64) -> Result<Option<Release>>;
    fn create_draft(repo: &Slug, new: &NewRelease) -> Result<Release, HttpError>;
    fn change_release(repo: &Slug, id: u64, to: &ReleaseChange<'_>) -> Result<Release>;
    fn delete_release(repo: &Slug, id: u64) -> Result<()>;
    fn assets(repo: &Slug, release: u64) -> Result<Vec<Asset>>;
    fn asset(repo: &Slug, asset: &Asset) -> Result<Option<Asset>>;
    fn asset_digest(repo: &Slug, asset: &Asset) -> Result<Digest>;
    fn asset_bytes(repo: &Slug, asset: &Asset) -> Result<Vec<u8>>;
    fn download_asset(repo: &Slug, asset: &Asset, to: &Path) -> Result<()>;
    fn delete_asset(repo: &Slug, asset: &Asset) -> Result<()>;
    fn upload_url(release: &Release) -> Result<Url>;
    fn upload_asset(to: &Url, file: &ReleaseFile, bar: &ProgressBar) -> Result<Asset, HttpError>;
    // What a dry run says of the calls that change something.
    fn draft_calls(repo: &Slug, tag: &ReleaseTag, files: &[String]) -> Vec<PlannedCall>;
    fn publish_call(repo: &Slug, tag: &ReleaseTag) -> PlannedCall;
    fn pull_calls(repo: &Slug, branch: &str, file: &str, what: &str) -> Vec<PlannedCall>;
}

/// What a workflow of a forge says of itself in the environment.
pub struct Workflow {
    /// The host of the forge's pages.
    pub server: Option<String>,
    /// The repository that it is of.
    pub repository: Option<Slug>,
}

/// The workflow that runs this, if one does.
pub fn workflow(env: &Env) -> Result<Workflow> {
    let var = |name| env.get(name).map(|value| value.to_string_lossy());
    let server = var("GITHUB_SERVER_URL").as_deref().map(Url::parse).transpose();
    Ok(Workflow {
        server: server.context("read GITHUB_SERVER_URL")?.map(|url| url.origin.authority()),
        repository: var("GITHUB_REPOSITORY").as_deref().and_then(Slug::parse),
    })
}

impl<'a> Forge<'a> {
    /// The forge, as the owner of a token of the environment.
    pub fn open(
        kind: ForgeKind,
        token: OwnToken,
        http: &'a Http<'a>,
        env: &Env,
    ) -> Result<Forge<'a>> {
        let (secret, variable) = (env.token(token), token.variable());
        match kind {
            ForgeKind::GitHub => {
                let named = env.get("GITHUB_API_URL").map(|url| url.to_string_lossy());
                let url = named.as_deref().unwrap_or(github::API);
                let fix = "set it to an address such as https://api.github.com, or unset it";
                let api =
                    Url::parse(url).context("read GITHUB_API_URL").context(Help(fix.to_owned()))?;
                Ok(Forge::GitHub(GitHub::new(http, &api, secret.as_ref(), variable)))
            }
        }
    }
}

impl Forge<'_> {
    /// Does what may have taken effect although no answer came. After each failure `find`
    /// says whether what was wanted is there by now, whoever did it.
    fn retry_or_find<T>(
        &self,
        act: impl Fn() -> Result<T, HttpError>,
        find: impl Fn(&HttpError) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut patience = self.patience();
        loop {
            let error = match act() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if let Some(done) = find(&error)? {
                return Ok(done);
            }
            patience.wait(error).map_err(|error| self.explain(error))?;
        }
    }
}
