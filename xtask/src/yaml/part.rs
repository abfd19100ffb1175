//! The documents of a stream, split as Kubernetes' tools split it.

use std::ops::Range;

use super::json::Json;
use super::read::{BYTE_ORDER_MARK, Rules, error_at, read};
use super::{Node, SyntaxError};

/// A piece of a text that holds at most one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In bytes of the text. In YAML with the `---` line before the document and a `...` behind
    /// it, so that the parts together are the text; in JSON the value alone.
    pub span: Range<usize>,
    /// `None` where there are only comments.
    pub node: Option<Node>,
    pub is_json: bool,
}

/// In bytes, of one document. A cluster keeps no object of more than 3 MiB, but a list of them
/// is one document too.
const LARGEST: usize = 32 << 20;

/// What documents for Kubernetes may have: all of YAML but directives. The schema of a large
/// custom resource is about 40 deep.
const RULES: Rules = Rules { deepest: 200, most_nodes: 1_000_000, takes_all: true };

/// The documents of a text one by one, so that only one needs to be in memory: YAML, in which
/// `---` and `...` lines separate them, and JSON values, which need nothing between them.
///
/// Anchors, aliases and tags are taken. It is an error if a document is neither YAML nor JSON, is
/// too large or too deep, has a directive, a key that a map has twice, a tab that indents YAML,
/// or characters that YAML cannot have. Nothing follows an error.
pub fn parts(text: &str) -> impl Iterator<Item = Result<Part, SyntaxError>> {
    let at = text.len() - text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).len();
    Parts { text, at, line: 1, json: None, failed: false }
}

struct Parts<'a> {
    text: &'a str,
    /// In bytes: where the next piece begins, which is on the line.
    at: usize,
    line: usize,
    /// The values of the piece that is read now.
    json: Option<Json<'a>>,
    failed: bool,
}

/// Lines that hold one YAML document, or JSON.
struct Piece {
    span: Range<usize>,
    /// The number of its first line, from 1.
    line: usize,
}

impl Iterator for Parts<'_> {
    type Item = Result<Part, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let part = self.part().transpose();
        self.failed = part.as_ref().is_some_and(Result::is_err);
        part
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Result<Option<Part>, SyntaxError> {
        if let Some(json) = &mut self.json {
            match json.next(&RULES)? {
                Some(node) => return Ok(Some(of_json(node))),
                None => self.json = None,
            }
        }
        if self.at == self.text.len() {
            return Ok(None);
        }
        let piece = self.piece();
        let (text, start) = (&self.text[..piece.span.end], piece.span.start);
        if let Some((json, first)) = self.json(&piece)? {
            self.json = Some(json);
            return Ok(Some(of_json(first)));
        }
        if piece.span.len() > LARGEST {
            let why =
                format!("the document has {} bytes: at most {LARGEST} are read", piece.span.len());
            return Err(error_at((piece.line, 1), why));
        }
        if let Some(line) = directive(&self.text[piece.span.clone()]) {
            let why = "a directive is not supported: leave it out";
            return Err(error_at((piece.line + line, 1), why));
        }
        let mut documents = read(text, start, piece.line, &RULES)?.into_iter();
        let node = documents.next();
        if let Some(second) = documents.next() {
            let why = "a document begins here without a line `---` before it";
            return Err(error_at((second.line, second.column), why));
        }
        Ok(Some(Part { span: piece.span, node, is_json: false }))
    }

    /// The JSON values of a piece, and the first of them; `None` if the piece is not JSON.
    fn json(&self, piece: &Piece) -> Result<Option<(Json<'a>, Node)>, SyntaxError> {
        let text = &self.text[..piece.span.end];
        let marker = self.text[piece.span.clone()].starts_with("---");
        let skipped = if marker { "---".len() } else { 0 };
        let within = &self.text[piece.span.start + skipped..piece.span.end];
        if !within.trim_start().starts_with('{') {
            return Ok(None);
        }
        let mut json = Json::new(text, piece.span.start, skipped, piece.line);
        match json.next(&RULES) {
            // More values may follow, and nothing else.
            Ok(Some(first)) if json.at_value_or_end() => Ok(Some((json, first))),
            Ok(_) => Ok(None),
            // In YAML, keys in brackets need no quotes.
            Err(error) => match read(text, piece.span.start, piece.line, &RULES) {
                Ok(_) => Ok(None),
                Err(other) => {
                    let is_json = within.trim_start()[1..].trim_start().starts_with('"');
                    Err(if is_json { error } else { other })
                }
            },
        }
    }

    /// The lines up to the next document. No text of YAML has such a line.
    /// <https://yaml.org/spec/1.2.2/#912-document-markers>
    fn piece(&mut self) -> Piece {
        let (start, line) = (self.at, self.line);
        loop {
            let rest = &self.text[self.at..];
            if rest.is_empty() || (self.at > start && is_marker(rest, "---")) {
                break;
            }
            let ends = is_marker(rest, "...");
            self.at += line_length(rest);
            self.line += 1;
            if ends {
                break;
            }
        }
        Piece { span: start..self.at, line }
    }
}

fn of_json(node: Node) -> Part {
    Part { span: node.span.clone(), node: Some(node), is_json: true }
}

/// Whether a text begins with a line of this marker.
fn is_marker(text: &str, marker: &str) -> bool {
    let behind = text.strip_prefix(marker);
    behind.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// In bytes, of the first line with its end: LF, CR, or both.
fn line_length(text: &str) -> usize {
    match text.find(['\n', '\r']) {
        Some(end) if text[end..].starts_with("\r\n") => end + 2,
        Some(end) => end + 1,
        None => text.len(),
    }
}

/// The number, from 0, of the line of a directive before a document.
fn directive(text: &str) -> Option<usize> {
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        let line = &rest[..line_length(rest)];
        let is_blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        if !is_blank {
            return line.starts_with('%').then_some(number);
        }
        rest = &rest[line.len()..];
        number += 1;
    }
    None
}
