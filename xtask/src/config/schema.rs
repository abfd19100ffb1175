//! The schema of the settings, which is `default.toml`.

use serde_json::Value;

use super::DEFAULT;
use crate::finding::{Finding, Place, suggest};
use crate::project::RawConfig;

/// The defaults of a package's table, or of the workspace's.
pub fn defaults(of_package: bool) -> Value {
    let document: toml::Table =
        toml::from_str(DEFAULT).expect("the embedded file is TOML, which a test reads");
    let scope = if of_package { "package" } else { "workspace" };
    let table = &document[scope]["metadata"]["dockless"];
    serde_json::to_value(table).expect("a table of strings, lists and truth values")
}

/// The defaults, overridden by what was typed. Unknown keys and wrong types become findings and
/// keep the default, so that one run finds all faults.
pub fn merge(typed: Option<&RawConfig>, of_package: bool, findings: &mut Vec<Finding>) -> Value {
    let mut merged = defaults(of_package);
    if let Some(typed) = typed {
        lay_over(typed, "", &mut merged, &typed.value, findings);
    }
    merged
}

/// Whether the key was typed. `path` is dotted and starts below the table `dockless`.
pub fn is_typed(typed: &RawConfig, path: &str) -> bool {
    let mut value = Some(&typed.value);
    path.split('.').for_each(|key| value = value.and_then(|value| value.get(key)));
    value.is_some()
}

/// The table and key as written in Cargo.toml. `path` is dotted and starts below the table
/// `dockless`.
pub fn item(typed: &RawConfig, path: &str) -> String {
    let scope = if typed.package.is_some() { "package" } else { "workspace" };
    match table_and_key(path) {
        (Some(table), key) => format!("[{scope}.metadata.dockless.{table}] {key}"),
        (None, path) => format!("[{scope}.metadata.dockless] {path}").trim_end().to_owned(),
    }
}

/// The place of a setting; nowhere, where nothing is typed.
pub fn place(typed: Option<&RawConfig>, path: &str) -> Place {
    typed.map(|raw| Place::within(&raw.manifest, item(raw, path))).unwrap_or_default()
}

/// What is wrong with a setting, and an example of a right one.
pub fn fault(rule: &'static str, typed: Option<&RawConfig>, path: &str, why: String) -> Finding {
    Finding::error(rule, place(typed, path), why, example(path))
}

/// The same for a value that is none of those there are: the fix names the nearest one.
pub fn no_such<'a>(
    rule: &'static str,
    typed: Option<&RawConfig>,
    path: &str,
    (value, why): (&str, String),
    known: impl Iterator<Item = &'a str>,
) -> Finding {
    let known: Vec<&str> = known.collect();
    let all = format!("name one of {}", known.join(", "));
    Finding::error(rule, place(typed, path), why, suggest(value, known.into_iter(), &all))
}

/// Splits a path after its table. `a.b[0].c` is in the table `a`, with the key `b[0].c`.
fn table_and_key(path: &str) -> (Option<&str>, &str) {
    let list = path.find('[').unwrap_or(path.len());
    match path[..list].rfind('.') {
        Some(dot) => (Some(&path[..dot]), &path[dot + 1..]),
        None => (None, path),
    }
}

/// Overrides a default by a typed value. `path` is dotted and starts below the table
/// `dockless`.
fn lay_over(
    typed: &RawConfig,
    path: &str,
    default: &mut Value,
    value: &Value,
    findings: &mut Vec<Finding>,
) {
    let wrong = match (&mut *default, value) {
        // A table without keys in the defaults takes any keys.
        (Value::Object(keys), Value::Object(values)) if keys.is_empty() => {
            (!values.values().all(Value::is_string))
                .then(|| "expected a table of strings".to_owned())
        }
        (Value::Object(keys), Value::Object(values)) => {
            for (key, value) in values {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match keys.get_mut(key) {
                    Some(default) => lay_over(typed, &below, default, value, findings),
                    None => {
                        let known = keys.keys().map(String::as_str);
                        findings.push(unknown(typed, &below, key, known));
                    }
                }
            }
            return;
        }
        (Value::Array(_), Value::Array(values)) => match entry_keys(path) {
            Some(keys) if values.iter().all(Value::is_object) => {
                let before = findings.len();
                for (at, value) in values.iter().enumerate() {
                    let mut entry = Value::Object(keys.clone());
                    lay_over(typed, &format!("{path}[{at}]"), &mut entry, value, findings);
                }
                if findings.len() > before {
                    return;
                }
                None
            }
            Some(_) => Some("expected a list of tables".to_owned()),
            None => (!values.iter().all(Value::is_string))
                .then(|| "expected a list of strings".to_owned()),
        },
        (default, value) => (std::mem::discriminant(default) != std::mem::discriminant(value))
            .then(|| {
                let expected = match entry_keys(path) {
                    Some(_) => "a list of tables",
                    None => kind(default),
                };
                format!("expected {expected}, found {}", kind(value))
            }),
    };
    match wrong {
        None => *default = value.clone(),
        Some(why) => {
            let fix = match default {
                Value::Object(keys) if !keys.is_empty() => table_example(typed, path, keys),
                _ => example(path),
            };
            findings.push(Finding::error("config-type", place(Some(typed), path), why, fix));
        }
    }
}

fn unknown<'a>(
    typed: &RawConfig,
    path: &str,
    key: &str,
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Finding {
    let all = format!("known keys are {}", keys.clone().collect::<Vec<_>>().join(", "));
    let fix = suggest(key, keys, &all);
    Finding::error("config-key", place(Some(typed), path), format!("unknown key `{key}`"), fix)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(values) if values.iter().any(Value::is_object) => "a list of tables",
        Value::Array(_) => "a list of strings",
        Value::Object(_) => "a table",
    }
}

/// The keys of the tables in a list, with values of their types, from the list's example. `None`
/// for a list of something else, and for any list inside such a table.
fn entry_keys(path: &str) -> Option<serde_json::Map<String, Value>> {
    let line = example_line(path).filter(|_| !path.contains('['))?;
    let (_, value) = toml::from_str::<toml::Table>(line).ok()?.into_iter().next()?;
    let tables = serde_json::to_value(value).ok()?;
    let tables: Option<Vec<_>> = tables.as_array()?.iter().map(Value::as_object).collect();
    let keys = tables?.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    let keys: serde_json::Map<String, Value> = keys.collect();
    (!keys.is_empty()).then_some(keys)
}

/// A fix that shows how a key is written.
pub fn example(path: &str) -> String {
    let write = |line: &str| format!("write it as `{line}`");
    example_line(path).map_or_else(|| "docs/config.md describes it".to_owned(), write)
}

/// A fix that shows how a table is written.
fn table_example(typed: &RawConfig, path: &str, keys: &serde_json::Map<String, Value>) -> String {
    let scope = if typed.package.is_some() { "package" } else { "workspace" };
    let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
    let table = format!("{scope}.metadata.dockless.{path}");
    let (table, keys) = (table.trim_end_matches('.'), keys.join(", "));
    format!("write its keys below `[{table}]`: {keys}; docs/config.md describes them")
}

/// The example for a key in `default.toml`, else its default. Several tables may have a key of
/// this name.
fn example_line(path: &str) -> Option<&'static str> {
    let (table, key) = table_and_key(path);
    let key = key.split('[').next().unwrap_or(key);
    let end = table.map_or_else(|| ".dockless]".to_owned(), |table| format!(".dockless.{table}]"));
    let mut within = false;
    let lines = DEFAULT.lines().filter(|line| {
        if line.starts_with('[') {
            within = line.ends_with(&end);
        }
        within
    });
    let lines: Vec<&str> = lines.collect();
    let commented = lines.iter().filter_map(|line| line.strip_prefix("# "));
    let of_key = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "));
    commented.chain(lines.iter().copied()).find(of_key)
}
