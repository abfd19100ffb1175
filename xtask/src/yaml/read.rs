//! From the events of the parser to nodes with the places that they have in the text.

use std::collections::HashSet;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::place::Places;
use super::{Fault, Kind, Node, Scalar, Style};

/// In bytes. The largest manifest of krew's index has 13 kB.
const LARGEST: usize = 1 << 20;

/// Of lists and maps within each other.
const DEEPEST: usize = 64;

/// Of all documents together.
const MOST_NODES: usize = 100_000;

/// Parses a text into one node a document.
///
/// A fault is what is no YAML, or what is too large, too deep or too much; and what readers
/// make different things of: directives, anchors, aliases and tags, a key that a map has twice, tabs
/// before what a line says, the escape `\/`, and characters that YAML has not or that only
/// some readers take for the end of a line. A byte order mark at the beginning is passed
/// over.
pub fn parse(text: &str) -> Result<Vec<Node>, Fault> {
    if text.len() > LARGEST {
        let why = format!("the text has {} bytes, and no more than {LARGEST} are read", text.len());
        return Err(Fault { line: 1, column: 1, why });
    }
    let start = text.len() - text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).len();
    let mut reader =
        Reader { text, places: Places::new(text, start), passed: start, kept: Vec::new() };
    reader.characters(start)?;
    let documents = reader.documents(start)?;
    reader.tabs(start)?;
    Ok(documents)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// What parsers of YAML 1.1, such as Go's, take for the end of a line, and others do not.
/// <https://yaml.org/spec/1.2.2/#54-line-break-characters>
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Whether YAML can have a character where it stands for itself, in every reader.
/// <https://yaml.org/spec/1.2.2/#51-character-set>
pub(super) fn is_printable(c: char) -> bool {
    let other = ('\u{7f}'..'\u{a0}').contains(&c) || ('\u{fffe}'..='\u{ffff}').contains(&c);
    c == '\t' || !(c < ' ' || other || c == BYTE_ORDER_MARK || BREAKS.contains(&c))
}

struct Reader<'a> {
    text: &'a str,
    places: Places<'a>,
    /// In bytes: the end of what stands before the next node.
    passed: usize,
    /// In bytes: texts that may have tabs at the beginnings of their lines.
    kept: Vec<Range<usize>>,
}

/// A list or a map whose end has not been read.
struct Open {
    start: usize,
    at: (usize, usize),
    is_map: bool,
    /// Whether it stands in brackets, or within one that does.
    flows: bool,
    /// Keys and values in turn, where it is a map.
    children: Vec<Node>,
}

impl Open {
    /// What announces the next child, where it is written that way.
    fn sign(&self) -> char {
        match (self.is_map, self.children.len() % 2) {
            (true, 0) => '?',
            (true, _) => ':',
            (false, _) => '-',
        }
    }
}

fn fault((line, column): (usize, usize), why: impl Into<String>) -> Fault {
    Fault { line, column, why: why.into() }
}

/// Where the parser stopped.
fn marked(mark: Marker, why: impl Into<String>) -> Fault {
    fault((mark.line().max(1), mark.col() + 1), why)
}

impl Reader<'_> {
    /// Looks for characters that cannot be, among which the parser takes one for the end.
    fn characters(&mut self, start: usize) -> Result<(), Fault> {
        let odd = |c: char| !is_printable(c) && !['\n', '\r'].contains(&c);
        let Some(at) = self.text[start..].find(odd).map(|at| at + start) else { return Ok(()) };
        let c = self.text[at..].chars().next().unwrap_or_default();
        let code = format!("U+{:04X}", u32::from(c));
        let why = match BREAKS.contains(&c) {
            true => format!("the character {code} ends a line for some readers only"),
            false => format!("the character {code} cannot stand in YAML"),
        };
        Err(fault(Places::new(self.text, start).line(at), why))
    }

    /// Looks for tabs before what a line says, which parsers of YAML 1.1 mostly refuse.
    fn tabs(&self, start: usize) -> Result<(), Fault> {
        let mut kept = self.kept.iter().peekable();
        let mut begin = start;
        for line in self.text[start..].split_inclusive(['\n', '\r']) {
            let indent = line.bytes().take_while(|byte| *byte == b' ').count();
            let at = begin + indent;
            begin += line.len();
            while kept.next_if(|text| text.end <= at).is_some() {}
            if line[indent..].starts_with('\t') && kept.peek().is_none_or(|text| at < text.start) {
                let why = "a tab indents this line, and not every reader takes one for space";
                return Err(fault(Places::new(self.text, start).line(at), why));
            }
        }
        Ok(())
    }

    fn documents(&mut self, start: usize) -> Result<Vec<Node>, Fault> {
        let mut parser = Parser::new_from_str(&self.text[start..]);
        let (mut documents, mut open) = (Vec::new(), Vec::<Open>::new());
        let mut nodes = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| marked(*error.marker(), error.info()))?;
            unambiguous(&event, span)?;
            let done = match event {
                Event::DocumentStart(written) => {
                    self.directives()?;
                    // Where no `---` is written, the parser says where the first text begins.
                    let end = if written { self.places.byte(span.end) } else { 0 };
                    self.passed = self.passed.max(end);
                    continue;
                }
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    if open.len() == DEEPEST {
                        let why = format!("lists and maps stand deeper than {DEEPEST}");
                        return Err(marked(span.start, why));
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
                return Err(marked(span.start, why));
            }
            match open.last_mut() {
                Some(open) => open.children.push(done),
                None => documents.push(done),
            }
        }
        Ok(documents)
    }

    /// Looks for directives before a document, behind which the parser miscounts too.
    fn directives(&mut self) -> Result<(), Fault> {
        let mut at = self.passed;
        while let Some(sign) = self.sign_from(at, self.text.len()) {
            if self.text[sign..].starts_with('%') {
                let why = "a directive stands here, which no manifest needs: leave it out";
                return Err(fault(self.places.line(sign), why));
            }
            if !self.text[sign..].starts_with("...") {
                break;
            }
            at = sign + "...".len();
        }
        Ok(())
    }

    /// `within` says that it stands in brackets.
    fn begin(&mut self, span: Span, is_map: bool, within: bool) -> Open {
        let mut start = self.places.byte(span.start);
        let bracket = self.text[start..].starts_with(['[', '{']);
        if bracket {
            // That of a flow has a bracket.
            self.passed = self.passed.max(start + 1);
        } else if !is_map && !self.text[start..].starts_with('-') {
            // Where a list has the margin of its key, the parser says where its first item
            // begins.
            start = self.dash(start);
        }
        self.passed = self.passed.max(start);
        // A map in lines may begin with a key in brackets.
        let flows = within || (bracket && self.places.byte(span.end) > start);
        Open { start, at: self.places.line(start), is_map, flows, children: Vec::new() }
    }

    /// The first `-` before `end` of those not passed yet, behind the sign of a key.
    fn dash(&self, end: usize) -> usize {
        let mut at = self.passed;
        while let Some(sign) = self.sign_from(at, end) {
            if self.text[sign..].starts_with('-') {
                return sign;
            }
            at = sign + 1;
        }
        end
    }

    fn end(&mut self, ended: Open, span: Span) -> Result<Node, Fault> {
        let last = self.places.byte(span.start);
        // The parser's bracket has the comment too.
        let bracket =
            self.text[last..].starts_with([']', '}']) && self.places.byte(span.end) > last;
        // A block ends where its last child does: the parser says where the next one begins.
        let child = ended.children.last().map_or(ended.start, |child| child.span.end);
        let end = if bracket { last + 1 } else { child };
        self.passed = self.passed.max(end);
        let kind = match ended.is_map {
            true => Kind::Map(pairs(ended.children)?),
            false => Kind::List(ended.children),
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
    ) -> Result<Node, Fault> {
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
        self.passed = self.passed.max(span.end);
        if style != Style::Plain {
            self.kept.push(span.clone());
        }
        let (line, column) = self.places.line(span.start);
        Ok(Node { kind: Kind::Scalar(Scalar { text, style }), span, line, column })
    }

    /// The end of a quoted text, behind its quote. The parser's has the comment too.
    fn quoted(&mut self, start: usize, quote: char) -> Result<usize, Fault> {
        let mut inner = self.text[start..].char_indices().skip(1).peekable();
        while let Some((at, c)) = inner.next() {
            match c {
                '\\' if quote == '"' => {
                    if let Some((_, '/')) = inner.next() {
                        let why = "the escape \\/ is YAML since 1.2 only: write the / alone";
                        return Err(fault(self.places.line(start + at), why));
                    }
                }
                // Two of them are one in the text.
                '\'' if quote == c && inner.peek().is_some_and(|(_, next)| *next == quote) => {
                    inner.next();
                }
                _ if c == quote => return Ok(start + at + 1),
                _ => {}
            }
        }
        Ok(self.text.len())
    }

    /// Where a value would stand that is left out: behind the sign that announces it, or
    /// behind what stands before it. The parser may say where the next one begins, or where
    /// its key ends.
    fn left_out(&self, within: Option<&Open>) -> Range<usize> {
        let announces = |at: &usize| {
            within.is_some_and(|open| {
                // Or it is the beginning of a word.
                let ends = |rest: &str| {
                    rest.is_empty()
                        || rest.starts_with([' ', '\t', '\n', '\r'])
                        || (open.flows && rest.starts_with([',', ']', '}']))
                };
                let line = self.text[..*at].rsplit(['\n', '\r']).next().unwrap_or_default();
                // Or it is that of the map around.
                let is_own = open.flows || line.chars().count() + 1 >= open.at.1;
                is_own && self.text[*at..].strip_prefix(open.sign()).is_some_and(ends)
            })
        };
        let announced = self.sign(self.text.len()).filter(announces);
        let at = announced.map_or(self.passed, |at| at + 1);
        at..at
    }

    /// The first byte before `end` that is no space or comment, of those not passed yet.
    fn sign(&self, end: usize) -> Option<usize> {
        self.sign_from(self.passed, end)
    }

    fn sign_from(&self, start: usize, end: usize) -> Option<usize> {
        let mut comment = false;
        let within = self.text[start..end].char_indices();
        let sign = within.into_iter().find(|(_, c)| {
            comment = (comment || *c == '#') && !['\n', '\r'].contains(c);
            !comment && !c.is_ascii_whitespace()
        });
        sign.map(|(at, _)| start + at)
    }

    /// All of a block, from its `|` or `>` to before its last line break. The parser says
    /// where its first line begins, and where the next node does.
    fn block(&mut self, text: &str, span: Span) -> Result<Range<usize>, Fault> {
        let (first, end) = (self.places.byte(span.start), self.places.byte(span.end));
        let mut start = self.passed;
        while let Some(sign) = self.sign(self.text.len()) {
            start = sign;
            if !self.text[sign..].starts_with([':', '-', '?']) {
                break;
            }
            self.passed = sign + 1;
        }
        let header = self.text[start..].split(['\n', '\r', '#', ' ', '\t']).next().unwrap_or("");
        if !header.starts_with(['|', '>']) {
            return Err(marked(span.start, "the beginning of this block of text is not found"));
        }
        if text.chars().all(|c| c == '\n') {
            return Ok(start..start + header.len());
        }
        let end = match header.contains('+') {
            true => self.kept(end),
            false => self.clipped(end, first),
        };
        Ok(start..end)
    }

    /// The end of a block whose empty lines at the end are part of it.
    fn kept(&self, end: usize) -> usize {
        // What stands before the next node is no line of it.
        let lines = self.text[..end].trim_end_matches(' ');
        let follows = end < self.text.len() && lines.ends_with(['\n', '\r']);
        let lines = if follows { lines } else { &self.text[..end] };
        let line = lines.strip_suffix('\n').unwrap_or(lines);
        line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// The end of one where they are not, whose first line begins at `first`.
    fn clipped(&self, end: usize, first: usize) -> usize {
        let margin = self.text[..first].len() - self.text[..first].trim_end_matches(' ').len();
        let mut block = &self.text[..end];
        loop {
            let line = block.rsplit(['\n', '\r']).next().unwrap_or("");
            // A longer one has spaces for content.
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

/// The text of a block with no more line breaks at its end than its header asks for. The
/// parser has one more where the last line is nothing but the margin.
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

/// Refuses what readers make different things of.
fn unambiguous(event: &Event<'_>, span: Span) -> Result<(), Fault> {
    let (anchor, tag) = match event {
        Event::Alias(_) => {
            let why = "an alias stands here: write what it stands for";
            return Err(marked(span.start, why));
        }
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => (*anchor, tag),
        _ => return Ok(()),
    };
    if anchor != 0 {
        return Err(marked(span.start, "an anchor stands here: write each value where it is"));
    }
    match tag {
        Some(tag) => Err(marked(span.start, format!("the tag {tag} stands here: leave it out"))),
        None => Ok(()),
    }
}

/// Keys and values, each key once.
fn pairs(children: Vec<Node>) -> Result<Vec<(Node, Node)>, Fault> {
    let mut pairs = Vec::with_capacity(children.len() / 2);
    let mut seen = HashSet::new();
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        if let Some(text) = key.text()
            && !seen.insert(text.to_owned())
        {
            let why = format!("the key {text:?} stands here a second time");
            return Err(fault((key.line, key.column), why));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}
