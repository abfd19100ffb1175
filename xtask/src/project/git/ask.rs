//! Runs git without running programs that the repository's configuration names. Its output is
//! bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::files;
use crate::finding::failure;
use crate::process::{Env, Output, Program, excerpt};

/// Enough even for a repository on a network file system.
const TIME_OUT: Duration = Duration::from_secs(120);

/// Options that turn off programs of the repository's configuration: file watchers and hooks.
/// The commands used here start no pagers, text conversions, diff or merge drivers or aliases,
/// or have options of their own against them.
/// <https://git-scm.com/docs/git-config>
const INERT: [&str; 4] = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/// git in `dir`. All calls of git use this.
pub fn program<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    Program::new("git", dir, env)
        // With optional locks a query would write to the repository.
        .arg("--no-optional-locks")
        .args(INERT)
        .var("GIT_TERMINAL_PROMPT", "0")
        // Replacement refs of this clone do not count.
        .var("GIT_NO_REPLACE_OBJECTS", "1")
        .time_out(TIME_OUT)
}

/// git for a query: it fetches nothing from a remote.
pub fn query<'a>(dir: &'a Path, env: &'a Env) -> Program<'a> {
    program(dir, env).var("GIT_NO_LAZY_FETCH", "1")
}

/// Runs git and returns its stdout. `what` names the command in an error.
pub fn read(what: &str, program: &Program<'_>) -> Result<Vec<u8>> {
    stdout(what, program.output()?)
}

/// The stdout of a git that has run.
pub fn stdout(what: &str, output: Output) -> Result<Vec<u8>> {
    if !output.status.success() {
        bail!("`git {what}` failed: {}", excerpt(&output.stderr));
    }
    Ok(output.stdout)
}

/// The fields of git's output with `-z`, each ended by a NUL.
pub fn fields(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

/// The lines of git's output that are not empty.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Bytes as text, for people and programs that take text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path in git's output: bytes on Unix.
#[cfg(unix)]
pub fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// A path in git's output: UTF-8 on other systems.
#[cfg(not(unix))]
pub fn path(bytes: &[u8]) -> PathBuf {
    text(bytes).into()
}

/// The arguments that turn off content filters of the repository's own configuration. Filters
/// of the user's configuration and Git LFS stay: without them the files that they wrote would
/// seem changed.
/// <https://git-scm.com/docs/gitattributes#_filter>
pub fn without_filters(top: &Path, env: &Env) -> Result<Vec<String>> {
    // Reading the file is faster than asking git, and most repositories have no filters.
    let config = top.join(".git/config");
    if config.is_file() {
        let config = text(&files::read(&config)?).to_lowercase();
        if !["filter", "include", "worktreeconfig"].iter().any(|word| config.contains(word)) {
            return Ok(Vec::new());
        }
    }
    let asked = query(top, env)
        .args(["config", "--show-scope", "--null", "--get-regexp", r"^filter\."])
        .output()?;
    // Status 1 means that there is none.
    if asked.status.code() == Some(1) {
        return Ok(Vec::new());
    }
    let listed = stdout("config", asked)?;
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
