//! The commands that skaffold and Tilt run, as their pages have them, with the variables that these
//! programs set.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::world::engines::Docker;
use crate::world::registries::Registry;
use crate::world::{HOST, Run, World, run};

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/how-to");
    fs::read_to_string(docs.join(name)).unwrap()
}

/// The platform of this machine.
fn here() -> &'static str {
    if HOST.starts_with("x86") { "linux/amd64" } else { "linux/arm64" }
}

fn project() -> World {
    let world = World::empty();
    world.package("", "mytool", "1.0.0", "").file("LICENSE", "free\n");
    world.file("src/main.rs", "fn main() { println!(\"runs\") }\n").lock();
    world.commit();
    world
}

/// Runs a command as both do it: by a shell, in the project.
fn typed(world: &World, command: &str, vars: &[(&str, String)], docker: &Docker) -> Run {
    let tool = Path::new(env!("CARGO_BIN_EXE_cargo-dockless")).parent().unwrap();
    let path: OsString = format!("{}:{}", tool.display(), std::env::var("PATH").unwrap()).into();
    let mut shell = world.with("sh", ["-c", command]);
    shell.env("PATH", path).envs(docker.vars());
    run(shell.envs(vars.iter().map(|(name, value)| (*name, value))))
}

/// The platforms of what a registry has by this name.
fn platforms(world: &World, name: &str) -> Vec<String> {
    let found = world.run(&format!("image inspect --json {name}")).ends_with(0).json();
    let images = found["images"].as_array().unwrap().iter();
    images.map(|image| image["platform"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn skaffolds_custom_builder() {
    let (Some(registry), Some(docker)) = (Registry::shared(), Docker::shared()) else { return };
    let page = page("skaffold.md");
    let text = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let yaml: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let custom = &yaml["build"]["artifacts"][0]["custom"];
    let command = custom["buildCommand"].as_str().unwrap();
    let world = project();
    let repository = format!("{}/skaffold/mytool", registry.host);
    let vars = |tag: &str, push: &str, platforms: &str| {
        [
            ("IMAGE", format!("{repository}:{tag}")),
            ("IMAGE_REPO", repository.clone()),
            ("IMAGE_TAG", tag.to_owned()),
            ("PUSH_IMAGE", push.to_owned()),
            ("BUILD_CONTEXT", world.root().to_str().unwrap().to_owned()),
            ("PLATFORMS", platforms.to_owned()),
            ("SKIP_TEST", "false".to_owned()),
        ]
    };
    let both = vars("v1", "true", "linux/amd64,linux/arm64");
    typed(&world, command, &both, docker).ends_with(0);
    assert_eq!(platforms(&world, &both[0].1), ["linux/amd64", "linux/arm64/v8"]);
    let one = vars("v2", "true", here());
    typed(&world, command, &one, docker).ends_with(0);
    assert_eq!(platforms(&world, &one[0].1).len(), 1);
    // Older ones do not name platforms.
    for platforms in [here(), ""] {
        let local = vars("v3", "false", platforms);
        typed(&world, command, &local, docker).ends_with(0);
        assert_eq!(docker.run(&local[0].1, &[]).ends_with(0).stdout, "runs\n");
    }
    assert_eq!(registry.digest("skaffold/mytool:v3"), None, "it is pushed only where it is to be");
}

#[test]
fn tilts_custom_build() {
    let (Some(registry), Some(docker)) = (Registry::shared(), Docker::shared()) else { return };
    let page = page("tilt.md");
    let commands = page.lines().filter_map(|line| line.strip_prefix("    'cargo dockless "));
    let commands: Vec<String> =
        commands.map(|rest| format!("cargo dockless {}", rest.trim_end_matches("',"))).collect();
    let [local, pushed] = &commands[..] else { panic!("{commands:?}") };
    let world = project();
    let vars = |tag: &str| {
        [
            ("EXPECTED_REF", format!("{}/tilt/mytool:{tag}", registry.host)),
            ("EXPECTED_REGISTRY", registry.host.clone()),
            ("EXPECTED_IMAGE", "tilt/mytool".to_owned()),
            ("EXPECTED_TAG", tag.to_owned()),
            ("REGISTRY_HOST", registry.host.clone()),
        ]
    };
    let first = vars("tilt-build-1");
    typed(&world, local, &first, docker).ends_with(0);
    assert_eq!(docker.run(&first[0].1, &[]).ends_with(0).stdout, "runs\n");
    assert_eq!(registry.digest("tilt/mytool:tilt-build-1"), None);
    let second = vars("tilt-build-2");
    typed(&world, pushed, &second, docker).ends_with(0);
    assert_eq!(platforms(&world, &second[0].1).len(), 2);
}

/// A name is of one image, and the image decides its digest.
#[test]
fn a_name_is_of_one_image() {
    let world = World::workspace(&[("a", "1.0.0"), ("b", "1.0.0")], "");
    world.commit();
    let two = world.run("image --name registry.invalid/x:1");
    two.ends_with(1).no_result().says("--name names one image, and there are those of a, b");
    two.says("help: name one package with --package");
    let digest = format!("registry.invalid/x@sha256:{}", "0".repeat(64));
    let digested = world.run(&format!("image --package a --name {digest}"));
    digested.ends_with(1).no_result().says("names a digest, and an image has its own");
    let official = world.run("image --package a --push --name x:1");
    official.ends_with(1).no_result().says("a name of Docker Hub's own").never_says("Compiling");
    let both = world.run("image --package a --name x --repository y");
    both.ends_with(2).no_result().says("cannot be used with");
}
