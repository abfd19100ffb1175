//! Reads a file of documents.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::find::{Found, Reference, find};
use super::reference::{RENDER, TEMPLATE};
use super::{Document, Selector};
use crate::finding::{Finding, Place};
use crate::yaml::{self, Node, NodeKind, Part, SyntaxError};

/// A file of documents, read.
#[derive(Debug)]
pub struct Manifest {
    /// As messages call it.
    pub file: PathBuf,
    pub text: String,
    /// Those of the documents that are selected, in the order of the text.
    pub references: Vec<Reference>,
    /// Lines and columns of texts that have a reference within them, which is left alone.
    pub left_alone: Vec<(usize, usize)>,
    /// The documents that are selected.
    pub pieces: Vec<Piece>,
    /// Whether that is all of the text.
    pub is_whole: bool,
    /// How many of them are objects that a cluster may take: they have an `apiVersion` and a
    /// `kind`, and kustomize does not keep them for itself.
    pub objects: usize,
    /// The documents that are kustomize's.
    pub kustomizations: Vec<Finding>,
}

/// A document, or an item of a list of objects, that is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// In bytes of the text.
    pub span: Range<usize>,
    /// Spaces before its first line: those before an item belong to its list.
    pub margin: usize,
    pub is_json: bool,
}

/// Reads the documents of a file, and hands those that the selector selects to `each`. All faults
/// are found at once, but for those behind a fault of the syntax.
pub fn read(
    file: &Path,
    text: String,
    selector: Option<&Selector>,
    each: &mut dyn FnMut(Document),
) -> Result<Manifest, Vec<Finding>> {
    let mut found = Found::default();
    let mut pieces = Vec::new();
    let mut objects = 0;
    let mut kustomizations = Vec::new();
    for part in yaml::parts(&text) {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                found.findings.push(syntax(file, &text, &error));
                break;
            }
        };
        let Part { span, node, is_json } = part;
        let piece = Piece { span, margin: 0, is_json };
        let Some(node) = node else {
            // Comments stay with all documents, and are of no selected one.
            pieces.extend(selector.is_none().then_some(piece));
            continue;
        };
        let selected = match selector {
            None => vec![(piece, node)],
            Some(selector) => match selected(file, &text, piece, node, selector) {
                Ok(selected) => selected,
                Err(finding) => {
                    found.findings.push(*finding);
                    continue;
                }
            },
        };
        for (piece, node) in selected {
            find(file, &text, &node, &mut found);
            match kustomization(file, &node) {
                Some(finding) => kustomizations.push(finding),
                None => objects += usize::from(is_object(&node)),
            }
            pieces.push(piece);
            each(Document { file: file.to_owned(), node });
        }
    }
    let Found { references, left_alone, findings } = found;
    if !findings.is_empty() {
        return Err(findings);
    }
    let (file, is_whole) = (file.to_owned(), selector.is_none());
    Ok(Manifest { file, text, references, left_alone, pieces, is_whole, objects, kustomizations })
}

fn is_object(node: &Node) -> bool {
    node.get("apiVersion").is_some() && node.get("kind").is_some()
}

/// The document if it is selected, or its selected items if it is a list of objects.
fn selected(
    file: &Path,
    text: &str,
    piece: Piece,
    node: Node,
    selector: &Selector,
) -> Result<Vec<(Piece, Node)>, Box<Finding>> {
    let is_list = node.get("apiVersion").and_then(Node::text) == Some("v1")
        && node.get("kind").and_then(Node::text) == Some("List");
    // A document of comments, or of nothing, is no object.
    if !matches!(node.kind, NodeKind::Map(_)) {
        return Ok(Vec::new());
    }
    let items = node.get("items").and_then(Node::items).filter(|_| is_list);
    let Some(items) = items else {
        return Ok(if selector.selects(&node) { vec![(piece, node)] } else { Vec::new() });
    };
    if let Some(alias) = alias(&node) {
        let place = Place::at(file, alias.line, alias.column);
        let why = "an alias in a list of objects: the one that has its anchor may not be selected";
        let fix = "write its value, or write each object as a document of its own";
        return Err(Box::new(Finding::error("selector", place, why, fix)));
    }
    let of = |item: &Node| {
        // In brackets nothing depends on the indentation.
        let flows = text[item.span.clone()].starts_with('{');
        let margin = if flows { 0 } else { item.column - 1 };
        (Piece { span: item.span.clone(), margin, is_json: piece.is_json }, item.clone())
    };
    Ok(items.iter().filter(|item| selector.selects(item)).map(of).collect())
}

/// The first alias in a node.
fn alias(node: &Node) -> Option<&Node> {
    match &node.kind {
        NodeKind::Scalar(_) => None,
        NodeKind::Alias(_) => Some(node),
        NodeKind::List(items) => items.iter().find_map(alias),
        NodeKind::Map(entries) => {
            entries.iter().find_map(|(key, value)| alias(key).or_else(|| alias(value)))
        }
    }
}

/// A fault of the syntax. Where a template is near, that is the reason.
fn syntax(file: &Path, text: &str, error: &SyntaxError) -> Finding {
    let lines = || text.split('\n').enumerate().map(|(at, line)| (at + 1, line));
    let near = |(at, line): &(usize, &str)| line.contains("{{") && at.abs_diff(error.line) <= 1;
    if let Some((at, line)) = lines().find(near) {
        let column = line.split("{{").next().unwrap_or_default().chars().count() + 1;
        return Finding::error("manifest-template", Place::at(file, at, column), TEMPLATE, RENDER);
    }
    let place = Place::at(file, error.line, error.column);
    let begins = |(at, line): &(usize, &str)| {
        *at < error.line && line.trim_start_matches([' ', '-']).starts_with("{{")
    };
    if let Some((at, _)) = lines().find(begins) {
        let why = format!("{}; line {at} begins a template of a chart", error.why);
        return Finding::error("manifest-template", place, why, RENDER);
    }
    let fix = "write YAML or JSON that every reader understands alike";
    Finding::error("manifest", place, error.why.clone(), fix)
}

/// What kustomize reads is for kustomize alone.
fn kustomization(file: &Path, node: &Node) -> Option<Finding> {
    let version = node.get("apiVersion").and_then(Node::text)?;
    version.starts_with("kustomize.config.k8s.io/").then(|| {
        let place = Place::at(file, node.line, node.column);
        let why = "this says how kustomize makes documents, and no cluster takes it";
        let fix = "run `kubectl kustomize FOLDER | cargo dockless resolve -f -`";
        Finding::error("kustomization", place, why, fix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of each piece that a selector keeps.
    fn kept(text: &str, selector: &str) -> Vec<String> {
        let selector = selector.parse().unwrap();
        let manifest = read(Path::new("a.yaml"), text.to_owned(), Some(&selector), &mut |_| {});
        let manifest = manifest.unwrap_or_else(|found| panic!("{found:?}"));
        manifest.pieces.iter().map(|it| manifest.text[it.span.clone()].to_owned()).collect()
    }

    #[test]
    fn items_of_a_list_are_selected_one_by_one() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  metadata:\n    labels: {a: b}\n\
                    - kind: B\n  metadata: {labels: {a: c}}\n";
        assert_eq!(kept(text, "a=c"), ["kind: B\n  metadata: {labels: {a: c}}"]);
        assert_eq!(
            kept(text, "a"),
            ["kind: A\n  metadata:\n    labels: {a: b}", "kind: B\n  metadata: {labels: {a: c}}"]
        );
        assert_eq!(kept(text, "!a"), [""; 0]);
    }
}
