//! Where a loader or a shared library comes from, as far as names tell.

use super::Suspect;

/// How many suspects a message names.
const MOST_NAMED: usize = 5;

/// The features that make a crate build its library, by the crate's name.
const STATIC_FEATURES: [(&str, &str); 6] = [
    ("curl-sys", "static-curl"),
    ("libgit2-sys", "vendored"),
    ("libsqlite3-sys", "bundled"),
    ("libz-sys", "static"),
    ("openssl-sys", "vendored"),
    ("pq-sys", "bundled"),
];

/// Libraries whose crates have another name.
const ALIASES: [(&str, &str); 4] =
    [("asound", "alsa"), ("bz2", "bzip2"), ("crypto", "openssl"), ("ssl", "openssl")];

/// The libraries of glibc, with the numbers of its ABI on Linux.
const GLIBC: [&str; 11] = [
    "libc.so.6",
    "libm.so.6",
    "libm.so.6.1",
    "libc.so.6.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libmvec.so.1",
    "libanl.so.1",
];

/// Which toolchain linked a program for a loader.
pub(super) fn of_interpreter(path: &str) -> &'static str {
    let name = file_name(path);
    if name.starts_with("ld-musl-") {
        // <https://github.com/rust-lang/rust/issues/95926>
        "musl was linked as a shared library, because crt-static is off or because musl-gcc linked it"
    } else if name.starts_with("ld-linux")
        || name.starts_with("ld64.so")
        || name.starts_with("ld.so")
    {
        "a toolchain for glibc linked it"
    } else if name.starts_with("linker") {
        "a toolchain for Android linked it"
    } else {
        "a toolchain for another C library linked it"
    }
}

/// Where a shared library most likely comes from, and the fix if there is a better one than to
/// link with rustc's own musl.
pub(super) fn of_library(library: &str, suspects: &[Suspect<'_>]) -> (String, Option<String>) {
    let name = file_name(library);
    if GLIBC.contains(&name) || name.starts_with("ld-linux") || name.starts_with("ld64.so") {
        return ("it is glibc's, so a toolchain for glibc linked the program".to_owned(), None);
    }
    if name == "libc.so" || name.starts_with("libc.musl-") || name.starts_with("ld-musl-") {
        return (
            "it is musl itself, so crt-static is off, or musl-gcc linked the program".to_owned(),
            None,
        );
    }
    if name.starts_with("libgcc_s.so") {
        return (
            "it is gcc's unwinder, so gcc linked the program, not rustc's own linker".to_owned(),
            None,
        );
    }
    let bundle = "give it the feature that builds the library (often `vendored`, `bundled` or `static`), \
                  or use a crate in Rust instead";
    if name.starts_with("libstdc++.so") || name.starts_with("libc++.so") {
        let origin =
            format!("it is the C++ library, which a crate with C++ code needs; {}", list(suspects));
        let fix = "make the crate's build script link the C++ library statically \
                   (`cpp_link_stdlib_static` of the crate cc), or leave the crate out";
        return (origin, Some(fix.to_owned()));
    }
    match most_likely(name, suspects).as_slice() {
        [] => {
            let fix =
                format!("find the crate whose build script asks for the library, and {bundle}");
            (format!("no crate has its name; {}", list(suspects)), Some(fix))
        }
        [suspect] => {
            let feature = STATIC_FEATURES.iter().find(|(krate, _)| *krate == suspect.krate);
            let fix = match feature {
                Some((krate, feature)) => {
                    format!("turn on the feature `{feature}` of {krate}, which builds the library")
                }
                None => format!("look at {}: {bundle}", suspect.krate),
            };
            (format!("{} most likely links it", suspect.krate), Some(fix))
        }
        several => {
            let fix = format!("find the one of them that asks for the library, and {bundle}");
            (format!("one of these most likely links it: {}", names(several)), Some(fix))
        }
    }
}

/// The suspects whose names are most like a library's; empty where none is like it.
fn most_likely<'s, 'a>(library: &str, suspects: &'s [Suspect<'a>]) -> Vec<&'s Suspect<'a>> {
    let stem = stem(library);
    let ranked: Vec<_> =
        suspects.iter().map(|suspect| (likeness(stem, suspect), suspect)).collect();
    let most = ranked.iter().map(|(likeness, _)| *likeness).max().filter(|most| *most > 0);
    ranked.into_iter().filter(|(likeness, _)| Some(*likeness) == most).map(|(_, it)| it).collect()
}

/// `ssl` of `libssl.so.3`, of `libssl.3.dylib` and of `libssl-3-x64.dll`.
fn stem(library: &str) -> &str {
    let name = library.strip_prefix("lib").unwrap_or(library);
    let version = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    if let Some(name) = name.strip_suffix(".dylib") {
        return name.trim_end_matches(version);
    }
    if let Some(name) = name.strip_suffix(".dll") {
        return name.strip_suffix("-x64").unwrap_or(name).trim_end_matches(version);
    }
    name.split_once(".so").map_or(name, |(stem, _)| stem)
}

/// From 0, for no likeness, to 4, where the crate's manifest names the library.
fn likeness(stem: &str, suspect: &Suspect<'_>) -> u8 {
    let wanted = plain(stem);
    let alias = ALIASES.iter().find(|(library, _)| *library == wanted).map(|(_, name)| *name);
    let same = |name: &str| name == wanted || Some(name) == alias;
    // A library's version is often part of only one of the names.
    let digits = |c: char| c.is_ascii_digit();
    let unversioned = |name: &str| {
        let (name, wanted) = (name.trim_end_matches(digits), wanted.trim_end_matches(digits));
        !name.is_empty() && name == wanted
    };
    // A name of one or two letters is part of too many others.
    let within = |name: &str| {
        let (name, wanted) = (name.trim_end_matches(digits), wanted.trim_end_matches(digits));
        name.len().min(wanted.len()) > 2 && (name.contains(wanted) || wanted.contains(name))
    };
    let krate = suspect
        .krate
        .strip_suffix("-sys")
        .or(suspect.krate.strip_suffix("-ffi"))
        .unwrap_or(suspect.krate);
    let krate = plain(krate.strip_prefix("lib").unwrap_or(krate));
    let links = suspect.links.map(|links| plain(links.strip_prefix("lib").unwrap_or(links)));
    match links {
        Some(links) if same(&links) => 4,
        Some(links) if unversioned(&links) => 3,
        _ if same(&krate) || unversioned(&krate) => 2,
        Some(links) if within(&links) => 1,
        _ if within(&krate) => 1,
        _ => 0,
    }
}

/// The letters and digits of a name in lower case: names differ in `-`, `_` and `.`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// All suspects, as a clause.
fn list(suspects: &[Suspect<'_>]) -> String {
    if suspects.is_empty() {
        return "no crate of the graph declares that it links one, so a build script or a linker \
                argument does"
            .to_owned();
    }
    format!("these may link it: {}", names(&suspects.iter().collect::<Vec<_>>()))
}

fn names(suspects: &[&Suspect<'_>]) -> String {
    let mut names: Vec<&str> = suspects.iter().map(|suspect| suspect.krate).collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
