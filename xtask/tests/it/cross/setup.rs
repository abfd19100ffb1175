//! `setup --zig`: what pip does, and what is left where it does not.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{COMPILERS, with_path};
use crate::world::running::says_that_it_waits;
use crate::world::{Run, World, names, run};

/// The version that is installed, and no other.
const VERSION: &str = "0.17.1";

/// A Python whose pip notes its arguments, one a line, and then does `pip` with
/// `$to`, the folder that it is to install into.
fn python(world: &World, pip: &str) -> OsString {
    let script = format!(
        "case $2 in\n*find_spec*) exit 1 ;;\nesac\n\
         [ \"$3\" = --version ] && exit 0\nprintf '%s\\n' \"$@\" >> \"$LOG\"\n\
         while [ $# -gt 1 ]; do\n  [ \"$1\" = --target ] && to=$2\n  \
         [ \"$1\" = --requirement ] && cat \"$2\" > \"$LOG.requirements\"\n  shift\ndone\n{pip}\n"
    );
    world.script("python/python3", &script);
    world.before("python", &world.without(&COMPILERS))
}

/// What pip does when all goes well: a zig of this version.
fn installs(version: &str) -> String {
    format!(
        "mkdir \"$to/ziglang\"\nprintf '#!/bin/sh\\necho {version}\\n' > \"$to/ziglang/zig\"\n\
         chmod +x \"$to/ziglang/zig\""
    )
}

fn set_up(world: &World, path: &OsString) -> Run {
    run(&mut setting_up(world, path))
}

fn setting_up(world: &World, path: &OsString) -> Command {
    let mut tool = world.tool(["setup", "--zig"]);
    tool.env("PATH", path).env("LOG", world.outside("pip.log"));
    tool
}

/// The folder of installed programs.
fn tools(world: &World) -> PathBuf {
    world.outside("cache/tools")
}

#[test]
fn pip_installs_zig_once_and_by_its_digest() {
    // No shell reads the folder's name.
    let world = World::empty();
    let cache = world.outside("it's $(touch pwned); & \"x\"");
    let path = python(&world, &installs(VERSION));
    let log = world.outside("pip.log");
    let call = |args: &str| {
        let mut tool = world.tool(args.split(' '));
        run(tool.env("PATH", &path).env("LOG", &log).env("DOCKLESS_CACHE", &cache))
    };
    let first = call("setup --zig");
    let zig = cache.join(format!("tools/zig-{VERSION}/ziglang/zig"));
    assert_eq!(first.ends_with(0).line(), zig.to_str().unwrap());
    first.says(&format!("zig {VERSION} (pip install ziglang), some 100 MB"));
    assert!(zig.is_file());
    assert!(!world.path("pwned").exists() && !world.outside("pwned").exists());
    let calls = fs::read_to_string(&log).unwrap();
    let args: Vec<&str> = calls.lines().collect();
    assert_eq!(args[..3], ["-m", "pip", "install"]);
    for arg in ["--require-hashes", "--no-deps", "--no-input"] {
        assert!(args.contains(&arg), "{arg} in {args:?}");
    }
    let to = args[args.iter().position(|arg| *arg == "--target").unwrap() + 1];
    assert!(to.starts_with(cache.to_str().unwrap()), "{to}");
    let requirements = fs::read_to_string(world.outside("pip.log.requirements")).unwrap();
    let (package, hashes) = requirements.trim().split_once(' ').unwrap();
    assert_eq!(package, format!("ziglang=={VERSION}"));
    for hash in hashes.split_whitespace() {
        let digest = hash.strip_prefix("--hash=sha256:").unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    }
    // What is there is not installed again, and needs no network.
    for args in ["setup --zig", "setup --zig --offline"] {
        assert_eq!(call(args).ends_with(0).line(), zig.to_str().unwrap());
    }
    assert_eq!(fs::read_to_string(&log).unwrap(), calls, "pip was called once");
    let printed = call("setup --zig --json");
    assert_eq!(printed.ends_with(0).json()["zig"]["version"], VERSION);
    // One that somebody spoilt is installed anew.
    fs::write(&zig, "#!/bin/sh\nexit 1\n").unwrap();
    assert_eq!(call("setup --zig").ends_with(0).line(), zig.to_str().unwrap());
    assert!(fs::read_to_string(&zig).unwrap().contains(VERSION));
    assert_eq!(names(&cache.join("tools")), [format!("zig-{VERSION}")]);
}

#[test]
fn what_keeps_pip_from_installing_is_said_and_leaves_nothing() {
    let world = World::empty();
    let by_hand = "put zig on PATH yourself (https://ziglang.org/download)\n";
    for (pip, error, help) in [
        (
            "echo 'WARNING: Retrying (Retry(total=0)) after connection broken' >&2\n\
             echo 'ERROR: Could not find a version that satisfies the requirement ziglang==0.17.1' >&2\n\
             echo 'ERROR: No matching distribution found for ziglang==0.17.1' >&2\nexit 1"
                .to_owned(),
            "error: install zig with pip: `python3 -m pip install ",
            "  help: see that pip reaches PyPI (PIP_INDEX_URL names a mirror), or ",
        ),
        (
            "echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.' >&2\nexit 1"
                .to_owned(),
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n",
            "  help: ",
        ),
        (
            "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2\nexit 1".to_owned(),
            "No space left on device",
            "  help: ",
        ),
        (
            installs("0.1.0"),
            "error: pip installed zig 0.1.0, not 0.17.1\n",
            "  help: ",
        ),
        (
            installs("hello"),
            "error: try the zig that pip installed: `zig version` says \"hello\"",
            "",
        ),
        (
            "mkdir \"$to/ziglang\"".to_owned(),
            "error: try the zig that pip installed: start `",
            "  help: ",
        ),
        (
            "mkdir \"$to/ziglang\"\necho half > \"$to/ziglang/zig\"\nkill -9 $$".to_owned(),
            "failed (signal: 9 (SIGKILL))",
            "  help: ",
        ),
    ] {
        let failed = set_up(&world, &python(&world, &pip));
        failed.ends_with(1).no_result().says(error).says(help);
        if help.starts_with("  help: see") {
            failed.says("Could not find a version that satisfies the requirement ziglang==0.17.1\n");
            failed.says(by_hand);
        }
        assert_eq!(names(&tools(&world)), [""; 0], "{error}");
    }
    let offline = with_path(&world, "setup --zig --offline", &python(&world, "exit 0"));
    offline.ends_with(1).no_result();
    offline.says("error: install zig: it comes from PyPI, and --offline forbids downloading it\n");
    offline.says(&format!("  help: {by_hand}"));
    // After all that it still works.
    set_up(&world, &python(&world, &installs(VERSION))).ends_with(0).line();
}

#[test]
fn python_or_pip_that_is_missing_is_named() {
    let world = World::empty();
    let without = set_up(&world, &world.without(&COMPILERS));
    without.ends_with(1).no_result();
    without.says("error: install zig: python3 is not on PATH, and pip comes with it\n");
    without.says("  help: install python3 and pip, or put zig on PATH yourself");
    let script = "echo \"/usr/bin/python3: No module named pip\" >&2\nexit 1\n";
    let python = world.script("python/python3", script);
    let path = world.before("python", &world.without(&COMPILERS));
    let no_pip = set_up(&world, &path);
    no_pip.ends_with(1).no_result();
    no_pip.says(&format!("error: install zig: {} has no pip\n", python.display()));
    no_pip.says("  help: install pip (Debian: `apt install python3-pip`), or put zig on PATH");
    if tools(&world).exists() {
        assert_eq!(names(&tools(&world)), [""; 0]);
    }
}

/// The tool itself is killed while pip works, and run again.
#[test]
fn an_install_that_was_killed_is_made_again() {
    let world = World::empty();
    let pip = "mkdir \"$to/ziglang\"\necho half > \"$to/ziglang/zig\"\nkill -9 $PPID";
    assert_eq!(set_up(&world, &python(&world, pip)).code, None);
    let left = names(&tools(&world));
    assert!(left.iter().all(|name| name.starts_with('.')), "nothing that is used: {left:?}");
    let second = set_up(&world, &python(&world, &installs(VERSION)));
    let zig = tools(&world).join(format!("zig-{VERSION}/ziglang/zig"));
    assert_eq!(second.ends_with(0).line(), zig.to_str().unwrap());
}

/// The second waits for the first, and takes what that installed.
#[test]
fn two_installs_at_once_both_succeed() {
    let world = World::empty();
    let pip = format!(
        ": > \"$LOG.began\"\nwhile [ ! -e \"$LOG.go\" ]; do sleep 0.1; done\n{}",
        installs(VERSION)
    );
    let path = python(&world, &pip);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| set_up(&world, &path));
        while !world.outside("pip.log.began").exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let mut second = setting_up(&world, &path);
        let second = second.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut second = second.spawn().unwrap();
        let (line, rest) = says_that_it_waits(&mut second);
        let waits = "wait for another dockless that installs zig: process ";
        assert!(line.contains(waits), "{line:?}");
        fs::write(world.outside("pip.log.go"), "").unwrap();
        first.join().unwrap().ends_with(0).never_says("wait");
        let rest: Vec<String> = rest.map(Result::unwrap).collect();
        assert!(!rest.iter().any(|line| line.contains("pip install")), "{rest:?}");
        let second = second.wait_with_output().unwrap();
        assert!(second.status.success(), "{rest:?}");
        assert_eq!(String::from_utf8(second.stdout).unwrap().lines().count(), 1);
    });
    let log = fs::read_to_string(world.outside("pip.log")).unwrap();
    assert_eq!(log.lines().filter(|line| *line == "--target").count(), 1, "{log}");
    assert_eq!(names(&tools(&world)), [format!("zig-{VERSION}")]);
}

/// What somebody put in the place is not replaced.
#[test]
fn what_was_not_installed_here_stays() {
    let world = World::empty();
    let path = python(&world, &installs(VERSION));
    set_up(&world, &path).ends_with(0);
    let zig = tools(&world).join(format!("zig-{VERSION}"));
    fs::remove_dir_all(&zig).unwrap();
    fs::create_dir(&zig).unwrap();
    fs::write(zig.join("photo.jpg"), "precious").unwrap();
    let refused = set_up(&world, &path);
    refused.ends_with(1).no_result().says("was not installed by dockless");
    assert_eq!(names(&zig), ["photo.jpg"]);
    run(&mut world.tool(["clean", "--cache"])).ends_with(1);
    world.package("", "tool", "1.0.0", "").lock();
    world.run("clean --cache").ends_with(0);
    assert_eq!(names(&zig), ["photo.jpg"]);
}

/// A build takes what `setup --zig` installed before what is on PATH.
#[test]
fn what_was_installed_is_what_builds() {
    let world = super::quick();
    let path = python(&world, &installs(VERSION));
    set_up(&world, &path).ends_with(0);
    let plan = with_path(&world, "release --dry-run --snapshot --json", &path);
    let plan = plan.ends_with(0).json();
    assert_eq!(plan["left_out"], serde_json::json!([]));
    assert_eq!(plan["builds"][0]["tools"][crate::world::HOST], "cross");
}
