//! The rules for PE files: a program that loads only Windows's own DLLs.
//!
//! The format: <https://learn.microsoft.com/windows/win32/debug/pe-format>

use anyhow::{Context, Result, bail, ensure};
use object::pe::{
    self, DllFlags, ImageDataDirectory, ImageDelayloadDescriptor, ImageDosHeader, ImageFileHeader,
    ImageImportDescriptor, ImageOptionalHeader32, ImageOptionalHeader64, ImageSectionHeader,
    Machine, SectionFlags, Subsystem,
};
use object::pod::Pod;
use object::read::pe::ImageOptionalHeader;
use object::{LittleEndian as LE, ReadRef, U16, U32};

use super::report::{Report, sorted};
use super::{Pe, origin};
use crate::stamp::Input;
use crate::target::Target;

/// How many sections Windows loads before Vista. Linkers write about 10.
const SECTIONS: u16 = 96;
/// How many DLLs are read from each of the two tables.
const DLLS: usize = 1024;
/// In bytes: of a DLL's name with its NUL.
const NAME: u64 = 260;

/// What the headers say.
struct Headers<'d> {
    file: &'d ImageFileHeader,
    /// PE32+, with 64 bits, not PE32.
    is_64: bool,
    /// The address of the first instruction, relative to where the file is loaded.
    entry: u32,
    subsystem: Subsystem,
    flags: DllFlags,
    directories: &'d [ImageDataDirectory],
    sections: Vec<Section>,
}

struct Section {
    name: String,
    flags: SectionFlags,
    /// Relative to where the file is loaded.
    address: u64,
    /// Bytes in memory.
    memory: u64,
    offset: u64,
    /// Bytes in the file.
    size: u64,
}

/// The processor of a target's programs, and whether it has 64 bits; `None` for a target of
/// another system.
pub(super) fn machine(target: &Target) -> Option<(Machine, bool)> {
    match target.arch() {
        _ if !target.is_windows() => None,
        "x86_64" => Some((pe::IMAGE_FILE_MACHINE_AMD64, true)),
        "i586" | "i686" => Some((pe::IMAGE_FILE_MACHINE_I386, false)),
        "aarch64" => Some((pe::IMAGE_FILE_MACHINE_ARM64, true)),
        _ => None,
    }
}

/// Examines a PE file. `None` where it is not a program, which is reported as an error; an
/// error where it is damaged.
pub(super) fn examine<'d, R: ReadRef<'d>>(report: &mut Report<'_>, data: R) -> Result<Option<Pe>> {
    let input = Input::open(data)?;
    let headers = headers(&input)?;
    if !report.check_kind(&headers) {
        return Ok(None);
    }
    let pie = report.check_hardening(&headers);
    report.check_sections(&headers);
    let libraries = sorted(imports(&input, &headers)?);
    report.check_dlls(&libraries);
    Ok(Some(Pe { pie, libraries }))
}

fn headers<'d, R: ReadRef<'d>>(input: &Input<R>) -> Result<Headers<'d>> {
    let dos: &ImageDosHeader = input.record(0, "the DOS header")?;
    let at = u64::from(dos.e_lfanew.get(LE));
    let signature: &U32<LE> = input.record(at, "the PE signature")?;
    ensure!(
        signature.get(LE) == pe::IMAGE_NT_SIGNATURE,
        "it is a program for DOS, or its PE header is not at {at:#x}"
    );
    let file: &ImageFileHeader = input.record(at + 4, "the PE header")?;
    let at = at + 4 + size_of::<ImageFileHeader>() as u64;
    let size = u64::from(file.size_of_optional_header.get(LE));
    let optional = input.part(at, size, "the optional header")?;
    let magic: &U16<LE> = optional.record(0, "the optional header")?;
    let mut headers = match magic.get(LE) {
        pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => fields::<ImageOptionalHeader32, R>(file, &optional)?,
        pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => fields::<ImageOptionalHeader64, R>(file, &optional)?,
        other => bail!("its optional header begins with {other:#x}, neither PE32 nor PE32+"),
    };
    headers.sections = sections(input, file, at + size)?;
    // Symbols are at the end of the file: if they are there, it is complete.
    let symbols = file.pointer_to_symbol_table.get(LE);
    if symbols != 0 {
        let size = u64::from(file.number_of_symbols.get(LE)) * pe::IMAGE_SIZEOF_SYMBOL as u64;
        input.check(symbols.into(), size, "the symbols")?;
    }
    Ok(headers)
}

fn fields<'d, H, R>(file: &'d ImageFileHeader, input: &Input<R>) -> Result<Headers<'d>>
where
    H: ImageOptionalHeader + Pod + 'd,
    R: ReadRef<'d>,
{
    let header: &H = input.record(0, "the optional header")?;
    let count = header.number_of_rva_and_sizes();
    let count = count.min(pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES as u32);
    let directories = input.array(size_of::<H>() as u64, count.into(), "the data directories")?;
    Ok(Headers {
        file,
        is_64: header.magic() == pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC,
        entry: header.address_of_entry_point(),
        subsystem: header.subsystem(),
        flags: header.dll_characteristics(),
        directories,
        sections: Vec::new(),
    })
}

fn sections<'d, R: ReadRef<'d>>(
    input: &Input<R>,
    file: &ImageFileHeader,
    at: u64,
) -> Result<Vec<Section>> {
    let count = file.number_of_sections.get(LE);
    ensure!(count <= SECTIONS, "it has {count} sections, more than {SECTIONS}");
    let headers: &[ImageSectionHeader] = input.array(at, count.into(), "section headers")?;
    let mut loaded = 0;
    let mut sections = Vec::with_capacity(headers.len());
    for header in headers {
        let name: Vec<u8> = header.name.iter().copied().take_while(|byte| *byte != 0).collect();
        let size = u64::from(header.size_of_raw_data.get(LE));
        let section = Section {
            name: String::from_utf8_lossy(&name).escape_debug().to_string(),
            flags: header.characteristics.get(LE),
            address: header.virtual_address.get(LE).into(),
            memory: match header.virtual_size.get(LE) {
                0 => size,
                memory => memory.into(),
            },
            offset: header.pointer_to_raw_data.get(LE).into(),
            size,
        };
        let Section { name, address, .. } = &section;
        input.check(section.offset, section.size, &format!("the section {name}"))?;
        ensure!(
            *address >= loaded,
            "the section {name} is loaded at {address:#x}, over the sections before it"
        );
        loaded = address + section.memory;
        sections.push(section);
    }
    Ok(sections)
}

impl Headers<'_> {
    /// The file's offset of a loaded address, and how many bytes follow in its section.
    fn in_file(&self, address: u64) -> Option<(u64, u64)> {
        self.sections.iter().find_map(|section| {
            let at = address.checked_sub(section.address)?;
            // If more memory than file is declared it is zeros; if more file, that is not loaded.
            let left = section.size.min(section.memory).checked_sub(at).filter(|left| *left > 0)?;
            Some((section.offset + at, left))
        })
    }

    fn directory(&self, number: usize) -> Option<u64> {
        let address = self.directories.get(number)?.virtual_address.get(LE);
        (address != 0).then_some(address.into())
    }
}

/// The DLLs of both tables. Like Windows, this takes an entry without a name for the end of a
/// table, whatever its declared size.
fn imports<'d, R: ReadRef<'d>>(input: &Input<R>, headers: &Headers<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = table::<ImageImportDescriptor, R>(
        input,
        headers,
        pe::IMAGE_DIRECTORY_ENTRY_IMPORT,
        "the table of imports",
        |entry| entry.name.get(LE) == 0 || entry.first_thunk.get(LE) == 0,
    )?;
    names.extend(entries.iter().map(|entry| entry.name.get(LE)));
    let entries = table::<ImageDelayloadDescriptor, R>(
        input,
        headers,
        pe::IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT,
        "the table of delayed imports",
        |entry| entry.dll_name_rva.get(LE) == 0,
    )?;
    for entry in entries {
        ensure!(
            entry.attributes.get(LE) & pe::IMAGE_DELAYLOAD_RVA_BASED != 0,
            "its table of delayed imports has a form from before Visual C++ 7"
        );
        names.push(entry.dll_name_rva.get(LE));
    }
    let names = names.into_iter().map(|address| {
        let (offset, left) = headers.in_file(address.into()).with_context(|| {
            format!("the name of a DLL at {address:#x} is not loaded from the file")
        })?;
        let name = input.text(offset, left.min(NAME), "the name of a DLL")?;
        Ok(name.to_lowercase())
    });
    names.collect()
}

/// The entries of a table before its end.
fn table<'d, T: Pod, R: ReadRef<'d>>(
    input: &Input<R>,
    headers: &Headers<'_>,
    directory: usize,
    what: &str,
    is_end: impl Fn(&T) -> bool,
) -> Result<&'d [T]> {
    let Some(address) = headers.directory(directory) else { return Ok(&[]) };
    let (offset, left) = headers
        .in_file(address)
        .with_context(|| format!("{what} at {address:#x} is not loaded from the file"))?;
    let count = (left / size_of::<T>() as u64).min(DLLS as u64);
    let entries: &[T] = input.array(offset, count, what)?;
    let end = entries.iter().position(is_end);
    let end = end.with_context(|| format!("{what} has no end in {count} entries"))?;
    Ok(&entries[..end])
}

impl Report<'_> {
    /// Returns whether the file is a program at all: only then do further checks make sense.
    fn check_kind(&mut self, headers: &Headers<'_>) -> bool {
        let found = (headers.file.machine.get(LE), headers.is_64);
        if let Some(wanted) = machine(self.target)
            && wanted != found
        {
            self.other_machine(&describe(found), &describe(wanted));
        }
        let flags = headers.file.characteristics.get(LE);
        let fix = "hand over what cargo names as the executable of a binary target";
        if flags.contains(pe::IMAGE_FILE_DLL) {
            self.error("linkage-type", "it is a DLL, not a program", fix);
            return false;
        }
        if !flags.contains(pe::IMAGE_FILE_EXECUTABLE_IMAGE) {
            let why = "its linker failed (no IMAGE_FILE_EXECUTABLE_IMAGE)";
            self.error("linkage-type", why, fix);
            return false;
        }
        let programs = [pe::IMAGE_SUBSYSTEM_WINDOWS_CUI, pe::IMAGE_SUBSYSTEM_WINDOWS_GUI];
        if !programs.contains(&headers.subsystem) {
            let why = format!(
                "it is for the subsystem {}, neither for the console nor for windows",
                headers.subsystem.0
            );
            let fix = "take `/SUBSYSTEM` and `--subsystem` out of the linker's arguments; \
                       `#![windows_subsystem]` chooses between the two";
            self.error("linkage-subsystem", why, fix);
        }
        true
    }

    /// Returns whether Windows may load the program at a random address. Warns if it may not, or
    /// if data may be executed.
    fn check_hardening(&mut self, headers: &Headers<'_>) -> bool {
        let is_dynamic = headers.flags.contains(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE);
        let stripped =
            headers.file.characteristics.get(LE).contains(pe::IMAGE_FILE_RELOCS_STRIPPED);
        if !is_dynamic || stripped {
            let what = if is_dynamic { "its relocations were stripped" } else { "no DYNAMIC_BASE" };
            let why = format!("it is always loaded at the same address ({what})");
            let fix = "link with `-Clink-arg=-Wl,--dynamicbase`, or with /DYNAMICBASE for MSVC";
            self.warning("linkage-pie", why, fix);
        }
        if !headers.flags.contains(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT) {
            let why = "its data may be executed (no NX_COMPAT)";
            let fix = "link with `-Clink-arg=-Wl,--nxcompat`, or with /NXCOMPAT for MSVC";
            self.warning("linkage-exec-stack", why, fix);
        }
        is_dynamic && !stripped
    }

    fn check_sections(&mut self, headers: &Headers<'_>) {
        for section in &headers.sections {
            let wrong = pe::IMAGE_SCN_MEM_EXECUTE.with(pe::IMAGE_SCN_MEM_WRITE);
            if section.flags.contains(wrong) {
                let why = format!("its section {} is both writable and executable", section.name);
                let fix = "take `-N`, `--omagic` and `/SECTION` out of the linker's arguments, \
                           and packers such as upx out of the build";
                self.error("linkage-writable-code", why, fix);
            }
        }
        let entry = u64::from(headers.entry);
        let holds = |section: &Section| {
            section.flags.contains(pe::IMAGE_SCN_MEM_EXECUTE)
                && entry
                    .checked_sub(section.address)
                    .is_some_and(|at| at < section.size.min(section.memory))
        };
        if !headers.sections.iter().any(holds) {
            let why = format!("its entry point {entry:#x} lies in no executable section");
            let fix = "take `-nostartfiles`, `-nostdlib`, `/NOENTRY` and `-shared` out of the linker's arguments";
            self.error("linkage-entry-point", why, fix);
        }
    }

    fn check_dlls(&mut self, libraries: &[String]) {
        let wrong = libraries.iter().filter(|library| DllOrigin::of(library).is_some());
        self.libraries(wrong, |report, library| {
            let (origin, fix) = match DllOrigin::of(library) {
                Some(DllOrigin::Gcc) => (
                    "it is part of the toolchain that linked the program".to_owned(),
                    Some(
                        "link it statically: `-Ctarget-feature=+crt-static`, or `-Clink-arg=-static` \
                         for what C or C++ code needs"
                            .to_owned(),
                    ),
                ),
                Some(DllOrigin::Unix) => (
                    "it emulates Unix, and comes only with Cygwin or MSYS2".to_owned(),
                    Some(format!("look for a linker of MinGW in {}", report.linker())),
                ),
                Some(DllOrigin::DebugRuntime) => (
                    "it is Visual C++'s runtime for debugging, which may not be distributed".to_owned(),
                    Some("compile the C and C++ code with /MT or /MD, not /MTd or /MDd".to_owned()),
                ),
                Some(DllOrigin::Package) | None => origin::of_library(library, report.suspects),
            };
            let why = format!("it needs {library:?}, which Windows does not have: {origin}");
            let fix =
                fix.unwrap_or_else(|| format!("look for what names it in {}", report.linker()));
            (why, fix)
        });
        let redistributable = |library: &&String| is_redistributable(library);
        if let Some(library) = libraries.iter().find(redistributable) {
            let why = format!(
                "it needs {library:?}, which comes with Visual C++'s redistributable package, not with Windows"
            );
            let fix = "link with `-Ctarget-feature=+crt-static`";
            self.warning("linkage-redistributable", why, fix);
        }
    }
}

/// Where a DLL comes from that is not Windows's own.
enum DllOrigin {
    Gcc,
    Unix,
    DebugRuntime,
    Package,
}

impl DllOrigin {
    /// `None` for a DLL of Windows or of Visual C++'s package, as far as its name tells.
    fn of(library: &str) -> Option<DllOrigin> {
        const GCC: [&str; 8] = [
            "libatomic-",
            "libc++",
            "libgcc_s",
            "libgomp-",
            "libssp-",
            "libstdc++",
            "libunwind",
            "libwinpthread",
        ];
        if GCC.iter().any(|name| library.starts_with(name)) {
            Some(DllOrigin::Gcc)
        } else if ["cygwin1.dll", "msys-2.0.dll"].contains(&library) {
            Some(DllOrigin::Unix)
        } else if is_redistributable(library)
            && library.strip_suffix("d.dll").is_some_and(|name| name.contains("140"))
            || library == "ucrtbased.dll"
        {
            Some(DllOrigin::DebugRuntime)
        } else if library.starts_with("lib") && library.ends_with(".dll") {
            // MinGW names libraries so; Windows's own DLLs have no such prefix.
            Some(DllOrigin::Package)
        } else {
            None
        }
    }
}

fn is_redistributable(library: &str) -> bool {
    ["concrt140", "msvcp140", "vccorlib140", "vcomp140", "vcruntime140"]
        .iter()
        .any(|name| library.starts_with(name))
}

fn describe((machine, is_64): (Machine, bool)) -> String {
    let name = match machine {
        pe::IMAGE_FILE_MACHINE_AMD64 => "x86_64".to_owned(),
        pe::IMAGE_FILE_MACHINE_I386 => "x86".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARM64 => "aarch64".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARMNT => "arm".to_owned(),
        other => format!("machine {:#x}", other.0),
    };
    format!("{name} ({})", if is_64 { "PE32+" } else { "PE32" })
}
