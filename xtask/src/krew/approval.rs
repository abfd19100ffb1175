//! Whether the bot of krew's index approves a change of an entry by itself. Like the bot, this
//! looks only at the lines of the diff between the two texts.
//! <https://github.com/ahmetb/krew-index-autoapprove/blob/9290124/bump/bump.go>

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::platform::At;
use super::report::Report;
use crate::finding::Finding;
use crate::yaml::{self, Edit, Node};

/// In lines: the context that GitHub's diffs show around a change.
const CONTEXT: usize = 3;

/// The characters that Go's `\s` matches.
const SPACE: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

/// Why the bot would leave a change to a person, or a careful reviewer would refuse it: each is
/// an error. There are none if the texts differ only in the values of `version`, `uri` and
/// `sha256`, the version rises and is not a pre-release, and each uri differs only in the version.
///
/// `before` and `after` are the old and the new content of `file`. Places are those of `after`.
pub fn objections(before: &str, after: &str, file: &Path) -> Vec<Finding> {
    let mut report = Report::new(file);
    if file.extension().is_none_or(|extension| extension != "yaml") {
        let why = "the bot reads only files whose names end with .yaml";
        report.error("approval-file", (1, 1), why, "name the file after its plugin, with .yaml");
    }
    check_values(&mut report, before, after);
    let (old, new) = (lines(before), lines(after));
    if old.len() != new.len() {
        let why = format!(
            "the entry has {} lines and would have {}: the bot accepts only changed lines",
            old.len(),
            new.len()
        );
        let fix = "change values only, or have a person review it";
        report.error("approval-lines", first_change(before, after), why, fix);
        if let (Some((from, _)), Some((to, at))) = (version(before), version(after)) {
            check_rise(&mut report, at, &from, &to);
        }
        return report.findings;
    }
    check_moved_lines(&mut report, &old, &new);
    let hunks = hunks(&old, &new);
    let Some((from, to)) = versions(&mut report, &hunks, after) else { return report.findings };
    let from = from.strip_prefix('v').unwrap_or(&from);
    let to = to.strip_prefix('v').unwrap_or(&to);
    let mut uris = false;
    for hunk in &hunks {
        uris |= check_hunk(&mut report, hunk, from, to);
    }
    if !uris {
        let why = "no uri changes: the bot accepts no new version without a new uri";
        let fix = "have a person review it, or serve each version at its own address";
        let uri = yaml::parse(after).unwrap_or_default().first().and_then(first_uri);
        report.error("approval-uri-unchanged", uri.unwrap_or((1, 1)), why, fix);
    }
    report.findings
}

/// The plugin's version in an entry, and its place; `None` where there is none.
pub fn version(text: &str) -> Option<(String, At)> {
    let documents = yaml::parse(text).ok()?;
    let version = documents.first()?.get("spec")?.get("version")?;
    Some((version.text()?.to_owned(), (version.line, version.column)))
}

/// The lines of a text as git splits it: the last may have no line break.
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

/// Reports every change but those of the values that a new version has. The bot overlooks
/// some, such as a line in a description that looks like a version.
fn check_values(report: &mut Report<'_>, before: &str, after: &str) {
    let parsed = (yaml::parse(before), yaml::parse(after));
    let (was, is) = match parsed {
        (Ok(was), Ok(is)) => (was, is),
        (Err(error), _) | (_, Err(error)) => {
            let fix = "write plain YAML, as in krew's guide";
            return report.error("approval-yaml", (error.line, error.column), error.why, fix);
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
    let fix = "change only values of version, uri and sha256, or have a person review it";
    if !same_shape {
        let why = "fields or entries are added, removed or moved";
        return report.error("approval-shape", first_change(before, after), why, fix);
    }
    let expected = was.first().map(bumped_values).unwrap_or_default();
    for (was, is) in &found {
        if !expected.contains(&was.span.start) {
            let why = "a value other than the plugin's version, a uri or a sha256 changes";
            report.error("approval-value", (is.line, is.column), why, fix);
        }
    }
    let edit = |(was, is): &(&Node, &Node)| Edit {
        span: was.span.clone(),
        text: after[is.span.clone()].to_owned(),
    };
    let expected = yaml::replace(before, &found.iter().map(edit).collect::<Vec<_>>());
    if expected != after {
        let why = "more than values changes: a comment, a quote, space or the end of a line";
        report.error("approval-format", first_change(&expected, after), why, fix);
    }
}

fn first_uri(document: &Node) -> Option<At> {
    let platforms = document.get("spec")?.get("platforms")?.items()?;
    platforms.iter().find_map(|it| it.get("uri")).map(|uri| (uri.line, uri.column))
}

/// Where the values begin that a new version changes.
fn bumped_values(document: &Node) -> BTreeSet<usize> {
    let Some(spec) = document.get("spec") else { return BTreeSet::new() };
    let platforms = spec.get("platforms").and_then(Node::items).unwrap_or_default();
    let of_each = platforms.iter().flat_map(|it| [it.get("uri"), it.get("sha256")]);
    let all = std::iter::once(spec.get("version")).chain(of_each);
    all.flatten().map(|node| node.span.start).collect()
}

/// Reports lines that make the diff ambiguous, so that the bot may see another one: new lines
/// that the old text has too, and kept lines that another old line equals.
fn check_moved_lines(report: &mut Report<'_>, old: &[&str], new: &[&str]) {
    let all_old: BTreeSet<_> = old.iter().collect();
    let back = (0..old.len()).find(|at| old[*at] != new[*at] && all_old.contains(&new[*at]));
    // The kept lines are matched with old lines from the beginning and from the end. Where a
    // line is matched with another one, there is more than one diff.
    let mut left = 0..old.len();
    let first = (0..old.len()).filter(|at| old[*at] == new[*at]);
    let first = first.map(|at| (at, left.find(|other| old[*other] == new[at])));
    let first = first.collect::<Vec<_>>().into_iter();
    let mut left = (0..old.len()).rev();
    let last = (0..old.len()).rev().filter(|at| old[*at] == new[*at]);
    let last = last.map(|at| (at, left.find(|other| old[*other] == new[at])));
    let other = first.chain(last).find(|(at, found)| *found != Some(*at)).map(|(at, _)| at);
    if let Some(at) = back.or(other) {
        let why = "the entry has the same line elsewhere, so a diff may show other changes";
        let fix = "have a person review it, or keep the entries in their order";
        report.error("approval-line-moved", (at + 1, 1), why, fix);
    }
}

/// One piece of the diff.
struct Hunk<'a> {
    /// Each changed line: its number from 1, its old text and its new one.
    changed: Vec<(usize, &'a str, &'a str)>,
    /// The lines as a diff writes them.
    body: String,
}

/// The diff of two texts with the same number of lines, where no changed line is elsewhere.
fn hunks<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Hunk<'a>> {
    let changed: Vec<usize> = (0..old.len()).filter(|at| old[*at] != new[*at]).collect();
    // Two hunks that would share context are one.
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

/// The versions that the bot finds in the diff, as they are written; `None` where it finds no
/// change of a version, or cannot read it.
fn versions(report: &mut Report<'_>, hunks: &[Hunk<'_>], after: &str) -> Option<(String, String)> {
    let at = version(after).map_or((1, 1), |(_, at)| at);
    let found = hunks.iter().map(|hunk| (version_in(&hunk.body, '-'), version_in(&hunk.body, '+')));
    let first = found.into_iter().find(|(old, new)| old.is_some() || new.is_some());
    let Some((Some(from), Some(to))) = first else {
        let fix = "raise the version: what was released under one stays as it is";
        report.error("approval-version-unchanged", at, "the version does not change", fix);
        return None;
    };
    check_rise(report, at, &from, &to).then_some((from, to))
}

/// Checks that the version rises and is not a pre-release. Returns whether both are versions.
fn check_rise(report: &mut Report<'_>, at: At, from: &str, to: &str) -> bool {
    let mut parsed = Vec::new();
    for text in [from, to] {
        parsed.extend(semantic(text));
        if semantic(text).is_none() {
            let why = format!("the bot cannot read {text:?} as a version");
            let fix = "write it as v1.2.3, with nothing after it and without single quotes";
            report.error("approval-version-form", at, why, fix);
        }
    }
    let [was, is] = &parsed[..] else { return false };
    let (from, to) = (from.trim(), to.trim());
    match is.cmp_precedence(was) {
        Ordering::Greater => {}
        Ordering::Equal => {
            let why = format!("the version is already {from}, and must rise");
            let fix = "raise the version: what was released under one stays as it is";
            report.error("approval-version-order", at, why, fix);
        }
        Ordering::Less => {
            let why = format!("the version goes back from {from} to {to}, and must rise");
            let fix = "release a version that is higher than the one in the index";
            report.error("approval-version-order", at, why, fix);
        }
    }
    if !is.pre.is_empty() {
        let why = format!("{to} is a pre-release: everybody would be upgraded to it");
        report.error("approval-pre-release", at, why, "release the version itself");
    }
    true
}

/// The text after `version:` in a hunk's first line with the sign, without its double quotes:
/// the bot's `\-\s+version:\s?(.+)`, which matches anywhere in the hunk.
fn version_in(body: &str, sign: char) -> Option<String> {
    let group = |at: usize| {
        let rest = &body[at + 1..];
        let name = rest.trim_start_matches(SPACE);
        let value = name.strip_prefix("version:").filter(|_| name.len() < rest.len())?;
        // The value is the space itself where nothing else follows.
        let without = value.strip_prefix(SPACE).filter(|rest| !rest.is_empty());
        let without = without.filter(|rest| !rest.starts_with('\n'));
        let value = without.unwrap_or(value).split('\n').next().unwrap_or_default();
        (!value.is_empty()).then(|| value.trim_matches('"').to_owned())
    };
    body.match_indices(sign).find_map(|(at, _)| group(at))
}

/// A version as Kubernetes reads one: space around it and a missing `v` are allowed.
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/util/version/version.go>
fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.trim_start_matches(SPACE);
    let text = text.strip_prefix('v').unwrap_or(text).trim_end_matches(SPACE);
    semver::Version::parse(text).ok()
}

/// A changed line that the bot accepts.
enum Line<'a> {
    Version,
    Sha256,
    /// The rest of the line after `uri:`, without its double quotes.
    Uri(&'a str),
}

/// `^[\+\-]\s+version:\s`, and the same for the two others, which a dash may precede.
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

/// Checks the lines of a hunk, and returns whether a uri changes. Its new uris must be the old
/// ones with the version replaced.
fn check_hunk(report: &mut Report<'_>, hunk: &Hunk<'_>, from: &str, to: &str) -> bool {
    let (mut olds, mut news) = (BTreeMap::new(), BTreeMap::new());
    for (number, old, new) in &hunk.changed {
        let at = (*number, 1 + new.chars().take_while(|c| SPACE.contains(c)).count());
        for (line, uris) in [(old, &mut olds), (new, &mut news)] {
            match read(line) {
                Some(Line::Uri(uri)) => drop(uris.insert(uri, at)),
                Some(Line::Version | Line::Sha256) => {}
                None => {
                    let why = format!("the bot accepts no change of the line {:?}", line.trim());
                    let fix = "write `version: `, `uri: ` and `sha256: ` each on a line of its own";
                    report.error("approval-line", at, why, fix);
                    break;
                }
            }
        }
    }
    for (uri, at) in &olds {
        let expected = uri.replace(from, to);
        if news.remove(&*expected).is_none() {
            let why = format!(
                "{:?} becomes {:?} with the new version, and no new uri is that",
                uri.trim(),
                expected.trim()
            );
            let fix = "serve the new version like the old one, or have a person review it";
            report.error("approval-uri", *at, why, fix);
        }
    }
    for (uri, at) in news {
        let why = format!("{:?} is not an old uri with the new version", uri.trim());
        let fix = "serve the new version like the old one, or have a person review it";
        report.error("approval-uri", at, why, fix);
    }
    !olds.is_empty()
}

#[cfg(test)]
mod tests;
