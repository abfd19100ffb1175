//! A workspace whose xtask is two files that depend on the library.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::world::is_told;

/// The templates, with the dependency on this checkout in place of a release's.
fn write(root: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = include_str!("../../templates/xtask/Cargo.toml.tmpl");
    let released = "dockless = \"0.1\"";
    assert!(manifest.contains(released));
    let by_path = format!("dockless = {{ path = {:?} }}", here.to_str().unwrap());
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"tool\", \"xtask\"]\nresolver = \"3\"\n\n".to_owned()
                + include_str!("../../templates/xtask/profile.toml.tmpl"),
        ),
        (".cargo/config.toml", include_str!("../../templates/xtask/config.toml.tmpl").to_owned()),
        ("xtask/Cargo.toml", manifest.replace(released, &by_path)),
        ("xtask/src/main.rs", include_str!("../../templates/xtask/main.rs.tmpl").to_owned()),
        (
            "tool/Cargo.toml",
            "[package]\nname = \"tool\"\nversion = \"0.3.0\"\nedition = \"2024\"\n".to_owned(),
        ),
        (
            "tool/src/main.rs",
            "fn main() {\n    println!(\"{}\", env!(\"DOCKLESS_VERSION\"));\n}\n".to_owned(),
        ),
        ("LICENSE", "a licence\n".to_owned()),
        // The versions that this checkout is tested with.
        ("Cargo.lock", std::fs::read_to_string(here.join("../Cargo.lock")).unwrap()),
    ];
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Whether cargo sets the variable for the tests that it runs, to tell of their package.
/// <https://doc.rust-lang.org/cargo/reference/environment-variables.html>
fn is_of_cargo_test(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn an_xtask_of_two_files_releases_its_workspace_and_not_itself() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    write(&root);
    // This repository's own: its xtask has compiled the dependencies there, by the same profile.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    // cargo takes out of the lock file what only this checkout needs.
    let mut cargo = Command::new("cargo");
    let resolved = cargo.args(["metadata", "--format-version=1"]).current_dir(&root).output();
    assert!(resolved.unwrap().status.success());
    std::fs::write(root.join(".gitignore"), "/.cache\n").unwrap();
    for args in ["init -q", "add -A", "commit -qm all", "tag v0.3.0"] {
        let own = ["user.name=a", "user.email=a@example.com", "commit.gpgsign=false"];
        let own = own.into_iter().flat_map(|setting| ["-c", setting]);
        let mut git = Command::new("git");
        let status = git.args(own).args(args.split(' ')).current_dir(&root).status();
        assert!(status.unwrap().success(), "git {args}");
    }
    let xtask = |args: &str| {
        let mut cargo = Command::new("cargo");
        cargo.arg("xtask").args(args.split(' ')).args(["--json", "--color", "never"]);
        cargo.current_dir(&root).env("CARGO_TARGET_DIR", target);
        // Build scripts run again where one of these changes, and a user's shell has none.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_cargo_test(name)) {
            cargo.env_remove(name);
        }
        cargo.env("DOCKLESS_CACHE", root.join(".cache")).output().unwrap()
    };
    let output = xtask("release --snapshot");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = outcome["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|made| made["name"].as_str().unwrap())
        .filter(|name| !is_told(name))
        .collect();
    let expected = [
        "checksums.txt",
        "tool",
        "tool-v0.3.0-aarch64-unknown-linux-musl.tar.gz",
        "tool-v0.3.0-x86_64-unknown-linux-musl.tar.gz",
    ];
    assert_eq!(names, expected);
    assert_eq!(outcome["left_out"][0]["what"], "xtask");
    assert!(stderr.contains("an xtask is not shipped"), "{stderr}");
    let archive = std::fs::File::open(root.join("dist").join(expected[3])).unwrap();
    let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let names: Vec<_> = entries
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["LICENSE", "tool"]);

    // The xtask makes the release again, too, from a clone.
    let output = xtask("verify --rebuild --source . dist");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{stderr}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["rebuild"]["differences"], serde_json::json!([]));
}
