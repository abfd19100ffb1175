//! Clones one commit of a repository, without running anything that the repository brings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::ask::{fields, path, program, query, read, text};
use crate::finding::failure;
use crate::process::{Env, Program, excerpt};
use crate::secret::Address;

/// The protocols by which sources are fetched. Others, such as `ext`, start programs.
/// <https://git-scm.com/docs/git#Documentation/git.txt-codeGITALLOWPROTOCOLcode>
const PROTOCOLS: &str = "file:https:ssh";
/// Enough for a large repository on a slow line.
const TIME_OUT: Duration = Duration::from_secs(3600);

/// A commit to clone.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The URL or the folder that it is cloned from.
    pub source: &'a OsStr,
    /// The address that the clone's remote `origin` has afterwards.
    pub origin: Option<&'a str>,
    /// In full: 40 or 64 hex digits.
    pub commit: &'a str,
    /// The tag that the commit had.
    pub tag: Option<&'a str>,
}

/// What a tag of the repository points to today, where that is another commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub tag: String,
    pub to: String,
}

/// Clones the repository into the folder, which must not exist, and checks the commit out. It has
/// exactly the named tag, wherever the repository has it today.
pub fn clone(wanted: &Wanted<'_>, dir: &Path, env: &Env) -> Result<Option<Moved>> {
    let Wanted { source, origin, commit, tag } = *wanted;
    let hex = commit.len() == 40 || commit.len() == 64;
    ensure!(hex && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit:?} is no commit");
    let shown = Address::new(&source.to_string_lossy()).shown().to_owned();
    let above = dir.parent().context("find the folder of the clone")?;
    // No hooks come from a template, and none of the clone's own run.
    let options = ["clone", "--quiet", "--no-checkout", "--no-hardlinks", "--template="];
    let hooks = ["--config", "core.hooksPath=/dev/null", "--"];
    let cloned = fetching(above, env).args(options).args(hooks).arg(source).arg(dir).output()?;
    if !cloned.status.success() {
        let why = excerpt(&cloned.stderr);
        bail!(failure(
            format!("clone {shown}: git failed: {why}"),
            "name another place of the sources by `--source URL|FOLDER`; only https, ssh and \
             files are fetched",
        ));
    }
    if !has(commit, dir, env)? {
        // Neither a branch nor a tag has it any more; some servers still give it.
        let asked = fetching(dir, env).args(["fetch", "--quiet", "origin", commit]).output()?;
        if !asked.status.success() || !has(commit, dir, env)? {
            bail!(failure(
                format!("{shown} has no commit {commit}"),
                "name a repository that has it by `--source URL|FOLDER`",
            ));
        }
    }
    let checkout = ["checkout", "--quiet", "--force", "--detach", commit];
    read("checkout", &fetching(dir, env).args(checkout))?;
    let head =
        text(read("rev-parse", &program(dir, env).args(["rev-parse", "HEAD"]))?.trim_ascii());
    ensure!(head == commit, "{shown} gave the commit {head} in place of {commit}");
    if dir.join(".gitmodules").is_file() {
        let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
        read("submodule update", &fetching(dir, env).args(update))?;
    }
    if let Some(origin) = origin {
        let set = ["remote", "set-url", "--", "origin", origin];
        read("remote set-url", &program(dir, env).args(set))?;
    }
    tags(commit, tag, dir, env)
}

/// Gives the commit its tag, and takes others from it, as they decide its version.
fn tags(commit: &str, tag: Option<&str>, dir: &Path, env: &Env) -> Result<Option<Moved>> {
    let listed = program(dir, env).args(["tag", "--points-at", commit]);
    let listed = text(&read("tag", &listed)?);
    for other in listed.lines().filter(|name| Some(*name) != tag) {
        read("tag", &program(dir, env).args(["tag", "--delete", "--", other]))?;
    }
    let Some(tag) = tag else { return Ok(None) };
    ensure!(!tag.starts_with('-'), "{tag:?} is no tag");
    let name = format!("refs/tags/{tag}");
    let well_formed = program(dir, env).args(["check-ref-format", &name]).output()?;
    ensure!(well_formed.status.success(), "{tag:?} is no tag");
    let revision = format!("{name}^{{commit}}");
    let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &revision];
    let asked = program(dir, env).args(args).output()?;
    let at = text(asked.stdout.trim_ascii());
    if at == commit {
        return Ok(None);
    }
    read("update-ref", &program(dir, env).args(["update-ref", &name, commit]))?;
    Ok((!at.is_empty()).then(|| Moved { tag: tag.to_owned(), to: at }))
}

fn has(commit: &str, dir: &Path, env: &Env) -> Result<bool> {
    let object = format!("{commit}^{{commit}}");
    let asked = query(dir, env).args(["cat-file", "-e", &object]).output()?;
    Ok(asked.status.success())
}

/// git for what may use the network.
fn fetching<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    program(dir, env).var("GIT_ALLOW_PROTOCOL", PROTOCOLS).time_out(TIME_OUT)
}

/// The committed files with a name, the topmost first.
pub fn files_named(name: &str, dir: &Path, env: &Env) -> Result<Vec<PathBuf>> {
    let pattern = format!(":(top,glob)**/{name}");
    let listed = read("ls-files", &query(dir, env).args(["ls-files", "-z", "--", &pattern]))?;
    let mut files: Vec<PathBuf> = fields(&listed).map(path).collect();
    files.sort_by_key(|file| (file.components().count(), file.clone()));
    Ok(files)
}
