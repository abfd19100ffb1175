//! `release` without --snapshot: what stops one, before anything compiles.

use std::fs;

use crate::world::{HOST, Run, World, assert_whole, names, run};

/// Runs a release that must be refused, and have touched nothing.
fn refused(world: &World, args: &str) -> Run {
    let run = world.run(args);
    run.ends_with(1).no_result();
    assert!(!world.path("target").exists(), "something was compiled:\n{}", run.stderr);
    assert!(!world.dist().exists(), "dist/ was made:\n{}", run.stderr);
    run
}

#[test]
fn a_tagged_commit_is_released() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    let release = world.run("release --skip publish,check");
    release.ends_with(0).never_says("warning:");
    assert_whole(&world.dist());
    let archive = format!("tool-v1.2.3-{HOST}.tar.gz");
    let stem = format!("tool-v1.2.3-{}", HOST.replace("-unknown-linux", ""));
    assert_eq!(
        names(&world.dist()),
        [
            ".gitignore",
            "artifacts.json",
            "checksums.txt",
            "images",
            "metadata.json",
            &format!("{stem}.image.spdx.json"),
            &format!("{stem}.spdx.json"),
            &archive,
            "tool-v1.2.3.intoto.json"
        ]
    );
    let metadata: serde_json::Value =
        serde_json::from_str(&world.read("dist/metadata.json")).unwrap();
    assert_eq!((&metadata["snapshot"], &metadata["tag"]), (&false.into(), &"v1.2.3".into()));
    // A release is the same bytes as the snapshot of its commit, and dist/ does not stain the tree.
    let released = fs::read(world.dist().join(&archive)).unwrap();
    world.run("release --snapshot --clean").ends_with(0);
    assert_eq!(fs::read(world.dist().join(&archive)).unwrap(), released);
}

#[test]
fn a_tag_that_disagrees_with_cargo_toml_stops_it() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.3.0"]);
    refused(&world, "release --skip publish,check").says(&format!(
        "error: {}: [package] version: HEAD has the tag v1.3.0, but tool is at 1.2.3 in \
         Cargo.toml\n  help: set the version to 1.3.0 and move the tag to that commit, or \
         remove the tag\n",
        world.path("Cargo.toml").display()
    ));
    refused(&world, "release --dry-run --skip publish,check").says("HEAD has the tag v1.3.0");
}

#[test]
fn a_package_at_another_version_than_the_tag_is_named() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "2.0.0")], "");
    world.commit();
    world.git(["tag", "v1.0.0"]);
    refused(&world, "release --skip publish,check")
        .says(&format!("error: {}: [package] version: ", world.path("beta/Cargo.toml").display()))
        .says("HEAD has the tag v1.0.0, but beta is at 2.0.0 in Cargo.toml\n")
        .never_says("alpha is at");
}

#[test]
fn a_tree_that_is_not_the_tags_stops_it() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    world.file("LICENSE", "changed\n");
    refused(&world, "release --skip publish,check").says(
        "error: git: the tree has changes that the tag does not hold\n  help: commit or stash \
         them (`git status` lists them), or make a snapshot with --snapshot\n",
    );
}

#[test]
fn without_a_tag_there_is_no_release() {
    let world = World::committed("1.2.3");
    let missing = "error: git: no release tag on HEAD\n  help: tag the commit, for example `git \
                   tag v1.2.3`, or make a snapshot with --snapshot\n";
    refused(&world, "release --skip publish,check").says(missing);
    world.git(["tag", "v1.2.2"]);
    world.commit();
    refused(&world, "release --skip publish,check").says(missing);

    let untracked = World::quick("1.2.3");
    refused(&untracked, "release --skip publish,check").says(
        "error: git: the sources are not in a git repository, so no tag tells the version\n  \
         help: release from a git checkout, or make a snapshot with --snapshot\n",
    );
}

#[test]
fn without_a_lock_file_it_could_not_be_made_again() {
    let world = World::committed("1.2.3");
    world.file(".gitignore", "/target\nCargo.lock\n");
    fs::remove_file(world.path("Cargo.lock")).unwrap();
    world.commit();
    world.git(["tag", "v1.2.3"]);
    refused(&world, "release --skip publish,check").says(
        "error: git: there is no Cargo.lock, so the release could not be made again\n  help: \
         run `cargo generate-lockfile` and commit Cargo.lock\n",
    );
}

#[test]
fn a_lock_file_that_is_behind_stops_it() {
    let world = World::committed("1.2.3");
    let lock = world.read("Cargo.lock").replace("1.2.3", "1.2.2");
    world.file("Cargo.lock", &lock).commit();
    world.git(["tag", "v1.2.3"]);
    let run = world.run("release --skip publish,check");
    run.ends_with(1).no_result().says("Cargo.lock is stale: it has tool 1.2.2, and its Cargo.toml");
    assert!(!world.dist().exists());
    assert_eq!(world.read("Cargo.lock"), lock);
}

/// Two packages at one version, each with its tag: neither release is the other's.
#[test]
fn one_release_has_one_tag() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    world.commit();
    world.git(["tag", "alpha-v1.0.0"]);
    world.git(["tag", "beta-v1.0.0"]);
    refused(&world, "release --skip publish,check")
        .says("HEAD has the tags alpha-v1.0.0, beta-v1.0.0, and one release has one tag");
}

#[test]
fn one_release_has_one_version() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "2.0.0")], "");
    world.commit();
    world.git(["tag", "alpha-v1.0.0"]);
    world.git(["tag", "beta-v2.0.0"]);
    refused(&world, "release --skip publish,check").says(
        "error: git: HEAD has the tags alpha-v1.0.0, beta-v2.0.0, and one release has one \
         tag\n  help: release one after the other, with --package\n",
    );
    let plan = world.plan("--skip publish,check --package alpha");
    assert_eq!(plan["version"], "1.0.0");
    assert_eq!(plan["tag"], "alpha-v1.0.0");
    assert_eq!(plan["builds"].as_array().unwrap().len(), 1);
}

#[test]
fn a_named_tag_releases_the_package_that_it_names() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "2.0.0")], "");
    world.commit();
    world.git(["tag", "beta-v2.0.0"]);
    let plan = world.plan("--skip publish,check");
    assert_eq!(plan["builds"].as_array().unwrap().len(), 1);
    assert_eq!(plan["builds"][0]["package"], "beta");
    let left_out = &plan["left_out"][0];
    assert_eq!(left_out["what"], "alpha");
    assert_eq!(left_out["why"], "the tag beta-v2.0.0 on HEAD does not speak of it");
    assert_eq!(left_out["fix"], "tag alpha-v1.0.0 to release it");

    let all = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    all.commit();
    all.git(["tag", "v1.0.0"]);
    let plan = all.plan("--skip publish,check");
    assert_eq!(plan["version"], "1.0.0");
    assert_eq!(plan["builds"].as_array().unwrap().len(), 2);
    assert_eq!(plan["publish"], serde_json::Value::Null);
}

/// The version of what is not shipped is nobody's concern.
#[test]
fn a_tag_speaks_of_what_is_shipped() {
    let world =
        World::workspace(&[("alpha", "1.0.0"), ("hidden", "3.0.0"), ("library", "2.0.0")], "");
    world.package("hidden", "hidden", "3.0.0", "[package.metadata.dockless]\nship = false\n");
    fs::rename(world.path("library/src/main.rs"), world.path("library/src/lib.rs")).unwrap();
    world.commit();
    world.git(["tag", "v1.0.0"]);
    let plan = world.plan("--skip publish,check");
    assert_eq!((&plan["version"], &plan["tag"]), (&"1.0.0".into(), &"v1.0.0".into()));
    assert_eq!(plan["builds"].as_array().unwrap().len(), 1);
    assert_eq!(plan["left_out"][0]["what"], "hidden");
    // Whoever asks for it by name has to have tagged it.
    refused(&world, "release --skip publish,check --package hidden").says("hidden is at 3.0.0");
}

/// Without a word about where it goes nothing is published, and nothing compiled.
#[test]
fn nothing_is_published_to_nowhere() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    let refused = world.run("release --skip check");
    refused
        .ends_with(1)
        .no_result()
        .says("it is not known which repository on github.com is released")
        .says("name it as `repository` in [workspace.metadata.dockless.github]")
        .never_says("Compiling");
    assert!(!world.dist().exists());
    // Every fault of the commit is said with it.
    world.file("LICENSE", "changed\n");
    let refused = world.run("release --skip check");
    refused.ends_with(1).says("error: git: the tree has changes").says("it is not known which");
}

/// A dry run changes nothing: not dist/, not the lock file, not the cache of builds.
#[test]
fn a_dry_run_makes_nothing() {
    let world = World::quick("1.2.3");
    let before = world.names();
    let shown = world.run("release --dry-run --snapshot");
    shown.ends_with(0);
    let archive = format!("dist/tool-v1.2.3-{HOST}.tar.gz");
    assert!(shown.stdout.contains(&archive), "{}", shown.stdout);
    assert!(shown.stdout.contains("LICENSE, tool") || shown.stdout.contains("tool, LICENSE"));
    assert_eq!(world.names(), before);

    fs::remove_file(world.path("Cargo.lock")).unwrap();
    let before = world.names();
    run(&mut world.tool(["release", "--dry-run", "--snapshot"])).ends_with(0);
    assert_eq!(world.names(), before, "without a lock file");
}

/// A Cargo.lock that another cargo makes while this one is asked is that one's.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_file_of_anothers_stays() {
    let world = World::quick("1.2.3");
    let lock = world.read("Cargo.lock");
    fs::remove_file(world.path("Cargo.lock")).unwrap();
    fs::write(world.outside("theirs"), &lock).unwrap();
    let made = format!(
        "if tr '\\0' ' ' < /proc/$PPID/cmdline | grep -q -- --filter-platform; then\n\
         cp {} {}\nfi\nexec rustc \"$@\"\n",
        world.outside("theirs").display(),
        world.path("Cargo.lock").display()
    );
    let rustc = world.script("rustc", &made);
    run(world.tool(["release", "--dry-run", "--snapshot"]).env("RUSTC", rustc)).ends_with(0);
    assert_eq!(world.read("Cargo.lock"), lock);
}

#[test]
fn a_step_can_be_skipped() {
    let world = World::quick("1.2.3");
    world.run("release --snapshot --skip archive,publish,sbom,provenance").ends_with(0);
    assert_eq!(names(&world.dist()), [".gitignore", "artifacts.json", "images", "metadata.json"]);
    world.run("release --snapshot --skip archive,image").ends_with(0);
    assert_eq!(names(&world.dist()), [".gitignore", "artifacts.json", "metadata.json"]);
    let unknown = world.run("release --snapshot --skip archives");
    unknown.ends_with(2).no_result().says("invalid value 'archives'");
}

/// Every part of an address that is shown is there.
#[test]
fn the_calls_of_a_dry_run_have_whole_addresses() {
    let world = World::committed("1.0.0");
    let manifest = world.read("Cargo.toml");
    let github = "[workspace.metadata.dockless.github]\nrepository = \"acme/tool\"\n";
    world.file("Cargo.toml", &format!("{manifest}{github}")).commit();
    world.git(["tag", "v1.0.0"]);
    for (api, at) in [
        ("https://api.github.com", "https://api.github.com/repos/acme/tool/releases"),
        ("https://api.github.com/", "https://api.github.com/repos/acme/tool/releases"),
        ("https://ghe.test/api/v3", "https://ghe.test/api/v3/repos/acme/tool/releases"),
        ("https://ghe.test/api/v3/", "https://ghe.test/api/v3/repos/acme/tool/releases"),
        ("", "https://api.github.com/repos/acme/tool/releases"),
    ] {
        let args = ["dockless", "release", "--dry-run", "--skip", "check,image"];
        let mut dry = world.with(env!("CARGO_BIN_EXE_cargo-dockless"), args);
        let said = run(dry.env("GITHUB_API_URL", api));
        said.ends_with(0);
        assert!(said.stdout.contains(&format!("{at} ")), "{api}: {}", said.stdout);
        let paths = said.stdout.replace("://", "");
        assert!(!paths.contains("//"), "{api}: {}", said.stdout);
    }
}
