//! What `init --from auto` takes over is what the program does then.

use serde_json::{Value, json};

use super::world::World;

const RELEASER: &str = r#"version: 2
project_name: tool
builds:
  - builder: rust
    targets: [x86_64-unknown-linux-musl]
    flags: [--release, --features=fast]
    env: ["APP_VERSION={{ .Version }}"]
archives:
  - files: [NOTICE.txt, docs/*.md]
release:
  github: { owner: acme, name: tool }
dockers:
  - image_templates: ["ghcr.io/acme/tool:{{ .Version }}"]
"#;

const DOCKERFILE: &str = r#"FROM rust:1 AS build
WORKDIR /src
COPY . .
RUN cargo build --release

FROM scratch
WORKDIR /srv
COPY --from=build /src/target/release/tool /tool
COPY --chown=1234 assets ./assets
ENV RUST_LOG=info
EXPOSE 8080
USER 1234:1234
LABEL com.acme.team="core"
ENTRYPOINT ["/tool", "serve"]
CMD ["--all"]
"#;

#[test]
fn a_release_is_planned_as_the_files_of_other_tools_say() {
    let world = World::empty();
    world.package("", "tool", "1.0.0", "[features]\nfast = []\n").file("LICENSE", "free\n");
    world.file(".goreleaser.yaml", RELEASER).file("Dockerfile", DOCKERFILE);
    world.file("NOTICE.txt", "n").file("docs/a.md", "a").file("assets/x", "x");
    world.lock().commit();
    world.run("init --yes --no-xtask --from auto").ends_with(0);
    world.run("init --check --no-xtask --from auto").ends_with(0);
    let plan = world.plan("--snapshot");
    let build = &plan["builds"][0];
    assert_eq!(build["targets"], json!(["x86_64-unknown-linux-musl"]));
    assert!(build["args"].to_string().contains("fast"), "{build}");
    assert_eq!(build["env"]["APP_VERSION"], plan["version"]);
    let files: Vec<&Value> =
        plan["archives"][0]["files"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(files, ["NOTICE.txt", "a.md"]);
    let image = &plan["images"][0];
    let version = plan["version"].as_str().unwrap();
    assert_eq!(image["names"], json!([format!("ghcr.io/acme/tool:{version}")]));
    assert_eq!(image["base"], "scratch");
    assert_eq!(image["bin_dir"], "/");
    let config = &image["config"];
    for (key, expected) in [
        ("entrypoint", json!(["/tool", "serve"])),
        ("cmd", json!(["--all"])),
        ("ports", json!(["8080/tcp"])),
        ("user", json!("1234:1234")),
        ("workdir", json!("/srv")),
        ("env", json!({ "RUST_LOG": "info" })),
    ] {
        assert_eq!(config[key], expected, "{key}");
    }
    assert_eq!(config["labels"]["com.acme.team"], "core");
    let files = image["files"].as_array().unwrap();
    let file = files.iter().find(|it| it["to"] == "srv/assets/x").unwrap();
    assert_eq!(file["owner"], json!({ "uid": 1234, "gid": 1234 }));
}
