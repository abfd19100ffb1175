//! `watch --push` and `--load`.

use super::*;
use crate::world::engines::Podman;
use crate::world::registries::Registry;
use crate::world::ssh::Sshd;
use crate::world::{AARCH64, HOST, X86_64, run};

/// The digest that the loop printed last: `HOST/REPOSITORY/tool@sha256:…`.
fn printed(watch: &mut Watch, before: &str) -> String {
    watch.prints(before);
    watch.prints("@sha256:");
    watch.prints("\n");
    let all = watch.stdout.0.lock().unwrap()[..watch.stdout.1].to_owned();
    all.trim_end().rsplit_once('@').unwrap().1.to_owned()
}

/// How many files of a folder start with these bytes.
fn blobs_starting_with(folder: &Path, magic: &[u8]) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.filter(|bytes| bytes.starts_with(magic)).count()
}

#[test]
fn each_edit_is_in_the_registry_by_the_same_tag() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    let image =
        "[package.metadata.dockless.image]\nfiles = [{ from = \"assets\", to = \"/srv\" }]\n";
    let more = format!("[package.metadata.dockless]\ntargets = [\"{HOST}\"]\n{image}");
    world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n");
    world.file("assets/page.html", "one\n").lock().commit();
    let below = format!("{}/watch-images", registry.host);
    let name = format!("{below}/tool");
    let held = || registry.digest("watch-images/tool:dev").unwrap();
    let mut watch = Watch::begin(&world, ["--push", "--repository", &below]);
    let mut digests = vec![printed(&mut watch, &name)];
    assert_eq!(held(), digests[0]);
    watch.says("waits for changes");
    // What stays on this machine is not compressed; an image by another command is.
    let layers = |name: &str| {
        let args = ["image", "copy", name, &format!("oci:{}", world.outside("copy").display())];
        run(&mut world.tool(args)).ends_with(0);
        run(&mut world.tool(["image", "validate", name])).ends_with(0);
        blobs_starting_with(&world.outside("copy/blobs/sha256"), &[0x1f, 0x8b])
    };
    assert_eq!(layers(&format!("{name}:dev")), 0);
    let packed = run(&mut world.tool(["image", "--push", "--repository", &below]));
    assert!(layers(packed.ends_with(0).stdout.lines().last().unwrap()) > 0);
    // A source, an asset, a new asset, the settings, a removed asset.
    let changes: [&dyn Fn(); 5] = [
        &|| save(&world.path("src/main.rs"), "fn main() { println!(\"edited\") }\n"),
        &|| save(&world.path("assets/page.html"), "two\n"),
        &|| _ = world.file("assets/more/new.html", "new\n"),
        &|| save(&world.path("Cargo.toml"), &format!("{}user = \"7\"\n", world.read("Cargo.toml"))),
        &|| fs::remove_file(world.path("assets/page.html")).unwrap(),
    ];
    for change in changes {
        change();
        digests.push(printed(&mut watch, &name));
        assert_eq!(held(), *digests.last().unwrap());
        watch.says("waits for changes");
    }
    let all: std::collections::BTreeSet<&String> = digests.iter().collect();
    assert_eq!(all.len(), digests.len(), "each is another image: {digests:?}");
    // A broken build leaves the image as it is.
    save(&world.path("src/main.rs"), "fn main() { this is no Rust }\n");
    watch.says("error: ");
    watch.says("waits for changes");
    assert_eq!((watch.more(), held()), (String::new(), digests[5].clone()));
    // A comment changes no byte of the program, and so nothing is pushed.
    save(&world.path("src/main.rs"), "fn main() { println!(\"edited\") }\n// more\n");
    watch.says("waits for changes");
    assert_eq!((watch.more(), held()), (String::new(), digests[5].clone()));
    let (code, _) = watch.end(Signal::INT);
    assert_eq!(code, Some(130));
    let image = run(&mut world.tool(["image", "inspect", "--json", &format!("{name}:dev")]));
    assert!(image.ends_with(0).stdout.contains("new.html") || image.stdout.contains("\"7\""));
}

/// The engine is played: it writes down what it is given.
#[test]
fn images_are_loaded_into_an_engine() {
    let world = World::committed("1.0.0");
    let given = world.outside("given");
    let script = format!(
        "case $1 in\nversion) echo linux/{} ;;\nload) tar -xOf \"$4\" manifest.json > {given} ;;\n\
         image) grep -o '[0-9a-f]\\{{64\\}}' {given} | head -1 | sed s/^/sha256:/ ;;\nesac\n",
        if HOST.starts_with("x86") { "amd64" } else { "arm64" },
        given = given.display()
    );
    world.script("bin/docker", &script);
    let mut tool = world.tool(["watch", "--load", "docker", "--tag", "mine"]);
    let mut watch = Watch::of(tool.env("PATH", world.path_with("bin")));
    watch.prints("sha256:");
    watch.says("waits for changes");
    save(&world.path("src/main.rs"), "fn main() { println!(\"edited\") }\n");
    watch.prints("sha256:");
    watch.end(Signal::INT);
    let given = fs::read_to_string(given).unwrap();
    assert!(given.contains("tool:mine"), "{given}");
}

/// One login serves for all loads, until the connection breaks.
#[test]
fn images_are_loaded_over_ssh() {
    let Some(podman) = Podman::shared() else { return };
    let Some(sshd) = Sshd::start(&podman.vars(), "") else { return };
    let world = World::committed("1.0.0");
    let mut watch =
        Watch::of(&mut sshd.tool(&world, "watch --load ssh://box/podman --tag over-ssh"));
    let ran = || podman.run("docker.io/library/tool:over-ssh", &[]).ends_with(0).stdout.clone();
    watch.prints("docker.io/library/tool@sha256:");
    watch.says("waits for changes");
    for word in ["one", "two", "three"] {
        save(&world.path("src/main.rs"), &format!("fn main() {{ println!(\"{word}\") }}\n"));
        watch.prints("docker.io/library/tool@sha256:");
        watch.says("waits for changes");
        assert_eq!(ran(), format!("{word}\n"));
        if word == "two" {
            sshd.cut();
        }
    }
    let (code, said) = watch.end(Signal::INT);
    assert_eq!((code, said.matches("connect to box with ssh").count()), (Some(130), 2), "{said}");
}

/// Images are for the platform of the machine that they go to.
#[test]
fn the_platform_is_that_of_the_other_machine() {
    let (platform, target) = match HOST {
        AARCH64 => ("linux/amd64", X86_64),
        _ => ("linux/arm64", AARCH64),
    };
    let world = World::empty();
    world.package("", "tool", "1.0.0", "").file("LICENSE", "free\n").lock().commit();
    world.script(
        "there/docker",
        &format!("case $1 in version) echo {platform} ;; *) exit 1 ;; esac\n"),
    );
    let path = format!("{}:/usr/bin:/bin", world.outside("there").display());
    let Some(sshd) = Sshd::start(&[("PATH", path.into())], "") else { return };
    let mut watch = Watch::of(&mut sshd.tool(&world, "watch --load ssh://box"));
    watch.says(&format!(" for {target}\n"));
    watch.says("docker on box failed (exit status 1)");
    watch.end(Signal::INT);
}
