//! What goes where, and what is refused before it does harm.

use super::settings::{image, with};
use super::*;

/// A folder that was only on the way changes nothing of one that is there.
#[test]
fn folders_on_the_way_leave_the_base_as_it_is() {
    let world = with("files = [{ from = \"rootfs\", to = \"/\" }]");
    world.file("rootfs/tmp/x", "x").file("rootfs/home/nonroot/x", "x").file("rootfs/new/x", "x");
    let made = image(&world);
    let seen = |path: &str| (made.tree[path].mode, made.tree[path].owner);
    assert_eq!(seen("tmp"), (0o1777, (0, 0)));
    assert_eq!(seen("home/nonroot"), (0o700, (65532, 65532)));
    assert_eq!((seen("new"), seen("tmp/x")), ((0o755, (0, 0)), (0o644, (0, 0))));
    // On a foreign base it may be a link, which a folder would stand in the place of.
    let base = with("base = \"scratch\"\nfiles = [{ from = \"base\", to = \"/\" }]");
    base.file("base/usr/bin/kept", "kept");
    std::os::unix::fs::symlink("usr/bin", base.path("base/bin")).unwrap();
    base.run("image -q --output oci:stored").ends_with(0);
    let stored = base.path("stored");
    let world = with(&format!(
        "base = \"oci:{}\"\nfiles = [{{ from = \"more\", to = \"/\" }}]",
        stored.display()
    ));
    world.file("more/bin/added", "added");
    let made = image(&world);
    assert_eq!(made.tree["bin"].what, flat::What::Symlink("usr/bin".to_owned()));
    assert!(made.tree.contains_key("usr/bin/kept"));
}

#[test]
fn what_would_harm_an_image_is_refused() {
    for (files, why) in [
        (
            "{ from = \"LICENSE\", to = \"/etc\" }",
            "/etc is a folder of the base, and would become a file",
        ),
        (
            "{ from = \"LICENSE\", to = \"/etc/passwd/x\" }",
            "/etc/passwd, which is not a folder in the base",
        ),
        ("{ from = \".\", to = \"/srv\" }", "would go into the image; name narrower folders"),
        (
            "{ from = \"LICENSE\", to = \"/usr/local/bin/tool\" }",
            "is where a binary of the package lies",
        ),
        (
            "{ from = \"LICENSE\", to = \"/a\" }, { from = \"Cargo.toml\", to = \"/a\" }",
            "/a comes from two places",
        ),
        (
            "{ from = \"LICENSE\", to = \"/a\" }, { from = \"Cargo.toml\", to = \"/a/b\" }",
            "/a/b would lie in /a, which is no folder",
        ),
        ("{ from = \"../outside\", to = \"/a\" }", "\"../outside\" leads out of the project"),
        ("{ from = \"LICENSE\", to = \"a\" }", "\"a\" is not an absolute path"),
        ("{ from = \"LICENSE\", to = \"/a/../b\" }", "\"/a/../b\" is not a plain path"),
        ("{ from = \"LICENSE\", to = \"/a\", mode = \"888\" }", "\"888\" is not a mode"),
        ("{ from = \"LICENSE\", to = \"/a\", owner = \"nonroot\" }", "\"nonroot\" is not an owner"),
        (
            "{ from = \"LICENSE\", to = \"/a\", owner = \"4000000000\" }",
            "\"4000000000\" is not an owner",
        ),
        ("{ from = \"links\", to = \"/a\" }", "leads out of"),
        ("{ from = \"LICENSE\" }", "it has no `to`"),
    ] {
        let world = with(&format!("files = [{files}]"));
        world.git(["init", "--quiet"]);
        fs::create_dir_all(world.path("links")).unwrap();
        std::os::unix::fs::symlink("../../etc/shadow", world.path("links/out")).unwrap();
        let refused = world.run("image");
        refused.ends_with(1).no_result().says(why);
        assert!(!world.dist().exists(), "{files}");
    }
}

#[test]
fn a_wrong_setting_is_named_with_an_example() {
    for (setting, why) in [
        ("user = \"nonroot\"", "\"nonroot\" is neither a number nor two with a colon"),
        ("ports = [\"0\"]", "\"0\" is not a port"),
        ("ports = [\"80/http\"]", "\"80/http\" is not a port"),
        ("volumes = [\"data\"]", "\"data\" is not an absolute path"),
        ("workdir = \"data\"", "\"data\" is not an absolute path"),
        ("stop-signal = \"SIG TERM\"", "is not a signal"),
        ("env = { \"A=B\" = \"c\" }", "\"A=B\" cannot be a variable's name"),
        (
            "repositories = [\"ghcr.io/acme/x:1\"]",
            "has a tag or a digest, but a repository has neither",
        ),
        ("repositories = [\"ghcr.io:99999/x\"]", "is not an image's name"),
        ("repositories = [\"https://ghcr.io/x\"]", "an image's name has no scheme"),
        ("base = \"alpine@sha256:12\"", "is not an image's name"),
        ("base = \"oci:\"", "no path is named"),
        ("tags = [\"a b\"]", "a b"),
        ("tags = []", "it names no tag"),
        ("tags = [\"{{ verson }}\"]", "names \"verson\""),
        ("labels = { a = 1 }", "expected a table of strings"),
        ("lables = {}", "did you mean `labels`?"),
    ] {
        let refused = with(setting).run("image --dry-run");
        refused.ends_with(1).no_result().says(why).says("help: ");
        assert_eq!(refused.stderr.matches("error: ").count(), 1, "{setting}: {}", refused.stderr);
    }
}

#[test]
fn every_platform_that_is_asked_for_is_made_or_missed() {
    let world = World::quick("1.0.0");
    let refused = world.run("image --platform linux/amd64,linux/arm64,linux/s390x");
    refused
        .ends_with(1)
        .no_result()
        .says("--platform: no target of the packages is for linux/s390x");
    world.run("image --platform linux").ends_with(2).says("one looks like linux/amd64");
}

/// The first of two images with one tag would be lost, and a wrong digest believed.
#[test]
fn names_are_kept_apart() {
    let world = World::quick("1.0.0");
    let digest = printed(world.run("image -q").ends_with(0).line()).1;
    let copy =
        |name: &str| world.run(&format!("image copy oci:dist/images/tool oci:many --name {name}"));
    for name in ["ghcr.io/a/a:latest", "ghcr.io/b/b:latest", "ghcr.io/a/a:latest", "ghcr.io/c/c"] {
        copy(name).ends_with(0);
    }
    let index = json(&world.path("many/index.json"));
    let named = index["manifests"].as_array().unwrap().iter();
    let named: Vec<&str> =
        named.map(|of| of["annotations"]["io.containerd.image.name"].as_str().unwrap()).collect();
    assert_eq!(named, ["ghcr.io/b/b:latest", "ghcr.io/a/a:latest", "ghcr.io/c/c:latest"]);
    let wrong = format!("ghcr.io/a/a@sha256:{}", "0".repeat(64));
    copy(&wrong)
        .ends_with(1)
        .no_result()
        .says(&format!("names another image: this one is {digest}"));
    copy(&format!("ghcr.io/a/a@{digest}")).ends_with(0);

    let two = World::workspace(&[("one", "1.0.0"), ("two", "1.0.0")], "");
    for name in ["one", "two"] {
        let manifest = two.read(&format!("{name}/Cargo.toml"));
        let table = "[package.metadata.dockless.image]\nrepositories = [\"ghcr.io/acme/x\"]\n";
        two.file(&format!("{name}/Cargo.toml"), &format!("{manifest}{table}"));
    }
    let refused = two.run("release --dry-run --snapshot");
    refused.ends_with(1).says("ghcr.io/acme/x:latest: one and two would both be named so");
    two.run("image --package one --dry-run").ends_with(0);
}

#[test]
fn a_folder_of_something_else_does_not_become_a_layout() {
    let world = World::quick("1.0.0");
    let refused = world.run("image --output oci:src");
    refused.ends_with(1).no_result().says("src is not an OCI layout, and has other files");
    assert_eq!(names(&world.path("src")), ["main.rs"]);
    let tagged = world.run("image --output oci:new:1.0");
    tagged.ends_with(1).says("names a tag or a digest, and an image brings its own");
    world.run("image --output new").ends_with(2).says("name it as oci:DIR");
}
