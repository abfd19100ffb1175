//! Converts the parser's places to bytes, lines and columns.

use saphyr_parser::Marker;

/// A text, and what is needed to convert the places of the parser, which counts characters.
pub(super) struct Places<'a> {
    text: &'a str,
    /// In bytes: the beginning of the text that the parser was given.
    start: usize,
    /// The number of its line, from 1.
    first_line: usize,
    /// Whether each character has one byte.
    is_ascii: bool,
    /// The place of the parser that was last asked for, in characters from `start` and in bytes.
    last_mark: (usize, usize),
    /// The byte that was last asked for, with its line and column.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    /// The parser was given the text from `start` on, and counts from there.
    pub(super) fn new(text: &'a str, start: usize, first_line: usize) -> Places<'a> {
        let is_ascii = text[start..].is_ascii();
        let last = (start, first_line, 1);
        Places { text, start, first_line, is_ascii, last_mark: (0, start), last }
    }

    /// The byte that the parser means. Cheap if places near each other are asked for.
    pub(super) fn byte(&mut self, mark: Marker) -> usize {
        if self.is_ascii {
            return (self.start + mark.index()).min(self.text.len());
        }
        let (characters, byte) = self.last_mark;
        let to = mark.index();
        let byte = if to >= characters {
            let mut after = self.text[byte..].char_indices();
            after.nth(to - characters).map_or(self.text.len(), |(at, _)| byte + at)
        } else {
            let mut before = self.text[self.start..byte].char_indices();
            let back = characters - to;
            before.nth_back(back - 1).map_or(self.start, |(at, _)| self.start + at)
        };
        // Past the end there are no characters to count.
        if byte < self.text.len() {
            self.last_mark = (to, byte);
        }
        byte
    }

    /// Line and column of a byte, both from 1. Cheap if bytes are asked for in order.
    pub(super) fn line(&mut self, byte: usize) -> (usize, usize) {
        if byte < self.last.0 {
            self.last = (self.start, self.first_line, 1);
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
