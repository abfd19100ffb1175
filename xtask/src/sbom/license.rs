//! Licences as SPDX writes them.

use std::collections::BTreeMap;

use spdx::ParseMode;
use spdx::lexer::{Lexer, Token};

use crate::digest::Digest;

/// An expression that is valid in an SPDX document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub text: String,
    /// The licences that SPDX does not list: `LicenseRef-…`, and the name that stands for it.
    pub unlisted: BTreeMap<String, String>,
}

/// The expression that the text of a manifest means. Older forms are mended: `MIT/Apache-2.0` is a
/// choice, `GPL-3.0+` is `GPL-3.0-or-later`. What SPDX does not know gets a name of this document's
/// own; where the whole cannot be read, it gets one.
pub fn expression(declared: &str) -> Expression {
    mended(declared).unwrap_or_else(|| {
        let name = reference(declared);
        let unlisted = BTreeMap::from([(name.clone(), declared.to_owned())]);
        Expression { text: name, unlisted }
    })
}

fn mended(declared: &str) -> Option<Expression> {
    let mode = ParseMode { allow_unknown: true, ..ParseMode::LAX };
    let mut text = String::new();
    let mut unlisted = BTreeMap::new();
    let mut at = 0;
    for token in Lexer::new_mode(declared, mode) {
        let token = token.ok()?;
        match token.token {
            Token::Unknown(name) => {
                text.push_str(&declared[at..token.span.start]);
                let reference = reference(name);
                text.push_str(&reference);
                unlisted.insert(reference, name.to_owned());
                at = token.span.end;
            }
            Token::LicenseRef { doc_ref: None, lic_ref } => {
                let name = format!("LicenseRef-{lic_ref}");
                unlisted.insert(name.clone(), name);
            }
            // These name another document, or what SPDX 2.3 does not have.
            Token::LicenseRef { doc_ref: Some(_), .. } | Token::AdditionRef { .. } => return None,
            _ => {}
        }
    }
    text.push_str(&declared[at..]);
    // What is no expression must not become one by what is mended in it.
    spdx::Expression::parse_mode(&text, ParseMode::LAX).ok()?;
    let text = spdx::Expression::canonicalize(&text).ok()?.unwrap_or(text);
    let mode = ParseMode { allow_deprecated: true, ..ParseMode::STRICT };
    spdx::Expression::parse_mode(&text, mode).ok()?;
    Some(Expression { text, unlisted })
}

/// A name for a licence that SPDX does not list.
fn reference(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if name.len() <= 60 && name.chars().all(plain) {
        return format!("LicenseRef-{name}");
    }
    // Two texts must not become one name.
    let digest = &Digest::of(name.as_bytes()).hex()[..12];
    let start: String = name.chars().take(40).map(|c| if plain(c) { c } else { '-' }).collect();
    format!("LicenseRef-{start}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a manifest says -> the expression.
    #[test]
    fn older_and_unknown_forms_become_valid() {
        for (declared, text) in [
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT / Apache-2.0", "MIT OR Apache-2.0"),
            ("Apache-2.0/ISC/MIT", "Apache-2.0 OR ISC OR MIT"),
            ("MIT or Apache-2.0", "MIT OR Apache-2.0"),
            ("GPL-3.0+", "GPL-3.0-or-later"),
            ("GPL-2.0", "GPL-2.0-only"),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"),
            ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
            ("LicenseRef-acme", "LicenseRef-acme"),
            ("Acme-1.0", "LicenseRef-Acme-1.0"),
            ("MIT OR Acme-1.0", "MIT OR LicenseRef-Acme-1.0"),
        ] {
            assert_eq!(expression(declared).text, text, "{declared}");
        }
        let found = expression("MIT OR Acme-1.0").unlisted;
        assert_eq!(found["LicenseRef-Acme-1.0"], "Acme-1.0");
        assert!(expression("MIT/Apache-2.0").unlisted.is_empty());
    }

    /// Texts that are no expression keep their words, under a name that only they have.
    #[test]
    fn what_is_no_expression_is_kept_as_it_is() {
        let mut names = Vec::new();
        for declared in [
            "",
            "see LICENSE",
            "see/LICENSE!",
            "see LICENSE!",
            "MIT OR",
            "(MIT",
            "MIT AND OR ISC",
            "GPL-2.0 WITH Acme-exception",
            "DocumentRef-a:LicenseRef-b",
            "MIT WITH AdditionRef-x",
            "©",
            &"a ".repeat(500),
        ] {
            let Expression { text, unlisted } = expression(declared);
            let id = text.strip_prefix("LicenseRef-").unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            assert!(id.len() < 80 && id.chars().all(plain), "{declared}: {text}");
            assert_eq!(unlisted, BTreeMap::from([(text.clone(), declared.to_owned())]));
            assert!(!names.contains(&text), "{declared}: {text}");
            names.push(text);
        }
    }
}
