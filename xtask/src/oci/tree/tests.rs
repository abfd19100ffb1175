use super::*;
use crate::oci::tar_reader::{TarMember, TarMemberKind};

/// A base whose folders have modes of their own, and as many links as Debian's.
fn base() -> Tree {
    let mut tree = Tree::default();
    let member = |path: &str, kind, link: Option<&str>, mode, uid| TarMember {
        path: path.into(),
        kind,
        link: link.map(|link| link.into()),
        mode,
        uid,
        gid: uid,
        time: 7,
        size: 0,
        at: 0,
    };
    let folder = |path, mode, uid| member(path, TarMemberKind::Directory, None, mode, uid);
    let link = |path, target| member(path, TarMemberKind::Symlink, Some(target), 0o777, 0);
    let file = |path| member(path, TarMemberKind::File, None, 0o644, 0);
    for member in [
        folder("./", 0o555, 0),
        folder("tmp", 0o1777, 0),
        folder("home", 0o755, 0),
        folder("home/nonroot", 0o700, 65532),
        folder("usr", 0o755, 0),
        folder("usr/lib", 0o711, 0),
        file("usr/lib/libc.so"),
        link("lib", "usr/lib"),
        link("lib64", "/lib"),
        folder("usr/local", 0o755, 0),
        folder("opt", 0o750, 3),
        folder("opt/bin", 0o2775, 4),
        link("usr/local/bin", "../../../opt/bin"),
        link("run", "gone/run"),
        link("etc-release", "usr/lib/libc.so"),
        link("loop", "loop"),
    ] {
        tree.apply(&member, 1).unwrap();
    }
    tree
}

/// `PATH` is a file, `PATH/` a folder that is asked for, `PATH//` one on the way to others,
/// `PATH -> TARGET` a link.
fn request(line: &str) -> Requested {
    let entry = |path: &str, node| LayerEntry { node, mode: 0o600, uid: 9, gid: 9, ..folder(path) };
    let content = Content::Bytes(line.as_bytes().to_vec().into());
    if let Some((path, target)) = line.split_once(" -> ") {
        return Requested { entry: entry(path, Node::Symlink(target.to_owned())), walked: false };
    }
    match (line.strip_suffix("//"), line.strip_suffix('/')) {
        (Some(path), _) => Requested { entry: entry(path, Node::Dir), walked: true },
        (_, Some(path)) => Requested { entry: entry(path, Node::Dir), walked: false },
        _ => Requested { entry: entry(line, Node::File(content)), walked: false },
    }
}

/// The entries as `PATH MODE UID TIME`, a folder's path with its slash.
fn placed(tree: &Tree, requested: &[&str]) -> Result<Vec<String>> {
    let lower = Lower { tree, files: BTreeMap::new() };
    let entries = lower.with(requested.iter().map(|line| request(line)).collect())?;
    let line = |entry: LayerEntry| {
        let slash = if entry.node == Node::Dir { "/" } else { "" };
        format!("{}{slash} {:o} {} {}", entry.path, entry.mode, entry.uid, entry.time)
    };
    Ok(entries.into_iter().map(line).collect())
}

#[test]
fn a_layer_repeats_the_folders_of_the_base_and_goes_through_its_links() {
    let base = base();
    let root = "/ 555 0 7";
    for (requested, expected) in [
        (&[][..], &[][..]),
        (&["tmp/x"], &[root, "tmp/ 1777 0 7", "tmp/x 600 9 0"]),
        (
            &["home/nonroot//", "home/nonroot/x"],
            &[root, "home/ 755 0 7", "home/nonroot/ 700 65532 7", "home/nonroot/x 600 9 0"],
        ),
        // A folder of the base stays as it is, unless it is asked for by itself.
        (&["tmp//"], &[]),
        (&["tmp/"], &[root, "tmp/ 600 9 0"]),
        (&["tmp/", "tmp/x"], &[root, "tmp/ 600 9 0", "tmp/x 600 9 0"]),
        (&["new//", "new/a/b"], &[root, "new/ 600 9 0", "new/a/ 755 0 0", "new/a/b 600 9 0"]),
        (&["lib/x"], &[root, "usr/ 755 0 7", "usr/lib/ 711 0 7", "usr/lib/x 600 9 0"]),
        (
            &["lib64/x/y"],
            &[
                root,
                "usr/ 755 0 7",
                "usr/lib/ 711 0 7",
                "usr/lib/x/ 755 0 0",
                "usr/lib/x/y 600 9 0",
            ],
        ),
        (&["lib/"], &[root, "usr/ 755 0 7", "usr/lib/ 600 9 0"]),
        (&["lib//"], &[]),
        (
            &["usr/local/bin/tool"],
            &[root, "opt/ 750 3 7", "opt/bin/ 2775 4 7", "opt/bin/tool 600 9 0"],
        ),
        (&["run/x"], &[root, "gone/ 755 0 0", "gone/run/ 755 0 0", "gone/run/x 600 9 0"]),
        (&["run/"], &[root, "gone/ 755 0 0", "gone/run/ 600 9 0"]),
        // A file replaces a file, a link to one, and a link to nothing.
        (
            &["usr/lib/libc.so"],
            &[root, "usr/ 755 0 7", "usr/lib/ 711 0 7", "usr/lib/libc.so 600 9 0"],
        ),
        (&["etc-release"], &[root, "etc-release 600 9 0"]),
        (&["run"], &[root, "run 600 9 0"]),
        (&["loop"], &[root, "loop 600 9 0"]),
        (&["lib -> usr/lib64"], &[root, "lib 600 9 0"]),
        // Two names of one place are one entry.
        (
            &["lib//", "usr/lib//", "usr/lib/a/", "lib/a//"],
            &[root, "usr/ 755 0 7", "usr/lib/ 711 0 7", "usr/lib/a/ 600 9 0"],
        ),
    ] {
        assert_eq!(placed(&base, requested).unwrap(), expected, "{requested:?}");
    }
    // Without a base, all folders are made.
    let made = placed(&Tree::default(), &["a/b/c"]).unwrap();
    assert_eq!(made, ["a/ 755 0 0", "a/b/ 755 0 0", "a/b/c 600 9 0"]);
}

#[test]
fn what_has_no_place_is_named_with_what_is_there() {
    let base = base();
    for (requested, expected) in [
        (&["tmp"][..], "/tmp is a folder of the base, and would become a file"),
        (&["lib"], "/lib is a folder of the base, and would become a file"),
        (&["usr -> x"], "/usr is a folder of the base, and would become a file"),
        (
            &["usr/lib/libc.so/"],
            "/usr/lib/libc.so is a file of the base, and would become a folder",
        ),
        (&["etc-release/"], "/etc-release would lie in /usr/lib/libc.so, which is not a folder"),
        (&["lib/libc.so/x"], "/lib/libc.so/x would lie in /usr/lib/libc.so, which is not a folder"),
        (&["etc-release/x"], "/etc-release/x would lie in /usr/lib/libc.so, which is not a folder"),
        (&["loop/x"], "/loop/x leads through a loop of links, such as /loop"),
        (&["lib/a", "usr/lib/a"], "/lib/a and /usr/lib/a are one place in the base, /usr/lib/a"),
        (&["lib64/x", "lib -> tmp"], "/lib64/x leads through the base's link /lib, which would be"),
        (&["gone", "run/x"], "/run/x would lie in /gone, which is not a folder"),
    ] {
        let error = placed(&base, requested).unwrap_err();
        let (said, help) = crate::finding::said(&error);
        assert!(said.contains(expected), "{requested:?}: {said}");
        assert!(help.is_some(), "{requested:?}");
    }
}

/// The upper layers repeat a folder as the lower layers have it.
#[test]
fn the_programs_lie_in_what_the_files_made_of_the_base() {
    let base = base();
    let lower = Lower { tree: &base, files: BTreeMap::new() };
    let files =
        lower.place(vec![request("usr/local/bin/"), request("usr/local/bin/data")]).unwrap();
    let lower = Lower { files, ..lower };
    let programs = lower.with(vec![request("usr/local/bin/tool")]).unwrap();
    let seen: Vec<(&str, u32)> = programs.iter().map(|it| (&*it.path, it.mode)).collect();
    let expected = [("", 0o555), ("opt", 0o750), ("opt/bin", 0o600), ("opt/bin/tool", 0o600)];
    assert_eq!(seen, expected);
    let below = lower.with(vec![request("opt/bin/data/x")]).unwrap_err().to_string();
    assert!(below.contains("another `to`"), "{below}");
}
