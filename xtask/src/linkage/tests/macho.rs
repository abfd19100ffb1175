use super::macho_sketch::{PAGE, Signing, Sketch, universal};
use super::*;

const ARM: &str = "aarch64-apple-darwin";
const INTEL: &str = "x86_64-apple-darwin";
const UNIVERSAL: &str = "universal2-apple-darwin";

fn program(linkage: Linkage) -> MachO {
    match linkage {
        Linkage::MachO(program) => program,
        other => panic!("not Mach-O: {other:?}"),
    }
}

#[test]
fn a_program_for_macos_is_accepted() {
    for target in [ARM, INTEL] {
        let (linkage, warnings) = accepted(&Sketch::of(target).write(), target);
        assert_eq!(warnings, vec![], "{target}");
        assert_eq!(
            linkage.to_string(),
            "Mach-O, macOS 11.0, ad-hoc signed, libSystem.B.dylib",
            "{target}"
        );
        assert_eq!(
            serde_json::to_string(&linkage).unwrap(),
            "{\"format\":\"mach-o\",\"static\":false,\"pie\":true,\
             \"libraries\":[\"/usr/lib/libSystem.B.dylib\"],\
             \"minimum_os\":\"11.0\",\"signature\":\"ad-hoc\"}"
        );
    }
    let file = Sketch { signature: None, ..Sketch::of(INTEL) };
    assert_eq!(program(accepted(&file.write(), INTEL).0).signature, None);
}

#[test]
fn libraries_of_macos_alone_are_loaded() {
    let kinds = [0xc, 0x20, 0x8000_0018, 0x8000_001f, 0x8000_0023];
    for kind in kinds {
        let framework = "/System/Library/Frameworks/Security.framework/Versions/A/Security";
        let libraries = [(kind, framework), (kind, "/usr/lib/libz.1.dylib"), (kind, framework)];
        let file = Sketch { libraries: libraries.to_vec(), ..Sketch::of(ARM) };
        let program = program(accepted(&file.write(), ARM).0);
        assert_eq!(program.libraries, [framework, "/usr/lib/libz.1.dylib"]);
        for (path, why) in [
            ("@rpath/libz.1.dylib", "libz-sys most likely links it"),
            ("/opt/homebrew/opt/openssl@3/lib/libssl.3.dylib", "openssl-sys most likely"),
            ("/usr/local/lib/libusb-1.0.0.dylib", "libusb1-sys most likely"),
            ("libfoo.dylib", "no crate has its name"),
            ("/usr/lib/../local/lib/libfoo.dylib", "no crate has its name"),
            ("/usr/lib", "no crate has its name"),
        ] {
            let file = Sketch { libraries: vec![(kind, path)], ..Sketch::of(ARM) };
            let findings = refused(&file.write(), ARM);
            assert_eq!(rules(&findings), ["linkage-needed"], "{path} by {kind:#x}");
            assert!(findings[0].why.contains(&format!("{path:?}")), "{}", findings[0].why);
            assert!(findings[0].why.contains(why), "{}", findings[0].why);
        }
    }
}

#[test]
fn the_oldest_macos_is_told() {
    for (systems, oldest) in [
        (vec![vec![0x32, 1, 0xb_0000, 0, 0]], "11.0"),
        (vec![vec![0x32, 1, 0xa_0c00, 0, 0]], "10.12"),
        (vec![vec![0x24, 0xa_0d06, 0]], "10.13.6"),
        (vec![vec![0x24, 0xa_0d00, 0], vec![0x32, 1, 0xe_0000, 0, 0]], "14.0"),
    ] {
        let file = Sketch { systems, ..Sketch::of(INTEL) };
        let program = program(accepted(&file.write(), INTEL).0);
        assert_eq!(program.minimum_os.to_string(), oldest);
    }
    for (systems, words) in [
        (vec![], "does not say which system it is for"),
        (vec![vec![0x32, 2, 0xb_0000, 0, 0]], "for iOS, not"),
        (vec![vec![0x32, 6, 0xb_0000, 0, 0]], "for Mac Catalyst, not"),
        (vec![vec![0x32, 99, 0xb_0000, 0, 0]], "for platform 99, not"),
        (vec![vec![0x25, 0xb_0000, 0]], "for iOS, not"),
        (vec![vec![0x2f, 0xb_0000, 0]], "for tvOS, not"),
        (vec![vec![0x30, 0xb_0000, 0]], "for watchOS, not"),
        (vec![vec![0x24, 0xa_0d00, 0], vec![0x32, 11, 0xe_0000, 0, 0]], "for platform 11"),
    ] {
        let findings = refused(&Sketch { systems, ..Sketch::of(ARM) }.write(), ARM);
        assert_eq!(rules(&findings), ["linkage-platform"]);
        assert!(findings[0].why.contains(words), "{}", findings[0].why);
    }
}

/// A change to a good file, the rule that it breaks, and words of what is said.
type Fault = (fn(&mut Sketch), &'static str, &'static str);

#[test]
fn each_fault_is_found() {
    let faults: [Fault; 24] = [
        (|f| f.cpu = (7, 3), "linkage-machine", "it is for x86, but"),
        (|f| f.cpu = (0x0100_000c, 2), "linkage-machine", "it is for arm64e, but"),
        (|f| f.cpu = (0x0100_0007, 8), "linkage-machine", "it is for x86_64h, but"),
        (|f| f.kind = 1, "linkage-type", "an object file"),
        (|f| f.kind = 6, "linkage-type", "a dynamic library"),
        (|f| f.kind = 8, "linkage-type", "a bundle"),
        (|f| f.kind = 99, "linkage-type", "type 99"),
        (|f| f.flags = 0x85, "linkage-pie", "MH_PIE"),
        (|f| f.flags |= 0x2_0000, "linkage-exec-stack", "executable stack"),
        (|f| f.code_protection = 7, "linkage-writable-code", "segment __TEXT is both"),
        (|f| f.data_protection = 7, "linkage-writable-code", "segment __DATA is both"),
        (|f| f.entry = None, "linkage-entry-point", "no entry point (LC_MAIN)"),
        (|f| f.entry = Some(0), "linkage-entry-point", "0x0 lies in no"),
        (|f| f.entry = Some(3 * 4096), "linkage-entry-point", "0x3000 lies in no"),
        (|f| f.code_protection = 1, "linkage-entry-point", "lies in no executable"),
        (|f| f.loader = None, "linkage-interpreter", "names no loader"),
        (|f| f.loader = Some("/opt/dyld"), "linkage-interpreter", "by \"/opt/dyld\""),
        (|f| f.paths = vec!["/Users/ci/lib"], "linkage-library-path", "\"/Users/ci/lib\""),
        (|f| f.paths = vec!["/usr/local/lib"], "linkage-library-path", "\"/usr/local/lib\""),
        (|f| f.paths = vec!["/usr/lib/.."], "linkage-library-path", "\"/usr/lib/..\""),
        (|f| f.loader = Some(""), "linkage-interpreter", "by \"\""),
        (|f| f.kind = 4, "linkage-type", "a core dump"),
        (|f| f.kind = 10, "linkage-type", "debug information"),
        (|f| f.entry = Some(u64::MAX), "linkage-entry-point", "lies in no"),
    ];
    for target in [ARM, INTEL] {
        for (number, (break_it, rule, words)) in faults.iter().enumerate() {
            let mut file = Sketch::of(target);
            break_it(&mut file);
            let findings = refused(&file.write(), target);
            assert_eq!(rules(&findings), [*rule], "{number} for {target}: {findings:#?}");
            assert!(findings[0].why.contains(words), "{number}: {}", findings[0].why);
        }
    }
    let findings = refused(&Sketch::of(ARM).write(), INTEL);
    assert_eq!(rules(&findings), ["linkage-machine"]);
    for path in ["/usr/lib", "/usr/lib/swift", "@executable_path/../lib"] {
        accepted(&Sketch { paths: vec![path], ..Sketch::of(ARM) }.write(), ARM);
    }
}

#[test]
fn each_page_is_held_against_the_signature() {
    type Fault = (fn(&mut Signing), &'static str);
    let faults: [Fault; 15] = [
        (|s| s.changed = Some(3000), "the page at 0x0 was changed"),
        (|s| s.changed = Some(4096), "the page at 0x1000 was changed"),
        (|s| s.changed = Some(4 * 4096 - 1), "the page at 0x3000 was changed"),
        (|s| s.magic = 0xfade_0cc1, "it begins with 0xfade0cc1"),
        (|s| s.flags = 0x1_0000, "it is not ad-hoc"),
        (|s| s.hashes = vec![1], "no digests of SHA-256"),
        (|s| s.hashes = vec![], "no digests of SHA-256"),
        (|s| s.hashes = vec![2, 2], "more than one code directory"),
        (|s| s.hashes = vec![1; 65], "65 parts, more than 64"),
        (|s| s.missing = 4096, "it covers 12288 bytes, not the 16384"),
        (|s| s.page = 0, "pages are of 2^0 bytes"),
        (|s| s.page = 17, "pages are of 2^17 bytes"),
        (|s| s.scatter = 1, "scattered"),
        (|s| s.slots = Some(3), "it has 3 digests, not one for each of 4 pages"),
        (|s| s.digest_size = 20, "digests have 20 bytes"),
    ];
    for target in [ARM, INTEL] {
        for (number, (break_it, words)) in faults.iter().enumerate() {
            let mut file = Sketch::of(target);
            break_it(file.signature.as_mut().unwrap());
            let findings = refused(&file.write(), target);
            assert_eq!(rules(&findings), ["linkage-signature"], "{number}: {findings:#?}");
            assert!(findings[0].why.contains(words), "{number}: {}", findings[0].why);
            assert!(findings[0].fix.contains("macOS kills such a program"));
            assert!(findings[0].fix.contains("strip, objcopy and packers"));
        }
        for (page, hashes) in [(14, vec![2]), (12, vec![1, 2])] {
            let mut file = Sketch::of(target);
            file.signature = file.signature.map(|it| Signing { page, hashes, ..it });
            accepted(&file.write(), target);
        }
    }
    let findings = refused(&Sketch { signature: None, ..Sketch::of(ARM) }.write(), ARM);
    assert_eq!(rules(&findings), ["linkage-signature"]);
    assert!(findings[0].why.contains("no code signature"), "{}", findings[0].why);
}

#[test]
fn a_signature_covers_all_that_runs() {
    // The segment of the data reaches over the signature.
    let mut bytes = Sketch::of(ARM).write();
    let size = (PAGE as u64 + 8).to_le_bytes();
    for at in [32 + 72 + 32, 32 + 72 + 48] {
        bytes[at..at + 8].copy_from_slice(&size);
    }
    let findings = refused(&bytes, ARM);
    assert_eq!(rules(&findings), ["linkage-signature"]);
    assert!(findings[0].why.contains("does not cover all segments"), "{}", findings[0].why);
}

#[test]
fn damage_is_an_error() {
    let good = Sketch::of(ARM).write();
    let first = 32;
    let most = [0xff; 8];
    for (name, at, change, words) in [
        ("many commands", 16, &[0xff, 0xff][..], "before the end of load command"),
        ("few commands", 16, &[1, 0], "load commands have 72 bytes, not"),
        ("much of commands", 20, &[0, 0, 4, 0], "before the end of the load commands"),
        ("too much of commands", 20, &[0, 0, 5, 0], "more than 262144"),
        ("a command of no size", first + 4, &[0; 4], "has 0 bytes"),
        ("a command of odd size", first + 4, &[9, 0], "has 9 bytes"),
        ("a command beyond the end", first + 4, &[0, 0, 1, 0], "before the end of load command 0"),
        ("a segment far away", first + 40, &most, "before the end of the segment __TEXT"),
        ("a segment too long", first + 48, &most, "more than its"),
        ("memory without end", first + 32, &most, "beyond the address space"),
        ("two signatures", first + 3 * 72, &[0x1d, 0, 0, 0], "more than one code signature"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        let findings = refused(&bytes, ARM);
        assert_eq!(rules(&findings), ["linkage-malformed"], "{name}: {findings:#?}");
        assert!(findings[0].why.contains(words), "{name}: {}", findings[0].why);
    }
    // A library's name beyond its command, and one without end.
    for offset in [99, 20] {
        let mut bytes = good.clone();
        let at = bytes.windows(12).position(|it| it == b"/usr/lib/lib").unwrap();
        bytes[at - 16] = offset;
        if offset == 20 {
            bytes[at - 4..at + 28].fill(b'x');
            bytes[at + 28..at + 32].fill(b'x');
        }
        assert_eq!(rules(&refused(&bytes, ARM)), ["linkage-malformed"], "{offset}");
    }
}

#[test]
fn a_universal_file_has_a_slice_for_each_target() {
    let (arm, intel) = (Sketch::of(ARM), Sketch::of(INTEL));
    for wide in [false, true] {
        let good = universal(&[(&intel, 12), (&arm, 14)], wide);
        let (linkage, warnings) = accepted(&good, UNIVERSAL);
        assert_eq!(warnings, vec![]);
        let json = serde_json::to_value(&linkage).unwrap();
        assert_eq!((&json["format"], &json["static"]), (&"mach-o".into(), &false.into()));
        assert_eq!(json["slices"][ARM]["minimum_os"], "11.0");
        assert_eq!(json["slices"][INTEL]["signature"], "ad-hoc");
        let words = "aarch64: Mach-O, macOS 11.0, ad-hoc signed, libSystem.B.dylib; x86_64: Mach-O";
        assert!(linkage.to_string().starts_with(words), "{linkage}");
        for target in [ARM, INTEL] {
            assert_eq!(rules(&refused(&good, target)), ["linkage-format"]);
        }
    }
    let other = Sketch { cpu: (0x0100_000c, 2), ..Sketch::of(ARM) };
    for (slices, words) in [
        (vec![&arm], vec!["it has no slice for x86_64"]),
        (vec![&intel], vec!["it has no slice for aarch64"]),
        (vec![&arm, &intel, &other], vec!["it has a slice for arm64e"]),
        (vec![&arm, &intel, &arm], vec!["more than one slice for aarch64"]),
        (vec![], vec!["it has no slice for aarch64", "it has no slice for x86_64"]),
    ] {
        let slices: Vec<_> = slices.into_iter().map(|slice| (slice, 14)).collect();
        let findings = refused(&universal(&slices, false), UNIVERSAL);
        assert_eq!(rules(&findings), vec!["linkage-slices"; words.len()]);
        for (finding, words) in findings.iter().zip(words) {
            assert!(finding.why.contains(words), "{}", finding.why);
        }
    }
    assert_eq!(rules(&refused(&arm.write(), UNIVERSAL)), ["linkage-format"]);
}

#[test]
fn each_slice_is_checked_as_its_own_target() {
    let mut broken = Sketch::of(ARM);
    broken.signature.as_mut().unwrap().changed = Some(5000);
    let intel = Sketch { paths: vec!["/Users/ci"], ..Sketch::of(INTEL) };
    let findings = refused(&universal(&[(&broken, 14), (&intel, 14)], false), UNIVERSAL);
    assert_eq!(rules(&findings), ["linkage-library-path", "linkage-signature"]);
    assert_eq!(findings[0].place.item.as_deref(), Some("slice x86_64"));
    assert_eq!(findings[1].place.item.as_deref(), Some("slice aarch64"));
    assert!(findings[1].why.contains("the page at 0x1000"), "{}", findings[1].why);
    // The slice's own header is what counts.
    let (arm, intel) = (Sketch::of(ARM), Sketch::of(INTEL));
    let mut bytes = universal(&[(&arm, 14), (&intel, 14)], false);
    bytes[1 << 14..][4..8].copy_from_slice(&intel.cpu.0.to_le_bytes());
    let findings = refused(&bytes, UNIVERSAL);
    assert_eq!(findings[0].rule, "linkage-machine");
}

#[test]
fn damaged_lists_of_slices_are_an_error() {
    let (arm, intel) = (Sketch::of(ARM), Sketch::of(INTEL));
    let good = universal(&[(&arm, 14), (&intel, 14)], false);
    for (name, at, change, words) in [
        ("slices over each other", 28 + 8, &[0, 0, 0x40, 0][..], "over what is before it"),
        ("a slice over the list", 8 + 8, &[0, 0, 0, 0], "over what is before it"),
        ("a slice far away", 8 + 8, &[0xff; 4], "before the end of the slice for aarch64"),
        ("a slice too long", 8 + 12, &[0xff; 4], "before the end of the slice for aarch64"),
        ("a slice between pages", 8 + 8, &[0, 0, 0x30, 0], "aligned to 2^14 bytes"),
        ("alignment of half a page", 8 + 16, &[0, 0, 0, 13], "aligned to 2^13 bytes"),
        ("alignment without end", 8 + 16, &[0, 0, 0, 64], "aligned to 2^64 bytes"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        let findings = refused(&bytes, UNIVERSAL);
        assert_eq!(rules(&findings), ["linkage-malformed"], "{name}: {findings:#?}");
        assert!(findings[0].why.contains(words), "{name}: {}", findings[0].why);
    }
}

#[test]
fn a_file_for_macos_cut_off_anywhere_is_refused() {
    let (arm, intel) = (Sketch::of(ARM), Sketch { signature: None, ..Sketch::of(INTEL) });
    let both = universal(&[(&intel, 12), (&arm, 14)], false);
    for (good, target) in [(arm.write(), ARM), (intel.write(), INTEL), (both, UNIVERSAL)] {
        accepted(&good, target);
        for length in (0..1500).chain((1500..good.len()).step_by(61)).chain([good.len() - 1]) {
            refused(&good[..length], target);
        }
    }
}

#[test]
fn changed_bytes_of_files_for_macos_do_no_harm() {
    let arm = Sketch { code: PAGE, ..Sketch::of(ARM) };
    let intel = Sketch { code: PAGE, signature: None, ..Sketch::of(INTEL) };
    // The list of slices, the load commands and the signature are changed more often
    // where there is little else.
    let files = [
        (arm.write(), ARM),
        (intel.write(), INTEL),
        (universal(&[(&intel, 12), (&arm, 14)], false), UNIVERSAL),
    ];
    unharmed(&files.map(|(bytes, target)| (bytes, Target::parse(target).unwrap())));
}

#[test]
fn a_signed_file_is_read_in_passing() {
    // 64 MiB of signed pages need no more than their digests.
    let file = Sketch { code: 64 << 20, ..Sketch::of(ARM) };
    let bytes = file.write();
    let read = std::cell::Cell::new(0);
    let sparse = Sparse { start: &bytes, len: bytes.len() as u64, at: 0, read: &read };
    let (linkage, _) =
        inspect(sparse, &Target::parse(ARM).unwrap(), &Place::default(), &[]).unwrap();
    assert_eq!(program(linkage).signature, Some(Signature::AdHoc));
    let digests = (64 << 20) / PAGE as u64 * 32;
    let once = bytes.len() as u64..bytes.len() as u64 + digests + (64 << 10);
    assert!(once.contains(&read.get()), "read {} of {} bytes", read.get(), bytes.len());
}

#[test]
fn a_program_that_zig_links_for_macos_is_accepted() {
    for (target, triple) in [(ARM, "aarch64-macos.11.0"), (INTEL, "x86_64-macos.11.0")] {
        let source = "int main(void) { return 0; }";
        let Some(bytes) = built("zig", &["cc", "-target", triple], source, "c") else { return };
        let (linkage, warnings) = accepted(&bytes, target);
        assert_eq!(warnings, vec![]);
        let program = program(linkage);
        assert_eq!(program.minimum_os.to_string(), "11.0");
        assert_eq!(program.libraries, ["/usr/lib/libSystem.B.dylib"]);
        if target == ARM {
            let mut bytes = bytes;
            bytes[0x400] ^= 1;
            assert_eq!(refused(&bytes, ARM).last().unwrap().rule, "linkage-signature");
        }
    }
}
