//! Archives that install, and those that break one rule each, written byte by byte, as no
//! library writes what is wrong.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use flate2::{Crc, write::DeflateEncoder};

use super::cases::Found;

/// A member of a tar: its name, its flag, its mode and its content, or where it leads.
pub type Member<'a> = (&'a str, u8, u32, &'a [u8]);
/// An entry of a zip.
pub struct ZipEntry<'a> {
    name: &'a [u8],
    /// The system that made it, and its attributes there.
    made: (u16, u32),
    flags: u16,
    method: u16,
    content: &'a [u8],
    crc: Option<u32>,
}

/// An archive, what is changed in the manifest, and what is then found.
pub struct Packed {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub change: (&'static str, &'static str),
    pub found: Found,
}

pub const FILE: u8 = b'0';
pub const FOLDER: u8 = b'5';
const UNIX: u16 = 3 << 8;
const PROGRAM: (u16, u32) = (UNIX, 0o100_755 << 16);
pub const TEXT: (u16, u32) = (UNIX, 0o100_644 << 16);

/// What the manifest asks for.
pub fn good() -> Vec<u8> {
    gzip(&tar(&[("foo", FILE, 0o755, b"program"), ("LICENSE", FILE, 0o644, b"free")]))
}

pub fn good_zip() -> Vec<u8> {
    zip(&[entry("foo.exe", TEXT, b"program"), entry("LICENSE", TEXT, b"free")])
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub fn header(name: &str, flag: u8, mode: u32, size: usize, link: &str) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// The members without an end.
pub fn members(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, flag, mode, content) in members {
        let links = matches!(flag, b'1' | b'2');
        let (content, link) = match links {
            true => (&b""[..], std::str::from_utf8(content).unwrap()),
            false => (*content, ""),
        };
        tar.extend(header(name, *flag, *mode, content.len(), link));
        tar.extend(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar
}

fn tar(list: &[Member<'_>]) -> Vec<u8> {
    let mut tar = members(list);
    tar.resize(tar.len() + 1024, 0);
    tar
}

pub fn entry<'a>(name: &'a str, made: (u16, u32), content: &'a [u8]) -> ZipEntry<'a> {
    ZipEntry { name: name.as_bytes(), made, flags: 0, method: 8, content, crc: None }
}

pub fn zip(entries: &[ZipEntry<'_>]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut crc = Crc::new();
        crc.update(entry.content);
        let crc = entry.crc.unwrap_or(crc.sum());
        let packed = match entry.method {
            8 => {
                let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
                deflate.write_all(entry.content).unwrap();
                deflate.finish().unwrap()
            }
            _ => entry.content.to_vec(),
        };
        let at = zip.len() as u32;
        let mut common = Vec::new();
        for number in [20, entry.flags, entry.method, 0, 0] {
            common.extend(number.to_le_bytes());
        }
        for number in [crc, packed.len() as u32, entry.content.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend(0u16.to_le_bytes());
        zip.extend(b"PK\x03\x04");
        zip.extend(&common);
        zip.extend(entry.name);
        zip.extend(packed);
        directory.extend(b"PK\x01\x02");
        directory.extend((entry.made.0 | 20).to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend(entry.made.1.to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(entry.name);
    }
    let (begin, count) = (zip.len() as u32, entries.len() as u16);
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    zip.extend((directory.len() as u32).to_le_bytes());
    zip.extend(begin.to_le_bytes());
    zip.extend([0, 0]);
    zip
}

/// The two files that install, and then more.
fn and_tar(more: &[Member<'_>]) -> Vec<u8> {
    let good: [Member<'_>; 2] =
        [("foo", FILE, 0o755, b"program"), ("LICENSE", FILE, 0o644, b"free")];
    gzip(&tar(&[&good, more].concat()))
}

fn and_zip(more: Vec<ZipEntry<'_>>) -> Vec<u8> {
    let mut entries = vec![entry("foo", PROGRAM, b"program"), entry("LICENSE", TEXT, b"free")];
    entries.extend(more);
    zip(&entries)
}

/// The archive cut or changed at a byte.
fn cut(bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[..at].to_vec()
}

fn flipped(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 0xff;
    bytes
}

const AT_URI: usize = 16;
const ALL_FILES: (&str, &str) =
    ("    files:\n    - from: foo\n      to: .\n    - from: LICENSE\n      to: .\n", "");

/// Each breaks one rule.
pub fn archives() -> Vec<Packed> {
    [tars(), zips(), licences(), moved()].into_iter().flatten().collect()
}

fn packed(name: &'static str, bytes: Vec<u8>, found: Found) -> Packed {
    Packed { name, bytes, change: ("", ""), found }
}

fn tars() -> Vec<Packed> {
    let damaged: Found = &[("archive-damaged", AT_URI)];
    let path: Found = &[("archive-entry-path", AT_URI)];
    let kind: Found = &[("archive-entry-kind", AT_URI)];
    let clash: Found = &[("archive-entry-clash", AT_URI)];
    let format: Found = &[("archive-format", AT_URI)];
    let files: &[Member<'_>] =
        &[("foo", FILE, 0o755, b"program"), ("LICENSE", FILE, 0o644, b"free")];
    let long = "x".repeat(99);
    let too_long = [long.as_bytes(); 3].concat();
    let deep = ["x/"; 2100].concat();
    let gnu = |name: &str| {
        and_tar(&[("@LongLink", b'L', 0o644, name.as_bytes()), ("x", FILE, 0o644, b"")])
    };
    vec![
        packed("empty file", Vec::new(), format),
        packed("a text", b"hello".to_vec(), format),
        packed("a tar that is not compressed", tar(files), format),
        packed("bzip2", b"BZh91AY&SY".to_vec(), format),
        packed("space before gzip", [&b" "[..], &good()].concat(), format),
        packed("gzip of no tar", gzip(&[b'x'; 2000]), damaged),
        packed("gzip of nothing", gzip(b""), &[("files-no-match", 19)]),
        packed("gzip of zeros", gzip(&[0; 1024]), &[("files-no-match", 19)]),
        packed("tar without an end", gzip(&members(files)), &[]),
        packed("tar cut in a header", gzip(&cut(tar(files), 700)), damaged),
        packed("tar cut in a content", gzip(&cut(tar(files), 515)), damaged),
        packed("gzip cut", cut(good(), 60), damaged),
        packed("gzip damaged", flipped(good(), 30), damaged),
        packed("a wrong checksum in the tar", gzip(&flipped(tar(files), 100)), damaged),
        packed(
            "two gzip members",
            [gzip(&members(&files[..1])), gzip(&tar(&files[1..]))].concat(),
            &[],
        ),
        packed("more behind the gzip", [good(), b"more".to_vec()].concat(), &[]),
        packed("climbing", and_tar(&[("../x", FILE, 0o644, b"")]), path),
        packed("climbing within", and_tar(&[("a/../x", FILE, 0o644, b"")]), path),
        packed("two dots in a name", and_tar(&[("a..b", FILE, 0o644, b"")]), path),
        packed("absolute", and_tar(&[("/x", FILE, 0o644, b"")]), path),
        packed("absolute for Windows", and_tar(&[("\\x", FILE, 0o644, b"")]), path),
        packed("absolute folder", and_tar(&[("/", FOLDER, 0o755, b"")]), path),
        packed("a long name", gnu(std::str::from_utf8(&too_long).unwrap()), path),
        packed("a long path", gnu(&deep), path),
        packed("symlink", and_tar(&[("x", b'2', 0o777, b"foo")]), kind),
        packed("hard link", and_tar(&[("x", b'1', 0o777, b"foo")]), kind),
        packed("character device", and_tar(&[("x", b'3', 0o644, b"")]), kind),
        packed("block device", and_tar(&[("x", b'4', 0o644, b"")]), kind),
        packed("pipe", and_tar(&[("x", b'6', 0o644, b"")]), kind),
        packed("unknown kind", and_tar(&[("x", b'V', 0o644, b"")]), damaged),
        packed("V7's file", and_tar(&[("x", 0, 0o644, b"")]), &[]),
        packed(
            "git's header",
            gzip(
                &[members(&[("pax_global_header", b'g', 0o644, b"16 comment=1234\n")]), tar(files)]
                    .concat(),
            ),
            &[],
        ),
        packed(
            "a file named as git's header",
            and_tar(&[("pax_global_header", FILE, 0o644, b"")]),
            &[],
        ),
        packed("a file in a file", and_tar(&[("foo/x", FILE, 0o644, b"")]), clash),
        packed("a folder for a file", and_tar(&[("foo", FOLDER, 0o755, b"")]), clash),
        packed(
            "a file for a folder",
            and_tar(&[("a/b", FILE, 0o644, b""), ("a", FILE, 0o644, b"")]),
            clash,
        ),
        packed("a file for the root", and_tar(&[(".", FILE, 0o644, b"")]), clash),
        packed("a folder for the root", and_tar(&[("./", FOLDER, 0o755, b"")]), &[]),
        packed("twice", and_tar(&[("foo", FILE, 0o644, b"other")]), &[("archive-twice", AT_URI)]),
        packed(
            "twice by another spelling",
            and_tar(&[("./foo", FILE, 0o644, b"")]),
            &[("archive-twice", AT_URI)],
        ),
        packed(
            "a folder that nobody may write into",
            and_tar(&[("a", FOLDER, 0o555, b"")]),
            &[("archive-folder-mode", AT_URI)],
        ),
        packed(
            "no exec bit",
            gzip(&tar(&[("foo", FILE, 0o644, b""), ("LICENSE", FILE, 0o644, b"")])),
            &[("bin-not-executable", 23)],
        ),
    ]
}

fn zips() -> Vec<Packed> {
    let damaged: Found = &[("archive-damaged", AT_URI)];
    let path: Found = &[("archive-entry-path", AT_URI)];
    let good = || and_zip(vec![]);
    let size = good().len();
    let with = |entry| and_zip(vec![entry]);
    let x = |content| entry("x", TEXT, content);
    let raw = |name: &'static [u8]| ZipEntry { name, ..x(b"") };
    vec![
        packed("a zip by the name of a tar", good(), &[]),
        packed("a zip without entries", zip(&[]), &[("archive-format", AT_URI)]),
        packed(
            "a zip behind a program",
            [&b"MZ"[..], &good()].concat(),
            &[("archive-format", AT_URI)],
        ),
        packed("a zip behind a zip", [good(), good()].concat(), &[]),
        packed("a zip cut in its directory", cut(good(), size - 30), damaged),
        packed("a zip cut in its comment", cut(good(), size - 1), damaged),
        packed("a zip with more behind it", [good(), vec![b'x'; 70_000]].concat(), damaged),
        packed("a zip with some more behind it", [good(), b"more".to_vec()].concat(), &[]),
        packed("a zip that counts wrong", flipped(good(), size - 12), damaged),
        packed("a zip with a wrong header", flipped(good(), 1), &[("archive-format", AT_URI)]),
        packed("a zip with a damaged content", flipped(good(), 34), damaged),
        packed("a zip with a wrong checksum", with(ZipEntry { crc: Some(1), ..x(b"x") }), damaged),
        packed("a zip without a checksum", with(ZipEntry { crc: Some(0), ..x(b"x") }), &[]),
        packed("an unknown method", with(ZipEntry { method: 12, ..x(b"x") }), damaged),
        packed("stored", with(ZipEntry { method: 0, ..x(b"x") }), &[]),
        packed(
            "encrypted",
            with(ZipEntry { flags: 1, crc: Some(7), method: 0, ..x(b"secret") }),
            &[("archive-encrypted", AT_URI)],
        ),
        packed("a descriptor that is not there", with(ZipEntry { flags: 8, ..x(b"x") }), damaged),
        packed("a zip that climbs", with(raw(b"../x")), path),
        packed("a zip that is absolute", with(raw(b"/x")), path),
        packed("a NUL in a name", with(raw(b"a\0b")), path),
        packed("a name that is not UTF-8", with(raw(b"\xff\xfe")), &[]),
        packed("an entry without a name", with(raw(b"")), &[("archive-entry-clash", AT_URI)]),
        packed("a folder by its name", with(entry("a/", (UNIX, 0o755 << 16), b"")), &[]),
        packed("a folder by its mode", with(entry("a", (UNIX, 0o40_755 << 16), b"")), &[]),
        packed("a folder of DOS", with(entry("a", (0, 0x10), b"")), &[]),
        packed(
            "a folder without a mode",
            with(entry("a/", (UNIX, 0), b"")),
            &[("archive-folder-mode", AT_URI)],
        ),
        packed(
            "a link in a zip",
            with(entry("x", (UNIX, 0o120_777 << 16), b"foo")),
            &[("archive-zip-link", AT_URI)],
        ),
        packed(
            "a link for the program",
            zip(&[entry("foo", (UNIX, 0o120_777 << 16), b"x"), entry("LICENSE", TEXT, b"")]),
            &[("archive-zip-link", AT_URI), ("bin-link", 23)],
        ),
        packed(
            "a zip with one twice",
            with(entry("foo", PROGRAM, b"")),
            &[("archive-twice", AT_URI)],
        ),
        packed(
            "a zip with a file in a file",
            with(entry("foo/x", TEXT, b"")),
            &[("archive-entry-clash", AT_URI)],
        ),
        packed(
            "a zip of DOS",
            zip(&[entry("foo", (0, 0), b""), entry("LICENSE", (0, 0), b"")]),
            &[("bin-not-executable", 23)],
        ),
    ]
}

fn licences() -> Vec<Packed> {
    let none: Found = &[("license-missing", AT_URI)];
    let all = |name: &'static str, file: &str, found| Packed {
        name,
        bytes: gzip(&tar(&[("foo", FILE, 0o755, b""), (file, FILE, 0o644, b"")])),
        change: ALL_FILES,
        found,
    };
    vec![
        all("LICENSE", "LICENSE", &[]),
        all("License.TXT", "License.TXT", &[]),
        all("license.md", "license.md", &[]),
        all("LICENSES", "LICENSES", &[]),
        all("licenses.txt", "licenses.txt", &[]),
        all("Licenses.md", "Licenses.md", &[]),
        all("COPYING", "COPYING", &[]),
        all("copying.txt", "copying.txt", &[]),
        all("in a folder", "docs/LICENSE", &[]),
        all("LICENCE", "LICENCE", none),
        all("LICENSE-MIT", "LICENSE-MIT", none),
        all("LICENSE.rst", "LICENSE.rst", none),
        all("COPYING.md", "COPYING.md", none),
        all("a folder named LICENSE", "LICENSE/mit", none),
    ]
}

/// Moves that depend on what the archive holds.
fn moved() -> Vec<Packed> {
    let tree: &[Member<'_>] = &[
        ("a/foo", FILE, 0o755, b"one"),
        ("b/foo", FILE, 0o755, b"two"),
        ("b/bin/foo", FILE, 0o755, b"three"),
        ("LICENSE", FILE, 0o644, b"free"),
        (".hidden", FILE, 0o644, b""),
        ("a*", FILE, 0o644, b""),
    ];
    let with = |name, from: &'static str, found| Packed {
        name,
        bytes: gzip(&tar(tree)),
        change: ("from: foo\n      to: .", from),
        found,
    };
    vec![
        with("from a folder", "from: a/foo\n      to: .", &[]),
        with("from a folder by a pattern", "from: b/f*\n      to: .", &[]),
        with("two that become one", "from: '*/foo'\n      to: .", &[("files-collision", 19)]),
        with("a folder in the way", "from: '[b]*'\n      to: .", &[("bin-missing", 23)]),
        with("a folder by its name", "from: b\n      to: foo", &[("bin-not-a-file", 23)]),
        with("a folder for all", "from: b\n      to: /", &[]),
        with("all of it", "from: .\n      to: foo", &[("files-no-match", 21)]),
        with(
            "a name that is a pattern",
            "from: 'a*'\n      to: foo",
            &[("bin-not-executable", 23)],
        ),
        with("a pattern that is escaped", "from: 'a\\*'\n      to: .", &[("bin-missing", 23)]),
        with("hidden ones", "from: '.h*'\n      to: .", &[("bin-missing", 23)]),
        with("all but", "from: '*'\n      to: .", &[("files-no-match", 21)]),
        with("deeper", "from: '*/*/foo'\n      to: .", &[]),
        with("doubled slashes", "from: a//./foo\n      to: .", &[]),
    ]
}
