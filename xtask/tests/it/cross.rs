//! C and other machines: zig, clang or the user's own compiler, and what is
//! said where there is none.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{
    AARCH64, HOST, Run, World, X86_64, assert_whole, contents, entry_names, judge, missing, names,
    names_but_told, run, unpack,
};

mod driver;
mod elsewhere;
mod resources;
mod scripts;
mod setup;

/// All by which this tool finds a C compiler for another machine.
const COMPILERS: [&str; 4] = ["zig", "python3", "python", "clang"];

/// Does what the crate cc does: the compiler and the archiver that variables
/// name, and a path from the root.
pub const BUILD: &str = r#"use std::{env, path::Path, process::Command};
fn named(name: &str, default: &str) -> String {
    let triple = env::var("TARGET").unwrap();
    let names = [format!("{name}_{triple}"), format!("{name}_{}", triple.replace('-', "_"))];
    names.iter().find_map(|name| env::var(name).ok()).unwrap_or(default.to_owned())
}
fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
fn main() {
    println!("cargo:rerun-if-changed=told.c");
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("told.c");
    let out = env::var("OUT_DIR").unwrap();
    let (cc, ar) = (named("CC", "cc"), named("AR", "ar"));
    let (object, library) = (format!("{out}/told.o"), format!("{out}/libtold.a"));
    run(Command::new(&cc).args(["-O2", "-g", "-fPIC", "-c"]).arg(source).args(["-o", &object]));
    run(Command::new(&ar).args(["crs", &library, &object]));
    println!("cargo:rustc-link-search=native={out}\ncargo:rustc-link-lib=static=told");
    println!("cargo:rustc-env=TOOLS={cc} {ar}");
}
"#;

pub const LIB: &str = r#"extern "C" { fn told(to: *mut u8, size: usize) -> i32; }
pub fn told_by_c() -> String {
    let mut bytes = [0; 4096];
    let count = unsafe { told(bytes.as_mut_ptr(), bytes.len()) };
    String::from_utf8_lossy(&bytes[..count as usize]).into_owned()
}
pub const TOOLS: &str = env!("TOOLS");
"#;

/// Tells what compiled it, when and where, and calls the C library for it.
/// zig's compiler is a clang; the host's `cc` of these tests is a gcc.
pub const C: &str = r#"#include <stdio.h>
#ifndef __clang__
#error "this is not the compiler that was meant"
#endif
int told(char *to, size_t size) {
    const char *when = __DATE__ " " __TIME__ " " __TIMESTAMP__;
    return snprintf(to, size, "%s\n%s\n%s", __VERSION__, when, __FILE__);
}
"#;

/// When C says that it was compiled, at every commit.
const TIME: &str = "Jul 24 2006 01:21:28 Mon Jul 24 01:21:28 2006";

/// A program that says three lines of C's, then by what it was built.
const MAIN: &str = r#"fn main() { println!("{}\n{}", c_sys::told_by_c(), c_sys::TOOLS) }"#;

/// A project whose program calls C; `more` is appended to its manifest.
fn with_c(more: &str) -> World {
    let world = World::empty();
    world.package("", "tool", "1.0.0", &format!("[dependencies]\nc-sys.path = \"c-sys\"\n{more}"));
    world.file("src/main.rs", MAIN).file("LICENSE", "free\n");
    let native = "links = \"told\"\n[build-dependencies]\ncc.path = \"../cc\"\n";
    world.package("c-sys", "c-sys", "0.9.1", native).package("cc", "cc", "1.2.0", "");
    for folder in ["c-sys", "cc"] {
        fs::remove_file(world.path(folder).join("src/main.rs")).unwrap();
    }
    world.file("c-sys/src/lib.rs", LIB).file("c-sys/told.c", C).file("c-sys/build.rs", BUILD);
    world.file("cc/src/lib.rs", "").lock();
    world
}

/// The same for this machine alone.
fn quick() -> World {
    with_c(&crate::world::only_host())
}

/// Runs the tool with another PATH. Arguments are separated by spaces.
fn with_path(world: &World, args: &str, path: &OsString) -> Run {
    run(world.tool(args.split(' ')).env("PATH", path))
}

/// Whether this toolchain has the target's standard library, as CI's must.
pub fn has_library(world: &World, target: &str) -> bool {
    let sysroot = run(&mut world.with("rustc", ["--print", "sysroot"]));
    let library = Path::new(sysroot.ends_with(0).line()).join("lib/rustlib").join(target);
    if !library.join("lib").is_dir() {
        missing(&format!("no standard library for {target}"));
    }
    library.join("lib").is_dir()
}

/// The program of the archive of this target.
fn shipped(world: &World, version: &str, target: &str) -> PathBuf {
    let archive = world.dist().join(format!("tool-v{version}-{target}.tar.gz"));
    unpack(&archive, "tool", &world.outside(target))
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn zig_compiles_the_c_of_both_musl_targets() {
    let Some(_) = judge("zig") else { return };
    let world = with_c("");
    world.commit();
    world.git(["tag", "v1.0.0"]);
    let released = world.run("release --skip publish,check");
    released.ends_with(0);
    assert_whole(&world.dist());
    for target in [X86_64, AARCH64] {
        let archive = world.dist().join(format!("tool-v1.0.0-{target}.tar.gz"));
        assert_eq!(entry_names(&archive), ["LICENSE", "THIRD-PARTY-LICENSES", "tool"]);
        let program = shipped(&world, "1.0.0", target);
        if let Some(readelf) = judge("readelf") {
            let headers = run(world.with(readelf, ["-ldW"]).arg(&program));
            headers.ends_with(0);
            for dynamic in ["INTERP", "NEEDED"] {
                assert!(!headers.stdout.contains(dynamic), "{}", headers.stdout);
            }
        }
        let said = match judge("qemu-aarch64-static") {
            _ if target == HOST => run(&mut world.with(&program, [""; 0])),
            Some(qemu) if target == AARCH64 => run(&mut world.with(qemu, [&program])),
            _ => continue,
        };
        let lines: Vec<&str> = said.ends_with(0).stdout.lines().collect();
        assert!(lines[0].to_lowercase().contains("clang"), "{lines:?}");
        let names = format!("{target}-cc {target}-ar");
        assert_eq!(lines[1..], [TIME, "/src/c-sys/told.c", &names]);
    }
    let artifacts = world.artifacts();
    let linkages = artifacts.as_array().unwrap().iter().map(|it| &it["extra"]["linkage"]);
    assert_eq!(linkages.filter(|linkage| linkage.is_object()).count(), 2, "{artifacts}");
}

/// Releases the sources of the commit in a folder, with folders of its own.
fn released(world: &World, place: &str, vars: &[(&str, &str)]) -> PathBuf {
    let clone = world.outside(place);
    fs::create_dir_all(clone.parent().unwrap()).unwrap();
    world.git(["clone", "--quiet", world.root().to_str().unwrap(), clone.to_str().unwrap()]);
    let mut tool = world.tool(["release", "--snapshot", "--target", HOST]);
    let vars = vars.iter().copied();
    let run = run(tool
        .current_dir(&clone)
        .env("CARGO_TARGET_DIR", clone.join("made"))
        .env("CARGO_HOME", clone.join("home"))
        .env("DOCKLESS_CACHE", clone.join("cache"))
        .envs(vars));
    run.ends_with(0);
    clone
}

/// What the program that was released in a folder says, and dist/.
fn of(world: &World, clone: &Path) -> (String, std::collections::BTreeMap<String, Vec<u8>>) {
    let dist = contents(&clone.join("dist"));
    let archive = dist.keys().find(|name| name.ends_with(".tar.gz")).unwrap();
    let program = unpack(&clone.join("dist").join(archive), "tool", &clone.join("unpacked"));
    let said = run(&mut world.with(program, [""; 0]));
    (said.ends_with(0).stdout.clone(), dist)
}

/// Neither what cargo kept in the target folder nor what zig kept in its own.
#[test]
fn what_an_earlier_commit_left_does_not_show() {
    let Some(_) = judge("zig") else { return };
    let world = quick();
    world.git(["init", "--quiet"]);
    let first = world.file(".gitignore", "/target\n/dist\n/unpacked\n").commit();
    let release = || {
        world.run("release --snapshot").ends_with(0);
        of(&world, world.root())
    };
    let (said, at_first) = release();
    assert_eq!(said.lines().nth(1), Some(TIME));
    world.file("c-sys/told.c", &format!("{C}int more(void) {{ return 1; }}\n")).commit();
    let (_, at_second) = release();
    // The same commit where nothing is left of any other.
    let cache = world.outside("zig-cache");
    let vars = [("ZIG_GLOBAL_CACHE_DIR", cache.to_str().unwrap())];
    let (_, anew) = of(&world, &released(&world, "anew", &vars));
    assert!(anew == at_second, "a fresh clone's bytes");
    world.git(["reset", "--quiet", "--hard", &first]);
    assert!(release().1 == at_first, "the first commit's bytes");
}

/// What is said of a compiler that is missing, for the project of [`quick`].
fn assert_no_compiler(world: &World, path: &OsString, fault: &str) {
    let why = format!("a C compiler for the target is needed by c-sys 0.9.1 (by cc){fault}");
    let fix = "run `cargo dockless setup --zig`, or put zig on PATH (https://ziglang.org/download)";
    let error = format!("error: tool for {HOST}: {why}\n  help: {fix}\n");
    for args in ["build", "run", "release --snapshot", "release --skip publish,check"] {
        let run = with_path(world, args, path);
        run.ends_with(1).no_result().says(&error).never_says("build tool");
    }
    assert!(!world.path("target").exists(), "nothing compiles before that");
    assert!(!world.dist().exists());
}

#[test]
fn without_a_compiler_for_c_nothing_is_compiled_and_the_crate_is_named() {
    let world = quick();
    world.commit();
    world.git(["tag", "v1.0.0"]);
    assert_no_compiler(&world, &world.without(&COMPILERS), "");
}

#[test]
fn a_zig_that_will_not_do_is_said_with_its_fault() {
    let world = quick();
    world.commit();
    world.git(["tag", "v1.0.0"]);
    for (script, fault) in [
        ("echo 0.9.1", "zig 0.9.1 at ZIG is too old: 0.14.0 or newer is needed"),
        (
            "echo 0.14.0-dev.1+abc",
            "zig 0.14.0-dev.1+abc at ZIG is too old: 0.14.0 or newer is needed",
        ),
        ("exit 1", "zig at ZIG does not work: `zig version` failed (exit status: 1)"),
        (
            "echo 'no such file: libc.so' >&2; exit 127",
            "zig at ZIG does not work: `zig version` failed (exit status: 127):\nno such file: libc.so",
        ),
        ("echo hello", "zig at ZIG does not work: `zig version` says \"hello\""),
        ("kill -9 $$", "zig at ZIG does not work: `zig version` failed (signal: 9 (SIGKILL))"),
        ("printf '\\377'", "zig at ZIG does not work: read the output of `zig version`"),
    ] {
        let zig = world.script("faulty/zig", script);
        let path = world.before("faulty", &world.without(&COMPILERS));
        let run = with_path(&world, "release --skip publish,check", &path);
        run.ends_with(1).no_result().never_says("build tool");
        run.says("a C compiler for the target is needed by c-sys 0.9.1 (by cc); ");
        run.says(&fault.replace("ZIG", zig.to_str().unwrap()));
        run.says("  help: run `cargo dockless setup --zig`");
    }
    assert!(!world.path("target").exists(), "nothing compiles before that");
}

#[test]
fn a_snapshot_leaves_out_what_no_compiler_is_there_for() {
    let world = World::workspace(&[("plain", "1.0.0"), ("app", "1.0.0")], "");
    let needs = format!("[dependencies]\nc.path = \"../c\"\n{}", crate::world::only_host());
    world.package("app", "app", "1.0.0", &needs);
    world.package("plain", "plain", "1.0.0", &crate::world::only_host());
    let native = "[build-dependencies]\ncc.path = \"../cc\"\n";
    world.package("c", "c", "0.1.0", native).package("cc", "cc", "1.2.0", "");
    world.file("c/src/lib.rs", "").file("c/build.rs", "fn main() {}\n").file("cc/src/lib.rs", "");
    world.file(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"plain\"]\nexclude = [\"c\", \"cc\"]\n",
    );
    world.lock();
    let snapshot = with_path(&world, "release --snapshot --json", &world.without(&COMPILERS));
    let printed = snapshot.ends_with(0).json();
    let left_out = &printed["left_out"][0];
    assert_eq!((&left_out["what"], &left_out["target"]), (&"app".into(), &HOST.into()));
    assert_eq!(left_out["why"], "a C compiler for the target is needed by c 0.1.0 (by cc)");
    let fix = left_out["fix"].as_str().unwrap();
    assert!(fix.starts_with("run `cargo dockless setup --zig`"), "{fix}");
    snapshot.says("left out").says("c 0.1.0 (by cc)");
    let archive = format!("plain-v1.0.0-{HOST}.tar.gz");
    assert_eq!(
        names_but_told(&world.dist()),
        ["artifacts.json", "checksums.txt", "images", "metadata.json", &archive]
    );
}

#[test]
fn a_compiler_that_is_killed_is_said_and_dist_stays_as_it_was() {
    let Some(zig) = judge("zig") else { return };
    let world = quick();
    world.run("release --snapshot").ends_with(0);
    let before = contents(&world.dist());
    world.file("c-sys/told.c", &format!("{C}\nint more(void) {{ return 1; }}\n"));
    let zig = zig.display();
    let script = format!(
        "case $1 in\ncc) echo half > told.o; kill -9 $$ ;;\n*) exec '{zig}' \"$@\" ;;\nesac\n"
    );
    world.script("killed/zig", &script);
    let killed = with_path(&world, "release --snapshot", &world.path_with("killed"));
    killed.ends_with(1).no_result();
    killed.says("a compiler was killed (signal: 9 (SIGKILL))");
    killed.says("if memory ran out, run again with `--jobs 1`");
    killed.says("error: the build script of c-sys 0.9.1 failed");
    assert_eq!(contents(&world.dist()), before);
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    world.run("release --snapshot").ends_with(0);
    assert_whole(&world.dist());
}

#[test]
fn clang_compiles_c_where_there_is_no_zig() {
    let arch = HOST.split('-').next().unwrap();
    let headers = format!("/usr/include/{arch}-linux-musl/stdio.h");
    let Some(_) = judge("clang") else { return };
    if !Path::new(&headers).exists() {
        return missing(&headers);
    }
    let world = quick();
    world.commit();
    let path = world.without(&COMPILERS[..3]);
    let ran = with_path(&world, "release --snapshot", &path);
    ran.ends_with(0);
    let (said, _) = of(&world, world.root());
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("Clang"), "{lines:?}");
    let names = format!("{HOST}-cc {HOST}-ar");
    assert_eq!(lines[1..], [TIME, "/src/c-sys/told.c", &names]);
    // It has the headers of one machine, and no C++ library.
    let other = with_path(&world, "build --target riscv64gc-unknown-linux-musl", &path);
    other.ends_with(1).says("a C compiler for the target is needed by c-sys 0.9.1 (by cc)");
}

#[test]
fn the_users_own_compiler_counts() {
    let world = quick();
    world.file("c-sys/told.c", &C.replace("#ifndef __clang__", "#if 0"));
    let script = "echo \"$@\" >> \"$LOG\"\nexec cc \"$@\"\n";
    let compiler = world.script("mine", script);
    let log = world.outside("log");
    let (dashed, underscored) = (format!("CC_{HOST}"), format!("CC_{}", HOST.replace('-', "_")));
    let in_file = format!("[env]\n{underscored} = {:?}\n", compiler.to_str().unwrap());
    // Under each name that cc reads, and where cargo is told; with zig and without.
    for (name, config) in [(Some(&dashed), ""), (Some(&underscored), ""), (None, &*in_file)] {
        for path in [world.without(&COMPILERS), world.path_with("none")] {
            world.file(".cargo/config.toml", config);
            let mut tool = world.tool(["run"]);
            tool.envs(name.map(|name| (name, &compiler))).env("LOG", &log).env("PATH", &path);
            let ran = run(&mut tool);
            let tools = format!("{} ar", compiler.display());
            let said = ran.ends_with(0).stdout.lines().last();
            assert_eq!(said, Some(&*tools), "{name:?} {config} {path:?}");
            assert!(fs::read_to_string(&log).unwrap().contains("told.c"), "{name:?}");
            assert_eq!(names(&world.path("target/dockless")), ["musl"], "{name:?}: no stand-in");
            fs::remove_file(&log).unwrap();
            fs::remove_dir_all(world.path("target")).unwrap();
        }
    }
}

#[test]
fn a_zig_on_a_relative_path_is_found_from_everywhere() {
    let Some(zig) = judge("zig") else { return };
    let world = quick();
    std::os::unix::fs::symlink(zig.parent().unwrap(), world.path("bin")).unwrap();
    let mut path = OsString::from("bin:");
    path.push(world.without(&COMPILERS));
    with_path(&world, "run", &path).ends_with(0);
}

#[test]
fn a_folder_that_cannot_be_on_path_is_named() {
    let Some(_) = judge("zig") else { return };
    let world = quick();
    let mut tool = world.tool(["build"]);
    let failed = run(tool.env("CARGO_TARGET_DIR", world.outside("a:b")));
    failed.ends_with(1).no_result().says("a:b").says("  help: set CARGO_TARGET_DIR to a folder");
}

/// A run that was killed while it wrote them left some of them.
#[test]
fn stand_ins_that_are_half_made_are_made_again() {
    let Some(_) = judge("zig") else { return };
    let world = quick();
    world.run("build").ends_with(0);
    let made = world.path("target/dockless");
    let made = made.join(&names(&made)[0]);
    fs::remove_file(made.join("complete")).unwrap();
    fs::write(made.join(format!("{HOST}-cc")), "#!/bin/sh\nhalf").unwrap();
    fs::remove_file(made.join(format!("{HOST}-ar"))).unwrap();
    fs::remove_dir_all(world.path("target").join(HOST)).unwrap();
    world.run("build").ends_with(0);
}

/// musl's own library of that name is empty, and a crate's must win over it.
#[test]
fn a_crate_may_bring_a_library_named_as_one_of_musls() {
    if judge("zig").is_none() {
        return;
    }
    for kind in ["static=util", "util"] {
        let world = quick();
        let build = BUILD.replace("static=told", kind).replace("libtold.a", "libutil.a");
        world.file("c-sys/build.rs", &build);
        let ran = world.run("run");
        assert_eq!(ran.ends_with(0).stdout.lines().nth(1), Some(TIME), "{kind}");
    }
}
