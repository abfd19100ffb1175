//! Changes values, and keeps every byte around them.

use std::fmt::Write;
use std::ops::Range;

use super::plain::fits;
use super::read::is_printable;
use super::{Node, NodeKind, Style};

/// A piece of a text, and its replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In bytes of the text.
    pub span: Range<usize>,
    pub text: String,
}

/// The text with each piece replaced. The pieces may have any order. Panics where two overlap.
pub fn replace(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.span.start);
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        replaced.push_str(&text[at..edit.span.start]);
        replaced.push_str(&edit.text);
        at = edit.span.end;
    }
    replaced.push_str(&text[at..]);
    replaced
}

/// The edit that gives a value another text in the same style: quotes and the `|` or `>` of a
/// block are kept. It gets double quotes where that style cannot express the text, or where a
/// reader would take it for another type without them. An unchanged text stays as written.
///
/// `None` for a map, a list or a value that is left out. `None` too where the value would need
/// quotes and a bracket follows on another line: behind quotes it may be indented too little.
pub fn edit(text: &str, node: &Node, value: &str) -> Option<Edit> {
    let NodeKind::Scalar(scalar) = &node.kind else { return None };
    let old = text.get(node.span.clone()).filter(|old| !old.is_empty())?;
    let plain = |value: &str| value.chars().all(is_printable);
    // The parser refuses a word behind a single tab, but accepts other beginnings.
    let is_word =
        |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c));
    let is_glued = text[..node.span.start].ends_with('\t') && is_word(value) && !is_word(old);
    let rest = text[node.span.end..].trim_start_matches([' ', '\t']);
    let hangs = rest.starts_with(['\n', '\r']) && rest.trim_start().starts_with([']', '}', ',']);
    let written = match scalar.style {
        _ if scalar.text == value => old.to_owned(),
        Style::Plain if fits(&scalar.text, value) && !is_glued => value.to_owned(),
        Style::Plain if hangs => return None,
        Style::Single if plain(value) => format!("'{}'", value.replace('\'', "''")),
        Style::Plain | Style::Single | Style::Double => double(value),
        style @ (Style::Literal | Style::Folded) => {
            let last = node.span.end == text.len();
            block(old, style, value, last).unwrap_or_else(|| {
                let comment = old.split(['\n', '\r']).next().and_then(|it| it.split_once('#'));
                let comment = comment.map(|(_, comment)| format!(" #{comment}"));
                double(value) + &comment.unwrap_or_default()
            })
        }
    };
    Some(Edit { span: node.span.clone(), text: written })
}

/// <https://yaml.org/spec/1.2.2/#57-escaped-characters>
fn double(value: &str) -> String {
    let mut written = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            c if is_printable(c) => written.push(c),
            // Writing to a text does not fail.
            c => drop(match u32::from(c) {
                code @ ..0x100 => write!(written, "\\x{code:02X}"),
                code @ ..0x1_0000 => write!(written, "\\u{code:04X}"),
                code => write!(written, "\\U{code:08X}"),
            }),
        }
    }
    written.push('"');
    written
}

/// A block with the indentation and the comment of the old one; `None` where it cannot express
/// the value, or needs an indentation indicator. `last` says that nothing follows.
fn block(old: &str, style: Style, value: &str, last: bool) -> Option<String> {
    let header = &old[..old.find(['\n', '\r'])?];
    let rest = &old[header.len()..];
    let ending = if rest.starts_with("\r\n") { "\r\n" } else { &rest[..1] };
    let is_content = |line: &&str| !line.trim_start_matches(' ').is_empty();
    let first = rest.split(['\n', '\r']).find(is_content)?;
    let margin = &first[..first.len() - first.trim_start_matches(' ').len()];
    let (body, chomping) = match value.strip_suffix('\n') {
        Some(body) => (body, ""),
        None => (value, "-"),
    };
    let fits = |line: &str| line.chars().all(is_printable);
    let begins = |line: &str| !line.starts_with([' ', '\t']);
    let unfit = body.is_empty() || body.starts_with('\n') || body.ends_with('\n');
    if margin.is_empty() || unfit || !begins(body) || !body.split('\n').all(fits) {
        return None;
    }
    let (sign, folds) = if style == Style::Literal { ('|', "") } else { ('>', ending) };
    if style == Style::Folded && !body.split('\n').all(begins) {
        return None;
    }
    let comment = header[1..].trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
    let mut written = format!("{sign}{chomping}{comment}");
    let mut before = "";
    for line in body.split('\n') {
        // A folded block has one more line break between lines with content.
        written.push_str(if line.is_empty() { "" } else { before });
        written.push_str(ending);
        written.push_str(if line.is_empty() { "" } else { margin });
        written.push_str(line);
        before = folds;
    }
    if last && chomping.is_empty() {
        written.push_str(ending);
    }
    Some(written)
}

/// The scalars in which two documents differ, old and new; `None` where the documents differ
/// in more than that: in keys, or in the shape of lists and maps.
pub fn differences<'n>(before: &'n Node, after: &'n Node) -> Option<Vec<(&'n Node, &'n Node)>> {
    let mut found = Vec::new();
    compare(before, after, &mut found).then_some(found)
}

fn compare<'n>(before: &'n Node, after: &'n Node, found: &mut Vec<(&'n Node, &'n Node)>) -> bool {
    match (&before.kind, &after.kind) {
        (NodeKind::Scalar(was), NodeKind::Scalar(is)) => {
            found.extend((was.text != is.text).then_some((before, after)));
            true
        }
        (NodeKind::List(was), NodeKind::List(is)) => {
            was.len() == is.len() && was.iter().zip(is).all(|(was, is)| compare(was, is, found))
        }
        (NodeKind::Map(was), NodeKind::Map(is)) => {
            let same = |found: &mut Vec<_>, was: &'n Node, is: &'n Node| {
                let count = found.len();
                compare(was, is, found) && found.len() == count
            };
            was.len() == is.len()
                && was.iter().zip(is).all(|((key, value), (other, now))| {
                    same(found, key, other) && compare(value, now, found)
                })
        }
        // What it stands for is compared at its own place.
        (NodeKind::Alias(was), NodeKind::Alias(is)) => {
            (was.line, was.column) == (is.line, is.column)
        }
        _ => false,
    }
}
