//! Files for an image that are not where they should be, or not what they were.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::configure;
use crate::world::{World, judge, run, skipped};

/// A project with files of many kinds, and those beside it that it may not have.
fn with_files() -> World {
    let world = World::quick("1.0.0");
    for path in ["../secret", "../folder/secret", "one/x", "two/x", "plain", "tree/a", "tree/b/c"] {
        world.file(path, path);
    }
    symlink("../secret", world.path("file-out")).unwrap();
    symlink("../folder", world.path("folder-out")).unwrap();
    for (link, target) in [
        ("to-root/link", "/etc"),
        ("to-above/link", "../secret"),
        ("to-far/deep/link", "../../../secret"),
        ("to-round/link", "deep/../../../secret"),
    ] {
        let link = world.path(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }
    world
}

#[test]
fn files_outside_of_the_project_are_refused() {
    let world = with_files();
    let here = world.root().display().to_string();
    for (from, words) in [
        ("..", "leads out of the project"),
        ("../secret", "leads out of the project"),
        ("tree/../../secret", "leads out of the project"),
        ("/etc/passwd", "leads out of the project"),
        ("../*", "leads out of the project"),
        ("file-out", "leads out of"),
        ("folder-out", "leads out of"),
        ("folder-out/secret", "leads out of"),
        ("*-out", "leads out of"),
        ("to-root", "to-root/link to /etc leads out of"),
        ("to-above", "to-above/link to ../secret leads out of"),
        ("to-far", "to-far/deep/link to ../../../secret leads out of"),
        ("to-round", "to-round/link to deep/../../../secret leads out of"),
        ("none", "nothing matches \"none\""),
        ("none*", "nothing matches \"none*\""),
        ("[", "Pattern"),
    ] {
        let files = format!("files = [{{ from = {from:?}, to = \"/srv/\" }}]");
        let refused = configure(&world, &files).run("image -q");
        let place = format!("{here}/Cargo.toml: [package.metadata.dockless.image] files[0]: ");
        let said = (refused.code, &*refused.stdout, refused.stderr.contains(words));
        assert_eq!(said, (Some(1), "", true), "{from}: {}", refused.stderr);
        assert!(refused.stderr.contains(&place), "{from}: {}", refused.stderr);
    }
    for (entry, words) in [
        ("from = \"plain\"", "it has no `to`"),
        ("from = \"plain\", to = \"\"", "it has no `to`"),
        ("from = \"plain\", to = \"srv\"", "is not an absolute path"),
        ("from = \"plain\", to = \"/\"", "needs a name"),
        ("to = \"/\"", "is the root itself"),
        ("from = \"plain\", to = \"/srv/../../etc/x\"", "is not a plain path"),
        ("from = \"plain\", to = \"/srv/./x\"", "is not a plain path"),
        ("from = \"plain\", to = \"/srv/.wh.x\"", "is not a plain path"),
        ("from = \"plain\", to = \"/srv/.wh..wh..opq\"", "is not a plain path"),
        ("from = \"plain\", to = \"/srv/a\\u0000b\"", "is not a plain path"),
        ("from = \"plain\", to = \"/srv\", mode = \"999\"", "is not a mode"),
        ("from = \"plain\", to = \"/srv\", mode = \"644x\"", "is not a mode"),
        ("from = \"plain\", to = \"/srv\", owner = \"root\"", "is not an owner"),
        ("from = \"plain\", to = \"/srv\", owner = \"-1\"", "is not an owner"),
        ("from = \"plain\", to = \"/srv\", owner = \"4294967296\"", "is not an owner"),
    ] {
        let refused = configure(&world, &format!("files = [{{ {entry} }}]")).run("image -q");
        if words == "needs a name" {
            // A folder to put it into.
            refused.ends_with(0);
            fs::remove_dir_all(world.dist()).unwrap();
            continue;
        }
        let said = (refused.code, &*refused.stdout, refused.stderr.contains(words));
        assert_eq!(said, (Some(1), "", true), "{entry}: {}", refused.stderr);
    }
    assert!(!world.dist().exists());
}

#[test]
fn files_that_would_lie_on_or_in_one_another_are_refused() {
    let world = with_files();
    symlink("a", world.path("tree/link")).unwrap();
    for (files, words) in [
        (r#"{ from = "one/x", to = "/y" }, { from = "two/x", to = "/y" }"#, "/y comes from two"),
        (r#"{ from = "*/x", to = "/srv/" }"#, "/srv/x comes from two places"),
        (r#"{ from = "tree", to = "/t" }, { from = "plain", to = "/t/b" }"#, "/t/b comes from two"),
        (r#"{ to = "/d/", mode = "0700" }, { to = "/d" }"#, "/d comes from two places"),
        (
            r#"{ from = "plain", to = "/p" }, { from = "one/x", to = "/p/x" }"#,
            "/p/x would lie in /p, which is no folder",
        ),
        (
            r#"{ from = "tree", to = "/t" }, { from = "plain", to = "/t/link/x" }"#,
            "/t/link/x would lie in /t/link, which is no folder",
        ),
        (
            r#"{ from = "plain", to = "/usr/local/bin/tool" }"#,
            "/usr/local/bin/tool is where a binary of the package lies",
        ),
        (
            r#"{ from = "tree", to = "/usr/local/bin/tool" }"#,
            "/usr/local/bin/tool is where a binary of the package lies",
        ),
        (
            r#"{ from = "plain", to = "/usr/local/bin/tool/x" }"#,
            "/usr/local/bin/tool/x is where a binary of the package lies",
        ),
        (
            r#"{ from = "plain", to = "/usr/local" }"#,
            "/usr/local is where a binary of the package lies",
        ),
        (
            r#"{ from = "plain", to = "/etc/passwd/x" }"#,
            "/etc/passwd/x would lie in /etc/passwd, which is not a folder in the base",
        ),
        (
            r#"{ from = "plain", to = "/etc/os-release/x" }"#,
            // Where the base's link leads.
            "/etc/os-release/x would lie in /usr/lib/os-release, which is not a folder in the base",
        ),
    ] {
        let refused = configure(&world, &format!("files = [{files}]")).run("image -q");
        let said = (refused.code, &*refused.stdout, refused.stderr.contains(words));
        assert_eq!(said, (Some(1), "", true), "{files}: {}", refused.stderr);
        assert!(refused.stderr.contains("  help: "), "{files}: {}", refused.stderr);
    }
    assert!(!world.dist().exists());
    // What is the same twice is no contradiction, and the base's own may be replaced.
    let same = r#"{ from = "plain", to = "/etc/group" }, { from = "plain", to = "/etc/group" }"#;
    configure(&world, &format!("files = [{same}]")).run("image -q").ends_with(0);
}

#[test]
fn what_is_no_regular_file_or_has_no_fit_name_is_refused() {
    let world = World::quick("1.0.0");
    let folder = "files = [{ from = \"assets\", to = \"/srv/assets\" }]";
    let refused = |make: &dyn Fn(&Path), named: &[u8], words: &str| {
        fs::remove_dir_all(world.path("assets")).ok();
        fs::create_dir_all(world.path("assets/deep")).unwrap();
        let path = world.path("assets/deep").join(OsStr::from_bytes(named));
        make(&path);
        let run = configure(&world, folder).run("image -q");
        run.ends_with(1).no_result().says(words).says("assets/deep/");
        let name = String::from_utf8_lossy(named).into_owned();
        run.says(name.trim());
        // By its own name too, unless it is a folder, which gives only what is in it.
        if let (Ok(name), false) = (std::str::from_utf8(named), path.is_dir()) {
            let file = format!("files = [{{ from = \"assets/deep/{name}\", to = \"/x/\" }}]");
            configure(&world, &file).run("image -q").ends_with(1).no_result().says(name);
        }
    };
    let fifo = |path: &Path| assert_eq!(run(&mut world.with("mkfifo", [path])).code, Some(0));
    refused(&fifo, b"pipe", "is not a regular file");
    refused(&|path| drop(UnixListener::bind(path).unwrap()), b"socket", "is not a regular file");
    refused(
        &|path| symlink("nowhere", path).unwrap(),
        b".wh.link",
        "removes files of lower layers",
    );
    refused(&|path| fs::write(path, "").unwrap(), b".wh.x", "removes files of lower layers");
    refused(
        &|path| fs::create_dir(path).unwrap(),
        b".wh..wh..opq",
        "removes files of lower layers",
    );
    refused(&|path| fs::write(path, "").unwrap(), b"caf\xe9", "is not UTF-8");
    let target = OsStr::from_bytes(b"caf\xe9");
    refused(&|path| symlink(target, path).unwrap(), b"link", "is not UTF-8");
    assert!(!world.dist().exists());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::quick("1.0.0");
    world.file("closed", "x");
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(world.path("closed")).is_ok() {
        return skipped("root reads everything here");
    }
    configure(&world, "files = [{ from = \"closed\", to = \"/closed\" }]");
    let refused = world.run("image -q");
    refused.ends_with(1).no_result().says(&world.path("closed").display().to_string());
    refused.says("Permission denied");
    assert!(!world.dist().exists());
}

/// The file is hashed before it is packed. Somebody writes to it all the time, so
/// that between the two it always changes.
#[test]
fn a_file_that_changes_while_it_is_read_is_named_and_nothing_is_made_of_it() {
    let world = World::quick("1.0.0");
    let path = world.path("log");
    let log = File::create(&path).unwrap();
    log.set_len(64 << 20).unwrap();
    configure(&world, "files = [{ from = \"log\", to = \"/log\" }]");
    world.run("build --release -q").ends_with(0);
    let done = AtomicBool::new(false);
    let changed = std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0u64.. {
                log.write_all_at(&count.to_le_bytes(), 0).unwrap();
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let run = world.run("image -q");
        done.store(true, Ordering::Relaxed);
        run
    });
    let words = format!("{} changed while it was being imaged; run again", path.display());
    changed.ends_with(1).no_result().says(&words);
    assert!(!world.dist().exists());
    // Nothing of it was kept either.
    super::assert_blobs(&world.outside("cache/blob"));
    world.run("image -q").ends_with(0);
    world.run("image validate oci:dist/images/tool").ends_with(0);
}

/// A file that shrinks is cut off, and not filled up.
#[test]
fn a_file_that_is_cut_off_while_it_is_read_is_named() {
    let world = World::quick("1.0.0");
    let path = world.path("log");
    let log = File::create(&path).unwrap();
    configure(&world, "files = [{ from = \"log\", to = \"/log\" }]");
    world.run("build --release -q").ends_with(0);
    let done = AtomicBool::new(false);
    let changed = std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0u64.. {
                let size = (64 << 20) - (count % 1000) * 4096;
                log.set_len(size).unwrap();
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let run = world.run("image -q");
        done.store(true, Ordering::Relaxed);
        run
    });
    changed.ends_with(1).no_result().says(&path.display().to_string());
    assert!(!world.dist().exists());
}

/// All that GNU tar makes of the image's layers, in their order.
fn unpacked(world: &World, layout: &Path) -> PathBuf {
    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| {
        layout.join("blobs/sha256").join(digest.as_str().unwrap().trim_start_matches("sha256:"))
    };
    let index = read(layout.join("index.json"));
    let manifest = read(blob(&index["manifests"][0]["digest"]));
    let root = world.outside("root");
    fs::remove_dir_all(&root).ok();
    fs::create_dir(&root).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let mut tar = world.with("tar", ["--extract", "--no-same-owner", "--file"]);
        let unpacked = run(tar.arg(blob(&layer["digest"])).arg("--directory").arg(&root));
        assert_eq!(unpacked.ends_with(0).stderr, "");
    }
    root
}

#[test]
fn long_and_odd_names_come_out_as_they_went_in() {
    let world = World::quick("1.0.0");
    let deep = |length: usize| {
        let part = format!("{}/", "d".repeat(49));
        // Names of files are told from those of folders by their letter.
        part.repeat((length - 1) / 50) + &"f".repeat((length - 1) % 50 + 1)
    };
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    // Around the borders of the header's two fields, and beyond both.
    for length in [83, 84, 85, 86, 99, 100, 101, 155, 156, 240, 241, 242, 256, 257, 300, 3000] {
        files.insert(deep(length), format!("a path of {length}"));
    }
    for name in ["a\nb", "tab\there", "café 日本語", " space ", "-rf", "\u{1}", "a\\b", "'\"$HOME"]
    {
        files.insert(format!("odd/{name}"), name.to_owned());
    }
    files.insert("n".repeat(255), "the longest name".to_owned());
    files.insert("é".repeat(127), "the longest name in bytes".to_owned());
    for (path, text) in &files {
        world.file(&format!("assets/{path}"), text);
    }
    let target = format!("{}{}", "./".repeat(400), "odd/-rf");
    symlink(&target, world.path("assets/far")).unwrap();
    configure(&world, "files = [{ from = \"assets\", to = \"/srv/assets\" }]");
    world.run("image -q").ends_with(0);
    let layout = world.dist().join("images/tool");
    world.run("image validate oci:dist/images/tool").ends_with(0).never_says("warning");
    let root = unpacked(&world, &layout);
    let expected = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
    let mut expected: BTreeMap<String, Vec<u8>> = expected.collect();
    expected.insert("far".to_owned(), b"-rf".to_vec());
    assert_eq!(crate::world::contents(&root.join("srv/assets")), expected);
    assert_eq!(fs::read_link(root.join("srv/assets/far")).unwrap(), Path::new(&target));
    // And once more through a program that unpacks and packs them again.
    let Some(skopeo) = judge("skopeo") else { return };
    let mut copy = world.with(skopeo, ["copy", "--quiet", "--dest-decompress"]);
    let from = format!("oci:{}:1.0.0", layout.display());
    let to = format!("dir:{}", world.outside("copied").display());
    run(copy.args([from, to])).ends_with(0);
}
