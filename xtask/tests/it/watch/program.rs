//! `watch` and `watch -- COMMAND`.

use super::*;
use crate::world::running::ended;

#[test]
fn each_edit_is_in_the_program_that_runs() {
    let world = project("edit 0");
    let main = world.path("src/main.rs");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("edit 0\n");
    for edit in 1..=10 {
        if edit == 5 {
            // The program of the last good build goes on.
            save(&main, "fn main() { this is no Rust }\n");
            watch.says("error: expected");
            watch.says("waits for changes");
            assert_eq!(left_behind(&world).len(), 1);
            assert_eq!(watch.more(), "");
        }
        let text = stays(&format!("edit {edit}"));
        if edit % 2 == 0 {
            fs::write(&main, text).unwrap()
        } else {
            save(&main, &text)
        }
        watch.prints(&format!("edit {edit}\n"));
        assert_eq!(left_behind(&world).len(), 1, "the one before has ended");
    }
    watch.says("waits for changes");
    let (code, said) = watch.end(Signal::INT);
    assert_eq!(code, Some(130), "{said}");
    assert!(!said.contains("interrupted") && !said.contains("panicked"), "{said}");
    assert_eq!(left_behind(&world), [""; 0]);
}

/// Files that are read for the first time, files that are no longer there, and a package that is
/// another one now.
#[test]
fn files_come_and_go() {
    let world = project("alone");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("alone\n");
    watch.says("waits for changes");
    let main = world.path("src/main.rs");
    save(&main, &format!("mod other;\n{}", stays("{}").replace("{}\")", "{}\", other::WORD)")));
    watch.says("file not found for module");
    watch.says("waits for changes");
    world.file("src/other.rs", "pub const WORD: &str = \"with another\";\n");
    watch.prints("with another\n");
    watch.says("waits for changes");
    save(&world.path("src/other.rs"), "pub const WORD: &str = \"another still\";\n");
    watch.prints("another still\n");
    watch.says("waits for changes");
    fs::create_dir(world.path("src/other")).unwrap();
    fs::rename(world.path("src/other.rs"), world.path("src/other/mod.rs")).unwrap();
    watch.says("waits for changes");
    world.file("src/other/mod.rs", "pub const WORD: &str = \"moved\";\n");
    watch.prints("moved\n");
    watch.says("waits for changes");
    fs::remove_dir_all(world.path("src/other")).unwrap();
    watch.says("file not found for module");
    watch.says("waits for changes");
    assert_eq!(left_behind(&world).len(), 1);
    save(&main, &stays("alone again"));
    watch.prints("alone again\n");
    watch.says("waits for changes");
    let manifest = world.read("Cargo.toml");
    save(&world.path("Cargo.toml"), &format!("{manifest}broken"));
    watch.says("error: ");
    save(&world.path("Cargo.toml"), &manifest.replace("1.0.0", "1.0.1"));
    watch.says("Cargo.lock is stale");
    save(&world.path("Cargo.lock"), &world.read("Cargo.lock").replace("1.0.0", "1.0.1"));
    watch.says("build tool 1.0.1-dev");
    watch.says("waits for changes");
    watch.end(Signal::TERM);
}

/// What git ignores, what builds write, what no build reads, and what is saved as it was.
#[test]
fn what_changes_nothing_is_passed_over() {
    let world = project("steady");
    world.file(".gitignore", "/target\n/logs\n*.log\n").file("notes.md", "a\n");
    world.commit();
    world.file("logs/old.txt", "a\n");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("steady\n");
    watch.says("waits for changes");
    watch.rests();
    save(&world.path("src/main.rs"), &stays("steady"));
    fs::write(world.path("src/main.rs"), stays("steady")).unwrap();
    world.file("logs/old.txt", "b\n").file("logs/new.txt", "b\n").file("src/a.log", "b\n");
    world.file("notes.md", "b\n").file("src/.main.rs.swp", "b\n").file("dist/x", "b\n");
    world.file("target/own/x", "b\n");
    fs::write(world.path("src/4913"), "").unwrap();
    fs::remove_file(world.path("src/4913")).unwrap();
    world.git(["commit", "--quiet", "--allow-empty", "--message", "nothing"]);
    watch.rests();
    save(&world.path("src/main.rs"), &stays("other"));
    watch.prints("other\n");
    watch.says("waits for changes");
    watch.rests();
    watch.end(Signal::INT);
}

/// A branch with other sources, as git checks them out, one file after the other.
#[test]
fn a_branch_is_switched() {
    let world = project("main");
    for file in 0..200 {
        world.file(&format!("src/data/{file}.txt"), "main\n");
    }
    world.commit();
    world.git(["checkout", "--quiet", "-b", "branch"]);
    let text = stays("branch {}").replace("{}\")", "{}\", include_str!(\"data/7.txt\").trim())");
    world.file("src/main.rs", &text);
    for file in 0..200 {
        world.file(&format!("src/data/{file}.txt"), "of branch\n");
    }
    world.commit();
    world.git(["checkout", "--quiet", "main"]);
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("main\n");
    watch.says("waits for changes");
    world.git(["checkout", "--quiet", "branch"]);
    watch.prints("branch of branch\n");
    watch.says("waits for changes");
    world.git(["checkout", "--quiet", "main"]);
    watch.prints("main\n");
    watch.end(Signal::INT);
}

/// A change during a build: cargo is stopped, and the next build begins.
#[test]
fn a_change_stops_the_build() {
    let world = project("fast");
    let build = "fn main() {\n    println!(\"cargo::rerun-if-changed=wait\");\n    let wait = \
         std::fs::read_to_string(\"wait\").unwrap();\n    \
         std::thread::sleep(std::time::Duration::from_secs(wait.trim().parse().unwrap()));\n}\n";
    world.file("build.rs", build).file("wait", "0\n");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("fast\n");
    watch.says("waits for changes");
    world.file("wait", "600\n");
    watch.says("Compiling");
    world.file("wait", "0\n").file("src/main.rs", &stays("at once"));
    watch.says("stop");
    watch.prints("at once\n");
    let builds = || left_behind(&world).into_iter().filter(|it| it.contains("build-script"));
    assert_eq!(builds().count(), 0, "of the build that was stopped nothing is left");
    // So does the end of the watch.
    watch.says("waits for changes");
    world.file("wait", "600\n");
    watch.says("Compiling");
    let (code, said) = watch.end(Signal::TERM);
    assert_eq!(code, Some(143), "{said}");
    assert_eq!(left_behind(&world), [""; 0]);
}

#[test]
fn a_command_is_started_after_each_build() {
    let world = project("unseen");
    world.file("src/main.rs", "fn main() { println!(\"{:?}\", std::env::args().nth(1)) }\n");
    world.file("templates/page", "one\n").commit();
    // What was started is ended with all that it has started.
    let script = "tool \"$(cat templates/page)\"; sleep 600 & sleep 600";
    let mut watch = Watch::begin(&world, ["--", "sh", "-c", script]);
    watch.prints("Some(\"one\")\n");
    watch.says("waits for changes");
    world.file("templates/page", "two\n");
    watch.prints("Some(\"two\")\n");
    watch.says("waits for changes");
    world.file("templates/page", "two\n");
    watch.rests();
    let sleeping = || {
        let all = fs::read_dir("/proc").unwrap().filter_map(|it| Some(it.ok()?.path()));
        let here = all.filter(|dir| {
            fs::read_link(dir.join("cwd")).is_ok_and(|cwd| cwd == world.root())
                && fs::read_to_string(dir.join("comm")).is_ok_and(|comm| comm.trim() == "sleep")
        });
        here.count()
    };
    assert_eq!(sleeping(), 2);
    watch.end(Signal::INT);
    assert_eq!(sleeping(), 0);
}

#[test]
fn a_program_that_ends_is_told_of() {
    let world = World::committed("1.0.0");
    world.file("src/main.rs", "fn main() { println!(\"over\"); std::process::exit(3) }\n");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("over\n");
    watch.says("ended");
    watch.says("exit status: 3");
    watch.rests();
    world.file("src/main.rs", "fn main() { println!(\"over again\") }\n");
    watch.prints("over again\n");
    watch.says("exit status: 0");
    watch.end(Signal::INT);
}

#[test]
fn what_cannot_begin_says_why() {
    let world = World::committed("1.0.0");
    world.file("src/bin/two.rs", "fn main() {}\n");
    ended(&mut world.tool(["watch"])).ends_with(1).says("choose what to run").says("--bin");
    ended(&mut world.tool(["watch", "--json"])).ends_with(1).says("--json");
    ended(&mut world.tool(["watch", "--tag", "x"])).ends_with(2).says("--push");
    ended(&mut world.tool(["watch", "--push", "--", "ls"])).ends_with(2).says("cannot be used");
    world.file("Cargo.toml", "broken");
    ended(&mut world.tool(["watch", "--bin", "two"])).ends_with(1).says("Cargo.toml");
}
