//! What the settings make of an image.

use super::*;

/// A package with these lines in its image's table.
pub fn with(image: &str) -> World {
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    world.file("Cargo.toml", &format!("{manifest}[package.metadata.dockless.image]\n{image}\n"));
    world
}

/// The image of this machine's platform.
pub fn image(world: &World) -> flat::Flat {
    let (dir, _) = printed(world.run("image -q").ends_with(0).line());
    flat::of_layout(&dir, None)
}

#[test]
fn files_go_where_they_are_told_to() {
    let world = with(
        r#"files = [
    { from = "assets", to = "/srv/assets", mode = "0640", owner = "7:8" },
    { from = "etc/*.toml", to = "/etc/tool/" },
    { from = "run.sh", to = "/opt/start" },
    { to = "/data/", mode = "0700", owner = "65532" },
]"#,
    );
    world.file("assets/a/.hidden", "h").file("assets/b", "b").file("run.sh", "#!/bin/sh\n");
    world.file("etc/one.toml", "1").file("etc/two.toml", "2").file("etc/other", "3");
    std::os::unix::fs::symlink("a/.hidden", world.path("assets/link")).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    fs::set_permissions(world.path("run.sh"), executable).unwrap();
    let image = image(&world);
    let seen: Vec<(&str, u32, (u64, u64))> = image
        .tree
        .iter()
        .map(|(path, node)| (&**path, node.mode, node.owner))
        .filter(|(path, ..)| {
            ["srv", "etc/tool", "opt", "data"].iter().any(|of| path.starts_with(of))
        })
        .collect();
    let expected = [
        ("data", 0o700, (65532, 65532)),
        ("etc/tool", 0o755, (0, 0)),
        ("etc/tool/one.toml", 0o644, (0, 0)),
        ("etc/tool/two.toml", 0o644, (0, 0)),
        ("opt", 0o755, (0, 0)),
        ("opt/start", 0o755, (0, 0)),
        ("srv", 0o755, (0, 0)),
        ("srv/assets", 0o750, (7, 8)),
        ("srv/assets/a", 0o750, (7, 8)),
        ("srv/assets/a/.hidden", 0o640, (7, 8)),
        ("srv/assets/b", 0o640, (7, 8)),
        ("srv/assets/link", 0o777, (7, 8)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(image.tree["srv/assets/link"].what, flat::What::Symlink("a/.hidden".to_owned()));
}

#[test]
fn the_config_is_what_the_settings_say() {
    let world = with(
        r#"repositories = ["ghcr.io/acme/tool", "quay.io/acme/tool"]
tags = ["v{{ version }}", "edge"]
user = "1000:2000"
entrypoint = ["/usr/local/bin/tool", "serve"]
cmd = ["--port", "8080"]
env = { RUST_LOG = "info", PATH = "/usr/local/bin" }
ports = ["8080-8081", "53/udp"]
volumes = ["/data/"]
workdir = "//work"
stop-signal = "SIGINT"
labels = { "com.acme.version" = "{{ version }}" }
annotations = { "com.acme.note" = "{{ name }}" }"#,
    );
    let made = image(&world);
    let config = &made.config["config"];
    let expected = serde_json::json!({
        "Cmd": ["--port", "8080"],
        "Entrypoint": ["/usr/local/bin/tool", "serve"],
        "Env": [
            "PATH=/usr/local/bin",
            "RUST_LOG=info",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ],
        "ExposedPorts": { "53/udp": {}, "8080/tcp": {}, "8081/tcp": {} },
        "Labels": config["Labels"],
        "StopSignal": "SIGINT",
        "User": "1000:2000",
        "Volumes": { "/data": {} },
        "WorkingDir": "/work",
    });
    assert_eq!(config, &expected);
    assert_eq!(config["Labels"]["com.acme.version"], "1.0.0");
    // A folder that only the settings name is the user's, who could not write to root's.
    for path in ["data", "work"] {
        assert_eq!(made.tree[path].owner, (1000, 2000), "/{path}");
    }
    let layout = world.path("dist/images/tool");
    let index = json(&layout.join("index.json"));
    let descriptor = &index["manifests"][0];
    assert_eq!(descriptor["annotations"]["io.containerd.image.name"], "ghcr.io/acme/tool:v1.0.0");
    let manifest = blob(&layout, descriptor["digest"].as_str().unwrap());
    assert_eq!(manifest["annotations"]["com.acme.note"], "tool");
    assert_eq!(manifest["annotations"].get("com.acme.version"), None);
    let artifacts = world.artifacts();
    let image = artifacts.as_array().unwrap().iter().find(|it| it["type"] == "Image").unwrap();
    let names = &image["extra"]["references"];
    let repositories = ["ghcr.io/acme/tool", "quay.io/acme/tool"];
    let tagged = repositories.iter().flat_map(|it| [format!("{it}:v1.0.0"), format!("{it}:edge")]);
    assert_eq!(names, &serde_json::json!(tagged.collect::<Vec<_>>()));
}

#[test]
fn all_binaries_of_a_package_lie_in_its_image() {
    let world = World::quick("1.0.0");
    world.file("src/bin/other.rs", "fn main() {}\n");
    let image = image(&world);
    let bins: Vec<&str> =
        image.tree.keys().filter_map(|it| it.strip_prefix("usr/local/bin/")).collect();
    assert_eq!(bins, ["other", "tool"]);
    assert_eq!(image.config["config"]["Entrypoint"], serde_json::json!(["/usr/local/bin/tool"]));
}

/// On scratch there is nothing but what was asked for.
#[test]
fn scratch_holds_the_program_alone() {
    let image = image(&with("base = \"scratch\""));
    let paths: Vec<&str> = image.tree.keys().map(String::as_str).collect();
    assert_eq!(paths, ["usr", "usr/local", "usr/local/bin", "usr/local/bin/tool"]);
    let env = &image.config["config"]["Env"];
    assert_eq!(env.as_array().unwrap().len(), 1, "a PATH and no certificates: {env}");
    assert_eq!(image.config["config"].get("WorkingDir"), None);
}

/// A base's layers, variables and folders stay; what speaks of its own program does not.
#[test]
fn an_image_stands_on_another_in_each_form() {
    let base = with(
        r#"base = "scratch"
env = { FROM_BASE = "1", MINE = "base" }
labels = { "com.acme.base" = "1" }
cmd = ["base"]
workdir = "/base"
volumes = ["/kept"]
files = [{ from = "LICENSE", to = "/base/LICENSE" }]"#,
    );
    let forms = ["oci:base", "oci-archive:base.tar", "docker-archive:base-docker.tar"];
    for form in forms {
        base.run(&format!("image -q --output {form}")).ends_with(0);
    }
    for form in forms {
        let (transport, path) = form.split_once(':').unwrap();
        let world = with(&format!(
            "base = \"{transport}:{}\"\nenv = {{ MINE = \"own\" }}",
            base.path(path).display()
        ));
        let image = image(&world);
        assert!(image.tree.contains_key("base/LICENSE"), "{form}");
        let config = &image.config["config"];
        let env = serde_json::json!([
            "FROM_BASE=1",
            "MINE=own",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]);
        let mut seen = config["Env"].clone();
        seen.as_array_mut().unwrap().sort_by_key(Value::to_string);
        assert_eq!(seen, env, "{form}");
        assert_eq!(config["WorkingDir"], "/base", "{form}");
        assert_eq!(config["Volumes"], serde_json::json!({ "/kept": {} }), "{form}");
        assert_eq!(
            (config.get("Cmd"), config["Labels"].get("com.acme.base")),
            (None, None),
            "{form}"
        );
        let named = &config["Labels"]["org.opencontainers.image.base.digest"];
        assert!(named.as_str().unwrap().starts_with("sha256:"), "{form}");
        assert_eq!(image.config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3, "{form}");
        world.run("image validate oci:dist/images/tool").ends_with(0);
    }
}

/// What a package that others build on makes is its own matter.
#[test]
fn a_package_can_go_without_an_image() {
    let world = with("ship = false");
    world.run("release --snapshot").ends_with(0);
    assert!(!world.path("dist/images").exists());
    world.run("image").ends_with(1).says("no package makes an image");
    // Whoever names it means it.
    world.run("image --package tool").ends_with(0);
}

/// A file that a later step makes stops nothing but the image.
#[test]
fn a_missing_file_stops_only_the_image() {
    let world = with("files = [{ from = \"generated\", to = \"/srv\" }]");
    world.run("build -q").ends_with(0);
    world.run("archive -q").ends_with(0);
    let refused = world.run("image");
    refused.ends_with(1).no_result().says("files[0]: nothing matches \"generated\"");
    world.run("release --snapshot").ends_with(1);
}
