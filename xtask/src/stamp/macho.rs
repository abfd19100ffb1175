//! Sections in Mach-O files of 64 bits.
//!
//! A new one is the last of the segment `__DATA`, after all memory that this has: before that, it would
//! fill variables that begin as zeros. Its header goes into the room that linkers leave after the
//! load commands. Where the segment is full it grows, and `__LINKEDIT`, which is after it, moves.
//! The format: `<mach-o/loader.h>`.

use anyhow::{Context, Result, bail, ensure};
use object::macho::{
    self, LinkeditDataCommand, LoadCommand, LoadCommandType, MachHeader64, SectionFlags,
    SegmentCommand64,
};
use object::pod::bytes_of;
use object::{LittleEndian as LE, ReadRef, U32, U64};

use super::edit::Field;
use super::input::Input;
use super::{Placed, signature};

/// In bytes: of load commands. A large program has a few thousand.
const COMMANDS: u64 = 256 * 1024;
/// In bytes: of a section's header, and of a segment's.
const HEADER: u64 = size_of::<Section>() as u64;
const SEGMENT: u64 = size_of::<SegmentCommand64<LE>>() as u64;
/// By how much segments grow, in bytes: the largest page.
const PAGE: u64 = 16 * 1024;
/// The most that the file may grow by, for variables that begin as zeros.
const GROWTH: u64 = 64 << 20;

/// Fields of the header, of a segment's command and of the place of other data.
const COMMANDS_SIZE: Field = Field(20, 4);
const COMMAND_SIZE: Field = Field(4, 4);
const ADDRESS: Field = Field(24, 8);
const MEMORY: Field = Field(32, 8);
const OFFSET: Field = Field(40, 8);
const SIZE: Field = Field(48, 8);
const COUNT: Field = Field(64, 4);
const DATA_SIZE: Field = Field(12, 4);

type Section = macho::Section64<LE>;

/// What the load commands say.
struct Headers<'d> {
    /// Where they end.
    end: u64,
    /// The kind and the offset of each.
    commands: Vec<(LoadCommandType, u64)>,
    segments: Vec<Segment<'d>>,
}

#[derive(Clone, Copy)]
struct Segment<'d> {
    /// The offset of its command.
    at: u64,
    header: &'d SegmentCommand64<LE>,
    sections: &'d [Section],
}

impl Segment<'_> {
    fn is(&self, name: &[u8]) -> bool {
        is(&self.header.segname, name)
    }

    /// The offset after its last byte in the file, and the address after its memory.
    fn ends(&self) -> Result<(u64, u64)> {
        let add = |a: u64, b: u64| a.checked_add(b).context("a segment ends beyond all memory");
        let header = self.header;
        let file = add(header.fileoff.get(LE), header.filesize.get(LE))?;
        Ok((file, add(header.vmaddr.get(LE), header.vmsize.get(LE))?))
    }
}

/// Whether a field has a name, which NULs follow.
fn is(field: &[u8; 16], name: &[u8]) -> bool {
    field.strip_prefix(name).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

impl<'d> Headers<'d> {
    fn read<R: ReadRef<'d>>(input: &Input<R>) -> Result<Headers<'d>> {
        let header: &MachHeader64<LE> = input.record(0, "the Mach-O header")?;
        let size = u64::from(header.sizeofcmds.get(LE));
        ensure!(size <= COMMANDS, "its {size} bytes of load commands are more than {COMMANDS}");
        let mut at = size_of::<MachHeader64<LE>>() as u64;
        let end = at + size;
        input.check(0, end, "the load commands")?;
        let (mut commands, mut segments) = (Vec::new(), Vec::new());
        for number in 0..header.ncmds.get(LE) {
            let what = &*format!("load command {number}");
            let head: &LoadCommand<LE> = input.record(at, what)?;
            let size = u64::from(head.cmdsize.get(LE));
            ensure!(size >= 8 && size % 8 == 0, "{what} has {size} bytes, not a multiple of 8");
            ensure!(at + size <= end, "{what} ends after all load commands");
            let kind = head.cmd.get(LE);
            if kind == macho::LC_SEGMENT_64 {
                ensure!(size >= SEGMENT, "{what} has {size} bytes, too few for a segment");
                let header: &SegmentCommand64<LE> = input.record(at, what)?;
                let count = u64::from(header.nsects.get(LE));
                ensure!(
                    count <= (size - SEGMENT) / HEADER,
                    "{what} has {size} bytes, too few for {count} sections"
                );
                let sections = input.array(at + SEGMENT, count, what)?;
                segments.push(Segment { at, header, sections });
            }
            commands.push((kind, at));
            at += size;
        }
        ensure!(at == end, "its load commands end at {at:#x}, not at {end:#x}");
        Ok(Headers { end, commands, segments })
    }

    fn segment(&self, name: &[u8]) -> Result<&Segment<'d>> {
        let mut named = self.segments.iter().filter(|segment| segment.is(name));
        let shown = || String::from_utf8_lossy(name).into_owned();
        let segment = named.next().with_context(|| format!("it has no segment {}", shown()))?;
        ensure!(named.next().is_none(), "it has two segments {}", shown());
        Ok(segment)
    }

    /// The offset of the command of the code signature.
    fn signature(&self) -> Result<Option<u64>> {
        let mut all = self.commands.iter().filter(|(kind, _)| *kind == macho::LC_CODE_SIGNATURE);
        let first = all.next();
        ensure!(all.next().is_none(), "it has more than one code signature");
        Ok(first.map(|(_, at)| *at))
    }

    /// Where the first content is.
    fn content(&self) -> Option<u64> {
        let sections = self.segments.iter().flat_map(|segment| segment.sections);
        let stored = sections.filter(|it| !is_zeros(it) && it.size.get(LE) > 0);
        let sections = stored.map(|section| section.offset.get(LE).into());
        let segments = self.segments.iter().map(|segment| segment.header.fileoff.get(LE));
        sections.chain(segments.filter(|offset| *offset > 0)).min()
    }
}

/// Whether a section has memory, and nothing in the file.
fn is_zeros(section: &Section) -> bool {
    let kinds = [macho::S_ZEROFILL, macho::S_GB_ZEROFILL, macho::S_THREAD_LOCAL_ZEROFILL];
    kinds.contains(&section.flags.get(LE).typ())
}

/// The sections with the name, in the segment `__DATA`.
pub(super) fn find<'d, R: ReadRef<'d>>(input: &Input<R>, name: &str) -> Result<Vec<Placed>> {
    let headers = Headers::read(input)?;
    let mut found = Vec::new();
    for section in headers.segments.iter().flat_map(|segment| segment.sections) {
        if !is(&section.segname, b"__DATA") || !is(&section.sectname, name.as_bytes()) {
            continue;
        }
        ensure!(!is_zeros(section), "its section {name} has no bytes in the file");
        let (offset, size) = (u64::from(section.offset.get(LE)), section.size.get(LE));
        input.check(offset, size, &format!("the section {name}"))?;
        found.push(Placed { offset, size });
    }
    Ok(found)
}

/// Where the section goes, and what makes room for it.
struct Addition {
    /// The offset after all load commands.
    commands_end: u64,
    /// The offsets of the commands of `__DATA` and `__LINKEDIT`.
    data: u64,
    linkedit: u64,
    /// The section's header, and where that goes.
    header: Section,
    header_at: u64,
    offset: u64,
    /// Where the file grows, by how many bytes, and by how many the memory does.
    grown_at: u64,
    grown: u64,
    grown_memory: u64,
    /// The offsets in the load commands that lead into what moves.
    moved: Vec<Field>,
    /// The offset of the command of the code signature.
    signature: Option<u64>,
}

/// Adds a section with the name and the content.
pub(super) fn add(program: &mut Vec<u8>, name: &str, content: &[u8]) -> Result<()> {
    let it = decide(&Input::open(&program[..])?, name, content.len() as u64)?;
    let signed = it.signature.map(|at| signature::take(program, at)).transpose()?;
    for field in &it.moved {
        field.add(program, it.grown)?;
    }
    COMMANDS_SIZE.add(program, HEADER)?;
    COMMAND_SIZE.of(it.data)?.add(program, HEADER)?;
    COUNT.of(it.data)?.add(program, 1)?;
    SIZE.of(it.data)?.add(program, it.grown)?;
    MEMORY.of(it.data)?.add(program, it.grown_memory)?;
    OFFSET.of(it.linkedit)?.add(program, it.grown)?;
    ADDRESS.of(it.linkedit)?.add(program, it.grown_memory)?;
    let grown_at = usize::try_from(it.grown_at)?;
    program.splice(grown_at..grown_at, vec![0; usize::try_from(it.grown)?]);
    let offset = usize::try_from(it.offset)?;
    program[offset..][..content.len()].copy_from_slice(content);
    // The commands behind the new header move into the room, whose zeros it takes.
    let (at, end) = (usize::try_from(it.header_at)?, usize::try_from(it.commands_end)?);
    program.copy_within(at..end, at + HEADER as usize);
    program[at..][..HEADER as usize].copy_from_slice(bytes_of(&it.header));
    let Some(signed) = signed else { return Ok(()) };
    let behind = |command: u64| if command >= it.header_at { command + HEADER } else { command };
    let command = behind(it.signature.context("find the signature")?);
    let size = signed.size(program.len() as u64)?;
    DATA_SIZE.of(command)?.write(program, false, size)?;
    let linkedit = behind(it.linkedit);
    let start = OFFSET.of(linkedit)?.read(program, false)?;
    let length = (program.len() as u64 + size).checked_sub(start).context("measure __LINKEDIT")?;
    SIZE.of(linkedit)?.write(program, false, length)?;
    MEMORY.of(linkedit)?.write(program, false, length.next_multiple_of(PAGE))?;
    signed.renew(program)
}

/// Writes the bytes over those at the offset, and renews the signature.
pub(super) fn overwrite(program: &mut [u8], offset: u64, bytes: &[u8]) -> Result<()> {
    let input = Input::open(&*program)?;
    let headers = Headers::read(&input)?;
    let signature = match headers.signature()? {
        None => None,
        Some(_) => signed(&input, &headers, headers.segment(b"__LINKEDIT")?)?,
    };
    super::edit::overwrite(program, offset, bytes)?;
    let Some(command) = signature else { return Ok(()) };
    signature::refresh(program, command, offset..offset + bytes.len() as u64)
}

fn decide<'d, R: ReadRef<'d>>(input: &Input<R>, name: &str, size: u64) -> Result<Addition> {
    let headers = Headers::read(input)?;
    let room = headers.content().and_then(|content| content.checked_sub(headers.end));
    ensure!(
        room.is_some_and(|room| room >= HEADER),
        "there is no room for one more section after its load commands"
    );
    let room = input.bytes(headers.end, HEADER, "the room after its load commands")?;
    ensure!(room.iter().all(|byte| *byte == 0), "the room after its load commands is in use");
    let (data, linkedit) = (headers.segment(b"__DATA")?, headers.segment(b"__LINKEDIT")?);
    let (address, offset) = (data.header.vmaddr.get(LE), data.header.fileoff.get(LE));
    let (file_end, memory_end) = data.ends()?;
    input.check(offset, file_end - offset, "the segment __DATA")?;
    for other in headers.segments.iter().filter(|other| other.at != data.at) {
        let is_last = other.at == linkedit.at;
        let (file, memory) = other.ends()?;
        let before = other.header.filesize.get(LE) == 0 || file <= offset;
        ensure!(
            if is_last {
                other.header.fileoff.get(LE) >= file_end
                    && other.header.vmaddr.get(LE) >= memory_end
            } else {
                before && memory <= address && (other.at < data.at || other.sections.is_empty())
            },
            "its segment __DATA is not the last before __LINKEDIT"
        );
    }
    let ends = data.sections.iter().map(|section| {
        let end = section.addr.get(LE).checked_add(section.size.get(LE));
        end.context("a section ends beyond all memory")
    });
    let used = ends.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(address).max(address);
    ensure!(used <= memory_end, "its sections end after the segment __DATA");
    // What is after all sections pads the file.
    let padding = offset.saturating_add(used - address).min(file_end);
    let padding = input.bytes(padding, file_end - padding, "the end of the segment __DATA")?;
    let is_free = padding.iter().all(|byte| *byte == 0);
    let at = if is_free { used - address } else { file_end - offset };
    let end = at.checked_add(size).context("measure the segment __DATA")?;
    let more = |end: u64, had: u64| {
        let more = end.saturating_sub(had).checked_next_multiple_of(PAGE);
        more.context("measure the segment __DATA")
    };
    let grown = more(end, file_end - offset)?;
    ensure!(grown <= GROWTH, "it would grow by {grown} bytes, for variables that begin as zeros");
    let grown_memory = more(file_end - offset + grown, memory_end - address)?;
    let header_at = data.at + u64::from(data.header.cmdsize.get(LE));
    let full = SEGMENT + u64::from(data.header.nsects.get(LE)) * HEADER;
    ensure!(data.at + full == header_at, "the command of the segment __DATA has unknown parts");
    let signature = signed(input, &headers, linkedit)?;
    let start = offset.checked_add(at).and_then(|start| u32::try_from(start).ok());
    let start = start.context("it has over 4 GiB")?;
    let address = address.checked_add(at).context("measure the segment __DATA")?;
    Ok(Addition {
        commands_end: headers.end,
        data: data.at,
        linkedit: linkedit.at,
        header: header(name, address, size, start)?,
        header_at,
        offset: start.into(),
        grown_at: file_end,
        grown,
        grown_memory,
        moved: if grown == 0 { Vec::new() } else { moved(input, &headers, file_end)? },
        signature,
    })
}

/// A section's header.
fn header(name: &str, address: u64, size: u64, offset: u32) -> Result<Section> {
    let mut padded = [0; 16];
    let own = padded.get_mut(..name.len());
    own.context("name a section in 16 bytes")?.copy_from_slice(name.as_bytes());
    Ok(Section {
        sectname: padded,
        segname: *b"__DATA\0\0\0\0\0\0\0\0\0\0",
        addr: U64::new(LE, address),
        size: U64::new(LE, size),
        offset: U32::new(LE, offset),
        align: U32::new(LE, 0),
        reloff: U32::new(LE, 0),
        nreloc: U32::new(LE, 0),
        flags: U32::new(LE, SectionFlags(0)),
        reserved1: U32::new(LE, 0),
        reserved2: U32::new(LE, 0),
        reserved3: U32::new(LE, 0),
    })
}

/// The offset of the command of the code signature, which is the end of `__LINKEDIT` and of the
/// file; `None` where the program is not signed.
fn signed<'d, R: ReadRef<'d>>(
    input: &Input<R>,
    headers: &Headers<'_>,
    linkedit: &Segment<'_>,
) -> Result<Option<u64>> {
    let Some(at) = headers.signature()? else { return Ok(None) };
    let place: &LinkeditDataCommand<LE> = input.record(at, "the place of the signature")?;
    let (start, size) = (u64::from(place.dataoff.get(LE)), u64::from(place.datasize.get(LE)));
    let (end, _) = linkedit.ends()?;
    ensure!(
        start >= linkedit.header.fileoff.get(LE) && start + size == end && end == input.len(),
        "its code signature is not the end of the file"
    );
    Ok(Some(at))
}

/// The offsets in load commands that lead behind `from`, but for those of segments.
fn moved<'d, R: ReadRef<'d>>(
    input: &Input<R>,
    headers: &Headers<'_>,
    from: u64,
) -> Result<Vec<Field>> {
    let mut moved = Vec::new();
    for (kind, at) in &headers.commands {
        let offsets: &[usize] = match *kind {
            macho::LC_SYMTAB => &[8, 16],
            macho::LC_DYSYMTAB => &[32, 40, 48, 56, 64, 72],
            macho::LC_DYLD_INFO | macho::LC_DYLD_INFO_ONLY => &[8, 16, 24, 32, 40],
            macho::LC_CODE_SIGNATURE
            | macho::LC_SEGMENT_SPLIT_INFO
            | macho::LC_FUNCTION_STARTS
            | macho::LC_DATA_IN_CODE
            | macho::LC_DYLIB_CODE_SIGN_DRS
            | macho::LC_LINKER_OPTIMIZATION_HINT
            | macho::LC_DYLD_EXPORTS_TRIE
            | macho::LC_DYLD_CHAINED_FIXUPS
            | macho::LC_TWOLEVEL_HINTS => &[8],
            macho::LC_SEGMENT_64
            | macho::LC_MAIN
            | macho::LC_UUID
            | macho::LC_RPATH
            | macho::LC_LOAD_DYLINKER
            | macho::LC_LOAD_DYLIB
            | macho::LC_LOAD_WEAK_DYLIB
            | macho::LC_REEXPORT_DYLIB
            | macho::LC_LAZY_LOAD_DYLIB
            | macho::LC_LOAD_UPWARD_DYLIB
            | macho::LC_BUILD_VERSION
            | macho::LC_SOURCE_VERSION
            | macho::LC_DYLD_ENVIRONMENT
            | macho::LC_VERSION_MIN_MACOSX => &[],
            // What it leads to is unknown.
            other => bail!("its load command {:#x} is not known", other.0),
        };
        for offset in offsets {
            let field = Field(*offset, 4).of(*at)?;
            let value: &U32<LE> = input.record(*at + *offset as u64, "a load command")?;
            if u64::from(value.get(LE)) >= from {
                moved.push(field);
            }
        }
    }
    Ok(moved)
}
