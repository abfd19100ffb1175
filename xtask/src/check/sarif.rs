//! Findings for code scanning: SARIF 2.1.0.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::CheckFinding;
use crate::finding::Severity;

/// One run with all findings; their files are relative to `root`.
pub fn sarif(found: &[&CheckFinding], root: &Path, version: &str) -> Value {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for one in found {
        rules.entry(&one.id).or_insert_with(|| {
            let mut rule = json!({ "id": one.id, "name": one.finding.rule });
            if let Some(url) = &one.url {
                rule["helpUri"] = json!(url);
            }
            rule
        });
    }
    let at: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(at, id)| (*id, at)).collect();
    let results: Vec<Value> = found.iter().map(|one| result(one, at[&*one.id], root)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "dockless",
                    "version": version,
                    "rules": rules.into_values().collect::<Vec<_>>(),
                },
            },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "SRCROOT": {} },
            "results": results,
        }],
    })
}

fn result(one: &CheckFinding, rule: usize, root: &Path) -> Value {
    let finding = &one.finding;
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let text = if finding.fix.is_empty() {
        finding.why.clone()
    } else {
        format!("{}\n{}", finding.why, finding.fix)
    };
    let mut result = json!({
        "ruleId": one.id,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": text },
    });
    if let Some(file) = &finding.place.file {
        let file = file.strip_prefix(root).unwrap_or(file);
        let parts: Vec<String> = file.iter().map(|part| escaped(&part.to_string_lossy())).collect();
        let mut place = json!({
            "artifactLocation": { "uri": parts.join("/"), "uriBaseId": "SRCROOT" },
        });
        if let Some((line, column)) = finding.place.at {
            place["region"] = json!({ "startLine": line, "startColumn": column });
        }
        result["locations"] = json!([{ "physicalLocation": place }]);
    }
    result
}

/// A part of a path, escaped as in RFC 3986.
fn escaped(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape =
        |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    part.bytes().map(escape).collect()
}
