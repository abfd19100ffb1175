//! Runs at once that share a folder: each waits where the shared thing is.

use std::io;
use std::os::unix::fs::symlink;

use super::*;
use crate::world::run;
use crate::world::running::says_that_it_waits;
use crate::world::strace::{injected, may_trace};

#[track_caller]
fn ends_well(child: Child, said: impl Iterator<Item = io::Result<String>>) {
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(ended(child).code, Some(0), "{rest:#?}");
}

/// dist/ lies beside the sources, wherever cargo's folder is, and so does its lock; neither
/// git nor cargo sees it.
#[test]
fn runs_with_target_folders_of_their_own_wait_for_dist() {
    let world = World::committed("1.0.0");
    world.file(".gitignore", "/target\n/dist\n").commit();
    let target = |name: &str| {
        let mut tool = held_back(&world);
        tool.env("CARGO_TARGET_DIR", world.outside(name));
        tool
    };
    // A checkout that is reached by a link is the same.
    let link = world.outside("link");
    symlink(world.root(), &link).unwrap();
    let first = target("one").current_dir(&link).spawn().unwrap();
    let holder = first.id();
    wait_for(&world.outside("begun"));
    let sources = "Cargo.lock\nCargo.toml\nLICENSE\nsrc/main.rs\n";
    assert_eq!(world.git(["status", "--porcelain"]), "");
    let packaged = run(&mut world.with("cargo", ["package", "--list", "--allow-dirty"]));
    assert!(!packaged.ends_with(0).stdout.contains("dockless"), "{}", packaged.stdout);
    assert!(sources.lines().all(|it| packaged.stdout.contains(it)), "{}", packaged.stdout);
    world.git(["checkout", "--quiet", "Cargo.lock"]);
    let mut second = target("two").spawn().unwrap();
    let (line, said) = says_that_it_waits(&mut second);
    assert!(line.contains("another dockless in this checkout"), "{line:?}");
    assert!(line.contains(&format!("process {holder} (")), "{line:?}");
    fs::write(world.outside("go"), "").unwrap();
    ended(first).ends_with(0).never_says("wait for");
    ends_well(second, said);
    assert_whole(&world.dist());
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

/// A dist/ is put in its place by two renames: who reads a release's plugins there waits.
#[test]
fn plugins_are_not_read_while_a_run_makes_dist() {
    let world = World::committed("1.0.0");
    fs::create_dir_all(world.outside("index/plugins")).unwrap();
    let first = held_back(&world).spawn().unwrap();
    let holder = first.id();
    wait_for(&world.outside("begun"));
    let mut second = world.tool(["krew", "bump", "--index", "../index"]);
    let mut second = second.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (line, said) = says_that_it_waits(&mut second);
    assert!(line.contains(&format!("process {holder} (")), "{line:?}");
    fs::write(world.outside("go"), "").unwrap();
    ended(first).ends_with(0);
    let rest: String = said.map(Result::unwrap).collect();
    assert_eq!(ended(second).code, Some(1), "{rest}");
    assert!(rest.contains("there is no manifest of a plugin in "), "{rest}");
}

/// What cargo made would be replaced before it is shipped.
#[test]
fn checkouts_that_share_a_target_folder_wait_for_each_other() {
    let (one, two) = (World::quick("1.0.0"), World::quick("2.0.0"));
    let shared = one.outside("shared");
    let mut first = held_back(&one);
    let first = first.env("CARGO_TARGET_DIR", &shared).spawn().unwrap();
    let holder = first.id();
    wait_for(&one.outside("begun"));
    let mut second = two.tool(["release", "--snapshot"]);
    second.env("CARGO_TARGET_DIR", &shared).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut second = second.spawn().unwrap();
    let (line, said) = says_that_it_waits(&mut second);
    let expected = format!("that builds in {}: process {holder} (", shared.display());
    assert!(line.contains(&expected), "{line:?}");
    fs::write(one.outside("go"), "").unwrap();
    ended(first).ends_with(0);
    ends_well(second, said);
    for world in [&one, &two] {
        assert_whole(&world.dist());
    }
}

/// Layouts are read, changed and written: of two runs the second waits, and says so.
#[test]
fn runs_that_write_one_layout_wait_for_each_other() {
    let world = World::quick("1.0.0");
    let out = world.outside("out");
    world.run("image -q --output oci:../out").ends_with(0);
    let held = world.outside("held");
    let script = "exec 9<>\"$OUT/.dockless-lock\" && flock 9 && : > \"$HELD\" && exec sleep 600";
    let mut holder = world.with("sh", ["-c", script]);
    let mut holder = holder.env("OUT", &out).env("HELD", &held).spawn().unwrap();
    wait_for(&held);
    let mut waiting = world.tool(["image", "--output", "oci:../out"]);
    let mut waiting = waiting.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (line, said) = says_that_it_waits(&mut waiting);
    // Who holds it has not written of itself.
    assert!(line.contains("that writes ") && line.ends_with(": another process"), "{line:?}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    ends_well(waiting, said);
    world.run("image validate oci:../out").ends_with(0);
}

/// A lock is a file that this tool made, or none: a link that a repository holds is not
/// followed, and what is another's is not written.
#[test]
fn a_lock_that_leads_elsewhere_is_refused_and_leaves_what_is_there() {
    let world = World::quick("1.0.0");
    world.run("image -q --output oci:../out").ends_with(0);
    let precious = world.outside("precious");
    for (place, args, refused) in [
        ("target/.dockless-lock", "release --snapshot", true),
        ("target/.dockless-lock", "image --output oci:../out", true),
        ("target/.dockless-lock", "clean", false),
        (".dist.dockless-lock/lock", "release --snapshot", true),
        (".dist.dockless-lock/lock", "archive", true),
        (".dist.dockless-lock/lock", "clean", true),
        (".dist.dockless-lock/.gitignore", "clean", false),
        (".dist.dockless-lock", "release --snapshot", true),
        ("../out/.dockless-lock", "image --output oci:../out", true),
    ] {
        let lock = world.path(place);
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        fs::remove_file(&lock).ok();
        fs::write(&precious, "export PRECIOUS=1\n").unwrap();
        symlink(&precious, &lock).unwrap();
        let ran = world.run(args);
        if refused {
            ran.ends_with(1).no_result().says(place.trim_start_matches("../"));
            ran.says("  help: see where ");
        } else {
            ran.ends_with(0);
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "export PRECIOUS=1\n", "{place}");
        fs::remove_file(&lock).unwrap();
        // What would be made through it is not made either.
        if refused {
            symlink(world.outside("absent"), &lock).unwrap();
            world.run(args).ends_with(1);
            assert!(!world.outside("absent").exists(), "{place}: {args}");
            fs::remove_file(&lock).unwrap();
        }
        fs::write(&lock, "another's\n").unwrap();
        if place != ".dist.dockless-lock" {
            world.run(args).ends_with(0);
            assert_eq!(fs::read_to_string(&lock).unwrap(), "another's\n", "{place}");
        }
        fs::remove_file(&lock).unwrap();
        fs::remove_dir_all(world.path(".dist.dockless-lock")).ok();
    }
}

/// Some network file systems have no locks.
#[test]
fn a_file_system_without_locks_is_said() {
    let world = World::quick("1.0.0");
    if !may_trace(&world) {
        return;
    }
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let inject = format!("flock:error={error}");
        let refused = run(&mut injected(&world, &[], &inject, "release --snapshot"));
        refused.ends_with(1).no_result().says("error: lock ").says("on another file system");
        assert!(!world.dist().exists());
    }
}
