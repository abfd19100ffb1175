//! The first run in a project that has never heard of this tool.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::world::{
    AARCH64, EPOCH, HOST, World, X86_64, assert_whole, contents, entries, entry_names, judge,
    names, only_host, run, sha256, unpack,
};

/// What cargo gives to files of a package, where nothing tells another time.
const NO_TIME: u64 = 1_153_704_088;

#[test]
fn a_package_without_config_or_git_becomes_archives_for_two_targets() {
    let world = World::single("0.3.1");
    world.file("LICENSE-MIT", "free\n").file("README.md", "# tool\n");
    let before = world.names();
    let release = world.run("release --snapshot");
    release.ends_with(0).never_says("warning:").never_says("error:");
    let archive = |target: &str| format!("tool-v0.3.1-{target}.tar.gz");
    let sboms = [
        "tool-v0.3.1-aarch64-musl.image.spdx.json",
        "tool-v0.3.1-aarch64-musl.spdx.json",
        "tool-v0.3.1-x86_64-musl.image.spdx.json",
        "tool-v0.3.1-x86_64-musl.spdx.json",
        "tool-v0.3.1.image.spdx.json",
        "tool-v0.3.1.intoto.json",
    ]
    .map(str::to_owned);
    let mut files = vec![archive(AARCH64), archive(X86_64)];
    files.extend(sboms);
    files.sort();
    let described = [".gitignore", "artifacts.json", "checksums.txt", "images", "metadata.json"];
    let expected = described.map(str::to_owned).into_iter().chain(files.clone());
    let expected: Vec<String> = expected.collect();
    assert_eq!(names(&world.dist()), expected);
    // Results, and only results, on stdout: the files that were made, by their path.
    let mut made: Vec<&str> = release.stdout.lines().collect();
    made.sort();
    let others = ["checksums.txt".to_owned(), "images/tool".to_owned()];
    let paths = files.iter().cloned().chain(others);
    let mut paths: Vec<String> =
        paths.map(|name| world.dist().join(name).display().to_string()).collect();
    paths.sort();
    assert_eq!(made, paths);
    release.says("build tool 0.3.1 for").says("artifact").says(&archive(AARCH64));
    // Nothing else lies in the project than what cargo and this tool are known to make.
    let added: Vec<String> =
        world.names().into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(added, ["Cargo.lock", "dist", "target"]);

    assert_whole(&world.dist());
    if let Some(sha256sum) = judge("sha256sum") {
        let checked = run(world
            .with(sha256sum, ["--check", "--strict", "checksums.txt"])
            .current_dir(world.dist()));
        let all: String = files.iter().map(|name| format!("{name}: OK\n")).collect();
        assert_eq!(checked.ends_with(0).stdout, all);
    }
    for target in [AARCH64, X86_64] {
        let seen: Vec<_> = entries(&world.dist().join(archive(target)))
            .into_iter()
            .map(|entry| (entry.name, entry.mode, entry.mtime, entry.owner))
            .collect();
        let entry = |name: &str, mode| (name.to_owned(), mode, NO_TIME, (0, 0));
        assert_eq!(
            seen,
            [entry("LICENSE-MIT", 0o644), entry("README.md", 0o644), entry("tool", 0o755)]
        );
    }

    let program = unpack(&world.dist().join(archive(HOST)), "tool", &world.outside("host"));
    assert_eq!(run(&mut world.with(program, [""; 0])).ends_with(0).stdout, "0.3.1\n");
    if HOST == X86_64
        && let Some(qemu) = judge("qemu-aarch64-static")
    {
        let program = unpack(&world.dist().join(archive(AARCH64)), "tool", &world.outside("arm"));
        assert_eq!(run(&mut world.with(qemu, [program])).ends_with(0).stdout, "0.3.1\n");
    }
    if let Some(readelf) = judge("readelf") {
        let program = unpack(&world.dist().join(archive(HOST)), "tool", &world.outside("host"));
        let headers = run(&mut world.with(readelf, ["-lW".as_ref(), program.as_os_str()]));
        assert!(!headers.ends_with(0).stdout.contains("INTERP"), "{}", headers.stdout);
    }

    let first = contents(&world.dist());
    world.run("release --snapshot").ends_with(0);
    assert_eq!(contents(&world.dist()), first, "the second run");
    world.run("release --snapshot --clean").ends_with(0);
    assert_eq!(contents(&world.dist()), first, "a run that uses no kept archive");
}

#[test]
fn dist_describes_itself() {
    let world = World::empty();
    let about = "license = \"MIT\"\ndescription = \"Says its version\"\n\
                 repository = \"https://example.org/tool\"\n";
    world.package("", "tool", "1.2.3", about).file("LICENSE", "free\n").lock();
    world.commit();
    world.git(["tag", "v1.2.3"]);
    let commit = world.git(["rev-parse", "HEAD"]);
    let release = world.run("release --snapshot --json -q --skip image");
    release.ends_with(0);

    let metadata: serde_json::Value =
        serde_json::from_str(&world.read("dist/metadata.json")).unwrap();
    let expected = serde_json::json!({
        "schema": 1,
        "project_name": "tool",
        "tag": "v1.2.3",
        "version": "1.2.3",
        "packages": [{
            "name": "tool",
            "version": "1.2.3",
            "license": "MIT",
            "description": "Says its version",
            "repository": "https://example.org/tool",
            "homepage": null,
        }],
        "commit": commit,
        "date": "2023-11-14T22:13:20Z",
        "snapshot": true,
        "dockless": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(metadata, expected);

    let artifacts = world.artifacts();
    // How a binary is linked is as its toolchain has it, but never with glibc.
    let linkage = |target: &str| {
        let listed = artifacts.as_array().unwrap().iter();
        let archive = |it: &&serde_json::Value| it["target"] == target && it["type"] == "Archive";
        let artifact = listed.clone().find(archive).unwrap();
        let linkage = artifact["extra"]["linkage"]["tool"].clone();
        assert_eq!(linkage["static_glibc"], false, "{linkage}");
        assert!(linkage["pie"].is_boolean() && linkage["relro"].is_string(), "{linkage}");
        linkage
    };
    let archive = |target: &str, goarch: &str| {
        let name = format!("tool-v1.2.3-{target}.tar.gz");
        let bytes = fs::read(world.dist().join(&name)).unwrap();
        serde_json::json!({
            "name": name,
            "path": format!("dist/{name}"),
            "target": target,
            "goos": "linux",
            "goarch": goarch,
            "type": "Archive",
            "extra": {
                "binaries": ["tool"],
                "checksum": format!("sha256:{}", sha256(&bytes)),
                "format": "tar.gz",
                "linkage": { "tool": linkage(target) },
                "package": "tool",
                "size": bytes.len(),
                "version": "1.2.3",
            },
        })
    };
    let sbom = |target: &str, goarch: &str| {
        let name = format!("tool-v1.2.3-{}.spdx.json", target.replace("-unknown-linux", ""));
        let bytes = fs::read(world.dist().join(&name)).unwrap();
        serde_json::json!({
            "name": name,
            "path": format!("dist/{name}"),
            "target": target,
            "goos": "linux",
            "goarch": goarch,
            "type": "SBOM",
            "extra": {
                "checksum": format!("sha256:{}", sha256(&bytes)),
                "format": "spdx",
                "of": { "kind": "program", "bin": "tool", "target": target },
                "package": "tool",
                "size": bytes.len(),
                "version": "1.2.3",
            },
        })
    };
    let statement = world.read("dist/tool-v1.2.3.intoto.json");
    let statement = serde_json::json!({
        "name": "tool-v1.2.3.intoto.json",
        "path": "dist/tool-v1.2.3.intoto.json",
        "target": null,
        "goos": null,
        "goarch": null,
        "type": "Provenance",
        "extra": {
            "checksum": format!("sha256:{}", sha256(statement.as_bytes())),
            "package": "tool",
            "size": statement.len(),
            "version": "1.2.3",
        },
    });
    let checksums = world.read("dist/checksums.txt");
    let checksums = serde_json::json!({
        "name": "checksums.txt",
        "path": "dist/checksums.txt",
        "target": null,
        "goos": null,
        "goarch": null,
        "type": "Checksum",
        "extra": {
            "checksum": format!("sha256:{}", sha256(checksums.as_bytes())),
            "size": checksums.len(),
        },
    });
    let expected = serde_json::json!([
        checksums,
        sbom(AARCH64, "arm64"),
        archive(AARCH64, "arm64"),
        sbom(X86_64, "amd64"),
        archive(X86_64, "amd64"),
        statement,
    ]);
    assert_eq!(artifacts, expected);

    // `--json` is the same list, with what was left out: one document and nothing else.
    let printed = release.json();
    assert_eq!(printed["version"], "1.2.3");
    assert_eq!(printed["artifacts"], artifacts);
    assert_eq!(printed["left_out"], serde_json::json!([]));
    assert_eq!(release.stderr, "", "-q leaves errors, warnings and results");
    for entry in entries(&world.dist().join(format!("tool-v1.2.3-{HOST}.tar.gz"))) {
        assert_eq!(entry.mtime, EPOCH, "{}: the time of the commit", entry.name);
    }
    for name in names(&world.dist()) {
        let modified = fs::metadata(world.dist().join(&name)).unwrap().modified().unwrap();
        assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(EPOCH), "{name}");
    }
}

#[test]
fn quiet_prints_results_and_verbose_prints_commands() {
    let world = World::quick("1.0.0");
    let quiet = world.run("release --snapshot -q");
    assert_eq!(quiet.ends_with(0).stderr, "");
    let mut lines: Vec<&Path> = quiet.stdout.lines().map(Path::new).collect();
    lines.sort();
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    let stem = format!("tool-v1.0.0-{}", HOST.replace("-unknown-linux", ""));
    assert_eq!(
        lines,
        [
            world.path("dist/checksums.txt"),
            world.path("dist/images/tool"),
            world.dist().join(format!("{stem}.image.spdx.json")),
            world.dist().join(format!("{stem}.spdx.json")),
            world.dist().join(archive),
            world.path("dist/tool-v1.0.0.intoto.json"),
        ]
    );
    let verbose = world.run("release --snapshot -v");
    verbose.ends_with(0).says("cargo build ").says(&format!("--target {HOST}"));
    assert_eq!(verbose.stdout, quiet.stdout);
}

#[test]
fn a_jobs_summary_page_gets_the_tables() {
    let world = World::quick("1.0.0");
    let page = world.outside("summary.md");
    fs::write(&page, "already there\n").unwrap();
    let mut release = world.tool(["release", "--snapshot"]);
    run(release.env("GITHUB_STEP_SUMMARY", &page)).ends_with(0);
    let text = fs::read_to_string(&page).unwrap();
    let name = format!("tool-v1.0.0-{HOST}.tar.gz");
    let digest = sha256(&fs::read(world.dist().join(&name)).unwrap());
    assert!(text.starts_with("already there\n### Snapshot 1.0.0\n\n| artifact |"), "{text}");
    let row = text.lines().find(|line| line.starts_with(&format!("| {name} |")));
    assert!(row.is_some_and(|row| row.contains(&digest)), "{text}");
    // Without a key nothing is signed, and that is all that was skipped.
    assert!(text.contains("### Skipped") && text.contains("| sign | there is no key"), "{text}");
    assert!(!text.contains("--skip"), "{text}");

    // What was left out is listed, and what is made alone is called so.
    for (args, title, skipped) in [
        ("release --snapshot --skip image", "### Snapshot 1.0.0\n\n| artifact |", true),
        ("archive", "### Archives 1.0.0\n\n| artifact |", false),
        ("image", "### Images 1.0.0\n\n| image |", false),
        ("image --output oci:elsewhere", "### Images 1.0.0\n\n| image |", false),
    ] {
        fs::write(&page, "").unwrap();
        let mut tool = world.tool(args.split(' '));
        let made = run(tool.env("GITHUB_STEP_SUMMARY", &page));
        let text = fs::read_to_string(&page).unwrap();
        assert!(made.ends_with(0).stderr.contains("skipped") == skipped, "{}", made.stderr);
        assert!(text.starts_with(title) && text.contains("### Skipped") == skipped, "{text}");
        let listed = text.contains("| images/tool |");
        assert_eq!(listed, args == "image", "{text}");
    }

    let mut release = world.tool(["release", "--snapshot"]);
    let broken = run(release.env("GITHUB_STEP_SUMMARY", world.outside("no/such/folder")));
    broken.ends_with(1).says("error: write GITHUB_STEP_SUMMARY: ");
}

#[test]
fn the_project_is_found_from_any_folder() {
    let world = World::quick("1.0.0");
    fs::create_dir(world.path("src/deep")).unwrap();
    let below = run(world
        .tool(["release", "--dry-run", "--snapshot", "--json"])
        .current_dir(world.path("src/deep")));
    assert_eq!(below.ends_with(0).json()["dist"], world.dist().to_str().unwrap());
    for manifest in [world.path("Cargo.toml"), world.root().to_owned()] {
        let args = ["release", "--dry-run", "--snapshot", "--json", "--manifest-path"];
        let elsewhere = run(world.tool(args).arg(&manifest).current_dir("/"));
        assert_eq!(elsewhere.ends_with(0).json()["dist"], world.dist().to_str().unwrap());
    }
    // A member's folder belongs to its whole workspace.
    let workspace = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    let member = run(workspace
        .tool(["release", "--dry-run", "--snapshot", "--json"])
        .current_dir(workspace.path("beta")));
    let plan = member.ends_with(0).json();
    assert_eq!(plan["builds"].as_array().unwrap().len(), 2);
    assert_eq!(plan["dist"], workspace.dist().to_str().unwrap());

    let nowhere = World::empty();
    let lost = nowhere.run("release --snapshot");
    lost.ends_with(1)
        .no_result()
        .says(&format!(
            "error: find Cargo.toml: none in {} or above it\n",
            nowhere.root().display()
        ))
        .says("  help: run this inside a Rust project, or name one with --manifest-path\n");
    let missing = nowhere.run("release --snapshot --manifest-path gone/Cargo.toml");
    missing.ends_with(1).says("gone/Cargo.toml").says("  help: name a Cargo.toml with");
}

/// Nobody has to tell git of dist/, nor to rename a folder of that name that a project has.
#[test]
fn dist_stays_out_of_git_and_has_the_name_that_the_settings_give() {
    let world = World::quick("1.0.0");
    world.commit();
    world.run("release --snapshot -q --skip image").ends_with(0);
    assert_whole(&world.dist());
    assert_eq!(world.git(["status", "--porcelain", "--untracked-files=all"]), "");
    // What it hides is no artifact.
    for name in ["artifacts.json", "checksums.txt"] {
        assert!(!world.read(&format!("dist/{name}")).contains(".gitignore"), "{name}");
    }

    // A web project's own dist/ is not this tool's to replace.
    world.run("clean").ends_with(0);
    world.file("dist/index.html", "<p>ours</p>\n");
    let refused = world.run("archive");
    refused.ends_with(1).says("is a folder that dockless did not make");
    refused.says("[workspace.metadata.dockless] dist");
    let manifest = world.read("Cargo.toml");
    let named = |name: &str| {
        let table = format!("\n[workspace.metadata.dockless]\ndist = \"{name}\"\n");
        world.file("Cargo.toml", &format!("{manifest}{table}"));
    };
    named("made");
    let made = world.run("archive --json -q").ends_with(0).json();
    let paths: Vec<&str> = listed_paths(&made["artifacts"]);
    let archive = paths.iter().find(|path| path.ends_with(".tar.gz")).unwrap().to_string();
    assert!(
        archive.starts_with("made/tool-v1.0.0-") && world.path(&archive).is_file(),
        "{paths:?}"
    );
    let artifacts: serde_json::Value =
        serde_json::from_str(&world.read("made/artifacts.json")).unwrap();
    assert!(listed_paths(&artifacts["artifacts"]).contains(&&*archive), "{artifacts}");
    // Images are added to it.
    world.run("image -q").ends_with(0);
    assert!(world.path("made/images/tool").is_dir() && world.path(&archive).is_file());
    assert_eq!(names(&world.dist()), ["index.html"]);
    let changed = world.git(["status", "--porcelain", "--untracked-files=all"]);
    assert_eq!(changed, "M Cargo.toml\n?? dist/index.html");
    world.run("clean").ends_with(0);
    assert!(!world.path("made").exists() && world.dist().exists());

    for (name, why) in [
        ("target", "cargo's target folder has this name"),
        ("../out", "it must be the name of a folder in the workspace's"),
        (".git", "it must be the name of a folder in the workspace's"),
        ("", "it must be the name of a folder in the workspace's"),
    ] {
        named(name);
        let wrong = world.run("archive");
        wrong.ends_with(1).says("[workspace.metadata.dockless] dist: ").says(why);
        wrong.says("write it as `dist = \"release\"`");
    }
}

/// The paths in a list of artifacts.
fn listed_paths(artifacts: &serde_json::Value) -> Vec<&str> {
    let listed = artifacts.as_array().unwrap().iter();
    listed.map(|artifact| artifact["path"].as_str().unwrap()).collect()
}

/// As `cargo dockless X`, cargo hands over `dockless` as the first argument.
#[test]
fn cargo_finds_it_as_a_subcommand() {
    let world = World::quick("1.0.0");
    let plan = world.run("dockless release --dry-run --snapshot --json").ends_with(0).json();
    assert_eq!(plan["version"], "1.0.0");
}

/// A workspace in a folder of a repository whose readme and licence lie at its top.
#[test]
fn a_readme_above_the_workspace_is_cargos_to_name() {
    let world = World::empty();
    let named =
        format!("readme = \"../README.md\"\nlicense-file = \"../LICENSE\"\n{}", only_host());
    world.package("cli", "tool", "1.0.0", &named);
    world.file("README.md", "# tool\n").file("LICENSE", "free\n").commit();
    run(world.tool(["release", "--snapshot"]).current_dir(world.path("cli"))).ends_with(0);
    let [archive] = &names(&world.path("cli/dist"))
        .into_iter()
        .filter(|name| name.ends_with(".tar.gz"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", names(&world.path("cli/dist")))
    };
    let archive = world.path("cli/dist").join(archive);
    assert_eq!(entry_names(&archive), ["LICENSE", "README.md", "tool"]);
}
