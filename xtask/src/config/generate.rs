//! The settings for files that a program generates.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Scope, schema};
use crate::finding::{Finding, suggest};
use crate::template;

/// The name of the value `{{ out }}`.
pub const OUT: &str = "out";

/// An entry of `generate` as typed. Its types are those of the example in `default.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GeneratorKeys {
    bin: Option<String>,
    args: Option<Vec<String>>,
    stdout: Option<String>,
    files: Option<Vec<String>>,
}

/// One call of a program that writes files for archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    /// The program; `None` for the first that is built.
    pub bin: Option<String>,
    /// Each is a template that may name [`OUT`].
    pub args: Vec<String>,
    pub output: Output,
}

/// Which output of the program is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Its stdout, under this name.
    Stdout(String),
    /// The files that it writes and that match these patterns.
    Files(Vec<String>),
}

/// The names or patterns, separated by commas.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Stdout(name) => f.write_str(name),
            Output::Files(patterns) => f.write_str(&patterns.join(", ")),
        }
    }
}

/// Why a file in an archive cannot have this name on some system; `None` where it can.
pub fn unfit(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name == "." || name == ".." {
        Some("it is a folder")
    } else if name.contains(['/', '\\']) {
        Some("archives are flat")
    } else if name.contains(':') {
        Some("Windows takes what is before a colon for a drive")
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character")
    } else {
        None
    }
}

/// Resolves the entries. Every fault becomes a finding.
pub fn generators(
    scope: &Scope<'_>,
    keys: Vec<GeneratorKeys>,
    bins: &[&str],
    findings: &mut Vec<Finding>,
) -> Vec<Generator> {
    let entries = keys.into_iter().enumerate();
    entries.filter_map(|(at, keys)| generator(scope, at, keys, bins, findings)).collect()
}

fn generator(
    scope: &Scope<'_>,
    at: usize,
    keys: GeneratorKeys,
    bins: &[&str],
    findings: &mut Vec<Finding>,
) -> Option<Generator> {
    let entry = format!("archive.generate[{at}]");
    let before = findings.len();
    let mut fault = |key: &str, why: String, fix: &str| {
        let place = scope.place(&format!("{entry}{key}"));
        findings.push(Finding::error("config-generate", place, why, fix));
    };
    if let Some(bin) = keys.bin.as_ref().filter(|bin| !bins.contains(&&***bin)) {
        let why = format!("{bin:?} is not a released binary of the package");
        let all = format!("name one of {}", bins.join(", "));
        fault(".bin", why, &suggest(bin, bins.iter().copied(), &all));
    }
    let example = schema::example("archive.generate");
    if keys.args.is_none() {
        fault("", "it has no `args`".to_owned(), &example);
    }
    for arg in keys.args.iter().flatten() {
        if let Err(error) = template::render(arg, &[(OUT, "")]) {
            fault(".args", error.to_string(), "use no other name");
        }
    }
    let plain = "name a file without a folder, such as \"mytool.bash\"";
    let output = match (keys.stdout, keys.files) {
        (Some(name), None) => {
            if let Some(why) = unfit(&name) {
                fault(".stdout", format!("{name:?} cannot be a file name: {why}"), plain);
            }
            Some(Output::Stdout(name))
        }
        (None, Some(patterns)) => {
            if patterns.is_empty() {
                fault(".files", "it names no files".to_owned(), &example);
            }
            for pattern in &patterns {
                let bad = glob::Pattern::new(pattern).err().map(|error| error.to_string());
                if let Some(why) = unfit(pattern).map(str::to_owned).or(bad) {
                    let why = format!("{pattern:?} cannot match a file name: {why}");
                    fault(".files", why, "match files of the folder itself, such as \"*.1\"");
                }
            }
            Some(Output::Files(patterns))
        }
        (Some(_), Some(_)) => {
            let why = "it has both `stdout` and `files`".to_owned();
            fault("", why, "keep one, and add another entry for the other");
            None
        }
        (None, None) => {
            fault("", "it has neither `stdout` nor `files`".to_owned(), &example);
            None
        }
    };
    let sound = findings.len() == before;
    Some(Generator { bin: keys.bin, args: keys.args?, output: output? }).filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_one_everywhere() {
        for name in ["mytool.bash", "_mytool", "a b", ".hidden", "..a", "für", "-x"] {
            assert_eq!(unfit(name), None, "{name:?}");
        }
        for (name, why) in [
            ("", "it is empty"),
            (".", "it is a folder"),
            ("..", "it is a folder"),
            ("a/b", "archives are flat"),
            ("/a", "archives are flat"),
            ("..\\a", "archives are flat"),
            ("C:a", "Windows takes what is before a colon for a drive"),
            ("a\nb", "it holds a control character"),
            ("a\0", "it holds a control character"),
        ] {
            assert_eq!(unfit(name), Some(why), "{name:?}");
        }
    }
}
