//! The programs that the tool starts: whether they answer, and with which version.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Row, Verdict, fix};
use crate::cache::Cache;
use crate::finding::{Finding, Place};
use crate::process::{self, Env, Program, TimedOut};
use crate::project::cross;
use crate::sink::Engine;

/// How long a program may take to say its version.
const TIME_OUT: Duration = Duration::from_secs(10);
/// How much it may print, in bytes.
const OUTPUT: u64 = 64 * 1024;
/// The longest version, in characters.
const LONGEST: usize = 40;

/// What the program is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing is built without it.
    Everything,
    /// A release's checks run it.
    Checks,
    /// What is missing is had through it.
    Additions,
    /// Some commands use it.
    Some(&'static str),
}

/// A program, and how it tells its version.
struct Known {
    name: &'static str,
    args: &'static [&'static str],
    /// The word before its version.
    says: &'static str,
    needs: Needs,
}

const fn known(
    name: &'static str,
    args: &'static [&'static str],
    says: &'static str,
    needs: Needs,
) -> Known {
    Known { name, args, says, needs }
}

/// Asks an engine whether it answers.
type Probe<'a> = &'a (dyn Fn(&Engine) -> Result<()> + Sync);

const VERSION: &[&str] = &["--version"];
const IMAGES: &str = "only `--load` uses it";

const ALL: [Known; 12] = [
    known("rustc", VERSION, "rustc", Needs::Everything),
    known("cargo", VERSION, "cargo", Needs::Everything),
    known("rustup", VERSION, "rustup", Needs::Additions),
    known("rustfmt", VERSION, "rustfmt", Needs::Checks),
    known("clippy", &["clippy", "--version"], "clippy", Needs::Checks),
    known("git", VERSION, "git", Needs::Everything),
    known("docker", VERSION, "Docker", Needs::Some(IMAGES)),
    known("podman", VERSION, "podman", Needs::Some(IMAGES)),
    known("ctr", VERSION, "ctr", Needs::Some(IMAGES)),
    known("kind", VERSION, "kind", Needs::Some(IMAGES)),
    known("ssh", &["-V"], "OpenSSH_", Needs::Some("only `--load ssh://HOST` uses it")),
    known(
        "kubectl",
        &["version", "--client"],
        "Client",
        Needs::Some("only `apply`, `create` and `delete` use it"),
    ),
];

/// Looks at all programs at the same time, in the folder whose toolchain counts. Returns the rows,
/// and the programs without which nothing of a project is known.
pub fn look(
    dir: &Path,
    env: &Env,
    cache: &Cache,
    load: &[Engine],
    probe: Probe<'_>,
) -> (Vec<Row>, Vec<&'static str>) {
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let threads: Vec<_> = ALL
            .iter()
            .map(|known| (known, scope.spawn(|| one(known, dir, env, load, probe))))
            .collect();
        let zig = zig(dir, env, cache);
        let ended = threads.into_iter().map(|(known, thread)| {
            let died = |_| Row::error(known.name, "the thread that looked at it panicked", "");
            thread.join().unwrap_or_else(died)
        });
        ended.chain([zig]).collect()
    });
    let broken = ALL
        .iter()
        .zip(&rows)
        .filter(|(known, row)| known.needs == Needs::Everything && row.verdict == Verdict::Error);
    let broken = broken.map(|(known, _)| known.name).collect();
    (rows, broken)
}

/// The zig that builds would use, in the one of its places that has it.
fn zig(dir: &Path, env: &Env, cache: &Cache) -> Row {
    let cross = cross::look(dir, env, cache);
    let what = "C code, macOS, Windows and glibc need it";
    if let Some(zig) = cross.zig {
        return Row::ok("zig", zig.program.display().to_string()).version(zig.version.to_string());
    }
    if cross.faults.is_empty() {
        return Row::not_looked_at("zig", format!("there is none; {what}"));
    }
    let why = format!("{}; {what}", cross.faults.join("; "));
    Row::warning("zig", why, install("zig", env))
}

fn one(known: &Known, dir: &Path, env: &Env, load: &[Engine], probe: Probe<'_>) -> Row {
    let name = known.name;
    let engines: Vec<&Engine> = load.iter().filter(|engine| engine.program() == name).collect();
    let engine = engines.first().copied();
    let program: &OsStr = match name {
        "clippy" => "cargo".as_ref(),
        "rustc" => env.get("RUSTC").unwrap_or(name.as_ref()),
        _ => name.as_ref(),
    };
    let is_absent = Path::new(program).components().count() == 1
        && process::find(&program.to_string_lossy(), env).is_none();
    if is_absent {
        return match known.needs {
            Needs::Some(what) if engine.is_none() => {
                Row::not_looked_at(name, format!("it is not on PATH; {what}"))
            }
            needs => fault(name, needs, engine, "it is not on PATH", install(name, env)),
        };
    }
    // rustup would otherwise download a toolchain that is asked for its version.
    let asked = Program::new(program, dir, env).args(known.args).var("RUSTUP_AUTO_INSTALL", "0");
    let output = match asked.confined(TIME_OUT, OUTPUT).output() {
        Ok(output) => output,
        Err(error) => {
            let hangs = error.downcast_ref::<TimedOut>().is_some();
            let fix = if hangs { format!("see why `{name}` hangs") } else { install(name, env) };
            return fault(name, known.needs, engine, &format!("{error:#}"), fix);
        }
    };
    if !output.status.success() {
        let why = process::excerpt(&output.stderr);
        let why = if why.trim().is_empty() { output.status.to_string() } else { why };
        return fault(
            name,
            known.needs,
            engine,
            &format!("it does not work: {why}"),
            install(name, env),
        );
    }
    // ssh prints it to stderr.
    let text = match output.stdout.is_empty() {
        true => output.stderr.into(),
        false => String::from_utf8_lossy(&output.stdout),
    };
    let Some(version) = version(&text, known.says) else {
        let why = "it does not print its version, so it is not what its name says";
        let fix = format!("see what `{name}` on PATH is, or reinstall it");
        return fault(name, known.needs, engine, why, fix);
    };
    match engines.into_iter().try_for_each(probe) {
        Err(error) => Row::of(name, &Finding::of("engine", Place::default(), &error)),
        Ok(()) => Row::ok(name, ""),
    }
    .version(version)
}

/// The row of a program that does not work.
fn fault(name: &str, needs: Needs, engine: Option<&Engine>, why: &str, fix: String) -> Row {
    match needs {
        Needs::Everything | Needs::Checks => Row::error(name, why, fix),
        Needs::Some(_) if engine.is_some() => Row::error(name, why, fix),
        Needs::Additions => {
            let what = "nothing else adds standard libraries, rustfmt and clippy";
            Row::warning(name, format!("{why}; {what}"), fix)
        }
        Needs::Some(what) => Row::warning(name, format!("{why}; {what}"), fix),
    }
}

/// How a program is had.
fn install(name: &str, env: &Env) -> String {
    match name {
        "rustc" | "cargo" if process::find("rustup", env).is_some() => {
            "run `rustup toolchain install`".to_owned()
        }
        "rustc" | "cargo" | "rustup" => fix::rustup().to_owned(),
        "rustfmt" | "clippy" => format!("run `rustup component add {name}`"),
        "zig" => "run `cargo dockless setup --zig`".to_owned(),
        "docker" => "install it: https://docs.docker.com/engine/install".to_owned(),
        "ssh" => fix::package("openssh-client", env),
        "ctr" => fix::package("containerd", env),
        "kind" => "install it: https://kind.sigs.k8s.io/docs/user/quick-start".to_owned(),
        "kubectl" => "install it: https://kubernetes.io/docs/tasks/tools".to_owned(),
        _ => fix::package(name, env),
    }
}

/// The version in what a program prints: in one of the first lines, after the program's own word.
fn version(text: &str, says: &str) -> Option<String> {
    let line = text.lines().take(3).find_map(|line| line.strip_prefix(says))?;
    let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+_~".contains(c);
    let found = words.map(|word| word.strip_prefix('v').unwrap_or(word)).find(|word| {
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.contains('.')
            && word.len() <= LONGEST
            && word.chars().all(plain)
    });
    found.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_lies_are_not() {
        let long = format!("rustc 1.{}", "9".repeat(100));
        for (text, says, expected) in [
            ("rustc 1.95.0 (abc 2026-04-14)\n", "rustc", Some("1.95.0")),
            ("rustfmt 1.8.0-stable (abc)\n", "rustfmt", Some("1.8.0-stable")),
            ("Docker version 29.3.0, build 1\n", "Docker", Some("29.3.0")),
            ("ctr github.com/containerd/containerd v1.7.24\n", "ctr", Some("1.7.24")),
            ("Client Version: v1.30.1\nKustomize Version: v5.0.4\n", "Client", Some("1.30.1")),
            ("kind v0.29.0 go1.24.2 linux/amd64\n", "kind", Some("0.29.0")),
            ("OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19 27 Jan 2026\n", "OpenSSH_", Some("9.2p1")),
            ("", "git", None),
            ("hello\n", "git", None),
            ("git version \x1b[31m2.39\x1b[0m\n", "git", None),
            ("cargo 1.95.0\n", "rustc", None),
            ("git version 2\n", "git", None),
            (&long, "rustc", None),
        ] {
            assert_eq!(version(text, says).as_deref(), expected, "{text:?}");
        }
    }

    /// Whatever a program prints, its version is a short plain word.
    #[test]
    fn what_is_printed_cannot_harm() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let text = format!("git version {}", String::from_utf8_lossy(&bytes));
            if let Some(version) = version(&text, "git") {
                assert!(version.len() <= LONGEST && version.chars().all(|c| c.is_ascii_graphic()));
            }
            Ok(())
        });
    }
}
