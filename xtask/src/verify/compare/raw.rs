//! Two contents as bytes.

use super::reason::{self, Facts};
use super::{Found, UNKNOWN};

/// The first position at which two differ; `None` where one begins with the other.
pub fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    // Whole blocks are compared much faster than bytes.
    const BLOCK: usize = 4096;
    let least = one.len().min(other.len());
    let mut at = 0;
    while at < least {
        let end = least.min(at + BLOCK);
        if one[at..end] != other[at..end] {
            let within = one[at..end].iter().zip(&other[at..end]).position(|(a, b)| a != b)?;
            return Some(at + within);
        }
        at = end;
    }
    None
}

/// Compares two contents as bytes.
pub fn bytes(place: &str, published: &[u8], rebuilt: &[u8], found: &mut Found) {
    let (ours, theirs) = (published.len(), rebuilt.len());
    let what = match first_difference(published, rebuilt) {
        Some(at) => format!("the first byte that differs is at {at:#x}"),
        None if ours == theirs => return,
        None => "one has more bytes at its end".to_owned(),
    };
    let what = match ours == theirs {
        true => what,
        false => format!("{ours} bytes in the published one, {theirs} in the rebuilt; {what}"),
    };
    let why = reason::of(&Facts::of(published), &Facts::of(rebuilt));
    found.add(place, what, why.unwrap_or_else(|| UNKNOWN.to_owned()));
}
