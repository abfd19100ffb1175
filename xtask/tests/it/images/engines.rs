//! Engines load the image and run it.

use super::*;
use crate::world::engines::{Containerd, Docker, Kind, Podman};

/// Says what it finds, as `what it looked for: what it found` lines.
const PROBE: &str = r#"
use std::os::unix::fs::MetadataExt;
use std::{env, fs};

fn main() {
    let uid = fs::metadata("/proc/self").unwrap().uid();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let me = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let me = me.into_iter().find(|of| of[2] == uid.to_string()).unwrap();
    let bundle = fs::read_to_string(env::var("SSL_CERT_FILE").unwrap()).unwrap();
    println!("uid: {uid} {}", me[0]);
    println!("certificates: {}", bundle.matches("-----BEGIN CERTIFICATE-----\n").count() > 50);
    println!("zone: {}", fs::read("/usr/share/zoneinfo/Europe/Berlin").unwrap().starts_with(b"TZif"));
    println!("home: {}", fs::write(format!("{}/x", me[5]), "x").is_ok());
    println!("tmp: {}", fs::write("/tmp/x", "x").is_ok());
    println!("data: {}", fs::write("/data/x", "x").is_ok());
    println!("etc: {}", fs::write("/etc/x", "x").is_ok());
    println!("shell: {}", fs::metadata("/bin/sh").is_ok());
    println!("folder: {}", env::current_dir().unwrap().display());
    println!("args: {:?}", env::args().collect::<Vec<_>>());
}
"#;

/// The probe, in an image of this name, with a folder of data.
fn probe(name: &str) -> World {
    let world = World::empty();
    world.package(
        "",
        name,
        "1.0.0",
        "[package.metadata.dockless.image]\ncmd = [\"a b\"]\nvolumes = [\"/data\"]\n",
    );
    world.file("src/main.rs", PROBE).file("LICENSE", "free\n").lock();
    world.commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// What it says wherever it runs.
fn found(name: &str) -> String {
    format!(
        "uid: 65532 nonroot\ncertificates: true\nzone: true\nhome: true\ntmp: true\ndata: true\n\
         etc: false\nshell: false\nfolder: /home/nonroot\nargs: [\"/usr/local/bin/{name}\", \"a b\"]\n"
    )
}

/// Loads the image with these variables and returns what was printed.
fn load<K: AsRef<std::ffi::OsStr>, V: AsRef<std::ffi::OsStr>>(
    world: &World,
    engine: &str,
    vars: impl IntoIterator<Item = (K, V)>,
) -> String {
    let loaded = run(world.tool(["image", "-q", "--load", engine]).envs(vars));
    assert!(!world.dist().exists(), "what is loaded goes nowhere else");
    loaded.ends_with(0).line().to_owned()
}

#[test]
fn docker_runs_what_was_loaded() {
    let Some(docker) = Docker::shared() else { return };
    let world = probe("probe-docker");
    let id = load(&world, "docker", docker.vars());
    for name in [&*id, "probe-docker:1.0.0", "probe-docker"] {
        assert_eq!(docker.run(name, &[]).ends_with(0).stdout, found("probe-docker"), "{name}");
    }
    assert_eq!(docker.image_id("probe-docker:latest"), id);
    // All platforms from one file, each under its name.
    let tar = world.outside("all.tar");
    world.run(&format!("image -q --output docker-archive:{}", tar.display())).ends_with(0);
    docker.command(["load".as_ref(), "--input".as_ref(), tar.as_os_str()]).ends_with(0);
    assert_eq!(docker.image_id("probe-docker:1.0.0-amd64"), id);
    let arm = docker.image_id("probe-docker:1.0.0-arm64");
    assert!(arm.starts_with("sha256:") && arm != id, "{arm}");
}

#[test]
fn podman_runs_what_was_loaded() {
    let Some(podman) = Podman::shared() else { return };
    let world = probe("probe-podman");
    let reference = load(&world, "podman", podman.vars());
    let digest = printed(world.run("image -q").ends_with(0).line()).1;
    assert_eq!(reference, format!("docker.io/library/probe-podman@{digest}"));
    for name in [&*reference, "probe-podman:1.0.0", "probe-podman:latest"] {
        assert_eq!(podman.run(name, &[]).ends_with(0).stdout, found("probe-podman"), "{name}");
    }
    // A file with all platforms is for podman as it is.
    let tar = world.outside("all.tar");
    world.run(&format!("image -q --output oci-archive:{}", tar.display())).ends_with(0);
    let loaded = podman.command(["load".as_ref(), "--input".as_ref(), tar.as_os_str()]);
    assert!(loaded.ends_with(0).stdout.contains("docker.io/library/probe-podman:1.0.0"));
}

#[test]
fn containerd_runs_what_was_loaded() {
    let Some(containerd) = Containerd::shared() else { return };
    let world = probe("probe-containerd");
    let reference = load(&world, "containerd", containerd.vars("probes"));
    let name = "docker.io/library/probe-containerd";
    let digest = reference.strip_prefix(&format!("{name}@")).unwrap();
    let images = containerd.images("probes");
    let expected = [format!("{name}:1.0.0"), format!("{name}:latest"), reference.clone()];
    assert_eq!(images, expected.map(|name| (name, digest.to_owned())));
    let ran = containerd.run("probes", &reference, &[]);
    assert_eq!(ran.ends_with(0).stdout, found("probe-containerd"));
    // Every platform is there.
    let checked = containerd.command("probes", ["images", "check"]);
    assert!(!checked.ends_with(0).stdout.contains("incomplete"), "{}", checked.stdout);
}

#[test]
fn a_node_of_kind_runs_what_was_loaded() {
    let Some(kind) = Kind::shared() else { return };
    let Some(containerd) = Containerd::shared() else { return };
    let world = probe("probe-kind");
    let reference = load(&world, "kind", kind.vars());
    for name in [&*reference, "docker.io/library/probe-kind:1.0.0"] {
        let ran = containerd.run("k8s.io", name, &[]);
        assert_eq!(ran.ends_with(0).stdout, found("probe-kind"), "{name}");
    }
}

/// An engine that is not there, or does not answer, is known before anything is compiled.
#[test]
fn an_engine_that_is_not_there_is_said_at_once() {
    let world = World::committed("1.0.0");
    for (engine, program) in
        [("docker", "docker"), ("podman", "podman"), ("containerd", "ctr"), ("kind", "kind")]
    {
        let refused = run(path_without(&world, program).args(["image", "--load", engine]));
        refused.ends_with(1).no_result().never_says("Compiling");
        refused
            .says(&format!("start `{program}`"))
            .says(&format!("install {program}, or put it on PATH"));
    }
    if judge("docker").is_some() {
        let nowhere = format!("unix://{}", world.outside("nowhere").display());
        let mut docker = world.tool(["image", "--load", "docker"]);
        let refused = run(docker.env("DOCKER_HOST", &nowhere));
        refused.ends_with(1).no_result().never_says("Compiling").says(&nowhere);
        refused.says("help: start Docker, or set DOCKER_HOST to where it is");
    }
    if judge("ctr").is_some() {
        let mut ctr = world.tool(["image", "--load", "containerd"]);
        let refused = run(ctr.env("CONTAINERD_ADDRESS", world.outside("nowhere")));
        refused.ends_with(1).no_result().never_says("Compiling");
        refused.says("help: start containerd, or set CONTAINERD_ADDRESS to its socket");
    }
    assert!(!world.dist().exists());
}

/// What an engine says when it refuses is passed on.
#[test]
fn an_engine_that_refuses_is_quoted() {
    let world = World::committed("1.0.0");
    world.script(
        "bin/docker",
        "case $1 in version) echo linux/amd64 ;; *) echo 'no space left in the store' >&2; exit 1 ;; esac\n",
    );
    let mut load = world.tool(["image", "--load", "docker"]);
    let refused = run(load.env("PATH", world.path_with("bin")));
    refused.ends_with(1).no_result().says("`docker load --quiet --input image.tar` failed");
    refused.says("no space left in the store");
    // One that says that it has loaded something else is not believed.
    world.script(
        "bin/docker",
        "case $1 in version) echo linux/amd64 ;; image) echo sha256:00 ;; esac\n",
    );
    let mut load = world.tool(["image", "--load", "docker"]);
    let refused = run(load.env("PATH", world.path_with("bin")));
    refused.ends_with(1).no_result().says("is sha256:00, and sha256:");
    world.script("bin/docker", "echo linux/s390x\n");
    let mut load = world.tool(["image", "--load", "docker"]);
    let refused = run(load.env("PATH", world.path_with("bin")));
    refused.ends_with(1).says("it has no image for linux/s390x, but for linux/");
}
