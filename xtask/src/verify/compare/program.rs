//! Where two programs differ: the section, the first byte, and the symbol that has it.

use std::collections::BTreeSet;

use memchr::memmem::Finder;
use object::File;

use super::raw::{self, first_difference};
use super::reason::{self, Facts};
use super::sections::{self, Section, Sections, Slice};
use super::symbols::Symbols;
use super::{Found, UNKNOWN, cut, shown};
use crate::stamp::{self, Kind, List};

/// In bytes: how much around the first byte that differs is searched for a reason.
const NEAR: usize = 256;
/// How many crates are named.
const CRATES: usize = 5;

/// Compares two programs, which are not equal.
pub fn compare(place: &str, published: &[u8], rebuilt: &[u8], found: &mut Found) {
    let before = found.len();
    match (sections::slices(published), sections::slices(rebuilt)) {
        (Ok(Some(ours)), Ok(Some(theirs))) => {
            let names = |of: &[Slice<'_>]| of.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
            let (a, b) = (names(&ours).join(", "), names(&theirs).join(", "));
            if a != b {
                let what = format!("programs for {a} in the published one, for {b} in the rebuilt");
                found.add(place, what, UNKNOWN);
            }
            for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
                if ours != theirs {
                    one(&format!("{place}: architecture {name}"), ours, theirs, found);
                }
            }
        }
        (Ok(None), Ok(None)) => one(place, published, rebuilt, found),
        _ => {}
    }
    if found.len() == before {
        raw::bytes(place, published, rebuilt, found);
    }
}

/// Two programs and what is known of both.
struct Both<'a> {
    place: &'a str,
    published: &'a [u8],
    rebuilt: &'a [u8],
    /// The texts of each.
    facts: [Facts; 2],
    symbols: Symbols<'a>,
}

/// Compares two programs for one architecture.
fn one(place: &str, published: &[u8], rebuilt: &[u8], found: &mut Found) {
    let before = found.len();
    if let (Ok(ours), Ok(theirs)) = (File::parse(published), File::parse(rebuilt))
        && let (Ok(in_ours), Ok(in_theirs)) =
            (sections::of(&ours, published), sections::of(&theirs, rebuilt))
    {
        let both = Both {
            place,
            published,
            rebuilt,
            facts: [Facts::of(published), Facts::of(rebuilt)],
            symbols: Symbols::of([&ours, &theirs]),
        };
        both.sections(&in_ours, &in_theirs, found);
        both.outside(&in_ours, &in_theirs, found);
    }
    if found.len() == before {
        raw::bytes(place, published, rebuilt, found);
    }
}

impl Both<'_> {
    fn sections(&self, ours: &Sections<'_>, theirs: &Sections<'_>, found: &mut Found) {
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            let place = format!("{}: section {name}", self.place);
            match (ours.get(name), theirs.get(name)) {
                (Some(a), Some(b)) => self.section(&place, name, a, b, found),
                (Some(_), None) => {
                    found.add(&place, "only in the published one", self.missing(name));
                }
                _ => found.add(&place, "only in the rebuilt one", self.missing(name)),
            }
        }
    }

    /// Why a section is in one of them only.
    fn missing(&self, name: &str) -> String {
        match plain(name) {
            "dep-v0" => "one was made without its list of crates (`auditable`)".to_owned(),
            "symtab" | "strtab" => "one was stripped".to_owned(),
            name if name.starts_with("debug") => {
                "one has debug information, by its profile".to_owned()
            }
            _ => self.why(None),
        }
    }

    fn section(
        &self,
        place: &str,
        name: &str,
        ours: &Section<'_>,
        theirs: &Section<'_>,
        found: &mut Found,
    ) {
        if ours.data != theirs.data {
            match plain(name) {
                "comment" => {
                    let what = format!(
                        "{:?} in the published one, {:?} in the rebuilt",
                        texts(ours.data),
                        texts(theirs.data)
                    );
                    let why = self.near(ours.data, theirs.data, 0);
                    found.add(place, what, why.unwrap_or_else(|| "another compiler".to_owned()));
                }
                "dep-v0" => {
                    let (what, why) = self.crates();
                    found.add(place, what, why);
                }
                "dl-slot" => found.add(place, self.versions(), "another version, commit or time"),
                "note.gnu.build-id" => {
                    let what = "another build ID";
                    found.add(place, what, "it follows: it is a digest of the rest of the program");
                }
                name => self.bytes(place, name, ours, theirs, found),
            }
        } else if (ours.size, ours.flags) != (theirs.size, theirs.flags) {
            let what = format!(
                "{} bytes in memory with {:?} in the published one, {} with {:?} in the rebuilt",
                ours.size, ours.flags, theirs.size, theirs.flags
            );
            found.add(place, what, self.why(None));
        } else if (ours.address, ours.range) != (theirs.address, theirs.range) {
            let at = |of: &Section<'_>| {
                format!(
                    "{:#x}, at byte {:#x} of the file",
                    of.address,
                    of.range.map_or(0, |it| it.0)
                )
            };
            let what = format!(
                "equal, but at the address {} in the published one and {} in the rebuilt",
                at(ours),
                at(theirs)
            );
            found.add(place, what, "it follows: something before it has another size");
        }
    }

    /// Two sections with other bytes.
    fn bytes(
        &self,
        place: &str,
        name: &str,
        ours: &Section<'_>,
        theirs: &Section<'_>,
        found: &mut Found,
    ) {
        let (a, b) = (ours.data, theirs.data);
        let at = first_difference(a, b);
        let mut what = match at {
            Some(at) => format!("the first byte that differs is at {at:#x}"),
            None => "one has more bytes at its end".to_owned(),
        };
        if a.len() == b.len() {
            let count = a.iter().zip(b).filter(|(a, b)| a != b).count();
            what = format!("{what}, of {count} that do");
        } else {
            let sizes =
                format!("{} bytes in the published one, {} in the rebuilt", a.len(), b.len());
            what = format!("{sizes}; {what}");
        }
        let address = at.and_then(|at| ours.address.checked_add(at as u64));
        let symbol = address.filter(|_| ours.address != 0).and_then(|it| self.symbols.at(it));
        let place = match symbol {
            Some(symbol) => format!("{place}, symbol {symbol}"),
            None if self.symbols.is_empty() && ours.address != 0 => {
                what += "; there is no table of symbols";
                place.to_owned()
            }
            None => place.to_owned(),
        };
        let why = match name {
            "strtab" => self.names(a, b),
            _ => at.and_then(|at| self.near(a, b, at)),
        };
        found.add(&place, what, self.why(why));
    }

    /// The reason that the bytes around a difference suggest.
    fn near(&self, published: &[u8], rebuilt: &[u8], at: usize) -> Option<String> {
        let around = |bytes: &[u8]| {
            let begin = at.saturating_sub(NEAR).min(bytes.len());
            let end = at.saturating_add(NEAR).min(bytes.len());
            Facts::near(&bytes[begin..end])
        };
        let [ours, theirs] = &self.facts;
        reason::nearby([&around(published), &around(rebuilt)], [ours, theirs])
    }

    /// Why the names of symbols differ.
    fn names(&self, ours: &[u8], theirs: &[u8]) -> Option<String> {
        (without_hashes(ours) == without_hashes(theirs)).then(|| {
            "other hashes in the names of symbols: the folder of a crate outside of the workspace, \
             or another compiler"
                .to_owned()
        })
    }

    /// The reason that is next to the difference, or else the one of all of the programs.
    fn why(&self, near: Option<String>) -> String {
        let [ours, theirs] = &self.facts;
        near.or_else(|| reason::of(ours, theirs)).unwrap_or_else(|| UNKNOWN.to_owned())
    }

    /// How the lists of crates differ, and the reason.
    fn crates(&self) -> (String, String) {
        let list = |bytes: &[u8]| -> Result<BTreeSet<String>, String> {
            let lists = stamp::lists(bytes).map_err(|error| format!("{error:#}"))?;
            Ok(lists.into_iter().flatten().flatten().flat_map(|it| names(&it)).collect())
        };
        match (list(self.published), list(self.rebuilt)) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {
                let what = "the same crates, but other dependencies among them, or other bytes";
                (what.to_owned(), UNKNOWN.to_owned())
            }
            (Ok(ours), Ok(theirs)) => {
                let only = |here: &BTreeSet<String>, there: &BTreeSet<String>, whose: &str| {
                    let more = here.difference(there).count().saturating_sub(CRATES);
                    let some: Vec<&str> =
                        here.difference(there).take(CRATES).map(String::as_str).collect();
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    (!some.is_empty())
                        .then(|| format!("only in the {whose} one: {}{more}", some.join(", ")))
                };
                let sides = [only(&ours, &theirs, "published"), only(&theirs, &ours, "rebuilt")];
                let sides: Vec<String> = sides.into_iter().flatten().collect();
                (sides.join("; "), "other crates".to_owned())
            }
            (Err(error), _) => {
                (format!("the published list cannot be read: {error}"), UNKNOWN.into())
            }
            (_, Err(error)) => {
                (format!("the rebuilt list cannot be read: {error}"), UNKNOWN.into())
            }
        }
    }

    /// What the slots for the version say.
    fn versions(&self) -> String {
        let said = |bytes: &[u8]| match stamp::texts(bytes) {
            Ok(texts) => cut(&format!("{:?}", texts.unwrap_or_default().to_string())),
            Err(error) => format!("a text that cannot be read ({error:#})"),
        };
        let [ours, theirs] = [self.published, self.rebuilt].map(said);
        format!("{ours} in the published one, {theirs} in the rebuilt")
    }

    /// What is in no section: headers, padding, and what follows the last section.
    fn outside(&self, ours: &Sections<'_>, theirs: &Sections<'_>, found: &mut Found) {
        let ranges = |of: &Sections<'_>| {
            let mut ranges: Vec<(u64, u64)> = of.values().filter_map(|it| it.range).collect();
            ranges.sort_unstable();
            ranges
        };
        let (covered, other) = (ranges(ours), ranges(theirs));
        let (a, b) = (self.published, self.rebuilt);
        if covered != other {
            // Where the sections are elsewhere, that is told, and so are the headers that say so.
            return;
        }
        if a.len() != b.len() {
            let what =
                format!("{} bytes in the published one, {} in the rebuilt", a.len(), b.len());
            found.add(&format!("{}: outside of the sections", self.place), what, self.why(None));
        }
        let least = a.len().min(b.len());
        let mut begin = 0;
        let first = covered.first().map_or(least, |(at, _)| (*at as usize).min(least));
        let end = (least as u64, 0);
        for (at, size) in covered.into_iter().chain([end]) {
            // Ranges are within the files, as their data was read.
            let until = (at as usize).min(least);
            let within = a.get(begin..until).zip(b.get(begin..until));
            if let Some(differs) = within.and_then(|(a, b)| first_difference(a, b)) {
                let at = begin + differs;
                let what = format!("the first byte that differs is at {at:#x} of the file");
                let part = if at < first { "the headers" } else { "outside of the sections" };
                let place = format!("{}: {part}", self.place);
                found.add(&place, what, self.why(self.near(a, b, at)));
            }
            begin = begin.max((at as usize).saturating_add(size as usize));
        }
    }
}

/// Names of symbols with zeros in place of their hashes.
/// <https://doc.rust-lang.org/rustc/symbol-mangling/index.html>
fn without_hashes(names: &[u8]) -> Vec<u8> {
    const BEGIN: &[u8] = b"17h";
    let mut plain = names.to_vec();
    for at in Finder::new(BEGIN).find_iter(names) {
        let hash = at + BEGIN.len()..at + BEGIN.len() + 16;
        if names.get(hash.clone()).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit)) {
            plain[hash].fill(b'0');
        }
    }
    plain
}

/// The name without what formats put before it: `.text`, `__TEXT,__text`.
fn plain(name: &str) -> &str {
    let name = name.rsplit(',').next().unwrap_or(name);
    name.trim_start_matches(['.', '_'])
}

/// The crates of a list.
fn names(list: &List) -> Vec<String> {
    let name = |it: &stamp::Listed| {
        let kind = if it.kind == Kind::Build { " (build)" } else { "" };
        let source = if it.source == stamp::CRATES_IO { "" } else { &*it.source };
        let space = if source.is_empty() { "" } else { " " };
        cut(&format!("{} {}{space}{source}{kind}", it.name, it.version))
    };
    list.packages.iter().map(name).collect()
}

/// The texts of a section that are separated by NULs.
fn texts(bytes: &[u8]) -> String {
    let texts = bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    cut(&texts.take(8).map(shown).collect::<Vec<_>>().join("; "))
}
