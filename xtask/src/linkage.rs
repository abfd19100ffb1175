//! Proof that a file is a static program for its target: one that the kernel
//! starts without a loader, that wants no shared library, and that has no memory
//! both written and executed.
//!
//! Only headers and tables are read, so that a debug binary of 100 MB costs as
//! little as a stripped one.

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, ReadRef};
use serde::Serialize;

use crate::finding::{Finding, Place, Severity};
use crate::target::Target;

mod cause;
mod image;
mod machine;
mod prove;

use image::{Dynamic, Elf, Identity, Segment};
use machine::{Expected, Stack};
pub use prove::{Binary, prove};

/// How many shared libraries are named, each in a finding of its own.
const LIBRARIES: usize = 64;

/// What an ELF file was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Linkage {
    /// Whether the kernel may load it at a random address (ET_DYN).
    pub pie: bool,
    pub relro: Relro,
    /// Whether glibc, and not musl, is the C library inside.
    pub static_glibc: bool,
}

/// How much of its relocated data a file asks to have protected once it has
/// started. It is what the file asks for: musl's start code of a static program
/// (1.2.5) leaves that memory writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relro {
    /// There is no PT_GNU_RELRO.
    None,
    /// There is PT_GNU_RELRO, and functions may be bound later.
    Partial,
    /// There is PT_GNU_RELRO, and all functions are bound at the start (BIND_NOW).
    Full,
}

/// A crate of the package's graph that could have brought a library in.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    /// Its name, such as `openssl-sys`.
    pub krate: &'a str,
    /// `links` of its manifest, such as `openssl`.
    pub links: Option<&'a str>,
}

/// Says what the file in `data` is, with warnings, when it is a static program
/// for `target`; otherwise all that is wrong with it at once, at least one error.
///
/// `data` is a `&[u8]`, or a `&object::ReadCache` of which only the needed parts
/// are read. `place` is where the findings are said to stand; `suspects` are the
/// crates to look among for who brought a library.
pub fn inspect<'d, R: ReadRef<'d>>(
    data: R,
    target: &Target,
    place: &Place,
    suspects: &[Suspect<'_>],
) -> Result<(Linkage, Vec<Finding>), Vec<Finding>> {
    let Some(expected) = Expected::of(target) else {
        let why = format!("whether a program for {target} is static cannot be proved");
        let fix = "name a target of Linux with musl, such as x86_64-unknown-linux-musl";
        return Err(vec![Finding::error("linkage-unsupported", place.clone(), why, fix)]);
    };
    let mut report = Report { target, expected: &expected, place, suspects, findings: Vec::new() };
    let linkage = match image::class(data) {
        Ok(elf::ELFCLASS32) => report.examine::<FileHeader32<Endianness>, R>(data),
        Ok(elf::ELFCLASS64) => report.examine::<FileHeader64<Endianness>, R>(data),
        Ok(class) => {
            report.malformed(&anyhow::anyhow!("its ELF class is {class}, neither 32 nor 64 bits"))
        }
        Err(error) => report.foreign(&error),
    };
    match linkage {
        Some(linkage)
            if report.findings.iter().all(|finding| finding.severity == Severity::Warning) =>
        {
            Ok((linkage, report.findings))
        }
        _ => Err(report.findings),
    }
}

/// What is found about one file, as it is found.
struct Report<'a> {
    target: &'a Target,
    expected: &'a Expected,
    place: &'a Place,
    suspects: &'a [Suspect<'a>],
    findings: Vec<Finding>,
}

impl Report<'_> {
    /// `None` where the file could not be understood, which is then an error among the findings.
    fn examine<'d, E, R>(&mut self, data: R) -> Option<Linkage>
    where
        E: FileHeader<Endian = Endianness>,
        R: ReadRef<'d>,
    {
        let file = match Elf::<E, R>::open(data) {
            Ok(file) => file,
            Err(error) => return self.malformed(&error),
        };
        if !self.identity(&file.identity) {
            return None;
        }
        self.segments(&file.segments);
        self.entry_point(&file.identity, &file.segments);
        match file.interpreter() {
            Ok(Some(path)) => self.interpreter(&path),
            Ok(None) => {}
            Err(error) => return self.malformed(&error),
        }
        let dynamic = match file.dynamic() {
            Ok(dynamic) => dynamic,
            Err(error) => return self.malformed(&error),
        };
        self.dynamic(&file.identity, dynamic.as_ref());
        let static_glibc = match self.glibc(&file, dynamic.as_ref()) {
            Ok(found) => found,
            Err(error) => return self.malformed(&error),
        };
        Some(Linkage {
            pie: file.identity.kind == elf::ET_DYN,
            relro: relro(&file.segments, dynamic.as_ref()),
            static_glibc,
        })
    }

    /// Says whether the file is a program at all; further questions make sense only then.
    fn identity(&mut self, file: &Identity) -> bool {
        let (target, expected) = (self.target, self.expected);
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
    fn segments(&mut self, segments: &[Segment]) {
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
        match self.expected.stack {
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
                   so that musl's start code is linked";
        self.error("linkage-entry-point", why, fix);
    }

    fn interpreter(&mut self, path: &str) {
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
        for library in dynamic.needed.iter().take(LIBRARIES) {
            let (cause, fix) = cause::of_library(library, self.suspects);
            let fix = fix.unwrap_or_else(|| self.relink());
            self.error(
                "linkage-needed",
                format!("it needs the shared library {library:?}: {cause}"),
                fix,
            );
        }
        if let Some(more @ 1..) = dynamic.needed.len().checked_sub(LIBRARIES) {
            self.error(
                "linkage-needed",
                format!("it needs {more} more shared libraries"),
                self.relink(),
            );
        }
        if dynamic.value(elf::DT_TEXTREL).is_some() || dynamic.flags().contains(elf::DF_TEXTREL) {
            let why = "it has relocations within its read-only segments (DT_TEXTREL), \
                       which musl's start code cannot apply";
            let fix = "compile the C and assembly objects with -fPIC, \
                       or the program with `-Crelocation-model=static`";
            self.error("linkage-text-relocations", why, fix);
        }
    }

    /// Says whether glibc is within, and warns of it.
    ///
    /// Its start code carries the note NT_GNU_ABI_TAG (glibc's csu/abi-note.c), which
    /// musl's does not. Where that note was taken away, indirect functions, which
    /// musl does not have, are a reason to look for glibc's strings.
    fn glibc<'d, E, R>(
        &mut self,
        file: &Elf<'d, E, R>,
        dynamic: Option<&Dynamic>,
    ) -> anyhow::Result<bool>
    where
        E: FileHeader<Endian = Endianness>,
        R: ReadRef<'d>,
    {
        let noted = file.has_abi_note()?;
        let indirect = match self.expected.indirect {
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
            self.warning(
                "linkage-glibc",
                format!("glibc is linked into it, not musl, {tail}"),
                self.relink(),
            );
            return Ok(true);
        }
        let why = "it has indirect functions (IRELATIVE relocations), \
                   which musl's start code leaves unresolved, so that calling one crashes";
        let fix =
            "compile the C code without `ifunc` and `target_clones`, for musl and not for glibc";
        self.warning("linkage-indirect-functions", why, fix);
        Ok(false)
    }

    /// The file is not ELF, or could not be read.
    fn foreign(&mut self, error: &anyhow::Error) -> Option<Linkage> {
        let fix = format!("look for a linker that writes other files in {}", self.linker());
        self.error("linkage-format", format!("{error:#}"), fix);
        None
    }

    fn malformed(&mut self, error: &anyhow::Error) -> Option<Linkage> {
        let fix = "build it again; where that doesn't help, leave out what changes it after the linker: \
                   strip, objcopy, a packer";
        self.error("linkage-malformed", format!("it is damaged: {error:#}"), fix);
        None
    }

    /// How a program is linked with rustc's own musl.
    fn relink(&self) -> String {
        format!(
            "link it with rust-lld and rustc's own musl, by `-Clinker=rust-lld -Ctarget-feature=+crt-static \
             -Clink-self-contained=yes`; look for another linker or another crt-static in {}",
            self.linker()
        )
    }

    /// Where cargo takes the target's linker and flags from.
    fn linker(&self) -> String {
        let (target, name) = (self.target, self.target.env_name());
        format!("[target.{target}] of .cargo/config.toml, CARGO_TARGET_{name}_LINKER or RUSTFLAGS")
    }

    fn error(&mut self, rule: &'static str, why: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::error(rule, self.place.clone(), why, fix));
    }

    fn warning(&mut self, rule: &'static str, why: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::warning(rule, self.place.clone(), why, fix));
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

#[cfg(test)]
mod tests;
