//! Programs for macOS, Windows and glibc, linked by zig.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{has_library, with_path};
use crate::world::{
    HOST, World, assert_whole, contents, judge, names, names_but_told, run, unpack,
};

const DARWIN: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
const WINDOWS: &str = "x86_64-pc-windows-gnu";
const GLIBC: &str = "x86_64-unknown-linux-gnu";

/// Whether this machine can link for all of them.
fn can_link(world: &World, targets: &[&str]) -> bool {
    judge("zig").is_some() && targets.iter().all(|target| has_library(world, target))
}

fn linkage<'a>(artifacts: &'a Value, name: &str) -> &'a Value {
    let artifact = artifacts.as_array().unwrap().iter().find(|it| it["name"] == name);
    &artifact.unwrap_or_else(|| panic!("no {name} in {artifacts}"))["extra"]["linkage"]["tool"]
}

#[test]
fn one_snapshot_holds_programs_for_macos_windows_and_an_old_glibc() {
    let world = World::single("1.0.0");
    if !can_link(&world, &[DARWIN[0], DARWIN[1], WINDOWS, GLIBC]) {
        return;
    }
    let old = format!("{GLIBC}.2.28");
    let targets = ["universal2-apple-darwin", DARWIN[0], DARWIN[1], WINDOWS, &old];
    let table = format!("[package.metadata.dockless]\ntargets = {targets:?}\n");
    world.package("", "tool", "1.0.0", &table).file("LICENSE", "free\n").lock();
    let mut tool = world.tool(["release", "--snapshot"]);
    let built = run(tool.env("MACOSX_DEPLOYMENT_TARGET", "13.0"));
    built.ends_with(0);
    assert_whole(&world.dist());
    let archive = |target: &str| format!("tool-v1.0.0-{target}.tar.gz");
    let zip = format!("tool-v1.0.0-{WINDOWS}.zip");
    let mut expected =
        ["artifacts.json", "checksums.txt", "metadata.json"].map(str::to_owned).to_vec();
    expected.extend([DARWIN[0], DARWIN[1], "universal2-apple-darwin", GLIBC].map(archive));
    expected.push(zip.clone());
    expected.sort();
    assert_eq!(names_but_told(&world.dist()), expected);
    let artifacts = world.artifacts();
    for target in DARWIN {
        let linkage = linkage(&artifacts, &archive(target));
        assert_eq!(linkage["minimum_os"], "13.0", "{linkage}");
        // Apple's processors start nothing that is not signed.
        if target == DARWIN[0] {
            assert_eq!(linkage["signature"], "ad-hoc", "{linkage}");
        }
        let system = linkage["libraries"].as_array().unwrap();
        assert!(!system.is_empty(), "{linkage}");
        assert!(system.iter().all(|name| name.as_str().unwrap().starts_with("/usr/lib/")));
    }
    // What rustc and the linkers make of one source: nothing of the machine is in it.
    for target in [DARWIN[0], DARWIN[1], "universal2-apple-darwin", GLIBC] {
        let program = unpack(&world.dist().join(archive(target)), "tool", &world.outside(target));
        let bytes = fs::read(program).unwrap();
        let folder = world.root().to_str().unwrap();
        assert!(!super::holds(&bytes, folder), "{folder} in the program for {target}");
    }
    let native = unpack(&world.dist().join(archive(GLIBC)), "tool", &world.outside("native"));
    if cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
        assert_eq!(run(&mut world.with(&native, [""; 0])).ends_with(0).line(), "1.0.0");
    }
    if let Some(wine) = wine() {
        says_version_in(&world, &wine, &unzip(&world, &world.dist().join(zip)));
    }
}

/// What Rust's programs ask Windows for random numbers by, for a wine before 9,
/// which lacks it: such a wine has an older name for the same.
const RANDOM: &str = "#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL ProcessPrng(PBYTE to, SIZE_T size) {
    return SystemFunction036(to, (ULONG)size);
}
";

/// Runs the program in wine, in a Windows of its own that is made once.
fn says_version_in(world: &World, wine: &Path, program: &Path) {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wine");
    let start = || run(world.with(wine, [program]).env("WINEPREFIX", &prefix));
    let mut said = start();
    if said.stderr.contains("Library bcryptprimitives.dll") {
        let (source, library) =
            (world.outside("random.c"), program.with_file_name("bcryptprimitives.dll"));
        fs::write(&source, RANDOM).unwrap();
        let zig = ["cc", "-target", "x86_64-windows-gnu", "-shared", "-ladvapi32", "-o"];
        run(world.with("zig", zig).args([&library, &source])).ends_with(0);
        said = start();
    }
    assert_eq!(said.ends_with(0).stdout.trim(), "1.0.0");
}

/// Optional even in CI.
fn wine() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = |name: &str| dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file());
    let wine = found("wine").or_else(|| found("wine64"));
    if wine.is_none() {
        crate::world::skipped("wine not found");
    }
    wine
}

/// The program of a zip archive, with Python's word for what a zip archive is.
fn unzip(world: &World, archive: &Path) -> PathBuf {
    let to = world.outside("unzipped");
    let python = ["-m", "zipfile", "-e"];
    run(world.with("python3", python).arg(archive).arg(&to)).ends_with(0);
    assert_eq!(names(&to), ["LICENSE", "tool.exe"]);
    to.join("tool.exe")
}

#[test]
fn programs_for_macos_are_the_same_bytes_in_two_places() {
    let world = World::single("1.0.0");
    if !can_link(&world, &DARWIN[..1]) {
        return;
    }
    world.file("LICENSE", "free\n").lock();
    world.commit();
    let made = ["a", "a longer/path 'to' it"].map(|place| {
        let clone = world.outside(place);
        fs::create_dir_all(clone.parent().unwrap()).unwrap();
        world.git(["clone", "--quiet", world.root().to_str().unwrap(), clone.to_str().unwrap()]);
        let mut tool = world.tool(["release", "--snapshot", "--target", DARWIN[0]]);
        run(tool.current_dir(&clone).env("DOCKLESS_CACHE", clone.join("cache"))).ends_with(0);
        contents(&clone.join("dist"))
    });
    assert_eq!(made[0].keys().collect::<Vec<_>>(), made[1].keys().collect::<Vec<_>>());
    for (name, bytes) in &made[0] {
        assert!(*bytes == made[1][name], "{name} differs");
    }
}

#[test]
fn a_framework_that_zig_does_not_have_is_named() {
    let world = World::quick("1.0.0");
    if !can_link(&world, &DARWIN[..1]) {
        return;
    }
    let main = "#[link(name = \"CoreFoundation\", kind = \"framework\")]\nextern \"C\" {\n    \
                fn CFRunLoopGetMain() -> *const u8;\n}\n\
                fn main() { println!(\"{:?}\", unsafe { CFRunLoopGetMain() }) }\n";
    world.file("src/main.rs", main);
    let failed = world.run(&format!("release --snapshot --target {}", DARWIN[0]));
    failed.ends_with(1).no_result();
    let why = "a crate links the framework CoreFoundation of macOS, which zig does not have";
    failed.says(&format!("error: {why}: `cargo build ")).says("  help: set SDKROOT to a macOS SDK");
    assert!(!world.dist().exists());
}

#[test]
fn without_zig_no_foreign_target_is_built_for() {
    let world = World::quick("1.0.0");
    world.commit();
    world.git(["tag", "v1.0.0"]);
    let path = world.without(&super::COMPILERS);
    let foreign = if HOST.starts_with("x86_64") { "aarch64" } else { "x86_64" };
    for target in [
        DARWIN[0].to_owned(),
        WINDOWS.to_owned(),
        format!("{foreign}-unknown-linux-gnu"),
        format!("{GLIBC}.2.28"),
        "universal2-apple-darwin".to_owned(),
    ] {
        let failed = with_path(&world, &format!("release --snapshot --target {target}"), &path);
        failed.ends_with(1).no_result().never_says("build tool");
        let error = format!("error: tool for {target}: this machine has no linker for it\n");
        failed.says(&error).says("  help: run `cargo dockless setup --zig`");
        let both = format!("release --dry-run --snapshot --json --target {target} --target {HOST}");
        let plan = with_path(&world, &both, &path).ends_with(0).json();
        assert_eq!(plan["left_out"][0]["target"], target.as_str());
        assert_eq!(plan["builds"][0]["targets"], serde_json::json!([HOST]));
    }
    assert!(!world.path("target").exists(), "nothing compiles before that");
}

#[test]
fn targets_that_cannot_be_are_refused_with_what_can() {
    let world = World::quick("1.0.0");
    let zig = world.script("zig/zig", "echo 0.17.1\n");
    let path = world.before("zig", &world.without(&super::COMPILERS));
    for (target, words) in [
        ("x86_64-pc-windows-msvc", "name x86_64-pc-windows-gnu, or build on Windows"),
        ("x86_64-unknown-freebsd", "no linker for it is known"),
        ("x86_64-unknown-linux-gnu.2", "names no version of glibc"),
        ("x86_64-unknown-linux-gnu.two.28", "names no version of glibc"),
        ("x86_64-unknown-linux-gnu.2.99999999", "names no version of glibc"),
        ("x86_64-unknown-linux-musl.1.2", "x86_64-unknown-linux-musl.1.2"),
        ("universal3-apple-darwin", "universal3-apple-darwin"),
    ] {
        let failed = with_path(&world, &format!("release --snapshot --target {target}"), &path);
        failed.ends_with(1).no_result().says(words).never_says("panicked").never_says("build tool");
    }
    assert!(zig.exists() && !world.path("target").exists());
}

/// rustc knows one target of that name, and so do variables and archives.
#[test]
fn two_versions_of_glibc_are_one_too_many() {
    let world = World::quick("1.0.0");
    let zig = world.script("zig/zig", "echo 0.17.1\n");
    for other in [format!("{GLIBC}.2.17"), GLIBC.to_owned()] {
        let targets = [format!("{GLIBC}.2.28"), other];
        let args = format!("release --snapshot --target {} --target {}", targets[0], targets[1]);
        let failed = with_path(&world, &args, &world.path_with("zig"));
        failed.ends_with(1).no_result().says("  help: ").never_says("build tool");
        let error = failed.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        assert!(targets.iter().all(|target| error.contains(target)), "{error}");
    }
    assert!(zig.exists() && !world.path("target").exists());
}

/// A linker that the user names for a target is the one that links.
#[test]
fn the_users_own_linker_counts() {
    let world = World::quick("1.0.0");
    if !has_library(&world, DARWIN[1]) {
        return;
    }
    let linker =
        world.script("mine", "printf '%s\\n' \"$@\" > \"$LOG\"\necho 'my own words' >&2\nexit 1\n");
    let log = world.outside("log");
    let variable = format!("CARGO_TARGET_{}_LINKER", DARWIN[1].to_uppercase().replace('-', "_"));
    let config = format!("[target.{}]\nlinker = {:?}\n", DARWIN[1], linker.to_str().unwrap());
    for by_file in [false, true] {
        if by_file {
            world.file(".cargo/config.toml", &config);
        }
        let mut tool: Command = world.tool(["build", "--target", DARWIN[1]]);
        tool.env("LOG", &log).env("SDKROOT", world.root());
        if !by_file {
            tool.env(&variable, &linker);
        }
        let failed = run(&mut tool);
        failed.ends_with(1).no_result().says("my own words");
        assert!(fs::read_to_string(&log).unwrap().contains("-arch"), "called as macOS's linker is");
        assert!(!world.path("target/dockless").exists(), "no stand-in");
        fs::remove_file(&log).unwrap();
    }
}

#[test]
fn a_universal_program_is_the_only_one_that_build_prints() {
    let world = World::single("1.0.0");
    if !can_link(&world, &DARWIN) {
        return;
    }
    let mut tool = world.tool(["build", "--target", "universal2-apple-darwin"]);
    // As Apple's tools take it, and where cargo is told of it.
    let config = "[env]\nMACOSX_DEPLOYMENT_TARGET = \"13\"\n";
    world.file(".cargo/config.toml", config);
    let built = run(&mut tool);
    let path = built.ends_with(0).line();
    assert!(path.contains("/universal2-apple-darwin/"), "{path}");
    let json = world.run("build --target universal2-apple-darwin --json").ends_with(0).list();
    for target in DARWIN {
        assert_eq!(json[0]["linkage"]["slices"][target]["minimum_os"], "13.0", "{json}");
    }
}

#[test]
fn setup_tells_what_it_could_not_make_ready() {
    let world = World::quick("1.0.0");
    let table = "[package.metadata.dockless]\ntargets = [\"x86_64-unknown-freebsd\", \"HOST\"]\n";
    world.package("", "tool", "1.0.0", &table.replace("HOST", HOST));
    let error = "error: tool for x86_64-unknown-freebsd: no linker for it is known";
    world.run("setup").ends_with(1).no_result().says(error);
}
