//! Blobs that are not what they were.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::based_on;
use crate::world::sketch::{INDEX, Layout, archive, file, header, here, index, members, tar};
use crate::world::{World, contents};

/// What can become of a blob's bytes. The last is that they are gone.
fn damages(bytes: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x20;
        (format!("byte {at} flipped"), Some(bytes))
    };
    let end = bytes.len() - 1;
    vec![
        flipped(0),
        // In a layer, the byte of gzip's header that says the operating system.
        flipped(9),
        flipped(end / 2),
        flipped(end),
        ("cut off".to_owned(), Some(bytes[..end].to_vec())),
        ("empty".to_owned(), Some(Vec::new())),
        ("with a byte more".to_owned(), Some([bytes, b"\0"].concat())),
        ("missing".to_owned(), None),
    ]
}

/// Requires that validation fails and names the blob, and that nothing is copied.
#[track_caller]
fn noticed(world: &World, what: &str, image: &str, hex: &str) {
    let validated = world.run(&format!("image validate {image}"));
    let said = (validated.code, &*validated.stdout, validated.stderr.contains(hex));
    assert_eq!(said, (Some(1), "", true), "{what}: {}", validated.stderr);
    for form in ["oci", "oci-archive", "docker-archive"] {
        let out = world.outside("copied");
        fs::remove_dir_all(&out).ok();
        let copied = world.run(&format!("image copy {image} {form}:{}", out.display()));
        assert_eq!((copied.code, &*copied.stdout), (Some(1), ""), "{what}: {}", copied.stderr);
        assert!(!out.is_file() && !out.join("index.json").exists(), "{what} to {form}");
        assert_eq!(temporary(&world.outside("")), 0, "{what} to {form}");
    }
}

/// How many temporary files a folder holds.
fn temporary(dir: &Path) -> usize {
    crate::world::names(dir).iter().filter(|name| name.ends_with(".tmp")).count()
}

/// A layout of an index of two images, and the digests of what it holds, by kind.
fn two_platforms(dir: &Path) -> (Layout, Vec<(&'static str, String)>) {
    let layout = Layout::at(dir);
    let tars = [tar(&[file("a", "x".repeat(3000))]), tar(&[header(b'2', "b", "a", 0)])];
    let images =
        [layout.image_for("amd64", &[&tars[0], &tars[1]]), layout.image_for("arm64", &[&tars[0]])];
    let top = layout.json(INDEX, &index(&images));
    layout.name(std::slice::from_ref(&top));
    let hex = |of: &Value| of["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let read = |hex: &str| serde_json::from_slice::<Value>(&fs::read(layout.blob(hex)).unwrap());
    // What a build here stands on; images for other platforms it does not even read.
    let own = &images[usize::from(here() == "arm64")];
    let manifest = read(&hex(own)).unwrap();
    let kinds = vec![
        ("index", hex(&top)),
        ("manifest", hex(own)),
        ("config", hex(&manifest["config"])),
        ("layer", hex(&manifest["layers"][0])),
    ];
    (layout, kinds)
}

#[test]
fn any_change_of_a_blob_of_a_layout_is_noticed() {
    let world = World::quick("1.0.0");
    let (layout, kinds) = two_platforms(&world.path("base"));
    world.run("image validate oci:base").ends_with(0).never_says("warning");
    for (kind, hex) in kinds {
        let whole = fs::read(layout.blob(&hex)).unwrap();
        for (damage, bytes) in damages(&whole) {
            match bytes {
                Some(bytes) => fs::write(layout.blob(&hex), bytes).unwrap(),
                None => fs::remove_file(layout.blob(&hex)).unwrap(),
            }
            noticed(&world, &format!("the {kind} {damage}"), "oci:base", &hex);
        }
        fs::write(layout.blob(&hex), whole).unwrap();
    }
    world.run("image validate oci:base").ends_with(0);
}

#[test]
fn any_change_of_a_blob_of_an_archive_is_noticed() {
    let world = World::quick("1.0.0");
    let (_, kinds) = two_platforms(&world.path("base"));
    let docker = Layout::at(&world.path("one"));
    docker.name(&[docker.image(&[&tar(&[file("a", "x".repeat(3000))])])]);
    world.run("image copy oci:base oci-archive:oci.tar").ends_with(0);
    world.run("image copy oci:one docker-archive:docker.tar --name acme/x:1").ends_with(0);
    let manifest: Value = {
        let files = members(&world.path("docker.tar"));
        let (_, bytes) = files.iter().find(|(name, _)| name == "manifest.json").unwrap();
        serde_json::from_slice(bytes).unwrap()
    };
    let named = |of: &Value| of.as_str().unwrap().trim_start_matches("blobs/sha256/").to_owned();
    let of_docker = vec![
        ("config", named(&manifest[0]["Config"])),
        ("layer", named(&manifest[0]["Layers"][0])),
    ];
    for (form, kinds) in [("oci", kinds), ("docker", of_docker)] {
        let path = world.path(&format!("{form}.tar"));
        let image = format!("{form}-archive:{form}.tar");
        world.run(&format!("image validate {image}")).ends_with(0).never_says("warning");
        let whole = members(&path);
        for (kind, hex) in kinds {
            let name = format!("blobs/sha256/{hex}");
            let at = whole.iter().position(|(path, _)| *path == name).unwrap();
            for (damage, bytes) in damages(&whole[at].1) {
                let mut files = whole.clone();
                match bytes {
                    Some(bytes) => files[at].1 = bytes,
                    None => drop(files.remove(at)),
                }
                fs::write(&path, archive(&files)).unwrap();
                noticed(&world, &format!("{form}: the {kind} {damage}"), &image, &hex);
            }
        }
    }
}

/// What was checked once is not checked again, so the sinks have to notice.
#[test]
fn a_base_that_was_damaged_after_it_was_checked_is_refused_and_not_shipped() {
    let world = based_on("oci:base");
    let (layout, kinds) = two_platforms(&world.path("base"));
    let build = |out: &str| world.run(&format!("image -q --output oci:../{out}"));
    build("before").ends_with(0);
    for (kind, hex) in kinds {
        let whole = fs::read(layout.blob(&hex)).unwrap();
        for (damage, bytes) in damages(&whole) {
            match bytes {
                Some(bytes) => fs::write(layout.blob(&hex), bytes).unwrap(),
                None => fs::remove_file(layout.blob(&hex)).unwrap(),
            }
            let run = build("damaged");
            let said = (run.code, &*run.stdout, run.stderr.contains(&hex));
            assert_eq!(said, (Some(1), "", true), "the {kind} {damage}: {}", run.stderr);
            assert!(!world.outside("damaged/index.json").exists(), "the {kind} {damage}");
        }
        fs::write(layout.blob(&hex), whole).unwrap();
    }
    build("after").ends_with(0);
    assert_eq!(contents(&world.outside("before")), contents(&world.outside("after")));
}
