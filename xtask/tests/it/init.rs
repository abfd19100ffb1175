//! `init` in projects of all kinds: what it writes, and what it leaves alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::{World, contents, names, run};

const INSTALL: &str = include_str!("../../../docs/start/install.md");

/// The files of the project, without git's own.
fn files(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut files = contents(world.root());
    files.retain(|name, _| !name.starts_with(".git/") && !name.starts_with("target/"));
    files
}

/// Runs `init --yes` and requires that a second run, and `--check`, find nothing to do.
fn initialized(world: &World, args: &str) {
    world.run(format!("init --yes {args}").trim()).ends_with(0);
    let written = files(world);
    world.run(format!("init {args}").trim()).ends_with(0).no_result().says("nothing to change");
    world.run(format!("init --check {args}").trim()).ends_with(0).no_result();
    assert_eq!(files(world), written);
}

#[test]
fn a_bare_crate_gets_an_xtask() {
    let world = World::single("1.0.0");
    world.file("LICENSE", "free\n").commit();
    let manifest = world.read("Cargo.toml");
    let before = files(&world);
    // Nobody can be asked here.
    let shown = world.run("init");
    shown
        .ends_with(1)
        .says("nothing is written: there is no terminal to ask on")
        .says("`cargo dockless init --yes` writes it");
    for text in [
        "--- /dev/null\n+++ b/xtask/src/main.rs\n@@ -0,0 +1,3 @@\n+fn main()",
        "+++ b/.cargo/config.toml\n@@ -0,0 +1,2 @@\n+[alias]\n",
        "--- a/.gitignore\n+++ b/.gitignore\n@@ -1 +1,2 @@\n /target\n+/dist\n",
        "+members = [\"xtask\"]\n",
    ] {
        assert!(shown.stdout.contains(text), "no {text:?} in\n{}", shown.stdout);
    }
    world.run("init --check").ends_with(1).says("xtask/Cargo.toml: it is missing");
    assert_eq!(files(&world), before);

    initialized(&world, "");
    assert!(world.read("Cargo.toml").starts_with(&manifest));
    let template = |name: &str| {
        let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/xtask");
        fs::read_to_string(place.join(name)).unwrap()
    };
    assert_eq!(world.read("xtask/Cargo.toml"), template("Cargo.toml.tmpl"));
    assert_eq!(world.read("xtask/src/main.rs"), template("main.rs.tmpl"));
    assert_eq!(world.read(".cargo/config.toml"), template("config.toml.tmpl"));
    assert!(world.read("Cargo.toml").contains(&template("profile.toml.tmpl")));
    // cargo reads all of it.
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = run(&mut world.with("cargo", metadata)).ends_with(0).json();
    assert_eq!(metadata["packages"].as_array().unwrap().len(), 2);
}

/// The xtask that `init` writes is of this version, and its page says what it needs.
#[test]
fn the_xtask_is_of_this_version() {
    let manifest = include_str!("../../templates/xtask/Cargo.toml.tmpl");
    let (major_minor, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap();
    assert!(manifest.contains(&format!("\ndockless = \"{major_minor}\"\n")), "{manifest}");
    let profile = include_str!("../../templates/xtask/profile.toml.tmpl");
    let lines = profile.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    assert!(INSTALL.contains(&lines.join("\n")), "docs/start/install.md has other profile lines");
}

#[test]
fn next_steps_are_told() {
    let world = World::single("1.0.0");
    world
        .run("init --yes")
        .ends_with(0)
        .says("Next:\n  git init ")
        .says("  cargo xtask release --snapshot ")
        .says("  cargo xtask init --workflows ");
    world.commit();
    world
        .run("init --yes --no-xtask")
        .ends_with(0)
        .says("  cargo dockless release --snapshot ")
        .never_says("git init");
    world.run("init --yes --quiet").ends_with(0).never_says("Next");
}

#[test]
fn without_git_nothing_is_ignored() {
    let world = World::single("1.0.0");
    initialized(&world, "");
    assert_eq!(
        world.names(),
        [".cargo", "Cargo.toml", "src", "xtask"],
        "there is no .gitignore without git"
    );
}

#[test]
fn without_a_binary_there_is_nothing_to_release() {
    let world = World::empty();
    world
        .file("Cargo.toml", "[package]\nname = \"lib\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
    world.file("src/lib.rs", "").commit();
    let before = files(&world);
    world
        .run("init --yes")
        .ends_with(1)
        .no_result()
        .says("has a binary, and dockless releases programs")
        .says("add a src/main.rs");
    assert_eq!(files(&world), before);
}

#[test]
fn a_read_only_manifest_is_not_replaced() {
    let world = World::single("1.0.0");
    world.commit();
    let manifest = world.path("Cargo.toml");
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o444)).unwrap();
    let before = files(&world);
    world
        .run("init --yes")
        .ends_with(1)
        .says("Cargo.toml is read-only, so nothing is written")
        .says("chmod u+w Cargo.toml");
    assert_eq!(files(&world), before);
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o644)).unwrap();
    initialized(&world, "");
}

#[test]
fn line_ends_stay_as_they_are() {
    let world = World::empty();
    world.package("tool", "tool", "1.0.0", "");
    let manifest =
        "[workspace]\r\nresolver = \"3\" # three\r\nmembers = [\r\n    \"tool\",\r\n]\r\n";
    world.file("Cargo.toml", manifest).commit();
    world.file(".gitignore", "/target\r\n");
    initialized(&world, "");
    let text = world.read("Cargo.toml");
    assert!(
        text.starts_with(&manifest.replace("\"tool\",", "\"tool\",\r\n    \"xtask\",")),
        "{text}"
    );
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    assert_eq!(world.read(".gitignore"), "/target\r\n/dist\r\n");
}

/// A table that is there already stays in the form that it has.
#[test]
fn tables_in_other_forms_are_added_to() {
    for (table, added) in [
        (
            "[workspace]\nmembers = [\"tool\"]\nresolver = \"3\"\nmetadata = { dockless = { tag = \"v{{ version }}\" } }\n",
            "metadata = { dockless = { tag = \"v{{ version }}\", github = { changelog = \"CHANGES.md\" } } }\n",
        ),
        (
            "[workspace]\nmembers = [\"tool\"]\nresolver = \"3\"\nmetadata.dockless.tag = \"v{{ version }}\"\n",
            "metadata.dockless.github.changelog = \"CHANGES.md\"\n",
        ),
        (
            "workspace = { members = [\"tool\"], resolver = \"3\" }\n",
            "workspace = { members = [\"tool\", \"xtask\"], resolver = \"3\", metadata = { dockless = { github = { changelog = \"CHANGES.md\" } } } }\n",
        ),
        (
            "[workspace]\nmembers = [\"tool\"]\nresolver = \"3\"\n\n[workspace.metadata.dockless.github]\nship = false\n",
            "ship = false\n# The section about a version becomes its release notes.\nchangelog = \"CHANGES.md\"\n",
        ),
    ] {
        let world = World::empty();
        world.package("tool", "tool", "1.0.0", "").file("Cargo.toml", table);
        world.file("CHANGES.md", "# Changes\n").commit();
        initialized(&world, "");
        let text = world.read("Cargo.toml");
        assert!(text.contains(added), "no {added:?} in\n{text}");
    }
}

/// A workspace in a folder of a repository.
#[test]
fn a_workspace_below_the_repository_root_is_set_up_where_it_is() {
    let world = World::empty();
    world.package("rust/tool", "tool", "1.0.0", "");
    world.file("rust/Cargo.toml", "[workspace]\nmembers = [\"tool\"]\nresolver = \"3\"\n");
    world.file("web/package.json", "{}\n").commit();
    let init = |args: &[&str]| {
        let mut tool = world.tool(["init"].iter().chain(args));
        run(tool.current_dir(world.path("rust/tool")))
    };
    init(&["--yes"]).ends_with(0);
    assert_eq!(names(&world.path("rust")), [".cargo", ".gitignore", "Cargo.toml", "tool", "xtask"]);
    assert_eq!(world.names(), [".git", ".gitignore", "rust", "web"]);
    init(&["--check"]).ends_with(0);
}

#[test]
fn what_people_wrote_stays() {
    let world = World::workspace(&[("tool", "1.0.0")], "");
    // An alias of the same name, and an xtask of one's own.
    world.file(".cargo/config.toml", "[alias]\nxtask = \"run -p build-tool --\" # ours\n");
    world.file("xtask/src/main.rs", "fn main() {\n    println!(\"mine\");\n}\n").commit();
    let said = world.run("init --yes");
    said.ends_with(0)
        .says("xtask/src/main.rs: it is a file of your own, so no xtask is written")
        .says("-    println!(\"mine\");\n+fn main() -> std::process::ExitCode {\n+    dockless::main(None)\n")
        .says("let its `main` end with `dockless::main(None)`");
    assert_eq!(world.read("xtask/src/main.rs"), "fn main() {\n    println!(\"mine\");\n}\n");
    assert!(!world.path("xtask/Cargo.toml").exists());
    assert!(!world.read("Cargo.toml").contains("xtask"));
    fs::remove_dir_all(world.path("xtask")).unwrap();
    world.run("init --yes").ends_with(0).says("it has an alias `xtask` that runs something else");
    assert_eq!(
        world.read(".cargo/config.toml"),
        "[alias]\nxtask = \"run -p build-tool --\" # ours\n"
    );
    // The xtask may grow.
    let mine = "mod more;\n\nfn main() -> std::process::ExitCode {\n    dockless::main(None)\n}\n";
    world.file("xtask/src/more.rs", "").file("xtask/src/main.rs", mine);
    world.run("init --check").ends_with(0).never_says("a file of your own");

    let world = World::single("1.0.0");
    world.file("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n");
    world
        .run("init --yes --toolchain --no-xtask")
        .ends_with(0)
        .says("rust-toolchain.toml: it stays, and this toolchain is 1.")
        .says("-channel = \"stable\"\n");
    assert_eq!(world.read("rust-toolchain.toml"), "[toolchain]\nchannel = \"stable\"\n");
}

#[test]
fn the_installed_toolchain_is_pinned_where_that_is_asked_for() {
    let world = World::single("1.0.0");
    world.commit();
    initialized(&world, "--toolchain --no-xtask");
    let version = run(&mut world.with("rustc", ["--version"])).stdout;
    let version = version.split(' ').nth(1).unwrap();
    let text = world.read("rust-toolchain.toml");
    assert!(text.contains(&format!("\nchannel = \"{version}\"\n")), "{text}");
}

#[test]
fn another_forge_and_another_ci_are_noticed() {
    let world = World::single("1.0.0");
    world.file(".gitlab-ci.yml", "test: {}\n").commit();
    world.git(["remote", "add", "origin", "git@gitlab.com:acme/tool.git"]);
    world
        .run("init --yes")
        .ends_with(0)
        .says(".gitlab-ci.yml: `init` writes nothing for GitLab CI")
        .says("let it run `cargo dockless ci`");
    let text = world.read("Cargo.toml");
    let expected = "[workspace.metadata.dockless.github]\n# Releases are published on GitHub only, \
                    and this repository is at gitlab.com.\nship = false\n";
    assert!(text.contains(expected), "{text}");
    world.run("init --check").ends_with(0);
}

/// Killed after any of its writes, `init` is run again and ends with the same files.
#[test]
fn an_interrupted_init_is_finished_by_the_next_one() {
    let project = || {
        let world = World::workspace(&[("tool", "1.0.0")], "");
        world.commit();
        world
    };
    let world = project();
    let before = files(&world);
    let shown = world.run("init --json").stdout.clone();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["written"], false);
    let order = shown["changes"].as_array().unwrap().iter();
    let order: Vec<String> = order.map(|it| it["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(order.last().unwrap(), "Cargo.toml");
    initialized(&world, "");
    let after = files(&world);
    for written in 1..order.len() {
        let world = project();
        assert_eq!(files(&world), before);
        for path in &order[..written] {
            world.file(path, std::str::from_utf8(&after[path]).unwrap());
        }
        // What was being written lies beside its place.
        let half = world.path(".dockless-abc123.tmp");
        fs::write(&half, "half").unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::options().write(true).open(&half).unwrap().set_modified(old).unwrap();
        initialized(&world, "");
        assert_eq!(files(&world), after, "after {:?}", &order[..written]);
    }
}

/// What files of other tools say becomes settings, each with the line that it comes from.
#[test]
fn files_of_other_tools_are_taken_over() {
    let world = World::single("1.0.0");
    world.file("Cross.toml", "[target.armv7-unknown-linux-musleabihf]\nimage = \"x\"\n").commit();
    world
        .run("init --yes --no-xtask")
        .ends_with(0)
        .says("other tools have files here: Cross.toml")
        .says("`cargo dockless init --from auto` takes over");
    assert!(!world.read("Cargo.toml").contains("dockless"));
    initialized(&world, "--no-xtask --from auto");
    let text = world.read("Cargo.toml");
    assert!(text.contains("# from Cross.toml:1\ntargets = ["), "{text}");
    world
        .run("init --yes --no-xtask --from Dockerfile")
        .ends_with(1)
        .says("Dockerfile is no file that is known");
    world.file("Cross.toml", "[target\n");
    world.run("init --yes --no-xtask --from auto").ends_with(1).says("Cross.toml:1");
}
