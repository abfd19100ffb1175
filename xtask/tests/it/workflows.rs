//! The workflows that projects get, and this one's own: what others find wrong with them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

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

/// Copies a file of this repository, and returns it.
fn ours(world: &World, file: &str) -> String {
    let text = std::fs::read_to_string(here().join(file)).unwrap();
    world.file(file, &text);
    text
}

/// What the jobs of a workflow may write, all together; reading goes without saying there.
fn permissions(workflow: &str) -> BTreeSet<String> {
    let workflow: Value = serde_yaml::from_str(workflow).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let all = jobs.flat_map(|job| job["permissions"].as_object().unwrap());
    all.filter(|(_, may)| *may == "write").map(|(name, _)| name.clone()).collect()
}

#[test]
fn our_own_are_current_and_nobody_finds_anything() {
    let world = World::empty();
    let check = ["init", "--workflows", "--check"];
    run(world.tool(check).current_dir(here())).ends_with(0).no_result();
    for file in ["ci", "release", "audit", "reusable-release", "reusable-release-ghcr", "docs"] {
        ours(&world, &format!(".github/workflows/{file}.yml"));
    }
    ours(&world, ".github/dependabot.yml");
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
                "          - { runner: ubuntu-24.04, os: linux }\n    #",
                "SLSA Build L2",
                "zig: false",
                "rustup toolchain install --no-self-update",
            ][..],
            &[
                login,
                krew,
                "attest-images",
                "setup --zig",
                "packages: write",
                "macos",
                "DOCKER_AUTH_CONFIG",
            ][..],
        ),
        (
            "tool",
            format!("{all}{ghcr}"),
            &[
                "          - { runner: windows-2025, os: windows }\n",
                "      macos: ${{ matrix.os == 'macos' && steps.tool.outputs.sha256 || '' }}\n",
                "      shard3: ${{ strategy.job-index == 3 && steps.build.outputs.shard || '' }}\n",
                "{ target: universal2-apple-darwin, runner: macos-15, os: macos, zig: false }",
                "{ target: x86_64-pc-windows-msvc, runner: windows-2025, os: windows, zig: false }",
                "{ target: x86_64-unknown-linux-gnu, runner: ubuntu-24.04, os: linux, zig: true }",
                "path: tool/bin/cargo-dockless*",
                "setup --zig",
                login,
                "attest-images",
                "packages: write",
            ],
            &[krew, "DOCKER_AUTH_CONFIG", "shard4"],
        ),
        ("kubectl-tool", about.to_owned(), &[krew], &[login]),
    ] {
        let world = World::empty();
        world.package("", package, "1.0.0", &more);
        world.file("LICENSE", "free\n").lock().commit();
        let made = world.run("init --workflows");
        assert_eq!(made.ends_with(0).stdout.lines().count(), 4, "{}", made.stdout);
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
        world.run("init --workflows --check").ends_with(1).says("ci.yml: it is outdated");
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
    assert!(!world.path(".github/workflows/release.yml").exists());
    std::fs::remove_file(world.path(".github/workflows/ci.yml")).unwrap();
    // No release depends on what updates the pins.
    world.file(".github/dependabot.yml", "version: 2\nupdates: []\n");
    world.run("init --workflows").ends_with(0).says("keep .github/dependabot.yml: it is yours");
    world.run("init --workflows --check").ends_with(0);
    assert_eq!(world.read(".github/dependabot.yml"), "version: 2\nupdates: []\n");
    let release = world.read(".github/workflows/release.yml");
    assert!(
        release.contains("run: cargo build --locked --package xtask --bin xtask\n"),
        "{release}"
    );
    let ci = world.read(".github/workflows/ci.yml");
    assert!(ci.contains("run: cargo build --locked --package xtask --bin xtask\n"), "{ci}");
    assert!(ci.contains("run: target/debug/xtask ci --locked\n"), "{ci}");
    // Dependabot raises pins, and nobody lowers them again.
    let pin = release.split("actions/attest@").nth(1).unwrap().lines().next().unwrap();
    let raised = release.replace(pin, &format!("{} # v9.9.9", "5".repeat(40)));
    world.file(".github/workflows/release.yml", &raised);
    world.run("init --workflows --check").ends_with(0);
    world.run("init --workflows").ends_with(0).no_result();
    let moved = release.replace(pin, "main # v9.9.9");
    world.file(".github/workflows/release.yml", &moved);
    world.run("init --workflows --check").ends_with(1).says("release.yml: it is outdated");
    world.run("init --workflows").ends_with(0);
    assert_eq!(world.read(".github/workflows/release.yml"), release);
    judged(&world, world.root());
}

/// CI tries what a release will do: with the same Rust, the same zig, on the same systems.
#[test]
fn ci_tries_what_a_release_does() {
    let targets = |list: &str| format!("[package.metadata.dockless]\ntargets = [{list}]\n");
    let rust = "rustup toolchain install --no-self-update";
    let zig = "run: tool/bin/cargo-dockless setup --zig\n";
    let tried = "run: tool/bin/cargo-dockless release --snapshot\n";
    let elsewhere = "  try:\n";
    let musl = "x86_64-unknown-linux-musl";
    for (list, held, not_held) in [
        (format!("{musl:?}"), vec![rust, tried], vec![zig, elsewhere]),
        ("\"x86_64-pc-windows-gnu\"".to_owned(), vec![rust, zig, tried], vec![elsewhere]),
        (format!("{musl:?}, \"x86_64-unknown-linux-gnu.2.17\""), vec![zig, tried], vec![]),
        (
            format!("{musl:?}, \"aarch64-apple-darwin\", \"x86_64-pc-windows-msvc\""),
            vec![
                "run: tool/bin/cargo-dockless release --snapshot --target x86_64-unknown-linux-musl\n",
                elsewhere,
                "{ target: aarch64-apple-darwin, runner: macos-15, os: macos, zig: false }",
                "{ target: x86_64-pc-windows-msvc, runner: windows-2025, os: windows, zig: false }",
                "release --snapshot --target \"$TARGET\"",
            ],
            vec![zig, tried],
        ),
        (
            "\"aarch64-apple-darwin\"".to_owned(),
            vec!["ci --locked\n", elsewhere],
            vec![zig, tried, "--target aarch64"],
        ),
    ] {
        let world = World::empty();
        world.package("", "tool", "1.0.0", &targets(&list));
        // A script that happens to lie there is nobody's order.
        world.file("LICENSE", "free\n").file(".ci/run", "#!/bin/sh\n").lock().commit();
        world.run("init --workflows").ends_with(0);
        let ci = world.read(".github/workflows/ci.yml");
        held.iter().for_each(|text| assert!(ci.contains(text), "no {text:?} in\n{ci}"));
        not_held.iter().for_each(|text| assert!(!ci.contains(text), "{text:?} in\n{ci}"));
        assert!(!ci.contains(".ci/run"), "{ci}");
        judged(&world, world.root());
    }
}

#[test]
fn ci_runs_the_program_that_the_settings_name() {
    let world = World::quick("1.0.0");
    let set = |run: &str| {
        let more = format!("[workspace]\n[workspace.metadata.dockless.ci]\nrun = {run:?}\n");
        world.package("", "tool", "1.0.0", &more);
    };
    world.commit();
    for (program, command) in [
        (".ci/run", "run: .ci/run\n"),
        ("./all checks", "run: \"'./all checks'\"\n"),
        ("ci/it's; #1", "run: \"'ci/it'\\\\''s; #1'\"\n"),
    ] {
        world.file(program, "#!/bin/sh\n");
        set(program);
        world.run("init --workflows").ends_with(0);
        let ci = world.read(".github/workflows/ci.yml");
        assert!(ci.contains(command), "no {command:?} in\n{ci}");
        assert!(ci.contains("rustup toolchain install"), "{ci}");
        judged(&world, world.root());
    }
    for (program, why) in [
        ("../run", "is not a path in the workspace"),
        ("/bin/sh", "is not a path in the workspace"),
        ("ci/${{ github.token }}", "is not a path in the workspace"),
        ("run", "would be looked up on PATH"),
        ("ci/none", "is not a file"),
    ] {
        set(program);
        world.run("init --workflows").ends_with(1).says(why).says("run = \".ci/run\"");
    }
}

/// The branch is git's, and what a clone of a workflow cannot know stays as it was.
#[test]
fn ci_looks_at_the_branch_that_others_are_merged_into() {
    let world = World::quick("1.0.0");
    world.commit();
    let named = || {
        let ci = world.read(".github/workflows/ci.yml");
        let line = ci.lines().find(|line| line.contains("branches:")).unwrap();
        line.trim().to_owned()
    };
    for (branch, expected) in [
        ("main", "branches: [main]"),
        ("trunk", "branches: [trunk]"),
        ("release/1.x", "branches: [release/1.x]"),
        ("1.0", "branches: [\"1.0\"]"),
        ("on", "branches: [\"on\"]"),
        ("a,b#c", "branches: [\"a,b#c\"]"),
        ("c++", r#"branches: ["c\\+\\+"]"#),
    ] {
        world.git(["checkout", "--quiet", "-B", branch]);
        std::fs::remove_dir_all(world.path(".github")).ok();
        world.run("init --workflows").ends_with(0);
        assert_eq!(named(), expected);
        judged(&world, world.root());
    }
    // A workflow's clone has a commit checked out, or a branch of its own.
    std::fs::remove_dir_all(world.path(".github")).unwrap();
    world.git(["checkout", "--quiet", "-B", "trunk"]);
    world.run("init --workflows").ends_with(0);
    world.git(["checkout", "--quiet", "--detach"]);
    world.run("init --workflows --check").ends_with(0);
    world.git(["checkout", "--quiet", "-B", "feature"]);
    world.run("init --workflows --check").ends_with(0);
    // What the remote says counts most.
    world.git(["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop"]);
    world.run("init --workflows --check").ends_with(1).says("ci.yml: it is outdated");
    world.run("init --workflows").ends_with(0);
    assert_eq!(named(), "branches: [develop]");
    world.git(["symbolic-ref", "--delete", "refs/remotes/origin/HEAD"]);
    std::fs::remove_dir_all(world.path(".github")).unwrap();
    world.git(["checkout", "--quiet", "--detach"]);
    world.run("init --workflows").ends_with(1).says("git knows no branch that others are merged");
}

/// Names that would be more than a word where workflows run them.
#[test]
fn a_name_that_is_more_than_a_word_is_refused() {
    let dockless = format!("[dependencies]\ndockless.path = {:?}\n", env!("CARGO_MANIFEST_DIR"));
    let world = World::empty();
    world.file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"tool\", \"xtask\"]\n");
    world.package("tool", "tool", "1.0.0", "").package("xtask", "xtask", "0.0.0", &dockless);
    world.file("LICENSE", "free\n").lock().commit();
    for bin in ["x;id", "x $(id)", "x\n        run: id", "${{ github.token }}", "x # y", "-x", "x*"]
    {
        let more = format!("{dockless}[[bin]]\nname = {bin:?}\npath = \"src/main.rs\"\n");
        world.package("xtask", "xtask", "0.0.0", &more);
        world
            .run("init --workflows")
            .ends_with(1)
            .says("is not a plain word, so workflows cannot run it")
            .says("rename it");
        assert!(!world.path(".github").exists(), "{bin:?}");
    }
    let more = format!("{dockless}[[bin]]\nname = \"my_x.task-2\"\npath = \"src/main.rs\"\n");
    world.package("xtask", "xtask", "0.0.0", &more);
    world.run("init --workflows").ends_with(0);
    judged(&world, world.root());
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A caller of each kind: what it hands over, that what it calls takes it, and what others find.
#[test]
fn a_caller_hands_over_what_is_needed() {
    let targets = |list: &str| format!("[package.metadata.dockless]\ntargets = [{list}]\n");
    let images =
        |list: &str| format!("[package.metadata.dockless.image]\nrepositories = [{list}]\n");
    let musl = "\"x86_64-unknown-linux-musl\"";
    let about = "description = \"A tool\"\nrepository = \"https://github.com/acme/tool\"\n";
    let logins = "DOCKER_AUTH_CONFIG: ${{ secrets.DOCKER_AUTH_CONFIG }}";
    let krew = "KREW_GITHUB_TOKEN: ${{ secrets.KREW_GITHUB_TOKEN }}";
    let (plain, ghcr) = ("reusable-release.yml", "reusable-release-ghcr.yml");
    for (package, more, file, held, not_held) in [
        (
            "tool",
            targets(musl),
            plain,
            vec![
                "{ \"target\": \"x86_64-unknown-linux-musl\", \"os\": \"linux\", \"zig\": false }\n",
                "SLSA Build L3",
                "      COSIGN_PRIVATE_KEY: ${{ secrets.COSIGN_PRIVATE_KEY }}\n",
            ],
            vec!["packages:", logins, krew, "macos", "windows", "inherit", "runs-on"],
        ),
        (
            "tool",
            targets(&format!("{musl}, \"aarch64-apple-darwin\", \"x86_64-pc-windows-gnu\""))
                + &images("\"ghcr.io/acme/tool\""),
            ghcr,
            vec!["      packages: write # images\n", "      macos: true\n", "\"zig\": true }"],
            vec![logins, krew, "windows: true"],
        ),
        (
            "tool",
            targets(&format!("{musl}, \"x86_64-pc-windows-msvc\""))
                + &images("\"ghcr.io/a/t\", \"registry.example/a/t\""),
            ghcr,
            vec!["      packages: write # images\n", "      windows: true\n", logins],
            vec![krew, "macos"],
        ),
        ("kubectl-tool", about.to_owned(), plain, vec![krew], vec!["packages:", logins]),
    ] {
        let world = World::empty();
        world.package("", package, "1.0.0", &more);
        world.file("LICENSE", "free\n").lock().commit();
        world.run(&format!("init --workflows --reusable acme/dockless@{COMMIT}")).ends_with(0);
        let caller = world.read(".github/workflows/release.yml");
        let uses = format!("    uses: acme/dockless/.github/workflows/{file}@{COMMIT}\n");
        held.iter().for_each(|text| assert!(caller.contains(text), "no {text:?} in\n{caller}"));
        assert!(caller.contains(&uses), "{caller}");
        not_held.iter().for_each(|text| assert!(!caller.contains(text), "{text:?} in\n{caller}"));
        judged(&world, world.root());
        // It stays so until it is removed, and nobody has to say it again.
        world.run("init --workflows --check").ends_with(0);
        world.run("init --workflows").ends_with(0).no_result();
        assert_eq!(
            permissions(&caller),
            permissions(&ours(&world, &format!(".github/workflows/{file}")))
        );
        // What it calls, as a file of its own repository, whose inputs and secrets others know.
        let local = uses.replace("acme/dockless/", "./").replace(&format!("@{COMMIT}"), "");
        world.file(".github/workflows/release.yml", &caller.replace(&uses, &local));
        if judge("actionlint").is_some() {
            let mut actionlint = world.with("actionlint", ["-no-color"]);
            assert_eq!(run(&mut actionlint).ends_with(0).stdout, "");
        }
    }
}

/// The commit is kept, whoever raised it; another one is named on purpose; and without the file it is a
/// workflow of the repository itself again.
#[test]
fn the_commit_of_a_reusable_workflow_stays() {
    let world = World::quick("1.0.0");
    world.commit();
    world.run(&format!("init --workflows --reusable acme/dockless@{COMMIT}")).ends_with(0);
    let path = ".github/workflows/release.yml";
    let raised = world.read(path).replace(COMMIT, &format!("{} # v9.9.9", "5".repeat(40)));
    world.file(path, &raised);
    world.run("init --workflows --check").ends_with(0);
    world.run("init --workflows").ends_with(0).no_result();
    judged(&world, world.root());
    let moved = raised.replace(&"5".repeat(40), "main");
    world.file(path, &moved);
    world.run("init --workflows --check").ends_with(1).says("release.yml: it is outdated");
    world.file(path, &raised);
    world.run(&format!("init --workflows --check --reusable acme/other@{COMMIT}")).ends_with(1);
    world.run(&format!("init --workflows --reusable acme/other@{COMMIT}")).ends_with(0);
    assert!(
        world.read(path).contains(&format!(
            "uses: acme/other/.github/workflows/reusable-release.yml@{COMMIT}\n"
        ))
    );
    std::fs::remove_file(world.path(path)).unwrap();
    world.run("init --workflows").ends_with(0);
    assert!(world.read(path).contains("  attest:\n"), "{}", world.read(path));
}

/// What is not one commit of one repository is refused, and nothing of it gets into a workflow.
#[test]
fn only_a_commit_of_a_repository_is_called() {
    let world = World::quick("1.0.0");
    world.commit();
    let commit =
        |start: &str| format!("acme/dockless@{}", start.to_owned() + &COMMIT[start.len()..]);
    for (reusable, why) in [
        ("acme/dockless@v1.0.0".to_owned(), "tags and branches can be moved to other code"),
        ("acme/dockless@main".to_owned(), "git ls-remote https://github.com/acme/dockless"),
        (format!("acme/dockless@{}", &COMMIT[1..]), "is not a commit"),
        (format!("acme/dockless@{COMMIT}0"), "is not a commit"),
        (commit("G"), "is not a commit"),
        (commit("A"), "is not a commit"),
        (format!("acme/dockless@{COMMIT} # v1"), "is not a commit"),
        (format!("acme/dockless@{COMMIT}\n    if: false"), "is not a commit"),
        ("acme/dockless".to_owned(), "it is OWNER/REPO@COMMIT"),
        (format!("dockless@{COMMIT}"), "is not a repository on GitHub"),
        (format!("acme/dock/less@{COMMIT}"), "is not a repository on GitHub"),
        (format!("./acme@{COMMIT}"), "is not a repository on GitHub"),
        (format!("acme/a: b@{COMMIT}"), "is not a repository on GitHub"),
        (format!("acme/$(id)@{COMMIT}"), "is not a repository on GitHub"),
        (format!("acme/${{{{ github.token }}}}@{COMMIT}"), "is not a repository on GitHub"),
        (format!("acme/x\n    secrets: inherit@{COMMIT}"), "is not a repository on GitHub"),
    ] {
        let refused = run(&mut world.tool(["init", "--workflows", "--reusable", &reusable]));
        refused.ends_with(2).says(why);
        assert!(!world.path(".github").exists(), "{reusable:?}");
    }
    let named = ["init", "--kubernetes", "--reusable", &commit("")];
    run(&mut world.tool(named)).ends_with(2).says("--workflows");
    // Forty digits of targets are more than the outputs that it has.
    let targets: Vec<String> =
        (1..=33).map(|at| format!("x86_64-unknown-linux-gnu.2.{at}")).collect();
    let more = format!("[package.metadata.dockless]\ntargets = {targets:?}\n");
    world.package("", "tool", "1.0.0", &more);
    let many = run(&mut world.tool(["init", "--workflows", "--reusable", &commit("")]));
    many.ends_with(1).says("at most 32 targets, and there are 33");
}

/// Where something may sign or write, nothing of the project is built or run; and what a caller says
/// chooses what is built, and neither runners nor commands.
#[test]
fn jobs_that_sign_run_nothing_of_the_project() {
    for file in ["release", "reusable-release", "reusable-release-ghcr"] {
        let text = std::fs::read_to_string(here().join(format!(".github/workflows/{file}.yml")));
        let text = text.unwrap();
        let workflow: Value = serde_yaml::from_str(&text).unwrap();
        let mut signing = 0;
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let permissions = job["permissions"].as_object().unwrap();
            let steps = job["steps"].as_array().unwrap();
            let does = |text: &str| {
                let of = |step: &Value| {
                    [&step["uses"], &step["run"]]
                        .iter()
                        .any(|it| it.as_str().is_some_and(|it| it.contains(text)))
                };
                steps.iter().any(of)
            };
            let writes = permissions.values().any(|it| it == "write");
            if !writes {
                assert!(
                    permissions.len() == 1 && permissions["contents"] == "read",
                    "{file}: {name}"
                );
                continue;
            }
            // What a release starts is the tool, which another job built.
            for command in ["cargo ", "release --split", " check ", "setup --zig"] {
                assert!(!does(command), "{file}: {name} does {command:?}");
            }
            if permissions.contains_key("id-token") {
                signing += 1;
                assert!(!permissions.contains_key("contents"), "{file}: {name}");
                assert!(!does("checkout@") && !does("$TOOL") && !does("rustup"), "{file}: {name}");
            } else {
                assert_eq!(name, "release", "{file}");
            }
        }
        assert!(signing >= 2, "{file}");
        if file.starts_with("reusable") {
            let inputs: Vec<&str> = text.lines().filter(|line| line.contains("inputs.")).collect();
            let names = |line: &&str| line.trim().split(':').next().unwrap().to_owned();
            assert_eq!(inputs.iter().map(names).collect::<Vec<_>>(), ["os", "include"], "{text}");
            assert!(!text.contains("matrix.runner"), "{text}");
            assert!(
                text.contains(concat!(" dockless@", env!("CARGO_PKG_VERSION"), "\n")),
                "{text}"
            );
            assert_eq!(text.contains("packages: write"), file.ends_with("ghcr"), "{text}");
        }
    }
}

/// The images that are audited at night are those whose tag moves with releases.
#[test]
fn the_nightly_audit_names_what_settings_name() {
    for (image, branch, audited, read) in [
        ("", "main", "audited=()\n", false),
        ("ship = false\n", "a b", "audited=()\n", false),
        (
            "repositories = [\"ghcr.io/acme/tool\"]\n",
            "main",
            "audited=(ghcr.io/acme/tool:latest)\n",
            true,
        ),
        (
            "repositories = [\"ghcr.io/acme/tool\", \"registry.example:5000/tool\"]\ntags = [\"{{ version }}\", \"stable\"]\n",
            "main",
            "audited=(ghcr.io/acme/tool:stable registry.example:5000/tool:stable)\n",
            true,
        ),
        (
            "repositories = [\"registry.example/tool\"]\ntags = [\"{{ version }}\"]\n",
            "main",
            "audited=()\n",
            false,
        ),
    ] {
        let world = World::empty();
        let script = if branch == "main" { "" } else { "./ci run" };
        let more = format!(
            "[package.metadata.dockless.image]\n{image}[workspace]\n\
             [workspace.metadata.dockless.ci]\nrun = {script:?}\n"
        );
        world.package("", "tool", "1.0.0", &more);
        world.file("LICENSE", "free\n").file("ci run", "#!/bin/sh\n").lock().commit();
        // No branch can be called so: the one of git counts.
        let ci = "# Written by `dockless init`, which writes it anew\non:\n  push:\n    branches: [\"a b\"]\n";
        if branch != "main" {
            world.file(".github/workflows/ci.yml", ci);
        }
        for reusable in ["", " --reusable acme/dockless@0123456789abcdef0123456789abcdef01234567"] {
            world.run(&format!("init --workflows{reusable}")).ends_with(0);
            let audit = world.read(".github/workflows/audit.yml");
            assert!(audit.contains(audited), "no {audited:?} in\n{audit}");
            assert_eq!(audit.contains("packages: read"), read, "{audit}");
            assert!(!audit.contains("secrets."), "{audit}");
            let ci = world.read(".github/workflows/ci.yml");
            assert!(ci.contains("    branches: [main]\n"), "{ci}");
            assert_eq!(ci.contains("run: \"'./ci run'\"\n"), branch != "main", "{ci}");
            judged(&world, world.root());
        }
    }
}

/// Each registry gets the login of those who run it, and a person is told what it needs.
#[test]
fn workflows_log_in_to_each_registry() {
    let images = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|host| format!("{host}/acme/tool")).collect();
        format!("[package.metadata.dockless.image]\nrepositories = {list:?}\n")
    };
    let (docker, google) = ("uses: docker/login-action@", "uses: google-github-actions/auth@");
    let (amazon, azure) = ("uses: aws-actions/amazon-ecr-login@", "uses: Azure/login@");
    let config = "DOCKER_AUTH_CONFIG: ${{ secrets.DOCKER_AUTH_CONFIG }}";
    let identity = "      id-token: write # to log in to registries\n";
    let without = "run: exec env -u ACTIONS_ID_TOKEN_REQUEST_TOKEN ";
    let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    for (hosts, held, not_held, told) in [
        (
            vec!["docker.io", "quay.io"],
            vec![
                "registry: docker.io\n          username: ${{ vars.DOCKERHUB_USERNAME }}\n          \
                 password: ${{ secrets.DOCKERHUB_TOKEN }}\n",
                "registry: quay.io\n          username: ${{ vars.QUAY_USERNAME }}\n",
                docker,
            ],
            vec![google, amazon, azure, config, identity, without],
            vec!["gh secret set DOCKERHUB_TOKEN --env release", "gh variable set QUAY_USERNAME"],
        ),
        (
            vec!["europe-docker.pkg.dev", "us-docker.pkg.dev"],
            vec![google, "registry: us-docker.pkg.dev\n", identity, without],
            vec![amazon, azure, config],
            vec!["gh variable set GOOGLE_SERVICE_ACCOUNT --env release"],
        ),
        (
            vec![ecr, "public.ecr.aws", "ghcr.io"],
            vec![
                amazon,
                "aws-region: eu-west-1\n",
                "registries: \"123456789012\"\n",
                "registry-type: public\n",
                "AWS_SESSION_TOKEN: ${{ steps.aws0.outputs.aws-session-token }}\n",
                "output-env-credentials: false\n",
                identity,
                without,
            ],
            vec![google, azure, config, docker],
            vec!["gh variable set AWS_ROLE_TO_ASSUME", "logged in to: ghcr.io, by the token"],
        ),
        (
            vec!["acme.azurecr.io", "registry.acme.example"],
            vec![azure, "REGISTRY: acme\n        run: az acr login --name \"$REGISTRY\"", config],
            vec![google, amazon, docker],
            vec!["gh variable set AZURE_CLIENT_ID", "gh secret set DOCKER_AUTH_CONFIG"],
        ),
    ] {
        let world = World::empty();
        world.package("", "tool", "1.0.0", &images(&hosts));
        world.file("LICENSE", "free\n").lock().commit();
        let made = world.run("init --workflows");
        made.ends_with(0).says("repos/{owner}/{repo}/environments/release");
        for text in told {
            made.says(text);
        }
        let release = world.read(".github/workflows/release.yml");
        held.iter().for_each(|text| assert!(release.contains(text), "no {text:?} in\n{release}"));
        not_held.iter().for_each(|text| assert!(!release.contains(text), "{text:?} in\n{release}"));
        judged(&world, world.root());
        world.run("init --workflows --check").ends_with(0);
    }
}

/// GitHub reads only the workflows at the repository's root.
#[test]
fn a_branch_with_a_space_and_a_workspace_below_the_root_are_refused() {
    let world = World::quick("1.0.0");
    world.commit();
    // git itself knows no branch `a b`, and neither does a link to it.
    std::fs::write(world.path(".git/HEAD"), "ref: refs/heads/a b\n").unwrap();
    world.run("init --workflows").ends_with(1).says("git knows no branch that others are merged");
    assert!(!world.path(".github").exists());

    let world = World::empty();
    world.package("rust", "tool", "1.0.0", "");
    world.file("LICENSE", "free\n").commit();
    let mut init = world.tool(["init", "--workflows"]);
    run(init.current_dir(world.path("rust")))
        .ends_with(1)
        .no_result()
        .says("GitHub reads workflows only at the root of the repository")
        .says("--manifest-path rust/Cargo.toml");
    assert!(!world.path("rust/.github").exists());
}
