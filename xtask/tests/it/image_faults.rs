//! What can go wrong while an image is made, and what is left then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{Run, World, contents, names, only_host, sha256};

mod files;
mod kills;
mod space;

/// What an image's table is to say, in a project that is built quickly.
fn configure<'a>(world: &'a World, image: &str) -> &'a World {
    let table = format!("[package.metadata.dockless.image]\n{image}\n");
    world.package("", "tool", "1.0.0", &format!("{}{table}", only_host()))
}

/// A project with one more layer, of noise that no compressor makes smaller.
fn with_asset(kib: usize) -> World {
    let world = World::quick("1.0.0");
    configure(&world, "files = [{ from = \"asset\", to = \"/srv/asset\" }]");
    write_asset(&world, kib, 1);
    world
}

fn write_asset(world: &World, kib: usize, seed: u64) {
    fs::write(world.path("asset"), noise(kib, seed)).unwrap();
}

fn noise(kib: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..kib * 128).flat_map(|_| word()).collect()
}

/// Requires that every blob of a folder has the digest that its name says, and that
/// no temporary file is left.
#[track_caller]
fn assert_blobs(dir: &Path) {
    let blobs: Vec<String> = names(dir).into_iter().filter(|name| name != "pruned").collect();
    assert!(!blobs.is_empty(), "there are blobs in {}", dir.display());
    for name in &blobs {
        assert_eq!(&sha256(&fs::read(dir.join(name)).unwrap()), name, "in {}", dir.display());
    }
}

/// Requires that the same files are there with the same bytes, and names those that
/// differ: their bytes tell nobody anything.
#[track_caller]
fn assert_same(found: &Contents, expected: &Contents, what: &str) {
    let paths: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differ: Vec<_> =
        paths.into_iter().filter(|path| found.get(*path) != expected.get(*path)).collect();
    assert!(differ.is_empty(), "{what}: {differ:?} differ");
}

type Contents = BTreeMap<String, Vec<u8>>;

/// Changes the file as a disk might.
fn damages(bytes: &[u8]) -> [Vec<u8>; 5] {
    let flipped = |at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    [
        flipped(bytes.len() / 2),
        flipped(bytes.len() - 1),
        bytes[..bytes.len() / 2].to_vec(),
        Vec::new(),
        [bytes, b"\0"].concat(),
    ]
}

#[test]
fn what_was_damaged_in_the_cache_is_made_anew() {
    let world = with_asset(8);
    let expected = {
        world.run("image -q").ends_with(0);
        contents(&world.dist())
    };
    let cache = |kind: &str| world.outside("cache").join(kind);
    let blobs = contents(&cache("blob"));
    assert_eq!(blobs.len(), 4, "the base, the file, the program, and when it was pruned");
    assert_eq!(contents(&cache("layer")).len(), 4);
    for (kind, name) in ["blob", "layer"].iter().flat_map(|kind| {
        let names = names(&cache(kind)).into_iter().filter(|name| name != "pruned");
        names.map(move |name| (kind, name))
    }) {
        let path = cache(kind).join(&name);
        let whole = fs::read(&path).unwrap();
        let mut spoilt: Vec<Option<Vec<u8>>> = damages(&whole).map(Some).into();
        spoilt.push(None);
        if *kind == "layer" {
            // What another version might have written.
            spoilt.push(Some([sha256(b"{}").as_bytes(), b"{}"].concat()));
        }
        for bytes in spoilt {
            match bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            // What dist/ has is not asked for then.
            fs::remove_dir_all(world.dist()).unwrap();
            world.run("image -q").ends_with(0).never_says("warning");
            assert_same(&contents(&world.dist()), &expected, &format!("{kind}/{name}"));
            assert_same(&contents(&cache("blob")), &blobs, &format!("{kind}/{name}"));
            assert_eq!(fs::read(&path).unwrap(), whole, "{kind}/{name}");
        }
    }
}

#[test]
fn what_was_damaged_in_dist_is_not_used_again() {
    let world = with_asset(8);
    world.run("image -q").ends_with(0);
    let expected = contents(&world.dist());
    let blobs = world.dist().join("images/tool/blobs/sha256");
    assert_eq!(names(&blobs).len(), 5, "a manifest, a config and three layers");
    for name in names(&blobs) {
        let whole = fs::read(blobs.join(&name)).unwrap();
        for bytes in damages(&whole) {
            // In place, so that all links to the same bytes are damaged with it.
            fs::write(blobs.join(&name), bytes).unwrap();
            world.run("image -q").ends_with(0);
            assert_same(&contents(&world.dist()), &expected, &name);
            assert_blobs(&world.outside("cache/blob"));
        }
        fs::remove_file(blobs.join(&name)).unwrap();
        world.run("image -q").ends_with(0);
        assert_same(&contents(&world.dist()), &expected, &name);
    }
    // What is there is kept, and what is broken is mended, in a layout of the user's too.
    let out = world.outside("out");
    let write = || world.run(&format!("image -q --output oci:{}", out.display()));
    write().ends_with(0);
    let expected = contents(&out);
    for name in names(&out.join("blobs/sha256")) {
        for bytes in damages(&fs::read(out.join("blobs/sha256").join(&name)).unwrap()) {
            fs::write(out.join("blobs/sha256").join(&name), bytes).unwrap();
            write().ends_with(0);
            assert_same(&contents(&out), &expected, &name);
        }
    }
}

#[test]
fn a_layout_that_cannot_be_read_is_not_written_into() {
    let world = with_asset(8);
    let out = world.outside("out");
    let write = || world.run(&format!("image -q --output oci:{}", out.display()));
    for text in ["", "{", "[]", "{\"schemaVersion\":2}", "null"] {
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::write(out.join("index.json"), text).unwrap();
        let refused = write();
        refused.ends_with(1).no_result().says(&format!("write the OCI layout {}", out.display()));
        refused.says("parse index.json");
        assert_eq!(fs::read_to_string(out.join("index.json")).unwrap(), text);
        assert!(!out.join("blobs").exists());
    }
    fs::remove_dir_all(&out).unwrap();
    fs::write(&out, "a file").unwrap();
    write().ends_with(1).no_result().says(&out.display().to_string());
    for form in ["oci-archive", "docker-archive"] {
        let within = world.run(&format!("image -q --output {form}:{}/x", out.display()));
        within.ends_with(1).no_result().says(&out.display().to_string());
        let folder = world.run(&format!("image -q --output {form}:src"));
        folder.ends_with(1).no_result().says("src");
    }
    assert_eq!(fs::read_to_string(&out).unwrap(), "a file");
    assert_eq!(names(&world.path("src")), ["main.rs"]);
    assert!(!world.names().iter().any(|name| name.ends_with(".tmp")), "{:?}", world.names());
}

#[test]
fn without_a_cache_nothing_is_kept_and_nothing_is_left() {
    let world = with_asset(64);
    let temp = world.outside("temp");
    fs::create_dir(&temp).unwrap();
    let run = |args: &str| -> Run {
        let mut tool = world.tool(args.split(' '));
        crate::world::run(tool.env("TMPDIR", &temp))
    };
    run("image -q").ends_with(0);
    let (expected, cached) = (contents(&world.dist()), contents(&world.outside("cache")));
    fs::remove_dir_all(world.outside("cache")).unwrap();
    for args in ["image -q --no-cache", "image -q --no-cache --output docker-archive:x.tar"] {
        run(args).ends_with(0);
        assert_same(&contents(&world.dist()), &expected, "");
        let kinds = names(&world.outside("cache"));
        assert!(!kinds.iter().any(|kind| ["blob", "layer"].contains(&&**kind)), "{kinds:?}");
        assert_eq!(names(&temp), Vec::<String>::new(), "{args}");
    }
    // What a cache holds is neither asked for nor touched.
    run("image -q").ends_with(0);
    assert_same(&contents(&world.outside("cache")), &cached, "");
    let blobs = world.outside("cache/blob");
    let spoilt = names(&blobs).remove(0);
    fs::write(blobs.join(&spoilt), "spoilt").unwrap();
    fs::remove_dir_all(world.dist()).unwrap();
    run("image -q --no-cache").ends_with(0);
    assert_same(&contents(&world.dist()), &expected, "");
    assert_eq!(fs::read_to_string(blobs.join(&spoilt)).unwrap(), "spoilt");
    // A failure leaves as little.
    fs::create_dir(world.path("x")).unwrap();
    run("image -q --no-cache --output oci-archive:x").ends_with(1).no_result();
    assert_eq!(names(&temp), Vec::<String>::new());
}

/// The names of a layout's images, and its descriptors by them.
fn tags(layout: &Path) -> BTreeMap<String, Value> {
    let index: Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let manifests = index["manifests"].as_array().unwrap().iter();
    let name = |of: &Value| of["annotations"]["org.opencontainers.image.ref.name"].clone();
    manifests.map(|of| (name(of).as_str().unwrap().to_owned(), of["digest"].clone())).collect()
}
