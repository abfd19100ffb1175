//! Images, judged by those who read and run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::world::flat;
use super::world::keys::signing;
use super::world::{
    AARCH64, HOST, World, X86_64, assert_whole, contents, judge, missing, names, run,
};

mod bases;
mod both;
mod engines;
pub mod overlays;
mod places;
mod settings;

/// A package whose image is for both platforms.
fn project() -> World {
    let world = World::empty();
    world.package("", "tool", "1.0.0", "description = \"Says its version\"\nlicense = \"MIT\"\n");
    world.file("LICENSE", "free\n").lock();
    world.commit();
    world
}

/// `oci:DIR@DIGEST`, as it was printed, taken apart.
fn printed(line: &str) -> (PathBuf, String) {
    let (dir, digest) = line.strip_prefix("oci:").unwrap().rsplit_once('@').unwrap();
    (dir.into(), digest.to_owned())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A blob of a layout, parsed.
fn blob(layout: &Path, digest: &str) -> Value {
    json(&layout.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap()))
}

/// The first image without any network and any cache is whole in everybody's eyes.
#[test]
fn a_first_image_needs_no_network_and_is_valid() {
    let (Some(unshare), Some(skopeo)) = (judge("unshare"), judge("skopeo")) else { return };
    let world = project();
    let tool = env!("CARGO_BIN_EXE_cargo-dockless");
    let cut_off = run(&mut world.with(&unshare, ["--net", tool, "image"]));
    if cut_off.code == Some(1) && cut_off.stderr.starts_with("unshare:") {
        return missing("the network cannot be cut off: unshare --net is refused");
    }
    let (dir, digest) = printed(cut_off.ends_with(0).line());
    assert_eq!(dir, world.path("dist/images/tool"));
    let layout = format!("oci:{}", dir.display());
    for arch in ["amd64", "arm64"] {
        let args = ["inspect", "--override-arch", arch, &layout];
        let seen = run(&mut world.with(&skopeo, args)).json();
        assert_eq!(
            (seen["Architecture"].as_str(), seen["Digest"].as_str()),
            (Some(arch), Some(&*digest))
        );
    }
    let valid = world.run(&format!("image validate {layout}"));
    assert_eq!(valid.ends_with(0).line(), digest);
    let index = blob(&dir, &digest);
    let platforms: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|of| &of["platform"]).collect();
    let expected = [
        serde_json::json!({ "architecture": "amd64", "os": "linux" }),
        serde_json::json!({ "architecture": "arm64", "os": "linux", "variant": "v8" }),
    ];
    assert_eq!(platforms, expected.iter().collect::<Vec<_>>());
}

/// What lies where, whose it is, and how it is run.
#[test]
fn an_image_is_distroless_with_the_program_on_top() {
    let world = project();
    world.run("image").ends_with(0);
    let layout = world.path("dist/images/tool");
    for (platform, target) in [("linux/amd64", X86_64), ("linux/arm64", AARCH64)] {
        let image = flat::of_layout(&layout, Some(platform));
        let program = fs::read(world.path(&format!("target/dockless/{target}/dist/tool"))).unwrap();
        let tool = &image.tree["usr/local/bin/tool"];
        assert_eq!(tool.what, flat::What::File(super::world::sha256(&program)), "{platform}");
        assert_eq!((tool.mode, tool.owner), (0o755, (0, 0)));
        for (path, mode, owner) in [
            ("tmp", 0o1777, 0),
            ("root", 0o700, 0),
            ("home/nonroot", 0o700, 65532),
            ("etc/passwd", 0o644, 0),
            ("etc/ssl/certs/ca-certificates.crt", 0o644, 0),
            ("usr/share/zoneinfo/Europe/Berlin", 0o644, 0),
        ] {
            let node = &image.tree[path];
            assert_eq!((node.mode, node.owner), (mode, (owner, owner)), "/{path}");
        }
        assert!(!image.tree.keys().any(|path| path.ends_with("/sh")), "there is no shell");
        let config = &image.config["config"];
        assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/local/bin/tool"]));
        assert_eq!(
            (&config["User"], &config["WorkingDir"]),
            (&"65532".into(), &"/home/nonroot".into())
        );
        assert_eq!(image.config["created"], "2023-11-14T22:13:20Z");
        let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
        assert_eq!((label("title"), label("licenses")), (&"tool".into(), &"MIT".into()));
        assert_eq!(label("revision"), &Value::from(world.git(["rev-parse", "HEAD"])));
    }
}

/// Another folder, home, umask, temporary folder, date and number of jobs.
#[test]
fn the_same_commit_has_the_same_digest_everywhere() {
    let world = project();
    world.file("assets/run.sh", "#!/bin/sh\n").file("assets/a", "a\n");
    let more =
        "[package.metadata.dockless.image]\nfiles = [{ from = \"assets\", to = \"/srv\" }]\n";
    let manifest = world.read("Cargo.toml");
    world.file("Cargo.toml", &format!("{manifest}{more}"));
    world.commit();
    let mut digests = Vec::new();
    for (place, umask) in [("one", "022"), ("two/with a longer name", "077")] {
        let clone = world.outside(place);
        fs::create_dir_all(&clone).unwrap();
        let script = "umask \"$1\" && git clone -q \"$2\" . && exec \"$3\" image -q";
        let tool = env!("CARGO_BIN_EXE_cargo-dockless");
        let root = world.root().to_str().unwrap();
        let mut command = world.with("sh", ["-c", script, "sh", umask, root, tool]);
        command.current_dir(&clone).env("TMPDIR", clone.parent().unwrap());
        command.env("DOCKLESS_CACHE", clone.join("../cache-of-its-own"));
        digests.push(printed(run(&mut command).ends_with(0).line()).1);
    }
    assert_eq!(digests[0], digests[1]);
}

/// Registries and archives, through the programs that everybody copies with.
#[test]
fn crane_accepts_a_copy_in_a_registry_and_an_archive() {
    let (Some(skopeo), Some(crane)) = (judge("skopeo"), judge("crane")) else { return };
    let Some(registry) = super::world::registries::Registry::shared() else { return };
    let world = project();
    let (dir, digest) = printed(world.run("image -q").ends_with(0).line());
    let to = format!("{}/crane-accepts:1", registry.host);
    let args = ["copy", "--all", "--quiet", "--dest-tls-verify=false"];
    run(world
        .with(&skopeo, args)
        .args([format!("oci:{}", dir.display()), format!("docker://{to}")]))
    .ends_with(0);
    let valid = run(&mut world.with(&crane, ["validate", "--remote", &to]));
    assert_eq!(valid.ends_with(0).line(), format!("PASS: {to}"));
    assert_eq!(run(&mut world.with(&crane, ["digest", &to])).ends_with(0).line(), digest);

    let tar = world.outside("tool.tar");
    let sink = format!("docker-archive:{}", tar.display());
    let one = world.run(&format!("image -q --platform linux/amd64 --output {sink}"));
    assert_eq!(one.ends_with(0).line(), sink);
    let valid = run(world.with(&crane, ["validate", "--tarball"]).arg(&tar));
    assert_eq!(valid.ends_with(0).line(), format!("PASS: {}", tar.display()));
    world.run(&format!("image validate {sink}")).ends_with(0);
    // The same file is a layout as a tar, too.
    world.run(&format!("image validate oci-archive:{}", tar.display())).ends_with(0);
}

/// Every form of storing keeps the digest where the form has one, and the config.
#[test]
fn a_copy_is_the_same_image() {
    let world = project();
    let (dir, digest) = printed(world.run("image -q").ends_with(0).line());
    let from = format!("oci:{}", dir.display());
    let config = |image: &str| {
        world.run(&format!("image inspect --json {image}")).json()["images"][0].clone()
    };
    for (from, to) in [
        (&*from, "oci-archive:a.tar"),
        ("oci-archive:a.tar", "oci:layout"),
        ("oci:layout", "docker-archive:b.tar"),
        ("oci-archive:b.tar", "oci:again"),
    ] {
        world.run(&format!("image copy {from} {to}")).ends_with(0);
        let readable = to.replace("docker-archive", "oci-archive");
        let said = world.run(&format!("image inspect --json {readable}")).json();
        assert_eq!(said["digest"], digest.as_str(), "{to}");
        world.run(&format!("image validate {readable}")).ends_with(0);
    }
    // `docker load` knows no platforms: each has a name of its own.
    let several = world.run("image inspect --json docker-archive:b.tar");
    let version = format!("1.0.0-dev.1.g{}", world.sha());
    several.ends_with(1).says(&format!("tool:{version}-amd64, tool:{version}-arm64"));
    let arm = config(&format!("docker-archive:b.tar:{version}-arm64"));
    let layouts = world.run(&format!("image inspect --json {from}")).json()["images"][1].clone();
    assert_eq!(arm["config"], layouts["config"]);
    assert_eq!(arm["layers"], layouts["layers"]);
}

/// Each command replaces its part of dist/ and keeps the others'.
#[test]
fn dist_is_made_of_parts() {
    let world = World::quick("1.0.0");
    world.commit();
    let release = || run(&mut signing(&world, "release --snapshot"));
    release().ends_with(0);
    assert_whole(&world.dist());
    let released = contents(&world.dist());
    let artifacts = world.artifacts();
    let image = artifacts.as_array().unwrap().iter().find(|it| it["type"] == "Image").unwrap();
    let extra = &image["extra"];
    let version = format!("1.0.0-dev.1.g{}", world.sha());
    let name = format!("docker.io/library/tool:{version}");
    assert_eq!(extra["references"], serde_json::json!([name, "docker.io/library/tool:latest"]));
    assert_eq!(extra["platforms"][0]["target"], HOST);
    assert!(extra["digest"].as_str().unwrap().starts_with("sha256:"), "{extra}");

    world.run("image").ends_with(0);
    assert_eq!(contents(&world.dist()), released);
    world.run("archive").ends_with(0);
    assert_eq!(contents(&world.dist()), released);
    // Nothing stays of another commit: all of it is of the one that metadata.json names.
    world.commit();
    let dropped = world.run("image");
    dropped.ends_with(0).says(&format!("drop what dist/ has of {version} (commit "));
    let now = contents(&world.dist());
    let is_old = |name: &String| name.ends_with(".tar.gz") || name.contains(&version);
    assert!(!now.keys().any(is_old), "{:?}", now.keys());
    let sha = world.sha();
    let described =
        ["metadata.json", "artifacts.json"].map(|name| world.read(&format!("dist/{name}")));
    assert!(described.iter().all(|text| text.contains(&sha) && !text.contains(&version)));
    assert_ne!(now["images/tool/index.json"], released["images/tool/index.json"]);
    let blobs = names(&world.path("dist/images/tool/blobs/sha256"));
    assert_eq!(blobs.len(), 4, "nothing of the old image is left: {blobs:?}");
    world.run("release --snapshot --skip image").ends_with(0);
    assert!(!world.path("dist/images").exists());
}

#[test]
fn a_dry_run_names_dist_only_where_an_image_would_go_there() {
    let world = World::committed("1.0.0");
    for (args, into_dist) in [
        ("image --dry-run", true),
        ("image --dry-run --output oci:elsewhere", false),
        ("image --dry-run --load docker", false),
        ("image --dry-run --push --repository registry.test/acme", false),
        ("release --dry-run --snapshot", true),
    ] {
        let run = world.run(args);
        let table = run.ends_with(0).stdout.split("\nimage ").nth(1).unwrap();
        assert_eq!(table.contains("dist/images/tool "), into_dist, "{args}: {}", run.stdout);
    }
    assert!(!world.dist().exists());
}

#[test]
fn without_a_cache_nothing_is_kept() {
    let world = World::committed("1.0.0");
    let temporary = world.outside("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut uncached = world.tool(["image", "-q", "--no-cache"]);
    let first = run(uncached.env("TMPDIR", &temporary));
    assert_eq!(names(&temporary), Vec::<String>::new());
    let cache = world.outside("cache");
    assert!(!cache.join("blob").exists() && !cache.join("layer").exists());
    let second = world.run("image -q");
    assert_eq!(second.ends_with(0).stdout, first.ends_with(0).stdout);
    assert_eq!(names(&cache.join("blob")).len(), 3, "two layers and the mark");
}

/// Programs of the machine that a test hides, for engines that are not there.
fn path_without(world: &World, program: &str) -> Command {
    let path = world.without(&[program]);
    let mut command = world.tool([""; 0]);
    command.env("PATH", path);
    command
}
