//! Files that a program writes itself, and the archives that hold them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::world::{
    AARCH64, HOST, Run, World, X86_64, assert_whole, contents, entries, entry_names,
};

/// A program that writes what it is asked for, and does what it should not.
const PROGRAM: &str = r##"
use std::io::Read;
use std::{env, fs, net, process, thread, time};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["completions", shell] => println!("complete -F _tool tool # {shell}"),
        ["man", out] => {
            fs::write(format!("{out}/tool.1"), ".TH tool 1\n").unwrap();
            fs::write(format!("{out}/tool-sub.1"), ".TH tool-sub 1\n").unwrap();
        }
        ["date"] => println!("{}", env::var("SOURCE_DATE_EPOCH").unwrap()),
        ["fail"] => {
            eprintln!("error: no such shell");
            process::exit(3)
        }
        ["silent"] => {}
        ["hang", pids] => {
            let child = process::Command::new("sleep").arg("300").spawn().unwrap();
            fs::write(pids, format!("{}\n{}\n", process::id(), child.id())).unwrap();
            thread::sleep(time::Duration::from_secs(300));
        }
        ["read"] => {
            let mut text = String::new();
            println!("read {}", std::io::stdin().read_to_string(&mut text).unwrap());
        }
        ["elsewhere", out] => {
            fs::write(format!("{out}/tool.1"), "").unwrap();
            fs::write(format!("{out}/tool.html"), "").unwrap();
            fs::write("log.txt", "").unwrap();
            fs::write(format!("{}/.toolrc", env::var("HOME").unwrap()), "").unwrap();
        }
        ["time"] => println!("{:?}", time::SystemTime::now()),
        ["network"] => {
            let address = "192.0.2.1:80".parse().unwrap();
            match net::TcpStream::connect_timeout(&address, time::Duration::from_secs(2)) {
                Ok(_) => println!("connected"),
                Err(error) => panic!("fetch the list of shells: {error}"),
            }
        }
        _ => println!("{}", option_env!("DOCKLESS_VERSION").unwrap_or("none")),
    }
}
"##;

/// A project whose archives are to hold what `generate` says.
fn project(targets: &[&str], generate: &str) -> World {
    let world = World::quick("1.0.0");
    set(&world, targets, generate);
    world.file("src/main.rs", PROGRAM);
    world
}

fn set(world: &World, targets: &[&str], generate: &str) {
    let table = format!(
        "[package.metadata.dockless]\ntargets = {targets:?}\n\
         [package.metadata.dockless.archive]\ngenerate = {generate}\n"
    );
    world.package("", "tool", "1.0.0", &table).file("src/main.rs", PROGRAM);
}

/// A snapshot that must fail and leave dist/ as it was.
fn refused(world: &World, generate: &str) -> Run {
    set(world, &[HOST], generate);
    let dist = || world.dist().exists().then(|| contents(&world.dist()));
    let (before, names) = (dist(), world.names());
    let run = world.run("release --snapshot");
    run.ends_with(1).no_result().never_says("archive 1 of");
    assert_eq!(dist(), before, "{}", run.stderr);
    let new = |name: &String| !names.contains(name) && name != "target";
    assert_eq!(world.names().into_iter().find(new), None);
    run
}

/// What an entry of an archive holds.
fn text(archive: &Path, name: &str) -> String {
    let found = entries(archive).into_iter().find(|entry| entry.name == name);
    String::from_utf8(found.unwrap().bytes).unwrap()
}

const BOTH: &str = r#"[
    { args = ["completions", "bash"], stdout = "tool.bash" },
    { args = ["man", "{{ out }}"], files = ["*.1"] },
    { bin = "tool", args = ["date"], stdout = "date" },
]"#;

#[test]
fn what_a_program_writes_lies_in_all_its_archives() {
    let world = project(&[X86_64, AARCH64], BOTH);
    let run = world.run("release --snapshot");
    run.ends_with(0).says("generate tool.bash of tool: `tool completions bash`");
    run.says("generate *.1 of tool: `tool man '{{ out }}'`");
    assert_whole(&world.dist());
    for target in [X86_64, AARCH64] {
        let archive = world.dist().join(format!("tool-v1.0.0-{target}.tar.gz"));
        let names = ["LICENSE", "date", "tool", "tool-sub.1", "tool.1", "tool.bash"];
        assert_eq!(entry_names(&archive), names);
        let entries = entries(&archive);
        let modes: Vec<u32> = entries.iter().map(|entry| entry.mode).collect();
        assert_eq!(modes, [0o644, 0o644, 0o755, 0o644, 0o644, 0o644]);
        let text = |at: usize| std::str::from_utf8(&entries[at].bytes).unwrap();
        assert_eq!(text(1).trim(), entries[0].mtime.to_string(), "SOURCE_DATE_EPOCH");
        assert_eq!((text(4), text(5)), (".TH tool 1\n", "complete -F _tool tool # bash\n"));
    }
    // What is written anew is in the archives, whatever the cache holds.
    let archive = world.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz"));
    let before = fs::read(&archive).unwrap();
    world.run("release --snapshot").ends_with(0);
    assert_eq!(fs::read(&archive).unwrap(), before);
    set(&world, &[HOST], &BOTH.replace("\"bash\"", "\"zsh\""));
    world.run("release --snapshot").ends_with(0);
    assert_eq!(text(&archive, "tool.bash"), "complete -F _tool tool # zsh\n");
}

/// A program is built for this machine too, where it is shipped for others alone.
#[test]
fn a_program_for_another_machine_is_built_for_this_one_too() {
    let other = if HOST == X86_64 { AARCH64 } else { X86_64 };
    let world = project(&[other], BOTH);
    let plan = world.plan("--snapshot");
    assert_eq!(plan["builds"][0]["targets"], serde_json::json!([other, HOST]));
    assert_eq!(plan["generate"][0]["target"], HOST);
    let shown = world.run("release --dry-run --snapshot");
    let stdout = &shown.ends_with(0).stdout;
    assert!(stdout.contains("LICENSE, tool.bash, date"), "{stdout}");
    assert!(stdout.contains("man {{ out }}"), "{stdout}");
    world.run("release --snapshot").ends_with(0);
    assert_whole(&world.dist());
    let artifacts = world.artifacts();
    assert_eq!(artifacts.as_array().unwrap().len(), 6, "{artifacts}");
    let archive = world.dist().join(format!("tool-v1.0.0-{other}.tar.gz"));
    assert!(entry_names(&archive).contains(&"tool.bash".to_owned()));
    // Without archives nothing is run.
    let skipped = world.run("release --snapshot --skip archive");
    skipped.ends_with(0).never_says("generate");
}

#[test]
fn a_program_that_fails_stops_a_release_before_its_archives() {
    let world = project(&[HOST], "[]");
    world.run("release --snapshot").ends_with(0);
    let by = |words: &str| format!("error: generate files of tool by `tool {words}`: ");
    let stdout = |args: &str| format!("[{{ args = [{args}], stdout = \"x\" }}]");
    let files = |args: &str| format!("[{{ args = [{args}], files = [\"*.1\"] }}]");
    refused(&world, &stdout("\"fail\"")).says(&format!(
        "{}it failed (exit status: 3):\nerror: no such shell\n  help: try `tool fail` with an \
         empty HOME and without network; ",
        by("fail")
    ));
    refused(&world, &stdout("\"silent\"")).says(&format!("{}it printed nothing\n", by("silent")));
    refused(&world, &files("\"elsewhere\", \"{{ out }}\""))
        .says(&by("elsewhere '{{ out }}'"))
        .says("it writes elsewhere: it wrote {{ out }}/tool.html, ./log.txt, $HOME/.toolrc\n")
        .says("  help: name them in `files`, or let it write nothing else\n");
    refused(&world, &files("\"completions\", \"bash\""))
        .says("nothing that it wrote matches \"*.1\": it wrote no file\n");
    refused(&world, &stdout("\"time\""))
        .says(&format!("{}two runs gave different bytes: x differs from offset ", by("time")))
        .says("  help: it writes the time or random values");
    refused(&world, &stdout("\"network\"")).says("fetch the list of shells: ");
    // A name that only the run tells is taken by the project's own file.
    world.file("tool.1", "ours\n");
    let ours = "[{ args = [\"man\", \"{{ out }}\"], files = [\"*.1\"] }]\nfiles = [\"tool.1\"]";
    refused(&world, ours)
        .says("`tool man '{{ out }}'` of tool wrote tool.1, but another entry of its archives has")
        .says("  help: rename one: archives are flat\n");
}

#[test]
fn a_program_that_waits_for_input_gets_none() {
    let world = project(&[HOST], "[{ args = [\"read\"], stdout = \"x\" }]");
    world.run("release --snapshot").ends_with(0);
    let archive = world.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz"));
    assert_eq!(text(&archive, "x"), "read 0\n");
}

/// This takes the whole limit, in which nothing else waits.
#[test]
fn a_program_that_hangs_is_ended_with_what_it_started() {
    let world = project(&[HOST], "[]");
    let pids = world.outside("pids");
    let generate = format!("[{{ args = [\"hang\", {pids:?}], stdout = \"x\" }}]");
    refused(&world, &generate)
        .says("it did not end within 10 s and was stopped\n")
        .says("  help: it must end by itself");
    let pids = fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        // The signal was sent; that it is acted on takes a moment.
        let ended = (0..500).any(|_| {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = state.rsplit(") ").next().unwrap_or_default();
            std::thread::sleep(Duration::from_millis(10));
            state.is_empty() || state.starts_with('Z')
        });
        assert!(ended, "{pid} lives on");
    }
}

#[test]
fn every_fault_of_the_settings_is_named_at_once() {
    let world = project(
        &[HOST],
        r#"[
            { args = ["x"] },
            { stdout = "a" },
            { args = ["x"], stdout = "a", files = ["*"] },
            { args = ["{{ ot }}"], stdout = "a" },
            { bin = "tol", args = [], stdout = "a" },
            { args = [], stdout = "../a" },
            { args = [], files = ["docs/*.1"] },
            { args = [], files = ["[a"] },
            { args = [], files = [] },
        ]"#,
    );
    let run = world.run("release --dry-run --snapshot");
    run.ends_with(1).no_result();
    let manifest = world.path("Cargo.toml");
    for (item, why) in [
        ("generate[0]", "it has neither `stdout` nor `files`"),
        ("generate[1]", "it has no `args`"),
        ("generate[2]", "it has both `stdout` and `files`"),
        ("generate[3].args", "\"{{ ot }}\" names \"ot\"; known are out"),
        ("generate[4].bin", "\"tol\" is not a released binary of the package"),
        ("generate[5].stdout", "\"../a\" cannot be a file name: archives are flat"),
        ("generate[6].files", "\"docs/*.1\" cannot match a file name: archives are flat"),
        ("generate[7].files", "\"[a\" cannot match a file name: "),
        ("generate[8].files", "it names no files"),
    ] {
        let place = format!("error: {}: [package.metadata.dockless.archive] ", manifest.display());
        run.says(&format!("{place}{item}: {why}"));
    }
    run.says("  help: write it as `generate = [{ args = [\"completions\", \"bash\"], stdout");
    set(&world, &[HOST], "[{ args = \"x\" }, { arg = [] }]");
    let run = world.run("release --dry-run --snapshot");
    run.ends_with(1).says("generate[0].args: expected a list of strings, found a string\n");
    run.says("generate[1].arg: unknown key `arg`\n  help: did you mean `args`?\n");
    set(&world, &[HOST], "[{ args = [], stdout = \"LICENSE\" }]");
    let run = world.run("release --dry-run --snapshot");
    run.ends_with(1).says("two entries would be named \"LICENSE\": archives are flat; they are ");
    run.says(
        "  help: narrow `files`, or rename in `generate`, in [package.metadata.dockless.archive]",
    );
}

/// Windows opens zip without another program. What is planned is named by it.
#[test]
fn an_archive_for_windows_is_planned_as_a_zip() {
    let target = "x86_64-pc-windows-gnu";
    let world =
        project(&[target], "[{ args = [\"completions\", \"bash\"], stdout = \"tool.bash\" }]");
    world.file(".cargo/config.toml", &format!("[target.{target}]\nlinker = \"ld\"\n"));
    let plan = world.plan("--snapshot");
    let archive = &plan["archives"][0];
    assert_eq!(archive["name"], format!("tool-v1.0.0-{target}.zip"));
    assert_eq!(archive["format"], "zip");
    assert_eq!(plan["generate"][0]["target"], HOST);
    let shown = world.run("release --dry-run --snapshot");
    let stdout = &shown.ends_with(0).stdout;
    assert!(stdout.contains("tool.exe, LICENSE, tool.bash"), "{stdout}");
}
