use super::sketch::Wanted;
use super::*;

const GNU: &str = "x86_64-unknown-linux-gnu";

/// One target of each width and byte order.
const FORMS: [&str; 4] =
    [GNU, "i686-unknown-linux-gnu", "s390x-unknown-linux-gnu", "powerpc-unknown-linux-gnu"];

fn wanted<'a>(version: &'a str, symbol: &'a str) -> Wanted<'a> {
    Wanted { version, flags: 0, symbol }
}

/// What a program is found to need.
fn dynamic(linkage: Linkage) -> (Vec<String>, Option<String>) {
    match elf(linkage).loading {
        Loading::Dynamic { libraries, glibc } => {
            (libraries, glibc.map(|release| release.to_string()))
        }
        other => panic!("not dynamic: {other:?}"),
    }
}

#[test]
fn a_program_for_glibc_is_started_by_its_architectures_loader() {
    for (target, loader) in [
        (GNU, "/lib64/ld-linux-x86-64.so.2"),
        ("i586-unknown-linux-gnu", "/lib/ld-linux.so.2"),
        ("i686-unknown-linux-gnu", "/lib/ld-linux.so.2"),
        ("aarch64-unknown-linux-gnu", "/lib/ld-linux-aarch64.so.1"),
        ("aarch64_be-unknown-linux-gnu", "/lib/ld-linux-aarch64_be.so.1"),
        ("arm-unknown-linux-gnueabi", "/lib/ld-linux.so.3"),
        ("armv5te-unknown-linux-gnueabi", "/lib/ld-linux.so.3"),
        ("arm-unknown-linux-gnueabihf", "/lib/ld-linux-armhf.so.3"),
        ("armv7-unknown-linux-gnueabihf", "/lib/ld-linux-armhf.so.3"),
        ("thumbv7neon-unknown-linux-gnueabihf", "/lib/ld-linux-armhf.so.3"),
        ("powerpc-unknown-linux-gnu", "/lib/ld.so.1"),
        ("powerpc64-unknown-linux-gnu", "/lib64/ld64.so.1"),
        ("powerpc64le-unknown-linux-gnu", "/lib64/ld64.so.2"),
        ("riscv32gc-unknown-linux-gnu", "/lib/ld-linux-riscv32-ilp32d.so.1"),
        ("riscv64gc-unknown-linux-gnu", "/lib/ld-linux-riscv64-lp64d.so.1"),
        ("s390x-unknown-linux-gnu", "/lib/ld64.so.1"),
        ("loongarch64-unknown-linux-gnu", "/lib64/ld-linux-loongarch-lp64d.so.1"),
        ("mips-unknown-linux-gnu", "/lib/ld.so.1"),
        ("mipsel-unknown-linux-gnu", "/lib/ld.so.1"),
        ("mips64-unknown-linux-gnuabi64", "/lib64/ld.so.1"),
        ("mips64el-unknown-linux-gnuabi64", "/lib64/ld.so.1"),
    ] {
        let name = loader.rsplit('/').next().unwrap();
        let needed = vec!["libgcc_s.so.1", "libc.so.6", name, "libc.so.6"];
        let file = Sketch { interpreter: Some(loader), needed, ..Sketch::of(target) };
        let (linkage, warnings) = accepted(&file.write(), target);
        let mut libraries = [name, "libc.so.6", "libgcc_s.so.1"];
        libraries.sort_unstable();
        assert_eq!(dynamic(linkage), (libraries.iter().map(|it| it.to_string()).collect(), None));
        assert_eq!(warnings, vec![], "{target}");

        for other in ["/nix/store/x/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", name] {
            let file = Sketch { interpreter: Some(other), ..Sketch::of(target) };
            let findings = refused(&file.write(), target);
            assert_eq!(rules(&findings), ["linkage-interpreter"], "{target}");
            assert!(findings[0].why.ends_with(loader), "{}", findings[0].why);
        }
    }
}

#[test]
fn only_what_comes_with_glibc_is_loaded() {
    for library in [
        "libdl.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libpthread.so.0",
        "libresolv.so.2",
        "librt.so.1",
        "libutil.so.1",
    ] {
        let file = Sketch { needed: vec![library, "libc.so.6"], ..Sketch::of(GNU) };
        assert_eq!(dynamic(accepted(&file.write(), GNU).0).0, ["libc.so.6", library]);
    }
    for (library, why, fix) in [
        ("libz.so.1", "libz-sys most likely links it", "the feature `static` of libz-sys"),
        ("libssl.so.3", "openssl-sys most likely links it", "`vendored` of openssl-sys"),
        ("libstdc++.so.6", "the C++ library", "cpp_link_stdlib_static"),
        ("libc.so", "musl itself", "look for a linker of another system"),
        ("/lib/libc.so.6", "comes neither with glibc", "look for a linker"),
    ] {
        let file = Sketch { needed: vec!["libc.so.6", library], ..Sketch::of(GNU) };
        let findings = refused(&file.write(), GNU);
        assert_eq!(rules(&findings), ["linkage-needed"], "{library}");
        let words = "comes neither with glibc nor with a base image such as gcr.io/distroless/base";
        assert!(findings[0].why.contains(words), "{}", findings[0].why);
        assert!(findings[0].why.contains(why), "{}", findings[0].why);
        assert!(findings[0].fix.contains(fix), "{}", findings[0].fix);
    }
    let file = Sketch { needed: vec!["libX11.so.6"; 100], ..Sketch::of(GNU) };
    let findings = refused(&file.write(), GNU);
    assert_eq!(findings[MOST_LIBRARIES].why, "it needs 36 more shared libraries");
}

#[test]
fn the_faults_of_any_elf_file_are_found() {
    type Fault = (fn(&mut Sketch), &'static str);
    let faults: [Fault; 10] = [
        (|f| f.machine = 94, "linkage-machine"),
        (|f| f.os_abi = 9, "linkage-os-abi"),
        (|f| f.kind = 1, "linkage-type"),
        (|f| f.stack = Some(7), "linkage-exec-stack"),
        (|f| f.code_flags = 7, "linkage-writable-code"),
        (|f| f.dynamic = Some(vec![(22, 0)]), "linkage-text-relocations"),
        (|f| f.entry = Some(0), "linkage-entry-point"),
        (|f| f.paths = vec![(15, "/home/ci/lib")], "linkage-library-path"),
        (|f| f.paths = vec![(29, "$ORIGIN/../lib")], "linkage-library-path"),
        (|f| f.interpreter = None, "linkage-needed"),
    ];
    for target in FORMS {
        accepted(&Sketch::of(target).write(), target);
        for (number, (break_it, rule)) in faults.iter().enumerate() {
            let mut file = Sketch::of(target);
            break_it(&mut file);
            let findings = refused(&file.write(), target);
            assert_eq!(rules(&findings), [*rule], "{number} for {target}: {findings:#?}");
        }
    }
    // A loader cannot do without a dynamic table.
    let file = Sketch { kind: 2, dynamic: None, ..Sketch::of(GNU) };
    let findings = refused(&file.write(), GNU);
    assert_eq!(rules(&findings), ["linkage-malformed"]);
    assert!(findings[0].why.contains("PT_DYNAMIC"), "{}", findings[0].why);
}

#[test]
fn the_newest_version_that_is_asked_for_counts() {
    let weak = |version| Wanted { version, flags: 2, symbol: "weak" };
    for (versions, found) in [
        (vec![wanted("GLIBC_2.2.5", "puts")], "2.2.5"),
        (vec![wanted("GLIBC_2.17", "a"), wanted("GLIBC_2.2.5", "b")], "2.17"),
        (vec![wanted("GLIBC_2.9", "a"), wanted("GLIBC_2.10", "b")], "2.10"),
        (vec![wanted("GLIBC_2.2", "a"), wanted("GLIBC_2.2.5", "b")], "2.2.5"),
        (vec![wanted("GLIBC_2.28", "a"), weak("GLIBC_2.34")], "2.28"),
        (vec![wanted("GLIBC_2.28", "a"), wanted("GLIBC_ABI_DT_RELR", "b")], "2.36"),
        (vec![wanted("GLIBC_2.38", "a"), wanted("GLIBC_ABI_DT_RELR", "b")], "2.38"),
        (vec![wanted("GCC_3.0", "a"), wanted("GLIBC_2.4", "b"), wanted("V9.9", "c")], "2.4"),
    ] {
        for target in FORMS {
            let names: Vec<&str> = versions.iter().map(|it| it.version).collect();
            let versions = versions.iter().map(|it| Wanted { ..*it }).collect();
            let file = Sketch { versions, ..Sketch::of(target) };
            let (linkage, warnings) = accepted(&file.write(), target);
            assert_eq!(dynamic(linkage).1.as_deref(), Some(found), "{names:?} for {target}");
            assert_eq!(warnings, vec![]);
        }
    }
    // Packed relocations need a new loader even where nothing says so by a version.
    let file = Sketch { dynamic: Some(vec![(36, 0)]), ..Sketch::of(GNU) };
    assert_eq!(dynamic(accepted(&file.write(), GNU).0).1.as_deref(), Some("2.36"));
}

#[test]
fn a_glibc_that_is_too_new_is_an_error() {
    for (target, version, why) in [
        (
            "x86_64-unknown-linux-gnu.2.28",
            "GLIBC_2.34",
            "it needs glibc 2.34 for the symbol dlsym, but x86_64-unknown-linux-gnu.2.28 promises to run with 2.28",
        ),
        (
            "s390x-unknown-linux-gnu.2.17",
            "GLIBC_2.17.1",
            "it needs glibc 2.17.1 for the symbol dlsym",
        ),
        (
            "i686-unknown-linux-gnu.2.28",
            "GLIBC_ABI_DT_RELR",
            "it needs glibc 2.36 for packed relocations (DT_RELR), but",
        ),
        (
            "x86_64-unknown-linux-gnu.2.40",
            "GLIBC_ABI_NEW",
            "it needs \"GLIBC_ABI_NEW\" of glibc, and it is not known which release",
        ),
        ("x86_64-unknown-linux-gnu.2.40", "GLIBC_2.99999", "\"GLIBC_2.99999\""),
    ] {
        let versions = || vec![wanted("GLIBC_2.2.5", "puts"), wanted(version, "dlsym")];
        let file = Sketch { versions: versions(), ..Sketch::of(target) }.write();
        let findings = refused(&file, target);
        assert_eq!(rules(&findings), ["linkage-glibc-version"], "{target}");
        assert!(findings[0].why.contains(why), "{}", findings[0].why);
        // Where no release was promised, it is said and no more.
        let target = target.split('.').next().unwrap();
        let (_, warnings) = accepted(&file, target);
        let unknown = findings[0].why.contains("it is not known");
        assert_eq!(rules(&warnings), vec!["linkage-glibc-version"; usize::from(unknown)]);
    }
    let target = "x86_64-unknown-linux-gnu.2.28";
    let file = Sketch { versions: vec![wanted("GLIBC_2.28", "fcntl64")], ..Sketch::of(target) };
    assert_eq!(accepted(&file.write(), target).1, vec![]);
}

#[test]
fn what_is_glibcs_own_is_an_error() {
    let file =
        Sketch { versions: vec![wanted("GLIBC_PRIVATE", "__libc_dlopen_mode")], ..Sketch::of(GNU) };
    let findings = refused(&file.write(), GNU);
    assert_eq!(rules(&findings), ["linkage-glibc-private"]);
    let words = "it needs GLIBC_PRIVATE for the symbol __libc_dlopen_mode, which";
    assert!(findings[0].why.contains(words), "{}", findings[0].why);
}

#[test]
fn static_glibc_is_warned_of() {
    let fixed = || Sketch { interpreter: None, needed: vec![], ..Sketch::of(GNU) };
    let (linkage, warnings) = accepted(&Sketch { note: true, ..fixed() }.write(), GNU);
    assert_eq!((glibc_within(linkage), rules(&warnings)), (true, vec!["linkage-glibc"]));
    assert!(!warnings[0].why.contains("musl"), "{}", warnings[0].why);
    // Glibc's start code applies indirect functions.
    let (_, warnings) = accepted(&Sketch { relocations: vec![37], ..fixed() }.write(), GNU);
    assert_eq!(warnings, vec![]);
    // The start code of a program for the loader has the note too.
    let (_, warnings) = accepted(&Sketch { note: true, ..Sketch::of(GNU) }.write(), GNU);
    assert_eq!(warnings, vec![]);
}

#[test]
fn damaged_versions_are_an_error() {
    for (name, entries, words) in [
        ("not loaded", vec![(0x6fff_fffe, 0xdead_0000)], "at 0xdead0000 is not loaded"),
        ("no names", vec![(10, 1)], "the name of a shared library"),
    ] {
        let versions = vec![wanted("GLIBC_2.17", "a")];
        let file = Sketch { versions, dynamic: Some(entries), ..Sketch::of(GNU) };
        let findings = refused(&file.write(), GNU);
        let last = findings.last().unwrap();
        assert_eq!(last.rule, "linkage-malformed", "{name}");
        assert!(last.why.contains(words), "{name}: {}", last.why);
    }
    // Each version leads to one a byte further, as often as is said.
    let mut file = Sketch { versions: vec![wanted("GLIBC_2.17", "a")], ..Sketch::of(GNU) }.write();
    let head = [1, 0, 1, 0];
    let at =
        file.windows(16).position(|it| it[..4] == head && it[8..16] == [16, 0, 0, 0, 0, 0, 0, 0]);
    let at = at.unwrap();
    file[at + 2..at + 4].copy_from_slice(&[0xff, 0xff]);
    file[at + 16 + 12] = 1;
    let findings = refused(&file, GNU);
    assert_eq!(rules(&findings), ["linkage-malformed"]);
    // The last library is where the table ends, whatever number is said.
    let mut file = Sketch { versions: vec![wanted("GLIBC_2.17", "a")], ..Sketch::of(GNU) };
    file.dynamic = Some(vec![(0x6fff_ffff, u64::MAX)]);
    accepted(&file.write(), GNU);
}

#[test]
fn many_versions_are_an_error() {
    let versions = (0..1025).map(|_| wanted("GLIBC_2.17", "a")).collect();
    let findings = refused(&Sketch { versions, ..Sketch::of(GNU) }.write(), GNU);
    assert_eq!(rules(&findings), ["linkage-malformed"]);
    assert!(findings[0].why.contains("more than 1024 versions"), "{}", findings[0].why);
}

#[test]
fn what_is_found_is_written_down() {
    let versions = vec![wanted("GLIBC_2.17", "puts")];
    let file = Sketch { needed: vec!["libm.so.6", "libc.so.6"], versions, ..Sketch::of(GNU) };
    let (linkage, _) = accepted(&file.write(), GNU);
    assert_eq!(
        serde_json::to_string(&linkage).unwrap(),
        "{\"format\":\"elf\",\"static\":false,\"pie\":true,\"relro\":\"full\",\"static_glibc\":false,\
         \"libraries\":[\"libc.so.6\",\"libm.so.6\"],\"glibc\":\"2.17\"}"
    );
    let words = "dynamic, PIE, RELRO full, needs glibc 2.17, libc.so.6, libm.so.6";
    assert_eq!(linkage.to_string(), words);
    let (linkage, _) = accepted(&Sketch::of(X86_64).write(), X86_64);
    assert_eq!(
        serde_json::to_string(&linkage).unwrap(),
        "{\"format\":\"elf\",\"static\":true,\"pie\":true,\"relro\":\"full\",\"static_glibc\":false}"
    );
    assert_eq!(linkage.to_string(), "static, PIE, RELRO full");
}

#[test]
fn a_file_for_glibc_cut_off_anywhere_is_refused() {
    for target in FORMS {
        let versions = vec![wanted("GLIBC_2.17", "a"), wanted("GLIBC_2.28", "b")];
        let good = Sketch { versions, ..Sketch::of(target) }.write();
        accepted(&good, target);
        for length in 0..good.len() {
            refused(&good[..length], target);
        }
    }
}

#[test]
fn changed_bytes_of_files_for_glibc_do_no_harm() {
    let files: Vec<(Vec<u8>, Target)> = FORMS
        .iter()
        .map(|target| {
            let versions = vec![wanted("GLIBC_2.17", "a"), wanted("GLIBC_PRIVATE", "b")];
            let file = Sketch { versions, paths: vec![(15, "/x")], ..Sketch::of(target) };
            (file.write(), Target::parse(&format!("{target}.2.4")).unwrap())
        })
        .collect();
    unharmed(&files);
}

#[test]
fn a_program_that_zig_links_for_glibc_is_accepted() {
    let source = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }";
    let arguments = ["cc", "-target", "x86_64-linux-gnu.2.17"];
    let Some(bytes) = built("zig", &arguments, source, "c") else { return };
    let (linkage, warnings) = accepted(&bytes, "x86_64-unknown-linux-gnu.2.17");
    let (libraries, glibc) = dynamic(linkage);
    assert!(libraries.contains(&"libc.so.6".to_owned()), "{libraries:?}");
    assert_eq!((glibc.as_deref(), warnings), (Some("2.2.5"), vec![]));
}
