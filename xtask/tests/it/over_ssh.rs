//! Images loaded into the engines of another machine, over ssh.

use std::ffi::OsString;
use std::fs;

use crate::world::engines::{Containerd, Docker, Podman};
use crate::world::registries::Registry;
use crate::world::ssh::Sshd;
use crate::world::{HOST, Run, World, names, run};

mod faults;

/// A package whose image has a layer of files beside that of the program.
fn project(name: &str) -> World {
    let world = World::empty();
    let table = format!(
        "[package.metadata.dockless]\ntargets = [\"{HOST}\"]\n[package.metadata.dockless.image]\n\
         files = [{{ from = \"assets\", to = \"/srv\" }}]\n"
    );
    world.package("", name, "1.0.0", &table).file("LICENSE", "free\n");
    world.file("assets/page.html", name).file("src/main.rs", &says("one")).lock();
    world.commit();
    world
}

/// A program that prints one word.
fn says(word: &str) -> String {
    format!("fn main() {{ println!(\"{word}\") }}\n")
}

/// How many layers were sent, of how many.
#[track_caller]
fn sent(run: &Run) -> &str {
    let found = run.ends_with(0).stderr.lines().find_map(|line| {
        let (_, layers) = line.split_once(" to box: ")?;
        layers.split_once(" layers of sha256:").map(|(layers, _)| layers)
    });
    found.unwrap_or_else(|| panic!("{}", run.stderr))
}

/// Loads into the engine elsewhere: the first time everything, then what has changed only.
/// Returns what was printed last.
fn loaded(world: &World, sshd: &Sshd, engine: &str, vars: &[(&str, OsString)]) -> String {
    let args = format!("image --load ssh://box{engine}");
    let load = || run(sshd.tool(world, &args).envs(vars.iter().cloned()));
    let first = load();
    // Images of other tests have the base's layer.
    assert!(["2 of 3", "3 of 3"].contains(&sent(&first)), "{}", first.stderr);
    first.says("connect to box with ssh").never_says("welcome");
    world.file("src/main.rs", &says("two"));
    let second = load();
    assert_eq!(sent(&second), "1 of 3", "{}", second.stderr);
    assert_ne!(first.line(), second.line());
    let third = load();
    assert_eq!((sent(&third), third.line()), ("0 of 3", second.line()));
    assert!(!world.dist().exists(), "what is loaded goes nowhere else");
    second.line().to_owned()
}

/// What the same engine prints for a load on this machine.
fn locally(world: &World, engine: &str, vars: &[(&str, OsString)]) -> String {
    let loaded = run(world.tool(["image", "-q", "--load", engine]).envs(vars.iter().cloned()));
    loaded.ends_with(0).line().to_owned()
}

#[test]
fn docker_elsewhere_gets_what_it_lacks() {
    let Some(docker) = Docker::shared() else { return };
    let Some(sshd) = Sshd::start(&docker.vars(), "") else { return };
    let world = project("ssh-docker");
    let id = loaded(&world, &sshd, "", &[]);
    for name in [&*id, "ssh-docker:latest"] {
        assert_eq!(docker.run(name, &[]).ends_with(0).stdout, "two\n", "{name}");
    }
    let listed = docker.command(["images", "--digests", "--all"]);
    listed.ends_with(0);
    assert!(!listed.stdout.contains("/dockless"), "no other name is left:\n{}", listed.stdout);
    assert_eq!(locally(&world, "docker", &docker.vars()), id);
    assert_eq!(docker.image_id("ssh-docker:latest"), id);
}

/// As rootless ones: what is missing cannot be pulled by it, and is read for it.
#[test]
fn docker_with_a_network_of_its_own_gets_all() {
    let Some(docker) = Docker::apart() else { return };
    let Some(sshd) = Sshd::start(&docker.vars(), "") else { return };
    let world = project("ssh-apart");
    let load = || run(&mut sshd.tool(&world, "image --load ssh://box"));
    let loaded = load();
    assert_eq!(sent(&loaded), "3 of 3", "{}", loaded.stderr);
    loaded.says("docker on box does not reach 127.0.0.1 there, so all layers are sent");
    assert_eq!(loaded.line(), docker.image_id("ssh-apart:latest"));
    assert_eq!(docker.run("ssh-apart", &[]).ends_with(0).stdout, "one\n");
    assert_eq!(locally(&world, "docker", &docker.vars()), loaded.line());
}

#[test]
fn podman_elsewhere_gets_what_it_lacks() {
    let Some(podman) = Podman::shared() else { return };
    let Some(sshd) = Sshd::start(&podman.vars(), "") else { return };
    let world = project("ssh-podman");
    let reference = loaded(&world, &sshd, "/podman", &[]);
    assert!(reference.starts_with("docker.io/library/ssh-podman@sha256:"), "{reference}");
    for name in [&*reference, "ssh-podman:latest"] {
        assert_eq!(podman.run(name, &[]).ends_with(0).stdout, "two\n", "{name}");
    }
    let id = |name: &str| {
        let found = podman.command(["image", "inspect", "--format={{.Id}}", name]);
        found.ends_with(0).line().to_owned()
    };
    let elsewhere = id(&reference);
    let listed = podman.command(["images", "--format={{.Names}}"]);
    assert!(!listed.ends_with(0).stdout.contains("/dockless"), "{}", listed.stdout);
    assert_eq!(locally(&world, "podman", &podman.vars()), reference);
    assert_eq!(id(&reference), elsewhere);
}

#[test]
fn containerd_elsewhere_gets_what_it_lacks() {
    let Some(containerd) = Containerd::shared() else { return };
    let [address, _] = containerd.vars("over-ssh");
    let Some(sshd) = Sshd::start(&[address], "") else { return };
    let world = project("ssh-containerd");
    let namespace = [("CONTAINERD_NAMESPACE", "over-ssh".into())];
    let reference = loaded(&world, &sshd, "/containerd", &namespace);
    let name = "docker.io/library/ssh-containerd";
    let digest = reference.strip_prefix(&format!("{name}@")).unwrap();
    let images = containerd.images("over-ssh");
    let names: Vec<&str> = images.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&&*reference) && names.contains(&&*format!("{name}:latest")));
    assert!(
        images.iter().any(|(name, of)| name.ends_with(":latest") && of == digest),
        "{images:?}"
    );
    assert!(!names.iter().any(|name| name.contains("/dockless")), "{names:?}");
    let ran = containerd.run("over-ssh", &reference, &[]);
    assert_eq!(ran.ends_with(0).stdout, "two\n");
    let [local, _] = containerd.vars("over-ssh");
    let local = [local, namespace[0].clone()];
    assert_eq!(locally(&world, "containerd", &local), reference);
}

/// One login serves for all images of a command.
#[test]
fn manifests_name_what_podman_elsewhere_has() {
    let Some(podman) = Podman::shared() else { return };
    let Some(sshd) = Sshd::start(&podman.vars(), "") else { return };
    let world = project("ssh-resolve");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  \
               - name: main\n    image: dockless://ssh-resolve\n";
    world.file("pod.yaml", pod);
    let resolved = run(&mut sshd.tool(&world, "resolve -f pod.yaml --load ssh://box/podman"));
    let image = resolved.ends_with(0).stdout.trim_end().rsplit_once(' ').unwrap().1;
    assert_eq!(podman.run(image, &[]).ends_with(0).stdout, "one\n", "{image}");
    assert_eq!(resolved.stderr.matches("connect to box").count(), 1, "{}", resolved.stderr);
}

/// Layers that are still in a registry are downloaded here: the other machine need not reach it.
#[test]
fn an_image_of_a_registry_is_copied() {
    let (Some(registry), Some(podman)) = (Registry::shared(), Podman::shared()) else { return };
    let Some(sshd) = Sshd::start(&podman.vars(), "") else { return };
    let world = project("ssh-copied");
    let name = format!("{}/ssh-copied:1", registry.host);
    world.run(&format!("image --push --name {name}")).ends_with(0);
    let copied = run(&mut sshd
        .tool(&world, &format!("image copy {name} --load ssh://box/podman --name copied:2")));
    assert!(["2 of 3", "3 of 3"].contains(&sent(&copied)), "{}", copied.stderr);
    assert_eq!(podman.run("docker.io/library/copied:2", &[]).ends_with(0).stdout, "one\n");
}

/// What is on the other side sees neither the password, nor an image without it.
#[test]
fn the_password_is_on_no_command_line() {
    let bin = tempfile::tempdir().unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    let Some(sshd) = Sshd::start(&[("PATH", path.into())], "") else { return };
    let seen = sshd.path("seen");
    // Played, so that it sees what docker sees.
    let docker = format!(
        "#!/bin/sh\ncase $1 in\nversion) echo linux/{} ;;\n--config)\n\
         login=$(sed 's/.*\"auth\":\"//; s/\".*//' \"$2/config.json\")\n\
         at=${{5%%/*}}; path=${{5#*/}}; name=${{path%%@*}}; digest=${{path#*@}}\n{{\n\
         stat -c %a \"$2/config.json\" \"$2\"\necho \"length ${{#login}}\"\n\
         printf %s \"$login\" >\"$2/login\"\n         grep -lFf \"$2/login\" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -v /self/\n\
         for url in v2/ \"v2/$name/manifests/$digest\"; do\n\
         curl -s -o /dev/null -w '%{{http_code}}\\n' \"http://$at/$url\"\n\
         curl -s -o /dev/null -w '%{{http_code}}\\n' -u dockless:guessed \"http://$at/$url\"\n\
         curl -s -o /dev/null -w '%{{http_code}}\\n' -H \"Authorization: Basic $login\" \"http://$at/$url\"\n\
         done\n\
         curl -s -o /dev/null -w '%{{http_code}}\\n' -H \"Authorization: Basic $login\" \"http://$at/v2/../../etc/passwd\"\n\
         }} >{seen}; echo \"$2\" >>{seen}; echo played; exit 1 ;;\nesac\n",
        if HOST.starts_with("x86") { "amd64" } else { "arm64" },
        seen = seen.display()
    );
    fs::write(bin.path().join("docker"), docker).unwrap();
    run(std::process::Command::new("chmod").arg("755").arg(bin.path().join("docker"))).ends_with(0);
    let world = project("ssh-secret");
    let refused = run(&mut sshd.tool(&world, "image --load ssh://box -v"));
    refused.ends_with(1).no_result().says("docker on box failed (exit status 1):\n");
    let seen = fs::read_to_string(seen).unwrap();
    let (seen, folder) = seen.trim_end().rsplit_once('\n').unwrap();
    // 64 digits and the user before them, in base64.
    let expected = "600\n700\nlength 100\n401\n401\n200\n401\n401\n200\n404";
    assert_eq!(seen, expected);
    assert!(!std::path::Path::new(folder).exists(), "{folder} is left");
    assert!(names(bin.path()) == ["docker"]);
}
