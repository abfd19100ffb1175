//! Tables of what differs, and where that is found.

use std::io::Write;
use std::path::Path;

use flate2::GzBuilder;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};

use super::entries::{self, Holder};
use super::*;
use crate::files;
use crate::stamp;

mod sketch;
use sketch::Sketch;

/// What is found of two contents: place, difference and reason, one line each.
fn of(published: &[u8], rebuilt: &[u8]) -> Vec<String> {
    let mut found = Found::default();
    contents("f", published, rebuilt, &mut found);
    assert_eq!(found.is_empty(), published == rebuilt);
    lines(&found)
}

fn lines(found: &Found) -> Vec<String> {
    let line = |it: &Difference| format!("{} | {} | {}", it.place, it.what, it.reason);
    found.listed().iter().map(line).collect()
}

/// Requires one difference with all of these words.
#[track_caller]
fn only(lines: &[String], words: &[&str]) {
    let [line] = lines else { panic!("{lines:#?}") };
    for word in words {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
}

#[test]
fn a_field_of_json_has_its_pointer() {
    let before = json!({ "a": { "b/c": [1, 2, 3] }, "name": "x", "sha": "1".repeat(64),
                         "created": "2024-01-02T03:04:05Z" });
    let with = |pointer: &str, value: Value| {
        let mut after = before.clone();
        *after.pointer_mut(pointer).unwrap() = value;
        of(before.to_string().as_bytes(), after.to_string().as_bytes())
    };
    only(&with("/name", json!("y")), &["field /name |", "\"x\" in the published", "| unknown"]);
    only(&with("/a/b~1c/1", json!(7)), &["field /a/b~1c/1 |", "2 in the", "7 in the rebuilt"]);
    only(&with("/a/b~1c", json!([1, 9, 2, 3])), &["field /a/b~1c/1 |", "only in the rebuilt", "9"]);
    only(&with("/a/b~1c", json!([2, 3])), &["field /a/b~1c/0 |", "only in the published"]);
    only(&with("/sha", json!("2".repeat(64))), &["| it follows"]);
    let purl =
        |hex: char| format!("{{\"a\":\"pkg:oci/a@sha256:{}?arch=x\"}}", hex.to_string().repeat(64));
    only(&of(purl('1').as_bytes(), purl('2').as_bytes()), &["/a |", "| it follows"]);
    let uuid = |hex: char| format!("[\"urn:uuid:cee78bf8-dc42-8ab1-80ed-6e97f1c35e{hex}f\"]");
    only(&of(uuid('1').as_bytes(), uuid('2').as_bytes()), &["/0 |", "| it follows"]);
    only(&with("/created", json!("2025-01-02T03:04:05Z")), &["/created |", "| a time: 2024-01-02"]);
    only(&with("/a", json!(null)), &["field /a |", "null in the rebuilt"]);
    only(&of(b"{\"a\":1}", b"{ \"a\": 1 }"), &["other spaces"]);
    only(&of(b"{}", b"[]"), &["field / |"]);
}

#[test]
fn a_line_of_text_has_its_number() {
    only(
        &of(b"one\ntwo\n", b"one\n2\n"),
        &["f: line 2 |", "\"two\" in the", "\"2\" in the rebuilt"],
    );
    only(&of(b"one\n", b"one\ntwo\n"), &["f: line 2 |", "no such line in the published"]);
    only(&of(b"one\n", b"one\r\n"), &["ends of its lines"]);
    only(&of(b"v 1.2.3\n", b"v 1.2.4\n"), &["| a version: 1.2.3 only in the published"]);
    only(&of(b"\xff\0a", b"\xff\0b"), &["f |", "at 0x2"]);
    only(&of(b"\xff\0", b"\xff\0b"), &["2 bytes in the published one, 3 in the rebuilt"]);
    only(&of(b"", b"b"), &["f: line 1 |"]);
}

#[test]
fn a_section_of_a_program_has_its_symbol_and_its_reason() {
    let before = Sketch::default();
    let with = |after: Sketch| of(&before.bytes(), &after.bytes());
    let set = |name: &str, at: usize, with: &[u8]| {
        let mut sketch = Sketch::default();
        let data = sketch.section(name);
        data[at..at + with.len()].copy_from_slice(with);
        sketch
    };
    assert_eq!(with(Sketch::default()), [""; 0]);
    only(
        &with(set(".text", 5, &[0xcc])),
        &["f: section .text, symbol second+0x1 |", "at 0x5, of 1 that do", "| unknown"],
    );
    only(&with(set(".text", 1, &[0xcc])), &["symbol first+0x1"]);
    // A path that only one of them has; the same where it is longer.
    let path = |text: &str| {
        let mut sketch = Sketch::default();
        *sketch.section(".rodata") = text.as_bytes().to_vec();
        sketch
    };
    let found = with(path("/tmp/other/src/main.rs and 2024-01-02."));
    only(
        &found,
        &["section .rodata |", "| a path: /home/me/app/src/main.rs only in the published"],
    );
    let found = with(path("/home/me/app/src/main.rs and 2025-06-07"));
    only(
        &found,
        &["section .rodata |", "| a time: 2024-01-02 only in the published", "2025-06-07"],
    );
    let mut other = Sketch::default();
    *other.section(".comment") = b"rustc version 1.94.1 (abc 2026-02-02)\0".to_vec();
    only(
        &with(other),
        &[
            "section .comment |",
            "1.95.0",
            "| another compiler: rustc version 1.95.0 (def 2026-04-04) only in the published one; \
         rustc version 1.94.1",
        ],
    );
    let found = with(set(".note.gnu.build-id", 0, b"y"));
    only(&found, &["build-id |", "another build ID", "| it follows"]);
    let mut less = Sketch::default();
    less.sections.retain(|(name, _)| name != ".dep-v0");
    let found =
        with(less).into_iter().filter(|line| line.contains("section .dep-v0")).collect::<Vec<_>>();
    only(&found, &["only in the published one", "(`auditable`)"]);
    let mut crates = Sketch::default();
    *crates.section(".dep-v0") = list("0.2.0");
    let found =
        with(crates).into_iter().filter(|line| line.contains(".dep-v0 ")).collect::<Vec<_>>();
    only(&found, &["only in the published one: lib 0.1.0", "lib 0.2.0", "| other crates"]);
    // One that was built for another version.
    let filled = |version: &str| {
        let mut slot = b"\xd0dockless slot\x1a\n\x01\x00\xe0\x01".to_vec();
        slot.resize(512, 0);
        let mut sketch = Sketch::default();
        sketch.sections.push((".dl-slot".to_owned(), slot));
        let mut program = sketch.bytes();
        let texts = stamp::Texts { version: version.to_owned(), ..stamp::Texts::default() };
        assert!(stamp::fill(&mut program, &texts).unwrap());
        program
    };
    let words = ["section .dl-slot |", "\"1.2.3   \" in the published one", "| another version"];
    only(&of(&filled("1.2.3"), &filled("1.2.4")), &words);
    // Names that differ in their hashes alone.
    let named = |hash: char| {
        let mut sketch = Sketch::default();
        let name = format!("_ZN3app4main17h{}E\0", hash.to_string().repeat(16));
        sketch.sections.push((".strtab".to_owned(), name.into_bytes()));
        sketch.bytes()
    };
    only(&of(&named('a'), &named('b')), &["section .strtab |", "| other hashes in the names"]);
    // What is in no section.
    let mut header = before.bytes();
    header[0x18] ^= 1;
    only(&of(&before.bytes(), &header), &["f: the headers |", "at 0x18 of the file"]);
    let longer = [&before.bytes()[..], b"x"].concat();
    only(&of(&before.bytes(), &longer), &["f: outside of the sections |"]);
}

/// A list of crates as it is in a program.
fn list(version: &str) -> Vec<u8> {
    let list = json!({ "packages": [
        { "name": "app", "version": "1.0.0", "source": "local", "dependencies": [1], "root": true },
        { "name": "lib", "version": version, "source": "crates.io" },
    ], "format": 1 });
    let mut packed = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(list.to_string().as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Each flipped byte of a program is found, whatever it breaks.
#[test]
fn one_flipped_byte_anywhere_is_a_difference() {
    let program = Sketch::default().bytes();
    for at in 0..program.len() {
        for bit in [1, 0x80] {
            let mut flipped = program.clone();
            flipped[at] ^= bit;
            assert!(!of(&program, &flipped).is_empty(), "byte {at}");
            assert!(!of(&flipped, &program).is_empty(), "byte {at}");
        }
    }
}

#[test]
fn any_two_contents_compare_without_a_panic() {
    let program = Sketch::default().bytes();
    arbtest::arbtest(|u| {
        let mut sides = [program.clone(), program.clone()];
        for side in &mut sides {
            for _ in 0..u.int_in_range(0..=8)? {
                let at = u.choose_index(side.len())?;
                side[at] = u.arbitrary()?;
            }
            let most = side.len();
            side.truncate(u.int_in_range(0..=most)?.max(most.saturating_sub(200)));
        }
        of(&sides[0], &sides[1]);
        crate::fuzzing::compare(&[&sides[0][..], &sides[1], &[u.arbitrary()?]].concat());
        Ok(())
    });
}

/// An entry of an archive that a test makes.
#[derive(Clone)]
struct Made {
    name: &'static str,
    mode: u32,
    time: u64,
    owner: u64,
    content: Vec<u8>,
}

fn made() -> Vec<Made> {
    let entry = |name, mode, content: &[u8]| Made {
        name,
        mode,
        time: 1_700_000_000,
        owner: 0,
        content: content.to_vec(),
    };
    vec![entry("README.md", 0o644, b"read\nme\n"), entry("app", 0o755, &Sketch::default().bytes())]
}

fn tar_of(entries: &[Made], level: u32, time: u32) -> Vec<u8> {
    let gzip = GzBuilder::new().mtime(time).write(Vec::new(), flate2::Compression::new(level));
    let mut tar = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.content.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(entry.time);
        header.set_uid(entry.owner);
        header.set_gid(0);
        tar.append_data(&mut header, entry.name, &*entry.content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn zip_of(entries: &[Made], level: u32) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for entry in entries {
        let minutes = u8::try_from(entry.time % 60).unwrap();
        let time = zip::DateTime::from_date_and_time(2024, 1, 2, 3, minutes, 0).unwrap();
        let options = zip::write::SimpleFileOptions::DEFAULT
            .compression_level(Some(i64::from(level)))
            .unix_permissions(entry.mode)
            .last_modified_time(time);
        zip.start_file(entry.name, options).unwrap();
        zip.write_all(&entry.content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What is found of two archives.
fn archives(published: &[u8], rebuilt: &[u8]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        files::write(&path, bytes).unwrap();
        path
    };
    let (a, b) = (write("a", published), write("b", rebuilt));
    fn holder<'a>(path: &'a Path, bytes: &[u8]) -> Holder<'a> {
        entries::kind(path, bytes).unwrap()
    }
    let mut found = Found::default();
    entries::compare("a.gz", holder(&a, published), holder(&b, rebuilt), &mut found);
    lines(&found)
}

#[test]
fn an_entry_of_an_archive_has_what_differs() {
    let changed = |change: &dyn Fn(&mut Vec<Made>)| {
        let mut entries = made();
        change(&mut entries);
        entries
    };
    let mut program = Sketch::default();
    program.section(".text")[5] = 0xcc;
    let program = program.bytes();
    let cases: [(Vec<Made>, &[&str]); 9] = [
        (changed(&|it| it[0].content[0] = b'R'), &["entry README.md: line 1 |", "\"Read\""]),
        (changed(&|it| it[0].mode = 0o664), &["entry README.md |", "mode 0644", "0664", "umask"]),
        (changed(&|it| it[0].time += 2), &["entry README.md |", "time 20", "| a time"]),
        (changed(&|it| it[0].owner = 1000), &["entry README.md |", "owner 0:0", "1000:0"]),
        (changed(&|it| it.truncate(1)), &["entry app |", "only in the published one"]),
        (
            changed(&|it| {
                it.push(Made { name: "more", ..it[0].clone() });
            }),
            &["entry more |", "only in the rebuilt one"],
        ),
        (changed(&|it| it.reverse()), &["a.gz |", "another order", "order of a folder"]),
        (
            changed(&|it| it[1].content.clone_from(&program)),
            &["entry app: section .text, symbol second+0x1 |"],
        ),
        (
            changed(&|it| {
                it.push(it[0].clone());
            }),
            &["entry README.md (entry 2) |", "only in the rebuilt one"],
        ),
    ];
    for (at, (entries, words)) in cases.iter().enumerate() {
        only(&archives(&tar_of(&made(), 6, 0), &tar_of(entries, 6, 0)), words);
        // A zip has no owners, and no name twice.
        if at != 3 && at != 8 {
            only(&archives(&zip_of(&made(), 6), &zip_of(entries, 6)), words);
        }
    }
    let tar = tar_of(&made(), 6, 0);
    only(&archives(&tar, &tar_of(&made(), 1, 0)), &["a.gz |", "compression alone", "level"]);
    only(&archives(&tar, &tar_of(&made(), 6, 9)), &["compression alone", "a time in the header"]);
    only(&archives(&zip_of(&made(), 6), &zip_of(&made(), 1)), &["compression", "level"]);
}

/// Each flipped byte of an archive is found: in an entry, in the compression, or as damage.
#[test]
fn one_flipped_byte_of_an_archive_is_a_difference() {
    for archive in [tar_of(&made(), 6, 0), zip_of(&made(), 6)] {
        arbtest::arbtest(|u| {
            let mut flipped = archive.clone();
            // The first bytes tell what it is.
            let at = 4 + u.choose_index(archive.len() - 4)?;
            flipped[at] ^= 1 << u.int_in_range(0..=7)?;
            assert!(!archives(&archive, &flipped).is_empty(), "byte {at}");
            assert!(!archives(&flipped, &archive).is_empty(), "byte {at}");
            Ok(())
        })
        .budget(std::time::Duration::from_secs(2));
    }
}

#[test]
fn the_list_of_differences_has_an_end() {
    let many = |value: &str| json!(vec![value; 3 * IN_ONE]).to_string();
    let mut found = Found::default();
    contents("f", many("a").as_bytes(), many("b").as_bytes(), &mut found);
    assert_eq!((found.len(), found.listed().len()), (3 * IN_ONE, IN_ONE));
    let mut comparison = Comparison::default();
    comparison.add("f", found);
    let comparison = comparison.sorted();
    assert_eq!(comparison.count(), 3 * IN_ONE);
    assert!(comparison.table().to_string().contains("80 more differences are not listed"));
}

/// Names and values of others cannot act on a terminal.
#[test]
fn what_others_wrote_is_shown_harmlessly() {
    let found = of(b"{\"a\\u001b[31m\":\"1\\n::error::x\"}", b"{\"a\\u001b[31m\":\"2\"}");
    assert!(found.iter().all(|line| !line.contains(['\u{1b}', '\n'])), "{found:?}");
}
