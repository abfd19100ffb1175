//! The cached toolchain of rustup: asking its proxies takes longer than all other queries about
//! a project.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::rustc::Rustc;
use crate::cache::{Cache, CacheKind};
use crate::digest::{self, Digest};
use crate::files::{self, limits};
use crate::process::{self, Env};

/// The toolchain, and the stamp by which an unchanged compiler is recognized.
#[derive(Serialize, Deserialize)]
struct Kept {
    sysroot: PathBuf,
    host: String,
    stamp: Stamp,
}

/// Size and time of a file.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: SystemTime,
}

/// The digest of all that rustup's choice in `dir` depends on: the proxy, the variable, the
/// settings, the toolchain files, and the installed toolchains. `None` where rustc is not
/// rustup's.
/// <https://rust-lang.github.io/rustup/overrides.html>
pub fn key(dir: &Path, env: &Env) -> Result<Option<Digest>> {
    let rustup = process::find("rustc", env).map(|rustc| rustc.with_file_name("rustup"));
    let Some(rustup) = rustup.filter(|rustup| rustup.is_file() && env.get("RUSTC").is_none())
    else {
        return Ok(None);
    };
    let named = env.get("RUSTUP_HOME").map(PathBuf::from);
    let Some(home) = named.or_else(|| Some(Path::new(env.get("HOME")?).join(".rustup"))) else {
        return Ok(None);
    };
    let mut parts = vec![b"rustup 1".to_vec(), dir.as_os_str().as_encoded_bytes().to_vec()];
    parts.push(env.get("RUSTUP_TOOLCHAIN").unwrap_or_default().as_encoded_bytes().to_vec());
    for path in [&rustup, &home.join("toolchains")] {
        parts.push(
            format!("{} {:?}", path.display(), stamp(path)?.map(|stamp| stamp.modified)).into(),
        );
    }
    let settings = [home.join("settings.toml"), PathBuf::from("/etc/rustup/settings.toml")];
    let pins = dir
        .ancestors()
        .flat_map(|dir| ["rust-toolchain", "rust-toolchain.toml"].map(|name| dir.join(name)));
    for file in settings.into_iter().chain(pins).filter(|file| file.is_file()) {
        parts.push(file.as_os_str().as_encoded_bytes().to_vec());
        parts.push(files::read_foreign(&file, limits::SETTINGS)?);
    }
    Ok(Some(digest::of_parts(parts.iter().map(Vec::as_slice))))
}

/// The cached toolchain, if its compiler is unchanged.
pub fn kept(key: &Digest, cache: &Cache) -> Result<Option<Rustc>> {
    let kept: Option<Kept> = cache.get_json(CacheKind::Toolchain, key)?;
    let Some(kept) = kept else { return Ok(None) };
    let same = stamp(&compiler(&kept.sysroot))? == Some(kept.stamp);
    Ok(same.then(|| Rustc { sysroot: kept.sysroot, host: kept.host, targets: Vec::new() }))
}

/// Caches the toolchain for the next run.
pub fn keep(key: &Digest, rustc: &Rustc, cache: &Cache) -> Result<()> {
    let Some(stamp) = stamp(&compiler(&rustc.sysroot))? else { return Ok(()) };
    let kept = Kept { sysroot: rustc.sysroot.clone(), host: rustc.host.clone(), stamp };
    cache.put_json(CacheKind::Toolchain, key, &kept)
}

fn compiler(sysroot: &Path) -> PathBuf {
    sysroot.join("bin").join(format!("rustc{}", std::env::consts::EXE_SUFFIX))
}

fn stamp(path: &Path) -> Result<Option<Stamp>> {
    let entry = files::list_one(path)?;
    Ok(entry.map(|entry| Stamp { size: entry.size, modified: entry.modified }))
}
