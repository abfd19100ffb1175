//! The one YAML document this program writes, indented by four as Go's
//! library does, in which every value reads back as the string it was under
//! YAML 1.1 and 1.2 alike.

use crate::output::Document;

/// The document, the last line's end included.
pub fn render(document: &Document) -> String {
    let mut yaml = String::from("data:\n");
    for field in &document.data {
        yaml += &format!(
            "    - key: {}\n      value: {}\n",
            scalar(field.key, 6),
            scalar(&field.value, 6)
        );
        if let Some(encoding) = field.encoding {
            yaml += &format!("      encoding: {encoding}\n");
        }
    }
    let [name, namespace, kind] =
        [document.name, document.namespace, document.kind].map(|text| scalar(text, 0));
    yaml + &format!("name: {name}\nnamespace: {namespace}\ntype: {kind}\n")
}

/// `text` as the value of a key at column `indent`: plain where no reader can
/// take it for anything else, a block where it has lines, or else quoted.
fn scalar(text: &str, indent: usize) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if is_block(text) {
        block(text, indent + 4)
    } else {
        quoted(text)
    }
}

/// Beginning with a letter and made of what means nothing in YAML; and not one
/// of the words that are a boolean or null to some reader.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+=@".contains(c))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A block cannot escape, and takes its indentation from its first line.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && text.chars().all(|c| matches!(c, '\t' | '\n') || is_printable(c))
}

fn block(text: &str, indent: usize) -> String {
    let (body, ending) = match text.strip_suffix('\n') {
        None => (text, "-"),
        Some(body) if body.ends_with('\n') => (body, "+"),
        Some(body) => (body, ""),
    };
    let lines = body.split('\n').map(|line| match line {
        "" => String::from("\n"),
        line => format!("\n{:indent$}{line}", ""),
    });
    format!("|{ending}{}", lines.collect::<String>())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            c if is_printable(c) => quoted.push(c),
            c if u32::from(c) <= 0xffff => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted += &format!("\\U{:08x}", u32::from(c)),
        }
    }
    quoted + "\""
}

/// What both versions of YAML let stand for itself and keep: neither control
/// characters nor the line breaks of YAML 1.1 nor the byte order mark.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Field;

    const CASES: &[(&str, &str)] = &[
        ("value", "value"),
        ("helm.sh/release.v1", "helm.sh/release.v1"),
        ("dXNlcjpwYXNz==", "dXNlcjpwYXNz=="),
        ("", r#""""#),
        ("yes", r#""yes""#),
        ("No", r#""No""#),
        ("NULL", r#""NULL""#),
        ("~", r#""~""#),
        ("0123", r#""0123""#),
        ("1e3", r#""1e3""#),
        (".inf", r#"".inf""#),
        ("2001-01-01", r#""2001-01-01""#),
        ("a: b #c", r#""a: b #c""#),
        (" led", r#"" led""#),
        (r#"q"\"#, r#""q\"\\""#),
        ("tab\t\r", r#""tab\t\r""#),
        ("\u{1b}[0m\u{85}\u{2028}\u{feff}", r#""\u001b[0m\u0085\u2028\ufeff""#),
        ("grüße 🔑", r#""grüße 🔑""#),
        ("a\nb", "|-\n    a\n    b"),
        ("a\n\n  b\n", "|\n    a\n\n      b"),
        ("a\n\n", "|+\n    a\n"),
        ("a\n   \n\tb  \n  \n", "|\n    a\n       \n    \tb  \n      "),
        ("---\n...\n# c", "|-\n    ---\n    ...\n    # c"),
        ("\na", r#""\na""#),
        ("\ta\n", r#""\ta\n""#),
        ("a\r\nb", r#""a\r\nb""#),
    ];

    #[test]
    fn each_text_has_its_style() {
        for (text, expected) in CASES.iter().copied() {
            assert_eq!(scalar(text, 0), expected, "{text:?}");
        }
    }

    #[test]
    fn each_text_reads_back() {
        let field =
            |(value, _): (&str, _)| Field { key: "k", value: value.to_owned(), encoding: None };
        let data: Vec<Field> = CASES.iter().copied().map(field).collect();
        let yaml = render(&Document { data, name: "null", namespace: "1.5", kind: "Opaque" });
        let read: serde_yaml::Value = serde_yaml::from_str(&yaml).unwrap();
        for (index, (text, _)) in CASES.iter().copied().enumerate() {
            assert_eq!(read["data"][index]["value"], serde_yaml::Value::from(text), "{yaml}");
        }
        assert_eq!(read["name"], serde_yaml::Value::from("null"));
        assert_eq!(read["namespace"], serde_yaml::Value::from("1.5"));
    }
}
