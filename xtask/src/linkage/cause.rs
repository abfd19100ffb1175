//! Who asked for a loader or a shared library, as far as names tell.

use super::Suspect;

/// How many suspects are named at most.
const NAMED: usize = 5;

/// Features that make a crate bring its library along, by the crate's name.
const STATIC_FEATURES: [(&str, &str); 6] = [
    ("curl-sys", "static-curl"),
    ("libgit2-sys", "vendored"),
    ("libsqlite3-sys", "bundled"),
    ("libz-sys", "static"),
    ("openssl-sys", "vendored"),
    ("pq-sys", "bundled"),
];

/// Libraries that carry another name than the crates about them.
const ALIASES: [(&str, &str); 4] =
    [("asound", "alsa"), ("bz2", "bzip2"), ("crypto", "openssl"), ("ssl", "openssl")];

/// Libraries of glibc, the numbers being those of its ABI on Linux.
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

/// What brought a loader in, by its path.
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

/// What brought a shared library in, and what to do about it where that is
/// something else than to link with rustc's own musl.
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
            "it is gcc's unwinder, so gcc linked the program and not rustc's own linker".to_owned(),
            None,
        );
    }
    let bundle = "give it the feature that builds the library along (often `vendored`, `bundled` or `static`), \
                  or take a crate in Rust instead";
    if name.starts_with("libstdc++.so") || name.starts_with("libc++.so") {
        let cause = format!(
            "it is the C++ library, which a crate with code in C++ wants; {}",
            list(suspects)
        );
        let fix = "make the crate's build script link the C++ library statically \
                   (`cpp_link_stdlib_static` of the crate cc), or leave the crate out";
        return (cause, Some(fix.to_owned()));
    }
    match most_likely(name, suspects).as_slice() {
        [] => {
            let fix =
                format!("find the crate whose build script asks for the library, and {bundle}");
            (format!("no crate carries its name; {}", list(suspects)), Some(fix))
        }
        [suspect] => {
            let feature = STATIC_FEATURES.iter().find(|(krate, _)| *krate == suspect.krate);
            let fix = match feature {
                Some((krate, feature)) => {
                    format!(
                        "turn on the feature `{feature}` of {krate}, which builds the library along"
                    )
                }
                None => format!("look at {}: {bundle}", suspect.krate),
            };
            (format!("{} most likely brought it", suspect.krate), Some(fix))
        }
        several => {
            let fix = format!("find the one of them that asks for the library, and {bundle}");
            (format!("one of these most likely brought it: {}", names(several)), Some(fix))
        }
    }
}

/// The suspects that resemble a library's name most; none where none does.
fn most_likely<'s, 'a>(library: &str, suspects: &'s [Suspect<'a>]) -> Vec<&'s Suspect<'a>> {
    let stem = stem(library);
    let likeness: Vec<u8> = suspects.iter().map(|suspect| likeness(stem, suspect)).collect();
    match likeness.iter().max() {
        None | Some(0) => Vec::new(),
        Some(most) => suspects
            .iter()
            .zip(&likeness)
            .filter(|(_, like)| *like == most)
            .map(|(it, _)| it)
            .collect(),
    }
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

/// From 0, for no resemblance, to 4, for the library that the crate's manifest names.
fn likeness(stem: &str, suspect: &Suspect<'_>) -> u8 {
    let wanted = plain(stem);
    let alias = ALIASES.iter().find(|(library, _)| *library == wanted).map(|(_, name)| *name);
    let same = |name: &str| name == wanted || Some(name) == alias;
    // A library's version is often part of one name and not of the other.
    let digits = |c: char| c.is_ascii_digit();
    let unversioned = |name: &str| {
        let (name, wanted) = (name.trim_end_matches(digits), wanted.trim_end_matches(digits));
        !name.is_empty() && name == wanted
    };
    // Of two letters, one is in almost every other name.
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

/// Letters and digits alone, in lower case: names differ in `-`, `_` and `.`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// All suspects, as a clause.
fn list(suspects: &[Suspect<'_>]) -> String {
    if suspects.is_empty() {
        return "no crate of the graph says that it links one, so a build script or a linker argument does".to_owned();
    }
    format!("these could have brought it: {}", names(&suspects.iter().collect::<Vec<_>>()))
}

fn names(suspects: &[&Suspect<'_>]) -> String {
    let mut names: Vec<&str> = suspects.iter().map(|suspect| suspect.krate).collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
