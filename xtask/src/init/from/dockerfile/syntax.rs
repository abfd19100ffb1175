//! The syntax of Dockerfiles: instructions, their flags and words.
//! <https://docs.docker.com/reference/dockerfile/>

use crate::yaml::SyntaxError;

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// In upper case.
    pub name: String,
    /// The names and values of `--name=value`, without the dashes.
    pub flags: Vec<(String, String)>,
    /// What follows the flags, in one line.
    pub rest: String,
    /// Whether it has here-documents, whose lines are left out.
    pub has_heredoc: bool,
    /// From 1.
    pub line: usize,
}

/// The instructions that builders know.
const KNOWN: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Those that may have here-documents.
const WITH_HEREDOC: [&str; 3] = ["RUN", "COPY", "ADD"];

/// More than this is no file that a person wrote.
const MOST: usize = 10_000;

/// The character that quotes the next one and joins lines.
pub type Escape = char;

/// Parses a Dockerfile: its escape character, and its instructions, of which one is `FROM`.
pub fn parse(text: &str) -> Result<(Escape, Vec<Instruction>), SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = at + 1;
        let (joined, next) = join(&lines, at, escape);
        at = next;
        if joined.trim().is_empty() {
            continue;
        }
        let mut instruction = instruction(joined.trim(), line)?;
        if WITH_HEREDOC.contains(&&*instruction.name) {
            for end in heredocs(&instruction.rest) {
                instruction.has_heredoc = true;
                let mut ends = lines[at.min(lines.len())..].iter();
                let Some(length) = ends.position(|line| line.trim_start_matches('\t') == end)
                else {
                    return Err(fault(line, format!("the here-document {end} has no end")));
                };
                at += length + 1;
            }
        }
        found.push(instruction);
        if found.len() > MOST {
            return Err(fault(line, format!("it has more than {MOST} instructions")));
        }
    }
    if found.iter().all(|it| it.name != "FROM") {
        return Err(fault(1, "it has no FROM".to_owned()));
    }
    Ok((escape, found))
}

fn fault(line: usize, why: String) -> SyntaxError {
    SyntaxError { line, column: 1, why }
}

/// The escape character that a comment at the beginning names.
fn escape(text: &str) -> Escape {
    for line in text.lines() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|it| it.split_once('='))
        else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") && value.trim() == "`" {
            return '`';
        }
    }
    '\\'
}

/// The line at `at`, joined with those that it goes on in, and the number of the line behind.
/// Comments and empty lines among them are skipped.
fn join(lines: &[&str], at: usize, escape: Escape) -> (String, usize) {
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let mut joined = String::new();
    let mut next = at;
    while let Some(line) = lines.get(next) {
        next += 1;
        if is_comment(line) {
            if joined.is_empty() {
                break;
            }
            continue;
        }
        if line.trim().is_empty() {
            if joined.is_empty() {
                break;
            }
            continue;
        }
        match line.trim_end().strip_suffix(escape) {
            Some(part) => joined.push_str(part),
            None => {
                joined.push_str(line);
                break;
            }
        }
    }
    (joined, next)
}

fn instruction(text: &str, line: usize) -> Result<Instruction, SyntaxError> {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let name = name.to_ascii_uppercase();
    if !KNOWN.contains(&&*name) {
        let known = KNOWN.iter().copied();
        let near = crate::finding::suggest(&name, known, "");
        let why = format!("{name:?} is not an instruction");
        let why = if near.is_empty() { why } else { format!("{why}: {near}") };
        return Err(fault(line, why));
    }
    let mut rest = rest.trim();
    let mut flags = Vec::new();
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        flags.push((key.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok(Instruction { name, flags, rest: rest.to_owned(), has_heredoc: false, line })
}

/// The names of the here-documents that follow a line.
fn heredocs(rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in rest.split_whitespace() {
        let Some((before, name)) = word.split_once("<<") else { continue };
        // `<<<` is another thing, and before `<<` may stand the number of a file.
        if !before.bytes().all(|byte| byte.is_ascii_digit()) || name.starts_with('<') {
            continue;
        }
        let name = name.strip_prefix('-').unwrap_or(name);
        let name = name.trim_matches(['"', '\'']);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.is_empty() && name.chars().all(plain) {
            found.push(name.to_owned());
        }
    }
    found
}

impl Instruction {
    /// The value of a flag.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// The arguments, where they are in exec form: a list of JSON.
    pub fn exec(&self) -> Option<Vec<String>> {
        self.rest.starts_with('[').then(|| serde_json::from_str(&self.rest).ok()).flatten()
    }
}

/// Splits a text into words at spaces outside of quotes. Quotes are removed, and variables
/// replaced, but within single quotes. An error is the name of a variable that has no value.
pub fn words(
    text: &str,
    escape: Escape,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if open == c => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, c) if c == escape => {
                // In double quotes only these are special.
                let next = chars.peek().copied();
                let special = next.is_some_and(|it| it == escape || "\"$".contains(it));
                if quote.is_none() || special {
                    word.get_or_insert_default().extend(chars.next());
                } else {
                    word.get_or_insert_default().push(c);
                }
            }
            (_, '$') => word.get_or_insert_default().push_str(&variable(&mut chars, value)?),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The value of the variable whose name follows a `$`.
fn variable(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let in_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(in_name) {
        name.push(c);
    }
    if !braced {
        return if name.is_empty() { Ok("$".to_owned()) } else { value(&name).ok_or(name) };
    }
    let rest: String = chars.by_ref().take_while(|c| *c != '}').collect();
    let known = value(&name);
    if rest.is_empty() {
        return known.ok_or(name);
    }
    let filled = known.clone().filter(|value| !value.is_empty());
    // A word with variables of its own is not looked into.
    let word =
        |text: &str| if text.contains('$') { Err(name.clone()) } else { Ok(text.to_owned()) };
    if let Some(otherwise) = rest.strip_prefix(":-") {
        return filled.map_or_else(|| word(otherwise), Ok);
    }
    if let Some(otherwise) = rest.strip_prefix('-') {
        return known.map_or_else(|| word(otherwise), Ok);
    }
    if let Some(instead) = rest.strip_prefix(":+") {
        return filled.map_or(Ok(String::new()), |_| word(instead));
    }
    Err(name)
}

/// The pairs of ENV, LABEL or ARG: `name=value …`, or the older form `name value`.
pub fn pairs(
    text: &str,
    escape: Escape,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, String> {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !first.contains('=') && !rest.is_empty() {
        let value = words(rest.trim(), escape, value)?.join(" ");
        return Ok(vec![(first.to_owned(), value)]);
    }
    let words = words(text, escape, value)?;
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (word, String::new()),
    };
    Ok(words.into_iter().map(pair).collect())
}

#[cfg(test)]
mod tests;
