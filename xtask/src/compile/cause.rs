//! Explains why cargo failed, for causes that the user can fix.

use crate::finding::Help;
use crate::plan::BuildPlan;
use crate::project::NativeCrate;

/// How many of the last bytes of cargo's output are searched: some build scripts print all of
/// make's output.
pub const REMEMBERED: usize = 8 << 20;

/// The cause and the fix.
#[derive(Debug, PartialEq, Eq)]
struct Cause {
    why: String,
    fix: String,
}

const CMAKE: &str = "install cmake (Debian: `apt install cmake`, macOS: `brew install cmake`)";
const PROTOC: &str = "install protoc (Debian: `apt install protobuf-compiler`)";

/// A build script's message, what it misses, and how to get that.
const MISSED: [(&str, &str, &str); 10] = [
    ("is `cmake` not installed", "cmake", CMAKE),
    ("Missing dependency: cmake", "cmake", CMAKE),
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

/// Messages of build scripts that found no system library.
const NO_LIBRARY: [&str; 5] = [
    "pkg-config has not been configured to support cross-compilation",
    "Could not find directory of OpenSSL installation",
    "was not found in the pkg-config search path",
    "The system library",
    "could not find system library",
];

/// Frameworks of macOS and the crates that link them, if the names differ.
const FRAMEWORKS: [(&str, &str); 4] = [
    ("Security", "security-framework-sys"),
    ("SystemConfiguration", "system-configuration-sys"),
    ("CoreServices", "fsevent-sys"),
    ("IOKit", "io-kit-sys"),
];

/// Adds the cause to the error. `said` is the end of cargo's output.
pub fn explain(error: anyhow::Error, said: &str, builds: &[&BuildPlan]) -> anyhow::Error {
    let native = builds.iter().flat_map(|build| build.native.values().flatten());
    let found = script(said, native.clone());
    let found = found.or_else(|| framework(said)).or_else(|| library(said, native));
    match found {
        Some(Cause { why, fix }) => error.context(why).context(Help(fix)),
        None => error,
    }
}

/// The cause of a failed build script.
fn script<'a>(said: &str, mut native: impl Iterator<Item = &'a NativeCrate>) -> Option<Cause> {
    const FAILED: &str = "failed to run custom build command for `";
    let (_, rest) = said.split_once(FAILED)?;
    let (name, rest) = rest.split_once('`')?;
    // The messages of another failed build script do not count.
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
                "{name} looks for the system's {library}, which does not exist for the target"
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
            why: format!("C code of {name} includes {header}, which does not exist for the target"),
            fix: format!(
                "look for a feature of {krate} that does not need it, or that builds its library"
            ),
        });
    }
    Some(Cause {
        why: format!("the build script of {name} failed"),
        fix: format!("read its messages above; `cargo tree --invert {krate}` shows what needs it"),
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
                "{} {} links {library}, which does not exist for the target",
                krate.name, krate.version
            ),
            fix: bundle(&krate.name, library),
        },
        None => Cause {
            why: format!("the linker finds no library {library} for the target"),
            fix: "look for the crate whose build script asks for it, and for a feature that builds it".to_owned(),
        },
    })
}

/// How to make a crate not need a system library.
fn bundle(krate: &str, library: &str) -> String {
    format!(
        "enable the feature of {krate} that builds {library} (often `vendored`, `bundled` or `static`), \
         or use a crate in Rust instead; `cargo tree --invert {krate}` shows what needs it"
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
    // The linker's arguments have the library of each crate.
    let linked = said.contains(&format!("{}-", krate.replace('-', "_")));
    let who = if linked { format!("{krate} links") } else { "a crate links".to_owned() };
    let tree = if linked {
        format!(", or remove the crate: `cargo tree --invert {krate}` shows what needs it")
    } else {
        String::new()
    };
    Some(Cause {
        why: format!("{who} the framework {framework} of macOS, which zig does not have"),
        fix: format!("set SDKROOT to a macOS SDK, or build on a Mac{tree}"),
    })
}

/// `CoreFoundation` as `core-foundation`.
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
                "y-sys 0.1.0 looks for the system's y, which does not exist for the target",
                "`vendored`",
            ),
            (
                failed("z v0.1.0", "failed to find tool \"nasm\": No such"),
                "z 0.1.0 needs nasm",
                "install nasm",
            ),
            (
                failed("z v0.1.0", "x.c:1:10: fatal error: 'linux/x.h' file not found"),
                "C code of z 0.1.0 includes linux/x.h, which does not exist for the target",
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
        let why = "foo-sys 0.3.0 links foo, which does not exist for the target";
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
