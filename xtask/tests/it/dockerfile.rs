//! The Dockerfile makes the image that the native way makes.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::images::overlays;
use super::slots;
use super::world::builders::{self, Builder};
use super::world::flat::{self, Flat};
use super::world::registries::Registry;
use super::world::{HOST, World, judge, names, run};

/// A package with everything in its image that the settings know, in the words that
/// parsers trip over.
fn project() -> World {
    let world = World::empty();
    let image = r##"
description = "says \"$HOME\" and C:\\dir\\"
license = "MIT"

[package.metadata.dockless]
# A build from sources is cargo's alone.
auditable = false
env = { MORE = "a $b 'c' \\d" }

[package.metadata.dockless.image]
cmd = ["$HOME", "a\nb", "it's", "back\\slash", "quo\"te"]
env = { GREETING = "hello $USER \"you\" \\", EMPTY = "" }
ports = ["8080", "53/udp"]
volumes = ["/data", "/var/lib/a b"]
workdir = "/data/work"
stop-signal = "SIGINT"
user = "1000:2000"
bin-dir = "/opt/my-app"
labels = { "com.acme.team" = "plat $form\\", "com.acme.two words" = "#x" }
files = [
    { from = "assets", to = "/srv/assets", owner = "7:8" },
    { from = "LICENSE", to = "/etc/passwd.d/", mode = "0600" },
    { to = "/cache/", mode = "1777" },
]
"##;
    let dependency = "\n[dependencies]\ndockless-version = { path = \"slot\" }\n";
    world.package("", "tool", "1.0.0", &format!("{image}{dependency}")).file("LICENSE", "free\n");
    slots::vendor(&world, "slot", "0.1.0");
    world.file("assets/a/b.txt", "b\n").file("assets/run.sh", "#!/bin/sh\n");
    std::os::unix::fs::symlink("a/b.txt", world.path("assets/link")).unwrap();
    world.file(
        "src/main.rs",
        r#"fn main() {
    println!("{:?} {:?}", option_env!("DOCKLESS_VERSION"), option_env!("MORE"));
    println!("{:?} {:?}", dockless_version::version(), dockless_version::commit());
}"#,
    );
    world.lock();
    world.commit();
    world
}

/// What a container is told, without what only one builder writes.
fn told(flat: &Flat) -> Value {
    let mut config = flat.config["config"].clone();
    let told = config.as_object_mut().unwrap();
    // BuildKit's, about Windows; and Docker's, about images on top of this one.
    told.remove("ArgsEscaped");
    told.remove("OnBuild");
    // No two variables have one name, so that their order says nothing.
    let env = told["Env"].as_array_mut().unwrap();
    env.sort_by_key(Value::to_string);
    // Of arm64, BuildKit leaves the variant out.
    serde_json::json!({
        "architecture": flat.config["architecture"],
        "os": flat.config["os"],
        "config": config,
    })
}

fn compare(builder: &Builder<'_>, native: &Flat, platform: &str, stage: &str, args: &[&str]) {
    let place = "dist/docker/tool/Dockerfile";
    let built = builder.build(place, platform, args);
    let what = format!("{stage} for {platform} by {}", builder.name());
    assert_eq!(told(&built), told(native), "{what}");
    let ours: BTreeMap<_, _> = native.tree.iter().collect();
    for (path, node) in &built.tree {
        assert_eq!(Some(&node), ours.get(path), "/{path} of {what}");
    }
    assert_eq!(built.tree.len(), ours.len(), "{what}");
}

/// Entry by entry, and key by key, whoever builds it and of which stage.
#[test]
fn both_stages_make_the_native_image_in_both_builders() {
    let world = project();
    world.run("dockerfile --prebuilt -q").ends_with(0);
    world.run("image -q").ends_with(0);
    let layout = world.path("dist/images/tool");
    let both = [builders::buildah(&world), builders::buildkit(&world)];
    for builder in both.iter().flatten() {
        for platform in ["linux/amd64", "linux/arm64"] {
            let native = flat::of_layout(&layout, Some(platform));
            compare(builder, &native, platform, "the stage build", &[]);
            let prebuilt = ["--build-arg", "BINARIES=prebuilt"];
            compare(builder, &native, platform, "the stage prebuilt", &prebuilt);
        }
    }
}

/// Folders of a base in a registry stay as they are, and its links are gone through, whoever
/// puts files into them.
#[test]
fn a_base_in_a_registry_is_kept_by_both_ways() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::quick("1.0.0");
    world.file("assets/a.so", "a").file("assets/more/b.so", "b");
    let platform = if HOST.starts_with("aarch64") { "linux/arm64" } else { "linux/amd64" };
    let Some(builder) = builders::buildah(&world) else { return };
    for (name, layers) in [("distroless", overlays::distroless()), ("linked", overlays::linked())] {
        let base = format!("{}/bases/docker-{name}", registry.host);
        overlays::put(&world, &layers);
        let pushed = world.run(&format!("image copy oci:base {base}:latest"));
        builder.pull(pushed.ends_with(0).line());
        for files in overlays::FILES {
            overlays::set(&world, &base, files);
            world.run("image -q --update-base").ends_with(0);
            world.run("dockerfile --prebuilt -q").ends_with(0);
            let native = flat::of_layout(&world.path("dist/images/tool"), None);
            let prebuilt = ["--build-arg", "BINARIES=prebuilt"];
            let built = builder.build("dist/docker/tool/Dockerfile", platform, &prebuilt);
            let what = format!("{name} with {files}");
            for (path, node) in &built.tree {
                assert_eq!(native.tree.get(path), Some(node), "/{path} of {what}");
            }
            assert_eq!(built.tree.len(), native.tree.len(), "{what}");
        }
    }
}

/// The linter of Dockerfiles has nothing to say.
#[test]
fn hadolint_is_silent() {
    let Some(hadolint) = judge("hadolint") else { return };
    let world = World::committed("1.0.0");
    let dockerfile = world.run("dockerfile -q");
    let linted = run(&mut world.with(hadolint, [dockerfile.ends_with(0).line()]));
    assert_eq!((linted.code, linted.stdout.as_str()), (Some(0), ""), "{linted:?}");
}

/// Only its own part of dist/ is made anew, and what is not ours is left alone.
#[test]
fn a_dockerfile_replaces_only_what_this_tool_wrote() {
    let world = World::committed("1.0.0");
    world.run("archive -q").ends_with(0);
    let before = names(&world.dist());
    let printed = world.run("dockerfile -q");
    let path = world.path("dist/docker/tool/Dockerfile");
    assert_eq!(printed.ends_with(0).line(), path.display().to_string());
    let expected = ["Dockerfile", "Dockerfile.dockerignore", "rootfs.tar"];
    assert_eq!(names(path.parent().unwrap()), expected);
    let mut all = before.clone();
    all.push("docker".to_owned());
    all.sort();
    assert_eq!(names(&world.dist()), all);
    // The other parts leave it.
    world.run("image -q").ends_with(0);
    assert!(path.is_file());

    world.run("dockerfile -q --output build/docker").ends_with(0);
    let text = world.read("build/docker/Dockerfile");
    assert!(text.contains("ADD build/docker/rootfs.tar /\n"), "{text}");
    world.run("dockerfile -q --output build/docker").ends_with(0);
    world.file("build/docker/Dockerfile", "FROM scratch\n");
    let refused = world.run("dockerfile --output build/docker");
    refused.ends_with(1).no_result().says("was not written by dockless, so it is not replaced");
    assert_eq!(world.read("build/docker/Dockerfile"), "FROM scratch\n");
    let outside = world.outside("elsewhere");
    let refused = world.run(&format!("dockerfile --output {}", outside.display()));
    refused.ends_with(1).says("no folder that a build of the workspace can name");
}

/// A line break in a label cannot be said, and a base in a folder cannot be named.
#[test]
fn what_a_dockerfile_cannot_say_is_an_error() {
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    let set = |image: &str| {
        let text = format!("{manifest}[package.metadata.dockless.image]\n{image}\n");
        fs::write(world.path("Cargo.toml"), text).unwrap();
        world.run("dockerfile")
    };
    set("labels = { a = \"one\\ntwo\" }").ends_with(1).says("write it in one line");
    let stored = set("base = \"oci:base\"");
    stored.ends_with(1).says("a Dockerfile cannot name the base").says("use the builtin base");
    set("base = \"gcr.io/distroless/static-debian13\"").ends_with(1).says("image --update-base");
    let pinned = format!("gcr.io/distroless/static-debian13@sha256:{}", "ab".repeat(32));
    set(&format!("base = {pinned:?}")).ends_with(0);
    let text = world.read("dist/docker/tool/Dockerfile");
    assert!(text.contains(&format!("\nFROM {pinned}\nADD ")), "{text}");
    assert!(!text.contains("PATH="), "the base's own counts: {text}");
}
