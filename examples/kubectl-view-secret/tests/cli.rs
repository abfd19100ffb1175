//! The program as a user meets it, with a fake kubectl first on PATH.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubectl-view-secret");
const FAKE_KUBECTL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake");

/// A directory with what the fake kubectl is to answer.
fn answering(answer: &Value) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("answer"), answer.to_string()).unwrap();
    dir
}

/// The program of that name, to meet the fake kubectl that answers from `dir`.
fn program(name: &str, dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command
        .args(args)
        .env_clear()
        .env("PATH", format!("{FAKE_KUBECTL}:/usr/bin:/bin"))
        .env("FAKE", dir.path())
        .stdin(Stdio::null());
    command
}

fn run(dir: &TempDir, args: &[&str]) -> Output {
    program(PROGRAM, dir, args).output().unwrap()
}

fn secret(kind: &str, data: &[(&str, &[u8])]) -> Value {
    let data = data.iter().map(|(key, value)| (*key, STANDARD.encode(value)));
    let data: BTreeMap<&str, String> = data.collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": { "name": "db", "namespace": "prod", "labels": { "a": "b" } },
        "data": data,
    })
}

fn pair() -> Value {
    secret("Opaque", &[("user", b"admin"), ("password", b"s3cret\n")])
}

fn single() -> Value {
    secret("Opaque", &[("token", b"t0ken")])
}

fn list(names: &[&str]) -> Value {
    let items = names.iter().map(|name| {
        let mut item = pair();
        item["metadata"]["name"] = (*name).into();
        item
    });
    json!({ "kind": "List", "items": items.collect::<Vec<_>>() })
}

/// A Helm release whose text is `text`.
fn helm(text: &[u8]) -> Value {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    let release = STANDARD.encode(encoder.finish().unwrap());
    secret("helm.sh/release.v1", &[("release", release.as_bytes())])
}

/// That `args` succeed with exactly this stdout and stderr.
fn shows(answer: Value, args: &[&str], stdout: &[u8], stderr: &str) {
    let output = run(&answering(&answer), args);
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr, "{args:?}");
    assert_eq!(output.stdout, stdout, "{args:?}");
    assert_eq!(output.status.code(), Some(0), "{args:?}");
}

/// That `args` end with exit code 1, nothing on stdout and this error.
fn fails(answer: Value, args: &[&str], error: &str) {
    let output = run(&answering(&answer), args);
    let error = format!("error: {error}\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), error, "{args:?}");
    assert_eq!(output.stdout, b"", "{args:?}");
    assert_eq!(output.status.code(), Some(1), "{args:?}");
}

#[test]
fn what_is_shown_is_decided_in_order() {
    let both = b"password='s3cret\n'\nuser='admin'\n";
    let note = "Viewing only available key: token\n";
    let empty = || secret("Opaque", &[]);
    let dataless = json!({ "metadata": { "name": "db" }, "type": "Opaque" });

    fails(empty(), &["db"], "secret is empty");
    fails(empty(), &["db", "-a"], "secret is empty");
    fails(dataless, &["db", "key"], "secret is empty");
    shows(pair(), &["db", "-a"], both, "");
    shows(pair(), &["db", "user", "--all", "--quiet"], both, "");
    shows(single(), &["db", "-a"], b"t0ken\n", "");
    shows(single(), &["db"], b"t0ken\n", note);
    shows(single(), &["db", "nope"], b"t0ken\n", note);
    shows(single(), &["db", "-q"], b"t0ken\n", "");
    shows(pair(), &["db", "user"], b"admin\n", "");
    shows(pair(), &["db", "password"], b"s3cret\n\n", "");

    let error = "provided key not found in secret\navailable: password, user";
    fails(pair(), &["db", "nope"], error);
    let error = "no terminal to choose on; name a KEY, or give --all\navailable: password, user";
    fails(pair(), &["db"], error);
    let error = "no terminal to choose on; name the SECRET\navailable: db, web";
    fails(list(&["db", "web"]), &["-a"], error);
    fails(list(&[]), &[], "no secrets found");
}

#[test]
fn each_type_is_decoded_its_own_way() {
    let one = |kind, value| secret(kind, &[("k", value)]);
    let json = br#"{"auths":{"r":{}}}"#;
    let indented = b"{\n  \"auths\": {\n    \"r\": {}\n  }\n}\n";
    // Wrapped and ended as `base64` does: echo helm-test | gzip | base64 | base64.
    let mut piped = one("helm.sh/release.v1", b"");
    piped["data"]["k"] = "SDRzSUFGb2FlR2NBQTh0SXpjblZMVWt0THVFQ0FQdWt3aHdLQUFBQQo=".into();
    let broken = |kind| {
        let mut secret = one(kind, b"");
        secret["data"]["k"] = "no base64!".into();
        secret
    };
    let args = ["db", "-q"];

    shows(helm(b"{\"name\":\"web\"}"), &args, b"{\"name\":\"web\"}\n", "");
    shows(piped, &args, b"helm-test\n\n", "");
    shows(one("kubernetes.io/dockerconfigjson", json), &args, indented, "");
    shows(one("kubernetes.io/dockercfg", json), &args, indented, "");
    shows(one("kubernetes.io/dockercfg", b"not json"), &args, b"not json\n", "");
    shows(one("kubernetes.io/tls", b"PEM"), &args, b"PEM\n", "");
    shows(one("acme.example/odd", b"v"), &args, b"v\n", "");
    shows(one("Opaque", b"\xff\x00\xfe"), &args, b"\xff\x00\xfe", "");
    let several = secret("Opaque", &[("a", b"\xff\x00"), ("b", "ü".as_bytes())]);
    shows(several, &["db", "-a"], b"a='\xff\x00'\nb='\xc3\xbc'\n", "");

    let fails = |answer, key, error: &str| {
        let error = format!("cannot decode key {key:?} of secret \"db\": {error}");
        fails(answer, &args, &error);
    };
    let bomb = helm(&vec![0; (64 << 20) + 1]);
    fails(bomb, "release", "larger than 64 MiB when decompressed");
    let raw = one("helm.sh/release.v1", b"bm8gZ3ppcCBhdCBhbGw=");
    fails(raw, "k", "not a gzip stream: invalid gzip header");
    let invalid = "not base64: Invalid symbol 32, offset 2.";
    fails(broken("kubernetes.io/tls"), "k", invalid);
    let unknown = format!("unknown secret type \"acme.example/odd\": {invalid}");
    fails(broken("acme.example/odd"), "k", &unknown);
}

const JSON: &str = r#"{
  "data": [
    {
      "key": "blob",
      "value": "//4=",
      "encoding": "base64"
    },
    {
      "key": "cert",
      "value": "-----BEGIN-----\nMII=\n"
    },
    {
      "key": "octal",
      "value": "0123"
    }
  ],
  "name": "db",
  "namespace": "prod",
  "type": "Opaque"
}
"#;

const YAML: &str = r#"data:
    - key: blob
      value: "//4="
      encoding: base64
    - key: cert
      value: |
          -----BEGIN-----
          MII=
    - key: octal
      value: "0123"
name: db
namespace: prod
type: Opaque
"#;

#[test]
fn json_and_yaml_carry_the_whole_document() {
    let cert = b"-----BEGIN-----\nMII=\n";
    let three = || secret("Opaque", &[("blob", b"\xff\xfe"), ("cert", cert), ("octal", b"0123")]);
    shows(three(), &["db", "-a", "-o", "json"], JSON.as_bytes(), "");
    shows(three(), &["db", "-a", "--output=yaml"], YAML.as_bytes(), "");
    let one =
        b"data:\n    - key: user\n      value: admin\nname: db\nnamespace: prod\ntype: Opaque\n";
    shows(pair(), &["db", "user", "-oyaml"], one, "");
}

#[test]
fn an_answer_that_is_no_secret_is_an_error() {
    let error = "cannot read kubectl's answer as a secret: ";
    let length = "invalid length 0, expected struct Secret with 3 elements at line 1 column 2";
    fails(json!([]), &["db"], &format!("{error}{length}"));
    fails(json!({}), &["db"], &format!("{error}missing field `metadata` at line 1 column 2"));
    fails(json!({}), &[], &format!("{error}missing field `items` at line 1 column 2"));
}

#[test]
fn kubectl_gets_every_word_as_typed() {
    let cases: [(&[&str], &str); 4] = [
        (&["db", "user"], "[get][secret][db][-o][json]\n"),
        (
            &["db", "-a", "-n", "x y", "-c", "$(id)"],
            "[get][secret][db][-o][json][--namespace=x y][--context=$(id)]\n",
        ),
        (
            &["-k/a b", "--as=u", "--as-group", "g1,g2", "--as-group=-g3"],
            "[get][secret][-o][json][--kubeconfig=/a b][--as=u][--as-group=g1,g2][--as-group=-g3]\n",
        ),
        (
            &["a b;c", "-a", "--namespace=--all"],
            "[get][secret][a b;c][-o][json][--namespace=--all]\n",
        ),
    ];
    for (args, expected) in cases {
        let dir = answering(&pair());
        run(&dir, args);
        let arguments = fs::read_to_string(dir.path().join("arguments")).unwrap();
        assert_eq!(arguments, expected, "{args:?}");
    }
}

#[test]
fn a_wrong_command_line_is_told_before_kubectl_is_run() {
    let cases: [(&[&str], &str); 6] = [
        (&["a", "b", "c"], "unexpected argument 'c'"),
        (&["db", "--nope"], "unexpected argument '--nope'"),
        (&["-o", "xml"], "[possible values: text, json, yaml]"),
        (&["--", "-A"], "a secret's name cannot begin with '-'"),
        (&["db", "-n"], "a value is required for '--namespace <NS>'"),
        (&["db", "--completion=zsh"], "'--completion <SHELL>' cannot be"),
    ];
    for (args, expected) in cases {
        let dir = answering(&pair());
        let output = run(&dir, args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        let ran = dir.path().join("arguments").exists();
        assert!(!ran, "{args:?} reached kubectl");
    }
}

#[test]
fn kubectl_s_own_error_is_passed_on() {
    let dir = answering(&pair());
    let failure = "Error from server (NotFound): secrets \"db\" not found\n";
    fs::write(dir.path().join("failure"), failure).unwrap();
    let output = run(&dir, &["db"]);
    let expected = format!("{failure}error: kubectl get secret failed (exit status: 1)\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
}

#[test]
fn a_missing_kubectl_is_said() {
    let dir = TempDir::new().unwrap();
    let output = program(PROGRAM, &dir, &["db"]).env("PATH", dir.path()).output().unwrap();
    let expected =
        "error: kubectl is not on PATH; install it: https://kubernetes.io/docs/tasks/tools/\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let dir = answering(&secret("Opaque", &[("big", &[b'x'; 500_000])]));
    let mut command = program(PROGRAM, &dir, &["db", "-q"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        eprintln!("skipped: no /dev/full here");
        return;
    };
    let dir = answering(&single());
    let output = program(PROGRAM, &dir, &["db", "-q"]).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "error: cannot write the output: No space left on device";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn version_and_help_need_no_kubectl() {
    let dir = TempDir::new().unwrap();
    let output = run(&dir, &["--version"]);
    let version = option_env!("DOCKLESS_VERSION").unwrap_or(env!("CARGO_PKG_VERSION"));
    let expected = format!("kubectl-view-secret {version}\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let output = run(&dir, &["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    let expected = "Usage: kubectl view-secret [OPTIONS] [SECRET] [KEY]";
    assert!(help.contains(expected), "{help}");
    assert!(!dir.path().join("arguments").exists());
}

#[test]
fn kubectl_and_the_shells_complete() {
    let dir = answering(&pair());
    let completer = format!("{}/kubectl_complete-view_secret", dir.path().display());
    symlink(PROGRAM, &completer).unwrap();
    let secret = pair().to_string();
    let cases: [(&str, &[&str], &str); 9] = [
        ("secret/db\nsecret/web\n", &[""], "db\nweb\n:4\n"),
        ("secret/db\nsecret/web\n", &["-n", "prod", "w"], "web\n:4\n"),
        ("namespace/dev\n", &["db", "-n", ""], "dev\n:4\n"),
        ("arn:a/x\nkind\n", &["--context", "a"], "arn:a/x\n:4\n"),
        (&secret, &["db", ""], "password\nuser\n:4\n"),
        (&secret, &["db", "user", ""], ":4\n"),
        ("", &["-o", ""], "text\njson\nyaml\n:4\n"),
        ("", &["db", "--as"], "--as\n--as-group\n:4\n"),
        ("", &["-k", ""], ":0\n"),
    ];
    for (answer, words, expected) in cases {
        fs::write(dir.path().join("answer"), answer).unwrap();
        let output = program(&completer, &dir, words).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found, expected, "{words:?}");
    }
    let arguments = fs::read_to_string(dir.path().join("arguments")).unwrap();
    let expected = "[get][secrets][-o][name]\n[get][secrets][-o][name][--namespace=prod]\n\
                    [get][namespaces][-o][name]\n[config][get-contexts][-o][name]\n[get][secret][db][-o][json]\n";
    assert_eq!(arguments, expected);

    for (shell, expected) in
        [("bash", "complete -F"), ("zsh", "#compdef kubectl-view-secret"), ("fish", "complete -c")]
    {
        let output = run(&dir, &["--completion", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains(expected), "{shell}: {script}");
    }
}

/// Runs the program on a pseudo-terminal, types `keys` once it asks, and
/// returns its exit code and stdout. The terminal must be left as it was.
fn on_terminal(answer: &Value, args: &str, keys: &[u8]) -> (Option<i32>, String) {
    let dir = answering(answer);
    let line = format!(
        "cd {dir:?}; stty -a >before; {PROGRAM:?} {args} >stdout; code=$?; stty -a >after; exit $code",
        dir = dir.path(),
    );
    let mut command = program("script", &dir, &["-qfec", &line, "/dev/null"]);
    command
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("Esc to leave") {
        let mut chunk = [0; 1024];
        let count = screen.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "ended without asking: {shown:?}");
        shown.extend(&chunk[..count]);
    }
    // The question is on the screen an instant before the terminal is raw.
    std::thread::sleep(Duration::from_millis(300));
    child.stdin.as_mut().unwrap().write_all(keys).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let code = child.wait().unwrap().code();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("before"), read("after"), "{args} {keys:?}");
    let hidden_cursor = String::from_utf8_lossy(&shown).contains("\x1b[?25l");
    assert!(!hidden_cursor, "{args} {keys:?}");
    (code, read("stdout"))
}

#[test]
fn a_choice_is_made_on_the_terminal() {
    let script = Command::new("script").arg("--version").output();
    if !script.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux")) {
        eprintln!("skipped: the terminal is made by util-linux's script, which is not here");
        return;
    }
    let all = "password='s3cret\n'\nuser='admin'\n";
    let cases = [
        (pair(), "db", "\r", Some(0), all),
        (pair(), "db", "\x1b[B\x1b[B\r", Some(0), "admin\n"),
        (pair(), "db", "Pass\r", Some(0), "s3cret\n\n"),
        (list(&["db", "web"]), "-a", "\x1b[B\r", Some(0), all),
        (pair(), "db", "\x1b", Some(1), ""),
        (pair(), "db", "\x03", Some(1), ""),
    ];
    for (answer, args, keys, code, stdout) in cases {
        let ended = on_terminal(&answer, args, keys.as_bytes());
        assert_eq!(ended, (code, stdout.to_owned()), "{args} {keys:?}");
    }
    let (code, stdout) = on_terminal(&list(&["db", "web"]), "-o json", b"web\r\r");
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &document["name"]), (Some(0), &json!("web")));
}
