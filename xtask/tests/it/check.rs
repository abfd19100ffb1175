//! `check`: everything in one run, and what did not run is said.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::world::{Run, World, judge, only_host, run};

const TIDY: &str = "fn main() {\n    println!(\"tidy\");\n}\n";

/// What the database of these tests says of a crate.
fn advisory(id: &str, package: &str, more: &str, patched: &str) -> String {
    format!(
        "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{package}\"\ndate = \"2099-05-06\"\n{more}\n\
         [versions]\npatched = [{patched}]\n```\n\n# What is wrong with {package}\n\nMuch.\n"
    )
}

/// A tidy program and a database with one advisory about nothing that it has.
fn tidy() -> World {
    let world = World::quick("1.0.0");
    world.file("src/main.rs", TIDY);
    world.file(
        "db/crates/gone/RUSTSEC-2024-0001.md",
        &advisory("RUSTSEC-2024-0001", "gone", "", ""),
    );
    world
}

/// Runs the tool with the database of the project's folder db/.
fn check(world: &World, args: &str) -> Run {
    run(world.tool(args.split(' ')).env("DOCKLESS_ADVISORY_DB", "db"))
}

/// The row of a check in the table.
fn row(run: &Run, name: &str) -> String {
    let mut rows = run.stderr.lines().filter(|line| line.starts_with(&format!("{name} ")));
    rows.next_back().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The results of all checks, by their names.
fn results(run: &Run) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let verdicts = run.list();
    verdicts
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (text(&it["check"]), text(&it["result"])))
        .collect()
}

#[test]
fn all_that_is_wrong_is_said_in_one_run_and_can_be_mended() {
    let world = World::empty();
    let needs = "[dependencies]\nansi_term = \"0.12\"\nbitflags = \"1\"\ntime = \"0.1.43\"\n";
    world.package("", "tool", "1.0.0", &format!("{}{needs}", only_host()));
    world.file("src/main.rs", "fn  main(){ let x = 1; let y = x.clone(); println!(\"{y}\"); }\n");
    for (package, id, more, patched) in [
        ("time", "RUSTSEC-2020-0071", "", "\">=0.2.23\""),
        ("ansi_term", "RUSTSEC-2021-0139", "informational = \"unmaintained\"", ""),
    ] {
        let text = advisory(id, package, more, patched);
        world.file(&format!("db/crates/{package}/{id}.md"), &text);
    }
    let cargo = |args: &[&str]| {
        run(world.with("cargo", args).env("CARGO_NET_OFFLINE", "false")).ends_with(0);
    };
    let online = |args: &str| {
        let mut tool = world.tool(args.split(' '));
        run(tool.env("DOCKLESS_ADVISORY_DB", "db").env("CARGO_NET_OFFLINE", "false"))
    };
    cargo(&["generate-lockfile"]);
    cargo(&["update", "time", "--precise", "0.1.43"]);
    // One that was yanked stays where a lock file has it.
    let lock = world.read("Cargo.lock");
    let start = lock.find("name = \"bitflags\"").unwrap();
    let end = start + lock[start..].find("\n\n").unwrap();
    let yanked = "name = \"bitflags\"\nversion = \"1.0.5\"\n\
                  source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
                  checksum = \"bd1fa8ad26490b0a5cfec99089952250301b6716cdeaa7c9ab229598fb82ab66\"";
    world.file("Cargo.lock", &format!("{}{yanked}{}", &lock[..start], &lock[end..]));

    let failed = online("check");
    failed.ends_with(1).no_result();
    failed.says("Diff in").says("clippy::clone_on_copy");
    failed.says("RUSTSEC-2020-0071").says("(tool 1.0.0 > time 0.1.43)");
    failed.says("does not reach: tool 1.0.0 asks for time ^0.1.43");
    failed.says("warning: ").says("RUSTSEC-2021-0139 (unmaintained)");
    failed.says("bitflags 1.0.5 was yanked").says("run `cargo update bitflags` for a version that");
    assert!(row(&failed, "fmt").starts_with("fmt failed"), "{failed:?}");
    assert!(row(&failed, "lock").starts_with("lock passed"), "{failed:?}");
    assert!(row(&failed, "clippy").starts_with("clippy failed"), "{failed:?}");
    let audit = row(&failed, "audit");
    assert!(audit.contains("failed") && audit.contains("1 error, 2 warnings"), "{audit}");

    online("check --fix --only fmt,clippy").ends_with(0);
    assert!(world.read("src/main.rs").starts_with("fn main() {\n    let x = 1;\n    let y = x;"));
    cargo(&["update", "bitflags"]);
    let manifest = world.read("Cargo.toml").replace("time = \"0.1.43\"\n", "");
    world.file("Cargo.toml", &manifest);
    cargo(&["update", "--workspace"]);
    let mended = online("check");
    mended.ends_with(0).never_says("yanked").says("RUSTSEC-2021-0139");
    assert!(row(&mended, "audit").contains("passed"), "{mended:?}");
    // What is denied fails.
    let denied = "[workspace.metadata.dockless.audit]\ndeny = [\"unmaintained\"]\n[workspace]\n";
    world.file("Cargo.toml", &format!("{manifest}{denied}"));
    online("check --only audit").ends_with(1).says("error: ").says("RUSTSEC-2021-0139");
}

#[test]
fn checks_are_chosen_and_required() {
    let world = tidy();
    let all = ["fmt", "lock", "clippy", "audit", "licenses"];
    let of = |args: &str, code| {
        let run = check(&world, format!("check --json {args}").trim());
        let results = results(run.ends_with(code));
        let names: Vec<String> = results.iter().map(|it| it.0.clone()).collect();
        assert_eq!(names, all);
        results.into_iter().map(|it| it.1).collect::<Vec<_>>()
    };
    // Without rules for licences nothing is checked of them.
    assert_eq!(of("", 0), ["passed", "passed", "passed", "passed", "skipped"]);
    let two = ["passed", "passed", "skipped", "skipped", "skipped"];
    assert_eq!(of("--only fmt,lock", 0), two);
    assert_eq!(of("--skip clippy,audit", 0), two);
    let one = ["passed", "skipped", "skipped", "skipped", "skipped"];
    assert_eq!(of("--only fmt --require audit", 1), one);
    world.run("check --only fmt --skip lock").ends_with(2);
    // None can be asked for that is not in the list.
    let possible = format!("[possible values: {}]", all.join(", "));
    world.run("check --only format").ends_with(2).says(&possible);
    // No database, and nobody who asks for one.
    let away = |args: &str| {
        let mut tool = world.tool(args.split(' '));
        run(tool.env("DOCKLESS_ADVISORY_DB", "file:///nowhere/at/all"))
    };
    let absent = away("check --only audit");
    absent.ends_with(0).says("fetch advisories of file:///nowhere/at/all");
    assert!(row(&absent, "audit").starts_with("audit not run"), "{absent:?}");
    assert!(
        row(&absent, "audit").contains("git cannot clone file:///nowhere/at/all"),
        "{absent:?}"
    );
    away("check --only audit --require audit").ends_with(1);
    away("check --only audit --offline").ends_with(0).says("no database was fetched before");
    world.file(
        "Cargo.toml",
        &format!(
            "{}[workspace]\n[workspace.metadata.dockless.check]\nrequire = [\"audit\"]\n",
            world.read("Cargo.toml")
        ),
    );
    away("check --only audit").ends_with(1);
    away("ci --only audit").ends_with(1).says("failed: audit");
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (table, why) in [
        ("check]\nrequire = [\"tests\"]", "there is no check \"tests\""),
        ("audit]\ndeny = [\"all\"]", "there is no kind \"all\" of findings"),
        ("audit]\nseverity = \"bad\"", "\"bad\" is not a severity"),
        ("audit]\nignore = [{ id = \"RUSTSEC-2024-0001\" }]", "needs an `id` and a `reason`"),
        (
            "audit]\nignore = [{ id = \"x\", reason = \"y\", until = \"soon\" }]",
            "\"soon\" is not a date",
        ),
        ("audit]\nignore = [\"RUSTSEC-2024-0001\"]", "expected a list of tables"),
    ] {
        let world = tidy();
        let text = format!(
            "{}[workspace]\n[workspace.metadata.dockless.{table}\n",
            world.read("Cargo.toml")
        );
        world.file("Cargo.toml", &text);
        let fix = if why.contains("date") || why.contains("list") || why.contains("needs") {
            "write it as `"
        } else {
            "name one of"
        };
        check(&world, "check").ends_with(1).no_result().says(why).says(fix);
    }
}

#[test]
fn what_is_ignored_has_a_reason_and_an_end() {
    let world = World::empty();
    world.package("", "tool", "1.0.0", &only_host()).file("src/main.rs", TIDY);
    let lock = "version = 4\n\n[[package]]\nname = \"bad\"\nversion = \"1.0.0\"\n\
                source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
                checksum = \"0000000000000000000000000000000000000000000000000000000000000000\"\n\n\
                [[package]]\nname = \"tool\"\nversion = \"1.0.0\"\ndependencies = [\n \"bad\",\n]\n";
    world.file("Cargo.lock", lock);
    world.file("db/crates/bad/RUSTSEC-2024-0001.md", &advisory("RUSTSEC-2024-0001", "bad", "", ""));
    let manifest = world.read("Cargo.toml");
    let ignoring = |entry: &str| {
        let table =
            format!("[workspace]\n[workspace.metadata.dockless.audit]\nignore = [{entry}]\n");
        world.file("Cargo.toml", &format!("{manifest}{table}"));
        check(&world, "check --only audit")
    };
    let id = "id = \"RUSTSEC-2024-0001\", reason = \"never called\"";
    check(&world, "check --only audit")
        .ends_with(1)
        .says("Cargo.lock:3:1: bad 1.0.0: RUSTSEC-2024-0001");
    ignoring(&format!("{{ {id} }}")).ends_with(0).never_says("RUSTSEC");
    ignoring(&format!("{{ {id}, until = \"9999-01-01\" }}")).ends_with(0).never_says("RUSTSEC");
    let over = ignoring(&format!("{{ {id}, until = \"2024-01-01\" }}"));
    over.ends_with(1)
        .says("[workspace.metadata.dockless.audit] ignore: RUSTSEC-2024-0001 was ignored until");
    let unknown =
        ignoring(&format!("{{ {id} }}, {{ id = \"RUSTSEC-1999-0001\", reason = \"x\" }}"));
    unknown.ends_with(0).says("the database has no such advisory");
    // What people have for other tools counts as well.
    world.file("Cargo.toml", &manifest);
    world.file("deny.toml", "[advisories]\nignore = [\"RUSTSEC-2024-0001\"]\n");
    check(&world, "check --only audit").ends_with(0);
    world.file("deny.toml", "[advisories\n");
    let broken = check(&world, "check --only audit");
    broken.ends_with(0);
    assert!(row(&broken, "audit").contains("deny.toml"), "{broken:?}");
    check(&world, "check --only audit --require audit").ends_with(1);
}

/// A repository with the database of a world in it, of a day.
fn repository(world: &World, day: &str) -> PathBuf {
    let upstream = world.outside("upstream");
    let git = |args: &[&str]| {
        let mut git = world.with("git", args);
        git.current_dir(&upstream);
        git.envs(
            ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"]
                .map(|name| (name, format!("{day}T12:00:00Z"))),
        );
        run(&mut git).ends_with(0);
    };
    fs::rename(world.path("db"), &upstream).unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "advisories"]);
    upstream
}

#[test]
fn a_database_is_fetched_once_and_kept() {
    let world = tidy();
    let upstream = repository(&world, "2020-02-02");
    let url = format!("file://{}", upstream.display());
    let audit = |args: &str| {
        let args = format!("check --only audit{args}");
        run(world.tool(args.split(' ')).env("DOCKLESS_ADVISORY_DB", &url))
    };
    let first = audit("");
    first.ends_with(0).says("fetch advisories of file://").says("days old").says("warning: ");
    assert!(row(&first, "audit").contains("of 2020-02-02"), "{first:?}");
    // It is not asked again so soon, and not at all without a network.
    let gone = world.outside("gone");
    fs::rename(&upstream, &gone).unwrap();
    audit("").ends_with(0).never_says("fetch advisories");
    audit(" --offline").ends_with(0).never_says("fetch advisories");
    // Later it is, and what cannot be had leaves what there is.
    let kept = world.outside("cache/advisories");
    let mark = fs::read_dir(&kept).unwrap().map(|it| it.unwrap().path());
    let mark =
        mark.into_iter().find(|it| it.extension().is_some_and(|it| it == "fetched")).unwrap();
    let touch = |day: &str| {
        run(world.with("touch", ["-d", day]).arg(&mark)).ends_with(0);
    };
    touch("2024-01-01");
    let old = audit("");
    old.ends_with(0).says("fetch advisories").says("git cannot clone file://");
    assert!(row(&old, "audit").starts_with("audit passed"), "{old:?}");
    // One that was fetched at a time that is yet to come was fetched nobody knows when.
    touch("2099-01-01");
    audit("").ends_with(0).says("fetch advisories");
    // One that comes in part is none.
    fs::create_dir_all(upstream.join("crates")).unwrap();
    let init = ["init", "--quiet"];
    run(world.with("git", init).current_dir(&upstream)).ends_with(0);
    let empty = audit("");
    empty.ends_with(0).says("the advisories are ");
    assert!(row(&empty, "audit").contains("1 advisory"), "{empty:?}");
    fs::remove_dir_all(&upstream).unwrap();
    fs::rename(&gone, &upstream).unwrap();
    audit("").ends_with(0).says("fetch advisories").never_says("git cannot clone");
    let left: Vec<String> = fs::read_dir(&kept)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_fetch_that_dies_half_way_leaves_nothing_that_counts() {
    let world = tidy();
    // A git that writes some of it and dies.
    let script = "for last; do :; done\n[ \"$1\" = -c ] || exec /usr/bin/env -i git \"$@\"\n\
                  mkdir -p \"$last/crates/gone\"; echo half > \"$last/crates/gone/x.md\"; kill -9 $$\n";
    world.script("bin/git", script);
    let mut tool = world.tool(["check", "--only", "audit"]);
    tool.env("DOCKLESS_ADVISORY_DB", "https://example.invalid/db")
        .env("PATH", world.path_with("bin"));
    let died = run(&mut tool);
    died.ends_with(0);
    assert!(row(&died, "audit").starts_with("audit not run"), "{died:?}");
    let after = run(world
        .tool(["check", "--only", "audit", "--offline"])
        .env("DOCKLESS_ADVISORY_DB", "https://example.invalid/db"));
    assert!(row(&after, "audit").contains("no database was fetched before"), "{after:?}");
}

#[test]
fn a_database_that_cannot_be_used_fails() {
    let world = tidy();
    let detail = |world: &World| {
        let failed = check(world, "check --only audit");
        row(failed.ends_with(1), "audit")
    };
    // One file is malformed: the others count, and it fails.
    world.file("db/crates/gone/RUSTSEC-2024-0002.md", "```toml\n[advisory]\n");
    let failed = check(&world, "check --only audit");
    failed.ends_with(1).says("RUSTSEC-2024-0002.md: this advisory cannot be read");
    assert!(row(&failed, "audit").contains("1 advisory"), "{failed:?}");
    fs::remove_dir_all(world.path("db/crates/gone")).unwrap();
    assert!(detail(&world).contains("is empty"));
    fs::remove_dir_all(world.path("db/crates")).unwrap();
    assert!(detail(&world).contains("is not an advisory database: it has no folder crates"));
    fs::remove_dir_all(world.path("db")).unwrap();
    assert!(detail(&world).contains("is not an advisory database"));
}

#[test]
fn lock_files_are_judged() {
    let world = tidy();
    fs::remove_file(world.path("Cargo.lock")).unwrap();
    let absent = check(&world, "check --only lock,audit");
    absent.ends_with(1);
    for name in ["lock", "audit"] {
        assert!(row(&absent, name).contains("there is no Cargo.lock: run `cargo"), "{absent:?}");
    }
    let future = "version = 99\n";
    world.file("Cargo.lock", future);
    let newer = check(&world, "check --only audit --require audit");
    newer.ends_with(1);
    assert!(row(&newer, "audit").contains("Cargo.lock"), "{newer:?}");
    // One that the manifests have left behind.
    let world = World::workspace(&[("a", "1.0.0"), ("b", "1.0.0")], "");
    for package in ["a", "b"] {
        world.file(&format!("{package}/src/main.rs"), TIDY);
    }
    world.lock();
    world.file(
        "db/crates/gone/RUSTSEC-2024-0001.md",
        &advisory("RUSTSEC-2024-0001", "gone", "", ""),
    );
    check(&world, "check --only lock").ends_with(0);
    world.package("a", "a", "2.0.0", "").file("a/src/main.rs", TIDY);
    let stale = check(&world, "check --only lock");
    stale.ends_with(1);
    assert!(
        row(&stale, "lock").contains("it is not up to date: run `cargo update --workspace`"),
        "{stale:?}"
    );
    world.lock();
    // A crate that takes a newer Rust than is promised.
    world.package(
        "b",
        "b",
        "1.0.0",
        "rust-version = \"1.85\"\n[dependencies]\na.path = \"../a\"\n",
    );
    world.package("a", "a", "2.0.0", "rust-version = \"1.90\"\n[lib]\npath = \"src/lib.rs\"\n");
    world.file("a/src/lib.rs", "").lock();
    let newer = check(&world, "check --only lock");
    newer.ends_with(1).says("a 2.0.0 needs Rust 1.90.0, and b promises 1.85.0 by its rust-version");
}

#[test]
fn a_clippy_that_crashes_and_code_that_does_not_compile_fail() {
    let world = tidy();
    world.file("src/main.rs", "fn main() {\n    let x: u32 = \"text\";\n}\n");
    let broken = check(&world, "check --json --only clippy");
    let verdicts = broken.ends_with(1).list();
    assert_eq!(verdicts[2]["findings"][0]["id"], "E0308");
    assert_eq!(verdicts[2]["findings"][0]["place"]["at"], serde_json::json!([2, 18]));
    broken.says("mismatched types");
    world.file("src/main.rs", TIDY);
    let wrapper = world
        .script("wrapper", "case \"$*\" in *--crate-name*tool*) kill -9 $$;; esac\nexec \"$@\"\n");
    let mut tool = world.tool(["check", "--only", "clippy"]);
    let crashed = run(tool.env("RUSTC_WRAPPER", wrapper));
    crashed.ends_with(1).says("signal: 9");
    assert!(row(&crashed, "clippy").starts_with("clippy failed"), "{crashed:?}");
}

#[test]
fn a_component_that_is_missing_is_a_check_that_did_not_run() {
    let world = tidy();
    let sysroot =
        run(&mut world.with("rustc", ["--print", "sysroot"])).ends_with(0).line().to_owned();
    // A toolchain of its own, which has all of the other but this.
    let bare = world.outside("bare");
    let rustc = format!("exec {sysroot}/bin/rustc --sysroot {} \"$@\"", bare.display());
    world.script("bare/bin/rustc", &rustc);
    symlink(format!("{sysroot}/bin/cargo"), bare.join("bin/cargo")).unwrap();
    symlink(format!("{sysroot}/lib"), bare.join("lib")).unwrap();
    let path = format!("{}:/usr/bin:/bin", bare.join("bin").display());
    let mut tool = world.tool(["check", "--only", "fmt"]);
    let bare = run(tool
        .env("PATH", path)
        .env("CARGO_HOME", world.outside("home"))
        .env_remove("RUSTUP_TOOLCHAIN"));
    bare.ends_with(1).no_result();
    let fmt = row(&bare, "fmt");
    assert!(
        fmt.starts_with("fmt not run") && fmt.contains("rustup component add rustfmt"),
        "{bare:?}"
    );
}

#[test]
fn features_that_are_named_are_checked_too() {
    let world = tidy();
    let more = format!("{}[features]\nodd = []\n[workspace]\n", only_host());
    world.package("", "tool", "1.0.0", &more);
    world.file(
        "src/main.rs",
        &TIDY.replace("fn main", "#[cfg(feature = \"odd\")]\nfn unused() {}\n\nfn main"),
    );
    check(&world, "check --only clippy").ends_with(0);
    for set in ["all", "odd"] {
        let table =
            format!("[workspace.metadata.dockless.check]\nfeatures = [\"none\", \"{set}\"]\n");
        world.package("", "tool", "1.0.0", &format!("{more}{table}"));
        world.file(
            "src/main.rs",
            &TIDY.replace("fn main", "#[cfg(feature = \"odd\")]\nfn unused() {}\n\nfn main"),
        );
        check(&world, "check --only clippy").ends_with(1).says("function `unused` is never used");
    }
}

#[test]
fn findings_go_where_machines_look() {
    let world = tidy();
    world.file("src/main.rs", "fn main(){ let x = 1; let y = x.clone(); println!(\"{y}\"); }\n");
    let mut tool = world.tool("check --skip audit --sarif out/check.sarif".split(' '));
    let page = world.outside("summary");
    let told = run(tool.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &page));
    told.ends_with(1);
    told.says("::error file=src/main.rs,line=1,col=1::this is not formatted as rustfmt does it");
    told.says("::error file=src/main.rs,line=1,col=31::using `clone` on type `i32`");
    assert!(fs::read_to_string(page).unwrap().contains("| clippy | failed |"));
    let sarif: Value = serde_json::from_str(&world.read("out/check.sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let ids: Vec<&str> = results.iter().map(|it| it["ruleId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["rustfmt", "clippy::clone_on_copy"]);
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "src/main.rs");
    assert_eq!(place["region"]["startLine"], 1);
}

#[test]
fn a_release_is_checked_first() {
    let world = tidy();
    world.file("src/main.rs", "fn main(){}\n").commit();
    world.git(["tag", "v1.0.0"]);
    let refused = check(&world, "release --skip publish");
    refused.ends_with(1).no_result().says("nothing is released that fails its checks: fmt\n");
    assert!(!world.dist().exists());
    assert_eq!(world.git(["status", "--short"]), "");
    // A snapshot is not published, and takes no time for it.
    check(&world, "release --snapshot").ends_with(0).never_says("check fmt");
    check(&world, "release --skip publish,check").ends_with(0);
}

/// Package and version of programs, old ones and new ones.
const PROGRAMS: [(&str, &str); 10] = [
    ("ripgrep", "12.1.1"),
    ("bat", "0.18.3"),
    ("fd-find", "8.2.1"),
    ("exa", "0.10.1"),
    ("tokei", "12.1.2"),
    ("hyperfine", "1.12.0"),
    ("starship", "0.58.0"),
    ("cargo-deny", "0.14.3"),
    ("mdbook", "0.4.25"),
    ("git-delta", "0.16.5"),
];

/// cargo-audit and this tool find the same in what people shipped.
#[test]
fn an_audit_finds_what_cargo_audit_finds() {
    let db = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/advisory-db");
    if !db.exists() {
        return crate::world::skipped("../shared/advisory-db is not there");
    }
    if std::env::var_os("DOCKLESS_PUBLISHED").is_none() {
        return crate::world::skipped(
            "published programs are fetched only with DOCKLESS_PUBLISHED=1",
        );
    }
    let Some(judge) = judge("cargo-audit") else { return };
    let world = World::empty();
    let mut counts = Vec::new();
    for (package, version) in PROGRAMS {
        let sources = crate::published::fetch(package, version, &world.outside(package));
        let copy = world.outside(&format!("{package}/copy"));
        assert!(Command::new("cp").arg("-r").arg(&sources).arg(&copy).status().unwrap().success());
        // What these ignore for themselves counts here, and not there.
        for own in ["deny.toml", ".deny.toml", ".cargo/deny.toml", ".cargo/audit.toml"] {
            fs::remove_file(copy.join(own)).ok();
        }
        let mut theirs = world.with(&judge, ["audit", "--json", "--no-fetch", "--db"]);
        theirs.arg(&db).arg("-f").arg(copy.join("Cargo.lock"));
        let theirs: Value = serde_json::from_str(&run(&mut theirs).stdout).unwrap();
        let mut ours =
            world.tool(["check", "--json", "--only", "audit", "--offline", "--manifest-path"]);
        let ours = run(ours.arg(&copy).env("DOCKLESS_ADVISORY_DB", &db)).list();
        let listed = theirs["vulnerabilities"]["list"].as_array().unwrap().iter();
        let warned = theirs["warnings"].as_object().unwrap().values();
        let warned = warned.flat_map(|it| it.as_array().unwrap());
        let one = |it: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or("yanked").to_owned();
            let (name, version) = (&it["package"]["name"], &it["package"]["version"]);
            (text(&it["advisory"]["id"]), format!("{} {}", text(name), text(version)))
        };
        let mut theirs: Vec<_> =
            listed.chain(warned).map(one).filter(|it| it.0 != "yanked").collect();
        let mut ours: Vec<_> = ours[3]["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["id"].as_str().unwrap().starts_with("RUSTSEC"))
            .map(|it| {
                let why = it["why"].as_str().unwrap().split(':').next().unwrap().to_owned();
                (it["id"].as_str().unwrap().to_owned(), why)
            })
            .collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "{package} {version}");
        counts.push(format!("{package} {version}: {} and {}", ours.len(), theirs.len()));
    }
    crate::world::said(&format!("found here, and by cargo-audit: {}", counts.join(", ")));
}
