//! What the words before the cursor ask for.

use clap::{Arg, Command};

/// What may stand at the cursor.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    pub value: String,
    /// One line; empty for none.
    pub help: String,
}

/// The names that the project at hand has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Packages,
    Bins,
    Features,
    Profiles,
    Targets,
    Platforms,
}

/// The place of the cursor in the command line.
#[derive(Debug)]
pub struct Cursor<'a> {
    command: &'a Command,
    place: Place<'a>,
    /// The values of options so far, by the options' names.
    given: Vec<(&'a str, String)>,
    word: &'a str,
}

#[derive(Debug)]
enum Place<'a> {
    /// The value of this option, before the value with this index.
    Value(&'a Arg, usize),
    /// An option, or else the subcommand or value with this index.
    Open(usize),
    /// Arguments of another program.
    Foreign,
}

impl Names {
    /// The names that an argument takes.
    fn of(arg: &Arg) -> Option<Names> {
        Some(match arg.get_id().as_str() {
            "package" => Names::Packages,
            "bin" => Names::Bins,
            "features" => Names::Features,
            "profile" => Names::Profiles,
            "target" => Names::Targets,
            "platform" => Names::Platforms,
            _ => return None,
        })
    }
}

impl<'a> Cursor<'a> {
    /// Finds the place; `before` are the words after the program. clap has built the command.
    pub fn find(command: &'a Command, before: &[String], word: &'a str) -> Cursor<'a> {
        let mut cursor = Cursor { command, place: Place::Open(0), given: Vec::new(), word };
        for word in before {
            cursor.place = match cursor.place {
                Place::Foreign => Place::Foreign,
                Place::Value(option, at) => {
                    cursor.given.push((option.get_id().as_str(), word.clone()));
                    Place::Open(at)
                }
                Place::Open(_) if word == "--" => Place::Foreign,
                Place::Open(at) if word.starts_with('-') => match cursor.option(word) {
                    Some((option, None)) => Place::Value(option, at),
                    Some((option, Some(value))) => {
                        cursor.given.push((option.get_id().as_str(), value.to_owned()));
                        Place::Open(at)
                    }
                    None => Place::Open(at),
                },
                Place::Open(at) => match cursor.command.find_subcommand(word).filter(|_| at == 0) {
                    Some(subcommand) => {
                        cursor.command = subcommand;
                        Place::Open(0)
                    }
                    None => Place::Open(at + 1),
                },
            };
        }
        cursor
    }

    /// The value that an option has so far.
    pub fn value_of(&self, id: &str) -> Option<&str> {
        let given = self.given.iter().rev().find(|(name, _)| *name == id);
        given.map(|(_, value)| &**value)
    }

    /// What may stand here. `names` has two lists: the second counts where nothing in the first
    /// begins like the word.
    pub fn candidates(&self, names: impl Fn(Names) -> [Vec<String>; 2]) -> Vec<Candidate> {
        let mut found = match self.place {
            Place::Foreign => Vec::new(),
            Place::Value(option, _) => values(option, "", self.word, names),
            Place::Open(_) if self.word.starts_with('-') => match self.option(self.word) {
                Some((option, Some(value))) => {
                    let before = &self.word[..self.word.len() - value.len()];
                    values(option, before, value, names)
                }
                _ => self.options(),
            },
            Place::Open(at) => {
                let mut found = if at == 0 { self.subcommands() } else { Vec::new() };
                let all: Vec<&Arg> = self.command.get_positionals().collect();
                if let Some(arg) = all.get(at).or(all.last()).filter(|arg| !arg.is_last_set()) {
                    found.extend(values(arg, "", self.word, names));
                }
                found
            }
        };
        // A shell would act on other characters, and so would who runs what it put there.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:@+".contains(c);
        found.retain(|it| it.value.starts_with(self.word) && it.value.chars().all(is_plain));
        found
    }

    /// The option that takes a value by this word, and the value where the word holds it too.
    fn option<'w>(&self, word: &'w str) -> Option<(&'a Arg, Option<&'w str>)> {
        let mut all = self.command.get_arguments().filter(|arg| arg.get_action().takes_values());
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            return Some((all.find(|arg| arg.get_long() == Some(name))?, value));
        }
        let all: Vec<&Arg> = all.collect();
        let letters = word.strip_prefix('-')?.char_indices();
        let mut taking = letters.filter_map(|(at, letter)| {
            let option = all.iter().find(|arg| arg.get_short() == Some(letter))?;
            Some((*option, &word[1 + at + letter.len_utf8()..]))
        });
        let (option, value) = taking.next()?;
        Some((option, (!value.is_empty()).then_some(value)))
    }

    fn options(&self) -> Vec<Candidate> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let names = |arg: &'a Arg| {
            let short = arg.get_short().map(|letter| format!("-{letter}"));
            let long = arg.get_long().map(|name| format!("--{name}"));
            // A short name is offered to who typed no more than its dash.
            short.filter(|_| self.word == "-").into_iter().chain(long)
        };
        let one = |arg: &'a Arg| {
            let help = first_line(arg.get_help());
            names(arg).map(move |value| Candidate { value, help: help.clone() })
        };
        shown.flat_map(one).collect()
    }

    fn subcommands(&self) -> Vec<Candidate> {
        let shown = self.command.get_subcommands().filter(|command| !command.is_hide_set());
        let one = |command: &Command| Candidate {
            value: command.get_name().to_owned(),
            help: first_line(command.get_about()),
        };
        shown.map(one).collect()
    }
}

/// The values of an argument, for a word that begins with `before`. In a list, the last is
/// completed.
fn values(
    arg: &Arg,
    before: &str,
    word: &str,
    names: impl Fn(Names) -> [Vec<String>; 2],
) -> Vec<Candidate> {
    let start = arg.get_value_delimiter().and_then(|comma| Some(word.rfind(comma)? + 1));
    let (listed, word) = word.split_at(start.unwrap_or(0));
    let value =
        |name: &str, help: String| Candidate { value: format!("{before}{listed}{name}"), help };
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|it| !it.is_hide_set());
        return shown.map(|it| value(it.get_name(), first_line(it.get_help()))).collect();
    }
    let Some(kind) = Names::of(arg) else { return Vec::new() };
    let [first, all] = names(kind);
    let begins = |name: &String| name.starts_with(word);
    let mut names = if first.iter().any(begins) { first } else { all };
    names.sort();
    names.dedup();
    names.iter().map(|name| value(name, String::new())).collect()
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
