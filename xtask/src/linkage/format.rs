//! Detects the format of a file by its first bytes.

use anyhow::{Result, anyhow, bail};
use object::ReadRef;

use crate::stamp::Format;

/// The format of a file. The error for an unknown one says what it seems to be, and what is
/// `wanted` instead, such as "an ELF file".
pub(super) fn of<'d, R: ReadRef<'d>>(data: R, wanted: &str) -> Result<Format> {
    let unread = || anyhow!("the file could not be read");
    let len = data.len().map_err(|()| unread())?;
    let head = data.read_bytes_at(0, len.min(32)).map_err(|()| unread())?;
    if let Some(format) = Format::of(head) {
        return Ok(format);
    }
    let seems = match head {
        [] => "empty",
        [0x7f, b'E', b'L', b'F'] => "the first four bytes of one",
        [0xce, 0xfa, 0xed, 0xfe, ..] => "a Mach-O file of 32 bits, for an old macOS",
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] => "a Mach-O file for PowerPC",
        [b'#', b'!', ..] => "a script",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..]
        | [b'!', b'<', b't', b'h', b'i', b'n', b'>', ..] => {
            "an archive of object files (a static library)"
        }
        [0, b'a', b's', b'm', ..] => "a WebAssembly module",
        [b'B', b'C', 0xc0, 0xde, ..] => "LLVM bitcode",
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "a compressed file"
        }
        head if head.iter().all(|byte| *byte == 0) => "nothing but zeros at its start",
        head if head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "a text"
        }
        _ => "of an unknown format",
    };
    bail!("it is {seems}, not {wanted}")
}
