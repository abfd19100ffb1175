//! The version that each state of a repository leads to, through the whole tool.

use std::fs;

use crate::world::{EPOCH, World, only_host, run};

/// A state of a repository whose package, `tool`, is at the version `cargo`.
struct Case {
    name: &'static str,
    cargo: &'static str,
    /// Brings about the state, from one commit of everything.
    make: fn(&World),
    /// The version, where `SHA` stands for HEAD's first 12 digits.
    version: &'static str,
    tag: Option<&'static str>,
}

fn tag<const N: usize>(world: &World, tags: [&str; N]) {
    tags.iter().for_each(|tag| drop(world.git(["tag", tag])));
}

#[track_caller]
fn check(cases: &[Case]) {
    for case in cases {
        let world = World::committed(case.cargo);
        (case.make)(&world);
        let plan = world.plan("--snapshot");
        let (name, sha) = (case.name, world.sha());
        assert_eq!(plan["version"], case.version.replace("SHA", &sha), "{name}");
        assert_eq!(plan["builds"][0]["version"], plan["version"], "{name}");
        assert_eq!(plan["tag"].as_str(), case.tag, "{name}");
        assert_eq!(plan["commit"], world.git(["rev-parse", "HEAD"]), "{name}");
        let archive = format!("tool-v{}-", plan["version"].as_str().unwrap());
        assert!(
            plan["archives"][0]["name"].as_str().unwrap().starts_with(&archive),
            "{name}: {plan}"
        );
    }
}

#[test]
fn tags_and_commits_make_the_version() {
    let case = |name, cargo, make, version, tag| Case { name, cargo, make, version, tag };
    check(&[
        case("no tag", "1.2.3", |_| {}, "1.2.3-dev.1.gSHA", None),
        case("no tag, two commits", "1.2.3", |w| drop(w.commit()), "1.2.3-dev.2.gSHA", None),
        case("a tag on HEAD", "1.2.3", |w| tag(w, ["v1.2.3"]), "1.2.3", Some("v1.2.3")),
        case(
            "an annotated tag on HEAD",
            "1.2.3",
            |w| drop(w.git(["tag", "--annotate", "--message", "x", "v1.2.3"])),
            "1.2.3",
            Some("v1.2.3"),
        ),
        case(
            "two tags on HEAD",
            "1.2.3",
            |w| tag(w, ["v1.2.3", "v1.2.2"]),
            "1.2.3",
            Some("v1.2.3"),
        ),
        case(
            "a tag with the package's own name counts first",
            "1.2.3",
            |w| tag(w, ["tool-v1.2.3", "v1.2.2"]),
            "1.2.3",
            Some("tool-v1.2.3"),
        ),
        case(
            "commits after a release",
            "1.2.3",
            |w| {
                tag(w, ["v1.2.3"]);
                w.commit();
                w.commit();
            },
            "1.2.4-dev.2.gSHA",
            None,
        ),
        case(
            "a pre-release on HEAD",
            "1.3.0-rc.1",
            |w| tag(w, ["v1.3.0-rc.1"]),
            "1.3.0-rc.1",
            Some("v1.3.0-rc.1"),
        ),
        case(
            "a commit after a pre-release",
            "1.3.0-rc.1",
            |w| {
                tag(w, ["v1.3.0-rc.1"]);
                w.commit();
            },
            "1.3.0-rc.1.dev.1.gSHA",
            None,
        ),
        case(
            "Cargo.toml ahead of the tag",
            "2.0.0",
            |w| {
                tag(w, ["v1.2.3"]);
                w.commit();
            },
            "2.0.0-dev.1.gSHA",
            None,
        ),
        case(
            "ahead of a pre-release, where dev would sort before rc",
            "1.3.0",
            |w| {
                tag(w, ["v1.3.0-rc.1"]);
                w.commit();
            },
            "1.3.0-rc.1.dev.1.gSHA",
            None,
        ),
        case(
            "build metadata in Cargo.toml",
            "1.2.3+nightly",
            |w| tag(w, ["v1.2.3"]),
            "1.2.3",
            Some("v1.2.3"),
        ),
        case("a bare tag on HEAD", "15.2.0", |w| tag(w, ["15.2.0"]), "15.2.0", Some("15.2.0")),
        case(
            "commits after a bare tag",
            "15.2.0",
            |w| {
                tag(w, ["15.2.0", "ignore-0.4.33"]);
                w.commit();
            },
            "15.2.1-dev.1.gSHA",
            None,
        ),
        case("its own tag", "1.2.3", |w| tag(w, ["tool-1.2.3"]), "1.2.3", Some("tool-1.2.3")),
        case("in a folder", "1.2.3", |w| tag(w, ["tool/v1.2.3"]), "1.2.3", Some("tool/v1.2.3")),
        case("there, bare", "1.2.3", |w| tag(w, ["tool/1.2.3"]), "1.2.3", Some("tool/1.2.3")),
        case("with an at", "1.2.3", |w| tag(w, ["tool@1.2.3"]), "1.2.3", Some("tool@1.2.3")),
        case("and a v", "1.2.3", |w| tag(w, ["tool@v1.2.3"]), "1.2.3", Some("tool@v1.2.3")),
        case(
            "two forms on one commit",
            "1.2.3",
            |w| tag(w, ["1.2.3", "v1.2.3"]),
            "1.2.3",
            Some("v1.2.3"),
        ),
        case(
            "a higher tag that is of something else",
            "1.2.3",
            |w| tag(w, ["v1.2.3", "2026.11.28"]),
            "1.2.3",
            Some("v1.2.3"),
        ),
        case(
            "build metadata in both",
            "1.2.3+b1",
            |w| tag(w, ["v1.2.3+b1"]),
            "1.2.3",
            Some("v1.2.3+b1"),
        ),
        case(
            "a commit after build metadata",
            "1.2.3+b1",
            |w| {
                tag(w, ["1.2.3+b1"]);
                w.commit();
            },
            "1.2.4-dev.1.gSHA",
            None,
        ),
        case(
            "other build metadata in the tag",
            "1.2.3",
            |w| tag(w, ["v1.2.3+b1"]),
            "1.2.4-dev.0.gSHA",
            None,
        ),
        case(
            "another package's tag",
            "1.2.3",
            |w| tag(w, ["other-v9.0.0"]),
            "1.2.3-dev.1.gSHA",
            None,
        ),
        case(
            "a tag on another branch",
            "1.2.3",
            |w| {
                w.git(["checkout", "--quiet", "-b", "other"]);
                w.commit();
                tag(w, ["v9.0.0"]);
                w.git(["checkout", "--quiet", "main"]);
            },
            "1.2.3-dev.1.gSHA",
            None,
        ),
        case(
            "detached HEAD",
            "1.2.3",
            |w| {
                tag(w, ["v1.2.3"]);
                w.commit();
                w.git(["checkout", "--quiet", "--detach", "HEAD~1"]);
            },
            "1.2.3",
            Some("v1.2.3"),
        ),
    ]);
}

#[test]
fn what_git_sees_as_a_change_makes_it_dirty() {
    let case = |name, make, version, tag| Case { name, cargo: "1.2.3", make, version, tag };
    let (released, dirty) = ("1.2.3", "1.2.4-dev.0.gSHA.dirty");
    check(&[
        case(
            "a changed file",
            |w| {
                tag(w, ["v1.2.3"]);
                w.file("LICENSE", "other\n");
            },
            dirty,
            None,
        ),
        case(
            "a change on no tag",
            |w| {
                w.file("LICENSE", "other\n");
            },
            "1.2.3-dev.1.gSHA.dirty",
            None,
        ),
        case(
            "an untracked file",
            |w| {
                tag(w, ["v1.2.3"]);
                w.file("notes/a b.txt", "");
            },
            dirty,
            None,
        ),
        case(
            "a removed file",
            |w| {
                tag(w, ["v1.2.3"]);
                fs::remove_file(w.path("LICENSE")).unwrap();
            },
            dirty,
            None,
        ),
        case(
            "a file moved out of dist/'s place",
            |w| {
                w.file("dist/kept.txt", "tracked\n").commit();
                tag(w, ["v1.2.3"]);
                w.git(["mv", "dist/kept.txt", "kept.txt"]);
            },
            dirty,
            None,
        ),
        case(
            "dist/ is there",
            |w| {
                tag(w, ["v1.2.3"]);
                w.file("dist/metadata.json", "{}").file("dist/tool.tar.gz", "");
            },
            released,
            Some("v1.2.3"),
        ),
        case(
            "a killed run left its folder",
            |w| {
                tag(w, ["v1.2.3"]);
                w.file(".dist.dockless-new/tool.tar.gz", "");
            },
            released,
            Some("v1.2.3"),
        ),
        case(
            "another folder named dist",
            |w| {
                tag(w, ["v1.2.3"]);
                w.file("src/dist/x", "");
            },
            dirty,
            None,
        ),
        case(
            "an ignored file",
            |w| {
                tag(w, ["v1.2.3"]);
                w.file("target/x", "");
            },
            released,
            Some("v1.2.3"),
        ),
    ]);
}

#[test]
fn hostile_tags_announce_nothing_and_run_nothing() {
    let world = World::committed("1.2.3");
    for name in [
        "v1$(id)",
        "v1;id",
        "v1.2",
        "v1.2.3;id",
        "v1.2.3-$(touch${IFS}owned)",
        "v01.2.3",
        "v1.2.3-rc.01",
        "v18446744073709551615.0.0",
        "v99999999999999999999.0.0",
        "vü1.2.3",
        "v१.२.३",
        "tool;id-v9.9.9",
        "tööl-v9.9.9",
        "-v1.2.3",
        "--exec=id",
        "v1.2.3'\"`id`",
    ] {
        let name_in_full = format!("refs/tags/{name}");
        world.git(["update-ref", &name_in_full, "HEAD"]);
        let plan = world.plan("--snapshot");
        let expected = format!("1.2.3-dev.1.g{}", world.sha());
        assert_eq!(plan["version"], expected, "{name}");
        assert_eq!(plan["tag"], serde_json::Value::Null, "{name}");
        // The build is told, by a variable and through no shell, what git says.
        let env = &plan["builds"][0]["env"];
        assert_eq!(env["DOCKLESS_DESCRIBE"], name);
        assert_eq!(env["DOCKLESS_VERSION"], expected.as_str(), "{name}");
        assert_eq!(
            world.names(),
            [".git", ".gitignore", "Cargo.lock", "Cargo.toml", "LICENSE", "src"]
        );
        world.git(["update-ref", "-d", &name_in_full]);
    }
    world.git(["update-ref", "refs/tags/v1.2.3;id", "HEAD"]);
    let release = world.run("release --skip publish,check");
    release.ends_with(1).says("error: git: no release tag on HEAD: v1.2.3;id names no version\n");
}

/// What is on HEAD and does not count is named, with the reason.
#[test]
fn tags_that_do_not_count_are_named() {
    let world = World::workspace(&[("tool", "1.2.3"), ("base", "1.0.0")], "");
    world.file(
        "base/Cargo.toml",
        &(world.read("base/Cargo.toml") + "[package.metadata.dockless]\nship = false\n"),
    );
    world.commit();
    tag(&world, ["latest", "ripgrep-15.2.0", "base-v1.0.0", "v1.2"]);
    let release = world.run("release --dry-run --skip publish,check");
    release.ends_with(1).says(
        "error: git: no release tag on HEAD: base-v1.0.0 is of base, which is not released here; \
         latest names no version; ripgrep-15.2.0 is of ripgrep, which is no package of the \
         workspace; v1.2 names no version\n  help: tag the commit, for example `git tag v1.2.3`",
    );
}

/// Two tags of a version leave open what it is, wherever they are.
#[test]
fn a_version_that_is_tagged_twice_is_not_released() {
    for (cargo, first, second) in [
        ("1.2.3", "1.2.3", "v1.2.3"),
        ("1.2.3", "v1.2.3", "tool@1.2.3"),
        ("1.2.3", "tool-1.2.3", "tool/1.2.3"),
        ("1.2.3+b1", "v1.2.3", "v1.2.3+b1"),
    ] {
        let world = World::committed(cargo);
        tag(&world, [first]);
        let before = world.sha();
        world.commit();
        tag(&world, [second]);
        let twice = |at: &str| {
            let why = format!("1.2.3 is tagged twice: {second} at HEAD, and {first} at {at}");
            let release = world.run("release --dry-run --skip publish,check");
            release.ends_with(1).says(&format!("error: git: {why}\n"));
            let snapshot = world.run("release --dry-run --snapshot");
            snapshot.ends_with(0).says(&format!("warning: git: {why}\n"));
        };
        twice(&before);
        // What comes after it stands on one of them.
        world.git(["checkout", "--quiet", "-b", "later"]);
        world.commit();
        let snapshot = world.run("release --dry-run --snapshot");
        snapshot.ends_with(0).says("warning: git: 1.2.3 is tagged twice: ");
        world.git(["checkout", "--quiet", "main"]);
        // On a branch that HEAD does not stand on it is one as well.
        world.git(["checkout", "--quiet", "-b", "other", "HEAD~1"]);
        let apart = world.commit();
        world.git(["tag", "--force", first]);
        world.git(["checkout", "--quiet", "main"]);
        twice(&apart);
        // On the same commit both are right, and one is used.
        world.git(["tag", "--force", first, "main"]);
        let release = world.run("release --dry-run --skip publish,check");
        release.ends_with(0).says("of one version: ");
    }
}

/// A setting fixes the form; others then count for nothing.
#[test]
fn a_form_of_tags_can_be_fixed() {
    let with = |form: &str| {
        let world = World::quick("1.2.3");
        let settings = format!("[workspace.metadata.dockless]\ntag = \"{form}\"\n[workspace]\n");
        world.file("Cargo.toml", &(world.read("Cargo.toml") + &settings));
        world.commit();
        world
    };
    let world = with("{{ name }}/v{{ version }}");
    tag(&world, ["v9.9.9", "tool-v1.2.4"]);
    let release = world.run("release --dry-run --skip publish,check");
    release
        .ends_with(1)
        .says("tool-v1.2.4 is not of the form {{ name }}/v{{ version }}; v9.9.9 is not of the form")
        .says("`git tag tool/v1.2.3`");
    tag(&world, ["tool/v1.2.3"]);
    let plan = world.plan("--skip publish,check");
    assert_eq!((&plan["version"], &plan["tag"]), (&"1.2.3".into(), &"tool/v1.2.3".into()));
    world.commit();
    world.commit();
    let version = format!("1.2.4-dev.2.g{}", world.sha());
    assert_eq!(world.plan("--snapshot")["version"], version);
    let workflows = world.run("init --workflows");
    workflows.ends_with(0);
    assert!(
        world.read(".github/workflows/release.yml").contains("- \"*/v[0-9]+.[0-9]+.[0-9]+*\"\n")
    );

    with("{{ name }}").run("release --dry-run --snapshot").ends_with(1).says(
        "[workspace.metadata.dockless] tag: \"{{ name }}\" does not name {{ version }} once\n  \
         help: write it as `tag = \"{{ name }}/v{{ version }}\"`",
    );
}

#[test]
fn each_package_of_a_workspace_has_its_own() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "2.0.0")], "");
    world.commit();
    let versions = |world: &World| {
        let plan = world.plan("--snapshot");
        let builds = plan["builds"].as_array().unwrap().iter();
        let versions = builds.map(|build| build["version"].as_str().unwrap().to_owned());
        (versions.collect::<Vec<_>>(), plan["version"].as_str().unwrap().to_owned())
    };
    world.git(["tag", "beta-v2.0.0"]);
    let alpha = format!("1.0.0-dev.1.g{}", world.sha());
    assert_eq!(versions(&world), (vec![alpha, "2.0.0".into()], "2.0.0".into()));
    world.git(["tag", "alpha-v1.0.0"]);
    assert_eq!(versions(&world), (vec!["1.0.0".into(), "2.0.0".into()], "2.0.0".into()));
    world.commit();
    let (alpha, beta) =
        (format!("1.0.1-dev.1.g{}", world.sha()), format!("2.0.1-dev.1.g{}", world.sha()));
    assert_eq!(versions(&world), (vec![alpha, beta.clone()], beta));
}

#[test]
fn a_snapshot_of_a_tag_that_disagrees_says_so() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.3.0"]);
    let run = world.run("release --dry-run --snapshot --json");
    let version = format!("1.3.1-dev.0.g{}", world.sha());
    assert_eq!(run.ends_with(0).json()["version"], version);
    run.says(&format!(
        "warning: {}: [package] version: HEAD has the tag v1.3.0, but tool is at 1.2.3 in \
         Cargo.toml; the snapshot is built as {version}\n  help: set the version to 1.3.0",
        world.path("Cargo.toml").display()
    ));
}

#[test]
fn source_date_epoch_is_the_time_of_everything() {
    let world = World::committed("1.2.3");
    let plan_at = |epoch: &str| {
        let args = ["release", "--dry-run", "--snapshot", "--json"];
        run(world.tool(args).env("SOURCE_DATE_EPOCH", epoch))
    };
    let plan = plan_at("1600000000").ends_with(0).json();
    assert_eq!(plan["time"], "2020-09-13T12:26:40Z");
    assert_eq!(plan["builds"][0]["env"]["DOCKLESS_DATE"], "2020-09-13T12:26:40Z");
    assert_eq!(plan["builds"][0]["env"]["SOURCE_DATE_EPOCH"], "1600000000");
    // One that is empty is none.
    let plan = plan_at("").ends_with(0).json();
    assert_eq!(plan["time"], "2023-11-14T22:13:20Z");
    assert_eq!(plan["builds"][0]["env"]["SOURCE_DATE_EPOCH"], EPOCH.to_string());
    for wrong in ["yesterday", "-1", "1.5", "99999999999999999999", " 1", "9999999999999999"] {
        plan_at(wrong)
            .ends_with(1)
            .no_result()
            .says(&format!(
                "error: read SOURCE_DATE_EPOCH: {wrong:?} is no number of seconds since 1970\n"
            ))
            .says("  help: set it to a number such as `git log -1 --format=%ct` prints");
    }
}

#[test]
fn the_program_is_told_what_it_is() {
    let world = World::empty();
    let env = "[package.metadata.dockless.env]\nAPP_VERSION = \"{{ name }} {{version}}\"\n\
               APP_BUILD = \"{{ commit }}/{{ date }}/{{ describe }}\"\nPLAIN = \"$(id) {x}\"\n";
    world.package("", "tool", "1.2.3", &format!("{}{env}", only_host()));
    let names = [
        "DOCKLESS_VERSION",
        "DOCKLESS_COMMIT",
        "DOCKLESS_DATE",
        "DOCKLESS_DESCRIBE",
        "APP_VERSION",
        "APP_BUILD",
        "PLAIN",
    ];
    let lines: String =
        names.iter().map(|name| format!("println!(\"{{}}\", env!({name:?}));\n")).collect();
    world.file("src/main.rs", &format!("fn main() {{\n{lines}}}\n")).lock().commit();
    world.git(["tag", "v1.2.2"]);
    let sha = world.commit();
    let commit = world.git(["rev-parse", "HEAD"]);
    // What another build left in the environment does not reach this one.
    let ran = run(world.tool(["run", "-q"]).env("DOCKLESS_VERSION", "6.6.6"));
    let (version, date) = (format!("1.2.3-dev.1.g{sha}"), "2023-11-14T22:14:20Z");
    let describe = world.git(["describe", "--tags", "--always", "--dirty"]);
    assert!(describe.starts_with("v1.2.2-1-g"), "{describe}");
    let expected = [
        version.clone(),
        commit.clone(),
        date.to_owned(),
        describe.clone(),
        format!("tool {version}"),
        format!("{commit}/{date}/{describe}"),
        "$(id) {x}".to_owned(),
    ];
    assert_eq!(ran.ends_with(0).stdout.lines().collect::<Vec<_>>(), expected);
}
