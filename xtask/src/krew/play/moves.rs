//! The moves of an installation: what `files` asks for, in a folder that was unpacked.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/move.go>

use super::pattern::{Pattern, is_pattern};
use super::tree::{InTheWay, Node, clean, inside};
use super::{Fault, shown};

/// The name of the folder that krew unpacks into begins like this, and ends with
/// digits that nobody knows before.
const STAGING: &[u8] = b"krew-downloads";

/// Which of the two paths of a move is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    From,
    To,
}

/// What is wrong with a move whatever the archive holds.
pub fn check(from: &str, to: &str) -> Option<(End, Fault)> {
    let cleaned = clean(to);
    if to != cleaned {
        let why = format!("krew takes clean paths only for `to`, and not {to:?}");
        return Some((End::To, Fault::new("files-to-clean", why, format!("write {cleaned:?}"))));
    }
    if inside(to).is_none() {
        let why = format!("{to:?} leads out of the plugin's folder, and krew refuses it");
        let fix = "name a folder within the plugin's";
        return Some((End::To, Fault::new("files-to-outside", why, fix)));
    }
    let Some(path) = inside(from) else {
        let why = format!("{from:?} leads out of the archive, and krew refuses it");
        return Some((
            End::From,
            Fault::new("files-from-outside", why, "name files of the archive"),
        ));
    };
    patterns(&path).is_none().then(|| {
        let why = format!("{from:?} is no pattern that krew understands");
        let fix = "close each `[`, and put a backslash before a character that is meant as it is";
        (End::From, Fault::new("files-pattern", why, fix))
    })
}

/// The pattern of each part of a path; `None` where one of them is none. One without any
/// meta character is taken as it is, and then Go does not read it as a pattern.
fn patterns(path: &[Vec<u8>]) -> Option<Vec<Pattern>> {
    path.iter().map(|part| Pattern::parse(&String::from_utf8_lossy(part))).collect()
}

/// Moves what `from` names in `staging` into `installed`, and says what is odd of it. The
/// staging folder is gone once it was itself moved.
pub fn run(
    staging: &mut Option<Node>,
    installed: &mut Node,
    from: &str,
    to: &str,
) -> Result<Option<Fault>, Fault> {
    if let Some((_, fault)) = check(from, to) {
        return Err(fault);
    }
    let (Some(source), Some(target)) = (inside(from), inside(to)) else { return Ok(None) };
    if staging.as_ref().is_some_and(|staging| staging.get(&source).is_some()) {
        return one(staging, installed, &source, target, to).map(|()| None);
    }
    let root = staging.as_mut();
    let (Some(root), Some(patterns)) = (root, patterns(&source)) else {
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
            collisions.push(shown(&place.join(&b'/')));
        }
    }
    Ok((!collisions.is_empty()).then(|| {
        let why = format!(
            "more than one file becomes {} by {from:?}, and the last one stays",
            collisions.join(" and ")
        );
        Fault::new("files-collision", why, "name the file that is meant, or give each a folder")
    }))
}

/// Moves the one file or folder that stands at `source`, which is renamed where `to` is
/// anything but `.`.
fn one(
    staging: &mut Option<Node>,
    installed: &mut Node,
    source: &[Vec<u8>],
    mut target: Vec<Vec<u8>>,
    to: &str,
) -> Result<(), Fault> {
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

/// The paths that the patterns match, part by part, in order of their names.
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

/// `root` is what is left of the archive, where anything is.
fn no_match(from: &str, root: Option<&Node>) -> Fault {
    let what = if is_pattern(from) { "no file matches the pattern" } else { "there is no" };
    let names: Vec<String> =
        root.into_iter().flat_map(Node::names).take(10).map(|name| shown(name)).collect();
    let there = match names.is_empty() {
        true => "nothing is left in the archive".to_owned(),
        false => format!("the archive has {}", names.join(", ")),
    };
    let fix = "name a file of the archive that no entry before has moved, by its path in it";
    Fault::new("files-no-match", format!("{what} {from:?}: {there}"), fix)
}

fn in_the_way(path: &[Vec<u8>]) -> Fault {
    let why = format!("a file stands in the way of {}", shown(&path.join(&b'/')));
    Fault::new("files-in-the-way", why, "move files and folders to different names")
}
