//! Images of others that are wrong, damaged or made to do harm: as the base of an
//! image, and where one is validated, shown or copied.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::sketch::{
    CONFIG, GZIP, INDEX, Layout, MANIFEST, file, gzip, here, index, manifest, tar,
};
use crate::world::{World, only_host, run};

mod damaged;
mod memory;
mod tars;
mod zstd;

/// A project whose image stands on `base`.
fn based_on(base: &str) -> World {
    let world = World::quick("1.0.0");
    let image = format!("[package.metadata.dockless.image]\nbase = \"{base}\"\n");
    world.package("", "tool", "1.0.0", &format!("{}{image}", only_host()));
    world
}

/// Requires that nobody takes the image, for one of these reasons, and that nothing
/// comes of it.
#[track_caller]
fn refused(world: &World, what: &str, image: &str, words: &[&str]) {
    let out = world.outside("out");
    fs::remove_dir_all(&out).ok();
    for args in [
        format!("image validate {image}"),
        format!("image inspect {image}"),
        format!("image copy {image} oci:{}", out.display()),
        format!("image -q --output oci:{}", out.display()),
    ] {
        let run = world.run(&args);
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{what}: {args}:\n{}", run.stderr);
        assert!(run.stderr.len() < 5000, "{} bytes of error", run.stderr.len());
        let said = words.iter().any(|word| run.stderr.contains(word));
        assert!(said, "{what}: {args}: none of {words:?} in:\n{}", run.stderr);
        assert!(!out.join("index.json").exists(), "{args}");
    }
    assert!(!world.dist().exists());
}

#[test]
fn a_manifest_that_is_not_what_it_says_is_refused() {
    let world = based_on("oci:base");
    let plain = tar(&[file("a", "a")]);
    let of = |layout: &Layout| (layout.config(&[&plain]), layout.put(GZIP, gzip(&plain)));
    type Case = (&'static str, fn(&Layout, Value, Value) -> Value, &'static [&'static str]);
    let cases: &[Case] = &[
        (
            "a wrong media type",
            |to, config, layer| to.json("text/plain", &manifest(&config, &[layer])),
            &["has the media type text/plain, which is neither an image's nor an index's"],
        ),
        (
            "no media type of any kind of image",
            |to, config, layer| to.json(CONFIG, &manifest(&config, &[layer])),
            &["neither an image's nor an index's"],
        ),
        (
            "a media type of its own that differs",
            |to, config, layer| to.json(INDEX, &manifest(&config, &[layer])),
            &["calls itself application/vnd.oci.image.manifest.v1+json"],
        ),
        (
            "an index and a manifest at once",
            |to, config, layer| {
                let mut both = manifest(&config, &[layer]);
                both["manifests"] = json!([]);
                to.json(MANIFEST, &both)
            },
            &["does not match its media type"],
        ),
        (
            "a manifest and an index at once, read as an index",
            |to, config, layer| {
                let mut both = manifest(&config, &[layer]);
                both["mediaType"] = INDEX.into();
                both["manifests"] = json!([]);
                to.json(INDEX, &both)
            },
            &["does not match its media type"],
        ),
        (
            "an index within an index",
            |to, config, layer| {
                let inner = to.json(INDEX, &index(&[to.manifest(&config, &[layer])]));
                to.json(INDEX, &index(&[inner]))
            },
            &["names another index, sha256:"],
        ),
        (
            "Docker's schema 1",
            |to, _, _| {
                let old = json!({ "schemaVersion": 1, "name": "x", "fsLayers": [], "history": [] });
                to.json("application/vnd.docker.distribution.manifest.v1+prettyjws", &old)
            },
            &["is of Docker's schema 1, which nothing writes any more"],
        ),
        (
            "Docker's schema 1 under the name of another",
            |to, _, _| to.json(MANIFEST, &json!({ "schemaVersion": 1, "fsLayers": [] })),
            &["is of Docker's schema 1"],
        ),
        (
            "more layers than diff IDs",
            |to, config, layer| to.manifest(&config, &[layer.clone(), layer]),
            &["names 2 layers, and its config 1"],
        ),
        (
            "fewer layers than diff IDs",
            |to, config, _| to.manifest(&config, &[]),
            &["names 0 layers, and its config 1"],
        ),
        (
            "a diff ID that is none",
            |to, _, layer| {
                let rootfs = json!({ "type": "layers", "diff_ids": ["../../etc/passwd"] });
                let config = json!({ "os": "linux", "architecture": here(), "rootfs": rootfs });
                to.manifest(&to.json(CONFIG, &config), &[layer])
            },
            &["read the config's diff IDs: "],
        ),
        (
            "a size that is negative",
            |to, config, mut layer| {
                layer["size"] = json!(-1);
                to.manifest(&config, &[layer])
            },
            &["invalid value: integer `-1`"],
        ),
        (
            "a size beyond 64 bits",
            |to, config, mut layer| {
                layer["size"] = json!(1e30);
                to.manifest(&config, &[layer])
            },
            &["invalid type: floating point"],
        ),
        (
            "a manifest whose size is said to be huge",
            |to, config, layer| {
                let mut descriptor = to.manifest(&config, &[layer]);
                descriptor["size"] = json!(u64::MAX);
                descriptor
            },
            &["is said to have 18446744073709551615 bytes, and no more than 4194304 are read"],
        ),
        (
            "layers whose sizes are said to be huge",
            |to, config, mut layer| {
                layer["size"] = json!(u64::MAX / 2 + 1);
                let twice = to.json(CONFIG, &{
                    let bytes = fs::read(to.blob(config["digest"].as_str().unwrap())).unwrap();
                    let mut twice: Value = serde_json::from_slice(&bytes).unwrap();
                    let id = twice["rootfs"]["diff_ids"][0].clone();
                    twice["rootfs"]["diff_ids"] = json!([id, id]);
                    twice
                });
                let mut other = layer.clone();
                other["digest"] = format!("sha256:{}", "0".repeat(64)).into();
                to.manifest(&twice, &[layer, other])
            },
            &["add up to more than 64 bits can count", "9223372036854775808 are named"],
        ),
        (
            "a layer by SHA-512",
            |to, config, mut layer| {
                layer["digest"] = format!("sha512:{}", "a".repeat(128)).into();
                to.manifest(&config, &[layer])
            },
            &["is a sha512 digest, and only sha256 is read"],
        ),
        (
            "a config by SHA-512",
            |to, mut config, layer| {
                config["digest"] = format!("sha512:{}", "a".repeat(128)).into();
                to.manifest(&config, &[layer])
            },
            &["is a sha512 digest, and only sha256 is read"],
        ),
        (
            "a manifest by SHA-512",
            |to, config, layer| {
                let mut descriptor = to.manifest(&config, &[layer]);
                descriptor["digest"] = format!("sha512:{}", "a".repeat(128)).into();
                descriptor
            },
            &["is a sha512 digest, and only sha256 is read"],
        ),
        (
            "a digest that climbs",
            |to, config, mut layer| {
                layer["digest"] = "sha256:../../../../../../../../etc/passwd".into();
                to.manifest(&config, &[layer])
            },
            &["parse sha256:"],
        ),
        (
            "a digest that climbs and is as long as one",
            |to, mut config, layer| {
                config["digest"] = format!("sha256:{}", "../".repeat(21) + "x").into();
                to.manifest(&config, &[layer])
            },
            &["parse sha256:"],
        ),
        (
            "an algorithm that climbs",
            |to, config, mut layer| {
                layer["digest"] = format!("../../sha256:{}", "a".repeat(64)).into();
                to.manifest(&config, &[layer])
            },
            &["parse sha256:"],
        ),
        (
            "an index of more manifests than are read",
            |to, config, layer| {
                let one = to.manifest(&config, &[layer]);
                to.json(INDEX, &index(&vec![one; 1001]))
            },
            &["names 1001 manifests"],
        ),
        (
            "a manifest of more layers than are read",
            |to, config, layer| to.manifest(&config, &vec![layer; 501]),
            &["names 501 layers"],
        ),
        (
            "a manifest that is not there",
            |to, config, layer| {
                let descriptor = to.manifest(&config, &[layer]);
                fs::remove_file(to.blob(descriptor["digest"].as_str().unwrap())).unwrap();
                descriptor
            },
            &["No such file"],
        ),
        ("a manifest that is a list", |to, _, _| to.put(MANIFEST, "[]"), &["parse sha256:"]),
        ("a manifest of nothing", |to, _, _| to.put(MANIFEST, ""), &["parse sha256:"]),
        (
            "a manifest with a key twice",
            |to, config, layer| {
                let text = manifest(&config, &[layer]).to_string();
                to.put(MANIFEST, text.replacen('{', r#"{"schemaVersion":2,"schemaVersion":2,"#, 1))
            },
            &["duplicate field `schemaVersion`"],
        ),
    ];
    for (what, make, words) in cases {
        let layout = Layout::at(&world.path("base"));
        let (config, layer) = of(&layout);
        layout.name(&[make(&layout, config, layer)]);
        refused(&world, what, "oci:base", words);
    }
}

/// What is larger than anything that is read, or deeper.
#[test]
fn a_bomb_of_json_is_refused_without_being_read() {
    let world = based_on("oci:base");
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let huge = |path: &Path| fs::File::create(path).unwrap().set_len(100 << 20).unwrap();
    let limit = "no more than 4194304 are read";

    let layout = Layout::at(&world.path("base"));
    layout.name(&[]);
    for name in ["index.json", "oci-layout"] {
        let before = fs::read(layout.dir.join(name)).unwrap();
        fs::write(layout.dir.join(name), &deep).unwrap();
        refused(&world, "a bomb", "oci:base", &["parse "]);
        huge(&layout.dir.join(name));
        refused(&world, "a bomb", "oci:base", &[&format!("it has 104857600 bytes, and {limit}")]);
        fs::write(layout.dir.join(name), before).unwrap();
    }
    refused(&world, "a bomb", "oci:base", &["it holds no image"]);
    let bomb = layout.put(MANIFEST, &deep);
    layout.name(&[bomb]);
    refused(&world, "a bomb", "oci:base", &["parse sha256:"]);
    let nested = format!(r#"{{"schemaVersion":2,"layers":{deep},"config":{{}}}}"#);
    layout.name(&[layout.put(MANIFEST, nested)]);
    refused(&world, "a bomb", "oci:base", &["parse sha256:"]);
    let config = layout.put(CONFIG, &deep);
    layout.name(&[layout.manifest(&config, &[])]);
    refused(&world, "a bomb", "oci:base", &["parse sha256:"]);

    // A manifest that is really so large, said to be, and said not to be.
    let mut large = layout.manifest(&layout.config(&[]), &[]);
    huge(&layout.blob(large["digest"].as_str().unwrap()));
    layout.name(std::slice::from_ref(&large));
    refused(&world, "a bomb", "oci:base", &["has 104857600 bytes"]);
    large["size"] = json!(100 << 20);
    layout.name(&[large]);
    refused(
        &world,
        "a bomb",
        "oci:base",
        &[&format!("is said to have 104857600 bytes, and {limit}")],
    );
    let mut config = layout.config(&[]);
    config["size"] = json!(100 << 20);
    layout.name(&[layout.manifest(&config, &[])]);
    refused(&world, "a bomb", "oci:base", &[limit]);

    let one = json!({ "mediaType": MANIFEST, "size": 7, "digest": format!("sha256:{:064}", 0) });
    layout.name(&vec![one; 100_000]);
    refused(&world, "a bomb", "oci:base", &[limit]);
}

#[test]
fn a_base_without_our_platform_says_which_it_has() {
    let world = based_on("oci:base");
    let here = here();
    let plain = tar(&[file("a", "a")]);
    let layout = Layout::at(&world.path("base"));
    let build = || world.run("image -q");
    let place = format!("error: read the base oci:{} of tool: ", world.path("base").display());
    layout.name(&[layout.image_for("s390x", &[&plain])]);
    let lacks = format!("it has no image for linux/{here}, but for ");
    build()
        .ends_with(1)
        .no_result()
        .says(&place)
        .says(&format!("{lacks}linux/s390x\n"))
        .says("  help: ");
    let others = [layout.image_for("s390x", &[&plain]), layout.image_for("ppc64le", &[&plain])];
    layout.name(&[layout.json(INDEX, &index(&others))]);
    build().ends_with(1).no_result().says(&format!("{lacks}linux/s390x, linux/ppc64le\n"));
    // An index that says what its images do not.
    let mut liar = layout.image_for("s390x", &[&plain]);
    liar["platform"]["architecture"] = here.into();
    layout.name(&[layout.json(INDEX, &index(&[liar]))]);
    let taken = format!("it is for linux/s390x, and was taken for linux/{here}");
    build().ends_with(1).no_result().says(&taken);
    world.run("image validate oci:base").ends_with(1).no_result().says(&taken);
    assert!(!world.dist().exists());
    // One of several is meant, and nobody says which.
    layout.name(&[layout.image(&[&plain]), layout.image(&[])]);
    build().ends_with(1).no_result().says("it holds several images: there are sha256:");
    layout.name(&[layout.image(&[&plain])]);
    build().ends_with(0);
}

#[test]
fn a_name_with_a_bad_digest_tag_or_port_is_refused_before_anything_is_built() {
    let world = World::quick("1.0.0");
    let configured = |key: &str, value: &str| {
        let image = format!("[package.metadata.dockless.image]\n{key} = {value}\n");
        world.package("", "tool", "1.0.0", &format!("{}{image}", only_host()));
        world.run("image -q")
    };
    let long = "a".repeat(129);
    let cases = [
        (
            "repositories",
            "ghcr.io/acme/x:1.0",
            "has a tag or a digest, but a repository has neither",
        ),
        ("repositories", "ghcr.io:99999/x", "its port \"99999\" is not a number"),
        ("repositories", "ghcr.io:0/x", "its port \"0\" is not a number"),
        ("repositories", "ghcr.io:/x", "its port \"\" is not a number"),
        ("repositories", "ghcr.io:80a/x", "its port \"80a\" is not a number"),
        ("repositories", "ghcr.io/Acme/x", "upper-case letters"),
        ("repositories", "https://ghcr.io/x", "leave out \"https://\""),
        ("repositories", "me:hunter2@ghcr.io/x", "has no user and no password"),
        ("repositories", "x@sha256:12", "is not a SHA-256 digest"),
        ("repositories", "x@md5:12", "only sha256 is supported"),
        ("repositories", "", "the name is missing"),
        ("repositories", "a b", "has a space"),
        ("repositories", "../x", "is not the name of a host"),
        ("repositories", "x//y", "is empty"),
        ("tags", "a/b", "is not a tag"),
        ("tags", ".hidden", "is not a tag"),
        ("tags", "", "is not a tag"),
        ("tags", &long, "is not a tag"),
        ("tags", "1.0+build", "is not a tag"),
        ("tags", "{{ nope }}", "nope"),
        ("tags", "{{ version", "{{"),
        ("base", "alpine@sha256:12", "is not a SHA-256 digest"),
        ("base", "ghcr.io:99999/x:1", "its port \"99999\" is not a number"),
        ("base", "alpine:.1", "is not a tag"),
        ("base", "docker://alpine", "leave out \"docker://\""),
        ("base", "oci:", "no path is named"),
        ("base", "oci:x:..", "is not a tag"),
        ("base", "oci-archive:x@sha256:12", "is not a SHA-256 digest"),
        ("base", "Builtin", "upper-case letters"),
    ];
    for (key, text, words) in cases {
        let value = if key == "base" { format!("{text:?}") } else { format!("[{text:?}]") };
        let run = configured(key, &value);
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{key} = {value}: {}", run.stderr);
        let place = format!("{}: ", world.path("Cargo.toml").display());
        for words in [words, key, &place, "help: "] {
            assert!(run.stderr.contains(words), "{key} = {value}: no {words:?} in {}", run.stderr);
        }
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    configured("tags", "[]").ends_with(1).no_result().says("it names no tag");
    assert!(!world.path("target").exists() && !world.dist().exists());

    world.package("", "tool", "1.0.0", &only_host());
    let hex = "a".repeat(64);
    for (sink, code, words) in [
        ("tool.tar", 2, "\"tool.tar\" is no folder or file: name it as oci:DIR"),
        ("docker://x", 2, "is no folder or file"),
        ("oci:", 2, "no path is named"),
        ("oci::1.0", 2, "no path is named"),
        ("oci:x:-1", 2, "is not a tag"),
        ("oci:x@sha256:12", 2, "is not a SHA-256 digest"),
        ("oci:x:1.0", 1, "names a tag or a digest, and an image brings its own"),
        (&format!("oci:x@sha256:{hex}"), 1, "names a tag or a digest"),
        ("docker-archive:x.tar:1.0", 1, "names a tag or a digest"),
    ] {
        let run = world.run(&format!("image -q --output {sink}"));
        run.ends_with(code).no_result().says(words);
        // What is no folder and no file is a name in a registry, where copies go too.
        let (code, words) = match sink {
            "tool.tar" | "docker://x" => (1, "only Docker itself puts images there"),
            _ => (code, words),
        };
        let run = world.run(&format!("image copy oci:none {sink}"));
        run.ends_with(code).no_result().says(words);
    }
    for (name, words) in [
        ("ghcr.io:99999/x:1", "its port \"99999\" is not a number"),
        ("x:.1", "is not a tag"),
        ("x@sha256:12", "is not a SHA-256 digest"),
        ("Acme/", "is not an image's name"),
        ("--", "a value is required"),
    ] {
        let run = world.run(&format!("image copy oci:none oci:out --name {name}"));
        run.ends_with(2).no_result().says(words);
    }
    assert_eq!(world.names(), ["Cargo.lock", "Cargo.toml", "LICENSE", "src"]);
}

/// A FIFO that nobody writes into would be waited for without an end.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let world = World::quick("1.0.0");
    let plain = tar(&[file("a", "a")]);
    for name in ["oci-layout", "index.json", "config", "manifest", "layer"] {
        let layout = Layout::at(&world.path("base"));
        let (config, layer) = (layout.config(&[&plain]), layout.put(GZIP, gzip(&plain)));
        let manifest = layout.manifest(&config, std::slice::from_ref(&layer));
        layout.name(std::slice::from_ref(&manifest));
        let blob = |of: &Value| layout.blob(of["digest"].as_str().unwrap());
        let path = match name {
            "config" => blob(&config),
            "manifest" => blob(&manifest),
            "layer" => blob(&layer),
            name => layout.dir.join(name),
        };
        fs::remove_file(&path).unwrap();
        run(&mut world.with("mkfifo", [&path])).ends_with(0);
        let mut tool = world.with("timeout", ["20", env!("CARGO_BIN_EXE_cargo-dockless")]);
        let validated = run(tool.args(["image", "validate", "oci:base"]));
        validated.ends_with(1).no_result().says(path.file_name().unwrap().to_str().unwrap());
    }
}
