//! Makes universal binaries for macOS from those of two processors.

use anyhow::{Context, Result, ensure};

/// <https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/fat.h>
const MAGIC: u32 = 0xcafe_babe;
/// The magic number of 64-bit Mach-O, in the byte order of both processors.
const MACH_O: [u8; 4] = [0xcf, 0xfa, 0xed, 0xfe];
/// The alignment of slices: the largest pages have 2^14 bytes.
const ALIGN: u32 = 14;

/// Joins the programs, each with its name for errors.
pub fn join(programs: &[(&str, Vec<u8>)]) -> Result<Vec<u8>> {
    let count = u32::try_from(programs.len()).context("count the programs")?;
    let mut header = [MAGIC.to_be_bytes(), count.to_be_bytes()].concat();
    let mut body: Vec<u8> = Vec::new();
    let page = 1_usize << ALIGN;
    for (name, bytes) in programs {
        ensure!(
            bytes.starts_with(&MACH_O) && bytes.len() > 12,
            "{name} is not a program for macOS"
        );
        let start = page + body.len();
        for field in [4, 8] {
            let own: [u8; 4] = bytes[field..field + 4].try_into().context("read a header")?;
            header.extend(u32::from_le_bytes(own).to_be_bytes());
        }
        for number in [start, bytes.len()] {
            // The format for more than 4 GB is not supported everywhere.
            let number = u32::try_from(number).with_context(|| format!("{name} is too large"))?;
            header.extend(number.to_be_bytes());
        }
        header.extend(ALIGN.to_be_bytes());
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(page), 0);
    }
    let end =
        programs.last().map_or(0, |(_, bytes)| bytes.len().next_multiple_of(page) - bytes.len());
    header.resize(page, 0);
    body.truncate(body.len() - end);
    header.extend(body);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(cpu: u32, length: usize) -> Vec<u8> {
        let mut bytes = MACH_O.to_vec();
        bytes.extend(cpu.to_le_bytes());
        bytes.extend(3_u32.to_le_bytes());
        bytes.resize(length, 7);
        bytes
    }

    #[test]
    fn each_program_lies_whole_at_a_page_of_its_own() {
        let (first, second) = (program(0x0100_0007, 20_000), program(0x0100_000c, 100));
        let joined = join(&[("a", first.clone()), ("b", second.clone())]).unwrap();
        assert_eq!(joined.len(), (1 << 14) * 3 + 100);
        assert_eq!(joined[..8], [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2]);
        assert_eq!(
            joined[8..28],
            [1, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0x40, 0, 0, 0, 0x4e, 0x20, 0, 0, 0, 14]
        );
        assert_eq!(joined[1 << 14..][..20_000], first);
        assert_eq!(joined[(1 << 14) * 3..], second);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let error = join(&[("tool for x", b"\x7fELF".to_vec())]).unwrap_err().to_string();
        assert_eq!(error, "tool for x is not a program for macOS");
    }
}
