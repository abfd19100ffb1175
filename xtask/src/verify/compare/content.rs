//! Two contents of a file: programs by their sections, JSON by its fields, texts by their lines.

use serde_json::Value;

use super::{Found, UNKNOWN, json, program, raw};
use crate::stamp::Format;

/// In bytes: of a document that is parsed, or compared by lines.
const DOCUMENT: usize = 32 << 20;

/// Compares two contents. Those that differ have at least one difference.
pub fn compare(place: &str, published: &[u8], rebuilt: &[u8], found: &mut Found) {
    if published == rebuilt {
        return;
    }
    let before = found.len();
    if Format::of(published).is_some() && Format::of(rebuilt).is_some() {
        program::compare(place, published, rebuilt, found);
    } else if let (Some(ours), Some(theirs)) = (document(published), document(rebuilt)) {
        json::compare(place, "", &ours, &theirs, &|_| false, found);
        if found.len() == before {
            let what = "the same values, but other spaces, another order of keys, or a key twice";
            found.add(place, what, UNKNOWN);
        }
    } else if let (Some(ours), Some(theirs)) = (text(published), text(rebuilt)) {
        json::lines(place, ours, theirs, found);
    }
    if found.len() == before {
        raw::bytes(place, published, rebuilt, found);
    }
}

fn document(bytes: &[u8]) -> Option<Value> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    let is_candidate = matches!(first, b'{' | b'[') && bytes.len() <= DOCUMENT;
    is_candidate.then(|| serde_json::from_slice(bytes).ok()).flatten()
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| bytes.len() <= DOCUMENT)?;
    (!text.contains('\0')).then_some(text)
}
