//! The formats of programs, by their first bytes.

use object::elf::FileClass;

/// A format of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Elf(FileClass),
    /// For one architecture, 64 bits, little endian: macOS today has no others.
    MachO,
    /// Mach-O files for several architectures in one.
    Universal {
        /// Whether its offsets have 64 bits, not 32.
        is_64: bool,
    },
    Pe,
}

impl Format {
    /// The format of a file that begins so; `None` where it is no program.
    pub fn of(head: &[u8]) -> Option<Format> {
        match head {
            [0x7f, b'E', b'L', b'F', class, ..] => Some(Format::Elf(FileClass(*class))),
            [0xcf, 0xfa, 0xed, 0xfe, ..] => Some(Format::MachO),
            // Java's class files begin alike, but have a version above 40 in place of the number
            // of architectures.
            [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0..40, ..] => {
                Some(Format::Universal { is_64: false })
            }
            [0xca, 0xfe, 0xba, 0xbf, 0, 0, 0, 0..40, ..] => Some(Format::Universal { is_64: true }),
            [b'M', b'Z', ..] => Some(Format::Pe),
            _ => None,
        }
    }

    /// In words, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Format::Elf(_) => "an ELF file",
            Format::MachO => "a Mach-O file, for macOS",
            Format::Universal { .. } => "a Mach-O file for several architectures, for macOS",
            Format::Pe => "a PE file, for Windows",
        }
    }
}
