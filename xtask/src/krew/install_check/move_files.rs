//! Moves what `files` asks for out of the folder that the archive was unpacked into.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/move.go>

use super::tree::{InTheWay, Node, quoted};
use crate::krew::filepath::{self, Pattern, inside};
use crate::krew::report::Problem;

/// krew unpacks into a folder whose name begins like this and ends with random digits.
const STAGING: &[u8] = b"krew-downloads";

/// Moves what `from` names in `staging` into `installed`, and returns a warning where files
/// collide. `staging` is `None` once the folder itself was moved.
pub fn move_files(
    staging: &mut Option<Node>,
    installed: &mut Node,
    from: &str,
    to: &str,
) -> Result<Option<Problem>, Problem> {
    let (Some(source), Some(target)) = (inside(from), inside(to)) else {
        return Err(no_match(from, None));
    };
    if staging.as_ref().is_some_and(|staging| staging.get(&source).is_some()) {
        return move_one(staging, installed, &source, target, to).map(|()| None);
    }
    let (Some(root), Some(patterns)) = (staging.as_mut(), filepath::patterns(&source)) else {
        return Err(no_match(from, None));
    };
    let matches = glob(root, &patterns);
    if matches.is_empty() {
        return Err(no_match(from, Some(root)));
    }
    let mut collisions = Vec::new();
    for path in matches {
        let (Some(node), Some(name)) = (root.take(&path), path.last()) else { continue };
        let mut place = target.clone();
        place.push(name.clone());
        if installed.put(&place, node).map_err(|InTheWay| in_the_way(&place))? {
            collisions.push(quoted(&place.join(&b'/')));
        }
    }
    Ok((!collisions.is_empty()).then(|| {
        let names = collisions.join(" and ");
        let why = format!("{from:?} moves more than one file to {names}: the last one wins");
        Problem::new("files-collision", why, "name one file, or give each a folder of its own")
    }))
}

/// Moves the one file or folder at `source`. It gets the name in `to`, unless that is `.`.
fn move_one(
    staging: &mut Option<Node>,
    installed: &mut Node,
    source: &[Vec<u8>],
    mut target: Vec<Vec<u8>>,
    to: &str,
) -> Result<(), Problem> {
    if to == "." {
        target = vec![source.last().cloned().unwrap_or_else(|| STAGING.to_vec())];
    }
    let node = match source {
        [] => staging.take(),
        path => staging.as_mut().and_then(|staging| staging.take(path)),
    };
    let Some(node) = node else { return Ok(()) };
    installed.put(&target, node).map(drop).map_err(|InTheWay| in_the_way(&target))
}

/// The paths that the patterns match, one pattern for each part, sorted by name.
fn glob(root: &Node, patterns: &[Pattern]) -> Vec<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for pattern in patterns {
        let mut next = Vec::new();
        for path in found {
            let names = root.get(&path).into_iter().flat_map(Node::names);
            for name in names.filter(|name| pattern.matches(name)) {
                next.push([&path[..], std::slice::from_ref(name)].concat());
            }
        }
        found = next;
    }
    found
}

/// `root` is what is left of the archive, if anything is.
fn no_match(from: &str, root: Option<&Node>) -> Problem {
    let what =
        if filepath::is_pattern(from) { "no file matches the pattern" } else { "there is no" };
    let names = root.map(Node::first_names).unwrap_or_default();
    let rest = if names.is_empty() {
        "nothing is left in the archive".to_owned()
    } else {
        format!("the archive has {names}")
    };
    let fix = "name a file by its path in the archive, and move each file once only";
    Problem::new("files-no-match", format!("{what} {from:?}: {rest}"), fix)
}

fn in_the_way(path: &[Vec<u8>]) -> Problem {
    let why = format!("a file is in the way of {}", quoted(&path.join(&b'/')));
    Problem::new("files-in-the-way", why, "move files and folders to different names")
}
