//! Turns the parser's events into nodes with their places in the text.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, Span};

use super::place::Places;
use super::{Node, NodeKind, SyntaxError};

/// In bytes, of a text. The largest manifest of krew's index has 13 kB.
const LARGEST: usize = 1 << 20;

/// What a reader accepts.
pub(super) struct Rules {
    /// How deep lists and maps are nested.
    pub deepest: usize,
    /// The nodes of all documents together.
    pub most_nodes: usize,
    /// Whether anchors, aliases, tags and the escape `\/` are accepted.
    pub takes_all: bool,
}

/// Texts that every reader understands alike.
const UNAMBIGUOUS: Rules = Rules { deepest: 64, most_nodes: 100_000, takes_all: false };

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
    read(text, start, 1, &UNAMBIGUOUS)
}

/// Parses the text from `start`, which is at the beginning of a line with the number `line`.
/// The spans are those of the whole text.
pub(super) fn read(
    text: &str,
    start: usize,
    line: usize,
    rules: &Rules,
) -> Result<Vec<Node>, SyntaxError> {
    let mut reader = Reader {
        text,
        start,
        first_line: line,
        rules,
        places: Places::new(text, start, line),
        consumed: start,
        may_have_tabs: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        copied: 0,
    };
    reader.check_characters()?;
    let documents = reader.documents()?;
    reader.check_tabs()?;
    Ok(documents)
}

pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Characters that end a line only for parsers of YAML 1.1, such as Go's.
/// <https://yaml.org/spec/1.2.2/#54-line-break-characters>
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Whether every reader accepts a character as it is, without an escape.
/// <https://yaml.org/spec/1.2.2/#51-character-set>
pub(super) fn is_printable(c: char) -> bool {
    let other = ('\u{7f}'..'\u{a0}').contains(&c) || ('\u{fffe}'..='\u{ffff}').contains(&c);
    c == '\t' || !(c < ' ' || other || c == BYTE_ORDER_MARK || BREAKS.contains(&c))
}

pub(super) struct Reader<'a> {
    pub text: &'a str,
    /// In bytes: the beginning of what is read, and the number of its line.
    start: usize,
    first_line: usize,
    pub rules: &'a Rules,
    pub places: Places<'a>,
    /// In bytes: the end of what was read before the next node.
    pub consumed: usize,
    /// In bytes: texts whose lines may begin with tabs.
    pub may_have_tabs: Vec<Range<usize>>,
    /// The nodes that have an anchor, by the parser's number of it.
    anchors: HashMap<usize, Arc<Node>>,
    /// How many nodes were read, and how many copied because they have an anchor.
    nodes: usize,
    copied: usize,
}

/// A list or a map whose end was not read yet.
pub(super) struct Open {
    start: usize,
    pub at: (usize, usize),
    is_map: bool,
    /// Whether it is in brackets, or within another that is (YAML's flow style).
    pub flows: bool,
    /// Items, or alternating keys and values.
    children: Vec<Node>,
    /// The parser's number of its anchor; 0 for none.
    anchor: usize,
    /// How many nodes were read before it.
    nodes_before: usize,
}

impl Open {
    /// The indicator that may precede the next child.
    pub fn indicator(&self) -> char {
        match (self.is_map, self.children.len() % 2) {
            (true, 0) => '?',
            (true, _) => ':',
            (false, _) => '-',
        }
    }
}

pub(super) fn error_at((line, column): (usize, usize), why: impl Into<String>) -> SyntaxError {
    SyntaxError { line, column, why: why.into() }
}

impl Reader<'_> {
    pub fn error_at_mark(&self, mark: Marker, why: impl Into<String>) -> SyntaxError {
        error_at((mark.line().max(1) + self.first_line - 1, mark.col() + 1), why)
    }

    /// The line and the column of a byte, wherever it is.
    fn place(&self, at: usize) -> (usize, usize) {
        Places::new(self.text, self.start, self.first_line).line(at)
    }

    /// Refuses characters that YAML cannot have. The parser would take one of them for the end.
    fn check_characters(&self) -> Result<(), SyntaxError> {
        let start = self.start;
        let odd = |c: char| !is_printable(c) && !['\n', '\r'].contains(&c);
        let Some(at) = self.text[start..].find(odd).map(|at| at + start) else { return Ok(()) };
        let c = self.text[at..].chars().next().unwrap_or_default();
        let code = format!("U+{:04X}", u32::from(c));
        let why = if BREAKS.contains(&c) {
            format!("the character {code} ends a line only for some readers")
        } else {
            format!("YAML cannot have the character {code}")
        };
        Err(error_at(self.place(at), why))
    }

    /// Refuses tabs that indent a line, as most parsers of YAML 1.1 do.
    fn check_tabs(&self) -> Result<(), SyntaxError> {
        let mut exempt = self.may_have_tabs.iter().peekable();
        let mut begin = self.start;
        for line in self.text[self.start..].split_inclusive(['\n', '\r']) {
            let indent = line.bytes().take_while(|byte| *byte == b' ').count();
            let at = begin + indent;
            begin += line.len();
            while exempt.next_if(|text| text.end <= at).is_some() {}
            if line[indent..].starts_with('\t') && exempt.peek().is_none_or(|text| at < text.start)
            {
                let why = "a tab indents this line: not every reader accepts that";
                return Err(error_at(self.place(at), why));
            }
        }
        Ok(())
    }

    fn documents(&mut self) -> Result<Vec<Node>, SyntaxError> {
        let text = self.text;
        let mut parser = Parser::new_from_str(&text[self.start..]);
        let mut documents = Vec::new();
        let mut open = Vec::<Open>::new();
        while let Some(event) = parser.next_event() {
            let (event, span) =
                event.map_err(|error| self.error_at_mark(*error.marker(), error.info()))?;
            let (anchor, properties) = self.properties(&event, span)?;
            let begun = self.nodes;
            let (done, anchor) = match event {
                Event::DocumentStart(written) => {
                    self.check_directives()?;
                    // Without a `---` the parser gives the place of the first text.
                    let end = if written { self.places.byte(span.end) } else { 0 };
                    self.consumed = self.consumed.max(end);
                    continue;
                }
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    if open.len() == self.rules.deepest {
                        let most = self.rules.deepest;
                        let why = format!("lists and maps are nested deeper than {most}");
                        return Err(self.error_at_mark(span.start, why));
                    }
                    let is_map = matches!(event, Event::MappingStart(..));
                    let within = open.last().is_some_and(|open| open.flows);
                    let begun = self.begin(span, is_map, within, properties);
                    open.push(Open { anchor, ..begun });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(ended) = open.pop() else { continue };
                    self.count(span)?;
                    let anchor = (ended.anchor, ended.nodes_before);
                    (self.end(ended, span)?, anchor)
                }
                Event::Scalar(text, style, ..) => {
                    self.count(span)?;
                    let text = text.into_owned();
                    let node = self.scalar(text, style, span, properties, open.last())?;
                    (node, (anchor, begun))
                }
                Event::Alias(of) => {
                    self.count(span)?;
                    (self.alias(of, span)?, (0, begun))
                }
                _ => continue,
            };
            if let (number @ 1.., before) = anchor {
                self.copied += self.nodes - before;
                self.limit(span)?;
                self.anchors.insert(number, Arc::new(done.clone()));
            }
            match open.last_mut() {
                Some(open) => open.children.push(done),
                None => documents.push(done),
            }
        }
        Ok(documents)
    }

    fn count(&mut self, span: Span) -> Result<(), SyntaxError> {
        self.nodes += 1;
        self.limit(span)
    }

    fn limit(&self, span: Span) -> Result<(), SyntaxError> {
        if self.nodes + self.copied > self.rules.most_nodes {
            let why = format!("the text has more than {} values", self.rules.most_nodes);
            return Err(self.error_at_mark(span.start, why));
        }
        Ok(())
    }

    /// The parser's number of a node's anchor, 0 for none; and how many properties precede the
    /// node: its anchor, its tag. Refuses them, and aliases, where readers treat them differently.
    fn properties(&self, event: &Event<'_>, span: Span) -> Result<(usize, usize), SyntaxError> {
        let takes_all = self.rules.takes_all;
        let (anchor, tag) = match event {
            Event::Alias(_) if !takes_all => {
                let why = "an alias is not supported: write its value";
                return Err(self.error_at_mark(span.start, why));
            }
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag),
            _ => return Ok((0, 0)),
        };
        if anchor != 0 && !takes_all {
            let why = "an anchor is not supported: write each value where it is used";
            return Err(self.error_at_mark(span.start, why));
        }
        match tag {
            Some(tag) if !takes_all => {
                let why = format!("the tag {tag} is not supported: leave it out");
                Err(self.error_at_mark(span.start, why))
            }
            tag => Ok((anchor, usize::from(anchor != 0) + usize::from(tag.is_some()))),
        }
    }

    /// The beginning of a node whose properties begin at `start`.
    pub fn behind(&self, start: usize, properties: usize) -> usize {
        let mut at = start;
        for _ in 0..properties {
            let Some(sign) = self.sign_from(at, self.text.len()) else { break };
            let rest = &self.text[sign..];
            let ends = |c: char| c.is_ascii_whitespace() || ",[]{}".contains(c);
            let length = match rest.strip_prefix("!<") {
                Some(tag) => tag.find('>').map(|at| at + "!<>".len()),
                None => rest.find(ends),
            };
            at = sign + length.unwrap_or(rest.len());
        }
        self.sign_from(at, self.text.len()).unwrap_or(self.text.len())
    }

    fn alias(&mut self, of: usize, span: Span) -> Result<Node, SyntaxError> {
        let Some(target) = self.anchors.get(&of) else {
            return Err(self.error_at_mark(span.start, "an alias stands for a node that it is in"));
        };
        let kind = NodeKind::Alias(target.clone());
        let span = self.places.byte(span.start)..self.places.byte(span.end);
        self.consumed = self.consumed.max(span.end);
        let (line, column) = self.places.line(span.start);
        Ok(Node { kind, span, line, column })
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
    fn begin(&mut self, span: Span, is_map: bool, within: bool, properties: usize) -> Open {
        let mut start = self.places.byte(span.start);
        if properties > 0 {
            start = self.behind(start, properties);
        }
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
        let (at, nodes_before) = (self.places.line(start), self.nodes);
        Open { start, at, is_map, flows, children: Vec::new(), anchor: 0, nodes_before }
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

    /// The first byte from `start` to `end` that is neither space nor comment.
    pub fn sign_from(&self, start: usize, end: usize) -> Option<usize> {
        let mut comment = false;
        let within = self.text[start..end].char_indices();
        let sign = within.into_iter().find(|(_, c)| {
            comment = (comment || *c == '#') && !['\n', '\r'].contains(c);
            !comment && !c.is_ascii_whitespace()
        });
        sign.map(|(at, _)| start + at)
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
