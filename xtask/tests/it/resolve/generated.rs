//! Manifests as people write them, made at random, with references at known places.

use serde_yaml::{Mapping, Value};

/// A generator of numbers (xorshift64*): the same seed makes the same manifest.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this one.
    pub fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % count
    }

    /// Whether one case in so many is met.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of these.
    pub fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// A part of a manifest's text.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// The name of a package, whose reference stands here.
    Image(String),
}

/// A manifest, and where its references are.
#[derive(Clone, Debug)]
pub struct Manifest {
    pieces: Vec<Piece>,
}

impl Manifest {
    /// As it is written, with what each package's reference becomes.
    pub fn with(&self, image: impl Fn(&str) -> String) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Image(package) => image(package),
        });
        pieces.collect()
    }

    /// As it is given to the tool.
    pub fn source(&self) -> String {
        self.with(|package| format!("dockless://{package}"))
    }

    /// How many references it has.
    pub fn images(&self) -> usize {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Image(_))).count()
    }
}

/// The documents of a text, as a reader of YAML sees them, with each text that is a reference
/// replaced.
pub fn values(text: &str, image: &dyn Fn(&str) -> String) -> Vec<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = serde_yaml::Deserializer::from_str(text);
    let value = |document| {
        let value: Value = serde::Deserialize::deserialize(document)
            .unwrap_or_else(|error| panic!("{error}:\n{text}"));
        replaced(value, image)
    };
    documents.map(value).filter(|value| !value.is_null()).collect()
}

fn replaced(value: Value, image: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(match text.strip_prefix("dockless://") {
            Some(package) => image(package),
            None => text,
        }),
        Value::Sequence(items) => items.into_iter().map(|item| replaced(item, image)).collect(),
        Value::Mapping(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key, replaced(value, image)));
            Value::Mapping(entries.collect::<Mapping>())
        }
        other => other,
    }
}

/// Writes a manifest.
struct Writer<'a> {
    random: &'a mut Random,
    packages: &'a [&'a str],
    pieces: Vec<Piece>,
    /// How many anchors there are in this document, and those of a package's reference.
    anchors: usize,
    images: Vec<usize>,
}

/// Texts that are no references, though some speak of one.
const TEXTS: [&str; 16] = [
    "nginx:1.27",
    "see dockless://one for more",
    "it's",
    "a \"quoted\" word",
    "colon: space",
    "hash #tag",
    "",
    " padded ",
    "yes",
    "1.10",
    "{{ .Values.name }}",
    "[a, b]",
    "- dash",
    "\u{e4}\u{65e5}\u{1f980}",
    "registry.example.org:5000/a/b@sha256:00",
    "dockless",
];

/// What needs no quotes anywhere.
const WORDS: [&str; 8] =
    ["nginx:1.27", "8080", "true", "web", "a-b_c.d/e", "null", "10m", "http://example.org/x"];

const KEYS: [&str; 8] =
    ["name", "note", "command", "args", "value", "description", "on", "example.org/some-key"];

/// A manifest of some documents about these packages.
pub fn manifest(random: &mut Random, packages: &[&str]) -> Manifest {
    let mut writer = Writer {
        random: &mut *random,
        packages,
        pieces: Vec::new(),
        anchors: 0,
        images: Vec::new(),
    };
    let documents = 1 + writer.random.below(4);
    if writer.random.one_in(2) {
        writer.text(["---\n", "--- # the first\n"][documents % 2]);
    }
    for at in 0..documents {
        if at > 0 {
            let between = writer.random.of(&["---\n", "---\n", "...\n---\n", "---\n# none\n---\n"]);
            writer.text(between);
        }
        writer.document();
    }
    let mut pieces = writer.pieces;
    let mark = random.one_in(8);
    let breaks = if random.one_in(5) { "\r\n" } else { "\n" };
    for piece in &mut pieces {
        if let Piece::Text(text) = piece {
            *text = text.replace('\n', breaks);
        }
    }
    if mark {
        pieces.insert(0, Piece::Text("\u{feff}".to_owned()));
    }
    Manifest { pieces }
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Text(text.to_owned()));
    }

    fn document(&mut self) {
        self.anchors = 0;
        self.images.clear();
        let kind = self.random.of(&["Deployment", "CronJob", "Pod", "Fleet", "'ConfigMap'"]);
        self.text(&format!("apiVersion: v1\nkind: {kind}\n"));
        let step = 1 + self.random.below(4);
        let count = 1 + self.random.below(5);
        self.map(0, step, count, 3);
        if self.random.one_in(2) {
            self.config(step);
        }
        self.text("spec:\n");
        self.containers(step, step);
    }

    /// A text that holds a manifest, of which nothing is to change.
    fn config(&mut self, step: usize) {
        let margin = " ".repeat(step);
        let sign = self.random.of(&["|", "|-", ">", "|+", ">-"]);
        self.text(&format!("data:\n{margin}pod.yaml: {sign}\n"));
        for line in ["containers:", "- image: dockless://one", "", "  # dockless://two"] {
            let inner = if line.is_empty() { 0 } else { 2 * step };
            self.text(&format!("{}{line}\n", " ".repeat(inner)));
        }
    }

    fn comment(&mut self, margin: &str) {
        if self.random.one_in(5) {
            let what = self.random.of(&["# dockless://one", "#", "# it's \"odd\": {", "#\ttab"]);
            let margin = if self.random.one_in(4) { "" } else { margin };
            self.text(&format!("{margin}{what}\n"));
        }
        if self.random.one_in(12) {
            self.text("\n");
        }
    }

    /// What may follow a value in its line.
    fn end(&mut self) {
        let end = self.random.of(&["\n", "\n", "\n", "  # dockless://one\n", " \n", "\t# tab\n"]);
        self.text(end);
    }

    /// Lines of keys and values.
    fn map(&mut self, indent: usize, step: usize, count: usize, depth: usize) {
        let margin = " ".repeat(indent);
        for at in 0..count {
            self.comment(&margin);
            let key = format!("{}-{at}", self.random.of(&KEYS));
            let quoted = match self.random.below(6) {
                0 => format!("\"{key}\""),
                1 => format!("'{key}'"),
                _ => key,
            };
            self.text(&format!("{margin}{quoted}:"));
            match self.random.below(if depth == 0 { 5 } else { 8 }) {
                5 => {
                    self.text("\n");
                    let count = 1 + self.random.below(3);
                    self.map(indent + step, step, count, depth - 1);
                }
                6 => {
                    let flush = self.random.one_in(2);
                    self.text("\n");
                    self.list(if flush { indent } else { indent + step });
                }
                7 => {
                    self.text(" ");
                    self.flow(depth);
                    self.end();
                }
                _ => {
                    self.text(" ");
                    self.scalar(indent + step);
                }
            }
        }
    }

    fn list(&mut self, indent: usize) {
        let margin = " ".repeat(indent);
        for _ in 0..1 + self.random.below(3) {
            self.comment(&margin);
            self.text(&format!("{margin}- "));
            self.scalar(indent + 2);
        }
    }

    /// A value in a line of its own, or a block below.
    fn scalar(&mut self, indent: usize) {
        if self.random.one_in(6) {
            return self.image(indent);
        }
        let text = self.random.of(&TEXTS);
        match self.random.below(5) {
            0 => self.text(&format!("'{}'", text.replace('\'', "''"))),
            1 => self.text(&serde_json::to_string(text).unwrap()),
            2 if !text.is_empty() && text.trim() == text => {
                let (sign, margin) = (self.random.of(&["|", ">", "|-", ">+"]), " ".repeat(indent));
                return self.text(&format!("{sign}\n{margin}{text}\n{margin}{text}\n"));
            }
            _ => {
                let word = self.random.of(&WORDS);
                self.text(word);
            }
        }
        self.end();
    }

    /// Brackets, in one line or in several.
    fn flow(&mut self, depth: usize) {
        let is_map = self.random.one_in(2);
        self.text(if is_map { "{" } else { "[" });
        let count = self.random.below(if is_map { 2 } else { 4 });
        for at in 0..count {
            if at > 0 {
                let comma = self.random.of(&[", ", ",", " , ", ",\n                        "]);
                self.text(comma);
            }
            let what = self.random.below(if depth == 0 { 3 } else { 4 });
            if is_map {
                // In an `image` field no text may only speak of a reference.
                let keys =
                    if what == 1 { &["name: "; 3] } else { &["image: ", "\"image\": ", "a : "] };
                let key = self.random.of(keys);
                self.text(key);
            }
            match what {
                0 => self.inline_image(),
                1 => {
                    let text = self.random.of(&TEXTS);
                    self.text(&serde_json::to_string(text).unwrap());
                }
                2 => {
                    let word = self.random.of(&WORDS[1..7]);
                    self.text(word);
                }
                _ => self.flow(depth - 1),
            }
        }
        self.text(if is_map { " }" } else { "]" });
    }

    fn containers(&mut self, indent: usize, step: usize) {
        let margin = " ".repeat(indent);
        for key in ["initContainers", "containers", "ephemeralContainers"] {
            if self.random.one_in(3) {
                continue;
            }
            self.text(&format!("{margin}{key}:\n"));
            for at in 0..1 + self.random.below(3) {
                self.comment(&margin);
                if self.random.one_in(5) {
                    self.text(&format!("{margin}- {{name: c{at}, image: "));
                    self.inline_image();
                    self.text("}\n");
                    continue;
                }
                let gap = " ".repeat(1 + self.random.below(3));
                let inner = indent + 1 + gap.len();
                self.text(&format!("{margin}-{gap}name: c{at}\n{}", " ".repeat(inner)));
                let key = self.random.of(&["image: ", "\"image\": ", "'image' :  ", "image:   "]);
                self.text(key);
                self.image(inner + step);
                let count = self.random.below(3);
                self.map(inner, step, count, 1);
            }
        }
        self.text(&format!("{margin}end: true\n"));
    }

    fn package(&mut self) -> Piece {
        let package = self.packages[self.random.below(self.packages.len())];
        Piece::Image(package.to_owned())
    }

    /// A reference where brackets are around.
    fn inline_image(&mut self) {
        let quote = self.random.of(&["", "'", "\""]);
        self.quoted_image(quote);
    }

    fn quoted_image(&mut self, quote: &str) {
        let image = self.package();
        self.text(quote);
        self.pieces.push(image);
        self.text(quote);
    }

    /// A reference in any style, with an anchor or by an alias.
    fn image(&mut self, indent: usize) {
        match self.random.below(9) {
            0 if !self.images.is_empty() => {
                let at = self.images[self.random.below(self.images.len())];
                self.text(&format!("*i{at}"));
            }
            1 => {
                self.anchors += 1;
                self.images.push(self.anchors);
                self.text(&format!("&i{} ", self.anchors));
                self.inline_image();
            }
            2 => {
                let (sign, margin) = (self.random.of(&["|-", ">-"]), " ".repeat(indent));
                let gap = self.random.of(&["", " # dockless://one"]);
                self.text(&format!("{sign}{gap}\n{margin}"));
                let image = self.package();
                self.pieces.push(image);
                return self.text("\n");
            }
            3 => {
                self.text(&format!("\n{}", " ".repeat(indent)));
                self.inline_image();
            }
            _ => self.inline_image(),
        }
        self.end();
    }
}
