//! Installs zig, a C compiler and linker for every target, from PyPI.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::{Cache, REQUIREMENTS, is_tool};
use crate::files;
use crate::finding::{Help, failure};
use crate::http::Network;
use crate::process::{self, Env, Program};
use crate::project::cross::{self, ZIG, Zig};
use crate::term::Term;

/// The digests of [`ZIG`]'s packages on PyPI, one per system. pip accepts nothing else. <https://pypi.org/project/ziglang/0.17.1/#files>
const PACKAGES: [&str; 12] = [
    "09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23",
    "4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97",
    "d0549d5db63961ad9ed83ef628a45e3309542410dbcb6010116f4f2a3274d966",
    "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
    "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
    "7ec229ead4a08f3bc537ed33fa8c0f811739b81a0d05afbea89db30afb4df1cc",
    "d3bf27478d4593f2df7daf5c59b616a543b8f9e2cc9235bef84d8e54862a4334",
    "87f24e5cdca55f5d47c1e20570eebb61a53957fafe4c35c69740e13affe407ba",
    "d65ae4223b0c351cb3b4596262b8d9773acc9ca94ef8ea9b5fe3ddfa07dd204f",
    "ae28f1f1150b95c8b1bb5e185d18e6c542877dc480e2476ccc81dac41f191b71",
    "69c3dfc3aff6a297ec4017aa904782c0e450eb988982d7f675d83edce27526fb",
    "27a8da5f8eaa0e76ebbc7c2594130ed4646c1101ada2ce0aa86fe580c74154b9",
];

/// A package has 100 MB, so this is enough for a slow connection.
const DOWNLOAD: Duration = Duration::from_secs(15 * 60);

/// The age at which files of a killed run are removed.
const STALE: Duration = Duration::from_secs(24 * 3600);

const WRITABLE: &str = "set DOCKLESS_CACHE to a folder that can be written, on a disk with room";

const BY_HAND: &str = "put zig on PATH yourself (https://ziglang.org/download)";

/// Installs [`ZIG`] in the cache, unless it is installed and works.
pub fn provide(dir: &Path, env: &Env, cache: &Cache, network: Network, term: &Term) -> Result<Zig> {
    let place = cross::provided(cache).context("install zig: there is no cache folder");
    let place = place.context(Help(WRITABLE.into()))?;
    let program = place.join(format!("zig{}", std::env::consts::EXE_SUFFIX));
    let works = || {
        program.is_file() && cross::version(&program, dir, env).is_ok_and(|version| version == ZIG)
    };
    if works() {
        return Ok(Zig { program, version: ZIG });
    }
    if network == Network::Offline {
        bail!(failure(
            "install zig: it comes from PyPI, and --offline forbids downloading it",
            BY_HAND
        ));
    }
    let root = place.parent().context("find the tool's folder")?;
    let tools = cache.tools().context("install zig").context(Help(WRITABLE.into()))?;
    // Without the lock two runs would download 100 MB each, and one would replace the other's.
    let _lock = cache.lock_tools(|other| {
        term.step("wait", format_args!("for another dockless that installs zig: {other}"));
    })?;
    if works() {
        return Ok(Zig { program, version: ZIG });
    }
    if files::exists(root)? && !(files::is_own_dir(root) && is_tool(root)?) {
        let why = format!("install zig: {} was not installed by dockless", root.display());
        bail!(failure(why, "move it away, and run again"));
    }
    files::remove_stale_dirs(&tools, STALE)?;
    let fresh = files::temporary_dir_in(&tools)?;
    pip(fresh.path(), env, term)?;
    let made = fresh.path().join("ziglang").join(program.file_name().context("name zig")?);
    let version = cross::version(&made, dir, env).context("try the zig that pip installed")?;
    if version != ZIG {
        bail!(failure(format!("pip installed zig {version}, not {ZIG}"), BY_HAND));
    }
    files::move_dir(fresh, root)?;
    Ok(Zig { program, version: ZIG })
}

/// Runs pip, which checks the digest, to install the package into the folder.
/// <https://pip.pypa.io/en/stable/topics/secure-installs/>
fn pip(to: &Path, env: &Env, term: &Term) -> Result<()> {
    let python = python(env)?;
    // Python must not search the current folder for packages.
    let run = |args: &[&str]| {
        Program::new(&python, to, env).args(["-m", "pip"]).args(args).var("PYTHONSAFEPATH", "1")
    };
    if run(&["--version"]).time_out(Duration::from_secs(60)).output()?.status.code() != Some(0) {
        let why = format!("install zig: {} has no pip", python.display());
        bail!(failure(
            why,
            format!("install pip (Debian: `apt install python3-pip`), or {BY_HAND}")
        ));
    }
    let hashes: String = PACKAGES.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    let requirements = to.join(REQUIREMENTS);
    files::write(&requirements, format!("ziglang=={ZIG}{hashes}\n").as_bytes())?;
    term.step("install", format_args!("zig {ZIG} (pip install ziglang), some 100 MB"));
    run(&["install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"])
        .args(["--no-compile", "--only-binary", ":all:", "--require-hashes", "--target"])
        .arg(to)
        .arg("--requirement")
        .arg(&requirements)
        .time_out(DOWNLOAD)
        .read()
        .context("install zig with pip")
        .context(Help(format!(
            "see that pip reaches PyPI (PIP_INDEX_URL names a mirror), or {BY_HAND}"
        )))?;
    Ok(())
}

fn python(env: &Env) -> Result<PathBuf> {
    let found = ["python3", "python"].into_iter().find_map(|name| process::find(name, env));
    found
        .with_context(|| "install zig: python3 is not on PATH, and pip comes with it".to_owned())
        .context(Help(format!("install python3 and pip, or {BY_HAND}")))
}
