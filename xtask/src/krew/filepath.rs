//! Paths and patterns as krew v0.5.0 and Go 1.26's path/filepath read them on Unix.
//! <https://pkg.go.dev/path/filepath>

mod pattern;

pub use pattern::{Pattern, is_pattern, patterns};

/// The parts of a path in a folder, without `.` and `..`; `None` where it leads out of the
/// folder. Only its text counts, as in Go's `filepath.Clean`. An absolute path stays inside,
/// since krew joins it to the folder first.
pub fn inside(path: &str) -> Option<Vec<Vec<u8>>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name.as_bytes().to_vec()),
        }
    }
    // krew takes any name that begins with two dots for a way out.
    // <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/pathutil/pathutil.go>
    (!parts.first().is_some_and(|first| first.starts_with(b".."))).then_some(parts)
}

/// Go's `filepath.Clean`. krew accepts a `to` only in the form that this returns.
/// <https://pkg.go.dev/path/filepath#Clean>
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            name => parts.push(name),
        }
    }
    let path = parts.join("/");
    if absolute {
        format!("/{path}")
    } else if path.is_empty() {
        ".".to_owned()
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned, is_inside) in [
            ("", ".", true),
            (".", ".", true),
            ("./a", "a", true),
            ("a/", "a", true),
            ("a//b/./c", "a/b/c", true),
            ("a/../b", "b", true),
            ("a/..", ".", true),
            ("/", "/", true),
            ("/a", "/a", true),
            ("/..", "/", false),
            ("..", "..", false),
            ("../a", "../a", false),
            ("a/../../b", "../b", false),
            ("../../a/..", "../..", false),
            ("..a", "..a", false),
            ("a/..b", "a/..b", true),
            ("...", "...", false),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
            assert_eq!(inside(path).is_some(), is_inside, "{path:?}");
        }
    }
}
