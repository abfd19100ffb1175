//! The sections of a program, of all formats that are shipped.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{File, FileKind, Object, ObjectSection, SectionFlags};

use super::shown;

/// How many sections are compared. Programs have about 40.
const SECTIONS: usize = 4096;
/// How many programs a universal file may have. Apple's have up to 4.
const SLICES: usize = 32;

/// A section.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    pub address: u64,
    /// In memory, in bytes.
    pub size: u64,
    /// Offset and size in the file; `None` where it is memory only.
    pub range: Option<(u64, u64)>,
    pub flags: SectionFlags,
    /// What the file has of it.
    pub data: &'a [u8],
}

/// The sections by their names. Of several with one name the later ones have a number.
pub type Sections<'a> = BTreeMap<String, Section<'a>>;

/// Reads the sections of a program.
pub fn of<'a>(file: &File<'a>, bytes: &'a [u8]) -> Result<Sections<'a>> {
    let mut sections = Sections::new();
    for section in file.sections() {
        ensure!(sections.len() < SECTIONS, "it has more than {SECTIONS} sections");
        let name = shown(section.name_bytes().unwrap_or_default());
        let name = match section.segment_name_bytes() {
            Ok(Some(segment)) => format!("{},{name}", shown(segment)),
            _ => name,
        };
        let range = section.file_range().filter(|(_, size)| *size > 0);
        let data = range.map(|(at, size)| {
            let begin = usize::try_from(at).ok()?;
            let end = begin.checked_add(usize::try_from(size).ok()?)?;
            bytes.get(begin..end)
        });
        let data = match data {
            Some(data) => data.with_context(|| format!("the section {name} ends beyond it"))?,
            None => &[],
        };
        let (address, size, flags) = (section.address(), section.size(), section.flags());
        let numbers = std::iter::once(name.clone()).chain((2..).map(|at| format!("{name} #{at}")));
        let free = numbers.into_iter().find(|name| !sections.contains_key(name));
        sections.insert(free.unwrap_or(name), Section { address, size, range, flags, data });
    }
    Ok(sections)
}

/// A program of a universal file: its architecture, and its bytes.
pub type Slice<'a> = (String, &'a [u8]);

/// The programs of a universal file; `None` where it is none.
pub fn slices(bytes: &[u8]) -> Result<Option<Vec<Slice<'_>>>> {
    fn each<'a, F: FatArch>(arches: &[F], bytes: &'a [u8]) -> Result<Vec<Slice<'a>>> {
        ensure!(arches.len() <= SLICES, "it has {} programs, more than {SLICES}", arches.len());
        let slice = |arch: &F| {
            let data = arch.data(bytes).context("a program ends beyond the file")?;
            Ok((format!("{:?}", arch.architecture()).to_lowercase(), data))
        };
        arches.iter().map(slice).collect()
    }
    let damaged = "read the list of architectures";
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32) => {
            each(MachOFatFile32::parse(bytes).context(damaged)?.arches(), bytes).map(Some)
        }
        Ok(FileKind::MachOFat64) => {
            each(MachOFatFile64::parse(bytes).context(damaged)?.arches(), bytes).map(Some)
        }
        _ => Ok(None),
    }
}
