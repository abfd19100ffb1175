//! The segments of Mach-O files.

use anyhow::{Context, Result, ensure};
use object::LittleEndian as LE;
use object::macho::{self, SegmentCommand64, VmProt};

use crate::stamp::Input;

/// A segment of a Mach-O file.
pub(super) struct Segment {
    pub name: String,
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
    pub protection: VmProt,
}

impl Segment {
    /// Reads the load command of a segment; `what` names it in errors.
    pub fn read(command: &Input<&[u8]>, what: &str) -> Result<Segment> {
        let segment: &SegmentCommand64<LE> = command.record(0, what)?;
        let name: Vec<u8> = segment.segname.iter().copied().take_while(|byte| *byte != 0).collect();
        let name = String::from_utf8_lossy(&name).escape_debug().to_string();
        let offset = segment.fileoff.get(LE);
        let size = segment.filesize.get(LE);
        let address = segment.vmaddr.get(LE);
        let memory = segment.vmsize.get(LE);
        ensure!(
            size <= memory,
            "the segment {name} has {size} bytes, more than its {memory} in memory"
        );
        address
            .checked_add(memory)
            .with_context(|| format!("the segment {name} ends beyond the address space"))?;
        Ok(Segment { name, offset, size, protection: segment.initprot.get(LE) })
    }

    /// The offset after its last byte in the file.
    pub fn end(&self) -> u64 {
        self.offset + self.size
    }

    pub fn is_executable(&self) -> bool {
        self.protection.contains(macho::VM_PROT_EXECUTE)
    }

    /// Whether it has the loader's tables and the signature, which cannot cover itself.
    pub fn is_linkedit(&self) -> bool {
        self.name == "__LINKEDIT"
    }
}
