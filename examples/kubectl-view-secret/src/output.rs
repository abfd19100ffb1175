//! What is written to stdout: text, JSON or YAML.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::args::Format;
use crate::kubectl::Secret;
use crate::yaml;

/// One key and its decoded value.
pub struct Entry<'a> {
    pub key: &'a str,
    pub value: Vec<u8>,
}

/// The fields of JSON and YAML, in their order.
#[derive(Serialize)]
pub struct Document<'a> {
    pub data: Vec<Field<'a>>,
    pub name: &'a str,
    pub namespace: &'a str,
    #[serde(rename = "type")]
    pub kind: &'a str,
}

/// A value that is not UTF-8 has no place in JSON or YAML: it stays base64 and
/// `encoding` says so. Text has no such field.
#[derive(Serialize)]
pub struct Field<'a> {
    pub key: &'a str,
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

/// The bytes to write for `entries` of `secret`, the last line's end included.
pub fn render(secret: &Secret, entries: &[Entry], format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Text => Ok(text(entries)),
        Format::Json => {
            let mut json = serde_json::to_vec_pretty(&document(secret, entries))
                .context("cannot write JSON")?;
            json.push(b'\n');
            Ok(json)
        }
        Format::Yaml => Ok(yaml::render(&document(secret, entries)).into_bytes()),
    }
}

/// The bare value of a single entry, `K='V'` for several. A value that is text
/// ends with its line; one that is not stays as it is, to the last byte.
fn text(entries: &[Entry]) -> Vec<u8> {
    if let [only] = entries {
        let end: &[u8] = if std::str::from_utf8(&only.value).is_ok() { b"\n" } else { b"" };
        return [&only.value[..], end].concat();
    }
    entries
        .iter()
        .flat_map(|entry| [entry.key.as_bytes(), b"='", &entry.value, b"'\n"].concat())
        .collect()
}

fn document<'a>(secret: &'a Secret, entries: &[Entry<'a>]) -> Document<'a> {
    let data = entries.iter().map(|entry| match std::str::from_utf8(&entry.value) {
        Ok(text) => Field { key: entry.key, value: text.to_owned(), encoding: None },
        Err(_) => {
            Field { key: entry.key, value: STANDARD.encode(&entry.value), encoding: Some("base64") }
        }
    });
    Document {
        data: data.collect(),
        name: &secret.metadata.name,
        namespace: &secret.metadata.namespace,
        kind: &secret.kind,
    }
}
