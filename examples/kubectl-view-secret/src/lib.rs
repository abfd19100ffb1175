//! `kubectl view-secret`: shows a Kubernetes secret decoded.
//!
//! The secret comes from `kubectl get secret … -o json`, so kubectl's own
//! configuration, credentials and errors hold here too.

mod args;
mod choose;
mod complete;
mod decode;
mod kubectl;
mod output;
mod yaml;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::FromArgMatches;

use crate::args::Args;
use crate::kubectl::Secret;
use crate::output::Entry;

/// Runs the program on this process's arguments. `version` is what `--version`
/// says; without one it is the package's own.
///
/// Returns 0, 1 for an error, which it has printed, or 2 for a wrong command line.
pub fn main(version: Option<&'static str>) -> ExitCode {
    let (code, message) = match run(version.unwrap_or(env!("CARGO_PKG_VERSION"))) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => match error.downcast::<clap::Error>() {
            Ok(usage) => (2, usage.to_string()),
            Err(error) => (1, format!("error: {error:#}\n")),
        },
    };
    // With stderr gone there is nobody left to tell, and the code says it still.
    match write(io::stderr(), message.as_bytes()) {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

fn run(version: &'static str) -> Result<()> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let program = words.first().map(Path::new).and_then(Path::file_name);
    let program = program.unwrap_or(OsStr::new("kubectl-view-secret")).to_string_lossy();
    if program.starts_with(complete::PREFIX) {
        return write(io::stdout(), complete::candidates(&words[1..])?.as_bytes());
    }
    let parsed = args::command(version).try_get_matches_from(&words);
    let args = match parsed.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(asked) if !asked.use_stderr() => {
            return write(io::stdout(), asked.to_string().as_bytes());
        }
        Err(wrong) => return Err(wrong.into()),
    };
    match args.completion {
        Some(shell) => write(io::stdout(), &complete::script(shell, &program)),
        None => view(&args),
    }
}

fn view(args: &Args) -> Result<()> {
    let secret = match &args.secret {
        Some(name) => kubectl::secret(&args.cluster, name)?,
        None => chosen_secret(kubectl::secrets(&args.cluster)?)?,
    };
    let entries = chosen_keys(&secret, args)?
        .into_iter()
        .map(|key| {
            let value = decode::decode(&secret.kind, secret.value(key)).with_context(|| {
                format!("cannot decode key {key:?} of secret {:?}", secret.metadata.name)
            })?;
            Ok(Entry { key, value })
        })
        .collect::<Result<Vec<_>>>()?;
    write(io::stdout(), &output::render(&secret, &entries, args.output)?)
}

/// Asks which of `secrets` is meant.
fn chosen_secret(mut secrets: Vec<Secret>) -> Result<Secret> {
    if secrets.is_empty() {
        bail!("no secrets found");
    }
    let names: Vec<&str> = secrets.iter().map(|secret| secret.metadata.name.as_str()).collect();
    let title = format!("Found {} secrets. Choose one.", names.len());
    let instead = format!("name the SECRET\n{}", choose::available(&names));
    let index = choose::choose(&title, &names, &instead)?;
    Ok(secrets.swap_remove(index))
}

/// Which keys to show, in order: a secret's only key is shown whatever KEY says,
/// as the plugin of this name has always done, and says so on stderr.
fn chosen_keys<'a>(secret: &'a Secret, args: &Args) -> Result<Vec<&'a str>> {
    let keys: Vec<&str> = secret.keys().collect();
    match (keys.as_slice(), &args.key) {
        ([], _) => bail!("secret is empty"),
        _ if args.all => Ok(keys),
        ([only], _) => {
            if !args.quiet {
                let note = format!("Viewing only available key: {}\n", choose::printable(only));
                write(io::stderr(), note.as_bytes())?;
            }
            Ok(keys)
        }
        (_, Some(wanted)) => match keys.iter().find(|key| *key == wanted) {
            Some(key) => Ok(vec![key]),
            None => bail!("provided key not found in secret\n{}", choose::available(&keys)),
        },
        (_, None) => {
            let name = &secret.metadata.name;
            let title = format!(
                "Found {} keys in secret {name:?}. Choose one or select 'all' to view.",
                keys.len()
            );
            let items: Vec<&str> = std::iter::once("all").chain(keys.iter().copied()).collect();
            let instead = format!("name a KEY, or give --all\n{}", choose::available(&keys));
            match choose::choose(&title, &items, &instead)? {
                0 => Ok(keys),
                index => Ok(vec![items[index]]),
            }
        }
    }
}

/// Writes `bytes` to `stream`, one of the standard two. A reader that has gone,
/// as `head` does, has had what it wanted: that is no error.
fn write(mut stream: impl Write, bytes: &[u8]) -> Result<()> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the output")
        }
        _ => Ok(()),
    }
}
