//! Values of JSON, which the reader of YAML does not take as they are: tabs, and escapes of
//! characters in two halves.
//! <https://www.rfc-editor.org/rfc/rfc8259>

use std::collections::HashSet;

use super::place::Places;
use super::read::{Rules, error_at};
use super::{Node, NodeKind, Scalar, Style, SyntaxError};

/// Values that follow each other, with or without space between them.
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
    places: Places<'a>,
    /// The nodes of the value that is read now.
    nodes: usize,
}

impl<'a> Json<'a> {
    /// The values from `skipped` bytes behind `start` on, which begins a line with the number
    /// `line`.
    pub(super) fn new(text: &'a str, start: usize, skipped: usize, line: usize) -> Json<'a> {
        Json { text, at: start + skipped, places: Places::new(text, start, line), nodes: 0 }
    }

    /// The next value; `None` at the end.
    pub(super) fn next(&mut self, rules: &Rules) -> Result<Option<Node>, SyntaxError> {
        self.skip_space();
        self.nodes = 0;
        if self.at == self.text.len() { Ok(None) } else { self.value(0, rules).map(Some) }
    }

    /// Whether another map, or the end, is next.
    pub(super) fn at_value_or_end(&mut self) -> bool {
        self.skip_space();
        let rest = &self.text[self.at..];
        rest.is_empty() || rest.starts_with('{')
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn error<T>(&mut self, why: impl Into<String>) -> Result<T, SyntaxError> {
        Err(error_at(self.places.line(self.at), why))
    }

    fn value(&mut self, depth: usize, rules: &Rules) -> Result<Node, SyntaxError> {
        let start = self.at;
        let (line, column) = self.places.line(start);
        self.nodes += 1;
        if self.nodes > rules.most_nodes {
            return self.error(format!("the text has more than {} values", rules.most_nodes));
        }
        let kind = match self.text[start..].chars().next() {
            Some('{' | '[') if depth == rules.deepest => {
                let most = rules.deepest;
                return self.error(format!("lists and maps are nested deeper than {most}"));
            }
            Some('{') => NodeKind::Map(self.map(depth, rules)?),
            Some('[') => NodeKind::List(self.list(depth, rules)?),
            Some('"') => NodeKind::Scalar(Scalar { text: self.string()?, style: Style::Double }),
            _ => NodeKind::Scalar(Scalar { text: self.word()?, style: Style::Plain }),
        };
        Ok(Node { kind, span: start..self.at, line, column })
    }

    fn map(&mut self, depth: usize, rules: &Rules) -> Result<Vec<(Node, Node)>, SyntaxError> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        self.at += 1;
        while !self.closes('}', entries.is_empty())? {
            if !self.text[self.at..].starts_with('"') {
                return self.error("a key in quotes is missing here");
            }
            let key = self.value(depth + 1, rules)?;
            let name = key.text().unwrap_or_default();
            if !seen.insert(name.to_owned()) {
                let why = format!("the key {name:?} is here a second time");
                return Err(error_at((key.line, key.column), why));
            }
            self.skip_space();
            if !self.text[self.at..].starts_with(':') {
                return self.error("a `:` is missing here");
            }
            self.at += 1;
            self.skip_space();
            let value = self.value(depth + 1, rules)?;
            entries.push((key, value));
        }
        Ok(entries)
    }

    fn list(&mut self, depth: usize, rules: &Rules) -> Result<Vec<Node>, SyntaxError> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.closes(']', items.is_empty())? {
            let item = self.value(depth + 1, rules)?;
            items.push(item);
        }
        Ok(items)
    }

    /// Passes the bracket that ends a list or a map, or else the comma before the next item.
    fn closes(&mut self, bracket: char, is_first: bool) -> Result<bool, SyntaxError> {
        self.skip_space();
        let rest = &self.text[self.at..];
        if rest.starts_with(bracket) {
            self.at += 1;
            return Ok(true);
        }
        if is_first {
            return Ok(false);
        }
        if !rest.starts_with(',') {
            return self.error(format!("a `,` or a `{bracket}` is missing here"));
        }
        self.at += 1;
        self.skip_space();
        Ok(false)
    }

    /// A text in quotes, without them.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let Some(plain) = plain else {
                self.at = self.text.len();
                return self.error("a text in quotes does not end");
            };
            text.push_str(&rest[..plain]);
            self.at += plain;
            match rest.as_bytes()[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return self.error("a text in quotes has a control character"),
            }
        }
    }

    /// The character that an escape stands for. A half of one alone is replaced, as Go does.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let rest = &self.text[self.at + 1..];
        let c = match rest.chars().next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.code(),
            _ => return self.error("an escape that JSON does not have"),
        };
        self.at += 2;
        Ok(c)
    }

    fn code(&mut self) -> Result<char, SyntaxError> {
        let half = |rest: &str| {
            let digits = rest.strip_prefix("\\u").and_then(|rest| rest.get(..4));
            let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
            digits.and_then(|digits| u16::from_str_radix(digits, 16).ok())
        };
        let rest = &self.text[self.at..];
        let Some(first) = half(rest) else {
            return self.error("an escape \\u needs four hexadecimal digits");
        };
        let second = half(&rest[6..]);
        let pair = char::decode_utf16([first].into_iter().chain(second)).next();
        let c = pair.and_then(Result::ok);
        let is_pair = c.is_some_and(|c| c > '\u{ffff}');
        self.at += if is_pair { 12 } else { 6 };
        Ok(c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// A number, `true`, `false` or `null`, as it is written.
    fn word(&mut self) -> Result<String, SyntaxError> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        let word = &rest[..end.unwrap_or(rest.len())];
        let is_number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && word.ends_with(|c: char| c.is_ascii_digit())
            && !word.contains(|c: char| c.is_ascii_alphabetic() && !['e', 'E'].contains(&c))
            && word.parse::<f64>().is_ok();
        if !is_number && !["true", "false", "null"].contains(&word) {
            return self.error("no value of JSON begins here");
        }
        self.at += word.len();
        Ok(word.to_owned())
    }
}
