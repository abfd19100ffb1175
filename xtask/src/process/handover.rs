//! The tool's own environment holds no token: what is started, and what that starts, could
//! read it in `/proc/PID/environ` as long as this process lives. On Linux a process that was
//! given tokens starts itself anew without them, under the same number, and takes them from a
//! pipe. Elsewhere nobody can read another's environment there.

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

    /// The variables that this process was given. Where tokens are among them, it starts
    /// itself anew first, and what is returned is known to nobody else: no file of `/proc`
    /// shows it, and nobody but root can look into this process's memory. To be called before
    /// anything is started; an error where it can't be done.
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
    pub fn environment() -> Result<Vars> {
        let (tokens, mut others) = tokens::apart(std::env::vars_os().collect());
        let fix = || Help("mount /proc, or start it without tokens in its environment".to_owned());
        let pipe = others.iter().position(|(name, _)| name == MARK);
        let given = match pipe.map(|at| others.remove(at).1) {
            Some(pipe) => receive(&pipe, tokens, others),
            None if tokens.is_empty() => Ok(others),
            None => hand_over(tokens, others).map(|never| match never {}),
        };
        given.context("take tokens out of the environment").with_context(fix)
    }

    /// Starts this program anew, without tokens, which it finds in a pipe.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn hand_over(tokens: Vars, others: Vars) -> Result<Infallible> {
        let (reader, mut writer) = io::pipe()?;
        // What a pipe does not hold would wait for a reader who comes only afterwards.
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
        // On success this process goes on as another.
        bail!(command.env(MARK, reader.as_raw_fd().to_string()).exec())
    }

    /// Takes the tokens out of the pipe. Its writer ended when this program was started anew,
    /// so that it is empty afterwards, for whoever inherits it.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn receive(pipe: &OsStr, tokens: Vars, mut vars: Vars) -> Result<Vars> {
        ensure!(tokens.is_empty(), "{MARK} says that they were taken, and there are some");
        let number: u32 = pipe.to_string_lossy().parse().context("read the number of the pipe")?;
        let mut pipe = File::open(format!("/proc/self/fd/{number}")).context("open the pipe")?;
        ensure!(pipe.metadata()?.file_type().is_fifo(), "{MARK} names what is no pipe");
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).context("read the pipe")?;
        for entry in bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let equals = entry.iter().position(|byte| *byte == b'=').context("read a variable")?;
            let (name, value) = (entry[..equals].to_vec(), entry[equals + 1..].to_vec());
            vars.push((OsString::from_vec(name), OsString::from_vec(value)));
        }
        named_again()?;
        Ok(vars)
    }

    /// Gives the process its name again, which lists of processes show: it is that of
    /// `/proc/self/exe`.
    fn named_again() -> Result<()> {
        let started = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&started).file_name().unwrap_or_default();
        rustix::thread::set_name(&CString::new(name.as_bytes())?).context("name the process")
    }
}
