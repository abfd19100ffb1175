//! The text of a linkage: in artifacts.json, and in one line.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::{Elf, Linkage, Loading, MachO, Pe, Release, Relro, Signature};

/// How many libraries the one line names.
const MOST_NAMED: usize = 8;

/// The object in JSON. Fields that do not apply to a file are left out.
#[derive(Default, Serialize)]
struct Record<'a> {
    format: &'static str,
    /// Whether it loads no library.
    #[serde(rename = "static")]
    is_static: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pie: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relro: Option<Relro>,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_glibc: Option<bool>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    libraries: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    glibc: Option<Release>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_os: Option<Release>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
    /// The programs of a universal file, by target.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slices: BTreeMap<&'a str, Record<'a>>,
}

impl<'a> From<&'a Linkage> for Record<'a> {
    fn from(linkage: &'a Linkage) -> Record<'a> {
        match linkage {
            Linkage::Elf(Elf { pie, relro, loading }) => {
                let (libraries, glibc, static_glibc) = match loading {
                    Loading::Static { glibc } => (&[][..], None, *glibc),
                    Loading::Dynamic { libraries, glibc } => (&libraries[..], *glibc, false),
                };
                Record {
                    format: "elf",
                    is_static: matches!(loading, Loading::Static { .. }),
                    pie: Some(*pie),
                    relro: Some(*relro),
                    static_glibc: Some(static_glibc),
                    libraries,
                    glibc,
                    ..Record::default()
                }
            }
            Linkage::MachO(program) => program.into(),
            Linkage::Universal(programs) => {
                let slices = programs.iter().map(|(target, it)| (target.as_str(), it.into()));
                Record { format: "mach-o", slices: slices.collect(), ..Record::default() }
            }
            Linkage::Pe(Pe { pie, libraries }) => Record {
                format: "pe",
                is_static: libraries.is_empty(),
                pie: Some(*pie),
                libraries,
                ..Record::default()
            },
        }
    }
}

impl<'a> From<&'a MachO> for Record<'a> {
    fn from(program: &'a MachO) -> Record<'a> {
        Record {
            format: "mach-o",
            is_static: program.libraries.is_empty(),
            pie: Some(true),
            libraries: &program.libraries,
            minimum_os: Some(program.minimum_os),
            signature: program.signature,
            ..Record::default()
        }
    }
}

impl Serialize for Linkage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Record::from(self).serialize(serializer)
    }
}

/// One line, such as `static, PIE, RELRO full`.
impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Linkage::Elf(Elf { pie, relro, loading }) => {
                let pie = if *pie { "PIE" } else { "no PIE" };
                let relro = match relro {
                    Relro::None => "none",
                    Relro::Partial => "partial",
                    Relro::Full => "full",
                };
                match loading {
                    Loading::Static { glibc } => {
                        write!(f, "static, {pie}, RELRO {relro}")?;
                        f.write_str(if *glibc { ", glibc within" } else { "" })
                    }
                    Loading::Dynamic { libraries, glibc } => {
                        write!(f, "dynamic, {pie}, RELRO {relro}")?;
                        match glibc {
                            Some(release) => write!(f, ", needs glibc {release}")?,
                            None => f.write_str(", needs any glibc")?,
                        }
                        list(f, libraries)
                    }
                }
            }
            Linkage::MachO(program) => program.fmt(f),
            Linkage::Universal(programs) => {
                for (number, (target, program)) in programs.iter().enumerate() {
                    let comma = if number == 0 { "" } else { "; " };
                    write!(f, "{comma}{}: {program}", target.arch())?;
                }
                Ok(())
            }
            Linkage::Pe(Pe { pie, libraries }) => {
                write!(f, "PE, {}", if *pie { "ASLR" } else { "no ASLR" })?;
                list(f, libraries)
            }
        }
    }
}

/// As `Mach-O, macOS 11.0, ad-hoc signed, libSystem.B.dylib`.
impl fmt::Display for MachO {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = match self.signature {
            Some(Signature::AdHoc) => "ad-hoc signed",
            None => "not signed",
        };
        write!(f, "Mach-O, macOS {}, {signed}", self.minimum_os)?;
        list(f, &self.libraries)
    }
}

/// The file names of the first libraries, each after a comma.
fn list(f: &mut fmt::Formatter<'_>, libraries: &[String]) -> fmt::Result {
    for library in libraries.iter().take(MOST_NAMED) {
        let name = library.rsplit('/').next().unwrap_or(library);
        write!(f, ", {}", name.escape_debug())?;
    }
    match libraries.len().saturating_sub(MOST_NAMED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// As `2.28`, or `2.2.5` where there is a third number.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch != 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}

impl Serialize for Release {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
