//! Packages that one call of cargo builds: only those whose programs have the same bytes then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::world::{HOST, Run, World};

mod generated;

/// How many generated workspaces are built. DOCKLESS_WORKSPACES has another number.
const WORKSPACES: u64 = 3;

/// The packages that are built together, as the plan says.
fn calls(world: &World) -> BTreeSet<Vec<String>> {
    let plan = world.plan("--snapshot");
    let call = |build: &Value| {
        let with = build["with"].as_array().into_iter().flatten();
        let mut call: Vec<String> =
            with.chain([&build["package"]]).map(|it| it.as_str().unwrap().to_owned()).collect();
        call.sort();
        call
    };
    plan["builds"].as_array().unwrap().iter().map(call).collect()
}

/// The archives in dist/ by name.
fn archives(world: &World) -> BTreeMap<String, Vec<u8>> {
    let names = crate::world::names(&world.dist());
    let archives = names.into_iter().filter(|name| name.ends_with(".tar.gz"));
    archives.map(|name| (name.clone(), fs::read(world.dist().join(&name)).unwrap())).collect()
}

/// How often cargo built something.
fn builds(run: &Run) -> usize {
    run.stderr.matches("cargo build --package").count()
}

/// Archives of all packages at once, and of each on its own in a fresh target folder. Returns how
/// often cargo was called for all.
fn same_apart(world: &World, packages: &[&str]) -> usize {
    let all = world.run("archive -v");
    all.ends_with(0);
    let together = archives(world);
    assert_eq!(together.len(), packages.len(), "{:?}", together.keys());
    fs::remove_dir_all(world.path("target")).unwrap();
    for package in packages {
        let alone = world.run(&format!("archive -v --package {package}"));
        alone.ends_with(0);
        assert_eq!(builds(&alone), 1, "{}", alone.stderr);
        for (name, bytes) in archives(world) {
            assert!(together[&name] == bytes, "{name} has other bytes in a call with others");
        }
    }
    builds(&all)
}

#[test]
fn what_is_built_in_one_call_has_the_bytes_of_calls_of_their_own() {
    let asked = std::env::var("DOCKLESS_WORKSPACES").ok();
    let workspaces = asked.map_or(WORKSPACES, |number| number.parse().unwrap());
    let (mut joined, mut apart) = (0, 0);
    for seed in 0..workspaces {
        let world = generated::workspace(seed);
        let calls = calls(&world);
        assert_eq!(calls.iter().flatten().count(), generated::PROGRAMS.len(), "{seed}: {calls:?}");
        let built = same_apart(&world, &generated::PROGRAMS);
        assert_eq!(built, calls.len(), "{seed}: {calls:?}");
        crate::world::said(&format!("workspace {seed}: {calls:?}"));
        joined += generated::PROGRAMS.len() - built;
        apart += built - 1;
    }
    assert!(joined > 0 && apart > 0, "{joined} joined, {apart} apart");
}

/// A library and two programs that use it.
fn two(first: &str, second: &str) -> World {
    let world = World::empty();
    let root = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"two\", \"lib\"]\n\n\
         [workspace.metadata.dockless]\ntargets = [{HOST:?}]\n"
    );
    world.file("Cargo.toml", &root).file("LICENSE", "free\n");
    world.package("lib", "lib", "1.0.0", "[features]\nx = []\n");
    fs::remove_file(world.path("lib/src/main.rs")).unwrap();
    world.file("lib/src/lib.rs", "pub fn on() -> bool { cfg!(feature = \"x\") }\n");
    for (name, more) in [("one", first), ("two", second)] {
        world.package(name, name, "1.0.0", more);
        world.file(&format!("{name}/build.rs"), "fn main() {}\n");
    }
    world.file("one/src/lib.rs", "\n");
    if second.contains("[[bin]]") {
        world.file("two/src/bin/one.rs", "fn main() {}\n");
    }
    world.lock();
    world
}

/// A dependency on the library, with more of its table.
fn on(more: &str) -> String {
    format!("[dependencies]\nlib = {{ path = \"../lib\"{more} }}\n")
}

#[test]
fn packages_with_the_same_crates_are_built_in_one_call() {
    let world = two(&on(""), &on(""));
    assert_eq!(same_apart(&world, &["one", "two"]), 1);
    let both = world.run("build");
    both.ends_with(0).says(&format!("one 1.0.0, two 1.0.0 for {HOST}\n"));
    let paths: Vec<&str> = both.stdout.lines().collect();
    assert!(paths[0].ends_with("/one") && paths[1].ends_with("/two"), "{paths:?}");
    // What fails says so as before, and names what is needed.
    world.file("two/src/main.rs", "fn main() { let x: u8 = \"\"; }\n");
    let failed = world.run("build");
    failed.ends_with(1).no_result().says("error[E0308]");
    failed.says("cargo build --package one@1.0.0 --package two@1.0.0 --bin one --bin two ");
}

#[test]
fn other_packages_stay_apart() {
    let more = ", features = [\"x\"]";
    let build = |more: &str| on(more).replace("[d", "[build-d");
    let own = "[package.metadata.dockless]\nenv = { A = \"b\" }\n";
    let used = "[dependencies]\none = { path = \"../one\" }\n";
    let second = "[[bin]]\nname = \"one\"\nrequired-features = [\"no\"]\n[features]\nno = []\n\
                  [[bin]]\nname = \"two\"\npath = \"src/main.rs\"\n";
    for (what, first, second, joined) in [
        ("the same", on(""), on(""), true),
        ("nothing in common", String::new(), on(more), true),
        ("other features", on(""), on(more), false),
        ("other features on another side", on(""), format!("{}{}", on(""), build(more)), true),
        ("other features for the host", build(""), build(more), false),
        ("other variables", on(""), format!("{}{own}", on("")), false),
        ("one that uses the other", on(""), used.to_owned(), false),
        ("a binary of the same name", on(""), format!("{second}{}", on("")), false),
    ] {
        let world = two(&first, &second);
        let expected = if joined { 1 } else { 2 };
        assert_eq!(calls(&world).len(), expected, "{what}");
    }
}
