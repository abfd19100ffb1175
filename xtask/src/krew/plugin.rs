//! Reads a manifest as krew v0.5.0 does: it turns YAML 1.1 into JSON, and JSON into a plugin.
//! What krew silently ignores becomes a warning.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/indexscanner/scanner.go>

use std::path::Path;

use super::platform::{At, Expression, FileOperation, Platform, Selector, Text};
use super::report::Report;
use super::resolve::{Value, resolve};
use crate::finding::{Finding, Place};
use crate::yaml::{self, Node, NodeKind};

/// A manifest. Only the types of its values are known to be right.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/pkg/index/types.go>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    pub api_version: Text,
    pub kind: Text,
    pub name: Text,
    pub version: Text,
    pub short_description: Text,
    pub description: Text,
    pub homepage: Text,
    pub platforms: Vec<Platform>,
    pub platforms_at: At,
}

/// The fields that `metadata` may have beside the name, and their types. krew does not use
/// them, but refuses a manifest in which one has the wrong type.
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/apis/meta/v1/types.go>
const METADATA: [(&str, Shape); 14] = [
    ("generateName", Shape::Text),
    ("namespace", Shape::Text),
    ("selfLink", Shape::Text),
    ("uid", Shape::Text),
    ("resourceVersion", Shape::Text),
    ("generation", Shape::Integer),
    ("deletionGracePeriodSeconds", Shape::Integer),
    ("creationTimestamp", Shape::Time),
    ("deletionTimestamp", Shape::Time),
    ("labels", Shape::Texts),
    ("annotations", Shape::Texts),
    ("finalizers", Shape::List),
    ("ownerReferences", Shape::List),
    ("managedFields", Shape::List),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Integer,
    Time,
    /// A map of texts.
    Texts,
    List,
}

/// Parses the documents of a manifest. A syntax error is a finding.
pub fn parse(text: &str, file: &Path) -> Result<Vec<Node>, Vec<Finding>> {
    yaml::parse(text).map_err(|error| {
        let place = Place::at(file, error.line, error.column);
        let fix = "write plain YAML, as in krew's guide";
        vec![Finding::error("yaml", place, error.why, fix)]
    })
}

/// Reads the first document of a manifest, as krew does. Reports an error for what stops krew,
/// and a warning for what krew reads differently from how it is written.
pub fn read(documents: &[Node], report: &mut Report<'_>) -> Plugin {
    if let [_, second, ..] = documents {
        let why = "krew reads only the first document of a file: another begins here";
        report.warning("yaml-documents", at(second), why, "write one manifest per file");
    }
    Reader { report }.plugin(documents.first())
}

struct Reader<'s, 'a> {
    report: &'s mut Report<'a>,
}

/// The values of a map's known fields, in the order in which they were asked for.
struct Fields<'n> {
    at: At,
    values: Vec<Option<&'n Node>>,
}

fn at(node: &Node) -> At {
    (node.line, node.column)
}

impl Reader<'_, '_> {
    fn plugin(&mut self, document: Option<&Node>) -> Plugin {
        let known = ["apiVersion", "kind", "metadata", "spec"];
        let top = self.fields(document, (1, 1), "a manifest", &known);
        let [api_version, kind, metadata, spec] = top.take();
        let api_version = self.text(api_version, top.at, "apiVersion");
        let kind = self.text(kind, top.at, "kind");
        let name = self.metadata(metadata, top.at);
        let known =
            ["version", "shortDescription", "description", "caveats", "homepage", "platforms"];
        let fields = self.fields(spec, top.at, "`spec`", &known);
        let [version, short, description, caveats, homepage, platforms] = fields.take();
        self.text(caveats, fields.at, "caveats");
        Plugin {
            api_version,
            kind,
            name,
            version: self.text(version, fields.at, "version"),
            short_description: self.text(short, fields.at, "shortDescription"),
            description: self.text(description, fields.at, "description"),
            homepage: self.text(homepage, fields.at, "homepage"),
            platforms_at: platforms.map_or(fields.at, at),
            platforms: self
                .list(platforms, "platforms")
                .into_iter()
                .flatten()
                .map(|node| self.platform(node))
                .collect(),
        }
    }

    /// Reads the name, and checks the other fields.
    fn metadata(&mut self, node: Option<&Node>, above: At) -> Text {
        let mut known = vec!["name"];
        known.extend(METADATA.iter().map(|(name, _)| *name));
        let fields = self.fields(node, above, "`metadata`", &known);
        let values = fields.values.iter().skip(1).copied();
        for ((name, shape), value) in METADATA.iter().zip(values) {
            if let Some(value) = value {
                self.check_shape(name, *shape, value);
            }
        }
        self.text(fields.values[0], fields.at, "name")
    }

    fn check_shape(&mut self, name: &str, shape: Shape, node: &Node) {
        let why = format!("krew does not use {name:?}");
        self.report.warning("metadata-field", at(node), why, "leave it out");
        match shape {
            Shape::Text => drop(self.text(Some(node), at(node), name)),
            Shape::Texts => drop(self.texts(node, name)),
            Shape::List => drop(self.list(Some(node), name)),
            Shape::Integer => match scalar(node) {
                Some(Value::Null | Value::Integer(_)) => {}
                _ => self.wrong_type(node, name, "a whole number"),
            },
            Shape::Time => match scalar(node) {
                Some(Value::Null) => {}
                Some(Value::Text(text)) if is_time(&text) => {}
                _ => self.wrong_type(node, name, "a time as in RFC 3339"),
            },
        }
    }

    fn platform(&mut self, node: &Node) -> Platform {
        let known = ["uri", "sha256", "bin", "files", "selector"];
        let fields = self.fields(Some(node), at(node), "a platform", &known);
        let [uri, sha256, bin, files, selector] = fields.take();
        let operations = self.list(files, "files");
        Platform {
            at: fields.at,
            uri: self.text(uri, fields.at, "uri"),
            sha256: self.text(sha256, fields.at, "sha256"),
            bin: self.text(bin, fields.at, "bin"),
            files: operations.map(|list| list.iter().map(|it| self.file_operation(it)).collect()),
            files_at: files.map_or(fields.at, at),
            selector: selector.and_then(|node| self.selector(node)),
        }
    }

    fn file_operation(&mut self, node: &Node) -> FileOperation {
        let fields = self.fields(Some(node), at(node), "an item of `files`", &["from", "to"]);
        let [from, to] = fields.take();
        FileOperation {
            from: self.text(from, fields.at, "from"),
            to: self.text(to, fields.at, "to"),
        }
    }

    fn selector(&mut self, node: &Node) -> Option<Selector> {
        if scalar(node) == Some(Value::Null) {
            return None;
        }
        let known = ["matchLabels", "matchExpressions"];
        let fields = self.fields(Some(node), at(node), "`selector`", &known);
        let [labels, expressions] = fields.take();
        let listed = self.list(expressions, "matchExpressions");
        Some(Selector {
            at: fields.at,
            labels: labels.and_then(|node| self.texts(node, "matchLabels")),
            labels_at: labels.map_or(fields.at, at),
            expressions: listed.map(|list| list.iter().map(|it| self.expression(it)).collect()),
            expressions_at: expressions.map_or(fields.at, at),
        })
    }

    fn expression(&mut self, node: &Node) -> Expression {
        let known = ["key", "operator", "values"];
        let what = "an item of `matchExpressions`";
        let fields = self.fields(Some(node), at(node), what, &known);
        let [key, operator, values] = fields.take();
        let values = self.list(values, "values").unwrap_or_default();
        Expression {
            key: self.text(key, fields.at, "key"),
            operator: self.text(operator, fields.at, "operator"),
            values: values.iter().map(|it| self.text(Some(it), at(it), "values")).collect(),
        }
    }

    /// The values of a map's known fields; `None` for an absent one. Like Go's JSON it compares
    /// names without regard to case.
    fn fields<'n>(
        &mut self,
        node: Option<&'n Node>,
        above: At,
        what: &str,
        known: &[&str],
    ) -> Fields<'n> {
        let mut values = vec![None; known.len()];
        let Some(node) = node else { return Fields { at: above, values } };
        let Some(entries) = self.entries(node, what, "names and values") else {
            return Fields { at: at(node), values };
        };
        for (key, value) in entries {
            let Some(name) = self.key(key) else { continue };
            let exact = known.iter().position(|one| *one == name);
            let found = exact.or_else(|| known.iter().position(|one| folded(one) == folded(&name)));
            let Some(found) = found else {
                let why = format!("krew knows no field {name:?} in {what}, and ignores it");
                let fix = format!("leave it out, or write one of {}", known.join(", "));
                self.report.warning("unknown-field", at(key), why, fix);
                self.check_json(value);
                continue;
            };
            if exact.is_none() {
                let why = format!("only krew reads {name:?} as {:?}", known[found]);
                self.report.warning(
                    "field-case",
                    at(key),
                    why,
                    format!("write {:?}", known[found]),
                );
            }
            if values[found].replace(value).is_some() {
                let why = format!("{what} has {:?} twice, in two spellings", known[found]);
                self.report.error("field-twice", at(key), why, "leave one of them out");
            }
        }
        // The node's own place: an empty map has no first key.
        Fields { at: at(node), values }
    }

    /// A key as it is in JSON.
    fn key(&mut self, key: &Node) -> Option<String> {
        let text = scalar(key).and_then(Value::into_text);
        if text.is_none() {
            let fix = "write a text before the colon";
            self.report.error("yaml-key", at(key), "the key is not a text", fix);
        }
        text
    }

    /// Reports the keys and values that JSON cannot have.
    fn check_json(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Map(entries) => {
                for (key, value) in entries {
                    self.key(key);
                    self.check_json(value);
                }
            }
            NodeKind::List(nodes) => nodes.iter().for_each(|node| self.check_json(node)),
            NodeKind::Alias(target) => self.check_json(target),
            NodeKind::Scalar(scalar) => {
                if let Value::Float(number) = resolve(scalar)
                    && !number.is_finite()
                {
                    let why = format!("{} is a number that JSON does not have", scalar.text);
                    self.report.error("yaml-number", at(node), why, "quote it, or leave it out");
                }
            }
        }
    }

    /// The text of a field; empty where there is none.
    fn text(&mut self, node: Option<&Node>, above: At, name: &str) -> Text {
        let Some(node) = node else { return Text::absent(above) };
        let Some(value) = scalar(node) else {
            self.wrong_type(node, name, "a text");
            return Text::absent(at(node));
        };
        let text = value.clone().into_text().unwrap_or_default();
        let written = node.text().unwrap_or_default();
        if text != written && value != Value::Null {
            let why = format!("without quotes {written} is {}: krew reads {text:?}", value.noun());
            let fix = format!("write \"{written}\", in quotes");
            self.report.warning("yaml-type", at(node), why, fix);
        }
        Text { text, at: at(node) }
    }

    fn list<'n>(&mut self, node: Option<&'n Node>, name: &str) -> Option<&'n [Node]> {
        let node = node?;
        match &node.kind {
            NodeKind::List(nodes) => return Some(nodes),
            _ if scalar(node) == Some(Value::Null) => {}
            _ => self.wrong_type(node, name, "a list"),
        }
        None
    }

    /// The entries of a map; `None` for null, and for another type, which is an error.
    fn entries<'n>(
        &mut self,
        node: &'n Node,
        name: &str,
        wanted: &str,
    ) -> Option<&'n [(Node, Node)]> {
        match &node.kind {
            NodeKind::Map(entries) => return Some(entries),
            _ if scalar(node) == Some(Value::Null) => {}
            _ => self.wrong_type(node, name, wanted),
        }
        None
    }

    /// A map of texts; `None` for null.
    fn texts(&mut self, node: &Node, name: &str) -> Option<Vec<(Text, Text)>> {
        let mut texts = Vec::new();
        for (key, value) in self.entries(node, name, "names and texts")? {
            let Some(name) = self.key(key) else { continue };
            let value = self.text(Some(value), at(key), &name);
            texts.push((Text { text: name, at: at(key) }, value));
        }
        Some(texts)
    }

    fn wrong_type(&mut self, node: &Node, name: &str, wanted: &str) {
        let found = match &node.kind {
            NodeKind::Alias(_) => "an alias",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "names and values",
            NodeKind::Scalar(scalar) => resolve(scalar).noun(),
        };
        let why = format!("{name} is {found}: krew expects {wanted}");
        self.report.error("type", at(node), why, format!("write {wanted}"));
    }
}

impl<'n> Fields<'n> {
    fn take<const N: usize>(&self) -> [Option<&'n Node>; N] {
        std::array::from_fn(|at| self.values.get(at).copied().flatten())
    }
}

fn scalar(node: &Node) -> Option<Value> {
    match &node.kind {
        NodeKind::Scalar(scalar) => Some(resolve(scalar)),
        _ => None,
    }
}

/// A name as Go's JSON compares it, which folds two letters into ASCII.
/// <https://github.com/golang/go/blob/master/src/encoding/json/fold.go>
fn folded(name: &str) -> String {
    name.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase()
}

/// Whether a text is a time as in RFC 3339. jiff alone would accept more.
fn is_time(text: &str) -> bool {
    let shape = text.len() >= 20 && text.as_bytes()[10] == b'T' && !text.contains(['[', ' ', ',']);
    shape && text.parse::<jiff::Timestamp>().is_ok()
}
