//! Images in real registries, and what stands before them: logins, certificates, proxies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::engines::{Docker, Podman};
use crate::world::registries::certificates::Certificates;
use crate::world::registries::tokens::IDENTITY;
use crate::world::registries::{ALL, Access, PASSWORD, Registry, Software, USER, encoded};
use crate::world::sketch::{INDEX, Layout, file, here, index, tar};
use crate::world::{Run, World, judge, run, sha256};

mod bases;
mod contents;
mod copies;
mod discovered;
mod helpers;
mod logins;
mod proxies;
mod several;
mod signatures;
mod tags;
mod trust;

/// A package whose image is for both platforms, at its version's tag.
fn project() -> World {
    let world = World::empty();
    world.package("", "tool", "1.0.0", "");
    world.file("LICENSE", "free\n").lock();
    world.commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// Makes a small image for both platforms in the project's folder `layout`, and returns
/// its digest. Another text makes another image.
fn sample(world: &World, text: &str) -> String {
    let layout = Layout::at(&world.path("layout"));
    let shared = tar(&[file("shared", text)]);
    let images = ["amd64", "arm64"].map(|architecture| {
        let own = tar(&[file("architecture", architecture)]);
        layout.image_for(architecture, &[&shared, &own])
    });
    let descriptor = layout.json(INDEX, &index(&images));
    layout.name(std::slice::from_ref(&descriptor));
    descriptor["digest"].as_str().unwrap().to_owned()
}

/// The tool, with what the registry wants to see.
fn tool(world: &World, registry: &Registry, args: &str) -> Command {
    let mut tool = world.tool(args.split(' '));
    tool.envs(registry.vars(world));
    tool
}

/// Another program with the same.
fn other(world: &World, registry: &Registry, program: &Path, args: &str) -> Run {
    run(world.with(program, args.split(' ')).envs(registry.vars(world)))
}

/// Copies the sample to a name in the registry, and returns what is there then.
#[track_caller]
fn put(world: &World, registry: &Registry, text: &str, name: &str) -> String {
    let digest = sample(world, text);
    let to = format!("{}/{name}", registry.host);
    let copied = run(&mut tool(world, registry, &format!("image copy oci:layout {to}")));
    let (repository, _) = to.rsplit_once(':').unwrap();
    assert_eq!(copied.ends_with(0).line(), format!("{repository}@{digest}"));
    digest
}

/// Requests that change something.
fn writes(requests: &[String]) -> Vec<&String> {
    requests.iter().filter(|it| !it.starts_with("HEAD ") && !it.starts_with("GET ")).collect()
}

/// Requires one error, and that it tells this.
#[track_caller]
fn refused<'a>(run: &'a Run, why: &str) -> &'a Run {
    run.ends_with(1).no_result().says(why).never_says("panicked");
    let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{}", run.stderr);
    run
}

/// Requires that nothing of the logins is to be read.
#[track_caller]
fn discreet(run: &Run) -> &Run {
    let basic = encoded(USER, PASSWORD);
    for secret in [PASSWORD, "correct%20horse", "correct+horse", &basic, IDENTITY] {
        assert!(!run.stdout.contains(secret), "{secret:?} in stdout:\n{}", run.stdout);
        run.never_says(secret);
    }
    // Every token of the tests begins as its header does.
    run.never_says("eyJ")
}

/// skopeo and crane, with a copy of their own.
fn assert_read(world: &World, registry: &Registry, name: &str, digest: &str) {
    if let Some(skopeo) = judge("skopeo") {
        let pulled = world.outside("pulled");
        fs::remove_dir_all(&pulled).ok();
        let tls = registry.has_tls();
        let to = pulled.display();
        let args = format!("copy --quiet --all --src-tls-verify={tls} docker://{name} oci:{to}");
        other(world, registry, &skopeo, &args).ends_with(0);
        let valid = world.run(&format!("image validate oci:{to}"));
        assert_eq!(valid.ends_with(0).line(), digest, "{name}");
    }
    // crane sends nobody to a token server on its own machine.
    if let Some(crane) = judge("crane").filter(|_| registry.access != Access::Token) {
        let valid = other(world, registry, &crane, &format!("validate --remote {name}"));
        assert_eq!(valid.ends_with(0).line(), format!("PASS: {name}"));
        let found = other(world, registry, &crane, &format!("digest {name}"));
        assert_eq!(found.ends_with(0).line(), digest);
    }
}

/// docker and podman, whose ID of an image is its config's digest.
fn assert_pulled(world: &World, registry: &Registry, name: &str) {
    let Some(skopeo) = judge("skopeo") else { return };
    let tls = registry.has_tls();
    let args = format!(
        "inspect --config --raw --override-arch {} --tls-verify={tls} docker://{name}",
        here()
    );
    let config = other(world, registry, &skopeo, &args);
    let config = format!("sha256:{}", sha256(config.ends_with(0).stdout.as_bytes()));
    let vars = registry.vars(world);
    let var = |wanted: &str| vars.iter().find(|(it, _)| *it == wanted).unwrap().1.to_str().unwrap();
    if let Some(docker) = Docker::shared() {
        docker.command(["--config", var("DOCKER_CONFIG"), "pull", "-q", name]).ends_with(0);
        assert_eq!(docker.image_id(name), config, "{name}");
    }
    if let Some(podman) = Podman::shared() {
        let logins = format!("--authfile={}", var("REGISTRY_AUTH_FILE"));
        let pulled = podman.command(["pull", "-q", "--tls-verify=false", &logins, name]);
        assert_eq!(format!("sha256:{}", pulled.ends_with(0).line()), config, "{name}");
    }
}

/// Every registry that we have, by every way in that it has.
#[test]
fn every_registry_takes_an_image_and_everybody_pulls_it() {
    let world = project();
    let mut digests = Vec::new();
    for (software, access) in ALL {
        let what = format!("{software:?}, {access:?}");
        let Some(registry) = Registry::of(software, access) else { continue };
        let repository = format!("{}/everywhere", registry.host);
        let push = || {
            let args = format!("image -vv --push --repository {repository}");
            let pushed = run(&mut tool(&world, registry, &args));
            discreet(&pushed).ends_with(0).line().to_owned()
        };
        let reference = push();
        let (named, digest) = reference.split_once('@').unwrap();
        assert_eq!(named, format!("{repository}/tool"), "{what}");
        digests.push(digest.to_owned());
        for tag in ["1.0.0", "latest"] {
            assert_read(&world, registry, &format!("{named}:{tag}"), digest);
        }
        assert_pulled(&world, registry, &format!("{named}:1.0.0"));

        let before = registry.requests("everywhere/tool").len();
        assert_eq!(push(), reference, "{what}");
        let asked = registry.requests("everywhere/tool").split_off(before);
        assert!(!asked.is_empty(), "{what}: the registry's log was read");
        assert!(asked.iter().all(|it| it.starts_with("HEAD ")), "{what}: {asked:#?}");
    }
    digests.dedup();
    assert!(digests.len() < 2, "one digest for all: {digests:?}");
}

#[test]
fn a_second_image_brings_only_what_is_new() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    put(&world, registry, "one", "second/app:1");
    let before = registry.requests("second/app").len();
    put(&world, registry, "two", "second/app:1");
    let asked = registry.requests("second/app").split_off(before);
    let puts = |of: &str| asked.iter().filter(|it| it.starts_with(&format!("PUT {of}"))).count();
    // The shared layer and two configs; two manifests, the index, and its tag.
    assert_eq!(puts("/v2/second/app/blobs/uploads/"), 3, "{asked:#?}");
    assert!((3..=4).contains(&puts("/v2/second/app/manifests/")), "{asked:#?}");
    let tagged = asked.iter().rposition(|it| it == "PUT /v2/second/app/manifests/1");
    let last = asked.iter().rposition(|it| it.starts_with("PUT "));
    assert_eq!(tagged, last, "the tag comes last: {asked:#?}");
    assert!(tagged.is_some(), "{asked:#?}");
}
