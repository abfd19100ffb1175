//! The slot for the version that the crate dockless-version puts into programs. `version/` has
//! the crate, and this file its layout once more: the crate has no dependents but programs.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use object::ReadRef;

use super::edit::{self, Field};
use super::input::Input;
use super::{Format, Placed, elf, format_of, macho, one, pe};
use crate::finding::failure;

/// The crate that has the slot.
pub(super) const KRATE: &str = "dockless-version";

/// The name of the section with the slot, in all formats. In PE files 8 bytes are the most.
pub(super) const SLOT: &str = ".dl-slot";

/// How a slot begins.
const MAGIC: [u8; 16] = *b"\xd0dockless slot\x1a\n";
/// The version of the layout.
const FORMAT: u64 = 1;
/// In bytes: of the slot before its texts.
const HEAD: u64 = 32;
/// The numbers in a slot, little endian in all programs.
const FORMAT_OF: Field = Field(16, 2);
const CAPACITY: Field = Field(18, 2);
/// Where the lengths of the texts are, of 2 bytes each. What follows them is 0.
const LENGTHS: usize = 20;

/// How packers of programs mark them, and within how many bytes.
/// <https://github.com/upx/upx/blob/devel/src/packhead.cpp>
const PACKED: &[u8] = b"UPX!";
const PACKED_WITHIN: u64 = 4096;

/// What a slot says. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub version: String,
    pub commit: String,
    pub date: String,
    pub describe: String,
}

/// Where a slot is in a program.
#[derive(Clone, Copy)]
struct Slot {
    offset: u64,
    /// In bytes: of all its texts.
    capacity: u64,
}

/// Puts the texts into the slot of a program, in place of those that are in it. The program is
/// then signed as before, if it was. `false` where it has no slot: the linker leaves it out of a
/// program that does not ask for its version.
pub fn fill(program: &mut [u8], texts: &Texts) -> Result<bool> {
    let input = Input::open(&*program)?;
    let format = known(&input)?;
    let Some(Slot { offset, capacity }) = find(format, &input)? else { return Ok(false) };
    let bytes = texts.packed(capacity)?;
    let at = offset + LENGTHS as u64;
    match format {
        Format::Pe => pe::overwrite(program, at, &bytes),
        Format::MachO | Format::Universal { .. } => macho::overwrite(program, at, &bytes),
        Format::Elf(_) => edit::overwrite(program, at, &bytes),
    }?;
    Ok(true)
}

/// What the slot of a program says; `None` where it has none.
pub fn texts<'d, R: ReadRef<'d>>(file: R) -> Result<Option<Texts>> {
    let input = Input::open(file)?;
    let Some(slot) = find(known(&input)?, &input)? else { return Ok(None) };
    Texts::read(&input, slot).map(Some).context("read its slot for the version")
}

fn known<'d, R: ReadRef<'d>>(input: &Input<R>) -> Result<Format> {
    match format_of(input)? {
        Some(Format::Universal { .. }) => bail!("each of its programs has a slot"),
        None => bail!("it is no program that has sections"),
        Some(format) => Ok(format),
    }
}

fn find<'d, R: ReadRef<'d>>(format: Format, input: &Input<R>) -> Result<Option<Slot>> {
    let Some(Placed { offset, size }) = one(format, input, SLOT)? else {
        return absent(format, input).map(|()| None);
    };
    let section = input.bytes(offset, size, "the section .dl-slot")?;
    let slots = memmem::find_iter(section, &MAGIC).count();
    if slots > 1 {
        return Err(failure(
            format!("it has {slots} slots for its version, and which counts is unclear"),
            "use one version of dockless-version: `cargo tree --duplicates` shows all",
        ));
    }
    ensure!(section.starts_with(&MAGIC), "its section {SLOT} is not that of dockless-version");
    ensure!(size >= HEAD, "its slot for the version is cut off after {size} bytes");
    let version = FORMAT_OF.read(section, false)?;
    if version != FORMAT {
        return Err(failure(
            format!("its slot for the version has the format {version}, and {FORMAT} is known"),
            "update dockless, or use an older dockless-version",
        ));
    }
    let capacity = CAPACITY.read(section, false)?;
    let room = size - HEAD;
    ensure!(
        room >= capacity,
        "its slot for the version is cut off: of {capacity} bytes for texts it has {room}"
    );
    Ok(Some(Slot { offset, capacity }))
}

/// An error where the slot may only be hidden.
fn absent<'d, R: ReadRef<'d>>(format: Format, input: &Input<R>) -> Result<()> {
    let start = input.bytes(0, input.len().min(PACKED_WITHIN), "the first bytes")?;
    let is_packed = memmem::find(start, PACKED).is_some();
    if is_packed || matches!(format, Format::Elf(_)) && !elf::has_sections(input)? {
        let how = if is_packed { "compressed by upx" } else { "stripped of its table of sections" };
        return Err(failure(
            format!("it was {how}, so its slot for the version is not found"),
            "leave that out of the build: archives and images are compressed anyway",
        ));
    }
    let all = input.bytes(0, input.len(), "the program")?;
    ensure!(
        memmem::find(all, &MAGIC).is_none(),
        "its slot for the version is not in the section {SLOT}: a linker script may move it"
    );
    Ok(())
}

impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.all().join(" "))
    }
}

impl Texts {
    /// In the order of the slot.
    fn all(&self) -> [&str; 4] {
        [&self.version, &self.commit, &self.date, &self.describe]
    }

    /// The bytes of a slot from the lengths on.
    fn packed(&self, capacity: u64) -> Result<Vec<u8>> {
        let texts = self.all();
        let size: usize = texts.iter().map(|text| text.len()).sum();
        if size as u64 > capacity {
            return Err(failure(
                format!(
                    "version, commit, date and description have {size} bytes, and the slot for \
                     them has {capacity}: {self}"
                ),
                "use shorter tags",
            ));
        }
        let mut packed = Vec::new();
        for text in texts {
            packed.extend(u16::try_from(text.len()).context("measure a text")?.to_le_bytes());
        }
        packed.resize(usize::try_from(HEAD)? - LENGTHS, 0);
        texts.iter().for_each(|text| packed.extend(text.as_bytes()));
        packed.resize(usize::try_from(HEAD + capacity)? - LENGTHS, 0);
        Ok(packed)
    }

    fn read<'d, R: ReadRef<'d>>(input: &Input<R>, slot: Slot) -> Result<Texts> {
        let Slot { offset, capacity } = slot;
        let bytes = input.bytes(offset, HEAD + capacity, "the slot")?;
        let (head, mut rest) = bytes.split_at(usize::try_from(HEAD)?);
        let mut texts: [String; 4] = Default::default();
        for (number, text) in texts.iter_mut().enumerate() {
            let length = Field(LENGTHS + 2 * number, 2).read(head, false)?;
            let own = rest.split_at_checked(usize::try_from(length)?);
            let (own, more) = own.context("its texts are longer than it")?;
            str::from_utf8(own).context("a text is not UTF-8")?.clone_into(text);
            rest = more;
        }
        let [version, commit, date, describe] = texts;
        Ok(Texts { version, commit, date, describe })
    }
}
