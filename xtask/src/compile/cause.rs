//! Why cargo failed, as far as its words tell, where the reason is one that a
//! user of this tool can do something about.

use crate::finding::Help;
use crate::plan::BuildPlan;
use crate::project::NativeCrate;

/// How much of what cargo said last is looked at, in bytes: some build scripts
/// print all that make did.
pub const REMEMBERED: usize = 8 << 20;

/// A reason and what would help.
#[derive(Debug, PartialEq, Eq)]
struct Cause {
    why: String,
    fix: String,
}

const PROTOC: &str = "install protoc (Debian: `apt install protobuf-compiler`)";

/// Words of a build script that tell what it misses, what that is called, and
/// how one gets it.
const MISSED: [(&str, &str, &str); 10] = [
    (
        "is `cmake` not installed",
        "cmake",
        "install cmake (Debian: `apt install cmake`, macOS: `brew install cmake`)",
    ),
    (
        "Missing dependency: cmake",
        "cmake",
        "install cmake (Debian: `apt install cmake`, macOS: `brew install cmake`)",
    ),
    (
        "Unable to find libclang",
        "libclang, for bindgen",
        "install libclang (Debian: `apt install libclang-dev`, macOS: `brew install llvm`) or set LIBCLANG_PATH",
    ),
    ("Command 'perl' not found", "perl", "install perl"),
    ("perl: not found", "perl", "install perl"),
    ("Command 'make' not found", "make", "install make"),
    ("is `make` not installed", "make", "install make"),
    ("nasm: not found", "nasm", "install nasm"),
    ("Could not find `protoc`", "protoc", PROTOC),
    ("`protoc` not found", "protoc", PROTOC),
];

/// Words of a build script that found no library of the system.
const NO_LIBRARY: [&str; 5] = [
    "pkg-config has not been configured to support cross-compilation",
    "Could not find directory of OpenSSL installation",
    "was not found in the pkg-config search path",
    "The system library",
    "could not find system library",
];

/// Frameworks of macOS and the crates that link them, where the names differ.
const FRAMEWORKS: [(&str, &str); 4] = [
    ("Security", "security-framework-sys"),
    ("SystemConfiguration", "system-configuration-sys"),
    ("CoreServices", "fsevent-sys"),
    ("IOKit", "io-kit-sys"),
];

/// The error with what `said`, the last that cargo printed, tells of its cause.
pub fn explain(error: anyhow::Error, said: &str, build: &BuildPlan) -> anyhow::Error {
    let native = build.native.values().flatten();
    let found = script(said, native.clone());
    let found = found.or_else(|| framework(said)).or_else(|| library(said, native));
    match found {
        Some(Cause { why, fix }) => error.context(why).context(Help(fix)),
        None => error,
    }
}

/// A build script that failed: whose, and of what.
fn script<'a>(said: &str, mut native: impl Iterator<Item = &'a NativeCrate>) -> Option<Cause> {
    const FAILED: &str = "failed to run custom build command for `";
    let (_, rest) = said.split_once(FAILED)?;
    let (name, rest) = rest.split_once('`')?;
    // Of two that failed at once each speaks for itself.
    let rest = rest.split(FAILED).next().unwrap_or(rest);
    let name = name.split(" (").next().unwrap_or(name).replacen(" v", " ", 1);
    let krate = name.split(' ').next().unwrap_or(&name);
    if let Some((_, what, fix)) = MISSED.iter().find(|(words, ..)| rest.contains(words)) {
        return Some(Cause { why: format!("{name} needs {what}"), fix: (*fix).to_owned() });
    }
    if NO_LIBRARY.iter().any(|words| rest.contains(words)) {
        let links = native.find(|it| it.name == krate).and_then(|it| it.links.clone());
        let library = links.unwrap_or_else(|| krate.trim_end_matches("-sys").to_owned());
        return Some(Cause {
            why: format!(
                "{name} looks for {library} of the system, and there is none for the target"
            ),
            fix: bundle(krate, &library),
        });
    }
    let tool = rest.split_once("failed to find tool \"").and_then(|(_, rest)| rest.split_once('"'));
    if let Some((tool, _)) = tool {
        return Some(Cause {
            why: format!("{name} needs {tool}"),
            fix: format!("install {tool}, or put it on PATH"),
        });
    }
    let header =
        rest.split_once("fatal error: '").and_then(|(_, rest)| rest.split_once("' file not found"));
    if let Some((header, _)) = header {
        return Some(Cause {
            why: format!("C code of {name} includes {header}, which is not there for the target"),
            fix: format!(
                "look for a feature of {krate} that does without it, or that brings its library along"
            ),
        });
    }
    Some(Cause {
        why: format!("the build script of {name} failed"),
        fix: format!("read its messages above; `cargo tree --invert {krate}` shows who wants it"),
    })
}

/// A library that the linker does not find.
fn library<'a>(said: &str, mut native: impl Iterator<Item = &'a NativeCrate>) -> Option<Cause> {
    let words = [
        "unable to find library -l",
        "unable to find dynamic system library '",
        "unable to find dynamic system library \"",
        "unable to find static system library '",
        "unable to find static system library \"",
        "cannot find -l",
    ];
    let rest = words.iter().find_map(|words| said.split_once(words)).map(|(_, rest)| rest)?;
    let name = |c: char| c.is_ascii_alphanumeric() || "_+.-".contains(c);
    let library = &rest[..rest.find(|c| !name(c)).unwrap_or(rest.len())];
    let carries = |krate: &&NativeCrate| {
        let links = krate.links.as_deref().unwrap_or_default();
        links == library
            || links == format!("lib{library}")
            || krate.name == format!("{library}-sys")
    };
    Some(match native.find(carries) {
        Some(krate) => Cause {
            why: format!(
                "{} {} links {library}, of which there is no library for the target",
                krate.name, krate.version
            ),
            fix: bundle(&krate.name, library),
        },
        None => Cause {
            why: format!("the linker finds no library {library} for the target"),
            fix: "look for the crate whose build script asks for it, and for a feature that builds it along".to_owned(),
        },
    })
}

/// How a crate is made to do without a library of the system.
fn bundle(krate: &str, library: &str) -> String {
    format!(
        "give {krate} the feature that builds {library} along (often `vendored`, `bundled` or `static`), \
         or take a crate in Rust instead; `cargo tree --invert {krate}` shows who wants it"
    )
}

/// A framework of macOS that the linker does not have.
fn framework(said: &str) -> Option<Cause> {
    let words = [
        "unable to find framework '",
        "unable to find framework \"",
        "unable to find system framework \"",
        "unable to find system framework '",
        "framework not found ",
    ];
    let rest = words.iter().find_map(|words| said.split_once(words)).map(|(_, rest)| rest)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric())?;
    let framework = &rest[..end];
    let known = FRAMEWORKS
        .iter()
        .find(|(name, _)| *name == framework)
        .map(|(_, krate)| (*krate).to_owned());
    let krate = known.unwrap_or_else(|| format!("{}-sys", kebab(framework)));
    // The linker's arguments name the library of each crate.
    let linked = said.contains(&format!("{}-", krate.replace('-', "_")));
    let who = if linked { format!("{krate} links") } else { "a crate links".to_owned() };
    let tree = if linked {
        format!(", or do without it: `cargo tree --invert {krate}` shows who wants it")
    } else {
        String::new()
    };
    Some(Cause {
        why: format!("{who} the framework {framework} of macOS, which zig does not have"),
        fix: format!("set SDKROOT to a macOS SDK, or build on a Mac{tree}"),
    })
}

/// `core-foundation` of `CoreFoundation`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_script_says_what_it_misses() {
        let failed = |name: &str, words: &str| {
            format!(
                "error: failed to run custom build command for `{name}`\n\nCaused by:\n {words}"
            )
        };
        for (said, why, fix) in [
            (
                failed("x-sys v1.2.3", "is `cmake` not installed?"),
                "x-sys 1.2.3 needs cmake",
                "install cmake",
            ),
            (
                failed("x v1.0.0 (/src/x)", "Unable to find libclang: \"no\""),
                "x 1.0.0 needs libclang, for bindgen",
                "LIBCLANG_PATH",
            ),
            (
                failed(
                    "y-sys v0.1.0",
                    "pkg-config has not been configured to support cross-compilation.",
                ),
                "y-sys 0.1.0 looks for y of the system, and there is none for the target",
                "`vendored`",
            ),
            (
                failed("z v0.1.0", "failed to find tool \"nasm\": No such"),
                "z 0.1.0 needs nasm",
                "install nasm",
            ),
            (
                failed("z v0.1.0", "x.c:1:10: fatal error: 'linux/x.h' file not found"),
                "C code of z 0.1.0 includes linux/x.h, which is not there for the target",
                "feature of z",
            ),
            (failed("z v0.1.0", "panicked"), "the build script of z 0.1.0 failed", "--invert z"),
        ] {
            let cause = script(&said, std::iter::empty()).unwrap();
            assert_eq!(cause.why, why);
            assert!(cause.fix.contains(fix), "{}", cause.fix);
        }
        assert_eq!(script("error: could not compile `x`", std::iter::empty()), None);
    }

    #[test]
    fn a_library_is_named_with_its_crate() {
        let krate = NativeCrate {
            name: "foo-sys".into(),
            version: "0.3.0".into(),
            links: Some("foo".into()),
            builders: Vec::new(),
            features: Vec::new(),
        };
        let cause =
            library("rust-lld: error: unable to find library -lfoo\n", [&krate].into_iter());
        let why = "foo-sys 0.3.0 links foo, of which there is no library for the target";
        assert_eq!(cause.unwrap().why, why);
        let cause = library("ld: cannot find -lbar: No such file", [&krate].into_iter()).unwrap();
        assert_eq!(cause.why, "the linker finds no library bar for the target");
        assert_eq!(library("error", [&krate].into_iter()), None);
    }

    #[test]
    fn a_framework_is_named_with_its_crate() {
        let said = "\"libcore_foundation_sys-1f.rlib\" note: error: unable to find framework 'CoreFoundation'. searched";
        let cause = framework(said).unwrap();
        assert_eq!(
            cause.why,
            "core-foundation-sys links the framework CoreFoundation of macOS, which zig does not have"
        );
        let system = "error: unable to find system framework \"Metal\". searched paths: none";
        let unknown = framework(system).unwrap();
        assert!(unknown.why.starts_with("a crate links the framework Metal"), "{}", unknown.why);
        assert_eq!(framework("error: linking failed"), None);
    }
}
