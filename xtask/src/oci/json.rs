//! JSON: how that of others is read, and how ours is written, whose bytes depend on its
//! content alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::term::tame;

/// A value whose objects are sorted by key. oci-spec has hash maps, and serde_json keeps the
/// order of insertion where another crate of the build enables that.
#[derive(Serialize)]
#[serde(untagged)]
enum Sorted {
    Map(BTreeMap<String, Sorted>),
    List(Vec<Sorted>),
    Leaf(Value),
}

impl Sorted {
    fn of(value: Value) -> Sorted {
        match value {
            Value::Object(map) => {
                Sorted::Map(map.into_iter().map(|(key, value)| (key, Sorted::of(value))).collect())
            }
            Value::Array(values) => Sorted::List(values.into_iter().map(Sorted::of).collect()),
            leaf => Sorted::Leaf(leaf),
        }
    }
}

/// Parses JSON of others. `what` names it in errors.
pub fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8], what: &str) -> Result<T> {
    let parsed = serde_json::from_slice(bytes);
    parsed.map_err(|error| anyhow!(tame(&error.to_string())).context(format!("parse {what}")))
}

/// One line without spaces, keys sorted.
pub fn bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    let value = serde_json::to_value(value).context("write JSON")?;
    serde_json::to_vec(&Sorted::of(value)).context("write JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn keys_are_sorted_however_they_were_kept() {
        let labels: HashMap<String, u32> =
            (0..40).map(|at| (format!("label-{at:02}"), at)).collect();
        let expected: Vec<String> = (0..40).map(|at| format!("\"label-{at:02}\":{at}")).collect();
        let text = String::from_utf8(bytes(&labels).unwrap()).unwrap();
        assert_eq!(text, format!("{{{}}}", expected.join(",")));
        assert_eq!(bytes(&vec![Some("a\n"), None]).unwrap(), br#"["a\n",null]"#);
    }
}
