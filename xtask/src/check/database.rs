//! Opens the advisory database: a folder, or a repository that git fetches into the cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use tempfile::TempDir;

use super::advisories::{self, Advisories};
use crate::cache::Cache;
use crate::files::{self, Lock};
use crate::http::Network;
use crate::process::{Env, excerpt};
use crate::project::git;
use crate::secret::Address;
use crate::term::Term;

/// A repository that was fetched within this time is not fetched again.
const FRESH: Duration = Duration::from_secs(12 * 3600);

/// How long fetching may take: the repository has 3 MB without its history.
const TIME_OUT: Duration = Duration::from_secs(60);

/// A database of this age in days is stale, as cargo-audit has it.
pub const STALE: i32 = 90;

/// An opened database.
#[derive(Debug)]
pub struct Database {
    pub advisories: Advisories,
    /// Its folder.
    pub path: PathBuf,
    /// The date of its last change.
    pub as_of: Option<Date>,
    /// Why it could not be fetched again.
    pub old: Option<String>,
    _temporary: Option<TempDir>,
}

/// From where a database is opened.
pub struct Reach<'a> {
    /// The folder that names of folders are relative to.
    pub root: &'a Path,
    pub env: &'a Env,
    pub network: Network,
    pub cache: &'a Cache,
    pub term: &'a Term,
}

/// The result of opening a database.
#[derive(Debug)]
pub enum Opening {
    Opened(Box<Database>),
    /// No database could be had, and why.
    OutOfReach(String),
}

/// Opens the database that `source` names: a folder or the URL of a repository. A database that
/// exists but cannot be used is an error.
pub fn open(source: &str, reach: &Reach<'_>) -> Result<Opening> {
    let Reach { root, env, network, cache, term } = *reach;
    if !is_url(source) {
        let path = root.join(source);
        return opened(path, None, None, env).map(Opening::Opened);
    }
    let source = Address::new(source);
    let fresh = |path: &Path| {
        let mark = files::list_one(&path.with_extension("fetched"))?;
        Ok::<_, anyhow::Error>(mark.is_some_and(|mark| files::is_recent(mark.modified, FRESH)))
    };
    let offline = network == Network::Offline;
    let usable = |path: &Path| Ok::<_, anyhow::Error>(path.is_dir() && (offline || fresh(path)?));
    let (path, temporary, lock) = match cache.advisories(source.shown()) {
        Some(path) if cache.keeps_advisories() => {
            let lock = Lock::acquire(&path.with_extension("lock"), "check", |other| {
                let what = format!("for another dockless that fetches advisories: {other}");
                term.step("wait", what);
            })?;
            (path, None, Some(lock))
        }
        // In a read-only cache nobody replaces the database meanwhile: no lock is needed.
        Some(path) if usable(&path)? => (path, None, None),
        _ => {
            let folder = files::temporary_dir()?;
            (folder.path().join("advisories"), Some(folder), None)
        }
    };
    let exists = path.is_dir();
    if usable(&path)? {
        return opened(path, temporary, None, env).map(Opening::Opened);
    }
    if offline {
        return Ok(Opening::OutOfReach("no database was fetched before --offline".to_owned()));
    }
    term.step("fetch", format_args!("advisories of {source}"));
    match fetch(&source, &path, env) {
        Ok(()) => {
            if lock.is_some() {
                files::write(&path.with_extension("fetched"), b"")?;
            }
            opened(path, temporary, None, env).map(Opening::Opened)
        }
        Err(error) => {
            let why = format!("{error:#}").replace('\n', " ");
            if exists {
                opened(path, temporary, Some(why), env).map(Opening::Opened)
            } else {
                Ok(Opening::OutOfReach(why))
            }
        }
    }
}

/// Whether git has to fetch it: `https://…`, `ssh://…`, `git@host:path`.
pub fn is_url(source: &str) -> bool {
    source.contains("://") || source.split('/').next().is_some_and(|first| first.contains('@'))
}

/// Clones the repository without its history beside its place, then moves it into place, so
/// that a killed run leaves the old one or none.
fn fetch(url: &Address, path: &Path, env: &Env) -> Result<()> {
    let parent = path.parent().context("find the cache folder")?;
    files::make_dir(parent)?;
    files::remove_stale_dirs(parent, Duration::from_secs(3600))?;
    let folder = files::temporary_dir_in(parent)?;
    let clone = folder.path().join("clone");
    let is_http = url.shown().starts_with("http");
    let argument = if is_http { url.shown().to_owned() } else { url.with_user() };
    let git = git::program(parent, env)
        .with_logins()
        .args(["-c", "core.symlinks=false"])
        .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30"])
        .args(["clone", "--quiet", "--depth", "1", "--no-tags", "--"])
        .arg(argument)
        .arg(&clone)
        .var("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
        .time_out(TIME_OUT);
    let git = login(url, env).into_iter().fold(git, |git, (name, value)| git.var(name, value));
    let output = git.output().with_context(|| format!("clone {url}"))?;
    if !output.status.success() {
        let why = excerpt(&output.stderr);
        bail!("git cannot clone {url}: {}", why.trim_start_matches("fatal: "));
    }
    // A database that cannot be used does not replace one that can.
    advisories::load(&clone)?;
    files::remove(path)?;
    files::rename(&clone, path)
}

/// The variables that give git the login for an HTTP URL, numbered after the settings that the
/// environment has already. Other users could read arguments, and the clone's configuration
/// would keep the login.
/// <https://git-scm.com/docs/git-config#ENVIRONMENT>
fn login(url: &Address, env: &Env) -> Vec<(String, OsString)> {
    let Some(login) = url.login().filter(|_| url.shown().starts_with("http")) else {
        return Vec::new();
    };
    let count = env.get("GIT_CONFIG_COUNT").and_then(|count| count.to_str()?.parse().ok());
    let at: u32 = count.unwrap_or(0);
    let origin: Vec<&str> = url.shown().splitn(4, '/').take(3).collect();
    let header = format!("Authorization: Basic {}", STANDARD.encode(login));
    vec![
        ("GIT_CONFIG_COUNT".to_owned(), (at + 1).to_string().into()),
        (format!("GIT_CONFIG_KEY_{at}"), format!("http.{}/.extraHeader", origin.join("/")).into()),
        (format!("GIT_CONFIG_VALUE_{at}"), header.into()),
    ]
}

fn opened(
    path: PathBuf,
    temporary: Option<TempDir>,
    old: Option<String>,
    env: &Env,
) -> Result<Box<Database>> {
    let advisories = advisories::load(&path)?;
    let as_of = committed(&path, env).or(advisories.newest());
    Ok(Box::new(Database { advisories, path, as_of, old, _temporary: temporary }))
}

/// The date of the last commit, if the folder is a checkout.
fn committed(path: &Path, env: &Env) -> Option<Date> {
    if !path.join(".git").exists() {
        return None;
    }
    let log = ["log", "-1", "--no-show-signature", "--no-color", "--format=%cs", "HEAD", "--"];
    let said = git::program(path, env).args(log).time_out(Duration::from_secs(10)).read();
    // Without git's answer the newest advisory's date is taken.
    said.ok()?.trim().parse().ok()
}

/// How old a database is, in days.
pub fn age(as_of: Date, today: Date) -> i32 {
    today.since(as_of).map_or(0, |span| span.get_days())
}
