//! Reads the headers and tables of an ELF file that say how it is run.
//!
//! The file is foreign input: each offset and size is compared with the file's length before it
//! is used, and each count with a limit. Errors say what is damaged.
//! The format: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>

use std::mem::size_of;

use anyhow::{Context, Result, ensure};
use memchr::memmem::Finder;
use object::elf::{
    self, DynamicTag, FileType, Machine, OsAbi, ProgramFlags, ProgramType, RelocationType,
};
use object::read::elf::{Dyn, FileHeader, NoteIterator, ProgramHeader, Rel, Rela, SectionHeader};
use object::{Endianness, ReadRef};

use crate::stamp::Input;

/// In bytes: of program headers. Linux refuses more (`load_elf_phdrs` in fs/binfmt_elf.c).
const PROGRAM_HEADERS: u64 = 64 * 1024;
/// How many section headers are searched. A linked program has about 40.
const SECTION_HEADERS: u64 = 4096;
/// The entries of a dynamic table. Linkers write about 30, and one for each library.
const DYNAMIC: u64 = 1024;
/// In bytes: of a library's or an interpreter's path with its NUL.
const NAME: u64 = 1024;
/// How many relocations are searched in all tables together. Those that only add the base
/// address come first and are skipped.
const RELOCATIONS: u64 = 64 * 1024;
/// In bytes: of a segment of notes; and how many segments are read. Linkers sort notes by
/// alignment.
const NOTES: u64 = 16 * 1024;
const NOTE_SEGMENTS: usize = 8;
/// In bytes: how much read-only data is searched for texts, in pieces of `PIECE`.
const TEXT: u64 = 8 << 20;
const PIECE: u64 = 1 << 20;

/// An ELF file with valid headers.
pub(super) struct ElfFile<'d, E: FileHeader, R> {
    /// The whole file, for `object`'s reader of headers.
    data: R,
    pub input: Input<R>,
    pub endian: Endianness,
    header: &'d E,
    pub identity: Identity,
    /// Each is within the file. Loaded ones are in order of their addresses, without overlap.
    pub segments: Vec<Segment>,
}

/// The fields of the header that are not offsets.
pub(super) struct Identity {
    pub kind: FileType,
    pub machine: Machine,
    pub is_64: bool,
    pub big_endian: bool,
    pub os_abi: OsAbi,
    pub entry: u64,
}

/// A program header.
pub(super) struct Segment {
    pub kind: ProgramType,
    pub flags: ProgramFlags,
    offset: u64,
    /// Bytes in the file.
    size: u64,
    pub address: u64,
    /// Bytes in memory.
    memory: u64,
}

impl Segment {
    /// Whether the memory at an address comes from the file.
    pub fn has_in_file(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|at| at < self.size)
    }
}

/// The dynamic table.
pub(super) struct Dynamic {
    entries: Vec<(DynamicTag, u64)>,
    /// The names of the shared libraries that the program needs.
    pub needed: Vec<String>,
    /// Where the loader looks for them first (DT_RPATH, DT_RUNPATH).
    pub paths: Vec<String>,
}

impl Dynamic {
    /// The value of an entry. Of several the last counts, as it does for a loader.
    pub fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1)
    }

    pub fn flags(&self) -> elf::DynamicFlags {
        elf::DynamicFlags(self.value(elf::DT_FLAGS).unwrap_or(0))
    }

    pub fn flags_1(&self) -> elf::DynamicFlags1 {
        elf::DynamicFlags1(self.value(elf::DT_FLAGS_1).unwrap_or(0))
    }
}

/// A table of relocations.
struct RelocationTable {
    offset: u64,
    size: u64,
    /// Whether its entries have addends (RELA, not REL).
    has_addends: bool,
    /// How many entries at its beginning only add the base address.
    relative: u64,
}

impl<'d, E: FileHeader<Endian = Endianness>, R: ReadRef<'d>> ElfFile<'d, E, R> {
    /// Reads the headers.
    pub fn open(data: R) -> Result<Self> {
        let input = Input::open(data)?;
        let header: &E = input.record(0, "the ELF header")?;
        ensure!(
            header.is_supported(),
            "its ELF header names no byte order, or another version of ELF than 1"
        );
        let endian = header.endian().context("read the byte order")?;
        let identity = Identity {
            kind: header.e_type(endian),
            machine: header.e_machine(endian),
            is_64: header.is_type_64(),
            big_endian: header.is_big_endian(),
            os_abi: header.e_ident().os_abi,
            entry: header.e_entry(endian).into(),
        };
        let mut file = ElfFile { data, input, endian, header, identity, segments: Vec::new() };
        file.section_headers()?;
        file.segments = file.program_headers()?;
        Ok(file)
    }

    fn program_headers(&self) -> Result<Vec<Segment>> {
        let header = self.header;
        let endian = self.endian;
        // A count that is too large for this field (PN_XNUM) is over the kernel's limit anyway.
        let count = u64::from(header.e_phnum(endian));
        let each = size_of::<E::ProgramHeader>() as u64;
        if count == 0 {
            return Ok(Vec::new());
        }
        let size = header.e_phentsize(endian);
        ensure!(u64::from(size) == each, "its program headers are {size} bytes each, not {each}");
        ensure!(
            count * each <= PROGRAM_HEADERS,
            "it has {count} program headers, more than Linux loads"
        );
        let headers: &[E::ProgramHeader] =
            self.input.array(header.e_phoff(endian).into(), count, "program headers")?;
        let mut segments = Vec::with_capacity(headers.len());
        let mut loaded = 0;
        for (number, header) in headers.iter().enumerate() {
            let segment = Segment {
                kind: header.p_type(endian),
                flags: header.p_flags(endian),
                offset: header.p_offset(endian).into(),
                size: header.p_filesz(endian).into(),
                address: header.p_vaddr(endian).into(),
                memory: header.p_memsz(endian).into(),
            };
            if segment.kind == elf::PT_NULL {
                continue;
            }
            self.input.check(segment.offset, segment.size, &format!("segment {number}"))?;
            if segment.kind == elf::PT_LOAD {
                let Segment { size, memory, address, .. } = segment;
                ensure!(
                    size <= memory,
                    "segment {number} has {size} bytes, more than its {memory} in memory"
                );
                ensure!(
                    address >= loaded,
                    "segment {number} is loaded at {address:#x}, over the segments before it"
                );
                let end = address
                    .checked_add(memory)
                    .filter(|end| self.identity.is_64 || *end <= 1 << 32);
                loaded =
                    end.with_context(|| format!("segment {number} ends beyond the address space"))?;
            }
            segments.push(segment);
        }
        Ok(segments)
    }

    /// The section headers. They are at the end of the file: if they are there, it is complete.
    pub fn section_headers(&self) -> Result<&'d [E::SectionHeader]> {
        let offset: u64 = self.header.e_shoff(self.endian).into();
        if offset == 0 {
            return Ok(&[]);
        }
        let count =
            self.header.shnum(self.endian, self.data).context("count the section headers")?;
        let size = u64::from(count) * size_of::<E::SectionHeader>() as u64;
        self.input.check(offset, size, "section headers")?;
        self.input.array(offset, u64::from(count).min(SECTION_HEADERS), "section headers")
    }

    /// The loader that the kernel starts instead of the program.
    pub fn interpreter(&self) -> Result<Option<String>> {
        let Some(segment) = self.segments.iter().find(|segment| segment.kind == elf::PT_INTERP)
        else {
            return Ok(None);
        };
        self.input.text(segment.offset, segment.size.min(NAME), "the interpreter's path").map(Some)
    }

    /// The dynamic table, and the names that it refers to.
    pub fn dynamic(&self) -> Result<Option<Dynamic>> {
        let mut tables = self.segments.iter().filter(|segment| segment.kind == elf::PT_DYNAMIC);
        let Some(segment) = tables.next() else {
            return Ok(None);
        };
        ensure!(tables.next().is_none(), "it has more than one dynamic table");
        // The program finds its table by the address, and tools by the offset.
        let mapped = self.in_file(segment.address).map(|(offset, _)| offset);
        ensure!(
            mapped == Some(segment.offset),
            "its dynamic table at offset {:#x} is not loaded at its address {:#x}",
            segment.offset,
            segment.address
        );
        let count = (segment.size / size_of::<E::Dyn>() as u64).min(DYNAMIC);
        let table: &[E::Dyn] = self.input.array(segment.offset, count, "the dynamic table")?;
        let entries = table.iter().map(|entry| (entry.tag(self.endian), entry.val(self.endian)));
        let entries: Vec<_> = entries.take_while(|entry| entry.0 != elf::DT_NULL).collect();
        ensure!(
            entries.len() < table.len(),
            "its dynamic table has no end (DT_NULL) in {count} entries"
        );
        let mut dynamic = Dynamic { entries, needed: Vec::new(), paths: Vec::new() };
        dynamic.needed = self.strings(&dynamic, elf::DT_NEEDED, "the name of a shared library")?;
        for tag in [elf::DT_RPATH, elf::DT_RUNPATH] {
            let paths = self.strings(&dynamic, tag, "a path of folders with libraries")?;
            dynamic.paths.extend(paths);
        }
        Ok(Some(dynamic))
    }

    fn strings(&self, dynamic: &Dynamic, tag: DynamicTag, what: &str) -> Result<Vec<String>> {
        let entries = dynamic.entries.iter().filter(|entry| entry.0 == tag);
        entries.map(|(_, at)| self.string(dynamic, *at, what)).collect()
    }

    /// The string of an entry of the dynamic table.
    pub fn string(&self, dynamic: &Dynamic, at: u64, what: &str) -> Result<String> {
        let table = dynamic
            .value(elf::DT_STRTAB)
            .with_context(|| format!("it has {what}, but no DT_STRTAB"))?;
        let (offset, left) = self
            .in_file(table)
            .with_context(|| format!("its string table at {table:#x} is not loaded"))?;
        let left = dynamic.value(elf::DT_STRSZ).map_or(left, |size| size.min(left));
        let left = left.checked_sub(at).with_context(|| {
            format!("{what} is at {at:#x} of a string table of {left:#x} bytes")
        })?;
        self.input.text(offset + at, left.min(NAME), what)
    }

    /// Whether a relocation of this kind is applied when the program starts.
    pub fn has_relocation(&self, kind: RelocationType, dynamic: Option<&Dynamic>) -> Result<bool> {
        let tables = match dynamic {
            Some(dynamic) => self.dynamic_relocations(dynamic)?,
            None => self.static_relocations()?,
        };
        let mut budget = RELOCATIONS;
        for RelocationTable { offset, size, has_addends, relative } in tables {
            let each = if has_addends { size_of::<E::Rela>() } else { size_of::<E::Rel>() } as u64;
            self.input.check(offset, size, "relocations")?;
            let skipped = relative.min(size / each);
            let count = (size / each - skipped).min(budget);
            budget -= count;
            let offset = offset + skipped * each;
            let found = if has_addends {
                let table: &[E::Rela] = self.input.array(offset, count, "relocations")?;
                table.iter().any(|relocation| relocation.r_type(self.endian, false) == kind)
            } else {
                let table: &[E::Rel] = self.input.array(offset, count, "relocations")?;
                table.iter().any(|relocation| relocation.r_type(self.endian) == kind)
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The relocations that a loader or a position-independent program itself applies.
    fn dynamic_relocations(&self, dynamic: &Dynamic) -> Result<Vec<RelocationTable>> {
        let lazy_addends = dynamic.value(elf::DT_PLTREL) == Some(elf::DT_RELA.0 as u64);
        let mut tables = Vec::new();
        for (at, size, count, has_addends) in [
            (elf::DT_RELA, elf::DT_RELASZ, Some(elf::DT_RELACOUNT), true),
            (elf::DT_REL, elf::DT_RELSZ, Some(elf::DT_RELCOUNT), false),
            (elf::DT_JMPREL, elf::DT_PLTRELSZ, None, lazy_addends),
        ] {
            let (Some(address), Some(size @ 1..)) = (dynamic.value(at), dynamic.value(size)) else {
                continue;
            };
            let place = self.in_file(address).filter(|(_, left)| size <= *left);
            let (offset, _) = place.with_context(|| {
                format!(
                    "its {size} bytes of relocations at {address:#x} are not loaded from the file"
                )
            })?;
            let relative = count.and_then(|tag| dynamic.value(tag)).unwrap_or(0);
            tables.push(RelocationTable { offset, size, has_addends, relative });
        }
        Ok(tables)
    }

    /// The relocations that a program without a dynamic table applies to itself, between
    /// `__rela_iplt_start` and `__rela_iplt_end`: the loaded sections of relocations.
    fn static_relocations(&self) -> Result<Vec<RelocationTable>> {
        let endian = self.endian;
        let sections = self.section_headers()?.iter().filter(|section| {
            let kind = section.sh_type(endian);
            (kind == elf::SHT_RELA || kind == elf::SHT_REL)
                && section.sh_flags(endian).contains(elf::SHF_ALLOC)
        });
        let table = |section: &E::SectionHeader| RelocationTable {
            offset: section.sh_offset(endian).into(),
            size: section.sh_size(endian).into(),
            has_addends: section.sh_type(endian) == elf::SHT_RELA,
            relative: 0,
        };
        Ok(sections.map(table).collect())
    }

    /// Whether a note names the oldest Linux for the C library, as glibc's start code does.
    pub fn has_abi_note(&self) -> Result<bool> {
        let segments = self.segments.iter().filter(|segment| segment.kind == elf::PT_NOTE);
        for segment in segments.take(NOTE_SEGMENTS) {
            let data = self.input.bytes(segment.offset, segment.size.min(NOTES), "notes")?;
            let mut notes = NoteIterator::<E>::new(self.endian, E::Word::default(), data)
                .context("read the notes")?;
            // Notes prove nothing: a truncated one is ignored.
            while let Ok(Some(note)) = notes.next() {
                let linux = note.desc().get(..4).is_some_and(|system| system == [0; 4]);
                if note.name() == elf::ELF_NOTE_GNU
                    && note.n_type(self.endian) == elf::NT_GNU_ABI_TAG
                    && linux
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Which of the texts are in the read-only data.
    pub fn find_texts<const N: usize>(&self, texts: [&str; N]) -> Result<[bool; N]> {
        let finders = texts.map(Finder::new);
        let overlap = texts.iter().map(|text| text.len() as u64).max().unwrap_or(0);
        let mut found = [false; N];
        let mut budget = TEXT;
        let read_only =
            |segment: &&Segment| segment.kind == elf::PT_LOAD && !segment.flags.contains(elf::PF_W);
        let mut segments: Vec<&Segment> = self.segments.iter().filter(read_only).collect();
        segments.sort_by_key(|segment| segment.flags.contains(elf::PF_X));
        for segment in segments {
            let size = segment.size.min(budget);
            budget -= size;
            for start in (0..size).step_by(PIECE as usize) {
                let length = (size - start).min(PIECE + overlap);
                let piece = self.input.bytes(segment.offset + start, length, "read-only data")?;
                for (found, finder) in found.iter_mut().zip(&finders) {
                    *found = *found || finder.find(piece).is_some();
                }
            }
        }
        Ok(found)
    }

    /// The file's offset of a loaded address, and how many bytes follow in its segment.
    pub fn in_file(&self, address: u64) -> Option<(u64, u64)> {
        let loaded =
            |segment: &&Segment| segment.kind == elf::PT_LOAD && segment.has_in_file(address);
        let segment = self.segments.iter().find(loaded)?;
        let at = address - segment.address;
        Some((segment.offset + at, segment.size - at))
    }
}
