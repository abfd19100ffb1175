//! Converts the parser's places to bytes, lines and columns.

use saphyr_parser::Marker;

/// A text, and what is needed to convert the places of the parser, which counts characters.
pub(super) struct Places<'a> {
    text: &'a str,
    /// In bytes: the beginning of the text that the parser was given.
    start: usize,
    /// In bytes: the beginning of each character; `None` where each has one byte.
    characters: Option<Vec<usize>>,
    /// The place that was last asked for, in bytes, with its line and column.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    /// The parser was given the text from `start` on, and counts from there.
    pub(super) fn new(text: &'a str, start: usize) -> Places<'a> {
        let rest = &text[start..];
        let bytes = |rest: &str| rest.char_indices().map(|(at, _)| at + start).collect();
        let characters = (!rest.is_ascii()).then(|| bytes(rest));
        Places { text, start, characters, last: (start, 1, 1) }
    }

    /// The byte that the parser means.
    pub(super) fn byte(&self, mark: Marker) -> usize {
        let byte = match &self.characters {
            Some(characters) => characters.get(mark.index()).copied(),
            None => Some(self.start + mark.index()),
        };
        byte.unwrap_or(self.text.len()).min(self.text.len())
    }

    /// Line and column of a byte, both from 1. Cheap if bytes are asked for in order.
    pub(super) fn line(&mut self, byte: usize) -> (usize, usize) {
        if byte < self.last.0 {
            self.last = (self.start, 1, 1);
        }
        let (from, mut line, mut column) = self.last;
        for (at, c) in self.text[from..byte].char_indices() {
            // A line ends with LF, CR, or both.
            let pair = || self.text[from + at + 1..].starts_with('\n');
            let ends = c == '\n' || (c == '\r' && !pair());
            (line, column) = if ends { (line + 1, 1) } else { (line, column + 1) };
        }
        self.last = (byte, line, column);
        (line, column)
    }
}
