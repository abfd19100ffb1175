//! Finds C cross-compilers on this machine: zig, or clang with musl's headers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use semver::Version;
use serde::Serialize;

use crate::cache::Cache;
use crate::process::{self, Env, Program};

/// The version that `setup --zig` installs.
pub const ZIG: Version = Version::new(0, 17, 1);

/// The oldest supported version: the first that has `ZIG_VERBOSE_LINK` and whose clang obeys
/// SOURCE_DATE_EPOCH.
const OLDEST: Version = Version::new(0, 14, 0);

/// Time enough for a query, unless the program is broken.
const TIME_OUT: Duration = Duration::from_secs(20);

/// How much a program may print that is asked for its version, in bytes.
const OUTPUT: u64 = 64 * 1024;
/// The longest version that is shown, in characters.
const LONGEST: usize = 60;

/// rustc's and Linux's names of the architectures for which distributions package musl.
const ARCHES: [(&str, &str); 3] = [("x86_64", "x86_64"), ("aarch64", "aarch64"), ("i686", "i386")];

/// The compilers that were found, and faults of unusable ones.
#[derive(Clone, Debug, Default)]
pub struct Cross {
    pub zig: Option<Zig>,
    pub clang: Option<Clang>,
    /// Why an installed zig cannot be used.
    pub faults: Vec<String>,
}

/// A zig of a supported version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zig {
    pub program: PathBuf,
    pub version: Version,
}

/// A clang with musl's headers for some architectures. It can compile C, but not C++.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clang {
    pub program: PathBuf,
    /// rustc's name of each architecture, and the folder of its headers.
    pub headers: Vec<(String, PathBuf)>,
}

/// The folder of the [`ZIG`] that `setup --zig` installs.
pub fn provided(cache: &Cache) -> Option<PathBuf> {
    cache.tool(&format!("zig-{ZIG}")).map(|dir| dir.join("ziglang"))
}

/// Looks for zig where `setup --zig` puts it, on PATH, and in Python's packages,
/// and for a clang with musl's headers.
pub fn look(dir: &Path, env: &Env, cache: &Cache) -> Cross {
    let mut cross = Cross::default();
    let name = |dir: PathBuf| dir.join(format!("zig{}", std::env::consts::EXE_SUFFIX));
    let provided = provided(cache).map(name).filter(|zig| zig.is_file());
    let candidates: [&dyn Fn() -> Option<PathBuf>; 3] =
        [&|| provided.clone(), &|| process::find("zig", env), &|| python(dir, env).map(name)];
    for candidate in candidates {
        let Some(program) = candidate() else { continue };
        match version(&program, dir, env) {
            Ok(version) if version >= OLDEST => {
                if provided.as_ref() == Some(&program) {
                    // Without a lock the cache is read-only, so nobody removes zig.
                    cache.hold();
                }
                cross.zig = Some(Zig { program, version });
                return cross;
            }
            Ok(version) => cross.faults.push(format!(
                "zig {version} at {} is too old: {OLDEST} or newer is needed",
                program.display()
            )),
            Err(error) => {
                cross.faults.push(format!("zig at {} does not work: {error:#}", program.display()))
            }
        }
    }
    cross.clang = clang(env);
    cross
}

/// The version that a zig prints.
pub fn version(program: &Path, dir: &Path, env: &Env) -> Result<Version> {
    let asked = Program::new(program, dir, env).arg("version").confined(TIME_OUT, OUTPUT);
    let text = asked.read()?;
    let version: String = text.trim().chars().take(LONGEST).collect();
    Version::parse(&version).with_context(|| format!("`zig version` says {version:?}"))
}

/// The folder of Python's package `ziglang`.
fn python(dir: &Path, env: &Env) -> Option<PathBuf> {
    let python = ["python3", "python"].into_iter().find_map(|name| process::find(name, env))?;
    let code =
        "import importlib.util as i; print(i.find_spec('ziglang').submodule_search_locations[0])";
    // Python must not search the current folder for packages.
    let asked = Program::new(python, dir, env).args(["-c", code]).var("PYTHONSAFEPATH", "1");
    let asked = asked.time_out(TIME_OUT).read();
    // Without the package Python fails.
    asked.ok().map(|text| PathBuf::from(text.trim())).filter(|dir| dir.is_dir())
}

fn clang(env: &Env) -> Option<Clang> {
    let program = process::find("clang", env)?;
    let mut headers = Vec::new();
    for (arch, name) in ARCHES {
        // Debian's package musl-dev, or a system such as Alpine whose libc is musl.
        let debian = PathBuf::from(format!("/usr/include/{name}-linux-musl"));
        let alpine = Path::new(&format!("/lib/ld-musl-{name}.so.1")).exists();
        let own = PathBuf::from("/usr/include");
        let dirs = [Some(debian), alpine.then_some(own)];
        let found = dirs.into_iter().flatten().find(|dir| dir.join("stdio.h").is_file());
        headers.extend(found.map(|dir| (arch.to_owned(), dir)));
    }
    (!headers.is_empty()).then_some(Clang { program, headers })
}

impl Clang {
    pub fn headers(&self, arch: &str) -> Option<&Path> {
        self.headers.iter().find(|(known, _)| known == arch).map(|(_, dir)| &**dir)
    }
}
