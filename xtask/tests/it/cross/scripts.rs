//! Build scripts that fail for want of something, or that find too much.

use std::fs;

use super::{COMPILERS, with_path};
use crate::world::{HOST, World, contents, judge, names, only_host, run};

/// A project whose build script does this.
fn scripted(world: &World, code: &str) {
    world.file("build.rs", &format!("fn main() {{\n{code}\n}}\n"));
}

/// A build script that fails with these words.
fn panics(words: &str) -> String {
    format!("panic!(\"{{}}\", r##\"{words}\"##)")
}

#[test]
fn a_build_script_that_fails_is_named_with_what_it_needs() {
    let world = World::quick("1.0.0");
    world.run("release --snapshot").ends_with(0);
    let before = contents(&world.dist());
    let libclang = "Unable to find libclang: \"couldn't find any valid shared libraries matching: \
                    ['libclang.so', 'libclang-*.so'], set the `LIBCLANG_PATH` environment variable\"";
    let loud = "for _ in 0..20_000 { eprintln!(\"a line of a script that has much to say\") }\n";
    for (code, why, fix) in [
        (
            panics(
                "\nfailed to execute command: No such file or directory (os error 2)\n\
                 is `cmake` not installed?\n\nbuild script failed, must exit now",
            ),
            "tool 1.0.0 needs cmake",
            "install cmake (Debian: `apt install cmake`",
        ),
        (panics(libclang), "tool 1.0.0 needs libclang, for bindgen", "LIBCLANG_PATH"),
        (
            panics(
                "Error configuring OpenSSL build:\n    Command 'perl' not found. Is perl installed?",
            ),
            "tool 1.0.0 needs perl",
            "install perl",
        ),
        (
            panics("failed to find tool \"nasm\": No such file or directory (os error 2)"),
            "tool 1.0.0 needs nasm",
            "install nasm",
        ),
        (
            panics(
                "Could not find `protoc`. If `protoc` is installed, try setting the `PROTOC` environment variable",
            ),
            "tool 1.0.0 needs protoc",
            "apt install protobuf-compiler",
        ),
        (panics("out of luck"), "the build script of tool 1.0.0 failed", "--invert tool"),
        // A protocol is not protoc.
        (
            panics("unsupported protocol: gopher"),
            "the build script of tool 1.0.0 failed",
            "--invert tool",
        ),
        (
            "std::process::abort()".to_owned(),
            "the build script of tool 1.0.0 failed",
            "--invert tool",
        ),
        (
            format!("{loud}{}", panics("is `cmake` not installed?")),
            "tool 1.0.0 needs cmake",
            "install cmake",
        ),
        // cargo itself keeps to itself what is not UTF-8.
        (
            format!(
                "use std::io::Write; std::io::stderr().write_all(b\"\\xff\\xfe\\x00\").unwrap();\n{}",
                panics("is `cmake` not installed?")
            ),
            "the build script of tool 1.0.0 failed",
            "--invert tool",
        ),
    ] {
        scripted(&world, &code);
        let failed = world.run("release --snapshot");
        failed.ends_with(1).no_result();
        failed.says(&format!("error: {why}: `cargo build ")).says("  help: ").says(fix);
        let cargos = failed.stderr.matches("failed to run custom build command").count();
        assert_eq!(cargos, 1, "{}", failed.stderr);
        assert_eq!(contents(&world.dist()), before);
    }
    assert!(!world.names().iter().any(|name| name.starts_with(".dist")), "{:?}", world.names());
}

/// A project with a crate that looks for `libfoo` with the crate pkg-config, and
/// finds the host's where it is told that this will do.
fn with_pkg_config() -> World {
    let world = with_library("foo-sys", "foo", "");
    world.file("src/main.rs", "fn main() { println!(\"{}\", foo_sys::two()) }\n");
    let lib = "extern \"C\" { fn foo() -> i32; }\npub fn two() -> i32 { unsafe { foo() } }\n";
    let build = format!(
        r##"fn main() {{
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_ALLOW_CROSS");
    let allowed = std::env::var_os("PKG_CONFIG_ALLOW_CROSS").is_some();
    assert!(allowed, "pkg-config has not been configured to support cross-compilation.");
    println!("cargo:rustc-link-search=native={{}}", {:?});
    println!("cargo:rustc-link-lib=foo");
}}
"##,
        world.outside("lib").display().to_string()
    );
    world.file("foo-sys/src/lib.rs", lib).file("foo-sys/build.rs", &build).lock();
    world
}

/// A project with a crate that may look for a library by pkg-config.
fn with_library(krate: &str, links: &str, features: &str) -> World {
    let world = World::empty();
    let more = format!(
        "[dependencies]\n{krate} = {{ path = \"{krate}\", features = [{features}] }}\n{}",
        only_host()
    );
    world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n");
    let native = format!(
        "links = \"{links}\"\n[features]\nvendored = []\nbundled = []\n\
         [build-dependencies]\npkg-config.path = \"../pkg-config\"\n"
    );
    world.package(krate, krate, "0.3.0", &native);
    world.package("pkg-config", "pkg-config", "0.3.31", "");
    for folder in [krate, "pkg-config"] {
        fs::remove_file(world.path(folder).join("src/main.rs")).unwrap();
        world.file(&format!("{folder}/src/lib.rs"), "");
    }
    world.file(&format!("{krate}/build.rs"), "fn main() {}\n").lock();
    world
}

#[test]
fn a_crate_that_links_a_systems_library_is_named_before_anything_compiles() {
    for (krate, links, feature) in
        [("openssl-sys", "openssl", "vendored"), ("libsqlite3-sys", "sqlite3", "bundled")]
    {
        let world = with_library(krate, links, "");
        let why =
            format!("{krate} 0.3.0 links {links} of the system, and there is none for the target");
        for args in ["build", "release --snapshot"] {
            let failed = with_path(&world, args, &world.without(&COMPILERS));
            failed.ends_with(1).no_result().says(&format!("error: tool for {HOST}: {why}\n"));
            failed.says(&format!("  help: turn on the feature `{feature}` of {krate}, which "));
        }
        assert!(!world.path("target").exists(), "nothing compiles before that");
        let with = with_library(krate, links, &format!("{feature:?}"));
        assert_eq!(with.plan("--snapshot")["left_out"], serde_json::json!([]));
    }
}

/// What pkg-config finds of the host is never linked by accident: it says no,
/// and where somebody made it say yes, there is no static library.
#[test]
fn the_hosts_library_is_never_linked_by_accident() {
    let Some(_) = judge("cc") else { return };
    let world = with_pkg_config();
    fs::create_dir(world.outside("lib")).unwrap();
    world.file("foo.c", "int foo(void) { return 2; }\n");
    let library = world.outside("lib/libfoo.so");
    run(world.with("cc", ["-shared", "-fPIC", "foo.c", "-o"]).arg(&library)).ends_with(0);
    let failed = world.run("release --snapshot");
    failed.ends_with(1).no_result();
    let why = "foo-sys 0.3.0 looks for the system's foo, which does not exist for the target";
    failed.says(&format!("error: {why}: `cargo build ")).says("`cargo tree --invert foo-sys`");
    let mut tool = world.tool(["release", "--snapshot"]);
    let failed = run(tool.env("PKG_CONFIG_ALLOW_CROSS", "1"));
    failed.ends_with(1).no_result();
    let last = failed.stderr.split("\nerror: ").last().unwrap();
    for word in [" foo", "foo-sys 0.3.0"] {
        assert!(last.contains(word), "{word} in the last error:\n{}", failed.stderr);
    }
    assert!(!world.dist().exists(), "{:?}", names(world.root()));
}
