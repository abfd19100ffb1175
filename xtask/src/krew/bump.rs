//! The next version of a plugin in its entry in an index: values change where they stand,
//! and every byte around them stays.

use std::path::Path;

use serde::Serialize;

use super::platform::{At, Pair, Platform};
use super::sheet::Sheet;
use super::{Archives, plugin, validate_own};
use crate::finding::{Finding, Place, Severity};
use crate::yaml::{self, Edit, Node};

/// What a release brings to the index, read from the manifest that it made.
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
    /// What the release has otherwise than the entry, which stays as it is: warnings.
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
    /// Reads the manifest that a release left as `file`. What krew would refuse in it is
    /// an error.
    pub fn read(text: &str, file: &Path) -> Result<Release, Vec<Finding>> {
        let mut wrong = validate_own(text, file, Archives::None);
        wrong.retain(|finding| finding.severity == Severity::Error);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let documents = parse(text, file)?;
        let plugin = plugin::read(&documents, &mut Sheet::new(file));
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

fn parse(text: &str, file: &Path) -> Result<Vec<Node>, Vec<Finding>> {
    yaml::parse(text).map_err(|fault| {
        let place = Place::at(file, fault.line, fault.column);
        let fix = "write plain YAML, as krew's guide has it";
        vec![Finding::error("yaml", place, fault.why, fix)]
    })
}

/// Gives the entry of an index the version of a release: `before` is what the file `file`
/// holds. Each archive is found by its uri: the one that the entry has, with the old version
/// replaced by the new one, is one of the release's. That is what the index's bot asks for,
/// and nothing is guessed from the names of files.
///
/// Errors are an entry that cannot be read, that is another plugin's, and entries of
/// platforms for which the release has nothing at the uri that they would have.
pub fn bump(before: &str, file: &Path, new: &Release) -> Result<Bumped, Vec<Finding>> {
    let documents = parse(before, file)?;
    let mut sheet = Sheet::new(file);
    let plugin = plugin::read(&documents, &mut sheet);
    sheet.findings.retain(|finding| finding.severity == Severity::Error);
    if plugin.name.text != new.name {
        let why = format!("the entry is {:?}, and the release {:?}", plugin.name.text, new.name);
        sheet.error("bump-name", plugin.name.at, why, "name the entry of the same plugin");
    }
    let spec = documents.first().and_then(|it| it.get("spec"));
    let version = spec.and_then(|it| it.get("version"));
    let nodes = spec.and_then(|it| it.get("platforms")).and_then(Node::items).unwrap_or_default();
    let from = plugin.version.text.clone();
    let versions = [&from, &new.version].map(|it| it.strip_prefix('v').unwrap_or(it));
    let mut edits = Edits { text: before, versions, edits: Vec::new(), changes: Vec::new() };
    if from.is_empty() || !edits.set(version, &new.version) {
        let fix = "write `version: v1.2.3`, or have the entry made anew by --rewrite";
        sheet.error("bump-version", plugin.version.at, "the entry has no version", fix);
        return Err(sheet.findings);
    }
    // krew finds a list by a name in another case as well.
    if plugin.platforms.is_empty() || nodes.len() != plugin.platforms.len() {
        let fix = "name them in `platforms`, or have the entry made anew by --rewrite";
        sheet.error("bump-platforms", plugin.platforms_at, "the entry has no `platforms`", fix);
    }
    let mut left = Sheet::new(file);
    for (platform, node) in plugin.platforms.iter().zip(nodes) {
        let Some(shipped) = counterpart(&mut sheet, platform, new, versions) else { continue };
        unequal(&mut left, platform, new, shipped);
        for (name, value) in [("uri", &shipped.uri), ("sha256", &shipped.sha256)] {
            if !edits.set(node.get(name), value) {
                let why = format!("the entry has no {name} that can be replaced");
                sheet.error("bump-value", platform.at, why, format!("write `{name}: {value}`"));
            }
        }
    }
    appearing(&mut left, &plugin.platforms, plugin.platforms_at, new);
    match sheet.findings.is_empty() {
        true => {
            let Edits { edits, mut changes, .. } = edits;
            changes.sort_by_key(|change| change.line);
            let text = yaml::replace(before, &edits);
            Ok(Bumped { text, changes, left: left.findings })
        }
        false => Err(sheet.findings),
    }
}

/// The values that change in a text.
struct Edits<'a> {
    text: &'a str,
    /// The old one and the new one without `v`.
    versions: [&'a str; 2],
    edits: Vec<Edit>,
    changes: Vec<Change>,
}

/// Whether a text is written so.
fn is_scalar(written: &str, text: &str) -> bool {
    let documents = yaml::parse(written).unwrap_or_default();
    matches!(&documents[..], [one] if one.text() == Some(text))
}

impl Edits<'_> {
    /// Whether there is a value that could be replaced.
    fn set(&mut self, node: Option<&Node>, value: &str) -> bool {
        let edit = node.and_then(|node| Some((node, yaml::edit(self.text, node, value)?)));
        let Some((node, mut edit)) = edit else { return false };
        // A text of several lines keeps them, where the version is all that is another.
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

/// The archive that an entry for a platform installs of the release. `from` and `to` are
/// the versions without `v`.
fn counterpart<'r>(
    sheet: &mut Sheet<'_>,
    platform: &Platform,
    new: &'r Release,
    [from, to]: [&str; 2],
) -> Option<&'r Shipped> {
    let (uri, at) = (&platform.uri.text, platform.uri.at);
    // Every place, though it be part of another number: the bot does so, and what this
    // makes of a uri is compared as a whole.
    let expected = uri.replace(from, to);
    let found = new.shipped.iter().find(|shipped| shipped.uri == expected);
    if found.is_none() {
        let pairs: Vec<Pair> = platform.pairs().collect();
        let mut others: Vec<&str> =
            pairs.iter().filter_map(|pair| Some(&*new.archive_for(*pair)?.uri)).collect();
        others.dedup();
        let fix = "set `uri` in [package.metadata.dockless.krew] so that it is served as before, \
                   or have the entry made anew by --rewrite";
        let names = names(&pairs);
        match &others[..] {
            [] => {
                let why = format!("the release has nothing for {names}, which the entry has");
                let fix =
                    "release it for that target too, or have the entry made anew by --rewrite";
                sheet.error("bump-platform-gone", at, why, fix);
            }
            others => {
                let why = format!(
                    "the new version for {names} would be {expected}, and the release serves {}",
                    others.join(" and ")
                );
                sheet.error("bump-uri", at, why, fix);
            }
        }
    }
    found
}

/// Says where the entry installs another archive than the release means for a platform.
fn unequal(left: &mut Sheet<'_>, platform: &Platform, new: &Release, shipped: &Shipped) {
    for pair in platform.pairs() {
        if let Some(other) = new.archive_for(pair).filter(|other| other.uri != shipped.uri) {
            let why = format!(
                "{} installs {} here, and the release has {} for it",
                name(pair),
                shipped.uri,
                other.uri
            );
            let fix = "nothing to do if that is meant, or have the entry made anew by --rewrite";
            left.warning("bump-platform-differs", platform.uri.at, why, fix);
        }
    }
}

/// Says what the release has that no entry has.
fn appearing(left: &mut Sheet<'_>, platforms: &[Platform], at: At, new: &Release) {
    let known: Vec<Pair> = platforms.iter().flat_map(Platform::pairs).collect();
    let shipped = new.shipped.iter().flat_map(|shipped| &shipped.pairs).copied();
    let more: Vec<Pair> = shipped.filter(|pair| !known.contains(pair)).collect();
    if !more.is_empty() {
        let why = format!("the release has {}, and the entry has not", names(&more));
        let fix = "have the entry made anew by --rewrite, which a person then reviews";
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
