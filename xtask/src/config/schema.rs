//! What may be typed: `default.toml` is the schema, by example.

use serde_json::Value;

use super::DEFAULT;
use crate::finding::{Finding, Place};
use crate::project::RawConfig;

/// The defaults of a package's table, or of the workspace's.
pub fn defaults(of_package: bool) -> Value {
    let document: toml::Table =
        toml::from_str(DEFAULT).expect("the embedded file is TOML, which a test reads");
    let scope = if of_package { "package" } else { "workspace" };
    let table = &document[scope]["metadata"]["dockless"];
    serde_json::to_value(table).expect("a table of strings, lists and truth values")
}

/// Unknown keys and wrong types, each with its place and the nearest valid key.
pub fn check(typed: &RawConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    compare(typed, "", &defaults(typed.package.is_some()), &typed.value, &mut findings);
    findings
}

/// The table and key as they are written in Cargo.toml. `path` is dotted, from
/// the table `dockless` on.
pub fn item(typed: &RawConfig, path: &str) -> String {
    let scope = if typed.package.is_some() { "package" } else { "workspace" };
    match path.rsplit_once('.') {
        Some((table, key)) => format!("[{scope}.metadata.dockless.{table}] {key}"),
        None => format!("[{scope}.metadata.dockless] {path}"),
    }
}

/// The candidate that a slip of the finger away from `typed`, where there is one.
pub fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate));
    // The limit at which clap, too, thinks a suggestion worth making.
    let close = scored.filter(|(score, _)| *score > 0.7);
    close.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

fn compare(
    typed: &RawConfig,
    path: &str,
    default: &Value,
    value: &Value,
    findings: &mut Vec<Finding>,
) {
    let mut fault = |rule, why: String, fix: String| {
        findings.push(Finding::error(
            rule,
            Place::within(&typed.manifest, item(typed, path)),
            why,
            fix,
        ));
    };
    match (default, value) {
        (Value::Object(keys), Value::Object(_)) if keys.is_empty() => {
            let text = value.as_object().into_iter().flatten().all(|(_, value)| value.is_string());
            if !text {
                fault("config-type", "expected a table of strings".into(), example(path));
            }
        }
        (Value::Object(keys), Value::Object(values)) => {
            for (key, value) in values {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match keys.get(key) {
                    Some(default) => compare(typed, &below, default, value, findings),
                    None => {
                        findings.push(unknown(typed, &below, key, keys.keys().map(String::as_str)))
                    }
                }
            }
        }
        (Value::Array(_), Value::Array(values)) => {
            if !values.iter().all(Value::is_string) {
                fault("config-type", "expected a list of strings".into(), example(path));
            }
        }
        (default, value) if std::mem::discriminant(default) == std::mem::discriminant(value) => {}
        (default, value) => {
            let why = format!("expected {}, found {}", kind(default), kind(value));
            fault("config-type", why, example(path));
        }
    }
}

fn unknown<'a>(
    typed: &RawConfig,
    path: &str,
    key: &str,
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Finding {
    let fix = match nearest(key, keys.clone()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known keys are {}", keys.collect::<Vec<_>>().join(", ")),
    };
    let place = Place::within(&typed.manifest, item(typed, path));
    Finding::error("config-key", place, format!("unknown key `{key}`"), fix)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list of strings",
        Value::Object(_) => "a table",
    }
}

/// The example that `default.toml` gives for a key.
fn example(path: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    let commented = DEFAULT.lines().filter_map(|line| line.strip_prefix("# "));
    let of_key = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "));
    let mut lines = commented.chain(DEFAULT.lines());
    lines
        .find(of_key)
        .map_or_else(|| "see the config page".to_owned(), |line| format!("write it as `{line}`"))
}
