//! What a program needs of glibc: its loader, its libraries, and how new it must be.
//!
//! The table of versions: <https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html>

use anyhow::{Context, Result, ensure};
use object::elf::{self, VersionIndex};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, ReadRef};

use super::elf_file::{Dynamic, ElfFile};
use super::report::Report;
use super::{Release, origin};

/// The libraries of glibc on every architecture, and gcc's unwinder, which every Rust program
/// for glibc needs. Of the distroless images `cc` has them all, and `base` all but the unwinder.
const LIBRARIES: [&str; 8] = [
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
];

/// The version name of a program that needs DT_RELR, and the first release whose loader
/// applies it. Older loaders refuse the name.
/// <https://sourceware.org/pipermail/libc-announce/2022/000033.html>
const RELR: (&str, Release) = ("GLIBC_ABI_DT_RELR", Release { major: 2, minor: 36, patch: 0 });

/// How many versions are read, of all libraries together. A program needs about 10.
const VERSIONS: usize = 1024;
/// How many symbols are searched for one that needs a version.
const SYMBOLS: u64 = 64 * 1024;

/// A version of a library's symbols that a program needs.
struct Version {
    name: String,
    index: VersionIndex,
}

/// Examines a program that glibc's loader starts. Returns the oldest release with all that it
/// needs; `None` where it needs no version; an error where it is damaged.
pub(super) fn examine<'d, E, R>(
    report: &mut Report<'_>,
    loader: &str,
    file: &ElfFile<'d, E, R>,
    dynamic: Option<&Dynamic>,
) -> Result<Option<Release>>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let dynamic =
        dynamic.context("it is started by a loader, but has no dynamic table (PT_DYNAMIC)")?;
    let loader = loader.rsplit('/').next().unwrap_or(loader);
    let wrong = dynamic
        .needed
        .iter()
        .filter(|library| **library != loader && !LIBRARIES.contains(&library.as_str()));
    report.libraries(wrong, Report::foreign_library);
    for path in &dynamic.paths {
        let why = format!(
            "it looks for libraries in {path:?} (DT_RPATH or DT_RUNPATH), \
             a folder of the machine that built it or one that is not shipped"
        );
        let fix = "take `-rpath` out of the linker's arguments and out of what build scripts print";
        report.error("linkage-library-path", why, fix);
    }
    let mut newest = dynamic.value(elf::DT_RELR).map(|_| (RELR.1, None));
    let (mut private, mut unknown) = (None, None);
    for Version { name, index } in versions(file, dynamic)? {
        let Some(number) = name.strip_prefix("GLIBC_") else { continue };
        let wanted = match release(number) {
            Some(release) => (release, Some(index)),
            None if name == RELR.0 => (RELR.1, None),
            None => {
                match number {
                    "PRIVATE" => private = Some(index),
                    _ => unknown = Some(name),
                }
                continue;
            }
        };
        if newest.is_none_or(|newest| newest.0 < wanted.0) {
            newest = Some(wanted);
        }
    }
    if let Some(index) = private {
        let by = wanted_by(file, dynamic, index)?;
        report.private(by.as_deref());
    }
    if let Some(name) = unknown {
        report.unknown(&name);
    }
    let named = report.target.glibc().map(|(major, minor)| Release { major, minor, patch: 0 });
    if let (Some((needed, index)), Some(named)) = (newest, named)
        && needed > named
    {
        let by = match index {
            Some(index) => wanted_by(file, dynamic, index)?,
            None => Some("packed relocations (DT_RELR)".to_owned()),
        };
        report.too_new(needed, named, by.as_deref());
    }
    Ok(newest.map(|(release, _)| release))
}

impl Report<'_> {
    fn foreign_library(&self, library: &str) -> (String, String) {
        let (origin, fix) = origin::of_library(library, self.suspects);
        let why = format!(
            "it needs the shared library {library:?}, which comes neither with glibc nor with a base \
             image such as gcr.io/distroless/base-nossl: {origin}"
        );
        let fix = fix
            .unwrap_or_else(|| format!("look for a linker of another system in {}", self.linker()));
        (why, fix)
    }

    fn private(&mut self, by: Option<&str>) {
        let why = format!(
            "it needs GLIBC_PRIVATE{}, which is for glibc's own libraries and differs in each build of glibc",
            wanted_clause(by)
        );
        let fix = "do not link parts of glibc statically beside its shared libraries";
        self.error("linkage-glibc-private", why, fix);
    }

    /// A version name that is not a release: it is unknown whether the target's glibc has it.
    fn unknown(&mut self, name: &str) {
        let why = format!("it needs {name:?} of glibc, and it is not known which release has that");
        let fix = "leave out the linker's argument that asks for it (`-z`, `--pack-dyn-relocs`), \
                   or link with an older linker";
        match self.target.glibc() {
            Some(_) => self.error("linkage-glibc-version", why, fix),
            None => self.warning("linkage-glibc-version", why, fix),
        }
    }

    fn too_new(&mut self, needed: Release, named: Release, by: Option<&str>) {
        let target = self.target;
        let why = format!(
            "it needs glibc {needed}{}, but {target} promises to run with {named}",
            wanted_clause(by)
        );
        let fix = format!(
            "link it against glibc {named}, as cargo-zigbuild or an older system does, or name the target {}.{needed}",
            target.triple()
        );
        self.error("linkage-glibc-version", why, fix);
    }
}

fn wanted_clause(by: Option<&str>) -> String {
    by.map(|by| format!(" for {}", by.escape_debug())).unwrap_or_default()
}

/// The versions without which the loader refuses the program.
fn versions<'d, E, R>(file: &ElfFile<'d, E, R>, dynamic: &Dynamic) -> Result<Vec<Version>>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let Some(address) = dynamic.value(elf::DT_VERNEED) else { return Ok(Vec::new()) };
    let libraries = dynamic
        .value(elf::DT_VERNEEDNUM)
        .context("it has a table of needed versions, but no DT_VERNEEDNUM")?;
    let (start, left) = file
        .in_file(address)
        .with_context(|| format!("its table of needed versions at {address:#x} is not loaded"))?;
    let table = file.input.part(start, left, "the table of needed versions")?;
    let endian = file.endian;
    let what = "the table of needed versions";
    let mut versions = Vec::new();
    let mut looked_at = 0;
    let mut at = 0;
    for _ in 0..libraries {
        let library: &elf::Verneed<Endianness> = table.record(at, what)?;
        let mut next = at + u64::from(library.vn_aux.get(endian));
        for _ in 0..library.vn_cnt.get(endian) {
            // Entries may overlap, so even a short table can take long.
            looked_at += 1;
            ensure!(looked_at <= VERSIONS, "it needs more than {VERSIONS} versions of symbols");
            let version: &elf::Vernaux<Endianness> = table.record(next, what)?;
            if !version.vna_flags.get(endian).contains(elf::VER_FLG_WEAK) {
                let name = u64::from(version.vna_name.get(endian));
                versions.push(Version {
                    name: file.string(dynamic, name, "the name of a version")?,
                    index: version.vna_other.get(endian),
                });
            }
            match version.vna_next.get(endian) {
                0 => break,
                step => next += u64::from(step),
            }
        }
        looked_at += 1;
        ensure!(looked_at <= VERSIONS, "it needs more than {VERSIONS} versions of symbols");
        match library.vn_next.get(endian) {
            0 => break,
            step => at += u64::from(step),
        }
    }
    Ok(versions)
}

/// One symbol of a version; `None` where the sections do not say where symbols are.
fn wanted_by<'d, E, R>(
    file: &ElfFile<'d, E, R>,
    dynamic: &Dynamic,
    index: VersionIndex,
) -> Result<Option<String>>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let endian = file.endian;
    let sections = file.section_headers()?;
    let section = |kind| sections.iter().find(|section| section.sh_type(endian) == kind);
    let (Some(symbols), Some(versions)) = (section(elf::SHT_DYNSYM), section(elf::SHT_GNU_VERSYM))
    else {
        return Ok(None);
    };
    let count = (versions.sh_size(endian).into() / 2).min(SYMBOLS);
    let offset: u64 = versions.sh_offset(endian).into();
    let versions: &[elf::Versym<Endianness>] =
        file.input.array(offset, count, "the versions of symbols")?;
    let Some(number) = versions.iter().position(|it| it.0.get(endian).index() == index) else {
        return Ok(None);
    };
    let offset = size_of::<E::Sym>() as u64 * number as u64;
    let start: u64 = symbols.sh_offset(endian).into();
    let symbols = file.input.part(start, symbols.sh_size(endian).into(), "the symbols")?;
    let symbol: &E::Sym = symbols.record(offset, "the symbols")?;
    let name = file.string(dynamic, symbol.st_name(endian).into(), "the name of a symbol")?;
    Ok(Some(format!("the symbol {name}")))
}

/// Parses `2.28` and `2.2.5`; `None` for anything else.
fn release(text: &str) -> Option<Release> {
    let number = |part: &str| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_: &u16| digits)
    };
    let numbers: Option<Vec<u16>> = text.split('.').map(number).collect();
    match *numbers?.as_slice() {
        [major, minor] => Some(Release { major, minor, patch: 0 }),
        [major, minor, patch] => Some(Release { major, minor, patch }),
        _ => None,
    }
}
