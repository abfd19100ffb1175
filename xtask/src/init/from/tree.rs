//! Files of YAML and of TOML as one kind of tree, in which each value has its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::yaml::{self, Node, NodeKind, Scalar, Style, SyntaxError};

/// The one document of a file; `None` where it has only comments.
pub fn yaml(text: &str) -> Result<Option<Node>, SyntaxError> {
    let mut found = None;
    for part in yaml::parts(text) {
        let Some(node) = part?.node else { continue };
        if found.is_some() {
            let why = "a second document begins here".to_owned();
            return Err(SyntaxError { line: node.line, column: node.column, why });
        }
        found = Some(node);
    }
    Ok(found)
}

/// A file of TOML. A value that is no text, list or table is a plain scalar, as in YAML.
pub fn toml(text: &str) -> Result<Option<Node>, SyntaxError> {
    let lines = Lines::of(text);
    match DeTable::parse(text) {
        Ok(table) => {
            let span = table.span();
            Ok(Some(lines.node(NodeKind::Map(lines.entries(table.into_inner())), span)))
        }
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let (line, column) = lines.place(at);
            Err(SyntaxError { line, column, why: error.message().to_owned() })
        }
    }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    begin: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let begin = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Lines { text, begin: begin.collect() }
    }

    /// The line and the column of a byte, both from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        let line = self.begin.partition_point(|begin| *begin <= at).max(1);
        let before = self.text.get(self.begin[line - 1]..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    fn node(&self, kind: NodeKind, span: std::ops::Range<usize>) -> Node {
        let (line, column) = self.place(span.start);
        Node { kind, span, line, column }
    }

    fn entries(&self, table: DeTable<'_>) -> Vec<(Node, Node)> {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let span = key.span();
            let text = std::borrow::Cow::<str>::into_owned(key.into_inner());
            let key = self.node(NodeKind::Scalar(Scalar { text, style: Style::Double }), span);
            (key, self.value(value))
        };
        table.into_iter().map(entry).collect()
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let scalar = |text: String, style| NodeKind::Scalar(Scalar { text, style });
        let kind = match value.into_inner() {
            DeValue::String(text) => scalar(text.into_owned(), Style::Double),
            DeValue::Integer(it) => scalar(it.to_string(), Style::Plain),
            DeValue::Float(it) => scalar(it.to_string(), Style::Plain),
            DeValue::Boolean(it) => scalar(it.to_string(), Style::Plain),
            DeValue::Datetime(it) => scalar(it.to_string(), Style::Plain),
            DeValue::Array(items) => {
                NodeKind::List(items.into_iter().map(|item| self.value(item)).collect())
            }
            DeValue::Table(table) => NodeKind::Map(self.entries(table)),
        };
        self.node(kind, span)
    }
}
