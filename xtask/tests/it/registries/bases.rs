//! Bases that are in a registry: pinned in `dockless.lock`, kept in the cache, and
//! moved from registry to registry with as little as it takes.

use std::collections::BTreeSet;

use super::signatures::put_bytes;
use super::*;
use crate::world::proxy::ask;
use crate::world::sketch::MANIFEST;
use crate::world::{contents, flat, only_host};

/// A package for both platforms that stands on a base.
fn based(base: &str) -> World {
    let world = World::committed("1.0.0");
    rebase(&world, base);
    world
}

fn rebase(world: &World, base: &str) {
    let image = format!("[package.metadata.dockless.image]\nbase = {base:?}\n");
    let network = "[workspace.metadata.dockless.network]\nretries = 1\n";
    world.package("", "tool", "1.0.0", &format!("{image}{network}"));
}

/// A base in the registry, and a package that stands on it and has it pinned.
fn pinned(registry: &Registry, name: &str, text: &str) -> (World, String) {
    let base = format!("{}/{name}", registry.host);
    let world = based(&base);
    let digest = put(&world, registry, text, name);
    world.run("image -q --update-base").ends_with(0);
    fs::remove_dir_all(world.path("layout")).unwrap();
    (world, digest)
}

/// The image in dist/, on the base of this text with this digest.
#[track_caller]
fn assert_on(world: &World, text: &str, digest: &str) {
    let holds = |text: &str| flat::What::File(sha256(text.as_bytes()));
    for architecture in ["amd64", "arm64"] {
        let platform = format!("linux/{architecture}");
        let image = flat::of_layout(&world.path("dist/images/tool"), Some(&platform));
        assert_eq!(image.tree["shared"].what, holds(text), "{platform}");
        assert_eq!(image.tree["architecture"].what, holds(architecture));
        assert!(image.tree.contains_key("usr/local/bin/tool"), "{platform}");
        let label = &image.config["config"]["Labels"]["org.opencontainers.image.base.digest"];
        assert_eq!(label, digest);
    }
}

/// Requests that bring blobs, other than configs, of the base that was made last.
fn layers_asked<'a>(world: &World, requests: &'a [String]) -> Vec<&'a String> {
    let layout = world.path("layout/blobs/sha256");
    let is_layer = |request: &&String| {
        let digest = request.rsplit_once("sha256:").map_or("", |(_, digest)| digest);
        fs::read(layout.join(digest)).is_ok_and(|bytes| bytes.starts_with(&[0x1f, 0x8b]))
    };
    let gets = requests.iter().filter(|it| it.starts_with("GET ") && it.contains("/blobs/"));
    gets.filter(is_layer).collect()
}

#[test]
fn a_base_is_pinned_before_it_is_used() {
    let Some(registry) = Registry::shared() else { return };
    let name = format!("{}/bases/pinned:1", registry.host);
    let world = based(&name);
    let digest = put(&world, registry, "pinned", "bases/pinned:1");
    for args in ["image", "release --snapshot", "image --push --repository localhost/x"] {
        let refusal = world.run(args);
        refused(&refusal, &name).says("--update-base").never_says("Compiling");
        assert!(!world.path("dockless.lock").exists(), "{args}");
        assert!(!world.dist().exists(), "{args}");
    }
    world.run("image -q --update-base").ends_with(0);
    let lock = world.read("dockless.lock");
    let lines: Vec<&str> = lock.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, [format!("{name}@{digest}")]);
    world.run("image -q").ends_with(0);
    assert_on(&world, "pinned", &digest);
    world.run("image validate oci:dist/images/tool").ends_with(0);
    // Only the one who is asked to writes it.
    fs::remove_dir_all(world.dist()).unwrap();
    world.run("release --snapshot").ends_with(0);
    assert_on(&world, "pinned", &digest);
    assert_eq!(world.read("dockless.lock"), lock);
    world.run("image -q --update-base").ends_with(0);
    assert_eq!(world.read("dockless.lock"), lock, "the same twice");
}

#[test]
fn a_tag_that_moves_moves_no_image() {
    let Some(registry) = Registry::shared() else { return };
    let (world, old) = pinned(registry, "bases/moving:1", "old");
    let new = put(&world, registry, "new", "bases/moving:1");
    assert_ne!(old, new);
    world.run("image -q").ends_with(0);
    assert_on(&world, "old", &old);
    // Nor without anything in the cache.
    fs::remove_dir_all(world.outside("cache")).unwrap();
    fs::remove_dir_all(world.dist()).unwrap();
    world.run("image -q").ends_with(0);
    assert_on(&world, "old", &old);
    world.run("image -q --update-base").ends_with(0);
    assert!(world.read("dockless.lock").contains(&new));
    assert!(!world.read("dockless.lock").contains(&old));
    world.run("image -q").ends_with(0);
    assert_on(&world, "new", &new);
}

#[test]
fn a_base_in_the_cache_takes_no_registry() {
    let Some(registry) = Registry::own(Software::V3, Access::Open, "127.0.0.1") else { return };
    let (world, digest) = pinned(&registry, "bases/offline:1", "offline");
    world.run("image -q").ends_with(0);
    assert_on(&world, "offline", &digest);
    let made = contents(&world.dist());
    drop(registry);
    for args in ["image -q", "image -q --offline", "release --snapshot --offline"] {
        fs::remove_dir_all(world.dist()).unwrap();
        world.run(args).ends_with(0);
        assert_on(&world, "offline", &digest);
    }
    fs::remove_dir_all(world.dist()).unwrap();
    world.run("image -q").ends_with(0);
    assert_eq!(contents(&world.dist()), made);
    // What is made without a cache leaves none, and cannot be made so without the registry.
    refused(&world.run("image -q --no-cache"), "bases/offline").never_says("Compiling");
    // What is nowhere to be had is an error that says where it was looked for.
    fs::remove_dir_all(world.outside("cache")).unwrap();
    let offline = world.run("image -q --offline");
    refused(&offline, "bases/offline").never_says("Compiling");
    assert_eq!(contents(&world.dist()), made, "what was there stays");
}

/// What folders and links a base has is read once, of all its layers; a base that is known
/// needs none of them to be built on.
#[test]
fn the_layers_of_a_base_are_read_once() {
    let Some(registry) = Registry::shared() else { return };
    let (world, digest) = pinned(registry, "bases/read:1", "read");
    put(&world, registry, "read", "bases/read:1");
    fs::remove_dir_all(world.outside("cache")).unwrap();
    let reads = |args: &str| {
        let before = registry.all_requests("bases/read").len();
        world.run(args).ends_with(0);
        let asked = registry.all_requests("bases/read").split_off(before);
        layers_asked(&world, &asked).len()
    };
    let push = format!("image -q --push --repository {}/bases/readers", registry.host);
    assert_eq!(reads(&push), 3, "each layer once");
    for forgotten in ["blob", "archive"] {
        fs::remove_dir_all(world.outside("cache").join(forgotten)).ok();
        assert_eq!(reads(&push), 0, "the base is known");
    }
    // Other files, at places that nobody asked for before.
    let files = r#"files = [{ to = "/tmp/x/" }, { from = "LICENSE", to = "/lib/" }]"#;
    let manifest = world.read("Cargo.toml").replace("base = ", &format!("{files}\nbase = "));
    world.file("Cargo.toml", &manifest);
    fs::remove_dir_all(world.outside("cache/blob")).unwrap();
    assert_eq!(reads(&push), 0, "the base is known");
    // Where nothing is kept, it is read each time; a dry run reads nothing.
    assert_eq!(reads(&format!("{push} --no-cache")), 3);
    fs::remove_dir_all(world.outside("cache")).unwrap();
    assert_eq!(reads("image --dry-run"), 0);
    assert_eq!(reads("image -q"), 3);
    assert_on(&world, "read", &digest);
}

/// A registry that has the base's layers is told to use them, and nobody else sees them,
/// once it is known what they hold.
#[test]
fn a_push_beside_the_base_downloads_no_layer() {
    let Some(registry) = Registry::shared() else { return };
    let (world, _) = pinned(registry, "bases/near:1", "near");
    let digest = put(&world, registry, "near", "bases/near:1");
    fs::remove_dir_all(world.outside("cache/blob")).unwrap();
    let before = registry.requests("bases/near").len();
    let repository = format!("{}/bases/beside", registry.host);
    let pushed = world.run(&format!("image -q --push --repository {repository}"));
    let reference = pushed.ends_with(0).line().to_owned();
    let asked = registry.requests("bases/near").split_off(before);
    assert_eq!(layers_asked(&world, &asked), Vec::<&String>::new(), "{asked:#?}");
    let there = registry.requests("bases/beside/tool");
    // Two programs and two configs are brought; the base's three layers are not.
    let puts = there.iter().filter(|it| it.starts_with("PUT ") && it.contains("/blobs/"));
    assert_eq!(puts.count(), 4, "{there:#?}");
    let mounted =
        there.iter().filter(|it| it.contains("mount=") && it.contains("from=bases%2Fnear"));
    assert!(mounted.count() >= 3, "{there:#?}");
    world.run(&format!("image validate {reference}")).ends_with(0);
    fs::remove_dir_all(world.dist()).unwrap();
    world.run(&format!("image copy {reference} oci:dist/images/tool")).ends_with(0);
    assert_on(&world, "near", &digest);
}

/// Where the layers have to be brought, they come from the base's registry, once.
#[test]
fn a_push_elsewhere_brings_the_layers_of_the_base() {
    let Some(registry) = Registry::shared() else { return };
    let Some(elsewhere) = Registry::of(Software::V2, Access::Open) else { return };
    let (world, _) = pinned(registry, "bases/far:1", "far");
    put(&world, registry, "far", "bases/far:1");
    fs::remove_dir_all(world.outside("cache")).unwrap();
    let before = registry.all_requests("bases/far").len();
    let args = format!("image -q --push --repository {}/bases/elsewhere", elsewhere.host);
    let reference = world.run(&args).ends_with(0).line().to_owned();
    world.run(&format!("image validate {reference}")).ends_with(0);
    let there = elsewhere.requests("bases/elsewhere/tool");
    assert!(!there.iter().any(|it| it.contains("mount=")), "{there:#?}");
    let asked = registry.all_requests("bases/far").split_off(before);
    let layers = layers_asked(&world, &asked);
    assert_eq!(layers.len(), 3, "each layer once: {layers:#?}");
    let first = registry.all_requests("bases/far").len();
    // Once it is there, nothing of the base is asked for.
    fs::remove_dir_all(world.outside("cache/blob")).unwrap();
    assert_eq!(world.run(&args).ends_with(0).line(), reference);
    let asked = registry.all_requests("bases/far").split_off(first);
    assert_eq!(layers_asked(&world, &asked), Vec::<&String>::new(), "{asked:#?}");
}

#[test]
fn a_base_that_cannot_be_had_is_named() {
    let Some(registry) = Registry::shared() else { return };
    let missing = format!("{}/bases/missing:1", registry.host);
    let world = based(&missing);
    refused(&world.run("image --update-base"), &missing);
    assert!(!world.path("dockless.lock").exists());
    // One that is for other machines.
    let layout = Layout::at(&world.path("layout"));
    let image = layout.image_for("s390x", &[&tar(&[file("a", "a")])]);
    let descriptor = layout.json(INDEX, &index(&[image]));
    layout.name(&[descriptor]);
    let name = format!("{}/bases/s390x:1", registry.host);
    world.run(&format!("image copy oci:layout {name}")).ends_with(0);
    rebase(&world, &name);
    let updated = world.run("image --update-base");
    let refusal = if updated.code == Some(0) { world.run("image") } else { updated };
    refused(&refusal, &name).says("linux/s390x").says(&format!("linux/{}", here()));
    refusal.never_says("Compiling");
    // One whose digest is gone from where it was.
    let (world, digest) = pinned(registry, "bases/gone:1", "gone");
    let lock = world.read("dockless.lock").replace(&digest[7..], &"0".repeat(64));
    world.file("dockless.lock", &lock);
    refused(&world.run("image"), &"0".repeat(64)).says("bases/gone").never_says("Compiling");
}

#[test]
fn a_lock_that_is_malformed_is_said_by_its_line() {
    let Some(registry) = Registry::shared() else { return };
    let (world, digest) = pinned(registry, "bases/lock:1", "lock");
    let (name, lock) = (format!("{}/bases/lock:1", registry.host), world.read("dockless.lock"));
    let line = format!("{name}@{digest}");
    for wrong in [
        "what is this",
        &*name,
        &format!("{name}@sha256:12"),
        &format!("{name}@sha512:{}", "0".repeat(128)),
        &format!("{name} {digest}"),
        &format!("a b@{digest}"),
        &format!("@{digest}"),
        "<<<<<<< HEAD",
    ] {
        world.file("dockless.lock", &format!("# made by hand\n\n{line}\n{wrong}\n"));
        refused(&world.run("image"), "dockless.lock").says("line 4").never_says("Compiling");
    }
    // Two that differ are a merge that went wrong.
    let other = format!("{name}@sha256:{}", "0".repeat(64));
    world.file("dockless.lock", &format!("{line}\n{other}\n"));
    refused(&world.run("image"), "dockless.lock").says("line 2");
    // What is lawful: comments, empty lines, the line ends of Windows, others' bases.
    let others = format!("# mine\r\n\r\nghcr.io/acme/base:1@{digest}\r\n{line}\r\n");
    world.file("dockless.lock", &others);
    world.run("image -q").ends_with(0);
    assert_eq!(world.read("dockless.lock"), others);
    world.file("dockless.lock", &lock);
    world.run("image -q").ends_with(0);
}

/// Every package's base has a line, and those that nobody stands on any more have none.
#[test]
fn the_lock_holds_what_the_packages_stand_on() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::workspace(&[("one", "1.0.0"), ("two", "1.0.0")], "");
    let stand = |package: &str, base: &str| {
        let base = format!("{}/{base}", registry.host);
        let image = format!("[package.metadata.dockless.image]\nbase = {base:?}\n");
        world.package(package, package, "1.0.0", &format!("{}{image}", only_host()));
    };
    let make = |base: &str, text: &str| {
        format!("{}/{base}@{}", registry.host, put(&world, registry, text, base))
    };
    let update = |args: &str| {
        world.run(&format!("image -q --update-base{args}")).ends_with(0);
        let lock = world.read("dockless.lock");
        let lines = lock.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    stand("one", "bases/of-one:1");
    stand("two", "bases/of-two:1");
    let old = ["one", "two"].map(|it| make(&format!("bases/of-{it}:1"), it));
    assert_eq!(update(""), old);
    world.run("image -q").ends_with(0);
    // Of two bases that moved, one is asked for.
    let new = ["one", "two"].map(|it| make(&format!("bases/of-{it}:1"), &format!("new {it}")));
    assert_eq!(update(" --package two"), [&*old[0], &new[1]]);
    assert_eq!(update(" --package one"), new);
    stand("two", "bases/of-one:1");
    assert_eq!(update(""), new[..1]);
    // What cannot be had for one of them changes nothing for the other.
    make("bases/of-one:1", "newest");
    stand("two", "bases/of-nobody:1");
    refused(&world.run("image --update-base"), "bases/of-nobody:1");
    assert!(world.read("dockless.lock").contains(&new[0]));
}

/// A base may be in a registry that not everybody may look into.
#[test]
fn a_base_may_take_a_login() {
    let Some(registry) = Registry::of(Software::V3, Access::Token) else { return };
    let name = format!("{}/bases/private:1", registry.host);
    let world = based(&name);
    let digest = put(&world, registry, "private", "bases/private:1");
    let mut nobody = world.tool(["image", "--update-base"]);
    nobody.env("DOCKER_CONFIG", world.outside("nothing"));
    refused(&run(&mut nobody), &registry.host).says("docker login");
    run(&mut tool(&world, registry, "image -q --update-base")).ends_with(0);
    let made = run(&mut tool(&world, registry, "image -vv"));
    discreet(made.ends_with(0));
    assert_on(&world, "private", &digest);
}

/// The SBOMs of the image in dist/ for a platform: what they say of the SBOMs of the base.
fn sboms_of_the_base(world: &World) -> BTreeSet<String> {
    let names = crate::world::names(&world.dist()).into_iter();
    let mut named = BTreeSet::new();
    for name in names.filter(|name| name.ends_with(".image.spdx.json")) {
        let text: Value = serde_json::from_str(&world.read(&format!("dist/{name}"))).unwrap();
        let parts = text["packages"].as_array().unwrap().iter();
        let references = parts.filter_map(|part| part["externalRefs"].as_array()).flatten();
        let sboms = references.filter(|it| it["referenceType"] == "sbom");
        named.extend(sboms.map(|it| it["referenceLocator"].as_str().unwrap().to_owned()));
    }
    named
}

#[test]
fn the_sboms_of_a_base_are_noted_with_it() {
    for software in [Software::V3, Software::Referrers] {
        let Some(registry) = Registry::of(software, Access::Open) else { continue };
        let host = &*registry.host;
        let theirs = project();
        let args = format!("image -q --push --sbom --repository {host}/bases/told");
        run(&mut tool(&theirs, registry, &args)).ends_with(0);
        let base = format!("{host}/bases/told/tool:1.0.0");
        let world = based(&base);
        let updated = run(&mut tool(&world, registry, "image -q --update-base"));
        updated.ends_with(0).never_says("warning:");
        let lock = world.read("dockless.lock");
        assert_eq!(lock.matches(" sbom sha256:").count(), 4, "two of each platform: {lock}");
        let named = sboms_of_the_base(&world);
        assert_eq!(named.len(), 3, "{named:?}");
        for place in &named {
            let (repository, digest) =
                place.strip_prefix("oci://").unwrap().split_once('@').unwrap();
            assert_eq!(repository, format!("{host}/bases/told/tool"));
            assert!(lock.contains(digest), "{digest} in {lock}");
            let path = format!("/v2/bases/told/tool/manifests/{digest}");
            let found = ask(host, "GET", &path, &[("accept", MANIFEST)], b"");
            assert_eq!(found.status, 200, "{place}");
        }
        // The same without the network, and without those that the base gets later.
        run(&mut tool(&world, registry, "image -q")).ends_with(0);
        assert_eq!(sboms_of_the_base(&world), named);
        // BuildKit keeps an attestation beside the image in its index.
        let path = "/v2/bases/told/tool/manifests/1.0.0";
        let index = ask(host, "GET", path, &[("accept", INDEX)], b"");
        let mut index: Value = serde_json::from_slice(&index.body).unwrap();
        let of = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let config = put_bytes(host, "bases/told/tool", "application/vnd.oci.empty.v1+json", b"{}");
        let kind = "application/vnd.in-toto+json";
        let mut layer = put_bytes(host, "bases/told/tool", kind, b"{\"a\":1}");
        layer["annotations"] =
            serde_json::json!({ "in-toto.io/predicate-type": "https://spdx.dev/Document" });
        let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": MANIFEST,
                                           "config": config, "layers": [layer] });
        let text = manifest.to_string();
        let mut entry = put_bytes(host, "bases/told/tool", MANIFEST, text.as_bytes());
        entry["platform"] = serde_json::json!({ "os": "unknown", "architecture": "unknown" });
        entry["annotations"] = serde_json::json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of,
        });
        index["manifests"].as_array_mut().unwrap().push(entry.clone());
        let put = ask(
            host,
            "PUT",
            "/v2/bases/told/tool/manifests/2.0.0",
            &[("content-type", INDEX)],
            index.to_string().as_bytes(),
        );
        assert_eq!(put.status, 201);
        rebase(&world, &base.replace("1.0.0", "2.0.0"));
        run(&mut tool(&world, registry, "image -q --update-base")).ends_with(0);
        let expected = format!("    {of} sbom {}\n", entry["digest"].as_str().unwrap());
        let lock = world.read("dockless.lock");
        assert!(lock.contains(&expected), "{expected} in {lock}");
        // A lock that is no longer one.
        world.file("dockless.lock", &lock.replace(" sbom sha256:", " sbom sha512:"));
        world.run("image").ends_with(1).says("dockless.lock line ").says("--update-base");
        world.file("dockless.lock", &expected);
        world.run("image").ends_with(1).says("dockless.lock line 1: it is of no base");
    }
}
