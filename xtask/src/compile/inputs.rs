//! Reads the inputs of a program from the dep-info file that cargo writes beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;

/// The files that a program was built from: those of the workspace and of path dependencies, and
/// those that build scripts declared. Relative names start at `root`.
/// <https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>
pub fn of(program: &Path, root: &Path) -> Result<Vec<PathBuf>> {
    let list = program.with_extension("d");
    let text = String::from_utf8(files::read(&list)?);
    let text = text.with_context(|| format!("read {}", list.display()))?;
    Ok(listed(&text).into_iter().map(|path| root.join(path)).collect())
}

/// Whether a program that was built before is older than a file that it was built from. `false`
/// where nobody can tell.
pub fn are_newer(program: &Path, root: &Path) -> bool {
    let changed = |path: &Path| files::list_one(path).ok().flatten().map(|it| it.modified);
    let (Some(built), Ok(inputs)) = (changed(program), of(program, root)) else { return false };
    inputs.iter().any(|input| changed(input).is_some_and(|at| at > built))
}

/// The names after the colon of each rule. A space in a name is escaped as `\ `.
fn listed(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines() {
        let Some((_, list)) = line.split_once(": ") else { continue };
        let mut name = String::new();
        let mut rest = list.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' if rest.peek() == Some(&' ') => name.extend(rest.next()),
                ' ' if name.is_empty() => {}
                ' ' => names.push(std::mem::take(&mut name)),
                _ => name.push(c),
            }
        }
        if !name.is_empty() {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_cargo_writes_them() {
        for (text, expected) in [
            ("/t/tool: /p/src/main.rs /p/a\\ b/c.rs\n", &["/p/src/main.rs", "/p/a b/c.rs"][..]),
            ("/t/tool:\n", &[]),
            (
                "C:\\t\\tool.exe: C:\\p\\src\\main.rs C:\\p\\\\ x",
                &["C:\\p\\src\\main.rs", "C:\\p\\ x"],
            ),
            ("/a\\ b/tool: x  y\n\n/z: w", &["x", "y", "w"]),
            ("", &[]),
        ] {
            assert_eq!(listed(text), expected, "{text:?}");
        }
    }
}
