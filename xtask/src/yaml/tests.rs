use super::*;

mod parts;

fn one(text: &str) -> Node {
    let mut documents = parse(text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"));
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.remove(0)
}

/// The scalars of a node in their order, keys too.
fn scalars<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
    match &node.kind {
        NodeKind::Scalar(_) => found.push(node),
        NodeKind::Alias(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| scalars(item, found)),
        NodeKind::Map(entries) => {
            for (key, value) in entries {
                scalars(key, found);
                scalars(value, found);
            }
        }
    }
}

/// What is written of each scalar of a text, with its line and column.
fn places(text: &str) -> Vec<(&str, usize, usize)> {
    let documents = parse(text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"));
    let mut found = Vec::new();
    documents.iter().for_each(|document| scalars(document, &mut found));
    found.into_iter().map(|node| (&text[node.span.clone()], node.line, node.column)).collect()
}

/// The value that a path of keys and numbers leads to.
fn at<'n>(node: &'n Node, path: &str) -> &'n Node {
    path.split('.').filter(|part| !part.is_empty()).fold(node, |node, part| {
        let item = part.parse::<usize>().ok().and_then(|at| node.items()?.get(at));
        item.or_else(|| node.get(part)).unwrap_or_else(|| panic!("no {part} in {node:?}"))
    })
}

#[test]
fn scalars_stand_where_they_say() {
    type Written = (&'static str, usize, usize);
    let table: &[(&str, &[Written])] = &[
        ("a", &[("a", 1, 1)]),
        ("a: b", &[("a", 1, 1), ("b", 1, 4)]),
        ("a: b\n", &[("a", 1, 1), ("b", 1, 4)]),
        ("a:\t b\t\n", &[("a", 1, 1), ("b", 1, 5)]),
        ("a: b # c\n", &[("a", 1, 1), ("b", 1, 4)]),
        ("a: b#c\n", &[("a", 1, 1), ("b#c", 1, 4)]),
        ("# c\n\na: b", &[("a", 3, 1), ("b", 3, 4)]),
        ("\u{feff}a: b\nc: d", &[("a", 1, 1), ("b", 1, 4), ("c", 2, 1), ("d", 2, 4)]),
        ("a: b\r\nc: d\r\n", &[("a", 1, 1), ("b", 1, 4), ("c", 2, 1), ("d", 2, 4)]),
        ("a: b\rc: d", &[("a", 1, 1), ("b", 1, 4), ("c", 2, 1), ("d", 2, 4)]),
        (
            "\u{e9}: \u{1f600} # \u{fc}\nc: d",
            &[("\u{e9}", 1, 1), ("\u{1f600}", 1, 4), ("c", 2, 1), ("d", 2, 4)],
        ),
        ("a: b\n  c\n  d # e\n", &[("a", 1, 1), ("b\n  c\n  d", 1, 4)]),
        ("a: 'b' # c\n", &[("a", 1, 1), ("'b'", 1, 4)]),
        ("a: 'it''s' # '\n", &[("a", 1, 1), ("'it''s'", 1, 4)]),
        ("a: ''''\n", &[("a", 1, 1), ("''''", 1, 4)]),
        ("a: '\u{e9}' # c\n", &[("a", 1, 1), ("'\u{e9}'", 1, 4)]),
        ("a: \"b\" # c\n", &[("a", 1, 1), ("\"b\"", 1, 4)]),
        ("a: \"b\\\"#c\\\\\" # \"\n", &[("a", 1, 1), ("\"b\\\"#c\\\\\"", 1, 4)]),
        ("a: \"b\n  c\"\n", &[("a", 1, 1), ("\"b\n  c\"", 1, 4)]),
        ("\"a\": b\n", &[("\"a\"", 1, 1), ("b", 1, 6)]),
        ("a:\n  b: c\n  d:\n", &[("a", 1, 1), ("b", 2, 3), ("c", 2, 6), ("d", 3, 3), ("", 3, 5)]),
        ("a: # c\nb: d\n", &[("a", 1, 1), ("", 1, 3), ("b", 2, 1), ("d", 2, 4)]),
        ("a:\n- b\n-  c\n-\n", &[("a", 1, 1), ("b", 2, 3), ("c", 3, 4), ("", 4, 2)]),
        (
            "- - a\n  - b\n- c: d\n  e: f\n",
            &[("a", 1, 5), ("b", 2, 5), ("c", 3, 3), ("d", 3, 6), ("e", 4, 3), ("f", 4, 6)],
        ),
        ("a:\n  : b\n", &[("a", 1, 1), ("", 2, 3), ("b", 2, 5)]),
        ("? a\n? b\n: c\n", &[("a", 1, 3), ("", 1, 4), ("b", 2, 3), ("c", 3, 3)]),
        ("a:\n  ? b\n: c\n", &[("a", 1, 1), ("b", 2, 5), ("", 2, 6), ("", 2, 6), ("c", 3, 3)]),
        ("?\n:] a: b\n", &[("", 1, 2), ("", 1, 2), (":] a", 2, 1), ("b", 2, 7)]),
        ("{\"a\":}", &[("\"a\"", 1, 2), ("", 1, 6)]),
        ("?\n:a: b\n", &[("", 1, 2), ("", 1, 2), (":a", 2, 1), ("b", 2, 5)]),
        (
            "{a, b: , : c}",
            &[("a", 1, 2), ("", 1, 3), ("b", 1, 5), ("", 1, 7), ("", 1, 7), ("c", 1, 12)],
        ),
        ("? a\n: b\n", &[("a", 1, 3), ("b", 2, 3)]),
        (
            "{a: b, 'c': [d, \"e\" ]} # f",
            &[("a", 1, 2), ("b", 1, 5), ("'c'", 1, 8), ("d", 1, 14), ("\"e\"", 1, 17)],
        ),
        (
            "a: {b: c,\n  d: e,\n  }\n",
            &[("a", 1, 1), ("b", 1, 5), ("c", 1, 8), ("d", 2, 3), ("e", 2, 6)],
        ),
        ("a: |\n  b\n  c\nd: e\n", &[("a", 1, 1), ("|\n  b\n  c", 1, 4), ("d", 4, 1), ("e", 4, 4)]),
        ("a: | # c\n  b\n", &[("a", 1, 1), ("| # c\n  b", 1, 4)]),
        ("a: >-\n  b\n\n# c\nd: e\n", &[("a", 1, 1), (">-\n  b", 1, 4), ("d", 5, 1), ("e", 5, 4)]),
        ("a: |+\n  b\n\nd: e\n", &[("a", 1, 1), ("|+\n  b\n", 1, 4), ("d", 4, 1), ("e", 4, 4)]),
        ("a: |2-\n   b\n", &[("a", 1, 1), ("|2-\n   b", 1, 4)]),
        ("a: |\r\n  b\r\nc: d\r\n", &[("a", 1, 1), ("|\r\n  b", 1, 4), ("c", 3, 1), ("d", 3, 4)]),
        ("a: |\n\nb: c\n", &[("a", 1, 1), ("|", 1, 4), ("b", 3, 1), ("c", 3, 4)]),
        ("a: |\n  \u{e9}\nb: c\n", &[("a", 1, 1), ("|\n  \u{e9}", 1, 4), ("b", 3, 1), ("c", 3, 4)]),
        ("> # c\n a\n---\n|\n\u{e9}\n", &[("> # c\n a", 1, 1), ("|\n\u{e9}", 4, 1)]),
        ("--- # c\na\n---\nb: c\n...\n", &[("a", 2, 1), ("b", 4, 1), ("c", 4, 4)]),
        ("--- a\n--- 'b'\n", &[("a", 1, 5), ("'b'", 2, 5)]),
    ];
    for (text, expected) in table {
        assert_eq!(places(text), *expected, "{text:?}");
    }
}

#[test]
fn lists_and_maps_stand_where_they_say() {
    for (text, path, written, line, column) in [
        ("a:\n  b: c\n  d: e # f\n\n", "a", "b: c\n  d: e", 2, 3),
        ("a:\n  - b\n  - c\nd: e", "a", "- b\n  - c", 2, 3),
        ("a:\n- b\n- c\nd: e", "a", "- b\n- c", 2, 1),
        ("a: [b, c] # d\n", "a", "[b, c]", 1, 4),
        ("a: {b: c} # d\n", "a", "{b: c}", 1, 4),
        ("a: []\nb: {}\n", "b", "{}", 2, 4),
        ("- a: b\n  c: |\n    d\n- e\n", "0", "a: b\n  c: |\n    d", 1, 3),
        ("- \u{e9}: b\n- [c, {d: e}]\n", "1.1", "{d: e}", 2, 7),
    ] {
        let document = one(text);
        let node = at(&document, path);
        let found = (&text[node.span.clone()], node.line, node.column);
        assert_eq!(found, (written, line, column), "{text:?}");
    }
}

#[test]
fn texts_are_read_in_each_style() {
    use Style::{Double, Folded, Literal, Plain, Single};
    for (written, text, style) in [
        ("b", "b", Plain),
        ("b  c", "b  c", Plain),
        ("b\n  c\n\n  d", "b c\nd", Plain),
        ("http://x/y#z", "http://x/y#z", Plain),
        ("'b'", "b", Single),
        ("'it''s \\n'", "it's \\n", Single),
        ("'b\n  c'", "b c", Single),
        ("\"b\\tc\\u00e9\\x41\"", "b\tc\u{e9}A", Double),
        ("\"b\\\n  c\"", "bc", Double),
        ("|\n  b\n   c\n", "b\n c\n", Literal),
        ("|-\n  b\n  c\n", "b\nc", Literal),
        ("|+\n  b\n\n", "b\n\n", Literal),
        ("|2\n    b\n", "  b\n", Literal),
        ("|1-\n   b\n", "  b", Literal),
        ("|-1\n   b\n", "  b", Literal),
        ("|\n  b\n\n\n", "b\n", Literal),
        ("|\n  b\n  ", "b\n", Literal),
        (">-\n  b\n  ", "b", Folded),
        ("|\n  # b\n", "# b\n", Literal),
        ("|\n  b\n # c\n", "b\n", Literal),
        (">\n  b\n  c\n\n  d\n", "b c\nd\n", Folded),
        (">-\n  b\n   c\n  d\n", "b\n c\nd", Folded),
        (">+\n  b\n\n", "b\n\n", Folded),
        ("|\r\n  b\r\n  c\r\n", "b\nc\n", Literal),
    ] {
        let document = one(&format!("a: {written}"));
        let expected = Scalar { text: text.to_owned(), style };
        assert_eq!(at(&document, "a").kind, NodeKind::Scalar(expected), "{written:?}");
    }
}

#[test]
fn what_readers_differ_in_is_an_error() {
    for (text, line, column, why) in [
        ("a: &b c\n", 1, 4, "an anchor is not supported"),
        ("a: *b\n", 1, 4, "an"),
        ("a: &b c\nd: *b\n", 1, 4, "an anchor"),
        ("a: !!str b\n", 1, 4, "the tag"),
        ("a: !b c\n", 1, 4, "the tag"),
        ("a: b\nc: d\na: e\n", 3, 1, "the key \"a\" is here a second time"),
        ("a: b\n'a': e\n", 2, 1, "a second time"),
        ("{a: b, a: c}", 1, 8, "a second time"),
        ("x:\n  - a: b\n    a: c\n", 3, 5, "a second time"),
        ("a:\n\tb: c\n", 2, 2, "tab"),
        ("a: [b,\n\tc]\n", 2, 1, "tab"),
        ("%YAML 1.2\n---\na: b\n", 1, 1, "a directive is not supported"),
        ("a: b\n...\n# c\n%p \u{e9}\n---\na: b\n", 4, 1, "a directive is not supported"),
        ("a: \"b\\/c\"\n", 1, 6, "the escape \\/"),
        ("a: b\u{85}c\n", 1, 5, "U+0085 ends a line only for some readers"),
        ("a: b\n\u{2028}c\n", 2, 1, "U+2028 ends a line"),
        ("a: \"b\u{0}\"\n", 1, 6, "YAML cannot have the character U+0000"),
        ("a: \u{1b}[2J\n", 1, 4, "YAML cannot have the character U+001B"),
        ("a: b\n\u{feff}c: d\n", 2, 1, "YAML cannot have the character U+FEFF"),
        ("a: b: c\n", 1, 5, ""),
        ("a: [b\n", 2, 1, ""),
        ("a: 'b\n", 1, 4, "unexpected end"),
        ("a:\tb\n", 1, 4, "valid YAML whitespace"),
        ("a: @b\n", 1, 4, ""),
        ("a: %b\n", 1, 4, ""),
        ("- a\nb: c\n", 2, 1, ""),
        ("a: |x\n  b\n", 1, 4, "block scalar"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error:?}");
        assert!(error.why.contains(why) && !error.why.is_empty(), "{text:?}: {error:?}");
    }
}

#[test]
fn documents_are_counted() {
    for (text, count) in [
        ("", 0),
        ("\u{feff}", 0),
        ("# a\n", 0),
        ("a", 1),
        ("---\n", 1),
        ("a\n---\nb\n", 2),
        ("a\n...\n---\nb\n...\n", 2),
        ("--- |\n  a\n--- >-\n  b\n---\n- c\n", 3),
    ] {
        assert_eq!(parse(text).map(|documents| documents.len()), Ok(count), "{text:?}");
    }
}

/// Each limit from both sides.
#[test]
fn what_is_too_large_is_an_error() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let blocks = |depth: usize| (0..depth).map(|at| format!("{}a:\n", " ".repeat(at))).collect();
    let many = |count: usize| format!("[{}]", "a,".repeat(count));
    let taken: [String; 4] = [nested(64), blocks(64), many(99_999), "a".repeat(1 << 20)];
    for text in taken {
        assert!(parse(&text).is_ok(), "{:.20}", text);
    }
    let refused: [(String, &str); 6] = [
        (nested(65), "deeper than 64"),
        (nested(200_000), "recursion limit"),
        (blocks(65), "deeper than 64"),
        (many(100_000), "more than 100000 values"),
        ("a".repeat((1 << 20) + 1), "at most 1048576"),
        ("a: b\n".repeat(2 << 20), "at most 1048576"),
    ];
    for (text, why) in refused {
        let error = parse(&text).expect_err(why);
        assert!(error.why.contains(why), "{:.20}: {error:?}", text);
    }
}

#[test]
fn values_are_replaced_where_they_stand() {
    for (before, path, value, after) in [
        ("a: b\n", "a", "c", "a: c\n"),
        ("a: b", "a", "c", "a: c"),
        ("\u{feff}a: b # c\r\nd: e\r\n", "a", "\u{e9}", "\u{feff}a: \u{e9} # c\r\nd: e\r\n"),
        ("a:   b   # c\n", "a", "longer", "a:   longer   # c\n"),
        ("a: b\rc: d\r", "c", "e", "a: b\rc: e\r"),
        ("a:\t'b'\t# c\n", "a", "it's", "a:\t'it''s'\t# c\n"),
        ("a:\t/b\n", "a", "c", "a:\t\"c\"\n"),
        ("a:\t/b\n", "a", "/c", "a:\t/c\n"),
        ("a:\t\u{e9}\n", "a", "c", "a:\t\"c\"\n"),
        ("a: \"b\" # c", "a", "d\"\\", "a: \"d\\\"\\\\\" # c"),
        ("a: 'b'", "a", "c\nd", "a: \"c\\nd\""),
        ("a: b", "a", "c: d", "a: \"c: d\""),
        ("a: b", "a", "c #d", "a: \"c #d\""),
        ("a: b", "a", "", "a: \"\""),
        ("a: b", "a", " c", "a: \" c\""),
        ("a: b", "a", "- c", "a: \"- c\""),
        ("a: b", "a", "-c", "a: -c"),
        ("a: b", "a", "true", "a: \"true\""),
        ("a: b", "a", "No", "a: \"No\""),
        ("a: b", "a", "~", "a: \"~\""),
        ("a: b", "a", "12", "a: \"12\""),
        ("a: b", "a", "1e5", "a: \"1e5\""),
        ("a: b", "a", "0x1F", "a: \"0x1F\""),
        ("a: b", "a", "1:30", "a: \"1:30\""),
        ("a: b", "a", "2026-01-02", "a: \"2026-01-02\""),
        ("a: b", "a", "v1.2.3", "a: v1.2.3"),
        ("a: b", "a", "1.2.3", "a: 1.2.3"),
        ("a: 11", "a", "12", "a: 12"),
        ("a: 11", "a", "true", "a: \"true\""),
        ("a: true", "a", "false", "a: false"),
        ("a: b", "a", "c, [d]", "a: \"c, [d]\""),
        ("a: b,c", "a", "d,e", "a: d,e"),
        ("[a, b]", "1", "c]", "[a, \"c]\"]"),
        ("{a: b, c: d}", "a", "e", "{a: e, c: d}"),
        ("- a\n- b # c\n", "1", "d", "- a\n- d # c\n"),
        ("a: b\n  c\nd: e\n", "a", "f", "a: f\nd: e\n"),
        ("a: |\n  b\n  c\nd: e\n", "a", "f\n", "a: |\n  f\nd: e\n"),
        ("a: |\n  b\nd: e\n", "a", "f\n\ng\n", "a: |\n  f\n\n  g\nd: e\n"),
        ("a: |\n  b\nd: e\n", "a", "f", "a: |-\n  f\nd: e\n"),
        (
            "a: |-   # x\r\n    b\r\nd: e\r\n",
            "a",
            "f\ng",
            "a: |-   # x\r\n    f\r\n    g\r\nd: e\r\n",
        ),
        ("a: |\n  b\nd: e\n", "a", " f\n", "a: \" f\\n\"\nd: e\n"),
        ("a: | # x\n  b\nd: e\n", "a", "", "a: \"\" # x\nd: e\n"),
        (">\r#\rb", "", "c", "\"c\""),
        ("a: >\n  b\nd: e\n", "a", "f\ng\n", "a: >\n  f\n\n  g\nd: e\n"),
        ("a: >-\n  b\n", "a", "f", "a: >-\n  f\n"),
        ("a: |+\n  b\n\nd: e\n", "a", "f\n", "a: |\n  f\nd: e\n"),
        ("a: |+\n b\n  ", "a", "f\n", "a: |\n f\n"),
        ("a: 'b'\n---\na: 'b'\n", "a", "c", "a: 'c'\n---\na: 'b'\n"),
    ] {
        let documents = parse(before).unwrap_or_else(|error| panic!("{error:?}: {before:?}"));
        let node = at(&documents[0], path);
        let edit = edit(before, node, value).expect("the value is there");
        let replaced = replace(before, &[edit]);
        assert_eq!(replaced, after, "{value:?} in {before:?}");
        let again = parse(&replaced).unwrap_or_else(|error| panic!("{error:?}: {replaced:?}"));
        assert_eq!(at(&again[0], path).text(), Some(value), "{replaced:?}");
        let changed = differences(&documents[0], &again[0]).expect("the shape is the same");
        let changed: Vec<_> = changed.iter().map(|(was, is)| (was.text(), is.text())).collect();
        assert_eq!(changed, [(node.text(), Some(value))], "{replaced:?}");
    }
}

#[test]
fn a_value_replaced_by_itself_stays_as_it_is_written() {
    let text =
        "a: b # c\nd: 'it''s'\ne: \"\\x41\"\nf: >+\n  g\n\nh: 0x1F\ni: |1-\n   j\nk: b\n  c\n";
    let document = one(text);
    let mut found = Vec::new();
    scalars(&document, &mut found);
    let edits: Vec<Edit> = found
        .iter()
        .rev()
        .map(|node| edit(text, node, node.text().unwrap_or_default()).expect("it is there"))
        .collect();
    assert_eq!(edits.len(), 14);
    assert_eq!(replace(text, &edits), text);
}

#[test]
fn only_what_is_written_can_be_replaced() {
    let text = "a:\nb: []\nc: {d: e}\n";
    let document = one(text);
    for path in ["a", "b", "c", ""] {
        assert_eq!(edit(text, at(&document, path), "x"), None, "{path}");
    }
    assert!(edit(text, at(&document, "c.d"), "x").is_some());
    let text = "- [a\n]\n";
    let document = one(text);
    assert!(edit(text, at(&document, "0.0"), "x").is_some());
    assert_eq!(edit(text, at(&document, "0.0"), "true"), None);
}

#[test]
fn differences_are_those_of_values() {
    let of = |before: &str, after: &str| {
        let (before, after) = (one(before), one(after));
        let found = differences(&before, &after)?;
        let texts = |(was, is): &(&Node, &Node)| {
            format!("{} {}", was.text().unwrap_or_default(), is.text().unwrap_or_default())
        };
        Some(found.iter().map(texts).collect::<Vec<_>>())
    };
    for (before, after, found) in [
        ("a: b\nc: d", "a: 'b' # x\nc: |-\n  d\n", Some(vec![])),
        ("a: b\nc: [d, e]", "a: x\nc:\n- d\n- y\n", Some(vec!["b x", "e y"])),
        ("a: b", "c: b", None),
        ("a: b\nc: d", "c: d\na: b", None),
        ("a: b", "a: b\nc: d", None),
        ("a: [b]", "a: [b, c]", None),
        ("a: [b]", "a: {b: c}", None),
        ("a: b", "a: [b]", None),
        ("a:", "a: b", Some(vec![" b"])),
    ] {
        let found = found.map(|found: Vec<&str>| found.iter().map(|it| it.to_string()).collect());
        assert_eq!(of(before, after), found, "{before:?} {after:?}");
    }
}
