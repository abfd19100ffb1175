//! Copies between all places that an image can be in.

use super::*;
use crate::world::names;

/// A place of each kind that nobody else uses.
fn places(registry: &Registry, other: &Registry, name: &str) -> [String; 5] {
    [
        format!("oci:{name}"),
        format!("oci-archive:{name}.tar"),
        format!("docker-archive:{name}-docker.tar"),
        format!("{}/copies/{name}:1", registry.host),
        format!("docker://{}/copies/{name}:1", other.host),
    ]
}

/// Copies an image, and requires that what is printed of a registry is the image there.
#[track_caller]
fn copy(world: &World, from: &str, to: &str, digest: &str) {
    let mut copy = world.tool(["image", "copy", from, to]);
    let repository = to.strip_suffix(":1").map(|it| it.trim_start_matches("docker://"));
    if repository.is_none() {
        copy.args(["--name", "docker.io/library/app:1"]);
    }
    let copied = run(&mut copy);
    let said = copied.ends_with(0).line();
    assert!(repository.is_none_or(|it| said == format!("{it}@{digest}")), "{to}: {said}");
}

/// What was made of an image: the digest, and for each platform its config's digest and
/// its layers'.
fn described(world: &World, place: &str) -> (String, Value) {
    // The names in docker's archive are its own; as a layout it is whole.
    let readable = place.replace("docker-archive:", "oci-archive:");
    let valid = world.run(&format!("image validate {readable}"));
    let inspected = world.run(&format!("image inspect {readable} --json")).ends_with(0).json();
    assert_eq!(inspected["digest"], valid.ends_with(0).line(), "{readable}");
    let digest = inspected["digest"].as_str().unwrap().to_owned();
    (digest, inspected["images"].clone())
}

#[test]
fn an_image_is_the_same_in_every_place() {
    let Some(registry) = Registry::shared() else { return };
    let Some(other) = Registry::of(Software::V2, Access::Open) else { return };
    let world = World::empty();
    let digest = sample(&world, "copies");
    let expected = described(&world, "oci:layout");
    assert_eq!(expected.0, digest);
    for (at, from) in places(registry, other, "from").iter().enumerate() {
        copy(&world, "oci:layout", from, &digest);
        assert_eq!(described(&world, from), expected, "{from}");
        // Of several platforms, docker's archive leads to one at a time.
        if from.starts_with("docker-archive:") {
            continue;
        }
        for to in places(registry, other, &format!("to-{at}")) {
            copy(&world, from, &to, &digest);
            assert_eq!(described(&world, &to), expected, "{from} to {to}");
        }
    }
}

/// Docker's archive knows no manifest: whatever is read from one is the same everywhere.
#[test]
fn an_archive_of_docker_goes_everywhere() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    sample(&world, "docker");
    let from = "docker-archive:from.tar";
    let platform = format!("linux/{}", here());
    let args = format!("image copy oci:layout {from} --platform {platform} --name docker.io/a/b:1");
    world.run(&args).ends_with(0);
    let expected = world.run(&format!("image inspect --json {from}")).ends_with(0).json();
    let registrys = format!("{}/copies/docker:1", registry.host);
    for to in ["oci:to", "oci-archive:to.tar", "docker-archive:again.tar", &registrys] {
        world.run(&format!("image copy {from} {to}")).ends_with(0);
        world.run(&format!("image validate {to}")).ends_with(0);
        let there = world.run(&format!("image inspect --json {to}")).ends_with(0).json();
        assert_eq!(there["digest"], expected["digest"], "{to}");
        assert_eq!(there["images"], expected["images"], "{to}");
    }
}

/// What docker saved itself, and pulls again.
#[test]
fn what_docker_saves_goes_to_a_registry() {
    let Some(registry) = Registry::shared() else { return };
    let Some(docker) = Docker::shared() else { return };
    let world = World::empty();
    put(&world, registry, "saved", "copies/saved:1");
    let to = format!("{}/copies/saved", registry.host);
    docker.command(["pull", "-q", &format!("{to}:1")]).ends_with(0);
    let saved = world.outside("saved.tar");
    docker.command(["save", "-o", saved.to_str().unwrap(), &format!("{to}:1")]).ends_with(0);
    let again = format!("{to}:again");
    world.run(&format!("image copy docker-archive:{} {again}", saved.display())).ends_with(0);
    world.run(&format!("image validate {again}")).ends_with(0);
    docker.command(["pull", "-q", &again]).ends_with(0);
    assert_eq!(docker.image_id(&again), docker.image_id(&format!("{to}:1")));
}

/// One platform of several, and the same by its digest.
#[test]
fn a_platform_can_be_copied_alone() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    let digest = put(&world, registry, "alone", "copies/alone:1");
    let from = format!("{}/copies/alone", registry.host);
    for (at, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
        let platform = format!("linux/{architecture}");
        let to = format!("{}/copies/alone-{architecture}", registry.host);
        let args = format!("image copy {from}:1 {to}:1 --platform {platform}");
        let copied = world.run(&args);
        let (_, one) = copied.ends_with(0).line().split_once('@').unwrap();
        let layout: Value = serde_json::from_slice(
            &fs::read(world.path("layout/blobs/sha256").join(&digest[7..])).unwrap(),
        )
        .unwrap();
        assert_eq!(layout["manifests"][at]["digest"], one);
        world.run(&format!("image validate {to}@{one}")).ends_with(0);
        // What is not asked for is not asked about.
        let blobs = registry.requests(&format!("copies/alone-{architecture}"));
        let puts = blobs.iter().filter(|it| it.starts_with("PUT ") && it.contains("/manifests/"));
        assert!((1..=2).contains(&puts.count()), "{blobs:#?}");
    }
    let refusal = world.run(&format!("image copy {from}:1 oci:out --platform linux/s390x"));
    refused(&refusal, "linux/s390x").says("linux/amd64");
    assert!(!world.path("out").exists());
}

/// A name with a digest is the image with that digest, or none.
#[test]
fn a_digest_is_what_it_says() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    let old = put(&world, registry, "old", "copies/digest:1");
    let new = put(&world, registry, "new", "copies/digest:1");
    let name = format!("{}/copies/digest", registry.host);
    for (image, digest) in [
        (format!("{name}:1"), &new),
        (format!("{name}@{old}"), &old),
        (format!("docker://{name}@{old}"), &old),
        (format!("{name}:1@{new}"), &new),
    ] {
        let valid = world.run(&format!("image validate {image}"));
        assert_eq!(valid.ends_with(0).line(), digest, "{image}");
    }
    let nothing = format!("{name}@sha256:{}", "0".repeat(64));
    for args in [
        format!("image validate {nothing}"),
        format!("image inspect {nothing}"),
        format!("image copy {nothing} oci:out"),
        format!("image inspect {name}:none"),
        format!("image copy {name}:none oci:out"),
    ] {
        refused(&world.run(&args), &name);
    }
    assert_eq!(names(world.root()), ["layout"]);
    // To a digest that is another image's, nothing is written.
    let wrong = world.run(&format!("image copy oci:layout {name}@{old}"));
    refused(&wrong, &old);
    let right = world.run(&format!("image copy oci:layout {name}@{new}"));
    assert_eq!(right.ends_with(0).line(), format!("{name}@{new}"));
    assert_eq!(registry.digest("copies/digest:1"), Some(new));
}

/// Within a registry nothing is brought; to another one, each blob once.
#[test]
fn a_copy_within_a_registry_moves_no_bytes() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    let digest = put(&world, registry, "within", "copies/from:1");
    let host = &registry.host;
    let before = registry.requests("copies/from").len();
    let copied = world.run(&format!("image copy {host}/copies/from:1 {host}/copies/to:1"));
    assert_eq!(copied.ends_with(0).line(), format!("{host}/copies/to@{digest}"));
    let there = registry.requests("copies/to");
    let puts = there.iter().filter(|it| it.starts_with("PUT ") && it.contains("/blobs/"));
    assert_eq!(puts.count(), 0, "{there:#?}");
    let asked = registry.requests("copies/from").split_off(before);
    let blobs = asked.iter().filter(|it| it.starts_with("GET ") && it.contains("/blobs/"));
    assert!(blobs.count() <= 2, "no more than both configs: {asked:#?}");
    let Some(elsewhere) = Registry::of(Software::Referrers, Access::Open) else { return };
    let to = format!("{}/copies/elsewhere:1", elsewhere.host);
    world.run(&format!("image copy {host}/copies/from:1 {to}")).ends_with(0);
    let there = elsewhere.requests("copies/elsewhere");
    let puts = there.iter().filter(|it| it.starts_with("PUT ") && it.contains("/blobs/"));
    assert_eq!(puts.count(), 5, "{there:#?}");
}
