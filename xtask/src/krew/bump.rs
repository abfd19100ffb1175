//! Raises the version of a plugin's entry in an index: values change in place, and every byte
//! around them stays.

use std::path::Path;

use serde::Serialize;

use super::platform::{At, Pair, Platform};
use super::report::Report;
use super::{Archives, plugin, validate_own};
use crate::finding::{Finding, Severity};
use crate::yaml::{self, Edit, Node};

/// What a release offers to the index, read from the manifest that it made.
#[derive(Clone, Debug)]
pub struct Release {
    name: String,
    version: String,
    text: String,
    shipped: Vec<Shipped>,
}

/// An archive, and the platforms that the release made it for.
#[derive(Clone, Debug)]
struct Shipped {
    uri: String,
    sha256: String,
    pairs: Vec<Pair>,
}

/// An entry with the next version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bumped {
    pub text: String,
    pub changes: Vec<Change>,
    /// Warnings: where the release differs from the entry, which stays as it is.
    pub left: Vec<Finding>,
}

/// A value that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// From 1.
    pub line: usize,
    pub before: String,
    pub after: String,
}

impl Release {
    /// Reads the manifest that a release wrote as `file`. Returns the errors that krew would
    /// refuse it for.
    pub fn read(text: &str, file: &Path) -> Result<Release, Vec<Finding>> {
        let mut wrong = validate_own(text, file, Archives::None);
        wrong.retain(|finding| finding.severity == Severity::Error);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let documents = plugin::parse(text, file)?;
        let plugin = plugin::read(&documents, &mut Report::new(file));
        let shipped = |platform: &Platform| Shipped {
            uri: platform.uri.text.clone(),
            sha256: platform.sha256.text.clone(),
            pairs: platform.pairs().collect(),
        };
        Ok(Release {
            shipped: plugin.platforms.iter().map(shipped).collect(),
            name: plugin.name.text,
            version: plugin.version.text,
            text: text.to_owned(),
        })
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// With its `v`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The manifest as the release made it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The archive for a platform.
    fn archive_for(&self, pair: Pair) -> Option<&Shipped> {
        self.shipped.iter().find(|shipped| shipped.pairs.contains(&pair))
    }
}

/// Gives the entry of an index the version of a release: `before` is the content of `file`.
/// Each archive is found by its uri: the entry's uri, with the old version replaced by the new
/// one, is that of an archive of the release. The index's bot asks for that, and so nothing is
/// guessed from the names of files.
///
/// It is an error if the entry cannot be read or is another plugin's, or if the release has no
/// archive at the new uri of a platform.
pub fn bump(before: &str, file: &Path, new: &Release) -> Result<Bumped, Vec<Finding>> {
    let documents = plugin::parse(before, file)?;
    let mut report = Report::new(file);
    let plugin = plugin::read(&documents, &mut report);
    report.findings.retain(|finding| finding.severity == Severity::Error);
    if plugin.name.text != new.name {
        let why = format!("the entry is {:?}, but the release is {:?}", plugin.name.text, new.name);
        report.error("bump-name", plugin.name.at, why, "name the entry of the same plugin");
    }
    let spec = documents.first().and_then(|it| it.get("spec"));
    let version = spec.and_then(|it| it.get("version"));
    let nodes = spec.and_then(|it| it.get("platforms")).and_then(Node::items).unwrap_or_default();
    let from = plugin.version.text.clone();
    let versions = [&from, &new.version].map(|it| it.strip_prefix('v').unwrap_or(it));
    let mut edits = Edits { text: before, versions, edits: Vec::new(), changes: Vec::new() };
    if from.is_empty() || !edits.set(version, &new.version) {
        let fix = "write `version: v1.2.3`, or regenerate the entry with --rewrite";
        report.error("bump-version", plugin.version.at, "the entry has no version", fix);
        return Err(report.findings);
    }
    // krew also finds a list by its name in another case.
    if plugin.platforms.is_empty() || nodes.len() != plugin.platforms.len() {
        let fix = "name them in `platforms`, or regenerate the entry with --rewrite";
        report.error("bump-platforms", plugin.platforms_at, "the entry has no `platforms`", fix);
    }
    let mut left = Report::new(file);
    for (platform, node) in plugin.platforms.iter().zip(nodes) {
        let Some(shipped) = new_archive(&mut report, platform, new, versions) else {
            continue;
        };
        warn_of_differences(&mut left, platform, new, shipped);
        for (name, value) in [("uri", &shipped.uri), ("sha256", &shipped.sha256)] {
            if !edits.set(node.get(name), value) {
                let why = format!("the entry has no {name} that can be replaced");
                report.error("bump-value", platform.at, why, format!("write `{name}: {value}`"));
            }
        }
    }
    warn_of_new_platforms(&mut left, &plugin.platforms, plugin.platforms_at, new);
    if !report.findings.is_empty() {
        return Err(report.findings);
    }
    let Edits { edits, mut changes, .. } = edits;
    changes.sort_by_key(|change| change.line);
    let text = yaml::replace(before, &edits);
    Ok(Bumped { text, changes, left: left.findings })
}

/// The values that change in a text.
struct Edits<'a> {
    text: &'a str,
    /// The old version and the new one, without `v`.
    versions: [&'a str; 2],
    edits: Vec<Edit>,
    changes: Vec<Change>,
}

/// Whether `written` is the YAML of one scalar with this text.
fn is_scalar(written: &str, text: &str) -> bool {
    let documents = yaml::parse(written).unwrap_or_default();
    matches!(&documents[..], [one] if one.text() == Some(text))
}

impl Edits<'_> {
    /// Replaces a value. Returns whether there is one that can be replaced.
    fn set(&mut self, node: Option<&Node>, value: &str) -> bool {
        let edit = node.and_then(|node| Some((node, yaml::edit(self.text, node, value)?)));
        let Some((node, mut edit)) = edit else { return false };
        // A text of several lines keeps its line breaks where only the version differs.
        let several = self.text[node.span.clone()].replace(self.versions[0], self.versions[1]);
        if several.contains('\n') && is_scalar(&several, value) {
            edit.text = several;
        }
        let before = node.text().unwrap_or_default();
        if before != value {
            let (before, after) = (before.to_owned(), value.to_owned());
            self.changes.push(Change { line: node.line, before, after });
            self.edits.push(edit);
        }
        true
    }
}

/// The release's archive that an entry for a platform installs. `from` and `to` are the
/// versions without `v`.
fn new_archive<'r>(
    report: &mut Report<'_>,
    platform: &Platform,
    new: &'r Release,
    [from, to]: [&str; 2],
) -> Option<&'r Shipped> {
    let uri = &platform.uri.text;
    let at = platform.uri.at;
    // The bot too replaces every occurrence, even within another number. The result is
    // compared as a whole.
    let expected = uri.replace(from, to);
    let found = new.shipped.iter().find(|shipped| shipped.uri == expected);
    if found.is_none() {
        let pairs: Vec<Pair> = platform.pairs().collect();
        let mut others: Vec<&str> =
            pairs.iter().filter_map(|pair| Some(&*new.archive_for(*pair)?.uri)).collect();
        others.dedup();
        let fix = "set `uri` in [package.metadata.dockless.krew] so that it is served as before, \
                   or regenerate the entry with --rewrite";
        let names = names(&pairs);
        match &others[..] {
            [] => {
                let why = format!("the entry has {names}, but the release does not");
                let fix = "release it for that target too, or regenerate the entry with --rewrite";
                report.error("bump-platform-gone", at, why, fix);
            }
            others => {
                let why = format!(
                    "the new uri for {names} would be {expected}, but the release serves {}",
                    others.join(" and ")
                );
                report.error("bump-uri", at, why, fix);
            }
        }
    }
    found
}

/// Warns where the entry installs another archive for a platform than the release does.
fn warn_of_differences(
    left: &mut Report<'_>,
    platform: &Platform,
    new: &Release,
    shipped: &Shipped,
) {
    for pair in platform.pairs() {
        if let Some(other) = new.archive_for(pair).filter(|other| other.uri != shipped.uri) {
            let why = format!(
                "the entry installs {} for {}, but the release has {}",
                shipped.uri,
                name(pair),
                other.uri
            );
            let fix = "do nothing if that is intended, or regenerate the entry with --rewrite";
            left.warning("bump-platform-differs", platform.uri.at, why, fix);
        }
    }
}

/// Warns of platforms that the release has and the entry does not.
fn warn_of_new_platforms(left: &mut Report<'_>, platforms: &[Platform], at: At, new: &Release) {
    let known: Vec<Pair> = platforms.iter().flat_map(Platform::pairs).collect();
    let shipped = new.shipped.iter().flat_map(|shipped| &shipped.pairs).copied();
    let more: Vec<Pair> = shipped.filter(|pair| !known.contains(pair)).collect();
    if !more.is_empty() {
        let why = format!("the release has {}, but the entry does not", names(&more));
        let fix = "regenerate the entry with --rewrite; a person then reviews it";
        left.warning("bump-platform-new", at, why, fix);
    }
}

fn name(pair: Pair) -> String {
    format!("{}/{}", pair.os, pair.arch)
}

fn names(pairs: &[Pair]) -> String {
    match pairs {
        [] => "no platform".to_owned(),
        pairs => pairs.iter().map(|pair| name(*pair)).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests;
