//! The architecture, tested: a room imports only from rooms above its line, or
//! to its left along an arrow.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The rooms in order. Those of one line know nothing of each other, except
/// along an arrow (`>`), where one knows those to its left.
const ROOMS: [&str; 15] = [
    "version target digest reference secret finding parallel",
    "process files term",
    "http",
    "template yaml cache",
    "project > config > plan",
    "toolchain > compile > linkage",
    "oci > registry > sink",
    "generate",
    "archive sbom sign dockerfile",
    "krew",
    "artifacts",
    "github > forge",
    "check preflight resolve verify init",
    "release",
    "cmd",
];

/// The name of an image speaks of its digest.
const WITHIN: [(&str, &str); 1] = [("reference", "digest")];

fn position(room: &str) -> (usize, usize, bool) {
    for (line, names) in ROOMS.iter().enumerate() {
        let arrow = names.contains('>');
        let mut names = names.split([' ', '>']).filter(|name| !name.is_empty());
        if let Some(place) = names.position(|name| name == room) {
            return (line, place, arrow);
        }
    }
    panic!("the room {room} is not in the list: put it in its place in DESIGN's order");
}

fn may_import(room: &str, other: &str) -> bool {
    let ((line, place, arrow), (other_line, other_place, _)) = (position(room), position(other));
    room == other
        || other_line < line
        || (other_line == line && arrow && other_place < place)
        || WITHIN.contains(&(room, other))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a text names as `crate::ROOM`, single or in braces.
fn named(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let group = rest.strip_prefix('{').map(|rest| rest.split('}').next().unwrap_or(""));
        let items = group.map_or_else(|| vec![rest], |group| group.split(',').collect());
        for item in items {
            let name: String =
                item.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            rooms.extend((!name.is_empty()).then_some(name));
        }
    }
    rooms
}

#[test]
fn rooms_import_in_the_order_of_the_house() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let within = file.strip_prefix(&src).unwrap();
        let room = within.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = room.trim_end_matches(".rs");
        if ["lib", "bin", "fuzzing"].contains(&room) {
            continue;
        }
        for other in named(&std::fs::read_to_string(file).unwrap()) {
            // What fuzz targets do, tests may do too.
            if other != "fuzzing" && !may_import(room, &other) {
                wrong.push(format!("{} imports {other}", within.display()));
            }
        }
    }
    assert!(files.len() > 20, "the sources were found");
    assert_eq!(wrong, Vec::<String>::new());
}

/// A file over 500 lines is two rooms; its tests apart.
#[test]
fn files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let code =
        |text: &str| text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("").lines().count();
    let long: Vec<String> = files
        .iter()
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| (file, code(&std::fs::read_to_string(file).unwrap())))
        .filter(|(_, lines)| *lines > 500)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}
