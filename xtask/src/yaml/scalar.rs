//! The places of texts, in each style.

use std::ops::Range;

use saphyr_parser::{ScalarStyle, Span};

use super::read::{Open, Reader, error_at};
use super::{Node, NodeKind, Scalar, Style, SyntaxError};

impl Reader<'_> {
    /// The node of a text that `properties` precede: an anchor, a tag.
    pub fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        span: Span,
        properties: usize,
        within: Option<&Open>,
    ) -> Result<Node, SyntaxError> {
        let mut start = self.places.byte(span.start);
        let is_left_out = style == ScalarStyle::Plain && text.is_empty();
        if properties > 0 && !is_left_out {
            start = self.behind(start, properties);
            self.consumed = self.consumed.max(start);
        }
        let (style, span) = match style {
            ScalarStyle::Plain if is_left_out && properties > 0 => {
                let end = self.places.byte(span.end);
                (Style::Plain, end..end)
            }
            ScalarStyle::Plain if is_left_out => (Style::Plain, self.left_out(within)),
            ScalarStyle::Plain => (Style::Plain, start..self.places.byte(span.end)),
            ScalarStyle::SingleQuoted => (Style::Single, start..self.quoted(start, '\'')?),
            ScalarStyle::DoubleQuoted => (Style::Double, start..self.quoted(start, '"')?),
            ScalarStyle::Literal => (Style::Literal, self.block(&text, span, properties > 0)?),
            ScalarStyle::Folded => (Style::Folded, self.block(&text, span, properties > 0)?),
        };
        let text = match style {
            Style::Literal | Style::Folded => chomped(text, &self.text[span.clone()]),
            Style::Plain | Style::Single | Style::Double => text,
        };
        self.consumed = self.consumed.max(span.end);
        if style != Style::Plain {
            self.may_have_tabs.push(span.clone());
        }
        let (line, column) = self.places.line(span.start);
        Ok(Node { kind: NodeKind::Scalar(Scalar { text, style }), span, line, column })
    }

    /// The end of a quoted text, after its quote. The parser's span includes the comment.
    fn quoted(&mut self, start: usize, quote: char) -> Result<usize, SyntaxError> {
        let mut inner = self.text[start..].char_indices().skip(1).peekable();
        while let Some((at, c)) = inner.next() {
            match c {
                '\\' if quote == '"' => {
                    if let Some((_, '/')) = inner.next()
                        && !self.rules.takes_all
                    {
                        let why = "the escape \\/ is new in YAML 1.2: write the / alone";
                        return Err(error_at(self.places.line(start + at), why));
                    }
                }
                // Two quotes stand for one.
                '\'' if quote == c && inner.peek().is_some_and(|(_, next)| *next == quote) => {
                    inner.next();
                }
                _ if c == quote => return Ok(start + at + 1),
                _ => {}
            }
        }
        Ok(self.text.len())
    }

    /// The place of a value that is left out: after its indicator, or after what precedes it. The
    /// parser may give the beginning of the next node instead, or the end of its key.
    fn left_out(&self, within: Option<&Open>) -> Range<usize> {
        let is_indicator = |at: &usize| {
            within.is_some_and(|open| {
                // Otherwise it begins a word.
                let ends = |rest: &str| {
                    rest.is_empty()
                        || rest.starts_with([' ', '\t', '\n', '\r'])
                        || (open.flows && rest.starts_with([',', ']', '}']))
                };
                // Otherwise it is the indicator of the map around it. The line is looked at only
                // in block style: in brackets it may be the whole text.
                let column = || {
                    let line = self.text[..*at].rsplit(['\n', '\r']).next().unwrap_or_default();
                    line.chars().count() + 1
                };
                let is_own = open.flows || column() >= open.at.1;
                is_own && self.text[*at..].strip_prefix(open.indicator()).is_some_and(ends)
            })
        };
        let indicator = self.sign_from(self.consumed, self.text.len()).filter(is_indicator);
        let at = indicator.map_or(self.consumed, |at| at + 1);
        at..at
    }

    /// A whole block, from its `|` or `>` to its last line break. The parser gives the beginning
    /// of its first line and of the next node.
    /// With properties it gives their beginning instead.
    fn block(
        &mut self,
        text: &str,
        span: Span,
        has_properties: bool,
    ) -> Result<Range<usize>, SyntaxError> {
        let mut first = self.places.byte(span.start);
        let end = self.places.byte(span.end);
        let mut start = self.consumed;
        while let Some(sign) = self.sign_from(self.consumed, self.text.len()) {
            start = sign;
            if !self.text[sign..].starts_with([':', '-', '?']) {
                break;
            }
            self.consumed = sign + 1;
        }
        let header = self.text[start..].split(['\n', '\r', '#', ' ', '\t']).next().unwrap_or("");
        if !header.starts_with(['|', '>']) {
            let why = "the beginning of this block of text is not found";
            return Err(self.error_at_mark(span.start, why));
        }
        if has_properties {
            first = self.first_of_block(start);
        }
        if text.chars().all(|c| c == '\n') {
            return Ok(start..start + header.len());
        }
        let end =
            if header.contains('+') { self.kept_end(end) } else { self.clipped_end(end, first) };
        Ok(start..end)
    }

    /// The beginning of the first line with a text of a block whose header begins at `start`.
    fn first_of_block(&self, start: usize) -> usize {
        let header = self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |at| start + at);
        let rest = &self.text[header..];
        header + rest.find(|c| ![' ', '\n', '\r'].contains(&c)).unwrap_or(0)
    }

    /// The end of a block whose last empty lines are part of it (chomping `keep`).
    fn kept_end(&self, end: usize) -> usize {
        // The indentation of the next node is not part of the block.
        let lines = self.text[..end].trim_end_matches(' ');
        let follows = end < self.text.len() && lines.ends_with(['\n', '\r']);
        let lines = if follows { lines } else { &self.text[..end] };
        let line = lines.strip_suffix('\n').unwrap_or(lines);
        line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// The end of a block without them (`clip`, `strip`), whose first line begins at `first`.
    fn clipped_end(&self, end: usize, first: usize) -> usize {
        let margin = self.text[..first].len() - self.text[..first].trim_end_matches(' ').len();
        let mut block = &self.text[..end];
        loop {
            let line = block.rsplit(['\n', '\r']).next().unwrap_or("");
            // In a line that is longer than the indentation, spaces are content.
            if line.len() > margin
                || !line.trim_end_matches(' ').is_empty()
                || line.len() == block.len()
            {
                return block.len();
            }
            block = &block[..block.len() - line.len()];
            block = block.strip_suffix('\n').unwrap_or(block);
            block = block.strip_suffix('\r').unwrap_or(block);
        }
    }
}

/// The text of a block with as many line breaks at its end as its header asks for. The parser
/// adds one where the last line has only the indentation.
/// <https://yaml.org/spec/1.2.2/#8112-block-chomping-indicator>
fn chomped(text: String, block: &str) -> String {
    let mut header = block.chars().skip(1).take_while(|c| c.is_ascii_digit() || "+-".contains(*c));
    let trimmed = text.trim_end_matches('\n');
    match header.find(|c| !c.is_ascii_digit()) {
        Some('+') => text,
        Some(_) => trimmed.to_owned(),
        None if text.ends_with("\n\n") => format!("{trimmed}\n"),
        None => text,
    }
}
