//! The little of Markdown that the pages of this repository use: fences, headings and links.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A page, named from the repository's root.
pub struct Page {
    pub path: String,
    pub blocks: Vec<Block>,
    /// The links, with their lines.
    pub links: Vec<(usize, String)>,
    pub anchors: BTreeSet<String>,
}

/// What is between two fences.
#[derive(Clone)]
pub struct Block {
    pub language: String,
    pub line: usize,
    pub text: String,
}

impl Page {
    pub fn read(path: &str, text: &str) -> Page {
        let mut page = Page {
            path: path.to_owned(),
            blocks: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
        };
        let mut open: Option<(usize, Block)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            match &mut open {
                Some(_) if line.trim() == "```" => {
                    page.blocks.push(open.take().unwrap().1);
                }
                Some((indent, block)) => {
                    let blanks = line.len() - line.trim_start().len();
                    block.text += &line[blanks.min(*indent)..];
                    block.text.push('\n');
                }
                None => match line.find("```").filter(|at| is_marker(&line[..*at])) {
                    Some(indent) => {
                        let language = line[indent + 3..].to_owned();
                        open =
                            Some((indent, Block { language, line: number, text: String::new() }));
                    }
                    None => page.prose(number, line),
                },
            }
        }
        assert!(open.is_none(), "{path}: a fence is not closed");
        page
    }

    fn prose(&mut self, number: usize, line: &str) {
        if line.starts_with('#') && line.trim_start_matches('#').starts_with(' ') {
            let name = anchor(line.trim_start_matches('#').trim());
            let same = (1..).map(|n| format!("{name}-{n}"));
            let mut names = std::iter::once(name.clone()).chain(same);
            self.anchors.insert(names.find(|name| !self.anchors.contains(name)).unwrap());
        }
        // What is quoted is no link.
        let plain: String = line.split('`').step_by(2).collect();
        for (start, end) in [("](", ")"), ("src=\"", "\""), ("href=\"", "\""), ("srcset=\"", "\"")]
        {
            for rest in plain.split(start).skip(1) {
                let target = rest.split(end).next().unwrap();
                self.links.push((number, target.to_owned()));
            }
        }
    }
}

/// Whether a fence can follow: blanks, or the marker of a list's item.
fn is_marker(before: &str) -> bool {
    let before = before.trim();
    before.is_empty()
        || before == "-"
        || before.strip_suffix('.').is_some_and(|number| number.parse::<u8>().is_ok())
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let mut shown = String::new();
    let mut rest = heading;
    // Of a link its text is shown.
    while let Some((before, link)) = rest.split_once("](") {
        shown += before;
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    shown += rest;
    let kept = shown.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        _ if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All pages that people read, by their paths.
pub fn pages() -> BTreeMap<String, Page> {
    let mut files = Vec::new();
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
        files.push(root().join(name));
    }
    for folder in ["docs", "examples"] {
        find(&root().join(folder), &mut files);
    }
    let pages = files.iter().map(|file| {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (path.clone(), Page::read(&path, &std::fs::read_to_string(file).unwrap()))
    });
    pages.collect()
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn a_page_is_read_as_people_see_it() {
    let text = "# The `--json` of [all](x.md), v1\n\n1. ```sh\n   go `x`](y)\n     on\n   ```\n## A_b\n## A_b\n`](no)` [a](b#c) <img src=\"d.svg\">\n";
    let page = Page::read("a.md", text);
    assert_eq!(page.blocks.len(), 1);
    assert_eq!(page.blocks[0].text, "go `x`](y)\n  on\n");
    assert_eq!((&*page.blocks[0].language, page.blocks[0].line), ("sh", 3));
    let links: Vec<&str> = page.links.iter().map(|(_, link)| &**link).collect();
    assert_eq!(links, ["x.md", "b#c", "d.svg"]);
    let anchors: Vec<&str> = page.anchors.iter().map(String::as_str).collect();
    assert_eq!(anchors, ["a_b", "a_b-1", "the---json-of-all-v1"]);
}
