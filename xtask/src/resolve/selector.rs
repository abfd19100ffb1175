//! Selectors of labels, as kubectl reads them.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

use std::str::FromStr;

use anyhow::{Error, Result, bail, ensure};

use crate::yaml::Node;

/// Requirements that an object's labels all meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// An object without the label meets it, too.
    NotIn(Vec<String>),
}

/// What a selector may look like, for errors.
const FORMS: &str = "a selector has the forms KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), \
                     KEY and !KEY, with commas between them";

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Selector> {
        let requirements = split(text)?.into_iter().map(requirement);
        let requirements: Vec<Requirement> = requirements.collect::<Result<_>>()?;
        ensure!(!requirements.is_empty(), "it is empty: {FORMS}");
        Ok(Selector(requirements))
    }
}

impl Selector {
    /// Whether the labels of an object meet all requirements.
    pub fn selects(&self, object: &Node) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)?.text());
        self.0.iter().all(|Requirement { key, test }| match (test, label(key)) {
            (Test::Exists, found) => found.is_some(),
            (Test::Absent, found) => found.is_none(),
            (Test::In(values), found) => {
                found.is_some_and(|found| values.iter().any(|value| value == found))
            }
            (Test::NotIn(values), found) => {
                found.is_none_or(|found| values.iter().all(|value| value != found))
            }
        })
    }
}

/// The requirements: a comma in brackets separates values instead.
fn split(text: &str) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut begin, mut within) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if !within => within = true,
            ')' if within => within = false,
            '(' | ')' => bail!("a bracket is out of place in {text:?}: {FORMS}"),
            ',' if !within => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    ensure!(!within, "a bracket is not closed in {text:?}: {FORMS}");
    parts.push(&text[begin..]);
    Ok(parts.into_iter().map(str::trim).collect())
}

fn requirement(text: &str) -> Result<Requirement> {
    let made = |key: &str, test| Ok(Requirement { key: checked_key(key)?, test });
    if let Some(key) = text.strip_prefix('!') {
        return made(key, Test::Absent);
    }
    if let Some(open) = text.find('(') {
        let Some(list) = text[open + 1..].strip_suffix(')') else {
            bail!("there is more behind the bracket in {text:?}: {FORMS}");
        };
        let values = list.split(',').map(checked_value).collect::<Result<Vec<_>>>()?;
        let words: Vec<&str> = text[..open].split_whitespace().collect();
        return match words[..] {
            [key, "in"] => made(key, Test::In(values)),
            [key, "notin"] => made(key, Test::NotIn(values)),
            _ => bail!("{text:?} is not understood: {FORMS}"),
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return made(key, Test::NotIn(vec![checked_value(value)?]));
    }
    match text.split_once('=') {
        Some((key, value)) => {
            let value = value.strip_prefix('=').unwrap_or(value);
            made(key, Test::In(vec![checked_value(value)?]))
        }
        None => made(text, Test::Exists),
    }
}

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
fn is_label(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63 && text.chars().all(plain) && text.starts_with(ends) && text.ends_with(ends)
}

fn checked_key(key: &str) -> Result<String> {
    let key = key.trim();
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(a, b)| (Some(a), b));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let valid = is_label(name)
        && prefix.is_none_or(|prefix| !prefix.is_empty() && prefix.chars().all(plain));
    ensure!(valid, "{key:?} is not the key of a label: {FORMS}");
    Ok(key.to_owned())
}

fn checked_value(value: &str) -> Result<String> {
    let value = value.trim();
    ensure!(value.is_empty() || is_label(value), "{value:?} is not the value of a label: {FORMS}");
    Ok(value.to_owned())
}
