//! Killed between any two changes, and run at once with others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{assert_blobs, assert_same, configure, tags, with_asset};
use crate::world::running::says_that_it_waits;
use crate::world::strace::{THREADS, WRITES, injected, is_killed, may_trace, some_writes};
use crate::world::{World, contents, judge, names, run, said, skipped};

/// Requires that a killed run left nothing that is half done: blobs in the cache are
/// what they are called, and so are those in a layout, which is valid once it is one.
#[track_caller]
fn assert_sound(world: &World, layout: &Path, what: &str) {
    for dir in [world.outside("cache/blob"), layout.join("blobs/sha256")] {
        if !dir.exists() {
            continue;
        }
        // Those in the making have names of their own.
        for name in names(&dir).iter().filter(|name| !name.ends_with(".tmp")) {
            let bytes = fs::read(dir.join(name)).unwrap();
            assert!(name == "pruned" || crate::world::sha256(&bytes) == *name, "{what}: {name}");
        }
    }
    if layout.join("index.json").exists() {
        let image = format!("oci:{}", layout.display());
        let validated = world.run(&format!("image validate {image}"));
        assert_eq!(validated.code, Some(0), "{what}: {}", validated.stderr);
    }
}

/// Before some of the calls that write a file, in any thread, where strace can kill it there.
#[test]
fn killed_before_any_write_what_is_there_is_whole() {
    let world = with_asset(3000);
    if !may_trace(&world) {
        return;
    }
    let out = world.outside("out");
    let outputs = ["image -q", "image -q --output oci:../out"];
    let all = || {
        for args in outputs {
            world.run(args).ends_with(0);
        }
    };
    all();
    let (dist, layout) = (contents(&world.dist()), contents(&out));
    let beside = world.names();
    for args in outputs {
        let mut kills = 0;
        for (kill, count) in some_writes().enumerate() {
            fs::remove_dir_all(world.outside("cache")).ok();
            // Every second run finds nothing, so both ways of putting it in place are met.
            if kill % 2 == 0 {
                fs::remove_dir_all(world.dist()).ok();
                fs::remove_dir_all(&out).ok();
            }
            let what = format!("{args}, before write {count}");
            let inject = format!("{WRITES}:signal=KILL:when={count}");
            let output = injected(&world, &THREADS, &inject, args).output().unwrap();
            kills += u32::from(is_killed(&output, &[0], &what));
            assert_sound(&world, &out, &what);
            if world.dist().exists() {
                assert_same(&contents(&world.dist()), &dist, &what);
            }
            let ended = output.status.success();
            if ended || kill % 4 == 3 {
                all();
                assert_same(&contents(&world.dist()), &dist, &what);
                assert_same(&contents(&out), &layout, &what);
                assert_eq!(world.names(), beside, "{what}");
            }
            if ended {
                break;
            }
        }
        said(&format!("{args}: {kills} kills before writes"));
        assert!(kills >= 8, "{args}: {kills} kills came before the end");
    }
}

/// Before each call that makes, moves, links or removes something, in any thread, where
/// strace can kill it there.
#[test]
fn killed_before_any_change_of_a_folder_what_is_there_is_whole() {
    let world = with_asset(8);
    if !may_trace(&world) {
        return;
    }
    let out = world.outside("out");
    let outputs = ["image -q", "image -q --output oci:../out --output oci-archive:../out.tar"];
    let all = || {
        for args in outputs {
            world.run(args).ends_with(0);
        }
    };
    all();
    let dist = contents(&world.dist());
    let (layout, archive) = (contents(&out), fs::read(world.outside("out.tar")).unwrap());
    let beside = world.names();
    let skopeo = judge("skopeo");
    let mut kills = BTreeMap::new();
    for (args, calls) in outputs.iter().flat_map(|args| {
        [
            "?mkdir,?mkdirat",
            "?rename,?renameat,?renameat2",
            "?link,?linkat",
            "?unlink,?unlinkat,?rmdir",
        ]
        .map(|calls| (*args, calls))
    }) {
        for (count, empty) in (1..60).map(|count| (count, count % 2 == 0)) {
            fs::remove_dir_all(world.outside("cache")).ok();
            if empty {
                fs::remove_dir_all(world.dist()).ok();
                fs::remove_dir_all(&out).ok();
                fs::remove_file(world.outside("out.tar")).ok();
            }
            let what = format!("{args}, before {calls} {count}");
            let inject = format!("{calls}:signal=KILL:when={count}");
            let options = ["-f", "--seccomp-bpf"];
            let output = injected(&world, &options, &inject, args).output().unwrap();
            // A program that it started may be met instead, and be missed by it.
            let killed = is_killed(&output, &[0, 1], &what);
            *kills.entry((args, calls)).or_insert(0) += u32::from(killed);
            assert_sound(&world, &out, &what);
            if world.dist().exists() {
                assert_same(&contents(&world.dist()), &dist, &what.to_string());
            }
            if let Ok(bytes) = fs::read(world.outside("out.tar")) {
                assert!(bytes == archive, "{what}: the archive differs");
            }
            if let (true, Some(skopeo)) = (out.join("index.json").exists(), &skopeo) {
                let image = format!("oci:{}", out.display());
                run(&mut world.with(skopeo, ["inspect", &image])).ends_with(0);
            }
            if output.status.success() {
                break;
            }
            if killed {
                all();
                assert_same(&contents(&world.dist()), &dist, &format!("after: {what}"));
                assert_same(&contents(&out), &layout, &format!("after: {what}"));
                assert_eq!(world.names(), beside, "after: {what}");
            }
        }
    }
    said(&format!("kills before calls: {kills:?}"));
    // What is written elsewhere takes no links, and nothing of an earlier one is in its way.
    let never = |args: &str, calls: &str| args.contains("--output") && calls.contains("link");
    let met = |((args, calls), kills): (&(&str, &str), &u32)| (*kills > 0) != never(args, calls);
    assert!(kills.len() == 8 && kills.iter().all(met), "{kills:?}");
    assert!(kills.values().sum::<u32>() >= 20, "{kills:?}");
}

fn started(world: &World, args: &str, cache: &Path) -> Child {
    let mut tool = world.tool(args.split(' '));
    tool.env("DOCKLESS_CACHE", cache).stdin(Stdio::null());
    tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn all_end_well(children: Vec<Child>) -> Vec<String> {
    let output = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), &*said), (Some(0), ""));
        String::from_utf8(output.stdout).unwrap()
    };
    children.into_iter().map(output).collect()
}

#[test]
fn many_runs_at_once_in_one_checkout_end_alike() {
    let world = with_asset(500);
    world.run("build --release -q").ends_with(0);
    let cache = world.outside("cache");
    let outputs = all_end_well((0..4).map(|_| started(&world, "image -q", &cache)).collect());
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "{outputs:?}");
    world.run("image validate oci:dist/images/tool").ends_with(0).never_says("warning");
    assert_blobs(&cache.join("blob"));
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    // Runs that write elsewhere do not wait for one another's writing.
    let into = |place: &str| format!("image -q --output {place}");
    let places =
        ["oci:../same", "oci:../same", "oci-archive:../same.tar", "oci-archive:../same.tar"];
    all_end_well(places.iter().map(|place| started(&world, &into(place), &cache)).collect());
    for image in ["oci:../same", "oci-archive:../same.tar"] {
        world.run(&format!("image validate {image}")).ends_with(0);
    }
    assert!(!names(&world.outside("")).iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn checkouts_that_share_a_cache_and_a_layout_do_not_disturb_each_other() {
    let worlds: Vec<World> = (0..3).map(|_| with_asset(500)).collect();
    for (at, world) in worlds.iter().enumerate() {
        let image = format!("files = [{{ from = \"asset\", to = \"/a\" }}]\ntags = [\"t{at}\"]");
        configure(world, &image).run("build --release -q").ends_with(0);
    }
    let (cache, same) = (worlds[0].outside("shared"), worlds[0].outside("same"));
    let args = format!("image -q --output oci:{}", same.display());
    for round in 0..3 {
        if round != 1 {
            fs::remove_dir_all(&cache).ok();
        }
        if round == 2 {
            fs::remove_dir_all(&same).ok();
        }
        all_end_well(worlds.iter().map(|world| started(world, &args, &cache)).collect());
        let tags = tags(&same);
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["t0", "t1", "t2"], "in round {round}");
        for tag in tags.keys() {
            let image = format!("oci:{}:{tag}", same.display());
            worlds[0].run(&format!("image validate {image}")).ends_with(0).never_says("warning");
        }
        assert_blobs(&same.join("blobs/sha256"));
        assert_blobs(&cache.join("blob"));
    }
}

/// A run that waits for the layout's lock gets it when its holder is killed.
#[test]
fn a_layouts_lock_ends_with_its_holder() {
    let world = with_asset(3000);
    world.run("image -q").ends_with(0);
    let out = world.outside("out");
    // Another process that holds it, as a run that is stopped would.
    let script = "mkdir -p \"$OUT\" && exec 9> \"$OUT/.dockless-lock\" && flock 9 && : > \"$HELD\" \
                  && exec sleep 600";
    let held = world.outside("held");
    let mut holder = world.with("sh", ["-c", script]);
    let mut holder = holder.env("OUT", &out).env("HELD", &held).spawn().unwrap();
    while !held.exists() {
        if holder.try_wait().unwrap().is_some() {
            return skipped("flock not found");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut waiting = world.tool(["image", "--output", "oci:../out"]);
    let mut waiting = waiting.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (line, said) = says_that_it_waits(&mut waiting);
    assert!(line.contains("that writes "), "{line:?}");
    assert_eq!(waiting.try_wait().unwrap(), None);
    assert!(!out.join("index.json").exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    said.for_each(drop);
    assert!(waiting.wait().unwrap().success());
    world.run("image validate oci:../out").ends_with(0);
}
