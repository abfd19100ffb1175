//! Targets and what builds for them: standard libraries, linkers, flags,
//! wrappers, toolchains, C in the graph.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use crate::world::{
    HOST, Run, World, assert_whole, judge, names, names_but_told, only_host, run, skipped,
};

/// A target that rustc knows and nobody has installed for these tests.
const ABSENT: &str = "i586-unknown-linux-musl";

/// Whether the toolchain lacks the target's standard library, as the test needs.
fn absent(world: &World) -> bool {
    let sysroot = run(&mut world.with("rustc", ["--print", "sysroot"]));
    let library = Path::new(sysroot.ends_with(0).line()).join("lib/rustlib").join(ABSENT);
    if library.exists() {
        skipped(&format!("{ABSENT} is installed"));
    }
    !library.exists()
}

/// A rustup before the real one on PATH that notes its arguments and fails.
fn with_broken_rustup(world: &World, args: &str) -> Run {
    let log = world.outside("rustup.log");
    let script = "echo \"$@\" >> \"$LOG\"\necho 'error: could not download file' >&2\nexit 1\n";
    world.script("fake/rustup", script);
    let mut tool = world.tool(args.split(' '));
    run(tool.env("PATH", world.path_with("fake")).env("LOG", log))
}

#[test]
fn a_target_that_cannot_be_installed_is_left_out_of_a_snapshot_and_stops_the_rest() {
    let world = World::quick("1.0.0");
    if !absent(&world) {
        return;
    }
    let both = format!("[package.metadata.dockless]\ntargets = [\"{ABSENT}\", \"{HOST}\"]\n");
    world.package("", "tool", "1.0.0", &both);
    let snapshot = with_broken_rustup(&world, "release --snapshot --json");
    let printed = snapshot.ends_with(0).json();
    let left_out = &printed["left_out"][0];
    assert_eq!((&left_out["what"], &left_out["target"]), (&"tool".into(), &ABSENT.into()));
    let why = left_out["why"].as_str().unwrap();
    assert!(
        why.starts_with(&format!("the toolchain has no standard library for {ABSENT}")),
        "{why}"
    );
    assert!(why.contains("error: could not download file"), "{why}");
    let fix = left_out["fix"].as_str().unwrap();
    assert!(fix.contains(&format!("rustup target add {ABSENT}")), "{fix}");
    snapshot.says(&format!("install standard library for {ABSENT} (rustup target add)"));
    snapshot.says("left out");
    let asked = fs::read_to_string(world.outside("rustup.log")).unwrap();
    assert_eq!(asked, format!("target add {ABSENT}\n"));
    assert_whole(&world.dist());
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    assert_eq!(
        names_but_told(&world.dist()),
        ["artifacts.json", "checksums.txt", "images", "metadata.json", &archive]
    );

    // What is named alone is an error, and so is anything left out of a release.
    let error = format!("error: tool for {ABSENT}: the toolchain has no standard library for");
    for args in
        [format!("build --target {ABSENT}"), format!("release --snapshot --target {ABSENT}")]
    {
        with_broken_rustup(&world, &args).ends_with(1).no_result().says(&error).says("  help: ");
    }
    world.commit();
    world.git(["tag", "v1.0.0"]);
    let before = names(&world.dist());
    let release = with_broken_rustup(&world, "release --skip publish,check");
    release.ends_with(1).no_result().says(&error).never_says("build tool 1.0.0");
    assert_eq!(names(&world.dist()), before);
    // Without the network nobody is asked.
    fs::remove_file(world.outside("rustup.log")).unwrap();
    let offline = with_broken_rustup(&world, "release --snapshot --offline");
    offline.ends_with(0).says("--offline forbids downloading it");
    assert!(!world.outside("rustup.log").exists());
}

#[test]
fn a_target_that_only_another_system_links_is_left_out() {
    let world = World::quick("1.0.0");
    let run = world.run("release --dry-run --snapshot --target x86_64-pc-windows-msvc");
    run.ends_with(1)
        .no_result()
        .says("error: tool for x86_64-pc-windows-msvc: its linker and libraries are Microsoft's")
        .says("  help: name x86_64-pc-windows-gnu, or build on Windows\n");
    let both = "--snapshot --target x86_64-pc-windows-msvc --target x86_64-unknown-linux-musl";
    let plan = world.plan(both);
    assert_eq!(plan["left_out"][0]["target"], "x86_64-pc-windows-msvc");
    assert_eq!(plan["builds"][0]["targets"], serde_json::json!(["x86_64-unknown-linux-musl"]));
}

/// A workspace with one package whose graph holds C, and one without.
fn with_c() -> World {
    let world = World::workspace(&[("app", "1.0.0"), ("plain", "1.0.0")], "");
    world.package("app", "app", "1.0.0", "[dependencies]\nfoo-sys.path = \"../../foo-sys\"\n");
    let native = "links = \"foo\"\n[build-dependencies]\ncc.path = \"../cc\"\n[workspace]\n";
    world.package("../foo-sys", "foo-sys", "0.9.1", native);
    world.file("../foo-sys/src/lib.rs", "").file("../foo-sys/build.rs", "fn main() {}\n");
    world.package("../cc", "cc", "1.2.0", "[workspace]\n").file("../cc/src/lib.rs", "");
    world.lock();
    world
}

/// Runs the tool on a machine that has no C compiler for another one.
fn without_compilers(world: &World, args: &str) -> Run {
    let path = world.without(&["zig", "python3", "python", "clang"]);
    run(world.tool(args.split(' ')).env("PATH", path))
}

fn plan_without_compilers(world: &World, args: &str) -> serde_json::Value {
    let run = without_compilers(world, &format!("release --dry-run --json --snapshot {args}"));
    run.ends_with(0).json()
}

#[test]
fn a_crate_with_c_is_found_before_anything_compiles() {
    let world = with_c();
    let plan = plan_without_compilers(&world, &format!("--target {HOST}"));
    assert_eq!(plan["builds"].as_array().unwrap().len(), 1);
    assert_eq!(plan["builds"][0]["package"], "plain");
    let left_out = &plan["left_out"][0];
    assert_eq!((&left_out["what"], &left_out["target"]), (&"app".into(), &HOST.into()));
    let why = "a C compiler for the target is needed by foo-sys 0.9.1 (by cc)";
    assert_eq!(left_out["why"], why);
    let fix = "run `cargo dockless setup --zig`, or put zig on PATH (https://ziglang.org/download)";
    assert_eq!(left_out["fix"], fix);

    let error = format!("error: app for {HOST}: {why}\n  help: {fix}\n");
    for args in ["build --package app", "run --package app", "release --snapshot --package app"] {
        let run = without_compilers(&world, args);
        run.ends_with(1).no_result().says(&error).never_says("build app");
    }
    // `build` without --package is meant for all packages.
    without_compilers(&world, "build").ends_with(1).no_result().says(&error);
    assert!(!world.path("target").exists(), "nothing compiles before that");
}

#[test]
fn c_behind_a_feature_that_is_off_is_no_reason() {
    let world = with_c();
    let optional = "[dependencies]\nfoo-sys = { path = \"../../foo-sys\", optional = true }\n\
                    [features]\nfoo = [\"dep:foo-sys\"]\n";
    world.package("app", "app", "1.0.0", optional).lock();
    let args = format!("--package app --target {HOST}");
    let plan = plan_without_compilers(&world, &args);
    assert_eq!(plan["left_out"], serde_json::json!([]));
    let on = without_compilers(&world, "release --dry-run --snapshot --package app --features foo");
    on.ends_with(1).says("is needed by foo-sys 0.9.1 (by cc)");
    // What only the tests of the package need is not shipped.
    let dev = "[dev-dependencies]\nfoo-sys.path = \"../../foo-sys\"\n";
    world.package("app", "app", "1.0.0", dev).lock();
    let plan = plan_without_compilers(&world, &args);
    assert_eq!(plan["left_out"], serde_json::json!([]));
}

/// A linker that succeeds and gives a program of this machine instead.
fn lying_linker(world: &World, program: &str) -> String {
    let script = format!(
        "while [ $# -gt 1 ]; do\n  if [ \"$1\" = -o ]; then out=$2; fi\n  shift\ndone\n\
         cp {program} \"$out\"\n"
    );
    let linker = world.script("linker.sh", &script);
    format!("[target.{HOST}]\nlinker = \"{}\"\n", linker.display())
}

#[test]
fn a_musl_binary_that_is_not_static_is_refused() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot").ends_with(0);
    let before = crate::world::contents(&world.dist());
    world.file(".cargo/config.toml", &lying_linker(&world, "/bin/ls"));
    let release = world.run("release --snapshot");
    release.ends_with(1).no_result();
    release.says(&format!(": tool for {HOST}: it is started by \"/lib"));
    release.says("a toolchain for glibc linked it\n");
    release.says(": it needs the shared library \"libc.so.6\"");
    release.says(&format!("[target.{HOST}] of .cargo/config.toml"));
    assert_eq!(crate::world::contents(&world.dist()), before, "the older dist/");
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
    world.run("build").ends_with(1).no_result().says("it is started by");
    world.run("run").ends_with(1).no_result().says("it is started by");

    // Something that is no program at all.
    world.file(".cargo/config.toml", &lying_linker(&world, "/etc/passwd"));
    world.file("src/main.rs", "fn main() {}\n");
    world.run("build").ends_with(1).no_result().says(&format!(": tool for {HOST}: "));
}

/// A program that says whether a flag of the user reached it.
const SAYS_FLAG: &str =
    "#![allow(unexpected_cfgs)]\nfn main() { println!(\"{}\", cfg!(my_flag)) }\n";

/// Builds with `build` and more variables, and returns what the program, which
/// must be static, says.
fn built(world: &World, vars: &[(&str, &str)]) -> String {
    let built = run(world.tool(["build"]).envs(vars.iter().copied()));
    let path = built.ends_with(0).line();
    if let Some(readelf) = judge("readelf") {
        let headers = run(&mut world.with(readelf, ["-lW", path]));
        assert!(!headers.ends_with(0).stdout.contains("INTERP"), "{}", headers.stdout);
    }
    run(&mut world.with(path, [""; 0])).ends_with(0).line().to_owned()
}

const ENCODED: &str = "CARGO_ENCODED_RUSTFLAGS";

#[test]
fn flags_from_each_of_cargos_places_still_apply() {
    let flag = "--cfg=my_flag";
    let in_file = |table: &str| format!("[{table}]\nrustflags = [\"{flag}\"]\n");
    let world = World::quick("1.0.0");
    world.file("src/main.rs", SAYS_FLAG);
    assert_eq!(built(&world, &[]), "false");
    let of_target = format!("CARGO_TARGET_{}_RUSTFLAGS", HOST.to_uppercase().replace('-', "_"));
    for name in [ENCODED, "RUSTFLAGS", &of_target, "CARGO_BUILD_RUSTFLAGS"] {
        assert_eq!(built(&world, &[(name, flag)]), "true", "{name}");
    }
    for table in [&format!("target.{HOST}"), "target.'cfg(unix)'", "build"] {
        world.file(".cargo/config.toml", &in_file(table));
        assert_eq!(built(&world, &[]), "true", "{table}");
    }
    // cargo takes the first place that has any, and so does this tool.
    for (name, value) in [("RUSTFLAGS", "--cfg=other"), ("RUSTFLAGS", ""), (ENCODED, "")] {
        assert_eq!(built(&world, &[(name, value)]), "false", "{name}={value}");
    }
}

#[test]
fn flags_that_would_link_the_hosts_libc_do_not_win() {
    let world = World::quick("1.0.0");
    world.file("src/main.rs", SAYS_FLAG);
    let flags = "-Ctarget-feature=-crt-static --cfg=my_flag";
    assert_eq!(built(&world, &[("RUSTFLAGS", flags)]), "true");
}

#[test]
fn musl_gcc_is_replaced_and_said() {
    let warning = format!(
        "warning: {HOST}: cargo's configuration names musl-gcc as linker; rust-lld is used, \
         because binaries that musl-gcc links crash\n  help: remove that setting"
    );
    let variable = format!("CARGO_TARGET_{}_LINKER", HOST.to_uppercase().replace('-', "_"));
    let world = World::quick("1.0.0");
    for (name, value) in
        [(&*variable, "x86_64-linux-musl-gcc"), ("RUSTFLAGS", "-C linker=musl-gcc")]
    {
        let mut tool = world.tool(["run"]);
        let ran = run(tool.env(name, value));
        assert_eq!(ran.ends_with(0).line(), "1.0.0", "{name}");
        ran.says(&warning);
    }
    world.file(".cargo/config.toml", &format!("[target.{HOST}]\nlinker = \"musl-gcc\"\n"));
    let ran = world.run("run");
    assert_eq!(ran.ends_with(0).line(), "1.0.0");
    ran.says(&warning);
}

#[test]
fn cargos_target_folder_is_where_the_user_says() {
    let world = World::quick("1.0.0");
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"] {
        let dir = world.outside(name);
        let mut tool = world.tool(["build", "-q"]);
        let built = run(tool.env(name, &dir));
        let path = Path::new(built.ends_with(0).line());
        assert!(path.starts_with(&dir), "{}", path.display());
    }
    // One that is relative is meant from where the command was typed.
    let mut tool = world.tool(["build", "-q"]);
    let built = run(tool.env("CARGO_TARGET_DIR", "made").current_dir(world.path("src")));
    let path = Path::new(built.ends_with(0).line());
    assert!(path.starts_with(world.path("src/made")), "{}", path.display());
    world.file(".cargo/config.toml", "[build]\ntarget-dir = \"made/here\"\n");
    let built = world.run("build -q");
    let path = Path::new(built.ends_with(0).line());
    assert!(path.starts_with(world.path("made/here")), "{}", path.display());
    assert!(!world.path("target").exists());
}

#[test]
fn a_compiler_wrapper_is_called() {
    let world = World::quick("1.0.0");
    let wrapper = world.script("wrapper", "echo \"$@\" >> \"$LOG\"\nexec \"$@\"\n");
    let log = world.outside("wrapper.log");
    let mut tool = world.tool(["build"]);
    run(tool.env("RUSTC_WRAPPER", &wrapper).env("LOG", &log)).ends_with(0);
    let calls = fs::read_to_string(log).unwrap();
    assert!(calls.lines().any(|call| call.contains("--crate-name tool")), "{calls}");
}

/// The alias `cargo xtask` sets RUSTUP_TOOLCHAIN to the outer project's toolchain.
#[test]
fn the_projects_toolchain_wins_over_the_outer_cargos() {
    if judge("rustup").is_none() {
        return;
    }
    let world = World::quick("1.0.0");
    let active = run(&mut world.with("rustup", ["show", "active-toolchain"]));
    let pinned = active.ends_with(0).stdout.split_whitespace().next().unwrap().to_owned();
    world.file("rust-toolchain.toml", &format!("[toolchain]\nchannel = \"{pinned}\"\n"));
    let build = |cargo: Option<&OsStr>| {
        let mut tool = world.tool(["build"]);
        tool.envs(cargo.map(|cargo| ("CARGO", cargo)));
        run(tool.env("RUSTUP_TOOLCHAIN", "the-outer-projects"))
    };
    build(Some(&OsString::from("/somewhere/cargo"))).ends_with(0);
    // Without an outer cargo the user has set it, and means it.
    let meant = build(None);
    meant.ends_with(1).no_result().says("the-outer-projects");
}

#[test]
fn a_profile_that_says_what_to_strip_is_obeyed() {
    let Some(readelf) = judge("readelf") else { return };
    let symbols = |world: &World| {
        let built = world.run("build --release -q");
        let path = built.ends_with(0).line().to_owned();
        let sections = run(&mut world.with(&readelf, ["-SW", &*path]));
        sections.ends_with(0).stdout.contains(".symtab")
    };
    let world = World::quick("1.0.0");
    assert!(!symbols(&world), "stripped by default");
    let more = format!("{}[profile.release]\nstrip = \"none\"\n", only_host());
    world.package("", "tool", "1.0.0", &more);
    assert!(symbols(&world), "the profile says not to");
}

/// What goes to the compiler's stdout lies among cargo's messages.
#[test]
fn what_macros_print_is_not_taken_for_cargos_messages() {
    let world = World::quick("1.0.0");
    let more = format!("[dependencies]\nnoisy.path = \"noisy\"\n{}", only_host());
    world.package("", "tool", "1.0.0", &more);
    world.package("noisy", "noisy", "1.0.0", "[lib]\nproc-macro = true\n");
    fs::remove_file(world.path("noisy/src/main.rs")).unwrap();
    let noise = "#[proc_macro]\npub fn noise(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n    \
                 println!(\"{{ no message\");\n    println!(\"{{}}\");\n    println!(\"words\");\n    \
                 for _ in 0..20_000 { println!(\"{{ more\") }\n    Default::default()\n}\n";
    world.file("noisy/src/lib.rs", noise);
    let main = format!("noisy::noise!();\n{}", crate::world::SAYS_VERSION);
    world.file("src/main.rs", &main).lock();
    assert_eq!(world.run("run").ends_with(0).line(), "1.0.0");
}

/// A project may be named like a crate that it depends on.
#[test]
fn a_dependency_of_the_same_name_is_not_mistaken_for_the_package() {
    let world = World::single("2.0.0");
    world.package("old", "tool", "1.0.0", "");
    world.file("old/src/lib.rs", "pub fn old() {}\n");
    let manifest = world.read("Cargo.toml");
    let dependency = "[dependencies]\nold = { package = \"tool\", path = \"old\" }\n";
    world.file(
        "Cargo.toml",
        &format!("{manifest}\n{dependency}\n[workspace]\nexclude = [\"old\"]\n"),
    );
    world.run("build").ends_with(0).line();
}

/// musl has them within its libc, and crates ask for them by name.
#[test]
fn libraries_that_musl_has_within_its_libc_are_found() {
    let world = World::quick("1.0.0");
    let main = "#[link(name = \"m\")] extern \"C\" { fn cos(x: f64) -> f64; }\n\
                #[link(name = \"dl\")] extern \"C\" { fn dlerror() -> *const u8; }\n\
                fn main() { unsafe { println!(\"{} {}\", cos(0.0), dlerror().is_null()) } }\n";
    world.file("src/main.rs", main);
    assert_eq!(world.run("run").ends_with(0).line(), "1 true");
}
