//! One promise per command, in the words of its help.

use std::fs;

use crate::world::{
    HOST, World, assert_whole, contents, entry_names, missing, names, only_host, run,
};

const COMMANDS: [&str; 8] = ["build", "run", "archive", "release", "check", "test", "ci", "clean"];

#[test]
fn build_prints_a_path_that_runs() {
    let world = World::committed("1.0.0");
    let built = world.run("build");
    let path = built.ends_with(0).line();
    assert_eq!(path, world.path(&format!("target/{HOST}/debug/tool")).to_str().unwrap());
    let version = format!("1.0.0-dev.1.g{}", world.sha());
    assert_eq!(run(&mut world.with(path, [""; 0])).ends_with(0).line(), version);
    let quiet = world.run("build -q");
    assert_eq!((&*quiet.ends_with(0).stderr, quiet.line()), ("", path));
    assert!(!world.dist().exists());

    let released = world.run("build --release -q");
    assert!(released.ends_with(0).line().ends_with(&format!("{HOST}/dist/tool")));
    let described = world.run("build --json").ends_with(0).list();
    let [binary] = &described.as_array().unwrap()[..] else { panic!("{described}") };
    assert_eq!((&binary["name"], &binary["package"]), (&"tool".into(), &"tool".into()));
    assert_eq!((&binary["target"], &binary["path"]), (&HOST.into(), &path.into()));
    assert_eq!(binary["size"], fs::metadata(path).unwrap().len());
    assert_eq!(binary["linkage"]["static_glibc"], false, "{binary}");

    let profile = world.run("build --profile release -q");
    assert!(profile.ends_with(0).line().ends_with(&format!("{HOST}/release/tool")));
    let unknown = world.run("build --profile no-such");
    unknown.ends_with(1).no_result().says("no-such");
    world.run("build --release --profile dev").ends_with(2).no_result();
}

#[test]
fn build_prints_one_path_per_binary() {
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    let built = world.run("build -q");
    let mut lines: Vec<&str> = built.ends_with(0).stdout.lines().collect();
    lines.sort();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("/alpha") && lines[1].ends_with("/beta"), "{lines:?}");
    assert!(world.run("build -q --package beta").ends_with(0).line().ends_with("/beta"));
    assert!(world.run("build -q --bin alpha").ends_with(0).line().ends_with("/alpha"));
}

#[test]
fn run_passes_arguments_input_and_the_exit_status() {
    let world = World::quick("1.0.0");
    world.file(
        "src/main.rs",
        "fn main() {\n    let args: Vec<String> = std::env::args().skip(1).collect();\n    \
         println!(\"{args:?}\");\n    eprintln!(\"aside\");\n    \
         std::process::exit(args.len() as i32 * 7)\n}\n",
    );
    let args = ["run", "-q", "--", "--help", "a b", "", "$HOME", "--", "-q"];
    let ran = run(&mut world.tool(args));
    assert_eq!(ran.ends_with(42).line(), r#"["--help", "a b", "", "$HOME", "--", "-q"]"#);
    assert_eq!(ran.stderr, "aside\n");
    world.run("run -q").ends_with(0);
    world.file("src/main.rs", "fn main() { std::process::abort() }\n");
    let aborted = world.run("run -q");
    assert_ne!(aborted.code, Some(0));

    let several = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], "");
    several
        .run("run")
        .ends_with(1)
        .no_result()
        .says("error: choose what to run: there are alpha, beta\n")
        .says("  help: name one with --bin\n");
    assert_eq!(several.run("run -q --bin beta").ends_with(0).line(), "1.0.0");
}

/// The program runs where the command was typed, not in the project's root.
#[test]
fn run_keeps_the_working_directory() {
    let world = World::quick("1.0.0");
    let says_where = "fn main() { println!(\"{}\", std::env::current_dir().unwrap().display()) }\n";
    world.file("src/main.rs", says_where);
    let below = run(world.tool(["run", "-q"]).current_dir(world.path("src")));
    assert_eq!(below.ends_with(0).line(), world.path("src").to_str().unwrap());
}

#[test]
fn archive_makes_what_a_snapshot_makes() {
    let world = World::committed("1.0.0");
    // A statement is of a whole release.
    world.run("release --snapshot -q --skip image,provenance").ends_with(0);
    let snapshot = contents(&world.dist());
    world.run("clean").ends_with(0);
    let archived = world.run("archive -q");
    assert_eq!(archived.ends_with(0).stdout.lines().count(), 3);
    assert_eq!(contents(&world.dist()), snapshot);
    assert_whole(&world.dist());
}

#[test]
fn several_packages_and_binaries_have_an_archive_per_package() {
    let world = World::workspace(
        &[("alpha", "1.0.0"), ("beta", "2.0.0")],
        &format!("[workspace.metadata.dockless]\ntargets = [\"{HOST}\"]\n"),
    );
    world.file("alpha/src/bin/other.rs", "fn main() {}\n").file("alpha/README.md", "# alpha\n");
    world.run("archive").ends_with(0).says("  archive 2 of 1.0.0, 2.0.0\n");
    let archive = |name: &str| world.dist().join(format!("{name}-{HOST}.tar.gz"));
    assert_eq!(entry_names(&archive("alpha-v1.0.0")), ["LICENSE", "README.md", "alpha", "other"]);
    assert_eq!(entry_names(&archive("beta-v2.0.0")), ["LICENSE", "beta"]);
    assert_whole(&world.dist());
    let sboms = names(&world.dist()).into_iter().filter(|name| name.ends_with(".spdx.json"));
    let without_os = HOST.replace("-unknown-linux", "");
    let sbom = |name: &str| format!("{name}-{without_os}.spdx.json");
    assert_eq!(
        sboms.collect::<Vec<_>>(),
        ["alpha-v1.0.0", "alpha.other-v1.0.0", "beta-v2.0.0"].map(sbom)
    );
    // A narrower run replaces all of dist/, which always is of one run.
    world.run("archive -q --package beta").ends_with(0);
    assert_eq!(
        names(&world.dist()),
        [
            ".gitignore",
            "artifacts.json",
            &sbom("beta-v2.0.0"),
            &format!("beta-v2.0.0-{HOST}.tar.gz"),
            "checksums.txt",
            "metadata.json"
        ]
    );
}

#[test]
fn clean_removes_what_was_made_and_nothing_else() {
    let world = World::quick("1.0.0");
    world.run("clean").ends_with(0).no_result();
    world.run("archive -q").ends_with(0);
    let cached = |kind: &str| world.outside("cache").join(kind).exists();
    assert!(cached("archive") && cached("graph"));
    fs::write(world.outside("cache/mine"), "").unwrap();
    world.run("clean").ends_with(0).no_result();
    assert_eq!(world.names(), ["Cargo.lock", "Cargo.toml", "LICENSE", "src", "target"]);
    assert!(cached("archive"));
    world.run("clean --cache").ends_with(0);
    assert_eq!(names(&world.outside("cache")), ["mine"]);
    world.file("dist/photo", "precious");
    world.run("clean").ends_with(1).says("a folder that dockless did not make");
    assert_eq!(names(&world.dist()), ["photo"]);
}

/// Whether cargo has the subcommands that `check` runs.
fn has_components(world: &World) -> bool {
    let lacking = ["fmt", "clippy"]
        .into_iter()
        .find(|name| run(&mut world.with("cargo", [name, "--version"])).code != Some(0));
    if let Some(name) = lacking {
        missing(&format!("cargo {name} not found"));
    }
    lacking.is_none()
}

#[test]
fn check_is_one_verdict_of_all_checks() {
    let world = World::quick("1.0.0");
    if !has_components(&world) {
        return;
    }
    let good = "fn main() {\n    println!(\"good\");\n}\n";
    world.file("src/main.rs", good);
    world.run("check").ends_with(0).no_result().says("fmt").says("clippy").says("passed");

    world.file("src/main.rs", "fn  main(){ let x = 1; let y = x.clone(); println!(\"{y}\"); }\n");
    let failed = world.run("check");
    failed.ends_with(1).no_result();
    failed.says("Diff in").says("src/main.rs").says("clippy::clone_on_copy");
    let row = |name: &str| {
        let mut rows = failed.stderr.lines().filter(|line| line.starts_with(name));
        rows.next_back().unwrap_or_default().to_owned()
    };
    assert!(row("fmt").contains("failed"), "{}", failed.stderr);
    assert!(row("clippy").contains("failed"), "{}", failed.stderr);
    assert!(row("audit").contains("not run"), "{}", failed.stderr);
    let verdicts = world.run("check --json");
    let results: Vec<_> = verdicts
        .ends_with(1)
        .list()
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| (verdict["check"].clone(), verdict["result"].clone()))
        .collect();
    let expected = [
        ("fmt", "failed"),
        ("lock", "passed"),
        ("clippy", "failed"),
        ("audit", "not-run"),
        ("licenses", "skipped"),
    ];
    assert_eq!(results, expected.map(|(check, result)| (check.into(), result.into())));

    world.file("src/main.rs", "fn main() { println!(\"good\"); }\n");
    let format = world.run("check --json");
    assert_eq!(format.ends_with(1).list()[2]["result"], "passed");
    // What Cargo.toml allows is allowed.
    let lints = format!("{}[lints.clippy]\nclone_on_copy = \"allow\"\n", only_host());
    world.package("", "tool", "1.0.0", &lints);
    world.file(
        "src/main.rs",
        "fn main() {\n    let x = 1;\n    let y = x.clone();\n    println!(\"{y}\");\n}\n",
    );
    world.run("check").ends_with(0);
}

#[test]
fn test_passes_arguments_and_fails_where_a_test_fails() {
    let world = World::quick("1.0.0");
    let tests = |assertion: &str| {
        format!(
            "fn main() {{}}\n#[test]\nfn one() {{ println!(\"one speaks\"); {assertion} }}\n\
             #[test]\nfn two() {{ println!(\"two speaks\") }}\n"
        )
    };
    world.file("src/main.rs", &tests(""));
    let passed = world.run("test");
    passed.ends_with(0);
    assert!(passed.stdout.contains("2 passed"), "{}", passed.stdout);
    let one = world.run("test -- --nocapture --exact one");
    one.ends_with(0);
    assert!(one.stdout.contains("one speaks") && one.stdout.contains("1 filtered out"));
    world.file("src/main.rs", &tests("assert_eq!(1, 2)"));
    let failed = world.run("test");
    failed.ends_with(1);
    assert!(failed.stdout.contains("test one ... FAILED"), "{}", failed.stdout);
}

#[test]
fn ci_is_check_and_test_and_runs_both() {
    let world = World::quick("1.0.0");
    if !has_components(&world) {
        return;
    }
    let good = "fn main() {\n    println!(\"good\");\n}\n\n#[test]\nfn one() {}\n";
    world.file("src/main.rs", good);
    world.run("ci").ends_with(0).says("passed");
    world.file("src/main.rs", &good.replace("fn one() {}", "fn  one() { panic!(\"no\") }"));
    let failed = world.run("ci");
    failed.ends_with(1).says("error: failed: fmt, test;").says("Diff in");
    assert!(failed.stdout.contains("test one ... FAILED"), "{}", failed.stdout);
}

#[test]
fn a_wrong_command_line_is_2_and_help_is_0() {
    let world = World::quick("1.0.0");
    for args in [
        "",
        "no-such-command",
        "release --no-such-flag",
        "release extra",
        "build --color sometimes",
        "release -q -v",
        "release --snapshot --target",
        "clean --package tool",
        "check -- --fix",
    ] {
        let wrong = world.run(args);
        wrong.ends_with(2).no_result().says("--help");
    }
    world.run("relaese").ends_with(2).says("'release'");
    for command in COMMANDS {
        let help = world.run(&format!("{command} --help"));
        let usage = format!("Usage: cargo dockless {command}");
        assert!(help.ends_with(0).stdout.contains(&usage), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
    let help = world.run("--help");
    let commands = COMMANDS.iter().all(|command| help.stdout.contains(&format!("\n  {command} ")));
    assert!(commands, "{}", help.ends_with(0).stdout);
    let version = world.run("--version");
    assert!(version.ends_with(0).line().starts_with("dockless "), "{}", version.stdout);
    assert_eq!(world.names(), ["Cargo.lock", "Cargo.toml", "LICENSE", "src"]);
}

#[test]
fn colours_are_used_where_they_are_wanted() {
    let world = World::quick("1.0.0");
    let escapes = |args: &str, vars: &[(&str, &str)]| {
        let mut tool = world.tool(args.split(' '));
        let run = run(tool.envs(vars.iter().copied()));
        (run.stdout.contains('\x1b'), run.stderr.contains('\x1b'))
    };
    // The compiler's own messages and an error are in it.
    world.file("src/main.rs", "fn main() { let unused = 1; broken }\n");
    assert_eq!(escapes("build --color never", &[]), (false, false));
    assert_eq!(escapes("build", &[]), (false, false), "no terminal");
    assert!(escapes("build --color always", &[]).1);
    let forced = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert_eq!(escapes("build", &forced[1..]), (false, false));
    assert_eq!(escapes("build --color never", &forced[..1]), (false, false));
    world.file("src/main.rs", "fn main() { let unused = 1; }\n");
    assert_eq!(escapes("release --snapshot --color never", &[]), (false, false));
    assert_eq!(escapes("release --snapshot", &forced[1..]), (false, false));
    let always = escapes("release --snapshot --color always", &[]);
    assert_eq!(always, (false, true), "results are never coloured");
}

#[test]
fn errors_are_annotated_in_github_actions() {
    let world = World::quick("1.0.0");
    let mut tool = world.tool(["release", "--skip", "publish,check"]);
    let run = run(tool.env("GITHUB_ACTIONS", "true"));
    run.ends_with(1)
        .says("\n::error::git: the sources are not in a git repository")
        .says("%0Ahelp: ");
}

/// For machines stdout holds one document, whatever cargo prints meanwhile.
#[test]
fn ci_tells_machines_what_ran_and_what_did_not() {
    let world = World::quick("1.0.0");
    world.file("src/main.rs", "fn main() {\n    println!(\"hello\");\n}\n");
    let run = world.run("ci --json");
    let told = run.ends_with(0).json();
    assert_eq!(told["tests"]["passed"], true);
    let checks = told["checks"].as_array().unwrap();
    let results: Vec<_> = checks.iter().map(|check| (&check["check"], &check["result"])).collect();
    let expected = [
        ("fmt", "passed"),
        ("lock", "passed"),
        ("clippy", "passed"),
        ("audit", "not-run"),
        ("licenses", "skipped"),
    ];
    assert_eq!(results.len(), expected.len());
    assert!(
        results
            .iter()
            .zip(expected)
            .all(|((check, result), (name, word))| { *check == name && *result == word })
    );
}
