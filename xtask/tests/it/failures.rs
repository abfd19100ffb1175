//! What can go wrong around a project, and that dist/ does not suffer from it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::world::{
    HOST, Run, World, assert_whole, contents, entry_names, judge, names, only_host, run, skipped,
};

#[test]
fn a_workspace_without_a_binary_says_so() {
    let world = World::empty();
    world.package("", "library", "1.0.0", "");
    fs::rename(world.path("src/main.rs"), world.path("src/lib.rs")).unwrap();
    world.lock();
    let place = world.path("Cargo.toml").display().to_string();
    for args in ["release --snapshot", "release --dry-run", "build", "run", "archive"] {
        world
            .run(args)
            .ends_with(1)
            .no_result()
            .says(&format!("error: {place}: no package of the workspace has a binary\n"))
            .says("  help: add a src/main.rs, or name another project with --manifest-path\n");
    }
    assert_eq!(world.names(), ["Cargo.lock", "Cargo.toml", "src"]);
}

#[test]
fn two_packages_with_one_binary_name_are_named() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    for name in ["alpha", "beta"] {
        let bin = "[[bin]]\nname = \"same\"\npath = \"src/main.rs\"\n";
        world.package(name, name, "1.0.0", bin);
    }
    world.run("release --snapshot").ends_with(1).no_result().says(
        "error: same: the packages alpha and beta have a binary of the same name, and cargo would \
         write one over the other\n  help: rename one, set `ship = false` for one, or build them \
         apart with --package\n",
    );
    assert!(!world.path("target").exists() && !world.dist().exists());
    assert_eq!(world.plan("--snapshot --package alpha")["builds"][0]["package"], "alpha");
}

#[test]
fn a_package_without_a_licence_file_is_built_and_warned_of() {
    let world = World::quick("1.0.0");
    let warning = format!(
        "warning: {}: no licence file goes into the archives of tool\n  help: put a LICENSE into \
         the package's or the workspace's folder",
        world.path("Cargo.toml").display()
    );
    for name in ["LICENSE-MIT", "LICENCE.md", "COPYING", "LICENSE"] {
        fs::remove_file(world.path("LICENSE")).ok();
        world.file(name, "free\n");
        world.run("release --dry-run --snapshot").ends_with(0).never_says("warning:");
        fs::remove_file(world.path(name)).unwrap();
    }
    let release = world.run("release --snapshot -q");
    release.ends_with(0).says(&warning);
    let archive = world.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz"));
    assert_eq!(entry_names(&archive), ["tool"]);
    for no_archives in ["build", "run", "release --snapshot --skip archive"] {
        world.run(no_archives).ends_with(0).never_says("warning:");
    }
    // A link to nothing is no licence, and neither is a folder.
    symlink("nowhere", world.path("LICENSE")).unwrap();
    world.run("release --dry-run --snapshot").ends_with(0).says(&warning);
    fs::remove_file(world.path("LICENSE")).unwrap();
    fs::create_dir(world.path("LICENSE")).unwrap();
    world.run("release --dry-run --snapshot").ends_with(0).says(&warning);
}

#[test]
fn a_compile_error_is_cargos_and_leaves_dist_as_it_was() {
    let world = World::quick("1.0.0");
    let broken = "fn main() { let x: u32 = \"not a number\"; }\n";
    world.file("src/main.rs", broken);
    let first = world.run("release --snapshot");
    first.ends_with(1).no_result();
    first.says("error[E0308]").says("--> src/main.rs:1:26").says("mismatched types");
    first.says("cargo build --package tool@1.0.0 ").says("; its messages are above\n");
    assert!(!world.names().iter().any(|name| name.contains("dist")), "{:?}", world.names());

    world.file("src/main.rs", "fn main() {}\n");
    world.run("release --snapshot").ends_with(0);
    let before = contents(&world.dist());
    world.file("src/main.rs", broken);
    world.run("release --snapshot").ends_with(1).no_result();
    assert_eq!(contents(&world.dist()), before);
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    world.run("build").ends_with(1).no_result().says("error[E0308]");
    // -q leaves errors.
    world.run("build -q").ends_with(1).no_result().says("error[E0308]");
}

#[test]
fn a_broken_manifest_is_cargos_to_explain() {
    let world = World::quick("1.0.0");
    world.file("Cargo.toml", "[package\n");
    let run = world.run("release --snapshot");
    run.ends_with(1).no_result().says("error: `cargo metadata ").says("Cargo.toml:1:9");
}

#[test]
fn dist_that_is_not_ours_is_never_touched() {
    let world = World::quick("1.0.0");
    let refused = |kind: &str| {
        let dist = world.dist();
        let error = format!(
            "error: {dist} is {kind} that dockless did not make, so it is not replaced\n  help: \
             move {dist} away, or give releases another folder with \
             `[workspace.metadata.dockless] dist`\n",
            dist = dist.display()
        );
        for args in ["release --snapshot", "archive", "clean", "release --snapshot --clean"] {
            world.run(args).ends_with(1).no_result().says(&error);
        }
        assert!(!world.path("target/release").exists());
        assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    };
    world.file("dist", "a file");
    refused("a file");
    assert_eq!(world.read("dist"), "a file");
    fs::remove_file(world.dist()).unwrap();

    let elsewhere = world.outside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("photo"), "precious").unwrap();
    symlink(&elsewhere, world.dist()).unwrap();
    refused("a link");
    assert_eq!(names(&elsewhere), ["photo"]);
    fs::remove_file(world.dist()).unwrap();
    symlink("nowhere", world.dist()).unwrap();
    refused("a link");
    fs::remove_file(world.dist()).unwrap();

    world.file("dist/photo", "precious");
    refused("a folder");
    // Another tool's dist/ has a metadata.json too.
    world
        .file("dist/metadata.json", "{\"project_name\":\"tool\",\"runtime\":{\"goos\":\"linux\"}}");
    refused("a folder");
    assert_eq!(names(&world.dist()), ["metadata.json", "photo"]);
    fs::remove_dir_all(world.dist()).unwrap();

    fs::create_dir(world.dist()).unwrap();
    world.run("release --snapshot").ends_with(0);
    assert_whole(&world.dist());
}

#[test]
fn a_path_with_spaces_and_other_alphabets() {
    let world = World::named("mit Leerzeichen, ünd 日本語 'x' $HOME");
    let more = "[dependencies]\nhelper.path = \"../ein Nachbar\"\n";
    world.package("", "tool", "1.0.0", &format!("{more}{}", only_host()));
    world.package("../ein Nachbar", "helper", "0.1.0", "[workspace]\n");
    world.file("../ein Nachbar/src/lib.rs", "");
    // A release takes what lies elsewhere of a repository alone.
    let neighbour = "../ein Nachbar";
    world.file("../ein Nachbar/.gitignore", "/target\n");
    world.git(["init", "--quiet", neighbour]);
    world.git(["-C", neighbour, "add", "--all"]);
    world.git(["-C", neighbour, "commit", "--quiet", "--message", "a neighbour"]);
    world.file("LICENSE", "free\n").file("docs/Über uns.md", "").lock().commit();
    let files = "[package.metadata.dockless.archive]\nfiles = [\"LICENSE\", \"docs/*.md\"]\n";
    world.package("", "tool", "1.0.0", &format!("{more}{}{files}", only_host()));
    world.commit();
    world.git(["tag", "v1.0.0"]);
    let release = world.run("release --skip publish,check");
    release.ends_with(0);
    assert_whole(&world.dist());
    let archive = world.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz"));
    // The neighbour is linked in, so there are licences of others.
    let names = ["LICENSE", "THIRD-PARTY-LICENSES", "tool", "Über uns.md"];
    assert_eq!(entry_names(&archive), names);
    let built = world.run("build");
    let said = run(&mut Command::new(built.ends_with(0).line()));
    assert_eq!(said.ends_with(0).line(), "1.0.0");
    // With dist/ there the tree is as clean as before.
    assert_eq!(world.plan("--skip publish,check")["version"], "1.0.0");
    let noted = world.file("ünversioniert", "").plan("--snapshot");
    assert!(noted["version"].as_str().unwrap().ends_with(".dirty"), "{noted}");
}

/// Runs the tool as somebody for whom the modes of files count. Root, whom
/// they do not bind, becomes nobody in a namespace of its own; the files there
/// still belong to it.
fn bound_by_modes(world: &World, args: &str) -> Option<Run> {
    let probe = world.outside("probe");
    fs::write(&probe, "").unwrap();
    fs::set_permissions(&probe, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&probe).is_err() {
        return Some(world.run(args));
    }
    let tool = [env!("CARGO_BIN_EXE_cargo-dockless")];
    let bound = run(world.with("unshare", ["--user", "cat"]).arg(&probe));
    if !bound.stderr.contains("Permission denied") {
        skipped(&format!("root reads everything here: {}", bound.stderr.trim()));
        return None;
    }
    let args = tool.into_iter().chain(args.split(' '));
    Some(run(world.with("unshare", ["--user"]).args(args)))
}

#[test]
fn what_cannot_be_read_is_named() {
    let world = World::quick("1.0.0");
    let close = |path: &str, mode| {
        fs::set_permissions(world.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    close("src/main.rs", 0);
    let Some(source) = bound_by_modes(&world, "release --snapshot") else { return };
    source.ends_with(1).no_result().says("couldn't read `src/main.rs`: Permission denied");
    assert!(!world.names().iter().any(|name| name.contains("dist")), "{:?}", world.names());
    close("src/main.rs", 0o644);
    close("LICENSE", 0);
    let licence = bound_by_modes(&world, "release --snapshot").unwrap();
    licence.ends_with(1).no_result();
    licence.says(&format!("open {}: Permission denied", world.path("LICENSE").display()));
    assert!(!world.names().iter().any(|name| name.contains("dist")), "{:?}", world.names());
    close("LICENSE", 0o644);
    close("Cargo.toml", 0);
    let manifest = bound_by_modes(&world, "release --snapshot").unwrap();
    manifest.ends_with(1).no_result().says("Permission denied").says("Cargo.toml");
    close("Cargo.toml", 0o644);
}

#[test]
fn a_full_disk_while_archiving_is_said_and_leaves_dist_as_it_was() {
    let world = World::quick("1.0.0");
    let big: String =
        (0..400_000u64).map(|i| format!("{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    world.file("NOTICE", &big);
    world.run("release --snapshot --skip archive").ends_with(0);
    let before = contents(&world.dist());
    // A small disk in a namespace that ends with the shell.
    let script = r#"mount -t tmpfs -o size=7500k tmpfs "$DISK" && cp -r . "$DISK/p" && cd "$DISK/p" || exit 77
        "$TOOL" release --snapshot; code=$?
        ls -A > "$SEEN/names"; cp -r dist "$SEEN/dist"; exit $code"#;
    let (disk, seen) = (world.outside("disk"), world.outside("seen"));
    fs::create_dir(&disk).unwrap();
    fs::create_dir(&seen).unwrap();
    let root = run(&mut world.with("id", ["-u"])).stdout.trim() == "0";
    let namespace: &[&str] = if root { &["--mount"] } else { &["--mount", "--map-root-user"] };
    fs::rename(world.path("target"), world.outside("target")).ok();
    let full = run(world
        .with("unshare", namespace)
        .args(["sh", "-c", script])
        .env("CARGO_TARGET_DIR", world.outside("target"))
        .envs([("DISK", &disk), ("SEEN", &seen)])
        .env("TOOL", env!("CARGO_BIN_EXE_cargo-dockless")));
    if full.code == Some(77) || full.stderr.contains("unshare:") {
        return skipped(&format!("no small disk can be mounted: {}", full.stderr.trim()));
    }
    full.ends_with(1).no_result();
    full.says(&format!("error: make tool-v1.0.0-{HOST}.tar.gz: "));
    full.says("No space left on device");
    full.says("  help: make room on the disk and run the same command again\n");
    assert_eq!(contents(&seen.join("dist")), before);
    let left = fs::read_to_string(seen.join("names")).unwrap();
    assert!(!left.contains(".dist"), "{left}");
}

/// The same where nobody may mount anything: a limit on the size of files.
#[test]
fn a_file_that_may_not_grow_is_said_too() {
    let world = World::quick("1.0.0");
    let noise: String =
        (0..100_000u64).map(|i| format!("{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    world.file("NOTICE", &noise);
    world.run("release --snapshot --skip archive").ends_with(0);
    let before = contents(&world.dist());
    let script = "trap '' XFSZ; ulimit -f 512 && exec \"$TOOL\" release --snapshot";
    let mut shell = world.with("sh", ["-c", script]);
    let limited = run(shell.env("TOOL", env!("CARGO_BIN_EXE_cargo-dockless")));
    limited.ends_with(1).no_result().says(&format!("error: make tool-v1.0.0-{HOST}.tar.gz: "));
    limited.says("File too large").says("  help: make room on the disk");
    assert_eq!(contents(&world.dist()), before);
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
}

#[test]
fn a_file_name_that_is_not_utf_8_is_no_reason_to_crash() {
    let world = World::quick("1.0.0");
    let name = |bytes: &[u8]| world.root().join(OsStr::from_bytes(bytes));
    fs::write(name(b"photo-\xff.jpg"), "").unwrap();
    world.run("release --snapshot").ends_with(0);
    let archive = world.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz"));
    assert_eq!(entry_names(&archive), ["LICENSE", "tool"]);
    // One that would have to go into the archive is named.
    fs::write(name(b"LICENSE-\xff"), "").unwrap();
    let run = world.run("release --snapshot");
    run.never_says("panicked").ends_with(1).no_result().says("LICENSE-\u{fffd}").says("UTF-8");
}

/// A PATH that holds these programs only.
fn path_of(world: &World, programs: &[&str]) -> PathBuf {
    let dir = world.outside(&format!("only-{}", programs.join("-")));
    fs::create_dir_all(&dir).unwrap();
    for program in programs {
        symlink(judge(program).unwrap(), dir.join(program)).unwrap();
    }
    dir
}

#[test]
fn a_program_that_is_missing_is_named() {
    let world = World::quick("1.0.0");
    let snapshot = |world: &World, programs: &[&str]| {
        let mut tool = world.tool(["release", "--dry-run", "--snapshot", "--json"]);
        run(tool.env("PATH", path_of(world, programs)))
    };
    snapshot(&world, &[])
        .ends_with(1)
        .no_result()
        .says("error: start `cargo`: ")
        .says("  help: install cargo, or put it on PATH\n");
    // Sources without a repository need no git; one that is there is never ignored.
    assert_eq!(snapshot(&world, &["cargo", "rustc"]).ends_with(0).json()["version"], "1.0.0");
    let world = World::committed("1.0.0");
    snapshot(&world, &["cargo", "rustc"])
        .ends_with(1)
        .no_result()
        .says(&format!(
            "error: read the repository {}: git is not on PATH\n",
            world.root().display()
        ))
        .says("  help: install git\n");
}
