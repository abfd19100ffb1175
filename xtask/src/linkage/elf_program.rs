//! The rules for ELF files: a static program for musl, or one that glibc's own loader starts.

use anyhow::Result;
use object::elf;
use object::read::elf::FileHeader;
use object::{Endianness, ReadRef};

use super::elf_file::{Dynamic, ElfFile, Identity, Segment};
use super::machine::{self, CLibrary, Expected, Stack};
use super::report::{Report, sorted};
use super::{Elf, Loading, Relro, glibc, origin};
use crate::finding::Severity;

/// Examines an ELF file of one class. `None` where it is not a program, which is reported as
/// an error; an error where it is damaged.
pub(super) fn examine<'d, E, R>(
    report: &mut Report<'_>,
    expected: &Expected,
    data: R,
) -> Result<Option<Elf>>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let file = ElfFile::<E, R>::open(data)?;
    if !report.check_identity(expected, &file.identity) {
        return Ok(None);
    }
    report.check_segments(expected, &file.segments);
    report.check_entry_point(&file.identity, &file.segments);
    let interpreter = file.interpreter()?;
    if let Some(path) = &interpreter {
        report.check_interpreter(expected, path);
    }
    let dynamic = file.dynamic()?;
    report.check_dynamic(&file.identity, dynamic.as_ref());
    let pie = file.identity.kind == elf::ET_DYN;
    let relro = relro(&file.segments, dynamic.as_ref());
    let loading = match (&expected.library, interpreter) {
        (CLibrary::Glibc { loader }, Some(_)) => {
            let release = glibc::examine(report, loader, &file, dynamic.as_ref())?;
            let libraries = dynamic.map(|dynamic| dynamic.needed).unwrap_or_default();
            Loading::Dynamic { libraries: sorted(libraries), glibc: release }
        }
        _ => {
            report.check_static_libraries(expected, dynamic.as_ref());
            Loading::Static { glibc: report.check_static_glibc(expected, &file, dynamic.as_ref())? }
        }
    };
    Ok(Some(Elf { pie, relro, loading }))
}

impl Report<'_> {
    /// Returns whether the file is a program at all: only then do further checks make sense.
    fn check_identity(&mut self, expected: &Expected, file: &Identity) -> bool {
        let found = (file.machine, file.is_64, file.big_endian);
        if found != (expected.machine, expected.is_64, expected.big_endian) {
            let found = machine::describe(file.machine, file.is_64, file.big_endian);
            let wanted = machine::describe(expected.machine, expected.is_64, expected.big_endian);
            self.other_machine(&found, &wanted);
        }
        if ![elf::ELFOSABI_NONE, elf::ELFOSABI_GNU].contains(&file.os_abi) {
            let why = format!("its EI_OSABI is {}, which is not Linux (0 or 3)", file.os_abi);
            self.error("linkage-os-abi", why, self.relink());
        }
        let kind = match file.kind {
            elf::ET_EXEC | elf::ET_DYN => return true,
            elf::ET_REL => "an object file, which was not linked".to_owned(),
            elf::ET_CORE => "a core dump".to_owned(),
            other => format!("an ELF file of type {other}"),
        };
        let fix = "hand over what cargo names as the executable of a binary target";
        self.error("linkage-type", format!("it is {kind}, not a program"), fix);
        false
    }

    /// Checks how the kernel maps the program.
    fn check_segments(&mut self, expected: &Expected, segments: &[Segment]) {
        for segment in segments.iter().filter(|segment| segment.kind == elf::PT_LOAD) {
            if segment.flags.contains(elf::PF_W.with(elf::PF_X)) {
                let why = format!(
                    "its segment at {:#x} is both writable and executable",
                    segment.address
                );
                let fix = "take `-N`, `--omagic` and linker scripts out of the linker's arguments, \
                           and packers such as upx out of the build";
                self.error("linkage-writable-code", why, fix);
            }
        }
        let mut stacks =
            segments.iter().filter(|segment| segment.kind == elf::PT_GNU_STACK).peekable();
        let fix = "give each object in assembly `.section .note.GNU-stack,\"\",%progbits`, \
                   or link with `-Clink-arg=-znoexecstack`";
        let arch = self.target.arch();
        let missing = |then: &str| format!("it has no PT_GNU_STACK, and {then} on {arch}");
        let rule = "linkage-exec-stack";
        match expected.stack {
            _ if stacks.peek().is_some() => {
                if stacks.any(|stack| stack.flags.contains(elf::PF_X)) {
                    self.error(rule, "its PT_GNU_STACK asks for an executable stack", fix);
                }
            }
            Stack::Executable => {
                let why = missing("the kernel may then make the stack executable");
                self.error(rule, why, fix);
            }
            Stack::ExecutableBefore58 => {
                let why = missing(
                    "kernels before 5.8 then make the stack and all that is readable executable",
                );
                self.error(rule, why, fix);
            }
            Stack::Protected => {
                let why =
                    missing("only the kernel's default keeps the stack from being executable");
                self.warning(rule, why, fix);
            }
        }
    }

    fn check_entry_point(&mut self, file: &Identity, segments: &[Segment]) {
        if segments.iter().all(|segment| segment.kind != elf::PT_LOAD) {
            let fix = "hand over the linked program, not its debug information";
            return self.error("linkage-no-code", "it has no loaded segment (PT_LOAD)", fix);
        }
        let is_code =
            |segment: &Segment| segment.kind == elf::PT_LOAD && segment.flags.contains(elf::PF_X);
        if file.entry != 0
            && segments.iter().any(|segment| is_code(segment) && segment.has_in_file(file.entry))
        {
            return;
        }
        let why = match file.entry {
            0 => "its entry point is 0".to_owned(),
            entry => format!("its entry point {entry:#x} lies in no executable segment"),
        };
        let fix = "take `-nostartfiles`, `-nostdlib` and `-shared` out of the linker's arguments, \
                   so that the C library's start code is linked";
        self.error("linkage-entry-point", why, fix);
    }

    /// Reports any loader for musl, and every loader but its own for glibc: one of another
    /// architecture, say, or one in a folder of the machine that built the file.
    fn check_interpreter(&mut self, expected: &Expected, path: &str) {
        if let CLibrary::Glibc { loader } = expected.library {
            if path != loader {
                let why = format!(
                    "it is started by {path:?}, but glibc's loader for {} is {loader}",
                    self.target.triple()
                );
                let fix = format!(
                    "take `-dynamic-linker` out of the linker's arguments, or look for a linker of another system in {}",
                    self.linker()
                );
                self.error("linkage-interpreter", why, fix);
            }
            return;
        }
        let why = format!("it is started by {path:?}: {}", origin::of_interpreter(path));
        self.error("linkage-interpreter", why, self.relink());
    }

    /// Checks the dynamic table. A position-independent static program has one too, by which it
    /// relocates itself.
    fn check_dynamic(&mut self, file: &Identity, dynamic: Option<&Dynamic>) {
        let Some(dynamic) = dynamic else {
            if file.kind == elf::ET_DYN {
                let why = "it is position-independent, but has no dynamic table (PT_DYNAMIC) to relocate itself by";
                self.error("linkage-type", why, self.relink());
            }
            return;
        };
        if dynamic.value(elf::DT_SONAME).is_some() && !dynamic.flags_1().contains(elf::DF_1_PIE) {
            let fix = "hand over what cargo names as the executable of a binary target, not a cdylib or dylib";
            self.error("linkage-type", "it is a shared library (DT_SONAME), not a program", fix);
        }
        if dynamic.value(elf::DT_TEXTREL).is_some() || dynamic.flags().contains(elf::DF_TEXTREL) {
            let why = "it has relocations within its read-only segments (DT_TEXTREL), which musl's start code \
                       cannot apply, and glibc's loader only by making code writable";
            let fix = "compile the C and assembly objects with -fPIC, \
                       or the program with `-Crelocation-model=static`";
            self.error("linkage-text-relocations", why, fix);
        }
    }

    /// Reports libraries of a program that no loader starts.
    fn check_static_libraries(&mut self, expected: &Expected, dynamic: Option<&Dynamic>) {
        let Some(dynamic) = dynamic else { return };
        let glibc = matches!(expected.library, CLibrary::Glibc { .. });
        self.libraries(dynamic.needed.iter(), |report, library| {
            let (origin, fix) = if glibc {
                ("the program names no loader (PT_INTERP) to load it".to_owned(), None)
            } else {
                origin::of_library(library, report.suspects)
            };
            let why = format!("it needs the shared library {library:?}: {origin}");
            (why, fix.unwrap_or_else(|| report.relink()))
        });
    }

    /// Returns whether glibc is linked into the program, and warns of it.
    ///
    /// glibc's start code has the note NT_GNU_ABI_TAG (glibc's csu/abi-note.c), and musl's does
    /// not. The note may have been removed: then indirect functions, which musl does not have,
    /// are a reason to look for glibc's strings.
    fn check_static_glibc<'d, E, R>(
        &mut self,
        expected: &Expected,
        file: &ElfFile<'d, E, R>,
        dynamic: Option<&Dynamic>,
    ) -> Result<bool>
    where
        E: FileHeader<Endian = Endianness>,
        R: ReadRef<'d>,
    {
        let noted = file.has_abi_note()?;
        let indirect = match expected.indirect {
            Some(kind) => file.has_relocation(kind, dynamic)?,
            None => false,
        };
        // A shared glibc was already reported.
        if !(noted || indirect)
            || self.findings.iter().any(|finding| finding.severity == Severity::Error)
        {
            return Ok(false);
        }
        let [banner, switch] = file.find_texts(["GNU C Library", "/etc/nsswitch.conf"])?;
        if noted || banner || switch {
            let tail = if switch {
                "and its lookups of hosts and users, which are linked too, load shared libraries at run time"
            } else {
                "and parts of it, such as lookups of hosts and users, load shared libraries at run time"
            };
            let (not_musl, fix) = match expected.library {
                CLibrary::Musl => (", not musl", self.relink()),
                CLibrary::Glibc { .. } => {
                    let fix = "leave out `-Ctarget-feature=+crt-static`, or name the target with musl, \
                               which is made for static programs";
                    ("", fix.to_owned())
                }
            };
            let why = format!("glibc is linked into it{not_musl}, {tail}");
            self.warning("linkage-glibc", why, fix);
            return Ok(true);
        }
        if matches!(expected.library, CLibrary::Glibc { .. }) {
            return Ok(false);
        }
        let why = "it has indirect functions (IRELATIVE relocations), \
                   which musl's start code leaves unresolved: calling one crashes";
        let fix = "compile the C code for musl, not for glibc, without `ifunc` and `target_clones`";
        self.warning("linkage-indirect-functions", why, fix);
        Ok(false)
    }

    /// How to link a program for the target.
    fn relink(&self) -> String {
        let linker = self.linker();
        if self.target.is_musl() {
            return format!(
                "link it with rust-lld and rustc's own musl, by `-Clinker=rust-lld -Ctarget-feature=+crt-static \
                 -Clink-self-contained=yes`; look for another linker or another crt-static in {linker}"
            );
        }
        format!(
            "link it as rustc does by default, with a C compiler for {}; look for another linker in {linker}",
            self.target.triple()
        )
    }
}

fn relro(segments: &[Segment], dynamic: Option<&Dynamic>) -> Relro {
    if segments.iter().all(|segment| segment.kind != elf::PT_GNU_RELRO) {
        return Relro::None;
    }
    let bound = |dynamic: &Dynamic| {
        dynamic.value(elf::DT_BIND_NOW).is_some()
            || dynamic.flags().contains(elf::DF_BIND_NOW)
            || dynamic.flags_1().contains(elf::DF_1_NOW)
    };
    if dynamic.is_some_and(bound) { Relro::Full } else { Relro::Partial }
}
