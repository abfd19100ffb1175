//! The cache: a help that is never in the way, and a folder of which only what is ours goes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use crate::world::running::{read_only, says_that_it_waits};
use crate::world::{HOST, Run, World, assert_whole, contents, names, run};

const WARNING: &str = "warning: nothing is cached for later runs: ";

/// Runs the tool with these variables, or without those that are empty.
fn with(world: &World, args: &str, vars: &[(&str, &str)]) -> Run {
    let mut tool = world.tool(args.split(' '));
    for (name, value) in vars {
        match value.is_empty() {
            true => tool.env_remove(name),
            false => tool.env(name, value),
        };
    }
    run(&mut tool)
}

/// Requires that the work was done without a cache, and that this was said once.
#[track_caller]
fn done_without(ran: &Run, why: &str) {
    ran.ends_with(0).says(WARNING).says(why);
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{}", ran.stderr);
}

/// Whatever is wrong with the folder, images and archives are what they are with one.
#[test]
fn a_cache_that_cannot_be_used_is_done_without_and_said_once() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot -q").ends_with(0);
    let expected = contents(&world.dist());
    let home = world.outside("home");
    fs::create_dir(&home).unwrap();
    fs::write(world.outside("file"), "precious").unwrap();
    symlink("loop", world.outside("loop")).unwrap();
    fs::create_dir_all(world.outside("taken/dockless-cache/photos")).unwrap();
    let path = |name: &str| world.outside(name).display().to_string();
    let (file, below) = (path("file"), path("file/below"));
    let (cycle, taken, empty) = (path("loop"), path("taken"), path("home"));
    for (vars, why) in [
        (vec![("DOCKLESS_CACHE", &*file)], &*file),
        (vec![("DOCKLESS_CACHE", &below)], &file),
        (vec![("DOCKLESS_CACHE", &cycle)], &cycle),
        (vec![("DOCKLESS_CACHE", &taken)], "holds what dockless did not make"),
        (vec![("DOCKLESS_CACHE", ""), ("HOME", "relative")], "XDG_CACHE_HOME and HOME are not set"),
        (vec![("DOCKLESS_CACHE", ""), ("XDG_CACHE_HOME", &file)], &file),
    ] {
        // Programs that are started need a home; the tool's own is another question.
        let mut vars = vars;
        let cargo = std::env::var("CARGO_HOME").unwrap_or_default();
        let rustup = std::env::var("RUSTUP_HOME").unwrap_or_default();
        let real = std::env::var("HOME").unwrap();
        let (cargo, rustup) = (
            if cargo.is_empty() { format!("{real}/.cargo") } else { cargo },
            if rustup.is_empty() { format!("{real}/.rustup") } else { rustup },
        );
        vars.extend([("CARGO_HOME", &*cargo), ("RUSTUP_HOME", &*rustup)]);
        fs::remove_dir_all(world.dist()).unwrap();
        done_without(&with(&world, "release --snapshot", &vars), why);
        assert_eq!(contents(&world.dist()), expected, "{why}");
        // Quiet or as JSON, it is said where people look.
        let plan = with(&world, "release --dry-run --snapshot --json -q", &vars);
        done_without(&plan, why);
        plan.json();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(names(&world.outside("")).iter().all(|name| name != "relative"), "no cache there");
    assert!(!world.path("relative").exists());
    // One that is not wanted is not missed; the usual place does.
    with(&world, "release --snapshot --clean", &[("DOCKLESS_CACHE", &file)]).ends_with(0);
    let usual = with(&world, "archive", &[("DOCKLESS_CACHE", ""), ("XDG_CACHE_HOME", &empty)]);
    usual.ends_with(0).never_says("warning");
    assert!(home.join("dockless/CACHEDIR.TAG").is_file());
    assert!(names(world.root()).iter().all(|name| name != "dockless-cache"));
}

/// A HOME on a disk that nobody can write, with a cache or without, and that of another.
#[test]
fn a_cache_that_cannot_be_written_is_read() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot -q").ends_with(0);
    let expected = contents(&world.dist());
    let disk = world.outside("cache");
    let read_only = |args: &str| read_only(&disk, &world.tool(args.split(' ')));
    let before = contents(&disk);
    // What is there is used: nothing is resolved anew.
    let Some(full) = read_only("release --snapshot") else { return };
    done_without(&full, "Read-only file system");
    full.never_says("resolve");
    assert_eq!(contents(&world.dist()), expected);
    assert_eq!(contents(&disk), before);
    fs::remove_dir_all(&disk).unwrap();
    fs::create_dir(&disk).unwrap();
    let empty = read_only("release --snapshot").unwrap();
    done_without(&empty, "Read-only file system");
    assert_eq!(contents(&world.dist()), expected);
    done_without(&read_only("image --output oci:../out").unwrap(), "Read-only file system");
    world.run("image validate oci:../out").ends_with(0);
    // A tool that is to be installed has no other place.
    let setup = read_only("setup --zig").unwrap();
    setup.ends_with(1).no_result().says("install zig: ").says("Read-only file system");
    setup.says("  help: set DOCKLESS_CACHE to a folder that can be written");
}

/// What others have where the cache was named stays, in whatever folder and by whatever name.
#[test]
fn a_folder_that_is_not_ours_keeps_what_it_has() {
    let world = World::quick("1.0.0");
    let shared = world.outside("cache");
    let hex = "0123456789abcdef".repeat(4);
    let folders = ["archive", "blob", "graph", "layer", "tools", "advisories", ""];
    for folder in folders {
        for name in ["old.txt", "photos/a.jpg", &hex, "pruned", ".dockless-abcdef.tmp", "lock"] {
            let path = shared.join(folder).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "precious").unwrap();
            run(world.with("touch", ["-d", "90 days ago"]).arg(&path)).ends_with(0);
        }
    }
    let before = contents(&shared);
    world.run("release --snapshot -q").ends_with(0).never_says("warning");
    let own = shared.join("dockless-cache");
    assert!(own.join("archive").is_dir() && own.join("CACHEDIR.TAG").is_file());
    // It is found again, and what is in it is used.
    world.run("release --snapshot").ends_with(0).never_says("resolve");
    world.run("clean --cache").ends_with(0);
    assert_eq!(names(&own), Vec::<String>::new());
    fs::remove_dir(&own).unwrap();
    assert_eq!(contents(&shared), before);
}

#[test]
fn what_somebody_put_in_the_place_of_an_entry_is_no_trouble() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot -q").ends_with(0);
    let expected = contents(&world.dist());
    let cache = world.outside("cache");
    let precious = world.outside("precious");
    type Spoil<'a> = &'a dyn Fn(&Path);
    let spoil: [(&str, Spoil<'_>); 6] = [
        ("text", &|path| fs::write(path, "spoilt").unwrap()),
        ("link", &|path| symlink(&precious, path).unwrap()),
        ("dangling link", &|path| symlink("nowhere", path).unwrap()),
        ("pipe", &|path| {
            run(world.with("mkfifo", ["-m", "600"]).arg(path)).ends_with(0);
        }),
        ("closed file", &|path| {
            fs::write(path, "spoilt").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
        ("another's", &|path| {
            // Any other entry of the same kind, or of another.
            let others = contents(&world.outside("other"));
            let other = others.keys().find(|it| !it.ends_with("pruned") && it.contains('/'));
            fs::copy(world.outside("other").join(other.unwrap()), path).map(drop).unwrap();
        }),
    ];
    fs::write(&precious, "precious").unwrap();
    run(&mut world.with("cp", ["-r", "../cache", "../other"])).ends_with(0);
    for (what, spoil) in spoil {
        let mut spoilt = 0;
        for kind in names(&cache).into_iter().filter(|kind| cache.join(kind).is_dir()) {
            for name in names(&cache.join(&kind)) {
                let path = cache.join(&kind).join(name);
                fs::remove_file(&path).unwrap();
                spoil(&path);
                spoilt += 1;
            }
        }
        assert!(spoilt >= 4, "{spoilt} entries are spoilt");
        fs::remove_dir_all(world.dist()).unwrap();
        world.run("release --snapshot").ends_with(0).never_says("warning");
        assert_eq!(contents(&world.dist()), expected, "{what}");
        // It is mended: the next run takes all from there.
        world.run("release --snapshot").ends_with(0).never_says("warning").never_says("resolve");
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    // Folders stay as they are, and are in the way.
    for kind in ["archive", "graph", "blob"] {
        for name in names(&cache.join(kind)) {
            let path = cache.join(kind).join(name);
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            fs::write(path.join("precious"), "").unwrap();
        }
    }
    fs::remove_dir_all(world.dist()).unwrap();
    done_without(&world.run("release --snapshot"), "directory");
    assert_eq!(contents(&world.dist()), expected);
    for kind in ["archive", "graph", "blob"] {
        let dir = cache.join(kind);
        assert!(names(&dir).iter().all(|name| dir.join(name).join("precious").exists()));
    }
}

/// Who cleans the cache waits for those who use it; a run that begins then makes it anew.
#[test]
fn a_cache_is_not_cleaned_under_a_run() {
    let world = World::quick("1.0.0");
    world.run("image -q").ends_with(0);
    let held = world.outside("held");
    let script = "exec 9<\"$CACHE/.lock\" && flock -s 9 && : > \"$HELD\" && exec sleep 600";
    let mut holder = world.with("sh", ["-c", script]);
    let mut holder =
        holder.env("CACHE", world.outside("cache")).env("HELD", &held).spawn().unwrap();
    while !held.exists() {
        assert_eq!(holder.try_wait().unwrap(), None);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // Others use it at the same time.
    world.run("image -q").ends_with(0);
    let mut clean = world.tool(["clean", "--cache"]);
    let mut clean = clean.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (line, said) = says_that_it_waits(&mut clean);
    assert!(line.contains("wait for those who use the cache"), "{line:?}");
    assert!(world.outside("cache/blob").is_dir());
    // It does not keep dist/ from anybody meanwhile.
    world.run("archive -q").ends_with(0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    said.for_each(drop);
    assert!(clean.wait().unwrap().success());
    assert_eq!(names(&world.outside("cache")), Vec::<String>::new());
}

/// Runs that write the cache, and others that clean it: all end well.
#[test]
fn runs_and_cleanings_at_once_end_well() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot -q").ends_with(0);
    let checkouts: Vec<World> = (0..2).map(|_| World::quick("1.0.0")).collect();
    let cache = world.outside("cache");
    let start = |world: &World, args: &str| {
        let mut tool = world.tool(args.split(' '));
        tool.env("DOCKLESS_CACHE", &cache).stdin(Stdio::null());
        tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for _ in 0..3 {
        let mut all: Vec<_> =
            checkouts.iter().map(|it| start(it, "release --snapshot -q")).collect();
        all.push(start(&world, "clean -q --cache"));
        all.push(start(&world, "image -q --output oci:../out"));
        all.push(start(&world, "clean -q --cache"));
        for child in all {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), &*said), (Some(0), ""));
        }
    }
    for checkout in &checkouts {
        assert_whole(&checkout.dist());
        assert!(checkout.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz")).is_file());
    }
    world.run("image validate oci:../out").ends_with(0);
}
