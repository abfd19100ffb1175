//! Runs of the tool under strace, which ends them, or has the system refuse them something,
//! at a call of a kind.

use std::process::{Command, Output};

use super::{World, judge, run, skipped};

/// The calls that write a file; `?` is for those that a processor's kernel lacks.
pub const WRITES: &str = "?write,?writev,?pwrite64,?copy_file_range,?sendfile,?ftruncate";

/// Options by which the tool's threads are met, and no program that it starts.
pub const THREADS: [&str; 3] = ["-f", "-b", "execve"];

/// Of the writes of a thread, counted from 1, more of the first ones than of the later.
pub fn some_writes() -> impl Iterator<Item = u32> {
    (1..60).map(|step| step * (step + 1) / 2)
}

/// That strace is there and may trace. Where the system forbids that, a test is skipped,
/// aloud; a strace that is broken is a failure, and in CI one that is missing.
pub fn may_trace(world: &World) -> bool {
    if cfg!(not(target_os = "linux")) {
        skipped("strace is Linux's own");
        return false;
    }
    if judge("strace").is_none() {
        return false;
    }
    let probe = run(&mut world.with("strace", ["-f", "-qq", "-o", "/dev/null", "true"]));
    let forbidden = ["Operation not permitted", "Permission denied", "Function not implemented"];
    if probe.code != Some(0)
        && probe.stderr.to_lowercase().contains("ptrace")
        && forbidden.iter().any(|why| probe.stderr.contains(why))
    {
        skipped(&format!("nobody may trace here: {}", probe.stderr.trim()));
        return false;
    }
    probe.ends_with(0);
    true
}

/// A run of the tool into whose calls strace injects what `inject` says.
/// <https://man7.org/linux/man-pages/man1/strace.1.html> (`-e inject`)
pub fn injected(world: &World, options: &[&str], inject: &str, args: &str) -> Command {
    let tool = world.tool(args.split(' '));
    let mut strace = world.with("strace", options);
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]);
    strace.arg(tool.get_program()).args(tool.get_args());
    strace
}

/// How a run ended into which kills were injected: `true` where it was killed. What is
/// neither that nor one of the codes is a failure of strace's, or of the tool's.
#[track_caller]
pub fn is_killed(output: &Output, codes: &[i32], what: &str) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let killed = output.status.signal() == Some(9);
    let ended = output.status.code().is_some_and(|code| codes.contains(&code));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed || ended, "{what}: {}\n{said}", output.status);
    killed
}
