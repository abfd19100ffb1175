//! Turns the parser's events into nodes with their places in the text.

use std::collections::HashSet;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::place::Places;
use super::{Node, NodeKind, Scalar, Style, SyntaxError};

/// In bytes, of a text. The largest manifest of krew's index has 13 kB.
const LARGEST: usize = 1 << 20;

/// How deep lists and maps are nested.
const DEEPEST: usize = 64;

/// The nodes of all documents together.
const MOST_NODES: usize = 100_000;

/// Parses a text into one node per document. A byte order mark at the beginning is skipped.
///
/// It is an error if the text is not YAML, or is too large or too deep, or if readers differ on
/// its meaning: because of directives, anchors, aliases or tags, a key that a map has twice, tabs
/// that indent, the escape `\/`, or characters that YAML cannot have or that only some readers
/// take for the end of a line.
pub fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    if text.len() > LARGEST {
        let why = format!("the text has {} bytes: at most {LARGEST} are read", text.len());
        return Err(SyntaxError { line: 1, column: 1, why });
    }
    let start = text.len() - text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).len();
    let mut reader = Reader {
        text,
        places: Places::new(text, start),
        consumed: start,
        may_have_tabs: Vec::new(),
    };
    reader.check_characters(start)?;
    let documents = reader.documents(start)?;
    reader.check_tabs(start)?;
    Ok(documents)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Characters that end a line only for parsers of YAML 1.1, such as Go's.
/// <https://yaml.org/spec/1.2.2/#54-line-break-characters>
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Whether every reader accepts a character as it is, without an escape.
/// <https://yaml.org/spec/1.2.2/#51-character-set>
pub(super) fn is_printable(c: char) -> bool {
    let other = ('\u{7f}'..'\u{a0}').contains(&c) || ('\u{fffe}'..='\u{ffff}').contains(&c);
    c == '\t' || !(c < ' ' || other || c == BYTE_ORDER_MARK || BREAKS.contains(&c))
}

struct Reader<'a> {
    text: &'a str,
    places: Places<'a>,
    /// In bytes: the end of what was read before the next node.
    consumed: usize,
    /// In bytes: texts whose lines may begin with tabs.
    may_have_tabs: Vec<Range<usize>>,
}

/// A list or a map whose end was not read yet.
struct Open {
    start: usize,
    at: (usize, usize),
    is_map: bool,
    /// Whether it is in brackets, or within another that is (YAML's flow style).
    flows: bool,
    /// Items, or alternating keys and values.
    children: Vec<Node>,
}

impl Open {
    /// The indicator that may precede the next child.
    fn indicator(&self) -> char {
        match (self.is_map, self.children.len() % 2) {
            (true, 0) => '?',
            (true, _) => ':',
            (false, _) => '-',
        }
    }
}

fn error_at((line, column): (usize, usize), why: impl Into<String>) -> SyntaxError {
    SyntaxError { line, column, why: why.into() }
}

fn error_at_mark(mark: Marker, why: impl Into<String>) -> SyntaxError {
    error_at((mark.line().max(1), mark.col() + 1), why)
}

impl Reader<'_> {
    /// Refuses characters that YAML cannot have. The parser would take one of them for the end.
    fn check_characters(&mut self, start: usize) -> Result<(), SyntaxError> {
        let odd = |c: char| !is_printable(c) && !['\n', '\r'].contains(&c);
        let Some(at) = self.text[start..].find(odd).map(|at| at + start) else { return Ok(()) };
        let c = self.text[at..].chars().next().unwrap_or_default();
        let code = format!("U+{:04X}", u32::from(c));
        let why = if BREAKS.contains(&c) {
            format!("the character {code} ends a line only for some readers")
        } else {
            format!("YAML cannot have the character {code}")
        };
        Err(error_at(Places::new(self.text, start).line(at), why))
    }

    /// Refuses tabs that indent a line, as most parsers of YAML 1.1 do.
    fn check_tabs(&self, start: usize) -> Result<(), SyntaxError> {
        let mut exempt = self.may_have_tabs.iter().peekable();
        let mut begin = start;
        for line in self.text[start..].split_inclusive(['\n', '\r']) {
            let indent = line.bytes().take_while(|byte| *byte == b' ').count();
            let at = begin + indent;
            begin += line.len();
            while exempt.next_if(|text| text.end <= at).is_some() {}
            if line[indent..].starts_with('\t') && exempt.peek().is_none_or(|text| at < text.start)
            {
                let why = "a tab indents this line: not every reader accepts that";
                return Err(error_at(Places::new(self.text, start).line(at), why));
            }
        }
        Ok(())
    }

    fn documents(&mut self, start: usize) -> Result<Vec<Node>, SyntaxError> {
        let mut parser = Parser::new_from_str(&self.text[start..]);
        let mut documents = Vec::new();
        let mut open = Vec::<Open>::new();
        let mut nodes = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) =
                event.map_err(|error| error_at_mark(*error.marker(), error.info()))?;
            unambiguous(&event, span)?;
            let done = match event {
                Event::DocumentStart(written) => {
                    self.check_directives()?;
                    // Without a `---` the parser gives the place of the first text.
                    let end = if written { self.places.byte(span.end) } else { 0 };
                    self.consumed = self.consumed.max(end);
                    continue;
                }
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    if open.len() == DEEPEST {
                        let why = format!("lists and maps are nested deeper than {DEEPEST}");
                        return Err(error_at_mark(span.start, why));
                    }
                    let is_map = matches!(event, Event::MappingStart(..));
                    let within = open.last().is_some_and(|open| open.flows);
                    open.push(self.begin(span, is_map, within));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(ended) = open.pop() else { continue };
                    self.end(ended, span)?
                }
                Event::Scalar(text, style, ..) => {
                    self.scalar(text.into_owned(), style, span, open.last())?
                }
                _ => continue,
            };
            nodes += 1;
            if nodes > MOST_NODES {
                let why = format!("the text has more than {MOST_NODES} values");
                return Err(error_at_mark(span.start, why));
            }
            match open.last_mut() {
                Some(open) => open.children.push(done),
                None => documents.push(done),
            }
        }
        Ok(documents)
    }

    /// Refuses directives before a document. Behind one the parser also miscounts.
    fn check_directives(&mut self) -> Result<(), SyntaxError> {
        let mut at = self.consumed;
        while let Some(sign) = self.sign_from(at, self.text.len()) {
            if self.text[sign..].starts_with('%') {
                let why = "a directive is not supported: leave it out";
                return Err(error_at(self.places.line(sign), why));
            }
            if !self.text[sign..].starts_with("...") {
                break;
            }
            at = sign + "...".len();
        }
        Ok(())
    }

    /// `within` says that it is in brackets.
    fn begin(&mut self, span: Span, is_map: bool, within: bool) -> Open {
        let mut start = self.places.byte(span.start);
        let bracket = self.text[start..].starts_with(['[', '{']);
        if bracket {
            // In flow style a bracket begins it.
            self.consumed = self.consumed.max(start + 1);
        } else if !is_map && !self.text[start..].starts_with('-') {
            // Where a list is indented like its key, the parser gives the place of the first item.
            start = self.dash(start);
        }
        self.consumed = self.consumed.max(start);
        // A map in block style may begin with a key in brackets.
        let flows = within || (bracket && self.places.byte(span.end) > start);
        Open { start, at: self.places.line(start), is_map, flows, children: Vec::new() }
    }

    /// The first `-` before `end` that was not consumed; it follows the indicator of a key.
    fn dash(&self, end: usize) -> usize {
        let mut at = self.consumed;
        while let Some(sign) = self.sign_from(at, end) {
            if self.text[sign..].starts_with('-') {
                return sign;
            }
            at = sign + 1;
        }
        end
    }

    fn end(&mut self, ended: Open, span: Span) -> Result<Node, SyntaxError> {
        let last = self.places.byte(span.start);
        // The parser's span includes the comment.
        let bracket =
            self.text[last..].starts_with([']', '}']) && self.places.byte(span.end) > last;
        // A block ends with its last child: the parser gives the beginning of the next node.
        let child = ended.children.last().map_or(ended.start, |child| child.span.end);
        let end = if bracket { last + 1 } else { child };
        self.consumed = self.consumed.max(end);
        let kind = if ended.is_map {
            NodeKind::Map(pairs(ended.children)?)
        } else {
            NodeKind::List(ended.children)
        };
        let (line, column) = ended.at;
        Ok(Node { kind, span: ended.start..end, line, column })
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        span: Span,
        within: Option<&Open>,
    ) -> Result<Node, SyntaxError> {
        let start = self.places.byte(span.start);
        let (style, span) = match style {
            ScalarStyle::Plain if text.is_empty() => (Style::Plain, self.left_out(within)),
            ScalarStyle::Plain => (Style::Plain, start..self.places.byte(span.end)),
            ScalarStyle::SingleQuoted => (Style::Single, start..self.quoted(start, '\'')?),
            ScalarStyle::DoubleQuoted => (Style::Double, start..self.quoted(start, '"')?),
            ScalarStyle::Literal => (Style::Literal, self.block(&text, span)?),
            ScalarStyle::Folded => (Style::Folded, self.block(&text, span)?),
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
                    if let Some((_, '/')) = inner.next() {
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
                let line = self.text[..*at].rsplit(['\n', '\r']).next().unwrap_or_default();
                // Otherwise it is the indicator of the map around it.
                let is_own = open.flows || line.chars().count() + 1 >= open.at.1;
                is_own && self.text[*at..].strip_prefix(open.indicator()).is_some_and(ends)
            })
        };
        let indicator = self.sign_from(self.consumed, self.text.len()).filter(is_indicator);
        let at = indicator.map_or(self.consumed, |at| at + 1);
        at..at
    }

    /// The first byte from `start` to `end` that is neither space nor comment.
    fn sign_from(&self, start: usize, end: usize) -> Option<usize> {
        let mut comment = false;
        let within = self.text[start..end].char_indices();
        let sign = within.into_iter().find(|(_, c)| {
            comment = (comment || *c == '#') && !['\n', '\r'].contains(c);
            !comment && !c.is_ascii_whitespace()
        });
        sign.map(|(at, _)| start + at)
    }

    /// A whole block, from its `|` or `>` to its last line break. The parser gives the beginning
    /// of its first line and of the next node.
    fn block(&mut self, text: &str, span: Span) -> Result<Range<usize>, SyntaxError> {
        let first = self.places.byte(span.start);
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
            return Err(error_at_mark(
                span.start,
                "the beginning of this block of text is not found",
            ));
        }
        if text.chars().all(|c| c == '\n') {
            return Ok(start..start + header.len());
        }
        let end =
            if header.contains('+') { self.kept_end(end) } else { self.clipped_end(end, first) };
        Ok(start..end)
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

/// Refuses aliases, anchors and tags, which readers treat differently.
fn unambiguous(event: &Event<'_>, span: Span) -> Result<(), SyntaxError> {
    let (anchor, tag) = match event {
        Event::Alias(_) => {
            let why = "an alias is not supported: write its value";
            return Err(error_at_mark(span.start, why));
        }
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => (*anchor, tag),
        _ => return Ok(()),
    };
    if anchor != 0 {
        return Err(error_at_mark(
            span.start,
            "an anchor is not supported: write each value where it is used",
        ));
    }
    match tag {
        Some(tag) => {
            Err(error_at_mark(span.start, format!("the tag {tag} is not supported: leave it out")))
        }
        None => Ok(()),
    }
}

/// Pairs of keys and values. A key that repeats is an error.
fn pairs(children: Vec<Node>) -> Result<Vec<(Node, Node)>, SyntaxError> {
    let mut pairs = Vec::with_capacity(children.len() / 2);
    let mut seen = HashSet::new();
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        if let Some(text) = key.text()
            && !seen.insert(text.to_owned())
        {
            let why = format!("the key {text:?} is here a second time");
            return Err(error_at((key.line, key.column), why));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}
