//! Images that are loaded into an engine instead of being pushed.

use super::*;
use crate::world::engines::{Containerd, Docker, Kind, Podman};

/// Loads the image of a pod; returns the image that the pod has then.
fn loaded<K, V>(name: &str, engine: &str, vars: impl IntoIterator<Item = (K, V)>) -> String
where
    K: AsRef<std::ffi::OsStr>,
    V: AsRef<std::ffi::OsStr>,
{
    let world = workspace(&[name]);
    world.file("pod.yaml", &pod("a", &format!("dockless://{name}")));
    let mut tool = world.tool(["resolve", "-f", "pod.yaml", "--load", engine]);
    let resolved = run(tool.envs(vars));
    let (before, image) = resolved.ends_with(0).stdout.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(format!("{before} {image}\n"), pod("a", image), "only the image differs");
    assert!(!image.contains("dockless://"), "{image}");
    assert!(!world.dist().exists(), "what is loaded goes nowhere else");
    image.to_owned()
}

#[test]
fn docker_runs_what_a_manifest_names() {
    let Some(docker) = Docker::shared() else { return };
    let image = loaded("resolve-docker", "docker", docker.vars());
    assert_eq!(docker.run(&image, &[]).ends_with(0).stdout, "resolve-docker\n", "{image}");
}

#[test]
fn podman_runs_what_a_manifest_names() {
    let Some(podman) = Podman::shared() else { return };
    let image = loaded("resolve-podman", "podman", podman.vars());
    assert_eq!(podman.run(&image, &[]).ends_with(0).stdout, "resolve-podman\n", "{image}");
}

#[test]
fn containerd_runs_what_a_manifest_names() {
    let Some(containerd) = Containerd::shared() else { return };
    let image = loaded("resolve-containerd", "containerd", containerd.vars("resolve"));
    let ran = containerd.run("resolve", &image, &[]);
    assert_eq!(ran.ends_with(0).stdout, "resolve-containerd\n", "{image}");
}

/// A kubelet asks its containerd by the name in the manifest, in this namespace.
#[test]
fn a_node_of_kind_has_what_a_manifest_names() {
    let (Some(kind), Some(containerd)) = (Kind::shared(), Containerd::shared()) else { return };
    let image = loaded("resolve-kind", "kind", kind.vars());
    let ran = containerd.run("k8s.io", &image, &[]);
    assert_eq!(ran.ends_with(0).stdout, "resolve-kind\n", "{image}");
}

/// An engine that is not there is known before anything is compiled.
#[test]
fn an_engine_that_is_not_there_is_said_at_once() {
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    for (engine, program) in
        [("docker", "docker"), ("podman", "podman"), ("containerd", "ctr"), ("kind", "kind")]
    {
        let mut tool = world.tool(["resolve", "-f", "pod.yaml", "--load", engine]);
        let refusal = run(tool.env("PATH", world.without(&[program])));
        refused(&refusal, &format!("install {program}, or put it on PATH")).never_says("Compiling");
    }
}

/// A place to push to and an engine exclude each other, or both have the image.
#[test]
fn a_load_pushes_nothing() {
    let (Some(registry), Some(podman)) = (Registry::shared(), Podman::shared()) else { return };
    let table = format!(
        "[package.metadata.dockless.image]\nrepositories = [\"{}/resolve-load\"]\n",
        registry.host
    );
    let world = workspace_with(&["tool"], &table);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let mut tool = world.tool(["resolve", "-f", "pod.yaml", "--load", "podman"]);
    run(tool.envs(podman.vars())).ends_with(0);
    assert_eq!(registry.all_requests("resolve-load"), [""; 0]);
}
