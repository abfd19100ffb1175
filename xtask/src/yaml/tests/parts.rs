//! Streams of documents: everything that manifests of Kubernetes have.

use std::time::Duration;

use arbtest::arbitrary::{Result, Unstructured};
use serde_json::{Value, json};

use crate::yaml::{Node, NodeKind, Part, SyntaxError, parts};

fn read(text: &str) -> std::result::Result<Vec<Part>, SyntaxError> {
    parts(text).collect()
}

/// What is written of each part, and whether it is JSON.
fn written(text: &str) -> Vec<(&str, bool)> {
    let read = read(text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"));
    read.into_iter().map(|part| (&text[part.span], part.is_json)).collect()
}

/// A node as JSON, with all scalars as texts and aliases replaced.
fn value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Scalar(scalar) => json!(scalar.text),
        NodeKind::List(items) => items.iter().map(value).collect(),
        NodeKind::Alias(target) => value(target),
        NodeKind::Map(entries) => {
            let name = |key: &Node| key.text().unwrap_or_default().to_owned();
            entries.iter().map(|(key, of)| (name(key), value(of))).collect()
        }
    }
}

fn one(text: &str) -> Node {
    let mut read = read(text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"));
    assert_eq!(read.len(), 1, "{text:?}");
    read.remove(0).node.expect("it has a document")
}

#[test]
fn a_stream_is_split_at_its_markers() {
    for (text, expected) in [
        ("", vec![]),
        ("a: b\n", vec!["a: b\n"]),
        ("a: b\n---\nc: d\n", vec!["a: b\n", "---\nc: d\n"]),
        ("---\na\n--- b\n---", vec!["---\na\n", "--- b\n", "---"]),
        ("a\n...\n---\nb\n...\n", vec!["a\n...\n", "---\nb\n...\n"]),
        ("a\r\n---\r\nb\r\n", vec!["a\r\n", "---\r\nb\r\n"]),
        ("a\r---\rb\r", vec!["a\r", "---\rb\r"]),
        ("# a\n---\n# b\n", vec!["# a\n", "---\n# b\n"]),
        ("\u{feff}a: b\n", vec!["a: b\n"]),
        // These lines are not markers.
        ("a: |\n  ---\n  b\n", vec!["a: |\n  ---\n  b\n"]),
        ("---a: b\n", vec!["---a: b\n"]),
        ("a: b\n----: c\n", vec!["a: b\n----: c\n"]),
    ] {
        let found: Vec<&str> = written(text).into_iter().map(|(text, _)| text).collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn values_of_json_follow_each_other() {
    for (text, expected) in [
        ("{\"a\": 1}", vec!["{\"a\": 1}"]),
        ("{\"a\": 1}\n{\"b\": 2}\n", vec!["{\"a\": 1}", "{\"b\": 2}"]),
        (" {}{} ", vec!["{}", "{}"]),
        ("---\n{\"a\": 1}\n", vec!["{\"a\": 1}"]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|text| (text, true)).collect();
        assert_eq!(written(text), expected, "{text:?}");
    }
    for text in ["{a: b}\n", "{\"a\": b}\n", "{\"a\": 1} # c\n", "{\"a\": 1,}\n", "[1]\n"] {
        assert_eq!(written(text), [(text, false)], "{text:?}");
    }
}

#[test]
fn anchors_aliases_and_tags_are_taken() {
    for (text, expected) in [
        ("a: &x b\nc: *x\n", json!({"a": "b", "c": "b"})),
        ("a: &x\n  b: c\nd: *x\n", json!({"a": {"b": "c"}, "d": {"b": "c"}})),
        ("a: &x\n- b\nc: *x\n", json!({"a": ["b"], "c": ["b"]})),
        ("a: &x [b, &y c]\nd: [*x, *y]\n", json!({"a": ["b", "c"], "d": [["b", "c"], "c"]})),
        ("a: &x\nb: *x\n", json!({"a": "", "b": ""})),
        ("&x a: b\nc: *x\n", json!({"a": "b", "c": "a"})),
        ("&x\na: b\n", json!({"a": "b"})),
        ("- &x |\n  a\n  b\n- *x\n", json!(["a\nb\n", "a\nb\n"])),
        ("- &x !!str >-\n  a\n  b\n- *x\n", json!(["a b", "a b"])),
        ("a: !!int '1'\nb: !own {c: d}\ne: ! f\n", json!({"a": "1", "b": {"c": "d"}, "e": "f"})),
        ("a: !<tag:yaml.org,2002:str> b\n", json!({"a": "b"})),
        ("a: &x # c\n  b\nd: *x # e\n", json!({"a": "b", "d": "b"})),
        // The last of a name counts.
        ("a: &x b\nc: *x\nd: &x e\nf: *x\n", json!({"a": "b", "c": "b", "d": "e", "f": "e"})),
    ] {
        assert_eq!(value(&one(text)), expected, "{text:?}");
    }
}

#[test]
fn nodes_with_properties_stand_behind_them() {
    for (text, path, written, line, column) in [
        ("a: &x b\n", &["a"][..], "b", 1, 7),
        ("a: &x 'b' # c\n", &["a"], "'b'", 1, 7),
        ("a: !!str &x \"b\"\n", &["a"], "\"b\"", 1, 13),
        ("a: &x |\n  b\nc: d\n", &["a"], "|\n  b", 1, 7),
        ("a: &x\n  b: c\nd: e\n", &["a"], "b: c", 2, 3),
        ("a: &x\n- b\nd: e\n", &["a"], "- b", 2, 1),
        ("a: &x [b]\n", &["a"], "[b]", 1, 7),
        ("a: &x\nb: c\n", &["a"], "", 1, 6),
        ("a: &x b\nc: *x # d\n", &["c"], "*x", 2, 4),
        ("[&x a, *x]", &[], "[&x a, *x]", 1, 1),
        ("---\n\u{e9}: &x b\n---\n", &["\u{e9}"], "b", 2, 7),
    ] {
        let parts = read(text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"));
        let document = parts[0].node.as_ref().expect("it has a document");
        let find = |node, key: &&str| {
            let NodeKind::Map(entries) = &Node::target(node).kind else { panic!("{text:?}") };
            let entry = entries.iter().find(|(name, _)| name.text() == Some(key));
            &entry.expect("the key is there").1
        };
        let node = path.iter().fold(document, find);
        let found = (&text[node.span.clone()], node.line, node.column);
        assert_eq!(found, (written, line, column), "{text:?}");
    }
}

#[test]
fn merged_maps_have_their_keys() {
    let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, y: 5}\nd: {<<: [*b, *a]}\n\
                e: {'<<': *a}\nf: {<<: {g: 6}}\nh: {<<: &h {<<: *a}}\n";
    let document = one(text);
    for (of, key, expected) in [
        ("c", "x", Some("1")),
        ("c", "y", Some("5")),
        ("d", "y", Some("3")),
        ("d", "x", Some("1")),
        ("d", "z", Some("4")),
        ("e", "x", None),
        ("f", "g", Some("6")),
        ("h", "x", Some("1")),
        ("c", "z", None),
    ] {
        let found = document.get(of).and_then(|node| node.get(key)?.text());
        assert_eq!(found, expected, "{of} {key}");
    }
}

/// A document that would be larger than memory with its aliases replaced.
#[test]
fn aliases_are_not_multiplied() {
    let lines =
        (1..30).map(|at| format!("a{at}: &a{at} [*a{before}, *a{before}]\n", before = at - 1));
    let text = format!("a0: &a0 [x]\n{}", lines.collect::<String>());
    assert!(read(&text).is_ok());
    assert_eq!(one(&text).get("none"), None);
    // Copies of what has an anchor are counted.
    let nested = (0..190).map(|at| format!("&a{at} [")).collect::<String>();
    let text = format!("{nested}{}{}", "x,".repeat(20_000), "]".repeat(190));
    let error = read(&text).expect_err("it is too much");
    assert!(error.why.contains("more than 1000000 values"), "{error:?}");
}

#[test]
fn faults_have_their_places() {
    for (text, line, column, why) in [
        ("a: b\n---\nc: *d\n", 3, 4, "unknown anchor"),
        ("a: &b [*b]\n", 1, 8, "a node that it is in"),
        ("a: b\n---\nc: d\nc: e\n", 4, 1, "a second time"),
        ("# a\n%YAML 1.2\n---\na: b\n", 2, 1, "directive"),
        ("a: b\n---\n\tc: d\n", 3, 1, "tab"),
        ("a: b\n\u{feff}---\nc: d\n", 2, 1, "U+FEFF"),
        ("{\"a\": 1,}\n{", 1, 9, "a key in quotes"),
        ("{\"a\" 1}", 1, 6, "`:`"),
        ("{}{\"a\": [1 2]}", 1, 12, "`,` or a `]`"),
        ("{}{\"a\": tru}", 1, 9, "no value"),
        ("{}{\"a\": 01x}", 1, 9, "no value"),
        ("{}{\"a\": \"\n\"}", 1, 10, "control character"),
        ("{} {\"a\": 1} b", 1, 13, "no value"),
        ("{\"a\": \"\\x\"}", 1, 8, "escape"),
        ("{\"a\": \"\\u12\"}", 1, 8, "four hexadecimal"),
        ("{\"a\": \"b}", 1, 10, "does not end"),
        ("{\"\u{e9}\": {\"a\": 1, \"a\": 2}}", 1, 16, "a second time"),
    ] {
        let error = read(text).expect_err(text);
        let found = (error.line, error.column);
        // A text that is neither YAML nor JSON is told as what it begins like.
        assert_eq!(found, (line, column), "{text:?}: {error:?}");
        assert!(error.why.contains(why), "{text:?}: {error:?}");
    }
}

#[test]
fn nothing_follows_a_fault() {
    let mut parts = parts("a: b\n---\nc: 'd\n---\ne: f\n");
    assert!(parts.next().is_some_and(|part| part.is_ok()));
    assert!(parts.next().is_some_and(|part| part.is_err()));
    assert!(parts.next().is_none());
}

/// JSON of any shape, with the space and the escapes that it may have.
fn any(u: &mut Unstructured<'_>, depth: usize, out: &mut String) -> Result<()> {
    let space = |u: &mut Unstructured<'_>| u.choose(&["", "", " ", "\n", "\t", "\r\n"]).copied();
    match u.int_in_range(0..=if depth > 4 { 3 } else { 5 })? {
        0 => out.push_str(u.choose(&["true", "false", "null"])?),
        1 => out.push_str(&u.arbitrary::<i32>()?.to_string()),
        2 => out.push_str(u.choose(&["-0.5", "1e3", "2E-2", "0"])?),
        3 => out.push_str(&string(u)?),
        kind => {
            let (open, close) = if kind == 4 { ('[', ']') } else { ('{', '}') };
            out.push(open);
            for at in 0..u.int_in_range(0..=3)? {
                out.push_str(if at == 0 { "" } else { "," });
                out.push_str(space(u)?);
                if kind == 5 {
                    // Each key once.
                    let key = string(u)?;
                    out.push_str(&format!("\"{at}{}", &key[1..]));
                    out.push_str(space(u)?);
                    out.push(':');
                    out.push_str(space(u)?);
                }
                any(u, depth + 1, out)?;
                out.push_str(space(u)?);
            }
            out.push(close);
        }
    }
    Ok(())
}

fn string(u: &mut Unstructured<'_>) -> Result<String> {
    const PIECES: [&str; 12] = [
        "a",
        " ",
        "\u{e9}",
        "\u{1f600}",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u00e9",
        "\\ud83d\\ude00",
        "#",
        ": ",
    ];
    let pieces = (0..u.int_in_range(0..=4)?).map(|_| u.choose(&PIECES).copied());
    Ok(format!("\"{}\"", pieces.collect::<Result<Vec<_>>>()?.concat()))
}

/// The texts of another reader's value.
fn texts(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), texts(value))).collect()
        }
        Value::String(text) => json!(text),
        // Written in several ways.
        _ => Value::Null,
    }
}

#[test]
fn json_is_read_as_another_reader_reads_it() {
    let property = |u: &mut Unstructured<'_>| {
        let mut text = String::from("{\"x\": ");
        any(u, 0, &mut text)?;
        text.push('}');
        let theirs: Value = serde_json::from_str(&text).expect("it is JSON");
        let [part] = &read(&text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"))[..] else {
            panic!("{text:?}")
        };
        let node = part.node.as_ref().expect("it has a value");
        assert!(part.is_json, "{text:?}");
        assert_eq!(strings(node), texts(&theirs), "{text:?}");
        Ok(())
    };
    arbtest::arbtest(property).budget(Duration::from_secs(1));
}

/// A node as JSON, without what is not in quotes.
fn strings(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.style == crate::yaml::Style::Double => {
            json!(scalar.text)
        }
        NodeKind::Scalar(_) | NodeKind::Alias(_) => Value::Null,
        NodeKind::List(items) => items.iter().map(strings).collect(),
        NodeKind::Map(entries) => {
            let name = |key: &Node| key.text().unwrap_or_default().to_owned();
            entries.iter().map(|(key, of)| (name(key), strings(of))).collect()
        }
    }
}
