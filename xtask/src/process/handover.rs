//! Removes tokens from this process's own environment. Every program of the same user can read
//! `/proc/PID/environ` while the process runs. On Linux, a process that was given tokens
//! therefore executes itself again without them, under the same PID, and reads them from a pipe.
//! Other systems have no such file.

#[cfg(not(target_os = "linux"))]
use std::ffi::OsString;

#[cfg(not(target_os = "linux"))]
use anyhow::Result;

#[cfg(target_os = "linux")]
pub use linux::environment;

/// The variable that names the pipe.
pub(super) const MARK: &str = "DOCKLESS_HANDED_OVER";

/// The variables that this process was given.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
pub fn environment() -> Result<Vec<(OsString, OsString)>> {
    Ok(std::env::vars_os().collect())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::convert::Infallible;
    use std::ffi::{CString, OsStr, OsString};
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Context, Result, bail, ensure};
    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    use super::super::tokens::{self, Vars};
    use super::MARK;
    use crate::finding::Help;

    /// The variables that this process was given. Where tokens are among them, it executes
    /// itself again first: then no file of `/proc` shows them, and only root can read this
    /// process's memory. To be called before anything is started. An error where that fails.
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
    pub fn environment() -> Result<Vars> {
        let (tokens, mut others) = tokens::split(std::env::vars_os().collect());
        let fix = || Help("mount /proc, or start it without tokens in its environment".to_owned());
        let pipe = others.iter().position(|(name, _)| name == MARK);
        let given = match pipe.map(|at| others.remove(at).1) {
            Some(pipe) => receive(&pipe, tokens, others),
            None if tokens.is_empty() => Ok(others),
            None => hand_over(tokens, others).map(|never| match never {}),
        };
        given.context("take tokens out of the environment").with_context(fix)
    }

    /// Executes this program again without tokens, which it will read from a pipe.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn hand_over(tokens: Vars, others: Vars) -> Result<Infallible> {
        let (reader, mut writer) = io::pipe()?;
        // The reader comes after the exec, so a write that does not fit must fail, not block.
        ioctl_fionbio(&writer, true)?;
        for (name, value) in tokens {
            let entry = [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat();
            writer.write_all(&entry).context("put them into a pipe")?;
        }
        fcntl_setfd(&reader, FdFlags::empty())?;
        let mut args = std::env::args_os();
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = args.next() {
            command.arg0(name);
        }
        command.args(args).env_clear().envs(others);
        // `exec` returns only when it fails.
        bail!(command.env(MARK, reader.as_raw_fd().to_string()).exec())
    }

    /// Reads the tokens from the pipe. The exec closed its writing end, so the pipe is empty
    /// afterwards for whoever inherits it.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn receive(pipe: &OsStr, tokens: Vars, mut vars: Vars) -> Result<Vars> {
        ensure!(tokens.is_empty(), "{MARK} is set, but the environment still holds tokens");
        let number: u32 = pipe.to_string_lossy().parse().context("parse the pipe's descriptor")?;
        let mut pipe = File::open(format!("/proc/self/fd/{number}")).context("open the pipe")?;
        ensure!(pipe.metadata()?.file_type().is_fifo(), "{MARK} does not name a pipe");
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).context("read the pipe")?;
        for entry in bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let equals = entry.iter().position(|byte| *byte == b'=').context("parse a variable")?;
            let (name, value) = (entry[..equals].to_vec(), entry[equals + 1..].to_vec());
            vars.push((OsString::from_vec(name), OsString::from_vec(value)));
        }
        restore_name()?;
        Ok(vars)
    }

    /// Restores the name that lists of processes show: the exec has made it `exe`, from
    /// `/proc/self/exe`.
    fn restore_name() -> Result<()> {
        let started = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&started).file_name().unwrap_or_default();
        rustix::thread::set_name(&CString::new(name.as_bytes())?).context("name the process")
    }
}
