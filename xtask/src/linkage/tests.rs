#![expect(
    clippy::disallowed_methods,
    reason = "the real files are built by rustc and cc, and read here"
)]
#![expect(clippy::disallowed_macros, reason = "a test that cannot run here says why")]

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use arbtest::arbtest;

use super::report::MOST_LIBRARIES;
use super::*;
use crate::finding::{Finding, Place, Severity};

mod glibc;
mod macho;
mod macho_sketch;
mod pe;
mod sketch;
mod slots;
mod stamped;
use sketch::Sketch;

type Verdict = Result<(Linkage, Vec<Finding>), Vec<Finding>>;

const X86_64: &str = "x86_64-unknown-linux-musl";

/// One target of each width and byte order.
const FORMS: [&str; 4] =
    [X86_64, "i686-unknown-linux-musl", "s390x-unknown-linux-musl", "powerpc-unknown-linux-musl"];

const SUSPECTS: [Suspect<'static>; 8] = [
    Suspect { krate: "openssl-sys", links: Some("openssl") },
    Suspect { krate: "libz-sys", links: Some("z") },
    Suspect { krate: "libusb1-sys", links: Some("usb-1.0") },
    Suspect { krate: "alsa-sys", links: Some("alsa") },
    Suspect { krate: "pyo3-ffi", links: Some("python") },
    Suspect { krate: "dbus-one", links: None },
    Suspect { krate: "dbus-two", links: None },
    Suspect { krate: "ring", links: Some("ring_core_0_17_14_") },
];

fn verdict(bytes: &[u8], target: &str) -> Verdict {
    let place = Place::file(Path::new("target/app"));
    inspect(Cursor::new(bytes), &Target::parse(target).unwrap(), &place, &SUSPECTS)
}

/// What a static ELF program is found to be.
fn found(pie: bool, relro: Relro, glibc: bool) -> Linkage {
    Linkage::Elf(Elf { pie, relro, loading: Loading::Static { glibc } })
}

fn elf(linkage: Linkage) -> Elf {
    match linkage {
        Linkage::Elf(elf) => elf,
        other => panic!("not ELF: {other:?}"),
    }
}

/// Whether glibc is linked into a program.
fn glibc_within(linkage: Linkage) -> bool {
    elf(linkage).loading == Loading::Static { glibc: true }
}

/// The findings of a file that is refused.
fn refused(bytes: &[u8], target: &str) -> Vec<Finding> {
    match verdict(bytes, target) {
        Ok(accepted) => panic!("accepted for {target}: {accepted:?}"),
        Err(findings) => {
            assert!(
                findings.iter().any(|finding| finding.severity == Severity::Error),
                "{findings:?}"
            );
            findings
        }
    }
}

fn rules(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

fn accepted(bytes: &[u8], target: &str) -> (Linkage, Vec<Finding>) {
    match verdict(bytes, target) {
        Ok(accepted) => accepted,
        Err(findings) => panic!("refused for {target}: {findings:#?}"),
    }
}

#[test]
fn a_static_program_is_accepted_on_every_architecture() {
    for (target, machine, wide, big) in [
        (X86_64, 62, true, false),
        ("i586-unknown-linux-musl", 3, false, false),
        ("i686-unknown-linux-musl", 3, false, false),
        ("aarch64-unknown-linux-musl", 183, true, false),
        ("aarch64_be-unknown-linux-musl", 183, true, true),
        ("arm-unknown-linux-musleabi", 40, false, false),
        ("arm-unknown-linux-musleabihf", 40, false, false),
        ("armv5te-unknown-linux-musleabi", 40, false, false),
        ("armv7-unknown-linux-musleabihf", 40, false, false),
        ("thumbv7neon-unknown-linux-musleabihf", 40, false, false),
        ("powerpc-unknown-linux-musl", 20, false, true),
        ("powerpc64-unknown-linux-musl", 21, true, true),
        ("powerpc64le-unknown-linux-musl", 21, true, false),
        ("riscv32gc-unknown-linux-musl", 243, false, false),
        ("riscv64gc-unknown-linux-musl", 243, true, false),
        ("s390x-unknown-linux-musl", 22, true, true),
        ("loongarch64-unknown-linux-musl", 258, true, false),
        ("mips-unknown-linux-musl", 8, false, true),
        ("mipsel-unknown-linux-musl", 8, false, false),
        ("mips64-unknown-linux-muslabi64", 8, true, true),
        ("mips64el-unknown-linux-muslabi64", 8, true, false),
        ("hexagon-unknown-linux-musl", 164, false, false),
    ] {
        let file = Sketch { machine, wide, big, ..Sketch::of(X86_64) };
        let pie = found(true, Relro::Full, false);
        assert_eq!(accepted(&file.write(), target), (pie, vec![]), "{target}");

        // Not position-independent, as aarch64's are by default, and with the ABI of GNU.
        let file = Sketch { kind: 2, dynamic: None, os_abi: 3, ..file };
        let fixed = found(false, Relro::Partial, false);
        assert_eq!(accepted(&file.write(), target), (fixed, vec![]), "{target}");
    }
}

#[test]
fn relro_is_reported() {
    for (relro, flags, expected) in [
        (false, vec![(24, 0)], Relro::None),
        (true, vec![], Relro::Partial),
        (true, vec![(30, 1), (0x6fff_fffb, 0x0800_0000)], Relro::Partial),
        (true, vec![(24, 0)], Relro::Full),
        (true, vec![(30, 8)], Relro::Full),
        (true, vec![(0x6fff_fffb, 1)], Relro::Full),
    ] {
        let file = Sketch { relro, dynamic: Some(flags.clone()), ..Sketch::of(X86_64) };
        let (linkage, warnings) = accepted(&file.write(), X86_64);
        assert_eq!((elf(linkage).relro, warnings), (expected, vec![]), "{flags:?}");
    }
}

/// A change to a good file, the rule that it breaks, and words of what is said.
type Fault = (&'static str, fn(&mut Sketch), &'static str, &'static str);

const FAULTS: [Fault; 25] = [
    (
        "musl's loader",
        |f| f.interpreter = Some("/lib/ld-musl-x.so.1"),
        "linkage-interpreter",
        "crt-static is off",
    ),
    (
        "glibc's loader",
        |f| f.interpreter = Some("/lib64/ld-linux-x86-64.so.2"),
        "linkage-interpreter",
        "glibc",
    ),
    (
        "a loader in nix",
        |f| f.interpreter = Some("/nix/x/lib/ld-linux.so.2"),
        "linkage-interpreter",
        "glibc",
    ),
    (
        "Android's loader",
        |f| f.interpreter = Some("/system/bin/linker64"),
        "linkage-interpreter",
        "Android",
    ),
    ("glibc", |f| f.needed = vec!["libc.so.6"], "linkage-needed", "\"libc.so.6\": it is glibc's"),
    ("musl", |f| f.needed = vec!["libc.so"], "linkage-needed", "musl itself"),
    (
        "Alpine's musl",
        |f| f.needed = vec!["libc.musl-x86_64.so.1"],
        "linkage-needed",
        "musl itself",
    ),
    ("the unwinder", |f| f.needed = vec!["libgcc_s.so.1"], "linkage-needed", "unwinder"),
    (
        "a library",
        |f| f.needed = vec!["libssl.so.3"],
        "linkage-needed",
        "openssl-sys most likely links it",
    ),
    ("another machine", |f| f.machine = 94, "linkage-machine", "it is for machine 94"),
    ("another ABI", |f| f.os_abi = 9, "linkage-os-abi", "EI_OSABI is 9"),
    ("an object file", |f| f.kind = 1, "linkage-type", "was not linked"),
    ("a core dump", |f| f.kind = 4, "linkage-type", "a core dump"),
    ("another type", |f| f.kind = 0xfe00, "linkage-type", "type 65024"),
    ("no dynamic table", |f| f.dynamic = None, "linkage-type", "PT_DYNAMIC"),
    ("a shared library", |f| f.dynamic = Some(vec![(14, 1)]), "linkage-type", "DT_SONAME"),
    ("an executable stack", |f| f.stack = Some(7), "linkage-exec-stack", "executable stack"),
    (
        "writable code",
        |f| f.code_flags = 7,
        "linkage-writable-code",
        "both writable and executable",
    ),
    (
        "executable data",
        |f| f.data_flags = 7,
        "linkage-writable-code",
        "both writable and executable",
    ),
    ("DT_TEXTREL", |f| f.dynamic = Some(vec![(22, 0)]), "linkage-text-relocations", "DT_TEXTREL"),
    ("DF_TEXTREL", |f| f.dynamic = Some(vec![(30, 4)]), "linkage-text-relocations", "DT_TEXTREL"),
    (
        "no entry point, code at 0",
        |f| (f.base, f.entry) = (0, Some(0)),
        "linkage-entry-point",
        "entry point is 0",
    ),
    ("no entry point", |f| f.entry = Some(0), "linkage-entry-point", "entry point is 0"),
    (
        "an entry point elsewhere",
        |f| f.entry = Some(0x99_0000),
        "linkage-entry-point",
        "0x990000 lies in no",
    ),
    (
        "code that does not run",
        |f| f.code_flags = 4,
        "linkage-entry-point",
        "lies in no executable segment",
    ),
];

#[test]
fn each_fault_is_found_in_each_form() {
    for target in FORMS {
        accepted(&Sketch::of(target).write(), target);
        for (name, break_it, rule, words) in FAULTS {
            let mut file = Sketch::of(target);
            break_it(&mut file);
            let findings = refused(&file.write(), target);
            assert_eq!(rules(&findings), [rule], "{name} for {target}: {findings:#?}");
            assert!(findings[0].why.contains(words), "{name} for {target}: {}", findings[0].why);
            assert_eq!(findings[0].severity, Severity::Error);
            assert_eq!(findings[0].place, Place::file(Path::new("target/app")));
            assert!(!findings[0].fix.is_empty(), "{name}");
        }
    }
}

#[test]
fn all_faults_are_said_at_once() {
    let file = Sketch {
        machine: 3,
        stack: Some(7),
        data_flags: 7,
        entry: Some(0),
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        needed: vec!["libssl.so.3", "libc.so.6"],
        ..Sketch::of(X86_64)
    };
    let findings = refused(&file.write(), X86_64);
    assert_eq!(
        rules(&findings),
        [
            "linkage-machine",
            "linkage-writable-code",
            "linkage-exec-stack",
            "linkage-entry-point",
            "linkage-interpreter",
            "linkage-needed",
            "linkage-needed",
        ]
    );
}

#[test]
fn the_machine_includes_width_and_byte_order() {
    for (target, other, words) in [
        (X86_64, "i686-unknown-linux-musl", "it is for x86 (32 bits, little endian), but"),
        (
            "powerpc64-unknown-linux-musl",
            "powerpc64le-unknown-linux-musl",
            "needs powerpc64 (64 bits, big endian)",
        ),
        (
            "mips-unknown-linux-musl",
            "mips64-unknown-linux-muslabi64",
            "it is for mips (64 bits, big endian), but",
        ),
    ] {
        let findings = refused(&Sketch::of(other).write(), target);
        assert_eq!(rules(&findings), ["linkage-machine"]);
        assert!(findings[0].why.contains(words), "{}", findings[0].why);
    }
}

#[test]
fn a_stack_without_a_header_is_what_the_kernel_makes_of_it() {
    for (target, refused, words) in [
        (X86_64, true, "kernels before 5.8"),
        ("aarch64-unknown-linux-musl", true, "kernels before 5.8"),
        ("i686-unknown-linux-musl", true, "may then make the stack executable on i686"),
        ("armv7-unknown-linux-musleabihf", true, "may then make the stack executable on armv7"),
        ("powerpc-unknown-linux-musl", true, "may then make the stack executable"),
        ("powerpc64le-unknown-linux-musl", false, "only the kernel's default"),
        ("riscv64gc-unknown-linux-musl", false, "only the kernel's default"),
        ("s390x-unknown-linux-musl", false, "only the kernel's default"),
        ("loongarch64-unknown-linux-musl", false, "only the kernel's default"),
    ] {
        let file = Sketch { stack: None, ..Sketch::of(target) }.write();
        let (was_refused, findings) = match verdict(&file, target) {
            Ok((_, warnings)) => (false, warnings),
            Err(findings) => (true, findings),
        };
        assert_eq!(
            (was_refused, rules(&findings)),
            (refused, vec!["linkage-exec-stack"]),
            "{target}"
        );
        assert!(findings[0].why.contains(words), "{target}: {}", findings[0].why);
    }
}

#[test]
fn a_library_is_traced_to_a_crate() {
    for (library, why, fix) in [
        (
            "libcrypto.so.3",
            "openssl-sys most likely links it",
            "the feature `vendored` of openssl-sys",
        ),
        ("libz.so.1", "libz-sys most likely links it", "the feature `static` of libz-sys"),
        ("libusb-1.0.so.0", "libusb1-sys most likely links it", "look at libusb1-sys"),
        ("/usr/lib/libasound.so.2", "alsa-sys most likely links it", "look at alsa-sys"),
        ("libpython3.11.so.1.0", "pyo3-ffi most likely links it", "look at pyo3-ffi"),
        (
            "libdbus-1.so.3",
            "one of these most likely links it: dbus-one, dbus-two",
            "find the one of them",
        ),
        ("libstdc++.so.6", "C++ library", "cpp_link_stdlib_static"),
        (
            "libX11.so.6",
            "alsa-sys, dbus-one, dbus-two, libusb1-sys, libz-sys and 3 more",
            "find the crate",
        ),
        ("", "no crate has its name", "find the crate"),
        ("\u{1b}[31m.so", "\"\\u{1b}[31m.so\"", "find the crate"),
    ] {
        let file = Sketch { needed: vec![library], ..Sketch::of(X86_64) };
        let findings = refused(&file.write(), X86_64);
        assert_eq!(rules(&findings), ["linkage-needed"]);
        assert!(findings[0].why.contains(why), "{library}: {}", findings[0].why);
        assert!(findings[0].fix.contains(fix), "{library}: {}", findings[0].fix);
    }
    let file = Sketch { needed: vec!["libX11.so.6"], ..Sketch::of(X86_64) }.write();
    let target = Target::parse(X86_64).unwrap();
    let findings = inspect(Cursor::new(file), &target, &Place::default(), &[]).unwrap_err();
    assert!(
        findings[0].why.contains("no crate of the graph declares that it links one"),
        "{}",
        findings[0].why
    );
}

#[test]
fn the_closest_name_wins() {
    for (library, winner, loser) in [
        ("libpython3.11.so.1.0", ("embed", Some("python")), ("python-extras", None)),
        ("libpq.so.5", ("pq-sys", None), ("pqcrypto", Some("pqcrypto"))),
        ("libpq.so.5", ("other", Some("pq")), ("pq-sys", None)),
        ("libgit2.so.1.7", ("libgit2-sys", Some("git2")), ("git3-sys", Some("git3"))),
        ("libxml2.so.2", ("xml-bindings", Some("xmlsec")), ("unrelated", Some("yaml"))),
        ("libvorbisfile.so.3", ("vorbis-sys", None), ("ogg-sys", Some("ogg"))),
    ] {
        let suspects = [loser, winner].map(|(krate, links)| Suspect { krate, links });
        let (cause, _) = origin::of_library(library, &suspects);
        assert_eq!(cause, format!("{} most likely links it", winner.0), "{library}");
    }
}

#[test]
fn many_libraries_are_summed_up() {
    let file = Sketch { needed: vec!["libX11.so.6"; 500], ..Sketch::of(X86_64) };
    let findings = refused(&file.write(), X86_64);
    assert_eq!(findings.len(), MOST_LIBRARIES + 1);
    assert_eq!(findings[MOST_LIBRARIES].why, "it needs 436 more shared libraries");
}

#[test]
fn glibc_within_is_warned_of() {
    const I686: &str = "i686-unknown-linux-musl";
    let fixed = |target: &str| Sketch { kind: 2, dynamic: None, ..Sketch::of(target) };
    let banner = "stable GNU C Library (Debian GLIBC 2.36)";
    for (name, target, file, glibc, rule, words) in [
        (
            "a note",
            X86_64,
            Sketch { note: true, ..Sketch::of(X86_64) },
            true,
            "linkage-glibc",
            "parts of it",
        ),
        (
            "a note and the switch",
            X86_64,
            Sketch { note: true, text: "/etc/nsswitch.conf", ..Sketch::of(X86_64) },
            true,
            "linkage-glibc",
            "which are linked too",
        ),
        (
            "DT_RELA",
            X86_64,
            Sketch { relocations: vec![8, 8, 37], text: banner, ..Sketch::of(X86_64) },
            true,
            "linkage-glibc",
            "not musl",
        ),
        (
            "DT_REL",
            I686,
            Sketch {
                relocations: vec![8, 8, 42],
                addends: false,
                text: banner,
                ..Sketch::of(I686)
            },
            true,
            "linkage-glibc",
            "not musl",
        ),
        (
            "a section",
            X86_64,
            Sketch { relocations: vec![37], text: banner, ..fixed(X86_64) },
            true,
            "linkage-glibc",
            "not musl",
        ),
        (
            "a section without addends",
            I686,
            Sketch { relocations: vec![42], addends: false, text: banner, ..fixed(I686) },
            true,
            "linkage-glibc",
            "not musl",
        ),
        (
            "indirect functions alone",
            X86_64,
            Sketch { relocations: vec![37], ..Sketch::of(X86_64) },
            false,
            "linkage-indirect-functions",
            "crashes",
        ),
    ] {
        let (linkage, warnings) = accepted(&file.write(), target);
        assert_eq!((glibc_within(linkage), rules(&warnings)), (glibc, vec![rule]), "{name}");
        assert!(warnings[0].why.contains(words), "{name}: {}", warnings[0].why);
    }
    // A program in musl may well print these words.
    let talk = Sketch { text: banner, ..Sketch::of(X86_64) };
    let (linkage, warnings) = accepted(&talk.write(), X86_64);
    assert_eq!((glibc_within(linkage), warnings), (false, vec![]));
}

#[test]
fn a_text_across_two_pieces_is_found() {
    let text = format!("{}GNU C Library", "x".repeat(1 << 20));
    // The text before it begins 360 bytes into the segment.
    for skew in 350..=380 {
        let text = &text[skew..];
        let file = Sketch { relocations: vec![37], text, ..Sketch::of(X86_64) };
        assert_eq!(rules(&accepted(&file.write(), X86_64).1), ["linkage-glibc"]);
    }
}

#[test]
fn what_is_not_elf_is_named() {
    for (bytes, words) in [
        (&b""[..], "it is empty"),
        (b"\x7fELF", "the first four bytes"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "Mach-O file, for macOS, not an ELF file"),
        (b"\xce\xfa\xed\xfe\x07\0\0\0", "Mach-O file of 32 bits"),
        (b"\xfe\xed\xfa\xce\0\0\0\x12", "Mach-O file for PowerPC"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02\0", "several architectures"),
        (b"\xca\xfe\xba\xbf\0\0\0\x02\0", "several architectures"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41\0", "unknown format"),
        (b"MZ\x90\0\x03", "PE file"),
        (b"#!/bin/sh\necho", "a script"),
        (b"!<arch>\n/ ", "archive"),
        (b"!<thin>\n/ ", "archive"),
        (b"\0asm\x01\0\0\0", "WebAssembly"),
        (b"BC\xc0\xde5", "LLVM bitcode"),
        (b"\x1f\x8b\x08\0", "compressed"),
        (b"PK\x03\x04\0", "compressed"),
        (b"\x28\xb5\x2f\xfd\0", "compressed"),
        (&[0; 64], "zeros"),
        (b"hello, world\n", "a text"),
        (b"\x01\x02\x03\x04\xff", "unknown format"),
    ] {
        let findings = refused(bytes, X86_64);
        assert_eq!(rules(&findings), ["linkage-format"]);
        assert!(findings[0].why.contains(words), "{bytes:?}: {}", findings[0].why);
    }
}

#[test]
fn other_targets_are_not_proved() {
    let file = Sketch::of(X86_64).write();
    for target in [
        "x86_64-unknown-linux-gnux32",
        "arm64e-apple-darwin",
        "thumbv7a-pc-windows-msvc",
        "x86_64-unknown-freebsd",
        "wasm32-wali-linux-musl",
        "sparc-unknown-linux-musl",
    ] {
        assert_eq!(rules(&refused(&file, target)), ["linkage-unsupported"], "{target}");
    }
}

#[test]
fn damage_is_an_error() {
    let good = Sketch::of(X86_64).write();
    let header = |kind| sketch::program_header(&good, kind) as usize;
    let (load, dynamic, relro) = (header(1), header(2), header(0x6474_e552));
    let most = [0xff; 8];
    let len = u64::to_le_bytes(good.len() as u64);
    for (name, changes, words) in [
        ("class", vec![(4, &[3][..])], "ELF class is 3"),
        ("byte order", vec![(5, &[0])], "no byte order"),
        ("version", vec![(6, &[2])], "another version"),
        ("PN_XNUM", vec![(56, &[0xff, 0xff])], "65535 program headers"),
        ("headers past the kernel's limit", vec![(56, &[0x93, 0x04])], "more than Linux loads"),
        ("size of a header", vec![(54, &[32, 0])], "are 32 bytes each"),
        ("program headers far away", vec![(32, &most)], "before the end of program headers"),
        ("program headers at the end", vec![(32, &len)], "before the end of program headers"),
        ("section headers far away", vec![(40, &most)], "section headers"),
        ("section headers at the end", vec![(40, &len)], "section headers"),
        ("size of a section header", vec![(58, &[63, 0]), (60, &[0, 0])], "section headers"),
        ("many sections", vec![(60, &[0xff, 0xff])], "before the end of section headers"),
        ("segment far away", vec![(load + 8, &most)], "before the end of segment 0"),
        ("segment too long", vec![(load + 32, &most)], "before the end of segment 0"),
        ("more file than memory", vec![(load + 40, &[0; 8])], "more than its 0 in memory"),
        ("memory without end", vec![(load + 40, &most)], "beyond the address space"),
        (
            "segments over each other",
            vec![(load + 56 + 16, &[0; 8])],
            "over the segments before it",
        ),
        ("dynamic table elsewhere", vec![(dynamic + 16, &[0; 8])], "is not loaded at its address"),
        ("dynamic table moved", vec![(dynamic + 8, &[0; 8])], "is not loaded at its address"),
        ("two dynamic tables", vec![(relro, &[2, 0, 0, 0])], "more than one dynamic table"),
        (
            "dynamic table without end",
            vec![(dynamic + 32, &[16, 0, 0, 0, 0, 0, 0, 0])],
            "no end (DT_NULL)",
        ),
        ("empty dynamic table", vec![(dynamic + 32, &[0; 8])], "no end (DT_NULL)"),
    ] {
        let mut bytes = good.clone();
        for (at, change) in changes {
            bytes[at..at + change.len()].copy_from_slice(change);
        }
        let findings = refused(&bytes, X86_64);
        assert_eq!(rules(&findings), ["linkage-malformed"], "{name}: {findings:#?}");
        assert!(findings[0].why.contains(words), "{name}: {}", findings[0].why);
    }
}

#[test]
fn an_address_space_of_32_bits_has_an_end() {
    let mut bytes = Sketch::of("i686-unknown-linux-musl").write();
    let second = 52 + 32;
    bytes[second + 20..second + 24].copy_from_slice(&[0xff; 4]);
    let findings = refused(&bytes, "i686-unknown-linux-musl");
    assert_eq!(findings[0].why, "it is damaged: segment 1 ends beyond the address space");
}

#[test]
fn damaged_tables_are_an_error() {
    let library = || Sketch { needed: vec!["libX11.so.6"], ..Sketch::of(X86_64) };
    for (name, entries, words) in [
        ("name beyond its table", vec![(1, 0xffff_ffff)], "is at 0xffffffff of a string table"),
        ("name without end", vec![(10, 2)], "has no end"),
        ("table of names not loaded", vec![(5, 0xdead_0000)], "0xdead0000 is not loaded"),
        (
            "relocations not loaded",
            vec![(7, 0xdead_0000), (8, 24)],
            "24 bytes of relocations at 0xdead0000",
        ),
        ("too many relocations", vec![(8, u64::MAX)], "are not loaded from the file"),
    ] {
        let file = Sketch { relocations: vec![8], dynamic: Some(entries), ..library() };
        let findings = refused(&file.write(), X86_64);
        assert_eq!(
            findings.last().map(|finding| finding.rule),
            Some("linkage-malformed"),
            "{name}: {findings:#?}"
        );
        let why = &findings[findings.len() - 1].why;
        assert!(why.contains(words), "{name}: {why}");
    }
    // How many relocations are relative is taken as said: those are passed over.
    let file = Sketch {
        relocations: vec![37],
        dynamic: Some(vec![(0x6fff_fff9, u64::MAX)]),
        ..Sketch::of(X86_64)
    };
    assert_eq!(accepted(&file.write(), X86_64).1, vec![]);
}

#[test]
fn a_file_without_segments_is_no_program() {
    let mut bytes = Sketch { kind: 2, dynamic: None, ..Sketch::of(X86_64) }.write();
    bytes[56..58].copy_from_slice(&[0, 0]);
    assert_eq!(rules(&refused(&bytes, X86_64)), ["linkage-exec-stack", "linkage-no-code"]);
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for target in FORMS {
        let file = Sketch {
            needed: vec![],
            relocations: vec![8; 3],
            note: true,
            text: "text",
            ..Sketch::of(target)
        };
        let good = file.write();
        accepted(&good, target);
        for length in 0..good.len() {
            let findings = refused(&good[..length], target);
            let rule = if length < 5 { "linkage-format" } else { "linkage-malformed" };
            assert_eq!(rules(&findings), [rule], "{length} bytes of {} for {target}", good.len());
        }
    }
}

#[test]
fn changed_bytes_do_no_harm() {
    let files: Vec<(Vec<u8>, Target)> = FORMS
        .iter()
        .map(|target| {
            let file = Sketch {
                needed: vec!["libssl.so.3"],
                relocations: vec![8, 37],
                ..Sketch::of(target)
            };
            (Sketch { note: true, ..file }.write(), Target::parse(target).unwrap())
        })
        .collect();
    unharmed(&files);
}

/// Inspects the files with some of their bytes changed, and some cut off.
fn unharmed(files: &[(Vec<u8>, Target)]) {
    arbtest(|u| {
        let (good, target) = u.choose(files)?;
        let mut bytes = good.clone();
        for _ in 0..u.int_in_range(0..=8)? {
            let at = u.choose_index(bytes.len())?;
            // Large numbers and small ones break more than random ones.
            let any = u.arbitrary()?;
            bytes[at] = *u.choose(&[0, 1, 2, 0x7f, 0x80, 0xff, any])?;
        }
        if u.ratio(1, 8)? {
            bytes.truncate(u.int_in_range(0..=bytes.len())?);
        }
        match inspect(Cursor::new(&bytes), target, &Place::default(), &SUSPECTS) {
            Ok((linkage, warnings)) => {
                assert!(warnings.iter().all(|finding| finding.severity == Severity::Warning));
                assert!(serde_json::to_value(&linkage).unwrap()["format"].is_string(), "{linkage}");
            }
            Err(findings) => {
                assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
            }
        }
        Ok(())
    });
}

/// A file of which only the first bytes are held, and that counts what is read.
struct Sparse<'a> {
    start: &'a [u8],
    len: u64,
    at: u64,
    read: &'a std::cell::Cell<u64>,
}

impl Read for Sparse<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        for (byte, at) in buffer[..count].iter_mut().zip(self.at..) {
            *byte =
                usize::try_from(at).ok().and_then(|at| self.start.get(at)).copied().unwrap_or(0);
        }
        self.at += count as u64;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

impl Seek for Sparse<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at.min(self.len),
            SeekFrom::End(0) => self.len,
            other => return Err(io::Error::other(format!("seek to {other:?}"))),
        };
        Ok(self.at)
    }
}

#[test]
fn a_large_file_is_not_read_whole() {
    let read = std::cell::Cell::new(0);
    let file = Sketch { relocations: vec![8; 3], note: true, ..Sketch::of(X86_64) }.write();
    let sparse = Sparse { start: &file, len: 4 << 30, at: 0, read: &read };
    let target = Target::parse(X86_64).unwrap();
    let (linkage, _) = inspect(sparse, &target, &Place::default(), &[]).unwrap();
    assert_eq!(linkage, found(true, Relro::Full, true));
    assert!(read.get() < 8 * 1024, "read {} bytes", read.get());
}

#[test]
fn a_file_cannot_have_much_of_itself_read() {
    let read = std::cell::Cell::new(0);
    let huge = 3_u64 << 30;
    let tables = vec![(8, 1 << 30), (0x6fff_fff9, 0)];
    let mut file =
        Sketch { relocations: vec![0], dynamic: Some(tables), note: true, ..Sketch::of(X86_64) }
            .write();
    let header = |kind| sketch::program_header(&file, kind) as usize;
    let (load, note) = (header(1), header(4));
    for at in [load + 32, load + 40, note + 32] {
        file[at..at + 8].copy_from_slice(&huge.to_le_bytes());
    }
    // The data's segment gives way to the one that is now so large.
    file[load + 56] = 0;
    let sparse = Sparse { start: &file, len: 4 << 30, at: 0, read: &read };
    let target = Target::parse(X86_64).unwrap();
    let (linkage, warnings) = inspect(sparse, &target, &Place::default(), &[]).unwrap();
    assert_eq!((glibc_within(linkage), rules(&warnings)), (true, vec!["linkage-glibc"]));
    assert!((9 << 20..12 << 20).contains(&read.get()), "read {} bytes", read.get());
}

/// The musl target of this machine, where it is one that the tests build for.
fn native() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some(X86_64),
        "aarch64" => Some("aarch64-unknown-linux-musl"),
        arch => {
            eprintln!("skipped: no real files are built on {arch}");
            None
        }
    }
}

/// The output of a compiler, or `None`, with the reason printed, where it fails.
fn built(program: &str, arguments: &[&str], source: &str, extension: &str) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join(format!("hello.{extension}")), dir.path().join("hello"));
    fs::write(&input, source).unwrap();
    let run = Command::new(program).args(arguments).arg("-o").arg(&output).arg(&input).output();
    match run {
        Ok(run) if run.status.success() => Some(fs::read(&output).unwrap()),
        Ok(run) => {
            eprintln!(
                "skipped: {program} {arguments:?} failed: {}",
                String::from_utf8_lossy(&run.stderr)
            );
            None
        }
        Err(error) => {
            eprintln!("skipped: {program} could not be started: {error}");
            None
        }
    }
}

#[test]
fn a_program_of_this_system_is_refused() {
    let Some(target) = native() else { return };
    let bytes = match fs::read("/bin/ls") {
        Ok(bytes) if cfg!(target_env = "gnu") => bytes,
        Ok(_) => return eprintln!("skipped: this system's C library is not glibc"),
        Err(error) => return eprintln!("skipped: /bin/ls: {error}"),
    };
    let findings = refused(&bytes, target);
    let says =
        |rule: &str, words: &str| findings.iter().any(|f| f.rule == rule && f.why.contains(words));
    assert!(says("linkage-interpreter", "a toolchain for glibc linked it"), "{findings:#?}");
    assert!(says("linkage-needed", "\"libc.so.6\""), "{findings:#?}");
}

#[test]
fn a_program_that_rustc_links_for_musl_is_accepted() {
    let Some(target) = native() else { return };
    let named = format!("--target={target}");
    let arguments = ["--edition=2024", &named, "-Clinker=rust-lld", "-Ctarget-feature=+crt-static"];
    let own = "-Clink-self-contained=yes";
    for (model, pie) in [("pie", true), ("static", false)] {
        let model = format!("-Crelocation-model={model}");
        let arguments = [&arguments[..], &[own, &model]].concat();
        let Some(bytes) = built("rustc", &arguments, "fn main() { println!(\"hello\"); }", "rs")
        else {
            return;
        };
        let (linkage, warnings) = accepted(&bytes, target);
        assert_eq!(
            (elf(linkage.clone()).pie, glibc_within(linkage), warnings),
            (pie, false, vec![]),
            "{model}"
        );
    }
}

#[test]
fn a_program_with_static_glibc_is_warned_of() {
    let Some(target) = native() else { return };
    if !cfg!(target_env = "gnu") {
        return eprintln!("skipped: this system's C library is not glibc");
    }
    for (how, pie) in [("-static", false), ("-static-pie", true)] {
        let Some(bytes) = built("cc", &[how], "int main(void) { return 0; }", "c") else { return };
        let (linkage, warnings) = accepted(&bytes, target);
        assert_eq!(
            (elf(linkage.clone()).pie, glibc_within(linkage), rules(&warnings)),
            (pie, true, vec!["linkage-glibc"]),
            "{how}"
        );
    }
}
