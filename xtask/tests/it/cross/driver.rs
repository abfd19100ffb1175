//! The hidden command that stands in for compilers.

use std::fs;

use crate::world::{World, run};

/// A compiler that notes its arguments, one a line, and ends with 3.
const NOTES: &str = "printf '%s\\n' \"$@\" > \"$LOG\"\n\
                     case $* in *@*) for arg; do :; done; cat \"${arg#@}\" > \"$LOG.file\" ;; esac\nexit 3\n";

fn settings(world: &World, target: &str) {
    let compiler = world.script("zig", NOTES);
    let settings = serde_json::json!({
        "target": target,
        "compiler": { "zig": { "program": compiler } },
        "lld": compiler,
        "remap": [["/home/me", "/src"]],
        "sdk": null,
        "macos": null,
    });
    fs::write(world.outside("settings.json"), settings.to_string()).unwrap();
}

#[test]
fn the_command_for_compilers_is_hidden() {
    let world = World::empty();
    for args in ["--help", "-h", "help"] {
        let help = world.run(args);
        assert!(!help.ends_with(0).stdout.contains("cross"), "{}", help.stdout);
        assert!(help.stdout.contains("setup"), "{}", help.stdout);
    }
    world.run("cross").ends_with(2);
    world.run("cross fortran settings.json").ends_with(2).says("fortran");
}

#[test]
fn arguments_and_response_files_reach_the_compiler() {
    let world = World::empty();
    settings(&world, "x86_64-unknown-linux-musl");
    let settings = world.outside("settings.json");
    let log = world.outside("log");
    let call = |tool: &str, args: &[&str]| {
        let mut command = world.tool(["cross", tool]);
        run(command.arg(&settings).args(args).env("LOG", &log)).ends_with(3).no_result();
        fs::read_to_string(&log).unwrap()
    };
    // Whatever they look like; the compiler's exit code is the stand-in's.
    let args = ["--version", "-h", "--help", "-DX=\"a b\"", "-q", "--json", "$(x)", "ünï"];
    let calls = call("cc", &args);
    assert!(calls.starts_with("cc\n-target\nx86_64-linux-musl\n"), "{calls}");
    assert!(calls.contains("-ffile-prefix-map=/home/me=/src\n"), "{calls}");
    assert!(calls.ends_with(&format!("{}\n", args.join("\n"))), "{calls}");
    assert!(call("cxx", &["-c"]).starts_with("c++\n"));

    // A short one is spread, a long one is written anew.
    world.file("short", "-c\n\"a b.c\"\n-DX=\\\"y\\\"\n");
    let calls = call("cc", &["@short", "-O2"]);
    assert!(calls.ends_with("-c\na b.c\n-DX=\"y\"\n-O2\n"), "{calls}");
    let objects: Vec<String> = (0..2000).map(|i| format!("/tmp/a folder/object-{i}.o")).collect();
    let lines: Vec<String> = objects.iter().map(|path| format!("\"{path}\"\n")).collect();
    world.file("long", &lines.concat());
    for (tool, first) in [("cc", "cc\n"), ("ld", "-flavor\ngnu\n")] {
        let calls = call(tool, &["-flavor", "gnu", "@long"][if tool == "ld" { 0 } else { 2 }..]);
        assert!(
            calls.starts_with(first) && calls.lines().last().unwrap().starts_with('@'),
            "{calls}"
        );
        let file = fs::read_to_string(world.outside("log.file")).unwrap();
        assert_eq!(file, lines.concat(), "{tool}");
    }
    // One that is not there is not a response file, but an argument.
    assert!(call("cc", &["@none"]).ends_with("@none\n"));
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let world = World::empty();
    for (text, words) in [("", "EOF"), ("{}", "missing field"), ("\u{0}", "expected value")] {
        world.file("settings.json", text);
        let run = world.run("cross cc settings.json -c x.c");
        run.ends_with(1).no_result().says("read settings.json").says(words);
    }
    world.run("cross cc absent.json -c").ends_with(1).says("absent.json").never_says("panicked");
}
