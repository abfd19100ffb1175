//! The bytes of a foreign file. Every offset and size is checked before it is used.

use std::mem::size_of;

use anyhow::{Context, Result, anyhow, ensure};
use object::ReadRef;
use object::pod::{self, Pod};

/// A file, or a part of one that is read like a file.
#[derive(Clone, Copy)]
pub struct Input<R> {
    data: R,
    start: u64,
    len: u64,
}

impl<'d, R: ReadRef<'d>> Input<R> {
    pub fn open(data: R) -> Result<Self> {
        let len = data.len().map_err(|()| anyhow!("its size could not be read"))?;
        Ok(Input { data, start: 0, len })
    }

    /// In bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Its offset in the whole file.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// A part of `size` bytes at an offset.
    pub fn part(&self, offset: u64, size: u64, what: &str) -> Result<Self> {
        self.check(offset, size, what)?;
        Ok(Input { data: self.data, start: self.start + offset, len: size })
    }

    /// An error if the range ends beyond the input.
    pub fn check(&self, offset: u64, size: u64, what: &str) -> Result<()> {
        let len = self.len;
        ensure!(
            offset.checked_add(size).is_some_and(|end| end <= len),
            "it ends after {len} bytes, before the end of {what} ({size} bytes from {offset} on)"
        );
        Ok(())
    }

    pub fn bytes(&self, offset: u64, size: u64, what: &str) -> Result<&'d [u8]> {
        self.check(offset, size, what)?;
        let bytes = self.data.read_bytes_at(self.start + offset, size);
        bytes.map_err(|()| anyhow!("{what} could not be read"))
    }

    pub fn record<T: Pod>(&self, offset: u64, what: &str) -> Result<&'d T> {
        let records = self.array(offset, 1, what)?;
        records.first().with_context(|| format!("{what} could not be read"))
    }

    /// `count` records at an offset.
    pub fn array<T: Pod>(&self, offset: u64, count: u64, what: &str) -> Result<&'d [T]> {
        let size = count.checked_mul(size_of::<T>() as u64);
        let bytes =
            self.bytes(offset, size.with_context(|| format!("{what} are too many"))?, what)?;
        let records = pod::slice_from_bytes(bytes, usize::try_from(count)?);
        records.map(|(records, _)| records).map_err(|()| anyhow!("{what} could not be read"))
    }

    /// The text at an offset, up to its NUL within `most` bytes.
    pub fn text(&self, offset: u64, most: u64, what: &str) -> Result<String> {
        text(self.bytes(offset, most, what)?, what)
    }
}

/// The text at the beginning of the bytes, up to its NUL.
pub fn text(bytes: &[u8], what: &str) -> Result<String> {
    let end = memchr::memchr(0, bytes).with_context(|| format!("{what} has no end"))?;
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}
