//! `init` in the sources of published programs.

use crate::workflow_runs;
use crate::world::flat::{self, Flat};
use crate::world::{World, builders, names, run};

/// A project: its name, its packages in their folders, and files that it gets besides.
type Project = (
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
    &'static [(&'static str, &'static str)],
);

const GORELEASER: &str = "version: 2\nproject_name: hexyl\nbuilds:\n  - builder: rust\n    \
                          binary: hexyl\n    targets:\n      - x86_64-unknown-linux-musl\n";
const DIST: &str = "[workspace]\nmembers = [\"cargo:.\"]\n[dist]\ncargo-dist-version = \"0.28.0\"\n\
                    ci = \"github\"\ntargets = [\"x86_64-unknown-linux-musl\"]\n";
const DOCKERFILE: &str = "FROM rust AS build\nRUN cargo build --release\nFROM scratch\n\
                          COPY --from=build /target/release/shellharden /shellharden\n\
                          COPY --chmod=0640 --chown=1000 README.md /srv/\n\
                          ENV LANG=C.UTF-8 MODE=\"a b\"\nWORKDIR /srv\n\
                          EXPOSE 8080\nUSER 1000\nENTRYPOINT [\"/shellharden\"]\n\
                          CMD [\"--help\"]\n";
const VIRTUAL: &str = "[workspace]\nmembers = [\"hexyl\", \"shellharden\"]\nresolver = \"2\"\n";

/// fd has a Cross.toml of its own, and sd an alias `xtask`.
const PROJECTS: [Project; 6] = [
    ("goreleaser", &[("", "hexyl", "0.17.0")], &[(".goreleaser.yaml", GORELEASER)]),
    ("cargo-dist", &[("", "sd", "1.0.0")], &[("dist-workspace.toml", DIST)]),
    ("dockerfile", &[("", "shellharden", "4.3.2")], &[("Dockerfile", DOCKERFILE)]),
    ("cross", &[("", "fd-find", "10.5.0")], &[]),
    (
        "virtual",
        &[("hexyl", "hexyl", "0.17.0"), ("shellharden", "shellharden", "4.3.2")],
        &[("Cargo.toml", VIRTUAL)],
    ),
    ("bare", &[("", "shellharden", "4.3.2")], &[]),
];

/// The project's sources in git, as its maker has them.
fn unpacked((_, packages, files): Project) -> World {
    let world = World::empty();
    for (folder, package, version) in packages {
        let sources = world.outside(&format!("{package}-sources"));
        super::copied(&world, package, version, &sources);
        std::fs::create_dir_all(world.path(folder)).unwrap();
        let from = sources.join(".");
        run(world.with("cp", ["-r"]).arg(from).arg(world.path(folder))).ends_with(0);
    }
    for (path, text) in files {
        world.file(path, text);
    }
    world.commit();
    world
}

fn from(kind: &str) -> &'static str {
    if matches!(kind, "virtual" | "bare") { "" } else { " --from auto" }
}

/// What `init` writes is read by cargo, keeps each line of the manifest, and is written once.
#[test]
fn init_sets_up_published_programs() {
    if !super::asked() {
        return;
    }
    for project in PROJECTS {
        let (kind, packages, _) = project;
        let world = unpacked(project);
        let before = world.read("Cargo.toml");
        let from = from(kind);
        world.run(&format!("init{from}")).ends_with(1).says("there is no terminal to ask on");
        assert_eq!(world.git(["status", "--porcelain"]), "", "{kind}");
        world.run(&format!("init --yes{from}")).ends_with(0);
        let after = world.read("Cargo.toml");
        let mut rest = after.lines();
        for line in before.lines().filter(|line| !line.starts_with("members = [")) {
            assert!(rest.any(|it| it == line), "{kind}: {line:?} is lost in\n{after}");
        }
        let metadata = ["metadata", "--no-deps", "--format-version", "1"];
        let metadata = run(&mut world.with("cargo", metadata)).ends_with(0).json();
        assert_eq!(metadata["packages"].as_array().unwrap().len(), packages.len() + 1, "{kind}");
        world.commit();
        world.run(&format!("init --yes{from}")).ends_with(0).no_result().says("nothing to change");
        world.run(&format!("init --check{from}")).ends_with(0);
        assert_eq!(world.git(["status", "--porcelain"]), "", "{kind}");
    }
}

/// Whether a crate begins with this file.
fn is_root(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let folder = folder.rsplit('/').next().unwrap_or_default();
    let alone = ["tests", "benches", "examples", "bin"].contains(&folder);
    alone || file == "main.rs" || file == "lib.rs" || path == "build.rs"
}

/// The steps of the workflows that `init` writes pass: in CI, and in a release of these sources, which
/// have the programs and, of the Dockerfile, what it says of the image.
fn the_workflows_pass(kind: &str) {
    if !super::asked() {
        return;
    }
    let project = PROJECTS.into_iter().find(|(name, ..)| *name == kind).unwrap();
    let (_, packages, _) = project;
    let world = unpacked(project);
    world.run(&format!("init --yes --no-xtask{}", from(kind))).ends_with(0);
    let more = "\n[workspace.metadata.dockless.audit]\ndatabase = \"../advisories\"\n";
    world.file("Cargo.toml", &(world.read("Cargo.toml") + more));
    let mut fetch = world.with("cargo", ["fetch"]);
    run(fetch.env("CARGO_NET_OFFLINE", "false")).ends_with(0);
    world.run("init --workflows").ends_with(0);
    // Their sources are as old as their releases, and rustfmt and clippy are not.
    for path in world.git(["ls-files", "*.rs"]).lines().filter(|path| is_root(path)) {
        let text = format!("#![allow(warnings, clippy::all)]\n\n{}", world.read(path));
        world.file(path, &text);
    }
    run(&mut world.with("cargo", ["fmt", "--all"])).ends_with(0);
    world.commit();
    workflow_runs::ci_passes(&world);
    world.run("release --snapshot --skip check --target x86_64-unknown-linux-musl").ends_with(0);
    for (_, package, _) in packages {
        let made = names(&world.dist());
        let archive = |name: &&String| name.contains(package) && name.ends_with(".tar.gz");
        assert!(made.iter().any(|name| archive(&name)), "{kind}: {made:?}");
    }
    if kind == "dockerfile" {
        is_the_image_of_its_dockerfile(&world);
    }
}

#[test]
fn the_workflows_of_init_pass_beside_goreleaser() {
    the_workflows_pass("goreleaser");
}

#[test]
fn the_workflows_of_init_pass_beside_cargo_dist() {
    the_workflows_pass("cargo-dist");
}

#[test]
fn the_workflows_of_init_pass_and_the_image_is_that_of_the_dockerfile() {
    the_workflows_pass("dockerfile");
}

#[test]
fn the_workflows_of_init_pass_beside_cross() {
    the_workflows_pass("cross");
}

#[test]
fn the_workflows_of_init_pass_in_a_virtual_workspace() {
    the_workflows_pass("virtual");
}

#[test]
fn the_workflows_of_init_pass_in_a_bare_crate() {
    the_workflows_pass("bare");
}

/// A builder makes the same of the Dockerfile. Its stage `build` has the program, where that of the
/// project would compile one in a container.
fn is_the_image_of_its_dockerfile(world: &World) {
    let native = flat::of_layout(&world.dist().join("images/shellharden"), None);
    let archive = names(&world.dist()).into_iter().find(|name| name.ends_with(".tar.gz")).unwrap();
    let mut unpack = world.with("tar", ["-xzf"]);
    run(unpack.arg(world.dist().join(archive)).arg("shellharden")).ends_with(0);
    let stage = "FROM scratch AS build\nCOPY shellharden /target/release/\n";
    let (_, rest) = DOCKERFILE.split_once("RUN cargo build --release\n").unwrap();
    world.file("Dockerfile.built", &format!("{stage}{rest}"));
    let Some(builder) = builders::buildah(world) else { return };
    let built = builder.build("Dockerfile.built", "linux/amd64", &[]);
    let of = |image: &Flat, key: &str| image.config["config"][key].clone();
    for key in ["ExposedPorts", "User", "WorkingDir", "Entrypoint", "Cmd"] {
        assert!(!of(&built, key).is_null(), "{key}");
        assert_eq!(of(&native, key), of(&built, key), "{key}");
    }
    let variables = of(&native, "Env");
    for variable in of(&built, "Env").as_array().unwrap() {
        // A base that is empty has no PATH, to which buildah adds its own.
        let known = variables.as_array().unwrap().contains(variable);
        assert!(known || variable.as_str().unwrap().starts_with("PATH="), "{variable}");
    }
    assert!(built.tree.len() >= 3, "{:?}", built.tree);
    for (path, node) in &built.tree {
        assert_eq!(native.tree.get(path), Some(node), "/{path}");
    }
}
