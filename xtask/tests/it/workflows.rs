//! The workflows that projects get, and this one's own: what others find wrong with them.

use std::path::Path;

use crate::world::{World, judge, run};

/// This repository.
fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Asks those who know workflows; neither is told to overlook anything.
fn judged(world: &World, root: &Path) {
    if judge("actionlint").is_some() {
        let mut actionlint = world.with("actionlint", ["-no-color"]);
        assert_eq!(run(actionlint.current_dir(root)).ends_with(0).stdout, "");
    }
    if judge("zizmor").is_some() {
        let args = ["--pedantic", "--offline", "--no-progress", "--strict-collection", "."];
        let zizmor = run(world.with("zizmor", args).current_dir(root));
        zizmor.ends_with(0).says("completed ./.github/workflows/release.yml");
        assert!(zizmor.stdout.contains("No findings to report"), "{}", zizmor.stdout);
    }
}

#[test]
fn our_own_are_current_and_nobody_finds_anything() {
    let world = World::empty();
    let check = ["init", "--workflows", "--check"];
    run(world.tool(check).current_dir(here())).ends_with(0).no_result();
    let files =
        [".github/workflows/ci.yml", ".github/workflows/release.yml", ".github/dependabot.yml"];
    for file in files {
        let to = world.path(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(here().join(file), to).unwrap();
    }
    world.git(["init", "--quiet"]);
    judged(&world, world.root());
}

/// A project of each kind, and what its release workflow holds and does not.
#[test]
fn each_project_gets_what_it_needs() {
    let ghcr = "[package.metadata.dockless.image]\nrepositories = [\"ghcr.io/acme/tool\"]\n";
    let all = "[package.metadata.dockless]\ntargets = [\"x86_64-unknown-linux-musl\", \
               \"universal2-apple-darwin\", \"x86_64-pc-windows-msvc\", \"x86_64-unknown-linux-gnu\"]\n";
    let about = "description = \"A tool\"\nrepository = \"https://github.com/acme/tool\"\n";
    let login = "docker login ghcr.io";
    let krew = "KREW_GITHUB_TOKEN: ${{ secrets.KREW_GITHUB_TOKEN }}";
    for (package, more, held, not_held) in [
        (
            "tool",
            String::new(),
            &[
                "cargo install --locked --root tool dockless@",
                "runner: [ubuntu-24.04]",
                "zig: false",
                "rustup toolchain install --no-self-update",
            ][..],
            &[login, krew, "attest-images", "setup --zig", "packages: write", "macos"][..],
        ),
        (
            "tool",
            format!("{all}{ghcr}"),
            &[
                "runner: [ubuntu-24.04, windows-2025, macos-15]",
                "{ target: universal2-apple-darwin, runner: macos-15, zig: false }",
                "{ target: x86_64-pc-windows-msvc, runner: windows-2025, zig: false }",
                "{ target: x86_64-unknown-linux-gnu, runner: ubuntu-24.04, zig: true }",
                "path: tool/bin/cargo-dockless*",
                "setup --zig",
                login,
                "attest-images",
                "packages: write",
            ],
            &[krew],
        ),
        ("kubectl-tool", about.to_owned(), &[krew], &[login]),
    ] {
        let world = World::empty();
        world.package("", package, "1.0.0", &more);
        world.file("LICENSE", "free\n").lock().commit();
        let made = world.run("init --workflows");
        assert_eq!(made.ends_with(0).stdout.lines().count(), 3, "{}", made.stdout);
        let release = world.read(".github/workflows/release.yml");
        held.iter().for_each(|text| assert!(release.contains(text), "no {text:?} in\n{release}"));
        not_held.iter().for_each(|text| assert!(!release.contains(text), "{text:?} in\n{release}"));
        judged(&world, world.root());
        world.run("init --workflows").ends_with(0).no_result();
        world.run("init --workflows --check").ends_with(0);
        world.file(
            ".github/workflows/ci.yml",
            &format!("{}\n", world.read(".github/workflows/ci.yml")),
        );
        world.run("init --workflows --check").ends_with(1).says("ci.yml: it is not current");
    }
}

/// An xtask is built with the workspace, and what a person wrote is not lost.
#[test]
fn an_xtask_is_built_and_files_of_others_stay() {
    let world = World::empty();
    world.file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"tool\", \"xtask\"]\n");
    world.package("tool", "tool", "1.0.0", "");
    let dockless = format!("[dependencies]\ndockless.path = {:?}\n", env!("CARGO_MANIFEST_DIR"));
    world.package("xtask", "xtask", "0.0.0", &dockless);
    world
        .file("LICENSE", "free\n")
        .file(".github/workflows/ci.yml", "name: mine\n")
        .lock()
        .commit();
    world
        .run("init --workflows")
        .ends_with(1)
        .says(".github/workflows/ci.yml was not written by dockless, so it is not replaced");
    assert_eq!(world.read(".github/workflows/ci.yml"), "name: mine\n");
    std::fs::remove_file(world.path(".github/workflows/ci.yml")).unwrap();
    world.run("init --workflows").ends_with(0);
    let release = world.read(".github/workflows/release.yml");
    assert!(
        release.contains("run: cargo build --locked --package xtask --bin xtask\n"),
        "{release}"
    );
    assert!(world.read(".github/workflows/ci.yml").contains("run: cargo xtask ci --locked\n"));
    // Dependabot raises pins, and nobody lowers them again.
    let pin = release.split("actions/attest@").nth(1).unwrap().lines().next().unwrap();
    let raised = release.replace(pin, &format!("{} # v9.9.9", "5".repeat(40)));
    world.file(".github/workflows/release.yml", &raised);
    world.run("init --workflows --check").ends_with(0);
    world.run("init --workflows").ends_with(0).no_result();
    let moved = release.replace(pin, "main # v9.9.9");
    world.file(".github/workflows/release.yml", &moved);
    world.run("init --workflows --check").ends_with(1).says("release.yml: it is not current");
    world.run("init --workflows").ends_with(0);
    assert_eq!(world.read(".github/workflows/release.yml"), release);
    judged(&world, world.root());
}
