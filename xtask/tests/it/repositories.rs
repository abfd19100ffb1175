//! What is taken for the repository of the sources: a shallow clone, a worktree,
//! a broken one, one around them, none.

use std::fs;

use crate::world::{World, only_host, run};

#[test]
fn a_shallow_clone_is_noticed_and_explained() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    let clone = |world: &World, to: &str| {
        let from = format!("file://{}", world.root().display());
        let to = world.outside(to);
        world.git(["clone", "--quiet", "--depth", "1", &from, to.to_str().unwrap()]);
        let args = ["release", "--dry-run", "--snapshot", "--json"];
        run(world.tool(args).current_dir(to))
    };
    // With the tag on HEAD nothing is missing.
    let tagged = clone(&world, "tagged");
    assert_eq!(tagged.ends_with(0).json()["version"], "1.2.3");
    tagged.never_says("warning:");
    world.commit();
    let untagged = clone(&world, "untagged");
    let version = format!("1.2.3-dev.1.g{}", world.sha());
    assert_eq!(untagged.ends_with(0).json()["version"], version);
    untagged
        .says("warning: git: the clone is shallow, so earlier tags and commits are missing")
        .says("  help: run `git fetch --unshallow --tags`; ")
        .says("`fetch-depth: 0`\n");
}

#[test]
fn sources_without_git_have_cargos_version() {
    let world = World::quick("1.2.3");
    let plan = world.plan("--snapshot");
    assert_eq!(plan["version"], "1.2.3");
    assert_eq!(plan["commit"], serde_json::Value::Null);
    assert_eq!(plan["time"], "2006-07-24T01:21:28Z");
    let env = plan["builds"][0]["env"].as_object().unwrap();
    assert_eq!(env.keys().collect::<Vec<_>>(), ["DOCKLESS_VERSION"]);

    // What `cargo package` writes tells the commit.
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let info = format!(r#"{{"git": {{"sha1": "{sha}"}}, "path_in_vcs": ""}}"#);
    world.file(".cargo_vcs_info.json", &info);
    let plan = world.plan("--snapshot");
    assert_eq!(plan["version"], "1.2.3");
    assert_eq!(plan["commit"], sha);
    assert_eq!(plan["builds"][0]["env"]["DOCKLESS_COMMIT"], sha);

    // What is no commit is not taken for one, and what is no JSON is said.
    world.file(".cargo_vcs_info.json", r#"{"git": {"sha1": "$(id)"}}"#);
    assert_eq!(world.plan("--snapshot")["commit"], serde_json::Value::Null);
    world.file(".cargo_vcs_info.json", "{");
    let broken = world.run("release --dry-run --snapshot");
    broken
        .ends_with(1)
        .no_result()
        .says(&format!("error: read {}: ", world.path(".cargo_vcs_info.json").display()));
}

#[test]
fn before_the_first_commit_there_is_a_version_too() {
    let world = World::quick("1.2.3");
    world.git(["init", "--quiet"]);
    let plan = world.plan("--snapshot");
    assert_eq!(plan["version"], "1.2.3-dev.0.dirty");
    assert_eq!(plan["commit"], serde_json::Value::Null);
    world.run("release --skip publish,check").ends_with(1).says("error: git: ");
}

/// An unpacked package that lies in somebody's repository is not that repository's.
#[test]
fn a_repository_around_the_sources_is_not_theirs() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    world.package("target/vendored", "other", "0.7.0", &only_host());
    world.file(
        "target/vendored/Cargo.toml",
        &format!("{}[workspace]\n", world.read("target/vendored/Cargo.toml")),
    );
    let plan = world.plan("--snapshot --manifest-path target/vendored");
    assert_eq!(plan["version"], "0.7.0", "the folder is ignored by git");

    world.package("unpacked", "other", "0.7.0", &only_host());
    world.file(
        "unpacked/Cargo.toml",
        &format!("{}[workspace]\n", world.read("unpacked/Cargo.toml")),
    );
    let info = r#"{"git": {"sha1": "0123456789abcdef0123456789abcdef01234567"}}"#;
    world.file("unpacked/.cargo_vcs_info.json", info);
    let plan = world.plan("--snapshot --manifest-path unpacked");
    assert_eq!(plan["version"], "0.7.0", "cargo packaged it");

    // Variables that a git hook sets point to another repository.
    let hook = run(world
        .tool(["release", "--dry-run", "--snapshot", "--json", "--manifest-path", "unpacked"])
        .env("GIT_DIR", world.path(".git")));
    assert_eq!(hook.ends_with(0).json()["version"], "0.7.0");
}

/// A repository that cannot be read is not taken for none: its version would
/// be that of a release.
#[test]
fn a_broken_repository_is_an_error() {
    let world = World::committed("1.2.3");
    let head = world.read(".git/HEAD");
    for broken in ["ref: ", "nonsense"] {
        world.file(".git/HEAD", broken);
        world.run("release --dry-run --snapshot").ends_with(1).no_result().says("git");
    }
    fs::remove_file(world.path(".git/HEAD")).unwrap();
    world.run("release --dry-run --snapshot").ends_with(1).no_result().says("git");
    world.file(".git/HEAD", &head);
    assert_eq!(world.plan("--snapshot")["version"], format!("1.2.3-dev.1.g{}", world.sha()));
    // A worktree or a submodule whose repository is elsewhere, and not here.
    fs::rename(world.path(".git"), world.outside("git")).unwrap();
    for link in ["gitdir: ../gone/.git/worktrees/x", "nonsense"] {
        world.file(".git", link);
        world.run("release --dry-run --snapshot").ends_with(1).no_result().says("git");
    }
    world.file(".git", "gitdir: ../git\n");
    assert_eq!(world.plan("--snapshot")["version"], format!("1.2.3-dev.1.g{}", world.sha()));
}

#[test]
fn a_worktree_is_a_repository() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    let tree = world.outside("tree");
    world.git(["worktree", "add", "--quiet", "--detach", tree.to_str().unwrap()]);
    let args = ["release", "--dry-run", "--skip", "publish", "--json"];
    let plan = run(world.tool(args).current_dir(&tree)).ends_with(0).json();
    assert_eq!(plan["version"], "1.2.3");
    assert_eq!(plan["dist"], tree.join("dist").to_str().unwrap());
}
