//! A limit on what layers unpack to: a few bytes can be made to give any number.

use std::io::{self, Read};

use super::limits::{RATIO, UNPACKED};

/// How many bytes the layers of one image may still unpack to, beyond what their sizes allow.
pub struct Allowance(u64);

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance(UNPACKED)
    }
}

impl Allowance {
    /// Limits a reader that unpacks a blob of this size.
    pub fn reader<R: Read>(&mut self, inner: R, size: u64) -> Bounded<'_, R> {
        Bounded { inner, paid: size.saturating_mul(RATIO), beyond: &mut self.0 }
    }
}

/// A reader that fails at its limit.
pub struct Bounded<'a, R> {
    inner: R,
    paid: u64,
    beyond: &'a mut u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.inner.read(buffer)?;
        let paid = self.paid.min(given as u64);
        self.paid -= paid;
        let Some(beyond) = self.beyond.checked_sub(given as u64 - paid) else {
            let why =
                format!("it unpacks to more than {RATIO} times its size, which no image needs");
            return Err(io::Error::other(why));
        };
        *self.beyond = beyond;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{copy, repeat, sink};

    use super::*;

    #[test]
    fn layers_give_no_more_than_their_sizes_and_one_allowance() {
        let mut left = Allowance(1000);
        let mut read = |size: u64, gives: u64| {
            copy(&mut left.reader(repeat(0).take(gives), size), &mut sink()).is_ok()
        };
        assert!(read(10, 10 * RATIO));
        assert!(read(10, 10 * RATIO + 900));
        assert!(read(1, RATIO + 100));
        // Nothing is left but what each size allows.
        assert!(!read(1, RATIO + 1));
        assert!(read(1, RATIO));
        assert!(read(u64::MAX, 100_000));
    }
}
