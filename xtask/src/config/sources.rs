//! Finds the files that a path or a pattern in the settings names, for archives and images.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Scope;
use crate::files::{self, Boundary};
use crate::finding::{Finding, failure};
use crate::template;

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// By its name.
    Name,
    /// By its name, which looks like a pattern.
    Lookalike,
    Pattern,
}

/// A file or a folder that the settings name, not yet resolved or opened.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub how: How,
}

/// Braces that stand for more alternatives than this are a mistake.
const MAX_ALTERNATIVES: usize = 1000;

/// The files that a template names, sorted. They are looked for in the package's folder, then in
/// the workspace's. The rendered text is a name or, if no file has it, a pattern: `*` and `?`
/// match within a name, `**` matches any folders, `[ab]` one of the characters, `{a,b}` either
/// text. The dot of hidden names must be explicit.
///
/// An error where one of the alternatives finds nothing.
pub fn find(scope: &Scope<'_>, typed: &str) -> Result<Vec<Source>> {
    let found = search(scope, typed)?;
    if let Some((text, _)) = found.iter().find(|(_, found)| found.is_empty()) {
        let of = if text == typed { String::new() } else { format!(", of {typed:?}") };
        let fix = "correct it, or remove it: only default files may be missing";
        bail!(failure(format!("nothing matches {text:?}{of}"), fix));
    }
    let mut found: Vec<Source> = found.into_iter().flat_map(|(_, found)| found).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// The alternatives that a template stands for, and the files that each finds, if any.
pub fn search(scope: &Scope<'_>, typed: &str) -> Result<Vec<(String, Vec<Source>)>> {
    let values = scope.project.values(scope.package);
    let text = template::render(typed, &values)?;
    let mut parts = Path::new(&text).components();
    let inside = parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(inside && !text.is_empty(), "{typed:?} leads out of the project");
    let root = &*scope.project.root;
    let own = &*scope.package.dir;
    let folders = if own == root { vec![root] } else { vec![own, root] };
    let named = |text: &str| {
        let how = if looks_like_pattern(text) { How::Lookalike } else { How::Name };
        first(folders.iter().map(|dir| scope.search(dir, text, how)))
    };
    let found = named(&text)?;
    if !found.is_empty() || !looks_like_pattern(&text) {
        return Ok(vec![(text, found)]);
    }
    let mut all = Vec::new();
    for text in alternatives(&text)? {
        let found = match named(&text)? {
            found if !found.is_empty() || !looks_like_pattern(&text) => found,
            _ => first(folders.iter().map(|dir| scope.search(dir, &text, How::Pattern)))?,
        };
        all.push((text, found));
    }
    Ok(all)
}

/// The result of the first search that finds anything.
fn first(searches: impl Iterator<Item = Result<Vec<Source>>>) -> Result<Vec<Source>> {
    for found in searches {
        let found = found?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// A warning that a name that looks like a pattern was taken as a name.
pub fn lookalike(scope: &Scope<'_>, key: &str, typed: &str) -> Finding {
    let why = format!("{typed:?} is the name of a file, so it is not read as a pattern");
    let fix =
        "put brackets around one of its characters to have a pattern, as in \"[[]show].html\"";
    Finding::warning("config-files", scope.place(key), why, fix)
}

fn looks_like_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[']) || braces(text).is_some()
}

/// The alternatives that a text with `{a,b}` stands for. Braces without a comma are literal.
fn alternatives(text: &str) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(next) = open.pop() {
        match braces(&next) {
            None => done.push(next),
            Some((at, end, parts)) => {
                let (before, after) = (&next[..at], &next[end..]);
                let all = parts.iter().rev().map(|part| format!("{before}{part}{after}"));
                open.extend(all);
            }
        }
        if open.len() + done.len() > MAX_ALTERNATIVES {
            bail!(failure(
                format!("{text:?} stands for more than {MAX_ALTERNATIVES} names"),
                "use `*`, or name them in several entries",
            ));
        }
    }
    Ok(done)
}

/// The first pair of braces with a comma between them: where it begins and ends, and its parts.
fn braces(text: &str) -> Option<(usize, usize, Vec<&str>)> {
    text.match_indices('{').find_map(|(at, _)| {
        let mut depth = 0;
        let mut from = at + 1;
        let mut parts = Vec::new();
        for (here, char) in text[at..].char_indices().map(|(here, char)| (at + here, char)) {
            match char {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    parts.push(&text[from..here]);
                    from = here + 1;
                }
                _ => {}
            }
            if depth == 0 {
                parts.push(&text[from..here]);
                return (parts.len() > 1).then_some((at, here + 1, parts));
            }
        }
        None
    })
}

/// One component of the path that is searched for.
enum Part {
    /// Any folders.
    Any,
    Name(String),
    Pattern(glob::Pattern),
}

/// What was found so far, by folder and text: what is looked for in the workspace's folder is the
/// same for all packages.
pub type Searches = RefCell<BTreeMap<(PathBuf, String, How), Vec<Source>>>;

impl Scope<'_> {
    fn search(&self, dir: &Path, text: &str, how: How) -> Result<Vec<Source>> {
        let key = (dir.to_owned(), text.to_owned(), how);
        if let Some(known) = self.searches.borrow().get(&key) {
            return Ok(known.clone());
        }
        let search = Search { boundary: &self.project.boundary, how, found: Vec::new() };
        let found = match how {
            How::Name | How::Lookalike => search.names(dir, text),
            How::Pattern => search.matches(dir, text),
        }?;
        self.searches.borrow_mut().insert(key, found.clone());
        Ok(found)
    }
}

/// A walk through folders.
struct Search<'a> {
    boundary: &'a Boundary,
    how: How,
    found: Vec<Source>,
}

impl Search<'_> {
    fn names(self, dir: &Path, text: &str) -> Result<Vec<Source>> {
        self.run(dir, text, |part| Ok(Part::Name(part.to_owned())))
    }

    fn matches(self, dir: &Path, text: &str) -> Result<Vec<Source>> {
        self.run(dir, text, |part| {
            let name = || Part::Name(part.to_owned());
            Ok(match part {
                "**" => Part::Any,
                _ if !looks_like_pattern(part) => name(),
                _ => Part::Pattern(glob::Pattern::new(part).with_context(|| format!("{text:?}"))?),
            })
        })
    }

    fn run(
        mut self,
        dir: &Path,
        text: &str,
        part: impl Fn(&str) -> Result<Part>,
    ) -> Result<Vec<Source>> {
        let parts = text.split('/').filter(|part| !["", "."].contains(part));
        let mut parts: Vec<Part> = parts.map(part).collect::<Result<_>>()?;
        // `dir/**` means all files below, as in .gitignore.
        if matches!(parts.last(), Some(Part::Any)) {
            parts.push(Part::Pattern(glob::Pattern::new("*")?));
        }
        if parts.is_empty() {
            self.found.push(Source { path: dir.to_owned(), how: self.how });
        }
        self.descend(dir, &parts)?;
        // A trailing slash means a folder.
        if text.ends_with('/') {
            self.found.retain(|source| source.path.is_dir());
        }
        Ok(self.found)
    }

    fn descend(&mut self, dir: &Path, parts: &[Part]) -> Result<()> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        match part {
            Part::Any => self.descend(dir, rest)?,
            Part::Name(name) if dir.join(name).symlink_metadata().is_err() => return Ok(()),
            Part::Name(_) | Part::Pattern(_) => {}
        }
        for entry in files::list(dir)? {
            let Some(name) = entry.path.file_name().map(|name| name.to_string_lossy()) else {
                continue;
            };
            let fits = match part {
                // Compared here, because some file systems ignore case.
                Part::Name(part) => *part == *name,
                _ if self.boundary.is_closed(&entry.path) => false,
                Part::Any => !name.starts_with('.'),
                Part::Pattern(part) => {
                    part.matches(&name)
                        && (!name.starts_with('.') || part.as_str().starts_with('.'))
                }
            };
            if !fits {
                continue;
            }
            if matches!(part, Part::Any) {
                // A link to a folder may lead back here.
                if !entry.path.is_symlink() && entry.path.is_dir() {
                    self.descend(&entry.path, parts)?;
                }
            } else if rest.is_empty() {
                let utf8 = entry.path.file_name().is_some_and(|name| name.to_str().is_some());
                ensure!(utf8, "the name of {} is not UTF-8", entry.path.display());
                self.found.push(Source { path: entry.path, how: self.how });
            } else if entry.path.is_dir() {
                self.descend(&entry.path, rest)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
