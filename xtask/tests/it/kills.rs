//! Killed between any two changes, run twice at once: dist/ is whole, or it is not there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::strace::{THREADS, WRITES, injected, is_killed, may_trace, some_writes};
use crate::world::{HOST, Run, World, assert_whole, contents, names, said};

mod locks;

/// The seed of what no compressor makes smaller.
const SEED: u64 = 0x5eed_0000_0003;

/// xorshift64, so that a failure can be had again.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A project whose archives take a while to make, and which is compiled already.
fn slow_to_archive() -> World {
    let world = World::single("1.0.0");
    let mut state = SEED;
    let noise: String = (0..60_000).map(|_| format!("{:016x}", next(&mut state))).collect();
    world.file("LICENSE", "free\n").file("NOTICE", &noise).lock();
    world.run("release --snapshot").ends_with(0);
    world
}

/// Before some of the calls that write a file, in any thread, where strace can kill it there.
#[test]
fn killed_before_any_write_dist_is_whole_or_absent_and_the_next_run_mends_it() {
    let world = slow_to_archive();
    if !may_trace(&world) {
        return;
    }
    let (expected, beside) = (contents(&world.dist()), world.names());
    let mut seen = BTreeMap::new();
    let mut kills = 0;
    for (kill, count) in some_writes().enumerate() {
        // Of a run of which something was kept, the archives would not be made.
        fs::remove_dir_all(world.outside("cache")).ok();
        // Every second run finds no dist/, so both ways of putting one in place are met.
        if kill % 2 == 0 {
            fs::remove_dir_all(world.dist()).ok();
        }
        let what = format!("before write {count}");
        let inject = format!("{WRITES}:signal=KILL:when={count}");
        let output = injected(&world, &THREADS, &inject, "release --snapshot -q").output().unwrap();
        kills += u32::from(is_killed(&output, &[0], &what));
        let left = if world.dist().exists() { "whole" } else { "absent" };
        if left == "whole" {
            assert_eq!(contents(&world.dist()), expected, "{what}");
            assert_whole(&world.dist());
        }
        *seen.entry(left).or_insert(0) += 1;
        let ended = output.status.success();
        if ended || kill % 4 == 3 {
            world.run("release --snapshot -q").ends_with(0);
            assert_eq!(contents(&world.dist()), expected, "after a kill {what}");
            assert_eq!(world.names(), beside, "after a kill {what}");
        }
        if ended {
            break;
        }
    }
    said(&format!("{kills} kills before writes: {seen:?}"));
    assert!(kills >= 8 && seen.len() == 2, "{kills} kills came before the end: {seen:?}");
    world.run("clean").ends_with(0);
    let without: Vec<String> = beside.into_iter().filter(|name| name != "dist").collect();
    assert_eq!(world.names(), without);
}

/// Before each call that moves, makes or removes something, where strace can kill it there.
#[test]
fn killed_before_any_change_of_a_folder_dist_is_whole_or_absent() {
    let world = World::quick("1.0.0");
    if !may_trace(&world) {
        return;
    }
    world.run("release --snapshot").ends_with(0);
    let (expected, beside) = (contents(&world.dist()), world.names());
    let mut kills = BTreeMap::new();
    // strace counts each call apart; `?` is for those that a processor's kernel lacks.
    for calls in
        ["?mkdir,?mkdirat", "?rename,?renameat,?renameat2", "?unlink", "?unlinkat", "?rmdir"]
    {
        for (count, with_dist) in (1..100).flat_map(|count| [(count, true), (count, false)]) {
            if !with_dist {
                fs::remove_dir_all(world.dist()).ok();
            }
            let what = format!("before {calls} {count}");
            let inject = format!("{calls}:signal=KILL:when={count}");
            let output = injected(&world, &[], &inject, "release --snapshot -q").output().unwrap();
            let killed = is_killed(&output, &[0], &what);
            *kills.entry(calls).or_insert(0) += u32::from(killed);
            if !killed && with_dist {
                break;
            }
            if world.dist().exists() {
                assert_eq!(contents(&world.dist()), expected, "{what}");
            }
            world.run("release --snapshot -q").ends_with(0);
            assert_eq!(contents(&world.dist()), expected, "after a kill {what}");
            assert_eq!(world.names(), beside, "after a kill {what}");
        }
    }
    // Two folders made, two renames, what was in the older dist/ removed, and its lock: each
    // kind of call is met, with a dist/ and without.
    said(&format!("kills before calls: {kills:?}"));
    assert!(kills.len() == 5 && kills.values().all(|kills| *kills >= 2), "{kills:?}");
    assert!(kills.values().sum::<u32>() >= 12, "{kills:?}");
}

/// The instants where strace is not at hand, too: between the two renames, and before the last
/// removal.
#[test]
fn what_a_kill_can_leave_is_mended() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot").ends_with(0);
    let (expected, beside) = (contents(&world.dist()), world.names());
    let (new, old) = (world.path(".dist.dockless-new"), world.path(".dist.dockless-old"));
    let half = || {
        fs::create_dir(&new).unwrap();
        fs::write(new.join("tool-v1.0.0.tar.gz"), "half").unwrap();
    };
    half();
    fs::rename(world.dist(), &old).unwrap();
    // A run that fails puts back what there was.
    world.file("src/main.rs", "fn main() { broken }\n");
    world.run("release --snapshot").ends_with(1);
    assert_eq!(contents(&world.dist()), expected);
    assert_eq!(world.names(), beside);
    world.file("src/main.rs", crate::world::SAYS_VERSION);
    for (dist, old_there) in [(true, true), (true, false), (false, true)] {
        half();
        match (dist, old_there) {
            (true, true) => {
                fs::create_dir(&old).unwrap();
                fs::copy(world.path("dist/metadata.json"), old.join("metadata.json"))
                    .map(drop)
                    .unwrap();
            }
            (false, true) => fs::rename(world.dist(), &old).unwrap(),
            _ => {}
        }
        world.run("release --snapshot").ends_with(0);
        assert_eq!(contents(&world.dist()), expected);
        assert_eq!(world.names(), beside);
    }
    half();
    fs::rename(world.dist(), &old).unwrap();
    world.run("clean").ends_with(0);
    assert_eq!(world.names().iter().filter(|name| name.contains("dist")).count(), 0);
}

/// A compiler that says that it has begun, and goes on when it is told to.
fn held_back(world: &World) -> Command {
    let script = "case \"$*\" in *'--crate-name tool '*)\n  : > \"$BEGUN\"\n  \
                  while [ ! -e \"$GO\" ]; do sleep 0.02; done;;\nesac\nexec \"$@\"\n";
    let wrapper = world.script("held", script);
    let mut tool = world.tool(["release", "--snapshot"]);
    tool.env("RUSTC_WRAPPER", wrapper)
        .env("BEGUN", world.outside("begun"))
        .env("GO", world.outside("go"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tool
}

fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run::of_unknown(output)
}

#[test]
fn of_two_runs_at_once_the_second_waits_and_says_for_whom() {
    let world = World::quick("1.0.0");
    let first = held_back(&world).spawn().unwrap();
    let holder = first.id();
    wait_for(&world.outside("begun"));
    let mut second = held_back(&world).spawn().unwrap();
    let mut said = BufReader::new(second.stderr.take().unwrap());
    let line = said
        .by_ref()
        .lines()
        .map(Result::unwrap)
        .find(|line| line.trim_start().starts_with("wait "));
    let line = line.unwrap_or_default();
    let waits = format!(
        "      wait for another dockless in this checkout: process {holder} ({})",
        world.root().display()
    );
    assert_eq!(line, waits);
    fs::write(world.outside("go"), "").unwrap();
    ended(first).ends_with(0).never_says("wait for");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let second = ended(second);
    assert_eq!(second.code, Some(0), "{rest}");
    assert_eq!(second.stdout.lines().count(), 6);
    assert_whole(&world.dist());
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
}

#[test]
fn a_lock_ends_with_its_holder_and_clean_respects_it() {
    let world = World::quick("1.0.0");
    let mut first = held_back(&world).spawn().unwrap();
    wait_for(&world.outside("begun"));
    let mut clean = world.tool(["clean"]);
    let mut clean = clean.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(clean.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.trim_start().starts_with("wait ")).unwrap_or_default();
    assert!(line.contains(&format!("process {}", first.id())), "{line:?}");
    assert_eq!(clean.try_wait().unwrap(), None);
    first.kill().unwrap();
    first.wait().unwrap();
    // What cargo had started would wait for ever.
    fs::write(world.outside("go"), "").unwrap();
    assert!(clean.wait().unwrap().success());
    world.run("release --snapshot").ends_with(0).never_says("wait for");
    assert_whole(&world.dist());
}

#[test]
fn many_runs_at_once_all_succeed() {
    let world = World::quick("1.0.0");
    let children: Vec<Child> = (0..4)
        .map(|_| {
            let mut tool = world.tool(["release", "--snapshot", "-q"]);
            tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs: Vec<String> = children
        .into_iter()
        .map(|child| {
            let run = ended(child);
            assert_eq!(run.ends_with(0).stderr, "");
            run.stdout
        })
        .collect();
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "{outputs:?}");
    assert_whole(&world.dist());
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    let stem = format!("tool-v1.0.0-{}", HOST.replace("-unknown-linux", ""));
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
            "tool-v1.0.0.intoto.json"
        ]
    );
    world.run("clean").ends_with(0);
}

#[test]
fn checkouts_that_share_a_cache_do_not_disturb_each_other() {
    let worlds: Vec<World> = (0..4).map(|_| World::quick("1.0.0")).collect();
    for world in &worlds {
        world.run("build --release -q").ends_with(0);
    }
    let cache = worlds[0].outside("shared");
    let children: Vec<Child> = worlds
        .iter()
        .map(|world| {
            let mut tool = world.tool(["release", "--snapshot", "-q"]);
            let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped());
            tool.env("DOCKLESS_CACHE", &cache).spawn().unwrap()
        })
        .collect();
    for child in children {
        ended(child).ends_with(0).never_says("warning:");
    }
    let first = contents(&worlds[0].dist());
    for world in &worlds {
        assert_whole(&world.dist());
        assert_eq!(contents(&world.dist()), first);
    }
    let left = names(&cache.join("archive"));
    assert!(!left.iter().any(|name| name.contains("tmp")), "{left:?}");
}
