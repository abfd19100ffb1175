use super::*;

fn value(name: &str) -> Option<String> {
    [("A", "1"), ("EMPTY", "")].iter().find(|(it, _)| *it == name).map(|(_, it)| (*it).to_owned())
}

#[test]
fn lines_are_joined_and_comments_skipped() {
    let text = "# syntax=docker/dockerfile:1\n\nFROM a AS b\nRUN one \\\n  # no\n\n  && two\n\
                copy --from=b --chown=1:2 x y\nRUN <<EOF\nFROM nowhere\nEOF\nUSER 1\n";
    let (escape, found) = parse(text).unwrap();
    assert_eq!(escape, '\\');
    let said: Vec<String> =
        found.iter().map(|it| format!("{} {} {}", it.line, it.name, it.rest)).collect();
    assert_eq!(
        said,
        ["3 FROM a AS b", "4 RUN one   && two", "8 COPY x y", "9 RUN <<EOF", "12 USER 1"]
    );
    assert_eq!(found[2].flag("from"), Some("b"));
    assert_eq!(found[2].flag("chown"), Some("1:2"));
    assert!(found[3].has_heredoc && !found[1].has_heredoc);
    let (escape, found) = parse("# escape=`\nFROM a`\n  b\n").unwrap();
    assert_eq!((escape, &*found[0].rest), ('`', "a  b"));
}

#[test]
fn what_is_no_dockerfile_says_where() {
    for (text, line, why) in [
        ("", 1, "it has no FROM"),
        ("# only a comment\n", 1, "it has no FROM"),
        ("FROM a\nCOPPY a b\n", 2, "\"COPPY\" is not an instruction: did you mean `COPY`?"),
        ("FROM a\nRUN <<EOF\nx\n", 2, "the here-document EOF has no end"),
        ("version: 2\n", 1, "\"VERSION:\" is not an instruction"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.line, &*error.why), (line, why), "{text:?}");
    }
}

#[test]
fn words_are_those_of_builders() {
    for (text, expected) in [
        ("", Ok(vec![])),
        (r#"a "b c" 'd $A' e\ f"#, Ok(vec!["a", "b c", "d $A", "e f"])),
        (r#""" "\"" "\n""#, Ok(vec!["", "\"", "\\n"])),
        ("$A${A}b ${B:-x} ${EMPTY:-y} ${EMPTY-y} ${A:+z}", Ok(vec!["11b", "x", "y", "", "z"])),
        (r"\$A 5$ $", Ok(vec!["$A", "5$", "$"])),
        ("$B", Err("B")),
        ("${B}", Err("B")),
        ("${A%x}", Err("A")),
        ("${B:-$A}", Err("B")),
    ] {
        let expected = expected.map(|it: Vec<&str>| it.into_iter().map(str::to_owned).collect());
        assert_eq!(words(text, '\\', &value), expected.map_err(str::to_owned), "{text}");
    }
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let of = |text: &str| pairs(text, '\\', &value).unwrap();
    assert_eq!(of("A=1 B=\"x y\""), [pair("A", "1"), pair("B", "x y")]);
    assert_eq!(of("A x  y"), [pair("A", "x y")]);
    assert_eq!(of("A"), [pair("A", "")]);
}

/// Whatever the file holds, the reader ends, and what it refuses has a line of the file.
#[test]
fn any_text_is_read() {
    let pieces = [
        "FROM ",
        "a",
        "\n",
        "\\\n",
        "# escape=`\n",
        "`\n",
        "COPY ",
        "--from=",
        "<<EOF",
        "EOF\n",
        "${",
        "$",
        ":-",
        "}",
        "\"",
        "'",
        "[\"a\"]",
        " ",
        "\u{feff}",
        "=",
        "ENV ",
        "RUN ",
        "\r\n",
        "é",
    ];
    arbtest::arbtest(|u| {
        let mut text = String::new();
        while !u.is_empty() && text.len() < 400 {
            text.push_str(u.choose(&pieces)?);
        }
        match parse(&text) {
            Ok((escape, found)) => {
                for it in found {
                    assert!(it.line <= text.lines().count());
                    drop(words(&it.rest, escape, &value));
                    drop(pairs(&it.rest, escape, &value));
                    it.exec();
                }
            }
            Err(error) => assert!(error.line >= 1 && error.line <= text.lines().count().max(1)),
        }
        Ok(())
    });
}
