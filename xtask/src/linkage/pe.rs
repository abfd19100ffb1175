//! What a PE file must be: a program that loads DLLs of Windows alone.
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

use super::input::Input;
use super::{Pe, Report, cause, sorted};
use crate::target::Target;

/// Sections; Windows loads no more before Vista, and linkers write about 10.
const SECTIONS: u16 = 96;
/// DLLs that are looked at, of each of the two tables.
const DLLS: usize = 1024;
/// Bytes of a DLL's name with its NUL.
const NAME: u64 = 260;

/// What the headers say.
struct Headers<'d> {
    file: &'d ImageFileHeader,
    /// PE32+, of 64 bits, and not PE32.
    wide: bool,
    /// The address of the first instruction, from where the file is loaded on.
    entry: u32,
    subsystem: Subsystem,
    flags: DllFlags,
    directories: &'d [ImageDataDirectory],
    sections: Vec<Section>,
}

struct Section {
    name: String,
    flags: SectionFlags,
    /// From where the file is loaded on.
    address: u64,
    /// Bytes in memory.
    memory: u64,
    offset: u64,
    /// Bytes in the file.
    size: u64,
}

/// The processor of a target's programs, and whether it has 64 bits; `None` for
/// what is no target of Windows.
pub(super) fn machine(target: &Target) -> Option<(Machine, bool)> {
    match target.arch() {
        _ if !target.is_windows() => None,
        "x86_64" => Some((pe::IMAGE_FILE_MACHINE_AMD64, true)),
        "i586" | "i686" => Some((pe::IMAGE_FILE_MACHINE_I386, false)),
        "aarch64" => Some((pe::IMAGE_FILE_MACHINE_ARM64, true)),
        _ => None,
    }
}

/// Examines a PE file. `None` where it is no program at all, which is then an
/// error among the findings; an error where it is damaged.
pub(super) fn examine<'d, R: ReadRef<'d>>(report: &mut Report<'_>, data: R) -> Result<Option<Pe>> {
    let input = Input::open(data)?;
    let headers = headers(&input)?;
    if !report.kind(&headers) {
        return Ok(None);
    }
    let pie = report.hardening(&headers);
    report.sections(&headers);
    let libraries = sorted(imports(&input, &headers)?);
    report.dlls(&libraries);
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
    // Symbols are for debuggers; that they lie within the file shows that its end was not cut off.
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
        wide: header.magic() == pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC,
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
    /// Where in the file stands what is loaded at an address, and how many bytes there are from there on.
    fn in_file(&self, address: u64) -> Option<(u64, u64)> {
        self.sections.iter().find_map(|section| {
            let at = address.checked_sub(section.address)?;
            // The rest of the memory is filled with zeros, the rest of the file left out.
            let left = section.size.min(section.memory).checked_sub(at).filter(|left| *left > 0)?;
            Some((section.offset + at, left))
        })
    }

    fn directory(&self, number: usize) -> Option<u64> {
        let address = self.directories.get(number)?.virtual_address.get(LE);
        (address != 0).then_some(address.into())
    }
}

/// The DLLs of both tables, as Windows finds them: their ends are entries without
/// a name, whatever size is said of them.
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
            "its table of delayed imports is of the form before Visual C++ 7"
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
    /// Says whether the file is a program at all; further questions make sense only then.
    fn kind(&mut self, headers: &Headers<'_>) -> bool {
        let found = (headers.file.machine.get(LE), headers.wide);
        if let Some(wanted) = machine(self.target)
            && wanted != found
        {
            let why = format!(
                "it is for {}, but {} needs {}",
                describe(found),
                self.target,
                describe(wanted)
            );
            let fix = format!("look for a linker of another architecture in {}", self.linker());
            self.error("linkage-machine", why, fix);
        }
        let flags = headers.file.characteristics.get(LE);
        let fix = "hand over what cargo names as the executable of a binary target";
        if flags.contains(pe::IMAGE_FILE_DLL) {
            self.error("linkage-type", "it is a DLL, not a program", fix);
            return false;
        }
        if !flags.contains(pe::IMAGE_FILE_EXECUTABLE_IMAGE) {
            let why = "its linker gave it up (no IMAGE_FILE_EXECUTABLE_IMAGE)";
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

    /// Says whether Windows may load the program at a random address, and warns
    /// where that or protected data was left out.
    fn hardening(&mut self, headers: &Headers<'_>) -> bool {
        let moves = headers.flags.contains(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE);
        let stripped =
            headers.file.characteristics.get(LE).contains(pe::IMAGE_FILE_RELOCS_STRIPPED);
        if !moves || stripped {
            let what = if moves { "its relocations were stripped" } else { "no DYNAMIC_BASE" };
            let why = format!("it is always loaded at the same address ({what})");
            let fix = "link with `-Clink-arg=-Wl,--dynamicbase`, or with /DYNAMICBASE for MSVC";
            self.warning("linkage-pie", why, fix);
        }
        if !headers.flags.contains(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT) {
            let why = "its data may be executed (no NX_COMPAT)";
            let fix = "link with `-Clink-arg=-Wl,--nxcompat`, or with /NXCOMPAT for MSVC";
            self.warning("linkage-exec-stack", why, fix);
        }
        moves && !stripped
    }

    fn sections(&mut self, headers: &Headers<'_>) {
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

    fn dlls(&mut self, libraries: &[String]) {
        let wrong = libraries.iter().filter(|library| Origin::of(library).is_some());
        self.libraries(wrong, |report, library| {
            let (cause, fix) = match Origin::of(library) {
                Some(Origin::Gcc) => (
                    "it is a part of the toolchain that linked the program".to_owned(),
                    Some(
                        "link it statically: `-Ctarget-feature=+crt-static`, or `-Clink-arg=-static` \
                         for what code in C or C++ brings along"
                            .to_owned(),
                    ),
                ),
                Some(Origin::Unix) => (
                    "it stands for Unix, and whoever has no Cygwin or MSYS2 has it not".to_owned(),
                    Some(format!("look for a linker of MinGW in {}", report.linker())),
                ),
                Some(Origin::DebugRuntime) => (
                    "it is Visual C++'s for debugging, which may not be passed on".to_owned(),
                    Some("compile the C and C++ code with /MT or /MD, not /MTd or /MDd".to_owned()),
                ),
                Some(Origin::Package) | None => cause::of_library(library, report.suspects),
            };
            let why = format!("it needs {library:?}, which Windows does not have: {cause}");
            let fix =
                fix.unwrap_or_else(|| format!("look for what names it in {}", report.linker()));
            (why, fix)
        });
        let runtime = |library: &&String| is_redistributable(library);
        if let Some(library) = libraries.iter().find(runtime) {
            let why = format!(
                "it needs {library:?}, which comes with Visual C++'s redistributable package and not with Windows"
            );
            self.warning(
                "linkage-redistributable",
                why,
                "link with `-Ctarget-feature=+crt-static`",
            );
        }
    }
}

/// Where a DLL comes from that is not Windows's own.
enum Origin {
    Gcc,
    Unix,
    DebugRuntime,
    Package,
}

impl Origin {
    /// `None` for what Windows has or Visual C++'s package brings, as far as the name tells.
    fn of(library: &str) -> Option<Origin> {
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
            Some(Origin::Gcc)
        } else if ["cygwin1.dll", "msys-2.0.dll"].contains(&library) {
            Some(Origin::Unix)
        } else if is_redistributable(library)
            && library.strip_suffix("d.dll").is_some_and(|name| name.contains("140"))
            || library == "ucrtbased.dll"
        {
            Some(Origin::DebugRuntime)
        } else if library.starts_with("lib") && library.ends_with(".dll") {
            // MinGW's way of naming; Windows's own DLLs do without the prefix.
            Some(Origin::Package)
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

fn describe((machine, wide): (Machine, bool)) -> String {
    let name = match machine {
        pe::IMAGE_FILE_MACHINE_AMD64 => "x86_64".to_owned(),
        pe::IMAGE_FILE_MACHINE_I386 => "x86".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARM64 => "aarch64".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARMNT => "arm".to_owned(),
        other => format!("machine {:#x}", other.0),
    };
    format!("{name} ({})", if wide { "PE32+" } else { "PE32" })
}
