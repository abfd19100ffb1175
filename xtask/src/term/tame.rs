//! Makes foreign text harmless: tags, paths, answers of servers, output of other programs.
//! Terminals, GitHub's runner and Markdown would act on some of it.

use std::borrow::Cow;

use crate::secret::redacted;

/// The text on one line, without anything that a terminal or a runner acts on, and without the
/// logins in URLs.
pub fn tame(text: &str) -> String {
    let spaced = |c: char| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
    let text: String = text.chars().map(spaced).map(shown).collect();
    without_commands(&redacted(&text)).into_owned()
}

/// The same for text of several lines.
pub fn lines(text: &str) -> String {
    text.split('\n').map(tame).collect::<Vec<_>>().join("\n")
}

/// The same for lines of another program, whose colours stay.
pub fn coloured(text: &str) -> String {
    let text = redacted(text);
    let line = |line: &str| {
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(at) = rest.find('\u{1b}') {
            out.extend(rest[..at].chars().map(shown));
            let colour = colour(&rest[at..]);
            out.push_str(if colour == 0 { "\u{fffd}" } else { &rest[at..at + colour] });
            rest = &rest[at + colour.max(1)..];
        }
        out.extend(rest.chars().map(shown));
        // Colours may hide a command at the start of a line, until they are stripped.
        let plain = anstream::adapter::strip_str(&out).to_string();
        if without_commands(&plain) == plain { out } else { without_commands(&plain).into_owned() }
    };
    text.split('\n').map(|text| line(&text.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}

/// The length of the escape sequence for a colour that a text starts with; 0 where it starts
/// with none.
/// <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/>
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != ';')
        .filter(|at| rest[*at..].starts_with('m'));
    end.map_or(0, |end| end + 3)
}

/// The character, or a replacement for one that must not be shown.
fn shown(c: char) -> char {
    if acts(c) { char::REPLACEMENT_CHARACTER } else { c }
}

/// Whether a terminal acts on the character, or it changes the order of text: control
/// characters, line separators, and marks of direction.
/// <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The line without workflow commands, which GitHub's runner executes: `::word` at the
/// beginning of a line, after any spaces, and `##[word]` anywhere.
/// <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>
fn without_commands(line: &str) -> Cow<'_, str> {
    let begins = line.trim_start().starts_with("::");
    if !begins && !line.contains("##[") {
        return line.into();
    }
    let line = line.replace("##[", "## [");
    if begins { line.replacen("::", ": :", 1).into() } else { line.into() }
}

/// Escapes a text for a cell of a table in GitHub's Markdown.
/// <https://github.github.com/gfm/#backslash-escapes>
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in tame(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '[' | ']' | '*' => out.extend(['\\', c]),
            // GitHub would notify the user of that name.
            '@' => out.push_str("&#64;"),
            _ => out.push(c),
        }
    }
    out
}

/// The same JSON with escapes for all that a terminal or a runner acts on.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in redacted(text).chars() {
        if acts(c) && c != '\n' {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
        } else {
            out.push(c)
        }
    }
    // It can only be part of a string.
    out.replace("##[", "#\\u0023[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_text_of_others() {
        for (text, expected) in [
            ("plain é", "plain é"),
            ("a\u{1b}]0;pwn\u{7}b", "a\u{fffd}]0;pwn\u{fffd}b"),
            ("a\nb\r\nc\td", "a b  c d"),
            ("a\u{9b}2Jb\u{7f}", "a\u{fffd}2Jb\u{fffd}"),
            ("abc\u{202e}txt.exe\u{2066}", "abc\u{fffd}txt.exe\u{fffd}"),
            ("a\u{2028}::error::x", "a\u{fffd}::error::x"),
            ("::add-mask::x", ": :add-mask::x"),
            ("  \t::add-mask::x", "   : :add-mask::x"),
            ("\n::add-mask::x", " : :add-mask::x"),
            ("std::fmt", "std::fmt"),
            ("x ##[group]y", "x ## [group]y"),
            ("https://u:p@h/x", "https://…@h/x"),
        ] {
            assert_eq!(tame(text), expected, "{text:?}");
        }
        assert_eq!(lines("a\n::b::\n\u{1b}c"), "a\n: :b::\n\u{fffd}c");
    }

    #[test]
    fn colours_of_others_stay_and_nothing_else() {
        for (text, expected) in [
            ("\u{1b}[1;31merror\u{1b}[0m: x", "\u{1b}[1;31merror\u{1b}[0m: x"),
            ("\u{1b}[2Jx\u{1b}]0;t\u{7}", "\u{fffd}[2Jx\u{fffd}]0;t\u{fffd}"),
            ("\u{1b}[1m::error::x\u{1b}[0m", ": :error::x"),
            ("a\n\u{1b}[0m ::set-env::x", "a\n : :set-env::x"),
            ("\u{1b}[", "\u{fffd}["),
            ("\u{1b}", "\u{fffd}"),
            ("é\u{1b}[mé", "é\u{1b}[mé"),
        ] {
            assert_eq!(coloured(text), expected, "{text:?}");
        }
    }

    #[test]
    fn markdown_and_json_say_what_was_said() {
        assert_eq!(
            markdown("a|b\n<img>[x](y) `c` @d \\"),
            "a\\|b &lt;img>\\[x\\](y) \\`c\\` &#64;d \\\\"
        );
        let text = serde_json::json!({ "a": "\u{9b}1\u{202e}##[x]", "b": ["\u{1b}"] });
        let shown = json(&serde_json::to_string_pretty(&text).unwrap());
        assert!(!shown.contains(|c| acts(c) && c != '\n') && !shown.contains("##["), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), text);
    }

    /// Whatever a text holds, it stays one line without orders and without the login in it.
    #[test]
    fn no_text_gets_through() {
        const PIECES: [&str; 16] = [
            "https://",
            "u:s3cr3t@",
            "s3cr3t@",
            "host",
            "/",
            "?token=s3cr3t",
            "::",
            "##[",
            "x]",
            "\n",
            "\u{1b}[1m",
            "\u{1b}]0;",
            "\u{202e}",
            " ",
            "é",
            "@",
        ];
        arbtest::arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=12)? {
                text.push_str(u.choose(&PIECES)?);
            }
            let tamed = tame(&text);
            assert!(!tamed.contains(acts), "{text:?}: {tamed:?}");
            assert!(!tamed.trim_start().starts_with("::"), "{text:?}: {tamed:?}");
            assert!(!tamed.contains("##["), "{text:?}: {tamed:?}");
            assert_eq!(tame(&tamed), tamed, "{text:?}");
            for line in anstream::adapter::strip_str(&coloured(&text)).to_string().lines() {
                assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{text:?}");
            }
            let url = format!("https://u:s3cr3t@host/{}", u.arbitrary::<&str>()?);
            assert!(!tame(&url).contains("s3cr3t"), "{url:?}");
            assert!(!crate::secret::Address::new(&url).shown().contains("s3cr3t"), "{url:?}");
            Ok(())
        });
    }
}
