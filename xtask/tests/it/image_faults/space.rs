//! No room on the disk, wherever something is written.

use std::fs;
use std::path::{Path, PathBuf};

use super::{assert_blobs, assert_same, tags, with_asset, write_asset};
use crate::world::{Run, World, contents, names, run, skipped};

/// In KiB: what is free on the small disk, and what the image's asset takes then.
const FREE: u64 = 1500;
const ASSET: usize = 6000;

/// A project that has all its outputs already, and an asset that is too large since.
fn grown() -> World {
    let world = with_asset(50);
    for args in
        ["image -q", "image -q --output oci:../stage/oci --output oci-archive:../stage/oci.tar"]
    {
        world.run(args).ends_with(0);
    }
    world.run("image -q --output docker-archive:../stage/docker.tar").ends_with(0);
    write_asset(&world, ASSET, 2);
    world
}

/// Runs the tool where `disk` has little room left beside what `stage` holds, and
/// returns what it said and a folder with what was on that disk then. `None`, said
/// aloud, where nothing can be mounted.
fn on_full_disk(
    world: &World,
    stage: &Path,
    args: &str,
    vars: &[(&str, &str)],
) -> Option<(Run, PathBuf)> {
    // A small disk in a namespace that ends with the shell.
    let script = r#"
        mount -t tmpfs -o size=$(($(du -sk "$STAGE" | cut -f1) + FREE))k tmpfs "$DISK" || exit 77
        cp -r "$STAGE/." "$DISK" && cd "$PROJECT" || exit 77
        "$TOOL" $ARGS; code=$?
        cp -r "$DISK/." "$SEEN"; exit $code"#;
    let (disk, seen) = (world.outside("disk"), world.outside("seen"));
    for dir in [&disk, &seen] {
        fs::remove_dir_all(dir).ok();
        fs::create_dir(dir).unwrap();
    }
    let root = run(&mut world.with("id", ["-u"])).stdout.trim() == "0";
    let namespace: &[&str] = if root { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let mut shell = world.with("unshare", namespace);
    shell
        .args(["sh", "-c", script])
        .env("CARGO_TARGET_DIR", world.path("target"))
        .env("PROJECT", world.root())
        .envs([("DISK", &disk), ("SEEN", &seen), ("STAGE", &stage.to_owned())])
        .env("FREE", FREE.to_string())
        .env("ARGS", args)
        .env("TOOL", env!("CARGO_BIN_EXE_cargo-dockless"));
    for (name, value) in vars {
        shell.env(name, value.replace("DISK", &disk.display().to_string()));
    }
    let full = run(&mut shell);
    if full.code == Some(77) || full.stderr.contains("unshare:") {
        skipped(&format!("no small disk can be mounted: {}", full.stderr.trim()));
        return None;
    }
    Some((full, seen))
}

/// Requires that the run ended for want of room, and said so.
#[track_caller]
fn refused(full: &Run) {
    full.ends_with(1).no_result();
    full.says("No space left on device");
    full.says("  help: make room on the disk and run the same command again\n");
}

fn temporary(dir: &Path) -> Vec<String> {
    let files = contents(dir);
    files.into_keys().filter(|path| path.contains(".tmp") || path.contains(".dist")).collect()
}

#[test]
fn a_cache_without_room_is_done_without_and_said_once() {
    let world = grown();
    let before = contents(&world.dist());
    // The same without a cache, where layers lie among the temporary files.
    let empty = world.outside("empty");
    fs::create_dir(&empty).unwrap();
    let vars = [("TMPDIR", "DISK")];
    let Some((full, seen)) = on_full_disk(&world, &empty, "image -q --no-cache", &vars) else {
        return;
    };
    refused(&full);
    assert_eq!(names(&seen), Vec::<String>::new());
    assert_same(&contents(&world.dist()), &before, "");
    // And where neither has room.
    let vars = [("DOCKLESS_CACHE", "DISK"), ("TMPDIR", "DISK")];
    let stage = world.outside("cache");
    let Some((full, seen)) = on_full_disk(&world, &stage, "image -q", &vars) else { return };
    refused(&full);
    assert_same(&contents(&world.dist()), &before, "");
    assert_eq!(temporary(&seen), Vec::<String>::new());
    // A layer that the cache does not take lies among the temporary files, as without one.
    let vars = [("DOCKLESS_CACHE", "DISK")];
    let Some((full, seen)) = on_full_disk(&world, &stage, "image -q", &vars) else { return };
    full.ends_with(0).says("warning: nothing is cached for later runs: ");
    full.says("No space left on device");
    assert_eq!(full.stderr.matches("warning").count(), 1, "{}", full.stderr);
    assert_eq!(temporary(&seen), Vec::<String>::new());
    assert_blobs(&seen.join("blob"));
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    world.run("image validate oci:dist/images/tool").ends_with(0).never_says("warning");
    let made = contents(&world.dist());
    assert_ne!(made, before);
    world.run("clean").ends_with(0);
    // With room it goes on from there.
    world.run("image -q").ends_with(0);
    world.run("image validate oci:dist/images/tool").ends_with(0).never_says("warning");
    assert_same(&contents(&world.dist()), &made, "");
}

#[test]
fn a_dist_without_room_is_said_and_the_earlier_one_stays() {
    let world = grown();
    let before = contents(&world.dist());
    let (stage, target) = (world.outside("checkout"), world.outside("target"));
    fs::rename(world.path("target"), &target).unwrap();
    fs::create_dir(&stage).unwrap();
    run(&mut world.with("cp", ["-r", ".", "../checkout/project"])).ends_with(0);
    let project = world.outside("disk/project").display().to_string();
    let vars = [("PROJECT", &*project), ("CARGO_TARGET_DIR", target.to_str().unwrap())];
    for args in ["image -q", "release --snapshot -q"] {
        let Some((full, seen)) = on_full_disk(&world, &stage, args, &vars) else { return };
        refused(&full);
        assert_same(&contents(&seen.join("project/dist")), &before, args);
        assert_eq!(temporary(&seen), Vec::<String>::new(), "{args}");
        assert_blobs(&world.outside("cache/blob"));
    }
}

#[test]
fn an_output_without_room_is_said_and_the_earlier_one_stays() {
    let world = grown();
    let stage = world.outside("stage");
    let before = contents(&stage);
    for output in ["oci:DISK/oci", "oci-archive:DISK/oci.tar", "docker-archive:DISK/docker.tar"] {
        let output = output.replace("DISK", &world.outside("disk").display().to_string());
        let args = format!("image -q --output {output}");
        let Some((full, seen)) = on_full_disk(&world, &stage, &args, &[]) else { return };
        refused(&full);
        full.says(&world.outside("disk").display().to_string());
        assert_eq!(temporary(&seen), Vec::<String>::new(), "{output}");
        let after = contents(&seen);
        for (path, bytes) in &before {
            assert_eq!(after.get(path), Some(bytes), "{output}: {path}");
        }
        assert_eq!(tags(&seen.join("oci")), tags(&stage.join("oci")));
        for image in
            ["oci:../seen/oci", "oci-archive:../seen/oci.tar", "docker-archive:../seen/docker.tar"]
        {
            world.run(&format!("image validate {image}")).ends_with(0).never_says("warning");
        }
    }
    // A copy has the same to say.
    world.run("image -q --output oci:../large").ends_with(0);
    let disk = world.outside("disk").display().to_string();
    for form in ["oci", "oci-archive", "docker-archive"] {
        let args = format!("image copy oci:../large {form}:{disk}/copy");
        let Some((full, seen)) = on_full_disk(&world, &stage, &args, &[]) else { return };
        refused(&full);
        assert!(!seen.join("copy").is_file() && !seen.join("copy/index.json").exists(), "{form}");
        assert_eq!(temporary(&seen), Vec::<String>::new(), "{form}");
    }
}

/// The same where nobody may mount anything: a limit on the size of files.
#[test]
fn a_file_that_may_not_grow_is_said_too() {
    let world = grown();
    let before = contents(&world.dist());
    let script = "trap '' XFSZ; ulimit -f 2048 && exec \"$TOOL\" image -q";
    let mut shell = world.with("sh", ["-c", script]);
    let limited = run(shell.env("TOOL", env!("CARGO_BIN_EXE_cargo-dockless")));
    limited.ends_with(1).no_result().says("make the image of tool: ");
    limited.says("File too large").says("  help: make room on the disk");
    assert_same(&contents(&world.dist()), &before, "");
    assert_eq!(temporary(&world.outside("cache")), Vec::<String>::new());
}
