use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::stamp::{Kind, Listed, put};

/// The header of a program that has nothing else, as packers leave it.
fn packed_program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes
}

/// The same with a list of one package.
fn listed_program(name: &str) -> Vec<u8> {
    let root = Listed {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        source: "local".to_owned(),
        kind: Kind::Runtime,
        dependencies: Vec::new(),
        root: true,
    };
    put(packed_program(), &List::new(vec![root]).unwrap().pack().unwrap()).unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::DEFAULT).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    files::write(&path, bytes).unwrap();
    (folder, path)
}

fn found(bytes: &[u8]) -> Result<Vec<Program>> {
    let (_folder, path) = file(bytes);
    of_file(&path)
}

/// Paths and packages, `none` for a program without a list.
fn named(programs: &[Program]) -> Vec<(Option<&str>, &str)> {
    let package = |program: &Program| match &program.lists {
        Ok(lists) => match &lists[..] {
            [Some(list)] => list.root().map(|root| root.name.clone()).unwrap(),
            _ => "none".to_owned(),
        },
        Err(why) => why.clone(),
    };
    let name = |program| -> &'static str { Box::leak(package(program).into_boxed_str()) };
    programs.iter().map(|program| (program.path.as_deref(), name(program))).collect()
}

#[test]
fn programs_are_found_in_files_and_archives() {
    let (app, bare) = (listed_program("app"), packed_program());
    let files: [(&str, &[u8]); 4] =
        [("README.md", b"MZ is no program"), ("app", &app), ("empty", b""), ("bin/bare", &bare)];
    let expected = [(Some("app"), "app"), (Some("bin/bare"), "none")];
    for archive in [tar(&files), gzip(&tar(&files)), zip(&files)] {
        let programs = found(&archive).unwrap();
        assert_eq!(named(&programs), expected);
        assert!(programs.iter().all(|program| program.needs_list));
    }
    for alone in [app.clone(), gzip(&app)] {
        assert_eq!(named(&found(&alone).unwrap()), [(None, "app")]);
    }
}

#[test]
fn a_file_that_holds_no_program_is_an_error() {
    let app = listed_program("app");
    let archive = gzip(&tar(&[("app", &app)]));
    let mut lying = tar(&[("app", &app)]);
    // The member's size, in octal, and the checksum of its header.
    lying[124..135].copy_from_slice(b"77777777777");
    let sum: u32 =
        (0..512).map(|at| u32::from(if (148..156).contains(&at) { b' ' } else { lying[at] })).sum();
    lying[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    for (bytes, expected) in [
        (Vec::new(), "it is empty"),
        (b"a text".to_vec(), "it is neither a program nor an archive"),
        (b"\xfd7zXZ\0\0".to_vec(), "it is packed by xz"),
        (tar(&[("README.md", b"text")]), "there is no program in it"),
        (zip(&[]), "there is no program in it"),
        (archive[..archive.len() - 9].to_vec(), "deflate stream"),
        (gzip(&lying), "a program of 8589934591 bytes is not read"),
        (lying, "a program of 8589934591 bytes is not read"),
        (b"PK\x03\x04 and no more".to_vec(), "read the zip archive"),
    ] {
        let error = format!("{:#}", found(&bytes).unwrap_err());
        assert!(error.contains(expected), "{error}\nnot {expected}");
    }
    for end in (0..archive.len()).step_by(5) {
        assert!(found(&archive[..end]).is_err(), "cut off at {end}");
    }
}

fn program_at(path: &str, name: &str) -> Change {
    let program = program(Some(path.to_owned()), &listed_program(name), false);
    Change::Program(path.as_bytes().to_vec(), Box::new(program))
}

#[test]
fn layers_replace_and_remove_what_is_below_them() {
    let path = |path: &str| path.as_bytes().to_vec();
    let base = vec![
        program_at("bin/a", "a"),
        program_at("bin/b", "b"),
        program_at("opt/c/d", "d"),
        program_at("opt/e", "e"),
        Change::Link(path("bin/linked"), path("bin/a")),
    ];
    let left = |changes: Vec<Change>| {
        let mut tree = BTreeMap::new();
        apply(&mut tree, &base);
        apply(&mut tree, &changes);
        let names: Vec<String> =
            tree.into_keys().map(|path| String::from_utf8(path).unwrap()).collect();
        names.join(" ")
    };
    for (changes, expected) in [
        (vec![], "bin/a bin/b bin/linked opt/c/d opt/e"),
        (vec![Change::Removed(path("bin/a"))], "bin/b bin/linked opt/c/d opt/e"),
        (vec![Change::Removed(path("opt"))], "bin/a bin/b bin/linked"),
        (vec![Change::Other(path("opt/c"))], "bin/a bin/b bin/linked opt/e"),
        // What the layer itself brings stays.
        (
            vec![program_at("opt/new", "n"), Change::Opaque(path("opt"))],
            "bin/a bin/b bin/linked opt/new",
        ),
        (vec![Change::Opaque(Vec::new())], ""),
        (vec![Change::Link(path("bin/a"), path("none"))], "bin/b bin/linked opt/c/d opt/e"),
    ] {
        assert_eq!(left(changes), expected);
    }
}

#[test]
fn what_an_image_starts_is_told_from_other_programs() {
    for (path, word, expected) in [
        ("usr/bin/app", "/usr/bin/app", true),
        ("usr/bin/app", "app", true),
        ("usr/bin/app", "bin/app", true),
        ("usr/bin/my-app", "app", false),
        ("usr/bin/app", "", false),
        ("app", "/app", true),
    ] {
        assert_eq!(ends_with(path.as_bytes(), word), expected, "{path} {word}");
    }
    assert!(is_ours(&packed_program()) && is_ours(b"/rustc/0123/library/core"));
    let list = List::new(Vec::new());
    assert!(list.is_err());
    let plain = put(packed_program(), b"list").unwrap();
    assert!(!is_ours(&plain));
}
