//! Completion, for the shells and for kubectl.
//!
//! kubectl completes a plugin's words by running `kubectl_complete-view_secret`:
//! this program under that name. It expects what cobra's `__complete` prints:
//! <https://github.com/kubernetes/kubernetes/pull/105867>.

use std::ffi::OsString;

use anyhow::Result;
use clap::{FromArgMatches, ValueEnum};
use clap_complete::Shell;

use crate::args::{self, Args, Format};
use crate::kubectl;

/// What the program's name begins with when kubectl asks for candidates.
pub const PREFIX: &str = "kubectl_complete-";

/// Cobra's ShellCompDirectiveDefault, by which the shell offers files, and
/// ShellCompDirectiveNoFileComp.
const FILES: &str = ":0\n";
const NO_FILES: &str = ":4\n";

/// The script that completes `program` in `shell`.
pub fn script(shell: Shell, program: &str) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(""), program, &mut script);
    script
}

/// The candidates for the last of `words`, one a line, and the directive.
pub fn candidates(words: &[OsString]) -> Result<String> {
    let Some((last, before)) = words.split_last() else {
        return Ok(NO_FILES.to_owned());
    };
    let last = last.to_string_lossy();
    let flag = before.last().map_or("".into(), |word| word.to_string_lossy());
    let found = match &*flag {
        "-k" | "--kubeconfig" => return Ok(FILES.to_owned()),
        "-o" | "--output" => {
            let formats = Format::value_variants().iter().filter_map(Format::to_possible_value);
            formats.map(|format| format.get_name().to_owned()).collect()
        }
        "--as" | "--as-group" | "--completion" => Vec::new(),
        _ if last.starts_with('-') => {
            let command = args::command("");
            command
                .get_arguments()
                .filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
                .collect()
        }
        _ => asked(before, &flag)?,
    };
    let fitting = found.iter().filter(|candidate| candidate.starts_with(&*last));
    Ok(fitting.map(|candidate| format!("{candidate}\n")).collect::<String>() + NO_FILES)
}

/// What kubectl knows that can follow the words `before`, `flag` the last of them.
fn asked(before: &[OsString], flag: &str) -> Result<Vec<String>> {
    // The line is unfinished, so what does not parse yet is passed over.
    let command = args::command("").ignore_errors(true).no_binary_name(true);
    let matches = command.try_get_matches_from(before)?;
    let Args { secret, key, cluster, .. } = Args::from_arg_matches(&matches)?;
    match (flag, secret, key) {
        ("-n" | "--namespace", _, _) => kubectl::names(&cluster, "namespaces"),
        ("-c" | "--context", _, _) => kubectl::contexts(&cluster),
        (_, None, _) => kubectl::names(&cluster, "secrets"),
        (_, Some(name), None) => {
            Ok(kubectl::secret(&cluster, &name)?.keys().map(str::to_owned).collect())
        }
        (_, Some(_), Some(_)) => Ok(Vec::new()),
    }
}
