//! Proof that a file is what its target says: for musl a static program, which the
//! kernel starts without a loader; for glibc, macOS and Windows one that wants no
//! library but those of the system; and none that has memory both written and
//! executed.
//!
//! Only headers and tables are read, so that a debug binary of 100 MB costs as
//! little as a stripped one; and, in passing, what a code signature covers.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use object::elf::{self, FileHeader32, FileHeader64};
use object::{Endianness, ReadCache, ReadRef};
use serde::Serialize;

use crate::finding::{Finding, Place, Severity};
use crate::target::Target;

mod cause;
mod elf_program;
mod format;
mod glibc;
mod image;
mod input;
mod machine;
mod macho;
mod pe;
mod prove;
mod record;
mod signature;
mod universal;

use format::Format;
use machine::Expected;
pub use prove::{Binary, prove};
use signature::Signed;

/// How many shared libraries are complained of, each in a finding of its own.
const LIBRARIES: usize = 64;

/// What a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// For Linux.
    Elf(Elf),
    /// For macOS.
    MachO(MachO),
    /// For macOS, one program for each target.
    Universal(BTreeMap<Target, MachO>),
    /// For Windows.
    Pe(Pe),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Whether the kernel may load it at a random address (ET_DYN).
    pub pie: bool,
    pub relro: Relro,
    pub loading: Loading,
}

/// Who loads the libraries of an ELF program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loading {
    /// There are none. `glibc` says whether glibc, and not musl, is the C library inside.
    Static { glibc: bool },
    /// Glibc's loader does.
    Dynamic {
        /// Sorted, without duplicates.
        libraries: Vec<String>,
        /// The oldest glibc that has all symbols that are asked for, where one is asked for.
        glibc: Option<Release>,
    },
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

/// A position-independent program, as macOS has no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachO {
    /// The paths of the system's libraries that it loads, sorted, without duplicates.
    pub libraries: Vec<String>,
    /// The oldest macOS that it says it runs on.
    pub minimum_os: Release,
    /// `None` is for x86_64 alone.
    pub signature: Option<Signature>,
}

/// Who signed a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Signature {
    /// Nobody: it holds digests of the pages, and no certificate.
    #[serde(rename = "ad-hoc")]
    AdHoc,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pe {
    /// Whether Windows may load it at a random address.
    pub pie: bool,
    /// The DLLs that it loads at the start or later, in lower case, sorted, without duplicates.
    pub libraries: Vec<String>,
}

/// A release of glibc or of macOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

/// A crate of the package's graph that could have brought a library in.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    /// Its name, such as `openssl-sys`.
    pub krate: &'a str,
    /// `links` of its manifest, such as `openssl`.
    pub links: Option<&'a str>,
}

/// Says what the file is, with warnings, when it is a program as `target` names
/// it; otherwise all that is wrong with it at once, at least one error.
///
/// `place` is where the findings are said to stand; `suspects` are the crates to
/// look among for who brought a library.
pub fn inspect(
    mut file: impl Read + Seek,
    target: &Target,
    place: &Place,
    suspects: &[Suspect<'_>],
) -> Result<(Linkage, Vec<Finding>), Vec<Finding>> {
    let mut report = Report { target, place: place.clone(), suspects, findings: Vec::new() };
    let read = report.examine(&ReadCache::new(&mut file));
    // What the cache held is given back before the file is read through.
    let linkage = read.map(|read| {
        read.signed.iter().for_each(|signed| report.verify(signed, &mut file));
        read.linkage
    });
    let sound = report.findings.iter().all(|finding| finding.severity == Severity::Warning);
    match linkage {
        Some(linkage) if sound => Ok((linkage, report.findings)),
        _ => Err(report.findings),
    }
}

/// What the headers and tables of a file say.
struct Examined {
    linkage: Linkage,
    /// What is yet to be held against the file's pages.
    signed: Vec<Signed>,
}

impl From<Linkage> for Examined {
    fn from(linkage: Linkage) -> Examined {
        Examined { linkage, signed: Vec::new() }
    }
}

/// What is found about one file, as it is found.
struct Report<'a> {
    target: &'a Target,
    place: Place,
    suspects: &'a [Suspect<'a>],
    findings: Vec<Finding>,
}

impl Report<'_> {
    /// `None` where the file could not be understood, which is then an error among the findings.
    fn examine<'d, R: ReadRef<'d>>(&mut self, data: R) -> Option<Examined> {
        let target = self.target;
        let elf = Expected::of(target);
        let slices = target.slices();
        let wanted = match &elf {
            Some(_) => "an ELF file",
            None if !slices.is_empty() => "a Mach-O file for several architectures",
            None if macho::machine(target).is_some() => "a Mach-O file",
            None if pe::machine(target).is_some() => "a PE file",
            None => {
                let why = format!("what a program for {target} must be like is not known");
                let fix = "name a target of Linux with musl or glibc, such as x86_64-unknown-linux-musl, \
                           or of macOS or Windows";
                self.error("linkage-unsupported", why, fix);
                return None;
            }
        };
        let format = match format::of(data, wanted) {
            Ok(format) => format,
            Err(error) => return self.foreign(&error),
        };
        let read = match (format, &elf) {
            (Format::Elf(elf::ELFCLASS32), Some(expected)) => {
                elf_program::examine::<FileHeader32<Endianness>, R>(self, expected, data)
                    .map(|elf| elf.map(|elf| Linkage::Elf(elf).into()))
            }
            (Format::Elf(elf::ELFCLASS64), Some(expected)) => {
                elf_program::examine::<FileHeader64<Endianness>, R>(self, expected, data)
                    .map(|elf| elf.map(|elf| Linkage::Elf(elf).into()))
            }
            (Format::Elf(class), Some(_)) => {
                Err(anyhow::anyhow!("its ELF class is {class}, neither 32 nor 64 bits"))
            }
            (Format::MachO, None) if slices.is_empty() && target.is_darwin() => {
                macho::examine(self, data)
            }
            (Format::Universal { wide }, None) if !slices.is_empty() => {
                universal::examine(self, &slices, wide, data)
            }
            (Format::Pe, None) if target.is_windows() => {
                pe::examine(self, data).map(|pe| pe.map(|pe| Linkage::Pe(pe).into()))
            }
            (other, _) => {
                return self.foreign(&anyhow::anyhow!("it is {}, not {wanted}", other.name()));
            }
        };
        match read {
            Ok(read) => read,
            Err(error) => {
                self.malformed(&error);
                None
            }
        }
    }

    /// The file is of another format, or could not be read.
    fn foreign(&mut self, error: &anyhow::Error) -> Option<Examined> {
        let fix = format!("look for a linker that writes other files in {}", self.linker());
        self.error("linkage-format", format!("{error:#}"), fix);
        None
    }

    fn malformed(&mut self, error: &anyhow::Error) {
        let fix = "build it again; where that doesn't help, leave out what changes it after the linker: \
                   strip, objcopy, a packer";
        self.error("linkage-malformed", format!("it is damaged: {error:#}"), fix);
    }

    /// Complains of shared libraries that are wrong, of each unless they are too
    /// many, by what `say` makes of it: why it is wrong, and what mends it.
    fn libraries<'l>(
        &mut self,
        wrong: impl Iterator<Item = &'l String>,
        say: impl Fn(&Self, &str) -> (String, String),
    ) {
        let (mut more, mut last_fix) = (0, String::new());
        for (number, library) in wrong.enumerate() {
            if number >= LIBRARIES {
                more += 1;
                continue;
            }
            let (why, fix) = say(self, library);
            last_fix.clone_from(&fix);
            self.error("linkage-needed", why, fix);
        }
        if more > 0 {
            self.error(
                "linkage-needed",
                format!("it needs {more} more shared libraries"),
                last_fix,
            );
        }
    }

    /// Where cargo takes the target's linker and flags from.
    fn linker(&self) -> String {
        let (triple, name) = (self.target.triple(), self.target.env_name());
        format!("[target.{triple}] of .cargo/config.toml, CARGO_TARGET_{name}_LINKER or RUSTFLAGS")
    }

    fn error(&mut self, rule: &'static str, why: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::error(rule, self.place.clone(), why, fix));
    }

    fn warning(&mut self, rule: &'static str, why: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::warning(rule, self.place.clone(), why, fix));
    }
}

/// Sorted, without duplicates: in which order libraries are loaded says nothing
/// about what a program needs.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
