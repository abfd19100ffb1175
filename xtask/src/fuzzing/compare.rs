//! Contents of two releases.

use crate::verify;

/// Compares two halves, and the first with itself and with one of its bytes flipped, which the
/// last byte chooses. What is equal has no difference, and anything else has one.
pub fn compare(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_last() else { return };
    let (one, other) = rest.split_at(rest.len() / 2);
    let mut flipped = one.to_vec();
    if let Some(byte) = flipped.get_mut(usize::from(*choice) * one.len() / 256) {
        *byte ^= 1;
    }
    for after in [one, other, &flipped] {
        let mut found = verify::Found::default();
        verify::contents("file", one, after, &mut found);
        assert_eq!(found.is_empty(), one == after);
        for it in found.listed() {
            assert!(!it.place.is_empty() && !it.what.is_empty() && !it.reason.is_empty());
        }
    }
}
