//! What others make of the examples' manifests, once their images are in a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_yaml::Value;

use super::*;
use crate::world::engines::Docker;
use crate::world::{judge, said};

/// The oldest version of Kubernetes that the examples are for: the first in which a container
/// sleeps before its end without a program to do so.
const OLDEST: u32 = 30;

/// Groups of kinds that Kubernetes itself has; the one without a name is `v1` alone.
/// <https://kubernetes.io/docs/reference/kubernetes-api/>
pub const BUILT_IN: [&str; 12] = [
    "v1",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// This repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What `resolve -f examples/` prints in this repository, for this machine's platform alone.
pub fn examples(registry: &Registry) -> &'static str {
    static RESOLVED: OnceLock<String> = OnceLock::new();
    RESOLVED.get_or_init(|| {
        let world = World::empty();
        let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
        let args = format!("-f examples/ --platform {platform}");
        let mut tool = resolving(&world, &registry.host, "resolve-examples", &args);
        let resolved = run(tool.current_dir(repository()).env_remove("CARGO_NET_OFFLINE"));
        resolved.ends_with(0).stdout.clone()
    })
}

/// The documents of a text that are none of nothing.
pub fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let documents = documents.map(|it| serde::Deserialize::deserialize(it).unwrap());
    documents.filter(|document: &Value| !document.is_null()).collect()
}

pub fn group(document: &Value) -> &str {
    let version = document["apiVersion"].as_str().unwrap_or_else(|| panic!("{document:?}"));
    version.split_once('/').map_or(version, |(group, _)| group)
}

/// Every reference is replaced, and the images are there and run.
#[test]
fn the_examples_have_images() {
    let Some(registry) = Registry::shared() else { return };
    let resolved = examples(registry);
    let named: BTreeSet<&str> = references(resolved).into_iter().collect();
    let names: BTreeSet<&str> = named
        .iter()
        .filter_map(|it| it.strip_prefix(&format!("{}/resolve-examples/", registry.host)))
        .filter_map(|it| it.split_once('@').map(|(name, _)| name))
        .collect();
    assert!(names.contains("source-ip"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("oauth2-proxy")), "{names:?}");
    let values = |line: &&str| line.contains("dockless://") && !line.trim_start().starts_with('#');
    let left: Vec<&str> = resolved.lines().filter(values).collect();
    assert!(left.is_empty(), "{left:?}");
    let Some(docker) = Docker::shared() else { return };
    for reference in named.iter().filter(|it| it.contains("/resolve-examples/")) {
        docker.command(["pull", "-q", reference]).ends_with(0);
        // A service goes on until it is stopped; what cannot be started is an error here.
        let name = format!("resolve-example-{}", digest(reference).replace(':', "-"));
        let options = ["run", "--detach", "--network=none", "--name", &name, reference];
        docker.command(options).ends_with(0);
        let format = "--format={{.State.Status}} {{.State.ExitCode}}";
        let state = docker.command(["inspect", format, &name]);
        assert_eq!(state.ends_with(0).line(), "running 0", "{reference}: {state:?}");
        docker.command(["rm", "--force", &name]).ends_with(0);
    }
}

/// kubernetes-validate knows the schemas of Kubernetes' own kinds, in each version since.
/// Others, such as Traefik's, are left out by it, and that is said.
#[test]
fn schemas_of_each_version_accept_the_examples() {
    let Some(program) = judge("kubernetes-validate") else { return };
    let Some(registry) = Registry::shared() else { return };
    let resolved = examples(registry);
    let world = World::empty();
    world.file("resolved.yaml", resolved);
    let newest = run(&mut world.with(&program, ["--version"]));
    let newest: u32 = newest.ends_with(0).stdout.split('.').nth(1).unwrap().parse().unwrap();
    assert!(newest > OLDEST, "{newest}");
    let mut judging = world.with(&program, ["--strict"]);
    for minor in OLDEST..=newest {
        judging.args(["-k", &format!("1.{minor}")]);
    }
    let judged = run(judging.arg("resolved.yaml"));
    judged.ends_with(0);
    let documents = documents(resolved);
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        documents.iter().partition(|document| BUILT_IN.contains(&group(document)));
    let mut passed = BTreeMap::<&str, usize>::new();
    for line in judged.stdout.lines().filter(|line| line.contains(" passed for resource ")) {
        *passed.entry(line.rsplit(' ').next().unwrap()).or_default() += 1;
    }
    let expected: Vec<(String, usize)> =
        (OLDEST..=newest).map(|minor| (format!("1.{minor}"), own.len())).collect();
    let passed: Vec<(String, usize)> =
        passed.into_iter().map(|(version, count)| (version.to_owned(), count)).collect();
    assert_eq!(passed, expected, "{}", judged.stdout);
    let kinds: BTreeSet<String> =
        others.iter().map(|it| format!("{}/{}", group(it), it["kind"].as_str().unwrap())).collect();
    said(&format!(
        "kubernetes-validate: {} documents pass in 1.{OLDEST} to 1.{newest}, \
         {} are left out: {kinds:?}",
        own.len(),
        others.len(),
    ));
}

/// The judge can fail: it refuses a document with a key that no version has.
#[test]
fn schemas_refuse_what_kubernetes_does_not_know() {
    let Some(program) = judge("kubernetes-validate") else { return };
    let world = World::empty();
    world.file("wrong.yaml", &pod("a", "nginx\n    imagePolicy: Always"));
    let judged = run(&mut world.with(program, ["--strict", "wrong.yaml"]));
    assert_eq!(judged.code, Some(1), "{}", judged.stdout);
    assert!(judged.stdout.contains("imagePolicy"), "{}", judged.stdout);
}

/// What is in the examples' folders is found: each manifest there is in the output.
#[test]
fn no_manifest_of_the_examples_is_forgotten() {
    let Some(registry) = Registry::shared() else { return };
    let resolved = documents(examples(registry)).len();
    let mut there = 0;
    for example in ["source-ip", "oauth2-proxy"] {
        let folder = repository().join("examples").join(example).join("deploy");
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "yaml" || it == "yml") {
                there += documents(&fs::read_to_string(&path).unwrap()).len();
            }
        }
    }
    assert!(there > 0 && resolved >= there, "{resolved} documents of {there}");
}
