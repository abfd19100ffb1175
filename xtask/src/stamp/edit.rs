//! Numbers in the bytes of a program, and bytes at its end.

use anyhow::{Context, Result, ensure};

/// A number in a record: its offset, and how many bytes it has, at most 8.
#[derive(Clone, Copy)]
pub(super) struct Field(pub usize, pub usize);

impl Field {
    fn within(self, record: &[u8]) -> Result<()> {
        let Field(at, width) = self;
        let end = at.checked_add(width).filter(|end| *end <= record.len());
        ensure!(end.is_some(), "a field at {at} is beyond {} bytes", record.len());
        Ok(())
    }

    pub fn read(self, record: &[u8], big: bool) -> Result<u64> {
        self.within(record)?;
        let Field(at, width) = self;
        let bytes = record[at..at + width].iter();
        let join = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Ok(if big { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }

    /// An error where the number is too large for the field.
    pub fn write(self, record: &mut [u8], big: bool, number: u64) -> Result<()> {
        self.within(record)?;
        let Field(at, width) = self;
        let bytes = number.to_be_bytes();
        let (over, own) = bytes.split_at(bytes.len() - width);
        ensure!(
            over.iter().all(|byte| *byte == 0),
            "{number} does not fit into a field of {width} bytes"
        );
        let own = own.iter().copied();
        let own: Vec<u8> = if big { own.collect() } else { own.rev().collect() };
        record[at..at + width].copy_from_slice(&own);
        Ok(())
    }

    /// The same field of a record that begins at `offset`.
    pub fn of(self, offset: u64) -> Result<Field> {
        let at = usize::try_from(offset)?.checked_add(self.0).context("find a field")?;
        Ok(Field(at, self.1))
    }

    pub fn add(self, record: &mut [u8], more: u64) -> Result<()> {
        let sum = self.read(record, false)?.checked_add(more).context("add to a field")?;
        self.write(record, false, sum)
    }
}

/// Appends bytes from the next multiple of `align` on, and returns their offset.
pub(super) fn append(program: &mut Vec<u8>, align: usize, bytes: &[u8]) -> u64 {
    program.resize(program.len().next_multiple_of(align), 0);
    let at = program.len() as u64;
    program.extend(bytes);
    at
}

/// Writes the bytes over those at the offset.
pub(super) fn overwrite(program: &mut [u8], offset: u64, bytes: &[u8]) -> Result<()> {
    let at = usize::try_from(offset)?;
    let end = at.checked_add(bytes.len()).context("find the bytes to write over")?;
    let old = program.get_mut(at..end);
    old.context("find the bytes to write over")?.copy_from_slice(bytes);
    Ok(())
}
