//! Whether the bot of krew's index approves a change of an entry by itself, told from the
//! two texts alone. What it looks at are the lines of the diff, and so does this.
//! <https://github.com/ahmetb/krew-index-autoapprove/blob/9290124/bump/bump.go>

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::platform::At;
use super::sheet::Sheet;
use crate::finding::Finding;
use crate::yaml::{self, Edit, Node};

/// In lines: how much a diff shows around a change, as GitHub serves it.
const CONTEXT: usize = 3;

/// What Go's `\s` matches.
const SPACE: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

/// Why the bot would leave a change to a person, or a careful person would not take it:
/// each is an error. None where the texts are the same line by line but for values of
/// `version`, `uri` and `sha256`, the version rises and is no pre-release, and each uri
/// differs in the version alone.
///
/// `before` and `after` are what the entry `file` holds and is to hold. Places are those of
/// `after`.
pub fn objections(before: &str, after: &str, file: &Path) -> Vec<Finding> {
    let mut sheet = Sheet::new(file);
    if file.extension().is_none_or(|extension| extension != "yaml") {
        let why = "the bot looks at files whose names end with .yaml";
        sheet.error("approval-file", (1, 1), why, "name the file by its plugin and .yaml");
    }
    values(&mut sheet, before, after);
    let (old, new) = (lines(before), lines(after));
    if old.len() != new.len() {
        let why = format!(
            "the entry has {} lines and would have {}, and the bot takes changed lines alone",
            old.len(),
            new.len()
        );
        let fix = "change values only, or have a person review it";
        sheet.error("approval-lines", first_change(before, after), why, fix);
        if let (Some((from, _)), Some((to, at))) = (version(before), version(after)) {
            rises(&mut sheet, at, &from, &to);
        }
        return sheet.findings;
    }
    moved(&mut sheet, &old, &new);
    let hunks = hunks(&old, &new);
    let Some((from, to)) = versions(&mut sheet, &hunks, after) else { return sheet.findings };
    let (from, to) = (from.strip_prefix('v').unwrap_or(&from), to.strip_prefix('v').unwrap_or(&to));
    let mut uris = false;
    for hunk in &hunks {
        uris |= hunk_uris(&mut sheet, hunk, from, to);
    }
    if !uris {
        let why = "no uri changes, and the bot takes no version without one";
        let fix = "have a person review it, or serve each version at an address of its own";
        let uri = yaml::parse(after).unwrap_or_default().first().and_then(first_uri);
        sheet.error("approval-uri-unchanged", uri.unwrap_or((1, 1)), why, fix);
    }
    sheet.findings
}

/// The plugin's version in an entry, and where it stands; `None` where there is none.
pub fn version(text: &str) -> Option<(String, At)> {
    let documents = yaml::parse(text).ok()?;
    let version = documents.first()?.get("spec")?.get("version")?;
    Some((version.text()?.to_owned(), (version.line, version.column)))
}

/// The lines of a text as git tells them: the last may have no line break.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The first line in which two texts differ.
fn first_change(before: &str, after: &str) -> At {
    let same = lines(before).iter().zip(&lines(after)).take_while(|(old, new)| old == new).count();
    (same + 1, 1)
}

/// A line as the bot reads it.
/// <https://github.com/sourcegraph/go-diff/blob/v0.5.1/diff/reader_util.go>
fn bare(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Finds what is more than a change of the values that a new version has, though it may
/// look like one, as in a description. The bot passes over it.
fn values(sheet: &mut Sheet<'_>, before: &str, after: &str) {
    let parsed = (yaml::parse(before), yaml::parse(after));
    let (was, is) = match parsed {
        (Ok(was), Ok(is)) => (was, is),
        (Err(fault), _) | (_, Err(fault)) => {
            let fix = "write plain YAML, as krew's guide has it";
            return sheet.error("approval-yaml", (fault.line, fault.column), fault.why, fix);
        }
    };
    let mut found = Vec::new();
    let mut documents = was.iter().zip(&is);
    let same_shape = was.len() == is.len()
        && documents.all(|(was, is)| match yaml::differences(was, is) {
            Some(differences) => {
                found.extend(differences);
                true
            }
            None => false,
        });
    let fix = "change values of version, uri and sha256 only, or have a person review it";
    if !same_shape {
        let why = "fields or entries are added, left out or moved";
        return sheet.error("approval-shape", first_change(before, after), why, fix);
    }
    let known = was.first().map(bumped).unwrap_or_default();
    for (was, is) in &found {
        if !known.contains(&was.span.start) {
            let why = "a value changes that is not the plugin's version, a uri or a sha256";
            sheet.error("approval-value", (is.line, is.column), why, fix);
        }
    }
    let edit = |(was, is): &(&Node, &Node)| Edit {
        span: was.span.clone(),
        text: after[is.span.clone()].to_owned(),
    };
    let expected = yaml::replace(before, &found.iter().map(edit).collect::<Vec<_>>());
    if expected != after {
        let why = "more changes than values: a comment, a quote, space or the end of a line";
        sheet.error("approval-format", first_change(&expected, after), why, fix);
    }
}

fn first_uri(document: &Node) -> Option<At> {
    let platforms = document.get("spec")?.get("platforms")?.items()?;
    platforms.iter().find_map(|it| it.get("uri")).map(|uri| (uri.line, uri.column))
}

/// Where the values stand that a new version changes.
fn bumped(document: &Node) -> BTreeSet<usize> {
    let Some(spec) = document.get("spec") else { return BTreeSet::new() };
    let platforms = spec.get("platforms").and_then(Node::items).unwrap_or_default();
    let of_each = platforms.iter().flat_map(|it| [it.get("uri"), it.get("sha256")]);
    let all = std::iter::once(spec.get("version")).chain(of_each);
    all.flatten().map(|node| node.span.start).collect()
}

/// Finds lines that a diff may take for moved, so that it shows others instead, and nobody can
/// tell from here what the bot sees: new ones that were there before, and old ones that
/// could be taken for one that stays.
fn moved(sheet: &mut Sheet<'_>, old: &[&str], new: &[&str]) {
    let all_old: BTreeSet<_> = old.iter().collect();
    let back = (0..old.len()).find(|at| old[*at] != new[*at] && all_old.contains(&new[*at]));
    // What stays is found among the old lines from both ends: where that is not the same,
    // there is more than one way.
    let mut left = 0..old.len();
    let first = (0..old.len()).filter(|at| old[*at] == new[*at]);
    let first = first.map(|at| (at, left.find(|other| old[*other] == new[at])));
    let first = first.collect::<Vec<_>>().into_iter();
    let mut left = (0..old.len()).rev();
    let last = (0..old.len()).rev().filter(|at| old[*at] == new[*at]);
    let last = last.map(|at| (at, left.find(|other| old[*other] == new[at])));
    let other = first.chain(last).find(|(at, found)| *found != Some(*at)).map(|(at, _)| at);
    if let Some(at) = back.or(other) {
        let why = "the line stood or stands elsewhere too, and a diff may show others for it";
        let fix = "have a person review it, or keep the entries in their order";
        sheet.error("approval-line-moved", (at + 1, 1), why, fix);
    }
}

/// One piece of the diff.
struct Hunk<'a> {
    /// Each line that changes: its number from 1, as it was and as it is.
    changed: Vec<(usize, &'a str, &'a str)>,
    /// As a diff writes it.
    body: String,
}

/// The diff of two texts of as many lines, in which no changed line stands anywhere else.
fn hunks<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Hunk<'a>> {
    let changed: Vec<usize> = (0..old.len()).filter(|at| old[*at] != new[*at]).collect();
    // Two that would share their context are one.
    let groups = changed.chunk_by(|one, next| next - one <= 2 * CONTEXT + 1);
    let hunk = |group: &[usize]| {
        let (first, last) = (group[0], group[group.len() - 1]);
        let range = first.saturating_sub(CONTEXT)..(last + 1 + CONTEXT).min(old.len());
        let mut body = String::new();
        let mut line = |sign: char, text: &str| {
            body.push(sign);
            body.push_str(bare(text));
            body.push('\n');
        };
        let mut at = range.start;
        while at < range.end {
            let run = (at..range.end).take_while(|at| old[*at] != new[*at]).count();
            if run == 0 {
                line(' ', old[at]);
            }
            old[at..at + run].iter().for_each(|text| line('-', text));
            new[at..at + run].iter().for_each(|text| line('+', text));
            at += run.max(1);
        }
        Hunk { changed: group.iter().map(|at| (at + 1, old[*at], new[*at])).collect(), body }
    };
    groups.map(hunk).collect()
}

/// The versions that the bot finds in the diff, as they are written; `None` where it finds
/// no change of one, or cannot read it.
fn versions(sheet: &mut Sheet<'_>, hunks: &[Hunk<'_>], after: &str) -> Option<(String, String)> {
    let at = version(after).map_or((1, 1), |(_, at)| at);
    let found = hunks.iter().map(|hunk| (written(&hunk.body, '-'), written(&hunk.body, '+')));
    let first = found.into_iter().find(|(old, new)| old.is_some() || new.is_some());
    let Some((Some(from), Some(to))) = first else {
        let fix = "raise the version: what was released under one stays as it is";
        sheet.error("approval-version-unchanged", at, "the version does not change", fix);
        return None;
    };
    rises(sheet, at, &from, &to).then_some((from, to))
}

/// Looks at two versions; whether both are some.
fn rises(sheet: &mut Sheet<'_>, at: At, from: &str, to: &str) -> bool {
    let mut parsed = Vec::new();
    for text in [from, to] {
        parsed.extend(semantic(text));
        if semantic(text).is_none() {
            let why = format!("the bot reads {text:?} for a version, and cannot");
            let fix = "write it as v1.2.3, with nothing behind it and no single quotes";
            sheet.error("approval-version-form", at, why, fix);
        }
    }
    let [was, is] = &parsed[..] else { return false };
    let (from, to) = (from.trim(), to.trim());
    match is.cmp_precedence(was) {
        Ordering::Greater => {}
        Ordering::Equal => {
            let why = format!("the version is {from} already, and has to rise");
            let fix = "raise the version: what was released under one stays as it is";
            sheet.error("approval-version-order", at, why, fix);
        }
        Ordering::Less => {
            let why = format!("the version goes back from {from} to {to}, and has to rise");
            let fix = "release a version that is higher than the one in the index";
            sheet.error("approval-version-order", at, why, fix);
        }
    }
    if !is.pre.is_empty() {
        let why = format!("{to} is a pre-release, to which everybody would be upgraded");
        sheet.error("approval-pre-release", at, why, "release the version itself");
    }
    true
}

/// What stands behind `version:` in a hunk's first line with the sign: the bot's
/// `\-\s+version:\s?(.+)`, which looks at all of the hunk, without the quotes around it.
fn written(body: &str, sign: char) -> Option<String> {
    let group = |at: usize| {
        let rest = &body[at + 1..];
        let name = rest.trim_start_matches(SPACE);
        let value = name.strip_prefix("version:").filter(|_| name.len() < rest.len())?;
        // The space is left to the value, where there is nothing else for it.
        let without = value.strip_prefix(SPACE).filter(|rest| !rest.is_empty());
        let without = without.filter(|rest| !rest.starts_with('\n'));
        let value = without.unwrap_or(value).split('\n').next().unwrap_or_default();
        (!value.is_empty()).then(|| value.trim_matches('"').to_owned())
    };
    body.match_indices(sign).find_map(|(at, _)| group(at))
}

/// A version as Kubernetes reads one, which lets space around it pass, and no `v`.
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/util/version/version.go>
fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.trim_start_matches(SPACE);
    let text = text.strip_prefix('v').unwrap_or(text).trim_end_matches(SPACE);
    semver::Version::parse(text).ok()
}

/// What the bot takes a changed line for.
enum Line<'a> {
    Version,
    Sha256,
    /// With all that stands behind it, but for double quotes.
    Uri(&'a str),
}

/// `^[\+\-]\s+version:\s`, and the like for the two others, before which may stand a dash.
fn read(line: &str) -> Option<Line<'_>> {
    let line = bare(line);
    let field = line.trim_start_matches(SPACE);
    if field.len() == line.len() {
        return None;
    }
    if field.strip_prefix("version:").is_some_and(|rest| rest.starts_with(SPACE)) {
        return Some(Line::Version);
    }
    let field = field.strip_prefix("- ").unwrap_or(field);
    let value = |name: &str| field.strip_prefix(name)?.strip_prefix(SPACE);
    match value("uri:") {
        Some(uri) => Some(Line::Uri(uri.trim_matches('"'))),
        None => value("sha256:").map(|_| Line::Sha256),
    }
}

/// Looks at the lines of a hunk; whether one is a uri's. Each old one with the old version
/// replaced has to be among the new ones of the hunk, and no other one.
fn hunk_uris(sheet: &mut Sheet<'_>, hunk: &Hunk<'_>, from: &str, to: &str) -> bool {
    let (mut olds, mut news) = (BTreeMap::new(), BTreeMap::new());
    for (number, old, new) in &hunk.changed {
        let at = (*number, 1 + new.chars().take_while(|c| SPACE.contains(c)).count());
        for (line, uris) in [(old, &mut olds), (new, &mut news)] {
            match read(line) {
                Some(Line::Uri(uri)) => drop(uris.insert(uri, at)),
                Some(Line::Version | Line::Sha256) => {}
                None => {
                    let why = format!(
                        "the bot takes no line for a change of version that is {:?}",
                        line.trim()
                    );
                    let fix = "write `version: `, `uri: ` and `sha256: ` each in a line of its own";
                    sheet.error("approval-line", at, why, fix);
                    break;
                }
            }
        }
    }
    for (uri, at) in &olds {
        let expected = uri.replace(from, to);
        if news.remove(&*expected).is_none() {
            let why = format!(
                "{:?} with the new version is {:?}, which is not among the new ones",
                uri.trim(),
                expected.trim()
            );
            let fix = "serve the new version as the old one was, or have a person review it";
            sheet.error("approval-uri", *at, why, fix);
        }
    }
    for (uri, at) in news {
        let why = format!("{:?} is no old uri with the new version", uri.trim());
        let fix = "serve the new version as the old one was, or have a person review it";
        sheet.error("approval-uri", at, why, fix);
    }
    !olds.is_empty()
}

#[cfg(test)]
mod tests;
