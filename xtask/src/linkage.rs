//! Proof that a file is what its target says: for musl a static program, which the kernel
//! starts without a loader; for glibc, macOS and Windows a program that needs only the system's
//! libraries. None has memory that is both writable and executable.
//!
//! Only headers, tables and the pages under a code signature are read, so that a debug binary
//! of 100 MB costs as little as a stripped one.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::target::Target;

mod binaries;
mod elf_file;
mod elf_program;
mod format;
mod glibc;
mod inspect;
mod listed;
mod machine;
mod macho;
mod macho_segment;
mod origin;
mod pe;
mod prove;
mod record;
mod report;
mod signature;
mod universal;

pub use binaries::Binaries;
#[cfg(any(fuzzing, test))]
pub use inspect::inspect;
pub use prove::{Binary, prove};

/// What kind of program a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// For Linux.
    Elf(Elf),
    /// For macOS.
    MachO(MachO),
    /// For macOS, with one program for each target.
    Universal(BTreeMap<Target, MachO>),
    /// For Windows.
    Pe(Pe),
}

/// A program for Linux.
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
    /// It has none. `glibc` says whether its C library is glibc and not musl.
    Static { glibc: bool },
    /// glibc's loader does.
    Dynamic {
        /// Sorted, without duplicates.
        libraries: Vec<String>,
        /// The oldest glibc with all symbols that the program needs; `None` where it needs none.
        glibc: Option<Release>,
    },
}

/// How much of its relocated data a program asks to be protected after its start. It is only
/// a request: in a static program, musl's start code (1.2.5) leaves that memory writable.
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

/// A position-independent program; macOS starts no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachO {
    /// The paths of the system's libraries that it loads, sorted, without duplicates.
    pub libraries: Vec<String>,
    /// The oldest macOS that it declares to run on.
    pub minimum_os: Release,
    /// `None` only for x86_64.
    pub signature: Option<Signature>,
}

/// Who signed a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Signature {
    /// Nobody: it has digests of the pages, but no certificate.
    #[serde(rename = "ad-hoc")]
    AdHoc,
}

/// A program for Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pe {
    /// Whether Windows may load it at a random address.
    pub pie: bool,
    /// The DLLs that it loads, at the start or later, in lower case, sorted, without duplicates.
    pub libraries: Vec<String>,
}

/// A release of glibc or of macOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

/// A crate of the package's graph that may link a shared library.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    /// Its name, such as `openssl-sys`.
    pub krate: &'a str,
    /// `links` of its manifest, such as `openssl`.
    pub links: Option<&'a str>,
}

#[cfg(test)]
mod tests;
