//! The hash by which cargo-deny knows licence files: XXH32.
//! <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>

const PRIMES: [u32; 5] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1];

/// The hash with the seed 0.
pub fn xxh32(bytes: &[u8]) -> u32 {
    let [one, two, three, four, five] = PRIMES;
    let word =
        |bytes: &[u8]| bytes.iter().rev().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
    let mut rest = bytes;
    let mut hash = five;
    if rest.len() >= 16 {
        let mut lanes = [one.wrapping_add(two), two, 0, 0u32.wrapping_sub(one)];
        while rest.len() >= 16 {
            let (stripe, after) = rest.split_at(16);
            for (lane, bytes) in lanes.iter_mut().zip(stripe.chunks(4)) {
                let mixed = lane.wrapping_add(word(bytes).wrapping_mul(two));
                *lane = mixed.rotate_left(13).wrapping_mul(one);
            }
            rest = after;
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        hash = turned.fold(0, u32::wrapping_add);
    }
    // The length counts modulo 2^32.
    hash = hash.wrapping_add(bytes.len() as u32);
    while rest.len() >= 4 {
        let (bytes, after) = rest.split_at(4);
        hash = hash.wrapping_add(word(bytes).wrapping_mul(three)).rotate_left(17);
        hash = hash.wrapping_mul(four);
        rest = after;
    }
    for byte in rest {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(five)).rotate_left(11);
        hash = hash.wrapping_mul(one);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(two);
    hash = (hash ^ (hash >> 13)).wrapping_mul(three);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_xxhash() {
        for (text, expected) in [
            ("", 0x02CC_5D05),
            ("a", 0x550D_7456),
            ("abc", 0x32D1_53FF),
            ("Nobody inspects the spammish repetition", 0xE229_3B2F),
        ] {
            assert_eq!(xxh32(text.as_bytes()), expected, "{text}");
        }
    }
}
