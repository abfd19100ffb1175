//! The architecture, tested: what may import what, and how long a file and a function may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{Named, Token, functions, paths, tokens, without_tests};

mod source;

/// The rooms in order. Those of one line know nothing of each other, except
/// along an arrow (`>`), where one knows those to its left.
const ROOMS: [&str; 17] = [
    "version target digest reference secret finding explain parallel",
    "process files term",
    "http",
    "template yaml cache",
    "project > config > plan",
    "toolchain > compile > stamp > linkage",
    "oci > registry > sink",
    "generate license",
    "archive dockerfile sbom",
    "krew",
    "artifacts",
    "sign > provenance",
    "github > forge",
    "check preflight prepare resolve verify init watch",
    "doctor",
    "release",
    "cmd",
];

/// The name of an image speaks of its digest.
const WITHIN: [(&str, &str); 1] = [("reference", "digest")];

/// What is in src/ and is no room.
const NO_ROOMS: [&str; 3] = ["lib", "bin", "fuzzing"];

/// The longest file and the longest function, in lines.
const FILE: usize = 500;
const FUNCTION: usize = 80;

/// The comment before a function that says why it is longer.
const REASON: &str = "// Long: ";

fn rooms() -> impl Iterator<Item = &'static str> {
    ROOMS.iter().flat_map(|line| line.split([' ', '>'])).filter(|name| !name.is_empty())
}

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

/// The sources by their modules: `src/krew/rules.rs` is `["krew", "rules"]`.
pub type Sources = BTreeMap<Vec<String>, String>;

pub fn sources() -> Sources {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    find(&src, &mut files);
    assert!(files.len() > 20, "the sources were found");
    let module = |file: &PathBuf| {
        let path = file.strip_prefix(&src).unwrap().with_extension("");
        path.iter().map(|name| name.to_str().unwrap().to_owned()).collect()
    };
    files.iter().map(|file| (module(file), fs::read_to_string(file).unwrap())).collect()
}

fn find(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file is a module of tests, or belongs to one.
fn is_tests(module: &[String]) -> bool {
    module.iter().any(|name| name == "tests")
}

/// The imports of a room by another that its place does not allow.
fn wrong_imports(sources: &Sources) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for (module, text) in sources {
        let room = &*module[0];
        if NO_ROOMS.contains(&room) {
            continue;
        }
        for Named { path, .. } in paths(module, &tokens(text)) {
            // `super` of a room leads to the crate's root.
            let Some(other) = path.first().filter(|other| *other != room) else { continue };
            let is_module = other.starts_with(|c: char| c.is_ascii_lowercase());
            // What fuzz targets do, tests may do too.
            if is_module && other != "fuzzing" && !may_import(room, other) {
                wrong.insert(format!("{} imports {other}", module.join("/")));
            }
        }
    }
    wrong
}

/// The circles within rooms.
///
/// Where a file names something of another one of its room, the paths of both part below some
/// module: `krew/play/zip` and `krew/sheet` below `krew`. That makes one edge between this
/// module's children, from `play` to `sheet`; among the children of one module no circle may
/// be. So files that stand side by side have an order, with all that is below them. A module
/// and those below it may know each other: a child uses the types of its parent, which calls
/// it. What a parent imports from a child and passes on counts as the child's.
fn circles(sources: &Sources) -> Vec<String> {
    let code: BTreeMap<&Vec<String>, Vec<Token<'_>>> = sources
        .iter()
        .filter(|(module, _)| !is_tests(module))
        .map(|(module, text)| (module, without_tests(&tokens(text))))
        .collect();
    let named: BTreeMap<&Vec<String>, Vec<Named>> =
        code.iter().map(|(module, tokens)| (*module, paths(module, tokens))).collect();
    let mut edges: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, all) in &named {
        let starred = all.iter().filter(|it| it.path.last().is_some_and(|last| last == "*"));
        let words = starred.flat_map(|it| {
            let words: BTreeSet<&str> = code[from].iter().map(|token| token.text).collect();
            let module = it.path[..it.path.len() - 1].to_vec();
            words.into_iter().map(move |word| [&module[..], &[word.to_owned()]].concat())
        });
        for path in all.iter().map(|it| it.path.clone()).chain(words) {
            let to = owner(&named, &path);
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if shared > 0 && shared < from.len() && shared < to.len() {
                let among = edges.entry(to[..shared].to_vec()).or_default();
                among.entry(from[shared].clone()).or_default().insert(to[shared].clone());
            }
        }
    }
    let circles = edges.iter().filter_map(|(parent, edges)| {
        let circle = edges.keys().find_map(|child| circle(edges, &mut vec![child]))?;
        Some(format!("in {}: {}", parent.join("/"), circle.join(" > ")))
    });
    circles.collect()
}

/// The module that what a path names is in; imports on the way are followed.
fn owner(named: &BTreeMap<&Vec<String>, Vec<Named>>, path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    // An import that leads to itself ends somewhere.
    for _ in 0..8 {
        let is_module = |count: &usize| named.contains_key(&path[..*count].to_vec());
        let depth = (0..=path.len()).rev().find(is_module).unwrap_or(0);
        let Some(item) = path.get(depth) else { return path };
        let module = path[..depth].to_vec();
        let imports = named.get(&module).into_iter().flatten();
        let import = imports.into_iter().find(|it| it.alias.as_ref() == Some(item));
        match import {
            Some(import) if import.path != path[..=depth] => {
                path = [&import.path[..], &path[depth + 1..]].concat();
            }
            _ => return module,
        }
    }
    path
}

/// The way from the last of `way` back to its first.
fn circle<'a>(
    edges: &'a BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<&'a String>,
) -> Option<Vec<&'a str>> {
    for next in edges.get(*way.last()?).into_iter().flatten() {
        if next == way[0] {
            return Some(way.iter().copied().chain([next]).map(String::as_str).collect());
        }
        if !way.contains(&next) {
            way.push(next);
            if let Some(found) = circle(edges, way) {
                return Some(found);
            }
            way.pop();
        }
    }
    None
}

/// The functions of a file that are too long, and say no reason for it.
fn long_functions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let has_reason = |line: usize| {
        let above = lines[..line].iter().rev();
        let mut notes = above.take_while(|it| it.starts_with("//") || it.starts_with("#["));
        notes.any(|it| it.strip_prefix(REASON).is_some_and(|reason| !reason.is_empty()))
    };
    functions(&without_tests(&tokens(text)))
        .into_iter()
        .filter(|function| function.lines > FUNCTION && !has_reason(function.line))
        .map(|function| format!("{}: {} lines", function.name, function.lines))
        .collect()
}

#[test]
fn rooms_import_in_the_order_of_the_house() {
    assert_eq!(wrong_imports(&sources()), BTreeSet::new());
}

#[test]
fn the_list_of_rooms_is_that_of_the_crate() {
    let sources = sources();
    let tokens = tokens(&sources[&vec!["lib".to_owned()]]);
    let modules = tokens.windows(2).filter(|pair| pair[0].text == "mod").map(|pair| pair[1].text);
    let modules: BTreeSet<&str> = modules.filter(|name| !NO_ROOMS.contains(name)).collect();
    let listed: BTreeSet<&str> = rooms().collect();
    assert_eq!(listed, modules);
    assert_eq!(listed.len(), rooms().count(), "no room is listed twice");
}

#[test]
fn the_files_of_a_room_have_an_order() {
    assert_eq!(circles(&sources()), Vec::<String>::new());
}

/// A file over 500 lines is two; its tests apart.
#[test]
fn files_stay_small() {
    let code =
        |text: &str| text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("").lines().count();
    let long: Vec<String> = sources()
        .iter()
        .filter(|(module, _)| module.last().is_none_or(|name| name != "tests"))
        .map(|(module, text)| (module, code(text)))
        .filter(|(_, lines)| *lines > FILE)
        .map(|(module, lines)| format!("{}: {lines} lines", module.join("/")))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

/// A function over 80 lines falls into its parts, or says above it why not.
#[test]
fn functions_stay_small() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(module, _)| !is_tests(module))
        .flat_map(|(module, text)| {
            let long = long_functions(text).into_iter();
            long.map(|function| format!("{}: {function}", module.join("/")))
        })
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

/// Sources of these paths and texts.
fn written(files: &[(&str, &str)]) -> Sources {
    let module = |path: &str| path.split('/').map(str::to_owned).collect();
    files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect()
}

#[test]
fn a_wrong_import_is_found() {
    for (room, text, wrong) in [
        ("files", "use crate::{digest::{Digest, hash}, cmd::{self, World}};", "files imports cmd"),
        ("files", "use super::http::Http;", "files imports http"),
        ("files/lock", "fn f(x: super::super::plan::Plan) {}", "files/lock imports plan"),
        ("files", "mod a { use super::super::term; }", "files imports term"),
        ("files", "fn f() { crate::sink::write() }", "files imports sink"),
        ("project", "use crate::config;", "project imports config"),
    ] {
        assert_eq!(wrong_imports(&written(&[(room, text)])), [wrong.to_owned()].into(), "{text}");
    }
    for (room, text) in [
        ("files", "// crate::cmd\nuse crate::{finding::Help, secret};"),
        ("files", "const TEXT: &str = \"crate::cmd\";"),
        ("files", "use self::lock::Lock; use super::Name;"),
        ("plan", "use crate::{config, project::Project};"),
    ] {
        assert_eq!(wrong_imports(&written(&[(room, text)])), BTreeSet::new(), "{text}");
    }
}

#[test]
fn a_circle_is_found() {
    let parent = ("room", "mod a; mod b; pub use b::B; fn f() { a::go() }");
    for (a, b, found) in [
        ("use super::b;", "use super::a;", true),
        ("use crate::room::{b::{C, D}};", "fn f() { super::a::go() }", true),
        // By a name that the parent passes on.
        ("use super::B;", "use super::a::A;", true),
        ("use super::*; fn f(b: B) {}", "use super::a::A;", true),
        ("use super::*;", "use super::a::A;", false),
        ("use super::{b::C, f};", "use super::f;", false),
        ("use super::b::C;", "#[cfg(test)]\nmod tests { use super::super::a; }", false),
        ("use super::b::C;", "// super::a::A\nuse self::a::A;", false),
    ] {
        let files = written(&[parent, ("room/a", a), ("room/b", b)]);
        let expected = if found { vec!["in room: a > b > a"] } else { Vec::new() };
        assert_eq!(circles(&files), expected, "{a} {b}");
    }
    // What is below a module counts as its own.
    let files = [
        ("room", ""),
        ("room/a", "use super::b::B;"),
        ("room/b", "mod c;"),
        ("room/b/c", "use super::super::a::A; use super::B;"),
    ];
    assert_eq!(circles(&written(&files)), ["in room: a > b > a"]);
}

#[test]
fn a_long_function_is_found_unless_it_says_why() {
    let body = "    go();\n".repeat(FUNCTION);
    let long = format!("fn long() {{\n{body}}}\n");
    assert_eq!(long_functions(&long), ["long: 82 lines"]);
    let reason = format!("/// Does it.\n// Long: one table.\n#[must_use]\npub {long}");
    assert_eq!(long_functions(&reason), Vec::<String>::new());
    assert_eq!(long_functions(&format!("// Long: \n{long}")), ["long: 82 lines"]);
    assert_eq!(long_functions(&format!("#[cfg(test)]\nmod tests {{\n{long}}}")), [""; 0]);
}
