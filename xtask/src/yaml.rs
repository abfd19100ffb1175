//! Documents of YAML 1.2 with the place of each node: messages can name it, and a value can be
//! changed in place, with every byte around it kept.

use std::ops::Range;

mod edit;
mod place;
mod plain;
mod read;

pub use edit::{Edit, differences, edit, replace};
pub use plain::is_text;
pub use read::parse;

/// A node of a document, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: NodeKind,
    /// In bytes of the text: with the quotes of a quoted text; with the `|` or `>` of a block,
    /// but without its last line break; empty where a value is left out.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    Scalar(Scalar),
    /// Keys and values in their order. No two keys have the same text.
    Map(Vec<(Node, Node)>),
    List(Vec<Node>),
}

/// A text, whatever type a reader would give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    pub style: Style,
}

/// How a text is written.
/// <https://yaml.org/spec/1.2.2/#23-scalars>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

/// Why a text cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub why: String,
}

impl Node {
    /// The value of a key, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let NodeKind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The text, where this is a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(&scalar.text),
            NodeKind::Map(_) | NodeKind::List(_) => None,
        }
    }

    /// The items, where this is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::List(items) => Some(items),
            NodeKind::Scalar(_) | NodeKind::Map(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
