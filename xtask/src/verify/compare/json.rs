//! Where two documents differ: the JSON pointer, or the line.

use serde_json::Value;

use super::{Found, UNKNOWN, cut, reason};

/// Compares two values that are at a JSON pointer. `follows` says of a pointer whether what is
/// there only follows from what is compared elsewhere.
pub fn compare(
    place: &str,
    pointer: &str,
    published: &Value,
    rebuilt: &Value,
    follows: &dyn Fn(&str) -> bool,
    found: &mut Found,
) {
    if published == rebuilt || follows(pointer) {
        return;
    }
    match (published, rebuilt) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let at = below(pointer, key);
                match (ours.get(key), theirs.get(key)) {
                    (Some(a), Some(b)) => compare(place, &at, a, b, follows, found),
                    (a, b) if !follows(&at) => one_sided(place, &at, a, b, found),
                    _ => {}
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            let same = |(a, b): &(&Value, &Value)| a == b;
            let start = ours.iter().zip(theirs).take_while(same).count();
            let rest = (&ours[start..], &theirs[start..]);
            let end = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(same).count();
            let (ours, theirs) = (&rest.0[..rest.0.len() - end], &rest.1[..rest.1.len() - end]);
            for at in 0..ours.len().max(theirs.len()) {
                let pointer = below(pointer, &(start + at).to_string());
                match (ours.get(at), theirs.get(at)) {
                    (Some(a), Some(b)) => compare(place, &pointer, a, b, follows, found),
                    (a, b) if !follows(&pointer) => one_sided(place, &pointer, a, b, found),
                    _ => {}
                }
            }
        }
        (ours, theirs) => {
            let what =
                format!("{} in the published one, {} in the rebuilt", text(ours), text(theirs));
            found.add(&at(place, pointer), what, why(ours, theirs));
        }
    }
}

fn one_sided(
    place: &str,
    pointer: &str,
    published: Option<&Value>,
    rebuilt: Option<&Value>,
    found: &mut Found,
) {
    let (value, whose) = match (published, rebuilt) {
        (Some(value), _) => (value, "published"),
        (None, Some(value)) => (value, "rebuilt"),
        (None, None) => return,
    };
    let what = format!("only in the {whose} one: {}", text(value));
    found.add(&at(place, pointer), what, UNKNOWN);
}

/// The place with the field.
fn at(place: &str, pointer: &str) -> String {
    format!("{place}: field {}", if pointer.is_empty() { "/" } else { pointer })
}

fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", cut(&key.replace('~', "~0").replace('/', "~1")))
}

fn text(value: &Value) -> String {
    cut(&value.to_string())
}

/// The likely reason for two leaves that differ.
fn why(published: &Value, rebuilt: &Value) -> String {
    let (Some(ours), Some(theirs)) = (published.as_str(), rebuilt.as_str()) else {
        return UNKNOWN.to_owned();
    };
    if without_digests(ours) == without_digests(theirs) {
        return "it follows: it has the digest of something that differs".to_owned();
    }
    reason::of_texts(ours, theirs).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The text without its digests, and without UUIDs, which are made of digests here.
fn without_digests(text: &str) -> String {
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = text.split([':', '/', '@', '?', '#']).map(|part| {
        let groups: Vec<usize> = part.split('-').map(str::len).collect();
        let is_digest = part.len() == 64 && is_hex(part);
        let is_uuid = groups == [8, 4, 4, 4, 12] && part.split('-').all(is_hex);
        if is_digest || is_uuid { "" } else { part }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Compares two texts by lines. Names the first that differs, and how many do.
pub fn lines(place: &str, published: &str, rebuilt: &str, found: &mut Found) {
    if published == rebuilt {
        return;
    }
    let (mut ours, mut theirs) = (published.lines(), rebuilt.lines());
    let mut first = None;
    let mut count = 0_usize;
    for number in 1.. {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (a, b) if a != b => {
                count += 1;
                first = first.or(Some((number, a, b)));
            }
            _ => {}
        }
    }
    let Some((number, a, b)) = first else {
        let what = "the ends of its lines differ, or its last line has an end in one of them only";
        found.add(place, what, UNKNOWN);
        return;
    };
    let quoted = |line: Option<&str>| {
        line.map_or_else(|| "no such line".to_owned(), |line| format!("{:?}", cut(line)))
    };
    let what = format!(
        "{} in the published one, {} in the rebuilt; {count} lines differ",
        quoted(a),
        quoted(b)
    );
    let why = reason::of_texts(a.unwrap_or_default(), b.unwrap_or_default());
    found.add(&format!("{place}: line {number}"), what, why.unwrap_or_else(|| UNKNOWN.to_owned()));
}
