//! Why two files differ, guessed by the texts that only one of them holds.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use super::cut;

/// How many texts of a kind are kept.
const MOST: usize = 4096;
/// In bytes: of one text.
const LONGEST: usize = 160;
/// How many texts a reason names of each side.
const NAMED: usize = 2;

/// How texts begin that name a compiler.
const COMPILERS: [&[u8]; 5] =
    [b"rustc version ", b"clang version ", b"GCC: (", b"Linker: LLD ", b"zig version "];
/// How paths of machines begin, which no program needs.
const PATHS: [&[u8]; 14] = [
    b"/home/",
    b"/root/",
    b"/tmp/",
    b"/Users/",
    b"/var/",
    b"/private/",
    b"/builds/",
    b"/build/",
    b"/github/",
    b"/workspace",
    b"/opt/",
    b"/mnt/",
    b"/srv/",
    b":\\",
];
/// How paths of sources end. Rust writes texts without separators, so that a path is also found
/// by its end.
const SOURCES: [&[u8]; 3] = [b".rs", b".c", b".cpp"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Texts that tell how a file was made.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    compilers: BTreeSet<String>,
    paths: BTreeSet<String>,
    times: BTreeSet<String>,
    versions: BTreeSet<String>,
}

impl Facts {
    /// Reads them from all of a file.
    pub fn of(bytes: &[u8]) -> Facts {
        let (mut compilers, mut paths, mut times) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for start in COMPILERS {
            find(bytes, start, |at| keep(&mut compilers, run(&bytes[at..], is_text)));
        }
        find(bytes, b"/rustc/", |at| {
            let hash = run(&bytes[at + 7..], |byte| byte.is_ascii_hexdigit());
            if hash.len() >= 40 {
                keep(&mut compilers, &[b"rustc's commit ", &hash[..12]].concat());
            }
        });
        for start in PATHS {
            find(bytes, start, |at| {
                // The letter of a drive is before the colon.
                let at = if start == b":\\" { at.saturating_sub(1) } else { at };
                keep(&mut paths, to_source(run(&bytes[at..], is_path)));
            });
        }
        for end in SOURCES {
            find(bytes, end, |at| {
                let first = at.saturating_sub(LONGEST);
                let before = bytes[first..at].iter().rev().take_while(|byte| is_path(**byte));
                let begin = at - before.count();
                if bytes[begin] == b'/' && !bytes[begin..].starts_with(b"/rustc/") {
                    keep(&mut paths, &bytes[begin..at + end.len()]);
                }
            });
        }
        find(bytes, b"-", |at| keep(&mut times, date(bytes, at)));
        for month in MONTHS {
            find(bytes, month.as_bytes(), |at| keep(&mut times, named_date(bytes, at)));
        }
        find(bytes, b":", |at| keep(&mut times, time(bytes, at)));
        Facts { compilers, paths, times, versions: BTreeSet::new() }
    }

    /// Reads them, and the versions, from a small part.
    pub fn near(bytes: &[u8]) -> Facts {
        let mut versions = BTreeSet::new();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(u8::is_ascii_digit) {
            let text = run(&rest[at..], |byte| byte.is_ascii_digit() || byte == b'.');
            if text.iter().filter(|byte| **byte == b'.').count() >= 2 {
                keep(&mut versions, text);
            }
            rest = &rest[at + text.len().max(1)..];
        }
        Facts { versions, ..Facts::of(bytes) }
    }
}

/// The texts of one kind in both files.
type Kind<'a> = (&'static str, &'a BTreeSet<String>, &'a BTreeSet<String>);

/// The texts by their kinds, those first that explain most.
fn kinds<'a>(published: &'a Facts, rebuilt: &'a Facts) -> [Kind<'a>; 4] {
    [
        ("another compiler", &published.compilers, &rebuilt.compilers),
        ("a path", &published.paths, &rebuilt.paths),
        ("a time", &published.times, &rebuilt.times),
        ("a version", &published.versions, &rebuilt.versions),
    ]
}

/// What only one of the two has, in words; `None` where they have the same.
fn told((kind, ours, theirs): Kind<'_>) -> Option<String> {
    let only = |here: &BTreeSet<String>, there: &BTreeSet<String>, whose: &str| {
        let names: Vec<&str> = here.difference(there).take(NAMED).map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("{} only in the {whose} one", names.join(", ")))
    };
    let sides = [only(ours, theirs, "published"), only(theirs, ours, "rebuilt")];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    (!sides.is_empty()).then(|| format!("{kind}: {}", sides.join("; ")))
}

/// The likely reason, by what only one of the two has.
pub fn of(published: &Facts, rebuilt: &Facts) -> Option<String> {
    kinds(published, rebuilt).into_iter().find_map(told)
}

/// The likely reason of a difference by what is near it. Where a text begins or ends outside of
/// what is near, or is elsewhere in the other file, all of both files (`whole`) decide.
pub fn nearby(near: [&Facts; 2], whole: [&Facts; 2]) -> Option<String> {
    let near = kinds(near[0], near[1]);
    let whole = kinds(whole[0], whole[1]);
    near.into_iter().zip(whole).find_map(|(near, whole)| {
        let here = told(near)?;
        // Of all of a file, the versions are not known.
        if near.0 == "a version" { Some(here) } else { told(whole) }
    })
}

/// The likely reason for two texts that differ.
pub fn of_texts(published: &str, rebuilt: &str) -> Option<String> {
    of(&Facts::near(published.as_bytes()), &Facts::near(rebuilt.as_bytes()))
}

fn find(bytes: &[u8], what: &[u8], mut each: impl FnMut(usize)) {
    Finder::new(what).find_iter(bytes).for_each(&mut each);
}

fn keep(kept: &mut BTreeSet<String>, text: &[u8]) {
    if !text.is_empty() && kept.len() < MOST {
        kept.insert(cut(&String::from_utf8_lossy(text)));
    }
}

/// The bytes at the beginning that are all of a kind.
fn run(bytes: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let most = &bytes[..bytes.len().min(LONGEST)];
    &most[..most.iter().position(|byte| !is(*byte)).unwrap_or(most.len())]
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/\\._-+@~:".contains(&byte)
}

/// The path up to the end of the source's name, where other text follows without a separator.
fn to_source(path: &[u8]) -> &[u8] {
    match Finder::new(b".rs").find(path) {
        Some(at) => &path[..at + 3],
        None => path,
    }
}

fn digits(bytes: &[u8], from: usize, count: usize) -> bool {
    bytes.get(from..from + count).is_some_and(|it| it.iter().all(u8::is_ascii_digit))
}

/// `2026-01-02`, with the first `-` at a position.
fn date(bytes: &[u8], at: usize) -> &[u8] {
    let Some(from) = at.checked_sub(4) else { return &[] };
    let century = bytes[from..].starts_with(b"19") || bytes[from..].starts_with(b"20");
    let whole = digits(bytes, from, 4) && digits(bytes, at + 1, 2) && digits(bytes, at + 4, 2);
    if century && whole && bytes[at + 3] == b'-' { &bytes[from..at + 6] } else { &[] }
}

/// `Jan  2 2026`, as C's `__DATE__` has it, with the month at a position.
fn named_date(bytes: &[u8], at: usize) -> &[u8] {
    let day = bytes.get(at + 3..at + 7);
    let day = day.is_some_and(|it| it[0] == b' ' && it[2].is_ascii_digit() && it[3] == b' ');
    if day && digits(bytes, at + 7, 4) { &bytes[at..at + 11] } else { &[] }
}

/// `12:34:56`, with the first `:` at a position.
fn time(bytes: &[u8], at: usize) -> &[u8] {
    let Some(from) = at.checked_sub(2) else { return &[] };
    let whole = digits(bytes, from, 2) && digits(bytes, at + 1, 2) && digits(bytes, at + 4, 2);
    if whole && bytes[at + 3] == b':' { &bytes[from..at + 6] } else { &[] }
}
