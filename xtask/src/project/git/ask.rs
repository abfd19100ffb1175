//! How git is asked: nothing that a repository's own configuration names is run, and what
//! git says is bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::files;
use crate::finding::failure;
use crate::process::{Env, Output, Program};

/// A repository that could answer slowly is a network file system at worst.
const TIME_OUT: Duration = Duration::from_secs(120);

/// What a repository's configuration could have git start, or show in another form, turned
/// off: a watcher of files and hooks. Pagers, text conversions, drivers of diffs and merges,
/// aliases and signatures are not of the commands that are asked, or have options of theirs.
/// <https://git-scm.com/docs/git-config>
const INERT: [&str; 4] = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/// git, started in `dir`. All starts of git are made here.
pub fn program<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    Program::new("git", dir, env)
        // Optional locks would let a mere question write to the repository.
        .arg("--no-optional-locks")
        .args(INERT)
        .var("GIT_TERMINAL_PROMPT", "0")
        // A commit holds what it holds, and not what stands in for it here.
        .var("GIT_NO_REPLACE_OBJECTS", "1")
        .time_out(TIME_OUT)
}

/// git, asked about a repository that is here: it fetches nothing for an answer.
pub fn question<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    program(dir, env).var("GIT_NO_LAZY_FETCH", "1")
}

/// What git printed, where it succeeded. `what` names the command in the error.
pub fn said(what: &str, program: &Program<'_>) -> Result<Vec<u8>> {
    printed(what, program.output()?)
}

/// The same of what was asked already.
pub fn printed(what: &str, output: Output) -> Result<Vec<u8>> {
    if !output.status.success() {
        bail!("`git {what}` failed: {}", output.stderr.trim());
    }
    Ok(output.stdout)
}

/// The fields of what git wrote with `-z`, each ended by a NUL.
pub fn fields(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

/// The lines of what git wrote.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// What is shown to people, or told to programs as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path as git has it: the bytes of its name.
#[cfg(unix)]
pub fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// A path as git has it: UTF-8, whatever the system has.
#[cfg(not(unix))]
pub fn path(bytes: &[u8]) -> PathBuf {
    text(bytes).into()
}

/// The arguments that turn off the filters of file contents which the repository's own
/// configuration names. Those of the user's own stay, and so does Git LFS, which installs
/// itself there too: without them the files that they wrote would seem changed.
/// <https://git-scm.com/docs/gitattributes#_filter>
pub fn without_filters(top: &Path, env: &Env) -> Result<Vec<String>> {
    // Most repositories name none, which their file says sooner than git.
    let config = top.join(".git/config");
    if config.is_file() {
        let config = text(&files::read(&config)?).to_lowercase();
        if !["filter", "include", "worktreeconfig"].iter().any(|word| config.contains(word)) {
            return Ok(Vec::new());
        }
    }
    let asked = question(top, env)
        .args(["config", "--show-scope", "--null", "--get-regexp", r"^filter\."])
        .output()?;
    // 1, where there is none.
    if asked.status.code() == Some(1) {
        return Ok(Vec::new());
    }
    let listed = printed("config", asked)?;
    let mut args = Vec::new();
    let mut fields = fields(&listed);
    while let (Some(scope), Some(setting)) = (fields.next(), fields.next()) {
        let setting = text(setting);
        let (key, value) = setting.split_once('\n').unwrap_or((&setting, ""));
        let (driver, variable) = key.rsplit_once('.').unwrap_or((key, ""));
        let own = matches!(scope, b"local" | b"worktree");
        let runs = matches!(variable, "clean" | "smudge" | "process");
        if !own || !runs || value.starts_with("git-lfs ") {
            continue;
        }
        if driver.contains('=') {
            let why = format!("the repository's configuration names a program as {key}");
            bail!(failure(why, "remove it from .git/config"));
        }
        args.extend(["-c".to_owned(), format!("{key}="), "-c".to_owned()]);
        args.push(format!("{driver}.required=false"));
    }
    Ok(args)
}
