//! Inspects a file by its format.

use std::io::{Read, Seek};

use anyhow::anyhow;
use object::elf::{self, FileHeader32, FileHeader64};
use object::{Endianness, ReadCache, ReadRef};

use super::format;
use super::machine::Expected;
use super::report::Report;
use super::signature::SignedPages;
use super::{Linkage, Suspect, elf_program, macho, pe, universal};
use crate::finding::{Finding, Place, Severity};
use crate::stamp::Format;
use crate::target::Target;

/// What the file is, and warnings, if it is a program for `target`; otherwise everything that
/// is wrong with it, at least one error.
///
/// `place` is the place of the findings. `suspects` are the crates that may have linked a
/// library.
pub fn inspect(
    mut file: impl Read + Seek,
    target: &Target,
    place: &Place,
    suspects: &[Suspect<'_>],
) -> Result<(Linkage, Vec<Finding>), Vec<Finding>> {
    let mut report = Report { target, place: place.clone(), suspects, findings: Vec::new() };
    let read = report.examine(&ReadCache::new(&mut file));
    // The cache is dropped, and its memory freed, before all pages are read.
    let linkage = read.map(|(linkage, signed)| {
        signed.iter().for_each(|pages| report.verify(pages, &mut file));
        linkage
    });
    let is_valid = report.findings.iter().all(|finding| finding.severity == Severity::Warning);
    match linkage {
        Some(linkage) if is_valid => Ok((linkage, report.findings)),
        _ => Err(report.findings),
    }
}

impl Report<'_> {
    /// What the headers and tables say, and the pages that are yet to be compared with their
    /// signature. `None` where the file is not understood, which is reported as an error.
    fn examine<'d, R: ReadRef<'d>>(&mut self, data: R) -> Option<(Linkage, Vec<SignedPages>)> {
        let target = self.target;
        let elf = Expected::of(target);
        let slices = target.slices();
        let wanted = match &elf {
            Some(_) => "an ELF file",
            None if !slices.is_empty() => "a Mach-O file for several architectures",
            None if macho::machine(target).is_some() => "a Mach-O file",
            None if pe::machine(target).is_some() => "a PE file",
            None => {
                let why = format!("the rules for programs for {target} are not known");
                let fix = "name a target of Linux with musl or glibc, such as x86_64-unknown-linux-musl, \
                           or of macOS or Windows";
                self.error("linkage-unsupported", why, fix);
                return None;
            }
        };
        let format = match format::of(data, wanted) {
            Ok(format) => format,
            Err(error) => return self.other_format(&error),
        };
        let unsigned = |linkage| (linkage, Vec::new());
        let read = match (format, &elf) {
            (Format::Elf(elf::ELFCLASS32), Some(expected)) => {
                elf_program::examine::<FileHeader32<Endianness>, R>(self, expected, data)
                    .map(|elf| elf.map(Linkage::Elf).map(unsigned))
            }
            (Format::Elf(elf::ELFCLASS64), Some(expected)) => {
                elf_program::examine::<FileHeader64<Endianness>, R>(self, expected, data)
                    .map(|elf| elf.map(Linkage::Elf).map(unsigned))
            }
            (Format::Elf(class), Some(_)) => {
                Err(anyhow!("its ELF class is {class}, neither 32 nor 64 bits"))
            }
            (Format::MachO, None) if slices.is_empty() && target.is_darwin() => {
                macho::examine(self, data)
            }
            (Format::Universal { is_64 }, None) if !slices.is_empty() => {
                universal::examine(self, &slices, is_64, data)
            }
            (Format::Pe, None) if target.is_windows() => {
                pe::examine(self, data).map(|pe| pe.map(Linkage::Pe).map(unsigned))
            }
            (other, _) => {
                return self.other_format(&anyhow!("it is {}, not {wanted}", other.name()));
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
    fn other_format<T>(&mut self, error: &anyhow::Error) -> Option<T> {
        let fix = format!("look for a linker that writes other files in {}", self.linker());
        self.error("linkage-format", format!("{error:#}"), fix);
        None
    }
}
