//! Quotes texts so that BuildKit, buildah and hadolint all read them back unchanged.

use anyhow::{Result, bail};

/// A value of ARG, ENV or LABEL, or the name of a label, in double quotes.
///
/// Within quotes only `\`, `"` and `$` are special. hadolint takes `\"` for a quote even after
/// another `\`, so backslashes before a quote are put outside of the quotes.
///
/// A line end cannot be quoted: it ends the instruction, and after a `\` it vanishes. Such a text
/// is an error.
/// <https://docs.docker.com/reference/dockerfile/#environment-replacement>
pub fn quoted(text: &str) -> Result<String> {
    in_one_line(text)?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.trim_start_matches('\\');
        let backslashes = "\\\\".repeat(rest.len() - after.len());
        if backslashes.is_empty() {
            if matches!(first, '"' | '$') {
                quoted.push('\\');
            }
            quoted.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if after.is_empty() || after.starts_with('"') {
            quoted.extend(["\"", &backslashes, "\""])
        } else {
            quoted.push_str(&backslashes)
        }
        rest = after;
    }
    quoted.push('"');
    Ok(quoted)
}

/// An ENV or LABEL with the pairs, one per line; empty without pairs. Names and values must be
/// quoted already: see [`quoted`].
pub fn pairs(instruction: &str, pairs: &[(String, String)]) -> String {
    let indent = format!(" \\\n{}", " ".repeat(instruction.len() + 1));
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() {
        return String::new();
    }
    format!("{instruction} {}\n", pairs.join(&indent))
}

/// An argument of WORKDIR, USER, EXPOSE, ADD or COPY, quoted if it has special characters.
pub fn word(text: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:%,".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    quoted(text)
}

/// The exec form of ENTRYPOINT and CMD: JSON, which can have line ends. hadolint misreads `\\"`, so
/// a backslash is written as a Unicode escape.
pub fn exec_form(args: &[String]) -> String {
    let strings: Vec<String> = args
        .iter()
        .map(|arg| serde_json::Value::from(arg.as_str()).to_string().replace("\\\\", "\\u005c"))
        .collect();
    format!("[{}]", strings.join(", "))
}

/// The paths of VOLUME: JSON whose strings are words.
pub fn volumes(paths: &[String]) -> Result<String> {
    let words: Vec<String> = paths.iter().map(|path| word(path)).collect::<Result<_>>()?;
    Ok(exec_form(&words))
}

/// A word for the shell of RUN, in double quotes. `{{ name }}` stays, so that it may become the
/// shell's `${NAME}` later.
pub fn shell_quoted(text: &str) -> Result<String> {
    in_one_line(text)?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Ok(quoted)
}

fn in_one_line(text: &str) -> Result<()> {
    if text.contains(['\n', '\0']) {
        bail!("{text:?} has a line break, which a Dockerfile cannot say; write it in one line");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_in_quotes_is_escaped() {
        for (text, expected) in [
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("it's", r#""it's""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            ("$HOME ${A:-b}", r#""\$HOME \${A:-b}""#),
            (r"a\b\n", r#""a\\b\\n""#),
            (r"\$x", r#""\\\$x""#),
            ("# no comment", r##""# no comment""##),
            ("`id` $(id)", r#""`id` \$(id)""#),
            ("tab\there \r ü ☃", "\"tab\there \r ü ☃\""),
            // hadolint would read on behind these.
            (r"end\", r#""end"\\"""#),
            (r"end\\", r#""end"\\\\"""#),
            (r#"a\"b"#, r#""a"\\"\"b""#),
            (r"\", r#"""\\"""#),
        ] {
            assert_eq!(quoted(text).unwrap(), expected, "{text:?}");
        }
        for text in ["a\nb", "a\r\nb", "\n", "a\0b"] {
            let error = quoted(text).unwrap_err().to_string();
            assert!(error.ends_with("write it in one line"), "{text:?}: {error}");
        }
    }

    #[test]
    fn pairs_are_one_instruction() {
        let pair = |name: &str, value: &str| (name.to_owned(), quoted(value).unwrap());
        let expected = "LABEL a=\"1\" \\\n      b=\"x y\"\n";
        assert_eq!(pairs("LABEL", &[pair("a", "1"), pair("b", "x y")]), expected);
        assert_eq!(pairs("ENV", &[pair("A", "")]), "ENV A=\"\"\n");
        assert_eq!(pairs("ENV", &[]), "");
    }

    #[test]
    fn a_word_is_quoted_where_it_must_be() {
        for (text, expected) in [
            ("/usr/local/bin", "/usr/local/bin"),
            ("65532:65532", "65532:65532"),
            ("8080/tcp", "8080/tcp"),
            ("", r#""""#),
            ("/with space", r#""/with space""#),
            ("/a$b", r#""/a\$b""#),
            ("--from=x", r#""--from=x""#),
            ("[x]", r#""[x]""#),
        ] {
            assert_eq!(word(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn exec_form_is_json_without_a_doubled_backslash() {
        let args = ["/usr/local/bin/tool", "", "a \"b\" $c", "a\nb", r"c:\", r#"\""#, "ü\u{1}"];
        let args = args.map(str::to_owned);
        let form = exec_form(&args);
        let expected = r#"["/usr/local/bin/tool", "", "a \"b\" $c", "a\nb", "c:\u005c", "\u005c\"", "ü\u0001"]"#;
        assert_eq!(form, expected);
        assert_eq!(serde_json::from_str::<Vec<String>>(&form).unwrap(), args);
        assert_eq!(exec_form(&[]), "[]");
    }

    #[test]
    fn volumes_are_words_within_json() {
        let paths = ["/data", "/my data", "/a$b"].map(str::to_owned);
        let expected = r#"["/data", "\"/my data\"", "\"/a\u005c$b\""]"#;
        assert_eq!(volumes(&paths).unwrap(), expected);
    }

    #[test]
    fn the_shell_reads_a_word_as_it_was() {
        for (text, expected) in [
            ("", r#""""#),
            ("--features=a,b/c", r#""--features=a,b/c""#),
            (r#"profile.dist.strip="symbols""#, r#""profile.dist.strip=\"symbols\"""#),
            (r"it's $HOME `id` \n", r#""it's \$HOME \`id\` \\n""#),
            ("v{{ version }}", r#""v{{ version }}""#),
        ] {
            assert_eq!(shell_quoted(text).unwrap(), expected, "{text:?}");
        }
        let error = shell_quoted("a\nb").unwrap_err().to_string();
        let expected =
            r#""a\nb" has a line break, which a Dockerfile cannot say; write it in one line"#;
        assert_eq!(error, expected);
    }
}
