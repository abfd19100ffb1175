//! Documents of YAML 1.2 with the place of each node, so that what is wrong can be pointed
//! at, and what changes can be changed where it stands, with all around it kept.

use std::ops::Range;

mod edit;
mod place;
mod plain;
mod read;

pub use edit::{Edit, differences, edit, replace};
pub use plain::is_text;
pub use read::parse;

/// A node of a document, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// In bytes of the text: with the quotes of a text, with the `|` or `>` of a block but
    /// without its last line break, and empty where a value is left out.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Scalar(Scalar),
    /// Keys and values as they follow each other; no two keys have the same text.
    Map(Vec<(Node, Node)>),
    List(Vec<Node>),
}

/// A text as it is parsed, whatever type a reader would give it.
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

/// Why a text is not read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub why: String,
}

impl Node {
    /// The value of a key, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The text, where this is a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            Kind::Map(_) | Kind::List(_) => None,
        }
    }

    /// The items, where this is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Scalar(_) | Kind::Map(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
