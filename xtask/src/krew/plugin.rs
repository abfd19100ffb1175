//! Reads a manifest as krew v0.5.0 does: YAML 1.1 becomes JSON, and that the fields of a
//! plugin. What krew passes over in silence becomes a warning.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/indexscanner/scanner.go>

use super::platform::{At, Expression, Move, Platform, Selector, Text};
use super::resolve::{Value, resolve};
use super::sheet::Sheet;
use crate::yaml::{Kind, Node};

/// A manifest, of which nothing is known to be right but the types.
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

/// The types of the fields that `metadata` may have beside the name, of which krew makes
/// no use, and which stop it all the same where the type is another.
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
    /// Names and texts.
    Texts,
    List,
}

/// Reads the first document of a manifest, as krew does.
///
/// What is found are errors where krew stops, and warnings where it reads something other
/// than what stands there.
pub fn read(documents: &[Node], sheet: &mut Sheet<'_>) -> Plugin {
    if let [_, second, ..] = documents {
        let why = "krew reads the first document of a file only, and another begins here";
        sheet.warning("yaml-documents", at(second), why, "write one manifest a file");
    }
    Reader { sheet }.plugin(documents.first())
}

struct Reader<'s, 'a> {
    sheet: &'s mut Sheet<'a>,
}

/// The fields of a map that krew knows, in the order in which they were asked for.
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

    /// Reads the name, and looks at the rest.
    fn metadata(&mut self, node: Option<&Node>, above: At) -> Text {
        let mut known = vec!["name"];
        known.extend(METADATA.iter().map(|(name, _)| *name));
        let fields = self.fields(node, above, "`metadata`", &known);
        let values = fields.values.iter().skip(1).copied();
        for ((name, shape), value) in METADATA.iter().zip(values) {
            if let Some(value) = value {
                self.shape(name, *shape, value);
            }
        }
        self.text(fields.values[0], fields.at, "name")
    }

    fn shape(&mut self, name: &str, shape: Shape, node: &Node) {
        let why = format!("krew makes no use of {name:?}");
        self.sheet.warning("metadata-field", at(node), why, "leave it out");
        match shape {
            Shape::Text => drop(self.text(Some(node), at(node), name)),
            Shape::Texts => drop(self.texts(node, name)),
            Shape::List => drop(self.list(Some(node), name)),
            Shape::Integer => match scalar(node) {
                Some(Value::Null | Value::Integer(_)) => {}
                other => self.wrong_type(node, name, "a whole number", other.as_ref()),
            },
            Shape::Time => match scalar(node) {
                Some(Value::Null) => {}
                Some(Value::Text(text)) if is_time(&text) => {}
                other => self.wrong_type(node, name, "a time, as in RFC 3339,", other.as_ref()),
            },
        }
    }

    fn platform(&mut self, node: &Node) -> Platform {
        let known = ["uri", "sha256", "bin", "files", "selector"];
        let fields = self.fields(Some(node), at(node), "a platform", &known);
        let [uri, sha256, bin, files, selector] = fields.take();
        let moves = self.list(files, "files");
        Platform {
            at: fields.at,
            uri: self.text(uri, fields.at, "uri"),
            sha256: self.text(sha256, fields.at, "sha256"),
            bin: self.text(bin, fields.at, "bin"),
            files: moves.map(|moves| moves.iter().map(|node| self.a_move(node)).collect()),
            files_at: files.map_or(fields.at, at),
            selector: selector.and_then(|node| self.selector(node)),
        }
    }

    fn a_move(&mut self, node: &Node) -> Move {
        let fields = self.fields(Some(node), at(node), "an item of `files`", &["from", "to"]);
        let [from, to] = fields.take();
        Move { from: self.text(from, fields.at, "from"), to: self.text(to, fields.at, "to") }
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

    /// The values of a map by the names of its fields, which Go's JSON compares without
    /// regard to case; none for what is not there.
    fn fields<'n>(
        &mut self,
        node: Option<&'n Node>,
        above: At,
        what: &str,
        known: &[&str],
    ) -> Fields<'n> {
        let mut values = vec![None; known.len()];
        let Some(node) = node else { return Fields { at: above, values } };
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            _ if scalar(node) == Some(Value::Null) => return Fields { at: at(node), values },
            _ => {
                self.wrong_type(node, what, "names and values", scalar(node).as_ref());
                return Fields { at: at(node), values };
            }
        };
        for (key, value) in entries {
            let Some(name) = self.key(key) else { continue };
            let exact = known.iter().position(|one| *one == name);
            let found = exact.or_else(|| known.iter().position(|one| folded(one) == folded(&name)));
            let Some(found) = found else {
                let why = format!("krew knows no field {name:?} in {what}, and passes over it");
                let fix = format!("leave it out, or write one of {}", known.join(", "));
                self.sheet.warning("unknown-field", at(key), why, fix);
                self.jsonable(value);
                continue;
            };
            if exact.is_none() {
                let why =
                    format!("krew takes {name:?} for {:?}, and other readers do not", known[found]);
                self.sheet.warning("field-case", at(key), why, format!("write {:?}", known[found]));
            }
            if values[found].replace(value).is_some() {
                let why = format!("{what} has {:?} twice, in two spellings", known[found]);
                self.sheet.error("field-twice", at(key), why, "leave one of them out");
            }
        }
        // Not where its first key is: an empty one has none.
        Fields { at: at(node), values }
    }

    /// A key as JSON has it.
    fn key(&mut self, key: &Node) -> Option<String> {
        let text = scalar(key).and_then(Value::into_text);
        if text.is_none() {
            self.sheet.error(
                "yaml-key",
                at(key),
                "the key is no text",
                "write a text before the colon",
            );
        }
        text
    }

    /// Says where a value is none that JSON can have.
    fn jsonable(&mut self, node: &Node) {
        match &node.kind {
            Kind::Map(entries) => {
                for (key, value) in entries {
                    self.key(key);
                    self.jsonable(value);
                }
            }
            Kind::List(nodes) => nodes.iter().for_each(|node| self.jsonable(node)),
            Kind::Scalar(scalar) => {
                if let Value::Float(number) = resolve(scalar)
                    && !number.is_finite()
                {
                    let why = format!("{} is a number that JSON does not have", scalar.text);
                    self.sheet.error("yaml-number", at(node), why, "quote it, or leave it out");
                }
            }
        }
    }

    /// The text of a field, which is empty where there is none.
    fn text(&mut self, node: Option<&Node>, above: At, name: &str) -> Text {
        let Some(node) = node else { return Text::absent(above) };
        let Some(value) = scalar(node) else {
            self.wrong_type(node, name, "a text", None);
            return Text::absent(at(node));
        };
        let text = value.clone().into_text().unwrap_or_default();
        let written = node.text().unwrap_or_default();
        if text != written && value != Value::Null {
            let why = format!("krew takes {written} for {}, and reads {text:?}", value.noun());
            self.sheet.warning(
                "yaml-type",
                at(node),
                why,
                format!("write \"{written}\", in quotes"),
            );
        }
        Text { text, at: at(node) }
    }

    fn list<'n>(&mut self, node: Option<&'n Node>, name: &str) -> Option<&'n [Node]> {
        let node = node?;
        match &node.kind {
            Kind::List(nodes) => return Some(nodes),
            _ if scalar(node) == Some(Value::Null) => {}
            _ => self.wrong_type(node, name, "a list", scalar(node).as_ref()),
        }
        None
    }

    /// A map of texts; `None` for nothing.
    fn texts(&mut self, node: &Node, name: &str) -> Option<Vec<(Text, Text)>> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            _ if scalar(node) == Some(Value::Null) => return None,
            _ => {
                self.wrong_type(node, name, "names and texts", scalar(node).as_ref());
                return None;
            }
        };
        let mut texts = Vec::new();
        for (key, value) in entries {
            let Some(name) = self.key(key) else { continue };
            let value = self.text(Some(value), at(key), &name);
            texts.push((Text { text: name, at: at(key) }, value));
        }
        Some(texts)
    }

    fn wrong_type(&mut self, node: &Node, name: &str, wanted: &str, found: Option<&Value>) {
        let found = match (&node.kind, found) {
            (Kind::List(_), _) => "a list",
            (Kind::Map(_), _) => "names and values",
            (_, Some(value)) => value.noun(),
            (_, None) => "something else",
        };
        let why = format!("{name} is {found}, and krew wants {wanted}");
        let wanted = wanted.trim_end_matches(',');
        self.sheet.error("type", at(node), why, format!("write {wanted} there"));
    }
}

impl<'n> Fields<'n> {
    fn take<const N: usize>(&self) -> [Option<&'n Node>; N] {
        std::array::from_fn(|at| self.values.get(at).copied().flatten())
    }
}

fn scalar(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(resolve(scalar)),
        _ => None,
    }
}

/// A name as Go's JSON compares it: two letters beside those of ASCII fold into it.
/// <https://github.com/golang/go/blob/master/src/encoding/json/fold.go>
fn folded(name: &str) -> String {
    name.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase()
}

/// Whether a text is a time as in RFC 3339, which jiff takes more than.
fn is_time(text: &str) -> bool {
    let shape = text.len() >= 20 && text.as_bytes()[10] == b'T' && !text.contains(['[', ' ', ',']);
    shape && text.parse::<jiff::Timestamp>().is_ok()
}
