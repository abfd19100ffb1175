use super::*;
use crate::target::Target;

/// What a call of a shell script wrote: names and contents, or the error with its help.
fn wrote(script: &str, output: Output) -> Result<Vec<(String, String)>, String> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tool");
    files::write_program(&program, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    let plan = GeneratePlan {
        package: "tool".to_owned(),
        bin: "tool".to_owned(),
        target: Some(Target::parse("x86_64-unknown-linux-musl").unwrap()),
        args: vec!["{{ out }}".to_owned()],
        output,
    };
    let env = Env::scrub([("PATH".into(), "/nowhere".into()), ("SECRET".into(), "x".into())]);
    let time = Timestamp::constant(1_700_000_000, 0);
    // Whoever sleeps is not to be waited for; the others get the time of a slow machine.
    let limit = Duration::from_secs(if script.contains("sleep") { 1 } else { 25 });
    let call = Call { plan: &plan, program: &program, time, env: &env, limit };
    let (files, _folder) = twice(&call).map_err(|error| format!("{error:#}"))?;
    let text = |path: &Path| String::from_utf8(files::read(path).unwrap()).unwrap();
    Ok(files.into_iter().map(|file| (file.name, text(&file.path))).collect())
}

fn stdout() -> Output {
    Output::Stdout("tool.bash".to_owned())
}

fn patterns(patterns: &[&str]) -> Output {
    Output::Files(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
}

/// The variables by name, in a world without any of this machine's.
#[test]
fn a_program_is_told_nothing_of_this_machine() {
    let script = "env | sed -n 's/=.*//p' | sort; echo \"$LC_ALL $TZ $NO_COLOR $TERM $COLUMNS \
                  $SOURCE_DATE_EPOCH $DOCKLESS_GENERATE $PATH $https_proxy $ALL_PROXY\"; ls -A \
                  . \"$HOME\" \"$TMPDIR\" \"$XDG_CONFIG_HOME\" \"$1\" | grep -v :; cat";
    let [(name, text)] = &wrote(script, stdout()).unwrap()[..] else { panic!("one file") };
    assert_eq!(name, "tool.bash");
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let last = lines.pop().unwrap();
    let expected =
        "C UTC 1 dumb 80 1700000000 1 /usr/bin:/bin http://127.0.0.1:9 http://127.0.0.1:9";
    assert_eq!(last, expected);
    // What shells add by themselves.
    let shells = ["OLDPWD", "PWD", "SHLVL", "_"];
    lines.retain(|name| !shells.contains(name));
    let expected = [
        "ALL_PROXY",
        "COLUMNS",
        "DOCKLESS_GENERATE",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "LC_ALL",
        "NO_COLOR",
        "PATH",
        "SOURCE_DATE_EPOCH",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
        "all_proxy",
        "http_proxy",
        "https_proxy",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn files_are_taken_by_their_patterns() {
    let script = "echo one > \"$1/a.1\"; echo two > b.1; echo five > c.5; echo said; \
                  echo t > \"$TMPDIR/x\"; echo c > \"$XDG_CACHE_HOME/x\"; mkdir \"$HOME/empty\"";
    let file = |name: &str, text: &str| (name.to_owned(), format!("{text}\n"));
    assert_eq!(
        wrote(script, patterns(&["*.1", "c.?"])).unwrap(),
        [file("a.1", "one"), file("b.1", "two"), file("c.5", "five")]
    );
}

/// Script, what is kept, what the error says.
#[test]
fn each_fault_is_said() {
    let one = || patterns(&["*.1"]);
    for (script, output, expected) in [
        ("echo no luck >&2; exit 3", stdout(), "it failed (exit status: 3):\nno luck"),
        ("exit 3", stdout(), "it failed (exit status: 3)"),
        ("kill -9 $$", stdout(), "it failed (signal: 9 (SIGKILL))"),
        ("true", stdout(), "it printed nothing"),
        ("echo usage >&2", stdout(), "it printed nothing to stdout, and to stderr:\nusage"),
        ("sleep 60 & sleep 60", stdout(), "it did not end within 1 s and was stopped"),
        ("yes", stdout(), "it printed more than 16777216 bytes"),
        ("yes >&2", stdout(), "it printed more than 16777216 bytes"),
        ("true", one(), "nothing that it wrote matches \"*.1\": it wrote no file"),
        (
            "echo a > a.2; echo b > \"$1/b.2\"",
            one(),
            "nothing that it wrote matches \"*.1\": it wrote {{ out }}/b.2, ./a.2",
        ),
        ("echo a > a.1; echo b > b.2", one(), "it writes elsewhere: it wrote ./b.2"),
        ("echo a > a.1; echo b > \"$HOME/.rc\"", one(), "it writes elsewhere: it wrote $HOME/.rc"),
        (
            "echo a; mkdir \"$XDG_CONFIG_HOME/t\"; echo b > \"$XDG_CONFIG_HOME/t/x\"",
            stdout(),
            "it writes elsewhere: it wrote $XDG_CONFIG_HOME/t/",
        ),
        ("echo a; echo b > b", stdout(), "it writes elsewhere: it wrote ./b"),
        ("ln -s /etc/passwd a.1", one(), "./a.1 is a link, but a file was expected"),
        ("mkdir a.1", one(), "./a.1 is a folder, but a file was expected"),
        ("mkfifo a.1", one(), "./a.1 is not a regular file, but a file was expected"),
        ("echo a > \"$(printf 'a\\377.1')\"", one(), "whose name is not UTF-8"),
        ("echo a > 'a:b.1'", one(), "it wrote \"./a:b.1\", which cannot go into an archive: "),
        ("echo a > a.1; echo b > \"$1/a.1\"", one(), "it wrote a.1 both into {{ out }} and where"),
        ("for i in $(seq 1001); do echo a > $i.1; done", one(), "it wrote more than 1000 files"),
        ("head -c 16777217 /dev/zero > a.1", one(), "./a.1 is larger than 16777216 bytes"),
        (
            "echo same; date +%N",
            stdout(),
            "two runs gave different bytes: tool.bash differs from offset ",
        ),
        ("echo $0", stdout(), "two runs gave different bytes: tool.bash differs from offset "),
        ("n=$(date +%N); echo a > a.1; echo b > $n.1", one(), "only one of two runs wrote "),
    ] {
        let error = wrote(script, output).unwrap_err();
        assert!(error.contains(expected), "{script}: {error}");
    }
}
