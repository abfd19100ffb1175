//! Sections in ELF files, of both widths and byte orders.
//!
//! A new one's bytes, a longer table of names and a longer table of sections are appended. Of what is
//! before them only the header's three fields of sections change, and nothing that is loaded.
//! The format: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use object::ReadRef;
use object::elf;

use super::Placed;
use super::edit::{Field, append};
use super::input::Input;

/// Section numbers from here on have other meanings (SHN_LORESERVE).
const RESERVED: u64 = 0xff00;
/// In bytes: of the table of section names. Linked programs have some hundred.
const NAMES: u64 = 16 << 20;
/// Where the new tables begin, in bytes.
const ALIGN: usize = 8;

/// Where a file of one width has what is read or written here.
#[derive(Clone, Copy)]
struct Form {
    big: bool,
    /// In bytes: of the file's header, and of a section's.
    header: u64,
    entry: u64,
    /// In the file's header: the offset of the table of sections, how large an entry is, how
    /// many there are, and which has the names.
    table: Field,
    entry_size: Field,
    count: Field,
    names: Field,
    /// In a section's header.
    kind: Field,
    offset: Field,
    size: Field,
    link: Field,
    align: Field,
}

const NARROW: Form = Form {
    big: false,
    header: 52,
    entry: 40,
    table: Field(0x20, 4),
    entry_size: Field(0x2e, 2),
    count: Field(0x30, 2),
    names: Field(0x32, 2),
    kind: Field(4, 4),
    offset: Field(16, 4),
    size: Field(20, 4),
    link: Field(24, 4),
    align: Field(32, 4),
};

const WIDE: Form = Form {
    big: false,
    header: 64,
    entry: 64,
    table: Field(0x28, 8),
    entry_size: Field(0x3a, 2),
    count: Field(0x3c, 2),
    names: Field(0x3e, 2),
    kind: Field(4, 4),
    offset: Field(24, 8),
    size: Field(32, 8),
    link: Field(40, 4),
    align: Field(48, 8),
};

/// The field of a section's header that has the offset of its name: the first.
const SECTION_NAME: Field = Field(0, 4);

/// The table of sections, and the names of all.
struct Sections<'d> {
    form: Form,
    /// The headers, one after the other; none where there is no table.
    headers: &'d [u8],
    /// The number of the section that has the names.
    names_at: u64,
    names: &'d [u8],
}

impl<'d> Sections<'d> {
    fn read<R: ReadRef<'d>>(input: &Input<R>) -> Result<Sections<'d>> {
        let ident = input.bytes(0, 16, "the ELF header")?;
        let form = match ident[4] {
            1 => NARROW,
            2 => WIDE,
            class => bail!("its ELF class is {class}, neither 32 nor 64 bits"),
        };
        let form = match ident[5] {
            1 => form,
            2 => Form { big: true, ..form },
            order => bail!("its byte order is {order}, neither little nor big endian"),
        };
        let big = form.big;
        let head = input.bytes(0, form.header, "the ELF header")?;
        let table = form.table.read(head, big)?;
        if table == 0 {
            return Ok(Sections { form, headers: &[], names_at: 0, names: &[] });
        }
        let size = form.entry_size.read(head, big)?;
        ensure!(size == form.entry, "its section headers have {size} bytes, not {}", form.entry);
        // The first header has numbers that are too large for their fields.
        let first = || input.bytes(table, form.entry, "the first section header");
        let count = match form.count.read(head, big)? {
            0 => form.size.read(first()?, big)?,
            count => count,
        };
        let names_at = match form.names.read(head, big)? {
            0xffff => form.link.read(first()?, big)?,
            at => at,
        };
        let size = count.checked_mul(form.entry).context("its section headers are too many")?;
        let headers = input.bytes(table, size, "the section headers")?;
        let sections = Sections { form, headers, names_at, names: &[] };
        if names_at == 0 {
            return Ok(sections);
        }
        let (kind, place) = sections.place(names_at).context("find the names of its sections")?;
        ensure!(kind == elf::SHT_STRTAB.0, "the names of its sections are no table of strings");
        let size = place.end - place.start;
        ensure!(size <= NAMES, "the names of its sections have {size} bytes, more than {NAMES}");
        let names = input.bytes(place.start, size, "the names of its sections")?;
        Ok(Sections { names, ..sections })
    }

    fn count(&self) -> u64 {
        self.headers.len() as u64 / self.form.entry
    }

    fn header(&self, at: u64) -> Option<&'d [u8]> {
        let start = at.checked_mul(self.form.entry)?;
        let end = start.checked_add(self.form.entry)?;
        self.headers.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    /// The type of a section, and where in the file it is.
    fn place(&self, at: u64) -> Result<(u32, Range<u64>)> {
        let header = self.header(at).with_context(|| format!("it has no section {at}"))?;
        let Form { big, kind, offset, size, .. } = self.form;
        let kind = u32::try_from(kind.read(header, big)?)?;
        let (offset, size) = (offset.read(header, big)?, size.read(header, big)?);
        let end = offset.checked_add(size);
        let end = end.with_context(|| format!("section {at} ends beyond all files"))?;
        Ok((kind, offset..end))
    }

    fn is_named(&self, at: u64, name: &str) -> bool {
        let named = || {
            let own = SECTION_NAME.read(self.header(at)?, self.form.big).ok()?;
            let rest = self.names.get(usize::try_from(own).ok()?..)?;
            rest.strip_prefix(name.as_bytes())?.first().filter(|end| **end == 0)
        };
        named().is_some()
    }
}

/// The sections with the name.
pub(super) fn find<'d, R: ReadRef<'d>>(input: &Input<R>, name: &str) -> Result<Vec<Placed>> {
    let sections = Sections::read(input)?;
    let mut found = Vec::new();
    for at in (0..sections.count()).filter(|at| sections.is_named(*at, name)) {
        let (kind, place) = sections.place(at)?;
        ensure!(kind != elf::SHT_NOBITS.0, "its section {name} has no bytes in the file");
        input.check(place.start, place.end - place.start, &format!("the section {name}"))?;
        found.push(Placed { offset: place.start, size: place.end - place.start });
    }
    Ok(found)
}

/// Whether there is a table of sections.
pub(super) fn has_sections<'d, R: ReadRef<'d>>(input: &Input<R>) -> Result<bool> {
    Ok(Sections::read(input)?.count() > 0)
}

/// Adds a section with the name and the content.
pub(super) fn add(program: &mut Vec<u8>, name: &str, content: &[u8]) -> Result<()> {
    let sections = Sections::read(&Input::open(&program[..])?)?;
    let (form, names_at) = (sections.form, sections.names_at);
    let (big, entry) = (form.big, usize::try_from(form.entry)?);
    // A program without a table of sections gets one, with the empty section that is first in all.
    let empty = vec![0; entry];
    let mut headers = if sections.headers.is_empty() { empty } else { sections.headers.to_vec() };
    let mut names = sections.names.to_vec();
    // A name is an offset into this table, and each ends with a NUL; the first is empty.
    if names.last() != Some(&0) {
        names.push(0);
    }
    let mut add_name = |name: &[u8]| {
        let at = names.len() as u64;
        names.extend(name);
        names.push(0);
        at
    };
    let name_at = add_name(name.as_bytes());
    let names_at = if names_at == 0 {
        let mut header = vec![0; entry];
        SECTION_NAME.write(&mut header, big, add_name(b".shstrtab"))?;
        form.kind.write(&mut header, big, elf::SHT_STRTAB.0.into())?;
        form.align.write(&mut header, big, 1)?;
        headers.extend(header);
        headers.len() / entry - 1
    } else {
        usize::try_from(names_at)?
    };
    let mut header = vec![0; entry];
    SECTION_NAME.write(&mut header, big, name_at)?;
    form.kind.write(&mut header, big, elf::SHT_PROGBITS.0.into())?;
    form.align.write(&mut header, big, 1)?;
    form.offset.write(&mut header, big, append(program, 1, content))?;
    form.size.write(&mut header, big, content.len() as u64)?;
    headers.extend(header);
    let count = (headers.len() / entry) as u64;
    ensure!(count < RESERVED, "it has {} sections, and no more fit", count - 1);
    let own = &mut headers[names_at * entry..][..entry];
    form.offset.write(own, big, append(program, 1, &names))?;
    form.size.write(own, big, names.len() as u64)?;
    let table = append(program, ALIGN, &headers);
    form.table.write(program, big, table)?;
    form.entry_size.write(program, big, form.entry)?;
    form.count.write(program, big, count)?;
    form.names.write(program, big, names_at as u64)
}
