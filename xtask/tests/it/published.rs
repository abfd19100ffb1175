//! Published programs that have never heard of this tool, unmodified and without
//! any configuration. Slow, so `DOCKLESS_PUBLISHED=1` asks for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{self, HOST, World};

mod peers;
mod set_up;

/// Package, version, binary.
const PROGRAMS: [(&str, &str, &str); 3] =
    [("hexyl", "0.17.0", "hexyl"), ("fd-find", "10.5.0", "fd"), ("tokei", "15.0.0", "tokei")];

/// The same, of programs with C: assembly and C of ring, of blake3, and libgit2 with zlib.
pub const WITH_C: [(&str, &str, &str); 3] =
    [("tealdeer", "1.8.1", "tldr"), ("just", "1.59.0", "just"), ("eza", "0.23.5", "eza")];

/// Whether published programs are asked for; if not, that is said.
pub fn asked() -> bool {
    let asked = std::env::var_os("DOCKLESS_PUBLISHED").is_some();
    if !asked {
        world::skipped("published programs are fetched only with DOCKLESS_PUBLISHED=1");
    }
    asked
}

/// The sources of a package as published, in a new folder `to`.
pub fn copied(world: &World, package: &str, version: &str, to: &Path) {
    let sources = fetch(package, version, &world.outside(&format!("fetch-{package}")));
    world::run(world.with("cp", ["-r"]).arg(&sources).arg(to)).ends_with(0);
}

/// The profile's settings under which programs compile soon. Those that are shipped are stripped
/// all the same.
const SOON: [(&str, &str); 5] = [
    ("CARGO_NET_OFFLINE", "false"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// A folder of the target folder, which later runs of the tests find again.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("published").join(name)
}

/// Lets cargo fetch a package's sources and returns where its registry put them.
pub fn fetch(package: &str, version: &str, dir: &Path) -> PathBuf {
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\n[dependencies]\n{package} = \"={version}\"\n"
    );
    std::fs::create_dir_all(dir.join("src")).unwrap();
    std::fs::write(dir.join("src/lib.rs"), "").unwrap();
    std::fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    let fetched = Command::new("cargo").arg("fetch").current_dir(dir).output().unwrap();
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cargo"));
    // A folder for each registry, named after its host.
    let registries = std::fs::read_dir(home.join("registry/src")).unwrap();
    let sources = registries.map(|registry| registry.unwrap().path());
    let mut sources = sources.map(|registry| registry.join(format!("{package}-{version}")));
    sources.find(|sources| sources.is_dir()).expect("cargo unpacked what it fetched")
}

#[expect(clippy::disallowed_macros, reason = "a test that does not run must be heard of")]
fn said(what: &str) {
    eprintln!("{what}");
}

#[test]
fn published_programs_are_released_without_any_configuration() {
    if std::env::var_os("DOCKLESS_PUBLISHED").is_none() {
        return said("skipped: published programs are compiled only with DOCKLESS_PUBLISHED=1");
    }
    let qemu = world::judge("qemu-aarch64-static");
    for (package, version, bin) in PROGRAMS {
        let dir = tempfile::tempdir().unwrap();
        let sources = fetch(package, version, &dir.path().join("fetch"));
        let copy = dir.path().join(package);
        assert!(Command::new("cp").arg("-r").arg(&sources).arg(&copy).status().unwrap().success());
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("published").join(package);
        let mut tool = Command::new(env!("CARGO_BIN_EXE_cargo-dockless"));
        tool.args(["release", "--snapshot", "--quiet", "--manifest-path"]).arg(&copy);
        tool.env("CARGO_TARGET_DIR", target).env("DOCKLESS_CACHE", dir.path().join("cache"));
        world::run(&mut tool).ends_with(0);
        let dist = copy.join("dist");
        world::assert_whole(&dist);
        for arch in ["x86_64", "aarch64"] {
            let archive =
                dist.join(format!("{package}-v{version}-{arch}-unknown-linux-musl.tar.gz"));
            let program = world::unpack(&archive, bin, &dir.path().join(arch));
            let mut run = match (arch, &qemu) {
                ("x86_64", _) if cfg!(target_arch = "x86_64") => Command::new(&program),
                ("aarch64", Some(qemu)) => {
                    let mut run = Command::new(qemu);
                    run.arg(&program);
                    run
                }
                _ => continue,
            };
            let ran = world::run(run.arg("--version"));
            assert!(ran.ends_with(0).stdout.contains(version), "{}", ran.stdout);
        }
    }
}
