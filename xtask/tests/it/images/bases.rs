//! Images on bases of others: where files and programs go, and where they cannot.

use super::overlays::{distroless, folder, link, linked, plain, put, set};
use super::*;
use crate::world::sha256;
use crate::world::sketch::{CONFIG, GZIP, INDEX, Layout, gzip, here, index, tar};

/// A base for each architecture, in `base`.
fn put_both(world: &World, layers: [(&str, Vec<u8>); 2]) {
    let layout = Layout::at(&world.path("base"));
    let images = layers.map(|(architecture, layer)| layout.image_for(architecture, &[&layer]));
    layout.name(&[layout.json(INDEX, &index(&images))]);
}

/// The digests of the layers that an image for a platform has on top of its base.
fn own_layers(world: &World, digest: &str, below: usize) -> Vec<Vec<String>> {
    let layout = world.path("dist/images/tool");
    let index = blob(&layout, digest);
    let manifests = index["manifests"].as_array().unwrap().iter();
    let layers = manifests.map(|of| {
        let manifest = blob(&layout, of["digest"].as_str().unwrap());
        let layers = manifest["layers"].as_array().unwrap()[below..].iter();
        layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
    });
    layers.collect()
}

/// What the base is like for each platform counts for that platform; where they agree,
/// they share a layer.
#[test]
fn each_platform_stands_on_its_own_base() {
    let world = World::committed("1.0.0");
    let image = r#"[package.metadata.dockless.image]
base = "oci:base"
files = [{ from = "LICENSE", to = "/lib/" }]
"#;
    world.package("", "tool", "1.0.0", image);
    let real = [folder("lib/", 0o711, 3), folder("usr/", 0o755, 0), folder("usr/lib/", 0o700, 4)];
    let linked = [folder("usr/", 0o755, 0), folder("usr/lib/", 0o700, 4), link("lib", "usr/lib")];
    put_both(&world, [("amd64", tar(&real)), ("arm64", tar(&linked))]);
    let (layout, digest) = printed(world.run("image -q").ends_with(0).line());
    let amd64 = flat::of_layout(&layout, Some("linux/amd64")).tree;
    assert!(amd64.contains_key("lib/LICENSE") && !amd64.contains_key("usr/lib/LICENSE"));
    assert_eq!((amd64["lib"].mode, amd64["lib"].owner), (0o711, (3, 3)));
    let arm64 = flat::of_layout(&layout, Some("linux/arm64")).tree;
    assert!(arm64.contains_key("usr/lib/LICENSE"));
    assert_eq!(arm64["lib"].what, flat::What::Symlink("usr/lib".to_owned()));
    let own = own_layers(&world, &digest, 1);
    assert_ne!(own[0][0], own[1][0], "the files lie elsewhere");

    let other = [&real[..], &[plain("x", "only there")]].concat();
    put_both(&world, [("amd64", tar(&real)), ("arm64", tar(&other))]);
    let digest = printed(world.run("image -q").ends_with(0).line()).1;
    let own = own_layers(&world, &digest, 1);
    assert_eq!(own[0][0], own[1][0], "the files are one layer");
    assert_ne!(own[0][1], own[1][1], "the programs are two");
    world.run("image validate oci:dist/images/tool").ends_with(0);
}

/// A base's healthcheck, and what no version of the specification knows, goes into the
/// image that stands on it; a copy has every byte.
#[test]
fn what_a_base_says_beyond_the_specification_stays() {
    let world = World::quick("1.0.0");
    let plain = tar(&[folder("etc/", 0o755, 0)]);
    let layout = Layout::at(&world.path("base"));
    let healthcheck = serde_json::json!({ "Test": ["CMD", "/probe"], "Retries": 3 });
    let config = serde_json::json!({
        "os": "linux",
        "architecture": here(),
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&plain))] },
        "config": { "Healthcheck": healthcheck, "com.example.run": [1] },
        "com.example.top": { "kept": true },
    });
    let config = layout.json(CONFIG, &config);
    let mut layer = layout.put(GZIP, gzip(&plain));
    layer["com.example.layer"] = "kept".into();
    let mut image = layout.manifest(&config, std::slice::from_ref(&layer));
    image["com.example.image"] = "kept".into();
    layout.name(&[image]);

    set(&world, "oci:base", "");
    let (dir, digest) = printed(world.run("image -q").ends_with(0).line());
    let manifest = blob(&dir, &digest);
    assert_eq!(manifest["layers"][0], layer);
    let built = blob(&dir, manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(built["config"]["Healthcheck"], healthcheck);
    assert_eq!(built["config"]["com.example.run"], serde_json::json!([1]));
    assert_eq!(built["com.example.top"], serde_json::json!({ "kept": true }));
    world.run("image validate oci:dist/images/tool").ends_with(0);

    // Beside another image, which stays as it is listed.
    let copy = Layout::at(&world.path("copy"));
    let mut other = copy.image(&[&plain]);
    other["platform"] = serde_json::json!({ "os": "linux", "architecture": here(), "x": 1 });
    copy.name(std::slice::from_ref(&other));
    world.run("image copy oci:base oci:copy").ends_with(0);
    let listed = json(&world.path("copy/index.json"));
    assert_eq!(listed["manifests"][0], other);
    assert_eq!(listed["manifests"][1]["com.example.image"], "kept");
    for name in names(&world.path("base/blobs/sha256")) {
        let at = |layout: &str| fs::read(world.path(layout).join("blobs/sha256").join(&name));
        assert_eq!(at("copy").unwrap(), at("base").unwrap(), "{name}");
    }
}

/// Said before anything is compiled, with both names.
#[test]
fn what_has_no_place_on_the_base_is_an_error() {
    let world = World::quick("1.0.0");
    world.file("assets/x", "x");
    put(&world, &linked());
    for (files, said) in [
        (
            r#"{ from = "LICENSE", to = "/lib/libc.so.6/LICENSE" }"#,
            "/lib/libc.so.6/LICENSE would lie in /usr/lib/libc.so.6, which is not a folder",
        ),
        (
            r#"{ from = "LICENSE", to = "/tmp" }"#,
            "/tmp is a folder of the base, and would become a file",
        ),
        (
            r#"{ from = "LICENSE", to = "/sbin" }"#,
            "/sbin is a folder of the base, and would become a file",
        ),
        (r#"{ to = "/bin/sh/" }"#, "/bin/sh is a file of the base, and would become a folder"),
        (
            r#"{ from = "LICENSE", to = "/srv/a" }, { from = "assets/x", to = "/etc/tool/a" }"#,
            "are one place in the base, /old/a",
        ),
        (
            r#"{ from = "LICENSE", to = "/opt/bin/tool" }"#,
            "/usr/local/bin/tool would take the place of /opt/bin/tool, which `files` names",
        ),
    ] {
        set(&world, "oci:base", files);
        let refused = world.run("image");
        refused.ends_with(1).no_result().says(said).says("help: ").never_says("Compiling");
        assert!(!world.dist().exists(), "{files}");
    }
    // The programs themselves.
    let tar_of = |members: &[Vec<u8>]| vec![tar(members)];
    for (layers, said) in [
        (
            tar_of(&[plain("usr/local", "x")]),
            "/usr/local/bin/tool would lie in /usr/local, which is not a folder",
        ),
        (
            tar_of(&[folder("usr/local/bin/tool/", 0o755, 0)]),
            "/usr/local/bin/tool is a folder of the base, and would become a file",
        ),
        (
            tar_of(&[link("usr", "/opt"), link("opt", "usr")]),
            "/usr/local/bin/tool leads through a loop of links",
        ),
    ] {
        put(&world, &layers);
        set(&world, "oci:base", "");
        let refused = world.run("image");
        refused.ends_with(1).no_result().says(said).says("help: ").never_says("Compiling");
    }
}

/// A folder that is asked for by itself is made so; one that only is on the way stays.
#[test]
fn a_folder_of_the_base_changes_where_it_is_asked_for() {
    let world = World::quick("1.0.0");
    world.file("assets/x", "x");
    put(&world, &distroless());
    for (files, mode, owner) in [
        ("", 0o1777, 0),
        (r#"{ from = "assets", to = "/tmp" }"#, 0o1777, 0),
        (r#"{ from = "assets", to = "/tmp", mode = "0600", owner = "5" }"#, 0o1777, 0),
        (r#"{ to = "/tmp/", mode = "0700", owner = "5" }"#, 0o700, 5),
        (r#"{ from = "assets", to = "/tmp" }, { to = "/tmp", mode = "1770" }"#, 0o1770, 0),
    ] {
        for base in ["oci:base", "builtin"] {
            set(&world, base, files);
            let (dir, _) = printed(world.run("image -q").ends_with(0).line());
            let tree = flat::of_layout(&dir, None).tree;
            let tmp = &tree["tmp"];
            assert_eq!((tmp.mode, tmp.owner), (mode, (owner, owner)), "{files} on {base}");
            assert_eq!(tree.contains_key("tmp/x"), files.contains("assets"), "{files} on {base}");
        }
    }
}
