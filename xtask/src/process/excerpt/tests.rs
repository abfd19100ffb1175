use super::*;

/// Frames of a backtrace as Rust prints them, more than an excerpt has lines.
fn frames() -> String {
    let frame =
        |at| format!("  {at:>2}: a::b::{{{{closure}}}}\n             at ./src/a.rs:{at}:5\n");
    (0..40).map(frame).collect()
}

#[test]
fn what_programs_say_of_why_they_failed_is_kept() {
    let frames = frames();
    let backtrace = format!("Stack backtrace:\n{frames}");
    let rustup = "error: toolchain '1.98.0-x86_64-unknown-linux-gnu' is not installed\n\
                  help: run `rustup toolchain install` to install it";
    let panic = "thread 'main' (7) panicked at src/main.rs:1:78:\n\
                 called `Result::unwrap()` on an `Err` value: \"no luck\"";
    let rustc = "error[E0308]: mismatched types\n --> e.rs:1:24\n  |\n1 | let x: u8 = \"a\";\n  \
                 |        --   ^^^ expected `u8`, found `&str`";
    let lld = "rust-lld: error: undefined symbol: f\n>>> referenced by n.c:1";
    let ld = "/usr/bin/ld: n.o: in function `main':\nn.c:(.text+0xa): undefined reference to `f'\n\
              collect2: error: ld returned 1 exit status";
    let npm = "npm error code ENOENT\nnpm error path /x/package.json\nnpm error errno -2";
    let node = "<anonymous_script>:1\nx\n^\nSyntaxError: Unexpected token 'x'";
    let calls = "    at JSON.parse (<anonymous>)\n    at [eval]:1:6\n    at f (node:vm:209:10)\n";
    for (stderr, expected) in [
        // rustup, without and with a backtrace, and its colours.
        (format!("{rustup}\n"), rustup),
        (format!("{rustup}\n\n{backtrace}"), rustup),
        (format!("\x1b[1m\x1b[91merror\x1b[0m\x1b[1m:\x1b[0m {}\n\n{backtrace}", &rustup[7..]), rustup),
        // A panic: place, words and no frames.
        (format!("\n{panic}\nstack backtrace:\n{frames}note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n"), panic),
        (format!("{panic}\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"), panic),
        // color-eyre's title.
        (format!("Error: no luck\n\n  ━━━━━━━━━━ BACKTRACE ━━━━━━━━━━\n{frames}"), "Error: no luck"),
        (format!("\n{rustc}\n\n"), rustc),
        (format!("{lld}\n"), lld),
        (format!("{ld}\n"), ld),
        ("fatal: not a git repository (or any of the parent directories): .git\n".into(),
         "fatal: not a git repository (or any of the parent directories): .git"),
        (format!("{npm}\n"), npm),
        (format!("{node}\n{calls}"), node),
        ("panic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/g.go:2 +0x28\n\nexit status 2\n".into(),
         "panic: assignment to entry in nil map\nexit status 2"),
        ("Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n    return d(s)\n           ^^^^\nValueError: no luck\n".into(),
         "ValueError: no luck"),
        // A bar that was drawn again and again, and lines that end as on Windows.
        ("Fetching 1%\rFetching 99%\rerror: no luck\r\nhelp: try\r\n".into(), "error: no luck\nhelp: try"),
        // What is no error's is shown where there is nothing else.
        ("checking a\nb is missing\n".into(), "checking a\nb is missing"),
        ("  at dawn\n".into(), "  at dawn"),
        ("stack backtrace:\n   0: main\n".into(), "stack backtrace:\n   0: main"),
        ("\x1b]0;title\x07a\u{8}b\0\n".into(), "ab"),
        ("\n \n\t\n".into(), ""),
    ] {
        assert_eq!(excerpt(&stderr), expected, "{stderr}");
    }
}

#[test]
fn an_error_among_many_lines_is_kept_with_what_belongs_to_it() {
    let many: String = (0..100).map(|at| format!("   Compiling a{at} v1.0.0\n")).collect();
    let cargo = "error: failed to get `x` as a dependency of package `c v0.1.0`\n\n\
                 Caused by:\n  unable to update http://127.0.0.1:1/x\n\n\
                 Caused by:\n  failed to connect to 127.0.0.1: Connection refused; class=Os (2)\n";
    for error in [
        cargo,
        "error: toolchain '1.98.0' is not installed\n",
        "thread 'main' panicked at src/main.rs:1:78:\nassertion `left == right` failed: no luck\n  left: 1\n right: 2\n",
        "x.c:1:10: fatal error: nothing.h: No such file or directory\n    1 | #include <nothing.h>\n",
        "CMake Error at CMakeLists.txt:3 (find_package):\n  could not find X\n",
        "make: *** [Makefile:3: all] Error 2\n",
        "cc1: ERROR: no luck\n",
    ] {
        let said = excerpt(&format!("{many}{error}{many}"));
        for line in error.lines().filter(|line| !line.is_empty()) {
            assert!(said.lines().any(|it| it == line), "{line:?} is lost:\n{said}");
        }
        assert_eq!(said.lines().count(), 16);
        assert!(said.ends_with("Compiling a99 v1.0.0"), "{said}");
    }
}

#[test]
fn an_excerpt_is_bounded_and_in_order() {
    let errors: String = (0..1000).map(|at| format!("error: number {at}\n")).collect();
    let said = excerpt(&errors);
    let numbers = (0..8).chain(992..1000).map(|at| format!("error: number {at}"));
    assert_eq!(said.lines().collect::<Vec<_>>(), numbers.collect::<Vec<_>>());
    // Counted in characters, and never cut within one.
    let long = excerpt(&format!("error: {}", "é".repeat(10_000)));
    assert_eq!(long.chars().count(), 401);
    assert!(long.ends_with('…'));
    assert_eq!(excerpt(&"x\n".repeat(1000)).lines().count(), 16);
}
