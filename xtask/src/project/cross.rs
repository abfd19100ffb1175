//! The C compilers for other machines that this one has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use semver::Version;
use serde::Serialize;

use crate::cache::Cache;
use crate::process::{self, Env, Program};

/// The version that `setup --zig` installs.
pub const ZIG: Version = Version::new(0, 17, 1);

/// The oldest version whose command line the tool speaks: it is the first that
/// takes `ZIG_VERBOSE_LINK` and whose clang obeys SOURCE_DATE_EPOCH.
const OLDEST: Version = Version::new(0, 14, 0);

/// What starts at once unless it is broken.
const MOMENT: Duration = Duration::from_secs(20);

/// The architectures that Linux and musl's packages name differently from rustc.
const ARCHES: [(&str, &str); 3] = [("x86_64", "x86_64"), ("aarch64", "aarch64"), ("i686", "i386")];

/// The compilers that were found, and what is wrong with those that will not do.
#[derive(Clone, Debug, Default)]
pub struct Cross {
    pub zig: Option<Zig>,
    pub clang: Option<Clang>,
    /// Why a zig that is there cannot be used.
    pub faults: Vec<String>,
}

/// A zig that answered with a version that is new enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zig {
    pub program: PathBuf,
    pub version: Version,
}

/// A clang with the headers of musl for some architectures: enough to compile
/// C, but not C++.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clang {
    pub program: PathBuf,
    /// The architecture as rustc names it, and where its headers lie.
    pub headers: Vec<(String, PathBuf)>,
}

/// Where [`ZIG`] lies once `setup --zig` has put it there.
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
                    // Where the cache cannot be written nobody removes it.
                    cache.hold();
                }
                cross.zig = Some(Zig { program, version });
                return cross;
            }
            Ok(version) => cross.faults.push(format!(
                "zig {version} at {} is too old: {OLDEST} is the least",
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

/// The version that a zig says it is.
pub fn version(program: &Path, dir: &Path, env: &Env) -> Result<Version> {
    let text = Program::new(program, dir, env).arg("version").time_out(MOMENT).read()?;
    let version = text.trim();
    Version::parse(version).with_context(|| format!("`zig version` says {version:?}"))
}

/// The folder of Python's package `ziglang`.
fn python(dir: &Path, env: &Env) -> Option<PathBuf> {
    let python = ["python3", "python"].into_iter().find_map(|name| process::find(name, env))?;
    let code =
        "import importlib.util as i; print(i.find_spec('ziglang').submodule_search_locations[0])";
    // Packages of the folder that this is started in are not Python's.
    let asked = Program::new(python, dir, env).args(["-c", code]).var("PYTHONSAFEPATH", "1");
    let asked = asked.time_out(MOMENT).read();
    // Without the package Python fails, which is an answer too.
    asked.ok().map(|text| PathBuf::from(text.trim())).filter(|dir| dir.is_dir())
}

fn clang(env: &Env) -> Option<Clang> {
    let program = process::find("clang", env)?;
    let mut headers = Vec::new();
    for (arch, name) in ARCHES {
        // Debian's musl-dev, and a system such as Alpine whose own libc is musl.
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
