//! The rules for Mach-O files: a position-independent program that loads only macOS's own libraries.
//!
//! The format: `<mach-o/loader.h>`; the crate `object` has its structures.

use anyhow::{Context, Result, ensure};
use object::macho::{
    self, BuildVersionCommand, CpuSubtype, CpuSubtypeId, CpuType, DylibCommand, DylinkerCommand,
    EntryPointCommand, LinkeditDataCommand, LoadCommand, MachHeader64, Platform, RpathCommand,
    VersionMinCommand,
};
use object::{LittleEndian as LE, ReadRef};

use super::macho_segment::Segment;
use super::report::{MOST_LIBRARIES, Report, sorted};
use super::signature::SignedPages;
use super::{Linkage, MachO, Release, origin};
use crate::stamp::Input;
use crate::target::Target;

/// In bytes: of load commands. A large program has a few thousand.
const COMMANDS: u64 = 256 * 1024;
/// The folders of macOS's own libraries. Many are only in the loader's cache.
const SYSTEM: [&str; 2] = ["/usr/lib/", "/System/Library/"];
const LOADER: &str = "/usr/lib/dyld";

/// What the load commands say.
#[derive(Default)]
struct Commands {
    segments: Vec<Segment>,
    /// Where in the file the program begins (LC_MAIN).
    entry: Option<u64>,
    loader: Option<String>,
    libraries: Vec<String>,
    /// Where the loader looks for libraries named by @rpath.
    paths: Vec<String>,
    /// The systems that the program is for, and the oldest release of each.
    systems: Vec<(Platform, Release)>,
    /// The offset and size of the code signature.
    signature: Option<(u64, u64)>,
}

/// The processor of a target's programs; `None` for a target of another system.
pub(super) fn machine(target: &Target) -> Option<(CpuType, CpuSubtypeId)> {
    match target.arch() {
        _ if !target.is_darwin() => None,
        "aarch64" => Some((macho::CPU_TYPE_ARM64, macho::CPU_SUBTYPE_ARM64_ALL)),
        "x86_64" => Some((macho::CPU_TYPE_X86_64, macho::CPU_SUBTYPE_X86_64_ALL)),
        _ => None,
    }
}

/// Whether a processor is that of a target, whatever its capabilities.
pub(super) fn is_for(target: &Target, kind: CpuType, subtype: CpuSubtype) -> bool {
    machine(target) == Some((kind, subtype.id()))
}

/// A processor in words.
pub(super) fn describe(kind: CpuType, subtype: CpuSubtype) -> String {
    match (kind, subtype.id().0) {
        (macho::CPU_TYPE_ARM64, 0) => "aarch64".to_owned(),
        (macho::CPU_TYPE_ARM64, 2) => "arm64e".to_owned(),
        (macho::CPU_TYPE_X86_64, 3) => "x86_64".to_owned(),
        (macho::CPU_TYPE_X86_64, 8) => "x86_64h".to_owned(),
        (macho::CPU_TYPE_X86, _) => "x86".to_owned(),
        (CpuType(kind), subtype) => format!("CPU type {kind:#x}, subtype {subtype}"),
    }
}

/// Examines a file of one architecture.
pub(super) fn examine<'d, R: ReadRef<'d>>(
    report: &mut Report<'_>,
    data: R,
) -> Result<Option<(Linkage, Vec<SignedPages>)>> {
    let program = program(report, &Input::open(data)?)?;
    Ok(program.map(|(program, signed)| (Linkage::MachO(program), signed.into_iter().collect())))
}

/// Examines a program, which may be part of a universal file. `None` where it is not
/// understood, which is reported as an error; an error where it is damaged.
pub(super) fn program<'d, R: ReadRef<'d>>(
    report: &mut Report<'_>,
    input: &Input<R>,
) -> Result<Option<(MachO, Option<SignedPages>)>> {
    let header: &MachHeader64<LE> = input.record(0, "the Mach-O header")?;
    ensure!(
        header.magic.get(object::BigEndian) == macho::MH_CIGAM_64,
        "it is not a Mach-O file of 64 bits, little endian"
    );
    if !report.check_header(header) {
        return Ok(None);
    }
    let size = u64::from(header.sizeofcmds.get(LE));
    ensure!(size <= COMMANDS, "its {size} bytes of load commands are more than {COMMANDS}");
    let first = size_of::<MachHeader64<LE>>() as u64;
    let bytes = input.bytes(first, size, "the load commands")?;
    let commands = commands(bytes, header.ncmds.get(LE))?;
    for segment in &commands.segments {
        input.check(segment.offset, segment.size, &format!("the segment {}", segment.name))?;
    }
    report.check_protection(&commands.segments);
    report.check_start(&commands, first + size);
    report.check_libraries(&commands);
    let minimum_os = report.check_system(&commands.systems);
    let signed = report.signature(input, commands.signature, &commands.segments);
    Ok(minimum_os.map(|minimum_os| {
        let signature = signed.as_ref().map(|_| super::Signature::AdHoc);
        (MachO { libraries: sorted(commands.libraries), minimum_os, signature }, signed)
    }))
}

/// Reads the load commands that matter for running the program.
fn commands(bytes: &[u8], count: u32) -> Result<Commands> {
    let all = Input::open(bytes)?;
    let mut found = Commands::default();
    let mut at = 0;
    for number in 0..count {
        let what = &*format!("load command {number}");
        let head: &LoadCommand<LE> = all.record(at, what)?;
        let size = u64::from(head.cmdsize.get(LE));
        ensure!(size >= 8 && size % 8 == 0, "{what} has {size} bytes, not a multiple of 8");
        let command = all.part(at, size, what)?;
        found.read(head.cmd.get(LE), &command, what)?;
        at += size;
    }
    ensure!(at == all.len(), "its load commands have {at} bytes, not {}", all.len());
    Ok(found)
}

impl Commands {
    fn read(
        &mut self,
        kind: macho::LoadCommandType,
        command: &Input<&[u8]>,
        what: &str,
    ) -> Result<()> {
        match kind {
            macho::LC_SEGMENT_64 => self.segments.push(Segment::read(command, what)?),
            macho::LC_MAIN => {
                let main: &EntryPointCommand<LE> = command.record(0, what)?;
                ensure!(self.entry.is_none(), "it has more than one entry point (LC_MAIN)");
                self.entry = Some(main.entryoff.get(LE));
            }
            macho::LC_LOAD_DYLINKER => {
                let loader: &DylinkerCommand<LE> = command.record(0, what)?;
                self.loader = Some(string(command, loader.name.offset.get(LE), what)?);
            }
            macho::LC_LOAD_DYLIB
            | macho::LC_LOAD_WEAK_DYLIB
            | macho::LC_REEXPORT_DYLIB
            | macho::LC_LAZY_LOAD_DYLIB
            | macho::LC_LOAD_UPWARD_DYLIB => {
                let library: &DylibCommand<LE> = command.record(0, what)?;
                self.libraries.push(string(command, library.dylib.name.offset.get(LE), what)?);
            }
            macho::LC_RPATH => {
                let path: &RpathCommand<LE> = command.record(0, what)?;
                self.paths.push(string(command, path.path.offset.get(LE), what)?);
            }
            macho::LC_BUILD_VERSION => {
                let build: &BuildVersionCommand<LE> = command.record(0, what)?;
                self.systems.push((build.platform.get(LE), release(build.minos.get(LE))));
            }
            macho::LC_VERSION_MIN_MACOSX
            | macho::LC_VERSION_MIN_IPHONEOS
            | macho::LC_VERSION_MIN_TVOS
            | macho::LC_VERSION_MIN_WATCHOS => {
                let oldest: &VersionMinCommand<LE> = command.record(0, what)?;
                let platform = match kind {
                    macho::LC_VERSION_MIN_MACOSX => macho::PLATFORM_MACOS,
                    macho::LC_VERSION_MIN_IPHONEOS => macho::PLATFORM_IOS,
                    macho::LC_VERSION_MIN_TVOS => macho::PLATFORM_TVOS,
                    _ => macho::PLATFORM_WATCHOS,
                };
                self.systems.push((platform, release(oldest.version.get(LE))));
            }
            macho::LC_CODE_SIGNATURE => {
                let place: &LinkeditDataCommand<LE> = command.record(0, what)?;
                ensure!(self.signature.is_none(), "it has more than one code signature");
                self.signature =
                    Some((place.dataoff.get(LE).into(), place.datasize.get(LE).into()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The string at an offset in a load command.
fn string(command: &Input<&[u8]>, offset: u32, what: &str) -> Result<String> {
    let left = command.len().checked_sub(offset.into());
    let left =
        left.with_context(|| format!("the string of {what} is at {offset}, after its end"))?;
    command.text(offset.into(), left, &format!("the string of {what}"))
}

fn release(version: macho::Version) -> Release {
    Release {
        major: version.major(),
        minor: version.minor().into(),
        patch: version.update().into(),
    }
}

impl Report<'_> {
    /// Returns whether the file is a program at all: only then do further checks make sense.
    fn check_header(&mut self, header: &MachHeader64<LE>) -> bool {
        let kind = header.cputype.get(LE);
        let subtype = header.cpusubtype.get(LE);
        if !is_for(self.target, kind, subtype) {
            self.other_machine(&describe(kind, subtype), self.target.arch());
        }
        if header.filetype.get(LE) != macho::MH_EXECUTE {
            let kind = match header.filetype.get(LE) {
                macho::MH_OBJECT => "an object file, which was not linked".to_owned(),
                macho::MH_CORE => "a core dump".to_owned(),
                macho::MH_DYLIB => "a dynamic library".to_owned(),
                macho::MH_BUNDLE => "a bundle for other programs to load".to_owned(),
                macho::MH_DSYM => "a program's debug information".to_owned(),
                other => format!("a Mach-O file of type {other}"),
            };
            let fix = "hand over what cargo names as the executable of a binary target";
            self.error("linkage-type", format!("it is {kind}, not a program"), fix);
            return false;
        }
        let flags = header.flags.get(LE);
        if !flags.contains(macho::MH_PIE) {
            let fix = "take `-no_pie` out of the linker's arguments, and `-Crelocation-model=static` out of rustc's";
            self.error("linkage-pie", "it is not position-independent (MH_PIE)", fix);
        }
        if flags.contains(macho::MH_ALLOW_STACK_EXECUTION) {
            let why = "it asks for an executable stack (MH_ALLOW_STACK_EXECUTION)";
            let fix = "take `-allow_stack_execute` out of the linker's arguments";
            self.error("linkage-exec-stack", why, fix);
        }
        true
    }

    fn check_protection(&mut self, segments: &[Segment]) {
        for segment in segments {
            if segment.is_executable() && segment.protection.contains(macho::VM_PROT_WRITE) {
                let why = format!("its segment {} is both writable and executable", segment.name);
                let fix = "take `-segprot` out of the linker's arguments, and packers such as upx out of the build";
                self.error("linkage-writable-code", why, fix);
            }
        }
    }

    /// Checks how the program is started. Its code begins after the first `headers` bytes.
    fn check_start(&mut self, commands: &Commands, headers: u64) {
        let fix = "take `-static`, `-dylinker_install_name` and `-e` out of the linker's arguments";
        let started = match &commands.loader {
            Some(path) => format!("it is started by {path:?}, but"),
            None => "it names no loader (LC_LOAD_DYLINKER);".to_owned(),
        };
        if commands.loader.as_deref() != Some(LOADER) {
            let why = format!("{started} macOS's loader is {LOADER}");
            self.error("linkage-interpreter", why, fix);
        }
        let why = match commands.entry {
            None => "it has no entry point (LC_MAIN)".to_owned(),
            Some(entry) => {
                let holds = |segment: &Segment| {
                    segment.is_executable() && (segment.offset..segment.end()).contains(&entry)
                };
                if entry >= headers && commands.segments.iter().any(holds) {
                    return;
                }
                format!("its entry point {entry:#x} lies in no executable segment")
            }
        };
        self.error("linkage-entry-point", why, fix);
    }

    fn check_libraries(&mut self, commands: &Commands) {
        let wrong = commands.libraries.iter().filter(|path| !is_systems(path));
        self.libraries(wrong, |report, path| {
            let (origin, fix) = origin::of_library(path, report.suspects);
            let why = format!(
                "it needs the dynamic library {path:?}, which is not macOS's own: {origin}"
            );
            let fix =
                fix.unwrap_or_else(|| format!("look for what names it in {}", report.linker()));
            (why, fix)
        });
        let foreign = |path: &&String| path.starts_with('/') && !is_systems(&format!("{path}/"));
        for path in commands.paths.iter().filter(foreign).take(MOST_LIBRARIES) {
            let why = format!(
                "it looks for libraries in {path:?} (LC_RPATH), a folder of the machine that built it"
            );
            let fix =
                "take `-rpath` out of the linker's arguments and out of what build scripts print";
            self.error("linkage-library-path", why, fix);
        }
    }

    /// The oldest macOS that the program declares to run on.
    fn check_system(&mut self, systems: &[(Platform, Release)]) -> Option<Release> {
        let fix = format!("look for a linker of another system in {}", self.linker());
        let other = systems.iter().find(|(platform, _)| *platform != macho::PLATFORM_MACOS);
        if let Some((platform, _)) = other {
            let name = match *platform {
                macho::PLATFORM_IOS => "iOS".to_owned(),
                macho::PLATFORM_TVOS => "tvOS".to_owned(),
                macho::PLATFORM_WATCHOS => "watchOS".to_owned(),
                macho::PLATFORM_MACCATALYST => "Mac Catalyst".to_owned(),
                other => format!("platform {}", other.0),
            };
            self.error("linkage-platform", format!("it is for {name}, not for macOS"), fix);
            return None;
        }
        let oldest = systems.iter().map(|(_, release)| *release).max();
        if oldest.is_none() {
            let why = "it does not say which system it is for (LC_BUILD_VERSION)";
            self.error("linkage-platform", why, fix);
        }
        oldest
    }
}

/// Whether a path is within macOS's own folders, and does not lead out of them.
fn is_systems(path: &str) -> bool {
    SYSTEM.iter().any(|folder| path.starts_with(folder)) && !path.split('/').any(|it| it == "..")
}
