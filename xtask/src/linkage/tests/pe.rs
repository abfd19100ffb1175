use super::*;

const MINGW: &str = "x86_64-pc-windows-gnu";

/// One target of each processor.
const FORMS: [&str; 3] = [MINGW, "i686-pc-windows-msvc", "aarch64-pc-windows-msvc"];

const HEADERS: usize = 0x400;
const RAW: usize = 0x800;

/// A small PE file: headers, a section of code, and one with the tables of imports.
pub struct Sketch<'a> {
    machine: u16,
    wide: bool,
    flags: u16,
    subsystem: u16,
    hardening: u16,
    entry: u32,
    code_flags: u32,
    data_flags: u32,
    imports: Vec<&'a str>,
    delayed: Vec<&'a str>,
    /// The attributes of delayed imports.
    form: u32,
}

impl Sketch<'_> {
    pub fn of(target: &str) -> Sketch<'static> {
        let (machine, wide) = match target.split('-').next().unwrap() {
            "x86_64" => (0x8664, true),
            "aarch64" => (0xaa64, true),
            _ => (0x14c, false),
        };
        Sketch {
            machine,
            wide,
            flags: 0x22,
            subsystem: 3,
            hardening: 0x160,
            entry: 0x1010,
            code_flags: 0x6000_0020,
            data_flags: 0x4000_0040,
            imports: vec!["KERNEL32.dll"],
            delayed: vec![],
            form: 1,
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let optional = if self.wide { 240 } else { 224 };
        let mut bytes = b"MZ".to_vec();
        bytes.resize(0x3c, 0);
        bytes.extend(0x40_u32.to_le_bytes());
        bytes.extend(b"PE\0\0");
        bytes.extend(halves(&[self.machine, 2, 0, 0, 0, 0, 0, 0, optional, self.flags]));
        let at = bytes.len();
        bytes.extend(halves(&[if self.wide { 0x20b } else { 0x10b }]));
        bytes.resize(at + 16, 0);
        bytes.extend(words(&[self.entry]));
        bytes.resize(at + 32, 0);
        bytes.extend(words(&[0x1000, 0x200]));
        bytes.resize(at + 56, 0);
        bytes.extend(words(&[0x3000, HEADERS as u32, 0]));
        bytes.extend(halves(&[self.subsystem, self.hardening]));
        bytes.resize(at + usize::from(optional) - 132, 0);
        let (data, delayed) = self.data();
        let mut directories = [0; 32];
        (directories[2], directories[26]) = (0x2000, delayed);
        bytes.extend(words(&[16]));
        bytes.extend(words(&directories));
        for (name, address, offset, flags) in [
            (*b".text\0\0\0", 0x1000, HEADERS, self.code_flags),
            (*b".rdata\0\0", 0x2000, HEADERS + RAW, self.data_flags),
        ] {
            bytes.extend(name);
            bytes.extend(words(&[RAW as u32, address, RAW as u32, offset as u32, 0, 0, 0, flags]));
        }
        bytes.resize(HEADERS, 0);
        bytes.resize(HEADERS + RAW, 0x90);
        bytes.extend(data);
        bytes.resize(HEADERS + 2 * RAW, 0);
        bytes
    }

    /// Both tables and the names, and the address of the second, 0 where it is empty.
    fn data(&self) -> (Vec<u8>, u32) {
        let delayed = 0x2000 + 20 * (self.imports.len() as u32 + 1);
        let mut name = delayed + 32 * (self.delayed.len() as u32 + 1);
        let (mut tables, mut names) = (Vec::new(), Vec::new());
        for library in &self.imports {
            tables.extend(words(&[0x2000, 0, 0, name, 0x2000]));
            name += library.len() as u32 + 1;
            names.extend(format!("{library}\0").bytes());
        }
        tables.extend([0; 20]);
        for library in &self.delayed {
            tables.extend(words(&[self.form, name, 0x2000, 0x2000, 0x2000, 0, 0, 0]));
            name += library.len() as u32 + 1;
            names.extend(format!("{library}\0").bytes());
        }
        tables.extend([0; 32]);
        tables.extend(names);
        assert!(tables.len() <= RAW, "the sketch is too small for {} bytes", tables.len());
        (tables, if self.delayed.is_empty() { 0 } else { delayed })
    }
}

fn halves(halves: &[u16]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_le_bytes()).collect()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn pe(linkage: Linkage) -> Pe {
    match linkage {
        Linkage::Pe(pe) => pe,
        other => panic!("not PE: {other:?}"),
    }
}

#[test]
fn a_program_for_windows_is_accepted() {
    for target in FORMS {
        let delayed = vec!["ole32.dll", "kernel32.dll"];
        for subsystem in [2, 3] {
            let imports = vec!["KERNEL32.dll", "api-ms-win-core-synch-l1-2-0.dll"];
            let file =
                Sketch { subsystem, imports, delayed: delayed.clone(), ..Sketch::of(target) };
            let (linkage, warnings) = accepted(&file.write(), target);
            assert_eq!(warnings, vec![], "{target}");
            assert_eq!(
                serde_json::to_string(&linkage).unwrap(),
                "{\"format\":\"pe\",\"static\":false,\"pie\":true,\"libraries\":\
                 [\"api-ms-win-core-synch-l1-2-0.dll\",\"kernel32.dll\",\"ole32.dll\"]}"
            );
            assert_eq!(
                linkage.to_string(),
                "PE, ASLR, api-ms-win-core-synch-l1-2-0.dll, kernel32.dll, ole32.dll"
            );
        }
    }
    let imports = (0..10).map(|number| ["a.dll", "b.dll"][number % 2]).collect();
    let file = Sketch { imports, ..Sketch::of(MINGW) };
    assert_eq!(pe(accepted(&file.write(), MINGW).0).libraries, ["a.dll", "b.dll"]);
    let names: Vec<String> = (0..10).map(|number| format!("{number}.dll")).collect();
    let imports = names.iter().map(|name| &**name).collect();
    let file = Sketch { imports, ..Sketch::of(MINGW) };
    let line = accepted(&file.write(), MINGW).0.to_string();
    assert!(line.ends_with(", 6.dll, 7.dll and 2 more"), "{line}");
}

/// A change to a good file, the rule that it breaks, and words of what is said.
type Fault = (fn(&mut Sketch), &'static str, &'static str);

#[test]
fn each_fault_is_found() {
    let faults: [Fault; 13] = [
        (|f| f.machine = 0x1c4, "linkage-machine", "it is for arm ("),
        (|f| f.machine = 0x5064, "linkage-machine", "it is for machine 0x5064 ("),
        (|f| f.wide = !f.wide, "linkage-machine", "needs "),
        (|f| f.flags |= 0x2000, "linkage-type", "it is a DLL"),
        (|f| f.flags = 0x20, "linkage-type", "IMAGE_FILE_EXECUTABLE_IMAGE"),
        (|f| f.subsystem = 1, "linkage-subsystem", "the subsystem 1,"),
        (|f| f.subsystem = 10, "linkage-subsystem", "the subsystem 10,"),
        (|f| f.code_flags |= 0x8000_0000, "linkage-writable-code", "section .text is both"),
        (|f| f.data_flags |= 0xa000_0000, "linkage-writable-code", "section .rdata is both"),
        (|f| f.entry = 0, "linkage-entry-point", "0x0 lies in no"),
        (|f| f.entry = 0x2000, "linkage-entry-point", "0x2000 lies in no"),
        (|f| f.entry = 0x1800, "linkage-entry-point", "0x1800 lies in no"),
        (|f| f.code_flags = 0x4000_0020, "linkage-entry-point", "lies in no executable"),
    ];
    for target in FORMS {
        for (number, (break_it, rule, words)) in faults.iter().enumerate() {
            let mut file = Sketch::of(target);
            break_it(&mut file);
            let findings = refused(&file.write(), target);
            assert_eq!(rules(&findings), [*rule], "{number} for {target}: {findings:#?}");
            assert!(findings[0].why.contains(words), "{number}: {}", findings[0].why);
        }
    }
    let findings = refused(&Sketch::of(FORMS[1]).write(), MINGW);
    let words = "it is for x86 (PE32), but x86_64-pc-windows-gnu needs x86_64 (PE32+)";
    assert_eq!((findings[0].rule, &*findings[0].why), ("linkage-machine", words));
}

#[test]
fn what_windows_does_not_protect_is_warned_of() {
    for (flags, hardening, pie, expected) in [
        (0x22, 0x100, false, vec!["linkage-pie"]),
        (0x23, 0x140, false, vec!["linkage-pie"]),
        (0x22, 0x40, true, vec!["linkage-exec-stack"]),
        (0x22, 0, false, vec!["linkage-pie", "linkage-exec-stack"]),
    ] {
        let file = Sketch { flags, hardening, ..Sketch::of(MINGW) };
        let (linkage, warnings) = accepted(&file.write(), MINGW);
        assert_eq!((pe(linkage).pie, rules(&warnings)), (pie, expected));
    }
}

#[test]
fn dlls_that_windows_does_not_have_are_an_error() {
    for (library, why, fix) in [
        ("libgcc_s_seh-1.dll", "the toolchain that linked", "-Clink-arg=-static"),
        ("libgcc_s_dw2-1.dll", "the toolchain that linked", "-Clink-arg=-static"),
        ("libwinpthread-1.dll", "the toolchain that linked", "-Clink-arg=-static"),
        ("LIBSTDC++-6.DLL", "the toolchain that linked", "-Clink-arg=-static"),
        ("libc++.dll", "the toolchain that linked", "-Clink-arg=-static"),
        ("libunwind.dll", "the toolchain that linked", "-Clink-arg=-static"),
        ("libssl-3-x64.dll", "openssl-sys most likely", "`vendored` of openssl-sys"),
        ("libusb-1.0.dll", "libusb1-sys most likely", "look at libusb1-sys"),
        ("libfoo.dll", "no crate has its name", "find the crate"),
        ("cygwin1.dll", "Cygwin or MSYS2", "a linker of MinGW"),
        ("msys-2.0.dll", "Cygwin or MSYS2", "a linker of MinGW"),
        ("VCRUNTIME140D.dll", "for debugging", "/MTd"),
        ("msvcp140_1d.dll", "for debugging", "/MTd"),
        ("ucrtbased.dll", "for debugging", "/MTd"),
    ] {
        for delayed in [false, true] {
            let (imports, delayed) = match delayed {
                false => (vec!["kernel32.dll", library], vec![]),
                true => (vec!["kernel32.dll"], vec![library]),
            };
            let file = Sketch { imports, delayed, ..Sketch::of(MINGW) };
            let findings = refused(&file.write(), MINGW);
            assert_eq!(findings[0].rule, "linkage-needed", "{library}");
            let named = format!("{:?}, which Windows does not have", library.to_lowercase());
            assert!(findings[0].why.contains(&named), "{}", findings[0].why);
            assert!(findings[0].why.contains(why), "{}", findings[0].why);
            assert!(findings[0].fix.contains(fix), "{}", findings[0].fix);
        }
    }
    for library in ["msvcp_win.dll", "msvcrt.dll", "ucrtbase.dll", "ws2_32.dll", "lib.exe"] {
        let file = Sketch { imports: vec![library], ..Sketch::of(MINGW) };
        assert_eq!(accepted(&file.write(), MINGW).1, vec![], "{library}");
    }
}

#[test]
fn visual_c_plus_plus_is_warned_of() {
    for library in ["VCRUNTIME140.dll", "vcruntime140_1.dll", "MSVCP140.dll", "concrt140.dll"] {
        let file = Sketch { imports: vec![library, "kernel32.dll"], ..Sketch::of(FORMS[1]) };
        let (_, warnings) = accepted(&file.write(), FORMS[1]);
        assert_eq!(rules(&warnings), ["linkage-redistributable"], "{library}");
        assert!(warnings[0].why.contains(&library.to_lowercase()), "{}", warnings[0].why);
        assert!(warnings[0].fix.contains("+crt-static"), "{}", warnings[0].fix);
    }
}

#[test]
fn damage_is_an_error() {
    let good = Sketch { delayed: vec!["ole32.dll"], ..Sketch::of(MINGW) }.write();
    let optional = 0x40 + 4 + 20;
    let (directories, sections) = (optional + 112, optional + 240);
    let table = HEADERS + RAW;
    for (name, at, change, words) in [
        ("no PE header", 0x40, &[0][..], "a program for DOS"),
        ("PE header far away", 0x3c, &[0xff; 4], "before the end of the PE signature"),
        ("another magic", optional, &[7], "begins with 0x207"),
        ("small optional header", optional - 4, &[8, 0], "before the end of the optional header"),
        ("few directories fit", optional - 4, &[112, 0], "before the end of the data directories"),
        ("many sections", optional - 18, &[97, 0], "97 sections, more than 96"),
        ("symbols far away", optional - 12, &[0xff; 4], "before the end of the symbols"),
        ("a section far away", sections + 20, &[0xff; 4], "before the end of the section .text"),
        ("a section too long", sections + 16, &[0xff; 4], "before the end of the section .text"),
        ("sections over each other", sections + 52, &[0, 0x10], "over the sections before it"),
        ("imports far away", directories + 8, &[0xff; 4], "is not loaded from the file"),
        (
            "delayed imports far away",
            directories + 104,
            &[0xff; 4],
            "the table of delayed imports at",
        ),
        ("a name far away", table + 12, &[0xff; 4], "the name of a DLL at 0xffffffff"),
        ("imports without end", directories + 8, &[0xf8, 0x27], "has no end in 0 entries"),
        ("an old form", table + 40, &[0], "before Visual C++ 7"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        let findings = refused(&bytes, MINGW);
        assert_eq!(rules(&findings), ["linkage-malformed"], "{name}: {findings:#?}");
        assert!(findings[0].why.contains(words), "{name}: {}", findings[0].why);
    }
    // A name without end.
    let mut bytes = good.clone();
    bytes[table + 104..].fill(b'x');
    let findings = refused(&bytes, MINGW);
    assert!(findings[0].why.contains("the name of a DLL has no end"), "{}", findings[0].why);
    // The table ends where there is nothing to fill in, too.
    let mut bytes = good.clone();
    bytes[table + 16..table + 20].fill(0);
    assert_eq!(pe(accepted(&bytes, MINGW).0).libraries, ["ole32.dll"]);
    // Fewer directories than there could be are fine: nothing is imported.
    let mut bytes = good.clone();
    bytes[optional + 108] = 1;
    assert_eq!(pe(accepted(&bytes, MINGW).0).libraries, Vec::<String>::new());
}

#[test]
fn a_file_for_windows_cut_off_anywhere_is_refused() {
    for target in FORMS {
        let good = Sketch { delayed: vec!["ole32.dll"], ..Sketch::of(target) }.write();
        accepted(&good, target);
        for length in 0..good.len() {
            refused(&good[..length], target);
        }
    }
}

#[test]
fn changed_bytes_of_files_for_windows_do_no_harm() {
    let files: Vec<(Vec<u8>, Target)> = FORMS
        .iter()
        .map(|target| {
            let imports = vec!["KERNEL32.dll", "libgcc_s_seh-1.dll"];
            let file = Sketch { imports, delayed: vec!["ole32.dll"], ..Sketch::of(target) };
            (file.write(), Target::parse(target).unwrap())
        })
        .collect();
    unharmed(&files);
}

#[test]
fn a_program_that_zig_links_for_windows_is_accepted() {
    let source = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }";
    let arguments = ["cc", "-target", "x86_64-windows-gnu"];
    let Some(bytes) = built("zig", &arguments, source, "c") else { return };
    let (linkage, warnings) = accepted(&bytes, MINGW);
    assert_eq!(warnings, vec![]);
    let libraries = pe(linkage).libraries;
    assert!(libraries.contains(&"kernel32.dll".to_owned()), "{libraries:?}");
}
