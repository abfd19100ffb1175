//! `watch apply`.

use super::*;
use crate::world::registries::Registry;
use crate::world::running::ended;
use crate::world::{only_host, run};

/// A kubectl that writes down each of its inputs, and says which one it was.
fn kubectl(world: &World, more: &str) -> std::ffi::OsString {
    let outside = world.outside("");
    let script = format!(
        "cd {}\necho \"$@\" >> asked\nn=$(wc -l < asked)\ncat > \"given-$n\"\n{more}\n\
         echo \"applied $n\"\n",
        outside.display()
    );
    world.script("bin/kubectl", &script);
    world.path_with("bin")
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: main\n    \
         image: {image}\n"
    )
}

fn apply(world: &World, registry: &Registry, path: &OsStr, args: &[&str]) -> Watch {
    let below = format!("{}/watch-apply", registry.host);
    let mut tool = world.tool(["watch", "apply", "-f", "deploy", "--repository", &below]);
    Watch::of(tool.args(args).env("PATH", path))
}

#[test]
fn each_change_is_applied_once() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    world.package("", "tool", "1.0.0", &only_host()).file("LICENSE", "free\n");
    world.file("deploy/pod.yaml", &pod("dockless://tool")).lock().commit();
    let path = kubectl(&world, "[ ! -e fails ] || exit 3");
    let given = |n: usize| fs::read_to_string(world.outside(&format!("given-{n}"))).unwrap();
    let mut watch = apply(&world, registry, &path, &["--", "--namespace", "a b"]);
    watch.prints("applied 1\n");
    watch.says("waits for changes");
    let name = format!("{}/watch-apply/tool@sha256:", registry.host);
    assert!(given(1).contains(&name), "{}", given(1));
    for edit in 2..=11 {
        if edit == 6 {
            save(&world.path("src/main.rs"), "fn main() { this is no Rust }\n");
            watch.says("error: expected");
            watch.says("waits for changes");
            assert_eq!(watch.more(), "");
        }
        save(&world.path("src/main.rs"), &format!("fn main() {{ println!(\"{edit}\") }}\n"));
        watch.prints(&format!("applied {edit}\n"));
        watch.says("waits for changes");
        assert!(given(edit).contains(&name) && given(edit) != given(edit - 1));
    }
    // The manifests themselves, and one that is added.
    save(&world.path("deploy/pod.yaml"), &pod("dockless://tool").replace("name: a", "name: b"));
    watch.prints("applied 12\n");
    watch.says("waits for changes");
    world.file("deploy/more.yaml", &pod("dockless://tool"));
    watch.prints("applied 13\n");
    watch.says("waits for changes");
    // One that is wrong, and right again: what was applied is still what there is.
    save(&world.path("deploy/more.yaml"), &pod("dockless://none"));
    watch.says("no package \"none\"");
    save(&world.path("deploy/more.yaml"), &pod("dockless://tool"));
    watch.says("waits for changes");
    watch.rests();
    assert_eq!(watch.more(), "");
    // What kubectl has refused is tried again with the next change.
    fs::write(world.outside("fails"), "").unwrap();
    save(&world.path("deploy/more.yaml"), &pod("dockless://tool").replace("name: a", "name: c"));
    watch.says("it ended with exit status: 3");
    watch.says("waits for changes");
    fs::remove_file(world.outside("fails")).unwrap();
    world.file("src/main.rs", "fn main() { println!(\"last\") }\n");
    watch.prints("applied 15\n");
    let (code, _) = watch.end(Signal::INT);
    assert_eq!(code, Some(130));
    let asked = fs::read_to_string(world.outside("asked")).unwrap();
    assert!(asked.lines().all(|line| line == "apply -f - --namespace a b"), "{asked}");
}

#[test]
fn what_cannot_be_watched_says_why() {
    let world = World::committed("1.0.0");
    world.file("deploy/pod.yaml", &pod("busybox"));
    let path = kubectl(&world, "");
    let tried = |args: &[&str]| ended(world.tool(["watch", "apply"]).args(args).env("PATH", &path));
    tried(&["-f", "-"]).ends_with(1).says("stdin is read once");
    tried(&["-f", "deploy"]).ends_with(1).says("no document has a reference to a package");
    tried(&["-f", "none"]).ends_with(1).says("no file or folder none");
    let mut without = world.tool(["watch", "apply", "-f", "deploy"]);
    run(without.env("PATH", world.without(&["kubectl"]))).ends_with(1).says("kubectl");
}
