//! Where a byte stands in a text.

use saphyr_parser::Marker;

/// A text, and the places in it that the parser speaks of, which counts characters.
pub(super) struct Places<'a> {
    text: &'a str,
    /// In bytes: where the text begins that the parser was given.
    start: usize,
    /// In bytes: where each of its characters begins; none where each has one byte.
    characters: Option<Vec<usize>>,
    /// In bytes, with its line and column: the place that was last asked for.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    /// The parser was given the text from `start` on, which is not counted.
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

    /// Line and column of a byte, both from 1. Cheap where they are asked for in order.
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
