//! The schemas of docs/schemas, and the part of JSON Schema that they use.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The commands that print JSON of this tool's own. Those of `image` and `krew` have two words.
pub const COMMANDS: [&str; 27] = [
    "archive",
    "audit",
    "build",
    "check",
    "ci",
    "dockerfile",
    "doctor",
    "explain",
    "image",
    "image-copy",
    "image-inspect",
    "image-validate",
    "init",
    "keygen",
    "krew-bump",
    "krew-manifest",
    "krew-pr",
    "krew-validate",
    "release",
    "release-dry-run",
    "release-prepare",
    "release-split",
    "resolve",
    "setup",
    "sign",
    "test",
    "verify",
];

/// The folder of the schemas.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas")
}

/// The name of the schema of what a command prints with `--json`, if it is this tool's own.
pub fn of(command: &Command) -> Option<String> {
    if Path::new(command.get_program()).file_name()? != "cargo-dockless" {
        return None;
    }
    let args: Vec<&str> = command.get_args().filter_map(|arg| arg.to_str()).collect();
    let own = args.iter().take_while(|arg| **arg != "--");
    let named = |name: &str| COMMANDS.contains(&name);
    let words: Vec<&str> = own.clone().copied().collect();
    let mut pairs = words.windows(2).map(|pair| format!("{}-{}", pair[0], pair[1]));
    let two = pairs.find(|name| named(name));
    let name = two.or_else(|| words.iter().find(|it| named(it)).map(|it| (*it).to_owned()))?;
    let has = |flag: &str| words.contains(&flag);
    Some(match &*name {
        "release" if has("--prepare") => "release-prepare".to_owned(),
        // What would be made is a plan.
        "release" | "image" if has("--dry-run") => "release-dry-run".to_owned(),
        "release" if has("--split") => "release-split".to_owned(),
        _ => name,
    })
}

/// Requires that the value is what the schema of this name says.
#[track_caller]
pub fn check(name: &str, value: &Value) {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: each output has a schema", path.display()));
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut wrong = faults(&schema, value);
    unexplained(value, &mut wrong);
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

/// Adds the rules of findings that `explain` does not know.
fn unexplained(value: &Value, wrong: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let rule = fields.get("rule").filter(|_| fields.contains_key("severity"));
            if let Some(rule) = rule.and_then(Value::as_str) {
                let page = include_str!("../../../src/explain/rules.md");
                if !page.lines().any(|line| line.strip_prefix("### ") == Some(rule)) {
                    wrong.push(format!("the rule {rule} has no text in src/explain/rules.md"));
                }
            }
            fields.values().for_each(|value| unexplained(value, wrong));
        }
        Value::Array(items) => items.iter().for_each(|value| unexplained(value, wrong)),
        _ => {}
    }
}

/// What is wrong with a value, each with its place.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    look(schema, schema, value, "", &mut wrong);
    wrong
}

/// What says nothing about a value.
const NOTES: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

fn look(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            wrong.push(format!("{at} is not in the schema"));
        }
        return;
    };
    for (rule, says) in rules.iter().filter(|(rule, _)| !NOTES.contains(&&***rule)) {
        match &**rule {
            "$ref" => {
                let name = says.as_str().and_then(|it| it.strip_prefix('#')).unwrap();
                look(root, root.pointer(name).unwrap(), value, at, wrong);
            }
            "type" => {
                let one = std::slice::from_ref(says);
                let types = says.as_array().map_or(one, |all| all);
                if !types
                    .iter()
                    .any(|it| it == kind(value) || (it == "number" && kind(value) == "integer"))
                {
                    wrong.push(format!("{at} is {value}, not of the type {says}"));
                }
            }
            "const" if says != value => wrong.push(format!("{at} is {value}, not {says}")),
            "enum" if !says.as_array().unwrap().contains(value) => {
                wrong.push(format!("{at} is {value}, none of {says}"));
            }
            "const" | "enum" => {}
            "required" => {
                let lacks = |key: &&Value| value.get(key.as_str().unwrap()).is_none();
                let missing = says.as_array().unwrap().iter().filter(lacks);
                wrong.extend(missing.map(|key| format!("{at} has no {key}")));
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = says.get(key) {
                        look(root, schema, value, &format!("{at}/{key}"), wrong);
                    }
                }
            }
            "additionalProperties" => {
                let known =
                    |key: &str| rules.get("properties").is_some_and(|it| it.get(key).is_some());
                for (key, value) in value.as_object().into_iter().flatten() {
                    if !known(key) {
                        look(root, says, value, &format!("{at}/{key}"), wrong);
                    }
                }
            }
            "items" => {
                for (number, value) in value.as_array().into_iter().flatten().enumerate() {
                    look(root, says, value, &format!("{at}/{number}"), wrong);
                }
            }
            "anyOf" => {
                let fits = |schema: &Value| {
                    let mut wrong = Vec::new();
                    look(root, schema, value, at, &mut wrong);
                    wrong.is_empty()
                };
                if !says.as_array().unwrap().iter().any(fits) {
                    wrong.push(format!("{at} is {value}, which fits none of its forms"));
                }
            }
            other => panic!("the schema says {other:?}, which nothing here knows"),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
