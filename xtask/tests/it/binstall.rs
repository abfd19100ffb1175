//! What cargo-binstall takes from a release: <https://github.com/cargo-bins/cargo-binstall>.

use std::process::Command;

use crate::world::krew::Server;
use crate::world::{HOST, World, contents, run, slow_judge};

/// This project's own settings for it, as they stand.
fn settings() -> &'static str {
    let manifest = include_str!("../../Cargo.toml");
    let table = &manifest[manifest.find("[package.metadata.binstall]").unwrap()..];
    table.split("\n\n").next().unwrap()
}

/// A released program whose sources are at this address.
fn released(repository: &str, metadata: &str) -> World {
    let world = World::empty();
    let about = format!("license = \"MIT\"\nrepository = \"{repository}\"\n{metadata}\n");
    world.package("", "tool", "1.2.3", &about).file("LICENSE", "free\n").lock();
    world.commit();
    world.git(["tag", "v1.2.3"]);
    run(&mut world.tool(["release", "--snapshot", "--target", HOST])).ends_with(0);
    world
}

/// By this project's settings from any server, and by the names alone from GitHub.
#[test]
fn cargo_binstall_finds_archives_by_settings_and_by_their_names() {
    let Some(binstall) = slow_judge("cargo-binstall") else { return };
    let server = Server::start();
    let own = format!("http://{}/me/tool", server.address());
    // GitHub is played behind a proxy, which is asked for whole URLs.
    for (repository, path, metadata) in [
        (&*own, "/me/tool", settings()),
        ("http://github.test/me/tool", "http://github.test/me/tool", ""),
    ] {
        let world = released(repository, metadata);
        for (name, bytes) in contents(&world.dist()) {
            server.serve(&format!("{path}/releases/download/v1.2.3/{name}"), bytes);
        }
        let root = world.outside("installed");
        let mut install = Command::new(&binstall);
        install.args(["--no-confirm", "--disable-telemetry", "--allow-insecure-http"]);
        install.args(["--strategies", "crate-meta-data", "--targets", HOST]);
        install.arg("--manifest-path").arg(world.path("Cargo.toml"));
        install.arg("--root").arg(&root).arg("tool");
        install.env("http_proxy", format!("http://{}", server.address()));
        install.env("no_proxy", "127.0.0.1").env("CARGO_HOME", world.outside("cargo"));
        run(&mut install).ends_with(0);
        assert_eq!(run(&mut Command::new(root.join("bin/tool"))).ends_with(0).line(), "1.2.3");
    }
}
