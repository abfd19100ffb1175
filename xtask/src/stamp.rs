//! What is put into finished programs: the list of their crates, in the section that
//! cargo-auditable made common, and their version, in the slot of the crate dockless-version. It
//! goes into a copy, without linking again; the program itself stays the same.
//! <https://github.com/rust-secure-code/cargo-auditable>

use anyhow::{Context, Result, bail, ensure};
use object::BigEndian as BE;
use object::ReadRef;
use object::macho::{FatArch32, FatArch64, FatHeader};
use object::read::macho::FatArch;

mod edit;
mod elf;
mod finish;
mod format;
mod input;
mod list;
mod macho;
mod pe;
mod signature;
mod slot;
mod universal;

pub use finish::finish;
pub use format::Format;
pub use input::Input;
pub use list::{CRATES_IO, Kind, List, Listed};
pub use slot::texts;
#[cfg(any(test, fuzzing))]
pub use slot::{Texts, fill};

/// The name of the section with the list, in all formats.
const LIST: &str = ".dep-v0";

/// How many programs of a universal file are looked at. Apple's have up to 4.
const SLICES: u32 = 32;

/// Where a section is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    offset: u64,
    /// In bytes.
    size: u64,
}

/// Puts the bytes of a list into a program. One that has a list keeps it, and is returned as it
/// is: cargo-auditable may have built it.
pub fn put(mut program: Vec<u8>, list: &[u8]) -> Result<Vec<u8>> {
    let input = Input::open(&program[..])?;
    match format_of(&input)? {
        Some(Format::Universal { .. }) => bail!("the list goes into each of its programs"),
        None => bail!("it is no program"),
        Some(format) => {
            if one(format, &input, LIST)?.is_some() {
                return Ok(program);
            }
            add(format, &mut program, LIST, list)?;
            // The name of a damaged section may begin where the new name is put.
            one(format, &Input::open(&program[..])?, LIST)?;
        }
    }
    Ok(program)
}

fn add(format: Format, program: &mut Vec<u8>, name: &str, content: &[u8]) -> Result<()> {
    match format {
        Format::Elf(_) => elf::add(program, name, content),
        Format::Pe => pe::add(program, name, content),
        Format::MachO | Format::Universal { .. } => macho::add(program, name, content),
    }
}

/// A program with one more section of slots, as no linker makes it.
#[cfg(any(test, fuzzing))]
pub fn with_slot(mut program: Vec<u8>, section: &[u8]) -> Result<Vec<u8>> {
    match format_of(&Input::open(&program[..])?)? {
        Some(format) => add(format, &mut program, slot::SLOT, section)?,
        None => bail!("it is no program"),
    }
    Ok(program)
}

/// The list of a program, or of each program in a universal file: `None` where it has none.
/// `None` of all where the file is no program.
pub fn lists<'d, R: ReadRef<'d>>(file: R) -> Result<Option<Vec<Option<List>>>> {
    let input = Input::open(file)?;
    let Some(format) = format_of(&input)? else { return Ok(None) };
    let Format::Universal { is_64 } = format else {
        return Ok(Some(vec![list(format, &input)?]));
    };
    let slices = slices(&input, is_64)?;
    let lists = slices.iter().map(|slice| match format_of(slice)? {
        Some(Format::MachO) => list(Format::MachO, slice),
        _ => bail!("a part of it is no Mach-O program of 64 bits"),
    });
    lists.collect::<Result<Vec<_>>>().map(Some)
}

/// Whether a program has the tables by which sections are found. Packers remove them.
pub fn has_sections(program: &[u8]) -> bool {
    let of = |input: &Input<&[u8]>| match format_of(input)? {
        Some(Format::Elf(_)) => elf::has_sections(input),
        _ => Ok(true),
    };
    Input::open(program).and_then(|input| of(&input)).unwrap_or(false)
}

fn list<'d, R: ReadRef<'d>>(format: Format, input: &Input<R>) -> Result<Option<List>> {
    let Some(Placed { offset, size }) = one(format, input, LIST)? else { return Ok(None) };
    let bytes = input.bytes(offset, size, "the section .dep-v0")?;
    List::unpack(bytes).map(Some).context("read its list of crates")
}

fn format_of<'d, R: ReadRef<'d>>(input: &Input<R>) -> Result<Option<Format>> {
    Ok(Format::of(input.bytes(0, input.len().min(32), "the first bytes")?))
}

/// The section with the name; an error where there are two, as others read the first or the last.
fn one<'d, R: ReadRef<'d>>(format: Format, input: &Input<R>, name: &str) -> Result<Option<Placed>> {
    let found = match format {
        Format::Elf(_) => elf::find(input, name),
        Format::Pe => pe::find(input, name),
        Format::MachO | Format::Universal { .. } => macho::find(input, name),
    }?;
    ensure!(
        found.len() <= 1,
        "it has {} sections {name}, and which counts is unclear",
        found.len()
    );
    Ok(found.first().copied())
}

/// The programs of a universal file.
fn slices<'d, R: ReadRef<'d>>(input: &Input<R>, is_64: bool) -> Result<Vec<Input<R>>> {
    let what = "the list of architectures";
    let head: &FatHeader = input.record(0, what)?;
    let first = size_of::<FatHeader>() as u64;
    let count = head.nfat_arch.get(BE);
    ensure!(count <= SLICES, "it has {count} programs, more than {SLICES}");
    let places: Vec<(u64, u64)> = if is_64 {
        let slices: &[FatArch64] = input.array(first, count.into(), what)?;
        slices.iter().map(|it| (it.offset(), it.size())).collect()
    } else {
        let slices: &[FatArch32] = input.array(first, count.into(), what)?;
        slices.iter().map(|it| (it.offset().into(), it.size().into())).collect()
    };
    places.into_iter().map(|(offset, size)| input.part(offset, size, "a program in it")).collect()
}
