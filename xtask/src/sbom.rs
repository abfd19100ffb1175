//! Lists of what is in the programs and images that are shipped (SBOMs). A [`Document`] holds the
//! values; two pure writers make SPDX and CycloneDX of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use crate::config::SbomFormat;
use crate::digest::Digest;

mod cyclonedx;
mod image;
mod license;
mod program;
mod purl;
mod spdx;
#[cfg(test)]
mod tests;

use license::{Expression, expression};

pub use image::{Base, Image, of_image, of_index};
pub use program::{Origin, Program, of_program, purl};

/// What is in one thing that is shipped.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    created: Timestamp,
    /// The first one is what the document is about; the others are sorted.
    parts: Vec<Part>,
    /// The name of each part in the document: letters, digits, `.` and `-`.
    ids: Vec<String>,
    /// Sorted.
    relations: Vec<Relation>,
}

/// One thing that is shipped, or that another is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    kind: Kind,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    /// Where it can be downloaded.
    download: Option<String>,
    /// The licence as its maker writes it.
    license: Option<String>,
    /// Of a program the file's, of a crate that of its `.crate`, of an image the manifest's.
    sha256: Option<Digest>,
    /// What its fields cannot say, in a sentence.
    note: Option<String>,
    /// The SBOMs that its own maker published.
    sboms: Vec<String>,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Index,
    Image,
    Program,
    /// An image that another one stands on.
    Base,
    /// Certificates, time zones.
    Data,
    /// A crate that is compiled into a program.
    Crate,
    /// C that a crate compiles into a program.
    Native,
    /// A crate that runs in the compiler.
    ProcMacro,
    /// A crate that only build scripts and procedural macros use.
    BuildCrate,
}

/// How one part, by its index, uses another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Relation {
    from: usize,
    to: usize,
    kind: RelationKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RelationKind {
    Contains,
    /// The part is shipped with it, or runs with it where both only run in a build.
    DependsOn,
    /// Its build script uses the part.
    BuildDependsOn,
    /// The compiler runs the part to build it.
    BuiltBy,
}

impl Kind {
    /// What the names of parts begin with.
    fn prefix(self) -> &'static str {
        match self {
            Kind::Index => "Index",
            Kind::Image => "Image",
            Kind::Program => "Program",
            Kind::Base => "Base",
            Kind::Data => "Data",
            Kind::Crate => "Crate",
            Kind::Native => "Native",
            Kind::ProcMacro => "ProcMacro",
            Kind::BuildCrate => "BuildCrate",
        }
    }

    /// Whether it runs in builds and is not shipped.
    fn is_of_builds(self) -> bool {
        matches!(self, Kind::ProcMacro | Kind::BuildCrate)
    }
}

impl Part {
    /// A part of which nothing else is known.
    fn new(kind: Kind, name: &str, version: Option<&str>) -> Part {
        Part {
            kind,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            purl: None,
            download: None,
            license: None,
            sha256: None,
            note: None,
            sboms: Vec::new(),
        }
    }
}

impl Document {
    /// The document as JSON text. Its unique name comes from its content.
    pub fn write(&self, format: SbomFormat) -> Result<Vec<u8>> {
        match format {
            SbomFormat::Spdx => spdx::write(self),
            SbomFormat::CycloneDx => cyclonedx::write(self),
        }
    }

    /// The licences of all parts, by what their makers write.
    fn licenses(&self) -> BTreeMap<&str, Expression> {
        let mut licenses = BTreeMap::new();
        for text in self.parts.iter().filter_map(|part| part.license.as_deref()) {
            licenses.entry(text).or_insert_with(|| expression(text));
        }
        licenses
    }

    /// The parts with their names.
    fn named(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.ids.iter().map(String::as_str).zip(&self.parts)
    }
}

/// A document in the making.
#[derive(Debug, Default)]
struct Draft {
    /// In the order in which they were added, each with its index.
    parts: BTreeMap<Part, usize>,
    relations: BTreeSet<Relation>,
}

impl Draft {
    /// The index of a part. Equal parts are one.
    fn add(&mut self, part: Part) -> usize {
        let next = self.parts.len();
        *self.parts.entry(part).or_insert(next)
    }

    fn relate(&mut self, from: usize, kind: RelationKind, to: usize) {
        if from != to {
            self.relations.insert(Relation { from, to, kind });
        }
    }

    /// Orders the parts and names them. The document is about the part that was added first.
    fn finish(self, name: String, created: Timestamp) -> Document {
        let count = self.parts.len();
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for (part, at) in self.parts {
            if at == 0 { &mut first } else { &mut others }.push((part, at));
        }
        let mut places = vec![0; count];
        let mut parts = Vec::with_capacity(count);
        for (part, at) in first.into_iter().chain(others) {
            places[at] = parts.len();
            parts.push(part);
        }
        let moved = |it: Relation| Relation { from: places[it.from], to: places[it.to], ..it };
        let mut relations: Vec<Relation> = self.relations.into_iter().map(moved).collect();
        relations.sort_unstable();
        Document { name, created, ids: ids(&parts), parts, relations }
    }
}

/// A name for each part, of the characters that SPDX allows.
fn ids(parts: &[Part]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut ids = Vec::with_capacity(parts.len());
    for part in parts {
        let version = part.version.iter().flat_map(|version| ["-", &**version]);
        let text: String =
            [part.kind.prefix(), "-", &*part.name].into_iter().chain(version).collect();
        let plain = text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        let plain = plain.trim_end_matches('-');
        let mut id = plain.to_owned();
        let mut count = 1;
        while !taken.insert(id.clone()) {
            count += 1;
            id = format!("{plain}-{count}");
        }
        ids.push(id);
    }
    ids
}

/// What stands for a document's unique name while its content is not complete.
const UNNAMED: &str = "urn:uuid:00000000-0000-0000-0000-000000000000";

/// Writes a document as JSON with its unique name, a UUID of its content. It has [`UNNAMED`] in the
/// place of it, before anything that others wrote.
fn write_named(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(document).context("write an SBOM")?;
    text.push(b'\n');
    let hex = Digest::of(&text).hex();
    // RFC 9562: version 8 is for digests that are none of SHA-1 and MD5, and the variant is 10.
    let variant = char::from(b"89ab"[usize::from(hex.as_bytes()[16]) % 4]);
    let parts = [&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]];
    let [a, b, c, d, e] = parts;
    let name = format!("urn:uuid:{a}-{b}-8{c}-{variant}{d}-{e}");
    if let Some(at) = memchr::memmem::find(&text, UNNAMED.as_bytes()) {
        text[at..at + name.len()].copy_from_slice(name.as_bytes());
    }
    Ok(text)
}
