//! What is said, and to whom: logins in addresses to nobody, orders to no terminal and no
//! runner of workflows.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::world::{HOST, Run, World, contents, run};

const SECRET: &str = "s3cr3t-canary";

#[track_caller]
fn says_no_secret(run: &Run, what: &str) {
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(SECRET), "{what}:\n{text}");
    }
}

/// The login of the advisories' repository is known to git alone, by no argument.
#[test]
fn a_login_for_advisories_is_no_argument_and_is_not_said() {
    let world = World::committed("1.0.0");
    let log = world.outside("log");
    let script = format!(
        "case \"$*\" in *clone*) ;; *) PATH=${{PATH#*:}} exec git \"$@\";; esac\n\
         for a; do echo \"arg $a\"; done >> {log:?}\nenv >> {log:?}\n\
         echo \"fatal: unable to access 'https://u:{SECRET}@127.0.0.1:1/db/'\" >&2\nexit 128\n"
    );
    world.script("bin/git", &script);
    let encoded = |login: &str| STANDARD.encode(login);
    for (address, argument, header) in [
        (
            format!("https://u:{SECRET}@127.0.0.1:1/db"),
            "https://127.0.0.1:1/db",
            format!("u:{SECRET}"),
        ),
        (
            format!("https://{SECRET}@127.0.0.1:1/db"),
            "https://127.0.0.1:1/db",
            format!("{SECRET}:"),
        ),
        (
            format!("http://u:{SECRET}%40%2F@127.0.0.1:1/db"),
            "http://127.0.0.1:1/db",
            format!("u:{SECRET}@/"),
        ),
        (format!("https://127.0.0.1:1/db?token={SECRET}"), "https://127.0.0.1:1/db", String::new()),
        (format!("ssh://u:{SECRET}@127.0.0.1:1/db"), "ssh://u@127.0.0.1:1/db", String::new()),
        (format!("u:{SECRET}@127.0.0.1:db"), "u@127.0.0.1:db", String::new()),
    ] {
        fs::write(&log, "").unwrap();
        let mut tool = world.tool(["check", "--only", "audit", "--require", "audit", "-vv"]);
        tool.env("DOCKLESS_ADVISORY_DB", &address).env("PATH", world.path_with("bin"));
        tool.envs([("AWS_SESSION_TOKEN", "lent"), ("GITHUB_TOKEN", SECRET)]);
        tool.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "a.b")]);
        let failed = run(tool.env("GIT_CONFIG_VALUE_0", "c"));
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        says_no_secret(&failed, &address);
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains(&format!("arg {argument}\n")), "{address}: {text}");
        assert_eq!(text.lines().find(|line| line.contains(SECRET)), None, "{address}");
        assert!(text.contains("AWS_SESSION_TOKEN=lent\n"), "{text}");
        let count = if header.is_empty() { 1 } else { 2 };
        assert!(text.contains(&format!("GIT_CONFIG_COUNT={count}\n")), "{text}");
        if !header.is_empty() {
            let origin = argument.strip_suffix("/db").unwrap();
            assert!(
                text.contains(&format!("GIT_CONFIG_KEY_1=http.{origin}/.extraHeader\n")),
                "{text}"
            );
            let value = format!("GIT_CONFIG_VALUE_1=Authorization: Basic {}\n", encoded(&header));
            assert!(text.contains(&value), "{text}");
        }
    }
}

/// Addresses of the project go into labels, manifests and files for all to read.
#[test]
fn a_login_in_an_address_of_the_project_goes_nowhere() {
    let world = World::empty();
    let more = format!(
        "description = \"A tool\"\nlicense = \"MIT\"\n\
         repository = \"https://u:{SECRET}@github.com/acme/tool\"\n\
         homepage = \"https://acme.example/?token={SECRET}\"\n\
         [package.metadata.dockless]\ntargets = [{HOST:?}]\n\
         [package.metadata.dockless.krew]\n\
         uri = \"https://{SECRET}@dl.example/{{{{ tag }}}}/{{{{ archive }}}}\"\n"
    );
    world.package("", "kubectl-tool", "1.0.0", &more);
    world.file("LICENSE", "free\n").lock().commit();
    world.file(".gitignore", "/target\n/dist\n").commit();
    world.git(["tag", "v1.0.0"]);
    let origin = format!("https://x-access-token:{SECRET}@github.com/acme/tool");
    world.git(["remote", "add", "origin", &origin]);
    for command in [
        "release --dry-run -vv",
        "release --dry-run --json",
        "release --skip check",
        "release --snapshot --json -vv",
        "image --dry-run --json",
        "dockerfile",
        "krew manifest",
    ] {
        let ran = world.run(command);
        says_no_secret(&ran, command);
        for (name, bytes) in world.dist().exists().then(|| contents(&world.dist())).iter().flatten()
        {
            let found = bytes.windows(SECRET.len()).any(|it| it == SECRET.as_bytes());
            assert!(!found, "{command}: {name}");
        }
    }
    let index = world.run("release --dry-run").stdout.clone();
    assert!(index.contains("https://dl.example/v1.0.0/"), "{index}");
}

/// Addresses of the environment and of settings: those with a login are refused or used, and
/// never quoted.
#[test]
fn a_login_in_the_environment_is_not_said() {
    let world = World::committed("1.0.0");
    world.git(["tag", "v1.0.0"]);
    for (name, value, command) in [
        ("DOCKLESS_REPOSITORY", format!("u:{SECRET}@ghcr.io/acme"), "image --dry-run"),
        ("DOCKLESS_REPOSITORY", format!("https://u:{SECRET}@ghcr.io/acme"), "image --dry-run"),
        ("GITHUB_API_URL", format!("https://u:{SECRET}@api.github.com"), "release --skip check"),
        ("GITHUB_SERVER_URL", format!("https://u:{SECRET}@github.com"), "release --dry-run"),
        (
            "HTTPS_PROXY",
            format!("http://u:{SECRET}@127.0.0.1:1"),
            "image inspect ghcr.io/a/b:1 -vv",
        ),
        ("HTTPS_PROXY", format!("ftp://u:{SECRET}@127.0.0.1:1"), "image inspect ghcr.io/a/b:1 -vv"),
    ] {
        let mut tool = world.tool(command.split(' '));
        let ran = run(tool.env(name, &value));
        assert_eq!(ran.code, Some(1), "{name}={value}: {}", ran.stderr);
        says_no_secret(&ran, name);
    }
}

/// What cargo and compilers say while they run: without logins, and a runner of workflows
/// takes no order from it.
#[test]
fn words_of_compilers_are_no_orders_and_hold_no_login() {
    let world = World::committed("1.0.0");
    let script = format!(
        "case \"$*\" in *'--crate-name tool'*)\n\
         echo '::add-mask::x' >&2\necho 'Updating https://u:{SECRET}@host/index' >&2\n\
         printf 'no end of the line' >&2;;\nesac\nexec \"$@\"\n"
    );
    let wrapper = world.script("bin/wrapper", &script);
    let mut tool = world.tool(["build"]);
    let ran = run(tool.env("RUSTC_WRAPPER", wrapper).env("GITHUB_ACTIONS", "true"));
    ran.ends_with(0).says("Updating https://…@host/index").says("no end of the line");
    says_no_secret(&ran, "build");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let at = |line: &str| lines.iter().position(|it| it.ends_with(line)).unwrap();
    let stopped = at(lines.iter().find(|it| it.starts_with("::stop-commands::")).unwrap());
    let token = lines[stopped].strip_prefix("::stop-commands::").unwrap();
    assert!(token.len() == 32, "{token}");
    let order = at("::add-mask::x");
    assert!(stopped < order && order < at(&format!("::{token}::")), "{}", ran.stderr);
    // Without a runner there is nobody to stop.
    world.run("build").ends_with(0).never_says("stop-commands");
}

/// Words of the project in tables, files of a workflow and JSON.
#[test]
fn words_of_the_project_are_no_orders() {
    let world = World::committed("1.0.0");
    let odd = "x\u{1b}]0;pwn\u{7}\n::add-mask::x\u{202e}##[error]y";
    let refused = run(world.tool(["build", "--package", odd]).env("GITHUB_ACTIONS", "true"));
    refused.ends_with(1);
    assert!(!refused.stderr.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{}", refused.stderr);
    assert!(!refused.stderr.contains("##[error]"), "{}", refused.stderr);
    let mut orders = refused.stderr.lines().filter(|line| line.trim_start().starts_with("::"));
    assert!(orders.clone().next().is_some(), "{}", refused.stderr);
    assert!(orders.all(|line| line.starts_with("::error")), "{}", refused.stderr);
}
