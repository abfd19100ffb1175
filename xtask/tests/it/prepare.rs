//! `release --prepare`: a version in all its places, a commit and a tag.

use crate::world::{Run, World, run};

/// A workspace whose members share the version, with a library that one depends on.
fn workspace() -> World {
    let world = World::empty();
    world.file(
        "Cargo.toml",
        "[workspace]\nmembers = [\"tool\", \"lib\"]\nresolver = \"3\"\n\n\
         [workspace.package]\nversion = \"1.2.2\" # of all\nedition = \"2024\"\n\n\
         [workspace.dependencies]\nlib = { path = \"lib\", version = \"1.2.2\" }\n",
    );
    world.file(
        "tool/Cargo.toml",
        "[package]\nname = \"tool\"\nversion.workspace = true\nedition.workspace = true\n\n\
         [dependencies]\nlib.workspace = true\n",
    );
    world.file("tool/src/main.rs", "fn main() {}\n");
    world.file(
        "lib/Cargo.toml",
        "[package]\nname = \"lib\"\nversion.workspace = true\nedition.workspace = true\n",
    );
    world.file("lib/src/lib.rs", "");
    world.file(
        "CHANGELOG.md",
        "# Changelog\n\n## [Unreleased]\n\n- Faster.\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n",
    );
    world.lock();
    world.commit();
    world
}

/// The first line that a run says is wrong, and the help after it.
fn refused(run: &Run, why: &str, fix: &str) {
    run.ends_with(1).no_result().says(why).says(fix);
}

#[test]
fn a_version_gets_into_all_its_places() {
    let world = workspace();
    let before: Vec<String> =
        ["Cargo.toml", "Cargo.lock", "CHANGELOG.md"].map(|file| world.read(file)).to_vec();
    let head = world.sha();
    let dry = world.run("release --prepare 1.3.0 --dry-run");
    let shown = &dry.ends_with(0).stdout;
    for line in [
        "--- Cargo.toml",
        "-version = \"1.2.2\" # of all",
        "+version = \"1.3.0\" # of all",
        "-lib = { path = \"lib\", version = \"1.2.2\" }",
        "+lib = { path = \"lib\", version = \"1.3.0\" }",
        "--- Cargo.lock",
        "commit: Release 1.3.0",
        "tag: v1.3.0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no {line:?} in\n{shown}");
    }
    // Nothing has changed.
    for (file, text) in ["Cargo.toml", "Cargo.lock", "CHANGELOG.md"].iter().zip(&before) {
        assert_eq!(world.read(file), *text);
    }
    assert_eq!((world.sha(), world.git(["tag"])), (head, String::new()));

    let made = world.run("release --prepare minor");
    made.ends_with(0).says("  next `git push --atomic origin HEAD v1.3.0`");
    assert_eq!(made.line(), "v1.3.0");
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_eq!(world.git(["log", "-1", "--format=%s"]), "Release 1.3.0");
    assert_eq!(world.git(["describe", "--tags"]), "v1.3.0");
    assert_eq!(world.git(["cat-file", "-t", "v1.3.0"]), "commit", "a plain tag");
    // cargo has nothing to change, and the release is one.
    run(&mut world.with("cargo", ["metadata", "--locked", "--offline", "--format-version=1"]))
        .ends_with(0);
    assert_eq!(world.plan("--skip publish,check")["version"], "1.3.0");
    let changelog = world.read("CHANGELOG.md");
    let parts: Vec<&str> = changelog.lines().filter(|line| line.starts_with("## ")).collect();
    assert!(parts[1].starts_with("## [1.3.0] - 20"), "{changelog}");
    assert_eq!((parts[0], parts[2]), ("## [Unreleased]", "## [1.2.2] - 2026-01-01"));
    assert_eq!(parts.len(), 3);

    // The next one is made as this one was: its words, and a tag with a message.
    world.git(["tag", "--delete", "v1.3.0"]);
    world.git(["commit", "--quiet", "--amend", "--message", "chore: release v1.3.0"]);
    world.git(["tag", "--annotate", "v1.3.0", "--message", "v1.3.0"]);
    world.run("release --prepare patch").ends_with(0);
    assert_eq!(world.git(["log", "-1", "--format=%s"]), "chore: release v1.3.1");
    assert_eq!(world.git(["cat-file", "-t", "v1.3.1"]), "tag");
    let dry = world.run("release --prepare 2.0.0-rc.1 --dry-run");
    assert!(dry.ends_with(0).stdout.contains("tag: v2.0.0-rc.1\n"), "{}", dry.stdout);
    let json = world.run("release --prepare 2.0.0-rc.1 --dry-run --json").ends_with(0).json();
    assert_eq!(json["tag"], "v2.0.0-rc.1");
}

#[test]
fn what_cannot_be_released_is_refused_and_nothing_changes() {
    let world = workspace();
    world.git(["tag", "v1.2.2"]);
    refused(&world.run("release --prepare 1.2.2"), "the tag v1.2.2 is there already", "choose");
    refused(&world.run("release --prepare 1.2.1"), "1.2.1 is lower than 1.2.2", "a higher version");
    world.run("release --prepare newest").ends_with(2).no_result().says("major, minor or patch");
    world.file("tool/src/main.rs", "fn main() { }\n");
    refused(
        &world.run("release --prepare 1.3.0"),
        "these files have changes that are not committed: tool/src/main.rs",
        "git stash",
    );
    assert_eq!(world.git(["status", "--porcelain"]), "M tool/src/main.rs");

    let apart = World::workspace(&[("alpha", "1.0.0"), ("beta", "2.0.0")], "");
    refused(&apart.run("release --prepare patch"), "there is no commit", "with git first");
    apart.lock();
    apart.commit();
    refused(&apart.run("release --prepare patch"), "beta is at 2.0.0", "--package");
    apart.run("release --prepare patch --package beta").ends_with(0);
    assert_eq!(apart.git(["tag"]), "beta-v2.0.1");
    assert!(apart.read("alpha/Cargo.toml").contains("1.0.0"));
    assert!(apart.read("beta/Cargo.toml").contains("2.0.1"));
}

/// Ends an attempt at each of its writes and calls, as a kill would leave it.
#[test]
fn an_interrupted_run_can_be_run_again() {
    for files in 0..=3 {
        let world = workspace();
        world.run("release --prepare minor").ends_with(0);
        let done =
            ["Cargo.toml", "Cargo.lock", "CHANGELOG.md"].map(|file| (file, world.read(file)));
        world.git(["tag", "--delete", "v1.3.0"]);
        world.git(["reset", "--quiet", "--hard", "HEAD~1"]);
        for (file, text) in &done[..files] {
            world.file(file, text);
        }
        assert_eq!(world.run("release --prepare minor").ends_with(0).line(), "v1.3.0");
        for (file, text) in &done {
            assert_eq!(world.read(file), *text);
        }
        assert_eq!(world.git(["status", "--porcelain"]), "");
    }
    // Committed, and not tagged.
    let world = workspace();
    world.run("release --prepare minor").ends_with(0);
    let head = world.sha();
    world.git(["tag", "--delete", "v1.3.0"]);
    assert_eq!(world.run("release --prepare minor").ends_with(0).line(), "v1.3.0");
    assert_eq!(world.sha(), head, "no second commit");
    // A commit that git refuses leaves what a second run goes on with.
    let world = workspace();
    world.file(".git/hooks/pre-commit", "#!/bin/sh\necho not today >&2\nexit 1\n");
    run(&mut world.with("chmod", ["+x", ".git/hooks/pre-commit"])).ends_with(0);
    let refused = world.run("release --prepare 1.3.0");
    refused.ends_with(1).says("not today").says("run the same command again");
    std::fs::remove_file(world.path(".git/hooks/pre-commit")).unwrap();
    assert_eq!(world.run("release --prepare 1.3.0").ends_with(0).line(), "v1.3.0");
}

#[test]
fn a_lock_file_that_was_left_behind_is_named_with_what_to_type() {
    let world = World::quick("1.0.0");
    world.commit();
    let manifest = world.read("Cargo.toml").replace("1.0.0", "1.1.0");
    world.file("Cargo.toml", &manifest);
    world.commit();
    let stale = world.run("release --snapshot");
    stale
        .ends_with(1)
        .no_result()
        .says("error: Cargo.lock is stale: it has tool 1.0.0, and its Cargo.toml 1.1.0\n")
        .says("help: run `cargo update --workspace`, then `git commit --all")
        .never_says("--locked");
    world.git(["tag", "v1.1.0"]);
    let stale = world.run("release --skip publish,check");
    stale
        .ends_with(1)
        .says("run `cargo update --workspace`, `git commit --all")
        .says("and `git tag --force v1.1.0`; next time, `release --prepare VERSION` does it all");
    // What is named mends it.
    run(world.with("cargo", ["update", "--workspace"]).arg("--offline")).ends_with(0);
    world.commit();
    world.git(["tag", "--force", "v1.1.0"]);
    assert_eq!(world.plan("--skip publish,check")["version"], "1.1.0");
}
