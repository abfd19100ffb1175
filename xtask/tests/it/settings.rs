//! What is typed into Cargo.toml: each fault with its place and its fix, and
//! what the right settings do.

use crate::world::{AARCH64, HOST, World, entry_names, only_host};

mod files;

/// The names of what is built, and for which targets.
fn builds(plan: &serde_json::Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let builds = plan["builds"].as_array().unwrap().iter();
    builds
        .map(|build| {
            let targets = build["targets"].as_array().unwrap().iter().map(text).collect();
            (text(&build["package"]), targets)
        })
        .collect()
}

#[test]
fn every_fault_is_named_at_once_with_place_and_fix() {
    let metadata = "[workspace.metadata.dockless]\ntarget = []\nprofile = 7\n\
                    targets = [\"x86_64-unknown-linux-mus\"]\npackages = [\"alhpa\"]\n";
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], metadata);
    world.package(
        "beta",
        "beta",
        "1.0.0",
        "[package.metadata.dockless]\nshp = false\nfeatures = \"x\"\nbins = [1]\n\
         [package.metadata.dockless.archive]\nfile = []\n[package.metadata.dockless.env]\nX = 1\n",
    );
    let run = world.run("release --snapshot");
    run.ends_with(1).no_result();
    let (root, beta) = (world.path("Cargo.toml"), world.path("beta/Cargo.toml"));
    for (file, what, fix) in [
        (
            &root,
            "[workspace.metadata.dockless] target: unknown key `target`",
            "did you mean `targets`?",
        ),
        (
            &root,
            "[workspace.metadata.dockless] profile: expected a string, found a number",
            "write it as `profile = \"release\"`",
        ),
        (&beta, "[package.metadata.dockless] shp: unknown key `shp`", "did you mean `ship`?"),
        (
            &beta,
            "[package.metadata.dockless] features: expected a list of strings, found a string",
            "write it as `features = [\"completions\"]`",
        ),
        (
            &beta,
            "[package.metadata.dockless] bins: expected a list of strings",
            "write it as `bins = [\"kubectl-view-secret\"]`",
        ),
        (
            &beta,
            "[package.metadata.dockless.archive] file: unknown key `file`",
            "did you mean `files`?",
        ),
        (
            &beta,
            "[package.metadata.dockless] env: expected a table of strings",
            "write it as `env = { APP_VERSION = \"{{ version }}\" }`",
        ),
        (
            &root,
            "[workspace.metadata.dockless] targets: rustc knows no target \
             \"x86_64-unknown-linux-mus\"; the most similar are x86_64-unknown-linux-musl, ",
            "",
        ),
        (
            &root,
            "[workspace.metadata.dockless] packages: no package \"alhpa\" in the workspace",
            "did you mean `alpha`?",
        ),
    ] {
        let line = format!("error: {}: {what}", file.display());
        let at = run.stderr.find(&line);
        let at = at.unwrap_or_else(|| panic!("no {line:?} in:\n{}", run.stderr));
        let mut lines = run.stderr[at..].lines().skip(1);
        let help = lines.next().unwrap_or_default();
        assert!(help.starts_with(&format!("  help: {fix}")), "{what}: {help:?}");
    }
    assert!(!world.path("target").exists(), "nothing compiles before that");
}

#[test]
fn a_target_that_rustc_does_not_know_is_named_with_the_nearest() {
    let world = World::quick("1.0.0");
    let run = world.run("release --snapshot --target aarch64-unkown-linux-musl");
    run.ends_with(1).no_result().says(
        "error: --target: rustc knows no target \"aarch64-unkown-linux-musl\"; the most similar \
         are aarch64-unknown-linux-musl, ",
    );
    run.says("  help: name a target that `rustc --print target-list` prints\n");
    for hostile in ["../../etc", "a b-c", "x;id-linux-musl", "--help-x", "-", "x86_64"] {
        let args = ["release".to_owned(), "--snapshot".to_owned(), format!("--target={hostile}")];
        crate::world::run(&mut world.tool(args))
            .ends_with(1)
            .no_result()
            .says(&format!("error: --target: {hostile:?} is not a target triple"));
    }
}

#[test]
fn names_on_the_command_line_are_checked() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    world
        .run("release --snapshot --package gamma")
        .ends_with(1)
        .no_result()
        .says("error: --package: no package \"gamma\" to build\n")
        .says("  help: packages with a binary are: alpha, beta\n");
    world
        .run("build --bin alpha --bin gamma")
        .ends_with(1)
        .no_result()
        .says("error: --bin: no package that is built has a binary \"gamma\"\n");
    world
        .run("build --bin gamma")
        .ends_with(1)
        .no_result()
        .says("error: --bin: no package that is built has a binary \"gamma\"\n")
        .says("  help: binaries are: alpha, beta\n");
    for (args, why, fix) in [
        (
            "build --profile relase",
            "profile: there is no profile \"relase\"",
            "did you mean `release`?",
        ),
        (
            "build --profile odd",
            "profile: there is no profile \"odd\"",
            "define it as [profile.odd] in Cargo.toml, or name another one",
        ),
        (
            "build --package alpha --features tls",
            "--features: alpha has no feature \"tls\"",
            "see [features] in its Cargo.toml, or name another package with --package",
        ),
        (
            "image --platform linux/arm46",
            "no target of the packages is for linux/arm46",
            "did you mean `linux/arm64`?",
        ),
        (
            "image --platform linux/amd64 --platform linux/arm46",
            "--platform: no target of the packages is for linux/arm46",
            "did you mean `linux/arm64`?",
        ),
    ] {
        let run = world.run(args);
        run.ends_with(1).no_result().says(&format!("error: {why}\n"));
        run.says(&format!("  help: {fix}\n"));
    }
    assert!(!world.path("target").exists(), "nothing compiles before that");
    let mut own = world.tool(["build", "--package", "alpha", "--profile", "own"]);
    crate::world::run(own.env("CARGO_PROFILE_OWN_INHERITS", "dev")).ends_with(0);
    world.run("build --package alpha --features=").ends_with(0);
    world.file(".cargo/more.toml", "[profile.other]\ninherits = \"dev\"\n");
    for include in ["[\"more.toml\"]", "[{ path = \"more.toml\" }]"] {
        world.file(".cargo/config.toml", &format!("include = {include}\n"));
        world.run("build --package alpha --profile other").ends_with(0);
    }
}

#[test]
fn a_package_can_have_targets_of_its_own() {
    let world = World::workspace(
        &[("alpha", "1.0.0"), ("beta", "1.0.0")],
        &format!("[workspace.metadata.dockless]\ntargets = [\"{HOST}\", \"{HOST}\"]\n"),
    );
    let own = format!("[package.metadata.dockless]\ntargets = [\"{AARCH64}\", \"{HOST}\"]\n");
    world.package("beta", "beta", "1.0.0", &own);
    let mut both = vec![AARCH64.to_owned(), HOST.to_owned()];
    both.dedup();
    let plan = world.plan("--snapshot");
    assert_eq!(builds(&plan), [("alpha".into(), vec![HOST.to_owned()]), ("beta".into(), both)]);
    // The command line narrows both.
    let plan = world.plan(&format!("--snapshot --target {AARCH64} --package beta"));
    assert_eq!(builds(&plan), [("beta".into(), vec![AARCH64.to_owned()])]);
}

#[test]
fn what_the_settings_keep_back_is_listed_and_not_shipped() {
    let metadata = "[workspace.metadata.dockless]\npackages = [\"alpha\", \"hidden\"]\n";
    let world = World::workspace(
        &[("alpha", "1.0.0"), ("hidden", "1.0.0"), ("other", "1.0.0"), ("xtask", "0.0.0")],
        metadata,
    );
    world.package("hidden", "hidden", "1.0.0", "[package.metadata.dockless]\nship = false\n");
    world.package("../dockless", "dockless", "0.1.0", "[workspace]\n");
    world.file("../dockless/src/lib.rs", "");
    world.package(
        "xtask",
        "xtask",
        "0.0.0",
        "[dependencies]\ndockless.path = \"../../dockless\"\n",
    );
    world.lock();
    let plan = world.plan("--snapshot");
    assert_eq!(builds(&plan).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["alpha"]);
    let left_out: Vec<_> = plan["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| (left["what"].as_str().unwrap(), left["why"].as_str().unwrap()))
        .collect();
    assert_eq!(
        left_out,
        [
            ("hidden", "`ship = false` in its table"),
            ("other", "not in the workspace's `packages`"),
            ("xtask", "it depends on dockless: an xtask is not shipped"),
        ]
    );
    // Whoever names a package means it; an xtask is never shipped.
    let plan = world.plan("--snapshot --package hidden --package other");
    assert_eq!(builds(&plan).len(), 2);
    world
        .run("release --dry-run --snapshot --package xtask")
        .ends_with(1)
        .no_result()
        .says("error: xtask: it depends on dockless: an xtask is not shipped\n");
}

#[test]
fn files_of_an_archive_lie_flat_and_come_from_inside_the_project() {
    let world = World::workspace(&[("alpha", "1.0.0")], "");
    let table = |files: &str| {
        format!("{}[package.metadata.dockless.archive]\nfiles = {files}\n", only_host())
    };
    let set = |files: &str| {
        world.package("alpha", "alpha", "1.0.0", &table(files));
    };
    world.file("docs/guide.md", "").file("docs/more.md", "").file("alpha/NOTES", "");
    set(r#"["NOTES", "docs/*.md", "LICENSE", "LICEN*"]"#);
    world.run("release --snapshot").ends_with(0);
    let archive = world.dist().join(format!("alpha-v1.0.0-{HOST}.tar.gz"));
    assert_eq!(entry_names(&archive), ["LICENSE", "NOTES", "alpha", "guide.md", "more.md"]);

    let place = format!(
        "error: {}: [package.metadata.dockless.archive] files: ",
        world.path("alpha/Cargo.toml").display()
    );
    for outside in ["../secret", "/etc/passwd", "docs/../../secret"] {
        set(&format!("[\"LICENSE\", {outside:?}]"));
        let run = world.run("release --dry-run --snapshot");
        run.ends_with(1).no_result();
        run.says(&format!("{place}{outside:?} leads out of the project\n"));
        run.says("  help: name files inside the project, such as \"docs/*.md\"\n");
    }
    std::fs::write(world.outside("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(world.outside("secret"), world.path("docs/link.md")).unwrap();
    set(r#"["LICENSE", "docs/*.md"]"#);
    let run = world.run("release --dry-run --snapshot");
    let link = world.path("docs/link.md");
    run.ends_with(1).no_result().says(&format!("{place}{} leads out of", link.display()));

    set(r#"["LICENSE", "[a"]"#);
    let run = world.run("release --dry-run --snapshot");
    run.ends_with(1).no_result().says(&format!("{place}\"[a\": "));
}

#[test]
fn two_files_of_one_name_cannot_lie_flat() {
    let world = World::quick("1.0.0");
    let files = "[package.metadata.dockless.archive]\nfiles = [\"LICENSE\", \"*/README.md\"]\n";
    world.package("", "tool", "1.0.0", &format!("{}{files}", only_host()));
    world.file("a/README.md", "").file("b/README.md", "");
    let run = world.run("release --dry-run --snapshot");
    run.ends_with(1)
        .no_result()
        .says(&format!(
            "error: tool-v1.0.0-{HOST}.tar.gz: two entries would be named \"README.md\""
        ))
        .says("  help: narrow `files` in [package.metadata.dockless.archive]\n");
}

#[test]
fn an_unknown_name_in_a_template_is_said() {
    let world = World::quick("1.0.0");
    for (value, why) in [
        (
            "{{ verson }}",
            r#""{{ verson }}" names "verson"; known are name, version, commit, date, describe"#,
        ),
        ("{{ version", r#""{{ version" has a {{ that is not closed"#),
    ] {
        let env = format!("{}env = {{ V = \"{value}\" }}\n", only_host());
        world.package("", "tool", "1.0.0", &env);
        let manifest = world.path("Cargo.toml");
        world.run("release --snapshot").ends_with(1).no_result().says(&format!(
            "error: {}: [package.metadata.dockless] env.V: {why}\n  help: ",
            manifest.display()
        ));
    }
    assert!(!world.path("target").exists());
}

#[test]
fn binaries_and_features_are_chosen() {
    let world = World::empty();
    let more = format!(
        "{}bins = [\"two\", \"extra\"]\nfeatures = [\"loud\"]\ndefault-features = false\n\
         [features]\ndefault = [\"soft\"]\nsoft = []\nloud = []\nmore = []\n\
         [[bin]]\nname = \"two\"\npath = \"src/two.rs\"\n\
         [[bin]]\nname = \"extra\"\npath = \"src/two.rs\"\nrequired-features = [\"more\"]\n",
        only_host()
    );
    world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n");
    world.file(
        "src/two.rs",
        "fn main() { println!(\"{} {}\", cfg!(feature = \"soft\"), cfg!(feature = \"loud\")); }\n",
    );
    world.lock();
    let plan = world.plan("--snapshot");
    assert_eq!(plan["builds"][0]["bins"], serde_json::json!(["two"]));
    let left_out = &plan["left_out"][0];
    assert_eq!(left_out["what"], "extra (binary of tool)");
    assert_eq!(left_out["why"], "it requires the features more, which are not on");
    assert_eq!(left_out["fix"], "add them to `features`, or pass --features more");
    let plan = world.plan("--snapshot --features more");
    assert_eq!(plan["builds"][0]["bins"], serde_json::json!(["extra", "two"]));
    assert_eq!(world.run("run -q --bin two").ends_with(0).line(), "false true");

    let wrong = more.replace("\"extra\"]", "\"exrta\"]").replace("[\"loud\"]", "[\"luod\"]");
    world.package("", "tool", "1.0.0", &wrong);
    world
        .run("release --dry-run --snapshot")
        .ends_with(1)
        .says("[package.metadata.dockless] bins: package \"tool\" has no binary \"exrta\"\n")
        .says("[package.metadata.dockless] features: package \"tool\" has no feature \"luod\"\n")
        .says("  help: did you mean `loud`?\n");
}
