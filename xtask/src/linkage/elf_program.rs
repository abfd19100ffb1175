//! What an ELF file must be: a static program for musl, or one that glibc's own
//! loader starts.

use anyhow::Result;
use object::elf;
use object::read::elf::FileHeader;
use object::{Endianness, ReadRef};

use super::image::{Dynamic, Elf as File, Identity, Segment};
use super::machine::{self, CLibrary, Expected, Stack};
use super::{Elf, Loading, Relro, Report, cause, glibc, sorted};
use crate::finding::Severity;

/// Examines an ELF file of one class. `None` where it is no program at all, which
/// is then an error among the findings; an error where it is damaged.
pub(super) fn examine<'d, E, R>(
    report: &mut Report<'_>,
    expected: &Expected,
    data: R,
) -> Result<Option<Elf>>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let file = File::<E, R>::open(data)?;
    if !report.identity(expected, &file.identity) {
        return Ok(None);
    }
    report.segments(expected, &file.segments);
    report.entry_point(&file.identity, &file.segments);
    let interpreter = file.interpreter()?;
    if let Some(path) = &interpreter {
        report.interpreter(expected, path);
    }
    let dynamic = file.dynamic()?;
    report.dynamic(&file.identity, dynamic.as_ref());
    let (pie, relro) = (file.identity.kind == elf::ET_DYN, relro(&file.segments, dynamic.as_ref()));
    let loading = match (&expected.library, interpreter) {
        (CLibrary::Glibc { loader }, Some(_)) => {
            let release = glibc::examine(report, loader, &file, dynamic.as_ref())?;
            let libraries = dynamic.map(|dynamic| dynamic.needed).unwrap_or_default();
            Loading::Dynamic { libraries: sorted(libraries), glibc: release }
        }
        _ => {
            report.static_libraries(expected, dynamic.as_ref());
            Loading::Static { glibc: report.glibc_within(expected, &file, dynamic.as_ref())? }
        }
    };
    Ok(Some(Elf { pie, relro, loading }))
}

impl Report<'_> {
    /// Says whether the file is a program at all; further questions make sense only then.
    fn identity(&mut self, expected: &Expected, file: &Identity) -> bool {
        let target = self.target;
        if (file.machine, file.wide, file.big) != (expected.machine, expected.wide, expected.big) {
            let is = machine::describe(file.machine, file.wide, file.big);
            let wanted = machine::describe(expected.machine, expected.wide, expected.big);
            let fix = format!("look for a linker of another architecture in {}", self.linker());
            self.error(
                "linkage-machine",
                format!("it is for {is}, but {target} needs {wanted}"),
                fix,
            );
        }
        if ![elf::ELFOSABI_NONE, elf::ELFOSABI_GNU].contains(&file.os_abi) {
            let why = format!("its EI_OSABI is {}, which is not Linux (0 or 3)", file.os_abi);
            self.error("linkage-os-abi", why, self.relink());
        }
        let kind = match file.kind {
            elf::ET_EXEC | elf::ET_DYN => return true,
            elf::ET_REL => "an object file, which no linker has seen".to_owned(),
            elf::ET_CORE => "a core dump".to_owned(),
            other => format!("an ELF file of type {other}"),
        };
        let fix = "hand over what cargo names as the executable of a binary target";
        self.error("linkage-type", format!("it is {kind}, not a program"), fix);
        false
    }

    /// What the program headers make the kernel map.
    fn segments(&mut self, expected: &Expected, segments: &[Segment]) {
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
        match expected.stack {
            _ if stacks.peek().is_some() => {
                if stacks.any(|stack| stack.flags.contains(elf::PF_X)) {
                    self.error(
                        "linkage-exec-stack",
                        "its PT_GNU_STACK asks for an executable stack",
                        fix,
                    );
                }
            }
            Stack::Executable => {
                self.error(
                    "linkage-exec-stack",
                    missing("the kernel may then make the stack executable"),
                    fix,
                );
            }
            Stack::ExecutableBefore58 => {
                let why = missing(
                    "kernels before 5.8 then make the stack and all that is readable executable",
                );
                self.error("linkage-exec-stack", why, fix);
            }
            Stack::Protected => {
                let why =
                    missing("only the kernel's default keeps the stack from being executable");
                self.warning("linkage-exec-stack", why, fix);
            }
        }
    }

    fn entry_point(&mut self, file: &Identity, segments: &[Segment]) {
        if segments.iter().all(|segment| segment.kind != elf::PT_LOAD) {
            let fix = "hand over the linked program, not its debug information";
            return self.error(
                "linkage-no-code",
                "it has no segment that is loaded (PT_LOAD)",
                fix,
            );
        }
        let runs =
            |segment: &Segment| segment.kind == elf::PT_LOAD && segment.flags.contains(elf::PF_X);
        if file.entry != 0
            && segments.iter().any(|segment| runs(segment) && segment.has_in_file(file.entry))
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

    /// A loader is wrong for musl, and for glibc where it is not its own one: not
    /// that of another architecture, nor one in a folder of the machine that built the file.
    fn interpreter(&mut self, expected: &Expected, path: &str) {
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
        let cause = cause::of_interpreter(path);
        self.error(
            "linkage-interpreter",
            format!("it is started by {path:?}: {cause}"),
            self.relink(),
        );
    }

    /// What the dynamic table asks for. A static program that is position
    /// independent has one too, to relocate itself by.
    fn dynamic(&mut self, file: &Identity, dynamic: Option<&Dynamic>) {
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

    /// A program that no loader starts has no use for libraries.
    fn static_libraries(&mut self, expected: &Expected, dynamic: Option<&Dynamic>) {
        let Some(dynamic) = dynamic else { return };
        let glibc = matches!(expected.library, CLibrary::Glibc { .. });
        self.libraries(dynamic.needed.iter(), |report, library| {
            let (cause, fix) = match glibc {
                true => ("no loader is named (PT_INTERP) that would load it".to_owned(), None),
                false => cause::of_library(library, report.suspects),
            };
            let why = format!("it needs the shared library {library:?}: {cause}");
            (why, fix.unwrap_or_else(|| report.relink()))
        });
    }

    /// Says whether glibc is within, and warns of it.
    ///
    /// Its start code carries the note NT_GNU_ABI_TAG (glibc's csu/abi-note.c), which
    /// musl's does not. Where that note was taken away, indirect functions, which
    /// musl does not have, are a reason to look for glibc's strings.
    fn glibc_within<'d, E, R>(
        &mut self,
        expected: &Expected,
        file: &File<'d, E, R>,
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
        // Glibc in shared libraries has already been said.
        if !(noted || indirect)
            || self.findings.iter().any(|finding| finding.severity == Severity::Error)
        {
            return Ok(false);
        }
        let [banner, switch] = file.find_texts(["GNU C Library", "/etc/nsswitch.conf"])?;
        if noted || banner || switch {
            let tail = match switch {
                true => {
                    "and its lookups of hosts and users, which are within, load shared libraries at run time"
                }
                false => {
                    "and parts of it, such as lookups of hosts and users, load shared libraries at run time"
                }
            };
            let (not_musl, fix) = match expected.library {
                CLibrary::Musl => (", not musl", self.relink()),
                CLibrary::Glibc { .. } => {
                    let fix = "leave `-Ctarget-feature=+crt-static` out, or name the target with musl, \
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
                   which musl's start code leaves unresolved, so that calling one crashes";
        let fix =
            "compile the C code without `ifunc` and `target_clones`, for musl and not for glibc";
        self.warning("linkage-indirect-functions", why, fix);
        Ok(false)
    }

    /// How a program is linked without libraries.
    fn relink(&self) -> String {
        let linker = self.linker();
        match self.target.is_musl() {
            true => format!(
                "link it with rust-lld and rustc's own musl, by `-Clinker=rust-lld -Ctarget-feature=+crt-static \
                 -Clink-self-contained=yes`; look for another linker or another crt-static in {linker}"
            ),
            false => format!(
                "link it as rustc does by itself, by a C compiler for {}; look for another linker in {linker}",
                self.target.triple()
            ),
        }
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
    match dynamic.is_some_and(bound) {
        true => Relro::Full,
        false => Relro::Partial,
    }
}
