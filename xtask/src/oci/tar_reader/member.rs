//! A member of a tar stream, as its headers describe it.

/// The size of every header in bytes. Contents are padded to a multiple of it.
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06>
pub const BLOCK: u64 = 512;

/// One member of a tar stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarMember {
    /// As it is written, which need not be UTF-8; [`TarMember::place`] says where it leads.
    pub path: Vec<u8>,
    pub kind: TarMemberKind,
    /// The target of a link, as it is written.
    pub link: Option<Vec<u8>>,
    /// The lowest 12 bits: permissions, setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970; 0 where the header has an earlier time or none.
    pub time: u64,
    /// In bytes; 0 for all but files.
    pub size: u64,
    /// The offset of the content in the stream, in bytes.
    pub at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TarMemberKind {
    File,
    Hardlink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

impl TarMember {
    /// How many bytes pad the content's last block.
    pub fn padding(&self) -> u64 {
        self.size.next_multiple_of(BLOCK) - self.size
    }

    /// The error for a stream that ends within the content, `missing` bytes too early.
    pub fn cut_off(&self, missing: u64) -> String {
        let (name, size) = (shown(&self.path), self.size);
        let there = size - missing;
        format!("{name} says it has {size} bytes, and the file ends after {there}")
    }
}

/// A path for an error: quoted, and shortened where it is long.
pub fn shown(path: &[u8]) -> String {
    let end = path.len().min(200);
    let dots = if end < path.len() { "..." } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(&path[..end]))
}
