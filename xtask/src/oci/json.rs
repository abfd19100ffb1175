//! JSON whose bytes depend on its content alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// A value whose objects are sorted by key, whatever order they were built in:
/// oci-spec keeps labels and annotations in hash maps, and serde_json keeps a
/// map's order where another crate of the build turns that on.
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
