//! Rust source, as far as the tests of the architecture read it: its tokens without strings
//! and comments, the paths that they name, and the functions that they hold.

/// A word, or one sign; `::` is one sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token<'a> {
    pub text: &'a str,
    /// From 0.
    pub line: usize,
}

/// The tokens of a text without its strings and comments.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let skipped = skipped(rest);
        let length = match skipped {
            Some(length) => length,
            None if word > 0 => word,
            None if rest.starts_with("::") => 2,
            None => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if skipped.is_none() && !first.is_whitespace() {
            tokens.push(Token { text: token, line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment, string, character or lifetime that a text begins with.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|it| text.starts_with(it));
    let prefix = prefix.unwrap_or_default();
    let literal = &text[prefix.len()..];
    let hashes = literal.len() - literal.trim_start_matches('#').len();
    let length = if prefix.ends_with('r') && literal[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let open = hashes + 1;
        literal[open..].find(&end).map_or(literal.len(), |at| open + at + end.len())
    } else if literal.starts_with('"') {
        escaped(literal, '"')
    } else if literal.starts_with('\'') {
        character(literal)
    } else {
        return None;
    };
    Some(prefix.len() + length)
}

/// Comments may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal up to its second quote.
fn escaped(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// A character such as `'a'`, or a lifetime such as `'a`.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next(), chars.next());
    if first == Some('\\') || second == Some('\'') {
        return escaped(text, '\'');
    }
    1 + text[1..].find(|c: char| !is_word(c)).unwrap_or(text.len() - 1)
}

/// The place after the bracket that closes the one at `open`.
fn closed(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn is(tokens: &[Token<'_>], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// The tokens without the items that `#[cfg(test)]` stands before.
pub fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, "#") && is(tokens, at + 1, "[") && is(tokens, at + 2, "cfg") {
            let end = closed(tokens, at + 1);
            let has = |word: &str| tokens[at..end].iter().any(|token| token.text == word);
            if has("test") && !has("not") && !has("any") {
                at = item_end(tokens, end);
                continue;
            }
        }
        kept.push(tokens[at]);
        at += 1;
    }
    kept
}

/// The place after an item: its semicolon, or what its braces hold.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    let mut is_statement = false;
    while at < tokens.len() {
        match tokens[at].text {
            ";" => return at + 1,
            "use" | "const" | "static" => is_statement = true,
            "{" if !is_statement => return closed(tokens, at),
            "{" | "(" | "[" => {
                at = closed(tokens, at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// A path in full, from the crate's root on, and the name that an import gives to it.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub path: Vec<String>,
    /// `None` for a path in an expression or a type, and for an import inside of a function or
    /// an inline module.
    pub alias: Option<String>,
}

/// The paths that begin with `crate`, `self` or `super`, and what is imported of the modules
/// below: `*` stands for all. `module` is the file's own.
pub fn paths(module: &[String], tokens: &[Token<'_>]) -> Vec<Named> {
    let mut found = Vec::new();
    // What each open brace belongs to: a module of its name, or something else.
    let mut braces: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let inline: Vec<String> = braces.iter().flatten().cloned().collect();
        let here = [module, &inline].concat();
        match tokens[at].text {
            "{" => {
                let named = at >= 2 && tokens[at - 2].text == "mod";
                braces.push(named.then(|| tokens[at - 1].text.to_owned()));
            }
            "}" => drop(braces.pop()),
            "use" => {
                let mut tree = Vec::new();
                at = use_tree(tokens, at + 1, Vec::new(), &mut tree);
                for (path, alias) in tree {
                    let path = absolute(&here, path, true);
                    let alias = braces.is_empty().then_some(alias);
                    found.extend(path.map(|path| Named { path, alias }));
                }
                continue;
            }
            "crate" | "self" | "super" if is(tokens, at + 1, "::") => {
                let mut tree = Vec::new();
                at = use_tree(tokens, at, Vec::new(), &mut tree);
                let path = tree.pop().and_then(|(path, _)| absolute(&here, path, false));
                found.extend(path.map(|path| Named { path, alias: None }));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

type Tree = Vec<(Vec<String>, String)>;

/// Reads a path and what its braces hold, and returns the place after it.
fn use_tree(tokens: &[Token<'_>], start: usize, above: Vec<String>, found: &mut Tree) -> usize {
    let mut path = above;
    let mut at = start;
    loop {
        let Some(token) = tokens.get(at) else { return at };
        if token.text == "{" {
            let end = closed(tokens, at);
            at += 1;
            while at < end - 1 {
                at = use_tree(tokens, at, path.clone(), found).max(at + 1);
                at += usize::from(is(tokens, at, ","));
            }
            return end;
        }
        // `name::{self, …}`
        if token.text != "self" || path.is_empty() {
            path.push(token.text.to_owned());
        }
        at += 1;
        let goes_on = tokens.get(at + 1).is_some_and(|next| {
            next.text == "{" || next.text == "*" || next.text.starts_with(is_word)
        });
        if !is(tokens, at, "::") || !goes_on {
            break;
        }
        at += 1;
    }
    let mut alias = path.last().cloned().unwrap_or_default();
    if let (true, Some(name)) = (is(tokens, at, "as"), tokens.get(at + 1)) {
        alias = name.text.to_owned();
        at += 2;
    }
    found.push((path, alias));
    at
}

/// The path from the root on. That of an import may also begin with a module below `here`.
fn absolute(here: &[String], path: Vec<String>, is_import: bool) -> Option<Vec<String>> {
    let mut module = here.to_vec();
    let mut rest = &path[..];
    match path.first()?.as_str() {
        "crate" => {
            module.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                module.pop();
                rest = &rest[1..];
            }
        }
        _ if !is_import => return None,
        _ => {}
    }
    module.extend(rest.iter().cloned());
    Some(module)
}

/// A function that has a body.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// From `fn` to the brace that closes its body.
    pub lines: usize,
    /// From 0.
    pub line: usize,
}

/// The functions of a text, those within others too.
pub fn functions(tokens: &[Token<'_>]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "fn") {
        let Some(name) = tokens.get(at + 1).filter(|name| name.text.starts_with(is_word)) else {
            continue;
        };
        let mut body = at + 2;
        while body < tokens.len() && !["{", ";"].contains(&tokens[body].text) {
            let opens = ["(", "["].contains(&tokens[body].text);
            body = if opens { closed(tokens, body) } else { body + 1 };
        }
        if is(tokens, body, "{") {
            let end = tokens[closed(tokens, body) - 1].line;
            let (name, line) = (name.text.to_owned(), token.line);
            found.push(Function { name, lines: end + 1 - line, line });
        }
    }
    found
}

#[test]
fn strings_and_comments_hold_no_tokens() {
    let text = r##"
        // crate::a
        /* crate::b /* crate::c */ */
        let x: &'static str = "crate::d \" crate::e";
        let y = r#"crate::f " crate::g"#;
        let z = ['"', '\'', b'"', '\u{1f}']; "##;
    let found: Vec<&str> = tokens(text).iter().map(|token| token.text).collect();
    let expected = "let x : & str = ; let y = ; let z = [ , , , ] ;";
    assert_eq!(found.join(" "), expected);
    assert_eq!(tokens(text).last().unwrap().line, 5);
}

#[test]
fn paths_are_found_in_nested_braces_and_modules() {
    let text = "use crate::{a::{b, c as d}, e::{self, F}};\n\
                pub use child::G;\n\
                mod inner { use super::super::h::*; fn f(it: super::I) {} }\n\
                fn g() -> crate::j::K<crate::l::M> { self::n::<u8>(crate::o!()) }\n";
    let module = ["room".to_owned(), "file".to_owned()];
    let named = paths(&module, &tokens(text));
    let found: Vec<String> = named.iter().map(|named| named.path.join("::")).collect();
    let expected = "a::b a::c e e::F room::file::child::G room::h::* room::file::I j::K l::M \
                    room::file::n o";
    assert_eq!(found.join(" "), expected);
    let aliases: Vec<&str> = named.iter().filter_map(|named| named.alias.as_deref()).collect();
    assert_eq!(aliases, ["b", "d", "e", "F", "G"]);
}

#[test]
fn functions_are_measured_and_items_of_tests_are_not() {
    let text = "impl A {\n  pub fn a(x: [u8; 2]) -> fn(u8) -> u8 {\n    \"}\";\n    '}'\n  }\n}\n\
                trait B { fn b(); }\n#[cfg(test)]\nuse x::{y};\n#[cfg(test)]\nmod tests {\n\
                fn c() {\n}\n}\n#[cfg(any(fuzzing, test))]\nfn d() {}\n";
    let found = functions(&without_tests(&tokens(text)));
    let found: Vec<(&str, usize, usize)> =
        found.iter().map(|it| (&*it.name, it.lines, it.line)).collect();
    assert_eq!(found, [("a", 4, 1), ("d", 1, 15)]);
}
