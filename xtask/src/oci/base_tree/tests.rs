use super::super::tar_reader::{TarMember, TarMemberKind};
use super::*;
use crate::cache::Cache;
use crate::digest::Digest;

/// A member as a line: `PATH` is a file, `PATH/ [MODE UID GID TIME]` a folder, `PATH -> TARGET`
/// a symlink, `PATH = TARGET` a hard link.
fn member(line: &str) -> TarMember {
    let mut member = TarMember {
        path: line.into(),
        kind: TarMemberKind::File,
        link: None,
        mode: 0o644,
        uid: 0,
        gid: 0,
        time: 0,
        size: 0,
        at: 0,
    };
    let link = [(" -> ", TarMemberKind::Symlink), (" = ", TarMemberKind::Hardlink)];
    for (mark, kind) in link {
        if let Some((path, target)) = line.split_once(mark) {
            (member.path, member.kind, member.link) = (path.into(), kind, Some(target.into()));
        }
    }
    if let Some((path, about)) = line.split_once("/ ") {
        let about: Vec<&str> = about.split(' ').collect();
        let number = |at: usize| about[at].parse().unwrap();
        (member.path, member.kind) = (path.into(), TarMemberKind::Directory);
        member.mode = u32::from_str_radix(about[0], 8).unwrap();
        (member.uid, member.gid, member.time) = (number(1), number(2), number(3));
    } else if line.ends_with('/') && member.link.is_none() {
        (member.kind, member.mode) = (TarMemberKind::Directory, 0o755);
    }
    member
}

fn tree(layers: &[&[&str]]) -> Tree {
    let mut tree = Tree::default();
    for (layer, number) in layers.iter().zip(1..) {
        for line in *layer {
            tree.apply(&member(line), number).unwrap_or_else(|error| panic!("{line}: {error:#}"));
        }
    }
    tree
}

/// The folders and links in the form that [`member`] takes, without a folder's defaults, and
/// the number of files in each.
fn listed(tree: &Tree) -> Vec<String> {
    fn list(dir: &Dir, at: &str, to: &mut Vec<String>) {
        if !dir.files.is_empty() {
            to.push(format!("{at}*{}", dir.files.len()));
        }
        for (name, named) in &dir.below {
            let path = format!("{at}{}", text(name));
            match named {
                Named::Link { target, .. } => to.push(format!("{path} -> {}", text(target))),
                Named::Dir(dir) => {
                    let Folder { mode, uid, gid, time } = dir.folder;
                    let plain = dir.folder == Folder::default();
                    let about = format!(" {mode:o} {uid} {gid} {time}");
                    to.push(format!("{path}/{}", if plain { "" } else { &about }));
                    list(dir, &format!("{path}/"), to);
                }
            }
        }
    }
    let mut lines = Vec::new();
    list(&tree.root, "", &mut lines);
    lines
}

#[test]
fn layers_come_to_what_overlays_show() {
    /// The case, the layers, and the tree that they give.
    type Case<'a> = (&'a str, &'a [&'a [&'a str]], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            "a folder keeps what it is like",
            &[&["tmp/ 1777 0 0 9", "tmp/x"]],
            &["tmp/ 1777 0 0 9", "tmp/*1"],
        ),
        ("one that no layer names is root's", &[&["a/b/c"]], &["a/", "a/b/", "a/b/*1"]),
        ("the last one counts", &[&["a/ 700 1 2 3"], &["a/ 750 4 5 6"]], &["a/ 750 4 5 6"]),
        (
            "what is not named again stays",
            &[&["a/ 700 1 2 3"], &["a/b"]],
            &["a/ 700 1 2 3", "a/*1"],
        ),
        (
            "names are written in several ways",
            &[&["./a/ 700 0 0 0", "/a//b/", "./"]],
            &["a/ 700 0 0 0", "a/b/"],
        ),
        ("a file in the place of a folder", &[&["a/b/c"], &["a/b"]], &["a/", "a/*1"]),
        ("a folder in the place of a file", &[&["a/b"], &["a/b/c"]], &["a/", "a/b/", "a/b/*1"]),
        ("a link in the place of a folder", &[&["a/b/c"], &["a -> d"]], &["a -> d"]),
        ("a link in the place of a file", &[&["a"], &["a -> d"]], &["a -> d"]),
        ("a file in the place of a link", &[&["a -> d"], &["a"]], &["*1"]),
        (
            "a layer goes through its own links",
            &[&["usr/lib/", "lib -> usr/lib", "lib/x"]],
            &["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/*1"],
        ),
        (
            "and not through those below",
            &[&["usr/lib/", "lib -> usr/lib"], &["lib/x"]],
            &["lib/", "lib/*1", "usr/", "usr/lib/"],
        ),
        (
            "its links may climb, and stay inside",
            &[&["a/b -> ../../../c", "a/b/x"]],
            &["a/", "a/b -> ../../../c", "c/", "c/*1"],
        ),
        (
            "its links may have no end",
            &[&["a -> b", "b -> a", "a/x", "y"]],
            &["*1", "a -> b", "b -> a"],
        ),
        (
            "a hard link to a link is one",
            &[&["a -> b", "d/c = a", "d/e = f"]],
            &["a -> b", "d/", "d/*1", "d/c -> b"],
        ),
        ("a whiteout of a file", &[&["a/x", "a/y"], &["a/.wh.x"]], &["a/", "a/*1"]),
        ("of a folder", &[&["a/b/c", "a/d"], &["a/.wh.b"]], &["a/", "a/*1"]),
        ("of a link", &[&["a -> b"], &[".wh.a"]], &[]),
        ("of nothing", &[&["a"], &[".wh.b", "c/.wh.d"]], &["*1"]),
        (
            "of its own layer's counts for those below",
            &[&["a/x"], &["a/x", ".wh.a"]],
            &["a/", "a/*1"],
        ),
        (
            "of a folder that is made anew",
            &[&["a/ 700 1 1 1", "a/x"], &["a/y", ".wh.a"]],
            &["a/", "a/*1"],
        ),
        (
            "the same, whiteout first",
            &[&["a/ 700 1 1 1", "a/x"], &[".wh.a", "a/ 711 2 2 2"]],
            &["a/ 711 2 2 2"],
        ),
        (
            "an opaque folder",
            &[&["a/ 700 1 1 1", "a/x", "a/b/c"], &["a/.wh..wh..opq", "a/n"]],
            &["a/ 700 1 1 1", "a/*1"],
        ),
        (
            "the same, at the end",
            &[&["a/x", "a/b/c"], &["a/n", "a/b/o", "a/.wh..wh..opq"]],
            &["a/", "a/*1", "a/b/", "a/b/*1"],
        ),
        ("an opaque root", &[&["a/b", "c -> d"], &["e", ".wh..wh..opq"]], &["*1"]),
        ("a device is like a file", &[&["dev/null"]], &["dev/", "dev/*1"]),
        ("what climbs goes nowhere", &[&["../x", "a/../../y"]], &[]),
    ];
    for (what, layers, expected) in cases {
        assert_eq!(listed(&tree(layers)), *expected, "{what}");
    }
}

#[test]
fn a_path_leads_where_a_container_would_go() {
    let links = [
        "usr/lib/",
        "usr/local/",
        "opt/bin/",
        "lib -> usr/lib",
        "lib64 -> /usr/lib",
        "usr/local/bin -> ../../opt/bin",
        "bin -> usr/local/bin",
        "out -> ../../../../opt",
        "gone -> /not/there",
        "deep/one -> ../two/./three//four/..",
        "two/three -> /usr",
        "loop -> pool",
        "pool -> loop",
        "self -> self/x",
        "root -> /",
        "file",
        "to-file -> file",
    ];
    let tree = tree(&[&links]);
    let file = |path: &str| Err(Blocked::File(path.to_owned()));
    for (path, expected) in [
        ("", Ok("")),
        ("usr/lib", Ok("usr/lib")),
        ("lib", Ok("usr/lib")),
        ("lib/x/y", Ok("usr/lib/x/y")),
        ("lib64/x", Ok("usr/lib/x")),
        ("usr/local/bin", Ok("opt/bin")),
        ("bin", Ok("opt/bin")),
        ("out/bin", Ok("opt/bin")),
        ("gone/x", Ok("not/there/x")),
        ("deep/one", Ok("usr")),
        ("root/root/lib", Ok("usr/lib")),
        ("new/x", Ok("new/x")),
        ("file", file("file")),
        ("file/x", file("file")),
        ("to-file/x", file("file")),
        ("root/file/x", file("file")),
    ] {
        let resolved = tree.resolve(path).map(|it| it.path);
        assert_eq!(resolved, expected.map(str::to_owned), "{path}");
    }
    for path in ["loop", "loop/x", "self", "root/pool"] {
        let endless = tree.resolve(path);
        assert!(matches!(endless, Err(Blocked::Endless(_))), "{path}: {endless:?}");
    }
    let through = tree.resolve("bin/x").unwrap().through;
    assert_eq!(through, ["bin", "usr/local/bin"]);
}

#[test]
fn what_is_kept_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, key) = (Cache::at(dir.path()), Digest::of(b"key"));
    assert_eq!(kept(&cache, &key).unwrap(), None);
    let tree = tree(&[&["./ 555 0 0 7", "tmp/ 1777 1 2 3", "lib -> usr/lib", "a/b/c", "a/d"]]);
    keep(&tree, &cache, &key).unwrap();
    let again = kept(&cache, &key).unwrap().unwrap();
    assert_eq!(listed(&again), listed(&tree));
    assert_eq!(again.root(), Some(Folder { mode: 0o555, uid: 0, gid: 0, time: 7 }));
    assert_eq!((again.at("a/d"), again.at("a/x")), (Some(At::File), None));
    // A tree that is cut off, or of another version, is not used.
    let mut bytes = Vec::new();
    cache.get(crate::cache::CacheKind::Layer, &key, &mut bytes).unwrap();
    for end in 0..bytes.len() {
        let cut = &bytes[..end];
        cache.put(crate::cache::CacheKind::Layer, &key, &Digest::of(cut), cut).unwrap();
        assert_eq!(kept(&cache, &key).unwrap(), None, "{end} bytes");
    }
}

/// Hostile layers would take long, or much memory.
#[test]
fn a_base_is_bounded() {
    let mut deep = Tree::default();
    let path = |depth: usize| format!("{}x", "a/".repeat(depth));
    deep.apply(&member(&path(limits::BASE_DEPTH - 1)), 1).unwrap();
    let error = deep.apply(&member(&path(limits::BASE_DEPTH)), 1).unwrap_err().to_string();
    assert!(error.contains("256 folders deep"), "{error}");
    let mut large = Tree::default();
    let huge = TarMember { size: limits::BASE_SIZE, ..member("x") };
    large.apply(&huge, 1).unwrap();
    let one = TarMember { size: 1, ..member("y") };
    large.apply(&one, 2).unwrap();
    let error = large.apply(&one, 2).unwrap_err().to_string();
    assert!(error.contains("bytes together"), "{error}");
    let mut names = Tree::default();
    let long = TarMember { link: Some(vec![b'a'; 1 << 20]), ..member("x -> y") };
    let error = (1..20).find_map(|layer| names.apply(&long, layer).err()).unwrap().to_string();
    assert!(error.contains("the names of folders"), "{error}");
    // Implied folders count as well.
    let nearly = Read { folders: limits::BASE_FOLDERS - 4, ..Read::default() };
    for last in ["x/", "x -> y", "y/z", "a/b/c"] {
        let mut many = Tree { read: nearly.clone(), ..Tree::default() };
        many.apply(&member("1/2/3/4/x"), 1).unwrap();
        let error = many.apply(&member(last), 1).unwrap_err().to_string();
        assert!(error.contains("more than 250000 folders and links"), "{last}: {error}");
    }
    // A folder that is emptied again and again is visited once.
    let mut swept = Tree::default();
    (0..10_000).for_each(|n| swept.apply(&member(&format!("a/{n}")), 1).unwrap());
    swept.apply(&member("a/b/c"), 2).unwrap();
    (0..10_000).for_each(|n| swept.apply(&member(&format!("a/{n}")), 2).unwrap());
    (0..10_000).for_each(|_| swept.apply(&member("a/.wh..wh..opq"), 2).unwrap());
    assert_eq!(listed(&swept), ["a/", "a/*10000", "a/b/", "a/b/*1"]);
}
