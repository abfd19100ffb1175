//! Readers of stdout and stderr that go away, and disks that are full of results.

use std::fs;
use std::process::{Command, Stdio};

use crate::world::{World, assert_whole, run, running::ended};

/// A pipe that nobody reads, as after `| head -1` has read its line.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs it with streams of which nobody reads those that are named; returns the exit code and
/// what it said on stderr, where that is read.
fn closed(command: &mut Command, streams: &str) -> (Option<i32>, String) {
    let stream = |name| if streams.contains(name) { unread() } else { Stdio::piped() };
    command.stdin(Stdio::null()).stdout(stream("stdout")).stderr(stream("stderr"));
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Whoever has read enough of the results is no failure, and neither is one who does not
/// want to know of progress: the exit code is that of the work.
#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let world = World::committed("1.0.0");
    world.run("release --snapshot -q").ends_with(0);
    world.file("bad.yaml", "kind: Plugin\n");
    for (args, code) in [
        ("--help", 0),
        ("--version", 0),
        ("release --help", 0),
        ("relaese", 2),
        ("release --dry-run --snapshot", 0),
        ("release --dry-run --snapshot --json", 0),
        ("release --snapshot", 0),
        ("release --snapshot --json", 0),
        ("archive", 0),
        ("build", 0),
        ("build --json -v", 0),
        ("build --profile no-such", 1),
        ("image inspect oci:dist/images/tool", 0),
        ("image inspect --json oci:dist/images/tool", 0),
        ("image validate oci:dist/images/tool", 0),
        ("image --output oci:copy", 0),
        ("dockerfile --output made", 0),
        ("krew validate --json bad.yaml", 1),
        ("init --workflows", 0),
    ] {
        for streams in ["stdout", "stderr", "stdout and stderr"] {
            let mut tool = world.tool(args.split(' '));
            let (ended, said) = closed(&mut tool, streams);
            assert_eq!(ended, Some(code), "{args} without {streams}: {said}");
            assert!(!said.contains("panicked") && !said.contains("ipe"), "{args}: {said}");
        }
    }
    assert_whole(&world.dist());
    // The program that is run ends of a pipe as it does without this tool.
    world.file(
        "src/main.rs",
        "fn main() {\n    use std::io::Write;\n    let mut out = std::io::stdout();\n    \
         while out.write_all(&[b'x'; 999]).is_ok() {}\n    std::process::exit(7)\n}\n",
    );
    assert_eq!(closed(&mut world.tool(["run", "-q"]), "stdout").0, Some(7));
}

/// A disk that is full is another matter: there somebody wanted the results.
#[cfg(target_os = "linux")]
#[test]
fn results_that_a_full_disk_loses_are_a_failure() {
    let world = World::committed("1.0.0");
    for args in [
        "--help",
        "--version",
        "release --dry-run --snapshot",
        "release --dry-run --snapshot --json",
        "release --snapshot",
        "archive --json",
        "build",
        "image inspect oci:dist/images/tool",
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut tool = world.tool(args.split(' '));
        let child = tool.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args}: {said}");
        let told = said.contains("error: write to stdout: No space left on device");
        assert!(told || args.starts_with("--"), "{args}: {said}");
    }
    assert_whole(&world.dist());
    // Progress that is lost is no failure.
    let mut shell = world.with("sh", ["-c", "exec \"$TOOL\" archive 2>/dev/full"]);
    let archived = ended(shell.env("TOOL", env!("CARGO_BIN_EXE_cargo-dockless")));
    // The archive, its checksums and its SBOM.
    assert_eq!(archived.ends_with(0).stdout.lines().count(), 3);
    run(&mut world.tool(["archive"])).ends_with(0);
}
