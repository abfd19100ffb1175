//! SPDX licence expressions, as crates declare them.

use anyhow::{Result, anyhow};
use spdx::{AdditionItem, LicenseReq, ParseMode};

/// An SPDX expression, with the common mistakes corrected.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression(spdx::Expression);

/// One licence of an expression, such as `Apache-2.0 WITH LLVM-exception`.
pub type Requirement = LicenseReq;

impl Expression {
    /// Parses the `license` of a manifest. Old crates write `MIT/Apache-2.0`, or names that are
    /// not in SPDX's list, such as `Apache 2`.
    pub fn parse(text: &str) -> Result<Expression> {
        let corrected = spdx::Expression::canonicalize(text);
        let corrected = corrected.map_err(|error| refused(text, &error))?;
        Expression::as_written(corrected.as_deref().unwrap_or(text))
    }

    /// Parses the same without a correction of names: `GPL-2.0`, which SPDX retired, is not
    /// `GPL-2.0-only`.
    pub fn as_written(text: &str) -> Result<Expression> {
        let parsed = spdx::Expression::parse_mode(text, ParseMode::LAX);
        parsed.map(Expression).map_err(|error| refused(text, &error))
    }

    /// The expression, as SPDX has it where it was corrected.
    pub fn text(&self) -> &str {
        self.0.as_ref()
    }

    /// All licences that it names, in order.
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.0.requirements().map(|it| &it.req)
    }

    /// Whether it holds where only some licences do: one of each `OR`, both of each `AND`.
    pub fn holds(&self, each: impl FnMut(&Requirement) -> bool) -> bool {
        self.0.evaluate(each)
    }
}

fn refused(text: &str, error: &spdx::ParseError) -> anyhow::Error {
    let part = error.original.get(error.span.clone()).unwrap_or_default();
    anyhow!("{text:?} is not an SPDX expression: {} at {part:?}", error.reason)
}

/// A licence that somebody accepts, with its exception.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed(spdx::Licensee);

impl Allowed {
    /// Parses an entry of cargo-deny's `allow`, by its rules.
    pub fn parse(text: &str) -> Result<Allowed> {
        let mode = ParseMode { allow_deprecated: true, ..ParseMode::STRICT };
        let refused = |error: spdx::ParseError| anyhow!("{text:?}: {}", error.reason);
        spdx::Licensee::parse_mode(text, mode).map(Allowed).map_err(refused)
    }

    /// Whether it is the licence that is required, or a later version where those count.
    pub fn satisfies(&self, requirement: &Requirement) -> bool {
        self.0.satisfies(requirement)
    }
}

/// The names of the texts that a licence consists of: its own, and that of its exception. Those
/// of `LicenseRef-…` are in no list.
pub fn texts_of(requirement: &Requirement) -> Vec<String> {
    let license = match requirement.license.id() {
        Some(id) => id.name.to_owned(),
        None => requirement.license.to_string(),
    };
    let exception = requirement.addition.as_ref().map(|addition| match addition {
        AdditionItem::Spdx(id) => id.name.to_owned(),
        AdditionItem::Other(_) => addition.to_string(),
    });
    std::iter::once(license).chain(exception).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_old_crates_are_corrected() {
        for (text, expected) in [
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("Apache-2.0 / MIT", "Apache-2.0 OR MIT"),
            ("Unlicense/MIT", "Unlicense OR MIT"),
            ("MIT or Apache-2.0", "MIT OR Apache-2.0"),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"),
            ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
            ("GPL-3.0+", "GPL-3.0-or-later"),
            ("GPL-2.0", "GPL-2.0-only"),
            ("LicenseRef-Own", "LicenseRef-Own"),
        ] {
            assert_eq!(Expression::parse(text).unwrap().text(), expected, "{text}");
        }
        for text in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "Nobody-Knows", "MIT AND / ISC", "é"]
        {
            let error = Expression::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not an SPDX expression: "), "{error}");
        }
    }

    #[test]
    fn what_is_allowed_is_one_licence() {
        let requirement =
            |text: &str| Expression::parse(text).unwrap().requirements().next().unwrap().clone();
        for (allowed, license, satisfies) in [
            ("MIT", "MIT", true),
            ("MIT", "ISC", false),
            ("Apache-2.0", "Apache-2.0 WITH LLVM-exception", false),
            ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception", true),
            ("GPL-3.0-only", "GPL-3.0", true),
            ("GPL-3.0", "GPL-3.0", false),
            ("MPL-2.0", "MPL-1.1+", true),
            ("LicenseRef-Own", "LicenseRef-Own", true),
        ] {
            let allowed = Allowed::parse(allowed).unwrap();
            assert_eq!(allowed.satisfies(&requirement(license)), satisfies, "{license}");
        }
        let retired = Expression::as_written("GPL-3.0").unwrap();
        assert!(retired.holds(|it| Allowed::parse("GPL-3.0").unwrap().satisfies(it)));
        for text in ["MIT OR ISC", "Nobody-Knows", ""] {
            assert!(Allowed::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_expression_holds_by_one_of_or_and_both_of_and() {
        for (text, at_hand, holds) in [
            ("MIT OR Apache-2.0", &["MIT"][..], true),
            ("MIT AND Apache-2.0", &["MIT"], false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Unicode-3.0"], true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Apache-2.0"], false),
            ("Apache-2.0 WITH LLVM-exception", &["Apache-2.0"], false),
            ("Apache-2.0 WITH LLVM-exception", &["Apache-2.0", "LLVM-exception"], true),
            ("DocumentRef-a:LicenseRef-b", &["DocumentRef-a:LicenseRef-b"], true),
        ] {
            let expression = Expression::parse(text).unwrap();
            let covered =
                |it: &Requirement| texts_of(it).iter().all(|text| at_hand.contains(&text.as_str()));
            assert_eq!(expression.holds(covered), holds, "{text} by {at_hand:?}");
        }
    }
}
