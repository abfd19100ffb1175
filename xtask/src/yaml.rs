//! Documents of YAML 1.2 with the place of each node: messages can name it, and a value can be
//! changed in place, with every byte around it kept.

use std::ops::Range;
use std::sync::Arc;

mod edit;
mod json;
mod part;
mod place;
mod plain;
mod read;
mod scalar;

pub use edit::{Edit, differences, edit, replace};
pub use part::{Part, parts};
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
    /// The node that an anchor names. It is in the document at its own place too.
    Alias(Arc<Node>),
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
    /// The node itself, or the one that this alias stands for.
    pub fn target(&self) -> &Node {
        match &self.kind {
            NodeKind::Alias(target) => target.target(),
            NodeKind::Scalar(_) | NodeKind::Map(_) | NodeKind::List(_) => self,
        }
    }

    /// The value of a key, where this is a map that has it, or merges one that does.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entries = self.entries()?;
        own(entries, key).or_else(|| merged(entries, key))
    }

    /// The text, where this is a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.target().kind {
            NodeKind::Scalar(scalar) => Some(&scalar.text),
            NodeKind::Map(_) | NodeKind::List(_) | NodeKind::Alias(_) => None,
        }
    }

    /// The keys and values, where this is a map.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.target().kind {
            NodeKind::Map(entries) => Some(entries),
            NodeKind::Scalar(_) | NodeKind::List(_) | NodeKind::Alias(_) => None,
        }
    }

    /// The items, where this is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.target().kind {
            NodeKind::List(items) => Some(items),
            NodeKind::Scalar(_) | NodeKind::Map(_) | NodeKind::Alias(_) => None,
        }
    }
}

/// The value of a key among a map's own.
fn own<'n>(entries: &'n [(Node, Node)], key: &str) -> Option<&'n Node> {
    let found = entries.iter().find(|(name, _)| name.text() == Some(key));
    found.map(|(_, value)| value)
}

/// The value of a key in the maps that the key `<<` merges; of several maps the first counts.
/// What a map of a list merges itself is not looked at, so that the search stays short.
/// <https://yaml.org/type/merge.html>
fn merged<'n>(entries: &'n [(Node, Node)], key: &str) -> Option<&'n Node> {
    let is_merge = |name: &Node| match &name.kind {
        NodeKind::Scalar(name) => name.style == Style::Plain && name.text == "<<",
        NodeKind::Map(_) | NodeKind::List(_) | NodeKind::Alias(_) => false,
    };
    let mut entries = entries;
    loop {
        let (_, from) = entries.iter().find(|(name, _)| is_merge(name))?;
        match &from.target().kind {
            NodeKind::Map(more) => entries = more,
            NodeKind::List(items) => {
                return items.iter().filter_map(Node::entries).find_map(|it| own(it, key));
            }
            NodeKind::Scalar(_) | NodeKind::Alias(_) => return None,
        }
        if let Some(value) = own(entries, key) {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests;
