//! The types that readers give to texts without quotes.

use super::read::is_printable;

/// The type that some reader of YAML 1.1 or 1.2 gives to a plain text.
/// <https://yaml.org/type/>, <https://yaml.org/spec/1.2.2/#103-core-schema>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Null,
    Bool,
    Number,
    Time,
    /// `<<` and `=`, which have a meaning as keys.
    SpecialKey,
}

/// The type of a plain text.
pub(super) fn type_of(text: &str) -> Type {
    let lower = text.to_ascii_lowercase();
    match &*lower {
        "" | "~" | "null" => Type::Null,
        "y" | "yes" | "n" | "no" | "true" | "false" | "on" | "off" => Type::Bool,
        "<<" | "=" => Type::SpecialKey,
        lower if is_number(lower) => Type::Number,
        lower if is_time(lower) => Type::Time,
        _ => Type::Text,
    }
}

/// Whether a plain text is a text to every reader.
pub fn is_text(text: &str) -> bool {
    type_of(text) == Type::Text
}

fn is_number(lower: &str) -> bool {
    let digits = lower.strip_prefix(['-', '+']).unwrap_or(lower).replace('_', "");
    let of = |prefix: &str, radix: u32| {
        let rest = digits.strip_prefix(prefix).unwrap_or_default();
        !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix))
    };
    // Sexagesimal, such as 1:30.
    let mut parts = digits.split(':');
    let sixties = digits.contains(':')
        && parts.all(|part| part.starts_with(|c: char| c.is_ascii_digit()) && is_decimal(part));
    [".inf", ".nan"].contains(&&*digits)
        || of("0x", 16)
        || of("0o", 8)
        || of("0b", 2)
        || sixties
        || is_decimal(&digits)
}

fn is_decimal(digits: &str) -> bool {
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok()
}

/// Whether a text begins with a date, which a time of day may follow.
fn is_time(lower: &str) -> bool {
    let mut parts = lower.splitn(3, '-');
    let (year, month, rest) = (parts.next(), parts.next(), parts.next().unwrap_or(""));
    let day = rest.split(['t', ' ', '\t']).next();
    let number = |part: Option<&str>, least: usize, most: usize| {
        part.is_some_and(|part| {
            (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        })
    };
    number(year, 4, 4) && number(month, 1, 2) && number(day, 1, 2)
}

/// Whether a value can replace `old` without quotes, and has the same type to every reader.
pub(super) fn fits(old: &str, value: &str) -> bool {
    let follows = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '.');
    let begins = match value.chars().next() {
        None => false,
        Some('-') => follows(&value[1..]),
        Some(c) => !"?:,[]{}#&*!|>'\"%@`".contains(c),
    };
    // The old value can have brackets and commas only where it is not within brackets.
    let flows = |text: &str| text.contains([',', '[', ']', '{', '}']);
    begins
        && value.trim() == value
        && value.chars().all(|c| c != '\t' && is_printable(c))
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.ends_with(':')
        && !value.starts_with("...")
        && (flows(old) || !flows(value))
        && (type_of(value) == Type::Text || type_of(value) == type_of(old))
}
