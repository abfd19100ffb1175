//! docs/ as a book, and all that this repository says in Markdown: links, settings, commands.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use crate::world::{World, judge, run};
use markdown::{pages, root};

pub mod markdown;
mod reference;
pub mod shell;

const SUMMARY: &str = "docs/SUMMARY.md";

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

/// Where a link of a page leads to: a path from the root, and an anchor.
fn target(page: &str, link: &str) -> Option<(PathBuf, Option<String>)> {
    if link.starts_with("https://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    let path = match path {
        "" => PathBuf::from(page),
        path => normal(&Path::new(page).parent().unwrap().join(path)),
    };
    Some((path, anchor))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages.values() {
        for (line, link) in &page.links {
            let Some((path, anchor)) = target(&page.path, link) else { continue };
            seen += 1;
            let place = format!("{}:{line}: {link}", page.path);
            if !root().join(&path).exists() {
                wrong.push(format!("{place}: is not there"));
            }
            // Outside of docs/ there is no book.
            if page.path.starts_with("docs/") && !path.starts_with("docs") {
                wrong.push(format!("{place}: leads out of the book; name the path instead"));
            }
            if let Some(anchor) = anchor
                && pages.get(path.to_str().unwrap()).is_none_or(|to| !to.anchors.contains(&anchor))
            {
                wrong.push(format!("{place}: no such heading"));
            }
        }
    }
    assert!(seen > 150 && wrong.is_empty(), "{seen} links\n{}", wrong.join("\n"));
}

#[test]
fn the_summary_has_every_page_once() {
    let pages = pages();
    let listed: Vec<String> = pages[SUMMARY]
        .links
        .iter()
        .map(|(_, link)| target(SUMMARY, link).unwrap().0.to_str().unwrap().to_owned())
        .collect();
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice");
    let there = pages.keys().filter(|path| path.starts_with("docs/") && *path != SUMMARY);
    let unlisted: Vec<&String> = there.filter(|path| !once.contains(path)).collect();
    assert_eq!(unlisted, Vec::<&String>::new(), "pages that {SUMMARY} does not list");
}

/// Builds the book, and follows its links as a browser would.
#[test]
fn the_book_builds_and_its_own_links_lead_somewhere() {
    if judge("mdbook").is_none() {
        return;
    }
    let world = World::empty();
    let book = world.path("book");
    let args = ["build".as_ref(), "docs".as_ref(), "--dest-dir".as_ref(), book.as_os_str()];
    run(world.with("mdbook", args).current_dir(root())).ends_with(0).never_says("WARN");
    let html = |page: &Path| std::fs::read_to_string(book.join(page)).unwrap();
    let mut seen = 0;
    for path in pages().keys().filter(|path| path.starts_with("docs/") && *path != SUMMARY) {
        let path = path.strip_prefix("docs/").unwrap().replace("README.md", "index.md");
        let page = Path::new(&path).with_extension("html");
        let text = html(&page);
        let main = text.split("<main>").nth(1).unwrap().split("</main>").next().unwrap();
        for start in ["href=\"", "src=\"", "srcset=\""] {
            for link in main.split(start).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let Some((to, anchor)) = target(page.to_str().unwrap(), link) else { continue };
                seen += 1;
                let to = if book.join(&to).is_dir() { to.join("index.html") } else { to };
                assert!(book.join(&to).exists(), "{}: {link}", page.display());
                let Some(anchor) = anchor else { continue };
                let id = format!("id=\"{anchor}\"");
                assert!(html(&to).contains(&id), "{}: {link}: no heading", page.display());
            }
        }
    }
    assert!(seen > 100, "{seen} links");
    let index = std::fs::read_dir(&book).unwrap().map(|entry| entry.unwrap().path());
    let index: Vec<PathBuf> =
        index.filter(|path| path.to_str().unwrap().contains("searchindex")).collect();
    let [index] = &index[..] else { panic!("{index:?}") };
    assert!(std::fs::read_to_string(index).unwrap().contains("musl"), "search knows the word");
}

/// Pictures are seen on light and dark pages, and show nothing of who made them.
#[test]
fn pictures_follow_the_page_and_name_no_machine() {
    let links = pages().into_values().flat_map(|page| page.links).map(|(_, link)| link);
    let names: BTreeSet<String> = links.filter(|link| link.ends_with(".svg")).collect();
    let mut seen = 0;
    for folder in ["", "explanation", "recording"] {
        for entry in std::fs::read_dir(root().join("docs").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "svg") {
                continue;
            }
            let (name, text) = (path.file_name().unwrap(), std::fs::read_to_string(&path).unwrap());
            let name = name.to_str().unwrap();
            assert!(names.iter().any(|link| link.ends_with(name)), "no page shows {name}");
            assert!(text.contains("prefers-color-scheme: dark"), "{name}");
            for place in ["/tmp/", "/home/", "/root/", "/Users/", "/work/"] {
                assert!(!text.contains(place), "{name} names {place}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} pictures");
}

/// The table of a manifest in which a kind of settings is.
fn settings<'a>(manifest: &'a Table, scope: &str) -> Option<&'a Value> {
    manifest.get(scope)?.get("metadata")?.get("dockless")
}

/// The keys of `given` that `known` does not have, or has with another type.
fn unknown(given: &Value, known: &Value, at: &str, wrong: &mut Vec<String>) {
    let (Value::Table(given), Value::Table(known)) = (given, known) else {
        if given.type_str() != known.type_str() {
            wrong.push(format!("{at} is a {}", given.type_str()));
        }
        return;
    };
    // An empty table is free to hold any name, such as `env`.
    for (key, value) in given.iter().filter(|_| !known.is_empty()) {
        match known.get(key) {
            Some(known) => unknown(value, known, &format!("{at}.{key}"), wrong),
            None => wrong.push(format!("{at}.{key} is no setting")),
        }
    }
}

/// All tables of settings, for a block that shows the lines of one of them only.
fn tables(known: &Value) -> Vec<&Table> {
    let Value::Table(table) = known else { return Vec::new() };
    std::iter::once(table).chain(table.values().flat_map(tables)).collect()
}

#[test]
fn settings_on_pages_are_those_that_there_are() {
    let default: Table = include_str!("../../src/config/default.toml").parse().unwrap();
    let scopes = ["workspace", "package"];
    let tables: Vec<&Table> =
        scopes.iter().flat_map(|scope| tables(settings(&default, scope).unwrap())).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages().values() {
        for block in page.blocks.iter().filter(|block| block.language == "toml") {
            let place = format!("{}:{}", page.path, block.line);
            let parsed: Table = match block.text.parse() {
                Ok(parsed) => parsed,
                Err(error) => {
                    wrong.push(format!("{place}: {error}"));
                    continue;
                }
            };
            for scope in scopes {
                let Some(given) = settings(&parsed, scope) else { continue };
                seen += 1;
                let known = settings(&default, scope).unwrap();
                unknown(given, known, &format!("{place}: {scope}"), &mut wrong);
            }
            let bare = parsed.iter().filter(|(_, value)| !value.is_table());
            for (key, _) in bare.filter(|(key, _)| !tables.iter().any(|it| it.contains_key(*key))) {
                wrong.push(format!("{place}: {key} is no setting"));
            }
        }
    }
    assert!(seen > 12 && wrong.is_empty(), "{seen} blocks\n{}", wrong.join("\n"));
}
