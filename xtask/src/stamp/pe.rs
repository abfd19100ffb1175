//! Sections in PE files.
//!
//! A new one's header goes into the room after the others, which linkers leave: headers begin at a
//! multiple of 512 bytes. Its bytes are appended, and mapped after all others.
//! The format: <https://learn.microsoft.com/windows/win32/debug/pe-format>

use anyhow::{Context, Result, ensure};
use object::pe::{self, ImageDebugDirectory, ImageDosHeader, ImageFileHeader, ImageSectionHeader};
use object::pod::bytes_of;
use object::{LittleEndian as LE, ReadRef, U16, U32};

use super::Placed;
use super::edit::{Field, append};
use super::input::Input;

/// How many sections Windows loads before Vista.
const SECTIONS: u16 = 96;
/// In bytes: of a section's header.
const HEADER: u64 = size_of::<ImageSectionHeader>() as u64;

/// The number of sections in the file header.
const COUNT: Field = Field(2, 2);
const SYMBOLS: Field = Field(8, 4);
/// Fields of the optional header, alike in both widths.
const INITIALIZED_DATA: Field = Field(8, 4);
const SECTION_ALIGNMENT: Field = Field(32, 4);
const FILE_ALIGNMENT: Field = Field(36, 4);
const IMAGE_SIZE: Field = Field(56, 4);
const HEADERS_SIZE: Field = Field(60, 4);
const CHECKSUM: Field = Field(64, 4);
/// The optional header up to its checksum.
const OPTIONAL: u64 = 68;
/// Where the data directories begin in it, by width. Their number is before them.
const DIRECTORIES: [usize; 2] = [96, 112];
/// In bytes: of an entry of the debug directory; and where it has the offset of its content.
const DEBUG: u64 = size_of::<ImageDebugDirectory>() as u64;
const DEBUG_RAW: Field = Field(24, 4);
/// In a section's header.
const RAW: Field = Field(20, 4);

/// Readable data that a program need not keep in memory.
const FLAGS: pe::SectionFlags = pe::SectionFlags(0x4200_0040);

/// What the headers say.
struct Headers<'d> {
    /// The offsets of the file header, the optional header and the section headers.
    file: u64,
    optional: u64,
    table: u64,
    sections: &'d [ImageSectionHeader],
}

impl<'d> Headers<'d> {
    fn read<R: ReadRef<'d>>(input: &Input<R>) -> Result<Headers<'d>> {
        let dos: &ImageDosHeader = input.record(0, "the DOS header")?;
        let at = u64::from(dos.e_lfanew.get(LE));
        let signature: &U32<LE> = input.record(at, "the PE signature")?;
        ensure!(
            signature.get(LE) == pe::IMAGE_NT_SIGNATURE,
            "it is a program for DOS, or its PE header is not at {at:#x}"
        );
        let file = at + 4;
        let header: &ImageFileHeader = input.record(file, "the PE header")?;
        let optional = file + size_of::<ImageFileHeader>() as u64;
        let table = optional + u64::from(header.size_of_optional_header.get(LE));
        let count = header.number_of_sections.get(LE);
        ensure!(count <= SECTIONS, "it has {count} sections, more than {SECTIONS}");
        let sections = input.array(table, count.into(), "the section headers")?;
        Ok(Headers { file, optional, table, sections })
    }
}

/// The sections with the name.
pub(super) fn find<'d, R: ReadRef<'d>>(input: &Input<R>, name: &str) -> Result<Vec<Placed>> {
    let headers = Headers::read(input)?;
    let padded = padded(name)?;
    let mut found = Vec::new();
    for section in headers.sections.iter().filter(|section| section.name == padded) {
        let offset = u64::from(section.pointer_to_raw_data.get(LE));
        let stored = section.size_of_raw_data.get(LE);
        // What is beyond the memory's size pads the file.
        let size = match section.virtual_size.get(LE) {
            0 => stored,
            size => size.min(stored),
        };
        input.check(offset, size.into(), &format!("the section {name}"))?;
        found.push(Placed { offset, size: size.into() });
    }
    Ok(found)
}

/// A section's name as headers have it: padded with NULs, and not ended by one.
fn padded(name: &str) -> Result<[u8; 8]> {
    let mut padded = [0; 8];
    let own = padded.get_mut(..name.len());
    own.context("name a section in 8 bytes")?.copy_from_slice(name.as_bytes());
    Ok(padded)
}

/// What a program needs for one section more.
struct Addition {
    /// The offsets of the file header, the optional header and of the section headers.
    file: u64,
    optional: u64,
    table: u64,
    sections: u64,
    /// Where the content begins, and how far it moves so that one more header has room.
    content: u64,
    moved: u64,
    address: u32,
    section_alignment: u32,
    file_alignment: u32,
    /// The offset of the debug directory, and how many entries it has.
    debug: Option<(u64, u64)>,
}

/// Adds a section with the name and the content.
pub(super) fn add(program: &mut Vec<u8>, name: &str, content: &[u8]) -> Result<()> {
    let it = decide(&Input::open(&program[..])?)?;
    if it.moved > 0 {
        it.make_room(program)?;
    }
    let size = u32::try_from(content.len()).context("measure the section")?;
    let raw = u64::from(size).next_multiple_of(it.file_alignment.into());
    let offset = append(program, usize::try_from(it.file_alignment)?, content);
    program.resize(usize::try_from(offset + raw)?, 0);
    let header = ImageSectionHeader {
        name: padded(name)?,
        virtual_size: U32::new(LE, size),
        virtual_address: U32::new(LE, it.address),
        size_of_raw_data: U32::new(LE, u32::try_from(raw)?),
        pointer_to_raw_data: U32::new(LE, u32::try_from(offset).context("it has over 4 GiB")?),
        pointer_to_relocations: U32::new(LE, 0),
        pointer_to_linenumbers: U32::new(LE, 0),
        number_of_relocations: U16::new(LE, 0),
        number_of_linenumbers: U16::new(LE, 0),
        characteristics: U32::new(LE, FLAGS),
    };
    let at = usize::try_from(it.table + it.sections * HEADER)?;
    program[at..][..HEADER as usize].copy_from_slice(bytes_of(&header));
    COUNT.of(it.file)?.add(program, 1)?;
    INITIALIZED_DATA.of(it.optional)?.add(program, raw)?;
    let end = u64::from(it.address) + u64::from(size);
    let end = end.next_multiple_of(it.section_alignment.into());
    IMAGE_SIZE.of(it.optional)?.write(program, false, end)?;
    renew_checksum(program, it.optional)
}

/// Writes the bytes over those at the offset.
pub(super) fn overwrite(program: &mut [u8], offset: u64, bytes: &[u8]) -> Result<()> {
    let input = Input::open(&*program)?;
    let Headers { optional, table, .. } = Headers::read(&input)?;
    ensure!(optional + OPTIONAL <= table, "its optional header is too short");
    refuse_signed(input.bytes(optional, table - optional, "the optional header")?)?;
    super::edit::overwrite(program, offset, bytes)?;
    renew_checksum(program, optional)
}

/// Computes the checksum again, where there is one: linkers that compute none leave 0.
fn renew_checksum(program: &mut [u8], optional: u64) -> Result<()> {
    let checksum = CHECKSUM.of(optional)?;
    if checksum.read(program, false)? != 0 {
        checksum.write(program, false, 0)?;
        let sum = sum(program);
        checksum.write(program, false, sum)?;
    }
    Ok(())
}

fn refuse_signed(optional: &[u8]) -> Result<()> {
    let (certificates, size) = directory(optional, pe::IMAGE_DIRECTORY_ENTRY_SECURITY)?;
    ensure!(certificates == 0 && size == 0, "it is signed already, and changing it breaks that");
    Ok(())
}

fn decide<'d, R: ReadRef<'d>>(input: &Input<R>) -> Result<Addition> {
    let Headers { file, optional, table, sections } = Headers::read(input)?;
    ensure!(optional + OPTIONAL <= table, "its optional header is too short");
    let head = input.bytes(optional, table - optional, "the optional header")?;
    let field = |field: Field| u32::try_from(field.read(head, false)?).context("read a number");
    let (section_alignment, file_alignment) = (field(SECTION_ALIGNMENT)?, field(FILE_ALIGNMENT)?);
    for (of, alignment) in [("sections", section_alignment), ("bytes", file_alignment)] {
        ensure!(
            alignment.is_power_of_two() && alignment <= 1 << 26,
            "its {of} are aligned to {alignment}"
        );
    }
    let count = sections.len() as u64;
    ensure!(count < u64::from(SECTIONS), "it has {count} sections, and no more fit");
    let ends = sections.iter().map(|section| {
        let size = match section.virtual_size.get(LE) {
            0 => section.size_of_raw_data.get(LE),
            size => size,
        };
        u64::from(section.virtual_address.get(LE)) + u64::from(size)
    });
    let end = ends.max().context("it has no sections")?;
    let address = end.next_multiple_of(section_alignment.into());
    let content = u64::from(field(HEADERS_SIZE)?);
    let starts = sections.iter().filter(|it| it.size_of_raw_data.get(LE) != 0);
    let starts = starts.map(|section| u64::from(section.pointer_to_raw_data.get(LE)));
    ensure!(starts.min().is_none_or(|first| first >= content), "its headers overlap its sections");
    let own = table + count * HEADER;
    ensure!(own <= content, "its headers end after the {content} bytes that they have");
    let room = input.bytes(own, content - own, "the room after its headers")?;
    let fits = room.len() as u64 >= HEADER;
    let moved = if fits { 0 } else { u64::from(file_alignment).max(HEADER.next_power_of_two()) };
    ensure!(
        room.iter().take(HEADER as usize).all(|byte| *byte == 0),
        "the room after its headers is in use"
    );
    let first = sections.iter().map(|section| section.virtual_address.get(LE)).min();
    ensure!(
        first.is_none_or(|first| u64::from(first) >= content + moved),
        "there is no room for one more section header"
    );
    let addition = Addition {
        file,
        optional,
        table,
        sections: count,
        content,
        moved,
        address: u32::try_from(address).context("it fills the address space")?,
        section_alignment,
        file_alignment,
        debug: None,
    };
    refuse_signed(head)?;
    let (debug, size) = directory(head, pe::IMAGE_DIRECTORY_ENTRY_DEBUG)?;
    if moved == 0 || debug == 0 {
        return Ok(addition);
    }
    let within = sections.iter().find_map(|section| {
        let at = debug.checked_sub(section.virtual_address.get(LE))?;
        let fits = at.checked_add(size)? <= section.size_of_raw_data.get(LE);
        fits.then_some(u64::from(section.pointer_to_raw_data.get(LE)) + u64::from(at))
    });
    let at = within.context("its debug directory is in no section")?;
    input.check(at, size.into(), "the debug directory")?;
    Ok(Addition { debug: Some((at, u64::from(size) / DEBUG)), ..addition })
}

/// The address and size of a data directory; zeros where there is none.
fn directory(optional: &[u8], number: usize) -> Result<(u32, u32)> {
    let wide = Field(0, 2).read(optional, false)? == u64::from(pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC);
    let first = DIRECTORIES[usize::from(wide)];
    let count = Field(first - 4, 4).read(optional, false)?;
    if number as u64 >= count {
        return Ok((0, 0));
    }
    let read = |at| -> Result<u32> { Ok(u32::try_from(Field(at, 4).read(optional, false)?)?) };
    Ok((read(first + number * 8)?, read(first + number * 8 + 4)?))
}

impl Addition {
    /// Moves all content, and the offsets that say where it is. Addresses stay.
    fn make_room(&self, program: &mut Vec<u8>) -> Result<()> {
        let Addition { content, moved, .. } = *self;
        let mut fields = vec![SYMBOLS.of(self.file)?];
        for section in 0..self.sections {
            fields.push(RAW.of(self.table + section * HEADER)?);
        }
        let (debug, entries) = self.debug.unwrap_or((0, 0));
        for entry in 0..entries {
            fields.push(DEBUG_RAW.of(debug + entry * DEBUG)?);
        }
        for field in fields {
            if field.read(program, false)? >= content {
                field.add(program, moved)?;
            }
        }
        HEADERS_SIZE.of(self.optional)?.add(program, moved)?;
        let at = usize::try_from(content)?;
        let room = vec![0; usize::try_from(moved)?];
        program.splice(at..at, room);
        Ok(())
    }
}

/// The checksum of a file whose own field is 0, as Windows computes it for drivers: the sum of
/// its 16-bit words with all carries, and its length.
fn sum(program: &[u8]) -> u64 {
    let words = program
        .chunks(2)
        .map(|pair| u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 8);
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum + program.len() as u64
}
