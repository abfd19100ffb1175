use super::*;

fn env(vars: &[(&str, &str)]) -> Env {
    Env::scrub(vars.iter().map(|(name, value)| (name.into(), value.into())))
}

#[test]
fn what_the_outer_cargo_sets_does_not_reach_children() {
    let env = env(&[
        ("CARGO", "/x/cargo"),
        ("CARGO_PKG_NAME", "xtask"),
        ("CARGO_MANIFEST_DIR", "/x"),
        ("GIT_DIR", "/elsewhere/.git"),
        ("CARGO_HOME", "/home"),
        ("CARGO_TARGET_DIR", "/t"),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "ld"),
        ("CARGO_ENCODED_RUSTFLAGS", "-g"),
        ("RUSTC_WRAPPER", "sccache"),
    ]);
    let names: Vec<_> = env.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    let kept = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_HOME",
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER",
        "CARGO_TARGET_DIR",
        "LC_ALL",
        "RUSTC_WRAPPER",
    ];
    assert_eq!(names, kept);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "doors know nothing of each other")]
fn a_pinned_toolchain_wins_over_the_outer_cargos_but_not_over_the_users() {
    let dir = tempfile::tempdir().unwrap();
    let pinned = dir.path().join("rust-toolchain.toml");
    let nested = env(&[("CARGO", "/x/cargo"), ("RUSTUP_TOOLCHAIN", "stable")]);
    let direct = env(&[("RUSTUP_TOOLCHAIN", "stable")]);
    assert_eq!(nested.for_project(dir.path()).get("RUSTUP_TOOLCHAIN"), Some(OsStr::new("stable")));
    std::fs::write(&pinned, "[toolchain]\nchannel = \"1.90\"\n").unwrap();
    assert_eq!(nested.for_project(dir.path()).get("RUSTUP_TOOLCHAIN"), None);
    assert_eq!(direct.for_project(dir.path()).get("RUSTUP_TOOLCHAIN"), Some(OsStr::new("stable")));
}

#[test]
fn a_command_line_is_shown_as_one_would_type_it() {
    let env = env(&[]);
    let program =
        Program::new("git", Path::new("/"), &env).args(["log", "a b", "it's", "v1;id", ""]);
    assert_eq!(program.to_string(), r"git log 'a b' 'it'\''s' 'v1;id' ''");
}

#[cfg(unix)]
#[test]
fn a_failure_names_command_status_and_reason() {
    let env = env(&[("PATH", "/usr/bin:/bin")]);
    let dir = Path::new("/");
    let error = Program::new("sh", dir, &env).args(["-c", "echo no luck >&2; exit 3"]).read();
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("`sh -c 'echo no luck >&2; exit 3'` failed (exit status: 3):\nno luck"),
        "{error}"
    );
    let error = Program::new("no-such-program", dir, &env).read().unwrap_err();
    assert!(format!("{error:#}").contains("start `no-such-program`"), "{error:#}");
}

#[cfg(unix)]
#[test]
fn a_program_that_hangs_is_stopped() {
    let env = env(&[("PATH", "/usr/bin:/bin")]);
    // The grandchild keeps the pipe open after its parent is gone.
    let program = Program::new("sh", Path::new("/"), &env).args(["-c", "sleep 30 & sleep 30"]);
    let error = program.time_out(Duration::from_millis(50)).read().unwrap_err().to_string();
    assert!(error.contains("did not end within 0 s and was stopped"), "{error}");
}

/// Whether a process is there and has not ended.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "doors know nothing of each other")]
fn lives(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::disallowed_methods, reason = "doors know nothing of each other")]
fn a_confined_program_ends_with_all_that_it_started() {
    let env = env(&[("PATH", "/usr/bin:/bin")]);
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 60 & echo $! > pid; echo $$ >> pid; wait";
    let program = Program::new("sh", dir.path(), &env).args(["-c", script]);
    let error = program.confined(Duration::from_secs(1), 100).output().unwrap_err();
    assert!(error.is::<TimedOut>(), "{error:#}");
    let pids = std::fs::read_to_string(dir.path().join("pid")).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        // The signal was sent; that it is acted on takes a moment.
        let ended = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !lives(pid)
        });
        assert!(ended, "{pid} lives on");
    }
}

#[cfg(unix)]
#[test]
fn of_what_a_confined_program_prints_no_more_than_the_limit_is_kept() {
    let env = env(&[("PATH", "/usr/bin:/bin")]);
    let run = |limit| {
        let program = Program::new("sh", Path::new("/"), &env).args(["-c", "echo 1234; yes"]);
        program.confined(Duration::from_secs(20), limit).output().unwrap()
    };
    let output = run(3);
    assert_eq!((&*output.stdout, output.status.success()), (&b"1234"[..], false));
}
