//! `apply`, `create` and `delete`: the documents go to kubectl.

use std::fs;

use super::*;
use crate::world::judge;
use crate::world::running::ended;

/// A kubectl that writes down what it is given, and ends as it is told to.
fn kubectl(world: &World, script: &str) -> std::ffi::OsString {
    let outside = world.outside("");
    let asked = format!("for arg; do echo \"$arg\"; done > {}args\n", outside.display());
    let asked = format!("{asked}touch {}started\n", outside.display());
    world.script("bin/kubectl", &format!("{asked}{script}"));
    world.path_with("bin")
}

fn asked(world: &World) -> Vec<String> {
    let args = fs::read_to_string(world.outside("args")).unwrap();
    args.lines().map(str::to_owned).collect()
}

/// A command that pipes into the kubectl of a PATH.
fn piping(
    world: &World,
    registry: &Registry,
    command: &str,
    path: &std::ffi::OsStr,
    args: &[&str],
) -> Command {
    let mut tool = world.tool([command, "-f", "pod.yaml"]);
    tool.args(["--repository", &format!("{}/resolve-deploys", registry.host)]).args(args);
    tool.env("PATH", path);
    tool
}

/// kubectl reads the documents that `resolve` prints, and gets what stands behind `--`.
#[test]
fn kubectl_is_given_the_documents_and_its_own_arguments() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let printed = resolve(&world, registry, "resolve-deploys", "-f pod.yaml");
    let given = world.outside("given");
    let path = kubectl(&world, &format!("cat > {}\necho pod/a made\n", given.display()));
    for command in ["apply", "create"] {
        let own = ["--", "--namespace", "a b", "--dry-run=client"].map(str::to_owned);
        let run =
            run(&mut piping(&world, registry, command, &path, &own.each_ref().map(|it| &**it)));
        assert_eq!(run.ends_with(0).stdout, "pod/a made\n", "{command}: what kubectl prints");
        assert_eq!(fs::read_to_string(&given).unwrap(), printed.ends_with(0).stdout);
        let asked = asked(&world);
        assert_eq!(asked[0], command);
        assert!(asked.windows(2).any(|two| two == ["-f", "-"]), "{asked:?}");
        assert!(asked.ends_with(&own[1..]), "{asked:?}");
    }
}

/// To delete objects nobody needs their images: here, they could not even be built.
#[test]
fn a_deletion_builds_nothing() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.file("tool/src/main.rs", "fn main() { this is no Rust }");
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let given = world.outside("given");
    let path = kubectl(&world, &format!("cat > {}\n", given.display()));
    let run = run(&mut piping(&world, registry, "delete", &path, &["--", "--ignore-not-found"]));
    run.ends_with(0).never_says("Compiling");
    let given = fs::read_to_string(given).unwrap();
    assert!(given.contains("kind: Pod\nmetadata:\n  name: a\n"), "{given}");
    let asked = asked(&world);
    assert_eq!((&*asked[0], &*asked[asked.len() - 1]), ("delete", "--ignore-not-found"));
}

/// The exit code is kubectl's, and so is what it says.
#[test]
fn kubectl_ends_it() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    let pods = vec![pod("a", "dockless://tool"); 3000].join("---\n");
    world.file("pod.yaml", &pods);
    for (what, script, code) in [
        ("it is content", "cat >/dev/null\n", 0),
        ("it fails at the end", "cat >/dev/null\necho refused >&2\nexit 3\n", 3),
        ("it fails half way", "head -c 100 >/dev/null\necho refused >&2\nexit 7\n", 7),
        ("it reads nothing and fails", "echo refused >&2\nexit 1\n", 1),
        ("it reads nothing and is content", "exit 0\n", 0),
        ("it closes stdin and goes on", "exec <&-\nsleep 0.2\nexit 4\n", 4),
    ] {
        let path = kubectl(&world, script);
        let run = ended(&mut piping(&world, registry, "apply", &path, &[]));
        assert_eq!(run.code, Some(code), "{what}: {}", run.stderr);
        run.never_says("panicked").never_says("roken pipe");
        assert_eq!(run.stderr.contains("refused"), script.contains("refused"), "{what}");
    }
    let path = kubectl(&world, "kill -9 $$\n");
    let killed = ended(&mut piping(&world, registry, "apply", &path, &[]));
    assert!(killed.code.is_some_and(|code| code != 0), "{:?}: {}", killed.code, killed.stderr);
    killed.says("kubectl");
}

/// Without kubectl nothing is compiled or pushed for it.
#[test]
fn a_kubectl_that_is_not_there_is_said_at_once() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let path = world.without(&["kubectl"]);
    for command in ["apply", "create", "delete"] {
        let run = run(&mut piping(&world, registry, command, &path, &[]));
        refused(&run, "kubectl").never_says("Compiling").says("PATH");
    }
    // `resolve` does not need it.
    let mut tool = resolving(&world, &registry.host, "resolve-deploys", "-f pod.yaml");
    reference(&run(tool.env("PATH", path)).ends_with(0).stdout);
}

/// Where an image fails, kubectl is not even started: nothing half is applied.
#[test]
fn kubectl_is_not_started_for_half_of_the_images() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool", "broken"]);
    world.file("broken/src/main.rs", "fn main() { this is no Rust }");
    let path = kubectl(&world, "cat >/dev/null\n");
    for (text, why) in [
        (
            format!("{}---\n{}", pod("a", "dockless://tool"), pod("b", "dockless://broken")),
            "broken",
        ),
        (pod("a", "dockless://nobody"), "nobody"),
        ("a: [\n".to_owned(), "pod.yaml"),
    ] {
        world.file("pod.yaml", &text);
        let run = run(&mut piping(&world, registry, "apply", &path, &[]));
        refused(&run, why);
        assert!(!world.outside("started").exists(), "{why}");
    }
}

/// The real one, which finds no cluster: its words and its exit code are passed on.
#[test]
fn the_real_kubectl_without_a_cluster_fails_as_it_does_alone() {
    let (Some(registry), Some(kubectl)) = (Registry::shared(), judge("kubectl")) else { return };
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let own = ["--server", "http://127.0.0.1:1", "--validate=false"];
    let mut alone = world.with(kubectl, ["apply", "-f", "-"]);
    let alone = fed(alone.args(own), pod("a", "nginx"));
    let path = std::env::var_os("PATH").unwrap();
    let args = [&["--"][..], &own].concat();
    let run = ended(&mut piping(&world, registry, "apply", &path, &args));
    assert_eq!(run.code, alone.code, "{}", run.stderr);
    assert!(run.code.is_some_and(|code| code != 0));
    run.says("127.0.0.1:1").says("refused");
}

/// kubectl is the user's own program: it finds the user's cluster and logins.
#[test]
fn kubectl_has_the_environment_of_its_user() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let path = kubectl(&world, "cat >/dev/null\necho \"$KUBECONFIG $AWS_PROFILE $HOME\"\n");
    let mut tool = piping(&world, registry, "apply", &path, &[]);
    let run = run(tool.envs([("KUBECONFIG", "/a/config"), ("AWS_PROFILE", "mine")]));
    let home = std::env::var("HOME").unwrap();
    assert_eq!(run.ends_with(0).stdout, format!("/a/config mine {home}\n"));
}
