//! Regenerates an entry of an index from a release, where more than values differ. A person
//! reviews the result.

use std::ops::Range;

use super::bump::Release;
use crate::yaml::{self, Edit, Node, NodeKind};

/// A regenerated entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    pub text: String,
    /// The fields of `spec` that were taken from the release; `None` where the whole file was.
    pub anew: Option<Vec<String>>,
    /// The fields of `spec` that the release does not have, and that stay.
    pub kept: Vec<String>,
}

/// Regenerates an entry: the fields of `spec` that differ from the release's are replaced by
/// the release's. Texts keep their quotes and the comments behind them; `platforms` is replaced
/// as a whole, with its comments. Everything else stays: the order of fields, comments between
/// them, line breaks, fields that the release does not have, and other documents.
///
/// An entry that cannot be read, or whose fields do not begin lines, is replaced by the
/// release's manifest.
pub fn rewrite(before: &str, new: &Release) -> Rewritten {
    let whole = || Rewritten { text: new.text().to_owned(), anew: None, kept: Vec::new() };
    fields(before, new.text()).unwrap_or_else(whole)
}

/// `None` where the fields cannot be replaced one by one, or the result would be another.
fn fields(before: &str, release: &str) -> Option<Rewritten> {
    let (old, new) = (yaml::parse(before).ok()?, yaml::parse(release).ok()?);
    let (old, new) = (old.first()?, new.first()?);
    let same = |of: fn(&Node) -> Option<&Node>| Some(of(old)?.text()? == of(new)?.text()?);
    let name: fn(&Node) -> Option<&Node> = |node| node.get("metadata")?.get("name");
    if !(same(|it| it.get("apiVersion"))? && same(|it| it.get("kind"))? && same(name)?) {
        return None;
    }
    let (old_spec, new_spec) = (old.get("spec")?, new.get("spec")?);
    let (old_fields, new_fields) = (entries(old_spec, before)?, entries(new_spec, release)?);
    let ending = if before.contains("\r\n") { "\r\n" } else { "\n" };
    let margin = old_fields.first()?.0.column - 1;
    let written = |key: &Node, value: &Node| {
        let lines = release[lines_of(release, key, value)].split('\n');
        let depth = key.column - 1;
        let lines = lines.map(|line| match line.get(depth..) {
            Some(line) => format!("{}{line}", " ".repeat(margin)),
            None => String::new(),
        });
        lines.collect::<Vec<_>>().join(ending)
    };
    // New fields go before platforms, which most of the index has last.
    let last = old_fields.iter().find(|(key, _)| key.text() == Some("platforms"));
    let place = last.or(old_fields.first())?;
    let place = lines_of(before, &place.0, &place.1).start;
    let mut edits = Vec::new();
    let mut anew = Vec::new();
    let mut more = String::new();
    for (key, value) in new_fields {
        let name = key.text()?;
        let was = old_fields.iter().find(|(key, _)| key.text() == Some(name));
        match was {
            Some((_, was)) if yaml::differences(was, value).is_some_and(|it| it.is_empty()) => {
                continue;
            }
            Some((was_key, was)) => {
                let edit = value.text().and_then(|text| yaml::edit(before, was, text));
                let lines =
                    || Edit { span: lines_of(before, was_key, was), text: written(key, value) };
                edits.push(edit.unwrap_or_else(lines));
            }
            None => more.push_str(&format!("{}{ending}", written(key, value))),
        }
        anew.push(name.to_owned());
    }
    // It comes before the edit of the line that begins there.
    edits.insert(0, Edit { span: place..place, text: more });
    let text = yaml::replace(before, &edits);
    let known = |key: &Node| new_spec.get(key.text().unwrap_or_default()).is_some();
    let kept = old_fields.iter().filter(|(key, _)| !known(key));
    let kept = kept.filter_map(|(key, _)| Some(key.text()?.to_owned())).collect();
    has_fields(&text, new_spec).then_some(Rewritten { text, anew: Some(anew), kept })
}

/// The fields of a map; `None` where one does not begin a line.
fn entries<'n>(map: &'n Node, text: &str) -> Option<&'n [(Node, Node)]> {
    let NodeKind::Map(entries) = &map.kind else { return None };
    let begins =
        |node: &Node| text[line_of(text, node.span.start)..node.span.start].trim().is_empty();
    (!text[map.span.start..].starts_with('{') && entries.iter().all(|(key, _)| begins(key)))
        .then_some(entries)
}

/// From the beginning of a field's first line to the end of its last, without the line break.
fn lines_of(text: &str, key: &Node, value: &Node) -> Range<usize> {
    let end = value.span.end.max(key.span.end);
    let rest = text[end..].find('\n').map_or(text.len(), |at| end + at);
    let rest = rest - usize::from(text[end..rest].ends_with('\r'));
    line_of(text, key.span.start)..rest
}

/// The beginning of the line of a byte.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Whether a text has each field of the release with the release's value.
fn has_fields(text: &str, release: &Node) -> bool {
    let Ok(documents) = yaml::parse(text) else { return false };
    let Some(spec) = documents.first().and_then(|it| it.get("spec")) else { return false };
    let NodeKind::Map(entries) = &release.kind else { return false };
    entries.iter().all(|(key, value)| {
        let is = spec.get(key.text().unwrap_or_default());
        is.and_then(|is| yaml::differences(is, value)).is_some_and(|it| it.is_empty())
    })
}

#[cfg(test)]
mod tests;
