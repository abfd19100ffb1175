//! The type that krew gives to a plain scalar: that of YAML 1.1, as go.yaml.in/yaml v2 reads
//! it; and the text that sigs.k8s.io/yaml makes of it where a field is a text.
//! <https://github.com/yaml/go-yaml/blob/v2.4.2/resolve.go>

use crate::yaml::{Scalar, Style};

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Bool(bool),
    Integer(i64),
    /// Only numbers that are too large for [`Value::Integer`].
    Unsigned(u64),
    Float(f64),
}

const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 11] =
    ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NULL: [&str; 5] = ["", "~", "null", "Null", "NULL"];
const NAN: [&str; 3] = [".nan", ".NaN", ".NAN"];
const INFINITE: [&str; 9] =
    [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"];

/// The value of a scalar. A quoted text or a block is always a text.
pub fn resolve(scalar: &Scalar) -> Value {
    let text = &*scalar.text;
    if scalar.style != Style::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        _ if NULL.contains(&text) => Value::Null,
        _ if TRUE.contains(&text) => Value::Bool(true),
        _ if FALSE.contains(&text) => Value::Bool(false),
        _ if NAN.contains(&text) => Value::Float(f64::NAN),
        _ if INFINITE.contains(&text) && text.starts_with('-') => Value::Float(f64::NEG_INFINITY),
        _ if INFINITE.contains(&text) => Value::Float(f64::INFINITY),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

/// The number that a plain text is; `None` where it is a text, as dates are. Underscores are
/// removed from numbers that begin with a digit or a sign.
fn number(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b'.' => parse_float(&joined(text)?).map(Value::Float),
        b'0'..=b'9' | b'+' | b'-' if !is_date(text) => {
            let plain = text.replace('_', "");
            let (negative, digits) = match plain.as_bytes().first() {
                Some(b'-') => (true, &plain[1..]),
                Some(b'+') => (false, &plain[1..]),
                _ => (false, &*plain),
            };
            let signed = plain.starts_with(['-', '+']);
            let (digits, radix) = radix(digits);
            let whole = digits
                .bytes()
                .all(|byte| char::from(byte).is_digit(radix))
                .then(|| u64::from_str_radix(digits, radix).ok())
                .flatten();
            let integer = whole.and_then(|whole| {
                let whole = i128::from(whole);
                i64::try_from(if negative { -whole } else { whole }).ok()
            });
            match (integer, whole) {
                (Some(integer), _) => Some(Value::Integer(integer)),
                // Go reads an unsigned number without a sign only.
                (None, Some(whole)) if !signed => Some(Value::Unsigned(whole)),
                _ => is_float(&plain).then(|| parse_float(&plain)).flatten().map(Value::Float),
            }
        }
        _ => None,
    }
}

/// A text without its underscores; `None` where one is not between two digits, as Go's
/// `strconv.ParseFloat` requires.
fn joined(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| is_digit(at.wrapping_sub(1)) && is_digit(at + 1);
    let all = text.match_indices('_').all(|(at, _)| between(at));
    all.then(|| text.replace('_', ""))
}

/// The digits and their radix, as Go's `strconv.ParseInt` reads them with base 0.
fn radix(digits: &str) -> (&str, u32) {
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    match lower.as_deref() {
        Some("0x") => (&digits[2..], 16),
        Some("0b") => (&digits[2..], 2),
        Some("0o") => (&digits[2..], 8),
        Some(two) if two.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    }
}

/// Whether a text begins with four digits and a dash, as a date does.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let year = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // No number goes on like this. If it is not a date, it is still a text.
    year == 4 && bytes.get(4) == Some(&b'-')
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|text| text.strip_prefix(['-', '+']).unwrap_or(text));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|text| !text.is_empty() && digits(text))
}

/// A decimal number; `None` where it is none, or too large for 64 bits: an error in Go.
fn parse_float(text: &str) -> Option<f64> {
    let plain = is_float(text) && text.contains(|c: char| c.is_ascii_digit());
    plain.then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())
}

impl Value {
    /// The value of a field that is a text; `None` for null.
    /// <https://github.com/kubernetes-sigs/yaml/blob/v1.6.0/yaml.go>
    pub fn into_text(self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Text(text) => Some(text),
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Unsigned(number) => Some(number.to_string()),
            Value::Float(number) => Some(format_float(number)),
        }
    }

    /// The type's name in messages.
    pub fn noun(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Text(_) => "a text",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) => "a number",
        }
    }
}

/// Go's `strconv.FormatFloat(number, 'g', -1, 32)`: the shortest text with the same value in
/// 32 bits, with an exponent below -4 and from 6 on. The last digit may differ from Go's where
/// a number is exactly between two texts.
/// <https://pkg.go.dev/strconv#FormatFloat>
fn format_float(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Go rounds to 32 bits here too")]
    let number = number as f32;
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What sigs.k8s.io/yaml v1.6.0 reads into a field of text.
    #[test]
    fn plain_scalars_are_what_krew_reads() {
        for (written, read) in [
            ("foo", Some("foo")),
            ("", None),
            ("~", None),
            ("Null", None),
            ("nULL", Some("nULL")),
            ("y", Some("true")),
            ("On", Some("true")),
            ("oN", Some("oN")),
            ("NO", Some("false")),
            ("386", Some("386")),
            ("0386", Some("386")),
            ("017", Some("15")),
            ("0o17", Some("15")),
            ("0x1F", Some("31")),
            ("-0b11", Some("-3")),
            ("+1", Some("1")),
            ("1_000", Some("1000")),
            ("_1", Some("_1")),
            ("1.0", Some("1")),
            ("1.20", Some("1.2")),
            ("1.2.3", Some("1.2.3")),
            (".5", Some("0.5")),
            (".5_5", Some("0.55")),
            (".5_", Some(".5_")),
            ("1e3", Some("1000")),
            ("1e6", Some("1e+06")),
            ("123456", Some("123456")),
            ("1234567.5", Some("1.2345675e+06")),
            ("0.00001", Some("1e-05")),
            ("1e999", Some("1e999")),
            ("1e99", Some("+Inf")),
            ("-.inf", Some("-Inf")),
            (".NaN", Some("NaN")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", Some("1.8446744e+19")),
            ("-9223372036854775809", Some("-9.223372e+18")),
            ("2024-01-02", Some("2024-01-02")),
            ("12:30", Some("12:30")),
            ("0x", Some("0x")),
            ("<<", Some("<<")),
        ] {
            let plain = Scalar { text: written.to_owned(), style: Style::Plain };
            assert_eq!(resolve(&plain).into_text().as_deref(), read, "{written:?}");
            let quoted = Scalar { style: Style::Double, ..plain };
            assert_eq!(resolve(&quoted), Value::Text(written.to_owned()));
        }
    }
}
