//! Finds the references in a document.

use std::collections::BTreeSet;
use std::path::Path;

use super::reference::{self, Named, RENDER, SCHEME, TEMPLATE};
use crate::finding::{Finding, Place};
use crate::yaml::{self, Node, NodeKind, Scalar, Style};

/// A reference in a document.
#[derive(Clone, Debug)]
pub struct Reference {
    pub named: Named,
    /// As it is written, without space around it.
    pub written: String,
    /// The text that it is.
    pub node: Node,
}

impl Reference {
    /// The text with an image in place of the reference; space around it stays.
    pub fn replaced_by(&self, image: &str) -> String {
        let text = self.node.text().unwrap_or_default();
        let before = text.len() - text.trim_start().len();
        format!("{}{image}{}", &text[..before], &text[before + self.written.len()..])
    }
}

/// What was found in the documents of a file.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the text, each place once.
    pub references: Vec<Reference>,
    /// Lines and columns of texts that have a reference within them, which is left alone.
    pub left_alone: Vec<(usize, usize)>,
    /// Fields that are no references and should be.
    pub findings: Vec<Finding>,
}

/// What a text is in its document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its key is `image`.
    Image,
    /// Its key is `image`, and it is a container's of a type of Kubernetes itself, whose field
    /// is a text.
    ContainerImage,
    Container,
    Other,
}

/// The lists of containers of a pod.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

struct Search<'a> {
    file: &'a Path,
    text: &'a str,
    /// In bytes: the beginnings of the references that were found.
    known: BTreeSet<usize>,
    found: &'a mut Found,
}

/// Adds what is in a document of the text. A reference is a text that is one, or the text of an
/// `image` field that is one but for space around it. An aliased one is found where it is written.
pub fn find(file: &Path, text: &str, document: &Node, found: &mut Found) {
    let before = found.references.len();
    let mut search = Search { file, text, known: BTreeSet::new(), found };
    search.walk(document, Role::Other, false);
    search.found.references[before..].sort_by_key(|it| it.node.span.start);
}

impl Search<'_> {
    /// `built_in` says that the object around the node is of a type of Kubernetes itself.
    fn walk(&mut self, node: &Node, role: Role, built_in: bool) {
        match &node.kind {
            NodeKind::Scalar(scalar) => self.scalar(node, scalar, role),
            NodeKind::Alias(target) => {
                if let (NodeKind::Scalar(scalar), Role::Image | Role::ContainerImage) =
                    (&target.kind, role)
                {
                    self.aliased(node, target, scalar);
                }
            }
            NodeKind::List(items) => {
                if role == Role::ContainerImage {
                    self.wrong_type(node, "a list");
                }
                items.iter().for_each(|item| self.walk(item, role, built_in));
            }
            NodeKind::Map(entries) => self.map(node, entries, role, built_in),
        }
    }

    fn map(&mut self, node: &Node, entries: &[(Node, Node)], role: Role, built_in: bool) {
        if let Some(template) = self.template(node, entries) {
            self.error("manifest-template", template, TEMPLATE, RENDER);
            return;
        }
        if role == Role::ContainerImage {
            self.wrong_type(node, "a map");
        }
        if role == Role::Image {
            self.parts_of_a_name(node, entries);
        }
        let built_in = match (node.get("apiVersion"), node.get("kind")) {
            (Some(version), Some(_)) => version.text().is_some_and(|it| !it.contains('.')),
            _ => built_in,
        };
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            if name.contains(SCHEME) {
                self.found.left_alone.push((key.line, key.column));
            }
            let child = match name {
                "image" if role == Role::Container => Role::ContainerImage,
                "image" => Role::Image,
                name if built_in && CONTAINERS.contains(&name) => {
                    if value.items().is_some() {
                        Role::Container
                    } else {
                        Role::Other
                    }
                }
                _ => Role::Other,
            };
            self.walk(value, child, built_in);
        }
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, role: Role) {
        let is_image = matches!(role, Role::Image | Role::ContainerImage);
        let text = if is_image { scalar.text.trim() } else { &*scalar.text };
        match reference::parse(text) {
            Some(Ok(named)) => self.reference(node, named, text),
            Some(Err(malformed)) if is_image => {
                let why = format!("{text:?} is no reference to a package: {}", malformed.why);
                self.error("reference", node, &why, malformed.fix);
            }
            Some(Err(_)) => self.found.left_alone.push((node.line, node.column)),
            None if role == Role::ContainerImage && scalar.style == Style::Plain => {
                let is_null = ["", "~", "null", "Null", "NULL"].contains(&text);
                if !is_null && !yaml::is_text(text) {
                    let why = format!("the image {text} is no text without quotes");
                    self.error("image-type", node, &why, "write the name of an image, in quotes");
                }
            }
            None => {}
        }
    }

    /// The text that an alias stands for, as an image.
    fn aliased(&mut self, alias: &Node, target: &Node, scalar: &Scalar) {
        match reference::parse(scalar.text.trim()) {
            Some(Ok(named)) => self.reference(target, named, scalar.text.trim()),
            Some(Err(malformed)) => {
                let text = scalar.text.trim();
                let why = format!("{text:?} is no reference to a package: {}", malformed.why);
                self.error("reference", alias, &why, malformed.fix);
            }
            None => {}
        }
    }

    fn reference(&mut self, node: &Node, named: Named, written: &str) {
        if self.known.insert(node.span.start) {
            let (node, written) = (node.clone(), written.to_owned());
            self.found.references.push(Reference { named, written, node });
        }
    }

    /// Refuses a reference beside a tag: whoever joins both makes `REPOSITORY@DIGEST:TAG`.
    fn parts_of_a_name(&mut self, node: &Node, entries: &[(Node, Node)]) {
        let tag = node.get("tag").and_then(Node::text);
        if tag.is_none_or(|tag| ["", "~", "null"].contains(&tag)) {
            return;
        }
        for (_, value) in entries {
            if let Some(Ok(_)) = value.text().and_then(reference::parse) {
                let why = "a digest replaces this reference, and the `tag` beside it would follow \
                           the digest";
                let fix = "leave `tag` out, or let the chart take the whole name as one value";
                self.error("reference-tag", value, why, fix);
            }
        }
    }

    /// The map itself if its first key is a map too, in double braces.
    fn template<'n>(&self, node: &'n Node, entries: &[(Node, Node)]) -> Option<&'n Node> {
        let (key, _) = entries.first()?;
        let is_template = matches!(key.kind, NodeKind::Map(_))
            && self.text[node.span.start..].starts_with("{{")
            && key.span.start == node.span.start + 1;
        is_template.then_some(node)
    }

    fn wrong_type(&mut self, node: &Node, found: &str) {
        let why = format!("the image of a container is {found}");
        self.error("image-type", node, &why, "write the name of an image");
    }

    fn error(&mut self, rule: &'static str, node: &Node, why: &str, fix: &str) {
        let place = Place::at(self.file, node.line, node.column);
        self.found.findings.push(Finding::error(rule, place, why, fix));
    }
}
