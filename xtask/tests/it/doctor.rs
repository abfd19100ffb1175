//! `doctor`: what is wrong with a machine or a project is found, and its fix mends it.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::github::GitHub;
use crate::world::keys::KEY;
use crate::world::registries::servers::{Answer, serve};
use crate::world::registries::{Access, Registry, Software, write_logins};
use crate::world::running::read_only;
use crate::world::{HOST, Run, World, only_host, run, skipped};

/// Nobody but GitHub may ever see it.
const CANARY: &str = "ghp_canary0123456789abcdefghijklmnop";
const PROXY_PASSWORD: &str = "hunter2";
const REPOSITORY: &str = "acme/tool";
/// A target that nobody installs here.
const RARE: &str = "i686-unknown-linux-musl";
const DARWIN: &str = "x86_64-apple-darwin";

/// A project that is well, on a machine that is well.
struct Clinic {
    world: World,
    github: GitHub,
    registry: &'static Registry,
    /// The variables of the machine, and those that are unset.
    vars: Vec<(&'static str, OsString)>,
    args: Vec<&'static str>,
}

impl Clinic {
    /// `None` where this machine has no registry.
    fn open() -> Option<Clinic> {
        let registry = Registry::shared()?;
        let github = GitHub::start();
        let world = World::empty();
        let clinic = Clinic { world, github, registry, vars: Vec::new(), args: Vec::new() };
        clinic.settings(&only_host());
        let lock = "version = 4\n\n[[package]]\nname = \"tool\"\nversion = \"1.0.0\"\n";
        clinic.world.file("LICENSE", "free\n").file("Cargo.lock", lock);
        clinic.world.file(".gitignore", "/target\n/dist\n");
        clinic.advisories("2099-05-06");
        clinic.commit();
        clinic.github.state().classic(CANARY, "acme", &["repo"]);
        Some(clinic)
    }

    /// Writes Cargo.toml with these tables.
    fn settings(&self, tables: &str) {
        let more = format!(
            "description = \"A tool\"\nrepository = \"http://{}/{REPOSITORY}\"\n\
             [workspace]\n[workspace.metadata.dockless.network]\nretries = 0\n{tables}",
            self.github.host
        );
        self.world.package("", "tool", "1.0.0", &more);
    }

    fn commit(&self) {
        self.world.commit();
        self.world.git(["tag", "--force", "v1.0.0"]);
        self.github.push(REPOSITORY, self.world.root());
    }

    /// A database whose newest advisory is of this day.
    fn advisories(&self, day: &str) {
        let text = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"other\"\n\
             date = \"{day}\"\n[versions]\npatched = []\n```\n\n# A fault\n\nIt is bad.\n"
        );
        let file = self.world.outside("advisories/crates/other/RUSTSEC-2020-0001.md");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.vars.push((name, value.into()));
    }

    /// A program before all others on PATH.
    fn program(&mut self, name: &str, text: &str) {
        self.world.script(&format!("fake/{name}"), text);
        let path = self.world.path_with("fake");
        self.set("PATH", path);
    }

    /// A command with the environment of the clinic.
    fn prepared(&self, mut command: Command) -> Command {
        command.envs([
            ("GITHUB_TOKEN", CANARY),
            ("GITHUB_API_URL", &self.github.api()),
            ("GITHUB_SERVER_URL", &format!("http://{}", self.github.host)),
            ("DOCKLESS_REPOSITORY", &format!("{}/clinic", self.registry.host)),
        ]);
        command.env("DOCKLESS_ADVISORY_DB", self.world.outside("advisories"));
        command.envs(self.registry.vars(&self.world));
        for (name, value) in &self.vars {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        command
    }

    fn doctor(&self) -> Command {
        let args = ["doctor", "--json"].into_iter().chain(self.args.iter().copied());
        self.prepared(self.world.tool(args))
    }

    /// The same in a shell, after a command as it was printed.
    fn after(&self, fix: &str) -> Command {
        let tool = env!("CARGO_BIN_EXE_cargo-dockless");
        let script = format!("{fix} >&2 && exec {tool} doctor --json {}", self.args.join(" "));
        self.prepared(self.world.with("sh", ["-c", &script]))
    }
}

/// The row of a name.
#[track_caller]
fn row(run: &Run, name: &str) -> Value {
    let report = run.json();
    let rows = report["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no row {name}:\n{report:#}")).clone()
}

/// Requires that a row has this verdict, and says this.
#[track_caller]
fn finds(run: &Run, name: &str, verdict: &str, why: &str) -> Value {
    let row = row(run, name);
    let said = row["detail"].as_str().unwrap();
    assert!(row["verdict"] == verdict && said.contains(why), "{name} {why}: {row:#}");
    assert_eq!(run.code == Some(1), run.json()["verdict"] == "error", "{}", run.stderr);
    for secret in [CANARY, PROXY_PASSWORD] {
        assert!(!run.stdout.contains(secret), "{}", run.stdout);
        run.never_says(secret);
    }
    if verdict != "ok" && verdict != "not-looked-at" {
        let fix = row["fix"].as_str().unwrap();
        run.says(&format!("{name}: ")).says(fix);
    }
    row
}

/// A fault: what breaks, and the row, verdict and words by which it is found.
struct Fault {
    name: &'static str,
    seed: fn(&mut Clinic),
    verdict: &'static str,
    why: &'static str,
    cure: Cure,
}

/// What the fix is.
enum Cure {
    /// Words: it takes a person.
    Words(&'static str),
    /// A command that takes a network.
    Command(&'static str),
    /// A command that mends it here and now.
    Mends(&'static str),
}
use Cure::{Command as Needs, Mends, Words};

fn fault(
    name: &'static str,
    verdict: &'static str,
    why: &'static str,
    cure: Cure,
    seed: fn(&mut Clinic),
) -> Fault {
    Fault { name, seed, verdict, why, cure }
}

fn without(clinic: &mut Clinic, programs: &[&str]) {
    let path = clinic.world.without(programs);
    clinic.set("PATH", path);
}

fn faults_of_programs() -> Vec<Fault> {
    vec![
        fault("git", "error", "it is not on PATH", Needs("git"), |it| without(it, &["git"])),
        fault("rustc", "error", "it is not on PATH", Needs("rustup"), |it| without(it, &["rustc"])),
        fault("rustup", "warning", "it is not on PATH", Needs("https://sh.rustup.rs"), |it| {
            without(it, &["rustup"]);
        }),
        fault("clippy", "error", "no such command", Mends("rustup component add clippy"), |it| {
            let added = it.world.outside("added").display().to_string();
            let real = String::from_utf8(run_which("cargo")).unwrap();
            it.program(
                "rustup",
                &format!("case $1 in --version) echo rustup 1.0.0;; *) touch {added};; esac"),
            );
            it.program("cargo", &format!(
                "test \"$1\" = clippy && ! test -e {added} && {{ echo error: no such command >&2; exit 101; }}\nexec {} \"$@\"",
                real.trim()
            ));
        }),
        fault("docker", "error", "it is not on PATH", Words("docs.docker.com"), |it| {
            without(it, &["docker"]);
            it.args = vec!["--load", "docker"];
        }),
        fault("zig", "warning", "0.9.1 at ", Needs("cargo dockless setup --zig"), |it| {
            without(it, &["python3", "python"]);
            it.world.script("fake/zig", "echo 0.9.1");
            let path = it.world.before("fake", &it.world.without(&["python3", "python"]));
            it.set("PATH", path);
        }),
        fault(
            "target x86_64-apple-darwin",
            "error",
            "no linker",
            Needs("cargo dockless setup --zig"),
            |it| {
                without(it, &["zig", "python3", "python"]);
                it.settings(&format!("[package.metadata.dockless]\ntargets = [\"{DARWIN}\"]\n"));
            },
        ),
        fault(
            "target i686-unknown-linux-musl",
            "warning",
            "no standard library",
            Needs("rustup target add i686-unknown-linux-musl"),
            |it| {
                it.settings(&format!("[package.metadata.dockless]\ntargets = [\"{RARE}\"]\n"));
            },
        ),
        fault(
            "target i686-unknown-linux-musl",
            "error",
            "--offline forbids",
            Needs("rustup target add i686-unknown-linux-musl"),
            |it| {
                it.settings(&format!("[package.metadata.dockless]\ntargets = [\"{RARE}\"]\n"));
                it.args = vec!["--offline"];
            },
        ),
    ]
}

fn run_which(name: &str) -> Vec<u8> {
    Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap().stdout
}

fn faults_of_the_machine() -> Vec<Fault> {
    vec![
        fault(
            "advisory database",
            "error",
            "no advisory database",
            Words("DOCKLESS_ADVISORY_DB"),
            |it| {
                it.set("DOCKLESS_ADVISORY_DB", "file:///nowhere/at/all");
            },
        ),
        fault("advisory database", "error", "days old", Words("fetch them anew"), |it| {
            it.advisories("2020-01-01");
        }),
        fault("clock", "warning", "the last commit is", Words("clock"), |it| {
            without(it, &["timedatectl"]);
            let mut git =
                it.world.with("git", ["commit", "--quiet", "--allow-empty", "-m", "later"]);
            run(git.env("GIT_COMMITTER_DATE", "4000000000 +0000")).ends_with(0);
        }),
        fault(
            "clock",
            "warning",
            "ahead of that of",
            Needs("sudo timedatectl set-ntp true"),
            |it| {
                it.program("timedatectl", "true");
                let host = serve(|_| {
                    let mut answer = Answer::new(200, "{}");
                    answer.headers.push(("Date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()));
                    answer
                });
                it.set("DOCKLESS_REPOSITORY", format!("{host}/x"));
                it.settings(&format!(
                    "[workspace.metadata.dockless.github]\nship = false\n{}",
                    only_host()
                ));
            },
        ),
        fault(
            "proxy of HTTPS_PROXY",
            "error",
            "connect to 127.0.0.1:1",
            Mends("unset HTTPS_PROXY"),
            |it| {
                it.set("HTTPS_PROXY", format!("http://u:{PROXY_PASSWORD}@127.0.0.1:1"));
            },
        ),
        fault("proxy of all_proxy", "error", "does not name", Mends("unset all_proxy"), |it| {
            it.set("all_proxy", format!("gopher://u:{PROXY_PASSWORD}@["));
        }),
        fault(
            "CA certificates",
            "error",
            "read SSL_CERT_FILE",
            Mends("unset SSL_CERT_FILE"),
            |it| {
                it.set("SSL_CERT_FILE", "/nowhere/ca.pem");
            },
        ),
        fault(
            "CA certificates",
            "error",
            "contains no PEM certificate",
            Mends("unset SSL_CERT_FILE"),
            |it| {
                it.world.file("ca.pem", "");
                it.set("SSL_CERT_FILE", "ca.pem");
            },
        ),
        fault("signing key", "error", "nowhere.key", Words(""), |it| {
            it.settings(&format!(
                "[workspace.metadata.dockless.sign]\nkey = \"nowhere.key\"\n{}",
                only_host()
            ));
        }),
        fault("signing key", "error", "read the key in COSIGN_PRIVATE_KEY", Words(""), |it| {
            it.set("COSIGN_PRIVATE_KEY", "no key");
        }),
        fault(
            "signing key",
            "warning",
            "everybody on this machine may read",
            Mends("chmod 600"),
            |it| {
                fs::write(it.world.outside("open.key"), KEY).unwrap();
                it.settings(&format!(
                    "[workspace.metadata.dockless.sign]\nkey = \"../open.key\"\n{}",
                    only_host()
                ));
            },
        ),
    ]
}

fn faults_of_the_project() -> Vec<Fault> {
    vec![
        fault(
            "Cargo.lock",
            "error",
            "there is no Cargo.lock",
            Mends("cargo generate-lockfile"),
            |it| {
                fs::remove_file(it.world.path("Cargo.lock")).unwrap();
            },
        ),
        fault("Cargo.lock", "error", "not up to date", Mends("cargo update --workspace"), |it| {
            let manifest = it.world.read("Cargo.toml").replace("1.0.0", "1.1.0");
            it.world.file("Cargo.toml", &manifest);
        }),
        fault(
            "settings",
            "error",
            "unknown key `targts`",
            Words("did you mean `targets`?"),
            |it| {
                it.settings("[package.metadata.dockless]\ntargts = []\n");
            },
        ),
        fault("project", "error", "cargo metadata", Words(""), |it| {
            it.world.file("Cargo.toml", "[package\n");
        }),
        fault("release", "warning", "no release tag on HEAD", Words("git tag v1.0.0"), |it| {
            it.world.git(["tag", "--delete", "v1.0.0"]);
        }),
    ]
}

fn faults_of_services() -> Vec<Fault> {
    vec![
        fault("login for 127.0.0.1:1/x/tool", "error", "reach the registry", Words(""), |it| {
            it.set("DOCKLESS_REPOSITORY", "127.0.0.1:1/x");
        }),
        fault("GITHUB_TOKEN", "error", "GITHUB_TOKEN is not set", Words("gh auth token"), |it| {
            it.set("GITHUB_TOKEN", "");
        }),
        fault(
            "GITHUB_TOKEN",
            "error",
            "has the scopes read:org, gist",
            Words("public_repo"),
            |it| {
                it.github.state().classic("reads", "acme", &["read:org", "gist"]);
                it.set("GITHUB_TOKEN", "reads");
            },
        ),
        fault("GITHUB_TOKEN", "error", "401 Unauthorized", Words("has expired"), |it| {
            it.set("GITHUB_TOKEN", "nobody's");
        }),
        fault(
            "KREW_GITHUB_TOKEN",
            "error",
            "KREW_GITHUB_TOKEN is not set",
            Words("--skip krew"),
            |it| {
                let tables =
                    format!("[package.metadata.dockless.krew]\nname = \"tool\"\n{}", only_host());
                it.settings(&tables);
            },
        ),
    ]
}

/// Seeds the fault in a clinic of its own, and requires that it is found and mended.
fn is_found(fault: &Fault) {
    let Some(mut clinic) = Clinic::open() else { return };
    (fault.seed)(&mut clinic);
    let found = run(&mut clinic.doctor());
    let row = finds(&found, fault.name, fault.verdict, fault.why);
    let (fix, command) = (row["fix"].as_str().unwrap(), row["command"].as_str());
    match fault.cure {
        Words(part) => assert!(fix.contains(part) && command.is_none(), "{row:#}"),
        Needs(part) => assert!(command.is_some_and(|it| it.contains(part)), "{row:#}"),
        Mends(part) => {
            let command = command.filter(|it| it.contains(part)).expect(fix);
            let mended = run(&mut clinic.after(command));
            let report = mended.json();
            // A variable that is not set has no row.
            let mut rows = report["rows"].as_array().unwrap().iter();
            let ill = rows.find(|row| row["name"] == fault.name && row["verdict"] != "ok");
            assert!(ill.is_none(), "after {command}: {ill:#?}");
        }
    }
}

#[test]
fn a_machine_and_a_project_that_are_well_are_found_so() {
    let Some(clinic) = Clinic::open() else { return };
    let well = run(&mut clinic.doctor());
    let rows = well.ends_with(0).json()["rows"].as_array().unwrap().clone();
    let errors: Vec<&Value> = rows.iter().filter(|row| row["verdict"] == "error").collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for (name, why) in [
        ("git", ""),
        ("checkout", "all commits"),
        (&*format!("target {HOST}"), "standard library, rust-lld"),
        (&*format!("login for {}/clinic/tool", clinic.registry.host), "none is asked for"),
        ("GITHUB_TOKEN", "it can write to acme/tool"),
        ("advisory database", "1 advisories, of 2099-05-06"),
        ("cache", "writable"),
        ("signing key", "not signed"),
    ] {
        finds(&well, name, "ok", why);
    }
    assert!(clinic.github.writes().is_empty(), "nothing is changed");
    assert!(!clinic.world.dist().exists());
    // As people see it: a table on stdout, which holds each row.
    let shown = run(&mut clinic.prepared(clinic.world.tool(["doctor", "-q"])));
    shown.ends_with(0).never_says("error");
    for row in &rows {
        assert!(shown.stdout.contains(row["name"].as_str().unwrap()), "{}", shown.stdout);
    }
    // Offline, what was not asked is listed, and nobody was asked.
    clinic.github.forget();
    let offline = run(&mut clinic.prepared(clinic.world.tool(["doctor", "--json", "--offline"])));
    offline.ends_with(0);
    let login = format!("login for {}/clinic/tool", clinic.registry.host);
    for name in [&*login, "GITHUB_TOKEN", "clock"] {
        finds(&offline, name, "not-looked-at", "");
    }
    assert!(clinic.github.seen().is_empty());
}

#[test]
fn faults_of_programs_are_found() {
    faults_of_programs().iter().for_each(is_found);
}

#[test]
fn faults_of_the_machine_are_found_and_mended() {
    faults_of_the_machine().iter().for_each(is_found);
}

#[test]
fn faults_of_the_project_are_found_and_mended() {
    faults_of_the_project().iter().for_each(is_found);
}

#[test]
fn faults_of_services_are_found() {
    faults_of_services().iter().for_each(is_found);
}

/// A login that is refused, and one that may only read.
#[test]
fn what_a_login_may_do_is_known_before_anything_is_pushed() {
    let Some(mut clinic) = Clinic::open() else { return };
    let Some(basic) = Registry::of(Software::V3, Access::Basic) else { return };
    clinic.set("DOCKLESS_REPOSITORY", format!("{}/x", basic.host));
    let auths = serde_json::json!({"auths": {(basic.host.clone()): {"username": "a", "password": "wrong"}}});
    let file = write_logins(&clinic.world, "wrong", &auths.to_string());
    clinic.set("REGISTRY_AUTH_FILE", file);
    let refused = run(&mut clinic.doctor());
    let name = format!("login for {}/x/tool", basic.host);
    finds(refused.ends_with(1), &name, "error", "401 Unauthorized");
    assert!(!refused.stdout.contains("wrong\""), "{}", refused.stdout);
    let Some(tokens) = Registry::of(Software::V3, Access::Token) else { return };
    clinic.set("DOCKLESS_REPOSITORY", format!("{}/public", tokens.host));
    let reads = run(&mut clinic.doctor());
    let name = format!("login for {}/public/tool", tokens.host);
    let row = finds(reads.ends_with(1), &name, "error", "the token server grants no push");
    assert!(row["fix"].as_str().unwrap().contains("no login for"), "{row:#}");
    for (name, value) in tokens.vars(&clinic.world) {
        clinic.set(name, value);
    }
    let pushes = run(&mut clinic.doctor());
    finds(pushes.ends_with(0), &name, "ok", "it may push");
}

#[test]
fn a_shallow_clone_is_found_and_mended() {
    let Some(clinic) = Clinic::open() else { return };
    clinic.commit();
    let clone = clinic.world.outside("shallow");
    let from = format!("file://{}", clinic.world.root().display());
    clinic.world.git(["clone", "--quiet", "--depth", "1", &from, clone.to_str().unwrap()]);
    let found = run(clinic.doctor().current_dir(&clone));
    let row = finds(found.ends_with(1), "checkout", "error", "the clone is shallow");
    let mended = run(clinic.after(row["command"].as_str().unwrap()).current_dir(&clone));
    finds(&mended, "checkout", "ok", "");
}

#[test]
fn a_cache_that_cannot_be_written_is_found_and_mended() {
    let Some(clinic) = Clinic::open() else { return };
    run(&mut clinic.doctor()).ends_with(0);
    let cache = clinic.world.outside("cache");
    let Some(found) = read_only(&cache, &clinic.doctor()) else { return };
    let row = finds(found.ends_with(0), "cache", "warning", "Read-only file system");
    let after = clinic.after(row["command"].as_str().unwrap());
    finds(&read_only(&cache, &after).unwrap(), "cache", "ok", "writable");
}

#[test]
fn a_full_disk_is_found() {
    let Some(clinic) = Clinic::open() else { return };
    let disk = clinic.world.outside("disk");
    fs::create_dir(&disk).unwrap();
    let script =
        r#"mount -t tmpfs -o size=1m tmpfs "$CARGO_TARGET_DIR" || exit 77; exec "$0" "$@""#;
    let mut shell = Command::new("unshare");
    let root = run(Command::new("id").arg("-u")).stdout.trim() == "0";
    shell.args(if root { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    shell.args(["sh", "-c", script]);
    let doctor = clinic.doctor();
    shell.arg(doctor.get_program()).args(doctor.get_args()).current_dir(clinic.world.root());
    shell.env_clear().envs(doctor.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let full = run(shell.env("CARGO_TARGET_DIR", &disk));
    if full.code == Some(77) || full.stderr.contains("unshare:") {
        return skipped(&format!("no small disk can be mounted: {}", full.stderr.trim()));
    }
    let name = format!("disk of {}", disk.display());
    finds(full.ends_with(1), &name, "error", "left on its disk");
}

/// Outside of a project the machine is looked at, and the rest is listed.
#[test]
fn outside_a_project_the_machine_is_looked_at() {
    let world = World::empty();
    let outside = run(&mut world.tool(["doctor", "--json"]));
    outside.ends_with(0);
    finds(&outside, "git", "ok", "");
    for name in ["project", "checkout", "Cargo.lock", "targets", "logins", "GITHUB_TOKEN"] {
        finds(&outside, name, "not-looked-at", "");
    }
    let missing =
        run(&mut world.tool(["doctor", "--json", "--manifest-path", "nowhere/Cargo.toml"]));
    finds(missing.ends_with(1), "project", "error", "nowhere");
}

/// Programs that hang are ended, all at the same time, and what they would say is not waited for.
#[test]
fn programs_that_hang_are_listed() {
    let Some(mut clinic) = Clinic::open() else { return };
    for name in ["git", "docker", "kubectl", "rustup"] {
        clinic.program(name, "sleep 1000");
    }
    let begun = Instant::now();
    let hung = run(&mut clinic.doctor());
    assert!(begun.elapsed() < Duration::from_secs(100), "nobody waited for the programs");
    finds(hung.ends_with(1), "git", "error", "did not end within 10 s");
    finds(&hung, "docker", "warning", "did not end within 10 s");
    finds(&hung, "project", "not-looked-at", "git");
}

/// Whatever programs print in place of their version, one line says so.
#[test]
fn programs_that_lie_are_listed() {
    let Some(mut clinic) = Clinic::open() else { return };
    for (name, text) in [
        ("docker", "printf 'Docker \\033[2J\\033]0;x\\007 9\\n'"),
        ("podman", "true"),
        ("ctr", "yes 'ctr 1' | head -c 30000000"),
        ("kind", "head -c 5000 /dev/urandom"),
        ("ssh", "yes OpenSSH_ | head -c 30000000 >&2"),
        ("kubectl", "printf 'Client Version: v1.%05000d\\n' 7"),
        ("rustup", "echo something else 1.0"),
        ("zig", "printf '\\033[31m0.17.1\\n'"),
        // Python may have another zig.
        ("python3", "false"),
    ] {
        clinic.program(name, text);
    }
    let lies = run(&mut clinic.doctor());
    lies.ends_with(0);
    for name in ["docker", "podman", "ctr", "kind", "ssh", "kubectl", "rustup"] {
        finds(&lies, name, "warning", "it does not ");
    }
    finds(&lies, "zig", "warning", "does not work");
    assert!(!lies.stdout.contains('\u{1b}') && lies.stdout.len() < 100_000);
    lies.never_says("\u{1b}");
}
