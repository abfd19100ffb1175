//! Writes documents with images in place of references. Every other byte stays.

use super::manifest::{Manifest, Piece};
use super::reference::Named;
use crate::finding::{Finding, Place};
use crate::yaml::{self, Edit};

/// The line between two documents.
const SEPARATOR: &str = "---\n";

/// The documents of all files as one text, with a line `---` between files. `image` gives the
/// name of the image that is put in place of a reference; `None` leaves it. A byte order mark
/// stays only at the beginning of the whole.
pub fn write(
    manifests: &[Manifest],
    image: &dyn Fn(&Named) -> Option<String>,
) -> Result<String, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut written = String::new();
    for manifest in manifests {
        let edits = match edits(manifest, image) {
            Ok(edits) => edits,
            Err(found) => {
                findings.extend(found);
                continue;
            }
        };
        // Values of JSON in one file need no line between them, but other files have one.
        let is_stream = manifest.pieces.len() > 1 && manifest.pieces.iter().all(|it| it.is_json);
        if manifest.is_whole && (manifests.len() == 1 || !is_stream) {
            add(&mut written, &yaml::replace(&manifest.text, &edits), true);
            continue;
        }
        let separated = manifests.len() > 1 || !is_stream;
        for piece in &manifest.pieces {
            add(&mut written, &of_piece(&manifest.text, piece, &edits), separated);
        }
    }
    if findings.is_empty() { Ok(written) } else { Err(findings) }
}

/// The edits of a file's references, in their order.
fn edits(
    manifest: &Manifest,
    image: &dyn Fn(&Named) -> Option<String>,
) -> Result<Vec<Edit>, Vec<Finding>> {
    let mut edits = Vec::new();
    let mut findings = Vec::new();
    for reference in &manifest.references {
        let Some(image) = image(&reference.named) else { continue };
        match yaml::edit(&manifest.text, &reference.node, &reference.replaced_by(&image)) {
            Some(edit) => edits.push(edit),
            None => {
                let (line, column) = (reference.node.line, reference.node.column);
                let why = format!("{image} needs quotes here, and has no room for them");
                let place = Place::at(&manifest.file, line, column);
                let fix = "write the reference in quotes";
                findings.push(Finding::error("reference", place, why, fix));
            }
        }
    }
    if findings.is_empty() { Ok(edits) } else { Err(findings) }
}

/// The text of a piece, with the edits within it.
fn of_piece(text: &str, piece: &Piece, edits: &[Edit]) -> String {
    let from = edits.partition_point(|edit| edit.span.start < piece.span.start);
    let to = edits.partition_point(|edit| edit.span.start < piece.span.end);
    let within = edits[from..to].iter().map(|edit| {
        let span = edit.span.start - piece.span.start..edit.span.end - piece.span.start;
        Edit { span, text: edit.text.clone() }
    });
    let within: Vec<Edit> = within.collect();
    " ".repeat(piece.margin) + &yaml::replace(&text[piece.span.clone()], &within)
}

/// Adds documents to those before them.
fn add(written: &mut String, documents: &str, separated: bool) {
    if written.is_empty() {
        written.push_str(documents);
        return;
    }
    let documents = documents.strip_prefix('\u{feff}').unwrap_or(documents);
    if separated && written.starts_with('{') {
        // kubectl before 1.33 takes a stream that begins so for JSON alone.
        written.insert_str(0, SEPARATOR);
    }
    if !written.ends_with(['\n', '\r']) {
        written.push('\n');
    }
    if separated && !begins_with_marker(documents) && !ends_with_marker(written) {
        written.push_str(SEPARATOR);
    }
    written.push_str(documents);
}

fn begins_with_marker(text: &str) -> bool {
    let rest = text.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

fn ends_with_marker(text: &str) -> bool {
    let last = text.trim_end_matches(['\n', '\r']).rsplit(['\n', '\r']).next();
    last.is_some_and(|line| line.trim_end() == "---")
}
